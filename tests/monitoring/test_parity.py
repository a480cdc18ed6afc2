"""Online features against offline ones, on real stores: equal, planted skew, late, and bad lines."""

from __future__ import annotations

import math
import uuid
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pandas as pd
import pytest

from include import alerts
from include.contract.loading import Folder
from include.contract.partitions import Partition
from include.features import store
from include.features.materialize import materialize
from include.monitoring import parity
from include.serving.lookup import FeatureRow
from include.serving.online_features import OnlineFeatures
from include.serving.prediction_log import PredictionLog
from include.settings import get_settings
from tests.features.weather_history import OBSERVATION, observed, write

HOUR = timedelta(hours=1)


@pytest.fixture
def weeks(stations: Folder) -> list[Partition]:
    """Two weeks of two stations; the first is online."""
    store.apply()
    weeks = stations.config.calendar.parse("2013-01-07/2013-01-14")
    for number, week in enumerate(weeks):
        end = week.cutoff
        write(stations, week, observed("EWR", 10 + number, end), observed("JFK", 20.1 + number, end - HOUR))
    materialize(stations, weeks[:1])
    return weeks


def predict(use_case: Folder, station: str, as_of: datetime) -> None:
    """A prediction as serving makes and logs it, without a model."""
    entity = {"station": station}
    [row] = OnlineFeatures(use_case.config).rows([entity], as_of)
    log_line(use_case, entity, as_of, row)


def log_line(use_case: Folder, entity: dict[str, Any] | None, as_of: datetime, row: FeatureRow) -> None:
    line = {
        "request_id": uuid.uuid4().hex,
        "model_version": 1,
        "run_id": "r",
        "entity": entity,
        "as_of": as_of,
        "event_timestamp": row.event_timestamp,
        "feature_timestamps": row.view_timestamps,
        "features": row.values,
        "prediction": 0.5,
    }
    log = PredictionLog(get_settings().predictions, use_case.config.name)
    log.append(datetime.now(UTC), line)
    log.close()


def skew_of(found: parity.Parity) -> dict[str, tuple[int, int]]:
    return {each.feature: (each.skewed, each.late) for each in found.features if each.skewed or each.late}


def test_features_that_are_equal_on_both_sides_raise_nothing(stations: Folder, weeks: list[Partition]) -> None:
    for station in ("EWR", "JFK", "EWR"):
        predict(stations, station, weeks[1].start)
    found = parity.check(stations, weeks[1:])
    assert (found.predictions, found.sampled) == (3, 3)
    assert {each.feature: each.compared for each in found.features} == dict.fromkeys(
        ["dewp", "hour", "pressure", "season", "temp", "temp_mean"], 3
    )
    assert skew_of(found) == {}
    assert alerts.open_alerts(stations.config.name) == []
    assert parity.latest(stations.config.name) == found


def test_a_planted_skew_is_caught_with_examples(stations: Folder, weeks: list[Partition]) -> None:
    end = weeks[0].cutoff
    wrong = pd.DataFrame([observed("EWR", (10 - 32) / 1.8, end)], columns=list(OBSERVATION))
    store.open_store().write_to_online_store("observation", wrong)  # somebody writes degrees Celsius
    for station in ("EWR", "JFK"):
        predict(stations, station, weeks[1].start)
    found = parity.check(stations, weeks[1:])
    assert skew_of(found) == {"temp": (1, 0)}
    [feature] = found.skewed
    [example] = feature.examples
    assert (example.entity, example.offline) == ("station EWR", "10.0")
    assert example.served.startswith("-12.22")
    [alert] = alerts.open_alerts(stations.config.name)
    assert (alert.kind, alert.key) == ("feature skew", "2013-01-14")
    assert "temp in 1 (e.g. station EWR: served -12.2" in alert.message


def test_the_alert_is_resolved_when_the_skew_is_gone(stations: Folder, weeks: list[Partition]) -> None:
    alerts.raise_alert(stations.config.name, "feature skew", "2013-01-14", "before")
    predict(stations, "EWR", weeks[1].start)
    parity.check(stations, weeks[1:])
    assert alerts.open_alerts(stations.config.name) == []


def test_what_was_not_yet_online_is_late_and_no_skew(stations: Folder, weeks: list[Partition]) -> None:
    predict(stations, "EWR", weeks[1].cutoff + HOUR)
    following = stations.config.calendar.shift(weeks[1], 1)
    found = parity.check(stations, [following])
    assert skew_of(found) == {"temp": (0, 1), "temp_mean": (0, 1)}
    assert alerts.open_alerts(stations.config.name) == []


def test_a_missing_row_that_should_be_there_is_late(stations: Folder, weeks: list[Partition]) -> None:
    [row] = OnlineFeatures(stations.config).rows([{"station": "EWR"}], weeks[1].start)
    nothing = {**row.values, "temp_mean": None}
    log_line(
        stations,
        {"station": "EWR"},
        weeks[1].start,
        FeatureRow(nothing, row.event_timestamp, {**row.view_timestamps, "station_history": None}),
    )
    assert skew_of(parity.check(stations, weeks[1:])) == {"temp_mean": (0, 1)}


def test_other_moments_and_complete_rows_are_left_out(stations: Folder, weeks: list[Partition]) -> None:
    predict(stations, "EWR", weeks[1].cutoff)
    log_line(stations, None, weeks[1].start, FeatureRow({"temp": 1.0}, None, {}))
    found = parity.check(stations, weeks[1:])
    assert (found.predictions, found.sampled, found.features) == (0, 0, ())
    assert parity.latest(stations.config.name) is None


def test_the_sample_is_bounded_and_the_same_each_time(stations: Folder, weeks: list[Partition]) -> None:
    for _ in range(8):
        predict(stations, "EWR", weeks[1].start)
    few = stations.config.monitoring.model_copy(update={"parity_sample": 3})
    bounded = replace(stations, config=stations.config.model_copy(update={"monitoring": few}))
    found = parity.check(bounded, weeks[1:])
    assert (found.predictions, found.sampled) == (8, 3)
    assert parity.check(bounded, weeks[1:]) == found


@pytest.mark.parametrize(
    ("used", "known", "same"),
    [
        (None, None, True),
        (None, math.nan, True),
        (math.nan, None, True),
        (1.0, 1, True),
        (0.1 + 0.2, 0.3, True),
        (1e12, 1e12 + 1, True),
        (1.0, 1.0 + 1e-7, False),
        (0.0, None, False),
        ("AA", "AA", True),
        ("AA", "UA", False),
        ("1", 1, False),
        (True, True, True),
        (True, False, False),
        (True, 1.0, True),
        (2**53 + 1, 2**53 + 2, True),
        (math.inf, math.inf, True),
        (math.inf, 1.0, False),
    ],
)
def test_values_are_the_same_up_to_rounding(used: Any, known: Any, same: bool) -> None:
    assert parity.equal(used, known) is same
    assert parity.equal(known, used) is same
