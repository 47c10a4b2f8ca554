"""Put what the server's children share into huge pages: one entry of the page table where there were 512.

A fork copies that table, the end of a child takes it down, and where code lies in a file, a child meets a page fault
for each 16 pages that it runs. None of this changes what a program sees, and nothing depends on it: where the kernel or
a policy refuses, all stays as it was.

Standard library only, and no other module of this package: a fork server imports it by its plain name.
"""
import ctypes, os

HUGE_PAGE = 2 << 20  # bytes of a huge page
READ, WRITE, EXECUTE = 1, 2, 4
PRIVATE, ANONYMOUS = 2, 32
MAP_FAILED = ctypes.c_void_p(-1).value
MAY_MOVE, TO_HERE = 1, 2
MADV_HUGEPAGE = 14  # to use huge pages when this memory is filled

libc = ctypes.CDLL(None, use_errno=True)
libc.mmap.argtypes = [ctypes.c_void_p, ctypes.c_size_t, *[ctypes.c_int] * 3, ctypes.c_long]
libc.mmap.restype = ctypes.c_void_p
libc.mremap.argtypes = [ctypes.c_void_p, ctypes.c_size_t, ctypes.c_size_t, ctypes.c_int, ctypes.c_void_p]
libc.mremap.restype = ctypes.c_void_p
libc.madvise.argtypes = libc.mprotect.argtypes = [ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int]
libc.munmap.argtypes = [ctypes.c_void_p, ctypes.c_size_t]


def mappings():
    "This process's memory: rows of (start, end, permissions, offset in its file, path)."
    with open('/proc/self/maps') as f:
        for line in f:
            where, permissions, offset, _, _, *path = line.split(maxsplit=5)
            start, end = (int(number, 16) for number in where.split('-'))
            yield start, end, permissions, int(offset, 16), path[0].strip() if path else ''


def code_of_interpreter() -> tuple:
    """Where its code and constants begin and end.

    They are parts of one file that lie in memory side by side, as they lie in the file, and are never written."""
    within = ctypes.cast(ctypes.pythonapi.Py_Initialize, ctypes.c_void_p).value
    rows = list(mappings())
    start, end, _, offset, file = next(row for row in rows if row[0] <= within < row[1])
    base = start - offset
    parts = []
    for first, last, permissions, offset, path in rows:
        if path == file and first - offset == base and permissions in ('r--p', 'r-xp'): parts.append((first, last))
    before, after = {last: first for first, last in parts}, dict(parts)
    while start in before: start = before[start]
    while end in after: end = after[end]
    return start, end


def move_code(start: int, end: int) -> bool:
    """Put a copy of this memory in its place, filled into huge pages; False where that is refused.

    Also False on other machines than x86_64, where it was not tried yet."""
    if os.uname().machine != 'x86_64': return False
    size = end - start
    room = libc.mmap(None, size + 2 * HUGE_PAGE, READ | WRITE, PRIVATE | ANONYMOUS, -1, 0)
    if room == MAP_FAILED: return False
    # huge pages of the copy must be such in its place, too
    copy = -(-room // HUGE_PAGE) * HUGE_PAGE + start % HUGE_PAGE
    libc.madvise(room, size + 2 * HUGE_PAGE, MADV_HUGEPAGE)
    ctypes.memmove(copy, start, size)
    protected = not libc.mprotect(copy, size, READ | EXECUTE)
    moved = protected and libc.mremap(copy, size, size, MAY_MOVE | TO_HERE, start) == start
    left = [(room, room + size + 2 * HUGE_PAGE)]
    if moved: left = [(room, copy), (copy + size, room + size + 2 * HUGE_PAGE)]
    for at, until in left: libc.munmap(at, until - at)
    return moved


# ---------------------------------------------------------------- memory without a file

def keep_private(shared: bool) -> None:
    """Have `mmap.mmap` without a file give memory that is bounded: the filter of system calls refuses what it asks for.

    Private memory is as good where there are no other processes. shared: there may be, and a file without a name, in
    the private folder, takes its place."""
    import mmap
    class Memory(mmap.mmap):
        def __new__(cls, fileno, length, flags=mmap.MAP_SHARED, prot=READ | WRITE, access=mmap.ACCESS_DEFAULT, **more):
            if fileno != -1 or not flags & mmap.MAP_SHARED or access == mmap.ACCESS_COPY:
                return super().__new__(cls, fileno, length, flags, prot, access, **more)
            if access == mmap.ACCESS_READ: prot = mmap.PROT_READ
            if not shared:
                private = flags & ~SHARED_BITS | mmap.MAP_PRIVATE
                return super().__new__(cls, -1, length, private, prot, **more)
            import tempfile
            with tempfile.TemporaryFile() as file:
                file.truncate(length)
                return super().__new__(cls, file.fileno(), length, flags & ~mmap.MAP_ANONYMOUS, prot, **more)
    Memory.__name__ = Memory.__qualname__ = 'mmap'
    Memory.__module__ = 'mmap'
    mmap.mmap = Memory


SHARED_BITS = 3  # MAP_SHARED and MAP_SHARED_VALIDATE
