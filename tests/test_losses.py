"""What rows teach: weights, preferences, and the mean with an earlier model."""
import json
import sys
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from evoselfcode.config import Config, Train, problems
from evoselfcode.engine.loading import averaged, load
from evoselfcode.engine.local import LocalEngine
from evoselfcode.errors import UserError
from evoselfcode.io_utils import read_json, read_jsonl
from evoselfcode.pipeline import train_sft
from evoselfcode.pipeline.fitting import pairs_in_batch, parts_of, preference_loss, weight_of, with_reference
from evoselfcode.pipeline.launching import share_of
from evoselfcode.pipeline.train_sft import d2c_rows, preferences
from evoselfcode.prompts import Asking, Comment

FULL = Train(method="full", learning_rate=1e-3, min_steps=4, epochs=1, batch_size=8)
LORA = Train(method="lora", learning_rate=1e-2, min_steps=4, epochs=1, batch_size=8, lora_rank=4)
SCPO = replace(FULL, loss="scpo", beta=0.3, alpha=0.5)
TWO = f"{sys.executable} {Path(__file__).with_name('two_processes.py')} 2"


@pytest.fixture(scope="module")
def pairs(root):
    rows = read_jsonl(root / "data/raw/initial_pairs.jsonl")[:24]
    return [dict(description=row["prompt"], code=row["code"]) for row in rows]


@pytest.fixture(scope="module")
def rows(pairs): return d2c_rows(pairs)


@pytest.fixture(scope="module")
def preferred(rows):
    "Every second row has a rejected answer, that of another row, and each has another weight."
    other = rows[1:] + rows[:1]
    return [row | (dict(rejected=o["completion"], weight=(1 + at % 5) / 8) if at % 2 else {})
            for at, (row, o) in enumerate(zip(rows, other))]


def trained(rows, folder, settings, **options) -> Path:
    train_sft.train(rows, folder, "pocket", settings, seed=3, **options)
    return folder


def of(folder) -> dict[str, torch.Tensor]: return LocalEngine(folder).model.state_dict()
def stored(folder) -> bytes: return next(folder.glob("*.safetensors")).read_bytes()


def apart(one: dict, other: dict) -> float:
    assert one.keys() == other.keys()
    return max(float((one[name] - other[name]).abs().max()) for name in one)


# weights

@pytest.mark.parametrize("settings", [FULL, replace(LORA, micro_batch="3")], ids=["whole", "lora in parts"])
def test_equal_weights_are_the_plain_training(rows, tmp_path, settings):
    plain = trained(rows, tmp_path / "plain", settings)
    equal = trained([row | dict(weight=0.3) for row in rows], tmp_path / "equal", replace(settings, loss="weighted"))
    assert stored(plain) == stored(equal)


def test_only_weighted_reads_weights(rows, tmp_path):
    some = [row | dict(weight=1 + at % 3, rejected="no") for at, row in enumerate(rows)]
    plain, same = trained(rows, tmp_path / "plain", FULL), trained(some, tmp_path / "same", FULL)
    weighted = trained(some, tmp_path / "weighted", replace(FULL, loss="weighted"))
    assert stored(plain) == stored(same) != stored(weighted)
    assert read_json(plain / "training.json")["made_from"] == read_json(same / "training.json")["made_from"]


@pytest.mark.parametrize("given, wanted", [([1, 3, 2], [1 / 3, 1, 2 / 3]), ([0.3, 0.3], [1, 1]), ([0, 0], [0, 0])])
def test_only_the_ratios_of_weights_count(given, wanted):
    found = train_sft.normalised([dict(weights=weight, input_ids=[1]) for weight in given])
    assert found == [dict(weights=weight, input_ids=[1]) for weight in wanted]


@pytest.mark.timeout(300)
def test_processes_learn_the_same_preferences(preferred, tmp_path):
    "24 rows by 23: the last batch has one row, and the second process none."
    settings = replace(SCPO, batch_size=23, min_steps=2)
    alone = trained(preferred, tmp_path / "alone", settings)
    both = trained(preferred, tmp_path / "both", replace(settings, launch=TWO))
    assert apart(of(alone), of(both)) < 2e-4
    losses = [read_json(folder / "training.json")["summary"]["loss"] for folder in (alone, both)]
    assert losses[0] == pytest.approx(losses[1], abs=1e-4)


def test_pairs_hand_their_weight_on(pairs):
    pair = pairs[0] | dict(weight=0.5)
    assert d2c_rows([pair])[0]["weight"] == train_sft.c2d_rows([pair])[0]["weight"] == 0.5
    assert "weight" not in d2c_rows(pairs)[0]


# preferences

def tiny():
    "A model with random weights, small enough for float64."
    from transformers import LlamaConfig, LlamaForCausalLM
    torch.manual_seed(0)
    sizes = dict(hidden_size=16, intermediate_size=24, num_hidden_layers=2, num_attention_heads=2)
    return LlamaForCausalLM(LlamaConfig(vocab_size=40, max_position_embeddings=64, **sizes)).double()


def example(seed: int, prompt: int, better: int, worse: int, weight: float) -> dict:
    "A row of random tokens; `worse` of 0: without a rejected answer."
    dice = torch.Generator().manual_seed(seed)
    start, *answers = (torch.randint(1, 40, (n,), generator=dice).tolist() for n in (prompt, better, worse))
    ids, labels = [start + answer for answer in answers], [[-100] * prompt + answer for answer in answers]
    found = dict(input_ids=ids[0], labels=labels[0], weights=weight)
    return found | (dict(rejected_ids=ids[1], rejected_labels=labels[1]) if worse else {})


EXAMPLES = [example(1, 5, 7, 9, 0.75), example(2, 3, 12, 4, 0.125), example(3, 6, 5, 0, 1.0), example(4, 2, 3, 17, 0.5)]


def by_hand(model, reference, examples, beta: float, alpha: float):
    "The formula of arXiv 2411.04109, one answer at a time, without padding, in float64."
    def log_p(which, ids, labels):
        known = torch.log_softmax(which(torch.tensor([ids])).logits[0, :-1], -1)
        return sum(known[at, token] for at, token in enumerate(labels[1:]) if token != -100)
    total = 0
    for e in examples:
        better, length = (e["input_ids"], e["labels"]), sum(label != -100 for label in e["labels"])
        now = log_p(model, *better)
        total = total - alpha * e["weights"] * now / length
        if "rejected_ids" not in e: continue
        worse = e["rejected_ids"], e["rejected_labels"]
        with torch.no_grad(): start = log_p(reference, *better), log_p(reference, *worse)
        margin = beta * (now - start[0]) - beta * (log_p(model, *worse) - start[1])
        total = total - e["weights"] * torch.log(1 / (1 + torch.exp(-margin)))
    return total


@pytest.mark.parametrize("beta, alpha", [(0.1, 1.0), (2.0, 0.25)])
def test_the_loss_is_the_formula_in_value_and_gradient(beta, alpha):
    reference, model = tiny(), tiny()
    torch.manual_seed(1)
    with torch.no_grad():
        for weight in model.parameters(): weight += 0.05 * torch.randn_like(weight)
    examples = with_reference(reference, EXAMPLES, pad=0, rows=3)
    def gradient(loss):
        model.zero_grad()
        loss.backward()
        return {name: weight.grad.clone() for name, weight in model.named_parameters()}
    wanted = by_hand(model, reference, EXAMPLES, beta, alpha)
    batch = pairs_in_batch(examples, 0)
    found = preference_loss(model, batch, beta, alpha)
    assert found.item() == pytest.approx(wanted.item(), rel=1e-5)  # logits are float32
    by_them = gradient(wanted)
    assert max(float(g.abs().max()) for g in by_them.values()) > 1e-2
    assert apart(by_them, gradient(found)) < 3e-5
    for most in (1, 3):
        parts = parts_of(batch, most, enough=16)
        assert apart(by_them, gradient(sum(preference_loss(model, part, beta, alpha) for part in parts))) < 3e-5
    shares = [share_of(batch, rank, 3) for rank in range(3)]
    assert apart(by_them, gradient(sum(preference_loss(model, share, beta, alpha) for share in shares))) < 3e-5
    assert weight_of(batch) == 4  # its loss is the mean over rows


def test_chunks_of_tokens_give_the_same():
    from evoselfcode.pipeline import fitting
    model, batch = tiny(), pairs_in_batch(EXAMPLES, 0)
    whole, cut = fitting.answer_losses(model, batch), fitting.answer_losses(model, batch, chunk=5 * 40)
    assert torch.allclose(whole, cut, atol=1e-5) and whole[2, 1] == 0 and (whole[[0, 1, 3]] > 0).all()


@pytest.mark.parametrize("settings", [SCPO, replace(SCPO, method="lora", lora_rank=4, learning_rate=1e-2)],
                         ids=["full", "lora"])
def test_the_better_answer_is_preferred_after_training(preferred, tmp_path, settings):
    settings = replace(settings, min_steps=12)
    whole = trained(preferred, tmp_path / "whole", settings)
    pushed = [row for row in preferred if "rejected" in row]
    asked = [row["prompt"] for row in pushed]
    def margin(model):
        better, worse = (model.logprobs(asked, [row[name] for row in pushed]) for name in ("completion", "rejected"))
        return sum(float(b.sum() - w.sum()) for b, w in zip(better, worse)) / len(asked)
    assert margin(LocalEngine(whole)) > margin(LocalEngine("pocket")) + 5
    parts = trained(preferred, tmp_path / "parts", replace(settings, micro_batch="3"))
    losses = [read_json(folder / "training.json")["summary"]["loss"] for folder in (whole, parts)]
    assert losses[0] == pytest.approx(losses[1], abs=2e-3)


def test_without_rejected_answers_it_is_the_likelihood_of_rows(rows, tmp_path):
    "alpha only scales it: the first step, with its norm clipped away by AdamW, is the same for any."
    one = replace(FULL, loss="scpo", min_steps=1, batch_size=24)
    a, b = (of(trained(rows, tmp_path / f"{alpha}", replace(one, alpha=alpha))) for alpha in (1.0, 0.5))
    assert apart(a, b) < 1e-5 < apart(a, of("pocket"))


def test_a_training_on_preferences_that_broke_off_ends_with_the_same_weights(preferred, tmp_path, monkeypatch):
    from transformers import TrainerCallback
    class Trip(TrainerCallback):
        def on_step_end(self, args, state, control, **_):
            if state.global_step == 4: raise KeyboardInterrupt
    settings = replace(SCPO, save_steps=3, min_steps=6, average=0.5)
    whole = trained(preferred, tmp_path / "whole", settings, earlier="pocket")
    monkeypatch.setattr(train_sft, "progress_callback", lambda *_: Trip())
    with pytest.raises(KeyboardInterrupt): trained(preferred, tmp_path / "broken", settings, earlier="pocket")
    monkeypatch.undo()
    assert stored(trained(preferred, tmp_path / "broken", settings, earlier="pocket")) == stored(whole)


def test_a_rejected_answer_that_is_too_long_leaves_its_row_out(rows):
    _, tokenizer = load("pocket", "cpu")
    examples, _, left_out = train_sft.tokenise([rows[0], rows[0] | dict(rejected="x = 1\n" * 400)], tokenizer, 256)
    assert len(examples) == left_out == 1


@pytest.mark.parametrize("signatures, rejected, wanted", [
    ("none", "def g(x):\n    return 2\n", "def g(x):\n    return 2\n"),
    ("all", "def f(x):\n    return 2\n", "    return 2\n"),
    ("all", "def g(x):\n    return 2\n", None),  # which cannot begin as the prompt does
])
def test_both_answers_are_asked_by_one_prompt(signatures, rejected, wanted):
    code = "def f(x):\n    return 1\n"
    pair = dict(description="Give one.", code=code, entry_point="f", rejected=rejected, weight=.5)
    way = Comment(asking=Asking(signatures=signatures))
    row = d2c_rows([pair], way)[0]
    assert row.get("rejected") == wanted and row["weight"] == .5
    without = {name: value for name, value in pair.items() if name != "rejected"}
    assert {name: value for name, value in row.items() if name != "rejected"} == d2c_rows([without], way)[0]


def candidate(parent: str, code: str, agreement: float, dropped_by: str = "", **more) -> dict:
    return dict(parents=[parent], code=code, scores=dict(agreement=agreement), dropped_by=dropped_by) | more


def test_the_best_is_preferred_to_the_worst():
    drawn = [
        candidate("a", "most", .625, "selection"), candidate("a", "some", .25), candidate("a", "one", .125, "lint"),
        candidate("a", "no python", 0, "syntax"), candidate("a", "a benchmark's", .875, "contamination"),
        candidate("b", "first", .5), candidate("b", "second", .5),                                  # equal votes
        candidate("c", "crashes", 0, "execution"), candidate("c", "crashes, too", 0, "execution"),  # nothing better
        candidate("d", "alone", 1.0),
        candidate("e", "left", .5, "selection", kept=False), candidate("e", "kept", .5, kept=True),
        candidate("e", "wrong", .25, "agreement"),
    ]
    found = [(p["parents"][0], p["code"], p["rejected"], p["weight"]) for p in preferences(drawn)]
    assert found == [("a", "most", "one", .5), ("e", "kept", "wrong", .25)]


def test_another_score_ranks_and_votes_weigh():
    drawn = [candidate("a", name, votes) for name, votes in (("x", .5), ("y", .25), ("z", .125))]
    for c, perplexity in zip(drawn, (3.0, 1.5, 9.0)): c["scores"]["perplexity"] = perplexity
    def chosen(*how): return [(p["code"], p["rejected"], p["weight"]) for p in preferences(drawn, *how)]
    assert chosen() == [("x", "z", .375)] and chosen("perplexity", "low") == [("y", "z", .125)]
    assert chosen("perplexity") == []  # z is best, and has fewer votes than y


def test_descriptions_have_no_preferences():
    config = Config()
    config.train_c2d.loss = "scpo"
    assert [(name, why.split(":")[0]) for name, _, why in problems(config)] == [
        ("train_c2d.loss", "must be nll or weighted")]
    config.train_c2d.loss, config.train_d2c.loss = "weighted", "scpo"
    assert problems(config) == []


# the mean with an earlier model

@pytest.fixture(scope="module")
def two(tmp_path_factory):
    "An earlier and a later model of each method, changed at random."
    place, randomly = tmp_path_factory.mktemp("two"), dict(full=FULL, lora=LORA)
    randomly["rslora"] = replace(LORA, lora_rslora=True, lora_rank=2)
    for seed, (name, settings) in enumerate(randomly.items()):
        for age in ("old", "new"):
            torch.manual_seed(2 * seed + (age == "new"))
            model, tokenizer = train_sft.weights_for("pocket", settings, "cpu")
            model = train_sft.trainable(model, settings)
            for weight in model.parameters(): weight.data += 0.01 * torch.randn_like(weight) * weight.requires_grad
            model.save_pretrained(place / f"{name}-{age}")
            tokenizer.save_pretrained(place / f"{name}-{age}")
    return place


@pytest.mark.parametrize("old, new, adapter", [
    ("full", "full", False), ("lora", "lora", True), ("rslora", "lora", True), ("full", "lora", False),
    ("lora", "full", False),
])
@pytest.mark.parametrize("share", [0.0, 0.3, 1.0])
def test_the_mean_lies_between_two_models(two, tmp_path, old, new, adapter, share):
    old, new = two / f"{old}-old", two / f"{new}-new"
    mean = averaged(old, new, share, tmp_path / "mean")
    assert (mean / "adapter_config.json").exists() == adapter and not list(mean.glob("*.bin"))
    a, b, found = of(old), of(new), of(mean)
    assert apart(found, {name: (1 - share) * a[name] + share * b[name] for name in a}) < 1e-5 < 1e-2 < apart(a, b)
    assert found["model.norm.weight"].dtype == torch.float32


def test_a_mean_of_means_is_one(two, tmp_path):
    first = averaged(two / "lora-old", two / "lora-new", 0.5, tmp_path / "first")
    second = averaged(first, two / "lora-new", 0.5, tmp_path / "second")
    assert json.loads((second / "adapter_config.json").read_text())["r"] == 12
    a, b = of(two / "lora-old"), of(two / "lora-new")
    assert apart(of(second), {name: a[name] / 4 + 3 * b[name] / 4 for name in a}) < 1e-6


def test_models_of_other_shapes_have_no_mean(two, tmp_path):
    from transformers import AutoModelForCausalLM
    model = AutoModelForCausalLM.from_pretrained(two / "full-old")
    model.resize_token_embeddings(model.config.vocab_size + 8, mean_resizing=False)
    model.save_pretrained(tmp_path / "larger")
    LocalEngine("pocket").tokenizer.save_pretrained(tmp_path / "larger")
    with pytest.raises(UserError, match="have other weights: there is no mean"):
        averaged(tmp_path / "larger", two / "full-new", 0.5, tmp_path / "mean")
    assert not (tmp_path / "mean").exists()


@pytest.mark.parametrize("method", ["full", "lora"])
def test_training_ends_with_the_mean_that_is_asked_for(rows, two, tmp_path, method):
    settings, earlier = dict(full=FULL, lora=LORA)[method], str(two / f"{method}-old")
    plain = trained(rows, tmp_path / "plain", settings)
    trained(rows, plain, settings, earlier=earlier)  # for an average of 1 it is the same model, not trained again
    half = replace(settings, average=0.4)
    mean = trained(rows, tmp_path / "mean", half, earlier=earlier)
    assert stored(mean) == stored(averaged(earlier, plain, 0.4, tmp_path / "by-hand"))
    assert {p.name for p in mean.iterdir()} == {p.name for p in plain.iterdir()}
    record = read_json(mean / "training.json")["made_from"]
    assert record["settings"]["average"] == 0.4 and record["averaged_with"]
    before = stored(mean), (mean / "training.json").stat().st_mtime_ns
    trained(rows, mean, half, earlier=earlier)  # nothing is done again
    assert before == (stored(mean), (mean / "training.json").stat().st_mtime_ns)
    with pytest.raises(UserError, match="other rows or settings"): trained(rows, mean, half, earlier="pocket")
