"""Samples of LiveCodeBench judged per second, all walls up, against the way its own harness runs the same check, in one run on the same programs.

    python benchmarks/lcb.py --file problems.jsonl --samples samples.json [--limit 200]

LiveCodeBench's checker is on no package index. Its figure, 25 to 31 samples a second with two processes on passing programs and 14.5 over all, was measured elsewhere; a figure that can be compared comes
from a baseline here: the same semantics (`harnesses/lcb.run`) in a process of its own with a server for the result for each sample, as that checker starts them, in a pool of as many workers.
The baseline is UNSAFE: the programs run without walls, as you. Give it only samples that you trust; --safe leaves it out.
Rounds are interleaved, so that a busy machine is busy for all; the ratio is that of the medians.
"""
import argparse, json, multiprocessing, os, statistics, sys, time
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

TARGET = 2.5


def in_process(sent, results):
    from evoselfcode.execution.harnesses.lcb import run
    sys.stdin = open(os.devnull)
    results.append(run(*sent)[0])


def one(task):
    "What the harness does for a sample: a server for the results, a process that appends them, a limit for both."
    sent, seconds = task
    results = multiprocessing.Manager().list()
    process = multiprocessing.Process(target=in_process, args=(sent, results))
    process.start()
    process.join(timeout=seconds)
    if process.is_alive(): process.kill()
    return results[0] if results else [-2]


def unsafe_baseline(tasks, workers):
    for name in ("numpy", "statistics", "datetime", "decimal", "unittest.mock"): __import__(name)  # the harness's processes start with these loaded
    with ProcessPoolExecutor(workers, multiprocessing.get_context("fork")) as pool: return list(pool.map(one, tasks))


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--file", required=True, help="records of code_generation_lite")
    parser.add_argument("--samples", required=True, help="samples in the harness's form; the baseline runs them without walls")
    parser.add_argument("--limit", type=int, default=200, help="samples that are judged")
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--safe", action="store_true", help="leave the baseline out")
    options = parser.parse_args()
    from evoselfcode.evaluation.benchmark import check, parse_records, read_bytes
    from evoselfcode.evaluation.lcb import data_of, load
    from evoselfcode.execution.harnesses.lcb import text_of
    benchmark = load([Path(options.file).parent], Path(options.file).name)
    records = parse_records(read_bytes(options.samples), options.samples)
    samples = [s for r in records for s in benchmark.read(r) if s["task_id"] in benchmark.by_task][:options.limit]
    tasks = []
    for sample in samples:
        problem = benchmark.by_task[sample["task_id"]]
        (data, number), *_ = data_of(problem)
        seconds = int(benchmark.profile.seconds)
        tasks.append(((text_of(sample["solution"], bool(problem["function"])), problem["function"], seconds, True, [], data), (seconds + 1) * number + 5))
    ours = {f"evoselfcode {checker}": lambda checker=checker: [r["result"] for r in check(benchmark, samples, checker, options.workers)] for checker in benchmark.checkers}
    ways = ours | ({} if options.safe else {"UNSAFE baseline": lambda: unsafe_baseline(tasks, options.workers)})
    speeds, found = {way: [] for way in ways}, {}
    for _ in range(options.repeats):
        for way, run in ways.items():
            start = time.perf_counter()
            found[way] = run()
            speeds[way].append(len(samples) / (time.perf_counter() - start))
    median = {way: statistics.median(values) for way, values in speeds.items()}
    passes = {way: [all(r is True for r in result) for result in results] for way, results in found.items()}
    print(f"{len(samples)} samples of {benchmark.set_name}, {sum(passes['evoselfcode split'])} pass, {options.workers} workers, load {os.getloadavg()[0]:.1f}")
    for way in ways:
        ratio = ""
        if "UNSAFE baseline" in ways and way in ours:
            ratio = f"   {median[way] / median['UNSAFE baseline']:.1f} times the baseline (target {TARGET}); {sum(a != b for a, b in zip(passes[way], passes['UNSAFE baseline']))} verdicts differ"
        print(f"{way:22} {median[way]:7.1f} samples/s{ratio}")
    print("for comparison, measured elsewhere: LiveCodeBench's own checker, two processes, 25 to 31 samples/s on passing programs, 14.5 over all")


if __name__ == "__main__": main()
