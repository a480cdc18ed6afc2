"""What a training run was made of: code, environment, data, features, parameters. Enough to make it again."""

from __future__ import annotations

import hashlib
import importlib.metadata
import os
import platform
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from include.contract.loading import FILE, Folder
from include.contract.training import Scalar
from include.ingestion import versions
from include.ingestion.batch import RECORD
from include.ingestion.git import run
from include.records import Record
from include.registry.artifacts import LIBRARIES
from include.settings import REPOSITORY, get_settings
from include.training.training_set import Plan, TrainingSet

LOCK = REPOSITORY / "requirements.txt"
THREADS = "OMP_NUM_THREADS"
THREAD_POOLS = (THREADS, "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "VECLIB_MAXIMUM_THREADS")  # the order of sums
COMPUTING = (*LIBRARIES, "feast", "polars", "pyarrow")  # what rows, models and predictions come from
UNKNOWN = "unknown"  # the commit outside a checkout
DIRTY = "-dirty"  # behind a commit: files differed from it


@dataclass(frozen=True)
class Code(Record):
    """The commit of the project. ``changes`` is the hash of what differed from it, empty where nothing did."""

    commit: str
    changes: str

    @property
    def clean(self) -> bool:
        return self.commit != UNKNOWN and not self.changes

    def __str__(self) -> str:
        return f"{self.commit}{DIRTY}" if self.changes else self.commit


@dataclass(frozen=True)
class Environment(Record):
    """What computed: interpreter, processor, numeric threads, the hash of the lock, and the libraries that matter."""

    python: str
    machine: str
    threads: str
    lock: str
    libraries: dict[str, str]

    @classmethod
    def here(cls) -> Environment:
        return cls(
            python=platform.python_version(),
            machine=platform.machine(),
            threads=os.environ.get(THREADS, ""),
            lock=_digest(LOCK) if LOCK.is_file() else "",
            libraries={name: importlib.metadata.version(name) for name in COMPUTING},
        )


@dataclass(frozen=True)
class Partition(Record):
    """A raw partition: the hashes of its folder in the data repository, of its bytes, and of its validation result."""

    md5: str
    content: str
    validation: str


@dataclass(frozen=True)
class Provenance(Record):
    """All that a run was made of, as it is logged beside its model.

    ``files``: by name the hashes of the use case's own files, which may lie outside the project and its commits.
    """

    use_case: str
    code: Code
    environment: Environment
    data_revision: str
    partitions: dict[str, Partition]
    first: str
    last: str
    plan: Plan
    definition_hash: str
    training_set: str
    params: dict[str, Scalar]
    origin: str
    reason: str
    files: dict[str, str] = field(default_factory=dict)

    @classmethod
    def of(
        cls, use_case: Folder, prepared: TrainingSet, params: Mapping[str, Scalar], *, origin: str, reason: str
    ) -> Provenance:
        """Of a run in this process, on a training set that is written."""
        name = use_case.config.name
        return cls(
            use_case=name,
            code=code_here(),
            environment=Environment.here(),
            data_revision=prepared.data_revision,
            partitions=partitions_of(name, prepared.data_revision, prepared.first, prepared.last),
            first=prepared.first,
            last=prepared.last,
            plan=prepared.plan,
            definition_hash=prepared.definition_hash,
            training_set=prepared.content_hash,
            params=dict(params),
            origin=origin,
            reason=reason,
            files=files_of(use_case),
        )


def code_here() -> Code:
    """The commit of the checkout that this process runs from, and what differs from it."""
    commit = _git("rev-parse", "HEAD").decode().strip()
    if not commit:
        built = get_settings().code_revision
        return Code(built.removesuffix(DIRTY) or UNKNOWN, "as the image was built" if built.endswith(DIRTY) else "")
    untracked = _git("ls-files", "--others", "--exclude-standard", "-z").decode().split("\0")
    changed = _git("diff", "HEAD", "--binary")
    for name in sorted(filter(None, untracked)):
        changed += f"{name}\0{_digest(REPOSITORY / name)}\0".encode()
    return Code(commit, hashlib.sha256(changed).hexdigest() if changed else "")


def _git(*command: str) -> bytes:
    """The answer of git; nothing where there is no checkout."""
    answer = run(REPOSITORY, *command)
    return answer.stdout if answer.returncode == 0 else b""


def files_of(use_case: Folder) -> dict[str, str]:
    """The hashes of a use case's modules and of its configuration, by the name within its folder."""
    files = [use_case.path / FILE, *use_case.path.rglob("*.py")]
    return {file.relative_to(use_case.path).as_posix(): _digest(file) for file in sorted(files)}


def partitions_of(use_case: str, revision: str, first: str, last: str) -> dict[str, Partition]:
    """The raw partitions of a revision from ``first`` to ``last`` as they are read now."""
    known = versions.pointers(use_case, revision)
    used = {key: pointer for key, pointer in known.items() if first <= key <= last}
    files = versions.files(use_case, revision, list(used))
    return {
        key: Partition(pointer.md5, _content(files[key]), _digest(files[key][RECORD])) for key, pointer in used.items()
    }


def _content(files: Mapping[str, Path]) -> str:
    digest = hashlib.sha256()
    for name in sorted(files):
        digest.update(f"{name}\0{_digest(files[name])}\0".encode())
    return digest.hexdigest()


def _digest(file: Path) -> str:
    return hashlib.sha256(file.read_bytes()).hexdigest()
