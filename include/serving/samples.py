"""Rows as a version meets them: those that it was tested on."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

from include.registry.model_input import to_model_input
from include.registry.runs import TEST_FILE, logged_file

if TYPE_CHECKING:
    import pandas as pd

    from include.registry.models import Predictor

log = logging.getLogger(__name__)


def sample(predictor: Predictor, most: int | None = None) -> pd.DataFrame:
    """The features of the rows that the version's run was tested on, or a sample of ``most`` of them.

    The model's own example where the run logged none, as of a version from elsewhere.
    """
    import polars as pl

    version = predictor.version
    try:
        rows = pl.read_parquet(logged_file(version, TEST_FILE), columns=list(version.features))
    except Exception as error:  # noqa: BLE001 - the file is not there, or the store of files is not
        log.warning("%s version %d: no rows of its test: %s", version.use_case, version.version, error)
        return to_model_input([predictor.contents.example], predictor.features)
    return (rows if most is None else rows.sample(min(most, rows.height), seed=0)).to_pandas()
