"""Runs ingestions of the shop in forked processes: what takes long to import is imported once.

Each line that comes in is a JSON list of jobs, which run at once; a line goes out with the outcome of each.
"""

from __future__ import annotations

import importlib
import json
import os
import signal
import sys
import traceback
from pathlib import Path
from typing import Any

PRELOADED = (
    "include.contract.loading", "include.ingestion.ingest", "great_expectations.expectations", "jinja2.ext",
    "duckdb_engine", "networkx", "psutil", "scmrepo.git", "dvc_data.index.push", "dvc.cachemgr", "dvc.data_cloud",
    "dvc.repo", "dvc.repo.index", "dvc.repo.worktree",
)  # fmt: skip
EVENTS = ("open", "os.rename", "os.link", "os.remove", "os.rmdir", "os.mkdir", "shutil.", "subprocess.Popen")


def kill_at(home: str, last: int | None) -> list[int]:
    """Count the uses of the stores, and die at the ``last`` of them."""
    count = [0]

    def watch(event: str, arguments: tuple[object, ...]) -> None:
        if event.startswith(EVENTS) and home in repr(arguments):
            count[0] += 1
            if count[0] == last:
                os.kill(os.getpid(), signal.SIGKILL)

    sys.addaudithook(watch)
    return count


def ingest_shop(job: dict[str, Any]) -> dict[str, Any]:
    from include.contract.loading import load_use_case
    from include.ingestion import ingest, landing
    from include.settings import get_settings

    home = job["home"]
    os.environ |= {"EVERGREEN_HOME": home, "EVERGREEN_USE_CASE_PATHS": str(Path(home, "use cases"))}
    get_settings.cache_clear()
    shop = load_use_case("shop")
    days = [shop.config.calendar.partition(key) for key in job["keys"]]
    count = kill_at(home, job.get("last"))
    landing.land(shop, days)
    ingest.check(shop, days)
    done = ingest.publish(shop, days, origin="test")
    return {"revision": done.revision, "changed": done.changed, "quarantined": done.quarantined, "events": count[0]}


def fork(job: dict[str, Any]) -> tuple[int, int]:
    """A process that does a job: its id, and where its answer comes."""
    reading, writing = os.pipe()
    process = os.fork()
    if process:
        os.close(writing)
        return process, reading
    os.close(reading)
    try:
        answer = ingest_shop(job)
    except BaseException:  # noqa: BLE001 - it is the answer
        answer = {"error": traceback.format_exc()}
    os.write(writing, json.dumps(answer).encode()[-60_000:])
    os._exit(0)


def outcome(process: int, reading: int) -> dict[str, Any]:
    with os.fdopen(reading, "rb") as pipe:
        said = pipe.read()
    _, status = os.waitpid(process, 0)
    if os.WIFSIGNALED(status):
        return {"killed": os.WTERMSIG(status)}
    answer: dict[str, Any] = json.loads(said)
    return answer


def main() -> None:
    for name in PRELOADED:
        importlib.import_module(name)
    for line in sys.stdin:
        started = [fork(job) for job in json.loads(line)]
        print(json.dumps([outcome(*each) for each in started]), flush=True)


if __name__ == "__main__":
    main()
