"""The secrets of one installation: made once, readable only by their owner."""

from __future__ import annotations

import base64
import json
import os
import secrets
from dataclasses import asdict, dataclass
from pathlib import Path

from include.settings import Settings

USER = "admin"


@dataclass(frozen=True)
class Credentials:
    """What Airflow signs and encrypts with, and the password of its one user."""

    fernet_key: str
    jwt_secret: str
    api_secret: str
    admin_password: str


def passwords_file(settings: Settings) -> Path:
    """The file from which Airflow's simple auth manager reads its users' passwords."""
    return settings.home / "airflow" / "passwords.json"


def load_credentials(settings: Settings) -> Credentials:
    """The installation's secrets. The first call makes them; of several first calls at once, one wins."""
    fresh = Credentials(
        fernet_key=base64.urlsafe_b64encode(secrets.token_bytes(32)).decode(),
        jwt_secret=secrets.token_urlsafe(48),
        api_secret=secrets.token_urlsafe(48),
        admin_password=secrets.token_urlsafe(12),
    )
    file = settings.home / "credentials.json"
    _write_once(file, json.dumps(asdict(fresh), indent=2))
    kept = Credentials(**json.loads(file.read_text(encoding="utf-8")))
    _write_once(passwords_file(settings), json.dumps({USER: kept.admin_password}))
    return kept


def login(settings: Settings) -> tuple[str, str]:
    """The user and the password with which the system's own commands sign in to Airflow."""
    if settings.airflow_address:
        return settings.airflow_user, settings.airflow_password
    return USER, load_credentials(settings).admin_password


def _write_once(file: Path, content: str) -> None:
    """Creates the file whole and private, or leaves it as it is."""
    if file.exists():
        return
    file.parent.mkdir(parents=True, exist_ok=True)
    draft = file.with_name(f".{file.name}.{secrets.token_hex(8)}")
    with os.fdopen(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w", encoding="utf-8") as stream:
        stream.write(content + "\n")
    try:
        os.link(draft, file)
    except FileExistsError:
        pass
    finally:
        draft.unlink()
