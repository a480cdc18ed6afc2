"""A whole system of its own for benchmarks: the processes of ``make up``, with PostgreSQL as Airflow's database.

SQLite lets one process write at a time and would be what is measured. PostgreSQL runs without fsync.
"""

from __future__ import annotations

import math
import os
import re
import shutil
import subprocess
import sys
import time
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, Self

import psutil

from include.contract.loading import FILE
from include.local.credentials import load_credentials
from include.local.environment import process_environment
from include.local.preparation import prepare
from include.local.running import processes
from include.local.services import READY_WITHIN, Service, services
from include.settings import REPOSITORY, Settings, get_settings
from tests.ports import free_ports
from tests.postgres import INSTALLED, MISSING, Postgres, postgres_server

AIRFLOW = ("api-server", "scheduler", "dag-processor", "triggerer")
DATABASE, SNAPSHOT = "airflow", "snapshot"
TEAM_PARSE_INTERVAL = 30  # seconds between two parses of a file, as in docker-compose.yaml
VIEW = re.compile(r'(flight_plan|plan_slack|(?:\{name\}|aircraft)_(?:history|now))(?=")')
FEATURES = """from include.use_cases.flight_delay import features
from include.use_cases.flight_delay.features import labels

__all__ = ["labels", "views"]


def views(window):
    return {f"{name}_NUMBER": rows for name, rows in features.views(window).items()}
"""


def copy_use_case(parent: Path, number: int) -> str:
    """Copies ``flight_delay`` into a folder, under a name and with feature views of its own; returns the name.

    The registry of features has one view of each name. Number 1 stays as it is.
    """
    original = REPOSITORY / "include" / "use_cases" / "flight_delay"
    name = original.name if number == 1 else f"{original.name}_{number}"
    folder = parent / name
    shutil.copytree(original, folder, ignore=shutil.ignore_patterns("__pycache__"))
    if number > 1:
        config, definitions = folder / FILE, folder / "feature_definitions.py"
        config.write_text(renamed_config(config.read_text(encoding="utf-8"), number), encoding="utf-8")
        definitions.write_text(renamed_definitions(definitions.read_text(encoding="utf-8"), number), encoding="utf-8")
        (folder / "features.py").write_text(FEATURES.replace("NUMBER", str(number)), encoding="utf-8")
    return name


def renamed_config(text: str, number: int) -> str:
    """``use_case.yaml`` of the copy with this number."""
    return text.replace("name: flight_delay\n", f"name: flight_delay_{number}\n", 1).replace(
        "view: flight_plan\n", f"view: flight_plan_{number}\n", 1
    )


def renamed_definitions(text: str, number: int) -> str:
    """``feature_definitions.py`` of the copy with this number: its views, services and sources are its own."""
    return VIEW.sub(rf"\1_{number}", text).replace('"flight_delay', f'"flight_delay_{number}')


@dataclass(frozen=True)
class System:
    """An installation in a folder and on ports of its own; ``options`` are variables over those of ``make up``."""

    settings: Settings
    postgres: Postgres
    options: Mapping[str, str]

    @property
    def services(self) -> dict[str, Service]:
        return {service.name: service for service in services(self.settings)}

    def environment(self, **options: str) -> dict[str, str]:
        return {**process_environment(self.settings, load_credentials(self.settings)), **self.options, **options}

    def prepare(self) -> None:
        """All that ``make up`` prepares: databases, the data repository, the feature registry."""
        prepare(self.settings, self.environment())

    def prepare_airflow(self) -> None:
        """Only Airflow's database."""
        (self.settings.home / "airflow").mkdir(parents=True, exist_ok=True)
        command = [sys.executable, "-m", "include.local.preparation", "airflow"]
        subprocess.run(command, cwd=REPOSITORY, env=self.environment(), check=True, capture_output=True)

    def start(self, names: Iterable[str], **options: str) -> None:
        """Returns when all of these are healthy."""
        known, env = processes(self.settings), self.environment(**options)
        chosen = [self.services[name] for name in names]
        for service in chosen:
            known.start(service.name, service.command, env=env, cwd=REPOSITORY)
        known.wait_until({service.name: partial(self._healthy, service) for service in chosen}, READY_WITHIN)

    def stop(self) -> None:
        """Ends everything: first who starts tasks."""
        known = processes(self.settings)
        known.stop(["scheduler", "dag-processor", "triggerer"])
        known.stop(self.services)

    def keep(self) -> None:
        """Keeps the folder and Airflow's database as they are now; nothing may run."""
        shutil.copytree(self.settings.home, self._kept, symlinks=True)
        self.postgres.execute(f"CREATE DATABASE {SNAPSHOT} TEMPLATE {DATABASE}")

    def put_back(self) -> None:
        """The folder and the database as they were kept."""
        shutil.rmtree(self.settings.home)
        shutil.copytree(self._kept, self.settings.home, symlinks=True)
        self.postgres.execute(f"DROP DATABASE {DATABASE} WITH (FORCE)")
        self.postgres.execute(f"CREATE DATABASE {DATABASE} TEMPLATE {SNAPSHOT}")

    def query(self, statement: str) -> list[tuple[Any, ...]]:
        """Rows of Airflow's database."""
        return self.postgres.execute(statement, DATABASE)

    def database_bytes(self) -> int:
        return int(self.query(f"SELECT pg_database_size('{DATABASE}')")[0][0])

    def cpu_seconds(self) -> dict[str, float]:
        """CPU since the start by part; the scheduler's children are the tasks and what starts them."""
        known = processes(self.settings)
        leaders = {name: known.find(name) for name in self.services}
        found = {name: _family_seconds(leader) for name, leader in leaders.items() if leader is not None}
        if (scheduler := leaders.get("scheduler")) is not None:
            own = scheduler.cpu_times()
            found["tasks"] = found["scheduler"] - own.user - own.system
            found["scheduler"] = own.user + own.system
        postmaster = (self.postgres.folder / "data" / "postmaster.pid").read_text(encoding="utf-8").split()[0]
        return {**found, "PostgreSQL": _family_seconds(psutil.Process(int(postmaster)))}

    @property
    def _kept(self) -> Path:
        return self.settings.home.with_name(f"{self.settings.home.name}-kept")

    def _healthy(self, service: Service) -> bool:
        record = processes(self.settings).record(service.name)
        return record is not None and service.healthy(record.create_time)


def _family_seconds(leader: Any) -> float:
    """User and system seconds of a process, of what it started, and of what that has ended and was waited for."""
    seconds = 0.0
    for process in [leader, *leader.children(recursive=True)]:
        try:
            times = process.cpu_times()
        except psutil.NoSuchProcess:  # its parent has its time now
            continue
        seconds += times.user + times.system + times.children_user + times.children_system
    return seconds


@dataclass(frozen=True)
class Look:
    """What was used until a moment: seconds of the clock, CPU seconds by part and of the whole machine."""

    clock: float
    cpu: Mapping[str, float]
    machine: float

    @classmethod
    def at(cls, system: System) -> Self:
        times = psutil.cpu_times()
        busy = times.user + times.nice + times.system + times.irq + times.softirq
        return cls(time.monotonic(), system.cpu_seconds(), busy)


@dataclass(frozen=True)
class Used:
    """What was used between two looks; ``others`` are the cores that the rest of the machine has taken."""

    seconds: float
    cpu: Mapping[str, float]
    others: float

    @classmethod
    def between(cls, first: Look, last: Look) -> Self:
        seconds, cpu = last.clock - first.clock, spent(first.cpu, last.cpu)
        return cls(seconds, cpu, max(last.machine - first.machine - sum(cpu.values()), 0.0) / seconds)


def spent(before: Mapping[str, float], after: Mapping[str, float]) -> dict[str, float]:
    """What each part has used between two looks."""
    return {name: seconds - before.get(name, 0.0) for name, seconds in after.items()}


def in_words(seconds: Mapping[str, float]) -> str:
    """CPU by part, the largest first; what is below half a second is left out."""
    ordered = sorted(seconds.items(), key=lambda item: -item[1])
    return ", ".join(f"{name} {value:.0f}" for name, value in ordered if value >= 0.5)


def quantile(values: Iterable[float], share: float) -> float:
    """The smallest value that at least this share of the values does not exceed; ``ValueError`` without values."""
    ordered = sorted(values)
    if not ordered:
        raise ValueError("no values, no quantile")
    return ordered[max(math.ceil(len(ordered) * share), 1) - 1]


@contextmanager
def airflow_system(folder: Path, use_cases: Path, **options: str) -> Iterator[System]:
    """A system whose processes are not started yet, below a folder; ended with the block."""
    if not INSTALLED:
        raise RuntimeError(MISSING)
    names = ("AIRFLOW", "MLFLOW", "SERVING")
    os.environ |= {f"EVERGREEN_{name}_PORT": str(port) for name, port in zip(names, free_ports(3), strict=True)}
    os.environ |= {"EVERGREEN_HOME": str(folder / "home"), "EVERGREEN_USE_CASE_PATHS": str(use_cases)}
    get_settings.cache_clear()
    with postgres_server() as postgres:
        variables = {
            "AIRFLOW__DATABASE__SQL_ALCHEMY_CONN": postgres.create_database(DATABASE),
            "AIRFLOW__DATABASE__SQL_ALCHEMY_CONN_ASYNC": "",  # its driver comes with the team's image only
            "AIRFLOW__DATABASE__SQL_ALCHEMY_POOL_SIZE": "5",
            "AIRFLOW__DATABASE__SQL_ALCHEMY_MAX_OVERFLOW": "10",
            "AIRFLOW__DAG_PROCESSOR__MIN_FILE_PROCESS_INTERVAL": str(TEAM_PARSE_INTERVAL),
            **options,
        }
        system = System(get_settings(), postgres, variables)
        try:
            yield system
        finally:
            system.stop()


def entry(name: str, ours: float, peer: float | None, unit: str, note: str) -> dict[str, Any]:
    """A line of the results that has no goal."""
    found = {"name": name, "ours": ours, "peer": peer, "ratio": ours / peer if peer else None}
    return {**found, "goal": None, "met": None, "unit": unit, "note": note}
