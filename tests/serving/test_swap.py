from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import Any

from include.registry import models
from tests.model_store import register_constant

ROW = {"distance": 900, "carrier": "AA", "night": True}


def test_versions_change_under_load_without_an_error(serve: Callable[..., Any], use_case: str) -> None:
    """Each version predicts its own number, so that an answer whose parts are of two versions shows."""
    versions = [register_constant(use_case, float(number)) for number in range(1, 7)]
    models.set_alias(use_case, models.CHAMPION, 1)
    stop = threading.Event()
    answers: list[list[tuple[int, int, str, float]]] = []

    def ask(client: Any, body: dict[str, Any]) -> None:
        mine: list[tuple[int, int, str, float]] = []
        answers.append(mine)
        while not stop.is_set():
            response = client.post(f"/v1/{use_case}/predict", json=body)
            content = response.json() if response.status_code == 200 else {"model": {}, "predictions": [{}]}
            model = content["model"]
            for each in content["predictions"]:
                mine.append(
                    (
                        response.status_code,
                        model.get("version", 0),
                        model.get("run_id", ""),
                        each.get("prediction", 0.0),
                    )
                )

    with serve(interval=0.05) as client:
        bodies = ({"rows": [ROW]}, {"rows": [ROW, ROW]}, {"entities": [{"trip_id": 1}]}, {"rows": [ROW]})
        threads = [threading.Thread(target=ask, args=(client, body)) for body in bodies]
        for thread in threads:
            thread.start()
        for version in versions[1:]:
            models.set_alias(use_case, models.CHAMPION, version.version)
            deadline = time.monotonic() + 30
            while client.get(f"/v1/{use_case}").json()["model"]["version"] != version.version:
                assert time.monotonic() < deadline
                time.sleep(0.01)
        stop.set()
        for thread in threads:
            thread.join()

    run_of = {version.version: version.run_id for version in versions}
    assert {status for mine in answers for status, *_ in mine} == {200}
    for mine in answers:
        served = [version for _, version, _, _ in mine]
        assert served == sorted(served)
        for _, version, run_id, prediction in mine:
            assert (run_id, prediction) == (run_of[version], float(version))
    assert {version for mine in answers for _, version, _, _ in mine} == set(run_of)
