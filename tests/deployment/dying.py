"""Processes that are killed right after one of their writes."""

from __future__ import annotations

import multiprocessing
import os
import signal
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from include.settings import get_settings

Server = Any
Write = tuple[Any, str, int]  # the first, second ... call of a function of a module


def forking(module: str) -> Server:
    """Processes that are forked from one which has imported everything and opened nothing."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload([module, "mlflow", "sklearn.dummy"])
    return context


@dataclass(frozen=True)
class Fate:
    """Where a process is to work, and which write it does not survive."""

    environment: dict[str, str]
    folder: str
    module: str
    function: str
    call: int

    def begin(self) -> None:
        os.environ.clear()
        os.environ.update(self.environment)
        os.chdir(self.folder)
        get_settings.cache_clear()

    def seal(self) -> None:
        """From now on the call is the last thing that the process does."""
        module, calls = sys.modules[self.module], []
        real = getattr(module, self.function)

        def wrapped(*arguments: Any, **options: Any) -> Any:
            result = real(*arguments, **options)
            calls.append(self.function)
            if len(calls) == self.call:
                os.kill(os.getpid(), signal.SIGKILL)
            return result

        setattr(module, self.function, wrapped)


def killed(server: Server, write: Write, work: Callable[..., None], *arguments: Any) -> None:
    """Do the work, a function of a ``Fate`` and the arguments, in a process that is killed after the write."""
    module, function, call = write
    fate = Fate(dict(os.environ), str(Path.cwd()), module.__name__, function, call)
    child = server.Process(target=work, args=(fate, *arguments))
    child.start()
    child.join(timeout=120)
    assert child.exitcode == -signal.SIGKILL
