"""Try the layers: small harmless attacks from inside a child, each of which must fail before any program is let in."""
import errno, os


def write_outside(canary: str) -> None:
    with open(canary, 'r+b') as f: f.write(b'x')


def read_outside(canary: str) -> None:
    with open(canary, 'rb') as f: f.read(1)


def connect() -> None:
    "Open a socket to nobody."
    import _socket
    with_address = _socket.socket(_socket.AF_INET, _socket.SOCK_DGRAM)
    with_address.connect(('192.0.2.1', 9))  # an address reserved for documentation; nothing is sent


def trace(caller: int) -> None:
    "Trace the caller, or signal it."
    import ctypes
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.ptrace(16, caller, None, None) < 0: raise OSError(ctypes.get_errno(), 'ptrace')
    os.kill(caller, 0)


def own_users() -> None:
    "Make a user namespace."
    import ctypes
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.unshare(0x10000000) < 0: raise OSError(ctypes.get_errno(), 'unshare')


def process() -> None:
    "Start a process."
    if os.fork() == 0: os._exit(0)


ATTACKS = {
    'read a file outside': lambda canary, caller: read_outside(canary),
    'write a file outside': lambda canary, caller: write_outside(canary),
    'change a mode': lambda canary, caller: os.chmod(canary, 0o644),
    'make a file': lambda canary, caller: os.close(os.open('/evoselfcode-trial', os.O_CREAT | os.O_WRONLY)),
    'open a socket': lambda canary, caller: connect(),
    'start a process': lambda canary, caller: process(),
    'run a program': lambda canary, caller: os.execv('/bin/true', ['true']),
    'signal the caller': lambda canary, caller: os.kill(caller, 0),
    'trace the caller': lambda canary, caller: trace(caller),
    'make a user namespace': lambda canary, caller: own_users(),
}
ALLOWED = dict(libs={'start a process', 'run a program'}, files=set(), pure=set())


def attack(in_child, profile: str, canary: str, caller: int, thorough: bool = False) -> dict:
    """Try every attack that the profile must withstand: {name: (held off, what the kernel said, by which layer)}.

    `in_child` does work in a child behind the layers. thorough: each in a child of its own, and again without the
    filter of system calls, to learn which layer it is that holds."""
    def attempt(name):
        try: ATTACKS[name](canary, caller)
        except OSError as error: return errno.errorcode.get(error.errno, str(error.errno))
        return ''
    wanted = [name for name in ATTACKS if name not in ALLOWED[profile]]
    if not thorough: answers = in_child(lambda: {name: attempt(name) for name in wanted}) or {}
    else: answers = {name: in_child(lambda: attempt(name)) or '' for name in wanted}
    held = {name: (bool(answers.get(name)), answers.get(name, 'nothing')) for name in wanted}
    if not thorough: return held
    def layer(name):
        if in_child(lambda: attempt(name), False): return 'user, mounts, Landlock'
        return 'seccomp' if held[name][0] else 'none'
    return {name: (*held[name], layer(name)) for name in wanted}
