"Numbers of numpy's where there is no numpy: what they answer is what numpy answers, or that it does not cross."
import operator
import sys
from itertools import product
from pathlib import Path

import numpy as np
import pytest

import evoselfcode.execution.execution as execution
from evoselfcode.execution.execution import Limits, Program, library_folders, run_programs

# as the far side does: its modules know each other by their plain names
sys.path.insert(0, str(Path(execution.__file__).parent/"sandbox"))
import kinds  # noqa: E402, E401
import numpy_numbers

del sys.path[0]

VALUES = [
    np.int64(7), np.int64(-3), np.int64(0), np.int64(2**62), np.int8(100), np.uint8(3), np.True_, np.False_,
    np.float64(0.5), np.float64(-2.0), np.float64(0.0),
]
OTHERS = [0, 2, -3, 0.5, True, 10 ** 20, *VALUES]
BINARY = [
    "add", "sub", "mul", "truediv", "floordiv", "mod", "pow", "and_", "or_", "xor", "lshift", "rshift", "eq", "ne",
    "lt", "le", "gt", "ge",
]
UNARY = ["neg", "pos", "abs", "invert", "not_", "truth", "index"]


class DoesNotCross(BaseException): pass


def stand_in(value):
    if not isinstance(value, np.generic): return value
    return numpy_numbers.made(type(value).__name__.rstrip("_"), value.item())


def plain(value): return value.item() if hasattr(value, "item") else value


def outcome(work, *values):
    with np.errstate(all="ignore"):
        try: return plain(work(*values))
        except Exception as error: return type(error)


@pytest.fixture(autouse=True)
def refusing(monkeypatch):
    def refuse(what): raise DoesNotCross(what)
    monkeypatch.setattr(kinds, "missing", refuse)


def test_operations_give_what_numpy_gives_or_say_that_they_do_not():
    agreed = refused = 0
    cases = [
        (getattr(operator, name), pair)
        for name, (a, b) in product(BINARY, product(VALUES, OTHERS))
        for pair in ((a, b), (b, a))
    ]
    cases += [(getattr(operator, name), (value,)) for name, value in product(UNARY, VALUES)]
    cases += [(pow, given) for value in VALUES for given in ((value, 3, 5), (3, value, 5), (3, 2, value))]
    for work, values in cases:
        try:
            mine = outcome(work, *map(stand_in, values))
        except DoesNotCross:
            refused += 1
            continue
        theirs = outcome(work, *values)
        same = mine == theirs or mine != mine and theirs != theirs
        assert same and type(mine) is type(theirs), (work, values, mine, theirs)
        agreed += 1
    assert agreed > 2 * refused


@pytest.mark.parametrize("value", VALUES)
def test_kinds_and_printed_forms(value):
    mine = stand_in(value)
    for kind in (int, float, bool): assert isinstance(mine, kind) == isinstance(value, kind)
    assert str(mine) == str(value) and f"{mine}" == f"{value}"
    assert hash(mine) == hash(value) and mine.item() == value.item()
    assert mine in {value.item()} and [mine] == [value.item()]
    assert bool(mine) == bool(value) and (mine is True) == (value is True)
    with pytest.raises(DoesNotCross): repr(mine)
    with pytest.raises(DoesNotCross): _ = mine.dtype if hasattr(type(mine), "name") else repr(mine)
    if isinstance(value, np.integer):
        assert [0] * 3 == [0] * mine if value == 3 else range(10)[mine:] == range(10)[value:]


@pytest.mark.skipif(not library_folders(), reason="no installed packages")
@pytest.mark.parametrize("result, tests, status", [
    ("np.int64(3)",
     "assert f() == 3 and [f()] == [3] and f() + 1 == 4 and list(range(f())) == [0, 1, 2] "
     "and not isinstance(f(), int)",
     "passed"),
    ("[np.bool_(True), (np.int32(2),), {np.int8(1): np.uint8(2)}]",
     "assert f() == [True, (2,), {1: 2}] and f()[0] is not True",
     "passed"),
    ("np.float64(0.1) + 0.2",
     "assert abs(f() - 0.3) < 1e-6 and isinstance(f(), float) and type(f()) is not float and f() == 0.1 + 0.2",
     "passed"),
    ("np.float64(0.5)", "assert repr(f()) == '0.5'", "unsupported"),
    ("np.float32(0.1)", "assert f() == 0.1", "unsupported"),
    ("np.array([1, 2])", "assert list(f()) == [1, 2]", "unsupported"),
    ("np.int64(2 ** 62)", "assert f() * 4 == 0", "unsupported"),
    ("np.str_('ab')", "assert f() == 'ab' and f().upper() == 'AB'", "passed"),
    ("[np.float64(0.5), 0.25]",
     "import numpy as np\n"
     "assert f() == [np.float64(0.5), 0.25] and type(f()[0]) is np.float64 and np.allclose(f(), [0.5, 0.25])",
     "passed"),
    ("np.int64(3)", "assert f() == 4", "failed"),
    ("np.bool_(False)", "assert f()", "failed"),
])
def test_programs_that_use_numpy(result, tests, status):
    program = f"import sys\nsys.path += {library_folders()!r}\nimport numpy as np\ndef f(): return {result}"
    limits = Limits(seconds=20, memory_mb=2048, libraries=True)
    verdict = next(run_programs([Program(program, tests)], limits, workers=1))
    assert verdict.status == status, verdict
