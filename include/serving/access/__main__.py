"""``python -m include.serving.access``: issues, revokes, rotates and lists the tokens of the online service."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta
from typing import cast, get_args

from include.contract.schema import parse_duration
from include.serving.access.tokens import Scope, Token, TokenError, Tokens
from include.settings import get_settings

HEADER = ("id", "client", "scopes", "use cases", "created", "expires", "rate")

LONGEST = timedelta(days=3650)


def main(arguments: Sequence[str] | None = None) -> int:
    """Print a new token's text to standard output, the only time that it can be had, and all else to standard error."""
    options = _parser().parse_args(arguments)
    tokens, now = Tokens(get_settings().tokens), datetime.now(UTC).replace(microsecond=0)
    try:
        match options.command:
            case "issue":
                _hand_out(_issued(tokens, options, now))
            case "rotate":
                _hand_out(tokens.rotate(options.client, options.overlap, now))
                until = f"{now + options.overlap:%Y-%m-%d %H:%M} UTC"
                sys.stderr.write(f"{options.client}: its earlier tokens are valid until {until} at most\n")
            case "revoke":
                sys.stderr.write(f"{options.id}: revoked, it was {tokens.revoke(options.id).client}'s\n")
            case "list":
                sys.stdout.write("".join(f"{line}\n" for line in _table(tokens.read(), now)))
    except TokenError as error:
        sys.stderr.write(f"{error}\n")
        return 1
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m include.serving.access", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)
    issue = commands.add_parser("issue", help="make a token for a client")
    issue.add_argument("client", help="the name that the prediction log and the metrics show")
    issue.add_argument("--scope", action="append", choices=get_args(Scope), help="default: predict; may be repeated")
    issue.add_argument("--use-case", action="append", metavar="NAME", help="only this one; may be repeated")
    issue.add_argument("--expires-in", type=_duration, metavar="TIME", help="e.g. 90d; default: never")
    issue.add_argument("--rate", type=float, metavar="N", help="requests per second; default: that of the settings")
    issue.add_argument("--burst", type=int, metavar="N", help="of these, how many may come at once")
    rotate = commands.add_parser("rotate", help="make a new token for a client and let its earlier ones expire")
    rotate.add_argument("client")
    rotate.add_argument("--overlap", type=_duration, default=timedelta(days=1), metavar="TIME", help="default: 1d")
    revoke = commands.add_parser("revoke", help="remove a token at once")
    revoke.add_argument("id", help="as `list` shows it, the part after the first _ of the token")
    commands.add_parser("list", help="all tokens, without their secrets, which nobody has")
    return parser


def _duration(value: str) -> timedelta:
    try:
        duration = cast(timedelta, parse_duration(value))
    except (ValueError, OverflowError) as error:
        raise argparse.ArgumentTypeError(f"{value!r}: {error}") from error
    if duration > LONGEST:
        raise argparse.ArgumentTypeError(f"{value!r}: expected at most {LONGEST.days}d")
    return duration


def _issued(tokens: Tokens, options: argparse.Namespace, now: datetime) -> str:
    return tokens.issue(
        options.client,
        options.scope or ["predict"],
        now,
        expires=None if options.expires_in is None else now + options.expires_in,
        use_cases=options.use_case,
        rate=options.rate,
        burst=options.burst,
    )


def _hand_out(text: str) -> None:
    sys.stdout.write(f"{text}\n")
    sys.stderr.write("Keep it now: it cannot be shown again.\n")


def _table(tokens: Sequence[Token], now: datetime) -> Iterator[str]:
    rows = [HEADER, *(_row(token, now) for token in tokens)]
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    for row in rows:
        yield "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()


def _row(token: Token, now: datetime) -> tuple[str, ...]:
    expires = f"{token.expires.astimezone(UTC):%Y-%m-%d %H:%M}" if token.expires else "never"
    burst = f", {token.burst} at once" if token.burst else ""
    return (
        token.id,
        token.client,
        ", ".join(token.scopes),
        ", ".join(token.use_cases) if token.use_cases else "all",
        f"{token.created.astimezone(UTC):%Y-%m-%d %H:%M}",
        f"{expires}{' (expired)' if token.expired(now) else ''}",
        "default" if token.rate is None else f"{token.rate:g}/s{burst}",
    )


if __name__ == "__main__":
    sys.exit(main())
