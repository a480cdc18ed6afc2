"""How a model is trained, in ``use_case.yaml``."""

from __future__ import annotations

from datetime import timedelta
from typing import Literal

from pydantic import Field, model_validator

from include.contract.schema import Duration, Strict

Scalar = float | int | str | bool | None


class Range(Strict):
    """Numbers to choose from, both ends included; whole ones where both ends are."""

    low: float | int
    high: float | int
    log: bool = Field(default=False, description="Equally likely on a logarithmic scale.")
    step: float | int | None = None

    @model_validator(mode="after")
    def _ordered(self) -> Range:
        if not self.low < self.high:
            raise ValueError(f"low: {self.low:g} is not below high: {self.high:g}")
        if self.log and (self.low <= 0 or self.step is not None):
            raise ValueError("log: needs low above 0, and no step")
        return self


class Choices(Strict):
    """Values to choose from."""

    choices: tuple[Scalar, ...] = Field(min_length=1)


class SearchConfig(Strict):
    """The search for hyperparameters, on rolling-origin folds of the training stretch."""

    space: dict[str, Range | Choices] = Field(min_length=1, description="By parameter of model.py's build().")
    trials: int = Field(default=30, ge=1)
    timeout: Duration = Field(default=timedelta(minutes=30), description="No trial is begun after it.")
    folds: int = Field(default=3, ge=2)
    pruning: bool = Field(default=True, description="Give up a trial that is worse than the median after a fold.")


class TrainingConfig(Strict):
    schedule: str | None = Field(default=None, description="Cron; empty: only on request.")
    window: Duration | None = Field(default=None, description="Length of history to learn from; empty: all of it.")
    test: Duration = Field(default=timedelta(days=14), description="The latest stretch, kept for the gate.")
    minimum_rows: int = Field(default=1000, ge=10, description="Labelled rows needed on the training side.")
    params: dict[str, Scalar] = Field(default_factory=dict)
    search: SearchConfig | None = Field(default=None, description="Empty: the parameters are those of params.")
    calibration: Literal["none", "sigmoid", "isotonic"] = Field(
        default="none", description="Classification: map scores to probabilities, learned on rolling-origin folds."
    )
    seed: int = 20130101
