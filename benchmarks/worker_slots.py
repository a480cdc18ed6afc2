"""The demo's loop with 1, 2 and 4 workers' slots: what more slots bring, on this machine.

Two use cases on the real flights (``flight_delay`` and a copy with views of its own), each with a champion.
Measured is what follows: each ingests its days, one run a day, which are featured, scored, labelled and monitored, and
each is trained once more and judged at the gate. The same folder and database are put back before each number of
slots. Slots are those of Airflow's LocalExecutor; it is PostgreSQL that Airflow works with.
"""

from __future__ import annotations

import os
import tempfile
import time
from collections import defaultdict
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from benchmarks.airflow_system import Look, System, Used, airflow_system, copy_use_case, entry, in_words
from include.contract.loading import load_use_case
from include.demo.steps import Tour
from include.deployment import ledger
from include.local.airflow_client import AirflowClient
from include.settings import get_settings

LIBRARIES = ("apache-airflow", "psycopg2-binary")
USE_CASES, SLOTS = 2, (1, 2, 4)
HISTORY, LEARNT_UNTIL = "2012-12-31/2013-02-04", "2013-02-04"
DAYS = ("2013-02-05",)
TRIES = 4  # of a promotion: staging fails where the machine is too busy to load a model in time
WITHIN = 1200.0  # seconds for one run to come and to end
STAGES = ("ingest", "features", "score", "monitor", "train", "promote")
PARALLELISM = "AIRFLOW__CORE__PARALLELISM"
TASKS = """
    SELECT task.dag_id, task.queued_dttm, task.start_date, task.end_date, run.queued_at, run.end_date
    FROM task_instance task JOIN dag_run run USING (dag_id, run_id)
    WHERE run.queued_at >= '{since}' AND task.start_date IS NOT NULL AND task.queued_dttm IS NOT NULL
        AND task.dag_id LIKE 'flight_delay%'
"""


@dataclass(frozen=True)
class Worked:
    """A task that ran: moments in UTC."""

    dag_id: str
    queued: datetime
    start: datetime
    end: datetime
    run_queued: datetime
    run_end: datetime

    @property
    def seconds(self) -> float:
        return (self.end - self.start).total_seconds()

    @property
    def waited(self) -> float:
        """Seconds between the scheduler's decision and the start: for a slot, and for the task's process."""
        return (self.start - self.queued).total_seconds()


@dataclass(frozen=True)
class Measured:
    slots: int
    tasks: tuple[Worked, ...]
    used: Used
    grown: int  # bytes of Airflow's database

    @property
    def wall(self) -> float:
        """Seconds from the first trigger to the end of the last run."""
        runs = [task.run_queued for task in self.tasks], [task.run_end for task in self.tasks]
        return (max(runs[1]) - min(runs[0])).total_seconds()

    @property
    def cpu(self) -> float:
        """CPU seconds of everything."""
        return sum(self.used.cpu.values())

    @property
    def a_minute(self) -> float:
        return 60 * len(self.tasks) / self.wall

    @property
    def busy(self) -> float:
        """The share of the slots' time in which a task works."""
        return sum(task.seconds for task in self.tasks) / (self.slots * self.wall)

    def by_stage(self) -> dict[str, float]:
        """Seconds in which tasks worked."""
        found: dict[str, float] = defaultdict(float)
        for task in self.tasks:
            found[task.dag_id.partition(".")[2]] += task.seconds
        return dict(found)


def run() -> list[dict[str, Any]]:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        names = [copy_use_case(folder / "use_cases", number) for number in range(1, USE_CASES + 1)]
        with airflow_system(folder, folder / "use_cases") as system:
            _prepare(system, names)
            measured = [_measure(system, names, slots) for slots in SLOTS]
    return entries(measured)


def _prepare(system: System, names: Sequence[str]) -> None:
    """Each use case gets its history, in one run, and its first champion."""
    system.prepare()
    system.start(system.services, **{PARALLELISM: "4"})
    with ThreadPoolExecutor(len(names)) as pool:
        list(pool.map(_first_champion, names))
    _until_idle(system)
    system.stop()
    system.keep()


def _first_champion(name: str) -> None:
    settings = get_settings()
    with AirflowClient.of(settings) as airflow:
        tour = Tour(load_use_case(name), airflow, settings)
        ingested = airflow.trigger(f"{name}.ingest", dict(zip(("start", "end"), HISTORY.split("/"), strict=True)))
        airflow.wait(ingested, WITHIN)
        tour.follow("features", ingested)
        verdict = tour.promote(tour.train({"until": LEARNT_UNTIL, "reason": "benchmark"}))
        for _ in range(TRIES):
            if ledger.head(name) is not None:
                return
            airflow.wait(airflow.trigger(f"{name}.promote", {"version": verdict["version"]}), WITHIN)
    raise RuntimeError(f"{name} got no champion: {'; '.join(verdict['reasons'])}")


def _measure(system: System, names: Sequence[str], slots: int) -> Measured:
    system.put_back()
    system.start(system.services, **{PARALLELISM: str(slots)})
    _until_idle(system)
    before, size, since = Look.at(system), system.database_bytes(), datetime.now(UTC)
    with ThreadPoolExecutor(len(names)) as pool:
        list(pool.map(_days, names))
    _until_idle(system)
    used, grown = Used.between(before, Look.at(system)), system.database_bytes() - size
    tasks = tuple(Worked(*row) for row in system.query(TASKS.format(since=since.isoformat())))
    system.stop()
    found = Measured(slots, tasks, used, grown)
    print(f"{slots} slots: {found.wall:.0f} s, {len(tasks)} tasks, {found.cpu:.0f} CPU s", flush=True)
    return found


def _days(name: str) -> None:
    """Triggers all of a use case's work, its days in order, and waits for it."""
    since = datetime.now(UTC)
    with AirflowClient.of(get_settings()) as airflow:
        training = airflow.trigger(f"{name}.train", {"until": LEARNT_UNTIL, "reason": "benchmark"})
        for day in DAYS:
            airflow.wait(airflow.trigger(f"{name}.ingest", {"start": day, "end": day}), WITHIN)
        airflow.wait(training, WITHIN)
        airflow.wait(airflow.find_run(f"{name}.promote", upstream=training, timeout=WITHIN), WITHIN)
        for day in DAYS:
            watched = airflow.find_run(f"{name}.monitor", since=since, partition_key=day, timeout=WITHIN)
            airflow.wait(watched, WITHIN)


def _until_idle(system: System) -> None:
    """Waits until no run is under way: a monitor may have asked for a training."""
    deadline = time.monotonic() + WITHIN
    while system.query("SELECT 1 FROM dag_run WHERE state IN ('queued', 'running') LIMIT 1"):
        if time.monotonic() > deadline:
            raise RuntimeError(f"runs are still under way after {WITHIN:.0f} s")
        time.sleep(0.5)


def entries(measured: Sequence[Measured]) -> list[dict[str, Any]]:
    first, last = measured[0], measured[-1]
    about = f"{USE_CASES} use cases, {len(DAYS)} day(s) and a training each"
    found = [
        entry(f"worker slots: {each.slots} slots, tasks a minute: {about}", each.a_minute, first.a_minute,
               "tasks a minute",
               f"{each.wall:.0f} s for {len(each.tasks)} tasks on {os.cpu_count()} cores; a task waits "
               f"{_mean(task.waited for task in each.tasks):.1f} s for its slot and process, and works "
               f"{_mean(task.seconds for task in each.tasks):.1f} s; "
               f"others took {each.used.others:.1f} cores; peer: 1 slot")
        for each in measured
    ]  # fmt: skip
    found += [
        entry(f"worker slots: {each.slots} slots, share of their time in which tasks work", each.busy, first.busy,
               "share",
               "seconds of tasks by stage: " + ", ".join(f"{stage} {each.by_stage()[stage]:.0f}" for stage in STAGES))
        for each in measured
    ]  # fmt: skip
    found += [
        entry(f"worker slots: {each.slots} slots, CPU of everything", each.cpu, first.cpu, "CPU s",
               f"{each.cpu / each.wall:.2f} cores; {in_words(each.used.cpu)}")
        for each in measured
    ]  # fmt: skip
    overhead = sum(seconds for part, seconds in last.used.cpu.items() if part not in ("tasks", "serving", "mlflow"))
    found.append(
        entry("worker slots: Airflow's own CPU a task", overhead / len(last.tasks), None, "CPU s",
               f"scheduler, API server, DAG processor, triggerer and PostgreSQL, {last.slots} slots")
    )  # fmt: skip
    found.append(
        entry("worker slots: CPU of a task and Airflow", last.cpu / len(last.tasks), None, "CPU s",
               f"{last.cpu:.0f} CPU s for {len(last.tasks)} tasks, {last.slots} slots")
    )  # fmt: skip
    found.append(
        entry("worker slots: Airflow's database, growth a task",
               max(each.grown for each in measured) / len(last.tasks) / 1024, None, "KiB",
               "its run, log lines and ids in XCom included; the largest of the three")
    )  # fmt: skip
    return found


def _mean(values: Any) -> float:
    listed = list(values)
    return float(sum(listed) / len(listed))


if __name__ == "__main__":
    print(run())
