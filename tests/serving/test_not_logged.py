"""An answer that cannot be logged is not given, and the service mends itself when it can be."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from include.registry import models
from include.serving.prediction_log import scan_online
from tests.model_store import register_constant

ROW = {"distance": 900, "carrier": "AA", "night": True}


def test_it_is_answered_again_when_there_is_a_place_to_log(
    serve: Callable[..., Any], use_case: str, home: Path
) -> None:
    version = register_constant(use_case, 7.0)
    models.set_alias(use_case, models.CHAMPION, version.version)
    obstacle = home / "predictions"
    obstacle.write_text("in the way")
    with serve() as client:
        refused = [client.post(f"/v1/{use_case}/predict", json={"rows": [ROW]}) for _ in range(3)]
        obstacle.unlink()
        answered = client.post(f"/v1/{use_case}/predict", json={"rows": [ROW]})
    assert {response.status_code for response in refused} == {503}
    assert {response.headers["retry-after"] for response in refused} == {"1"}
    assert all("could not be logged" in response.json()["detail"] for response in refused)
    assert answered.status_code == 200
    now = datetime.now(UTC)
    frame, torn = scan_online(use_case, now - timedelta(hours=1), now)
    assert (frame["request_id"].to_list(), torn) == ([answered.json()["request_id"]], 0)
