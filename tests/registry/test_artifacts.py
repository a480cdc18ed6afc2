from __future__ import annotations

import json
import subprocess
import sys
import types
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from sklearn.base import BaseEstimator, RegressorMixin
from sklearn.dummy import DummyRegressor
from sklearn.linear_model import LinearRegression

from include.registry import artifacts
from include.registry.model_input import to_model_input
from tests.model_store import FEATURES, constant, fit_classifier, training_frame

AUTHORS_CODE = """
from sklearn.base import BaseEstimator, RegressorMixin
class Mine(RegressorMixin, BaseEstimator):
    def fit(self, X, y):
        self.mean_ = float(sum(y) / len(y))
        return self
    def predict(self, X):
        return [self.mean_] * len(X)
"""


class Exploding(RegressorMixin, BaseEstimator):
    def predict(self, frame: pd.DataFrame) -> list[float]:
        return [1.0] * len(frame)

    def __setstate__(self, state: dict[str, object]) -> None:
        raise AssertionError("the model was deserialized")


def save(folder: Path, seed: int = 1) -> str:
    model, frame = fit_classifier(seed)
    return artifacts.save_model(
        model, folder, task="classification", features=FEATURES, example=frame, threshold=0.4, metadata={"who": "test"}
    )


def test_a_model_comes_back_with_its_metadata(tmp_path: Path) -> None:
    digest = save(tmp_path / "model")
    model, contents = artifacts.load_model(tmp_path / "model", digest)
    expected, frame = fit_classifier()
    rows = to_model_input(frame, contents.features)
    np.testing.assert_array_equal(artifacts.predict(model, "classification", rows), expected.predict_proba(rows)[:, 1])
    assert contents.format == "skops"
    assert contents.features == FEATURES
    assert contents.categorical == ("carrier",)
    assert contents.threshold == 0.4
    assert contents.metadata == {"who": "test"}
    assert contents.libraries["scikit-learn"]
    assert artifacts.file_digest(tmp_path / "model" / contents.file) == digest == contents.digest


def test_it_is_an_mlflow_model_with_signature_and_example(tmp_path: Path) -> None:
    import mlflow

    save(tmp_path / "model")
    info = mlflow.models.get_model_info(str(tmp_path / "model"))
    assert set(info.flavors) == {"sklearn", "python_function"}
    assert info.signature.inputs.input_names() == ["distance", "carrier", "night"]
    assert info.saved_input_example_info is not None
    requirements = (tmp_path / "model" / "requirements.txt").read_text()
    assert "scikit-learn==" in requirements
    assert "skops==" in requirements
    served = mlflow.pyfunc.load_model(str(tmp_path / "model"))
    assert served.predict(to_model_input(training_frame(3), FEATURES)).shape == (3, 2)


def test_equal_models_have_equal_digests_in_any_process(tmp_path: Path) -> None:
    program = (
        "import sys; from pathlib import Path; from tests.registry.test_artifacts import save;"
        "print(save(Path(sys.argv[1])))"
    )
    digests = {
        subprocess.run(
            [sys.executable, "-c", program, str(tmp_path / seed)],
            env={
                "PYTHONPATH": ":".join(sys.path),
                "PYTHONHASHSEED": seed,
                "OMP_NUM_THREADS": "1",
                "PATH": "/usr/bin:/bin",
            },
            capture_output=True,
            text=True,
            check=True,
        ).stdout.split()[-1]
        for seed in ("1", "2")
    }
    assert digests == {save(tmp_path / "here")}
    assert save(tmp_path / "other", seed=2) not in digests


def test_a_changed_file_is_refused_before_it_is_read(tmp_path: Path) -> None:
    folder = tmp_path / "model"
    digest = artifacts.save_model(
        Exploding(), folder, task="regression", features=FEATURES, example=training_frame(5), threshold=None
    )
    with pytest.raises(AssertionError, match="deserialized"):
        artifacts.load_model(folder, digest)
    with (folder / "model.pkl").open("ab") as file:
        file.write(b"x")
    with pytest.raises(artifacts.DigestMismatchError, match="it was not read"):
        artifacts.load_model(folder, digest)


@pytest.mark.parametrize("expected", ["", "0" * 64])
def test_another_or_no_expected_digest_is_refused(tmp_path: Path, expected: str) -> None:
    save(tmp_path / "model")
    with pytest.raises(artifacts.DigestMismatchError):
        artifacts.load_model(tmp_path / "model", expected)


def test_a_lost_file_or_torn_metadata_is_refused(tmp_path: Path) -> None:
    digest = save(tmp_path / "model")
    (tmp_path / "model" / "model.skops").unlink()
    with pytest.raises(artifacts.DigestMismatchError, match="no such file"):
        artifacts.load_model(tmp_path / "model", digest)
    (tmp_path / "model" / "metadata.json").write_text('{"format":')
    with pytest.raises(artifacts.ArtifactError, match="not the metadata of a model"):
        artifacts.load_model(tmp_path / "model", digest)


def test_types_outside_the_list_are_refused_even_with_the_right_digest(tmp_path: Path) -> None:
    import skops.io

    digest = save(tmp_path / "model")
    path = tmp_path / "model" / "model.skops"
    skops.io.dump({"x": Exploding()}, path)
    metadata = json.loads((tmp_path / "model" / "metadata.json").read_text())
    changed = metadata | {"digest": artifacts.file_digest(path)}
    (tmp_path / "model" / "metadata.json").write_text(json.dumps(changed))
    assert changed["digest"] != digest
    with pytest.raises(artifacts.ArtifactError, match="not trusted"):
        artifacts.load_model(tmp_path / "model", changed["digest"])


def test_an_estimator_of_the_author_is_pickled_by_value(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    module = types.ModuleType("evergreen_use_cases.taxi.model")
    monkeypatch.setitem(sys.modules, module.__name__, module)
    exec(AUTHORS_CODE, module.__dict__)
    model = module.Mine().fit([[0]] * 4, [1, 2, 3, 4])
    digest = artifacts.save_model(
        model, tmp_path / "model", task="regression", features=FEATURES, example=training_frame(5)
    )
    monkeypatch.delitem(sys.modules, module.__name__)
    again, contents = artifacts.load_model(tmp_path / "model", digest)
    assert contents.format == "cloudpickle"
    assert "evergreen_use_cases.taxi.model.Mine" in contents.format_reason
    assert artifacts.predict(again, "regression", to_model_input(training_frame(2), FEATURES)).tolist() == [2.5, 2.5]


def test_a_model_that_predicts_otherwise_than_at_training_is_refused(tmp_path: Path) -> None:
    digest = artifacts.save_model(
        constant(3.0), tmp_path / "model", task="regression", features=FEATURES, example=training_frame(5)
    )
    path = tmp_path / "model" / "metadata.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {"example_prediction": 3.5}))
    with pytest.raises(artifacts.ArtifactError, match=r"predicts 3\.0 for its example, 3\.5 at training"):
        artifacts.load_model(tmp_path / "model", digest)


def test_a_classification_needs_two_classes_and_a_threshold(tmp_path: Path) -> None:
    frame = training_frame(5)
    model = DummyRegressor().fit(frame, [1] * 5)
    with pytest.raises(artifacts.ArtifactError, match="predict_proba and two classes"):
        artifacts.save_model(
            model, tmp_path / "a", task="classification", features=FEATURES, example=frame, threshold=0.5
        )
    with pytest.raises(artifacts.ArtifactError, match="threshold"):
        artifacts.save_model(model, tmp_path / "b", task="classification", features=FEATURES, example=frame)
    with pytest.raises(artifacts.ArtifactError, match="threshold"):
        artifacts.save_model(
            LinearRegression(), tmp_path / "c", task="regression", features=FEATURES, example=frame, threshold=0.5
        )
