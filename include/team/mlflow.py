"""``python -m include.team.mlflow``: MLflow's server with users, its databases brought to its version first."""

from __future__ import annotations

import configparser
import os
import sys
from pathlib import Path
from urllib.parse import urlsplit

FOLDER = Path("/tmp")  # noqa: S108 - the container's own, in memory
# A password is checked by a slow hash: it is asked for again after this time only, and a change is seen by then.
REMEMBERED = 60  # seconds


def main() -> None:
    database = os.environ["MLFLOW_DATABASE"]
    migrate(database)
    users = FOLDER / "users.ini"
    users.touch(mode=0o600)
    with users.open("w", encoding="utf-8") as stream:
        configuration(os.environ["MLFLOW_USERS_DATABASE"]).write(stream)
    os.environ["MLFLOW_AUTH_CONFIG_PATH"] = str(users)
    people = urlsplit(os.environ["MLFLOW_PUBLIC_URL"])
    arguments = [
        "--host", "0.0.0.0", "--port", "5000", "--workers", os.environ.get("MLFLOW_WORKERS", "2"),  # noqa: S104
        "--app-name", "basic-auth",
        "--backend-store-uri", database,
        "--artifacts-destination", os.environ["MLFLOW_ARTIFACTS"],
        "--allowed-hosts", f"mlflow:5000,127.0.0.1:5000,127.0.0.1:{people.port or 5000},{people.netloc}",
        "--cors-allowed-origins", f"{people.scheme}://{people.netloc}",
    ]  # fmt: skip
    os.execv(sys.executable, [sys.executable, "-m", "mlflow", "server", *arguments])  # noqa: S606 - the server takes this process's place


def configuration(database: str) -> configparser.ConfigParser:
    """Who may do what: ``evergreen`` all, everybody else reads what he was not given more of."""
    written = configparser.ConfigParser(interpolation=None)
    written["mlflow"] = {
        "default_permission": "READ",
        "grant_default_workspace_access": "false",  # it would let everybody create
        "database_uri": database,
        "admin_username": "evergreen",
        "authorization_function": "mlflow.server.auth:authenticate_request_basic_auth",
        "auth_cache_ttl_seconds": str(REMEMBERED),
    }
    return written


def migrate(database: str) -> None:
    """Create the tables, or bring them to this version: the server refuses to start on others."""
    import sqlalchemy
    from mlflow.store.db.utils import _initialize_tables, _upgrade_db

    engine = sqlalchemy.create_engine(database)
    try:
        if sqlalchemy.inspect(engine).has_table("alembic_version"):
            _upgrade_db(engine)
        else:
            _initialize_tables(engine)
    finally:
        engine.dispose()


if __name__ == "__main__":
    main()
