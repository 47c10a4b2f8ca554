"""Each way of looking finds what it is for and spares what it is not, and what could not be looked for is told."""
import json
import sys

import pytest

from evoselfcode.config import Config
from evoselfcode.evaluation import contamination
from evoselfcode.evaluation import decontamination as gates
from evoselfcode.evaluation.benchmark import Problem
from evoselfcode.evaluation.contamination import AST, BEHAVIOURAL, EXACT, KINDS, TEN_GRAM, Index, functions_of, overlap
from evoselfcode.evaluation.evalplus import HumanEvalPlus
from evoselfcode.evaluation.humaneval import HumanEval
from evoselfcode.evaluation.lcb import LiveCodeBench
from evoselfcode.evaluation.mbpp import Mbpp, problem_of
from evoselfcode.evaluation.opened import opened
from evoselfcode.execution.execution import Program, Runner, run_programs
from evoselfcode.io_utils import write_jsonl
from evoselfcode.pipeline import dual_model, filtering
from evoselfcode.syntax import normal_form

PEAKS = dict(
    task_id="T/0", entry_point="count_peaks",
    prompt='from typing import List\n\n\n'
           'def count_peaks(heights: List[int]) -> int:\n'
           '    """ Say how many of the heights are strictly larger than both of their neighbours.\n'
           '    >>> count_peaks([1, 3, 2])\n'
           '    1\n'
           '    """\n',
    canonical_solution="    peaks = 0\n"
                       "    for place in range(1, len(heights) - 1):\n"
                       "        if heights[place - 1] < heights[place] > heights[place + 1]:\n"
                       "            peaks += 1\n"
                       "    return peaks\n",
    test="def check(candidate):\n"
         "    assert candidate([1, 3, 2]) == 1\n"
         "    assert candidate([]) == 0\n"
         "    assert candidate([1, 5, 1, 5, 1]) == 2\n"
         "    assert candidate([4, 4, 4]) == 0\n"
         "    assert candidate([1, 2, 3, 4]) == 0\n",
)
STEP = dict(
    task_id=7, text="Write a function to keep every n-th item of a list, beginning with the first of them.",
    code="def every(items, n):\r\n    return items[::n]\r\n",
    test_list=[
        "assert every([1, 2, 3, 4], 2) == [1, 3]", "assert every(['a', 'b', 'c'], 3) == ['a']",
        "assert every([], 4) == []",
    ],
)
PROBLEMS = [HumanEval([PEAKS]).neutral(PEAKS), Mbpp("own", []).neutral(problem_of(STEP))]
HEAD = PEAKS["prompt"].split("    \"\"\"")[0].replace("count_peaks", "summits").replace("heights", "xs")
BODY = PEAKS["canonical_solution"].replace("heights", "xs").replace("peaks", "n").replace("place", "k")
RENAMED = HEAD + BODY
RESTYLED = "def summits(row):\n    return sum(a < b > c for a, b, c in zip(row, row[1:], row[2:]))\n"
INNOCENT = "def rises(row):\n    return sum(a < b for a, b in zip(row, row[1:]))\n"


def kinds(code, description="It does something.", problems=PROBLEMS) -> list[str]:
    found = overlap(problems, [dict(id="r", description=description, code=code)], runner=Runner(workers=1))
    assert {f["kind"] for f in found.findings} == {k for k, n in found.counts.items() if n}
    return [k for k in KINDS if found.counts[k]]


@pytest.mark.parametrize("what, code, description, wanted", [
    ("the problem itself", PEAKS["prompt"] + PEAKS["canonical_solution"], "", [EXACT, TEN_GRAM, AST, BEHAVIOURAL]),
    ("its words, among others", "x = 1\n",
     "Task: say how many of the HEIGHTS are strictly larger than both of their neighbours!  Thank you.",
     [EXACT, TEN_GRAM]),
    ("its solution without hints and docstring, in other spacing",
     "def count_peaks( heights ):\n"
     "  peaks=0\n"
     "  for place in range(1,len(heights)-1):\n"
     "    if heights[place-1]<heights[place]>heights[place+1]: peaks+=1\n"
     "  return peaks\n", "", [TEN_GRAM, AST, BEHAVIOURAL]),
    ("a piece of its solution", "n = 0\nif heights[place - 1] < heights[place] > heights[place + 1]:\n    n = 1\n", "",
     [TEN_GRAM]),
    ("other names", RENAMED, "", [AST, BEHAVIOURAL]),
    ("other names, among other functions",
     "import math\nfrom typing import List\n\ndef area(r):\n    return math.pi * r * r\n\n"
     + RENAMED.split("\n\n\n")[1], "", [AST, BEHAVIOURAL]),
    ("a comprehension in place of the loop", RESTYLED, "", [BEHAVIOURAL]),
    ("a method",
     "class Solution:\n    def summits(self, row: list[int]) -> int:\n"
     + RESTYLED.split("\n", 1)[1].replace("    return", "        return"), "", [BEHAVIOURAL]),
    ("an inner function that is called as one of the tests'",
     "def summits(row):\n"
     "    def check(a, b, c): return a < b > c\n"
     "    return sum(check(*t) for t in zip(row, row[1:], row[2:]))\n", "", [BEHAVIOURAL]),
    ("in a fence", f"Sure:\n```python\n{RESTYLED}```\nThat is it.", "", [BEHAVIOURAL]),
    ("one more argument, which has a default", RESTYLED.replace("(row)", "(row, least=0)"), "", [BEHAVIOURAL]),
    ("a relative", INNOCENT, "Say how many of the heights are larger than the one before.", []),
    ("an idiom of the solution", "def f(heights):\n    for i in range(1, len(heights) - 1):\n        print(i)\n", "",
     []),
    ("no code", "", "", []),
    ("no Python", "def def (", "", []),
    ("a constant", "def f(row):\n    return 0\n", "", []),
], ids=lambda v: v if isinstance(v, str) and "\n" not in v and len(v) < 70 else "")
def test_each_kind_finds_its_own(what, code, description, wanted):
    assert kinds(code, description) == wanted


def test_two_arguments_in_mbpp_form_by_other_names_and_means():
    chosen = "def thin(things, by):\n    return [t for place, t in enumerate(things) if place % by == 0]\n"
    assert kinds(chosen) == [BEHAVIOURAL]
    assert kinds("def thin(things, by):\n    return things[by:]\n") == []
    assert kinds("def thin(*, things, by):\n    return things[::by]\n") == [AST, BEHAVIOURAL]
    assert kinds("def thin(*things, by):\n    return things[::by]\n") == []


GCD = "def g(p, q):\n    while q:\n        p, q = q, p % q\n    return p\n"
CALLS_ITSELF = "p if not q else {}g(q, p % q)"
DIVISOR = dict(
    task_id="HumanEval/13", entry_point="greatest_common_divisor",
    canonical_solution="    while b:\n        a, b = b, a % b\n    return a\n",
    prompt="def greatest_common_divisor(a: int, b: int) -> int:\n"
           '    """ Return a greatest common divisor of two integers a and b\n'
           '    >>> greatest_common_divisor(3, 5)\n'
           '    1\n'
           '    """\n',
    test="def check(candidate):\n"
         "    assert candidate(3, 7) == 1\n"
         "    assert candidate(10, 15) == 5\n"
         "    assert candidate(49, 14) == 7\n"
         "    assert candidate(144, 60) == 12\n",
)


def within(head, code=GCD, by=4):
    return head + "".join(f"{' ' * by}{line}\n" for line in code.rstrip("\n").split("\n"))


WRITTEN = {  # as data sets write it
    "in a fence": f"```python\n{GCD}```",
    "attributes": f'```python title="x" {{1}}\n{GCD}```',
    "a space": f"``` python\n{GCD}```",
    "braces": f"```{{.python}}\n{GCD}```",
    "CRLF": f"So:\n```python\n{GCD}```\n".replace("\n", "\r\n"),
    "never closed": f"So:\n```python\n{GCD}",
    "never closed, with words": f"```python\n{GCD}\nThat's it.",
    "tildes": f"~~~python\n{GCD}~~~",
    "only closed": f"{GCD}```\nThat's it.",
    "after another language": f"```bash\npip install g\n```\nThen:\n```python\n{GCD}```",
    "after output": f"```\nit's (some output\n```\n```py\n{GCD}```",
    "among broken blocks": f"```python\ndef (\n```\n```python\n{GCD}```",
    "in a list": within("1. So:\n", f"```python\n{GCD}```", 3),
    "no fence": f"Here it is:\n\n{GCD}\nThat's it.",
    "a wrong language": f"```text\n{GCD}```",
    "below words that would not run": f"Answer: yes\n{GCD}print(g(no, names))\nThat's it.",
    "capitals": f"```Python3\n{GCD}```",
}
PLACED = {  # as programs hold it
    "a lambda": f"g = lambda p, q: {CALLS_ITSELF.format('')}\n",
    "a lambda with a hint": f"g: object = lambda p, q: {CALLS_ITSELF.format('')}\n",
    "a lambda in a class": f"class A:\n    g = lambda self, p, q: {CALLS_ITSELF.format('self.')}\n",
    "if": within("if True:\n"),
    "main": within('if __name__ == "__main__":\n') + "    print(g(3, 5))\n",
    "else": within("if True: pass\nelse:\n"),
    "try": within("try:\n") + "except Exception: pass\n",
    "except": within("try:\n    from math import gcd as g\nexcept ImportError:\n"),
    "with": within("import contextlib\nwith contextlib.suppress(Exception):\n"),
    "for": within("for _ in range(1):\n"),
    "nested": within("def outer(x):\n") + "    return g(x, 3) + 1\n",
    "nested under its own name":
        within("def g(x):\n", f"def g(p, q):\n    return {CALLS_ITSELF.format('')}\n") + "    return g\n",
    "nested with its import":
        within("def outer(x):\n    import math\n", "def g(p, q):\n    return math.gcd(p, q)\n") + "    return g\n",
    "nested in a method":
        within("class A:\n    def __init__(self, z): pass\n    def m(self):\n", by=8) + "        return g\n",
    "a class in a class": within("class A:\n    class B:\n        @staticmethod\n", by=8),
    "a class under a condition": within("if True:\n    class A:\n        @staticmethod\n", by=8),
    "async": f"async {GCD}",
    "async, calls itself": f"async def g(p, q):\n    return {CALLS_ITSELF.format('await ')}\n",
    "async, with a main":
        f"import asyncio\nasync {GCD}async def main():\n    print(await g(3, 5))\nasyncio.run(main())\n",
    "by name": GCD.replace("(p, q)", "(*, p, q)"),
    "one by name": GCD.replace("(p, q)", "(p, *, q)"),
    "by name, calls itself": "def g(*, p, q):\n    return p if not q else g(p=q, q=p % q)\n",
    "by name, with defaults": GCD.replace("(p, q)", "(p=1, *, q)"),
    "all at once":
        within("async def outer():\n    if 1:\n", "g = lambda *, p, q: p if not q else g(p=q, q=p % q)\n", 8),
    "beside a library that is missing":
        f"try:\n    import no_such_library\nexcept ImportError:\n    no_such_library = None\n{GCD}",
    "beside a function that its place makes": f"{GCD}def outer(n):\n    def h(a=n): return a\n    return h\n",
}


def test_a_renamed_solution_is_found_wherever_it_stands():
    texts = WRITTEN | PLACED
    rows = [dict(id=name, description="It does something.", code=text) for name, text in texts.items()]
    found = overlap([HumanEval([DIVISOR]).neutral(DIVISOR)], rows, runner=Runner(workers=1))
    assert not found.unanswered and {f["id"] for f in found.findings if f["kind"] == BEHAVIOURAL} == set(texts)
    same = {f["id"] for f in found.findings if f["kind"] == AST}
    assert same >= set(WRITTEN) | {
        "if", "main", "else", "try", "except", "with", "for", "nested", "nested in a method", "async", "by name",
        "one by name",
    }


def test_what_only_looks_like_it_is_spared_wherever_it_stands():
    other = GCD.replace("return p", "return p + 1")
    texts = [
        f"```python title='x'\n{other}```",
        within("if True:\n", other),
        f"async {other}",
        other.replace("(p, q)", "(*, p, q)"),
        "g = lambda p, q: p + q\n",
        within("def outer(x):\n", other) + "    return g\n",
    ]
    rows = [dict(id=str(i), description="It does something.", code=text) for i, text in enumerate(texts)]
    found = overlap([HumanEval([DIVISOR]).neutral(DIVISOR)], rows, runner=Runner(workers=1))
    assert found.findings == [] and not found.unanswered


def test_a_program_that_can_be_asked_as_it_is_stays_as_it_is():
    for code in (
        GCD,
        "class A:\n    def m(self): pass  # so\n",
        "def f(x): return sorted(x, key=lambda y: -y)\n",
        "def (", "",
    ):
        assert opened(code) == code
    assert functions_of(opened("def f(a=1, *, b, c=2): return a\n")) == [("f", 0, 3)]


def test_a_function_that_changes_its_argument_is_found():
    clear = Problem(
        "own", "c", code="def halve(xs):\n    xs[:] = xs[:len(xs) // 2]\n", entry_point="halve",
        tests="a = [1, 2, 3, 4]\nhalve(a)\nassert a == [1, 2]\nb = [9, 8]\nhalve(b)\nassert b == [9]\n",
    )
    assert kinds("def cut(them):\n    del them[len(them) // 2:]\n", problems=[clear]) == [BEHAVIOURAL]
    assert kinds("def cut(them):\n    del them[1:]\n", problems=[clear]) == []


def test_inputs_alone_and_inputs_with_answers_will_do():
    square = dict(entry_point="square", inputs=([3], [-2], [0.5], [10]))
    by_code = Problem("own", "s", code="def square(x):\n    return x * x\n", **square)
    by_answers = Problem("own", "s", answers=(9, 4, 0.25, 100), **square)
    for p in (by_code, by_answers):
        assert BEHAVIOURAL in kinds("def f(z):\n    return z ** 2\n", problems=[p])
        assert not kinds("def f(z):\n    return 3 * z\n", problems=[p])


def test_a_10_gram_that_many_problems_share_does_not_count():
    line = (
        "    result_of_all = "
        "[first_of_them + second_of_them for first_of_them, second_of_them in zip(values, values)]\n"
    )
    codes = [f"def task_{i}(values):\n{line}    return result_of_all[{i}:]\n" for i in range(3)]
    made = [Problem("own", str(i), code=code) for i, code in enumerate(codes)]
    row = f"def other(stuff):\n    values = list(stuff)\n{line}    return len(result_of_all)\n"
    assert kinds(row, problems=made[:2]) == [TEN_GRAM] and kinds(row, problems=made) == []


def test_the_report_counts_rows_by_problem_and_names_the_worst():
    rows = [
        dict(id="a", description="", code=RESTYLED), dict(id="b", description="", code=INNOCENT),
        dict(id="c", description="", code=RESTYLED),
        dict(description="", code=PEAKS["prompt"] + PEAKS["canonical_solution"]),
    ]
    report = overlap(PROBLEMS, rows, runner=Runner(workers=1))
    table = report.frame()
    assert table.task_id.tolist() == ["T/0"]
    assert table[BEHAVIOURAL].tolist() == [3]
    assert table[EXACT].tolist() == [1]
    assert table.share.tolist() == [1.0]
    assert list(report.offenders) == [0, 2, 3]
    assert report.offenders[0] == "behavioural: summits passes the tests of humaneval T/0"
    assert len(report.frame(everything=True)) == 2 and {f["id"] for f in report.findings} == {"a", "c", "3"}


def test_what_cannot_be_asked_is_told():
    mute = Problem("own", "m", text="A problem without tests.")
    rows = [
        dict(id="hangs", description="", code="while True: pass\n\ndef f(x): return x\n"),
        dict(id="leaves", description="", code="import os\nos._exit(0)\n\ndef f(x): return x\n"),
        dict(id="lacks", description="", code="import no_such_module\n\ndef f(x): return x\n"),
        dict(id="waits", description="", code="import select\n\ndef f(x): return select.poll().poll()\n"),
        dict(id="found", description="", code=RESTYLED),
    ]
    report = overlap([*PROBLEMS, mute], rows, runner=Runner(workers=1))
    assert report.unanswered["waits"] == "it waits for what does not come"
    assert set(report.unanswered) == {"hangs", "leaves", "lacks", "waits"}
    assert "no_such_module" in report.unanswered["lacks"]
    # the neighbours in its batch do not hide it
    assert list(report.unchecked) == [("own", "m")] and list(report.offenders) == [4]


def test_what_a_function_did_is_asked_once(tmp_path, monkeypatch):
    rows = [dict(description="", code=RESTYLED), dict(description="", code=INNOCENT)]
    store = tmp_path / "store.sqlite"
    first = overlap(PROBLEMS, rows, Runner(workers=1, store=store))
    def feed(self): pytest.fail("something was run again")
    monkeypatch.setattr("evoselfcode.execution.workers._Pool.feed", feed)
    assert overlap(PROBLEMS, rows, Runner(workers=1, store=store)).findings == first.findings != []


def test_each_benchmark_says_what_its_problems_are():
    assert (PROBLEMS[0].benchmark, PROBLEMS[1].benchmark) == ("humaneval", "mbpp")
    assert PROBLEMS[0].text.startswith("Say how many")
    assert ">>>" not in PROBLEMS[0].text
    assert PROBLEMS[1].entry_point == "every"
    assert PROBLEMS[1].task_id == "Mbpp/7"
    cases = json.dumps([dict(input="1\n2", output="3", testtype="functional")])
    add = dict(task_id="q", question_content="Add.", starter_code="", function="add", public=cases)
    lcb = LiveCodeBench("lcb", [add]).neutral(add)
    assert lcb.inputs == ([1, 2],) and lcb.answers == (3,) and lcb.entry_point == "add"
    inputs = dict(base_input=[[[1, 3, 2]], [[]], [[1, 5, 1, 5, 1]]], plus_input=[], atol=0)
    given = {k: v for k, v in PEAKS.items() if k != "test"} | inputs
    plus = HumanEvalPlus.of([given]).neutral(given)
    assert not plus.tests and kinds(RESTYLED, problems=[plus]) == [BEHAVIOURAL]


def test_problems_are_laid_out_once_for_any_number_of_rows(monkeypatch):
    index = Index(PROBLEMS, Runner(workers=1))
    rows = [dict(id="a", description="", code=RESTYLED), dict(id="b", description="", code=INNOCENT)]
    both = index.report(rows).findings
    monkeypatch.setattr(contamination, "recorded", lambda *_: pytest.fail("the solutions were run again"))
    monkeypatch.setattr(contamination, "Texts", lambda *_: pytest.fail("the texts were read again"))
    assert index.report(rows[:1]).findings == both != [] and index.report(rows[1:]).findings == []


def test_functions_and_how_many_arguments_they_take():
    code = (
        "def a(x, y=1): pass\n"
        "class B:\n"
        "    def __init__(self, z): pass\n"
        "    def m(self): pass\n"
        "class C:\n"
        "    def m(self, x, *xs): pass\n"
        "    @staticmethod\n"
        "    def s(x): pass\n"
        "def k(*, key): pass\n"
    )
    assert functions_of(code) == [("a", 1, 2), ("C.m", 1, 98), ("C.s", 1, 1)]
    assert filtering.normal_form is normal_form  # where it was


# the gate

def settings(folder, *names) -> Config:
    config = Config()
    config.paths.root = str(folder)
    config.execution.workers = 1
    config.filter.benchmarks = list(names)
    return config


@pytest.mark.parametrize("name, content, why", [
    ("humaneval", None, "HumanEval.jsonl.gz: not in"),
    ("humaneval", "{", "HumanEval.jsonl: line 1"),
    ("humaneval", '{"task_id": 1}', "line 1"),
    ("pocket", None, "not found"),
])
def test_a_missing_or_broken_benchmark_is_told(tmp_path, name, content, why):
    if content:
        (tmp_path / "data/eval").mkdir(parents=True)
        (tmp_path / "data/eval/HumanEval.jsonl").write_text(content)
    problems, states = gates.protected_problems(settings(tmp_path, name))
    assert problems == [] and states[name].startswith("not done: ") and why in states[name]


def test_every_benchmark_that_may_be_named_can_be_opened():
    from evoselfcode.config import BENCHMARKS, PUBLIC
    from evoselfcode.evaluation import suite
    assert set(BENCHMARKS) == set(suite.BENCHMARKS) == {"pocket", *PUBLIC}


def test_the_line_is_red_on_a_terminal_only(capsys, monkeypatch):
    gates.tell(dict(a="done, 3 problems", b="not done: gone"))
    plain = capsys.readouterr().out
    assert "\x1b" not in plain
    assert "warning: contamination: b: not done: gone" in plain
    assert "contamination: a: done, 3 problems" in plain
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True)
    monkeypatch.delenv("NO_COLOR", raising=False)
    gates.tell(dict(a="done, 3 problems", b="not done: gone"))
    a, b = capsys.readouterr().out.splitlines()
    assert "\x1b" not in a and b.startswith("\x1b[31m") and b.endswith("\x1b[0m")


def test_the_folder_of_benchmarks_comes_first(tmp_path):
    write_jsonl(tmp_path / "data/eval/HumanEval.jsonl", [PEAKS, PEAKS | dict(task_id="T/1")])
    write_jsonl(tmp_path / "mine/HumanEval.jsonl", [PEAKS])
    config = settings(tmp_path, "humaneval")
    assert gates.protected_problems(config)[1]["humaneval"] == "done, 2 problems"
    config.paths.benchmarks = "mine"
    assert gates.protected_problems(config)[1]["humaneval"] == "done, 1 problems"


def test_candidates_and_round_trips_are_stopped(tmp_path, monkeypatch):
    write_jsonl(tmp_path / "data/eval/HumanEval.jsonl", [PEAKS])
    kept_out = gates.Contamination(settings(tmp_path, "humaneval"))
    did = dict(status="passed", fingerprint="1", errors=0, deterministic=True, detail="")
    both = dict(parents=["p"], scores=dict(perplexity=1.0, agreement=1.0), behaviour=did)
    rows = [
        both | dict(id="bad", description="Count the summits.", code=RESTYLED, entry_point="summits"),
        both | dict(id="good", description="Count the rises.", code=INNOCENT, entry_point="rises"),
        both | dict(id="broken", description="Count the summits.", code=RESTYLED + "(", entry_point="summits"),
    ]
    asked = []
    def contaminated(rows, fingerprints):
        asked.append([r["id"] for r in rows])
        return kept_out.reasons(rows, fingerprints)
    checked = filtering.apply_gates(rows, Config().filter, contaminated)
    assert [(c["dropped_by"], c["reason"]) for c in checked] == [
        ("contamination", "behavioural: summits passes the tests of humaneval T/0"),
        ("", ""),
        ("syntax", "does not parse"),
    ]
    class Echo:
        name = "echo"
        def sample(self, prompts, n, **_): return [[type("Sample", (), dict(text="    pass\n"))] * n for _ in prompts]
    tried = dual_model.round_trip(Echo(), rows, inputs=4, runner=Runner(workers=1), contaminated=contaminated)
    assert [p["dropped_by"] for p in tried] == ["contamination", "round_trip", "execution"]
    assert asked == [["bad", "good"]] * 2  # what was dropped before is not asked about


def test_the_default_marks_nothing_and_asks_the_splits_alone(root):
    config = settings(root, "pocket")
    kept_out = gates.Contamination(config)
    assert kept_out.mark == {}
    like = next(iter(kept_out.fingerprints))
    row = dict(id="x", description="", code=RESTYLED)
    assert kept_out.reasons([row, row], [like, None]) == ["behaves like a benchmark problem", ""]
    assert kept_out.states == {"pocket": "done, 400 problems"}
    config.filter.benchmarks = ["pocket", "lcb"]
    assert set(gates.Contamination(config).mark) == {"contamination"}
    config.filter.gates = ["syntax"]
    states = gates.Contamination(config).states.values()
    assert all(state.startswith("not done: filter.gates") for state in states)


def test_a_row_like_a_problem_of_mbpp_or_livecodebench_is_stopped(tmp_path):
    write_jsonl(tmp_path / "data/eval/mbpp.jsonl", [STEP | dict(task_id=11)])
    cases = [dict(input=f"[{', '.join(map(str, xs))}]", output=str(n), testtype="functional")
             for xs, n in (([1, 3, 2], 1), ([], 0), ([1, 5, 1, 5, 1], 2), ([1, 2, 3], 0))]
    contest = dict(
        question_id="q", question_content="Count.", contest_date="2024-08-31T00:00:00", starter_code="",
        public_test_cases=json.dumps(cases), private_test_cases="[]", metadata='{"func_name": "peaks"}',
    )
    write_jsonl(tmp_path / "data/eval/contest.jsonl", [contest])
    config = settings(tmp_path, "mbpp", "lcb")
    config.benchmark.lcb_release = "contest.jsonl"
    config.data.validation, config.data.test = "mbpp", "lcb"
    kept_out = gates.Contamination(config)
    assert kept_out.states == {"mbpp": "done, 1 problems", "lcb": "done, 1 problems"}
    slices = "def pick(xs, k):\n    return [x for i, x in enumerate(xs) if i % k == 0]\n"
    rows = [dict(id=str(i), description="", code=code) for i, code in enumerate((slices, RESTYLED, INNOCENT))]
    assert kept_out.reasons(rows, [None] * 3) == [
        "behavioural: pick passes the tests of mbpp Mbpp/11", "behavioural: summits passes the tests of lcb q", "",
    ]


@pytest.mark.parametrize("body, same", [
    ("xs.sort()", True), ("xs.sort(); return xs", False), ("return sorted(xs)", False), ("pass", False),
])
def test_a_function_that_changes_its_argument_gives_nothing_either(body, same):
    calls = json.dumps([[[[2, 1]], {"left": [[1, 2]]}]])
    tests = f"from harnesses.probing import expect\nexpect(f, {calls!r})"
    assert next(run_programs([Program(f"def f(xs): {body}", tests)], workers=1)).passed is same
