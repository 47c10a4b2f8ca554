"""What crosses between candidate and verifier: data written as JSON, and nothing that could act when it is read.

Plain values stand for themselves; every other value is an object with one key, its tag. Instances of subclasses are
written as the builtin they extend, so that no method of the candidate's ever runs in the verifier.

A shelf on either side holds what can be changed, under numbers that both sides give in the same order. So a list that
crosses twice stays one list, a result can be an argument, and what one side changes, the other changes in place.
Standard library only, and cheap to fork.
"""
import marshal, sys
from collections import Counter, OrderedDict, defaultdict, deque
from itertools import islice

if __package__:  # the caller's; beside hostile code all modules of this folder have plain names
    from .kinds import (
        BY_IDENTITY, CHANGEABLE, DICTS, ITERATORS, LARGE_INT, LEAST_INT, LIBRARY, MANY_SHARED, MAX_DEPTH, MAX_MESSAGE,
        PLAIN, SCALARS, SURROGATES, TYPES, VIEWS, Far, Iterates, Malformed, Unsupported, as_bytes, far_name, flattened,
        is_named, moment, number_of, numpy_number, overridden, text_of,
    )
    from .reading import READERS, dict_of, fill
else:
    from kinds import (
        BY_IDENTITY, CHANGEABLE, DICTS, ITERATORS, LARGE_INT, LEAST_INT, LIBRARY, MANY_SHARED, MAX_DEPTH, MAX_MESSAGE,
        PLAIN, SCALARS, SURROGATES, TYPES, VIEWS, Far, Iterates, Malformed, Unsupported, as_bytes, far_name, flattened,
        is_named, moment, number_of, numpy_number, overridden, text_of,
    )
    from reading import READERS, dict_of, fill


class Shelf:
    "What this side and the other know by the same numbers; writes and reads values that mention it."

    def __init__(self, strict: bool = False, far=None, most: int = 0, in_order: bool = False, ordered: bool = True):
        self.things = {}  # by their numbers
        self.numbers = {}  # by the ids of the things
        self.agreed = {}  # what the changeable things hold, as the other side knows it
        self.count = 0
        self.strict = strict  # an instance of a subclass is no plain data: its methods would be missed
        self.far, self.fars = far, {}  # finds what a name stands for; what was found, to be written by its name again
        self.most = most  # items of an iterator that are written, and not more; 0: an iterator is no data
        self.nans = False  # whether a container with a nan crossed: equal to itself only while it is the same
        self.named = {}  # classes of named tuples that were written: what comes back is one again
        self.unordered = False  # whether a set was read whose order could not be made
        self.ordered = ordered  # sets that are read shall have their items in the order that is written
        self.in_order = in_order  # sets are written in an order that is the same in every process, not in their own

    def put(self, thing: object) -> None:
        "Give a thing the next number."
        self.things[self.count] = thing
        self.numbers[id(thing)] = self.count
        self.count += 1

    def whole(self, value: object) -> object:
        "`encode`, which gives no numbers away where it fails."
        return self.undone(self.encode, value)

    def undone(self, work, *given: object) -> object:
        "Do what gives numbers away; take them back where it fails."
        before = self.count
        try: return work(*given)
        except BaseException:
            for number in range(before, self.count): self.numbers.pop(id(self.things.pop(number)), None)
            self.count = before
            raise

    def encode(self, value: object, depth: int = MAX_DEPTH) -> object:
        "Turn a value into what JSON can hold."
        kind = type(value)
        if kind in PLAIN: return value
        if kind is int: return value if LEAST_INT < value < LARGE_INT else {'int': hex(value)}
        if kind is str:
            halved = not value.isascii() and SURROGATES.search(value)
            return {'text': as_bytes(value).hex()} if halved else value
        if (number := self.numbers.get(id(value))) is not None: return {'same': number}
        if not depth: raise Unsupported(f'data nested deeper than {MAX_DEPTH}')
        if kind is list:
            self.put(value)
            return self.items(value, depth)
        if kind is tuple:
            self.put(value)
            return {'tuple': self.items(value, depth)}
        if kind is dict:
            self.put(value)
            return {'dict': self.content(value, depth)}
        return self.encode_other(value, kind, depth)

    def items(self, values: list | tuple, depth: int = MAX_DEPTH) -> list:
        "The items of a list or tuple; most are alike, and stand for themselves."
        kinds = set(map(type, values))
        if float in kinds and holds_nan(values): self.nans = True
        if kinds <= PLAIN or kinds == {int} and LEAST_INT < min(values) and max(values) < LARGE_INT: return list(values)
        if kinds == {str} and all(map(str.isascii, values)): return list(values)
        return [self.encode(value, depth - 1) for value in values]

    def encode_other(self, value: object, kind: type, depth: int) -> object:
        "Write what is neither a scalar nor a plain list, tuple or dict."
        if isinstance(value, Far): return {'far': far_name(value)}
        if id(value) in self.fars: return {'far': self.fars[id(value)][0]}
        if kind.__module__ == 'numpy' and (found := numpy_number(value, kind)): return found
        if kind.__module__ == 'numpy_numbers': return self.encode(value.item())
        if kind is range: return {'range': [self.encode(n) for n in (value.start, value.stop, value.step)]}
        if kind is bytes: return {'bytes': value.hex()}
        if kind is complex: return {'complex': [value.real, value.imag]}
        if kind is type and value in TYPES.values(): return {'type': value.__name__}
        if id(value) in BY_IDENTITY: return {'builtin': BY_IDENTITY[id(value)]}
        if kind in VIEWS: return {VIEWS[kind]: [self.encode(item, depth - 1) for item in value]}
        if kind.__name__ in LIBRARY.get(kind.__module__, ()): return self.encode_library(value, kind.__name__)
        if kind in DICTS or kind in (set, frozenset, bytearray, deque):
            self.put(value)
            if kind is defaultdict: return {'defaultdict': [self.factory_name(value), *self.content(value, depth)]}
            if kind is deque: return {'deque': [self.content(value, depth), value.maxlen]}
            return {DICTS.get(kind, kind.__name__): self.content(value, depth)}
        if isinstance(value, tuple) and kind.__bases__ == (tuple,) and is_named(kind):
            self.put(value)
            self.named[kind.__name__, kind._fields] = kind
            items = [self.encode(item, depth - 1) for item in value]
            defaults = self.encode(dict(kind._field_defaults), depth - 1)
            return {'named': [kind.__name__, list(kind._fields), items, defaults]}
        if flat := flattened(value):
            if own := overridden(kind):
                raise Unsupported(f"an instance of {kind.__name__[:60]}, which has its own {own}", kind.__name__[:60])
            if self.strict: raise Unsupported(f'an instance of a class of its own, {kind.__name__[:60]}', kind.__name__)
            return self.encode_flat(value, flat(value), depth)
        if hasattr(kind, '__next__') and kind.__module__ in ITERATORS: return self.encode_iterator(value, depth)
        raise Unsupported(f'a value of type {str(kind.__name__)[:60]} is not plain data', str(kind.__name__)[:60])

    def encode_flat(self, value: object, flat: object, depth: int) -> object:
        "Write an instance of a subclass as the builtin that it extends; the number is the instance's own."
        number = self.count
        written = self.encode(flat, depth)
        if self.things.get(number) is flat:
            del self.numbers[id(flat)]
            self.things[number], self.numbers[id(value)] = value, number
        return {'flat': [type(value).__name__[:60], written]} if self.far else written

    def factory_name(self, value: defaultdict) -> str | None:
        "A defaultdict's factory: the name of a type, None, or `?` for one that does not cross."
        factory = value.default_factory
        if factory is None or type(factory) is type and factory in TYPES.values(): return factory and factory.__name__
        if self.strict: raise Unsupported('a defaultdict with a default factory of its own')
        return '?'

    def encode_library(self, value: object, name: str) -> dict:
        "Write a number or a moment of the standard library."
        if name == 'Fraction': return {name: [self.encode(value.numerator), self.encode(value.denominator)]}
        if name == 'timedelta': return {name: [value.days, value.seconds, value.microseconds]}
        if name == 'Decimal': return {name: str(value)}
        said = [value.isoformat(), getattr(value, 'fold', 0)]
        if repr(moment(type(value), *said)) == repr(value): return {name: said}
        raise Unsupported(f'a {name} with a name for its time zone', name)

    def encode_iterator(self, value: object, depth: int) -> dict:
        "Write out an iterator, which is then through; whoever reads it has one of its own."
        if not self.most: raise Iterates('an iterator is not plain data', type(value).__name__)
        return {'iterator': [self.encode(item, depth - 1) for item in islice(value, self.most)]}

    def content(self, thing: object, depth: int = MAX_DEPTH) -> str | list:
        "What a changeable thing holds now, in its own order."
        if isinstance(thing, bytearray): return bytearray.hex(thing)
        if isinstance(thing, dict):
            keys = keys_of(thing)
            return [self.items(part, depth) for part in (keys, [dict.__getitem__(thing, key) for key in keys])]
        items = self.items(own_items(thing), depth)
        return sorted(items, key=repr) if self.in_order and isinstance(thing, (set, frozenset)) else items

    def decode(self, value: object) -> object:
        "Turn what `encode` made back into a value; `Malformed` for anything else."
        kind = type(value)
        if kind in SCALARS: return value
        if kind is list:
            self.put(made := [])
            made += self.values(value)
            return made
        try:
            (tag, content), = value.items()
            return READERS[tag](self, content)
        except (KeyError, TypeError, ValueError, ArithmeticError, AttributeError, IndexError):
            raise Malformed(f'no such value: {str(value)[:80]}') from None

    def values(self, items: list) -> list:
        "Items, decoded; a loop, which an alarm can end."
        if type(items) is not list: raise TypeError
        kinds = set(map(type, items))
        if float in kinds and holds_nan(items): self.nans = True
        return items if kinds <= SCALARS else [self.decode(item) for item in items]

    # ------------------------------------------------------------ what both sides hold

    def agree(self) -> None:
        "Note what the changeable things hold, as the other side knows it, too."
        changeable = [(number, thing) for number, thing in self.things.items() if isinstance(thing, CHANGEABLE)]
        self.agreed = {number: stamp(self.content(thing)) for number, thing in changeable}

    def changes(self) -> list:
        "What changed since: [number, content] each."
        return self.undone(self.changed)

    def changed(self) -> list:
        "What `changes` finds, which may give numbers away."
        found = []
        for number, before in self.agreed.items():
            content = self.content(self.things[number])
            if stamp(content) != before: found.append([number, content])
        return found

    def change(self, changes: list | tuple) -> None:
        "Change things in place, as the other side did."
        read = []
        for number, content in changes:
            thing = self.things[number]
            if isinstance(thing, bytearray): new = bytearray.fromhex(text_of(content))
            elif isinstance(thing, dict): new = dict_of(*map(self.values, content))
            elif isinstance(thing, CHANGEABLE): new = self.values(content)
            else: raise TypeError
            read.append((thing, new))
        for thing, new in read:  # all are read before any is changed
            if isinstance(thing, (list, bytearray)): thing[:] = new
            else:
                thing.clear()
                if isinstance(thing, deque): thing.extend(new)
                elif isinstance(thing, dict): dict_of(new, new.values(), thing)
                else:
                    fill(thing, new)
                    if self.ordered and [*thing] != new: self.unordered = True

    def held(self) -> list:
        "Numbers of the changeable things that somebody here still holds, other than this shelf and what lies on it."
        if not self.things: return []
        inside = Counter()
        for thing in self.things.values(): inside.update(map(id, parts_of(thing)))
        thing = None
        counts = references(self.things)
        mine = [n for n, thing in self.things.items() if counts[n] - inside[id(thing)] > ALONE]
        return self.reached(mine) if mine else mine

    def reached(self, numbers: list) -> list:
        "These, and all on the shelf that they lead to."
        found, waiting = set(), [*numbers]
        while waiting:
            if (number := waiting.pop()) in found: continue
            found.add(number)
            waiting += [self.numbers[id(part)] for part in parts_of(self.things[number]) if id(part) in self.numbers]
        if len(found) > MANY_SHARED: found = {number for number in found if isinstance(self.things[number], CHANGEABLE)}
        return sorted(found)

    def forget(self, numbers: list | set) -> None:
        "Let go of the things with these numbers."
        for number in numbers:
            self.numbers.pop(id(self.things.pop(number)), None)
            self.agreed.pop(number, None)

    def keep(self, numbers: list | tuple | set) -> None:
        "Forget all but these."
        self.things = {number: self.things[number] for number in set(map(number_of, numbers))}
        self.numbers = {id(thing): number for number, thing in self.things.items()}


HOLDERS = (list, tuple, set, frozenset, deque)


def stamp(content: object) -> bytes:
    "Content as bytes that are equal only for equal content of equal types."
    return marshal.dumps(content, 2)  # tells True from 1, which are equal


def holds_nan(values: list | tuple) -> bool: return any(type(value) is float and value != value for value in values)


def keys_of(thing: dict) -> list: return [*(OrderedDict if isinstance(thing, OrderedDict) else dict).__iter__(thing)]


def own_items(thing: object) -> list:
    "What a container holds, whatever its class says of that."
    return [*next(kind for kind in HOLDERS if isinstance(thing, kind)).__iter__(thing)]


def parts_of(thing: object) -> list | tuple | set:
    "What a container holds that may be a container, too."
    if isinstance(thing, dict): thing = [*dict.keys(thing), *dict.values(thing)]  # in any order
    elif not isinstance(thing, HOLDERS): return ()
    elif type(thing) not in HOLDERS: thing = own_items(thing)
    return () if SCALARS.issuperset(map(type, thing)) else thing


def references(things: dict) -> dict: return {number: sys.getrefcount(thing) for number, thing in things.items()}


ALONE = references({0: []})[0]  # of a thing that nobody else holds


def encode(value: object) -> object:
    "Turn plain data into what JSON can hold, the same text in every process; raises `Unsupported` for other values."
    return Shelf(in_order=True).encode(value)


def decode(value: object) -> object:
    "Turn back what `encode` wrote; raises `Malformed` for anything else."
    return Shelf(ordered=False).decode(value)
