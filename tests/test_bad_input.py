"""What a user can get wrong, through the real command.

One line that names it, exit code 2, and nothing lost or half-written.
"""
import contextlib
import os
import shutil
import signal
import subprocess
from pathlib import Path

import pytest
from tiny_study import (
    ITERATE,
    TINY,
    command,
    finished_study,  # noqa: F401  a fixture
    fresh,
    lay_out,
    start_forked,
    state,
    stop,
    wait_until,
)

from evoselfcode.engine.loading import resolve_model
from evoselfcode.io_utils import read_json, read_jsonl
from evoselfcode.stages import meta_path

pytestmark = pytest.mark.timeout(1500)


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    "A workspace in which nothing has run."
    return lay_out(tmp_path_factory.mktemp("bad") / "workspace")


def refused(folder, *words, kept=None, **more) -> str:
    "Run a command that must be refused, in one line and without a trace on disk; return the line."
    kept = kept or [folder / "data", folder / "checkpoints", folder / "configs"]
    before = state(*kept)
    done = (fresh if more else command)(folder, *words, **more)  # the environment counts where a library is imported
    assert done.returncode == 2, (done.returncode, done.stdout, done.stderr)
    assert done.stderr.startswith("error: "), done.stderr
    assert done.stderr.count("\n") == 1 and done.stderr.endswith("\n"), done.stderr
    assert "Traceback" not in done.stdout + done.stderr
    assert state(*kept) == before
    return done.stderr[len("error: "):-1]


# settings

@pytest.mark.parametrize("text, words", [
    ("sampling: {temprature: 0.9}", ("mine.yaml", "temprature", "Sampling", "temperature")),
    ("samplin: {n: 4}", ("mine.yaml", "samplin", "sampling")),
    ("sampling: {n: many}", ("mine.yaml", "sampling.n", "many")),
    ("sampling: {n: 2.5}", ("mine.yaml", "sampling.n")),
    ("dual: {forward: perhaps}", ("mine.yaml", "dual.forward", "perhaps")),
    ("sampling: 4", ("mine.yaml", "sampling")),
    ("sampling: {n: 0}", ("mine.yaml", "sampling.n", "at least 1")),
    ("sampling: {top_p: 1.5}", ("mine.yaml", "sampling.top_p", "at most 1")),
    ("train_c2d: {method: magic}", ("mine.yaml", "train_c2d.method", "lora, full")),
    ("filter: {gates: [syntax, beauty]}", ("mine.yaml", "filter.gates", "beauty")),
    ("evaluation: {n: 2, ks: [1, 4]}", ("mine.yaml", "evaluation.ks", "evaluation.n = 2")),
    ("run: ../elsewhere", ("mine.yaml", "run", "plain name")),
    ("backend: magic", ("mine.yaml", "backend", "transformers")),
    ("seed: -1", ("mine.yaml", "seed", "at least 0")),
    ("sampling: [n: 4", ("mine.yaml", "line ")),
    ("- a\n- b", ("mine.yaml", "key: value")),
])
def test_a_setting_that_cannot_be_is_named_with_its_file(place, text, words):
    (place / "mine.yaml").write_text(text)
    line = refused(place, "pipeline", "iterate", "--config", "mine.yaml")
    assert all(word in line for word in words), line


@pytest.mark.parametrize("override, words", [
    ("sampling.temprature=0.9", "temperature"), ("sampling.n=many", "many"), ("sampling.n=0", "at least 1"),
    ("sampling.n", "KEY=VALUE"),
])
def test_so_is_one_on_the_command_line(place, override, words):
    line = refused(place, *ITERATE, "-o", override)
    assert f"-o {override}" in line and words in line


def test_a_configuration_that_is_not_there(place):
    assert "none.yaml: not found" in refused(place, "pipeline", "iterate", "--config", "none.yaml")


@pytest.mark.parametrize("words, why", [
    (("--seeds", "0,x"), "whole numbers"),
    (("--arms", "random,forwards"), "no such arm; there are random, agreement,"),
])
def test_a_comparison_of_what_there_is_not(place, words, why):
    assert why in refused(place, "pipeline", "compare", *TINY, *words)


# raw files

GOOD = b'{"prompt": "Return the sum of the list.", "code": "def f(xs: list[int]) -> int:\\n    return sum(xs)\\n"}\n'
RAW = {
    "broken JSON at line 17":
        (GOOD * 16 + GOOD.replace(b'"code":', b'"code"') + GOOD, "line 17: broken JSON at column"),
    "cut off at line 17": (GOOD * 16 + GOOD[:40], "line 17: broken JSON"),
    "a field is missing":
        (GOOD * 4 + b'{"prompt": "Add."}\n' + GOOD, "line 5: field 'code' missing; there are 'prompt'"),
    "no description": (GOOD + b'{"code": "x = 1"}\n', "line 2: needs a text in `prompt` or `description`"),
    "a number for a text": (GOOD + b'{"prompt": "Add.", "code": 7}\n', "line 2: `code` must be a text, not int"),
    "not UTF-8": (GOOD + GOOD.replace(b"sum of", "Summe für".encode("latin-1")), "line 2: byte 31 is not UTF-8"),
    "a list": (GOOD + b"[1, 2]\n", "line 2: must be a JSON object"),
    "empty": (b"", "holds no records"),
    "blank lines": (b"\n\n", "holds no records"),
}


@pytest.mark.parametrize("fault", RAW)
def test_a_faulty_file_of_pairs_is_named_with_its_line(place, fault):
    content, words = RAW[fault]
    (place / "mine.jsonl").write_bytes(content)
    for task in (("pipeline", "iterate"), ("pipeline", "train-d2c")):
        line = refused(place, *task, *TINY, "-o", "data.initial_pairs=mine.jsonl")
        assert "mine.jsonl: " in line and words in line, line
        if fault != "broken JSON at line 17": break
    assert (place / "mine.jsonl").read_bytes() == content


@pytest.mark.parametrize("key, content, words", [
    ("descriptions", b'{"text": "Add."}\n', "line 1: field 'description' missing"),
    ("unlabelled_code", b'{"code": "x"}\n{"code"\n', "line 2: broken JSON"),
    ("truth", b"\xff\xfe", "line 1: byte 1 is not UTF-8"),
    ("validation", b'{"task_id": "a"}\n', "line 1: field"),
    ("test", b"", "holds no records"),
])
def test_so_is_any_other_input(place, key, content, words):
    (place / "mine.jsonl").write_bytes(content)
    line = refused(place, *ITERATE, "-o", f"data.{key}=mine.jsonl")
    assert "mine.jsonl: " in line and words in line


def test_an_input_that_is_not_there(place):
    assert "none.jsonl: not found" in refused(place, *ITERATE, "-o", "data.descriptions=none.jsonl")


def test_after_a_mistake_the_corrected_command_just_runs(place, tmp_path):
    "Nothing of the refused runs stands in the way under the same name."
    refused(place, "datagen", "generate-names", *TINY, "-o", "model=someone/has-no-such-model")
    done = command(place, "datagen", "generate-names", *TINY)
    assert done.returncode == 0 and "8 names" in done.stdout and done.stderr == ""


# models

def test_a_checkpoint_without_weights(place):
    folder = place / "checkpoints/empty"
    folder.mkdir(parents=True, exist_ok=True)
    assert "not a model folder" in refused(place, "eval", "pocket", "--ckpt", "checkpoints/empty", *TINY)
    (folder / "config.json").write_text('{"model_type": "llama"}')
    assert "no weights" in refused(place, "eval", "pocket", "--ckpt", "checkpoints/empty", *TINY)
    for name in ("config.json", "tokenizer.json", "tokenizer_config.json"):
        shutil.copy(Path(resolve_model("pocket")) / name, folder)
    (folder / "model.safetensors").write_bytes(b"\0" * 100)
    assert "cannot be loaded" in refused(place, "eval", "pocket", "--ckpt", "checkpoints/empty", *TINY)
    for none in ("checkpoints/none", "../none"):
        assert f"{none}: no such folder" in refused(place, "eval", "pocket", "--ckpt", none, *TINY)
    assert "--split mine" in refused(place, "eval", "pocket", "--ckpt", "pocket", "--split", "mine", *TINY)


@pytest.mark.parametrize("network", ["switched off", "not there"])
def test_an_unknown_model_without_a_network(place, network):
    nowhere = dict(HF_HUB_OFFLINE="1")
    if network == "not there":
        nowhere = dict.fromkeys(("HTTPS_PROXY", "HTTP_PROXY", "https_proxy"), "http://127.0.0.1:9")
        nowhere |= dict(HF_HUB_OFFLINE="0", NO_PROXY="", no_proxy="")
    evaluating = ("eval", "pocket", "--ckpt", "someone/has-no-such-model", *TINY)
    iterating = (*ITERATE, "-o", "model=someone/has-no-such-model")
    for words in (evaluating, iterating):
        line = refused(place, *words, **nowhere)
        assert line.startswith("someone/has-no-such-model: not a folder, not downloaded yet")
        assert "give a folder" in line
        if network == "not there": break


# disks

@contextlib.contextmanager
def disk(folder, size: str):
    "A file system of its own with room for `size`; skips where nobody may mount one."
    folder.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", f"size={size}", "tmpfs", folder]
    if os.geteuid() or subprocess.run(mount, capture_output=True).returncode:
        pytest.skip("a small disk needs the right to mount one")
    try: yield folder
    finally: subprocess.run(["umount", "-l", folder], check=True)


def whole(folder):
    "Every stage file below a folder ends with a whole batch and a whole line."
    for path in folder.rglob("*.jsonl"):
        if meta_path(path).exists(): assert path.stat().st_size >= read_json(meta_path(path))["bytes"]
        read_jsonl(path, tolerate_torn=True, empty_ok=True)


def test_a_full_disk_in_the_middle_of_a_study(finished_study, place, tmp_path):
    """Records fit for a while, then no more; with room again the same command goes on.

    The records are those of an undisturbed run.
    """
    with disk(tmp_path / "small", "64k") as small:
        words = [*ITERATE, "-o", f"paths.generated={small}", "-o", "paths.checkpoints=full-checkpoints"]
        done = command(place, *words)
        assert done.returncode == 2 and "Traceback" not in done.stdout + done.stderr
        assert done.stderr.startswith(f"error: {small}")
        assert done.stderr.count("\n") == 1
        assert "the disk is full" in done.stderr
        whole(small)
        subprocess.run(["mount", "-o", "remount,size=64m", small], check=True)
        words = ["-o", f"paths.generated={small}", "-o", "paths.checkpoints=full-checkpoints"]
        done = command(place, "datagen", "generate-functions", *TINY, *words)
        assert done.returncode == 0, done.stderr
        undisturbed = finished_study / "data/generated"
        for name in ("tiny/iter-000/names.jsonl", "tiny/iter-000/functions.jsonl"):
            assert (small / name).read_bytes() == (undisturbed / name).read_bytes()


def test_a_full_disk_at_the_end_of_training(finished_study, place, tmp_path):
    with disk(tmp_path / "small", "1m") as small:
        words = ["pipeline", "train-d2c", *TINY, "-o", "run=full", "-o", f"paths.checkpoints={small}"]
        done = command(place, *words)
        assert done.returncode == 2 and done.stderr.startswith(f"error: {small}"), done.stderr
        assert done.stderr.count("\n") == 1 and "the disk is full" in done.stderr, done.stderr
        assert not (small / "full/iter-000/d2c").exists()
        subprocess.run(["mount", "-o", "remount,size=64m", small], check=True)
        done = command(place, *words)
        assert done.returncode == 0 and done.stderr == "", done.stderr
        ours, theirs = small / "full/iter-000/d2c", finished_study / "checkpoints/tiny/iter-000/d2c"
        assert (ours / "model.safetensors").read_bytes() == (theirs / "model.safetensors").read_bytes()
        assert sorted(p.name for p in ours.iterdir()) == sorted(p.name for p in theirs.iterdir())


@contextlib.contextmanager
def read_only(folder):
    "Nobody may write below `folder` for a while."
    if os.geteuid():
        folder.chmod(0o500)
        try: yield
        finally: folder.chmod(0o700)
        return
    if subprocess.run(["mount", "--bind", folder, folder], capture_output=True).returncode:
        pytest.skip("root can only be refused by a read-only mount, and may not mount here")
    try:
        subprocess.run(["mount", "-o", "remount,ro,bind", folder], check=True)
        yield
    finally: subprocess.run(["umount", "-l", folder], check=True)


def test_a_run_folder_that_may_not_be_written(place):
    (place / "data/generated/tiny/iter-000").mkdir(parents=True, exist_ok=True)
    with read_only(place / "data/generated/tiny"):
        for words in (ITERATE, ("datagen", "generate-functions", *TINY)):
            line = refused(place, *words)
            assert str(place / "data/generated/tiny") in line and ("read-only" in line or "no permission" in line)


# two at once

def test_two_commands_on_one_run(place):
    process = start_forked(place, *ITERATE, "-o", "run=twice", "-o", "paths.checkpoints=twice-checkpoints")
    try:
        folder = place / "data/generated/twice"
        assert wait_until((folder / "iter-000/draws.meta.json").exists, 600, process)
        config = (folder / "config.yaml").read_bytes()
        done = command(place, *ITERATE, "-o", "run=twice", "-o", "paths.checkpoints=twice-checkpoints", "-o", "seed=5")
        assert done.returncode == 2 and done.stderr.startswith("error: ") and done.stderr.count("\n") == 1
        assert str(folder) in done.stderr
        assert f"process {process.pid} works here" in done.stderr
        assert "-o run=NAME" in done.stderr
        assert (folder / "config.yaml").read_bytes() == config and process.poll() is None
    finally:
        process.send_signal(signal.SIGKILL)
        stop(process)
