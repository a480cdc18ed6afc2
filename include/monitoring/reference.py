"""What a model version learned from and how it predicted, summarized once, so that the rows need not be read again."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass

import polars as pl

from include.monitoring.dependence import Blocks
from include.monitoring.distributions import Profile, kind_of, profile_of
from include.records import Record


class EmptyWindowError(ValueError):
    """There is nothing to compare."""


@dataclass(frozen=True)
class ReferenceProfile(Record):
    """The distribution of every feature, of the prediction and of the label in the rows behind a model version."""

    rows: int
    features: Mapping[str, Profile]
    prediction_name: str | None = None
    prediction: Profile | None = None
    label: Profile | None = None

    @classmethod
    def of(
        cls,
        frame: pl.DataFrame | pl.LazyFrame,
        *,
        prediction: str | None = None,
        label: str | None = None,
        categorical: Collection[str] = (),
        blocks: str | None = None,
    ) -> ReferenceProfile:
        """Profile every column of the reference rows, one after the other: of a lazy frame no more is in memory.

        Strings and booleans are categorical, numbers numeric unless named in ``categorical``. ``blocks`` names the
        column, itself no feature, of the blocks (days) whose rows hang together; it must sort by time. Raises
        ``EmptyWindowError`` for no rows, ``WrongTypeError`` for other types, ``ValueError`` for a name that is no
        column and for a row without block.
        """
        lazy = frame.lazy()
        names = lazy.collect_schema().names()
        if (rows := height(lazy)) == 0:
            raise EmptyWindowError("the reference has no rows: a profile needs the data that the model was trained on")
        if unknown := {*categorical, *filter(None, (prediction, label, blocks))} - {*names}:
            raise ValueError(f"not among the reference's columns: {', '.join(sorted(unknown))}")
        within = blocks_of(lazy, blocks)

        def profile(name: str) -> Profile:
            column = series_of(lazy, name)
            return profile_of(column, "categorical" if name in categorical else kind_of(column), blocks=within)

        profiles = {name: profile(name) for name in names if name != blocks}
        predicted = profiles.pop(prediction) if prediction else None
        labelled = profiles.pop(label) if label else None
        return cls(rows, profiles, prediction, predicted, labelled)


def height(frame: pl.LazyFrame) -> int:
    return int(frame.select(pl.len()).collect().item())


def series_of(frame: pl.LazyFrame, name: str) -> pl.Series:
    return frame.select(pl.col(name)).collect().to_series()


def blocks_of(frame: pl.LazyFrame, name: str | None) -> Blocks | None:
    if name is None:
        return None
    if name not in frame.collect_schema().names():
        raise ValueError(f"block column {name!r} is missing from the data")
    return Blocks.of(series_of(frame, name))
