"""The environments of the peers whose packages do not fit beside ours: made by uv from locked requirements.

``NAME.txt`` is resolved from ``NAME.in``: ``uv pip compile --universal --python-version 3.11 -o NAME.txt NAME.in``.
"""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

FOLDER = Path(__file__).resolve().parent


class NotInstalledError(Exception):
    """A peer that cannot be had on this machine, with what its installer said."""


def install(name: str, home: Path) -> Path:
    """The folder of a peer's environment with exactly its locked packages, made where it is not there."""
    folder, wanted = home / "benchmarks" / name, FOLDER / f"{name}.txt"
    python, kept = folder / "bin" / "python", folder / "installed.txt"
    if python.exists() and kept.exists() and kept.read_bytes() == wanted.read_bytes():
        return folder
    print(f"  {name}: making its environment", file=sys.stderr, flush=True)
    sync = ["pip", "sync", "--compile-bytecode", "--python", str(python), str(wanted)]
    for command in (["venv", "--clear", "--python", sys.executable, str(folder)], sync):
        done = subprocess.run([sys.executable, "-m", "uv", *command], check=False, capture_output=True, text=True)
        if done.returncode:
            raise NotInstalledError(f"{name}: uv {command[0]} failed: {done.stderr.strip()}")
    shutil.copyfile(wanted, kept)
    return folder
