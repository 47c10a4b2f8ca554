"""Attempts on the kernel's side of the layers: system calls that an ordinary program has no use for.

They are made directly by number, so that no library's good manners stand between the program and the kernel.
"""
from .kit import CRASHED, FAILED, MACHINE, REFUSED, VIOLATION, Attack, harm

NUMBERS = {  # those below 424 differ between the machines
    "x86_64": dict(
        ptrace=101, process_vm_readv=310, process_vm_writev=311, kcmp=312, clone=56, unshare=272, setns=308, mount=165,
        umount2=166, chroot=161, pivot_root=155, keyctl=250, add_key=248, request_key=249, bpf=321, userfaultfd=323,
        perf_event_open=298, memfd_create=319, execveat=322, shmget=29, semget=64, msgget=68, mq_open=240,
        name_to_handle_at=303, open_by_handle_at=304, sethostname=170, syslog=103, fanotify_init=300, tgkill=234,
        tkill=200, rt_sigqueueinfo=129, prctl=157, personality=135, acct=163, setresuid=117, capset=126, prlimit64=302,
        io_setup=206, migrate_pages=256, ioprio_set=251, renameat2=316, setgroups=116,
    ),
    "aarch64": dict(
        ptrace=117, process_vm_readv=270, process_vm_writev=271, kcmp=272, clone=220, unshare=97, setns=268, mount=40,
        umount2=39, chroot=51, pivot_root=41, keyctl=219, add_key=217, request_key=218, bpf=280, userfaultfd=282,
        perf_event_open=241, memfd_create=279, execveat=281, shmget=194, semget=190, msgget=186, mq_open=180,
        name_to_handle_at=264, open_by_handle_at=265, sethostname=161, syslog=116, fanotify_init=262, tgkill=131,
        tkill=130, rt_sigqueueinfo=138, prctl=167, personality=92, acct=89, setresuid=147, capset=91, prlimit64=261,
        io_setup=0, migrate_pages=238, ioprio_set=30, renameat2=276, setgroups=159,
    ),
}.get(MACHINE, {}) | dict(
    pidfd_send_signal=424, io_uring_setup=425, open_tree=428, fsopen=430, fsconfig=431, fsmount=432, pidfd_open=434,
    clone3=435, openat2=437, pidfd_getfd=438, process_madvise=440, mount_setattr=442, memfd_secret=447, fchmodat2=452,
)

SYSTEM = f"""
import ctypes, struct
N = {NUMBERS}
libc = ctypes.CDLL(None, use_errno=True)
libc.syscall.restype = ctypes.c_long
def call(name, *args):
    made = [ctypes.c_long(a) if isinstance(a, int) else a for a in args] + [ctypes.c_long(0)] * (6 - len(args))
    result = libc.syscall(ctypes.c_long(N[name]), *made)
    if result < 0: raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()), name)
    return result
def mapped(pid):
    "An address that this process maps, as far as it can be told."
    try: return int(open(f'/proc/{{pid}}/maps').read().split('-')[0], 16)
    except OSError: return id(None) & ~4095
def reach(errors, *call_and_arguments):
    "Succeed when the kernel did not refuse but found fault with what it was deliberately given."
    try: call(*call_and_arguments)
    except OSError as error:
        if error.errno not in errors: raise
def area(size, *values): return ctypes.create_string_buffer(struct.pack(f'<{{len(values)}}Q', *values), size)
"""

CALLS = [  # (name, body, trace); every body raises when the kernel refuses
    ("ptrace_parent", "call('ptrace', 0x4206, os.getppid())", ""),  # SEIZE, which does not stop it
    ("ptrace_victim", "call('ptrace', 0x4206, @VICTIM@)", ""),
    ("ptrace_caller", "call('ptrace', 0x4206, @PID@)", ""),
    (
        "ptrace_anyone",
        "def traced(pid):\n"
        "    try: return call('ptrace', 0x4206, pid) == 0\n"
        "    except OSError: return False\n"
        "assert any(map(traced, range(1, 3000)))",
        "",
    ),
    (
        "read_anyone",
        "b = area(64)\n"
        "def seen(pid):\n"
        "    try: return pid != os.getpid() "
        "and call('process_vm_readv', pid, area(16, ctypes.addressof(b), 8), 1, area(16, mapped(pid), 8), 1)\n"
        "    except OSError: return False\n"
        "assert any(map(seen, range(1, 3000)))",
        "",
    ),
    ("ptrace_me", "call('ptrace', 0)", ""),
    (
        "read_parent",
        "b = area(64)\n"
        "call('process_vm_readv', os.getppid(), area(16, ctypes.addressof(b), 8), 1, "
        "area(16, mapped(os.getppid()), 8), 1)",
        "",
    ),
    (
        "read_victim",
        "b = area(64)\n"
        "call('process_vm_readv', @VICTIM@, area(16, ctypes.addressof(b), 8), 1, area(16, mapped(@VICTIM@), 8), 1)",
        "",
    ),
    (  # writes back what it read
        "write_parent",
        "b = area(64)\n"
        "who, start = os.getppid(), "
        "int([l for l in open(f'/proc/{os.getppid()}/maps') if ' rw' in l][0].split('-')[0], 16)\n"
        "local, remote = area(16, ctypes.addressof(b), 8), area(16, start, 8)\n"
        "call('process_vm_readv', who, local, 1, remote, 1)\n"
        "call('process_vm_writev', who, local, 1, remote, 1)",
        "",
    ),
    (
        "write_parent_blindly",
        "b = area(64)\n"
        "who, local, remote = os.getppid(), area(16, ctypes.addressof(b), 8), area(16, id(b), 8)\n"
        "call('process_vm_readv', who, local, 1, remote, 1)\n"
        "call('process_vm_writev', who, local, 1, remote, 1)",
        "",
    ),
    ("descriptor_of_parent", "call('pidfd_getfd', call('pidfd_open', os.getppid(), 0), 0, 0)", ""),
    ("descriptor_of_victim", "call('pidfd_getfd', call('pidfd_open', @VICTIM@, 0), 0, 0)", ""),
    ("handle_of_parent", "call('pidfd_open', os.getppid(), 0)", ""),
    ("signal_by_handle", "call('pidfd_send_signal', call('pidfd_open', @VICTIM@, 0), 9, 0, 0)", "victim"),
    ("signal_thread", "call('tgkill', @VICTIM@, @VICTIM@, 9)", "victim"),
    ("signal_thread_old", "call('tkill', @VICTIM@, 9)", "victim"),
    ("signal_with_value", "call('rt_sigqueueinfo', @VICTIM@, 9, struct.pack('<iii', 9, 0, -1) + bytes(116))", "victim"),
    ("compare_kernel_objects", "assert call('kcmp', os.getpid(), os.getppid(), 0, 1, 1) >= 0", ""),
    ("clone_as_fork", "pid = call('clone', 17)\nif pid == 0: os._exit(0)\nos.waitpid(pid, 0)", ""),
    (
        "clone3_as_fork",
        "pid = call('clone3', area(64, 0, 0, 0, 0, 17, 0, 0, 0), 64)\nif pid == 0: os._exit(0)\nos.waitpid(pid, 0)", "",
    ),
    ("clone_new_user", "pid = call('clone', 17 | 0x10000000)\nif pid == 0: os._exit(0)\nos.waitpid(pid, 0)", ""),
    *(
        (f"unshare_{name}", f"call('unshare', {flag:#x})", "")
        for name, flag in [
            ("user", 0x10000000),
            ("mounts", 0x20000),
            ("processes", 0x20000000),
            ("network", 0x40000000),
            ("ipc", 0x08000000),
            ("names", 0x04000000),
            ("groups", 0x02000000),
            ("time", 0x80),
            ("user_and_mounts", 0x10020000),
        ]
    ),
    ("unshare_files", "call('unshare', 0x400)", ""),
    ("enter_parent", "call('setns', os.open(f'/proc/{os.getppid()}/ns/mnt', os.O_RDONLY), 0)", ""),
    ("enter_caller", "call('setns', os.open('/proc/@PID@/ns/net', os.O_RDONLY), 0)", ""),
    ("enter_by_handle", "call('setns', call('pidfd_open', os.getppid(), 0), 0x20000)", ""),
    ("mount", "call('mount', b'none', b'@FOLDER@/empty', b'tmpfs', 0, 0)", "folder"),
    ("mount_bind", "call('mount', b'@FOLDER@', b'@FOLDER@/empty', 0, 4096, 0)", "folder"),
    ("remount_writable", "call('mount', 0, b'/', 0, 32 | 4096, 0)", ""),
    ("unmount", "reach((22,), 'umount2', b'@FOLDER@', 2)", ""),
    (
        "mount_new_way",
        "fs = call('fsopen', b'tmpfs', 0)\ncall('fsconfig', fs, 6, 0, 0, 0)\ncall('fsmount', fs, 0, 0)", "",
    ),
    ("mount_tree", "call('open_tree', -100, b'/', 1)", ""),
    ("mount_attributes", "call('mount_setattr', -100, b'/', 0, area(32, 0, 0, 0, 0), 32)", ""),
    ("chroot", "call('chroot', b'/')", ""),
    ("pivot_root", "reach((16, 22), 'pivot_root', b'/', b'/')", ""),
    ("keyring", "call('keyctl', 0, -4, 1)", ""),
    ("add_key", "call('add_key', b'user', b'evil-@TAG@', b'x', 1, -4)", ""),
    (
        "request_key",
        "call('add_key', b'user', b'evil-@TAG@', b'x', 1, -3)\ncall('request_key', b'user', b'evil-@TAG@', 0, -3)", "",
    ),
    ("bpf", "call('bpf', 0, area(128, 4 << 32 | 2, 1 << 32 | 4), 128)", ""),
    ("userfaultfd", "call('userfaultfd', 1)", ""),
    ("performance_events", "call('perf_event_open', area(128, 128 << 32 | 1, 1, 0, 0, 0, 0x60), 0, -1, -1, 0)", ""),
    ("io_uring", "call('io_uring_setup', 4, area(120))", ""),
    ("old_async_io", "call('io_setup', 8, area(8))", ""),
    ("shared_segment", "call('shmget', 0x@TAG@, 4096, 0o1666)", "sysv"),
    ("shared_semaphore", "call('semget', 0x@TAG@, 1, 0o1666)", "sysv"),
    ("shared_messages", "call('msgget', 0x@TAG@, 0o1666)", "sysv"),
    ("posix_queue", "call('mq_open', b'evil-mq-@TAG@', 0o102, 0o666, 0)", ""),
    (
        "memory_file_run",
        "fd = call('memfd_create', b'x', 0)\n"
        "os.write(fd, b'#!/bin/sh\\necho x > @FOLDER@/evil-memfd-@TAG@\\n')\n"
        "os.set_inheritable(fd, True)\n"
        "os.execve(f'/proc/self/fd/{fd}', ['x'], {})",
        "file",
    ),
    (
        "memory_file_run_at",
        "fd = call('memfd_create', b'x', 0)\n"
        "os.write(fd, open('/bin/true', 'rb').read())\n"
        "argv = (ctypes.c_char_p * 2)(b'x', None)\n"
        "call('execveat', fd, b'', argv, 0, 0x1000)",
        "",
    ),
    (
        "run_at",
        "argv = (ctypes.c_char_p * 4)(b'sh', b'-c', b'echo x > @FOLDER@/evil-execveat-@TAG@', None)\n"
        "call('execveat', -100, b'/bin/sh', argv, 0, 0)",
        "file",
    ),
    (
        "file_handle",
        "h = struct.pack('<Ii', 128, 0) + bytes(128)\n"
        "b, m = ctypes.create_string_buffer(h), area(8)\n"
        "call('name_to_handle_at', -100, b'@SECRET@', b, m, 0)\n"
        "os.chdir('@FOLDER@')\n"
        "assert os.read(call('open_by_handle_at', -100, b, 0), 1)",
        "",
    ),
    ("openat2_write", "os.write(call('openat2', -100, b'@CANARY@', area(24, 0o2001, 0, 0), 24), b'x')", "canary"),
    ("openat2_read", "os.read(call('openat2', -100, b'@SECRET@', area(24, 0, 0, 0), 24), 1)", ""),
    ("openat_high_bits", "os.write(call_wide(), b'x')", "canary"),
    ("chmod_new_way", "call('fchmodat2', -100, b'@CANARY@', 0o777, 0)", "canary"),
    ("rename_exchange", "call('renameat2', -100, b'@CANARY@', -100, b'@FOLDER@/spare', 2)", "canary"),
    ("host_name", "name = os.uname().nodename.encode()\ncall('sethostname', name, len(name))", ""),
    ("kernel_log", "call('syslog', 3, area(4096), 4096)", ""),
    ("watch_all_files", "call('fanotify_init', 0, 0)", ""),
    ("accounting", "reach((2,), 'acct', b'@FOLDER@/missing')", ""),
    ("other_user", "call('setresuid', 4242, 4242, 4242)", ""),
    ("other_groups", "call('setgroups', 1, struct.pack('<I', 4242))", ""),
    (
        "take_capabilities",
        "call('capset', struct.pack('<II', 0x20080522, 0), struct.pack('<6I', 1 << 21, 1 << 21, 0, 0, 0, 0))", "",
    ),
    ("survive_parent", "call('prctl', 1, 0)", ""),
    ("become_dumpable", "call('prctl', 4, 1)", ""),
    ("collect_orphans", "call('prctl', 36, 1)", ""),
    ("no_randomness", "call('personality', 0x40000)", ""),
    ("secret_memory", "call('memfd_secret', 0)", ""),
    ("input_priority", "call('ioprio_set', 1, @VICTIM@, 3 << 13)", ""),
    ("move_victims_pages", "call('migrate_pages', @VICTIM@, 64, area(8, 1), area(8, 1))", ""),
    (
        "advise_parent",
        "call('process_madvise', call('pidfd_open', os.getppid(), 0), area(16, mapped(os.getppid()), 4096), 1, 20, 0)",
        "",
    ),
    (
        "memory_file_unlimited",
        "fd = call('memfd_create', b'x', 0)\nos.ftruncate(fd, 1 << 33)\nos.pwrite(fd, b'x' * (1 << 20), 1 << 32)", "",
    ),
    (
        "limits_raised",
        "import resource\n"
        "for kind in (resource.RLIMIT_AS, resource.RLIMIT_CPU):\n"
        "    soft, hard = resource.getrlimit(kind)\n"
        "    assert hard != -1\n"
        "    resource.setrlimit(kind, (hard * 2, hard * 2))",
        "",
    ),
    (
        "limits_removed",
        "call('prlimit64', 0, 9, struct.pack('<qq', -1, -1), 0)\n"
        "import resource\n"
        "assert resource.getrlimit(9) == (-1, -1)",
        "",
    ),
]

CODE = """
import ctypes, mmap, os
page = mmap.mmap(-1, 4096, prot=mmap.PROT_READ | mmap.PROT_WRITE | mmap.PROT_EXEC)
page.write({code!r})
def f(x):
    number = ctypes.CFUNCTYPE(ctypes.c_long)(ctypes.addressof(ctypes.c_char.from_buffer(page)))()
    assert number == os.getpid(), number
    return x * x
"""
# getpid through the doors that a filter on the usual numbers does not guard: 32-bit calls, 64-bit ones with the x32 bit
FOREIGN_CALLS = [
    ("32_bit", b"\xb8\x14\x00\x00\x00\xcd\x80\xc3"),
    ("x32", b"\xb8\x27\x00\x00\x40\x0f\x05\xc3"),
]
WIDE = """
def call_wide():
    'Open for appending, with rubbish above the 32 bits that the kernel looks at.'
    here, flags = ctypes.c_long(-100), ctypes.c_long(0o2001 | 0x7 << 32)
    return libc.syscall(ctypes.c_long({n}), here, b'@CANARY@', flags, ctypes.c_long(0))
"""

ATTACKS = [
    *(
        harm(
            f"call_{name}", body, expected=(FAILED, VIOLATION, CRASHED) if "run" in name else REFUSED,
            top=SYSTEM + WIDE.format(n=257 if MACHINE == "x86_64" else 56), trace=trace,
        )
        for name, body, trace in CALLS
        if NUMBERS.get("ptrace")
    ),
    *(
        Attack(f"machine_code_{name}", CODE.format(code=code), expected=(VIOLATION, FAILED, CRASHED), machine="x86_64")
        for name, code in FOREIGN_CALLS
    ),
]
