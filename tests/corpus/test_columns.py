"""The documentation of column names is that of the code."""

from pathlib import Path

from sae_core.corpus.columns import ROLE_NAMES

DOCUMENT = Path(__file__).parents[2] / "docs" / "columns.md"


def test_every_name_that_is_understood_is_documented_and_no_other():
    rows = [
        line for line in DOCUMENT.read_text("utf-8").splitlines() if line.startswith("| ") and "`" in line
    ]
    assert [[name.strip(" `") for name in row.split("|")[2].split(",")] for row in rows] == [
        list(names) for names in ROLE_NAMES.values()
    ]
