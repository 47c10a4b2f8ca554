"""What one round's pairs teach by each loss: the same pairs of the same candidates, learned three ways, over seeds.

    OMP_NUM_THREADS=1 python benchmarks/losses.py [--descriptions 200] [--agreement 0] [--seeds 3]

Model0 learns the project's 200 labelled pairs and writes eight candidates for each description, once. Gates are asked;
of a description whose candidates differ in behaviour the one with most votes is taken, and beside it the one with
fewest (`train_sft.preferences`). The labelled pairs and these are then learned by `nll` (every pair alike), `weighted`
(each by its candidate's agreement) and `scpo` (preferred to the worse one, by the votes between them), from the base
model or on from Model0, with configs/pocket.yaml's rates and lengths and as many rows and steps each. `labelled` learns
the labelled pairs alone for as many steps. All answer PocketEval's 240 problems, eight samples each. A problem's value
is its mean over training seeds; differences to nll are paired by problem, with 95 % intervals by bootstrap."""
import argparse
import tempfile
import time
from dataclasses import replace
from pathlib import Path

import numpy as np

from evoselfcode.config import load_config
from evoselfcode.engine.local import LocalEngine
from evoselfcode.evaluation.benchmark import check
from evoselfcode.evaluation.humaneval import own_problems, per_problem
from evoselfcode.evaluation.passk import bootstrap, paired_bootstrap
from evoselfcode.evaluation.suite import ask_each
from evoselfcode.execution.execution import Runner
from evoselfcode.io_utils import read_jsonl
from evoselfcode.pipeline import filtering, sampling, scoring
from evoselfcode.pipeline.train_sft import d2c_rows, preferences, steps_of, train

KS = (1, 8)


def candidates(config, model: Path, number: int) -> list[dict]:
    "Let a model write candidates for the first descriptions, and ask the gates about them."
    asked = [dict(id=str(at), description=row["description"])
             for at, row in enumerate(read_jsonl(config.path(config.data.descriptions))[:number])]
    drawn = sampling.sample(LocalEngine(model, device="cpu"), asked, config.sampling, seed=config.seed, iteration=1)
    scored = scoring.score(LocalEngine("pocket", device="cpu"), drawn, config.filter.inputs, Runner())
    return filtering.apply_gates(scored, config.filter)


def right_among(config, pairs: list[dict]) -> dict[str, float]:
    "Shares of the better and of the worse answers that behave as the reference solution."
    from evoselfcode.execution.behaviour import behaviours
    from evoselfcode.syntax import main_function
    truth = {row["description"]: row["code"] for row in read_jsonl(config.path(config.data.truth))}
    def marks(codes):
        found = behaviours([(code, main_function(code)) for code in codes], config.filter.inputs, Runner())
        return [behaviour.fingerprint for behaviour in found]
    wanted = marks([truth[pair["description"]] for pair in pairs])
    sides = {name: marks([pair[name] for pair in pairs]) for name in ("code", "rejected")}
    return {name: np.mean([a is not None and a == b for a, b in zip(side, wanted)]) for name, side in sides.items()}


def values(config, model: Path) -> dict[int, np.ndarray]:
    "Measure pass@k of each problem."
    problems = own_problems(config)
    samples = next(ask_each(LocalEngine(model, device="cpu"), problems, [problems.problems], config))
    results = check(problems, samples, runner=Runner())
    return {k: np.array([*per_problem(results, k).values()]) for k in KS}


def told(name: str, found: dict[int, np.ndarray], beside: dict | None, seconds: float) -> str:
    "Write one row of the table."
    percent = lambda form, numbers: form.format(*(100 * x for x in numbers))
    cells = [percent("{:.1f} ({:.1f} to {:.1f})", bootstrap(found[k])) for k in KS]
    for k in KS:
        apart = paired_bootstrap(beside[k], found[k])[:3] if beside else ()
        cells.append(percent("{:+.1f} ({:+.1f} to {:+.1f})", apart) if beside else "")
    return f"| {name} | {' | '.join(cells)} | {seconds:.0f} |"


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--descriptions", type=int, default=200)
    parser.add_argument("--agreement", type=float, default=0.0, help="least agreement of a better answer")
    parser.add_argument("--seeds", type=int, default=3, help="trainings of each loss")
    parser.add_argument("--start", default="base", choices=("base", "model0"))
    parser.add_argument("--beta", type=float, default=0.1)
    parser.add_argument("--alpha", type=float, default=1.0)
    options = parser.parse_args()
    config = load_config("configs/pocket.yaml")
    with tempfile.TemporaryDirectory() as place: compare(options, config, Path(place))


def compare(options, config, place: Path):
    "Train, measure, print."
    begun, settings, number = time.perf_counter(), config.train_d2c, options.descriptions
    labelled = [row | dict(description=row["prompt"]) for row in read_jsonl(config.path(config.data.initial_pairs))]
    model0 = place / "model0"
    train(d2c_rows(labelled), model0, "pocket", settings, config.seed, device="cpu")
    checked = candidates(config, model0, number)
    pairs = [pair for pair in preferences(checked) if pair["scores"]["agreement"] >= options.agreement]
    right = right_among(config, pairs)
    votes, weights = (np.mean(numbers) for numbers in zip(*((p["scores"]["agreement"], p["weight"]) for p in pairs)))
    shared = d2c_rows(labelled + pairs)
    agreed = d2c_rows(labelled + [pair | dict(weight=pair["scores"]["agreement"]) for pair in pairs])
    start, steps = "pocket" if options.start == "base" else str(model0), steps_of(settings, len(shared))
    rows, found = [told("Model0", values(config, model0), None, time.perf_counter() - begun)], {}
    for name, its in dict(nll=shared, labelled=d2c_rows(labelled), weighted=agreed, scpo=shared).items():
        began, each = time.perf_counter(), []
        how = replace(settings, loss=name if name != "labelled" else "nll", epochs=1e-9, min_steps=steps,
                      beta=options.beta, alpha=options.alpha)
        for seed in range(options.seeds):
            train(its, place / f"{name}-{seed}", start, how, seed, device="cpu", note=f"{name} {seed}")
            each.append(values(config, place / f"{name}-{seed}"))
        found[name] = {k: np.mean([one[k] for one in each], axis=0) for k in KS}
        rows.append(told(name, found[name], found["nll"] if name != "nll" else None, time.perf_counter() - began))
    print(f"\n{number} descriptions, {len(checked)} candidates, {len(pairs)} pairs: {right['code']:.0%} of the better "
          f"and {right['rejected']:.0%} of the worse are right; mean agreement {votes:.2f}, mean weight {weights:.2f}")
    print(f"from {options.start}, {len(shared)} rows, {steps} steps, {options.seeds} seeds, beta {options.beta}, alpha "
          f"{options.alpha}; {time.perf_counter() - begun:.0f} s\n\n| | pass@1 | pass@8 | pass@1 - nll | pass@8 - nll "
          "| s |\n|---|---|---|---|---|---|", *rows, sep="\n")


if __name__ == "__main__": main()
