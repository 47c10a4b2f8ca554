"""MBPP's verdicts are the recorded ones on 5,000 outputs of a real model, and its authors' solutions pass wherever a
harness lets them."""
import json
from pathlib import Path

import pytest

from evoselfcode.evaluation.benchmark import ISOLATED, OFFICIAL, Harness, check, read_bytes
from evoselfcode.evaluation.mbpp import HARNESSES, SETS, load_mbpp

DATA = Path(__file__).resolve().parents[3]/"shared"/"benchmarks"
pytestmark = [
    pytest.mark.conformance,
    pytest.mark.skipif(not DATA.is_dir(), reason="needs the benchmark files beside the project"),
    pytest.mark.timeout(1200),
]
RECORDS = DATA/"verdicts"/"mbpp"/"qwen3-0.6b_mbpp_base.jsonl.gz"
WITHOUT_SETUP = {"Mbpp/367", "Mbpp/927"}  # their tests use a tree that only test_setup_code builds
# the authors' own solution computes for about two seconds, more on a busy machine
HEAVY = {"Mbpp/123"}


@pytest.mark.parametrize("checker", [OFFICIAL, ISOLATED])
def test_recorded_verdicts(checker):
    mbpp = load_mbpp([DATA], "test-500")
    mbpp.harness = Harness("the recorder's", seconds=5.0)  # program, newline, tests
    rows = [json.loads(line) for line in read_bytes(RECORDS).splitlines()]
    samples = [
        dict(task_id=f"Mbpp/{r['task_id']}", solution=code, recorded=passed)
        for r in rows
        for code, passed in zip(r["generated_codes"], r["test_results"], strict=True)
    ]
    results = check(mbpp, samples, checker)
    assert len(results) == 5000
    assert [
        (r["task_id"], r["recorded"], r["status"], r["detail"]) for r in results if r["passed"] != r["recorded"]
    ] == []


@pytest.mark.parametrize("name", SETS)
@pytest.mark.parametrize("harness", HARNESSES)
@pytest.mark.parametrize("checker", [OFFICIAL, ISOLATED])
def test_the_authors_solutions_pass(name, harness, checker):
    mbpp = load_mbpp([DATA], name, harness)
    rows = check(mbpp, [mbpp.canonical(p) for p in mbpp.problems], checker)
    failed = {r["task_id"]: r["detail"] for r in rows if not r["passed"]}
    without = {t for t in WITHOUT_SETUP if t in mbpp.by_task and mbpp.by_task[t]["setup"]}
    assert set(failed) - HEAVY == (without if harness != "mbpp@paper" else set()), failed
    assert len(mbpp.problems) == int(name.split("-")[-1])
