"""The verbs of verification: scores, fairness."""

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

from sae_core.cli.console import Verbs, add_verb, add_workspace

if TYPE_CHECKING:
    import pandas as pd

    from sae_core.analysis.trial_sets import TrialSet
    from sae_core.workspace.workspace import SaeView


def add_verbs(verbs: Verbs) -> None:
    """Declare these verbs."""
    parser = add_verb(
        verbs, "scores", run_scores, "calibrate and judge scores of the same trials, side by side"
    )
    _add_common(parser)
    parser.add_argument(
        "--scores", type=Path, action="append", default=[], metavar="FILE",
        help="scores of another system, `enrol test score` a line; may be given again",
    )  # fmt: skip
    parser = add_verb(verbs, "fairness", run_fairness, "error rates by attributes, and who is hard to verify")
    _add_common(parser)
    parser.add_argument(
        "--by", required=True, metavar="ATTRIBUTES", help="gender, or gender,language for intersections"
    )


def _add_common(parser: argparse.ArgumentParser) -> None:
    add_workspace(parser)
    parser.add_argument("--sae", metavar="NAME", help="the SAE; by default the one that pages open with")
    parser.add_argument(
        "--trials",
        metavar="NAME|FILE",
        help="a list of trials; by default they are drawn among unseen speakers",
    )
    parser.add_argument("--csv", type=Path, metavar="FILE", help="write the table")


def run_scores(options: argparse.Namespace) -> None:
    """Run `scores`."""
    from sae_core.analysis.score_comparison import compare_scores
    from sae_core.measures.score_files import read_scores

    view, trial_set = _asked(options)
    listed = {file.name: read_scores(file, view.workspace.corpus) for file in options.scores}
    found = compare_scores(view, trial_set, listed=listed)
    how = "fixed on selection speakers" if found.is_fixed_elsewhere else "fixed on these very trials"
    print(
        f"{len(found.trials):,} trials; calibration and thresholds {how}; cohort of {found.n_cohort:,} speakers"
    )
    print(f"{'scores':<28} {'EER':>6} {'minDCF':>7} {'DCF':>6} {'minCllr':>8} {'Cllr':>6}   (prior 0.05)")
    for line in found.table.itertuples():
        costs = (getattr(line, name) for name in ("eer", "min_cllr", "cllr"))
        eer, least, cllr = costs
        dcf = found.reports[line.scores].actual_dcf[0.05][0]
        low = found.reports[line.scores].verified.min_dcf[0.05]
        print(f"{line.scores:<28} {eer:>6.1%} {low:>7.3f} {dcf:>6.3f} {least:>8.3f} {cllr:>6.3f}")
    for name, scores in listed.items():
        if scores.left_out:
            print(f"{name}: {scores.left_out}")
    _write(found.table, options.csv)


def run_fairness(options: argparse.Namespace) -> None:
    """Run `fairness`."""
    from sae_core.analysis.fairness import attribute_groups, errors_by_group, errors_by_speaker
    from sae_core.analysis.trial_sets import OPERATING_POINTS

    view, trial_set = _asked(options)
    at = next(iter(OPERATING_POINTS))
    groups = attribute_groups(view.workspace.corpus, options.by.split(","))
    table = errors_by_group(trial_set, groups, operating_point=at)
    print(f"{'group':<24} {'speakers':>8} {'EER':>6} {'FRR':>6}  {'95 %':<15} × all")
    for line in table[table["is_tested"].astype(bool)].itertuples():
        bounds = f"{line.frr_low:.1%} to {line.frr_high:.1%}"
        ratio = f"{line.frr_ratio:.2f}"
        print(
            f"{line.group:<24} {line.n_speakers:>8} {line.eer:>6.1%} {line.frr:>6.1%}  {bounds:<15} {ratio}"
        )
    few = table.loc[~table["is_tested"].astype(bool), "group"].tolist()
    if few:
        print(f"too few speakers to measure: {', '.join(few)}")
    people = errors_by_speaker(trial_set, operating_point=at)
    for mark, words in (("is_goat", "hard to verify"), ("is_lamb", "easily taken for others")):
        names = people.loc[people[mark].astype(bool), "speaker_id"].astype(str).tolist()
        print(f"{words}: {', '.join(names) or 'nobody clearly'}")
    _write(table, options.csv)


def _asked(options: argparse.Namespace) -> "tuple[SaeView, TrialSet]":
    from sae_core.analysis.trial_sets import draw_trials, open_trial_list, read_trial_list, usual_among
    from sae_core.api import open_sae
    from sae_core.corpus.texts import read_text

    view = open_sae(options.workspace, options.sae)
    if options.trials is None:
        return view, draw_trials(view, among=usual_among(view.workspace.corpus))
    file = Path(options.trials)
    if file.is_file():
        return view, read_trial_list(view, read_text(file), name=str(file))
    return view, open_trial_list(view, options.trials)


def _write(table: "pd.DataFrame", file: Path | None) -> None:
    from sae_core.files.artifacts import writing

    if file is not None:
        with writing(file) as temporary:
            table.to_csv(temporary, index=False)
        print(f"the table in {file}")
