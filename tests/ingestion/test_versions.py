from __future__ import annotations

import os
import shutil
import subprocess
import sys
import time
from datetime import datetime
from pathlib import Path

import polars as pl
import pytest

from include.ingestion import versions
from include.ingestion.git import GitError, git
from include.settings import get_settings


def staged(home: Path, key: str, value: int) -> Path:
    folder = home / "staged" / f"{key}-{value}"
    (folder / "quarantine").mkdir(parents=True)
    pl.DataFrame({"x": [value]}).write_parquet(folder / "rows.parquet")
    pl.DataFrame({"why": [key]}).write_parquet(folder / "quarantine" / "rows.parquet")
    return folder


def publish(home: Path, key: str, value: int) -> str:
    return versions.publish("shop", {key: staged(home, key, value)}, key)


def value(revision: str, key: str) -> int:
    return int(pl.read_parquet(versions.files("shop", revision, [key])[key]["rows.parquet"])["x"][0])


def removed(home: Path, key: str) -> str:
    """The revision after somebody removed a partition with plain git."""
    clone = home / f"clone without {key}"
    for command in (
        ("git", "clone", "-q", str(get_settings().data_repository), str(clone)),
        ("git", "-C", str(clone), "rm", "-q", f"shop/raw/{key[:7]}/{key}.dvc"),
        ("git", "-C", str(clone), "-c", "user.name=me", "-c", "user.email=me@localhost", "commit", "-qm", "Remove"),
        ("git", "-C", str(clone), "push", "-q"),
    ):
        subprocess.run(command, check=True)
    return versions.head()


@pytest.fixture
def repository(home: Path) -> Path:
    versions.initialize()
    return home


def test_a_corrected_partition_is_a_new_revision_and_the_old_stays_readable(repository: Path) -> None:
    first, second = publish(repository, "2013-01-01", 1), publish(repository, "2013-01-01", 2)
    assert first != second
    assert (value(first, "2013-01-01"), value(second, "2013-01-01")) == (1, 2)


def test_identical_data_makes_no_new_revision(repository: Path) -> None:
    first = publish(repository, "2013-01-01", 1)
    shutil.rmtree(repository / "staged")
    assert publish(repository, "2013-01-01", 1) == first == versions.head()


def test_several_partitions_are_one_revision(repository: Path) -> None:
    before = versions.head()
    keys = ["2013-01-01", "2013-01-02", "2013-01-03"]
    revision = versions.publish("shop", {key: staged(repository, key, 1) for key in keys}, "three")
    assert list(versions.pointers("shop", revision)) == keys
    parent = subprocess.run(
        ["git", "rev-parse", f"{revision}^"],
        cwd=get_settings().data_repository,
        capture_output=True,
        text=True,
        check=True,
    )
    assert parent.stdout.strip() == before


def test_a_worker_without_a_cache_reads_the_same_bytes(repository: Path) -> None:
    revision = publish(repository, "2013-01-01", 7)
    shutil.rmtree(get_settings().dvc_cache)
    assert value(revision, "2013-01-01") == 7
    assert set(versions.files("shop", revision)["2013-01-01"]) == {"rows.parquet", "quarantine/rows.parquet"}


def test_content_that_the_remote_lost_is_named(repository: Path) -> None:
    revision = publish(repository, "2013-01-01", 7)
    shutil.rmtree(get_settings().dvc_cache)
    shutil.rmtree(get_settings().dvc_remote)
    with pytest.raises(Exception, match=r"2013-01-01|md5"):
        versions.files("shop", revision)


def test_an_unknown_partition_is_named(repository: Path) -> None:
    revision = publish(repository, "2013-01-01", 1)
    with pytest.raises(versions.VersionError, match="holds no partition 2013-01-02"):
        versions.files("shop", revision, ["2013-01-02"])


def test_without_a_repository_the_cure_is_named(home: Path) -> None:
    with pytest.raises(versions.VersionError, match="make up"):
        versions.head()


def test_a_damaged_repository_is_not_taken_for_the_one_around_it(home: Path) -> None:
    git(home, "init", "--quiet", f"--initial-branch={versions.BRANCH}")
    git(home, "commit", "--quiet", "--allow-empty", "--message", "Another project")
    get_settings().data_repository.mkdir(parents=True)
    (get_settings().data_repository / "HEAD").write_text(f"ref: refs/heads/{versions.BRANCH}\n")
    assert versions.head_or_none() is None
    versions.initialize()
    assert versions.keys("shop", versions.head()) == []
    assert git(home, "log", "--format=%s") == "Another project\n"


def test_creating_the_repository_again_keeps_it(repository: Path) -> None:
    revision = publish(repository, "2013-01-01", 1)
    versions.initialize()
    assert versions.head() == revision


def test_pointers_of_some_partitions(repository: Path) -> None:
    keys = ["2013-01-31", "2013-02-01", "2013-02-01T05"]
    revision = versions.publish("shop", {key: staged(repository, key, n) for n, key in enumerate(keys)}, "three")
    assert versions.keys("shop", revision) == keys
    everything = versions.pointers("shop", revision)
    assert list(everything) == keys
    assert versions.pointers("shop", revision, ["2013-02-01T05", "2013-03-01", "2013-01-31"]) == {
        key: everything[key] for key in ("2013-01-31", "2013-02-01T05")
    }
    assert versions.keys("library", revision) == []
    assert versions.pointers("library", revision) == {} == versions.pointers("shop", revision, [])


@pytest.mark.parametrize("keys", [None, ["2013-01-01"]])
def test_an_unknown_revision_is_refused(repository: Path, keys: list[str] | None) -> None:
    with pytest.raises(GitError, match="0123abc"):
        versions.pointers("shop", "0123abc", keys)


def test_what_changed_between_two_revisions(repository: Path) -> None:
    before = versions.publish("shop", {f"2013-01-0{day}": staged(repository, "x", day) for day in (1, 2, 3)}, "three")
    publish(repository, "2013-01-02", 7)
    added = publish(repository, "2013-02-01", 1)
    versions.publish("library", {"2013-01-01": staged(repository, "2013-01-01", 1)}, "not the shop's")
    after = removed(repository, "2013-01-03")
    assert versions.changed("shop", before, added) == ["2013-01-02", "2013-02-01"]
    assert versions.changed("shop", before, after) == ["2013-01-02", "2013-01-03", "2013-02-01"]
    assert versions.changed("shop", after, after) == []


def test_the_log_of_a_partition(repository: Path) -> None:
    first = publish(repository, "2013-01-01", 1)
    publish(repository, "2013-01-02", 1)
    folder = staged(repository, "2013-01-01", 2)
    second = versions.publish("shop", {"2013-01-01": folder}, "Correct the first\n\nThe till was broken: Düsseldorf.\n")
    third = removed(repository, "2013-01-01")
    log = versions.log("shop", "2013-01-01")
    assert [version.revision for version in log] == [third, second, first]
    assert [version.md5 for version in log] == [
        None,
        versions.pointers("shop", second)["2013-01-01"].md5,
        versions.pointers("shop", first)["2013-01-01"].md5,
    ]
    assert log[1].message == "Correct the first\n\nThe till was broken: Düsseldorf."
    assert all(datetime.fromisoformat(version.at).tzinfo for version in log)
    assert versions.log("shop", "2014-01-01") == []


def test_the_folders_of_the_caller_stay_theirs(repository: Path) -> None:
    folder = staged(repository, "2013-01-01", 1)
    revision = versions.publish("shop", {"2013-01-01": folder}, "one")
    kept = folder / "rows.parquet"
    assert kept.stat().st_mode & 0o200
    kept.write_bytes(b"something else")
    assert value(revision, "2013-01-01") == 1


def test_what_killed_writers_left_is_removed_after_a_day(repository: Path) -> None:
    work = get_settings().work
    old, fresh, other = (work / name for name in ("data-old", "data-fresh", "staged-by-others"))
    for folder in (old, fresh, other):
        (folder / "2013-01-01").mkdir(parents=True)
    for folder in (old, other):
        os.utime(folder, (time.time() - 25 * 3600,) * 2)
    publish(repository, "2013-01-01", 1)
    assert sorted(work.iterdir()) == [fresh, other]


def test_no_scratch_folder_is_left_behind(repository: Path) -> None:
    publish(repository, "2013-01-01", 1)
    assert not list(get_settings().work.iterdir())


def test_plain_git_and_dvc_can_read_and_correct_the_repository(repository: Path, tmp_path: Path) -> None:
    publish(repository, "2013-01-01", 3)
    clone = tmp_path / "clone"

    def call(*command: str) -> str:
        return subprocess.run(command, cwd=clone, check=True, capture_output=True, text=True).stdout

    dvc = (sys.executable, "-m", "dvc")
    subprocess.run(["git", "clone", "-q", str(get_settings().data_repository), str(clone)], check=True)
    call(*dvc, "pull", "-q")
    table = clone / "shop" / "raw" / "2013-01" / "2013-01-01" / "rows.parquet"
    assert pl.read_parquet(table)["x"].to_list() == [3]
    assert call("git", "status", "--porcelain") == ""

    pl.DataFrame({"x": [4]}).write_parquet(table)
    shutil.copytree(table.parent, table.parents[1] / "2013-01-02T05")
    call(*dvc, "add", "-q", "shop/raw/2013-01/2013-01-01", "shop/raw/2013-01/2013-01-02T05")
    changes = call("git", "status", "--porcelain", "--untracked-files=all").splitlines()
    assert changes == [" M shop/raw/2013-01/2013-01-01.dvc", "?? shop/raw/2013-01/2013-01-02T05.dvc"]
    call(*dvc, "push", "-q")
    call("git", "add", ".")
    call("git", "-c", "user.name=me", "-c", "user.email=me@localhost", "commit", "-qm", "Correct by hand")
    call("git", "push", "-q")
    assert [value(versions.head(), key) for key in ("2013-01-01", "2013-01-02T05")] == [4, 4]
    publish(repository, "2013-01-01", 5)
    assert [version.message for version in versions.log("shop", "2013-01-01")][1] == "Correct by hand"
