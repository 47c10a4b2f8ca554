"""The filter of system calls, read by a small machine of our own: every rule, on both kinds of processor."""
import errno
import os
import re
import struct
import sys
from pathlib import Path

import pytest

if not sys.platform.startswith("linux"): pytest.skip("the layers are built on Linux only", allow_module_level=True)
from evoselfcode.execution.sandbox import seccomp

MACHINE = os.uname().machine
TABLES = (
    seccomp.ALWAYS, seccomp.WITH_RULES, seccomp.WRITING, seccomp.METADATA, seccomp.ATTRIBUTES, seccomp.PROCESSES,
    seccomp.NETWORK,
)

# name: number on x86_64, on aarch64, of calls that no profile allows (None: the machine lacks it)
NEVER = dict(
    memfd_create=(319, 279), ptrace=(101, 117), process_vm_readv=(310, 270), process_vm_writev=(311, 271),
    kcmp=(312, 272), unshare=(272, 97), setns=(308, 268), mount=(165, 40), umount2=(166, 39), pivot_root=(155, 41),
    chroot=(161, 51), keyctl=(250, 219), add_key=(248, 217), request_key=(249, 218), bpf=(321, 280),
    perf_event_open=(298, 241), userfaultfd=(323, 282), shmget=(29, 194), shmat=(30, 196), msgget=(68, 186),
    semget=(64, 190), mq_open=(240, 180), personality=(135, 92), sched_setaffinity=(203, 122),
    sched_setscheduler=(144, 119), setpriority=(141, 140), ioprio_set=(251, 30), setuid=(105, 146), setgid=(106, 144),
    setresuid=(117, 147), setresgid=(119, 149), setgroups=(116, 159), capset=(126, 91), seccomp=(317, 277),
    name_to_handle_at=(303, 264), open_by_handle_at=(304, 265), splice=(275, 76), vmsplice=(278, 75), tee=(276, 77),
    inotify_init1=(294, 26), fanotify_init=(300, 262), mlock=(149, 228), mlockall=(151, 230), memfd_secret=(447, 447),
    timer_create=(222, 107), clock_settime=(227, 112), settimeofday=(164, 170), io_setup=(206, 0),
    init_module=(175, 105), kexec_load=(246, 104), reboot=(169, 142), swapon=(167, 224), acct=(163, 89),
    quotactl=(179, 60), syslog=(103, 116), sethostname=(170, 161), sync=(162, 81), lookup_dcookie=(212, 18),
    modify_ldt=(154, None), iopl=(172, None), ioperm=(173, None), uselib=(134, None), remap_file_pages=(216, 234),
    mbind=(237, 235), migrate_pages=(256, 238), move_pages=(279, 239), pkey_mprotect=(329, 288), signalfd4=(289, 74),
    setfsuid=(122, 151), vhangup=(153, 58),
)
NEWER = dict(
    pidfd_send_signal=424, io_uring_setup=425, io_uring_enter=426, open_tree=428, fsopen=430, pidfd_open=434,
    clone3=435, openat2=437, pidfd_getfd=438, process_madvise=440, mount_setattr=442, landlock_create_ruleset=444,
    landlock_restrict_self=446, process_mrelease=448, fchmodat2=452, map_shadow_stack=453, mseal=462, setxattrat=463,
    open_tree_attr=467, not_yet_born=999,
)


def number_of(name, machine=MACHINE):
    "The number of a call, refused or allowed."
    column = seccomp.MACHINES[machine][0]
    found = seccomp.numbers(",".join(TABLES), column)
    if name in found: return found[name]
    return NEWER.get(name) or NEVER.get(name, (None, None))[column - 1]


def verdict(program, number, *arguments, machine=MACHINE, pid=77):
    "What a filter answers to a call: 'allow', 'kill' or the name of an error."
    given = [a & 0xFFFFFFFFFFFFFFFF for a in arguments] + [0] * (6 - len(arguments))
    kind = seccomp.MACHINES[machine][1] if isinstance(machine, str) else machine
    data = struct.pack("IIQ6Q", number, kind, 0, *given)
    steps = [(*step, pid if k == seccomp.OWN_PID else k) for *step, k in struct.iter_unpack("HBBI", program)]
    at = held = 0
    while True:
        op, yes, no, k = steps[at]
        at += 1
        if op == seccomp.LOAD: (held,) = struct.unpack_from("I", data, k)
        elif op == seccomp.AND: held &= k
        elif op == seccomp.JUMP: at += k
        elif op == seccomp.RETURN:
            return {seccomp.ALLOW: "allow", seccomp.KILL: "kill"}.get(k) or errno.errorcode[k & 0xFFFF]
        else:
            answers = {seccomp.IF_EQUAL: held == k, seccomp.IF_AT_LEAST: held >= k, seccomp.IF_ANY_BIT: held & k}
            at += yes if answers[op] else no


RDONLY, WRITE, CLOEXEC, PATH, TMPFILE = 0, 0o1101, 0o2000000, 0o10000000, 0o20200000
THREAD, FORK, NEWUSER = 0x3D0F00, 0x01200011, 0x10000011
HIGH = 1 << 32
# call, arguments, what pure, files and libs answer (one word: all the same)
ASKED = [
    ("read", (), "allow"),
    ("exit_group", (), "allow"),
    ("getrandom", (), "allow"),
    ("rseq", (), "allow"),
    ("futex", (), "allow"),
    ("close_range", (), "allow"),
    ("faccessat2", (), "allow"),
    ("munmap", (), "allow"),
    ("clock_nanosleep", (), "allow"),
    ("openat", (0, 0, RDONLY), "allow"),
    ("openat", (0, 0, CLOEXEC | PATH), "allow"),
    ("openat", (0, 0, HIGH), "allow"),
    ("openat", (0, 0, 1), "EPERM allow allow"),
    ("openat", (0, 0, 2), "EPERM allow allow"),
    ("openat", (0, 0, WRITE), "EPERM allow allow"),
    ("openat", (0, 0, 0o2000), "EPERM allow allow"),
    ("openat", (0, 0, 0o100), "EPERM allow allow"),
    ("openat", (0, 0, TMPFILE | 1), "EPERM allow allow"),
    ("openat", (0, 0, TMPFILE), "EPERM allow allow"),
    ("openat", (0, 0, 0o1000), "EPERM"),
    ("open", (0, 0o1000), "EPERM"),
    ("open", (0, 1), "EPERM allow allow"),
    ("mmap", (0, 0, 1 | 4), "allow"),
    ("mmap", (0, 0, 3), "allow"),
    ("mmap", (0, 0, 7), "EPERM EPERM allow"),
    ("mmap", (0, 0, HIGH | 6), "EPERM EPERM allow"),
    ("mprotect", (0, 0, 3), "allow"),
    ("mprotect", (0, 0, 5), "EPERM EPERM allow"),
    ("mprotect", (0, 0, HIGH | 4), "EPERM EPERM allow"),
    ("clone", (THREAD,), "allow"),
    ("clone", (FORK,), "EPERM EPERM allow"),
    ("clone", (0x4111,), "EPERM EPERM allow"),
    ("clone", (NEWUSER,), "EPERM"),
    ("clone", (THREAD | 0x10000000,), "EPERM"),
    ("clone", (THREAD | 0x2000,), "EPERM"),
    ("clone", (HIGH | FORK,), "EPERM EPERM allow"),
    ("fork", (), "EPERM EPERM allow"),
    ("vfork", (), "EPERM EPERM allow"),
    ("execve", (), "EPERM EPERM allow"),
    ("wait4", (), "EPERM EPERM allow"),
    ("memfd_create", (), "EPERM"),
    ("mmap", (0, 0, 3, 0x21), "EPERM"),
    ("mmap", (0, 0, 3, 0x23), "EPERM"),
    ("mmap", (0, 0, 3, 0x22), "allow"),
    ("mmap", (0, 0, 1, 0x01), "allow"),
    ("setsid", (), "EPERM EPERM allow"),
    ("arch_prctl", (), "EPERM EPERM allow"),
    ("kill", (77, 9), "allow"),
    ("kill", (1, 9), "EPERM"),
    ("kill", (0, 9), "EPERM"),
    ("kill", (-1, 9), "EPERM"),
    ("tgkill", (77, 80, 6), "allow"),
    ("tgkill", (76, 76, 6), "EPERM"),
    ("tkill", (77, 6), "allow"),
    ("tkill", (78, 6), "EPERM"),
    ("rt_sigqueueinfo", (78,), "EPERM"),
    ("rt_tgsigqueueinfo", (78,), "EPERM"),
    ("kill", (HIGH | 77,), "allow"),
    ("prctl", (15,), "allow"),
    ("prctl", (16,), "allow"),
    ("prctl", (0x53564D41,), "allow"),
    ("prctl", (1, 0), "EPERM"),
    ("prctl", (4, 1), "EPERM"),
    ("prctl", (22, 2), "EPERM"),
    ("prlimit64", (0, 7, 0, 1), "allow"),
    ("prlimit64", (77, 7, 0, 1), "allow allow EPERM"),
    ("prlimit64", (0, 7, 8), "EPERM EPERM allow"),
    ("prlimit64", (0, 7, HIGH), "EPERM EPERM allow"),
    ("prlimit64", (1, 7, 0), "EPERM"),
    ("ioctl", (1, 0x5401), "allow"),
    ("ioctl", (1, 0x5421), "allow"),
    ("ioctl", (1, 0x5412), "EPERM"),
    ("ioctl", (1, 0x541C), "EPERM"),
    ("fcntl", (1, 1), "allow"),
    ("fcntl", (1, 1030), "allow"),
    ("fcntl", (1, 6), "EPERM allow allow"),
    ("fcntl", (1, 8), "EPERM"),
    ("fcntl", (1, 1024), "EPERM"),
    ("fcntl", (1, 1026), "EPERM"),
    ("fcntl", (1, 10), "EPERM"),
    ("pipe2", (0, CLOEXEC), "allow"),
    ("pipe2", (0, 0x80), "EPERM"),
    ("socketpair", (1, 1, 0), "allow"),
    ("socketpair", (2, 1, 0), "EPERM"),
    ("socket", (2, 1, 0), "EACCES"),
    ("socket", (16, 3, 0), "EACCES"),
    ("sendto", (3, 0, 1, 0, 0), "allow"),
    ("sendto", (3, 0, 1, 0, HIGH), "EPERM"),
    ("sendto", (3, 0, 1, 0, 64), "EPERM"),
    ("connect", (), "EPERM"),
    ("bind", (), "EPERM"),
    ("sendmsg", (), "EPERM"),
    ("accept4", (), "EPERM"),
    ("setsockopt", (), "EPERM"),
    ("mkdirat", (), "EPERM allow allow"),
    ("unlinkat", (), "EPERM allow allow"),
    ("renameat2", (), "EPERM allow allow"),
    ("linkat", (), "EPERM allow allow"),
    ("symlinkat", (), "EPERM allow allow"),
    ("mknodat", (), "EPERM allow allow"),
    ("ftruncate", (), "EPERM allow allow"),
    ("flock", (), "EPERM allow allow"),
    ("truncate", (), "EPERM"),
    ("fchmod", (), "EPERM"),
    ("fchmodat", (), "EPERM"),
    ("fchownat", (), "EPERM"),
    ("utimensat", (), "EPERM"),
    ("chmod", (), "EPERM"),
    ("utime", (), "EPERM"),
    ("setxattr", (), "ENOTSUP"),
    ("fgetxattr", (), "ENOTSUP"),
    ("listxattr", (), "ENOTSUP"),
]
GRANTED = [  # what changes once the folder, the processes and the network are the program's own
    ("truncate", (), "EPERM allow allow"),
    ("fchmodat", (), "EPERM allow allow"),
    ("utimensat", (), "EPERM allow allow"),
    ("fchown", (), "EPERM allow allow"),
    ("kill", (1, 9), "EPERM EPERM allow"),
    ("tgkill", (76, 76, 6), "EPERM EPERM allow"),
    ("socket", (2, 1, 0), "EACCES EACCES allow"),
    ("socket", (10, 0x80802, 17), "EACCES EACCES allow"),
    ("socket", (1, 1, 0), "EACCES EACCES allow"),
    ("socket", (16, 3, 0), "EACCES EACCES EPERM"),
    ("socket", (17, 3, 0), "EACCES EACCES EPERM"),
    ("socket", (40, 1, 0), "EACCES EACCES EPERM"),
    ("socket", (38, 5, 0), "EACCES EACCES EPERM"),
    ("socket", (2, 5, 132), "EACCES EACCES EPERM"),
    ("socket", (2, 1, 262), "EACCES EACCES EPERM"),
    ("connect", (), "EPERM EPERM allow"),
    ("sendto", (3, 0, 1, 0, 64), "EPERM EPERM allow"),
    ("sendmsg", (), "EPERM EPERM allow"),
    ("openat", (0, 0, WRITE), "EPERM allow allow"),
]


@pytest.mark.parametrize("machine", seccomp.MACHINES)
@pytest.mark.parametrize("profile", ["pure", "files", "libs"])
@pytest.mark.parametrize("granted", [False, True])
def test_the_filter_answers_as_written(machine, profile, granted):
    program = seccomp.filter_program(profile, granted, granted, granted, machine)
    column, amiss = ["pure", "files", "libs"].index(profile), []
    rows = GRANTED if granted else ASKED
    for name, arguments, answers in rows:
        number = number_of(name, machine)
        if number is None: continue                   # the machine does without: aarch64 has no open, fork, ...
        expected = (answers.split() if " " in answers else [answers] * 3)[column]
        if (got := verdict(program, number, *arguments, machine=machine)) != expected:
            amiss.append((name, arguments, got, expected))
    for name in NEVER:
        number = number_of(name, machine)
        expected = "ENOSYS" if number is not None and number >= seccomp.FIRST_COMMON else "EPERM"
        if number is not None and (got := verdict(program, number, machine=machine)) != expected:
            amiss.append((name, got))
    for name, number in NEWER.items():
        if (got := verdict(program, number, machine=machine)) != "ENOSYS": amiss.append((name, got))
    assert not amiss
    assert len(program) // 8 < 4096


@pytest.mark.parametrize("machine", seccomp.MACHINES)
@pytest.mark.parametrize("profile", ["pure", "files", "libs"])
def test_the_two_parts_are_the_whole(machine, profile):
    whole, server, child = (
        seccomp.filter_program(profile, True, True, True, machine, part)
        for part in (seccomp.WHOLE, seccomp.SERVER, seccomp.CHILD)
    )
    assert len(child) < len(whole) / 3 and struct.pack("I", seccomp.OWN_PID) not in server
    mine = set(seccomp.numbers(seccomp.SERVER_CALLS, seccomp.MACHINES[machine][0]).values())
    calls = {(number, ()) for number in (*range(480), 1000, seccomp.X32 + 1)}
    calls |= {(number_of(name, machine), arguments) for name, arguments, _ in ASKED}
    calls |= {(number, arguments) for number in mine for _, arguments, _ in ASKED}
    for number, arguments in calls:
        if number is None: continue                   # the machine does without
        answers = [verdict(part, number, *arguments, machine=machine) for part in (whole, server, child)]
        assert answers[0] == max(answers[1:], key=lambda answer: answer != "allow"), (number, arguments, answers)
        if number in mine: assert answers[1] == "allow"


@pytest.mark.parametrize("machine", seccomp.MACHINES)
def test_foreign_doors_kill(machine):
    program = seccomp.filter_program("pure", machine=machine)
    for foreign in (0x40000003, 0x40000028, 0xC00000B7 if machine == "x86_64" else 0xC000003E):
        assert verdict(program, 39, machine=foreign) == "kill"
    if machine == "x86_64":
        assert verdict(program, 0x40000000 | 39) == "kill" and verdict(program, 0xFFFFFFFF) == "kill"


@pytest.mark.parametrize("machine", seccomp.MACHINES)
def test_every_number_has_an_answer(machine):
    program = seccomp.filter_program("libs", True, True, True, machine)
    found = {verdict(program, n, machine=machine) for n in range(1100)}
    assert found <= {"allow", "EPERM", "EACCES", "ENOSYS", "ENOTSUP"}


def test_other_machines_are_refused_by_name():
    with pytest.raises(OSError, match="unsupported machine riscv64"): seccomp.filter_program(machine="riscv64")


@pytest.mark.parametrize("header, column", [
    ("/usr/include/x86_64-linux-gnu/asm/unistd_64.h", 1), ("/usr/include/asm-generic/unistd.h", 2),
])
def test_numbers_agree_with_the_kernels_headers(header, column):
    if not os.path.exists(header): pytest.skip("no kernel headers here")
    found = dict(re.findall(r"#define __NR(?:3264)?_(\w+)\s+(\d+)", Path(header).read_text()))
    if "fstatat" in found: found["newfstatat"] = found["fstatat"]
    tables = ",".join(TABLES)
    listed = seccomp.numbers(tables, column) | {n: v[column - 1] for n, v in NEVER.items() if v[column - 1] is not None}
    assert {n: v for n, v in listed.items() if n in found and int(found[n]) != v} == {}
    lacking = {row.split()[0] for row in tables.split(",")} - set(listed)
    assert not lacking & set(found) - {"fork", "vfork"}, "a dash in the table for a call that the machine has"
