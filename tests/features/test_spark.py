"""On a real Spark cluster of several processes: the same features as in one process, row for row."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from threading import Thread

import polars as pl
import psutil
import pytest

from include import spark
from include.contract.engine import EngineConfig
from include.contract.loading import Folder, load_use_case
from include.features import compute
from include.features.compute import label_file, view_file
from include.features.split import SplitError
from include.features.trial import compare
from include.ingestion import landing, versions
from include.settings import REPOSITORY, get_settings
from tests import spark_cluster
from tests.conftest import USE_CASES, forget_use_cases
from tests.features import sales

pytestmark = [
    pytest.mark.spark,
    pytest.mark.skipif(spark_cluster.missing() is not None, reason=str(spark_cluster.missing())),
]

ORIGIN, TAIL, DEST, CARRIER = ("origin",), ("tailnum",), ("dest",), ("carrier",)
FLIGHTS = {
    "labels": ORIGIN, "flight_plan": ORIGIN, "flight_plan.carrier_missing_share": CARRIER,
    "flight_plan.aircraft_leg": TAIL, "flight_plan.since_previous_departure": TAIL,
    "flight_plan.since_previous_arrival": TAIL, "carrier_history": CARRIER, "origin_history": ORIGIN,
    "dest_history": DEST, "tail_history": TAIL, "line_history": DEST, "slot_history": ORIGIN, "origin_now": ORIGIN,
    "carrier_now": ORIGIN, "aircraft_now": TAIL,
}  # fmt: skip
STATIONS = {"labels": ("station",), "observation": ("station",), "station_history": ("station",)}
SLOW = '''

_views = views


def views(window):
    """The first task that comes to a part of its own waits to be killed."""
    import os
    import time
    from contextlib import suppress
    from pathlib import Path

    from include.settings import get_settings

    if window.table("sales").height:
        marker = Path(get_settings().home) / "marker"
        with suppress(FileExistsError):
            with marker.open("x") as stream:
                stream.write(str(os.getpid()))
            time.sleep(120)
    return _views(window)
'''


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with spark_cluster.spark_cluster(tmp_path_factory.mktemp("cluster")) as address:
        yield address


@pytest.fixture
def lake(home: Path, cluster: str, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Stores of their own, and use cases of the repository, of the tests, and of this file."""
    folders = (REPOSITORY / "include" / "use_cases", USE_CASES, home / "use cases")
    (home / "use cases").mkdir()
    monkeypatch.setenv("EVERGREEN_USE_CASE_PATHS", os.pathsep.join(map(str, folders)))
    monkeypatch.setenv("EVERGREEN_SPARK", cluster)
    get_settings.cache_clear()
    forget_use_cases()
    versions.initialize()
    return home


def on_spark(use_case: Folder, split: dict[str, tuple[str, ...]], parts: int = 4) -> Folder:
    engine = EngineConfig(features="spark", parts=parts, split=split)
    return Folder(use_case.path, use_case.config.model_copy(update={"engine": engine}))


def landed(use_case: Folder, key: str) -> str:
    """Publish partitions as they land."""
    partitions = use_case.config.calendar.parse(key)
    landing.land(use_case, partitions)
    folders = {each.key: landing.folder(use_case, each) for each in partitions}
    return versions.publish(use_case.config.name, folders, "test")


def files(use_case: Folder, key: str) -> dict[str, pl.DataFrame]:
    """What is in the offline store of a partition, by view, and its labels."""
    name = use_case.config.name
    views = sorted(path.name for path in (get_settings().offline_store / name).iterdir())
    found = {view: pl.read_parquet(view_file(name, view, key)) for view in views}
    return {**found, "labels": pl.read_parquet(label_file(name, key))}


def both(
    use_case: Folder, apart: Folder, keys: str, revision: str, *, exact: bool
) -> tuple[compute.Computed, compute.Computed]:
    """Compute partitions embedded and on Spark, and hold each file of the one against that of the other."""
    partitions = use_case.config.calendar.parse(keys)
    embedded = compute.compute(use_case, partitions, revision)
    expected = {each.key: files(use_case, each.key) for each in partitions}
    for path in [*get_settings().offline_store.rglob("*.parquet"), *get_settings().labels.rglob("*.parquet")]:
        path.unlink()
    done = compute.compute(apart, partitions, revision)
    for key, views in expected.items():
        found = files(use_case, key)
        assert found.keys() == views.keys()
        for view, frame in views.items():
            assert frame.height, f"{key}: {view} is empty"
            by = [*frame.select(pl.selectors.string()).columns, "event_timestamp"]
            compared = compare(view, found[view], frame, by)
            assert compared.equal, f"{key}: {compared}"
            if exact:
                left, right = (each.sort(by, maintain_order=True) for each in (found[view], frame))
                assert left.equals(right, null_equal=True), (key, view)
    return embedded, done


def test_flights_are_the_same_row_for_row(lake: Path) -> None:
    flights = load_use_case("flight_delay")
    revision = landed(flights, "2013-01-31/2013-02-10")
    embedded, done = both(flights, on_spark(flights, FLIGHTS), "2013-02-09/2013-02-10", revision, exact=True)
    assert done == embedded
    metadata = pl.read_parquet_metadata(view_file("flight_delay", "flight_plan", "2013-02-10"))
    assert metadata[compute.REVISION] == revision
    assert list((get_settings().work / "parted").iterdir()) == []


def test_stations_are_the_same_row_for_row(lake: Path) -> None:
    stations = load_use_case("station_temperature")
    revision = landed(stations, "2013-01-07/2013-01-21")
    embedded, done = both(
        stations, on_spark(stations, STATIONS, parts=2), "2013-01-14/2013-01-21", revision, exact=False
    )
    assert done == embedded


def test_a_killed_executor_costs_nothing(lake: Path) -> None:
    """One executor ends by kill -9 while it computes; its task runs again on another."""
    use_case = sales.write(lake)
    days = {day: {"sales": sold(day), "shops": sales.shops()} for day in ("2013-01-01", "2013-01-02")}
    revision = sales.publish(use_case, days)
    partitions = use_case.config.calendar.parse("2013-01-02")
    compute.compute(use_case, partitions, revision)
    expected = files(use_case, "2013-01-02")
    with (use_case.path / "features.py").open("a") as stream:
        stream.write(SLOW)
    forget_use_cases()
    killer = Thread(target=kill_executor, args=(lake / "marker",))
    killer.start()
    done = compute.compute(sales.apart(use_case, parts=4), partitions, revision)
    killer.join()
    assert (lake / "marker").with_suffix(".killed").is_file()
    assert done.labels == expected["labels"].height
    keys = {"sale": ["sale_id"], "customer_history": ["customer"], "region_total": ["region"], "labels": ["sale_id"]}
    found = files(use_case, "2013-01-02")
    assert [str(compare(view, found[view], expected[view], keys[view])) for view in keys] == [
        f"{view}: the same {expected[view].height} rows" for view in keys
    ]


def sold(day: str) -> pl.DataFrame:
    start = datetime.fromisoformat(day).replace(tzinfo=UTC)
    rows = [(f"{day}/{n}", f"shop {n % 6}", n % 50 or None, n / 7, start + timedelta(seconds=n)) for n in range(3000)]
    return pl.DataFrame(rows, sales.SALES, orient="row")


def kill_executor(marker: Path) -> None:
    """Kill the executor whose Python process has left its id."""
    while not marker.is_file() or not marker.read_text():
        time.sleep(0.1)
    above = psutil.Process(int(marker.read_text())).parents()
    (executor,) = [each for each in above if any("CoarseGrainedExecutorBackend" in word for word in each.cmdline())]
    executor.send_signal(signal.SIGKILL)
    marker.with_suffix(".killed").touch()


def test_a_wrong_declaration_costs_no_cluster(lake: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    stations = load_use_case("station_temperature")
    revision = landed(stations, "2013-01-07")
    monkeypatch.setattr(spark, "session", None)
    with pytest.raises(SplitError, match=r"engine\.split\.observation: missing"):
        compute.compute(
            on_spark(stations, {"labels": ("station",), "station_history": ("station",)}),
            stations.config.calendar.parse("2013-01-07"), revision,
        )  # fmt: skip


def test_an_address_that_spark_does_not_know_is_told(lake: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("EVERGREEN_SPARK", "sparc://host")
    get_settings.cache_clear()
    message = r"EVERGREEN_SPARK=sparc://host: no Spark application can be started: .*parse"
    with pytest.raises(spark.SparkError, match=message), spark.session("sales", "features"):
        pytest.fail("a session was opened")
