"""Behaviour: types from hints and by trial, stable inputs, the text of results, fingerprints and agreement."""
import hashlib
import subprocess
import sys
from collections import Counter, OrderedDict, defaultdict, deque, namedtuple
from decimal import Decimal
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import evoselfcode.execution.execution as execution
from evoselfcode.constants import FAILED, MEMORY, PASSED, TIMEOUT
from evoselfcode.execution import behaviour
from evoselfcode.execution.behaviour import (
    agreement,
    argument_types,
    behaviours,
    candidate_types,
    evidence,
    inputs_for,
    likely_types,
    same_behaviour,
)
from evoselfcode.execution.execution import Limits, Runner

pytestmark = pytest.mark.skipif(not sys.platform.startswith("linux"), reason="programs are executed on Linux only")
# as the far side does: its modules know each other by their plain names
sys.path.insert(0, str(Path(execution.__file__).parent/"sandbox"))
from observe import canonical  # noqa: E402

del sys.path[0]


def one(code, entry="f", limits=Limits(), **options):
    return behaviours([(code, entry)], runner=Runner(limits, 2), **options)[0]


@pytest.mark.parametrize("arguments, types", [
    ("xs: list", ["list[int]"]), ("xs: List[str], k: int", ["list[str]", "int"]), ("d: dict", ["dict[str,int]"]),
    ("d: Dict[str, List[int]]", ["dict[str,list[int]]"]), ("t: Tuple[int, ...]", ["tuple[int,...]"]),
    ("t: tuple[str, int]", ["tuple[str,int]"]), ("x: Optional[str]", ["str|None"]), ("x: Union[int, str]", ["int|str"]),
    ("x: 'list[int]'", ["list[int]"]), ("x: Any", [None]), ("f: Callable[[int], int]", [None]),
    ("a, b, c=3", [None, None]), ("a: int = 1, b: str = ''", ["int", "str"]), ("s: set", ["set[int]"]),
    ("s: set[list[int]]", ["set[int]"]), ("xs: Iterable[float]", ["list[float]"]), ("m: np.ndarray", [None]),
    ("*xs", []), ("", []), ("a: int, /, b: bool", ["int", "bool"]), ("x: None", ["None"]),
    ("xs: list[list[int]]", ["list[list[int]]"]), ("xs: list[T]", ["list[int]"]), ("x: 'not ] a type'", [None]),
])
def test_types_from_hints(arguments, types):
    assert argument_types(f"def f({arguments}):\n    pass", "f") == types
    for tried in candidate_types(types): assert len(inputs_for(tried, 16)) == (16 if tried else 1)


@pytest.mark.parametrize("call, types", [
    ("f([1, 2], 'a')", ["list[int]", "str"]),
    ("list(f([1.5, 2], True))", ["list[float]", "bool"]),
    ("f({'a': [1]}, (1, 'x'))", ["dict[str,list[int]]", "tuple[int,str]"]),
    ("f([], {1, 2})", ["list[int]", "set[int]"]), ("f([1, 'a'], None)", [None, "None"]), ("f(len, x)", [None, None]),
    ("f(1)", ["int", None]), ("f(*xs)", [None, None]),
    ("g(1, 2)", [None, None]), ("f(1,", [None, None]), ("f([[]], b'')", ["list[list[int]]", None]),
    ("f({(0, 1): 2}, -3)", ["dict[tuple[int,int],int]", "int"]),
])
def test_types_from_the_first_example(call, types):
    assert argument_types(f'def f(a, b):\n    """Do.\n\n    >>> {call}\n    1\n    """\n', "f") == types
    # a hint goes first
    assert argument_types(f'def f(a: str, b: list[str], c=1):\n    """>>> {call}"""\n', "f") == ["str", "list[str]"]
    for tried in candidate_types(types): assert len(inputs_for(tried, 16)) == 16


def test_an_example_names_the_types_and_no_inputs():
    body = "\n    return sum(xs.values())"
    shown, hinted = one(f'def f(xs):\n    """>>> f({{"a": 1}})"""{body}'), one(f"def f(xs: dict[str, int]):{body}")
    assert shown.fingerprint == hinted.fingerprint and shown.types == ("dict[str,int]",)


def test_the_last_definition_counts_and_a_missing_one_is_named():
    assert argument_types("def f(x: int): ...\ndef f(x: str): ...", "f") == ["str"]
    lacking = behaviours([
        ("def g(x): ...", "f"), ("def f(x:", "f"), ("def f(*, k): ...", "f"), ("x" + "(" * 5000, "f"), ("\0", "f"),
    ])
    assert [(b.status, b.fingerprint) for b in lacking] == [(FAILED, None)] * 5
    assert one("def g(x): ...").detail == "NameError: no function named 'f'"


def test_inputs_are_the_same_in_every_process_and_stay_so():
    kinds = [
        ("int",), ("str", "str"), ("list[int]", "int"), ("dict[str,list[int]]",), ("set[str]",), ("float", "bool"),
        ("tuple[int,...]", "int|None"), ("list[list[int]]",),
    ]
    text = repr(
        [[tuple(sorted(a) if isinstance(a, set) else a for a in row) for row in inputs_for(k, 40)] for k in kinds]
    )
    script = (
        "from evoselfcode.execution.behaviour import inputs_for\n"
        "print(repr([[tuple(sorted(a) if isinstance(a, set) else a for a in row) for row in inputs_for(k, 40)] "
        f"for k in {kinds!r}]))"
    )
    for seed in "01":
        other = subprocess.run(
            [sys.executable, "-c", script], capture_output=True, text=True, env={"PYTHONHASHSEED": seed}, check=True
        )
        assert other.stdout.strip() == text
    # a change here changes every stored fingerprint: mean it
    assert hashlib.sha256(text.encode()).hexdigest()[:16] == "33ddac8315fdd00e"


def test_inputs_have_their_types_and_are_telling():
    for kind, kept in (
        ("int", int), ("str", str), ("list[int]", list), ("dict[str,int]", dict), ("set[int]", set), ("float", float),
        ("bool", bool), ("tuple[int,str]", tuple),
    ):
        values = [x for (x,) in inputs_for((kind,), 16)]
        assert all(type(v) is kept for v in values) and len({repr(v) for v in values}) >= (2 if kind == "bool" else 8)
    pairs = inputs_for(("list[int]", "int"), 16)
    assert 4 <= sum(k in xs for xs, k in pairs) <= 12 and any(xs == [] for xs, _ in pairs)
    strings = inputs_for(("str", "str"), 16)
    assert any(b in a and b != a for a, b in strings)
    assert any(b not in a for a, b in strings)
    assert any(a == b for a, b in strings)
    inputs_for(("list[int]",), 16)[0][0].append(99)
    assert inputs_for(("list[int]",), 16)[0][0] == [3, 1, 2]


Point = namedtuple("Point", "x y")
class Odd:
    def __repr__(self): return "shown"
    def __eq__(self, other): return True
    __hash__ = object.__hash__


@pytest.mark.parametrize("a, b", [
    (Counter("aab"), {"b": 1, "a": 2}), (OrderedDict(x=1, y=2), {"y": 2, "x": 1}),
    (defaultdict(list, {1: [2]}), {1: [2]}), (0.1 + 0.2, 0.3), (-0.0, 0.0), (Point(1, 2), (1, 2)),
    ({3, 1, 2}, {2, 3, 1}), (frozenset("ab"), {"b", "a"}), (iter([1, 2]), (x for x in (1, 2))),
    (float("nan"), float("nan")), (bytearray(b"x"), b"x"), (Odd(), Odd()), (True, 1 == 1),
])
def test_equal_values_have_equal_text(a, b):
    assert canonical(a) == canonical(b)


@pytest.mark.parametrize("a, b", [
    (1, True), (1, 1.0), (0, False), ("1", 1), ([1], (1,)), ([1, 2], {1, 2}), ("", None), ([], None), ({}, set()),
    ("None", None), (1e-9, 1.1e-9), ([1, 2], [2, 1]), ("a, b", ["a", "b"]), (["a', 'b"], ["a", "b"]), (b"a", "a"),
    (range(2), [0, 1]), (iter([1]), [1]), (Decimal("1"), 1), (Fraction(1, 2), 0.5), (deque([1]), [1]),
    ({"a": 1}.keys(), ["a"]), (Odd(), Odd), ((1,), 1), ((), []), ({1: 2}, {(1, 2)}), ("\ud800", "?"),
    ("!ValueError", ValueError),
])
def test_different_values_have_different_text(a, b):
    assert canonical(a) != canonical(b)


def test_huge_numbers_have_text_too(): assert canonical(10 ** 5000) != canonical(10 ** 5000 + 1)


def test_text_is_bounded_and_has_no_address():
    import itertools
    ring = []
    ring.append(ring)
    assert len(canonical(ring)) < 500
    assert "0x" not in canonical([object(), Odd, len, lambda: 1])
    assert "shown" not in canonical(Odd())
    assert len(canonical(itertools.count())) < 20_000


data = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5) | st.floats(allow_nan=False, width=16),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.tuples(inner, inner)
        | st.dictionaries(st.text(max_size=3) | st.integers(), inner, max_size=4)
    ),
    max_leaves=12,
)

def typed(v):
    "A value with its types made part of it, so that == compares both."
    if isinstance(v, (list, tuple)): return (type(v).__name__, [typed(x) for x in v])
    if isinstance(v, dict): return ("dict", {(type(k).__name__, k): typed(x) for k, x in v.items()})
    return (type(v).__name__, v)

@settings(max_examples=300, deadline=None)
@given(data, data)
def test_text_is_equal_exactly_when_values_are(a, b): assert (canonical(a) == canonical(b)) == (typed(a) == typed(b))


@pytest.mark.parametrize("body, status, deterministic", [
    ("import random\ndef f(x: int): return random.random()", PASSED, False),
    ("def f(w: list[str]): return list(set(w))", PASSED, False),
    ("def f(w: list[str]): return {x: len(x) for x in set(w)}", PASSED, True),
    ("def f(x: int): return id(object())", PASSED, False),
    ("def f(x: int): return hash('a') + x", PASSED, False),
    ("def f(x: int): raise ValueError(x)", FAILED, True),
    ("def f(x: int):\n    while True: pass", TIMEOUT, True),
    ("def f(x: int):\n    while True:\n        try:\n            while True: pass\n        except BaseException: pass",
     TIMEOUT, True),
    ("import time\ndef f(x: int): time.sleep(60)", TIMEOUT, True),
    ("import os\ndef f(x: int): os._exit(0)", FAILED, True),
    ("def f(x: int): return bytearray(10 ** 11)", MEMORY, True),
    ("def f(x: int): return [0] * 10 ** 11 if x else 5", PASSED, True),
    ("import sys\ndef f(x: int): sys.exit()", FAILED, True),
    ("raise ValueError('at import')\ndef f(x: int): return x", FAILED, True),
    ("def f(): return 5", PASSED, True),
    ("f = 3\nclass f2: pass\ndef f(x: int): return x\nf = 3", FAILED, True),
])
def test_status_and_determinism(body, status, deterministic):
    b = one(body, limits=Limits(seconds=2.0))
    assert (b.status, b.deterministic) == (status, deterministic)
    assert (b.fingerprint is not None) == (status == PASSED and deterministic)


def test_errors_are_outcomes_and_count():
    b = one("def f(xs: list[int]): return xs[0]")
    empty = sum(xs == [] for (xs,) in inputs_for(("list[int]",), 16))
    assert b.status == PASSED and b.errors == empty == b.outputs.count("!IndexError") and len(b.outputs) == 16
    assert not same_behaviour(b, one("def f(xs: list[int]): return xs[0] if xs else None"))


def test_an_endless_input_is_an_outcome():
    b = one("def f(n: int):\n    while n != 0: n -= 1\n    return n")
    assert b.status == PASSED and b.outputs[0] == "0" and "!Timeout" in b.outputs


def test_arguments_are_fresh_for_every_function_and_changes_in_place_are_seen():
    sorts, turns, nothing = behaviours([
        ("def f(xs: list[int]): xs.sort()", "f"),
        ("def f(xs: list[int]): xs.reverse()", "f"),
        ("def f(xs: list[int]): xs.copy()", "f"),
    ])
    assert len({sorts.fingerprint, turns.fingerprint, nothing.fingerprint}) == 3
    assert set(nothing.outputs) == {"None"}
    assert sorts.outputs[0] == "None, leaving ([1, 2, 3],)"
    b = one("def f(xs: list[int]):\n    xs.append(1)\n    return len(xs)")
    assert b.outputs[0] == "4" and "None" not in b.outputs[0]


@pytest.mark.parametrize("code, types", [
    ("def f(xs): return sum(xs)", ("list[int]",)),
    ("def f(s): return s.upper()", ("str",)),
    ("def f(n): return n % 7 + 1", ("int",)),
    ("def f(d): return sorted(d.items())", ("dict[str,int]",)),
    ("def f(ws): return [w.upper() for w in ws] + [ws[0:0] + []]", ("list[str]",)),
    ("def f(xs, k): return [x for x in xs if x > k]", ("list[int]", "int")),
    ("def f(s, t): return s.find(t)", ("str", "str")),
    ("def f(a, b: int): return a.lower() * b", ("str", "int")),
    ("def f(n):\n    while n > 0: n -= 1\n    return n.bit_length()", ("int",)),
])
def test_types_by_trial(code, types):
    b = one(code)
    assert b.types == types and b.status == PASSED


@pytest.mark.parametrize("body, likeliest", [
    ("x.split(',')", "str"), ("x.append(3)", "list[int]"), ("x + 1", "int"), ("x + 'a'", "str"),
    ("[w.upper() for w in x]", "list[str]"), ("x['name']", "dict[str,int]"),
    ("[k for k, v in x]", "list[tuple[str,int]]"),
    ("isinstance(x, bytes) and x", "bytes"), ("math.sqrt(x)", "int"), ("x == 'a'", "str"), ("x in ('a', 'b')", "str"),
    ("'a' in x", "str"), ("[row[0] for row in x]", "list[list[int]]"), ("os.path.join(x, 'a')", "str"),
    ("x.items()", "dict[str,int]"), ("x.union(x)", "set[int]"), ("helper(x)", "bytes"), ("', '.join(x)", "str"),
])
def test_types_are_read_from_uses(body, likeliest):
    code = f"def helper(y):\n    z = y\n    return z.decode()\n\ndef f(x):\n    return {body}\n"
    assert likely_types(code, "f", [None])[0][0] == likeliest
    for tried in candidate_types([None], likely_types(code, "f", [None])): assert len(inputs_for(tried, 16)) == 16


def test_what_tells_no_type_is_tried_as_before():
    for body in ("x", "x.visit(3)", "f'{x}'", "print(x)", "not x"):
        types = argument_types(f"def f(x, y): return {body}", "f")
        likely = likely_types(f"def f(x, y): return {body}", "f", types)
        assert likely == [(), ()] and candidate_types(types, likely) == candidate_types(types)
    assert likely_types("def f(x=3, y='a'): return x", "f", [None, None])[1] == ("str",)


@pytest.mark.parametrize("code, why", [
    ("def f(x: int): return None", True), ("def f(x: int): return 5", True), ("def f(x: int): return x > 120", False),
    ("def f(xs: list[int]): return [x for x in xs if x > 3] and xs.missing", True),
    ("def f(): return 5", False), ("def f(): pass", True), ("def f(x: int): return x > 10**9", True),
    ("def f(xs: list[int]): xs.sort()", False),
    ("def f(x: int):\n    if x < 0: raise ValueError", False), ("def f(x: int): return -57 < x < -47", False),
])
def test_a_behaviour_that_says_nothing_is_no_evidence(code, why):
    found = one(code)
    assert found.status == PASSED and bool(found.says_nothing) == why
    assert (evidence(found) is None) == why == (not same_behaviour(found, found))
    assert agreement([found, found]).tolist() == [0.0 if why else 1.0] * 2


def test_more_inputs_are_tried_before_a_behaviour_says_nothing():
    rare, never = one("def f(x: int): return -57 < x < -47"), one("def f(x: int): return x > 10**9")
    assert rare.fingerprint == never.fingerprint and rare.finer and not rare.says_nothing
    assert never.says_nothing == "the same on all 64 inputs that suit it" and not never.finer


def test_those_of_a_group_get_the_same_types():
    codes = [
        "def f(x):\n    return x[::-1]",
        "def f(x):\n    x = x.lower() if isinstance(x, str) else x\n    return x[::-1]",
        "def f(x):\n    return x.lower()[::-1]", "def f(x):\n    return ''.join(reversed(x.lower()))",
    ]
    alone = [b.types for b in behaviours([(code, "f") for code in codes])]
    assert alone[0] == ("list[int]",) and alone[2] == ("str",)
    group = behaviours([(code, "f") for code in codes], groups=["a"] * 4)
    assert {b.types for b in group} == {("str",)} and agreement(group).tolist() == [0.25, 0.75, 0.75, 0.75]


def test_fingerprints_do_not_depend_on_company_workers_or_name():
    functions = [(f"def g{i}(xs: list[int]): return [x + {i % 7} for x in xs]", f"g{i}") for i in range(30)]
    together = behaviours(functions, runner=Runner(workers=3))
    alone = [behaviours([f], runner=Runner(workers=1))[0] for f in functions[:7]]
    assert [b.fingerprint for b in together[:7]] == [b.fingerprint for b in alone]
    assert len({b.fingerprint for b in together}) == 7
    assert together[0] == together[7]
    assert not same_behaviour(one("def f(x: int): return 0"), one("def f(x: str): return 0"))


def test_agreement():
    same, other = ("def f(x: int): return x * 2", "f"), ("def f(x: int): return x + 1", "f")
    group = behaviours([same, ("def f(n: int): return n + n", "f"), other, ("def f(x: int): return", "g")])
    assert agreement(group).tolist() == [0.5, 0.5, 0.25, 0.0]
    assert agreement([]).shape == (0,) and isinstance(agreement(group), np.ndarray)
    assert behaviours([]) == []


@pytest.mark.parametrize("first, second, status, same", [
    ("timeout", "timeout", "timeout", True), ("timeout", "memory", "timeout", True),
    ("memory", "timeout", "timeout", True), ("memory", "memory", "memory", True), ("passed", "memory", "memory", False),
    ("crashed", "passed", "crashed", False), ("crashed", "memory", "crashed", False),
    ("failed", "failed", "failed", True),
])
def test_which_limit_ends_a_program_without_end_is_not_its_own_doing(first, second, status, same):
    told = (dict(status=how, detail=how, observed=0, outputs=["1"]) for how in (first, second))
    found = behaviour._describe([("int",)], *told)
    assert (found.status, found.deterministic, found.detail, found.fingerprint) == (status, same, status, None)
