"""Calls of git, with an identity of their own."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Sequence
from pathlib import Path

IDENTITY = {"GIT_AUTHOR_NAME": "evergreen", "GIT_AUTHOR_EMAIL": "evergreen@localhost"}


class GitError(RuntimeError):
    """Git refused."""


def read_blobs(repository: Path, blobs: Sequence[str]) -> dict[str, bytes]:
    """The contents of blobs by their ids, all in one call."""
    if not blobs:
        return {}
    answer = subprocess.run(
        ["git", "cat-file", "--batch"],
        cwd=repository,
        input="\n".join(blobs).encode(),
        capture_output=True,
        check=True,
    ).stdout
    contents: dict[str, bytes] = {}
    position = 0
    while position < len(answer):
        end = answer.index(b"\n", position)
        blob, _, size = answer[position:end].decode().split()
        contents[blob] = answer[end + 1 : end + 1 + int(size)]
        position = end + 2 + int(size)
    return contents


def git(folder: Path, *arguments: str) -> str:
    """What git prints; ``GitError`` with its complaint where it fails."""
    answer = run(folder, *arguments)
    if answer.returncode != 0:
        raise GitError(f"git {' '.join(arguments)} in {folder} failed: {answer.stderr.strip()}")
    return answer.stdout


def run(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """A finished git call, whatever came of it. Nothing of the caller's own git settings for a commit is used."""
    committer = {name.replace("AUTHOR", "COMMITTER"): value for name, value in IDENTITY.items()}
    environment = {key: value for key, value in os.environ.items() if not key.startswith("GIT_")}
    return subprocess.run(
        ["git", *arguments],
        cwd=folder,
        env={**environment, **IDENTITY, **committer},
        capture_output=True,
        text=True,
        check=False,
    )
