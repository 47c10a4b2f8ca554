"A model's text is read as it is meant: where lines end, which of it is the answer, what a gate may believe."

import gzip
import json
import time

import pytest

from evoselfcode.datagen import functions, standalone
from evoselfcode.evaluation import lcb
from evoselfcode.evaluation.answers import answer_code, code_in, stands
from evoselfcode.evaluation.extraction import LARGEST, fenced, sanitize
from evoselfcode.evaluation.humaneval import HumanEval, cut_body, problem_description, problem_signature
from evoselfcode.evaluation.lcb import LiveCodeBench
from evoselfcode.evaluation.mbpp import Mbpp
from evoselfcode.evaluation.suite import anew
from evoselfcode.pipeline.filtering import apply_gates, as_run, lint
from evoselfcode.prompts import cut_code
from evoselfcode.reporting.lineage import story
from evoselfcode.syntax import lines_of, parse

# where a line ends

NO_ENDS = ["\x0b", "\x0c", "\x1c", "\x1d", "\x1e", "\x85", "\u2028", "\u2029"]  # to str.splitlines they are


@pytest.mark.parametrize("text, lines", [
    ("", []), ("a", ["a"]), ("a\n", ["a"]), ("a\n\nb", ["a", "", "b"]), ("a\r\nb\rc\n", ["a", "b", "c"]), ("\n", [""]),
    *((f"a{c}b\nc", [f"a{c}b", "c"]) for c in NO_ENDS),
])
def test_lines_end_where_they_end_in_python(text, lines):
    assert lines_of(text) == lines


@pytest.mark.parametrize("char", NO_ENDS, ids=ascii)
def test_a_character_that_ends_no_line_cuts_nothing(char):
    body = f"    out = []\n    for ch in s:\n        if ch == '{char}': out.append(ch)\n    return out\n"
    head = f'SEPARATOR = "{char}"\n\ndef f(s):\n'
    prompt = f'{head}    """Find{char}all.\n\n    >>> f("")\n    []\n    """\n'
    record = dict(task_id="T/0", entry_point="f", prompt=prompt)
    assert cut_body(body) == body and cut_body(body + "\ndef g(): pass\n") == body
    assert cut_code(head + body + "\nx = 1\n") == head + body
    assert problem_signature(record) == head and problem_description(record) == f"Find{char}all."
    assert list(fenced(f"```python\n{head}{body}```")) == [("python", (head + body)[:-1])]
    assert sanitize(f"{head}{body}print(f(1))", "f", needs_return=False) == f"def f(s):\n{body}".strip()
    assert functions.cut_function(f"def f(s):\n{body}\n") == (f"def f(s):\n{body}", "")
    assert story(dict(id="i", code=body, files=[]))[1:5] == [f"    {line}" for line in body.split("\n")[:4]]


def test_a_carriage_return_ends_a_line_of_code():
    assert cut_body("    x = 1\r    return x\r\n\r\ndef g(): pass") == "    x = 1\n    return x\n"
    code, _ = functions.cut_function('def f(x):\n    """a\rb"""\n    return x\ny = 1\n')
    assert code == 'def f(x):\n    """a\nb"""\n    return x\n'


@pytest.mark.parametrize("char", NO_ENDS[5:], ids=ascii)
def test_inputs_of_livecodebench_keep_such_characters(char):
    tests = json.dumps([dict(input=f'"a{char}b"\n2', output="3", testtype="functional")])
    made = dict(task_id="q", question_content="Add.", starter_code="", function="f", public=tests)
    assert LiveCodeBench("lcb", [made]).neutral(made).inputs == ([f"a{char}b", 2],)


def test_a_packed_file_of_livecodebench_is_read_like_a_plain_one(tmp_path):
    record = json.dumps(dict(
        question_id="q", question_content="Add.", contest_date="2024-08-31T00:00:00", starter_code="", metadata="{}",
        public_test_cases='[{"input": "1", "output": "1", "testtype": "stdin"}]', private_test_cases="[]",
    ))
    data = record.replace("{", "{\r", 1).encode() + b"\n"  # a carriage return is blank space in JSON
    (tmp_path / "a.jsonl").write_bytes(data)
    (tmp_path / "a.jsonl.gz").write_bytes(gzip.compress(data))
    plain, packed = (lcb.read_problems(tmp_path / name)[0]["task_id"] for name in ("a.jsonl", "a.jsonl.gz"))
    assert plain == packed == "q"


def test_an_address_behind_a_form_feed_is_seen():
    text = "def f(x):\n    # by\x0c somebody@example.org\n    return x\n"
    assert standalone.private(text, list(standalone.ast.walk(parse(text)))) == "e-mail address"


# the answers of chat models

F = "def f(x):\n    return x + 1"
DOC = 'def f(x):\n    """\n{}\nf(1)\n```\n    """\n    return x + 1'
PROBLEM = dict(
    task_id="T/0", entry_point="f", prompt='import math\n\ndef f(x):\n    """Add one."""\n',
    canonical_solution="    return x + 1\n", test="def check(candidate):\n    assert candidate(1) == 2\n",
)
TASK = dict(task_id="Mbpp/1", number=1, text="Add one.", code=F, tests=["assert f(1) == 2"], imports="", setup="")
ANSWERS = {
    "a block": f"Sure!\n```python\n{F}\n```\nDone.",
    "no fence": F,
    "no fence, with words": f"Here it is:\n\n{F}\n\nThis adds one (as wanted).",
    "one line, with words": "Here it is:\ndef f(x): return x + 1\nThis adds one.",
    "only a closing fence": f"{F}\n```\nIt adds one.",
    "only a closing fence, at the end": f"{F}\n```",
    "a draft in thought": f"<think>\n```python\ndef f(x):\n    y = x\n    z = y\n    return z\n```\n"
    f"No.\n</think>\n```python\n{F}\n```",
    "a draft in thought, no fence after": f"So:\n```python\ndef f(x):\n    y = x\n    z = y\n    return z\n```\n"
    f"No.\n</think>\n\n{F}",
    "a draft before the answer": f"First:\n```python\ndef f(x):\n    return x\n```\nBut no. So:\n"
    f"```python\n{F}\n```\nUse it:\n```python\nfrom a import f\nprint(f(1))\n```",
    "a quotation before the answer": f'You gave:\n```python\ndef f(x):\n    """Add one."""\n```\n'
    f'Here:\n```python\n{F}\n```',
    "cut off in thought": f"<think>\n```python\n{F}\n```\nOr is it",
    "a fence in a docstring": f"```python\n{DOC.format('```')}\n```\nThat's it.",
    "a fence with a language in a docstring": f"```python\n{DOC.format('```python')}\n```\nThat's it.",
    "a string that never ends, then the answer": f'```python\ndef f(x):\n    """oops\n```\n'
    f'Again:\n```python\n{F}\n```\nSo.',
    "attributes": f'```python title="a.py" {{1,2}}\n{F}\n```',
    "braces": f"```{{python}}\n{F}\n```",
    "a class in braces": f"``` {{.python .numberLines}}\n{F}\n```",
    "a file's name": f"```python:main.py\n{F}\n```",
    "ipython": f"```ipython\n{F}\n```",
    "a version": f"```python3.11\n{F}\n```",
    "capitals": f"```PYTHON\n{F}\n```",
    "words before the fence": f"The function `f`: ```python\n{F}\n```",
    "code behind the fence": "```python def f(x):\n    return x + 1\n```",
    "a fence behind the code": f"```python\n{F}```\nIt adds one.",
    "words behind the closing fence": f"```python\n{F}\n``` That is it.\n```bash\nls\n```",
    "an end token behind the closing fence": f"```python\n{F}\n```<|im_end|>",
    "never closed": f"```python\n{F}",
    "never closed, with words": f"```python\n{F}\n\nThis adds one.",
    "never closed, cut off": f"```python\n{F}\n\nprint(f(1)",
    "never closed, and begun anew": f"```python\ndef f(x): return 3\n```python\n{F}\n```",
    "CRLF": f"Sure!\n```python\n{F}\n```\nDone.".replace("\n", "\r\n"),
    "tildes": f"~~~ python\n{F}\n~~~",
    "four backticks": f"````python\n{F}\n````",
    "a block in a block": f"```markdown\n```python\n{F}\n```\n```",
    "another language first": f"```bash\npip install f\n```\n```python\n{F}\n```",
    "a wrong language": f"```c\n{F}\n```",
    "in a list": "1. So:\n   ```python\n   def f(x):\n       return x + 1\n   ```",
    "marks of CodeLlama": f"[PYTHON]\n{F}\n[/PYTHON]",
    "marks of an answer": f"[ANSWER]\n{F}\n[/ANSWER]",
    "marks of MBPP": f"[BEGIN]\n{F}\n[DONE]",
    "only a closing mark": f"{F}\n[DONE]",
    "headings": f"Solution\n\n{F}\n\nExplanation",
    "copied from a page": f"python\nCopy code\n{F}\nDone",
    "a note": f"{F}\n\nNote: simple",
    "words in a fence": f"```\nSolution\n{F}\n```",
    "words on many lines": f"[\nSolution,\nPython\n]\n{F}\n(Simple,\n isnt)",
    "marks on its line": f"[PYTHON]{F}[/PYTHON]",
    "an end token on its last line": f"{F}<|endoftext|>",
    "an end token in a fence": f"```python\n{F}</s>",
    "the stub again": f"```python\n{F}\n```\nYou gave:\n```python\ndef f(x):\n    'Add one.'\n    pass\n```",
    "an ellipsis again": f"```python\n{F}\n```\nFill in:\n```python\ndef f(x): ...\n```",
    "an unmade one again": f"{F}\n\nThe stub:\n\ndef f(x):\n    raise NotImplementedError\n",
    "exit": f"```python\n{F}\n\nprint(f(1))\nimport sys\nsys.exit(0)\n```",
    "an input": f"```python\n{F}\n\nx = int(input())\nprint(f(x))\n```",
    "a wrong check": f"```python\n{F}\nassert f(1) == 3\n```",
    "a main": f"```python\n{F}\n\nif __name__ == '__main__':\n    import unittest\n    unittest.main()\n```",
    "an import in a block of its own": f"First:\n```python\nimport operator\n```\nThen:\n```python\n"
    f"{F.replace('x + 1', 'operator.add(x, ONE)')}\n```\nwith\n```python\nONE = 1\n```",
    "a helper without a fence": f"def more(x):\n    return x + add()\n\nand\n\ndef add(): return 1\n\nThen so:\n\n"
    f"{F.replace('x + 1', 'more(x)')}\n",
    "a value that is used above": f"{F.replace('x + 1', 'x + ONE')}\n\nONE = 1\nprint(f(1))",
    "HTML": f'<pre><code class="language-python">{F}\nif 1 &lt; 2: pass</code></pre>',
    "a leading blank": f" {F}",
    "a leading blank, with words": f" {F}\n\nThat adds one.",
    "quoted": "> ```python\n> " + F.replace("\n", "\n> ") + "\n> ```",
    "at a prompt": "```pycon\n>>> " + F.replace("\n", "\n... ") + "\n>>> f(1)\n```",
    "a leading blank in a fence": f"```python\n {F}\n```",
    "a lambda": "```python\nf = lambda x: x + 1\n```",
}
BODIES = {
    "a body": "    return x + 1\n",
    "with words": "    return x + 1\n\nThat adds one.",
    "before a fence": "    return x + 1\n```\nIt adds one.",
    "in a fence": "```python\n    return x + 1\n```",
    "in a fence, without its indent": "```python\nreturn x + 1\n```",
    "without its indent": "y = x\nif y: pass\nreturn y + 1",
    "its first line stripped": "for y in (x,):\n        return y + 1\n    return 1",
    "with an end token": "    return x + 1<|endoftext|>",
    "in a fence, CRLF": "```python\r\n    y = x\r\n    return y + 1\r\n```\r\n",
}


def solves(program: str) -> bool:
    space = {}
    exec(program, space)  # written here
    return space["f"](1) == 2


@pytest.mark.parametrize("text", ANSWERS.values(), ids=ANSWERS)
def test_the_answer_is_found_alike_for_every_benchmark(text):
    code = answer_code(text, "f")
    assert solves(code) and "```" not in code.replace("\n```\nf(1)\n```", "").replace("\n```python\nf(1)\n```", "")
    assert HumanEval([PROBLEM]).extract(PROBLEM, text, chat=True) == "\n" + code
    assert Mbpp("lesson", [TASK]).extract(TASK, text, chat=True) == code


@pytest.mark.parametrize("code", [
    f"{F}\nf(1)", f"{F}\nprint(f(1)); x: int", f"from math import *\n{F}\nprint(tau)", f"x: int\n{F}\nsorted",
    f"{F}\nSolution; y = 1", f"import a as Solution\n{F}\nSolution",
    f"class C: pass\n{F}\n[C for _ in ()]\n(lambda y: y)(1)",
])
def test_code_is_no_words(code):
    assert answer_code(code) == code


KEPT = [
    "class A:\n    def g(self, x):\n        return x + 1\n\nf = A().g",
    "def more(x):\n    return x + 1\n\nf = lambda x: more(x)",
    f"{F}\n\nfrom functools import lru_cache\nf = lru_cache(None)(f)",
    f"{F.replace('1', 'ONE')}\n\nONE: int = 1",
    f"{F}\n\nf.n = 0",
    f"{F.replace('x + 1', 'x + ONES[0]')}\n\nONES = []\nfor i in range(3):\n    ONES.append(1)",
    f"{F}\n\nimport sys\nsys.setrecursionlimit(9000)",
    "def f(s):\n    return s.split('<|endoftext|>')[0]",
    "def f(s):\n    return s.replace('[/CODE]', '')",
    "def f(s):\n    return '<code>' + s + '</code>'",
    "def f(s):\n    return s + '</s>'",
]


@pytest.mark.parametrize("code", KEPT)
def test_what_belongs_to_a_program_stays(code):
    for text in (code, f"```python\n{code}\n```", f"~~~python\n{code}\n~~~"): assert answer_code(text, "f") == code


def test_a_helper_is_the_last_of_its_name_and_comes_behind_the_future():
    helper, use = "def g(x):\n    return x + {}\n", "from __future__ import annotations\n\ndef f(x):\n    return g(x)"
    text = "".join(f"```python\n{code}\n```\n" for code in (helper.format(3), helper.format(1), use))
    assert solves(answer_code(text, "f"))
    deep = "".join(f"```python\n{code}\n```\n" for code in ("T = " + "+".join(["1"] * 1500), F.replace("1", "T")))
    assert "def f" in answer_code(deep, "f")


def test_the_answer_comes_after_the_last_channel():
    text = (
        "<|channel|>analysis<|message|>Let me see<|end|>"
        f"<|start|>assistant<|channel|>final<|message|>```python\n{F}\n```<|return|>"
    )
    assert solves(answer_code(text, "f"))


def test_a_name_that_a_harness_provides_is_no_word():
    code = "a, b = map(int, input().split())\nprint(gcd(a, b))"
    assert stands(code) and answer_code(f"```python\n{code}\n```") == code
    assert stands("x = {}\nmatch x:\n    case {**rest}: rest\n__doc__") and not stands("[PYTHON]\nx = 1")


def test_a_head_without_a_docstring_takes_an_answer():
    head = PROBLEM | dict(prompt="def f(x):\n")
    assert solves(head["prompt"] + HumanEval([head]).extract(head, f"```python\n{F}\n```", chat=True))


def test_many_words_behind_a_body_cost_little():
    start = time.process_time()
    for text in ("and so on, it's\n", "x = (\n", "'" * 3 + "\n"):
        assert cut_body("    return 1\n" + text * 3000).startswith("    return 1\n")
    assert time.process_time() - start < 5


BODIES_WITH_MARGINS = [
    "    s = '%s\n# head\ndef g\n'%s\n    return s\n" % ("''", "''"),
    "    x = 1\n# note\n    return x\n",
    "    t = '%s\nprint(1)\n'%s\n    return t\n" % ("''", "''"),
]


@pytest.mark.parametrize("text", BODIES_WITH_MARGINS)
def test_a_body_ends_where_python_ends_it(text):
    assert cut_body(text) == cut_body(text + "def g(): pass\n") == text


def test_imports_from_the_future_have_no_place_behind_a_prompt():
    text = f'"""Mine."""\nfrom __future__ import annotations\nimport math\n{F}\n'
    for answer in (text, f"Sure:\n```python\n{text}```"):
        assert solves(PROBLEM["prompt"] + HumanEval([PROBLEM]).extract(PROBLEM, answer, chat=True))
    assert answer_code(text, "f") == text
    assert solves(PROBLEM["prompt"] + HumanEval([PROBLEM]).taken(PROBLEM, "solution", text))


@pytest.mark.parametrize("text", BODIES.values(), ids=BODIES)
def test_a_body_goes_on_behind_the_prompt(text):
    assert solves(PROBLEM["prompt"] + HumanEval([PROBLEM]).extract(PROBLEM, text, chat=True))


@pytest.mark.parametrize("text", ["", "   \n", "I can't.", "```python\n```", "</think>", "```bash\nls\n```"])
def test_an_answer_without_code_is_left(text):
    assert answer_code(text, "f") == text and HumanEval([PROBLEM]).extract(PROBLEM, text, chat=True).strip() in text


def test_another_name_leaves_the_first_block():
    assert answer_code("```python\ndef g(x): return 1\n```\n```python\nprint(g(1))\n```", "f") == "def g(x): return 1"
    assert answer_code(f"```python\n{F}\n```\n```python\nprint(f(1))\n```") == F


def test_an_old_text_is_extracted_in_this_way_too():
    text = f"<think>\n```python\ndef f(x): return 1\n```\n</think>\n{F}\n```\nwords"
    found = anew(Mbpp("lesson", [TASK]), TASK | dict(entry_point="f"), dict(task_id="Mbpp/1", solution=text))
    assert F in [sample["solution"] for sample in found]


@pytest.mark.parametrize("text", [
    "```python\n" * 20_000, '```python\n"""\n```\n' * 5_000, "```python\ndef f(x):\n    return (\n```\n" * 300,
    '\\"""' * 100_000, "`" * 100_000, "</think>" * 10_000, "Note: x\n" * 3_000, "x = 1\n" * LARGEST, "(" * 10_000,
    "\ud800\nx = 1", "a\0b\n" * 300,
])
def test_answers_made_to_be_slow(text):
    start = time.process_time()
    assert isinstance(answer_code(text, "f"), str)
    assert len(text) > LARGEST or isinstance(code_in(text), str)
    assert time.process_time() - start < 10


# what a gate may believe


@pytest.mark.parametrize("code", [
    'def f(r: "radius in cm") -> "area in cm2":\n    return r\n',
    'def f(r: "radius"):\n    h: "height in m" = 2\n    return r * h\n',
    "from typing import Optional\n\n"
    'def f(r: Optional["radius in cm"] = None, *a: "more words", k: "a key", **o: "and so on"):\n    return r\n',
    'class A:\n    r: "radius in cm"\n\ndef f(x):\n    return A\n',
    "async def f(x: 'a number') -> 'one more':\n    return x + 1\n",
    'def f(x: f"{1} in cm"):\n    return x\n',
    "def f(x):\n    return x  # noqa\n",
    "",
])
def test_words_as_annotations_are_no_names(code):
    assert lint([code]) == [""]


@pytest.mark.parametrize("code, name", [
    ("def f(x):\n    return y  # noqa\n", "y"),
    ("def f(x):\n    return y  # noqa: F821\n", "y"),
    ("# ruff: noqa\ndef f(x):\n    return y\n", "y"),
    ("# ruff: noqa: F821\ndef f(x):\n    return y\n", "y"),
    ("# flake8: noqa\ndef f(x):\n    return y\n", "y"),
    ("# ruff: disable[F821]\ndef f(x):\n    return y\n# ruff: enable[F821]\n", "y"),
    ("def f(x):\n    # NOQA\n    return y #noqa:F821,E501\n", "y"),
    ("def f(r: Radius):\n    return r\n", "Radius"),
    ("def f(x: 'words and so on' = y):\n    return x\n", "y"),
    ('def f(x: f"{y} in cm"):\n    return x\n', "y"),
    ("def f(x):\n    return '\ud800' + y\n", "y"),
])
def test_nothing_in_a_program_switches_the_lint_off(code, name):
    assert lint([code]) == [f"F821 Undefined name `{name}`"]


def test_the_lint_does_not_depend_on_what_lies_around(tmp_path, monkeypatch):
    (tmp_path / ".git").mkdir()
    (tmp_path / ".gitignore").write_text("*\n")
    (tmp_path / "ruff.toml").write_text('exclude = ["*"]\n')
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    assert lint(["def f(x):\n    return y\n"]) == ["F821 Undefined name `y`"]


def test_a_program_too_deep_to_be_rewritten_stops_no_other():
    deep = "def f(x):\n    return " + "-" * 900
    complaint = "F821 Undefined name `y`"
    assert lint([deep + "x\n", deep + "y\n", "def f(x):\n    return y\n", F]) == ["", complaint, complaint, ""]
    sum_of_many = "def f(x):\n    return " + " + ".join(["y"] * 2900) + "\n"
    assert lint([sum_of_many, F]) == [complaint, ""]
    assert as_run("def (") == "def (" and "#" not in as_run("x = 1  # noqa\n")


def test_the_gate_says_so():
    did = dict(status="passed", fingerprint="1", errors=0, deterministic=True, detail="")
    codes = ['def f(r: "radius in cm"):\n    return r\n', "# ruff: noqa\ndef f(x):\n    return y  # noqa\n"]
    rows = [
        dict(id=str(i), parents=["p"], description="d", code=code, entry_point="f", behaviour=did)
        for i, code in enumerate(codes)
    ]
    assert [c["dropped_by"] for c in apply_gates(rows)] == ["", "lint"]
