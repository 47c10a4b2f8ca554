"""A wrong program never passes and a right one is not called failed.

Tests see what they would see with the program beside them. Each row is a program, its tests, and the verdict;
`official` runs program and tests in one process, to show that Python itself says so.
"""
import json
import subprocess
import sys
import time
from pathlib import Path

import pytest

import evoselfcode.execution.workers as execution_workers
from evoselfcode.constants import FAILED, PASSED, TIMEOUT, UNSUPPORTED
from evoselfcode.execution.behaviour import behaviours
from evoselfcode.execution.execution import Limits, Program, Runner, call_of, run_programs

pytestmark = pytest.mark.skipif(not sys.platform.startswith("linux"), reason="programs are executed on Linux only")

WRONG = {  # kind: (program, tests) that Python itself fails
    "a nan of the program's alone": [("def f(x): return [float('nan')]", "assert f(1) == [1.0]")],
    "a name of Python's that the program took": [
        ("def sum(xs): return 0", "assert sum([1]) == 1"),
        ("def id(x): return x", "x = 5\nassert id(x) != x"),
    ],
    "an iterator is no list": [
        ("def f(): return iter([1, 2])", "import types\nassert isinstance(f(), types.GeneratorType)"),
        ("def f(): return map(str, [1])", "assert f() == ['1']"),
        ("def f(): return (x for x in [1])", "assert isinstance(f(), list)"),
    ],
    "an assertion is not forgotten": [
        (
            "def f(x):\n    if x < 0: raise ValueError\n    return 0",
            "import unittest\nassert f(1) == 1\nunittest.TestCase().assertRaises(Exception, f, -1)",
        ),
        ("def f(x): return 0", "try:\n    assert f(1) == 1\nfinally: f(2)"),
        (
            "def f(x): return 0",
            "class C:\n"
            "    def __enter__(self): return self\n"
            "    def __exit__(self, *a): return a[0] is ValueError\n"
            "with C(): assert f(1) == 1",
        ),
        ("def f(x): return x", "def check(g):\n    for x in range(50): assert g(x) == min(x, 48), x\ncheck(f)"),
    ],
    "the clock is the tests' own": [
        (
            "import time\ndef f(x): time.sleep(0.5); return x * x",
            "from time import perf_counter\nt = perf_counter()\nassert f(3) == 9\nassert perf_counter() - t < 0.25",
        ),
        (
            "import time\ndef f(x): time.sleep(0.2); return x",
            "import time\nt = time.time()\nfor i in range(3): assert f(i) == i\nassert time.time() - t < 0.5",
        ),
    ],
    "what is expected is worked out after the call": [
        (
            "def f(xs): return xs[:]",
            "def reference(xs): xs.sort(); return xs\nxs = [3, 1, 2]\nassert f(xs) == reference(xs)",
        ),
        ("n = []\ndef nxt(): n.append(1); return len(n)\ndef last(): return len(n)", "assert last() == nxt()"),
        ("def f(xs): return len(xs)", "xs = [1]\ndef more(): xs.append(2); return 2\nassert f(xs) == more()"),
    ],
    "nobody reads ahead": [
        (
            "import os, sys, time\n"
            "def ahead():\n"
            "    time.sleep(0.2)\n"
            "    os.set_blocking(3, False)\n"
            "    try: found = os.read(3, 1 << 16)\n"
            "    except OSError: found = b''\n"
            "    os.set_blocking(3, True)\n"
            "    frame = sys._getframe()\n"
            "    while frame:\n"
            "        for value in [*frame.f_locals.values()]:\n"
            "            channel = getattr(value, '__self__', None)\n"
            "            if type(channel).__name__ == 'Channel': channel.inbox += found; return bytes(channel.inbox)\n"
            "        frame = frame.f_back\n"
            "    return found\n"
            "def enc(s): return 'x1' if b'x1' in ahead() else ''\n"
            "def dec(s): return 'a'",
            "assert enc('a') == 'x1'\nassert dec('x1') == 'a'",
        ),
    ],
    "changed arguments come back": [
        ("def f(xs): xs.sort(); return xs", "xs = [3, 1, 2]\nassert f(xs) == [1, 2, 3]\nassert xs == [3, 1, 2]"),
        ("def f(xs, ys=None): ys.append(1); return len(xs)", "ys = []\nassert f([1], ys=ys) == 1\nassert ys == []"),
        ("def f(xs): xs[0].append(9); return 1", "inner = [1]\nassert f([inner]) == 1\nassert inner == [1]"),
        ("def f(xs): return xs[:]", "xs = [1]\nassert f(xs) is xs"),
        ("def f(xs): return xs", "xs = [1]\nassert f(xs) is not xs"),
        ("def f(xs): return [xs[0]]", "xs = [[1]]\nassert f(xs)[0] is not xs[0]"),
        ("def f(a, b): a.append(1); return len(b)", "xs = []\nassert f(xs, xs) == 0"),
        ("def f(d): d.pop('a'); return 1", "d = {'a': 1}\nassert f(d) == 1 and d == {'a': 1}"),
        ("def f(s): s.discard(1); return 1", "s = {1, 2}\nassert f(s) == 1 and s == {1, 2}"),
        ("def f(t): t[0].append(1); return 1", "t = ([],)\nassert f(t) == 1 and t == ([],)"),
        ("def f(b): b += b'x'; return 1", "b = bytearray(b'a')\nassert f(b) == 1 and b == b'a'"),
        ("def f(xs): xs.append(1); raise ValueError", "xs = []\ntry: f(xs)\nexcept ValueError: pass\nassert xs == []"),
        ("def f(x, seen=[]): seen.append(x); return seen", "a = f(1)\nf(2)\nassert a == [1]"),
        (
            "kept = []\ndef put(xs): kept.append(xs)\ndef change(): kept[0].append(9)",
            "xs = [1]\nput(xs)\nchange()\nassert xs == [1]",
        ),
        (
            "kept = []\ndef put(xs): kept.append(xs)\ndef look(): return len(kept[0])",
            "xs = [1]\nput(xs)\nxs.append(2)\nassert look() == 1",
        ),
        ("def f(xs): xs[0] = True; return 1", "xs = [1]\nassert f(xs) == 1 and type(xs[0]) is int"),
        ("memo = {}\ndef f(n): return memo.setdefault(n, [n])", "a = f(1)\na.append(2)\nassert f(1) == [1]"),
        (
            "from collections import deque\ndef f(d): d.popleft(); return 1",
            "from collections import deque\nd = deque([1, 2])\nassert f(d) == 1 and len(d) == 2",
        ),
        ("T = (1, 2)\ndef f(): return T", "assert f() is not f()"),
        ("xs = []\ndef f(): return map(str, xs)", "g = f()\nassert list(g) == ['1']"),
        (
            "log = []\ndef f():\n    for i in range(3): log.append(i); yield i\ndef get(): return log",
            "g = f()\nassert get() == [0, 1, 2]",
        ),
        ("G = iter([1, 2])\ndef f(): return G", "assert f() is not f()"),
        ("def f(xs): return map(lambda x: 2 * x, xs)", "xs = [1]\ng = f(xs)\nxs.append(2)\nassert list(g) == [2]"),
        (
            "def f():\n    class E(ValueError): pass\n    raise E\ndef g():\n    class E(TypeError): pass\n    raise E",
            "try: f()\nexcept ValueError: pass\ntry: g()\nexcept ValueError: pass",
        ),
        ("def f(n): return 10 ** n", "assert len(str(f(5000))) == 5001"),
        (
            "def f():\n    try: {}['a']\n    except KeyError: raise ValueError",
            "try: f()\nexcept ValueError as e: assert e.__context__ is None",
        ),
    ],
    "a name that is missing is not true": [
        ("def f(x): return 1", "assert callable(g)"),
        ("def f(x): return 1", "assert LIMIT"),
        ("def f(x): return 1", "assert g is not None"),
        ("def f(x): return 1", "hooks = [g]\nassert len(hooks) == 1"),
        ("def f(x): return 1", "assert {'g': g}"),
        ("x = 1", "assert f(1) or True"),
        ("LIMIT = 3", "assert LIMIT(2)"),
        ("def f(x): return 1", "try: g(1)\nexcept NameError: raise"),
        ("def f(x): return 1", "assert not isinstance(g, int)"),
    ],
    "what is alike is not the same": [
        (r"def f(): return '\ud83d\ude00'", r"assert f() == '\U0001f600'"),
        (r"def f(s): return s == '\U0001f600'", r"assert f('\ud83d\ude00')"),
        (r"def f(): return {'\ud83d\ude00': 1}", r"assert f() == {'\U0001f600': 1}"),
        (r"def f(): raise ValueError('\ud83d\ude00')", "try: f()\nexcept ValueError as e: assert len(str(e)) == 1"),
        (
            "from collections import OrderedDict\ndef f(): return OrderedDict([('b', 1), ('a', 2)])",
            "from collections import OrderedDict\nassert f() == OrderedDict([('a', 2), ('b', 1)])",
        ),
        ("from collections import Counter\ndef f(): return Counter(a=1)", "assert f() == {'a': 1, 'b': 0}"),
        ("def f(): return 1", "assert f() is True"),
        ("def f(): return (1,)", "assert f() == [1]"),
    ],
    "the order of a set is its own": [
        (
            "def f(s): return tuple(sorted(s))",
            "s = {'q', 'w', 'e', 'r', 't', 'y', 'u'}\n"
            "assert f(s) == tuple(s) and tuple(s) != tuple(sorted(s)) or tuple(s) == tuple(sorted(s)) and 0",
        ),
        ("def f(s): return tuple(reversed(tuple(s)))", "s = {3, 33, 65, 1}\nassert f(s) == tuple(s)"),
    ],
}

FORGED = {  # kind: (program, tests) that Python would be taken in by
    "a name of Python's": [
        ("def exit(*a): pass\nquit = exit\ndef f(x): return 0", "if f(1) != 1: exit(1)"),
        ("def quit(*a): pass\ndef f(x): return 0", "if f(1) != 1: quit()"),
        ("def len(x): return 3\ndef f(x): return []", "assert len(f(1)) == 3"),
        ("def f(x): return 0\ndef all(xs): return True", "assert all(f(i) == i for i in range(3))"),
    ],
    "a loop that ends early": [
        ("def f(x): raise StopIteration", "assert all(map(lambda p: f(p[0]) == p[1], [(3, 9)]))"),
        ("def f(x): raise StopIteration", "for a, b in zip(map(f, [1]), [2]): assert a == b"),
    ],
    "the other side of the wire": [
        (
            "import sys\n"
            "sys.path.insert(0, [p for p in sys.path if p.endswith('sandbox')][0])\n"
            "import child, codec\n"
            f"{patch}\n"
            "def f(xs): xs.sort(); return 0",
            "xs = [2, 1]\nassert f(xs) == 1 and xs == [2, 1]",
        )
        for patch in (
            "child.Candidate.call = lambda self, *a, **k: dict(result=0)",
            "child.classes_of = child.message_of = lambda *a: 'x' * (20 << 20)",
            "codec.Shelf.changes = lambda self: [[0, ['x' * 99]]]",
        )
    ],
}

RIGHT = {  # kind: (program, tests) that Python itself passes
    "a nan that decides nothing": [
        (
            "class P:\n    def __init__(self, v): self.v = v\ndef p(v): return P(v)\ndef f(xs): return xs[0] + xs[1].v",
            "assert f([1.5, p(2)]) == 3.5",
        ),
        ("def f(x): return [1.5, x]", "assert f(3) == [1.5, 3]"),
    ],
    "an exception that nobody raised": [
        (
            "class TimeoutError(Exception): pass\ndef f(x): return x",
            "try: f(1)\nexcept TimeoutError: pass\nassert f(2) == 2",
        )
    ],
    "a name of Python's that the program took": [
        ("def sum(xs): return 6", "assert sum([]) == 6"),
        ("def id(x): return 7", "assert id([]) == 7"),
    ],
    "a name of Python's that the tests took": [
        ("def f(x): return x", "for id in (1, 2): assert f(id) == id"),
        ("def f(x): return x", "def type(x): return 'mine'\nassert type(f(1)) == 'mine'"),
        ("def f(x): return x", "from operator import neg as id\nassert id(f(1)) == -1"),
        ("def f(x): return x", "def check(type, callable=None): return type(callable)\nassert check(f, 3) == 3"),
        ("def f(x): return x\ndef all(xs): return False", "assert f(1) == 1"),
    ],
    "looks by other names": [
        (
            "def f(x): return x",
            "T = type\n"
            "assert isinstance(int, T) and T == type and T(3) is int "
            "and T('C', (), {})().__class__.__name__ == 'C' and f(1) == 1",
        ),
        (
            "def f(x): return x",
            "def check(kind, t=type): return isinstance(kind, t) and t(f(1)) is kind\n"
            "assert check(int) and check(int, type)",
        ),
        (
            "def f(x): return x",
            "assert [*map(type, [f(1), f('a')])] == [int, str] and isinstance(type(f(1)), type) "
            "and type(f(1)) in (int, type)",
        ),
        (
            "def f(x): return x",
            "look = type\n"
            "assert look(f(1)) is int and sorted([f(1)], key=id) == [1] and [*filter(callable, [f, 1])] == [f]",
        ),
        (
            "def f(x): return x",
            "class Meta(type): pass\n"
            "class C(metaclass=Meta): pass\n"
            "assert type(C) is Meta and type('D', (), {}).__name__ == 'D' and f(1)",
        ),
    ],
    "what comes back whole": [
        (
            "def f():\n    yield 1\n    return 5",
            "g = f()\nnext(g)\ntry: next(g)\nexcept StopIteration as e: assert e.value == 5\nelse: assert 0",
        ),
        (
            "def f():\n    yield 1\n    return 5",
            "def g():\n    r = yield from f()\n    assert r == 5\nassert list(g()) == [1]",
        ),
        (
            "def f(p): return p._replace(x=3)",
            "from collections import namedtuple\n"
            "P = namedtuple('P', 'x y')\n"
            "assert isinstance(f(P(1, 2)), P) and f(P(1, 2)) == (3, 2)",
        ),
        (
            "class M(OSError): pass\ndef f(): raise M(5, 'x')",
            "try: f()\nexcept OSError as e: assert e.errno == 5 and e.strerror == 'x'\nelse: assert 0",
        ),
        (
            "class M(SystemExit): pass\ndef f(): raise M(5)",
            "try: f()\nexcept SystemExit as e: assert e.code == 5\nelse: assert 0",
        ),
        (
            "class M(ImportError): pass\ndef f(): raise M('m', name='q')",
            "try: f()\nexcept ImportError as e: assert e.name == 'q' and e.msg == 'm'\nelse: assert 0",
        ),
        (
            "class M(UnicodeDecodeError): pass\ndef f(): raise M('utf8', b'a', 0, 1, 'r')",
            "try: f()\nexcept UnicodeDecodeError as e: assert e.start == 0 and e.reason == 'r'\nelse: assert 0",
        ),
        ("def f(x): return x", f"assert f(1000) == {'+'.join(['1'] * 1000)}"),
        (
            "class add(int):\n    def __call__(self, n): return add(self + n)\ndef value(a): return int(a)",
            "assert value(add(1)(2)(3)) == 6",
        ),
        (
            "import math\nfrom collections import Counter\ndef f(s): return max(Counter(s).values()) + math.floor(1.5)",
            "import math\n"
            "from collections import Counter\n"
            "assert f('aab') == 2 + math.floor(1.2) and Counter('a')['a'] == 1",
        ),
    ],
    "an iterator is what it is": [
        (
            "def f(): return map(str, [1])",
            "assert isinstance(f(), map) and not isinstance(f(), list) and 1 not in f() and f() and f() != f()",
        ),
        (
            "def f(): yield 1",
            "import types\n"
            "assert isinstance(f(), types.GeneratorType) and sorted(f()) == [1] == [*f()] and sum(f()) == 1",
        ),
        (
            "def f(): return map(int, ['a', '1'])",
            "g = f()\ntry: next(g)\nexcept ValueError: pass\nassert next(g) == 1 and iter(g) is g and list(g) == []",
        ),
    ],
    "expectations come in their order": [
        (
            "n = [0]\ndef nxt(): n[0] += 1; return n[0]\ndef last(): return n[0]",
            "assert nxt() == last()\nassert nxt() == last()",
        ),
        (
            "def f(nums):\n    nums[:] = sorted(set(nums))\n    return len(nums)",
            "nums = [2, 1, 2]\nassert f(nums) == 2\nassert nums == [1, 2]",
        ),
        (
            "def f(xs): xs.sort(); return xs",
            "xs = [2, 1]\nys = f(xs)\nassert ys is xs and ys == [1, 2]\nys.append(3)\nassert xs == [1, 2, 3]",
        ),
        ("def f(a, b): a.append(1); return a is b and len(b)", "xs = []\nassert f(xs, xs) == 1 and f([], []) == 0"),
        (
            "def f(xs): xs[0].append(9)",
            "inner = [1]\nxs = [inner, inner]\nf(xs)\nassert inner == [1, 9] and xs[1] is inner",
        ),
        ("def f(xs): xs.append(xs); return xs", "xs = [1]\nassert f(xs)[1] is xs"),
        ("def f(s): return s", "s = 'a long text ' * 3\nassert f(s) is s\nn = 10 ** 30\nassert f(n) is n"),
        ("def f(t): return t", "t = (1, [2])\nassert f(t) is t"),
        (
            "class Node:\n"
            "    def __init__(self, v): self.v = v\n"
            "root = Node(1)\n"
            "def get(): return root\n"
            "def value(n): return n.v\n"
            "def same(a, b): return a is b",
            "a, b = get(), get()\nassert a is b and value(a) == 1 and same(a, b)",
        ),
        (
            "def swap(pair): pair[0], pair[1] = pair[1], pair[0]",
            "a, b = [1], [2]\npair = [a, b]\nswap(pair)\nassert pair[0] is b and pair[1] is a",
        ),
        (
            "def f(d): d['x'] = d.pop('y'); return d",
            "v = [1]\nd = {'y': v, 'z': 0}\nassert f(d) is d and list(d) == ['z', 'x'] and d['x'] is v",
        ),
        (
            "def acc(start):\n    log = [start]\n    return log\ndef add(log, x): log.append(x); return sum(log)",
            "log = acc(1)\nassert [add(log, x) for x in range(3)] == [1, 2, 4] and log == [1, 0, 1, 2]",
        ),
        ("def f(x): return x\n", "for i in range(300): assert f([i]) == [i] and f({'k': [i]})['k'][0] == i"),
    ],
    "kinds of data": [
        (
            "from collections import defaultdict\n"
            "def f(xs):\n"
            "    d = defaultdict(list)\n"
            "    for x in xs: d[x % 2].append(x)\n"
            "    return d",
            "d = f([1, 2, 3])\nassert d == {1: [1, 3], 0: [2]} and d[7] == [] and 7 in d",
        ),
        (
            "from collections import Counter\ndef f(s): return Counter(s)",
            "c = f('aab')\n"
            "assert c.most_common(1) == [('a', 2)] and c['z'] == 0 and c == {'a': 2, 'b': 1} and (c - c) == {}",
        ),
        (
            "from collections import namedtuple\nP = namedtuple('P', 'x y')\ndef f(): return P(1, [2])",
            "p = f()\n"
            "assert p.x == 1 and p == (1, [2]) and p._asdict() == dict(x=1, y=[2]) "
            "and p._replace(x=5).x == 5 and repr(p) == 'P(x=1, y=[2])'",
        ),
        (
            "from typing import NamedTuple\nclass P(NamedTuple):\n    x: int\n    y: int = 2\ndef f(): return [P(1)]",
            "assert f()[0].y == 2",
        ),
        (
            "def f(p): return p.x + p[1]",
            "from collections import namedtuple\nP = namedtuple('P', 'x y')\nassert f(P(1, 2)) == 3",
        ),
        (
            "from collections import OrderedDict\ndef f(d): d.move_to_end('a'); return d",
            "from collections import OrderedDict\n"
            "d = OrderedDict(a=1, b=2)\n"
            "assert f(d) is d and list(d) == ['b', 'a'] and f(d).popitem() == ('a', 1)",
        ),
        (
            "from collections import deque\ndef f(d): d.append(3); return d",
            "from collections import deque\nd = deque([1, 2], maxlen=2)\nassert f(d) is d and list(d) == [2, 3]",
        ),
        (
            r"def f(s): return s + '\ude00'",
            r"assert f('\ud83d') == '\ud83d\ude00' and len(f('\ud83d')) == 2 and f('\ud83d') != '\U0001f600'",
        ),
        (
            "def f(): return 'x' * 70 ** 3, {1: {2, 3}}, b'ab', 1 + 2j",
            "assert f() == ('x' * 343000, {1: {2, 3}}, b'ab', 1 + 2j)",
        ),
        (
            "def f(x): return x",
            "class Near(float):\n"
            "    def __eq__(self, other): return abs(self - other) < 0.1\n"
            "    __hash__ = None\n"
            "assert f(0.55) == Near(0.5)",
        ),
        (
            "def f(s): return tuple(s)",
            "for s in ({'b', 'a', 'c', 'dd', 'e', 'ff'}, {1, 33, 65, 2}, set('hello world'), "
            "{(1, 2), (3,), ()}, frozenset(map(str, range(40)))): assert f(s) == tuple(s)",
        ),
        ("def f(s): return set(s)", "assert f('abcdefgh') == set('hgfedcba')"),
        ("def f(): return {'z', 'y', 'x', 'w'}, list({'z', 'y', 'x', 'w'})", "s, order = f()\nassert list(s) == order"),
        ("def f(it): return list(it), next(it, None)", "assert f(iter([1, 2])) == ([1, 2], None)"),
        ("def f(n):\n    for i in range(n): yield i", "assert list(f(3)) == [0, 1, 2] and next(f(2)) == 0"),
        (
            "def fib():\n    a, b = 0, 1\n    while True:\n        yield a\n        a, b = b, a + b",
            "from itertools import islice\n"
            "import types\n"
            "g = fib()\n"
            "assert [next(g) for _ in range(6)] == [0, 1, 1, 2, 3, 5] and list(islice(fib(), 3)) == [0, 1, 1] "
            "and isinstance(g, types.GeneratorType)",
        ),
        (
            "def f():\n    yield 1\n    raise ValueError('later')",
            "g = f()\nassert next(g) == 1\ntry: next(g)\nexcept ValueError: pass\nelse: assert 0",
        ),
        ("def f(x): return x", "assert list(f(x for x in [1, 2])) == [1, 2] and list(f(map(str, [1]))) == ['1']"),
        ("G = iter([1, 2])\ndef f(): return G", "assert f() is f() and next(f()) == 1 and next(f()) == 2"),
        ("def f(xs): return map(lambda x: 2 * x, xs)", "xs = [1]\ng = f(xs)\nxs.append(2)\nassert list(g) == [2, 4]"),
        (
            "def f(*a, **k): return a, k",
            "assert f(1, self=2, name=3, do=4, args=5) == ((1,), dict(self=2, name=3, do=4, args=5))",
        ),
        ("def f(xs): return xs[:]", "import math\nassert f([1, 2]) == [1, 2] and math.isnan(f([math.nan])[0])"),
        (
            "def f(g, xs): return [g(x) for x in xs]",
            "assert f(abs, [-1]) == [1] and f(len, ['ab']) == [2]",
        ),
        (
            "import datetime as d\ndef f(t): return t",
            "import datetime as d\n"
            "for t in (d.datetime(2024, 1, 1, tzinfo=d.timezone.utc), d.datetime(2024, 1, 1, fold=1), "
            "d.time(1, 2, fold=1), d.date(1, 1, 1)): assert repr(f(t)) == repr(t)",
        ),
        (
            "from collections import namedtuple\n"
            "P, Q, R = namedtuple('P', 'class x', rename=True), namedtuple('Q', 'größe'), namedtuple('R' * 61, 'x')\n"
            "S = namedtuple('S', 'x y', defaults=[2])\n"
            "def f(): return S(1)\n"
            "def p(): return Q(1)",
            "assert f()._field_defaults == {'y': 2} and f() == (1, 2) and p().größe == 1",
        ),
        (
            "def f(): return ..., NotImplemented, ValueError, len, object",
            "assert f() == (..., NotImplemented, ValueError, len, object) and f()[2] is ValueError",
        ),
        ("def a(): pass\ndef f(): return a", "assert f() is a"),
        (
            "def f(s): return list(s)",
            "for s in ({197, 53}, {53, 197}, frozenset([95, 127]), {8, 0, 16}, {'a', 'b'}): assert f(s) == list(s)",
        ),
        (
            "def f(xs): return frozenset(xs), list(frozenset(xs))",
            "for xs in ([95, 127], [8, 16, 0, 24], 'hello'):\n    s, order = f(xs)\n    assert list(s) == order",
        ),
    ],
    "exceptions": [
        (
            "def f(): raise ValueError('two  spaces', 5)",
            "try: f()\n"
            "except ValueError as e: assert e.args == ('two  spaces', 5) and str(e) == \"('two  spaces', 5)\"\n"
            "else: assert 0",
        ),
        (
            "def f(): open('/nowhere/at/all')",
            "try: f()\n"
            "except FileNotFoundError as e: assert e.errno == 2 and e.filename == '/nowhere/at/all' "
            "and isinstance(e, OSError)\n"
            "else: assert 0",
        ),
        ("def f(): raise StopIteration(7)", "try: f()\nexcept StopIteration as e: assert e.value == 7\nelse: assert 0"),
        (
            "class Own(ValueError):\n"
            "    def __init__(self, code): super().__init__('code', code); self.code = code\n"
            "    def __str__(self): return f'own {self.code}'\n"
            "def f(): raise Own(3)",
            "try: f()\n"
            "except ValueError as e: assert e.code == 3 and str(e) == 'own 3' and type(e).__name__ == 'Own'\n"
            "else: assert 0",
        ),
        (
            "class Base(Exception): pass\nclass Own(Base, KeyError): pass\ndef f(): raise Own('k')",
            "try: f()\nexcept Base as e: assert isinstance(e, KeyError) and isinstance(e, LookupError)\nelse: assert 0",
        ),
        (
            "def f():\n    try: {}['a']\n    except KeyError: raise ValueError from None",
            "try: f()\n"
            "except ValueError as e: assert e.__cause__ is None and e.__suppress_context__ "
            "and isinstance(e.__context__, KeyError)\n"
            "else: assert 0",
        ),
        (
            "def f(): open('/nope')",
            "try: f()\n"
            "except OSError as e: assert str(e) == \"[Errno 2] No such file or directory: '/nope'\"\n"
            "else: assert 0",
        ),
        ("def f(): [].x", "try: f()\nexcept AttributeError as e: assert e.obj == [] and e.name == 'x'\nelse: assert 0"),
        (
            "def f():\n    e = ValueError('x')\n    e.__foo__ = 1\n    raise e",
            "try: f()\nexcept ValueError: pass\nelse: assert 0",
        ),
        ("class Own(Exception): pass\ndef f(): raise Own", "try: f()\nexcept Own: pass\nelse: assert 0"),
        (
            "class Own(Exception): pass\ndef f(): raise Own('a')",
            "import unittest\nt = unittest.TestCase()\nt.assertRaises(Own, f)\nwith t.assertRaisesRegex(Own, 'a'): f()",
        ),
        (
            "import json\ndef f(s): return json.loads(s)",
            "import json\n"
            "try: f('{')\n"
            "except json.JSONDecodeError as e: assert e.pos == 1 and e.msg.startswith('Expecting')\n"
            "else: assert 0",
        ),
        (
            "def f():\n    try: 1 / 0\n    except ZeroDivisionError as e: raise RuntimeError('outer') from e",
            "try: f()\nexcept RuntimeError as e: assert isinstance(e.__cause__, ZeroDivisionError)\nelse: assert 0",
        ),
        (
            "def f(d): return d['no']",
            "try: f({})\nexcept KeyError as e: assert e.args[0] == 'no' and str(e) == \"'no'\"\nelse: assert 0",
        ),
        ("def f(): raise SystemExit(3)", "try: f()\nexcept SystemExit as e: assert e.code == 3\nelse: assert 0"),
        (
            "def f(): b'\\xff'.decode()",
            "try: f()\nexcept UnicodeDecodeError as e: assert e.start == 0 and e.object == b'\\xff'\nelse: assert 0",
        ),
        (
            "from decimal import Decimal\ndef f(): return Decimal('x')",
            "from decimal import InvalidOperation\ntry: f()\nexcept InvalidOperation: pass\nelse: assert 0",
        ),
        (
            "def f():\n    e = ValueError('a'); e.add_note('n'); raise e",
            "try: f()\nexcept ValueError as e: assert e.__notes__ == ['n']\nelse: assert 0",
        ),
    ],
    "what tests may do": [
        (
            "def f(x): print('x is', x); return x",
            "import io, contextlib\n"
            "out = io.StringIO()\n"
            "with contextlib.redirect_stdout(out): f(1); print('and'); f(2)\n"
            "assert out.getvalue() == 'x is 1\\nand\\nx is 2\\n'",
        ),
        (
            "import sys\ndef f(): print('e', file=sys.stderr)",
            "import io, contextlib\n"
            "out = io.StringIO()\n"
            "with contextlib.redirect_stderr(out): f()\n"
            "assert out.getvalue() == 'e\\n'",
        ),
        (
            "def f(): print('hi')",
            "import io, sys\n"
            "old, sys.stdout = sys.stdout, io.StringIO()\n"
            "f()\n"
            "said = sys.stdout.getvalue()\n"
            "sys.stdout = old\n"
            "assert said == 'hi\\n'",
        ),
        (
            "def f(x): return x * x",
            "from concurrent.futures import ThreadPoolExecutor\n"
            "with ThreadPoolExecutor(4) as pool: assert list(pool.map(f, range(40))) == [x * x for x in range(40)]",
        ),
        (
            "def f(x): return x * x",
            "import threading\n"
            "got = []\n"
            "ts = [threading.Thread(target=lambda i=i: got.append(f(i))) for i in range(9)]\n"
            "[t.start() for t in ts]\n"
            "[t.join() for t in ts]\n"
            "assert sorted(got) == [i * i for i in range(9)]",
        ),
        ("def f(x): return x", "import timeit, time\nassert timeit.timeit(lambda: f(1), number=20) < 5"),
        ("def f(x): return x", "assert eval('f(3)') == 3 and getattr(f(3), 'real') == 3"),
        ("import math\ndef f(x): return 1.0", "assert math.isclose(f(1), 1.0)"),
        ("def f(x): return x", "assert callable(f) and f is f and [f][0](2) == 2"),
        (
            "def add(a): return lambda b: a + b\ndef call(g, x): return g(x)",
            "assert call(add(1), 2) == 3 and add(1)(2) == 3",
        ),
    ],
}

UNKNOWN = {  # kind: (program, tests) that cannot be verified from outside; what stands in the detail
    "what an iterator is, and more than its items": [
        (program, tests, "iterator")
        for program, tests in [
            ("def f(): return map(str, [1])", "from types import GeneratorType\nassert type(f()) is GeneratorType"),
            (
                "def f():\n    x = yield 1\n    yield 'wrong' if x is not None else 'ok'",
                "g = f()\nnext(g)\nassert g.send(5) == 'ok'",
            ),
            ("def f():\n    x = yield 1\n    yield x", "g = f()\nnext(g)\nassert g.send(5) == 5"),
            (
                "def f():\n    try: yield 1\n    except ValueError: yield 'caught'",
                "g = f()\nnext(g)\nassert g.throw(ValueError()) == 'caught'",
            ),
            ("def f():\n    yield 1", "g = f()\nassert next(g) == 1\ng.close()"),
        ]
    ],
    "looks by other names": [
        (
            "class A: pass\nclass B: pass\ndef a(): return A()\ndef b(): return B()",
            "assert len(set(map(type, [a(), b()]))) == 1", "type A",
        ),
        (
            "class A: pass\nclass B: pass\ndef a(): return A()\ndef b(): return B()",
            "look = type\nassert look(a()) is look(b())", "type A",
        ),
        (
            "class A: pass\nclass B: pass\ndef a(): return A()\ndef b(): return B()",
            "def same(x, y, look=type): return look(x) is look(y)\nassert same(a(), b())", "type A",
        ),
        (
            "class A: pass\nclass B: pass\ndef a(): return A()\ndef b(): return B()",
            "assert min([a(), b()], key=id)", "type A",
        ),
        (
            "class A: pass\nclass B: pass\ndef a(): return A()\ndef b(): return B()",
            "from functools import partial\nassert partial(type, a())() is partial(type, b())()", "type A",
        ),
    ],
    "a name of Python's that the program took": [
        (
            "class TimeoutError(Exception): pass\ndef f(): raise TimeoutError",
            "try: f()\nexcept TimeoutError: pass", "TimeoutError",
        ),
    ],
    "a name that both have": [
        (program, tests, words)
        for words, cases in {
            "set its names": [
                (
                    "class E(Exception): pass\ndef g(K=E): raise K()",
                    "class E(Exception): pass\ntry: g()\nexcept E: pass",
                ),
                (
                    "def total(xs): return sum(xs)\ndef f(xs): return total(xs)",
                    "total = f([1, 2])\nassert total == 3\nassert f([1]) == 1",
                ),
                (
                    "import datetime\ndef f(): return datetime.date(2020, 1, 1)",
                    "from datetime import datetime\nassert f().year == 2020",
                ),
                ("CONST = 3\ndef f(x): return x * CONST", "CONST = 10\nassert f(1) == 3"),
                (
                    "def fib(n): return n if n < 2 else fib(n - 1) + fib(n - 2)",
                    "calls, orig = 0, fib\n"
                    "def fib(n):\n"
                    "    global calls\n"
                    "    calls += 1\n"
                    "    return orig(n)\n"
                    "assert fib(5) == 5 and calls == 1",
                ),
                (
                    "def gcd(a, b): return 1\ndef f(a, b): return gcd(a, b)",
                    "def gcd(a, b): return a if not b else gcd(b, a % b)\nassert f(4, 6) == gcd(4, 6)",
                ),
                ("def f(): return input() + '1'", "input = lambda *a: '5'\nassert f() == '51'"),
                ("def f(x): return max(x)", "max = f([1, 2])\nassert f([3]) == 3"),
                ("def f(n): return n if n < 2 else f(n - 1) + f(n - 2)", "g, f = f, None\nassert g(10) == 55"),
            ],
            "which the tests define": [
                ("def f(x): return math.floor(x)", "import math\nassert f(1.5) == math.floor(1.5)"),
                ("def f(x): return helper(x)", "def helper(x): return x + 1\nassert f(1) == 2"),
                ("def f(v): return Node(v)", "class Node:\n    def __init__(self, v): self.v = v\nassert f(1).v == 1"),
            ],
            "iterator": [
                (
                    "def f(xs): return list(xs)\ndef g(x): return [x]",
                    "assert f(g(i) for i in range(3)) == [[0], [1], [2]]",
                ),
                ("def f(xs): return list(xs)", "assert f(map(f, [[1], [2]])) == [[1], [2]]"),
                ("def f(xs): return [y for x in xs for y in x]", "assert f([range(2), (i for i in [5])]) == [0, 1, 5]"),
                ("def f(it): return all(it)", "assert f(1 / x > 0 for x in [-1, 0]) is False"),
                (
                    "def f(it): return 5",
                    "def gen():\n"
                    "    yield 1\n"
                    "    raise ValueError\n"
                    "try: f(gen())\n"
                    "except ValueError: pass\n"
                    "else: assert 0",
                ),
            ],
            "has its own": [
                (
                    "class V(list):\n"
                    "    def __add__(self, o): return V(a + b for a, b in zip(self, o))\n"
                    "def f(x): return V(x)",
                    "assert f([1, 2]) + f([3, 4]) == [4, 6]",
                ),
                (
                    "class D(dict):\n"
                    "    def __getitem__(self, k): return dict.__getitem__(self, k) * 2\n"
                    "def f(): return D(a=1)",
                    "assert f()['a'] == 1",
                ),
                (
                    "from enum import IntFlag\nclass P(IntFlag):\n    R = 1\n    W = 2\ndef f(s): return P(3)",
                    "assert f('r') in f('rw')",
                ),
            ],
            "of its exception": [
                ("class E(Exception):\n    code = 3\ndef f(): raise E", "assert E.code == 3"),
                ("class E(Exception):\n    code = 3", "assert not hasattr(E, 'code')"),
            ],
            "order of a set": [
                (
                    "def f(a, b): a |= b; return a",
                    "a, t = {1, 9}, {1, 9}\nb = {17, 25, 33}\nr = f(a, b)\nt |= b\nassert list(r) == list(t)",
                )
            ],
            "threads of the tests": [
                (
                    "import threading\nb = threading.Barrier(2)\ndef f(x): b.wait(0.3); return x",
                    "from concurrent.futures import ThreadPoolExecutor\n"
                    "with ThreadPoolExecutor(4) as pool: assert list(pool.map(f, range(4))) == [0, 1, 2, 3]",
                )
            ],
            "decimals are rounded": [
                (
                    "from decimal import Decimal, getcontext\ngetcontext().prec = 50\ndef f(): return Decimal(1) / 3",
                    "from decimal import Decimal\nassert f() == Decimal(1) / Decimal(3)",
                )
            ],
            "limit of recursion": [
                (
                    "import sys\nsys.setrecursionlimit(10000)\ndef f(n): return n and 1 + f(n - 1)",
                    "def g(n): return n and 1 + g(n - 1)\nassert f(3000) == g(3000)",
                )
            ],
            "of the program, which is no function": [
                ("RESULT = None", "import unittest\nunittest.TestCase().assertIsNotNone(RESULT)"),
                ("RESULT = None", "def check(v): assert v is not None\ncheck(RESULT)"),
            ],
            "sys, a module": [("import sys\ndef f(): return 1", "assert sys.version and f() == 1")],
            "which nan": [
                ("import math\ndef f(x): return math.nan", "import math\nassert f(1) is math.nan"),
                ("import math\ndef f(x): return math.nan", "import math\nassert [f(1)] == [math.nan]"),
            ],
            "the tests change": [
                (
                    "def f(x): print(x); return x",
                    "from unittest.mock import patch\n"
                    "with patch('builtins.print') as p: assert f(1) == 1\n"
                    "p.assert_not_called()",
                ),
                (
                    "import warnings\ndef f(x): warnings.warn('d'); return x",
                    "import warnings\n"
                    "with warnings.catch_warnings():\n"
                    "    warnings.simplefilter('error')\n"
                    "    assert f(1) == 1",
                ),
            ],
        }.items()
        for program, tests in cases
    ],
    "which nan it is": [
        ("def f(xs): return xs[:]", "xs = [float('nan')]\nassert f(xs) == xs", "nan"),
        ("def f(d): return dict(d)", "d = {'a': float('nan'), 'b': 1.0}\nassert f(d) == d", "nan"),
        ("def f(x): return (x, x)", "import math\nassert f(math.nan) == (math.nan, math.nan)", "nan"),
    ],
    "a name other than by calling it": [
        ("LIMIT = 3", "assert LIMIT == 3", "LIMIT"),
        ("LIMIT = 3", "assert [1, 2, 3, 4][LIMIT] == 4", "LIMIT"),
        ("LIMIT = 0", "assert not LIMIT", "LIMIT"),
        ("NONE = None", "assert NONE is not None", "NONE"),
        ("LIMIT = 3", "assert callable(LIMIT)", "LIMIT"),
        ("LIMIT = 3", "assert type(LIMIT) is not int", "LIMIT"),
        ("def o(): return object()", "assert callable(o())", "type object"),
        (
            "class A: pass\nclass B: pass\ndef a(): return A()\ndef b(): return B()",
            "assert type(a()) is type(b())", "type A",
        ),
        ("def a(): pass\nb = a", "assert id(a) != id(b)", "a of the program"),
        ("def f(x): return 999", "from solution import f\nassert f(1) == 1", "library"),
        ("def f(x): return 999", "import solution as s\nassert s.f(1) == 1", "library"),
        ("LIMIT = 3", "import json\nassert json.dumps(LIMIT) == '3'", "LIMIT"),
        ("def f(x):\n    'Say.'", "assert f.__doc__", "f of the program"),
        ("def f(x): pass", "assert f.__name__ == 'f'", "f of the program"),
        ("def f(x): pass", "import inspect\nassert inspect.signature(f)", "f of the program"),
        ("class C: pass\ndef f(): return 1", "assert not isinstance(f(), C)", "C of the program"),
        ("def f(): pass", "import types\nassert isinstance(f, types.FunctionType)", "f of the program"),
        ("def f(): pass", "f.calls = 0", "f of the program"),
        ("def f(): pass", "assert f == f", "f of the program"),
        ("def f(): pass", "assert str(f)", "f of the program"),
    ],
    "no data": [
        ("class P:\n    x = 1\ndef f(): return P()", "assert f().x == 1", "type P is not plain data"),
        ("def f(): return object()", "assert f()", "type object"),
        ("class M: __bool__ = lambda s: False\nM.__module__ = 're'\ndef f(): return M()", "assert f()", "type M"),
        ("def f(x): return x()", "assert f(lambda: 1) == 1", "more than data"),
        (
            "def f(x): return x.own()",
            "class L(list):\n    def own(self): return 1\nassert f(L()) == 1", "class of its own",
        ),
        ("def f(): return 'x' * (70 << 20)", "assert len(f()) == 70 << 20", "of 67,108,864 that can cross"),
        (
            "from enum import IntEnum\nclass C(IntEnum):\n    RED = 1\ndef f(): return C.RED",
            "assert f().name == 'RED'", "name of C",
        ),
        ("def f(it): return next(it)", "it = iter([1, 2, 3])\nassert f(it) == 1 and next(it) == 2", "go on with"),
        (
            "from collections import defaultdict\ndef f(d, k): return d[k]",
            "from collections import defaultdict\nassert f(defaultdict(lambda: 5), 'x') == 5", "default factory",
        ),
        ("import io\ndef f(fh): return fh.read()", "import io\nassert f(io.StringIO('ab')) == 'ab'", "more than data"),
        (
            "class C:\n"
            "    def __init__(self): self.i = 0\n"
            "    def __iter__(self): return self\n"
            "    def __next__(self): raise StopIteration\n"
            "    def __bool__(self): return False\n"
            "def f(): return C()",
            "assert f()", "type C",
        ),
        ("class I(int): pass\ndef f(): return I(3)", "assert repr(f()) == '3'", "__repr__ of I"),
        (
            "class D(dict):\n    def __missing__(self, k): return 0\ndef f(): return D()",
            "assert f()['x'] == 0", "missing key of D",
        ),
        (
            "import datetime as d\n"
            "from zoneinfo import ZoneInfo\n"
            "def f(): return d.datetime(2024, 7, 1, tzinfo=ZoneInfo('UTC'))",
            "assert str(f().tzinfo) == 'UTC'", "time zone",
        ),
        (
            "import threading\ndef f(xs): threading.Timer(0.1, xs.append, (1,)).start()",
            "import time\nxs = []\nf(xs)\ntime.sleep(0.3)\nassert xs == []", "threads",
        ),
        (
            "from dataclasses import dataclass\n@dataclass\nclass P:\n    x: int\ndef f(): return P(1)",
            "from dataclasses import asdict\nassert asdict(f()) == {'x': 1}", "type P",
        ),
        (
            "class My(Exception):\n    def __init__(self, code): self.code = code\ndef f(): pass",
            "try: raise My(code=3)\nexcept My as e: assert e.code == 3", "an exception of a class",
        ),
        (
            "class E(Exception):\n    def why(self): return 1\ndef f(): raise E(object())",
            "try: f()\nexcept Exception as e: assert e.why() == 1", "why of its exception",
        ),
        (
            "def f(): raise ExceptionGroup('g', [ValueError()])",
            "try: f()\nexcept* ValueError: pass", "group of exceptions",
        ),
        (
            "from collections import defaultdict\ndef f(): return defaultdict(lambda: 5, a=1)",
            "assert f()['b'] == 5", "default factory",
        ),
        ("def f(): return [0] * (6 << 20)", "assert f()", "parts"),
    ],
    "what the tests do to it": [
        ("def f(): return input()", "import io, sys\nsys.stdin = io.StringIO('a')\nassert f() == 'a'", "an input"),
        (
            "import time\ndef f(): return time.time()",
            "from unittest.mock import patch\nwith patch('time.time', return_value=5): assert f() == 5",
            "the tests change",
        ),
        ("def f(p): return open(p).read()", "open('note.txt', 'w').write('x')\nassert f('note.txt') == 'x'", "layers"),
        (
            "def f(): print('x' * 100_000)",
            "import io, contextlib\n"
            "out = io.StringIO()\n"
            "with contextlib.redirect_stdout(out): f()\n"
            "assert len(out.getvalue()) > 99_999",
            "more than is kept",
        ),
        (
            "import random\ndef f(): return random.random()",
            "import random\nrandom.seed(0)\na = f()\nrandom.seed(0)\nassert f() == a", "the tests change",
        ),
        (
            "import sys\ndef f(n): return n and 1 + f(n - 1)",
            "import sys\nsys.setrecursionlimit(5000)\nassert f(3000) == 3000", "the tests change",
        ),
        (
            "def f(): return input()",
            "from unittest.mock import patch\nwith patch('builtins.input', return_value='a'): assert f() == 'a'",
            "the tests change",
        ),
        ("def f(x): return 1", "assert 'f' in globals()", "look at"),
        ("CONST = 3\ndef f(x): return x * CONST", "CONST = 10\nassert f(1) == 10", "set its names"),
        (
            "import warnings\ndef f(): warnings.warn('old')",
            "import warnings\n"
            "with warnings.catch_warnings(record=True) as found:\n"
            "    warnings.simplefilter('always')\n"
            "    f()\n"
            "assert len(found) == 1",
            "the tests change",
        ),
        (
            "def f(x): return x",
            "import tempfile\nwith tempfile.NamedTemporaryFile('w') as t: t.write('x')\nassert f(1) == 1", "layers",
        ),
        ("def f(x): return x", "import nowhere_to_be_found\nassert f(1) == 1", "library"),
    ],
}


def rows(table):
    return [pytest.param(*row, id=f"{kind} {i}") for kind, cases in table.items() for i, row in enumerate(cases)]


@pytest.fixture(scope="module")
def verdicts():
    "All rows verified, once: {(program, tests): verdict}."
    tables = WRONG, FORGED, RIGHT, UNKNOWN
    cases = dict.fromkeys(row[:2] for table in tables for rows in table.values() for row in rows)
    return dict(zip(cases, run_programs([Program(*case) for case in cases], Limits(seconds=10), workers=2)))


@pytest.mark.parametrize("program, tests", rows(WRONG | FORGED))
def test_a_wrong_program_does_not_pass(verdicts, program, tests):
    assert verdicts[program, tests].status == FAILED, verdicts[program, tests]


@pytest.mark.parametrize("program, tests", rows(RIGHT))
def test_a_right_program_passes(verdicts, program, tests):
    assert verdicts[program, tests].passed, verdicts[program, tests]


@pytest.mark.parametrize("program, tests, words", rows(UNKNOWN))
def test_what_does_not_cross_is_said(verdicts, program, tests, words):
    verdict = verdicts[program, tests]
    assert verdict.status == UNSUPPORTED and words in verdict.detail, verdict


def test_python_itself_says_so():
    "In one process, as the official harnesses run it, the wrong programs fail and the right ones pass."
    script = (
        "import json, sys\n"
        "found = []\n"
        "for text in json.load(sys.stdin):\n"
        "    try: exec(compile(text, 'x', 'exec'), {'__name__': 'x'})\n"
        "    except BaseException: found.append(False)\n"
        "    else: found.append(True)\n"
        "sys.__stdout__.write(json.dumps(found))"
    )
    command = [sys.executable, "-c", script]
    for passes, table in ((False, WRONG), (True, RIGHT)):
        texts = ["\n".join(row) for rows in table.values() for row in rows]
        done = subprocess.run(command, input=json.dumps(texts), capture_output=True, text=True, check=True)
        found = json.loads(done.stdout.splitlines()[-1])
        assert [text for text, passed in zip(texts, found) if passed is not passes] == []


# ---------------------------------------------------------------- what a program cannot choose

def test_a_random_program_has_one_toss():
    tests = "try: assert f([1]) == 1\nexcept ValueError: pass"
    toss = [Program(f"import os\ndef f(x): return os.urandom(1)[0] % 2  # {i}", tests) for i in range(400)]
    # with two it would be three quarters
    assert 0.4 < sum(verdict.passed for verdict in run_programs(toss, workers=2)) / len(toss) < 0.6


DRIP = """
import os, threading, time
def slowly(fd, data):
    for byte in data: time.sleep(0.05); os.write(fd, bytes([byte]))
    return len(data)
def f(x):
    import sys
    frame = sys._getframe()
    while 'send' not in frame.f_locals: frame = frame.f_back
    frame.f_locals['send'].__self__.write = slowly
    return 'a long enough answer to take two seconds'
"""


def test_a_deadline_is_not_renewed_by_bytes_that_trickle_in():
    tests = "from harnesses.lcb import check_answers\nassert list(f.each([[1]], 0.5))"
    verdict = next(run_programs([Program(DRIP, tests)], Limits(seconds=10), workers=1))
    assert (verdict.status, verdict.detail) == (TIMEOUT, "no answer within 0.5 s")


def test_no_message_makes_the_verifier_swell():
    flood = (
        "import os, struct\n"
        "def f(x):\n"
        "    data = b'[' + b'[],' * (20 << 20) + b'1]'\n"
        "    os.write(3, struct.pack('>I', len(data)))\n"
        "    while data: data = data[os.write(3, data):]"
    )
    pool = execution_workers._Pool(Limits(seconds=10), 1, 1)
    pool.waiting[0].append((0, execution_workers._job(Limits(seconds=10), flood, "assert f(1) == 1")))
    try:
        while not (ended := pool.step()): pass
        verifier = max(int(line.split()[1]) for line in peaks_of(pool.workers[0].process.watcher.pid))
    finally: pool.end()
    assert ended[0][1]["status"] == FAILED and "parts" in ended[0][1]["detail"] and verifier < 400 << 10  # kB


def peaks_of(pid):
    "The lines about the largest size that a process and its children had."
    children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    lines = [line for p in (pid, *children) for line in Path(f"/proc/{p}/status").read_text().splitlines()]
    return [line for line in lines if line.startswith("VmHWM")]


WRONG_NEXT = "def f(x): return 0", "import unittest\nunittest.TestCase().assertEqual(f(1), 1)"


@pytest.mark.parametrize("tests, then", [
    ("import unittest\nunittest.TestCase.assertEqual = lambda *a: None", WRONG_NEXT),
    ("from unittest import TestCase\nTestCase.assertEqual = lambda *a: None", WRONG_NEXT),
    ("from collections import Counter\nCounter.__eq__ = lambda a, b: True",
     ("from collections import Counter\ndef f(x): return Counter('b')",
      "from collections import Counter\nassert f(1) == Counter('a')")),
    ("import sys\nsys.stdout.close()", ("def f(x): return 0", "print('x')\nassert f(1) == 1")),
    ("import string\nstring.digits = ''", ("def f(x): return ''", "import string\nassert string.digits == f(1)")),
    ("import math\nmath.isclose = lambda *a: True",
     ("def f(x): return 5", "import math\nassert math.isclose(f(1), 1)")),
    ("from collections.abc import Sequence\nSequence.register(int)",
     ("def f(x): return 1", "from collections.abc import Sequence\nassert isinstance(f(1), Sequence)")),
    ("class R:\n    def __del__(self):\n        for i in range(50): f([i])\nr = R()\nr.me = r",
     ("def f(x): return 0", "for i in range(300): f([i])\nassert f(1) == 1")),
])
def test_tests_leave_nothing_to_the_next(tests, then):
    honest = "def f(x): return 1"
    first = Program(honest, f"{tests}\nassert f(1) == 1")
    last = Program(honest, "for i in range(300): assert f([i]) == 1")
    found = list(run_programs([first, Program(*then), last], Limits(seconds=10), workers=1))
    assert found[0].status in (PASSED, UNSUPPORTED) and [v.status for v in found[1:]] == [FAILED, PASSED], found


def test_the_verifier_lets_go_of_what_it_made():
    pool = execution_workers._Pool(Limits(seconds=10, memory_mb=1024), 1, 1)
    tests = "x = f(1)\nassert len(x) == 40 << 20"
    for i in range(12):
        job = execution_workers._job(pool.limits, f"def f(x): return 'x' * (40 << 20)  # {i}", tests)
        pool.waiting[0].append((i, job))
    ended = []
    try:
        while len(ended) < 12: ended += pool.step()
        verifier = max(int(line.split()[1]) for line in peaks_of(pool.workers[0].process.watcher.pid))
    finally: pool.end()
    assert {answer["status"] for _, answer in ended} == {PASSED} and verifier < 600 << 10  # kB


@pytest.mark.parametrize("forge", [
    "import observe\nobserve.canonical = lambda *a, **k: '42'", "import observe\nobserve.shortened = lambda *a: '42'",
    "import examiner\nexaminer.output = lambda *a: '42'", "import codec\ncodec.canonical = lambda *a: '42'",
])
def test_a_program_does_not_write_its_own_fingerprint(forge):
    honest = "def f(x: int): return x + 1"
    forged = f"{forge}\n{honest}", f"{forge}\ndef f(x: int): return x + 2"
    one, other, plain = behaviours([(code, "f") for code in (*forged, honest)], runner=Runner(workers=1))
    assert one.fingerprint == plain.fingerprint != other.fingerprint


def test_what_is_no_data_has_no_fingerprint():
    "Two functions that give different objects are not alike."
    made = [(f"class A:\n    v = {v}\ndef f(x: int): return A()", "f") for v in (1, 2)]
    one, other = behaviours(made, runner=Runner(workers=1))
    assert one.fingerprint is None and one.outputs[0] == "<A>"
    endless, others = behaviours(
        [(f"import itertools\ndef f(x: int): return itertools.count({v})", "f") for v in (1, 2)],
        runner=Runner(workers=1),
    )
    assert endless.fingerprint and endless.fingerprint != others.fingerprint


def test_a_verdict_is_the_same_whatever_was_verified_before():
    "Tests are read once and kept, 16 texts of them: what is changed in one copy must not be missed in another."
    program = "class A: pass\nclass B: pass\ndef a(): return A()\ndef b(): return B()"
    context = "def same(a, b): return type(a) is type(b)\n"
    last = Program(program, "assert same(a(), b())", context=context)
    before = [Program("raise ValueError", f"assert f({i}) == 1", context=context) for i in range(20)]
    *_, after = run_programs([*before, last], workers=1)
    assert after.status == "unsupported" == next(run_programs([last], workers=1)).status


@pytest.mark.parametrize("program, tests, data, status", [
    ("def f(d): return len(d)", "assert f(DATA) == len(DATA)", "1," * (6 << 20), "unsupported"),
    ("def f(): return 'error' * (15 << 20)", "assert f() == 1", "", "unsupported"),
    ("def f(x): return x", "x = 1\nfor _ in range(180): x = frozenset([x])\nassert f(x) == x", "", "unsupported"),
])
def test_large_and_deep_things_are_no_crash(program, tests, data, status):
    assert next(run_programs([Program(program, tests, data=data)], Limits(seconds=20), workers=1)).status == status


def test_values_cost_the_caller_little():
    code = (
        "def f(): return [{8, 9, 10, 11, 12, 13} for _ in range(20000)]\n"
        "def g():\n"
        "    x = 0\n"
        "    for _ in range(190): x = (x,)\n"
        "    return x"
    )
    began = time.monotonic()
    sets, deep = run_programs([Program(code, call=call_of(name)) for name in "fg"], Limits(seconds=20), workers=1)
    assert sets.passed and len(sets.value) == 20000 and time.monotonic() - began < 15
    def below(depth):
        return below(depth - 1) if depth else next(run_programs([Program(code, call=call_of("g"))], workers=1))
    assert deep.status in ("passed", "unsupported") and below(100).status in ("passed", "unsupported")
