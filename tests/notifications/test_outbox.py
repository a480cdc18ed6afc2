"""Each channel is told what is new, once, and nothing that is over already."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from include import alerts
from include.alerts import Alert
from include.contract.alerts import AlertChannel
from include.notifications import outbox

MAIL = AlertChannel(via="email", to=("a@example.com",))
HOOK = AlertChannel(via="webhook", least="critical")


def told(channel: AlertChannel) -> list[tuple[str, str, str]]:
    return [(each.key, each.state, each.message) for each in outbox.deliveries("shop", channel)]


def test_each_channel_is_told_once(home: Path) -> None:
    assert told(MAIL) == []
    alerts.raise_alert("shop", "late data", "1", "late")
    alerts.raise_alert("shop", "refused batch", "2", "empty")
    assert told(MAIL) == [("1", "open", "late"), ("2", "open", "empty")]
    assert told(MAIL) == []
    assert told(HOOK) == [("2", "open", "empty")]
    assert told(HOOK) == []


def test_of_several_changes_the_last_is_told(home: Path) -> None:
    alerts.raise_alert("shop", "late data", "1", "late")
    assert told(MAIL) == [("1", "open", "late")]
    alerts.raise_alert("shop", "late data", "1", "the server is down")
    alerts.raise_alert("shop", "late data", "1", "the server is up, and empty")
    assert told(MAIL) == [("1", "open", "the server is up, and empty")]
    alerts.resolve("shop", "late data", "1")
    assert told(MAIL) == [("1", "resolved", "the server is up, and empty")]
    assert told(MAIL) == []


def test_what_was_opened_and_resolved_in_between_is_nobodys_trouble(home: Path) -> None:
    alerts.raise_alert("shop", "late data", "1", "late")
    alerts.resolve("shop", "late data", "1")
    assert told(MAIL) == []
    alerts.raise_alert("shop", "late data", "1", "late again")
    assert told(MAIL) == [("1", "open", "late again")]


def test_what_could_not_be_sent_is_told_again_and_what_was_sent_is_not(home: Path) -> None:
    alerts.raise_alert("shop", "refused batch", "1", "empty")
    alerts.raise_alert("shop", "refused batch", "2", "empty")

    def deliver() -> None:
        for each in outbox.deliveries("shop", MAIL):
            if each.key == "2":
                raise ConnectionError("mail server")

    with pytest.raises(ConnectionError):
        deliver()
    assert told(MAIL) == [("2", "open", "empty")]


def test_a_channel_that_is_changed_is_told_what_is_open(home: Path) -> None:
    alerts.raise_alert("shop", "late data", "1", "late")
    told(MAIL)
    assert told(MAIL.model_copy(update={"to": ("b@example.com",)})) == [("1", "open", "late")]


CHANGES = st.lists(
    st.builds(
        Alert,
        use_case=st.just("shop"),
        kind=st.sampled_from(["late data", "refused batch"]),
        key=st.sampled_from("ab"),
        state=st.sampled_from(["open", "resolved"]),
        message=st.sampled_from(["x", "y"]),
        at=st.just("now"),
    ),
    max_size=12,
)


@given(CHANGES, st.lists(st.integers(0, 12)))
def test_whenever_it_looks_in_the_end_a_channel_knows_what_is_open(changes: list[Alert], looks: list[int]) -> None:
    known: dict[tuple[str, str], Alert] = {}
    position = 0
    for end in [*sorted(looks), len(changes)]:
        seen = changes[:end]
        for each in outbox.pending(seen, position, "warning"):
            known[each.alert.kind, each.alert.key] = each.alert
        position = max(position, len(seen))
    standing = {(each.kind, each.key): each for each in changes}
    assert {name for name, each in known.items() if each.state == "open"} == {
        name for name, each in standing.items() if each.state == "open"
    }
    assert all(known[name] == standing[name] for name in known if standing[name].state == "open")
