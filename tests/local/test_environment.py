"""The variables of the processes: complete, absolute, and usable in a folder with a space in its name."""

from __future__ import annotations

import json
import os
import sqlite3
import subprocess
import sys
from pathlib import Path

import pytest
from sqlalchemy import create_engine
from sqlalchemy.engine import make_url

from include.local.credentials import Credentials, load_credentials, passwords_file
from include.local.environment import environment, load_env_file, process_environment
from include.local.preparation import mlflow_database
from include.settings import REPOSITORY, Settings

SECRETS = Credentials("f" * 43 + "=", "jwt", "api", "password")


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return Settings(home=tmp_path / "a home", airflow_port=18080, mlflow_port=15000, serving_port=18000, threads=2)


def test_secrets_are_made_once_and_private(settings: Settings) -> None:
    first = load_credentials(settings)

    assert load_credentials(settings) == first
    for file in (settings.home / "credentials.json", passwords_file(settings)):
        assert file.stat().st_mode & 0o777 == 0o600
    assert first.admin_password in passwords_file(settings).read_text()
    assert [file.name for file in settings.home.iterdir() if file.is_file()] == ["credentials.json"]


def test_each_installation_has_its_own_secrets(tmp_path: Path) -> None:
    one, other = (load_credentials(Settings(home=tmp_path / name)) for name in ("one", "other"))

    assert one.admin_password != other.admin_password
    assert one.fernet_key != other.fernet_key


def test_the_databases_can_be_opened_in_a_folder_with_a_space(settings: Settings) -> None:
    for address in (environment(settings, SECRETS)["AIRFLOW__DATABASE__SQL_ALCHEMY_CONN"], mlflow_database(settings)):
        url = make_url(address)
        Path(url.database or "").parent.mkdir(parents=True)
        with create_engine(url).connect() as connection:
            assert isinstance(connection.connection.dbapi_connection, sqlite3.Connection)
        assert Path(url.database or "").is_file()
        assert url.query["timeout"] == "60"


def test_settings_are_read_back_as_they_were(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in environment(settings, SECRETS).items():
        monkeypatch.setenv(name, value)

    assert Settings() == settings


def test_paths_are_absolute(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(tmp_path)
    variables = environment(Settings(home=Path("relative"), use_case_paths="one"), SECRETS)

    assert variables["AIRFLOW_HOME"] == str(tmp_path / "relative" / "airflow")
    assert variables["EVERGREEN_HOME"] == str(tmp_path / "relative")
    assert variables["EVERGREEN_FEATURES"] == str(tmp_path / "relative" / "features")
    assert variables["EVERGREEN_USE_CASE_PATHS"] == str(tmp_path / "one")


def test_numeric_libraries_get_the_threads_of_the_settings(settings: Settings) -> None:
    variables = environment(settings, SECRETS)

    assert {variables[name] for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "POLARS_MAX_THREADS")} == {"2"}


def test_nothing_is_reported_to_anybody(settings: Settings) -> None:
    variables = environment(settings, SECRETS)

    assert variables["GX_ANALYTICS_ENABLED"] == "False"
    assert variables["DVC_NO_ANALYTICS"] == "1"
    assert variables["MLFLOW_DISABLE_TELEMETRY"] == "true"


def test_the_callers_environment_is_kept_but_cannot_redirect(settings: Settings) -> None:
    inherited = {
        "HOME": "/somewhere",
        "AIRFLOW_HOME": "/another/project",
        "GIT_DIR": "/another/.git",
        "NO_PROXY": "intranet",
        "PATH": "/bin",
    }
    variables = process_environment(settings, SECRETS, inherited)

    assert variables["HOME"] == "/somewhere"
    assert variables["AIRFLOW_HOME"] == str(settings.home / "airflow")
    assert "GIT_DIR" not in variables
    assert variables["NO_PROXY"] == "intranet,127.0.0.1,localhost,127.0.0.1"
    assert variables["PATH"] == f"{Path(sys.executable).parent}{os.pathsep}/bin"


def test_every_airflow_setting_exists_and_takes_effect(settings: Settings) -> None:
    variables = process_environment(settings, SECRETS)
    ours = {name: value for name, value in variables.items() if name.startswith("AIRFLOW__")}
    code = (
        "import json, sys\n"
        "from airflow.configuration import conf\n"
        "known = conf.configuration_description\n"
        "for name in json.load(sys.stdin):\n"
        "    _, section, option = name.lower().split('__')\n"
        "    assert option in known[section]['options'], name\n"
        "    print(name, conf.get(section, option), sep='=')\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code],
        env=variables,
        input=json.dumps(list(ours)),
        capture_output=True,
        text=True,
        check=True,
    )

    assert dict(line.split("=", 1) for line in done.stdout.splitlines() if line.startswith("AIRFLOW__")) == ours
    assert variables["AIRFLOW__CORE__DAGS_FOLDER"] == str(REPOSITORY / "dags")


def test_an_env_file_sets_what_the_environment_does_not(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / ".env"
    file.write_text('# ports\nEVERGREEN_AIRFLOW_PORT=8181\nexport EVERGREEN_HOST="localhost"\n\nEVERGREEN_THREADS=4\n')
    for name in ("EVERGREEN_AIRFLOW_PORT", "EVERGREEN_HOST"):
        monkeypatch.setenv(name, "")  # so that the test's end removes it
        monkeypatch.delenv(name)
    monkeypatch.setenv("EVERGREEN_THREADS", "1")

    load_env_file(file)

    assert os.environ["EVERGREEN_AIRFLOW_PORT"] == "8181"
    assert os.environ["EVERGREEN_HOST"] == "localhost"
    assert os.environ["EVERGREEN_THREADS"] == "1"


def test_a_wrong_line_of_the_env_file_is_named(tmp_path: Path) -> None:
    (tmp_path / ".env").write_text("EVERGREEN_HOST\n")

    with pytest.raises(ValueError, match=r"\.env, line 1: expected NAME=value"):
        load_env_file(tmp_path / ".env")


def test_no_env_file_is_in_order(tmp_path: Path) -> None:
    load_env_file(tmp_path / ".env")
