"The program in an answer: stops, fences, the longest code, and what a program needs."
import random
import time
import warnings

import pytest

from evoselfcode.evaluation.extraction import LARGEST, code_block, cut, longest_code, parse_error, sanitize


@pytest.mark.parametrize("text, stops, kept", [
    ("a\ndef b\nclass c", ("\nclass", "\ndef"), "a"), ("abc", (), "abc"), ("abc", ("x", ""), "abc"),
    ("\ndef f", ("\ndef",), ""), ("", ("a",), ""),
])
def test_cut_at_the_earliest_stop(text, stops, kept):
    assert cut(text, stops) == kept


@pytest.mark.parametrize("text, kept", [
    ("```python\nx = 1\n```", "x = 1"), ("```py\nx\n```\n", "x"), ("```Python3\nx\n```", "x"), ("```\nx\n```", "x"),
    ("~~~python\nx\n~~~", "x"), ("no code", ""), ("```python", ""), ("", ""),
    ("```python\nx = 1\ny = 2", "x = 1\ny = 2"),  # never closed
    # what says it is Python goes first
    ("```bash\nls\n```\n```\nx\n```", "x"),
    ("```\nx\n```\n```python\ny\n```", "y"),
    ("Sure: ```python\nx\n```", "x"), ("use `f` or ```f``` here\n```python\nx\n```", "x"),
    ("1. so\n   ```python\n   if x:\n       y\n   ```", "if x:\n    y"),
    ("````python\ns = '''\n```\n'''\n````", "s = '''\n```\n'''"),
    ('```python\ndef f():\n    """\n    ```\n    f()\n    ```\n    """\n```\nend',
     'def f():\n    """\n    ```\n    f()\n    ```\n    """'),
    ("```python\r\nx = 1\r\n```\r\n", "x = 1"), ('```python title="a.py"\nx\n```', "x"),
])
def test_code_in_fences(text, kept):
    assert code_block(text) == kept


def test_one_of_several_blocks():
    text = "```python\na\n```\nwords\n```python\nb = 2\n```\n```py\nc\n```"
    assert [code_block(text, which) for which in ("first", "last", "longest", "all")] == [
        "a", "c", "b = 2", "a\nb = 2\nc",
    ]


def every_run(text):
    "The longest code by trying every run of lines."
    lines = text.split("\n")
    best, most = (0, 0), 0
    for first in range(len(lines)):
        for last in range(first + 1, len(lines)):
            filled = sum(1 for line in lines[first:last + 1] if line.strip())
            if filled > most and not parse_error("\n".join(lines[first:last + 1])): best, most = (first, last), filled
    return "\n".join(lines[best[0]:best[1] + 1])


LINES = [
    "x = 1", "def f(a):", "    return a", "    if a:", "        return (a +", "            1)", "else:", "    else:",
    "try:", "    try:", "    except E:", "finally:", "    pass", "# c", "    # c", "", "  ", "'''", '"""', "words here",
    "It's (a", "x = [", "    1,", "]", ")", "@d", "class A:", "```python", "s = '''a", "x = 1 # c", "import os",
    "\tpass", "\x0c", "x = 1; y = 2", "é = 'ü'", "lambda: (", "match x:", "    case 1:", "async def g():",
    "    await x", "assert x,\\", "\u3000", "a\0b", "if x: y", "for i in x: pass", "\x0cz = 1", "with a as b:", "\r",
    "\rx = 1",
]


def test_longest_code_is_what_trying_every_run_gives():
    chance = random.Random(0)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for _ in range(1500):
            text = ("\r\n" if chance.random() < .1 else "\n").join(chance.choices(LINES, k=chance.randrange(14)))
            assert longest_code(text) == every_run(text), repr(text)


def test_longest_code_is_quick():
    body = "\n".join(f"    if x > {i}:\n        x -= {i}  # it's ({i}" for i in range(60))
    texts = [
        f"def f(x):\n{body}\n    return x\n\n" * 3,
        f"It's simple (see below\n```python\ndef f(x):\n{body}\n```\nLet's test \"it\n" * 3,
        "It's a story (with no end, and so on\n" * 400, "x = [\n" * 400, "try:\n" + "    x = 1\n" * 400,
    ]
    for text in texts:
        start = time.process_time()
        longest_code(text)
        assert time.process_time() - start < 0.5, text[:60]


CODE = (
    "import os\nfrom __future__ import annotations\nfrom re import (\n    sub)\nK: int = 3  # three\na, b = K\n\n"
    "@cache\ndef d(): return 1\n\ndef g(x):\n    print(x)\n\ndef h(x):\n    return K * x;  # so\n    # and so\n"
    "  # not so\ndef f(x):\n    return h(x)\nx = f\nif x:\n    f(1)\nx += 1\ndef f(x): return 2\n"
)


def test_sanitise_keeps_what_the_entry_point_needs():
    kept = (
        "import os\n"
        "from re import (\n"
        "    sub)\n"
        "K: int = 3\n"
        "def h(x):\n"
        "    return K * x;  # so\n"
        "    # and so\n"
        "def f(x):\n"
        "    return h(x)\n"
        "x = f"
    )
    assert sanitize("words\n" + CODE + "words (", "f") == kept
    # a comment has its line's end in it
    assert sanitize(CODE.replace("\n", "\r\n"), "f") == (
        "import os\nfrom re import (\r\n    sub)\nK: int = 3\ndef h(x):\r\n    return K * x;  # so\r\n"
        "    # and so\r\ndef f(x):\r\n    return h(x)\nx = f"
    )
    assert sanitize(CODE, "h") == kept  # by its argument's name, x, which is f
    assert sanitize(CODE, "K") == "import os\nfrom re import (\n    sub)\nK: int = 3"


@pytest.mark.parametrize("text, kept", [
    ("x.y = z\na[0] = b\n(c) = d\ne = g = h\ndef f(): return x, z, b, d, e",
     "x.y = z\na[0] = b\n(c) = d\ne = g = h\ndef f(): return x, z, b, d, e"),
    ("def k(): return 1\ndef f(): return f'{k()!r:>{k}}'", "def k(): return 1\ndef f(): return f'{k()!r:>{k}}'"),
    ("def k(): return 1\ndef f(): return 'k'", "def f(): return 'k'"),
    ("é = 'ü'\ndef f(): return é", "é = 'ü'\ndef f(): return é"),
    ("async def f():\n\treturn 1\n\t# c", "async def f():\n\treturn 1\n\t# c"),
    ("class A: pass\ndef f(x: A): return x", "class A: pass\ndef f(x: A): return x"),
    ("import a; x = 1; y = 2\ndef f(): return y", "import a\ny = 2\ndef f(): return y"),
    ("def f():\n    pass\nx = 1", "def f():\n    pass\nx = 1"),  # nothing can be taken out
    ("    import re", "import re"), ("words", "words"), ("", ""),
])
def test_sanitise(text, kept):
    assert sanitize(text, "f") == kept


def test_sanitise_as_bigcodebench_does():
    text = "  \nimport os\ndef f(x):\n    print(x)\n\nresult = f(1)\ng = result\n"
    assert sanitize(text, "f", needs_return=False) == "import os\ndef f(x):\n    print(x)"
    assert sanitize("def f(x):\n    print(x)\nf.y = f", "f", needs_return=False) == "def f(x):\n    print(x)"
    assert sanitize(text, "f") == "import os"
    assert sanitize("x = 1\ndef f(): return 2", "") == "x = 1\ndef f(): return 2"


@pytest.mark.parametrize("text", [
    "a\0b\n" * 300, "x = 1\n" * 1_700_000, "a" * 10_000_000, "(" * 10_000, "-" * 200_000 + "1", "\ud800\nx = 1\ny = 2",
    "\n" * 5000, "\r" * 999, "'" * 9999, "\\\n" * 500, "f(\n" * 200 + ")\n" * 200,
    "\n".join(" " * i + "if x:" for i in range(300)), "@d\n" * 400, "if x:\n    y\n" + "elif z:\n    y\n" * 300,
    "'%d' \\\n" * 400,
])
def test_nothing_raises_and_nothing_hangs(text):
    start = time.process_time()
    for needs_return in (True, False): assert isinstance(sanitize(text, "f", needs_return), str)
    for which in ("first", "last", "longest", "all"): assert isinstance(code_block(text, which), str)
    assert time.process_time() - start < 20


def test_what_is_too_large_is_left():
    assert sanitize("words\n" + "x = 1\n" * LARGEST, "f").startswith("words\n")


def test_the_parsers_warnings_are_not_shown():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert sanitize("def f():\n    return '\\d' is 'd'", "f")
