"""Starts, shows and ends the team profile. Only the standard library."""

from __future__ import annotations

import time

from include.team import secrets_file
from include.team.engine import Compose, EngineError, check_engine
from include.team.machine import check_memory, check_ports, check_subnet
from include.team.services import (
    AIRFLOW,
    BUILT,
    MONITORING,
    ONCE,
    READY_WITHIN,
    REPLICAS,
    SECRETS,
    STORES,
    WORKERS,
    chosen,
    compose,
    ports_of,
    setting,
)


def up() -> int:
    """Make the secrets, check the machine, build, migrate, start, and return when everything is healthy.

    Run again after a change of the code, it brings in the new: Airflow's tasks may finish, the stores are migrated
    while no Airflow runs, and the replicas are replaced one after the other, so that serving never stops.
    """
    started = time.monotonic()
    memory = check_engine()
    if made := secrets_file.ensure(SECRETS):
        print(f"team: {SECRETS.name} has {len(made)} new secrets; keep a copy of it in a safe place", flush=True)
    services = compose()
    running = {state.service for state in services.states() if state.status == "running"}
    check_memory(memory)
    if not running:
        check_ports(ports_of(), setting("EVERGREEN_BIND", "127.0.0.1"))
        check_subnet(setting("SUBNET", "10.213.77"))
    build(services, *chosen(services, *BUILT))
    start(services, migrate_beside=not running.intersection(AIRFLOW))
    print(f"team: ready after {time.monotonic() - started:.0f} s", flush=True)
    _print_addresses(services)
    return 0


def build(services: Compose, *names: str) -> None:
    """Build the images of these services from the files of this checkout."""
    if setting("TEAM_BUILD", "true") == "false":
        return  # they are here, or in a registry
    print("team: building the images", flush=True)
    services.run("build", "--quiet", *names)


def start(services: Compose, *, migrate_beside: bool = True) -> None:
    """Start everything in its order; ``migrate_beside``: no Airflow runs that a migration could meet."""
    stores = chosen(services, *STORES)
    _start(services, *stores)
    if not migrate_beside:
        print("team: Airflow stops for the migration; running tasks may finish", flush=True)
        services.run("stop", *AIRFLOW)
    services.run("up", "--detach", "--no-build", "--no-deps", "prepare")
    _finished(services, "prepare")
    for replica in REPLICAS:
        _start(services, replica)
    _start(services, *AIRFLOW, "proxy", *chosen(services, *MONITORING))
    _reread(services)


def down() -> int:
    """End everything; tasks that run may finish, and all data stays in the volumes."""
    print("team: ending; running tasks may finish", flush=True)
    services = compose()
    services.run("stop", "scheduler")  # first who starts tasks
    services.run("down", "--remove-orphans")
    return 0


def join() -> int:
    """Start this machine's workers for a system whose other parts run on another one, over a network of both."""
    check_engine()
    services = compose()
    if services.states("scheduler"):
        raise EngineError("the scheduler is on this machine: more workers of its own are WORKERS and TRAINERS in .env")
    if not SECRETS.exists():
        raise EngineError(f"{SECRETS} is missing: copy it from the machine of the scheduler")
    secrets_file.ensure(SECRETS)
    build(services, "prepare")
    _start(services, *WORKERS)
    return 0


def leave() -> int:
    """End the workers of this machine; tasks that run may finish."""
    print("team: ending; running tasks may finish", flush=True)
    compose().run("rm", "--stop", "--force", *WORKERS)
    return 0


def status() -> int:
    """Show every container; 0 if all are well."""
    states = [state for state in compose().states() if state.service not in ONCE]
    for state in states:
        print(f"{state.name:<32} {state.status:<10} {state.health}".rstrip())
    if not states:
        print("team: nothing runs here; make team-up")
    return 0 if states and all(state.well for state in states) else 1


def logs() -> int:
    """Show the last lines of every service."""
    compose().run("logs", "--tail=10")
    return 0


def demo() -> int:
    """The tour of `make demo`, in this system."""
    services = compose()
    if not any(state.well for state in services.states("scheduler")):
        raise EngineError("the system does not run: make team-up")
    services.run("run", "--rm", "--no-deps", "toolbox", "python", "-m", "include.demo")
    return 0


def _start(services: Compose, *names: str) -> None:
    services.run("up", "--detach", "--no-build", "--no-deps", *names)
    services.wait(names, READY_WITHIN)


def _reread(services: Compose) -> None:
    """Have those that ran already read the files of this checkout that they are configured by."""
    services.run("exec", "-T", "proxy", "sh", "/etc/evergreen/start.sh", "reload")
    for name in chosen(services, "prometheus", "alertmanager"):
        services.run("kill", "-s", "HUP", name)


def _finished(services: Compose, name: str) -> None:
    deadline = time.monotonic() + READY_WITHIN
    while (state := services.states(name)[-1]).status != "exited":
        if time.monotonic() > deadline:
            raise EngineError(f"{name} is still at work after {READY_WITHIN:.0f} s:\n{services.tail(name)}")
        time.sleep(1)
    if state.exit_code != 0:
        raise EngineError(f"{name} has failed; the end of its log:\n{services.tail(name, 40)}")
    print(f"team: {name} is done", flush=True)


def _print_addresses(services: Compose) -> None:
    known = services.environment or {}
    print(f"  Airflow  {known['AIRFLOW_URL']}  (user admin; AIRFLOW_ADMIN_PASSWORD in {SECRETS.name})")
    print(f"  MLflow   {known['MLFLOW_URL']}  (user evergreen; MLFLOW_ADMIN_PASSWORD)")
    print(f"  Serving  {known['SERVING_URL']}  (SERVING_TOKEN, or a client's own: docs/team.md)")
    if chosen(services, "grafana"):
        print(f"  Grafana  http://localhost:{ports_of()['GRAFANA_PORT']}  (user admin; GRAFANA_ADMIN_PASSWORD)")
    print("  make team-demo, make team-status, make team-logs, make team-backup, make team-down", flush=True)
