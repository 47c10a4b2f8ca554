"""The stages of the loop at their edges: seeds, loss masks, adapters, selection, rolling back and stopping."""
import math
import random
import shutil
from collections import Counter
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from evoselfcode.config import (
    GATES,
    SELECTORS,
    Config,
    Data,
    Dual,
    Evaluation,
    Filter,
    Iterate,
    Names,
    Paths,
    Sampling,
    Select,
    Train,
    load_config,
)
from evoselfcode.engine.loading import model_fingerprint
from evoselfcode.engine.local import LocalEngine
from evoselfcode.errors import UserError
from evoselfcode.io_utils import content_id, read_json, read_jsonl, write_json, write_jsonl
from evoselfcode.pipeline import dual_model, filtering, iteration, sampling, scoring, train_sft
from evoselfcode.pipeline.filtering import selection_precision
from evoselfcode.pipeline.iteration import Study, window
from evoselfcode.stages import finished, run_batches

FULL = dict(method="full", learning_rate=1e-3)  # as configs/pocket.yaml trains the embedded model
TASKS = [
    dict(id="1", description="Return the sum of the given numbers."),
    dict(id="2", description="Return the length of the string."),
    dict(id="3", description="Given the list, keep the even numbers, then square every number.", entry_point="f"),
]


@pytest.fixture(scope="module")
def pocket():
    return LocalEngine("pocket", device="cpu")


@pytest.fixture(scope="module")
def pairs(root):
    return [dict(description=r["prompt"], code=r["code"]) for r in read_jsonl(root / "data/raw/initial_pairs.jsonl")]


# sampling and scoring

def test_one_seed_one_set_of_candidates(pocket):
    settings = Sampling(n=3, max_new_tokens=40)
    first = sampling.sample(pocket, TASKS, settings, seed=5, iteration=2)
    assert first == sampling.sample(pocket, TASKS, settings, seed=5, iteration=2)
    other = sampling.sample(pocket, TASKS, settings, seed=6, iteration=2)
    assert [c["code"] for c in first] != [c["code"] for c in other]
    assert [(c["parents"], c["sample_index"]) for c in first] == [([t["id"]], i) for t in TASKS for i in range(3)]
    assert len({c["id"] for c in first + other}) == 18 - sum(a["code"] == b["code"] for a, b in zip(first, other))
    assert {c["seed"] for c in first} == {5} and {c["iteration"] for c in first} == {2}
    # a name that the task gives is the one that counts
    assert all(c["entry_point"] == "f" for c in first if c["parents"] == ["3"])


def test_candidates_of_a_greedy_model_are_equal_and_have_ids_of_their_own(pocket):
    found = sampling.sample(pocket, TASKS[:1], Sampling(n=3, temperature=0, max_new_tokens=20))
    assert len({c["code"] for c in found}) == 1 and len({c["id"] for c in found}) == 3


def test_agreement_by_hand():
    shares = scoring.group_agreement(["a", "b", "a", "a", "b", "a"], ["x", "x", "x", "y", None, None])
    assert shares.tolist() == [.5, .5, .5, .25, 0, 0]


def test_scores_of_a_description_do_not_depend_on_its_neighbours(pocket):
    found = sampling.sample(pocket, TASKS[:2], Sampling(n=4, max_new_tokens=60), seed=1)
    together = scoring.score(pocket, found, 8)
    apart = scoring.score(pocket, found[:4], 8) + scoring.score(pocket, found[4:], 8)
    for a, b in zip(together, apart):
        assert a["behaviour"] == b["behaviour"] and a["scores"]["agreement"] == b["scores"]["agreement"]
        assert a["scores"]["perplexity"] == pytest.approx(b["scores"]["perplexity"], rel=1e-3)


# gates and selection

def candidate(id, code="def f(x):\n    return x\n", parent="a", perplexity=2., agreement=1., mark="m", **more):
    made = dict(
        id=id, parents=[parent], description=f"d {parent}", code=code, entry_point="f",
        scores=dict(perplexity=perplexity, agreement=agreement),
        behaviour=dict(status="passed", fingerprint=mark, errors=0, deterministic=True, detail=""),
    )
    return made | more


def crowd(groups=12, size=8, seed=0):
    "Candidates of several descriptions that passed some of the gates, all different."
    dice = random.Random(seed)
    return [
        candidate(
            f"{g}-{i}", f"def f(x):\n    return x + {g} * {i} - {dice.randrange(999)}\n", f"p{g}",
            round(1 + 4 * dice.random(), 4), dice.choice([0.25, 0.5, 0.75, 1.0]),
            dropped_by=dice.choice(["", "", "", "syntax"]), reason="", verdicts={},
        )
        for g in range(groups)
        for i in range(size)
    ]


def kept_of(found): return Counter(c["parents"][0] for c in found if c["kept"] and not c["tail"])


@pytest.mark.parametrize("share", [.05, .25, .5, 1.])
@pytest.mark.parametrize("agreement", [0., .6])
@pytest.mark.parametrize("control", ["random", "agreement"])
def test_a_control_keeps_as_many_of_each_description(share, agreement, control):
    checked = crowd()
    def selected(selector, seed):
        return filtering.select(checked, Select(selector, share, min_agreement=agreement), seed)
    wise = selected("low_perplexity", 1)
    blind, again, other = (selected(control, seed) for seed in (1, 1, 2))
    kept = [{c["id"] for c in found if c["kept"]} for found in (wise, blind)]
    assert kept_of(wise) == kept_of(blind) and len(kept[0]) == len(kept[1]) > 0
    assert blind == again and (share == 1 or blind != other)
    assert kept[0] != kept[1] or share == 1
    assert all(not c["dropped_by"] and c["scores"]["agreement"] >= agreement for c in wise + blind if c["kept"])


@pytest.mark.parametrize("selector", ["low_perplexity", "random", "agreement"])
@pytest.mark.parametrize("most", [0, 1, 7, 1000])
def test_no_more_are_kept_than_may_be(selector, most):
    free, bound = (filtering.select(crowd(), Select(selector, min_agreement=.25), 0, limit) for limit in (None, most))
    kept = [c for c in bound if c["kept"]]
    assert len(kept) == min(most, sum(c["kept"] for c in free))
    if selector == "random" or not kept: return
    def score(c): return c["scores"]["perplexity"] if selector == "low_perplexity" else -c["scores"]["agreement"]
    ids = {c["id"] for c in kept if not c["tail"]}
    able = [c for c in free if c["kept"] and not c["tail"]]
    chosen, left = ([score(c) for c in able if (c["id"] in ids) == mine] for mine in (True, False))
    assert max(chosen) <= min(left, default=99)


def test_agreement_alone_prefers_what_many_did():
    gated = dict(dropped_by="", reason="")
    rows = [
        candidate(str(i), f"def f(x):\n    return {i}\n", perplexity=9 - i, agreement=0.75 if i < 3 else 0.25, **gated)
        for i in range(8)
    ]
    settings = Select("agreement", share=0.25, tail_share=0, min_agreement=0.25)
    kept = [{c["id"] for c in filtering.select(rows, settings, seed) if c["kept"]} for seed in range(9)]
    assert all(two < {"0", "1", "2"} for two in kept) and len(set(map(frozenset, kept))) > 1


def test_chance_draws_a_program_as_often_as_it_was_written():
    rows = [
        candidate("often", copies=7, dropped_by="", reason=""),
        candidate("once", "def f(x):\n    return -x\n", copies=1, dropped_by="", reason=""),
    ]
    settings = Select("random", share=0.125, tail_share=0)
    kept = Counter(c["id"] for seed in range(800) for c in filtering.select(rows, settings, seed) if c["kept"])
    assert sum(kept.values()) == 800 and 650 < kept["often"] < 750


def test_low_perplexity_keeps_the_lowest():
    found = filtering.select(crowd(), Select(share=.25, tail_share=0, min_agreement=.5))
    for parent in {c["parents"][0] for c in found}:
        able = [c for c in found if c["parents"][0] == parent and c["dropped_by"] in ("", "selection")]
        kept = [c["scores"]["perplexity"] for c in able if c["kept"]]
        assert sorted(kept) == sorted(c["scores"]["perplexity"] for c in able)[:len(kept)]
        assert len(kept) == (min(2, len(able)) if able else 0)      # a quarter of the eight that were drawn


@pytest.mark.parametrize("tail", [0., .05, .1, .25, .5, .9])
@pytest.mark.parametrize("groups", [1, 3, 5, 14])
def test_the_tail_is_never_more_than_its_share(groups, tail):
    found = filtering.select(crowd(groups), Select(share=.25, tail_share=tail, min_agreement=0))
    kept = [c for c in found if c["kept"]]
    strange = [c for c in kept if c["tail"]]
    assert len(strange) <= tail * len(kept) + 1e-9
    left = [c for c in found if c["dropped_by"] == "selection"]
    assert len(strange) == min(len(left) + len(strange), int(tail / (1 - tail) * (len(kept) - len(strange)) + 1e-9))


def test_the_tail_is_surprising_and_new():
    code = "def f(xs):\n    total = 0\n    for x in xs:\n        total += x\n    return total\n"
    same = [candidate(str(i), code, perplexity=1 + i / 10) for i in range(6)]
    new = candidate("new", "def f(xs):\n    import math\n    return math.fsum(sorted(map(float, xs)))\n", perplexity=9.)
    rows = [c | dict(dropped_by="", reason="") for c in same + [new]]
    found = filtering.select(rows, Select(share=0.4, tail_share=0.25))
    assert [c["id"] for c in found if c["kept"]] == ["0", "1", "2", "new"]
    assert [c["id"] for c in found if c["tail"]] == ["new"]


def test_the_funnel_adds_up(pocket):
    found = scoring.score(pocket, sampling.sample(pocket, TASKS, Sampling(n=8, max_new_tokens=60), seed=3), 8)
    settings = Filter()
    first = found[0]["behaviour"]["fingerprint"]
    checked = filtering.apply_gates(found, settings, lambda _, did: ["behaves alike" * (f == first) for f in did])
    selected = filtering.select(checked, Select(min_agreement=0.2))
    steps = filtering.funnel(selected, settings.gates)
    lost = Counter(c["dropped_by"] for c in selected if not c["kept"])
    assert [s["step"] for s in steps] == ["candidates", *settings.gates, "agreement", "selection"]
    assert steps[0]["left"] == len(selected) == 24 and steps[-1]["left"] == sum(c["kept"] for c in selected)
    assert [a["left"] - b["left"] for a, b in zip(steps, steps[1:])] == [lost[s["step"]] for s in steps[1:]]
    assert "" not in lost and all(c["reason"] for c in selected if not c["kept"])
    assert not any(c["reason"] or c["dropped_by"] for c in selected if c["kept"])


def test_no_candidates_are_no_trouble():
    assert filtering.select(filtering.apply_gates([], Filter())) == []
    assert filtering.funnel([], Filter().gates)[-1]["left"] == 0
    assert filtering.novelty([], ["x"]) == [] and filtering.novelty(["x"], []) == [1.0]
    assert filtering.novelty(["", "x"], [""])[0] == 0


def test_of_equal_programs_of_one_description_the_likeliest_stays_and_is_counted():
    rows = [
        candidate("1", perplexity=3.0), candidate("2", "def f(y):\n    return y\n"), candidate("3", parent="b"),
        candidate("4", "def f(x):\n    return -x\n"), candidate("5", perplexity=4.0),
    ]
    found = filtering.apply_gates(rows, Filter())
    wanted = [("duplicates", 0), ("", 3), ("", 1), ("", 1), ("duplicates", 0)]
    assert [(c["dropped_by"], c["copies"]) for c in found] == wanted
    assert found[0]["reason"] == "same program as 2" and found[0]["verdicts"]["duplicates"]["status"] == "failed"


def test_a_copy_that_another_gate_refuses_takes_none_with_it():
    failed = dict(status="failed", fingerprint=None, errors=0, deterministic=True, detail="")
    rows = [candidate("1", perplexity=1.0) | dict(behaviour=failed), candidate("2"), candidate("3")]
    for gates in (list(GATES), ["duplicates", "execution"]):
        found = filtering.apply_gates(rows, Filter(gates=gates))
        wanted = [("execution", None), ("", 2), ("duplicates", 0)]
        assert [(c["dropped_by"], c.get("copies")) for c in found] == wanted
    assert [c["dropped_by"] for c in filtering.apply_gates(rows, Filter(gates=["syntax"]))] == ["", "", ""]


def test_a_candidate_that_two_runs_do_not_agree_on_goes():
    behaviour = dict(status="passed", fingerprint=None, errors=0, deterministic=False)
    odd = candidate("1") | dict(behaviour=behaviour | dict(detail="two runs gave different results"))
    assert filtering.apply_gates([odd], Filter())[0]["dropped_by"] == "determinism"


def test_a_behaviour_that_says_nothing_counts_nowhere(monkeypatch):
    did = candidate("1")["behaviour"]
    rows = [candidate("1") | dict(behaviour=did | dict(says_nothing="the same")), candidate("2"), candidate("3")]
    assert scoring.agreement(rows).tolist() == [0, 2 / 3, 2 / 3]
    rows[0] = rows[0] | dict(scores=rows[0]["scores"] | dict(agreement=0.0))
    chosen = filtering.select(filtering.apply_gates(rows, Filter(gates=["syntax"])))
    assert (chosen[0]["dropped_by"], chosen[0]["reason"]) == ("agreement", "its behaviour says nothing: the same")
    tried = [dict(refused="", behaviour=rows[0]["behaviour"], share=0.0)]
    monkeypatch.setattr(dual_model, "try_back", lambda *_: tried)
    found, = dual_model.round_trip(None, [dict(id="a", parents=["b"], description="x y z")])
    assert found["dropped_by"] == "round_trip"
    assert found["reason"] == "the behaviour of the code says nothing: the same"


def test_precision_by_hand():
    "Two descriptions with four candidates each; a half is kept of each."
    dropped = dict(a1="", a2="", a3="selection", a4="syntax", b1="", b2="agreement", b3="execution", b4="lint")
    rows = [candidate(id, parent=id[0], kept=not gate, dropped_by=gate) for id, gate in dropped.items()]
    right = dict(a1=True, a2=True, a3=False, a4=False, b1=False, b2=True, b3=False, b4=True)
    # gated: a1 a2 a3 b1 b2 -> 3 of 5; selected: a1 a2 b1 -> 2 of 3;
    # at random: 2 of a's three (2/3 right each) and 2 of b's two (1/2 each): (4/3 + 1) / 4
    assert selection_precision(rows, right, share=0.5) == dict(
        candidates=0.5, gated=0.6, random=round((4 / 3 + 1) / 4, 4), selected=round(2 / 3, 4)
    )
    rows[0]["copies"] = 3  # a1 was written three times: 4 of 7; of a 2 x 4/5, of b 2 x 1/2
    assert selection_precision(rows, right, share=0.5) == dict(
        candidates=0.5, gated=round(5 / 7, 4), random=round((2 * 0.8 + 1) / 4, 4), selected=round(2 / 3, 4)
    )
    nothing = [c | dict(kept=False, dropped_by="syntax") for c in rows]
    found = selection_precision(nothing, right, 0.5)
    assert found["gated"] is None and found["selected"] is None


# training

def rows(pairs): return train_sft.d2c_rows(pairs)


def test_the_loss_falls_on_the_completion_and_the_end(pocket, pairs):
    both = rows(pairs) + train_sft.c2d_rows(pairs)
    examples, cut, left_out = train_sft.tokenise(both, pocket.tokenizer, 512)
    for row, example in zip(both, examples):
        prompt = pocket.tokenizer(row["prompt"]).input_ids
        learned = [i for i, label in zip(example["input_ids"], example["labels"]) if label != -100]
        assert example["input_ids"][:len(prompt)] == prompt and example["labels"][:len(prompt)] == [-100] * len(prompt)
        assert pocket.tokenizer.decode(learned[:-1]) == row["completion"]
        assert learned[-1] == pocket.tokenizer.eos_token_id
    assert cut == left_out == 0 and len(examples) == 2 * len(pairs)


def test_a_training_row_is_shown_as_the_model_sees_it():
    row = dict(prompt="# Say <b>.\n", completion="return\n")
    shown = train_sft.first_row([row], "pocket", 512)
    assert repr(shown) == "# Say <b>.⏎\n[return⏎\n][<|endoftext|>]"
    grey, learned, end = shown._repr_html_().split("</span>")[:3]
    assert "Say &lt;b&gt;.⏎" in grey and "background" not in grey
    assert "background" in learned and "border" not in learned
    assert "background" in end and "border" in end and "&lt;|endoftext|&gt;" in end
    assert train_sft.first_row([row], "pocket", 4) is None


def test_what_is_too_long_loses_the_middle_of_its_prompt_or_is_left_out(pocket):
    words = [f"word{i}" for i in range(60)]
    row = dict(prompt=f"# {' '.join(words)}\n", completion="def f(x):\n    return x\n")
    (whole,), cut, left_out = train_sft.tokenise([row], pocket.tokenizer, 2000)
    learned = [label for label in whole["labels"] if label != -100]
    size, prompt = len(whole["input_ids"]), len(whole["input_ids"]) - len(learned)
    for less in (0, 1, 2, prompt // 2):
        (example,), cut, left_out = train_sft.tokenise([row], pocket.tokenizer, size - less)
        kept = len(example["input_ids"]) - len(learned)
        assert (cut, left_out) == (less > 0, 0) and len(example["input_ids"]) == size - less == len(example["labels"])
        assert [label for label in example["labels"] if label != -100] == learned
        assert example["input_ids"][:(kept + 1) // 2] == whole["input_ids"][:(kept + 1) // 2]
        assert example["input_ids"][-len(learned) - kept // 2:] == whole["input_ids"][-len(learned) - kept // 2:]
    assert train_sft.tokenise([row], pocket.tokenizer, size - prompt // 2 - 2) == ([], 0, 1)
    assert train_sft.tokenise([row | dict(completion="")], pocket.tokenizer, 2000) == ([], 0, 1)


def test_a_training_without_anything_to_learn_is_an_error(pocket, tmp_path):
    rows = [dict(prompt="# Return x.\n", completion="def f(x):\n    return x\n" * 20)] * 3
    words = "c2d of iteration 1: each of the 3 rows is too long for max_length = 16 tokens"
    with pytest.raises(UserError, match=words):
        train_sft.train(rows, tmp_path / "c2d", "pocket", Train(**FULL, max_length=16), note="c2d of iteration 1")
    assert not (tmp_path / "c2d").exists()


def test_a_batch_grouped_by_length_has_the_loss_of_its_rows(pocket, pairs):
    "Padding changes nothing: the mean over a batch is the mean over its rows' tokens."
    from transformers import DataCollatorForSeq2Seq
    examples, *_ = train_sft.tokenise(rows(pairs[:12]), pocket.tokenizer, 512)
    side, pocket.tokenizer.padding_side = pocket.tokenizer.padding_side, "right"
    try:
        collate = DataCollatorForSeq2Seq(pocket.tokenizer, label_pad_token_id=-100)
        together = collate([dict(e) for e in examples])
    finally:
        pocket.tokenizer.padding_side = side
    def loss(batch):
        with torch.inference_mode():
            return pocket.model(**{k: torch.as_tensor(v) for k, v in batch.items()}).loss.item()
    apart = [(loss({k: [v] for k, v in e.items()}), sum(label != -100 for label in e["labels"][1:])) for e in examples]
    mean = sum(value * n for value, n in apart) / sum(n for _, n in apart)
    assert loss(together) == pytest.approx(mean, rel=1e-4) and len({len(e["input_ids"]) for e in examples}) > 3


def test_grouping_by_length_changes_no_row(pocket, pairs, tmp_path):
    "The batches that training really makes hold every row once per epoch, and neighbours in length stay together."
    from transformers import DataCollatorForSeq2Seq, Trainer
    examples, *_ = train_sft.tokenise(rows(pairs[:64]), pocket.tokenizer, 512)
    settings = Train(**FULL, batch_size=8, epochs=1, min_steps=0)
    arguments = train_sft.training_arguments(settings, tmp_path, len(examples), 3, torch.device("cpu"))
    collate = DataCollatorForSeq2Seq(pocket.tokenizer, label_pad_token_id=-100)
    trainer = Trainer(pocket.model, arguments, train_dataset=examples, data_collator=collate)
    seen = [
        row[row_mask == 1].tolist()
        for batch in trainer.get_train_dataloader()
        for row, row_mask in zip(batch["input_ids"], batch["attention_mask"])
    ]
    given = [e["input_ids"] for e in examples]
    assert sorted(seen) == sorted(given)
    def spread(rows): return np.mean([np.ptp([len(r) for r in rows[i:i + 8]]) for i in range(0, 64, 8)])
    assert spread(seen) < spread(given) * 0.75


def test_a_seed_fixes_the_weights(pairs, tmp_path):
    settings = Train(**FULL, min_steps=6, epochs=1, batch_size=4)
    losses = [
        train_sft.train(rows(pairs[:16]), tmp_path / name, "pocket", settings, seed, device="cpu")["loss"]
        for name, seed in (("a", 1), ("b", 1), ("c", 2))
    ]
    files = [(tmp_path / name / "model.safetensors").read_bytes() for name in "abc"]
    assert files[0] == files[1] != files[2] and losses[0] == losses[1]


def test_an_adapter_from_one_key(pocket, pairs, tmp_path):
    settings = Train(method="lora", lora_rank=4, learning_rate=1e-2, min_steps=25, epochs=1, batch_size=8)
    train_sft.train(rows(pairs[:8]), tmp_path / "d2c", "pocket", settings, 1, device="cpu")
    files = {p.name for p in (tmp_path / "d2c").iterdir()}
    wanted = {"adapter_config.json", "adapter_model.safetensors", "training.json", "README.md", "tokenizer.json"}
    assert wanted <= files and "model.safetensors" not in files
    assert (tmp_path / "d2c/adapter_model.safetensors").stat().st_size < 1_500_000
    engine, prompts = LocalEngine(tmp_path / "d2c", device="cpu"), [r["prompt"] for r in rows(pairs[:8])]
    codes = [r["completion"] for r in rows(pairs[:8])]
    # 1 is the floor
    assert engine.perplexity(prompts, codes).mean() - 1 < .5 * (pocket.perplexity(prompts, codes).mean() - 1)
    assert model_fingerprint(str(tmp_path / "d2c"))


def test_another_start_is_not_taken_for_a_finished_model(pairs, tmp_path, message):
    settings = Train(**FULL, min_steps=2, epochs=1, batch_size=4)
    def call(group, **changes):
        return train_sft.train(rows(group), tmp_path / "d2c", "pocket", replace(settings, **changes), 1, device="cpu")
    first = call(pairs[:4])
    before = (tmp_path / "d2c/model.safetensors").stat().st_mtime_ns
    assert call(pairs[:4]) == first and (tmp_path / "d2c/model.safetensors").stat().st_mtime_ns == before
    assert "other rows or settings" in message(call, pairs[:5])
    assert "other rows or settings" in message(call, pairs[:4], learning_rate=1e-4)
    assert "no rows" in message(train_sft.train, [], tmp_path / "none", "pocket") and not (tmp_path / "none").exists()


def trip_at(step: int):
    "A callback that interrupts the training after a step."
    from transformers import TrainerCallback
    class Trip(TrainerCallback):
        def on_step_end(self, args, state, control, **_):
            if state.global_step == step: raise KeyboardInterrupt
    return Trip()


@pytest.mark.parametrize("save_steps", [0, 3, 4])  # an epoch has four steps
def test_a_training_that_broke_off_ends_with_the_same_weights(pairs, tmp_path, monkeypatch, save_steps):
    settings = Train(**FULL, min_steps=10, epochs=1, batch_size=4, save_steps=save_steps)
    whole = train_sft.progress_callback
    told = train_sft.train(rows(pairs[:16]), tmp_path / "whole", "pocket", settings, 1, device="cpu")
    monkeypatch.setattr(train_sft, "progress_callback", lambda *_: trip_at(7))
    with pytest.raises(KeyboardInterrupt):
        train_sft.train(rows(pairs[:16]), tmp_path / "broken", "pocket", settings, 1, device="cpu")
    assert not (tmp_path / "broken").exists()
    monkeypatch.setattr(train_sft, "progress_callback", whole)
    again = train_sft.train(rows(pairs[:16]), tmp_path / "broken", "pocket", settings, 1, device="cpu")
    assert again == told  # its mean loss is that of all steps
    assert (tmp_path / "broken/model.safetensors").read_bytes() == (tmp_path / "whole/model.safetensors").read_bytes()
    assert sorted(p.name for p in tmp_path.iterdir()) == ["broken", "whole"]


def test_what_a_broken_training_left_is_not_mixed_with_other_settings(pairs, tmp_path, monkeypatch):
    """A half-written adapter must not make the next, full model look like an adapter; a checkpoint of one rate must not
    be gone on from with another."""
    plain = Train(**FULL, min_steps=10, epochs=1, batch_size=4, save_steps=4)
    def call(name, **changes):
        settings = replace(plain, **changes)
        train_sft.train(rows(pairs[:16]), tmp_path / name, "pocket", settings, 1, device="cpu")
    def stop(*_): raise KeyboardInterrupt
    for place, settings in ("model_card", dict(method="lora")), ("progress_callback", dict(learning_rate=1e-2)):
        monkeypatch.setattr(train_sft, place, stop if place == "model_card" else lambda *_: trip_at(6))
        with pytest.raises(KeyboardInterrupt): call("again", **settings)
        monkeypatch.undo()
    assert [p.name for p in (tmp_path / "again.partial/trainer").glob("checkpoint-*")] == ["checkpoint-4"]
    call("again"), call("fresh")
    assert (tmp_path / "again/model.safetensors").read_bytes() == (tmp_path / "fresh/model.safetensors").read_bytes()
    again, fresh = ({p.name for p in (tmp_path / name).iterdir()} for name in ("again", "fresh"))
    assert again == fresh


# the two models together

CODE = (
    "def total(values: list[int]) -> int:\n"
    "    result = 0\n"
    "    for value in values:\n"
    "        if value > 0:\n"
    "            result += value\n"
    "    return result\n"
)


@pytest.mark.parametrize("text, why", [
    ("Return the sum of the positive numbers.", ""),
    ("Given the list, keep the numbers above zero, then add everything up.", ""),
    ("Return the values for which value in values is positive.", ""),
    ("Übrigens: die Summe der positiven Zahlen.", ""),
    ("", "fewer"), ("the sum", "fewer"), ("?!", "fewer"), ("word " * 100, "longer"), (CODE, "is code"),
    ("def total(values): add them", "is code"), ("lambda values: sum of the positive ones", "is code"),
    ("return sum(v for v in values)", "is code"), ("a = b + c", "is code"),
    ("result 0 for value in values if value 0 result value return result", "repeats"),
    ("total values list int int result 0 for value in values", "repeats"),
])
def test_copies_of_the_code_are_no_descriptions(text, why):
    found = dual_model.not_a_description(text, CODE)
    assert found.startswith(why) if why else found == ""


def test_a_private_language_does_not_survive_the_round_trip(pocket):
    "A description that is the code brings the behaviour back perfectly, and is refused all the same."
    pair = lambda text: dict(id=text[:9], description=text, code=CODE, entry_point="total", parents=["u"])
    class Parrot:
        def sample(self, prompts, n, **_):
            from evoselfcode.engine.base import Sample
            # the name would give it away
            assert all(prompt.endswith("def f(values: list[int]) -> int:\n") for prompt in prompts)
            return [[Sample(CODE.split("\n", 1)[1], 1, True, 0.)] * n for _ in prompts]
    described = [pair(CODE), pair("Return the sum of the positive numbers.")]
    checked = dual_model.round_trip(Parrot(), described, Dual(), inputs=6)
    assert [(p["dropped_by"], p["kept"]) for p in checked] == [("description", False), ("", True)]


def test_a_review_lets_the_best_share_go_on_and_asks_nothing_about_the_rest():
    "Two of four go on; with no round trip behind it, no sample is drawn at all, and the code still has to run."
    code = [CODE, "def f(x: int) -> int:\n    return 1 / 0\n"]
    rows = [dict(id=str(i), description=f"Return number {i}.", code=code[i == 1], entry_point=("total", "f")[i == 1],
                 parents=[str(i)]) for i in range(4)]
    found = dual_model.reviewed(rows, [-3.0, -2.0, -40.0, -9.25], 0.5)
    assert [p["scores"]["review"] for p in found] == [-3, -2, -40, -9.25]
    checked = dual_model.round_trip(None, found, Dual(round_trip_n=0), inputs=6)
    assert [p["dropped_by"] for p in checked] == ["", "execution", "review", "review"]
    assert "is -9.2, -3.0 wanted" in checked[3]["reason"] and "unlikely" not in checked[3]
    assert sum(not p["unlikely"] for p in dual_model.reviewed(rows, [-1.0] * 4, 0.01)) == 4, "equal ones stay together"


def test_what_comes_back_in_other_words_can_be_described_again():
    class Writer:
        def sample(self, prompts, n, **_):
            from evoselfcode.engine.base import Sample
            texts = [CODE.split("\n", 1)[1], "    return 3\n", "    return sum(v for v in values if v > 0)\n"]
            return [[Sample(text, 1, True, 0.) for text in texts] for _ in prompts]
    pair = dict(id="a", description="Sum the positive numbers.", code=CODE, entry_point="total", parents=["u"])
    one, = dual_model.round_trip(Writer(), [pair], Dual(gibbs_steps=2, round_trip_n=3), inputs=6)
    assert one["scores"]["round_trip"] == pytest.approx(2 / 3, abs=1e-4) and "sum(v for" in one["back"]
    once, = dual_model.round_trip(Writer(), [pair], Dual(round_trip_n=3), inputs=6)
    assert "back" not in once


def test_every_true_description_is_kept_once(monkeypatch):
    did = dict(status="passed", detail="", deterministic=True, fingerprint="1")
    rows = [("a", "x", 1), ("a", "y", 1), ("a", "x", 1), ("b", "x", 1), ("b", "z", 0), ("b", "z", 1)]
    tried = [dict(refused="", behaviour=did, share=share) for *_, share in rows]
    monkeypatch.setattr(dual_model, "try_back", lambda *_: tried)
    pairs = [dict(id=str(i), parents=[parent], description=text) for i, (parent, text, _) in enumerate(rows)]
    found = dual_model.round_trip(None, pairs)
    assert [p["kept"] for p in found] == [True, True, False, True, False, True]
    assert [p["dropped_by"] for p in found] == ["", "", "duplicates", "", "round_trip", ""]


def test_the_settings_know_the_words_of_the_tables():
    assert tuple(filtering.GATES) == GATES
    assert all(score.good in ("low", "high", "middle") and score.cost for score in scoring.SCORES.values())


# rounds

def study(workspace, iteration, **changes):
    config = Config(run="r", paths=Paths(root=str(workspace)), evaluation=Evaluation(n=2, ks=[1], bootstrap=100))
    for key, value in changes.items(): setattr(config, key, value)
    return Study(config, iteration)


@pytest.mark.timeout(600)
def test_a_study_starts_from_what_the_base_model_invents(workspace):
    raw = workspace / "data/raw/initial_pairs.jsonl"
    given = study(workspace, 0).initial_pairs()
    def data(start): return replace(Data(), start=start)  # the run is not finished, and starts from something else
    names = Names(number=24, batch=40)
    own = study(workspace, 0, data=data("generated"), names=names)
    invented = own.initial_pairs()
    assert 0 < len(invented) < 24 and {p["source"] for p in invented} <= {"fim", "l2r"}
    assert own.training_pairs() == invented
    rows = read_jsonl(own.folder / "functions.jsonl")
    assert [r["id"] for r in rows if r["kept"]] == [p["id"] for p in invented] and len(rows) == 24
    assert all(
        r["behaviour"]["status"] == "passed" and r["behaviour"]["fingerprint"] not in own.contamination.fingerprints
        for r in rows
        if r["kept"]
    )
    assert all(r["reason"] for r in rows if not r["kept"])
    assert study(workspace, 0, data=data("both"), names=names).initial_pairs() == given + invented and given
    with pytest.raises(UserError, match=r"functions.jsonl: .*\(settings.start: None → raw\).*-o run=NAME"):
        study(workspace, 0, names=names).functions(until=90)  # which may end before the last name
    raw.unlink()
    assert study(workspace, 0, data=data("generated"), names=names).initial_pairs() == invented
    with pytest.raises(UserError, match="initial_pairs.jsonl: not found"): study(workspace, 0)


@pytest.mark.parametrize("changes, until, told", [
    (dict(dual=Dual(codes_per_round=20)), 0,
     "no functions are invented: 3 rounds take 60 pieces of code without description, data.unlabelled_code has 60"),
    (dict(dual=Dual(codes_per_round=50)), 150,
     "functions are invented: 3 rounds take 150 pieces of code without description, data.unlabelled_code has 60"),
    (dict(dual=Dual(codes_per_round=20), iterate=Iterate(rounds=4)), 80, "functions are invented: 4 rounds take "),
    (dict(dual=Dual(codes_per_round=1000, backward=False)), 0, "without a backward cycle nothing uses them"),
    (dict(data=Data(unlabelled_code="")), 1200, "data.unlabelled_code has 0"),
    (dict(data=Data(start="both"), dual=Dual(backward=False)), None, "functions are invented: data.start is both"),
    (dict(data=Data(start="generated")), None, "functions are invented: data.start is generated"),
])
def test_functions_are_invented_where_something_uses_them(workspace, monkeypatch, capsys, changes, until, told):
    asked = []
    monkeypatch.setattr(Study, "functions", lambda self, until=None: asked.append(until) or [1])
    found = study(workspace, 0, **changes)
    assert found.use_of_functions()[0] == until
    assert found.invented() == ([] if until == 0 else [1]) and asked == ([] if until == 0 else [until])
    out = capsys.readouterr().out
    assert told in out and out.count("are invented") == 1


def test_no_more_functions_are_invented_than_there_is_use_for(workspace, monkeypatch):
    "A batch of 64 names gives 40 new pieces of code and one that is known: two batches bring what is missing."
    def write(engine, names, settings, seed, way):
        known = dict(id="k", code=code, entry_point="f", name="f", kept=False)
        made = [dict(id=n["name"], code=f"def {n['name']}(x): return x\n", entry_point=n["name"]) for n in names]
        return [], [known, *made[:40], *(row | dict(code="") for row in made[40:])]
    code = read_jsonl(workspace / "data/raw/unlabelled_code.jsonl")[0]["code"]
    monkeypatch.setattr(iteration, "generate_functions", write)
    monkeypatch.setattr(Study, "engine", lambda *_: None)
    monkeypatch.setattr(Study, "names", lambda self: [dict(id=str(i), name=f"name_{i}") for i in range(200)])
    changes = dict(dual=Dual(codes_per_round=110), iterate=Iterate(rounds=1))
    some = study(workspace, 0, **changes)
    assert len(some.invented()) == 2 * 65 and len(some.unlabelled_code()) == 140
    assert finished(some.folder / "functions.jsonl")
    whole = (some.folder / "functions.jsonl").read_bytes()
    assert len(study(workspace, 0, **changes).invented()) == 130
    for name in ("functions.jsonl", "functions.meta.json"): (some.folder / name).unlink()
    kill = iter([False, True])
    def dies(*given):
        if next(kill): raise RuntimeError("killed")
        return write(*given)
    monkeypatch.setattr(iteration, "generate_functions", dies)
    with pytest.raises(RuntimeError): study(workspace, 0, **changes).invented()
    monkeypatch.setattr(iteration, "generate_functions", write)
    assert len(study(workspace, 0, **changes).invented()) == 130
    assert (some.folder / "functions.jsonl").read_bytes() == whole
    for name in ("functions.jsonl", "functions.meta.json"): (some.folder / name).unlink()
    assert len(study(workspace, 0, dual=Dual(codes_per_round=3000)).invented()) == 200 + 4  # a function for each name


def write_iteration(workspace, number, passed, best, decision):
    "Write what a finished iteration leaves: metrics, results of ten problems, one pair."
    folder = workspace / f"data/generated/r/iter-{number:03d}"
    results = [
        dict(task_id=str(t), completion="", passed=t * 2 + i < passed, status="passed", detail="")
        for t in range(10)
        for i in range(2)
    ]
    write_jsonl(folder / "results_validation.jsonl", results)
    write_json(folder / "metrics.json", dict(iteration=number, best=best, decision=decision))
    pair = dict(
        id=f"p{number}", description=f"d{number}", code=f"c{number}", entry_point="f", source="forward",
        iteration=number, parents=[], model="",
    )
    if number: write_jsonl(folder / "pairs.jsonl", [pair])
    return folder


@pytest.fixture
def rounds(workspace):
    "Start 6 of 20, round 1 with 10, round 2 with 8."
    for number, passed, best, decision in ((0, 6, True, "start"), (1, 10, True, "best"), (2, 8, False, "worse")):
        write_iteration(workspace, number, passed, best, decision)
    return workspace


def test_a_worse_round_is_nobody_s_teacher_and_its_pairs_are_not_used(rounds):
    alone = dict(dual=Dual(forward=False, backward=False))
    third = study(rounds, 3, **alone)
    assert third.best_before == 1 and third.teacher_folder == rounds / "checkpoints/r/iter-001"
    assert third.model_path("d2c") == str(rounds / "checkpoints/r/iter-001/d2c")
    assert third.model_path("d2c", own=True).endswith("iter-003/d2c")
    assert {p["id"] for p in third.training_pairs() if p["source"] != "raw"} == {"p1"}
    raw = {(r["prompt"], r["code"]) for r in read_jsonl(rounds / "data/raw/initial_pairs.jsonl")}
    assert len(third.training_pairs()) == 1 + len(raw)
    assert study(rounds, 2, **alone).best_before == 1 and study(rounds, 1, **alone).best_before == 0


def test_the_validation_split_decides(rounds):
    second = study(rounds, 2).decide()
    assert second["decision"] == "worse" and not second["best"] and second["difference_to_best"]["to"] == 1
    difference = second["difference_to_best"]
    assert difference["mean"] == pytest.approx(-0.1) and difference["low"] <= -0.1 <= difference["high"]
    first = study(rounds, 1).decide()
    assert first["decision"] == "best" and first["best"] and first["difference_to_best"]["mean"] == pytest.approx(.2)
    assert study(rounds, 0).decide() == dict(decision="start", best=True, difference_to_best=None)


def decide(workspace, number, **changes):
    "Decide an iteration as if the run had had these settings from the beginning."
    (workspace / "data/generated/r/config.yaml").unlink(missing_ok=True)
    return study(workspace, number, iterate=Iterate(**changes)).decide()


def test_a_strict_study_keeps_what_is_proven_alone(rounds, message):
    "Ten problems with two samples each: 10 of 20 and 20 of 20 right over Model0's 6."
    strict, greedy = decide(rounds, 1, decide="evalue"), decide(rounds, 1)
    assert "iterate.decide: greedy" in message(study, rounds, 1, iterate=Iterate(decide="evalue")), "not on the way"
    assert strict["decision"] == "not proven" and not strict["best"] and greedy["best"]
    assert strict["difference_to_best"] == greedy["difference_to_best"]
    assert strict["evidence"] == dict(over=0, value=greedy["evidence"]["value"], asked=40)
    assert 1 < strict["evidence"]["value"] < 20 and greedy["evidence"]["asked"] == 60, "greedy: any of three rounds"
    assert decide(rounds, 1, patience=1, decide="evalue")["decision"] == "stop"
    write_iteration(rounds, 1, 20, False, "?")
    loose = decide(rounds, 1, decide="evalue", error=.4)
    assert loose["decision"] == "best" and loose["evidence"]["value"] >= loose["evidence"]["asked"] == 5


def decided(rounds, number, best, value, asked):
    path = rounds / f"data/generated/r/iter-{number:03d}/metrics.json"
    write_json(path, read_json(path) | dict(best=best, evidence=dict(over=0, value=value, asked=asked)))


def test_the_error_of_a_run_is_spent_once(rounds):
    "What is asked of round 3, after rounds that were proven, not proven, or decided by an earlier version."
    def asked(**changes): return decide(rounds, 3, **changes)["evidence"]
    write_iteration(rounds, 3, 12, False, "?")
    assert asked(rounds=3) == asked(rounds=3, decide="evalue") and asked(rounds=3)["over"] == 0
    assert asked(rounds=3)["asked"] == pytest.approx(20), "earlier rounds told no evidence"
    decided(rounds, 1, True, 71, 40)
    assert asked(rounds=3)["over"] == 1 and asked(rounds=3)["asked"] == pytest.approx(20)
    decided(rounds, 2, False, 2, 40)
    assert asked(rounds=3)["asked"] == pytest.approx(40) and asked(rounds=5)["asked"] == pytest.approx(120)
    decided(rounds, 1, True, 39, 40)
    assert asked(rounds=3)["over"] == 0 and asked(rounds=3)["asked"] > 1e6, "all is spent"
    assert decide(rounds, 3, decide="evalue", patience=9)["decision"] == "not proven"


@pytest.mark.parametrize("patience, passed, decision", [
    (1, 8, "stop"), (2, 8, "stop"), (3, 8, "worse"), (3, 10, "worse"), (1, 11, "best"),
])
def test_patience_runs_out(rounds, patience, passed, decision):
    """Round 2 brought nothing; what round 3 may still do depends on patience, and a round as good as the best is no
    gain."""
    write_iteration(rounds, 3, passed, False, "?")
    assert study(rounds, 3, iterate=Iterate(patience=patience)).decide()["decision"] == decision


def test_latest_and_best_point_at_the_best(rounds):
    (rounds / "checkpoints/r/iter-001/d2c").mkdir(parents=True)
    study(rounds, 2).link_latest(1)
    latest = rounds / "checkpoints/latest"
    assert latest.is_symlink() and latest.resolve() == rounds / "checkpoints/r/iter-001/d2c"
    best = rounds / "checkpoints/r/best"
    assert best.readlink() == Path("iter-001") and (best / "d2c").is_dir()


def test_a_comparison_leaves_latest_where_it_is(rounds):
    for iteration in (0, 1): (rounds / f"checkpoints/r/iter-{iteration:03d}/d2c").mkdir(parents=True)
    study(rounds, 1).link_latest(0)
    study(rounds, 2, iterate=Iterate(latest=False)).link_latest(1)
    assert (rounds / "checkpoints/latest").readlink() == Path("r/iter-000/d2c")
    assert (rounds / "checkpoints/r/best").readlink() == Path("iter-001")


def test_an_iteration_that_is_missing_is_named(rounds, message):
    shutil.rmtree(rounds / "data/generated/r/iter-001")
    assert "iteration 1 of run r is not finished" in message(lambda: study(rounds, 3).teacher_folder)


@pytest.mark.parametrize("loss", ["nll", "weighted", "scpo"])
def test_a_round_teaches_what_its_loss_reads(rounds, monkeypatch, loss):
    "Of two candidates one is kept; of the kept round 1 there is a pair, and with scpo a preference."
    def drawn(code, agreement, **more):
        pair = dict(id=code, description="Add one.", code=code, entry_point="f", source="forward", iteration=3)
        return pair | dict(parents=["x"], model="", scores=dict(agreement=agreement), dropped_by="", kept=False) | more
    good, bad = "def f(x):\n    return x + 1\n", "def f(x):\n    return x\n"
    checked = [drawn(good, .75, kept=True, weight=.9), drawn(bad, .25, dropped_by="selection")]
    before = dict(id="p", description="d1", code="c1", entry_point="f", source="forward", iteration=1, parents=[],
                  model="", rejected="c2", weight=.5)
    if loss == "scpo": write_jsonl(rounds / "data/generated/r/iter-001/preferences.jsonl", [before])
    monkeypatch.setattr(Study, "filtered", lambda self: checked)
    for name in ("reworded_pairs", "backward_pairs"): monkeypatch.setattr(Study, name, lambda self: [])
    given = []
    monkeypatch.setattr(train_sft, "train", lambda *args: given.append(args))
    third = study(rounds, 3, train_d2c=Train(loss=loss, average=.5))
    for direction in ("d2c", "c2d"): third.train(direction)
    (rows, *_, earlier), (described, *_) = given
    assert earlier == third.model_path("d2c")
    raw = [row for row in rows if row["completion"] not in (good, "c1\n")]
    assert len(raw) == len(third.initial_pairs()) and not any("rejected" in row for row in raw)
    taught = {row["completion"]: (row.get("weight"), row.get("rejected")) for row in rows if row not in raw}
    assert taught == ({good: (.5, bad), "c1\n": (.5, "c2\n")} if loss == "scpo"
                      else {good: (.9, None), "c1\n": (None, None)})
    assert len(rows) == len(raw) + 2 == len(described) and not any("rejected" in row for row in described)
    assert (third.folder / "preferences.jsonl").exists() == (loss == "scpo")


@pytest.mark.parametrize("accumulate, number", [("both", 1), ("backward", 0)])
def test_preferences_of_earlier_rounds_stay_as_pairs_do(rounds, monkeypatch, capsys, accumulate, number):
    before = dict(id="p", description="d1", code="c1", source="forward", rejected="c2", weight=.5)
    write_jsonl(rounds / "data/generated/r/iter-001/preferences.jsonl", [before])
    monkeypatch.setattr(Study, "filtered", lambda self: [])
    third = study(rounds, 3, train_d2c=Train(loss="scpo"), dual=Dual(accumulate=accumulate))
    assert len(third.preferences()) == number
    assert "round 3: no two candidates of a description differ in votes" in "".join(capsys.readouterr())


def test_rounds_take_turns_over_the_pools(rounds):
    small = Dual(descriptions_per_round=700, codes_per_round=700)
    rows = [dict(id=str(i)) for i in range(1600)]
    drawn = [[r["id"] for r in study(rounds, k, dual=small).round_share("descriptions", rows)] for k in (1, 2, 3)]
    assert all(len(set(ids)) == 700 for ids in drawn) and not set(drawn[0]) & set(drawn[1])
    assert set(drawn[0]) | set(drawn[1]) | set(drawn[2]) == {r["id"] for r in rows}
    assert window([1, 2, 3], 2, 5) == [3, 1, 2] and window([], 0, 3) == []


def test_pools_may_be_switched_off(workspace):
    none = dict(data=Data(descriptions="", unlabelled_code="", truth="", initial_pairs=""))
    alone = study(workspace, 0, **none)
    assert alone.given == dict(initial_pairs=[], descriptions=[], unlabelled_code=[], truth={})
    assert alone.precision() == {}
    write_iteration(workspace, 0, 6, True, "start")
    first = study(workspace, 1, **none)
    assert first.candidates() == first.filtered() == first.backward_pairs() == first.reworded_pairs() == []
    assert first.precision() == {}


def test_a_run_keeps_the_settings_of_its_finished_iterations(rounds, message):
    study(rounds, 3)
    kept = (rounds / "data/generated/r/config.yaml").read_bytes()
    line = message(study, rounds, 3, sampling=Sampling(n=3), seed=4)
    assert "sampling.n: 8 → 3" in line and "seed: 0 → 4" in line and "-o run=" in line
    assert (rounds / "data/generated/r/config.yaml").read_bytes() == kept
    study(rounds, 3, iterate=Iterate(rounds=9, patience=5), threads=1)      # what may change on the way
    assert (rounds / "data/generated/r/config.yaml").read_bytes() != kept


def test_what_comes_in_is_read_before_anything_is_made(workspace, message):
    for changes, words in (
        (dict(data=Data(initial_pairs="none.jsonl")), "none.jsonl: not found"),
        (dict(model="./none"), "./none: no such folder"),
        (dict(data=Data(truth="configs")), "is a folder"),
    ):
        assert words in message(study, workspace, 0, **changes)
    write_jsonl(workspace / "mine.jsonl", [dict(description="Add one."), dict(description=7)])
    line = message(study, workspace, 0, data=Data(descriptions="mine.jsonl"))
    assert "mine.jsonl: line 2: `description` must be a text, not int" in line
    write_jsonl(workspace / "mine.jsonl", [dict(prompt="Add one.", code="x"), dict(code="x")])
    line = message(study, workspace, 0, data=Data(initial_pairs="mine.jsonl"))
    assert "mine.jsonl: line 2: needs a text in `prompt` or `description`" in line
    assert not (workspace / "data/generated").exists()


def test_models_of_equal_size_are_told_apart(pocket, tmp_path):
    marks = set()
    for change in (0, 0, 1):
        with torch.no_grad(): pocket.model.model.norm.weight[0] += change
        pocket.model.save_pretrained(tmp_path / "m")
        marks.add(model_fingerprint(str(tmp_path / "m")))
    with torch.no_grad(): pocket.model.model.norm.weight[0] -= 1
    assert len(marks) == 2


def test_a_model_is_what_its_tokenizer_and_template_make_of_it(pocket, tmp_path):
    pocket.model.save_pretrained(tmp_path / "m"), pocket.tokenizer.save_pretrained(tmp_path / "m")
    marks = [model_fingerprint(str(tmp_path / "m"))]
    for name in ("chat_template.jinja", "config.json", "tokenizer_config.json"):
        with open(tmp_path / "m" / name, "a") as file: file.write("\n")
        marks.append(model_fingerprint(str(tmp_path / "m")))
    assert len(set(marks)) == 4
    (tmp_path / "m" / "README.md").write_text("words")
    assert model_fingerprint(str(tmp_path / "m")) == marks[-1]


@pytest.mark.parametrize("record", ["{}", "[]", '{"made_from": {}}'])
def test_a_training_record_that_is_none_is_told(record, tmp_path, message):
    (tmp_path / "m").mkdir()
    (tmp_path / "m" / "training.json").write_text(record)
    for work in (
        lambda: model_fingerprint(str(tmp_path / "m")),
        lambda: train_sft.train([dict(prompt="a", completion="b")], tmp_path / "m", "pocket"),
    ):
        assert "training.json: is not what a training writes" in message(work)


def test_a_folder_that_is_in_the_way_is_told_before_the_training(tmp_path, message, monkeypatch):
    (tmp_path / "m").mkdir()
    monkeypatch.setattr(train_sft, "_fit", lambda *_: 1 / 0)
    line = message(train_sft.train, [dict(prompt="a", completion="b")], tmp_path / "m", "pocket")
    assert "exists but has no training.json" in line


def test_other_problems_than_a_runs_own_are_told(workspace, message):
    first = study(workspace, 0)
    folder = first.run / "iter-000"
    mark = content_id(next(iter(first.benchmarks("validation").values())).problems)
    run_batches(folder / "samples_validation.jsonl", [], None, {}, dict(model="", problems=mark))
    write_json(folder / "metrics.json", {})
    study(workspace, 1)
    meta = folder / "samples_validation.meta.json"
    meta.write_text(meta.read_text().replace(mark, "others"))
    assert "holds other problems than when" in message(study, workspace, 1)


def test_the_name_of_the_link_to_the_newest_is_taken(message):
    assert "run: must be a plain name other than latest" in message(load_config, None, ["run=latest"])


def test_initial_pairs_in_both_forms(workspace):
    write_jsonl(workspace / "mine.jsonl", [
        dict(prompt="Add one.", code="def f(x):\n    return x + 1\n"),
        dict(description="Take one.", code="import os\ndef g(x): return x - 1\n", entry_point="g"),
    ])
    found = study(workspace, 0, data=Data(initial_pairs="mine.jsonl")).given["initial_pairs"]
    assert [(p["description"], p["entry_point"], p["source"], p["parents"]) for p in found] == [
        ("Add one.", "f", "raw", []), ("Take one.", "g", "raw", []),
    ]
    assert len({p["id"] for p in found}) == 2


# what takes memory and disk

def test_the_model_is_let_go_before_a_training(workspace, monkeypatch):
    import gc
    import weakref
    made = study(workspace, 0)
    held = weakref.ref(made.engine("base").model)
    seen = []
    def train(*_):
        gc.collect()
        seen.append(held())
    monkeypatch.setattr(train_sft, "train", train)
    made.train("d2c")
    assert seen == [None]


@pytest.mark.parametrize("keep, left", [("all", "012"), ("last", "12"), ("best", "1")])
def test_weights_that_nobody_asked_for_go(workspace, keep, left):
    made = study(workspace, 2, iterate=Iterate(keep=keep))
    for i, name in ((i, name) for i in range(3) for name in ("model.safetensors", "config.json", "training.json")):
        write_json(made.checkpoints / f"iter-{i:03d}" / "d2c" / name, {})
    made.forget(best=1)
    kept = sorted(made.checkpoints.glob("iter-*/d2c/model.safetensors"))
    assert "".join(path.parts[-3][-1] for path in kept) == left
    assert len(list(made.checkpoints.glob("iter-*/d2c/training.json"))) == 3


@pytest.mark.parametrize("method", ["full", "lora"])
def test_the_room_that_weights_take_is_known_beforehand(pairs, tmp_path, method):
    settings = Train(method=method, min_steps=1, epochs=0.1, learning_rate=1e-4)
    train_sft.train(rows(pairs[:4]), tmp_path / "d2c", "pocket", settings)
    size, = (path.stat().st_size for path in (tmp_path / "d2c").glob("*.safetensors"))
    assert 0.97 < train_sft.checkpoint_bytes("pocket", settings) / size <= 1
