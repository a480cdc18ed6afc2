"""``python -m include.history``: what was in production, in words and as JSON."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from include.contract.loading import Folder
from include.deployment import ledger, published
from include.gate.check import Check, Verdict
from include.history import log as history
from include.history.__main__ import main
from include.settings import REPOSITORY, get_settings
from tests.history.made import decision, file

NAME = "station_temperature"
VERDICT = Verdict("2", "1", True, (Check("rmse max", True, 3.25, 15.0, "rmse 3.25 is at most 15"),), ("it is better",))


@pytest.fixture(autouse=True)
def no_registry(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody answers there: without an anchor the log is judged by itself."""
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://127.0.0.1:9")
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")


@pytest.fixture
def decided(stations: Folder) -> str:
    for each in (
        decision("first", version=1, use_case=NAME, actor="schedule", reasons=("no champion yet",)),
        decision("second", "approved", 2, use_case=NAME, hours=20, details=VERDICT.to_dict(), evidence=("e17",)),
        decision("second", "approved", 2, use_case=NAME, hours=21, kind="approval", actor="ada", note="looks good"),
        decision("second", "promoted", 2, use_case=NAME, hours=24, actor="ada", reasons=("it is better",)),
        decision("back", "rolled back", 1, use_case=NAME, hours=50, actor="grace", note="complaints of users"),
    ):
        history.append(each)
    return NAME


def test_all_periods_are_one_table(decided: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([NAME]) == 0
    head, *rows = capsys.readouterr().out.splitlines()
    assert head.split() == ["version", "since", "until", "how", "by", "why"]
    assert [re.split(r"  +", row) for row in rows] == [
        ["1", "2026-11-01 09:00:00", "2026-11-02 09:00:00", "promoted", "schedule", "no champion yet"],
        ["2", "2026-11-02 09:00:00", "2026-11-03 11:00:00", "promoted", "ada", "it is better"],
        ["1", "2026-11-03 11:00:00", "now", "rolled back", "grace", "complaints of users"],
    ]


def test_a_day_is_answered_with_all_that_is_known(decided: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([NAME, "--on", "2026-11-02"]) == 0
    out = capsys.readouterr().out
    assert out.startswith("2026-11-02 UTC: version 1, then 2\n")
    for told in (
        "promoted 2026-11-02 09:00:00 by ada in second, entry 4", "because it is better",
        "approval: approved 2026-11-02 06:00:00 by ada in second, entry 3", "note: looks good",
        "gate: approved 2026-11-02 05:00:00 in second, entry 2",
        "passed rmse max (value 3.25, limit 15): rmse 3.25 is at most 15", "evidence: e17",
        "ended: version 1 rolled back 2026-11-03 11:00:00 by grace in back, entry 5", "note: complaints of users",
    ):  # fmt: skip
        assert told in out, told


def test_a_moment_has_one_answer(decided: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([NAME, "--on", "2026-11-02T08:59"]) == 0
    assert capsys.readouterr().out.startswith("2026-11-02 08:59:00 UTC: version 1\n")


def test_before_the_first_promotion_that_is_said(decided: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([NAME, "--on", "2026-10-31"]) == 0
    assert capsys.readouterr().out == f"{NAME}: no version was in production on 2026-10-31 UTC\n"


def test_without_a_decision_that_is_said(stations: Folder, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([NAME, "--verify"]) == 0
    captured = capsys.readouterr()
    assert captured.out == f"{NAME}: no version was in production yet\n"
    assert "intact; its head: none, nothing was decided" in captured.err


def test_the_answer_as_json(decided: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([NAME, "--on", "2026-11-03T12:00", "--json", "--verify"]) == 0
    answer = json.loads(capsys.readouterr().out)
    (period,) = answer["periods"]
    assert (answer["use_case"], answer["on"]) == (NAME, "2026-11-03T12:00")
    assert (period["version"], period["how"], period["by"], period["until"]) == (1, "rolled back", "grace", None)
    assert period["began"]["note"] == "complaints of users"


def test_a_log_that_was_changed_fails_with_the_line(decided: str, capsys: pytest.CaptureFixture[str]) -> None:
    head = history.head(NAME)
    assert main([NAME, "--verify", "--anchor", str(head)]) == 0
    assert f"the log is intact; its head: {head}" in capsys.readouterr().err
    path = file(NAME)
    whole = path.read_bytes()
    path.write_bytes(whole.replace(b'"actor":"ada"', b'"actor":"eve"'))
    assert main([NAME, "--verify"]) == 1
    captured = capsys.readouterr()
    assert f"{NAME}: line 3: was edited" in captured.err
    assert captured.out == ""
    path.write_bytes(whole[: whole.rindex(b"\n", 0, -1) + 1])
    assert main([NAME, "--verify"]) == 0
    capsys.readouterr()
    assert main([NAME, "--anchor", str(head)]) == 1
    assert f"{NAME}: line 5: is missing, and the anchor knows entry 5" in capsys.readouterr().err


def test_the_head_that_the_registry_keeps_is_compared(
    decided: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    path, whole = file(NAME), history.head(NAME)
    monkeypatch.setattr(published, "read_anchor", lambda use_case: str(whole))
    assert main([NAME, "--verify"]) == 0
    content = path.read_bytes()
    path.write_bytes(content[: content.rindex(b"\n", 0, -1) + 1])
    assert main([NAME, "--verify"]) == 1
    assert "and the anchor knows entry 5" in capsys.readouterr().err


def test_a_registry_that_does_not_answer_is_told(decided: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([NAME, "--verify"]) == 0
    assert "not compared with the head in the registry" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["unknown"], "no use case is called 'unknown'"),
        ([NAME, "--on", "2026-02-30"], "'2026-02-30' is neither a day nor a moment"),
        ([NAME, "--on", "9999-01-01"], "has not come yet"),
        ([NAME, "--anchor", "x"], "'x' is not the head of a log"),
    ],
)
def test_what_cannot_be_answered_says_why(
    decided: str, arguments: list[str], told: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(arguments) == 1
    captured = capsys.readouterr()
    assert told in captured.err
    assert captured.out == ""


def test_a_log_that_cannot_be_read_says_where(decided: str, capsys: pytest.CaptureFixture[str]) -> None:
    with file(NAME).open("ab") as stream:
        stream.write(b"x\n")
    assert main([NAME]) == 1
    assert f"{NAME}.jsonl: line 6: is no entry" in capsys.readouterr().err


def test_what_a_person_wrote_commands_no_terminal(stations: Folder, capsys: pytest.CaptureFixture[str]) -> None:
    hostile = "\x1b[2J\x07gone\r\n\u202efake line"
    history.append(
        decision(hostile, use_case=NAME, actor=hostile, note=hostile, reasons=(hostile,), evidence=(hostile,))
    )
    for arguments in ([NAME], [NAME, "--on", "2026-11-01"], [NAME, "--json"]):
        assert main(arguments) == 0
        out = capsys.readouterr().out
        assert "gone" in out
        assert not set(out) & {"\x1b", "\x07", "\r", "\u202e"}


def test_it_runs_as_a_command_without_the_large_libraries(decided: str) -> None:
    code = (
        "import runpy, sys; sys.argv = ['history', 'station_temperature']\n"
        "try: runpy.run_module('include.history', run_name='__main__')\n"
        "except SystemExit as end: print(end.code, {'feast', 'mlflow', 'pandas', 'airflow'} & {*sys.modules})"
    )
    ran = subprocess.run(
        [sys.executable, "-c", code], cwd=REPOSITORY, env={**os.environ}, capture_output=True, text=True, check=True
    )
    assert ran.stdout.splitlines()[-1] == "0 set()"


def test_a_use_case_must_be_named(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit, match="2"):
        main([])
    assert "use_case" in capsys.readouterr().err


def test_the_makefile_passes_the_day_on(tmp_path: Path) -> None:
    def said(*arguments: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            ["make", "-n", "history", "PYTHON=python3", *arguments], cwd=REPOSITORY, capture_output=True, text=True,
            check=False,
        )  # fmt: skip

    assert "include.history flight_delay --on '2026-11-21'" in said("USE_CASE=flight_delay", "ON=2026-11-21").stdout
    assert "name a use case: make history USE_CASE=flight_delay" in said().stderr


def test_the_ledger_of_deployments_is_verified_with_it(decided: str, capsys: pytest.CaptureFixture[str]) -> None:
    first = ledger.append(NAME, None, champion=1, previous=None, kind="promotion", actor="ada")
    ledger.append(NAME, first, champion=2, previous=1, kind="promotion", actor="ada")
    assert main([NAME, "--verify"]) == 0
    path = get_settings().deployments / f"{NAME}.jsonl"
    path.write_bytes(path.read_bytes().replace(b'"champion":1', b'"champion":7', 1))
    assert main([NAME, "--verify"]) == 1
    assert f"{NAME}: deployments: line 1: was edited" in capsys.readouterr().err
