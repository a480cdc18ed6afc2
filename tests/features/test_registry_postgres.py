"""The definitions in a PostgreSQL database: changed by one home, seen by all, and there again after a crash."""

from __future__ import annotations

import socket
import subprocess
import sys
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from click.testing import CliRunner
from feast import FeatureStore
from feast.cli.cli import cli
from sqlalchemy.engine import make_url
from sqlalchemy.exc import OperationalError

from include.features import store
from include.features.repository import FEATURE_REPO, registry_address, variables
from include.local.credentials import Credentials
from include.local.environment import process_environment
from include.serving.lookup import Lookup
from include.serving.online_features import shared_store
from include.settings import REPOSITORY, Settings, get_settings
from tests.feature_store import HOUR, build_store, use_case
from tests.features.written_use_case import edit, write_use_case
from tests.postgres import PASSWORD, Postgres

OTHER = "harbour_temperature"
PLAIN = "postgresql+psycopg2://feast:secret@db.example.org:5432/features"
WITHOUT_HISTORY = (
    ("station_history = FeatureView(", "_unused = dict("),
    ("features=[observation, station_history]", "features=[observation]"),
)
APPLY = "from include.features import store; store.apply()"


@pytest.fixture
def registry(postgresql: Postgres, home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """An empty database that the settings name; its address."""
    address = postgresql.create_database(f"features {tmp_path.name}")
    monkeypatch.setenv("EVERGREEN_FEATURE_REGISTRY", address)
    get_settings.cache_clear()
    return address


@pytest.fixture
def cases(registry: str, home: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder for use cases, the only one."""
    folder = home / "use cases"
    folder.mkdir()
    monkeypatch.setenv("EVERGREEN_USE_CASE_PATHS", str(folder))
    get_settings.cache_clear()
    return folder


@pytest.fixture
def running(postgresql: Postgres) -> Iterator[Postgres]:
    """The server for a test that stops it."""
    yield postgresql
    if not (postgresql.folder / "data" / "postmaster.pid").exists():
        postgresql.start()


def move(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Go on as a process of another machine, whose home is empty."""
    monkeypatch.setenv("EVERGREEN_HOME", str(folder))
    get_settings.cache_clear()


def planned() -> list[str]:
    return [line.strip() for plan in store.plans() for line in plan.lines()]


def views(opened: FeatureStore) -> set[str]:
    return {each.name for each in opened.list_all_feature_views()}


def test_without_a_setting_the_registry_is_a_file_of_the_home(tmp_path: Path) -> None:
    url = make_url(registry_address(Settings(home=tmp_path / "a home", feature_registry="")))
    assert (url.drivername, url.database) == ("sqlite", str(tmp_path / "a home" / "features" / "registry.db"))
    assert url.query == {"timeout": "60"}


def test_an_address_gets_the_options_that_it_does_not_have() -> None:
    url = make_url(registry_address(Settings(feature_registry=f"{PLAIN}?connect_timeout=3&sslmode=require")))
    assert url.query == {"connect_timeout": "3", "sslmode": "require", "tcp_user_timeout": "10000"}
    assert (url.password, url.host, url.database) == ("secret", "db.example.org", "features")


@pytest.mark.parametrize(
    "wrong",
    [
        "secret",
        PLAIN.replace("+psycopg2", ""),
        PLAIN.replace("postgresql+psycopg2", "mysql"),
        PLAIN.removesuffix("/features"),
        PLAIN.replace(":5432", ":port"),
    ],
)
def test_another_address_is_refused_without_telling_the_password(wrong: str) -> None:
    with pytest.raises(ValueError, match=r"EVERGREEN_FEATURE_REGISTRY: expected postgresql\+psycopg2://") as error:
        variables(Settings(feature_registry=wrong))
    assert "secret" not in str(error.value)
    assert error.value.__cause__ is None


def test_the_password_is_not_shown_with_the_settings() -> None:
    assert "secret" not in repr(Settings(feature_registry=PLAIN))


def test_what_is_planned_is_done_and_then_there_is_nothing_to_change(cases: Path, home: Path) -> None:
    written = write_use_case(cases)
    write_use_case(cases, OTHER)
    assert "+ view observation: batch by station, with dewp, hour, pressure, season, temp" in planned()
    store.apply()
    edit(written, *WITHOUT_HISTORY)
    assert "- view station_history: batch by station, with temp_mean" in planned()
    store.ensure_applied(written)
    assert planned() == [f"{OTHER}: nothing to change", "station_temperature: nothing to change"]
    assert views(store.open_store()) == {"observation", f"{OTHER}_observation", f"{OTHER}_station_history"}
    assert not list(home.rglob("registry.db"))


def test_a_home_in_which_nothing_was_applied_sees_what_is_registered(
    cases: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_use_case(cases)
    store.apply()
    move(tmp_path / "another", monkeypatch)
    assert planned() == ["station_temperature: nothing to change"]
    assert not (tmp_path / "another").exists()


def test_two_that_apply_at_once_to_an_empty_database_both_succeed(cases: Path) -> None:
    write_use_case(cases)
    write_use_case(cases, OTHER)
    command = [sys.executable, "-c", APPLY]
    both = [subprocess.Popen(command, cwd=REPOSITORY, stderr=subprocess.PIPE, text=True) for _ in range(2)]
    said = [each.communicate(timeout=120)[1] for each in both]
    assert [each.returncode for each in both] == [0, 0], said
    assert len(views(store.open_store())) == 4
    assert planned() == [f"{OTHER}: nothing to change", "station_temperature: nothing to change"]


def test_feasts_own_command_line_reads_it(cases: Path) -> None:
    write_use_case(cases)
    store.apply()
    env = process_environment(get_settings(), Credentials("password", "key", "secret", "secret"))
    done = CliRunner(env=env).invoke(cli, ["--chdir", str(FEATURE_REPO), "feature-views", "list"])
    assert done.exit_code == 0, done.output
    assert "station_history" in done.output
    assert PASSWORD not in done.output


def test_history_is_joined_by_its_definitions(registry: str) -> None:
    now = datetime.now(UTC).replace(microsecond=0)
    entities = {"trip_id": [1, 2], "station": ["JFK", "LGA"], "event_timestamp": [now, now]}
    joined = store.historical(build_store(now - 4 * HOUR), "trips_late", pd.DataFrame(entities))
    assert joined["distance"].tolist() == [900.0, 1500.0]


def test_a_server_that_does_not_answer_is_given_up(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        address = f"postgresql+psycopg2://user:secret@127.0.0.1:{silent.getsockname()[1]}/features?connect_timeout=2"
        monkeypatch.setenv("EVERGREEN_FEATURE_REGISTRY", address)
        get_settings.cache_clear()
        with pytest.raises(OperationalError, match="timeout expired") as error:
            store.open_store().list_entities()
    assert "secret" not in str(error.value)


def told(lookup: Lookup, keys: list[dict[str, Any]]) -> list[tuple[dict[str, Any], dict[str, datetime | None]]]:
    return [(row.values, row.view_timestamps) for row in lookup.rows(keys)]


class TestAfterACrash:
    """A serving process and a task hold connections to a server that ends without a word and is there again."""

    def test_a_store_that_is_open_reads_on(self, cases: Path, running: Postgres) -> None:
        written = write_use_case(cases)
        store.apply()
        opened = store.open_store()
        assert views(opened) == {"observation", "station_history"}
        running.restart()
        assert views(opened) == {"observation", "station_history"}
        edit(written, *WITHOUT_HISTORY)
        store.apply()
        opened.refresh_registry()
        assert views(opened) == {"observation"}

    def test_serving_answers_meanwhile_and_loads_again_afterwards(self, registry: str, running: Postgres) -> None:
        build_store(datetime.now(UTC).replace(microsecond=0) - 4 * HOUR)
        make = shared_store()
        lookup = make(use_case())
        keys = [{"trip_id": 1}]
        before = told(lookup, keys)
        running.stop()
        assert told(lookup, keys) == before
        with pytest.raises(OperationalError):
            make(use_case())
        running.start()
        assert told(make(use_case()), keys) == before
