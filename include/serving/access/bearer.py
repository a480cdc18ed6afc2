"""Bearer tokens in requests (RFC 6750): whose is it, and may it do that?"""

from __future__ import annotations

import hmac
from collections.abc import Iterable, Mapping

from include.serving.access.current import Grant
from include.serving.access.refusal import Refusal
from include.serving.access.routes import Needed
from include.serving.access.tokens import PREFIX, digest

CHALLENGE = 'Bearer realm="evergreen"'
HOW = f"send the header `Authorization: Bearer {PREFIX}_...`"


def authenticate(headers: Iterable[tuple[bytes, bytes]], grants: Mapping[str, Grant], now: float) -> Grant:
    """The grant of the token in the headers, or ``Refusal``: 400 or 401. ``now``: seconds since 1970.

    A secret is compared in constant time, so that how long a refusal takes tells nothing of it. The ids are no secret.
    """
    identity, secret = _credentials(headers)
    grant = grants.get(identity)
    if grant is None or not hmac.compare_digest(grant.sha256, digest(secret)):
        raise _refused(401, "Not authenticated", "invalid_token", "the token is not known; it may have been revoked")
    if grant.expires <= now:
        raise _refused(401, "Not authenticated", "invalid_token", "the token has expired; ask for a new one")
    return grant


def authorize(grant: Grant, needed: Needed) -> None:
    """``Refusal`` 403 where the token does not allow what is needed."""
    if needed.scope not in grant.scopes:
        raise _refused(
            403,
            "Not allowed",
            "insufficient_scope",
            f"the token of {grant.client} lacks the scope {needed.scope}",
            f', scope="{needed.scope}"',
        )
    if grant.use_cases is not None and needed.use_case not in grant.use_cases:
        about = "all use cases" if needed.use_case is None else "this use case"
        told = f"the token of {grant.client} is for {', '.join(sorted(grant.use_cases))}, not for {about}"
        raise _refused(403, "Not allowed", "insufficient_scope", told)


def _credentials(headers: Iterable[tuple[bytes, bytes]]) -> tuple[str, str]:
    """The id and the secret of the token in the headers."""
    values = [value for name, value in headers if name == b"authorization"]
    if len(values) > 1:
        raise _refused(400, "Malformed request", "invalid_request", "there is more than one Authorization header")
    scheme, *rest = (values[0].split() if values else []) or [b""]
    if scheme.lower() != b"bearer":
        raise Refusal(401, "Not authenticated", f"a token is needed; {HOW}", {"WWW-Authenticate": CHALLENGE})
    if len(rest) != 1:
        raise _refused(400, "Malformed request", "invalid_request", f"there is not one token after Bearer; {HOW}")
    prefix, _, text = rest[0].decode("latin-1").partition("_")
    identity, _, secret = text.partition("_")
    if prefix != PREFIX or not identity or not secret:
        raise _refused(401, "Not authenticated", "invalid_token", f"the token is malformed; {HOW}")
    return identity, secret


def _refused(status: int, title: str, code: str, detail: str, more: str = "") -> Refusal:
    challenge = f'{CHALLENGE}, error="{code}", error_description="{detail}"{more}'
    return Refusal(status, title, detail, {"WWW-Authenticate": challenge})
