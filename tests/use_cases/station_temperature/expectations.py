"""What must hold of the raw weather."""

from typing import Any


def suites() -> dict[str, list[Any]]:
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
        ]
    }
