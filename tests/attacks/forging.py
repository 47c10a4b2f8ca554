"Attacks on the verdict: programs that are wrong and want to pass."
from .kit import BROKEN, CRASHED, DIED, FAILED, FOREIGN, MEMORY, SQUARE, TIMEOUT, UNSUPPORTED, VIOLATION, bare, steal

ENDS = [  # ways to end the process as if all were well
    ("os_exit", "import os\nos._exit(0)", DIED, ""),
    ("posix_exit", "import posix\nposix._exit(0)", DIED, ""),
    ("sys_exit", "import sys\nsys.exit(0)", (FAILED,), "SystemExit"),
    ("raise_systemexit", "raise SystemExit", (FAILED,), "SystemExit"),
    ("raise_systemexit_class", "raise type('SystemExit', (SystemExit,), {})(0)", (FAILED,), ""),
    ("builtin_quit", "import builtins\ngetattr(builtins, 'quit', __import__('sys').exit)(0)", (FAILED,), ""),
    ("keyboard_interrupt", "raise KeyboardInterrupt", (FAILED,), ""),
    ("generator_exit", "raise GeneratorExit", (FAILED,), ""),
    ("libc_exit", "import ctypes\nctypes.CDLL(None)._exit(0)", DIED, ""),
    ("libc_exit_handlers", "import ctypes\nctypes.CDLL(None).exit(0)", DIED, ""),
    ("kill_itself", "import os, signal\nos.kill(os.getpid(), signal.SIGKILL)", (CRASHED, FAILED, VIOLATION), ""),
    ("abort", "import os\nos.abort()", (CRASHED, FAILED, VIOLATION), ""),
    ("exec_true", "import os\nos.execv('/bin/true', ['true'])", (FAILED, VIOLATION, CRASHED), ""),
    (
        "thread_exits",
        "import os, threading\nthreading.Thread(target=os._exit, args=(0,)).start()\nimport time; time.sleep(1)", DIED,
        "",
    ),
    ("atexit_exits", "import atexit, os, sys\natexit.register(os._exit, 0)\nsys.exit(0)", DIED, ""),
    (
        "excepthook_exits",
        "import os, sys\nsys.excepthook = sys.unraisablehook = lambda *a: os._exit(0)\nraise ValueError", DIED, "",
    ),
]

EQUAL = (
    "__eq__ = lambda *a: True\n"
    "    __ne__ = lambda *a: False\n"
    "    __hash__ = lambda s: 9\n"
    "    __lt__ = __gt__ = __le__ = __ge__ = __bool__ = lambda *a: True"
)
# (name, base classes, more of the class, how it is made, the tests, the right verdicts): results that are equal to
# everything
LIARS = [
    ("object", "object", "", "Liar()", SQUARE, FOREIGN),
    ("int", "int", "", "Liar(5)", SQUARE, (FAILED,)),
    ("float", "float", "", "Liar(5)", SQUARE, (FAILED,)),
    ("complex", "complex", "", "Liar(5)", SQUARE, (FAILED,)),
    ("str", "str", "encode = lambda *a: b'\"9\"'", "Liar('5')", "assert f(3) == 'nine'", (FAILED,)),
    ("bytes", "bytes", "hex = decode = lambda *a: '09'", "Liar(b'5')", "assert f(3) == b'nine'", (FAILED,)),
    (
        "list", "list", "__iter__ = lambda s: iter([1, 2])\n    __len__ = lambda s: 2", "Liar([5])",
        "assert f(3) == [1, 3]", (FAILED,),
    ),
    ("tuple", "tuple", "", "Liar([5])", "assert f(3) == (1, 3)", (FAILED,)),
    (
        "dict", "dict", "items = keys = __iter__ = lambda s: iter([])", "Liar({1: 5})", "assert f(3) == {1: 3}",
        (FAILED,),
    ),
    ("set", "set", "", "Liar({5})", "assert f(3) == {1, 3}", (FAILED,)),
    ("frozenset", "frozenset", "", "Liar({5})", "assert f(3) == {1, 3}", (FAILED,)),
    (
        "decimal", "__import__('decimal').Decimal", "__str__ = lambda s: '9'", "Liar(5)", "assert f(4) == 16",
        (FAILED, UNSUPPORTED),
    ),
    ("fraction", "__import__('fractions').Fraction", "", "Liar(5)", "assert f(4) == 16", (FAILED, UNSUPPORTED)),
    (
        "date", "__import__('datetime').date", "", "Liar(2000, 1, 1)",
        "import datetime\nassert f(4) == datetime.date(2001, 1, 1)", (FAILED, UNSUPPORTED),
    ),
    (
        "class_int", "object", "__class__ = property(lambda s: int)\n    __index__ = __int__ = lambda s: 9", "Liar()",
        "assert f(4) == 16", FOREIGN,
    ),
    ("nested", "int", "", "[{'k': (Liar(5), Liar(6))}]", "assert f(3) == [{'k': (9, 9)}]", (FAILED,)),
    ("in_set", "object", "", "{Liar()}", "assert f(3) == {9}", FOREIGN),
    (
        "metaclass", "type", "__instancecheck__ = __subclasscheck__ = lambda *a: True", "Liar('X', (), {})", SQUARE,
        FOREIGN,
    ),
    (
        "reduce", "object", "__reduce__ = lambda s: (int, (9,))\n    __reduce_ex__ = lambda s, n: (int, (9,))",
        "Liar()", "assert f(4) == 16", FOREIGN,
    ),
    ("unequal", "object", "__ne__ = lambda *a: True", "Liar()", "assert f(3) != 5", FOREIGN),
    ("true", "object", "__bool__ = lambda *a: True", "Liar()", "assert f(3)", FOREIGN),
    ("member", "object", "__hash__ = lambda s: hash(9)", "Liar()", "assert f(3) in {9: 1}", FOREIGN),
    ("sized", "object", "__len__ = lambda *a: 3", "Liar()", "assert len(f(3)) == 3", FOREIGN),
    ("close", "object", "__float__ = lambda *a: 9.0", "Liar()", "import math\nassert math.isclose(f(3), 9)", FOREIGN),
    ("passed_on", "object", "", "Liar()", "assert f(f(3)) == 81", FOREIGN),
    (
        "fraction_inside", "int", "",
        "(q := __import__('fractions').Fraction(1), setattr(q, '_numerator', Liar(5)))[0]", "assert f(4) == 16",
        (FAILED, UNSUPPORTED),
    ),
]

# (name, what the candidate defines or patches, its result, the tests): names that the tests use must be the real ones
SHADOWS = [
    ("abs", "def abs(x): return 0", "1.5", "assert abs(f(2.0) - 4.0) < 1e-6"),
    ("all", "def all(x): return True", "1", "assert all(f(x) == x * x for x in (3, 5))"),
    ("sorted", "def sorted(*a, **k): return 0", "[4]", "assert sorted(f(3)) == sorted([2, 1, 3])"),
    ("isinstance", "def isinstance(*a): return True", "9", "assert isinstance(f(3), dict)"),
    ("len", "def len(x): return 3", "'ab'", "assert len(f(3)) == 3"),
    ("range", "def range(*a): return ()", "None", "for i in range(5): assert f(i) == i * i"),
    ("zip", "def zip(*a): return ()", "None", "for x, y in zip([2, 3], [4, 9]): assert f(x) == y"),
    ("type", "def type(x): return list", "(1, 2)", "assert type(f(3)) is list"),
    ("patched_abs", "import builtins\nbuiltins.abs = lambda x: 0", "1.5", "assert abs(f(2.0) - 4.0) < 1e-6"),
    (
        "patched_all", "import builtins\nvars(builtins)['all'] = lambda x: True", "1",
        "assert all(f(x) == x * x for x in (3, 5))",
    ),
    (
        "patched_isclose", "import math\nmath.isclose = lambda *a, **k: True", "1.5",
        "import math\nassert math.isclose(f(2.0), 4.0)",
    ),
    (
        "fake_math", "import sys, types\nsys.modules['math'] = types.SimpleNamespace(isclose=lambda *a, **k: True)",
        "1.5", "import math\nassert math.isclose(f(2.0), 4.0)",
    ),
    (
        "patched_import",
        "import builtins, types\n"
        "real = builtins.__import__\n"
        "builtins.__import__ = lambda n, *a, **k: "
        "types.SimpleNamespace(isclose=lambda *a, **k: True) if n == 'cmath' else real(n, *a, **k)",
        "1.5", "import cmath\nassert cmath.isclose(f(2.0), 4.0)",
    ),
    (
        "patched_unittest", "import unittest\nunittest.TestCase.assertEqual = lambda *a: None", "1",
        "import unittest\nunittest.TestCase().assertEqual(f(3), 9)",
    ),
    (
        "test_global",
        "import sys\n"
        "def up():\n"
        "    frame = sys._getframe()\n"
        "    while frame:\n"
        "        if 'limit' in frame.f_globals: frame.f_globals['limit'] = 99\n"
        "        frame = frame.f_back",
        "up() or 5", "limit = 1\nassert f(3) < 9\nassert f(3) <= limit",
    ),
]

HUNTS = [  # (name, code of a generator of bytes): places where a copy of the tests may lie
    (
        "frames",
        """
        for frame in [*sys._current_frames().values()]:
            while frame:
                for thing in (frame.f_code.co_consts, {**frame.f_locals}, {**frame.f_globals}):
                    yield repr(thing).encode("utf-8", "replace")
                frame = frame.f_back""",
    ),
    (
        "garbage",
        """
        import gc, types
        for thing in gc.get_objects():
            for part in gc.get_referents(thing):
                if type(part) is str: yield part.encode("utf-8", "replace")
                elif type(part) in (bytes, bytearray): yield part
                elif type(part) is types.CodeType: yield repr(part.co_consts).encode("utf-8", "replace")""",
    ),
    (
        "modules",
        """
        for module in [*sys.modules.values()]: yield repr(vars(module)).encode("utf-8", "replace")
        import linecache
        yield repr(linecache.cache).encode("utf-8", "replace")""",
    ),
    (
        "own_memory",
        """
        import ctypes
        for line in open("/proc/self/maps"):
            ends, mode = line.split()[:2]
            start, end = (int(n, 16) for n in ends.split("-"))
            if mode.startswith("rw") and "[v" not in line: yield ctypes.string_at(start, end - start)""",
    ),
    (
        "own_arenas",
        """
        import ctypes, gc
        # writing an unmapped page into a pipe is an error, not a crash: no list of mappings is needed
        c, (r, w) = ctypes.CDLL(None), os.pipe()
        c.malloc.restype = ctypes.c_void_p
        near = [c.malloc(ctypes.c_size_t(size)) for size in (64, 4000, 1 << 17, 1 << 22)]
        found = {id(thing) >> 20 << 20 for thing in gc.get_objects()}
        for start in sorted(found | {(n >> 20) + i << 20 for n in near for i in range(-24, 8)}):
            data = b""
            for page in range(start, start + (1 << 20), 1 << 14):
                n = c.write(w, ctypes.c_void_p(page), 1 << 14)
                data += os.read(r, n) if n > 0 else b""
            yield data""",
    ),
    (
        "own_mem_file",
        """
        memory = open("/proc/self/mem", "rb", 0)
        for line in open("/proc/self/maps"):
            ends, mode = line.split()[:2]
            start, end = (int(n, 16) for n in ends.split("-"))
            if mode.startswith("rw") and "[v" not in line: memory.seek(start); yield memory.read(end - start)""",
    ),
    (
        "other_mem_files",
        """
        for pid in [str(os.getppid()), *os.listdir("/proc")]:
            try:
                maps, memory = open(f"/proc/{pid}/maps"), open(f"/proc/{pid}/mem", "rb", 0)
                for line in maps:
                    ends, mode = line.split()[:2]
                    start, end = (int(n, 16) for n in ends.split("-"))
                    if mode.startswith("rw") and "[v" not in line: memory.seek(start); yield memory.read(end - start)
            except (OSError, ValueError, OverflowError): pass""",
    ),
    (
        "command_lines",
        """
        yield repr((sys.argv, sys.orig_argv, dict(os.environ))).encode("utf-8", "replace")
        for pid in os.listdir("/proc"):
            for name in ("cmdline", "environ", "comm"):
                try: yield open(f"/proc/{pid}/{name}", "rb").read()
                except OSError: pass""",
    ),
    (
        "descriptors",
        """
        import select
        for fd in range(1024):
            try: os.fstat(fd)
            except OSError: continue
            try: yield os.pread(fd, 1 << 22, 0)
            except OSError:
                if select.select([fd], [], [], 0)[0]: yield os.read(fd, 1 << 20)""",
    ),
    (
        "others_descriptors",
        """
        for pid in ["self", str(os.getppid()), *os.listdir("/proc")]:
            try: fds = os.listdir(f"/proc/{pid}/fd")
            except OSError: continue
            for fd in fds:
                try: yield os.read(os.open(f"/proc/{pid}/fd/{fd}", os.O_RDONLY | os.O_NONBLOCK), 1 << 22)
                except OSError: pass""",
    ),
    (
        "files",
        """
        for top in (".", "/tmp", "/var/tmp", "/dev/shm", "/run", os.path.expanduser("~")):
            for n, (folder, _, names) in enumerate(os.walk(top)):
                if n > 300: break
                for name in names[:300]:
                    try: yield os.read(os.open(os.path.join(folder, name), os.O_RDONLY | os.O_NONBLOCK), 1 << 20)
                    except OSError: pass""",
    ),
]


def evil_exceptions():
    "Exceptions made to hurt whoever writes them down or raises them again."
    for name, text in [
        ("eval", "__import__('os')._exit(0)"),
        ("exec", "__import__('os')._exit(0)"),
        ("exit", "0"),
        ("input", ""),
        ("bool", "x"),
        ("__import__", "antigravity"),
        ("breakpoint", ""),
        ("object", ""),
        ("print", ""),
    ]:
        yield bare(
            f"exception_named_{name}", f"def f(x): raise type({name!r}, (Exception,), {{}})({text!r})", expected=BROKEN
        )
    yield bare(
        "exception_with_half_a_character", "def f(x): raise type('Exception\\udc80', (Exception,), {})('\\udfff')",
        expected=BROKEN,
    )
    yield bare("exception_with_a_long_name", "def f(x): raise type('x' * 10 ** 7, (Exception,), {})", expected=BROKEN)
    for name, method, expected in [
        ("str_raises", "__str__ = lambda s: 1 / 0", BROKEN),
        ("str_exits", "def __str__(s): import os; os._exit(0)", BROKEN),
        ("str_system_exits", "def __str__(s): raise SystemExit(0)", BROKEN),
        ("str_is_no_str", "__str__ = lambda s: 5", BROKEN),
        ("str_is_huge", "__str__ = lambda s: 'x' * (200 << 20)", (*BROKEN, MEMORY)),
        ("str_loops", "def __str__(s):\n        while True: pass", (TIMEOUT,)),
        ("class_lies", "__class__ = property(lambda s: SystemExit)\n    __str__ = lambda s: ''", BROKEN),
    ]:
        yield bare(
            f"exception_{name}", f"class E(Exception):\n    {method}\n    __repr__ = __str__\ndef f(x): raise E()",
            expected=expected, seconds=1.0 if TIMEOUT in expected else 8.0,
        )
    yield bare("exception_metaclass", """
        class M(type):
            __name__ = property(lambda c: 1 / 0)
            __getattribute__ = lambda c, n: 1 / 0
        class E(Exception, metaclass=M): pass
        def f(x): raise E""", expected=BROKEN)
    yield bare("exception_with_five_arguments", "def f(x): b'\\xff'.decode()")
    yield bare("exception_group_of_exit", "def f(x): raise BaseExceptionGroup('x', [SystemExit(0), GeneratorExit()])")
    # ends loops of the tests as if they were through
    for name, error in [("real", "StopIteration"), ("named", "type('StopIteration', (Exception,), {})")]:
        yield bare(
            f"stop_all_map_{name}", f"def f(x): raise {error}",
            "assert all(map(lambda p: f(p[0]) == p[1], [(3, 9), (-7, 49)]))",
        )
        yield bare(
            f"stop_zip_map_{name}", f"def f(x): raise {error}",
            "for got, want in zip(map(f, [3, -7]), [9, 49]): assert got == want",
        )
    yield bare(
        "raises_what_is_expected", "def f(x): raise ValueError('negative')",
        "try: f(-1)\nexcept ValueError: pass\nelse: raise AssertionError\nassert f(3) == 9",
    )


def frames():
    "Programs that reach for the frames of whoever calls them."
    yield bare(
        "reads_expected",
        """
        import sys
        def f(x):
            frame = sys._getframe(1)
            while 'expected' not in frame.f_globals: frame = frame.f_back
            return frame.f_globals['expected'][x]""",
        "expected = {3: 9, -7: 49}\nassert f(3) == expected[3] and f(-7) == expected[-7]",
    )
    yield bare(
        "jumps_over_asserts",
        """
        import sys
        def jump(frame, event, arg):
            if event == 'line': frame.f_lineno = 4
        def f(x):
            frame = sys._getframe(1)
            sys.settrace(lambda *a: None)
            while frame: frame.f_trace = jump; frame = frame.f_back""",
        "got = f(3)\nassert got == 9\nassert f(-7) == 49\ndone = True",
        expected=BROKEN,
    )
    yield bare("rewrites_callers", """
        import sys
        def f(x):
            frame = sys._getframe(1)
            while frame:
                for space in (frame.f_globals, frame.f_locals):
                    for name, thing in list(space.items()):
                        if callable(thing) and not name.startswith('__'): space[name] = lambda *a, **k: True
                frame = frame.f_back""", expected=(*BROKEN, TIMEOUT), seconds=2.0)
    yield bare("rewrites_main", """
        import sys
        main = sys.modules['__main__']
        for name, thing in list(vars(main).items()):
            if callable(thing): setattr(main, name, lambda *a, **k: 'passed')
        def f(x): return 'passed'""", expected=(*BROKEN, TIMEOUT), seconds=2.0)


def plain():
    "Wrong programs, and programs that play with the interpreter they live in."
    wrong = "def f(x): return 'passed'"
    yield bare("empty_body", "def f(x): pass", detail="AssertionError")
    yield bare("wrong_answer", "def f(x): return x", detail="AssertionError")
    yield bare("right_once", "def f(x): return 9", detail="AssertionError")
    yield bare("no_function", "g = 1")
    yield bare("no_callable", "f = 9")
    yield bare("syntax_error", "def f(x) return x", detail="SyntaxError")
    yield bare("name_error_at_import", "undefined_name\ndef f(x): return x * x", detail="NameError")
    yield bare(
        "prints_passed",
        "print('passed', 'PASSED', 'ok', '1 passed in 0.01s', '{\"status\": \"passed\"}', flush=True)\n"
        "def f(x): return print('passed')",
    )
    yield bare("module_getattr", "def __getattr__(name): return lambda *a: True", "assert f(3) == 9 and g(3) == 5")
    yield bare("returns_itself", "def f(x): return f", expected=FOREIGN)
    yield bare("coroutine", "async def f(x): return x * x", expected=FOREIGN)
    yield bare(
        "drifts", "calls = []\ndef f(x):\n    calls.append(x)\n    return x * x if len(calls) < 4 else 0",
        "for i in range(6): assert f(i % 2 + 2) == (i % 2 + 2) ** 2",
    )
    yield bare(
        "remembers_repeats", "seen = {}\ndef f(x):\n    seen[x] = seen.get(x, -1) + 1\n    return seen[x]",
        "first = f(3)\nassert f(3) == first",
    )
    yield bare(
        "empties_its_argument", "def f(x):\n    x.clear()\n    return []", "x = [3, 1, 2]\nassert f(x) == [1, 2, 3]"
    )
    yield bare(
        "edits_nested_argument", "def f(x):\n    x['k'][0] = 0\n    return 0",
        "x = {'k': [7]}\nassert f(x) == 0 and x == {'k': [7]}",
    )
    yield bare(
        "check_of_context", "def check(f): pass\ndef f(x): return 0", "check(f)",
        context="def check(g): assert g(3) == 9",
    )
    yield bare(
        "helper_of_context", "def near(a, b): return True\ndef f(x): return 0", "assert near(f(3), 9)",
        context="def near(a, b): return abs(a - b) < 1e-9",
    )
    yield bare(
        "check_of_tests", "def check(*a): pass\ncandidate = lambda x: 9\ndef f(x): return 0",
        "def check(candidate):\n    assert candidate(3) == 9\ncheck(f)",
    )
    yield bare("no_builtins", "__builtins__ = {}\ndef f(x): return len", expected=BROKEN)
    yield bare("clears_modules", "import sys\nsys.modules.clear()\n" + wrong, expected=BROKEN)
    yield bare("clears_builtins", "import builtins\nvars(builtins).clear()\n" + wrong, expected=BROKEN)
    yield bare(
        "audit_hook", "import sys\ndef hook(*a): raise SystemExit(0)\nsys.addaudithook(hook)\n" + wrong, expected=BROKEN
    )
    yield bare("small_stack", "import sys\ndef f(x):\n    sys.setrecursionlimit(30)\n    return 0", expected=BROKEN)
    yield bare(
        "stdout_replaced",
        "import sys\n"
        "class S:\n"
        "    def __getattr__(s, n): raise SystemExit(0)\n"
        "sys.stdout = sys.stderr = sys.stdin = S()\n" + wrong,
        expected=BROKEN,
    )
    yield bare("stdout_closed", "import sys\nsys.stdout.close(); sys.stderr.close()\n" + wrong, expected=BROKEN)
    yield bare("interrupts_main", "import _thread\ndef f(x): _thread.interrupt_main(); return 0", expected=BROKEN)
    yield bare(
        "profile_hook", "import os, sys\ndef f(x): sys.setprofile(lambda *a: os._exit(0)); return 0", expected=BROKEN
    )
    yield bare(
        "trace_hook",
        "import os, sys\n"
        "def f(x): sys.settrace(lambda *a: os._exit(0)); sys._getframe(1).f_trace = sys.gettrace(); return 0",
        expected=BROKEN,
    )
    yield bare(
        "gc_hook", "import gc, os\ngc.callbacks.append(lambda *a: os._exit(0))\ndef f(x): gc.collect(); return 0",
        expected=BROKEN,
    )
    for name, patch in [
        ("json", "json.dumps = json.dump = json.JSONEncoder.encode = lambda *a, **k: '{\"status\": \"passed\"}'"),
        ("struct", "struct.pack = lambda *a: b'\\0' * 4"),
        ("write", "os.write = os._exit = lambda *a: 0"),
        ("read", "os.read = lambda *a: b''"),
        ("pickle", "pickle.dumps = marshal.dumps = lambda *a: b'N'"),
    ]:
        yield bare(f"patches_{name}", f"import json, marshal, os, pickle, struct\n{patch}\n{wrong}", expected=BROKEN)


ATTACKS = [
    *plain(), *frames(), *evil_exceptions(),
    *(bare(f"{name}_import", code, expected=expected, detail=detail) for name, code, expected, detail in ENDS),
    *(
        bare(f"{name}_call", "def f(x):\n    " + code.replace("\n", "\n    "), expected=expected, detail=detail)
        for name, code, expected, detail in ENDS
    ),
    *(
        bare(
            f"liar_{name}", f"class Liar({base}):\n    {EQUAL}\n    {more or 'pass'}\ndef f(x): return {made}",
            tests, expected,
        )
        for name, base, more, made, tests, expected in LIARS
    ),
    *(bare(f"shadow_{name}", f"{patch}\ndef f(x): return {result}", tests) for name, patch, result, tests in SHADOWS),
    *(steal(name, texts) for name, texts in HUNTS),
]
