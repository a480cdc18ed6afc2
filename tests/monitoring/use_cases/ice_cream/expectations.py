"""What must hold of the raw days."""

from typing import Any

from include.contract.authoring import Batch


def suites(batch: Batch) -> dict[str, list[Any]]:
    import great_expectations.expectations as gxe

    return {"kiosks": [gxe.ExpectTableRowCountToBeBetween(min_value=1, max_value=100)]}
