"""What tests see of the candidate: functions, each call of which is a question to its process, and the answer data.

One question is asked at a time, and what is expected is worked out where Python would do so: so tests notice what they
would notice with the program beside them, and the program learns nothing that a caller would not tell it.
"""
import builtins, os, sys, threading, time
from types import GeneratorType
import kinds
from channel import Channel, Late, TooLarge
from child import NEXT_ITEM
from codec import Shelf
from exceptions import Exceptions, classes_in
from harmless import HARMLESS_MODULES, PARTLY_HARMLESS, looked_at
from kinds import LARGE_INT, MAX_ITEMS, SCALARS, LEAST_INT, Malformed, Far, Unsupported, far_name, number_of, text_of

TAMPERED = 'it tampered with its answers'
# from no sound answer
FORGED = (Malformed, RecursionError, KeyError, TypeError, ValueError, IndexError, AttributeError)
TICKET = 8  # random bytes that an answer repeats: it was not given before its question
NOTHING_TOLD = {}
MOST_SHARED = 5000  # things that both sides hold, each looked at with each question
HARNESS_IMPORT = 'from harnesses.'  # how a text begins that is ours


class Interrupted(BaseException):
    "End the tests, past whatever they catch; the outcome says why."


# ---------------------------------------------------------------- what tests see of the candidate

SPECIAL = '''abs add aenter aexit aiter and anext await bool bytes ceil complex contains delattr delete delitem divmod
    enter eq exit float floor floordiv format fspath ge get getitem gt hash iadd iand ifloordiv ilshift imatmul
    imod imul index instancecheck int invert ior ipow irshift isub iter itruediv ixor le len length_hint lshift
    lt matmul mod mro_entries mul ne neg next or pos pow prepare radd rand rdivmod repr reversed rfloordiv
    rlshift rmatmul rmod rmul ror round rpow rrshift rshift rsub rtruediv rxor set setattr setitem str sub
    subclasscheck truediv trunc xor'''.split()


inside = object.__getattribute__  # past what an Opaque refuses


class Asked(Far):
    "Something of the candidate's that stays there, and whom to ask about it."
    def __init__(self, questions, name: str, what: str, callable: bool = False, kind: str = ''):
        super().__init__(name)
        for key, value in dict(questions=questions, what=what, callable=callable, kind=kind).items():
            object.__setattr__(self, key, value)


class Opaque(Asked):
    "Something of the candidate's that tests may call, and pass on to its functions; any other use ends them."
    def __getattribute__(self, key):
        if key == '__name__' and sys._getframe(1).f_globals is not inside(self, 'questions').space:
            return far_name(self)  # a library names it
        refuse(self)

    def __call__(self, /, *args, **kwargs): return inside(self, 'questions').ask(far_name(self), args, kwargs)


def refuse(thing: Asked, *_):
    "End the tests: a use that does not cross."
    inside(thing, 'questions').fail('unsupported', inside(thing, 'what'))


for name in SPECIAL: setattr(Opaque, f'__{name}__', refuse)


class Match(Opaque):
    "A match of a regular expression: no data, and true."
    def __bool__(self): return True


EMPTY = [], (), {}, set(), '', b'', range(0)
ITERATORS = map, filter, zip, enumerate, reversed, GeneratorType, *map(type, map(iter, EMPTY))
ITERATORS = {kind.__name__: kind for kind in ITERATORS}


class Items(Asked):
    "An iterator of the candidate's, asked for its items as they are wanted; what else it could do does not cross."
    def __getattribute__(self, key):
        if key == '__class__' and inside(self, 'kind') in ITERATORS: return ITERATORS[inside(self, 'kind')]
        refuse(self)

    def __iter__(self): return self

    def __next__(self):
        item, = said = inside(self, 'questions').ask(NEXT_ITEM, (self,), {})
        if type(said) is list: return item
        raise StopIteration if item is None else StopIteration(item)


class HarnessFunction:
    "A function of the candidate for our own harnesses, which do more with it than tests may."
    def __init__(self, questions, name: str): self.questions, self.__name__ = questions, name
    def __call__(self, *args): return self.questions.ask(self.__name__, args, {})

    def each(self, calls: list, seconds: float | None = None):
        "The answers to calls, each a list of arguments that nobody else sees; `seconds`: how long one may take."
        return self.questions.each(self.__name__, calls, seconds)


class Names(dict):
    "The builtins of tests; what neither they nor Python know by a name may be the program's."
    def __init__(self, find):
        super().__init__(vars(builtins), exit=leave, quit=leave, **LOOK_BUILTINS)
        self.find = find

    def __missing__(self, name):
        if name.startswith('__'): raise KeyError(name)
        return self.find(name)


def leave(code: object = None) -> None:
    "`exit` and `quit`, to tests."
    raise SystemExit(code)


def look(work):
    "A builtin that looks at a thing past its class's methods, for which a stand-in would pass as itself."
    def looking(thing, /): return refuse(thing) if type(thing) in STAND_INS else work(thing)
    return looking


def is_callable(thing: object, /) -> bool:
    "`callable`, to tests."
    if type(thing) not in STAND_INS: return callable(thing)
    return inside(thing, 'callable') or refuse(thing)


STAND_INS = Opaque, Match, Items


class Looking(type):
    "The class of what tests have as `type`: that which Python has, but for a stand-in."
    def __call__(cls, *args, **kwargs):
        if len(args) == 1 and type(args[0]) in STAND_INS: refuse(args[0])
        return type(*args, **kwargs)

    def __instancecheck__(cls, thing): return isinstance(thing, type)
    def __subclasscheck__(cls, kind): return issubclass(kind, type)
    def __eq__(cls, other): return other is type or other is Type
    def __hash__(cls): return hash(type)


class Type(type, metaclass=Looking): "`type`, to tests."


# what tests call or hand on as `type`, `id` and `callable`
LOOK_BUILTINS = dict(__type__=Type, __id__=look(id), __callable__=is_callable)


# ---------------------------------------------------------------- questions and answers

class Questions:
    "Put questions to the candidate; remember for good when something went wrong, whatever the tests make of that."
    def __init__(self, channel: Channel, job: dict):
        self.channel, self.job = channel, job
        self.wrong = None  # the status and detail that stand for good
        self.error = None  # the last exception that was the candidate's
        self.late = None  # seconds that the call had which took too long
        self.doubtful = ''  # what an exception may come from, though the program is right
        self.room = job['output']  # characters of output that may still be kept
        self.output = []
        self.streams = sys.stdin, sys.stdout, sys.stderr
        self.shelf = Shelf(strict=True, far=self.meant)
        self.lock = threading.RLock()
        self.space = {'__name__': 'tests', '__builtins__': Names(self.found)}
        self.results = {}  # what stands for results that are no data, by the names that the candidate gave
        self.names = {}  # what stands for names of the program
        self.own = {}  # names of the context
        self.unordered = False  # whether the order of a set did not cross
        self.shadowed = ()  # names of Python's that the program gives another meaning
        self.writing = False  # whether arguments are being written, which may run an iterator of the tests
        self.ahead = NOTHING_TOLD  # what a name stands for, told with the program; true until something is asked
        self.exceptions = Exceptions(self.own, job['context'] + job['tests'], self.shelf.decode)
        kinds.missing = lambda what: self.fail('unsupported', f'{what} does not cross')

    def loaded(self) -> None:
        "Wait until the program is loaded; raises the exception that ended it."
        self.understood(said := self.received())
        if type(said) is dict:
            self.ahead = {self.job['entry']: said.get('loaded')}
            self.shadowed = said.get('shadowed', ())

    def fail(self, status: str, detail: str = ''):
        "End the tests with this outcome, once and for all: what they catch must not count."
        if not self.wrong: self.wrong = (status, detail)
        raise Interrupted

    def ask(self, name: str, args: list | tuple, kwargs: dict) -> object:
        "Call a function of the candidate."
        with self.lock:  # tests may have threads
            if self.writing: self.fail('unsupported', 'the tests give it an iterator that calls it')
            if kwargs or self.shelf.things or not are_scalars(args): return self.ask_fully(name, args, kwargs)
            return self.understood(self.exchange(name, args), args)

    def ask_fully(
        self, name: str, args: list | tuple, kwargs: dict, back: bool = True, until: float | None = None,
    ) -> object:
        "A call whose arguments, or what both know already, can be changed; `back`: whether anybody would see it."
        shelf, order = self.shelf, dict(do='call', name=name, back=back)
        shelf.most = MAX_ITEMS
        try:
            if any(map(goes_on, args, references(args))): raise Unsupported('an iterator that they go on with')
            shelf.forget(forgotten := set(shelf.things).difference(shelf.held()))
            if changed := shelf.changes(): order['changed'] = changed
            if forgotten: order['forgotten'] = [*forgotten]
            self.writing = True
            order['args'] = [shelf.encode(value) for value in args]
            order['kwargs'] = {key: shelf.encode(value) for key, value in kwargs.items()}
            self.writing = False
            if any(iterates(value) and id(value) not in shelf.fars and next(value, self) is not self for value in args):
                raise Unsupported('an iterator that does not end')
            if len(shelf.things) > MOST_SHARED: raise Unsupported('more than can be followed of what both sides hold')
        except Unsupported as error: self.fail('unsupported', f'the tests give it more than data: {error}')
        except Exception as error:
            self.fail('unsupported', f'the tests give it an iterator that raises {type(error).__name__}')
        return self.understood(self.exchange(order, until=until), args)

    def each(self, name: str, calls: list, seconds: float | None = None):
        for args in calls:
            until = seconds and time.monotonic() + seconds
            try:
                simple = not self.shelf.things and are_scalars(args)
                if simple: yield self.understood(self.exchange(name, args, until=until), args)
                else: yield self.ask_fully(name, args, {}, back=False, until=until)
            except Late:
                self.late = seconds
                self.fail('timeout', f'no answer within {seconds:g} s')

    def exchange(self, *asked: object, until: float | None = None) -> object:
        "Put one question; its answer."
        if self.wrong: raise Interrupted
        if sys.stdin is not self.streams[0]: self.fail('unsupported', 'the tests give it an input')
        self.ahead, ticket = NOTHING_TOLD, os.urandom(TICKET).hex()
        try: self.channel.send([ticket, *asked])
        except EOFError: self.fail('gone')
        except TooLarge as error: self.fail('unsupported', f'the tests give it more than can cross: {error}')
        said = self.received(until)
        if type(said) is list and len(said) == 2 and said[0] == ticket: return said[1]
        self.fail('failed', f'{TAMPERED}: not the answer to the question')

    def received(self, until: float | None = None) -> object:
        "Wait for an answer; end the tests where there is none."
        try: return self.channel.receive(until=until)
        except EOFError: self.fail('gone')
        except MemoryError: self.fail('unsupported', 'its answer is too large to be read')
        except (Malformed, RecursionError) as error: self.fail('failed', f'{TAMPERED}: {error}')

    def understood(self, said: object, args: list | tuple = ()) -> object:
        "What an answer says: a value, which mostly stands for itself; raises the exception that it is."
        if type(said) in SCALARS:
            if said != said: self.shelf.nans = True
            return said
        try:
            value, error = None, None
            if 'argument' in said: value = args[number_of(said['argument'])]
            elif 'result' in said: value = self.shelf.decode(said['result'])
            elif 'error' in said: error = self.exceptions.raised(said['error'])
            elif 'kept' in said: value = self.kept(said)
            elif 'unsupported' in said: self.fail('unsupported', f"its result: {short(said['unsupported'])}")
            elif said.keys().isdisjoint(('loaded', 'ended', 'slow')): raise KeyError
            self.shelf.change(said.get('changed', ()))
            if 'lost' in said and self.shelf.held(): self.fail('unsupported', f"its arguments: {short(said['lost'])}")
            if 'threads' in said: self.fail('unsupported', 'its threads may change what the tests hold')
            self.shelf.keep(said.get('held', ()))
            self.shelf.agree()
            if 'printed' in said: self.hear(said['printed'])
            if 'unordered' in said or self.shelf.unordered: self.unordered = True
        except MemoryError: self.fail('unsupported', 'its answer is too large to be read')
        except FORGED: self.fail('failed', f'{TAMPERED}: not an answer to the question')
        if error is not None:
            self.error = error
            raise error
        return value

    def kept(self, said: dict) -> object:
        "What stands for a result that is no data; the same for the same one."
        if (name := text_of(said['kept'])) in self.results: return self.results[name]
        if 'why' not in said: return self.meant(name)
        if len(name) > 60: raise ValueError
        why, how = f"its result: {short(said['why'])}", said['how']
        kind = dict(true=Match, iterator=Items).get(how, Opaque)
        thing = kind(self, name, why, how == 'callable', short(said['kind']))
        self.doubtful = self.doubtful or why
        self.results[name], self.shelf.fars[id(thing)] = thing, (name, thing)
        return thing

    def meant(self, name: str) -> object:
        "What the tests have by a name that stands for something of the candidate's."
        return self.results[name] if name in self.results else self.names[name]

    def hear(self, printed: list) -> None:
        "Take down what the program printed, and print it here where the tests listen."
        for name, text in printed:
            _, out, err = self.streams
            listening = dict(stdout=sys.stdout is not out and sys.stdout, stderr=sys.stderr is not err and sys.stderr)
            if name == 'cut' and any(listening.values()): self.fail('unsupported', 'it prints more than is kept')
            if stream := listening.get(name): stream.write(text_of(text))
            self.output.append(text_of(text)[:self.room])
            self.room -= len(self.output[-1])

    # ------------------------------------------------------------ names

    def over(self) -> None:
        "Ask nobody any more, whatever is left of the tests, and let go of all that they made."
        self.wrong = self.wrong or ('failed', 'it is over')
        for held in self.space, self.own, self.names, self.results, self.shelf.fars: held.clear()
        self.shelf.keep(())

    def found(self, name: str) -> object:
        "What a name of the program's is to the tests, which themselves have none like it."
        with self.lock: said = self.ahead[name] if name in self.ahead else self.exchange(dict(do='kind', name=name))
        try:
            if said is None: raise LookupError
            if said == 'function': thing = self.function(name)
            elif said == 'data': thing = self.data(name)
            elif 'known' in said: thing = self.meant(text_of(said['known']))
            elif 'exception' in said: thing = self.exceptions.class_of(classes_in(said['exception']))
            else: thing = self.module(name, text_of(said['module']))
        except LookupError: raise KeyError(name) from None  # as a dictionary would say
        except FORGED: self.fail('failed', f'{TAMPERED}: not an answer to the question')
        self.space[name] = self.names[name] = thing
        return thing

    def enter(self, name: str) -> None:
        "Make the function that the tests are about known to them, whatever Python or the context has by that name."
        try: self.found(name)
        except KeyError:
            self.space.pop(name, None)
            if hasattr(builtins, name): self.space[name] = self.function(name)  # will say that it is not defined

    def function(self, name: str) -> object:
        "What stands for a function of the program."
        if is_ours(self.job): return HarnessFunction(self, name)
        return Opaque(self, name, f'the tests use {name} of the program other than by calling it', callable=True)

    def data(self, name: str) -> Opaque:
        "Data of the program: it may change, so that no copy would do; tests that call it are told by Python."
        why = f'the tests use {name} of the program, which is no function'
        if name in looked_at(self.job['context'] + self.job['tests']): self.fail('unsupported', why)
        self.doubtful = self.doubtful or why
        return Opaque(self, name, why)

    def module(self, name: str, real: str) -> object:
        "A module that the program imports is to tests what it is to those that import it: of some, a part."
        if real in PARTLY_HARMLESS: return Part(self, name, real)
        if real not in HARMLESS_MODULES: self.fail('unsupported', f'the tests use {name}, a module of the program')
        return __import__(real, fromlist=['_'])


class Part:
    "A module of which tests may use a part."
    def __init__(self, questions: Questions, name: str, real: str):
        vars(self).update({key: getattr(__import__(real), key) for key in PARTLY_HARMLESS[real]})
        vars(self)['refuse'] = lambda: questions.fail('unsupported', f'the tests use {name}, a module of the program')

    def __getattr__(self, key): vars(self)['refuse']()
    def __setattr__(self, key, value): vars(self)['refuse']()


class _Probe:
    def __call__(self, *args): return references(args)


def references(values: list | tuple) -> list:
    "How many hold each of these."
    return [sys.getrefcount(value) for value in values]


PASSED_ON, = _Probe()(iter(()))  # references to an argument that nobody else holds


def goes_on(value: object, held: int) -> bool:
    "Whether a value is an iterator that somebody else holds, too."
    return held > PASSED_ON and iterates(value)


def iterates(value: object) -> bool:
    "Whether a value is an iterator, and no stand-in."
    return hasattr(type(value), '__next__') and type(value) not in STAND_INS


def is_ours(job: dict) -> bool:
    "Whether the tests of a job are a harness of ours."
    return job['context'].startswith(HARNESS_IMPORT) or job['tests'].startswith(HARNESS_IMPORT)


def short(text: object) -> str: return text_of(text)[:200]


def are_scalars(values: list | tuple) -> bool:
    "Whether values cross as they are."
    for value in values:
        kind = type(value)
        if kind is int:
            if not LEAST_INT < value < LARGE_INT: return False
        elif kind not in SCALARS or kind is str and not value.isascii(): return False
    return True
