"""Does a day cost the same after ten thousand others?

CPU seconds of this process and the git calls it makes, with DVC imported beforehand: publishing one partition, and
finding the files of the newest 28, in data repositories of 10 to 10,000 partitions. The pointers of the older ones name
contents that do not exist. The peer is ``dvc add`` alone, without push and commit, in a full clone of the repository.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import resource
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from datetime import date, timedelta
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from dvc.repo import Repo

from include.ingestion import versions
from include.ingestion.git import commit
from include.settings import get_settings

LIBRARIES = ("dvc",)
HISTORIES = (10, 100, 1_000, 10_000)
PEER_HISTORIES = (100, 1_000)
CASE = "shop"
WINDOW = 28
REPEATS = 5
TURNS = 3
READS = 41


def cpu_seconds(work: Callable[[], object]) -> float:
    def spent() -> float:
        usages = map(resource.getrusage, (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
        return sum(usage.ru_utime + usage.ru_stime for usage in usages)

    before = spent()
    work()
    return spent() - before


def key_of(number: int) -> str:
    return (date(1990, 1, 1) + timedelta(number)).isoformat()


def monthly(key: str) -> str:
    return f"{CASE}/raw/{key[:7]}/{key}.dvc"


def flat(key: str) -> str:
    return f"{CASE}/raw/{key}.dvc"


def pointer(key: str) -> bytes:
    md5 = hashlib.md5(key.encode()).hexdigest()
    return f"outs:\n- md5: {md5}.dir\n  size: 123456\n  nfiles: 3\n  hash: md5\n  path: '{key}'\n".encode()


def staged(home: Path, key: str) -> Path:
    folder = home / "staged" / key
    folder.mkdir(parents=True)
    for name in ("flights", "weather", "validation"):
        (folder / name).write_bytes(f"{key} {name}".encode() * 1000)
    return folder


def stored() -> int:
    """Bytes of the git repository."""
    return sum(path.stat().st_size for path in get_settings().data_repository.rglob("*") if path.is_file())


@contextlib.contextmanager
def repository(partitions: int, layout: Callable[[str], str] = monthly) -> Iterator[Path]:
    """A home whose data repository holds pointers of so many partitions."""
    with tempfile.TemporaryDirectory() as folder:
        os.environ["EVERGREEN_HOME"] = folder
        get_settings.cache_clear()
        versions.initialize()
        files = {layout(key): pointer(key) for key in map(key_of, range(partitions))}
        commit(get_settings().data_repository, versions.BRANCH, versions.head(), files, "The past")
        yield Path(folder)
    get_settings.cache_clear()


def ours(partitions: int) -> dict[str, float]:
    """CPU seconds of publishing and reading, and bytes per commit, after so many partitions."""
    recent = min(WINDOW, partitions)
    with repository(partitions - recent) as home:
        window = [key_of(number) for number in range(partitions - recent, partitions)]
        versions.publish(CASE, {key: staged(home, key) for key in window}, "The window")
        times, sizes = [], []
        for number in range(REPEATS):
            key = key_of(partitions + number)
            folders, before = {key: staged(home, key)}, stored()
            times.append(cpu_seconds(lambda: versions.publish(CASE, folders, key)))  # noqa: B023 - called at once
            sizes.append(stored() - before)
        revision = versions.head()
        reads = [cpu_seconds(lambda: versions.files(CASE, revision, window)) for _ in range(READS)]
    return {name: statistics.median(each) for name, each in (("publish", times), ("read", reads), ("bytes", sizes))}


def peer(partitions: int) -> float:
    """CPU seconds of ``dvc add`` of one more partition."""
    with repository(partitions) as home:
        clone, key = home / "clone", key_of(partitions)
        subprocess.run(["git", "clone", "-q", str(get_settings().data_repository), str(clone)], check=True)
        folder = (clone / monthly(key)).with_suffix("")
        folder.parent.mkdir(parents=True, exist_ok=True)
        staged(home, key).rename(folder)
        with Repo(str(clone)) as repo:
            return cpu_seconds(lambda: repo.add([str(folder)]))


def bytes_of_flat_layout(partitions: int) -> int:
    """What a commit adds where all pointers are in one folder."""
    with repository(partitions, flat):
        before, key = stored(), key_of(partitions)
        data = get_settings().data_repository
        commit(data, versions.BRANCH, versions.head(), {flat(key): pointer(key)}, key)
        return stored() - before


def run() -> list[dict[str, object]]:
    ours(HISTORIES[0])  # DVC imports more at its first call.
    # In turns, and the best of them: the machine's speed drifts, and would be taken for growth.
    turns = [{partitions: ours(partitions) for partitions in HISTORIES} for _ in range(TURNS)]
    measured = {
        partitions: {name: min(turn[partitions][name] for turn in turns) for name in turns[0][partitions]}
        for partitions in HISTORIES
    }
    peers = {partitions: peer(partitions) for partitions in PEER_HISTORIES}
    least, most = measured[HISTORIES[0]], measured[HISTORIES[-1]]
    entries: list[dict[str, object]] = []
    for partitions, found in measured.items():
        rival, last = peers.get(partitions), partitions == HISTORIES[-1]
        growth = found["publish"] / least["publish"]
        entries.append(
            {
                "name": f"data versions: publish one partition after {partitions:,}",
                "ours": found["publish"],
                "peer": rival,
                "ratio": found["publish"] / rival if rival else growth if last else None,
                "goal": f"at most 1.5 times that after {HISTORIES[0]}"
                if last
                else "less than the peer"
                if rival
                else "",
                "met": growth <= 1.5 if last else found["publish"] < rival if rival else None,
                "unit": "CPU s",
            }
        )
    for partitions, found in measured.items():
        last = partitions == HISTORIES[-1]
        growth = found["read"] / measured[HISTORIES[1]]["read"]
        entries.append(
            {
                "name": f"data versions: find the files of the newest {min(WINDOW, partitions)} of {partitions:,}",
                "ours": found["read"],
                "peer": None,
                "ratio": growth if last else None,
                "goal": f"at most 1.5 times that of {HISTORIES[1]}" if last else "",
                "met": growth <= 1.5 if last else None,
                "unit": "CPU s",
            }
        )
    rival = bytes_of_flat_layout(HISTORIES[-1])
    entries.append(
        {
            "name": f"data versions: growth of the git repository per commit after {HISTORIES[-1]:,}",
            "ours": most["bytes"],
            "peer": rival,
            "ratio": most["bytes"] / rival,
            "goal": "at most a tenth of the peer",
            "met": most["bytes"] <= rival / 10,
            "unit": "bytes",
            "note": "the peer has all pointers in one folder",
        }
    )
    return entries


if __name__ == "__main__":
    print(json.dumps(run(), indent=2))
