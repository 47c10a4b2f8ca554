"""Which scores know right from wrong: a model's answers to problems whose tests are known, and what the scores say.

    OMP_NUM_THREADS=1 python benchmarks/scores.py [--config configs/pocket.yaml] [--root FOLDER] [--d2c FOLDER]
                                                  [--c2d FOLDER] [-o SECTION.KEY=VALUE ...]

The validation problems are answered as a round of a study answers them, by the base model, untrained, or by `--d2c`;
`--c2d` reviews. Every score of `pipeline.scoring` is computed, and each answer is checked by the problem's own tests.
All is kept in the root folder, so that a run that was broken off goes on. Printed are, for each score, the chance that
a right answer has the better value than a wrong one, over all pairs and over the pairs of one problem (0.5 = the score
knows nothing), then the same of a confidence that is fitted on the other problems, how well it keeps its word, and how
many of those that it finds best are right. Intervals are 95 % bootstraps over problems."""
import argparse
import tempfile
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd

from evoselfcode.config import SCORES, load_config
from evoselfcode.evaluation.selection import areas, share_of
from evoselfcode.pipeline.confidence import calibration_error, cross_fitted, largest, reliability
from evoselfcode.pipeline.filtering import apply_gates
from evoselfcode.pipeline.iteration import Study
from evoselfcode.pipeline.scoring import SCORES as TABLE

LEFT_OUT = ("reverse_information",)  # of a middle band: it neither rises nor falls with what is right


class Answers(Study):
    "A round whose models are given, not trained."
    models_given = dict(d2c="", c2d="")

    def model_path(self, name: str, own: bool = False) -> str:
        return super().model_path("base") if name in ("base", "judge") else self.models_given[name]


def answers(config, d2c: str, c2d: str) -> list[dict]:
    "Answer, score and check: the answers that the gates leave."
    study = Answers(config, 1)
    base = study.model_path("base")
    Answers.models_given = dict(d2c=d2c or base, c2d=c2d or base)
    (study.run / "iter-000").mkdir(parents=True, exist_ok=True)
    gates = [gate for gate in config.filter.gates if gate != "contamination"]
    known = apply_gates(study.known(), replace(config.filter, gates=gates))
    print(f"{config.model}: {len(known)} answers to {len(study.known_tasks())} problems, "
          f"{np.mean([c['right'] for c in known]):.1%} right; asked by {study.way.name}, {config.sampling}")
    study.release()
    return [c for c in known if not c["dropped_by"]]


def spelt(share) -> str: return f"{share.mean:.3f} ({share.low:.3f} to {share.high:.3f})"


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--config", default="configs/pocket.yaml")
    parser.add_argument("--root", type=Path, help="where records are kept; default: nowhere")
    parser.add_argument("--d2c", default="")
    parser.add_argument("--c2d", default="")
    parser.add_argument("-o", dest="overrides", action="append", default=[])
    given = parser.parse_args()
    root = given.root or Path(tempfile.mkdtemp())
    names = [name for name in SCORES if name not in LEFT_OUT]
    more = [f"paths.generated={root.resolve()}", f"scoring.scores=[{', '.join(names)}]", "select.selector=confidence"]
    config = load_config(given.config, [*more, *given.overrides])
    left = answers(config, given.d2c, given.c2d)
    right, parents = [c["right"] for c in left], [c["parents"][0] for c in left]
    if not any(right) or all(right): return print(f"the gates left {len(left)}, {sum(right)} right: nothing to know")
    chances = cross_fitted(left, right, names)
    columns = {name: [c["scores"][name] for c in left] for name in names} | dict(confidence=chances)
    table = pd.DataFrame(dict(columns, right=right, round="", description=parents))
    print(f"{len(left)} are left by the gates, {np.mean(right):.1%} right\n\n| score | over all | within a problem |"
          "\n|---|---|---|")
    for name in columns:
        overall, within = areas(table, name, high=name == "confidence" or TABLE[name].good == "high")
        print(f"| {name} | {spelt(overall)} | {spelt(within)} |")
    print(f"\ncalibration error {calibration_error(reliability(chances, right)):.3f}")
    order = np.argsort(-chances, kind="stable")
    for what, number in ((f"best {part:.0%}", round(part * len(left))) for part in (.1, .2, .3)):
        print(told(what, order[:number], right, parents))
    first = pd.Series(order).groupby([parents[i] for i in order], sort=False).first()
    one = first.to_numpy()  # the best of each problem, the surest first
    for wanted in (.75, .85):
        print(told(f"one a problem, {wanted:.0%} expected", one[: largest(chances[one], wanted)], right, parents))


def told(what: str, chosen, right: list[bool], parents: list[str]) -> str:
    "Say how many of some answers are right."
    counts = pd.DataFrame(dict(right=[right[i] for i in chosen], parent=[parents[i] for i in chosen], n=1))
    by = counts.groupby("parent").sum()
    return f"{what}: {len(chosen)} answers to {len(by)} problems, {spelt(share_of(by.right, by.n))} right"


if __name__ == "__main__": main()
