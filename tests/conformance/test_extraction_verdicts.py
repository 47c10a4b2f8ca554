"Sanitising against recorded pairs of raw and sanitised texts, and against evalplus itself where that is installed."
import gzip
import json
import random
import warnings
from pathlib import Path

import pytest

from evoselfcode.evaluation.evalplus import HumanEvalPlus, MbppPlus
from evoselfcode.evaluation.extraction import sanitize

FOLDER = Path(__file__).resolve().parents[3] / "shared" / "benchmarks"
pytestmark = [
    pytest.mark.conformance, pytest.mark.timeout(900),
    pytest.mark.skipif(not FOLDER.is_dir(), reason="the recorded samples are not on this machine"),
]

# Left different on purpose: text in which a lone carriage return or a backslash before an empty line or a comment ends
# a statement, which tree-sitter reads otherwise than Python does.


def lines_of(path: Path) -> list[dict]:
    with gzip.open(path, "rt") as file: return list(map(json.loads, file))


def solutions() -> list[tuple[str, str]]:
    "Recorded solutions, sanitised by evalplus, with their entry points."
    entries = {
        problem["task_id"]: problem["entry_point"]
        for kind in (HumanEvalPlus, MbppPlus)
        for problem in kind.load([FOLDER]).problems
    }
    found = []
    for path in sorted((FOLDER / "verdicts" / "evalplus").glob("*.json.gz")):
        with gzip.open(path, "rt") as file:
            found += [
                (row["solution"], entries[task]) for task, rows in json.load(file)["eval"].items() for row in rows
            ]
    return found


@pytest.mark.parametrize("kind", ["complete", "instruct"])
def test_raw_answers_become_what_bigcodebench_made_of_them(kind):
    samples = lines_of(FOLDER / "verdicts" / "bcb" / f"acecoder-ckpt200__hard-{kind}.jsonl.gz")
    assert len(samples) == 148
    assert [
        s["task_id"] for s in samples if sanitize(s["raw_solution"], "task_func", needs_return=False) != s["solution"]
    ] == []


def test_what_is_sanitised_stays_as_it_is():
    texts = solutions()
    assert len(texts) == 870 and [text for text, entry in texts if sanitize(text, entry) != text] == []


ADDED = [
    "Here is the solution:", "It's easy (see below.", "```python", "```", "", "  ", "# comment", "    # deep comment",
    "  # two", "import os", "from __future__ import annotations", "x = 1", "x: int", "a, b = c", "a.b = c", "x += 1",
    "if x:", "    pass", "else:", "try:", "@dec", "class A: pass # c", "def h(): return 1", "def h2(): return h();",
    "s = '''", '"""', "x = (", ")", "é = 'ü'", "x = 1; import sys; y = 2", "return 3", "if __name__ == '__main__':",
    "    main()", "async def k(): return await k2()", "print(f'{h(3)!r:>{width}}')",
]


def test_changed_texts_become_what_evalplus_makes_of_them():
    theirs = pytest.importorskip("evalplus.sanitize").sanitize
    texts = [t for t in solutions() if t[0].count("\n") < 40]
    chance, different = random.Random(5), []
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for _ in range(1500):
            text, entry = chance.choice(texts)
            lines = text.split("\n")
            for _ in range(chance.randrange(5)):
                at = chance.randrange(len(lines) + 1)
                if chance.random() < .7: lines.insert(at, chance.choice(ADDED))
                else: del lines[at:at + chance.randrange(3)]
            line_end = "\r\n" if chance.random() < 0.1 else "\n"
            text = line_end.join(lines[:chance.choice((None, None, len(lines) * 2 // 3))])
            if chance.random() < .3: text = f"Sure!\n```python\n{text}\n```\nThat's it."
            if sanitize(text, entry) != theirs(text, entry): different.append((text, entry))
    assert different == []
