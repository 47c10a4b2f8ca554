"""Which way of asking suits a model: the library's own trial, and the share of answers that hold a function.

    python benchmarks/asking.py MODEL [MBPP.jsonl] [--ways chat,comment,docstring] [--first 0] [--number 20]

The second is about descriptions of MBPP's test set, sampled at temperature 0.8 without a signature, as the forward
cycle asks; with no file only the trial is made."""
import argparse
import time

from evoselfcode.engine.local import LocalEngine
from evoselfcode.evaluation.suite import solving
from evoselfcode.execution.execution import Runner
from evoselfcode.io_utils import read_jsonl
from evoselfcode.prompts import WAYS, outcome, trial
from evoselfcode.syntax import main_function, parse

options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
options.add_argument("model")
options.add_argument("problems", nargs="?")
options.add_argument("--ways", default=",".join(WAYS))
options.add_argument("--first", type=int, default=0)
options.add_argument("--number", type=int, default=20)
given = options.parse_args()

engine = LocalEngine(given.model)
for name in given.ways.split(","):
    way, start = WAYS[name](engine.tokenizer), time.time()
    print(f"{outcome(trial(engine, [way], solving(Runner())))}; {time.time() - start:.0f} s", flush=True)
    if not given.problems: continue
    texts = [row["text"] for row in read_jsonl(given.problems) if 11 <= row["task_id"] <= 510]
    asked, start = texts[given.first:given.first + given.number], time.time()
    drawn = engine.sample([way.d2c(text) for text in asked], max_new_tokens=160, seed=1, stop=way.code_stops)
    codes = [way.code(sample.text) for (sample,) in drawn]
    holds = sum(bool(parse(code) and main_function(code)) for code in codes)
    ends = sum(sample.finished for (sample,) in drawn)
    took = f"{time.time() - start:.0f} s"
    print(f"  MBPP: {holds} of {len(codes)} answers hold a function, {ends} end; {took}", flush=True)
