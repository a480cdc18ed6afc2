"""Sampling, and columns that are hashed or left out of the online log."""

from __future__ import annotations

import hashlib
import hmac
import shutil
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import msgspec
import pytest
import yaml

from include.contract.loading import UseCaseError, read_config
from include.contract.serving import PredictionLogConfig
from include.contract.use_case import UseCase
from include.features import catalogue
from include.features.as_of import OfflineFeatures
from include.monitoring.parity import compare
from include.serving.log_lines import Columns
from include.serving.prediction_log import PredictionLog, online_lines, read_online
from include.serving.privacy import Privacy
from include.serving.shadow import predicted
from include.settings import get_settings
from tests.conftest import USE_CASES

FILE = USE_CASES / "station_temperature" / "use_case.yaml"
NOW = datetime(2013, 5, 1, 12, tzinfo=UTC)
SECRET = "a secret of some length"
Row = msgspec.defstruct(
    "Row", [("f0", Any), ("f1", Any), ("f2", Any)], rename={"f0": "wind", "f1": "name", "f2": "tail"}
)


@pytest.fixture
def use_case(home: Path) -> UseCase:
    return read_config(FILE)


@pytest.fixture
def secret(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("EVERGREEN_PREDICTION_LOG_KEY", SECRET)
    get_settings.cache_clear()


def configured(use_case: UseCase, **log: Any) -> UseCase:
    return use_case.model_copy(
        update={"serving": use_case.serving.model_copy(update={"log": PredictionLogConfig(**log)})}
    )


class Line(msgspec.Struct):
    source: str
    request_id: str
    model_version: int
    run_id: str
    entity: dict[str, Any] | None
    as_of: datetime
    event_timestamp: datetime | None
    feature_timestamps: dict[str, datetime | None]
    features: Any
    prediction: float


def line(request: str = "a", features: Any = None, entity: dict[str, Any] | None = None) -> Line:
    features = {"wind": 1.5, "name": "Ann", "tail": None} if features is None else features
    return Line("online", request, 1, "run", entity, NOW, NOW, {"weather": NOW}, features, 0.5)


def logged(
    use_case: UseCase, lines: list[Any], source: Any = "online", columns: Columns | None = None
) -> list[dict[str, Any]]:
    log = PredictionLog.of(use_case, get_settings())
    for each in lines:
        log.append(NOW, each, columns)
    log.close()
    return list(online_lines(use_case.name, NOW.date(), NOW.date(), source))


def test_nothing_is_done_where_nothing_is_asked_for(use_case: UseCase) -> None:
    assert Privacy.of(use_case, get_settings()) is None


@pytest.mark.usefixtures("secret")
@pytest.mark.parametrize("features", [{"wind": 1.5, "name": "Ann", "tail": None}, Row(1.5, "Ann", None)])
def test_columns_are_hashed_or_left_out_wherever_they_stand(use_case: UseCase, features: Any) -> None:
    use_case = configured(use_case, hash=["name", "tail"], leave_out=["seat"])
    entity = {"station": 1, "name": "Ann", "seat": "3C"}
    (found,) = logged(use_case, [line(features=features, entity=entity)])
    expected = hmac.new(SECRET.encode(), b'name="Ann"', hashlib.sha256).hexdigest()
    assert found["features"] == {"wind": 1.5}
    assert found["entity"] == {"station": 1}
    assert found["hashed"] == {"name": expected, "tail": None}
    assert "Ann" not in str(found) and "3C" not in str(found)
    frame = read_online(use_case.name, NOW, NOW + timedelta(days=1))
    assert frame["name_hash"].to_list() == [expected]
    assert entity["name"] == "Ann"  # what is answered is not touched


@pytest.mark.usefixtures("secret")
def test_rows_of_an_answer_are_treated_one_by_one(use_case: UseCase) -> None:
    columns = Columns.of(("wind", "name", "seat"))
    several = {
        **msgspec.structs.asdict(line()),
        "columns": columns.name,
        "features": [[1.5, "Ann", "3C"], [2.5, None, "4D"]],
        "prediction": [0.1, 0.2],
    }
    first, second = logged(configured(use_case, hash=["name"], leave_out=["seat"]), [several], columns=columns)
    assert [first["features"], second["features"]] == [{"wind": 1.5}, {"wind": 2.5}]
    assert (len(first["hashed"]["name"]), second["hashed"]["name"]) == (64, None)
    (path,) = get_settings().predictions.rglob("*.jsonl")
    assert not any(told in path.read_text() for told in ("Ann", "3C", "seat"))


@pytest.mark.usefixtures("secret")
def test_a_shadow_s_lines_are_treated_alike(use_case: UseCase) -> None:
    use_case = configured(use_case, hash=["name"])

    class Failing:
        version = type("Version", (), {"version": 2, "run_id": "other"})
        names = ("name",)
        columns = Columns.of(names)

    answered = line()
    one = predicted(Failing(), answered, [{"name": "Ann"}])  # type: ignore[arg-type]
    two = predicted(Failing(), answered, [{"name": "Ann"}, {"name": "Eve"}])  # type: ignore[arg-type]
    first, *shadows, last = logged(use_case, [answered, one, two], None, Failing.columns)
    for shadow in shadows:
        assert shadow["source"] == "shadow"
        assert (shadow["features"], shadow["hashed"]) == ({}, {"name": first["hashed"]["name"]})
    assert last["hashed"] != first["hashed"] and "Eve" not in str(last)


@pytest.mark.usefixtures("secret")
def test_hidden_features_are_no_skew(use_case: UseCase) -> None:
    found = logged(configured(use_case, hash=["name"], leave_out=["tail"]), [line(entity={"station": 1})])
    offline = OfflineFeatures({"wind": [1.5], "name": ["Ann"], "tail": ["x"]}, {}, {})
    assert [(each.feature, each.skewed) for each in compare(found, offline)] == [("wind", 0)]


def test_a_request_is_in_the_sample_with_all_its_rows_or_not_at_all(use_case: UseCase) -> None:
    use_case = configured(use_case, sample=0.25)
    privacy = Privacy.of(use_case, get_settings())
    assert privacy is not None
    requests = [f"{number:032x}" for number in range(2000)]
    rows = [line(request) for request in requests for _ in range(2)]
    shadows = [{**msgspec.to_builtins(line(request)), "source": "shadow"} for request in requests]
    kept = logged(use_case, [*rows, *shadows], None)
    counts = {request: [each["request_id"] for each in kept].count(request) for request in requests[:200]}
    assert set(counts.values()) == {0, 3}
    assert 420 < len(kept) / 3 < 580
    assert {each["request_id"] for each in kept} == {request for request in requests if privacy.sampled(request)}


def test_an_answer_that_is_not_in_the_sample_touches_no_file(use_case: UseCase) -> None:
    use_case = configured(use_case, sample=1e-9)
    assert logged(use_case, [line()]) == []
    assert not get_settings().predictions.exists()


@pytest.mark.parametrize("key", ["", "short"])
def test_a_missing_or_short_secret_is_named(use_case: UseCase, monkeypatch: pytest.MonkeyPatch, key: str) -> None:
    monkeypatch.setenv("EVERGREEN_PREDICTION_LOG_KEY", key)
    get_settings.cache_clear()
    with pytest.raises(UseCaseError, match=r"serving\.log\.hash: .*EVERGREEN_PREDICTION_LOG_KEY"):
        PredictionLog.of(configured(use_case, hash=["name"]), get_settings())


def test_the_secret_is_not_shown(secret: None) -> None:
    assert SECRET not in repr(get_settings())


@pytest.mark.usefixtures("secret")
def test_a_column_that_no_definition_has_is_refused(use_case: UseCase) -> None:
    field = catalogue.Field("wind", "Float64", "", {})
    view = catalogue.View("weather", "batch", (), (), None, "", "", "", {}, (field,))
    catalogue.write(catalogue.Catalogue(use_case.name, "hash", (), (view,), ()))
    assert Privacy.of(configured(use_case, hash=["wind"]), get_settings()) is not None
    with pytest.raises(UseCaseError, match=r"serving\.log\.leave_out: wnd is no feature .*expected some of wind"):
        Privacy.of(configured(use_case, leave_out=["wnd"]), get_settings())


@pytest.fixture
def with_log(tmp_path: Path) -> Callable[[dict[str, Any]], UseCase]:
    def change(log: dict[str, Any]) -> UseCase:
        folder = tmp_path / "station_temperature"
        shutil.copytree(USE_CASES / folder.name, folder)
        content = yaml.safe_load((folder / "use_case.yaml").read_text())
        content.setdefault("serving", {})["log"] = log
        (folder / "use_case.yaml").write_text(yaml.safe_dump(content))
        return read_config(folder / "use_case.yaml")

    return change


def test_a_configuration_is_read(with_log: Callable[[dict[str, Any]], UseCase]) -> None:
    config = with_log({"sample": 0.1, "hash": ["wind"], "leave_out": ["name"], "keep": "90d"}).serving.log
    assert (config.sample, config.hash, config.keep) == (0.1, ("wind",), timedelta(days=90))


@pytest.mark.parametrize(
    ("log", "said"),
    [
        ({"sample": 0}, "serving.log.sample"),
        ({"sample": 1.1}, "serving.log.sample"),
        ({"hash": ["a", "b"], "leave_out": ["b"]}, "leave_out: b is hashed too"),
        ({"hash": ["station"]}, "serving.log.hash: station is the entity's key"),
        ({"leave_out": ["station"]}, "serving.log.leave_out: station is the entity's key"),
        ({"keep": "5h"}, "serving.log.keep"),
        ({"keep": "1d"}, "serving.log.keep: 1 day, 0:00:00 is shorter than monitoring.window"),
        ({"colour": "green"}, "serving.log.colour"),
    ],
)
def test_what_cannot_work_is_refused(
    with_log: Callable[[dict[str, Any]], UseCase], log: dict[str, Any], said: str
) -> None:
    with pytest.raises(UseCaseError) as caught:
        with_log(log)
    assert "use_case.yaml" in str(caught.value) and said in str(caught.value)
