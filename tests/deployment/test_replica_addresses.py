"""A name that has several addresses stands for several replicas."""

from __future__ import annotations

import socket
from typing import Any

import pytest

from include.deployment.replica import addresses

NAMES = {
    "one": [(socket.AF_INET, "10.0.0.1")],
    "three": [(socket.AF_INET, f"10.0.0.{last}") for last in (3, 1, 2)],
    "both-families": [(socket.AF_INET6, "fd00::1"), (socket.AF_INET, "10.0.0.1")],
    "six": [(socket.AF_INET6, "fd00::1"), (socket.AF_INET6, "fd00::2")],
}


@pytest.fixture(autouse=True)
def names(monkeypatch: pytest.MonkeyPatch) -> None:
    def resolve(host: str, port: int | None, **_: Any) -> list[Any]:
        if host not in NAMES:
            raise socket.gaierror(f"{host} is not known")
        return [(family, socket.SOCK_STREAM, 6, "", (address, port or 0)) for family, address in NAMES[host]]

    monkeypatch.setattr(socket, "getaddrinfo", resolve)


@pytest.mark.parametrize(
    ("named", "asked"),
    [
        (["http://one:8000"], ("http://one:8000",)),
        (["http://three:8000"], ("http://10.0.0.1:8000", "http://10.0.0.2:8000", "http://10.0.0.3:8000")),
        (["https://three"], ("https://10.0.0.1", "https://10.0.0.2", "https://10.0.0.3")),
        (["http://both-families:8000"], ("http://both-families:8000",)),
        (["http://six:8000"], ("http://[fd00::1]:8000", "http://[fd00::2]:8000")),
        (["http://nobody:8000", "http://one:8000"], ("http://nobody:8000", "http://one:8000")),
    ],
)
def test_each_address_of_a_name_is_asked(named: list[str], asked: tuple[str, ...]) -> None:
    assert addresses(named) == asked
