"""The file ``.env`` of the team profile: a random secret for each that the services need, made once.

Only the standard library: this runs before anything is installed.
"""

from __future__ import annotations

import base64
import os
import re
import secrets
from collections.abc import Callable, Mapping
from pathlib import Path

MODE = 0o600
LINE = re.compile(r"^\s*(?:export\s+)?([A-Za-z_][A-Za-z0-9_]*)\s*=(.*)$")


class SecretsError(Exception):
    """The file cannot be used; the message names the file, the key and the cure."""


def _text() -> str:
    return secrets.token_urlsafe(32)


def _bearer() -> str:
    return f"eg_{secrets.token_hex(6)}_{secrets.token_urlsafe(32)}"


def _fernet() -> str:
    return base64.urlsafe_b64encode(secrets.token_bytes(32)).decode()


# What each is for; none has a default anywhere. Those of databases stand in addresses: nothing there may need escaping.
SECRETS: dict[str, tuple[str, Callable[[], str]]] = {
    "POSTGRES_PASSWORD": ("PostgreSQL's administrator", _text),
    "AIRFLOW_DB_PASSWORD": ("Airflow's user in PostgreSQL", _text),
    "MLFLOW_DB_PASSWORD": ("MLflow's user in PostgreSQL", _text),
    "FEATURES_DB_PASSWORD": ("the user of the feature registry in PostgreSQL", _text),
    "REDIS_PASSWORD": ("Redis", _text),
    "OBJECTS_ACCESS_KEY": ("the object storage: its user", lambda: secrets.token_hex(10)),
    "OBJECTS_SECRET_KEY": ("the object storage: its secret", lambda: secrets.token_hex(20)),
    "FERNET_KEY": ("encrypts Airflow's connections and variables", _fernet),
    "AIRFLOW_API_SECRET": ("signs Airflow's sessions", _text),
    "AIRFLOW_JWT_SECRET": ("signs the tokens of Airflow's users and tasks", _text),
    "AIRFLOW_ADMIN_PASSWORD": ("the user admin of Airflow", lambda: secrets.token_urlsafe(16)),
    "MLFLOW_ADMIN_PASSWORD": ("the user evergreen of MLflow, who may change everything", _text),
    "MLFLOW_SERVING_PASSWORD": ("the user serving of MLflow, who may change nothing of ours", _text),
    "MLFLOW_SECRET_KEY": ("signs MLflow's sessions", _text),
    "SERVING_TOKEN": ("with which tasks and pages ask the serving replicas", _bearer),
    "PROMETHEUS_TOKEN": ("with which Prometheus asks the serving replicas", _bearer),
    "PREDICTION_LOG_KEY": ("of the hashes in the prediction log", _text),
    "GRAFANA_ADMIN_PASSWORD": ("the user admin of Grafana", lambda: secrets.token_urlsafe(16)),
}
HEADER = """\
# The secrets of this installation, made by `make team-up`. Keep a copy where secrets are kept: a backup can be restored
# with these only. Other settings of docker-compose.yaml may stand here too.
"""


def read(file: Path) -> dict[str, str]:
    """The names and values of a file; none where there is no file."""
    if not file.is_file():
        return {}
    lines = (LINE.match(line) for line in file.read_text(encoding="utf-8").splitlines())
    return {line[1]: line[2].strip().strip("\"'") for line in lines if line}


def ensure(file: Path, environment: Mapping[str, str] = os.environ) -> list[str]:
    """Make the file if there is none; the names of the secrets that were made.

    A file that is there is complete or refused: a secret that was lost and made anew would lock its store for ever.
    """
    if not file.exists():
        lines = [f"# {purpose}\n{name}={make()}\n" for name, (purpose, make) in SECRETS.items()]
        with os.fdopen(os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, MODE), "w", encoding="utf-8") as stream:
            stream.write(HEADER + "".join(lines))
        return list(SECRETS)
    known = read(file) | {name: value for name, value in environment.items() if value}
    if missing := [name for name in SECRETS if not known.get(name)]:
        names = "\n".join(f"  {name}: {SECRETS[name][0]}" for name in missing)
        raise SecretsError(f"{file} lacks\n{names}\nput them back from your copy, or add new ones as docs/team.md says")
    if file.stat().st_mode & 0o077:
        raise SecretsError(f"{file} can be read by others: chmod 600 {file}")
    return []
