"""Columns and keys that hold what they should not are named at the door."""

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from sae_core.files.artifacts import read_json, read_table, write_table
from sae_core.files.contents import key_fault, labels, numbers, text, truths, whole_numbers
from sae_core.files.errors import ArtifactError

WRONG = [
    (numbers(), ["a"], "holds no numbers"),
    (numbers(), [True], "holds no numbers"),
    (numbers(), [1.0, None], "empty cells"),
    (numbers(0.0, 1.0), [0.5, 1.5], "beyond 0 to 1"),
    (numbers(may_lack=True), [None, np.inf], "beyond"),
    (whole_numbers(), [1.5], "no whole numbers"),
    (whole_numbers(0, 9), [3, 10], "beyond 0 to 9"),
    (whole_numbers(), [-1], "beyond"),
    (text(), [1], "holds no text"),
    (text(), ["a", None], "empty cells"),
    (text(may_lack=True), [b"a"], "holds no text"),
    (truths(), [0, 1], "no true and false"),
    (labels(), [["a"]], "holds no labels"),
    (labels(), [{"a": 1}], "holds no labels"),
]
RIGHT = [
    (numbers(), [1, -2]),
    (numbers(may_lack=True), [None, 0.5]),
    (numbers(may_lack=True), [None, None]),
    (whole_numbers(0, 9), [0, 9]),
    (text(may_lack=True), [None, "a"]),
    (text(may_lack=True), [None]),
    (text(), []),
    (truths(), [True, False]),
    (labels(), ["a", None]),
    (labels(), [True, False]),
]


def stored(tmp_path: Path, cells: list) -> Path:
    write_table(tmp_path / "table.parquet", pd.DataFrame({"x": pd.Series(cells)}))
    return tmp_path / "table.parquet"


@pytest.mark.parametrize(("kind", "cells", "said"), WRONG)
def test_a_column_that_does_not_fit_is_named_with_its_file(tmp_path, kind, cells, said):
    with pytest.raises(ArtifactError, match=said) as told:
        read_table(stored(tmp_path, cells), columns={"x": kind}, remedy="make it again")
    assert "column x" in told.value.what
    assert (told.value.where, told.value.remedy) == (str(tmp_path / "table.parquet"), "make it again")


@pytest.mark.parametrize(("kind", "cells"), RIGHT)
def test_a_column_that_fits_comes_as_it_was_stored(tmp_path, kind, cells):
    found = read_table(stored(tmp_path, cells), columns={"x": kind})["x"]
    assert [None if pd.isna(cell) else cell for cell in found] == cells


def test_numbers_that_are_all_unknown_are_numbers(tmp_path):
    found = read_table(stored(tmp_path, [None, None]), columns={"x": numbers(may_lack=True)})
    assert found["x"].dtype == np.float64


def test_keys_of_another_type_are_named():
    kinds = {"n": int, "rate": (int, float), "name": (str, type(None))}
    assert key_fault({"n": 1, "rate": 0.5}, kinds) is None
    assert key_fault({"n": 1, "rate": 2, "name": None}, kinds) is None
    assert key_fault({"rate": 1}, kinds) == "lacks its n"
    for wrong in ({"n": True, "rate": 1}, {"n": 1, "rate": 10**400}, {"n": 1, "rate": 1, "name": []}):
        assert "holds something else" in str(key_fault(wrong, kinds))


@pytest.mark.parametrize(
    "content",
    [
        "[" * 100_000,
        '{"a":' * 100_000,
        '{"a": ' * 80 + "1" + "}" * 80,
        '{"a": ' + "9" * 6000 + "}",
        '{"a": NaN}',
        '{"a": "\\ud800"}',
        '{"\\uDFFF": 1}',
        "null",
        "",
    ],
    ids=lambda content: content[:20],
)
def test_json_that_no_file_of_ours_could_hold_is_refused(tmp_path, content):
    (tmp_path / "a.json").write_text(content, "utf-8")
    with pytest.raises(ArtifactError, match=r"a\.json"):
        read_json(tmp_path / "a.json")


def test_json_of_any_script_and_pairs_of_surrogates_is_read(tmp_path):
    value = {"العربية": "𝄞", "中文": {"a": [1.5, None, True]}}
    (tmp_path / "a.json").write_text(json.dumps(value), "utf-8")
    assert read_json(tmp_path / "a.json") == value
