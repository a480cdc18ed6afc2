"""What the schemas of ``use_case.yaml`` are made of."""

from __future__ import annotations

from datetime import timedelta
from typing import Annotated

from pydantic import BaseModel, BeforeValidator, ConfigDict

UNITS = {"m": "minutes", "h": "hours", "d": "days", "w": "weeks"}


def parse_duration(value: object) -> object:
    """``90m``, ``12h``, ``2d``, ``8w`` as a timedelta; other values are left to the schema."""
    if isinstance(value, str) and value[:-1].isdigit() and value[-1:] in UNITS:
        return timedelta(**{UNITS[value[-1]]: int(value[:-1])})
    if isinstance(value, timedelta):
        return value
    raise ValueError("expected a number with a unit: m, h, d or w, e.g. 12h or 2d")


Duration = Annotated[timedelta, BeforeValidator(parse_duration)]


class Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)
