"""Files of problems: what is wrong with one is said with its line, and the table names the version that was read."""

import gzip
import hashlib
import json
from pathlib import Path

import pytest
import warm

from evoselfcode.errors import UserError
from evoselfcode.evaluation.bigcodebench import BigCodeBench
from evoselfcode.evaluation.evalplus import MD5S, HumanEvalPlus, MbppPlus
from evoselfcode.evaluation.humaneval import load_humaneval
from evoselfcode.evaluation.lcb import load as load_lcb
from evoselfcode.evaluation.mbpp import load_mbpp

SHARED = Path(__file__).resolve().parents[2] / "shared" / "benchmarks"
TESTS = json.dumps([dict(input="3\n", output="6\n", testtype="stdin")])
HUMANEVAL = dict(
    task_id="HumanEval/0",
    prompt='def f(x):\n    """Add."""\n',
    entry_point="f",
    canonical_solution="    return x\n",
    test="def check(f): pass\n",
)
PLUS = {key: HUMANEVAL[key] for key in HUMANEVAL if key != "test"} | dict(base_input=[[1]], plus_input=[[2]], atol=0)
MBPP = dict(task_id=11, text="Add.", code="def f(x): return x", test_list=["assert f(1) == 1"])
BCB = dict.fromkeys(("complete_prompt", "instruct_prompt", "code_prompt", "canonical_solution", "test"), "x")
BCB |= dict(task_id="BigCodeBench/0", entry_point="f")
LCB = dict(
    question_id="a", question_content="x", contest_date="2024-01-01T00:00:00", starter_code="",
    public_test_cases=TESTS, private_test_cases="[]", metadata="{}",
)
READERS = {  # file, a good record, who reads a folder
    "humaneval": ("HumanEval.jsonl", HUMANEVAL, lambda folder: load_humaneval([folder])),
    "humaneval+": ("HumanEvalPlus-v0.1.10.jsonl", PLUS, lambda folder: HumanEvalPlus.load([folder])),
    "mbpp": ("mbpp.jsonl", MBPP, lambda folder: load_mbpp([folder])),
    "mbpp+": ("MbppPlus-v0.2.0.jsonl", PLUS | dict(task_id="Mbpp/2"), lambda folder: MbppPlus.load([folder])),
    "bigcodebench": ("BigCodeBench-v0.1.4.jsonl", BCB, lambda folder: BigCodeBench.load([folder])),
    "lcb": ("mine.jsonl", LCB, lambda folder: load_lcb([folder], "mine.jsonl")),
}
WRONG = [
    (name, key, value)
    for name, (_, good, _) in READERS.items()
    for key in good
    for value in ([], None, {}, True)
    if not (isinstance(good[key], list) and value in ([], {}))
]
OPTIONAL = "text", "prompt"  # null is as good as missing there


def line(record):
    return json.dumps(record).encode() + b"\n"


@pytest.mark.parametrize("name, key, value", [
    case for case in WRONG if case[0] != "mbpp" or case[1] not in OPTIONAL or case[2] is not None
])
def test_a_field_of_the_wrong_kind_is_named_with_its_line(name, key, value, tmp_path):
    file, good, read = READERS[name]
    other = good | ({key_of(name): 12 if name == "mbpp" else "Other/1"})
    (tmp_path / file).write_bytes(line(other) + b"\n" + line(good | {key: value}))
    with pytest.raises(UserError) as error: read(tmp_path)
    told = str(error.value)
    assert told.startswith(f"{tmp_path / file}: line 3: ") and key in told and "\n" not in told


def key_of(name):
    return "question_id" if name == "lcb" else "task_id"


@pytest.mark.parametrize("key, value", [
    ("test_list", [1]), ("test_imports", "import math"), ("test_setup_code", 3), ("task_id", "x"), ("task_id", 11.5),
])
def test_so_is_one_of_mbpp_s_own(key, value, tmp_path):
    (tmp_path / "mbpp.jsonl").write_bytes(line(MBPP | {key: value}))
    with pytest.raises(UserError, match=f"mbpp.jsonl: line 1: field '{key}' must be"):
        load_mbpp([tmp_path])


def test_what_may_be_missing_may_be_null(tmp_path):
    (tmp_path / "mbpp.jsonl").write_bytes(line(MBPP | dict(test_imports=None, test_setup_code=None, prompt=None)))
    assert load_mbpp([tmp_path]).problems[0]["setup"] == ""
    (tmp_path / "mbpp.jsonl").write_bytes(line(MBPP | dict(text=None)))
    with pytest.raises(UserError, match="mbpp.jsonl: task 11: needs a description, as `text` or `prompt`"):
        load_mbpp([tmp_path])


@pytest.mark.parametrize("name", READERS)
def test_marks_of_byte_order_and_other_line_ends_are_none_of_ours(name, tmp_path):
    file, good, read = READERS[name]
    (tmp_path / file).write_bytes(b"\xef\xbb\xbf" + line(good).replace(b"\n", b"\r\n") + b"\xef\xbb\xbf\r\n")
    assert len(read(tmp_path).problems) == 1


@pytest.mark.parametrize("name", READERS)
def test_a_number_too_long_is_named_with_its_line(name, tmp_path):
    file, good, read = READERS[name]
    (tmp_path / file).write_bytes(line(good)[:-2] + b', "more": ' + b"7" * 5000 + b"}\n")
    with pytest.raises(UserError, match="line 1: an integer of more than 4,300 digits"):
        read(tmp_path)


def test_hard_tasks_are_names(tmp_path):
    (tmp_path / "BigCodeBench-v0.1.4.jsonl").write_bytes(line(BCB | dict(libs=5)))
    (tmp_path / "BigCodeBench-Hard-v0.1.4.jsonl").write_bytes(line(dict(task_id=["BigCodeBench/0"])))
    with pytest.raises(UserError, match="Hard-v0.1.4.jsonl: line 1: field 'task_id' must be a text"):
        BigCodeBench.load([tmp_path], subset="hard")


@pytest.mark.parametrize("file, shown", [
    ("HumanEvalPlus-v0.1.10.jsonl.gz", "HumanEvalPlus-v0.1.10.jsonl.gz"),
    ("HumanEvalPlus-v0.1.9.jsonl.gz", "HumanEvalPlus-v0.1.9.jsonl.gz"),
    ("HumanEvalPlus.jsonl.gz", "HumanEvalPlus.jsonl.gz ({})"),
    ("HumanEvalPlus-v0.1.11.jsonl.gz", "HumanEvalPlus-v0.1.11.jsonl.gz ({})"),
])
def test_the_version_is_what_the_file_is(file, shown, tmp_path, monkeypatch):
    data, version = line(PLUS), "v0.1.10" if "v0.1.10" in file else "v0.1.9"
    (tmp_path / file).write_bytes(gzip.compress(data))
    assert HumanEvalPlus.load([tmp_path]).data == f"{file} (not as released)"
    monkeypatch.setitem(MD5S, hashlib.md5(data).hexdigest(), version)
    assert HumanEvalPlus.load([tmp_path]).data == shown.format(version)


@pytest.mark.skipif(not SHARED.is_dir(), reason="the files are not on this machine")
@pytest.mark.parametrize("kind, file, mini", [
    (HumanEvalPlus, "HumanEvalPlus-v0.1.9", False),
    (HumanEvalPlus, "HumanEvalPlus-v0.1.10", False),
    (HumanEvalPlus, "HumanEvalPlus-Mini-v0.1.10", True),
    (MbppPlus, "MbppPlus-v0.2.0", False),
])
def test_the_releases_are_known(kind, file, mini, tmp_path):
    (tmp_path / f"{file}.jsonl.gz").symlink_to(SHARED / "evalplus" / f"{file}.jsonl.gz")
    assert kind.load([tmp_path], mini=mini).data == f"{file}.jsonl.gz"


@pytest.mark.parametrize("words, told", [
    (("--recheck", "nonsense"), "--recheck nonsense: must be timeout, or nothing"),
    (("-o", "execution.recheck=nonsense"), "execution.recheck: must be one of timeout, nothing, not 'nonsense'"),
    (("--extract",), "--extract goes with --samples"),
    (("-o", "benchmark.checker=nonsense"),
     "benchmark.checker: must be one of both, isolated, official, not 'nonsense'"),
])
def test_options_say_what_they_take(words, told, tmp_path):
    done = warm.evoselfcode("eval", "humaneval", *words, "-o", f"paths.root={tmp_path}")
    assert done.returncode == 2 and told in done.stderr and done.stderr.count("\n") == 1
