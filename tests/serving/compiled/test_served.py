"""What a loaded version is served by."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from sklearn.ensemble import AdaBoostRegressor

from include.registry import models
from include.registry.predictor import Predictor
from include.serving.compiled import kernels, served
from include.serving.compiled.compile import Compiled, compile_model
from include.serving.compiled.served import accelerate
from tests.model_store import FEATURES, register_classifier, register_constant, training_frame
from tests.serving.compiled.examples import values

ROW = [900.0, "AA", True]


@pytest.fixture(scope="module")
def predictor(mlflow_store: Path) -> Predictor:
    return models.load(register_classifier("accelerated"))


def test_a_registered_model_is_served_compiled(predictor: Predictor) -> None:
    frame = training_frame(seed=9)
    for found in (accelerate(predictor, training_frame(seed=2)), accelerate(predictor)):
        assert found.engine == "compiled"
        assert found.reason.startswith("predicts the same for ")
        assert found.predict(values(frame)) == pytest.approx(list(predictor.predict(frame)), rel=1e-9, abs=1e-9)


def test_a_constant_is_served_compiled(mlflow_store: Path) -> None:
    found = accelerate(models.load(register_constant("accelerated_constant", 7.0)), training_frame())
    assert found.engine == "compiled"
    assert found.predict([ROW, [None, None, None]]) == [7.0, 7.0]
    with pytest.raises(ValueError, match="feature carrier: expected text, got 3"):
        found.predict([[900.0, 3, True]])


def test_a_model_without_a_compiled_form_is_served_as_it_is(predictor: Predictor) -> None:
    frame = training_frame().dropna()
    model = AdaBoostRegressor(n_estimators=2).fit(frame[["distance"]], frame["distance"])
    contents = replace(predictor.contents, features=FEATURES[:1], task="regression", threshold=None)
    plain = Predictor(predictor.version, model, contents)
    found = accelerate(plain, frame)
    assert (found.engine, found.reason) == ("scikit-learn", "AdaBoostRegressor: no compiled form is known")
    assert found.predict([[900.0], [1200]]) == list(plain.predict(frame.head(2).assign(distance=[900.0, 1200.0])))
    assert found.predict([]) == []
    with pytest.raises(ValueError, match="feature distance: expected a number, got 'far'"):
        found.predict([["far"]])


def test_a_compiled_model_that_disagrees_is_not_served(predictor: Predictor, monkeypatch: pytest.MonkeyPatch) -> None:
    def damaged(*args: Any) -> Compiled:
        compiled = compile_model(*args)
        nodes = compiled.parts[0].score.nodes  # type: ignore[union-attr]
        nodes["number"][nodes["feature"] >= 0] += 1.0
        return compiled

    monkeypatch.setattr(served, "compile_model", damaged)
    found = accelerate(predictor, training_frame())
    assert found.engine == "scikit-learn"
    assert "differs from scikit-learn by" in found.reason
    assert found.predict([ROW]) == list(
        predictor.predict(training_frame(1).assign(distance=900.0, carrier="AA", night=True))
    )


def test_what_fails_in_any_other_way_is_served_as_it_is(
    predictor: Predictor, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def broken(*args: Any) -> Compiled:
        raise AttributeError("no tree_")

    monkeypatch.setattr(served, "compile_model", broken)
    found = accelerate(predictor)
    assert (found.engine, found.reason) == ("scikit-learn", "AttributeError: no tree_")
    assert "cannot be compiled or verified" in caplog.text
    assert len(found.predict([ROW])) == 1


def test_without_a_folder_for_it_machine_code_is_made_anew(caplog: pytest.LogCaptureFixture) -> None:
    names: dict[str, Any] = {}
    exec("def plus(value): return value + 1.0", names)  # numba finds no file of it, and so no place to keep it
    compiled = kernels._machine_code(kernels.float64(kernels.float64))(names["plus"])
    assert compiled(1.5) == 2.5
    assert "set NUMBA_CACHE_DIR" in caplog.text
