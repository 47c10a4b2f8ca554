"""Run tests against a candidate that lives in another process.

The tests see functions; each call of one is a question to the candidate's process and its answer is data. Runs in the judge for tests that
are trusted, in a locked child of their own for tests that a model wrote.

A thousand questions, each answered before the next is asked, would cost two changes of process each. So where a test says
`assert f(x) == y`, the question is only noted, and questions go out in growing chunks; what comes back is compared in the order of the
tests. Nothing else can tell the difference, as long as every such assertion holds. Where one does not, and the tests could have
noticed (they catch exceptions, or a call changed its arguments), they are run again one question at a time.
"""
import ast, builtins, os, re, signal, sys
from functools import lru_cache
from itertools import chain, islice, repeat
from codec import LARGE, SCALARS, SMALL, Broken, Far, Late, Unsupported, decode, encode

NO_ANSWER = 'it tampered with its answers: not the answer to the question'
EXACT = SCALARS - {float}  # scalars that are equal whenever they are the same; NaN is not
CHUNKS = (1, 20, 400)  # questions in the first chunk, the second, ...: a wrong first answer should not wait for many
ENDINGS = {'StopIteration', 'StopAsyncIteration', 'GeneratorExit'}  # raised inside the tests' own iterators, these would end them as if all were said


class Interrupted(BaseException):
    "End the tests, past whatever they catch; the outcome says why."


class Function(Far):
    "A function of the candidate, as the tests see it."
    def __init__(self, questions, name): self.questions, self.__name__ = questions, name
    def __call__(self, *args, **kwargs): return self.questions.ask(self.__name__, args, kwargs)
    def __repr__(self): return f'<function {self.__name__} of the candidate>'

    def each(self, calls, seconds=None):
        "The answers to many calls, each a list of arguments, in order; they are asked in chunks. `seconds`: how long one may take."
        return self.questions.ask_each(self.__name__, iter(calls), seconds)


class Result(Far):
    "What the candidate gave is no data: tests may pass it on, an instance of its own class to its own function; any other use ends them."
    def __init__(self, questions, name, why, true):
        super().__init__(name)
        self.true, self.use = true, lambda *_: questions.fail('unsupported', f'its result: {why[:200]}')
    def __getattr__(self, name): self.use()
    def __bool__(self): return self.true or self.use()

def refuse(self, *_): self.use()

for name in 'call contains delitem eq float format ge getitem gt hash index int iter le len lt ne next repr setitem str'.split(): setattr(Result, f'__{name}__', refuse)


class Questions:
    "Put questions to the candidate; remember for good when something went wrong, whatever the tests make of the exception."
    def __init__(self, channel, chunked):
        self.channel, self.chunked, self.noted, self.asked, self.wrong, self.error = channel, chunked, [], [], None, None
        self.rooms = self.sizes()
        self.room = next(self.rooms)  # questions that are noted before they are asked
        self.printed = False  # whether the candidate wrote to its output
        self.careful = False  # the tests might notice that an assertion failed later than it was reached
        self.late = None  # seconds that the call had which took too long

    def fail(self, status, detail=''):
        "End the tests with this outcome, once and for all: what they catch must not count."
        if not self.wrong: self.wrong = (status, detail)
        raise Interrupted

    def sizes(self): return chain(CHUNKS, repeat(CHUNKS[-1])) if self.chunked else repeat(1)  # of the chunks in which questions go out

    def ask(self, name, args, kwargs):
        "Ask one question and wait for the answer."
        self.settle()
        answer, left = next(self.hear(self.put([self.question(name, args, kwargs)])))
        if left is not None: take_over(args, left)
        return answer

    def ask_each(self, name, calls, seconds):
        self.settle()
        for size in self.sizes():
            asked = [self.question(name, args, {}) for args in islice(calls, size)]
            if not asked: return
            answers = self.hear(self.put(asked))
            for _ in asked:
                self.channel.patience = seconds and 1000 * seconds
                try: answer, _ = next(answers)
                except Late: self.late = seconds; self.fail('timeout', f'no answer within {seconds:g} s')
                finally: self.channel.patience = None
                yield answer

    def note(self, function, args, expected, fresh, kwargs=(), message=None):
        "Take down `assert function(*args, **kwargs) == expected, message()`; `fresh`: nothing else knows the arguments."
        if type(function) is not Function:  # one of the tests' own
            if not function(*args, **dict(kwargs)) == expected: raise assertion(message)
            return
        question = (function.__name__, args) if not kwargs and are_scalars(args) else self.question(function.__name__, args, kwargs)  # a call less, for most
        if type(expected) not in SCALARS:
            try: expected = decode(encode(expected))  # as it is now
            except (Unsupported, Broken): self.fail('again')
        self.noted.append((question, expected, message, fresh))
        if len(self.noted) >= self.room: self.settle(all_of_it=False)

    def settle(self, all_of_it=True):
        "Ask what was noted and compare, while the candidate works on it, what was asked before; `all_of_it`: wait for the new answers, too."
        asked, noted, self.asked, self.noted = self.asked, self.noted, [], []
        if noted:
            self.room = next(self.rooms)
            self.asked = [(self.put([note[0] for note in noted]), noted)]
        for ticket, notes in asked: self.compare(ticket, notes)
        if all_of_it and self.asked: self.settle()

    def compare(self, ticket, notes):
        try:
            while notes:
                answers = self.batch(ticket)
                some, notes = notes[:len(answers)], notes[len(answers):]
                if EXACT.issuperset(map(type, answers)) and answers == [expected for _, expected, _, _ in some]: continue  # mostly
                for (_, expected, message, fresh), (answer, left) in zip(some, map(self.value_of, answers)):
                    if left is not None and not fresh: self.fail('again')
                    if not answer == expected: raise assertion(message)
        except BaseException as error:
            self.asked = []  # what comes after counts for nothing
            if self.careful and not isinstance(error, Interrupted): self.fail('again')  # it may meet an `except` that is not meant for it
            raise

    def question(self, name, args, kwargs):
        if not kwargs and are_scalars(args): return name, args  # most
        try: return [name, encode(list(args)), {key: encode(value) for key, value in dict(kwargs).items()}]
        except Unsupported as error: self.fail('unsupported', f'the tests give it more than data: {error}')

    def put(self, questions):
        "Send questions; return the ticket that their answers will bear, which an answer given before its question cannot know."
        if self.wrong: raise Interrupted
        ticket = os.urandom(8).hex()
        calls = dict(calls=questions)
        if set(map(len, questions)) == {2} and len({name for name, _ in questions}) == 1:  # plain calls of one function: most
            alike = [args for _, args in questions]
            if alike[0] and len(set(map(len, alike))) == 1: calls = dict(name=questions[0][0], arity=len(alike[0]), values=[*chain.from_iterable(alike)])
        try: self.channel.send(dict(ticket=ticket, **calls))
        except EOFError: self.fail('gone')
        return ticket

    def order(self, message, wanted):
        "Have one thing done and give the answer, which must hold what is wanted."
        try: self.channel.send(message)
        except EOFError: self.fail('gone')
        return self.expect(wanted)

    def expect(self, wanted):
        "The answer to the one thing that the candidate's process has been told to do."
        try: answer = self.receive()
        except EOFError: self.fail('gone')
        except (Broken, RecursionError) as error: self.fail('failed', f'it tampered with its answers: {error}')
        if type(answer) is dict and wanted in answer: return answer
        if type(answer) is dict and is_error(answer.get('error')): self.error = raised(answer['error']); raise self.error
        self.fail('failed', 'it tampered with its answers: not an answer to the question')

    def receive(self):
        while (said := self.channel.receive()) == 'printed': self.printed = True
        return said

    def hear(self, ticket):
        "The answers, one by one, as `value_of` gives them."
        while True: yield from map(self.value_of, self.batch(ticket))

    def batch(self, ticket):
        "The next answers, as they came."
        try: said = self.receive()
        except EOFError: self.fail('gone')
        except (Broken, RecursionError) as error: self.fail('failed', f'it tampered with its answers: {error}')
        if type(said) is list and len(said) == 2 and said[0] == ticket and type(said[1]) is list: return said[1]
        self.fail('failed', NO_ANSWER)

    def value_of(self, answer):
        "What an answer says: (value, arguments that the call changed or None); raises the exception that it is."
        kind = type(answer)
        if kind in SCALARS: return answer, None  # most
        if kind is list and len(answer) in (1, 2):
            try: return decode(answer[0]), decode(answer[1]) if len(answer) == 2 else None
            except (Broken, RecursionError) as error: self.fail('failed', f'it tampered with its answers: {error}')
        if kind is dict and type(why := answer.get('unsupported')) is str:
            if type(answer.get('kept')) is str: return Result(self, answer['kept'], why, answer.get('true') is True), None
            self.fail('unsupported', f'its result: {why[:200]}')
        if kind is dict and is_error(answer.get('error')): self.error = raised(answer['error']); raise self.error
        self.fail('failed', NO_ANSWER)


def are_scalars(values):
    "Whether values cross as they are."
    for value in values:
        if type(value) is int:
            if not SMALL < value < LARGE: return False
        elif type(value) not in SCALARS: return False
    return True


def assertion(message):
    return AssertionError() if message is None else AssertionError(message())


def take_over(args, left):
    "Change arguments as the candidate changed its copies of them."
    for mine, theirs in zip(args, left if type(left) is list else ()):
        if type(mine) is not type(theirs): continue
        if type(mine) in (list, bytearray): mine[:] = theirs
        elif type(mine) in (dict, set): mine.clear(); mine.update(theirs)


def is_error(error):
    return type(error) is list and len(error) >= 2 and all(type(part) is str for part in error)


def raised(error):
    "The exception that the candidate's became: of the first builtin class that it descends from."
    *names, message = error
    for name in names:
        kind = getattr(builtins, name, None)
        if name in ENDINGS: kind = RuntimeError
        try:
            if isinstance(kind, type) and issubclass(kind, BaseException): made = kind(*[message] if message else []); break
        except TypeError: pass  # wants more than a message
    else: made = Exception(message)
    made.name_there = names[0]
    return made


# ---------------------------------------------------------------- tests

HERE, LOAD = dict(lineno=1, col_offset=0, end_lineno=1, end_col_offset=0), ast.Load()
NOTE, TYPE, FAR = (ast.Name(name, LOAD, **HERE) for name in ('__note__', '__type__', '__far__'))
BLOCKS = ('body', 'orelse', 'finalbody', 'handlers', 'cases')


def write_notes(node):
    "Write each `assert f(x) == y, m` below a node as a call of `note`. Says whether a message has to be made up."
    making = False
    for name in BLOCKS:
        block = getattr(node, name, None)
        if type(block) is not list: continue  # the body of a lambda
        for i, statement in enumerate(block):
            if type(statement) is ast.Assert:
                making |= not isinstance(statement.msg, (ast.Constant, type(None)))
                block[i] = note_of(statement) or statement
            else: making |= write_notes(statement)
    return making


def note_of(node):
    "An assertion as a call of `note`; None where it has another form."
    test = node.test
    if type(test) is not ast.Compare or type(test.left) is not ast.Call or type(test.left.func) is not ast.Name or len(test.ops) != 1 or type(test.ops[0]) is not ast.Eq: return None
    call, expected = test.left, test.comparators[0]
    parts = [*call.args, *(keyword.value for keyword in call.keywords)]
    plain = all(map(is_literal, parts))
    literal = plain and is_literal(expected)
    if not literal:
        kinds = {type(inner) for part in [call, expected] for inner in ast.walk(part)}
        if kinds & {ast.NamedExpr, ast.Yield, ast.YieldFrom, ast.Await, ast.Starred} or any(keyword.arg is None for keyword in call.keywords): return None
    note = ast.Call(NOTE, [call.func, ast.Tuple(call.args, LOAD, **HERE), expected, ast.Constant(plain, **HERE)], [], **HERE)
    if call.keywords: note.keywords.append(ast.keyword('kwargs', ast.Dict([ast.Constant(keyword.arg, **HERE) for keyword in call.keywords], parts[len(call.args):], **HERE), **HERE))
    if node.msg: note.keywords.append(ast.keyword('message', ast.Lambda(ast.arguments([], [], None, [], [], None, []), node.msg, **HERE), **HERE))
    noted = ast.Expr(note, **HERE)
    if literal: return noted
    far = ast.Compare(ast.Call(TYPE, [call.func], [], **HERE), [ast.Is()], [FAR], **HERE)
    return ast.If(far, [noted], [node], **HERE)  # a function of the tests' own is called before what is expected of it is worked out


def is_literal(node):
    kind = type(node)
    if kind is ast.Constant: return True
    if kind is ast.UnaryOp: return type(node.operand) is ast.Constant
    if kind in (ast.List, ast.Tuple): return all(map(is_literal, node.elts))
    return kind is ast.Dict and all(map(is_literal, node.values)) and all(map(is_literal, node.keys))


def names_in(code):
    "Every global name, and every attribute, that a code object mentions."
    found = set(code.co_names)
    for constant in code.co_consts:
        if hasattr(constant, 'co_names'): found |= names_in(constant)
    return found


def deliver(channel, work=None):
    """Give a child what it shall work on, and wait until it is ready: '', or why it is not.

    Nothing foreign has run before, so that is the machinery's fault. The work is not held back until then: the child finds it waiting.
    Without work, what comes after the child's readiness is left for others to read."""
    try:
        if work is not None: channel.send(work)
        said = channel.receive()
    except EOFError: said = 'it ended'
    return '' if said == 'ready' else f'a child could not be set up: {said}'


def within(seconds, work):
    "Do some work for at most so long: (its result or None, whether time ran out)."
    rung = []
    def ring(*_): rung.append(True); raise Interrupted
    signal.signal(signal.SIGALRM, ring)
    result = None
    try:
        try:
            signal.setitimer(signal.ITIMER_REAL, seconds, 0.1)  # again and again: the work may catch what is raised
            result = work()
        finally: silence()
    except Interrupted: silence()
    return result, bool(rung)


def silence():
    "Turn the alarm off, also when it rings meanwhile."
    while True:
        try: return signal.setitimer(signal.ITIMER_REAL, 0)
        except Interrupted: pass


def examine(channel, job, chunked):
    """Do what the job asks with the candidate, which is being loaded: an answer with status and detail.

    The status `gone` says that the candidate's process ended, `again` that the tests must be run one question at a time.
    """
    questions = Questions(channel, chunked)
    answer, late = within(job['seconds'], lambda: _examine(questions, job))
    if late: return dict(status='timeout', detail=f"no end within {job['seconds']:g} s", output='')
    printed, _ = within(0.5, lambda: _printed(channel)) if questions.printed and answer['status'] not in ('gone', 'again') else ('', False)
    return answer | dict(output=printed or '') | (dict(late=questions.late) if questions.late else {})


def _examine(questions, job):
    try:
        questions.expect('loaded')
        if job.get('observe'): return dict(status='passed', detail='', **seen(questions, job['observe']))
        if job.get('call'): return dict(status='passed', detail='', value=called(questions, job['call'] + ([job['data']] if 'data' in job else [])))
        if job.get('inside'): questions.order(dict(tests=job['tests']), 'ended')
        elif job['tests']: _run(questions, job)
        return dict(zip(('status', 'detail'), questions.wrong or ('passed', '')))
    except Interrupted: return dict(zip(('status', 'detail'), questions.wrong or ('timeout', '')))
    except BaseException as error:
        memory = isinstance(error, MemoryError) and error is questions.error
        return dict(zip(('status', 'detail'), questions.wrong or ('memory' if memory else 'failed', line_of(error))))


def seen(questions, order):
    "Have the function's behaviour observed; a candidate may answer what it likes, so nothing but the form that `observe` gives is taken."
    answer = questions.order(dict(observe=order), 'observed')
    kind, outputs = answer['observed'], answer.get('outputs')
    sound = type(kind) is int and 0 <= kind < len(order['cases']) and type(outputs) is list and len(outputs) <= len(order['cases'][kind]) and all(type(o) is str for o in outputs)
    if not sound: questions.fail('failed', 'it tampered with its answers: no behaviour')
    return dict(observed=kind, outputs=outputs)


def called(questions, call):
    "What one call gives, as `encode` writes it."
    name, *arguments = call
    value = questions.ask(name, decode(arguments), {})
    if isinstance(value, Result): value.use()
    return encode(value)


def _printed(channel):
    "What the candidate printed, if it still says so."
    try:
        channel.send('output')
        while type(answer := channel.receive()) is not dict or type(answer.get('output')) is not str: pass
        return answer['output']
    except (EOFError, Broken): return ''


@lru_cache(1024)
def compiled(tests, chunked):
    "Tests as code, whether they might notice a late answer, and the names they mention; once for all candidates of a problem."
    tree = ast.parse(tests)
    careful = chunked and (write_notes(tree) or bool(re.search(r'\b(try|with)\b', tests)))
    code = compile(tree, '<tests>', 'exec')
    return code, careful, names_in(code)


@lru_cache(1024)
def context_code(text): return compile(text, '<context>', 'exec')


def _run(questions, job):
    code, questions.careful, names = compiled(job['tests'], questions.chunked)
    space = {'__name__': 'tests', '__note__': questions.note, '__far__': Function, '__type__': type, **({'DATA': job['data']} if 'data' in job else {})}
    if job['context']: exec(context_code(job['context']), space)
    space |= far_names(names, space, job, questions)
    try: exec(code, space)
    finally: questions.settle()  # after an exception, too: what was asserted before it may have failed, or changed what it was about


def far_names(names, space, job, questions):
    "What the tests mention and do not have: modules of the standard library, and for all the rest functions of the candidate."
    entry = job['entry']
    far = {name for name in names if name not in space and not hasattr(builtins, name)} | {entry} - {''}
    modules = {name for name in (far - {entry}) & sys.stdlib_module_names if re.search(rf'\b{name}\.', job['tests'])}
    return {name: __import__(name) if name in modules else Function(questions, name) for name in far}


def line_of(error):
    "`Type: message` of the exception that ended the tests, on one line."
    name = getattr(error, 'name_there', type(error).__name__)
    text = ' '.join(str(error).split())[:300]
    return f'{name}: {text}' if text else name
