"""What a model sees is what transformers' own way gives: start and end tokens, chat templates, training rows.

For each family of tokenizers."""
from types import SimpleNamespace

import pytest
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, processors, trainers
from transformers import PreTrainedTokenizerFast

from evoselfcode.engine.base import Written, prompt_ids
from evoselfcode.engine.local import LocalEngine
from evoselfcode.engine.remote import RemoteEngine
from evoselfcode.errors import UserError
from evoselfcode.evaluation.suite import as_text
from evoselfcode.pipeline.train_sft import tokenise

TEXTS = [
    "def f(x):\n    return x + 1\n",
    "# Return the sum of all numbers.\n",
    "Hello world, write a function",
    "user assistant system",
] * 20
MARKED = (
    "{% for m in messages %}<|im_start|>{{ m.role }}\n{{ m.content }}<|im_end|>\n{% endfor %}"
    "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)
STARTED = "{{ bos_token }}" + MARKED
STRICT = "{% if messages[0].role == 'system' %}{{ raise_exception('System role not supported') }}{% endif %}" + STARTED
TURNS = (
    "{% for m in messages %}{% if (m.role == 'user') != (loop.index0 % 2 == 0) %}"
    "{{ raise_exception('Roles must alternate') }}{% endif %}{% endfor %}"
) + STARTED
SPECIAL = ["<s>", "</s>", "<|im_start|>", "<|im_end|>", "<PRE>", "<SUF>", "<MID>"]


def family(around="$A", template=MARKED, bytes_=True, **names):
    "A small tokenizer, trained on a few lines; `around`: what it puts before and behind a text."
    made = Tokenizer(models.BPE(byte_fallback=not bytes_))
    if bytes_:
        made.pre_tokenizer, made.decoder = pre_tokenizers.ByteLevel(add_prefix_space=False), decoders.ByteLevel()
        alphabet = pre_tokenizers.ByteLevel.alphabet()
    else:
        made.pre_tokenizer = pre_tokenizers.Metaspace(prepend_scheme="first")
        made.decoder = decoders.Metaspace(prepend_scheme="first")
        alphabet = sorted({*"".join(TEXTS), "▁"})
    trainer = trainers.BpeTrainer(vocab_size=400, special_tokens=SPECIAL, initial_alphabet=alphabet)
    made.train_from_iterator(TEXTS, trainer)
    if around != "$A":
        ids = [(t, made.token_to_id(t)) for t in ("<s>", "</s>")]
        made.post_processor = processors.TemplateProcessing(single=around, special_tokens=ids)
    names = dict(bos_token="<s>", eos_token="</s>", pad_token="</s>") | names
    return PreTrainedTokenizerFast(tokenizer_object=made, chat_template=template, **names)


FAMILIES = dict(
    gpt2=lambda: family(bos_token=None), qwen=lambda: family(bos_token=None, eos_token="<|im_end|>"),
    llama=lambda: family("<s> $A", STARTED, bytes_=False), llama3=lambda: family("<s> $A", STARTED),
    gemma=lambda: family("<s> $A", STRICT), mistral=lambda: family("<s> $A", TURNS),
    no_start_in_template=lambda: family("<s> $A"), t5=lambda: family("$A </s>"),
    bert=lambda: family("<s> $A </s>", STARTED),
)


@pytest.fixture(params=FAMILIES)
def tokenizer(request): return FAMILIES[request.param]()


def own(tokenizer, messages):
    return tokenizer.apply_chat_template(messages, add_generation_prompt=True, return_dict=False)


def asked(tokenizer, messages):
    return prompt_ids(tokenizer, [as_text(SimpleNamespace(tokenizer=tokenizer, name="model"), messages)])[0]


def test_a_chat_prompt_is_what_transformers_makes(tokenizer):
    turns = [dict(role=role, content=role) for role in ("user", "assistant", "user")]
    for messages in ([dict(role="user", content="Hello world")], turns):
        ids = asked(tokenizer, messages)
        assert ids == own(tokenizer, messages) and ids.count(tokenizer.bos_token_id) <= 1


def test_an_answer_may_be_begun(tokenizer):
    messages = [dict(role="user", content="Hello"), dict(role="assistant", content="def f")]
    wanted = tokenizer.apply_chat_template(messages, continue_final_message=True, return_dict=False)
    assert asked(tokenizer, messages) == wanted


@pytest.mark.parametrize("name", ["gemma", "mistral"])
def test_a_system_message_goes_into_the_first_one_where_a_template_knows_none(name):
    tokenizer, qwen = FAMILIES[name](), FAMILIES["qwen"]()
    system, user = dict(role="system", content="Be short."), dict(role="user", content="Write f.")
    assert asked(tokenizer, [system, user]) == own(tokenizer, [user | dict(content="Be short.\n\nWrite f.")])
    assert asked(qwen, [system, user]) == own(qwen, [system, user])


def test_a_template_that_refuses_all_is_one_line():
    with pytest.raises(UserError, match="the chat template of model: Roles must alternate"):
        asked(FAMILIES["mistral"](), [dict(role="user", content="a"), dict(role="user", content="b")])


def test_a_text_gets_the_start_token_once_and_no_end(tokenizer):
    def plain(text): return tokenizer(text, add_special_tokens=False).input_ids
    start = [tokenizer.bos_token_id] if tokenizer("x").input_ids[0] == tokenizer.bos_token_id else []
    for text in ("def f(x):\n", "", "<PRE>def f<SUF>return<MID>", "a </s> b", "ends </s>"):
        assert prompt_ids(tokenizer, [text, "x", text]) == [start + plain(t) for t in (text, "x", text)]
    if start: assert prompt_ids(tokenizer, ["<s>def f"]) == [plain("<s>def f")]
    assert prompt_ids(tokenizer, [Written("<s>x")]) == [plain("<s>x")] and prompt_ids(tokenizer, []) == []


def test_training_rows_end_once_and_begin_as_prompts_do(tokenizer):
    row = dict(prompt="# Return x.\n", completion="def f(x):\n    return x + 1\n")
    (example,), cut, left_out = tokenise([row], tokenizer, 512)
    prompt, = prompt_ids(tokenizer, [row["prompt"]])
    answer = [*tokenizer(row["completion"], add_special_tokens=False).input_ids, tokenizer.eos_token_id]
    assert example == dict(input_ids=prompt + answer, labels=[-100] * len(prompt) + answer, weights=1.0)
    assert (cut, left_out) == (0, 0)


def test_the_engine_asks_and_scores_by_the_same_tokens(tokenizer):
    engine = LocalEngine.__new__(LocalEngine)
    engine.tokenizer, engine.start = tokenizer, tokenizer.eos_token_id
    engine.name, engine.context = "model", 99
    prompts = ["def f(x):\n", "# Return x.\n"]
    assert engine.encode(prompts) == prompt_ids(tokenizer, prompts)
    assert engine.fits("x " * 20) and not engine.fits("x " * 200)


@pytest.mark.parametrize("by_ids", [True, False])
def test_a_server_is_sent_tokens_where_it_would_make_others_of_the_text(tokenizer, by_ids):
    remote = RemoteEngine.__new__(RemoteEngine)
    remote.tokenizer, remote.start = tokenizer, 0
    remote.settings, remote.family = SimpleNamespace(fim="text"), None
    remote.can = {"token prompts": by_ids}
    chat = as_text(SimpleNamespace(tokenizer=tokenizer, name="m"), [dict(role="user", content="Hello")])
    for prompt in ("def f(x):\n", chat):
        ids = prompt_ids(tokenizer, [prompt])[0]
        sent = remote.fields_of(prompt, ids)["prompt"]
        made = sent if isinstance(sent, list) else tokenizer(sent).input_ids
        if by_ids: assert made == ids
        else: assert made.count(tokenizer.bos_token_id) <= 1 and isinstance(sent, str)
