"""A second machine on this one: a Docker engine of its own in a network namespace of its own, wired to the first."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import mkdtemp

NAMESPACE, OURS, THEIRS = "evergreen-2", "172.31.250.1", "172.31.250.2"
WIRE = ("evergreen-w1", "evergreen-w2")
WITHIN = 60.0  # seconds until an engine answers


class NoMachineError(Exception):
    """None can be made here; the message says why."""


@contextmanager
def second_machine() -> Iterator[dict[str, str]]:
    """Its engine as environment variables for Docker; both engines are in one swarm as long as this lasts."""
    if os.geteuid() or not shutil.which("dockerd") or not shutil.which("ip"):
        raise NoMachineError("a second Docker engine needs root, dockerd and ip")
    if _run("docker", "info", "--format", "{{.Swarm.LocalNodeState}}") != "inactive":
        raise NoMachineError("this engine is in a swarm already")
    folder = Path(mkdtemp(prefix="evergreen-"))  # short: the path of a socket has at most 107 characters
    _wire()
    socket = f"unix://{folder / 'docker.sock'}"
    engine = _engine(folder, socket)
    there = {"DOCKER_HOST": socket}
    try:
        _answers(there)
        _run("docker", "swarm", "init", "--advertise-addr", OURS, "--listen-addr", f"{OURS}:2377")
        token = _run("docker", "swarm", "join-token", "--quiet", "manager")
        _run("docker", "swarm", "join", "--token", token, "--advertise-addr", THEIRS, f"{OURS}:2377", **there)
        yield there
    finally:
        subprocess.run(["docker", "swarm", "leave", "--force"], capture_output=True, check=False)
        os.killpg(engine.pid, signal.SIGTERM)
        engine.wait(60)
        subprocess.run(["ip", "netns", "delete", NAMESPACE], capture_output=True, check=False)
        subprocess.run(["ip", "link", "delete", WIRE[0]], capture_output=True, check=False)
        shutil.rmtree(folder, ignore_errors=True)


def copy_images(there: dict[str, str], *names: str) -> None:
    """As from a registry."""
    saved = subprocess.Popen(["docker", "save", *names], stdout=subprocess.PIPE)
    command = ["docker", "load", "--quiet"]
    subprocess.run(command, stdin=saved.stdout, env={**os.environ, **there}, check=True, capture_output=True)
    assert saved.wait() == 0


def _wire() -> None:
    _run("ip", "netns", "add", NAMESPACE)
    _run("ip", "link", "add", WIRE[0], "type", "veth", "peer", "name", WIRE[1], "netns", NAMESPACE)
    _run("ip", "address", "add", f"{OURS}/24", "dev", WIRE[0])
    _run("ip", "link", "set", WIRE[0], "up")
    for command in (
        ("address", "add", f"{THEIRS}/24", "dev", WIRE[1]),
        ("link", "set", WIRE[1], "up"),
        ("link", "set", "lo", "up"),
        ("route", "add", "default", "via", OURS),
    ):
        _run("ip", "-n", NAMESPACE, *command)


def _engine(folder: Path, socket: str) -> subprocess.Popen[bytes]:
    # `ip netns exec` would take /sys away, and with it the control groups.
    command = ["nsenter", f"--net=/var/run/netns/{NAMESPACE}", "dockerd", "--host", socket]
    for name in ("data-root", "exec-root", "pidfile"):
        command += [f"--{name}", str(folder / name)]
    with (folder / "dockerd.log").open("wb") as log:
        return subprocess.Popen(command, stdout=log, stderr=log, start_new_session=True)


def _answers(there: dict[str, str]) -> None:
    deadline = time.monotonic() + WITHIN
    while subprocess.run(["docker", "info"], env={**os.environ, **there}, capture_output=True, check=False).returncode:
        if time.monotonic() > deadline:
            raise NoMachineError("its engine does not answer")
        time.sleep(1)


def _run(*command: str, **environment: str) -> str:
    done = subprocess.run(command, env={**os.environ, **environment}, capture_output=True, text=True, check=False)
    if done.returncode:
        raise NoMachineError(f"{' '.join(command[:3])}: {done.stderr.strip()}")
    return done.stdout.strip()
