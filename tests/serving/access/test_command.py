"""``python -m include.serving.access``."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from include.serving.access.__main__ import main
from include.serving.access.tokens import Tokens
from include.settings import get_settings
from tests.serving.access.asking import identity


@pytest.fixture
def tokens(home: Path) -> Tokens:
    return Tokens(get_settings().tokens)


def issued(capsys: pytest.CaptureFixture[str], *arguments: str) -> str:
    assert main(["issue", *arguments]) == 0
    return capsys.readouterr().out.strip()


def test_the_text_is_printed_once_and_alone(tokens: Tokens, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["issue", "web", "--use-case", "trips", "--expires-in", "90d", "--rate", "50", "--burst", "9"]) == 0
    out, err = capsys.readouterr()
    (token,) = tokens.read()
    assert out.startswith(f"eg_{token.id}_") and out.count("\n") == 1
    assert "cannot be shown again" in err
    assert (token.scopes, token.use_cases, token.rate, token.burst) == (("predict",), ("trips",), 50, 9)
    assert token.expires == token.created + timedelta(days=90)
    assert main(["list"]) == 0
    head, row = capsys.readouterr().out.splitlines()
    assert head.split()[:3] == ["id", "client", "scopes"]
    assert row.split()[:4] == [token.id, "web", "predict", "trips"] and row.endswith("50/s, 9 at once")
    assert out.strip().split("_", 2)[2] not in row


def test_a_token_is_rotated_and_revoked(tokens: Tokens, capsys: pytest.CaptureFixture[str]) -> None:
    old = issued(capsys, "ops", "--scope", "admin", "--scope", "predict")
    assert main(["rotate", "ops", "--overlap", "2h"]) == 0
    new = capsys.readouterr().out.strip()
    expires = {token.id: token.expires for token in tokens.read()}
    assert expires[identity(new)] is None
    left = expires[identity(old)]
    assert left is not None and left <= datetime.now(UTC) + timedelta(hours=2)
    assert main(["revoke", identity(old)]) == 0
    assert "revoked, it was ops's" in capsys.readouterr().err
    assert [token.id for token in tokens.read()] == [identity(new)]


def test_an_expired_token_is_listed_as_one(tokens: Tokens, capsys: pytest.CaptureFixture[str]) -> None:
    then = datetime(2026, 1, 1, tzinfo=UTC)
    tokens.issue("web", ["predict"], then - timedelta(days=9), expires=then - timedelta(days=1))
    assert main(["list"]) == 0
    assert "2025-12-31 00:00 (expired)" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["issue", "no spaces"], "client: "),
        (["issue", "web", "--burst", "3"], "burst: it needs a rate"),
        (["issue", "web", "--expires-in", "0d"], "expires: "),
        (["revoke", "0123456789ab"], "tokens.json: tokens: no token has the id"),
        (["rotate", "web"], "has none that is valid; issue one"),
    ],
)
def test_what_is_wrong_is_told_in_a_line(
    tokens: Tokens, capsys: pytest.CaptureFixture[str], arguments: list[str], told: str
) -> None:
    assert main(arguments) == 1
    out, err = capsys.readouterr()
    assert out == "" and told in err and err.count("\n") == 1


@pytest.mark.parametrize("duration", ["3", "1y", "-1d", "99999999999w", "9999w"])
def test_a_wrong_duration_is_refused(tokens: Tokens, capsys: pytest.CaptureFixture[str], duration: str) -> None:
    with pytest.raises(SystemExit):
        main(["issue", "web", f"--expires-in={duration}"])
    assert repr(duration) in capsys.readouterr().err
    assert tokens.read() == ()


def test_a_broken_file_stops_the_command(tokens: Tokens, capsys: pytest.CaptureFixture[str]) -> None:
    tokens.path.parent.mkdir()
    tokens.path.write_text(json.dumps({"tokens": [{}]}))
    for arguments in (["list"], ["issue", "web"], ["revoke", "0123456789ab"], ["rotate", "web"]):
        assert main(arguments) == 1
        assert f"{tokens.path}: tokens.0.id: Field required; mend the file" in capsys.readouterr().err
