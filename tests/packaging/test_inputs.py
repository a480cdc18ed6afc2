"""What a package refuses, with the field named as the server names it."""

from __future__ import annotations

import re
from collections.abc import Mapping
from decimal import Decimal
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, OrdinalEncoder

from include.packaging.runtime.inputs import EXPECTED, Feature, InputError, read
from include.registry.model_input import Feature as Registered
from include.serving.problems import Problem
from include.serving.validation import check_rows
from tests.packaging.models import loaded, packaged
from tests.serving.compiled.examples import fitted, rows

FEATURES = (Feature("distance", "numeric"), Feature("carrier", "categorical"), Feature("night", "boolean"))
ROW: dict[str, Any] = {"distance": 900, "carrier": "AA", "night": True}


def columns(**changed: Any) -> dict[str, Any]:
    return {"distance": [1.0, 2.0], "carrier": ["AA", None], "night": [True, False], **changed}


def error_of(given_rows: Any) -> tuple[tuple[str, str], ...]:
    with pytest.raises(InputError) as caught:
        read(given_rows, FEATURES)
    return caught.value.errors


@pytest.mark.parametrize(
    ("value", "name"),
    [
        ("far", "distance"),
        (True, "distance"),
        (float("inf"), "distance"),
        (10**400, "distance"),
        (Decimal("1.5"), "distance"),
        ([1], "distance"),
        (1, "carrier"),
        (b"AA", "carrier"),
        (1.0, "night"),
        ("yes", "night"),
        (np.float64(-np.inf), "distance"),
        (np.datetime64("2026-01-01"), "distance"),
    ],
)
def test_a_value_of_a_wrong_kind_is_named(value: Any, name: str) -> None:
    kind = next(feature.kind for feature in FEATURES if feature.name == name)
    for given_rows in ([ROW, {**ROW, name: value}], columns(**{name: [ROW[name], value]})):
        ((field, what),) = error_of(given_rows)
        assert field == f"rows[1].{name}"
        assert what.startswith(f"expected {EXPECTED[kind]}, got ")


@pytest.mark.parametrize(
    ("given_rows", "field", "said"),
    [
        ([ROW, {"distance": 1, "carrier": "AA"}], "rows[1].night", "missing feature"),
        ([{**ROW, "speed": 1}], "rows[0].speed", "unknown feature; expected distance, carrier, night"),
        ([ROW, 3], "rows[1]", "expected a mapping of features, got 3"),
        (columns(speed=[1, 2]), "speed", "unknown feature"),
        ({"distance": [1.0]}, "carrier", "missing feature"),
        (columns(night=[True]), "night", "1 values, distance has 2"),
        (columns(carrier="AA"), "carrier", "expected a column of values, got 'AA'"),
        (columns(distance=5.0), "distance", "expected a column of values, got 5.0"),
        (columns(distance=np.ones((2, 2))), "distance", "expected one dimension, got 2"),
        (columns(distance=np.array([1.0, np.inf])), "rows[1].distance", "expected a finite number or None"),
        (columns(night=np.array([1.0, 0.0])), "rows[0].night", "expected True, False or None, got 1.0"),
        (np.ones((2, 3)), "rows", "expected a structured array of one dimension, got one of float64"),
        (np.zeros(2, dtype=[("distance", "f8")]), "carrier", "missing feature"),
        ("rows", "rows", "expected rows or columns of features, got 'rows'"),
        (None, "rows", "expected rows or columns"),
        (iter([ROW]), "rows", "expected rows or columns"),
    ],
)
def test_rows_of_a_wrong_shape_are_named(given_rows: Any, field: str, said: str) -> None:
    found = error_of(given_rows)
    assert found[0][0] == field
    assert said in found[0][1]


def test_many_errors_are_all_kept_and_some_told() -> None:
    with pytest.raises(InputError, match=re.escape("rows[0].distance: expected")) as caught:
        read([{**ROW, "distance": "far", "night": 2}] * 10, FEATURES)
    assert len(caught.value.errors) == 20
    assert [field for field, _ in caught.value.errors[:3]] == ["rows[0].distance", "rows[0].night", "rows[1].distance"]
    assert str(caught.value).endswith("; and 15 more")


def test_missing_values_of_each_kind_are_taken() -> None:
    numbers, texts, booleans = read([{"distance": None, "carrier": float("nan"), "night": np.float32("nan")}], FEATURES)
    assert np.isnan(numbers)
    assert texts == [None]
    assert np.isnan(booleans)


def in_json(what: str) -> str:
    """The message with the server's names for what is expected."""
    expected, comma, found = what.partition(", got ")
    return expected.replace("or None", "or null").replace("True, False", "true, false") + comma + found


VALUES = st.one_of(
    st.none(), st.booleans(), st.integers(-(10**310), 10**310), st.floats(allow_nan=False), st.text(max_size=3)
)


@settings(max_examples=300, deadline=None)
@given(st.lists(st.dictionaries(st.sampled_from(["distance", "carrier", "night", "speed"]), VALUES), max_size=4))
def test_it_takes_and_names_what_the_server_does(given_rows: list[dict[str, Any]]) -> None:
    registered = [Registered(feature.name, feature.kind) for feature in FEATURES]
    server: list[tuple[str, str]] = []
    try:
        check_rows(given_rows, registered)
    except Problem as problem:
        server = list(problem.errors)
    ours: Mapping[str, str] = {}
    try:
        read(given_rows, FEATURES)
    except InputError as error:
        ours = dict(error.errors)
    assert bool(server) == bool(ours)
    named = dict(server)
    assert set(ours) <= set(named)  # values are looked at once every row has the right features
    for field, what in ours.items():
        assert in_json(what) == named[field]


def test_what_a_step_of_the_model_refuses_is_named(tmp_path: Path) -> None:
    known = rows(missing=0.0)[["speed", "carrier"]].assign(height=1.0)
    encoder = OrdinalEncoder(handle_unknown="error")
    from sklearn.compose import make_column_transformer

    model = make_pipeline(
        make_column_transformer((encoder, ["carrier"]), (OneHotEncoder(), ["height"]), remainder="passthrough"),
        LogisticRegression(),
    )
    package = packaged(loaded(fitted(model, frame=known), "classification", known), tmp_path)
    good = {"speed": 3.0, "carrier": "AA", "height": 1.0}
    for bad, said in [
        ({"carrier": "XX"}, "rows[1].carrier: 'XX', which OrdinalEncoder does not take"),
        ({"carrier": None}, "rows[1].carrier: a missing value, which OrdinalEncoder does not take"),
        ({"speed": None}, "rows[1].speed: a value is missing, infinite or too large, which LogisticRegression"),
        ({"height": 2.0}, "rows[1].height: a value was not seen in training, which OneHotEncoder does not take"),
    ]:
        with pytest.raises(InputError, match=re.escape(said)):
            package.predict([good, {**good, **bad}])
    assert package.predict([good]).shape == (1,)
