"What a report says of run folders that are whole, torn, or poor."
import json
import re
import shutil
import struct
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest

from evoselfcode.errors import UserError
from evoselfcode.evaluation.benchmark import check
from evoselfcode.evaluation.humaneval import OwnProblems, summarise
from evoselfcode.io_utils import read_jsonl, write_json, write_jsonl
from evoselfcode.reporting import page, report
from evoselfcode.reporting.scoreboard import plot_loss

ROOT = Path(__file__).resolve().parents[1]
HOSTILE = "def f(x):\n    return '<script src=\"https://example.org/x.js\"></script><img src=x>'\n"


# run folders from programs that really ran

@pytest.fixture(scope="module")
def verdicts():
    "Results of right, wrong and broken answers to twelve problems: task_id, kind -> result."
    problems = [
        dict(
            task_id=f"P/{i:02d}", entry_point="add",
            prompt=f'def add(x: int) -> int:\n    """Add {i} to x."""\n',
            canonical_solution=f"    return x + {i}\n",
            test=f"def check(candidate):\n    assert candidate(5) == {5 + i}\n",
        )
        for i in range(12)
    ]
    kinds = dict(right="    return x + {}\n", wrong="    return x - 1 - {}\n", broken="    return x +\n")
    samples = [
        dict(task_id=p["task_id"], completion=body.format(i), kind=kind)
        for i, p in enumerate(problems)
        for kind, body in kinds.items()
    ]
    results = check(OwnProblems(problems), samples)
    assert all(r["passed"] == (r["kind"] == "right") for r in results)
    return {(r["task_id"], r["kind"]): r for r in results}


def results_with(verdicts, right):
    "Two samples per problem; the first `right` problems are solved by both, the next by one."
    tasks = sorted({task for task, _ in verdicts})
    return [
        verdicts[task, "right" if i < right or (i == right and s == 0) else ("wrong", "broken")[s]]
        for i, task in enumerate(tasks)
        for s in range(2)
    ]


def candidates(iteration):
    "Eight candidates: id, truth, gate that dropped it."
    rows = [
        ("right", None, 1.2), ("right", None, 1.3), ("right", "low_perplexity", 2.5), ("wrong", "low_perplexity", 2.0),
        ("wrong", "execution", 3.0), ("broken", "syntax", 9.0), ("wrong", "syntax", 8.0), ("unknown", None, 1.5),
    ]
    made = [
        dict(
            id=f"{iteration}-{i}", description=f"Add {i} to x.",
            code=HOSTILE if i == 5 else f"def add(x):\n    return x + {i}\n", scores=dict(perplexity=value),
            kept=gate is None, dropped_by=gate, reason=f"{gate} said so" if gate else "",
        )
        for i, (_, gate, value) in enumerate(rows)
    ]
    known = dict(right=True, wrong=False, broken=False, unknown=None)
    return made, [dict(id=f"{iteration}-{i}", right=known[truth]) for i, (truth, _, _) in enumerate(rows)]


def make_run(folder, verdicts, rights, bests=None, forward=True):
    "Write a run folder; `rights` solved problems per iteration, -1 = an iteration that broke off."
    folder.mkdir(parents=True)
    (folder / "config.yaml").write_text("run: r\nmodel: pocket\nseed: 3\nsampling:\n  n: 8\n  temperature: 0.8\n")
    for i, right in enumerate(rights):
        place = folder / f"iter-{i:03d}"
        place.mkdir()
        if right < 0:
            write_json(place / "run.json", dict(status="failed", error="disk full", seconds=1.0))
            continue
        results = results_with(verdicts, right)
        scores = summarise(results, ks=(1, 2), resamples=200)
        metrics = dict(
            iteration=i, decision="best", best=bests[i] if bests else True,
            evaluation=dict(test=scores, validation=scores), seconds=dict(train=2.0 + i), counts=dict(pairs=10 * i),
        )
        if i == 0: metrics["evaluation"]["base_test"] = summarise(results_with(verdicts, 0), ks=(1, 2), resamples=200)
        if i and forward:
            records, truth = candidates(i)
            write_jsonl(place / "filtered.jsonl", records)
            write_jsonl(place / "truth.jsonl", truth)
            metrics |= dict(
                funnel=[
                    dict(step="candidates", left=8), dict(step="syntax", left=6), dict(step="execution", left=5),
                    dict(step="low_perplexity", left=3),
                ],
                precision=dict(candidates=3 / 7, gated=0.75, selected=1.0, random=0.7, backward=None),
            )
        written = [
            dict(
                id=str(j), code=f"def g(x):\n    return {j}\n", description=f"Give {j}.",
                scores=dict(round_trip=j / 4), kept=j >= 3,
            )
            for j in range(5)
        ]
        if i: write_jsonl(place / "backward.jsonl", written)
        write_jsonl(place / "results_test.jsonl", results)
        write_json(place / "metrics.json", metrics)
        write_json(place / "run.json", dict(status="ok", error=None, seconds=9.0))
    return folder


@pytest.fixture(scope="module")
def whole(verdicts, tmp_path_factory):
    home = tmp_path_factory.mktemp("runs")
    make_run(home / "demo-random", verdicts, [3, 4, 4], bests=[True, True, False])
    make_run(home / "demo-backward", verdicts, [3, 6], forward=False)
    return make_run(home / "demo", verdicts, [3, 9, 8, -1], bests=[True, True, False, False])


# reading

def test_finished_iterations_are_read_and_others_named(whole):
    run = report.load_run(whole)
    assert [it["iteration"] for it in run.iterations] == [0, 1, 2]
    assert run.unfinished == ["iter-003: disk full"]
    assert run.best["iteration"] == 1 and run.settings["seed"] == 3
    assert sorted(report.load_arms(run)) == ["backward only", "random choice"]


def test_nothing_to_read_is_one_line(tmp_path):
    for folder in (tmp_path / "none", tmp_path):
        with pytest.raises(UserError) as error: report.load_run(folder)
        assert "\n" not in str(error.value) and str(folder) in str(error.value)
    (tmp_path / "iter-000").mkdir()
    (tmp_path / "iter-000/metrics.json").write_text('{"iteration": ')
    with pytest.raises(UserError, match="metrics.json"): report.load_run(tmp_path)
    for odd in ("{}", "[]", "3", '{"iteration": 0}'):
        (tmp_path / "iter-000/metrics.json").write_text(odd)
        with pytest.raises(UserError, match="metrics.json: is not what an iteration writes"): report.load_run(tmp_path)
    (tmp_path / "iter-000/metrics.json").write_text('{"iteration": 0, "counts": {}, "evaluation": {}}')
    (tmp_path / "config.yaml").write_text("run: [")
    with pytest.raises(UserError, match="config.yaml: not YAML"): report.load_run(tmp_path)


def test_an_arm_that_has_only_begun_is_no_arm(whole, verdicts, tmp_path):
    run = report.load_run(make_run(tmp_path / "solo", verdicts, [3]))
    (tmp_path / "solo-random/iter-000").mkdir(parents=True)
    assert report.load_arms(run) == {}


# scores

def test_curve_begins_with_the_base_model(whole):
    table = report.curve(report.load_run(whole))
    one = table[table.metric == "pass@1"]
    assert list(one.step) == ["base", "Model0", "round 1", "round 2"] and list(one.x) == [-1, 0, 1, 2]
    assert np.allclose(one["mean"], [0.5 / 12, 3.5 / 12, 9.5 / 12, 8.5 / 12])
    assert report.curve(report.load_run(whole), "validation").x.min() == 0


def test_gains_by_hand(whole):
    table = report.gains(report.load_run(whole))
    assert table.difference.tolist() == [50.0, 41.7]
    assert table.loc["round 1", ["problems up", "problems down"]].tolist() == [7, 0]


@pytest.mark.parametrize("rights, bests, said", [
    ([3, 9], [True, True], "helped"), ([5, 5], [True, True], "cannot tell"), ([5, 6], [True, True], "cannot tell"),
    ([9, 2], [True, True], "worse"), ([5, 4], [True, False], "Model0 was kept"), ([5], [True], "Model0 was kept"),
])
def test_the_verdict_says_no_more_than_it_knows(verdicts, tmp_path, rights, bests, said):
    assert said in report.verdict(report.load_run(make_run(tmp_path / "r", verdicts, rights, bests)))


def test_arms_are_compared_at_their_own_kept_rounds(whole):
    run = report.load_run(whole)
    table = report.against_arms(run, report.load_arms(run))
    assert table.loc["random choice", "its kept round"] == "round 1"
    assert table.difference.to_dict() == {"random choice": 41.7, "backward only": 25.0}
    assert report.against_arms(run, {}).empty


def test_overview_marks_one_kept_round(whole):
    table = report.overview(report.load_run(whole))
    rounds = table.iloc[1:]  # below the base model
    assert (rounds.kept == "yes").tolist() == [False, True, False]
    assert [cell.partition(" (")[0] for cell in rounds["pass@1, %"]] == ["29.2", "79.2", "70.8"]
    assert list(report.overview(report.load_run(whole), "validation").index) == ["Model0", "round 1", "round 2"]


def test_the_end_of_a_run_is_told_in_lines(whole):
    verdict, kept, checkpoint = report.ending(report.load_run(whole))
    assert verdict.startswith("Self-training helped")
    assert re.fullmatch(r"kept: round 1, pass@1 79\.2 % \(95 % interval [\d.]+ to [\d.]+\) on test", kept)
    assert checkpoint.endswith("demo/iter-001/d2c")


# losses, and how a run was made

def in_project(root, verdicts, **changes):
    "A run with its models where a project has them."
    folder = make_run(root / "data/generated/mine", verdicts, [3, 5])
    for i, model in ((0, "d2c"), (1, "d2c"), (1, "c2d")):
        curve = [[step, 2.0 / step - 0.01 * i] for step in (10, 20, 30)]
        write_json(root / f"checkpoints/mine/iter-{i:03d}/{model}/training.json", dict(curve=curve))
    return folder


def test_losses_are_read_beside_the_models(verdicts, tmp_path):
    run = report.load_run(in_project(tmp_path, verdicts))
    table = report.losses(run)
    assert table.groupby(["model", "round"]).size().to_dict() == {
        ("c2d", "round 1"): 3, ("d2c", "Model0"): 3, ("d2c", "round 1"): 3,
    }
    assert report.losses_note(run) == (
        "The training of D2C ended with a loss of 0.067 for Model0, 0.057 for round 1. "
        "The training of C2D ended with a loss of 0.057 for round 1."
    )
    assert "D2C" in report.plot_losses(run).title and "C2D" in report.plot_losses(run, "c2d").title


@pytest.mark.parametrize("curve", [[], [[10, float("nan")]], [[10, 2.0], [20, float("inf")]]])
def test_a_training_that_told_no_loss_can_be_drawn(curve):
    assert plot_loss(dict(D2C=curve, C2D=[]), "Training loss").title == "Training loss"


def test_another_runs_models_are_not_taken_for_its_own(verdicts, tmp_path, monkeypatch):
    (tmp_path / "configs").mkdir()
    (tmp_path / "configs/base.yaml").write_text("")
    in_project(tmp_path, verdicts)
    monkeypatch.chdir(tmp_path)
    run = report.load_run(make_run(tmp_path / "elsewhere/mine", verdicts, [3, 5]))
    assert report.losses(run).empty and report.plot_losses(run) is None and "No model" in report.losses_note(run)


@pytest.mark.parametrize("generated, checkpoints", [
    ("data/generated", "checkpoints"), ("out", "models/here"), (".", "checkpoints"),
])
def test_models_are_found_from_the_run_folder(tmp_path, generated, checkpoints):
    settings = dict(paths=dict(generated=generated, checkpoints=checkpoints))
    run = report.Run("r", tmp_path / generated / "r", settings, [], [])
    assert report.models_of(run) == tmp_path / checkpoints / "r"


def test_models_are_found_where_an_absolute_path_says(tmp_path):
    paths = dict(generated=str(tmp_path / "g"), checkpoints=str(tmp_path / "c"))
    assert report.models_of(report.Run("r", tmp_path / "g/r", dict(paths=paths), [], [])) == tmp_path / "c/r"


def test_the_masthead_says_what_was_written_down(verdicts, tmp_path):
    folder = make_run(tmp_path / "r", verdicts, [3, 5])
    assert report.masthead(report.load_run(folder)).facts == dict(run="r", made="not written down by this run")
    for i, day in ((0, "2026-01-31"), (1, "2026-02-01")):
        path = folder / f"iter-{i:03d}/run.json"
        made = dict(date=day, commit="0a1b2c3d", hardware="2 cores", command="evoselfcode x -o run='<r>'")
        write_json(path, json.loads(path.read_text()) | dict(made=made))
    told = report.masthead(report.load_run(folder))
    assert told.facts["date"] == "2026-01-31 to 2026-02-01" and told.facts["commit"] == "0a1b2c3d"
    assert "<code>evoselfcode x -o run=&#x27;&lt;r&gt;&#x27;</code>" in told._repr_html_()


def test_circumstances_are_known_or_empty(tmp_path, monkeypatch):
    monkeypatch.setenv(report.COMMAND, "evoselfcode pipeline iterate")
    found = report.circumstances()
    assert list(found) == ["date", "commit", "hardware", "command"]
    assert re.fullmatch(r"\d{4}-\d\d-\d\d", found["date"]) and found["command"] == "evoselfcode pipeline iterate"
    assert re.match(r"\d+ cores of \S", found["hardware"])
    assert report.commit(tmp_path) == "", "no checkout"
    monkeypatch.setenv("PATH", "")
    assert report.commit(report.package_folder()) == "" and "no NVIDIA GPU" in report.hardware()


# candidates

def test_funnel_keeps_the_steps_in_order(whole):
    table = report.funnel(report.load_run(whole))
    assert list(table.index) == ["candidates", "syntax", "execution", "low_perplexity"]
    assert list(table.columns) == ["round 1", "round 2"]
    assert table["round 1"].tolist() == [8, 6, 5, 3]


def test_scores_leave_out_what_nobody_knows(whole, tmp_path, verdicts):
    table = report.scores(report.load_run(whole))
    assert len(table) == 14 and table.right.sum() == 6
    folder = make_run(tmp_path / "r", verdicts, [3, 4])
    records, truth = candidates(1)
    records[0]["scores"]["perplexity"] = float("inf")
    records[1]["scores"] = None
    del truth[2]
    write_jsonl(folder / "iter-001/filtered.jsonl", records)
    write_jsonl(folder / "iter-001/truth.jsonl", truth)
    assert report.scores(report.load_run(folder)).id.tolist() == ["1-3", "1-4", "1-5", "1-6"]


def test_chance_lower_equals_counting_pairs():
    rng = np.random.default_rng(0)
    for _ in range(30):
        right, wrong = rng.integers(0, 6, size=rng.integers(1, 9)), rng.integers(0, 6, size=rng.integers(1, 9))
        pairs = [(r < w) + 0.5 * (r == w) for r in right for w in wrong]
        assert report.chance_lower(right, wrong) == pytest.approx(np.mean(pairs))
    assert np.isnan(report.chance_lower([], [1.0]))


def test_precision_in_percent_without_empty_columns(whole):
    table = report.precision(report.load_run(whole))
    shares = table.loc["round 1"]
    # each description has one candidate: no other could be drawn
    assert shares["right, %"].to_dict() == {
        "all candidates": 42.9, "after the gates": 75.0, "kept": 100.0, "chance after the gates": 100.0,
    }
    assert shares["descriptions"].to_dict() == {
        "all candidates": 7, "after the gates": 4, "kept": 2, "chance after the gates": 2,
    }
    assert (shares["low"] <= shares["right, %"]).all() and (shares["right, %"] <= shares["high"]).all()


def test_examples_take_turns_between_reasons(whole):
    run = report.load_run(whole)
    dropped = report.examples(run, kept=False, n=3)
    assert sorted(dropped.dropped_by) == ["execution", "low_perplexity", "syntax"]
    assert len(report.examples(run, kept=False, n=50)) == 5 and len(report.examples(run, kept=True)) == 3
    assert report.examples(run, kept=True).equals(report.examples(run, kept=True))
    assert set(report.examples(run, kept=True, iteration=1).columns) == set(dropped.columns)
    assert report.examples(run, kept=True, iteration=0).empty


def test_written_descriptions_show_both_kinds(whole):
    run = report.load_run(whole)
    assert report.written_descriptions(run, 4).kept.tolist() == [True, True, False, False]
    assert len(report.written_descriptions(run, 40)) == 5
    assert report.written_descriptions(run, iteration=0).empty


def test_times_add_up_and_facts_are_complete(whole):
    run = report.load_run(whole)
    assert report.seconds(run).loc["all stages", "total"] == 9.0
    rows = report.facts(run)[""]
    assert rows["model"] == "pocket" and rows["sampling"] == "n 8, temperature 0.8"
    assert "torch" in rows["versions (of this report)"]


# pictures

def size(png): return struct.unpack(">II", png[16:24])


@pytest.mark.parametrize("draw", [
    lambda run: report.plot_curve(run, k=1), lambda run: report.plot_curve(run, report.load_arms(run), k=2),
    report.plot_funnel, report.plot_scores,
])
def test_pictures_are_small_and_fit_a_phone(whole, draw):
    png, said = draw(report.load_run(whole))._repr_png_()
    width, height = size(png)
    assert png[:8] == b"\x89PNG\r\n\x1a\n" and len(png) < 30_000 and said["alt"]
    assert 350 < said["width"] <= 520 and height / page.SHARP < 420
    assert abs(width - page.SHARP * said["width"]) <= 1, "sharper than the page asks"


def test_pictures_have_no_background_and_are_read_on_both():
    from io import BytesIO

    from PIL import Image
    png = page.plot(lambda axes: axes[0].plot([1, 2]), 3, 2).png()
    assert Image.open(BytesIO(png)).convert("RGBA").getpixel((0, 0))[3] == 0
    def light(color):
        parts = [int(color[i:i + 2], 16) / 255 for i in (1, 3, 5)]
        linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in parts]
        return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]
    def contrast(a, b): return (max(light(a), light(b)) + 0.05) / (min(light(a), light(b)) + 0.05)
    for color in {*page.COLORS, page.RED, page.GREY}:
        assert contrast(color, "#ffffff") >= 3 and contrast(color, "#16181b") >= 3, color


def test_a_picture_says_which_side_is_good(whole, tmp_path, monkeypatch):
    folder = Path(shutil.copytree(whole, tmp_path / "r"))
    for path in folder.rglob("filtered.jsonl"):
        records = read_jsonl(path)
        for r in records:
            r["scores"]["judge"] = None if r["id"].endswith("0") else round(1 - r["scores"]["perplexity"] / 10, 4)
        write_jsonl(path, records)
    titles = {}
    def drawn(draw, *size):
        import matplotlib.pyplot as plt
        figure, axes = plt.subplots(1, 1, squeeze=False)
        draw(axes[0])
        titles[len(titles)] = axes[0][0].get_title()
        plt.close(figure)
    monkeypatch.setattr(report, "plot", drawn)
    run = report.load_run(folder)
    for score in ("perplexity", "judge"): report.plot_scores(run, score)
    assert "scores lower in" in titles[0] and "scores higher in" in titles[1]
    known = report.scores(run, "judge")
    assert not known.id.str.endswith("-0").any() and len(known) < len(report.scores(run))
    share = np.mean([(a > b) + (a == b)/2 for a in known.judge[known.right] for b in known.judge[~known.right]])
    assert f"in {100*share:.0f} % of" in titles[1]


def test_no_picture_without_records(whole):
    arm = report.load_arms(report.load_run(whole))["backward only"]
    assert report.plot_funnel(arm) is None and report.plot_scores(arm) is None
    assert report.funnel(arm).empty and report.precision(arm).empty and report.examples(arm, kept=True).empty
    assert isinstance(page.shown(None, "nothing"), page.Note)
    assert isinstance(page.shown(page.Cards(report.examples(arm, kept=True)), "none"), page.Note)


def test_labels_move_apart_and_keep_their_order():
    rng = np.random.default_rng(1)
    for count in (1, 2, 3, 4):
        for _ in range(40):
            wanted = rng.uniform(0, 5, size=count)
            placed = page.apart(wanted.tolist(), 1.0)
            assert count == 1 or np.diff(np.sort(placed)).min() > 0.999
            assert (np.argsort(placed) == np.argsort(wanted)).all()
            assert np.mean(placed) == pytest.approx(wanted.mean(), abs=1e-5)
    assert sorted(page.apart([2.0, 2.0, 2.0], 1.0)) == pytest.approx([1, 2, 3], abs=1e-3)


# the page

class Loads(HTMLParser):
    "Collect what a browser would fetch or run."
    def __init__(self, text):
        super().__init__()
        self.found, self.images = [], 0
        self.feed(text)

    def handle_starttag(self, tag, attributes):
        self.images += tag == "img"
        for name, value in attributes:
            if name in ("src", "srcset", "data", "poster", "background") and not (value or "").startswith("data:"):
                self.found.append((tag, value))
            if name == "style" and "url(" in (value or "") or name.startswith("on"): self.found.append((tag, value))
        if tag in ("script", "link", "iframe", "object", "embed", "base"): self.found.append((tag, attributes))


def executed(run, out):
    "Execute the report's notebook on a run, as papermill does for the command line."
    import papermill
    from traitlets.config import Config
    papermill.execute_notebook(
        str(ROOT / "nbs/runs/report.ipynb"), str(out), parameters=dict(run=str(run)), kernel_name="python3",
        cwd=str(ROOT / "nbs/runs"), progress_bar=False,
        config=Config({"KernelManager": {"transport_encryption": "auto"}}),
    )
    return out


@pytest.fixture(scope="module")
def text(whole, tmp_path_factory):
    out = tmp_path_factory.mktemp("page")
    return report.write_html(executed(whole, out / "report.ipynb"), out / "report.html").read_text()


def test_the_page_needs_nothing_else(text):
    loads = Loads(text)
    assert loads.found == [] and loads.images == 6
    assert "@import" not in text and "url(" not in text and "default-src 'none'" in text
    assert len(text) < 300_000


def test_the_page_says_what_the_run_did(text):
    assert re.search("<title>What the run did: page[^<]*</title>", text)
    for words in (
        "Self-training helped", "random choice", "iter-003: disk full", "low perplexity", "round trip", "mean nothing",
        "sampling",
    ):
        assert words in text, words
    assert "report.overview" not in text and "papermill" not in text and "Traceback" not in text


def test_model_written_text_stays_text(text):
    plain = re.sub(r"</?span[^>]*>", "", text)
    assert "&lt;script src=" in plain and "<img src=x>" not in plain and "<script" not in plain


def test_the_page_is_for_dark_rooms_too(text):
    assert "prefers-color-scheme: dark" in text and "color-scheme: light dark" in text


def test_cells_that_are_for_who_runs_them_are_not_on_the_page(tmp_path):
    import nbformat
    import nbformat.v4 as nb4
    aside = dict(tags=[page.ASIDE])
    cells = [nb4.new_markdown_cell("# Words"), nb4.new_markdown_cell("## Running", metadata=aside)]
    nbformat.write(nb4.new_notebook(cells=cells), tmp_path / "a.ipynb")
    text = page.write_html(tmp_path / "a.ipynb", tmp_path / "a.html").read_text()
    assert "Words" in text and "Running" not in text
    compare = json.loads((ROOT / "nbs/runs/compare.ipynb").read_text())["cells"]
    tagged = [cell for cell in compare if page.ASIDE in cell["metadata"].get("tags", [])]
    assert len(tagged) == 3 and tagged[0]["source"] == ["## Running"]


def test_code_is_coloured_and_stays_text():
    shown = page.Code("def f(x):\n    return '<b>'\n")._repr_html_()
    assert "<span" in shown and "&lt;b&gt;" in shown and "<b>" not in shown
    assert re.sub(r"<[^>]+>", "", page.coloured("  x = 1\n\ny")) == "  x = 1\n\ny", "nothing is stripped"


def test_the_page_of_a_poor_run(whole, tmp_path):
    notebook = executed(whole.with_name("demo-backward"), tmp_path / "r.ipynb")
    text = report.write_html(notebook, tmp_path / "r.html").read_text()
    assert "had no forward cycle" in text and "No control arms" in text and Loads(text).images == 2


def test_a_benchmark_that_was_not_compared_is_red(verdicts, tmp_path):
    folder = make_run(tmp_path / "r", verdicts, [1, 2, 3])
    assert report.contamination(report.load_run(folder)) is None
    for i, state in ((1, "not done: <no file>"), (2, "done, 5 problems")):
        path = folder / f"iter-{i:03d}" / "metrics.json"
        states = dict(pocket="done, 9 problems", humaneval=state)
        write_json(path, json.loads(path.read_text()) | dict(contamination=states))
    found = report.contamination(report.load_run(folder))
    assert found.states == dict(pocket="done, 9 problems", humaneval="not done: <no file> (round 1)")
    assert repr(found).count("\n") == 1
    lines = re.findall(r"<li(.*?)>(.*?)</li>", found._repr_html_())
    assert lines[0] == ("", "pocket: done, 9 problems") and page.RED in lines[1][0] and "&lt;no file&gt;" in lines[1][1]


def test_a_missing_notebook_is_one_line(tmp_path):
    with pytest.raises(UserError, match="none.ipynb"): report.write_html(tmp_path / "none.ipynb", tmp_path / "x.html")


def test_the_parameters_tag_survives():
    cells = json.loads((ROOT / "nbs/runs/report.ipynb").read_text())["cells"]
    tagged = [cell for cell in cells if "parameters" in cell["metadata"].get("tags", [])]
    assert len(tagged) == 1 and re.search(r'run: str = "tiny"', "".join(tagged[0]["source"]))
