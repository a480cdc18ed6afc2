"""The end of the demo: what was expected, whether it happened, and the table of weeks."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import asdict
from typing import Any

from include.contract.metrics import METRICS
from include.demo.scenario import Scenario
from include.demo.steps import Journal, Week


def expectations(journal: Journal, scenario: Scenario) -> dict[str, bool]:
    """Every event that the demo stands for, and whether it happened."""
    first, *later = journal.gate or [{}]
    retrained = [week for week in journal.weeks if week.decision == "retrain"]
    return {
        **{
            f"{count} row(s) quarantined: {reason}": journal.quarantined.get(reason, 0) == count
            for reason, count in scenario.quarantined.items()
        },
        "the first candidate is approved without a champion": first.get("outcome") == "approved"
        and first.get("champion_before") is None,
        "every week is scored, labelled and watched": len(journal.weeks) == len(scenario.spans)
        and all(week.rows > 0 for week in journal.weeks),
        "the monitor asks for retraining on its own": bool(retrained),
        "a challenger is promoted over a champion": any(
            each["outcome"] == "approved" and each["champion_before"] is not None for each in later
        ),
        "a challenger is refused with reasons": any(each["outcome"] == "refused" and each["reasons"] for each in later),
        "rolled back, and forward again": len(journal.switches) == 2
        and journal.switches[0]["from"] == journal.switches[1]["to"] != journal.switches[0]["to"],
        "a prediction is answered and walked back to its data": bool(
            journal.prediction and journal.lineage.get("data_revision")
        ),
        "the features it used online are those of the offline store": journal.parity.get("compared", 0) > 0
        and journal.parity["skewed"] == journal.parity["late"] == 0,
    }


def as_json(journal: Journal, happened: dict[str, bool]) -> dict[str, Any]:
    return {**asdict(journal), "expected": happened, "succeeded": all(happened.values())}


def week_line(week: Week) -> str:
    """One line of the table while the demo runs."""
    drift = "-" if week.prediction_drift is None else f"{week.prediction_drift:.2f}"
    metrics = "  ".join(f"{week.metrics.get(name, float('nan')):>9.4f}" for name in columns(week.metrics))
    outcome = week.decision if week.decision != "retrain" else f"retrain ({week.trigger}) {week.outcome}"
    return f"  {week.span:<22} v{week.champion:<4} {metrics}  {drift:>6} {week.drifted_features:>9}  {outcome}"


def week_header(metrics: Iterable[str]) -> str:
    names = "  ".join(f"{name:>9}" for name in metrics)
    above = f"{'':<30}{'':>{len(names)}} {'score':>7} {'features':>9}"
    return f"{above}\n  {'week':<22} {'model':<5} {names} {'drift':>7} {'drifted':>9}  decision"


def columns(values: Iterable[str]) -> list[str]:
    """At most two metrics, in the order of the catalogue: what ranks, and what is promised."""
    known = [name for name in METRICS if name in set(values)]
    return [name for name in known if name in ("roc_auc", "log_loss", "mae", "rmse")][:2]


def closing(journal: Journal, happened: dict[str, bool]) -> str:
    lines = ["", "What was expected:"]
    lines += [f"  [{'x' if ok else ' '}] {text}" for text, ok in happened.items()]
    lines += ["", "One prediction, walked back:"]
    lines += [f"  {name:<18} {value}" for name, value in journal.lineage.items()]
    return "\n".join(lines)
