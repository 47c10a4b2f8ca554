"""What the pairs of a finished round teach: D2C trained again on parts of them, measured on the test problems.

    OMP_NUM_THREADS=1 python benchmarks/pairs.py [--config configs/pocket.yaml] [--iteration 3] [--seeds 0 1]
                                                 [--parts all written right forward backward] [--epochs N]
                                                 [-o SECTION.KEY=VALUE ...]

The round is one of the run that the configuration names, as `pipeline iterate` left it. `all` is what its D2C was
trained on; `written` leaves out what C2D wrote about code that the forward cycle kept; `right` leaves out of `written`
the forward pairs whose code does not behave as the reference solution; `forward` and `backward` are one cycle's part of
`written`. The labelled pairs are in each. `-o` is for settings that the run was made with, `--epochs` for trying other
lengths of training. Intervals are 95 % bootstraps over problems."""
import argparse
import tempfile
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

from evoselfcode.config import load_config
from evoselfcode.engine.local import LocalEngine
from evoselfcode.evaluation.suite import check_sets, open_split, sampled, summary_of_sets
from evoselfcode.execution.execution import Runner
from evoselfcode.io_utils import read_jsonl
from evoselfcode.pipeline.iteration import Study
from evoselfcode.pipeline.train_sft import d2c_rows, train

PARTS = ("all", "written", "right", "forward", "backward")


def parts_of(study: Study) -> dict[str, list[dict]]:
    "Split the pairs that a round was trained on."
    folder, found = study.folder, {name: {} for name in PARTS}
    reworded = {pair["id"] for file in folder.glob("reworded*.jsonl") for pair in read_jsonl(file, empty_ok=True)}
    right = {row["id"]: row["right"] for row in read_jsonl(folder / "truth.jsonl")}
    for pair in [*study.known_pairs(), *read_jsonl(folder / "pairs.jsonl")]:
        written = pair["id"] not in reworded
        belongs = dict(all=True, written=written, right=written and right.get(pair["id"], True),
                       forward=written and pair["source"] != "backward", backward=pair["source"] != "forward")
        for name in PARTS:
            if belongs[name]: found[name][pair["description"], pair["code"]] = pair
    return {name: [*pairs.values()] for name, pairs in found.items()}


def measured(config, model: Path) -> Iterator[str]:
    "Measure pass@k on validation and test."
    for split in ("validation", "test"):
        sets, samples = open_split(config, split), []
        for number, (title, benchmark) in enumerate(sets.items()):
            file, engine = model / f"{split}-{number}.jsonl", lambda: LocalEngine(model, device="cpu")
            samples += [sample | dict(set=title) for sample in sampled(file, benchmark, config, engine, "again")]
        found = summary_of_sets(sets, check_sets(sets, samples, Runner()), config.evaluation)
        for k in config.evaluation.ks:
            mean, low, high = (100 * found[f"pass@{k}"][end] for end in ("mean", "low", "high"))
            yield f"{mean:.1f} ({low:.1f} to {high:.1f})"


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--config", default="configs/pocket.yaml")
    parser.add_argument("--iteration", type=int, default=3)
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1])
    parser.add_argument("--parts", nargs="+", choices=PARTS, default=PARTS)
    parser.add_argument("--epochs", type=float, help="default: the run's")
    parser.add_argument("-o", dest="overrides", action="append", default=[])
    given = parser.parse_args()
    config = load_config(given.config, given.overrides)
    study = Study(config, given.iteration, work=False)
    settings, parts = replace(config.train_d2c, epochs=given.epochs or config.train_d2c.epochs), parts_of(study)
    columns = [f"{split} pass@{k}" for split in ("validation", "test") for k in config.evaluation.ks]
    print(f"| round {given.iteration} | pairs | seed | {' | '.join(columns)} |\n{'|---' * (len(columns) + 3)}|")
    for name in given.parts:
        rows = d2c_rows(parts[name], study.way)
        for seed in given.seeds:
            with tempfile.TemporaryDirectory() as place:
                train(rows, Path(place) / "d2c", study.model_path("base"), settings, seed, name, name, "cpu")
                told = " | ".join(measured(config, Path(place) / "d2c"))
            print(f"| {name} | {len(rows)} | {seed} | {told} |", flush=True)


if __name__ == "__main__": main()
