"""The one way from rows to what an estimator sees, the same at training, in batch and in serving."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import TYPE_CHECKING, Any, Literal

if TYPE_CHECKING:
    import numpy as np
    import pandas as pd
    from numpy.typing import NDArray

Kind = Literal["numeric", "boolean", "categorical"]


@dataclass(frozen=True)
class Feature:
    """A column of a model's input. A boolean is 0.0 or 1.0 to the estimator, a category is text."""

    name: str
    kind: Kind


def features_of(frame: pd.DataFrame) -> tuple[Feature, ...]:
    """The columns of a training frame with their kinds; ``ValueError`` names a column that no model can take."""
    return tuple(Feature(str(name), _kind(str(name), frame[name])) for name in frame.columns)


def to_model_input(data: pd.DataFrame | Sequence[Mapping[str, Any]], features: Sequence[Feature]) -> pd.DataFrame:
    """The frame an estimator is fitted on and predicts from: the features in their order, and no other column.

    Numeric and boolean columns are float64 with NaN for a missing value, categorical ones are Python strings with
    ``None``. ``ValueError`` names the columns that are missing, or the first value of a wrong type.
    """
    import pandas as pd

    if isinstance(data, pd.DataFrame):
        columns: Mapping[str, Any] = {str(name): data[name] for name in data.columns}
    else:
        absent = {feature.name for feature in features for row in data if feature.name not in row}
        columns = {f.name: [row[f.name] for row in data] for f in features if f.name not in absent}
    missing = [feature.name for feature in features if feature.name not in columns]
    if missing:
        raise ValueError(f"missing columns: {', '.join(missing)}")
    index = data.index if isinstance(data, pd.DataFrame) else pd.RangeIndex(len(data))
    cast = {
        f.name: _texts(f.name, columns[f.name]) if f.kind == "categorical" else _numbers(f.name, columns[f.name])
        for f in features
    }
    return pd.DataFrame(cast, index=index, columns=[feature.name for feature in features])


def is_missing(value: Any) -> bool:
    """``None``, NaN and pandas' NA and NaT."""
    import pandas as pd

    return value is None or value is pd.NA or value is pd.NaT or (isinstance(value, float) and math.isnan(value))


def _kind(name: str, column: pd.Series[Any]) -> Kind:
    import pandas as pd

    if isinstance(column.dtype, pd.CategoricalDtype):
        column = column.astype(object)
    found = pd.api.types.infer_dtype(column, skipna=True)
    kinds: dict[str, Kind] = {"boolean": "boolean", "string": "categorical"}
    kinds |= dict.fromkeys(("integer", "floating", "mixed-integer-float", "decimal"), "numeric")
    if found == "empty" and column.dtype != object:
        return "numeric"
    if found not in kinds:
        reason = "has no value, so that its kind is unknown" if found == "empty" else f"holds {found} values"
        raise ValueError(f"feature {name}: {reason}; expected numbers, booleans or text")
    return kinds[found]


def _numbers(name: str, column: Any) -> NDArray[np.float64]:
    import numpy as np
    import pandas as pd

    if isinstance(column, pd.Series):
        if pd.api.types.is_bool_dtype(column.dtype) or pd.api.types.is_numeric_dtype(column.dtype):
            return np.asarray(column.to_numpy(dtype=np.float64, na_value=np.nan), dtype=np.float64)
        column = column.astype(object).to_numpy()
    return np.array([_number(name, value) for value in column], dtype=np.float64)


def _number(name: str, value: Any) -> float:
    import numpy as np

    if is_missing(value):
        return math.nan
    if isinstance(value, bool | int | float | np.number | np.bool_ | Decimal):
        return float(value)
    raise ValueError(f"feature {name}: expected a number, got {value!r}")


def _texts(name: str, column: Iterable[Any]) -> NDArray[np.object_]:
    import numpy as np

    values: list[str | None] = []
    for value in column:
        if is_missing(value):
            values.append(None)
        elif isinstance(value, str):
            values.append(str(value))
        else:
            raise ValueError(f"feature {name}: expected text, got {value!r}")
    texts = np.empty(len(values), dtype=object)
    texts[:] = values
    return texts
