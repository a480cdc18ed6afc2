"""Until the first content of the Models pages is there, against an empty page of the same application.

Made files stand for 20 use cases that were watched every day for a year: 365 observations of 60 features each, with
their histograms, and 2,000 decisions. The pages are asked over HTTP, on a server of their own. Cold is the first look
after a start, when no record has been read yet; a tenth of the history shows whether the cost grows with it.
"""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx

from include.contract.loading import FILE
from include.history import chain

REPOSITORY = Path(__file__).resolve().parent.parent
LIBRARIES = ("fastapi", "jinja2", "msgspec", "uvicorn")
USE_CASES, DAYS, DECISIONS, FEATURES, BINS = 20, 365, 2000, 60, 20
ASKED, STARTS = 15, 3  # times, of which the fastest counts: what is slower was disturbed by the machine
LIMIT, GROWTH = 300.0, 20.0  # ms
PATHS = {"overview": "/pages/", "sparklines": "/pages/sparklines", "use case": "/pages/case_07", "empty": "/empty"}
TITLES = {
    "overview": "overview", "cold": "overview, first look", "sparklines": "sparklines of the overview",
    "use case": "one use case",
}  # fmt: skip
FIRST = date(2025, 1, 1)

SERVER = """
import sys, uvicorn
from fastapi import FastAPI
from fastapi.responses import HTMLResponse
from include.pages.app import create_app
app = FastAPI()
app.get("/empty")(lambda: HTMLResponse(""))
app.mount("/pages", create_app([]))
uvicorn.run(app, host="127.0.0.1", port=int(sys.argv[1]), log_level="error")
"""


def make(home: Path, days: int, decisions: int) -> None:
    """All files that the pages read, below a folder."""
    template = (REPOSITORY / "tests" / "use_cases" / "station_temperature" / FILE).read_text(encoding="utf-8")
    for number in range(USE_CASES):
        name = f"case_{number:02d}"
        folder = home / "use_cases" / name
        folder.mkdir(parents=True)
        text = template.replace("name: station_temperature", f"name: {name}").replace(
            "cadence: weekly", "cadence: daily"
        )
        (folder / FILE).write_text(text, encoding="utf-8")
        _observations(home / "monitoring" / name, name, days)
        _decisions(home / "decisions" / f"{name}.jsonl", name, decisions)


def _observations(folder: Path, name: str, days: int) -> None:
    """A record a day; but for what changes they are one text, since a gigabyte of them is written."""
    folder.mkdir(parents=True)
    drift = {
        "features": [_feature(f"feature_{index}") for index in range(FEATURES)],
        "prediction": _feature("prediction"), "rows_reference": 100_000, "rows_current": 5000, "alpha": 0.01,
        "effect": 0.08, "prediction_effect": 0.1,
    }  # fmt: skip
    text = json.dumps(drift, indent=1, sort_keys=True)
    for number in range(days):
        key = (FIRST + timedelta(days=number)).isoformat()
        decision = {
            "use_case": name, "partition": key, "as_of": f"{key}T00:00:00Z", "champion": "1", "action": "no",
            "trigger": None, "reasons": ["quality: fine"], "evidence_id": f"{number:016x}",
        }  # fmt: skip
        content = {
            "use_case": name, "first": key, "last": key, "model_version": 1 + number // 30, "run_id": "run",
            "data_revision": "ab" * 20, "quality": _quality(2 + (number % 17) / 10), "drift": "DRIFT", "landed": 5000,
            "quarantined": 3, "decision": decision,
        }  # fmt: skip
        whole = json.dumps(content, indent=1, sort_keys=True).replace('"DRIFT"', text)
        (folder / f"{key}.json").write_text(whole, encoding="utf-8")
        (folder / f"{key}.html").touch()


def _quality(value: float) -> dict[str, Any]:
    return {
        "metric": "mae", "values": {"mae": value, "r2": 0.7}, "interval": [value - 0.2, value + 0.2],
        "promised": 2.6, "increase": None, "tolerance": 3.0, "confidence": 0.9, "rows": 4700, "predictions": 5000,
        "coverage": 0.94, "blocks": 7, "decidable": True, "worse_than_promised": False, "reasons": ["as promised"],
    }  # fmt: skip


def _feature(name: str) -> dict[str, Any]:
    labels = [f"{index} to {index + 1}" for index in range(BINS)]
    shares = {side: [1 / BINS + index * 1e-6 for index in range(BINS)] for side in ("reference", "current")}
    return {
        "name": name, "kind": "numeric", "computed": True, "drifted": False, "n_reference": 100_000, "n_current": 5000,
        "reasons": ["the distribution moved by 0.01 (limit 0.08: too little to matter), q 0.5 (limit 0.01: chance)"],
        "effect": 0.01, "statistic": 0.01, "p_value": 0.5, "q_value": 0.5, "psi": 0.001, "missing_reference": 0.0,
        "missing_current": 0.0, "missing_p_value": None, "missing_q_value": None, "new_categories": [],
        "gone_categories": [],
        "histogram": {"labels": labels, "edges": [float(index) for index in range(BINS + 1)], **shares},
    }  # fmt: skip


def _decisions(path: Path, name: str, count: int) -> None:
    """Promotions with their verdicts, and what the monitor decided in between."""
    path.parent.mkdir(parents=True, exist_ok=True)
    here, lines = chain.START, []
    checks = [
        {"name": f"check {index}", "passed": True, "value": index / 7, "limit": 9.0, "reason": "it is within its limit"}
        for index in range(40)
    ]
    for number in range(count):
        kind, outcome = {0: ("gate", "approved"), 1: ("promotion", "promoted")}.get(number % 30, ("retraining", "no"))
        content = {
            "use_case": name, "kind": kind, "origin": f"run {number}", "outcome": outcome, "version": 1 + number // 30,
            "previous": None, "reasons": ["the reason of it"], "actor": "ada", "note": "", "evidence": [],
            "details": {"checks": checks} if kind == "gate" else {},
            "at": (datetime(2025, 1, 1, tzinfo=UTC) + timedelta(hours=4 * number)).isoformat(),
        }  # fmt: skip
        sealed = chain.seal(content, here)
        here = chain.Head(sealed["sequence"], sealed["hash"])
        lines.append(chain.canonical(sealed))
    path.write_bytes(b"\n".join(lines) + b"\n")


@contextmanager
def served(home: Path) -> Iterator[httpx.Client]:
    """The pages over the files of a folder, on a server that has just started."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = int(probe.getsockname()[1])
    paths = {"EVERGREEN_HOME": home, "EVERGREEN_USE_CASE_PATHS": home / "use_cases", "PYTHONPATH": REPOSITORY}
    env = {**os.environ, **{name: str(path) for name, path in paths.items()}}
    process = subprocess.Popen([sys.executable, "-c", SERVER, str(port)], cwd=REPOSITORY, env=env)
    try:
        with httpx.Client(base_url=f"http://127.0.0.1:{port}", timeout=60, trust_env=False) as client:
            deadline = time.monotonic() + 60
            while not _answers(client):
                if process.poll() is not None or time.monotonic() > deadline:
                    raise RuntimeError("the pages' server does not answer")
                time.sleep(0.1)
            yield client
    finally:
        process.terminate()
        process.wait(30)


def _answers(client: httpx.Client) -> bool:
    try:
        return client.get("/empty").is_success
    except httpx.TransportError:
        return False


def once(client: httpx.Client, path: str) -> float:
    """Milliseconds until all of a page is there."""
    started = time.perf_counter()
    client.get(path).raise_for_status()
    return (time.perf_counter() - started) * 1000


def look(home: Path) -> dict[str, float]:
    """Milliseconds of the first look at the overview after a start, and of those that follow."""
    starts = [look_once(home) for _ in range(STARTS)]
    return {name: min(each[name] for each in starts) for name in starts[0]}


def look_once(home: Path) -> dict[str, float]:
    with served(home) as client:
        found = {"cold": once(client, "/pages/")}
        for name, path in PATHS.items():
            found[name] = min(once(client, path) for _ in range(ASKED))
    return found


def run() -> list[dict[str, Any]]:
    with tempfile.TemporaryDirectory() as folder:
        year, month = Path(folder, "year"), Path(folder, "month")
        make(year, DAYS, DECISIONS)
        make(month, DAYS // 10 + 60, DECISIONS // 10)
        long, short = look(year), look(month)
    about = f"{USE_CASES} use cases, {DAYS} observations and {DECISIONS} decisions each"
    entries = [
        {
            "name": f"Models page, {title}: {about}",
            "ours": long[key],
            "peer": long["empty"],
            "limit": LIMIT,
            "ratio": long[key] / long["empty"],
            "goal": f"at most {LIMIT:.0f} ms",
            "met": long[key] <= LIMIT,
            "unit": "ms",
            "note": "peer: an empty page of the same application",
        }
        for key, title in TITLES.items()
    ]
    entries.append(
        {
            "name": "Models page, overview: a year of history against a tenth of it",
            "ours": long["overview"],
            "peer": short["overview"],
            "ratio": long["overview"] / short["overview"],
            "goal": f"at most {GROWTH:.0f} ms more",
            "met": long["overview"] - short["overview"] <= GROWTH,
            "unit": "ms",
            "note": "peer: the same page over a tenth of the decisions and 96 observations",
        }
    )
    return entries
