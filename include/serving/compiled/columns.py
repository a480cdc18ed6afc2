"""What a model sees of a row: each encoded column as a few operations on the value of one feature."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from include.registry.model_input import Feature
from include.serving.compiled.kernels import COLUMN, OP, Code, encode

Matrix = NDArray[np.float64]
Vector = NDArray[np.float64]

MOST_CELLS = 4_000_000  # numbers in tables: 32 MB


class NotCompilable(Exception):  # noqa: N818 - an answer, not a failure
    """The message names the class, and the parameter or the input, that has no compiled form."""


@dataclass(frozen=True)
class Op:
    """An operation of ``kernels.Code``; ``table`` are the numbers that a LOOKUP or a TABLE reads."""

    code: Code
    a: float = 0.0
    b: float = 0.0
    table: tuple[float, ...] = ()
    who: str = ""  # the class that refuses


@dataclass(frozen=True)
class Texts:
    """What a column is for each text: ``known``, with a key of None for a missing one, and ``unknown`` for any other.

    None where ``who`` refuses the text.
    """

    known: Mapping[str | None, float | None]
    unknown: float | None
    who: str


@dataclass(frozen=True)
class Column:
    """An encoded column. One of text starts from ``texts``, another from the feature's number."""

    feature: int
    ops: tuple[Op, ...] = ()
    texts: Texts | None = None

    def then(self, *ops: Op) -> Column:
        return replace(self, ops=(*self.ops, *ops))


@dataclass(frozen=True)
class TextColumn:
    """A column that is still text: the feature behind imputers, each with the position it has in its input."""

    feature: int
    imputers: tuple[tuple[Any, int], ...] = ()


@dataclass(frozen=True)
class Encoded:
    """The columns after a step of a pipeline, and whether scikit-learn holds them as a sparse matrix."""

    columns: tuple[Column | TextColumn, ...]
    sparse: bool = False

    def numbers(self, who: str) -> tuple[Column, ...]:
        """The columns, if none is text."""
        found = tuple(column for column in self.columns if isinstance(column, Column))
        if len(found) < len(self.columns):
            raise NotCompilable(f"{who}: text that no encoder has turned into numbers")
        return found


@dataclass(frozen=True)
class Reader:
    """How a value of one feature becomes a number: by ``codes`` for text, as it is without."""

    name: str
    codes: Mapping[str | None, float | None] | None = None  # None for a text that ``who`` refuses
    unknown: float | None = None  # None: refused
    who: str = ""


@dataclass(frozen=True)
class Program:
    """The readers of all features, and the operations from what they read to the encoded columns."""

    readers: tuple[Reader, ...]
    columns: tuple[Column, ...]
    layout: NDArray[Any]
    ops: NDArray[Any]
    tables: Vector

    @classmethod
    def of(cls, features: Sequence[Feature], columns: Sequence[Column]) -> Program:
        """``NotCompilable`` where the tables would be larger than ``MOST_CELLS``."""
        readers, linked = [], list(columns)
        for index, feature in enumerate(features):
            own = [at for at, column in enumerate(columns) if column.feature == index and column.texts is not None]
            if feature.kind != "categorical":
                readers.append(Reader(feature.name))
                continue
            reader, after = _link(feature.name, [columns[at] for at in own])
            readers.append(reader)
            for at, column in zip(own, after, strict=True):
                linked[at] = column
        return cls(tuple(readers), tuple(linked), *_assemble(linked))

    @property
    def sources(self) -> NDArray[np.int64]:
        """The feature behind each column."""
        return np.array([column.feature for column in self.columns], dtype=np.int64)

    def encode(self, values: Matrix) -> Matrix:
        """From (rows, features) as read to (rows, columns). ``ValueError`` names the feature that is refused."""
        matrix = np.empty((len(values), len(self.layout)))
        refused = encode(values, self.layout, self.ops, self.tables, matrix)
        if refused >= 0:
            column = int(np.searchsorted(self.layout["stop"], refused, side="right"))
            self._refuse(self.columns[column], refused - int(self.layout["start"][column]))
        return matrix

    def _refuse(self, column: Column, position: int) -> None:
        op = column.ops[position]
        reasons = {
            Code.NO_INFINITY: "is infinite or too large",
            Code.FINITE: "is missing, infinite or too large",
            Code.REFUSE: "was not seen in training",
        }
        name = self.readers[column.feature].name
        raise ValueError(f"feature {name}: a value {reasons[op.code]}, which {op.who} does not take")


def _assemble(columns: Sequence[Column]) -> tuple[NDArray[Any], NDArray[Any], Vector]:
    """The arrays that the kernel reads: the layout of the columns, their operations, and their tables in one."""
    layout = np.zeros(len(columns), COLUMN)
    ops: list[tuple[int, float, float]] = []
    parts: list[tuple[float, ...]] = []
    places: dict[int, int] = {}  # columns of one encoder share their keys
    size = 0
    for at, column in enumerate(columns):
        start = len(ops)
        for op in column.ops:
            place = op.a
            if op.code in (Code.LOOKUP, Code.TABLE):
                if id(op.table) not in places:
                    places[id(op.table)] = size
                    parts.append(op.table)
                    size += len(op.table)
                place = places[id(op.table)]
            ops.append((op.code, place, op.b))
        layout[at] = (column.feature, start, len(ops))
    if size > MOST_CELLS:
        raise NotCompilable(f"tables of {size:,} numbers, more than {MOST_CELLS:,}: too many categories")
    tables = np.array([number for part in parts for number in part], dtype=np.float64)
    return layout, np.array(ops, dtype=OP), tables


def _link(name: str, columns: Sequence[Column]) -> tuple[Reader, list[Column]]:
    """One code for each text that any column of a text feature knows, and the columns as tables of the codes.

    A single column needs no table: what it is for a text is the code. Nothing is refused where nothing is encoded.
    """
    tables = [column.texts for column in columns if column.texts is not None]
    texts = sorted({key for table in tables for key in table.known if key is not None})
    keys: list[str | None] = [*texts, None]
    if (len(keys) + 1) * len(columns) > MOST_CELLS:
        raise NotCompilable(f"feature {name}: {len(texts):,} categories in {len(columns):,} columns are too many")
    values = np.full((len(columns), len(keys) + 1), np.nan)
    refused: dict[int, str] = {}  # by position, unknown texts last
    for number, (column, table) in enumerate(zip(columns, tables, strict=True)):
        for at, found in enumerate([*(table.known.get(key, table.unknown) for key in keys), table.unknown]):
            if found is None:
                refused[at] = table.who
            else:
                values[number, at] = found
        values[number], who = _folded(column.ops, values[number])
        refused |= {at: who[at] for at in who if at not in refused}
    codes = np.arange(len(keys) + 1.0) if len(columns) != 1 else values[0]
    reader = Reader(
        name,
        {key: None if at in refused else float(codes[at]) for at, key in enumerate(keys)},
        None if len(keys) in refused else float(codes[-1]),
        ", ".join(sorted(set(refused.values()))),
    )
    if len(columns) == 1:
        return reader, [Column(columns[0].feature)]
    return reader, [
        Column(column.feature, (Op(Code.TABLE, table=tuple(row)),))
        for column, row in zip(columns, values.tolist(), strict=True)
    ]


def _folded(ops: Sequence[Op], values: Vector) -> tuple[Vector, dict[int, str]]:
    """The values after the operations, and the positions that they refuse, with who does."""
    if not ops:
        return values, {}
    arrays = _assemble([Column(0, tuple(ops))])
    after, refused = np.empty((len(values), 1)), {}
    if encode(values[:, None].copy(), *arrays, after) >= 0:
        for at, value in enumerate(values):
            op = encode(np.array([[value]]), *arrays, after[at : at + 1])
            if op >= 0:
                refused[at] = ops[op].who
    return after[:, 0], refused
