"""Run tests against a candidate that lives in another process, and say what came of it.

Runs in the verifier for tests that are trusted and do nothing but compute, in a locked child of their own for others.
"""
import builtins, signal, sys
from functools import lru_cache
from channel import Channel
from codec import decode, encode
from doubts import doubt_of, names_of_tests, otherwise_in_one
from harmless import LOOK_NAMES, with_looks
from kinds import EXCEPTIONS, Unsupported, as_bytes
from observe import WRITTEN_ITEMS, canonical, shortened, tells_nothing
from questions import STAND_INS, Interrupted, Items, Questions, inside, refuse


def program_of(job: dict) -> bytes:
    "A program as it is sent to its process: the name that its tests are about, and its text."
    return as_bytes(f"{job['entry'] if job['entry'].isidentifier() else ''}\n{job['code']}")


def deliver(channel: Channel, work: bytes | dict | None = None) -> str:
    """Give a child what it shall work on, and wait until it is ready: '', or why it is not.

    Nothing foreign has run before, so that is the machinery's fault. The work is not held back until then: the child
    finds it waiting. Without work, what comes after the child's readiness is left for others to read."""
    try:
        if work is not None: channel.send(work)
        said = channel.receive()
    except EOFError: said = 'it ended'
    return '' if said == 'ready' else f'a child could not be set up: {said}'


def within(seconds: float, work) -> tuple:
    "Do some work for at most so long: (its result or None, whether time ran out)."
    rung = []
    def ring(*_):
        rung.append(True)
        raise Interrupted
    signal.signal(signal.SIGALRM, ring)
    result = None
    try:
        try:
            signal.setitimer(signal.ITIMER_REAL, seconds, 0.1)  # again and again: the work may catch what is raised
            result = work()
        finally: silence()
    except Interrupted: silence()
    return result, bool(rung)


def silence() -> tuple:
    "Turn the alarm off, also when it rings meanwhile."
    while True:
        try: return signal.setitimer(signal.ITIMER_REAL, 0)
        except Interrupted: pass


def examine(channel: Channel, job: dict, locked: bool = False) -> dict:
    """Do what the job asks with the candidate, which is being loaded: an answer with status, detail and output.

    The status `gone` says that the candidate's process ended. locked: whether this is a child behind the layers."""
    questions = Questions(channel, job)
    answer, late = within(job['seconds'], lambda: examined(questions, locked))
    questions.over()
    sys.stdin, sys.stdout, sys.stderr = questions.streams
    if late: answer = dict(status='timeout', detail=f"no end within {job['seconds']:g} s")
    more = dict(late=questions.late) if questions.late else {}
    return answer | dict(output=''.join(questions.output)) | more


def examined(questions: Questions, locked: bool) -> dict:
    "Do what the job asks, and say how it ended."
    job = questions.job
    try:
        questions.loaded()
        if job.get('observe'): return dict(status='passed', detail='', **observed(questions, job['observe']))
        if job.get('call'): return dict(status='passed', detail='', value=called(questions))
        if job.get('inside'): questions.understood(questions.exchange(dict(do='tests', text=job['tests'])))
        elif job['tests']: run(questions)
        status, detail = questions.wrong or ('passed', '')
        if status == 'passed' and (doubt := otherwise_in_one(questions)): status, detail = 'unsupported', doubt
    except Interrupted: status, detail = questions.wrong or ('timeout', '')
    except BaseException as error:
        status, detail = questions.wrong or outcome_of(error, questions)
        doubt = status == 'failed' and doubt_of(error, questions, locked)
        if doubt: status, detail = 'unsupported', f'{doubt} ({detail})'
    return dict(status=status, detail=detail)


def outcome_of(error: BaseException, questions: Questions) -> tuple:
    "What an exception that ended the tests means."
    if error is not questions.error: return 'failed', line_of(error, name_of(type(error)))
    return 'memory' if isinstance(error, MemoryError) else 'failed', line_of(error, questions.exceptions.name)


def observed(questions: Questions, order: dict) -> dict:
    """Call a function on every input of the kind of arguments that suits it best: the first that tells most.

    Which kind, the outputs as text, how many are exceptions, how many are no data, whether they tell nothing."""
    best = best_rank = None
    for kind, inputs in enumerate(order['cases']):
        outputs = []
        errors = opaque = 0
        for given in inputs:
            text = output(questions, order['entry'], given, order['seconds'])
            outputs.append(text)
            errors += text.startswith('!')
            opaque += text.startswith('<')
            if text == '!Timeout' and (len(order['cases']) > 1 or outputs == [text] * 3):
                errors = len(inputs) + 1
                break
        rank = errors >= len(inputs), tells_nothing(outputs), errors
        if best is None or rank < best_rank:
            best, best_rank = dict(observed=kind, outputs=outputs, errors=errors, opaque=opaque, nothing=rank[1]), rank
        if not any(rank): break
    return best


def output(questions: Questions, name: str, given: dict | list, seconds: float) -> str:
    "The canonical text of one call's result; `!Name` for an exception, `!Timeout` for none, `<type>` for no data."
    shelf, arguments = questions.shelf, decode(given)
    order = dict(do='call', name=name, args=[*map(shelf.encode, arguments)], kwargs={})
    order.update(seconds=seconds, most=WRITTEN_ITEMS + 1)
    said = questions.exchange(order)
    try: result = questions.understood(said, arguments)
    except Interrupted: raise
    except BaseException: return f'!{questions.exceptions.name}'
    if 'slow' in said: return '!Timeout'
    if type(result) is Items: result = (item for item in result)
    if type(result) in STAND_INS: return f"<{inside(result, 'kind')}>"
    if result is None and 'changed' in said: return shortened(f'None, leaving {canonical(tuple(arguments))}')
    return shortened(canonical(result))


def called(questions: Questions) -> object:
    "What one call gives, as `encode` writes it."
    name, *arguments = questions.job['call'] + ([questions.job['data']] if 'data' in questions.job else [])
    value = questions.ask(name, [decode(value) for value in arguments], {})
    if type(value) in STAND_INS: refuse(value)
    try: return encode(value)
    except Unsupported as error: questions.fail('unsupported', f'its result: {error}')


@lru_cache(512)
def compiled(text: str, name: str, own: frozenset = frozenset()):
    "Tests as code; candidates of a problem come one after the other."
    return compile(with_looks(text, own), name, 'exec')


def run(questions: Questions) -> None:
    "Execute the context and the tests."
    job, space = questions.job, questions.space
    if 'data' in job: space['DATA'] = job['data']
    if 'random' in job['context'] + job['tests']: __import__('random').seed(job['seed'])  # the same draws every time
    if job['context']: exec(compiled(job['context'], '<context>'), space)
    questions.own.update(space)
    if job['entry']: questions.enter(job['entry'])
    if questions.shadowed: enter_shadowed(questions)
    exec(compiled(job['tests'], '<tests>', LOOK_NAMES.intersection(space)), space)


def enter_shadowed(questions: Questions) -> None:
    """Give tests the functions of the program that have a name of Python's, if they name no other function of it.

    Else these names are Python's."""
    job = questions.job
    used = names_of_tests(job) - questions.space.keys()
    about_others = job['entry'] or used - vars(builtins).keys()
    for name in used.intersection(questions.shadowed):
        if name not in EXCEPTIONS and not about_others: questions.enter(name)


name_of = type.__dict__['__name__'].__get__  # whatever a metaclass of the tests says


def line_of(error: BaseException, name: str) -> str:
    "`Type: message` of the exception that ended the tests, on one line."
    try: text = ' '.join(str(error).split())[:300]
    except BaseException: text = ''
    return f'{name}: {text}' if text else name
