"""Programs that would end the evaluation of all others, or leave the next program another world.

By signals, by what they leave in their folder, by state that processes share, by memory that no limit of a process
counts."""
from .kit import CRASHED, FAILED, MEMORY, PASSED, REFUSED, TIMEOUT, VIOLATION, bare, harm

RIGHT = "def f(x): return x * x\n"
NAMELESS = range(32, 65)  # real-time signals: Python knows the names of the first and the last

TREES = [  # (name, what it leaves in its folder before it ends)
    ("name_of_old", "os.makedirs('.wipe1/x')"),
    ("many_old_names", "for i in range(50): os.makedirs(f'.wipe{i}/a/b')\nos.makedirs('a/b/c/d')"),
    ("file_in_the_way", "open('.wipe1', 'w').close()\nos.makedirs('a/b/c')"),
    ("same_name_all_the_way", "os.makedirs('/'.join(['.wipe1'] * 300))"),
    ("long_names", "for c in 'abc': os.mkdir(c * 255); os.chdir(c * 255)"),
    ("longer_than_a_path", "for _ in range(100): os.mkdir('x' * 255); os.chdir('x' * 255)"),
    (
        "odd_bytes",
        "for n in (b'\\xff', b'\\x80/'[:1], b'\\n', b'\\\\', b'-', b'~', b'..x'): os.mkdir(n); os.mkdir(n + b'/' + n)",
    ),
    ("closed", "os.makedirs('a/b/c')\nfor p in ('a/b/c', 'a/b', 'a'): os.chmod(p, 0)"),
    ("made_closed", "os.mkdir('a', 0)\nos.mkdir('b', 0o300)\nos.mkdir('b/c', 0)"),
    ("sticky", "os.mkdir('a')\nos.mkdir('a/b')\nos.chmod('a', 0o7111)"),
    ("wide", "for i in range(200): os.makedirs(f'{i}/a')"),
    (
        "links_to_folders",
        "os.mkdir('a')\nos.mkdir('a/b')\n"
        "for i in range(9): os.symlink('..', f'a/up{i}'); os.symlink('a', f'l{i}'); os.symlink('/', f'a/b/root{i}')",
    ),
    ("hard_links", "open('a', 'w').close()\nos.mkdir('b')\nfor i in range(99): os.link('a', f'b/{i}')"),
    ("pipes", "os.mkdir('a')\nfor i in range(9): os.mkfifo(f'a/{i}', 0)"),
    (
        "kept_open",
        "os.mkdir('a')\nkept = [open(f'a/{i}', 'w') for i in range(20)]\nhere = os.open('a', os.O_RDONLY)\n"
        "os.chdir('a')",
    ),
    (
        "locked",
        "import fcntl\nkept = open('a', 'w')\nfcntl.flock(kept, fcntl.LOCK_EX)\nfcntl.lockf(kept, fcntl.LOCK_EX)",
    ),
    (
        "mapped",
        "import mmap\nkept = open('a', 'w+b')\nkept.truncate(4096)\nm = mmap.mmap(kept.fileno(), 4096)\nm[0] = 1",
    ),
    ("moved_up", "os.makedirs('a/b')\nos.chdir('a/b')\nos.rename('../../a', '../../z')"),
    ("without_a_folder", "os.mkdir('a')\nos.chdir('a')\nos.rmdir('../a')"),
]
CLOSING = [0, 0o100, 0o400, 0o500, 0o2500, 0o1000]  # modes of the folder itself, where a user may set them

LOOK = (
    "import os\n"
    "def f(x):\n"
    "    open('own', 'w').close(); os.mkdir('folder'); os.rename('folder', 'other')\n"
    "    assert sorted(os.listdir('.')) == ['other', 'own']\n"
    "    return x * x\n"
)

HIDDEN = """import ctypes
c = ctypes.CDLL(None, use_errno=True)
c.mmap.restype = c.mremap.restype = ctypes.c_void_p
c.mmap.argtypes = [ctypes.c_void_p, ctypes.c_size_t, *[ctypes.c_int] * 3, ctypes.c_long]
c.munmap.argtypes = [ctypes.c_void_p, ctypes.c_size_t]
c.mremap.argtypes = [ctypes.c_void_p, ctypes.c_size_t, ctypes.c_size_t, ctypes.c_int]
N = 128 << 20
def shared(flags=0x21, fd=-1, rights=3):
    at = c.mmap(None, N, rights, flags, fd, 0)
    if at == ctypes.c_void_p(-1).value: raise OSError(ctypes.get_errno(), 'refused')
    return at
"""

ATTACKS = [
    *(
        bare(f"signal_{n}_at_import", f"import os\nos.kill(os.getpid(), {n})\n" + RIGHT, expected=(CRASHED,))
        for n in NAMELESS
    ),
    *(
        bare(f"signal_{n}_in_the_call", f"import os\ndef f(x): os.kill(os.getpid(), {n})", expected=(CRASHED,))
        for n in NAMELESS
    ),
    bare(
        "signal_blocked",
        "import os, signal\nsignal.pthread_sigmask(signal.SIG_BLOCK, range(34, 65))\n"
        "[os.kill(os.getpid(), n) for n in range(34, 65)]\n" + RIGHT,
        expected=(PASSED,),
    ),
    bare(
        "signal_to_a_thread",
        "import _thread, threading, signal\n"
        "t = threading.Thread(target=threading.Event().wait)\nt.start()\n"
        "signal.pthread_kill(t.ident, 45)\nimport time\ntime.sleep(9)\n" + RIGHT,
        expected=(CRASHED,),
    ),
    *(
        harm(f"signal_{n}_to_the_server", f"os.kill(1, {n})", expected=(*REFUSED, CRASHED))
        for n in (1, 2, 9, 15, 19, 40)
    ),
    *(bare(f"tree_{name}", f"import os\n{body}\nos._exit(0)\n", profile="files") for name, body in TREES),
    *(
        bare(f"tree_{name}_and_right", f"import os\n{body}\n" + RIGHT, expected=(PASSED, FAILED), profile="files")
        for name, body in TREES
    ),
    *(
        pair
        for mode in CLOSING
        for pair in (
            bare(
                f"folder_closed_{mode:o}",
                f"import os\nopen('left', 'w').close()\nos.mkdir('l')\nos.mkdir('l/m')\n"
                f"os.chmod('.', {mode})\n" + RIGHT,
                expected=(PASSED, FAILED),
                profile="files",
            ),
            bare(f"folder_closed_{mode:o}_before", LOOK + f"# {mode}", expected=(PASSED,), profile="files"),
        )
    ),
    bare(
        "folder_times", "import os\ntry: os.utime('.', (1, 1))\nexcept OSError: pass\n" + RIGHT, expected=(PASSED,),
        profile="files",
    ),
    bare(
        "folder_times_before", "import os, time\nassert time.time() - os.stat('.').st_mtime < 3600\n" + RIGHT,
        expected=(PASSED,), profile="files",
    ),
    *(
        pair
        for profile in ("pure", "files")
        for pair in (
            bare(
                f"flags_{profile}",
                "import fcntl, os\n"
                "for fd in range(3): fcntl.fcntl(fd, fcntl.F_SETFL, os.O_NONBLOCK | os.O_APPEND)\n" + RIGHT,
                expected=(PASSED,),
                profile=profile,
            ),
            *(
                bare(
                    f"flags_{profile}_before_{i}",
                    "import fcntl, os\n"
                    "assert not any("
                    "fcntl.fcntl(fd, fcntl.F_GETFL) & (os.O_NONBLOCK | os.O_APPEND) for fd in range(3))\n"
                    f"{RIGHT}# {i}",
                    expected=(PASSED,),
                    profile=profile,
                )
                for i in range(6)
            ),
        )
    ),
    bare(
        "flags_by_ioctl",
        "import fcntl, struct, termios\n"
        "for fd in (0, 1, 2): fcntl.ioctl(fd, termios.FIONBIO, struct.pack('i', 1))\n" + RIGHT,
        expected=(PASSED, FAILED),
    ),
    *(
        bare(
            f"flags_by_ioctl_before_{i}",
            f"import os\nassert all(map(os.get_blocking, (0, 1, 2)))\n{RIGHT}# {i}",
            expected=(PASSED,),
        )
        for i in range(6)
    ),
    bare(
        "lock_of_a_stream", "import fcntl\nfor fd in (0, 1, 2): fcntl.flock(fd, fcntl.LOCK_EX)\n" + RIGHT,
        expected=(PASSED, FAILED), profile="files",
    ),
    *(
        bare(
            f"lock_of_a_stream_before_{i}",
            f"import fcntl\nfcntl.flock(0, fcntl.LOCK_EX | fcntl.LOCK_NB)\n{RIGHT}# {i}",
            expected=(PASSED,),
            profile="files",
        )
        for i in range(3)
    ),
    harm("stream_mode", "os.fchmod(0, 0o600)", profile="files"),
    harm("stream_times", "os.utime(0)", profile="files"),
    harm(
        "memory_given_back_in_part",
        "for _ in range(12):\n    at = shared()\n    ctypes.memset(at, 1, N)\n    c.munmap(at + 4096, N - 4096)",
        top=HIDDEN, expected=(FAILED, MEMORY),
    ),
    harm(
        "memory_shrunk",
        "for _ in range(12):\n    at = shared()\n    ctypes.memset(at, 1, N)\n    c.mremap(at, N, 4096, 0)",
        top=HIDDEN, expected=(FAILED, MEMORY),
    ),
    harm(
        "memory_of_a_device",
        "fd = os.open('/dev/zero', 0)\nfor _ in range(12):\n    at = shared(1, fd, 1)\n"
        "    for page in range(0, N, 4096): ctypes.c_char.from_address(at + page).value\n"
        "    c.munmap(at + 4096, N - 4096)",
        top=HIDDEN,
        expected=(FAILED, MEMORY, TIMEOUT),
    ),
    harm(
        "memory_in_memory_files",
        "kept = [os.memfd_create(str(i)) for i in range(40)]\nfor fd in kept: os.write(fd, bytes(15 << 20))",
        expected=(*REFUSED, MEMORY),
    ),
    harm(
        "three_thousand_threads",
        "import _thread\nlock = _thread.allocate_lock()\nlock.acquire()\n"
        "_thread.stack_size(1 << 15)\n"
        "for _ in range(3000): _thread.start_new_thread(lock.acquire, ())",
        expected=(FAILED, MEMORY, CRASHED, VIOLATION),
    ),
    bare(
        "shared_memory_in_small",
        "import mmap\nm = mmap.mmap(-1, 1 << 20)\nm[:5] = b'hello'\n"
        "r = mmap.mmap(-1, 4096, access=mmap.ACCESS_READ)\n"
        "w = mmap.mmap(-1, 4096, access=mmap.ACCESS_WRITE)\n"
        "w[0] = 1\n"
        "assert m[:5] == b'hello' and r[0] == 0 and len(w) == 4096 and isinstance(m, mmap.mmap)\n"
        "m.close()\n" + RIGHT,
        expected=(PASSED,),
    ),
    bare(
        "threads_in_small",
        "import threading\nt = [threading.Thread(target=str) for _ in range(40)]\n"
        "[x.start() for x in t]\n[x.join() for x in t]\n" + RIGHT,
        expected=(PASSED,),
    ),
]
