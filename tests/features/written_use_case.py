"""Use cases whose feature definitions a test writes and changes: copies of the one of the stations."""

from __future__ import annotations

import shutil
import sys
from pathlib import Path

from include.contract.loading import Folder, load_use_case
from include.registry.models import ModelVersion

STATIONS = Path(__file__).parents[1] / "use_cases" / "station_temperature"
TEMP_MEAN = 'Field(name="temp_mean", dtype=Float64, description="Mean temperature of two weeks.", tags=DERIVED)'


def write_use_case(parent: Path, name: str = "station_temperature", *changes: tuple[str, str]) -> Folder:
    """A copy of that name; the views of another one have its name before theirs."""
    folder = parent / name
    shutil.copytree(STATIONS, folder)
    for file in (folder / "use_case.yaml", folder / "feature_definitions.py"):
        file.write_text(file.read_text().replace("station_temperature", name))
    use_case = load_use_case(name)
    edit(use_case, *changes)
    if name != "station_temperature":
        edit(use_case, *((f'name="{view}"', f'name="{name}_{view}"') for view in ("observation", "station_history")))
        edit(use_case, *((f'_source("{view}")', f'_source("{name}_{view}")') for view in VIEWS))
    return use_case


VIEWS = ("observation", "station_history")


def edit(use_case: Folder, *changes: tuple[str, str]) -> None:
    """Change the text of the definitions, as an author would; the next process reads it anew."""
    file = use_case.path / "feature_definitions.py"
    text = file.read_text()
    for old, new in changes:
        assert old in text, old
        text = text.replace(old, new)
    file.write_text(text)
    sys.modules.pop(f"evergreen_use_cases.{use_case.config.name}.feature_definitions", None)


def version(number: int, *features: str, use_case: str = "station_temperature") -> ModelVersion:
    """A registered version that reads these features."""
    return ModelVersion(use_case, number, f"run-{number}", "digest", features, "", {"definition_hash": "trained"})
