"""What an attack is, which verdicts are right, and the lines that many attacks share.

`failed` is right wherever the kernel merely refuses a call, since the refusal is an exception in the candidate;
`violation` wherever it kills. A harmful program answers rightly only if its harm succeeded, so `passed` would prove the
harm; what `trace` names would be found outside as well.
"""
import platform
import textwrap
from dataclasses import dataclass

PASSED, FAILED, TIMEOUT, CRASHED, MEMORY, VIOLATION, UNSUPPORTED = (
    "passed", "failed", "timeout", "crashed", "memory", "violation", "unsupported",
)
REFUSED = (FAILED, VIOLATION)                  # the kernel said no, or killed
DIED = (CRASHED, FAILED)                       # the candidate's process ended itself
BROKEN = (FAILED, CRASHED, UNSUPPORTED)        # it spoiled the conversation
FOREIGN = (UNSUPPORTED, FAILED)                # its result is no plain data, or was flattened and is wrong
SQUARE = "assert f(3) == 9\nassert f(-7) == 49"
ONCE = "assert f(12) == 144"
MACHINE = {"AMD64": "x86_64", "arm64": "aarch64"}.get(platform.machine(), platform.machine())


@dataclass(frozen=True)
class Attack:
    "One hostile (or, in HONEST, one harmless) program and the verdicts that are right for it."
    name: str
    code: str
    tests: str = SQUARE
    expected: tuple = (FAILED,)
    kind: str = ""
    profile: str = "pure"
    seconds: float = 8.0
    detail: str = ""          # text that the verdict's detail contains
    trace: str = ""           # what would be found outside if it succeeded
    context: str = ""
    trusted: bool = True
    machine: str = ""         # the only machine it is written for; empty = any
    clock: bool = False       # it waits to be ended, by a clock that is outside the layers and the same with each


def indent(text, by=4): return textwrap.indent(textwrap.dedent(text).strip("\n"), " " * by)


def harm(name, body, expected=REFUSED, top="", **more):
    "An attack whose `f`, called once, squares its argument, but only when `body` ran through without an exception."
    code = f"import os, sys, time\n{textwrap.dedent(top)}\ndef f(x):\n{indent(body)}\n    return x * x\n"
    return Attack(name, code, ONCE, expected, **more)


def bare(name, code, tests=SQUARE, expected=(FAILED,), **more):
    "An attack written out, without surrounding indentation."
    return Attack(name, textwrap.dedent(code).strip("\n") + "\n", textwrap.dedent(tests).strip("\n"), expected, **more)


def steal(name, texts, expected=(FAILED, CRASHED, VIOLATION), **more):
    """An attack that looks for the expected answer, which stands only in the tests, in all that `texts` yields (bytes).

    The answer carries the attack's name, so that one program cannot be served by the tests of another.
    """
    mark = f"wanted-{name}-"
    answer = mark + "".join(f"{(ord(c) * 7 + i * 13) % 256:02x}" for i, c in enumerate((name + "-padding")[:8]))
    code = f"""import os, re, sys
WANTED = re.compile(rb"wanted" + rb"-{name}-[0-9a-f]{{16}}")
def texts():
{indent(texts)}
def f():
    for text in texts():
        if found := WANTED.search(text): return found.group().decode()
"""
    return Attack(name, code, f"assert f() == '{answer}'", expected, **more)
