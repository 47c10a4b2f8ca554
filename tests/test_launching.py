"""Training as processes of its own: the same result, and nothing left behind."""
import os
import signal
import sys
import time
from dataclasses import replace
from pathlib import Path

import pytest
import warm

from evoselfcode.config import Train
from evoselfcode.engine.local import LocalEngine
from evoselfcode.errors import UserError
from evoselfcode.io_utils import read_json, read_jsonl
from evoselfcode.pipeline import train_sft

TORCHRUN = "torchrun --standalone --nproc_per_node 2"
TWO, ONE = (f"{sys.executable} {Path(__file__).with_name('two_processes.py')} {number}" for number in (2, 1))
FULL = Train(method="full", learning_rate=1e-3, min_steps=8, epochs=1, batch_size=7)
# 24 rows by 23: the last batch has one row, and the second process none
LORA = Train(method="lora", learning_rate=1e-2, min_steps=4, epochs=1, batch_size=23, lora_rank=4)


@pytest.fixture(scope="module")
def rows(root):
    pairs = [dict(description=r["prompt"], code=r["code"]) for r in read_jsonl(root / "data/raw/initial_pairs.jsonl")]
    return train_sft.d2c_rows(pairs[:24])


def losses(folder) -> list:
    return [loss for _, loss in read_json(folder / "training.json")["curve"]]


def test_two_processes_learn_what_one_learns(rows, tmp_path):
    alone = train_sft.train(rows, tmp_path / "alone", "pocket", LORA)
    both = train_sft.train(rows, tmp_path / "both", "pocket", replace(LORA, launch=TORCHRUN))
    assert both["loss"] == pytest.approx(alone["loss"], abs=1e-4)
    assert {k: v for k, v in both.items() if k != "loss"} == {k: v for k, v in alone.items() if k != "loss"}
    assert losses(tmp_path / "both") == pytest.approx(losses(tmp_path / "alone"), abs=1e-4)
    prompts, codes = [r["prompt"] for r in rows[:4]], [r["completion"] for r in rows[:4]]
    one, two = (LocalEngine(str(tmp_path / name)).logprobs(prompts, codes) for name in ("alone", "both"))
    assert max(abs(a - b).max() for a, b in zip(one, two)) < 1e-2
    files = [sorted(p.name for p in (tmp_path / name).iterdir()) for name in ("alone", "both")]
    assert files[0] == files[1]
    again = train_sft.train(rows, tmp_path / "both", "pocket", LORA)  # how it was started changes no result
    assert again == both


@pytest.mark.parametrize("launch, told", [
    ("no_such_launcher --all", "train: launch: no_such_launcher"),
    ("torchrun 'half", "train: launch: cannot be read"),
    ("false", "ended with code 1"),
    ("true", "ended without a result"),
])
def test_a_launcher_that_cannot_be(rows, tmp_path, launch, told):
    with pytest.raises(UserError) as error:
        train_sft.train(rows, tmp_path / "d2c", "pocket", replace(FULL, launch=launch))
    assert told in str(error.value) and not (tmp_path / "d2c").exists()


def test_a_users_mistake_is_told_as_in_this_process(rows, tmp_path):
    wrong = replace(LORA, lora_targets="no_such_layer", launch=ONE)
    with pytest.raises(UserError, match="lora_targets=no_such_layer"):
        train_sft.train(rows, tmp_path / "d2c", "pocket", wrong)


def test_full_memory_in_one_process_starts_all_again_with_smaller_parts(rows, tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("EVOSELFCODE_TEST_FULL_AT", "4")
    (tmp_path / "sitecustomize.py").write_text(
        "import os\n"
        "from evoselfcode.pipeline import fitting\n"
        "plain = fitting.token_loss\n"
        "def token_loss(model, batch, *more):\n"
        "    full = os.environ.get('EVOSELFCODE_TEST_FULL_AT')\n"
        "    if model.training and full and len(batch['labels']) >= int(full): raise MemoryError\n"
        "    return plain(model, batch, *more)\n"
        "fitting.token_loss = token_loss\n"
    )
    monkeypatch.setenv("PYTHONPATH", f"{tmp_path}:{os.environ.get('PYTHONPATH', '')}")
    both = train_sft.train(rows, tmp_path / "both", "pocket", replace(FULL, launch=TWO))
    assert "memory was full, starting again with 2 rows at a time" in capsys.readouterr().out.replace("\n", " ")
    alone = train_sft.train(rows, tmp_path / "alone", "pocket", FULL)
    assert both["loss"] == pytest.approx(alone["loss"], abs=1e-4)


LONG = replace(FULL, min_steps=30, save_steps=10)


def train_long(rows, folder):
    "What the process does that the test starts and ends."
    train_sft.train(rows, folder, "pocket", replace(LONG, launch=TWO))


def family(pid: int) -> set:
    from evoselfcode.engine.serving import descendants
    return set(descendants(pid))


@pytest.mark.timeout(600)
@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGINT], ids=["killed", "interrupted"])
def test_ended_in_between_leaves_no_process_and_goes_on(rows, tmp_path, how):
    told = tmp_path / "told"
    def start():
        given = (rows, tmp_path / "d2c")
        return warm.Process("test_launching:train_long", given, tmp_path, dict(os.environ), told, told)
    running = start()
    end = time.monotonic() + 500
    while not list((tmp_path / "d2c.partial").glob("trainer/checkpoint-10/trainer_state.json")):
        assert time.monotonic() < end and running.poll() is None, told.read_text()
        time.sleep(0.02)
    started = family(running.pid)
    assert len(started) >= 3  # guard, launcher, processes
    running.send_signal(how)
    running.wait(30)
    end = time.monotonic() + 30
    while (left := [pid for pid in started if not gone(pid)]) and time.monotonic() < end: time.sleep(0.1)
    assert not left
    if how == signal.SIGINT: return
    assert start().wait(240) == 0, told.read_text()
    train_sft.train(rows, tmp_path / "whole", "pocket", LONG)
    assert losses(tmp_path / "d2c") == pytest.approx(losses(tmp_path / "whole"), abs=1e-3)


def gone(pid: int) -> bool:
    try: return open(f"/proc/{pid}/stat").read().rpartition(")")[2].split()[0] == "Z"
    except OSError: return True
