"""All that the monitor finds beside the quality of the window and the drift of its columns, put together."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from datetime import datetime

import polars as pl

from include.contract.use_case import UseCase
from include.deployment.arms import ArmResult
from include.features.compute import INSTANT, LABEL
from include.features.store import EVENT_TIMESTAMP
from include.monitoring import concept, daily, diagnosis, drift, estimate, multivariate, outliers, sliced, units, value
from include.monitoring.concept import Change, DayLoss
from include.monitoring.daily import Day
from include.monitoring.diagnosis import Shift
from include.monitoring.distributions import NumericProfile, WrongTypeError
from include.monitoring.drift import DriftReport, FeatureDrift
from include.monitoring.estimate import Estimates
from include.monitoring.multivariate import Separation
from include.monitoring.numbers import stream
from include.monitoring.outliers import OutlierReport
from include.monitoring.reference import EmptyWindowError, ReferenceProfile
from include.monitoring.service import Service
from include.monitoring.sliced import SliceQuality
from include.monitoring.value import Value
from include.monitoring.whole_rows import whole_rows
from include.records import Record
from include.resampling import Sample
from include.training.evaluate import PREDICTION, Gain, compare
from include.training.reliability import Calibration, calibration
from include.training.training_set import BLOCK

BASELINE = "a constant"


@dataclass(frozen=True)
class Seen:
    """The champion's predictions of a window and of the time in which labels come.

    ``rows`` have their features, prediction, block and label (null: not come); ``settled``: until then nearly all
    labels have come; ``window``: from then on is the window that ends with the partition. ``gate``: the rows of the
    gate's test stretch, labelled. ``earlier``: the numbers of partitions before.
    """

    version: int
    rows: pl.DataFrame
    window: datetime
    settled: datetime
    gate: pl.DataFrame
    earlier: pl.DataFrame

    @property
    def labelled(self) -> pl.DataFrame:
        return self.rows.filter(
            (pl.col(EVENT_TIMESTAMP) <= pl.lit(self.settled).cast(INSTANT)) & pl.col(LABEL).is_not_null()
        )

    @property
    def waiting(self) -> pl.DataFrame:
        """The window's predictions, whose labels are awaited."""
        return self.rows.filter(pl.col(EVENT_TIMESTAMP) > pl.lit(self.window).cast(INSTANT))


@dataclass(frozen=True)
class Findings(Record):
    """``ahead``: the estimate for the window without its labels; ``held``: for the labelled rows, beside the truth."""

    days: tuple[Day, ...]
    gain: Gain | None  # of the labelled rows over a constant, the mean of the gate's labels
    ahead: Estimates
    held: Estimates
    changes: tuple[Change, ...]
    label: FeatureDrift | None
    slices: tuple[SliceQuality, ...]
    calibration: Calibration | None
    gate_calibration: Calibration | None
    value: Value | None
    outliers: OutlierReport | None  # None: no predictions in the window
    together: Separation | None  # None: too few rows or days to tell
    shifts: tuple[Shift, ...]
    losses: dict[str, tuple[DayLoss, ...]]
    # What is as of the look, and not of the partition:
    service: Service | None = field(default=None, compare=False)
    arms: tuple[ArmResult, ...] = field(default=(), compare=False)  # of the rollout in force, or the last one


def find(config: UseCase, seen: Seen, profile: ReferenceProfile, drifted: DriftReport | None) -> Findings:
    """Look at everything, with the settings of a use case. ``ValueError`` where a value is not a finite number."""
    task, judged, seed = config.task, config.monitoring.quality, config.training.seed
    metric, confidence = judged.metric, judged.confidence
    gate, labelled, waiting = seen.gate, seen.labelled, seen.waiting
    baseline = float(gate[LABEL].mean())  # type: ignore[arg-type]
    reference = Sample.of(gate[LABEL], gate[PREDICTION], gate[BLOCK])
    losses = concept.losses(task, metric, labelled, config.slices)
    changes = concept.watch(
        concept.losses(task, metric, gate, config.slices),
        stream(seen.earlier, seen.version, losses),
        config.monitoring.concept,
    )
    label = _label(config, gate, labelled)
    worth = config.monitoring.value
    return Findings(
        days=daily.by_day(task, metric, seen.rows, baseline, confidence=confidence, seed=seed),
        gain=_gain(config, labelled, baseline),
        ahead=estimate.estimate(task, waiting[PREDICTION], waiting[BLOCK], reference, confidence, seed),
        held=estimate.estimate(
            task, labelled[PREDICTION], labelled[BLOCK], reference, confidence, seed, labelled[LABEL]
        ),
        changes=changes,
        label=label,
        slices=sliced.compare(task, metric, labelled, gate, config.slices, confidence, seed) if labelled.height else (),
        calibration=_calibration(config, labelled),
        gate_calibration=_calibration(config, gate),
        value=value.measure(task, labelled, baseline, config.serving.threshold, worth, confidence, seed)
        if worth and labelled.height
        else None,
        outliers=_outliers(config, seen, profile) if waiting.height else None,
        together=_together(config, seen, profile),
        shifts=diagnosis.diagnose(task, drifted, _conversions(profile, waiting, drifted), label, changes),
        losses=losses,
    )


def _gain(config: UseCase, labelled: pl.DataFrame, baseline: float) -> Gain | None:
    """None where the metric is not defined on the rows."""
    try:
        return compare(
            config.task,
            config.monitoring.quality.metric,
            labelled[LABEL],
            labelled[PREDICTION],
            pl.repeat(baseline, labelled.height, eager=True),
            labelled[BLOCK],
            name=BASELINE,
            confidence=config.monitoring.quality.confidence,
            seed=config.training.seed,
        )
    except ValueError:
        return None


def _label(config: UseCase, gate: pl.DataFrame, labelled: pl.DataFrame) -> FeatureDrift | None:
    """The labels of the window against those of the gate's test stretch; None where none have come."""
    if not labelled.height:
        return None
    categorical = (LABEL,) if config.task == "classification" else ()
    profile = ReferenceProfile.of(gate.select(LABEL, BLOCK), label=LABEL, categorical=categorical, blocks=BLOCK)
    return drift.compare_labels(profile, labelled, LABEL, config.monitoring.drift, blocks=BLOCK)


def _outliers(config: UseCase, seen: Seen, profile: ReferenceProfile) -> OutlierReport:
    """Of each column against what was learned from; of the rows as a whole against the gate's test stretch."""
    found = outliers.find(profile, seen.waiting, config.monitoring.drift, blocks=BLOCK)
    names, categorical = _shared(seen, profile)
    try:
        rows = whole_rows(
            seen.gate.select(*names, BLOCK),
            seen.waiting.select(*names, BLOCK),
            config.monitoring.drift,
            seed=config.training.seed,
            blocks=BLOCK,
            categorical=categorical,
        )
    except EmptyWindowError:
        return found
    return replace(found, rows=rows)


def _shared(seen: Seen, profile: ReferenceProfile) -> tuple[list[str], list[str]]:
    """The features that gate and window both have, and those of them that are categorical."""
    names = [name for name in profile.features if name in seen.gate.columns and name in seen.waiting.columns]
    return names, [name for name in names if profile.features[name].kind == "categorical"]


def _together(config: UseCase, seen: Seen, profile: ReferenceProfile) -> Separation | None:
    """Are the window's features told from those of the gate's test stretch, all of them together?"""
    names, categorical = _shared(seen, profile)
    try:
        return multivariate.separate(
            seen.gate.select(*names, BLOCK),
            seen.waiting.select(*names, BLOCK),
            config.monitoring.drift,
            seed=config.training.seed,
            blocks=BLOCK,
            categorical=categorical,
        )
    except EmptyWindowError:
        return None


def _calibration(config: UseCase, rows: pl.DataFrame) -> Calibration | None:
    if config.task == "regression" or not rows.height:
        return None
    return calibration(rows[LABEL].to_numpy(), rows[PREDICTION].to_numpy())


def _conversions(profile: ReferenceProfile, current: pl.DataFrame, drifted: DriftReport | None) -> dict[str, str]:
    """By drifted numeric column the unit that it seems to be in now."""
    found = {}
    for name in drifted.drifted if drifted else ():
        before = profile.features[name]
        if isinstance(before, NumericProfile) and name in current.columns:
            try:
                conversion = units.conversion(before, NumericProfile.of(current[name]))
            except WrongTypeError:  # drift says so
                continue
            if conversion is not None:
                found[name] = conversion.words
    return found
