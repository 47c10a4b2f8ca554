"""HumanEval+ or MBPP+ samples per second, all layers up, against evalplus's own check, in one run on the same samples.

    pip install evalplus
    python benchmarks/humaneval_plus.py --problems HumanEvalPlus-v0.1.10.jsonl.gz [--samples samples.jsonl] [--every 1]
    python benchmarks/humaneval_plus.py --benchmark mbpp+ --problems MbppPlus-v0.2.0.jsonl.gz

All judge base and plus inputs. evalplus works out all expected outputs first, in one process, and keeps them in a file;
we do so in all workers, and keep digests with the verdicts. So each is stated twice: as it runs for the first time, and
with what is expected at hand and, of evalplus, its processes started.
Samples that run out of time are left out: each would cost all the same seconds of waiting. The statuses must be the
same, or the disagreement is printed. Rounds are interleaved, so that a busy machine is busy for all; ratios are those
of medians.
"""
import argparse
import importlib.util
import multiprocessing
import os
import statistics
import sys
import time
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from pathlib import Path

SPLIT_TARGET, OFFICIAL_TARGET = 2.5, 1.0  # times as fast as evalplus runs


def truth(problem, dataset):
    "Expected outputs and the times they took, as evalplus computes them; and the inputs, as it restores them."
    from evalplus.data.mbpp import mbpp_deserialize_inputs
    from evalplus.eval._special_oracle import MBPP_OUTPUT_NOT_NONE_TASKS
    from evalplus.gen.util import trusted_exec
    program, entry = problem["prompt"] + problem["canonical_solution"], problem["entry_point"]
    as_flags = dataset == "mbpp" and entry in MBPP_OUTPUT_NOT_NONE_TASKS
    inputs = {which: problem[f"{which}_input"] for which in ("base", "plus")}
    if dataset == "mbpp":
        inputs = {which: mbpp_deserialize_inputs(problem["task_id"], given) for which, given in inputs.items()}
    found = {}
    for which, given in inputs.items():
        outputs = trusted_exec(program, given, entry, record_time=True, output_not_none=as_flags)
        found[which], found[f"{which}_time"] = outputs
    return found, problem | {f"{which}_input": given for which, given in inputs.items()}


def theirs_one(dataset, job):
    from evalplus.evaluate import check_correctness
    problem, solution, expected = job
    found = check_correctness(dataset, 0, problem, solution, expected, fast_check=True, min_time_limit=4.0)
    return found["base"][0], found["plus"][0]


def timed(work):
    start = time.perf_counter()
    return work(), time.perf_counter() - start


def main():
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--problems", required=True, help="the data file, as evalplus publishes it")
    options.add_argument("--benchmark", default="humaneval+", choices=("humaneval+", "mbpp+"))
    options.add_argument("--samples", help="samples as evalplus reads them; without, the reference solutions")
    options.add_argument("--every", type=int, default=1, help="take every n-th sample")
    options.add_argument("--workers", type=int, default=2)
    options.add_argument("--rounds", type=int, default=3)
    given = options.parse_args()
    if not importlib.util.find_spec("evalplus"): sys.exit("evalplus is not installed: pip install evalplus")
    from evoselfcode.evaluation.benchmark import (
        ISOLATED,
        OFFICIAL,
        check,
        md5_of,
        parse_records,
        read_bytes,
        read_samples,
    )
    from evoselfcode.evaluation.evalplus import REQUIRED, HumanEvalPlus, MbppPlus
    from evoselfcode.execution.execution import Runner
    kind = HumanEvalPlus if given.benchmark == "humaneval+" else MbppPlus
    data = read_bytes(given.problems)
    def opened(): return kind.of(parse_records(data, given.problems, REQUIRED), md5=md5_of(data))
    bench = opened()
    samples = [*map(bench.canonical, bench.problems)]
    if given.samples: samples = read_samples(given.samples, bench, partial=True)
    samples = samples[::given.every]
    def ours(bench, checker):
        rows = check(bench, samples, checker, runner=Runner(workers=given.workers))
        return [(row["base_status"], row["plus_status"]) for row in rows]
    found = check(bench, samples, runner=Runner(workers=given.workers))
    late = [row["status"] == "timeout" or "no answer within" in row["detail"] for row in found]
    samples = [sample for sample, out_of_time in zip(samples, late, strict=True) if not out_of_time]
    print(f"{sum(late)} of {len(found)} samples run out of time and are left out")
    first = {way: timed(lambda way=way: ours(opened(), way))[1] for way in (ISOLATED, OFFICIAL)}
    tasks = sorted({sample["task_id"] for sample in samples})
    expected, preparing = timed(lambda: {task: truth(bench.by_task[task], kind.dataset) for task in tasks})
    jobs = [(expected[s["task_id"]][1], s["solution"], expected[s["task_id"]][0]) for s in samples]
    took, said = {ISOLATED: [], OFFICIAL: [], "evalplus": []}, {}
    with ProcessPoolExecutor(given.workers, multiprocessing.get_context("fork")) as pool:
        one = partial(theirs_one, kind.dataset)
        list(pool.map(one, jobs[:2 * given.workers]))
        ways = {way: partial(ours, bench, way) for way in (ISOLATED, OFFICIAL)}
        ways["evalplus"] = lambda: list(pool.map(one, jobs))
        for _ in range(given.rounds):
            for way, run in ways.items():
                said[way], seconds = timed(run)
                took[way].append(seconds)
    again = {way: statistics.median(seconds) for way, seconds in took.items()}
    first["evalplus"] = preparing + again["evalplus"]
    name = Path(given.samples or given.problems).name
    print(f"{bench.set_name}, {len(samples)} samples of {name}, {given.workers} workers, load {os.getloadavg()[0]:.1f}")
    for when, seconds in (("for the first time", first), ("again", again)):
        for way in (ISOLATED, OFFICIAL, "evalplus"):
            as_it_runs, as_it_checks = (theirs["evalplus"] / seconds[way] for theirs in (first, again))
            ratios = f"{as_it_runs:.1f} times evalplus as it runs first, {as_it_checks:.1f} times as it checks"
            print(f"{way:10} {when:18} {seconds[way]:6.2f} s {len(samples) / seconds[way]:6.2f} samples/s   {ratios}")
    print(f"targets against evalplus as it runs: {SPLIT_TARGET} times for split, {OFFICIAL_TARGET} for official")
    for way in (ISOLATED, OFFICIAL):
        for sample, mine, theirs in zip(samples, said[way], said["evalplus"], strict=True):
            if mine != theirs: print(f"  {sample['task_id']}: {mine} here ({way}), {theirs} with evalplus")


if __name__ == "__main__": main()
