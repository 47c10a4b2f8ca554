"""Execution: verdicts on honest and hostile programs, and nothing left behind whatever happens to the caller."""
import os, signal, subprocess, sys, threading, time
from itertools import islice
from pathlib import Path
import pytest
from evoselfcode.constants import CRASHED, FAILED, MEMORY, PASSED, TIMEOUT, UserError
from evoselfcode.execution import execution
from evoselfcode.execution.execution import ExecutionFault, Limits, Program, run_programs, walls

pytestmark = pytest.mark.skipif(not sys.platform.startswith("linux"), reason="programs are executed on Linux only")
SHORT = Limits(seconds=1.5)


def run(code, tests="", limits=SHORT):
    return next(iter(run_programs([Program(code, tests)], limits, workers=1)))


def servers_of(pid):
    "Process ids of the servers, and all they started, that belong to `pid` (their session's leader is its child)."
    found = []
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = stat.read_text().rsplit(")", 1)[1].split()
            if b"zygote.py" in (stat.parent/"cmdline").read_bytes() and fields[0] != "Z": found.append((int(stat.parent.name), int(fields[1])))
        except (FileNotFoundError, ProcessLookupError): pass
    family = {pid}
    while new := {p for p, parent in found if parent in family} - family: family |= new
    return family - {pid}


def gone(pids, within=2.0):
    end = time.monotonic() + within
    def alive(p):
        try: return Path(f"/proc/{p}/stat").read_text().rsplit(")", 1)[1].split()[0] != "Z"
        except (FileNotFoundError, ProcessLookupError): return False
    while any(map(alive, pids)):
        if time.monotonic() > end: return False
        time.sleep(0.02)
    return True


@pytest.mark.parametrize("code, tests", [
    ("def f(x):\n    return x + 1", "assert f(1) == 2"),
    ("if __name__ == '__main__':\n    raise SystemExit(1)", ""),
    ("import sys\nsys.setrecursionlimit(20000)\ndef f(n):\n    return n and f(n - 1)", "assert f(9000) == 0"),
    ("s = 'naïve – 数 \U0001f600'\nprint(s, '\\ud800')", "assert len(s) == 11"),
    ("from dataclasses import dataclass\n@dataclass\nclass P:\n    x: 'int' = 1", "assert P().x == 1"),
    ("import threading\nt = [threading.Thread(target=str) for _ in range(20)]\n[x.start() for x in t]; [x.join() for x in t]", ""),
    ("import statistics, decimal, datetime, json, asyncio\nasync def g(): return 5", "assert asyncio.run(g()) == 5"),
    ("import sys\nassert sys.stdin.read() == ''", ""),
    ("b = bytearray(200 << 20)", ""),
    ("open('note.txt', 'w').write('x')", "assert open('note.txt').read() == 'x'"),
    ("import sys\nsys.stdout.buffer.write(b'raw')", ""),
    ("", ""),
])
def test_honest_programs_pass(code, tests):
    assert run(code, tests, Limits()).status == PASSED


@pytest.mark.parametrize("code, tests, status, detail", [
    ("def f(x):\n    return x", "assert f(1) == 2, 'wrong\\nanswer'", FAILED, "AssertionError: wrong answer"),
    ("def f(x) return x", "", FAILED, "SyntaxError"),
    ("import sys\nsys.exit(0)", "assert False", FAILED, "SystemExit: 0"),
    ("raise KeyboardInterrupt", "", FAILED, "KeyboardInterrupt"),
    ("class E(Exception):\n    def __str__(self): raise E\nraise E", "", FAILED, "E"),
    ("def f(n): return f(n + 1)", "f(0)", FAILED, "RecursionError"),
    ("x = input()", "", FAILED, "EOFError"),
    ("import os\nos._exit(0)", "assert False", CRASHED, "exit 0"),
    ("import os\nos._exit(7)", "", CRASHED, "exit 7"),
    ("import os, signal\nos.kill(os.getpid(), signal.SIGKILL)", "", CRASHED, "SIGKILL"),
    ("import ctypes\nctypes.string_at(0)", "", CRASHED, "SIGSEGV"),
    ("import os\nfor fd in range(3, 50):\n    try: os.write(fd, b'\\0\\0\\0\\x20' + b'x' * 16 + b'{\"status\": \"passed\"}')\n    except OSError: pass\nos._exit(0)", "", CRASHED, "tampered"),
    ("import os\nos.closerange(0, 100)", "", CRASHED, ""),
    ("while True: pass", "", TIMEOUT, "1.5 s"),
    ("import time\nwhile True:\n    try: time.sleep(99)\n    except BaseException: pass", "", TIMEOUT, ""),
    ("import signal, time\nfor s in set(signal.Signals) - {9, 19}: signal.signal(s, signal.SIG_IGN)\ntime.sleep(99)", "", TIMEOUT, ""),
    ("import re\nre.match('(a+)+$', 'a' * 40 + 'b')", "", TIMEOUT, ""),
    ("x = bytearray(10 ** 11)", "", MEMORY, "MemoryError"),
    ("x = []\nwhile True: x.append(bytearray(1 << 20))", "", MEMORY, "MemoryError"),
    ("open('big', 'wb').write(bytes(64 << 20))", "", FAILED, "OSError"),
    ("import os\nassert not set(os.environ) - {'PATH', 'LANG', 'HOME', 'PYTHONHASHSEED', 'MALLOC_ARENA_MAX'}\nassert False, 'clean'", "", FAILED, "clean"),
])
def test_programs_that_must_not_pass(code, tests, status, detail):
    verdict = run(code, tests, SHORT if status == TIMEOUT else Limits(seconds=20))
    assert verdict.status == status and detail in verdict.detail and "\n" not in verdict.detail


def test_output_is_kept_up_to_the_limit_and_reaches_no_terminal(capfd):
    verdict = run("import os\nfor i in range(200_000): print('line', i)\nos.write(1, b'x' * 10 ** 6)", limits=Limits(seconds=10, output_kb=2))
    assert verdict.passed and len(verdict.output) == 2048 and verdict.output.startswith("line 0\nline 1\n")
    assert capfd.readouterr() == ("", "")


def test_descriptors_environment_and_folder_are_its_own(tmp_path, monkeypatch):
    monkeypatch.setenv("API_KEY", "secret-value")
    secret = open(tmp_path/"secret", "w+")
    os.set_inheritable(secret.fileno(), True)
    verdict = run("import os\nprint(sorted(int(f) for f in os.listdir('/proc/self/fd'))[:-1], os.listdir('.'), os.getcwd(), os.environ.get('API_KEY'))")
    fds, rest = verdict.output.split("] [] ")
    assert fds == "[0, 1, 2, 3" and rest.endswith(" None\n")
    assert not Path(rest.split()[0]).exists()


def test_each_program_finds_an_empty_folder():
    leave = "import os\nos.makedirs('a/b')\nopen('a/b/c', 'w').write('x')\nos.chmod('a/b', 0)\nos.chmod('a', 0)\nos.symlink('/etc', 'link')\n"
    look = "import os\nassert os.listdir('.') == [], os.listdir('.')\n"
    programs = [Program(look + leave + f"# {i}") for i in range(6)]
    assert [v.detail for v in run_programs(programs, workers=1)] == [""] * 6
    assert Path("/etc/hostname").exists()


def test_children_left_behind_are_gone_with_the_verdict():
    code = "import os, time\nfor i in range(8):\n    if os.fork() == 0:\n        os.setsid()\n        if os.fork(): os._exit(0)\n        time.sleep(600)\n"
    verdicts = run_programs([Program(code), Program("import os\nprint(len([p for p in os.listdir('/proc') if p.isdigit()]))")], Limits(seconds=10), workers=1)
    assert next(verdicts).passed
    assert len(servers_of(os.getpid())) <= 3        # watcher, server, and perhaps the next program
    list(verdicts)
    assert not servers_of(os.getpid())


def test_fork_bomb_ends_with_its_time():
    bomb = "import os\nwhile True:\n    try: os.fork()\n    except OSError: pass"
    assert [v.status for v in run_programs([Program(bomb), Program("x = 1")], SHORT, workers=1)] == [TIMEOUT, PASSED]
    assert not servers_of(os.getpid())


@pytest.mark.skipif(sys.platform.startswith("linux") and not walls()["namespaces"], reason="the kernel grants no namespaces here")
def test_a_program_can_neither_kill_its_server_nor_call_out():
    code = "import os, signal\nfor pid in (os.getppid(), -1):\n    try: os.kill(pid, signal.SIGKILL)\n    except OSError: pass\n"
    net = "import socket\nsocket.create_connection(('127.0.0.1', {}), 1)"
    listener = socket_listener()
    verdicts = list(run_programs([Program(code), Program(net.format(listener.getsockname()[1])), Program("x = 1")], SHORT, workers=1))
    assert verdicts[0].status in (PASSED, CRASHED) and verdicts[1].status == FAILED and verdicts[2].passed


def socket_listener():
    import socket
    listener = socket.create_server(("127.0.0.1", 0))
    return listener


def test_order_and_deduplication():
    slow_first = [Program("import time\ntime.sleep(0.5)\nprint('slow')")] + [Program(f"print({i % 5})") for i in range(60)]
    assert [v.output for v in run_programs(slow_first, workers=2)] == ["slow\n"] + [f"{i % 5}\n" for i in range(60)]
    noise = Program("import os\nprint(os.urandom(8).hex())")
    assert len({v.output for v in run_programs([noise] * 50, workers=2)}) == 1
    assert len({v.output for v in run_programs([noise, Program(noise.code, "x = 1")], workers=2)}) == 2


def test_source_is_read_lazily_and_an_abandoned_run_leaves_nothing():
    taken = []
    def source():
        while True: taken.append(0); yield Program(f"print({len(taken)})")
    verdicts = run_programs(source(), workers=2)
    assert [v.output for v in islice(verdicts, 3)] == ["1\n", "2\n", "3\n"] and len(taken) <= 3 + 128
    pids = servers_of(os.getpid())
    assert pids
    verdicts.close()
    assert gone(pids)
    assert list(run_programs([])) == []


def test_an_error_in_the_source_is_raised_and_leaves_nothing():
    def source(): yield Program("x = 1"); raise ValueError("bad row")
    with pytest.raises(ValueError, match="bad row"): list(run_programs(source(), workers=2))
    assert not servers_of(os.getpid())


SCRIPT = """
import sys
from evoselfcode.execution.execution import Limits, Program, run_programs
def source():
    for i in range(50):
        if i == 4: print("started", flush=True)
        yield Program(f"import os, time\\nif os.fork() == 0: os.setsid()\\nwhile True: time.sleep(9)  # {i}")
try:
    for v in run_programs(source(), Limits(seconds=60), workers=2): pass
except KeyboardInterrupt: print("interrupted", flush=True); sys.exit(3)
"""


@pytest.mark.parametrize("signum", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL])
def test_nothing_survives_the_caller(signum):
    caller = subprocess.Popen([sys.executable, "-c", SCRIPT], stdout=subprocess.PIPE, text=True, start_new_session=True)
    assert caller.stdout.readline() == "started\n"
    end = time.monotonic() + 20
    while len(pids := servers_of(caller.pid)) < 8 and time.monotonic() < end: time.sleep(0.05)     # 2 x (watcher, server, program, its child)
    assert len(pids) >= 8
    homes = [a for p in pids for a in Path(f"/proc/{p}/cmdline").read_text().split("\0") if "evoselfcode-" in a]
    caller.send_signal(signum)
    assert gone(pids)
    assert caller.wait(5) == {signal.SIGINT: 3, signal.SIGTERM: -15, signal.SIGKILL: -9}[signum]
    time.sleep(0.3)
    assert homes and not any(Path(h).exists() for h in homes)


def test_a_server_that_dies_is_replaced_and_its_programs_run_again():
    verdicts = run_programs((Program(f"import time\ntime.sleep(0.05)\nprint({i})") for i in range(80)), Limits(), workers=2)
    first = next(verdicts)
    parents = {p: int(Path(f"/proc/{p}/stat").read_text().rsplit(")", 1)[1].split()[1]) for p in servers_of(os.getpid())}
    victim = next(p for p, parent in parents.items() if parents.get(parent) == os.getpid())
    os.kill(victim, signal.SIGKILL)
    outputs = [first.output] + [v.output for v in verdicts]
    assert outputs == [f"{i}\n" for i in range(80)]


def test_broken_machinery_raises_and_is_no_verdict(monkeypatch, tmp_path):
    (tmp_path/"execution").mkdir()
    (tmp_path/"execution"/"zygote.py").write_text("raise RuntimeError('no such machine')")
    monkeypatch.setattr(execution, "package_folder", lambda: tmp_path)
    with pytest.raises(ExecutionFault, match="no such machine"): list(run_programs([Program("x = 1")]))


def test_other_systems_are_told_what_to_do(monkeypatch):
    monkeypatch.setattr(sys, "platform", "darwin")
    with pytest.raises(UserError, match="Docker"): list(run_programs([Program("x = 1")]))


def test_from_a_thread_beside_busy_threads():
    stop, found = threading.Event(), []
    busy = [threading.Thread(target=lambda: [sum(range(1000)) for _ in iter(stop.is_set, True)]) for _ in range(3)]
    for t in busy: t.start()
    worker = threading.Thread(target=lambda: found.extend(run_programs([Program(f"x = {i}") for i in range(40)], workers=2)))
    worker.start(); worker.join(60); stop.set()
    assert len(found) == 40 and all(v.passed for v in found)


def test_soak_of_mixed_programs_gives_the_same_verdicts_twice():
    kinds = ["x = {0}", "assert {0} < 0", "import os; os._exit({0} % 5)", "raise SystemExit({0})", "x = bytearray(10 ** 11 + {0})", "def f(:  # {0}"]
    programs = [Program(kinds[i % len(kinds)].format(i)) for i in range(300)]
    expected = [PASSED, FAILED, CRASHED, FAILED, MEMORY, FAILED] * 50
    assert [v.status for v in run_programs(programs, workers=2)] == expected
