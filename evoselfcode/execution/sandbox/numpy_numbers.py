"""Numbers of numpy's, as tests see them that run where there is no numpy: they behave alike, or say that they cannot.

An integer or a bool of numpy's is no instance of Python's, and a float64 is one of float; so it is here. What has
numpy's own form (its repr), wraps around or makes infinities is not imitated: `kinds.missing` says so.
"""
import numbers, operator
import kinds
from kinds import INTEGERS

COMPARISONS = 'eq ne lt le gt ge'.split()
BINARY = 'add sub mul truediv floordiv mod pow and or xor lshift rshift divmod'.split()
PYTHONS = {'and': operator.and_, 'or': operator.or_, 'divmod': divmod}


def plain(value: object) -> object:
    "A number of Python's that is worth the same."
    return value.value if isinstance(value, Number) else value


class Number:
    "An integer or a bool of numpy's."
    def __init__(self, name: str, value: int | bool): self.name, self.value = name, value
    def __hash__(self): return hash(self.value)
    def __bool__(self): return bool(self.value)
    def __int__(self): return int(self.value)
    def __float__(self): return float(self.value)
    def __complex__(self): return complex(self.value)
    def __str__(self): return str(self.value)
    def __format__(self, how): return format(self.value, how)
    def __repr__(self): return kinds.missing(f'the repr of a {self.name} of numpy')
    def __getattr__(self, key): return kinds.missing(f'{key} of a {self.name} of numpy')
    def item(self): return self.value
    tolist = item


class Integer(Number):
    "An integer of numpy's, with bounds."
    def __index__(self): return self.value
    def __neg__(self): return self.result(-self.value)
    def __pos__(self): return self
    def __abs__(self): return self.result(abs(self.value))
    def __invert__(self): return self.result(~self.value)
    def __round__(self, digits=None): return self.result(round(self.value, digits) if digits else self.value)
    def __trunc__(self): return self.value

    def result(self, value: object) -> object:
        "The result of an operation: within its type's bounds, or numpy would have wrapped around."
        if isinstance(value, tuple): return (*map(self.result, value),)
        if type(value) is not int: return Float(value) if type(value) is float else value
        low, high = INTEGERS[self.name]
        if low <= value < high: return Integer(self.name, value)
        return kinds.missing(f'what a {self.name} of numpy becomes beyond its bounds')


class Bool(Number):
    "A bool of numpy's."
    def __invert__(self): return Bool('bool', not self.value)


class Float(float):
    "A float64 of numpy's: an instance of float there, too."
    def __repr__(self): return kinds.missing('the repr of a float64 of numpy')
    def __str__(self): return float.__repr__(self)
    def item(self): return float(self)
    tolist = item


def checked(work, a: int | float, b: int | float) -> object:
    "An operation of Python's, where numpy's gives the same: that has infinities where Python raises."
    try: value = work(a, b)
    except (ArithmeticError, ValueError): return kinds.missing('what numpy makes of a division by zero, and the like')
    return kinds.missing('what numpy makes of a root of a negative number') if isinstance(value, complex) else value


def _comparison(name: str):
    "A method that compares."
    compare = getattr(operator, name)
    def method(self, other):
        far = isinstance(self, Bool) and isinstance(other, int) and not fits('int64', other)
        return kinds.missing('such a comparison') if far else compare(self.value, plain(other))
    return method


def fits(name: str, value: int) -> bool:
    "Whether a type of numpy's has this integer."
    return INTEGERS[name][0] <= value < INTEGERS[name][1]


def _of_integer(name: str, swapped: bool):
    "An operation on integers of numpy's."
    work, bounded = PYTHONS.get(name) or getattr(operator, name), name in ('pow', 'lshift', 'rshift')
    def method(self, other):
        b = plain(other)
        if name == 'mul' and isinstance(b, (list, tuple, str, bytes)): return b * self.value
        alike = isinstance(b, float) or isinstance(b, int) and fits(self.name, b)
        if not alike or isinstance(other, Number) and other.name != self.name:
            return kinds.missing(f'{name} with such numbers of numpy')
        a, b = (b, self.value) if swapped else (self.value, b)
        if bounded and not 0 <= b < 64: return kinds.missing('such a power, or shift, of numbers of numpy')
        return self.result(checked(work, a, b))
    return method


def _of_bool(name: str, swapped: bool):
    "An operation on bools of numpy's."
    of_integer, logical = _of_integer(name, swapped), PYTHONS.get(name) or getattr(operator, name)
    def method(self, other):
        if (name in LOGICAL) != isinstance(other, (Bool, bool)): return kinds.missing(f'{name} with a bool of numpy')
        if name in LOGICAL: return Bool('bool', logical(self.value, bool(other)))
        return of_integer(Integer('int64', int(self.value)), other)
    return method


def _of_float(name: str, swapped: bool):
    "An operation on floats of numpy's."
    work = PYTHONS.get(name) or getattr(operator, name)
    def method(self, other):
        if not isinstance(other, (int, float)): return getattr(float, method_name)(self, other)
        a, b = float(self), float(other) if isinstance(other, float) else other
        return checked(work, b, a) if swapped else checked(work, a, b)
    method_name = f"__{'r' * swapped}{name}__"
    return method


LOGICAL = 'and', 'or', 'xor'
for name in COMPARISONS: setattr(Number, f'__{name}__', _comparison(name))
for name, swapped in [(name, swapped) for name in BINARY for swapped in (False, True)]:
    setattr(Integer, f"__{'r' * swapped}{name}__", _of_integer(name, swapped))
    setattr(Bool, f"__{'r' * swapped}{name}__", _of_bool(name, swapped))
for name in ('truediv', 'floordiv', 'mod', 'pow', 'divmod'):
    for swapped in (False, True): setattr(Float, f"__{'r' * swapped}{name}__", _of_float(name, swapped))
for name in ('neg', 'pos', 'abs', 'round', 'trunc'):
    setattr(Bool, f'__{name}__', lambda self, *_: kinds.missing('such a use of a bool of numpy'))
numbers.Integral.register(Integer)


def made(name: str, value: int | float | bool) -> Number | Float:
    "The stand-in for a number of numpy's type `name`."
    if name == 'float64' and type(value) is float: return Float(value)
    if name == 'bool' and type(value) is bool: return Bool(name, value)
    if name in INTEGERS and type(value) is int: return Integer(name, value)
    raise ValueError(name)
