"""OrdinalEncoder and OneHotEncoder as tables: what the fitted encoder itself gives for each value that it tells apart.

Every other value is one that it does not know, so that nothing of its parameters has to be written a second time.
"""

from __future__ import annotations

import copy
import warnings
from collections.abc import Sequence
from itertools import accumulate
from typing import Any

import numpy as np
from numpy.typing import NDArray

from include.serving.compiled.columns import MOST_CELLS, Column, Matrix, NotCompilable, Op, TextColumn, Texts
from include.serving.compiled.kernels import Code

Keys = Sequence[str | float | None]


def encoded(encoder: Any, position: int, column: Column | TextColumn) -> list[Column]:
    """The columns that a fitted encoder makes of the one at ``position`` of its input."""
    who = type(encoder).__name__
    if encoder.categories_[position].size * _width(encoder, position) > MOST_CELLS:
        raise NotCompilable(f"{who}: {encoder.categories_[position].size:,} categories are too many for a table")
    if isinstance(column, TextColumn):
        return _of_text(encoder, position, column, who)
    return _of_numbers(encoder, position, column, who)


def _of_text(encoder: Any, position: int, column: TextColumn, who: str) -> list[Column]:
    known = {text for text in encoder.categories_[position] if isinstance(text, str)}
    for imputer, at in column.imputers:
        known |= {text for text in (imputer.missing_values, imputer.statistics_[at]) if isinstance(text, str)}
    keys: list[str | None] = [*sorted(known), None]
    unknown = "?"
    while unknown in known:
        unknown += "?"
    values: NDArray[Any] = np.array([*keys, unknown], dtype=object)
    for imputer, at in column.imputers:
        values = _imputed(imputer, at, values)
    table, accepted = _table(encoder, position, values)
    return [
        Column(
            column.feature,
            texts=Texts(
                {key: value if ok else None for key, value, ok in zip(keys, one, accepted, strict=False)},
                one[-1] if accepted[-1] else None,
                who,
            ),
        )
        for one in table.T.tolist()
    ]


def _of_numbers(encoder: Any, position: int, column: Column, who: str) -> list[Column]:
    categories = encoder.categories_[position]
    if categories.dtype.kind not in "fiub":
        raise NotCompilable(f"{who}: numbers among categories of type {categories.dtype}")
    known = sorted(float(value) for value in categories if not np.isnan(value))
    unknown = float(np.nextafter(max(known, default=0.0), np.inf))
    values = np.array([*known, np.nan, unknown])
    table, accepted = _table(encoder, position, values)
    keys = tuple(known)
    start = column.then(
        Op(Code.NO_INFINITY, who=who),
        Op(Code.LOOKUP, b=len(keys), table=keys),
        *(Op(Code.REFUSE, float(at), who=who) for at in np.flatnonzero(~accepted)),
    )
    return [start.then(Op(Code.TABLE, table=tuple(one))) for one in table.T.tolist()]


def _width(encoder: Any, position: int) -> int:
    return int(getattr(encoder, "_n_features_outs", [1] * (position + 1))[position])


def _imputed(imputer: Any, position: int, values: NDArray[Any]) -> NDArray[Any]:
    others = [np.full(len(values), str(each), dtype=object) for each in imputer.statistics_]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        found = imputer.transform(_input(imputer, position, values, others))
    return np.asarray(found, dtype=object)[:, position]


def _table(encoder: Any, position: int, values: NDArray[Any]) -> tuple[Matrix, NDArray[np.bool_]]:
    """What the encoder gives for each value in its columns of this one: (values, columns); and whether it takes it."""
    plain = copy.deepcopy(encoder).set_output(transform="default")
    if hasattr(plain, "sparse_output"):
        plain.sparse_output = False
    widths = [_width(encoder, at) for at in range(len(encoder.categories_))]
    first = [0, *accumulate(widths)][position]

    def transform(some: NDArray[Any]) -> Matrix:
        others = [np.repeat(each[:1], len(some)) for each in encoder.categories_]
        found = plain.transform(_input(encoder, position, some, others))
        return np.asarray(found, dtype=np.float64)[:, first : first + widths[position]]

    table, accepted = np.full((len(values), widths[position]), np.nan), np.ones(len(values), dtype=bool)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of unknown categories
        try:
            return transform(values), accepted
        except ValueError:
            for at in range(len(values)):
                try:
                    table[at] = transform(values[at : at + 1])[0]
                except ValueError:
                    accepted[at] = False
    return table, accepted


def _input(step: Any, position: int, values: NDArray[Any], others: Sequence[NDArray[Any]]) -> Any:
    """Rows for a fitted step: ``values`` at ``position``, the others' as given; of the kind that it was fitted on."""
    import pandas as pd

    columns = [values if at == position else other for at, other in enumerate(others)]
    if hasattr(step, "feature_names_in_"):
        return pd.DataFrame(dict(zip(step.feature_names_in_, columns, strict=True)))
    return np.column_stack(columns)
