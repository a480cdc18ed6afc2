"""Ingestion under SIGKILL, beside itself, and on a full disk."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from include.contract.loading import Folder
from include.files import read_json
from include.ingestion import git, ingest, landing, versions
from include.ingestion.batch import RECORD
from include.settings import get_settings
from tests.ingestion import shop as shops

FIRST, SECOND = KEYS = shops.KEYS[7:9]
pytestmark = pytest.mark.faults

POINTS = 12
Jobs = list[dict[str, Any]]
Ingesters = Callable[[Jobs], Jobs]


@pytest.fixture(scope="module")
def ingesters() -> Iterator[Ingesters]:
    """Runs jobs at once, each in a process of its own, and says what came of them."""
    command = [sys.executable, "-m", "tests.ingestion.ingester"]
    environment = {**os.environ, "DVC_NO_ANALYTICS": "1"}
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=environment
    ) as process:
        assert process.stdin and process.stdout
        sending, receiving = process.stdin, process.stdout

        def run(jobs: Jobs) -> Jobs:
            sending.write(json.dumps(jobs) + "\n")
            sending.flush()
            answers: Jobs = json.loads(receiving.readline())
            return answers

        yield run
        sending.close()
        process.wait(30)


def deliver() -> None:
    """Two days, the second with a row for the quarantine."""
    shops.deliver(FIRST)
    bad = pl.when(pl.col("id") == f"{SECOND}/3").then(-1.0).otherwise("price")
    shops.deliver(SECOND, shops.orders(SECOND).with_columns(price=bad))


def job(**options: Any) -> dict[str, Any]:
    return {"home": str(get_settings().home), "keys": KEYS, **options}


def state() -> dict[str, str]:
    """The hashes of what is published."""
    return {key: pointer.md5 for key, pointer in versions.pointers("shop", versions.head()).items()}


def assert_whole() -> None:
    """Every file that is not a leftover can be read, and what is published agrees with its record."""
    work = get_settings().work
    for stage in ("landed", "staged"):
        for path in (work / stage).rglob("*"):
            if path.is_file() and not any(part.startswith(".") for part in path.relative_to(work).parts):
                read_json(path) if path.suffix == ".json" else pl.read_parquet(path)
    for key, files in versions.files("shop", versions.head()).items():
        counts = read_json(files[RECORD])["counts"]["orders"]
        assert counts["accepted"] == pl.read_parquet(files["orders.parquet"]).height, key
        put_aside = files.get("quarantine/orders.parquet")
        assert counts["quarantined"] == (pl.read_parquet(put_aside).height if put_aside else 0), key
        assert counts["landed"] == 60, key


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory: pytest.TempPathFactory, ingesters: Ingesters) -> tuple[int, dict[str, str]]:
    """How often a run uses the stores, and what it publishes."""
    home = tmp_path_factory.mktemp("undisturbed")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("EVERGREEN_HOME", str(home))
        get_settings.cache_clear()
        shops.write(home / "use cases")
        versions.initialize()
        deliver()
        (done,) = ingesters([job()])
        found = state()
    get_settings.cache_clear()
    assert done["changed"] == KEYS and done["quarantined"] == 1
    return done["events"], found


@pytest.mark.parametrize("point", range(POINTS))
def test_a_killed_ingestion_is_made_good_by_the_next(
    shop: Folder, ingesters: Ingesters, undisturbed: tuple[int, dict[str, str]], point: int
) -> None:
    deliver()
    total, wanted = undisturbed
    last = 1 + point * (total - 1) // (POINTS - 1)
    assert ingesters([job(last=last)]) == [{"killed": signal.SIGKILL}]
    assert state() in ({}, wanted)
    assert_whole()
    (again,) = ingesters([job()])
    assert state() == wanted
    assert_whole()
    assert again["quarantined"] == 1
    reason = "orders: expect_column_values_to_be_between(price)"
    assert ingest.quarantined(shop, KEYS, versions.head()) == {reason: 1}
    assert [len(versions.log("shop", key)) for key in KEYS] == [1, 1]
    assert git.git(get_settings().data_repository, "rev-list", "--count", "main").strip() == "2"


def test_days_ingested_at_once_are_all_there(shop: Folder, ingesters: Ingesters) -> None:
    keys = shops.KEYS[:8]
    for key in keys:
        shops.deliver(key)
    done = ingesters([job(keys=[key]) for key in keys])
    assert [each.get("changed") for each in done] == [[key] for key in keys], done
    assert list(state()) == keys
    assert [len(versions.log("shop", key)) for key in keys] == [1] * 8
    assert all(shops.published(key).equals(shops.orders(key)) for key in keys)


def test_a_day_ingested_twice_at_once_is_published_once(shop: Folder, ingesters: Ingesters) -> None:
    for key in shops.KEYS[:3]:
        shops.deliver(key)
        done = ingesters([job(keys=[key])] * 2)
        assert ["error" for each in done if "error" in each] == [], "\n".join(each.get("error", "") for each in done)
        assert {each["revision"] for each in done} == {versions.head()}
        assert len(versions.log("shop", key)) == 1
        assert shops.published(key).equals(shops.orders(key))


def test_ingesting_twice_makes_no_new_revision(shop: Folder) -> None:
    deliver()
    before = shops.bring_in(shop, *KEYS)
    again = shops.bring_in(shop, *KEYS)
    assert again.revision == before.revision == versions.head()
    assert (before.changed, again.changed) == (tuple(KEYS), ())
    assert (again.landed, again.accepted, again.quarantined) == (120, 119, 1)


def test_a_day_that_another_run_stages_while_it_is_published_is_published_whole_or_not_at_all(shop: Folder) -> None:
    (day,) = shops.days(shop, [SECOND])
    shops.deliver(SECOND)
    shops.examine(shop, SECOND)
    staged = str(ingest.staged(shop, day))
    copied: list[str] = []

    def disturb(event: str, arguments: tuple[object, ...]) -> None:
        if event in ("shutil.copyfile", "os.link") and str(arguments[0]).startswith(staged) and not copied:
            copied.append(str(arguments[0]))
            deliver()
            shops.examine(shop, SECOND)

    sys.addaudithook(disturb)
    with contextlib.suppress(versions.VersionError):
        ingest.publish(shop, [day], origin="test")
    assert copied
    assert_whole()


@pytest.fixture
def small_disk() -> Iterator[Callable[[Path, int], None]]:
    mounted: list[Path] = []

    def mount(path: Path, megabytes: int) -> None:
        path.mkdir(parents=True, exist_ok=True)
        command = ["mount", "-t", "tmpfs", "-o", f"size={megabytes}m", "tmpfs", str(path)]
        done = subprocess.run(command, check=False, capture_output=True, text=True)
        if done.returncode:
            pytest.skip(f"a small disk cannot be mounted: {done.stderr.strip()}")
        mounted.append(path)

    yield mount
    for path in mounted:
        subprocess.run(["umount", str(path)], check=True)


def noise(megabytes: int) -> pl.DataFrame:
    """A day whose rows are too many for a small disk, however they are packed."""
    rows = 16 * megabytes
    notes = pl.Series([os.urandom(32_768).hex() for _ in range(rows)])
    return shops.orders(SECOND, rows).with_columns(note=notes)


@pytest.mark.parametrize("step", ["land", "check", "publish"])
def test_a_full_disk_publishes_nothing_and_the_step_can_be_repeated(
    shop: Folder, small_disk: Callable[[Path, int], None], step: str
) -> None:
    small_disk(get_settings().work, 16)
    before = versions.head()
    days = shops.days(shop, [SECOND])
    frame = noise(4)
    bad = pl.when(pl.col("id") == f"{SECOND}/3").then(-1.0).otherwise("price")
    shops.deliver(SECOND, frame.with_columns(price=bad))
    filler = get_settings().work / "filler"
    steps: dict[str, Callable[[], Any]] = {
        "land": lambda: landing.land(shop, days),
        "check": lambda: ingest.check(shop, days),
        "publish": lambda: ingest.publish(shop, days, origin="test"),
    }
    for name, run in steps.items():
        if name == step:
            used = sum(path.stat().st_size for path in get_settings().work.rglob("*") if path.is_file())
            filler.write_bytes(bytes((15 << 20) - used))
            with pytest.raises(
                (OSError, pl.exceptions.PolarsError, versions.VersionError), match="No space left on device"
            ):
                run()
            assert versions.head() == before
            filler.unlink()
        run()
    assert versions.keys("shop", versions.head()) == [SECOND]
    assert shops.published(SECOND).height == frame.height - 1
    for stage in ("landed", "staged"):
        assert [path.name for path in (get_settings().work / stage / "shop").iterdir()] == [SECOND]
