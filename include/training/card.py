"""The model card: what a person should know of a version before trusting it (Mitchell et al. 2019)."""

from __future__ import annotations

from collections.abc import Mapping

import polars as pl

from include.contract.use_case import UseCase


def render(
    use_case: UseCase, facts: Mapping[str, str], metrics: Mapping[str, Mapping[str, float]], slices: pl.DataFrame
) -> str:
    """The card as Markdown. ``facts`` are ids and settings of the run, ``metrics`` the values by split."""
    names = sorted({name for values in metrics.values() for name in values})
    lines = [
        f"# {use_case.title}",
        "",
        use_case.description.strip(),
        "",
        f"Predicts `{use_case.label.name}` ({use_case.task}). Owners: {', '.join(use_case.owners)}.",
        "",
        "## Data and identity",
        "",
        *(f"- {name}: `{value}`" for name, value in facts.items()),
        "",
        "## Quality",
        "",
        "The test stretch is later than everything learned from.",
        "",
        *_table(
            ["metric", *metrics],
            [[name, *(_number(values.get(name)) for values in metrics.values())] for name in names],
        ),
        "",
    ]
    if slices.height:
        rows = [[_cell(value) for value in row] for row in slices.iter_rows()]
        lines += ["## Quality by group, on the test stretch", "", *_table(slices.columns, rows), ""]
    lines += [
        "## Limits",
        "",
        f"Labels are known {use_case.label.delay} after the event; what changed since the training data ends is "
        "unknown to the model. It is judged at the gate, watched daily, and replaced when its realized quality drops.",
        "",
    ]
    return "\n".join(lines)


def _table(header: list[str], rows: list[list[str]]) -> list[str]:
    return [f"| {' | '.join(cells)} |" for cells in (header, ["---"] * len(header), *rows)]


def _cell(value: object) -> str:
    return _number(value) if isinstance(value, float) else str(value)


def _number(value: float | None) -> str:
    return "-" if value is None else f"{value:.4g}"
