"""What is tried behind the layers: honest programs, attacks, work in a private folder; for test_sandbox_layers.

A snippet finds `call(name, ...)` (a raw system call), `secret` (a file outside that file modes would let it write),
`folder`, `library` (a file of the standard library), `victim` (the number of a foreign process), `old_door()` (getpid
through the 32-bit door) and `task`."""
import os

HELPERS = '''
import ctypes, errno, signal, socket, time
libc = ctypes.CDLL(None, use_errno=True)
def call(name, *arguments):
    number = task['numbers'][name] if isinstance(name, str) else name
    arguments = [a if isinstance(a, bytes) else ctypes.c_void_p(a) for a in arguments]
    result = libc.syscall(ctypes.c_long(number), *arguments)
    if result == -1: raise OSError(ctypes.get_errno(), str(name))
    return result
secret, folder, library = task['secret'], task['folder'], os.__file__
'''

HONEST = {
    "threads": (
        "import threading\n"
        "t = [threading.Thread(target=str) for _ in range(20)]\n"
        "[x.start() for x in t]; [x.join() for x in t]"
    ),
    "pool": (
        "from concurrent.futures import ThreadPoolExecutor\n"
        "with ThreadPoolExecutor(4) as p: assert sum(p.map(int, '1234')) == 10"
    ),
    "asyncio": (
        "import asyncio\n"
        "async def f():\n"
        "    await asyncio.sleep(0.01)\n"
        "    return await asyncio.to_thread(int, '5')\n"
        "assert asyncio.run(f()) == 5"
    ),
    "queue": (
        "import queue, threading\n"
        "q = queue.Queue(); threading.Timer(0.01, q.put, [1]).start(); assert q.get(timeout=5) == 1"
    ),
    "clock": (
        "import time, datetime, random\n"
        "time.sleep(0.01); datetime.datetime.now().astimezone(); random.random(); os.urandom(8); time.monotonic()"
    ),
    "zone": "import zoneinfo\nassert not zoneinfo.available_timezones() or zoneinfo.ZoneInfo('UTC').key == 'UTC'",
    "sqlite": "import sqlite3\nassert sqlite3.connect(':memory:').execute('select 2+3').fetchone() == (5,)",
    "numbers": (
        "import decimal, fractions, zlib, hashlib, uuid, lzma, bz2\n"
        "uuid.uuid4(); uuid.uuid1(); hashlib.sha256(zlib.compress(b'x')).hexdigest(); lzma.compress(b'x')"
    ),
    "hard hash": "import hashlib\nhashlib.scrypt(b'x', salt=b'y', n=2, r=1, p=1); hashlib.new('sha3_256')",
    "raise signal": (
        "signal.signal(signal.SIGUSR1, lambda *_: got.append(1)); got = []\n"
        "signal.raise_signal(signal.SIGUSR1); os.kill(os.getpid(), signal.SIGUSR1)\n"
        "assert len(got) == 2"
    ),
    "alarm": (
        "def ring(*_): raise TimeoutError\n"
        "signal.signal(signal.SIGALRM, ring); signal.setitimer(signal.ITIMER_REAL, 0.02)\n"
        "try: time.sleep(5); assert 0\n"
        "except TimeoutError: signal.alarm(0)"
    ),
    "recursion": "import sys\nsys.setrecursionlimit(20000)\ndef f(n): return n and f(n - 1)\nf(9000)",
    "deep thread": (
        "import threading, sys\n"
        "threading.stack_size(64 << 20); sys.setrecursionlimit(20000)\n"
        "def f(n): return n and f(n - 1)\n"
        "t = threading.Thread(target=f, args=(15000,)); t.start(); t.join()"
    ),
    "memory": "import mmap\nb = bytearray(200 << 20); m = mmap.mmap(-1, 64 << 20); m[:4] = b'abcd'; m.close()",
    "print": "os.write(1, b''); import sys; sys.stdout.flush(); os.isatty(0)",
    "read library": (
        "assert 'def ' in open(library).read(); assert os.listdir(os.path.dirname(library)); "
        "os.stat(library); os.path.realpath(library)"
    ),
    "limits": (
        "import resource\n"
        "resource.getrlimit(resource.RLIMIT_AS); resource.getrusage(resource.RUSAGE_SELF); "
        "resource.prlimit(os.getpid(), resource.RLIMIT_CPU)"
    ),
    "pipes": (
        "import select\n"
        "r, w = os.pipe(); os.write(w, b'x'); assert select.select([r], [], [], 1)[0]; "
        "select.poll(); select.epoll(); os.dup(r); os.set_blocking(r, False)"
    ),
    "pair": (
        "a, b = socket.socketpair(); a.sendall(b'x'); assert b.recv(1) == b'x'; "
        "a.shutdown(socket.SHUT_WR); assert b.recv(1) == b''"
    ),
    "machine": "import platform\nplatform.platform(); os.cpu_count(); os.sched_getaffinity(0); os.uname()",
    "faulthandler": (
        "import faulthandler\n"
        "faulthandler.enable(); faulthandler.dump_traceback_later(30); faulthandler.cancel_dump_traceback_later()"
    ),
    "imports": (
        "import tempfile, subprocess, multiprocessing, ssl, http.client, urllib.request, ctypes.util, "
        "logging.handlers, unittest.mock, doctest, xml.dom.minidom"
    ),
    "ctypes": (
        "import sys, importlib\n"
        "for n in [n for n in sys.modules if n.startswith('ctypes')]: del sys.modules[n]\n"
        "import ctypes\n"
        "assert ctypes.CDLL(None).abs(-3) == 3\n"
        "ctypes.create_string_buffer(9)"
    ),
    "callback": "import ctypes\nf = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.c_int)(lambda x: x + 1)\nassert f(2) == 3",
    "abort is a signal": "import resource\nos.abort()",
    "every module": (
        "import sys, warnings, importlib\n"
        "warnings.simplefilter('ignore')\n"
        "skip = {'antigravity', 'this', 'idlelib', 'turtle', 'turtledemo', 'tkinter', '_ios_support'}\n"
        "for n in sorted(sys.stdlib_module_names - skip):\n"
        "    try: importlib.import_module(n)\n"
        "    except ModuleNotFoundError: pass\n"
        "    except ImportError as e:\n"
        "        if 'tkinter' not in str(e) and 'win' not in str(e) and 'libtk' not in str(e): raise"
    ),
}
ENDS = {"abort is a signal": "SIGABRT"}                # how honest programs end that do not simply end

# What is tried, and the errors of which one is right in every environment.
ATTACKS = {
    "write": ("open(secret, 'w')", "EPERM"),
    "append": ("open(secret, 'a')", "EPERM"),
    "update": ("open(secret, 'r+')", "EPERM"),
    "create": ("open(folder + '/new', 'x')", "EPERM"),
    "empty by reading": ("os.open(secret, os.O_RDONLY | os.O_TRUNC)", "EPERM"),
    "unnamed file": ("os.open(folder, os.O_TMPFILE | os.O_RDWR)", "EPERM"),
    "truncate": ("os.truncate(secret, 0)", "EPERM"),
    "truncate what is open": ("os.ftruncate(os.open(library, 0), 0)", "EPERM"),
    "chmod": ("os.chmod(secret, 0o600)", "EPERM"),
    "chmod what is open": ("os.fchmod(os.open(library, 0), 0o600)", "EPERM"),
    "chown": ("os.chown(secret, -1, -1)", "EPERM"),
    "times": ("os.utime(secret, (1, 1))", "EPERM"),
    "times of a descriptor": ("os.utime(os.open(library, 0), (1, 1))", "EPERM"),
    "attribute": ("os.setxattr(secret, 'user.x', b'1')", "ENOTSUP"),
    "link": ("os.link(secret, folder + '/l')", "EPERM"),
    "symlink": ("os.symlink(secret, folder + '/s')", "EPERM"),
    "rename": ("os.rename(secret, secret + '2')", "EPERM"),
    "unlink": ("os.unlink(secret)", "EPERM"),
    "mkdir": ("os.mkdir(folder + '/d')", "EPERM"),
    "rmdir": ("os.rmdir(folder)", "EPERM"),
    "fifo": ("os.mkfifo(folder + '/f')", "EPERM"),
    "device": ("os.mknod(folder + '/n', 0o20666, os.makedev(1, 1))", "EPERM"),
    "openat2": ("call('openat2', -100, secret.encode(), bytes(24), 24)", "ENOSYS"),
    "fchmodat2": ("call('fchmodat2', -100, secret.encode(), 0o600, 0)", "ENOSYS"),
    "read the secret": ("open(secret).read()", "EACCES ENOENT"),
    "list its folder": ("os.listdir(os.path.dirname(secret))", "EACCES ENOENT"),
    "read shadow": ("open('/etc/shadow').read()", "EACCES ENOENT"),
    "read passwd": ("open('/etc/passwd').read()", "EACCES ENOENT"),
    "list /root": ("os.listdir('/root')", "EACCES ENOENT ok"),
    "memory of the parent": ("open(f'/proc/{os.getppid()}/mem', 'rb').read(1)", "EACCES ENOENT"),
    "environment of the parent": ("open(f'/proc/{os.getppid()}/environ').read()", "EACCES ENOENT"),
    "tempfile": ("import tempfile; tempfile.TemporaryFile()", "EPERM EACCES ENOENT EROFS"),
    "semaphore": ("import multiprocessing; multiprocessing.Lock()", "EPERM EACCES ENOENT EROFS ENOSYS"),
    "tcp": ("socket.socket()", "EACCES"),
    "udp": ("socket.socket(socket.AF_INET, socket.SOCK_DGRAM)", "EACCES"),
    "tcp6": ("socket.socket(socket.AF_INET6)", "EACCES"),
    "unix": ("socket.socket(socket.AF_UNIX)", "EACCES"),
    "netlink": ("socket.socket(socket.AF_NETLINK, socket.SOCK_RAW)", "EACCES"),
    "packet": ("socket.socket(socket.AF_PACKET, socket.SOCK_RAW)", "EACCES"),
    "vsock": ("socket.socket(40, socket.SOCK_STREAM)", "EACCES"),
    "alg": ("socket.socket(38, 5)", "EACCES"),
    "bluetooth": ("socket.socket(31, 3, 1)", "EACCES"),
    "tcp pair": ("socket.socketpair(socket.AF_INET)", "EPERM"),
    "datagram out of a pair": ("socket.socketpair(type=socket.SOCK_DGRAM)[0].sendto(b'x', task['unix'])", "EPERM"),
    "message out of a pair": (
        "socket.socketpair(type=socket.SOCK_DGRAM)[0].sendmsg([b'x'], [], 0, task['unix'])", "EPERM",
    ),
    "reconnect a pair": ("socket.socketpair(type=socket.SOCK_DGRAM)[0].connect(task['unix'])", "EPERM"),
    "fork": ("os.fork() or os._exit(0)", "EPERM"),
    "forkpty": ("os.forkpty()[0] or os._exit(0)", "EPERM EACCES ENOENT EROFS"),
    "exec": ("os.execv('/bin/true', ['true'])", "EPERM"),
    "spawn": ("os.posix_spawn('/bin/true', ['true'], {})", "EPERM"),
    "subprocess": ("import subprocess; subprocess.run(['/bin/true'])", "EPERM"),
    "shell": ("assert libc.system(b'true') == 0; ", "AssertionError: "),
    "clone3": ("call('clone3', bytes(88), 88)", "ENOSYS"),
    "user namespace by clone": ("call('clone', 0x10000011, 0, 0, 0, 0)", "EPERM"),
    "execveat": ("call('execveat', os.open('/usr', os.O_PATH), b'bin/true', 0, 0, 0)", "EPERM"),
    "memory file": ("os.memfd_create('x')", "EPERM"),
    "wait": ("os.waitpid(-1, 0)", "EPERM"),
    "terminal input": ("import fcntl; fcntl.ioctl(0, 0x5412, b'x')", "EPERM"),
    "kill the parent": ("os.kill(os.getppid(), 9)", "EPERM"),
    "kill the victim": ("os.kill(victim, 9)", "EPERM"),
    "kill all": ("os.kill(-1, 9)", "EPERM"),
    "kill the group": ("os.kill(0, 9)", "EPERM"),
    "kill by thread": ("call('tgkill', victim, victim, 9)", "EPERM"),
    "tkill": ("call('tkill', victim, 9)", "EPERM"),
    "queue a signal": ("call('rt_sigqueueinfo', victim, 9, bytes(128))", "EPERM"),
    "pidfd": ("os.pidfd_open(victim)", "ENOSYS"),
    "signals by ownership": ("import fcntl; r, w = os.pipe(); fcntl.fcntl(r, fcntl.F_SETOWN, victim)", "EPERM"),
    "timer of another": ("call('timer_create', 0, 0, bytes(8))", "EPERM"),
    "trace": ("call('ptrace', 16, victim, 0, 0)", "EPERM"),
    "trace me": ("call('ptrace', 0, 0, 0, 0)", "EPERM"),
    "write memory": ("call('process_vm_writev', victim, bytes(16), 1, bytes(16), 1, 0)", "EPERM"),
    "steal a descriptor": ("call('pidfd_getfd', 3, 0, 0)", "ENOSYS"),
    "limits of another": ("import resource; resource.prlimit(victim, resource.RLIMIT_CPU, (1, 1))", "EPERM"),
    "own limits": (
        "import resource; resource.setrlimit(resource.RLIMIT_CORE, (0, 0))",
        "ValueError: not allowed to raise maximum limit",
    ),
    "io_uring": ("call('io_uring_setup', 1, bytes(120))", "ENOSYS"),
    "aio": ("call('io_setup', 1, bytes(8))", "EPERM"),
    "unshare user": ("call('unshare', 0x10000000)", "EPERM"),
    "unshare files": ("call('unshare', 0x400)", "EPERM"),
    "setns": ("call('setns', 0, 0)", "EPERM"),
    "mount": ("call('mount', b'x', b'/tmp', b'tmpfs', 0, 0)", "EPERM"),
    "umount": ("call('umount2', b'/tmp', 2)", "EPERM"),
    "open_tree": ("call('open_tree', -100, b'/', 1)", "ENOSYS"),
    "chroot": ("os.chroot('/tmp')", "EPERM"),
    "pivot_root": ("call('pivot_root', b'/tmp', b'/tmp')", "EPERM"),
    "keyctl": ("call('keyctl', 0, -3, 1)", "EPERM"),
    "add_key": ("call('add_key', b'user', b'x', b'y', 1, -3)", "EPERM"),
    "bpf": ("call('bpf', 0, bytes(128), 128)", "EPERM"),
    "userfaultfd": ("call('userfaultfd', 1)", "EPERM"),
    "perf": ("call('perf_event_open', bytes(128), 0, -1, -1, 0)", "EPERM"),
    "shared memory": ("call('shmget', 0, 4096, 0o1600)", "EPERM"),
    "messages": ("call('msgget', 0, 0o1600)", "EPERM"),
    "semaphores": ("call('semget', 0, 1, 0o1600)", "EPERM"),
    "posix messages": ("call('mq_open', b'x', 0o102, 0o600, 0)", "EPERM"),
    "personality": ("call('personality', 0x400000)", "EPERM"),
    "priority": ("os.nice(1)", "EPERM"),
    "affinity": ("os.sched_setaffinity(0, os.sched_getaffinity(0))", "EPERM"),
    "scheduler": ("os.sched_setscheduler(0, os.SCHED_BATCH, os.sched_param(0))", "EPERM"),
    "setuid": ("os.setuid(0)", "EPERM"),
    "setgroups": ("os.setgroups([0])", "EPERM"),
    "capset": ("call('capset', bytes(8), bytes(24))", "EPERM"),
    "outlive the parent": ("call('prctl', 1, 0, 0, 0, 0)", "EPERM"),
    "be dumpable": ("call('prctl', 4, 1, 0, 0, 0)", "EPERM"),
    "another filter": ("call('seccomp', 1, 0, bytes(16))", "EPERM"),
    "another ruleset": ("call('landlock_create_ruleset', 0, 0, 1)", "ENOSYS"),
    "lock": ("import fcntl; fcntl.flock(os.open(library, 0), fcntl.LOCK_EX)", "EPERM"),
    "record lock": ("import fcntl; fcntl.lockf(os.open(library, 0), fcntl.LOCK_SH)", "EPERM"),
    "lease": ("import fcntl; fcntl.fcntl(os.open(library, 0), 1024, 0)", "EPERM"),
    "notify": ("import fcntl; fcntl.fcntl(os.open(os.path.dirname(library), 0), 1026, 2)", "EPERM"),
    "inotify": ("call('inotify_init1', 0)", "EPERM"),
    "handle": ("call('name_to_handle_at', -100, b'/', bytes(136), bytes(8), 0)", "EPERM"),
    "by handle": ("call('open_by_handle_at', 0, bytes(136), 0)", "EPERM"),
    "splice": ("r, w = os.pipe(); call('splice', r, 0, w, 0, 1, 0)", "EPERM"),
    "vmsplice": ("r, w = os.pipe(); call('vmsplice', w, 0, 0, 0)", "EPERM"),
    "watch queue": ("call('pipe2', bytes(8), 0x80)", "EPERM"),
    "machine code": ("import mmap; mmap.mmap(-1, 4096, prot=7)", "EPERM"),
    "shared memory without a file": ("call('mmap', 0, 4096, 3, 0x21, -1, 0)", "EPERM"),
    "shared memory of a device": ("os.open('/dev/zero', 0)", "EACCES ENOENT"),
    "machine code later": (
        "import mmap; m = mmap.mmap(-1, 4096); "
        "call('mprotect', ctypes.addressof(ctypes.c_char.from_buffer(m)), 4096, 5)",
        "EPERM",
    ),
    "new session": ("os.setsid()", "EPERM"),
    "lock memory": ("call('mlockall', 1)", "EPERM"),
    "set the clock": ("time.clock_settime(0, time.time())", "EPERM"),
    "last door": ("call('sync')", "EPERM"),
    "number from the future": ("call(999)", "ENOSYS"),
}
if os.uname().machine == "x86_64": ATTACKS |= {
    "x32": ("call(0x40000000 | 39)", "SIGSYS"),
    "32-bit door": ("old_door()", "SIGSYS"),
    "modify_ldt": ("call('modify_ldt', 0, bytes(16), 16)", "EPERM"),
    "raw vfork": ("call('vfork')", "EPERM"),
    "raw creat": ("call('creat', secret.encode(), 0o600)", "EPERM"),
    "raw open": ("call('open', secret.encode(), 1, 0)", "EPERM"),
}

# What is tried, what is right with a root folder of one's own, and without: then Landlock bounds writing, and nothing
# bounds modes and times.
IN_FOLDER = {
    "write": (
        "open(folder + '/a', 'w').write('x'); open(folder + '/a', 'a').write('y'); "
        "assert open(folder + '/a').read() == 'xy'",
        "ok", "ok",
    ),
    "tempfile": (
        "import tempfile; tempfile.tempdir = folder\n"
        "with tempfile.TemporaryDirectory() as d, tempfile.NamedTemporaryFile(dir=d) as f: f.write(b'x')",
        "ok", "ok",
    ),
    "move between folders": (
        "os.mkdir(folder + '/m'); open(folder + '/b', 'w'); os.rename(folder + '/b', folder + '/m/b'); "
        "os.unlink(folder + '/m/b'); os.rmdir(folder + '/m')",
        "ok", "ok",
    ),
    "links": (
        "open(folder + '/c', 'w'); os.symlink('c', folder + '/s'); os.link(folder + '/c', folder + '/h')", "ok", "ok",
    ),
    "fifo": ("os.mkfifo(folder + '/fifo')", "ok", "ok"),
    "device": ("os.mknod(folder + '/dev', 0o20666, os.makedev(1, 1))", "EPERM EACCES", "EPERM EACCES"),
    "sqlite": (
        "import sqlite3; c = sqlite3.connect(folder + '/x.db'); c.execute('create table t(x)'); c.commit()", "ok", "ok",
    ),
    "devnull": ("print('x', file=open(os.devnull, 'w'))", "ok", "ok"),
    "shorten what is open": ("f = open(folder + '/t', 'w+'); f.write('abc'); f.truncate(1)", "ok", "ok"),
    "chmod": ("open(folder + '/p', 'w'); os.chmod(folder + '/p', 0o600)", "ok", "EPERM"),
    "times": ("open(folder + '/q', 'w'); os.utime(folder + '/q', (1, 1))", "ok", "EPERM"),
    "shorten by name": ("open(folder + '/r', 'w').write('abc'); os.truncate(folder + '/r', 1)", "ok", "EPERM"),
    "copy2": (
        "import shutil; open(folder + '/v', 'w').write('x'); shutil.copy2(folder + '/v', folder + '/w')", "ok", "EPERM",
    ),
    "too much": (
        "f = open(folder + '/big', 'wb')\n"
        "try:\n"
        "    for _ in range(20): f.write(bytes(1 << 20)); f.flush()\n"
        "finally: os.truncate(folder + '/big', 0) if task['root'] else os.unlink(folder + '/big')",
        "ENOSPC", "ok",
    ),
    "write outside": ("open(secret, 'w')", "ENOENT", "EACCES"),
    "append outside": ("open(secret, 'a')", "ENOENT", "EACCES"),
    "read outside": ("open(secret).read()", "ENOENT", "EACCES"),
    "create outside": ("open(os.path.dirname(secret) + '/new', 'w')", "ENOENT", "EACCES"),
    "empty outside": ("os.open(secret, os.O_RDONLY | os.O_TRUNC)", "EPERM", "EPERM"),
    "truncate outside": ("os.truncate(secret, 0)", "ENOENT", "EPERM"),
    "chmod outside": ("os.chmod(secret, 0o600)", "ENOENT", "EPERM"),
    "times outside": ("os.utime(secret, (1, 1))", "ENOENT", "EPERM"),
    "delete outside": ("os.unlink(secret)", "ENOENT", "EACCES"),
    "link from outside": ("os.link(secret, folder + '/z')", "ENOENT EXDEV", "EACCES EXDEV EPERM"),
    "rename outside": ("os.rename(secret, folder + '/z')", "ENOENT EXDEV", "EACCES EXDEV"),
    "library": ("open(os.path.dirname(library) + '/new.py', 'w')", "EACCES EROFS", "EACCES"),
    "modes of the library": ("os.chmod(library, 0o644)", "EPERM EROFS", "EPERM"),
    "times of the library": ("os.utime(os.open(library, 0), None)", "EPERM EROFS EACCES", "EPERM"),
    "modes of a device": ("os.chmod('/dev/null', 0o666)", "EPERM EROFS", "EPERM"),
    "root folder": ("open('/new', 'w')", "EACCES EROFS", "EACCES"),
}
WITH_PROCESSES = {
    "fork": (
        "pid = os.fork()\n"
        "if not pid: os._exit(7)\n"
        "assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 7",
        "ok", "ok",
    ),
    "subprocess": (
        "import subprocess; assert subprocess.run("
        "['/bin/sh', '-c', 'echo hi'], capture_output=True, start_new_session=True).stdout == b'hi\\n'",
        "ok", "ok",
    ),
    "asyncio process": (
        "import asyncio\n"
        "async def f():\n"
        "    p = await asyncio.create_subprocess_exec('/bin/true'); return await p.wait()\n"
        "assert asyncio.run(f()) == 0",
        "ok", "ok",
    ),
    "multiprocessing": (
        "import multiprocessing as m\n"
        "c = m.get_context('fork'); p = c.Process(target=str); p.start(); p.join(); assert p.exitcode == 0",
        "ok", "ok",
    ),
    "semaphore": ("import multiprocessing as m\nwith m.Lock(): pass", "ok", "EACCES EPERM"),
    "machine code": ("import mmap; mmap.mmap(-1, 4096, prot=7)", "ok", "ok"),
    "memory file": ("os.memfd_create('x')", "EPERM", "EPERM"),
    "shared memory without a file": ("call('mmap', 0, 4096, 3, 0x21, -1, 0)", "EPERM", "EPERM"),
    "own server": (
        "import threading\n"
        "s = socket.create_server(('127.0.0.1', 0))\n"
        "c = socket.create_connection(('localhost', s.getsockname()[1]), 5)\n"
        "s.accept()",
        "ok", "EACCES",
    ),
    "kill own child": (
        "import subprocess; p = subprocess.Popen(['/bin/sleep', '1']); p.kill(); assert p.wait(5) == -9", "ok", "EPERM",
    ),
    "read own /proc": ("open('/proc/self/status').read(); open('/proc/meminfo').read()", "ok", "EACCES ENOENT"),
    "write /proc": ("open('/proc/self/oom_score_adj', 'w').write('0')", "EROFS EACCES", "EACCES"),
    "host's server": ("socket.create_connection(('127.0.0.1', task['port']), 2)", "ECONNREFUSED", "EACCES"),
    "host's abstract server": ("socket.socket(socket.AF_UNIX).connect(task['unix'])", "ECONNREFUSED EPERM", "EACCES"),
    "netlink": ("socket.socket(socket.AF_NETLINK, socket.SOCK_RAW)", "EPERM", "EACCES"),
    "raw": ("socket.socket(socket.AF_INET, socket.SOCK_RAW, 1)", "EPERM", "EACCES"),
    "kill the victim": ("os.kill(victim, 9)", "ESRCH EPERM", "ESRCH EPERM"),
    "memory of the parent": ("open(f'/proc/{os.getppid()}/mem', 'rb').read(1)", "EACCES EPERM", "EACCES ENOENT"),
    "user namespace": ("call('unshare', 0x10000000)", "EPERM", "EPERM"),
    "unshare by program": (
        "import subprocess; assert subprocess.run(['/usr/bin/unshare', '-U', 'true'], capture_output=True).returncode",
        "ok", "ok",
    ),
    "trace": ("call('ptrace', 16, os.getppid(), 0, 0)", "EPERM", "EPERM"),
    "io_uring": ("call('io_uring_setup', 1, bytes(120))", "ENOSYS", "ENOSYS"),
}
