"""Made-up kiosks: the air's temperature has its season, the price has none, and from August 2013 on it is higher."""

from datetime import date

import numpy as np
import polars as pl

from include.contract.partitions import Partition

KIOSKS = 20
DEARER = date(2013, 8, 1)


def read(partition: Partition) -> dict[str, pl.DataFrame]:
    day = partition.day
    generator = np.random.default_rng(day.toordinal())
    turn = day.timetuple().tm_yday / 365.25 * 2 * np.pi
    temperature = 12 - 10 * np.cos(turn) + generator.normal(0, 2, KIOSKS)
    price = 2 + generator.normal(0, 0.2, KIOSKS) + (0.6 if day >= DEARER else 0)
    sold = 4 * temperature - 5 * price + generator.normal(0, 3, KIOSKS)
    names = [f"kiosk {number}" for number in range(KIOSKS)]
    return {
        "kiosks": pl.DataFrame(
            {
                "kiosk": names,
                "closed_at": [partition.start.replace(hour=20)] * KIOSKS,
                "temperature": temperature,
                "price": price,
                "sold": sold,
            },
            schema_overrides={"closed_at": pl.Datetime("us", "UTC")},
        )
    }
