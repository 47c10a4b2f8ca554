"""What runs inside a child of the server, behind all its layers: the candidate, and next to it the loop that answers.

Foreign code may replace anything here. That is no harm: one question is asked at a time, and an answer can only say
what a function may do in Python, too: give a value, raise an exception, change its arguments, print.
"""
import _thread, builtins, io, os, re, sys, time, types
from channel import Channel, TooLarge
from codec import Shelf
from exceptions import LONGEST_NAME, MODULE, classes_of, described
from kinds import LARGE_INT, LEAST_INT, SCALARS, Malformed, Iterates, Unsupported
from observe import Slow, timed

RESERVE = [bytes(4 << 20)]  # given up to be able to say that memory has run out; never touched, it costs a fork nothing
NEXT_ITEM = 'the next item of'  # as a name: no function of the program's can have it
PUBLIC_BUILTINS = {name for name in vars(builtins) if name[0] != '_'}
TRUE_KINDS = re.Match, re.Pattern  # results that are no data, and true
THREAD_TRIES = 6  # times that a refused thread is asked for again, after 1, 2, 4 .. milliseconds


def capture() -> 'Captured':
    """Give a process an empty standard input and patience with threads, and have what it prints kept.

    In the server, for all its children."""
    captured = Captured()
    sys.stdin = open(0, closefd=False)
    for name in ('stdout', 'stderr'):
        stream = Stream(captured, name)
        setattr(sys, name, io.TextIOWrapper(stream, 'utf-8', 'backslashreplace', write_through=True))
    _thread.start_new_thread = _thread.start_new = patient(_thread.start_new_thread)
    if hasattr(_thread, 'start_joinable_thread'):  # what `threading` asks for from 3.13 on
        _thread.start_joinable_thread = patient(_thread.start_joinable_thread)
    return captured


def serving(channel: Channel, captured: 'Captured'):
    "What a child does, with all that it needs made in the server: a function that never returns."
    candidate = Candidate(captured)
    # before foreign code can replace them:
    leave = os._exit
    receive, send = channel.receive, channel.send
    answer = candidate.answer
    def serve():
        "Load the program that the verifier sends, then do what it asks for until it hangs up."
        try:
            send(candidate.loaded(receive(text=True)))
            while True:
                ticket, *asked = receive()
                reply = answer(*asked)
                try: send([ticket, reply])
                except TooLarge as error: send([ticket, smaller(reply, error)])
        except BaseException: leave(1)
        leave(0)
    return serve


def serve_tests(report: Channel, candidate: Channel) -> None:
    "Run tests that may not run in the verifier against a candidate in another child, and report. Never returns."
    import examiner
    try:
        order = report.receive()
        sys.path += order['folders']
        candidate.send(examiner.program_of(order['job']))
        report.send(examiner.examine(candidate, order['job'], locked=True))
    finally: os._exit(0)


class Candidate:
    "The program, and what of it the verifier has been given."
    def __init__(self, captured: 'Captured'):
        self.module = types.ModuleType(MODULE)  # not `__main__`: what is only for a script stays quiet
        self.space, self.captured = self.module.__dict__, captured
        self.shelf = Shelf(far=self.called)
        self.kept, self.told_of = {}, {}  # results that are no data, and what was said of them, by their names

    def loaded(self, text: str) -> dict:
        "Load a program; its text comes after the name that its tests are about, which may be empty."
        sys.modules[MODULE] = self.module
        entry, code = text.split('\n', 1)
        try: load(code, self.space)
        except BaseException as error: return self.told(self.described(error))
        # to look up each builtin in the space would touch many pages
        shadowed = [name for name in self.space if name in PUBLIC_BUILTINS]
        return self.told(dict(loaded=self.kind(entry)) | (dict(shadowed=shadowed) if shadowed else {}))

    def answer(self, name: str | dict, arguments: list | None = None) -> object:
        "A call whose arguments stand for themselves, as in most; without arguments, an order that says what is wanted."
        if arguments is None: return getattr(self, name.pop('do'))(**name)
        try:
            result = self.called(name)(*arguments)
            kind = type(result)
            small, plain = kind is not int or LEAST_INT < result < LARGE_INT, kind is not str or result.isascii()
            if kind in SCALARS and small and plain:
                for number, given in enumerate(arguments):
                    if result is given and kind is not bool: return self.told(dict(argument=number))
                return self.told(dict(result=result)) if self.captured.news else result
            reply = self.resulting(result)
        except BaseException as error: reply = self.described(error)
        result = None  # who else holds it?
        return self.told(reply | self.held())

    def call(
        self, name: str, args: list, kwargs: dict, back: bool = True, forgotten: list | tuple = (),
        changed: list | tuple = (), seconds: float = 0.0, most: int = 0,
    ) -> dict:
        """A call with arguments that may be changed.

        back: whether to say how they were changed. forgotten, changed: what the verifier no longer holds, and has
        changed, of what both know. seconds: of processor time. most: items of an iterator that are wanted."""
        shelf, shelf.most = self.shelf, most
        shelf.keep(set(shelf.things).difference(forgotten))
        shelf.change(changed)
        try:
            args = [shelf.decode(value) for value in args]
            kwargs = {key: shelf.decode(value) for key, value in kwargs.items()}
            shelf.agree() if back else shelf.keep(())  # then a result that is an argument is written out
        except MemoryError as error: return self.told(self.described(error))
        except RecursionError: return self.told(dict(unsupported='its arguments are nested too deeply'))
        except (Unsupported, Malformed) as error: return self.told(dict(unsupported=f'its arguments: {error}'))
        try:
            with timed(seconds): reply = self.resulting(self.called(name)(*args, **kwargs), args)
        except Slow: reply = dict(slow=True)
        except BaseException as error: reply = self.described(error)
        if back:
            try: reply |= dict(changed=found) if (found := shelf.changes()) else {}
            except Unsupported as error: reply['lost'] = str(error)
        args = kwargs = None  # who else holds them?
        return self.told(reply | self.held(back))

    def held(self, back: bool = True) -> dict:
        "What the program still holds of what crossed: the shelf keeps that, and nothing else."
        numbers = self.shelf.held() if back else []
        self.shelf.keep(numbers)
        if not numbers: return {}
        return dict(held=numbers) | (dict(threads=True) if _thread._count() else {})  # `threading` acts in every fork

    def kind(self, name: str) -> str | dict | None:
        "What a name of the program stands for: nothing, a function, an exception's class, a module, or data."
        if name not in self.space: return None
        thing = self.space[name]
        known, _ = self.shelf.fars.setdefault(id(thing), (name, thing))
        if known != name: return dict(known=known)
        if isinstance(thing, type) and issubclass(thing, BaseException): return dict(exception=classes_of(thing))
        if isinstance(thing, types.ModuleType): return dict(module=str(thing.__name__)[:LONGEST_NAME])
        return 'function' if callable(thing) else 'data'

    def tests(self, text: str) -> dict:
        "Run tests in the program's own space."
        try: exec(compile(text, '<tests>', 'exec'), self.space)
        except BaseException as error: return self.told(self.described(error))
        return self.told(dict(ended=True))

    def called(self, name: str) -> object:
        "What a call's name stands for."
        if name in self.space: return self.space[name]
        if name in self.kept: return self.kept[name]
        if name == NEXT_ITEM: return step
        raise NameError(f"name '{name}' is not defined")

    def resulting(self, result: object, args: list | tuple = ()) -> dict:
        "What a call gave; a result that is no data is kept, and gets a name by which the tests may pass it on."
        if type(result) in (str, float, int):
            for number, given in enumerate(args):
                if result is given: return dict(argument=number)
        if id(result) not in self.shelf.fars:
            try: return dict(result=self.shelf.whole(result))
            except Unsupported as error: why = error
            name = f'result {len(self.kept)}'
            self.kept[name], self.shelf.fars[id(result)] = result, (name, result)
            how = 'iterator' if isinstance(why, Iterates) and hasattr(type(result), '__next__') else ''
            how = 'true' if type(result) in TRUE_KINDS else 'callable' if callable(result) else how
            self.told_of[name] = dict(kept=name, why=str(why), kind=why.kind, how=how)
        name, _ = self.shelf.fars[id(result)]
        return self.told_of.get(name) or dict(kept=name)

    def told(self, reply: dict) -> dict:
        "Add to a reply what was printed, and whether the order of a set was lost."
        if self.captured.news: reply['printed'] = self.captured.taken()
        if self.shelf.unordered: reply['unordered'] = True
        return reply

    def described(self, error: BaseException) -> dict:
        "Say what exception ended a call."
        if isinstance(error, MemoryError): RESERVE.clear()
        return dict(error=described(error, self.shelf.whole))


def step(iterator: object) -> list | tuple:
    "The next item, in a list; in a tuple what the iterator returns when there is none."
    try: return [next(iterator)]
    except StopIteration as end: return (end.value,)


def smaller(reply: object, error: TooLarge) -> dict:
    "What is said in place of a reply that is too large."
    if type(reply) is not dict or 'error' not in reply: return dict(unsupported=f'it takes {error}')
    return dict(error=dict(classes=reply['error']['classes'], text=None, vars={}))


def load(code: str, space: dict) -> None:
    "Execute the program's text in a namespace."
    exec(compile(code, '<program>', 'exec'), space)


def patient(start):
    """Start a thread as `start` does.

    One that is refused is asked for again: the program before may not be taken down yet."""
    def start_new_thread(*args, **kwargs):
        for attempt in range(THREAD_TRIES):
            try: return start(*args, **kwargs)
            except RuntimeError: time.sleep(.001 * 2 ** attempt)
        return start(*args, **kwargs)
    return start_new_thread


class Captured:
    "What was printed, up to a limit, until it is taken; the rest is swallowed."
    def __init__(self):
        self.limit = 0
        self.kept = []
        self.size = 0
        self.news = False

    def keep(self, name: str, data: bytes) -> None:
        "Take in what a stream was given."
        part = data[:self.limit - self.size]
        if part:
            if self.kept and self.kept[-1][0] == name: self.kept[-1][1] += part
            else: self.kept.append([name, bytearray(part)])
        if len(part) < len(data) and (not self.kept or self.kept[-1][0] != 'cut'): self.kept.append(['cut', b''])
        self.size += len(part)
        self.news = True

    def taken(self) -> list:
        "Hand over what was printed: [stream, text] each."
        kept, self.kept = self.kept, []
        self.news = False
        return [[name, bytes(data).decode('utf-8', 'replace')] for name, data in kept]


class Stream(io.RawIOBase):
    "One of the two streams that are captured."
    def __init__(self, captured: Captured, name: str): self.captured, self.name = captured, name
    def writable(self) -> bool: return True
    def write(self, data: bytes) -> int:
        self.captured.keep(self.name, bytes(data))
        return len(data)
