"""A full report for the tests, and the tags and texts of a page."""

from datetime import UTC, datetime
from html.parser import HTMLParser

import numpy as np
import polars as pl

from include.contract.monitoring import DriftConfig, QualityConfig
from include.monitoring.charts import HistoryPoint
from include.monitoring.drift import compare
from include.monitoring.policy import RetrainingDecision
from include.monitoring.quality import Promise, measure
from include.monitoring.reference import ReferenceProfile
from include.monitoring.report import ReportData

HOSTILE = "<script>alert('x')</script>"


class Page(HTMLParser):
    """Tags and text of a page; fails on tags that are not closed in order."""

    VOID = frozenset({"meta", "br", "link", "img", "input"})

    def __init__(self, html):
        super().__init__()
        self.open, self.tags, self.texts = [], [], []
        self.feed(html)
        assert self.open == []

    def handle_starttag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))
        if tag not in self.VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        self.texts.append(data)

    @property
    def text(self):
        return " ".join(" ".join(self.texts).split())


def history(days=10):
    return tuple(
        HistoryPoint(
            f"2013-03-{day + 1:02}",
            None if day == 3 else 0.5 + day / 100,
            None if day == 3 else (0.4, 0.7),
            0.55,
            "7" if day < 6 else "8",
            day == 6,
            1000,
            900,
        )
        for day in range(days)
    )


def full(**changes):
    generator = np.random.default_rng(0)
    reference = pl.DataFrame({"still": generator.normal(size=3000), "carrier": ["AA", "UA"] * 1500})
    reference = reference.with_columns(
        moved=pl.Series(generator.normal(size=3000)), gone=pl.lit(1.0), p=pl.col("still")
    )
    current = reference.drop("gone").with_columns(pl.col("moved") + 1)
    current = current.with_columns(carrier=pl.Series([HOSTILE] * 1000 + ["AA", "UA"] * 1000))
    labels, blocks = np.zeros(700), np.repeat(np.arange(7), 100)
    config = QualityConfig(metric="mae", tolerance=0.1)
    promise = Promise("mae", 0.5, 700, error=0.01)
    facts = {
        "use_case": "flight_delay",
        "title": f"Delays {HOSTILE}",
        "span": "2013-03-04/2013-03-10",
        "champion": "8",
        "decision": RetrainingDecision(
            "flight_delay",
            "2013-03-10",
            datetime(2013, 3, 11, tzinfo=UTC),
            "8",
            "retrain",
            "quality_loss",
            ("the quality fell",),
            "0123456789abcdef",
        ),
        "quality": measure(labels, labels + 0.8, blocks, 1000, config, "regression", promise, 1),
        "drift": compare(ReferenceProfile.of(reference, prediction="p"), current, DriftConfig()),
        "history": history(),
        "volume": {"rows received": 1234},
        "quarantined": {"flights": 41, "weather": 3},
        "identities": {"data revision": "9f2c1e0b7a4d", "run": "monitor__2013-03-10"},
    }
    return ReportData(**facts | changes)
