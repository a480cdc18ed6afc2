"""What it takes to parse and serialize all DAG files with so many use cases, in an interpreter of its own."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks.airflow_system import copy_use_case
from include.settings import REPOSITORY

PARSE = """
import json, resource, time
from pathlib import Path
from airflow.dag_processing.dagbag import DagBag
from airflow.serialization.serialized_objects import DagSerialization

def parse(file):
    began = time.process_time()
    dags = list(DagBag(str(file), bundle_name="benchmark").dags.values())
    parsed = time.process_time()
    size = sum(len(json.dumps(DagSerialization.to_dict(dag))) for dag in dags)
    return {
        "file": file.name, "dags": len(dags), "tasks": sum(len(dag.tasks) for dag in dags), "bytes": size,
        "parse": parsed - began, "serialize": time.process_time() - parsed,
    }

files = sorted(Path("dags").glob("*.py"))
for file in files:  # imports what the files need
    parse(file)
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
print(json.dumps({"files": [parse(file) for file in files],
                  "peak": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024}))
"""


@dataclass(frozen=True)
class Parsed:
    """What it took to parse and serialize all DAG files: CPU seconds, MiB, bytes."""

    use_cases: int
    files: tuple[dict[str, Any], ...]
    peak: float

    def total(self, key: str) -> float:
        return float(sum(file[key] for file in self.files))

    @property
    def seconds(self) -> float:
        return self.total("parse") + self.total("serialize")

    @property
    def slowest(self) -> dict[str, Any]:
        return max(self.files, key=lambda file: file["parse"])


def parse(folder: Path, count: int) -> Parsed:
    """In a fresh interpreter that has all imports behind it, as the DAG processor's children have."""
    for number in range(1, count + 1):
        copy_use_case(folder / "use_cases", number)
    env = {
        **os.environ, "AIRFLOW_HOME": str(folder), "EVERGREEN_HOME": str(folder), "PYTHONPATH": str(REPOSITORY),
        "EVERGREEN_USE_CASE_PATHS": str(folder / "use_cases"),
        "AIRFLOW__DATABASE__SQL_ALCHEMY_CONN": f"sqlite:///{folder / 'airflow.db'}",
    }  # fmt: skip
    done = subprocess.run(
        [sys.executable, "-c", PARSE], cwd=REPOSITORY, env=env, check=True, stdout=subprocess.PIPE, text=True
    )
    found = json.loads(done.stdout.splitlines()[-1])
    return Parsed(count, tuple(found["files"]), found["peak"])


def crossing(counts: Sequence[int], seconds: Sequence[float], limit: float) -> float:
    """The number of use cases at which a cost that grows in a straight line from the first to the last is ``limit``.

    ``ValueError`` where it does not grow.
    """
    slope = (seconds[-1] - seconds[0]) / (counts[-1] - counts[0])
    if slope <= 0:
        raise ValueError(f"it does not grow: {', '.join(f'{value:.3g}' for value in seconds)}")
    return counts[0] + (limit - seconds[0]) / slope
