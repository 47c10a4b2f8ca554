"""What a benchmark's own tests ask a function, and whether another function gives the same answers.

`record` runs a reference solution under its tests and notes the calls; `agreeing` asks functions of somebody else the
calls of many problems and tells which problems' answers they give; `expect` compares in the same way, from outside. The
first two run in a locked child, behind our layers. What `agreeing` says a program could forge: it only chooses the
pairs that are worth running the tests for, which then happens where nothing can be forged.
"""
import json, signal, sys, time, types
from codec import decode, encode
from kinds import Unsupported
from observe import Slow, slow

NEAR = 1e-3   # numbers this close, relatively, may be the same answer: how close they must be, only the tests know
QUICK_SECONDS = 3e-3  # seconds; a call that takes the reference longer is noted only when there is no other
LEAST_SECONDS = 0.02  # seconds that a call always gets
LOADING_SECONDS = 1   # seconds
WAITING_SECONDS = 2   # seconds on the clock; who takes longer waits for what does not come
MAX_HANGS = 100   # calls of one program that end by time before it is given up


class Enough(BaseException):
    "The tests have asked enough."


class Waits(BaseException):
    "A function waits, and takes no processor time that could run out."


def waits(*_):
    "Answer the clock's signal."
    raise Waits


def load(program: str) -> dict:
    "Execute a program's text as a module of its own."
    module = types.ModuleType('solution')
    sys.modules['solution'] = module
    exec(compile(program, '<program>', 'exec'), module.__dict__)
    return module.__dict__


def outcome(function, given: list | tuple) -> object:
    "What a call gives, or the arguments as it left them when it gives nothing, encoded."
    result = encode(function(*given))
    return {'left': encode(given)} if result is None else result


def record(program: str, entry: str, context: str, tests: str, inputs: list, most: int) -> str:
    """Note what tests, or given inputs, ask a function and what it answers.

    Gives JSON, [whether the calls are quick, [[arguments, answer], ...]], each encoded, or in words why there is
    none."""
    function = load(program)[entry]
    quick, late = {}, {}
    def note(given, kwargs):
        asked, began = None, time.process_time()
        if not kwargs:
            try: asked = json.dumps(encode(list(given)))
            except Unsupported: pass
        if asked is None: return function(*given, **kwargs)
        result = function(*given)
        try: answer = encode(result) if result is not None else {'left': encode(list(given))}
        except Unsupported: return result
        if answer != {'left': json.loads(asked)}:
            (quick if time.process_time() - began < QUICK_SECONDS else late)[asked] = answer
        if len(quick) >= most: raise Enough
        return result
    def wrapper(*given, **kwargs): return note(given, kwargs)
    space = {'__name__': 'tests'}
    try:
        if inputs:
            for given in inputs: note(decode(given), {})
        else:
            exec(compile(context, '<context>', 'exec'), space)
            space[entry] = wrapper
            exec(compile(tests, '<tests>', 'exec'), space)
    except Enough: pass
    except Exception as error:
        if not quick and not late: return f'its tests ask nothing: {type(error).__name__}: {error}'[:200]
    if not quick and not late: return 'its tests ask nothing that is plain data'
    return json.dumps([bool(quick), [[json.loads(asked), answer] for asked, answer in (quick or late).items()]])


def agreeing(programs: list, probes: list) -> list:
    """Find the problems whose probes the functions of programs answer.

    `programs`: [text, [[function, [number of arguments, ...]], ...]] each.
    `probes`: [number of arguments, JSON of [[problem, patience, [[arguments, answer], ...]], ...]] each.
    Gives for each program [[function, problem], ...], or in words why it cannot be asked."""
    tables = {count: json.loads(text) for count, text in probes}
    signal.signal(signal.SIGPROF, slow)
    signal.signal(signal.SIGALRM, waits)
    return [asked(*program, tables) for program in programs]


def asked(program: str, functions: list, tables: dict) -> list | str:
    "What `answered` says, of a program that may wait as well."
    try: return answered(program, functions, tables)
    except Waits: return 'it waits for what does not come'


def answered(program: str, functions: list, tables: dict) -> list | str:
    "Find the problems whose probes one program's functions answer."
    found, hung = [], 0
    space = timed(LOADING_SECONDS, loaded, program)
    if not isinstance(space, dict): return space or 'it does not end when it is loaded'
    for name, counts in functions:
        function = timed(LOADING_SECONDS, reach, space, name)
        if not function: continue
        for problem, patience, calls in (row for count in counts for row in tables[count]):
            # who hangs often gets little time
            said = timed(max(patience / 2 ** min(hung, 20), LEAST_SECONDS), agrees, function, calls)
            if said is None: hung += 1
            elif said: found.append([name, problem])
            if hung >= MAX_HANGS: return 'it hangs on most inputs'
    return found


def loaded(program: str) -> dict | str:
    "A program's namespace, or in words why there is none."
    try: return load(program)
    except Exception as error: return f'{type(error).__name__}: {error}'[:200]


def timed(seconds: float, work, *given: object) -> object:
    "What some work gives; False when it raises, None when it takes too long."
    try:
        signal.setitimer(signal.ITIMER_PROF, seconds, 0.02)
        signal.setitimer(signal.ITIMER_REAL, WAITING_SECONDS, 0.02)
        try: return work(*given)
        finally:
            signal.setitimer(signal.ITIMER_REAL, 0)
            signal.setitimer(signal.ITIMER_PROF, 0)
    except Slow: return None
    except Waits: raise
    except BaseException: return False


def reach(space: dict, name: str) -> object:
    "A function by its name, or the method `Class.name` of a fresh instance."
    owner, _, method = name.rpartition('.')
    return getattr(space[owner](), method) if owner else space[name]


def agrees(function, calls: list) -> bool:
    "Whether a function answers all calls of a problem."
    return all(same(outcome(function, decode(asked)), wanted) for asked, wanted in calls)


def same(answer: object, wanted: object, near: float = NEAR) -> bool:
    "Whether two encoded answers may count as one: numbers that are close, a list for a tuple, true for 1."
    if answer == wanted: return True
    if isinstance(answer, (int, float)) and isinstance(wanted, (int, float)):
        return abs(answer - wanted) <= near * max(1, abs(wanted))
    if isinstance(answer, dict) and isinstance(wanted, dict):
        if 'dict' in answer and 'dict' in wanted: return same_dict(answer['dict'], wanted['dict'], near)
        if answer.keys() == wanted.keys(): return all(same(answer[tag], wanted[tag], near) for tag in wanted)
    answer, wanted = untupled(answer), untupled(wanted)
    if not isinstance(answer, list) or not isinstance(wanted, list) or len(answer) != len(wanted): return False
    return all(same(a, w, near) for a, w in zip(answer, wanted))


def untupled(value: object) -> object: return value['tuple'] if isinstance(value, dict) and 'tuple' in value else value


def same_dict(answer: list, wanted: list, near: float) -> bool:
    "Whether two encoded dictionaries hold the same, in whatever order."
    theirs, ours = ({json.dumps(key): value for key, value in zip(*parts)} for parts in (answer, wanted))
    return theirs.keys() == ours.keys() and all(same(theirs[key], ours[key], near) for key in ours)


def expect(function, text: str) -> None:
    """Hold a function against answers that are known: the tests of a problem that comes with inputs alone.

    Runs in the verifier."""
    plain, in_place = [], []
    for call in json.loads(text): (in_place if isinstance(call[1], dict) and 'left' in call[1] else plain).append(call)
    for (_, wanted), answer in zip(plain, function.each(decode(asked) for asked, _ in plain)):
        hold(encode(answer), wanted)
    for asked, wanted in in_place:
        given = decode(asked)
        result = function(*given)
        hold({'left': encode(given)} if result is None else encode(result), wanted)


def hold(answer: object, wanted: object) -> None:
    "Raise where an answer is not the one that is wanted."
    if not same(answer, wanted, 1e-6): raise AssertionError(f'{answer!r:.80} is not {wanted!r:.80}')
