"""What a serving process says that it serves."""

from __future__ import annotations

import socket
from collections.abc import Sequence
from dataclasses import dataclass
from urllib.parse import urlsplit

import httpx

from include.deployment.generation import Generation
from include.settings import get_settings


@dataclass(frozen=True)
class Served:
    """The versions that a serving process answers with, the generation that is whole there, and its words.

    None: no answer, no model, or no generation. ``said`` tells what stands in the way, ``heard`` whether it answered.
    """

    version: int | None
    generation: int | None
    challenger: int | None
    said: str
    heard: bool = True

    def confirms(self, generation: Generation) -> bool:
        """Whether the generation is in force there.

        Where nothing was published yet, the version is all that a replica can confirm; a challenger it cannot.
        """
        if self.version != generation.champion:
            return False
        if self.generation is None:
            return generation.challenger is None
        return self.generation == generation.number and self.challenger == generation.challenger


def addresses(named: Sequence[str]) -> tuple[str, ...]:
    """Where each replica is asked: a host's name that has several addresses stands for a replica at each of them.

    Such a name is a headless Service of Kubernetes, or a network alias of containers. One that cannot be resolved is
    kept, so that asking it tells what is wrong.
    """
    return tuple(address for name in named for address in _resolved(name))


def _resolved(name: str) -> tuple[str, ...]:
    parts = urlsplit(name)
    try:
        found = socket.getaddrinfo(parts.hostname, parts.port, type=socket.SOCK_STREAM)
    except OSError:
        return (name,)
    # A machine with an address of each family is one replica.
    family = min(each[0] for each in found)
    hosts = sorted({str(each[4][0]) for each in found if each[0] == family})
    if len(hosts) < 2:
        return (name,)
    port = f":{parts.port}" if parts.port else ""
    return tuple(f"{parts.scheme}://{f'[{host}]' if ':' in host else host}{port}" for host in hosts)


def served(address: str, use_case: str) -> Served:
    """What a serving process answers with; it is asked once, for at most 5 s."""
    try:
        headers = get_settings().serving_headers
        answer = httpx.get(f"{address}/v1/{use_case}", headers=headers, timeout=5, trust_env=False)
    except httpx.TransportError as error:
        return Served(None, None, None, f"no answer ({error})", heard=False)
    if answer.status_code != httpx.codes.OK:
        return Served(None, None, None, f"status {answer.status_code}: {answer.text[:200]}")
    status = answer.json()
    version = status["model"]["version"] if status["model"] else None
    generation, challenger = status.get("generation"), status.get("challenger")
    said = "; ".join(
        [
            f"version {version if version is not None else 'none'}",
            *([f"generation {generation}"] if generation is not None else []),
            *([f"challenger {challenger}"] if challenger is not None else []),
            *status["problems"],
        ]
    )
    return Served(version, generation, challenger, said)
