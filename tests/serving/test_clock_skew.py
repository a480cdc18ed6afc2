"""Two replicas whose clocks differ: what each reads off its own clock, and what does not depend on it.

Of its own clock: which tokens have expired, which features are too old for a request without ``as_of``, and under which
time and day a prediction is logged. Not: a request with ``as_of``, and how soon a change of the champion is followed.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import httpx
import pytest

from include.registry import models
from include.serving import segments
from include.serving.access.tokens import Tokens
from include.serving.prediction_log import read_online
from include.settings import get_settings
from tests.feature_store import CONFIG, build_store
from tests.model_store import register_constant
from tests.serving.processes import Replica, started
from tests.serving.test_process import NAME, wait

LIBRARY = next(Path("/usr/lib").glob("*/faketime/libfaketimeMT.so.1"), None)
BEHIND, AHEAD = timedelta(hours=-2), timedelta(hours=26)
HOUR, DAY = timedelta(hours=1), timedelta(days=1)
ENTITY = {"entities": [{"trip_id": 1}]}  # its row is an hour old, and lives for a day

pytestmark = [
    pytest.mark.faults,
    pytest.mark.skipif(LIBRARY is None, reason="libfaketime is not installed (Debian: apt-get install faketime)"),
]


@pytest.fixture(scope="module")
def replicas(mlflow_store: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[httpx.Client, ...]]:
    """Clients, with a token that expires in an hour, of a replica that is behind and of one that is ahead."""
    folder, now = tmp_path_factory.mktemp("skew"), datetime.now(UTC)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("EVERGREEN_HOME", str(folder / "home"))
        patch.setenv("EVERGREEN_USE_CASE_PATHS", str(folder / "use_cases"))
        patch.setenv("EVERGREEN_AUTHENTICATION", "true")
        get_settings.cache_clear()
        (folder / "use_cases" / NAME).mkdir(parents=True)
        (folder / "use_cases" / NAME / "use_case.yaml").write_text(CONFIG)
        build_store(now - HOUR)
        models.set_alias(NAME, models.CHAMPION, register_constant(NAME, 1.0).version)
        token = Tokens(get_settings().tokens).issue("web", ["predict"], now, expires=now + HOUR)
        behind, ahead = (Replica(folder / f"{by}.log", skewed(by)) for by in (BEHIND, AHEAD))
        headers = {"Authorization": f"Bearer {token}"}
        with started(behind, ahead):
            clients = [
                httpx.Client(base_url=each.address, headers=headers, trust_env=False, timeout=30)
                for each in (behind, ahead)
            ]
            yield tuple(clients)
            for client in clients:
                client.close()
    get_settings.cache_clear()


def skewed(by: timedelta) -> dict[str, str]:
    """The environment of a process whose clock is wrong by this; its stopwatch and the times of files are right."""
    return {
        "LD_PRELOAD": str(LIBRARY),
        "FAKETIME": f"{by.total_seconds():+.0f}",
        "FAKETIME_DONT_FAKE_MONOTONIC": "1",
        "NO_FAKE_STAT": "1",
    }


@pytest.fixture
def lasting(replicas: tuple[httpx.Client, ...]) -> dict[str, str]:
    """A token that does not expire, once both replicas know it."""
    token = Tokens(get_settings().tokens).issue("ops", ["predict"], datetime.now(UTC))
    headers = {"Authorization": f"Bearer {token}"}
    for client in replicas:
        wait(lambda client=client: client.get(f"/v1/{NAME}", headers=headers).status_code == 200, None)
    return headers


def test_a_token_expires_by_the_clock_of_the_replica(replicas: tuple[httpx.Client, ...]) -> None:
    behind, ahead = (client.get(f"/v1/{NAME}") for client in replicas)
    assert behind.status_code == 200
    assert (ahead.status_code, "has expired" in ahead.text) == (401, True)


def test_features_of_now_are_those_of_the_replica_s_now(
    replicas: tuple[httpx.Client, ...], lasting: dict[str, str]
) -> None:
    behind, ahead = (client.post(f"/v1/{NAME}/predict", json=ENTITY, headers=lasting) for client in replicas)
    assert behind.status_code == 200  # the row is an hour ahead of this clock: what is known now is used
    assert (ahead.status_code, "counts now" in ahead.text) == (404, True)
    asked = {**ENTITY, "as_of": datetime.now(UTC).isoformat()}
    both = [client.post(f"/v1/{NAME}/predict", json=asked, headers=lasting).json() for client in replicas]
    assert both[0]["predictions"] == both[1]["predictions"]
    assert both[0]["as_of"] == both[1]["as_of"]


def test_a_prediction_is_logged_once_under_the_day_of_its_replica(
    replicas: tuple[httpx.Client, ...], lasting: dict[str, str]
) -> None:
    body = {"rows": [{"distance": 900, "carrier": "AA", "night": True}]}
    seen: list[str] = [
        client.post(f"/v1/{NAME}/predict", json=body, headers=lasting).json()["request_id"] for client in replicas
    ]
    now = datetime.now(UTC)
    logged = read_online(NAME, now - DAY, now + 2 * DAY)
    for request_id, by in zip(seen, (BEHIND, AHEAD), strict=True):
        (time,) = logged.filter(logged["request_id"] == request_id)["time"]
        assert abs(time - (now + by)) < timedelta(minutes=10)
        assert any(
            request_id.encode() in path.read_bytes()
            for path in segments.of_day(segments.folder(NAME) / f"{time.date()}")
        )


def test_a_new_champion_is_followed_whatever_the_clock_says(
    replicas: tuple[httpx.Client, ...], lasting: dict[str, str]
) -> None:
    version = register_constant(NAME, 5.0).version
    models.set_alias(NAME, models.CHAMPION, version)
    for client in replicas:
        wait(lambda client=client: served(client, lasting) == version, None)


def served(client: httpx.Client, headers: dict[str, str]) -> int:
    return int(client.get(f"/v1/{NAME}", headers=headers).json()["model"]["version"])
