"""What runs inside a child of the server, behind all its walls: the candidate, and next to it the loop that answers the judge.

Foreign code may replace anything here. That is no harm: the judge believes nothing but data, one answer to each question it has just asked.
"""
import io, os, sys, time, types
from codec import LARGE, READERS, SCALARS, SMALL, Unsupported, as_bytes, decode, encode
from observe import observe

MODULE = 'solution'  # __name__ of the program, so that `if __name__ == "__main__"` stays quiet
HELD = 2e-4          # seconds for which an answer may be held back
RESERVE = [bytes(4 << 20)]  # given up to be able to say that memory has run out; never touched, it costs a fork nothing


def capture():
    "Give a process an empty standard input, and have what it prints kept; in the server, for all its children."
    captured = Capped()
    sys.stdin = open(0, closefd=False)
    sys.stdout = sys.stderr = io.TextIOWrapper(captured, encoding='utf-8', errors='backslashreplace', write_through=True)
    return captured


def serving(channel, captured):
    "What a child does, with all that it needs made in the server: a function that never returns."
    space = fresh_space()
    leave, receive, say, ask = os._exit, channel.receive, describe, answer  # before foreign code can replace them
    def send(message, send=channel.send):
        if captured.news: captured.news = False; send('printed')
        send(message)
    def serve():
        "Load the program that the judge sends, then do what it asks for until it hangs up."
        try:
            code = receive(text=True)
            try:
                load(code, space)
                reply = {'loaded': True}
            except BaseException as error: reply = {'error': say(error)}
            send(reply)
            while True: ask(receive(), space, send, captured)
        except BaseException: leave(1)
        leave(0)
    return serve


def serve_tests(report, candidate):
    "Run tests that a model wrote against a candidate in another child, and report. Never returns."
    import examiner
    try:
        order = report.receive()
        candidate.send(as_bytes(order['job']['code']))
        report.send(examiner.examine(candidate, order['job'], order['chunked']))
    finally: os._exit(0)


def answer(question, space, send, captured, clock=time.monotonic):
    "Answer a chunk of calls, quick ones together, or do the one other thing that is asked."
    if question == 'output': send({'output': captured.kept.decode('utf-8', 'replace')})
    elif 'ticket' in question:
        ticket, name, held, since = question['ticket'], question.get('name'), [], clock()
        calls = zip(*[iter(question['values'])] * question['arity']) if name else question['calls']  # alike: so many values for each
        for call in calls:
            held.append(call_one(space, name, call) if name else call_one(space, *call))
            if clock() - since > HELD: send([ticket, held]); held, since = [], clock()
        if held: send([ticket, held])
    elif 'observe' in question: send(attempt(lambda: observe(space, **question['observe'])))
    elif 'tests' in question: send(attempt(lambda: exec(compile(question['tests'], '<tests>', 'exec'), space) or {'ended': True}))


def call_one(space, name, args, kwargs=None):
    """Call a function of the program: [result]; one that gives nothing may have worked in place: then also the arguments as it left them.

    Without `kwargs`, the arguments are values that stand for themselves; so does then a result that is one."""
    try:
        function = known(space, name)
        if kwargs is None:
            kind = type(result := function(*args))
            if kind in SCALARS and (kind is not int or SMALL < result < LARGE): return result
        else: result = function(*(given := decode(args)), **{key: decode(value) for key, value in kwargs.items()})
        try: reply = [encode(result)]
        except Unsupported as error: return {'unsupported': str(error), 'kept': keep(space, result), 'true': type(result).__module__ == 're'}  # a match is no data, and true
    except BaseException as error: return {'error': describe(error)}
    if result is None and kwargs is not None:
        try: left = encode(given)
        except Exception: return reply
        if left != args: reply.append(left)
    return reply


def known(space, name):
    if name not in space: raise NameError(f"name '{name}' is not defined")
    return space[name]


def keep(space, result):
    "Keep a result that is no data; tests may pass it on by this name, and do nothing else with it."
    name = f'result {len(space)}'
    space[name] = result
    return name


def attempt(work):
    try: return work()
    except BaseException as error: return {'error': describe(error)}


def fresh_space():
    "The namespace of an empty module, which the program will find as its own."
    module = sys.modules[MODULE] = types.ModuleType(MODULE)
    READERS['far'] = lambda name: known(module.__dict__, name)
    return module.__dict__


def load(code, space):
    "Execute the program's text in a namespace."
    exec(compile(code, '<program>', 'exec'), space)


def describe(error):
    "Reduce an exception to text: the names of the classes it descends from, and its message."
    if isinstance(error, MemoryError): RESERVE.clear()
    return [str(c.__name__)[:60] for c in type(error).__mro__][:20] + [message_of(error)]


def message_of(error, limit=300):
    "The message of an exception, bounded, on one line, whatever its `__str__` does."
    try: return str(' '.join(str(error).split()))[:limit]
    except BaseException: return ''


class Capped(io.RawIOBase):
    "Keep the first bytes written to it and swallow the rest."
    def __init__(self): self.limit, self.kept, self.news = 0, bytearray(), False
    def writable(self): return True
    def write(self, data):
        self.kept += bytes(data)[:self.limit - len(self.kept)]
        self.news = True
        return len(data)
