"""Groups of rows that two models predicted, measured for the tests of slices, their checks and fairness."""

import numpy as np

from include.contract.gate import ChampionConfig, FairnessConfig, GateConfig, Limit, SlicesConfig
from include.contract.metrics import METRICS
from include.gate.slice_checks import check
from include.gate.slices import measure

MAE, AUC, LOG_LOSS = METRICS["mae"], METRICS["roc_auc"], METRICS["log_loss"]


def config(*fairness, metric="mae", **slices):
    options = {"minimum_rows": 20, "ratio": 2.0, "tolerance": 0.05, "confidence": 0.95, **slices}
    return GateConfig(
        limits={metric: Limit(max=9)},
        champion=ChampionConfig(metric=metric, resamples=400),
        slices=SlicesConfig(**options),
        fairness=tuple(FairnessConfig(column=column, measure=name, difference=d) for column, name, d in fairness),
    )


def fourteen_days(rows):
    return np.array([f"2013-03-{day % 14 + 1:02}" for day in range(rows)])


def regression(errors, champion=None, rows=140, seed=1):
    """Groups with mean absolute errors near those given, for the challenger and for the champion."""
    generator = np.random.default_rng(seed)
    names = np.repeat(list(errors), rows)
    daily = np.tile(generator.normal(1, 0.05, 14), len(names) // 14)
    ours = np.repeat(list(errors.values()), rows) * daily
    theirs = None if champion is None else np.repeat(list(champion.values()), rows) * daily
    return np.zeros(len(names)), ours, theirs, fourteen_days(len(names)), {"airline": names.tolist()}


def measured(labels, ours, theirs, blocks, columns, *, settings=None, metric=MAE, threshold=None, seed=5):
    settings = settings or config(metric=metric.name)
    return measure(
        metric.task,
        metric,
        labels,
        ours,
        theirs,
        blocks,
        columns,
        config=settings,
        threshold=threshold,
        seed=seed,
    )


def failed(slices, settings):
    return [each.name for each in check(slices, settings) if not each.passed]


def reason(slices, settings, name):
    return next(each.reason for each in check(slices, settings) if each.name == name)
