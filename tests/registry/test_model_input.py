from __future__ import annotations

import math
from decimal import Decimal

import numpy as np
import pandas as pd
import pytest

from include.registry.model_input import Feature, features_of, to_model_input

FEATURES = (Feature("distance", "numeric"), Feature("carrier", "categorical"), Feature("night", "boolean"))


def test_rows_and_frames_become_the_same_input() -> None:
    rows = [
        {"carrier": "AA", "distance": 5, "night": True, "other": 1},
        {"carrier": None, "distance": None, "night": None, "other": 2},
    ]
    from_rows = to_model_input(rows, FEATURES)
    pd.testing.assert_frame_equal(from_rows, to_model_input(pd.DataFrame(rows), FEATURES))
    nullable = pd.DataFrame(rows).astype({"distance": "Int64", "night": "boolean", "carrier": "string"})
    pd.testing.assert_frame_equal(from_rows, to_model_input(nullable, FEATURES))
    assert list(from_rows.columns) == ["distance", "carrier", "night"]
    assert [str(dtype) for dtype in from_rows.dtypes] == ["float64", "object", "float64"]
    assert from_rows["carrier"].tolist() == ["AA", None]
    assert math.isnan(from_rows["night"][1])


def test_categories_and_decimals_are_cast() -> None:
    frame = pd.DataFrame(
        {
            "distance": [Decimal("1.5"), None],
            "carrier": pd.Categorical(["AA", None]),
            "night": np.array([True, False]),
        }
    )
    cast = to_model_input(frame, FEATURES)
    assert cast["distance"].tolist()[0] == 1.5
    assert cast["carrier"].tolist() == ["AA", None]
    assert cast["night"].tolist() == [1.0, 0.0]


def test_the_index_of_a_frame_is_kept() -> None:
    frame = pd.DataFrame({"distance": [1.0, 2.0], "carrier": ["a", "b"], "night": [True, False]}, index=[7, 3])
    assert to_model_input(frame, FEATURES).index.tolist() == [7, 3]


@pytest.mark.parametrize("as_frame", [True, False])
def test_missing_columns_are_named(as_frame: bool) -> None:
    rows = [{"carrier": "AA"}]
    with pytest.raises(ValueError, match="missing columns: distance, night"):
        to_model_input(pd.DataFrame(rows) if as_frame else rows, FEATURES)


def test_a_column_that_one_row_lacks_is_missing() -> None:
    with pytest.raises(ValueError, match="missing columns: night"):
        to_model_input([{"distance": 1, "carrier": "a", "night": True}, {"distance": 1, "carrier": "a"}], FEATURES)


@pytest.mark.parametrize(
    ("row", "message"),
    [
        ({"distance": "far", "carrier": "AA", "night": True}, "distance: expected a number, got 'far'"),
        ({"distance": 1, "carrier": 3, "night": True}, "carrier: expected text, got 3"),
    ],
)
def test_values_of_a_wrong_type_are_named(row: dict[str, object], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        to_model_input([row], FEATURES)


def test_kinds_of_a_training_frame() -> None:
    frame = pd.DataFrame(
        {
            "whole": [1, 2],
            "real": [1.5, np.nan],
            "never": [np.nan, np.nan],
            "flag": [True, False],
            "maybe": np.array([True, None], dtype=object),
            "text": ["a", None],
            "category": pd.Categorical(["x", "y"]),
        }
    )
    kinds = {feature.name: feature.kind for feature in features_of(frame)}
    assert kinds == {
        "whole": "numeric",
        "real": "numeric",
        "never": "numeric",
        "flag": "boolean",
        "maybe": "boolean",
        "text": "categorical",
        "category": "categorical",
    }


@pytest.mark.parametrize(
    ("column", "message"),
    [
        (pd.to_datetime(["2013-01-01", "2013-01-02"]), "when: holds datetime64 values"),
        (np.array([None, None], dtype=object), "when: has no value"),
        (np.array([1, "a"], dtype=object), "when: holds mixed-integer values"),
    ],
)
def test_a_column_that_no_model_can_take_is_named(column: object, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        features_of(pd.DataFrame({"when": column}))
