"""A server takes up what changed in the file of tokens, and lives with a file that is broken."""

from __future__ import annotations

import json
import logging
import os
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from include.serving.access.current import CurrentTokens
from include.serving.access.limiter import Limit
from include.serving.access.tokens import Tokens
from tests.serving.access.asking import identity

NOW = datetime(2026, 11, 21, 12, tzinfo=UTC)


@pytest.fixture
def tokens(tmp_path: Path) -> Tokens:
    return Tokens(tmp_path / "tokens.json")


def names(current: CurrentTokens, now: float) -> list[str] | None:
    grants = current.grants(now)
    return None if grants is None else [grant.client for grant in grants.values()]


def test_a_token_becomes_what_it_allows(tokens: Tokens) -> None:
    wanted = {"expires": NOW + timedelta(days=1), "use_cases": ["trips"], "rate": 0.5}
    limited = tokens.issue("web", ["predict"], NOW, **wanted)
    plain = tokens.issue("ops", ["admin"], NOW)
    found = CurrentTokens(tokens.path, Limit(9, 9)).grants(0)
    assert found is not None
    grant = found[identity(limited)]
    assert (grant.scopes, grant.use_cases, grant.limit) == ({"predict"}, {"trips"}, Limit(0.5, 1))
    assert grant.expires == (NOW + timedelta(days=1)).timestamp()
    assert (found[identity(plain)].use_cases, found[identity(plain)].limit) == (None, Limit(9, 9))


def test_changes_are_seen_at_the_next_look(tokens: Tokens) -> None:
    first = tokens.issue("first", ["predict"], NOW)
    current = CurrentTokens(tokens.path)
    assert names(current, 0) == ["first"]
    tokens.issue("second", ["predict"], NOW)
    assert names(current, 0.9) == ["first"]
    assert names(current, 1.0) == ["first", "second"]
    tokens.revoke(identity(first))
    assert names(current, 2.5) == ["second"]


def test_between_two_looks_no_file_is_touched(tokens: Tokens, monkeypatch: pytest.MonkeyPatch) -> None:
    tokens.issue("web", ["predict"], NOW)
    current = CurrentTokens(tokens.path)
    reads = []
    monkeypatch.setattr(current, "_look", lambda: reads.append(1))
    for step in range(100):
        current.grants(step / 50)
    assert len(reads) == 2


def test_a_file_that_did_not_change_is_not_read_again(tokens: Tokens, caplog: pytest.LogCaptureFixture) -> None:
    tokens.issue("web", ["predict"], NOW)
    current = CurrentTokens(tokens.path)
    with caplog.at_level(logging.INFO):
        for now in range(5):
            current.grants(now)
    assert [record.message for record in caplog.records] == [f"{tokens.path}: 1 tokens"]


def test_a_file_that_breaks_changes_nothing_and_is_told_once(tokens: Tokens, caplog: pytest.LogCaptureFixture) -> None:
    text = tokens.issue("web", ["predict"], NOW)
    good = tokens.path.read_bytes()
    current = CurrentTokens(tokens.path)
    assert names(current, 0) == ["web"]
    tokens.path.write_text(json.dumps({"tokens": [{"id": text}]}))
    assert [names(current, now) for now in (1, 2, 3)] == [["web"]] * 3
    assert current.problem is not None and "tokens.0.id: " in current.problem
    errors = [record.message for record in caplog.records if record.levelno == logging.ERROR]
    assert len(errors) == 1 and "the tokens read before stay valid" in errors[0]
    assert text not in caplog.text
    tokens.path.write_bytes(good)
    assert names(current, 4) == ["web"]
    assert current.problem is None


def test_a_file_that_is_gone_for_a_while_changes_nothing(tokens: Tokens) -> None:
    tokens.issue("web", ["predict"], NOW)
    current = CurrentTokens(tokens.path)
    current.grants(0)
    aside = tokens.path.with_name("aside")
    tokens.path.rename(aside)
    assert names(current, 1) == ["web"]
    assert current.problem is not None and "not there" in current.problem
    aside.rename(tokens.path)  # the same file as before, to the byte and the inode
    assert names(current, 2) == ["web"]
    assert current.problem is None


def test_a_first_file_that_is_missing_or_broken_allows_nothing(
    tokens: Tokens, caplog: pytest.LogCaptureFixture
) -> None:
    current = CurrentTokens(tokens.path)
    assert names(current, 0) is None
    assert current.problem is not None and "python -m include.serving.access issue" in current.problem
    tokens.path.write_text("{")
    assert names(current, 1) is None
    assert current.problem is not None and "mend the file" in current.problem
    assert caplog.text.count("every request is refused") == 2
    tokens.path.unlink()
    tokens.issue("web", ["predict"], NOW)
    assert names(current, 2) == ["web"]


@pytest.mark.skipif(os.geteuid() == 0, reason="root reads every file")
def test_a_file_that_may_not_be_read_allows_nothing(tokens: Tokens) -> None:
    tokens.issue("web", ["predict"], NOW)
    tokens.path.chmod(0)
    current = CurrentTokens(tokens.path)
    assert names(current, 0) is None
    assert current.problem is not None and "let the server's user read it" in current.problem
    tokens.path.chmod(0o600)
    assert names(current, 1) == ["web"]


def test_a_path_that_is_a_folder_allows_nothing(tokens: Tokens) -> None:
    tokens.path.mkdir()
    current = CurrentTokens(tokens.path)
    assert names(current, 0) is None
    assert current.problem is not None and "Is a directory" in current.problem
