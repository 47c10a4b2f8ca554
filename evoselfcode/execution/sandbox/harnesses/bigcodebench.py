"""BigCodeBench's way to a verdict: a program and its unittest tests in one process, as in its harness at 47eff25.

These tests patch and mock what the program uses, so they cannot be kept apart from it, and a program that means to can
forge its verdict. What is done here makes forging evident, not impossible: the machinery of the tests is noted before
the program is loaded, and compared after that and after the tests; who asked for the verdict knows how many tests there
are, and this module does not.

Runs in a locked child of the profile `libs`, under its layers, and changes its own process for good.
Standard library only.
"""
import ast, builtins, io, os, random, re, resource, signal, socket, subprocess, sys, tempfile, time, traceback, types
import unittest, unittest.mock

MODULE = '__test__'  # the harness's name for program and tests together
STACK_MB = 10        # of address space for the stack, as in the harness
WATCHED = (
    'unittest', 'unittest.case', 'unittest.loader', 'unittest.mock', 'unittest.result', 'unittest.suite',
    'unittest.util', 'numpy.testing', 'pandas.testing', 'traceback', 'child', 'codec', __name__,
)
MOST, LONGEST = 200, 300  # details that are told, and characters of each
# what Python says before it does it
NETWORK = (
    'socket.connect', 'socket.sendto', 'socket.getaddrinfo', 'socket.gethostbyname', 'socket.gethostbyaddr',
    'socket.getnameinfo',
)
PYTHON = os.path.realpath(sys.executable)  # found before the layers stand: the server loads this module
HERE = ('', '0.0.0.0', '::', '::1', 'localhost')


class Late(Exception):
    "What the alarm raises: an Exception, so that a program may catch it, as in the harness."


class Stream(io.StringIO):
    "Standard input, output and error in one: takes what is written, and refuses to be read."
    def refuse(self, *_, **__): raise OSError
    read = readline = readlines = refuse
    def readable(self, *_, **__): return False


# ---------------------------------------------------------------- the harness's surroundings that decide a verdict

def surround() -> None:
    """Change this process as the harness does.

    Time zone, names that are gone, output that is swallowed, commands that are watched over."""
    os.environ.update(TZ='UTC', OMP_NUM_THREADS='1', TF_CPP_MIN_LOG_LEVEL='3', TF_ENABLE_ONEDNN_OPTS='0')
    time.tzset()
    resource.setrlimit(resource.RLIMIT_STACK, (STACK_MB << 20, resource.getrlimit(resource.RLIMIT_STACK)[1]))
    builtins.exit = builtins.quit = None
    draw_anew()
    provide_python()
    os.chdir(tempfile.mkdtemp())
    watch_signals_and_commands()
    sys.stdin = sys.stdout = sys.stderr = Stream()


def draw_anew() -> None:
    "Random numbers are nobody's here: no seed is the job's, and none was drawn by the server for all its children."
    os.register_at_fork(after_in_child=random.seed)  # left out by the server for its own children
    random.seed()
    if 'numpy' in sys.modules: sys.modules['numpy'].random.seed()
    os.environ.pop('PYTHONHASHSEED', None)  # for the interpreters that a program starts


def provide_python() -> None:
    """Let commands find this interpreter as `python` and `python3`, with the installed libraries.

    In the harness's image it is there so. A virtual environment is out of reach here."""
    sys.executable = PYTHON
    folder = tempfile.mkdtemp()
    for name in ('python', 'python3'): os.symlink(PYTHON, f'{folder}/{name}')
    libraries = ':'.join(path for path in sys.path if path.endswith('-packages'))
    os.environ.update(PATH=f"{folder}:{os.environ['PATH']}", PYTHONPATH=libraries)


def hosts_reached_for() -> list:
    """A list that takes the names of other machines that this process looks for.

    What its commands look for does not show."""
    hosts, own = [], socket.gethostname()
    def hear(event, about):
        if event not in NETWORK: return
        host = about[1] if event in ('socket.connect', 'socket.sendto') else about[0]
        # None: not an address of the internet
        if event == 'socket.sendto' or type(host) is tuple: host = host[0] if type(host) is tuple and host else None
        host = host.decode('utf-8', 'replace') if isinstance(host, bytes) else host
        if type(host) is str and host not in HERE and host != own and not host.startswith('127.') and host not in hosts:
            hosts.append(host[:LONGEST])
    sys.addaudithook(hear)
    return hosts


def pool_workers() -> set | tuple:
    """Processes that `multiprocessing` started.

    The harness lets nobody end them either, so that leaving a pool hangs there by chance; here it does not."""
    known = sys.modules.get('multiprocessing.process')
    return {process.pid for process in known._children} if known else ()


def watch_signals_and_commands() -> None:
    """Replace what could end other processes.

    Each says so on standard output, where tests may find it; `kill` and `ps` mean a text within a command, or an item
    of its list."""
    kill, killpg = os.kill, os.killpg
    system, popen = os.system, os.popen
    call, check_output = subprocess.call, subprocess.check_output
    run, Popen = subprocess.run, subprocess.Popen
    me, group = os.getpid(), os.getpgid(0)
    started = []
    def say(what, about): print(f'{what} was asked for: {about}')
    def deadly(command): return 'kill' in command
    def mild_kill(pid, sig):
        try:
            os.getpgid(pid)
            say(f'signal {sig}', pid)
            if pid == me or pid in started or pid in pool_workers(): kill(pid, sig)
        except ProcessLookupError: say('the end of no process', pid)
    def mild_killpg(pgid, sig):
        say(f'signal {sig}', f'group {pgid}')
        if pgid == group or pgid in {os.getpgid(pid) for pid in started}: killpg(pgid, sig)
    def mild_system(command):
        say('os.system', command)
        return 0 if deadly(command) else system(command)
    def mild_popen(command):
        say('os.popen', command)
        return popen('echo nothing was ended') if deadly(command) else popen(command)
    def mild_call(command, *more, **named):
        say('subprocess.call', command)
        return 0 if deadly(command) else call(command, *more, **named)
    def mild_check_output(command, *more, **named):
        say('subprocess.check_output', command)
        return b'' if 'ps' in command else check_output(command, *more, **named)
    def mild_run(*given, **named):
        say('subprocess.run', given)
        return subprocess.CompletedProcess(given, 0, b'', b'') if deadly(given[0]) else run(*given, **named)
    class MildPopen(Popen):
        """A command in a session of its own, that is asked to end, never forced.

        Waiting too long for its output gives none."""
        def __init__(self, *given, **named):
            say('subprocess.Popen', given)
            super().__init__(*given, **named | dict(preexec_fn=os.setsid))
            started.append(self.pid)
        def communicate(self, *given, **named):
            try: return super().communicate(*given, **named)
            except subprocess.TimeoutExpired: return None, None
        def terminate(self): mild_kill(self.pid, signal.SIGTERM)
        kill = terminate
    def quiet(start):
        "Keep the output of a command from the terminal: both ways go into pipes, unless the caller says where else."
        def starting(*given, **named):
            if named.get('capture_output'):
                named.pop('stdout', None)
                named.pop('stderr', None)
            else:
                named = dict(stdout=subprocess.PIPE, stderr=subprocess.PIPE) | named
            return start(*given, **named)
        return starting
    os.kill, os.killpg, os.system, os.popen = mild_kill, mild_killpg, mild_system, mild_popen
    os.execv = os.execvp = os.execvpe = lambda *given, **named: say('another program', given)
    subprocess.call, subprocess.check_output = mild_call, mild_check_output
    subprocess.run, subprocess.Popen = quiet(mild_run), quiet(MildPopen)


# ---------------------------------------------------------------- what a forger would change

def is_machinery(value: object) -> bool:
    "Whether a forger could gain by replacing a value."
    return callable(value) or isinstance(value, (classmethod, staticmethod, property))


def insides(function: object) -> tuple:
    "What a function does, beside its name."
    function = getattr(function, '__func__', function)
    return tuple(getattr(function, name, None) for name in ('__code__', '__defaults__', '__kwdefaults__'))


def noted(owners: dict) -> list:
    """What modules and classes, {name: module or class}, hold now.

    A row for each: its name, where it is looked up, its names and values, what is in those."""
    notes = []
    for label, owner in owners.items():
        held = {name: value for name, value in vars(owner).items() if label == 'builtins' or is_machinery(value)}
        notes.append((label, vars(owner), held, {name: insides(value) for name, value in held.items()}))
    return notes


def owners_of_verdicts() -> dict:
    "The modules that a verdict depends on, and the classes that they define."
    modules = {name: sys.modules[name] for name in WATCHED if name in sys.modules}
    classes = {}
    for name, module in modules.items():
        for key, value in vars(module).items():
            if isinstance(value, type) and value.__module__ == name: classes[f'{name}.{key}'] = value
    return {'builtins': builtins} | modules | classes


class Recorded(unittest.TestResult):
    "A TestResult that leaves a second trace of what it is told; the harness's own is the plain class."
    def __init__(self, trace: dict):
        super().__init__()
        self.trace, self.lists = trace, (self.failures, self.errors, self.skipped)
    def startTest(self, test):
        self.trace['ran'] += 1
        super().startTest(test)
    def addFailure(self, test, error):
        self.trace['wrong'] += 1
        super().addFailure(test, error)
    def addError(self, test, error):
        self.trace['wrong'] += 1
        super().addError(test, error)
    def addSubTest(self, test, subtest, error):
        self.trace['wrong'] += error is not None
        super().addSubTest(test, subtest, error)
    def stopTest(self, test):
        "A test may carry what it likes, but no assertions of its own making."
        own = [name for name in vars(test) if name.startswith(('assert', 'fail', '_callTest', 'run'))]
        self.trace['changed'] += [f'self.{name}' for name in own if callable(getattr(unittest.TestCase, name, None))]
        super().stopTest(test)


# ---------------------------------------------------------------- the verdict

def parts_of(solution: str, tests: str) -> tuple | list:
    """Compile program and tests as the one text that they are in the harness, to code for each.

    What begins in the program's lines is the program's."""
    lines = solution.replace('\r\n', '\n').replace('\r', '\n').count('\n') + 1
    tree = ast.parse(text := f'{solution}\n{tests}', f'{MODULE}.py')
    whole = compile(text, f'{MODULE}.py', 'exec')  # says what no part would
    own, theirs = [s for s in tree.body if first_line(s) <= lines], [s for s in tree.body if first_line(s) > lines]
    if not own or not theirs: return whole, compile('', f'{MODULE}.py', 'exec')
    known = __import__('__future__')
    future = whole.co_flags & sum(getattr(known, name).compiler_flag for name in known.all_feature_names)
    return [compile(ast.Module(body, []), f'{MODULE}.py', 'exec', future, dont_inherit=True) for body in (own, theirs)]


def first_line(statement: ast.stmt) -> int:
    "The line where a statement begins, its decorators with it."
    return min([statement.lineno, *(decorator.lineno for decorator in getattr(statement, 'decorator_list', ()))])


def last_words(trace: str) -> str:
    "The line of a traceback's text that names the exception."
    lines = trace.strip().split('\n')
    start = max((i for i, line in enumerate(lines) if line.startswith('  File "')), default=-1)
    return next((line for line in lines[start + 1:] if line and not line.startswith(' ')), lines[-1])[:LONGEST]


def run(solution: str, tests: str, seconds: float) -> dict:
    """Load a program and its tests, run the tests, and tell what came of it.

    That is: how many `ran` and were `skipped`, `details` {test: last words} of those that failed, what was `tampered`
    with, and the names on the `network` that were looked for.
    seconds: for the tests; loading is bounded from outside, as in the harness."""
    # before the program can replace them
    me, getpid = os.getpid(), os.getpid
    leave, clock = os._exit, signal.setitimer
    seen, words = noted, last_words
    loader, case = unittest.TestLoader(), unittest.TestCase
    trace = dict(ran=0, wrong=0, changed=[])
    result = Recorded(trace)
    details, changed = {}, []
    surround()
    hosts = hosts_reached_for()
    def compare(notes, spared=(), insides=insides, missing=object()):
        found = []
        for label, where, held, inner in notes:
            for name, value in held.items():
                if f'{label}.{name}' in spared: continue
                now = where.get(name, missing)
                if now is not value or insides(now) != inner[name]: found.append(f'{label}.{name}')
        return found
    notes = noted(owners_of_verdicts())
    module = types.ModuleType(MODULE)
    module.__dict__.update(
        __builtins__=builtins, __file__=f'{MODULE}.py', __package__=None, __doc__=None, sys=sys, os=os,
        environ=os.environ,
    )
    def ring(*_): raise Late('Timed out!')
    try:
        ours, theirs = parts_of(solution, tests)
        exec(ours, module.__dict__)
        changed += compare(notes)
        exec(theirs, module.__dict__)
        sys.modules[MODULE] = module
        cases = module.TestCases
        notes += seen({'TestCases': cases})
        born = set(vars(cases))
        suite = loader.loadTestsFromTestCase(cases)
        clock(signal.ITIMER_REAL, seconds)
        signal.signal(signal.SIGALRM, ring)
        try: suite.run(result)
        finally: clock(signal.ITIMER_REAL, 0)
        added = [name for name in vars(cases) if name not in born]
        changed += [f'TestCases.{name}' for name in added if callable(getattr(case, name, None))]
    except BaseException as error: details['ALL'] = traceback.format_exception_only(error)[-1].strip()[:LONGEST]
    if getpid() != me: leave(0)  # a process that the program started, and that came back here
    failures, errors, skipped = result.lists
    details |= {test.id().split('.')[-1]: words(text) for test, text in [*failures, *errors][:MOST]}
    # tests may start patches that they never stop
    spared = {f'builtins.{name}' for name in re.findall(r'\bbuiltins\.(\w+)', tests)}
    changed += compare(notes, spared) + trace['changed']
    changed += [f'result.{name}' for name in vars(result) if callable(getattr(Recorded, name, None))]
    altered = (result.failures, result.errors, result.skipped) != result.lists
    if altered or len(failures) + len(errors) < trace['wrong'] or result.testsRun != trace['ran']:
        changed.append('the result')
    sys.stdin, sys.stdout, sys.stderr = sys.__stdin__, sys.__stdout__, sys.__stderr__
    return dict(
        ran=trace['ran'], skipped=len(skipped), details=details, tampered=sorted(set(changed))[:MOST],
        network=hosts[:MOST],
    )
