"""How decisions about distributions say why."""

from __future__ import annotations

from collections.abc import Sequence


def change(what: str, size: float, q_value: float, alpha: float, least: float) -> str:
    """``what`` changed by ``size``: does it matter, and is it more than chance?"""
    matters = "enough to matter" if abs(size) >= least else "too little to matter"
    chance = "more than chance" if q_value < alpha else "may be chance"
    return f"{what} {size:.3g} (limit {least:g}: {matters}), q {rounded(q_value)} (limit {alpha:g}: {chance})"


def rounded(q_value: float) -> str:
    return "< 0.0001" if q_value < 1e-4 else f"{q_value:.2g}"


def listed(names: Sequence[str]) -> str:
    """The first five, shortened, and how many more."""
    shown = ", ".join(repr(name[:40]) for name in names[:5])
    return f"{shown} and {len(names) - 5} more" if len(names) > 5 else shown
