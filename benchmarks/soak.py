"""Many names and functions out of nothing, undisturbed and killed twice: the same bytes, and memory that does not grow.

    python benchmarks/soak.py [--names 100000] [--functions 10000] [-o names.temperature=1.3 ...]

Runs `evoselfcode datagen generate-functions` in two fresh workspaces. The second is killed (SIGKILL, with all its children) once among the names and once
among the functions, and started again each time. The resident memory of the process is read twice a second.
"""
import argparse, hashlib, json, os, signal, subprocess, sys, tempfile, time
from pathlib import Path

COMMAND = [sys.executable, "-m", "evoselfcode.cli"]


def done(path):
    "Share of a stage's batches that are done."
    try: meta = json.loads(path.read_text())
    except (FileNotFoundError, json.JSONDecodeError): return 0.0
    return meta["done"]/meta["total"]


def resident(pid): return int(Path(f"/proc/{pid}/statm").read_text().split()[1])*os.sysconf("SC_PAGE_SIZE") >> 20


def run(workspace, options, kills=()):
    "Run to the end, or to each of the kills, a (file, share of its batches), and again. Seconds, and what each start saw: stage, MiB."
    folder, kills, start, starts = workspace/"data/generated/soak/iter-000", list(kills), time.perf_counter(), []
    while True:
        process, seen = subprocess.Popen([*COMMAND, "datagen", "generate-functions", "--config", "configs/datagen.yaml", *options], cwd=workspace, stdout=subprocess.DEVNULL, start_new_session=True), []
        while process.poll() is None:
            stage = next((name for name in ("functions", "names", "draws") if (folder/f"{name}.meta.json").exists()), "start")
            try: seen.append((stage, resident(process.pid)))
            except (FileNotFoundError, IndexError, ProcessLookupError): break
            if kills and done(folder/f"{kills[0][0]}.meta.json") >= kills[0][1]: os.killpg(process.pid, signal.SIGKILL)
            time.sleep(.5)
        starts.append(seen)
        if process.wait() == 0: return time.perf_counter() - start, starts
        if process.returncode != -signal.SIGKILL or not kills: sys.exit(f"it ended with {process.returncode}")
        print(f"killed at {100*done(folder/f'{kills[0][0]}.meta.json'):.0f} % of {kills.pop(0)[0]}", flush=True)


def main():
    asked = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    asked.add_argument("--names", type=int, default=100_000)
    asked.add_argument("--functions", type=int, default=10_000)
    asked.add_argument("-o", dest="more", action="append", default=[], help="further settings")
    given = asked.parse_args()
    settings = ["run=soak", f"names.number={given.names}", f"functions.names={given.functions}", "names.batch=1000", *given.more]
    found = {}
    with tempfile.TemporaryDirectory() as folder:
        for name, kills in (("undisturbed", ()), ("killed twice", (("draws", .002), ("functions", .5)))):
            workspace = Path(folder)/name.replace(" ", "-")
            subprocess.run([*COMMAND, "init", str(workspace)], check=True, stdout=subprocess.DEVNULL)
            seconds, starts = run(workspace, [part for setting in settings for part in ("-o", setting)], kills)
            files = sorted((workspace/"data/generated/soak/iter-000").glob("*.jsonl"))
            found[name] = {file.name: hashlib.sha256(file.read_bytes()).hexdigest() for file in files}
            lines = {file.name: file.read_bytes().count(b"\n") for file in files}
            print(f"{name}: {seconds:.0f} s; {', '.join(f'{count:,} lines in {file}' for file, count in lines.items())}")
            for seen in starts:
                for stage in dict.fromkeys(stage for stage, _ in seen):
                    memory = [size for at, size in seen if at == stage]
                    quarter = max(1, len(memory)//4)
                    print(f"  {stage:10} {len(memory)/2:5.0f} s   most memory in each quarter: {', '.join(f'{max(memory[i:i + quarter])}' for i in range(0, quarter*4, quarter) if memory[i:i + quarter])} MiB", flush=True)
    print("the same bytes" if found["undisturbed"] == found["killed twice"] else "NOT the same bytes")
    sys.exit(found["undisturbed"] != found["killed twice"])


if __name__ == "__main__": main()
