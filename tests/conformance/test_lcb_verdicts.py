"""LiveCodeBench against o1-mini's programs and the result lists of the official code, at two commits, on problems whose
hidden tests are rebuilt as far as they are known."""
import gzip
import json
from dataclasses import replace
from pathlib import Path

import pytest

from evoselfcode.evaluation.benchmark import ISOLATED, OFFICIAL, check, read_samples
from evoselfcode.evaluation.lcb import fenced, load
from evoselfcode.execution.execution import Runner

FOLDER = Path(__file__).resolve().parents[3]/"shared"/"benchmarks"
VERDICTS = FOLDER/"verdicts"/"lcb"
pytestmark = [
    pytest.mark.conformance, pytest.mark.skipif(not FOLDER.is_dir(), reason="the recorded verdicts are not here"),
]
EXPECTED = {"lcb@28fef95": "res_head", "lcb@051d813": "res_old"}
# Where `official` equals the record and `isolated` does not pass what that passes: none is known.
OTHERWISE_SPLIT: dict[str, str] = {}


def lines(path): return [json.loads(line) for line in gzip.decompress(path.read_bytes()).splitlines() if line.strip()]


@pytest.fixture(scope="module")
def expected():
    return {row["question_id"]: row for row in lines(VERDICTS/"o1mini_expected.jsonl.gz") if not row["tle"]}


@pytest.fixture(scope="module")
def samples(expected, tmp_path_factory):
    # the recorded file covers one problem more than can be rebuilt
    path = tmp_path_factory.mktemp("lcb")/"samples.json"
    source = VERDICTS/"o1mini_codegeneration_eval_all.jsonl.gz"
    recorded = gzip.decompress(source.read_bytes())
    records = json.loads(recorded) if recorded.lstrip()[:1] == b"[" else lines(source)
    path.write_text(json.dumps([r for r in records if r["question_id"] in expected]))
    return read_samples(path, load([VERDICTS], "lcb_v5_reconstructed.jsonl.gz"), partial=True)


def judge(name, checker, samples, unlike):
    """Results; those that ran out of time and shall not have are judged again, alone and with four times as much: a
    busy machine is no difference."""
    benchmark = load([VERDICTS], "lcb_v5_reconstructed.jsonl.gz", harness=name)
    rows = check(benchmark, samples, checker, runner=Runner(workers=2))
    late = [i for i, row in enumerate(rows) if row["status"] == "timeout" and unlike(row)]
    assert len(late) <= 10, [rows[i]["task_id"] for i in late]
    benchmark.harness = replace(benchmark.harness, seconds=4 * benchmark.harness.seconds)
    alone = Runner(workers=1)
    for i, again in zip(late, check(benchmark, [samples[i] for i in late], checker, alone) if late else []):
        rows[i] = again
    return rows


@pytest.mark.parametrize("name", EXPECTED)
def test_official_gives_the_same_result_lists(name, samples, expected):
    unlike = lambda row: row["result"] != expected[row["task_id"]][EXPECTED[name]]
    rows = judge(name, OFFICIAL, samples, unlike)
    assert len(rows) == 874 and [(r["task_id"], r["result"], r["detail"]) for r in rows if unlike(r)] == []


@pytest.mark.parametrize("name", EXPECTED)
def test_split_passes_the_same_programs(name, samples, expected):
    unlike = lambda row: row["passed"] != all(r is True for r in expected[row["task_id"]][EXPECTED[name]])
    rows = judge(name, ISOLATED, samples, unlike)
    assert {(r["task_id"], r["detail"]) for r in rows if unlike(r) and r["task_id"] not in OTHERWISE_SPLIT} == set()
    assert len(OTHERWISE_SPLIT) < 0.002 * len(rows)
    lists = [(r["task_id"], r["result"], expected[r["task_id"]][EXPECTED[name]]) for r in rows]
    assert [row for row in lists if row[1] != row[2]] == []


def test_the_standard_input_of_may_2025_costs_five_programs(expected):
    passed = {
        name: {q for q, row in expected.items() if all(r is True for r in row[key])} for name, key in EXPECTED.items()
    }
    five = ["abc303_d", "abc338_d", "abc344_b", "abc359_d", "abc380_c"]
    assert sorted(passed["lcb@051d813"] - passed["lcb@28fef95"]) == five


def test_programs_are_taken_from_answers_as_the_harness_does():
    records = lines(VERDICTS/"o1mini_codegeneration_eval_all.jsonl.gz")
    records = records[0] if len(records) == 1 else records
    assert all(
        fenced(text) == code for record in records for text, code in zip(record["output_list"], record["code_list"])
    )


def test_the_genuine_record_is_read():
    genuine = load([FOLDER], "one_genuine_record_1873_A.jsonl")
    assert genuine.prompt_name() == "lcb, base, example of lcb"  # func.json and stdin.json lie beside it
    (problem,) = genuine.problems
    good = "for _ in range(int(input())): print('NO' if input() in ('bca', 'cab') else 'YES')"
    for checker in genuine.checkers:
        row, = check(genuine, [dict(task_id="1873_A", solution=good)], checker, runner=Runner(workers=1))
        assert row["result"] == [True] * 5
    assert genuine.prompt(problem).count("### Question\n") == 2


def test_public_tests_alone_are_a_file_too():
    late = load([FOLDER], "lcb_v5_public_only.jsonl.gz", cutoff="2024-08")
    every = load([FOLDER], "lcb_v5_public_only.jsonl.gz")
    assert len(late.problems) < len(every.problems) == 879
