"HumanEval+ and MBPP+ on problems of our own: comparison, statuses, limits, harnesses, files."
import gzip
import hashlib
import json
import subprocess
import sys
import time
from types import SimpleNamespace

import pytest

from evoselfcode.errors import UserError
from evoselfcode.evaluation.benchmark import (
    ISOLATED,
    OFFICIAL,
    check,
    read_samples,
    suspicious,
    unsupported,
    write_samples,
)
from evoselfcode.evaluation.evalplus import CURRENT, RELEASED, HumanEvalPlus, MbppPlus
from evoselfcode.execution.execution import Runner
from evoselfcode.execution.sandbox.harnesses import evalplus as harness
from evoselfcode.execution.sandbox.harnesses.evalplus import (
    ARGUMENTS,
    Comparison,
    Expected,
    Known,
    Reference,
    allclose,
    digest,
    restore,
    weight,
)
from evoselfcode.project import package_folder


def record(
    task="HumanEval/0", name="f", body="    return x + 1\n", base=((1,), (2,)), plus=((3,), (-1,)), atol=0, head="x"
):
    return dict(
        task_id=task, entry_point=name,
        prompt=f'def {name}({head}):\n    """Do it."""\n',
        canonical_solution=body,
        contract="",
        test="",
        assertion="",
        atol=atol,
        base_input=list(map(list, base)),
        plus_input=list(map(list, plus)),
    )


def judged(problem, *solutions, kind=HumanEvalPlus, harness=CURRENT.name, checkers=(ISOLATED, OFFICIAL)):
    "(base, plus) of each solution, which must be the same for all checkers."
    bench = kind.of([problem], harness)
    samples = [dict(task_id=problem["task_id"], solution=solution) for solution in solutions]
    found = [check(bench, samples, checker, runner=Runner(workers=1)) for checker in checkers]
    first, *others = [[(row["base_status"], row["plus_status"]) for row in rows] for rows in found]
    assert all(other == first for other in others), (first, others)
    return first


# comparison

def holds(*pairs, dataset="humaneval", entry="f", atol=0):
    comparison, said = Comparison(dict(dataset=dataset, entry=entry, atol=atol)), []
    for arguments, output, expected in pairs:
        try: said.append(bool(comparison.holds(arguments, output, expected)))
        except Exception: said.append(False)
    return said


def test_floats_loosen_the_tolerance_for_good():
    near = ([], 10**9 + 1, 10**9)
    assert holds(near, ([], 1.0 + 1e-8, 1.0), near) == [False, True, True]
    assert holds(([], [1.0, 2.0 + 1e-9], [1.0, 2.0])) == [True]
    assert holds(([], (1.0 + 1e-9,), [1.0])) == [False]
    assert holds(([], [1.0], [1.0, 1.0])) == [False]
    assert holds(([], 2, 2.0), ([], 2 + 1e-9, 2)) == [True, False]   # exact, and of another type than expected
    assert holds(([], 1.5 + 9e-5, 1.5), atol=1e-4) == [True] and holds(([], 1.5 + 2e-4, 1.5), atol=1e-4) == [False]
    assert holds(([], [1.0, 2 + 1e-9], [1.0, 2])) == [False]        # not all of them are floats


@pytest.mark.parametrize("output, expected, close", [
    (1.0, 1.0 + 1e-9, True), (float("nan"), float("nan"), False), (float("inf"), float("inf"), True),
    (float("inf"), 1.0, False), (1.0, float("inf"), False), ([[1.0], [2.0]], [[1.0, 1.0], [2.0, 2.0]], True),
    ([1.0, 2.0], [[1.0, 2.0], [1.0, 2.0]], True), (1j, 1j + 1e-9, True), (True, 1.0, True), ([], [], True),
    ([[]], [[]], True), ([1, 1.0], [1, 1.0], True), (10**30, 10**30 + 1, True), ([2**63, -1], [2**63, -1], True),
])
def test_allclose_is_numpys(output, expected, close):
    numpy = pytest.importorskip("numpy")
    assert allclose(output, expected, 1e-6) is close is bool(numpy.allclose(output, expected, rtol=1e-7, atol=1e-6))


@pytest.mark.parametrize("output, expected", [
    ("a", "a"), ([1.0, [2.0]], [1.0, [2.0]]), ({1.0}, {1.0}), (None, None), ({"a": 1.0}, {"a": 1.0}),
    ([1.0, 2.0], [1.0, 2.0, 3.0]), ([10**30], [10**30]), ([10**30, 1.0], [10**30, 1.0]), ([10**400, 1], [1.0, 1.0]),
])
def test_allclose_refuses_what_numpy_refuses(output, expected):
    numpy = pytest.importorskip("numpy")
    refused = (TypeError, ValueError, OverflowError)
    with pytest.raises(refused): allclose(output, expected, 1e-6)
    with pytest.raises(refused): numpy.allclose(output, expected, rtol=1e-7, atol=1e-6)


def test_special_tasks():
    assert holds(([], "x", None), ([], None, False), dataset="mbpp", entry="are_equivalent") == [True, True]
    assert holds(([], 0, 5), ([], 5, 5), ([], 1, 5), dataset="mbpp", entry="sum_div") == [True, True, False]
    assert holds(([], 0, 5), entry="sum_div") == [False]
    sets = holds(([], [2, 1, 1], (1, 2)), ([], [1], (1, 2)), ([], 3, (3,)), dataset="mbpp", entry="Diff")
    assert sets == [True, False, False]
    pairs = [([], "match", True), ([], None, False), ([], True, True), ([], False, True), ([], 0, False)]
    assert holds(*pairs, dataset="mbpp", entry="check_str") == [True, True, True, False, False]
    assert holds(([3, 4], 33, 1), ([3, 4], 35, 1), dataset="mbpp", entry="surface_Area") == [False, True]
    pairs = [([123, 9], 9, 1), ([123, 9], 1, 1), ([123, 9], 2, 1)]
    assert holds(*pairs, dataset="mbpp", entry="digit_distance_nums") == [True, True, False]
    assert holds(([[-2, 1]], 2.0 + 1e-6, 7), ([[-2, 1]], 2.1, 2.1), entry="find_zero", atol=1e-4) == [True, False]


def test_arguments_are_restored():
    assert restore("Mbpp/2", [[[1], [2, 3]]]) == [[(1,), (2, 3)]]
    assert restore("Mbpp/63", [[[[1, 2], [3]]]]) == [[[(1, 2), (3,)]]]
    assert restore("Mbpp/259", [[[[1, 2]], [[3]]]]) == [[((1, 2),), ((3,),)]]
    assert restore("Mbpp/278", [[[1, [2]]]]) == [[(1, (2,))]]
    assert restore("Mbpp/580", [[[1, [2, [3]]]]]) == [[(1, (2, (3,)))]]
    assert restore("Mbpp/115", [[[[1], []]]]) == [[[{1}, {}]]]
    assert restore("Mbpp/124", [["1", "2j"]]) == [[1.0, 2j]]
    assert restore("Mbpp/722", [[{"a": [1, 2]}, 3, 4]]) == [[{"a": (1, 2)}, 3, 4]]
    assert restore("Mbpp/3", [[[1]]]) == restore("HumanEval/2", [[[1]]]) == [[[1]]]
    numbers = [number for _, numbers in ARGUMENTS for number in numbers.split()]
    assert len(numbers) == len(set(numbers))


# statuses

def test_statuses_of_both_checkers():
    problem = record()
    wanted = {
        "def f(x): return x + 1": ("pass", "pass"),
        "def f(x): return x if x < 0 else x + 1": ("pass", "fail"),
        "def f(x): return 9 - x": ("fail", "fail"),
        "def g(x): return x + 1": ("fail", "fail"),
        "def f(x:": ("fail", "fail"),
        "import sys\ndef f(x): sys.exit(0)": ("fail", "fail"),
        "import os\ndef f(x): os._exit(0)": ("timeout", "timeout"),
        "def f(x): return x + 1 if x > 2 or x < 0 else None": ("fail", "pass"),
        "def f(x): return float(x + 1)": ("pass", "pass"),
        "def f(x): print(x); return input() or x + 1": ("fail", "fail"),
    }
    assert judged(problem, *wanted) == list(wanted.values())


def test_without_inputs_a_function_must_be_there_all_the_same():
    found = judged(record(plus=()), "def f(x): return x + 1", "def g(x): return x + 1")
    assert found == [("pass", "pass"), ("fail", "fail")]


def test_rows_tell_all():
    bench = HumanEvalPlus.of([record()])
    wrong = dict(task_id="HumanEval/0", solution="def f(x): return x if x < 0 else x + 1")
    for checker in bench.checkers:
        good, bad = check(bench, [bench.canonical(record()), wrong], checker, runner=Runner(workers=1))
        assert (good["passed"], good["status"], good["result"], good["detail"]) == (True, "passed", "pass", "")
        assert (bad["passed"], bad["status"], bad["result"]) == (False, "failed", "fail")
        kind = "" if checker == OFFICIAL else "AssertionError: "
        assert bad["detail"] == f"plus: {kind}input 1: -1 is not 0"
        assert good["sandbox"]


def test_only_the_official_way_can_be_forged():
    bench = HumanEvalPlus.of([record()])
    equal = "class Y{}:\n    def __eq__(self, other): return True\ndef f(x): return Y()"
    peeking = "import sys\ndef f(x):\n    return sys._getframe(2).f_locals['expected']"
    forged = [dict(task_id="HumanEval/0", solution=text) for text in (equal.format(""), equal.format("(int)"), peeking)]
    rows = {checker: check(bench, forged, checker, runner=Runner(workers=1)) for checker in bench.checkers}
    assert not any(row["passed"] for row in rows[ISOLATED])
    assert [row["passed"] for row in rows[OFFICIAL]] == [True, True, False]
    assert suspicious(rows[ISOLATED], rows[OFFICIAL]) == rows[ISOLATED][1:2]
    assert unsupported(rows[ISOLATED], rows[OFFICIAL]) == rows[OFFICIAL][:1]
    assert rows[ISOLATED][0]["status"] == "unsupported"


def test_a_call_out_of_time_fails_and_a_program_out_of_time_is_a_timeout():
    problem = record(base=((1,),), plus=((1,),))
    endless = "def f(x):\n    while True: pass"
    # the alarm is an exception, which a program may catch
    catching = "def g():\n    while True: pass\ndef f(x):\n    try: g()\n    except Exception: return x + 1"
    found = judged(problem, endless, catching, harness=RELEASED.name, checkers=(OFFICIAL,))
    assert found == [("fail", "fail"), ("pass", "pass")]
    assert judged(problem, endless, harness=RELEASED.name, checkers=(ISOLATED,)) == [("fail", "fail")]


class Child:
    "A candidate as the judge sees it: it gives digests, or, on demand, what they are of."
    def __init__(self, function, slow=0.0):
        self.function, self.slow = function, slow
        self.ended, self.questions = [], self
    def each(self, calls, seconds):
        for (text,), in zip(calls):
            time.sleep(self.slow)
            self.output = self.function(*json.loads(text))
            yield harness.digest(self.output)
    def __call__(self, text, what, last=None):
        time.sleep(0.6)
        if what == "about": return harness.about(self.output)
        return self.output if what == "value" else self.output[what:last]
    def fail(self, status, detail):
        self.ended.append((status, detail))
        raise KeyboardInterrupt


def case(reference, *inputs, **more):
    asked = dict(task="HumanEval/0", dataset="humaneval", entry="f", atol=0, least=1.0, forgets=False)
    return json.dumps(asked | dict(reference=reference, inputs=json.dumps(inputs)) | more)


def test_a_program_that_is_slow_in_all_is_a_timeout(monkeypatch):
    monkeypatch.setattr(harness, "ALL_SECONDS", 0.2), monkeypatch.setattr(harness, "GRACE_SECONDS", 0.2)
    slow, asked = Child(lambda x: x + 1, slow=0.3), case("def f(x): return x + 1", [1], [2], [3])
    with pytest.raises(KeyboardInterrupt): harness.check_outputs(slow, asked)
    assert slow.ended == [("timeout", "no end within 0.4 s for all inputs")]
    folder = str(package_folder() / "execution" / "sandbox")
    slowly = "import time\ndef f(x): time.sleep(.3); return x + 1"
    text = (
        f"import sys; sys.path.insert(0, {folder!r}); from harnesses import evalplus; "
        f"evalplus.ALL_SECONDS = evalplus.GRACE_SECONDS = 0.2; print(evalplus.run({slowly!r}, [], {asked!r}))"
    )
    ran = subprocess.run([sys.executable, "-c", text], capture_output=True, text=True, check=True)
    assert "['timeout', 'no end within 0.4 s for all inputs']" in ran.stdout


def test_comparing_large_outputs_is_no_part_of_a_programs_time(monkeypatch):
    monkeypatch.setattr(harness, "ALL_SECONDS", 0.2), monkeypatch.setattr(harness, "GRACE_SECONDS", 0.2)
    # equal, but not the same
    harness.check_outputs(Child(lambda n: [1] * n), case("def f(n): return [1.0] * n", [100_000]))


def test_what_programs_change_stays_theirs():
    problem = record(body="    x.sort()\n    return x\n", base=(([2, 1],), ([3, 1],)), plus=(([5, 4],),))
    solutions = "def f(x): return sorted(x)", "def f(x):\n    x.sort()\n    return x", "def f(x): return x"
    assert judged(problem, *solutions) == [("pass", "pass"), ("pass", "pass"), ("fail", "fail")]
    counting = "seen = []\ndef f(x):\n    seen.append(x)\n    return sorted(x) if len(seen) < 2 else None"
    assert judged(problem, counting) == [("fail", "pass")]  # plus is another process


def test_matches_need_not_be_data():
    body = "    import re\n    return re.match('a', x)\n"
    problem = record("Mbpp/1", "check_str", body, (("abc",),), (("b",), ("a",)))
    solutions = [
        "import re\ndef check_str(x): return re.search('^a', x)",
        "def check_str(x): return x[:1] == 'a'",
        "import re\ndef check_str(x): return re.search('b', x)",
    ]
    assert judged(problem, *solutions, kind=MbppPlus) == [("pass", "pass"), ("pass", "pass"), ("pass", "fail")]


def test_large_outputs_are_compared_by_digest_and_else_in_parts():
    body = "    return [(i, str(i)) for i in range(n)]\n"
    problem = record(body=body, base=((3,),), plus=((400_000,), (2,)), head="n")
    assert weight([(i, str(i)) for i in range(400_000)]) > 16 << 20
    wanted = {
        "def f(n):\n" + body: ("pass", "pass"),
        "def f(n): return [(i, str(i)) if i != 399_999 else (i, '') for i in range(n)]": ("pass", "fail"),
        "def f(n): return [(i, str(i)) for i in range(min(n, 399_999))]": ("pass", "fail"),
        # equal, though written otherwise
        "def f(n): return [(float(i), str(i)) for i in range(n)]": ("pass", "pass"),
        "def f(n):\n    return n and 7": ("fail", "fail"),
    }
    assert judged(problem, *wanted, checkers=(ISOLATED,)) == list(wanted.values())


def test_large_outputs_that_are_not_the_same_may_be_right():
    problem = record(body="    return [1.0 * i for i in range(n)]\n", base=((3,),), plus=((50_000,),), head="n")
    wanted = {
        "\ndef f(n): return [i + 1e-9 for i in range(n)]": ("pass", "pass"),
        "\ndef f(n): return [i + 1e-3 for i in range(n)]": ("fail", "fail"),
        "class Own(list): pass\ndef f(n): return Own(map(float, range(n)))": ("pass", "pass"),
        "def f(n): return tuple(map(float, range(n)))": ("fail", "fail"),
    }
    assert judged(problem, *wanted) == list(wanted.values())
    text = record(body="    return 'ab' * n\n", base=((3,),), plus=((50_000,),), head="n")
    wanted = {
        "def f(n): return 'ab' * n": ("pass", "pass"),
        "def f(n): return 'ab' * n if n < 9 else 'ba' * n": ("pass", "fail"),
        "def f(n): return 'ab' * n if n < 9 else 'ab'": ("pass", "fail"),
    }
    assert judged(text, *wanted) == list(wanted.values())
    as_set = record("Mbpp/1", "Diff", "    return tuple(range(n))\n", ((3,),), ((50_000,),), head="n")
    solutions = "def Diff(n): return [*range(n), *range(n)]", "def Diff(n): return [*range(n), n]"
    assert judged(as_set, *solutions, kind=MbppPlus) == [("pass", "pass"), ("fail", "fail")]


def test_the_reference_solution_is_asked_once_for_all_that_gives_the_same():
    text = case("asked = []\ndef f(n):\n    asked.append(n)\n    return 'x' * n", [5], [7], [5000], [6])
    reference = Reference(json.loads(text))
    for _ in range(2):
        assert [len(known.digest) for known in map(Expected(reference).__getitem__, range(4))] == [18] * 4
    assert Expected(reference).value(2) == "x" * 5000
    assert reference.space["asked"] == [5, 7, 5000, 6, 5000]


def test_what_was_worked_out_before_is_not_worked_out_again():
    rows = harness.expect(case("def f(n): return n / 2", [5], [7]))
    known = Reference(json.loads(case("raise ValueError", [5], [7], known=rows)))
    assert [Expected(known)[i] for i in range(2)] == [Known(*row) for row in rows]
    assert [row[1] for row in rows] == [True] * 2
    harness.check_outputs(Child(lambda n: n / 2), case("raise ValueError", [5], [7], known=rows))
    with pytest.raises(ValueError):
        harness.check_outputs(Child(lambda n: n), case("raise ValueError", [5], [7], known=rows))


def test_expected_outputs_are_kept_with_the_verdicts(tmp_path, monkeypatch):
    bench, again = HumanEvalPlus.of([record()]), HumanEvalPlus.of([record()])
    samples, store = [bench.canonical(record())], tmp_path / "verdicts.sqlite"
    runner = Runner(workers=1, store=store)
    first = check(bench, samples, runner=runner)
    monkeypatch.setattr("evoselfcode.execution.workers._Worker", None)  # whoever started one would fail
    assert first[0]["passed"] and check(again, samples, runner=runner) == first and again.known == bench.known


def test_no_number_is_a_right_one_by_its_bytes():
    problem = record(body="    return [float('nan')] * x\n", base=((1,),), plus=((2,),))
    # equal to nothing, as with evalplus
    assert judged(problem, "def f(x): return [float('nan')] * x") == [("fail", "fail")]


@pytest.mark.parametrize("one, other", [
    (1, True), (1, 1.0), (0.0, -0.0), ([1], (1,)), ("1", 1), ("a", b"a"), ([], [[]]), (2**70, 2**70 + 1), (None, False),
])
def test_digests_tell_types_and_values_apart(one, other):
    assert digest(one) != digest(other) and digest([one] * 99) != digest([other] * 99)


def test_digests_do_not_hang_on_how_a_value_was_made():
    name = "".join(["ab", "c"])
    assert digest([name, name]) == digest(["abc", "".join("abc")])
    assert digest({"abc": 1}) == digest({name: 1})
    assert digest([[name] * 50, 2**90]) == digest([["abc" for _ in range(50)], 2**90])
    assert digest(SimpleNamespace()) is None


def test_the_released_version_cannot_solve_find_zero():
    body = "    return -xs[0] / xs[1]\n"
    problem = record("HumanEval/32", "find_zero", body, (([1, 2],),), (([3, 4],),), atol=1e-4, head="xs")
    solutions = "def find_zero(xs): return -xs[0] / xs[1] + 1e-6", "def find_zero(xs): return 9.0"
    assert judged(problem, *solutions) == [("pass", "pass"), ("fail", "fail")]
    assert judged(problem, *solutions, harness=RELEASED.name) == [("fail", "fail"), ("fail", "fail")]


def test_programs_may_use_numpy():
    assert judged(record(), "import numpy as np\ndef f(x): return int(np.add(x, 1))") == [("pass", "pass")]


# prompts, files

def test_prompts_and_stops():
    problem = record() | dict(prompt="\n\ndef f(x):\n    pass\n\n")
    bench = HumanEvalPlus.of([problem])
    assert bench.prompt(problem) == "def f(x):\n    pass\n"
    user, begun = bench.prompt(problem, chat=True)
    assert user["content"].endswith("code block:\n```\ndef f(x):\n    pass\n```\n")
    assert begun["role"] == "assistant"
    assert begun["content"].endswith("tests:\n```python\n")
    assert bench.extract(record(), "\treturn x\n\ndef g(): return 2\n") == 'def f(x):\n    """Do it."""\n    return x'
    answer = "def f(x):\n\treturn g(x)\n\ndef g(x): return x\nf(1)\n```\nmore\ndef f(x): return 3"
    assert bench.extract(record(), answer, chat=True) == "def f(x):\n    return g(x)\ndef g(x): return x"
    assert MbppPlus.of([problem]).extract(problem, "    return 1\nassert f(2)\ndef g(): return 2").count("return") == 1


@pytest.mark.parametrize("pack", [gzip.compress, bytes])
def test_load(tmp_path, pack):
    data = "".join(json.dumps(r) + "\n" for r in [record(), record("HumanEval/1")]).encode()
    (tmp_path / "below").mkdir()
    (tmp_path / "below" / ("HumanEvalPlus-v0.1.10.jsonl" + ".gz" * (pack is gzip.compress))).write_bytes(pack(data))
    bench = HumanEvalPlus.load([tmp_path])
    assert (bench.set_name, bench.harness.name) == ("humaneval+[2]", "evalplus@26d6d00")
    assert bench.md5 == hashlib.md5(data).hexdigest()
    assert bench.prompt(bench.problems[0])
    with pytest.raises(UserError, match="HumanEvalPlus-Mini-v0.1.10.*releases/download"):
        HumanEvalPlus.load([tmp_path], mini=True)
    with pytest.raises(UserError, match="MbppPlus-v0.2.0"): MbppPlus.load([tmp_path])
    with pytest.raises(UserError, match="no small version"): MbppPlus.load([tmp_path], mini=True)
    with pytest.raises(UserError, match="evalplus@1.*26d6d00"): HumanEvalPlus.load([tmp_path], "evalplus@1")


def test_load_says_what_a_record_lacks(tmp_path):
    lacking = {k: v for k, v in record("Mbpp/2").items() if k != "plus_input"}
    (tmp_path / "MbppPlus-v0.2.0.jsonl").write_text(json.dumps(record()) + "\n" + json.dumps(lacking) + "\n")
    with pytest.raises(UserError, match="line 2.*plus_input"): MbppPlus.load([tmp_path])


def test_samples_in_both_formats(tmp_path):
    bench, path = HumanEvalPlus.of([record()]), tmp_path / "s.jsonl"
    path.write_text(
        '{"task_id": "HumanEval/0", "completion": "    return 1\\n"}\n'
        '{"task_id": "HumanEval/0", "solution": "x"}\n'
    )
    samples = read_samples(path, bench)
    wanted = [(record()["prompt"] + "    return 1\n", 0), ("x", 1)]
    assert [(s["solution"], s["sample_index"]) for s in samples] == wanted
    write_samples(path, bench, samples)
    written = [json.loads(line) for line in path.read_text().splitlines()]
    assert written == [dict(task_id="HumanEval/0", solution=s["solution"]) for s in samples]
    for text, said in (
        ('{"task_id": "HumanEval/9", "completion": ""}', "HumanEval/9"),
        ('{"task_id": "HumanEval/0", "completion": 3}', "needs task_id and solution, a text"),
    ):
        path.write_text(text + "\n")
        with pytest.raises(UserError, match=said): read_samples(path, bench)
