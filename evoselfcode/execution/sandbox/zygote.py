"""The far side of execution: a watcher, a verifier, and a fork server behind its layers, with a child per program.

    caller -- socket --> verifier --- control socket ---> server --fork--> child, which holds one candidate
                           \\________ a socket for each program ________/

Imported by a freshly executed interpreter without site packages (`python -P -s -S`), with this folder as the first of
its path; never by the caller's process. The first process becomes the watcher: it forks the verifier (verifier.py) and
the server, ends both when either ends or the caller is gone, and cleans up. The server is process 1 of its own
namespaces where the kernel grants them; it goes behind its layers (isolation.py, seccomp.py), tries them
(self_test.py), tells what stands, and forks. Standard library only, and little of it: every page the server owns makes
each fork dearer.
"""
import gc, json, os, resource, select, signal, struct, sys, time
import _socket as socket  # the rest of `socket` would be in every child
# `random` would draw a new seed in every child; each has the job's
os.register_at_fork, kept = lambda **_: None, os.register_at_fork
# What small programs import most is loaded once here, so that a child finds it ready.
import bisect, collections, collections.abc, copy, functools, heapq, itertools  # noqa: F401
import math, operator, random, re, string, typing  # noqa: F401
os.register_at_fork = kept
import channel, child, huge_pages, isolation, seccomp, self_test
from upkeep import count_tasks, ending, load_harness, load_libraries, memory_of, own_mode, readable_by_others, size_of
from upkeep import split, watch, wipe

MAX_PROCESSES, MAX_FILES = 64, 64
MAX_FILE_MB, STACK_MB, PRIVATE_MB = 16, 64, 64
READY_MESSAGE = channel.framed('ready')
ORDER_BYTES = 460  # as long as an order may be, for Python's own allocator
MAX_ORDERS = 256  # that are kept for the next like them
FD_FORMAT = struct.Struct('i')
FEW_TASKS, SPARE_TASKS = 16, 512  # tasks of a user who has but us; room for what one who has more starts meanwhile
WATCH_MS = 10  # milliseconds between two looks at a job of several processes
LEAST_FILES, LEAST_MB = 24, 32  # with less nothing works
NO_CORE = 1  # byte that is kept of a process that crashed: none; 0 would still start a handler of the machine
CHILD_FDS = (3, 4)  # descriptors of a child beside the usual three: its socket, and for tests the one to the candidate
FILTER_HOPELESS = (
    'without a filter of system calls (seccomp), nothing keeps programs from the network and from other processes'
)
READING_HOPELESS = 'without Landlock and without a private root, programs could read whatever the user can'
WRITING_HOPELESS = 'without a private root, nothing bounds what programs write; only the profile `pure` needs none'


class Server:
    "The fork server: its layers, and the children of the job at hand."
    def __init__(self, control: socket.socket, settings: dict):
        self.settings, self.profile = settings, settings['profile']
        self.seed = None
        self.files, self.libs = self.profile != 'pure', self.profile == 'libs'
        self.candidates, self.tests = [], []  # children: the first candidate and the tests are at work
        self.standing, self.missing = {}, {}  # layers, and why others do not stand
        self.spoilt = ''  # why no child can be started any more
        self.lasts = 0  # until when the count of the user's tasks holds
        self.excess = False  # whether the children took too much memory together
        self.watched = False  # whether jobs may have several processes, whose memory is looked at
        # opened while they can be: /proc/self and /dev/null are out of reach behind the layers
        self.pid, self.null = os.getpid(), os.open('/dev/null', os.O_RDWR)
        self.control = socket.socket(fileno=os.dup2(control.fileno(), 10, inheritable=False))
        control.close()
        for fd in (0, 1, *CHILD_FDS): os.dup2(self.null, fd)
        self.size = os.open('/proc/self/statm', os.O_RDONLY)
        self.channel = channel.Channel(CHILD_FDS[0])
        self.captured = child.capture()
        self.serve_child = child.serving(self.channel, self.captured)
        here = os.path.dirname(os.path.abspath(__file__))
        self.readable = [*isolation.interpreter_paths(self.libs), here, *settings['libraries']]

    # ------------------------------------------------------------ layers

    def take_layers(self, namespaces: list) -> str:
        """Put up what this machine has, in the order that isolation.py gives; return what is hopeless.

        Notes what stands, and why the rest does not."""
        self.own_places(set(namespaces))
        self.own_rights('user' in namespaces)
        version = self.own_rules()
        if self.files:
            os.environ['TMPDIR'] = self.folder
            self.found = {folder: (os.listdir(folder), own_mode(folder)) for folder in self.folders}
        self.base = int(os.pread(self.size, 100, 0).split()[0]) * resource.getpagesize()
        if not self.filters: return FILTER_HOPELESS
        if not self.root and not version: return READING_HOPELESS
        return WRITING_HOPELESS if self.files and not self.root else ''

    def own_places(self, namespaces: set) -> None:
        "Namespaces, loopback, and a root folder in which only what is readable shows."
        if namespaces: self.standing['namespaces'] = ' '.join(sorted(namespaces))
        else: self.missing['namespaces'] = self.settings['refused']
        self.namespaced, self.own_network = 'pid' in namespaces, 'net' in namespaces and self.libs
        if not self.namespaced:
            isolation.subreaper()
            self.listing = os.open(f'/proc/self/task/{self.pid}/children', os.O_RDONLY)
        if self.own_network:
            self.build('loopback', lambda: isolation.loopback_up() or True)
            try: isolation.tune_network()
            except OSError as error: self.missing['ports that are free again at once'] = str(error)
        folders = ['/tmp']
        if self.files and any(path.startswith('/tmp/') for path in self.readable):
            folders = ['/private', '/tmp']  # the first shows nothing else
        def private_root():
            isolation.private_root(
                self.readable, PRIVATE_MB if self.files else 0, folders, executable=self.libs, proc=self.libs,
                texts=isolation.LOCAL_NAMES if self.own_network else None)
            return True
        self.root = 'mnt' in namespaces and self.build('private root', private_root)
        self.folders = folders if self.root else [self.settings['home'] if self.files else '/']
        self.folder = self.folders[0]

    def own_rights(self, mapped: bool) -> None:
        "A user that owns nothing, and no capabilities; `mapped`: a user namespace, which has no second user to become."
        uid = other = 60000 + self.settings['number'] % 5000 if os.getuid() == 0 and not mapped else None
        closed = not self.root and uid is not None and not readable_by_others(os.path.dirname(os.__file__))
        if closed and not isolation.capabilities() >> isolation.DAC_READ_SEARCH & 1:
            uid, self.missing['own user'] = None, 'the interpreter lies in a folder that is closed to others'
        if other and not uid:  # still root to the files, but its tasks count, which root's do not
            try: os.setresuid(other, 0, 0)
            except PermissionError: pass
        if uid and self.files and not self.root: os.chown(self.folder, uid, uid)
        dropped = uid is not None and self.build('own user', lambda: isolation.drop_privileges(uid, closed) | 1)
        self.own_user = dropped or mapped
        if uid is None or not self.own_user: self.build('no capabilities', lambda: isolation.drop_privileges() | 1)
        isolation.no_new_privs()
        isolation.not_dumpable()
        isolation.die_with_parent()

    def own_rules(self) -> int:
        "Landlock and the filter of system calls; return Landlock's version."
        writable = [*self.folders, os.devnull] if self.files else []
        readable = [*self.readable, *isolation.DEVICES]
        if self.libs and self.root: readable += ['/proc', *isolation.LOCAL_NAMES]
        def landlock():
            programs = [*readable, *self.folders] if self.libs else ()
            version = isolation.landlock(readable, writable or [os.devnull], programs, self.own_network)
            self.domain = isolation.own_domain(writable, self.libs, self.own_network)
            return version
        def filters():  # a server of `pure` has nothing to do but to fork, and takes the first part itself
            if not seccomp.available(): raise OSError('the kernel has none')
            own_processes = self.namespaced or version >= isolation.SCOPES_SINCE
            allowed = self.profile, self.root, own_processes, self.root and self.own_network
            parts = [seccomp.WHOLE] if self.files else [seccomp.SERVER, seccomp.CHILD]
            return [seccomp.prepared(seccomp.filter_program(*allowed, part=part)) for part in parts]
        self.domain = -1
        version = self.build('landlock', landlock)
        self.filters = self.build('seccomp', filters) or []
        self.childless = bool(self.filters) and not self.files
        return version

    def build(self, name: str, work) -> object:
        "Put up one layer; note it as standing, or the reason why not."
        if name in self.settings['without']:
            self.missing[name] = 'left out on demand'
            return False
        try: done = work()
        except OSError as error: done, self.missing[name] = False, str(error)
        if done: self.standing[name] = done if name == 'landlock' else True
        else: self.missing.setdefault(name, 'the kernel has none')
        return done

    def bound(self) -> None:
        "Put bounds on this process that its children shall have: set once, they need not be set in each."
        os.chdir(self.folder)
        isolation.usual_signals()  # to become another user, the C library may have taken one
        bounds = dict(FSIZE=MAX_FILE_MB << 20, NOFILE=MAX_FILES, STACK=STACK_MB << 20)
        wanted = bounds | dict(AS=self.base + (self.settings['memory'] << 20))
        limits = {kind: isolation.granted(kind, most)[1][0] for kind, most in wanted.items()}
        for kind, least in ('NOFILE', LEAST_FILES), ('AS', self.base + (LEAST_MB << 20)):
            if limits[kind] < least:
                raise OSError(f"this host's hard limit RLIMIT_{kind} is {limits[kind]:,}, {least:,} is needed")
        lower = {kind: most for kind, most in wanted.items() if limits[kind] < most}
        self.lower = [f'RLIMIT_{kind} {limits[kind]:,} in place of {most:,}' for kind, most in lower.items()]
        for kind, most in bounds.items(): resource.setrlimit(*isolation.granted(kind, most, most))
        resource.setrlimit(*isolation.granted('CORE', NO_CORE, NO_CORE))
        self.words = os.dup(2)  # for what this process itself has to say
        os.dup2(self.null, 2)

    def last_layers(self, seconds: float, memory: int) -> list:
        """What a child does to itself before it does anything foreign, as calls ready to be made.

        It copies each page that it comes by on its way."""
        made, room = functools.partial, self.base + (memory << 20)
        bounds = dict(CPU=(math.ceil(seconds) + 1, math.ceil(seconds) + 2), AS=(room, room), NPROC=(self.tasks(),) * 2)
        steps = [os.setsid]
        # where the server is process 1, its children end with it
        if not self.namespaced: steps.append(made(isolation.die_with_parent, self.pid))
        if self.libs: steps.append(made(signal.signal, signal.SIGINT, signal.default_int_handler))
        steps += [made(resource.setrlimit, *isolation.granted(kind, *most)) for kind, most in bounds.items()]
        if self.domain >= 0: steps.append(made(isolation.enter_domain, self.domain))
        return steps + [made(seccomp.install, part) for part in self.filters]

    def tasks(self) -> int:
        """How many processes and threads the user may have, for a child to have its share.

        The kernel counts all of a user's. Who has more than ours has some that come and go: then it is asked again now
        and then."""
        if time.monotonic() > self.lasts:
            found = self.in_child(count_tasks, bare=True)
            self.granted = found + MAX_PROCESSES + (SPARE_TASKS if found > FEW_TASKS else 0)
            self.lasts = time.monotonic() + 2 if found > FEW_TASKS else math.inf
        return self.granted

    # ------------------------------------------------------------ children

    def serve(self) -> None:
        """Start and end children until the verifier hangs up.

        A page that is written between two forks is copied for it: most orders go a short way."""
        for fd in CHILD_FDS: os.close(fd)  # so that the sockets of a child come as the descriptors that it shall have
        receive = self.control.recvmsg
        room, flags = socket.CMSG_SPACE(2 * FD_FORMAT.size), socket.MSG_CMSG_CLOEXEC
        orders, clock = {}, time.monotonic
        while True:
            if self.watched: self.watch()
            data, control, _, _ = receive(ORDER_BYTES, room, flags)
            if not data: return
            if data not in orders or clock() > self.lasts:  # most are like those before
                if len(orders) == MAX_ORDERS or clock() > self.lasts: orders.clear()
                orders[data] = self.understood(**json.loads(data))
            end, tell, role, seed, output, self.memory, steps = orders[data]
            ending = self.finish(end, tell) if end else ()
            self.start(role, seed, output, steps)
            for fd in memoryview(control[0][2]).cast('i'): os.close(fd)
            for pid in ending: os.waitpid(pid, 0)  # the kernel takes them down while the next one starts

    def understood(
        self, role: str, seconds: float, memory: int, output: int, seed: int, harness: str = '', end: str = '',
        tell: bool = False,
    ) -> tuple:
        "An order, ready to be followed. What its child will need is loaded here: children would each read it again."
        tests = role == 'tests'
        if tests: import examiner  # noqa: F401
        if harness: load_harness(harness)
        made, beyond = functools.partial, CHILD_FDS[tests] + 1  # the layers need some of the descriptors from here on
        # allocations count from here: what the server left is not the program's to collect
        last = made(os.closerange, beyond, 4096), made(os.write, CHILD_FDS[0], READY_MESSAGE), gc.freeze, gc.enable
        first = [isolation.dumpable] if self.watched and not tests else []  # only then may the server see what it takes
        steps = [*first, *self.last_layers(seconds, memory), *last]
        return end, tell, self.tests if tests else self.candidates, seed, output, memory << 20, steps

    def watch(self) -> None:
        """See, until the verifier speaks, that a job's processes take no more memory together than one may.

        Else they are ended. One alone is bounded by its address space. What each has more than the server is its own.
        Which of the server's pages it changed takes long to find out, and must be too much twice: who forks meanwhile
        counts double."""
        orders = select.poll()
        over = 0  # how often in a row it was too much
        since, cost = 0.0, 0.0  # when that was last found out, and how long it took
        orders.register(self.control, select.POLLIN)
        while not orders.poll(WATCH_MS) and not self.excess:
            pids = [name for name in os.listdir('/proc') if name.isdigit() and name != '1']
            began = time.monotonic()
            if len(pids) <= 1 + len(self.tests): continue
            sizes = list(map(size_of, pids))
            if sum(max(0, size - self.own_size) for size in sizes) > self.memory: over = 2
            elif sum(sizes) > self.memory and began > since + 4 * cost:
                over = over + 1 if sum(map(memory_of, [*pids, 'self'])) > self.own + self.memory else 0
                since = time.monotonic()
                cost = since - began
            if over == 2:
                self.excess = True
                self.sweep([])

    def finish(self, end: str, tell: bool) -> list | tuple:
        "End the children of a job; return those that are still to be waited for."
        doomed = []
        while self.candidates and (end == 'all' or not doomed): doomed.append(self.candidates.pop(0))
        doomed += self.tests
        self.tests.clear()
        if self.childless and not tell: return self.kill(doomed)
        gone = None
        if end == 'gone': gone = doomed[0]
        elif end == 'tests gone': gone = doomed[-1]
        ends = self.end(doomed, gone)
        if tell: self.control.send(json.dumps(ends).encode())
        return ()

    def start(self, role: list, seed: int, output: int, steps: list) -> None:
        "Fork a child that keeps the sockets that came with its order; `role`: those that have the same."
        if seed != self.seed:
            self.seed = seed
            random.seed(seed)
        if output != self.captured.limit: self.captured.limit = output
        self.own_streams()
        try: pid = self.spoilt or os.fork()
        except OSError as error: pid = f'fork: {error}'  # stands in the child's place
        if pid:
            role.append(pid)
            return
        try: follow(steps)
        except BaseException as error:
            os.write(CHILD_FDS[0], channel.framed({'fault': f'{type(error).__name__}: {error}'}))
            os._exit(1)
        if role is self.tests: child.serve_tests(self.channel, channel.Channel(CHILD_FDS[1]))
        self.serve_child()

    def own_streams(self) -> None:
        "Open what the next child gets as its input and output: flags and locks of shared ones would reach the others."
        null = os.open(os.devnull, os.O_RDWR)
        for fd in (0, 1, 2): os.dup2(null, fd)
        os.close(null)

    def in_child(self, work, filtered: bool = True, bare: bool = False) -> object:
        """What `work` gives, as JSON, in a child behind all layers.

        filtered: False for all but the filter of system calls. bare: for all but those that a child adds."""
        reading, writing = os.pipe()
        pid = os.fork()
        if pid == 0:
            try:
                os.dup2(writing, 20)
                if not filtered: self.filters = []
                if not bare: follow(self.last_layers(2, 64))
                os.write(20, json.dumps(work()).encode())
            finally: os._exit(0)
        os.close(writing)
        os.waitpid(pid, 0)
        with open(reading, 'rb') as f: return json.loads(f.read() or b'null')

    def kill(self, doomed: list) -> list:
        "Kill children; return those that there are to wait for."
        pids = []
        for pid in doomed:
            if type(pid) is int:
                os.kill(pid, isolation.SIGKILL)
                pids.append(pid)
        return pids

    def end(self, doomed: list, gone: int | str | None = None) -> dict:
        """Kill children and all they started, and tell how each ended.

        That is a signal's name or an exit code, and seconds of processor time. gone: one that seems to be so; it gets a
        moment to become it, for its end to be its own."""
        ends, alive = {}, False
        if type(gone) is int:
            for pause in (0, .001, .005, .02, .05, .1):
                time.sleep(pause)
                if not (alive := os.waitid(os.P_PID, gone, os.WEXITED | os.WNOHANG | os.WNOWAIT) is None): break
        pids = self.kill(doomed)
        while pids if self.childless else self.sweep(pids):
            try: pid, status, used = os.wait4(pids.pop() if self.childless else -1, 0)
            except ChildProcessError: break
            ends[pid] = (ending(status), used.ru_utime + used.ru_stime)
        if alive: ends[gone] = ('hung up', ends[gone][1])
        if self.excess:
            self.excess = False
            ends.update((pid, ('memory', cpu)) for pid, (_, cpu) in ends.items())
        if self.files:
            try:
                for folder in self.folders: wipe(folder, *self.found[folder])
            except OSError as error: self.spoilt = f'the folder of programs could not be emptied: {error}'
        if faults := [fault for fault in doomed if type(fault) is str]: return dict(fault=faults[0])
        return dict(children=[ends[pid] for pid in doomed])

    def sweep(self, pids: list) -> bool:
        "Kill all that these children started, orphans among them."
        for target in [-1] if self.namespaced else [*(-pid for pid in pids), *self.descendants()]:
            try: os.kill(target, signal.SIGKILL)
            except (ProcessLookupError, PermissionError): pass
        return True

    def descendants(self) -> map:
        "Children of this process, orphans of its children among them."
        return map(int, os.pread(self.listing, 1 << 16, 0).split())


def follow(steps: list) -> None:
    "Make calls that are ready to be made."
    for step in steps: step()


def warm_up() -> None:
    """Do, on harmless code, what every child will do, often enough for the interpreter to settle.

    A child then finds tables built and names looked up, and writes to fewer pages, each of which would be copied for
    it."""
    ours, theirs = (channel.Channel(end.detach()) for end in socket.socketpair())
    candidate = child.Candidate(child.Captured())
    candidate.loaded('f\ndef f(x):\n    return sorted([x for x in [x]])[0]')
    orders = dict(do='call', name='f', args=[[1.5, [2]]], kwargs={}, seconds=1.0), dict(do='kind', name='f')
    questions = ['', 'f', [1]], *(['', order] for order in orders)
    for _ in range(20):
        follow([int, int])
        for asked in questions:
            ours.send(asked)
            ticket, *what = theirs.receive()
            theirs.send([ticket, candidate.answer(*what)])
            ours.receive()
    for end in ours, theirs: os.close(end.fd)
    candidate.answer('g', [])
    del sys.modules[child.MODULE]  # tests must not find this one
    isolation.ctypes.CFUNCTYPE(None)(int)  # libffi finds memory for callbacks while it still may
    signal.signal(signal.SIGPROF, signal.SIG_DFL)


def run_server(control: socket.socket, settings: dict, namespaces: list) -> None:
    "Take on the layers, try them, tell the verifier, and serve."
    server = Server(control, settings)
    if server.libs: load_libraries(settings['libraries'])
    huge_pages.keep_private(shared=server.libs)
    warm_up()
    huge_pages.move_code(*huge_pages.code_of_interpreter())
    weak = server.take_layers(namespaces)
    server.bound()
    gc.collect()
    gc.freeze()
    gc.disable()
    tried = self_test.attack(
        server.in_child, server.profile, settings['canary'], settings['caller'], settings['thorough'])
    if broken := [name for name, (held, *_) in tried.items() if not held]:
        weak = weak or f"the layers do not hold: {', '.join(broken)} succeeded"
    told = {name: getattr(server, name) for name in ('profile', 'standing', 'missing', 'lower')}
    hello = dict(childless=server.childless, layers=dict(told, trials=tried, weak=weak))
    if weak and not settings['allow_unsandboxed']: hello = dict(refused=weak, **hello)
    # only what has a handler reaches process 1; children set theirs
    if server.libs: signal.signal(signal.SIGINT, signal.SIG_DFL)
    server.control.send(json.dumps(hello).encode())
    if 'refused' not in hello:
        server.watched = server.libs and server.root and server.namespaced
        server.own, server.own_size = memory_of('self'), size_of('self')
        if server.childless: seccomp.install(server.filters.pop(0))
        try: return server.serve()
        except BaseException:
            os.dup2(server.words, 2)
            raise
    # jobs that are on their way already; ending now would end the verifier before it could tell
    while server.control.recv(1 << 16): pass


def main(settings: str) -> None:
    "Split into the watcher, the verifier and the server; `settings` are JSON."
    caller, watcher = os.getppid(), os.getpid()
    settings = json.loads(settings)
    if not os.path.exists('/proc/self/statm'):
        raise OSError('there is no /proc here, which says what a process is made of')
    del sys.argv[1:]  # no business of programs
    settings.update(caller=caller, number=watcher)
    if settings['core'] is not None:
        try: os.sched_setaffinity(0, [settings['core']])
        except OSError: pass  # then the kernel chooses
    os.umask(0o077)
    isolation.usual_signals()
    isolation.oom_first()
    isolation.subreaper()
    verifiers_end, servers_end = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    def verifier_process():
        servers_end.close()
        isolation.die_with_parent(watcher)
        import verifier
        verifier.answer_jobs(socket.socket(fileno=0), verifiers_end, settings['libraries'])
    def server_process():
        verifiers_end.close()
        if 'mnt' in namespaces: isolation.own_mounts()  # the watcher keeps the folders that it has to clean up
        run_server(servers_end, settings, namespaces)
    verifying = split(verifier_process)
    verifiers_end.close()
    namespaces, settings['refused'] = [], 'left out on demand'
    if 'namespaces' not in settings['without']:
        try: namespaces = isolation.enter_namespaces()
        except OSError as error: settings['refused'] = str(error)
    serving = split(server_process)
    servers_end.close()
    watch(caller, {verifying: 'verifier', serving: 'server'})
    try:
        wipe(home := os.path.dirname(settings['home']))
        os.rmdir(home)
    except OSError: pass  # the caller does it, too
    sys.stderr.flush()
    os._exit(0)  # the caller waits: no time to take the interpreter apart
