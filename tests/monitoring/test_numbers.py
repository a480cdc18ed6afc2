"""Numbers are kept once a partition, and the newest of a day counts."""

from __future__ import annotations

from pathlib import Path

import pytest

from include.monitoring import numbers
from include.monitoring.concept import DayLoss
from include.monitoring.numbers import loss_rows, newest_by_day, row, stream
from include.monitoring.timelines import days
from include.registry.client import client as registry_client


def day(value: float, of_day: str, rows: int = 10) -> list[numbers.Row]:
    counts = [row("day", name, rows, rows, day=of_day) for name in ("predictions", "labelled")]
    return [row("day", "mae", value, rows, day=of_day, interval=(value - 1, value + 1)), *counts]


def test_a_partition_is_written_once_and_the_latest_are_read(home: Path) -> None:
    keys = [f"2013-03-0{number}" for number in range(1, 6)]
    for value, key in enumerate(keys):
        numbers.write("u", key, 1, day(value, key))
    numbers.write("u", "2013-03-03", 1, day(9.0, "2013-03-03"))
    assert numbers.read("u")["partition"].unique(maintain_order=True).to_list() == [
        f"2013-03-0{n}" for n in range(1, 6)
    ]
    some = numbers.read("u", before="2013-03-04", latest=2)
    assert some["partition"].unique().sort().to_list() == keys[1:3]
    assert numbers.read("nothing").is_empty()


def test_a_label_that_was_corrected_later_counts(home: Path) -> None:
    numbers.write("u", "2013-03-02", 1, day(5.0, "2013-03-01"))
    numbers.write("u", "2013-03-03", 1, [*day(2.0, "2013-03-01"), *day(3.0, "2013-03-02")])
    own = newest_by_day(numbers.read("u"), "day")
    assert own.filter(own["metric"] == "mae")["value"].to_list() == [2.0, 3.0]


def test_a_promotion_is_marked_on_the_days(home: Path) -> None:
    numbers.write("u", "2013-03-02", 1, [*day(5.0, "2013-03-01"), *day(5.0, "2013-03-02")])
    numbers.write("u", "2013-03-03", 2, [*day(4.0, "2013-03-02"), *day(3.0, "2013-03-03")])
    points = days(numbers.read("u"), "mae")
    assert [(each.partition, each.value, each.champion, each.promoted) for each in points] == [
        ("2013-03-01", 5.0, "1", True),
        ("2013-03-02", 4.0, "2", True),
        ("2013-03-03", 3.0, "2", False),
    ]
    assert points[0].interval == (4.0, 6.0)


def test_a_stream_of_losses_is_that_of_one_version_with_the_newest_days(home: Path) -> None:
    earlier = loss_rows({"all rows": [DayLoss("2013-03-01", 1.0, 5), DayLoss("2013-03-02", 2.0, 5)]})
    numbers.write("u", "2013-03-02", 1, earlier)
    numbers.write("u", "2013-03-03", 2, loss_rows({"all rows": [DayLoss("2013-03-03", 9.0, 5)]}))
    now = {"all rows": [DayLoss("2013-03-02", 3.0, 6)]}
    assert stream(numbers.read("u"), 1, now) == {
        "all rows": (DayLoss("2013-03-01", 1.0, 5), DayLoss("2013-03-02", 3.0, 6))
    }


def test_a_span_has_one_run_and_each_metric_one_value(mlflow_store: Path) -> None:
    first = numbers.log_run("monitored", "2013-03-01", {"mae": 1.0, "r2": None, "slice/a=b": 2.0}, {"champion": "1"})
    again = numbers.log_run("monitored", "2013-03-01", {"mae": 1.0}, {"champion": "1"})
    corrected = numbers.log_run("monitored", "2013-03-01", {"mae": 1.5}, {"champion": "1"})
    other = numbers.log_run("monitored", "2013-03-02", {"mae": 1.0}, {"champion": "1"})
    assert first == again == corrected != other
    client = registry_client()
    run = client.get_run(first)
    assert run.data.metrics == {"mae": 1.5, "slice/a_b": 2.0}
    assert [each.value for each in client.get_metric_history(first, "mae")] == [1.0, 1.5]
    assert run.info.status == "FINISHED"


def test_without_mlflow_it_fails(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from include.registry.models import RegistryUnavailable

    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://127.0.0.1:9")
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")
    with pytest.raises(RegistryUnavailable, match=r"127\.0\.0\.1:9"):
        numbers.log_run("monitored", "2013-03-01", {"mae": 1.0}, {})
