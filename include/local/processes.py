"""Named processes in the background, each with a log and a record by which it is found and ended again.

A record holds the process id and the moment the process was created: an id that the system has given to another
process meanwhile is never mistaken for ours.
"""

from __future__ import annotations

import json
import os
import subprocess
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import psutil

TERMINATED_WITHIN, KILLED_WITHIN = 3.0, 5.0
SAME_MOMENT = 0.05  # seconds; the system counts creation times in ticks


class ProcessError(Exception):
    """A process that ended, or did not become ready in time; the message has the last lines of its log."""


@dataclass(frozen=True)
class Record:
    """What was started."""

    name: str
    pid: int
    create_time: float
    command: tuple[str, ...]


@dataclass(frozen=True)
class Processes:
    """The named processes of one installation: records in ``run``, output in ``logs``."""

    run: Path
    logs: Path

    def log(self, name: str) -> Path:
        return self.logs / f"{name}.log"

    def record(self, name: str) -> Record | None:
        """What was last started under this name, running or not."""
        try:
            content = json.loads((self.run / f"{name}.json").read_text(encoding="utf-8"))
        except FileNotFoundError:
            return None
        return Record(content["name"], content["pid"], content["create_time"], tuple(content["command"]))

    def find(self, name: str) -> Any | None:
        """The running ``psutil.Process`` of this name."""
        record = self.record(name)
        return None if record is None else _alive(record)

    def start(self, name: str, command: Sequence[str], *, env: Mapping[str, str], cwd: Path) -> Record:
        """Starts a command in a session of its own, so that it outlives the terminal; once, if it runs already."""
        running = self.record(name)
        if running is not None and _alive(running) is not None:
            return running
        if running is not None:
            self.stop([name])  # what its dead leader left behind
        self.run.mkdir(parents=True, exist_ok=True)
        self.logs.mkdir(parents=True, exist_ok=True)
        log = self.log(name)
        if log.exists():
            log.replace(log.with_suffix(".log.1"))
        with log.open("ab") as output:
            process = subprocess.Popen(
                list(command), env=dict(env), cwd=cwd, stdin=subprocess.DEVNULL, stdout=output, stderr=output,
                start_new_session=True,
            )  # fmt: skip
        record = Record(name, process.pid, psutil.Process(process.pid).create_time(), tuple(command))
        draft = self.run / f".{name}.json"
        draft.write_text(json.dumps(asdict(record)), encoding="utf-8")
        draft.replace(self.run / f"{name}.json")
        return record

    def stop(self, names: Iterable[str], *, grace: float = 15.0) -> list[str]:
        """Ends these processes with all their children and returns the names of those that ran.

        First only the leader is asked, since it ends its own children best; then the rest, then by force.
        """
        records = [record for name in names if (record := self.record(name)) is not None]
        families = {record.name: _family(record) for record in records}
        leaders = [leader for record in records if (leader := _alive(record)) is not None]
        for leader in leaders:
            _signal(leader.terminate)
        _wait(leaders, grace)
        for signal, patience in (("terminate", TERMINATED_WITHIN), ("kill", KILLED_WITHIN)):
            # The family as it was first seen, and what it has grown to.
            left = {process for record in records for process in [*families[record.name], *_family(record)]}
            left = {process for process in left if _is_running(process)}
            for process in left:
                _signal(getattr(process, signal))
            _wait(list(left), patience)
        for record in records:
            (self.run / f"{record.name}.json").unlink(missing_ok=True)
        return [record.name for record in records if families[record.name]]

    def tail(self, name: str, lines: int = 15) -> str:
        """The last lines of a process's log."""
        try:
            with self.log(name).open("rb") as stream:
                stream.seek(max(0, stream.seek(0, os.SEEK_END) - 64 * 1024))
                content = stream.read().decode("utf-8", errors="replace")
        except FileNotFoundError:
            return ""
        return "\n".join(content.splitlines()[-lines:])

    def wait_until(
        self,
        healthy: Mapping[str, Callable[[], bool]],
        timeout: float,
        *,
        poll: float = 0.25,
        ready: Callable[[str], None] = lambda _: None,
    ) -> None:
        """Returns when all are healthy, telling ``ready`` of each; ``ProcessError`` if one ends or the time is over."""
        deadline = time.monotonic() + timeout
        waiting = dict(healthy)
        while waiting:
            for name in waiting:
                if self.find(name) is None:
                    raise ProcessError(f"{name} has ended; the end of {self.log(name)}:\n{self.tail(name)}")
            for name in [name for name, well in waiting.items() if well()]:
                del waiting[name]
                ready(name)
            if waiting and time.monotonic() > deadline:
                tails = [f"{name}; the end of {self.log(name)}:\n{self.tail(name)}" for name in waiting]
                raise ProcessError(f"not ready after {timeout:.0f} s: " + "\n".join(tails))
            if waiting:
                time.sleep(poll)


def _alive(record: Record) -> Any | None:
    try:
        process = psutil.Process(record.pid)
        same = abs(process.create_time() - record.create_time) < SAME_MOMENT
        return process if same and process.status() != psutil.STATUS_ZOMBIE else None
    except psutil.NoSuchProcess:
        return None


def _family(record: Record) -> list[Any]:
    """The process, its descendants, and what is left of its session if it has died before them."""
    leader = _alive(record)
    if leader is None and psutil.pid_exists(record.pid) and not _zombie(record.pid):
        return []  # the id belongs to somebody else now, and so may its session
    members: dict[int, Any] = {}
    if leader is not None:
        members = {process.pid: process for process in [leader, *_children(leader)]}
    for process in psutil.process_iter():
        try:
            if os.getsid(process.pid) == record.pid and process.create_time() >= record.create_time - SAME_MOMENT:
                members.setdefault(process.pid, process)
        except (OSError, psutil.Error):
            continue
    return [process for process in members.values() if _is_running(process)]


def _children(process: Any) -> list[Any]:
    try:
        return list(process.children(recursive=True))
    except psutil.NoSuchProcess:
        return []


def _zombie(pid: int) -> bool:
    try:
        return bool(psutil.Process(pid).status() == psutil.STATUS_ZOMBIE)
    except psutil.NoSuchProcess:
        return True


def _is_running(process: Any) -> bool:
    return bool(process.is_running()) and not _zombie(process.pid)


def _signal(send: Callable[[], None]) -> None:
    try:
        send()
    except psutil.NoSuchProcess:
        return


def _wait(processes: list[Any], patience: float) -> None:
    deadline = time.monotonic() + patience
    while any(_is_running(process) for process in processes) and time.monotonic() < deadline:
        time.sleep(0.05)
