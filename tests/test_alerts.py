from __future__ import annotations

from pathlib import Path
from typing import get_args

from include import alerts
from include.settings import REPOSITORY, get_settings

LATE = ("shop", "late data", "2013-01-01")


def lines() -> int:
    file = get_settings().alerts / "shop.jsonl"
    return len(file.read_text().splitlines()) if file.is_file() else 0


def test_an_alert_is_opened_once(home: Path) -> None:
    for _ in range(3):
        alerts.raise_alert(*LATE, "was due at six")
    (alert,) = alerts.open_alerts("shop")
    assert (alert.kind, alert.key, alert.message) == ("late data", "2013-01-01", "was due at six")
    assert lines() == 1


def test_an_alert_says_what_is_new(home: Path) -> None:
    alerts.raise_alert(*LATE, "was due at six")
    alerts.raise_alert(*LATE, "the server is down")
    (alert,) = alerts.open_alerts("shop")
    assert alert.message == "the server is down"


def test_a_resolved_alert_may_come_again(home: Path) -> None:
    alerts.raise_alert(*LATE, "was due at six")
    alerts.resolve(*LATE)
    assert alerts.open_alerts("shop") == []
    alerts.raise_alert(*LATE, "was due at six")
    assert len(alerts.open_alerts("shop")) == 1


def test_what_is_not_open_cannot_be_resolved(home: Path) -> None:
    alerts.resolve(*LATE)
    assert lines() == 0


def test_alerts_of_other_partitions_and_use_cases_are_their_own(home: Path) -> None:
    alerts.raise_alert(*LATE, "late")
    alerts.raise_alert("shop", "late data", "2013-01-02", "late")
    alerts.raise_alert("shop", "refused batch", "2013-01-01", "twice the rows")
    alerts.raise_alert("library", "late data", "2013-01-01", "late")
    alerts.resolve(*LATE)
    assert [(alert.kind, alert.key) for alert in alerts.open_alerts("shop")] == [
        ("late data", "2013-01-02"),
        ("refused batch", "2013-01-01"),
    ]
    assert len(alerts.open_alerts("library")) == 1


def test_a_line_whose_writer_was_killed_hides_no_other(home: Path) -> None:
    alerts.raise_alert(*LATE, "was due at six")
    file = get_settings().alerts / "shop.jsonl"
    with file.open("ab") as stream:
        stream.write(b'{"use_case": "sho')
    assert [alert.message for alert in alerts.open_alerts("shop")] == ["was due at six"]
    alerts.resolve(*LATE)
    assert [change.state for change in alerts.changes("shop")] == ["open", "resolved"]


def test_each_kind_has_a_severity_and_a_runbook() -> None:
    kinds = set(get_args(alerts.Kind))
    assert set(alerts.SEVERITIES) == kinds
    text = (REPOSITORY / "docs" / "alerts.md").read_text(encoding="utf-8")
    assert {kind for kind in kinds if f"\n## {kind.capitalize()}\n" not in text} == set()
