"""The search for hyperparameters on rolling-origin folds: Optuna's TPE, resumable after the process was killed.

Bergstra et al. (2011), "Algorithms for Hyper-Parameter Optimization" (TPE). The value of a trial is the champion's
metric, averaged over the folds. The first trial is the parameters as configured, so that what is found is never worse
on the folds. One process at a time may work on a study.

The same seed and rows give the same parameters. A search that was killed and resumed may find others: the trial that
was cut off counts as tried, and the sampler begins with another seed, so as not to draw the same trials again.
"""

from __future__ import annotations

import json
import logging
import math
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from statistics import fmean
from typing import TYPE_CHECKING, Any, Final

from include.contract.metrics import METRICS
from include.contract.training import SearchConfig
from include.contract.use_case import UseCase
from include.registry.artifacts import predict
from include.training.fitting import Build, Examples, FitError, fit_unchecked
from include.training.folds import Fold
from include.training.space import Domain, holds, suggest
from include.training.trials import ERROR, PARAMS, OnTrial, Teller, best_of, value_of

if TYPE_CHECKING:
    import optuna

log = logging.getLogger(__name__)

GIVEN: Final = "given"  # marks the trial of the parameters as configured
QUESTION: Final = "question"
STARTED: Final = "started"
WAIT = 60.0  # seconds for another writer of the file


class SearchError(ValueError):
    """A search without a result, or a study that asked something else; the message says the cure."""


@dataclass(frozen=True)
class Found:
    """The best trial: all parameters for ``build``, its mean metric, its number (from 1), and how the search ended."""

    params: dict[str, Any]
    value: float
    number: int
    trials: int
    reason: str


@dataclass(frozen=True)
class _Objective:
    build: Build
    config: SearchConfig
    params: dict[str, Any]
    space: dict[str, Domain]
    metric: str
    examples: Examples
    folds: Sequence[Fold]

    def __call__(self, trial: optuna.Trial) -> float:
        import optuna

        given = bool(trial.user_attrs.get(GIVEN))
        names = [name for name in self.space if not given or name in self.configured]
        params = self.params | {name: suggest(trial, name, self.space[name]) for name in names}
        trial.set_user_attr(PARAMS, params)
        values: list[float] = []
        try:
            for fold in self.folds:
                values.append(self._judged(params, fold))
                # Folds differ in difficulty, so that means over the same folds are compared.
                trial.report(fmean(values), fold.number)
                if self.config.pruning and not given and fold is not self.folds[-1] and trial.should_prune():
                    raise optuna.TrialPruned
        except FitError as error:
            trial.set_user_attr(ERROR, str(error))
            raise
        return fmean(values)

    def _judged(self, params: dict[str, Any], fold: Fold) -> float:
        model = fit_unchecked(self.build, params, self.examples.take(fold.learn))
        judged = self.examples.take(fold.judge)
        try:
            value = METRICS[self.metric](judged.labels, predict(model, judged.task, judged.frame))
        except Exception as error:
            raise FitError(f"{fold}, with {params}: {type(error).__name__}: {error}") from error
        if not math.isfinite(value):
            raise FitError(f"{fold}, with {params}: {self.metric} is {value}")
        return value

    @property
    def configured(self) -> dict[str, Any]:
        """The configured values of the space that lie in it; the first trial takes the others as they are."""
        configured = {name: self.params[name] for name in self.space if name in self.params}
        return {name: value for name, value in configured.items() if holds(self.space[name], value)}

    @property
    def question(self) -> str:
        """What the values of a study's trials depend on, apart from the rows themselves."""
        space = {name: domain.model_dump() for name, domain in self.space.items()}
        folds = [[str(fold), len(fold.learn), len(fold.judge)] for fold in self.folds]
        return json.dumps([space, self.params, self.metric, folds], sort_keys=True, default=str)


def search(
    config: UseCase,
    build: Build,
    examples: Examples,
    folds: Sequence[Fold],
    *,
    storage: Path,
    study: str,
    overrides: Mapping[str, Any] | None = None,
    on_trial: OnTrial | None = None,
) -> Found:
    """Search ``training.search`` for the best parameters by ``gate.champion.metric``.

    ``storage`` is an SQLite file (made if absent); a ``study`` of this name in it is continued until it has
    ``trials``, or until ``timeout`` after it was first begun. ``overrides`` are parameters that are not searched.
    ``on_trial(number, params, value, state)`` is told of each trial, those of an earlier attempt first; ``number``
    counts from 1, and ``value`` is none where the trial failed. A trial whose fit fails is left out; ``SearchError``
    where all fail, or where the study was begun with other settings or folds.
    """
    settings = config.training.search
    if settings is None:
        raise SearchError(f"{config.name}: training.search is empty; there is nothing to search")
    params = {"seed": config.training.seed, **config.training.params, **(overrides or {})}
    space = {name: domain for name, domain in settings.space.items() if name not in (overrides or {})}
    objective = _Objective(build, settings, params, space, config.gate.champion.metric, examples, folds)
    budget = settings.trials if space else 1
    with _opened(objective, storage, study, config.training.seed) as opened:
        teller = Teller(objective.metric, budget, on_trial)
        for trial in opened.trials:
            teller.tell(trial)
        if _enqueue_given(opened, objective.configured):  # whatever the time: there must be something to compare with
            opened.optimize(objective, n_trials=1, catch=(FitError,), callbacks=[teller])
        begun = datetime.fromisoformat(opened.user_attrs[STARTED])
        left = (begun + settings.timeout - datetime.now(UTC)).total_seconds()
        if left > 0 and len(opened.trials) < budget:
            opened.optimize(
                objective, n_trials=budget - len(opened.trials), timeout=left, catch=(FitError,), callbacks=[teller]
            )
        tried = len(opened.trials)
        over = f"{settings.timeout} were over after {tried} of {budget} trials"
        return _found(opened.trials, objective, over if tried < budget else f"all {budget} trials were tried")


def _found(trials: Sequence[optuna.trial.FrozenTrial], objective: _Objective, reason: str) -> Found:
    best = best_of(objective.metric, trials)
    if best is None:
        cause = next((trial.user_attrs[ERROR] for trial in trials if ERROR in trial.user_attrs), "they were cut off")
        raise SearchError(f"all {len(trials)} trials of the search failed; the first: {cause}")
    found = Found(best.user_attrs[PARAMS], value_of(best), best.number + 1, len(trials), reason)
    log.info("search ended: %s; best %.4g (trial %d): %s", reason, found.value, found.number, found.params)
    return found


@contextmanager
def _opened(objective: _Objective, storage: Path, name: str, seed: int) -> Iterator[optuna.Study]:
    """The study, made or continued, without trials that look as if they ran."""
    import optuna
    from optuna.trial import TrialState

    verbosity = optuna.logging.get_verbosity()
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    storage.parent.mkdir(parents=True, exist_ok=True)
    database = None
    try:
        try:
            # A transaction of SQLite is there as a whole or not at all when the process is killed.
            database = optuna.storages.RDBStorage(
                f"sqlite:///{storage}", engine_kwargs={"connect_args": {"timeout": WAIT}}
            )
        except Exception as error:
            raise SearchError(
                f"{storage}: cannot be opened: {str(error).splitlines()[0]}; if it is damaged, remove it to begin anew"
            ) from error
        better = optuna.study.StudyDirection
        direction = better.MAXIMIZE if METRICS[objective.metric].higher_is_better else better.MINIMIZE
        study = optuna.create_study(
            storage=database, study_name=name, direction=direction, pruner=optuna.pruners.MedianPruner(),
            load_if_exists=True,
        )  # fmt: skip
        if study.user_attrs.get(QUESTION, objective.question) != objective.question:
            raise SearchError(
                f"study {name} in {storage} was begun with another space, other params, folds or metric; "
                f"give the search another name, or remove the file"
            )
        if STARTED not in study.user_attrs:
            study.set_user_attr(QUESTION, objective.question)
            study.set_user_attr(STARTED, datetime.now(UTC).isoformat())
        for stale in study.get_trials(states=(TrialState.RUNNING,)):
            study.tell(stale.number, state=TrialState.FAIL)
        study.sampler = optuna.samplers.TPESampler(seed=seed + len(study.trials))
        yield study
    finally:
        optuna.logging.set_verbosity(verbosity)
        if database is not None:
            database.remove_session()
            database.engine.dispose()


def _enqueue_given(study: optuna.Study, configured: dict[str, Any]) -> bool:
    """Whether the configured parameters are still to be tried; a trial of them that was cut off does not count."""
    from optuna.trial import TrialState

    given = [trial for trial in study.trials if trial.user_attrs.get(GIVEN)]
    if any(trial.state == TrialState.WAITING for trial in given):
        return True
    if any(trial.state == TrialState.COMPLETE or ERROR in trial.user_attrs for trial in given):
        return False
    study.enqueue_trial(configured, user_attrs={GIVEN: True})
    return True
