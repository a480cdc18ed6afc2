from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from include.contract.loading import read_config
from include.contract.use_case import UseCase
from include.registry import models
from include.serving import batch_log
from include.serving.answers import find, origin
from include.serving.compaction import compact
from include.serving.prediction_log import PredictionLog
from include.settings import get_settings
from tests.conftest import USE_CASES
from tests.model_store import register_constant
from tests.serving.segments import answer

FILE = USE_CASES / "station_temperature" / "use_case.yaml"
NOON = datetime(2013, 5, 1, 12, tzinfo=UTC)
DAY = timedelta(days=1)
DAYS = {"first": date(2013, 4, 20), "last": date(2013, 5, 10)}
WEEK = "2013-04-29"  # the partition of these days


@pytest.fixture
def use_case(home: Path) -> UseCase:
    return read_config(FILE)


def key(use_case: UseCase, value: Any) -> dict[str, Any]:
    return dict.fromkeys(use_case.entity.key, value)


def line(request: str, entity: dict[str, Any] | None, **more: Any) -> dict[str, Any]:
    return {
        "request_id": request,
        "model_version": 3,
        "run_id": "run",
        "entity": entity,
        "event_timestamp": NOON,
        "features": {"wind": 1.5},
        "prediction": 0.25,
        **more,
    }


@pytest.fixture(params=["open", "compacted"])
def logged(request: pytest.FixtureRequest, use_case: UseCase) -> UseCase:
    """Two requests online, the first of which a shadow has predicted too, and a week in batch."""
    log = PredictionLog(get_settings().predictions, use_case.name)
    log.append(NOON, *answer("a", line("a", key(use_case, 'Zü"rich')), line("a", key(use_case, 7))))
    log.append(NOON, line("a", key(use_case, 7), source="shadow", model_version=4, prediction=None))
    log.append(NOON + DAY, line("b", key(use_case, 71)))
    log.append(NOON + DAY, line("c", None, hashed={"tail": "ab"}))
    log.close()
    if request.param == "compacted":
        compact(use_case)
    rows = {
        "request_id": [f"{use_case.name}/{WEEK}/v3/{number}" for number in range(3)],
        **key(use_case, [7, 8, 9]),
        "event_timestamp": pl.Series([NOON] * 3, dtype=pl.Datetime("us", "UTC")),
        "prediction": [0.1, 0.2, 0.3],
        "model_version": [3] * 3,
        "run_id": ["run"] * 3,
        "wind": [1.0, 2.0, None],
    }
    batch_log.write(use_case.name, WEEK, pl.DataFrame(rows))
    return use_case


def test_a_request_is_found_with_all_that_was_predicted_for_it(logged: UseCase) -> None:
    found = find(logged, request_id="a", **DAYS)  # type: ignore[arg-type]
    assert sorted((each.source, str(each.entity), each.prediction) for each in found) == sorted(
        [
            ("online", str(key(logged, 'Zü"rich')), 0.25),
            ("online", str(key(logged, 7)), 0.25),
            ("shadow", str(key(logged, 7)), None),
        ]
    )
    assert {each.time for each in found} == {NOON}
    (row,) = find(logged, request_id="c", **DAYS)  # type: ignore[arg-type]
    assert (row.entity, row.features, row.hashed, row.model_version) == (None, {"wind": 1.5}, {"tail": "ab"}, 3)


def test_an_entity_is_found_online_and_in_batch_and_is_not_mistaken_for_another(logged: UseCase) -> None:
    found = find(logged, entity=key(logged, "7"), **DAYS)  # type: ignore[arg-type]
    assert sorted(each.source for each in found) == ["batch", "online", "shadow"]
    (batch,) = (each for each in found if each.source == "batch")
    assert (batch.request_id, batch.features, batch.prediction) == (f"{logged.name}/{WEEK}/v3/0", {"wind": 1.0}, 0.1)
    (named,) = find(logged, entity=key(logged, 'Zü"rich'), **DAYS)  # type: ignore[arg-type]
    assert named.request_id == "a"
    assert find(logged, entity=key(logged, 1), **DAYS) == []  # type: ignore[arg-type]


def test_a_batch_request_names_its_partition(logged: UseCase) -> None:
    (row,) = find(logged, request_id=f"{logged.name}/{WEEK}/v3/2")
    assert (row.source, row.entity, row.features) == ("batch", key(logged, 9), {"wind": None})
    assert find(logged, request_id=f"other/{WEEK}/v3/2") == []


def test_days_bound_what_is_searched_and_the_newest_come_first(logged: UseCase) -> None:
    assert find(logged, request_id="b", first=NOON.date(), last=NOON.date()) == []
    assert find(logged, request_id="a") == []  # not of the last 30 days
    entity = key(logged, 7)
    newest = find(logged, entity=entity, **DAYS, limit=1)  # type: ignore[arg-type]
    assert len(newest) == 1
    assert find(logged, entity=entity, first=NOON.date() - 99 * DAY, last=NOON.date() - 60 * DAY) == []


@pytest.mark.parametrize(
    ("asked", "said"),
    [
        ({}, "either a request_id or"),
        ({"request_id": "a", "entity": {"a": 1}}, "either a request_id or"),
        ({"entity": {}}, "either a request_id or"),
        ({"entity": {"colour": 1}}, "colour: the entity's key is"),
    ],
)
def test_a_question_that_asks_for_nothing_is_refused(use_case: UseCase, asked: dict[str, Any], said: str) -> None:
    with pytest.raises(ValueError, match=said):
        find(use_case, **asked)


def test_a_prediction_is_walked_back_to_its_run_and_data(mlflow_store: Path) -> None:
    version = register_constant("walked_back", 1.0)
    found = origin("walked_back", version.version)
    assert (found.run_id, found.model_digest) == (version.run_id, version.digest)
    assert found.data_revision == version.data_revision
    with pytest.raises(models.ModelNotFound):
        origin("walked_back", 99)
