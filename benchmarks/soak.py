"""Many names and functions out of nothing, undisturbed and killed twice: the same bytes, and memory that does not grow.

    python benchmarks/soak.py [--names 100000] [--functions 10000] [-o names.temperature=1.3 ...]

Runs `evoselfcode datagen generate-functions` in two fresh workspaces, side by side on one thread each. The second is
killed (SIGKILL, with all its children) once among the names and once among the functions, and started again each time.
The resident memory of the process is read twice a second.
"""
import argparse
import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from itertools import zip_longest
from pathlib import Path

COMMAND = [sys.executable, "-m", "evoselfcode.cli"]


def done(path):
    "Share of a stage's batches that are done."
    try: meta = json.loads(path.read_text())
    except (FileNotFoundError, json.JSONDecodeError): return 0.0
    return meta["done"]/meta["total"]


def resident(pid): return int(Path(f"/proc/{pid}/statm").read_text().split()[1])*os.sysconf("SC_PAGE_SIZE") >> 20


def run(workspace, options, kills=()):
    """Run to the end, or to each of the kills, a (file, share of its batches), and again.

    Returns the seconds, and what each start saw: stage, MiB.
    """
    folder, kills = workspace/"data/generated/soak/iter-000", list(kills)
    start, starts = time.perf_counter(), []
    while True:
        process = subprocess.Popen(
            [*COMMAND, "datagen", "generate-functions", "--config", "configs/datagen.yaml", *options],
            cwd=workspace, stdout=subprocess.DEVNULL, start_new_session=True,
        )
        seen = []
        while process.poll() is None:
            begun = (name for name in ("functions", "names", "draws") if (folder/f"{name}.meta.json").exists())
            stage = next(begun, "start")
            try: seen.append((stage, resident(process.pid)))
            except (FileNotFoundError, IndexError, ProcessLookupError): break
            if kills and done(folder/f"{kills[0][0]}.meta.json") >= kills[0][1]: os.killpg(process.pid, signal.SIGKILL)
            time.sleep(.5)
        starts.append(seen)
        if process.wait() == 0: return time.perf_counter() - start, starts
        if process.returncode != -signal.SIGKILL or not kills: sys.exit(f"it ended with {process.returncode}")
        killed, _ = kills.pop(0)
        print(f"killed at {100*done(folder/f'{killed}.meta.json'):.0f} % of {killed}", flush=True)


def differences(one, other):
    "Lines that differ, by file: their number, and what they are on either side."
    found = {}
    for name, lines in one.items():
        pairs = enumerate(zip_longest(lines, other.get(name, [])), 1)
        found[name] = [(number, a, b) for number, (a, b) in pairs if a != b]
    return found


def print_memory(seen):
    "Print for each stage of a start how long it took and what it held at most, in each quarter of its time."
    for stage in dict.fromkeys(stage for stage, _ in seen):
        memory = [size for at, size in seen if at == stage]
        quarter = max(1, len(memory)//4)
        parts = [memory[i:i + quarter] for i in range(0, quarter*4, quarter)]
        most = ", ".join(str(max(part)) for part in parts if part)
        print(f"  {stage:10} {len(memory)/2:5.0f} s   most memory in each quarter: {most} MiB", flush=True)


def main():
    asked = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    asked.add_argument("--names", type=int, default=100_000)
    asked.add_argument("--functions", type=int, default=10_000)
    asked.add_argument("-o", dest="more", action="append", default=[], help="further settings")
    given = asked.parse_args()
    settings = [
        "run=soak", f"names.number={given.names}", f"functions.names={given.functions}", "names.batch=1000",
        "threads=1", "execution.workers=1", *given.more,
    ]
    options = [part for setting in settings for part in ("-o", setting)]
    ways = {"undisturbed": (), "killed twice": (("draws", 0.002), ("functions", 0.5))}
    found = {}
    with tempfile.TemporaryDirectory() as folder, ThreadPoolExecutor(2) as both:
        for name in ways: subprocess.run([*COMMAND, "init", f"{folder}/{name}"], check=True, stdout=subprocess.DEVNULL)
        runs = {name: both.submit(run, Path(folder)/name, options, kills) for name, kills in ways.items()}
        for name, result in runs.items():
            seconds, starts = result.result()
            files = sorted((Path(folder)/name/"data/generated/soak/iter-000").glob("*.jsonl"))
            found[name] = {file.name: file.read_bytes().splitlines() for file in files}
            counts = ", ".join(f"{len(lines):,} lines in {file}" for file, lines in found[name].items())
            print(f"{name}: {seconds:.0f} s; {counts}")
            for seen in starts: print_memory(seen)
    different = differences(*found.values())
    for name, pairs in different.items():
        print(f"{name}: {len(pairs) or 'no'} lines differ")
        for number, a, b in pairs[:2]: print(f"  line {number}:\n    {str(a)[:2000]}\n    {str(b)[:2000]}")
    sys.exit(any(different.values()))


if __name__ == "__main__": main()
