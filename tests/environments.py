"""Run all attacks and all harmless programs in one kind of environment, and print verdicts and traces as JSON.

Started as a program, `python environments.py NAME`: a test process must not itself lose its rights or become the
parent of strays.
NAME: `as-is`; as root `docker` (fourteen capabilities, no namespaces), `user` (an ordinary user, no namespaces),
`user-with-namespaces`.
`--probe` only tells whether the environment can be made; `--engine MODULE` attacks another module with the same
interface.
"""
import ctypes
import fcntl
import hashlib
import importlib
import json
import os
import platform
import secrets
import selectors
import shutil
import signal
import socket
import stat
import struct
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

libc = ctypes.CDLL(None, use_errno=True)
NAMES = ("as-is", "docker", "user", "user-with-namespaces")
USER = 1000                       # becomes an ordinary user's number; it need not exist
NEW_SPACES = 0x7E020000           # the flags of clone and unshare that ask for new namespaces
MARK = "evil-"                    # how the names of all files that an attack makes begin


# ---------------------------------------------------------------- the world to attack, and what is found in it later

class World:
    "Canaries, secrets, listeners and a victim; outside of all that a sandbox has to show."
    def __init__(self):
        ctypes.CDLL(None).prctl(36, 1, 0, 0, 0)                       # orphans come to us, so that none is overlooked
        self.tag, self.touched = secrets.token_hex(4), set()
        top = next((p for p in ("/var/tmp", "/opt", os.path.expanduser("~"), "/tmp") if os.access(p, os.W_OK)))
        self.folder = Path(tempfile.mkdtemp(prefix="world-", dir=top))
        self.secret, self.bytes = f"secret-{secrets.token_hex(16)}", secrets.token_bytes(64)
        secret = self.secret.encode()
        for name, data, mode in [
            ("canary", self.bytes, 0o666), ("spare", b"spare", 0o666), ("secret", secret, 0o644),
            ("private", secret, 0o600), ("canary_module.py", f"TEXT = {self.secret!r}".encode(), 0o644),
        ]:
            (self.folder/name).write_bytes(data)
            (self.folder/name).chmod(mode)
            os.utime(self.folder/name, (10 ** 9, 10 ** 9))
        (self.folder/"empty").mkdir()
        self.folder.chmod(0o777)                                      # no program is stopped by a file's mode alone
        os.environ["SERVICE_TOKEN"] = self.secret
        self.listen()
        self.victim = subprocess.Popen(
            [shutil.which("sleep"), "900"], env={}, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        self.inherited = []
        for lowest in (40, 200):                                      # descriptors that a careless child would inherit
            with open(self.folder / f"inherited{lowest}", "w+b") as file:
                self.inherited.append(fcntl.fcntl(file, fcntl.F_DUPFD, lowest))
        time.sleep(0.05)
        self.before = self.look()

    def listen(self):
        "Note every contact with our sockets."
        self.selector, self.sockets = selectors.DefaultSelector(), []
        def add(name, kind, family, address):
            s = socket.socket(family, kind)
            s.bind(address)
            if kind == socket.SOCK_STREAM: s.listen()
            s.setblocking(False)
            self.selector.register(s, selectors.EVENT_READ, name)
            self.sockets.append(s)
            return s.getsockname()[1] if family == socket.AF_INET else address
        self.unix = str(self.folder/"unix")
        self.tcp = add("tcp", socket.SOCK_STREAM, socket.AF_INET, ("127.0.0.1", 0))
        self.udp = add("udp", socket.SOCK_DGRAM, socket.AF_INET, ("127.0.0.1", 0))
        add("unix", socket.SOCK_STREAM, socket.AF_UNIX, self.unix)
        add("abstract", socket.SOCK_STREAM, socket.AF_UNIX, f"\0abstract-{self.tag}")
        add("datagram", socket.SOCK_DGRAM, socket.AF_UNIX, self.unix + ".datagrams")
        for name in ("unix", "unix.datagrams"): (self.folder/name).chmod(0o777)
        def watch():
            while self.selector.get_map():
                for key, _ in self.selector.select(0.2):
                    try:
                        if key.fileobj.type == socket.SOCK_STREAM: key.fileobj.accept()[0].close()
                        else: key.fileobj.recv(999)
                    except OSError: continue
                    self.touched.add(key.data)
        threading.Thread(target=watch, daemon=True).start()

    def fill(self, text):
        "Put the names of this world into an attack's text."
        names = dict(
            CANARY=self.folder/"canary", SECRET=self.folder/"secret", PRIVATE=self.folder/"private",
            FOLDER=self.folder, TCP=self.tcp, UDP=self.udp, UNIX=self.unix, ABSTRACT=f"abstract-{self.tag}",
            VICTIM=self.victim.pid, PID=os.getpid(), ENVNAME="SERVICE_TOKEN", TAG=self.tag,
            SECRET_HASH=hashlib.sha256(self.secret.encode()).hexdigest(),
        )
        for word, value in names.items(): text = text.replace(f"@{word}@", str(value))
        return text

    def look(self):
        "All that must not change."
        seen = {}
        for name in ("canary", "spare", "secret", "private", "canary_module.py", "empty", ""):
            path = self.folder/name
            try:
                s = path.stat()
                content = path.read_bytes() if stat.S_ISREG(s.st_mode) else sorted(os.listdir(path))
                seen[f"folder {name}" if stat.S_ISDIR(s.st_mode) else f"canary {name}"] = [
                    oct(s.st_mode), s.st_uid, s.st_gid, s.st_nlink, s.st_ino, s.st_dev, s.st_mtime_ns,
                    os.listxattr(path), content,
                ]
            except OSError as error: seen[f"canary {name}"] = repr(error)
        ours = str(ctypes.c_int(int(self.tag, 16)).value)             # the key under which an attack makes them
        for kind in ("shm", "sem", "msg"):
            try: keys = [line.split()[0] for line in open(f"/proc/sysvipc/{kind}")]
            except OSError: continue
            seen[f"sysv {kind}"] = [key for key in keys if key == ours]
        pid = self.victim.pid
        state = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
        seen |= {
            "victim": state[0] in "SRD" and self.victim.poll() is None,
            "nice of the victim": state[16],
            "affinity of the victim": sorted(os.sched_getaffinity(pid)) if state[0] != "Z" else [],
            "limits of the victim": Path(f"/proc/{pid}/limits").read_text(),
            "host name": os.uname().nodename,
        }
        seen["inherited descriptors"] = [os.fstat(fd).st_size for fd in self.inherited]
        return seen

    def strays(self):
        "Processes that descend from this one, the victim apart."
        parents = {}
        for path in Path("/proc").glob("[0-9]*/stat"):
            try: fields = path.read_text().rsplit(")", 1)[1].split()
            except (FileNotFoundError, ProcessLookupError): continue
            parents[int(path.parent.name)] = int(fields[1]), fields[0]
        ours = {os.getpid()}
        while new := {pid for pid, (parent, _) in parents.items() if parent in ours} - ours: ours |= new
        return sorted(pid for pid in ours - {os.getpid(), self.victim.pid} if parents[pid][1] != "Z")

    def made(self):
        "Files that attacks made, and folders that the engine left, wherever anyone may write."
        places = [
            self.folder, "/", "/tmp", "/var/tmp", "/dev/shm", "/dev/mqueue", "/run", os.path.expanduser("~"), ".",
            tempfile.gettempdir(), os.path.dirname(os.__file__), Path(__file__).parent,
        ]
        found = set()
        for place in places:
            try: names = os.listdir(place)
            except OSError: continue
            left = [n for n in names if MARK in n and self.tag in n or n.startswith(f"evoselfcode-{os.getpid()}-")]
            found |= {os.path.join(os.path.realpath(place), n) for n in left}
        return sorted(found)

    def traces(self, texts=()):
        "Every harm that was done, in words; `texts` are all that the engine handed out."
        after, found = self.look(), [f"{name} touched" for name in sorted(self.touched)]
        for name, was in self.before.items():
            now = after.get(name)
            if now != was: found.append(f"{name} changed: {str(was)[:300]} -> {str(now)[:300]}")
        found += [f"file made: {path}" for path in self.made()]
        found += [f"stray process {pid}" for pid in self.strays()]
        told = [text for text in texts if self.secret in text or self.secret[:20] in text]
        return found + [f"secret in a verdict: {text[:80]!r}" for text in told]

    def close(self):
        for s in self.sockets:
            self.selector.unregister(s)
            s.close()
        for pid in self.strays(): os.kill(pid, 9)
        for path in self.made():
            shutil.rmtree(path) if os.path.isdir(path) and not os.path.islink(path) else os.unlink(path)
        for fd in self.inherited: os.close(fd)
        self.victim.kill()
        self.victim.wait()
        while libc.umount2(bytes(self.folder/"empty"), 2) == 0: pass  # never delete through a mount
        del os.environ["SERVICE_TOKEN"]
        shutil.rmtree(self.folder, ignore_errors=True)


LEFT = """
import json, os, random, re, struct, tempfile
def names(place):
    try: return os.listdir(place)
    except OSError: return []
def f(x):
    places = {'..', '/tmp', '/var/tmp', '/dev/shm', tempfile.gettempdir()}
    return os.listdir('.'), [n for p in places for n in names(p) if '@TAG@' in n]
"""
# what is run after each attack, and must pass
AFTER = {"pure": ("def f(x): return x + 1", "assert f(1) == 2"), "files": (LEFT, "assert f(1) == ([], [])")}


def attacks_in(name):
    "The attacks for an environment: those that only the clock ends are tried in one of them."
    from attacks import ATTACKS
    return [attack for attack in ATTACKS if name == "as-is" or not attack.clock]


def run_all(engine, attacks, world, workers=2):
    """Run all attacks, each followed by an honest program that must still pass, and yield a row (a dict) for each.

    Programs with the same limits go through the engine together, in order, so that what one leaves behind the next
    would meet.
    """
    groups = {}
    for attack in attacks: groups.setdefault((attack.profile, attack.seconds), []).append(attack)
    for (profile, seconds), group in groups.items():
        # refused here; who asks finds no row
        if engine.layers(engine.Limits(profile=profile, allow_unsandboxed=True))["weak"]: continue
        names, programs = [], []
        for attack in group:
            code, tests, context = map(world.fill, (attack.code, attack.tests, attack.context))
            names.append(attack.name)
            programs.append(engine.Program(code, tests, context=context, trusted=attack.trusted))
            if attack.kind != "honest":
                names.append(f"after {attack.name}")
                programs.append(engine.Program(f"{world.fill(AFTER[profile][0])}  # {len(names)}", AFTER[profile][1]))
        verdicts = engine.run_programs(programs, engine.Limits(seconds=seconds, profile=profile), workers=workers)
        for name, verdict in zip(names, verdicts, strict=True):
            yield dict(name=name, status=verdict.status, detail=verdict.detail, output=verdict.output[:2000])


# ---------------------------------------------------------------- the environments

def check(result, what):
    if result != 0: raise OSError(ctypes.get_errno(), f"{what}: {os.strerror(ctypes.get_errno())}")


def forbid_namespaces():
    """Show the kernel as a container without rights sees it.

    A filter answers EPERM to everything about namespaces and mounts, and ENOSYS to clone3.
    """
    arch, clone, denied = {  # unshare, setns, mount, umount2, pivot_root, chroot is left
        "x86_64": (0xC000003E, 56, (272, 308, 165, 166, 155)),
        "aarch64": (0xC00000B7, 220, (97, 268, 40, 39, 41)),
    }[platform.machine()]
    denied += (428, 429, 430, 431, 432, 433, 442)                     # the new calls for mounts
    allow = 0x7FFF0000
    refuse, missing = 0x00050000 | 1, 0x00050000 | 38
    steps = [(0x20, 0, 0, 4), (0x15, 1, 0, arch), (0x06, 0, 0, allow), (0x20, 0, 0, 0)]
    for number in denied: steps += [(0x15, 0, 1, number), (0x06, 0, 0, refuse)]
    steps += [
        (0x15, 0, 1, 435), (0x06, 0, 0, missing), (0x15, 0, 3, clone), (0x20, 0, 0, 16), (0x45, 0, 1, NEW_SPACES),
        (0x06, 0, 0, refuse), (0x06, 0, 0, allow),
    ]
    code = ctypes.create_string_buffer(b"".join(struct.pack("HBBI", *step) for step in steps))
    program = ctypes.create_string_buffer(struct.pack("HxxxxxxP", len(steps), ctypes.addressof(code)))
    # only an administrator may, unless new privileges are given up first
    if libc.prctl(22, 2, program, 0, 0) == 0: return
    check(libc.prctl(38, 1, 0, 0, 0), "no_new_privs")
    check(libc.prctl(22, 2, program, 0, 0), "seccomp")


def keep_container_capabilities():
    "Give up all capabilities but those that a container's root has by default."
    kept = sum(1 << c for c in (0, 1, 3, 4, 5, 6, 7, 8, 10, 13, 18, 27, 29, 31))
    for c in range(64):
        if not kept >> c & 1: libc.prctl(24, c, 0, 0, 0)
    check(libc.capset(struct.pack("II", 0x20080522, 0), struct.pack("6I", kept, kept, 0, 0, 0, 0)), "capset")


def open_interpreter(paths):
    """Let others reach `paths` where they may not.

    In a mount namespace of our own, an empty folder is put over what is closed, and shows only `paths`.
    """
    closed = {}
    for path in {Path(p) for p in paths} | {Path(p).resolve() for p in paths}:
        barrier = next((folder for folder in [*reversed(path.parents), path] if not folder.stat().st_mode & 1), None)
        if barrier: closed.setdefault(barrier, []).append(path)
    if not closed: return
    check(libc.unshare(0x20000), "unshare")
    check(libc.mount(b"none", b"/", None, 0x44000, None), "private mounts")     # MS_REC | MS_PRIVATE
    for folder, inside in closed.items():
        inside = {path: os.open(path, os.O_PATH) for path in sorted(inside)}
        check(libc.mount(b"none", bytes(folder), b"tmpfs", 0, b"mode=755"), f"a folder over {folder}")
        for path, fd in inside.items():
            if not path.exists():                                     # it may lie below one that is shown already
                path.mkdir(parents=True)
                # MS_BIND | MS_REC
                check(libc.mount(f"/proc/self/fd/{fd}".encode(), bytes(path), None, 0x5000, None), f"bind {path}")
            os.close(fd)


def enter(name, engine):
    """Turn this process into one of the named environment.

    An ordinary user's ends in a new process image, since only that owns its own /proc files.
    """
    root = os.getuid() == 0
    if name == "as-is": return
    if name == "docker":
        if not root: raise OSError("only root can play a container's root")
        forbid_namespaces()
        keep_container_capabilities()
        return
    if root:
        package = Path(engine.__file__).resolve().parents[len(engine.__name__.split(".")) - 1]
        open_interpreter([sys.prefix, sys.base_prefix, os.path.dirname(sys.executable), package, Path(__file__).parent])
        os.setgroups([])
        os.setresgid(USER, USER, USER)
        os.setresuid(USER, USER, USER)
        os.chdir("/")
        os.environ |= {"HOME": "/tmp", "TMPDIR": "/tmp"}
        os.execv(sys.executable, [sys.executable, __file__, *sys.argv[1:]])
    if name == "user": forbid_namespaces()


def main(name, *options):
    os.environ["PYTHONDONTWRITEBYTECODE"] = "1"
    module = "evoselfcode.execution.execution"
    if "--engine" in options: module = options[options.index("--engine") + 1]
    engine = importlib.import_module(module)
    enter(name, engine)
    if "--probe" in options:
        child = os.fork()
        if child == 0: os._exit(libc.unshare(0x10000000) != 0)
        spaces = os.waitpid(child, 0)[1] == 0
        if name == "user-with-namespaces" and not spaces: raise OSError("the kernel grants users no namespaces")
        if name in ("docker", "user") and spaces: raise OSError("namespaces could not be taken away")
        return print(json.dumps(dict(uid=os.getuid(), namespaces=spaces)))
    from attacks import HONEST
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))           # so that the world is taken down also then
    world, start = World(), time.monotonic()
    try:
        rows = list(run_all(engine, attacks_in(name) + HONEST, world))
        deadline = time.monotonic() + 3                               # late writers get the time to write
        while world.strays() and time.monotonic() < deadline: time.sleep(0.05)
        time.sleep(max(0, 3.5 - (time.monotonic() - start)))
        traces = world.traces(row[key] for row in rows for key in ("detail", "output"))
    finally: world.close()
    print(json.dumps(dict(uid=os.getuid(), seconds=round(time.monotonic() - start, 1), rows=rows, traces=traces)))


if __name__ == "__main__": main(*sys.argv[1:])
