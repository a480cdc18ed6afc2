"""Who is told of alerts, in ``use_case.yaml``."""

from __future__ import annotations

import hashlib
from datetime import timedelta
from typing import Literal

from pydantic import Field, model_validator

from include.alerts import Severity
from include.contract.schema import Duration, Strict


class AlertChannel(Strict):
    """Somebody who is told of alerts. ``connection`` names a connection of Airflow, which holds address and secret."""

    via: Literal["email", "slack", "webhook"]
    connection: str = Field(default="", description="Empty: smtp_default, slack_default, http_default.")
    to: tuple[str, ...] = Field(default=(), description="Addresses of an email.")
    least: Severity = Field(default="warning", description="Nothing less severe is sent.")

    @property
    def name(self) -> str:
        """What it is known by: a channel that is changed is another one."""
        told = "\n".join((self.via, self.connection, *self.to, self.least))
        return f"{self.via}-{hashlib.sha256(told.encode()).hexdigest()[:12]}"

    @model_validator(mode="after")
    def _addressed(self) -> AlertChannel:
        if (self.via == "email") != bool(self.to):
            raise ValueError("to: an email needs at least one address, the others have theirs in the connection")
        return self


class AlertsConfig(Strict):
    """Who is told of alerts. They are kept and shown on the Models page in any case."""

    notify: tuple[AlertChannel, ...] = ()
    monitor_within: Duration = Field(
        default=timedelta(hours=2), description="So long predictions may wait for the monitor without an alert."
    )
