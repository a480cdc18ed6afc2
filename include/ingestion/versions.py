"""The data git repository: DVC pointers under git, contents in a DVC remote.

Layout: ``<use case>/raw/<partition>.dvc``, one pointer to the folder of a partition. A commit is *the* data revision:
it names the exact bytes of every partition. Writers work in private clones that check out nothing but what they write,
so that their cost does not grow with the history and two days never wait for each other.
"""

from __future__ import annotations

import json
import logging
import shutil
import uuid
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import yaml

from include.ingestion.git import GitError, git, read_blobs, run
from include.settings import get_settings

log = logging.getLogger(__name__)

BRANCH = "main"
PUSH_ATTEMPTS = 20
IGNORED = "# The folders of the partitions are kept by DVC; git keeps their pointers.\n/*/raw/[0-9]*\n!/*/raw/*.dvc\n"


class VersionError(GitError):
    """The data repository refused, or does not hold what was asked of it."""


@dataclass(frozen=True)
class Pointer:
    """Where the content of a partition is: the DVC hash of its folder."""

    partition: str
    md5: str


def initialize() -> None:
    """Create the data repository where there is none."""
    settings = get_settings()
    if (settings.data_repository / "HEAD").is_file() and head_or_none() is not None:
        return
    settings.data_repository.parent.mkdir(parents=True, exist_ok=True)
    settings.dvc_remote.mkdir(parents=True, exist_ok=True)
    settings.dvc_cache.mkdir(parents=True, exist_ok=True)
    git(settings.data_repository.parent, "init", "--bare", f"--initial-branch={BRANCH}", str(settings.data_repository))
    with _scratch() as clone:
        git(clone.parent, "clone", "--quiet", str(settings.data_repository), str(clone))
        git(clone, "checkout", "--quiet", "-B", BRANCH)
        _dvc_init(clone)
        (clone / ".gitignore").write_text(IGNORED, encoding="utf-8")
        git(clone, "add", ".dvc", ".dvcignore", ".gitignore")
        git(clone, "commit", "--quiet", "-m", "Begin the data repository")
        git(clone, "push", "--quiet", "origin", BRANCH)


def head() -> str:
    """The newest data revision."""
    revision = head_or_none()
    if revision is None:
        raise VersionError(f"{get_settings().data_repository}: no data repository; `make up` creates it")
    return revision


def head_or_none() -> str | None:
    repository = get_settings().data_repository
    if not repository.is_dir():
        return None
    answer = run(repository, "rev-parse", "--verify", "--quiet", BRANCH)
    return answer.stdout.strip() if answer.returncode == 0 else None


def publish(use_case: str, folders: Mapping[str, Path], message: str) -> str:
    """Version the folders of some partitions (by key) and return the data revision that holds them.

    The contents are pushed to the remote before the commit that names them. Identical contents make no new revision.
    The folders are moved.
    """
    with _clone() as clone:
        raw = clone / use_case / "raw"
        raw.mkdir(parents=True, exist_ok=True)
        for key, folder in folders.items():
            shutil.move(folder, raw / key)
        pointers = _add_and_push(clone, [raw / key for key in folders])
        return _commit(clone, {path: path.read_bytes() for path in pointers}, message)


def pointers(use_case: str, revision: str) -> dict[str, Pointer]:
    """All partitions of a use case at a revision, by key, in order."""
    repository = get_settings().data_repository
    listed = git(repository, "ls-tree", "-r", "--full-tree", revision, "--", f"{use_case}/raw/")
    blobs = {
        Path(path).name.removesuffix(".dvc"): meta.split()[2]
        for meta, path in (line.split("\t", 1) for line in listed.splitlines())
        if path.endswith(".dvc")
    }
    contents = read_blobs(repository, list(blobs.values()))
    return {key: Pointer(key, yaml.safe_load(contents[blob])["outs"][0]["md5"]) for key, blob in sorted(blobs.items())}


def files(use_case: str, revision: str, keys: Sequence[str] | None = None) -> dict[str, dict[str, Path]]:
    """The files of partitions at a revision: for each key, the paths by name within its folder. They are read-only.

    What the local cache lacks is fetched from the remote first. Unknown keys raise ``VersionError``.
    """
    known = pointers(use_case, revision)
    wanted = list(known) if keys is None else list(keys)
    missing = [key for key in wanted if key not in known]
    if missing:
        raise VersionError(f"{use_case}: revision {revision[:12]} holds no partition {', '.join(missing[:5])}")
    found = {key: _listing(known[key].md5) for key in wanted}
    absent = [key for key, listing in found.items() if listing is None]
    if absent:
        _fetch(use_case, revision, absent)
        found |= {key: _listing(known[key].md5) for key in absent}
    unreadable = [key for key, listing in found.items() if listing is None]
    if unreadable:
        raise VersionError(
            f"{use_case}: the remote lacks the content of {', '.join(unreadable[:5])} at {revision[:12]}"
        )
    return {key: listing for key, listing in found.items() if listing is not None}


def _listing(md5: str) -> dict[str, Path] | None:
    """The files of a DVC folder object by relative name; None where the cache lacks any of them."""
    manifest = _cached(md5)
    if not manifest.is_file():
        return None
    paths = {entry["relpath"]: _cached(entry["md5"]) for entry in json.loads(manifest.read_text(encoding="utf-8"))}
    return paths if all(path.is_file() for path in paths.values()) else None


def _cached(md5: str) -> Path:
    return get_settings().dvc_cache / "files" / "md5" / md5[:2] / md5[2:]


def _fetch(use_case: str, revision: str, keys: Sequence[str]) -> None:
    from dvc.repo import Repo

    with _clone(revision) as clone:
        names = [f"{use_case}/raw/{key}.dvc" for key in keys]
        git(clone, "checkout", "--quiet", "--ignore-skip-worktree-bits", revision, "--", *names)
        with Repo(str(clone)) as repo:
            repo.fetch()


def _add_and_push(clone: Path, folders: Sequence[Path]) -> list[Path]:
    from dvc.repo import Repo

    with Repo(str(clone)) as repo:
        repo.add([str(folder) for folder in folders])
        repo.push()
    return [folder.with_name(f"{folder.name}.dvc") for folder in folders]


def _commit(clone: Path, pointers: Mapping[Path, bytes], message: str) -> str:
    """Commit the pointers on top of whatever the repository's newest revision is by then."""
    names = [str(path.relative_to(clone)) for path in pointers]
    for _ in range(PUSH_ATTEMPTS):
        git(clone, "add", "--sparse", "--", *names)
        if run(clone, "diff", "--cached", "--quiet").returncode == 0:
            return git(clone, "rev-parse", "HEAD").strip()
        git(clone, "commit", "--quiet", "-m", message)
        pushed = run(clone, "push", "--quiet", "origin", f"HEAD:{BRANCH}")
        if pushed.returncode == 0:
            return git(clone, "rev-parse", "HEAD").strip()
        # Somebody else was first: begin again from their revision, with our pointers on top.
        git(clone, "fetch", "--quiet", "origin", BRANCH)
        git(clone, "reset", "--quiet", "--mixed", "FETCH_HEAD")
        for path, content in pointers.items():
            path.write_bytes(content)
    raise VersionError(
        f"{get_settings().data_repository}: refused {PUSH_ATTEMPTS} pushes, the last with: {pushed.stderr}"
    )


@contextmanager
def _clone(revision: str = BRANCH) -> Iterator[Path]:
    """A private clone with nothing checked out but DVC's own files."""
    settings = get_settings()
    head()
    with _scratch() as clone:
        git(clone.parent, "clone", "--quiet", "--no-checkout", "--shared", str(settings.data_repository), str(clone))
        git(clone, "config", "core.sparseCheckout", "true")
        (clone / ".git" / "info").mkdir(exist_ok=True)
        (clone / ".git" / "info" / "sparse-checkout").write_text("/.dvc/\n/.dvcignore\n/.gitignore\n", encoding="utf-8")
        git(clone, "checkout", "--quiet", "--detach", revision)
        _dvc_local_config(clone)
        yield clone


@contextmanager
def _scratch() -> Iterator[Path]:
    path = get_settings().work / f"data-{uuid.uuid4().hex}"
    path.parent.mkdir(parents=True, exist_ok=True)
    try:
        yield path
    finally:
        shutil.rmtree(path, ignore_errors=True)


def _dvc_init(clone: Path) -> None:
    from dvc.repo import Repo

    Repo.init(str(clone)).close()
    config = clone / ".dvc" / "config"
    config.write_text(
        "[core]\n    analytics = false\n    remote = store\n"
        f"['remote \"store\"']\n    url = {get_settings().dvc_remote}\n",
        encoding="utf-8",
    )
    git(clone, "add", ".dvc/config")


def _dvc_local_config(clone: Path) -> None:
    """What belongs to this machine: the shared cache, and a private place for DVC's own bookkeeping."""
    (clone / ".dvc" / "config.local").write_text(
        f"[core]\n    autostage = true\n    site_cache_dir = {clone / '.dvc' / 'site'}\n"
        f"[cache]\n    dir = {get_settings().dvc_cache}\n    type = hardlink,copy\n",
        encoding="utf-8",
    )
