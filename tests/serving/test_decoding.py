from __future__ import annotations

import json
import math
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import astuple

from include.registry.model_input import Feature
from include.serving.decoding import Columns, Decoder, Request
from include.serving.problems import Problem
from include.serving.schemas import PredictRequest
from include.serving.validation import check_entities, check_rows
from tests.model_store import FEATURES

COLUMNS = Columns({"trip_id": int, "origin": str}, {"party": int, "night": bool}, frozenset({"trip_id", "origin"}))
DECODER = Decoder(FEATURES, COLUMNS)
ROW = '"distance": 900, "carrier": "AA", "night": true'


def decoded(body: bytes) -> Request | Problem:
    try:
        return DECODER.decode(body)
    except Problem as problem:
        return problem


def refused(body: bytes, status: int, *parts: str) -> None:
    with pytest.raises(Problem) as caught:
        DECODER.decode(body)
    assert caught.value.status == status, caught.value.detail
    caught.value.document("/")  # can be answered
    for part in parts:
        assert part in caught.value.detail


def test_a_row_is_its_features_in_their_order() -> None:
    request = DECODER.decode(b'{"rows": [{"night": null, "carrier": "AA", "distance": 900}], "explain": true}')
    assert request.rows is not None
    assert astuple(request.rows[0]) == (900.0, "AA", None)
    assert (request.entities, request.as_of, request.explain, len(request)) == (None, None, True, 1)


def test_an_entity_has_its_key_and_what_it_brings() -> None:
    body = b'{"entities": [{"trip_id": 1, "origin": "JFK"}, {"trip_id": 2, "origin": "", "party": null}]}'
    request = DECODER.decode(body)
    assert request.entities == [{"trip_id": 1, "origin": "JFK"}, {"trip_id": 2, "origin": "", "party": None}]


def test_a_whole_number_may_have_a_point() -> None:
    body = b'{"entities": [{"trip_id": 1.0, "origin": "a:1.0", "party": 2e0}, {"trip_id": -3, "origin": ""}]}'
    entities = DECODER.decode(body).entities or ()
    assert [[each["trip_id"], each.get("party")] for each in entities] == [[1, 2], [-3, None]]
    assert [type(each["trip_id"]) for each in entities] == [int, int]


@pytest.mark.parametrize("moment", ["2013-05-01T12:00:00Z", "2013-05-01T12:00:00+00:00", "2013-05-01T08:00-04:00"])
def test_a_moment_has_a_zone(moment: str) -> None:
    body = f'{{"entities": [{{"trip_id": 1, "origin": "JFK"}}], "as_of": "{moment}"}}'
    as_of = DECODER.decode(body.encode()).as_of
    assert as_of is not None
    assert as_of.timestamp() == 1367409600


@pytest.mark.parametrize(
    ("body", "status", "parts"),
    [
        (b"", 422, ["body: Field required"]),
        (b"  \n", 422, ["body: Field required"]),
        (b"\xff\xfe", 400, ["not UTF-8"]),
        ('{"rows": []}'.encode("utf-16"), 400, ["not UTF-8"]),
        (b"\xef\xbb\xbf" + b'{"rows": []}', 400, ["not JSON"]),
        (b'{"rows": [{"distance": 1, "carrier": "\xff", "night": true}]}', 400, ["not UTF-8"]),
        (b'{"rows": [{"distance": 1, "carrier": "\\ud800", "night": true}]}', 400, ["not Unicode"]),
        (b'{"rows": [{"\\ud800": 1, "\\ud800": 2}]}', 422, ["more than once"]),
        (b'{"rows": [{' + ROW.encode() + b"}]} x", 400, ["not JSON"]),
        (b'{"rows": [{' + ROW.encode() + b"},]}", 400, ["not JSON"]),
        (b"[" * 100_000, 400, ["nested too deeply"]),
        (b'{"rows": ' + b"[" * 100_000, 400, ["nested too deeply"]),
        (b'{"rows": ' + b"[" * 900 + b"]" * 900 + b"}", 422, []),
        (b'{"rows": [{"distance": ' + b'{"a":' * 990 + b"1" + b"}" * 990 + b"}]}", 400, ["nested too deeply"]),
        (b'{"rows": [{' + ROW.encode() + b', "distance": 901}]}', 422, ["distance: given more than once"]),
        (b'{"rows": [{' + ROW.encode() + b', "\\u0064istance": 901}]}', 422, ["distance: given more than once"]),
        (b'{"rows": [{' + ROW.encode() + b'}], "rows": [{' + ROW.encode() + b"}]}", 422, ["rows: given more"]),
        (b'{"explain": false, "rows": [{' + ROW.encode() + b'}], "explain": false}', 422, ["explain: given more"]),
        (b'{"entities": [{"trip_id": 1, "trip_id": 1, "origin": "a:b"}]}', 422, ["trip_id: given more than once"]),
        (b'{"rows": [{"distance": -Infinity, "carrier": null, "night": null}]}', 422, ["rows[0].distance"]),
        (b'{"rows": [{"distance": -1e400, "carrier": null, "night": null}]}', 422, ["rows[0].distance"]),
        (b'{"rows": [{"distance": ' + b"9" * 5000 + b', "carrier": null, "night": null}]}', 422, ["rows[0].distance"]),
        (b'{"entities": [{"trip_id": ' + b"9" * 5000 + b', "origin": ""}]}', 422, ["entities[0].trip_id"]),
        (b'{"entities": [{"trip_id": 1.5, "origin": ""}]}', 422, ["entities[0].trip_id"]),
        (b'{"entities": [{"trip_id": 9007199254740994.0, "origin": ""}]}', 422, ["entities[0].trip_id"]),
        (b'{"entities": [{"trip_id": 1.0, "origin": 1.0}]}', 422, ["entities[0].origin"]),
        (b'{"entities": [{"trip_id": 1.0, "origin": "", "party": 1e400}]}', 422, ["entities[0].party"]),
        (b'{"entities": [{"trip_id": true, "origin": ""}]}', 422, ["entities[0].trip_id"]),
        (b'{"entities": [{"trip_id": 1, "origin": "", "night": 1}]}', 422, ["entities[0].night"]),
        (b'{"entities": [{"trip_id": 1, "origin": ""}], "as_of": "2013-05-01T12:00:00"}', 422, ["as_of"]),
        (b'{"entities": [{"trip_id": 1, "origin": ""}], "as_of": ""}', 422, ["as_of"]),
        (b'{"entities": [{"trip_id": 1, "origin": ""}], "as_of": 1367409600}', 422, ["as_of"]),
        (
            b'{"rows": [{' + ROW.encode() + b'}], "as_of": "2013-05-01T12:00:00Z"}',
            422,
            ["complete rows are not looked"],
        ),
        (b'{"rows": null, "entities": null}', 422, ["exactly one of entities and rows"]),
        (b"null", 422, ["valid dictionary"]),
        (b'"rows"', 422, ["valid dictionary"]),
    ],
)
def test_what_is_wrong_is_a_problem_of_the_client(body: bytes, status: int, parts: list[str]) -> None:
    refused(body, status, *parts)


@pytest.mark.parametrize("carrier", ["A:B", "::", 'a\\"b:', "\\u003a", '\\":\\"', "\\\\:"])
def test_a_colon_in_a_text_is_no_second_name(carrier: str) -> None:
    body = f'{{"rows": [{{"distance": 1, "carrier": "{carrier}", "night": true}}]}}'
    request = DECODER.decode(body.encode())
    assert request.rows is not None
    assert astuple(request.rows[0])[1] == json.loads(f'"{carrier}"')


def test_a_name_may_be_no_name_of_python() -> None:
    features = [
        Feature("a:b", "numeric"),
        Feature("class", "numeric"),
        Feature("f0", "numeric"),
        Feature("", "numeric"),
    ]
    request = Decoder(features, COLUMNS).decode(b'{"rows": [{"": 4, "f0": 3, "class": 2, "a:b": 1}]}')
    assert request.rows is not None
    assert astuple(request.rows[0]) == (1.0, 2.0, 3.0, 4.0)


def test_keys_of_unknown_types_are_text_or_numbers() -> None:
    decoder = Decoder(FEATURES, Columns.unknown(["trip_id"]))
    assert decoder.decode(b'{"entities": [{"trip_id": "one"}, {"trip_id": 1}]}').entities == [
        {"trip_id": "one"},
        {"trip_id": 1},
    ]
    with pytest.raises(Problem, match=r"entities\[0\].trip_id: expected text or a number"):
        decoder.decode(b'{"entities": [{"trip_id": [1]}]}')


values = st.one_of(
    st.none(), st.booleans(), st.integers(-(2**70), 2**70), st.floats(), st.text(max_size=5), st.just([]), st.just({})
)
rows = st.one_of(
    st.fixed_dictionaries({"distance": values, "carrier": values, "night": values}),
    st.fixed_dictionaries(
        {"distance": st.floats(), "carrier": st.none() | st.text(max_size=5), "night": st.none() | st.booleans()}
    ),
    st.dictionaries(st.sampled_from(["distance", "carrier", "night", "wind"]), values, max_size=4),
)
entities = st.fixed_dictionaries(
    {"trip_id": values, "origin": values}, optional={"party": values, "night": values, "wind": values}
)
bodies = st.fixed_dictionaries(
    {},
    optional={
        "rows": st.lists(rows, max_size=3),
        "entities": st.lists(entities, max_size=3),
        "explain": st.sampled_from([True, False, None, 1, "yes"]),
        "as_of": st.sampled_from([None, "2013-05-01T12:00:00Z", "2013-05-01", "soon"]),
        "more": values,
    },
)


def accepted_by_the_schema(content: Any) -> bool:
    try:
        request = PredictRequest.model_validate(content)
        if request.rows is not None:
            check_rows(request.rows, FEATURES)
        if request.entities is not None:
            check_entities(request.entities, COLUMNS.keys, COLUMNS.brought, COLUMNS.needed)
    except (ValueError, Problem):
        return False
    return True


@given(bodies)
def test_what_the_documentation_allows_is_decoded_and_nothing_else(content: dict[str, Any]) -> None:
    request = decoded(json.dumps(content).encode())
    assert isinstance(request, Request) == accepted_by_the_schema(content)
    if isinstance(request, Problem):
        assert request.status in (400, 422)
    elif request.rows is not None:
        given_rows = [[row[feature.name] for feature in FEATURES] for row in content["rows"]]
        assert [list(astuple(row)) for row in request.rows] == given_rows
        assert all(math.isfinite(row[0]) for row in given_rows if row[0] is not None)
    else:
        assert request.entities == content["entities"]


@given(st.binary(max_size=200))
def test_no_bytes_break_it(body: bytes) -> None:
    problem = decoded(body)
    assert isinstance(problem, Problem)  # so few bytes are never a whole request by chance
    assert problem.status in (400, 422)
    assert json.loads(problem.document("/v1/trips/predict"))["status"] == problem.status
