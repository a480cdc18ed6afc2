"""A compiled model that does not do what its pipeline does is refused."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd
import pytest
from sklearn.compose import make_column_transformer
from sklearn.ensemble import HistGradientBoostingClassifier, RandomForestClassifier
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, OrdinalEncoder, StandardScaler

from include.registry.model_input import features_of, to_model_input
from include.serving.compiled.compile import Compiled, compile_model
from include.serving.compiled.trees import Trees
from include.serving.compiled.verification import UNSEEN, Verification, made, verify
from include.use_cases.flight_delay.model import build
from tests.serving.compiled.examples import NUMBERS, TEXTS, fitted, labels, rows, values
from tests.serving.compiled.test_reading import FEATURES
from tests.use_cases.station_temperature import model as stations

CODES = OrdinalEncoder(handle_unknown="use_encoded_value", unknown_value=float("nan"))


def trees(last: Any) -> Any:
    return fitted(make_pipeline(make_column_transformer((CODES, TEXTS), remainder="passthrough"), last))


def histograms() -> Any:
    return trees(HistGradientBoostingClassifier(max_iter=10, min_samples_leaf=3))


def compiled_of(model: Any) -> Compiled:
    return compile_model(model, "classification", FEATURES)


def with_score(compiled: Compiled, score: Any) -> Compiled:
    (part,) = compiled.parts
    return replace(compiled, parts=(replace(part, score=score),))


def scored(compiled: Compiled) -> Any:
    (part,) = compiled.parts
    return part.score


@pytest.mark.parametrize(
    "model",
    [
        histograms(),
        trees(RandomForestClassifier(5, random_state=0)),
        fitted(
            make_pipeline(
                make_column_transformer(
                    (make_pipeline(SimpleImputer(), StandardScaler()), NUMBERS),
                    (OneHotEncoder(handle_unknown="ignore"), TEXTS),
                ),
                LogisticRegression(),
            )
        ),
    ],
    ids=["histograms", "forest", "logistic"],
)
@pytest.mark.parametrize("count", [1, 300])
def test_a_compiled_model_agrees(model: Any, count: int) -> None:
    found = verify(compiled_of(model), model, "classification", rows(seed=5, count=count))
    assert found.agrees, found.reason
    assert found.greatest_difference is not None
    assert found.greatest_difference <= 1e-9
    assert found.rows > count + 500
    assert found.reason == f"predicts the same for {found.rows:,} rows"
    assert Verification.from_dict(found.to_dict()) == found


def test_what_both_refuse_agrees() -> None:
    """Missing and huge numbers, and unseen texts."""
    frame = rows(missing=0.0)
    columns = make_column_transformer((StandardScaler(), NUMBERS), (OneHotEncoder(), TEXTS))
    model = fitted(make_pipeline(columns, LogisticRegression()), frame=frame)
    found = verify(compiled_of(model), model, "classification", frame)
    assert found.agrees, found.reason


def test_one_moved_threshold_is_noticed() -> None:
    """By the smallest step, so that only a row right at it can tell."""
    model = histograms()
    compiled = compiled_of(model)
    score: Trees = scored(compiled)
    inner = np.flatnonzero((score.nodes["feature"] == 0) & (score.nodes["categorical"] == 0))
    nodes = score.nodes.copy()
    nodes["number"][inner[0]] = np.nextafter(nodes["number"][inner[0]], -np.inf)
    found = verify(with_score(compiled, replace(score, nodes=nodes)), model, "classification", rows(seed=5))
    assert not found.agrees
    assert found.greatest_difference is not None
    assert found.greatest_difference > 1e-9
    assert "differs from scikit-learn by" in found.reason


@pytest.mark.parametrize("field", ["missing_left", "left"])
def test_other_damage_is_noticed(field: str) -> None:
    model = histograms()
    compiled = compiled_of(model)
    nodes = scored(compiled).nodes.copy()
    root = int(np.flatnonzero(nodes["feature"] >= 0)[0])
    nodes[field][root] = 1 - nodes[field][root] if field == "missing_left" else nodes["right"][root]
    found = verify(with_score(compiled, replace(scored(compiled), nodes=nodes)), model, "classification", rows())
    assert not found.agrees


def test_a_small_difference_everywhere_is_noticed() -> None:
    model = histograms()
    compiled = compiled_of(model)
    moved = replace(scored(compiled), base=scored(compiled).base + 1e-7)
    found = verify(with_score(compiled, moved), model, "classification", rows())
    assert not found.agrees
    assert found.reason.startswith("the sample: differs from scikit-learn by")


def test_what_only_one_refuses_is_noticed() -> None:
    model = histograms()
    compiled = compiled_of(model)
    (part,) = compiled.parts
    at = [feature.name for feature in FEATURES].index("place")
    readers = list(part.program.readers)
    readers[at] = replace(readers[at], unknown=None, who="Nobody")
    strict = replace(compiled, parts=(replace(part, program=replace(part.program, readers=tuple(readers))),))
    found = verify(strict, model, "classification", rows())
    assert not found.agrees
    assert found.reason.startswith("place not seen in training: ")
    assert "is refused by the compiled model" in found.reason
    forest = trees(RandomForestClassifier(2, random_state=0))  # refuses what is too large for single precision
    found = verify(compiled, forest, "classification", rows())
    assert not found.agrees


def test_without_a_row_nothing_is_verified() -> None:
    model = histograms()
    found = verify(compiled_of(model), model, "classification", rows().head(0))
    assert found == Verification(0, None, False, "there is no row to verify it on")


def test_a_sample_without_a_feature_is_refused() -> None:
    model = histograms()
    with pytest.raises(ValueError, match="missing columns: place"):
        verify(compiled_of(model), model, "classification", rows().drop(columns="place"))


def test_rows_are_made_for_each_feature() -> None:
    compiled = compiled_of(histograms())
    sample = values(rows(count=3))
    found = dict(made(compiled, sample))
    assert found["every feature missing"] == [(None,) * 6]
    assert found["speed missing"] == [(None, *sample[0][1:])]
    assert found["carrier not seen in training"] == [(sample[0][0], UNSEEN, *sample[0][2:])]
    assert {row[1] for row in found["carrier in each category"]} == {"AA", "B6", "UA", "ZZ"}
    thresholds = compiled.thresholds["speed"]
    assert {float(thresholds[0]), float(np.nextafter(thresholds[0], np.inf))} <= {
        row[0] for row in found["speed at thresholds"]
    }
    assert max(row[0] for row in found["huge speed"]) == 1e300
    assert len(found["drawn at random"]) == 500


def test_thresholds_are_those_of_the_feature() -> None:
    frame = pd.DataFrame({"a": np.arange(100.0), "b": np.arange(100.0) + 1000})
    model = RandomForestClassifier(3, random_state=0).fit(frame, np.arange(100) % 7 > 3)
    compiled = compile_model(model, "classification", features_of(frame))
    assert compiled.thresholds["a"].max() < 100
    assert compiled.thresholds["b"].min() >= 1000


def test_the_flights_model_needs_no_operation_between_reading_and_trees() -> None:
    frame = rows().rename(columns={"carrier": "airline", "place": "destination"})
    frame["origin_airport"] = frame["airline"]
    features = features_of(frame)
    model = build({"max_iter": 8, "min_samples_leaf": 5}).fit(to_model_input(frame, features), labels(rows()))
    compiled = compile_model(model, "classification", features)
    assert all(part.direct for part in compiled.parts)
    assert verify(compiled, model, "classification", frame).agrees


def test_the_stations_model_is_compiled() -> None:
    frame = rows(missing=0.02)[["speed", "height", "whole", "night", "carrier"]]
    frame["night"] = frame["night"].astype(float)
    columns = {"speed": "temp", "height": "dewp", "whole": "pressure", "night": "hour", "carrier": "season"}
    frame = frame.rename(columns=columns).assign(temp_mean=lambda each: each["temp"] + each["dewp"])
    features = features_of(frame)
    model = stations.build({"alpha": 1.0, "seed": 0}).fit(to_model_input(frame, features), np.arange(len(frame)))
    found = verify(compile_model(model, "regression", features), model, "regression", frame)
    assert found.agrees, found.reason
