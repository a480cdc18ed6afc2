"""What must hold of the raw weather."""

from datetime import timedelta
from typing import Any

from include.contract.authoring import Batch
from include.ingestion import expect


def suites(batch: Batch) -> dict[str, list[Any]]:
    import great_expectations.expectations as gxe

    return {
        "weather": [
            gxe.ExpectTableRowCountToBeBetween(min_value=100, max_value=510),
            gxe.ExpectColumnValuesToBeInSet(column="station", value_set=["EWR", "JFK", "LGA"]),
            gxe.ExpectCompoundColumnsToBeUnique(column_list=["station", "observed_at"]),
            gxe.ExpectColumnValuesToBeBetween(
                column="wind_speed", min_value=0, max_value=150, meta={"severity": "row"}
            ),
            gxe.ExpectColumnValuesToBeBetween(column="temp", min_value=-60, max_value=130, meta={"severity": "row"}),
            expect.usual_row_count(batch, "weather"),
            expect.fresh(batch, "observed_at", within=timedelta(hours=6)),
        ]
    }
