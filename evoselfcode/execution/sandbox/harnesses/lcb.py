"""What LiveCodeBench's checker does with a program.

LiveCodeBench as of 28fef95, and as of 051d813, before it had a standard input of its own. Three places use this
module. The caller writes a program's text (`text_of`), parsing and never executing it. The locked child loads the text
and answers one test after the other (`prepared`). The comparison (`compare`) is made in the verifier where the verdict
counts, and for the official way in the child itself (`run`), where the program could forge it. Each result is True,
False or -2 (wrong), -3 (out of time) or -4 (an exception).
Standard library only; what a child rarely needs is imported where it is used.
"""
import builtins, io, json, re, signal, sys, time
from functools import lru_cache
from types import ModuleType
from .guard import Guard, plain
# What the full prelude imports, and the harness with it: a program's thread that imports some of it must not wait.
import datetime, decimal, fractions, numbers, statistics, threading  # noqa: F401

WRONG_VALUE, WRONG_TEXT, LATE, RAISED = False, -2, -3, -4
STARRED = '''string re datetime collections heapq bisect copy math random statistics itertools functools operator io sys
    json builtins typing'''.split()
NAMED = STARRED[:-2]  # these again as modules, so that `copy` is the module and not its function
# with these a program may find names that it does not write
DYNAMIC = set('globals locals vars dir eval exec __globals__ f_globals f_locals __dict__'.split())
MAX_DEPTH, MAX_DIGITS = 50_000, 50_000
LONGEST_OUTPUT = 8 << 20  # characters of printed text; no problem asks for as much
LARGEST = 512 << 20  # bytes that packed tests may unpack to


# ---------------------------------------------------------------- tests, as the data files hold them

def tests_of(data: str) -> list:
    "The tests in `data`: a JSON list of texts, each of which `unpack` reads."
    return [test for text in json.loads(data) for test in unpack(text)]


def unpack(text: str) -> list:
    """Tests, [{input, output, testtype}], from JSON, or from base64 of zlib of a pickle of one string of JSON.

    ValueError says what is wrong."""
    if not text.lstrip().startswith('['): text = unpickled(inflated(text))
    tests = json.loads(text)
    def is_test(row): return isinstance(row, dict) and all(isinstance(row.get(key), str) for key in ('input', 'output'))
    if not isinstance(tests, list) or not all(map(is_test, tests)):
        raise ValueError('tests must be a list of objects with the texts `input` and `output`')
    return tests


def inflated(text: str) -> bytes:
    "Undo base64 and zlib, within bounds."
    import binascii, zlib
    try: data = binascii.a2b_base64(text, strict_mode=True)
    except ValueError: raise ValueError('neither JSON nor base64') from None
    unpacker = zlib.decompressobj()
    try: found = unpacker.decompress(data, LARGEST)
    except zlib.error as error: raise ValueError(f'not zlib data ({error})') from None
    if unpacker.unconsumed_tail: raise ValueError(f'unpacks to more than {LARGEST >> 20} MB')
    if not unpacker.eof or unpacker.unused_data:
        raise ValueError('zlib data that is cut off, or followed by something else')
    return found


def unpickled(data: bytes) -> str:
    "The string in a pickle of one string; any other pickle is refused, since reading one can execute what it names."
    def number(size): return int.from_bytes(data[at:at + size], 'little')
    def expected(what): return ValueError(f'a pickle of more than one text: {what} expected at byte {at}')
    at = 2
    if data[:1] != b'\x80' or not 2 <= data[1] <= 5: raise ValueError('not a pickle of protocol 2 to 5')
    if data[at:at + 1] == b'\x95':  # FRAME
        at += 1
        if number(8) != len(data) - at - 8: raise expected('a frame as long as the rest')
        at += 8
    width = {b'\x8c': 1, b'X': 4, b'\x8d': 8}.get(bytes(data[at:at + 1]))  # SHORT_BINUNICODE, BINUNICODE, BINUNICODE8
    if not width: raise expected('a text')
    at += 1
    length = number(width)
    at += width
    text, at = data[at:at + length], at + length
    rest = bytes(data[at:at + 8])  # MEMOIZE or BINPUT 0, and STOP
    if len(text) < length or at + len(rest) != len(data) or rest not in (b'.', b'\x94.', b'q\0.'):
        raise expected('the end')
    return text.decode('utf-8', 'surrogatepass')


# ---------------------------------------------------------------- in the caller: text in, text out

def text_of(code: str, functional: bool) -> str:
    """The text that is executed for a program.

    These are imports that it may count on, and it, as it stands or as the body of a function."""
    return prelude(code) + '\n' + code if functional else wrapped(without_guard(code))


def without_guard(code: str) -> str:
    "A program with what it would do as a script, if that is its last statement."
    import ast
    try:
        *before, last = ast.parse(code).body
        if isinstance(last, ast.If) and ast.unparse(last.test).strip() == "__name__ == '__main__'":
            return ast.unparse(before) + '\n' + ast.unparse(last.body)
    except Exception: pass
    return code


def wrapped(code: str) -> str:
    """A program as a function, its imports before it.

    So what it calls global is a name of the function, and `from __future__` comes too late: so it is there, too."""
    import ast
    try:
        body = ast.parse(code).body
        imports = [node for node in body if isinstance(node, (ast.Import, ast.ImportFrom))]
        nothing = ast.arguments(posonlyargs=[], args=[], kwonlyargs=[], kw_defaults=[], defaults=[])
        rest = [node for node in body if not isinstance(node, (ast.Import, ast.ImportFrom))]
        function = ast.FunctionDef(name='wrapped_function', args=nothing, body=rest, decorator_list=[], lineno=-1)
        return f'{prelude(code)}\n{ast.unparse(imports)}\n{ast.unparse(function)}'
    except Exception: return code


def prelude(code: str) -> str:
    """The imports that the harness puts before a program, of them those whose names it could use.

    What it does not mention it cannot miss."""
    words = set(re.findall(r'\w+', code))
    if not code.isascii():
        import unicodedata
        words |= set(re.findall(r'\w+', unicodedata.normalize('NFKC', code)))
    return FULL_PRELUDE if words & DYNAMIC else lean_prelude(frozenset(words & mentionable()))


PRELUDE_END = f'import sys\nsys.setrecursionlimit({MAX_DEPTH})\n'
WHOLE_MODULES = *(f'from {name} import *\n' for name in STARRED), *(f'import {name}\n' for name in NAMED)
FULL_PRELUDE = ''.join([*WHOLE_MODULES, PRELUDE_END])


@lru_cache(1)
def origins() -> dict:
    """For each name that the full prelude gives, the last module that gives it; '' for the modules themselves.

    Builtins are there anyway, but `open` is bound early."""
    found = {}
    for name in STARRED:
        module = __import__(name)
        public = getattr(module, '__all__', None) or [key for key in vars(module) if not key.startswith('_')]
        found |= dict.fromkeys(public, name)
    return {key: name for key, name in found.items() if name != 'builtins' or key == 'open'} | dict.fromkeys(NAMED, '')


@lru_cache(1)
def mentionable() -> frozenset: return frozenset(origins())


@lru_cache(1024)
def lean_prelude(words: frozenset) -> str:
    "The imports that give these names."
    wanted = {}
    for word in sorted(words): wanted.setdefault(origins()[word], []).append(word)
    if 'sys' in wanted: wanted['sys'] = ['*']  # of sys all: it differs between processes
    lines = [f'from {name} import {", ".join(wanted[name])}\n' for name in STARRED if name in wanted]
    return ''.join([*lines, *(f'import {name}\n' for name in wanted.get('', ())), PRELUDE_END])


# ---------------------------------------------------------------- in the child: one test in, what came of it out

class TimeoutException(Exception):
    "A test's time is up: an ordinary exception, which a program may catch; the harness knows it by its name."


def ring(*_):
    print('time is up')  # so that a program that goes on has printed something wrong
    raise TimeoutException


LIBRARIES = ('datasets', 'pandas', 'pyarrow', 'torch')  # that the harness has loaded, beside numpy


def take_away() -> None:
    "What the harness takes away before a program runs; the layers keep it in, this changes what it may notice."
    Guard(LIBRARIES, builtins='quit help')
    builtins.exit = leave
    sys.set_int_max_str_digits(MAX_DIGITS)


def leave(code: object = None) -> None:
    "The harness's `exit`."
    try: sys.stdin.close()
    except Exception: pass
    raise SystemExit(code)


def prepared(text: str, name: str | None, seconds: int, mock: bool, folders: list):
    """Load a program: a function from a test's input to [True, what came] or [-3 or -4, why, processor seconds].

    name: of the function or method to call; None = the program reads standard input. mock: with the harness's own
    standard input. folders: of installed packages."""
    sys.path += folders
    take_away()
    signal.signal(signal.SIGALRM, ring)
    try: method = load(text, name or 'wrapped_function', seconds)
    except Exception as error:
        why = words_of(error)
        return lambda given: [RAISED, why, 0]
    if name: return lambda given: call(method, seconds, given)
    return lambda given: feed(method, seconds, mock, given)


def load(text: str, name: str, seconds: int) -> object:
    "Execute a program under the alarm; its function, or a method of its class `Solution`."
    signal.alarm(seconds)
    try:
        module = ModuleType('tmp_sol', '')
        exec(text, module.__dict__)
        return getattr(module.Solution() if 'class Solution' in text else module, name)
    finally: signal.alarm(0)


def call(method, seconds: int, given: str) -> list:
    "A function's value for arguments given as lines of JSON; a tuple becomes a list."
    arguments = [json.loads(line) for line in given.split('\n')]
    start = time.process_time()
    signal.alarm(seconds)
    try:
        value = method(*arguments)
        signal.alarm(0)
        return [True, list(value) if isinstance(value, tuple) else value]
    except Exception as error:
        signal.alarm(0)
        return failure(error, start)
    finally: signal.alarm(0)


def feed(method, seconds: int, mock: bool, given: str) -> list:
    "What a program prints, given this as its input."
    printed, before = io.StringIO(), sys.stdout
    start = time.process_time()
    printed.close = lambda _: None
    signal.alarm(seconds)
    sys.stdout = printed
    try:
        with_input(method, mock, given)
        signal.alarm(0)
    except Exception as error:
        signal.alarm(0)
        return failure(error, start)
    finally:
        signal.alarm(0)
        sys.stdout = before
    return [True, printed.getvalue()[:LONGEST_OUTPUT]]


def with_input(method, mock: bool, given: str) -> None:
    """Call a function while `sys.stdin` gives the input.

    What was there before gives it as well, by three of its methods: a program may have imported that one."""
    outer, opened = sys.stdin, builtins.open
    lines = iter(given.split('\n'))
    outer.read = lambda *_: given
    outer.readlines = lambda *_: given.split('\n')
    outer.readline = lambda *_: next(lines)
    sys.stdin, builtins.open = Input(given) if mock else io.StringIO(given), Opened(given)
    try: method()
    except SystemExit: pass
    finally:
        sys.stdin, builtins.open = outer, opened
        del outer.read, outer.readlines, outer.readline


class Input:
    """The harness's standard input since May 2025.

    `read` gives everything every time, `readlines` drops the ends of lines, and no `for` can run over it."""
    def __init__(self, text: str):
        self.text, self.lines = text, io.StringIO(text)
        self.buffer = Buffer(text)
    def read(self, *_): return self.text
    def readline(self, *size): return self.lines.readline(*size)
    def readlines(self, *_): return self.text.split('\n')
    def __getattr__(self, name): return getattr(self.lines, name)


class Buffer:
    "Its bytes: `readline` gives the first line every time."
    def __init__(self, text: str): self.data = text.encode()
    def read(self, *_): return self.data
    def readline(self, *_): return self.data.split(b'\n')[0] + b'\n'


class Opened:
    "Takes the place of `builtins.open`: any file holds the input."
    def __init__(self, text: str): self.text, self.mock = text, None
    def __call__(self, *args, **kwargs):
        if self.mock is None:
            # dear, and hardly any program comes here: its own `open` was bound before
            from unittest.mock import mock_open
            self.mock = mock_open(read_data=self.text)
        return self.mock(*args, **kwargs)


def failure(error: Exception, start: float) -> list:
    "What is told of a test that ended in an exception."
    return [LATE if 'timeoutexception' in repr(error).lower() else RAISED, words_of(error), time.process_time() - start]


def words_of(error: Exception) -> str:
    "An exception in one line."
    try: return short(f'{type(error).__name__}: {error}'.removesuffix(': '))
    except Exception: return type(error).__name__


def short(text: str, most: int = 100) -> str: return text if len(text) <= most else f'{text[:most]}...'


# ---------------------------------------------------------------- right or wrong: in the verifier, or in the child

UNSAYABLE = 'a value that has no text, such as a number of very many digits'


def compare(value: object, expected: str, functional: bool) -> tuple:
    "Whether what came is what a test wants: (True, False, -2 or -4; in words)."
    if not functional: return compare_texts(value, expected)
    wanted = json.loads(expected)
    try:
        if value == wanted: return True, ''
    except Exception as error: return RAISED, words_of(error)
    try: return WRONG_VALUE, f'{short(str(plain(value)))} is not {short(str(wanted))}'
    except Exception: return WRONG_VALUE, UNSAYABLE


def compare_texts(printed: str, expected: str) -> tuple:
    "Line by line, spaces around lines aside; lines that differ may still be the same numbers."
    mine, wanted = ([line.strip() for line in text.strip().split('\n')] for text in (printed, expected))
    if len(mine) != len(wanted): return WRONG_TEXT, f'{len(mine)} lines, not {len(wanted)}'
    for number, (a, b) in enumerate(zip(mine, wanted), 1):
        if a != b and not same_numbers(a.split(), b.split()):
            return WRONG_TEXT, f'line {number} is {short(a)!r}, not {short(b)!r}'
    return True, ''


def same_numbers(mine: list, wanted: list) -> bool:
    "Whether two rows of words are the same decimal numbers."
    from decimal import Decimal
    if len(mine) != len(wanted): return False
    try: mine, wanted = [[*map(Decimal, tokens)] for tokens in (mine, wanted)]
    except ArithmeticError: return False
    return mine == wanted


def run(text: str, name: str | None, seconds: int, mock: bool, folders: list, data: str) -> list:
    """The harness's own way, all of it in the program's process.

    Gives [the results up to the first that is not True, why that one]."""
    answer, results = prepared(text, name, seconds, mock, folders), []
    for test in tests_of(data):
        try:
            result, value, *_ = answer(test['input'])
            came = value
            if result is True: result, value = compare(came, test['output'], bool(name))
            if result == RAISED and hasattr(came, 'shape'):
                # an array is compared item by item; the first is noted, too
                results.append(bool((came == json.loads(test['output'])).item(0)))
        except Exception as error: return [[RAISED], words_of(error)]
        results.append(result)
        # the harness fails to say what is wrong, and counts that too
        if value == UNSAYABLE and result is WRONG_VALUE: results.append(RAISED)
        if result is not True: return [results, value]
    return [results, '']


class WrongAnswer(AssertionError): "A test that was not passed."
class OutOfTime(AssertionError): "A test that took too long."
class ProgramError(AssertionError): "A test that ended in an exception."


def check_answers(answer, data: str, functional: bool, seconds: int) -> None:
    "Ask a program in another process for its answer to each test, and compare it here."
    from kinds import Far
    tests, number = tests_of(data), 0
    before = sys.get_int_max_str_digits()
    sys.set_int_max_str_digits(MAX_DIGITS)
    try:
        for number, test in enumerate(tests, 1):
            reply, = answer.each([[test['input']]], seconds + 1)  # its own alarm rings first; not all programs hear it
            if isinstance(reply, Far): repr(reply)  # no data, which ends the tests
            result, why = checked(reply, test['output'], functional)
            if result is True: continue
            if result == LATE and reply[2] < seconds / 2:  # it is run again, alone
                answer.questions.fail('timeout', f'{why}, the machine was busy')
            why = f'test {number} of {len(tests)}: {why}'
            raise {LATE: OutOfTime, RAISED: ProgramError}.get(result, WrongAnswer)(why)
    finally:
        sys.set_int_max_str_digits(before)
        status, detail = answer.questions.wrong or ('', '')
        if status in ('timeout', 'unsupported'):
            answer.questions.wrong = status, f'test {number} of {len(tests)}: {detail}'


def checked(reply: object, expected: str, functional: bool) -> tuple:
    "Whether a reply is right; a program may have answered anything."
    if type(reply) is not list or not reply: return WRONG_VALUE, 'it is no plain data'
    if reply[0] is True and len(reply) == 2 and (functional or type(reply[1]) is str):
        return compare(reply[1], expected, functional)
    if reply[0] in (LATE, RAISED) and len(reply) == 3 and type(reply[0]) is int and type(reply[2]) in (int, float):
        return reply[0], short(str(reply[1]))
    return WRONG_VALUE, 'not an answer to the question'


def groups(tests: list, most: int):
    "Tests in order, in lists that stay below so many characters."
    group, size = [], 0
    for test in tests:
        more = len(test['input']) + len(test['output'])
        if group and size + more > most:
            yield group
            group, size = [], 0
        group.append(test)
        size += more
    if group: yield group
