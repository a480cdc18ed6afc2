"""What a search may choose a parameter from: a range or a list of choices, as ``training.search.space`` has them."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

from include.contract.training import Choices, Range

if TYPE_CHECKING:
    import optuna

Domain = Range | Choices


def suggest(trial: optuna.Trial, name: str, domain: Domain) -> Any:
    """A value of the domain, drawn by the study's sampler."""
    if isinstance(domain, Choices):
        return trial.suggest_categorical(name, domain.choices)
    low, high, step = domain.low, domain.high, domain.step
    if isinstance(low, int) and isinstance(high, int) and isinstance(step, int | None):
        return trial.suggest_int(name, low, high, step=step or 1, log=domain.log)
    return trial.suggest_float(name, low, high, step=step, log=domain.log)


def holds(domain: Domain, value: Any) -> bool:
    """Whether the search could suggest the value."""
    if isinstance(domain, Choices):
        return value in domain.choices
    if isinstance(value, bool) or not isinstance(value, int | float) or not domain.low <= value <= domain.high:
        return False
    whole = all(isinstance(number, int | None) for number in (domain.low, domain.high, domain.step))
    step = domain.step or (1 if whole else None)
    return step is None or math.isclose((value - domain.low) / step, round((value - domain.low) / step), abs_tol=1e-9)
