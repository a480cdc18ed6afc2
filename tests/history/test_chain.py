"""Whatever is done to a log afterwards, verifying it says so and names the line."""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

from include.history import chain
from include.history import log as history
from include.history.chain import Head
from include.history.chained_file import HistoryError
from include.history.log import Entry
from tests.history.made import SHOP, appended, decision, file

Lines = list[bytes]


def rewritten(line: bytes, **changes: object) -> bytes:
    """The line with other content and the hash that fits to it."""
    content = json.loads(line)
    return chain.canonical(chain.seal({**content, **changes}, Head(content["sequence"] - 1, content["parent"])))


def test_the_hash_is_that_of_all_the_rest(home: Path) -> None:
    content = json.loads(appended(1).read_text())
    stated = content.pop("hash")
    rest = json.dumps(content, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    assert hashlib.sha256(rest.encode()).hexdigest() == stated


@pytest.mark.parametrize(
    ("change", "problems"),
    [
        pytest.param(
            lambda lines: [*lines[:2], lines[2].replace(b'"version":3', b'"version":7'), *lines[3:]],
            ["line 3: was edited"],
            id="edited",
        ),
        pytest.param(
            lambda lines: [*lines[:2], lines[2].replace(b'{"actor"', b'{ "actor"'), *lines[3:]],
            ["line 3: was edited"],
            id="a space",
        ),
        pytest.param(
            lambda lines: [*lines[:2], rewritten(lines[2], version=7), *lines[3:]],
            ["line 4: does not follow from the entry before it"],
            id="edited with its hash",
        ),
        pytest.param(
            lambda lines: [*lines[:2], *lines[3:]],
            ["line 3: entry 4 stands where entry 3 belongs"],
            id="removed",
        ),
        pytest.param(lambda lines: lines[1:], ["line 1: entry 2 stands where entry 1 belongs"], id="the first removed"),
        pytest.param(
            lambda lines: [lines[0], lines[2], lines[1], *lines[3:]],
            [
                "line 2: entry 3 stands where entry 2 belongs",
                "line 3: entry 2 stands where entry 4 belongs",
                "line 4: entry 4 stands where entry 3 belongs",
            ],
            id="swapped",
        ),
        pytest.param(
            lambda lines: [*lines[:2], lines[1], *lines[2:]],
            ["line 3: entry 2 stands where entry 3 belongs"],
            id="repeated",
        ),
        pytest.param(
            lambda lines: [*lines[:2], rewritten(lines[2], version=7), *lines[2:]],
            ["line 4: entry 3 stands where entry 4 belongs"],
            id="put in",
        ),
        pytest.param(
            lambda lines: [*lines[:2], b'{"version": 7}', *lines[2:]],
            ["line 3: is no entry"],
            id="put in without a hash",
        ),
    ],
)
def test_tampering_is_told_in_words(home: Path, change: Callable[[Lines], Lines], problems: list[str]) -> None:
    path = appended(5)
    path.write_bytes(b"".join(line + b"\n" for line in change(path.read_bytes().split(b"\n")[:-1])))
    found = history.verify(SHOP)
    assert len(found) == len(problems)
    for told, expected in zip(found, problems, strict=True):
        assert told.startswith(expected)


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(place=st.integers(min_value=0), value=st.integers(min_value=0, max_value=255))
def test_a_change_to_any_byte_is_noticed(home: Path, place: int, value: int) -> None:
    path = file() if file().is_file() else appended(3)
    whole = path.read_bytes()
    at = place % len(whole)
    assume(whole[at] != value)
    path.write_bytes(whole[:at] + bytes([value]) + whole[at + 1 :])
    assert history.verify(SHOP)
    path.write_bytes(whole)
    assert history.verify(SHOP) == ()


def test_a_log_that_was_cut_off_is_known_by_its_anchor_alone(home: Path) -> None:
    path = appended(5)
    anchor = history.head(SHOP)
    path.write_bytes(b"".join(line + b"\n" for line in path.read_bytes().split(b"\n")[:3]))
    assert history.verify(SHOP) == ()
    assert history.verify(SHOP, anchor) == ("line 4: is missing, and the anchor knows entry 5: the end was cut off",)


def test_a_log_that_is_gone_is_known_by_its_anchor(home: Path) -> None:
    path = appended(2)
    anchor = history.head(SHOP)
    path.unlink()
    assert history.verify(SHOP, anchor) == ("line 1: is missing, and the anchor knows entry 2: the end was cut off",)


def test_a_log_that_was_written_anew_is_known_by_its_anchor_alone(home: Path) -> None:
    path = appended(3)
    anchor = history.head(SHOP)
    path.unlink()
    for number in (1, 2, 3, 4):
        history.append(decision(f"run {number}", version=7, hours=number))
    assert history.verify(SHOP) == ()
    (problem,) = history.verify(SHOP, anchor)
    assert problem == "line 3: is not the entry that the anchor knows: the file was written anew"


def test_an_older_anchor_still_holds(home: Path) -> None:
    appended(2)
    anchor = history.head(SHOP)
    history.append(decision("run 3", version=3))
    assert history.verify(SHOP, anchor) == ()


def test_the_log_of_another_use_case_is_none(home: Path) -> None:
    shutil.copy(appended(1), file("library"))
    assert history.verify("library") == ("line 1: is about another use case, shop",)


def test_an_intact_line_that_is_no_decision_is_told(home: Path) -> None:
    path = appended(1)
    path.write_bytes(chain.canonical(chain.seal({"use_case": SHOP}, chain.START)) + b"\n")
    assert history.verify(SHOP) == ("line 1: is no entry of a log of decisions",)


def test_a_head_is_written_and_read_as_text() -> None:
    head = Head(12, "ab" * 32)
    assert Head.parse(str(head)) == head
    assert Head.parse(f" {head}\n") == head


@pytest.mark.parametrize(
    "text", ["", "12", "12:abc", f"x:{'a' * 64}", f"12:{'A' * 64}", f"-1:{'a' * 64}", f"²:{'a' * 64}"]
)
def test_what_is_no_head_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="is not the head of a log"):
        Head.parse(text)


def test_an_entry_survives_a_field_that_was_added_later(home: Path) -> None:
    """Entries are verified as they are written, not as today's class would write them."""
    content = decision("run").to_dict()
    del content["note"], content["evidence"]
    entry = chain.seal({**content, "of old": 1}, chain.START)
    file().parent.mkdir(parents=True)
    file().write_bytes(chain.canonical(entry) + b"\n")
    assert history.verify(SHOP) == ()
    (read,) = history.read(SHOP)
    assert isinstance(read, Entry)
    assert (read.note, read.evidence) == ("", ())


def test_a_broken_end_is_no_anchor(home: Path) -> None:
    path = appended(2)
    path.write_bytes(path.read_bytes().replace(b'"version":2', b'"version":7'))
    with pytest.raises(HistoryError, match="line 2: was edited"):
        history.head(SHOP)


def test_a_torn_line_beside_a_missing_one_is_both(home: Path) -> None:
    path = appended(2)
    anchor = history.head(SHOP)
    path.write_bytes(path.read_bytes()[:-5])
    (problem,) = history.verify(SHOP, anchor)
    assert problem.startswith("line 2: is torn, its writer was killed")
    assert problem.endswith("is missing, and the anchor knows entry 2: the end was cut off")
