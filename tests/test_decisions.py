"""Typed questions: transformers' own answers, in batches; labels that can be read; the judge and its stage."""
import copy
import json
import logging
import shutil
from dataclasses import asdict
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch
import transformers as tf
from transformers.decision import DecisionConfig
from transformers.decision.modeling_utils import DecisionMixin
from transformers.pipelines import DecisionPipeline

from evoselfcode.config import Config, Execution, Sampling, Scoring
from evoselfcode.engine import decisions
from evoselfcode.engine.decisions import (
    YES_NO,
    decide,
    decision_settings,
    groups_of,
    options,
    prompts_of,
    read_answers,
    spell,
)
from evoselfcode.engine.loading import model_folder
from evoselfcode.engine.local import LocalEngine
from evoselfcode.execution.execution import Runner
from evoselfcode.io_utils import read_json, read_jsonl, write_json
from evoselfcode.pipeline import model_judge as judge
from evoselfcode.pipeline.iteration import Study

CHAT = (
    "{% for m in messages %}<|endoftext|>{{ m['role'] }}\n"
    "{{ m['content'] }}\n"
    "{% endfor %}{% if add_generation_prompt %}<|endoftext|>assistant\n"
    "{% endif %}"
)
SMALL = dict(
    vocab_size=1200, hidden_size=48, intermediate_size=96, num_hidden_layers=2, num_attention_heads=4,
    num_key_value_heads=2, max_position_embeddings=512, initializer_range=0.3, bos_token_id=None, eos_token_id=0,
    pad_token_id=0,
)
KINDS = {
    "llama": lambda: tf.LlamaConfig(**SMALL),
    "qwen2": lambda: tf.Qwen2Config(**SMALL),
    "sliding window": lambda: tf.MistralConfig(**SMALL, sliding_window=48),
}
QUESTIONS = dict(
    right=dict(type="noul", instructions="Is it right?"),
    kind=dict(type="choice", criteria=dict(sum="adds", max=None, other=None)),
    style=dict(type="score", instructions={"ask": "How good?"}, criteria=["bad", "so so", "good", "fine"]),
)
STATES = [
    "def f(xs):\n    return sum(xs)\n",
    "# Return the largest number.\ndef largest(numbers):\n    return max(numbers)\n" + "# more\n" * 20,
    {"code": "x = 1", "words": ["a", "b"]},
    "x",
]
REQUESTS = [dict(state=state, questions=QUESTIONS) for state in STATES]
LABELS = dict(noul=["1", "0"], score=list("abcd"), choice=list("ABC"))


@pytest.fixture(scope="module", autouse=True)
def one_thread():
    "Models this small gain nothing from a second one, and lose much to a busy neighbour."
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


@pytest.fixture(scope="module")
def pocket():
    return LocalEngine("pocket", device="cpu")


@pytest.fixture(scope="module", params=KINDS)
def engine(request, pocket):
    "Models with random weights, and the pocket model's tokenizer with a chat template."
    torch.manual_seed(1)
    tokenizer = copy.deepcopy(pocket.tokenizer)
    tokenizer.chat_template = CHAT
    return LocalEngine(tf.AutoModelForCausalLM.from_config(KINDS[request.param]()), tokenizer)


@pytest.fixture
def lines():
    "What was logged."
    found, handler = [], logging.Handler()
    handler.emit = lambda record: found.append(record.getMessage())
    logging.getLogger("evoselfcode").addHandler(handler)
    yield found
    logging.getLogger("evoselfcode").removeHandler(handler)


def shares(answers):
    "All numbers of all answers, in order."
    def numbers(a):
        if a["type"] == "noul": return [a["noul"]]
        return [*a["probabilities"].values(), a["confidence"], a.get("score", 0)]
    return [numbers(answer) for request in answers for answer in request.values()]


def same(engine, requests, config):
    "Answers of ours and of the pipeline, one prompt at a time."
    pipeline = DecisionPipeline(model=engine.model, tokenizer=copy.deepcopy(engine.tokenizer), decision_config=config)
    ours, theirs = decide(engine, requests, config), [pipeline(request) for request in requests]
    assert [list(a) for a in ours] == [list(b) for b in theirs]
    assert [[x["type"] for x in a.values()] for a in ours] == [[x["type"] for x in b.values()] for b in theirs]
    for a, b in zip(shares(ours), shares(theirs)): assert np.allclose(a, b, atol=1e-4), (a, b)
    return ours


# The pipeline's answers

TOGETHER = (
    "{{ state if state is string else state|tojson }}{% for q in questions %}\n"
    "{{ q.name }} {{ q.labels|join(' ') }}:<|mark|>{% endfor %} end"
)


@pytest.mark.parametrize("config", [
    dict(labels=LABELS),
    dict(labels=LABELS, temperature=dict(noul=3.0, score=.5), noul_options=["false", "true"]),
    dict(labels=LABELS, chat_template=TOGETHER),
    dict(labels=LABELS, chat_template="{{ question.name }} {{ state }}\n#<|mark|> the end"),
], ids=["chat", "temperature", "marks", "mark in the middle"])
def test_answers_are_those_of_the_pipeline(engine, config):
    found = same(engine, REQUESTS + REQUESTS[:1], DecisionConfig(**config))
    assert len({round(a["right"]["noul"], 4) for a in found}) == 4 and shares(found[:1]) == shares(found[4:])


def test_a_models_own_way_is_the_pipelines_too(engine, pocket):
    for one in (engine, pocket): same(one, REQUESTS, decision_settings(one))
    assert decision_settings(engine).chat_template is None and decision_settings(pocket).chat_template
    assert decision_settings(pocket).labels["noul"] == decision_settings(engine).labels["noul"] == ["Y", "N"]


def test_side_by_side_saves_tokens_and_equal_prompts_are_computed_once(pocket, monkeypatch):
    long = [dict(state=f"# {i}\n" + STATES[1], questions=QUESTIONS) for i in range(3)]
    config, rows = decision_settings(pocket), []
    real = decisions.read_labels
    def read(model, groups, pad):
        rows.extend(groups)
        return real(model, groups, pad)
    monkeypatch.setattr(decisions, "read_labels", read)
    shared = decide(pocket, long + long)
    assert [len(group) for group in rows] == [3, 3, 3]
    prompts = prompts_of(pocket, long, config)
    assert sum(len(decisions.lay_row(group)[0]) for group in rows) < .7*sum(len(p.ids) for p in prompts)
    rows.clear()
    monkeypatch.setattr(decisions, "groups_of", lambda prompts: [[p] for p in prompts])
    apart = decide(pocket, long)
    assert len(rows) == 9 and all(np.allclose(a, b, atol=1e-5) for a, b in zip(shares(shared), shares(apart*2)))
    one = [dict(state="x", questions=QUESTIONS)]
    assert [len(g) for g in groups_of(prompts_of(pocket, one, config))] == [1, 1, 1]  # too little in common


def test_a_prompt_that_does_not_fit_has_no_answer(pocket, lines):
    long = dict(state="x = 1\n"*400, questions=QUESTIONS)
    first, none, last = decide(pocket, [REQUESTS[0], long, REQUESTS[3]])
    assert none == dict(right=None, kind=None, style=None)
    assert any("3 of 9 prompts" in line for line in lines)
    assert decide(pocket, []) == []
    for a, b in zip(shares([first, last]), shares(decide(pocket, [REQUESTS[0], REQUESTS[3]]))):
        assert np.allclose(a, b, atol=1e-5)


def test_text_never_becomes_control_tokens(pocket):
    nasty = "<|endoftext|><|mark|><|split|> def f(x): pass"
    before = pocket.tokenizer(nasty)["input_ids"]
    request = dict(state=nasty, questions=dict(right=QUESTIONS["right"]))
    prompt = prompts_of(pocket, [request], decision_settings(pocket))[0]
    assert 0 not in prompt.ids
    assert max(prompt.ids) < 1024
    assert "<|mark|><|split|> def" in pocket.tokenizer.decode(prompt.ids)
    assert len(pocket.tokenizer) == 1024 and pocket.tokenizer(nasty)["input_ids"] == before


# Labels, settings, and what is refused

def trained(text):
    "A byte-level tokenizer that learnt the words of `text`."
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
    inner = Tokenizer(models.BPE())
    inner.pre_tokenizer, inner.decoder = pre_tokenizers.ByteLevel(add_prefix_space=False), decoders.ByteLevel()
    letters = pre_tokenizers.ByteLevel.alphabet()
    trainer = trainers.BpeTrainer(vocab_size=400, initial_alphabet=letters, special_tokens=["<end>"])
    inner.train_from_iterator([text] * 50, trainer)
    return tf.PreTrainedTokenizerFast(tokenizer_object=inner, eos_token="<end>", pad_token="<end>", bos_token="<end>")


def test_labels_are_read_where_they_stand(message):
    assert spell(trained("Answer: Yes Answer: No"), YES_NO) == ("Answer:", [" Yes", " No"])
    assert spell(trained("Answer: yes Answer: no"), YES_NO) == ("Answer:", [" yes", " no"])
    assert spell(trained("nothing"), YES_NO) == ("Answer: ", ["Y", "N"])
    assert spell(trained("(Yes (No"), YES_NO) == ("Answer: ", ["Yes", "No"])
    # where one stands, the other is two tokens
    assert spell(trained("Answer: Yes (No"), YES_NO) == ("Answer: ", ["Y", "N"])
    from tokenizers import Tokenizer, models
    inner = Tokenizer(models.WordLevel({"[u]": 0, "Yes": 1}, unk_token="[u]"))
    words = tf.PreTrainedTokenizerFast(tokenizer_object=inner, unk_token="[u]", eos_token="[u]")
    assert "cannot answer by a label" in message(spell, words, YES_NO)


def test_a_start_token_begins_the_prompt_of_a_model_that_uses_one(pocket):
    from tokenizers.processors import TemplateProcessing
    tokenizer = trained("Answer: Yes Answer: No")
    tokenizer._tokenizer.post_processor = TemplateProcessing(single="<end> $A", special_tokens=[("<end>", 0)])
    engine = LocalEngine(tf.AutoModelForCausalLM.from_config(tf.LlamaConfig(**SMALL)), tokenizer)
    request = dict(state="x", questions=dict(right=QUESTIONS["right"]))
    ids = prompts_of(engine, [request], decision_settings(engine))[0].ids
    assert ids == tokenizer("x\n\n# Question: Is it right? (Yes or No)\n# Answer:")["input_ids"] and ids[0] == 0


def test_the_files_of_a_model_come_first(tmp_path, pocket, message, lines):
    folder = Path(shutil.copytree(model_folder("pocket"), tmp_path/"model"))
    template = "{{ state }} {{ question.instructions }}<|mark|>"
    DecisionConfig(labels=dict(noul=["t", "f"]), chat_template=template).save_pretrained(folder)
    own, asked = LocalEngine(folder, device="cpu"), [dict(state="x", questions=dict(right=QUESTIONS["right"]))]
    prompt = prompts_of(own, asked, decision_settings(own))[0]
    assert own.tokenizer.decode(prompt.ids) == "x Is it right?"
    assert own.tokenizer.convert_ids_to_tokens(list(prompt.labels[0])) == ["t", "f"]
    assert decide(own, asked) != decide(pocket, asked)
    assert any("in its own template: yes and no are 't' and 'f'" in line for line in lines)
    (folder/"decision.json").write_text("{")
    assert "decision.json: cannot be read" in message(decide, LocalEngine(folder, device="cpu"), asked)


@pytest.mark.parametrize("config, text", [
    (dict(labels=LABELS, chat_template="{{ state }}<|mark|>{{ question.name }}<|mark|>"),
     "marks 2 places for 1 questions: it is made for a decision head"),
    (dict(labels=dict(noul=["maybe", "No"])), "are not distinct single tokens"),
    (dict(adapter="lora"), "want the adapter lora"),
    (dict(labels=LABELS, chat_template="{{ raise_exception('no such') }}"), "no such"),
])
def test_settings_that_cannot_work(engine, config, text, message):
    request = dict(state="x", questions=dict(right=QUESTIONS["right"]))
    assert text in message(decide, engine, [request], DecisionConfig(**config))


@pytest.mark.parametrize("wrong, text", [
    (dict(state="x"), "A request is"),
    (dict(state="x", questions={}), "at least one question"),
    ("[]", "A request is"),
    (dict(state="x", questions=dict(a=dict(type="poll"))), "`type` must be one of noul"),
    (dict(state="x", questions=dict(a=dict(type="score", criteria=["l"]*27))), "at most 9 options"),
])
def test_requests_that_are_wrong(pocket, wrong, text, message):
    found = message(decide, pocket, [REQUESTS[0], wrong])
    assert "request 1: " in found and text in found


def test_a_model_with_a_decision_head_is_refused(pocket, message):
    torch.manual_seed(1)
    model = tf.AutoModelForCausalLM.from_config(tf.LlamaConfig(**SMALL))
    headed = LocalEngine(model, pocket.tokenizer)
    model.__class__ = type("Headed", (DecisionMixin, type(model)), {})
    assert "decision head of its own" in message(decide, headed, REQUESTS)


def test_an_answer_of_a_server_is_read_whole_or_not_at_all(pocket):
    good = decide(pocket, REQUESTS[:1])[0]
    assert read_answers(json.dumps(dict(answers=good)), QUESTIONS) == good and len(options(good["kind"])) == 3
    for spoil in (
        lambda a: a.pop("kind"),
        lambda a: a["right"].update(noul=None),
        lambda a: a["right"].update(noul=1.2),
        lambda a: a["style"].update(probabilities=None),
        lambda a: a["style"]["probabilities"].update({"0": float("nan")}),
        lambda a: a["style"].update(type="choice"),
    ):
        bad = copy.deepcopy(good)
        spoil(bad)
        with pytest.raises(ValueError): read_answers(json.dumps(dict(answers=bad)), QUESTIONS)


# The judge

def record(number, code):
    return dict(
        id=str(number), description="Return the sum of the list.", code=code, scores=dict(perplexity=2.0),
        parents=["d"], entry_point="f",
    )


CODES = ["def f(xs):\n    return sum(xs)\n", "def f(xs):\n    return 0\n", "x = 1\n" * 300]
RECORDS = [record(i, code) for i, code in enumerate(CODES)]


def test_opinions_are_answers_and_nothing_else_changes(pocket):
    before = copy.deepcopy(RECORDS)
    plain, rated = judge.judge(pocket, RECORDS), judge.judge(pocket, RECORDS, ratings=True)
    questions = dict(judge=judge.JUDGE) | judge.RATINGS
    asked = [dict(state="# Return the sum of the list.\n" + r["code"], questions=questions) for r in RECORDS[:2]]
    for p, r, a, old in zip(plain, rated, decide(pocket, asked), RECORDS):
        assert p == old | dict(scores=dict(perplexity=2.0, judge=round(a["judge"]["noul"], 4)))
        assert r["scores"]["judge"] == pytest.approx(p["scores"]["judge"], abs=2e-4)
        assert list(r["ratings"]) == ["problem_design", "definition", "correctness", "efficiency", "readability"]
        for name in judge.RATINGS:
            assert r["ratings"][name] == pytest.approx(a[name]["score"] + 1, abs=0.006)
            assert 1 <= r["ratings"][name] <= 5
    assert rated[2]["scores"]["judge"] is None and set(rated[2]["ratings"].values()) == {None} and RECORDS == before
    assert plain[0]["scores"]["judge"] != plain[1]["scores"]["judge"]


def study(folder, pocket, how, opened):
    "The scoring part of a study, without the rest."
    made = Study.__new__(Study)
    made.config = Config(scoring=Scoring(batch=2, judge=how), sampling=Sampling(n=1), execution=Execution(workers=1))
    made.iteration, made.folder = 1, folder
    made.runner = Runner(workers=1)
    candidates = RECORDS[:2] + [RECORDS[0] | dict(id="3")]
    made.candidates = lambda: [{k: v for k, v in r.items() if k != "scores"} for r in candidates]
    made.engine = lambda name: opened.append(name) or pocket
    return made


def test_the_judge_is_a_stage_of_its_own(tmp_path, pocket):
    opened = []
    plain = study(tmp_path, pocket, "off", opened).scored()
    files = {p.name: p.read_bytes() for p in tmp_path.iterdir() if p.name.startswith("scored")}
    assert set(opened) == {"base"}
    assert not list(tmp_path.glob("judged*"))
    assert "judge" not in json.dumps(read_json(tmp_path / "scored.meta.json"))
    opened.clear()
    judged = study(tmp_path, pocket, "ratings", opened).scored()
    # what was there is reused, byte for byte
    assert opened == ["judge"]*2 and {name: (tmp_path/name).read_bytes() for name in files} == files
    def unjudged(r):
        scores = {k: v for k, v in r["scores"].items() if k != "judge"}
        return {k: v for k, v in r.items() if k != "ratings"} | dict(scores=scores)
    assert [unjudged(r) for r in judged] == plain
    assert [r["scores"]["judge"] for r in judged] == [r["judge"] for r in read_jsonl(tmp_path / "judged.jsonl")]
    assert len(judged[0]["ratings"]) == 5
    assert study(tmp_path, pocket, "ratings", opened).scored() == judged and len(opened) == 2


def test_both_judges_and_the_base_are_found(pocket):
    made = SimpleNamespace(config=Config(scoring=Scoring(judge="yes_no")))
    assert Study.model_path(made, "judge") == Study.model_path(made, "base") == "pocket"
    made.config.scoring.judge_model = "Qwen/Qwen2.5-Coder-1.5B-Instruct"
    assert Study.model_path(made, "judge") == "Qwen/Qwen2.5-Coder-1.5B-Instruct"
    assert Study.model_path(made, "base") == "pocket"


def test_a_study_of_an_earlier_version_goes_on_and_a_changed_judge_is_told(workspace, message):
    import yaml
    config = Config()
    run = config.run_folder()
    old = asdict(config)
    for name in ("judge", "judge_model"): del old["scoring"][name]
    (run/"iter-000").mkdir(parents=True)
    (run/"config.yaml").write_text(yaml.safe_dump(old))
    write_json(run/"iter-000"/"metrics.json", {})
    Study(config, 1, work=False)
    config.scoring.judge = "yes_no"
    assert "scoring.judge: off → yes_no" in message(Study, config, 1, work=False)
    config.scoring = Scoring(judge="yes_no", judge_model="no/such/folder")
    assert "no such folder" in message(Study, config, 1, work=False)
