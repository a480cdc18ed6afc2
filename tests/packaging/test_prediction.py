"""What a package predicts against the compiled model and the pipeline that it was built from."""

from __future__ import annotations

import json
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from include.packaging.runtime import trees as runtime_trees
from include.packaging.runtime.columns import Code
from include.packaging.runtime.inputs import InputError
from include.packaging.runtime.links import Logistic
from include.packaging.runtime.model import Model, Part
from include.registry.predictor import Predictor
from include.serving.compiled.compile import compile_model
from include.serving.compiled.kernels import Code as Compiling
from include.serving.compiled.verification import made
from tests.packaging.models import MODELS, packaged, predictor_of
from tests.serving.compiled.examples import rows, values

Both = tuple[Predictor, Model]


@pytest.fixture(scope="module", params=list(MODELS))
def both(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Both:
    predictor = predictor_of(request.param)
    return predictor, packaged(predictor, tmp_path_factory.mktemp("package"))


def named(frame: pd.DataFrame) -> list[dict[str, Any]]:
    return [dict(zip(frame.columns, row, strict=True)) for row in values(frame)]


def other_rows(count: int = 1000) -> pd.DataFrame:
    """Rows that nothing was fitted on, with missing values and texts that were not seen."""
    new = rows(seed=11, count=count, missing=0.12)
    new.loc[new.index[:5], "place"] = "nowhere"
    return new


def test_it_predicts_as_the_pipeline_and_the_compiled_model_do(both: Both) -> None:
    predictor, model = both
    new = other_rows()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        expected = predictor.predict(new)
    found = model.predict(named(new))
    np.testing.assert_allclose(found, expected, rtol=1e-9, atol=1e-9)
    compiled = compile_model(predictor.model, predictor.task, predictor.features)
    np.testing.assert_allclose(found, compiled.predict(values(new)), rtol=1e-12, atol=1e-12)
    one_by_one = [model.predict([row])[0] for row in named(new)[:30]]
    np.testing.assert_allclose(one_by_one, expected[:30], rtol=1e-9, atol=1e-9)


def test_made_rows_are_predicted_or_refused_as_by_the_compiled_model(both: Both) -> None:
    """Everything missing, thresholds and their neighbours, huge numbers, every category."""
    predictor, model = both
    compiled = compile_model(predictor.model, predictor.task, predictor.features)
    names = [feature.name for feature in predictor.features]
    taken: list[dict[str, Any]] = []
    expected: list[float] = []
    for row in [row for _, some in made(compiled, values(rows(count=40))) for row in some]:
        asked: dict[str, Any] = dict(zip(names, row, strict=True))
        if asked["night"] not in (None, 0.0, 1.0):
            continue
        asked["night"] = None if asked["night"] is None else bool(asked["night"])
        try:
            expected += compiled.predict([row])
        except ValueError:
            with pytest.raises(InputError):
                model.predict([asked])
        else:
            taken.append(asked)
    assert len(taken) > 300
    np.testing.assert_allclose(model.predict(taken), expected, rtol=1e-12, atol=1e-12)


def test_numpy_alone_sums_trees_to_the_bit_as_numba_does(both: Both, monkeypatch: pytest.MonkeyPatch) -> None:
    _, model = both
    new = named(other_rows(700))
    with_numba = model.predict(new)
    monkeypatch.setattr(runtime_trees, "_sum", runtime_trees.sum_with_numpy)
    assert np.array_equal(model.predict(new), with_numba)
    monkeypatch.setattr(runtime_trees, "CELLS", 50)  # a few rows at a time
    assert np.array_equal(model.predict(new), with_numba)


def test_every_form_of_rows_gives_the_same(both: Both) -> None:
    _, model = both
    new = other_rows(50)
    expected = model.predict(named(new))
    nan = [{name: float("nan") if value is None else value for name, value in row.items()} for row in named(new)]
    columns = {name: [row[name] for row in named(new)] for name in new.columns}
    arrays_ = {name: np.array(column, dtype=object) for name, column in columns.items()}
    arrays_ |= {name: new[name].to_numpy(dtype=np.float64) for name in ("speed", "height", "whole")}
    table = np.array(
        [tuple(row.values()) for row in nan],
        dtype=[(name, "f8" if name in ("speed", "height", "whole") else "O") for name in new.columns],
    )
    for form in (nan, tuple(nan), columns, dict(reversed(columns.items())), arrays_, table):
        assert np.array_equal(model.predict(form), expected)


def test_no_rows_give_no_predictions(both: Both) -> None:
    assert both[1].predict([]).shape == (0,)


def test_the_golden_rows_agree(both: Both) -> None:
    predictor, model = both
    checked = model.check()
    assert checked.agrees
    assert checked.rows > 40
    golden = json.loads(model.golden)
    assert "a text that no training set holds" in golden["columns"]["place"]
    assert any(all(value is None for value in row) for row in zip(*golden["columns"].values(), strict=True))
    first = {name: column[:1] for name, column in golden["columns"].items()}
    assert float(predictor.predict(pd.DataFrame(first, dtype=object))[0]) == golden["predictions"][0]


def test_it_tells_what_it_is(tmp_path: Path) -> None:
    model = packaged(predictor_of("logistic"), tmp_path, b"<h1>Trips</h1>")
    assert (model.name, model.version, model.run_id, model.data_revision) == ("trips", 3, "run-3", "rev-3")
    assert (model.task, model.threshold, model.card) == ("classification", 0.4, "<h1>Trips</h1>")
    assert [(feature.name, feature.kind) for feature in model.features][:2] == [
        ("speed", "numeric"),
        ("carrier", "categorical"),
    ]
    assert all(isinstance(part, Part) for part in model.parts)


def test_operations_have_the_names_of_the_compiled_ones() -> None:
    assert {code.name: code.value for code in Code} == {code.name: code.value for code in Compiling}


@settings(max_examples=200, deadline=None)
@given(
    scores=arrays.arrays(np.float64, st.integers(0, 20), elements=st.floats(-1e308, 1e308)),
    slope=st.floats(-5, 5),
    intercept=st.floats(-5, 5),
)
def test_the_logistic_map_is_that_of_scipy(scores: Any, slope: float, intercept: float) -> None:
    from scipy.special import expit

    with np.errstate(over="ignore"):
        found = Logistic(slope, intercept)(scores)
        np.testing.assert_allclose(found, expit(slope * scores + intercept), rtol=1e-14, atol=1e-300)
