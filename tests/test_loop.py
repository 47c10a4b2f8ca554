"""One tiny study by the real command: what it leaves behind, what a second call does, and what can be asked of it."""
import re
import shutil
from collections import Counter
from html.parser import HTMLParser

import nbformat
import pytest
import torch
from tiny_study import (
    ITERATE,
    MIN_STEPS,
    SIZES,
    TINY,
    command,
    finished_study,  # noqa: F401  a fixture
    state,
)
from typer.testing import CliRunner

from evoselfcode.cli import app
from evoselfcode.engine.local import LocalEngine
from evoselfcode.io_utils import read_json, read_jsonl, write_jsonl

pytestmark = pytest.mark.timeout(1500)
STAGES = {
    0: [
        "contaminated", "draws", "functions", "names", "results_base_test", "results_base_validation", "results_test",
        "results_validation", "samples_base_test", "samples_base_validation", "samples_test", "samples_validation",
    ],
    1: [
        "backward", "backward_described", "backward_reviewed", "candidates", "filtered", "known", "known_right",
        "known_scored", "known_scored_c2d", "known_scored_d2c", "results_test", "results_validation", "reworded",
        "reworded2", "reworded2_described", "reworded2_reviewed", "reworded_described", "reworded_reviewed",
        "samples_test", "samples_validation", "scored", "scored_c2d", "scored_d2c",
    ],
}
PLAIN = {  # confidence.json, too, and no stage made it
    0: ["train_c2d.jsonl", "train_d2c.jsonl"],
    1: ["confidence.json", "pairs.jsonl", "train_c2d.jsonl", "train_d2c.jsonl", "truth.jsonl"],
}


@pytest.fixture
def run(finished_study): return finished_study / "data/generated/tiny"


@pytest.fixture
def inside(finished_study, monkeypatch):
    """Commands of this test run in the workspace of the finished study, in this process, with the study's number of
    threads."""
    monkeypatch.chdir(finished_study)
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    def call(*words):
        done = CliRunner().invoke(app, [str(w) for w in words], catch_exceptions=False)
        assert done.exit_code == 0, done.output
        return done.output
    yield call
    torch.set_num_threads(threads)


# what is left behind

def test_the_run_folder_holds_what_it_should_and_nothing_else(run):
    assert sorted(p.name for p in run.iterdir() if p.name != ".lock") == [
        "config.yaml", "iter-000", "iter-001", "plan.json", "report.html", "report.ipynb", "run.json",
    ]
    for k in (0, 1):
        wanted = [f"{s}.{end}" for s in STAGES[k] for end in ("jsonl", "meta.json")]
        wanted += [*PLAIN[k], "iterate.ipynb", "metrics.json", "run.json"]
        assert sorted(p.name for p in (run / f"iter-{k:03d}").iterdir() if p.name != ".lock") == sorted(wanted)
        for stage in STAGES[k]:
            meta = read_json(run / f"iter-{k:03d}" / f"{stage}.meta.json")
            assert meta["done"] == meta["total"] >= 1
            size = (run / f"iter-{k:03d}" / f"{stage}.jsonl").stat().st_size
            assert meta["bytes"] == size and bool(size) == (stage != "contaminated")


def test_the_models_are_ordinary_folders(finished_study):
    for k in (0, 1):
        for direction, steps in MIN_STEPS.items():
            folder = finished_study / f"checkpoints/tiny/iter-{k:03d}/{direction}"
            assert sorted(p.name for p in folder.iterdir()) == [
                "README.md", "config.json", "generation_config.json", "model.safetensors", "tokenizer.json",
                "tokenizer_config.json", "training.json",
            ]
            summary = read_json(folder / "training.json")["summary"]
            rows = read_jsonl(finished_study / f"data/generated/tiny/iter-{k:03d}/train_{direction}.jsonl")
            assert summary["rows"] == len(rows) and summary["cut"] == 0
            assert summary["steps"] == steps
    assert sorted(p.name for p in (finished_study / "checkpoints").iterdir()) == ["latest", "tiny"]


@pytest.mark.parametrize("name, values", [
    ("iter-000/iterate.ipynb", ["run = \"tiny\"", "iteration = 0"]),
    ("iter-001/iterate.ipynb", ["run = \"tiny\"", "iteration = 1"]),
    ("report.ipynb", ["run = "]),
])
def test_every_notebook_was_executed_to_its_end(run, name, values):
    notebook = nbformat.read(run / name, 4)
    nbformat.validate(notebook)
    code = [cell for cell in notebook.cells if cell.cell_type == "code"]
    assert all(cell.execution_count for cell in code if cell.source.strip()) and len(code) > 8
    assert not [o for cell in code for o in cell.outputs if o.output_type == "error"]
    given = [cell.source for cell in code if "injected-parameters" in cell.metadata.get("tags", [])]
    assert len(given) == 1 and all(value in given[0] for value in values)
    assert [cell for cell in code if "parameters" in cell.metadata.get("tags", [])]
    assert sum(bool(cell.outputs) for cell in code) > 6
    assert (run / name).stat().st_size < 1_000_000


def test_run_json_says_what_happened(run):
    for place in ("iter-000", "iter-001", "."):
        record = read_json(run / place / "run.json")
        assert record["status"] == "ok" and record["error"] == ""
        assert record["seconds"] > 0 and record["versions"]["torch"]


def test_metrics_are_the_counts_of_the_records(run):
    for k in (0, 1):
        folder = run / f"iter-{k:03d}"
        metrics = read_json(folder / "metrics.json")
        def read(name): return read_jsonl(folder / f"{name}.jsonl", empty_ok=True)
        splits = ["validation", "test"] + (["base_validation", "base_test"] if k == 0 else [])
        assert list(metrics["evaluation"]) == splits and metrics["iteration"] == k
        for split in splits:
            found, results = metrics["evaluation"][split], read(f"results_{split}")
            assert found["n"] == 2 and found["problems"] == (12 if "validation" in split else 16) == len(results) / 2
            assert found["pass@1"]["mean"] == pytest.approx(sum(r["passed"] for r in results) / len(results))
            solved = {r["task_id"] for r in results if r["passed"]}
            assert found["pass@2"]["mean"] == pytest.approx(len(solved) / found["problems"])
            for k_of in ("pass@1", "pass@2"):
                assert 0 <= found[k_of]["low"] <= found[k_of]["mean"] <= found[k_of]["high"] <= 1
        assert {"train_d2c", "train_c2d"} | set(STAGES[k]) == set(metrics["seconds"])
        assert all(s >= 0 for s in metrics["seconds"].values())
        assert metrics["contamination"] == {"pocket": "done, 28 problems"}
    filtered, pairs = read("filtered"), read("pairs")
    def kept(records): return sum(r["kept"] for r in records)
    counts = Counter(p["source"] for p in pairs)
    told, funnel = metrics["counts"], metrics["funnel"]
    assert told == dict(
        pairs=told["pairs"], forward=kept(filtered), reworded=kept(read("reworded") + read("reworded2")),
        backward=kept(read("backward")), described=len(read("backward")),
    )
    assert counts["forward"] == told["forward"] + told["reworded"] > 0
    assert counts["backward"] == told["backward"] > 0
    invented = sum(f["kept"] for f in read_jsonl(run / "iter-000/functions.jsonl"))
    assert told["pairs"] == len(read("train_d2c")) <= SIZES["data/raw/initial_pairs.jsonl"] + invented + len(pairs)
    assert funnel[0]["left"] == len(filtered) == 12 * 4 and funnel[-1]["left"] == told["forward"]
    right = {r["id"]: r["right"] for r in read("truth")}
    assert metrics["precision"]["candidates"] == pytest.approx(sum(right.values()) / len(right), abs=1e-4)
    assert set(right) == {c["id"] for c in filtered}


def test_the_decision_follows_the_validation_split(run):
    start, metrics = (read_json(run / f"iter-{k:03d}/metrics.json") for k in (0, 1))
    gain = metrics["evaluation"]["validation"]["pass@1"]["mean"] - start["evaluation"]["validation"]["pass@1"]["mean"]
    assert start["decision"] == "start" and start["best"] and metrics["teacher"] == 0
    assert metrics["difference_to_best"]["mean"] == pytest.approx(gain) and metrics["best"] == (gain > 0)
    assert metrics["decision"] == ("best" if gain > 0 else "stop")


def test_no_kept_pair_behaves_like_a_benchmark_problem(run):
    for name in ("filtered", "reworded", "backward"):
        for record in read_jsonl(run / f"iter-001/{name}.jsonl", empty_ok=True):
            assert not (record["kept"] and record["dropped_by"]), record


def test_latest_is_the_best_model_and_writes(finished_study, run):
    best = max(k for k in (0, 1) if read_json(run / f"iter-{k:03d}/metrics.json")["best"])
    latest = finished_study / "checkpoints/latest"
    assert latest.is_symlink() and not latest.readlink().is_absolute()
    assert latest.resolve() == finished_study / f"checkpoints/tiny/iter-{best:03d}/d2c"
    engine = LocalEngine(latest, device="cpu")
    found = engine.sample(["# Return the sum of the given numbers.\n"], temperature=0, max_new_tokens=40)
    assert "def " in found[0][0].text


class Page(HTMLParser):
    "What a page loads from elsewhere, and its text."
    def __init__(self, html):
        super().__init__()
        self.loads, self.text = [], ""
        self.pictures = 0
        self.feed(html)

    def handle_starttag(self, tag, attributes):
        self.pictures += tag == "img"
        for name, value in attributes:
            if name not in ("src", "href", "data", "srcset", "action") or (tag == "a" and name == "href"): continue
            if value and not value.startswith(("data:", "#")): self.loads.append(value)

    def handle_data(self, data): self.text += data


def test_the_report_needs_nothing_else_and_tells_the_numbers(run):
    html = (run / "report.html").read_text(encoding="utf-8")
    page = Page(html)
    assert page.loads == [] and "@import" not in html and "<script src" not in html
    assert not re.search(r"url\((?!['\"]?(data:|#))", html)
    assert page.pictures >= 2 and "What the run did" in page.text and "toy" in page.text
    for k in (0, 1):
        metrics = read_json(run / f"iter-{k:03d}/metrics.json")
        assert f"{100 * metrics['evaluation']['test']['pass@1']['mean']:.1f}" in page.text


# asked again

def test_a_second_call_does_nothing_new(finished_study, run):
    before = state(run / "iter-000", run / "iter-001", finished_study / "checkpoints/tiny")
    done = command(finished_study, *ITERATE)
    assert done.returncode == 0 and done.stderr == ""
    assert state(run / "iter-000", run / "iter-001", finished_study / "checkpoints/tiny") == before
    assert "iteration 1: " in done.stdout and f"report: {run / 'report.html'}" in done.stdout


def test_a_changed_setting_is_named_and_nothing_is_mixed(finished_study, run):
    before = state(run, finished_study / "checkpoints/tiny")
    done = command(finished_study, *ITERATE, "-o", "sampling.n=2")
    assert done.returncode == 2 and done.stderr.count("\n") == 1
    assert done.stderr.startswith("error: ") and "sampling.n: 4 → 2" in done.stderr
    assert state(run, finished_study / "checkpoints/tiny") == before


def test_why_tells_the_history_of_a_kept_pair(finished_study, run):
    pairs = read_jsonl(run / "iter-001/pairs.jsonl")
    reworded = {p["id"] for p in read_jsonl(run / "iter-001/reworded.jsonl") if p["kept"]}
    for pair in (
        next(p for p in pairs if p["source"] == "forward" and p["id"] not in reworded),
        next(p for p in pairs if p["id"] in reworded),
        next(p for p in pairs if p["source"] == "backward"),
    ):
        done = command(finished_study, "why", pair["id"], *TINY)
        assert done.returncode == 0 and done.stdout.startswith(pair["id"])
        assert pair["description"].splitlines()[0] in done.stdout and "kept" in done.stdout
        assert "made from:" in done.stdout and all(parent in done.stdout for parent in pair["parents"])
        if pair["id"] in reworded: assert "2 steps back" in done.stdout
    assert "no such id" in command(finished_study, "why", "zzz", *TINY).stderr


def test_eval_pocket_measures_the_latest_model_as_the_study_did(finished_study, run):
    done = command(finished_study, "eval", "pocket", "--ckpt", "checkpoints/latest", *TINY)
    assert done.returncode == 0 and done.stderr == ""
    best = max(k for k in (0, 1) if read_json(run / f"iter-{k:03d}/metrics.json")["best"])
    wanted = read_json(run / f"iter-{best:03d}/metrics.json")["evaluation"]["test"]
    for k in ("pass@1", "pass@2"):
        low, mean, high = (f"{100 * wanted[k][name]:.1f}" for name in ("low", "mean", "high"))
        assert f"{k}: {mean} %  (95 % interval {low} to {high})" in done.stdout
    assert "16 problems, 2 samples each" in done.stdout
    assert str(finished_study / f"checkpoints/tiny/iter-{best:03d}/d2c") in done.stdout.splitlines()[0]


# stage by stage

def test_stages_by_hand_make_what_the_study_made(inside, finished_study, run):
    "The same settings and seed under another name: the same records but for the name of the model that wrote them."
    own = [*TINY, "-o", "run=byhand"]
    assert "8 names in " in inside("datagen", "generate-names", *own)
    assert re.search(r"\d+ of 8 kept", inside("datagen", "generate-functions", *own))
    for direction, steps in MIN_STEPS.items():
        assert re.search(rf"{direction} from \d+ rows in {steps} steps", inside("pipeline", f"train-{direction}", *own))
    assert "48 candidates in " in inside("pipeline", "generate", *own)
    assert "48 scored candidates in " in inside("pipeline", "score", *own)
    funnel = inside("pipeline", "filter", *own)
    assert re.search(r"^ +48  candidates$", funnel, re.M) and re.search(r"\d+ of 48 candidates kept", funnel)
    for name in (
        "iter-000/names", "iter-000/functions", "iter-000/train_d2c", "iter-000/train_c2d", "iter-000/results_test",
        "iter-001/candidates", "iter-001/scored", "iter-001/filtered",
    ):
        folders = (run.with_name("byhand"), run)
        ours, theirs = (folder.joinpath(f"{name}.jsonl").read_text(encoding="utf-8") for folder in folders)
        assert ours.replace("checkpoints/byhand/", "checkpoints/tiny/") == theirs, name
    assert not (run.with_name("byhand") / "iter-001/pairs.jsonl").exists()
    models = finished_study / "checkpoints"
    ours, theirs = (models / name / "iter-000/d2c/model.safetensors" for name in ("byhand", "tiny"))
    assert ours.read_bytes() == theirs.read_bytes()


def test_filter_keeps_out_a_benchmark_that_is_named(finished_study, run, tmp_path):
    "The same candidates, judged again by a gate that knows one more benchmark, and by one that cannot find it."
    for part in ("configs", "data", "checkpoints", "nbs", "settings.ini"):
        if (finished_study / part).is_dir(): shutil.copytree(finished_study / part, tmp_path / part, symlinks=True)
        elif (finished_study / part).exists(): shutil.copy(finished_study / part, tmp_path / part)
    copy = tmp_path / "data/generated/tiny"
    known = next(c for c in read_jsonl(run / "iter-001/filtered.jsonl") if c["kept"])
    text = re.sub(r"(\n  benchmarks:\n  - pocket)", r"\1\n  - humaneval\n  - lcb", (copy / "config.yaml").read_text())
    (copy / "config.yaml").write_text(text)
    for path in (copy / "iter-001").glob("*"):
        if path.name.split(".")[0] not in ("candidates", "scored"): path.unlink()
    head, _, body = known["code"].partition(":\n")
    problem = dict(
        task_id="H/0", prompt=f"{head}:\n", canonical_solution=body, entry_point=known["entry_point"],
        test="def check(candidate):\n    pass\n",
    )
    write_jsonl(tmp_path / "mine/HumanEval.jsonl", [problem])
    more = ["-o", "filter.benchmarks=[pocket,humaneval,lcb]", "-o", "paths.benchmarks=mine"]
    done = command(tmp_path, "pipeline", "filter", *TINY, *more)
    assert done.returncode == 0, done.stderr
    assert "contamination: pocket: done, 28 problems\n" in done.stdout
    assert "contamination: humaneval: done, 1 problems, 1 of them by text and tree alone\n" in done.stdout
    assert "warning: contamination: lcb: not done: " in done.stdout and "\x1b" not in done.stdout
    assert re.search(r"\d+ of 48 candidates kept", done.stdout)
    dropped = [c for c in read_jsonl(copy / "iter-001/filtered.jsonl") if c["dropped_by"] == "contamination"]
    assert known["id"] in {c["id"] for c in dropped if "humaneval H/0" in c["reason"]}


def test_a_study_stands_beside_a_control_arm_that_shares_its_start(finished_study, run):
    done = command(finished_study, "pipeline", "compare", *TINY, "--seeds", "0", "--arms", "forward")
    assert done.returncode == 0, done.stderr
    arm = run.with_name("tiny-forward")
    for name in ("results_test.jsonl", "train_d2c.jsonl", "metrics.json"):
        assert (arm / "iter-000" / name).read_bytes() == (run / "iter-000" / name).read_bytes()
    assert "backward" in {pair["source"] for pair in read_jsonl(run / "iter-001/pairs.jsonl")}
    assert not (arm / "iter-001/backward.jsonl").exists()
    page = run.with_name("tiny-compare") / "compare.html"
    assert f"comparison: {page}" in done.stdout
    for made in (page, run / "report.html"): assert "forward only" in made.read_text(encoding="utf-8")


def test_settings_lists_every_key(inside):
    heading, *lines = inside("settings").splitlines()
    assert heading.startswith("KEY=DEFAULT ") and len(lines) > 60
    assert all(re.match(r"[a-z_.0-9]+=.* +\S", line) for line in lines)


def test_runs_are_listed(inside):
    line, = (line for line in inside("runs").splitlines() if line.startswith("tiny "))
    assert line.split()[1] == "2" and "pass@1 " in line and "MiB" in line
    assert line.endswith(("  finished", "  stopped: no gain any more"))
    assert "no run in" in inside("runs", "-o", "paths.generated=nowhere")
