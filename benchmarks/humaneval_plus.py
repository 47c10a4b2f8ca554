"""HumanEval+ samples per second, all walls up, against evalplus's own check, in one run on the same samples.

    pip install evalplus
    python benchmarks/humaneval_plus.py --problems HumanEvalPlus-v0.1.10.jsonl.gz [--samples samples.jsonl] [--every 1] [--workers 2]

Both judge base and plus inputs. evalplus computes all expected outputs first, in one process, and keeps them in a file; ours are computed on the way and are part of its time. So evalplus is stated twice:
as it runs for the first time, and with its expected outputs ready and its processes started, when only the checks are timed.
Samples that run out of time are left out: each would cost both the same seconds of waiting.
The statuses must be the same, or the disagreement is printed. Rounds are interleaved, so that a busy machine is busy for both; the ratio is that of the medians.
"""
import argparse, importlib.util, multiprocessing, statistics, sys, time
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path


def ours(bench, samples, workers):
    from evoselfcode.evaluation.benchmark import check
    return [(row["base_status"], row["plus_status"]) for row in check(bench, samples, workers=workers)]


def truth(problem):
    "Expected outputs and the times they took, as evalplus computes them."
    from evalplus.gen.util import trusted_exec
    found = {}
    for which in ("base", "plus"): found[which], found[f"{which}_time"] = trusted_exec(problem["prompt"] + problem["canonical_solution"], problem[f"{which}_input"], problem["entry_point"], record_time=True)
    return found


def theirs_one(job):
    from evalplus.evaluate import check_correctness
    problem, solution, expected = job
    found = check_correctness("humaneval", 0, problem, solution, expected, fast_check=True, min_time_limit=4.0)
    return found["base"][0], found["plus"][0]


def main():
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--problems", required=True, help="HumanEvalPlus-v0.1.10.jsonl.gz")
    options.add_argument("--samples", help="samples as evalplus reads them; without, the reference solutions")
    options.add_argument("--every", type=int, default=1, help="take every n-th sample")
    options.add_argument("--workers", type=int, default=2)
    options.add_argument("--rounds", type=int, default=3)
    given = options.parse_args()
    if not importlib.util.find_spec("evalplus"): sys.exit("evalplus is not installed: pip install evalplus")
    from evoselfcode.evaluation.benchmark import check, md5_of, parse_records, read_bytes, read_samples
    from evoselfcode.evaluation.evalplus import REQUIRED, HumanEvalPlus
    data = read_bytes(given.problems)
    bench = HumanEvalPlus.of(parse_records(data, given.problems, REQUIRED), md5=md5_of(data))
    samples = (read_samples(given.samples, bench, partial=True) if given.samples else list(map(bench.canonical, bench.problems)))[::given.every]
    found = check(bench, samples, workers=given.workers)
    samples = [sample for sample, row in zip(samples, found, strict=True) if row["status"] != "timeout" and "no answer within" not in row["detail"]]
    print(f"{len(found) - len(samples)} of {len(found)} samples run out of time and are left out")
    start = time.perf_counter()
    expected = {task: truth(bench.by_task[task]) for task in sorted({s["task_id"] for s in samples})}
    preparing = time.perf_counter() - start
    jobs = [(bench.by_task[s["task_id"]], s["solution"], expected[s["task_id"]]) for s in samples]
    took, said = {"evoselfcode": [], "evalplus": []}, {}
    with ProcessPoolExecutor(given.workers, multiprocessing.get_context("fork")) as pool:
        list(pool.map(theirs_one, jobs[:2 * given.workers]))
        for _ in range(given.rounds):
            for way, run in (("evoselfcode", lambda: ours(bench, samples, given.workers)), ("evalplus", lambda: list(pool.map(theirs_one, jobs)))):
                start = time.perf_counter()
                said[way] = run()
                took[way].append(time.perf_counter() - start)
    median = {way: statistics.median(seconds) for way, seconds in took.items()}
    print(f"{bench.set_name}, {len(samples)} samples of {Path(given.samples or given.problems).name}, {given.workers} workers")
    for way, seconds in (("evoselfcode", median["evoselfcode"]), ("evalplus, first time", preparing + median["evalplus"]), ("evalplus, checks only", median["evalplus"])):
        print(f"{way:22} {seconds:6.2f} s {len(samples) / seconds:6.2f} samples/s   {seconds / median['evoselfcode']:.1f} times evoselfcode's time")
    for sample, mine, theirs in zip(samples, said["evoselfcode"], said["evalplus"], strict=True):
        if mine != theirs: print(f"  {sample['task_id']}: {mine} here, {theirs} with evalplus")


if __name__ == "__main__": main()
