"""The secrets of the team profile: made once, private, complete or refused."""

from __future__ import annotations

import base64
from datetime import UTC, datetime
from pathlib import Path

import pytest

from include.serving.access.tokens import Tokens
from include.team.secrets_file import SECRETS, SecretsError, ensure, read


def test_the_first_call_makes_every_secret_and_only_its_owner_reads_them(tmp_path: Path) -> None:
    file = tmp_path / ".env"
    assert ensure(file, {}) == list(SECRETS)
    values = read(file)
    assert set(values) == set(SECRETS)
    assert min(len(value) for value in values.values()) >= 20
    assert len(set(values.values())) == len(values)
    assert file.stat().st_mode & 0o777 == 0o600


def test_the_second_call_changes_nothing(tmp_path: Path) -> None:
    file = tmp_path / ".env"
    ensure(file, {})
    before = file.read_bytes()
    assert ensure(file, {}) == []
    assert file.read_bytes() == before


def test_a_lost_secret_is_named_and_not_made_anew(tmp_path: Path) -> None:
    file = tmp_path / ".env"
    ensure(file, {})
    file.write_text("\n".join(line for line in file.read_text().splitlines() if not line.startswith("FERNET_KEY")))
    with pytest.raises(SecretsError, match=r"\.env lacks\n  FERNET_KEY: encrypts Airflow's connections"):
        ensure(file, {})
    assert ensure(file, {"FERNET_KEY": "from a store of secrets"}) == []


def test_a_file_that_others_can_read_is_refused(tmp_path: Path) -> None:
    file = tmp_path / ".env"
    ensure(file, {})
    file.chmod(0o644)
    with pytest.raises(SecretsError, match="chmod 600"):
        ensure(file, {})


def test_what_stands_in_addresses_needs_no_escaping(tmp_path: Path) -> None:
    ensure(tmp_path / ".env", {})
    for name, value in read(tmp_path / ".env").items():
        if name != "FERNET_KEY":
            assert value.replace("-", "").replace("_", "").isalnum(), name


def test_the_fernet_key_has_32_bytes(tmp_path: Path) -> None:
    ensure(tmp_path / ".env", {})
    assert len(base64.urlsafe_b64decode(read(tmp_path / ".env")["FERNET_KEY"])) == 32


def test_the_bearer_tokens_are_those_that_a_replica_takes(tmp_path: Path) -> None:
    ensure(tmp_path / ".env", {})
    values, tokens, now = read(tmp_path / ".env"), Tokens(tmp_path / "tokens.json"), datetime.now(UTC)
    for client, name in (("evergreen", "SERVING_TOKEN"), ("prometheus", "PROMETHEUS_TOKEN")):
        tokens.accept(values[name], client, ["predict"], now)
        tokens.accept(values[name], client, ["predict"], now)  # a second start
    assert [token.client for token in tokens.read()] == ["evergreen", "prometheus"]
