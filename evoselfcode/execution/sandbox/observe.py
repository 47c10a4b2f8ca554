"""One call within its share of processor time, and what came of it as text that decides whether functions are alike.

A child takes the time; the text is made in the verifier, from the data that crossed, where no program can choose it.
"""
import collections, collections.abc, itertools, signal
from contextlib import contextmanager

LONGEST_TEXT = 2000  # characters of one output that are kept; the rest goes into a checksum
WRITTEN_ITEMS = 2000    # of a container that are written
UNSUITED = '!TypeError', '!AttributeError'  # what an input that is no argument of a function raises
LOOKED_AT = 200_000  # values of one output that are looked at


class Slow(BaseException):
    "One call used up its share of processor time."


def slow(*_):
    "What the signal does when a call has used up its time."
    raise Slow


@contextmanager
def timed(seconds: float):
    "Bound the processor time of what is done within; 0: not at all."
    if not seconds:
        yield
        return
    signal.signal(signal.SIGPROF, slow)
    signal.setitimer(signal.ITIMER_PROF, seconds, 0.02)
    try: yield
    finally: signal.setitimer(signal.ITIMER_PROF, 0)


def tells_nothing(outputs: list | tuple) -> bool:
    """Whether outputs are all the same but for those of inputs that did not suit the function.

    Of a function without arguments there is one, which tells something if it is no None."""
    if len(outputs) == 1: return outputs[0] == 'None'
    return len(set(outputs).difference(UNSUITED)) < 2


def shortened(text: str) -> str:
    "A text, or its beginning with a checksum of all of it."
    if len(text) <= LONGEST_TEXT: return text
    from zlib import crc32  # rarely needed, and a library more makes every fork dearer
    checksum = crc32(text.encode('utf-8', 'backslashreplace'))
    return f'{text[:LONGEST_TEXT - 100]}... {len(text)} characters, checksum {checksum:08x}'


def canonical(value: object, depth: int = 40, left: list | None = None) -> str:
    """Write a value as text that is equal for equal values of equal kind: data only, sets and dicts in a fixed order.

    left: a list with the number of values that may still be looked at, so that one inside itself comes to an end."""
    left = [LOOKED_AT] if left is None else left
    left[0] -= 1
    if value is None or value is True or value is False: return str(value)
    if isinstance(value, int): return int.__repr__(value) if value.bit_length() < 4000 else hex(value)
    if isinstance(value, float): return repr(float(f'{float.__add__(value, 0.0):.12g}') + 0.0)
    if isinstance(value, complex): return f'complex({canonical(value.real)}, {canonical(value.imag)})'
    if isinstance(value, str): return repr(str.__str__(value))
    if isinstance(value, (bytes, bytearray)): return repr(bytes(value))
    if depth == 0 or left[0] < 0: return '...'
    def each(iterator):
        texts = [canonical(v, depth - 1, left) for v in itertools.islice(iterator, WRITTEN_ITEMS)]
        return texts if next(iterator, None) is None else texts + ['...']
    if isinstance(value, list): return f"[{', '.join(each(list.__iter__(value)))}]"
    if isinstance(value, tuple): return f"({', '.join(each(tuple.__iter__(value)))},)"
    if isinstance(value, (set, frozenset)):
        return f"set({', '.join(sorted(canonical(v, depth - 1, left) for v in value))})"
    if isinstance(value, dict):
        pairs = sorted((canonical(k, depth - 1, left), canonical(v, depth - 1, left)) for k, v in dict.items(value))
        return f"{{{', '.join(f'{k}: {v}' for k, v in pairs)}}}"
    name = str(type(value).__name__)[:60]
    if type(value).__module__ in ('decimal', 'fractions', 'datetime'): return f'{name}({value})'
    if isinstance(value, (range, collections.deque, collections.abc.MappingView)):
        return f"{name}[{', '.join(each(iter(value)))}]"
    if isinstance(value, collections.abc.Iterator): return f"iterator[{', '.join(each(value))}]"
    return f'<{name}>'
