"""Functions taken from real code: which are kept, why the others are not, and what never gets out.

A killed harvest ends with the same bytes.
"""
import ast
import json
import math
import multiprocessing
import os
import shutil
import signal
import subprocess
import sys
import sysconfig
import time
from pathlib import Path

import numpy as np
import pytest

from evoselfcode.config import Harvest
from evoselfcode.datagen.duplicates import form, n_grams, near_duplicates, sketch, sketch_matrix, tokens_of
from evoselfcode.datagen.harvest import harvest, spdx
from evoselfcode.datagen.standalone import BUILTINS, SUSPECT, has_secret, outside_names
from evoselfcode.io_utils import read_json, read_jsonl
from evoselfcode.stages import run_lock
from evoselfcode.syntax import bound, defined_function, find_function, function_signature, split_function

STDLIB = Path(sysconfig.get_path("stdlib"))
AWS = "AKIA" + "Q3EGRIXK7PZDW2M5"  # made up; put together here so that no scanner stumbles over it
KEY = "-----BEGIN RSA " + "PRIVATE KEY-----"


def lay(folder: Path, files: dict) -> Path:
    for name, content in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return folder


@pytest.fixture
def gather(tmp_path):
    "Harvest some files; return the records by name and the summary."
    def call(files: dict, out: str = "out", **settings):
        source = lay(tmp_path / "source", files)
        summary = harvest(Harvest(str(source), **{"workers": 1} | settings), tmp_path / out)
        found = summary["functions"]
        assert found["found"] == found["kept"] + sum(found["dropped"].values())
        return {r["name"]: r for r in read_jsonl(tmp_path / out / "functions.jsonl", empty_ok=True)}, summary
    return call


# One function

PLAIN = (
    'def plain(xs, n=2):\n'
    '    """Multiply.\n\n'
    '    Each by n.\n'
    '    """\n'
    '    # a comment stays\n'
    '    return [x * n for x in xs]\n'
)


def test_a_record_says_what_the_function_is_and_where_it_stood(gather):
    records, summary = gather({"a/b.py": "import os\r\n\r\n" + PLAIN.replace("\n", "\r\n"), "LICENSE": "MIT License"})
    record = records["plain"]
    assert record == dict(
        id=record["id"], name="plain", entry_point="plain", description="Multiply.\n\nEach by n.",
        code="def plain(xs, n=2):\n    # a comment stays\n    return [x * n for x in xs]\n",
        path="a/b.py", line=3, licence="LICENSE", lines=3, complexity=2,
    )
    assert summary["functions"]["described"] == 1 and summary["files"] == dict(read=1, left_out={})


REASONS = {
    "async": "async def f(x):\n    return x + 1\n",
    "decorated": "@property\ndef f(x):\n    return x + 1\n",
    "special name": "def __getattr__(name):\n    return name + 'x'\n",
    "test": "def test_f():\n    assert 1 + 1 == 2\n",
    "method": "class A:\n    def f(self):\n        return 1\n",
    "conditional": "if 1:\n    def f(x):\n        return x\n",
    "generator": "def f(xs):\n    for x in xs:\n        yield x\n",
    "too short": "def f(x): return x + 1\n",
    "too long": "def f(x):\n" + "    x += 1\n" * 60 + "    return x\n",
    "too complex": "def f(x):\n" + "".join(f"    if x == {i}: return {i}\n" for i in range(12)) + "    return x\n",
    "does nothing": 'def f(x):\n    """Not yet."""\n    raise NotImplementedError\n',
    "needs imports": "import math\ndef f(x):\n    return math.sqrt(x)\n",
    "needs other names": "from star import *\ndef f(x):\n    return x + LIMIT\n",
    "needs a name that changes": "LIMIT = 3\ndef f(x):\n    return x + LIMIT\nLIMIT += 1\n",
    "needs too much": "LIMITS = [\n" + "    1,\n" * 90 + "]\ndef f(x):\n    return x + LIMITS\n",
    "changes names of its file": "total = 0\ndef f(x):\n    global total\n    total = x\n",
    "needs its own package": "from .sister import g\ndef f(x):\n    return g(x)\n",
    "secret": f"def f(x):\n    return x.get('{AWS}')\n",
    "e-mail address": "def f(x):\n    return x + 'jane@corp.org'\n",
}


@pytest.mark.parametrize("reason", REASONS)
def test_every_reason(gather, reason):
    records, summary = gather({"a.py": REASONS[reason] + "\n" + PLAIN})
    assert list(records) == ["plain"] and summary["functions"]["dropped"] == {reason: 1}


@pytest.mark.parametrize("source,reason", [
    ("def f(cls, x):\n    return x + 1\n", "method"),
    ('def f(x):\n    """Only words."""\n', "does nothing"),
    ("def f(x):\n    ...\n", "does nothing"),
    ("def f(x):\n    '''" + "A long description.\n" * 90 + "'''\n    return x + 1\n", ""),
    ("def f(x):\n    return '" + "x" * 7000 + "'\n", "too long"),
    ("def f(x):\n    '''" + "long " * 3000 + "'''\n    return x + 1\n", "too long"),
    ("def f(x):\n    return [g for g in x if g and not g or g]\n", ""),
    ("def f(n):\n    return 1 if n < 2 else n * f(n - 1)\n", ""),
    ("def f(x):\n    global y\n    y = x\n", "needs other names"),
    ("y = 1\ndef f(x, z=y):\n    return x + z\n", ""),
    ("def f(x: T):\n    return x + 1\n", "needs other names"),
    ("def f(x):\n    return __file__ + x\n", "needs other names"),
    ("from codecs import open\ndef f(x):\n    return open(x).read()\n", "needs imports"),
    ("def print(x):\n    return x\ndef f(x):\n    return print(x)\n", ""),
    ("y = {}\ny[1] = 2\ndef f(x):\n    return x + y\n", "needs a name that changes"),
    ("y = []\ndef add(x): y.append(x)\nadd(1)\ndef f(x):\n    return x + y\n", "needs a name that changes"),
    ("y = []\nif __name__ == '__main__': y.append(1)\ndef f(x):\n    return x + y\n", ""),
    ("def f(x):\n    return x + y\ny = [f]\n", "needs other names"),
    ("def even(x): return not x or f(x - 1)\ndef f(x):\n    return x and even(x - 1)\n", ""),
    ("import functools\n@functools.lru_cache(9)\ndef f(x):\n    return x + 1\n", "needs imports"),
    ("try: y = 1\nexcept NameError: y = 2\ndef f(x):\n    return x + y\n", ""),
    ("class A:\n    def f(self, x):\n        return x + 1\n", ""),
    ("class A:\n    def f(self, x):\n        return self + x\n", "method"),
    ("class A:\n    def f(self, x):\n        return super().f(x)\n", "method"),
    ("class A:\n    @classmethod\n    def f(cls, x):\n        return x + 1\n", ""),
    ("class A:\n    y = 1\n    def f(self, x=y):\n        return x + 1\n", "method"),
    ("class A:\n    def f(self, x):\n        return __y + x\n", "method"),
    ("class A:\n    def f(self, x):\n        return f(x)\ndef f(x): return x\n", "method"),
    ("def f(x):\n    import os\n    return os.sep + x\n", "needs imports"),
    ("for len in [max]: pass\ndef f(x):\n    return len(x)\n", "needs other names"),
    ("def f(x):\n    return display(x)\n", "needs other names"),
    ("def f(x):\n    def g(y): return x + y\n    return g(1)\n", ""),
])
def test_what_stands_alone(gather, source, reason):
    records, summary = gather({"a.py": source})
    assert summary["functions"]["dropped"].get(reason, 0) == bool(reason) and ("f" in records) == (not reason)


def test_bounds_can_be_moved(gather):
    code = "def f(x):\n" + "    if x: x += 1\n" * 70 + "    return x\n"
    records, _ = gather({"a.py": code}, max_lines=72, max_complexity=71)
    assert "f" in records


NEEDS = '''
from __future__ import annotations
import os, sys
import os.path as osp
import numpy.linalg
from collections import OrderedDict, defaultdict as dd
from . import sister
from mine.tools import helper
import mine
from star import *
try: import json
except ImportError: json = None
import re
if sys: re = None

def aliased(x: Sequence, y=sys.maxsize):
    return osp.join(x, os.sep)
'''


def test_imports_are_put_in_front_reduced_to_what_is_needed(gather):
    results = dict(
        two="dd(list, OrderedDict(x))", dotted="numpy.linalg.norm(x)", relative="sister(x)", own="mine.run(x)",
        own_part="helper(x)", starred="somewhere(x)", maybe="json.loads(x)", rebound="re.sub('a', 'b', x)",
    )
    source = NEEDS.replace("x: Sequence", "x: str")
    source += "".join(f"\ndef {name}(x):\n    return {code}\n" for name, code in results.items())
    source += "\ndef inside(x):\n    from mine import y\n    return y + x\n"
    records, summary = gather({"mine/a.py": source, "mine/__init__.py": ""}, imports="needed")
    assert records["aliased"]["code"] == (
        "from __future__ import annotations\nimport os, sys\nimport os.path as osp\n\n"
        "def aliased(x: str, y=sys.maxsize):\n    return osp.join(x, os.sep)\n"
    )
    assert records["two"]["code"].startswith("from collections import OrderedDict, defaultdict as dd\n\ndef two(x):\n")
    assert records["two"]["lines"] == 2
    assert records["dotted"]["code"].startswith("import numpy.linalg\n\n")
    assert set(records) == {"aliased", "two", "dotted", "maybe"}
    assert records["maybe"]["code"] == (
        "try: import json\nexcept ImportError: json = None\n\ndef maybe(x):\n    return json.loads(x)\n"
    )
    why = {"needs its own package": 4, "needs other names": 1, "needs a name that changes": 1}
    assert summary["functions"]["dropped"] == why


HELPED = '''
import math, os
SIDES, ROOT = 4, os.sep
TURN = 2 * math.pi  # of a circle

class Point:
    "A place."
    def __init__(self, x): self.x = x

@staticmethod
def far(x):
    """Say whether it is far."""
    return x > SIDES

def length(r):
    # around
    return TURN * r if far(r) else 0

def cone(point: Point, h):
    """Compute something."""
    return length(point.x) * h
'''


def test_what_a_function_needs_comes_before_it_in_the_order_of_the_file(gather):
    records, summary = gather({"a.py": HELPED}, imports="needed", min_lines=1)
    record = records["cone"]
    assert record["code"] == (
        "import math, os\n\nSIDES, ROOT = 4, os.sep\n\nTURN = 2 * math.pi  # of a circle\n\n"
        "class Point:\n    def __init__(self, x): self.x = x\n\n@staticmethod\ndef far(x):\n    return x > SIDES\n\n"
        "def length(r):\n    # around\n    return TURN * r if far(r) else 0\n\n"
        "def cone(point: Point, h):\n    return length(point.x) * h\n"
    )
    assert record["lines"] == 2 and record["entry_point"] == defined_function(record["code"]) == "cone"
    assert function_signature(record["code"], "cone") == "def cone(point: Point, h):\n"
    space = {}
    exec(record["code"], space)
    assert space["cone"](space["Point"](10), 2) == 40 * math.pi
    assert split_function(HELPED, "cone")["entry_point"] == "cone"
    for out, settings in dict(few=dict(helpers=4), short=dict(helper_lines=9)).items():
        assert "cone" not in gather({"a.py": HELPED}, out, imports="needed", min_lines=1, **settings)[0]
    none = gather({"a.py": HELPED}, "none", helpers=0, imports="needed")[1]
    assert none["functions"]["dropped"]["needs other names"] == 2


def test_functions_with_the_same_helpers_are_no_near_duplicates(gather):
    table = "TABLE = {\n" + "".join(f"    {i}: 'word {i}',\n" for i in range(60)) + "}\n"
    source = table + "def f(x):\n    return TABLE[x]\ndef g(x):\n    return len(TABLE) - x\n"
    assert set(gather({"a.py": source})[0]) == {"f", "g"}


def test_a_secret_in_what_is_taken_along_is_seen(gather):
    records, summary = gather({"a.py": f"NAME = '{AWS}'\ndef f(x):\n    return x + NAME\n"})
    assert not records and summary["functions"]["dropped"] == {"secret": 1}


LIFTED = '''
class Shape:
    sides = 4
    def area(self, r, k=2):
        """Compute an area."""
        # by a rule
        def half(x):
            return x / 2

        def scaled(x):
            return x * k
        return half(scaled(r)) + """
        text"""
    @staticmethod
    def double(x):
        return 2 * x
    def constant(self):
        return "nothing given"
'''


def test_methods_and_nested_functions_that_need_nothing_around_them(gather):
    records, summary = gather({"a.py": LIFTED})
    assert {name: r["code"] for name, r in records.items()} == {
        "half": "def half(x):\n    return x / 2\n", "double": "def double(x):\n    return 2 * x\n",
    }
    assert summary["functions"]["dropped"] == {"method": 2, "nested": 1}
    records, _ = gather({"a.py": LIFTED.replace('"""\n        text"""', "0")}, "again")
    assert records["area"]["code"].startswith("def area(r, k=2):\n    # by a rule\n    def half(x):\n        return")
    assert records["area"]["description"] == "Compute an area."


def test_packages_of_the_standard_library_are_there_for_everybody(gather):
    files = {"os.py": "", "lib-dynload/x.txt": "", "json/a.py": "from . import tool\nfrom .tool import main as m\n"}
    files["json/a.py"] += "def f(x):\n    return m(tool, x)\ndef g(x):\n    from .tool import y\n    return x + y\n"
    records, summary = gather(files, imports="needed")
    assert records["f"]["code"].startswith("from json import tool\nfrom json.tool import main as m\n\ndef f(x)")
    assert summary["functions"]["dropped"] == {"needs its own package": 1}


def test_outside_names_are_those_python_looks_up_outside():
    code = (
        "def f(a, *b, c=D, **e) -> G:\n"
        "    h = [i for i in a if i in J]\n"
        "    k = lambda l: l + m\n"
        "    class N(O):\n"
        "        p = q\n"
        "    try: r()\n"
        "    except S as t: pass\n"
        "    def u():\n"
        "        nonlocal h\n"
        "        h = (v := w)\n"
        "    with x() as y: return y.z[h]\n"
    )
    assert outside_names(code) == {"f", "D", "G", "J", "m", "O", "q", "r", "S", "w", "x"}
    # what symtable calls a module, too
    assert outside_names("def top(x):\n    y = x\n    return y + z\n") == {"top", "z"}


# Files

def test_what_is_left_out_of_a_folder(gather, tmp_path):
    function = "def {}(x):\n    return x + {}\n"
    lay(tmp_path / "outside", {"o.py": function.format("outside", 0)})
    (tmp_path / "source").mkdir()
    (tmp_path / "source/link.py").symlink_to(tmp_path / "outside/o.py")
    (tmp_path / "source/folder").symlink_to(tmp_path / "outside")
    (tmp_path / "source/circle").symlink_to(tmp_path / "source")
    os.mkfifo(tmp_path / "source/pipe.py")
    left = {
        ".env": "x",
        ".git/a.py": 1,
        ".hidden.py": 2,
        "env2/pyvenv.cfg": "",
        "env2/lib/a.py": 3,
        "lib/site-packages/a.py": 4,
        "build/a.py": 5,
        "node_modules/x/a.py": 6,
        "__pycache__/a.py": 7,
        "big.py": function.format("big", 8) + "#" * 600_000,
        "latin.py": "def f(x):\n    return x + 'é'\n".encode("latin-1"),
        "broken.py": "def f(:\n",
        "two.py": "print 1\n",
        "zero.py": "x = '\0'\n",
        "deep.py": "x = " + "-" * 50_000 + "1\n",
        "chain.py": "def chain(x):\n    return " + "+".join(["x"] * 2900) + "\n",
        "brackets.py": "x = " + "[" * 5000 + "]" * 5000,
    }
    left = {name: function.format("left", n) if isinstance(n, int) else n for name, n in left.items()}
    records, summary = gather(
        left | {"a.py": "\ufeff" + PLAIN, "sub/dir/b.py": function.format("g", 9), "notes.txt": "no code"}
    )
    assert list(records) == ["plain", "g"] and summary["files"]["read"] == 2
    assert summary["files"]["left_out"] == {
        "hidden": 3,
        "virtual environment": 1,
        "folder of built or foreign code": 4,
        "file too large": 1,
        "not UTF-8": 1,
        "does not parse": 5,
        "nested too deeply": 1,
        "symbolic link": 3,
        "not a plain file": 1,
    }


def test_a_package_is_found_without_importing_it(tmp_path, monkeypatch):
    lay(tmp_path / "lib", {
        "trap/__init__.py": "raise SystemExit('imported')\n",
        "trap/a.py": PLAIN + "\nfrom trap import x\ndef g(y):\n    return x + y\n",
        "trap-1.0.dist-info/METADATA": "Name: trap\n",
        "trap-1.0.dist-info/RECORD": "trap/__init__.py,,\ntrap-1.0.dist-info/licenses/LICENSE,,\n",
        "trap-1.0.dist-info/licenses/LICENSE": "MIT License",
    })
    monkeypatch.syspath_prepend(str(tmp_path / "lib"))
    summary = harvest(Harvest("trap", imports="needed", workers=1), tmp_path / "out")
    assert "trap" not in sys.modules and summary["functions"]["dropped"] == {"needs its own package": 1}
    record, = read_jsonl(tmp_path / "out/functions.jsonl")
    assert record["path"] == "a.py" and record["licence"] == "../trap-1.0.dist-info/licenses/LICENSE"
    licences = [(row["path"], row["spdx"], row["functions"]) for row in summary["licences"]]
    assert licences == [(record["licence"], "MIT", 1)]


def test_mistakes_are_one_line(tmp_path, message):
    lay(tmp_path, {"empty/notes.txt": "", "file.py": PLAIN, "good/a.py": PLAIN})
    for source, words in [
        ("", "name a folder"), (str(tmp_path / "nowhere"), "no such folder"),
        ("no_such_package", "neither a folder nor an installed package"), (str(tmp_path / "file.py"), "is a file"),
        ("textwrap", "single module"), (str(tmp_path / "empty"), "holds no Python files"), ("sys", "single module"),
        ("json.decoder", "no such folder"), ("no-package", "no such folder"),
    ]:
        assert words in message(harvest, Harvest(source), tmp_path / "out"), source
    assert not (tmp_path / "out").exists()
    assert "is a file" in message(harvest, Harvest(str(tmp_path / "good")), tmp_path / "file.py/out")


def test_another_setting_or_a_changed_file_is_told_and_not_mixed(tmp_path, message):
    source, out = lay(tmp_path / "source", {"a.py": PLAIN}), tmp_path / "out"
    harvest(Harvest(str(source), workers=1), out)
    before = (out / "functions.jsonl").read_bytes()
    assert "max_lines: 60 → 50" in message(harvest, Harvest(str(source), max_lines=50), out)
    lay(source, {"a.py": PLAIN + "\n"})
    assert "other batches" in message(harvest, Harvest(str(source)), out)
    assert (out / "functions.jsonl").read_bytes() == before


# What is private

SECRETS = [
    f"    return x + '{AWS}'\n", f"    return x + '{AWS[:7]}' '{AWS[7:]}'\n",
    f"    return x + '{AWS[:7]}\\x{ord(AWS[7]):02x}{AWS[8:]}'\n", f"    return x + b'{AWS}'.decode()\n",
    f"    return x  # use {AWS}\n",
    f"    '''Call it with {AWS}.'''\n    return x + 1\n",
    f"    return connect(x, '{AWS}')  # pragma: allowlist secret\n".replace("connect", "dict"),
    f"    x = dict(a='{AWS}')\n    return x\n",
    "    password = 'tr0ub4dor&3'\n    return x + password\n",
    "    return x + 'https://me:hunter2x@host.net/'\n",
    f"    return x + '''{KEY}\nMIIEowIBAAKCAQEA7\n'''\n",
    "    return x + '" + "ghp_" + "wWPw5k4aXcaT4fNP0UcnZwJUVFk6LO0pINUx'\n",
    "    return x == '" + "9c1185a5c5e9fc54612808977ee8f548b2258d31'\n",
    "    return x + 'jane.doe' '@corp.org'\n",
    "    return x  # ask jane.doe@corp.org\n",
    "    '''By Jane Doe <jane.doe@corp.org>'''\n    return x + 1\n",
]


@pytest.mark.parametrize("body", SECRETS)
def test_nothing_private_reaches_any_file_or_the_screen(gather, tmp_path, capfd, body):
    private = f"def leaky(x):\n{body}"
    gather({"a.py": private + PLAIN, ".env": f"KEY={AWS}\n"})
    shown = capfd.readouterr()
    written = b"".join(p.read_bytes() for p in (tmp_path / "out").rglob("*") if p.is_file())
    written += (shown.out + shown.err).encode()
    assert b"plain" in written
    for text in (AWS, AWS[8:], "leaky", "tr0ub4dor", "hunter2x", "PRIVATE KEY", "MIIEow", "wWPw5k", "9c1185a5", "jane"):
        assert text.encode() not in written


@pytest.mark.parametrize("body", [
    "    return m @ x.transpose()\n", "    return 'abcdefghijklmnopqrstuvwxyz0123456789'.index(x)\n",
    "    password = str(x)\n    return password\n", "    return x.token_type_ids_of_the_longest_sequence\n",
    "    key = x['key']\n    return key\n", "    return x.split('@')[1]\n",
    "    return x == '123e4567-e89b-12d3-a456-426614174000'\n",
])
def test_harmless_code_is_kept(gather, body):
    assert "f" in gather({"a.py": f"def f(x, m=1):\n{body}"})[0]


def test_the_quick_look_lets_no_secret_pass():
    lines = []
    for name in (
        "test/test_urllib2.py", "test/test_hashlib.py", "test/test_ssl.py", "imaplib.py", "hmac.py", "smtplib.py",
        "uuid.py", "secrets.py", "string.py",
    ):
        if (STDLIB / name).is_file(): lines += (STDLIB / name).read_text(encoding="utf-8").splitlines()
    found = [line for line in dict.fromkeys(lines) if has_secret(line)]
    assert all(map(SUSPECT.search, found)) and len(found) > 5
    parts = [
        "AKC" + "a1B2c3D4e5", "xoxb-" + "123456789012-abcdef123", "eyJhbGciOiJIUzI1NiJ9." + "eyJzdWIiOiIxIn0.abc",
        "SG." + "a" * 21 + "b." + "c" * 42 + "d", "sk_live_" + "a1" * 12, "AC" + "a1" * 16,
        "110201543:" + "AAHdqTcvCH1vGWJxfSeofSAs0K5PALDsaw" + "x", "glpat-" + "a1b2c3d4e5f6g7h8i9j0",
        "0123456789abcdef0123456789abcdef-us12",
        "MTk4NjIyNDgzNDcxOTI1MjQ4" + ".Cl2FMQ." + "ZnCjm1XVW7vRze4b7Cq4se7kKWs", "AccountKey=" + "a1B2" * 22,
        "pypi-AgEIcHlwaS5vcmc" + "a1" * 40,
    ]
    for part in parts: assert has_secret(f'x = "{part}"') and SUSPECT.search(f'x = "{part}"'), part


# Duplicates

def test_the_first_of_equal_functions_stays(gather):
    renamed = 'def other(values, m=2):\n    """Another description."""\n    return [v*m for v in values]\n'
    records, summary = gather(
        {"b.py": renamed, "a/z.py": PLAIN, "c.py": "def third(xs, n=3):\n    return [x * n for x in xs]\n"},
        duplicate=1.0,
    )
    assert set(records) == {"plain", "third"} and summary["functions"]["dropped"] == {"duplicate": 1}
    assert form("def f(a):\n    return a.x\n") != form("def f(a):\n    return a.y\n")


BODY = "".join(f"    total = total * {i} + xs[{i}] - helper{i % 3}\n" for i in range(20))


def test_an_edited_copy_is_a_near_duplicate(gather):
    first = f"def first(xs, total, helper0, helper1, helper2):\n{BODY}    return total\n"
    files = {
        "a.py": first,
        "b.py": first.replace("first", "second").replace("xs[7]", "xs[8]"),
        "c.py": first.replace("first", "third").replace("total *", "total //").replace(" - ", " @ "),
    }
    records, summary = gather(files)
    assert list(records) == ["first", "third"] and summary["functions"]["dropped"] == {"near duplicate": 1}


def test_near_duplicates_are_those_of_a_look_everywhere():
    rng, texts = np.random.default_rng(0), []
    def line(): return f"v{rng.integers(30)} = g{rng.integers(30)}(x, {rng.integers(50)})"
    for i in range(600):
        if i % 3 == 2:
            lines = list(texts[rng.integers(len(texts))])
            lines[rng.integers(len(lines))] = "pass"
        else:
            lines = [line() for _ in range(rng.integers(8, 25))]
        texts.append(lines)
    matrix = sketch_matrix([sketch("\n".join(lines)) for lines in texts])
    for threshold in (0.6, 0.8, 1.0):
        wanted = np.full(len(matrix), -1)
        for row in range(len(matrix)):
            alike = np.flatnonzero(((matrix[:row] == matrix[row]).mean(axis=1) >= threshold) & (wanted[:row] < 0))
            if len(alike): wanted[row] = alike[0]
        assert (wanted >= 0).sum() > 2 and (near_duplicates(matrix, threshold) == wanted).mean() > 0.99
    pairs = [(i, j) for i in range(0, 600, 7) for j in range(i)]
    grams = [set(n_grams(tokens_of("\n".join(lines)))) for lines in texts]
    error = [(matrix[i] == matrix[j]).mean() - len(grams[i] & grams[j]) / len(grams[i] | grams[j]) for i, j in pairs]
    assert abs(np.mean(error)) < 0.005 and np.abs(error).max() < 0.25
    assert near_duplicates(sketch_matrix([]), 0.8).tolist() == []


def test_what_counts_as_a_token():
    code = "def f():\n    return '#' + \"\"\"a # b\nc\"\"\" + x  # comment 'open"
    same = "def g( ) :  # another\n  return '#'+\"\"\"a # b\nc\"\"\"+x"
    assert tokens_of(code) == tokens_of(same) != tokens_of(code.replace("a # b", "a"))


def test_short_functions_that_look_alike_are_different(gather):
    names = ("upper", "lower", "strip", "title")
    records, _ = gather({"a.py": "".join(f"def {name}(s):\n    return s.{name}()\n" for name in names)})
    assert len(records) == 4


# Licences

LICENCES = {
    "MIT": "The MIT License (MIT)\n\n"
           "Copyright (c) 2024\n\n"
           "Permission is hereby granted, free of charge, to any person obtaining a copy\n"
           "of this software ... shall be included in all copies or substantial\n"
           "portions of the Software.",
    "Apache-2.0": "   Apache License\n      Version 2.0, January 2004",
    "BSD-3-Clause": "Redistribution and use in source and binary forms, with or without\n* Neither the name of the",
    "BSD-2-Clause": "Redistribution and use in source and\n binary forms, are permitted",
    "GPL-2.0": "GNU GENERAL PUBLIC LICENSE\n  Version 2, June 1991\n use the GNU Lesser General Public License instead",
    "GPL-3.0": "GNU GENERAL PUBLIC LICENSE\nVersion 3, 29 June 2007",
    "LGPL-2.1": "GNU LESSER GENERAL PUBLIC LICENSE\n Version 2.1, February 1999",
    "LGPL-3.0": "GNU LESSER GENERAL PUBLIC LICENSE\nVersion 3, 29 June 2007",
    "MPL-2.0": "Mozilla Public License Version 2.0",
    "PSF-2.0": "PYTHON SOFTWARE FOUNDATION LICENSE VERSION 2",
    "Unlicense": "This is free and unencumbered software released into the public domain.",
    "ISC": "Permission to use, copy, modify, and/or distribute this software for any\n"
           "purpose with or without fee is hereby granted, provided that the above\n"
           "copyright notice",
}


def test_licences_are_named_only_when_there_is_one():
    assert {name: spdx(text) for name, text in LICENCES.items()} == {name: name for name in LICENCES}
    for text in (
        "", "All rights reserved.", LICENCES["MIT"] + LICENCES["Apache-2.0"],
        "GNU AFFERO GENERAL PUBLIC LICENSE Version 3, 19 November 2007",
        LICENCES["BSD-3-Clause"] + "All advertising materials mentioning",
        "Permission to use, copy, modify, and/or distribute this software for any purpose with or without fee is "
        "hereby granted.",
    ):
        assert spdx(text) == "unknown"


def test_each_function_has_the_nearest_licence(gather):
    code = "def {0}(x):\n    return x.{0}\n"
    records, summary = gather({
        "LICENSE.txt": LICENCES["MIT"],
        "a.py": code.format("top"),
        "one/NOTICE": "x",
        "one/COPYING": LICENCES["GPL-3.0"],
        "one/deep/er/b.py": code.format("inner"),
        "two/licence.py": code.format("module"),
        "three/LICENCE-MPL": LICENCES["MPL-2.0"],
    })
    nearest = {name: r["licence"] for name, r in records.items()}
    assert nearest == {"top": "LICENSE.txt", "inner": "one/COPYING", "module": "LICENSE.txt"}
    assert {r["path"]: (r["spdx"], r["functions"]) for r in summary["licences"]} == {
        "LICENSE.txt": ("MIT", 2),
        "one/COPYING": ("GPL-3.0", 1),
        "one/NOTICE": ("unknown", 0),
        "three/LICENCE-MPL": ("MPL-2.0", 0),
    }
    assert all(len(r["sha256"]) == 64 for r in summary["licences"])


def test_a_part_of_a_checkout_has_the_checkouts_licence(tmp_path):
    lay(tmp_path / "repo", {"LICENSE": LICENCES["MIT"], ".git/HEAD": "", "src/mine/a.py": PLAIN})
    lay(tmp_path, {"LICENSE": "not of this checkout"})
    summary = harvest(Harvest(str(tmp_path / "repo/src"), workers=1), tmp_path / "out")
    assert summary["licences"][0]["path"] == "../LICENSE"


# The standard library

@pytest.fixture(scope="module")
def standard(tmp_path_factory):
    "A third of the standard library, which is taken for one."
    folder = tmp_path_factory.mktemp("standard")
    (folder / "lib-dynload").mkdir()
    files = [p.relative_to(STDLIB) for p in sorted(STDLIB.rglob("*.py")) if "site-packages" not in p.parts]
    for path in {*files[::3], Path("os.py")}:
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(STDLIB / path, folder / path)
    return folder


@pytest.fixture(scope="module")
def library(standard, tmp_path_factory):
    folder = tmp_path_factory.mktemp("library")
    return folder, harvest(Harvest(str(standard), imports="needed", workers=2), folder)


def binds(node): return isinstance(node, (ast.Import, ast.ImportFrom, ast.FunctionDef, ast.ClassDef))


@pytest.mark.timeout(240)
def test_the_standard_library(standard, library):
    folder, summary = library
    records, functions = read_jsonl(folder / "functions.jsonl"), summary["functions"]
    assert summary["files"]["read"] > 400
    assert functions["documented"] > 2000
    assert functions["found"] == functions["kept"] + sum(functions["dropped"].values())
    assert len(records) == len({r["id"] for r in records}) == functions["kept"] > 1000
    assert functions["described"] == sum(bool(r["description"]) for r in records) > 350
    assert [(r["path"], r["line"]) for r in records] == sorted((r["path"], r["line"]) for r in records)
    for record in records:
        source = (standard / record["path"]).read_bytes().decode("utf-8-sig").replace("\r\n", "\n").split("\n")
        compile(record["code"], record["path"], "exec")
        tree = ast.parse(record["code"])
        assert tree.body[-1] is find_function(tree, record["entry_point"])
        made = set().union(*map(bound, tree.body), *(bound(m) for n in tree.body for m in ast.walk(n) if binds(m)))
        assert outside_names(record["code"]) - BUILTINS <= made, record["code"]
        if int(record["id"], 16) % 4: continue
        functions = (n for n in ast.parse("\n".join(source)).body if n.__class__ is ast.FunctionDef)
        node = next((n for n in functions if n.lineno == record["line"]), None)
        if record["description"] and node:
            pair = split_function("\n".join(source[node.lineno - 1:node.end_lineno]) + "\n", node.name)
            assert pair["description"] == record["description"] and record["code"].endswith(pair["code"])


def outputs(folder: Path) -> dict:
    files = [p for p in sorted(folder.rglob("*")) if p.is_file() and p.name not in (".lock", "parts.meta.json")]
    return {p.relative_to(folder).as_posix(): p.read_bytes() for p in files}


@pytest.mark.timeout(240)
def test_killed_and_started_again_with_other_workers_it_ends_with_the_same_bytes(standard, library, tmp_path):
    call = (
        "from evoselfcode.config import Harvest; from evoselfcode.datagen.harvest import harvest; "
        f"harvest(Harvest({str(standard)!r}, imports='needed', workers=2), {str(tmp_path)!r})"
    )
    meta = tmp_path / "parts.meta.json"
    process = subprocess.Popen([sys.executable, "-c", call], stdout=subprocess.DEVNULL)
    try:
        while not (meta.is_file() and read_json(meta)["done"] >= 3):
            time.sleep(0.02)
            assert process.poll() is None
        children = Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split()
    finally:
        process.send_signal(signal.SIGKILL)
        process.wait()
    done = read_json(meta)["done"]
    assert len(children) >= 2 and 3 <= done < read_json(meta)["total"] and not (tmp_path / "functions.jsonl").exists()
    def lives(child):
        stat = Path(f"/proc/{child}/stat")
        return stat.is_file() and stat.read_text().rpartition(")")[2].split()[0] != "Z"
    for _ in range(200):
        alive = [child for child in children if lives(child)]
        if not alive: break
        time.sleep(0.1)
    assert alive == []
    seen = []
    alone = Harvest(str(standard), imports="needed", workers=1)
    summary = harvest(alone, tmp_path, progress=lambda *at: seen.append(at))
    assert summary == library[1] and seen[0][0] == done + 1 and seen[-1][0] == seen[-1][1]
    assert outputs(tmp_path) == outputs(library[0])
    assert json.loads((tmp_path / "summary.json").read_bytes()) == summary


def test_a_killed_worker_is_told_and_costs_no_finished_batch(standard, library, tmp_path, message):
    def kill(done, _):
        if done == 2: os.kill(multiprocessing.active_children()[0].pid, signal.SIGKILL)
    settings = Harvest(str(standard), imports="needed", workers=1)
    assert "a worker process was killed" in message(harvest, settings, tmp_path, progress=kill)
    assert read_json(tmp_path / "parts.meta.json")["done"] >= 2
    (tmp_path / "parts/.00009.jsonl.1.tmp").write_text("torn")
    assert harvest(settings, tmp_path) == library[1] and outputs(tmp_path) == outputs(library[0])


def test_two_harvests_do_not_work_in_one_folder(tmp_path, message):
    source = lay(tmp_path / "source", {"a.py": PLAIN})
    with run_lock(tmp_path / "out"):
        assert "already works here" in message(harvest, Harvest(str(source)), tmp_path / "out")
