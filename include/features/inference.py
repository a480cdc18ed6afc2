"""A defect of Feast, mended: it refuses every on-demand view whose fields have a description or tags.

Feast runs the view's function on made-up values and looks for each declared field among those that come back, comparing
also description and tags, which no result has. Here only name and type are compared.
"""

from __future__ import annotations

from functools import partial
from typing import Any


def compare_without_descriptions(view: Any) -> None:
    """Make Feast's check of an on-demand view look at names and types; a second time changes nothing."""
    view.infer_features = partial(_infer, view)


def _infer(view: Any) -> None:
    from feast import Field

    described = view.features
    view.features = [Field(name=field.name, dtype=field.dtype) for field in described]
    try:
        type(view).infer_features(view)
    finally:
        view.features = described
