"""By which raw columns each view, and single features of it, may be computed apart: ``engine.split`` of a use case."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from include.contract.engine import LABELS
from include.contract.loading import FILE, Folder
from include.features.catalogue import Catalogue


class SplitError(ValueError):
    """A declaration that is missing or wrong; the message names the file, the key and the cure."""


@dataclass(frozen=True)
class Output:
    """What is computed by one set of raw columns: a view, the labels, or one feature of a view."""

    name: str
    view: str
    feature: str | None
    by: tuple[str, ...]
    keys: tuple[str, ...]

    @property
    def is_labels(self) -> bool:
        return self.view == LABELS


def outputs(use_case: Folder, catalogue: Catalogue, tables: Mapping[str, set[str]]) -> tuple[Output, ...]:
    """What is to be computed; ``SplitError`` where a view is not declared, or a declaration names what is not there.

    ``tables``: the columns of each raw table.
    """
    declared, where = use_case.config.engine.split, f"{use_case.path / FILE}: engine.split"
    views = {view.name: view for view in catalogue.views if view.kind != "on demand"}
    if LABELS in views:
        raise SplitError(f"{where}.{LABELS}: is that of labels(), and a view is called so too; rename the view")
    keys = {**{name: view.join_keys for name, view in views.items()}, LABELS: use_case.config.entity.key}
    if missing := sorted({*keys} - {*declared}):
        raise SplitError(
            f"{where}.{missing[0]}: missing; name the raw columns by which {missing[0]} may be computed apart, [] to "
            "compute it in one piece, or set engine.features to embedded"
        )
    features = {f"{name}.{field.name}": name for name, view in views.items() for field in view.fields}
    if strange := sorted({*declared} - {*keys} - {*features}):
        raise SplitError(
            f"{where}.{strange[0]}: no view or view.feature of feature_definitions.py is called so; "
            f"views are {', '.join(sorted(views))}"
        )
    if apart := [name for name in keys if not keys[name] and declared[name]]:
        raise SplitError(f"{where}.{apart[0]}: the view has no join key, so that it is in one piece: []")
    found = [Output(name, name, None, declared[name], keys[name]) for name in keys]
    own = [
        Output(name, view, name.removeprefix(f"{view}."), declared[name], keys[view])
        for name, view in features.items()
        if name in declared and declared[name] != declared[view]
    ]
    _require_columns([*found, *own], tables, where)
    return (*found, *own)


def _require_columns(wanted: Iterable[Output], tables: Mapping[str, set[str]], where: str) -> None:
    for output in wanted:
        if not any({*output.by} <= columns for columns in tables.values()):
            shown = "; ".join(f"{table}: {', '.join(sorted(columns))}" for table, columns in sorted(tables.items()))
            raise SplitError(
                f"{where}.{output.name}: no raw table has the columns {', '.join(output.by)}; there are {shown}"
            )
