"""The online store of a team: rows in Redis.

A row is one string under ``<project>:<view>:<key>``: its times, its source, its features. A write compares and
replaces in a script, so that two writers cannot overtake each other.
"""

from __future__ import annotations

import struct
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import redis
from typing_extensions import override

from include.features.moments import EPOCH, MICROSECOND, microseconds
from include.features.online.rows import Row, RowStore, Written

AT_ONCE = 1000  # rows a script takes: Redis serves nobody else meanwhile, some milliseconds
TIMES = struct.Struct(">qq")
TIMEOUT = 5.0

# KEYS: the rows' keys, the set of the source's keys, the view's times. ARGV: milliseconds until the rows may go (0:
# never), the newest event, now, then the rows.
WRITE = """
local expiry, count = tonumber(ARGV[1]), #KEYS - 2
for i = 1, count do
  local old, new = redis.call('GET', KEYS[i]), ARGV[3 + i]
  local write = true
  if old then
    local old_event, old_created = struct.unpack('>i8i8', old)
    local new_event, new_created = struct.unpack('>i8i8', new)
    write = new_event > old_event or (new_event == old_event and new_created >= old_created)
  end
  if write then
    if expiry > 0 then redis.call('SET', KEYS[i], new, 'PX', expiry) else redis.call('SET', KEYS[i], new) end
    redis.call('SADD', KEYS[count + 1], KEYS[i])
  end
end
if expiry > 0 then redis.call('PEXPIRE', KEYS[count + 1], expiry) end
local newest = tonumber(redis.call('HGET', KEYS[count + 2], 'newest'))
if not newest or newest < tonumber(ARGV[2]) then redis.call('HSET', KEYS[count + 2], 'newest', ARGV[2]) end
redis.call('HSET', KEYS[count + 2], 'at', ARGV[3])
"""
# KEYS: the set of the source's keys, then keys that it holds no more. ARGV: the source.
FORGET = """
local gone = 0
for i = 2, #KEYS do
  local old = redis.call('GET', KEYS[i])
  if old and string.sub(old, 18, 17 + string.byte(old, 17)) == ARGV[1] then
    gone = gone + redis.call('DEL', KEYS[i])
  end
  redis.call('SREM', KEYS[1], KEYS[i])
end
return gone
"""


class RedisRows(RowStore):
    """Rows in one Redis server. Threads share a pool of connections."""

    def __init__(self, url: str, timeout: float = TIMEOUT) -> None:
        """``url`` as redis-py reads it (redis://, rediss://); a server that is silent for ``timeout`` s is given up."""
        client = redis.Redis.from_url(url, socket_timeout=timeout, socket_connect_timeout=timeout)
        self._client: Any = client  # its answers are typed as if they had to be awaited
        self._write = client.register_script(WRITE)
        self._forget = client.register_script(FORGET)

    @override
    def write(self, view: str, rows: Sequence[Row], *, source: str, keep: timedelta | None) -> None:
        expiry = 0 if keep is None else keep // timedelta(milliseconds=1)
        now = microseconds(datetime.now(UTC))
        for start in range(0, len(rows), AT_ONCE):
            part = rows[start : start + AT_ONCE]
            keys = [*(_key(view, row.key) for row in part), _members(view, source), _times(view)]
            newest = max(row.event for row in part)
            self._write(keys=keys, args=[expiry, newest, now, *(_stored(row, source) for row in part)])

    @override
    def read(self, wanted: Mapping[str, Sequence[bytes]]) -> dict[str, list[Row | None]]:
        keys = [_key(view, key) for view, wanted_keys in wanted.items() for key in wanted_keys]
        answers: Iterator[Any] = iter(self._client.mget(keys) if keys else ())
        return {
            view: [_row(key, answer) if (answer := next(answers)) is not None else None for key in wanted_keys]
            for view, wanted_keys in wanted.items()
        }

    @override
    def version(self) -> None:
        return None

    @override
    def forget(self, view: str, source: str, kept: Collection[bytes]) -> int:
        held = {_key(view, key) for key in kept}
        vanished = [key for key in self._client.sscan_iter(_members(view, source), count=AT_ONCE) if key not in held]
        return sum(
            int(self._forget(keys=[_members(view, source), *vanished[start : start + AT_ONCE]], args=[source]))
            for start in range(0, len(vanished), AT_ONCE)
        )

    @override
    def written(self, views: Iterable[str]) -> dict[str, Written]:
        asked = list(views)
        with self._client.pipeline(transaction=False) as pipe:
            for view in asked:
                pipe.hmget(_times(view), "newest", "at")
            found = pipe.execute()
        return {
            view: Written(EPOCH + int(newest) * MICROSECOND, EPOCH + int(at) * MICROSECOND)
            for view, (newest, at) in zip(asked, found, strict=True)
            if newest is not None
        }

    @override
    def drop(self, view: str) -> None:
        found: list[bytes] = []
        for separator in (":", "@"):
            for key in self._client.scan_iter(f"{view}{separator}*", count=AT_ONCE):
                found.append(key)
                if len(found) == AT_ONCE:
                    self._client.unlink(*found)
                    found.clear()
        self._client.unlink(_times(view), *found)


def _key(view: str, key: bytes) -> bytes:
    return view.encode() + b":" + key


def _members(view: str, source: str) -> bytes:
    return f"{view}@{source}".encode()


def _times(view: str) -> bytes:
    return f"{view}#times".encode()


def _stored(row: Row, source: str) -> bytes:
    name = source.encode()
    return TIMES.pack(row.event, row.created) + bytes([len(name)]) + name + row.values


def _row(key: bytes, stored: bytes) -> Row:
    event, created = TIMES.unpack_from(stored)
    return Row(key, event, created, stored[TIMES.size + 1 + stored[TIMES.size] :])
