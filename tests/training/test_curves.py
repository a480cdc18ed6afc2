"""Pictures are well-formed, small, the same each time, and show hostile names as text."""

import io
import re
import sys
import xml.etree.ElementTree as ET
from dataclasses import replace

import matplotlib as mpl
import numpy as np
import pytest

from include.training.curves import draw
from include.training.evaluate import measure
from include.training.importance import ColumnImportance, Importance


def classified(rows=1500, days=8):
    generator = np.random.default_rng(0)
    predictions = generator.beta(2, 5, rows)
    labels = (generator.random(rows) < predictions).astype(float)
    return labels, predictions, np.array([f"2013-03-{day + 1:02}" for day in np.arange(rows) % days])


def regressed(rows=1500, days=8):
    generator = np.random.default_rng(0)
    labels = generator.normal(20, 5, rows)
    return labels, labels + generator.normal(size=rows), np.arange(rows) % days


def drawn(task, vectors, metric, **options):
    return draw(task, *vectors, evaluation=measure(task, *vectors, resamples=50), metric=metric, **options)


def importances(*names):
    columns = tuple(ColumnImportance(name, 0.1, 0.01, None) for name in names)
    return Importance("log_loss", 100, 3, 0, columns, "not available: no explainer was given")


def names(pictures):
    return {name.removeprefix("curves/").removesuffix(".svg") for name in pictures}


def test_a_classification_has_its_curves():
    found = drawn("classification", classified(), "log_loss", importance=importances("a", "b"))
    assert names(found) == {"roc", "precision_recall", "calibration", "scores", "by_day", "importance"}


def test_a_regression_has_its_curves():
    found = drawn("regression", regressed(), "rmse", unit="degC")
    assert names(found) == {"predicted_actual", "residuals", "residual_distribution", "by_day"}


@pytest.mark.parametrize(
    ("task", "rows", "metric"), [("classification", classified, "brier"), ("regression", regressed, "mae")]
)
def test_pictures_are_well_formed_and_the_same_each_time(task, rows, metric):
    first = drawn(task, rows(), metric)
    assert first == drawn(task, rows(), metric)
    for content in first.values():
        root = ET.fromstring(content)
        assert root.tag == "{http://www.w3.org/2000/svg}svg"
        ids = [element.get("id") for element in root.iter() if element.get("id")]
        assert len(ids) == len(set(ids))
        text = content.decode()
        assert all(f'id="{name}"' in text for name in set(re.findall(r"url\(#([^)]+)\)", text)))
        assert "<dc:date>" not in text


@pytest.mark.parametrize(
    ("task", "rows", "metric"), [("classification", classified, "brier"), ("regression", regressed, "mae")]
)
def test_many_rows_do_not_make_large_files(task, rows, metric):
    found = drawn(task, rows(60_000), metric)
    assert max(map(len, found.values())) < 200_000


def test_drawing_leaves_matplotlib_as_it_was():
    before = dict(mpl.rcParams)
    had_pyplot = "matplotlib.pyplot" in sys.modules
    drawn("classification", classified(), "log_loss")
    assert dict(mpl.rcParams) == before
    assert ("matplotlib.pyplot" in sys.modules) == had_pyplot


def test_hostile_names_are_text():
    found = drawn(
        "classification", classified(), "log_loss", importance=importances("$\\frac{", "<script>x</script>", "é" * 300)
    )
    content = found["curves/importance.svg"]
    root = ET.parse(io.BytesIO(content)).getroot()
    assert not [element for element in root.iter() if element.tag.endswith("script")]


@pytest.mark.parametrize("label", [0.0, 1.0])
def test_one_class_has_no_ranking_curves(label):
    _, predictions, blocks = classified()
    found = drawn("classification", (np.full(len(blocks), label), predictions, blocks), "log_loss")
    assert names(found) == {"calibration", "scores", "by_day"}


def test_constant_predictions_can_be_drawn():
    labels, _, blocks = classified()
    assert "curves/roc.svg" in drawn("classification", (labels, np.full(len(labels), 0.2), blocks), "log_loss")
    constant = regressed()[0], np.full(1500, 3.0), regressed()[2]
    assert "curves/residuals.svg" in drawn("regression", constant, "rmse")
    many = np.arange(5000.0), np.full(5000, 3.0), np.arange(5000) % 5
    assert "curves/residuals.svg" in drawn("regression", many, "rmse")


def test_one_block_and_a_metric_that_is_not_defined_can_be_drawn():
    labels, predictions, _ = classified()
    one = np.zeros(len(labels))
    found = measure("classification", labels, predictions, one)
    assert "curves/by_day.svg" in draw("classification", labels, predictions, one, evaluation=found, metric="roc_auc")
    without = replace(found, metrics={})
    left = draw("classification", labels, predictions, one, evaluation=without, metric="roc_auc")
    assert "curves/by_day.svg" not in left
    assert "curves/roc.svg" in left


def test_no_rows_have_no_pictures():
    assert drawn("classification", ([], [], []), "log_loss") == {}


def test_labels_that_are_not_numbers_are_refused():
    found = measure("classification", *classified())
    with pytest.raises(ValueError, match="not finite"):
        draw("classification", [np.nan], [0.5], ["a"], evaluation=found, metric="log_loss")
