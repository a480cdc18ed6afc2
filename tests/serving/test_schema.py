"""What the OpenAPI page promises is asked of a real server, and what it does not allow is sent to it (schemathesis)."""

from __future__ import annotations

import re
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
import uvicorn

from include.contract.loading import load_use_cases
from include.registry import models
from include.registry.model_input import Feature
from include.serving.access.tokens import Tokens
from include.serving.app import create_app
from include.serving.decoding import Columns
from include.serving.protocol import LimitedHead
from include.serving.request_schemas import request_schema
from include.settings import get_settings
from tests.model_store import register_classifier
from tests.ports import free_port
from tests.serving.conftest import FakeLookup, write_use_case

EXAMPLES = 30
COMMAND = Path(sys.executable).parent / "schemathesis"


@contextmanager
def server() -> Iterator[str]:
    """The use cases of the settings on a port of their own, with the models that are in production; its address."""
    app = create_app(get_settings(), load_use_cases(), lookup_factory=lambda _: FakeLookup(), interval=3600)
    app.state.follower.poll()
    running = uvicorn.Server(uvicorn.Config(app, port=free_port(), log_level="error", http=LimitedHead))
    thread = threading.Thread(target=running.run)
    thread.start()
    try:
        while not running.started:
            assert thread.is_alive()
            time.sleep(0.02)
        yield f"http://127.0.0.1:{running.config.port}"
    finally:
        running.should_exit = True
        thread.join(timeout=30)


@pytest.mark.parametrize("authentication", [False, True])
def test_schemathesis_finds_nothing(
    mlflow_store: Path,
    home: Path,
    use_case: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    authentication: bool,
) -> None:
    monkeypatch.setenv("EVERGREEN_USE_CASE_PATHS", str(tmp_path / "use_cases"))
    monkeypatch.setenv("EVERGREEN_AUTHENTICATION", str(authentication))
    get_settings.cache_clear()
    write_use_case(tmp_path / "use_cases", use_case, "classification")
    models.set_alias(use_case, models.CHAMPION, register_classifier(use_case).version)
    token = Tokens(get_settings().tokens).issue("web", ["predict", "admin"], datetime.now(UTC))
    options = ["--phases", "examples,coverage,fuzzing", "--max-examples", str(EXAMPLES), "--generation-deterministic"]
    with server() as address:
        done = subprocess.run(
            [COMMAND, "run", f"{address}/openapi.json", "-H", f"Authorization: Bearer {token}", *options, "--no-color"],
            cwd=tmp_path,
            capture_output=True,
            text=True,
            check=False,
        )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "Selected: 7/7" in done.stdout
    generated = re.search(r"(\d+) generated", done.stdout)
    assert generated is not None and int(generated[1]) > 200


COLUMNS = Columns({"trip_id": int}, {"party": int, "fee": float}, frozenset({"trip_id", "fee"}))
SCHEMA = request_schema([Feature("distance", "numeric"), Feature("carrier", "categorical")], COLUMNS)
ROW = {"distance": 1.5, "carrier": None}
KEY = {"trip_id": 1, "fee": None}


@pytest.mark.parametrize(
    ("body", "allowed"),
    [
        ({"rows": [ROW]}, True),
        ({"rows": [ROW], "entities": None, "as_of": None, "explain": False}, True),
        ({"entities": [KEY, {**KEY, "party": 3}], "as_of": "2013-05-01T12:00:00Z"}, True),
        ({"entities": [KEY], "rows": None}, True),
        ({"rows": [ROW] * 20, "explain": True}, True),
        ({"rows": [ROW] * 21, "explain": True}, False),
        ({"rows": [ROW] * 1000}, True),
        ({"rows": [ROW] * 1001}, False),
        ({}, False),
        ({"rows": []}, False),
        ({"rows": [ROW], "entities": [KEY]}, False),
        ({"rows": [ROW], "as_of": "2013-05-01T12:00:00Z"}, False),
        ({"rows": [{"distance": 1.5}]}, False),
        ({"rows": [{**ROW, "wind": 1}]}, False),
        ({"rows": [{**ROW, "carrier": 1}]}, False),
        ({"entities": [{"trip_id": 1}]}, False),
        ({"entities": [{**KEY, "trip_id": None}]}, False),
        ({"entities": [{**KEY, "trip_id": 2**63}]}, False),
        ({"rows": [ROW], "threshold": 0.1}, False),
    ],
)
def test_the_schema_of_a_request_is_that_of_the_model(body: dict[str, Any], allowed: bool) -> None:
    from jsonschema import Draft202012Validator

    assert Draft202012Validator(SCHEMA).is_valid(body) == allowed


def test_with_authentication_the_page_says_which_scope_a_path_needs(
    home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("EVERGREEN_AUTHENTICATION", "true")
    monkeypatch.setenv("EVERGREEN_USE_CASE_PATHS", str(tmp_path / "use_cases"))
    get_settings.cache_clear()
    write_use_case(tmp_path / "use_cases", "trips", "regression")
    schema = create_app(get_settings(), load_use_cases()).openapi()
    predict, metrics = schema["paths"]["/v1/trips/predict"]["post"], schema["paths"]["/metrics"]["get"]
    assert {"401", "403", "429", "503"} <= predict["responses"].keys()
    assert "scope `predict`" in predict["description"] and "scope `admin`" in metrics["description"]
    assert predict["security"] == metrics["security"]
    assert schema["components"]["securitySchemes"].keys() == predict["security"][0].keys()
    assert "security" not in schema["paths"]["/health/live"]["get"]
    assert "/v1/{use_case}/predict" not in schema["paths"]
