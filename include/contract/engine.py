"""On what the features of a use case's partitions are computed."""

from __future__ import annotations

from typing import Literal

from pydantic import Field, model_validator

from include.contract.schema import Strict

Kind = Literal["embedded", "spark"]
LABELS = "labels"  # in engine.split, beside the names of views


class EngineConfig(Strict):
    """``embedded``: in the task itself, on one machine. ``spark``: on the cluster that EVERGREEN_SPARK names.

    ``split`` says what may be computed apart: of a view, the raw columns so that each of its rows follows from the raw
    rows that have the same values in them (tables without these columns are seen whole). ``view.feature`` is for a
    feature that needs other columns than its view. No columns: in one piece.
    """

    features: Kind = "embedded"
    parts: int = Field(default=64, ge=1, description="Pieces into which Spark parts the raw rows.")
    split: dict[str, tuple[str, ...]] = Field(
        default_factory=dict, description="Raw columns by view, by view.feature, and for the labels by `labels`."
    )

    @model_validator(mode="after")
    def _declared(self) -> EngineConfig:
        if self.features == "spark" and LABELS not in self.split:
            raise ValueError(
                "split.labels: missing; features: spark needs to know by which raw columns labels() may be computed "
                "apart, e.g. labels: [station]; [] computes them in one piece; or leave features at embedded"
            )
        for name, columns in self.split.items():
            if len({*columns}) < len(columns):
                raise ValueError(f"split.{name}: names a column twice")
        return self
