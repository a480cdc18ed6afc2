from __future__ import annotations

import multiprocessing
import shutil
import subprocess
import sys
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

import polars as pl
import pytest

from include.ingestion import versions
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


def test_creating_the_repository_again_keeps_it(repository: Path) -> None:
    revision = publish(repository, "2013-01-01", 1)
    versions.initialize()
    assert versions.head() == revision


def test_partitions_published_at_once_by_several_processes_are_all_kept(repository: Path) -> None:
    keys = [f"2013-02-{day:02}" for day in range(1, 7)]
    with ProcessPoolExecutor(3, mp_context=multiprocessing.get_context("spawn")) as pool:
        list(pool.map(publish, [repository] * len(keys), keys, range(len(keys))))
    assert [value(versions.head(), key) for key in keys] == list(range(len(keys)))


def test_no_clone_is_left_behind(repository: Path) -> None:
    publish(repository, "2013-01-01", 1)
    assert not list(get_settings().work.iterdir())


def test_plain_git_and_dvc_can_read_the_repository(repository: Path, tmp_path: Path) -> None:
    publish(repository, "2013-01-01", 3)
    clone = tmp_path / "clone"
    subprocess.run(["git", "clone", "-q", str(get_settings().data_repository), str(clone)], check=True)
    subprocess.run([sys.executable, "-m", "dvc", "pull", "-q"], cwd=clone, check=True)
    assert pl.read_parquet(clone / "shop" / "raw" / "2013-01-01" / "rows.parquet")["x"].to_list() == [3]
