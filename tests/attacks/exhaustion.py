"""Programs that use up what there is: time, memory, processes, descriptors, disk, stack, the parser.

All of it must end soon and harm no other program."""
from .kit import CRASHED, FAILED, MEMORY, ONCE, PASSED, SQUARE, TIMEOUT, UNSUPPORTED, VIOLATION, bare

LATE = (TIMEOUT,)
SPIN = "while True: pass"

ENDLESS = [  # never at an end, or at one that comes too late: `timeout` whatever they do
    ("import", f"{SPIN}", ""),
    ("call", f"def f(x):\n    {SPIN}", ""),
    (
        "catches_all",
        "def f(x):\n    while True:\n        try:\n            while True: pass\n        except BaseException: pass",
        "",
    ),
    ("sleeps", "import time\ndef f(x): time.sleep(10 ** 6)", ""),
    (
        "sleeps_and_catches",
        "import time\ndef f(x):\n    while True:\n        try: time.sleep(99)\n        except BaseException: pass", "",
    ),
    (
        "ignores_signals",
        "import signal, time\n"
        "for s in set(signal.Signals) - {9, 19}:\n"
        "    try: signal.signal(s, signal.SIG_IGN)\n"
        "    except (OSError, ValueError): pass\n"
        "def f(x): time.sleep(99)",
        "",
    ),
    (
        "blocks_signals",
        f"import signal\nsignal.pthread_sigmask(signal.SIG_BLOCK, set(signal.Signals))\ndef f(x):\n    {SPIN}", "",
    ),
    (
        "stops_alarms",
        f"import signal\nsignal.alarm(0)\nfor k in (0, 1, 2): signal.setitimer(k, 0)\ndef f(x):\n    {SPIN}", "",
    ),
    (
        "handles_alarms",
        "import signal\n"
        "signal.signal(signal.SIGALRM, lambda *a: None)\n"
        "signal.setitimer(0, 0.01, 0.01)\n"
        "def f(x):\n"
        f"    {SPIN}",
        "",
    ),
    (
        "a_little_in_each_call", "import time\ndef f(x): time.sleep(0.4); return x * x",
        "for i in range(30): assert f(i) == i * i",
    ),
    (
        "in_a_thread",
        f"import threading\ndef spin():\n    {SPIN}\nt = threading.Thread(target=spin)\nt.start()\ndef f(x): t.join()",
        "",
    ),
    ("holds_the_lock", "import ctypes\ndef f(x): ctypes.PyDLL(None).sleep(99)", ""),
    ("long_c_loop", "def f(x): return sum(range(10 ** 15))", ""),
    ("regular_expression", "import re\ndef f(x): return re.match('(a+)+$', 'a' * 45 + 'b')", ""),
    ("colliding_hashes", "def f(x): return len({i * (2 ** 61 - 1) for i in range(200_000)})", ""),
    ("finaliser", f"class D:\n    def __del__(s):\n        {SPIN}\ndef f(x): D(); return x * x", ""),
    ("endless_text", f"class E(Exception):\n    def __str__(s):\n        {SPIN}\ndef f(x): raise E", ""),
    ("factorial", "import math\ndef f(x): return math.factorial(10 ** 8) % 10", ""),
    (
        "decimal",
        "from decimal import Decimal, getcontext\ngetcontext().prec = 10 ** 8\ndef f(x): return Decimal(2).sqrt()", "",
    ),
    ("deadlock", "import threading\nlock = threading.Lock()\ndef f(x): lock.acquire(); lock.acquire()", ""),
    ("stop_itself", "import os\ndef f(x): os.kill(os.getpid(), 19)", ""),
    ("tests", "def f(x): return x * x", SPIN),
    ("tests_sleep", "def f(x): return x * x", "import time\ntime.sleep(99)"),
    ("tests_and_calls", "def f(x): return 0", "while f(3) != 9: pass"),
    ("catching_tests", "def f(x): return 0", "while True:\n    try: assert f(3) == 9\n    except BaseException: pass"),
    ("waits_for_input", "import os\ndef f(x):\n    r, w = os.pipe()\n    os.dup2(r, 0)\n    return input()", ""),
]

FULL = (MEMORY, FAILED)
GREEDY = [  # (name, code, right verdicts, tests)
    *(  # it says what the server shall load
        (f"a_harness_of_{length}_letters", f"from harnesses.{'a' * length} import x", (FAILED,), SQUARE)
        for length in (500, 5000, 300_000)
    ),
    ("hundred_gigabytes", "def f(x): return len(bytearray(100 << 30))", (MEMORY,), SQUARE),
    ("hundred_gigabytes_at_import", "data = bytearray(100 << 30)", (MEMORY,), SQUARE),
    ("growing_list", "def f(x):\n    kept = []\n    while True: kept.append(bytearray(1 << 20))", (MEMORY,), SQUARE),
    (
        "growing_objects", "def f(x):\n    kept = []\n    while True: kept = [kept, object(), {}]",
        (MEMORY, TIMEOUT, CRASHED), SQUARE,
    ),
    ("growing_text", "def f(x):\n    s = 'x'\n    while True: s += s", (MEMORY,), SQUARE),
    ("growing_int", "def f(x):\n    n = 1\n    while True: n <<= 1 << 26", (MEMORY, TIMEOUT), SQUARE),
    (
        "growing_and_catching",
        "def f(x):\n"
        "    kept = []\n"
        "    while True:\n"
        "        try: kept.append(bytearray(1 << 22))\n"
        "        except MemoryError: pass",
        (TIMEOUT, MEMORY), SQUARE,
    ),
    (
        "catches_and_lies",
        "kept = []\n"
        "def f(x):\n"
        "    try:\n"
        "        while True: kept.append(bytearray(1 << 12))\n"
        "    except MemoryError: return 'passed'",
        (MEMORY, FAILED, CRASHED), SQUARE,
    ),
    (
        "mapping", "import mmap\ndef f(x):\n    kept = [mmap.mmap(-1, 1 << 30) for _ in range(64)]\n    return x * x",
        (*FULL, VIOLATION), SQUARE,
    ),
    (
        "mapping_in_c",
        "import ctypes\n"
        "c = ctypes.CDLL(None)\n"
        "c.malloc.restype = ctypes.c_void_p\n"
        "def f(x):\n"
        "    assert c.malloc(ctypes.c_size_t(64 << 30)), 'refused'\n"
        "    return x * x",
        FULL, SQUARE,
    ),
    (
        "itertools", "import itertools\ndef f(x): return len(list(itertools.product(range(999), repeat=5)))",
        (MEMORY, TIMEOUT), SQUARE,
    ),
    ("long_range", "def f(x): return len(list(range(10 ** 11)))", (MEMORY,), SQUARE),
    ("repeated", "def f(x): return len([0] * 10 ** 11)", (MEMORY,), SQUARE),
    ("formatted", "def f(x): return len('%99999999999d' % 1)", FULL, SQUARE),
    ("padded", "def f(x): return len('x'.ljust(10 ** 12))", FULL, SQUARE),
    (
        "decompressed",
        "import zlib\n"
        "def f(x):\n"
        "    z = zlib.compress(bytes(1 << 24))\n"
        "    return len(b''.join(zlib.decompress(z) for _ in range(4096)))",
        (MEMORY, TIMEOUT), SQUARE,
    ),
    (
        "representation", "def f(x):\n    r = [0] * 9\n    for _ in range(12): r = [r] * 9\n    return len(repr(r))",
        (MEMORY, TIMEOUT), SQUARE,
    ),
    ("prints", "def f(x):\n    while True: print('x' * 10 ** 6)", LATE, SQUARE),
    ("prints_three_gigabytes", "def f(x): print('x' * (150 << 20) * 20)", FULL, SQUARE),
    (
        "writes_to_descriptor", "import os\ndef f(x):\n    while True: os.write(1, b'x' * 10 ** 6)",
        (TIMEOUT, FAILED, CRASHED), SQUARE,
    ),
    (
        "writes_to_errors", "import os\ndef f(x):\n    for _ in range(20_000): os.write(2, b'x' * 10 ** 6)",
        (TIMEOUT, FAILED, CRASHED), SQUARE,
    ),
    ("error_text", "def f(x): raise ValueError('x' * (150 << 20))", (FAILED, MEMORY), SQUARE),
    (
        "error_chain",
        "def f(x):\n"
        "    e = None\n"
        "    for i in range(200_000):\n"
        "        n = ValueError(i)\n"
        "        n.__cause__ = e\n"
        "        e = n\n"
        "    raise e",
        (FAILED, MEMORY, CRASHED), SQUARE,
    ),
    ("fork_bomb", "import os\ndef f(x):\n    while True: os.fork()", (FAILED, VIOLATION), SQUARE),
    (
        "fork_bomb_stubborn",
        "import os\ndef f(x):\n    while True:\n        try: os.fork()\n        except OSError: pass",
        (TIMEOUT, VIOLATION), SQUARE,
    ),
    (
        "thread_bomb",
        "import threading, time\ndef f(x):\n    while True: threading.Thread(target=time.sleep, args=(99,)).start()",
        (FAILED, MEMORY, TIMEOUT, CRASHED), SQUARE,
    ),
    (
        "thread_bomb_stubborn",
        "import _thread, time\n"
        "def f(x):\n"
        "    while True:\n"
        "        try: _thread.start_new_thread(time.sleep, (99,))\n"
        "        except BaseException: pass",
        (TIMEOUT, MEMORY, CRASHED), SQUARE,
    ),
    (
        "threads_that_spin",
        "import _thread\n"
        "def spin():\n"
        "    while True: pass\n"
        "for _ in range(30): _thread.start_new_thread(spin, ())\n"
        "def f(x): return 0",
        (FAILED, TIMEOUT), SQUARE,
    ),
    ("descriptors", "import os\ndef f(x):\n    while True: os.dup(1)", (FAILED,), SQUARE),
    ("pipes", "import os\ndef f(x):\n    kept = []\n    while True: kept.append(os.pipe())", (FAILED,), SQUARE),
    (
        "descriptors_then_answer",
        "import os\ntry:\n    while True: os.dup(1)\nexcept OSError: pass\ndef f(x): return 0",
        (FAILED, CRASHED), SQUARE,
    ),
    (
        "pipes_full",
        "import os\n"
        "def f(x):\n"
        "    for _ in range(99_999):\n"
        "        r, w = os.pipe(); os.set_blocking(w, False); os.write(w, bytes(1 << 16))",
        (FAILED,), SQUARE,
    ),
    ("recursion", "def f(x): return f(x + 1)", (FAILED,), SQUARE),
    (
        "recursion_unlimited", "import sys\nsys.setrecursionlimit(10 ** 9)\ndef f(x): return f(x + 1)",
        (MEMORY, CRASHED, FAILED, TIMEOUT), SQUARE,
    ),
    (
        "recursion_in_c", "import sys\nsys.setrecursionlimit(10 ** 9)\ndef f(x): return sorted([x], key=f)",
        (CRASHED, FAILED, MEMORY), SQUARE,
    ),
    (
        "recursion_of_repr",
        "import sys\n"
        "sys.setrecursionlimit(10 ** 9)\n"
        "def f(x):\n"
        "    r = []\n"
        "    for _ in range(10 ** 6): r = [r]\n"
        "    return repr(r)",
        (CRASHED, FAILED, MEMORY, TIMEOUT), SQUARE,
    ),
    (
        "recursion_of_attributes",
        "import sys\n"
        "sys.setrecursionlimit(10 ** 9)\n"
        "class A:\n"
        "    def __getattr__(s, n): return getattr(s, n + 'x')\n"
        "def f(x): return A().a",
        (CRASHED, FAILED, MEMORY, TIMEOUT), SQUARE,
    ),
    ("null_pointer", "import ctypes\ndef f(x): return ctypes.string_at(0)", (CRASHED,), SQUARE),
    ("null_pointer_at_import", "import ctypes\nctypes.string_at(0)", (CRASHED,), SQUARE),
    ("division_trap", "import os, signal\ndef f(x): signal.raise_signal(signal.SIGFPE)", (CRASHED,), SQUARE),
    (
        "abort_with_core",
        "import os, resource\n"
        "def f(x):\n"
        "    try: resource.setrlimit(resource.RLIMIT_CORE, (-1, -1))\n"
        "    except (OSError, ValueError): pass\n"
        "    os.abort()",
        (CRASHED, FAILED, VIOLATION), SQUARE,
    ),
    (
        "broken_reference_counts",
        "import ctypes\ndef f(x):\n    ctypes.memset(id(x), 0, 64); ctypes.memset(id(f), 0, 128)\n    return x",
        (CRASHED, FAILED, UNSUPPORTED), SQUARE,
    ),
    (
        "bytecode", "def f(x): pass\nf.__code__ = f.__code__.replace(co_code=bytes([100, 255] * 50))",
        (CRASHED, FAILED, UNSUPPORTED), SQUARE,
    ),
]

PARSER = [  # programs that hurt whoever compiles them; the machinery must not be the one that does
    ("parentheses", "'(' * 100_000 + ')' * 100_000"),
    ("minus_signs", "'x = ' + '-' * 500_000 + '1'"),
    ("attributes", "'x' + '.a' * 200_000"),
    ("sums", "'x = ' + '+'.join(['1'] * 500_000)"),
    ("calls", "'x = 1' + '()' * 100_000"),
    ("indentation", "''.join(' ' * i + 'if 1:\\n' for i in range(2000))"),
    ("folded_power", "'x = 9 ** 9 ** 9'"),
    ("folded_text", "'x = ((\"x\" * 4000) * 4000) * 100000'"),
    ("zero_byte", "'x = 1\\0'"),
    ("half_character", "'x = \"\\udc80\"\\ny = \\ud800'"),
    ("coding_cookie", "'# coding: rot13\\nqrs s(k): erghea k\\n'"),
    ("long_number", "'x = ' + '9' * 2_000_000"),
    ("nested_f_strings", "'x = ' + 'f\"{' * 500"),
    ("only_quotes", "'\"\"\"' + 'x' * 5_000_000"),
    ("nested_lists", "'x = ' + '[' * 90 + '*[' * 90"),
    ("carriage_returns", "'\\r' * 100_000 + 'def f(x) return'"),
]

DISK = [  # (name, what fills the private folder, checked by f's answer)
    ("one_file", "with open('big', 'wb') as h:\n        for _ in range(400): h.write(bytes(1 << 20))"),
    (
        "sparse_file",
        "open('sparse', 'wb').truncate(1 << 40)\n"
        "    fd = os.open('sparse', os.O_RDWR)\n"
        "    for i in range(400): os.pwrite(fd, bytes(1 << 20), i << 30)",
    ),
    ("many_files", "for i in range(60):\n        with open(f'f{i}', 'wb') as h: h.write(bytes(4 << 20))"),
    ("allocation", "fd = os.open('big', os.O_CREAT | os.O_RDWR)\n    os.posix_fallocate(fd, 0, 400 << 20)"),
    ("names", "for i in range(300_000): os.close(os.open(f'n{i}', os.O_CREAT))"),
    ("folders", "for i in range(300_000): os.mkdir(f'd{i}')"),
    ("links", "for i in range(300_000): os.symlink('x' * 200, f'l{i}')"),
    (
        "deleted_files",
        "kept = []\n"
        "    for i in range(60):\n"
        "        kept.append(open(f'f{i}', 'wb')); os.unlink(f'f{i}'); "
        "kept[-1].write(bytes(4 << 20)); kept[-1].flush()",
    ),
]

AFTERWARDS = [  # right answers, and something endless afterwards that must delay nobody
    ("atexit_loop", f"import atexit\n@atexit.register\ndef spin():\n    {SPIN}\n"),
    (
        "threads_stay",
        "import threading, time\nfor _ in range(5): threading.Thread(target=time.sleep, args=(99,)).start()\n",
    ),
    (
        "spinning_thread_stays",
        f"import threading\ndef spin():\n    {SPIN}\nthreading.Thread(target=spin, daemon=True).start()\n",
    ),
    ("finaliser_of_global", f"class D:\n    def __del__(s):\n        {SPIN}\nkeep = D()\n"),
    ("thread_waits_for_main", "import threading\nthreading.Thread(target=threading.main_thread().join).start()\n"),
]

ATTACKS = [
    *(
        bare(
            f"endless_{name}", code, tests or SQUARE,
            LATE if name not in ("factorial", "decimal", "stop_itself") else (TIMEOUT, MEMORY, FAILED, VIOLATION),
            seconds=1.0, clock=name not in ("call", "blocks_signals", "stop_itself", "tests"),
        )
        for name, code, tests in ENDLESS
    ),
    *(
        bare(f"greedy_{name}", code, tests, expected, seconds=1.0 if TIMEOUT in expected else 8.0)
        for name, code, expected, tests in GREEDY
    ),
    *(
        bare(
            f"parser_{name}", eval(text),  # noqa: S307  written above
            SQUARE, (FAILED, MEMORY, CRASHED, TIMEOUT), seconds=1.0,
        )
        for name, text in PARSER
    ),
    *(
        bare(
            f"disk_{name}", f"import os\ndef f(x):\n    {body}\n    return x * x", ONCE,
            (FAILED, TIMEOUT, CRASHED, MEMORY), profile="files", seconds=2.0,
        )
        for name, body in DISK
    ),
    *(bare(f"after_{name}", code + "def f(x): return x * x", SQUARE, (PASSED,)) for name, code in AFTERWARDS),
    bare("greedy_tests", "def f(x): return x * x", "data = bytearray(100 << 30)", (MEMORY, FAILED), trusted=False),
    bare(
        "greedy_tests_grow", "def f(x): return x * x", "kept = []\nwhile True: kept.append(bytearray(1 << 20))",
        (MEMORY, FAILED), trusted=False,
    ),
    bare(
        "greedy_argument", "def f(x): return len(x)", "assert f('x' * (40 << 20)) == 0",
        (FAILED, MEMORY, TIMEOUT, UNSUPPORTED), seconds=4.0,
    ),
    bare("greedy_calls", "def f(x): return x", "i = 0\nwhile f(i) == i: i += 1", LATE, seconds=1.0),
]
