"""Sends messages by Airflow's notifiers, whose connections hold addresses and secrets."""

from __future__ import annotations

import logging
from datetime import UTC, datetime
from functools import partial
from typing import Any

from airflow.sdk import BaseNotifier, Context

from include.contract.alerts import AlertChannel
from include.contract.loading import Folder
from include.notifications import message, outbox, overdue
from include.notifications.message import Message
from include.settings import get_settings

log = logging.getLogger(__name__)


class WebhookNotifier(BaseNotifier):  # type: ignore[misc]
    """Posts an alert as JSON to the address of an HTTP connection; its extras are sent as headers."""

    def __init__(self, connection: str, content: dict[str, Any]) -> None:
        super().__init__()
        self.connection = connection
        self.content = content

    def notify(self, context: Context) -> None:  # noqa: ARG002 - the interface of Airflow
        from airflow.providers.http.hooks.http import HttpHook

        HttpHook(method="POST", http_conn_id=self.connection).run(json=self.content, extra_options={"timeout": 30})


def watch_and_tell(use_cases: list[Folder]) -> int:
    """Look for monitors that did not run, and tell every channel what is new; how many messages were sent.

    A channel that fails does not keep the others from being told: the errors are raised together in the end, and what
    was not sent is tried again the next time.
    """
    sent, errors = 0, []
    for use_case in use_cases:
        steps = [partial(_watch, use_case), *(partial(tell, use_case, each) for each in use_case.config.alerts.notify)]
        for step in steps:
            try:
                sent += step()
            except Exception as error:
                log.exception("%s: alerts", use_case.config.name)
                errors.append(error)
    if errors:
        raise ExceptionGroup("not everybody could be told of the alerts", errors)
    return sent


def tell(use_case: Folder, channel: AlertChannel) -> int:
    """Send a channel what it does not know yet; how many messages those were."""
    settings, sent = get_settings(), 0
    for alert in outbox.deliveries(use_case.config.name, channel):
        told = message.of(alert, use_case.config, settings.pages_url, settings.runbooks)
        # Not by calling the notifier: that would render what data says as a template.
        notifier(channel, told).notify({})
        log.info("told %s: %s", channel.name, told.subject)
        sent += 1
    return sent


def notifier(channel: AlertChannel, told: Message) -> BaseNotifier:
    """Airflow's notifier for a message."""
    if channel.via == "email":
        from airflow.providers.smtp.notifications.smtp import SmtpNotifier

        connection = channel.connection or "smtp_default"
        return SmtpNotifier(to=list(channel.to), subject=told.subject, html_content=told.html, smtp_conn_id=connection)
    if channel.via == "slack":
        from airflow.providers.slack.notifications.slack_webhook import SlackWebhookNotifier

        return SlackWebhookNotifier(slack_webhook_conn_id=channel.connection or "slack_default", text=told.slack)
    content = {"subject": told.subject, "severity": told.alert.severity, **told.alert.to_dict()}
    return WebhookNotifier(channel.connection or "http_default", content)


def _watch(use_case: Folder) -> int:
    overdue.check(use_case, datetime.now(UTC))
    return 0
