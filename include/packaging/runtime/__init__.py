"""A trained model that predicts with numpy alone.

The package holds one version of a model as plain arrays:

    model = load()
    model.predict([{"distance": 900, "carrier": "AA"}])

``predict`` takes complete rows of features: a sequence of mappings, a mapping of columns, or a structured array.
"""

from .inputs import Feature, InputError
from .model import Checked, ContentError, Model, load

__all__ = ["Checked", "ContentError", "Feature", "InputError", "Model", "load"]
