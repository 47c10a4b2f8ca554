"""A study killed in every stage and started again ends with the same bytes as one that was left alone."""
import os
import shutil
import signal
import subprocess
import sys

import pytest
from tiny_study import (
    ITERATE,
    alive,
    command,
    descendants,
    finished_study,  # noqa: F401  a fixture
    is_kernel,
    lay_out,
    records,
    start,
    start_stages,
    stop,
    wait_until,
    weights,
)

from evoselfcode.io_utils import read_json

pytestmark = pytest.mark.timeout(1500)
FIRST, ROUND = "data/generated/tiny/iter-000", "data/generated/tiny/iter-001"
# stage -> the file whose appearance says that it has begun; the stage is killed before it is done
BEGINNING = {
    "names": f"{FIRST}/draws.meta.json",
    "functions": f"{FIRST}/functions.meta.json",
    "training of D2C": "checkpoints/tiny/iter-000/d2c.partial",
    "training of C2D": "checkpoints/tiny/iter-000/c2d.partial",
    "samples": f"{FIRST}/samples_validation.meta.json",
    "results": f"{FIRST}/results_validation.meta.json",
    "samples of the base model": f"{FIRST}/samples_base_test.meta.json",
}
A_ROUND = {
    "candidates": f"{ROUND}/candidates.meta.json",
    "scores": f"{ROUND}/scored.meta.json",
    "selection": f"{ROUND}/filtered.meta.json",
    "rewording": f"{ROUND}/reworded_described.meta.json",
    "backward": f"{ROUND}/backward.meta.json",
    "training of the round": "checkpoints/tiny/iter-001/c2d.partial",
    "evaluation of the round": f"{ROUND}/samples_test.meta.json",
    "the report": "data/generated/tiny/report.ipynb",
}


def killed_in(folder, began, iteration) -> dict[int, str]:
    "Run the study until a file appears, and kill it on the spot; return the processes it leaves behind."
    process = start(folder, *ITERATE) if began == A_ROUND["the report"] else start_stages(folder, iteration)
    try:
        there = wait_until((folder / began).exists, 1200, process)
        assert there, f"{began} did not appear: {(folder / 'command.err').read_text()[-2000:]}"
        left = descendants(process.pid)
        process.kill()
        assert process.wait() == -signal.SIGKILL
        return left
    finally: stop(process)


def finish(folder):
    done = command(folder, *ITERATE)
    assert done.returncode == 0, done.stderr[-2000:]


def equal(folder, other, iterations=(0, 1)):
    "Every record file, every model and all that was measured of two workspaces, byte for byte but for the seconds."
    places = tuple(f"iter-{k:03d}" for k in iterations)
    def of_these(found): return {n: mark for n, mark in found.items() if n.startswith(places)}
    def models(place):
        begin, found = "checkpoints/tiny/", weights(place)
        return of_these({n.removeprefix(begin): mark for n, mark in found.items() if n.startswith(begin)})
    def measures(place, name):
        metrics = read_json(place / f"data/generated/tiny/{name}/metrics.json")
        return {key: value for key, value in metrics.items() if key != "seconds"}
    ours, theirs = of_these(records(folder)), of_these(records(other))
    assert list(ours) == list(theirs) and len(ours) > 10 * len(places)
    assert [name for name in ours if ours[name] != theirs[name]] == []
    assert models(folder) == models(other) and len(models(folder)) == 2 * len(places)
    for name in places: assert measures(folder, name) == measures(other, name)


def killed_everywhere(folder, beginnings, iteration):
    orphans = {}
    for stage, began in beginnings.items():
        unfinished = folder / began
        assert not unfinished.exists(), f"{stage}: {began} is there already, so it would not be killed at its beginning"
        orphans |= killed_in(folder, began, iteration)
        if unfinished.suffix == ".json" and unfinished.exists():
            assert read_json(unfinished)["done"] < read_json(unfinished)["total"], f"{stage} was over before the kill"
        if unfinished.suffix == ".partial": assert not unfinished.with_suffix("").exists()
    assert wait_until(lambda: not alive(orphans), 20), "what a killed command started must end by itself"


def in_order(folder, beginnings):
    "Of the killed runs nothing is left but a few files that were being written."
    names = [p.name for place in ("data/generated/tiny", "checkpoints") for p in (folder / place).rglob("*")]
    leftovers = [name for name in names if name.endswith((".partial", ".tmp"))]
    assert not [name for name in leftovers if name.endswith(".partial")] and len(leftovers) <= len(beginnings)


def test_killed_in_every_stage_of_the_start(finished_study, tmp_path):
    folder = lay_out(tmp_path / "killed")
    killed_everywhere(folder, BEGINNING, 0)
    process = start_stages(folder, 0)
    try: assert process.wait(1200) == 0, (folder / "command.err").read_text()[-2000:]
    finally: stop(process)
    in_order(folder, BEGINNING)
    equal(folder, finished_study, [0])


def second_round(finished, folder):
    "The workspace of the finished study as it was before its first round."
    shutil.copytree(finished, folder, symlinks=True, ignore=shutil.ignore_patterns("byhand", "evaluations", ".lock"))
    for place in (ROUND, "checkpoints/tiny/iter-001"): shutil.rmtree(folder / place)
    for name in ("report.ipynb", "report.html", "run.json"): (folder / "data/generated/tiny" / name).unlink()
    return folder


def test_killed_in_every_stage_of_a_round(finished_study, tmp_path):
    folder = second_round(finished_study, tmp_path / "killed")
    killed_everywhere(folder, A_ROUND, 1)
    finish(folder)
    in_order(folder, A_ROUND)
    equal(folder, finished_study)


def test_stopped_by_hand_and_by_a_dead_kernel(finished_study, tmp_path):
    "Ctrl-C ends the command at once and in order; a kernel that dies is named; both go on where they were."
    folder = second_round(finished_study, tmp_path / "stopped")
    process = start(folder, *ITERATE)
    try:
        assert wait_until((folder / ROUND / "candidates.jsonl").exists, 1200, process)
        left = descendants(process.pid)
        process.send_signal(signal.SIGINT)
        assert process.wait(60) == 130
        assert wait_until(lambda: not alive(left), 20)
    finally: stop(process)
    assert (folder / "command.err").read_text() == "stopped; the same command goes on from here\n"
    assert read_json(folder / ROUND / "run.json")["status"] == "interrupted"

    process = start(folder, *ITERATE)
    try:
        assert wait_until((folder / ROUND / "backward_described.meta.json").exists, 1200, process)
        kernels = [pid for pid in descendants(process.pid) if is_kernel(pid)]
        assert len(kernels) == 1
        os.kill(kernels[0], signal.SIGKILL)
        assert process.wait(120) == 2
    finally: stop(process)
    line = (folder / "command.err").read_text()
    assert line.startswith("error: ") and line.count("\n") == 1
    assert str(folder / ROUND / "iterate.ipynb") in line and "kernel was killed" in line
    assert read_json(folder / ROUND / "run.json")["status"] == "died"
    finish(folder)
    equal(folder, finished_study)
    assert read_json(folder / ROUND / "run.json")["status"] == "ok"


STOPPED = """
import asyncio, os, signal, sys, threading
import nbformat
from jupyter_client import AsyncKernelManager
from evoselfcode.runs import run_notebook
put_away = AsyncKernelManager.cleanup_resources
async def slowly(self, *args, **kwargs):
    await asyncio.sleep(3)
    await put_away(self, *args, **kwargs)
AsyncKernelManager.cleanup_resources = slowly
cell = nbformat.v4.new_code_cell(f"import os, signal, time\\nos.kill({os.getpid()}, signal.SIGINT)\\ntime.sleep(60)")
nbformat.write(nbformat.v4.new_notebook(cells=[cell]), "stopped.ipynb")
try: run_notebook("stopped.ipynb", "out", {})
except KeyboardInterrupt: sys.exit(130)
"""


def test_nothing_is_said_where_a_machine_is_slow_to_put_the_kernel_away(tmp_path):
    done = subprocess.run([sys.executable, "-c", STOPPED], cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode == 130 and "Traceback" not in done.stderr and "never retrieved" not in done.stderr
    assert read_json(tmp_path / "out/run.json")["status"] == "interrupted"
