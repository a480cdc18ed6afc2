"""The lines of the prediction log: what is written of an answer is read row by row."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from include.serving.log_lines import Columns, Reader, by_row, lines
from tests.serving.segments import NOON, answer, line

ROWS = [line(1, distance=5, carrier="AA"), line(2, distance=None, carrier="UA")]
COMMON = {"time": NOON, "source": "online"}
values = st.one_of(st.none(), st.booleans(), st.integers(-(2**53), 2**53), st.floats(allow_nan=False), st.text())


def text(of: dict[str, Any], **changes: Any) -> bytes:
    return msgspec.json.encode({**COMMON, **of, **changes}) + b"\n"


@given(st.integers(1, 4).flatmap(lambda count: st.lists(st.tuples(values, values), min_size=count, max_size=count)))
def test_what_is_written_of_an_answer_is_read_row_by_row(features: list[tuple[Any, Any]]) -> None:
    rows = [line(number, first=one, second=two) for number, (one, two) in enumerate(features)]
    written, columns = answer("a", *rows)
    found = list(lines([columns.line, text(written)]))
    expected = [{**COMMON, **row, "request_id": "a"} for row in rows]
    assert found == msgspec.json.decode(msgspec.json.encode(expected))


def test_what_all_rows_have_in_common_is_written_once() -> None:
    written, columns = answer("a", *ROWS)
    first, second = by_row({**written, "entity": None, "event_timestamp": None}, columns.known)
    assert (first["entity"], second["event_timestamp"], second["prediction"]) == (None, None, 0.2)
    assert "columns" not in first


def test_a_line_may_name_its_features_itself() -> None:
    assert by_row(ROWS[0], {}) == [ROWS[0]]
    (found,) = Reader().rows(text(ROWS[0])) or ()
    assert found["features"] == ROWS[0]["features"]


@pytest.mark.parametrize(
    "change",
    [
        {"prediction": [0.1]},
        {"features": [[5, "AA"]]},
        {"features": [[5], [6]]},
        {"features": [5, 6]},
        {"features": {"distance": 5}},
        {"columns": "others"},
        {"columns": 5},
        {"columns": []},
    ],
    ids=str,
)
def test_what_does_not_fit_together_is_torn(change: dict[str, Any]) -> None:
    written, columns = answer("a", *ROWS)
    found = list(lines([columns.line, text(written, **change), text(ROWS[1])]))
    assert (found[0], len(found)) == (None, 2)


@pytest.mark.parametrize(
    "torn",
    [b"", b"\n", b"[1]\n", b'{"columns":\n', b'{"columns":"a"}\n', b'{"columns":[],"names":[]}\n', text(ROWS[0])[:-1]],
)
def test_what_is_no_line_is_torn(torn: bytes) -> None:
    assert Reader().rows(torn) is None


def test_the_same_names_have_the_same_name_in_every_process() -> None:
    assert Columns.of(("distance", "carrier")).name == "80019d18076ae182"
    assert Columns.of(("distance", "carrier")).name != Columns.of(("carrier", "distance")).name
