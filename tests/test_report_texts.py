"Every sentence of a report, under the conditions in which it is printed: true ones only, and none against another."

import html
import re
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import yaml

from evoselfcode.evaluation import selection
from evoselfcode.evaluation.humaneval import summarise
from evoselfcode.io_utils import read_json, write_json, write_jsonl
from evoselfcode.reporting import report
from evoselfcode.reporting.lineage import why
from evoselfcode.reporting.page import Text, write_html
from evoselfcode.reporting.scoreboard import plot_pass_at_k

ROOT = Path(__file__).resolve().parents[1]


def results(solved, problems=40, n=4):
    "The first `solved` of all samples pass, problem by problem."
    return [dict(task_id=f"P/{p:02d}", passed=p * n + s < solved * n) for p in range(problems) for s in range(n)]


def candidate(iteration, number, right, perplexity, dropped_by=""):
    description = f"Add {number // 4} to x."
    return dict(
        id=f"{iteration}-{number}", description=description, code="def f(x):\n    return x\n", right=right,
        scores=dict(perplexity=perplexity), dropped_by=dropped_by, kept=not dropped_by, reason=dropped_by,
    )


def draw(folder, base=10, models=(10,), best=None, ks=(1, 4), settings=None, candidates=None, files=True):
    "Write a run folder: how many problems the base model, Model0 and each round solve on the test split."
    for i, solved in enumerate(models):
        place = folder / f"iter-{i:03d}"
        kept = i == 0 if best is None else i <= best
        evaluation = {split: summarise(results(solved), ks, 200) for split in ("test", "validation")}
        if i == 0:
            evaluation |= {f"base_{split}": summarise(results(base), ks, 200) for split in ("test", "validation")}
        change = dict(to=0, mean=0.02 if kept else -0.02, low=-0.0001, high=0.05) if i else None
        write_json(place / "metrics.json", dict(
            iteration=i, decision="start" if not i else "best" if kept else "worse", best=kept, evaluation=evaluation,
            difference_to_best=change, counts=dict(pairs=10 + i, forward=3 * i, backward=i),
        ))
        if files: write_jsonl(place / "results_test.jsonl", results(solved))
        if files and not i: write_jsonl(place / "results_base_test.jsonl", results(base))
        if i and candidates:
            rows = candidates(i)
            write_jsonl(place / "truth.jsonl", [dict(id=r["id"], right=r.pop("right")) for r in rows])
            write_jsonl(place / "filtered.jsonl", rows)
    (folder / "config.yaml").write_text(yaml.safe_dump(dict(run=folder.name, model="pocket") | (settings or {})))
    return report.load_run(folder)


# did it help


@pytest.mark.parametrize("base, models, best, files, said, unsaid", [
    (10, (10,), 0, True, ["No round of self-training is finished"], ["No round was better"]),
    (10, (20, 18), 0, True,
     ["No round was better than Model0 on the validation problems", "below Model0's"],
     ["disagree", "helped"]),
    (10, (20, 30), 0, True,
     ["Model0 was kept", "pass@1 of round 1 lies 25.0 points above Model0's", "disagree"],
     ["helped"]),
    (10, (20, 15, 19), 0, True, ["the highest of the 2 rounds (round 2) lies 2.5 points below"], ["disagree"]),
    (10, (20, 20), 0, True, ["pass@1 of round 1 equals Model0's"], ["0.0 points above"]),
    (10, (20, 30), 1, True,
     ["Self-training helped", "round 1, which the validation problems chose", "Round 1 is better than the base"],
     ["No round"]),
    (10, (20, 12), 1, True, ["Self-training made it worse"], ["No round", "helped:"]),
    (10, (20, 20), 1, True, ["cannot tell whether self-training helped"], ["No round"]),
    (20, (10, 15), 1, True,
     ["helped", "Model0 is worse than the base model: its pass@1 lies 25.0 points below",
      "Round 1 is worse than the base"],
     []),
    (10, (20,), 0, True, ["Model0 is better than the base model"], ["worse"]),
    (11, (10,), 0, True, ["Whether Model0 is better than the base model cannot be told", "2.5 points below"], []),
    (30, (8, 20), 1, False,
     ["round 1; whether it beats Model0 nobody can say",
      "Model0 is worse than the base model: its pass@1 is 20.0 % (95 %"],
     ["No round", "Model0 was kept"]),
])
def test_the_verdict(tmp_path, base, models, best, files, said, unsaid):
    text = report.verdict(draw(tmp_path / "r", base, models, best, files=files))
    assert [words for words in said if words not in text] == [], text
    assert [words for words in unsaid if words in text] == [], text
    assert text.count("(95 % interval") >= 1


def test_validation_stands_beside_the_decision(tmp_path):
    run = draw(tmp_path / "r", 10, (12, 16), best=1)
    table, decided = report.overview(run), report.decisions(run)
    assert table.index.tolist() == decided.index.tolist() == ["base", "Model0", "round 1"]
    assert decided["validation pass@1, %"].tolist() == [25.0, 30.0, 40.0]
    assert decided["change on validation"].tolist() == ["", "", "+2.0 (+0.0 to +5.0)"], "no minus before a zero"
    scores = table["pass@1, %"].str.fullmatch(r"\d+\.\d \(\d+\.\d to \d+\.\d\)")
    assert scores.all() and table.kept.tolist() == ["", "", "yes"]


def test_evidence_stands_beside_the_decision_of_a_gain(tmp_path):
    "Round 1 is proven, round 2 is a gain that is not, round 3 no gain; a run of an earlier version has no such column."
    run = draw(tmp_path / "r", 10, (12, 16, 17, 15), best=1)
    assert "evidence" not in report.decisions(run)
    known = ((.02, 71.4, 40, 0, "best"), (.01, 3.12, 20, 1, "not proven"), (-.01, 1.5, 20, 1, "worse"))
    for it, (mean, value, asked, over, decision) in zip(run.rounds, known):
        path = it["folder"] / "metrics.json"
        change, odds = dict(to=0, mean=mean, low=0, high=0), dict(over=over, value=value, asked=asked)
        write_json(path, read_json(path) | dict(decision=decision, difference_to_best=change, evidence=odds))
    table = report.decisions(report.load_run(run.folder))
    told = ["71.4 to 1 over Model0, 40 was asked for", "3.1 to 1 over round 1, 20 was asked for"]
    assert table.evidence.tolist() == ["", "", *told, ""] and table.decision.iloc[-2] == "not proven"
    write_jsonl(tmp_path / "r/iter-002/candidates.jsonl", [dict(id="c", iteration=2, parents=[])])
    assert f"decision not proven: evidence {told[1]}" in why(tmp_path / "r", "c")


@pytest.mark.parametrize("mean, words", [(-.02, "No round was better"), (.02, "No round was proven to be better")])
def test_a_gain_that_is_not_proven_is_not_called_none(tmp_path, mean, words):
    run = draw(tmp_path / "r", 10, (20, 18), 0)
    run.rounds[0]["difference_to_best"]["mean"] = mean
    assert words in report.verdict(run)


@pytest.mark.parametrize("ks", [(1,), (2,), (1, 3), (4, 2), (1, 2, 4)])
def test_the_real_k_is_named_everywhere(tmp_path, ks):
    run = draw(tmp_path / "r", 10, (12, 16), best=1, ks=ks)
    arms = {"random choice": draw(tmp_path / "r-random", 10, (12, 14), best=1, ks=ks)}
    columns = [*report.overview(run), *report.decisions(run)]
    texts = " ".join([report.measures(run), report.verdict(run), *columns, report.plot_curve(run, arms).title])
    assert set(re.findall(r"pass@(\d+)", texts)) == {str(k) for k in ks} and run.ks == sorted(ks)
    assert ("Watch for" in texts) == (len(ks) > 1)
    plain, least = report.against_arms(run, arms), report.against_arms(run, arms, min(ks))
    assert plain.difference.tolist() == least.difference.tolist()


@pytest.mark.parametrize("model, said, unsaid", [
    ("pocket", "mean nothing outside that world", "these problems"),
    ("Qwen/Qwen2.5-Coder-1.5B", "these problems", "toy"),
])
def test_how_far_numbers_reach(tmp_path, model, said, unsaid):
    text = report.reach(draw(tmp_path / "r", settings=dict(model=model)))
    assert said in text and unsaid not in text


def test_what_is_unfinished_is_told(tmp_path):
    run = draw(tmp_path / "r", models=(10, 11), best=1, settings=dict(iterate=dict(rounds=3)))
    assert run.unfinished == ["1 of 3 rounds were run"]
    (tmp_path / "r/iter-000.partial").mkdir()
    write_json(tmp_path / "r/iter-000.partial/metrics.json", {})
    found = [it["iteration"] for it in report.load_run(tmp_path / "r").iterations]
    assert found == [0, 1], "a copy in the making is no iteration"


# control arms


def test_whatever_arms_lie_beside_a_run_are_shown(tmp_path):
    own = dict(select=dict(selector="low_perplexity", min_agreement=0.75))
    run = draw(tmp_path / "r", models=(10, 20), best=1, settings=own)
    theirs = dict(seed=0, select=dict(selector="random", min_agreement=0.0), threads=3)
    for arm in ("random", "agreement", "perplexity", "forward"):
        draw(tmp_path / f"r-{arm}", models=(10, 15), best=1, settings=theirs)
    draw(tmp_path / "r-backward", models=(10,))
    arms = report.load_arms(run)
    names = ["random choice", "agreement only", "perplexity only", "forward only"]
    assert list(arms) == names, "an arm without a round of its own is none"
    assert report.against_arms(run, arms).difference.tolist() == [12.5] * 4
    changes = report.arm_changes(run, arms)
    told = "select.selector: low_perplexity → random; select.min_agreement: 0.75 → 0.0"
    assert changes.loc["random choice", "settings changed"] == told
    assert changes.loc["this run", "settings changed"] == ""
    assert changes["forward samples per round"].tolist() == ["3"] * 5
    assert report.plot_curve(run, arms | {"backward only": run}).png()[:4] == b"\x89PNG", "six curves have six looks"


def test_more_models_than_colours_are_all_drawn():
    drawn = plot_pass_at_k({f"model {i}": results(5) for i in range(30)}).figure.axes[0].get_lines()
    assert len(drawn) == 30 and len({(line.get_color(), line.get_linestyle()) for line in drawn}) == 24


# within descriptions


def easy_and_hard(iteration):
    "An easy description whose candidates are all unsurprising, a hard one; within each, the right one scores HIGHER."
    rows = [(True, 1.3), (True, 1.2), (True, 1.1), (False, 1.0), (True, 9.3), (False, 9.2), (False, 9.1), (False, 9.0)]
    return [
        candidate(iteration, i, right, perplexity, "selection" if i % 4 else "")
        for i, (right, perplexity) in enumerate(rows)
    ]


def test_pairs_are_counted_within_a_description(tmp_path):
    run = draw(tmp_path / "r", models=(10, 11, 12), best=2, candidates=easy_and_hard)
    text = report.separation(run)
    assert text.startswith("Of a right and a wrong candidate of the same description")
    assert " in 0 % (95 % interval 0 to 66; 12 pairs of 2 descriptions)" in text
    pooled = selection.chance_lower([1.3, 1.2, 1.1, 9.3], [1.0, 9.2, 9.1, 9.0])
    assert f"it is {100 * pooled:.0f} %" in text and pooled > 0.5
    assert report.plot_scores(run).title.startswith("Within a description the right one of two scores lower in\n0 %")


def test_the_interval_is_one_over_descriptions():
    rng = np.random.default_rng(0)
    parts = rng.integers(0, 9, 50)
    found = selection.share_of(parts, [8] * 50)
    means = [rng.choice(parts, 50).mean() / 8 for _ in range(4000)]
    assert np.allclose((found.low, found.high), np.percentile(means, [2.5, 97.5]), atol=0.02) and found[3:] == (400, 50)
    assert np.allclose(selection.share_of(list(parts) * 2, [8] * 100)[1:3], (found.low, found.high), atol=0.05)


@pytest.mark.parametrize("parts, wholes, least", [
    ([4], [4], 0), ([0, 0], [3, 5], 0), ([2] * 60, [2] * 60, 0), ([0.0] * 4, [3] * 4, -1),
])
def test_no_interval_is_a_point(parts, wholes, least):
    found = selection.share_of(parts, wholes, least)
    assert found.low - 1e-9 <= found.mean <= found.high + 1e-9 and found.high - found.low > 0.03
    assert least <= found.low and found.high <= 1
    assert np.isnan(selection.share_of([], []).mean) and selection.share_of([0], [0]).n == 0


def test_wilson_by_hand():
    assert np.allclose(selection.wilson(0.5, 10), (0.2366, 0.7634), atol=1e-4)
    assert np.allclose(selection.wilson(1.0, 10), (0.7225, 1.0), atol=1e-4)


def test_chance_draws_from_the_descriptions_that_something_was_kept_of():
    "All is kept from easy descriptions, blindly: over all descriptions that looks like a skill."
    rows = [
        dict(
            round="round 1", description=f"{kind} {d}", right=kind == "easy", gated=True, agreed=True,
            kept=kind == "easy" and i == 0,
        )
        for kind in ("easy", "hard")
        for d in range(12)
        for i in range(4)
    ]
    table = pd.DataFrame(rows)
    shares = selection.right_shares(table)
    assert shares["kept"].mean == shares["chance after the gates"].mean == 1.0 and shares["all candidates"].mean == 0.5
    assert "after agreement" not in shares and "nothing was left to choose" in selection.selection_verdict(table)
    mixed = table.assign(right=[i % 4 == 0 for i in range(len(table))])
    text = selection.selection_verdict(mixed)
    assert "100 % (95 % interval 76 to 100; 12 samples of 12 descriptions) is right" in text
    assert "+75.0 points" in text and "better than chance" in text


def test_the_two_chances_part_where_agreement_removes(tmp_path):
    kinds = [(True, ""), (True, "selection"), (False, "agreement"), (False, "lint")] * 12
    rows = lambda i: [candidate(i, n, right, 2.0, gate) for n, (right, gate) in enumerate(kinds)]
    run = draw(tmp_path / "r", models=(10, 11), best=1, candidates=rows)
    share = report.precision(run).loc["round 1"]
    assert share["right, %"].round().to_dict() == {
        "all candidates": 50, "after the gates": 67, "after agreement": 100, "kept": 100,
        "chance after the gates": 67, "chance after agreement": 100,
    }
    assert share.n.tolist() == [48, 36, 24, 12, 12, 12] and share.descriptions.tolist() == [12] * 6
    text = report.selection(run)
    assert "from those that passed the gates, +33.3 points" in text and "that also agreed, just as many" in text


# why there is nothing to see


@pytest.mark.parametrize("settings, models, cycle, said", [
    ({}, (10,), "forward", "No round is finished"),
    (dict(dual=dict(forward=False)), (10, 11), "forward", "had no forward cycle: `dual.forward` is off"),
    (dict(data=dict(descriptions="")), (10, 11), "forward", "`data.descriptions` is empty"),
    (dict(dual=dict(backward=False)), (10, 11), "backward", "had no backward cycle: `dual.backward` is off"),
    (dict(data=dict(unlabelled_code="")), (10, 11), "backward", "`data.unlabelled_code` is empty"),
    ({}, (10, 11), "backward", "nothing of it is in the run's folder"),
])
def test_an_absence_has_its_reason(tmp_path, settings, models, cycle, said):
    run = draw(tmp_path / "r", models=models, best=len(models) - 1, settings=settings)
    assert said in report.nothing(run, cycle)
    if cycle == "forward":
        told = {report.separation(run), report.selection(run), report.examples_note(run, True)}
        assert told == {report.nothing(run, cycle)}


@pytest.mark.parametrize("right, said", [
    (True, "All 8 candidates with a perplexity and a known truth are right."),
    (False, "are wrong."),
    (None, "`data.truth` has no reference"),
])
def test_one_kind_of_truth_is_named(tmp_path, right, said):
    rows = lambda i: [candidate(i, n, right, 2.0) for n in range(8)]
    run = draw(tmp_path / "r", models=(10, 11), best=1, candidates=rows)
    assert said in report.separation(run) and report.plot_scores(run) is None
    assert report.examples_note(run, kept=False) == "Round 1 dropped 0 of 8 candidates."
    assert report.examples_note(run, kept=True, n=8).endswith("All of them:")
    assert ("whose truth is known" in report.examples_note(run, kept=True)) == (right is not None)


def test_nothing_kept_is_said(tmp_path):
    rows = lambda i: [candidate(i, n, n % 2 == 0, 1.0 + n, "syntax") for n in range(8)]
    run = draw(tmp_path / "r", models=(10, 11), best=1, candidates=rows)
    assert report.selection(run) == "Of the candidates whose truth is known, none was kept."
    assert "None of these came as far as the selector" in report.separation(run)
    assert report.precision(run).loc["round 1"].index.tolist() == ["all candidates", "kept"]


# the page


def words_of(page):
    return html.unescape(re.sub(r"<[^>]+>", " ", re.sub(r"<style.*?</style>", "", page, flags=re.DOTALL)))


@pytest.mark.parametrize("draws, said, unsaid", [
    (dict(models=(10,)),
     ["No round of self-training is finished", "No round is finished, so neither cycle"],
     ["No round was better", "pass@8"]),
    (dict(models=(10, 20), best=0, ks=(2, 3), candidates=easy_and_hard, settings=dict(model="other")),
     ["pass@2 of round 1 lies", "pass@3, the chance that at least one of 3", "of the same description",
      "not the pocket world"],
     ["pass@1", "pass@8", "toy"]),
])
def test_a_page_does_not_contradict_itself(tmp_path, draws, said, unsaid):
    import papermill
    from traitlets.config import Config

    draw(tmp_path / "r", **draws)
    papermill.execute_notebook(
        str(ROOT / "nbs/runs/report.ipynb"), str(tmp_path / "r.ipynb"), parameters=dict(run=str(tmp_path / "r")),
        kernel_name="python3", cwd=str(ROOT / "nbs/runs"), progress_bar=False,
        config=Config({"KernelManager": {"transport_encryption": "auto"}}),
    )
    page = write_html(tmp_path / "r.ipynb", tmp_path / "r.html").read_text()
    text = " ".join(words_of(page).split())
    assert [words for words in said if words not in text] == [] and [words for words in unsaid if words in text] == []
    assert "NaN" not in text and "nan" not in re.findall(r"\b\w+\b", text) and "<style scoped" not in page
    before = page[:page.index("<table")].rsplit("</h", 1)[-1]
    classes = {name for found in re.findall(r'class="([^"]*)"', before) for name in found.split()}
    wide = re.search(r"([^}]*)\{ overflow-x: auto; \}", page)[1]
    assert any(f".{name}" in wide for name in classes), "a wide table scrolls in its own box, not the page"


def test_a_plain_paragraph_is_text():
    assert Text("<b>")._repr_html_() == "<p>&lt;b&gt;</p>"
