"""HumanEval's verdicts are those of OpenAI's checker, on recorded outputs of real models and on its own solutions."""
import json
from pathlib import Path

import pytest

from evoselfcode.evaluation.benchmark import ISOLATED, OFFICIAL, check, read_bytes
from evoselfcode.evaluation.humaneval import load_humaneval

DATA = Path(__file__).resolve().parents[3]/"shared"/"benchmarks"
pytestmark = [
    pytest.mark.conformance,
    pytest.mark.skipif(not DATA.is_dir(), reason="needs the benchmark files beside the project"),
    pytest.mark.timeout(1200),
]
FILES = sorted((DATA/"verdicts"/"humaneval").glob("*.jsonl.gz"))
OLDER_PYTHON = "'type' object is not subscriptable"  # recorded under 3.7 and 3.8, which do not know `list[int]`


def records(path):
    return [json.loads(line) for line in read_bytes(path).splitlines()]


@pytest.fixture(scope="module")
def humaneval():
    return load_humaneval([DATA])


@pytest.mark.parametrize("path", FILES, ids=lambda p: p.name.split(".")[0])
def test_recorded_verdicts(humaneval, path):
    rows = records(path)
    official, isolated = (check(humaneval, rows, checker) for checker in (OFFICIAL, ISOLATED))
    old = [OLDER_PYTHON in row["result"] for row in rows]
    parser = ["(<string>, line " in row["result"] for row in rows]  # a parser's words change from version to version
    assert [
        (r["task_id"], r["result"], row["result"])
        for r, row, o, p in zip(official, rows, old, parser)
        if r["result"] != row["result"] and not (o or p)
    ] == []
    assert [
        (r["task_id"], r["result"], row["result"])
        for r, row, o in [*zip(official, rows, old), *zip(isolated, rows, old)]
        if r["passed"] != row["passed"] and not o
    ] == []
    assert sum(old) <= 2


@pytest.mark.parametrize("checker", [OFFICIAL, ISOLATED])
def test_the_authors_solutions_pass_and_empty_bodies_do_not(humaneval, checker):
    solved = check(humaneval, [humaneval.canonical(p) for p in humaneval.problems], checker)
    assert [r["task_id"] for r in solved if not r["passed"]] == [] and len(solved) == 164
    empty = check(humaneval, [dict(task_id=p["task_id"], completion="    pass\n") for p in humaneval.problems], checker)
    assert [r["task_id"] for r in empty if r["passed"]] == []


def test_the_harness_s_own_example():
    from evoselfcode.evaluation.humaneval import HumanEval
    example = HumanEval(records(DATA/"humaneval"/"example_problem.jsonl"))
    results = check(example, records(DATA/"humaneval"/"example_samples.jsonl"), OFFICIAL)
    assert sum(r["passed"] for r in results) / len(results) == 0.5
