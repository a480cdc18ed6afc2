"""Proves that a version can be made again, or says why not.

The recorded commit is unpacked, the features are computed anew from the recorded data revision, the training set is
built and its hash compared, the model is fitted with the recorded parameters, and its predictions for the test stretch
are held against the recorded ones.
"""

from __future__ import annotations

import io
import logging
import os
import subprocess
import sys
import tarfile
import tempfile
from dataclasses import replace
from pathlib import Path

import polars as pl

from include.contract.loading import FILE, Folder
from include.files import read_json, remove_older, write_json
from include.ingestion.git import GitError, git_bytes, run
from include.registry import models
from include.registry.runs import TEST_FILE, logged_file
from include.settings import REPOSITORY, get_settings
from include.training import reproduction
from include.training.evaluate import PREDICTION
from include.training.provenance import THREAD_POOLS, Environment, Provenance, code_here, files_of, partitions_of
from include.training.rebuild import PREDICTIONS, RESULT, Result
from include.training.recording import PROVENANCE_FILE
from include.training.reproduction import Rebuilt, Reproduction

log = logging.getLogger(__name__)

SCRATCH = "reproduce-"
ABANDONED_AFTER_SECONDS = 24 * 3600


def reproduce(use_case: Folder, number: int, tolerance: float = reproduction.TOLERANCE) -> Reproduction:
    """Make a version again in a scratch folder; the verdict is kept. Nothing of the version is changed.

    ``tolerance``: by how much a prediction may differ. ``ModelNotFound`` where there is no such version, ``ValueError``
    where nothing is recorded of what it was made of.
    """
    name = use_case.config.name
    version = models.get(name, number)
    file = _provenance(version)
    recorded = Provenance.from_dict(read_json(file))
    log.info("%s version %d: commit %s, data %s", name, number, recorded.code, recorded.data_revision[:12])
    work = get_settings().work
    work.mkdir(parents=True, exist_ok=True)
    remove_older(work, ABANDONED_AFTER_SECONDS, f"{SCRATCH}*")  # of killed processes
    with tempfile.TemporaryDirectory(dir=work, prefix=SCRATCH) as scratch:
        folder = Path(scratch).resolve()
        code = _code(recorded, folder / "code")
        then = _folder_in(code, use_case)
        failure = _rebuild(recorded, file, folder, code, then)
        found = (
            _unable(recorded, code, then, failure, tolerance)
            if failure
            else reproduction.judge(recorded, version.digest, _rebuilt(recorded, version, folder, code), tolerance)
        )
    write_json(record_file(name, number), found.to_dict())
    log.info("%s version %d: %s: %s", name, number, found.outcome, "; ".join(found.reasons))
    return found


def record_file(use_case: str, version: int) -> Path:
    """Where the last verdict on a version is kept."""
    return get_settings().reproductions / use_case / f"{version}.json"


def _provenance(version: models.ModelVersion) -> Path:
    import mlflow

    logged = mlflow.MlflowClient(models.tracking_uri()).list_artifacts(version.run_id)
    if PROVENANCE_FILE not in {each.path for each in logged}:
        raise ValueError(
            f"{version.use_case} version {version.version}: its run {version.run_id} has no {PROVENANCE_FILE}, so that "
            f"nobody knows what it was made of; versions that {version.use_case}.train makes have one"
        )
    return logged_file(version, PROVENANCE_FILE)


def _code(recorded: Provenance, checkout: Path) -> Path:
    """The recorded commit, unpacked; the running code where it is the same, or where there is no such commit."""
    commit = recorded.code.commit
    if code_here() == recorded.code or run(REPOSITORY, "cat-file", "-e", f"{commit}^{{commit}}").returncode:
        return REPOSITORY
    packed = git_bytes(REPOSITORY, "archive", "--format=tar", commit)
    with tarfile.open(fileobj=io.BytesIO(packed)) as archive:
        archive.extractall(checkout, filter="data")
    return checkout


def _folder_in(code: Path, use_case: Folder) -> Folder:
    """The use case as ``code`` has it; as it is now where it is no part of the project."""
    path = use_case.path.resolve()
    if path.is_relative_to(REPOSITORY) and (code / path.relative_to(REPOSITORY) / FILE).is_file():
        path = code / path.relative_to(REPOSITORY)
    return replace(use_case, path=path)


def _rebuild(recorded: Provenance, file: Path, folder: Path, code: Path, use_case: Folder) -> str:
    """Run the rebuild with the code of ``code``; the end of what it said where it failed."""
    home = folder / "home"
    home.mkdir()
    (home / "data").symlink_to(get_settings().data_repository.parent.resolve())
    threads = recorded.environment.threads
    env = {
        **{name: value for name, value in os.environ.items() if name not in THREAD_POOLS},
        **(dict.fromkeys(THREAD_POOLS, threads) if threads else {}),
        "EVERGREEN_HOME": str(home),
        "EVERGREEN_REDIS": "",
        "EVERGREEN_FEATURE_REGISTRY": "",
        "EVERGREEN_USE_CASE_PATHS": str(use_case.path.parent),
        "PYTHONPATH": os.pathsep.join(filter(None, [str(code), os.environ.get("PYTHONPATH")])),
    }
    command = [sys.executable, "-m", "include.training.rebuild", str(file.resolve()), str(folder)]
    done = subprocess.run(command, cwd=code, env=env, capture_output=True, text=True, check=False)
    if done.returncode == 0:
        return ""
    log.error("the rebuild failed:\n%s", done.stderr)
    return next((line for line in reversed(done.stderr.splitlines()) if line.strip()), f"exit {done.returncode}")


def _rebuilt(recorded: Provenance, version: models.ModelVersion, folder: Path, code: Path) -> Rebuilt:
    result = Result.from_dict(read_json(folder / RESULT))
    return Rebuilt(
        commit=_commit(recorded, code),
        files=result.files,
        # The libraries are those of the running project, whichever lock the unpacked commit has.
        environment=replace(result.environment, lock=Environment.here().lock),
        partitions=_contents(recorded),
        definition_hash=result.definition_hash,
        training_set=result.training_set,
        digest=result.digest,
        difference=_difference(pl.read_parquet(logged_file(version, TEST_FILE)), pl.read_parquet(folder / PREDICTIONS)),
        spread=result.spread,
    )


def _unable(recorded: Provenance, code: Path, use_case: Folder, failure: str, tolerance: float) -> Reproduction:
    """A rebuild that failed is a difference too, and has its cause."""
    try:
        contents = _contents(recorded)
    except (GitError, OSError, ValueError) as error:
        return reproduction.unreadable(recorded, str(error), tolerance)
    known = Rebuilt(
        commit=_commit(recorded, code),
        files=files_of(use_case),
        environment=replace(Environment.here(), threads=recorded.environment.threads),
        partitions=contents,
        definition_hash=recorded.definition_hash,
        training_set=recorded.training_set,
        digest="",
        difference=None,
        spread=0.0,
    )
    return reproduction.unable(recorded, known, failure, tolerance)


def _commit(recorded: Provenance, code: Path) -> str:
    return recorded.code.commit if code != REPOSITORY else code_here().commit


def _contents(recorded: Provenance) -> dict[str, str]:
    """The hashes of the bytes of the raw partitions as they are read now."""
    now = partitions_of(recorded.use_case, recorded.data_revision, recorded.first, recorded.last)
    return {key: partition.content for key, partition in now.items()}


def _difference(then: pl.DataFrame, now: pl.DataFrame) -> float | None:
    """The largest difference of a prediction; None where the rows are not the same."""
    key = [name for name in now.columns if name != PREDICTION]
    both = then.select(*key, pl.col(PREDICTION)).join(now, on=key, how="inner", suffix="_now", validate="1:1")
    if not both.height == then.height == now.height:
        return None
    return float((both[PREDICTION] - both[f"{PREDICTION}_now"]).abs().max() or 0.0)  # type: ignore[arg-type]
