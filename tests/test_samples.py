"""Samples files as the field writes them: each is read, or answered by one line that says what is wanted."""
import gzip
import json

import pytest

from evoselfcode.config import Config
from evoselfcode.errors import UserError
from evoselfcode.evaluation.benchmark import check, read_samples, write_samples
from evoselfcode.evaluation.bigcodebench import BigCodeBench
from evoselfcode.evaluation.evalplus import HumanEvalPlus
from evoselfcode.evaluation.humaneval import HumanEval
from evoselfcode.evaluation.lcb import LiveCodeBench
from evoselfcode.evaluation.mbpp import Mbpp, problem_of
from evoselfcode.evaluation.suite import summary_of, table_rows
from evoselfcode.execution.execution import Runner

PROMPT = 'def f{}(x):\n    """Add one."""\n'
TASKS = [
    dict(
        task_id=f"HumanEval/{i}", prompt=PROMPT.format(i), entry_point=f"f{i}", canonical_solution="    return x + 1\n",
        test="def check(candidate):\n    assert candidate(1) == 2\n",
    )
    for i in range(2)
]
PLUS = [task | dict(base_input=[[1]], plus_input=[[2]], atol=0, contract="") for task in TASKS]
ROWS = [
    dict(task_id=i, text="Add one.", code=f"def f{i}(x):\n    return x + 1", test_list=[f"assert f{i}(1) == 2"])
    for i in (11, 12)
]
GOOD = {"HumanEval/0": "def f0(x):\n    return x + 1\n", "HumanEval/1": "def f1(x):\n    return x + 1\n"}


def humaneval(): return HumanEval(TASKS)


def plus(): return HumanEvalPlus.of(PLUS)


def mbpp(): return Mbpp("own", [problem_of(row) for row in ROWS], [])


def lines(*records): return "".join(json.dumps(r) + "\n" for r in records).encode()


def solved(benchmark, samples): return [row["passed"] for row in check(benchmark, samples, runner=Runner(workers=1))]


def lcb():
    tests = json.dumps([dict(input="3\n", output="6\n", testtype="stdin")])
    problem = dict(
        task_id="1873_A", place="own", date="2024-01-01", function=None, question_content="Double it.",
        starter_code="", public=tests, private="[]",
    )
    return LiveCodeBench("lcb[own]", [problem])


def lm_eval(doc, answers):
    return dict(
        doc_id=0, doc=doc, target="", arguments=[["..."]], resps=[["..."]], filtered_resps=answers, filter="create_test"
    )


BODY, DOUBLE = "    return x + 1\n", "print(2 * int(input()))\n"
READ = dict(
    completions=(humaneval, "a.jsonl", lines(*(dict(task_id=t, completion=BODY) for t in GOOD))),
    solutions=(humaneval, "a.jsonl", lines(*(dict(task_id=t, solution=code) for t, code in GOOD.items()))),
    byte_order_mark=(humaneval, "a.jsonl", b"\xef\xbb\xbf" + lines(*(dict(task_id=t, completion=BODY) for t in GOOD))),
    mark_in_an_array=(
        humaneval, "a.json", b"\xef\xbb\xbf" + json.dumps([dict(task_id=t, completion=BODY) for t in GOOD]).encode(),
    ),
    windows=(humaneval, "a.jsonl", lines(*(dict(task_id=t, completion=BODY) for t in GOOD)).replace(b"\n", b"\r\n")),
    zipped=(humaneval, "a.jsonl.gz", gzip.compress(lines(*(dict(task_id=t, completion=BODY) for t in GOOD)))),
    several_in_a_line=(humaneval, "a.jsonl", lines(*(dict(task_id=t, completion=[BODY, BODY + "\n"]) for t in GOOD))),
    several_by_another_name=(plus, "a.jsonl", lines(*(dict(task_id=t, solutions=[code]) for t, code in GOOD.items()))),
    numbers=(humaneval, "a.jsonl", lines(dict(task_id=0, completion=BODY), dict(task_id="1", completion=BODY))),
    mbpp_numbers=(
        mbpp, "a.jsonl",
        lines(dict(task_id=11, solution=ROWS[0]["code"]), dict(task_id="12", completion=ROWS[1]["code"])),
    ),
    mbpp_names=(
        mbpp, "a.jsonl", lines(*(dict(task_id=f"Mbpp/{row['task_id']}", solution=row["code"]) for row in ROWS)),
    ),
    plus_completions=(plus, "a.jsonl", lines(*(dict(task_id=t, completion=BODY) for t in GOOD))),
    results=(
        plus, "a_eval_results.json",
        json.dumps(dict(date="", hash="", eval={
            t: [dict(task_id=t, solution=code, base_status="fail", plus_status="fail")] for t, code in GOOD.items()
        })).encode(),
    ),
    results_for_another_harness=(
        humaneval, "a_eval_results.json",
        json.dumps(dict(eval={t: [dict(solution=code)] for t, code in GOOD.items()})).encode(),
    ),
    generations=(plus, "generations.json", json.dumps([[code, code + "\n"] for code in GOOD.values()]).encode()),
    lines_by_another_name=(humaneval, "a.json", lines(*(dict(task_id=t, completion=BODY) for t in GOOD))),
    two_files_joined=(
        humaneval, "a.jsonl",
        b"".join(b"\xef\xbb\xbf" + lines(dict(task_id=t, completion=BODY)) for t in GOOD) + b"\xef\xbb\xbf\n",
    ),
    a_table_with_gaps=(
        humaneval, "a.jsonl",
        lines(
            dict(task_id=0.0, completion=None, solution=GOOD["HumanEval/0"]),
            dict(task_id=1.0, completion=BODY, solution=None),
        ),
    ),
    other_letters=(
        mbpp, "a.jsonl",
        lines(dict(task_id="MBPP/11", solution=ROWS[0]["code"]), dict(task_id="mbpp_12", solution=ROWS[1]["code"])),
    ),
    prompt_and_body=(
        humaneval, "a.jsonl", lines(*(dict(task_id=t["task_id"], solution=t["prompt"] + BODY) for t in TASKS)),
    ),
    results_on_many_lines=(
        plus, "a.txt", json.dumps(dict(eval={t: [dict(solution=code)] for t, code in GOOD.items()}), indent=1).encode(),
    ),
    results_packed=(
        plus, "a_eval_results.json.gz",
        gzip.compress(json.dumps(dict(eval={t: [dict(solution=code)] for t, code in GOOD.items()})).encode()),
    ),
    generations_one_each=(humaneval, "generations.json", json.dumps(list(GOOD.values())).encode()),
    lm_eval=(
        humaneval, "samples_humaneval.jsonl",
        lines(*(lm_eval(t, [[t["prompt"] + BODY, t["prompt"] + BODY + "\n"]]) for t in TASKS)),
    ),
    lm_eval_mbpp=(mbpp, "samples_mbpp.jsonl", lines(*(lm_eval(row, [row["code"]]) for row in ROWS))),
    lcb=(
        lcb, "a.json",
        json.dumps([dict(question_id="1873_A", code_list=[DOUBLE, DOUBLE], graded_list=[False, False])]).encode(),
    ),
    lcb_by_other_names=(lcb, "a.jsonl", lines(dict(task_id="1873_A", completion=DOUBLE))),
    more_fields=(
        humaneval, "a.jsonl",
        lines(*(
            dict(task_id=t, completion=BODY, unasked=True, passed=False, status="failed", sample_index=7, text="x")
            for t in GOOD
        )),
    ),
)


@pytest.mark.parametrize("benchmark, name, data", READ.values(), ids=READ)
def test_a_file_of_samples_is_read(benchmark, name, data, tmp_path):
    (tmp_path / name).write_bytes(data)
    samples = read_samples(tmp_path / name, bench := benchmark())
    assert all(solved(bench, samples)) and {s["task_id"] for s in samples} == set(bench.by_task)
    assert all(set(s) == {"task_id", bench.field, "sample_index"} for s in samples)
    assert samples[0]["sample_index"] == 0


@pytest.mark.parametrize("benchmark", [plus, humaneval])
def test_a_folder_of_programs_is_read(benchmark, tmp_path):
    for task, code in GOOD.items():
        (folder := tmp_path / task.replace("/", "_")).mkdir()
        for i in range(2): (folder / f"{i}.py").write_text(code + "\n" * i)
    samples = read_samples(tmp_path, bench := benchmark())
    assert len(samples) == 4 and all(solved(bench, samples))


REFUSED = dict(
    a_list=(
        lines(dict(task_id=["HumanEval/0"], completion="")),
        "line 1: task_id must be a text or a number, not [\"HumanEval/0\"]",
    ),
    an_empty_list=(lines(dict(task_id=[], completion="")), "line 1: task_id must be a text or a number, not []"),
    true=(lines(dict(task_id=True, completion="")), "line 1: task_id must be a text or a number, not true"),
    null=(
        lines(dict(task_id="HumanEval/0", completion="")) + lines(dict(task_id="HumanEval/1", completion=None)),
        "line 2: needs task_id and completion, a text; it has 'task_id': \"HumanEval/1\", 'completion': null",
    ),
    a_number=(
        lines(dict(task_id="HumanEval/0", completion=3)),
        "line 1: needs task_id and completion, a text or a list of texts; completion has 3",
    ),
    null_in_a_list=(
        lines(dict(task_id="HumanEval/0", completion=["", None])),
        "line 1: needs task_id and completion, a text or a list of texts; completion has null",
    ),
    no_answers=(
        lines(*(dict(task_id=t, completion=[]) for t in GOOD)),
        "line 1: completion is an empty list; leave the record out, and measure the other tasks with --partial",
    ),
    no_task=(
        lines(dict(id=1, completion="")),
        "line 1: needs task_id and completion, a text; it has 'id': 1, 'completion': \"\"",
    ),
    another_task=(
        lines(dict(task_id="HumanEval/7", completion="")), "line 1: task 'HumanEval/7' is not in humaneval[2]",
    ),
    another_set=(lines(dict(task_id="Mbpp/1", completion="")), "line 1: task 'Mbpp/1' is not in humaneval[2]"),
    long_number=(
        b'{"task_id": "HumanEval/0", "completion": "", "score": ' + b"9" * 5000 + b"}\n",
        "line 1: an integer of more than 4,300 digits; write it as a text",
    ),
    long_number_in_an_array=(
        b'[{"task_id": "HumanEval/0", "completion": "", "score": ' + b"9" * 5000 + b"}]",
        "an integer of more than 4,300 digits; write it as a text",
    ),
    other_letters=("naïve".encode("utf-16"), "is not UTF-8; save the file as UTF-8"),
    not_an_object=(b"3\n", "line 1: must be a JSON object"),
    generations_of_another_set=(
        b'[["x"], ["y"], ["z"]]', "holds answers to 3 problems without their names, and humaneval[2] has 2",
    ),
    empty=(b"", "holds no records; wanted are JSON lines such as"),
    an_empty_array=(b"[]", "holds no records; wanted are JSON lines such as"),
    after_empty_lines=(b"\n \n" + lines(dict(task_id=[], completion="")), "line 3: task_id must be a text or a number"),
    a_table=(
        b"task_id,completion\nHumanEval/0,x\n",
        "line 1: broken JSON at column 1 (Expecting value); wanted are JSON lines such as",
    ),
    an_object_of_answers=(json.dumps({f"HumanEval/{i}": "x" for i in range(99)}).encode(), "'HumanEval/5': \"x\", ..."),
    another_name=(
        lines(dict(task_id="HumanEval/0", answer=BODY)),
        "line 1: needs task_id and completion, a text; it has 'task_id': \"HumanEval/0\", 'answer'",
    ),
    half_a_character_as_a_name=(
        b'{"task_id": "\\ud83d", "completion": ""}\n', "line 1: task '\\ud83d' is not in humaneval[2]",
    ),
    an_empty_list_among_others=(
        lines(dict(task_id="HumanEval/0", completion=BODY), dict(task_id="HumanEval/1", completion=[])),
        "line 2: completion is an empty list",
    ),
    an_empty_code_list=(
        json.dumps([dict(question_id="HumanEval/0", code_list=[])]).encode(), "record 1: code_list is an empty list",
    ),
    a_list_in_a_list=(
        lines(dict(task_id="HumanEval/0", completion=[[BODY]])),
        'line 1: needs task_id and completion, a text or a list of texts; completion has ["    return x + 1',
    ),
    results_of_no_task=(json.dumps(dict(eval={})).encode(), "holds no samples"),
    results_without_rows=(json.dumps(dict(date="x", eval={"HumanEval/0": []})).encode(), "holds no samples"),
    older_results=(
        json.dumps(dict(eval={"HumanEval/0": dict(nfiles=1, base=[["pass", []]], plus=[])})).encode(),
        "'HumanEval/0': results without the solutions, as older harnesses wrote them",
    ),
    results_of_nothing=(
        json.dumps(dict(eval={"HumanEval/0": None})).encode(), "'HumanEval/0': results without the solutions",
    ),
    generations_with_gaps=(b'[["x"], null]', "list 2: needs task_id and completion, a text"),
    two_filters=(
        lines(*(lm_eval(TASKS[0], [[BODY]]) | dict(filter=name) for name in ("raw", "extracted"))),
        "holds every answer under 2 filters (raw, extracted); keep the records of one",
    ),
    no_name_in_its_document=(lines(lm_eval(dict(text="Add one."), [[BODY]])), "line 1: needs task_id and completion"),
    nan=(b'{"task_id": NaN, "completion": ""}\n', "line 1: task nan is not in humaneval[2]"),
)


@pytest.mark.parametrize("data, told", REFUSED.values(), ids=REFUSED)
def test_what_cannot_be_read_is_one_line(data, told, tmp_path):
    path = tmp_path / "samples.jsonl"
    path.write_bytes(data)
    with pytest.raises(UserError) as error: read_samples(path, humaneval(), partial=True)
    assert str(error.value).startswith(f"{path}: ") and told in str(error.value) and "\n" not in str(error.value)


def test_an_empty_folder_says_what_is_wanted(tmp_path):
    with pytest.raises(UserError, match="a folder without samples; evalplus puts them there as HumanEval_0/0.py"):
        read_samples(tmp_path, humaneval())


def test_programs_of_a_folder_come_in_the_order_of_their_numbers(tmp_path):
    for name in ("HumanEval_0", "HumanEval_1", "__pycache__", ".ipynb_checkpoints"): (tmp_path / name).mkdir()
    for number in (0, 1, 2, 10):
        (tmp_path / "HumanEval_0" / f"{number}.py").write_bytes(b"\xef\xbb\xbfdef f0(x):\r\n    return %d" % number)
    for name in ("HumanEval_1/0.py", "__pycache__/0.py", ".ipynb_checkpoints/0.py", "HumanEval_1/notes.txt"):
        (tmp_path / name).write_text(GOOD["HumanEval/1"])
    (tmp_path / "x_eval_results.json").write_text("{}")
    samples = read_samples(tmp_path, plus())
    first = [f"def f0(x):\n    return {number}" for number in (0, 1, 2, 10)]
    assert [s["solution"] for s in samples] == [*first, GOOD["HumanEval/1"]]
    (tmp_path / "HumanEval_1" / "0.py").write_bytes(b"# caf\xe9")
    with pytest.raises(UserError, match="HumanEval_1/0.py: byte 6 is not UTF-8"): read_samples(tmp_path, plus())


ANSWER = "Sure! Here it is:\n{0}python\n{1}{0}\nIt adds one."
CHAT = {
    f"{kind.__name__}_{name}_{fence[0]}": (kind, fence, name)
    for kind in (humaneval, plus)
    for name in ("completion", "solution")
    for fence in ("```", "~~~")
}


@pytest.mark.parametrize("benchmark, fence, name", CHAT.values(), ids=CHAT)
def test_chat_answers_are_told_of_and_their_programs_taken_out(benchmark, fence, name, tmp_path, capsys):
    path, bench = tmp_path / "a.jsonl", benchmark()
    plain = dict(task_id="HumanEval/1", completion=BODY)
    path.write_bytes(b"\n" + lines(plain, {"task_id": "HumanEval/0", name: ANSWER.format(fence, GOOD["HumanEval/0"])}))
    assert solved(bench, read_samples(path, bench)) == [True, False]
    told = "".join(capsys.readouterr())
    assert f"{path}: line 3: 1 of its 2 samples are no program that could run as it stands; --extract" in told
    assert solved(bench, read_samples(path, bench, extract=True)) == [True, True] and capsys.readouterr().err == ""


TEXTS = dict(
    think="<think>\nok\n</think>\n{}", words="Here is the code:\n\n{}", marks="[PYTHON]\n{}[/PYTHON]",
    future="from __future__ import annotations\n{}",
)


@pytest.mark.parametrize("text", TEXTS.values(), ids=TEXTS)
@pytest.mark.parametrize("benchmark", [humaneval, plus])
def test_other_answers_that_cannot_run_are_told_of_too(benchmark, text, tmp_path, capsys):
    path, bench = tmp_path / "a.jsonl", benchmark()
    path.write_bytes(lines(*({"task_id": task, "completion": text.format(code)} for task, code in GOOD.items())))
    assert solved(bench, read_samples(path, bench)) == [False, False]
    told = "".join(capsys.readouterr())
    assert f"{path}: line 1: 2 of its 2 samples are no program that could run as it stands; --extract" in told
    assert solved(bench, read_samples(path, bench, extract=True)) == [True, True] and capsys.readouterr().err == ""


def test_what_is_no_program_is_told(tmp_path, capsys):
    path = tmp_path / "a.jsonl"
    path.write_bytes(lines(dict(task_id=0, completion=BODY), dict(task_id=1, completion="return x + (1\n")))
    for extract in (False, True):
        assert solved(humaneval(), read_samples(path, humaneval(), extract=extract)) == [True, False]
        assert f"{path}: line 2: 1 of its 2 samples are no program that could run" in "".join(capsys.readouterr())


def test_a_fence_in_a_docstring_is_no_chat(tmp_path, capsys):
    path, fenced = tmp_path / "a.jsonl", '    """\n    ```\n    f(1)\n    ```\n    """\n' + BODY
    path.write_bytes(lines(*(dict(task_id=t, completion=fenced) for t in GOOD)))
    for extract in (False, True):
        assert [s["completion"] for s in read_samples(path, humaneval(), extract=extract)] == [fenced] * 2
    assert "no program" not in "".join(capsys.readouterr())


def test_programs_of_other_benchmarks_are_taken_out_too(tmp_path):
    path = tmp_path / "a.jsonl"
    path.write_bytes(lines(
        dict(task_id=11, solution=ANSWER.format("```", ROWS[0]["code"] + "\n")),
        dict(task_id=12, solution=ROWS[1]["code"]),
    ))
    assert solved(mbpp(), read_samples(path, mbpp(), extract=True)) == [True, True]
    path.write_bytes(lines(dict(question_id="1873_A", code_list=[ANSWER.format("```", DOUBLE), DOUBLE])))
    assert solved(lcb(), read_samples(path, lcb(), extract=True)) == [True, True]


def test_a_head_without_a_docstring_takes_a_whole_program(tmp_path):
    path, bench = tmp_path / "a.jsonl", HumanEval([TASKS[0] | dict(prompt="def f0(x):\n")])
    path.write_bytes(lines(dict(task_id=0, solution=GOOD["HumanEval/0"])))
    assert solved(bench, read_samples(path, bench)) == [True]


def test_half_a_character_is_judged(tmp_path):
    path = tmp_path / "a.jsonl"
    path.write_text('{"task_id": "HumanEval/0", "completion": "    return \'\\ud83d\'\\n"}\n')
    assert solved(humaneval(), read_samples(path, humaneval(), partial=True)) == [False]


def test_what_is_odd_about_a_file_is_told(tmp_path, capsys):
    path = tmp_path / "a.jsonl"
    answers = (BODY, BODY, f"```python\n{GOOD['HumanEval/0']}```")
    first = [dict(task_id="HumanEval/0", completion=answer) for answer in answers]
    path.write_bytes(lines(*first, dict(task_id="HumanEval/1", completion=BODY)))
    samples = read_samples(path, humaneval())
    printed = "".join(capsys.readouterr())
    assert "has from 1 to 3 samples of a problem; pass@k goes up to k = 1" in printed
    assert "1 of its 4 samples repeat another of their problem" in printed
    assert "1 of its 4 samples are no program that could run" in printed and "--extract" in printed
    results = {"isolated": check(humaneval(), samples, runner=Runner(workers=1))}
    summary = summary_of(humaneval(), results, Config(), 1.0)
    assert (summary["n"], summary["n_most"], summary["repeated"]) == (1, 3, 1)
    assert table_rows([summary])[0]["n"] == "1 to 3"
    assert solved(humaneval(), samples) == [True, True, False, True]
    assert all(solved(humaneval(), read_samples(path, humaneval(), extract=True)))


@pytest.mark.parametrize("benchmark", [humaneval, plus])
def test_a_program_too_large_is_named_and_ends_nothing(benchmark, capsys):
    bench = benchmark()
    samples = [
        {"task_id": "HumanEval/0", bench.field: "#" * 90_000_000, "sample_index": 3},
        {"task_id": "HumanEval/1", bench.field: BODY if benchmark is humaneval else GOOD["HumanEval/1"]},
    ]
    results = {checker: check(bench, samples, checker, runner=Runner(workers=1)) for checker in bench.checkers}
    assert [row["passed"] for rows in results.values() for row in rows] == [False, True] * 2
    assert all(
        rows[0]["status"] != "timeout" and "bytes, of 67,108,864 that can be run" in rows[0]["detail"]
        for rows in results.values()
    )
    told = "".join(capsys.readouterr())
    for checker in bench.checkers:
        line = f"{bench.set_name}, {checker}: HumanEval/0, sample 3, is not run and counts as unsolved: "
        assert line + "with its tests and data it takes 90,0" in told
    assert summary_of(bench, results, Config(), 1.0)["sandbox"] == results["isolated"][1]["sandbox"] != ""


def test_base_stands_beside_plus_and_the_file_is_named():
    bench = plus()
    bench.data = "HumanEvalPlus-v0.1.9.jsonl.gz"
    half = "def f0(x):\n    return x + 1 if x == 1 else 0\n"
    samples = [dict(task_id="HumanEval/0", solution=half), dict(task_id="HumanEval/1", solution=GOOD["HumanEval/1"])]
    rows = check(bench, samples, runner=Runner(workers=1))
    row, = table_rows([summary_of(bench, {"isolated": rows}, Config(), 1.0)])
    assert row["base pass@1"].startswith("100.0") and row["pass@1"].startswith("50.0")
    assert row["data"] == "HumanEvalPlus-v0.1.9.jsonl.gz"


def test_what_bigcodebench_reads_again_is_kept(tmp_path):
    fields = dict(
        complete_prompt="def task_func(x):\n", instruct_prompt="", code_prompt="def task_func(x):\n",
        canonical_solution="", test="", entry_point="task_func",
    )
    bench, path = BigCodeBench([dict(task_id="BigCodeBench/13", **fields)]), tmp_path / "a.jsonl"
    record = dict(task_id="BigCodeBench/13", solution="def task_func(x): return x", raw_solution="```\nx\n```")
    path.write_bytes(lines(record, dict(task_id=13, completion=BODY)))
    samples = read_samples(path, bench)
    assert bench.write(samples) == [record, dict(task_id="BigCodeBench/13", solution=fields["complete_prompt"] + BODY)]


@pytest.mark.parametrize("name", ["a.jsonl", "a.jsonl.gz", "a.json"])
def test_samples_are_written_as_their_file_is_called(name, tmp_path):
    samples = read_samples_of(tmp_path / "first.jsonl", lines(*(dict(task_id=t, completion=BODY) for t in GOOD)))
    path = write_samples(tmp_path / name, humaneval(), samples)
    assert (path.read_bytes()[:2] == b"\x1f\x8b") == name.endswith(".gz")
    assert read_samples(path, humaneval()) == samples


def read_samples_of(path, data):
    path.write_bytes(data)
    return read_samples(path, humaneval())
