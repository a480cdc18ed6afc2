"""A disk of its own for a volume, so that it can be filled without filling the machine's."""

from __future__ import annotations

import subprocess
from pathlib import Path

SIZE = 8 << 30  # bytes; only what is written is taken from the machine
# Docker gives an empty folder the image's owner, but this one has a file system's lost+found.
OWN = "rm -rf /volume/lost+found && chown 10001:10001 /volume && chmod 750 /volume"


class NoDiskError(Exception):
    """This machine lets nobody here make a disk; the message says what refused."""


def make_volume(folder: Path, project: str, name: str, image: str) -> dict[str, str]:
    """Make the volume of a Compose project on a file system in a file: its options, as Compose has to be told them.

    ``image`` is any that has a shell.
    """
    file = folder / f"{name}.img"
    with file.open("wb") as opened:
        opened.truncate(SIZE)
    _run("mkfs.ext4", "-q", "-F", "-m", "0", str(file))
    device = _run("losetup", "--find", "--show", str(file))
    labels = (f"com.docker.compose.project={project}", f"com.docker.compose.volume={name}")
    options = {"type": "ext4", "device": device}
    given = [part for key, value in options.items() for part in ("--opt", f"{key}={value}")]
    given += [part for label in labels for part in ("--label", label)]
    _run("docker", "volume", "create", "--driver", "local", *given, f"{project}_{name}")
    _run("docker", "run", "--rm", "--volume", f"{project}_{name}:/volume", image, "sh", "-c", OWN)
    return options


def remove(folder: Path, name: str) -> None:
    """Give the device back, if there is one."""
    file = folder / f"{name}.img"
    if file.exists():
        for line in _run("losetup", "--associated", str(file)).splitlines():
            _run("losetup", "--detach", line.partition(":")[0])
        file.unlink()


def _run(*command: str) -> str:
    try:
        done = subprocess.run(command, capture_output=True, text=True, check=False)
    except FileNotFoundError as error:
        raise NoDiskError(f"{command[0]} is not installed") from error
    if done.returncode:
        raise NoDiskError(f"{command[0]}: {done.stderr.strip()}")
    return done.stdout.strip()
