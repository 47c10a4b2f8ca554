"""A study made as small as it gets, run by the real command.

The tests of the loop, of resuming and of bad input share it.
"""
import fcntl
import hashlib
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import warm

COMMAND = [sys.executable, "-m", "evoselfcode.cli"]
SIZES = {"data/raw/initial_pairs.jsonl": 60, "data/raw/descriptions.jsonl": 40, "data/raw/unlabelled_code.jsonl": 40,
         "data/eval/pocket_eval.jsonl": 16, "data/eval/pocket_validation.jsonl": 12}
# Whatever runs and has words is kept: the numbers of this study mean nothing, but no stage is empty, and most have
# several batches.
MIN_STEPS = dict(d2c=25, c2d=30)  # all the steps there are; each direction has its own
SETTINGS = [
    *(f"train_{direction}.{key}" for direction, n in MIN_STEPS.items() for key in (f"min_steps={n}", "batch_size=8")),
    "sampling.batch=4", "sampling.max_new_tokens=80", "scoring.batch=16", "select.min_agreement=0.25",
    "dual.codes_per_round=12", "dual.descriptions_per_round=12", "dual.round_trip_min=0", "evaluation.batch=6",
    "names.number=8", "names.batch=8", "scoring.scores=[coder, reviewer]", "select.selector=confidence",
    "select.precision=1e-9", "dual.gibbs_steps=2", "dual.review=0.8",
]
TINY = ["--config", "configs/tiny.yaml", *(part for setting in SETTINGS for part in ("-o", setting))]
ITERATE = ["pipeline", "iterate", *TINY]


def environment(**more) -> dict:
    "The surroundings of a command: no network, one thread, so that two runs compute the same."
    ours = dict(HF_HUB_OFFLINE="1", OMP_NUM_THREADS="1", TOKENIZERS_PARALLELISM="false", PYTHONUNBUFFERED="1")
    return os.environ | ours | more


def command(folder: Path, *words, seconds: float = 1500, **more) -> subprocess.CompletedProcess:
    "Run `evoselfcode WORDS` in `folder`, in a process of its own."
    words = tuple(map(str, words))
    return warm.run("warm:command_line", *words, folder=folder, surroundings=environment(**more), seconds=seconds)


def fresh(folder: Path, *words, seconds: float = 1500, **more) -> subprocess.CompletedProcess:
    "The same, started from nothing as a user does."
    return subprocess.run(
        [*COMMAND, *map(str, words)], cwd=folder, env=environment(**more), capture_output=True, text=True,
        timeout=seconds,
    )


def start(folder: Path, *words) -> subprocess.Popen:
    "Start it likewise and go on; what it prints lies in command.out and command.err."
    with open(folder / "command.out", "w") as out, open(folder / "command.err", "w") as err:
        return subprocess.Popen(
            [*COMMAND, *map(str, words)], cwd=folder, env=environment(), stdout=out, stderr=err, start_new_session=True
        )


def start_forked(folder: Path, *words) -> warm.Process:
    "Start it in a forked process, where nothing is asked of the processes it starts."
    out, err = folder / "command.out", folder / "command.err"
    return warm.Process("warm:command_line", tuple(map(str, words)), folder, environment(), out, err)


def run_stages(iteration: int):
    "Do what the notebook of an iteration does, in this process."
    from evoselfcode.config import load_config
    from evoselfcode.pipeline.iteration import Study
    Study(load_config(Path("configs/tiny.yaml"), SETTINGS), iteration).run_all()


def start_stages(folder: Path, iteration: int) -> warm.Process:
    "Start an iteration in a process that has no notebook, kernel and imports to wait for."
    out, err = folder / "command.out", folder / "command.err"
    for path in (out, err): path.write_bytes(b"")
    return warm.Process("tiny_study:run_stages", (iteration,), folder, environment(), out, err)


def lay_out(folder: Path) -> Path:
    "Lay out a workspace with the real data files, cut short."
    done = fresh(folder.parent, "init", folder)
    assert done.returncode == 0, done.stderr
    for name, lines in SIZES.items():
        path = folder / name
        path.write_bytes(b"".join(path.read_bytes().splitlines(True)[:lines]))
    return folder


def records(folder: Path) -> dict[str, bytes]:
    "Every record file of the run, by its place in it."
    run = folder / "data/generated/tiny"
    return {path.relative_to(run).as_posix(): path.read_bytes() for path in sorted(run.rglob("*.jsonl"))}


def weights(folder: Path) -> dict[str, str]:
    "A hash of every trained model."
    paths = sorted((folder / "checkpoints").rglob("*.safetensors"))
    return {path.relative_to(folder).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest() for path in paths}


def state(*folders: Path) -> dict[str, tuple]:
    "All files below the folders: place, time, content. Locks and bytecode do not count."
    paths = [path for folder in folders for path in sorted(folder.rglob("*"))]
    files = [p for p in paths if p.is_file() and p.name != ".lock" and "__pycache__" not in p.parts]
    return {str(p): (p.stat().st_mtime_ns, hashlib.sha256(p.read_bytes()).hexdigest()) for p in files}


def processes() -> dict[int, tuple[int, str]]:
    "All processes: parent and time of start, which together with the number name a process for good."
    found = {}
    for entry in Path("/proc").iterdir():
        if not entry.name.isdigit(): continue
        try: fields = (entry / "stat").read_text().rpartition(")")[2].split()
        except (FileNotFoundError, ProcessLookupError): continue
        if fields[0] != "Z": found[int(entry.name)] = int(fields[1]), fields[19]
    return found


def descendants(pid: int) -> dict[int, str]:
    "The processes that a process started, and those that these started: number and time of start."
    every, found = processes(), {}
    def walk(parent):
        for child, (its_parent, born) in every.items():
            if its_parent == parent and child not in found:
                found[child] = born
                walk(child)
    walk(pid)
    return found


def alive(these: dict[int, str]) -> list[int]:
    every = processes()
    return [pid for pid, born in these.items() if every.get(pid, (0, ""))[1] == born]


def is_kernel(pid: int) -> bool:
    try: return b"ipykernel_launcher" in Path(f"/proc/{pid}/cmdline").read_bytes()
    except (FileNotFoundError, ProcessLookupError): return False


def wait_until(true, seconds: float, process: subprocess.Popen | warm.Process | None = None) -> bool:
    "Look every few milliseconds whether something has become true; stop when `process` ends."
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if true(): return True
        if process and process.poll() is not None: return bool(true())
        time.sleep(0.004)
    return False


def stop(process: subprocess.Popen | warm.Process):
    "Kill a command that a failed test left behind, with all it started."
    left = descendants(process.pid) | {process.pid: processes().get(process.pid, (0, ""))[1]}
    for pid in alive(left):
        try: os.kill(pid, signal.SIGKILL)
        except ProcessLookupError: pass
    process.wait()


@pytest.fixture(scope="session")
def finished_study(tmp_path_factory, worker_id) -> Path:
    "A workspace in which the tiny study ran undisturbed; made once, by whichever test process needs it first."
    base = tmp_path_factory.getbasetemp()
    shared = (base if worker_id == "master" else base.parent) / "finished-study"
    with open(shared.with_suffix(".lock"), "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not shared.with_suffix(".json").exists():
            lay_out(shared)
            done = command(shared, *ITERATE)
            shared.with_suffix(".json").write_text(json.dumps(dict(code=done.returncode, err=done.stderr)))
    outcome = json.loads(shared.with_suffix(".json").read_text())
    assert outcome["code"] == 0, outcome["err"][-3000:]
    return shared
