"""Read what `codec` wrote: data, and nothing that could act when it is read.

A reader for each tag takes the shelf that the value is read for, and the tag's content; what goes wrong means that the
content has no sound form.
"""
import collections, sys
from collections import Counter, OrderedDict, defaultdict, deque
from functools import lru_cache
from itertools import permutations

if __package__:  # the caller's; beside hostile code all modules of this folder have plain names
    from . import kinds
    from .kinds import BUILTINS, FLAT, NUMPY, TYPES, absent, is_identifier, moment, number_of, text_of
else:
    import kinds
    from kinds import BUILTINS, FLAT, NUMPY, TYPES, absent, is_identifier, moment, number_of, text_of


def fill(found: set, items: list) -> None:
    "Put items into a set, one by one."
    for item in items: found.add(item)  # a loop, which an alarm can end: items may be chosen to collide


def dict_of(keys: list, values: list, made: dict | None = None) -> dict:
    "Put keys and values into a dictionary, one by one."
    found = {} if made is None else made
    for key, value in zip(keys, values, strict=True): found[key] = value
    return found


def set_of(shelf, content: list, kind: type = set) -> set | frozenset:
    "A set whose items come in this order, where one can be made; the shelf notes where not."
    items = shelf.values(content)
    fill(set(), items)  # ends by an alarm where items were chosen to collide
    if not shelf.ordered: return kind(items)
    ways = kind, lambda order: kind(dict.fromkeys(order))  # one by one; and at once, which takes fewer places
    for make in ways if len(items) < 1000 else ways[:1]:
        for order in orders(items):
            if (come := [*(found := make(order))]) == items or len(come) < len(items): return found
            order[:] = come
    shelf.unordered = True
    return kind(items)


def orders(items: list):
    "Orders to put items in, so that they come out in theirs: of two that want one place, the first in has it."
    if len(items) <= 6:
        yield from map(list, permutations(items))
        return
    order = items[:]
    for turn in range(2000 // len(items)):
        yield (come := order[:])
        at = next(i for i, item in enumerate(items) if item is not come[i])  # `come`: as they came out
        first, second = (items[at], come[at]) if turn % 2 else (come[at], items[at])
        order.remove(first)
        order.insert(order.index(second), first)


def _same(shelf, number: int) -> object:
    "What is on the shelf already."
    thing = shelf.things[number_of(number)]
    if thing is UNMADE: raise ValueError
    return thing


UNMADE = object()  # the place of what has a number before it is there: a tuple cannot contain itself


def _later(make):
    "A reader of what cannot be changed: it has its number before its parts have theirs."
    def read(shelf, content):
        number = shelf.count
        shelf.put(UNMADE)
        made = shelf.things[number] = make(shelf, content)
        shelf.numbers[id(made)] = number
        return made
    return read


def _first(kind: type, fill):
    "A reader of what can be changed: it is there before its parts are."
    def read(shelf, content):
        shelf.put(made := kind())
        fill(made, shelf, content)
        return made
    return read


def _dict(made: dict, shelf, content: list) -> None:
    keys, values = content
    dict_of(shelf.values(keys), shelf.values(values), made)


def _counter(made: Counter, shelf, content: list) -> None:
    keys, values = content
    for key, value in zip(shelf.values(keys), shelf.values(values), strict=True): dict.__setitem__(made, key, value)


def _defaultdict(shelf, content: list) -> defaultdict:
    name, keys, values = content
    def refuse(): kinds.missing('the default factory of a defaultdict')
    made = defaultdict(refuse if name == '?' else name and TYPES[name])
    shelf.put(made)
    return dict_of(shelf.values(keys), shelf.values(values), made)


def _deque(shelf, content: list) -> deque:
    items, most = content
    shelf.put(made := deque((), most and number_of(most)))
    made.extend(shelf.values(items))
    return made


def _iterator(shelf, content: list) -> object:
    return iter(shelf.values(content))


def _named(shelf, content: list) -> tuple:
    "A named tuple, of a class that this side wrote, or of one like it."
    name, fields, values, defaults = content
    if not all(map(is_identifier, [name, *fields])) or len(fields) > 100: raise ValueError
    values, kind = shelf.values(values), shelf.named.get((name, tuple(fields))) or named_class(name, tuple(fields))
    defaults = shelf.decode(defaults)
    return (type(name, (kind,), dict(__slots__=(), _field_defaults=defaults)) if defaults else kind)._make(values)


@lru_cache(100)
def named_class(name: str, fields: tuple) -> type:
    "A class of named tuples by these names; candidates of a problem come with the same."
    kind = collections.namedtuple(name, fields)
    kind.__getattr__ = lambda self, key: absent(key, f'{key} of {name}')
    return kind


def _flat(shelf, content: list) -> object:
    "An instance of a class of its own: equal to the builtin that it extends; what else its class says does not cross."
    name, written = content
    number = shelf.count
    value = shelf.decode(written)
    made = flat_class(text_of(name).encode('ascii', 'replace').decode()[:60], type(value))(value)
    if shelf.things.get(number) is value:
        del shelf.numbers[id(value)]
        shelf.things[number], shelf.numbers[id(made)] = made, number
    return made


@lru_cache(100)
def flat_class(name: str, base: type) -> type:
    "A class that extends a builtin, and says what of its own does not cross."
    if base not in (int, float, str, bytes, complex, list, tuple, dict, set, frozenset, bytearray): raise TypeError
    def refusing(key): return lambda self, *_: kinds.missing(f'{key} of {name}')
    space = {key: refusing(key) for key in ('__repr__', '__str__', '__format__')}
    space['__module__'] = FLAT
    space['__getattr__'] = lambda self, key: absent(key, f'{key} of {name}')
    if base is dict: space['__missing__'] = lambda self, key: kinds.missing(f'a missing key of {name}')
    return type(name, (base,), space)


def _moment(name: str):
    "A reader of dates or times."
    def read(shelf, content):
        text, fold = content
        return moment(getattr(__import__('datetime'), name), text_of(text), number_of(fold))
    return read


def _library(module: str, name: str):
    "A reader of numbers and spans of time of the standard library."
    def read(shelf, content):
        made = getattr(__import__(module), name)
        return made(*map(shelf.decode, content)) if type(content) is list else made(text_of(content))
    return read


def _numpy(shelf, content: list) -> object:
    "A number of numpy's: its own where numpy is loaded, else what stands for one."
    name, value = content
    if name not in NUMPY: raise ValueError
    if numpy := sys.modules.get('numpy'): return getattr(numpy, {'bool': 'bool_'}.get(name, name))(value)
    import numpy_numbers  # only where one comes
    return numpy_numbers.made(name, value)


def _far(shelf, name: str) -> object:
    "What a name of the other side's stands for."
    if shelf.far is None: raise ValueError
    thing = shelf.far(text_of(name))
    shelf.fars[id(thing)] = name, thing
    return thing


READERS = {
    'same': _same, 'far': _far, 'numpy': _numpy, 'flat': _flat,
    'builtin': lambda shelf, c: BUILTINS[c],
    'type': lambda shelf, c: TYPES[c], 'int': lambda shelf, c: int(text_of(c), 16),
    'text': lambda shelf, c: bytes.fromhex(text_of(c)).decode('utf-8', 'surrogatepass'),
    'tuple': _later(lambda shelf, c: tuple(shelf.values(c))), 'named': _later(_named),
    'set': _later(set_of), 'frozenset': _later(lambda shelf, c: set_of(shelf, c, frozenset)),
    'dict': _first(dict, _dict), 'OrderedDict': _first(OrderedDict, _dict), 'Counter': _first(Counter, _counter),
    'defaultdict': _defaultdict, 'deque': _deque, 'iterator': _iterator,
    'bytearray': _first(bytearray, lambda made, shelf, c: made.extend(bytes.fromhex(text_of(c)))),
    'bytes': lambda shelf, c: bytes.fromhex(text_of(c)), 'complex': lambda shelf, c: complex(*map(shelf.decode, c)),
    'range': lambda shelf, c: range(*map(shelf.decode, c)),
    'keys': lambda shelf, c: dict.fromkeys(shelf.values(c)).keys(),
    'values': lambda shelf, c: dict(enumerate(shelf.values(c))).values(),
    'items': lambda shelf, c: dict(shelf.values(c)).items(),
    'Decimal': _library('decimal', 'Decimal'), 'Fraction': _library('fractions', 'Fraction'),
    'timedelta': _library('datetime', 'timedelta'),
    **{name: _moment(name) for name in ('datetime', 'date', 'time')},
}
