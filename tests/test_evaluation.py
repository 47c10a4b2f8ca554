"Edges of pass@k, its intervals, and the HumanEval format."
import ast
import gzip
import json
from fractions import Fraction
from math import comb
from pathlib import Path

import numpy as np
import pytest

from evoselfcode.config import Config
from evoselfcode.errors import UserError
from evoselfcode.evaluation import humaneval, passk, suite
from evoselfcode.evaluation.benchmark import check
from evoselfcode.evaluation.humaneval import OwnProblems
from evoselfcode.execution.execution import Limits
from evoselfcode.io_utils import write_jsonl

# pass@k and intervals

@pytest.mark.parametrize("n", [1, 2, 5, 12])
def test_pass_at_k_equals_the_exact_fraction(n):
    for k in range(1, n + 1):
        exact = [float(1 - Fraction(comb(n - c, k), comb(n, k))) for c in range(n + 1)]
        assert np.allclose(passk.pass_at_k(n, np.arange(n + 1), k), exact, atol=1e-12)


def test_pass_at_k_shapes_and_large_numbers():
    assert passk.pass_at_k([8, 10, 200], [0, 10, 1], 8).shape == (3,)
    assert isinstance(passk.pass_at_k(8, 2, 1), float)
    assert passk.pass_at_k(10**6, 1, 5000) == pytest.approx(0.005, rel=1e-6)
    assert passk.pass_at_k([], [], 3).shape == (0,)


@pytest.mark.parametrize("n, c, k", [(8, 1, 9), (8, 1, 0), (8, 9, 1), (8, -1, 1), ([8, 3], [1, 1], 4)])
def test_pass_at_k_refuses_the_impossible(n, c, k):
    with pytest.raises(UserError): passk.pass_at_k(n, c, k)


def test_bootstrap_is_seeded_and_close_to_the_normal_interval():
    values = np.random.default_rng(1).normal(0.5, 0.1, size=3000)   # larger than one block of resamples
    mean, low, high = passk.bootstrap(values, resamples=2000, seed=3)
    error = values.std() / np.sqrt(3000)
    assert mean == pytest.approx(values.mean())
    assert (high - low) / (2 * 1.96 * error) == pytest.approx(1, abs=0.08)
    assert passk.bootstrap(values, 2000, 3) == (mean, low, high) != passk.bootstrap(values, 2000, 4)


def test_bootstrap_of_equal_problems_has_no_width():
    assert passk.bootstrap([0.25] * 9) == (0.25, 0.25, 0.25)
    for bad in ([], [[0.1, 0.2]]):
        with pytest.raises(UserError): passk.bootstrap(bad)


def test_paired_bootstrap_counts_and_direction():
    rise = passk.paired_bootstrap([0, 0.5, 1, 1], [1, 0.5, 1, 0.5])
    assert rise.difference == pytest.approx(0.125) and (rise.gained, rise.lost) == (1, 1)
    back = passk.paired_bootstrap([1, 0.5, 1, 0.5], [0, 0.5, 1, 1])
    assert back.difference == -rise.difference
    assert (back.low, back.high) == pytest.approx((-rise.high, -rise.low), abs=0.05)
    assert passk.paired_bootstrap([1, 0], [1, 0]) == (0, 0, 0, 0, 0)
    with pytest.raises(UserError): passk.paired_bootstrap([1, 0], [1, 0, 1])


def test_paired_is_narrower_than_unpaired_when_problems_differ():
    hard = np.random.default_rng(0).uniform(size=300)
    paired = passk.paired_bootstrap(hard, hard + 0.01)
    _, low, high = passk.bootstrap(hard)
    assert paired.high - paired.low < 1e-9 < high - low


def test_wealth_is_the_same_in_the_end_whatever_the_order():
    before, after = np.random.default_rng(0).integers(0, 9, (2, 5, 40)) / 8
    one, other = (passk.wealth(before, after, seed) for seed in (1, 2))
    assert one.shape == (5, 40) and not np.allclose(one, other) and (one > 0).all()
    assert np.allclose(one[:, -1], other[:, -1]) and np.array_equal(one, passk.wealth(before, after, 1))
    assert np.allclose(one[3], passk.wealth(before[3], after[3], 1)), "games by themselves"
    assert np.allclose(passk.wealth([1, 0], [1, 0]), 1) and np.isfinite(passk.wealth([0] * 5000, [1] * 5000)[-1])
    better = passk.wealth(before, np.minimum(after + 1 / 8, 1), 1)
    assert (better >= one).all(), "whoever solves more has more"
    for bad in ([], [0, 1]):
        with pytest.raises(UserError): passk.wealth(bad, [0] * 3 * bool(bad))


@pytest.mark.parametrize("samples", [1, 8])
def test_a_loop_without_gains_finds_one_in_at_most_one_of_twenty(samples):
    "1,000 loops, four equal models each, rounds against Model0 until one is kept: what is promised is 5 %."
    rng = np.random.default_rng(samples)
    ability = rng.beta(.4, .9, (1000, 60))
    start, *rounds = (rng.binomial(samples, ability) / samples for _ in range(4))
    spent, found, greedy = 0.0, np.zeros(1000, dtype=bool), np.zeros(1000, dtype=bool)
    for k, after in enumerate(rounds):
        bar = passk.asked(.05, spent, 3 - k)
        found |= passk.wealth(start, after).max(axis=1) >= bar
        greedy |= after.mean(axis=1) > start.mean(axis=1)
        spent += 1 / bar
    assert spent == pytest.approx(.05) and found.mean() <= .05 < .6 < greedy.mean()
    assert passk.asked(.05, spent, 1) > 1e6, "nothing is left"


# problems

def problem(task="T/0", name="double", prompt=None, body="    return 2 * x\n", test=None):
    return dict(task_id=task, entry_point=name, canonical_solution=body,
                prompt=prompt or f'def {name}(x: int) -> int:\n    """Double x."""\n',
                test=test or "def check(candidate):\n    assert candidate(2) == 4\n    assert candidate(0) == 0\n")


def test_load_plain_and_gzipped(tmp_path):
    records = [problem(), problem("T/1", "triple")]
    write_jsonl(tmp_path / "p.jsonl", records)
    (tmp_path / "p.jsonl.gz").write_bytes(gzip.compress((tmp_path / "p.jsonl").read_bytes()))
    assert humaneval.load_problems(tmp_path / "p.jsonl") == records
    assert humaneval.load_problems(str(tmp_path / "p.jsonl.gz")) == records


@pytest.mark.parametrize("suffix", [".jsonl", ".jsonl.gz"])
@pytest.mark.parametrize("records, said", [
    ([problem(), problem()], "listed twice"),
    ([], "no records"),
    ([{k: v for k, v in problem().items() if k != "test"}], "test"),
])
def test_load_refuses_bad_files(tmp_path, suffix, records, said):
    text = "".join(json.dumps(r) + "\n" for r in records).encode()
    path = tmp_path / f"p{suffix}"
    path.write_bytes(gzip.compress(text) if suffix.endswith("gz") else text)
    with pytest.raises(UserError, match=said): humaneval.load_problems(path)


def test_load_names_the_file(tmp_path):
    (tmp_path / "torn.jsonl.gz").write_bytes(gzip.compress(b'{"task_id": 1}' * 99)[:-9])
    (tmp_path / "odd.jsonl.gz").write_bytes(gzip.compress(b"{not json}\n"))
    for name in ("torn.jsonl.gz", "odd.jsonl.gz", "none.jsonl"):
        with pytest.raises(UserError, match=name): humaneval.load_problems(tmp_path / name)


@pytest.mark.parametrize("prompt, description, signature", [
    ('def f(x):\n    """One\n    two.\n    """\n', "One\ntwo.", "def f(x):\n"),
    ('import re\n\n\n@cache\ndef f(\n    x: str,\n) -> str:\n    """Größe."""\n', "Größe.",
     "import re\n\n\n@cache\ndef f(\n    x: str,\n) -> str:\n"),
    ('def f(x: "ä"): "One line."\n', "One line.", 'def f(x: "ä"):\n'),
    ('def f(x):\n    """>>> f(1)\n    2\n    """\n', ">>> f(1)\n2", "def f(x):\n"),
    ('def f(x):\n'
     '    """Add one.\n\n'
     '    For example:\n'
     '    >>> f(1)\n'
     '    2\n\n'
     '    >>> f(2)\n'
     '    3\n\n'
     '    Never fails.\n'
     '    """\n', "Add one.\n\nNever fails.", "def f(x):\n"),
    ('def f(x):\n    """Example: f(1) is 2."""\n', "Example: f(1) is 2.", "def f(x):\n"),
    ("def f(x):\n", "", "def f(x):\n"),
    ('def f(x):\n    import math\n    """Late words."""\n', "Late words.", "def f(x):\n"),
    ("def f(x):\n    1\n    ...\n", "", "def f(x):\n"),
    ('def g(x):\n    return x\n\ndef f(x):\n    """Call g."""\n', "Call g.", "def g(x):\n    return x\n\ndef f(x):\n"),
])
def test_description_and_signature(prompt, description, signature):
    given = problem(name="f", prompt=prompt)
    assert humaneval.problem_description(given) == description
    assert humaneval.problem_signature(given) == signature


def test_a_prompt_must_hold_its_function():
    for prompt in ("def other(x):\n    pass\n", "not python at all:\n"):
        with pytest.raises(UserError, match="T/0"): humaneval.problem_description(problem(prompt=prompt))


def test_prompt_styles():
    given = problem()
    assert humaneval.problem_prompt(given, "native") == given["prompt"]
    assert humaneval.problem_prompt(given) == "# Double x.\ndef double(x: int) -> int:\n"
    with pytest.raises(UserError, match="chat"): humaneval.problem_prompt(given, "chat")


# the cut

@pytest.mark.parametrize("text, kept", [
    ("    return x\n", "    return x\n"),
    ("    return x\n\n\ndef g():\n    pass\n", "    return x\n"),
    ("    return x\nprint(f(1))", "    return x\n"),
    ("    return x\ny = 2\n", "    return x\n"),
    ("    s = '''\nclasses\n'''\n    return s\n", "    s = '''\nclasses\n'''\n    return s\n"),
    ("    # first\n    def inner():\n        return 1\n\n    return inner()\n\n    # last\n",
     "    # first\n    def inner():\n        return 1\n\n    return inner()\n"),
    ("    for x in xs:\n        y = x\n    return sum(", "    for x in xs:\n        y = x\n"),
    ("    return '\\d'\n", "    return '\\d'\n"),
])
def test_cut_body(text, kept):
    assert humaneval.cut_body(text) == kept


@pytest.mark.parametrize("text", ["return x\n", "", "    )(\n", "\x00", "(" * 300])
def test_cut_leaves_what_is_no_body(text):
    assert humaneval.cut_body(text) == text


def test_cut_is_idempotent_on_real_bodies():
    import textwrap
    bodies = []
    for module in (textwrap, ast):
        source = open(module.__file__).read()
        functions = [node for node in ast.parse(source).body if isinstance(node, ast.FunctionDef)]
        bodies += [ast.get_source_segment(source, node) for node in functions]
    assert len(bodies) > 15
    for text in bodies:
        body = "".join(text.splitlines(keepends=True)[ast.parse(text).body[0].body[0].lineno - 1:])
        once = humaneval.cut_body(body + "\ndef more():\n    pass\n")
        assert humaneval.cut_body(once) == once
        assert ast.dump(ast.parse("def _():\n" + once)) == ast.dump(ast.parse("def _():\n" + body))


# verdicts

def test_check_keeps_order_and_fields_and_tells_the_kinds_apart():
    problems = [
        problem(),
        problem("T/1", "quad", body="    return 4 * x\n", test="def check(candidate):\n    assert candidate(1) == 4\n"),
    ]
    bodies = [
        ("T/1", "    return 4 * x\n"), ("T/0", "    return x\n"), ("T/0", "    return 2 * x\n"),
        ("T/0", "    return 1 / 0\n"), ("T/0", "  not python"), ("T/0", "    while True: pass\n"),
        ("T/0", "    import os\n    os._exit(0)\n"),
    ]
    samples = [dict(task_id=task, completion=body, sample_index=i) for i, (task, body) in enumerate(bodies)]
    results = check(OwnProblems(problems, Limits(seconds=1.0)), samples)
    assert [r["sample_index"] for r in results] == list(range(7))
    assert [r["passed"] for r in results] == [True, False, True, False, False, False, False]
    assert [r["status"] for r in results[:6]] == ["passed", "failed", "passed", "failed", "failed", "timeout"]
    assert "ZeroDivisionError" in results[3]["detail"]


def test_a_helper_of_the_prompt_is_there_for_the_tests():
    given = problem(
        name="decode",
        prompt='def encode(s: str) -> str:\n    return s[::-1]\n\ndef decode(s: str) -> str:\n    """Undo encode."""\n',
        body="    return s[::-1]\n",
        test="def check(candidate):\n    assert candidate(encode('abc')) == 'abc'\n",
    )
    benchmark = OwnProblems([given])
    assert check(benchmark, [benchmark.canonical(given)])[0]["passed"]


def test_programs_of_ones_own_problems_get_what_section_execution_grants(tmp_path):
    config = Config()
    config.paths.root, config.data.test, config.data.validation = str(tmp_path), "t.jsonl", "v.jsonl"
    config.execution.seconds, config.execution.memory_mb = 2.0, 300
    write_jsonl(tmp_path / "t.jsonl", [problem()])
    write_jsonl(tmp_path / "v.jsonl", [problem("V/0"), problem("V/1")])
    test, validation = (humaneval.own_problems(config, split) for split in ("test", "validation"))
    assert (test.set_name, validation.set_name) == ("pocket[1]", "pocket, validation[2]")
    for checker in test.checkers:
        limits = test.limits(checker)
        assert (limits.seconds, limits.memory_mb) == (2.0, 300) and limits.libraries is (checker == "official")
    assert [p.task_id for p in OwnProblems.protected(config)] == ["V/0", "V/1", "T/0"]
    config.benchmark.pocket_split = "validation"
    assert suite.open_benchmark("pocket", config).set_name == validation.set_name


# summaries

def results_of(*counts, n=8):
    return [dict(task_id=f"T/{i}", passed=j < c) for i, c in enumerate(counts) for j in range(n)]


def test_summary_counts_by_hand():
    summary = humaneval.summarise(results_of(8, 4, 0, 1), ks=(1, 8))
    assert summary["pass@1"]["mean"] == pytest.approx(13 / 32)
    assert summary["pass@8"]["mean"] == pytest.approx(3 / 4)
    assert (summary["problems"], summary["n"]) == (4, 8)
    assert summary["pass@1"]["low"] <= summary["pass@1"]["mean"] <= summary["pass@1"]["high"]
    json.dumps(summary)


def test_summary_refuses_what_it_cannot_say():
    with pytest.raises(UserError, match="pass@10"): humaneval.summarise(results_of(1, 2), ks=(1, 10))
    with pytest.raises(UserError): humaneval.summarise([])


def test_compare_matches_problems_by_name_not_by_place():
    before, after = results_of(0, 4, 8), list(reversed(results_of(2, 4, 4)))
    assert humaneval.compare(before, after).difference == pytest.approx((2 - 4) / 24)
    assert humaneval.compare(before, after)[3:] == (1, 1)
    with pytest.raises(UserError): humaneval.compare(before, results_of(1, 1))


# samples from a real model

@pytest.fixture(scope="module")
def engine():
    "A model of 20 thousand parameters that has learnt nothing."
    import torch
    from tokenizers import ByteLevelBPETokenizer
    from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast

    from evoselfcode.engine.local import LocalEngine
    bpe = ByteLevelBPETokenizer()
    bpe.train_from_iterator([Path(__file__).read_text()], vocab_size=300, special_tokens=["<|end|>"])
    tokenizer = PreTrainedTokenizerFast(tokenizer_object=bpe._tokenizer, eos_token="<|end|>", pad_token="<|end|>")
    torch.manual_seed(0)
    size = LlamaConfig(
        vocab_size=len(tokenizer), hidden_size=32, intermediate_size=64, num_hidden_layers=1, num_attention_heads=2,
        max_position_embeddings=512, eos_token_id=tokenizer.eos_token_id, pad_token_id=tokenizer.pad_token_id,
    )
    return LocalEngine(LlamaForCausalLM(size).eval(), tokenizer, device="cpu")


def settings(seed=0, **changes):
    config = Config(seed=seed)
    vars(config.evaluation).update(dict(n=2, temperature=0.8, top_p=0.95, max_new_tokens=48, batch=2) | changes)
    return config


def test_batches_can_be_repeated_alone(engine, tmp_path):
    problems = [problem(f"T/{i}", name) for i, name in enumerate(("double", "triple", "halve", "negate", "square"))]
    benchmark = OwnProblems(problems)
    everything = suite.sampled(tmp_path / "samples.jsonl", benchmark, settings(5), lambda: engine, "a model")
    wanted = [(p["task_id"], i) for p in problems for i in range(2)]
    assert [(s["task_id"], s["sample_index"]) for s in everything] == wanted
    batches = humaneval.problem_batches(problems, 2)
    assert [len(b) for _, b in batches] == [2, 2, 1]
    assert suite.ask(engine, benchmark, batches[1][1], settings(5)) == everything[4:8]
    assert suite.ask(engine, benchmark, batches[1][1], settings(6)) != everything[4:8]
    more = OwnProblems([*problems, problem("T/9", "more")])  # the name of the set has no part in it
    assert suite.ask(engine, more, batches[1][1], settings(5)) == everything[4:8]


class Interrupted:
    "An engine that is killed within its second request."
    def __init__(self, engine): self.engine, self.fits, self.asked = engine, engine.fits, 0
    def stream(self, requests, **how):
        self.asked = len(requests)
        yield next(self.engine.stream(requests, **how))
        raise KeyboardInterrupt


def test_greedy_batches_are_one_stream(engine, tmp_path):
    problems = [problem(f"T/{i}", name) for i, name in enumerate(("double", "triple", "halve", "negate", "square"))]
    def drawn(path, engine):
        given = settings(n=1, temperature=0.0)
        return suite.sampled(tmp_path / path, OwnProblems(problems), given, lambda: engine, "a model")
    first = Interrupted(engine)
    with pytest.raises(KeyboardInterrupt): drawn("killed.jsonl", first)
    assert first.asked == 3 and len((tmp_path / "killed.jsonl").read_text().splitlines()) == 2
    whole = drawn("whole.jsonl", engine)
    assert drawn("killed.jsonl", engine) == whole and [s["task_id"] for s in whole] == [p["task_id"] for p in problems]


def test_greedy_samples_are_equal_and_cut(engine):
    drawn = suite.ask(engine, OwnProblems([problem()]), [problem()], settings(1, temperature=0.0))
    assert drawn[0]["completion"] == drawn[1]["completion"] == humaneval.cut_body(drawn[0]["completion"])
