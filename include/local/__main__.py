"""``python -m include.local COMMAND``: what the Makefile calls."""

from __future__ import annotations

import argparse
import os
import sys

from include.contract.loading import UseCaseError
from include.local import system
from include.local.checks import CheckError
from include.local.credentials import load_credentials
from include.local.environment import load_env_file, process_environment
from include.local.processes import ProcessError
from include.local.running import running_settings
from include.settings import REPOSITORY, Settings, get_settings


def print_plans(settings: Settings) -> None:
    """What ``up`` would change in the feature store; nothing is applied, and nothing needs to run."""
    os.environ |= {f"EVERGREEN_{name.upper()}": str(value) for name, value in running_settings(settings)}
    get_settings.cache_clear()
    from include.features import store

    for line in (line for plan in store.plans() for line in plan.lines()):
        print(line)


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m include.local", description="The system on one machine.")
    commands = parser.add_subparsers(dest="command", required=True)
    for name, text in (
        ("up", "start what does not run yet, and wait until everything is ready"),
        ("down", "end everything; data stays"),
        ("status", "show every process; exit status 1 unless all are well"),
        ("logs", "show the last lines of every process"),
        ("prepare", "create databases, the data repository and the feature registry"),
        ("plan", "show what applying the feature definitions would change"),
        ("check", "tell what would keep the system from starting"),
        ("clean", "end everything and remove the data"),
    ):
        commands.add_parser(name, help=text)
    execute = commands.add_parser("exec", help="run a program, e.g. airflow, in the system's environment")
    execute.add_argument("program", nargs=argparse.REMAINDER)
    options = parser.parse_args()
    try:
        load_env_file()
        settings = get_settings()
        if options.command == "exec":
            settings = running_settings(settings)
            env = process_environment(settings, load_credentials(settings))
            os.chdir(REPOSITORY)
            os.execvpe(options.program[0], options.program, env)  # noqa: S606
        if options.command == "status":
            return 0 if system.status(settings) else 1
        if options.command == "plan":
            print_plans(settings)
        else:
            getattr(system, options.command)(settings)
    except (CheckError, ProcessError, UseCaseError, ValueError) as error:
        print(f"{options.command}: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
