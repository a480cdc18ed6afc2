"""The card names what a person must know, and shows any text as text."""

from dataclasses import replace
from html.parser import HTMLParser
from itertools import pairwise

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from markdown_it import MarkdownIt

from include.contract.loading import load_use_case
from include.features.compute import LABEL
from include.training.card import Card, markdown, page, plain
from include.training.evaluate import PREDICTION, compare, measure
from include.training.importance import ColumnImportance, Importance
from include.training.slices import by_slice
from include.training.training_set import BLOCK

USE_CASE = load_use_case("flight_delay").config
HOSTILE = (
    "<script>alert(1)</script> | a\n# b `c` **d** [e](javascript:f) ![g](h) http://i.example \"k\" 'l' <img src=x>"
)


def card(**changes):
    generator = np.random.default_rng(0)
    predictions = generator.beta(2, 5, 1000)
    labels = (generator.random(1000) < predictions).astype(float)
    blocks = np.arange(1000) % 10
    rows = pl.DataFrame(
        {"airline": ["AA"] * 500 + ["B6"] * 450 + ["tiny"] * 50, LABEL: labels, PREDICTION: predictions, BLOCK: blocks}
    ).with_columns(pl.when(pl.col("airline") == "B6").then(0.9).otherwise(pl.col(PREDICTION)).alias(PREDICTION))
    rate = np.full(len(labels), labels.mean())
    gain = compare("classification", "log_loss", labels, predictions, rate, blocks, name="the rate")
    found = Card.of(
        USE_CASE,
        data={"data revision": "abc123", "rows": "1000"},
        parameters={"max_iter": "200"},
        chosen="Found by a search of 30 trials.",
        splits={"test": measure("classification", labels, predictions, blocks)},
        baselines={"constant": measure("classification", labels, rate, blocks)},
        gains=(gain,),
        slices=by_slice("classification", rows, ["airline"]),
        unsliced=("destination",),
        importance=Importance(
            "log_loss", 1000, 3, 0, (ColumnImportance("departure_minute", 0.1, 0.01, 0.2),), "log-odds"
        ),
        reproduce={"version": "7", "commit": "f00"},
    )
    return replace(found, **changes)


def tokens(text):
    parsed = MarkdownIt("commonmark").enable("table").parse(text)
    return [token for block in parsed for token in (block, *(block.children or []))]


class Tags(HTMLParser):
    def __init__(self, text):
        super().__init__()
        self.tags, self.attributes, self.text = [], [], ""
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        self.tags.append(tag)
        self.attributes += attrs

    def handle_data(self, data):
        self.text += data


@pytest.mark.parametrize("form", [lambda found: shown_text(markdown(found)), lambda found: Tags(page(found)).text])
def test_both_forms_say_what_a_person_must_know(form):
    text = form(card())
    for said in (
        "Late arrivals from New York", "flight-operations@evergreen.example", "Intended use", "data revision", "abc123",
        "max_iter", "Found by a search of 30 trials.", "log_loss", "roc_auc", "than that of the rate (gain +",
        "Worst group by log_loss: B6", "slope" , "departure_minute", "Limits", "destination", "Ethical notes",
        "flight_delay.reproduce", "f00",
    ):  # fmt: skip
        assert said in text


def shown_text(text):
    return "\n".join(
        "".join(child.content for child in token.children) for token in tokens(text) if token.type == "inline"
    )


def test_metrics_stand_beside_the_baselines_with_their_intervals():
    text = markdown(card())
    (line,) = [line for line in text.splitlines() if line.startswith("| log_loss | 0.") and line.count("|") == 4]
    assert line.count(" to ") == 2
    assert "| metric | test | constant |" in text


@pytest.mark.parametrize("form", [markdown, page])
def test_a_model_that_does_not_beat_a_simple_one_is_named_at_the_top(form):
    found = card()
    lost = replace(found.gains[0], better=False, sentence="does not beat the rate: log-loss equals that of the rate")
    text = form(replace(found, gains=(lost,)))
    assert text.index("does not beat a simple one") < text.index("Intended use")
    assert "does not beat the rate" in text
    assert "does not beat a simple one" not in form(found)


def test_every_table_has_as_many_cells_in_each_row():
    types = [token.type for token in tokens(markdown(card()))]
    assert types.count("table_open") == 4
    for text in (markdown(card()), markdown(card(baselines={}))):
        lines = text.splitlines()
        for before, line in pairwise(lines):
            if before.startswith("|") and line.startswith("|"):
                assert before.count(" |") == line.count(" |")


def hostile(text):
    found = card()
    sliced = replace(
        found.slices[0], column=text, slices=tuple(replace(each, value=text) for each in found.slices[0].slices)
    )
    importance = replace(found.importance, columns=(ColumnImportance(text, 0.1, 0.0, None),), shap=text)
    return replace(
        found, title=text, description=text, owners=(text,), label=text, intended_use=text, out_of_scope=text,
        data={text: text}, parameters={text: text}, chosen=text, splits={text: found.splits["test"]}, slices=(sliced,),
        gains=(replace(found.gains[0], sentence=text, better=False),), unsliced=(text,), importance=importance,
        reproduce={text: text}, notes=(text,), name=text,
    )  # fmt: skip


def test_hostile_text_is_text_in_markdown():
    found = tokens(markdown(hostile(HOSTILE)))
    kinds = {token.type for token in found}
    assert not kinds & {"html_block", "html_inline", "link_open", "image", "code_inline", "fence", "code_block"}
    headings = [token.tag for token in found if token.type == "heading_open"]
    assert headings.count("h1") == 1
    assert " ".join(HOSTILE.split()) in shown_text(markdown(hostile(HOSTILE)))


def test_hostile_text_is_text_in_html():
    found = Tags(page(hostile(HOSTILE)))
    assert not {"script", "img", "a", "b"} & set(found.tags)
    assert HOSTILE in found.text
    assert not [name for name, _ in found.attributes if name.startswith("on")]


@settings(max_examples=300, deadline=None)
@given(
    st.text(
        alphabet=st.one_of(
            st.sampled_from("|*_`[]()<>&#!~\\-+=.:1 \n$"), st.characters(codec="utf-8", exclude_categories=["Cc", "Cs"])
        )
    )
)
def test_any_text_is_itself_in_a_cell_and_in_a_paragraph(text):
    expected, line = " ".join(text.split()), plain(text)
    for source, shown in (
        (f"| a |\n| --- |\n| x{line}y |", f"x{expected}y"),
        (f"x{line}y", f"x{expected}y"),
        (f"{line}\n\nend", expected or "end"),
    ):
        parsed = tokens(source)
        assert {token.tag for token in parsed} <= {"", "p", "table", "thead", "tbody", "tr", "th", "td"}
        inlines = [token for token in parsed if token.type == "inline"]
        found = inlines[0] if source.endswith("end") else inlines[-1]
        assert "".join(child.content for child in found.children) == shown


def test_pictures_are_put_into_the_page():
    text = page(card(), {"curves/roc.svg": b"<svg onload='x'/>", 'a"><script>.png': b"png"})
    found = Tags(text)
    sources = [value for name, value in found.attributes if name == "src"]
    assert [source.partition(";")[0] for source in sources] == ["data:image/svg+xml", "data:image/png"]
    assert "script" not in found.tags
    assert "http" not in text.replace("http-equiv", "")
    with pytest.raises(ValueError, match=r"roc\.pdf: a picture of a card is one of"):
        page(card(), {"roc.pdf": b""})


def test_pictures_are_linked_from_markdown():
    assert [
        dict(token.attrs)["src"] for token in tokens(markdown(card(), ["curves/roc.svg"])) if token.type == "image"
    ] == ["curves/roc.svg"]


def test_a_card_without_much_is_still_a_card():
    found = card(
        splits={}, baselines={}, gains=(), slices=(), importance=None, unsliced=(), data={}, parameters={}, chosen=""
    )
    for form in (markdown, page):
        assert "Ethical notes" in form(found)
        assert "Not recorded." in form(found)


def test_a_regression_has_no_calibration():
    labels = np.arange(20.0)
    found = card(
        task="regression",
        splits={"test": measure("regression", labels, labels + 1, labels % 4)},
        baselines={},
        slices=(),
    )
    assert "Calibration" not in page(found)
    assert "rmse" in markdown(found)


def test_it_survives_json():
    assert Card.from_dict(card().to_dict()) == card()
