"""Starts, watches and ends the system on this machine."""

from __future__ import annotations

import fcntl
import re
import shutil
import time
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path

from include.contract.loading import discover_use_cases
from include.local.airflow_client import AirflowClient
from include.local.checks import CheckError, check_machine, check_ports
from include.local.credentials import USER, load_credentials
from include.local.environment import process_environment
from include.local.preparation import MARKER
from include.local.preparation import prepare as prepare_stores
from include.local.processes import Processes
from include.local.running import processes, remember, running_settings, settings_to_start, started_names
from include.local.services import READY_WITHIN, Service, services
from include.settings import REPOSITORY, Settings

DAGS_WITHIN = 60.0
TASKS_MAY_FINISH = 20.0
DEFINES_DAGS = re.compile(r"dag\(|^@dag\b", re.IGNORECASE | re.MULTILINE)


def check(settings: Settings) -> None:
    """Raises ``CheckError`` where ``up`` could not succeed; a port that our own process holds is in order."""
    check_machine(settings)
    known = processes(settings)
    missing = [service for service in services(settings) if known.find(service.name) is None]
    check_ports([service.port for service in missing if service.port is not None], settings.host)


def prepare(settings: Settings) -> None:
    """Creates what the processes need on disk."""
    check_machine(settings)
    with _alone(settings):
        prepare_stores(settings, process_environment(settings, load_credentials(settings)))


def up(settings: Settings) -> None:
    """Starts what does not run yet and returns when everything is ready."""
    settings = settings_to_start(settings)
    check_machine(settings)
    started = time.monotonic()
    known = processes(settings)
    with _alone(settings):
        wanted = services(settings)
        missing = [service for service in wanted if known.find(service.name) is None]
        known.stop([service.name for service in missing])  # the children of one that died may hold its port
        check(settings)
        if not missing:
            print("up: everything runs already", flush=True)
        else:
            env = process_environment(settings, load_credentials(settings))
            prepare_stores(settings, env)
            remember(settings)
            print(f"up: starting {', '.join(service.name for service in missing)}", flush=True)
            for service in missing:
                known.start(service.name, service.command, env=env, cwd=REPOSITORY)
        waiting = {service.name: partial(_healthy, known, service) for service in wanted}
        new = {service.name for service in missing}
        known.wait_until(waiting, READY_WITHIN, ready=lambda name: _say_ready(name, started) if name in new else None)
        _wait_for_dags(settings, DAGS_WITHIN if missing else 0.0)
    if missing:
        print(f"up: ready after {time.monotonic() - started:.0f} s", flush=True)
    _print_addresses(settings)


def down(settings: Settings) -> None:
    """Ends what runs: first who starts tasks, so that running tasks can still report, then the servers."""
    settings = running_settings(settings)
    known = processes(settings)
    names = [service.name for service in services(settings)]
    first = [name for name in names if name in ("scheduler", "dag-processor", "triggerer")]
    with _alone(settings):
        if any(known.find(name) for name in names):
            print("down: ending the scheduler (running tasks may finish for a moment), then the servers", flush=True)
        stopped = known.stop(first, grace=TASKS_MAY_FINISH)
        # Also what an earlier configuration started.
        stopped += known.stop(sorted({*names, *started_names(settings)} - set(first)))
    print(f"down: ended {', '.join(stopped)}" if stopped else "down: nothing was running", flush=True)


def status(settings: Settings) -> bool:
    """Prints the state of every process; whether all are well."""
    settings = running_settings(settings)
    known = processes(settings)
    well = True
    for service in services(settings):
        process = known.find(service.name)
        if process is None:
            state = "died" if known.record(service.name) else "not running"
        else:
            state = "healthy" if _healthy(known, service) else "not ready"
        well &= state == "healthy"
        pid = f"process {process.pid}" if process is not None else ""
        print(f"{service.name:<14} {state:<12} {pid:<15} {service.address}".rstrip())
    return well


def logs(settings: Settings, lines: int = 10) -> None:
    """Prints the last lines of every process."""
    settings = running_settings(settings)
    known = processes(settings)
    for service in services(settings):
        print(f"== {known.log(service.name)}\n{known.tail(service.name, lines)}\n")


def clean(settings: Settings) -> None:
    """Ends the system and removes its folder with all data; refuses a folder that the system has not made."""
    home = settings.home.absolute()
    if not home.exists():
        return
    if not (home / MARKER).exists():
        raise CheckError(f"{home} was not made by make up: remove it yourself, if it is meant")
    down(settings)
    print(f"clean: {home}", flush=True)
    shutil.rmtree(home)


def _healthy(known: Processes, service: Service) -> bool:
    record = known.record(service.name)
    return record is not None and service.healthy(record.create_time)


def _say_ready(name: str, started: float) -> None:
    print(f"up: {name} is ready ({time.monotonic() - started:.0f} s)", flush=True)


@contextmanager
def _alone(settings: Settings) -> Iterator[None]:
    """One command at a time changes an installation; the next waits."""
    folder = settings.home / "run"
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / "lock").open("w") as stream:
        fcntl.flock(stream, fcntl.LOCK_EX)
        yield


def _wait_for_dags(settings: Settings, timeout: float) -> None:
    """Waits until every DAG file is parsed and every use case has its DAGs; says so, if some do not come."""
    discovery = discover_use_cases(settings.use_case_folders)
    for problem in discovery.errors:
        print(f"up: {problem}", flush=True)
    # Without a use case the files hold no DAG, and nothing tells that they have been parsed.
    files = {file.name for file in (REPOSITORY / "dags").glob("*.py") if DEFINES_DAGS.search(file.read_text("utf-8"))}
    files = files if discovery.found else set()
    deadline = time.monotonic() + timeout
    with AirflowClient.of(settings) as client:
        while True:
            dags, errors = client.dags(), client.import_errors()
            unseen = files - {
                Path(file).name for file in [*(dag.file for dag in dags), *(error.file for error in errors)]
            }
            without = {
                name for name in discovery.found if not any(name in dag.dag_id or name in dag.tags for dag in dags)
            }
            if (not unseen and (not without or errors)) or time.monotonic() > deadline:
                break
            time.sleep(0.5)
    for name in sorted(unseen | (without if not errors else set())):
        print(f"up: there is no DAG of {name} yet", flush=True)
    for error in errors:
        print(f"up: {error.file} cannot be imported: {error.message.strip().splitlines()[-1]}", flush=True)


def _print_addresses(settings: Settings) -> None:
    password = load_credentials(settings).admin_password
    for service in services(settings):
        if service.address:
            login = f"  (user {USER}, password {password})" if service.name == "api-server" else ""
            print(f"  {service.title:<8} {service.address}{login}")
    print("  make status, make logs, make down", flush=True)
