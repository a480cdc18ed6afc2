"""The losses of a rollout by day, from the log and the labels that have come."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest

from include.contract.loading import Folder
from include.deployment import losses
from include.deployment.generation import Generation, Mode
from include.deployment.losses import Quality, Share, differences, realized, squared
from include.features import compute
from include.features.compute import INSTANT, KNOWN_AT, LABEL
from include.features.store import EVENT_TIMESTAMP

START = datetime(2013, 1, 7, tzinfo=UTC)  # a Monday: partitions of the stations are weeks
BEGUN = datetime(2013, 3, 1, tzinfo=UTC)


def step(number: int, mode: Mode, weight: float = 0.0) -> Generation:
    at = (BEGUN + timedelta(hours=number)).isoformat()
    return Generation(
        "station_temperature", number, number - 1, 1, None, "rollout", "run", "", "", at, challenger=2, mode=mode,
        weight=weight,
    )  # fmt: skip


def line(day: int, version: int, prediction: float | None, hour: int = 1, station: str = "JFK", **more: Any) -> Any:
    return {
        "time": (BEGUN + timedelta(hours=hour, minutes=day)).isoformat(),
        "entity": {"station": station},
        "event_timestamp": (START + timedelta(days=day, hours=6)).isoformat(),
        "model_version": version,
        "prediction": prediction,
        **more,
    }


def write_labels() -> None:
    """Two weeks of labels, which are 10 in the morning of every day, at two stations."""
    for week in range(2):
        monday = START + timedelta(weeks=week)
        days = [monday + timedelta(days=day, hours=6) for day in range(7)] * 2
        frame = pl.DataFrame({"station": ["JFK"] * 7 + ["LGA"] * 7, EVENT_TIMESTAMP: days}).with_columns(
            pl.col(EVENT_TIMESTAMP).cast(INSTANT),
            pl.lit(10.0).alias(LABEL),
            pl.lit(monday + timedelta(weeks=1)).cast(INSTANT).alias(KNOWN_AT),
        )
        for file in (
            compute.label_file("station_temperature", f"{monday:%Y-%m-%d}"),
            compute.view_file("station_temperature", "observation", f"{monday:%Y-%m-%d}"),
        ):
            file.parent.mkdir(parents=True, exist_ok=True)
            frame.write_parquet(file)


@pytest.fixture
def labels(stations: Folder, monkeypatch: pytest.MonkeyPatch) -> None:
    write_labels()
    monkeypatch.setattr(losses, "_scale", lambda name, champion: 4.0)


SHADOW = [step(1, "shadow")]


def seen(use_case: Folder, lines: Sequence[Any], steps: Sequence[Generation] = SHADOW) -> Quality:
    return realized(use_case, steps, lines)


def test_a_shadow_is_compared_on_the_rows_that_both_have_predicted(stations: Folder, labels: None) -> None:
    lines = [line(0, 1, 11.0), line(0, 2, 12.0), line(1, 1, 10.0), line(2, 2, 10.0), line(3, 1, 9.0), line(3, 2, None)]
    found = seen(stations, lines)
    assert (found.champion, found.challenger) == (0.25, 0.5)
    assert (found.champion_rows, found.challenger_rows) == (1, 1)
    assert (found.comparison.mean, found.comparison.days, found.comparison.verdict) == (0.25, 1, "undecided")
    assert Quality.from_dict(found.to_dict()) == found


def test_a_canary_is_compared_by_its_means(stations: Folder, labels: None) -> None:
    lines = [line(0, 1, 10.0), line(0, 2, 12.0, station="LGA"), line(1, 1, 12.0), line(1, 2, 10.0, station="LGA")]
    found = seen(stations, lines, [step(1, "canary", 0.5)])
    assert (found.champion_rows, found.challenger_rows, found.comparison.days) == (2, 2, 2)
    assert found.comparison.mean == pytest.approx(0.0)


def test_a_worse_challenger_is_found_over_the_steps_of_a_rollout(stations: Folder, labels: None) -> None:
    steps = [step(1, "shadow"), step(4, "canary", 0.5)]
    lines = [each for day in range(6) for each in (line(day, 1, 10.2), line(day, 2, 13.0))]
    assert seen(stations, lines, steps).comparison.verdict == "undecided"
    lines += [
        each for day in range(6, 12) for each in (line(day, 1, 10.2, hour=5), line(day, 2, 13.0, hour=5, station="LGA"))
    ]
    found = seen(stations, lines, steps).comparison
    assert (found.verdict, found.days) == ("worse", 12)


def test_a_day_counts_when_its_labels_are_due(stations: Folder, labels: None) -> None:
    """Known until Sunday's end and due a day later: the last day that counts is Saturday."""
    lines = [each for day in (11, 12, 13) for each in (line(day, 1, 10.0), line(day, 2, 10.0))]
    assert seen(stations, lines).comparison.days == 2


def test_of_an_event_that_was_asked_for_twice_the_last_answer_counts(stations: Folder, labels: None) -> None:
    lines = [line(0, 1, 10.0), line(0, 2, 14.0), {**line(0, 2, 12.0), "time": (BEGUN + timedelta(hours=2)).isoformat()}]
    assert seen(stations, lines).challenger == 0.5


@pytest.mark.parametrize(
    "lines",
    [
        [],
        [line(0, 1, 10.0, entity=None), line(0, 2, 10.0, entity=None)],
        [line(0, 1, 10.0, event_timestamp=None), line(0, 2, 10.0, event_timestamp=None)],
        [line(400, 1, 10.0), line(400, 2, 10.0)],
        [line(0, 1, 10.0, station="EWR"), line(0, 2, 10.0, station="EWR")],
        [line(0, 1, 10.0)],
    ],
    ids=["none", "no entity", "no event", "not yet", "no label", "one version"],
)
def test_what_has_no_label_says_nothing(stations: Folder, labels: None, lines: list[Any]) -> None:
    found = seen(stations, lines)
    assert (found.champion, found.challenger, found.comparison.days) == (None, None, 0)
    assert found.comparison.verdict == "undecided"


def test_before_there_are_labels_it_says_nothing(stations: Folder) -> None:
    assert seen(stations, [line(0, 1, 10.0), line(0, 2, 10.0)]).comparison.days == 0


def test_steps_of_one_day_count_by_their_rows() -> None:
    rows = [("a", 0, True, 0.4)] * 3 + [("a", 0, False, 0.2)] * 3
    rows += [("a", 1, True, 0.0)] + [("a", 1, False, 0.3)] * 3 + [("b", 1, False, 0.3)]
    frame = pl.DataFrame(rows, schema=["day", "step", "challenger", "loss"], orient="row")
    assert differences(frame) == pytest.approx([(0.2 * 1.5 - 0.3 * 0.75) / 2.25])


def test_losses_are_within_0_and_1() -> None:
    labels, predictions = np.array([0.0, 1.0, 1.0]), np.array([0.0, 0.5, 0.0])
    assert squared(labels, predictions).tolist() == [0.0, 0.25, 1.0]
    assert Share(0.25)(labels, predictions).tolist() == [0.0, 1.0, 1.0]
    assert Share(2.0)(labels, predictions).tolist() == [0.0, 0.25, 0.5]
    assert Share(0.0)(labels, predictions).tolist() == [0.0, 1.0, 1.0]


def test_the_scale_is_of_the_champion_s_test_stretch(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    tested = pl.DataFrame({LABEL: [0.0] * 101, losses.PREDICTION: [-float(number) for number in range(101)]})
    tested.write_parquet(tmp_path / "test.parquet")
    monkeypatch.setattr(losses.models, "get", lambda name, version: (name, version))
    monkeypatch.setattr(losses, "logged_file", lambda version, artifact: tmp_path / "test.parquet")
    assert losses._scale("trips", 1) == pytest.approx(99.0)
    with pytest.raises(ValueError, match="trips: a rollout without a champion"):
        losses._scale("trips", None)
