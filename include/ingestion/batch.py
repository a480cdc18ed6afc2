"""A partition that has landed, with its recent past: what the suites of a use case are built from."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import lru_cache
from pathlib import Path

import polars as pl

from include.contract.loading import Folder
from include.contract.partitions import Partition
from include.files import read_json
from include.ingestion import versions
from include.ingestion.profile import TableProfile

# What is kept with the tables of a partition.
PROFILE = "profile.json"
RECORD = "validation.json"


class Past:
    """The accepted partitions before those of a run, and those of the run that have been checked already."""

    def __init__(self, use_case: Folder, partitions: Sequence[Partition]) -> None:
        config = use_case.config
        self.revision = versions.head()
        self._calendar = config.calendar
        self._lookback = config.ingestion.lookback
        first = self._calendar.shift(partitions[0], -self._lookback)
        own = {partition.key for partition in partitions}
        before = [each.key for each in self._calendar.span(first, partitions[-1]) if each.key not in own]
        known = versions.pointers(config.name, self.revision, before)
        self._files: dict[str, Mapping[str, Path]] = {**versions.files(config.name, self.revision, list(known))}

    def add(self, partition: Partition, folder: Path) -> None:
        """From now on a partition of the run is part of the past of those after it."""
        self._files[partition.key] = {path.name: path for path in folder.iterdir() if path.is_file()}

    def before(self, partition: Partition, count: int | None = None) -> list[tuple[Partition, Mapping[str, Path]]]:
        """The files of the ``count`` partitions before one (``ingestion.lookback`` if not given), the oldest first."""
        first = self._calendar.shift(partition, -min(count or self._lookback, self._lookback))
        span = self._calendar.span(first, partition)[:-1]
        return [(each, self._files[each.key]) for each in span if each.key in self._files]

    def tables(self, partition: Partition, name: str) -> dict[str, Path]:
        """The accepted rows of a table in the partitions before one, by key."""
        file = f"{name}.parquet"
        return {each.key: files[file] for each, files in self.before(partition) if file in files}

    def profiles(self, partition: Partition) -> list[dict[str, TableProfile]]:
        """The profiles of the tables in each partition before one."""
        return [read_profiles(files[PROFILE]) for _, files in self.before(partition)]


class LandedBatch:
    """What ``expectations.py`` is given: see :class:`include.contract.authoring.Batch`."""

    def __init__(self, partition: Partition, tables: Mapping[str, Path], past: Past) -> None:
        self._partition = partition
        self._tables = tables
        self._past = past

    @property
    def partition(self) -> Partition:
        return self._partition

    def table(self, name: str, *, partitions: int = 1) -> pl.DataFrame:
        landed = pl.read_parquet(self._path(name))
        if partitions == 1:
            return landed
        earlier = [files.get(f"{name}.parquet") for _, files in self._past.before(self._partition, partitions - 1)]
        return pl.concat([*(pl.read_parquet(path) for path in earlier if path), landed], how="diagonal_relaxed")

    def past(self, name: str) -> list[tuple[Partition, TableProfile]]:
        self._path(name)
        found = [(each, read_profiles(files[PROFILE])) for each, files in self._past.before(self._partition)]
        return [(each, profiles[name]) for each, profiles in found if name in profiles]

    def _path(self, name: str) -> Path:
        if name not in self._tables:
            raise KeyError(f"partition {self._partition.key} has no table {name!r}; it has {sorted(self._tables)}")
        return self._tables[name]


def read_profiles(path: Path) -> dict[str, TableProfile]:
    """The profiles that were kept with a partition, by table."""
    return _profiles(path, path.stat().st_mtime_ns)


@lru_cache(maxsize=512)
def _profiles(path: Path, _: int) -> dict[str, TableProfile]:
    """Read once a file as it is: each partition of a range looks at the same past, and a staged one may be replaced."""
    return {name: TableProfile.from_dict(content) for name, content in read_json(path).items()}
