"""evalplus's way to a verdict: what a program gives for an input against what the reference solution gives for it.

`expect` asks the reference solution once for all samples of a task, and notes what is expected: not the outputs, which
may take hundreds of megabytes, but their digests. They tell nearly always that a candidate's output is the same; where
they do not, the reference solution is asked again for that one input.
`check_outputs` runs in the verifier, and executes the reference solution there where it must: it is the benchmark's own
text, as trusted as its tests would be. The candidate stays in its locked child.
`run` is the official way: reference, comparison and candidate in one process, a locked child, where a candidate could
forge what it likes.

Facts (tasks, tolerances, limits) are those of evalplus at 26d6d00; where 0.3.1 differs, the case says so.
"""
import cmath, json, marshal, math, signal, sys, time
from collections import namedtuple
from functools import lru_cache
from hashlib import sha256
from itertools import chain, islice, repeat
from .guard import Guard, WriteOnlyStringIO, plain

ALL_SECONDS, GRACE_SECONDS = 60.0, 2.0  # seconds for all inputs together, and until evalplus kills the process
TIMES_SLOWER = 4.0  # times as long as the reference solution may one call take
RTOL, FLOAT_ATOL = 1e-7, 1e-6  # relative tolerance; absolute one where the expected output is made of floats
LARGE_BYTES, PART_ITEMS = 64 << 10, 20_000  # bytes of an output that comes in parts, and items of one
PASS, FAIL, LATE = 'pass', 'fail', 'timeout'

# ---------------------------------------------------------------- inputs, which the data file holds as JSON

def same(value: object) -> object: return value
def tuples(values: list) -> list: return [tuple(value) for value in values]
def tuple_of_tuples(values: list) -> tuple: return tuple(tuple(value) for value in values)
def tuple_of_some(values: list) -> tuple: return (*(tuple(v) if isinstance(v, list) else v for v in values),)
def tuple_values(values: dict) -> dict: return {key: tuple(value) for key, value in values.items()}
def sets(values: list) -> list: return [set(value) if isinstance(value, list) and value else {} for value in values]
def deep_tuple(value: object) -> object: return tuple(map(deep_tuple, value)) if isinstance(value, list) else value

ARGUMENTS = (  # how the arguments of these MBPP tasks are restored, one by one; the last way holds for all that follow
    ((tuple,), '2 116 132 143 222 261 273 394 399 421 424 429 470 560 579 596 616 630 726 740 744 809'),
    ((tuples,), '63 64 70 94 120 237 272 299 400 409 417 438 473 614 780'),
    ((tuples, same), '75 413 444 753'),
    ((same, tuple), '106 750'),
    ((tuple, same), '250 307 405 446 617 720 763 808'),
    ((tuple_of_tuples,), '259 401 445'),
    ((tuple_of_some,), '278'),
    ((tuple_values, same), '722'),
    ((sets,), '115'),
    ((float, complex), '124'),
    ((complex,), '252'),
    ((deep_tuple,), '580 615 791'),
)
RESTORE = {f'Mbpp/{number}': ways for ways, numbers in ARGUMENTS for number in numbers.split()}


def restore(task: str, inputs: list) -> list:
    "Lists of arguments as the task means them: tuples, sets and complex numbers again."
    if task not in RESTORE: return list(inputs)  # Mbpp/793 has an empty object where a list is meant
    *ways, last = RESTORE[task]
    return [[way(argument) for way, argument in zip(chain(ways, repeat(last)), arguments)] for arguments in inputs]


# ---------------------------------------------------------------- comparison

# give matches, which are compared by whether there is one
NOT_NONE = {'check_str', 'text_match_three', 'text_starta_endb'}
AS_SETS = {
    'similar_elements', 'find_char_long', 'common_in_nested_lists', 'extract_singly', 'larg_nnum', 'intersection_array',
    'find_dissimilar', 'Diff',
}


def pyramid(edge: float, height: float) -> int:
    "The surface of a square pyramid, as a solution rounds it."
    return round(edge ** 2 + 4 * (edge * math.sqrt((edge / 2) ** 2 + height ** 2)) / 2)


def polynomial(factors: list, x: float) -> float:
    "The value of a polynomial, factors of low powers first."
    return sum([factor * math.pow(x, power) for power, factor in enumerate(factors)])


def digit_distance(a: int, b: int) -> int:
    "The sum of the differences of two numbers' digits."
    size = max(len(str(a)), len(str(b)))
    return sum(abs(int(x) - int(y)) for x, y in zip(str(a).zfill(size), str(b).zfill(size)))


class Comparison:
    """Compare outputs for the inputs of one set, in order.

    A float among the expected ones loosens the tolerance from there on."""
    def __init__(self, case: dict):
        self.mbpp = case['dataset'] == 'mbpp'
        self.entry, self.atol = case['entry'], case['atol']
        self.as_sets = self.mbpp and self.entry in AS_SETS

    def holds(self, arguments: list, output: object, expected: object) -> bool:
        "Whether an output is right. Raises whatever comparing raises, which is a failure, too."
        if self.mbpp and self.entry == 'are_equivalent': return True
        if self.mbpp and self.entry in NOT_NONE:
            return output == expected if type(output) is bool else expected == (output is not None)
        if not self.mbpp and self.entry == 'find_zero': return abs(polynomial(*arguments, output)) <= self.atol
        if self.as_sets: right = set(output) == set(expected)
        else: right = output == expected or self.also_right(arguments, output)
        self.loosen(is_floats(expected))
        if right or self.atol == 0: return right
        if type(output) is not type(expected) or isinstance(expected, (list, tuple)) and len(output) != len(expected):
            return False
        return allclose(plain(output), expected, self.atol)

    def loosen(self, floats: bool) -> None:
        "Allow floats a tolerance, from here on."
        if floats and self.atol == 0: self.atol = FLOAT_ATOL

    def also_right(self, arguments: list, output: object) -> bool:
        "Whether one of the tasks with rules of their own takes an output."
        if not self.mbpp: return False
        if self.entry == 'sum_div': return output == 0
        if self.entry == 'surface_Area': return abs(output - pyramid(*arguments)) <= self.atol
        return self.entry == 'digit_distance_nums' and output == digit_distance(*arguments)


def is_floats(value: object) -> bool:
    "Whether a value is a float, or a sequence of nothing else."
    if isinstance(value, float): return True
    return isinstance(value, (list, tuple)) and len(value) > 0 and all(isinstance(item, float) for item in value)


def allclose(output: object, expected: object, atol: float) -> bool:
    "numpy's function of this name, for numbers, lists and tuples; raises for what numpy would not take as numbers."
    missing = len(shape_of(output)) - len(shape_of(expected))
    for side in (output, expected): check_numbers(side)
    for a, b in pairs(output, expected, missing):
        near = cmath.isfinite(b) and abs(a - b) <= atol + RTOL * abs(b)
        if not (near or a == b): return False
    return True


def shape_of(value: object) -> tuple:
    "The dimensions of nested sequences, as numpy would see them."
    if isinstance(value, (int, float, complex)): return ()
    if not isinstance(value, (list, tuple, range)): raise TypeError(f'{type(value).__name__} is not a number')
    if len(shapes := {shape_of(item) for item in value}) > 1: raise ValueError('a list of unequal lists')
    return len(value), *(shapes.pop() if shapes else ())


def check_numbers(value: object) -> None:
    "A list that holds an integer beyond 64 bits is a list of objects to numpy, which it does not compare."
    if isinstance(value, (int, float, complex)): return
    for number in leaves(value):
        if isinstance(number, int) and not -1 << 63 <= number < 1 << 64: raise TypeError('integers beyond 64 bits')


def leaves(value: object):
    "The numbers in nested sequences."
    if isinstance(value, (list, tuple, range)):
        for item in value: yield from leaves(item)
    else: yield value


def pairs(a: object, b: object, missing: int):
    "Numbers side by side, with numpy's broadcasting; `missing`: dimensions that `b` has less than `a`."
    if missing > 0:
        for item in a: yield from pairs(item, b, missing - 1)
    elif missing < 0:
        for item in b: yield from pairs(a, item, missing + 1)
    elif isinstance(a, (list, tuple, range)):
        if len(a) != len(b) and 1 not in (len(a), len(b)): raise ValueError('shapes do not match')
        if not len(a) or not len(b): return
        most = max(len(a), len(b))
        rows = [value * most if len(value) == 1 else value for value in (list(a), list(b))]
        for x, y in zip(*rows): yield from pairs(x, y, 0)
    else: yield (a, b) if isinstance(a, complex) or isinstance(b, complex) else (float(a), float(b))


# ---------------------------------------------------------------- the reference solution

class Reference:
    "The reference solution of a task on the inputs of one set."
    def __init__(self, case: dict):
        self.case = case
        self.space = self.inputs_as_text = None
        self.as_flags = case['dataset'] == 'mbpp' and case['entry'] in NOT_NONE
        self.by_value = case['dataset'] == 'humaneval' and case['entry'] == 'find_zero'  # being the same is not enough
        self.known = [Known(*row) for row in case.get('known') or ()]  # of the first inputs, as far as it was asked

    def inputs(self) -> list:
        "All arguments, fresh ones: programs may change them."
        return restore(self.case['task'], json.loads(self.case['inputs']))  # fresh ones: programs may change them

    def texts(self) -> list:
        "The arguments for each input, as JSON."
        if self.inputs_as_text is None: self.inputs_as_text = [*map(json.dumps, json.loads(self.case['inputs']))]
        return self.inputs_as_text

    def arguments(self, i: int) -> list: return restore(self.case['task'], [json.loads(self.texts()[i])])[0]

    def function(self):
        "The reference solution's function; its text is executed once."
        if self.space is None:
            self.space = {}
            exec(compile(self.case['reference'], '<reference>', 'exec'), self.space)
        return self.space[self.case['entry']]

    def output(self, arguments: list) -> tuple:
        "What is expected for an input, and how long the reference solution took for it."
        function, since = self.function(), time.perf_counter()
        output = function(*arguments)
        took = time.perf_counter() - since
        return (output is not None if self.as_flags else output), took

    def about(self, output: object, took: float) -> 'Known':
        "What is known of an output."
        since = time.perf_counter()
        found = None if self.by_value else digest(output, NANS)
        return Known(round(took, 4), is_floats(output), found, round(time.perf_counter() - since, 4))

    def limit(self, took: float) -> float: return max(self.case['least'], TIMES_SLOWER * took)  # of one call


# of an output: seconds, whether it is made of floats, its digest, seconds for this one
Known = namedtuple('Known', 'took floats digest telling')
SEQUENCES = (str, list, tuple)
NANS = b'\xf8\x7f', b'\xf8\xff'  # how they end in memory: equal to nothing, whatever their bytes


class Expected:
    "What is known of each input's output, in order; and the output itself, where it must be had."
    def __init__(self, reference: Reference): self.reference, self.values = reference, {}

    def __getitem__(self, i):
        known = self.reference.known
        if i == len(known):
            self.values[i], took = self.reference.output(self.reference.arguments(i))
            known.append(self.reference.about(self.values[i], took))
        return known[i]

    def value(self, i: int) -> object:
        "The output that is expected for an input."
        return self.values.pop(i) if i in self.values else self.reference.output(self.reference.arguments(i))[0]

    def right(self, i: int, comparison: Comparison) -> None:
        "Note that an output was the expected one."
        self.values.pop(i, None)
        comparison.loosen(self.reference.known[i].floats)


def digest(value: object, without: tuple = ()) -> str | None:
    "A few digits that only values of the same types and content share; None for no data, and what holds `without`."
    try: data = marshal.dumps(value, 2)  # of this version: the same bytes for what is the same
    except ValueError: return None
    return None if any(map(data.__contains__, without)) else sha256(data).hexdigest()[:DIGITS]


DIGITS = 18  # of a digest


def weight(value: object, samples: int = 8) -> int:
    "About how many bytes a value takes."
    if isinstance(value, (str, bytes)): return 50 + len(value)
    if isinstance(value, dict):
        return 100 + 2 * weight(list(islice(value.items(), samples))) * len(value) // max(1, min(samples, len(value)))
    if not isinstance(value, (list, tuple, set, frozenset)):
        return 28 + (value.bit_length() // 8 if isinstance(value, int) else 0)
    some = value[::len(value) // samples + 1] if isinstance(value, (list, tuple)) else list(islice(value, samples))
    return 56 + len(value) * (8 + sum(map(weight, some)) // len(some)) if some else 56


def expect(packed: str) -> list:
    "What is known of the outputs that a case's reference solution gives, a row for each input."
    reference = Reference(json.loads(packed))
    return [[*reference.about(*reference.output(arguments))] for arguments in reference.inputs()]


# ---------------------------------------------------------------- in the verifier

@lru_cache(64)
def reference_of(packed: str) -> Reference:
    "The reference for a case, a JSON text; samples of one task come one after another."
    return Reference(json.loads(packed))


def check_outputs(ask, packed: str) -> None:
    """Ask the candidate for the outputs of all inputs; raise at the first that is wrong. `ask`: what `load` gives.

    What comes back for most calls is the digest of the output: only who has what is right can know it."""
    reference, clock = reference_of(packed), time.perf_counter
    expected, comparison = Expected(reference), Comparison(reference.case)
    texts = reference.texts()
    started, own = clock(), 0.0  # own: seconds that are not the candidate's
    least = reference.case['least']
    budget = least * len(texts)
    if not texts and ask(None) is not True: raise AssertionError(f"it has no function {reference.case['entry']}")
    for position, text in enumerate(texts):
        since = clock()
        known = expected[position]
        limit = reference.limit(known.took)
        budget += limit - least
        own += clock() - since
        said, = ask.each([[text]], limit + TIMES_SLOWER * known.telling)
        since = clock()
        if known.digest and said == known.digest: expected.right(position, comparison)
        else:
            output, wanted = output_of(ask, position), expected.value(position)
            right = comparison.holds(reference.arguments(position), output, wanted)
            if not right: raise AssertionError(wrong(position, output, wanted))
        own += clock() - since
        most = min(ALL_SECONDS, budget) + GRACE_SECONDS
        if clock() - started - own > most: ask.questions.fail('timeout', f'no end within {most:g} s for all inputs')


def output_of(ask, position: int) -> object:
    "The output of the last call; a large one comes in parts."
    about = ask(None, 'about')
    if type(about) is not list: return ask(None, 'value')
    kind, size = about
    if kind not in ('str', 'list', 'tuple') or type(size) is not int:
        raise AssertionError(f'input {position}: no output')
    value, *parts = (ask(None, first, first + PART_ITEMS) for first in range(0, size, PART_ITEMS))
    for part in parts: value += part
    return value


def wrong(position: int, output: object, wanted: object) -> str:
    "Say in words that an output is not the expected one."
    import reprlib
    return f'input {position}: {reprlib.repr(plain(output))} is not {reprlib.repr(wanted)}'


# ---------------------------------------------------------------- beside the candidate

def load(solution: str, libraries: list, space: dict, task: str, entry: str):
    """Execute a solution as it stands, and give a function that calls it with arguments given as JSON.

    That gives the digest of the output, which is kept; on demand what the output is about, all of it, or a part."""
    from .candidate import load
    load(solution, libraries, space)
    kept = []
    def ask(text, first='', last=None, read=json.loads, restore=restore, digest=digest):
        if text is not None:
            arguments, = restore(task, [read(text)])
            kept[:] = [space[entry](*arguments)]
            return digest(kept[0])
        if first == '': return entry in space
        if first == 'about': return about(kept[0])
        return kept.pop() if first == 'value' else kept[0][first:last]
    return ask


def about(output: object) -> list | None:
    "The type and the length of an output that is large; None for others."
    large = type(output) in SEQUENCES and weight(output) > LARGE_BYTES
    return [type(output).__name__, len(output)] if large else None


# ---------------------------------------------------------------- the official way

LOADED = 'datasets httpx pandas pyarrow rich termcolor tree_sitter wget yaml'.split()  # by evalplus, before it begins


class TimeLimit(Exception):
    "Raised inside a program by the alarm; it may catch it, as it may with evalplus."


def run(solution: str, libraries: list, packed: str) -> list:
    """Execute a solution as evalplus does, and say [pass | fail | timeout, why].

    evalplus computes all expected outputs once, elsewhere, and keeps them in a file. So it is here, but for the outputs
    of which a digest cannot tell: then the reference solution is asked, in this process, with inputs of its own and
    outside of the candidate's time. A candidate that changes modules under its feet gets the verdict that comes of
    that; one that needs as much memory as evalplus grants has that much less as the reference's output takes."""
    case = json.loads(packed)
    sys.path += libraries
    reference, comparison = Reference(case), Comparison(case)
    inputs, expected = reference.inputs(), Expected(reference)
    clock, limit = time.perf_counter, reference.limit
    budget, whole = case['least'] * len(inputs), ALL_SECONDS
    position, own = 0, 0.0  # own: seconds that are not the candidate's
    if len(reference.known) < len(inputs): reference.function()
    Guard(LOADED, builtins='exit quit help open')
    started = clock()
    try:
        space = {}
        silently(exec, solution, space)
        function = space[case['entry']]
        for position, arguments in enumerate(inputs):
            since = clock()
            known = expected[position]
            own, budget = own + clock() - since, budget + limit(known.took) - case['least']
            output = silently(function, *arguments, seconds=limit(known.took))
            since = clock()
            if known.digest and digest(output) == known.digest: expected.right(position, comparison)
            elif not comparison.holds(arguments, output, wanted := expected.value(position)):
                return [FAIL, wrong(position, output, wanted)]
            own += clock() - since
            if clock() - started - own > min(whole, budget) + GRACE_SECONDS:
                return [LATE, f'no end within {min(whole, budget) + GRACE_SECONDS:g} s for all inputs']
    except BaseException as error: return [FAIL, f'input {position}: {type(error).__name__}: {error}'[:300]]
    if case['forgets'] and inputs: return [FAIL, 'this version of evalplus does not count the inputs of find_zero']
    return [PASS, '']


def silently(work, *arguments: object, seconds: float = 0.0) -> object:
    "Do some work without standard streams, and, where it is bounded, with an alarm at its end."
    streams = sys.stdin, sys.stdout, sys.stderr
    sys.stdin = sys.stdout = sys.stderr = WriteOnlyStringIO()
    try:
        if not seconds: return work(*arguments)
        def ring(*_): raise TimeLimit('Timed out!')
        signal.setitimer(signal.ITIMER_REAL, seconds)
        signal.signal(signal.SIGALRM, ring)
        try: return work(*arguments)
        finally: signal.setitimer(signal.ITIMER_REAL, 0)
    finally: sys.stdin, sys.stdout, sys.stderr = streams
