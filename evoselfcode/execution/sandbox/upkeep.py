"""What the processes of a worker do for each other: start, watch, load ahead, see what a child takes, clear up.

Standard library only, and no other module of this package: a fork server imports it by its plain name.
"""
import _thread, os, resource, select, signal, sys

start_thread = _thread.start_new_thread  # which children get with patience
MAX_TASKS = 1 << 15  # as many as are counted
FOLDER = os.O_RDONLY | os.O_DIRECTORY
# the first: what runs the tests there, with unittest.mock
LIBRARIES = ('harnesses.bigcodebench', 'numpy', 'pandas', 'matplotlib.pyplot', 'sklearn')


# ---------------------------------------------------------------- processes

def watch(caller: int, processes: dict) -> None:
    "Wait until the caller hangs up or is gone, or one of the processes ends, and tell how; then end them all."
    changes = select.poll()
    changes.register(0, select.POLLRDHUP)
    for pid in processes:
        try: changes.register(os.pidfd_open(pid), select.POLLIN)
        except OSError: pass  # no such call in this container: a quarter of a second later will do
    ended = {}
    while os.getppid() == caller and not ended and 0 not in dict(changes.poll(250)):
        ended = {pid: status for pid in processes for pid, status in [os.waitpid(pid, os.WNOHANG)] if pid}
    for pid in set(processes) - set(ended):
        os.kill(pid, signal.SIGKILL)
        _, status = os.waitpid(pid, 0)
        # it was dying already, of something else: another one that noticed was only quicker to be gone
        if os.WIFSIGNALED(status) and os.WTERMSIG(status) != signal.SIGKILL: ended[pid] = status
    for pid, status in ended.items():
        if os.WIFSIGNALED(status): print(f'the {processes[pid]} ended by {ending(status)}', file=sys.stderr)


def split(work) -> int:
    "Fork a process that does one thing; a hung-up socket is its end, what else goes wrong is told on standard error."
    pid = os.fork()
    if pid: return pid
    try:
        work()
        os._exit(0)
    except (EOFError, ConnectionError): os._exit(0)
    except BaseException:
        sys.stderr = sys.__stderr__  # the server's own words are not a child's
        sys.excepthook(*sys.exc_info())
    finally: os._exit(1)


def load_harness(name: str) -> None:
    "Load a module of harnesses/, ours, in the server: its children would each read it again."
    try: __import__(name)
    except ImportError: pass  # a program asked for one that is not there, and will be told


def load_libraries(folders: list) -> None:
    "Make installed packages importable, and load those that programs of this profile use most."
    sys.path += folders
    for name in LIBRARIES:
        try: __import__(name)
        except ImportError: pass


# ---------------------------------------------------------------- how they ended, what they take

def ending(status: int) -> str | int:
    "How a process ended: a signal's name (a real-time one by its distance from the first), or an exit code."
    if not os.WIFSIGNALED(status): return os.waitstatus_to_exitcode(status)
    number = os.WTERMSIG(status)
    try: return signal.Signals(number).name
    except ValueError: return f'SIGRTMIN{number - signal.SIGRTMIN:+}'


def size_of(pid: int | str) -> int:
    "Bytes of memory that a process sees and no file stands behind; 0 for one that is gone."
    try:
        with open(f'/proc/{pid}/statm', 'rb') as f: _, resident, files, *_ = map(int, f.read().split())
    except OSError: return 0
    return (resident - files) * resource.getpagesize()


def memory_of(pid: int | str) -> int:
    "The same, where what it shares with others counts for each of them in part; 0 also where that may not be seen."
    try:
        with open(f'/proc/{pid}/smaps_rollup', 'rb') as f: rows = [line.split() for line in f]
    except OSError: return 0
    return sum(int(row[1]) for row in rows if row[0] in (b'Pss_Anon:', b'Pss_Shmem:', b'SwapPss:')) << 10


def count_tasks() -> int:
    """How many processes and threads the kernel counts for this user: the limit from which on it grants one more.

    Some may be in other containers, where /proc does not show them."""
    _thread.stack_size(1 << 16)
    kind, most = resource.RLIMIT_NPROC, resource.getrlimit(resource.RLIMIT_NPROC)[1]
    low, high = 0, MAX_TASKS if most == resource.RLIM_INFINITY else min(most, MAX_TASKS)
    while low < high:
        middle = (low + high) // 2
        resource.setrlimit(kind, (middle, most))
        try: start_thread(int, ())
        except RuntimeError: low = middle + 1
        else: high = middle
    return low


# ---------------------------------------------------------------- folders

def wipe(folder: str, found: list | tuple = (), mode: int | None = None) -> None:
    """Empty a folder but for what was found there, however deep, closed or named what lies in it.

    mode: the folder's own, where a program may change it. One step down, one step up: no path gets long, and nothing
    is moved, which would need room, a free name and a newer Landlock."""
    if mode is not None: os.chmod(folder, mode)
    here, way = os.open(folder, FOLDER), []  # the way down, each folder with those beside it that are still full
    try:
        full = full_folders(here, found)
        while full or way:
            if full:
                name = full.pop()
                way.append((name, full))
                os.chmod(name, 0o700, dir_fd=here)
                here = step(here, name)
                full = full_folders(here)
            else:
                here, (name, full) = step(here, '..'), way.pop()
                os.rmdir(name, dir_fd=here)
    finally: os.close(here)
    if mode is not None: os.utime(folder)


def step(here: int, name: str) -> int:
    "Go from an open folder to another."
    there = os.open(name, FOLDER | os.O_NOFOLLOW, dir_fd=here)
    os.close(here)
    return there


def full_folders(here: int, found: list | tuple = ()) -> list:
    "Remove what an open folder holds, but for folders that hold something, whose names are returned."
    full = []
    for name in os.listdir(here):
        if name in found: continue
        try: os.unlink(name, dir_fd=here)
        except IsADirectoryError:
            try: os.rmdir(name, dir_fd=here)
            except OSError: full.append(name)
    return full


def own_mode(folder: str) -> int | None:
    "The mode of a folder that is this user's own, who could change it; None of any other."
    look = os.stat(folder)
    return look.st_mode & 0o7777 if look.st_uid == os.geteuid() else None


def readable_by_others(path: str) -> bool:
    "Whether a user without rights of its own could read what lies here."
    path = os.path.realpath(path)
    while path != '/':
        if not os.stat(path).st_mode & 0o5: return False
        path = os.path.dirname(path)
    return True
