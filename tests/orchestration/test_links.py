"""Links from a task to the page of what it made."""

from __future__ import annotations

from types import SimpleNamespace

import pytest

from include.contract.loading import Folder
from include.orchestration import links
from include.orchestration.links import EvidentlyLink, ReportLink


@pytest.mark.parametrize(
    ("link", "page"), [(ReportLink, "reports/2013-02-18"), (EvidentlyLink, "reports/2013-02-18/evidently")]
)
def test_a_report_s_link_leads_to_the_last_partition_of_the_run(
    stations: Folder, link: type[ReportLink], page: str
) -> None:
    of_a_range = {
        "dag_run": SimpleNamespace(partition_key=None),
        "params": {"start": "2013-02-11", "end": "2013-02-18"},
    }
    of_a_key = {"dag_run": SimpleNamespace(partition_key="2013-02-18"), "params": {}}
    for context in (of_a_range, of_a_key):
        ran = SimpleNamespace(get_template_context=lambda context=context: context)
        assert link(stations).get_link(None, ti_key=ran) == f"{links.PAGES}/station_temperature/{page}"
