"""From a registered version to its wheel."""

from __future__ import annotations

import tempfile
from dataclasses import dataclass
from pathlib import Path

from include.deployment import published
from include.files import replacing
from include.packaging import runtime
from include.packaging.contents import PackagingError, contents_of
from include.packaging.golden import golden
from include.packaging.runtime.model import Checked, load
from include.packaging.wheel import Wheel, wheel
from include.registry import models
from include.registry.client import client, registry
from include.registry.models import ModelVersion
from include.registry.predictor import Predictor
from include.registry.runs import logged_file
from include.serving.compiled.served import accelerate
from include.serving.samples import sample

CARD = "model_card.html"
SAMPLED = 500  # rows that the compiled model is held to its pipeline on
NUMPY, NUMBA = "numpy>=2", "numba>=0.61"


@dataclass(frozen=True)
class Package:
    """A built package and what was proved of it."""

    version: ModelVersion
    wheel: Wheel
    digest: str
    checked: Checked


def build(use_case: str, version: int | None = None) -> Package:
    """The package of a version, of the champion where none is named. The same version gives the same bytes.

    ``PackagingError`` where there is no such version, where it does not compile, or where the package would predict
    otherwise than its pipeline.
    """
    return package(models.load(_chosen(use_case, version)))


def package(predictor: Predictor) -> Package:
    """The package of a loaded version."""
    version = predictor.version
    what = f"{version.use_case} version {version.version}"
    served = accelerate(predictor, sample(predictor, SAMPLED))
    if served.compiled is None:
        raise PackagingError(
            f"{what}: cannot be packaged, since it does not compile: {served.reason}. Build it from transformers "
            "and estimators that include/serving/compiled knows, or serve it by include.serving.embedded or the image"
        )
    files = contents_of(predictor, served.compiled, golden(predictor, served.compiled), _card(version))
    with tempfile.TemporaryDirectory() as scratch:
        for name, content in files.items():
            (Path(scratch) / name).write_bytes(content)
        model = load(Path(scratch))
        checked = model.check()
    if not checked.agrees:
        raise PackagingError(
            f"{what}: cannot be packaged: the package differs from the pipeline by {checked.greatest_difference:.3g} "
            f"on {checked.rows} golden rows; serve it by include.serving.embedded or the image"
        )
    name = f"{version.use_case}_model"
    metadata: dict[str, str | list[str]] = {
        "Summary": f"{version.use_case} version {version.version}, run {version.run_id}, predicted with numpy alone",
        "Requires-Python": ">=3.11",
        "Requires-Dist": [NUMPY, f'{NUMBA}; extra == "numba"'],
        "Provides-Extra": "numba",
    }
    return Package(version, wheel(name, str(version.version), {**_runtime(), **files}, metadata), model.digest, checked)


def write(built: Package, folder: Path) -> Path:
    """Put the wheel into a folder, whole or not at all."""
    path = folder / built.wheel.file_name
    with replacing(path) as temporary:
        temporary.write_bytes(built.wheel.content)
    return path


def _chosen(use_case: str, version: int | None) -> ModelVersion:
    try:
        found = published.champion(use_case) if version is None else models.get(use_case, version)
    except models.ModelNotFound as error:
        raise PackagingError(f"{use_case} version {version}: there is no such version: {error}") from error
    if found is None:
        raise PackagingError(f"{use_case}: no version is {models.CHAMPION} yet; name one: VERSION=1")
    return found


def _card(version: ModelVersion) -> bytes | None:
    """The model card that the run logged; None for a version from elsewhere, whose run logged none."""
    with registry():
        logged = {file.path for file in client().list_artifacts(version.run_id)}
        return logged_file(version, CARD).read_bytes() if CARD in logged else None


def _runtime() -> dict[str, bytes]:
    """The modules that predict, as they are here."""
    return {path.name: path.read_bytes() for path in Path(runtime.__path__[0]).glob("*.py")}
