"""Files harvested per minute, against one process that only parses the same files and writes them back, in one run.

    python benchmarks/harvest.py [--source FOLDER ...] [--workers 2] [--repeats 2]

Without --source: the standard library and the packages of this environment. The baseline is what a straightforward
harvest cannot do without, `ast.parse` and `ast.unparse` of every file, and stops there: no bounds, no names, no
secrets, no duplicates.
Rounds are interleaved, so that a busy machine is busy for both. Processor time hardly depends on who else is busy;
files per minute of processor time, times the workers, is what an idle machine comes to.
Checked afterwards: one worker writes the same bytes as many; every detector on every line of every function kept,
without the quick look before it, finds no secret; a sample of the functions left out as near duplicates has the
similarity that was asked for.
"""
import argparse
import ast
import os
import resource
import statistics
import sysconfig
import tempfile
import time
import warnings
from multiprocessing import get_context
from pathlib import Path

TARGET = 20_000


def used():
    "Processor time of this process and of its children that ended."
    both = map(resource.getrusage, (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
    return sum(r.ru_utime + r.ru_stime for r in both)


def baseline(source):
    "Files parsed and written back."
    from evoselfcode.config import Harvest
    from evoselfcode.datagen.harvest import find_source, walk
    warnings.simplefilter("ignore")
    root, done = find_source(source)[0], 0
    for path, *_ in walk(root, 1024 * Harvest().max_kilobytes)[0]:
        try: done += bool(ast.unparse(ast.parse((root / path).read_bytes().decode("utf-8-sig"))) or True)
        except (SyntaxError, ValueError, RecursionError, MemoryError): pass
    return done


def harvested(source, folder, workers):
    "Files read by the harvest."
    from evoselfcode.config import Harvest
    from evoselfcode.datagen.harvest import harvest
    return harvest(Harvest(source, imports="needed", workers=workers), folder)["files"]["read"]


def timed(sender, function, *args):
    clock, cpu = time.perf_counter(), used()
    done = function(*args)
    sender.send((done, time.perf_counter() - clock, used() - cpu))


def apart(function, *args):
    "Call a function in a process of its own, whose processor time is its own, too."
    context = get_context("spawn")
    receiver, sender = context.Pipe(False)
    process = context.Process(target=timed, args=(sender, function, *args))
    process.start()
    sender.close()
    result = receiver.recv()
    process.join()
    return result


def check(folder, alone):
    "What must hold, whatever the speed."
    from evoselfcode.datagen.standalone import has_secret
    from evoselfcode.io_utils import read_jsonl
    names = ("functions.jsonl", "summary.json")
    records = read_jsonl(folder / "functions.jsonl")
    same = all((folder / name).read_bytes() == (alone / name).read_bytes() for name in names)
    leaks = sum(has_secret(line) for r in records for line in f"{r['description']}\n{r['code']}".splitlines())
    print(f"  one worker writes {'the same bytes' if same else 'OTHER BYTES'}; "
          f"secrets found without the quick look in {len(records)} functions kept: {leaks}")
    return same and not leaks


def own_text(record):
    "The function alone: what it takes along is not compared."
    return "\n".join(record["code"].splitlines()[-record["lines"]:])


def near(folder, sample=300):
    "Compare near duplicates with what they are said to repeat, by their n-grams of tokens."
    import base64

    from evoselfcode.datagen.duplicates import n_grams, near_duplicates, sketch_matrix, tokens_of
    from evoselfcode.io_utils import read_jsonl
    forms = {}
    for part in sorted((folder / "parts").glob("*.jsonl")):
        for row in reversed(read_jsonl(part, empty_ok=True)):
            if row["sketch"]: forms[row["form"]] = row
    rows = list(forms.values())
    start = time.perf_counter()
    first = near_duplicates(sketch_matrix([base64.b64decode(row["sketch"]) for row in rows]))
    seconds = time.perf_counter() - start
    pairs = [(row, rows[at]) for row, at in zip(rows, first) if at >= 0][:sample]
    grams = [[set(n_grams(tokens_of(own_text(row["record"])))) for row in pair] for pair in pairs]
    exact = sorted(len(a & b) / len(a | b) for a, b in grams) or [1.0]
    median = statistics.median(exact)
    print(f"  {(first >= 0).sum()} near duplicates among {len(rows)} in {seconds:.2f} s; "
          f"exact similarity of {len(pairs)} of them: median {median:.2f}, lowest {exact[0]:.2f}")
    return median >= 0.8


def print_speeds(source, ours, theirs, workers):
    "Print the medians of both ways, each run of which is (files, seconds on the clock, seconds of processor time)."
    files = ours[0][0]
    median = lambda runs, which: statistics.median(run[which] for run in runs)
    wall, cpu = median(ours, 1), median(ours, 2)
    wall_base, cpu_base = median(theirs, 1), median(theirs, 2)
    print(f"{source}: {files} files, load {os.getloadavg()[0]:.1f}")
    print(f"  harvest, {workers} workers: {60 * files / wall:,.0f} files/min on the clock, "
          f"{60 * files / cpu * workers:,.0f} by processor time ({1000 * cpu / files:.2f} ms a file); "
          f"target {TARGET:,}")
    print(f"  ast.parse + ast.unparse, one process: {60 * files / wall_base:,.0f} files/min on the clock, "
          f"{60 * files / cpu_base:,.0f} by processor time; the harvest is "
          f"{wall_base / wall:.1f} times as fast on the clock, {cpu_base / cpu:.1f} times by processor time")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--source", action="append", help="folder or package; may be given several times")
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--repeats", type=int, default=2)
    options = parser.parse_args()
    good = True
    for source in options.source or [sysconfig.get_path("stdlib"), sysconfig.get_path("purelib")]:
        with tempfile.TemporaryDirectory() as place:
            ours, theirs = [], []
            for i in range(options.repeats):
                theirs.append(apart(baseline, source))
                ours.append(apart(harvested, source, f"{place}/{i}", options.workers))
            apart(harvested, source, f"{place}/alone", 1)
            print_speeds(source, ours, theirs, options.workers)
            good &= check(Path(place) / "0", Path(place) / "alone") & near(Path(place) / "0")
    return not good


if __name__ == "__main__": raise SystemExit(main())
