"""The Spark cluster of EVERGREEN_SPARK, for use cases whose ``engine`` asks for it.

Its executors run this project's own functions: they need the same Python (another path of it is PYSPARK_PYTHON), the
same packages, this folder and the folder of ``EVERGREEN_HOME`` at the same paths as here.
"""

from __future__ import annotations

import json
import shutil
import socket
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from importlib.util import find_spec
from os import environ
from typing import TYPE_CHECKING, Any, TypeVar
from urllib.parse import urlsplit

from include.settings import REPOSITORY, get_settings

if TYPE_CHECKING:
    import pyarrow as pa
    from pyspark.sql import SparkSession

T = TypeVar("T")
CONNECT_TIMEOUT = 10  # seconds


class SparkError(RuntimeError):
    """Spark cannot be had; the message names the setting, the package or the address, and the cure."""


@contextmanager
def session(use_case: str, stage: str) -> Iterator[SparkSession]:
    """A Spark application of its own; it ends with the block. ``engine.<stage>`` is the key that asked for it.

    Anything else than what is set here is read from Spark's own ``conf/spark-defaults.conf`` (``SPARK_CONF_DIR``).
    """
    master = _require(use_case, stage)
    from py4j.protocol import Py4JError
    from pyspark.errors import PySparkException
    from pyspark.sql import SparkSession

    options = {
        "spark.ui.showConsoleProgress": "false",
        **{f"spark.executorEnv.{name}": value for name, value in _environment().items()},
    }
    environ.setdefault("PYSPARK_PYTHON", sys.executable)  # read here for the executors
    builder = SparkSession.builder.master(master).appName(f"{use_case}.{stage}")
    try:
        opened = builder.config(map=options).getOrCreate()
    except (PySparkException, Py4JError, OSError) as error:
        why = " ".join(str(error).splitlines()[:2])  # below that, Java's stack
        raise SparkError(f"EVERGREEN_SPARK={master}: no Spark application can be started: {why}") from error
    try:
        yield opened
    finally:
        opened.stop()


def each(session: SparkSession, function: Callable[[T], Any], tasks: Sequence[T]) -> list[Any]:
    """What ``function`` answers to each task, in their order: one Spark task for each, on whichever executor is free.

    A task whose executor is lost runs again, and may run twice at a time: what it writes must take its place whole.
    Answers are small and must be JSON.
    """

    def run(batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        import pyarrow as pa

        for batch in batches:
            numbers = batch.column(0).to_pylist()
            answers = [json.dumps(function(tasks[number])) for number in numbers]
            yield pa.RecordBatch.from_pydict({"number": numbers, "answer": answers})

    frame = session.range(0, len(tasks), 1, max(1, len(tasks)))
    found = frame.mapInArrow(run, "number long, answer string").collect()
    answers = {row.number: json.loads(row.answer) for row in found}
    return [answers[number] for number in range(len(tasks))]


def _require(use_case: str, stage: str) -> str:
    """The cluster's address; ``SparkError`` where anything is missing that can be told beforehand."""
    asked = f"{use_case}/use_case.yaml: engine.{stage}: spark"
    master = get_settings().spark
    if not master:
        raise SparkError(
            f"{asked} needs a cluster, and EVERGREEN_SPARK is not set: set it to the address of one, "
            f"e.g. spark://host:7077, or set engine.{stage} to embedded"
        )
    if find_spec("pyspark") is None:
        raise SparkError(f"{asked} needs pyspark: install requirements-spark.txt, or set engine.{stage} to embedded")
    if not (environ.get("JAVA_HOME") or shutil.which("java")):
        raise SparkError(f"{asked} needs Java 17, and there is none: install it (Debian: openjdk-17-jre-headless)")
    if master.startswith("spark://"):
        _reach(master)
    return master


def _reach(master: str) -> None:
    """Spark itself gives up after a minute, and says less."""
    for address in master.removeprefix("spark://").split(","):
        parts = urlsplit(f"//{address}")
        with (
            suppress(OSError, ValueError),
            socket.create_connection((parts.hostname or "", parts.port or 0), timeout=CONNECT_TIMEOUT),
        ):
            return
    raise SparkError(f"EVERGREEN_SPARK={master}: nothing answers there; start the cluster or correct the address")


def _environment() -> dict[str, str]:
    """What the executors' Python must know; secrets are not in it, since Spark shows it on its pages."""
    settings = get_settings()
    return {
        "PYTHONPATH": str(REPOSITORY),
        "EVERGREEN_HOME": str(settings.home),
        "EVERGREEN_USE_CASE_PATHS": settings.use_case_paths,
        "EVERGREEN_THREADS": str(settings.threads),
        "EVERGREEN_MEMORY": str(settings.memory),
        "OMP_NUM_THREADS": str(settings.threads),
        "POLARS_MAX_THREADS": str(settings.threads),
    }
