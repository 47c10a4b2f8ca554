"""Watch a function at work, inside a child: call it on given inputs and write down as text what came out."""
import collections, collections.abc, itertools, signal
from codec import decode

LONGEST = 2000  # characters of one output that are kept; the rest goes into a checksum


class Slow(BaseException):
    "One call used up its share of processor time."


def slow(*_): raise Slow


def observe(space, entry, cases, seconds):
    "Call `entry` on every input of the first kind of arguments that suits it best: which kind, the outputs, how many are exceptions."
    function = space.get(entry)
    if not callable(function): raise NameError(f"no function named '{entry}'")
    signal.signal(signal.SIGPROF, slow)
    best = None
    for kind, inputs in enumerate(cases):
        outputs, errors = [], 0
        for arguments in inputs:
            outputs.append(text := call(function, arguments, seconds))
            errors += text.startswith('!')
            if text == '!Timeout' and (len(cases) > 1 or outputs == [text] * 3): errors = len(inputs) + 1; break
        if best is None or errors < best['errors']: best = dict(observed=kind, outputs=outputs, errors=errors)
        if not errors: break
    return best


def call(function, encoded, seconds):
    "The canonical text of one call's result; `!ExceptionName` when it raised, `!Timeout` when it used up its processor time."
    arguments = decode(encoded)
    try:
        signal.setitimer(signal.ITIMER_PROF, seconds, 0.02)
        try:
            result = function(*arguments)
            text = canonical(result)
            if result is None and (left := canonical(tuple(arguments))) != canonical(tuple(decode(encoded))): text = f'None, leaving {left}'
        finally: signal.setitimer(signal.ITIMER_PROF, 0)
    except Slow: return '!Timeout'
    except BaseException as error: return '!' + str(type(error).__name__)[:60]
    if len(text) <= LONGEST: return text
    from zlib import crc32  # rarely needed, and a library more makes every fork dearer
    return f'{text[:LONGEST - 100]}... {len(text)} characters, checksum {crc32(text.encode("utf-8", "backslashreplace")):08x}'


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
