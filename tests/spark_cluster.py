"""A Spark cluster of its own for tests and benchmarks: a master and two workers, each a process on loopback."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from importlib.util import find_spec
from pathlib import Path

CLASSES = "org.apache.spark.deploy"
WORKERS = 2
DEFAULTS = """\
spark.ui.enabled false
spark.driver.memory 512m
spark.executor.cores 1
spark.sql.shuffle.partitions 4
spark.network.timeout 60s
"""


def missing() -> str | None:
    """What is to be installed, in words; None where a cluster can be started."""
    if find_spec("pyspark") is None:
        return "pyspark is not installed (requirements-spark.txt)"
    if shutil.which("java") is None:
        return "java is not installed (Debian: apt-get install openjdk-17-jre-headless)"
    return None


@contextmanager
def spark_cluster(folder: Path, memory: str = "768m") -> Iterator[str]:
    """Runs the cluster; yields its address. ``memory``: of each executor's JVM. Its logs are in ``folder``."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "spark-defaults.conf").write_text(f"{DEFAULTS}spark.executor.memory {memory}\n")
    with ExitStack() as stack:
        _set(stack, "SPARK_CONF_DIR", str(folder))
        _set(stack, "SPARK_LOCAL_IP", "127.0.0.1")
        options = ("--host", "127.0.0.1", "--port", "0", "--webui-port", "0")
        log = _start(stack, folder, "master", f"{CLASSES}.master.Master", *options)
        address = _said(log, r"Starting Spark master at (spark://\S+)")
        for number in range(WORKERS):
            place = ("--cores", "1", "--memory", memory, "--work-dir", str(folder / f"work-{number}"))
            name = f"worker-{number}"
            log = _start(stack, folder, name, f"{CLASSES}.worker.Worker", *options, *place, address)
            _said(log, r"(Successfully registered with master)")
        yield address


def _set(stack: ExitStack, name: str, value: str) -> None:
    before = os.environ.get(name)
    os.environ[name] = value
    stack.callback(lambda: os.environ.pop(name) if before is None else os.environ.update({name: before}))


def _start(stack: ExitStack, folder: Path, name: str, *command: str) -> Path:
    log = folder / f"{name}.log"
    home = Path(str(find_spec("pyspark").origin)).parent  # type: ignore[union-attr]
    environment = {
        **os.environ,
        "SPARK_HOME": str(home),
        "SPARK_DAEMON_MEMORY": "256m",
        "PYSPARK_PYTHON": sys.executable,
    }
    with log.open("wb") as stream:
        process = subprocess.Popen(
            [str(home / "bin" / "spark-class"), *command], env=environment, stdout=stream, stderr=stream
        )
    stack.callback(_end, process)
    return log


def _end(process: subprocess.Popen[bytes]) -> None:
    process.terminate()
    try:
        process.wait(timeout=30)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


def _said(log: Path, pattern: str) -> str:
    """What a process has written into its log, once it has."""
    for _ in range(600):
        found = re.search(pattern, log.read_text(errors="replace"))
        if found:
            return found[1]
        time.sleep(0.1)
    raise TimeoutError(f"{log}: {pattern} was not said:\n{log.read_text(errors='replace')[-2000:]}")
