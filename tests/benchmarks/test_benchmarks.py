"""The harness of the benchmarks: what counts as reached, how turns are taken, what becomes of a failure."""

import json

import pytest

from benchmarks import __main__ as bench
from benchmarks.peers import Peer, PeerError
from benchmarks.rows import FAILED, PASS, REPORTED, SHORT, Row, failed, in_turns, table


@pytest.mark.parametrize(
    ("measured", "target", "is_limit", "verdict"),
    [
        (4.0, 4.0, False, PASS),
        (3.9, 4.0, False, SHORT),
        (20.0, 20.0, True, PASS),
        (20.1, 20.0, True, SHORT),
        (7.0, None, False, REPORTED),
    ],
)
def test_a_row_reaches_its_target_or_falls_short(measured, target, is_limit, verdict):
    row = Row("a look-up", "20 µs", measured, target, unit="µs", is_limit=is_limit)
    assert row.verdict == verdict
    assert Row.from_json(json.loads(json.dumps(row.to_json()))) == row


def test_the_table_shows_figures_beside_targets_and_failures_with_their_reason():
    lines = table([Row("training", "a peer", 4.25, 4, "how"), failed("maps", "out of memory")]).splitlines()
    assert [cell.strip() for cell in lines[2].strip("|").split("|")] == [
        "training", "a peer", "4.25 ×", "≥ 4 ×", PASS, "how",
    ]  # fmt: skip
    assert bench.summary([Row("a look-up", "", 1, None), Row("training", "a peer", 4.25, 4)]).startswith(
        "1 of 1 "
    )
    assert FAILED in lines[3] and "out of memory" in lines[3]


def test_runs_take_turns_and_the_first_round_does_not_count():
    said = []
    seconds = iter([9.0, 1.0, 3.0])
    took = in_turns({"ours": lambda: said.append("ours"), "peer": lambda: next(seconds)}, 2)
    assert said == ["ours"] * 3
    assert took["peer"] == 2.0
    assert 0 <= took["ours"] < 1


def test_a_benchmark_that_fails_keeps_its_rows_and_the_others_go_on(monkeypatch, tmp_path, capsys):
    broken = tmp_path / "broken.py"
    broken.write_text(
        "import json, sys\n"
        "from benchmarks.rows import Row\n"
        "with open(sys.argv[sys.argv.index('--rows-to') + 1], 'a') as stream:\n"
        "    stream.write(json.dumps(Row('first', 'a peer', 2, 1).to_json()) + '\\n')\n"
        "raise SystemExit('no more disk')\n"
    )
    run = bench.run_within_limit
    monkeypatch.setattr(
        bench,
        "run_within_limit",
        lambda command, env: run([command[0], str(broken), *command[3:]], env | {"PYTHONPATH": "."}),
    )
    rows = bench.run_apart("index", 1, is_quick=True)
    assert [row.verdict for row in rows] == [PASS, FAILED]
    assert rows[1].cells[-1] == "no more disk"


def test_a_peer_answers_and_says_why_it_cannot():
    with Peer("index_memory", is_ours=True, threads=1) as peer:
        with pytest.raises(PeerError, match="no_such_call"):
            peer.call("no_such_call")
        with pytest.raises(PeerError, match="does not exist"):
            peer.call("build", folder="nowhere", n_clips=1, memory_mb=1)
