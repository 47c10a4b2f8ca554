"""Checkpoints as GGUF files: what llama.cpp reads, computes and writes with them is what transformers does."""
import json
import os
import shutil
import urllib.request
from argparse import Namespace
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

from evoselfcode.cli import app
from evoselfcode.engine.gguf import KEPT, PRE, convert, kept_gguf
from evoselfcode.engine.llama_server import SAMPLERS, binary_command
from evoselfcode.engine.loading import load, load_tokenizer, model_folder
from evoselfcode.engine.local import LocalEngine
from evoselfcode.engine.remote import RemoteEngine, ServerSettings

xllamacpp, gguf = pytest.importorskip("xllamacpp"), pytest.importorskip("gguf")
TEXTS = [
    "def f(x): <|fim_prefix|>", "x = 'total' + \"it's\"\n\n\tWe'LL   see  \n", "1234567 + 0x1f  # été, 二十 три", " ",
    "", "    return [word.upper() for word in words]\r\n", "a<|endoftext|>b  c...!!",
]
SERVE = "{python} -m evoselfcode.engine.llama_server {model} --port {port} --threads 1"
PROMPTS = ["def count_vowels(text: str) -> int:\n", "# The sum of 'total' and 12\n", ""]


@contextmanager
def served(file: Path):
    "llama.cpp's server of a file, in this process; yields a function that asks it."
    params = xllamacpp.CommonParams()
    params.model.path, params.n_ctx, params.special = str(file), 512, True
    params.warmup, params.verbosity, params.cache_ram_mib = False, -1, 0
    params.cpuparams.n_threads = params.cpuparams_batch.n_threads = 1
    params.cache_type_k = params.cache_type_v = xllamacpp.ggml_type.GGML_TYPE_F32
    params.flash_attn_type = xllamacpp.llama_flash_attn_type.LLAMA_FLASH_ATTN_TYPE_DISABLED
    server = xllamacpp.Server(params)
    def ask(path: str, **body) -> list[int]:
        request = urllib.request.Request(f"{server.listening_address}/{path}", json.dumps(body).encode())
        with urllib.request.urlopen(request, timeout=60) as reply: return json.load(reply)["tokens"]
    yield ask


def written(ask, prompts: list[list[int]], new: int = 24) -> list[list[int]]:
    "The most probable tokens behind prompts."
    fields = dict(n_predict=new, temperature=0, return_tokens=True, ignore_eos=True)
    return [ask("completion", prompt=ids, **fields) for ids in prompts]


def likeliest(model, prompts: list[list[int]], ends: list[int], new: int = 24) -> list[list[int]]:
    "The same by transformers, with the logits of `ends` out of the question, as `ignore_eos` does it."
    import torch
    found = []
    for prompt in prompts:
        ids = list(prompt)
        for _ in range(new):
            with torch.inference_mode(): logits = model(torch.tensor([ids])).logits[0, -1].numpy().copy()
            logits[ends] = -np.inf
            ids.append(int(logits.argmax()))
        found.append(ids[len(prompt):])
    return found


@pytest.fixture(scope="module")
def pocket():
    return LocalEngine("pocket", device="cpu")


@pytest.fixture
def tiny(tmp_path):
    "Make a small model of any architecture, its weights large enough that attention matters, with pocket's words."
    def make(kind: str, name: str = "tiny", **settings) -> Path:
        import torch
        from transformers import AutoConfig, AutoModelForCausalLM
        sizes = dict(bos_token_id=None, eos_token_id=0, pad_token_id=0, hidden_size=64, intermediate_size=96,
                     num_hidden_layers=2, num_attention_heads=4, num_key_value_heads=2, head_dim=32,
                     vocab_size=1100, max_position_embeddings=512)
        torch.manual_seed(0)
        config = AutoConfig.for_model(kind, **sizes | settings)
        model = AutoModelForCausalLM.from_config(config)
        for weight in model.parameters(): weight.data += 0.2*torch.randn(weight.shape)  # biases and norms, too
        model.save_pretrained(tmp_path/name)
        for file in model_folder("pocket").glob("tokenizer*"): shutil.copy(file, tmp_path/name)
        return tmp_path/name
    return make


# What is in a file

def test_a_file_holds_the_weights_and_words_of_its_model(tmp_path, pocket):
    from transformers import AutoModelForCausalLM
    file = convert("pocket", tmp_path/"new"/"pocket.gguf", "f32")
    read = AutoModelForCausalLM.from_pretrained(file.parent, gguf_file=file.name, dtype="float32").state_dict()
    mine = pocket.model.state_dict()
    assert set(read) == set(mine) and all(read[name].equal(mine[name]) for name in mine)
    fields = gguf.GGUFReader(file).fields
    words = fields["tokenizer.ggml.tokens"].contents()
    assert len(words) == 1024 and [words.index(t) for t in ("Ġreturn", "<|fim_middle|>")] == (
        pocket.tokenizer.convert_tokens_to_ids(["Ġreturn", "<|fim_middle|>"])
    )
    assert fields["tokenizer.ggml.eos_token_id"].contents() == 0
    assert not fields["tokenizer.ggml.add_bos_token"].contents()
    assert [path.name for path in file.parent.iterdir()] == [file.name]


@pytest.mark.parametrize("kind, settings", [
    ("llama", dict(tie_word_embeddings=False, attention_bias=True, rope_parameters=dict(
        rope_type="llama3", rope_theta=1e4, factor=8.0, low_freq_factor=1.0, high_freq_factor=4.0,
        original_max_position_embeddings=64))),
    ("llama", dict(tie_word_embeddings=True, rope_parameters=dict(rope_type="linear", rope_theta=1e4, factor=2.0))),
    ("qwen2", dict(hidden_size=128, tie_word_embeddings=False,
                   rope_parameters=dict(rope_type="default", rope_theta=1e6))),
    ("qwen3", dict(tie_word_embeddings=True, rope_parameters=dict(
        rope_type="yarn", rope_theta=1e4, factor=4.0, original_max_position_embeddings=128))),
])
def test_llama_cpp_computes_what_transformers_does(tiny, tmp_path, pocket, kind, settings):
    folder = tiny(kind, **settings)
    prompts = pocket.encode([PROMPTS[0]*8, PROMPTS[1]])
    with served(convert(folder, tmp_path/"tiny.gguf", "f32")) as ask: there = written(ask, prompts)
    here = likeliest(load(folder, "cpu")[0], prompts, [0])
    assert there == here and len({token for row in here for token in row}) > 10


@pytest.mark.parametrize("cuts, whole", PRE)
def test_texts_are_cut_as_the_tokenizer_cuts_them(tiny, tmp_path, cuts, whole):
    folder = tiny("llama")
    steps = [{"byte level": dict(type="ByteLevel", add_prefix_space=False, trim_offsets=True, use_regex=True),
              r"\p{N}": dict(type="Digits", individual_digits=True)}.get(cut) or
             dict(type="Split", pattern=dict(Regex=cut), behavior="Isolated", invert=False) for cut in cuts]
    if "byte level" not in cuts:
        steps.append(dict(type="ByteLevel", add_prefix_space=False, trim_offsets=True, use_regex=False))
    inner = json.loads((folder/"tokenizer.json").read_text())
    inner["pre_tokenizer"] = dict(type="Sequence", pretokenizers=steps)
    inner["model"]["ignore_merges"] = whole
    (folder/"tokenizer.json").write_text(json.dumps(inner))
    tokenizer = load_tokenizer(folder)
    with served(convert(folder, tmp_path/"tiny.gguf")) as ask:
        there = {text: ask("tokenize", content=text, add_special=True) for text in TEXTS}
    here = {text: tokenizer(text)["input_ids"] for text in TEXTS}
    # the pocket model's expression is Qwen's without contractions, which llama.cpp has under no name
    odd = {TEXTS[1]} if cuts[0].startswith("[^") else set()
    assert {text for text in TEXTS if here[text] != there[text]} <= odd


def test_a_start_token_and_a_chat_template_are_kept(tiny, tmp_path):
    folder = tiny("qwen3")
    inner, outer = (json.loads((folder/name).read_text()) for name in ("tokenizer.json", "tokenizer_config.json"))
    token, texts = {"SpecialToken": {"id": "<|fim_prefix|>", "type_id": 0}}, [
        {"Sequence": {"id": name, "type_id": 0}} for name in "AB"]
    inner["post_processor"] = {
        "type": "TemplateProcessing", "single": [token, texts[0]], "pair": [token, *texts],
        "special_tokens": {"<|fim_prefix|>": {"id": "<|fim_prefix|>", "ids": [1], "tokens": ["<|fim_prefix|>"]}},
    }
    (folder/"tokenizer.json").write_text(json.dumps(inner))
    (folder/"tokenizer_config.json").write_text(json.dumps(outer | dict(bos_token="<|fim_prefix|>")))
    (folder/"chat_template.jinja").write_text("{{ messages }}")
    (folder/"generation_config.json").write_text(json.dumps(dict(eos_token_id=[0, 3])))
    file = convert(folder, tmp_path/"tiny.gguf")
    contents = {name: field.contents() for name, field in gguf.GGUFReader(file).fields.items()}
    assert contents["tokenizer.chat_template"] == "{{ messages }}"
    assert [contents[f"tokenizer.ggml.{name}_token_id"] for name in ("bos", "eos", "eot")] == [1, 0, 3]
    with served(file) as ask: assert ask("tokenize", content="def", add_special=True)[0] == 1


def test_few_bits_keep_most_of_a_text(tmp_path, pocket):
    prompts = pocket.encode(PROMPTS)
    here, sizes = likeliest(pocket.model, prompts, [0]), {}
    for kind, same in (("f16", 0.9), ("q8_0", 0.75), ("q4_0", 0.05)):
        file = convert("pocket", tmp_path/f"{kind}.gguf", kind)
        with served(file) as ask: there = written(ask, prompts)
        assert np.mean(np.array(there) == np.array(here)) >= same, kind
        sizes[kind] = file.stat().st_size
    assert sizes["f16"] > 1.6*sizes["q8_0"] > 1.6*sizes["q4_0"]


# What is refused

def test_what_cannot_be_written_is_one_line(tiny, tmp_path, message):
    out = tmp_path/"out.gguf"
    refused = lambda name, **settings: message(convert, tiny(name, **settings), out)
    text = refused("gemma", num_key_value_heads=4)
    assert "architecture gemma is not written" in text and "convert_hf_to_gguf.py" in text
    assert "sliding window" in refused("qwen3", use_sliding_window=True, sliding_window=64)
    assert "heads of another width" in refused("qwen2")
    assert "activation gelu" in refused("llama", hidden_act="gelu")
    assert "positions scaled by dynamic" in refused(
        "llama", rope_parameters=dict(rope_type="dynamic", rope_theta=1e4, factor=2.0))
    assert "1024 tokens, its embedding table 1000" in refused("llama", vocab_size=1000)
    folder = tiny("llama")
    inner = json.loads((folder/"tokenizer.json").read_text())
    for change, reason in (
        (dict(pre_tokenizer=dict(type="Whitespace")), "no byte-level BPE"),
        (dict(normalizer=dict(type="Lowercase")), "cuts texts in a way"),
        (dict(pre_tokenizer=dict(type="ByteLevel", add_prefix_space=True, trim_offsets=True)), "cuts texts in a way"),
    ):
        (folder/"tokenizer.json").write_text(json.dumps(inner | change))
        assert reason in message(convert, folder, out)
    assert not out.exists() and not list(tmp_path.glob(".*"))


def test_places_that_cannot_be_used_are_one_line(tmp_path, message):
    (tmp_path/"there.gguf").touch()
    assert "exists already" in message(convert, "pocket", tmp_path/"there.gguf")
    assert "not a folder" in message(convert, "pocket", tmp_path/"there.gguf"/"x.gguf")
    assert "exists already" in message(convert, "pocket", tmp_path)
    assert "no such folder" in message(convert, tmp_path/"none", tmp_path/"x.gguf")
    assert "a model is a folder" in message(convert, tmp_path/"there.gguf", tmp_path/"x.gguf")
    assert "type q5 is not known" in message(convert, "pocket", tmp_path/"x.gguf", "q5")


def test_the_command(workspace):
    done = CliRunner().invoke(app, ["gguf", "pocket", "pocket.gguf", "--type", "q4_0"])
    assert done.exit_code == 0 and done.output.startswith("pocket.gguf: 0.") and Path("pocket.gguf").is_file()


# One file for each checkpoint

def test_a_changed_checkpoint_is_written_anew_and_old_files_go(tiny, tmp_path):
    place, folder = tmp_path/"kept", tiny("llama")
    first = kept_gguf(folder, "q8_0", place)
    bytes_, old = first.read_bytes(), first.stat().st_ino
    assert kept_gguf(shutil.copytree(folder, tmp_path/"copy"), "q8_0", place).stat().st_ino == old
    assert kept_gguf(tiny("llama", intermediate_size=64), "q8_0", place) != first and first.read_bytes() == bytes_
    for age, path in enumerate(place.iterdir()): os.utime(path, (age, age))
    for kind in ("f32", "f16", "q4_0"): newest = kept_gguf(folder, kind, place)
    assert len(list(place.iterdir())) == KEPT and newest.is_file() and not first.exists()


# Served for us

def test_an_adapter_through_server_command(tmp_path, monkeypatch):
    import torch
    from peft import LoraConfig, get_peft_model
    torch.manual_seed(0)
    lora = LoraConfig(r=4, target_modules="all-linear", init_lora_weights=False)
    get_peft_model(load("pocket", "cpu")[0], lora).save_pretrained(tmp_path/"adapter")
    monkeypatch.setenv("PATH", os.defpath)  # without a llama-server
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    command = f"{SERVE} --type f32 --parallel 4 --cache {tmp_path/'kept'}"
    settings = ServerSettings(command=command, concurrency=3, wait=120)
    with RemoteEngine(tmp_path/"adapter", settings, log=tmp_path/"log") as remote:
        assert {name for name, has in remote.can.items() if has} == {
            "temperature", "n", "seed", "stop", "token prompts", "same text"}
        assert remote.scoring == "local" and remote.most == 4
        way = dict(temperature=0, max_new_tokens=30, stop=("\n#", "\n\n"))
        here, there = ([[(s.text, s.finished, s.tokens) for s in row] for row in engine.sample(PROMPTS, **way)]
                       for engine in (remote.local(), remote))
        assert there == here
        drawn = remote.sample(PROMPTS[:2], 6, temperature=1.0, max_new_tokens=12, seed=1)
        assert [len(row) for row in drawn] == [6, 6] and len({s.text for row in drawn for s in row}) > 6


def test_draws_are_those_of_this_process(tmp_path, pocket):
    "Temperature first, then top-p: the other way round the nucleus would be another."
    import torch
    ids = pocket.encode(["def "])[0]
    with torch.inference_mode(): logits = pocket.model(torch.tensor([ids])).logits[0, -1].double()
    def nucleus(temperature: float) -> set[int]:
        shares, order = torch.softmax(logits/temperature, -1).sort(descending=True)
        return set(order[:int((shares.cumsum(0) < 0.5).sum()) + 1].tolist())
    with served(convert("pocket", tmp_path/"pocket.gguf", "f32")) as ask:
        fields = dict(n_predict=1, temperature=3.0, top_p=0.5, return_tokens=True, samplers=SAMPLERS.split(";"))
        drawn = {ask("completion", prompt=ids, seed=seed, **fields)[0] for seed in range(300)}
    assert drawn <= nucleus(3.0) and len(drawn) > 2*len(nucleus(1.0))


def test_llama_cpps_own_program_is_told_the_same(tmp_path):
    way = Namespace(port=1, parallel=8, context=512, threads=1, type="f32")
    words = " ".join(binary_command("llama-server", tmp_path/"x.gguf", way))
    for wanted in ("--parallel 8", "--ctx-size 4096", "--threads 1", f"--samplers {SAMPLERS}", "--special",
                   "--cache-type-k f32", "--flash-attn off"):
        assert wanted in words
