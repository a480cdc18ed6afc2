"""The report is one page that needs nothing else, shows what it was given, and shows it as text."""

import re
from datetime import UTC, datetime
from html.parser import HTMLParser
from itertools import pairwise

import numpy as np
import polars as pl
import pytest

from include.contract.monitoring import DriftConfig, QualityConfig
from include.monitoring.charts import HistoryPoint, histogram, label, ticks, timeline, volume
from include.monitoring.distributions import NumericProfile, numeric_histogram
from include.monitoring.drift import compare
from include.monitoring.policy import RetrainingDecision
from include.monitoring.quality import Promise, measure
from include.monitoring.reference import ReferenceProfile
from include.monitoring.report import ReportData, chance, percent, render
from tests.monitoring.planted import config, look, rows

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


def test_it_shows_decision_quality_drift_volume_and_identities():
    text = Page(render(full())).text
    for words in (
        "Retrain: the quality is worse than promised",
        "the quality fell",
        "champion 8",
        "mae, promised 0.5",
        "70% of labels have come: 700 of 1,000",
        "44 rows in quarantine",
        "3 of 4 features drifted",
        "the column is missing from the current data",
        "rows received 1234",
        "9f2c1e0b7a4d",
        "monitor__2013-03-10",
    ):
        assert words in text


def test_it_shows_what_was_found_by_day_and_slice():
    use_case = config(value={"true_positive": 5, "false_positive": -1, "unit": "EUR"})
    current = rows(8).with_columns(carrier=pl.col("carrier").replace({"UA": HOSTILE}), label=1 - pl.col("label"))
    found, _ = look(current, use_case)
    page = Page(html := render(full(findings=found, days=history(40))))
    for words in ("Day by day", "2013-03-08", "300 of 300", "Before the labels come", "outside its interval"):
        assert words in page.text
    for words in ("Concept", "Calibration now", f"carrier {HOSTILE}", "EUR in 2,100 labelled predictions", "Labels"):
        assert words in page.text
    assert "<script" not in html
    assert sum(attributes.get("aria-label") == "calibration" for _, attributes in page.tags) == 2


def test_an_empty_stretch_is_shown_as_one():
    found, _ = look(rows(8).clear())
    text = Page(render(full(findings=found))).text
    for words in ("The champion has predicted nothing", "No slice has enough labelled rows"):
        assert words in text


def test_a_hostile_name_is_shown_as_text():
    html = render(full())
    page = Page(html)
    assert "<script" not in html
    assert HOSTILE in page.text
    assert not [attributes for _, attributes in page.tags if any(name.startswith("on") for name in attributes)]


def test_it_loads_nothing_from_elsewhere():
    page = Page(render(full()))
    assert not [tag for tag, _ in page.tags if tag in ("script", "link", "img", "iframe")]
    assert not re.search(r"url\(|@import|https?://", render(full()))
    policy = next(attributes for _, attributes in page.tags if "http-equiv" in attributes)
    assert policy["content"].startswith("default-src 'none'")


def test_features_are_sorted_by_effect_after_what_could_not_be_computed():
    text = Page(render(full())).text.partition("Features")[2]
    positions = [text.index(f"{name} ") for name in ("gone", "moved", "carrier", "still")]
    assert positions == sorted(positions)


def test_it_says_what_is_absent_instead_of_failing():
    text = Page(render(ReportData("fares", "Fares", "2013-03-10", None))).text
    for words in ("no champion", "No decision was made", "quality was not measured", "drift was not computed"):
        assert words in text


@pytest.mark.parametrize(
    ("action", "trigger", "headline"),
    [
        ("retrain", "prediction_drift", "Retrain: the predictions have drifted"),
        ("wait", "quality_loss", "Wait: the quality is worse than promised"),
        ("wait", None, "Wait: not enough is known yet"),
        ("no", None, "No new model is needed"),
        ("no", "quality_loss", "No: the cause was already acted on"),
    ],
)
def test_the_decision_is_said_in_words(action, trigger, headline):
    decision = RetrainingDecision("f", "2013", datetime(2013, 1, 1, tzinfo=UTC), "1", action, trigger, (), "x")
    assert headline in Page(render(full(decision=decision))).text


def test_the_same_data_gives_the_same_page_also_after_json():
    data = full()
    assert render(ReportData.from_dict(data.to_dict())) == render(data)


def test_the_timeline_breaks_where_there_is_no_value_and_marks_promotions():
    plot = timeline(history(), 900)
    assert plot.line.count("M") == 2
    assert plot.band.count("Z") == 2
    assert [rule.label for rule in plot.rules] == ["8"]
    assert len(plot.dots) == 9
    assert all(plot.left <= dot.x <= plot.right and plot.top <= dot.y <= plot.bottom for dot in plot.dots)


def test_the_dates_below_a_narrow_axis_do_not_touch():
    for width in (314, 930):
        found = timeline(history(31), width).x_ticks
        gaps = [right.at - left.at for left, right in pairwise(found)]
        assert min(gaps) > 72  # ten characters
        assert (found[0].label, found[-1].label) == ("2013-03-01", "2013-03-31")


def test_one_partition_is_enough_for_a_timeline():
    assert len(timeline(history(1), 314).dots) == 1


def test_nothing_measured_draws_nothing():
    empty = (HistoryPoint("2013-03-01"),)
    assert timeline(empty, 900) is None
    assert volume(empty, 900) is None


def test_labels_are_drawn_within_the_bar_of_their_predictions():
    plot = volume(history(), 900)
    assert all(
        inner.height == pytest.approx(0.9 * bar.height, abs=0.1)
        for inner, bar in zip(plot.inner_bars, plot.bars, strict=True)
    )


@pytest.mark.parametrize(
    ("low", "high"), [(0, 1), (0.4123, 0.6277), (-3e-7, 8e-7), (0, 1_532_111), (5, 5), (0, 0), (-2, -1), (1e9, 1e9 + 1)]
)
def test_ticks_are_few_and_cover_the_range(low, high):
    found = ticks(low, high)
    assert found[0] <= low <= high <= found[-1]
    assert 2 <= len(found) <= 9


def test_a_histogram_has_at_least_two_ticks_and_bins_of_whole_numbers():
    values = pl.Series(np.random.default_rng(0).integers(0, 24, 5000))
    shares = numeric_histogram(NumericProfile.of(values), NumericProfile.of(values))
    assert max(shares.reference) < 1.4 * sorted(shares.reference)[1]
    assert sum(shares.reference) == pytest.approx(1)
    assert len(histogram(shares).x_ticks) >= 2


@pytest.mark.parametrize("values", [[3.0] * 5, [0.1] * 5, [1e300, 2e300], [0.0, 1e-300]])
def test_odd_values_can_still_be_drawn(values):
    side = NumericProfile.of(pl.Series(values))
    assert histogram(numeric_histogram(side, side)).line


def test_numbers_are_written_for_people():
    assert [percent(value) for value in (None, 0, 0.031, 0.5, 0.999, 1)] == ["–", "0%", "3.1%", "50%", "99.9%", "100%"]  # noqa: RUF001
    assert [chance(value) for value in (None, 1e-9, 0.0123)] == ["–", "< 0.0001", "0.012"]  # noqa: RUF001
    assert [label(value) for value in (0.0, 1500, 25_000, 3e6)] == ["0", "1,500", "25k", "3M"]
