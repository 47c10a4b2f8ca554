"""The engine: models found or refused in one line, samples and log-probabilities equal to the plain way."""
import json
import pydoc
import shutil
import subprocess
import sys
from time import perf_counter

import numpy as np
import pytest
import torch
import transformers as tf
import warm

from evoselfcode.config import Config
from evoselfcode.engine import batching, fim, loading
from evoselfcode.engine.base import Engine, Sample
from evoselfcode.engine.batching import cache_room, draw, nucleus
from evoselfcode.engine.int8 import Int8Linear
from evoselfcode.engine.kv_cache import Prompts
from evoselfcode.engine.local import LocalEngine, _int8
from evoselfcode.engine.remote import RemoteEngine, engine_fingerprint, open_engine
from evoselfcode.engine.trees import as_tree
from evoselfcode.errors import UserError

PROMPTS = [
    "def count_vowels(text: str) -> int:\n",
    "def f(",
    "from math import prod\n\n\ndef product_of_evens(numbers: list[int]) -> int:\n    evens = ",
    "# Return the sum of the numbers above zero in the list.\n",
    "def f(",
]
SHOWN = "def sum_of(xs: list[int]) -> int:\n    total = 0\n    for x in xs:\n        total += x\n    return total\n"
SMALL = dict(
    vocab_size=1200, hidden_size=48, intermediate_size=96, num_hidden_layers=2, num_attention_heads=4,
    num_key_value_heads=2, max_position_embeddings=256, initializer_range=0.3, bos_token_id=None, eos_token_id=0,
    pad_token_id=0,
)


@pytest.fixture(scope="module")
def pocket():
    return LocalEngine("pocket", device="cpu")


@pytest.fixture(scope="module", params=["pocket", "llama", "qwen2", "sliding window"])
def engine(request, pocket):
    "The pocket model, and other architectures with random weights and its tokenizer."
    if request.param == "pocket": return pocket
    config = {"llama": lambda: tf.LlamaConfig(**SMALL), "qwen2": lambda: tf.Qwen2Config(**SMALL),
              "sliding window": lambda: tf.MistralConfig(**SMALL, sliding_window=8)}[request.param]()
    torch.manual_seed(1)
    return LocalEngine(tf.AutoModelForCausalLM.from_config(config), pocket.tokenizer)


def generate(engine, prompt, new):
    ids = torch.tensor([engine.encode([prompt])[0]])
    with torch.inference_mode():
        out = engine.model.generate(
            input_ids=ids, attention_mask=torch.ones_like(ids), do_sample=False, max_new_tokens=new,
            eos_token_id=engine.ends, pad_token_id=0,
        )
    return out[0, ids.shape[1]:].tolist()


def plain_logprobs(engine, prompt, text):
    before = engine.encode([prompt], room=0)[0]
    after = engine.tokenizer(text, add_special_tokens=False)["input_ids"]
    if not after: return np.zeros(0)
    with torch.inference_mode(): logits = engine.model(input_ids=torch.tensor([before + after])).logits[0, :-1]
    return logits.float().log_softmax(-1).gather(1, torch.tensor(before + after)[1:, None])[len(before) - 1:, 0].numpy()


# Sampling

def test_greedy_is_what_generate_writes(engine):
    for prompt, samples in zip(PROMPTS, engine.sample(PROMPTS, 2, temperature=0, max_new_tokens=40)):
        ids = generate(engine, prompt, 40)
        assert samples[0] == samples[1] and samples[0].text == engine.tokenizer.decode(ids, skip_special_tokens=True)
        assert samples[0].finished == (ids[-1] in engine.ends) and samples[0].tokens == len(ids) - samples[0].finished


def test_same_call_same_samples_whatever_the_batches(engine):
    first = engine.sample(PROMPTS, 5, .8, .95, 40, seed=3)
    assert first == engine.sample(PROMPTS, 5, .8, .95, 40, seed=3)
    assert first != engine.sample(PROMPTS, 5, .8, .95, 40, seed=4)
    rows = engine.rows
    engine.model.double()  # the order of a sum depends on the batch: in single precision its last digit may tip a draw
    try:
        large, engine.rows = engine.sample(PROMPTS, 5, .8, .95, 40, seed=3), 3
        small = engine.sample(PROMPTS, 5, .8, .95, 40, seed=3)
    finally: engine.rows, _ = rows, engine.model.float()
    assert [[s.text for s in samples] for samples in large] == [[s.text for s in samples] for samples in small]
    assert len({s.text for s in first[1] + first[4]}) > 2   # equal prompts, each with draws of its own


def test_prompts_kept_once_give_what_copies_give(engine):
    assert engine._shares_prompts() == ("Mistral" not in type(engine.model).__name__)  # whose window is sliding
    long = "def sum_of(numbers: list[int]) -> int:\n    total = 0\n"*4
    prompts = [*PROMPTS, long, long + "    for", "def f(", ""]
    engine.model.double()
    try:
        once, engine._shares = engine.sample(prompts, 7, .9, .95, 40, seed=4), False
        copied = engine.sample(prompts, 7, .9, .95, 40, seed=4)
    finally:
        engine._shares = None
        engine.model.float()
    assert [[s.text for s in samples] for samples in once] == [[s.text for s in samples] for samples in copied]
    np.testing.assert_allclose([s.logprob for s in sum(once, [])], [s.logprob for s in sum(copied, [])], atol=1e-6)
    assert len({s.tokens for s in sum(once, [])}) > 1  # rows left on the way


@pytest.mark.parametrize("make", [
    lambda: tf.Starcoder2Config(**SMALL, sliding_window=None),
    lambda: tf.GemmaConfig(**SMALL, head_dim=16),
    lambda: tf.Qwen3Config(**SMALL, head_dim=16),
    lambda: tf.Gemma2Config(**SMALL, head_dim=16),
    lambda: tf.GPTBigCodeConfig(
        vocab_size=1200, n_embd=48, n_layer=2, n_head=4, n_positions=256, bos_token_id=0, eos_token_id=0,
    ),
    lambda: tf.GPTNeoXConfig(**{k: v for k, v in SMALL.items() if k != "num_key_value_heads"}),
])
def test_other_architectures_give_the_same_however_prompts_are_kept(pocket, make):
    torch.manual_seed(1)
    engine = LocalEngine(tf.AutoModelForCausalLM.from_config(make()).double(), pocket.tokenizer)
    once = engine.sample(PROMPTS, 4, .9, .95, 20, seed=4)
    engine._shares = False
    copied = engine.sample(PROMPTS, 4, .9, .95, 20, seed=4)
    assert [[s.text for s in samples] for samples in once] == [[s.text for s in samples] for samples in copied]


def test_greedy_rows_take_the_places_of_those_that_ended(pocket, monkeypatch):
    prompts = [f"# Case {i}.\n"*(i % 5) + PROMPTS[i % 5] for i in range(11)]
    monkeypatch.setattr(pocket, "_shares", False)
    pocket.model.double()
    try:
        wanted = sum(pocket.sample(prompts, 1, 0, 1, 30), [])
        monkeypatch.setattr(pocket, "_shares", None)
        for rows, room in ((256, 10**6), (4, 10**6), (256, 250)):
            monkeypatch.setattr(pocket, "rows", rows)
            monkeypatch.setattr(pocket, "room", room)
            requests = [(prompts[:7], 1), ([], 2), (prompts[7:], 3)]
            found = list(pocket.stream(requests, 2, 0, 1, 30))
            assert [len(samples) for samples in found] == [7, 0, 4] and all(a == b for a, b in sum(found, []))
            found = [samples[0] for samples in sum(found, [])]
            assert [(s.text, s.tokens, s.finished) for s in found] == [(s.text, s.tokens, s.finished) for s in wanted]
            np.testing.assert_allclose([s.logprob for s in found], [s.logprob for s in wanted], atol=1e-6)
    finally: pocket.model.float()
    assert len({s.tokens for s in wanted}) > 3


def test_rows_that_ended_stay_within_learnt_positions(pocket):
    torch.manual_seed(1)
    config = tf.GPTBigCodeConfig(vocab_size=1200, n_embd=48, n_layer=1, n_head=4, n_positions=32, eos_token_id=0)
    engine = LocalEngine(tf.AutoModelForCausalLM.from_config(config), pocket.tokenizer)
    full = pocket.tokenizer.decode(pocket.tokenizer("x = 1\n"*9)["input_ids"][:28])
    samples = sum(engine.sample([full, *PROMPTS[:2], *PROMPTS[3:]], 1, 1., 1., 20, seed=1), [])
    assert samples[0].tokens <= 4 < samples[2].tokens


def test_a_model_that_attends_otherwise_is_found_out(pocket, monkeypatch):
    from evoselfcode.engine import kv_cache as shared
    plain = shared.attend
    def attend(query, keys, values, scaling, hidden=None): return plain(query * 1.1, keys, values, scaling, hidden)
    monkeypatch.setattr(shared, "attend", attend)
    monkeypatch.setattr(pocket, "_shares", None)
    with torch.inference_mode(): assert not pocket._shares_prompts()


def test_batches_keep_to_rows_and_to_tokens(pocket, monkeypatch):
    monkeypatch.setattr(pocket, "room", 1000)
    sizes = []
    def work(items):
        sizes.append(len(items))
        return items
    widths = [10]*30 + [100]*25 + [400]*3 + [2000]
    assert pocket.in_batches(widths, work, 20, widths) == widths and sum(sizes) == len(widths)
    done = 0
    for size in sizes:
        assert size == 1 or size * widths[done + size - 1] <= 1000
        done += size
    assert len(sizes) < 15 and max(sizes) <= 20
    config = pocket.model.config
    token = 2 * config.num_hidden_layers * config.num_key_value_heads * config.head_dim * 4
    for free, room in ((16 << 30, 4 << 30), (3 << 30, 1 << 30)):
        monkeypatch.setattr(batching, "free_bytes", lambda device: free)
        assert cache_room(pocket.model) == room // token


def test_a_longer_limit_only_continues(pocket):
    short, long = (pocket.sample(PROMPTS, 4, 1., 1., new, seed=2) for new in (10, 50))
    for s, t in zip(sum(short, []), sum(long, [])):
        assert t.text.startswith(s.text.rstrip("\ufffd")) and (not s.finished or s == t)


def test_log_probability_of_a_sample_is_that_of_its_text(pocket):
    drawn = [(p, s) for p, samples in zip(PROMPTS, pocket.sample(PROMPTS, 8, 1.2, .9, 40, seed=5)) for s in samples]
    same = [(p, s) for p, s in drawn if len(pocket.tokenizer(s.text)["input_ids"]) == s.tokens]
    scored = pocket.logprobs([p for p, _ in same], [s.text for _, s in same])
    assert len(same) > len(drawn)/2
    close = np.isclose([s.logprob for _, s in same], [values.sum() for values in scored], atol=1e-3)
    assert close.mean() > .9  # as many tokens need not be the same tokens


def test_stop_strings_cut_at_the_earliest_and_never_appear(pocket):
    stop = ("return", " for", "\n\n")
    free, cut = (pocket.sample(PROMPTS, 8, 1., 1., 60, seed=6, stop=s) for s in ((), stop))
    stopped = 0
    for s, t in zip(sum(free, []), sum(cut, [])):
        at = min((i for word in stop if (i := s.text.find(word)) >= 0), default=None)
        assert t.text == s.text[:at] and not any(word in t.text for word in stop)
        stopped += at is not None
        if at is not None: assert t.finished and t.tokens <= s.tokens and t.logprob >= s.logprob - 1e-4
    assert stopped > 10


def test_what_ends_and_what_is_cut_off(pocket):
    samples = sum(pocket.sample(PROMPTS, 8, .8, .95, 12, seed=7), [])
    assert all(s.tokens == 12 for s in samples if not s.finished) and any(not s.finished for s in samples)
    assert not any("<|" in s.text for s in samples)


def test_rows_stop_at_the_end_of_the_context(pocket):
    prompt = "x = 1\n"*500
    while len(pocket.tokenizer(prompt)["input_ids"]) > pocket.context - 5: prompt = prompt[6:]
    room = pocket.context - len(pocket.tokenizer(prompt)["input_ids"])
    long, short = pocket.sample([prompt, "def f("], 4, 1., 1., 30, seed=1)
    assert max(s.tokens for s in long) <= room < max(s.tokens for s in short)


def test_a_tokenizer_need_not_have_marks(pocket, message):
    plain = tf.PreTrainedTokenizerFast(tokenizer_object=pocket.tokenizer.backend_tokenizer)
    assert plain.pad_token_id is plain.eos_token_id is plain.bos_token_id is None
    bare = LocalEngine(pocket.model, plain)
    ours, theirs = (sum(e.sample(PROMPTS, temperature=0, max_new_tokens=12), []) for e in (bare, pocket))
    assert [s.text[:20] for s in ours] == [s.text[:20] for s in theirs]
    texts = ["    return 1\n", "x", "    return sum(numbers)\n", "", "1"]
    for a, b in zip(bare.logprobs(PROMPTS, texts), pocket.logprobs(PROMPTS, texts)):
        np.testing.assert_allclose(a, b, atol=1e-5)
    assert "prompt 1 is empty" in message(bare.sample, ["fine", ""])


def test_impossible_requests_are_one_line(pocket, message):
    text = message(pocket.sample, ["fine", "x = 1\n"*500], 1)
    assert "prompt 1" in text and str(pocket.context) in text
    assert "completion" in message(pocket.logprobs, ["x"], ["x = 1\n"*500])
    for wrong in (dict(n=0), dict(temperature=-1), dict(top_p=0), dict(top_p=1.5), dict(max_new_tokens=0)):
        message(pocket.sample, ["x"], **wrong)
    message(pocket.logprobs, ["a", "b"], ["c"])
    message(LocalEngine, pocket.model)
    assert pocket.sample([], 3) == [] and pocket.logprobs([], []) == []


def test_a_text_in_place_of_a_list_is_one_line(pocket, message):
    for call, name in (
        (lambda: pocket.sample("def f("), "prompts"), (lambda: pocket.encode("def f("), "prompts"),
        (lambda: pocket.logprobs("ab", ["c", "d"]), "prompts"),
        (lambda: pocket.logprobs(["a", "b"], "cd"), "completions"),
        (lambda: pocket.perplexity("ab", "cd"), "prompts"),
    ):
        text = message(call)
        assert text.startswith(f"{name} must be a list of texts, not one text") and "[" in text
    assert pocket.sample(("def f(",), 1, max_new_tokens=1) == pocket.sample(["def f("], 1, max_new_tokens=1)


def test_an_engine_is_a_contract():
    with pytest.raises(TypeError, match="abstract"): Engine("pocket", None, "", None, None)
    assert issubclass(LocalEngine, Engine) and issubclass(RemoteEngine, Engine)
    for name in ("sample", "logprobs", "perplexity", "encode", "fits", "close"):
        assert getattr(LocalEngine, name) is getattr(RemoteEngine, name) or name == "close"
    told = pydoc.render_doc(LocalEngine.sample) + pydoc.render_doc(LocalEngine.logprobs)
    for word in ("one list per prompt", "tokens", "nats", "UserError", "temperature", "seed"): assert word in told


@pytest.mark.parametrize("temperature,top_p", [(1., 1.), (1., .9), (.7, .95), (1.5, .5), (1., .01)])
def test_draws_follow_the_nucleus_distribution(temperature, top_p):
    logits = torch.randn(50, generator=torch.Generator().manual_seed(3))*2
    probs = (logits.double()/temperature).softmax(0)
    order = probs.argsort(descending=True)
    kept = order[:int((probs[order].cumsum(0) < top_p).sum()) + 1]
    exact = torch.zeros(50, dtype=torch.float64)
    exact[kept] = probs[kept]/probs[kept].sum()
    uniform = torch.rand(60_000, 2, dtype=torch.float64, generator=torch.Generator().manual_seed(4))
    token, logprob = draw(logits.expand(len(uniform), -1), uniform, temperature, top_p)
    drawn = torch.bincount(token, minlength=50)/len(uniform)
    assert (drawn - exact).abs().max() < .01 and drawn[exact == 0].sum() == 0
    assert torch.allclose(logprob, logits.log_softmax(0)[token], atol=1e-5)


def test_nucleus_of_certain_and_of_equal_tokens():
    assert nucleus(torch.tensor([[0., 1., 0.]]), .5).tolist() == [[0., 1., 0.]]
    assert (nucleus(torch.full((1, 4), .25), .5) > 0).all()   # tied tokens stay together
    probs = torch.tensor([[0., .5, .5, 0.]]).expand(2, -1)
    token, _ = draw(probs.log(), torch.tensor([[0., 0.], [1 - 2**-53]*2], dtype=torch.float64), 1., .9)
    assert token.tolist() == [1, 2]                            # never a token of probability 0


def test_memory_that_runs_out_halves_the_batch(pocket, message):
    class Cramped(LocalEngine):
        most, seen = 4, []
        def _sample_rows(self, prompts, *rest):
            self.seen.append(len(prompts))
            if len(prompts) > self.most: raise torch.OutOfMemoryError("no room")
            return super()._sample_rows(prompts, *rest)
    cramped = Cramped(pocket.model, pocket.tokenizer)
    texts = lambda found: [[s.text for s in samples] for samples in found]
    assert texts(cramped.sample(PROMPTS, 4, seed=1)) == texts(pocket.sample(PROMPTS, 4, seed=1))
    assert cramped.seen[:4] == [20, 10, 5, 2] and sum(cramped.seen[3:]) == 20
    cramped.most = 0
    assert "memory" in message(cramped.sample, PROMPTS, 4)


def test_memory_that_runs_out_halves_the_rows_of_a_stream(pocket, message, monkeypatch):
    wanted, plain, seen = pocket.sample(PROMPTS, 1, 0), Prompts.enter, []
    def enter(self, parts):
        seen.append(len(self.owner) + sum(len(mask) for _, mask in parts))
        if seen[-1] > most: raise torch.OutOfMemoryError("no room")
        return plain(self, parts)
    monkeypatch.setattr(Prompts, "enter", enter)
    most = 2
    assert [s.text for s in sum(pocket.sample(PROMPTS, 1, 0), [])] == [s.text for s in sum(wanted, [])]
    assert seen[:2] == [5, 2]
    def none(*given): raise torch.OutOfMemoryError("no room")
    monkeypatch.setattr(Prompts, "__init__", none)
    assert "even with one row" in message(pocket.sample, PROMPTS[:1], 1, 0)


def test_a_leading_space_survives_tokenizers_that_drop_it(pocket):
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers
    words = ["</s>", "<unk>", "▁return", "▁x", "▁def", ":", "▁"]
    inner = Tokenizer(models.WordLevel({word: i for i, word in enumerate(words)}, unk_token="<unk>"))
    inner.pre_tokenizer, inner.decoder = pre_tokenizers.Metaspace(), decoders.Metaspace()
    tokenizer = tf.PreTrainedTokenizerFast(tokenizer_object=inner, eos_token="</s>", unk_token="<unk>")
    assert tokenizer.decode([2, 3]) == "return x"              # alone, the space is lost
    tokenizer.pad_token = tokenizer.eos_token
    engine = LocalEngine(pocket.model, tokenizer)
    assert engine._text(4, [2, 3]) == " return x" and engine._text(0, [2, 3]) == "return x"


# 8-bit integers

def test_int8_rounds_each_row_by_itself():
    torch.manual_seed(0)
    linear, x = torch.nn.Linear(64, 48), torch.randn(3, 5, 64)*torch.tensor([1e-3, 1., 50.])[:, None, None]
    with torch.inference_mode():
        small, exact = Int8Linear(linear), linear(x)
        found = small(x)
        assert ((found - exact).norm(dim=-1)/exact.norm(dim=-1)).max() < .03
        assert torch.equal(small(x[1:2, 2]), found[1:2, 2]) and torch.equal(small(0*x), linear(0*x))


def test_int8_draws_and_float32_scores(pocket):
    before = {name: id(value) for name, value in pocket.model.named_parameters()}
    small = LocalEngine(pocket.model, pocket.tokenizer, int8=True)
    drawn = small.sample(PROMPTS, 4, .8, .95, 20, seed=1)
    assert drawn == small.sample(PROMPTS, 4, .8, .95, 20, seed=1) != pocket.sample(PROMPTS, 4, .8, .95, 20, seed=1)
    for a, b in zip(*(e.logprobs(PROMPTS, ["    return 1\n"]*5) for e in (small, pocket))): assert np.array_equal(a, b)
    assert {name: id(value) for name, value in pocket.model.named_parameters()} == before
    assert isinstance(small.once(_int8).get_output_embeddings(), Int8Linear)
    assert small.once(_int8).get_input_embeddings().weight is pocket.model.get_input_embeddings().weight
    with torch.inference_mode():
        ids = torch.tensor(pocket.encode([SHOWN]))
        exact, rounded = (model(input_ids=ids).logits[0] for model in (pocket.model, small.once(_int8)))
    assert (exact.argmax(-1) == rounded.argmax(-1)).float().mean() > .9


def test_int8_is_part_of_a_models_name_and_not_for_servers(message):
    assert engine_fingerprint("m", Config(int8=True)) != engine_fingerprint("m", Config())
    assert "int8 goes with backend: transformers" in message(open_engine, "m", Config(backend="openai", int8=True))


# Log-probabilities

def test_log_probabilities_are_those_of_one_by_one(engine):
    loop = "xs: list[int]) -> int:\n    total = 0\n    for x in xs:\n        total += x\n    return total\n"
    texts = ["    return 1\n", "", "x", loop, "x"]
    pairs = [(prompt, text) for prompt in [*PROMPTS, ""] for text in texts]
    shuffled = [pairs[i] for i in np.random.default_rng(0).permutation(len(pairs))]
    rows = engine.rows
    for engine.rows in (rows, 4):
        found = engine.logprobs(*zip(*shuffled))
        for (prompt, text), values in zip(shuffled, found):
            plain = plain_logprobs(engine, prompt, text)
            assert values.dtype == np.float32 and values.shape == plain.shape and np.allclose(values, plain, atol=1e-4)
    engine.rows = rows


def test_only_full_attention_takes_a_tree_of_candidates(engine):
    assert engine.branching() == (getattr(engine.model.config, "sliding_window", None) != 8)


def test_equal_beginnings_are_one_node():
    nodes, paths = as_tree([[5, 6, 7], [5, 6], [], [5, 6, 8], [5, 6, 7], [6]])
    assert nodes == [(-1, 5), (0, 6), (1, 7), (1, 8), (-1, 6)]
    assert paths == [[0, 1, 2], [0, 1], [], [0, 1, 3], [0, 1, 2], [4]]


def test_very_many_candidates_are_split(pocket):
    texts = [f"    return {i} + {i*i}\n" for i in range(200)]
    found = pocket.logprobs(["def f():\n"]*200, texts)
    for text, values in list(zip(texts, found))[::20]:
        assert np.allclose(values, plain_logprobs(pocket, "def f():\n", text), atol=1e-4)


def test_perplexity(pocket):
    prompts, texts = ["def f(xs: list[int]) -> int:\n"]*3, ["    return sum(xs)\n", "    zebra; +\n", ""]
    good, bad, empty = pocket.perplexity(prompts, texts)
    assert good < bad/10 and np.isnan(empty)
    assert good == pytest.approx(np.exp(-plain_logprobs(pocket, prompts[0], texts[0]).mean()), rel=1e-4)


# Loading

@pytest.fixture
def folder(tmp_path):
    "A copy of the pocket model to damage."
    return shutil.copytree(loading.resolve_model("pocket"), tmp_path/"model")


def test_damaged_folders_are_one_line(folder, message):
    config = json.loads((folder/"config.json").read_text())
    (folder/"config.json").write_text(json.dumps(config | {"num_hidden_layers": config["num_hidden_layers"] + 1}))
    assert "lack" in message(loading.load, folder)
    (folder/"config.json").write_text(json.dumps(config | {"hidden_size": config["hidden_size"]*2}))
    message(loading.load, folder)
    (folder/"config.json").write_text("{")
    message(loading.load, folder)
    foreign = {"model_type": "mystery", "auto_map": {"AutoModelForCausalLM": "evil.Model"}}
    (folder/"config.json").write_text(json.dumps(config | foreign))
    (folder/"evil.py").write_text("raise SystemExit('ran')")
    message(loading.load, folder)
    (folder/"config.json").write_text(json.dumps(config))
    (folder/"model.safetensors").rename(folder/"pytorch_model.bin")
    assert "pickled" in message(loading.load, folder)
    (folder/"pytorch_model.bin").unlink()
    assert "no weights" in message(loading.load, folder)


def test_names_that_are_no_model(tmp_path, message):
    (tmp_path/"file").write_text("")
    for name in (tmp_path / "nowhere", tmp_path / "file", tmp_path, "./nowhere", "a/b/c", "", "no spaces allowed/here"):
        message(loading.load, name)
    start = perf_counter()
    assert "give a folder" in message(loading.load, "nobody/no-such-model") and perf_counter() - start < 20


def test_a_tokenizer_without_padding_pads_with_the_end(folder):
    path = folder/"tokenizer_config.json"
    config = json.loads(path.read_text())
    path.write_text(json.dumps({key: value for key, value in config.items() if key != "pad_token"}))
    _, tokenizer = loading.load(folder)
    assert tokenizer.pad_token_id == tokenizer.eos_token_id


def sample_without_its_file(folder):
    engine = LocalEngine(folder, device="cpu")
    (folder/"model.safetensors").write_bytes(b"")
    print(len(engine.sample(["def f("], 2)[0]))


def test_a_loaded_model_does_not_depend_on_its_file(folder):
    done = warm.run("test_engine:sample_without_its_file", folder)
    assert done.stdout.strip() == "2", (done.returncode, done.stderr[-500:])


def test_an_adapter_is_merged_into_its_base(tmp_path, folder, message):
    from peft import LoraConfig, get_peft_model
    model, tokenizer = loading.load(folder, "cpu")
    torch.manual_seed(0)
    adapted = get_peft_model(model, LoraConfig(r=4, target_modules="all-linear", init_lora_weights=False)).eval()
    adapted.save_pretrained(tmp_path/"adapter")
    engine = LocalEngine(tmp_path/"adapter", device="cpu")
    ids = torch.tensor([tokenizer(PROMPTS[0])["input_ids"]])
    with torch.inference_mode():
        assert torch.allclose(engine.model(ids).logits, adapted(ids).logits, atol=1e-3)
        assert not torch.allclose(engine.model(ids).logits, loading.load(folder, "cpu")[0](ids).logits, atol=1e-1)
    shutil.rmtree(folder)
    assert str(folder) in message(loading.load, tmp_path/"adapter")


@pytest.mark.parametrize("settings, told", [
    ("{", "adapter_config.json: broken JSON"), ("[]", "names no base model"), ("{}", "names no base model"),
    ('{"base_model_name_or_path": null}', "names no base model"),
    ('{"base_model_name_or_path": "../none"}', "adapter_config.json: its base model ../none is not there"),
])
def test_an_adapter_without_its_base_is_told(settings, told, tmp_path, message):
    (tmp_path/"adapter_config.json").write_text(settings)
    (tmp_path/"adapter_model.safetensors").write_bytes(b"")
    line = message(loading.load, tmp_path)
    assert line.startswith(str(tmp_path/"adapter_config.json")) and told in line


def test_a_base_beside_its_adapter_is_found(tmp_path, folder, monkeypatch):
    from peft import LoraConfig, get_peft_model
    shutil.copytree(folder, tmp_path/"base")
    adapted = get_peft_model(loading.load(folder, "cpu")[0], LoraConfig(r=4, target_modules="all-linear"))
    adapted.save_pretrained(tmp_path/"adapter")
    path = tmp_path/"adapter"/"adapter_config.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | dict(base_model_name_or_path="../base")))
    (tmp_path/"elsewhere/base").mkdir(parents=True)
    (tmp_path/"elsewhere/work").mkdir()
    monkeypatch.chdir(tmp_path/"elsewhere/work")  # where ../base is something else
    assert len(loading.load(tmp_path/"adapter", "cpu")) == 2


def test_importing_is_light():
    code = (
        "import sys, evoselfcode.engine.local, evoselfcode.engine.fim; "
        "print([m for m in ('torch', 'transformers', 'pandas') if m in sys.modules])"
    )
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True).stdout.strip() == "[]"


# Fill in the middle

@pytest.mark.parametrize("family", fim.FAMILIES, ids=lambda family: family.name)
def test_families_are_told_apart_by_single_tokens(family, pocket):
    from tokenizers import AddedToken
    bare = tf.PreTrainedTokenizerFast(tokenizer_object=byte_level(), eos_token="<end>")
    assert fim.detect(bare) is None                                        # the tokens are there only in pieces
    bare.add_tokens([AddedToken(token, special=True) for token in (family.prefix, family.suffix)])
    assert fim.detect(bare) is None
    bare.add_tokens([AddedToken(family.middle, special=True)])
    assert fim.detect(bare) == family
    ids = bare(fim.fim_prompt(family, "def ", "(x)"))["input_ids"]
    assert [ids[0], ids[-1]] == bare.convert_tokens_to_ids([family.prefix, family.middle])


def byte_level():
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers
    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    inner = Tokenizer(models.BPE({letter: i for i, letter in enumerate(alphabet)}, []))
    inner.pre_tokenizer, inner.decoder = pre_tokenizers.ByteLevel(add_prefix_space=False), decoders.ByteLevel()
    return inner


ARCHITECTURES = {  # of each family, one that real models of it have
    "Qwen-Coder, CodeGemma, pocket": ("Qwen2Config", "GemmaConfig"),
    "StarCoder, StarCoder2": ("Starcoder2Config", "GPTBigCodeConfig"),
    "SantaCoder": ("GPTBigCodeConfig",),
    "CodeLlama": ("LlamaConfig",),
    "DeepSeek-Coder": ("LlamaConfig",),
}
PAIRS = [(family, architecture) for family in fim.FAMILIES for architecture in ARCHITECTURES[family.name]]


@pytest.mark.parametrize("family, architecture", PAIRS, ids=lambda x: getattr(x, "name", x))
def test_every_family_is_proved_on_its_architecture(family, architecture):
    """A small model with random weights has the tokens only; taught the six infillings, it has the skill.

    The probe says so.
    """
    from tokenizers import AddedToken
    tokenizer = tf.PreTrainedTokenizerFast(tokenizer_object=byte_level(), eos_token="<end>", pad_token="<end>")
    tokenizer.add_tokens([AddedToken(token, special=True) for token in (family.prefix, family.suffix, family.middle)])
    torch.manual_seed(1)
    size = dict(
        vocab_size=len(tokenizer), eos_token_id=tokenizer.eos_token_id, bos_token_id=None,
        pad_token_id=tokenizer.pad_token_id,
    )
    if architecture == "GPTBigCodeConfig":
        size |= dict(
            n_embd=64, n_layer=2, n_head=4, n_positions=256, attn_pdrop=0.0, resid_pdrop=0.0, embd_pdrop=0.0,
            initializer_range=0.1,
        )
    else:
        size |= dict(
            hidden_size=64, intermediate_size=128, num_hidden_layers=2, num_attention_heads=4, num_key_value_heads=2,
            head_dim=16, max_position_embeddings=256, initializer_range=0.1,
        )
    model = tf.AutoModelForCausalLM.from_config(getattr(tf, architecture)(**size))
    engine = LocalEngine(model, tokenizer)
    before = fim.probe(engine)
    assert before.family == family and not before.works and "writes left to right" in before.reason
    prompts = [fim.fim_prompt(family, fim.BEFORE, after) for after in fim.INFILLINGS.values()]
    texts = [prompt + middle + tokenizer.eos_token for prompt, middle in zip(prompts, fim.INFILLINGS)]
    batch = tokenizer(texts, return_tensors="pt", padding=True)
    labels = batch["input_ids"].masked_fill(batch["attention_mask"] == 0, -100)
    # the middle and the end are to be learnt
    for row, middle in zip(labels, fim.INFILLINGS): row[:int((row != -100).sum()) - len(middle) - 1] = -100
    optimizer = torch.optim.AdamW(model.train().parameters(), lr=6e-3)
    for _ in range(300):
        loss = model(input_ids=batch["input_ids"], attention_mask=batch["attention_mask"], labels=labels).loss
        if loss < 0.05: break
        loss.backward()
        optimizer.step()
        optimizer.zero_grad()
    after = fim.probe(LocalEngine(model, tokenizer))
    assert after.works and "fills in the middle" in after.reason, after


def test_control_tokens_by_hand(pocket):
    family = fim.FAMILIES[0]
    given = [family.prefix, family.suffix, family.middle]
    assert fim.probe(pocket, given).works and fim.probe(pocket, given).family.name == "as given"
    # known to the tokenizer, and in the wrong places
    assert not fim.probe(pocket, given[::-1]).works
    with pytest.raises(UserError, match="names.fim_tokens: must be three tokens.* not 2"):
        fim.detect(pocket.tokenizer, given[:2])
    with pytest.raises(UserError, match="names.fim_tokens: '<PRE>' is not one token of this model"):
        fim.detect(pocket.tokenizer, ["<PRE>", *given[1:]])


# the text that a model wrote into a gap, what stands behind the gap, the middle
FILLINGS = {
    "it goes on behind the middle": ("range(10):\n    print(i)\n\nfor j in", "(10):\n    print(i)\n", "range"),
    "the suffix is a part of a line": ("range(10): print(i)", "(10):", "range"),
    "the limit came in the first line": ("evens(xs: list[i", "(xs: list[int]) -> list[int]:\n    return xs\n", "evens"),
    "the limit came in a later line": ("f(a))\n    retu", ")\n    return total\n", "f(a)"),
    "the longest end counts": ("a + aaaaa", "aaaaaab", "a + "),
    "it came to its end": ("total", "(xs: list[int])\n", "total"),
    "a common end": ("f(g(x))", ")\n", "f(g(x))"),
    "a common end in the middle": ("f(a, x) + g(b, x)", ", x)", "f(a, x) + g(b, x)"),
    "a bracket": ("name(x)", "(", "name(x)"),
    "blanks only": ("a\n\n\n    b", "\n\n    \n", "a\n\n\n    b"),
    "nothing behind": ("a\nb", "", "a\nb"),
    "it goes on differently": ("f(xs: list[int]) -> str:", "(xs: list[int]) -> int:\n", "f(xs: list[int]) -> str:"),
    "a short line, then one that tells": ("x):\n    return 2\nx):\n    return 1\n#", "):\n    return 1\n",
                                          "x):\n    return 2\nx"),
    "the suffix at once": ("(10):\n    pass", "(10):\n", ""),
}


@pytest.mark.parametrize("text, suffix, middle", FILLINGS.values(), ids=list(FILLINGS))
def test_a_filling_is_cut_where_the_suffix_begins_again(text, suffix, middle):
    at = fim.suffix_again(text, suffix)
    assert text[:at] == middle and (at is None) == (middle == text)
    for size in range(len(text)):  # while it grows: what is over stays so, whenever somebody looks
        early = fim.suffix_again(text[:size], suffix, whole=False)
        assert early is None or early == at


class GoesOn:
    "An engine that fills rightly, and goes on as the file would."
    name, controls = "goes on", {}
    def __init__(self, tokenizer, ended): self.tokenizer, self.ended = tokenizer, ended
    def sample(self, prompts, n=1, over=None, **_):
        texts = [f"{middle}{after}\n\ndef main():" for middle, after in fim.INFILLINGS.items()]
        if len(prompts) != len(texts): texts = ["range(10):\n    print(i)\n"] * len(prompts)
        return [[Sample(text, 9, self.ended, 0.0)] * n for text in texts]
    def logprobs(self, prompts, completions):
        family, known = fim.FAMILIES[0], fim.INFILLINGS.items()
        pairs = [(fim.fim_prompt(family, fim.BEFORE, after), middle) for middle, after in known]
        return [np.array([-1.0 if pair in pairs else -9.0]) for pair in zip(prompts, completions)]


@pytest.mark.parametrize("ended", [True, False])
def test_a_model_that_goes_on_behind_the_middle_can_fill_it(pocket, ended):
    engine = GoesOn(pocket.tokenizer, ended)
    found = fim.probe(engine)
    assert found.works and [row["filled"] for row in found.table] == list(fim.INFILLINGS)
    assert "100% of the fillings fit" in found.reason
    assert fim.fill(engine, fim.FAMILIES[0], [("for i in ", "(10):\n")], n=2) == [[("range", True)] * 2]
    assert fim.fill(engine, fim.FAMILIES[0], [("for i in ", ")")]) == [[("range(10):\n    print(i)\n", ended)]]


def test_the_probe_tells_skill_from_vocabulary(pocket):
    found = fim.probe(pocket)
    assert found.works and "\n" not in found.reason
    torch.manual_seed(0)
    blank = LocalEngine(tf.AutoModelForCausalLM.from_config(pocket.model.config), pocket.tokenizer)
    assert not fim.probe(blank).works and fim.probe(blank).family == found.family
    bytewise = tf.PreTrainedTokenizerFast(tokenizer_object=byte_level(), eos_token="a", pad_token="a")
    without = fim.probe(LocalEngine(pocket.model, bytewise))
    assert not without.works and without.family is None and "no fill-in-the-middle" in without.reason
