"""Proves that a version can be made again, or says why not.

The recorded commit is checked out, the features are computed anew from the recorded data revision, the training set is
built and its hash compared, the model is fitted with the recorded parameters, and its predictions for the test stretch
are held against the recorded ones.
"""

from __future__ import annotations

import logging
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import polars as pl

from include.contract.loading import Folder
from include.files import read_json, write_json
from include.ingestion import versions
from include.registry import models
from include.registry.runs import logged_file
from include.settings import REPOSITORY, get_settings
from include.training import reproduction
from include.training.evaluate import PREDICTION
from include.training.provenance import THREADS, Provenance, code_here, partitions_of
from include.training.rebuild import PREDICTIONS, RESULT, Result
from include.training.recording import PROVENANCE_FILE, TEST_FILE
from include.training.reproduction import Cause, Rebuilt, Reproduction

log = logging.getLogger(__name__)


def reproduce(use_case: Folder, number: int, tolerance: float = reproduction.TOLERANCE) -> Reproduction:
    """Make a version again in a scratch folder; the verdict is kept. Nothing of the version is changed."""
    name = use_case.config.name
    version = models.get(name, number)
    file = logged_file(version, PROVENANCE_FILE)
    recorded = Provenance.from_dict(read_json(file))
    log.info("%s version %d: commit %s, data %s", name, number, recorded.code, recorded.data_revision[:12])
    settings = get_settings()
    settings.work.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=settings.work, prefix="reproduce-") as scratch, _code(recorded) as code:
        folder = Path(scratch)
        failure = _rebuild(recorded, file, folder, code)
        found = (
            _unable(recorded, failure)
            if failure
            else reproduction.judge(recorded, version.digest, _rebuilt(recorded, version, folder, code), tolerance)
        )
    write_json(record_file(name, number), found.to_dict())
    log.info("%s version %d: %s: %s", name, number, found.outcome, "; ".join(found.reasons))
    return found


def record_file(use_case: str, version: int) -> Path:
    """Where the last verdict on a version is kept."""
    return get_settings().home / "reproductions" / use_case / f"{version}.json"


@contextmanager
def _code(recorded: Provenance) -> Iterator[Path]:
    """A checkout of the recorded commit; the running code where it is that commit, or where there is no such commit."""
    here = code_here()
    known = ["git", "cat-file", "-e", f"{recorded.code.commit}^{{commit}}"]
    if here == recorded.code or subprocess.run(known, cwd=REPOSITORY, capture_output=True, check=False).returncode:
        yield REPOSITORY
        return
    with tempfile.TemporaryDirectory(dir=get_settings().work, prefix="code-") as scratch:
        checkout = Path(scratch) / "code"
        add = ["git", "worktree", "add", "--detach", "--quiet", str(checkout), recorded.code.commit]
        subprocess.run(add, cwd=REPOSITORY, check=True, capture_output=True)
        try:
            yield checkout
        finally:
            shutil.rmtree(checkout)
            subprocess.run(["git", "worktree", "prune"], cwd=REPOSITORY, check=True, capture_output=True)


def _rebuild(recorded: Provenance, file: Path, folder: Path, code: Path) -> str:
    """Run the rebuild with the code of ``code``; the end of what it said where it failed."""
    settings = get_settings()
    home = folder / "home"
    home.mkdir()
    (home / "data").symlink_to(settings.data_repository.parent)
    folders = [code / path.relative_to(REPOSITORY) if path.is_relative_to(REPOSITORY) else path
               for path in settings.use_case_folders]  # fmt: skip
    env = {
        **os.environ,
        "EVERGREEN_HOME": str(home),
        "EVERGREEN_REDIS": "",
        "EVERGREEN_USE_CASE_PATHS": os.pathsep.join(map(str, folders)),
        "PYTHONPATH": str(code),
        THREADS: recorded.environment.threads,
    }
    command = [sys.executable, "-m", "include.training.rebuild", str(file), str(folder)]
    done = subprocess.run(command, cwd=code, env=env, capture_output=True, text=True, check=False)
    if done.returncode == 0:
        return ""
    log.error("the rebuild failed:\n%s", done.stderr)
    return next((line for line in reversed(done.stderr.splitlines()) if line.strip()), f"exit {done.returncode}")


def _rebuilt(recorded: Provenance, version: models.ModelVersion, folder: Path, code: Path) -> Rebuilt:
    result = Result.from_dict(read_json(folder / RESULT))
    now = partitions_of(recorded.use_case, recorded.data_revision, recorded.first, recorded.last)
    return Rebuilt(
        commit=recorded.code.commit if code != REPOSITORY else code_here().commit,
        environment=result.environment,
        partitions={key: partition.content for key, partition in now.items()},
        definition_hash=result.definition_hash,
        training_set=result.training_set,
        digest=result.digest,
        difference=_difference(pl.read_parquet(logged_file(version, TEST_FILE)), pl.read_parquet(folder / PREDICTIONS)),
        spread=result.spread,
    )


def _difference(then: pl.DataFrame, now: pl.DataFrame) -> float | None:
    """The largest difference of a prediction; None where the rows are not the same."""
    key = [name for name in now.columns if name != PREDICTION]
    both = then.select(*key, pl.col(PREDICTION)).join(now, on=key, how="inner", suffix="_now", validate="1:1")
    if not both.height == then.height == now.height:
        return None
    return float((both[PREDICTION] - both[f"{PREDICTION}_now"]).abs().max() or 0.0)  # type: ignore[arg-type]


def _unable(recorded: Provenance, failure: str) -> Reproduction:
    """A rebuild that failed is a difference too; where raw data is gone, that is why."""
    try:
        now = partitions_of(recorded.use_case, recorded.data_revision, recorded.first, recorded.last)
        gone = sorted(recorded.partitions.keys() - now.keys())
        detail = f"{len(gone)} raw partitions are gone, {gone[0]} first" if gone else ""
    except (versions.VersionError, OSError) as error:
        detail = f"the raw data of revision {recorded.data_revision[:12]} cannot be read: {error}"
    cause = Cause("data", detail) if detail else Cause("code", f"the rebuild failed: {failure}")
    return Reproduction(
        "different", None, reproduction.TOLERANCE, (cause,), ("it could not be made again", cause.detail)
    )
