"""What has to be true of the machine before the containers are started. Only the standard library."""

from __future__ import annotations

import ipaddress
import json
import socket
from collections.abc import Mapping

from include.team.engine import EngineError, docker

MEMORY_NEEDED = 8 * 2**30


def check_memory(available: int) -> None:
    if available < MEMORY_NEEDED:
        raise EngineError(
            f"Docker may use {available / 2**30:.1f} GiB of memory, {MEMORY_NEEDED / 2**30:.0f} GiB are needed: "
            "give it more (Docker Desktop: Settings, Resources), or use the profile for one machine: make up"
        )


def check_ports(ports: Mapping[str, int], host: str) -> None:
    """``EngineError`` with a line for each port that somebody listens on."""
    taken = [
        f"port {port} is in use: end who uses it, or set {name}" for name, port in ports.items() if _used(host, port)
    ]
    if taken:
        raise EngineError("\n".join(taken))


def _used(host: str, port: int) -> bool:
    with socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET, socket.SOCK_STREAM) as listener:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            listener.bind((host, port))
        except OSError:
            return True
    return False


def check_subnet(prefix: str) -> None:
    """``EngineError`` if another network of Docker has these addresses; replicas have fixed ones for the proxy."""
    wanted = ipaddress.ip_network(f"{prefix}.0/24")
    found = docker("network", "ls", "--quiet").split()
    for network in json.loads(docker("network", "inspect", *found)) if found else []:
        for each in network["IPAM"]["Config"] or []:
            other = ipaddress.ip_network(each["Subnet"], strict=False)
            ours = network["Labels"].get("com.docker.compose.network") == "inside" and other == wanted
            if not ours and other.version == wanted.version and wanted.overlaps(other):
                raise EngineError(
                    f"{wanted} is used by the network {network['Name']}: set SUBNET to three free numbers, e.g. "
                    "SUBNET=10.213.78"
                )
