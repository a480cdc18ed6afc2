"""``engine`` in ``use_case.yaml``: where features are computed, and by what they may be computed apart."""

from __future__ import annotations

from pathlib import Path

import pytest

from include.contract.engine import EngineConfig
from include.contract.loading import UseCaseError, read_config
from tests.features.sales import CONFIG


def configured(folder: Path, engine: str) -> EngineConfig:
    file = folder / "sales" / "use_case.yaml"
    file.parent.mkdir()
    file.write_text(f"{CONFIG}engine: {engine}\n")
    return read_config(file).engine


def test_without_it_everything_is_computed_in_the_task(tmp_path: Path) -> None:
    assert configured(tmp_path, "{}").features == "embedded"


def test_a_declaration_may_stand_before_it_is_needed(tmp_path: Path) -> None:
    engine = configured(tmp_path, "{split: {labels: [shop], region_total: []}}")
    assert (engine.features, engine.split) == ("embedded", {"labels": ("shop",), "region_total": ()})


@pytest.mark.parametrize(
    ("engine", "message"),
    [
        ("{features: flink}", r"sales/use_case\.yaml: engine\.features: Input should be 'embedded' or 'spark'"),
        (
            "{features: spark}",
            r"sales/use_case\.yaml: engine: .*split\.labels: missing; .*or leave features",
        ),
        ("{split: {sale: shop}}", r"sales/use_case\.yaml: engine\.split\.sale: Input should be a valid tuple"),
        ("{split: {sale: [shop, shop]}}", r"engine: .*split\.sale: names a column twice"),
        ("{parts: 0}", r"engine\.parts: Input should be greater than or equal to 1"),
        ("{executors: 3}", r"engine\.executors: Extra inputs are not permitted"),
    ],
)
def test_a_wrong_one_is_refused_by_file_and_key(tmp_path: Path, engine: str, message: str) -> None:
    with pytest.raises(UseCaseError, match=message):
        configured(tmp_path, engine)
