"""Training in the memory that there is: chunks of tokens, parts of a batch, and what happens when memory is full."""
import copy
import json
import math
import sys

import pytest
import torch
import warm

from evoselfcode.config import Train
from evoselfcode.engine.loading import load
from evoselfcode.engine.local import LocalEngine
from evoselfcode.errors import UserError
from evoselfcode.io_utils import read_json, read_jsonl, write_json
from evoselfcode.pipeline import fitting, train_sft
from evoselfcode.pipeline.fitting import chunked_loss, chunks_agree, parts_of, rows_at_a_time, token_loss, weight_of

FULL = Train(method="full", learning_rate=1e-3, min_steps=6, epochs=1, batch_size=8)
LORA = Train(method="lora", learning_rate=1e-2, min_steps=6, epochs=1, batch_size=8, lora_rank=4)


@pytest.fixture(scope="module")
def model():
    return load("pocket", "cpu", "float32")[0].train()


@pytest.fixture(scope="module")
def rows(root):
    pairs = [dict(description=r["prompt"], code=r["code"]) for r in read_jsonl(root / "data/raw/initial_pairs.jsonl")]
    return train_sft.d2c_rows(pairs[:40])


def batch_of(model, lengths: list[int], weights=None) -> dict:
    "Rows of random tokens, padded on the right, the first third of each a prompt."
    ids = torch.zeros(len(lengths), max(lengths), dtype=torch.long)
    labels = torch.full_like(ids, -100)
    for row, length in enumerate(lengths):
        dice = torch.Generator().manual_seed(row)
        ids[row, :length] = torch.randint(5, model.config.vocab_size, (length,), generator=dice)
        labels[row, length // 3:length] = ids[row, length // 3:length]
    seen = (torch.arange(max(lengths)) < torch.tensor(lengths)[:, None]).long()
    weights = torch.tensor(weights or [1.0] * len(lengths))
    return dict(input_ids=ids, attention_mask=seen, labels=labels, weights=weights)


def gradients(model, parts, total) -> list[torch.Tensor]:
    model.zero_grad()
    for part in parts: (token_loss(model, part) / total).backward()
    return [weight.grad.clone() for weight in model.parameters() if weight.grad is not None]


# ---------------------------------------------------------------- the loss

@pytest.mark.parametrize("size", [1, 7, 1000])
def test_the_loss_in_chunks_is_the_loss_in_value_and_gradient(size):
    torch.manual_seed(0)
    hidden, head = torch.randn(50, 16, requires_grad=True), torch.nn.Linear(16, 90)
    labels, weights = torch.randint(0, 90, (50,)), torch.rand(50)
    plain = (torch.nn.functional.cross_entropy(head(hidden), labels, reduction="none") * weights).sum()
    wanted = torch.autograd.grad(plain, [hidden, *head.parameters()])
    ours = chunked_loss(hidden, labels, weights, head, size)
    found = torch.autograd.grad(ours, [hidden, *head.parameters()])
    assert math.isclose(plain.item(), ours.item(), rel_tol=1e-6)
    assert all(torch.allclose(a, b, atol=1e-5) for a, b in zip(wanted, found))


def test_the_loss_is_the_models_own(model):
    batch = batch_of(model, [30, 21, 12])
    own = model(**{name: batch[name] for name in ("input_ids", "attention_mask", "labels")}).loss
    assert math.isclose(own.item(), (token_loss(model, batch) / weight_of(batch)).item(), rel_tol=1e-5)


def test_rows_count_by_their_weights(model):
    "A hand-computed mean: each row's own sum of losses times its weight, over weights times learned tokens."
    batch = batch_of(model, [30, 21, 12], [2.0, 0.5, 0.0])
    alone = [batch_of(model, [30]), batch_of(model, [30, 21]), None]
    first = token_loss(model, alone[0]).item()
    second = token_loss(model, alone[1]).item() - first
    tokens = [30 - 10, 21 - 7]
    wanted = (2 * first + 0.5 * second) / (2 * tokens[0] + 0.5 * tokens[1])
    assert math.isclose((token_loss(model, batch) / weight_of(batch)).item(), wanted, rel_tol=1e-5)


def test_a_model_that_does_more_to_its_logits_is_noticed(model):
    assert chunks_agree(model)
    capped = copy.deepcopy(model)
    plain = capped.forward
    def forward(labels=None, **inputs):
        out = plain(**inputs)
        out.logits = 3 * torch.tanh(out.logits / 3)
        if labels is not None: out.loss = capped.loss_function(out.logits, labels, vocab_size=capped.config.vocab_size)
        return out
    capped.forward = forward
    assert not chunks_agree(capped)


# ---------------------------------------------------------------- parts

@pytest.mark.parametrize("most", [1, 3, 4, 32])
def test_the_gradient_does_not_depend_on_the_parts(model, most):
    batch = batch_of(model, [40, 12, 33, 7, 40, 18, 25, 9] * 4, [1.0, 0.5] * 16)
    whole = gradients(model, [batch], weight_of(batch))
    cut = gradients(model, parts_of(batch, most), weight_of(batch))
    assert max(float((a - b).abs().max()) for a, b in zip(whole, cut)) < 2e-6


def test_parts_hold_all_rows_and_little_padding(model):
    batch = batch_of(model, [40, 12, 33, 7, 40, 18])
    parts = parts_of(batch, 2)
    assert [part["input_ids"].shape for part in parts] == [(2, 40), (2, 33), (2, 12)]
    assert sum(float(weight_of(part)) for part in parts) == float(weight_of(batch))
    parts = parts_of(batch, 6, enough=70)  # two of 40 are enough: the next is cut off where it is much shorter
    assert [part["input_ids"].shape for part in parts] == [(3, 40), (3, 18)]


def trained(rows, folder, settings, **options) -> dict[str, torch.Tensor]:
    train_sft.train(rows, folder, "pocket", settings, seed=3, **options)
    return LocalEngine(folder).model.state_dict()


@pytest.mark.parametrize("settings", [FULL, LORA], ids=["full", "lora"])
def test_what_is_learned_does_not_depend_on_the_parts(rows, settings, tmp_path):
    from dataclasses import replace
    whole = trained(rows, tmp_path / "whole", settings)
    cut = trained(rows, tmp_path / "cut", replace(settings, micro_batch="3"))
    assert max(float((whole[name] - cut[name]).abs().max()) for name in whole) < 2e-4
    summaries = [read_json(tmp_path / name / "training.json")["summary"] for name in ("whole", "cut")]
    assert summaries[0]["steps"] == summaries[1]["steps"]
    assert abs(summaries[0]["loss"] - summaries[1]["loss"]) < 1e-3


@pytest.mark.parametrize("words", ["CUDA out of memory", "DefaultCPUAllocator: can't allocate memory"])
def test_full_memory_is_met_with_smaller_parts_and_the_same_result(rows, words, tmp_path, monkeypatch, capfd):
    from dataclasses import replace
    whole = trained(rows, tmp_path / "whole", FULL)
    real = fitting.token_loss
    def full(model, batch, *more):
        if len(batch["input_ids"]) > 2: raise RuntimeError(words)
        return real(model, batch, *more)
    monkeypatch.setattr(fitting, "token_loss", full)
    monkeypatch.setattr(train_sft, "CHUNK", 0)  # as for a large vocabulary
    monkeypatch.setattr(train_sft, "chunks_agree", lambda model: True)
    cut = trained(rows, tmp_path / "cut", FULL)
    assert max(float((whole[name] - cut[name]).abs().max()) for name in whole) < 2e-4
    told = "".join(capfd.readouterr())
    assert "going on with 4 rows at a time" in told and "going on with 2 rows at a time" in told
    monkeypatch.setattr(fitting, "token_loss", lambda *_: (_ for _ in ()).throw(RuntimeError(words)))
    with pytest.raises(UserError, match="one row fills the memory"): trained(rows, tmp_path / "none", replace(FULL))


def test_full_memory_is_met_in_the_trainers_own_step_too(rows, tmp_path, monkeypatch, capfd):
    whole = trained(rows, tmp_path / "whole", FULL)
    from transformers import Trainer
    def full(*_, **__): raise RuntimeError("DefaultCPUAllocator: can't allocate memory")
    monkeypatch.setattr(Trainer, "training_step", full)
    cut = trained(rows, tmp_path / "cut", FULL)
    assert max(float((whole[name] - cut[name]).abs().max()) for name in whole) < 2e-4
    assert "memory was full, going on with 4 rows at a time" in "".join(capfd.readouterr())


def test_full_memory_elsewhere_is_told_in_one_line(rows, tmp_path, monkeypatch):
    import torch
    def full(*_, **__): raise RuntimeError("DefaultCPUAllocator: can't allocate memory")
    monkeypatch.setattr(torch.optim.AdamW, "step", full)
    with pytest.raises(UserError, match="memory was full; say method: lora"): trained(rows, tmp_path / "none", FULL)
    assert not (tmp_path / "none").exists()


def test_another_error_is_not_taken_for_full_memory(rows, tmp_path, monkeypatch):
    monkeypatch.setattr(train_sft, "CHUNK", 0)
    monkeypatch.setattr(train_sft, "chunks_agree", lambda model: True)
    def broken(*_): raise RuntimeError("shapes do not match")
    monkeypatch.setattr(fitting, "token_loss", broken)
    with pytest.raises(RuntimeError, match="shapes do not match"): trained(rows, tmp_path / "broken", FULL)


# ---------------------------------------------------------------- memory

def test_memory_decides_how_many_rows_fit(model, monkeypatch):
    free = dict(now=64 << 30)
    monkeypatch.setattr(fitting, "free_bytes", lambda device: free["now"])
    assert rows_at_a_time(model, 512, 32)[0] == 32
    free["now"] = 800 << 20
    some, told = rows_at_a_time(model, 512, 32)
    assert 1 <= some < 32 and f"{some} of 32 rows" in told
    free["now"] = 100 << 20
    with pytest.raises(UserError, match="GiB of memory for a single row of 512 tokens"): rows_at_a_time(model, 512, 32)
    fitting.recompute(model, False)


@pytest.mark.parametrize("attention", ["sdpa", "eager"])
def test_a_long_row_is_foretold_from_short_ones(model, attention):
    model.set_attn_implementation(attention)
    try: assert fitting.row_bytes(model, 300) == pytest.approx(fitting.tried_bytes(model, 300), rel=0.01)
    finally: model.set_attn_implementation("sdpa")


def test_checkpointing_is_switched_on_only_where_it_is_needed(model, monkeypatch):
    each = fitting.row_bytes(model, 100) // 100
    fixed = fitting.STATE * sum(weight.numel() for weight in model.parameters()) + fitting.LOGITS
    monkeypatch.setattr(fitting, "free_bytes", lambda device: int((fixed + 300 * each) / fitting.PLANNED))
    assert "checkpointing" not in rows_at_a_time(model, 200, 4)[1]
    rows, told = rows_at_a_time(model, 800, 4)
    assert rows >= 1 and "with gradient checkpointing" in told
    fitting.recompute(model, False)
    with pytest.raises(UserError, match="max_length"): rows_at_a_time(model, 800, 4, "off")


def print_what_is_free():
    import resource
    size = int(open("/proc/self/statm").read().split()[0]) * resource.getpagesize()
    resource.setrlimit(resource.RLIMIT_AS, (size + (300 << 20),) * 2)
    print(fitting.free_bytes(torch.device("cpu")) >> 20)


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="reads /proc")
def test_the_shells_limit_counts():
    assert 250 <= int(warm.run("test_fitting:print_what_is_free").stdout) <= 300


# ---------------------------------------------------------------- precision, rates, adapters

@pytest.mark.parametrize("settings", [FULL, LORA], ids=["full", "lora"])
def test_what_is_trained_is_held_in_float32(settings):
    model, _ = train_sft.weights_for("pocket", settings, "cpu")
    model = train_sft.trainable(model, settings)
    assert {weight.dtype for weight in model.parameters() if weight.requires_grad} == {torch.float32}


@pytest.mark.parametrize("supported, wanted", [(True, "bfloat16"), (False, "float16")])
def test_a_gpu_without_bfloat16_is_asked_for_float16(supported, wanted, monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_bf16_supported", lambda including_emulation=True: supported)
    assert train_sft.half_precision(torch.device("cuda")) == wanted
    assert train_sft.half_precision(torch.device("cpu")) is None


def test_a_rate_that_ruins_a_large_model_is_refused(rows, tmp_path, monkeypatch):
    monkeypatch.setattr(train_sft, "LARGE", 1_000_000)
    with pytest.raises(UserError, match="1e-5 or 2e-5, or method to lora"): trained(rows, tmp_path / "m", FULL)
    assert not (tmp_path / "m").exists()


def test_an_optimizer_that_cannot_be_is_told_before_anything_is_trained(rows, tmp_path):
    from dataclasses import replace
    with pytest.raises(UserError, match="needs a GPU and the package bitsandbytes"):
        trained(rows, tmp_path / "m", replace(FULL, optimizer="adamw_8bit"), device="cpu")


def test_adapters_are_made_as_the_settings_say(rows, tmp_path):
    from dataclasses import replace
    settings = replace(LORA, lora_targets="q_proj,v_proj", lora_rslora=True, lora_dropout=0.1)
    trained(rows, tmp_path / "m", settings)
    written = json.loads((tmp_path / "m" / "adapter_config.json").read_text())
    assert sorted(written["target_modules"]) == ["q_proj", "v_proj"]
    assert (written["use_rslora"], written["lora_dropout"]) == (True, 0.1)
    nowhere = replace(LORA, lora_targets="nowhere")
    with pytest.raises(UserError, match="lora_targets=nowhere"): trained(rows, tmp_path / "n", nowhere)


def test_an_adapter_on_an_adapter_is_saved_with_both(rows, tmp_path):
    from dataclasses import replace
    first = trained(rows, tmp_path / "first", LORA)
    train_sft.train(rows, tmp_path / "second", str(tmp_path / "first"), replace(LORA, learning_rate=1e-9), seed=3)
    second = LocalEngine(tmp_path / "second").model.state_dict()
    base = LocalEngine("pocket").model.state_dict()
    assert max(float((first[name] - second[name]).abs().max()) for name in first) < 1e-5
    assert max(float((base[name] - second[name]).abs().max()) for name in first) > 1e-3


def test_what_only_saves_memory_makes_no_other_model(rows, tmp_path):
    from dataclasses import replace
    trained(rows, tmp_path / "m", FULL)
    before = (tmp_path / "m" / "model.safetensors").stat().st_mtime_ns
    trained(rows, tmp_path / "m", replace(FULL, micro_batch="2", gradient_checkpointing="on"))
    record = read_json(tmp_path / "m" / "training.json")
    del record["made_from"]["settings"]["lora_rslora"]  # as an earlier version wrote it
    write_json(tmp_path / "m" / "training.json", record)
    trained(rows, tmp_path / "m", FULL)
    assert (tmp_path / "m" / "model.safetensors").stat().st_mtime_ns == before


def test_dropout_does_not_disturb_the_trial():
    from transformers import GPT2Config, GPT2LMHeadModel
    torch.manual_seed(0)
    small = GPT2LMHeadModel(GPT2Config(vocab_size=90, n_positions=64, n_embd=32, n_layer=2, n_head=2)).train()
    assert all(chunks_agree(small) for _ in range(5)) and small.training


def test_adapters_of_the_embeddings_are_measured(rows, tmp_path):
    from dataclasses import replace
    trained(rows, tmp_path / "m", replace(LORA, lora_targets="q_proj,embed_tokens", min_steps=2))


def test_rows_with_weight_zero_teach_nothing(rows, tmp_path):
    "Other rows of weight 0 beside them: the same is learned."
    half = [row | dict(weight=1.0 if at % 2 else 0.0) for at, row in enumerate(rows[:16])]
    other = [row | dict(completion=row["completion"][::-1]) if not row["weight"] else row for row in half]
    one = Train(method="full", learning_rate=1e-3, min_steps=1, epochs=1, batch_size=16, loss="weighted")
    a, b = (trained(some, tmp_path / name, one) for name, some in (("a", half), ("b", other)))
    assert max(float((a[name] - b[name]).abs().max()) for name in a) < 1e-5


@pytest.mark.parametrize("weight", [-1, math.nan, math.inf, 1e39, 10**400, "2", None, True])
def test_a_weight_that_is_none_is_told(rows, tmp_path, weight):
    with pytest.raises(UserError, match="weight .*: it must be a number from 0 to"):
        trained([rows[0] | dict(weight=weight)], tmp_path / "m", Train(loss="weighted"))


def test_rows_that_all_count_nothing_change_nothing(rows, tmp_path):
    settings = Train(
        method="full", learning_rate=1e-3, min_steps=1, epochs=1, batch_size=4, weight_decay=0, loss="weighted",
    )
    before = LocalEngine("pocket").model.state_dict()
    after = trained([row | dict(weight=0) for row in rows[:4]], tmp_path / "m", settings)
    assert all(torch.equal(before[name], after[name]) for name in before)


def test_a_training_tells_its_curve(rows, tmp_path):
    trained(rows, tmp_path / "m", Train(method="full", learning_rate=1e-3, min_steps=30, epochs=1, batch_size=8))
    curve = read_json(tmp_path / "m" / "training.json")["curve"]
    assert [step for step, _ in curve] == [10, 20, 30] and curve[0][1] > curve[-1][1]
    trained(rows, tmp_path / "short", Train(method="full", learning_rate=1e-3, min_steps=2, epochs=.1, batch_size=8))
    assert [step for step, _ in read_json(tmp_path / "short" / "training.json")["curve"]] == [2]
