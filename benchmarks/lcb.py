"""Samples of LiveCodeBench judged per second, all layers up, against the way its own harness runs the same check.

    python benchmarks/lcb.py --file problems.jsonl --samples samples.json [--limit 200]

All ways judge the same programs in one run. LiveCodeBench's checker is on no package index. Its figure (two processes:
25 to 31 samples a second on passing programs, 14.5 over all) was measured elsewhere; one that can be compared comes
from baselines here: the same semantics (`harnesses/lcb.run`, every import of the harness) as that checker starts them,
for each sample a server for the results and a process of its own, in a pool of as many workers.
`bare` has loaded what the checker's own modules import, `loaded` also torch, which its command imports, too, and whose
memory each fork copies the tables of.
The baselines are UNSAFE: the programs run without the sandbox, as you. Give this only samples that you trust; --safe
leaves the baselines out.
Samples that run out of time are left out: they take 6 s, whoever judges. Each way has a process of its own; rounds are
interleaved, so that a busy machine is busy for all, and ratios are those of the medians. Processor time hardly depends
on who else is busy.
"""
import argparse
import multiprocessing
import os
import resource
import statistics
import sys
import time
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

TARGET = 2.5
BARE, LOADED = "UNSAFE bare", "UNSAFE loaded"
IMPORTS = {
    BARE: ("numpy", "tqdm", "statistics", "datetime", "decimal", "unittest.mock"),
    LOADED: ("numpy", "tqdm", "statistics", "datetime", "decimal", "unittest.mock", "torch"),
}


def read(options):
    "The benchmark, and the samples that are judged."
    from evoselfcode.evaluation.benchmark import parse_records, read_bytes
    from evoselfcode.evaluation.lcb import load
    benchmark = load([Path(options.file).parent], Path(options.file).name)
    records = parse_records(read_bytes(options.samples), options.samples)
    samples = [s for r in records for s in benchmark.read(r) if s["task_id"] in benchmark.by_task][:options.limit]
    return benchmark, [s for i, s in enumerate(samples) if i not in options.late]


def in_process(code, function, seconds, data, results, reasons):
    from evoselfcode.execution.sandbox.harnesses import lcb
    sys.stdin = open(os.devnull)
    lcb.prelude = lambda code: lcb.FULL_PRELUDE
    found, reason = lcb.run(lcb.text_of(code, bool(function)), function, seconds, True, [], data)
    results.append(found)
    reasons.append(reason)


def one(task):
    "What the harness does for a sample: a server for what comes out, a process that puts it there, a limit."
    code, function, seconds, data, most = task
    manager = multiprocessing.Manager()
    results, reasons = manager.list(), manager.list()
    process = multiprocessing.Process(target=in_process, args=(code, function, seconds, data, results, reasons))
    process.start()
    process.join(timeout=most)
    if process.is_alive(): process.kill()
    return results[0] if results and len(reasons) else [-2]


def used():
    "Processor time of this process and of its children that ended."
    both = map(resource.getrusage, (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
    return sum(r.ru_utime + r.ru_stime for r in both)


def judge(way, options):
    "Result lists, seconds on the clock, seconds of processor time."
    from evoselfcode.evaluation.benchmark import check
    from evoselfcode.evaluation.lcb import data_of
    from evoselfcode.execution.execution import Runner
    benchmark, samples = read(options)
    if way not in IMPORTS:
        start, cpu = time.perf_counter(), used()
        rows = [row["result"] for row in check(benchmark, samples, way, Runner(workers=options.workers))]
        return rows, time.perf_counter() - start, used() - cpu
    for name in IMPORTS[way]: __import__(name)
    seconds, tasks = int(benchmark.harness.seconds), []
    for sample in samples:
        problem = benchmark.by_task[sample["task_id"]]
        (data, number), *_ = data_of(problem)
        tasks.append((sample["solution"], problem["function"], seconds, data, (seconds + 1) * number + 5))
    start, cpu = time.perf_counter(), used()
    with ProcessPoolExecutor(options.workers, multiprocessing.get_context("fork")) as pool:
        rows = list(pool.map(one, tasks))
    return rows, time.perf_counter() - start, used() - cpu


def arguments():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--file", required=True, help="records of code_generation_lite")
    parser.add_argument(
        "--samples", required=True, help="samples in the harness's form; the baselines run them without the sandbox"
    )
    parser.add_argument("--limit", type=int, default=200, help="samples that are judged")
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--safe", action="store_true", help="leave the baselines out")
    return parser.parse_args()


def main():
    options = arguments()
    options.late = ()
    with ProcessPoolExecutor(1, multiprocessing.get_context("spawn")) as process:
        rows, *_ = process.submit(judge, "official", options).result()
    options.late = tuple(i for i, row in enumerate(rows) if row[-1] == -3)
    baselines = [] if options.safe else [BARE, LOADED]
    ways = ["isolated", "official", *baselines]
    runs, found = {}, {}
    for _ in range(options.repeats):
        for way in ways:
            with ProcessPoolExecutor(1, multiprocessing.get_context("spawn")) as process:
                found[way], *took = process.submit(judge, way, options).result()
            runs.setdefault(way, []).append(took)
    per_sample = lambda way, which: statistics.median(took[which] for took in runs[way]) / len(found[way])
    wall, cpu = ({way: per_sample(way, which) for way in runs} for which in (0, 1))
    passes = {way: [all(r is True for r in result) for result in results] for way, results in found.items()}
    print(f"{len(passes['split'])} samples, {len(options.late)} that run out of time left out, "
          f"{sum(passes['split'])} pass; {options.workers} workers, {options.repeats} rounds, "
          f"load {os.getloadavg()[0]:.1f}")
    for way in ways:
        ratio = lambda base: f"{wall[base] / wall[way]:.1f} times {base} ({cpu[base] / cpu[way]:.1f} by processor time)"
        ratios = [] if way in baselines else [ratio(base) for base in baselines]
        differ = f"; {sum(a != b for a, b in zip(passes[way], passes[LOADED]))} verdicts differ" if ratios else ""
        speed = f"{1 / wall[way]:6.1f} samples/s {1000 * cpu[way]:6.1f} ms of processor time each"
        print(f"{way:14} {speed}   {', '.join(ratios)}{differ}")
    print(f"target: {TARGET} times. Measured elsewhere: LiveCodeBench's own checker, two processes, "
          "25 to 31 samples/s on passing programs, 14.5 over all")


if __name__ == "__main__": main()
