"""Calls of git, with an identity of their own."""

from __future__ import annotations

import os
import subprocess
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

NAME, EMAIL = "evergreen", "evergreen@localhost"
IDENTITY = {
    f"GIT_{role}_{field}": value
    for role in ("AUTHOR", "COMMITTER")
    for field, value in (("NAME", NAME), ("EMAIL", EMAIL))
}


class GitError(RuntimeError):
    """Git refused."""


def git(folder: Path, *arguments: str, stdin: bytes = b"") -> str:
    """What git prints; ``GitError`` with its complaint where it fails."""
    return git_bytes(folder, *arguments, stdin=stdin).decode()


def git_bytes(folder: Path, *arguments: str, stdin: bytes = b"") -> bytes:
    answer = run(folder, *arguments, stdin=stdin)
    if answer.returncode != 0:
        complaint = answer.stderr.decode(errors="replace").strip()
        raise GitError(f"git {' '.join(arguments)} in {folder} failed: {complaint}")
    return answer.stdout


def run(folder: Path, *arguments: str, stdin: bytes = b"") -> subprocess.CompletedProcess[bytes]:
    """A finished git call, whatever came of it. Nothing of the caller's own git settings for a commit is used."""
    environment = {key: value for key, value in os.environ.items() if not key.startswith("GIT_")}
    # A damaged repository is an error; git would go on with one that encloses it.
    ceiling = {"GIT_CEILING_DIRECTORIES": str(folder.resolve().parent)}
    return subprocess.run(
        ["git", *arguments],
        cwd=folder,
        env={**environment, **IDENTITY, **ceiling},
        input=stdin,
        capture_output=True,
        check=False,
    )


def read_blobs(repository: Path, names: Sequence[str]) -> dict[str, bytes]:
    """The contents of blobs by name (an id or ``revision:path``), all in one call. Unknown names have no entry."""
    answer = git_bytes(repository, "cat-file", "--batch", stdin="".join(f"{name}\n" for name in names).encode())
    contents: dict[str, bytes] = {}
    position = 0
    for name in names:
        end = answer.index(b"\n", position)
        header, position = answer[position:end], end + 1
        if not header.endswith(b" missing"):
            size = int(header.rsplit(b" ", 1)[1])
            contents[name] = answer[position : position + size]
            position += size + 1
    return contents


def commit(repository: Path, branch: str, parent: str | None, files: Mapping[str, bytes], message: str) -> str:
    """Commit files by path on top of ``parent``, as the new head of the branch; the commit's id.

    It is made in the repository itself, without index and work tree, whose cost grows with the number of files there.
    Raises ``GitError`` and changes nothing where the branch holds commits that ``parent`` does not.
    """
    stream = [
        # Without "done" at its end the stream of a killed process is refused instead of committed in part.
        b"feature done\n",
        f"commit refs/heads/{branch}\nmark :1\n".encode(),
        f"committer {NAME} <{EMAIL}> {int(time.time())} +0000\n".encode(),
        _data(message.encode()),
        f"from {parent}\n".encode() if parent else b"",
    ]
    for path, content in files.items():
        stream += [f"M 100644 inline {path}\n".encode(), _data(content)]
    stream.append(b"get-mark :1\ndone\n")
    # The lock of the branch is held for a moment by whoever commits.
    patience = ("-c", "core.filesRefLockTimeout=10000")
    return git(repository, *patience, "fast-import", "--quiet", stdin=b"".join(stream)).strip()


def _data(content: bytes) -> bytes:
    return b"data %d\n%b\n" % (len(content), content)
