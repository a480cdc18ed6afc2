"""The environment variables with which every process of the local system is started."""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping
from pathlib import Path

from include.features import repository
from include.local.credentials import USER, Credentials, passwords_file
from include.settings import REPOSITORY, Settings

# Inherited from a git hook they would point git at another repository than the one it is called in.
NOT_INHERITED = ("GIT_DIR", "GIT_WORK_TREE", "GIT_INDEX_FILE", "PYTHONHOME", "VIRTUAL_ENV")

# Each task is one process among several: a numeric library that took all cores would only wait for the others.
THREAD_POOLS = (
    "OMP_NUM_THREADS",
    "OPENBLAS_NUM_THREADS",
    "MKL_NUM_THREADS",
    "NUMEXPR_NUM_THREADS",
    "NUMBA_NUM_THREADS",
    "VECLIB_MAXIMUM_THREADS",
    "POLARS_MAX_THREADS",
)


def load_env_file(file: Path = REPOSITORY / ".env") -> None:
    """Takes ``NAME=value`` lines of a file into the environment; what is already set there wins."""
    if not file.is_file():
        return
    for number, line in enumerate(file.read_text(encoding="utf-8").splitlines(), start=1):
        text = line.strip().removeprefix("export ").strip()
        if not text or text.startswith("#"):
            continue
        name, separator, value = text.partition("=")
        if not separator or not name.strip().isidentifier():
            raise ValueError(f"{file}, line {number}: expected NAME=value, got {line!r}")
        os.environ.setdefault(name.strip(), value.strip().strip("\"'"))


def environment(settings: Settings, credentials: Credentials) -> dict[str, str]:
    """All variables that the system sets, and nothing of the caller's environment."""
    return {
        **_evergreen(settings),
        **repository.variables(settings),
        **_airflow(settings, credentials),
        **_libraries(settings),
        "PYTHONPATH": os.pathsep.join([str(REPOSITORY), str(REPOSITORY / "config")]),
        "PYTHONUNBUFFERED": "1",
    }


def process_environment(
    settings: Settings, credentials: Credentials, inherited: Mapping[str, str] = os.environ
) -> dict[str, str]:
    """The caller's environment with the system's variables over it."""
    kept = {name: value for name, value in inherited.items() if name not in NOT_INHERITED}
    ours = environment(settings, credentials)
    # Where the user reaches the internet through a proxy, the servers of this machine are still called directly.
    direct = ",".join(filter(None, [inherited.get("NO_PROXY", ""), "127.0.0.1", "localhost", settings.host]))
    path = os.pathsep.join([str(Path(sys.executable).parent), inherited.get("PATH", os.defpath)])
    return {**kept, **ours, "PATH": path, "NO_PROXY": direct, "no_proxy": direct}


def _evergreen(settings: Settings) -> dict[str, str]:
    """Every setting that has a value, by the name under which it is read again, with absolute paths."""
    given = {name: getattr(settings, name) for name in type(settings).model_fields}
    values = {f"EVERGREEN_{name.upper()}": str(value) for name, value in given.items() if value is not None}
    return values | {
        "EVERGREEN_HOME": str(settings.home.absolute()),
        "EVERGREEN_USE_CASE_PATHS": os.pathsep.join(str(folder.absolute()) for folder in settings.use_case_folders),
    }


def _airflow(settings: Settings, credentials: Credentials) -> dict[str, str]:
    home = settings.home.absolute() / "airflow"
    # A writer of SQLite waits for the one before it; without the timeout and the wide pool, parallel tasks see errors.
    database = f"sqlite:///{home / 'airflow.db'}?timeout=60"
    sections: dict[str, dict[str, object]] = {
        "core": {
            "dags_folder": REPOSITORY / "dags",
            "plugins_folder": REPOSITORY / "plugins",
            "executor": "LocalExecutor",
            "parallelism": 8,
            "load_examples": False,
            "fernet_key": credentials.fernet_key,
            "simple_auth_manager_users": f"{USER}:admin",
            "simple_auth_manager_passwords_file": passwords_file(settings).absolute(),
            "execution_api_server_url": f"{settings.airflow_url}/execution/",
            "hostname_callable": "socket.gethostname",  # the default asks the name service
            "min_serialized_dag_update_interval": 5,
        },
        "database": {"sql_alchemy_conn": database, "sql_alchemy_pool_size": 60, "sql_alchemy_max_overflow": 60},
        "api": {
            "host": settings.host,
            "port": settings.airflow_port,
            "base_url": settings.airflow_url,
            "secret_key": credentials.api_secret,
            "instance_name": "Evergreen",
        },
        "api_auth": {"jwt_secret": credentials.jwt_secret},
        # Most of a small task is waiting for the next look of somebody: these make them look often.
        "workers": {"min_heartbeat_interval": 1, "execution_api_timeout": 30},
        "scheduler": {"scheduler_idle_sleep_time": 0.1},
        "dag_processor": {
            "refresh_interval": 5,
            "bundle_refresh_check_interval": 5,
            "min_file_process_interval": 15,  # a new use-case folder changes no DAG file, so only a new parse finds it
            "dag_bundle_storage_path": home / "bundles",  # the default is shared by all installations of the machine
        },
        "logging": {"base_log_folder": home / "logs"},
    }
    variables = {
        f"AIRFLOW__{section.upper()}__{option.upper()}": str(value)
        for section, options in sections.items()
        for option, value in options.items()
    }
    return {"AIRFLOW_HOME": str(home), "AIRFLOW_CONFIG": str(home / "airflow.cfg"), **variables}


def _libraries(settings: Settings) -> dict[str, str]:
    return dict.fromkeys(THREAD_POOLS, str(settings.threads)) | {
        "MLFLOW_TRACKING_URI": settings.mlflow_uri,
        "MLFLOW_DISABLE_TELEMETRY": "true",
        "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false",  # its workers for LLM evaluation are never asked for anything
        "DO_NOT_TRACK": "true",
        "GX_ANALYTICS_ENABLED": "False",
        "DVC_NO_ANALYTICS": "1",
        "GIT_AUTHOR_NAME": "Evergreen",
        "GIT_AUTHOR_EMAIL": "evergreen@localhost",
        "GIT_COMMITTER_NAME": "Evergreen",
        "GIT_COMMITTER_EMAIL": "evergreen@localhost",
        # A task has nobody to type a passphrase for the user's signing key.
        "GIT_CONFIG_COUNT": "1",
        "GIT_CONFIG_KEY_0": "commit.gpgsign",
        "GIT_CONFIG_VALUE_0": "false",
        "GIT_TERMINAL_PROMPT": "0",
    }
