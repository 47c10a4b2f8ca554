"""Prompts of both directions, and functions taken apart letter by letter."""
import ast

import pytest

from evoselfcode.pipeline.train_sft import d2c_rows
from evoselfcode.prompts import c2d_prompt, cut_code, d2c_prompt
from evoselfcode.syntax import defined_function, function_signature, split_function, split_helpers


@pytest.mark.parametrize("source, code", [
    ('def f(x):\n    """Doc."""\n    return x\n', "def f(x):\n    return x\n"),
    ('def f(x):\n    """Doc."""\n\n\n    return x', "def f(x):\n    return x\n"),
    ('def f(x): "Doc."; return x', "def f(x): return x\n"),
    ("def f(x):\n    'Doc.'; y = x\n    return y", "def f(x):\n    y = x\n    return y\n"),
    ("def f(x):\n    '''Do\n    c.'''; y = x  # kept\n    return y", "def f(x):\n    y = x  # kept\n    return y\n"),
    ("def f(x):\n"
     "    '''Doc \"\"\"quoted\"\"\".'''  # gone\n"
     "    # kept\n"
     "    return 'a' # kept",
     "def f(x):\n    # kept\n    return 'a' # kept\n"),
    ("def f(x):\n    ('Do'\n     'c.')\n    return x", "def f(x):\n    return x\n"),
    ('def f(x):\r\n\t"""Doc."""\r\n\treturn x\r\n', "def f(x):\n\treturn x\n"),
    ('@a\n# between\n@b(1)\ndef f(x):\n    "Doc."\n    return x', "@a\n# between\n@b(1)\ndef f(x):\n    return x\n"),
    ('def f(naïve): "Döc — é."; return naïve', "def f(naïve): return naïve\n"),
    ('def f(x):\n    "Doc."\n    @g\n    def h(): return x\n    return h',
     "def f(x):\n    @g\n    def h(): return x\n    return h\n"),
    ('async def f(x):\n    "Doc."\n    return x', "async def f(x):\n    return x\n"),
    ('def f(x):\n    "Doc."\n    return """\n  text\n"""\n', 'def f(x):\n    return """\n  text\n"""\n'),
    ('x = 1\n\ndef f(a):\n    "Doc."\n    return a\n\nprint(f(1))\n', "def f(a):\n    return a\n"),
    ('import os, re\nimport math as m\n\ndef f(a):\n    "Doc."\n    return m.pi\n',
     "import math as m\n\ndef f(a):\n    return m.pi\n"),
    ('import os.path\ndef f(a):\n    "Doc."\n    return os.path.join(a)\n',
     "import os.path\n\ndef f(a):\n    return os.path.join(a)\n"),
    ('from typing import List\ndef f(a: "List[int]") -> int:\n    "Doc."\n    return a[0]\n',
     'from typing import List\n\ndef f(a: "List[int]") -> int:\n    return a[0]\n'),
    ('from __future__ import annotations\ndef f(a: X):\n    "Doc."\n    return a\n',
     "from __future__ import annotations\n\ndef f(a: X):\n    return a\n"),
])
def test_only_the_docstring_goes(source, code):
    part = split_function(source)
    assert part["code"] == code and part["entry_point"] == "f"
    ast.parse(part["code"])


def test_helpers_and_constants_come_along():
    source = (
        'import math\nSCALE = 2\n\ndef half(x):\n    return x / SCALE\n\ndef other(): return math.pi\n\n'
        'def f(x):\n    "Halve."\n    return half(x)\n'
    )
    code = "SCALE = 2\n\ndef half(x):\n    return x / SCALE\n\ndef f(x):\n    return half(x)\n"
    assert split_function(source, "f")["code"] == code
    assert split_function(source) is None, "the first function has no docstring"


def test_the_description_is_cleaned():
    part = split_function('def f():\n    """\n    First.\n\n        Indented.\n    """\n    return 1')
    assert part["description"] == "First.\n\n    Indented."


@pytest.mark.parametrize("source", [
    "", "x = 1", "def f(:", "def f():\n    return 1", 'def f():\n    "Doc."', 'def f():\n    "  "\n    return 1',
    'def f():\n    f"{1}"\n    return 1', 'def f():\n    b"Doc."\n    return 1', "\0", "(" * 5000,
    'class A:\n    def f(self):\n        "Doc."\n        return 1',
])
def test_nothing_to_learn(source):
    assert split_function(source) is None


@pytest.mark.parametrize("source, signature", [
    ("def f(xs: list[int]) -> int:\n    return 1", "def f(xs: list[int]) -> int:\n"),
    ("def f(a=lambda x: x, *, b: dict = {1: 2}) -> 'x:y': return a",
     "def f(a=lambda x: x, *, b: dict = {1: 2}) -> 'x:y':\n"),
    ("def f(\n    a: int,  # note: this\n) -> int:\n    return a", "def f(\n    a: int,  # note: this\n) -> int:\n"),
    ("@wraps(lambda: 0)\nasync def f(): pass", "async def f():\n"),
    ("def f() -> (lambda: 0): pass", "def f() -> (lambda: 0):\n"),
    ("def f(): return 1\ndef f(x): return x", "def f(x):\n"),
    ("def g(): return 1", ""), ("def f(", ""), ("class f: pass", ""),
])
def test_signatures(source, signature):
    assert function_signature(source, "f") == signature


def test_prompts_cannot_be_broken_by_their_content():
    description = 'Say """hi""".\r\nThen\x0cgo\u2028on.\n\n  indented'
    prompt = d2c_prompt(description, "def f():\n")
    assert all(line.startswith("#") for line in prompt.splitlines()[:-1]) and prompt.endswith("\ndef f():\n")
    ast.parse(prompt + "    pass\n")
    assert d2c_prompt("One.") == "# One.\n" and d2c_prompt("a\n\nb") == "# a\n#\n# b\n"
    assert c2d_prompt("\ndef f():\n    return 1\n\n\n") == "def f():\n    return 1\n\n# Description:\n"


HELPED = "import os\n\ndef half(x):\n    return x / 2\n\ndef f(x):\n    return half(x)\n"


@pytest.mark.parametrize("code, name", [
    (HELPED, "f"), ("def f(x): return half(x)\ndef half(x): return x / 2\n", "f"), ("x = 1", ""), ("def f(", ""),
    (HELPED + "def test_f(): f(1)\n", "f"), ("def g(x): return f(x)\ndef f(x): return g(x)\n", "f"),
    ("def g(x): return x\ndef f(x): return x\n", "g"), ("class A:\n    def g(x): ...\ndef f(x): ...\n", "f"),
])
def test_helpers_are_not_what_a_program_is_about(code, name):
    assert defined_function(code) == name


def test_code_with_helpers_is_cut_split_and_learned():
    assert cut_code(HELPED + "\ndef other(x):\n    return x\n", "f") == HELPED
    assert cut_code(HELPED) == cut_code(HELPED, "missing") == HELPED[:HELPED.index("\n\ndef f")] + "\n"
    helpers, own = split_helpers(HELPED, "f")
    assert helpers + own == HELPED and own.startswith("def f(x)")
    assert split_helpers(HELPED, "half") == split_helpers(HELPED, "") == ("", HELPED)
    helped, plain = d2c_rows([dict(description="Halve.", code=HELPED, entry_point=name) for name in ("f", "half")])
    assert helped == dict(prompt="# Halve.\n" + helpers + "def f(x):\n", completion="    return half(x)\n")
    assert plain == dict(prompt="# Halve.\n", completion=HELPED)
