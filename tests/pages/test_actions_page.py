from __future__ import annotations

import re
from typing import Any

import pytest
from fastapi.testclient import TestClient

from include.contract.loading import Folder
from include.deployment import ledger
from include.gate.check import Check, Verdict
from include.history import log as history
from include.history.log import Decision
from include.pages.actions import ACTIONS
from include.pages.airflow import COOKIE
from include.pages.app import create_app
from tests.pages.conftest import Server, question

NAME = "station_temperature"
CASE = f"/evergreen/{NAME}"
TRAIN = {"until": "2013-03-04", "window": "8w", "model_params": '{"alpha": 2}', "search": "yes", "reason": "to see"}
CONF = {"until": "2013-03-04", "window": "8w", "model_params": {"alpha": 2}, "search": True, "reason": "to see"}


def hidden(page: str) -> dict[str, str]:
    return dict(re.findall(r'<input type="hidden" name="(\w+)" value="([^"]*)">', page.replace("&#34;", "'")))


def confirmed(client: TestClient, action: str, form: dict[str, str]) -> Any:
    """Send a form, and then what it asks to be confirmed."""
    asked = client.post(f"{CASE}/actions/{action}", data=form)
    assert asked.status_code == 200, asked.text
    again = {**form, **{name: value for name, value in hidden(asked.text).items() if name in ("attempt", "confirmed")}}
    return client.post(f"{CASE}/actions/{action}", data=again, follow_redirects=False), again


def test_every_action_has_a_form_whose_fields_have_labels(editor: TestClient) -> None:
    for name in ACTIONS:
        page = editor.get(f"{CASE}/actions/{name}")
        assert page.status_code == 200
        fields = re.findall(r'<(?:input|select|textarea) id="([\w-]+)"', page.text)
        assert fields
        for each in fields:
            assert f'<label for="{each}">' in page.text


def test_a_form_starts_nothing_before_it_is_confirmed(editor: TestClient, server: Server) -> None:
    asked = editor.post(f"{CASE}/actions/train", data=TRAIN)
    assert "Start this run?" in asked.text
    assert "8w" in asked.text
    assert server.runs == {}


def test_a_confirmed_form_starts_one_run_with_its_parameters(editor: TestClient, server: Server) -> None:
    answer, form = confirmed(editor, "train", TRAIN)
    assert answer.status_code == 303
    (((dag_id, run_id), body),) = server.runs.items()
    assert (dag_id, body["conf"]) == (f"{NAME}.train", CONF)
    assert run_id == f"models_page__{form['attempt']}"
    page = editor.get(answer.headers["Location"])
    assert f"/dags/{NAME}.train/runs/{run_id}" in page.text
    assert "running" in editor.get(f"{answer.headers['Location']}/state").text


def test_a_form_that_is_sent_twice_starts_one_run(editor: TestClient, server: Server) -> None:
    first, form = confirmed(editor, "train", TRAIN)
    server.refusal = (500, "a start that is asked for while the first is under way")
    second = editor.post(f"{CASE}/actions/train", data=form, follow_redirects=False)
    assert second.headers["Location"] == first.headers["Location"]
    assert len(server.runs) == 1


@pytest.mark.parametrize(
    ("action", "form", "conf"),
    [
        ("judge", {"version": "3"}, {"version": 3, "reason": "by hand"}),
        ("rollback", {"version": "", "reason": ""}, {"version": None, "reason": "by hand"}),
        ("rollback", {"version": "2", "reason": "slow"}, {"version": 2, "reason": "slow"}),
        (
            "rollout",
            {"mode": "canary", "version": "2", "weight": "0.2", "reason": "x"},
            {"mode": "canary", "version": 2, "weight": 0.2, "reason": "x"},
        ),
        (
            "rollout",
            {"mode": "end", "version": "", "weight": "0.1", "reason": "x"},
            {"mode": "end", "version": None, "weight": 0.1, "reason": "x"},
        ),
        (
            "replay",
            {"start": "2013-02-11", "end": "", "reason": "", "from_source": "yes"},
            {"start": "2013-02-11", "end": None, "reason": None, "from_source": True, "accept_changes": False},
        ),
        ("reproduce", {"version": "1", "tolerance": "1e-6"}, {"version": 1, "tolerance": 1e-6}),
    ],
)  # fmt: skip
def test_each_action_triggers_its_dag(
    editor: TestClient, server: Server, action: str, form: dict[str, str], conf: dict[str, Any]
) -> None:
    assert confirmed(editor, action, form)[0].status_code == 303
    (dag_id, _), body = next(iter(server.runs.items()))
    assert (dag_id, body["conf"]) == (f"{NAME}.{ACTIONS[action].stage}", conf)


@pytest.mark.parametrize(
    ("action", "form", "told"),
    [
        ("train", {**TRAIN, "until": "2013-03-05"}, "Learn until: &#39;2013-03-05&#39; is not the key of a weekly"),
        ("train", {**TRAIN, "window": "long"}, "Length of history"),
        ("train", {**TRAIN, "model_params": "[1]"}, "Model parameters: expected a JSON object"),
        ("train", {**TRAIN, "model_params": "[" * 9000}, "Model parameters: expected a JSON object"),
        ("judge", {"version": "0"}, "Model version: &#39;0&#39; is none"),
        ("judge", {"version": "<script>alert(1)</script>"}, "&lt;script&gt;"),
        ("rollout", {"mode": "canary", "version": "2", "weight": "2"}, "Weight: 2 is no share"),
        ("rollout", {"mode": "canary", "version": "2", "weight": "nan"}, "Weight: nan is no share"),
        ("rollout", {"mode": "leap", "version": "2", "weight": "0.1"}, "Mode: &#39;leap&#39; is none"),
        ("rollout", {"mode": "steps", "version": "2", "weight": "0.1"}, "expected one of shadow, canary, end"),
        ("replay", {"start": "", "reason": ""}, "First partition: give a partition"),
        ("reproduce", {"version": "1", "tolerance": "-1"}, "Tolerance: -1 is below 0"),
        ("train", {**TRAIN, "confirmed": "yes", "attempt": "../x"}, "attempt: is none of a form"),
    ],
)  # fmt: skip
def test_a_bad_answer_is_said_beside_the_form(
    editor: TestClient, server: Server, action: str, form: dict[str, str], told: str
) -> None:
    answer = editor.post(f"{CASE}/actions/{action}", data=form)
    assert answer.status_code == 400
    assert told in answer.text
    assert "<script>" not in answer.text
    assert server.runs == {}


def test_what_airflow_refuses_is_told_in_its_words(editor: TestClient, server: Server) -> None:
    server.refusal = (400, "Invalid input for param version")
    answer, _ = confirmed(editor, "judge", {"version": "99"})
    assert answer.status_code == 400
    assert "Airflow answered 400: Invalid input for param version" in answer.text
    assert "send the form again in a minute" in answer.text
    assert 'value="99"' in answer.text  # what was typed is still there


def test_a_viewer_sees_the_pages_and_cannot_act(viewer: TestClient, server: Server) -> None:
    page = viewer.get(CASE)
    assert page.status_code == 200
    assert "/actions/" not in page.text
    for action in ACTIONS:
        for method, data in (("GET", None), ("POST", {**TRAIN, "confirmed": "yes", "attempt": "a" * 32})):
            answer = viewer.request(method, f"{CASE}/actions/{action}", data=data)
            assert answer.status_code == 403
            assert "you may look at station_temperature" in answer.text
    assert server.runs == {}


def test_airflow_itself_refuses_who_may_not(server: Server, stations: Folder) -> None:
    """The token of the request is what Airflow is asked with: nothing is done with rights of the pages' own."""
    client = TestClient(server.application(), headers={"Sec-Fetch-Site": "same-origin"}, cookies={COOKIE: "ada-token"})
    form = {**TRAIN, "confirmed": "yes", "attempt": "a" * 32}
    headers = {"Authorization": "Bearer vera-token"}
    assert client.post(f"{CASE}/actions/train", data=form, headers=headers).status_code == 403
    assert server.runs == {}


@pytest.mark.parametrize("path", ["/", f"/{NAME}", "/runs", f"/{NAME}/actions/train", "/static/pages.css"])
def test_nobody_is_let_in_without_signing_in(server: Server, path: str) -> None:
    answer = TestClient(server.application()).get(f"/evergreen{path}", headers={"Accept": "text/html"})
    assert answer.status_code == 401
    assert "Temperature" not in answer.text


@pytest.mark.parametrize(
    "headers",
    [
        {"Sec-Fetch-Site": "cross-site"},
        {"Sec-Fetch-Site": "same-site"},  # another port of this host
        {"Sec-Fetch-Site": "none"},
        {"Sec-Fetch-Site": "cross-site", "Origin": "http://testserver"},
        {"Origin": "http://elsewhere.example"},
        {"Origin": "null"},
        {},
    ],
)
@pytest.mark.parametrize("path", ["actions/train", "approvals/run-1"])
def test_a_form_from_elsewhere_is_refused(server: Server, path: str, headers: dict[str, str]) -> None:
    server.questions = [question("run-1")]
    client = TestClient(server.application(), cookies={COOKIE: "ada-token"})
    form = {**TRAIN, "confirmed": "yes", "attempt": "a" * 32, "option": "Approve"}
    answer = client.post(f"{CASE}/{path}", data=form, headers=headers)
    assert answer.status_code == 403
    assert "sent from elsewhere" in answer.text
    assert (server.runs, server.answers) == ({}, [])


def test_an_own_form_is_taken_by_its_origin_where_a_browser_says_no_more(server: Server) -> None:
    client = TestClient(server.application(), cookies={COOKIE: "ada-token"}, headers={"Origin": "http://testserver"})
    assert client.post(f"{CASE}/actions/train", data=TRAIN).status_code == 200


def test_a_client_with_a_token_of_its_own_is_no_browser(server: Server) -> None:
    client = TestClient(server.application(), headers={"Authorization": "Bearer ada-token"})
    assert client.post(f"{CASE}/actions/train", data=TRAIN).status_code == 200


@pytest.mark.parametrize(
    ("sent", "status"),
    [
        ({"json": TRAIN}, 415),
        ({"content": b"x=" + b"a" * 2**17, "headers": {"Content-Type": "application/x-www-form-urlencoded"}}, 413),
        ({"content": b"\xff=1", "headers": {"Content-Type": "application/x-www-form-urlencoded"}}, 400),
    ],
)
def test_what_is_no_form_is_refused(editor: TestClient, sent: dict[str, Any], status: int) -> None:
    assert editor.post(f"{CASE}/actions/train", **sent).status_code == status


def test_an_approval_is_shown_with_the_verdict_and_given_when_confirmed(editor: TestClient, server: Server) -> None:
    server.questions = [question("run-1")]
    verdict = Verdict("3", "2", True, (Check("rmse max", True, 3.0, 15.0, "rmse is small"),), ("rmse is small",))
    history.append(Decision(NAME, "gate", "run-1", "approved", 3, 2, ("fine",), details=verdict.to_dict()))
    assert "Shall version 3 go into production?" in editor.get("/evergreen/runs").text
    page = editor.get(f"{CASE}/approvals/run-1").text
    assert "rmse is small" in page
    asked = editor.post(f"{CASE}/approvals/run-1", data={"option": "Reject", "note": "not <now>"}).text
    assert "not &lt;now&gt;" in asked
    assert server.answers == []
    form = {"option": "Reject", "note": "not <now>", "confirmed": "yes"}
    answer = editor.post(f"{CASE}/approvals/run-1", data=form, follow_redirects=False)
    assert answer.status_code == 303
    (given,) = server.answers
    assert given["chosen_options"] == ["Reject"]
    assert given["params_input"] == {"note": "not <now>"}


@pytest.mark.parametrize("shown", [True, False])
def test_an_answer_that_is_sent_twice_is_given_once(editor: TestClient, server: Server, shown: bool) -> None:
    """Whether the question is still listed when the second comes, or not any more."""
    server.questions = [question("run-1")]
    form = {"option": "Approve", "note": "", "confirmed": "yes"}
    first = editor.post(f"{CASE}/approvals/run-1", data=form, follow_redirects=False)
    server.questions = server.questions if shown else []
    second = editor.post(f"{CASE}/approvals/run-1", data=form, follow_redirects=False)
    assert first.status_code == second.status_code == 303
    assert first.headers["Location"] == second.headers["Location"]
    assert len(server.answers) == 1
    another = editor.post(f"{CASE}/approvals/run-1", data={**form, "option": "Reject"}, follow_redirects=False)
    assert another.status_code == (409 if shown else 404)
    assert len(server.answers) == 1


def test_an_answer_that_was_not_offered_or_comes_too_late_is_refused(editor: TestClient, server: Server) -> None:
    server.questions = [question("run-1")]
    form = {"option": "Maybe", "confirmed": "yes"}
    assert editor.post(f"{CASE}/approvals/run-1", data=form).status_code == 400
    assert editor.post(f"{CASE}/approvals/run-2", data={**form, "option": "Approve"}).status_code == 404
    assert server.answers == []


def test_a_viewer_is_told_of_an_approval_and_cannot_give_it(viewer: TestClient, server: Server) -> None:
    server.questions = [question("run-1")]
    page = viewer.get("/evergreen/runs").text
    assert "Shall version 3" in page
    assert "approvals/run-1" not in page
    assert viewer.get(f"{CASE}/approvals/run-1").status_code == 403


def test_only_versions_that_served_are_offered_to_go_back_to(editor: TestClient) -> None:
    first = ledger.append(NAME, None, champion=1, previous=None, kind="promotion")
    ledger.append(NAME, first, champion=2, previous=1, kind="promotion")
    offered = re.findall(r'<option value="(\d*)"', editor.get(f"{CASE}/actions/rollback").text)
    assert offered == ["", "1"]


def test_the_form_is_filled_in_from_the_address(editor: TestClient) -> None:
    assert 'value="2013-02-11"' in editor.get(f"{CASE}/actions/replay", params={"start": "2013-02-11"}).text


def test_an_unknown_action_is_not_found(editor: TestClient) -> None:
    assert editor.get(f"{CASE}/actions/delete").status_code == 404


def test_outside_of_airflow_nobody_can_be_asked(stations: Folder) -> None:
    client = TestClient(create_app([]))
    assert client.get("/runs").status_code == 503
    assert client.get(f"/{NAME}/actions/train").status_code == 403
