"""Files that are there whole or not at all."""

from __future__ import annotations

import errno
import fcntl
import json
import os
import shutil
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """A temporary path beside ``path`` that takes its place, a file or a folder, when the block ends well."""
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.{uuid.uuid4().hex}")
    try:
        yield temporary
        if temporary.is_dir():
            _put_in_place(temporary, path)
        else:
            temporary.replace(path)
    finally:
        if temporary.is_dir():
            shutil.rmtree(temporary)
        else:
            temporary.unlink(missing_ok=True)


def _put_in_place(folder: Path, path: Path) -> None:
    """Give a folder the name ``path``; another process may be doing the same at the same time."""
    outgoing = []
    while True:
        try:
            folder.rename(path)
            break
        except OSError as error:
            if error.errno not in (errno.ENOTEMPTY, errno.EEXIST):
                raise
        aside = path.with_name(f".{path.name}.{uuid.uuid4().hex}")
        with suppress(FileNotFoundError):
            path.rename(aside)
            outgoing.append(aside)
    for aside in outgoing:
        shutil.rmtree(aside)


def write_json(path: Path, content: Any) -> None:
    """Write a JSON file whole, its keys in order, so that equal contents are equal bytes."""
    with replacing(path) as temporary:
        text = json.dumps(content, indent=1, sort_keys=True, ensure_ascii=False, allow_nan=False)
        temporary.write_text(text + "\n", encoding="utf-8")


def read_json(path: Path) -> Any:
    return json.loads(path.read_text(encoding="utf-8"))


def append_line(path: Path, content: Any) -> None:
    """Append one JSON line by a single write, so that writers beside each other tear no line, and sync it to disk."""
    append_bytes(path, (json.dumps(content, ensure_ascii=False) + "\n").encode())


def append_bytes(path: Path, content: bytes) -> None:
    """Append by a single write and sync it to disk; ``OSError`` where not all of it was written."""
    path.parent.mkdir(parents=True, exist_ok=True)
    descriptor = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o644)
    try:
        written = os.write(descriptor, content)
        if written != len(content):
            raise OSError(f"{path}: only {written} of {len(content)} bytes were written")
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def lines_backwards(path: Path, block: int = 65536) -> Iterator[bytes]:
    """What stands between the line breaks of a file, the last first, reading no more of it than is asked for.

    The first is what follows the last line break: empty in a file whose last line is finished. No file, no lines.
    """
    if not path.is_file():
        return
    with path.open("rb") as stream:
        left, rest = stream.seek(0, os.SEEK_END), b""
        while left:
            step = min(block, left)
            left -= step
            stream.seek(left)
            rest, *lines = (stream.read(step) + rest).split(b"\n")
            yield from reversed(lines)
        yield rest


@contextmanager
def locked(path: Path, *, shared: bool = False) -> Iterator[None]:
    """Keep other processes and threads that ask for it from a file, by a lock beside it; readers may share it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.with_name(f".{path.name}.lock").open("a+") as stream:
        fcntl.flock(stream, fcntl.LOCK_SH if shared else fcntl.LOCK_EX)
        yield


def link_tree(source: Path, target: Path) -> None:
    """The folder ``source`` again at ``target``, sharing its files' bytes on the disk."""
    shutil.copytree(source, target, copy_function=os.link)


def snapshot(source: Path, target: Path) -> None:
    """As ``link_tree``, of a folder that ``replacing`` may replace meanwhile: the whole of one or of the other."""
    while True:
        descriptor = os.open(source, os.O_RDONLY)  # held open, its number is not given to another folder
        try:
            link_tree(source, target)
            if _is_still(source, descriptor):
                return
        except (FileNotFoundError, shutil.Error):
            if _is_still(source, descriptor):
                raise
        finally:
            os.close(descriptor)
        shutil.rmtree(target, ignore_errors=True)


def _is_still(folder: Path, descriptor: int) -> bool:
    """Whether the path names the folder that was opened."""
    return folder.exists() and os.path.samestat(folder.stat(), os.fstat(descriptor))


def remove_older(folder: Path, seconds: float, pattern: str = "*") -> None:
    """Remove what is in a folder and was made longer ago than that: the leftovers of runs that ended or were killed."""
    for path in folder.glob(pattern):
        if path.stat().st_mtime < time.time() - seconds:
            shutil.rmtree(path, ignore_errors=True)
