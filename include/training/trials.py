"""The trials of a search: what became of each, which is the best, and who is told."""

from __future__ import annotations

import logging
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final, Literal

from include.contract.metrics import METRICS

if TYPE_CHECKING:
    import optuna

log = logging.getLogger(__name__)

State = Literal["complete", "pruned", "failed"]
OnTrial = Callable[[int, dict[str, Any], float | None, State], None]

PARAMS: Final = "params"  # all parameters of a trial, the fixed ones too
ERROR: Final = "error"


@dataclass
class Teller:
    """Tells a trial that has ended to the log and to the caller."""

    metric: str
    budget: int
    on_trial: OnTrial | None
    ended: list[optuna.trial.FrozenTrial] = field(default_factory=list)

    def __call__(self, _: optuna.Study, trial: optuna.trial.FrozenTrial) -> None:
        self.tell(trial)
        best = best_of(self.metric, self.ended)
        known = "none yet" if best is None else f"{value_of(best):.4g} (trial {best.number + 1})"
        outcome = trial.user_attrs.get(ERROR) or f"{value_of(trial):.4g}"
        pruned = f", given up after {len(trial.intermediate_values)} folds" if state_of(trial) == "pruned" else ""
        log.info("trial %d of %d: %s%s, best %s", trial.number + 1, self.budget, outcome, pruned, known)

    def tell(self, trial: optuna.trial.FrozenTrial) -> None:
        if not trial.state.is_finished():
            return
        self.ended.append(trial)
        if self.on_trial is not None:
            params = trial.user_attrs.get(PARAMS, trial.params)
            self.on_trial(trial.number + 1, params, trial.value, state_of(trial))


def best_of(metric: str, trials: Sequence[optuna.trial.FrozenTrial]) -> optuna.trial.FrozenTrial | None:
    """The best complete trial, of equal ones the earliest."""
    complete = [trial for trial in trials if state_of(trial) == "complete"]
    return min(complete, key=lambda trial: (METRICS[metric].loss(value_of(trial)), trial.number), default=None)


def state_of(trial: optuna.trial.FrozenTrial) -> State:
    states: dict[str, State] = {"COMPLETE": "complete", "PRUNED": "pruned"}
    return states.get(trial.state.name, "failed")


def value_of(trial: optuna.trial.FrozenTrial) -> float:
    return math.nan if trial.value is None else trial.value
