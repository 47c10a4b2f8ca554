"""Names and functions invented by the model: what is kept, what is dropped and why, and when drawing stops."""
import ast
import builtins
import keyword
import re

import pytest
import torch
import transformers as tf
from hypothesis import given, settings
from hypothesis import strategies as st

from evoselfcode.config import Functions, Names
from evoselfcode.datagen.functions import (
    BROKEN,
    cut_function,
    draw_functions,
    function_end,
    generate_functions,
    idle,
    make_pair,
    no_description,
    state,
)
from evoselfcode.datagen.names import (
    arm_table,
    choose_arms,
    entropy,
    generate_names,
    name_batches,
    name_prompt,
    name_records,
    refusal,
    yield_table,
)
from evoselfcode.engine.base import Sample
from evoselfcode.engine.fim import probe
from evoselfcode.engine.local import LocalEngine


@pytest.fixture(scope="module")
def pocket():
    return LocalEngine("pocket", device="cpu")


@pytest.fixture(scope="module")
def blank(pocket):
    "The pocket architecture with random weights: it cannot fill in the middle, and writes nonsense."
    torch.manual_seed(0)
    return LocalEngine(tf.AutoModelForCausalLM.from_config(pocket.model.config), pocket.tokenizer)


@pytest.fixture(scope="module")
def names(pocket):
    return generate_names(pocket, Names(number=60, batch=100), seed=1)


# Names

@pytest.mark.parametrize("name,why", [
    ("count_vowels", ""), ("_private_sum", ""), ("is_prime2", ""), ("a"*65, ""), ("a"*66, "not a name"),
    ("ab", "not a name"), ("CountVowels", "not a name"), ("9lives", "not a name"), ("two words", "not a name"),
    ("naïve_sum", "not a name"), ("sum_of\n", "not a name"), ("", "not a name"), ("x.y_z", "not a name"),
    ("sorted", "keyword or builtin"), ("lambda", "keyword or builtin"), ("match", "keyword or builtin"),
    ("__import__", "keyword or builtin"), ("solve", "weak"), ("_solve_", "weak"), ("process", "weak"),
    ("my_func", "weak"), ("test_function", "weak"), ("_____", "weak"), ("x_1", "weak"), ("seen_before", "duplicate"),
])
def test_which_names_are_kept(name, why):
    assert refusal(name, {"seen_before"}) == why


@pytest.mark.parametrize("arm", ["fim", "l2r"])
def test_names_are_enough_different_and_usable(pocket, arm):
    found = generate_names(pocket, Names(number=50, batch=64, arm=arm), seed=2)
    words = [record["name"] for record in found]
    assert len(words) == len(set(words)) == 50 and {record["source"] for record in found} == {arm}
    assert len({record["id"] for record in found}) == 50 and {record["model"] for record in found} == {"pocket"}
    for word in words:
        assert re.fullmatch("[a-z_][a-z0-9_]{2,64}", word)
        assert not keyword.iskeyword(word)
        assert not hasattr(builtins, word)
        ast.parse(f"def {word}(): pass")


def test_more_names_begin_with_the_same_names(pocket, names):
    assert generate_names(pocket, Names(number=25, batch=100), seed=1) == names[:25]
    assert generate_names(pocket, Names(number=25, batch=100), seed=2) != names[:25]


def test_drawing_stops_when_it_runs_dry(pocket):
    batches = list(name_batches(pocket, Names(number=10**6, batch=250, floor=1000), seed=1))
    assert sum(b.drawn for b in batches) == 1000
    table = yield_table(batches)
    reasons = [why for why in ("not a name", "keyword or builtin", "weak", "duplicate") if why in table]
    assert (table.drawn == table.new + table[reasons].sum(axis=1)).all()
    assert (table["yield"] == 1000*table.new/table.drawn).all() and table["yield"].iloc[-1] < table["yield"].iloc[0]
    greedy = list(name_batches(pocket, Names(number=50, batch=300, temperature=0), seed=1))
    assert sum(b.drawn for b in greedy) == 1200 and len(greedy[0].new) <= 1 and greedy[0].entropy == 0


def test_both_arms_take_turns_and_are_compared(pocket):
    asked = Names(number=120, batch=100, arm="both")
    batches = list(name_batches(pocket, asked, seed=3))
    assert [b.arm for b in batches[:4]] == ["fim", "l2r", "fim", "l2r"]
    for arm in ("fim", "l2r"):
        names = [name for b in batches if b.arm == arm for name in b.new]
        assert len(names) == len(set(names))                                 # new to the arm, whatever the other drew
    records = name_records(batches, asked.number, "pocket")
    assert len({r["name"] for r in records}) == len(records) == 120
    table = arm_table(batches).set_index("arm")
    assert table.new["fim"] == sum(len(b.new) for b in batches if b.arm == "fim")
    assert table.drawn["l2r"] == 100 * sum(b.arm == "l2r" for b in batches)
    fim = {name for b in batches if b.arm == "fim" for name in b.new}
    l2r = {name for b in batches if b.arm == "l2r" for name in b.new}
    assert table["found by others, too"]["l2r"] == f"{len(fim & l2r)/table.new['l2r']:.0%}"


@pytest.mark.parametrize("at", [0, 1, 3])
def test_drawing_goes_on_as_if_it_had_not_stopped(pocket, at):
    asked = Names(number=90, batch=30, arm="both", topics=["strings", "numbers"])
    whole = list(name_batches(pocket, asked, seed=4))
    assert [b.topic for b in whole[:5]] == ["strings", "strings", "numbers", "numbers", "strings"]
    assert list(name_batches(pocket, asked, seed=4, earlier=whole[:at])) == whole[at:] != []


def test_a_topic_stands_above_the_context():
    assert name_prompt("# an algorithm\n", topic="graphs") == "# graphs\n# an algorithm\ndef"


def test_the_arm_follows_the_model_and_the_settings(pocket, blank):
    family = probe(pocket).family
    assert choose_arms(pocket, Names(arm="l2r"))[0] == {"l2r": None}
    assert choose_arms(pocket, Names(arm="fim"))[0] == {"fim": family} and family is not None
    assert choose_arms(pocket, Names(arm="both"))[0] == {"fim": family, "l2r": None}
    arms, reason = choose_arms(pocket, Names())
    counts = [int(count) for count in re.findall(r"(\d+) of 100", reason)]
    assert len(counts) == 2 and ("fim" in arms) == (counts[0] >= counts[1]) and len(arms) == 1 and "\n" not in reason
    arms, reason = choose_arms(blank, Names())
    assert arms == {"l2r": None} and "left to right" in reason
    assert choose_arms(blank, Names(arm="fim"))[0] == {"fim": probe(blank).family}
    by_hand = Names(arm="fim", fim_tokens=[family.prefix, family.suffix, family.middle])
    assert choose_arms(pocket, by_hand)[0]["fim"].name == "as given"
    assert len(generate_names(pocket, by_hand)) == by_hand.number


def test_entropy():
    assert entropy([]) == 0 and entropy("aaaa") == 0 and entropy("abcd") == 2 and 0 < entropy("aaab") < 1


# Functions

BODIES = [
    "    return 1\n",
    "    x = 1\n    return x\n",
    "    for i in range(3):\n        pass\n    return i\n",
    '    t = """\nat the margin\n"""\n    return t\n',
    "    if x:\n        return (1,\n2)\n    return 0\n",
    "    def inner():\n        return 2\n    return inner()\n",
]
AFTERWARDS = ["", "\n", "\n\nprint(f(1))", "def g(", "\nclass A:\n  x", "# note\n", "x = [1,", "@", "\n\n\"\"\"text"]


@given(body=st.sampled_from(BODIES), after=st.sampled_from(AFTERWARDS))
@settings(deadline=None)
def test_what_follows_a_function_is_cut_off(body, after):
    source = f"def f(x):\n{body}"
    assert cut_function(source + after) == (source, "")


@given(body=st.sampled_from(BODIES), data=st.data())
@settings(deadline=None)
def test_a_text_cut_off_by_the_limit_never_passes_for_whole(body, data):
    source = f"def f(x):\n{body}"
    at = data.draw(st.integers(0, len(source) - 1))
    function, why = cut_function(source[:at], finished=False)
    assert function is None and why == "truncated"


@pytest.mark.parametrize("text", [
    "", "x = 1\n", "def f(:\n    pass\n", "def f(x):\n", "def f(x):\n    y = = 1\n    return y\n",
    "class A:\n    pass\n", "def f(x):\n    return 1\n  return 2\n", "def f(x):\n    return 1\n        return 2\n",
    "\0", "def f(x):\n    return '\n",
])
def test_what_is_no_function_is_refused(text):
    assert cut_function(text) == (None, "syntax")


@pytest.mark.parametrize("body,does", [
    ("pass", True), ("...", True), ("raise NotImplementedError", True), ("raise NotImplementedError('later')", True),
    ("return 1", False), ("raise ValueError", False), ("x += 1\n    pass", False),
])
def test_idle(body, does):
    assert idle(f"def f(x):\n    {body}\n") == does


@pytest.mark.parametrize("text, end", [
    ("    return x\n\n\ny = 1", "    return x\n\n\n"), ("    return x\n@cache\n", "    return x\n"),
    ("    return x\n", None), ("    return x\n\n", None), ("    return x", None), ('    y = """\nprint(1)\n', None),
    ('    y = """\nprint(1)\n"""\nprint(2)', '    y = """\nprint(1)\n"""\n'), ("    y = [\n1,\n]\n", None),
    ("    if x:\n", None), ("    if x:\ny\n", "    if x:\ny\n"), ("    y = x\n# a remark\n    return y\n", None),
    ("    try: return 1\n", None), ("    return x +\n", "    return x +\n"),
    ("\tx = 1\n        y = 2\n", "\tx = 1\n        y = 2\n"), ("    return '\0'\n", "    return '\0'\n"),
])
def test_a_function_is_over_when_the_parser_says_so(text, end):
    found = function_end("def f(x):\n", text)
    assert (None if found is None else text[:found]) == end
    for size in range(len(text)):  # it grows: what is over stays so, and nothing ends before its time
        early = function_end("def f(x):\n", text[:size])
        assert early is None or early == found


def test_real_functions_are_never_thought_broken_while_they_grow():
    import inspect
    import statistics
    import textwrap
    for function in vars(statistics).values():
        if not inspect.isfunction(function) or function.__module__ != "statistics": continue
        lines = textwrap.dedent(inspect.getsource(function)).splitlines(keepends=True)
        assert all(state("".join(lines[:size])) != BROKEN for size in range(len(lines) + 1))
        if lines[0].startswith("def"):
            assert function_end(lines[0], "".join(lines[1:]) + "x = 1") == sum(map(len, lines[1:]))


def test_rows_leave_their_batch_when_their_function_is_over(pocket):
    free = draw_functions(pocket, ["count_vowels", "squares"]*4, Functions(max_new_tokens=150), seed=3)
    assert all(s.finished and cut_function(s.text)[1] == "" for s in free)
    prompt, steps = "def squares(numbers):\n", []
    def over(prompt, text):
        steps.append(text)
        return 0 if text.count("\n") > 1 else None
    samples = pocket.sample([prompt], 8, 1.0, 1.0, 120, seed=1, over=over)
    assert all(s.finished and (s.text, s.tokens) == ("", 0) for s in samples[0] if s.text.count("\n") != 1)
    assert max(text.count("\n") for text in steps) < 12
    whole = pocket.sample([prompt], 8, 1.0, 1.0, 120, seed=1, over=function_end)[0]
    assert any(function_end(prompt, s.text + "x") for s in whole)


@pytest.mark.parametrize("text, why", [
    ("Count the vowels in a text.", ""),
    ("Count vowels", "description is the name"),
    ("count_vowels(text)", "description is code"),
    ("count_vowels", "description is the name"),
    ("return x", "description is code"),
    ("x = 1", "description is code"),
    (">>> count_vowels('a')\n... 1", "description is code"),
    ("Count.", "description is too short"),
    ("word " * 201, "description is too long"),
    ("vowels in text", ""),
    ("Count vowels.\n\n>>> count_vowels('a')\n1", ""),
])
def test_a_docstring_need_not_describe(text, why):
    assert no_description(text, "count_vowels", Functions()) == why
    code = f'def count_vowels(x):\n    """{text}"""\n    return 1\n'
    pair, dropped = make_pair(Sample(code, 9, True, 0.0), "count_vowels")
    assert dropped == why and (pair is None) == bool(why)


def test_reasons():
    whole = 'def f(x: int) -> int:\n    """Add one.\n\n    More."""\n    return x + 1\n'
    pair, why = make_pair(Sample(whole + "\n\nprint(f(", 9, True, 0.), "f")
    assert why == ""
    assert pair == dict(
        description="Add one.\n\nMore.", code="def f(x: int) -> int:\n    return x + 1\n", entry_point="f",
        signature="def f(x: int) -> int:\n", imports="", docstring="Add one.\n\n    More.",
    )
    assert make_pair(Sample(whole, 9, True, 0.), "g") == (None, "other name")
    assert make_pair(Sample("def fg(x):", 9, True, 0.), "f") == (None, "other name")
    assert make_pair(Sample(whole, 9, False, 0.), "f") == (None, "truncated")
    assert make_pair(Sample("def f(x):\n    return x\n", 9, True, 0.), "f") == (None, "no docstring")


def test_every_function_is_kept_or_dropped_with_a_reason(pocket, names):
    kept, dropped = generate_functions(pocket, names, Functions(per_name=3), seed=1)
    assert len(kept) + len(dropped) == 3*len(names) and len(kept) > len(names)/2
    reasons = {"syntax", "truncated", "no docstring", "other name", "does nothing", "duplicate"}
    assert {record["reason"] for record in dropped} <= reasons
    by_id = {record["id"]: record["name"] for record in names}
    for pair in kept:
        node = [n for n in ast.parse(pair["code"]).body if isinstance(n, ast.FunctionDef)][-1]
        assert node.name == pair["entry_point"] == by_id[pair["parents"][0]] and ast.get_docstring(node) is None
        assert pair["description"].strip()
        assert pair["source"] in ("fim", "l2r")
        assert pair["iteration"] == 0
        assert pair["model"] == "pocket"
    assert len({pair["id"] for pair in kept}) == len({pair["code"] for pair in kept}) == len(kept)
    assert generate_functions(pocket, names, Functions(per_name=3), seed=1) == (kept, dropped)


def test_a_model_that_writes_nonsense_gives_no_pairs(blank):
    records = [dict(id="1", name="count_vowels", source="l2r")]*8
    kept, dropped = generate_functions(blank, records, Functions(max_new_tokens=30), seed=1)
    assert not kept and len(dropped) == 8 and all(record["reason"] for record in dropped)
    assert draw_functions(blank, [], Functions()) == [] and generate_functions(blank, [], Functions()) == ([], [])
