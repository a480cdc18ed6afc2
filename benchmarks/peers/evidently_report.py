"""Evidently's default report of drift, run in an environment of its own: ``evidently_report.py FILE...``.

Files come in pairs, reference and current, as Parquet. Prints one JSON line a pair: how many columns have drifted, the
CPU seconds of reading and comparing, without imports, and the process's peak memory so far in MiB.
"""

# mypy: ignore-errors
from __future__ import annotations

import json
import resource
import sys
import time

import pandas as pd
from evidently import Report
from evidently.presets import DataDriftPreset


def main() -> None:
    files = sys.argv[1:]
    for reference, current in zip(files[::2], files[1::2], strict=True):
        started = time.process_time()
        frames = [pd.read_parquet(file) for file in (current, reference)]
        found = Report([DataDriftPreset()]).run(*frames).dict()
        (count,) = [each["value"]["count"] for each in found["metrics"] if "DriftedColumnsCount" in each["metric_name"]]
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
        print(json.dumps({"drifted": count, "cpu": time.process_time() - started, "peak": peak}), flush=True)


if __name__ == "__main__":
    main()
