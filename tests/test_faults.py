"""No program ends an evaluation, or changes the next one's: what a program can bring about is that program's verdict.

And what the machine brings about is no verdict at all: it is asked again, or said in one line."""
import ctypes
import json
import os
import re
import resource
import shutil
import signal
import socket
import sqlite3
import struct
import subprocess
import sys
import threading
from collections import deque
from contextlib import contextmanager
from pathlib import Path

import pytest
import warm

if not sys.platform.startswith("linux"): pytest.skip("programs are executed on Linux only", allow_module_level=True)
import evoselfcode.execution.execution as execution
import evoselfcode.execution.workers as execution_workers
from evoselfcode.constants import CRASHED, FAILED, MEMORY, PASSED, TIMEOUT
from evoselfcode.errors import UserError
from evoselfcode.execution.execution import (
    ExecutionFault,
    Limits,
    Program,
    Runner,
    VerdictStore,
    call_of,
    layers,
    run_programs,
)
from evoselfcode.project import package_folder

pytestmark = pytest.mark.timeout(300)
ROOT = os.geteuid() == 0
SPACES = "namespaces" in layers(Limits(allow_unsandboxed=True))["standing"]
needs_spaces = pytest.mark.skipif(not SPACES, reason="the kernel grants no namespaces here")
RIGHT = "def f(x): return x * x\n"
TESTS = "assert f(3) == 9"


def verdicts(codes, tests="", workers=1, store=None, **limits):
    programs = [code if isinstance(code, Program) else Program(code, tests) for code in codes]
    return list(run_programs(programs, Limits(**dict(seconds=10) | limits), workers, store=store))


def statuses(*args, **options): return [v.status for v in verdicts(*args, **options)]


def children_of(*parents):
    "The processes that descend from these."
    found, table = [], []
    ours = set(parents)
    for path in Path("/proc").glob("[0-9]*/stat"):
        try: fields = path.read_text().rsplit(")", 1)[1].split()
        except (FileNotFoundError, ProcessLookupError): continue
        if fields[0] != "Z": table.append((int(path.parent.name), int(fields[1])))
    while new := [pid for pid, parent in table if parent in ours and pid not in ours]:
        ours.update(new)
        found += new
    return found


def processes(kind):
    "Our workers' verifiers or servers; `kind`: verifier | server | child."
    def ours(pid):
        try: return parent(pid) == os.getpid() and b"zygote" in Path(f"/proc/{pid}/cmdline").read_bytes()
        except (FileNotFoundError, ProcessLookupError): return False
    watchers = [pid for pid in children_of(os.getpid()) if ours(pid)]
    pairs = [sorted(pid for pid in children_of(w) if parent(pid) == w) for w in watchers]
    if kind == "child": return [pid for pair in pairs if len(pair) == 2 for pid in children_of(pair[1])]
    return [pair[kind == "server"] for pair in pairs if len(pair) == 2]


def parent(pid):
    try: return int(Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[1])
    except (FileNotFoundError, ProcessLookupError): return 0


@contextmanager
def meanwhile(work):
    "Do something else until the block ends: `work` is called again and again."
    over = threading.Event()
    def go():
        while not over.wait(0.01):
            try: work()
            except (ProcessLookupError, FileNotFoundError): pass
    thread = threading.Thread(target=go)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()


# ---------------------------------------------------------------- signals

def test_every_signal_is_one_programs_end():
    ignored = {signal.SIGCHLD, signal.SIGCONT, signal.SIGURG, signal.SIGWINCH, signal.SIGPIPE, signal.SIGXFSZ}
    stopping = {signal.SIGSTOP, signal.SIGTSTP, signal.SIGTTIN, signal.SIGTTOU}
    numbers = [n for n in range(1, 65) if n not in stopping]
    found = verdicts([f"import os, signal\nos.kill(os.getpid(), {n})\n{RIGHT}" for n in numbers], TESTS)
    expected = {signal.SIGINT: FAILED, signal.SIGXCPU: TIMEOUT, signal.SIGSYS: "violation"}
    expected |= dict.fromkeys(ignored, PASSED)
    assert [(n, v) for n, v in zip(numbers, found) if v.status != expected.get(n, CRASHED)] == []
    named = dict(zip(numbers, found))
    wanted = ["SIGKILL", "SIGSEGV", "SIGRTMIN-1", "SIGRTMIN", "SIGRTMIN+6", "SIGRTMAX"]
    assert [named[n].detail.split()[1] for n in (9, 11, 33, 34, 40, 64)] == wanted


DEAF = """
import ctypes, json, os, signal, sys
from evoselfcode.execution.execution import Limits, Program, run_programs
from evoselfcode.execution.sandbox.isolation import SIGACTION, UNTOUCHED_SIGNALS, system
ignore = ctypes.create_string_buffer((1).to_bytes(8, "little"), 32)
for number in {*range(1, 65)} - {signal.SIGCHLD, *UNTOUCHED_SIGNALS}:
    system(SIGACTION[os.uname().machine], number, ctypes.addressof(ignore), 0, 8)
signal.pthread_sigmask(signal.SIG_BLOCK, range(1, 65))
codes, tests, profiles = json.loads(sys.argv[1])
programs = [Program(code, tests) for code in codes]
for profile in profiles:
    print(*(v.status for v in run_programs(programs, Limits(seconds=1, profile=profile))))
"""


def test_who_starts_us_may_ignore_and_hold_back_signals():
    profiles = ["pure", "files", "libs"] if SPACES else ["pure"]
    killed = [f"import os\nos.kill(os.getpid(), {n})\n{RIGHT}" for n in (2, 14, 15, 24, 32, 33, 34, 64)]
    asked = json.dumps([[*killed, "while True: pass"], TESTS, profiles])
    env = os.environ | dict(PYTHONPATH=str(package_folder().parent))
    ran = subprocess.run([sys.executable, "-c", DEAF, asked], capture_output=True, text=True, timeout=120, env=env)
    found = [line for line in ran.stdout.splitlines() if not line.startswith("warning")]
    assert found == ["failed crashed crashed timeout crashed crashed crashed crashed timeout"] * len(profiles), ran


@pytest.mark.parametrize("which", ["verifier", "server"])
@pytest.mark.parametrize("number", [9, 40])
def test_a_process_of_a_worker_that_a_signal_ends_is_replaced(which, number):
    found = run_programs((Program(f"import time\ntime.sleep(0.03)\nprint({i})") for i in range(30)), Limits(), 1)
    first = next(found)
    os.kill(processes(which)[0], number)
    assert [first.output] + [v.output for v in found] == [f"{i}\n" for i in range(30)]


@needs_spaces
@pytest.mark.parametrize("without", ["", "landlock"])
def test_the_server_has_no_signal_that_its_children_could_send(monkeypatch, without):
    monkeypatch.setenv("EVOSELFCODE_WITHOUT", without)
    one = "import os\ntry: os.kill(1, 2)\nexcept OSError: pass\n" + RIGHT
    every = (
        "import os\n"
        "for n in range(65):\n"
        "    for who in (1, -1, 0) if n in (0, 17, 18, 23, 28) else (1,):\n"
        "        try: os.kill(who, n)\n"
        "        except OSError: pass\n"
    ) + RIGHT
    own = (
        "import signal\n"
        "assert signal.getsignal(2) is signal.default_int_handler\n"
        "try: signal.raise_signal(2)\n"
        "except KeyboardInterrupt: pass\n"
        "else: assert 0\n"
    ) + RIGHT
    assert statuses([one, every, own, RIGHT], TESTS, profile="libs") == [PASSED] * 4


# ---------------------------------------------------------------- what a machine does is no verdict

def test_a_program_that_was_killed_from_outside_gets_a_second_chance(tmp_path):
    slow, killed = "import time\ntime.sleep(0.6)\n" + RIGHT, []
    def kill():
        for pid in [] if killed else processes("child"):
            if b"zygote" in Path(f"/proc/{pid}/cmdline").read_bytes() and busy(pid):
                os.kill(pid, 9)
                killed.append(pid)
    def busy(pid): return "nanosleep" in Path(f"/proc/{pid}/wchan").read_text()
    with meanwhile(kill): found = verdicts([slow, RIGHT], TESTS)
    if not killed: pytest.skip("this kernel does not tell who sleeps")
    assert [v.status for v in found] == [PASSED] * 2


def test_who_kills_itself_is_not_kept(tmp_path, monkeypatch):
    store, kept = tmp_path/"kept.sqlite", []
    real = execution._Recent.put
    def put(self, key, answer):
        real(self, key, answer)
        kept.append(self.get(key) and answer["status"])
    monkeypatch.setattr(execution._Recent, "put", put)
    assert statuses(["import os\nos.kill(os.getpid(), 9)", RIGHT], store=store) == [CRASHED, PASSED]
    assert [json.loads(text)["status"] for _, text in rows(store)] == [PASSED]
    assert kept == [None, PASSED]


@pytest.fixture
def breaking(tmp_path, monkeypatch):
    "A machinery that breaks at every program with the word BREAK in it."
    shutil.copytree(package_folder()/"execution", tmp_path/"execution", ignore=shutil.ignore_patterns("__pycache__"))
    with (tmp_path/"execution"/"sandbox"/"verifier.py").open("a") as f:
        f.write("\n\nreal = answer_job\ndef answer_job(job, *others):\n"
                "    if 'BREAK' in job['code']: raise SystemError(f'broken by a program')\n"
                "    return real(job, *others)\n")
    monkeypatch.setattr(execution_workers, "package_folder", lambda: tmp_path)
    return tmp_path


@pytest.mark.parametrize("workers", [1, 2])
def test_a_program_that_breaks_two_workers_is_the_one_that_crashed(breaking, workers, tmp_path):
    codes = [f"{RIGHT}# {'BREAK' if i % 9 == 4 else ''} {i}" for i in range(30)]
    found = verdicts(codes, TESTS, workers, store=tmp_path/"kept.sqlite")
    assert [v.status for v in found] == [CRASHED if "BREAK" in code else PASSED for code in codes]
    assert {v.detail for v in found} == {"", "the machinery broke twice at it: SystemError: broken by a program"}
    assert {json.loads(text)["status"] for _, text in rows(tmp_path/"kept.sqlite")} == {PASSED}


def test_a_machine_that_cannot_do_anything_right_ends_all(breaking):
    text = (breaking/"execution"/"sandbox"/"verifier.py").read_text()
    (breaking/"execution"/"sandbox"/"verifier.py").write_text(text.replace("if 'BREAK' in job['code']: ", ""))
    with pytest.raises(ExecutionFault, match="broken by a program"): verdicts([RIGHT])


# ---------------------------------------------------------------- limits of the host

ASK = f"""
import sys
from evoselfcode.errors import UserError
from evoselfcode.execution.execution import Limits, Program, run_programs
programs = [Program({RIGHT!r}, {TESTS!r}), Program({RIGHT!r}, 'assert f(1) == 2')]
try: print(*(v.status for v in run_programs(programs, Limits(seconds=10, profile=sys.argv[1]), 1)))
except UserError as error: print('error:', error)
"""


def under(limit, profile="pure", before=""):
    "What a shell with such a limit says."
    if limit: before += f"\nulimit {limit}"
    script = f"{before}\nexec \"$0\" -c \"$1\" {profile}"
    env = dict(PYTHONPATH=str(package_folder().parent), OMP_NUM_THREADS="1", OPENBLAS_NUM_THREADS="1")
    ran = subprocess.run(
        ["bash", "-c", script, sys.executable, ASK], capture_output=True, text=True, timeout=120, env=os.environ | env,
    )
    return [line for line in ran.stdout.splitlines() if not line.startswith("warning: layer missing")], ran.stderr


@pytest.mark.parametrize("limit, told", [
    ("-s 8192", "STACK"), ("-v 4000000", ""), ("-v 1000000", ""), ("-f 1000", "FSIZE"), ("-n 40", "NOFILE"),
    ("-c 0", ""), ("-t 300", ""), ("-u 200", ""), ("-i 10", ""), ("-l 0", ""),
])
@pytest.mark.parametrize("profile", ["pure", *["files"] * SPACES])
def test_a_host_may_grant_less_than_we_ask_for(limit, told, profile):
    lines, errors = under(limit, profile)
    assert lines[-1] == "passed failed" and not errors, (lines, errors)
    if told: assert any(line.startswith("warning: limit of this host: RLIMIT_" + told) for line in lines[:-1])
    else: assert all("AS" in line for line in lines[:-1])


@pytest.mark.parametrize("limit, told", [("-n 20", ""), ("-v 80000", ""), ("-v 120000", "")])
def test_a_host_that_grants_too_little_is_told_in_one_line(limit, told):
    lines, errors = under(limit)
    if errors and "Traceback" in errors and not lines: pytest.skip("this Python does not start itself")
    assert lines, errors
    assert lines[-1].startswith("error: an execution worker ") or lines[-1] == "passed failed", (lines, errors)


@pytest.mark.skipif(not ROOT, reason="only root can take /proc away")
def test_a_machine_without_proc_is_told_in_one_line():
    hide = "exec unshare -m bash -c 'mount -t tmpfs none /proc; exec \"$0\" -c \"$1\" pure' \"$0\" \"$1\""
    lines, errors = under("", before=hide)
    if "unshare failed" in errors: pytest.skip("no mount namespaces here")
    told = "error: an execution worker does not start: OSError: there is no /proc here"
    assert len(lines) == 1 and lines[0].startswith(told), (lines, errors)


def test_what_python_cannot_start_is_told_in_one_line(monkeypatch, tmp_path):
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    def refuse(*_, **__): raise OSError(11, "Resource temporarily unavailable")
    monkeypatch.setattr(execution_workers.subprocess, "Popen", refuse)
    told = "^an execution worker cannot be started: .*Resource temporarily unavailable.*ulimit"
    with pytest.raises(UserError, match=told): verdicts([RIGHT])
    assert [*tmp_path.iterdir()] == []


@pytest.mark.parametrize("limits", [Limits(profile="bare"), Limits(backend="cloud")])
def test_limits_are_checked_whoever_asks(limits):
    from evoselfcode.execution.behaviour import behaviours
    def observe(limits): return behaviours([("def f(x): return x", "f")], runner=Runner(limits))
    def run(limits): return list(run_programs([Program(RIGHT)], limits))
    for work in observe, layers, run:
        with pytest.raises(UserError, match="'(bare|cloud)': must be one of"): work(limits)


# ---------------------------------------------------------------- one program, and the next

MANY_THREADS = """
import _thread
lock = _thread.allocate_lock()
lock.acquire()
_thread.stack_size(1 << 15)
for _ in range({}): _thread.start_new_thread(lock.acquire, ())
def f(x): return x  # {}
"""


def test_threads_that_are_not_down_yet_take_none_from_the_next_program():
    codes = [MANY_THREADS.format(many, number) for number in range(40) for many in (3000, 50)]
    assert statuses(codes, tests="assert f(1) == 1") == [FAILED, PASSED] * 40


TREE = "import os\nos.makedirs('.wipe1/x')\nos.makedirs('a/b/c')\nopen('.wipe2', 'w').close()\n"


@needs_spaces
@pytest.mark.parametrize("end", ["os._exit(0)", "os.chmod('a', 0)\nos._exit(3)", ""])
def test_whatever_lies_in_the_folder_is_wiped(end):
    look = "import os\nassert os.listdir('.') == []\nopen('x', 'w').close()\n"
    assert statuses([TREE + end, look, TREE + end + "# again", look + "#"], profile="files")[1::2] == [PASSED] * 2


WIPE = """
import os, sys
sys.path.insert(0, sys.argv[1])
from upkeep import wipe
folder, other = sys.argv[2:]
if os.getuid() == 0: os.setgroups([]); os.setresuid(1000, 1000, 1000)
os.chdir(folder)
for name in ('.wipe1/x', 'a/b/c', 'deep' + '/deep' * 200, '.wipe1/.wipe1/.wipe1'): os.makedirs(name, exist_ok=True)
for name in (b'\\xff', b'\\n', b'x' * 255): os.mkdir(name); open(name + b'/' + name, 'w').close()
os.symlink(other, 'a/b/out'); os.symlink('..', 'a/up'); os.symlink('no such', 'none'); os.symlink(other, 'out')
os.mkfifo('a/fifo', 0); open('a/kept', 'w').close(); os.link('a/kept', 'a/b/c/link'); os.mkdir('kept')
there = os.getcwd()
for _ in range(60): os.mkdir('y' * 200); os.chdir('y' * 200)
os.chdir(there)
for name in ('a/b/c', 'a/b', 'a'): os.chmod(name, 0)
os.chmod('.', 0)
wipe(folder, ['kept'], 0o700)
print(os.listdir(folder), oct(os.stat(folder).st_mode), os.listdir(other))
"""


def test_a_tree_of_all_kinds_is_wiped(tmp_path):
    folder, other = tmp_path/"folder", tmp_path/"other"
    for made in (folder, other): made.mkdir()
    (other/"file").touch()
    if ROOT:
        for path in (folder, other): os.chown(path, 1000, 1000)
        for path in [tmp_path, *tmp_path.parents][:-1]: path.chmod(path.stat().st_mode | 0o011)
    package = package_folder()/"execution"/"sandbox"
    copied = tmp_path/"package"  # others may not reach the package's own folder
    shutil.copytree(package, copied)
    words = [sys.executable, "-c", WIPE, str(copied), str(folder), str(other)]
    ran = subprocess.run(words, capture_output=True, text=True, timeout=60)
    assert ran.stdout == "['kept'] 0o40700 ['file']\n", ran.stderr


@pytest.mark.skipif(not ROOT, reason="only root can put a mount in the way")
def test_a_server_whose_folder_cannot_be_emptied_is_given_up(monkeypatch, tmp_path):
    monkeypatch.setenv("EVOSELFCODE_WITHOUT", "namespaces")
    monkeypatch.setattr(execution_workers.tempfile, "tempdir", str(tmp_path))
    libc, mounted = ctypes.CDLL(None, use_errno=True), []
    def obstruct():
        for path in [] if mounted else tmp_path.glob("*/private/obstacle"):
            if libc.mount(b"none", bytes(path), b"tmpfs", 0, b"") == 0: mounted.append(path)
    wait = (
        "import os, time\n"
        "os.mkdir('obstacle')\n"
        "while os.stat('obstacle').st_dev == os.stat('.').st_dev: time.sleep(0.01)\n"
    )
    try:
        with meanwhile(obstruct): found = statuses([wait, RIGHT, RIGHT + "#"], profile="files", allow_unsandboxed=True)
    finally:
        for path in mounted: libc.umount2(bytes(path), 2)
    assert mounted and found == [PASSED] * 3


def test_a_folders_mode_is_its_own_for_each(monkeypatch):
    if not SPACES: pytest.skip("the kernel grants no namespaces here")
    modes = [f"import os\ntry: os.chmod('.', {mode})\nexcept OSError: pass\n" for mode in (0, 0o500, 0o2777)]
    look = (
        "import os, stat, time\n"
        "open('x', 'w').close()\n"
        "print(oct(os.stat('.').st_mode))\n"
        "assert time.time() - os.stat('.').st_mtime < 999\n"
    )
    found = verdicts([code for i, mode in enumerate(modes) for code in (mode, f"{look}# {i}")], profile="files")
    assert [v.status for v in found] == [PASSED] * 6 and len({v.output for v in found[1::2]}) == 1


@pytest.mark.parametrize("profile", ["pure", *["files", "libs"] * SPACES])
def test_streams_are_each_programs_own(profile):
    change = (
        "import fcntl, os, struct\n"
        "for fd in (0, 1, 2): fcntl.fcntl(fd, fcntl.F_SETFL, os.O_NONBLOCK | os.O_APPEND)\n"
        "fcntl.ioctl(0, 0x5421, struct.pack('i', 1))\n"
    )
    lock = "import fcntl\nfor fd in (0, 1, 2): fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)\n"
    if profile == "pure": lock = ""
    look = (
        "import fcntl, os\n"
        "assert [fcntl.fcntl(fd, fcntl.F_GETFL) & (os.O_NONBLOCK | os.O_APPEND) for fd in (0, 1, 2)] == [0, 0, 0]\n"
        "os.write(1, b'x')\n"
        "assert os.read(0, 1) == b''\n"
    )
    found = statuses([change + lock] + [look + lock + f"# {i}" for i in range(5)], profile=profile)
    assert found == [PASSED] * 6


@needs_spaces
def test_the_machines_null_device_is_out_of_reach():
    before = os.stat(os.devnull)
    changes = ["os.fchmod(0, 0o600)", "os.utime(0)", "os.fchown(1, -1, os.getgid())"]
    found = statuses([f"import os\n{change}" for change in changes], profile="files")
    after = os.stat(os.devnull)
    assert found == [FAILED] * 3
    assert (before.st_mode, before.st_mtime, before.st_ctime) == (after.st_mode, after.st_mtime, after.st_ctime)


@needs_spaces
def test_a_port_is_free_again_for_the_next_program():
    serve = (
        "import socket\ns = socket.socket()\ns.bind(('127.0.0.1', 5555))\ns.listen()\n"
        "c = socket.create_connection(('127.0.0.1', 5555))\n"
        "a, _ = s.accept()\na.sendall(b'x' * 1000)\na.close()\nassert c.recv(1000)\nc.recv(1)\nc.close()\n"
    )
    assert statuses([f"{serve}# {i}" for i in range(4)], profile="libs") == [PASSED] * 4


# ---------------------------------------------------------------- memory

def free():
    return int(re.search(r"MemAvailable:\s+(\d+)", Path("/proc/meminfo").read_text())[1]) >> 10


def least_free(work):
    "What `work` gives, and how many megabytes less than before were free at the worst."
    before, seen = free(), []
    with meanwhile(lambda: seen.append(free())): result = work()
    return result, before - min(seen)


FORKS = (
    "import os, time\n"
    "for i in range({n}):\n"
    "    if os.fork() == 0:\n"
    "        {body}\n"
    "        time.sleep(9)\n"
    "time.sleep(9)\n"
)
TOUCHED = "x = bytearray(100 << 20); x[::4096] = bytes(len(x[::4096]))"
COPYING = "import gc; gc.unfreeze(); gc.collect(); [gc.get_referents(o) for o in gc.get_objects()]"
OTHERS = f"""import subprocess, sys, time
p = [subprocess.Popen([sys.executable, '-c', '{TOUCHED}; import time; time.sleep(9)']) for _ in range(50)]
time.sleep(9)"""
TOGETHER = [
    ("many", FORKS.format(n=60, body=TOUCHED)),
    ("copies", FORKS.format(n=60, body=COPYING)),
    ("in a session of their own", FORKS.format(n=60, body=f"os.setsid(); {TOUCHED}")),
    ("other programs", OTHERS),
]


@needs_spaces
@pytest.mark.parametrize("name, code", TOGETHER, ids=[name for name, _ in TOGETHER])
def test_processes_take_no_more_memory_together_than_one_may(name, code):
    found, taken = least_free(lambda: verdicts([code, RIGHT], TESTS, profile="libs", memory_mb=400))
    assert [v.status for v in found] == [MEMORY, PASSED] and "together" in found[0].detail
    assert taken < 2500, f"{taken} MB"


@needs_spaces
def test_a_few_processes_of_a_modest_program_are_fine():
    pool = (
        "import multiprocessing as m\n"
        "def g(i): return i * i\n"
        "def f(x):\n"
        "    with m.get_context('fork').Pool(4) as p: return p.map(g, [x] * 20)[0]\n"
    )
    shared = (
        "import mmap, os\n"
        "def f(x):\n"
        "    m = mmap.mmap(-1, 4096)\n"
        "    if os.fork() == 0: m[0] = x * x; os._exit(0)\n"
        "    os.wait()\n"
        "    return m[0]\n"
    )
    runs = (
        "import subprocess, sys\n"
        "def f(x): return int(subprocess.run([sys.executable, '-c', f'print({x} * {x})'], "
        "capture_output=True, text=True).stdout)\n"
    )
    arrays = (
        "import multiprocessing as m\n"
        "def f(x):\n"
        "    c = m.get_context('fork')\n"
        "    a = c.Array('i', 3)\n"
        "    p = c.Process(target=a.__setitem__, args=(0, x * x)); p.start(); p.join()\n"
        "    return a[0]\n"
    )
    assert statuses([pool, shared, runs, arrays], TESTS, profile="libs") == [PASSED] * 4


@pytest.mark.parametrize("profile", ["pure", *["files", "libs"] * SPACES])
def test_memory_that_no_limit_counts_is_refused(profile):
    hidden = (
        "import ctypes\n"
        "c = ctypes.CDLL(None)\n"
        "c.mmap.restype = ctypes.c_void_p\n"
        "c.munmap.argtypes = [ctypes.c_void_p, ctypes.c_size_t]\n"
        "for _ in range(20):\n"
        "    at = c.mmap(None, ctypes.c_size_t(100 << 20), 3, 0x21, -1, 0)\n"
        "    assert at != ctypes.c_void_p(-1).value, 'refused'\n"
        "    ctypes.memset(at, 1, 100 << 20)\n"
        "    c.munmap(at + 4096, (100 << 20) - 4096)\n"
    )
    files = (
        "import os\n"
        "kept = [os.memfd_create(str(i)) for i in range(40)]\n"
        "for fd in kept: os.write(fd, bytes(15 << 20))\n"
    )
    found, taken = least_free(lambda: verdicts([hidden, files, RIGHT], TESTS, profile=profile))
    assert [v.status for v in found] == [FAILED, FAILED, PASSED] and taken < 800, found


CHATTY = """
import re
from evoselfcode.execution.execution import Program, run_programs
def size(): return int(re.search(r"VmRSS:\\s+(\\d+)", open("/proc/self/status").read())[1]) >> 10
programs = (Program(f"print('x' * 60_000)  # {i}") for i in range(900))
sizes = [size() for v in run_programs(programs, workers=2) if len(v.output) == 60_001]
print(len(sizes), sizes[-1] - sizes[300])
"""


def test_what_was_yielded_is_forgotten():
    env = os.environ | dict(PYTHONPATH=str(package_folder().parent))
    ran = subprocess.run([sys.executable, "-c", CHATTY], capture_output=True, text=True, timeout=120, env=env)
    number, growth = map(int, ran.stdout.split()[-2:])
    assert number == 900 and growth < 20, (growth, ran.stderr)


def test_answers_are_kept_for_the_next_like_them_up_to_a_bound():
    recent = execution._Recent(10_000)
    for i in range(100): recent.put(i, dict(status=PASSED, output="x" * 1000))
    assert recent.get(99) and not recent.get(0) and recent.size <= 10_000 and len(recent.answers) == 4
    recent.put(200, dict(output="x" * 20_000))
    assert recent.get(200) is None and recent.get(99)


# ---------------------------------------------------------------- the store

def rows(path): return sqlite3.connect(path).execute("select * from answers").fetchall()


def change(path, text):
    with sqlite3.connect(path) as connection: connection.execute("update answers set answer = ?", (text,))


ODD = [
    "not JSON", "", "[]", "3", "null", '{"status": "passed"}',
    '{"status": "glad", "detail": "", "output": "", "sandbox": ""}',
    '{"status": "passed", "detail": 3, "output": "", "sandbox": ""}',
    '{"status": "passed", "detail": "", "output": "", "sandbox": "", "value": {"no such": 1}}',
    "[" * 100_000, b"\xff\xfe", None, 7, '{"status": "passed"',
    '{"status": ["passed"], "detail": "", "output": "", "sandbox": ""}',
]


@pytest.mark.parametrize("row", ODD, ids=lambda row: repr(row)[:30])
def test_a_row_that_is_no_answer_is_asked_again(row, tmp_path):
    store, program = tmp_path/"kept.sqlite", Program("def f(): return 7", call=call_of("f"))
    first = verdicts([program], store=store)
    change(store, row)
    assert verdicts([program], store=store) == first and first[0].value == 7
    assert len(rows(store)) == 1 and json.loads(rows(store)[0][1])["status"] == PASSED


def test_a_row_that_describes_no_behaviour_is_asked_again(tmp_path):
    from evoselfcode.execution.behaviour import behaviours
    runner = Runner(workers=1, store=tmp_path/"kept.sqlite")
    ask = lambda: behaviours([("def f(x: int): return x + 1", "f")], runner=runner)
    first = ask()
    for odd in ({}, dict(observed=0), dict(observed="0", outputs=[]), dict(observed=0, outputs=3)):
        change(tmp_path/"kept.sqlite", json.dumps(dict(status=PASSED, detail="", output="", sandbox="") | odd))
        assert ask() == first and first[0].status == PASSED


SLOW = Program("import time\ntime.sleep(9)", seconds=0.3)


def test_a_timeout_is_kept_with_what_it_was_measured_under(tmp_path, monkeypatch):
    store = tmp_path/"kept.sqlite"
    monkeypatch.setattr(execution_workers.os, "getloadavg", lambda: (20.0, 9.0, 9.0))
    assert statuses([SLOW], store=store) == [TIMEOUT]
    (_, text), = rows(store)
    load, cores = pytest.approx(19 / os.cpu_count()), len(os.sched_getaffinity(0))
    assert json.loads(text)["under"] == dict(seconds=0.3, load=load, cores=cores)
    ran, real = [], execution_workers._Process.start
    def start(self, *args):
        ran.append(1)
        return real(self, *args)
    monkeypatch.setattr(execution_workers._Process, "start", start)
    assert statuses([SLOW], store=store) == [TIMEOUT] and not ran                        # as busy as then
    monkeypatch.setattr(execution_workers.os, "getloadavg", lambda: (0.1, 9.0, 9.0))
    assert statuses([SLOW], store=store) == [TIMEOUT] and len(ran) == 1                  # quieter
    assert statuses([SLOW], store=store) == [TIMEOUT] and len(ran) == 1                  # no quieter than that
    under = json.loads(rows(store)[0][1])
    for odd in (None, 3, {}, dict(load="much", cores=1), dict(under["under"], cores=0)):
        change(store, json.dumps(under | dict(under=odd)))
        ran.clear()
        assert statuses([SLOW], store=store) == [TIMEOUT] and len(ran) == 1, odd


def test_a_verifier_that_computes_for_ever_was_out_of_time(tmp_path):
    store, endless = tmp_path/"kept.sqlite", Program("def f(): return 10 ** 9", "assert 7 ** f()", seconds=0.2)
    assert statuses([endless, RIGHT], store=store) == [TIMEOUT, PASSED]
    late = [answer for _, text in rows(store) if (answer := json.loads(text))["status"] == TIMEOUT]
    assert [answer.get("under", {}).get("seconds") for answer in late] == [0.2]


def test_timeouts_are_asked_again_on_purpose(tmp_path):
    store = tmp_path/"kept.sqlite"
    assert statuses([SLOW, RIGHT], store=store) == [TIMEOUT, PASSED]
    VerdictStore(store).forget_timeouts()
    assert [json.loads(text)["status"] for _, text in rows(store)] == [PASSED]


def test_an_evaluation_asks_on_purpose(tmp_path, monkeypatch):
    from evoselfcode.config import load_config
    from evoselfcode.evaluation.suite import run_suite
    config = load_config(None, [f"paths.root={tmp_path}", "execution.recheck=timeout"])
    store = VerdictStore(config.path("data/eval/verdicts.sqlite"))
    late = dict(status=TIMEOUT, detail="", output="", sandbox="", under=dict(seconds=1, load=9, cores=1))
    store.put(b"late", late)
    store.put(b"right", late | dict(status=PASSED, under=None))
    store.put(b"passed", dict(status=PASSED, detail="", output="", sandbox=""))
    run_suite((), config)
    assert [job for job, _ in rows(store.path)] == [b"passed"]
    done = warm.evoselfcode("eval", "humaneval", "--recheck", "failed")
    assert done.returncode == 2 and len(done.stderr.splitlines()) == 1
    assert done.stderr.startswith("error: ") and "recheck" in done.stderr


def in_humaneval(code, seconds):
    call = call_of("run", code, seconds, [])
    return Program("from harnesses.humaneval import run", call=call, seconds=seconds + 9)


HARNESSES = [("humaneval", in_humaneval)]


@pytest.mark.parametrize("name, program", HARNESSES, ids=[name for name, _ in HARNESSES])
def test_a_timeout_inside_a_harness_counts_as_one(name, program, tmp_path):
    "Out of time with nothing computed may be the machine's doing: run again, alone, and kept as a time-out is."
    waits, spins = program("import time\ntime.sleep(9)", 0.4), program("while True: pass", 0.4)
    started = []
    class Pool(execution_workers._Pool):
        def is_final(self, *args):
            started.append(final := super().is_final(*args))
            return final
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(execution, "_Pool", Pool)
        found = verdicts([waits, spins], store=tmp_path/"kept.sqlite")
    assert [v.value for v in found] == ["timed out"] * 2 and started.count(True) == 2 and False in started
    assert all("under" in json.loads(text) for _, text in rows(tmp_path/"kept.sqlite"))


@pytest.mark.parametrize("value, late", [
    ("timed out", True), ("passed", False), (["timeout", "no end"], True),
    (["fail", "input 3: TimeLimit: Timed out!"], True), (["fail", "input 3: -3 is not 4"], False),
    ([[True, -3], "Time"], True), ([[True, -2], "wrong"], False), ([[True, True], ""], False),
    (None, False), (-3, False), ([], False), ({"tuple": []}, False),
])
def test_harnesses_say_that_time_ran_out(value, late):
    asked = (
        "import json, sys\nsys.path.insert(0, sys.argv[1])\nfrom verifier import says_late\n"
        "print(says_late(json.loads(sys.argv[2])))"
    )
    words = [sys.executable, "-c", asked, str(package_folder()/"execution"/"sandbox"), json.dumps(value)]
    ran = subprocess.run(words, capture_output=True, text=True, timeout=60)
    assert ran.stdout == f"{late}\n", ran.stderr


def test_an_answer_that_comes_with_a_fault_is_not_lost():
    worker = execution_workers._Worker.__new__(execution_workers._Worker)
    ours, theirs = socket.socketpair()
    worker.line = execution_workers._Line(ours)
    worker.sandbox = worker.fault = ""
    worker.jobs = deque([("key", None), ("other", None)])
    for answer in (dict(status="passed"), dict(status="infra-error", detail="no child")):
        text = json.dumps(answer).encode()
        theirs.send(struct.pack(">I", len(text)) + text)
    assert [row[0] for row in worker.read()] == ["key"]
    assert worker.fault == "no child"
    assert [key for key, _ in worker.jobs] == ["other"]
    theirs.send(struct.pack(">I", len(text)) + text)
    assert worker.read() is None


def test_many_open_files_are_no_obstacle():
    kept = resource.getrlimit(resource.RLIMIT_NOFILE)
    if kept[1] < 1300: pytest.skip("this host allows few open files")
    resource.setrlimit(resource.RLIMIT_NOFILE, (1300, kept[1]))
    opened = []
    try:
        opened += [os.open(os.devnull, os.O_RDONLY) for _ in range(1100)]
        assert execution.layers()["standing"]
    finally:
        for fd in opened: os.close(fd)
        resource.setrlimit(resource.RLIMIT_NOFILE, kept)


@pytest.mark.parametrize("seconds", [-1, float("nan"), float("inf"), 1e12])
def test_a_time_that_cannot_be_meant_is_told(seconds):
    with pytest.raises(UserError, match="s for a program; give it more than 0"):
        verdicts([Program(RIGHT, TESTS, seconds=seconds)])


def test_an_exception_of_the_tests_may_be_called_anything():
    tests = "class M(type):\n    __name__ = property(lambda s: 5)\nclass E(Exception, metaclass=M): pass\nraise E('x')"
    found = verdicts([RIGHT, RIGHT], tests)
    assert [v.status for v in found] == [FAILED] * 2 and found[0].detail == "E: x"
