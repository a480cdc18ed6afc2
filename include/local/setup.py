"""Makes ``.venv`` hold exactly the locked packages. Runs before anything is installed: only the standard library.

``python3.11 -m include.local.setup`` installs what the system runs on, with ``--dev`` also what tests and linting need,
and with ``--lock`` it writes the locks anew. A second run with the same locks and the same Python does nothing.
"""

from __future__ import annotations

import argparse
import ensurepip
import fcntl
import hashlib
import os
import shutil
import subprocess
import sys
import time
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parents[2]
VENV = REPOSITORY / ".venv"
LOCKS = (REPOSITORY / "requirements.txt", REPOSITORY / "requirements-dev.txt")
SERVING_EXCLUDED = "containers/serving/excluded.txt"
INSTALLER = "uv==0.13.9"
DISK_NEEDED = 4 * 1024**3


class SetupError(Exception):
    """What is missing on this machine, in one line with the cure."""


def fingerprint(locks: tuple[Path, ...]) -> str:
    """Changes with the locks, the Python and the folder: scripts in a venv hold its absolute path."""
    digest = hashlib.sha256()
    for part in (sys.version, sys.base_prefix, str(VENV), INSTALLER):
        digest.update(part.encode() + b"\0")
    for lock in locks:
        digest.update(lock.read_bytes())
    return digest.hexdigest()


def check_machine() -> None:
    """Raises ``SetupError`` for the first thing that would let the installation fail half-way."""
    if sys.version_info[:2] != (3, 11):
        version = ".".join(str(part) for part in sys.version_info[:3])
        raise SetupError(
            f"Python 3.11 is needed, this is {version}: name it with make setup PYTHON=/path/to/python3.11"
        )
    if shutil.which("git") is None:
        raise SetupError("git is needed to version the data: install it (Debian: apt-get install git)")
    free = shutil.disk_usage(REPOSITORY).free
    if free < DISK_NEEDED:
        raise SetupError(
            f"{free / 1024**3:.1f} GB are free on the disk of {REPOSITORY}, the setup needs "
            f"{DISK_NEEDED / 1024**3:.0f} GB: make room, or clone to another disk"
        )


def run(*command: str | Path, cure: str) -> None:
    """Runs a command quietly; its last lines are shown only when it fails."""
    done = subprocess.run(
        [str(part) for part in command],
        cwd=REPOSITORY,
        check=False,
        text=True,
        capture_output=True,
        stdin=subprocess.DEVNULL,
    )
    if done.returncode:
        tail = "\n".join((done.stdout + done.stderr).strip().splitlines()[-15:])
        raise SetupError(f"{tail}\n{cure}")


def make_venv() -> Path:
    """The venv's Python, with the installer beside it."""
    python = VENV / "bin" / "python"
    works = (
        python.exists() and not subprocess.run([str(python), "-c", "pass"], check=False, capture_output=True).returncode
    )
    if not works:
        print(f"setup: making {VENV}", flush=True)
        shutil.rmtree(VENV, ignore_errors=True)
        run(
            sys.executable,
            "-m",
            "venv",
            VENV,
            cure="Python's venv module is needed (Debian: apt-get install python3.11-venv)",
        )
    if subprocess.run([str(python), "-m", "uv", "--version"], check=False, capture_output=True).returncode:
        run(
            python,
            "-m",
            "pip",
            "install",
            "--quiet",
            INSTALLER,
            cure=f"{INSTALLER} could not be installed: is the package index reachable?",
        )
    return python


def install(locks: tuple[Path, ...]) -> None:
    """Installs exactly the locks; removes what is in none of them."""
    python = make_venv()
    kept = VENV / "installer.txt"
    kept.write_text(f"{INSTALLER}\npip=={ensurepip.version()}\n", encoding="utf-8")
    print(f"setup: installing {' and '.join(lock.name for lock in locks)}", flush=True)
    # Compiled once, here: half a dozen processes that start at once would each compile what they import, and where
    # Python may not write its byte code they would do so at every start.
    sync: tuple[str | Path, ...] = (python, "-m", "uv", "pip", "sync", "--quiet", "--compile-bytecode")
    run(
        *(*sync, "--python", python, *locks, kept),
        cure="the packages could not be installed: is the package index reachable? make setup goes on from here",
    )


def setup(*, dev: bool) -> None:
    """Brings ``.venv`` to the locks, if it is not there already."""
    stamp = VENV / "evergreen-setup"
    wanted = {"dev": fingerprint(LOCKS), "runtime": fingerprint(LOCKS[:1])}
    done = stamp.read_text(encoding="utf-8").split() if stamp.exists() else []
    if wanted["dev" if dev else "runtime"] in done and (VENV / "bin" / "python").exists():
        return
    started = time.monotonic()
    check_machine()
    # Once the tools of the developer are there, they stay: make up after make test changes nothing.
    with_dev = dev or len(done) > 1
    stamp.unlink(missing_ok=True)
    install(LOCKS if with_dev else LOCKS[:1])
    stamp.write_text("\n".join([wanted["runtime"]] + ([wanted["dev"]] if with_dev else [])) + "\n", encoding="utf-8")
    print(f"setup: done in {time.monotonic() - started:.0f} s", flush=True)


def lock() -> None:
    """Resolves ``requirements*.in`` anew into the locks; versions that still fit are kept."""
    python = make_venv()
    for source, target, more in (
        ("requirements.in", LOCKS[0], ()),
        ("requirements-dev.in", LOCKS[1], ()),
        ("requirements-serving.in", REPOSITORY / "requirements-serving.txt", ("--excludes", SERVING_EXCLUDED)),
        ("requirements-team.in", REPOSITORY / "requirements-team.txt", ()),
        ("requirements-spark.in", REPOSITORY / "requirements-spark.txt", ()),
        ("requirements-evidently.in", REPOSITORY / "requirements-evidently.txt", ()),
    ):
        print(f"lock: {source} -> {target.name}", flush=True)
        options = ("--quiet", "--universal", "--python-version", "3.11", "--custom-compile-command", "make lock", *more)
        run(
            python,
            "-m",
            "uv",
            "pip",
            "compile",
            *options,
            "-o",
            target.name,
            source,
            cure=f"{source} could not be resolved",
        )


def main() -> int:
    parser = argparse.ArgumentParser(prog="python3.11 -m include.local.setup")
    parser.add_argument("--dev", action="store_true", help="also what tests and linting need")
    parser.add_argument("--lock", action="store_true", help="write the locks anew")
    options = parser.parse_args()
    # Two at once in one folder would write the same venv: the second waits for the first.
    folder = os.open(REPOSITORY, os.O_RDONLY)
    fcntl.flock(folder, fcntl.LOCK_EX)
    try:
        if options.lock:
            check_machine()
            lock()
        else:
            setup(dev=options.dev)
    except SetupError as error:
        print(f"setup: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
