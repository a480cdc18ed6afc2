"""The settings with which the running system was started, so that later commands find it without repeating them."""

from __future__ import annotations

import json
import os
from pathlib import Path

from include.local.checks import CheckError
from include.local.credentials import load_credentials
from include.local.environment import environment, load_env_file
from include.local.processes import Processes
from include.settings import Settings, get_settings


def processes(settings: Settings) -> Processes:
    """The processes of an installation."""
    return Processes(run=settings.home.absolute() / "run", logs=settings.logs.absolute())


def started_names(settings: Settings) -> set[str]:
    """Every process that was started and not ended, running or not."""
    return {file.stem for file in (settings.home / "run").glob("[!.]*.json")}


def remember(settings: Settings) -> None:
    """Keeps the settings of a start."""
    _file(settings).write_text(settings.model_dump_json(exclude={"home"}), encoding="utf-8")


def running_settings(settings: Settings) -> Settings:
    """The settings of the system that runs in this home; the given ones where none runs."""
    known = processes(settings)
    if not any(known.find(name) for name in started_names(settings)) or not _file(settings).is_file():
        return settings
    content = json.loads(_file(settings).read_text(encoding="utf-8"))
    return settings.model_copy(update={name: value for name, value in content.items() if name in Settings.model_fields})


def join_running_system() -> Settings:
    """Give this process the environment of the running system, and return its settings.

    Of a system that was not started here, the process has the environment already.
    """
    if get_settings().airflow_address:
        return get_settings()
    load_env_file()
    settings = running_settings(get_settings())
    os.environ.update(environment(settings, load_credentials(settings)))
    get_settings.cache_clear()
    return get_settings()


def settings_to_start(settings: Settings) -> Settings:
    """Those of the running system, if one runs; what was asked for explicitly must not contradict them."""
    running = running_settings(settings)
    for name in sorted(settings.model_fields_set - {"home"}):
        asked, now = getattr(settings, name), getattr(running, name)
        if asked != now:
            variable = f"EVERGREEN_{name.upper()}"
            raise CheckError(f"the system runs with {variable}={now}: make down before starting it with {asked}")
    return running


def _file(settings: Settings) -> Path:
    return settings.home / "run" / "started-with"
