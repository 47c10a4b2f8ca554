"""Benchmarks by the command line: sample files judged, models measured, the table, and what a user may get wrong."""
import gzip
import json
import sys
from pathlib import Path

import pytest
import warm

from evoselfcode.config import load_config
from evoselfcode.errors import UserError
from evoselfcode.evaluation.humaneval import HumanEval
from evoselfcode.evaluation.suite import against, open_benchmark, run_suite, table_rows
from evoselfcode.io_utils import read_jsonl, write_jsonl

pytestmark = pytest.mark.skipif(not sys.platform.startswith("linux"), reason="programs are executed on Linux only")


def problem(number, name, body, given, wanted):
    return dict(
        task_id=f"HumanEval/{number}", entry_point=name,
        prompt=f'def {name}(x):\n    """Do what the name says."""\n',
        canonical_solution=body,
        test=f"def check(candidate):\n    assert candidate({given}) == {wanted}\n",
    )


PROBLEMS = [
    problem(0, "double", "    return 2 * x\n", 3, 6), problem(1, "square", "    return x * x\n", 3, 9),
    problem(2, "negate", "    return -x\n", 3, -3),
]
FORGED = "    class Yes:\n        def __eq__(self, other): return True\n    return Yes()\n"


@pytest.fixture
def place(tmp_path):
    "A workspace with a benchmark file, as its user would have it."
    (tmp_path/"data"/"eval").mkdir(parents=True)
    write_jsonl(tmp_path/"data"/"eval"/"HumanEval.jsonl", PROBLEMS)
    return tmp_path


def settings(place, *more):
    paths = f"paths.root={place}", f"paths.benchmarks={place / 'data' / 'eval'}"
    return load_config(None, [*paths, "evaluation.bootstrap=50", *more])


def samples(place, *completions, name="samples.jsonl"):
    return write_jsonl(place/name, [dict(task_id=task, completion=text) for task, text in completions])


def command(place, *words):
    return warm.evoselfcode("eval", *words, "-o", f"paths.root={place}", "-o", "evaluation.bootstrap=50")


RIGHT = [(p["task_id"], p["canonical_solution"]) for p in PROBLEMS]


def test_anybody_s_samples_are_judged_by_both_checkers(place):
    path = samples(place, *RIGHT[:2], ("HumanEval/1", "    return x\n"), ("HumanEval/2", FORGED))
    (s,), folder = run_suite(("humaneval",), settings(place), samples=path, export=place/"out.jsonl")
    assert (s["set"], s["problems"], s["n"]) == ("humaneval[3]", 3, 1)
    assert s["pass@1"]["mean"] == pytest.approx((1 + 0.5 + 0) / 3)
    assert s["official"]["pass@1"]["mean"] == pytest.approx((1 + 0.5 + 1) / 3)
    assert (s["differing"], s["suspicious"]) == (1, 0) and s["statuses"] == {"passed": 2, "failed": 1, "unsupported": 1}
    # no accusation: what it gives cannot be carried across
    assert (s["unsupported"], s["unsupported_official"]) == (1, 1)
    fields = {"harness", "data_md5", "python", "limits", "load", "timeouts", "sandbox", "seconds", "bootstrap"}
    assert fields <= set(s) and s["sandbox"].startswith("pure: ")
    assert read_jsonl(place/"out.jsonl") == [{k: r[k] for k in ("task_id", "completion")} for r in read_jsonl(path)]
    table = (folder/"table.md").read_text()
    assert "| humaneval[3] | HumanEval.jsonl | humaneval@6d43fb9 | 3 | 1 to 2 |" in table and "50.0 (" in table
    assert json.loads((folder/"table.json").read_text()) == [s]


def test_a_model_is_measured_the_same_way_again(place):
    short = "evaluation.n=2", "evaluation.ks=[1,2]", "evaluation.max_new_tokens=30"
    config = settings(place, *short, "benchmark.style=d2c")
    (first,), _ = run_suite(("humaneval",), config, "pocket")
    drawn = (Path(first["folder"])/"samples.jsonl").read_bytes()
    (again,), _ = run_suite(("humaneval",), config, "pocket")
    assert again["folder"] == first["folder"] and again["pass@2"] == first["pass@2"]
    assert (Path(first["folder"])/"samples.jsonl").read_bytes() == drawn
    (other,), _ = run_suite(("humaneval",), settings(place, *short, "benchmark.style=native"), "pocket")
    assert other["folder"] != first["folder"]


def test_a_prompt_too_long_for_the_model_counts_as_unsolved(place):
    long = PROBLEMS[0] | dict(prompt="# " + "a very long story " * 200 + "\n" + PROBLEMS[0]["prompt"])
    write_jsonl(place/"data"/"eval"/"HumanEval.jsonl", [PROBLEMS[1], long, PROBLEMS[2]])
    config = settings(place, "evaluation.n=2", "evaluation.ks=[1]", "evaluation.max_new_tokens=10")
    (s,), _ = run_suite(("humaneval",), config, "pocket")
    rows = read_jsonl(Path(s["folder"])/"results_isolated.jsonl")
    assert s["unasked"] == 1 and s["problems"] == 3
    assert [r["task_id"] for r in rows if r.get("unasked")] == ["HumanEval/0"] * 2
    assert not any(r["passed"] for r in rows if r.get("unasked")) and [r["sample_index"] for r in rows] == [0, 1] * 3


def test_what_is_not_there_is_a_row_and_stops_nothing(place, monkeypatch):
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    config = settings(place, "evaluation.n=1", "evaluation.ks=[1]", "evaluation.max_new_tokens=10")
    summaries, _ = run_suite(("humaneval", "mbpp"), config, "pocket")
    rows = table_rows(summaries)
    assert rows[0]["set"] == "humaneval[3]" and rows[1]["pass@1"].startswith("not done: mbpp.jsonl: not in ")
    with pytest.raises(UserError, match="mbpp.jsonl: not in .* fetch it from https://"):
        run_suite(("mbpp",), settings(place), "pocket")


def test_newly_solved_by_format_or_logic(place):
    benchmark = HumanEval(PROBLEMS)
    whole = PROBLEMS[0]["prompt"] + PROBLEMS[0]["canonical_solution"]
    before = [
        dict(task_id="HumanEval/0", completion="    Sure!\n", text=f"Sure!\n```python\n{whole}```\n", passed=False),
        dict(task_id="HumanEval/1", completion="    return x\n", passed=False),
        dict(task_id="HumanEval/2", completion=RIGHT[2][1], passed=True),
    ]
    after = [dict(task_id=t, completion=c, passed=i < 2) for i, (t, c) in enumerate(RIGHT)]
    found = against(benchmark, before, after, settings(place))
    assert found["newly_solved"] == {"HumanEval/0": "format", "HumanEval/1": "logic"}
    assert (found["gained"], found["lost"]) == (2, 1)


def test_the_commands_print_the_table(place):
    path = samples(place, *RIGHT)
    done = command(place, "humaneval", "--samples", path)
    assert done.returncode == 0 and "Traceback" not in done.stderr
    assert "humaneval[3]" in done.stdout and "100.0 (100.0 to 100.0)" in done.stdout
    task = dict(
        task_id=11, text="Double it.", code="def double(x): return 2 * x", test_list=["assert double(3) == 6"],
        test_setup_code="", challenge_test_list=[],
    )
    write_jsonl(place / "data" / "eval" / "mbpp.jsonl", [task])
    path = samples(place, (11, "def double(x): return x + x"), name="mbpp-samples.jsonl")
    done = command(place, "mbpp", "--samples", path)
    assert done.returncode == 0 and "mbpp[test-500]" in done.stdout and "100.0 (" in done.stdout
    path = samples(place, *RIGHT[:1])
    done = command(place, "humaneval", "--samples", path, "--partial")
    assert done.returncode == 0 and "humaneval[3], 1 of them" in done.stdout


def test_the_printed_table_has_the_whole_name_of_the_data_file(place):
    inputs = dict(base_input=[[3]], plus_input=[[4]], atol=0)
    plus = [{k: v for k, v in p.items() if k != "test"} | inputs for p in PROBLEMS]
    name = "HumanEvalPlus-v0.1.9.jsonl"
    write_jsonl(place/"data"/"eval"/name, plus)
    done = command(place, "humaneval+", "--samples", samples(place, *RIGHT))
    assert done.returncode == 0 and f"{name} (not as released)" in done.stdout


@pytest.mark.parametrize("completions, words, said", [
    (RIGHT[:2], [],
     "samples.jsonl: 1 of the 3 tasks of humaneval[3] have no sample, the first is HumanEval/2; "
     "--partial measures the others"),
    ([*RIGHT, ("HumanEval/9", "")], [], "samples.jsonl: line 4: task 'HumanEval/9' is not in humaneval[3]"),
    (RIGHT, ["-o", "evaluation.ks=[5]", "-o", "evaluation.n=2"],
     "evaluation.ks: must not ask for more than evaluation.n = 2 samples"),
    (RIGHT, ["-o", "benchmark.style=natve"], "benchmark.style: must be one of native, d2c, bigcode, deepseek"),
])
def test_mistakes_are_one_line(place, completions, words, said):
    done = command(place, "humaneval", "--samples", samples(place, *completions), *words)
    assert done.returncode == 2 and said in done.stderr and len(done.stderr.strip().splitlines()) == 1


def test_broken_files_are_one_line(place):
    cut = gzip.compress(b'{"task_id": "HumanEval/0", "completion": ""}\n' * 50)[:-12]
    for name, data, said in [
        ("cut.jsonl.gz", cut, "not a whole gzip file"),
        ("odd.jsonl", b'{"task_id": "HumanEval/0", "completion": ""}\n{"task_id": 7\n', "line 2: broken JSON"),
        ("short.jsonl", b'{"task_id": "HumanEval/0"}\n', "line 1: needs task_id and completion, a text"),
    ]:
        (place/name).write_bytes(data)
        with pytest.raises(UserError, match=said): run_suite(("humaneval",), settings(place), samples=place/name)
    with pytest.raises(UserError, match="no benchmark 'humanevil'"): open_benchmark("humanevil", settings(place))


def test_odd_completions_are_judged_and_counted(place):
    path = samples(
        place, ("HumanEval/0", "    return '\0'\n"),
        ("HumanEval/1", "    return x * x\n#" + "x" * 10_000_000),
        ("HumanEval/2", ""),
        *RIGHT,
    )
    (s,), _ = run_suite(("humaneval",), settings(place), samples=path)
    assert s["statuses"] == {"failed": 2, "passed": 4} and s["differing"] == 0


def test_a_chat_model_is_asked_in_messages(place):
    from evoselfcode.engine.local import LocalEngine
    from evoselfcode.evaluation.suite import as_text, ask, must_chat
    engine, benchmark = LocalEngine("pocket"), HumanEval(PROBLEMS)
    with pytest.raises(UserError, match="benchmark.chat: the tokenizer of .* has no chat template"):
        must_chat(engine)
    engine.tokenizer.chat_template = (
        "{% for m in messages %}<{{ m.role }}>{{ m.content }}{% endfor %}"
        "{% if add_generation_prompt %}<assistant>{% endif %}"
    )
    text = as_text(engine, benchmark.prompt(PROBLEMS[0], chat=True))
    assert text.startswith("<user>Please continue to complete the function.") and text.endswith("```<assistant>")
    begun = [dict(role="user", content="Write."), dict(role="assistant", content="def f(")]
    assert as_text(engine, begun) == "<user>Write.<assistant>def f("
    short = settings(place, "evaluation.n=1", "evaluation.ks=[1]", "evaluation.max_new_tokens=8")
    drawn = ask(engine, benchmark, PROBLEMS, short, chat=True)
    assert [s["task_id"] for s in drawn] == [p["task_id"] for p in PROBLEMS]
    assert all(s["completion"].startswith("\n") for s in drawn)


def test_a_summary_of_an_earlier_version_is_a_row_with_its_harness(place):
    path = samples(place, *RIGHT)
    (s,), _ = run_suite(("humaneval",), settings(place), samples=path)
    old = {"profile" if key == "harness" else key: value for key, value in s.items()}
    assert table_rows([old]) == table_rows([s])
