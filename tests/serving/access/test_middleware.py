"""Who is let through to the application, and what the others are answered."""

from __future__ import annotations

import asyncio
import hmac
import logging
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from starlette.types import Message

from include.serving.access.current import CurrentTokens
from include.serving.access.gate import Gate
from include.serving.access.limiter import Limiter
from include.serving.access.middleware import Access
from include.serving.access.tokens import Tokens
from include.settings import Settings
from tests.serving.access.asking import Answer, Headers, Inner, ask, bearer, identity

NOW = datetime.now(UTC)


class Service:
    """The middleware around an application that answers 200."""

    def __init__(self, home: Path, **settings: Any) -> None:
        self.settings = Settings(home=home, **{"authentication": True, **settings})
        self.tokens = Tokens(self.settings.tokens)
        self.inner = Inner()
        self.current = CurrentTokens(self.tokens.path, interval=0)
        self.app = Access(self.inner, Gate(self.current, Limiter(), self.settings))

    def issue(self, *scopes: str, **wanted: Any) -> str:
        return self.tokens.issue("web", scopes or ["predict"], wanted.pop("now", NOW), **wanted)

    def ask(self, headers: Headers = (), path: str = "/v1/trips/predict", method: str = "POST") -> Answer:
        before = len(self.inner.clients)
        answer = ask(self.app, path, method, headers)
        assert (len(self.inner.clients) > before) == (answer.status == 200)
        return answer


@pytest.fixture
def service(tmp_path: Path) -> Service:
    return Service(tmp_path)


def challenge(answer: Answer) -> str:
    return answer.headers["www-authenticate"]


def test_a_client_with_a_token_is_known_by_its_name(service: Service) -> None:
    assert service.ask(bearer(service.issue())).status == 200
    assert service.inner.clients == ["web"]


def test_the_scheme_is_read_in_any_case(service: Service) -> None:
    assert service.ask([(b"authorization", f"bEARER  {service.issue()}".encode())]).status == 200


@pytest.mark.parametrize(
    "headers", [[], [(b"authorization", b"Basic d2ViOnNlY3JldA==")], [(b"authorization", b"")], [(b"cookie", b"a=b")]]
)
def test_without_a_bearer_token_the_challenge_has_no_error(service: Service, headers: Headers) -> None:
    service.issue()
    answer = service.ask(headers)
    assert answer.status == 401
    assert challenge(answer) == 'Bearer realm="evergreen"'
    assert answer.problem["title"] == "Not authenticated"
    assert "Authorization: Bearer" in answer.problem["detail"]
    assert answer.problem["instance"] == "/v1/trips/predict"


@pytest.mark.parametrize("value", [b"Bearer", b"Bearer ", b"Bearer a b"])
def test_a_malformed_header_is_an_invalid_request(service: Service, value: bytes) -> None:
    service.issue()
    answer = service.ask([(b"authorization", value)])
    assert answer.status == 400
    assert 'error="invalid_request"' in challenge(answer)


def test_two_headers_are_an_invalid_request(service: Service) -> None:
    header = (b"authorization", f"Bearer {service.issue()}".encode())
    answer = service.ask([header, header])
    assert answer.status == 400
    assert "more than one" in answer.problem["detail"]


@pytest.mark.parametrize(
    "text",
    ["x", "eg", "eg_", "eg_abc", "eg_abc_", "eg__secret", "gh_0123456789ab_secret", "\xff", "eg_0123456789ab_\xff"],
)
def test_a_text_that_is_no_token_of_ours_is_an_invalid_token(service: Service, text: str) -> None:
    service.issue()
    answer = service.ask([(b"authorization", b"Bearer " + text.encode("latin-1"))])
    assert answer.status == 401
    assert 'error="invalid_token"' in challenge(answer)


def test_a_proven_token_is_forgotten_with_its_time_or_with_the_file(
    service: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    kept, short = service.issue(), service.issue(expires=NOW + timedelta(hours=1))
    assert [service.ask(bearer(text)).status for text in (kept, short, kept, short)] == [200] * 4
    monkeypatch.setattr("time.time", (NOW + timedelta(hours=2)).timestamp)
    assert "has expired" in service.ask(bearer(short)).problem["detail"]
    assert service.ask(bearer(kept)).status == 200
    service.tokens.revoke(identity(kept))
    assert service.ask(bearer(kept)).status == 401


def test_an_unknown_a_wrong_and_a_revoked_token_are_refused_alike(service: Service) -> None:
    text = service.issue()
    assert service.ask(bearer(text)).status == 200
    unknown = service.ask(bearer(f"eg_{'0' * 12}_{text.split('_', 2)[2]}"))
    wrong = service.ask(bearer(text[:-1] + ("A" if text[-1] != "A" else "B")))
    service.tokens.revoke(identity(text))
    revoked = service.ask(bearer(text))
    assert {answer.status for answer in (unknown, wrong, revoked)} == {401}
    assert len({answer.body for answer in (unknown, wrong, revoked)}) == 1
    assert 'error="invalid_token"' in challenge(revoked)


def test_an_expired_token_is_told_so_only_to_who_has_it(service: Service) -> None:
    text = service.issue(now=NOW - timedelta(days=2), expires=NOW - timedelta(days=1))
    answer = service.ask(bearer(text))
    assert (answer.status, "has expired" in answer.problem["detail"]) == (401, True)
    assert "has expired" not in service.ask(bearer(f"{text}x")).problem["detail"]


def test_a_rotated_token_and_its_successor_are_both_valid_for_a_while(service: Service) -> None:
    old = service.issue()
    new = service.tokens.rotate("web", timedelta(hours=1), NOW)
    assert [service.ask(bearer(text)).status for text in (old, new)] == [200, 200]
    last = service.tokens.rotate("web", timedelta(0), NOW)
    assert [service.ask(bearer(text)).status for text in (old, new, last)] == [401, 401, 200]


def test_the_secret_is_compared_in_constant_time(service: Service, monkeypatch: pytest.MonkeyPatch) -> None:
    text = service.issue()
    (token,) = service.tokens.read()
    compared: list[tuple[Any, Any]] = []

    def compare(kept: Any, given: Any) -> bool:
        compared.append((kept, given))
        return real(kept, given)

    real = hmac.compare_digest
    monkeypatch.setattr(hmac, "compare_digest", compare)
    assert service.ask(bearer(text)).status == 200
    assert service.ask(bearer(f"{text}x")).status == 401
    assert [kept for kept, _ in compared] == [token.sha256] * 2
    assert compared[0][1] == token.sha256 != compared[1][1]


def test_a_token_without_the_scope_is_refused(service: Service) -> None:
    answer = service.ask(bearer(service.issue("admin")))
    assert answer.status == 403
    assert 'error="insufficient_scope"' in challenge(answer) and 'scope="predict"' in challenge(answer)
    assert answer.problem["detail"] == "the token of web lacks the scope predict"
    assert service.ask(bearer(service.issue("predict")), "/metrics", "GET").status == 403
    assert service.ask(bearer(service.issue("admin")), "/metrics", "GET").status == 200


def test_a_token_of_a_use_case_is_for_no_other_and_not_for_all(service: Service) -> None:
    headers = bearer(service.issue("predict", use_cases=["trips"]))
    assert service.ask(headers).status == 200
    assert service.ask(headers, "/v1/trips", "GET").status == 200
    for path, method in (("/v1/sales/predict", "POST"), ("/v1//predict", "POST"), ("/v1", "GET"), ("/docs", "GET")):
        answer = service.ask(headers, path, method)
        assert answer.status == 403
        assert "the token of web is for trips" in answer.problem["detail"]
        assert "sales" not in answer.problem["detail"]


def test_a_route_that_is_not_known_needs_admin(service: Service) -> None:
    assert service.ask(bearer(service.issue()), "/debug", "GET").status == 403


def test_probes_are_open_and_the_rest_by_settings(tmp_path: Path) -> None:
    closed = Service(tmp_path)
    opened = Service(tmp_path, docs_open=True, metrics_open=True)
    closed.issue()
    for path in ("/health/live", "/health/ready"):
        assert [each.ask((), path, "GET").status for each in (closed, opened)] == [200, 200]
    for path in ("/docs", "/openapi.json", "/static/swagger-ui.css", "/", "/metrics"):
        assert [each.ask((), path, "GET").status for each in (closed, opened)] == [401, 200]
    assert opened.ask((), "/v1", "GET").status == 401


def test_without_authentication_all_is_open_to_one_nameless_client(tmp_path: Path) -> None:
    service = Service(tmp_path, authentication=False)
    assert service.ask().status == service.ask((), "/metrics", "GET").status == 200
    assert service.ask([(b"authorization", b"Basic x")]).status == 200
    assert set(service.inner.clients) == {"anonymous"}
    assert not service.tokens.path.parent.exists()


def test_without_a_file_every_request_is_refused_but_those_of_probes(service: Service) -> None:
    answer = service.ask(bearer("eg_0123456789ab_secret"))
    assert answer.status == 503
    assert answer.headers["retry-after"] == "1"
    assert str(service.tokens.path) not in answer.problem["detail"]
    assert service.ask().status == 503
    assert service.ask((), "/health/live", "GET").status == 200
    assert service.ask(bearer(service.issue())).status == 200


def test_a_file_that_breaks_while_running_keeps_clients_served(service: Service) -> None:
    headers = bearer(service.issue())
    assert service.ask(headers).status == 200
    service.tokens.path.write_text("{")
    assert service.ask(headers).status == 200
    assert service.current.problem is not None
    service.tokens.path.write_text('{"tokens": []}')
    assert service.ask(headers).status == 401


def test_too_many_requests_are_told_when_to_come_back(service: Service) -> None:
    headers = bearer(service.issue("predict", rate=0.1, burst=2))
    assert [service.ask(headers).status for _ in range(3)] == [200, 200, 429]
    answer = service.ask(headers)
    assert answer.headers["retry-after"] == "10"
    assert answer.problem["detail"] == "web may send 0.1 requests per second, 2 at once"
    assert service.ask((), "/health/live", "GET").status == 200


def test_the_tokens_of_a_client_share_a_bucket(service: Service) -> None:
    first, second = (bearer(service.issue("predict", rate=0.1, burst=1)) for _ in range(2))
    assert [service.ask(headers).status for headers in (first, second)] == [200, 429]


def test_requests_that_are_not_authenticated_use_up_nothing(service: Service) -> None:
    text = service.issue("predict", rate=0.1, burst=1)
    assert [service.ask(bearer(f"{text}x")).status for _ in range(3)] == [401] * 3
    assert service.ask(bearer(text)).status == 200


def test_the_rate_of_the_settings_is_for_whom_none_was_given(tmp_path: Path) -> None:
    service = Service(tmp_path, authentication=False, request_rate=0.1, request_burst=2)
    assert [service.ask().status for _ in range(3)] == [200, 200, 429]
    assert service.ask((), "/health/ready", "GET").status == 200


def test_no_secret_is_logged_or_answered(service: Service, caplog: pytest.LogCaptureFixture) -> None:
    text = service.issue(rate=0.1, burst=1)
    secret = text.split("_", 2)[2]
    with caplog.at_level(logging.DEBUG):
        answers = [service.ask(headers) for headers in (bearer(text), bearer(text), bearer(f"{text}x"))]
    assert [answer.status for answer in answers] == [200, 429, 401]
    assert all(secret not in f"{answer.headers} {answer.body!r}" for answer in answers)
    assert secret not in caplog.text
    assert secret not in service.tokens.path.read_text()


def test_a_websocket_is_refused_and_the_lifespan_is_not(service: Service) -> None:
    sent: list[Message] = []

    async def send(message: Message) -> None:
        sent.append(message)

    async def receive() -> Message:
        return {"type": "websocket.connect"}

    asyncio.run(service.app({"type": "websocket", "path": "/health/live", "headers": []}, receive, send))
    assert sent == [{"type": "websocket.close", "code": 1008}]
    asyncio.run(service.app({"type": "lifespan"}, receive, send))
    assert len(sent) == 1
