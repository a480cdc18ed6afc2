"""What parsing the DAG files costs beyond the import of ``airflow.sdk``, which every DAG file needs.

Each measurement is a fresh interpreter: the DAG processor parses a file in a process of its own, and a task parses its
file again before it starts.
"""

from __future__ import annotations

import os
import resource
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

REPOSITORY = Path(__file__).resolve().parent.parent
LIBRARIES = ("apache-airflow",)
REPEATS = 7
LIMIT = 0.5

BASELINE = "import airflow.sdk"
ALL_FILES = """
import airflow.sdk, importlib.util, pathlib
for file in sorted(pathlib.Path("dags").glob("*.py")):
    spec = importlib.util.spec_from_file_location("dag_" + file.stem, file)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
"""


def cpu_seconds(code: str, env: dict[str, str]) -> float:
    """User and system seconds of an interpreter that runs this."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    subprocess.run([sys.executable, "-c", code], cwd=REPOSITORY, env=env, check=True, stdout=subprocess.DEVNULL)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return (after.ru_utime + after.ru_stime) - (before.ru_utime + before.ru_stime)


def run() -> list[dict[str, Any]]:
    with tempfile.TemporaryDirectory() as folder:
        env = {**os.environ, "AIRFLOW_HOME": folder, "EVERGREEN_HOME": folder, "PYTHONPATH": str(REPOSITORY)}
        for code in (BASELINE, ALL_FILES):  # compiles what has never been imported
            cpu_seconds(code, env)
        pairs = [(cpu_seconds(BASELINE, env), cpu_seconds(ALL_FILES, env)) for _ in range(REPEATS)]
    baseline = statistics.median(pair[0] for pair in pairs)
    ours = statistics.median(pair[1] for pair in pairs)
    extra = statistics.median(pair[1] - pair[0] for pair in pairs)
    files = len(list((REPOSITORY / "dags").glob("*.py")))
    return [
        {
            "name": f"parsing all {files} DAG files",
            "ours": ours,
            "peer": baseline,
            "limit": baseline + LIMIT,
            "ratio": ours / baseline,
            "goal": f"at most {LIMIT} CPU s more than a file that imports only airflow.sdk",
            "met": extra <= LIMIT,
            "unit": "CPU s",
            "note": f"{extra:.2f} CPU s more",
        }
    ]
