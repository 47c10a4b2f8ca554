"""A tiny fork server for test_sandbox_layers: builds the layers it is told to, runs each snippet in a child, says what
came out.

Run as `python -P -s -S layered.py JSON`, by a fresh interpreter, as the real server is. Prints one JSON object."""
import json
import os
import select
import signal
import struct
import sys
import time

CLONE_NEWNS, MS_BIND, MS_REC, MS_PRIVATE = 0x20000, 4096, 16384, 1 << 18
ORDINARY = 1000


def open_the_way(folders):
    """Make folders that lie in closed ones reachable for every user, in a mount namespace of one's own: no mode on the
    machine changes."""
    import ctypes
    libc = ctypes.CDLL(None, use_errno=True)
    def mount(source, target, kind, flags, options=None):
        assert libc.mount(source.encode(), target.encode(), kind, flags, options) == 0, (target, ctypes.get_errno())
    assert libc.unshare(CLONE_NEWNS) == 0
    mount('none', '/', None, MS_REC | MS_PRIVATE)
    closed = {}
    for folder in folders:
        above = folder
        while (above := os.path.dirname(above)) != '/':
            if not os.stat(above).st_mode & 1: closed[folder] = above
    held = {folder: os.open(folder, os.O_PATH) for folder in closed}
    for above in set(closed.values()): mount('way', above, b'tmpfs', 0, b'mode=755')
    for folder, fd in held.items():
        os.makedirs(folder, exist_ok=True)
        mount(f'/proc/self/fd/{fd}', folder, None, MS_BIND | MS_REC)
        os.close(fd)


def build(task, isolation, seccomp):
    "The layers of a server; runs in the process that will fork the children, in the order that the real server uses."
    said, began = {}, time.perf_counter()
    writes, runs = task['profile'] != 'pure', task['profile'] == 'libs'
    readable = [*isolation.interpreter_paths(programs=runs), *isolation.DEVICES]
    said['oom'] = isolation.oom_first()
    kinds = isolation.enter_namespaces() if task['namespaces'] else []
    if kinds and (pid := os.fork()): os._exit(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]))
    if kinds and runs: isolation.loopback_up()
    if task['root']:
        private = readable
        if runs: readable = [*readable, '/proc', *isolation.LOCAL_NAMES]
        isolation.private_root(
            private, writable_mb=8 if writes else 0, proc=runs, executable=runs, modern=task['modern'],
            texts=isolation.LOCAL_NAMES if runs else None,
        )
    closed = task['user'] == 'drop' and not task['root']
    # a user namespace of one user has no second
    uid = 60001 if task['user'] == 'drop' and 'user' not in kinds else None
    said['capabilities'] = isolation.drop_privileges(uid, keep_reading=closed)
    isolation.no_new_privs()
    isolation.not_dumpable()
    isolation.die_with_parent()
    if not kinds: isolation.subreaper()
    writable = [task['folder'], '/dev/null'] if writes else []
    options = dict(network=runs and bool(kinds), abi=task['abi'])
    programs = [*readable, task['folder']] if runs else []
    said['landlock'] = isolation.landlock(readable, writable, programs, **options)
    domain = isolation.own_domain(writable, executes=runs, **options)
    program = seccomp.filter_program(task['profile'], own_root=task['root'], own_network=bool(kinds and task['root']),
                                     own_processes=bool(kinds) or said['landlock'] >= isolation.SCOPES_SINCE)
    milliseconds = round(1e3 * (time.perf_counter() - began), 1)
    said.update(namespaces=kinds, uid=os.getuid(), milliseconds=milliseconds, instructions=len(program) // 8)
    return said, domain, seccomp.prepared(program)


def child(code, space, out, domain, program, isolation, seccomp, parent):
    "Take the last layers, run one snippet and write what came out. Never returns."
    os.setsid()
    isolation.die_with_parent(parent)
    os.dup2(os.open('/dev/null', os.O_RDONLY), 0)
    os.dup2(out, 100)
    if domain >= 0: domain = os.dup2(domain, 101)
    os.closerange(3, 100)
    os.closerange(102, 1024)
    began = time.perf_counter()
    isolation.enter_domain(domain)
    between = time.perf_counter()
    seccomp.install(program)
    took = [round(1e6 * (between - began)), round(1e6 * (time.perf_counter() - between))]
    if domain >= 0: os.close(domain)
    try:
        exec(compile(code, '<snippet>', 'exec'), space)
        outcome = 'ok'
    except OSError as error:
        import errno
        outcome = errno.errorcode.get(error.errno, repr(error))
    except BaseException as error:
        outcome = f'{type(error).__name__}: {error}'
    os.write(100, json.dumps([outcome, took]).encode())
    os._exit(0)


def outcome_of(code, *rest):
    "Fork a child for a snippet and wait for it: what it wrote, or the signal that ended it."
    pipe, out = os.pipe()
    parent = os.getpid()
    if (pid := os.fork()) == 0:
        try: child(code, rest[0], out, *rest[1:], parent)
        except BaseException as error: sys.excepthook(type(error), error, error.__traceback__)
        finally: os._exit(97)
    os.close(out)
    data = b''
    while select.select([pipe], [], [], 30)[0] and (piece := os.read(pipe, 65536)): data += piece
    os.close(pipe)
    os.kill(pid, signal.SIGKILL)
    status = os.waitpid(pid, 0)[1]
    if data: return json.loads(data)
    return [signal.Signals(os.WTERMSIG(status)).name if os.WIFSIGNALED(status) else f'exit {status >> 8}', None]


def main(task):
    if task['user'] == 'ordinary' and os.geteuid() == 0:
        open_the_way([*task['needed'], os.path.dirname(os.path.abspath(__file__))])
        os.setgroups([])
        os.setresgid(ORDINARY, ORDINARY, ORDINARY)
        os.setresuid(ORDINARY, ORDINARY, ORDINARY)
        os.execv(sys.executable, [sys.executable, '-P', '-s', '-S', __file__, json.dumps({**task, 'user': 'stay'})])
    import ctypes
    if task['user'] == 'container':                   # root with the rights that Docker leaves it
        libc = ctypes.CDLL(None)
        assert libc.capset(struct.pack('II', 0x20080522, 0), struct.pack('6I', 0xA80425FB, 0xA80425FB, 0, 0, 0, 0)) == 0
    ctypes.CFUNCTYPE(None)(int)                       # libffi finds memory for callbacks while it still may
    sys.path.insert(0, task['package'])
    import huge_pages
    import isolation
    import seccomp
    huge_pages.keep_private(shared=False)
    space = dict(os=os, task=task, **machine_code(task))
    exec(task['helpers'], space)
    space['victim'] = task['victim'] or os.getpid()
    said, domain, program = build(task, isolation, seccomp)
    results = {
        name: outcome_of(code, space, domain, program, isolation, seccomp) for name, code in task['rows'].items()
    }
    times = sorted(took for _, took in results.values() if took)
    said['microseconds'] = [sorted(column)[len(times) // 2] for column in zip(*times)]
    print(json.dumps(dict(said=said, results={name: outcome for name, (outcome, _) in results.items()})))


def machine_code(task):
    "`old_door()`: getpid through the 32-bit door of an x86_64 kernel, prepared while machine code may still be made."
    if os.uname().machine != 'x86_64': return {}
    import ctypes
    import mmap
    page = mmap.mmap(-1, 4096, prot=7)
    page.write(b'\x53\xb8\x14\x00\x00\x00\xcd\x80\x5b\xc3')            # push rbx; mov eax, 20; int 0x80; pop rbx; ret
    address = ctypes.addressof(ctypes.c_char.from_buffer(page))
    return dict(old_door=ctypes.CFUNCTYPE(ctypes.c_long)(address), page=page)


if __name__ == '__main__': main(json.loads(sys.argv[1]))
