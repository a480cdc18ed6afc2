"""Makes a version again from what was recorded of it, in a home of its own: ``python -m include.training.rebuild``.

It runs as a process of its own, so that it can run the code of the recorded commit. What is compared with what, and
what a difference means, is left to the caller.
"""

from __future__ import annotations

import argparse
import tempfile
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import polars as pl

from include.contract.loading import Folder, load_use_case
from include.features import compute
from include.features.store import EVENT_TIMESTAMP
from include.files import read_json, write_json
from include.records import Record
from include.registry.artifacts import save_model
from include.training import candidate, training_set
from include.training.evaluate import PREDICTION
from include.training.provenance import Environment, Provenance, files_of

RESULT = "result.json"
PREDICTIONS = "predictions.parquet"


@dataclass(frozen=True)
class Result(Record):
    """What came out; the predictions for the test stretch lie beside it. ``spread``: between two fits."""

    environment: Environment
    files: dict[str, str]
    definition_hash: str
    training_set: str
    digest: str
    spread: float


def rebuild(use_case: Folder, recorded: Provenance, folder: Path) -> Result:
    """Compute the features anew from the recorded revision, build the training set, fit twice, predict the test."""
    config = use_case.config
    partitions = config.calendar.span(
        config.calendar.partition(recorded.first), config.calendar.partition(recorded.last)
    )
    compute.compute(use_case, [each for each in partitions if each.key in recorded.partitions], recorded.data_revision)
    until = config.calendar.partition(recorded.last)
    prepared = training_set.build(use_case, until, recorded.plan, recorded.data_revision)
    lesson = candidate.Lesson.of(use_case, prepared)
    learned, again = (candidate.learn(use_case, lesson, recorded.params) for _ in range(2))
    test = prepared.read("test")
    predictions = learned.predict(test)
    spread = float(np.max(np.abs(predictions - again.predict(test)), initial=0.0))
    key = [*config.entity.key, EVENT_TIMESTAMP]
    test.select(key).with_columns(pl.Series(PREDICTION, predictions)).write_parquet(folder / PREDICTIONS)
    with tempfile.TemporaryDirectory(dir=folder) as scratch:
        digest = save_model(
            learned.model,
            Path(scratch) / "model",
            task=config.task,
            features=learned.features,
            example=lesson.examples.frame,
            threshold=config.serving.threshold,
        )
    result = Result(
        Environment.here(), files_of(use_case), prepared.definition_hash, prepared.content_hash, digest, spread
    )
    write_json(folder / RESULT, result.to_dict())
    return result


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m include.training.rebuild", description=__doc__)
    parser.add_argument("provenance", type=Path, help="the provenance.json of the version")
    parser.add_argument("folder", type=Path, help="where the result goes")
    options = parser.parse_args()
    recorded = Provenance.from_dict(read_json(options.provenance))
    rebuild(load_use_case(recorded.use_case), recorded, options.folder)


if __name__ == "__main__":
    main()
