"""Exceptions, from the candidate's process to the tests': what one side says, and what the other makes of it.

An exception crosses by what it is: the classes that it descends from, its arguments, attributes and message. Where
tests have the class by the same name, theirs or the standard library's, that is what they get; else one is made that
extends the nearest that they have.
"""
import builtins, sys
import kinds
from kinds import Unsupported, number_of, text_of

MAX_CLASSES = 20  # of the classes that an exception descends from
LONGEST_NAME, LONGEST_MESSAGE = 60, 100_000  # characters
MAX_CAUSES = 3  # how far behind an exception others are told of
BEHIND = '__cause__', '__context__'
# attributes that their arguments gave, or that are not among these
SLOTS = '''filename filename2 name path obj errno strerror code value msg encoding object start end reason lineno offset
    text end_lineno end_offset'''.split()
MODULE = 'solution'  # of the candidate's own classes
ENDINGS = StopIteration, StopAsyncIteration  # would end a loop of tests, as if all were said


# ---------------------------------------------------------------- in the candidate's process

def described(error: BaseException, write, causes: int = MAX_CAUSES) -> dict:
    "Reduce an exception to data; `write` encodes a value or raises Unsupported."
    said = dict(classes=classes_of(type(error)), text=message_of(error), vars={})
    try: said['args'] = write(error.args)
    except Unsupported: pass
    slots = [(key, getattr(error, key)) for key in SLOTS if getattr(error, key, None) is not None]
    for key, value in [*vars(error).items(), *slots]:
        if key.startswith('__') and key != '__notes__': continue
        try: said['vars'][key] = write(value)
        except Unsupported: pass
    for key in BEHIND:
        if causes and getattr(error, key) is not None: said[key] = described(getattr(error, key), write, causes - 1)
    return said | dict(suppress=error.__suppress_context__)


SEEN = {}  # classes by their ids: (number, class), which keeps an id from being given again


def classes_of(kind: type) -> list:
    "[module, name, number] of each class that a class descends from, from itself on; two may have one name."
    found = []
    for c in kind.__mro__[:MAX_CLASSES]:
        number, _ = SEEN.setdefault(id(c), (len(SEEN), c))
        found.append([str(c.__module__)[:LONGEST_NAME], str(c.__name__)[:LONGEST_NAME], number])
    return found


def message_of(error: BaseException) -> str | None:
    "The message of an exception; None for one that has none, or one that is too long."
    try: return text if len(text := str(error)) <= LONGEST_MESSAGE else None
    except BaseException: return None


# ---------------------------------------------------------------- where the tests are

class Exceptions:
    "Make exceptions of what is said of the candidate's; raises what comes of reading where that has no sound form."
    def __init__(self, own: dict, text: str, read):
        self.own = own  # names of the context
        self.text = text  # of the tests
        self.read = read  # what decodes
        self.made = {}  # classes
        self.name = ''  # what the class of the last exception is called

    def raised(self, said: dict, causes: int = MAX_CAUSES) -> BaseException:
        "The exception that the candidate's became."
        kind, args = self.class_of(classes := classes_in(said['classes'])), ()
        if 'args' in said: args = tuple(self.read(said['args']))
        else: kind = self.without_arguments(kind)
        if issubclass(kind, ENDINGS) and not self.mentions('StopIteration', 'StopAsyncIteration'): kind = RuntimeError
        try: error = kind(*args) if kind.__module__ == 'builtins' else kind.__new__(kind, *args)
        except Exception: error = kind.__new__(kind)
        if 'args' in said: error.args = args
        for key, value in said['vars'].items():
            if key.startswith('__') and key != '__notes__': raise KeyError
            setattr(error, key, self.read(value))
        if isinstance(error, Carried): error.text_there = said['text'] and text_of(said['text'])
        for key in BEHIND:
            if key in said and causes: setattr(error, key, self.raised(said[key], causes - 1))
        error.__suppress_context__ = said.get('suppress') is True
        self.name = classes[0][1]
        return error

    def without_arguments(self, kind: type) -> type:
        "What stands for an exception whose arguments are no data; so does a group, unless tests look into it."
        if not issubclass(kind, BaseExceptionGroup): return carried(kind.__name__, [kind], Lost)
        if self.mentions('Group', 'except*'): kinds.missing('a group of exceptions')
        return carried(kind.__name__, [Exception if issubclass(kind, Exception) else BaseException], Lost)

    def mentions(self, *words: str) -> bool:
        "Whether the tests' text holds one of these."
        return any(word in self.text for word in words)

    def class_of(self, classes: list) -> type:
        "The class here that stands for the first of these, each of which extends the next."
        (module, name, _), *above = classes
        if kind := self.known(module, name): return kind
        if not above or len(self.made) > 1000: raise ValueError
        if classes[0] not in self.made:
            others = [self.known(module, name) for module, name, _ in above[1:]]
            bases = [self.class_of(above), *filter(None, others)]
            nearest = [a for a in bases if not any(issubclass(b, a) and b is not a for b in bases)]
            self.made[classes[0]] = carried(classes[0][1], nearest)
        return self.made[classes[0]]

    def known(self, module: str, name: str) -> type | None:
        "An exception's class that tests know by the same name: of their own, or the standard library's."
        if module == 'builtins': kind = getattr(builtins, name, None)
        elif module == MODULE: kind = self.own.get(name)
        elif module.split('.')[0] in sys.stdlib_module_names: kind = getattr(sys.modules.get(module), name, None)
        else: return None
        return kind if isinstance(kind, type) and issubclass(kind, BaseException) else None


class Carried:
    "What an exception's class has that stands for one of the candidate's: its message; anything else does not cross."
    def __init__(self, *_, **__): kinds.missing('what makes an exception of a class of its own')

    def __str__(self):
        return kinds.missing('the message of its exception') if self.text_there is None else self.text_there

    def __getattr__(self, key):
        if key.startswith('__'): raise AttributeError(key)
        kinds.missing(f'{key} of its exception')


class Made(type):
    "The class of an exception's class that stands for one of the candidate's: what else that has does not cross."
    def __getattr__(cls, key): return kinds.absent(key, f'{key} of its exception')


class Lost(Carried):
    "An exception whose arguments are no data."
    args = property(lambda self: kinds.missing('an argument of its exception'))


def carried(name: str, bases: list, mine: type = Carried) -> type:
    "A class for one of the candidate's that extends these."
    name = name.encode('ascii', 'replace').decode()
    own = () if any(issubclass(base, mine) for base in bases) else (mine,)
    try: return Made(name, (*own, *bases), {'__module__': MODULE})
    except TypeError: return Made(name, (*own, bases[0]), {'__module__': MODULE})  # classes that cannot be combined


def classes_in(said: list) -> list:
    "Names of classes as an answer gives them, checked."
    if type(said) is not list or not said: raise TypeError
    return [
        (text_of(module)[:LONGEST_NAME], text_of(name)[:LONGEST_NAME], number_of(number))
        for module, name, number in said[:MAX_CLASSES]
    ]
