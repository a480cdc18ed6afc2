"""A thousand use cases and a billion rows a day on paper: products of costs that other benchmarks have measured.

Nothing is measured here. Each entry is one product, written out in its note; the costs are those in ``results.json``,
which ``make bench`` writes. A cost that grows in a straight line from the least to the most that was measured is taken
to go on so.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

RESULTS = Path(__file__).resolve().parent / "results.json"
USE_CASES, ROWS = 1000, 1_000_000_000
COUNTS = (1, 50)  # use cases with which a straight line begins and ends
FEATURES, VIEWS, KEYS = 60, 3, 100_000  # of a use case; keys that change in a day, in each view
LEARNT = 10_000_000  # rows of a training, once a week
BY_KEY = 0.1  # of the rows, asked for one by one by their entity's key
# ingest 3, features 2, score, monitor 3, compact; once a week train 3 and promote 4
TASKS = 10 + 7 / 7
DAY, WINDOW = 86_400, 6 * 3600  # seconds: a day, and a night in which a day's batches are to be done
PARSE_INTERVAL = 30  # seconds, the team's default
EMBEDDED = (13.0, 4_000_000)  # CPU s and rows of the features that ``ROWS=4000000 make bench ONLY=spark_engine`` makes


@dataclass(frozen=True)
class Line:
    """One product, and how it came about."""

    name: str
    value: float
    unit: str
    how: str

    def entry(self) -> dict[str, Any]:
        named = {"name": f"on paper: {self.name}", "ours": self.value, "unit": self.unit, "note": self.how}
        return {**named, "goal": None, "met": None}


class Costs:
    """What was measured, by benchmark and name of the entry."""

    def __init__(self, results: Mapping[str, Any]) -> None:
        self.results = results

    def entry(self, benchmark: str, name: str) -> Mapping[str, Any]:
        """The entry with this name, or the only one that begins with it; ``LookupError`` names what to run."""
        known: list[Mapping[str, Any]] = self.results.get(benchmark, {"entries": []})["entries"]
        found = [each for each in known if each["name"] == name] or [e for e in known if e["name"].startswith(name)]
        if len(found) != 1:
            raise LookupError(f"{RESULTS.name}: {len(found)} entries {name!r}: run make bench ONLY={benchmark}")
        return found[0]

    def ours(self, benchmark: str, name: str) -> float:
        return float(self.entry(benchmark, name)["ours"])

    def noted(self, benchmark: str, name: str) -> float:
        """The CPU seconds that the note of an entry tells."""
        note = self.entry(benchmark, name)["note"]
        found = re.search(r"([\d.]+) CPU s", note)
        if found is None:
            raise LookupError(f"{RESULTS.name}: {benchmark}, {name!r}: its note tells no CPU s: {note!r}")
        return float(found[1])

    def line(self, name: str) -> tuple[float, float]:
        """A cost of ``use_cases`` as a straight line: without use cases, and for each."""
        low, high = (self.ours("use_cases", f"{count} use cases: {name}") for count in COUNTS)
        each = (high - low) / (COUNTS[1] - COUNTS[0])
        return low - each * COUNTS[0], each


def run() -> list[dict[str, Any]]:
    costs = Costs(json.loads(RESULTS.read_text(encoding="utf-8")))
    rows, tasks = of_rows(costs), of_tasks(costs)
    return [line.entry() for line in [*rows, together(rows), of_requests(costs), *tasks, *of_use_cases(costs)]]


def of_rows(costs: Costs) -> list[Line]:
    """CPU seconds a day that grow with the rows."""
    checked = costs.ours("data_validation", "data validation: 41 expectations on 10,000,000 x 20")
    predicted = costs.ours("compiled_models", "boosted trees: predict 100,000 rows of columns")
    drift = costs.ours("drift_speed", "drift: 10,000,000 x 10, both samples, with the stored profile")
    online = costs.ours("online_store", "Redis: bring 100,000 keys online, 10 features")
    joined = costs.noted(
        "point_in_time", "point in time: peak memory of to_arrow, 10,000,000 rows to 3 views of 10,000,000"
    )
    keys = USE_CASES * VIEWS * KEYS
    trainings = USE_CASES * LEARNT // 7
    return [
        _product("validation, 41 expectations on 20 columns", ROWS, "rows", checked / 10_000_000),
        _product("features, embedded engine", ROWS, "rows", EMBEDDED[0] / EMBEDDED[1]),
        _product(f"{VIEWS} views online, Redis", keys, "keys", online / 100_000),
        _product("predictions in batch, boosted trees", ROWS, "rows", predicted / 100_000),
        _product(f"drift of {FEATURES} features", ROWS * FEATURES, "values", drift / 10 / 10_000_000),
        _product("joins of the trainings to 3 views", trainings, "rows", joined / 10_000_000),
    ]


def together(rows: Sequence[Line]) -> Line:
    seconds = sum(line.value for line in rows)
    how = f"{seconds:,.0f} CPU s in {WINDOW // 3600} hours; in {DAY // 3600} hours {seconds / DAY:.2f}"
    return Line("all of that in one night", seconds / WINDOW, "cores", how)


def of_requests(costs: Costs) -> Line:
    """The mean load of the replicas; features are looked up, predictions are logged."""
    asked, each = int(ROWS * BY_KEY), costs.ours("serving", "predict by a key that is not remembered")
    how = f"{asked:,} requests x {each:.3f} ms / {DAY:,} s, as a mean of the day"
    return Line(f"replicas, {BY_KEY:.0%} of the rows asked for by key", asked * each / 1000 / DAY, "cores", how)


def of_tasks(costs: Costs) -> list[Line]:
    """What the tasks cost, however little they do."""
    tasks, counted = USE_CASES * TASKS, f"{USE_CASES:,} use cases x {TASKS:.0f} tasks"
    empty = costs.ours("use_cases", "one more run of one task: CPU")
    worked = costs.ours("worker_slots", "worker slots: CPU of a task and Airflow")
    grown = costs.ours("use_cases", "one more run of one task: Airflow's database")
    stored = tasks * grown * 365 / 2**20
    return [
        Line("tasks that do nothing, Airflow included", tasks * empty, "CPU s", f"{counted} x {empty:.2f} s"),
        Line("tasks of 900 rows a day, Airflow included", tasks * worked, "CPU s", f"{counted} x {worked:.2f} s"),
        Line("Airflow's database, growth in a year", stored, "GiB", f"{counted} x {grown:.0f} KiB x 365 days"),
    ]


def of_use_cases(costs: Costs) -> list[Line]:
    """What the number of use cases costs, whatever they do."""
    nothing, file = costs.line("parsing the slowest DAG file")
    _, all_files = costs.line("parsing and serializing all DAG files")
    least, written = costs.line("DAG processor, one round of all files")
    empty, stored = costs.line("Airflow's database")
    page = costs.ours("pages", "Models page, overview, first look: 20 use cases")
    slowest, counted = nothing + USE_CASES * file, f"{USE_CASES:,} use cases x {TASKS:.0f} tasks"
    return [
        Line("the slowest DAG file", slowest, "CPU s", f"{USE_CASES:,} x {file * 1000:.1f} ms; Airflow gives it 30 s"),
        Line("parsing and serializing all DAG files", USE_CASES * all_files, "CPU s",
             f"{USE_CASES:,} x {all_files * 1000:.0f} ms"),
        Line("the DAG processor with what it writes", USE_CASES * written / PARSE_INTERVAL, "cores",
             f"{USE_CASES:,} x {written * 1000:.0f} ms every {PARSE_INTERVAL} s"),
        Line("that two cores keep up with", (2 * PARSE_INTERVAL - least) / written, "use cases",
             f"(2 x {PARSE_INTERVAL} s - {least:.1f} s) / {written * 1000:.0f} ms"),
        Line("the read of all use cases before each task", USE_CASES * TASKS * slowest, "CPU s",
             f"{counted} x {slowest:.1f} s: if a DAG file built the DAGs of all use cases for the task of one"),
        Line("Airflow's database without runs", (empty + USE_CASES * stored) / 1024, "GiB",
             f"{empty:.0f} MiB + {USE_CASES:,} x {stored:.2f} MiB"),
        Line("Models page, first look", page / 20 * USE_CASES / 1000, "s", f"{USE_CASES:,} x {page / 20:.1f} ms"),
    ]  # fmt: skip


def _product(name: str, count: int, of: str, seconds: float) -> Line:
    return Line(name, count * seconds, "CPU s", f"{count:,} {of} x {seconds * 1e6:.3g} µs")
