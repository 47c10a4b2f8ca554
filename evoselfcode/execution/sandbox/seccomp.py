"""The system calls that model-written code may make, as a program for the kernel's seccomp filter.

A list of what is allowed, never of what is forbidden: a call that nobody thought of fails. What fails, fails as an
error (EPERM; ENOSYS for calls newer than this list, so that the C library takes its older way), because honest code
meets refusals too and must be able to go on. Only calls through another machine's door (32-bit, x32) kill: no
compiler's output takes them.

A filter sees numbers and registers, not what pointers point to: names of files are bounded by mounts and Landlock
(isolation.py). Considered and left out on purpose, in every profile: ptrace, process_vm_*, kcmp, pidfd_*, io_uring_*
and aio, bpf, perf_event_open, userfaultfd, keyctl and its kin, namespaces and mounts, *_by_handle_at, fanotify and
inotify, SysV and POSIX message queues, shared memory and semaphores, memfd_create, splice, vmsplice and tee, mlock*,
NUMA calls, priorities and affinity (writing), every set*id, personality, modify_ldt, pkey_*, timers by timer_create,
clock setting, seccomp and landlock_* themselves.

Standard library only, and no other module of this package: a fork server imports it by its plain name.
"""
import ctypes, errno, os, struct

# profiles: no effect outside the process; a private folder; also processes and local network
PURE, FILES, LIBS = 'pure', 'files', 'libs'
# a filter, or its two parts: one for the server, which children inherit, and what they add
WHOLE, SERVER, CHILD = 'whole', 'server', 'child'
# column of the tables below, the kernel's name of the machine
MACHINES = dict(x86_64=(1, 0xC000003E), aarch64=(2, 0xC00000B7))
X32 = 0x40000000  # the bit of x32's numbers
FIRST_COMMON = 424  # from here on all machines number alike
OWN_PID = 0x5EC0C0DE  # stands for the process's own number until `install`; above any real one

ALWAYS = """read 0 63, write 1 64, readv 19 65, writev 20 66, pread64 17 67, pwrite64 18 68, preadv 295 69,
pwritev 296 70, preadv2 327 286, pwritev2 328 287, close 3 57, close_range 436 436, dup 32 23, dup2 33 -, dup3 292 24,
lseek 8 62, pipe 22 -, stat 4 -, fstat 5 80, lstat 6 -, newfstatat 262 79, statx 332 291, statfs 137 43, fstatfs 138 44,
access 21 -, faccessat 269 48, faccessat2 439 439, readlink 89 -, readlinkat 267 78, getdents64 217 61, getcwd 79 17,
chdir 80 49, fchdir 81 50, fadvise64 221 223, fsync 74 82, fdatasync 75 83, umask 95 166, munmap 11 215, mremap 25 216,
brk 12 214, madvise 28 233, msync 26 227, poll 7 -, ppoll 271 73, select 23 -, pselect6 270 72, epoll_create1 291 20,
epoll_ctl 233 21, epoll_wait 232 -, epoll_pwait 281 22, eventfd2 290 19, timerfd_create 283 85, timerfd_settime 286 86,
timerfd_gettime 287 87, futex 202 98, set_robust_list 273 99, set_tid_address 218 96, rseq 334 293, membarrier 324 283,
sched_yield 24 124, sched_getaffinity 204 123, sched_getparam 143 121, sched_getscheduler 145 120,
sched_get_priority_max 146 125, sched_get_priority_min 147 126, getpriority 140 141, getcpu 309 168,
rt_sigaction 13 134, rt_sigprocmask 14 135, rt_sigreturn 15 139, rt_sigpending 127 136, rt_sigtimedwait 128 137,
rt_sigsuspend 130 133, sigaltstack 131 132, pause 34 -, alarm 37 -, getitimer 36 102, setitimer 38 103,
restart_syscall 219 128, time 201 -, gettimeofday 96 169, clock_gettime 228 113, clock_getres 229 114,
clock_nanosleep 230 115, nanosleep 35 101, times 100 153, getrusage 98 165, getrlimit 97 163, sysinfo 99 179,
uname 63 160, getrandom 318 278, getpid 39 172, gettid 186 178, getppid 110 173, getuid 102 174, geteuid 107 175,
getgid 104 176, getegid 108 177, getresuid 118 148, getresgid 120 150, getgroups 115 158, getpgid 121 155,
getpgrp 111 -, getsid 124 156, getsockname 51 204, getpeername 52 205, getsockopt 55 209, recvfrom 45 207,
recvmsg 47 212, shutdown 48 210, exit 60 93, exit_group 231 94"""
WITH_RULES = """open 2 -, openat 257 56, mmap 9 222, mprotect 10 226, clone 56 220, fcntl 72 25, ioctl 16 29,
prctl 157 167, prlimit64 302 261, kill 62 129, tkill 200 130, tgkill 234 131, rt_sigqueueinfo 129 138,
rt_tgsigqueueinfo 297 240, socket 41 198, socketpair 53 199, sendto 44 206, pipe2 293 59"""
# Bounded by mounts or by Landlock. `truncate` is not among them: Landlock learnt it late (version 3).
WRITING = """creat 85 -, mkdir 83 -, mkdirat 258 34, rmdir 84 -, unlink 87 -, unlinkat 263 35, rename 82 -,
renameat 264 38, renameat2 316 276, link 86 -, linkat 265 37, symlink 88 -, symlinkat 266 36, mknod 133 -,
mknodat 259 33, ftruncate 77 46, fallocate 285 47, flock 73 32, sendfile 40 71, copy_file_range 326 285"""
# Not bounded by Landlock at all: only where everything but the private folder is mounted read-only.
METADATA = """chmod 90 -, fchmod 91 52, fchmodat 268 53, chown 92 -, fchown 93 55, lchown 94 -, fchownat 260 54,
utime 132 -, utimes 235 -, futimesat 261 -, utimensat 280 88, truncate 76 45"""
# `shutil.copy2` goes on without these when it hears ENOTSUP, and gives up when it hears EPERM.
ATTRIBUTES = """setxattr 188 5, lsetxattr 189 6, fsetxattr 190 7, getxattr 191 8, lgetxattr 192 9, fgetxattr 193 10,
listxattr 194 11, llistxattr 195 12, flistxattr 196 13, removexattr 197 14, lremovexattr 198 15, fremovexattr 199 16"""
PROCESSES = """fork 57 -, vfork 58 -, execve 59 221, execveat 322 281, wait4 61 260, waitid 247 95, setsid 112 157,
setpgid 109 154, arch_prctl 158 -, mincore 27 232"""
NETWORK = """connect 42 203, bind 49 200, listen 50 201, accept 43 202, accept4 288 242, setsockopt 54 208,
sendmsg 46 211, recvmmsg 299 243, sendmmsg 307 269"""
# What a fork server calls and its children must not, or not so.
SERVER_CALLS = """clone 56 220, kill 62 129, tkill 200 130, tgkill 234 131, rt_sigqueueinfo 129 138,
rt_tgsigqueueinfo 297 240, wait4 61 260, waitid 247 95, setsid 112 157, prctl 157 167, prlimit64 302 261,
landlock_restrict_self 446 446, open 2 -, openat 257 56"""

# ---------------------------------------------------------------- rules on arguments
# A rule is a list of conditions that must all hold: (kind, number of the argument, what).
# Only the lower half of an argument is compared where the kernel itself takes an int; pointers are compared whole.

CLEAR, HAS, AMONG, DIFFERS, NULL = 'none of these bits', 'this bit', 'one of these', 'not (mask, value)', 'no pointer'
O_TRUNC, O_ACCMODE = 0x200, 3
OPEN_WRITES = 0x400643  # WRONLY, RDWR, CREAT, TRUNC, APPEND, TMPFILE: alike on both machines
PROT_WRITE, PROT_EXEC = 2, 4
NO_FILE = (0x21, 0x21)  # MAP_SHARED, MAP_ANONYMOUS: it stays when all but a page is given back
CLONE_THREAD, THREAD_FLAGS = 0x10000, 0x7D0F00  # all that glibc and musl set for a thread
# and for a new process: its end's signal, VFORK, CHILD_SETTID; never a namespace
PROCESS_FLAGS = THREAD_FLAGS | 0x010040FF
PIPE_NOTIFICATION = 0x80  # the kernel's watch queues, by the back door of pipe2
# duplicate, flags, size of a pipe, seals: reading; no owner, signal, lease, notification
FCNTL = (0, 1, 2, 3, 4, 1030, 1032, 1034)
LOCKS = (5, 6, 7, 36, 37, 38)
# TCGETS, TCGETS2, TIOCGWINSZ, FIONREAD, FIONBIO, FIONCLEX, FIOCLEX
IOCTL = (0x5401, 0x802C542A, 0x5413, 0x541B, 0x5421, 0x5450, 0x5451)
PRCTL = (15, 16, 0x53564D41)  # a thread's name; names of memory, which malloc sets
AF_UNIX, AF_INET, AF_INET6 = 1, 2, 10
STREAM_OR_DATAGRAM = 0x80803  # with CLOEXEC and NONBLOCK; raw sockets need a capability that is gone
PLAIN_PROTOCOLS = (0, 6, 17)  # others make the kernel load modules


def rules(profile: str, own_processes: bool, own_network: bool) -> dict:
    "Conditions by name of call: what a profile may do with the calls that both honest code and attacks need."
    signals = ['kill', 'tkill', 'tgkill', 'rt_sigqueueinfo', 'rt_tgsigqueueinfo']
    found = dict.fromkeys(signals, [(AMONG, 0, (OWN_PID,))])
    found.update(
        # no new machine code; libraries still load
        mmap=[(DIFFERS, 3, NO_FILE), (DIFFERS, 2, (PROT_WRITE | PROT_EXEC,) * 2)],
        mprotect=[(CLEAR, 2, PROT_EXEC)],
        clone=[(CLEAR, 0, ~THREAD_FLAGS), (HAS, 0, CLONE_THREAD)],
        ioctl=[(AMONG, 1, IOCTL)],
        prctl=[(AMONG, 0, PRCTL)],
        fcntl=[(AMONG, 1, FCNTL)],
        prlimit64=[(AMONG, 0, (0, OWN_PID)), (NULL, 2, None)],
        pipe2=[(CLEAR, 1, PIPE_NOTIFICATION)],
        socketpair=[(AMONG, 0, (AF_UNIX,))],
        sendto=[(NULL, 4, None)],  # an address would lead out of the pair
        open=[(CLEAR, 1, OPEN_WRITES)],
        openat=[(CLEAR, 2, OPEN_WRITES)],
    )
    if profile != PURE:  # emptying a file opened for reading is what old Landlock overlooks
        emptying = O_TRUNC | O_ACCMODE, O_TRUNC
        found.update(open=[(DIFFERS, 1, emptying)], openat=[(DIFFERS, 2, emptying)])
        found['fcntl'] = [(AMONG, 1, FCNTL + LOCKS)]
    if profile == LIBS:  # numerical libraries generate machine code
        found.update(mmap=[(DIFFERS, 3, NO_FILE)], mprotect=[])
        found.update(clone=[(CLEAR, 0, ~PROCESS_FLAGS)], prlimit64=[(AMONG, 0, (0,))])
        if own_processes: found.update(dict.fromkeys(signals, []))
        if own_network:
            families = AF_UNIX, AF_INET, AF_INET6
            found['socket'] = [(AMONG, 0, families), (CLEAR, 1, ~STREAM_OR_DATAGRAM), (AMONG, 2, PLAIN_PROTOCOLS)]
            found['sendto'] = []
    return found


# ---------------------------------------------------------------- the assembler

LOAD, AND, IF_EQUAL, IF_AT_LEAST, IF_ANY_BIT, JUMP, RETURN = 0x20, 0x54, 0x15, 0x35, 0x45, 0x05, 0x06
ALLOW, KILL, FAIL = 0x7FFF0000, 0x80000000, 0x00050000
NUMBER, MACHINE, FIRST_ARGUMENT = 0, 4, 16  # offsets in the kernel's description of a call


def block(conditions: list, refusal: int = FAIL | errno.EPERM) -> list:
    "Instructions that allow a call if all conditions hold."
    if not conditions: return [(RETURN, 0, 0, ALLOW)]
    code, no = [], None  # `no` in a jump: to the refusal at the end
    for kind, argument, what in conditions:
        low = (LOAD, 0, 0, FIRST_ARGUMENT + 8 * argument)
        if kind == CLEAR: code += [low, (IF_ANY_BIT, no, 0, what & 0xFFFFFFFF)]
        elif kind == HAS: code += [low, (IF_ANY_BIT, 0, no, what)]
        elif kind == DIFFERS: code += [low, (AND, 0, 0, what[0]), (IF_EQUAL, no, 0, what[1])]
        elif kind == NULL: code += [low, (IF_EQUAL, 0, no, 0), (LOAD, 0, 0, low[3] + 4), (IF_EQUAL, 0, no, 0)]
        elif kind == AMONG:
            *others, last = what
            code += [low, *((IF_EQUAL, len(others) - i, 0, value) for i, value in enumerate(others))]
            code.append((IF_EQUAL, 0, no, last))
        else: raise ValueError(kind)
    code += [(RETURN, 0, 0, ALLOW), (RETURN, 0, 0, refusal)]
    def reach(target, i): return len(code) - 2 - i if target is no else target
    return [(op, reach(yes, i), reach(otherwise, i), k) for i, (op, yes, otherwise, k) in enumerate(code)]


def tree(runs: list) -> list:
    """Instructions that find, by halving, the block of the run of numbers in which the call lies.

    runs: [(first number, block), ...]."""
    if len(runs) == 1: return runs[0][1]
    half = len(runs) // 2
    below, above = tree(runs[:half]), tree(runs[half:])
    if len(below) < 256: return [(IF_AT_LEAST, len(below), 0, runs[half][0]), *below, *above]
    # a conditional jump reaches 255 at most
    return [(IF_AT_LEAST, 0, 1, runs[half][0]), (JUMP, 0, 0, len(below)), *below, *above]


def numbers(table: str, column: int) -> dict:
    "{name: number} of one machine; calls that it lacks left out."
    rows = (entry.split() for entry in table.split(','))
    return {row[0]: int(row[column]) for row in rows if row[column] != '-'}


def filter_program(
    profile: str = PURE, own_root: bool = False, own_processes: bool = False, own_network: bool = False,
    machine: str | None = None, part: str = WHOLE,
) -> bytes:
    """The filter of a profile as bytes, for `prepared`.

    own_root: everything outside the private folder is mounted read-only, so modes, owners and times may be changed;
    own_processes: signals cannot leave the program's own processes (namespace, or Landlock's signal scope);
    own_network: its own network namespace AND root folder, so that no socket leads out;
    part: a long filter costs every child more than all its other layers; under that of the server, which allows what a
    server calls, a child needs the short one that takes this away again."""
    machine = machine or os.uname().machine
    if machine not in MACHINES:
        raise OSError(errno.ENOSYS, f'unsupported machine {machine}: no table of its system calls')
    if profile not in (PURE, FILES, LIBS): raise ValueError(f'unknown profile {profile!r}')
    column, kernel_name = MACHINES[machine]
    tables, allow = [ALWAYS], block([])
    if profile != PURE: tables += [WRITING] + [METADATA] * own_root
    if profile == LIBS: tables += [PROCESSES] + [NETWORK] * own_network
    blocks = {number: allow for table in tables for number in numbers(table, column).values()}
    blocks.update((number, [(RETURN, 0, 0, FAIL | errno.ENOTSUP)]) for number in numbers(ATTRIBUTES, column).values())
    having = rules(profile, own_processes, own_network)
    refused = [(RETURN, 0, 0, FAIL | errno.EACCES)]  # what a machine without network rights says
    for name, number in numbers(WITH_RULES, column).items():
        blocks[number] = block(having[name]) if name in having else refused
    unlisted, newer = [(RETURN, 0, 0, FAIL | errno.EPERM)], [(RETURN, 0, 0, FAIL | errno.ENOSYS)]
    servers = set(numbers(SERVER_CALLS, column).values())
    def chosen_for(number):
        if number in servers and part == SERVER or number not in servers and part == CHILD: return allow
        return blocks.get(number, unlisted if number < FIRST_COMMON else newer)
    runs, last = [], None
    for number in range(max(FIRST_COMMON, *blocks, *servers) + 2):
        chosen = chosen_for(number)
        if chosen != last: runs.append((number, chosen))
        last = chosen
    kill = (RETURN, 0, 0, KILL)
    head = [(LOAD, 0, 0, MACHINE), (IF_EQUAL, 1, 0, kernel_name), kill, (LOAD, 0, 0, NUMBER)]
    if machine == 'x86_64': head += [(IF_AT_LEAST, 0, 1, X32), kill]
    code = head + tree(runs)
    program = b''.join(struct.pack('HBBI', *step) for step in code)
    if program.count(struct.pack('I', OWN_PID)) != sum(k == OWN_PID for *_, k in code):
        raise ValueError('the placeholder is not unique')
    return program


# ---------------------------------------------------------------- the kernel's side

SET_SECCOMP, FILTER_MODE = 22, 2
libc = ctypes.CDLL(None, use_errno=True)
libc.prctl.argtypes = [ctypes.c_int, ctypes.c_ulong, ctypes.c_void_p, ctypes.c_ulong, ctypes.c_ulong]


def prepared(program: bytes) -> tuple:
    """What `install` takes: the program in memory of its own, and where the process's number belongs.

    Once, before children are forked: it costs a child more than all the rest."""
    held = ctypes.create_string_buffer(program, len(program))
    words = memoryview(held).cast('B').cast('I')
    places = [at for at, word in enumerate(words) if word == OWN_PID]
    return words, places, struct.pack('HxxxxxxP', len(program) // 8, ctypes.addressof(held))


def install(ready: tuple, own=os.getpid, quick=ctypes.CDLL(None).prctl) -> None:
    """Put this process under a prepared filter, for good; needs `no_new_privs` before.

    `quick` keeps no error number: less for a child to do."""
    words, places, header = ready
    for place in places: words[place] = own()
    if quick(SET_SECCOMP, FILTER_MODE, header, 0, 0) and libc.prctl(SET_SECCOMP, FILTER_MODE, header, 0, 0):
        raise OSError(ctypes.get_errno(), 'the kernel refuses the filter of system calls')


def available() -> bool:
    "Whether this kernel filters system calls; asked without installing anything."
    # a filter without a program is refused as a bad address (EFAULT) where filters exist, as invalid where not
    return libc.prctl(SET_SECCOMP, FILTER_MODE, None, 0, 0) != 0 and ctypes.get_errno() == errno.EFAULT
