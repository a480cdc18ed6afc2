"""The wheel: from the registry, the same bytes each time, verified where it is read."""

from __future__ import annotations

import ast
import json
import subprocess
import sys
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from sklearn.base import BaseEstimator
from sklearn.compose import make_column_transformer
from sklearn.linear_model import SGDRegressor
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OrdinalEncoder

from include.packaging import __main__ as command
from include.packaging import runtime
from include.packaging.build import build, package, write
from include.packaging.contents import PackagingError
from include.packaging.runtime.model import ARRAYS, CARD, GOLDEN, MANIFEST, MODEL, ContentError, digest_of, load
from include.packaging.wheel import wheel
from include.registry import models
from include.registry.artifacts import file_digest
from include.registry.model_input import to_model_input
from include.settings import get_settings
from tests.model_store import FEATURES, register_classifier, start_run, training_frame
from tests.packaging.models import files_of, packaged, predictor_of
from tests.serving.compiled.examples import rows, values
from tests.serving.conftest import write_use_case

NAME = "packaged_trips"
NUMERIC = ["speed", "height", "whole"]


@pytest.fixture(scope="module")
def registered(mlflow_store: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[models.ModelVersion]:
    """A champion whose run logged a card."""
    import mlflow

    folder = tmp_path_factory.mktemp("use_cases")
    write_use_case(folder, NAME, "classification")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("EVERGREEN_USE_CASE_PATHS", str(folder))
        get_settings.cache_clear()
        version = register_classifier(NAME)
        models.set_alias(NAME, models.CHAMPION, version.version)
        mlflow.MlflowClient().log_text(version.run_id, "<h1>Late trips</h1>", "model_card.html")
        yield version
    get_settings.cache_clear()


def registered_model(model: BaseEstimator) -> models.ModelVersion:
    """One more version of the use case, which no alias names."""
    frame = training_frame()
    run_id = start_run(NAME)
    fitted = model.fit(to_model_input(frame, FEATURES), frame["distance"].fillna(0.0))
    models.log_model(fitted, frame, run_id=run_id, task="regression", features=FEATURES)
    return models.register(run_id, NAME, "model", {"data_revision": "rev"})


def test_the_same_version_gives_the_same_bytes(registered: models.ModelVersion, tmp_path: Path) -> None:
    built, again = build(NAME), build(NAME, registered.version)
    assert built.wheel.content == again.wheel.content
    path = write(built, tmp_path / "wheels")
    assert path.name == f"{NAME}_model-{registered.version}-py3-none-any.whl"
    assert path.read_bytes() == built.wheel.content
    with zipfile.ZipFile(path) as archive:
        assert archive.testzip() is None
        assert {entry.date_time for entry in archive.infolist()} == {(1980, 1, 1, 0, 0, 0)}
        described = json.loads(archive.read(f"{NAME}_model/{MODEL}"))
        card = archive.read(f"{NAME}_model/{CARD}").decode()
    assert (described["run_id"], described["data_revision"]) == (registered.run_id, "rev-1")
    assert (described["model_digest"], described["threshold"]) == (registered.digest, 0.5)
    assert card == "<h1>Late trips</h1>"


def test_the_command_writes_the_champion_and_tells_its_place(
    registered: models.ModelVersion, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert command.main([NAME, "--to", str(tmp_path)]) == 0
    (path,) = tmp_path.iterdir()
    assert f"package: {path} ({path.stat().st_size:,} bytes)" in capsys.readouterr().out
    assert command.main([NAME]) == 0
    assert (get_settings().home / "packages" / path.name).read_bytes() == path.read_bytes()


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["nowhere"], "nowhere"),
        ([NAME, "--version", "999"], f"{NAME} version 999: there is no such version"),
    ],
)
def test_what_cannot_be_packaged_is_said(
    registered: models.ModelVersion, arguments: list[str], said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert command.main(arguments) == 1
    assert said in capsys.readouterr().err


def test_a_use_case_without_a_champion_is_refused(mlflow_store: Path) -> None:
    with pytest.raises(PackagingError, match="no version is champion yet; name one: VERSION=1"):
        build("never_trained")


def test_a_model_that_does_not_compile_is_refused_with_the_cure(registered: models.ModelVersion) -> None:
    columns = make_column_transformer((OrdinalEncoder(), ["carrier"]), remainder="drop")
    version = registered_model(make_pipeline(columns, SGDRegressor(random_state=0)))
    with pytest.raises(PackagingError, match=r"does not compile: SGDRegressor: .*serve it by include.serving.embedded"):
        build(NAME, version.version)


def test_a_package_that_would_predict_otherwise_is_not_built(
    registered: models.ModelVersion, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("include.packaging.build.golden", lambda *_: ([training_row()], [0.987]))
    with pytest.raises(PackagingError, match="the package differs from the pipeline by 0"):
        package(models.load(registered))


def training_row() -> dict[str, Any]:
    return {"distance": 900.0, "carrier": "AA", "night": True}


def test_the_runtime_imports_numpy_and_itself_alone() -> None:
    found = set()
    for path in Path(runtime.__path__[0]).glob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Import):
                found |= {alias.name.partition(".")[0] for alias in node.names}
            elif isinstance(node, ast.ImportFrom) and node.level == 0:
                found.add(str(node.module).partition(".")[0])
    assert found - set(sys.stdlib_module_names) == {"numpy", "numba"}


@pytest.mark.parametrize("name", [MODEL, ARRAYS, GOLDEN, CARD])
def test_content_that_changed_is_refused(name: str, tmp_path: Path) -> None:
    packaged(predictor_of("logistic"), tmp_path, b"card")
    path = tmp_path / name
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)
    with pytest.raises(ContentError, match=f"{name}: sha256 .* install the package again"):
        load(tmp_path)
    path.unlink()
    with pytest.raises(ContentError, match="cannot be read"):
        load(tmp_path)


def test_another_manifest_is_refused(tmp_path: Path) -> None:
    packaged(predictor_of("logistic"), tmp_path)
    path = tmp_path / MANIFEST
    manifest = json.loads(path.read_text())
    digests = {name: digest for name, digest in manifest["files"].items() if name != GOLDEN}
    for other in (
        {**manifest, "digest": "0" * 64},
        {"files": digests, "digest": digest_of(digests)},  # lacks a file
        {"files": manifest["files"]},
    ):
        path.write_text(json.dumps(other))
        with pytest.raises(ContentError, match="is not the one that was built"):
            load(tmp_path)
    path.write_text("[]")
    with pytest.raises(ContentError, match="cannot be read"):
        load(tmp_path)


def test_content_of_another_format_is_refused(tmp_path: Path) -> None:
    packaged(predictor_of("logistic"), tmp_path)
    described = {**json.loads((tmp_path / MODEL).read_text()), "format": 2}
    (tmp_path / MODEL).write_text(json.dumps(described))
    manifest = json.loads((tmp_path / MANIFEST).read_text())
    manifest["files"][MODEL] = file_digest(tmp_path / MODEL)
    (tmp_path / MANIFEST).write_text(json.dumps({**manifest, "digest": digest_of(manifest["files"])}))
    with pytest.raises(ContentError, match="format 2, this runtime reads 1: build it anew"):
        load(tmp_path)


def test_a_field_of_two_lines_is_no_metadata() -> None:
    with pytest.raises(ValueError, match="a field has one line"):
        wheel("some_model", "1", {}, {"Summary": "one\nRequires-Dist: two"})


def test_a_clean_environment_with_numpy_alone_predicts_the_same(tmp_path: Path) -> None:
    """Installed by uv beside numpy, and nothing else, with no path to this repository."""
    predictor = predictor_of("histograms with categories")
    built = wheel("trips_model", "3", {**runtime_files(), **files_of(predictor)}, {"Requires-Dist": "numpy>=2"})
    path = tmp_path / built.file_name
    path.write_bytes(built.content)
    python = tmp_path / "venv" / "bin" / "python"
    for arguments in (
        ["venv", "--quiet", "--python", sys.executable, str(python.parents[1])],
        ["pip", "install", "--quiet", "--python", str(python), f"numpy=={np.__version__}", str(path)],
    ):
        done = subprocess.run([sys.executable, "-m", "uv", *arguments], capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
    new = rows(seed=5, count=1000, missing=0.1)
    new.loc[new.index[:9], "place"] = "nowhere"
    asked = [dict(zip(new.columns, row, strict=True)) for row in values(new)]
    program = (
        "import json, sys, trips_model; model = trips_model.load(); "
        "print(json.dumps({'found': model.predict(json.load(sys.stdin)).tolist(), "
        "'others': sorted({n.partition('.')[0] for n in sys.modules} & "
        "{'sklearn', 'scipy', 'pandas', 'numba', 'mlflow', 'feast', 'include'})}))"
    )

    def run(*arguments: str, text: str = "") -> subprocess.CompletedProcess[str]:
        isolated = [str(python), "-I", *arguments]
        return subprocess.run(isolated, cwd=tmp_path, input=text, capture_output=True, text=True, check=False)

    answered = run("-c", program, text=json.dumps(asked))
    assert answered.returncode == 0, answered.stderr
    answer = json.loads(answered.stdout)
    np.testing.assert_allclose(answer["found"], predictor.predict(new), rtol=1e-9, atol=1e-9)
    assert answer["others"] == []
    assert json.loads(run("-m", "trips_model").stdout)["features"]["carrier"] == "categorical"
    checked = run("-m", "trips_model", "--check")
    assert checked.returncode == 0, checked.stderr
    assert "golden rows agree" in checked.stdout
    (installed,) = (tmp_path / "venv").rglob(f"trips_model/{GOLDEN}")
    installed.write_text("{}")
    broken = run("-m", "trips_model", "--check")
    assert broken.returncode == 1
    assert "install the package again" in broken.stderr


def runtime_files() -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in Path(runtime.__path__[0]).glob("*.py")}
