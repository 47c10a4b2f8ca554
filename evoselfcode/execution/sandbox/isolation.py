"""The kernel's layers around model-written code: namespaces, a root folder of its own, an empty-handed user, Landlock.

Each function does one thing to the calling process, for good, and raises OSError with the kernel's reason where the
kernel refuses; what a machine may simply lack is answered instead (Landlock: version 0). Who calls decides what is
bearable, and says so.

Order in the server: interpreter_paths, oom_first (both read /proc) - enter_namespaces - [fork: the child is process 1]
- loopback_up - private_root - drop_privileges - no_new_privs, not_dumpable, die_with_parent - landlock - own_domain
(prepares). In each program's child: die_with_parent - enter_domain - `seccomp.install`, last.

Standard library only, and no other module of this package: a fork server imports it by its plain name.
"""
import ctypes, errno, os, pwd, resource, signal, stat, struct, sys

libc = ctypes.CDLL(None, use_errno=True)
libc.syscall.argtypes = [ctypes.c_long] + [ctypes.c_void_p] * 6
libc.syscall.restype = ctypes.c_long
libc.prctl.argtypes = [ctypes.c_int] + [ctypes.c_ulong] * 4
libc.mount.argtypes = [ctypes.c_char_p] * 3 + [ctypes.c_ulong, ctypes.c_char_p]
PIVOT_ROOT, SIGACTION = dict(x86_64=155, aarch64=41), dict(x86_64=13, aarch64=134)
MOUNT_SETATTR, CREATE_RULESET, ADD_RULE, RESTRICT_SELF = 442, 444, 445, 446  # the same on all machines


def refused(what: str) -> OSError:
    "The kernel's last refusal as an exception."
    number = ctypes.get_errno()
    return OSError(number, f'{what}: {os.strerror(number)}')


def system(number: int, *arguments) -> int:
    "A system call that the C library may not wrap."
    result = libc.syscall(number, *arguments, *[0] * (6 - len(arguments)))
    if result < 0: raise refused(f'system call {number}')
    return result


def prctl(option: int, value: int = 0, more: int = 0) -> int:
    "Set one property of this process."
    result = libc.prctl(option, value, more, 0, 0)
    if result < 0: raise refused(f'prctl {option}')
    return result


# ---------------------------------------------------------------- one process

# options of prctl
PDEATHSIG, DUMPABLE, KEEP_CAPABILITIES, CAPBSET_READ, CAPBSET_DROP = 1, 4, 8, 23, 24
SUBREAPER, NO_NEW_PRIVS, AMBIENT = 36, 38, 47
AMBIENT_CLEAR_ALL = 4
DAC_READ_SEARCH, CAPABILITY_VERSION = 2, 0x20080522
SIGKILL = 9
# the first two cannot be changed, the others Python ignores
UNTOUCHED_SIGNALS = signal.SIGKILL, signal.SIGSTOP, signal.SIGPIPE, signal.SIGXFSZ


def usual_signals() -> None:
    """Answer signals as a freshly started interpreter does, whatever who started this one ignores or holds back.

    Asks the kernel: the C library keeps signals 32 and 33 to itself, which some ways to start a process leave
    ignored."""
    signal.pthread_sigmask(signal.SIG_SETMASK, ())
    usual, number = bytes(32), SIGACTION.get(os.uname().machine)
    for signum in range(1, 65) if number else ():
        if signum not in UNTOUCHED_SIGNALS: system(number, signum, usual, 0, 8)
    signal.signal(signal.SIGINT, signal.default_int_handler)


def no_new_privs() -> None:
    "Make sure that executing a program can never give rights; Landlock and seccomp ask for this."
    prctl(NO_NEW_PRIVS, 1)


def not_dumpable() -> None:
    """Close this process's memory and descriptors to others of its user.

    After all writing to /proc/self, which then belongs to root."""
    prctl(DUMPABLE, 0)


def dumpable() -> None:
    "Let others of this user see this process's memory, as far as their own layers do."
    prctl(DUMPABLE, 1)


def die_with_parent(parent: int | None = None) -> None:
    """Be killed when the parent thread ends.

    Forks and changes of user undo this: call it after both, with the parent's expected number."""
    prctl(PDEATHSIG, SIGKILL)
    if parent is not None and os.getppid() != parent:
        raise ProcessLookupError(errno.ESRCH, 'the parent is gone already')


def subreaper() -> None:
    "Inherit the orphans of all descendants, where there is no namespace to be process 1 of."
    prctl(SUBREAPER, 1)


def oom_first() -> bool:
    "Offer this process and its children first when the machine runs out of memory; False where /proc does not take it."
    try:
        with open('/proc/self/oom_score_adj', 'w') as f: f.write('1000')
        return True
    except OSError: return False


def granted(kind: str, *most: int) -> tuple:
    "What `setrlimit` takes to set a limit, NPROC for instance: as much as is asked for, or as the host allows."
    kind = getattr(resource, f'RLIMIT_{kind}')
    hard = resource.getrlimit(kind)[1]
    return kind, most if hard == resource.RLIM_INFINITY else tuple(min(number, hard) for number in most)


def soften(kind: str, most: int) -> None:
    "Bound this process by what it could take back: as asked, or as the host allows."
    kind, (soft,) = granted(kind, most)
    resource.setrlimit(kind, (soft, resource.getrlimit(kind)[1]))


def capabilities() -> int:
    "The capabilities that this process may use or take up, as bits."
    data = ctypes.create_string_buffer(24)
    if libc.capget(struct.pack('II', CAPABILITY_VERSION, 0), data): raise refused('capget')
    effective, permitted, _, effective_high, permitted_high, _ = struct.unpack('6I', data.raw)
    return effective | permitted | (effective_high | permitted_high) << 32


def drop_privileges(uid: int | None = None, keep_reading: bool = False) -> int:
    """Become `uid`, a user of no group (None: stay who one is), without capabilities; return those that remain.

    keep_reading: keep the capability to read and search everything, for an interpreter in a closed folder and no
    private root. Clears die_with_parent. Remaining capabilities other than the one asked for are an error."""
    for number in range(64):
        if libc.prctl(CAPBSET_READ, number, 0, 0, 0) == 1 and libc.prctl(CAPBSET_DROP, number, 0, 0, 0):
            if ctypes.get_errno() != errno.EPERM: raise refused('bounding set')
            break  # an ordinary user may not; no_new_privs then does the same work
    try: os.setgroups([])
    except PermissionError:  # an ordinary user keeps its groups, in a user namespace too
        if uid is not None: raise
    if uid is not None:
        prctl(KEEP_CAPABILITIES, int(keep_reading))
        os.setresgid(uid, uid, uid)
        os.setresuid(uid, uid, uid)
    kept = (1 << DAC_READ_SEARCH) & capabilities() if keep_reading else 0
    prctl(AMBIENT, AMBIENT_CLEAR_ALL)
    if libc.capset(struct.pack('II', CAPABILITY_VERSION, 0), struct.pack('6I', kept, kept, 0, 0, 0, 0)):
        raise refused('capset')
    if (left := capabilities()) != kept: raise PermissionError(errno.EPERM, f'capabilities {left:#x} remain')
    return kept


# ---------------------------------------------------------------- namespaces

# as /proc/self/ns calls them
NAMESPACES = dict(mnt=0x00020000, pid=0x20000000, net=0x40000000, ipc=0x08000000, uts=0x04000000)
NEWUSER = 0x10000000
GET_FLAGS, SET_FLAGS, FLAG_UP = 0x8913, 0x8914, 1


def enter_namespaces(network: bool = True) -> list:
    """Leave the machine's mounts, processes, network, shared memory and name behind; return the kinds of namespace.

    All or nothing: half-entered namespaces would be harder to reason about than none. 'user' is among them if the
    kernel gave the others only so; then the process has all capabilities inside, and no second user to become.
    Children, not the caller, are in 'pid'."""
    kinds = [kind for kind in NAMESPACES if (network or kind != 'net') and os.path.exists(f'/proc/self/ns/{kind}')]
    flags = sum(NAMESPACES[kind] for kind in kinds)
    uid, gid = os.geteuid(), os.getegid()
    if libc.unshare(flags) == 0: return kinds
    if not os.access('/proc/self/uid_map', os.W_OK):
        raise PermissionError(errno.EACCES, 'namespaces: this process is not dumpable')
    if libc.unshare(flags | NEWUSER): raise refused('namespaces')
    for name, text in (('setgroups', 'deny'), ('uid_map', f'{uid} {uid} 1'), ('gid_map', f'{gid} {gid} 1')):
        with open(f'/proc/self/{name}', 'w') as f: f.write(text)
    return [*kinds, 'user']


def own_mounts() -> None:
    "Take a copy of the mounts for this process alone."
    if libc.unshare(NAMESPACES['mnt']): raise refused('own mounts')


def loopback_up() -> None:
    "Make 127.0.0.1 work inside an own network namespace; before drop_privileges."
    plug = libc.socket(2, 2, 0)
    if plug < 0: raise refused('loopback')
    try:
        request = ctypes.create_string_buffer(struct.pack('16sH22x', b'lo', 0), 40)
        for order in (GET_FLAGS, SET_FLAGS):
            if libc.ioctl(plug, ctypes.c_ulong(order), request): raise refused('loopback')
            flags, = struct.unpack_from('H', request, 16)
            struct.pack_into('H', request, 16, flags | FLAG_UP)
    finally: os.close(plug)


NETWORK = {'tcp_max_tw_buckets': '0', 'tcp_rmem': '4096 65536 262144', 'tcp_wmem': '4096 65536 262144'}


def tune_network() -> None:
    """Free ports at once, and let connections hold little; inside an own network namespace, with the old /proc there.

    A port that waits for stragglers (TIME_WAIT) would fail the next program that wants it. A namespace for each program
    would do the same, but takes rights that no child has, and half a millisecond each."""
    for name, value in NETWORK.items():
        with open(f'/proc/sys/net/ipv4/{name}', 'w') as f: f.write(value)


# ---------------------------------------------------------------- a root folder of one's own

RDONLY, NOSUID, NODEV, NOEXEC = 1, 2, 4, 8  # these are also MOUNT_ATTR_*
REMOUNT, BIND, REC, PRIVATE = 32, 4096, 16384, 1 << 18
ST_RELATIME, RELATIME = 4096, 1 << 21
SAME_IN_STATVFS = 15 | 1024 | 2048  # the first four, noatime and nodiratime
DETACH = 2  # of umount2
HERE, RECURSIVE = -100, 0x8000  # of mount_setattr
OLD, STAGE = '/.old', '/tmp'
DEVICES = '/dev/null', '/dev/full', '/dev/random', '/dev/urandom'  # not zero: mapped as shared, nothing bounds it
# for use with loopback_up
LOCAL_NAMES = {'/etc/hosts': '127.0.0.1 localhost\n::1 localhost\n', '/etc/nsswitch.conf': 'hosts: files\n'}


def mount(source: str | None, target: str, kind: str | None, flags: int, options: str | None = None) -> None:
    "mount(2), with the target in its refusal."
    texts = [None if text is None else os.fsencode(text) for text in (source, target, kind, options)]
    if libc.mount(*texts[:3], flags, texts[3]): raise refused(f'mount {target}')


def restrict(folder: str, flags: int, below: bool = True, modern: bool = True) -> None:
    "Add flags to the mount at `folder`, and to those below it."
    try:
        if not modern: raise OSError(errno.ENOSYS, '')
        attributes = struct.pack('4Q', flags, 0, PRIVATE, 0)
        system(MOUNT_SETATTR, HERE, os.fsencode(folder), RECURSIVE if below else 0, attributes, len(attributes))
    except OSError as error:  # kernels before 5.12, gVisor, old containers
        if error.errno not in (errno.ENOSYS, errno.EPERM): raise
        for point in mounts_below(folder) if below else [folder]:
            have = os.statvfs(point).f_flag  # a user namespace may not take away what was set before
            have = have & SAME_IN_STATVFS | (RELATIME if have & ST_RELATIME else 0)
            try: mount(None, point, None, REMOUNT | BIND | have | flags)
            except OSError as error:  # a mount that another one covers cannot be reached, by nobody
                if error.errno != errno.EINVAL or point == folder: raise


def mounts_below(folder: str) -> list:
    "Mount points at and below a folder, read through the old root's /proc."
    with open(f'{OLD}/proc/self/mountinfo', 'rb') as f: points = {line.split()[4] for line in f}
    for written, meant in ((b'\\040', b' '), (b'\\011', b'\t'), (b'\\012', b'\n'), (b'\\134', b'\\')):
        points = {point.replace(written, meant) for point in points}
    return sorted(point for point in map(os.fsdecode, points) if inside(point, [folder]))


def inside(path: str, folders: list | tuple | set) -> bool:
    "Whether a path is one of the folders, or lies in one."
    return any(path == folder or path.startswith(folder.rstrip('/') + '/') for folder in folders)


def way(path: str) -> str:
    """Build the folders and symbolic links that lead to a path of the old root, with what the links point to.

    Return where it really is."""
    parts, here = path.strip('/').split('/'), ''
    for number, part in enumerate(parts):
        above, here = here, f'{here}/{part}'
        if os.path.islink(OLD + here):
            target = os.readlink(OLD + here)
            if not os.path.lexists(here): os.symlink(target, here)
            return way(os.path.normpath(os.path.join(above or '/', target, *parts[number + 1:])))
        if os.path.isdir(OLD + here): os.makedirs(here, exist_ok=True)
        else: os.close(os.open(here, os.O_CREAT | os.O_WRONLY))
    return here


def show(path: str, modern: bool) -> None:
    "Show a path of the old root, with all that is mounted below it, read-only."
    mount(OLD + path, path, None, BIND | REC)
    device = stat.S_ISCHR(os.stat(path).st_mode)
    restrict(path, RDONLY | NOSUID | (NOEXEC if device else NODEV), modern=modern)


def furnish(
    readable: list, folders: list | tuple, writable_mb: int, inodes: int, executable: bool, proc: bool, texts: dict,
    modern: bool,
) -> None:
    "Fill the new root."
    # before the readable paths: mounted after them, these folders would hide an interpreter that lies in /tmp
    for folder in folders:
        os.makedirs(folder, exist_ok=True)
        bounds = f'size={writable_mb}m,nr_inodes={inodes},mode=1777'
        if writable_mb: mount('private', folder, 'tmpfs', NOSUID | NODEV | (0 if executable else NOEXEC), bounds)
    real = {way(os.path.abspath(path)) for path in (*readable, *DEVICES)}
    for path in sorted(real):
        if not inside(path, real - {path}): show(path, modern)
    # mount points on the way to what is readable are no place for programs
    for way_in in [f'{folder}/{name}' for folder in folders if writable_mb for name in os.listdir(folder)]:
        mount(way_in, way_in, None, BIND | REC)
        restrict(way_in, RDONLY | NOSUID | NODEV, modern=modern)
    # for semaphores: one folder to bound and to wipe
    if writable_mb and not os.path.lexists('/dev/shm'): os.symlink(folders[0], '/dev/shm')
    for name, text in texts.items():
        os.makedirs(os.path.dirname(name), exist_ok=True)
        with open(name, 'x', encoding='utf-8') as f: f.write(text)
    if proc:
        os.mkdir('/proc')
        mount('proc', '/proc', 'proc', RDONLY | NOSUID | NODEV | NOEXEC)


def private_root(
    readable: list, writable_mb: int = 0, folders: list | tuple = ('/tmp',), inodes: int = 20_000,
    executable: bool = False, proc: bool = False, texts: dict | None = None, modern: bool = True,
) -> None:
    """Replace the root folder by one that shows the readable paths, a few devices and `folders`.

    Everything is read-only but these, each of which is bounded. Needs an own mount namespace and capabilities in it.
    writable_mb=0: `folders` are empty and read-only too. executable: programs in them may be run. proc: an own /proc,
    for process 1 of a pid namespace. texts: {path: text} of small files to make up. A readable path below one of
    `folders` shows inside it, read-only, and cannot be removed. modern=False: the way of older kernels. After a refusal
    the old root is the root again."""
    for path in readable: os.stat(path)  # a missing path is said here, by its own name
    mask = os.umask(0o022)  # folders on the way must be open to the user to come
    try:
        mount('none', '/', None, REC | PRIVATE)  # nothing of what follows may travel to the machine's mounts
        mount('root', STAGE, 'tmpfs', NOSUID | NODEV, 'size=4m,nr_inodes=4k,mode=755')
        try:
            os.mkdir(STAGE + OLD, 0o700)
            machine = os.uname().machine
            if machine not in PIVOT_ROOT: raise OSError(errno.ENOSYS, f'unsupported machine {machine}')
            system(PIVOT_ROOT[machine], STAGE.encode(), (STAGE + OLD).encode())
        except BaseException:
            libc.umount2(STAGE.encode(), DETACH)
            raise
        os.chdir('/')
        try: furnish(readable, folders, writable_mb, inodes, executable, proc, texts or {}, modern)
        except BaseException:
            os.chroot(OLD)
            os.chdir('/')
            raise
        if libc.umount2(OLD.encode(), DETACH): raise refused('detach the old root')
        os.rmdir(OLD)
        restrict('/', RDONLY | NOSUID | NODEV, below=False, modern=modern)
    finally: os.umask(mask)


# ---------------------------------------------------------------- Landlock

EXECUTE, WRITE_FILE, READ_FILE, READ_DIR = (1 << n for n in range(4))
MAKE_CHAR, MAKE_BLOCK, TRUNCATE, IOCTL_DEV = (1 << n for n in (6, 11, 14, 15))
FILE_RIGHTS = EXECUTE | WRITE_FILE | READ_FILE | TRUNCATE | IOCTL_DEV  # the others are meant for folders
READING = READ_FILE | READ_DIR
RIGHTS_BY_VERSION = {1: 13, 2: 14, 3: 15, 4: 15, 5: 16, 6: 16, 7: 16}  # version: number of rights on files
TCP, TCP_SINCE = 3, 4  # bind and connect
SCOPES, SCOPES_SINCE = 3, 6  # abstract sockets and signals
PATH_BENEATH = 1


def landlock_version(abi: int | None = None) -> int:
    "The version of Landlock to use: the kernel's, at most the newest known here, at most `abi`; 0: none."
    try: found = system(CREATE_RULESET, None, 0, 1)
    except OSError as error:
        if error.errno in (errno.ENOSYS, errno.EOPNOTSUPP): return 0
        raise
    return min(found, max(RIGHTS_BY_VERSION), *([] if abi is None else [abi]))


def ruleset(version: int, unhandled: int = 0, network: bool = False) -> tuple:
    """A descriptor of rules without rules, and the rights on files that are forbidden.

    Forbidden is all that the version knows, but for the `unhandled` rights on files."""
    rights = (1 << RIGHTS_BY_VERSION[version]) - 1 & ~unhandled
    numbers = [rights, 0 if network else TCP, SCOPES][:1 + (version >= TCP_SINCE) + (version >= SCOPES_SINCE)]
    return system(CREATE_RULESET, struct.pack(f'{len(numbers)}Q', *numbers), 8 * len(numbers), 0), rights


def allow(rules: int, handled: int, paths: list | tuple, rights: int) -> None:
    "Add rights on paths, and on all below them."
    real = {os.path.realpath(path) for path in paths}
    for path in sorted(real):
        if inside(path, real - {path}): continue  # each rule is copied into every child's domain
        fd = os.open(path, os.O_PATH | os.O_CLOEXEC)
        try:
            usable = rights & handled & (-1 if stat.S_ISDIR(os.fstat(fd).st_mode) else FILE_RIGHTS)
            system(ADD_RULE, rules, PATH_BENEATH, struct.pack('=Qi', usable, fd), 0)
        finally: os.close(fd)


def writing_rights(version: int) -> int:
    "What a writable folder allows: all but devices; special files have no business there."
    return (1 << RIGHTS_BY_VERSION[version]) - 1 & ~(EXECUTE | MAKE_CHAR | MAKE_BLOCK | IOCTL_DEV)


def landlock(
    readable: list, writable: list | tuple = (), executable: list | tuple = (), network: bool = False,
    abi: int | None = None,
) -> int:
    """Forbid this process and its children all on files but to read, write and execute below these paths.

    Return the version; 0: the kernel has none, nothing was done. Also forbidden: TCP unless `network` (version 4),
    abstract sockets and signals that lead out (version 6). Never covered: modes, owners, times, attributes, stat, UDP;
    and emptying files before version 3. Needs no_new_privs."""
    version = landlock_version(abi)
    if not version: return 0
    rules, handled = ruleset(version, network=network)
    try:
        allow(rules, handled, readable, READING)
        allow(rules, handled, executable, READING | EXECUTE)
        allow(rules, handled, writable, writing_rights(version))
        system(RESTRICT_SELF, rules, 0)
    finally: os.close(rules)
    return version


def own_domain(
    writable: list | tuple = (), executes: bool = False, network: bool = False, abi: int | None = None,
) -> int:
    """Prepare, once, the second domain that each child enters: a descriptor for enter_domain, or -1 without Landlock.

    Processes in one domain may trace each other; a child in one of its own cannot reach its siblings. It
    forbids what no program needs and needs no rules for that, except that moving files between folders is forbidden
    wherever it is not allowed."""
    version = landlock_version(abi)
    if not version: return -1
    rules, handled = ruleset(version, READING | (EXECUTE if executes else 0), network)
    allow(rules, handled, writable, writing_rights(version))
    return rules


def enter_domain(rules: int, quick=ctypes.CDLL(None).syscall) -> bool:
    "Enter the prepared domain; False where there is none. `quick` keeps no error number: less for a child to do."
    if rules < 0: return False
    if quick(RESTRICT_SELF, rules, 0): system(RESTRICT_SELF, rules, 0)
    return True


# ---------------------------------------------------------------- what an interpreter needs

PROGRAMS = ('/bin', '/sbin')
SYSTEM = ('/usr', '/lib', '/lib32', '/lib64', '/libx32', '/etc/ld.so.cache', '/etc/localtime', '/etc/ssl/openssl.cnf',
          '/nix/store')


def interpreter_paths(programs: bool = False) -> list:
    """Folders and files that this interpreter reads, and what it may run.

    Never all of /etc, and never a home or what contains one."""
    wanted = [*SYSTEM, *(PROGRAMS + (sys.executable,)) * programs, os.path.dirname(os.__file__)]
    wanted += [sys.prefix, sys.exec_prefix, sys.base_prefix, sys.base_exec_prefix]
    wanted += [os.path.realpath(path) for path in wanted] + [os.path.dirname(os.path.realpath(sys.executable))]
    with open('/proc/self/maps') as f: mapped = {line.split(maxsplit=5)[-1].strip() for line in f}
    wanted += [os.path.dirname(path) for path in mapped if path.startswith('/') and '.so' in os.path.basename(path)]
    homes = {'/root', '/home', '/etc', os.path.expanduser('~')}
    try: homes.add(pwd.getpwuid(os.getuid()).pw_dir)  # HOME may have been set to something harmless
    except KeyError: pass
    homes = set(map(os.path.realpath, homes))
    wanted = sorted({os.path.abspath(path) for path in wanted if path and os.path.exists(path)})
    wanted = [path for path in wanted if not any(inside(home, [os.path.realpath(path)]) for home in homes)]
    return [path for path in wanted if not inside(path, [other for other in wanted if other != path])]
