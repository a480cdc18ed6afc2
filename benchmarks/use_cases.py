"""1, 10 and 50 use cases in one Airflow: parsing, how late it is with what changed, what it costs idle, its database.

They are copies of ``flight_delay`` in a temporary folder. Parsing is measured in an interpreter of its own; the rest in
a real Airflow with PostgreSQL, whose folder of use cases grows while it runs. Tasks are those of the stage ``compact``:
one task a run, with nothing to do.
"""

from __future__ import annotations

import json
import statistics
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any

from benchmarks.airflow_system import (
    AIRFLOW,
    TEAM_PARSE_INTERVAL,
    Look,
    System,
    Used,
    airflow_system,
    copy_use_case,
    entry,
    in_words,
    quantile,
)
from benchmarks.parsed_dags import Parsed, crossing, parse
from include.contract.loading import FILE
from include.local.airflow_client import AirflowClient

REPOSITORY = Path(__file__).resolve().parent.parent
LIBRARIES = ("apache-airflow", "psycopg2-binary")
COUNTS = (1, 10, 50)
IDLE, ALONE, SLOTS = 60.0, 5, 4  # seconds; runs one after the other; tasks at a time, as in docker-compose.yaml
WITHIN = 600.0
FIRST = "flight_delay"
PARSED = "Worker startup parse complete"  # what a task logs of the parse before it starts


@dataclass(frozen=True)
class Watched:
    """A real Airflow with so many use cases; seconds, bytes."""

    use_cases: int
    dags: int
    new_seen: float
    change_seen: float
    oldest: float
    idle: Used
    alone: tuple[float, ...]
    at_once: tuple[float, ...]
    busy: Used
    parse_in_task: float
    database: int
    serialized: int
    run_bytes: float

    @property
    def round_cpu(self) -> float:
        """CPU seconds of the DAG processor until it has parsed and written everything once."""
        return self.idle.cpu["dag-processor"] / self.idle.seconds * self.oldest


def run() -> list[dict[str, Any]]:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        parsed = [parse(folder / f"parsed-{count}", count) for count in COUNTS]
        (folder / "use_cases").mkdir()
        with airflow_system(folder, folder / "use_cases", AIRFLOW__CORE__PARALLELISM=str(SLOTS)) as system:
            watched = _grow(system, folder, {each.use_cases: int(each.total("dags")) for each in parsed})
    return entries(parsed, watched)


def _grow(system: System, folder: Path, dags: Mapping[int, int]) -> list[Watched]:
    """The same Airflow with ever more use cases, which have so many DAGs."""
    system.prepare_airflow()
    found: list[Watched] = []
    known = 0
    for count, wanted in dags.items():
        for number in range(known + 1, count + 1):
            name = copy_use_case(folder / "draft", number)
            (folder / "draft" / name).rename(system.settings.use_case_folders[0] / name)
        added = time.monotonic()
        if not known:
            system.start(AIRFLOW)
        _until(partial(_has, system, wanted), WITHIN)
        found.append(_watch(system, count, time.monotonic() - added))
        print(f"{count} use cases: measured after {time.monotonic() - added:.0f} s", flush=True)
        known = count
    return found


def _watch(system: System, count: int, new_seen: float) -> Watched:
    oldest, idle = _idle(system)
    names = [dag_id for (dag_id,) in system.query("SELECT dag_id FROM dag WHERE dag_id LIKE '%.compact'")]
    with AirflowClient.of(system.settings) as airflow:
        since = datetime.now(UTC)
        for _ in range(ALONE):
            airflow.wait(airflow.trigger(f"{FIRST}.compact"), WITHIN)
        alone = _lags(system, since)
        before, size, since = Look.at(system), system.database_bytes(), datetime.now(UTC)
        with ThreadPoolExecutor(4) as pool:
            runs = list(pool.map(airflow.trigger, names))
        for each in runs:
            airflow.wait(each, WITHIN)
        busy = Used.between(before, Look.at(system))
    at_once, grown = _lags(system, since), system.database_bytes() - size
    return Watched(
        use_cases=count,
        dags=_dags(system),
        new_seen=new_seen,
        change_seen=_change(system, count),
        oldest=oldest,
        idle=idle,
        alone=alone,
        at_once=at_once,
        busy=busy,
        parse_in_task=statistics.median(_parses_in_tasks(system.settings.home / "airflow" / "logs", since)),
        database=system.database_bytes(),
        serialized=int(system.query("SELECT sum(length(data::text)) FROM serialized_dag")[0][0]),
        run_bytes=grown / len(names),
    )


def _idle(system: System) -> tuple[float, Used]:
    """While nothing runs: the greatest age of a DAG's parse, and what each part uses."""
    before, ages = Look.at(system), []
    while time.monotonic() - before.clock < IDLE:
        (row,) = system.query("SELECT extract(epoch FROM now() - min(last_parsed_time)) FROM dag WHERE NOT is_stale")
        ages.append(float(row[0]))
        time.sleep(1)
    return max(ages), Used.between(before, Look.at(system))


def _change(system: System, count: int) -> float:
    """Seconds until Airflow shows a change of a use case in all of its DAGs."""
    file, tag = system.settings.use_case_folders[0] / FIRST / FILE, f"changed-{count}"
    text = file.read_text(encoding="utf-8")
    draft = file.with_suffix(".draft")
    draft.write_text(text.replace("tags: [", f"tags: [{tag}, ", 1), encoding="utf-8")
    draft.rename(file)
    began, wanted = time.monotonic(), _dags(system, f"{FIRST}.")
    _until(lambda: system.query(f"SELECT count(*) FROM dag_tag WHERE name = '{tag}'")[0][0] == wanted, WITHIN)
    return time.monotonic() - began


def _dags(system: System, prefix: str = "") -> int:
    written = "EXISTS (SELECT 1 FROM serialized_dag WHERE serialized_dag.dag_id = dag.dag_id)"
    query = f"SELECT count(*) FROM dag WHERE NOT is_stale AND dag_id LIKE '{prefix}%' AND {written}"
    return int(system.query(query)[0][0])


def _has(system: System, dags: int) -> bool:
    return _dags(system) == dags


def _lags(system: System, since: datetime) -> tuple[float, ...]:
    """Seconds from a run's trigger to the start of its only task."""
    rows = system.query(
        "SELECT extract(epoch FROM task.start_date - run.queued_at) FROM task_instance task "
        "JOIN dag_run run USING (dag_id, run_id) "
        f"WHERE task.dag_id LIKE '%.compact' AND run.queued_at >= '{since.isoformat()}'"
    )
    return tuple(float(row[0]) for row in rows)


def _parses_in_tasks(logs: Path, since: datetime) -> list[float]:
    """Seconds that tasks took for the parse of their DAG file, as their logs say."""
    lines = (
        json.loads(line)
        for file in logs.rglob("dag_id=*.compact/**/*.log")
        if file.stat().st_mtime >= since.timestamp()
        for line in file.read_text(encoding="utf-8").splitlines()
    )
    return [line["dag_file_parse_ms"] / 1000 for line in lines if line.get("event") == PARSED]


def _until(look: Callable[[], Any], within: float) -> Any:
    """The first answer that is true."""
    deadline = time.monotonic() + within
    while not (found := look()):
        if time.monotonic() > deadline:
            raise RuntimeError(f"it has not happened within {within:.0f} s")
        time.sleep(0.5)
    return found


def entries(parsed: Sequence[Parsed], watched: Sequence[Watched]) -> list[dict[str, Any]]:
    counts, slowest = [each.use_cases for each in parsed], [each.slowest["parse"] for each in parsed]
    line = f"[core] dagbag_import_timeout; a straight line from {counts[0]} to {counts[-1]} use cases"
    return [
        *(entry for each in parsed for entry in _of_parsing(each, parsed[0])),
        _entry("use cases at which one DAG file takes 30 s to parse", "use cases", line, crossing(counts, slowest, 30)),
        *(entry for each in watched for entry in _of_watching(each, watched[0])),
        *_of_growth(watched[0], watched[-1]),
    ]


def _of_parsing(each: Parsed, first: Parsed) -> list[dict[str, Any]]:
    about = f"{each.use_cases} use cases: parsing"
    found = f"{each.total('dags'):,.0f} DAGs, {each.total('tasks'):,.0f} tasks in {len(each.files)} files"
    taken = f"{found}; {each.total('parse'):.2f} s of it parsing; {each.peak:.0f} MiB at most"
    return [
        _entry(f"{about} and serializing all DAG files", "CPU s", taken, each.seconds, first.seconds),
        _entry(f"{about} the slowest DAG file", "CPU s", each.slowest["file"], each.slowest["parse"],
               first.slowest["parse"]),
    ]  # fmt: skip


def _of_watching(each: Watched, first: Watched) -> list[dict[str, Any]]:
    about, start = f"{each.use_cases} use cases:", "start of a task after its trigger,"
    cores, first_cores = (
        {part: seconds / used.seconds for part, seconds in used.cpu.items()} for used in (each.idle, first.idle)
    )
    of_round = (
        f"its {cores['dag-processor']:.2f} cores x the age of the oldest parse; each file every "
        f"{TEAM_PARSE_INTERVAL} s; others took {each.idle.others:.1f} cores"
    )
    parts = ", ".join(f"{part} {value:.2f}" for part, value in sorted(cores.items(), key=lambda item: -item[1]))
    seen = f"at most in {IDLE:.0f} s; a change of a use case was seen after {each.change_seen:.0f} s"
    came = "Airflow's start included" if each is first else "after their folders came"
    parses = f"median of {len(each.alone)}; then it parses its DAG file, {each.parse_in_task:.2f} s, before it works"
    all_of_them = (
        f"95 %; median {quantile(each.at_once, 0.5):.1f} s; {SLOTS} slots, all in {each.busy.seconds:.0f} s; "
        f"CPU s: {in_words(each.busy.cpu)}; others took {each.busy.others:.1f} cores"
    )
    stored = f"{each.dags} DAGs, {each.serialized / 2**20:.1f} MiB as JSON"
    alone, first_alone = statistics.median(each.alone), statistics.median(first.alone)
    last, first_last = quantile(each.at_once, 0.95), quantile(first.at_once, 0.95)
    return [
        _entry(f"{about} DAG processor, one round of all files", "CPU s", of_round, each.round_cpu, first.round_cpu),
        _entry(f"{about} all of Airflow, idle", "cores", parts, sum(cores.values()), sum(first_cores.values())),
        _entry(f"{about} age of the oldest parse", "s", seen, each.oldest, first.oldest),
        _entry(f"{about} until all DAGs of the new ones are there", "s", came, each.new_seen),
        _entry(f"{about} {start} alone", "s", parses, alone, first_alone),
        _entry(f"{about} {start} {len(each.at_once)} at once", "s", all_of_them, last, first_last),
        _entry(f"{about} Airflow's database", "MiB", stored, each.database / 2**20, first.database / 2**20),
    ]  # fmt: skip


def _of_growth(first: Watched, last: Watched) -> list[dict[str, Any]]:
    """What one more use case and one more run cost."""
    per_case = (last.database - first.database) / (last.use_cases - first.use_cases) / 2**10
    cpu = sum(seconds for part, seconds in last.busy.cpu.items() if part != "dag-processor") / len(last.at_once)
    runs = f"{len(last.at_once)} at once, {last.use_cases} use cases"
    cases = f"from {first.use_cases} to {last.use_cases}"
    return [
        _entry("one more use case: Airflow's database", "KiB", cases, per_case),
        _entry("one more run of one task: Airflow's database", "KiB", runs, last.run_bytes / 2**10),
        _entry("one more run of one task: CPU of the task and Airflow but its DAG processor", "CPU s", runs, cpu),
    ]


def _entry(name: str, unit: str, note: str, ours: float, peer: float | None = None) -> dict[str, Any]:
    return entry(name, ours, peer, unit, note)


if __name__ == "__main__":
    print(run())
