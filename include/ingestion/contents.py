"""The contents of partitions: folders that DVC keeps under their hash, in a local cache and in the remote.

DVC works in private workspaces that hold nothing but the partitions at hand and know no git, so that its cost does
not grow with the history and two days never wait for each other.
"""

from __future__ import annotations

import configparser
import json
import logging
import shutil
import uuid
import warnings
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import yaml

from include.files import remove_older
from include.settings import get_settings

if TYPE_CHECKING:
    from dvc.repo import Repo

ABANDONED_AFTER_SECONDS = 24 * 3600


class ContentError(RuntimeError):
    """The cache or the remote cannot take or give the content of a partition."""


def md5_of(pointer: bytes) -> str:
    """The hash of the folder that a pointer file names."""
    loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
    return str(yaml.load(pointer, loader)["outs"][0]["md5"])  # noqa: S506 - both loaders are safe ones


def remote_of(config: bytes) -> str:
    """Where the remote of DVC's configuration file is: a URL or the path of a folder."""
    parsed = configparser.ConfigParser(interpolation=None)
    parsed.read_string(config.decode())
    name = parsed["core"]["remote"].strip("\"'")
    return parsed[f"'remote \"{name}\"'"]["url"].strip("\"'")


def put(config: bytes, folders: Mapping[str, Path]) -> dict[str, bytes]:
    """Copy folders to the cache and the remote; their pointer files by key. The folders stay as they are.

    ``config`` is DVC's configuration file, which names the remote.
    """
    remove_older(get_settings().work, ABANDONED_AFTER_SECONDS, pattern="data-*")  # workspaces of killed processes
    with _workspace(config, folders) as repo:
        for key, folder in folders.items():
            # The cache links to this copy and makes it read-only.
            shutil.copytree(folder, Path(repo.root_dir, key), copy_function=shutil.copyfile)
        try:
            pointers = _add(repo, folders)
            repo.push()
        except Exception:
            _remove_partial_copies(repo)
            raise
        return pointers


def listing(md5: str) -> dict[str, Path] | None:
    """The files of a folder by relative name; None where the cache lacks any of them."""
    paths = _manifest(md5)
    return paths if paths is not None and all(path.is_file() for path in paths.values()) else None


def fetch(config: bytes, folders: Mapping[str, str]) -> None:
    """Bring folders, named by key with their hash, from the remote to the cache."""
    with _workspace(config, folders) as repo:
        for key, md5 in folders.items():
            pointer = {"outs": [{"md5": md5, "hash": "md5", "path": key}]}
            Path(repo.root_dir, f"{key}.dvc").write_text(yaml.safe_dump(pointer), encoding="utf-8")
        repo.fetch()


def _add(repo: Repo, keys: Iterable[str]) -> dict[str, bytes]:
    repo.add([str(Path(repo.root_dir, key)) for key in keys])
    pointers = {key: Path(repo.root_dir, f"{key}.dvc").read_bytes() for key in keys}
    # DVC passes over what it could not take.
    if any(listing(md5_of(pointer)) is None for pointer in pointers.values()):
        raise OSError(f"{get_settings().dvc_cache} could not take all files")
    return pointers


def _manifest(md5: str) -> dict[str, Path] | None:
    """Where the cache has, or would have, the files of a folder; None where it does not know the folder."""
    path = _cached(md5)
    if not path.is_file():
        return None
    return {entry["relpath"]: _cached(entry["md5"]) for entry in json.loads(path.read_text(encoding="utf-8"))}


def _cached(md5: str) -> Path:
    return get_settings().dvc_cache / "files" / "md5" / md5[:2] / md5[2:]


@contextmanager
def _workspace(config: bytes, keys: Iterable[str]) -> Iterator[Repo]:
    """A private DVC repository. What fails within is raised as ``ContentError`` with the cause and the places."""
    from dvc.repo import Repo

    with _scratch() as folder:
        _configure(folder, config)
        # Its own libraries warn it at every call.
        with (
            warnings.catch_warnings(action="ignore", category=DeprecationWarning),
            Repo(str(folder)) as repo,
            _Causes() as causes,
        ):
            try:
                yield repo
            except Exception as error:  # The library of each kind of remote has errors of its own.
                settings, remote = get_settings(), repo.config["remote"][repo.config["core"]["remote"]]["url"]
                raise ContentError(
                    f"{', '.join(list(keys)[:5])}: {'; '.join([str(error), *causes])}. The DVC remote {remote}, the "
                    f"cache {settings.dvc_cache} and {settings.work} must be reachable and have room; then try again"
                ) from error


@contextmanager
def _scratch() -> Iterator[Path]:
    folder = get_settings().work / f"data-{uuid.uuid4().hex}"
    folder.mkdir(parents=True)
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _configure(folder: Path, config: bytes) -> None:
    """The settings of the data repository, and those of this machine: the shared cache, bookkeeping apart."""
    (folder / ".dvc").mkdir()
    (folder / ".dvc" / "config").write_bytes(config)
    (folder / ".dvc" / "config.local").write_text(
        f'[core]\n    no_scm = true\n    site_cache_dir = "{folder / ".dvc" / "site"}"\n'
        f'[cache]\n    dir = "{get_settings().dvc_cache}"\n    type = hardlink,copy\n',
        encoding="utf-8",
    )


class _Causes(logging.Handler):
    """Why transfers failed, as DVC logs it: its exceptions only count them."""

    def __enter__(self) -> list[str]:
        self.found: list[str] = []
        logging.getLogger("dvc_data").addHandler(self)
        return self.found

    def __exit__(self, *_: object) -> None:
        logging.getLogger("dvc_data").removeHandler(self)

    def emit(self, record: logging.LogRecord) -> None:
        cause = record.exc_info[1] if record.exc_info else None
        text = getattr(cause, "strerror", None) or str(cause)
        if cause and text not in self.found:
            self.found.append(text)


def _remove_partial_copies(repo: Repo) -> None:
    """What DVC leaves in a folder where its copies fail: a full disk would stay full."""
    md5s = [md5_of(pointer.read_bytes()) for pointer in Path(repo.root_dir).glob("[!.]*.dvc")]
    objects = {_cached(md5) for md5 in md5s}.union(*((_manifest(md5) or {}).values() for md5 in md5s))
    for store in (repo.cache.local, repo.cloud.get_remote_odb()):
        if store.fs.protocol == "local":
            for prefix in {path.parent.name for path in objects}:
                for partial in Path(store.path, prefix).glob(".*.tmp"):
                    partial.unlink(missing_ok=True)
