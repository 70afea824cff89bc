"""What stored tables and JSON may hold, checked where they are read: one sentence says which part does not fit.

Digests tell that a file is the one that was written. These checks tell that what was written can be used, whoever wrote
it: a column of text where numbers belong would otherwise end as a fault far from the file that holds it.
"""

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

Types = type | tuple[type, ...]
LARGEST_WHOLE = 2**53


@dataclass(frozen=True)
class Kind:
    """What a column may hold. words: for people. fits: whether the type of its cells is right.

    low, high: bounds of numbers, both allowed. may_lack: whether cells may be empty.
    """

    words: str
    fits: Callable[[pd.Series], bool]
    low: float = -math.inf
    high: float = math.inf
    may_lack: bool = False

    def fault(self, column: pd.Series) -> str | None:
        """What is wrong with a column, None where all is well; where all cells are empty their type does not matter."""
        if not len(column):
            return None
        is_empty = column.isna()
        if is_empty.any() and not self.may_lack:
            return "has empty cells"
        if not self.fits(column) and not is_empty.all():
            return f"holds no {self.words}"
        if is_empty.all() or (math.isinf(self.low) and math.isinf(self.high)):
            return None
        least, most = column.min(), column.max()
        if not (self.low <= float(least) and float(most) <= self.high):
            return f"holds numbers beyond {self.low:,.10g} to {self.high:,.10g}"
        return None


def text(*, may_lack: bool = False) -> Kind:
    """Strings."""
    return Kind("text", _is_text, may_lack=may_lack)


def numbers(low: float = -1e300, high: float = 1e300, *, may_lack: bool = False) -> Kind:
    """Finite numbers, whole or not."""
    return Kind("numbers", _is_numeric, low, high, may_lack)


def whole_numbers(low: int = 0, high: int = LARGEST_WHOLE) -> Kind:
    """Whole numbers, none of them empty."""
    return Kind("whole numbers", pd.api.types.is_integer_dtype, float(low), float(high))


def truths() -> Kind:
    """True or false, none of them empty."""
    return Kind("true and false", pd.api.types.is_bool_dtype)


def labels() -> Kind:
    """What a label may be: text, a number, true or false, or unknown; no list and no bytes."""
    return Kind("labels", _is_labels, may_lack=True)


def column_fault(table: pd.DataFrame, kinds: Mapping[str, Kind]) -> str | None:
    """The first column of `kinds` that does not hold what it should, in words; None where all do."""
    for name, kind in kinds.items():
        if fault := kind.fault(table[name]):
            return f"does not hold what it should: the column {name} {fault}"
    return None


def with_numbers(table: pd.DataFrame, kinds: Mapping[str, Kind]) -> pd.DataFrame:
    """The table, its columns of numbers that hold nothing (and were stored without a type) as numbers, too."""
    untyped = [
        name for name, kind in kinds.items() if kind.fits is _is_numeric and not _is_numeric(table[name])
    ]
    return table.astype(dict.fromkeys(untyped, "float64")) if untyped else table


def key_fault(value: Mapping[str, Any], kinds: Mapping[str, Types]) -> str | None:
    """The first key of a JSON object that is missing or of another type than `kinds` says, in words; None where none
    is. True and false count as no numbers, and numbers must be finite."""
    for name, kind in kinds.items():
        kinds_allowed = kind if isinstance(kind, tuple) else (kind,)
        if name not in value:
            if type(None) not in kinds_allowed:
                return f"lacks its {name}"
            continue
        found = value[name]
        is_odd_truth = isinstance(found, bool) and bool not in kinds_allowed
        is_odd_number = isinstance(found, int | float) and not abs(found) <= 1e300
        if not isinstance(found, kinds_allowed) or is_odd_truth or is_odd_number:
            return f"holds something else as its {name} than it should"
    return None


def _is_text(column: pd.Series) -> bool:
    if isinstance(column.dtype, pd.StringDtype):
        return True
    return column.dtype == object and all(isinstance(cell, str) for cell in column.dropna())


def _is_numeric(column: pd.Series) -> bool:
    kind = column.dtype
    return pd.api.types.is_integer_dtype(kind) or pd.api.types.is_float_dtype(kind)


def _is_labels(column: pd.Series) -> bool:
    if column.dtype != object:
        return _is_text(column) or _is_numeric(column) or pd.api.types.is_bool_dtype(column)
    return all(isinstance(cell, str | bool | int | float | np.generic) for cell in column.dropna())
