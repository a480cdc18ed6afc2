"""The same Python values are taken, and the same refused with the same words, as on the way through pandas."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.compose import make_column_transformer
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OrdinalEncoder

from include.registry.artifacts import predict
from include.registry.model_input import features_of, to_model_input
from include.serving.compiled.compile import Compiled, compile_model
from tests.serving.compiled.examples import TEXTS, fitted, rows, values

FEATURES = features_of(rows())
NAMES = [feature.name for feature in FEATURES]
MODEL = fitted(
    make_pipeline(
        make_column_transformer(
            (OrdinalEncoder(handle_unknown="use_encoded_value", unknown_value=float("nan")), TEXTS),
            remainder="passthrough",
        ),
        HistGradientBoostingClassifier(max_iter=10, min_samples_leaf=3, categorical_features=[0, 1]),
    )
)

numbers = st.one_of(
    st.none(),
    st.floats(),
    st.booleans(),
    st.integers(-(10**20), 10**20),
    st.decimals(-1000, 1000, places=2),
    st.sampled_from([np.float32(1.5), np.float64(2.5), np.int16(3), np.True_, pd.NA, pd.NaT]),
)
texts = st.one_of(
    st.none(), st.just(float("nan")), st.just(pd.NA), st.text(), st.sampled_from(["AA", "UA", "P7", np.str_("P8")])
)
wrong = st.sampled_from([b"AA", [1.0], {"a": 1}, (1,), 1j, object()])
mixed = st.one_of(numbers, texts, wrong)


@pytest.fixture(scope="module")
def compiled() -> Compiled:
    return compile_model(MODEL, "classification", FEATURES)


def outcome(call: Any) -> Any:
    try:
        return list(call())
    except ValueError as error:
        return str(error)


def through_pandas(row: Any) -> Any:
    return predict(MODEL, "classification", to_model_input([dict(zip(NAMES, row, strict=True))], FEATURES))


@settings(max_examples=60, deadline=None)
@given(
    row=st.one_of(
        st.tuples(*(texts if name in TEXTS else numbers for name in NAMES)), st.tuples(*(mixed for _ in NAMES))
    )
)
def test_a_row_is_read_as_on_the_way_through_pandas(row: Any) -> None:
    compiled = compile_model(MODEL, "classification", FEATURES)
    expected = outcome(lambda: through_pandas(row))
    assert outcome(lambda: compiled.predict([row])) == expected
    many = expected if isinstance(expected, str) else expected * 9
    assert outcome(lambda: compiled.predict([row] * 9)) == many
    assert outcome(lambda: compiled.predict_columns([[value] for value in row])) == expected


@pytest.mark.parametrize("rows_of_it", [1, 30])
@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        ("speed", "10", "feature speed: expected a number, got '10'"),
        ("speed", [10], r"feature speed: expected a number, got \[10\]"),
        ("night", "yes", "feature night: expected a number, got 'yes'"),
        ("whole", 10**400, "feature whole: int too large"),
        ("carrier", 7, "feature carrier: expected text, got 7"),
        ("carrier", True, "feature carrier: expected text, got True"),
        ("place", ["P1"], r"feature place: expected text, got \['P1'\]"),
        ("place", Decimal(1), "feature place: expected text, got Decimal"),
    ],
)
def test_a_wrong_value_is_named(compiled: Compiled, name: str, value: Any, message: str, rows_of_it: int) -> None:
    row = list(values(rows())[0])
    row[NAMES.index(name)] = value
    with pytest.raises(ValueError, match=message):
        compiled.predict([values(rows())[1]] * (rows_of_it - 1) + [row])


def test_rows_have_a_value_for_each_feature(compiled: Compiled) -> None:
    for row in ([1.0, "AA"], [*values(rows())[0], 1.0]):
        for count in (1, 20):
            with pytest.raises(ValueError, match="argument"):
                compiled.predict([row] * count)


def test_no_rows_have_no_predictions(compiled: Compiled) -> None:
    assert compiled.predict([]) == []
    assert compiled.predict_columns([np.zeros(0)] * len(NAMES)).shape == (0,)


def test_predictions_are_plain_floats(compiled: Compiled) -> None:
    assert {type(value) for value in compiled.predict(values(rows()))} == {float}


def test_one_row_and_many_are_predicted_alike(compiled: Compiled) -> None:
    some = values(rows(seed=3))
    assert [compiled.predict([row])[0] for row in some] == compiled.predict(some)


def test_threads_may_share_it(compiled: Compiled) -> None:
    from concurrent.futures import ThreadPoolExecutor

    some = values(rows(seed=4))
    expected = compiled.predict(some)
    with ThreadPoolExecutor(8) as pool:
        assert all(found == expected for found in pool.map(compiled.predict, [some] * 40))
