"""The file of tokens: what is issued, revoked and rotated, by whomever at the same time, and what breaks it."""

from __future__ import annotations

import hashlib
import json
import multiprocessing
import re
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from include.serving.access.tokens import TokenError, Tokens
from tests.serving.access.asking import clients, identity

NOW = datetime(2026, 11, 21, 12, tzinfo=UTC)
DAY = timedelta(days=1)


@pytest.fixture
def tokens(tmp_path: Path) -> Tokens:
    return Tokens(tmp_path / "serving" / "tokens.json")


def change(tokens: Tokens, **fields: Any) -> None:
    """Change the file's first token by hand."""
    content = json.loads(tokens.path.read_text())
    content["tokens"][0] |= fields
    tokens.path.write_text(json.dumps(content))


def test_a_token_is_kept_as_the_hash_of_its_secret(tokens: Tokens) -> None:
    text = tokens.issue("web", ["predict"], NOW, expires=NOW + DAY, use_cases=["trips"], rate=5, burst=10)
    (token,) = tokens.read()
    prefix, id_, secret = text.split("_", 2)
    assert (prefix, id_) == ("eg", token.id)
    assert len(secret) == 43  # 32 bytes in base64
    assert token.sha256 == hashlib.sha256(secret.encode()).hexdigest()
    assert secret not in tokens.path.read_text()
    assert (token.client, token.scopes, token.use_cases) == ("web", ("predict",), ("trips",))
    assert (token.created, token.expires, token.rate, token.burst) == (NOW, NOW + DAY, 5, 10)


def test_only_the_owner_reads_the_file(tokens: Tokens) -> None:
    tokens.issue("web", ["predict"], NOW)
    assert tokens.path.stat().st_mode & 0o777 == 0o600
    tokens.issue("web", ["predict"], NOW)
    assert tokens.path.stat().st_mode & 0o777 == 0o600


@pytest.mark.parametrize(
    ("wrong", "told"),
    [
        ({"client": "no spaces"}, "client: "),
        ({"client": ""}, "client: "),
        ({"client": "a\nb"}, "client: "),
        ({"scopes": []}, "scopes: "),
        ({"scopes": ["root"]}, "scopes.0: .*'predict' or 'admin'"),
        ({"use_cases": []}, "use_cases: "),
        ({"use_cases": ["../x"]}, "use_cases.0: "),
        ({"rate": 0}, "rate: "),
        ({"rate": float("inf")}, "rate: "),
        ({"rate": 1, "burst": 0}, "burst: "),
        ({"burst": 5}, "burst: it needs a rate"),
        ({"expires": NOW}, "expires: .* is past; give a later time"),
    ],
)
def test_a_wrong_wish_is_named(tokens: Tokens, wrong: dict[str, Any], told: str) -> None:
    with pytest.raises(TokenError, match=told):
        tokens.issue(**{"client": "web", "scopes": ["predict"], "now": NOW, **wrong})
    assert tokens.read() == ()


def test_what_is_revoked_is_gone(tokens: Tokens) -> None:
    first, second = (tokens.issue(name, ["predict"], NOW) for name in ("first", "second"))
    assert tokens.revoke(identity(first)).client == "first"
    assert [token.id for token in tokens.read()] == [identity(second)]
    with pytest.raises(TokenError, match=r"tokens\.json: tokens: no token has the id .*`list` shows the ids"):
        tokens.revoke(identity(first))


def test_a_rotation_overlaps_and_keeps_what_was_allowed(tokens: Tokens) -> None:
    wanted = {"expires": NOW + 90 * DAY, "use_cases": ["trips"], "rate": 5.0, "burst": 10}
    old = tokens.issue("web", ["predict"], NOW, **wanted)
    tokens.issue("other", ["admin"], NOW)
    later = NOW + 80 * DAY
    new = tokens.rotate("web", DAY, later)
    found = {token.id: token for token in tokens.read()}
    assert found[identity(old)].expires == later + DAY
    assert found[identity(new)].expires == later + 90 * DAY
    assert found[identity(new)].grants == found[identity(old)].grants
    assert len(found) == 3
    assert clients(tokens).count("other") == 1


def test_a_rotation_makes_no_token_live_longer(tokens: Tokens) -> None:
    soon = tokens.issue("web", ["predict"], NOW, expires=NOW + timedelta(hours=1))
    tokens.rotate("web", DAY, NOW)
    found = {token.id: token for token in tokens.read()}
    assert found[identity(soon)].expires == NOW + timedelta(hours=1)


def test_a_token_that_does_not_expire_is_rotated_to_one_that_does_not(tokens: Tokens) -> None:
    old = tokens.issue("web", ["predict"], NOW)
    new = tokens.rotate("web", timedelta(0), NOW)
    found = {token.id: token for token in tokens.read()}
    assert found[identity(old)].expired(NOW)
    assert found[identity(new)].expires is None


def test_what_cannot_be_rotated_is_told(tokens: Tokens) -> None:
    with pytest.raises(TokenError, match="'web' has none that is valid; issue one"):
        tokens.rotate("web", DAY, NOW)
    tokens.issue("web", ["predict"], NOW, expires=NOW + DAY)
    with pytest.raises(TokenError, match="'web' has none that is valid"):
        tokens.rotate("web", DAY, NOW + 2 * DAY)
    tokens.issue("web", ["admin"], NOW)
    with pytest.raises(TokenError, match="allow different things"):
        tokens.rotate("web", DAY, NOW)
    with pytest.raises(TokenError, match=r"overlap: .*negative"):
        tokens.rotate("web", -DAY, NOW)
    assert len(tokens.read()) == 2


@pytest.mark.parametrize(
    ("fields", "told"),
    [
        ({"expire": None}, r"tokens\.0\.expire: "),  # not taken for a token that does not expire
        ({"sha256": "eg_0123456789ab_a-pasted-secret"}, r"tokens\.0\.sha256: "),
        ({"id": "x"}, r"tokens\.0\.id: "),
        ({"scopes": "predict"}, r"tokens\.0\.scopes: "),
        ({"expires": "tomorrow"}, r"tokens\.0\.expires: "),
        ({"expires": "2026-11-22T00:00:00"}, r"tokens\.0\.expires: .*timezone"),
        ({"use_cases": []}, r"tokens\.0\.use_cases: "),
        ({"rate": -1}, r"tokens\.0\.rate: "),
    ],
)
def test_a_broken_file_is_named_with_the_key_and_never_written_over(
    tokens: Tokens, fields: dict[str, Any], told: str
) -> None:
    tokens.issue("web", ["predict"], NOW)
    change(tokens, **fields)
    before = tokens.path.read_bytes()
    with pytest.raises(TokenError, match=f"{re.escape(str(tokens.path))}: {told}.*mend the file") as raised:
        tokens.issue("other", ["predict"], NOW)
    assert "pasted" not in str(raised.value)
    assert tokens.path.read_bytes() == before


def test_a_key_that_is_missing_is_not_taken_for_all(tokens: Tokens) -> None:
    tokens.issue("web", ["predict"], NOW, use_cases=["trips"])
    content = json.loads(tokens.path.read_text())
    del content["tokens"][0]["use_cases"]
    tokens.path.write_text(json.dumps(content))
    with pytest.raises(TokenError, match=r"tokens\.0\.use_cases: Field required"):
        tokens.read()


@pytest.mark.parametrize("content", [b"", b"[]", b"{", b"null", b'{"tokens": null}', b"\xff\xfe"])
def test_what_is_no_list_of_tokens_is_refused(tokens: Tokens, content: bytes) -> None:
    tokens.path.parent.mkdir()
    tokens.path.write_bytes(content)
    with pytest.raises(TokenError, match="mend the file"):
        tokens.read()


def test_an_id_that_is_there_twice_is_refused(tokens: Tokens) -> None:
    tokens.issue("web", ["predict"], NOW)
    content = json.loads(tokens.path.read_text())
    tokens.path.write_text(json.dumps({"tokens": content["tokens"] * 2}))
    with pytest.raises(TokenError, match=r"id [0-9a-f]{12} is there more than once"):
        tokens.read()


def test_a_path_that_is_no_file_is_told(tokens: Tokens) -> None:
    tokens.path.mkdir(parents=True)
    with pytest.raises(TokenError, match="Is a directory"):
        tokens.read()


def _issue_some(path: Path, client: str) -> None:
    for number in range(8):
        Tokens(path).issue(f"{client}-{number}", ["predict"], NOW)


def test_processes_that_issue_at_once_lose_nothing(tokens: Tokens) -> None:
    spawn = multiprocessing.get_context("fork")
    processes = [spawn.Process(target=_issue_some, args=(tokens.path, name)) for name in "abcd"]
    for process in processes:
        process.start()
    for process in processes:
        process.join()
    assert [process.exitcode for process in processes] == [0] * 4
    assert sorted(clients(tokens)) == sorted(f"{name}-{number}" for name in "abcd" for number in range(8))
