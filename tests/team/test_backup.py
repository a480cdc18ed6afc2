"""What a restore refuses before it touches anything."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

import pytest

from include.team.backup import BOUND, MANIFEST, check, fingerprints
from include.team.engine import EngineError

SECRETS = {name: f"secret of {name}" for name in BOUND}


@pytest.fixture
def backup(tmp_path: Path) -> Path:
    (tmp_path / "home.tar.gz").write_bytes(b"bytes")
    files = {"home.tar.gz": hashlib.sha256(b"bytes").hexdigest()}
    (tmp_path / MANIFEST).write_text(json.dumps({"files": files, "secrets": fingerprints(SECRETS)}))
    return tmp_path


def test_a_whole_backup_with_its_secrets_is_taken(backup: Path) -> None:
    check(backup, SECRETS)


def test_a_folder_that_was_not_finished_is_no_backup(backup: Path) -> None:
    (backup / MANIFEST).unlink()
    with pytest.raises(EngineError, match="no backup, or one that was not finished"):
        check(backup, SECRETS)


@pytest.mark.parametrize("content", [b"byteS", b"", None])
def test_a_file_that_is_not_what_was_written_is_named(backup: Path, content: bytes | None) -> None:
    file = backup / "home.tar.gz"
    file.unlink() if content is None else file.write_bytes(content)
    with pytest.raises(EngineError, match=r"home\.tar\.gz is missing or not what was written"):
        check(backup, SECRETS)


def test_secrets_of_another_installation_are_named(backup: Path) -> None:
    with pytest.raises(EngineError, match="FERNET_KEY: not those of the backup"):
        check(backup, {**SECRETS, "FERNET_KEY": "another"})


def test_the_manifest_tells_no_secret(backup: Path) -> None:
    text = (backup / MANIFEST).read_text()
    assert not any(value in text for value in SECRETS.values())
