"""What a training run was made of: code, environment, data, features, parameters. Enough to make it again."""

from __future__ import annotations

import hashlib
import importlib.metadata
import os
import platform
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from include.contract.use_case import Scalar
from include.ingestion import versions
from include.ingestion.batch import RECORD
from include.records import Record
from include.registry.artifacts import LIBRARIES
from include.settings import REPOSITORY
from include.training.training_set import Plan, TrainingSet

LOCK = REPOSITORY / "requirements.txt"
THREADS = "OMP_NUM_THREADS"


@dataclass(frozen=True)
class Code(Record):
    """The commit of the project. ``changes`` is the hash of what differed from it, empty where nothing did."""

    commit: str
    changes: str

    @property
    def clean(self) -> bool:
        return self.commit != UNKNOWN and not self.changes

    def __str__(self) -> str:
        return self.commit if not self.changes else f"{self.commit}-dirty"


UNKNOWN = "unknown"  # outside a checkout


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
            libraries={name: importlib.metadata.version(name) for name in LIBRARIES},
        )


@dataclass(frozen=True)
class Partition(Record):
    """A raw partition: the hashes of its folder in the data repository, of its bytes, and of its validation result."""

    md5: str
    content: str
    validation: str


@dataclass(frozen=True)
class Provenance(Record):
    """All that a run was made of, as it is logged beside its model."""

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

    @classmethod
    def of(
        cls, use_case: str, prepared: TrainingSet, params: Mapping[str, Scalar], *, origin: str, reason: str
    ) -> Provenance:
        """Of a run in this process, on a training set that is written."""
        return cls(
            use_case=use_case,
            code=code_here(),
            environment=Environment.here(),
            data_revision=prepared.data_revision,
            partitions=partitions_of(use_case, prepared.data_revision, prepared.first, prepared.last),
            first=prepared.first,
            last=prepared.last,
            plan=prepared.plan,
            definition_hash=prepared.definition_hash,
            training_set=prepared.content_hash,
            params=dict(params),
            origin=origin,
            reason=reason,
        )


def code_here() -> Code:
    """The commit of the checkout that this process runs from, and what differs from it."""
    commit = _git("rev-parse", "HEAD").decode().strip()
    if not commit:
        return Code(UNKNOWN, "")
    changed = _git("diff", "HEAD", "--binary") + _git("ls-files", "--others", "--exclude-standard", "-z")
    return Code(commit, hashlib.sha256(changed).hexdigest() if changed else "")


def _git(*command: str) -> bytes:
    """The answer of git; nothing where there is no checkout."""
    return subprocess.run(["git", *command], cwd=REPOSITORY, capture_output=True, check=False).stdout


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
