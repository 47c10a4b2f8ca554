"""Processes of their own without the wait: forked from one that has the heavy libraries loaded.

A command, or a notebook, that needs a model imports torch and transformers for seconds before it does anything. Each
test process keeps one server that has done so and has run nothing else; what it forks is alone like any process, with
its own folder, environment, output and exit code. What a test says of starting up itself (what is imported, what the
environment does to imports) needs a real start, as `tiny_study.fresh` makes it.
"""
import atexit
import gc
import importlib
import multiprocessing
import os
import signal
import subprocess
import sys
import tempfile
import threading
import time
from multiprocessing import forkserver
from multiprocessing.connection import wait
from pathlib import Path
from unittest.mock import patch

LIBRARIES = [
    "torch", "transformers.modeling_utils", "transformers.generation.utils", "transformers.models.auto.modeling_auto",
    "transformers.models.llama.modeling_llama", "transformers.tokenization_utils_tokenizers", "pandas", "papermill",
    "nbdev.test", "ipykernel.kernelapp", "evoselfcode.cli", "evoselfcode.runs", "evoselfcode.pipeline.iteration",
    "evoselfcode.pipeline.plan",
]
PROCESSES = multiprocessing.get_context("forkserver")
PROCESSES.set_forkserver_preload(LIBRARIES)


def be(function: str, arguments: tuple, folder: Path, surroundings: dict, out: Path, err: Path):
    "In the forked process: take on folder, environment and output, call `module:function`, leave as a program does."
    for number, path in ((1, out), (2, err)):
        file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o666)
        os.dup2(file, number)
        os.close(file)
    os.environ.clear()
    os.environ.update(surroundings)
    os.chdir(folder)
    os.setsid()
    gc.freeze()  # what the server has loaded is nobody's garbage
    forkserver._forkserver.ensure_running = lambda: None  # what this process starts comes from the same server
    module, _, name = function.partition(":")
    try: getattr(importlib.import_module(module), name)(*arguments)
    finally: atexit._run_exitfuncs()  # which a forked process skips


def command_line(*words):
    "Be `evoselfcode WORDS`."
    from evoselfcode.cli import main
    warm_kernels()
    warm_probes()
    sys.argv = ["evoselfcode", *words]
    main()


def notebook(path: Path):
    "Be `nbdev-test PATH`."
    from nbdev.test import nbdev_test
    warm_kernels()
    nbdev_test(str(path), n_workers=0, do_print=True)


def kernel(*words):
    "Be `python -m ipykernel_launcher WORDS`; end when the process ends that asked for it."
    from ipykernel import kernelapp
    def end_with_it():
        wait([multiprocessing.parent_process().sentinel])
        os._exit(1)
    threading.Thread(target=end_with_it, daemon=True).start()
    sys.argv = ["ipykernel_launcher", *words]
    kernelapp.launch_new_instance()


class Process:
    "What `subprocess.Popen` would be for a forked one."
    stdin = stdout = stderr = None

    def __init__(self, function: str, arguments: tuple, folder: Path, surroundings: dict, out: Path, err: Path):
        # one thread, so that two runs compute the same
        with patch.dict(os.environ, OMP_NUM_THREADS="1"): forkserver._forkserver.ensure_running()
        given = (function, arguments, folder, surroundings, out, err)
        self.args, self.process = arguments, PROCESSES.Process(target=be, args=given)
        self.process.start()
        self.pid = self.process.pid

    @property
    def returncode(self) -> int | None: return self.process.exitcode

    def poll(self) -> int | None: return self.process.exitcode

    def wait(self, timeout: float | None = None) -> int:
        self.process.join(timeout)
        if self.returncode is None: raise subprocess.TimeoutExpired(self.args, timeout)
        return self.returncode

    def send_signal(self, number: int):
        if self.poll() is None: os.kill(self.pid, number)

    def terminate(self): self.send_signal(signal.SIGTERM)

    def kill(self): self.send_signal(signal.SIGKILL)


def launch_kernel(words: list[str], env: dict, cwd: str | None = None, **_) -> Process:
    "Start a kernel as jupyter_client does, which wants it to lead a process group; it prints where we do."
    ours = [Path(f"/proc/{os.getpid()}/fd/{number}") for number in (1, 2)]
    started = Process("warm:kernel", tuple(words[words.index("-f"):]), Path(cwd or Path.cwd()), env, *ours)
    while os.getpgid(started.pid) != started.pid:
        if started.poll() is not None: raise RuntimeError(f"a kernel ended at once, with {started.returncode}")
        time.sleep(0.002)
    return started


def warm_kernels():
    "From now on the kernels that this process starts are forked as well."
    from jupyter_client.provisioning import local_provisioner
    local_provisioner.launch_kernel = launch_kernel


def run(
    function: str,                      # module:function
    *arguments,
    folder: Path | None = None,         # None: the working directory
    surroundings: dict | None = None,   # None: the environment
    seconds: float = 900,
) -> subprocess.CompletedProcess:
    "Call a function in a forked process, wait for it, and return its exit code and what it printed."
    with tempfile.TemporaryDirectory() as place:
        out, err = (Path(place) / name for name in ("out", "err"))
        where, around = Path(folder or Path.cwd()), dict(surroundings or os.environ)
        process = Process(function, arguments, where, around, out, err)
        try: code = process.wait(seconds)
        finally: process.kill()
        told = (path.read_text(encoding="utf-8", errors="replace") for path in (out, err))
        return subprocess.CompletedProcess(arguments, code, *told)


def warm_probes():
    "And the process that measures for a plan."
    from evoselfcode.pipeline import plan
    plan.run = lambda words, **_: run("evoselfcode.pipeline.plan:measure_into", *words[-2:])


def evoselfcode(*words) -> subprocess.CompletedProcess:
    "Run `evoselfcode WORDS` in a forked process."
    return run("warm:command_line", *map(str, words))
