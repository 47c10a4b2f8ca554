"""evalplus's way of judging: what a program gives for an input against what the reference solution gives for the same input.

`judge_outputs` runs in the judge: the reference solution is executed there, which is the benchmark's own text and as trusted as its tests would be; the candidate stays in its locked child.
`run` is the official way: reference, comparison and candidate in one process, a locked child, where a candidate could forge what it likes.

No expected output is kept longer than it is needed, since those of one task may take hundreds of megabytes; the judge keeps their digests for the next samples of the same task.
Facts (tasks, tolerances, limits) are those of evalplus at 26d6d00; where 0.3.1 differs, the case says so.
"""
import cmath, json, marshal, math, re, signal, sys, time
from collections import namedtuple
from functools import lru_cache
from hashlib import sha256
from itertools import chain, islice, repeat

WHOLE, GRACE = 60.0, 2.0          # seconds for all inputs together, and until evalplus kills the process
SLOWER = 4.0                      # times as long as the reference solution may one call take
RTOL, FLOAT_ATOL = 1e-7, 1e-6     # relative tolerance; absolute one where the expected output is made of floats
GROUPS = (1, 8, 64, 512)          # inputs whose outputs are expected at a time, at first, then, ...
HELD, LARGE = 8 << 20, 64 << 10   # bytes: expected outputs held at a time; one whose digest is asked for
PART = 20_000                     # items of a large output that are fetched at a time
PASS, FAIL, LATE = 'pass', 'fail', 'timeout'

# ---------------------------------------------------------------- inputs, which the data file holds as JSON

def same(value): return value
def tuples(values): return [tuple(value) for value in values]
def tuple_of_tuples(values): return tuple(tuple(value) for value in values)
def tuple_of_some(values): return tuple(tuple(value) if isinstance(value, list) else value for value in values)
def tuple_values(values): return {key: tuple(value) for key, value in values.items()}
def sets(values): return [set(value) if isinstance(value, list) and value else {} for value in values]
def deep_tuple(value): return tuple(map(deep_tuple, value)) if isinstance(value, list) else value

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


def restore(task, inputs):
    "Lists of arguments as the task means them: tuples, sets and complex numbers again."
    if task not in RESTORE: return list(inputs)  # Mbpp/793 has an empty object where a list is meant
    *ways, last = RESTORE[task]
    return [[way(argument) for way, argument in zip(chain(ways, repeat(last)), arguments)] for arguments in inputs]


# ---------------------------------------------------------------- comparison

NOT_NONE = {'check_str', 'text_match_three', 'text_starta_endb'}  # give matches, which are compared by whether there is one
AS_SETS = {'similar_elements', 'find_char_long', 'common_in_nested_lists', 'extract_singly', 'larg_nnum', 'intersection_array', 'find_dissimilar', 'Diff'}


def pyramid(edge, height): return round(edge ** 2 + 4 * (edge * math.sqrt((edge / 2) ** 2 + height ** 2)) / 2)
def polynomial(factors, x): return sum([factor * math.pow(x, power) for power, factor in enumerate(factors)])


def digit_distance(a, b):
    size = max(len(str(a)), len(str(b)))
    return sum(abs(int(x) - int(y)) for x, y in zip(str(a).zfill(size), str(b).zfill(size)))


class Comparison:
    "Compare outputs for the inputs of one set, in order: a float among the expected ones loosens the tolerance from there on."
    def __init__(self, case):
        self.mbpp, self.entry, self.atol = case['dataset'] == 'mbpp', case['entry'], case['atol']
        self.as_sets = self.mbpp and self.entry in AS_SETS

    def holds(self, arguments, output, expected):
        "Whether an output is right. Raises whatever comparing raises, which is a failure, too."
        if self.mbpp and self.entry == 'are_equivalent': return True
        if self.mbpp and self.entry in NOT_NONE: return output == expected if isinstance(output, bool) else expected == (output is not None)
        if not self.mbpp and self.entry == 'find_zero': return abs(polynomial(*arguments, output)) <= self.atol
        right = set(output) == set(expected) if self.as_sets else output == expected or self.also_right(arguments, output)
        self.loosen(is_floats(expected))
        if right or self.atol == 0: return right
        if type(output) is not type(expected) or isinstance(expected, (list, tuple)) and len(output) != len(expected): return False
        return allclose(output, expected, self.atol)

    def loosen(self, floats):
        if floats and self.atol == 0: self.atol = FLOAT_ATOL

    def also_right(self, arguments, output):
        if not self.mbpp: return False
        if self.entry == 'sum_div': return output == 0
        if self.entry == 'surface_Area': return abs(output - pyramid(*arguments)) <= self.atol
        return self.entry == 'digit_distance_nums' and output == digit_distance(*arguments)


def is_floats(value):
    return isinstance(value, float) or isinstance(value, (list, tuple)) and len(value) > 0 and all(isinstance(item, float) for item in value)


def allclose(output, expected, atol):
    "numpy's function of this name, for numbers, lists and tuples; raises for what numpy would not take as numbers."
    missing = len(shape_of(output)) - len(shape_of(expected))
    for side in (output, expected): check_numbers(side)
    return all(cmath.isfinite(b) and abs(a - b) <= atol + RTOL * abs(b) or a == b for a, b in pairs(output, expected, missing))


def shape_of(value):
    if isinstance(value, (int, float, complex)): return ()
    if not isinstance(value, (list, tuple, range)): raise TypeError(f'{type(value).__name__} is not a number')
    if len(shapes := {shape_of(item) for item in value}) > 1: raise ValueError('a list of unequal lists')
    return len(value), *(shapes.pop() if shapes else ())


def check_numbers(value):
    "A list that holds an integer beyond 64 bits is a list of objects to numpy, which it does not compare."
    if not isinstance(value, (int, float, complex)) and any(isinstance(number, int) and not -1 << 63 <= number < 1 << 64 for number in leaves(value)): raise TypeError('integers beyond 64 bits')


def leaves(value):
    if isinstance(value, (list, tuple, range)):
        for item in value: yield from leaves(item)
    else: yield value


def pairs(a, b, missing):
    "Numbers side by side, with numpy's broadcasting; `missing`: dimensions that `b` has less than `a`."
    if missing > 0:
        for item in a: yield from pairs(item, b, missing - 1)
    elif missing < 0:
        for item in b: yield from pairs(a, item, missing + 1)
    elif isinstance(a, (list, tuple, range)):
        if len(a) != len(b) and 1 not in (len(a), len(b)): raise ValueError('shapes do not match')
        for x, y in zip(*(value * max(len(a), len(b)) if len(value) == 1 else value for value in (list(a), list(b)))) if len(a) and len(b) else (): yield from pairs(x, y, 0)
    else: yield (a, b) if isinstance(a, complex) or isinstance(b, complex) else (float(a), float(b))


# ---------------------------------------------------------------- the reference solution

class Reference:
    "The reference solution of a task on the inputs of one set."
    def __init__(self, case):
        self.case, self.known, space = case, [], {}  # known: what is expected for the first inputs, as far as it has been asked for
        exec(compile(case['reference'], '<reference>', 'exec'), space)
        self.function, self.as_flags = space[case['entry']], case['dataset'] == 'mbpp' and case['entry'] in NOT_NONE
        self.by_value = case['dataset'] == 'humaneval' and case['entry'] == 'find_zero'  # where no output is right by being the same

    def inputs(self): return restore(self.case['task'], json.loads(self.case['inputs']))  # fresh ones: programs may change them

    def output(self, arguments):
        "What is expected for an input, and how long the reference solution took for it."
        since = time.perf_counter()
        output = self.function(*arguments)
        took = time.perf_counter() - since
        return (output is not None if self.as_flags else output), took

    def limit(self, took): return max(self.case['least'], SLOWER * took)  # of one call


class Expected:
    """What is expected for each input, in order. The reference solution is asked once for all samples of a task: what stays of an output is its digest,
    which tells nearly always that a candidate's is the same; where it does not, the reference solution is asked again."""
    def __init__(self, reference): self.reference, self.fresh, self.values = reference, [], {}

    def __getitem__(self, i):
        known = self.reference.known
        if i == len(known):
            value, took = self.ask(i)
            known.append(Known(took, weight(value), type(value), len(value) if isinstance(value, SEQUENCES) else 0, is_floats(value), None if self.reference.by_value else digest(value)))
            self.values[i] = value
        return known[i]

    def ask(self, i):
        if not self.fresh: self.fresh = self.reference.inputs()
        arguments, self.fresh[i] = self.fresh[i], None
        return self.reference.output(arguments)

    def value(self, i): return self.values.pop(i) if i in self.values else self.ask(i)[0]


Known = namedtuple('Known', 'took weight kind size floats digest')  # seconds, bytes, type, items, whether they are floats
SEQUENCES = (str, list, tuple)


def digest(value):
    "A few bytes that are the same only for values of the same types and content; None for what has none."
    try: data = marshal.dumps(value, 2)  # of this version: the same bytes for what is the same
    except ValueError: return None
    return data if len(data) < 32 else sha256(data).hexdigest()


def weight(value, samples=8):
    "About how many bytes a value takes."
    if isinstance(value, (str, bytes)): return 50 + len(value)
    if isinstance(value, dict): return 100 + 2 * weight(list(islice(value.items(), samples))) * len(value) // max(1, min(samples, len(value)))
    if not isinstance(value, (list, tuple, set, frozenset)): return 28 + (value.bit_length() // 8 if isinstance(value, int) else 0)
    some = value[::len(value) // samples + 1] if isinstance(value, (list, tuple)) else list(islice(value, samples))
    return 56 + len(value) * (8 + sum(map(weight, some)) // len(some)) if some else 56


# ---------------------------------------------------------------- in the judge

@lru_cache(64)
def reference_of(packed):
    "The reference for a case, a JSON text; samples of one task come one after another."
    return Reference(json.loads(packed))


def judge_outputs(function, in_parts, packed):
    "Ask the candidate for the outputs of all inputs; raise at the first that is wrong. `in_parts`: its `PARTS`."
    reference, started, own, clock = reference_of(packed), time.perf_counter(), 0.0, time.perf_counter
    inputs, expected, comparison = reference.inputs(), Expected(reference), Comparison(reference.case)
    position, budget = 0, reference.case['least'] * len(inputs)
    if not inputs and not in_parts(function.__name__, None): raise AssertionError(f'it has no function {function.__name__}')
    for size in chain(GROUPS, repeat(GROUPS[-1])):
        if position == len(inputs): return
        since, group, held, large = clock(), [], 0, False
        while len(group) < min(size, len(inputs) - position) and held < HELD and not large:
            group.append(known := expected[position + len(group)])
            held += known.weight
            large = known.weight > LARGE and known.kind in SEQUENCES and not comparison.as_sets
        limits = [reference.limit(known.took) for known in group]
        budget += sum(limit - reference.case['least'] for limit in limits)
        own += clock() - since
        answers = function.each(inputs[position:position + len(group) - large], max(limits))
        for known in group:
            arguments = inputs[position]
            if large and known is group[-1]:
                answer, beside = large_answer(in_parts, function.__name__, arguments, known, limits[-1], position)
                own += beside
            else: answer = next(answers)
            if answer is SAME or known.digest and digest(answer) == known.digest: comparison.loosen(known.floats)
            else:
                since = clock()
                wanted = expected.value(position)
                own += clock() - since
                if not comparison.holds(arguments, answer, wanted): raise AssertionError(f'input {position}: {told(answer)} is not {told(wanted)}')
            expected.values.pop(position, None)
            inputs[position] = None
            position += 1
            if clock() - started - own > min(WHOLE, budget) + GRACE: function.questions.fail('timeout', f'no end within {min(WHOLE, budget) + GRACE:g} s for all inputs')


WITH_LIBRARIES = re.compile(r'\b(numpy|scipy|pandas|sympy|sklearn|networkx)\b')  # programs that shall find installed packages, as they do with evalplus

PARTS = '''
pass
def _in_parts(name, arguments, first=None, last=None, kept=[]):
    if arguments is None: return name in globals()
    if first is not None: return kept[0][first:last]
    if name:
        kept[:] = [globals()[name](*arguments)]
        return [type(kept[0]).__name__, len(kept[0])]
    from hashlib import sha256
    from marshal import dumps
    try: return sha256(dumps(kept[0], 2)).hexdigest()
    except ValueError: return None
'''  # goes below a candidate: an output of hundreds of megabytes fits no message, and a digest of what is right is only known to who has it
SAME = object()


def large_answer(in_parts, name, arguments, known, limit, position):
    "Have the candidate make a large output: `SAME` where its digest is the expected one's, or else the output; and the seconds that this took beside the call itself."
    said, = in_parts.each([[name, arguments]], limit)
    since = time.perf_counter()
    if type(said) is not list or said[1] != known.size: raise AssertionError(f'input {position}: {told(said)} is not {told([known.kind.__name__, known.size])}')
    if known.digest and said[0] == known.kind.__name__ and in_parts('', []) == known.digest: return SAME, time.perf_counter() - since
    value, *parts = (in_parts(name, [], first, first + PART) for first in range(0, known.size, PART))
    for part in parts: value += part
    return value, time.perf_counter() - since


def told(value):
    import reprlib
    return reprlib.repr(value)


# ---------------------------------------------------------------- the official way

REMOVED = {  # what evalplus takes away from programs
    'builtins': 'exit quit help open', 'subprocess': 'Popen', 'shutil': 'rmtree move chown',
    'os': 'kill system putenv remove removedirs rmdir fchdir setuid fork forkpty killpg rename renames truncate replace unlink fchmod fchown chmod chown chroot lchflags lchmod lchown getcwd chdir',
}
UNIMPORTABLE = 'ipdb joblib resource psutil tkinter'


class TimeLimit(Exception):
    "Raised inside a program by the alarm; it may catch it, as it may with evalplus."


def run(solution, libraries, packed):
    """Execute a solution as evalplus does, and say [pass | fail | timeout, why].

    evalplus computes all expected outputs once, elsewhere, and keeps them in a file. Here the reference solution is loaded before the candidate, and asked right before each of its calls: in the same process, but with inputs of its own
    and outside of its time. A candidate that changes modules under the reference's feet is judged by what comes of that; one that needs as much memory as evalplus grants has that much less as the reference's output takes."""
    case = json.loads(packed)
    sys.path += libraries
    for name in WITH_LIBRARIES.findall(solution):  # evalplus has loaded numpy before it takes anything away
        try: __import__(name)
        except ImportError: pass
    reference, comparison = Reference(case), Comparison(case)
    inputs, fresh, position, own = reference.inputs(), iter(reference.inputs()), 0, 0.0
    clock, limit, budget, whole = time.perf_counter, reference.limit, case['least'] * len(inputs), WHOLE
    for name, removed in REMOVED.items():
        module = __import__(name)
        for attribute in removed.split(): setattr(module, attribute, None)
    sys.modules.update(dict.fromkeys(UNIMPORTABLE.split()))
    started = clock()
    try:
        space = {}
        silently(exec, solution, space)
        function = space[case['entry']]
        for position, arguments in enumerate(inputs):
            since = clock()
            expected, took = reference.output(next(fresh))
            own, budget = own + clock() - since, budget + limit(took) - case['least']
            output = silently(function, *arguments, seconds=limit(took))
            if not comparison.holds(arguments, output, expected): return [FAIL, f'input {position}: {told(output)} is not {told(expected)}']
            if clock() - started - own > min(whole, budget) + GRACE: return [LATE, f'no end within {min(whole, budget) + GRACE:g} s for all inputs']
    except BaseException as error: return [FAIL, f'input {position}: {type(error).__name__}: {error}'[:300]]
    if case['forgets'] and inputs: return [FAIL, 'this version of evalplus does not count the inputs of find_zero']
    return [PASS, '']


def silently(work, *arguments, seconds=0.0):
    "Do some work without standard streams, and, where it is bounded, with an alarm at its end."
    streams = sys.stdin, sys.stdout, sys.stderr
    sys.stdin = sys.stdout = sys.stderr = unreadable()
    try:
        if not seconds: return work(*arguments)
        def ring(*_): raise TimeLimit('Timed out!')
        signal.setitimer(signal.ITIMER_REAL, seconds)
        signal.signal(signal.SIGALRM, ring)
        try: return work(*arguments)
        finally: signal.setitimer(signal.ITIMER_REAL, 0)
    finally: sys.stdin, sys.stdout, sys.stderr = streams


def unreadable():
    import io
    class Text(io.StringIO):
        def read(self, *_): raise OSError
        def readable(self): return False
        readline = readlines = read
    return Text()
