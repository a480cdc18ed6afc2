"""The online store of one machine: rows in a SQLite file."""

from __future__ import annotations

import sqlite3
import threading
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from itertools import chain, count
from pathlib import Path

from typing_extensions import override

from include.features.moments import EPOCH, MICROSECOND, microseconds
from include.features.online.rows import Row, RowStore, Written

WAIT = 60.0  # seconds that a writer waits for another
AT_ONCE = 10_000  # a statement takes 32,766 parameters, and a transaction should leave room for others

SCHEMA = """
CREATE TABLE IF NOT EXISTS feature_rows (
    view TEXT NOT NULL, key BLOB NOT NULL, event INTEGER NOT NULL, created INTEGER NOT NULL,
    source TEXT NOT NULL, expires INTEGER, features BLOB NOT NULL, PRIMARY KEY (view, key)
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS views (view TEXT PRIMARY KEY, newest INTEGER NOT NULL, at INTEGER NOT NULL) WITHOUT ROWID;
"""
WRITE = """
INSERT INTO feature_rows VALUES (?, ?, ?, ?, ?, ?, ?)
ON CONFLICT (view, key) DO UPDATE SET event = excluded.event, created = excluded.created, source = excluded.source,
    expires = excluded.expires, features = excluded.features
WHERE (excluded.event, excluded.created) >= (event, created)
"""
WRITTEN = """
INSERT INTO views VALUES (?, ?, ?)
ON CONFLICT (view) DO UPDATE SET newest = max(newest, excluded.newest), at = excluded.at
"""
READ = """
WITH wanted (view, key) AS (VALUES {values})
SELECT view, key, event, created, features FROM wanted CROSS JOIN feature_rows USING (view, key)
"""


@lru_cache(1000)
def _read(count: int) -> str:
    """The statement that reads so many keys; the same text, so that the connection has it prepared."""
    return READ.format(values=", ".join(["(?, ?)"] * count))


class SqliteRows(RowStore):
    """Rows in one file. Each thread has a connection of its own; writers wait for each other, readers never."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._local = threading.local()
        self._numbers = count()
        path.parent.mkdir(parents=True, exist_ok=True)
        self._connection()

    @override
    def write(self, view: str, rows: Sequence[Row], *, source: str, keep: timedelta | None) -> None:
        now = microseconds(datetime.now(UTC))
        expires = None if keep is None else now + keep // MICROSECOND
        for start in range(0, len(rows), AT_ONCE):
            part = rows[start : start + AT_ONCE]
            with self._transaction() as connection:
                connection.executemany(
                    WRITE, ((view, row.key, row.event, row.created, source, expires, row.values) for row in part)
                )
                connection.execute(WRITTEN, (view, max(row.event for row in part), now))
        with self._transaction() as connection:
            connection.execute("DELETE FROM feature_rows WHERE view = ? AND expires < ?", (view, now))

    @override
    def read(self, wanted: Mapping[str, Sequence[bytes]]) -> dict[str, list[Row | None]]:
        pairs = list(dict.fromkeys((view, key) for view, keys in wanted.items() for key in keys))
        found: dict[tuple[str, bytes], Row] = {}
        connection = self._connection()
        for start in range(0, len(pairs), AT_ONCE):
            part = pairs[start : start + AT_ONCE]
            for view, key, event, created, values in connection.execute(_read(len(part)), [*chain.from_iterable(part)]):
                found[view, key] = Row(key, event, created, values)
        return {view: [found.get((view, key)) for key in keys] for view, keys in wanted.items()}

    @override
    def version(self) -> tuple[int, int]:
        # SQLite's number tells of the commits of all connections but the one that is asked: own ones renew ``number``.
        (others,) = self._connection().execute("PRAGMA data_version").fetchone()
        return self._local.number, others

    @override
    def forget(self, view: str, source: str, kept: Collection[bytes]) -> int:
        with self._transaction() as connection:
            connection.execute("CREATE TEMP TABLE IF NOT EXISTS kept (key BLOB PRIMARY KEY) WITHOUT ROWID")
            connection.execute("DELETE FROM kept")
            connection.executemany("INSERT OR IGNORE INTO kept VALUES (?)", ((key,) for key in kept))
            return connection.execute(
                "DELETE FROM feature_rows WHERE view = ? AND source = ? AND key NOT IN (SELECT key FROM kept)",
                (view, source),
            ).rowcount

    @override
    def written(self, views: Iterable[str]) -> dict[str, Written]:
        asked = set(views)
        found = self._connection().execute("SELECT view, newest, at FROM views").fetchall()
        return {
            view: Written(EPOCH + newest * MICROSECOND, EPOCH + at * MICROSECOND)
            for view, newest, at in found
            if view in asked
        }

    @override
    def drop(self, view: str) -> None:
        with self._transaction() as connection:
            connection.execute("DELETE FROM feature_rows WHERE view = ?", (view,))
            connection.execute("DELETE FROM views WHERE view = ?", (view,))

    def _connection(self) -> sqlite3.Connection:
        connection: sqlite3.Connection | None = getattr(self._local, "connection", None)
        if connection is None:
            connection = sqlite3.connect(self._path, timeout=WAIT, isolation_level=None)
            connection.execute("PRAGMA journal_mode = WAL")
            connection.execute("PRAGMA synchronous = NORMAL")
            connection.executescript(SCHEMA)
            self._local.connection, self._local.number = connection, next(self._numbers)
        return connection

    @contextmanager
    def _transaction(self) -> Iterator[sqlite3.Connection]:
        connection = self._connection()
        connection.execute("BEGIN IMMEDIATE")
        try:
            yield connection
        except BaseException:
            connection.execute("ROLLBACK")
            raise
        connection.execute("COMMIT")
        self._local.number = next(self._numbers)
