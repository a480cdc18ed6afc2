"""Docker and Compose as the team profile's commands use them. Only the standard library."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

OLDEST_ENGINE = (20, 10)
POLL = 2.0  # seconds


class EngineError(Exception):
    """Docker is missing, too old, or did not do it; the message says what and the cure."""


@dataclass(frozen=True)
class State:
    """A container: its service, ``running`` or what else it is, and what its health check says ("": it has none)."""

    service: str
    name: str
    status: str
    health: str
    exit_code: int

    @property
    def well(self) -> bool:
        return self.status == "running" and self.health in ("", "healthy")


@dataclass(frozen=True)
class Compose:
    """The services of one compose file, under one project's name."""

    folder: Path
    profiles: tuple[str, ...] = ()
    environment: Mapping[str, str] | None = None

    @cached_property
    def command(self) -> tuple[str, ...]:
        """Compose as a part of Docker, or else as a program of its own."""
        plugin = subprocess.run(["docker", "compose", "version"], capture_output=True, check=False)
        if plugin.returncode == 0:
            return ("docker", "compose")
        if shutil.which("docker-compose"):
            return ("docker-compose",)
        raise EngineError("Docker Compose was not found: install Docker's compose plugin, or docker-compose 1.29")

    def run(self, *arguments: str, quiet: bool = False) -> str:
        """Run a command of Compose to its end; its output, if ``quiet``, is returned instead of shown."""
        profiles = [part for profile in self.profiles for part in ("--profile", profile)]
        command = [*self.command, *profiles, *arguments]
        output = subprocess.PIPE if quiet else None
        env = {**os.environ, **(self.environment or {})}
        done = subprocess.run(command, cwd=self.folder, env=env, stdout=output, stderr=output, text=True, check=False)
        if done.returncode != 0:
            said = f":\n{(done.stderr or '').strip()}" if quiet else "; it says why above"
            raise EngineError(f"`{' '.join(arguments)}` failed{said}")
        return done.stdout or ""

    def states(self, *services: str) -> list[State]:
        """The containers of these services, or of all."""
        found = self.run("ps", "--quiet", "--all", *services, quiet=True).split()
        if not found:
            return []
        inspected = json.loads(docker("inspect", *found))
        return sorted((_state(each) for each in inspected), key=lambda state: state.name)

    def wait(self, services: Sequence[str], seconds: float) -> None:
        """Return when each of these services runs and is healthy; ``EngineError`` with the end of the log otherwise."""
        deadline, ready = time.monotonic() + seconds, set[str]()
        started = time.monotonic()
        while True:
            states = self.states(*services)
            by_service = {name: [each for each in states if each.service == name] for name in services}
            for name, containers in by_service.items():
                if name not in ready and containers and all(each.well for each in containers):
                    ready.add(name)
                    print(f"team: {name} is ready ({time.monotonic() - started:.0f} s)", flush=True)
            waiting = [name for name in services if name not in ready]
            if not waiting:
                return
            ended = [each for name in waiting for each in by_service[name] if each.status in ("exited", "dead")]
            if ended or time.monotonic() > deadline:
                why = "has ended" if ended else f"is not healthy after {seconds:.0f} s"
                name = ended[0].service if ended else waiting[0]
                raise EngineError(f"{name} {why}; the end of its log:\n{self.tail(name)}")
            time.sleep(POLL)

    def tail(self, service: str, lines: int = 20) -> str:
        return self.run("logs", "--no-color", f"--tail={lines}", service, quiet=True).rstrip()


def docker(*arguments: str) -> str:
    """The output of a docker command."""
    done = subprocess.run(["docker", *arguments], capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise EngineError(f"docker {' '.join(arguments[:2])}: {done.stderr.strip()}")
    return done.stdout


def check_engine() -> int:
    """The bytes of memory that containers may use; ``EngineError`` where no engine of a fitting version answers."""
    if shutil.which("docker") is None:
        raise EngineError("docker was not found: install Docker Engine with its compose plugin")
    found = docker("info", "--format", "{{.ServerVersion}} {{.MemTotal}}").split()
    version = tuple(int(part) for part in re.findall(r"\d+", found[0])[:2])
    if version < OLDEST_ENGINE:
        raise EngineError(f"Docker {found[0]} is too old: {'.'.join(map(str, OLDEST_ENGINE))} or later is needed")
    return int(found[1])


def _state(inspected: Mapping[str, Any]) -> State:
    state = inspected["State"]
    return State(
        service=inspected["Config"]["Labels"]["com.docker.compose.service"],
        name=inspected["Name"].lstrip("/"),
        status=state["Status"],
        health=(state.get("Health") or {}).get("Status", ""),
        exit_code=state["ExitCode"],
    )
