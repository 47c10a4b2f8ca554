"""What crosses between candidate and judge: data written as JSON, and nothing that could act when it is read.

Plain values stand for themselves; every other value is an object with one key, its tag. Instances of subclasses are written as the builtin
they extend, so that no method of the candidate's ever runs in the judge. Standard library only, and cheap to fork.
"""
import json, os, select, struct

MAX_MESSAGE = 64 << 20  # bytes
MAX_ITEMS = 100_000     # of an iterator, which is written as what it would still give
MAX_DEPTH = 200         # deeper nesting is no plain data; it also ends what contains itself
LIBRARY = {'decimal': ('Decimal',), 'fractions': ('Fraction',), 'datetime': ('datetime', 'date', 'time', 'timedelta')}
SCALARS = {type(None), bool, float, str, int}
TYPES = {kind.__name__: kind for kind in (int, float, str, bool, complex, list, tuple, dict, set, frozenset, bytes, bytearray, type(None))}
LARGE = 1 << 12_000    # integers from here on go in hexadecimal: their decimal text takes quadratic time, and Python refuses it
SMALL = -LARGE


class Unsupported(TypeError):
    "Say that a value is not plain data."


class Late(Exception):
    "Say that a message did not come in time."


class Broken(ValueError):
    "Say that a message does not have the form that this module gives it."


# ---------------------------------------------------------------- values

class Far:
    "Something of the candidate's that is no data: in the judge no more than its name, which stands for it again in the candidate."
    def __init__(self, name): self.__name__ = name


def encode(value, depth=MAX_DEPTH):
    "Turn a value into what JSON can hold."
    kind = type(value)
    if kind is int: return value if SMALL < value < LARGE else {'int': hex(value)}
    if kind in SCALARS: return value
    if kind is list and (kinds := set(map(type, value))) <= SCALARS and (int not in kinds or kinds == {int} and SMALL < min(value) and max(value) < LARGE): return value[:]
    if isinstance(value, int): return encode(int.__pos__(value))
    if not depth: raise Unsupported(f'data nested deeper than {MAX_DEPTH}')
    def each(items): return [encode(item, depth - 1) for item in items]
    if isinstance(value, str): return str.__str__(value)
    if isinstance(value, float): return float.__pos__(value)
    if isinstance(value, list): return each(list.__iter__(value))
    if isinstance(value, tuple): return {'tuple': each(tuple.__iter__(value))}
    if isinstance(value, dict): return {'dict': [each(dict.keys(value)), each(dict.values(value))]}
    if isinstance(value, set): return {'set': sorted(each(set.__iter__(value)), key=repr)}  # by the same order in every process
    if isinstance(value, frozenset): return {'frozenset': sorted(each(frozenset.__iter__(value)), key=repr)}
    if isinstance(value, bytes): return {'bytes': bytes.hex(value)}
    if isinstance(value, bytearray): return {'bytearray': bytearray.hex(value)}
    if isinstance(value, complex): return {'complex': [complex.__pos__(value).real, complex.__pos__(value).imag]}
    if kind is range: return {'range': each((value.start, value.stop, value.step))}
    return _encode_rare(value, kind, each)


def _encode_rare(value, kind, each):
    from collections import deque
    name, module = str(kind.__name__), str(kind.__module__)
    if isinstance(value, Far): return {'far': value.__name__}
    if kind is type and value in TYPES.values(): return {'type': value.__name__}
    if isinstance(value, deque): return {'deque': [each(deque.__iter__(value)), value.maxlen]}
    if kind in VIEWS: return {VIEWS[kind]: each(value)}
    if name in LIBRARY.get(module, ()):
        if name == 'Fraction': return {name: each((value.numerator, value.denominator))}
        if name == 'timedelta': return {name: [value.days, value.seconds, value.microseconds]}
        return {name: str(value) if name == 'Decimal' else value.isoformat()}
    if hasattr(kind, '__next__'):
        from itertools import islice
        items = each(islice(value, MAX_ITEMS + 1))
        if len(items) <= MAX_ITEMS: return {'iterator': items}
        raise Unsupported(f'an iterator over more than {MAX_ITEMS:,} items is not plain data')
    raise Unsupported(f'a value of type {name[:60]} is not plain data')


VIEWS = {type({}.keys()): 'keys', type({}.values()): 'values', type({}.items()): 'items'}


def decode(value):
    "Turn what `encode` made back into a fresh value; `Broken` for anything else."
    kind = type(value)
    if kind in SCALARS: return value
    if kind is list: return value[:] if SCALARS.issuperset(map(type, value)) else [decode(item) for item in value]
    try:
        (tag, content), = value.items()
        return READERS[tag](content)
    except (KeyError, TypeError, ValueError, ArithmeticError, AttributeError): raise Broken(f'no such value: {str(value)[:80]}') from None


def _set(items):
    found = set()
    for item in decode(items): found.add(item)  # a loop, which an alarm can end: items may be chosen to collide
    return found


def _dict(content):
    keys, values = content
    found = {}
    for key, value in zip(decode(keys), decode(values), strict=True): found[key] = value
    return found


def _library(module, name, *methods):
    def read(content):
        made = getattr(__import__(module), name)
        for method in methods: made = getattr(made, method)
        return made(*map(decode, content)) if type(content) is list else made(_text(content))
    return read


def _text(content):
    if type(content) is not str: raise TypeError
    return content


def _deque(content):
    from collections import deque
    items, most = content
    return deque(decode(items), most)


READERS = {
    'type': lambda c: TYPES[c],
    'int': lambda c: int(_text(c), 16), 'tuple': lambda c: tuple(decode(c)), 'dict': _dict, 'set': _set, 'frozenset': lambda c: frozenset(_set(c)),
    'bytes': lambda c: bytes.fromhex(_text(c)), 'bytearray': lambda c: bytearray.fromhex(_text(c)), 'complex': lambda c: complex(*c),
    'range': lambda c: range(*map(decode, c)), 'deque': _deque, 'iterator': lambda c: iter(decode(c)),
    'keys': lambda c: dict.fromkeys(decode(c)).keys(), 'values': lambda c: dict(enumerate(decode(c))).values(), 'items': lambda c: dict(decode(c)).items(),
    'Decimal': _library('decimal', 'Decimal'), 'Fraction': _library('fractions', 'Fraction'), 'timedelta': _library('datetime', 'timedelta'),
    **{name: _library('datetime', name, 'fromisoformat') for name in ('datetime', 'date', 'time')},
}


# ---------------------------------------------------------------- messages

LENGTH = struct.Struct('>I')
SCAN = json.JSONDecoder().scan_once


def as_bytes(text): return text.encode('utf-8', 'surrogatepass')


def framed(message, dumps=json.encoder.c_make_encoder(None, None, json.encoder.encode_basestring_ascii, None, ': ', ', ', False, False, True), pack=LENGTH.pack):
    "A message as bytes: its length in four bytes, and JSON; or a text as `as_bytes` gives it, which its reader must expect."
    data = message if type(message) is bytes else ''.join(dumps(message, 0)).encode()
    return pack(len(data)) + data


class Channel:
    "Exchange messages over a stream socket. Who asks must not block: the other side may be busy sending answers, and would wait for ever."
    def __init__(self, fd, blocking=False):
        self.fd, self.inbox, self.framed, self.patience = fd, bytearray(), framed, None
        self.parse, self.read, self.write, self.unpack = SCAN, os.read, os.write, LENGTH.unpack
        if not blocking: os.set_blocking(fd, False)  # as a socket is born, otherwise

    def send(self, message, poll=select.poll, reading=select.POLLIN, writing=select.POLLOUT):
        "Send a message, and take in meanwhile what comes: the other side may be busy sending, too."
        data = self.framed(message)
        while data:
            try:
                if (sent := self.write(self.fd, data)) == len(data): return  # mostly
                data = memoryview(data)[sent:]
            except BlockingIOError:
                waiting = poll()
                waiting.register(self.fd, reading | writing)
                if any(event & reading for _, event in waiting.poll()): self._take()
            except (BrokenPipeError, ConnectionResetError): raise EOFError from None

    def receive(self, text=False, poll=select.poll, reading=select.POLLIN):
        "Wait for a message, JSON or a `text`. Raises EOFError when the other side has hung up, `Broken` when it is none, `Late` when nothing comes for `patience` milliseconds."
        while True:
            if len(self.inbox) >= 4:
                size, = self.unpack(self.inbox[:4])
                if size > MAX_MESSAGE: raise Broken(f'a message of {size:,} bytes')
                if len(self.inbox) >= 4 + size:
                    data = self.inbox[4:4 + size]
                    del self.inbox[:4 + size]
                    if text: return data.decode('utf-8', 'surrogatepass')
                    try: message, end = self.parse(said := data.decode(), 0)
                    except (ValueError, StopIteration, RecursionError): raise Broken('a message that is not JSON') from None
                    if end != len(said): raise Broken('a message that is more than JSON')
                    return message
            if not self._take():
                waiting = poll()
                waiting.register(self.fd, reading)
                if not waiting.poll(self.patience): raise Late

    def _take(self):
        try: data = self.read(self.fd, 1 << 16)
        except BlockingIOError: return False
        except ConnectionResetError: raise EOFError from None
        if not data: raise EOFError
        self.inbox += data
        return True
