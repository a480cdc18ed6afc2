"""Evidently's report of the rows of a look, for those who know it; ``monitoring.evidently`` switches it on.

It comes after the look and decides nothing. Evidently writes values into its page's scripts as they are, so that a
value could be a script, too: it is shown in a frame whose scripts may draw and reach nothing else.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from importlib.util import find_spec
from pathlib import Path

import polars as pl
from jinja2 import StrictUndefined, Template

from include.contract.loading import Folder
from include.contract.partitions import Partition
from include.contract.use_case import UseCase
from include.features.store import EVENT_TIMESTAMP
from include.files import read_json, replacing
from include.monitoring import monitor
from include.monitoring.distributions import Kind
from include.monitoring.observation import Observation, record_file
from include.monitoring.reference import ReferenceProfile
from include.registry import models
from include.registry.runs import TEST_FILE, logged_file
from include.settings import get_settings
from include.training.evaluate import PREDICTION
from include.training.recording import REFERENCE_FILE

log = logging.getLogger(__name__)

ROWS = 20_000  # a side that Evidently is given: it takes seconds, and grows with them
PAGE = Path(__file__).parent / "templates" / "evidently.html.j2"


class EvidentlyError(ValueError):
    """Evidently cannot be had; the message names the key that asked for it, and the cure."""


@dataclass(frozen=True)
class Side:
    """The rows of one side as Evidently is given them, and how many there were."""

    rows: pl.DataFrame
    of: int

    @property
    def told(self) -> str:
        sample = f"a sample of {self.rows.height:,} of the " if self.rows.height < self.of else ""
        return f"{sample}{self.of:,} row{'s' if self.of != 1 else ''}"


def file(use_case: str, partition: str) -> Path:
    return get_settings().monitoring / use_case / "evidently" / f"{partition}.html"


def write(use_case: Folder, last: Partition) -> Path | None:
    """Write the report of the look that ended with a partition, in place of an earlier one; None without predictions.

    The look must have kept its record. Raises ``EvidentlyError`` where Evidently is not installed.
    """
    config = use_case.config
    _require(config.name)
    seen = Observation.from_dict(read_json(record_file(config.name, last.key)))
    target = file(config.name, last.key)
    looked_at = current_rows(use_case, seen, last)
    if not looked_at.height:
        target.unlink(missing_ok=True)
        return None
    version = models.get(config.name, seen.model_version)
    profile = ReferenceProfile.from_dict(read_json(logged_file(version, REFERENCE_FILE)))
    gate = pl.read_parquet(logged_file(version, TEST_FILE))
    shared = [name for name in profile.features if name in gate.columns and name in looked_at.columns]
    kinds: dict[str, Kind] = {name: profile.features[name].kind for name in shared} | {PREDICTION: "numeric"}
    reference, current = (sample(config, kinds, rows) for rows in (gate, looked_at))
    with replacing(target) as temporary:
        temporary.write_text(render(config, seen, reference, current, kinds), encoding="utf-8")
    log.info("%s until %s: %d rows beside %d of the gate", config.name, last.key, current.of, reference.of)
    return target


def current_rows(use_case: Folder, seen: Observation, last: Partition) -> pl.DataFrame:
    """The window's predictions that the look held against the reference (``include.monitoring.monitor.observe``)."""
    config = use_case.config
    made = monitor.predictions(use_case, last, config.monitoring.window + config.label.delay)
    return monitor.looked_at(config, made, seen.model_version, last)


def render(config: UseCase, seen: Observation, reference: Side, current: Side, kinds: Mapping[str, Kind]) -> str:
    """The page: what was compared, and below it Evidently's own, which needs nothing else and reaches nothing."""
    empty = [name for name in kinds if any(not side.rows[name].count() for side in (reference, current))]
    return _page().render(
        title=config.title,
        span=seen.span,
        version=seen.model_version,
        reference=reference,
        current=current,
        empty=empty,
        report=_drawn(reference.rows, current.rows, kinds, [name for name in kinds if name not in empty]),
    )


def _drawn(reference: pl.DataFrame, current: pl.DataFrame, kinds: Mapping[str, Kind], compared: list[str]) -> str:
    """Evidently's page; a column is ``compared`` where both sides have values, since it refuses others."""
    os.environ["DO_NOT_TRACK"] = "1"  # no telemetry; read when Evidently is imported
    from evidently import DataDefinition, Dataset, Report
    from evidently.presets import DataDriftPreset, DataSummaryPreset

    definition = DataDefinition(
        numerical_columns=[name for name, kind in kinds.items() if kind == "numeric"],
        categorical_columns=[name for name, kind in kinds.items() if kind == "categorical"],
    )
    current_data, reference_data = (
        Dataset.from_pandas(rows.to_pandas(), data_definition=definition) for rows in (current, reference)
    )
    report = Report([DataDriftPreset(columns=compared), DataSummaryPreset()])
    return str(report.run(current_data, reference_data).get_html_str(as_iframe=False))


def sample(config: UseCase, kinds: Mapping[str, Kind], rows: pl.DataFrame) -> Side:
    """At most ``ROWS`` of the rows, by a hash of their event: the same every time, whatever their order."""
    event = [*config.entity.key, EVENT_TIMESTAMP]
    chosen = rows if rows.height <= ROWS else rows.sort(pl.struct(event).hash(), maintain_order=True).head(ROWS)
    columns = (_value(name, kind) for name, kind in kinds.items())
    return Side(chosen.sort(event, maintain_order=True).select(columns), rows.height)


def _value(name: str, kind: Kind) -> pl.Expr:
    """A column as the look reads it: what is not a finite number is missing."""
    if kind == "numeric":
        number = pl.col(name).cast(pl.Float64)
        return pl.when(number.is_finite()).then(number).alias(name)
    # A "<" would end Evidently's script in the middle of its data, and the page would stay empty.
    return pl.col(name).cast(pl.String).str.replace_all("<", "\N{SINGLE LEFT-POINTING ANGLE QUOTATION MARK}")


def _require(use_case: str) -> None:
    if find_spec("evidently") is None:
        raise EvidentlyError(
            f"{use_case}/use_case.yaml: monitoring.evidently: true needs Evidently: install it where the tasks run "
            "(.venv/bin/python -m uv pip install -r requirements-evidently.txt), or set monitoring.evidently to false"
        )


@lru_cache(maxsize=1)
def _page() -> Template:
    page: Template = Template(
        PAGE.read_text(encoding="utf-8"), autoescape=True, undefined=StrictUndefined, trim_blocks=True
    )
    return page
