"""BigCodeBench: what its harness passes passes here, and what is forged does not.

What this machine lacks is nobody's failure.
"""
import __future__

import ast
import json
import sys
from dataclasses import replace

import pytest

from evoselfcode.errors import UserError
from evoselfcode.evaluation import benchmark
from evoselfcode.evaluation.benchmark import ISOLATED, OFFICIAL, check, read_samples, write_samples
from evoselfcode.evaluation.bigcodebench import CURRENT, BigCodeBench, count_tests, hard_ids, reason
from evoselfcode.execution.execution import LIBS, Runner, Verdict
from evoselfcode.execution.sandbox.harnesses.bigcodebench import parts_of


def task(
    number: int, imports: str, tests: str, body: str = "    return x\n", libs: tuple = ("os",),
    head: str = "def task_func(x=1):",
) -> dict:
    "A problem in the form of the authors' file."
    return dict(
        task_id=f"T/{number}",
        complete_prompt=f'{imports}\n{head}\n    """Do it."""\n',
        canonical_solution=body,
        code_prompt=f"{imports}\n{head}\n",
        entry_point="task_func",
        instruct_prompt=f"Do it.\nYou should write self-contained code starting with:\n```\n{imports}\n{head}\n```",
        test=tests,
        doc_struct="{}",
        libs=str(list(libs)),
    )


def cases(*methods: str, top: str = "", setup: str = "") -> str:
    "A class of tests."
    lines = [line for body in methods for line in body.splitlines()]
    imports = f"import unittest\nfrom unittest.mock import patch, mock_open\n{top}\n"
    body = "".join(f"    {line}\n" for line in [*setup.splitlines(), *lines])
    return f"{imports}class TestCases(unittest.TestCase):\n{body}"


SAME = cases(
    "def test_one(self): self.assertEqual(task_func(1), 1)",
    "def test_two(self):\n    got = task_func(2)\n    self.assertEqual(got, 2)",
)
BENCH = BigCodeBench(
    [
        task(0, "import os", SAME),
        task(
            1, "import os",
            cases(
                "@patch('builtins.open', mock_open(read_data='ab'))\n"
                "def test_open(self): self.assertEqual(task_func('f'), 'ab')",
                "def test_print(self):\n"
                "    with patch('builtins.print') as shown: task_func(os.devnull)\n"
                "    shown.assert_not_called()",
            ),
            "    with open(x) as f: return f.read()\n",
        ),
        task(
            2, "import subprocess",
            cases(
                "def test_echo(self): self.assertEqual(task_func(['echo', 'a']).stdout, b'a\\n')",
                "def test_kill(self): self.assertEqual(task_func(['kill', '-9', '1']).returncode, 0)",
                "def test_python(self): self.assertEqual(task_func(['python', '-c', 'print(6)']).stdout, b'6\\n')",
            ),
            "    return subprocess.run(x)\n",
        ),
        task(
            3, "import urllib.request",
            cases(
                "def test_local(self):\n"
                "    s = http.server.HTTPServer(('127.0.0.1', 0), http.server.SimpleHTTPRequestHandler)\n"
                "    threading.Thread(target=s.serve_forever, daemon=True).start()\n"
                "    self.assertEqual(task_func(f'http://localhost:{s.server_port}/'), 200)",
                top="import http.server, threading",
            ),
            "    return urllib.request.urlopen(x).status\n",
        ),
        task(
            4, "import urllib.request",
            cases("def test_far(self): self.assertEqual(task_func('http://example.org'), 200)"),
            "    return urllib.request.urlopen(x).status\n",
        ),
        task(5, "import no_such_library", SAME, libs=("no_such_library",)),
        task(
            6, "import time, os, sys",
            cases(
                "def test_zone(self): self.assertEqual((time.tzname[0], exit, quit), ('UTC', None, None))",
                "def test_surroundings(self): self.assertEqual((__name__, __file__, os.listdir('.'), environ), "
                "('__test__', '__test__.py', [], os.environ))",
                "def test_output(self):\n    print('heard')\n    self.assertIn('heard', sys.stdout.getvalue())",
                "def test_input(self):\n    with self.assertRaises(OSError): input()",
                "def test_registered(self): self.assertIs(sys.modules['__test__'].task_func, task_func)",
            ),
            libs=("no_such_library", "os"),
        ),
        task(
            7, "import time",
            cases(
                "def test_slow(self): time.sleep(task_func(30))", "def test_quick(self): self.assertTrue(task_func())"
            ),
        ),
        task(
            8, "from multiprocessing import Pool",
            cases("def test_pool(self): self.assertEqual(task_func([1, 2]), [1, 2])"),
            "    with Pool(2) as pool: return pool.map(abs, x)\n",
        ),
        task(
            9, "import os",
            cases(
                "def test_start(self):\n"
                "    patch('builtins.input', return_value='a').start()\n"
                "    self.assertEqual(task_func(), 'a')",
            ),
            "    return input()\n",
        ),
    ],
    harness=replace(CURRENT, seconds=3.0),
)
HONEST = {number: BENCH.canonical(BENCH.problems[number]) for number in (0, 1, 2, 3, 6, 8, 9)}
ANSWER = "def task_func(x=1): return x\n"
WRONG = {  # on task 0: solution, how the harness's word would be, what the detail says
    "wrong": ("def task_func(x): return 1", "fail", "test_two: AssertionError: 1 != 2"),
    "no Python": ("def task_func(x: return x", "fail", "ALL: SyntaxError"),
    # calibrated: there is one, which gives None
    "no function": ("x = 1", "fail", "test_one: AssertionError: None != 1 (and 1 more)"),
    "ends at once": ("import sys\nsys.exit(0)", "fail", "ALL: SystemExit: 0"),
    "ends without a word": ("import os\nos._exit(0)", "timeout", "it ended itself with exit code 0"),
    "a library of its own": ("import such_a_library_there_is_not", "fail", "ALL: ModuleNotFoundError"),
}
FORGED = {  # on task 0: each passes in the harness
    "assertions": (
        "import unittest\nunittest.TestCase.assertEqual = lambda *a: None\ndef task_func(x): pass",
        "unittest.case.TestCase.assertEqual",
    ),
    "assertions, late": (
        "def task_func(x):\n    import unittest\n    unittest.TestCase.assertEqual = lambda *a: None\n    return 1",
        "unittest.case.TestCase.assertEqual",
    ),
    "the code of one": (
        "import unittest\n"
        "def task_func(x): unittest.TestCase.assertEqual.__code__ = (lambda self, first, second, msg=None: "
        "None).__code__",
        "unittest.case.TestCase.assertEqual",
    ),
    "one test's own": (
        "import sys\n"
        "def task_func(x):\n"
        "    sys._getframe(1).f_locals['self'].assertEqual = lambda *a: None\n"
        "    return 1",
        "self.assertEqual",
    ),
    "all tests' own":
        ("def task_func(x):\n    TestCases.assertEqual = lambda *a: None\n    return 1", "TestCases.assertEqual"),
    "the tests": ("def task_func(x):\n    TestCases.test_two = lambda self: None\n    return 1", "TestCases.test_two"),
    "an own TestCase": (
        "import sys, types, unittest\n"
        "class Mild(unittest.TestCase):\n"
        "    def assertEqual(self, *a): pass\n"
        "sys.modules['unittest'].TestCase = Mild",
        "unittest.TestCase",
    ),
    "fewer tests": (
        "import unittest\nunittest.TestLoader.getTestCaseNames = lambda self, kind: ['test_one']\n" + ANSWER,
        "unittest.loader.TestLoader.getTestCaseNames",
    ),
    "skipping": ("def task_func(x):\n    import unittest\n    raise unittest.SkipTest", "the tests: 2 of 2 skipped"),
    "no tests to be found": (
        "class Names(type):\n"
        "    def __dir__(cls): return []\n"
        "import builtins\n"
        "built = builtins.__build_class__\n"
        "builtins.__build_class__ = lambda body, name, *bases, **more: built(body, name, *bases, metaclass=Names)",
        "builtins.__build_class__",
    ),
    "forgetting failures": (
        "import gc, unittest\n"
        "def task_func(x):\n"
        "    for it in gc.get_objects():\n"
        "        if isinstance(it, unittest.TestResult): it.failures.clear()\n"
        "    return 2",
        "the result",
    ),
    "a deaf result": (
        "import gc, unittest\n"
        "def task_func(x):\n"
        "    for it in gc.get_objects():\n"
        "        if isinstance(it, unittest.TestResult): it.addFailure = it.addError = lambda *a: None",
        "result.addError",
    ),
    "an answer of its own":
        ("import sys\ndef task_func(x): sys.modules['child'].encode = lambda value: {'dict': [[], []]}", None),
}


@pytest.fixture(scope="module")
def rows():
    "Everything that is judged here, judged at once: a server of this profile takes seconds to start."
    samples = {("honest", number): sample for number, sample in HONEST.items()}
    samples |= {("wrong", name): dict(task_id="T/0", solution=solution) for name, (solution, *_) in WRONG.items()}
    samples |= {("forged", name): dict(task_id="T/0", solution=solution) for name, (solution, _) in FORGED.items()}
    samples["far"], samples["lacking"] = BENCH.canonical(BENCH.by_task["T/4"]), BENCH.canonical(BENCH.by_task["T/5"])
    samples["late"] = dict(task_id="T/7", solution=ANSWER)
    samples["future"] = dict(
        task_id="T/0", solution="from __future__ import annotations\ndef task_func(x: no_such_name): return x"
    )
    try: return dict(zip(samples, check(BENCH, list(samples.values()), runner=Runner(workers=1)), strict=True))
    except UserError as error:
        if "not run here" not in str(error): raise
        pytest.skip(f"the kernel grants no namespaces here: {error}")


def test_what_is_right_passes(rows):
    honest = {key[1]: row for key, row in rows.items() if key[0] == "honest"}
    found = {number: (row["status"], row["result"], row["detail"]) for number, row in honest.items()}
    assert found == dict.fromkeys(HONEST, ("passed", "pass", ""))
    ways = {(row["verdict"], row["checker"], row["sandbox"].partition(":")[0]) for row in rows.values()}
    assert ways == {("in-process", OFFICIAL, LIBS)}


@pytest.mark.parametrize("name", WRONG)
def test_what_is_wrong_does_not(rows, name):
    _, result, detail = WRONG[name]
    row = rows["wrong", name]
    assert (row["passed"], row["status"], row["result"]) == (False, "failed", result)
    assert row["detail"].startswith(detail)


def test_each_failing_test_says_why(rows):
    assert rows["wrong", "wrong"]["details"] == {"test_two": "AssertionError: 1 != 2"}


@pytest.mark.parametrize("name", FORGED)
def test_forging_is_evident(rows, name):
    row = rows["forged", name]
    assert not row["passed"] and row["status"] == "failed", row
    if what := FORGED[name][1]:
        assert row["result"] == "pass" and row["detail"].startswith("tampered with ") and what in row["detail"], row


def test_what_is_missing_here_is_not_the_models_failure(rows):
    assert (rows["lacking"]["status"], rows["lacking"]["detail"]) == ("missing-dependency", "no_such_library")
    assert rows["far"]["network"] == ["example.org"] and rows["far"]["result"] == "fail"


def test_time_ends_a_test_and_the_others_still_run(rows):
    row = rows["late"]
    assert (row["status"], row["result"], list(row["details"])) == ("timeout", "fail", ["test_slow"])


def test_a_program_is_compiled_with_its_tests(rows):
    detail = rows["future"]["detail"]
    assert detail.startswith("ALL: SyntaxError: from __future__"), "behind the head of the function, as in the harness"
    ours, theirs = parts_of(
        "from __future__ import annotations\n@f\ndef task_func(x: a): 1\r\nx = 1",
        "import b\nclass TestCases: c = '''\n'''",
    )
    assert ours.co_flags & theirs.co_flags & __future__.annotations.compiler_flag
    assert ours.co_names == ("__future__", "annotations", "f", "task_func", "x")
    assert theirs.co_names == ("b", "TestCases")
    assert {line for *_, line in theirs.co_lines() if line} == {5, 6}
    for whole in (("", "import b"), ("'''", "'''"), ("x = 1", "")): assert not parts_of(*whole)[1].co_names


def test_tasks_that_cannot_be_judged_are_left_out_once(tmp_path, monkeypatch, rows, message):
    tasks = [BENCH.by_task[t] for t in ("T/0", "T/4", "T/5")]
    few = BigCodeBench(tasks, "instruct", "full", harness=BENCH.harness, md5="m")
    here, reasons = few.runnable(runner=Runner(workers=1, store=tmp_path / "verdicts.sqlite"))
    assert reasons == {"T/4": "needs-network: example.org", "T/5": "missing-dependency: no_such_library"}
    assert here.set_name == "bigcodebench[instruct, full-3, 1 runnable here]"
    assert (list(here.by_task), here.md5, here.libraries) == (["T/0"], "m", few.libraries)
    monkeypatch.setattr("evoselfcode.execution.workers._Worker", None)  # whoever started one would fail
    assert few.runnable(runner=Runner(workers=1, store=tmp_path / "verdicts.sqlite"))[1] == reasons
    alone = BigCodeBench([BENCH.by_task["T/5"]], harness=BENCH.harness)
    assert "no task can be checked here" in message(alone.runnable, Runner(store=tmp_path / "verdicts.sqlite"))


def test_a_library_that_only_a_message_names_is_missing_too():
    failing = {"test_a": "ImportError: `Import no_such_parser` failed.  Use pip"}
    row = dict(status="failed", detail="", details=failing, network=[])
    assert reason(BENCH.problems[0], row) == "missing-dependency: no_such_parser"
    row |= dict(status="timeout", detail="no end within 4 s", details={})
    assert reason(BENCH.problems[0], row) == "its own solution fails here: timeout no end within 4 s"


SOUND = dict(ran=2, skipped=0, details={}, tampered=[], network=[])

@pytest.mark.parametrize("told", [
    None, 1, [], {}, SOUND | dict(ran=True), SOUND | dict(more=1), SOUND | dict(details=[]),
    SOUND | dict(details={"a": 1}), SOUND | dict(tampered=[1]), SOUND | dict(network=None),
])
def test_an_answer_of_another_form_is_no_verdict(told):
    row = BENCH.result(BENCH.problems[0], {}, [Verdict("passed", value=told)], OFFICIAL)
    assert (row["passed"], row["detail"]) == (False, "tampered with its answer")


@pytest.mark.parametrize("told, passed", [
    (SOUND, True), (SOUND | dict(ran=1), False), (SOUND | dict(ran=3), False), (SOUND | dict(ran=0), False),
    (SOUND | dict(skipped=1), False),
])
def test_all_tests_must_have_run(told, passed):
    assert BENCH.result(BENCH.problems[0], {}, [Verdict("passed", value=told)], OFFICIAL)["passed"] is passed


@pytest.mark.parametrize("status, detail", [
    ("timeout", "no end within 4 s"), ("crashed", "signal SIGSEGV before the end"), ("memory", "MemoryError"),
])
def test_a_process_that_is_gone_is_a_timeout_to_the_harness(status, detail):
    row = BENCH.result(BENCH.problems[0], {}, [Verdict(status, detail)], OFFICIAL)
    assert (row["passed"], row["status"], row["detail"], row["result"]) == (False, status, detail, "timeout")


@pytest.mark.parametrize("text, number", [
    (SAME, 2),
    ("class TestCases(A): pass\nclass A:\n    def test_a(self): pass\n", 1),
    ("class TestCases:\n    async def test_a(self): pass\n    def test_a(self): pass\n    def atest(self): pass\n",
     1),
    ("class Other:\n    def test_a(self): pass\n", 0),
    ("def", 0),
    ("class TestCases(TestCases):\n    def test_a(self): pass\n", 1),
])
def test_tests_are_counted(text, number):
    assert count_tests(text) == number


def test_only_the_official_way_exists(message):
    assert BigCodeBench.checkers == (OFFICIAL,) and BENCH.limits(OFFICIAL).profile == LIBS
    assert "is checked by official, not by 'isolated'" in message(check, BENCH, [], ISOLATED)


def test_prompts(message):
    problem = task(0, "import os", SAME)
    complete, instruct = BigCodeBench([problem]), BigCodeBench([problem], "instruct")
    assert complete.prompt(problem) == problem["complete_prompt"]
    user, assistant = complete.prompt(problem, chat=True)
    assert user["content"].startswith(
        "Please provide a self-contained Python script that solves the following problem in a markdown code block:\n"
        "```\nimport os\ndef"
    )
    assert user["content"].endswith('"""\n```\n')
    assert assistant == dict(
        role="assistant",
        content="Below is a Python script with a self-contained function that solves the problem and passes "
                "corresponding tests:\n```python\n",
    )
    assert instruct.prompt(problem, chat=True)[0]["content"].endswith(f"code block:\n{problem['instruct_prompt']}\n")
    assert "a base model cannot be asked in words" in message(instruct.prompt, problem)


def test_extraction_keeps_a_function_that_returns_nothing():
    problem = task(0, "import os", SAME)
    body = BENCH.extract(problem, "    print(x)\n\nprint(task_func(2))\n")
    assert body.rstrip() == 'import os\ndef task_func(x=1):\n    """Do it."""\n    print(x)'
    function = "import re\ndef task_func(x):\n    print(x)"
    assert BENCH.extract(problem, f"{function}\n```\nSo it goes.", chat=True).rstrip() == function


def test_programs_are_put_together_in_two_ways():
    problem = task(0, "import os", SAME)
    for calibrated, text in ((True, problem["code_prompt"] + "\n    pass\nx = 1"), (False, "x = 1")):
        program, = BigCodeBench([problem], calibrated=calibrated).programs(problem, dict(solution="x = 1"), OFFICIAL)
        assert json.loads(program.call)[1:] == [text, SAME, 241.0]


def test_data_comes_from_a_folder(tmp_path, message, monkeypatch):
    monkeypatch.setattr(benchmark, "fetch", lambda source, folder: None)
    lines = "".join(json.dumps(problem) + "\n" for problem in BENCH.problems[:3])
    assert "BigCodeBench-v0.1.4.jsonl: not in" in message(BigCodeBench.load, [tmp_path])
    (tmp_path / "BigCodeBench-v0.1.4-rebuilt.jsonl").write_text(lines)
    bench = BigCodeBench.load([tmp_path / "absent", tmp_path], harness=replace(CURRENT, seconds=9.0))
    limits = bench.limits(OFFICIAL)
    assert (limits.seconds, limits.memory_mb) == (10.0, 4096)
    assert (bench.set_name, bench.libraries) == ("bigcodebench[complete, full-3]", {"os"})
    assert BigCodeBench.load([tmp_path], calibrated=False).set_name == "bigcodebench[complete, full-3, not calibrated]"
    assert "hard_task_ids.json" in message(BigCodeBench.load, [tmp_path], "instruct", "hard")
    (tmp_path / "hard_task_ids.json").write_text('["T/2", "T/9"]')
    assert "lacks 1 of the hard tasks, the first is T/9" in message(BigCodeBench.load, [tmp_path], "instruct", "hard")
    (tmp_path / "hard_task_ids.json").write_text('["T/2"]')
    hard = BigCodeBench.load([tmp_path], "instruct", "hard", harness=CURRENT.name)
    assert hard.set_name == "bigcodebench[instruct, hard-1]"
    (tmp_path / "hard_task_ids.json").write_text('{"T/2": 1}')
    assert "must be a list of task ids" in message(hard_ids, [tmp_path])
    (tmp_path / "BigCodeBench-Hard-v0.1.4.jsonl").write_text(lines)
    assert hard_ids([tmp_path]) == {"T/0", "T/1", "T/2"}


@pytest.mark.parametrize("options, words", [
    (("prompt",), "split 'prompt': must be one of complete, instruct"),
    (("complete", "all"), "subset 'all': must be one of full, hard"),
])
def test_an_unknown_set_is_said_in_one_line(options, words, message):
    assert words in message(BigCodeBench, BENCH.problems, *options)


def test_sample_files(tmp_path, message):
    bench = BigCodeBench(BENCH.problems[:2])
    samples = [dict(task_id="T/0", solution="a", raw_solution="b", passed=True), dict(task_id="T/1", solution="c")]
    path = write_samples(tmp_path / "s.jsonl", bench, samples)
    assert [json.loads(line) for line in path.read_text().splitlines()] == [
        dict(task_id="T/0", solution="a", raw_solution="b"), dict(task_id="T/1", solution="c"),
    ]
    path.write_text(
        '{"task_id": "T/0", "completion": "    return 2"}\n'
        '{"task_id": "T/1", "solution": "x", "completion": "y"}\n'
    )
    prompt = bench.problems[0]["complete_prompt"]
    assert [s["solution"] for s in read_samples(path, bench)] == [prompt + "    return 2", "x"]
    path.write_text('{"task_id": "T/0", "code": "x"}\n')
    assert "needs task_id and solution, a text" in message(read_samples, path, bench)


def test_the_harness_module_needs_nothing_but_python(root):
    tree = ast.parse((root / "evoselfcode" / "execution" / "sandbox" / "harnesses" / "bigcodebench.py").read_text())
    imports = [node for node in ast.walk(tree) if isinstance(node, ast.Import)]
    assert {alias.name.split(".")[0] for node in imports for alias in node.names} <= sys.stdlib_module_names
    assert not [node for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)]
