from __future__ import annotations

import os
import re
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from fastapi import Depends, HTTPException
from fastapi.testclient import TestClient

from include.contract.loading import Folder
from include.gate.check import Check, Verdict
from include.history import log as decisions
from include.history.log import Decision, Kind
from include.pages import history
from include.pages.app import create_app
from include.settings import REPOSITORY, get_settings

NAME = "station_temperature"
PAGE = f"/{NAME}/history"
BEGIN = datetime(2026, 11, 1, 9, tzinfo=UTC)
VERDICT = Verdict(
    "2", "1", True,
    (Check("rmse max", True, 3.25, 15.0, "rmse 3.25 is at most 15"), Check("new", True, None, None, "it differs")),
    ("rmse 3.25 is at most 15",),
)  # fmt: skip


def keep(kind: Kind, outcome: str, version: int, *, hours: float, **more: Any) -> None:
    at = (BEGIN + timedelta(hours=hours)).isoformat()
    given = {"origin": f"run {hours}", "reasons": ("it is better",), "previous": None, **more}
    decisions.append(Decision(NAME, kind, outcome=outcome, version=version, at=at, **given))


def words(page: str) -> str:
    return " ".join(re.sub(r"<[^>]+>", " ", page).split())


@pytest.fixture
def client(stations: Folder) -> TestClient:
    return TestClient(create_app([]))


@pytest.fixture
def decided(client: TestClient) -> TestClient:
    keep("promotion", "promoted", 1, hours=0, actor="schedule", reasons=("no champion yet",))
    keep("gate", "approved", 2, hours=20, details=VERDICT.to_dict(), evidence=("e17",))
    keep("approval", "approved", 2, hours=21, actor="ada", note="looks good to me")
    keep("promotion", "taken back", 2, hours=22, reasons=("replica down",))
    keep("promotion", "promoted", 2, hours=24, actor="ada")
    keep("rollback", "rolled back", 1, hours=50, actor="grace", note="complaints of users")
    return client


def test_before_the_first_decision_the_page_says_so(client: TestClient) -> None:
    page = client.get(PAGE).text
    assert "No version has been in production yet." in page
    assert "Nothing has been decided yet." in page


def test_the_periods_are_drawn_and_listed(decided: TestClient) -> None:
    page = decided.get(PAGE).text
    titles = re.findall(r"<title>(version .*?)</title>", page)
    assert titles == [
        "version 1, promoted: 2026-11-01 09:00 to 2026-11-02 09:00",
        "version 2, promoted: 2026-11-02 09:00 to 2026-11-03 11:00",
        "version 1, rolled back: 2026-11-03 11:00 to now",
    ]
    drawn = [
        (float(x), float(width)) for x, width in re.findall(r'<rect [^>]*x="([\d.]+)"[^>]* width="([\d.]+)"', page)
    ]
    assert drawn[0][0] == 0
    assert all(x + width <= 1000.01 for x, width in drawn)
    assert [x for x, _ in drawn] == sorted(x for x, _ in drawn)
    table = words(page.split("<h2>In production</h2>")[1].split("</section>")[0])
    assert "1 2026-11-03 11:00 now rolled back grace complaints of users" in table
    assert (
        "2 2026-11-02 09:00 2026-11-03 11:00 promoted ada it is better approved approved ada looks good to me" in table
    )


def test_a_period_leads_to_the_decision_that_began_it(decided: TestClient) -> None:
    page = decided.get(PAGE).text
    assert f'<a href="{PAGE}?until=2#entry-2">approved</a>' in page
    for address, entry in re.findall(rf'<a href="({PAGE}\?until=\d+)#(entry-\d+)">', page):
        assert f'id="{entry}"' in decided.get(address).text


def test_a_day_is_answered(decided: TestClient) -> None:
    answer = decided.get(PAGE, params={"on": "2026-11-02"})
    assert answer.status_code == 200
    assert "In production on 2026-11-02: version 1, then 2" in words(answer.text)
    assert 'value="2026-11-02"' in answer.text
    assert "No version was in production on 2026-10-31" in decided.get(PAGE, params={"on": "2026-10-31"}).text


@pytest.mark.parametrize(
    ("on", "told"),
    [
        ("yesterday", "is neither a day nor a moment; expected e.g. 2026-11-21"),
        ("2026-02-30", "is neither a day nor a moment"),
        ("9999-01-01", "has not come yet"),
        ("<script>alert(1)</script>", "&lt;script&gt;alert(1)&lt;/script&gt;"),
    ],
)
def test_a_bad_date_is_an_error_in_words(decided: TestClient, on: str, told: str) -> None:
    answer = decided.get(PAGE, params={"on": on})
    assert answer.status_code == 400
    assert told in answer.text
    assert "<script>" not in answer.text
    assert "complaints of users" in answer.text  # the rest is shown


def test_every_decision_is_listed_newest_first_with_all_it_says(decided: TestClient) -> None:
    page = decided.get(PAGE).text.split("<h2>Decisions</h2>")[1]
    assert re.findall(r'<tr id="entry-(\d+)">', page) == ["6", "5", "4", "3", "2", "1"]
    for shown in ("grace", "complaints of users", "replica down", "taken back", "e17", "run 22", "looks good to me"):
        assert shown in page, shown
    checks = words(page.split("<details>")[1].split("</details>")[0])
    assert "2 checks" in checks
    assert "rmse max passed 3.25 15 rmse 3.25 is at most 15" in checks
    assert re.search(r"new passed \S \S it differs", checks)


def test_an_intact_log_is_said_to_be_intact_with_its_head(decided: TestClient) -> None:
    assert f'data-load="{PAGE}/intact"' in decided.get(PAGE).text
    part = decided.get(f"{PAGE}/intact").text
    assert ">intact<" in part
    assert str(decisions.head(NAME)) in part
    assert 'role="alert"' not in part


def test_a_changed_log_is_an_alert(decided: TestClient) -> None:
    path = get_settings().decisions / f"{NAME}.jsonl"
    path.write_bytes(path.read_bytes().replace(b"complaints of users", b"because I felt like"))
    part = decided.get(f"{PAGE}/intact").text
    assert 'role="alert"' in part
    assert "line 6: was edited" in part
    assert ">intact<" not in part
    assert "because I felt like" in decided.get(PAGE).text


def test_the_newest_decisions_are_read_first(decided: TestClient) -> None:
    assert [each.sequence for each in decisions.newest_first(NAME)] == [6, 5, 4, 3, 2, 1]
    assert next(decisions.newest_first(NAME)) == decisions.read(NAME)[-1]
    in_production = [each.sequence for each in decisions.read(NAME)[::-1] if each.outcome in decisions.CHAMPIONS]
    assert [each.sequence for each in decisions.newest_first(NAME, decisions.CHAMPIONS)] == in_production
    assert 0 < len(in_production) < 6


def test_a_line_that_is_no_decision_is_named_with_what_to_do(decided: TestClient) -> None:
    path = get_settings().decisions / f"{NAME}.jsonl"
    path.write_bytes(path.read_bytes() + b'{"sequence": 7, "outcome": "promoted"}\n')
    for address in (PAGE, "/"):
        told = decided.get(address).text
        assert "line 7: is no entry of a log of decisions" in told
        assert f"python -m include.history {NAME} --verify" in told


def test_a_log_that_cannot_be_read_is_an_alert_here_and_on_the_models_page(decided: TestClient) -> None:
    path = get_settings().decisions / f"{NAME}.jsonl"
    path.write_bytes(path.read_bytes() + b"<b>spoilt</b>\n")
    for address in (PAGE, "/"):
        answer = decided.get(address)
        assert answer.status_code == 200
        assert "line 7: is no entry" in answer.text
        assert "No version is in production yet" not in answer.text


def test_checks_that_cannot_be_read_hide_nothing_else(decided: TestClient) -> None:
    keep("gate", "refused", 3, hours=60, details={"checks": [{"name": "rmse"}]}, note="see above")
    page = decided.get(PAGE).text
    assert "entry 7: its checks cannot be read" in page
    assert "see above" in page


def test_hostile_text_stays_text(client: TestClient) -> None:
    hostile = "<script>alert('x')</script>"
    check = {"name": hostile, "passed": False, "value": 1.0, "limit": None, "reason": hostile}
    said: dict[str, Any] = {
        "origin": hostile, "actor": hostile, "note": hostile, "reasons": (hostile,), "evidence": (hostile,)
    }  # fmt: skip
    keep("gate", hostile, 1, hours=0, details={"checks": [check]}, **said)
    keep("approval", hostile, 1, hours=1, **said)
    keep("promotion", "promoted", 1, hours=2, **said)
    page = client.get(PAGE, params={"on": "2026-11-01"}).text
    assert "<script>" not in page
    assert page.count("&lt;script&gt;") > 10


def test_a_long_log_is_shown_in_pages(client: TestClient, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(history, "SHOWN", 3)
    for number in range(1, 8):
        keep("promotion", "promoted", number, hours=number)
    listed, address = [], PAGE
    while address:
        page = client.get(address).text
        listed += re.findall(r'<tr id="entry-(\d+)">', page)
        further = re.search(rf'<a href="({PAGE}\?until=\d+)">Earlier decisions', page)
        address = further[1] if further else ""
    assert listed == ["7", "6", "5", "4", "3", "2", "1"]
    assert client.get(PAGE, params={"until": "x"}).status_code == 422


def test_many_short_periods_stay_on_the_timeline(client: TestClient) -> None:
    for number in range(1, 60):
        keep("promotion", "promoted", number, hours=number / 3600)
    bars = re.findall(r'<rect [^>]*x="([\d.]+)"[^>]* width="([\d.]+)"', client.get(PAGE).text)
    assert len(bars) == 59
    assert all(float(x) >= 0 and float(x) + float(width) <= 1000.01 for x, width in bars)


def test_it_needs_no_network_and_is_found_from_the_models_page(decided: TestClient) -> None:
    assert re.findall(r'(?:src|href|action)="https?://', decided.get(PAGE).text) == []
    assert f'href="/{NAME}"' in decided.get("/").text
    assert f'href="{PAGE}"' in decided.get(f"/{NAME}").text


def test_an_unknown_use_case_has_no_history(client: TestClient) -> None:
    assert client.get("/unknown/history").status_code == 404


def test_it_requires_what_it_was_built_with(stations: Folder) -> None:
    def refuse() -> None:
        raise HTTPException(401)

    assert TestClient(create_app([Depends(refuse)])).get(PAGE).status_code == 401


def test_the_page_does_not_import_large_libraries(stations: Folder) -> None:
    code = (
        "import sys; from include.contract.loading import load_use_case; from include.pages import history\n"
        "history.page(load_use_case('station_temperature'))\n"
        "print({'feast', 'mlflow', 'great_expectations', 'pandas'} & {*sys.modules})"
    )
    ran = subprocess.run(
        [sys.executable, "-c", code], cwd=REPOSITORY, env={**os.environ}, capture_output=True, text=True, check=True
    )
    assert ran.stdout.strip() == "set()"


def test_a_long_log_is_read_from_its_end(decided: TestClient, monkeypatch: pytest.MonkeyPatch) -> None:
    """The periods of the newest decisions, and all of them where a day is asked for."""
    monkeypatch.setattr("include.history.recent.newest_first.__defaults__", (2,))
    page = decided.get(PAGE).text
    assert "Of the newest decisions" in page
    assert re.findall(r'<tr id="entry-(\d+)">', page) == ["6", "5"]
    answer = decided.get(PAGE, params={"on": "2026-11-01"}).text
    assert "In production on 2026-11-01: version 1" in words(answer)
