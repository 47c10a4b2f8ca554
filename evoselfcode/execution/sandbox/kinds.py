"""The kinds of values that cross between candidate and verifier, and what is said of those that do not.

Standard library only, and cheap to fork.
"""
import builtins, collections, keyword, re
from collections import Counter, OrderedDict, defaultdict, deque

MAX_MESSAGE = 64 << 20  # bytes
MAX_ITEMS = 100_000     # of an iterator that tests give to a program
MANY_SHARED = 1000             # things that both sides hold: of more, those that cannot be changed are forgotten
MAX_DEPTH = 200         # deeper nesting is no plain data
LIBRARY = {'decimal': ('Decimal',), 'fractions': ('Fraction',), 'datetime': ('datetime', 'date', 'time', 'timedelta')}
SCALARS = {type(None), bool, float, str, int}
PLAIN = SCALARS - {int, str}  # which stand for themselves whatever they are
KINDS = int, float, str, bool, complex, list, tuple, dict, set, frozenset, bytes, bytearray, type(None)
TYPES = {kind.__name__: kind for kind in KINDS}
FUNCTIONS = 'abs all any ascii bin chr divmod hash hex len max min oct ord pow repr round sorted sum'.split()
# builtins that only compute cross by their names
EXCEPTIONS = [n for n, kind in vars(builtins).items() if isinstance(kind, type) and issubclass(kind, BaseException)]
BUILTINS = {name: getattr(builtins, name) for name in [*FUNCTIONS, *EXCEPTIONS, 'Ellipsis', 'NotImplemented', 'object']}
BY_IDENTITY = {id(thing): name for name, thing in BUILTINS.items()}
LARGE_INT = 1 << 12_000    # integers from here on go in hexadecimal: their decimal text takes quadratic time
LEAST_INT = -LARGE_INT
SURROGATES = re.compile('[\ud800-\udbff][\udc00-\udfff]')  # two halves of a character, which JSON would join
DICTS = {dict: 'dict', OrderedDict: 'OrderedDict', Counter: 'Counter', defaultdict: 'defaultdict'}
ITERATORS = 'builtins', 'itertools'  # whose iterators are what they seem
VIEWS = {type({}.keys()): 'keys', type({}.values()): 'values', type({}.items()): 'items'}
FLAT = 'flat'  # __module__ of what stands for an instance of a class of its own
CHANGEABLE = (list, dict, set, bytearray, deque)


class Unsupported(TypeError):
    "Say that a value is not plain data."
    def __init__(self, words: str, kind: str = ''):
        super().__init__(words)
        self.kind = kind  # name of its type


class Malformed(ValueError):
    "Say that a message does not have the form that this module gives it."


class Iterates(Unsupported):
    "Say that a value is an iterator, which is no data and may be asked for its items."


class Far:
    "Something of the other side's that is no data: no more than its name, by which it is found again there."
    def __init__(self, name: str): object.__setattr__(self, 'name', name)


def far_name(thing: Far) -> str:
    "By which name the other side knows a thing."
    return object.__getattribute__(thing, 'name')


def missing(what: str):
    "What becomes of a use for which a value was not carried across. Who runs tests puts its own way here."
    raise AttributeError(what)


def absent(key: str, what: str):
    "An attribute that is not there; a special one is not there in general."
    if key.startswith('__'): raise AttributeError(key)
    return missing(what)


def as_bytes(text: str) -> bytes: return text.encode('utf-8', 'surrogatepass')


def text_of(content: object) -> str:
    "A text, as it has to be; raises TypeError."
    if type(content) is not str: raise TypeError
    return content


def number_of(content: object) -> int:
    "An integer, as it has to be; raises TypeError."
    if type(content) is not int: raise TypeError
    return content


def is_identifier(name: object) -> bool:
    "Whether a text may name a class or a field: short, public, no keyword."
    sound = type(name) is str and name.isidentifier() and len(name) <= 60
    return sound and name[0] != '_' and not keyword.iskeyword(name)


def moment(kind: type, text: str, fold: int) -> object:
    "A date or time, on the second turn of the clock where it was set back."
    found = kind.fromisoformat(text)
    return found.replace(fold=fold) if fold else found


# ---------------------------------------------------------------- kinds of an instance

def flattened(value: object):
    "How an instance of a subclass becomes the builtin that it extends, by no method of its own; None: it is none."
    if isinstance(value, int): return int.__pos__
    if isinstance(value, float): return float.__pos__
    if isinstance(value, str): return str.__str__
    if isinstance(value, list): return lambda v: [*list.__iter__(v)]
    if isinstance(value, tuple): return lambda v: (*tuple.__iter__(v),)
    if isinstance(value, dict): return lambda v: dict(zip(dict.keys(v), dict.values(v)))
    if isinstance(value, set): return lambda v: {*set.__iter__(v)}
    if isinstance(value, frozenset): return lambda v: frozenset([*frozenset.__iter__(v)])
    if isinstance(value, bytes): return lambda v: bytes.fromhex(bytes.hex(v))
    if isinstance(value, bytearray): return lambda v: bytearray.fromhex(bytearray.hex(v))
    if isinstance(value, complex): return complex.__pos__
    return None


def overridden(kind: type) -> str:
    """A special method of a class of its own by which its instances add, index, can be called...; '' for none.

    A class that says itself what its instances are equal to is not believed in anything."""
    own = {name for c in kind.__mro__ if c.__module__ != 'builtins' for name in vars(c)}
    return '' if own & {'__eq__', '__ne__'} else min((own & USED) - SAID, default='')


SAID = set('''__new__ __init__ __repr__ __str__ __format__ __hash__ __dir__ __reduce__ __reduce_ex__ __missing__
    __bool__ __lt__ __le__ __gt__ __ge__'''.split())
USED = {name for kind in (int, float, str, list, tuple, dict, set, bytes, complex) for name in vars(kind)}
USED |= {'__call__', '__enter__'}
USED -= {'__doc__', '__getattribute__', '__class_getitem__', '__getnewargs__', '__sizeof__', '__getattr__'}


def is_named(kind: type) -> bool:
    "Whether a class is one that `namedtuple` makes, without methods of its own."
    fields = kind.__dict__.get('_fields')
    if type(fields) is not tuple or len(fields) > 100 or not set(kind.__dict__) <= NAMED | {*fields}: return False
    return all(map(is_identifier, [kind.__name__, *fields]))


NAMED = set(collections.namedtuple('Named', '').__dict__)
NAMED |= {'__orig_bases__', '__annotations__', '__annotate_func__', '__getattr__'}


INTEGERS = {f'{sign}int{bits}': (0 if sign else -1 << bits - 1, 1 << (bits if sign else bits - 1))
            for sign in ('', 'u') for bits in (8, 16, 32, 64)}  # from, and below
NUMPY = {*INTEGERS, 'bool', 'float64'}


def numpy_number(value: object, kind: type) -> dict | None:
    "A number of numpy's that has the exactness of one of Python's; None for what is something else."
    name = kind.__name__.rstrip('_')
    return {'numpy': [name, value.item()]} if name in NUMPY else None
