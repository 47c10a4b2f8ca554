"""The far side of execution: a small fork server that runs one program per child and answers with data.

Started as a script by a freshly executed interpreter (`python -P -s -S zygote.py FOLDER`), never imported by the caller's process.
Standard library only, and little of it: every page this process owns makes each fork dearer.
It reads jobs from the socket on descriptor 0 and writes one JSON answer for each, in order.

caller -- socket --> watcher (first process) --fork--> server (pid 1 of its own namespaces, where the kernel allows) --fork--> one child per job

The server keeps the clock, kills and reaps; only the child runs foreign code. The server dies when the caller's end of the socket closes.
"""
import ctypes, gc, io, itertools, json, marshal, os, resource, select, signal, struct, sys, time, types, zlib
# What small programs import most is loaded once here, so that a child finds it ready.
import bisect, collections, collections.abc, copy, functools, heapq, math, operator, random, re, string, typing  # noqa: F401

NEWNS_USER, NEWNS_PID, NEWNS_NET, NEWNS_IPC = 0x10000000, 0x20000000, 0x40000000, 0x08000000
PDEATHSIG, DUMPABLE, KEEP_CAPABILITIES, SUBREAPER, NO_NEW_PRIVS, DAC_READ_SEARCH = 1, 4, 8, 36, 38, 2
MODULE = 'solution'                 # __name__ of the program, so that `if __name__ == "__main__"` stays quiet
MAX_PROCESSES, MAX_FILES, MAX_FILE_MB, MAX_ANSWER = 64, 64, 16, 1 << 22
libc = ctypes.CDLL(None, use_errno=True)


# ---------------------------------------------------------------- the child: the only place where foreign code runs

class Slow(BaseException):
    "One call used up its share of processor time."


class Capped(io.RawIOBase):
    "Keep the first bytes written to it and swallow the rest."
    def __init__(self, limit): self.limit, self.kept = limit, bytearray()
    def writable(self): return True
    def write(self, data):
        self.kept += bytes(data)[:self.limit - len(self.kept)]
        return len(data)


def one_line(error, limit=300):
    "`Type: message` of an exception, bounded, on one line, whatever its `__str__` does."
    name = type(error).__name__
    try: text = ' '.join(str(error).split())
    except BaseException: text = ''
    return str(f'{name}: {text}' if text else name)[:limit]


def load(code):
    "Execute the program's text as a fresh module and return its namespace."
    module = types.ModuleType(MODULE)
    sys.modules[MODULE] = module
    exec(compile(code, '<program>', 'exec'), module.__dict__)
    return module.__dict__


def run_program(job):
    "Run code, then tests, in one namespace."
    space = load(job['code'])
    if job['tests']: exec(compile(job['tests'], '<tests>', 'exec'), space)
    return {}


def run_behaviour(job):
    "Call the function on every input of the first kind of arguments that suits it best, and write down what came out."
    function = load(job['code']).get(job['entry'])
    if not callable(function): raise NameError(f"no function named '{job['entry']}'")
    signal.signal(signal.SIGPROF, slow)
    best = None
    for kind, inputs in enumerate(job['cases']):
        outputs, errors = [], 0
        for packed in inputs:
            outputs.append(text := call(function, packed, job['slice']))
            errors += text.startswith('!')
            if text == '!Timeout' and (len(job['cases']) > 1 or outputs == [text] * 3): errors = len(inputs) + 1; break
        if best is None or errors < best['errors']: best = dict(kind=kind, outputs=outputs, errors=errors)
        if not errors: break
    return best


def slow(*_): raise Slow


def call(function, packed, seconds):
    "The canonical text of one call's result; `!ExceptionName` when it raised, `!Timeout` when it used up its processor time."
    arguments = marshal.loads(packed)
    try:
        signal.setitimer(signal.ITIMER_PROF, seconds, 0.02)
        try:
            result = function(*arguments)
            text = canonical(result)
            if result is None and (left := canonical(arguments)) != canonical(marshal.loads(packed)): text = f'None, leaving {left}'
        finally: signal.setitimer(signal.ITIMER_PROF, 0)
    except Slow: return '!Timeout'
    except BaseException as error: return '!' + str(type(error).__name__)[:60]
    if len(text) > 2000: text = f'{text[:1900]}... {len(text)} characters, checksum {zlib.crc32(text.encode("utf-8", "backslashreplace")):08x}'
    return text


def canonical(value, depth=40, items=2000):
    "Write a value as text that is equal for equal values of equal kind: data only, no addresses, sets and dicts in a fixed order."
    if value is None or value is True or value is False: return str(value)
    if isinstance(value, int): return int.__repr__(value) if value.bit_length() < 4000 else hex(value)
    if isinstance(value, float): return repr(float(f'{float.__add__(value, 0.0):.12g}') + 0.0)
    if isinstance(value, complex): return f'complex({canonical(value.real)}, {canonical(value.imag)})'
    if isinstance(value, str): return repr(str.__str__(value))
    if isinstance(value, (bytes, bytearray)): return repr(bytes(value))
    if depth == 0: return '...'
    def each(iterator):
        texts = [canonical(v, depth - 1, items) for v in itertools.islice(iterator, items)]
        return texts if next(iterator, None) is None else texts + ['...']
    if isinstance(value, list): return f"[{', '.join(each(list.__iter__(value)))}]"
    if isinstance(value, tuple): return f"({', '.join(each(tuple.__iter__(value)))},)"
    if isinstance(value, (set, frozenset)): return f"set({', '.join(sorted(canonical(v, depth - 1, items) for v in set(value)))})"
    if isinstance(value, dict):
        pairs = sorted((canonical(k, depth - 1, items), canonical(v, depth - 1, items)) for k, v in dict.items(value))
        return f"{{{', '.join(f'{k}: {v}' for k, v in pairs)}}}"
    name = str(type(value).__name__)[:60]
    if type(value).__module__ in ('decimal', 'fractions', 'datetime'): return f'{name}({value})'
    if isinstance(value, (range, collections.deque, collections.abc.MappingView)): return f"{name}[{', '.join(each(iter(value)))}]"
    if isinstance(value, collections.abc.Iterator): return f"iterator[{', '.join(each(value))}]"
    return f'<{name}>'


def child(job, out, nonce):
    "Run one job inside its walls and report through descriptor `out`. Never returns."
    dumps, write, leave = json.dumps, os.write, os._exit      # before foreign code can replace them
    os.setsid()
    os.chdir(job['home'])
    if not job['namespace']: libc.prctl(PDEATHSIG, signal.SIGKILL)
    null = os.open('/dev/null', os.O_RDWR)
    for fd in (0, 1, 2): os.dup2(null, fd)
    os.dup2(out, 3, inheritable=False)
    os.closerange(4, 4096)
    limit_resources(job)
    captured = Capped(job['output'])
    sys.stdin = open(0, closefd=False)
    sys.stdout = sys.stderr = io.TextIOWrapper(captured, encoding='utf-8', errors='backslashreplace', write_through=True)
    random.seed(job['seed'])
    gc.enable()
    answer = dict(status='passed', detail='')
    try: answer.update({'program': run_program, 'behaviour': run_behaviour}[job['kind']](job))
    except MemoryError as error: answer.update(status='memory', detail=one_line(error))
    except BaseException as error: answer.update(status='failed', detail=one_line(error))
    answer['output'] = captured.kept.decode('utf-8', 'replace')
    data = nonce + dumps(answer).encode()
    data = struct.pack('>I', len(data)) + data
    while data: data = data[write(3, data):]
    leave(0)


def limit_resources(job):
    "Bound processor time, memory, file size, descriptors, processes; no core files."
    seconds = math.ceil(job['seconds'])
    set_limit = resource.setrlimit
    set_limit(resource.RLIMIT_CPU, (seconds + 1, seconds + 2))
    set_limit(resource.RLIMIT_AS, (job['base'] + (job['memory'] << 20),) * 2)
    set_limit(resource.RLIMIT_FSIZE, (MAX_FILE_MB << 20,) * 2)
    set_limit(resource.RLIMIT_NOFILE, (MAX_FILES,) * 2)
    set_limit(resource.RLIMIT_CORE, (0, 0))
    if job['own_uid']: set_limit(resource.RLIMIT_NPROC, (MAX_PROCESSES,) * 2)


# ---------------------------------------------------------------- the server: forks, watches, kills, reaps

def address_space():
    "Bytes of address space this process maps."
    with open('/proc/self/statm') as f: return int(f.read().split()[0]) * resource.getpagesize()


def sweep(pid, namespace):
    "Kill everything the child started, wherever it hid, and reap it; return the child's wait status."
    status = None
    while True:
        if namespace: targets = [-1]
        else:
            with open(f'/proc/self/task/{os.getpid()}/children') as f: targets = [-pid, *map(int, f.read().split())]
        for target in targets:
            try: os.kill(target, signal.SIGKILL)
            except (ProcessLookupError, PermissionError): pass
        try: who, how = os.wait()
        except ChildProcessError: return status
        if who == pid: status = how


def watch(pipe, nonce, deadline):
    "Wait for the child's whole report until the deadline: (report or None, what went wrong: late, ended or broken)."
    poll = select.poll()
    poll.register(pipe, select.POLLIN)
    poll.register(0, select.POLLRDHUP)
    data = b''
    while (left := deadline - time.monotonic()) > 0:
        for fd, event in poll.poll(left * 1000):
            if fd == 0: raise ConnectionResetError('the caller is gone')
            chunk = os.read(pipe, 1 << 16)
            data += chunk
            if not chunk: return None, 'ended'
            if len(data) > MAX_ANSWER: return None, 'broken'
            if len(data) >= 4 and len(data) >= 4 + struct.unpack('>I', data[:4])[0]:
                return (data[20:], '') if data[4:20] == nonce else (None, 'broken')
    return None, 'late'


def serve_one(job, home):
    "Fork a child for one job, and return its answer as JSON bytes."
    nonce, (pipe, out) = os.urandom(16), os.pipe()
    job['home'] = os.path.join(home, 'work')
    os.mkdir(job['home'], 0o700)
    deadline = time.monotonic() + job['seconds']
    pid = os.fork()
    if pid == 0:
        try: child(job, out, nonce)
        finally: os._exit(97)
    os.close(out)
    try: report, wrong = watch(pipe, nonce, deadline)
    finally:
        status = sweep(pid, job['namespace'])
        os.close(pipe)
        clean(job['home'])
    if report is not None and sound(report): return report
    how = f'signal {signal.Signals(os.WTERMSIG(status)).name}' if os.WIFSIGNALED(status) else f'exit {os.waitstatus_to_exitcode(status)}'
    verdict, detail = 'crashed', f'{how} before the end' if wrong == 'ended' else 'it tampered with its report'
    if wrong == 'late' or how == 'signal SIGXCPU': verdict, detail = 'timeout', f"no end within {job['seconds']:g} s"
    return json.dumps(dict(status=verdict, detail=detail, output='')).encode()


def sound(report):
    "Whether a report has the form that `child` writes."
    try:
        answer = json.loads(report)
        texts = [answer['status'], answer['detail'], answer['output'], *answer.get('outputs', [])]
        return answer['status'] in ('passed', 'failed', 'memory') and all(isinstance(t, str) for t in texts)
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError): return False


def clean(folder):
    "Remove a folder, whatever was left in it."
    try: return os.rmdir(folder)
    except OSError: pass
    for command in (['chmod', '-R', 'u+rwx', folder], ['rm', '-rf', folder]):
        os.waitpid(os.posix_spawnp(command[0], command, os.environ), 0)


def enter_namespaces():
    "Leave the caller's processes, network and shared memory behind; False where the kernel forbids it."
    spaces, uid, gid = NEWNS_PID | NEWNS_NET | NEWNS_IPC, os.getuid(), os.getgid()
    if uid == 0 and libc.unshare(spaces) == 0: return True
    if libc.unshare(spaces | NEWNS_USER) != 0: return False
    for name, text in (('setgroups', 'deny'), ('uid_map', f'{uid} {uid} 1'), ('gid_map', f'{gid} {gid} 1')):
        with open(f'/proc/self/{name}', 'w') as f: f.write(text)
    return True


def become_nobody(folder, number):
    "As root, become a user that owns nothing but `folder`; it may read any file only if the interpreter's are not readable otherwise."
    if os.getuid() != 0: return False
    uid, library = 60000 + number % 5000, os.path.dirname(os.__file__)
    libc.prctl(KEEP_CAPABILITIES, 1, 0, 0, 0)
    try: os.setgroups([]); os.chown(folder, uid, uid); os.setresgid(uid, uid, uid); os.setresuid(uid, uid, uid)
    except OSError: return False
    reading = 1 << DAC_READ_SEARCH
    set_capabilities(0, reading)
    needed = 0 if os.access(os.path.join(library, 'os.py'), os.R_OK, effective_ids=True) else reading
    set_capabilities(needed, needed)
    return True


def set_capabilities(effective, permitted):
    "Give up all capabilities of this process but these."
    libc.capset(struct.pack('II', 0x20080522, 0), struct.pack('6I', effective, permitted, 0, 0, 0, 0))


def receive(size):
    "Exactly `size` bytes from the caller."
    parts = []
    while size:
        part = os.read(0, min(size, 1 << 20))
        if not part: raise ConnectionResetError('the caller is gone')
        parts.append(part); size -= len(part)
    return b''.join(parts)


def send(data):
    "Send one message to the caller."
    data = struct.pack('>I', len(data)) + data
    while data: data = data[os.write(0, data):]


def warm_up():
    "Do once, on harmless code, what every child will do, so that it finds the interpreter's own tables built; then set all objects aside."
    run_program(dict(code='def f(x: int) -> int:\n    return sorted([x for x in [x]])[0]', tests='assert f(1) == 1'))
    run_behaviour(dict(code='def f(x): return {x: "a"}', entry='f', cases=[[marshal.dumps((1.5,))]], slice=1.0))
    io.TextIOWrapper(Capped(1), encoding='utf-8', errors='backslashreplace', write_through=True).write('x')
    json.dumps(dict(status='passed', detail=one_line(ValueError('x'))))
    del sys.modules[MODULE]
    signal.signal(signal.SIGPROF, signal.SIG_DFL)
    gc.collect(); gc.freeze(); gc.disable()


def serve(namespace, own_uid, home):
    "Answer jobs until the caller hangs up."
    libc.prctl(NO_NEW_PRIVS, 1, 0, 0, 0)
    libc.prctl(DUMPABLE, 0, 0, 0, 0)
    if not namespace: libc.prctl(SUBREAPER, 1, 0, 0, 0)
    extra = dict(namespace=namespace, own_uid=own_uid, base=address_space())
    send(json.dumps(dict(walls=dict(namespaces=namespace, own_user=own_uid))).encode())
    warm_up()
    while True:
        job = marshal.loads(receive(struct.unpack('>I', receive(4))[0]))
        try: answer = serve_one({**job, **extra}, home)
        except OSError as error:
            if isinstance(error, ConnectionError): raise
            answer = json.dumps(dict(fault=one_line(error))).encode()
        send(answer)


def main(home):
    "Split into a watcher, which cleans up, and the server in its namespaces."
    caller, watcher = os.getppid(), os.getpid()
    os.umask(0o077)
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGCHLD})
    namespace = enter_namespaces()
    server = os.fork()
    if server == 0:
        try:
            signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGCHLD})
            inner = os.path.join(home, 'own')
            os.mkdir(inner)
            os.chmod(home, 0o711)
            own = become_nobody(inner, watcher) or namespace and os.getuid() != 0
            libc.prctl(PDEATHSIG, signal.SIGKILL)          # after the change of user, which clears it
            serve(namespace, own, inner)
        except ConnectionError: pass
        except BaseException: sys.excepthook(*sys.exc_info()); os._exit(1)
        finally: os._exit(0)
    os.close(0)
    while os.waitpid(server, os.WNOHANG)[0] == 0:
        if os.getppid() != caller: os.kill(server, signal.SIGKILL)
        signal.sigtimedwait({signal.SIGCHLD}, 0.25)
    import shutil                                     # not `clean`: its new processes would belong to a namespace that is gone
    shutil.rmtree(home, ignore_errors=True)


if __name__ == '__main__': main(sys.argv[1])
