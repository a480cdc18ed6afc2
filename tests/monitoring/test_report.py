"""The report is one page that needs nothing else, shows what it was given, and shows it as text."""

import re
from dataclasses import replace
from datetime import UTC, datetime

import numpy as np
import polars as pl
import pytest

from include.contract.monitoring import DriftConfig
from include.monitoring.answers import Answers
from include.monitoring.charts import label
from include.monitoring.drift import compare
from include.monitoring.outliers import Outliers
from include.monitoring.policy import RetrainingDecision
from include.monitoring.reference import ReferenceProfile
from include.monitoring.report import ReportData, chance, percent, render
from include.monitoring.service import Service
from tests.monitoring.pages import HOSTILE, Page, full, history
from tests.monitoring.planted import config, look, rows


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


def test_a_column_shows_what_its_drift_rests_on():
    generator = np.random.default_rng(0)
    day = np.repeat(np.arange(60), 50)
    shared = generator.normal(size=60)[day] + generator.normal(0, 0.1, len(day))
    reference = pl.DataFrame({"shared": shared, "kind": ["a", "b"] * 1500, "day": day})
    current = reference.filter(pl.col("day") < 7)
    found = compare(ReferenceProfile.of(reference, blocks="day"), current, DriftConfig(), blocks="day")
    shared_column, kind = found.features
    text = Page(render(full(drift=found))).text
    for words in (
        f"numeric, 350 values worth {shared_column.draws_current:,.0f} draws",
        f"KS {shared_column.statistic:.3f} {percent(shared_column.superiority)} above",
        f"JS {kind.jensen_shannon:.3f}",
    ):
        assert words in text
    assert shared_column.draws_current < 50


def test_what_the_season_moved_is_told_from_drift():
    drifted = full().drift
    moved = replace(drifted.features[2], drifted=False, seasonal=True, reasons=("the season explains it: by far",))
    season = replace(drifted, features=(*drifted.features[:2], moved, drifted.features[3]), season="held against 2012")
    text = Page(render(full(drift=season))).text
    for words in (
        "Season: held against 2012.",
        "1 moved with the season",
        "seasonal",
        "the season explains it: by far",
    ):
        assert words in text


def test_the_service_tells_errors_and_availability():
    found, _ = look(rows(8))
    answers = Answers(2, 1, 1000, 20, 5, ("http://b did not answer",))
    seen = Service(980, 990, 99, {"p50": 0.004}, 2.5, 0.4, None, (), answers)
    text = Page(render(full(findings=replace(found, service=seen)))).text
    for words in (
        "replicas ready now 1 of 2",
        "from defaults 99 (10%)",
        "refused (4xx) 20",
        "failed (5xx) 5",
        "availability 99.50%",
        "http://b did not answer",
    ):
        assert words in text


def test_what_is_too_much_for_the_page_is_counted():
    found, _ = look(rows(8))
    text = Page(render(full(findings=replace(found, slices=found.slices[:1] * 23)))).text
    assert "And 3 more slices; the record holds all." in text


def test_outliers_of_rows_and_of_the_prediction_are_shown():
    found, _ = look(rows(8))
    odd = Outliers("rows as a whole", True, True, ("the share of outliers rose",))
    report = replace(found.outliers, rows=odd, prediction=replace(odd, name="prediction"))
    text = Page(render(full(findings=replace(found, outliers=report)))).text
    assert "rows as a whole the share of outliers rose prediction the share of outliers rose" in text


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


def test_numbers_are_written_for_people():
    assert [percent(value) for value in (None, 0, 0.031, 0.5, 0.999, 1)] == ["–", "0%", "3.1%", "50%", "99.9%", "100%"]  # noqa: RUF001
    assert [chance(value) for value in (None, 1e-9, 0.0123)] == ["–", "< 0.0001", "0.012"]  # noqa: RUF001
    assert [label(value) for value in (0.0, 1500, 25_000, 3e6)] == ["0", "1,500", "25k", "3M"]
