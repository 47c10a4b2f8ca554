"""LiveCodeBench: files, packed tests, dates, prompts, and what its harness makes of a program.

On problems of our own in its record format."""
import base64
import gzip
import json
import os
import pickle
import zlib

import pytest

from evoselfcode.errors import UserError
from evoselfcode.evaluation import lcb
from evoselfcode.evaluation.benchmark import ISOLATED, OFFICIAL, Harness, check, read_samples, write_samples
from evoselfcode.execution.execution import Limits, Program, Runner, library_folders, run_programs
from evoselfcode.execution.sandbox.harnesses import lcb as harness
from evoselfcode.io_utils import write_jsonl

HEAD, OLD = "lcb@28fef95", "lcb@051d813"


def packed(value, protocol=4): return base64.b64encode(zlib.compress(pickle.dumps(value, protocol=protocol))).decode()


def as_text(tests, kind="stdin"): return json.dumps([dict(input=i, output=o, testtype=kind) for i, o in tests])


def record(name, tests, function=None, hidden=(), date="2024-03-02T00:00:00", **more):
    kind = "functional" if function else "stdin"
    made = dict(
        question_title=name, question_content=f"Do {name}.", platform="atcoder", question_id=name, contest_id="c",
        contest_date=date, starter_code="class Solution:\n" if function else "", difficulty="easy",
        public_test_cases=as_text(tests, kind), private_test_cases=packed(as_text(hidden, kind)),
        metadata=json.dumps({"func_name": function} if function else {}),
    )
    return made | more


TOTAL = record("total", [("1 2\n3\n", "3\n3\n")], hidden=[("\n4\n", "0\n4\n")])
PAIR = record("pair", [("[1, 2]\n3", "[3, 3]"), ("[]\n1", "[0, 1]")], "pair")


def benchmark(*records, harness=HEAD, seconds=2):
    made = [lcb._problem(json.dumps(r).encode(), "here", None) for r in records]
    return lcb.LiveCodeBench("tests", made, Harness(harness, seconds))


def results(record, *codes, harness=HEAD, checkers=(ISOLATED, OFFICIAL), **more):
    "The result lists, which must be the same for both checkers."
    made = benchmark(record, harness=harness, **more)
    samples = [dict(task_id=record["question_id"], solution=code) for code in codes]
    rows = [[row["result"] for row in check(made, samples, checker, runner=Runner(workers=2))] for checker in checkers]
    assert all(found == rows[0] for found in rows), rows
    return rows[0]


def refuses(match, work, *args, **kwargs):
    with pytest.raises(UserError, match=match) as caught: work(*args, **kwargs)
    assert "\n" not in str(caught.value)


# ---------------------------------------------------------------- packed tests

@pytest.mark.parametrize("size", [0, 1, 255, 256, 65535, 65536, 300_000])
@pytest.mark.parametrize("protocol", [2, 3, 4, 5])
def test_a_pickle_of_one_text_is_read(size, protocol):
    text = "é" * (size // 2)
    for dumps in (pickle.dumps, pickle._dumps): assert harness.unpickled(dumps(text, protocol=protocol)) == text


class Harmful:
    def __reduce__(self): return os.system, ("echo this must not run > /tmp/never",)


@pytest.mark.parametrize("value", [Harmful(), ["a"], b"[]", 1, None, ("a", "b"), {"a": "b"}])
def test_no_other_pickle_is(value):
    for protocol in range(6):
        with pytest.raises(ValueError): harness.unpickled(pickle.dumps(value, protocol=protocol))


def test_text_followed_or_cut_is_refused():
    good = pickle.dumps("[]", protocol=4)
    for wrong in (good[:-1], good + b".", good[:5], b"", good[:-1] + b"0.", good.replace(b"\x8c\x02", b"\x8c\x03")):
        with pytest.raises(ValueError): harness.unpickled(wrong)


def test_what_unpacks_to_too_much_is_refused(monkeypatch):
    monkeypatch.setattr(harness, "LARGEST", 1000)
    assert harness.unpack(packed("[]")) == []
    with pytest.raises(ValueError, match="more than"):
        harness.unpack(packed(json.dumps([dict(input=" " * 2000, output="")])))


# ---------------------------------------------------------------- files

def test_releases_are_sets_of_files():
    sizes = [sum(lcb.COUNTS[i] for i in lcb.release_files(f"release_v{n}")) for n in range(1, 7)]
    assert sizes == [400, 511, 612, 713, 880, 1055]
    assert list(lcb.release_files("v2")) == [1] and list(lcb.release_files("v2_v4")) == [1, 2, 3]
    assert lcb.release_files("mine.jsonl") is None
    for wrong in ("release_v7", "v0", "v4_v2"): refuses("there are release_v1", lcb.release_files, wrong)


@pytest.fixture
def release(tmp_path, monkeypatch):
    "Six tiny files where the published ones would be, and a stranger with the same name."
    monkeypatch.setattr(lcb, "COUNTS", (1,) * 6)
    monkeypatch.setattr(lcb, "fetch", lambda name, folder: None)
    (tmp_path/"a").mkdir(), (tmp_path/"b").mkdir()
    (tmp_path/"a"/"test.jsonl").write_text('{"task_id": 1}\n')
    for i, name in enumerate(lcb.FILES):
        write_jsonl(tmp_path / "b" / name, [record(f"q{i}", [("1", "1")], date=f"2024-0{i + 1}-15T18:30:00")])
    return tmp_path


def test_release_window_and_cutoff_name_the_set(release):
    ids = lambda *args, **kwargs: "".join(p["task_id"] for p in lcb.load([release], *args, **kwargs).problems)
    assert ids("release_v3") == "q0q1q2" and ids("v2_v3") == "q1q2" and ids() == "q0q1q2q3q4"
    assert ids(start="2024-02", end="2024-04") == "q1q2q3" and ids(start="2024-02-15", end="2024-02") == "q1"
    assert ids(end="2024-02-15") == "q0" and ids(end="2024-02-16") == "q0q1"
    assert ids(cutoff="2024-03") == ids(cutoff="2024-03-15") == "q3q4" and ids(cutoff="2024-03-14") == "q2q3q4"
    named = lambda *args, **kwargs: lcb.load([release], *args, **kwargs).set_name
    assert named() == "lcb[release_v5]" and named(start="2024-02") == "lcb[release_v5, 2024-02..]"
    assert named("v1", "2023-05", "2024-01") == "lcb[v1, 2023-05..2024-01]"
    assert named(cutoff="2024-02") == "lcb[release_v5, after 2024-02]"
    assert lcb.load([release], "v1").md5 != lcb.load([release], "v1_v2").md5
    refuses("none of its 5 problems", lcb.load, [release], start="2025-01")
    refuses("dates are written", lcb.load, [release], start="last year")
    refuses("known as", lcb.load, [release], harness="lcb@0")
    assert [len(part) for part in lcb.by_cutoff(lcb.load([release]).problems, "2024-02")] == [2, 3]


def test_a_file_that_lacks_problems_is_no_release(release, monkeypatch):
    monkeypatch.setattr(lcb, "COUNTS", (2,) * 6)
    refuses(r"test\.jsonl: holds 1 problems, test\.jsonl of LiveCodeBench 2", lcb.load, [release])
    assert len(lcb.load([release/"b"], "test2.jsonl").problems) == 1
    refuses("fetch it from https", lcb.load, [release/"a"])
    refuses("it must be a file", lcb.load, [release], "nothing.jsonl")


@pytest.mark.parametrize("change, match", [
    ({"metadata": None}, "metadata must be a text"),
    ({"metadata": "{"}, "metadata: "),
    ({"metadata": "[]"}, "metadata: "),
    ({"contest_date": "May"}, "contest_date: "),
    ({"public_test_cases": "[{]"}, "public_test_cases: "),
    ({"public_test_cases": "[1]"}, "a list of objects"),
    ({"private_test_cases": "eJx"}, "private_test_cases: "),
    ({"private_test_cases": packed(as_text([("1", "1")]))[:60]}, "cut off"),
    ({"private_test_cases": packed(["x"])}, "a pickle of more than one text"),
    ({"private_test_cases": packed("{")}, "private_test_cases: "),
    ({"public_test_cases": "[]", "private_test_cases": "[]"}, "has no tests"),
])
def test_bad_records_are_one_line(tmp_path, change, match):
    write_jsonl(tmp_path / "x.jsonl", [PAIR, TOTAL | change])
    refuses(f"x.jsonl: line 2: .*{match}", lcb.load, [tmp_path], "x.jsonl")


def test_missing_fields_and_broken_lines_are_one_line(tmp_path):
    lacking = {k: v for k, v in TOTAL.items() if k != "metadata"}
    (tmp_path/"x.jsonl").write_text(json.dumps(PAIR) + "\n" + json.dumps(lacking))
    refuses("line 2: field 'metadata' missing", lcb.load, [tmp_path], "x.jsonl")
    (tmp_path/"x.jsonl").write_text(json.dumps(PAIR)[:-5])
    refuses("line 1: broken JSON", lcb.load, [tmp_path], "x.jsonl")
    write_jsonl(tmp_path/"x.jsonl", [PAIR, PAIR])
    refuses("listed twice", lcb.load, [tmp_path], "x.jsonl")


def test_large_hidden_tests_stay_in_the_file(tmp_path, monkeypatch):
    monkeypatch.setattr(lcb, "LONG", 100)
    path = write_jsonl(tmp_path/"x.jsonl", [PAIR, TOTAL])
    loaded = lcb.load([tmp_path], "x.jsonl")
    assert [isinstance(p["private"], tuple) for p in loaded.problems] == [True, True]
    assert [number for p in loaded.problems for _, number in lcb.data_of(p)] == [2, 2]
    hidden = TOTAL["private_test_cases"].encode()
    path.write_bytes(path.read_bytes().replace(hidden, b"x" * len(hidden)))
    refuses("x.jsonl: line 2: private_test_cases", lcb.data_of, lcb.load([tmp_path], "x.jsonl").problems[1])
    (tmp_path/"x.jsonl.gz").write_bytes(gzip.compress(json.dumps(TOTAL).encode()))
    assert isinstance(lcb.load([tmp_path], "x.jsonl.gz").problems[0]["private"], str)


def test_tests_travel_unpacked_packed_or_in_parts(monkeypatch):
    record_ = record("many", [("1 2\n", "3\n")] * 3, hidden=[("2 2\n", "4\n")] * 3)
    good, late = "print(sum(map(int, input().split())))", "n = sum(map(int, input().split()))\nprint(n if n < 4 else 0)"
    expected = [[True] * 6, [True] * 3 + [-2]]
    assert results(record_, good, late) == expected
    monkeypatch.setattr(lcb, "SMALL", 10)
    assert "eJ" in lcb.data_of(benchmark(record_).problems[0])[0][0] and results(record_, good, late) == expected
    monkeypatch.setattr(lcb, "LARGE", 40)
    assert [n for _, n in lcb.data_of(benchmark(record_).problems[0])] == [3, 3]
    assert results(record_, good, late) == expected
    assert [len(g) for g in harness.groups(harness.unpack(record_["public_test_cases"]), 12)] == [2, 1]


def test_megabytes_of_tests_are_judged():
    numbers = " ".join(map(str, range(150_000)))
    big = record("big", [("1\n", "1\n")], hidden=[(numbers + "\n", numbers.replace(" ", "\n"))] * 2)
    good, short = "print(*input().split(), sep='\\n')", "x = input().split()\nprint(*x[:149_999], sep='\\n')"
    assert results(big, good, short, seconds=6) == [[True] * 3, [True, -2]]


# ---------------------------------------------------------------- prompts and answers

def test_prompts(tmp_path):
    made = benchmark(TOTAL, PAIR)
    plain, starter = (made.prompt(p, chat=True)[1]["content"] for p in made.problems)
    assert plain.startswith("### Question:\nDo total.\n\n### Format: Read the inputs")
    assert "```python\n# YOUR CODE HERE\n```" in plain
    assert "```python\nclass Solution:\n\n```" in starter
    assert starter.endswith("### Answer: (use the provided format with backticks)\n\n")
    plain, starter = map(made.prompt, made.problems)
    assert starter.count("### Starter Code\n") == 2 and "Starter" not in plain
    assert plain.endswith("Do total.\n\n### Answer\n\n")
    write_jsonl(tmp_path/"x.jsonl", [TOTAL])
    assert lcb.load([tmp_path], "x.jsonl").prompt_name() == "lcb, base, example of evoselfcode"
    for name in ("func.json", "stdin.json"):
        (tmp_path / name).write_text(json.dumps([dict(question="THEIRS", sample_code="S", answer="A")]))
    theirs = lcb.load([tmp_path], "x.jsonl")
    assert theirs.prompt_name() == "lcb, base, example of lcb"
    wanted = "### Question\nTHEIRS\n\n### Answer\n\nA\n\n### Question\nDo total.\n\n### Answer\n\n"
    assert theirs.prompt(theirs.problems[0]) == wanted
    (tmp_path/"func.json").write_text("[{}]")
    refuses("func.json: must be a list", lcb.load, [tmp_path], "x.jsonl")
    refuses("no solutions of its own", made.canonical, made.problems[0])


def test_our_own_examples_are_right():
    greater = record("greater", [("[5, 1, 7]\n4", "2"), ("[]\n1", "0")], "countGreater")
    longest = record("longest", [("5\n3 4 6 2 5\n", "2\n"), ("1\n1\n", "0\n"), ("4\n1 1 2 3\n", "2\n")])
    assert results(greater, lcb.OURS["func.json"]["answer"]) == [[True] * 2]
    assert results(longest, lcb.OURS["stdin.json"]["answer"]) == [[True] * 3]


@pytest.mark.parametrize("text, code", [
    ("a\n```python\nx\n```\nb", "x"),
    ("```\nx\n```\n```py\ny\nz\n```", "y\nz"),
    ("```\nx", ""),
    ("x", ""),
    ("```\n```", ""),
    ("a\n```\nx\n  ``` end\ny\n", "x"),
])
def test_an_answer_is_between_the_last_two_fences(text, code):
    assert benchmark(TOTAL).extract({}, text, chat=True) == code
    assert benchmark(TOTAL).extract({}, f"\n {text}\n") == text.strip()


def test_sample_files_are_the_harness_own(tmp_path):
    made, path = benchmark(TOTAL, PAIR), tmp_path/"s.json"
    path.write_text(json.dumps([
        dict(question_id="total", code_list=["a", "b"], graded_list=[True, True], metadata=[]),
        dict(question_id="pair", code_list=["c"]),
    ]))
    samples = read_samples(path, made)
    assert samples == [
        dict(task_id=task, solution=code, sample_index=i)
        for task, code, i in (("total", "a", 0), ("total", "b", 1), ("pair", "c", 0))
    ]
    assert json.loads(write_samples(tmp_path / "out.json", made, samples).read_text()) == [
        dict(question_id="total", code_list=["a", "b"]), dict(question_id="pair", code_list=["c"]),
    ]
    assert read_samples(write_samples(tmp_path/"out.jsonl", made, samples), made) == samples
    for wrong in (
        [dict(question_id="total")],
        [dict(question_id="total", code_list=[1])],
        [dict(question_id="other", code_list=["a"])],
        [dict(question_id="total", code_list=["a"])],
    ):
        path.write_text(json.dumps(wrong))
        refuses("s.json: ", read_samples, path, made)


# ---------------------------------------------------------------- verdicts

READERS = dict(  # how a program reads: passes now, passed before May 2025
    input=("while True:\n    try: print(sum(map(int, input().split())))\n    except EOFError: break", True, True),
    read=("import sys\nfor line in sys.stdin.read().split('\\n')[:2]: print(sum(map(int, line.split())))", True, True),
    readline=(
        "import sys\nread = sys.stdin.readline\nfor _ in range(2): print(sum(map(int, read().split())))", True, True,
    ),
    iterated=("import sys\nfor line in sys.stdin: print(sum(map(int, line.split())))", False, True),
    buffer=(
        "import sys\nfor line in sys.stdin.buffer.read().split(b'\\n')[:2]: print(sum(map(int, line.split())))", True,
        False,
    ),
    buffer_lines=(
        "import sys\nfor _ in range(2): print(sum(map(int, sys.stdin.buffer.readline().split())))", False, False,
    ),
    readlines=(
        "import sys\nprint(*(sum(map(int, l[:-1].split())) for l in sys.stdin.readlines()[:2]), sep='\\n')", False,
        True,
    ),
    read_twice=(
        "import sys\n"
        "sys.stdin.read()\n"
        "for line in sys.stdin.read().split('\\n')[:2]: print(sum(map(int, line.split())))",
        True, False,
    ),
    imported=("from sys import stdin\nfor _ in range(2): print(sum(map(int, stdin.readline().split())))", True, True),
    fileno_open=("print(*(sum(map(int, l.split())) for l in open(0)), sep='\\n')", False, False),
)


def test_every_way_of_reading():
    codes = [code for code, *_ in READERS.values()]
    for harness, column in ((HEAD, 1), (OLD, 2)):
        passed = [r == [True, True] for r in results(TOTAL, *codes, harness=harness)]
        assert dict(zip(READERS, passed)) == {name: row[column] for name, row in READERS.items()}


def test_stdin_programs():
    body = "import sys\nfor line in sys.stdin.read().split('\\n')[:2]: print(sum(map(int, line.split())))"
    indented = "\n".join("    " + line for line in body.split("\n"))
    good = dict(
        guard=f"def main():\n{indented}\nif __name__ == '__main__':\n    main()", exit=body + "\nexit(3)",
        floats=body.replace("sum(", "fsum("), numpy="import numpy\n" + body,
        stderr=body + "\nprint('x', file=sys.stderr)", caught=body + "\ntry: 1 / 0\nexcept Exception: pass",
    )
    bad = dict(
        empty=("", [-4]), syntax=("def", [-4]), imports=("import sys", [-4]),
        future=("from __future__ import annotations\n" + body, [-4]), solution=("class Solution: pass\n" + body, [-4]),
        glob=("n = 1\ndef f():\n    global n\n    n += 1\nf()\n" + body, [-4]), quit=("quit()\n" + body, [-4]),
        resource=("import resource\n" + body, [-4]), short=("print(3)", [-2]), error=("print(3)\n1/0", [-4]),
        os_exit=("import os\nos._exit(0)", [-2]), segv=("import os, signal\nsignal.raise_signal(signal.SIGSEGV)", [-2]),
        stdout=("from sys import stdout\nstdout.write('3\\n3\\n')", [-2]),
        closed=("import sys\nprint(3); print(3); sys.stdout.close()", [-4]), endless=("while True: pass", [-3]),
        caught=("try:\n    while True: pass\nexcept Exception: print('3\\n3')", [-2]),
        interrupt=("raise KeyboardInterrupt", [-2]), text=("print('x'); print(3)", [-2]),
    )
    found = results(TOTAL, *good.values(), *(code for code, _ in bad.values()), seconds=1)
    wanted = dict.fromkeys(good, [True, True]) | {name: result for name, (_, result) in bad.items()}
    assert dict(zip([*good, *bad], found)) == wanted


def test_methods_and_functions():
    head = "class Solution:\n    def pair(self, xs: List[int], k: int) -> List[int]:\n        "
    tried = dict(
        right=("return [sum(xs), k]", [True, True]), tuple=("return sum(xs), k", [True, True]),
        floats=("return [float(sum(xs)), k * 1.0]", [True, True]),
        names=("return [sum(accumulate(xs)) - sum(accumulate(xs)) + fsum(xs), gcd(k, 0)]", [True, True]),
        numpy=("import numpy\n        return [numpy.sum(numpy.array(xs, dtype=int)), numpy.int64(k)]", [True, True]),
        inner=("return [(sum(xs), k)]", [False]), none=("pass", [False]),
        later=("return [sum(xs) or 1, k]", [True, False]), error=("return xs[0], k", [False]),
        raises=("return [sum(xs) if xs else 1 / 0, k]", [True, -4]), endless=("while True: pass", [-3]),
        exit=("exit()", [-2]), generator=("yield 3", [False]), forged_free=("return object()", [False]),
    )
    function = "def pair(xs, k): return [sum(xs), k]"
    functions = [
        function, "def other(xs, k): return 1", f"from __future__ import annotations\n{function}",
        f"{function}\nif __name__ == '__main__': 1 / 0",
    ]
    found = results(PAIR, *(head + body for body, _ in tried.values()), *functions, seconds=1)
    assert dict(zip(tried, found)) == {name: wanted for name, (_, wanted) in tried.items()}
    assert found[len(tried):] == [[True, True], [-4], [-4], [True, True]]


def test_numbers_may_be_written_otherwise():
    both = lambda printed, wanted: harness.compare_texts(printed, wanted)[0]
    assert both("1.0 2\n\n", "1 2.00") is both("  a b \n c", "a b\nc") is both("1e3", "1000") is True
    assert both("1 2", "1  3") == both("1\n2", "1 2") == both("50000000000000001", "50000000000000000") == -2
    assert both("a  b", "a b") == both("0.1", "0.1000001") == both("", "0") == both("YES", "Yes") == -2


def test_what_is_equal_to_everything_passes_officially_only():
    forged = (
        "class Yes:\n"
        "    def __eq__(self, other): return True\n"
        "class Solution:\n"
        "    def pair(self, xs, k): return Yes()"
    )
    peeking = (
        "import sys\n"
        "frame = sys._getframe()\n"
        "while frame and 'test' not in frame.f_locals: frame = frame.f_back\n"
        "print(frame.f_locals['test']['output'] if frame else '')"
    )
    for problem, code in ((PAIR, forged), (TOTAL, peeking)):
        assert results(problem, code, checkers=(OFFICIAL,)) == [[True, True]]
        assert results(problem, code, checkers=(ISOLATED,)) in ([[False]], [[-2]])


@pytest.mark.parametrize("reply", [
    [True, True], True, [True], [1, "3\n3"], [True, 3], [-3, "x", "y"], [-3, "x", 9], [False, 0], [[], []],
    [True, "3\n3", 0], [], {}, None,
])
def test_only_the_right_text_is_an_answer(reply):
    assert harness.checked([True, "3\n3"], "3\n3\n", functional=False)[0] is True
    assert harness.checked(reply, "3\n3\n", functional=False)[0] is not True


@pytest.mark.parametrize("answer", ["{}", "[True, True]", "[True, '']", "[1, 1]", "given", "exec"])
def test_a_child_that_answers_in_place_of_the_harness_passes_nothing(answer):
    hooked = (
        "import sys\n"
        "frame = sys._getframe()\n"
        "while not hasattr(frame.f_locals.get('self'), 'space'): frame = frame.f_back\n"
        f"frame.f_locals['self'].space['answer'] = lambda given: {answer}\n"
        "print('3\\n3')"
    )
    assert results(TOTAL, hooked, checkers=(ISOLATED,)) == [[True, -2]]


def test_the_lean_prelude_gives_what_the_full_one_does():
    full, names = {}, sorted(harness.origins())
    exec(harness.FULL_PRELUDE, full)
    for name in names:
        lean = {}
        exec(harness.lean_prelude(frozenset([name])), lean)
        assert lean[name] is full[name] or name in ("open",), name
    assert harness.prelude("x = globals()") == harness.FULL_PRELUDE
    assert harness.prelude("ｍｅａｎ([1])") == harness.prelude("mean")


def test_only_programs_that_are_granted_it_read_installed_packages():
    program = Program(f"import sys\nsys.path += {library_folders()}\nimport numpy")
    for granted in (False, True):
        limits = Limits(seconds=5, memory_mb=4096, libraries=granted)
        assert next(iter(run_programs([program], limits, 1))).passed == granted


def test_a_detail_says_where():
    codes = ["import sys\nprint(*sys.stdin.read(1)[:1] * 2, sep='\\n')", "print(3)\nprint(3)"]
    samples = [dict(task_id="total", solution=code) for code in codes]
    _, row = check(benchmark(TOTAL, seconds=1), samples, runner=Runner(workers=1))
    assert row["detail"] == "WrongAnswer: test 2 of 2: line 1 is '3', not '0'"
    assert row["result"] == [True, -2] and row["status"] == "failed"


def test_a_file_of_its_format_that_is_nowhere_is_one_line(tmp_path, message):
    line = message(lcb.load, [tmp_path], str(tmp_path / "none.jsonl"))
    assert line.startswith(f"{tmp_path / 'none.jsonl'}: no such file")
    assert "[a]{x}=1.jsonl: not in" in message(lcb.load, [tmp_path], "[a]{x}=1.jsonl")
