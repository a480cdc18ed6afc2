"""An alert in words, for somebody who is not looking at the pages."""

from __future__ import annotations

from dataclasses import dataclass
from html import escape

from include.alerts import Alert
from include.contract.use_case import UseCase


@dataclass(frozen=True)
class Message:
    """What is sent. Nothing in it is markup: whoever sends it in a language of marks escapes it."""

    subject: str
    lines: tuple[str, ...]
    alert: Alert

    @property
    def text(self) -> str:
        return "\n".join((self.subject, "", *self.lines))

    @property
    def html(self) -> str:
        return "".join(f"<p>{escape(line)}</p>" for line in self.lines)

    @property
    def slack(self) -> str:
        """In Slack's mrkdwn, where three characters have a meaning."""
        return escape(self.text, quote=False)


def of(alert: Alert, use_case: UseCase, pages: str, runbooks: str) -> Message:
    """``pages``: the address of the Models pages; ``runbooks``: of the document with a section for each kind."""
    state = alert.severity if alert.state == "open" else "resolved"
    return Message(
        subject=_one_line(f"[{state}] {use_case.name}: {alert.kind} {alert.key}"),
        lines=(
            alert.message,
            f"{use_case.title}; owned by {', '.join(use_case.owners)}; {alert.state} since {alert.at}",
            f"What to look at: {pages}/{use_case.name}",
            f"What to do: {runbooks}#{alert.kind.replace(' ', '-')}",
        ),
        alert=alert,
    )


def _one_line(text: str) -> str:
    """A subject is a header: a line break in it would begin another one."""
    return "".join(each if each.isprintable() else " " for each in text)
