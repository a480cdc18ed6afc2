"""The bearer tokens of the online service's clients, kept in one file.

A token reads ``eg_<id>_<secret>``: the id finds its entry, the secret proves that it is the client's. The file holds
the SHA-256 of the secret and never the secret. A fast hash is right for it: the secret is 32 random bytes, which nobody
can guess however fast the guesses are; slow hashes (bcrypt, scrypt, Argon2) are for passwords, which people choose.
"""

from __future__ import annotations

import hashlib
import os
import secrets
from collections.abc import Callable, Sequence
from datetime import datetime, timedelta
from pathlib import Path
from typing import Annotated, Literal, TypeVar

from pydantic import AwareDatetime, Field, ValidationError, model_validator

from include.contract.schema import Strict
from include.contract.use_case import Name
from include.files import locked, replacing

PREFIX = "eg"
MODE = 0o600
SECRET_LENGTH = 43  # characters of 32 random bytes
LIMITLESS = {"expires": None, "use_cases": None, "rate": None, "burst": None}

Scope = Literal["predict", "admin"]
Result = TypeVar("Result")


class TokenError(ValueError):
    """The tokens cannot be read or changed; the message names the file, the key and the cure."""


class Token(Strict):
    """What a token allows. None: for ``expires`` never, for ``use_cases`` all, for ``rate`` that of the settings."""

    id: Annotated[str, Field(pattern=r"^[0-9a-f]{12}$")]
    client: Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9_.-]{0,62}$")]
    sha256: Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]
    scopes: Annotated[tuple[Scope, ...], Field(min_length=1)]
    created: AwareDatetime
    expires: AwareDatetime | None
    use_cases: Annotated[tuple[Name, ...], Field(min_length=1)] | None
    rate: Annotated[float, Field(gt=0, allow_inf_nan=False)] | None  # requests per second
    burst: Annotated[int, Field(ge=1)] | None

    @model_validator(mode="after")
    def _burst_of_a_rate(self) -> Token:
        if self.burst is not None and self.rate is None:
            raise ValueError("burst: it needs a rate; give one, or leave the burst out")
        return self

    @property
    def grants(self) -> tuple[object, ...]:
        """All that it allows, apart from until when."""
        return (frozenset(self.scopes), self.use_cases and frozenset(self.use_cases), self.rate, self.burst)

    def expired(self, now: datetime) -> bool:
        return self.expires is not None and self.expires <= now


class TokenList(Strict):
    """The content of the file. Each key must be there: one that was forgotten would allow more, not less."""

    tokens: tuple[Token, ...]

    @model_validator(mode="after")
    def _ids_differ(self) -> TokenList:
        ids = [token.id for token in self.tokens]
        if twice := {each for each in ids if ids.count(each) > 1}:
            raise ValueError(f"tokens: id {', '.join(sorted(twice))} is there more than once")
        return self


def digest(secret: str) -> str:
    return hashlib.sha256(secret.encode()).hexdigest()


def parse(path: Path, content: bytes) -> tuple[Token, ...]:
    """The tokens in a file's content, or ``TokenError``. No value of the file is told: one may be a pasted secret."""
    try:
        return TokenList.model_validate_json(content).tokens
    except ValidationError as error:
        raise TokenError(f"{path}: {_first(error)}; mend the file, or put back a copy of it") from None


def _first(error: ValidationError) -> str:
    """The first of the errors: the key, and what is wrong with its value."""
    first = error.errors(include_input=False, include_url=False, include_context=False)[0]
    message = first["msg"].removeprefix("Value error, ")
    return ": ".join(filter(None, (".".join(str(part) for part in first["loc"]), message)))


class Tokens:
    """The file of tokens, as the command changes it. Processes may change it at the same time."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def read(self) -> tuple[Token, ...]:
        """All tokens; none where there is no file yet. ``TokenError`` where it cannot be read."""
        try:
            content = self.path.read_bytes()
        except FileNotFoundError:
            return ()
        except OSError as error:
            raise TokenError(f"{self.path}: {error.strerror}; run as the user whom the file belongs to") from error
        return parse(self.path, content)

    def issue(
        self,
        client: str,
        scopes: Sequence[str],
        now: datetime,
        *,
        expires: datetime | None = None,
        use_cases: Sequence[str] | None = None,
        rate: float | None = None,
        burst: int | None = None,
    ) -> str:
        """Add a token and return its text, which is kept nowhere. ``TokenError`` names what is wrong."""
        if expires is not None and expires <= now:
            raise TokenError(f"expires: {expires.isoformat()} is past; give a later time")
        wanted = {"client": client, "scopes": tuple(scopes), "created": now, "expires": expires}
        limits = {"use_cases": use_cases if use_cases is None else tuple(use_cases), "rate": rate, "burst": burst}
        token, text = _made({**wanted, **limits})
        self._change(lambda tokens: ((*tokens, token), None))
        return text

    def accept(self, text: str, client: str, scopes: Sequence[str], now: datetime) -> None:
        """Add a token that was made elsewhere; one that is known already stays as it is."""
        prefix, identity, secret = [*text.split("_", 2), "", ""][:3]
        if prefix != PREFIX or len(secret) < SECRET_LENGTH:
            raise TokenError(
                f"the token of {client}: expected {PREFIX}_<12 hexadecimal digits>_<secret>; make a new one"
            )
        token = _valid(
            {
                **LIMITLESS,
                "client": client,
                "scopes": tuple(scopes),
                "created": now,
                "id": identity,
                "sha256": digest(secret),
            }
        )
        self._change(lambda tokens: (tokens if any(t.id == identity for t in tokens) else (*tokens, token), None))

    def revoke(self, identity: str) -> Token:
        """Remove a token at once and return what it was."""

        def removed(tokens: tuple[Token, ...]) -> tuple[tuple[Token, ...], Token]:
            found = [token for token in tokens if token.id == identity]
            if not found:
                raise TokenError(f"{self.path}: tokens: no token has the id {identity!r}; `list` shows the ids")
            return tuple(token for token in tokens if token.id != identity), found[0]

        return self._change(removed)

    def rotate(self, client: str, overlap: timedelta, now: datetime) -> str:
        """Add a token that allows what the client's do, and let those expire after ``overlap``; returns its text.

        The new one is as long-lived as the newest was made to be.
        """
        if overlap < timedelta(0):
            raise TokenError(f"overlap: {overlap} is negative; give 0m or more, e.g. 24h")

        def rotated(tokens: tuple[Token, ...]) -> tuple[tuple[Token, ...], str]:
            valid = [token for token in tokens if token.client == client and not token.expired(now)]
            if not valid:
                raise TokenError(f"{self.path}: tokens: {client!r} has none that is valid; issue one")
            if len({token.grants for token in valid}) > 1:
                raise TokenError(
                    f"{self.path}: tokens: those of {client!r} allow different things; issue a new one for each and "
                    "revoke the old by their ids"
                )
            newest = max(valid, key=lambda token: token.created)
            lifetime = newest.expires - newest.created if newest.expires else None
            kept = newest.model_dump(include={"client", "scopes", "use_cases", "rate", "burst"})
            token, text = _made({**kept, "created": now, "expires": lifetime and now + lifetime})
            ends = {each.id: min(each.expires or now + overlap, now + overlap) for each in valid}
            old = (t.model_copy(update={"expires": ends[t.id]}) if t.id in ends else t for t in tokens)
            return (*old, token), text

        return self._change(rotated)

    def _change(self, change: Callable[[tuple[Token, ...]], tuple[tuple[Token, ...], Result]]) -> Result:
        """Replace the file as a whole; what others write meanwhile is not lost."""
        with locked(self.path):
            tokens, result = change(self.read())
            content = TokenList(tokens=tokens).model_dump_json(indent=1) + "\n"
            with replacing(self.path) as temporary:
                descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, MODE)
                with os.fdopen(descriptor, "wb") as stream:
                    stream.write(content.encode())
                    stream.flush()
                    os.fsync(stream.fileno())  # what was revoked must not come back after a power cut
        return result


def _made(fields: dict[str, object]) -> tuple[Token, str]:
    identity, secret = secrets.token_hex(6), secrets.token_urlsafe(32)
    token = _valid({**fields, "id": identity, "sha256": digest(secret)})
    return token, f"{PREFIX}_{identity}_{secret}"


def _valid(fields: dict[str, object]) -> Token:
    try:
        return Token.model_validate(fields)
    except ValidationError as error:
        raise TokenError(_first(error)) from None
