"""The data git repository: DVC pointers under git, contents in a DVC remote.

Layout: ``<use case>/raw/<YYYY-MM>/<partition>.dvc``, one pointer to the folder of a partition. A commit is *the* data
revision: it names the exact bytes of every partition. A folder per month keeps small what a commit writes anew.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from include.ingestion import contents
from include.ingestion.git import GitError, commit, git, read_blobs, run
from include.settings import get_settings

BRANCH = "main"
COMMIT_ATTEMPTS = 50
CONFIG = ".dvc/config"
IGNORED = (
    "# The folders of the partitions are kept by DVC; git keeps their pointers.\n/*/raw/*/[0-9]*\n!/*/raw/*/*.dvc\n"
)


class VersionError(GitError):
    """The data repository refused, or does not hold what was asked of it."""


@dataclass(frozen=True)
class Pointer:
    """Where the content of a partition is: the DVC hash of its folder."""

    partition: str
    md5: str


@dataclass(frozen=True)
class Version:
    """A commit that touched a partition: when (ISO time), and the DVC hash from then on; None where it was removed."""

    revision: str
    at: str
    md5: str | None
    message: str


def initialize() -> None:
    """Create the data repository where there is none. One with its contents in another remote is refused."""
    settings = get_settings()
    if head_or_none() is not None:
        _config()
        return
    folders = [settings.data_repository.parent, settings.dvc_cache]
    for folder in [*folders, settings.dvc_remote] if not settings.data_remote else folders:
        folder.mkdir(parents=True, exist_ok=True)
    git(settings.data_repository.parent, "init", "--bare", f"--initial-branch={BRANCH}", str(settings.data_repository))
    files = {
        CONFIG: "[core]\n    analytics = false\n    remote = store\n"
        f'[\'remote "store"\']\n    url = "{settings.dvc_remote_url}"\n',
        ".dvc/.gitignore": "/config.local\n/tmp\n/cache\n",
        ".gitignore": IGNORED,
    }
    _commit({path: text.encode() for path, text in files.items()}, "Begin the data repository")


def head() -> str:
    """The newest data revision."""
    revision = head_or_none()
    if revision is None:
        raise VersionError(f"{get_settings().data_repository}: no data repository; `make up` creates it")
    return revision


def head_or_none() -> str | None:
    repository = get_settings().data_repository
    if not (repository / "HEAD").is_file():
        return None
    answer = run(repository, "rev-parse", "--verify", "--quiet", f"refs/heads/{BRANCH}")
    return answer.stdout.decode().strip() if answer.returncode == 0 else None


def publish(use_case: str, folders: Mapping[str, Path], message: str) -> str:
    """Version the folders of some partitions (by key) and return the data revision that holds them.

    The contents are in the remote before the commit that names them. Identical contents make no new revision. The
    folders stay as they are, and after a failure the same call can be repeated.
    """
    try:
        pointers = contents.put(_config(), folders)
    except (contents.ContentError, OSError) as error:
        raise VersionError(f"{use_case}: nothing is published: {error}") from error
    return _commit({_path(use_case, key): pointer for key, pointer in pointers.items()}, message)


def keys(use_case: str, revision: str) -> list[str]:
    """The keys of all partitions of a use case at a revision, in order."""
    return list(_blobs(use_case, revision))


def pointers(use_case: str, revision: str, keys: Sequence[str] | None = None) -> dict[str, Pointer]:
    """Partitions of a use case at a revision by key, in order: all of them, or those of ``keys`` that are there."""
    repository = get_settings().data_repository
    if keys is None:
        blobs = _blobs(use_case, revision)
    else:
        blobs = {key: f"{revision}:{_path(use_case, key)}" for key in sorted(set(keys))}
    found = read_blobs(repository, list(blobs.values()))
    if not found:
        git(repository, "rev-parse", "--verify", f"{revision}^{{commit}}")  # A wrong revision is no empty one.
    return {key: Pointer(key, contents.md5_of(found[blob])) for key, blob in blobs.items() if blob in found}


def files(use_case: str, revision: str, keys: Sequence[str] | None = None) -> dict[str, dict[str, Path]]:
    """The files of partitions at a revision: for each key, the paths by name within its folder. They are read-only.

    What the local cache lacks is fetched from the remote first. Unknown keys raise ``VersionError``.
    """
    known = pointers(use_case, revision, keys)
    wanted = list(known) if keys is None else list(keys)
    if missing := [key for key in wanted if key not in known]:
        raise VersionError(f"{use_case}: revision {revision[:12]} holds no partition {', '.join(missing[:5])}")
    found = {key: contents.listing(known[key].md5) for key in wanted}
    if absent := [key for key, listing in found.items() if listing is None]:
        try:
            contents.fetch(_config(), {key: known[key].md5 for key in absent})
        except contents.ContentError as error:
            raise VersionError(f"{use_case}: revision {revision[:12]} cannot be read: {error}") from error
        found |= {key: contents.listing(known[key].md5) for key in absent}
    if unreadable := [key for key, listing in found.items() if listing is None]:
        raise VersionError(
            f"{use_case}: the remote lacks the content of {', '.join(unreadable[:5])} at {revision[:12]}"
        )
    return {key: listing for key, listing in found.items() if listing is not None}


def changed(use_case: str, before: str, after: str) -> list[str]:
    """The keys of the partitions that were added, changed or removed between two revisions, in order."""
    options = ("--name-only", "--no-renames", "-z")
    paths = git(get_settings().data_repository, "diff", *options, before, after, "--", f"{use_case}/raw/").split("\0")
    return sorted(_key(path) for path in paths if path.endswith(".dvc"))


def log(use_case: str, key: str) -> list[Version]:
    """The commits that added, changed or removed a partition, newest first."""
    repository, path = get_settings().data_repository, _path(use_case, key)
    printed = git(repository, "log", "-z", "--format=%H%n%cI%n%B", head(), "--", path)
    commits = [entry.split("\n", 2) for entry in printed.split("\0") if entry]
    found = read_blobs(repository, [f"{revision}:{path}" for revision, _, _ in commits])
    md5s = {name: contents.md5_of(pointer) for name, pointer in found.items()}
    return [
        Version(revision, at, md5s.get(f"{revision}:{path}"), message.rstrip("\n")) for revision, at, message in commits
    ]


def _path(use_case: str, key: str) -> str:
    return f"{use_case}/raw/{key[:7]}/{key}.dvc"


def _key(path: str) -> str:
    return PurePosixPath(path).name.removesuffix(".dvc")


def _blobs(use_case: str, revision: str) -> dict[str, str]:
    """The ids of all pointers by key, in order."""
    tree = git(get_settings().data_repository, "ls-tree", "-r", "-z", "--full-tree", revision, f"{use_case}/raw/")
    entries = [entry.split("\t", 1) for entry in tree.split("\0") if entry.endswith(".dvc")]
    return dict(sorted((_key(path), meta.split()[2]) for meta, path in entries))


def _config() -> bytes:
    """DVC's settings, which name the remote: those of the newest revision, since contents may have moved."""
    revision, repository, wanted = head(), get_settings().data_repository, get_settings().dvc_remote_url
    found = read_blobs(repository, [name := f"{revision}:{CONFIG}"])
    if name not in found:
        raise VersionError(f"{repository}: revision {revision[:12]} holds no {CONFIG}")
    url = contents.remote_of(found[name])
    if url != wanted and "://" in url + wanted:  # A folder has several names.
        raise VersionError(
            f"{repository}: {CONFIG}: url: the contents are in {url}, and EVERGREEN_DATA_REMOTE asks for {wanted}. Set "
            "it as it was, or move them in a clone: dvc fetch --all-commits, dvc remote modify --local store url "
            f"{wanted}, dvc push --all-commits, dvc remote modify store url {wanted}, git commit --all --message "
            "moved, git push"
        )
    return found[name]


def _commit(files: Mapping[str, bytes], message: str) -> str:
    """Commit files on top of whatever the newest revision is by then."""
    repository = get_settings().data_repository
    for _ in range(COMMIT_ATTEMPTS):
        parent = head_or_none()
        named = {f"{parent}:{path}": content for path, content in files.items()}
        if parent and read_blobs(repository, list(named)) == named:
            return parent
        try:
            revision = commit(repository, BRANCH, parent, files, message)
        except GitError as error:
            if head_or_none() == parent:
                raise VersionError(f"nothing is published: {error}") from error
            continue  # Somebody else was first.
        run(repository, "gc", "--auto", "--quiet")
        return revision
    raise VersionError(f"{repository}: {COMMIT_ATTEMPTS} times another commit was first; publish again")
