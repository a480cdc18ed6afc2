"""Evidence of a watched champion, by day."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

from include.monitoring.drift import FeatureDrift
from include.monitoring.policy import Evidence
from include.monitoring.quality import Increase, Quality

NOW = datetime(2013, 3, 11, 5, tzinfo=UTC)

GOOD = Quality(
    metric="log_loss",
    values={"log_loss": 0.5},
    interval=(0.48, 0.52),
    promised=0.5,
    increase=Increase(0.0, (-0.01, 0.01), 0.1),
    tolerance=0.02,
    confidence=0.9,
    rows=900,
    predictions=1000,
    coverage=0.9,
    blocks=7,
    decidable=True,
    worse_than_promised=False,
    reasons=("as promised",),
)
WORSE = replace(GOOD, worse_than_promised=True, reasons=("much worse",))
STILL = FeatureDrift("prediction", "numeric", True, False, ("did not move",), 1000, 1000, effect=0.01)
MOVED = replace(STILL, drifted=True, reasons=("moved",))


def evidence(**changes):
    facts = {
        "use_case": "flight_delay",
        "partition": "2013-03-10",
        "as_of": NOW,
        "champion": "7",
        "trained_until": NOW - timedelta(days=30),
        "quality": GOOD,
        "prediction_drift": STILL,
    }
    return Evidence(**facts | changes)


def later(days, **changes):
    as_of = NOW + timedelta(days=days)
    return evidence(partition=(as_of - timedelta(days=1)).strftime("%Y-%m-%d"), as_of=as_of, **changes)


def worse(rows=900, **changes):
    """A loss of quality; other rows make it another evidence."""
    return {"quality": replace(WORSE, rows=rows), **changes}


def verdict(decision):
    return decision.action, decision.trigger
