"""What human-eval's checker does with a program, in the program's own process (openai/human-eval at 6d43fb9).

The program, its tests at its end, is executed in an empty namespace under a timer whose exception the program may
catch; what the exception says is the verdict. Runs in a locked child, behind our layers; whatever it answers, the
program may have forged.
"""
import signal, sys
from .guard import Guard, WriteOnlyStringIO


class TimeoutException(Exception):
    "Time is up: an ordinary exception, as in the harness, so that a program's own `except` can swallow it."


def run(program: str, seconds: float, libraries: list, loaded: tuple | list = ()) -> str:
    """The harness's result for a program that ends in its tests: `passed`, `timed out` or `failed: ...`.

    `libraries`: folders of packages. `loaded`: names of those that the harness has loaded, beside numpy."""
    sys.path += libraries
    Guard(loaded)
    sys.stdin = sys.stdout = sys.stderr = WriteOnlyStringIO()
    def ring(*_): raise TimeoutException('Timed out!')
    signal.signal(signal.SIGALRM, ring)
    try:
        signal.setitimer(signal.ITIMER_REAL, seconds)
        try: exec(program, {})
        finally: signal.setitimer(signal.ITIMER_REAL, 0)
        return 'passed'
    except TimeoutException: return 'timed out'
    except BaseException as error: return f'failed: {error}'
