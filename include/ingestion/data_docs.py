"""Great Expectations' Data Docs of a partition: one page a table, readable without a network."""

from __future__ import annotations

import logging
import re
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from include.files import replacing
from include.settings import get_settings

if TYPE_CHECKING:
    from include.ingestion.validation import Validation

STYLE = Path(__file__).with_name("data_docs.css")
# The library's pages take their looks, scripts and icons from content delivery networks, and a logo from its maker's
# storage. The scripts only fold and filter; without them there is nothing for a click to call.
REMOTE = re.compile(
    r'<link[^>]+href="https?://[^>]*>|(?s:<script\b.*?</script>)|<(?:img|source)[^>]+src(?:set)?="https?://[^>]*>'
    r"|background: url\('https?://[^)]*\)[^;]*;"
    r'|<link rel="shortcut icon"[^>]*>'
    r'|(?<=\s)on[a-z]+="[^"]*"'
)


def page(use_case: str, partition: str, table: str) -> Path:
    return get_settings().data_docs / use_case / partition / f"{table}.html"


def build(use_case: str, validation: Validation) -> None:
    """Write the pages of a validated partition; earlier ones of the same partition are replaced."""
    with replacing(get_settings().data_docs / use_case / validation.partition) as folder:
        folder.mkdir(parents=True)
        for table, outcomes in validation.outcomes.items():
            text = _render(f"{use_case} {validation.partition} {table}", list(outcomes))
            (folder / f"{table}.html").write_text(text, encoding="utf-8")


def _render(name: str, outcomes: list[Any]) -> str:
    from great_expectations.core import ExpectationSuiteValidationResult
    from great_expectations.render.renderer import ValidationResultsPageRenderer

    # It logs a traceback for each result that lacks a field which only Data Docs want.
    logging.getLogger("great_expectations.render").setLevel(logging.CRITICAL)
    result = ExpectationSuiteValidationResult(
        success=all(outcome.success for outcome in outcomes),
        results=outcomes,
        suite_name=name,
        statistics=_statistics(outcomes),
        meta={"validation_time": None, "batch_spec": {}, "batch_markers": {}},
    )
    document = ValidationResultsPageRenderer(run_info_at_end=True).render(result)
    text: str = _view().render(document)
    return REMOTE.sub("", text).replace("</head>", f"<style>{_style()}</style></head>", 1)


def _statistics(outcomes: list[Any]) -> dict[str, float]:
    passed = sum(bool(outcome.success) for outcome in outcomes)
    total = len(outcomes)
    return {
        "evaluated_expectations": total,
        "successful_expectations": passed,
        "unsuccessful_expectations": total - passed,
        "success_percent": 100 * passed / total if total else 100.0,
    }


@lru_cache(maxsize=1)
def _view() -> Any:
    """One view a process: each compiles its templates anew."""
    from great_expectations.render.view import DefaultJinjaPageView

    return DefaultJinjaPageView()


@lru_cache(maxsize=1)
def _style() -> str:
    return STYLE.read_text(encoding="utf-8")
