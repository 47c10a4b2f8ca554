"The benchmarks themselves, planted under other names, are found; the pocket world's data hold no copy of HumanEval."
import re
from pathlib import Path

import pytest

from evoselfcode.evaluation.benchmark import parse_records, read_bytes
from evoselfcode.evaluation.contamination import AST, BEHAVIOURAL, EXACT, TEN_GRAM, overlap
from evoselfcode.evaluation.humaneval import load_humaneval
from evoselfcode.evaluation.mbpp import load_mbpp
from evoselfcode.execution.execution import Runner

FOLDER = Path(__file__).resolve().parents[3] / "shared" / "benchmarks"
pytestmark = [pytest.mark.conformance, pytest.mark.skipif(not FOLDER.is_dir(), reason=f"{FOLDER} is not there")]
# Problems so small that a few lines of any set of programs solve them: the length, the largest, the sum, a palindrome,
# joined texts, sorted unique items, running totals ...
TRIVIAL = {f"HumanEval/{n}" for n in (10, 14, 23, 28, 30, 34, 35, 42, 48, 53, 58)}


def problems(benchmark): return [benchmark.neutral(p) for p in benchmark.problems]


@pytest.fixture(scope="module")
def humaneval(): return problems(load_humaneval([FOLDER / "humaneval"]))


def renamed(p): return re.sub(rf"\b{p.entry_point}\b", "some_other_name", p.code)


def planted(problems): return [dict(id=p.task_id, description="It does something.", code=renamed(p)) for p in problems]


def found(report, kind): return {f["task_id"] for f in report.findings if f["kind"] == kind and f["id"] == f["task_id"]}


def test_planted_solutions_of_humaneval_are_found(humaneval, tmp_path):
    report = overlap(humaneval, planted(humaneval), Runner(workers=2, store=tmp_path / "store.sqlite"))
    assert len(found(report, BEHAVIOURAL)) == 164 and len(found(report, AST)) == 164
    assert not report.unchecked and not report.unanswered


def test_planted_solutions_of_mbpp_are_found(tmp_path):
    every = problems(load_mbpp([FOLDER / "mbpp"], "sanitized-427"))
    report = overlap(every, planted(every), Runner(workers=2, store=tmp_path / "store.sqlite"))
    # their tests ask for a match object, which is no data
    assert sorted(task for _, task in report.unchecked) == ["Mbpp/737", "Mbpp/787", "Mbpp/794"]
    assert len(found(report, BEHAVIOURAL)) >= 422  # of 424; on a busy machine one or two run out of time


def test_the_pocket_data_hold_no_copy_of_humaneval(humaneval, root, tmp_path):
    rows = [
        r
        for name in ("initial_pairs", "descriptions", "unlabelled_code")
        for r in parse_records(read_bytes(root / f"data/raw/{name}.jsonl"), name)
    ]
    report = overlap(humaneval, rows, Runner(workers=2, store=tmp_path / "store.sqlite"))
    assert report.counts[EXACT] == report.counts[TEN_GRAM] == 0 and not report.unanswered
    assert {f["task_id"] for f in report.findings} <= TRIVIAL  # the same behaviour, of functions of one line
    assert len({f["row"] for f in report.findings}) < 0.02 * len(rows)
