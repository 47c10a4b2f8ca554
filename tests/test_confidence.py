"""What candidates are chosen by: scores that models give, the chance of being right, and the selectors."""
import math
from collections import Counter

import numpy as np
import pytest
import torch

from evoselfcode.config import SCORES, SELECTORS, Select
from evoselfcode.engine.local import LocalEngine
from evoselfcode.pipeline import filtering, scoring
from evoselfcode.pipeline.confidence import (
    calibration_error,
    cross_fitted,
    features,
    fit,
    largest,
    reliability,
)

CODE = "def f(xs: list[int]) -> int:\n    return sum(xs)\n"
RECORDS = [
    dict(id="1", description="Return the sum of the given numbers.", code=CODE, entry_point="f", parents=["a"]),
    dict(id="2", description="Return the largest of the input.", code=CODE, entry_point="f", parents=["b"]),
]


@pytest.fixture(scope="module")
def pocket():
    return LocalEngine("pocket", device="cpu")


def token_logprobs(engine, prompt, completion):
    "Of the completion's tokens behind the prompt, by one forward pass."
    before, behind = (engine.tokenizer(t, add_special_tokens=False).input_ids for t in (prompt, completion))
    before = engine.tokenizer(prompt).input_ids if prompt else [engine.start]
    with torch.inference_mode(): logits = engine.model(torch.tensor([before + behind])).logits[0, len(before) - 1:-1]
    return logits.log_softmax(-1)[range(len(behind)), behind].numpy()


# scores

def test_scores_by_hand(pocket):
    found = scoring.read_scores(pocket, "c2d", RECORDS, [*SCORES])[0]
    told = token_logprobs(pocket, CODE.rstrip() + "\n\n# Description:\n", RECORDS[0]["description"])
    alone = token_logprobs(pocket, "\n\n# Description:\n", RECORDS[0]["description"])
    assert found["reviewer"] == pytest.approx(told.sum(), abs=1e-3)
    assert found["reviewer_mean"] == pytest.approx(told.mean(), abs=1e-3)
    assert found["reviewer_gain"] == pytest.approx(told.sum() - alone.sum(), abs=2e-3)
    found = scoring.read_scores(pocket, "d2c", RECORDS, [*SCORES])[0]
    written = token_logprobs(pocket, f"# {RECORDS[0]['description']}\n", CODE)
    assert found["coder"] == pytest.approx(written.sum(), abs=1e-3)
    found = scoring.read_scores(pocket, "base", RECORDS, [*SCORES])[0]
    assert found["perplexity"] == pytest.approx(math.exp(-written.mean()), rel=1e-3)
    assert found["ifd"] == pytest.approx(math.exp(token_logprobs(pocket, "", CODE).mean() - written.mean()), rel=1e-3)


def test_the_signature_that_was_given_is_no_part_of_the_answer(pocket):
    head, body = CODE.splitlines(keepends=True)
    record = RECORDS[0] | dict(signature=head)
    found = scoring.read_scores(pocket, "d2c", [record], ["coder"])[0]["coder"]
    assert found == pytest.approx(token_logprobs(pocket, f"# {record['description']}\n{head}", body).sum(), abs=1e-3)


def test_a_score_brings_what_it_needs_and_nothing_else(pocket):
    assert scoring.wanted([]) == ["perplexity", "agreement"]
    names = scoring.wanted(["reverse_information"])
    assert names == ["perplexity", "description_logprob", "reviewer_mean", "reverse_information", "agreement"]
    rows = [r | dict(scores=s) for r, s in zip(RECORDS, scoring.read_scores(pocket, "c2d", RECORDS, names))]
    for row in scoring.score(pocket, rows, 4, names=names):
        s = row["scores"]
        assert list(s) == ["reviewer_mean", "perplexity", "description_logprob", "reverse_information", "agreement"]
        assert s["reverse_information"] == pytest.approx(s["reviewer_mean"] - s["description_logprob"], abs=1e-3)


@pytest.mark.parametrize("name", ["coder_reviewer", "reverse_information"])
def test_what_no_model_has_read_has_no_sum_of_what_models_say(pocket, name):
    read = RECORDS[0] | dict(scores=dict(coder_mean=-1.0, reviewer_mean=-2.0))
    known, unread = scoring.score(pocket, [read, RECORDS[1]], 2, names=[name])
    assert math.isfinite(known["scores"][name]) and math.isnan(unread["scores"][name])


def test_no_code_has_no_mean_but_can_be_scored(pocket):
    nothing = RECORDS[0] | dict(code="", entry_point="")
    (scored,) = scoring.score(pocket, [nothing], 2, names=["ifd", "length"])
    assert math.isnan(scored["scores"]["perplexity"]) and scored["scores"]["length"] == 0


# confidence

def made_up(descriptions, seed=0, share=0.2):
    dice, rows, right = np.random.default_rng(seed), [], []
    for number in range(descriptions):
        for _ in range(8):
            right.append(bool(dice.random() < share))
            scores = dict(telling=float(dice.normal(2.0 * right[-1])), idle=float(dice.normal()))
            rows.append(dict(parents=[number], scores=scores))
    return rows, right


def test_features_are_values_and_what_is_missing_to_the_best_of_the_description():
    rows = [dict(parents=["a"], scores=dict(s=1.0)), dict(parents=["a"], scores=dict(s=3.0)),
            dict(parents=["b"], scores=dict(s=2.0)), dict(parents=["b"], scores={}),
            dict(parents=["c"], scores=dict(s=float("nan")))]
    assert features(rows, ["s"]).tolist() == [[1, -2], [3, 0], [2, 0], [2, 0], [2, 0]]
    assert features([], ["s"]).shape == (0, 2) and features(rows, ["never"]).tolist() == [[0, 0]] * 5


def test_a_curve_keeps_its_word_on_others():
    curve = fit(*made_up(200), ["telling", "idle"])
    rows, right = made_up(500, 1)
    assert calibration_error(reliability(curve(rows), right)) < 0.03
    assert abs(curve.weights[1]) > 5 * abs(curve.weights[2])
    assert (curve.known, curve.right) == (1600, sum(made_up(200)[1]))


@pytest.mark.parametrize("answer", [True, False])
def test_a_curve_over_answers_of_one_kind(answer):
    rows, _ = made_up(5)
    chance = fit(rows, [answer] * len(rows), ["telling"])(rows)
    assert np.isfinite(chance).all() and ((chance > 0.9) == answer).all()


def test_scores_that_tell_right_from_wrong_without_fail_do_not_break_the_curve():
    rows = [dict(parents=[i], scores=dict(s=float(i))) for i in range(40)]
    chance = fit(rows, [i >= 20 for i in range(40)], ["s"])(rows)
    assert np.isfinite(chance).all() and chance[:19].max() < 0.5 < chance[21:].min()


def test_nobody_is_judged_by_a_curve_that_has_seen_it():
    rows, right = made_up(10)
    told = cross_fitted(rows, right, ["telling"])
    turned = [not r if row["parents"][0] == 3 else r for row, r in zip(rows, right)]
    again = cross_fitted(rows, turned, ["telling"])
    own = np.array([row["parents"][0] == 3 for row in rows])
    assert (told[own] == again[own]).all() and (told[~own] != again[~own]).any()


def test_the_largest_set_of_a_precision():
    assert [largest([.7, 1., .9], p) for p in (1., .95, .9, .8, .1)] == [1, 2, 2, 3, 3]
    assert largest([], .5) == largest([.4, .3], .5) == 0


# selectors

def candidate(id, parent="a", **scores):
    return dict(
        id=id, parents=[parent], description=parent, code=f"def f(x):\n    return x + {id}\n", entry_point="f",
        scores=dict(perplexity=2.0, agreement=1.0) | scores, dropped_by="", reason="", verdicts={},
    )


def kept(rows, *given, **settings):
    told = filtering.select(rows, Select(min_agreement=0, tail_share=0, **settings), *given)
    return [c["id"] for c in told if c["kept"]]


def test_the_tables_hold_what_can_be_set():
    assert tuple(scoring.SCORES) == SCORES and tuple(filtering.SELECTORS) == SELECTORS
    needs = {name for selector in filtering.SELECTORS.values() for name in selector.needs}
    assert needs <= {*SCORES}


@pytest.mark.parametrize(("selector", "values", "best"), [
    ("reviewer", [-9, -1, -5], "1"), ("coder_reviewer", [-2, -8, -5], "0"), ("ifd", [0.5, 0.9, 1.2], "1"),
    ("reverse_information", [0.0, 0.5, 9.0], "1"), ("agreement", [0.1, 0.2, 0.9], "2"),
])
def test_a_selector_takes_the_best_by_its_score(selector, values, best):
    rows = [candidate(str(i), **{selector: value}) for i, value in enumerate(values)]
    assert kept(rows, selector=selector, share=1 / 3) == [best]


def test_gift_prefers_what_is_unusual_and_leaves_nothing_out():
    rows = [candidate(str(i), perplexity=1.0 + i) for i in range(4)]
    drawn = Counter(kept(rows, seed, selector="gift", share=0.25)[0] for seed in range(400))
    weights = np.exp(2 * np.arange(4) / 3)
    for i, share in enumerate(weights / weights.sum()): assert drawn[str(i)] / 400 == pytest.approx(share, abs=0.08)


def test_confidence_takes_the_largest_set_that_is_right_often_enough():
    chances = [0.99, 0.9, 0.8, 0.7, 0.1]
    rows = [candidate(str(i), parent=str(i), confidence=x) for i, x in enumerate(chances)]
    def number(precision): return len(kept(rows, selector="confidence", share=0.5, precision=precision))
    assert [*map(number, (0.995, 0.94, 0.85, 0.84, 0.1))] == [0, 2, 3, 4, 5]
    told = filtering.select(rows, Select("confidence", 0.5, 0.0, min_agreement=0, precision=.94), 0)
    assert "0.10 of being right" in told[-1]["reason"]


def test_one_description_gives_no_more_than_its_share_but_its_tail_may_be_as_good():
    rows = [candidate(str(i), parent=str(i // 4), confidence=0.95) for i in range(8)]
    assert len(kept(rows, selector="confidence", share=0.25)) == 2
    told = filtering.select(rows, Select("confidence", 0.25, 0.5, min_agreement=0), 0)
    assert sum(c["tail"] for c in told) == 2
    rows = [c | dict(scores=c["scores"] | dict(confidence=0.95 if i % 4 == 0 else 0.4)) for i, c in enumerate(rows)]
    told = filtering.select(rows, Select("confidence", 0.25, 0.5, min_agreement=0), 0)
    assert sum(c["tail"] for c in told) == 0 and sum(c["kept"] for c in told) == 2
