"Harmless programs, some of them unusual, all of which must pass."
from .kit import PASSED, bare


def fine(name, code, tests, **more):
    return bare(name, code, tests, (PASSED,), kind="honest", **{"seconds": 20.0, **more})


HONEST = [
    fine("plain", "def f(x): return x * x", "assert f(3) == 9"),
    fine(
        "several_functions",
        "def half(x): return x / 2\ndef f(x): return half(x) + 1\ndef g(): return [f(i) for i in range(3)]",
        "assert g() == [1.0, 1.5, 2.0] and f(4) == 3.0",
    ),
    fine(
        "defaults_and_keywords", "def f(a, b=2, *rest, c, d=4, **more): return (a, b, rest, c, d, more)",
        "assert f(1, c=3) == (1, 2, (), 3, 4, {})\n"
        "assert f(1, 5, 6, 7, c=3, d=8, e=9) == (1, 5, (6, 7), 3, 8, {'e': 9})",
    ),
    fine(
        "check_function", "def f(x): return x + 1",
        "def check(candidate):\n"
        "    assert candidate(1) == 2\n"
        "    for i in range(5): assert candidate(i) == i + 1\n"
        "check(f)",
    ),
    fine(
        "helper_in_context", "def decode(s): return ''.join(chr(ord(c) - 1) for c in s)",
        "for s in ('abc', '', 'xyz'): assert decode(encode(s)) == s",
        context="def encode(s): return ''.join(chr(ord(c) + 1) for c in s)",
    ),
    fine(
        "expected_error", "def f(x):\n    if x < 0: raise ValueError('negative: -1')\n    return x",
        "try: f(-1)\nexcept ValueError as error: assert 'negative' in str(error)\nelse: assert False\nassert f(2) == 2",
    ),
    fine(
        "expected_builtin_errors",
        "def f(x): return {'a': 1}[x] if isinstance(x, str) else [1, 2][x] if x != 7 else x / 0",
        "for x, kind in (('b', KeyError), (5, IndexError), (7, ZeroDivisionError), (None, TypeError)):\n"
        "    try: f(x)\n"
        "    except kind: continue\n"
        "    assert False, x",
    ),
    fine(
        "expected_own_error", "class Odd(ValueError): pass\ndef f(x):\n    if x % 2: raise Odd('odd')\n    return x",
        "try: f(3)\nexcept ValueError as error: assert 'odd' in str(error)\nelse: assert False",
    ),
    fine(
        "state_between_calls", "count = 0\ndef f():\n    global count\n    count += 1\n    return count",
        "assert [f(), f(), f()] == [1, 2, 3]",
    ),
    fine(
        "closure",
        "def maker():\n    seen = []\n    def add(x): seen.append(x); return sum(seen)\n    return add\nf = maker()",
        "assert f(1) == 1 and f(2) == 3",
    ),
    fine("callable_object", "class F:\n    def __call__(self, x): return x * 2\nf = F()", "assert f(4) == 8"),
    fine(
        "lambda_and_partial", "from functools import partial\nf = lambda x: x + 1\ng = partial(pow, 2)",
        "assert f(1) == 2 and g(5) == 32",
    ),
    fine(
        "cache",
        "from functools import cache, lru_cache\n"
        "@cache\n"
        "def f(n): return n if n < 2 else f(n - 1) + f(n - 2)\n"
        "@lru_cache(maxsize=None)\n"
        "def g(x): return x",
        "assert f(90) == 2880067194370816120 and g((1, 2)) == (1, 2)",
    ),
    fine(
        "dataclass_inside",
        "from dataclasses import dataclass, field\n"
        "@dataclass(order=True)\n"
        "class P:\n"
        "    x: int\n"
        "    y: list = field(default_factory=list)\n"
        "def f(x): return sorted([P(x), P(1)])[0].x",
        "assert f(5) == 1",
    ),
    fine(
        "enumeration_result",
        "from enum import Enum, IntEnum\nclass Colour(IntEnum):\n    RED = 1\ndef f(): return Colour.RED",
        "assert f() == 1",
    ),
    fine("int_subclass_result", "class I(int): pass\ndef f(x): return I(x * x)", "assert f(3) == 9"),
    fine(
        "counter_and_named_tuple",
        "from collections import Counter, OrderedDict, defaultdict, namedtuple\n"
        "P = namedtuple('P', 'x y')\n"
        "def f(s): return Counter(s)\n"
        "def g(): return P(1, 2)\n"
        "def h(): return defaultdict(list, a=[1]), OrderedDict(b=2)",
        "assert f('aab') == {'a': 2, 'b': 1} and g() == (1, 2) and h() == ({'a': [1]}, {'b': 2})",
    ),
    fine(
        "kinds_are_kept", "def f(x): return x",
        """
        import datetime as d
        from collections import deque
        from decimal import Decimal
        from fractions import Fraction
        for value in [None, True, False, 0, -1, 1.5, 'text', b'\\0\\xff', [], [1, [2]], (), (1,), ((1, 2), [3]), {},
                      {'a': 1}, {1: 'a', '1': 'b'}, {(1, 2): {3}}, set(), {1, 'a', (2,)}, frozenset([1]), 2 - 3j,
                      range(1, 10, 3), deque([1, 2], maxlen=3), Decimal('1.50'), Fraction(2, 6), d.date(2024, 2, 29),
                      d.datetime(2024, 2, 29, 1, 2, 3, 4), d.time(1, 2, 3), d.timedelta(days=-1, seconds=5)]:
            got = f(value)
            assert type(got) is type(value) and got == value and repr(got) == repr(value), (got, value)""",
    ),
    fine(
        "true_is_not_one", "def f(x): return [True, 1, 1.0, False, 0, 0.0, -0.0]",
        "assert repr(f(1)) == '[True, 1, 1.0, False, 0, 0.0, -0.0]'",
    ),
    fine(
        "tuples_and_lists", "def f(x): return [(1, [2, (3,)]), {'k': ((), [])}]",
        "assert f(1) == [(1, [2, (3,)]), {'k': ((), [])}] and type(f(1)[0]) is tuple",
    ),
    fine(
        "dictionaries_like_tags", "def f(x): return x",
        "for t in ['tuple', 't', 'set', 'dict', 'bytes', 'b', 'complex', 'range', 'int', 'float', '$', '!', '', "
        "'__type__', 'type', 'value', 'Decimal']:\n"
        "    for p in ([1, 2], 'ab', 5, None, [[1, 2]]): assert f({t: p}) == {t: p} "
        "and f([{t: p, 'x': 1}]) == [{t: p, 'x': 1}]",
    ),
    fine(
        "order_of_keys", "def f(x): return {k: i for i, k in enumerate(x)}",
        "assert list(f('zyxw')) == list('zyxw') and list(f([3, 1, 2])) == [3, 1, 2]",
    ),
    fine(
        "half_characters", "def f(s): return s[::-1]",
        "for s in ('\\ud800', 'a\\udcffb', 'naïve \\U0001f600 \\x00 \\u2028', 'é' * 1000): assert f(s) == s[::-1]",
    ),
    fine(
        "big_numbers", "def f(x): return x",
        "for x in (2 ** 63, -2 ** 64, 10 ** 400, 3 ** 20_000, 1e308, 5e-324, 0.1 + 0.2, 123456789.123456789): "
        "assert f(x) == x and type(f(x)) is type(x)",
    ),
    fine(
        "not_numbers", "def f(x): return [x, float('inf'), -float('inf')]",
        "import math\n"
        "got = f(float('nan'))\n"
        "assert math.isnan(got[0]) and got[1:] == [math.inf, -math.inf] and f(math.inf)[0] == math.inf",
    ),
    fine(
        "nested_deep_enough", "def f(n):\n    r = []\n    for _ in range(n): r = [r]\n    return r",
        "r, d = f(60), 0\nwhile r: r, d = r[0], d + 1\nassert d == 60",
    ),
    fine(
        "long_result", "def f(n): return list(range(n)), 'é' * n",
        "assert f(50_000) == (list(range(50_000)), 'é' * 50_000)",
    ),
    fine("thousand_calls", "def f(x): return x * x", "for i in range(1000): assert f(i) == i * i"),
    fine(
        "calls_in_calls", "def f(x): return x + 1",
        "assert f(f(f(1))) == 4 and list(map(f, map(f, range(3)))) == [2, 3, 4] "
        "and sorted([3, 1, 2], key=f) == [1, 2, 3]",
    ),
    fine(
        "generator_inside",
        "def gen(n):\n    for i in range(n): yield i * i\ndef f(n): return list(gen(n)), sum(gen(n)), next(gen(1))",
        "assert f(4) == ([0, 1, 4, 9], 14, 0)",
    ),
    fine(
        "deep_recursion", "import sys\nsys.setrecursionlimit(60_000)\ndef f(n): return n and 1 + f(n - 1)",
        "assert f(40_000) == 40_000",
    ),
    fine(
        "deep_recursion_in_thread",
        "import sys, threading\n"
        "sys.setrecursionlimit(60_000)\n"
        "threading.stack_size(256 << 20)\n"
        "def dig(n): return n and 1 + dig(n - 1)\n"
        "def f(n):\n"
        "    out = []\n"
        "    t = threading.Thread(target=lambda: out.append(dig(n)))\n"
        "    t.start(); t.join()\n"
        "    return out[0]",
        "assert f(40_000) == 40_000",
    ),
    fine(
        "recursion_error_caught", "def f(n):\n    try: return f(n + 1)\n    except RecursionError: return 'deep'",
        "assert f(0) == 'deep'",
    ),
    fine(
        "memory_error_caught",
        "def f(n):\n    try: return bytearray(1 << 50)\n    except (MemoryError, OverflowError): return 'big'",
        "assert f(0) == 'big'",
    ),
    fine("three_hundred_megabytes", "def f(n): return len(bytearray(n << 20))", "assert f(300) == 300 << 20"),
    fine(
        "threads_left_running",
        "import threading, time\n"
        "def f(x):\n"
        "    for _ in range(3): threading.Thread(target=time.sleep, args=(60,)).start()\n"
        "    return x * x",
        "assert f(3) == 9",
    ),
    fine(
        "thread_pool",
        "from concurrent.futures import ThreadPoolExecutor\n"
        "def f(n):\n"
        "    with ThreadPoolExecutor(4) as pool: return list(pool.map(lambda x: x * x, range(n)))",
        "assert f(50) == [x * x for x in range(50)]",
    ),
    fine(
        "thirty_threads",
        "import threading, queue\n"
        "def f(n):\n"
        "    q = queue.Queue()\n"
        "    ts = [threading.Thread(target=q.put, args=(i,)) for i in range(n)]\n"
        "    [t.start() for t in ts]; [t.join() for t in ts]\n"
        "    return sorted(q.get() for _ in range(n))",
        "assert f(30) == list(range(30))",
    ),
    fine(
        "asyncio",
        "import asyncio\n"
        "async def part(x): await asyncio.sleep(0.01); return x * x\n"
        "async def main(n): return await asyncio.gather(*map(part, range(n)))\n"
        "def f(n): return asyncio.run(main(n))",
        "assert f(5) == [0, 1, 4, 9, 16]\nassert f(2) == [0, 1]",
    ),
    fine(
        "asyncio_in_thread",
        "import asyncio\n"
        "async def main(): return await asyncio.to_thread(sum, [1, 2])\n"
        "def f(): return asyncio.run(main())",
        "assert f() == 3",
    ),
    fine("main_guard", "import sys\ndef f(x): return x\nif __name__ == '__main__': sys.exit(3)", "assert f(1) == 1"),
    fine(
        "prints_a_lot",
        "print('at import')\ndef f(x):\n    for i in range(2000): print('line', i, 'é', '\\udc80')\n    return x",
        "assert f(1) == 1",
    ),
    fine(
        "writes_bytes_out",
        "import os, sys\n"
        "def f(x): sys.stdout.buffer.write(b'\\xff\\0'); sys.stderr.write('e'); os.write(1, b'\\xfe raw'); return x",
        "assert f(1) == 1",
    ),
    fine(
        "closes_or_replaces_output",
        "import contextlib, io, sys\n"
        "def f(x):\n"
        "    with contextlib.redirect_stdout(io.StringIO()) as out: print('hidden')\n"
        "    sys.stdout = None\n"
        "    print('x')\n"
        "    return out.getvalue()",
        "assert f(1) == 'hidden\\n'",
    ),
    fine(
        "empty_input",
        "import sys\n"
        "def f(): return sys.stdin.read()\n"
        "def g():\n"
        "    try: return input('?')\n"
        "    except EOFError: return 'end'",
        "assert f() == '' and g() == 'end'",
    ),
    fine(
        "signals_itself",
        "import signal\n"
        "got = []\n"
        "signal.signal(signal.SIGUSR1, lambda s, frame: got.append(s))\n"
        "def f(): signal.raise_signal(signal.SIGUSR1); return len(got)",
        "assert f() == 1",
    ),
    fine(
        "alarm",
        "import signal, time\n"
        "def ring(*a): raise TimeoutError\n"
        "def f():\n"
        "    signal.signal(signal.SIGALRM, ring)\n"
        "    signal.setitimer(signal.ITIMER_REAL, 0.05)\n"
        "    try: time.sleep(5)\n"
        "    except TimeoutError: return 'rang'",
        "assert f() == 'rang'",
    ),
    fine(
        "sleeps_and_clocks",
        "import time, datetime\n"
        "def f():\n"
        "    a = time.perf_counter()\n"
        "    time.sleep(0.05)\n"
        "    return time.perf_counter() - a >= 0.05, datetime.datetime.now().year > 2020",
        "assert f() == (True, True)",
    ),
    fine(
        "library",
        "import abc, argparse, array, base64, bisect, calendar, cmath, collections, contextlib, copy, csv, ctypes, "
        "datetime, decimal, difflib, enum, fractions, functools, gzip, hashlib, heapq, html, io, itertools, json, "
        "logging, lzma, math, operator, os, pathlib, pickle, pprint, queue, random, re, secrets, shutil, socket, "
        "sqlite3, ssl, statistics, string, struct, subprocess, tempfile, textwrap, threading, time, timeit, tomllib, "
        "traceback, types, typing, unittest, urllib.parse, uuid, weakref, xml.etree.ElementTree, zipfile, zlib, "
        "zoneinfo\n"
        "def f(): return len(hashlib.sha256(b'x').hexdigest())",
        "assert f() == 64",
    ),
    fine(
        "database_in_memory",
        "import sqlite3\n"
        "def f():\n"
        "    with sqlite3.connect(':memory:') as db:\n"
        "        db.execute('create table t (a)'); db.executemany('insert into t values (?)', [(1,), (2,)])\n"
        "        return db.execute('select sum(a) from t').fetchone()",
        "assert f() == (3,)",
    ),
    fine(
        "xml_and_compression",
        "import lzma, zlib, bz2, xml.etree.ElementTree as E\n"
        "def f(s): return [m.decompress(m.compress(s)) for m in (lzma, zlib, bz2)], "
        "E.fromstring('<a><b>1</b></a>').find('b').text",
        "assert f(b'abc' * 99) == ([b'abc' * 99] * 3, '1')",
    ),
    fine(
        "unit_tests_inside",
        "import unittest\n"
        "class T(unittest.TestCase):\n"
        "    def test(self): self.assertEqual(1, 1)\n"
        "def f():\n"
        "    return unittest.TextTestRunner(verbosity=0).run("
        "unittest.defaultTestLoader.loadTestsFromTestCase(T)).testsRun",
        "assert f() == 1",
    ),
    fine(
        "decimal_precision",
        "from decimal import Decimal, getcontext\n"
        "from fractions import Fraction\n"
        "getcontext().prec = 50\n"
        "def f(): return Decimal(1) / 7, Fraction(1, 3) + 1",
        "from decimal import Decimal\n"
        "from fractions import Fraction\n"
        "assert f() == (Decimal('0.14285714285714285714285714285714285714285714285714'), Fraction(4, 3))",
    ),
    fine(
        "random_with_seed",
        "import random\ndef f():\n    random.seed(1)\n    a = [random.random() for _ in range(5)]\n    random.seed(1)\n"
        "    return a == [random.random() for _ in range(5)], random.SystemRandom().random() < 1",
        "assert f() == (True, True)",
    ),
    fine(
        "names_like_builtins", "def sum(xs): return 'own sum'\ndef f(xs): return sum(xs)",
        "assert f([1, 2]) == 'own sum' and sum([1, 2]) == 3",
    ),
    fine(
        "future_and_typing",
        "from __future__ import annotations\n"
        "from typing import *\n"
        "T = TypeVar('T')\n"
        "class Stack(Generic[T]):\n"
        "    def __init__(self) -> None: self.items: List[T] = []\n"
        "def f(x: Optional[Undefined]) -> list[T]: return [x]",
        "assert f(1) == [1]",
    ),
    fine(
        "match_and_walrus",
        "def f(x):\n"
        "    match x:\n"
        "        case [a, *rest] if (n := len(rest)): return a, n\n"
        "        case {'k': v}: return v\n"
        "        case _: return None",
        "assert f([1, 2, 3]) == (1, 2) and f({'k': 5}) == 5 and f(0) is None",
    ),
    fine(
        "pickle_of_own_class",
        "import copy, pickle\n"
        "class P:\n"
        "    def __init__(self, x): self.x = x\n"
        "def f(x): return pickle.loads(pickle.dumps(P(x))).x + copy.deepcopy(P(x)).x",
        "assert f(2) == 4",
    ),
    fine(
        "source_of_itself",
        "import inspect, sys\n"
        "def f(x, y=1): return list(inspect.signature(f).parameters), sys._getframe().f_code.co_name, "
        "f.__module__ in sys.modules",
        "assert f(1) == (['x', 'y'], 'f', True)",
    ),
    fine(
        "weak_references_and_gc",
        "import gc, weakref\n"
        "class A: pass\n"
        "def f():\n"
        "    a = A(); a.me = a; r = weakref.ref(a)\n"
        "    del a\n"
        "    gc.collect()\n"
        "    return r() is None",
        "assert f() is True",
    ),
    fine(
        "logging_and_warnings",
        "import logging, warnings\n"
        "def f(): logging.warning('careful'); warnings.warn('old'); logging.getLogger(__name__).error('x'); return 1",
        "assert f() == 1",
    ),
    fine(
        "long_program", "table = [\n" + "    (1, 'row', 2.5),\n" * 20_000 + "]\ndef f(): return len(table)",
        "assert f() == 20_000",
    ),
    fine("windows_line_ends", "def f(x):\r\n    return x\r\n", "assert f(1) == 1"),
    fine(
        "tests_of_a_model", "def f(x): return x * x",
        "import math, random\n"
        "for _ in range(20):\n"
        "    x = random.randrange(99)\n"
        "    assert f(x) == x * x == math.prod([x, x])\n"
        "print('done')",
        trusted=False,
    ),
    fine(
        "reads_the_library",
        "import os\ndef f(): return len(open(os.__file__).read()) > 1000 and os.path.exists('/usr')",
        "assert f() is True",
    ),
    *(
        fine(
            f"finds_empty_folder_{i}",
            f"import os, json, re, random, struct\ndef f(): return os.listdir('.')  # {i}",
            "assert f() == []",
            profile="files",
        )
        for i in range(6)
    ),
    fine(
        "files_and_folders",
        """
        import json, os, pathlib, shutil, tempfile
        def f(n):
            pathlib.Path('a/b').mkdir(parents=True)
            pathlib.Path('a/b/c.txt').write_text('x' * n)
            os.rename('a/b/c.txt', 'a/d.txt'); shutil.copy('a/d.txt', 'e.txt'); os.remove('a/d.txt'); shutil.rmtree('a')
            with tempfile.TemporaryDirectory() as t, tempfile.NamedTemporaryFile('w+') as h:
                json.dump([1], h); h.seek(0)
                return os.listdir('.'), os.path.getsize('e.txt'), json.load(h), os.path.isdir(t)""",
        "assert f(10)[1:] == (10, [1], True) and f(5)[1] == 5",
        profile="files",
    ),
    fine(
        "database_in_folder",
        "import sqlite3\n"
        "def f():\n"
        "    with sqlite3.connect('own.db') as db:\n"
        "        db.execute('create table t (a)'); db.execute('insert into t values (1)')\n"
        "    return sqlite3.connect('own.db').execute('select * from t').fetchall()",
        "assert f() == [(1,)]",
        profile="files",
    ),
    fine(
        "forty_megabytes_of_files",
        "import os\n"
        "def f():\n"
        "    for i in range(10): open(f'{i}', 'wb').write(bytes(4 << 20))\n"
        "    return sum(os.path.getsize(p) for p in os.listdir('.') if p.isdigit())",
        "assert f() == 40 << 20", profile="files",
    ),
]
