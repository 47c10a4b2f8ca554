"""What the commands that only tell something print: settings, runs, and which checkpoint was measured."""
import os

import pytest
from typer.testing import CliRunner

from evoselfcode.cli import app
from evoselfcode.config import load_config
from evoselfcode.engine.loading import resolve_checkpoint, resolve_model
from evoselfcode.io_utils import write_json
from evoselfcode.prompts import COMMENT
from evoselfcode.settings import describe


def told(*words) -> str:
    done = CliRunner().invoke(app, [*map(str, words)], catch_exceptions=False)
    assert done.exit_code == 0
    return done.output


@pytest.mark.parametrize("key, line", [
    ("sampling.n", "sampling.n=8   samples per description (at least 1)"),
    ("sampling.top_p", "sampling.top_p=0.95   nucleus probability (above 0, at most 1)"),
    ("names.floor", "names.floor=20   stop when fewer new names than this come per 1,000 drawn (0 to 1000)"),
    ("select.selector", "(low_perplexity | agreement | reviewer | coder_reviewer | ifd |"),
    ("dual.forward", "dual.forward=true   description -> code -> checked description (true | false)"),
    ("evaluation.ks", "evaluation.ks=[1, 8]   the k of each pass@k; none above n (a list, each at least 1)"),
    ("paths.benchmarks", 'paths.benchmarks=""'),
    ("names.context", 'names.context="# this is an algorithm function\\n"'),
    ("train_d2c.micro_batch", "(auto or a number of rows)"),
    ("execution.recheck", "(timeout | nothing)"),
])
def test_settings_shows_default_meaning_and_what_is_allowed(key, line):
    found = [row for row in told("settings", key).splitlines() if row.startswith(f"{key}=")]
    assert len(found) == 1 and " ".join(line.split()) in " ".join(found[0].split())


def test_every_default_can_be_given_as_it_is_shown(workspace):
    lines = told("settings").splitlines()[1:]
    rows = describe()
    assert len(lines) == len(rows) > 130
    given_as = [line.partition("   ")[0] for line in lines]
    config = load_config(None, given_as)
    for row, given in zip(rows, given_as):
        place = config
        for part in row["key"].split("."): place = getattr(place, part)
        assert given.startswith(f"{row['key']}=") and place == row["default"]


def test_a_word_in_no_key_is_told(message):
    with pytest.raises(Exception, match="no key holds samplin_g; `evoselfcode settings` lists all"):
        told("settings", "samplin_g")


def metrics(iteration: int, decision: str, score: float) -> dict:
    best = decision in ("start", "best")
    return dict(iteration=iteration, decision=decision, best=best, evaluation=dict(test={"pass@1": dict(mean=score)}))


@pytest.mark.parametrize("decisions, how, status", [
    (["start", "best", "worse", "stop"], "", "stopped: no gain any more"),
    (["start", "best", "not proven", "stop"], "", "stopped: no further gain is proven"),
    (["start", "best"], "", "finished"),
    (["start"], "running", "iteration 1: at work, or killed"),
    (["start"], "interrupted", "iteration 1: interrupted"),
    (["start"], "failed", "iteration 1: failed"),
    ([], "died", "iteration 0: died"),
    ([], "", "iteration 0: not finished"),
])
def test_runs_are_told_with_best_score_size_and_status(workspace, decisions, how, status):
    run = workspace / "data/generated/night"
    for k, decision in enumerate(decisions): write_json(run / f"iter-{k:03d}/metrics.json", metrics(k, decision, k / 8))
    if how: write_json(run / f"iter-{len(decisions):03d}/run.json", dict(status=how))
    (run / "iter-000").mkdir(parents=True, exist_ok=True)
    rounds, rule = len(decisions) - 1 if status == "finished" else 3, "evalue" if "proven" in status else "greedy"
    (run / "config.yaml").write_text(f"run: night\niterate: {{rounds: {rounds}, decide: {rule}}}\n")
    heading, line = told("runs").splitlines()
    assert heading.split() == "run iterations best score on test size status".split()
    assert line.startswith("night ") and line.endswith(status) and " MiB " in line
    best = max((k for k, d in enumerate(decisions) if d in ("start", "best")), default=None)
    assert ("pass@1 " in line) == (best is not None)
    if best: assert " iter-001 " in line and "pass@1 12.5 %" in line


def test_where_there_is_no_run_it_says_what_makes_one(workspace):
    assert "no run in" in told("runs") and "evoselfcode pipeline iterate" in told("runs")


@pytest.fixture
def checkpoint(workspace):
    "A study's models, with the links beside them."
    folder = workspace / "checkpoints/tiny/iter-002/d2c"
    folder.mkdir(parents=True)
    (folder / "config.json").write_text("{}")
    (folder.parent / "c2d").mkdir()
    os.symlink("iter-002", workspace / "checkpoints/tiny/best")
    os.symlink("tiny/iter-002/d2c", workspace / "checkpoints/latest")
    return folder


@pytest.mark.parametrize("name", ["latest", "tiny/best", "tiny/best/d2c", "tiny/iter-002", "tiny/iter-002/d2c"])
def test_the_real_folder_of_a_checkpoint_is_told_and_kept(workspace, checkpoint, monkeypatch, name):
    score = dict(problems=3, n=2, folder=str(workspace / "found")) | {"pass@1": dict(mean=.5, low=.4, high=.6)}
    kept = []
    monkeypatch.setattr("evoselfcode.evaluation.suite.engine_fingerprint", lambda path, config: path)
    monkeypatch.setattr("evoselfcode.evaluation.suite.way_of", lambda *_: COMMENT)
    monkeypatch.setattr("evoselfcode.evaluation.suite.evaluate", lambda *given: score | dict(model=given[4]))
    monkeypatch.setattr("evoselfcode.evaluation.suite.write_table", lambda folder, summaries: kept.extend(summaries))
    real = str(checkpoint.resolve())
    assert told("eval", "pocket", "--ckpt", f"checkpoints/{name}").splitlines()[0] == f"{real}, test split"
    assert [(summary["measured"], summary["model"]) for summary in kept] == [(real, real)]


@pytest.mark.parametrize("name", ["tiny/best", "tiny/iter-002"])
def test_an_iteration_s_folder_stands_for_its_d2c(workspace, checkpoint, name):
    assert resolve_checkpoint(load_config(), f"checkpoints/{name}") == str(checkpoint.resolve())
    assert resolve_model(f"checkpoints/{name}") == str(checkpoint.resolve())
