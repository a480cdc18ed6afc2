"""What the serving replicas say that they serve, asked at the same time and not for long."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import httpx

from include.deployment import replica
from include.settings import get_settings

TIMEOUT = 2.0  # seconds


@dataclass(frozen=True)
class Replica:
    """A replica: the version that it answers with (None: none) and its words, where something is the matter."""

    address: str
    version: int | None
    generation: int | None
    challenger: int | None
    engine: str
    problem: str


async def ask(addresses: Sequence[str], use_case: str) -> list[Replica]:
    """Each replica once, in their order; one that does not answer holds up no other."""
    found = await asyncio.to_thread(replica.addresses, addresses)  # the name service may be slow
    async with httpx.AsyncClient(headers=get_settings().serving_headers, timeout=TIMEOUT, trust_env=False) as http:
        return await asyncio.gather(*(_ask(http, address, use_case) for address in found))


async def _ask(http: httpx.AsyncClient, address: str, use_case: str) -> Replica:
    try:
        answer = await http.get(f"{address}/v1/{use_case}")
        answer.raise_for_status()
        status: dict[str, Any] = answer.json()
    except (httpx.HTTPError, ValueError) as error:
        return Replica(address, None, None, None, "", f"no answer: {error or type(error).__name__}")
    return Replica(
        address=address,
        version=status["model"]["version"] if status["model"] else None,
        generation=status["generation"],
        challenger=status["challenger"],
        engine=status["engine"] or "",
        problem="; ".join(status["problems"]),
    )
