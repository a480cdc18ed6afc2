"""The data repository under writers at once, lost stores, full disks and killed processes."""

from __future__ import annotations

import multiprocessing
import os
import signal
import subprocess
import sys
from collections import Counter
from collections.abc import Callable, Iterator
from multiprocessing.connection import Connection
from multiprocessing.synchronize import Barrier
from pathlib import Path

import pytest

from include.ingestion import git, versions
from include.settings import get_settings

# One process imports what takes long; the writers are forked from it.
pytestmark = pytest.mark.faults

FORKS = multiprocessing.get_context("forkserver")
LATER = ("data_cloud", "cachemgr", "scm", "repo.index", "repo.plots", "repo.worktree", "repo.datasets")
FORKS.set_forkserver_preload(
    ["pytest", "include.ingestion.versions", "dvc_data.index.push", "dvc.repo", *(f"dvc.{name}" for name in LATER)]
)


def staged(home: Path, key: str, content: bytes) -> Path:
    folder = home / "staged" / key
    (folder / "quarantine").mkdir(parents=True, exist_ok=True)
    (folder / "rows").write_bytes(content)
    (folder / "quarantine" / "rows").write_bytes(key.encode())
    return folder


def publish(home: Path, key: str, content: bytes) -> str:
    return versions.publish("shop", {key: staged(home, key, content)}, f"shop: {key}")


def content(revision: str, key: str) -> bytes:
    listing = versions.files("shop", revision, [key])[key]
    assert listing["quarantine/rows"].read_bytes() == key.encode()
    return listing["rows"].read_bytes()


def settle(home: Path) -> None:
    """A forked process has the environment of its parent's start."""
    os.environ["EVERGREEN_HOME"] = str(home)
    get_settings.cache_clear()


@pytest.fixture
def repository(home: Path) -> Path:
    versions.initialize()
    return home


def write_at_once(home: Path, key: str, folder: Path, barrier: Barrier, answer: Connection) -> None:
    settle(home)
    import dvc.repo  # noqa: F401 - seconds that would set the writers apart

    barrier.wait()
    answer.send(versions.publish("shop", {key: folder}, f"{folder.name} for {key}"))


def revisions_of_writers(home: Path, method: str, writes: list[tuple[str, Path]]) -> list[str]:
    """The revisions that each of the writers, all started at once, was given."""
    context = multiprocessing.get_context(method)
    barrier = context.Barrier(len(writes))
    pipes = [context.Pipe(duplex=False) for _ in writes]
    processes = [
        context.Process(target=write_at_once, args=(home, key, folder, barrier, answer))
        for (key, folder), (_, answer) in zip(writes, pipes, strict=True)
    ]
    for process in processes:
        process.start()
    for process in processes:
        process.join(60)
    assert [process.exitcode for process in processes] == [0] * len(writes)
    return [answer.recv() for answer, _ in pipes]


def test_partitions_published_at_once_are_all_kept(repository: Path) -> None:
    keys = [f"2013-02-{day:02}" for day in range(1, 9)]
    writes = [(key, staged(repository, key, b"data of " + key.encode())) for key in keys]
    revisions = revisions_of_writers(repository, "spawn", writes)
    assert len(set(revisions)) == len(keys)
    assert versions.head() in revisions
    count = git.git(get_settings().data_repository, "rev-list", "--count", versions.head())
    assert int(count) == 1 + len(keys)
    assert versions.keys("shop", versions.head()) == keys
    for key, revision in zip(keys, revisions, strict=True):
        assert content(versions.head(), key) == content(revision, key) == b"data of " + key.encode()
        assert [version.revision for version in versions.log("shop", key)] == [revision]


def test_of_two_contents_for_one_partition_both_are_in_the_history(repository: Path) -> None:
    key, contents = "2013-02-01", [b"one", b"other"]
    writes = [(key, staged(repository / str(number), key, each)) for number, each in enumerate(contents)]
    revisions = revisions_of_writers(repository, "forkserver", writes)
    assert sorted(version.revision for version in versions.log("shop", key)) == sorted(revisions)
    assert versions.head() in revisions
    assert [content(revision, key) for revision in revisions] == contents


def test_the_same_content_published_at_once_is_one_revision(repository: Path) -> None:
    folder = staged(repository, "2013-02-01", b"one")
    revisions = revisions_of_writers(repository, "forkserver", [("2013-02-01", folder)] * 3)
    assert set(revisions) == {versions.head()}
    assert len(versions.log("shop", "2013-02-01")) == 1


def test_an_unreachable_remote_is_named_and_the_call_can_be_repeated(repository: Path) -> None:
    before, remote = versions.head(), get_settings().dvc_remote
    folder = staged(repository, "2013-01-01", b"one")
    remote.rename(remote.with_name("away"))
    remote.write_text("not a folder")
    with pytest.raises(versions.VersionError, match=str(remote)):
        versions.publish("shop", {"2013-01-01": folder}, "one")
    assert versions.head() == before
    assert sorted(path.name for path in folder.rglob("*")) == ["quarantine", "rows", "rows"]
    assert not list(get_settings().work.iterdir())

    remote.unlink()
    remote.with_name("away").rename(remote)
    assert content(versions.publish("shop", {"2013-01-01": folder}, "one"), "2013-01-01") == b"one"


def test_an_unreachable_remote_is_named_by_a_reader(repository: Path) -> None:
    revision, remote = publish(repository, "2013-01-01", b"one"), get_settings().dvc_remote
    for path in sorted(get_settings().dvc_cache.rglob("*"), reverse=True):
        path.rmdir() if path.is_dir() else path.unlink()
    remote.rename(remote.with_name("away"))
    remote.write_text("not a folder")
    with pytest.raises(versions.VersionError, match=str(remote)):
        versions.files("shop", revision)

    remote.unlink()
    remote.with_name("away").rename(remote)
    assert content(revision, "2013-01-01") == b"one"


@pytest.fixture
def mount() -> Iterator[Callable[[Path], None]]:
    mounted: list[Path] = []

    def small_disk(path: Path) -> None:
        path.mkdir(parents=True, exist_ok=True)
        command = ["mount", "-t", "tmpfs", "-o", "size=4m", "tmpfs", str(path)]
        done = subprocess.run(command, check=False, capture_output=True, text=True)
        if done.returncode:
            pytest.skip(f"a small disk cannot be mounted: {done.stderr.strip()}")
        mounted.append(path)

    yield small_disk
    for path in mounted:
        subprocess.run(["umount", str(path)], check=True)


@pytest.mark.parametrize("place", ["data", "data/cache", "data/remote", "work"])
def test_a_full_disk_leaves_no_torn_state(home: Path, mount: Callable[[Path], None], place: str) -> None:
    mount(home / place)
    versions.initialize()
    before = publish(home, "2013-01-01", b"one")
    with pytest.raises(versions.VersionError, match="No space left on device"):
        publish(home, "2013-01-02", os.urandom(5 << 20))
    assert versions.head() == before
    assert content(before, "2013-01-01") == b"one"
    after = publish(home, "2013-01-02", b"two")
    assert [content(after, key) for key in versions.keys("shop", after)] == [b"one", b"two"]


def test_a_full_disk_of_the_repository_leaves_no_torn_state(home: Path, mount: Callable[[Path], None]) -> None:
    mount(get_settings().data_repository)
    versions.initialize()
    before = publish(home, "2013-01-01", b"one")
    filler = get_settings().data_repository / "filler"
    with pytest.raises(OSError, match="No space left"):
        filler.write_bytes(bytes(5 << 20))
    with pytest.raises(versions.VersionError, match=r"(?i)space"):
        publish(home, "2013-01-02", b"two")
    assert versions.head() == before
    assert content(before, "2013-01-01") == b"one"
    filler.unlink()
    assert content(publish(home, "2013-01-02", b"two"), "2013-01-02") == b"two"


def test_a_commit_that_is_cut_off_is_not_made(repository: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    before, whole = versions.head(), git.run

    def cut(folder: Path, *arguments: str, stdin: bytes = b"") -> subprocess.CompletedProcess[bytes]:
        end = stdin.find(b"M 100644 inline shop/raw/2013-01/2013-01-02.dvc") if "fast-import" in arguments else None
        return whole(folder, *arguments, stdin=stdin[:end])

    folders = {key: staged(repository, key, b"one") for key in ("2013-01-01", "2013-01-02")}
    with monkeypatch.context() as patch:
        patch.setattr(git, "run", cut)
        with pytest.raises(versions.VersionError, match="nothing is published"):
            versions.publish("shop", folders, "two")
    assert versions.head() == before
    assert versions.keys("shop", versions.publish("shop", folders, "two")) == list(folders)


def publish_until(home: Path, key: str, folder: Path, last: tuple[str, int] | None, answer: Connection) -> None:
    """Publish, and be killed at the n-th use of a file of the stores, or call of git; answers how many there were."""
    settle(home)
    counts = Counter[str]()

    def watch(event: str, arguments: tuple[object, ...]) -> None:
        kind = "git" if event == "subprocess.Popen" else "file"
        if kind == "git" or (event.startswith(("open", "os.", "shutil.")) and str(home) in repr(arguments)):
            counts[kind] += 1
            if (kind, counts[kind]) == last:
                os.kill(os.getpid(), signal.SIGKILL)

    sys.addaudithook(watch)
    versions.publish("shop", {key: folder}, f"shop: {key}")
    answer.send(counts)


def counted(home: Path, key: str, folder: Path, last: tuple[str, int] | None = None) -> Counter[str]:
    """What an undisturbed writer counted; nothing of a killed one."""
    received, answer = FORKS.Pipe(duplex=False)
    process = FORKS.Process(target=publish_until, args=(home, key, folder, last, answer))
    process.start()
    process.join(60)
    assert process.exitcode == (-signal.SIGKILL if last else 0), last
    return Counter() if last else received.recv()


def test_a_killed_writer_is_made_good_by_the_next(repository: Path) -> None:
    publish(repository, "2013-01-01", b"the first makes folders")
    totals = counted(repository, "2013-01-02", staged(repository, "2013-01-02", b"undisturbed"))
    assert totals["file"] > 50
    # A few fewer than there were: a folder of the cache may be there already.
    points = [("file", 1 + (totals["file"] - 9) * number // 9) for number in range(10)]
    points += [("git", number) for number in range(1, totals["git"] + 1)]
    for number, point in enumerate(points, 1):
        key, wanted = f"2013-02-{number:02}", repr(point).encode()
        folder = staged(repository, key, wanted)
        counted(repository, key, folder, point)
        assert versions.keys("shop", versions.head())[:2] == ["2013-01-01", "2013-01-02"]
        counted(repository, key, folder)
        assert content(versions.head(), key) == wanted
        assert len(versions.log("shop", key)) == 1, point
    git.git(get_settings().data_repository, "fsck", "--strict")
