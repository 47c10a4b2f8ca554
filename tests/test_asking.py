"""One table says how models are asked; training, sampling, the round trip and evaluation all ask through it."""
import json
import re
import shutil
from dataclasses import replace
from types import SimpleNamespace

import pytest
from test_tokens import FAMILIES

from evoselfcode.config import Asking, Config, Dual, Evaluation, Iterate, Paths, load_config
from evoselfcode.engine.base import Sample
from evoselfcode.evaluation import humaneval, suite
from evoselfcode.inputs import descriptions
from evoselfcode.io_utils import read_json, read_jsonl, write_json, write_jsonl
from evoselfcode.pipeline import dual_model, filtering, iteration, sampling, train_sft
from evoselfcode.pipeline.gates import nothing_kept
from evoselfcode.pipeline.iteration import Study
from evoselfcode.prompts import (
    COMMENT,
    FENCE,
    TRIAL,
    WAYS,
    Chat,
    Comment,
    Docstring,
    Written,
    c2d_prompt,
    c2d_row,
    cut_program,
    d2c_prompt,
    d2c_row,
    end_of_turn,
    outcome,
    shortened,
    trial,
)
from evoselfcode.runs import headline
from evoselfcode.syntax import head_of, main_function, named_in, parse

CODE = "import math\n\ndef area(r: float) -> float:\n    return math.pi * r * r\n"
PAIR = dict(id="p", description="Return the area of a circle.", code=CODE, entry_point="area")
HEAD = "import math\n\ndef area(r: float) -> float:\n"


def chat(name="qwen", **asking) -> Chat: return Chat(FAMILIES[name](), Asking(**asking))


class Told:
    "An engine that answers by a function of the prompt, and keeps what it was asked."
    name, context = "told", 10**6

    def __init__(self, answer, tokenizer=None):
        self.answer, self.tokenizer, self.asked = answer, tokenizer, []

    def sample(self, prompts, n=1, stop=(), **how):
        self.asked += [(prompt, stop) for prompt in prompts]
        return [[Sample(self.answer(prompt), 9, True, 0.0)] * n for prompt in prompts]


# what the ways look like

def test_the_usual_way_is_as_it_was():
    assert COMMENT.d2c("One.") == d2c_prompt("One.") == "# One.\n"
    assert COMMENT.d2c("One.", "def f():\n") == d2c_prompt("One.", "def f():\n")
    assert COMMENT.c2d(CODE) == c2d_prompt(CODE) and COMMENT.description(" One. \n") == "One."
    assert d2c_row(COMMENT, PAIR) == dict(prompt="# Return the area of a circle.\n", completion=CODE)
    assert c2d_row(COMMENT, PAIR) == dict(prompt=c2d_prompt(CODE), completion="Return the area of a circle.")
    assert COMMENT.code("def f(x):\n    return x\n\ndef g(") == "def f(x):\n    return x\n"
    assert list(WAYS) == ["comment", "docstring", "chat"] and Config().asking.way == "auto"


def test_a_name_alone_is_begun_too():
    assert COMMENT.d2c("One.", name="one") == "# One.\ndef one("
    assert COMMENT.code("):\n    return 1\n\nx = 2\n", name="one") == "def one():\n    return 1\n"
    assert COMMENT.d2c("One.", "def f():\n", "one") == "# One.\ndef f():\n"


def test_helpers_in_a_signature_are_not_what_was_asked_for():
    signature = "def half(x):\n    return x / 2\n\ndef quarter(x):\n"
    code = COMMENT.code("    return half(half(x))\n\nprint(1)\n", signature)
    assert code == signature + "    return half(half(x))\n"


@pytest.mark.parametrize("way", ["comment", "docstring"])
@pytest.mark.parametrize("description", ['Say """hi""" \\ and\nend.', "One.", 'Ends with a quote"'])
def test_a_text_that_is_continued_stays_python(way, description):
    for signature in ("", "def f(x):\n", HEAD):
        prompt = WAYS[way]().d2c(description, signature)
        assert parse(prompt + ("    pass\n" if signature else "")) is not None
        assert prompt.endswith("\n")


def test_a_docstring_says_what_the_description_says():
    prompt = Docstring().d2c('Say "hi" \\ twice.', "def f(x):\n")
    node = parse(prompt + "    return x\n").body[0]
    assert node.body[0].value.value.strip() == 'Say "hi" \\ twice.'


@pytest.mark.parametrize("name", ["qwen", "llama", "llama3", "gemma", "mistral", "gpt2"])
def test_a_chat_prompt_is_a_message_and_an_answer_begun(name):
    way = chat(name)
    prompt = way.d2c("Return the area of a circle.", HEAD)
    assert isinstance(prompt, Written) and prompt.endswith("<|im_start|>assistant\n```python\n")
    assert "Return the area of a circle." in prompt and HEAD in prompt
    assert "`area`" in way.d2c("Return it.", name="area") and "area" not in way.d2c("Return it.")
    assert way.c2d(CODE).endswith("<|im_start|>assistant\n") and CODE.strip() in way.c2d(CODE)
    assert way.end == end_of_turn(FAMILIES[name]()) == "<|im_end|>"


def test_without_a_template_there_is_no_chat(message):
    tokenizer = SimpleNamespace(chat_template=None, name_or_path="plain")
    assert message(Chat, tokenizer).startswith("asking.way: chat needs a chat template, and the tokenizer of plain")


# what an answer is taken for

@pytest.mark.parametrize("text, name, code", [
    ("def f(x):\n    return x\n", "", "def f(x):\n    return x\n"),
    ('def f(x):\n    """Doc."""\n    return x\n\n# try\nprint(f(1))', "", "def f(x):\n    return x\n"),
    ("import os, math\n\ndef g(x):\n    return math.pi\n\ndef f(x):\n    return g(x)\n\nassert f(1)", "",
     "import os, math\n\ndef g(x):\n    return math.pi\n\ndef f(x):\n    return g(x)\n"),
    ("def f(x):\n    return g(x)\n\ndef g(x):\n    return 1\n\ndef test_f():\n    assert f(1)\n", "f",
     "def g(x):\n    return 1\n\ndef f(x):\n    return g(x)\n"),
    ("def f(x):\n    total = x\n    return total\n\ntotal = f(3)\n", "f",
     "def f(x):\n    total = x\n    return total\n"),
    ("def f(x):\n    return x\n\ndef main():\n    f(1)\n", "", "def f(x):\n    return x\n"),
    ('def f():\n    "Doc."\n', "", 'def f():\n    "Doc."\n'),
    ("def f(x):\n    y = x\n    return (y +", "f", "def f(x):\n    y = x\n"),
    ("I am sorry.", "f", "I am sorry."),
])
def test_a_program_is_cut_to_what_was_asked_for(text, name, code):
    assert cut_program(text, name) == code


def test_a_chat_answer_ends_where_its_fence_closes():
    way = chat()
    assert way.code_stops == ("\n```",)
    for text in (CODE + "```\nThis computes it.", "```python\n" + CODE, CODE):
        assert way.code(text, HEAD) == CODE
    assert way.description(" Return it. \n") == "Return it."


def test_names_and_heads():
    assert main_function("def a(): pass\ndef test_a(): pass\ndef main(): pass\n") == "a"
    assert main_function("def main(): pass\n") == "main" and main_function("x = 1") == main_function("def f(") == ""
    assert named_in("def f(x,\n      y=1) -> int:\n") == "f" and named_in(HEAD) == "area"
    assert named_in("") == named_in("x = 1\n") == named_in("class f:\n") == ""
    assert head_of(CODE, "area") == HEAD and head_of("def f(): return 1\n", "f") == head_of(CODE, "other") == ""


# training rows

@pytest.mark.parametrize("name", ["qwen", "llama3", "gemma"])
def test_a_turn_is_learned_with_its_end(name):
    way = chat(name)
    tokenizer = way.tokenizer
    d2c, c2d = d2c_row(way, PAIR), c2d_row(way, PAIR)
    assert d2c["completion"] == CODE + "```" and c2d["completion"] == PAIR["description"]
    rows = json.loads(json.dumps([d2c, c2d]))  # as they travel to a process of their own
    examples, _, left_out = train_sft.tokenise(rows, tokenizer, 2000)
    assert not left_out
    for example, row in zip(examples, (d2c, c2d)):
        learned = [i for i in example["labels"] if i != -100]
        assert tokenizer.decode(learned) == row["completion"] + "<|im_end|>"
        assert example["input_ids"].count(tokenizer.bos_token_id) <= 1
        prompt = tokenizer(row["prompt"], add_special_tokens=False).input_ids
        assert example["input_ids"] == prompt + learned


@pytest.mark.parametrize("how, given", [("none", 0), ("all", 40), ("half", None)])
def test_how_many_rows_give_the_signature_is_a_key(how, given):
    pairs = [PAIR | dict(description=f"Task {i}.") for i in range(40)]
    for way in (Comment(None, Asking(signatures=how)), Docstring(None, Asking(signatures=how)), chat(signatures=how)):
        rows = train_sft.d2c_rows(pairs, way)
        shown = [HEAD in row["prompt"] for row in rows]
        assert sum(shown) == given if given is not None else 8 < sum(shown) < 32
        assert rows == train_sft.d2c_rows(pairs, way)
        if way.whole: assert {row["completion"] for row in rows} == {CODE + "```"}
        else: assert all((HEAD if s else "") + row["completion"] == CODE for s, row in zip(shown, rows))


def test_one_rule_shortens_what_is_too_long():
    assert shortened("short", 100) == "short"
    long = "".join(f"line {i}\n" for i in range(1000))
    cut = shortened(long, 200)
    assert len(cut) <= 200 and cut.startswith("line 0\n") and cut.endswith("line 999\n") and "\n...\n" in cut
    assert all(line == "..." or line in long.split("\n") for line in cut.split("\n"))
    assert len(shortened("x" * 1000, 200)) <= 200
    for way in (Comment(None, Asking(max_description=100)), chat(max_description=100)):
        row = d2c_row(way, PAIR | dict(description="word " * 500))
        assert "word word" in row["prompt"] and "..." in row["prompt"] and len(row["prompt"]) < 600
    assert "# ..." in Comment(None, Asking(max_code=100)).c2d(CODE * 20)


# the same way everywhere

def test_sampling_the_round_trip_and_evaluation_ask_alike():
    way, signature = chat(), "def f(r: float) -> float:\n"
    engine = Told(lambda prompt: CODE.replace("area", "f"), way.tokenizer)
    wanted = [dict(id="x", description=PAIR["description"], signature=signature)]
    found, = sampling.sample(engine, wanted, replace(Config().sampling, n=1), way=way)
    assert found["entry_point"] == "f" and found["code"] == CODE.replace("area", "f")
    back = dual_model.try_back(engine, [PAIR], Dual(round_trip_n=1), way=way)
    assert back[0]["share"] == 1.0
    problem = dict(task_id="t", prompt=f'{signature}    """{PAIR["description"]}"""\n', entry_point="f",
                   canonical_solution="", test="def check(candidate): assert candidate(0) == 0\n")
    own = humaneval.OwnProblems([problem]).asked_by(way)
    sample, = suite.ask(Asked(engine), own, [problem], Config(evaluation=Evaluation(n=1, ks=[1])))
    assert len({asked for asked in engine.asked}) == 1 and engine.asked[0][1] == ("\n```",)
    namespace = {}
    exec(problem["prompt"] + sample["completion"], namespace)
    assert namespace["f"](1) > 3 and own.prompt_name(False) == "chat"
    assert humaneval.OwnProblems([problem]).prompt_name(False) == "d2c"


class Asked:
    "What `suite.ask` wants of an engine."
    def __init__(self, engine): self.engine, self.tokenizer, self.name = engine, engine.tokenizer, "m"
    def fits(self, prompt): return True
    def stream(self, requests, n, **how):
        for prompts, seed in requests: yield self.engine.sample(prompts, n, seed=seed, **how)


def test_c2d_is_asked_in_the_way_too():
    way = chat()
    engine = Told(lambda prompt: "Return the area.\n", way.tokenizer)
    found = dual_model.describe(engine, [PAIR], 1, way=way)
    assert engine.asked == [(way.c2d(CODE), way.words_stops)] and found[0]["description"] == "Return the area."


def test_a_description_may_bring_a_signature(tmp_path, message):
    path = tmp_path / "d.jsonl"
    write_jsonl(path, [dict(description="One."), dict(description="One.", signature="def one(x: int) -> int")])
    plain, given = descriptions(path, {})
    assert "signature" not in plain and plain["id"] != given["id"]
    assert given["signature"] == "def one(x: int) -> int:\n" and given["entry_point"] == "one"
    write_jsonl(path, [dict(description="One.", signature="one(x)")])
    assert "`signature` begins no function" in message(descriptions, path, {})


def test_benchmarks_follow_the_key():
    from evoselfcode.evaluation.suite import in_messages
    public, own = SimpleNamespace(chats=True), SimpleNamespace(chats=False)
    assert not in_messages(public, load_config()) and in_messages(public, load_config(None, ["benchmark.chat=true"]))
    assert in_messages(public, load_config(None, ["asking.way=chat"]))
    assert not in_messages(own, load_config(None, ["asking.way=chat"]))


# the trial

def answers(good: str):  # an engine that knows one way
    bodies = {task.description: task.code for task in TRIAL}
    def answer(prompt):
        which = "chat" if prompt.endswith(FENCE) else "docstring" if '"""' in prompt else "comment"
        code = next((code for words, code in bodies.items() if words in prompt), "")
        if not code: return "It takes a number and tells what becomes of it."
        if which != good: return "```\nI am sorry, but I cannot."
        return code if code.split("\n")[0] not in prompt or good == "chat" else code.split("\n", 1)[1]
    return answer


def right(programs):
    spaces = [{} for _ in programs]
    for (code, _, _), space in zip(programs, spaces):
        try: exec(code, space)
        except Exception: pass
    return [name in space and bool(eval(test, space)) for (_, name, test), space in zip(programs, spaces)]


@pytest.mark.parametrize("good", list(WAYS))
def test_a_trial_finds_the_way_that_works(good):
    tokenizer = FAMILIES["qwen"]()
    ways = [WAYS[name](tokenizer) for name in WAYS]
    rows = trial(Told(answers(good)), ways, right)
    best, = (row for row in rows if row["chosen"])
    assert best["way"] == good and best["holds"] == best["right"] == best["usable"] == 10 and len(best["answers"]) == 10
    assert all(row["holds"] == 0 for row in rows if row is not best)
    line = outcome(rows)
    assert line.startswith(f"asked by {good} (10 of 10 answers hold the function") and "\n" not in line


def test_the_trials_problems_are_right():
    assert len(TRIAL) == 10 and all(right([(t.code, named_in(t.signature), re.sub(r"\bf\(", f"{named_in(t.signature)}(",
                                           t.test))])[0] for t in TRIAL)


# a study

def study(workspace, iteration=0, **changes):
    config = Config(run="r", paths=Paths(root=str(workspace)), evaluation=Evaluation(n=2, ks=[1], bootstrap=100))
    for key, value in changes.items(): setattr(config, key, value)
    return Study(config, iteration)


@pytest.fixture
def talking(workspace):
    "The pocket model with a chat template."
    from evoselfcode.engine.loading import model_folder
    folder = workspace / "talking"
    shutil.copytree(model_folder("pocket"), folder)
    (folder / "chat_template.jinja").write_text(FAMILIES["gpt2"]().chat_template)
    return folder


def test_the_pocket_model_costs_no_trial(workspace, monkeypatch, message):
    monkeypatch.setattr(Study, "engine", lambda *_, **__: pytest.fail("a model was loaded"))
    first = study(workspace)
    assert first.asking() == [] and first.way.name == "comment" and first.asked == {}
    assert not (first.folder / "asking.jsonl").exists()
    assert "chat needs a chat template" in message(study, workspace, asking=Asking(way="chat"))


def test_a_trial_is_made_once_per_run(workspace, talking, monkeypatch):
    rows = [dict(way=name, holds=10, ends=9, right=8, usable=7, chosen=name == "chat") for name in WAYS]
    calls = []
    monkeypatch.setattr(iteration, "trial", lambda *_: calls.append(1) or rows)
    monkeypatch.setattr(Study, "engine", lambda *_, **__: SimpleNamespace(tokenizer=FAMILIES["gpt2"]()))
    model = dict(model=str(talking))
    assert study(workspace, **model).way.name == "chat" and study(workspace, **model).way.name == "chat"
    assert len(calls) == 1 and read_jsonl(workspace / "data/generated/r/iter-000/asking.jsonl") == rows
    write_json(workspace / "data/generated/r/iter-000/metrics.json", dict(iteration=0, best=True, decision="start"))
    later = study(workspace, 1, **model)
    assert later.way.name == "chat" and later.asked == dict(asking=dict(way="chat")) and len(calls) == 1
    (workspace / "data/generated/r/iter-000/asking.jsonl").unlink()
    assert study(workspace, 1, **model).way.name == "comment", "an earlier version asked like this"


def test_a_checkpoint_is_asked_as_it_was_taught(workspace, talking, monkeypatch):
    config = Config(paths=Paths(root=str(workspace)))
    engine = lambda: SimpleNamespace(tokenizer=FAMILIES["gpt2"]())
    way = lambda config=config: suite.way_of(config, str(talking), engine, "mark").name
    rows = [dict(way=name, holds=1, ends=1, right=1, usable=1, chosen=name == "docstring") for name in WAYS]
    monkeypatch.setattr(suite, "trial", lambda *_: rows)
    monkeypatch.setattr(suite, "load_tokenizer", lambda _: engine().tokenizer)
    assert way() == "docstring" and way(replace(config, asking=Asking(way="chat"))) == "chat"
    for made, name in (dict(asking="chat"), "chat"), ({}, "comment"):
        write_json(talking / "training.json", dict(made_from=made, summary={}))
        assert way() == name
    assert suite.way_of(config, "pocket", engine, "mark").name == "comment"


# a study that cannot learn

HEADED = dict(task_id="t/1", entry_point="f", prompt='def f(x):\n    """Add one."""\n')


@pytest.mark.parametrize("text, completion, why", [
    ("```\n\nThis function adds.", None, "no function in the answer"), ("", None, "no function in the answer"),
    ("    return x +* 1\n", None, "does not parse"),
    ("    y = x\n    return (y +", "    y = x\n", "ends in the middle"),
    ("    return x - 1\n", None, "wrong answers"),
    ("I am sorry.", "\nI am sorry.", "no function in the answer"),
    ("def g(x):\n    return x\n", "\ndef g(x):\n    return x\n", "no function in the answer"),
    ("def f(x):\n    return x\n", "\ndef f(x):\n    return x\n", "wrong answers"),
    ("def f(x):\n    return x +* 1\n", "\ndef f(x):\n    return x +* 1\n", "does not parse"),
    ("def f(x):\n    return [x for", "\ndef f(x):\n    return [x for", "ends in the middle"),
])
def test_what_is_wrong_with_an_answer(text, completion, why):
    row = dict(passed=False, text=text, completion=text if completion is None else completion)
    assert humaneval.fault(HEADED, row) == why and humaneval.fault(HEADED, row | dict(passed=True)) == ""


def test_a_model_that_solves_nothing_is_told_with_its_answers(workspace, caplog):
    one = study(workspace)
    tasks = [task for its in one.benchmarks("validation").values() for task in its.by_task][:12]
    rows = [dict(task_id=t, completion="```\nNo.", text="```\nNo.", passed=False) for t in tasks for _ in range(2)]
    write_jsonl(one.folder / "results_base_validation.jsonl", rows)
    with caplog.at_level("WARNING"): found = one.told_at_zero("the base model", "base_validation")
    assert found["reasons"] == {"no function in the answer": 24} and len(found["answers"]) == 10
    assert found["answers"][0] == dict(task_id=tasks[0], text="```\nNo.", reason="no function in the answer")
    write_jsonl(one.folder / "results_base_validation.jsonl", [rows[0] | dict(passed=True), *rows[1:]])
    assert one.told_at_zero("the base model", "base_validation") == {}
    assert set(iteration.HELP) == {humaneval.NO_FUNCTION, humaneval.NO_PYTHON, humaneval.IN_THE_MIDDLE, humaneval.WRONG}


@pytest.mark.parametrize("code, why", [
    ("", "no function in the answer"), ("def f(:\n", "does not parse"), ("def f(): return 1\n", "wrong answers"),
])
def test_an_answer_to_a_benchmark_of_whole_programs_is_told_too(code, why):
    from types import SimpleNamespace
    assert iteration.fault_in(SimpleNamespace(field="solution"), "Mbpp/1", dict(solution=code)) == why


def test_what_took_everything_is_told():
    records = [dict(kept=False, dropped_by=gate) for gate in ("syntax", "entry_point", "entry_point")]
    line = nothing_kept(records, filtering.ADVICE)
    assert line.startswith("none of 3 kept; dropped by entry_point 2, syntax 1. To change: asking.way")
    assert nothing_kept(records + [dict(kept=True, dropped_by="")], filtering.ADVICE) == nothing_kept([], {}) == ""
    assert set(filtering.ADVICE) == {*filtering.GATES, "agreement", "selection"}
    assert set(dual_model.ADVICE) == set(dual_model.ROUND_TRIP)


def finished(workspace, number, best, decision, pairs=()):
    folder = workspace / f"data/generated/r/iter-{number:03d}"
    score = {"pass@1": dict(mean=0.5, low=0.4, high=0.6)}
    write_json(folder / "metrics.json", dict(
        iteration=number, best=best, decision=decision, evaluation=dict(validation=score, test=score)))
    write_jsonl(folder / "results_validation.jsonl", [dict(task_id="t", completion="", text="", passed=True)])
    if number: write_jsonl(folder / "pairs.jsonl", list(pairs))
    for direction in ("d2c", "c2d"):
        write_json(workspace / f"checkpoints/r/iter-{number:03d}/{direction}/training.json",
                   dict(made_from={}, summary=dict(rows=3, steps=4, loss=0.5)))


@pytest.mark.parametrize("patience, decision", [(2, "nothing new"), (1, "stop")])
def test_a_round_without_new_pairs_is_not_trained(workspace, monkeypatch, patience, decision):
    monkeypatch.setattr(Study, "engine", lambda *_, **__: pytest.fail("a model was loaded"))
    finished(workspace, 0, True, "start")
    one = study(workspace, 1, dual=Dual(forward=False, backward=False), iterate=Iterate(patience=patience))
    assert one.train("d2c") == one.train("c2d") == dict(rows=3, steps=4, loss=0.5)
    assert one.trained_folder("d2c") == workspace / "checkpoints/r/iter-000/d2c" and not (one.models / "d2c").exists()
    metrics = one.finish()
    assert (metrics["decision"], metrics["best"], metrics["models_of"]) == (decision, False, 0)
    assert metrics["evaluation"] == read_json(workspace / "data/generated/r/iter-000/metrics.json")["evaluation"]
    assert headline(metrics).endswith(f": {decision}")
    from evoselfcode.reporting import report
    run = report.load_run(one.run)
    assert len(report.overview(run)) == 2 and report.decisions(run).decision.iloc[-1] == decision
    assert report.verdict(run) and report.ending(run) and len(report.trained_on(run)) == 2


def test_what_a_kept_round_brought_is_nothing_new_either(workspace):
    pair = dict(id="a", description="d", code="c", entry_point="f", source="forward", iteration=1, parents=[], model="")
    finished(workspace, 0, True, "start")
    finished(workspace, 1, True, "best", [pair])
    two = study(workspace, 2)
    for pairs, nothing in ([pair], True), ([pair, pair | dict(code="e")], False), ([], True):
        write_jsonl(two.folder / "pairs.jsonl", pairs)
        assert two.nothing_new is nothing


def test_names_become_functions_in_messages_too():
    from evoselfcode.config import Functions
    from evoselfcode.datagen.functions import draw_functions, generate_functions
    from evoselfcode.engine.base import cut_at
    asked = []

    class Writer:
        name = "writer"
        def sample(self, prompts, n=1, stop=(), over=None, **how):
            asked.extend(prompts)
            texts = ["(x: int) -> int:\n" if prompt.endswith("def twice") else
                     'Return twice the number.\n    """\n    return 2 * x\n```\nThat is it.' for prompt in prompts]
            cuts = [text[:cut_at(prompt, text, stop, over)] for prompt, text in zip(prompts, texts)]
            return [[Sample(text, 9, True, 0.0)] for text in cuts]

    way = chat()
    sample, = draw_functions(Writer(), ["twice"], Functions(), way=way)
    assert sample.text == 'def twice(x: int) -> int:\n    """Return twice the number.\n    """\n    return 2 * x\n'
    assert all(prompt.startswith("<|im_start|>user\n") and "`twice`" in prompt for prompt in asked)
    kept, dropped = generate_functions(Writer(), [dict(id="n", name="twice", source="l2r")], Functions(), way=way)
    assert [pair["description"] for pair in kept] == ["Return twice the number."] and not dropped


@pytest.mark.parametrize("text, name, told", [
    ("The function `whole_weeks` takes days.", "whole_weeks", "The function takes days."),
    ("This function, whole_weeks, counts.", "whole_weeks", "This function counts."),
    ("`whole_weeks(days)` counts.", "whole_weeks", "It counts."),
    ("Call whole_weeks() twice.", "whole_weeks", "Call twice."),
    ("The inner one.", "inner", "The inner one."), ("The `inner` one.", "inner", "The one."), ("Count.", "", "Count."),
])
def test_a_description_does_not_name_its_function(text, name, told):
    assert chat().description(f" {text}\n", name) == told and COMMENT.description(text, name) == text
