"""Which descriptions of code are true: D2C's review, one pass over the code, against the round trip, n samples of it.

    OMP_NUM_THREADS=1 python benchmarks/reviewing.py [--config configs/pocket.yaml] [--iterations 1 3]
                                                     [-o SECTION.KEY=VALUE ...]

The descriptions are those that C2D wrote about real code in rounds of the run that the configuration names; the round
trip must have been asked about all of them (`-o dual.review=1 -o dual.round_trip_n=4`). The pocket world's grammar
reads each one and says whether it is true of its code. Printed are the chance that a true one has the better value than
a false one, with a 95 % bootstrap over pieces of code, the share of true ones among the best 400, 800 and 1,000, and
how long each took here: the review anew, the round trip as its round noted it."""
import argparse
import time

import numpy as np
import pandas as pd

from evoselfcode.config import load_config
from evoselfcode.engine.local import LocalEngine
from evoselfcode.evaluation.selection import areas
from evoselfcode.io_utils import read_json, read_jsonl
from evoselfcode.pipeline.iteration import Study
from evoselfcode.pipeline.scoring import Reading, sums
from evoselfcode.pocket.world import true_descriptions


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--config", default="configs/pocket.yaml")
    parser.add_argument("--iterations", type=int, nargs="+", default=[1, 3])
    parser.add_argument("-o", dest="overrides", action="append", default=[])
    given = parser.parse_args()
    for number in given.iterations:
        study = Study(load_config(given.config, given.overrides), number, work=False)
        pairs = read_jsonl(study.folder / "backward.jsonl")
        begun, d2c = time.perf_counter(), LocalEngine(study.model_path("d2c"), device="cpu")
        likely = sums(Reading(d2c, pairs, study.way).code)
        took = time.perf_counter() - begun
        true = np.array(true_descriptions(pairs))
        table = pd.DataFrame(dict(
            right=true, round="", description=[pair["parents"][0] for pair in pairs], review=likely,
            round_trip=[pair["scores"]["round_trip"] for pair in pairs]))
        kept = np.array([pair["kept"] for pair in pairs])
        print(f"round {number}: {len(pairs)} descriptions, {true.mean():.1%} true; of the {kept.sum()} that the round "
              f"trip kept, {true[kept].mean():.1%}\n")
        print("| | AUC | best 400 | 800 | 1,000 | s |\n|---|---|---|---|---|---|")
        noted = read_json(study.folder / "backward.meta.json")["seconds"]
        for name, seconds in (("review", took), ("round_trip", noted)):
            area, best = areas(table, name, high=True)[0], np.argsort(-table[name].to_numpy(), kind="stable")
            shares = " | ".join(f"{true[best[:size]].mean():.1%}" for size in (400, 800, 1000))
            print(f"| {name} | {area.mean:.3f} ({area.low:.3f} to {area.high:.3f}) | {shares} | {seconds:.0f} |")
        print()


if __name__ == "__main__": main()
