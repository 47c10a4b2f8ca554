"""The kernel's layers: what attacks and honest programs meet behind them.

Tried for real in every environment that can be made here."""
import json
import os
import shutil
import socket
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

if not sys.platform.startswith("linux"): pytest.skip("the layers are built on Linux only", allow_module_level=True)
from layer_attacks import ATTACKS, ENDS, HELPERS, HONEST, IN_FOLDER, WITH_PROCESSES
from test_seccomp import NEVER, NEWER, TABLES, number_of

from evoselfcode.execution.sandbox import isolation

LAYERED = Path(__file__).parent/"layered.py"
PACKAGE = os.path.dirname(isolation.__file__)
ROOT = os.geteuid() == 0

# environment: who runs (drop: root that becomes nobody; stay: whoever one is; container: root without CAP_SYS_ADMIN;
# ordinary: user 1000), with which layers, which version of Landlock at most, and whether mounts are made as on today's
# kernels
FULL = dict(user="drop", namespaces=True, root=True, abi=None, modern=True)
ENVIRONMENTS = {
    "root": FULL,
    "root, old kernel": dict(FULL, abi=1, modern=False),
    "root, no Landlock": dict(FULL, abi=0),
    "root, no namespaces": dict(FULL, namespaces=False, root=False),
    "root, Landlock 1 alone": dict(FULL, namespaces=False, root=False, abi=1),
    "root who stays root": dict(FULL, user="stay", namespaces=False, root=False),
    "root, user namespace": dict(FULL, user="container"),
    "root, no own root": dict(FULL, root=False),
    "user": dict(FULL, user="ordinary", namespaces=False, root=False),
    "user, Landlock 1": dict(FULL, user="ordinary", namespaces=False, root=False, abi=1),
    "user, Landlock 4": dict(FULL, user="ordinary", namespaces=False, root=False, abi=4),
    "user, user namespace": dict(FULL, user="ordinary"),
    "user, user namespace, old kernel": dict(FULL, user="ordinary", abi=1, modern=False),
}


@pytest.fixture(scope="module")
def place():
    "A secret that anybody may read and write, a folder to work in, a listener, a process: all that must stay as it is."
    with tempfile.TemporaryDirectory(prefix="layers-") as name, socket.create_server(("127.0.0.1", 0)) as server, \
            socket.socket(socket.AF_UNIX) as local, subprocess.Popen(["sleep", "600"]) as victim:
        local.bind("\0" + os.path.basename(name))
        local.listen()
        secret, folder = Path(name, "secret"), Path(name, "work")
        secret.write_text("not for you")
        folder.mkdir()
        for path, mode in ((name, 0o755), (secret, 0o666), (folder, 0o777)): os.chmod(path, mode)
        yield dict(
            secret=str(secret), folder=str(folder), port=server.getsockname()[1], unix="\0" + os.path.basename(name),
            victim=victim,
        )
        victim.kill()


def behind(environment, profile, rows, place):
    "Run snippets behind the layers of an environment; skips where this machine cannot make it."
    task = ENVIRONMENTS[environment]
    if not ROOT and environment.startswith("root"): pytest.skip("needs root")
    if task["abi"] is None and not task["root"] and not isolation.landlock_version():
        pytest.skip("this kernel has no Landlock")
    if (task["abi"] or 0) > isolation.landlock_version(): pytest.skip("this kernel's Landlock is older")
    before = state(place)
    folder = "/tmp" if task["root"] else place["folder"]
    names = [*NEVER, *NEWER, *(row.split()[0] for row in ",".join(TABLES).split(","))]
    numbers = {n: number_of(n) for n in names if number_of(n) is not None}
    full = dict(
        task, profile=profile, rows=rows, helpers=HELPERS, secret=place["secret"], folder=folder, port=place["port"],
        unix=place["unix"], victim=place["victim"].pid, numbers=numbers, package=PACKAGE,
        needed=[sys.prefix, sys.base_prefix, PACKAGE],
    )
    ran = subprocess.run(
        [sys.executable, "-P", "-s", "-S", LAYERED, json.dumps(full)], capture_output=True, text=True, timeout=300,
        cwd="/", env=dict(PATH="/usr/bin:/bin", HOME="/tmp", LANG="C.UTF-8", MALLOC_ARENA_MAX="1"),
    )
    if task["namespaces"] and "namespaces:" in ran.stderr:
        pytest.skip("this kernel gives no namespaces here: " + ran.stderr.strip().splitlines()[-1])
    assert ran.returncode == 0, ran.stderr
    answer = json.loads(ran.stdout.splitlines()[-1])
    assert state(place) == before, "something outside was touched"
    for entry in Path(place["folder"]).iterdir(): shutil.rmtree(entry) if entry.is_dir() else entry.unlink()
    return answer["said"], answer["results"]


def wrong(results, expected):
    "The outcomes that are not among the expected ones, one on a line."
    found = []
    for name, got in results.items():
        wanted = expected.get(name, "ok")
        if got != wanted and got not in wanted.split(): found.append(f"{name}: {got}, expected {wanted}")
    return "\n".join(found)


def state(place):
    "What must not change."
    look = os.stat(place["secret"])
    neighbours = sorted(os.listdir(os.path.dirname(place["secret"])))
    return (
        Path(place["secret"]).read_text(), look.st_mode, look.st_mtime_ns, look.st_nlink, look.st_uid,
        place["victim"].poll(), neighbours,
    )


@pytest.mark.parametrize("environment", ENVIRONMENTS)
def test_pure_attacks_meet_errors(environment, place):
    said, results = behind(environment, "pure", {name: code for name, (code, _) in ATTACKS.items()}, place)
    expected = {name: right for name, (_, right) in ATTACKS.items()}
    assert not wrong(results, expected)


@pytest.mark.parametrize("environment", ENVIRONMENTS)
def test_pure_honest_programs_notice_nothing(environment, place):
    said, results = behind(environment, "pure", HONEST, place)
    print(environment, said)                          # with -s: what the layers cost
    assert not wrong(results, ENDS)


@pytest.mark.parametrize("environment", ENVIRONMENTS)
@pytest.mark.parametrize("profile", ["files", "libs"])
def test_a_folder_of_its_own(environment, profile, place):
    rows = {**IN_FOLDER, **WITH_PROCESSES} if profile == "libs" else IN_FOLDER
    said, results = behind(environment, profile, {name: row[0] for name, row in rows.items()}, place)
    own = ENVIRONMENTS[environment]["root"]
    expected = {name: row[1 if own else 2] for name, row in rows.items()}
    # signals cannot leave Landlock's domain
    if not own and (said["namespaces"] or said["landlock"] >= isolation.SCOPES_SINCE): expected["kill own child"] = "ok"
    # Landlock learnt to allow it in version 2
    if ENVIRONMENTS[environment]["abi"] == 1: expected["move between folders"] = "EXDEV"
    assert not wrong(results, expected)


@pytest.mark.parametrize("environment", ENVIRONMENTS)
def test_layers_are_told_truly(environment, place):
    said, results = behind(environment, "pure", {"nothing": ""}, place)
    task = ENVIRONMENTS[environment]
    assert said["landlock"] == isolation.landlock_version(task["abi"])
    assert bool(said["namespaces"]) == task["namespaces"]
    assert ("user" in said["namespaces"]) == (task["namespaces"] and task["user"] in ("ordinary", "container"))
    assert said["capabilities"] in (0, 1 << isolation.DAC_READ_SEARCH)
    users = dict(drop=60001, ordinary=1000 if ROOT else os.getuid(), stay=os.getuid(), container=0)
    assert said["uid"] == users[task["user"]]
    assert said["oom"] is True


# ---------------------------------------------------------------- one layer at a time

def alone(code, root=True):
    "Run a text in a fresh interpreter that has `layers`; what it prints."
    if root and not ROOT: pytest.skip("needs root")
    head = f"import sys; sys.path.insert(0, {PACKAGE!r}); import ctypes, errno, os, isolation\n"
    command = [sys.executable, "-P", "-s", "-S", "-c", head + code]
    ran = subprocess.run(command, capture_output=True, text=True, timeout=60, cwd="/")
    if "namespaces:" in ran.stderr: pytest.skip("this kernel gives no namespaces here")
    assert ran.returncode == 0, ran.stderr
    return ran.stdout.split()


@pytest.mark.parametrize("modern", [True, False])
def test_links_and_odd_names_in_the_new_root(modern, tmp_path):
    real = tmp_path/"a real\\one"/"lib"
    real.mkdir(parents=True)
    (real/"text").write_text("seen")
    (tmp_path/"beside").write_text("unseen")
    (tmp_path/"link").symlink_to(tmp_path/"a real\\one"), (tmp_path/"second").symlink_to("link/lib")
    assert alone(f"""
isolation.enter_namespaces()
isolation.private_root([{str(tmp_path / 'second')!r}], modern={modern})
print(open({str(tmp_path / 'second' / 'text')!r}).read(), os.path.exists({str(tmp_path / 'beside')!r}))
print(os.getcwd(), *os.listdir('/'))
for path in ({str(real / 'text')!r}, '/x', '/tmp/x', '/dev/x'):
    try: open(path, 'w'); print('written')
    except OSError as error: print(errno.errorcode[error.errno])
open('/dev/null', 'w').write('x')
""") == ["seen", "False", "/", "dev", "tmp"] + ["EROFS"] * 4


@pytest.mark.parametrize("modern", [True, False])
def test_what_shows_inside_the_folder_is_closed(modern, tmp_path):
    deep = tmp_path/"way"/"lib"
    deep.mkdir(parents=True)
    (deep/"text").write_text("seen")
    folder = tmp_path.parent
    assert alone(f"""
isolation.enter_namespaces()
isolation.private_root([{str(deep)!r}], writable_mb=1, folders=[{str(folder)!r}], modern={modern})
print(open({str(deep / 'text')!r}).read(), *os.listdir({str(folder)!r}))
for path in ({str(deep / 'x')!r}, {str(deep.parent / 'x')!r}, {str(tmp_path / 'x')!r}, {str(folder / 'x')!r}):
    try: open(path, 'w').close(); print('written')
    except OSError as error: print(errno.errorcode[error.errno])
""") == ["seen", tmp_path.name, "EROFS", "EROFS", "EROFS", "written"]


def test_a_refused_root_leaves_the_old_one():
    assert alone("""
isolation.enter_namespaces()
before = sorted(os.listdir('/'))
try: isolation.private_root(isolation.interpreter_paths(), texts={'/usr/no/such': ''})
except OSError as error: print(errno.errorcode[error.errno])
print(sorted(os.listdir('/')) == before, os.path.exists('/proc/self'))
try: isolation.private_root(['/no/such/path'])
except FileNotFoundError as error: print(error.filename)
import colorsys
""") == ["EROFS", "True", "True", "/no/such/path"]


def test_the_machine_keeps_its_mounts():
    before = Path("/proc/self/mountinfo").read_text()
    alone("isolation.enter_namespaces(); isolation.private_root(['/usr'], writable_mb=1)")
    assert Path("/proc/self/mountinfo").read_text() == before


def test_the_folder_is_bounded():
    assert alone("""
isolation.enter_namespaces()
isolation.private_root([], writable_mb=1, folders=['/deep/work'], inodes=10)
made = 0
try:
    for made in range(100): open(f'/deep/work/{made}', 'w').close()
except OSError as error: print(errno.errorcode[error.errno], made < 10)
print(oct(os.stat('/deep/work').st_mode), os.path.exists('/tmp'))
""")[:2] == ["ENOSPC", "True"]


@pytest.mark.skipif(os.uname().machine != "x86_64", reason="tried on x86_64 only")
def test_the_interpreter_runs_from_huge_pages():
    moved, lay, lies, more = alone("""
import huge_pages
start, end = huge_pages.code_of_interpreter()
def file_of(at):
    return next(path for first, last, _, _, path in huge_pages.mappings() if first <= at < last) or 'nothing'
lay = file_of(start)
moved = huge_pages.move_code(start, end)
import decimal, json
print(moved, lay, file_of(start) if moved else 'nothing', json.dumps(str(decimal.Decimal(2).sqrt())))
""", root=False)
    assert "python" in lay and lies == "nothing" and more == '"1.414213562373095048801688724"'


def test_the_interpreter_stays_where_it_is_without_memory():
    assert alone("""
import huge_pages, resource
start, end = huge_pages.code_of_interpreter()
resource.setrlimit(resource.RLIMIT_AS, (1 << 20, -1))
print(huge_pages.move_code(start, end), sum(range(10)))
""", root=False) == ["False", "45"]


def test_nothing_is_left_in_hand():
    assert alone("""
print(isolation.drop_privileges(60001), os.getresuid() == os.getresgid() == (60001,) * 3, os.getgroups())
isolation.no_new_privs(); isolation.not_dumpable()
status = dict(line.split(':', 1) for line in open('/proc/self/status'))
print(*(int(status['Cap' + kind], 16) for kind in ('Inh', 'Prm', 'Eff', 'Bnd', 'Amb')), status['NoNewPrivs'])
""") == "0 True [] 0 0 0 0 0 1".split()


def test_siblings_cannot_trace_each_other():
    if not isolation.landlock_version(): pytest.skip("this kernel has no Landlock")
    said = alone("""
import time
def trace(own):
    asleep = os.fork()
    if not asleep: own and isolation.enter_domain(domain); time.sleep(9); os._exit(0)
    tracer = os.fork()
    if not tracer:
        if own: isolation.enter_domain(domain)
        time.sleep(0.2)
        os._exit(isolation.libc.ptrace(16, asleep, 0, 0) == 0)
    status = os.waitstatus_to_exitcode(os.waitpid(tracer, 0)[1])
    os.kill(asleep, 9); os.waitpid(asleep, 0)
    return status
isolation.no_new_privs()
isolation.landlock(isolation.interpreter_paths())
domain = isolation.own_domain()
print(trace(False), trace(True))
""", root=False)
    assert said in (["1", "0"], ["0", "0"])           # where all tracing is forbidden (Yama), the first fails too


@pytest.mark.parametrize("abi", [1, 2, 3, 4, 5, 6, 7])
def test_landlock_takes_every_version(abi):
    if isolation.landlock_version() < abi: pytest.skip("this kernel's Landlock is older")
    assert alone(f"""
isolation.no_new_privs()
print(isolation.landlock(isolation.interpreter_paths(), ['/dev/null'], abi={abi}))
print(isolation.enter_domain(isolation.own_domain(['/dev/null'], abi={abi})))
open('/dev/null', 'w').close()
for name in ('/etc/hostname', '/dev/zero'):
    try: open(name); print('read')
    except PermissionError: print('no')
""", root=False) == [str(abi), "True", "no", "no"]


def test_an_interpreter_is_readable_and_no_home(monkeypatch):
    paths = isolation.interpreter_paths()
    assert all(os.path.exists(path) for path in paths)
    assert isolation.inside(os.path.dirname(os.path.realpath(os.__file__)), list(map(os.path.realpath, paths)))
    for home in ("/root", "/home", "/etc", "/etc/passwd", os.path.expanduser("~")):
        assert not isolation.inside(home, list(map(os.path.realpath, paths)))
    monkeypatch.setenv("HOME", os.path.realpath(sys.base_prefix))
    assert not isolation.inside(os.environ["HOME"], list(map(os.path.realpath, isolation.interpreter_paths())))


def test_a_child_dies_with_its_parent():
    assert alone("""
import time
isolation.subreaper()
read, write = os.pipe()
middle = os.fork()
if not middle:
    if not os.fork():
        isolation.drop_privileges(60001); isolation.die_with_parent()
        os.write(write, b'x'); time.sleep(30); os._exit(0)
    os.read(read, 1); os._exit(0)
os.waitpid(middle, 0)
print(os.waitstatus_to_exitcode(os.wait()[1]))
try: isolation.die_with_parent(1 << 30)
except ProcessLookupError: print('gone')
""") == ["-9", "gone"]
