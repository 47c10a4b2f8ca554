"""Which rule for keeping a round deceives itself, and what honesty costs: simulated studies, no model.

    OMP_NUM_THREADS=1 python benchmarks/deciding.py [--loops 1000] [--seed 0] [--problems 60 120 240] [--samples 1 8]
                                                    [--rounds 3:2 8:8] [--error 0.05] [--steps 6 3 1]

How hard a problem is, a logit-normal draw says that gives pass@1 of 30 % and pass@8 of 54 %. Each model adds draws of
its own (deviation 1.6), so that two models of the same mean still differ in every problem, by as much as makes paired
intervals as wide as the pocket study's (guide/results). Each loop has problems of its own, each model samples them
once, a round's model stands so many points above its teacher, the best so far. 3:2 are loops of three rounds that end
after two in a row that were not kept, as a study does; 8:8 are eight rounds that all take place. The rules:

greedy       any higher score
evalue       evaluation.passk: `wealth` reaches what `asked` asks for
paired test  a one-sided t-test over problems at 1 / `asked`: right for many problems, nearly so for few

    A/A          no round gains: share of loops that keep one all the same, %
    10, then 0   the first round gains 10 points, no other: share of loops that falsely keep one, %
    gain of 5    the first round truly gains 5 points: share of loops that keep it, %
    6, 3, 1      the rounds truly gain so many points: how far the last best model stands above Model0, points

Behind a share stands its 95 % Wilson interval, behind a mean twice its standard error."""
import argparse
import time
from statistics import NormalDist

import numpy as np

from evoselfcode.evaluation.passk import asked, wealth

MEAN, SPREAD, OWN = -2.2, 3.45, 1.6  # of the problems' logits; of what a model adds to them
GAINS = np.linspace(0, 6, 301)       # logits
RULES = ("greedy", "evalue", "paired test")
quantile = np.vectorize(NormalDist().inv_cdf)


def sigmoid(x): return 1 / (1 + np.exp(-x))


def points_of_gains() -> np.ndarray:
    "Say by how many points the mean over problems rises with each of `GAINS`."
    logits = np.random.default_rng(0).normal(MEAN, np.hypot(SPREAD, OWN), 50_000)
    means = np.array([sigmoid(logits + gain).mean() for gain in GAINS])
    return 100 * (means - means[0])


def keeps(rule: str, before: np.ndarray, after: np.ndarray, bar: np.ndarray, seed: int) -> np.ndarray:
    "Say of each loop whether a rule keeps the round: scores are [loop, problem], bars [loop]."
    change = after - before
    mean, size = change.mean(axis=1), change.shape[1]
    if rule == "greedy": return mean > 0
    if rule == "evalue": return (mean > 0) & (wealth(before, after, seed).max(axis=1) >= bar)
    z = quantile(1 - 1 / bar)
    t = z + (z**3 + z) / (4 * (size - 1))  # Student's quantile, near enough for dozens of problems
    return mean > t * change.std(axis=1, ddof=1) / np.sqrt(size)


class Loops:
    "Many studies at once, all of the same true steps, in points; every rule meets the same draws."
    def __init__(self, given, samples: int, problems: int, steps: list[float], patience: int, points: np.ndarray):
        self.given, self.samples, self.patience, self.points = given, samples, patience, points
        self.steps = np.array(steps, dtype=float)
        self.hardness = np.random.default_rng([given.seed, problems]).normal(MEAN, SPREAD, (given.loops, problems))

    def model(self, points: np.ndarray, number: int) -> np.ndarray:
        "Sample a model that stands so many points above Model0 in each loop: its pass@1 on each problem."
        rng = np.random.default_rng([self.given.seed, *self.hardness.shape, self.samples, number])
        gain = np.interp(points, self.points, GAINS)[:, None]
        chance = sigmoid(self.hardness + gain + rng.normal(0, OWN, self.hardness.shape))
        return rng.binomial(self.samples, chance) / self.samples

    def run(self, rule: str):
        "Decide all rounds: which were kept [round, loop], and the points of the last best model [loop]."
        given, loops = self.given, len(self.hardness)
        level, spent, since = np.zeros(loops), np.zeros(loops), np.zeros(loops, dtype=int)
        best, found = self.model(level, 0), np.zeros((len(self.steps), loops), dtype=bool)
        for k, step in enumerate(self.steps):
            on, after = since < self.patience, self.model(level + step, k + 1)
            bar = asked(given.error, spent, np.maximum(1, np.minimum(len(self.steps) - k, self.patience - since)))
            kept = found[k] = on & keeps(rule, best, after, bar, given.seed)
            best, level = np.where(kept[:, None], after, best), level + kept * step
            spent, since = spent + np.where(on & ~kept, 1 / bar, 0), np.where(kept, 0, since + 1)
        return found, level

    def false(self, rule: str) -> str: return share(self.run(rule)[0][self.steps <= 0].any(axis=0))
    def first(self, rule: str) -> str: return share(self.run(rule)[0][0])

    def reached(self, rule: str) -> str:
        level = self.run(rule)[1]
        return f"{level.mean():.2f} +- {2 * level.std() / np.sqrt(len(level)):.2f}"


def share(hits: np.ndarray) -> str:
    "Write a share in %, with its Wilson interval."
    n, p, z = len(hits), hits.mean(), 1.96
    middle, half = p + z * z / (2 * n), z * np.sqrt(p * (1 - p) / n + z * z / (4 * n * n))
    low, high = (100 * (middle + side * half) / (1 + z * z / n) for side in (-1, 1))
    return f"{100 * p:.1f} ({max(low, 0):.1f} to {high:.1f})"


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--loops", type=int, default=1000)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--problems", type=int, nargs="+", default=(60, 120, 240))
    parser.add_argument("--samples", type=int, nargs="+", default=(1, 8))
    parser.add_argument("--rounds", nargs="+", default=("3:2", "8:8"), help="ROUNDS:PATIENCE")
    parser.add_argument("--error", type=float, default=0.05)
    parser.add_argument("--steps", type=float, nargs="+", default=(6, 3, 1), help="points, of the last kind of row")
    given, begun, points = parser.parse_args(), time.perf_counter(), points_of_gains()
    print(f"{given.loops} loops a row, seed {given.seed}, error {given.error}")
    print("samples  problems  rounds  what        " + "".join(f"{rule:>23}" for rule in RULES))
    ends = [tuple(map(int, pair.split(":"))) for pair in given.rounds]
    rows = []
    for rounds, patience in ends:
        after = [0] * (rounds - 1)
        rows += [(what, [gain, *after], patience, Loops.false) for what, gain in (("A/A", 0), ("10, then 0", 10))]
        rows += [(f"gain of {gain}", [gain, *after], patience, Loops.first) for gain in (2, 5, 10)]
    rows += [(", ".join(f"{step:g}" for step in given.steps), given.steps, 2, Loops.reached)]
    for n, problems in ((n, problems) for n in given.samples for problems in given.problems):
        for what, steps, patience, told in rows:
            loops = Loops(given, n, problems, steps, patience, points)
            found = "".join(f"{told(loops, rule):>23}" for rule in RULES)
            print(f"{n:7}  {problems:8}  {len(steps):4}:{patience}  {what:12}{found}", flush=True)
    print(f"{time.perf_counter() - begun:.0f} s")


if __name__ == "__main__": main()
