"""What human-eval's checker does with a program, in the program's own process (openai/human-eval at 6d43fb9).

The program, its tests at its end, is executed in an empty namespace under a timer whose exception the program may catch; what the exception says is the
verdict. Dozens of functions are missing from `os`, `shutil` and `builtins` meanwhile, which changes verdicts and keeps nothing in: the walls do that.
Runs in a locked child, behind our walls; whatever it answers, the program may have forged.
"""
import builtins, io, os, signal, sys

OF_OS = ('kill system putenv remove removedirs rmdir fchdir setuid fork forkpty killpg rename renames truncate replace unlink fchmod fchown chmod chown chroot '
         'lchflags lchmod lchown getcwd chdir').split()
OF_BUILTINS = ('exit', 'quit', 'help')
NO_MODULES = ('ipdb', 'joblib', 'resource', 'psutil', 'tkinter')


class TimeoutException(Exception):
    "Time is up: an ordinary exception, as in the harness, so that a program's own `except` can swallow it."


class NoInput(io.StringIO):
    "A standard input that refuses to be read."
    def read(self, *_): raise OSError
    readline = readlines = read
    def readable(self): return False


def take_away():
    "Do what the harness calls its reliability guard."
    import shutil
    os.environ['OMP_NUM_THREADS'] = '1'
    for name in OF_OS:
        if hasattr(os, name): setattr(os, name, None)
    for name in ('rmtree', 'move', 'chown'): setattr(shutil, name, None)
    for name in OF_BUILTINS: setattr(builtins, name, None)
    for name in NO_MODULES: sys.modules[name] = None
    if 'subprocess' in sys.modules: sys.modules['subprocess'].Popen = None


def run(program, seconds, libraries):
    "The harness's result for a program that ends in its tests: `passed`, `timed out` or `failed: ...`. `libraries`: folders of packages."
    import subprocess  # noqa: F401  as the harness has it, before it is maimed
    sys.path += libraries
    if 'numpy' in program:  # which the harness has loaded, too
        try: import numpy  # noqa: F401
        except ImportError: pass
    take_away()
    sys.stdin, sys.stdout, sys.stderr = NoInput(), io.StringIO(), io.StringIO()
    def ring(*_): raise TimeoutException('Timed out!')
    signal.signal(signal.SIGALRM, ring)
    try:
        signal.setitimer(signal.ITIMER_REAL, seconds)
        try: exec(program, {})
        finally: signal.setitimer(signal.ITIMER_REAL, 0)
        return 'passed'
    except TimeoutException: return 'timed out'
    except BaseException as error: return f'failed: {error}'
