"""What a run will take: counted, priced, told in eighty columns, kept true on its way."""
import json
import shlex
from dataclasses import asdict, replace

import pytest
from typer.testing import CliRunner

from evoselfcode.cli import app
from evoselfcode.config import Config, Dual, Evaluation, Iterate, Paths, Sampling, load_config
from evoselfcode.engine.loading import load_tokenizer, model_folder
from evoselfcode.errors import UserError
from evoselfcode.io_utils import read_json, write_json
from evoselfcode.pipeline import plan
from evoselfcode.pipeline.iteration import Study
from evoselfcode.pipeline.plan import Task

RATES = dict(
    load=2.0, steps=[(4, 0.1), (64, 0.4)], scoring=400.0, own=60.0, width=256, weights=2**30, token=100,
    logits=1000, wide=2048, free=8 * 2**30, process=2**28, start=10.0, begin=0.5, program=0.01, check=0.005,
    load_average=0.5,
    train={f"train_{d}": dict(token=0.01, step=0.5, rows=8, longest=90, memory=3 * 2**30) for d in ("d2c", "c2d")},
)


@pytest.fixture(scope="module")
def tokenizer(): return load_tokenizer(model_folder("pocket"))


def study_of(workspace, **changes):
    given = dict(paths=Paths(root=str(workspace)), iterate=Iterate(rounds=2), evaluation=Evaluation(n=2, ks=[1]))
    return Study(Config(run="r", **given | changes), work=False)


def planned(study, tokenizer, rates=RATES):
    size = plan.sizes_of(study, tokenizer)
    tasks = [asdict(plan.priced(task, rates)) for task in plan.tasks_of(study, size)]
    return json.loads(json.dumps(dict(settings=plan.as_run(study), rates=rates, sizes=size, tasks=tasks)))


def tasks_of(study, tokenizer): return plan.tasks_of(study, plan.sizes_of(study, tokenizer))


def test_what_follows_from_settings_and_data_is_counted(workspace, tokenizer):
    study = study_of(workspace, dual=Dual(codes_per_round=18, descriptions_per_round=15), sampling=Sampling(n=4))
    tasks = {(task.iteration, task.stage): task for task in tasks_of(study, tokenizer)}
    assert not {(0, "draws"), (0, "functions"), (1, "samples_base_test"), (0, "candidates")} & set(tasks)
    assert tasks[1, "candidates"].prompts == 15 and tasks[2, "candidates"].samples == 60
    assert 15 < tasks[1, "scored"].programs < 60
    assert tasks[1, "backward"].prompts == 18 * study.config.dual.descriptions_per_code
    assert tasks[0, "samples_base_test"].samples == tasks[2, "samples_validation"].samples == 2 * 60
    assert tasks[0, "train_d2c"].steps == 100 and tasks[2, "train_d2c"].steps >= tasks[1, "train_d2c"].steps
    assert 0 < tasks[1, "candidates"].mean < tasks[1, "candidates"].most == 160
    stages = [stage for k, stage in tasks if k == 0]
    assert stages[:4] == ["start", "samples_base_validation", "results_base_validation", "contaminated"]
    assert tasks[0, "contaminated"].compared == 180 and stages.count("samples_base_validation") == 1
    stages = [stage for k, stage in tasks if k == 1]
    assert stages[:2] == ["start", "candidates"] and stages[-1].startswith("results_")


def test_one_cycle_or_none(workspace, tokenizer):
    stages = lambda **dual: {t.stage for t in tasks_of(study_of(workspace, dual=Dual(**dual)), tokenizer)}
    assert "backward" not in stages(backward=False) and "candidates" in stages(backward=False)
    assert "candidates" not in stages(forward=False) and "backward" in stages(forward=False)
    assert {"draws", "functions"} <= stages(codes_per_round=1000)


def test_more_rows_cost_more_and_less_each():
    steps = [(4, 0.1), (64, 0.4), (256, 0.4)]
    seconds = [plan.step_seconds(steps, rows) for rows in (1, 2, 4, 10, 64, 100, 256, 1000)]
    assert seconds == sorted(seconds) and seconds[2] == 0.1 and seconds[4] == 0.4
    def takes(**more): return plan.drawing_seconds(steps, Task(1, "candidates", n=8, **more), 256)
    like = dict(prompts=32, lengths=[20, 50, 80], most=160, batch=32)
    one = takes(**like)
    assert one < takes(**like | dict(prompts=64)) < 3 * one
    assert one < takes(**like | dict(lengths=[60, 100, 140])) and one < takes(**like | dict(batch=4))
    assert takes(**like | dict(most=20)) < one < takes(**like | dict(lengths=[50, 50, 50, 150]))


def test_a_plan_is_told_in_eighty_columns(workspace, tokenizer):
    study = study_of(workspace)
    found = planned(study, tokenizer)
    lines = plan.told(study, found)
    assert max(map(len, lines)) <= 80 and lines[0].split()[:4] == ["stage", "prompts", "samples", "tokens"]
    assert [line for line in lines if "samples_base_validation" in line] and "plan: about " in "\n".join(lines)
    assert not [line for line in lines if line.startswith("!")]
    busy = plan.advice(study, found | dict(rates=found["rates"] | dict(share=0.1)))
    assert len(busy) == 1 and busy[0].startswith("the machine is busy (load 0.5 on ") and "10.0 x as long" in busy[0]
    longest = plan.longest(found)
    assert longest[0][1] >= longest[1][1] and all(keys for _, _, keys in longest[:2])


def test_what_does_not_fit_is_told_with_what_would(workspace, tokenizer, monkeypatch):
    study = study_of(workspace)
    unfit = dict(unfit="training needs 9 GiB: set method: lora", instead=dict(method="lora", max_length=128))
    small = RATES | dict(free=2**29, train=dict(train_d2c=unfit, train_c2d=RATES["train"]["train_c2d"]))
    monkeypatch.setattr(plan, "disk_of", lambda _: (9e9, 3e9, 5e9))
    found = planned(study, tokenizer, small)
    lines = plan.told(study, found)
    told = "\n".join(lines)
    assert max(map(len, lines)) <= 80
    assert "! train_d2c does not fit: training needs 9 GiB: it fits with" in told and " no\n" in told
    train, other = plan.to_fit(study, found)
    assert train.endswith(" with -o train_d2c.method=lora -o train_d2c.max_length=128")
    assert other.endswith(" GiB are free: take a smaller model")  # with no settings at all
    assert "iterate.keep=best takes 2.8 GiB" in told.replace("\n ", "")
    assert "too much memory (train_d2c)" in plan.in_a_line(study, found)


def again(workspace, tokenizer, rates, line):
    "Plan once more, with the settings that a line of advice names."
    given = ["paths.root=" + str(workspace), "evaluation.n=4", "evaluation.ks=[1]"]
    settings = shlex.split(line.partition(" with ")[2])
    assert settings[::2] == ["-o"] * (len(settings) // 2)
    study = Study(load_config(None, [*given, *settings[1::2]]), work=False)
    return study, planned(study, tokenizer, rates)


def test_what_takes_days_is_told_with_settings_that_take_less(workspace, tokenizer):
    slow = RATES | dict(steps=[(4, 60.0), (64, 240.0)], scoring=5.0)
    study, found = again(workspace, tokenizer, slow, "")
    line, = plan.to_end(study, found)
    assert " days; " in line and shlex.quote("data.test=data/eval/pocket_eval.jsonl[:30]") in line
    study, found = again(workspace, tokenizer, slow, line)
    assert plan.to_end(study, found) == [] and plan.left(study, found)[0] <= 24 * 3600


def test_what_is_too_large_is_told_with_settings_that_are_smaller(workspace, tokenizer):
    tight = RATES | dict(logits=5_000_000, wide=64, free=2**30 + 2**29)
    study, found = again(workspace, tokenizer, tight, "")
    line, = plan.to_fit(study, found)
    assert " GiB are free: it fits with -o " in line
    assert plan.to_fit(*again(workspace, tokenizer, tight, line)) == []


def test_what_a_server_does_has_no_time(workspace, tokenizer):
    study = study_of(workspace, backend="openai")
    found = planned(study, tokenizer, {k: RATES[k] for k in RATES if k not in ("steps", "scoring", "own", "weights")})
    told = "\n".join(plan.told(study, found))
    assert "a server's work is not timed" in told and "stages of unknown length" in plan.in_a_line(study, found)
    seconds = {t["stage"]: t["seconds"] for t in found["tasks"]}
    assert seconds["candidates"] is None and seconds["train_d2c"] > 0


def finish(study, task, seconds, done=5, total=5):
    write_json(study.run / f"iter-{task['iteration']:03d}" / f"{task['stage']}.meta.json",
               dict(done=done, total=total, seconds=seconds))


def test_what_is_done_takes_no_time_and_corrects_the_rest(workspace, tokenizer):
    study = study_of(workspace)
    found = planned(study, tokenizer)
    whole, off, _ = plan.left(study, found)
    tasks = {(t["iteration"], t["stage"]): t for t in found["tasks"]}
    assert off == 1 and whole == pytest.approx(sum(t["seconds"] for t in found["tasks"]))
    finish(study, tasks[1, "candidates"], 3 * tasks[1, "candidates"]["seconds"])
    after, off, _ = plan.left(study, found)
    begun = tasks[1, "candidates"]["seconds"] + tasks[1, "start"]["seconds"]
    assert off == pytest.approx(3) and after == pytest.approx(3 * (whole - begun))
    finish(study, tasks[1, "scored"], 0.0, done=1, total=4)
    assert plan.left(study, found)[0] == pytest.approx(after - 3 * tasks[1, "scored"]["seconds"] / 4)
    assert [line for line in plan.table(study, found) if " 1  candidates" in line and "done" in line]
    write_json(study.run / "iter-001/metrics.json", dict(seconds={}, decision="best"))
    assert plan.left(study, found)[0] < after and plan.share_done(study, Task(**tasks[1, "train_d2c"])) == 1


def test_a_run_tells_on_its_way_what_is_left(workspace, tokenizer, monkeypatch, capsys):
    study = study_of(workspace)
    plan.follow(study)
    monkeypatch.setattr(plan, "PAUSE", 0)
    study.listener(study)
    assert capsys.readouterr().out == ""  # a run without a plan
    write_json(study.run / "plan.json", found := planned(study, tokenizer))
    finish(study, next(t for t in found["tasks"] if t["stage"] == "candidates"), 9.0)
    study.listener(study)
    told = capsys.readouterr().out
    assert told.startswith("about ") and " left of this run" in told and told.endswith(" x the plan)\n")
    assert told.count("\n") == 1
    monkeypatch.setattr(plan, "PAUSE", 3600)
    study.listener(study)
    assert capsys.readouterr().out == ""
    asked = []
    study.listener, study.fingerprint = asked.append, lambda *_: ""
    study.folder.mkdir(parents=True)
    study.stage("shouted", [dict(text="a")], 1, lambda batch, seed: batch, {})
    assert asked == [study]


def test_a_run_begins_with_a_line_and_keeps_its_plan(workspace, tokenizer, monkeypatch):
    study = study_of(workspace)
    made = []
    def make(study):
        made.append(1)
        return planned(study, tokenizer)
    monkeypatch.setattr(plan, "make_plan", make)
    line, = plan.begin_plan(study)
    assert line.startswith("plan: about ")
    assert line.endswith("; each stage: evoselfcode plan --config data/generated/r/config.yaml")
    assert plan.begin_plan(study) == [line] and made == [1]
    other = study_of(workspace, sampling=Sampling(n=2))
    assert plan.begin_plan(other) != [line] and made == [1, 1]
    assert read_json(study.run / "plan.json")["settings"] == plan.as_run(other)
    def fails(_): raise UserError("the probe's process was killed (out of memory?)")
    monkeypatch.setattr(plan, "plan_of", fails)
    assert plan.begin_plan(study) == ["plan: none, the probe's process was killed (out of memory?)"]
    write_json(study.run / "iter-000/metrics.json", dict(decision="stop"))
    assert plan.begin_plan(study) == []


def test_the_command_prints_a_table_or_json_and_writes_nothing(workspace, tokenizer, monkeypatch):
    monkeypatch.setattr(plan, "make_plan", lambda study: planned(study, tokenizer))
    before = sorted(workspace.rglob("*"))
    words = ["plan", "--config", "configs/pocket.yaml"]
    done = CliRunner().invoke(app, words, catch_exceptions=False)
    assert done.exit_code == 0 and "candidates" in done.output and "plan: about " in done.output
    tasks = json.loads(CliRunner().invoke(app, [*words, "--json"], catch_exceptions=False).output)["tasks"]
    assert {"iteration", "stage", "prompts", "seconds", "memory"} <= set(tasks[0])
    assert sorted(workspace.rglob("*")) == before


@pytest.mark.timeout(600)
def test_the_probe_times_every_stage_of_the_pocket_study(workspace):
    config = load_config("configs/tiny.yaml", [f"paths.root={workspace}", "threads=1"])
    found = plan.measure(config)
    assert all(task["seconds"] is not None and task["memory"] > 0 for task in found["tasks"])
    assert min(task["seconds"] for task in found["tasks"] if task["prompts"] or task["steps"]) > 0
    rates = found["rates"]
    assert 0 < rates["check"] < 1 and 0 < rates["share"] <= 1
    assert rates["weights"] > 4e6 and rates["train"]["train_d2c"]["rows"] == 32 and rates["own"] > 1
    rows = [dict(prompt="a ", completion="b ")]
    assert plan.what_fits("pocket", config.train_d2c, rows, "cpu") == dict(method="lora", learning_rate=2e-4)
    lora = replace(config.train_d2c, method="lora", max_length=8)
    rows = [dict(prompt="a " * 40, completion="b " * 40)]
    assert "no row fits" in plan.training_rate("pocket", lora, rows, "cpu")["unfit"]
