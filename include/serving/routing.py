"""Which of the deployments of a use case answers a request."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from typing import Any

import orjson

from include.serving.followed import Deployment, Followed

BITS = 64


def choose(followed: Followed, key: bytes) -> Deployment:
    """The deployment that answers: the challenger in a canary's share of the keys, or else the champion.

    The same key goes the same way on every replica as long as the generation lasts, and independently of it in the
    next: BLAKE2b (RFC 7693), salted with the generation's number, gives each key a place in [0, 1). ``LookupError``
    where no model is loaded.
    """
    champion, challenger = followed.deployment, followed.challenger
    if champion is None:
        raise LookupError(f"{followed.use_case.name}: no model is loaded")
    if challenger is None or followed.mode != "canary":
        return champion
    return challenger if place(key, followed.generation or 0) < followed.weight else champion


def shadow(followed: Followed) -> Deployment | None:
    """The deployment that predicts beside the one that answers; None where there is none."""
    return followed.challenger if followed.mode == "shadow" else None


def place(key: bytes, generation: int) -> float:
    """Where a key stands in [0, 1) during a generation; uniform over keys."""
    digest = hashlib.blake2b(key, digest_size=BITS // 8, salt=generation.to_bytes(16, "big")).digest()
    return (int.from_bytes(digest, "big") >> 11) / 2**53  # as many bits as a float holds: never rounded up to 1


def key_of(entities: Sequence[Mapping[str, Any]] | None, columns: Sequence[str], request_id: str) -> bytes:
    """What a request is routed by: the keys of its entities, or its id where it brings complete rows.

    A request is answered by one version, so that its entities go the same way together.
    """
    if not entities:
        return request_id.encode()
    return orjson.dumps([[entity[column] for column in columns] for entity in entities])
