"""The feature definitions of all use cases, for Feast's own command line (`feast plan`, `feast ui`).

Each use case writes its own in ``include/use_cases/<name>/feature_definitions.py``.
"""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from include.contract.loading import load_use_cases
from include.features.store import definitions

for _use_case in load_use_cases().values():
    for _object in definitions(_use_case):
        globals()[f"{type(_object).__name__}_{_object.name}"] = _object
