"""The far side of execution: a watcher, a judge, and a fork server behind walls that starts one child per program.

    caller -- socket --> judge --- control socket ---> server --fork--> child, which holds one candidate
                           \\________ a socket for each program ________/

Imported by a freshly executed interpreter without site packages (`python -P -s -S`), with this folder as the first of its path; never by the caller's process.
The first process becomes the watcher: it forks the judge and the server, ends both when either ends or the caller is gone, and cleans up.
The server is process 1 of its own namespaces where the kernel grants them; it goes behind its walls, tries them, tells what stands, and forks.
Standard library only, and little of it: every page the server owns makes each fork dearer.
"""
import gc, json, os, resource, select, signal, struct, sys, time
import _socket as socket  # the rest of `socket` would be in every child
os.register_at_fork, kept = lambda **_: None, os.register_at_fork  # `random` would draw a new seed in every child; each has the job's
# What small programs import most is loaded once here, so that a child finds it ready.
import bisect, collections, collections.abc, copy, functools, heapq, itertools, math, operator, random, re, string, typing  # noqa: F401
os.register_at_fork = kept
import child, codec, pages, seccomp, trials, walls
from observe import observe

MAX_PROCESSES, MAX_FILES, MAX_FILE_MB, STACK_MB, PRIVATE_MB = 64, 64, 16, 64, 64
LIBRARIES = ('harnesses.bigcodebench', 'numpy', 'pandas', 'matplotlib.pyplot', 'sklearn')  # the first: what judges there, with unittest.mock
READY = codec.framed('ready')
ORDER_BYTES, MAX_ORDERS = 460, 256  # as long as an order may be, for Python's own allocator; so many are kept for the next like them
FD = struct.Struct('i')
CHILDS = (3, 4)  # descriptors of a child beside the usual three: its socket, and for tests the one to the candidate
FILTER_HOPELESS = 'without a filter of system calls (seccomp), nothing keeps programs from the network and from other processes'
READING_HOPELESS = 'without Landlock and without a private root, programs could read whatever the user can'
WRITING_HOPELESS = 'without a private root, nothing bounds what programs write; only the profile `pure` needs none'


class Server:
    "The fork server: its walls, and the children of the job at hand."
    def __init__(self, control, settings):
        self.settings, self.profile, self.seed = settings, settings['profile'], None
        self.files, self.libs = self.profile != 'pure', self.profile == 'libs'
        self.candidates, self.tests, self.standing, self.missing = [], [], {}, {}  # children: the first candidate and the tests are at work
        # opened while they can be: /proc/self and /dev/null are out of reach behind the walls
        self.pid, self.null = os.getpid(), os.open('/dev/null', os.O_RDWR)
        self.control = socket.socket(fileno=os.dup2(control.fileno(), 10, inheritable=False))
        control.close()
        for fd in (0, 1, *CHILDS): os.dup2(self.null, fd)
        self.size = os.open('/proc/self/statm', os.O_RDONLY)
        self.channel = codec.Channel(CHILDS[0], blocking=True)
        self.captured = child.capture()
        self.serve_child = child.serving(self.channel, self.captured)
        self.readable = [*walls.interpreter_paths(self.libs), os.path.dirname(os.path.abspath(__file__)), *settings['libraries']]

    # ------------------------------------------------------------ walls

    def wall_in(self, namespaces):
        "Put up what this machine has, in the order that walls.py gives; note what stands and why the rest does not. Return what is hopeless."
        self.own_places(set(namespaces))
        self.own_rights('user' in namespaces)
        version = self.own_rules()
        if self.files: os.environ['TMPDIR'] = self.folder
        self.base = int(os.pread(self.size, 100, 0).split()[0]) * resource.getpagesize()
        if not self.filters: return FILTER_HOPELESS
        if not self.root and not version: return READING_HOPELESS
        return WRITING_HOPELESS if self.files and not self.root else ''

    def own_places(self, namespaces):
        "Namespaces, loopback, and a root folder in which only what is readable shows."
        if namespaces: self.standing['namespaces'] = ' '.join(sorted(namespaces))
        else: self.missing['namespaces'] = self.settings['refused']
        self.namespaced, self.own_network = 'pid' in namespaces, 'net' in namespaces and self.libs
        if not self.namespaced:
            walls.subreaper()
            self.listing = os.open(f'/proc/self/task/{self.pid}/children', os.O_RDONLY)
        if self.own_network: self.build('loopback', lambda: walls.loopback_up() or True)
        folders = ['/private', '/tmp'] if self.files and any(path.startswith('/tmp/') for path in self.readable) else ['/tmp']  # the first shows nothing else
        self.root = 'mnt' in namespaces and self.build('private root', lambda: walls.private_root(
            self.readable, PRIVATE_MB if self.files else 0, folders, executable=self.libs, proc=self.libs, texts=walls.LOCAL_NAMES if self.own_network else None) or True)
        self.folders = folders if self.root else [self.settings['home'] if self.files else '/']
        self.folder, self.found = self.folders[0], [self.files and os.listdir(folder) for folder in self.folders]

    def own_rights(self, mapped):
        "A user that owns nothing, and no capabilities; `mapped`: a user namespace, which has no second user to become."
        uid = 60000 + self.settings['number'] % 5000 if os.getuid() == 0 and not mapped else None
        closed = not self.root and uid is not None and not readable_by_others(os.path.dirname(os.__file__))
        if closed and not walls.capabilities() >> walls.DAC_READ_SEARCH & 1: uid, self.missing['own user'] = None, 'the interpreter lies in a folder that is closed to others'
        if uid and self.files and not self.root: os.chown(self.folder, uid, uid)
        self.own_user = uid is not None and self.build('own user', lambda: walls.drop_privileges(uid, closed) | 1) or mapped
        if uid is None or not self.own_user: self.build('no capabilities', lambda: walls.drop_privileges() | 1)
        walls.no_new_privs()
        walls.not_dumpable()
        walls.die_with_parent()

    def own_rules(self):
        "Landlock and the filter of system calls; return Landlock's version."
        writable = [*self.folders, '/dev/null'] if self.files else []
        readable = [*self.readable, *walls.DEVICES, *(['/proc', *walls.LOCAL_NAMES] if self.libs and self.root else [])]
        def landlock():
            version = walls.landlock(readable, writable, [*readable, *self.folders] if self.libs else (), self.own_network)
            self.domain = walls.own_domain(writable, self.libs, self.own_network)
            return version
        def filters():  # a server of `pure` has nothing to do but to fork, and takes the first part itself
            if not seccomp.available(): raise OSError('the kernel has none')
            made = functools.partial(seccomp.filter_program, self.profile, self.root, self.namespaced or version >= walls.SCOPES_SINCE, self.root and self.own_network)
            return [seccomp.prepared(made(part=part)) for part in ([seccomp.WHOLE] if self.files else [seccomp.SERVER, seccomp.CHILD])]
        self.domain = -1
        version = self.build('landlock', landlock)
        self.filters = self.build('seccomp', filters) or []
        self.childless = bool(self.filters) and not self.files
        return version

    def build(self, name, work):
        "Put up one wall; note it as standing, or the reason why not."
        if name in self.settings['without']: self.missing[name] = 'left out on demand'; return False
        try: done = work()
        except OSError as error: done, self.missing[name] = False, str(error)
        if done: self.standing[name] = done if name == 'landlock' else True
        else: self.missing.setdefault(name, 'the kernel has none')
        return done

    def bound(self):
        "Put bounds on this process that its children shall have: set once, they need not be set in each."
        os.chdir(self.folder)
        for kind, most in dict(FSIZE=MAX_FILE_MB << 20, NOFILE=MAX_FILES, CORE=0, STACK=STACK_MB << 20).items(): resource.setrlimit(getattr(resource, f'RLIMIT_{kind}'), (most, most))
        self.words = os.dup(2)  # for what this process itself has to say
        os.dup2(self.null, 2)

    def last_walls(self, seconds, memory):
        "What a child does to itself before it does anything foreign, as calls ready to be made: it copies each page that it comes by on its way."
        made, room = functools.partial, self.base + (memory << 20)
        bounds = dict(CPU=(math.ceil(seconds) + 1, math.ceil(seconds) + 2), AS=(room, room))
        if self.own_user or self.libs: bounds['NPROC'] = (MAX_PROCESSES,) * 2  # not for the server: the user may have more elsewhere
        steps = [os.setsid]
        if not self.namespaced: steps.append(made(walls.die_with_parent, self.pid))  # where the server is process 1, its children end with it
        steps += [made(resource.setrlimit, getattr(resource, f'RLIMIT_{kind}'), most) for kind, most in bounds.items()]
        if self.domain >= 0: steps.append(made(walls.enter_domain, self.domain))
        return steps + [made(seccomp.install, part) for part in self.filters]

    # ------------------------------------------------------------ children

    def serve(self):
        "Start and end children until the judge hangs up. A page that is written between two forks is copied for it: most orders go a short way."
        for fd in CHILDS: os.close(fd)  # so that the sockets of a child come as the descriptors that it shall have
        receive, room, flags, orders = self.control.recvmsg, socket.CMSG_SPACE(2 * FD.size), socket.MSG_CMSG_CLOEXEC, {}
        while True:
            data, control, _, _ = receive(ORDER_BYTES, room, flags)
            if not data: return
            if data not in orders:  # most are like those before
                if len(orders) == MAX_ORDERS: orders.clear()
                orders[data] = self.understood(**json.loads(data))
            end, tell, role, seed, output, steps = orders[data]
            ending = self.finish(end, tell) if end else ()
            self.start(role, seed, output, steps)
            for fd in memoryview(control[0][2]).cast('i'): os.close(fd)
            for pid in ending: os.waitpid(pid, 0)  # the kernel takes them down while the next one starts

    def understood(self, role, seconds, memory, output, seed, harness='', end='', tell=False):
        "An order, ready to be followed. What its child will need is loaded here: its children would each read it again."
        tests = role == 'tests'
        if tests: import examiner  # noqa: F401
        if harness: load_harness(harness)
        made, beyond = functools.partial, CHILDS[tests] + 1  # the walls need some of the descriptors from here on
        last = made(os.closerange, beyond, 4096), made(os.write, CHILDS[0], READY), gc.freeze, gc.enable  # allocations count from here: what the server left is not the program's to collect
        return end, tell, self.tests if tests else self.candidates, seed, output, [*self.last_walls(seconds, memory), *last]

    def finish(self, end, tell):
        "End the children of a job; return those that are still to be waited for."
        doomed = []
        while self.candidates and (end == 'all' or not doomed): doomed.append(self.candidates.pop(0))
        doomed += self.tests
        self.tests.clear()
        if self.childless and not tell: return self.kill(doomed)
        ends = self.end(doomed, patient=end == 'gone')
        if tell: self.control.send(json.dumps(ends).encode())
        return ()

    def start(self, role, seed, output, steps):
        "Fork a child that keeps the sockets that came with its order; `role`: those that have the same."
        if seed != self.seed: self.seed = seed; random.seed(seed)
        if output != self.captured.limit: self.captured.limit = output
        try: pid = os.fork()
        except OSError as error: pid = f'fork: {error}'  # stands in the child's place
        if pid: role.append(pid); return
        try: follow(steps)
        except BaseException as error:
            os.write(CHILDS[0], codec.framed({'fault': f'{type(error).__name__}: {error}'}))
            os._exit(1)
        if role is self.tests: child.serve_tests(self.channel, codec.Channel(CHILDS[1]))
        self.serve_child()

    def in_child(self, work, filtered=True):
        "What `work` gives, as JSON, in a child behind all walls; the filter may be left out to see what the others hold."
        reading, writing = os.pipe()
        pid = os.fork()
        if pid == 0:
            try:
                os.dup2(writing, 20)
                if not filtered: self.filters = []
                follow(self.last_walls(2, 64))
                os.write(20, json.dumps(work()).encode())
            finally: os._exit(0)
        os.close(writing)
        os.waitpid(pid, 0)
        with open(reading, 'rb') as f: return json.loads(f.read() or b'null')

    def kill(self, doomed):
        "Kill children; return those that there are to wait for."
        pids = []
        for pid in doomed:
            if type(pid) is int: os.kill(pid, walls.SIGKILL); pids.append(pid)
        return pids

    def end(self, doomed, patient=False):
        """Kill children and all they started, and tell how each ended: a signal's name or an exit code, and seconds of processor time.

        patient: the candidate, the first, seems to be gone; give it a moment to become so, for its end to be its own."""
        ends, alive = {}, False
        if patient and type(doomed[0]) is int:
            for pause in (0, .001, .005, .02, .05, .1):
                time.sleep(pause)
                if not (alive := os.waitid(os.P_PID, doomed[0], os.WEXITED | os.WNOHANG | os.WNOWAIT) is None): break
        pids = self.kill(doomed)
        while pids if self.childless else self.sweep(pids):
            try: pid, status, used = os.wait4(pids.pop() if self.childless else -1, 0)
            except ChildProcessError: break
            ends[pid] = (signal.Signals(os.WTERMSIG(status)).name if os.WIFSIGNALED(status) else os.waitstatus_to_exitcode(status), used.ru_utime + used.ru_stime)
        if alive: ends[doomed[0]] = ('hung up', ends[doomed[0]][1])
        if self.files:
            for folder, found in zip(self.folders, self.found): wipe(folder, found)
        if faults := [fault for fault in doomed if type(fault) is str]: return dict(fault=faults[0])
        return dict(children=[ends[pid] for pid in doomed])

    def sweep(self, pids):
        "Kill all that these children started, orphans among them."
        for target in [-1] if self.namespaced else [*(-pid for pid in pids), *self.descendants()]:
            try: os.kill(target, signal.SIGKILL)
            except (ProcessLookupError, PermissionError): pass
        return True

    def descendants(self):
        "Children of this process, orphans of its children among them."
        return map(int, os.pread(self.listing, 1 << 16, 0).split())


def wipe(folder, found=()):
    "Empty a folder but for what was found there, however deep and closed what lies in it: folders inside folders are brought up until there are none."
    serial = 0
    while names := set(os.listdir(folder)).difference(found):
        for name in names:
            path = f'{folder}/{name}'
            try: os.unlink(path); continue
            except IsADirectoryError: os.chmod(path, 0o700)
            for inner in os.listdir(path):
                serial += 1
                try: os.unlink(f'{path}/{inner}')
                except IsADirectoryError: os.chmod(f'{path}/{inner}', 0o700); os.rename(f'{path}/{inner}', f'{folder}/.wipe{serial}')
            os.rmdir(path)


def readable_by_others(path):
    "Whether a user without rights of its own could read what lies here."
    path = os.path.realpath(path)
    while path != '/':
        if not os.stat(path).st_mode & 0o5: return False
        path = os.path.dirname(path)
    return True


def load_harness(name):
    "Load a module of harnesses/, ours, in the server: its children would each read it again."
    try: __import__(name)
    except ImportError: pass  # a program asked for one that is not there, and will be told


def load_libraries(folders):
    "Make installed packages importable, and load those that programs of this profile use most."
    sys.path += folders
    for name in LIBRARIES:
        try: __import__(name)
        except ImportError: pass


def follow(steps):
    for step in steps: step()


def warm_up():
    """Do, on harmless code, what every child will do, often enough for the interpreter to settle.

    A child then finds tables built and names looked up, and writes to fewer pages, each of which would be copied for it."""
    space = {}
    child.load('def f(x: int) -> int:\n    return sorted([x for x in [x]])[0]', space)
    ours, theirs = (codec.Channel(end.detach(), blocking=True) for end in socket.socketpair())
    for _ in range(20):
        follow([int, int])
        ours.send(dict(ticket='', name='f', arity=1, values=[1, 2]))
        child.answer(theirs.receive(), space, theirs.send, child.Capped())
        ours.receive()
    for channel in ours, theirs: os.close(channel.fd)
    codec.decode(json.loads(json.dumps(codec.encode([1.5, (2, {3}), {'a': b''}]))))
    observe(space, 'f', [[[1.5]]], 1.0)
    child.attempt(lambda: space['g'])
    walls.ctypes.CFUNCTYPE(None)(int)  # libffi finds memory for callbacks while it still may
    signal.signal(signal.SIGPROF, signal.SIG_DFL)


def run_server(control, settings, namespaces):
    "Wall in, try the walls, tell the judge, and serve."
    server = Server(control, settings)
    if server.libs: load_libraries(settings['libraries'])
    warm_up()
    pages.move_code(*pages.code_of_interpreter())
    weak = server.wall_in(namespaces)
    server.bound()
    gc.collect(); gc.freeze(); gc.disable()
    tried = trials.attack(server.in_child, server.profile, settings['canary'], settings['caller'], settings['thorough'])
    if broken := [name for name, (held, *_) in tried.items() if not held]: weak = weak or f"the walls do not hold: {', '.join(broken)} succeeded"
    hello = dict(childless=server.childless, walls=dict(profile=server.profile, standing=server.standing, missing=server.missing, trials=tried, weak=weak))
    if weak and not settings['weak_walls']: hello = dict(refused=weak, **hello)
    server.control.send(json.dumps(hello).encode())
    if 'refused' not in hello:
        if server.childless: seccomp.install(server.filters.pop(0))
        try: return server.serve()
        except BaseException: os.dup2(server.words, 2); raise
    while server.control.recv(1 << 16): pass  # jobs that are on their way already; ending now would end the judge before it could tell


def main(settings):
    "Split into the watcher, the judge and the server; `settings` are JSON."
    caller, watcher, settings = os.getppid(), os.getpid(), json.loads(settings)
    del sys.argv[1:]  # no business of programs
    settings.update(caller=caller, number=watcher)
    if settings['core'] is not None:
        try: os.sched_setaffinity(0, [settings['core']])
        except OSError: pass  # then the kernel chooses
    os.umask(0o077)
    walls.oom_first()
    walls.subreaper()
    judges_end, servers_end = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    def judge_process():
        servers_end.close()
        walls.die_with_parent(watcher)
        import judge
        judge.judge(socket.socket(fileno=0), judges_end)
    def server_process():
        judges_end.close()
        if 'mnt' in namespaces: walls.own_mounts()  # the watcher keeps the folders that it has to clean up
        run_server(servers_end, settings, namespaces)
    judging = split(judge_process)
    judges_end.close()
    namespaces, settings['refused'] = [], 'left out on demand'
    if 'namespaces' not in settings['without']:
        try: namespaces = walls.enter_namespaces()
        except OSError as error: settings['refused'] = str(error)
    serving = split(server_process)
    servers_end.close()
    watch(caller, {judging: 'judge', serving: 'server'})
    try:
        wipe(home := os.path.dirname(settings['home']))
        os.rmdir(home)
    except OSError: pass  # the caller does it, too
    sys.stderr.flush()
    os._exit(0)  # the caller waits: no time to take the interpreter apart


def watch(caller, processes):
    "Wait until the caller hangs up or is gone, or one of the processes ends, and tell how; then end them all."
    changes = select.poll()
    changes.register(0, select.POLLRDHUP)
    for pid in processes:
        try: changes.register(os.pidfd_open(pid), select.POLLIN)
        except OSError: pass  # no such call in this container: a quarter of a second later will do
    ended = []
    while os.getppid() == caller and not ended and 0 not in dict(changes.poll(250)):
        ended = [(pid, status) for pid in processes for pid, status in [os.waitpid(pid, os.WNOHANG)] if pid]
    for pid, status in ended:
        if os.WIFSIGNALED(status): print(f'the {processes[pid]} ended by {signal.Signals(os.WTERMSIG(status)).name}', file=sys.stderr)
    for pid in set(processes) - {pid for pid, _ in ended}:
        os.kill(pid, signal.SIGKILL)
        os.waitpid(pid, 0)


def split(work):
    "Fork a process that does one thing; a hung-up socket is its end, anything else that goes wrong is told on standard error."
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
