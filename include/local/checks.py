"""What has to be true of the machine before the system is started; each failure is one line with its cure."""

from __future__ import annotations

import shutil
import socket
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import psutil

from include.settings import REPOSITORY, Settings

DISK_NEEDED = 1024**3
# Each ends or begins something in a variable, a search path or a database address in which the folder is written.
UNUSABLE = ":?#%$"


class CheckError(Exception):
    """What stands in the way, and what to do about it."""


@dataclass(frozen=True)
class Port:
    """A port that a server listens on, and the setting that chooses it."""

    number: int
    server: str
    variable: str


def check_machine(settings: Settings) -> None:
    """git, the folders' names and the space on the disk."""
    if shutil.which("git") is None:
        raise CheckError("git is needed to version the data: install it (Debian: apt-get install git)")
    for folder, cure in ((REPOSITORY, "clone to another folder"), (settings.home.absolute(), "set EVERGREEN_HOME")):
        if found := sorted(set(UNUSABLE) & set(str(folder))):
            raise CheckError(
                f"{folder}: the path contains {' '.join(found)}, which breaks addresses made of it: {cure}"
            )
    existing = next(
        folder for folder in (settings.home.absolute(), *settings.home.absolute().parents) if folder.is_dir()
    )
    free = shutil.disk_usage(existing).free
    if free < DISK_NEEDED:
        raise CheckError(
            f"{existing}: {free / 1024**3:.1f} GB are free, 1 GB is needed: make room, or set EVERGREEN_HOME"
        )


def check_ports(ports: Iterable[Port], host: str) -> None:
    """Raises ``CheckError`` with a line for every port on which somebody listens already."""
    taken = [port for port in ports if _in_use(host, port.number)]
    if taken:
        raise CheckError("\n".join(_explain(port) for port in taken))


def _in_use(host: str, number: int) -> bool:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family, socket.SOCK_STREAM) as listener:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            listener.bind((host, number))
        except OSError:
            return True
    return False


def _explain(port: Port) -> str:
    alias = port.variable.removeprefix("EVERGREEN_")
    cure = f"end it, or choose another port: make up {alias}={port.number + 1} (or set {port.variable})"
    return f"port {port.number} for {port.server} is in use{_owner(port.number)}: {cure}"


def _owner(number: int) -> str:
    """Who listens there, as far as this user may see it."""
    try:
        for connection in psutil.net_connections(kind="tcp"):
            if connection.status == psutil.CONN_LISTEN and connection.laddr.port == number and connection.pid:
                process = psutil.Process(connection.pid)
                folder = Path(process.cwd())
                return f" by {process.name()} (process {connection.pid}, started in {folder})"
    except psutil.Error:
        return ""
    return ""
