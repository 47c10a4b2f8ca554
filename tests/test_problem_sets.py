"""Sets of problems: how they are named, opened, kept apart and out of training, measured and reported."""
import json
import sys

import pytest

from evoselfcode.config import ProblemSet, load_config, problem_sets, read_set, set_names, to_yaml
from evoselfcode.evaluation import suite
from evoselfcode.evaluation.decontamination import Contamination, protected_problems
from evoselfcode.io_utils import read_jsonl, write_json, write_jsonl
from evoselfcode.pipeline.iteration import Study

linux = pytest.mark.skipif(not sys.platform.startswith("linux"), reason="programs are executed on Linux only")


def answer(body): return eval(body[11:], dict(x=3))


def own(number, name, body, words):
    return dict(
        task_id=f"Own/{number}", entry_point=name, prompt=f'def {name}(x: int) -> int:\n    """{words}"""\n',
        canonical_solution=body, test=f"def check(candidate):\n    assert candidate(3) == {answer(body)}\n",
    )


def human(number, *rest): return own(number, *rest) | dict(task_id=f"HumanEval/{number}")


def mbpp(number, name, body, words):
    return dict(task_id=number, text=words, code=f"def {name}(x):\n{body}",
                test_list=[f"assert {name}(3) == {answer(body)}"], test_imports=[])


HUMANEVAL = [
    human(0, "double", "    return 2 * x\n", "Give twice the number, neither more nor less."),
    human(1, "square", "    return x * x\n", "Give the number times itself, as in a square."),
    human(2, "negate", "    return -x\n", "Give the number with the other sign before it."),
]
OWN = [own(0, "five", "    return x + 5\n", "Add five to the number that is given.")]
MBPP = [
    mbpp(n, name, body, words) for n, name, body, words in (
        (4, "few_shot", "    return x + 4\n", "Write a function to add four to a number."),
        (11, "tested", "    return x + 11\n", "Write a function to add eleven to a number."),
        (511, "first", "    return x + 511\n", "Write a function to add five hundred and eleven to a number."),
        (512, "second", "    return x % 512\n", "Write a function to find what is left by five hundred and twelve."),
        (600, "last", "    return x - 600\n", "Write a function to take six hundred from a number."),
        (601, "taught", "    return x * 601\n", "Write a function to find six hundred and one times a number."),
    )
]


@pytest.fixture
def place(workspace):
    "A workspace with small files in the formats of benchmarks."
    write_jsonl(workspace / "data/eval/HumanEval.jsonl", HUMANEVAL)
    write_jsonl(workspace / "data/eval/mbpp.jsonl", MBPP)
    write_jsonl(workspace / "own.jsonl", OWN)
    return workspace


def settings(*overrides, test="own.jsonl", validation="mbpp:validation"):
    given = f"data.test={test}", f"data.validation={validation}", "execution.workers=1", "evaluation.bootstrap=50"
    return load_config(None, [*given, *overrides])


# names

@pytest.mark.parametrize("text, wanted", [
    ("data/eval/x.jsonl", ProblemSet("data/eval/x.jsonl", file="data/eval/x.jsonl")),
    ("humaneval", ProblemSet("humaneval", "humaneval")),
    ("humaneval+[:40]", ProblemSet("humaneval+[:40]", "humaneval+", last=40)),
    ("x.jsonl[10:]", ProblemSet("x.jsonl[10:]", file="x.jsonl", first=10)),
    ("mbpp:validation", ProblemSet("mbpp:validation", "mbpp", keys=(("mbpp_set", "validation-90"),))),
    ("mbpp:sanitized-257[5:9]",
     ProblemSet("mbpp:sanitized-257[5:9]", "mbpp", keys=(("mbpp_set", "sanitized-257"),), first=5, last=9)),
    ("mbpp+:test", ProblemSet("mbpp+:test", "mbpp+", keys=(("mbpp_plus_set", "test-224"),))),
    ("mbpp+:378", ProblemSet("mbpp+:378", "mbpp+", keys=(("mbpp_plus_set", "378"),))),
    ("bigcodebench:hard", ProblemSet("bigcodebench:hard", "bigcodebench", keys=(("bigcodebench_subset", "hard"),))),
    ("lcb@..2024-12", ProblemSet("lcb@..2024-12", "lcb", keys=(("lcb_start", ""), ("lcb_end", "2024-12")))),
    ("lcb:release_v5@2024-08..", ProblemSet("lcb:release_v5@2024-08..", "lcb", keys=(
        ("lcb_release", "release_v5"), ("lcb_start", "2024-08"), ("lcb_end", "")))),
    ("lcb:mine.jsonl", ProblemSet("lcb:mine.jsonl", "lcb", keys=(("lcb_release", "mine.jsonl"),))),
    ("mbbp:validation", ProblemSet("mbbp:validation", file="mbbp:validation")),  # what is no benchmark's is a file
])
def test_a_name_says_which_problems_are_meant(text, wanted):
    assert read_set(text) == wanted


@pytest.mark.parametrize("given", [
    "humaneval[:40],a.jsonl", " humaneval[:40] , a.jsonl ", "[humaneval[:40], a.jsonl]",
    '["humaneval[:40]", "a.jsonl"]',
])
def test_several_are_written_with_commas_or_as_a_list(given):
    assert set_names(given) == ["humaneval[:40]", "a.jsonl"]
    config = load_config(None, [f"data.test={given}"])
    assert config.data.test == "humaneval[:40], a.jsonl"
    assert [s.text for s in problem_sets(config.data, "test")] == ["humaneval[:40]", "a.jsonl"]


def test_a_file_of_settings_may_hold_a_list(tmp_path, message):
    path = tmp_path / "mine.yaml"
    path.write_text("data:\n  test:\n  - humaneval[:40]\n  - a.jsonl\n  validation: mbpp:validation\n")
    config = load_config(path)
    assert (config.data.test, config.data.validation) == ("humaneval[:40], a.jsonl", "mbpp:validation")
    again = tmp_path / "again.yaml"
    again.write_text(to_yaml(config))
    assert load_config(again) == config
    path.write_text("data:\n  test:\n  - mbpp: validation\n")
    assert "data.test: must be a text, or a list of texts" in message(load_config, path)
    path.write_text("data:\n  test: []\n")
    assert "data.test" in message(load_config, path)


def test_a_single_file_is_written_down_as_it_always_was():
    assert "  test: data/eval/pocket_eval.jsonl\n" in to_yaml(load_config())


@pytest.mark.parametrize("text, why", [
    ("mbpp:valid", "the part of mbpp, behind the colon, must be one of train, validation, test, prompt,"),
    ("mbpp+:tests", "the part of mbpp+, behind the colon, must be one of train, validation, test, prompt, 378, "),
    ("humaneval:hard", "humaneval has no parts"),
    ("lcb:release_v9", "the part of lcb, behind the colon, must be release_v1 to release_v6"),
    ("lcb@2024-08", "the dates behind @ must be START..END"),
    ("lcb@August..", "the dates behind @ must be START..END"),
    ("mbpp@2024-08..", "mbpp has no dates"),
    ("humaneval[40:40]", "holds nothing"),
    ("mbpp:test, mbpp:test", "names a set of problems twice"),
    ("", "must not be empty"),
])
def test_a_wrong_name_is_told_with_the_settings(text, why, message):
    line = message(load_config, None, [f"data.validation={text}"])
    assert "data.validation: " in line and why in line


# opening

def test_a_split_is_opened_set_by_set(place):
    config = settings(test="humaneval[1:], own.jsonl, mbpp:train", validation="mbpp:validation[:2]")
    opened = suite.open_split(config, "test")
    assert {name: [p["task_id"] for p in b.problems] for name, b in opened.items()} == {
        "humaneval[1:]": ["HumanEval/1", "HumanEval/2"], "own.jsonl": ["Own/0"], "mbpp:train": ["Mbpp/601"],
    }
    assert [b.set_name for b in opened.values()] == ["humaneval[3][1:]", "own[1]", "mbpp[train-374]"]
    (two,) = suite.open_split(config, "validation").values()
    assert list(two.by_task) == ["Mbpp/511", "Mbpp/512"] and two.harness.name == config.benchmark.mbpp_harness
    assert [p["number"] for p in two.examples] == [4]


def plus(number):
    prompt = f'"""\nAdd {number}.\nassert add(3) == {number + 3}\n"""\n'
    return dict(task_id=f"Mbpp/{number}", prompt=prompt, entry_point="add", atol=0, base_input=[[3]], plus_input=[[4]],
                canonical_solution=f"\ndef add(x):\n    return x + {number}\n")


def test_mbpp_plus_has_the_splits_of_mbpp(place, message):
    write_jsonl(place / "data/eval/MbppPlus-v0.2.0.jsonl", [plus(n) for n in (2, 11, 510, 511, 601)])
    opened = suite.open_split(settings(test="mbpp+:test, mbpp+:train", validation="mbpp+:validation"), "test")
    assert [(b.set_name, [*b.by_task]) for b in opened.values()] == [
        ("mbpp+[test-2]", ["Mbpp/11", "Mbpp/510"]), ("mbpp+[train-1]", ["Mbpp/601"])]
    write_jsonl(place / "data/eval/MbppPlus-v0.2.0.jsonl", [plus(11)])
    told = message(suite.open_split, settings(test="mbpp+:prompt"), "test")
    assert "mbpp+[prompt-0]: holds nothing, as there are 1 problems" in told


@pytest.mark.parametrize("text, why", [
    ("humanevl", "not found, and 'humanevl' begins with no benchmark's name (humaneval, humaneval+, mbpp"),
    ("none/of/it.jsonl", "none/of/it.jsonl: not found"),
    ("humaneval+", "fetch it from https://"),
    ("mbpp:prompt[3:]", "mbpp[prompt-10][3:]: holds nothing, as there are 1 problems"),
    ("own.jsonl[7:]", "holds nothing"),
    ("bigcodebench:hard", "fetch it from https://"),
])
def test_what_cannot_be_opened_is_told_before_anything_is_made(place, text, why, message):
    line = message(Study, settings(test=text), 0)
    assert line.startswith("data.test: ") and why in line
    assert not (place / "data/generated").exists()


def test_what_decides_may_not_report(place, message):
    line = message(Study, settings(test="humaneval[1:], mbpp:test", validation="mbpp, own.jsonl"), 0)
    assert line.startswith("data.validation: mbpp shares with mbpp:test of data.test 1 problems, the first is Mbpp/11")
    write_jsonl(place / "copy.jsonl", [HUMANEVAL[1] | dict(task_id="Mine/7")])
    line = message(Study, settings(test="humaneval", validation="copy.jsonl"), 0)
    assert "copy.jsonl shares with humaneval of data.test 1 problems, the first is Mine/7 = HumanEval/1" in line
    assert "1 problems" in message(Study, settings(test="own.jsonl", validation="own.jsonl[:1]"), 0)
    Study(settings(test="humaneval[:1]", validation="humaneval[1:], mbpp:test"), 0, work=False)


def test_problems_that_count_twice_are_told(place, capsys):
    write_jsonl(place / "copy.jsonl", [HUMANEVAL[1] | dict(task_id="Mine/7")])
    Study(settings(test="humaneval, copy.jsonl"), 0, work=False)
    assert "data.test: humaneval and copy.jsonl share 1 problems, which count twice" in capsys.readouterr().out


def test_an_answer_that_will_be_cut_short_is_told(place, capsys):
    suite.open_split(settings("evaluation.max_new_tokens=100", test="humaneval"), "test")
    assert "data.test: humaneval: evaluation.max_new_tokens is 100, its harness grants 512" in capsys.readouterr().out
    suite.open_split(settings("evaluation.max_new_tokens=0", test="humaneval"), "test")
    assert capsys.readouterr().out == ""


def test_the_splits_of_mbpp_are_its_authors(place):
    path = place.parent / "mbpp"
    path.mkdir(exist_ok=True)
    numbers = dict(train=range(601, 975), validation=range(511, 601), test=range(11, 511), prompt=range(1, 11))
    write_jsonl(path / "mbpp.jsonl", [MBPP[0] | dict(task_id=number) for number in range(1, 975)])
    for part, wanted in numbers.items():
        (opened,) = suite.open_split(settings(f"paths.benchmarks={path}", test=f"mbpp:{part}"), "test").values()
        assert [p["number"] for p in opened.problems] == [*wanted]


# out of training

@linux
def test_what_is_measured_on_is_kept_out_without_being_named(place):
    config = settings(test="humaneval[:2], own.jsonl", validation="mbpp:validation")
    problems, states = protected_problems(config)
    assert states == {"pocket": "done, 1 problems", "humaneval[:2]": "done, 2 problems",
                      "mbpp:validation": "done, 3 problems"}
    assert {p.task_id for p in problems} == {
        "Own/0", "HumanEval/0", "HumanEval/1", "Mbpp/511", "Mbpp/512", "Mbpp/600"}
    assert protected_problems(settings(test="humaneval"))[1] == {
        "humaneval": "done, 3 problems", "mbpp:validation": "done, 3 problems"}  # no own problems, none to keep out
    kept_out = Contamination(settings("filter.benchmarks=[humaneval]", test="humaneval", validation="own.jsonl"))
    assert kept_out.states == {"humaneval": "done, 3 problems", "pocket": "done, 1 problems"}
    assert len(kept_out.others) == 3 and set(kept_out.mark) == {"contamination"}


@linux
def test_what_people_bring_is_compared_too(place, capsys):
    innocent = "def fourth(x: int) -> int:\n    return x ** 4\n"
    copied = "def five(number: int) -> int:\n    return number + 5\n"
    write_jsonl(place / "pairs.jsonl", [
        dict(description="Raise to the fourth power.", code=innocent),
        dict(description=MBPP[2]["text"], code="def other(x):\n    return 511 + x\n"),
        dict(description="Work out a sum.", code=copied),
    ])
    asks = "Halve the number.", HUMANEVAL[0]["prompt"][33:-4]
    write_jsonl(place / "asks.jsonl", [dict(description=words) for words in asks])
    write_jsonl(place / "code.jsonl", [
        dict(code=innocent), dict(code="def squared(number):\n    return number * number\n")])
    given = "data.initial_pairs=pairs.jsonl", "data.descriptions=asks.jsonl", "data.unlabelled_code=code.jsonl"
    config = settings(*given, "data.truth=", test="humaneval, own.jsonl")
    study = Study(config, 0)
    assert [len(study.clean(name)) for name in ("initial_pairs", "descriptions", "unlabelled_code")] == [1, 1, 1]
    assert [p["code"] for p in study.initial_pairs()] == [innocent] == [c["code"] for c in study.unlabelled_code()]
    told = capsys.readouterr().out
    assert "data.initial_pairs: 2 of 3 records are like a problem that is kept out of training; left out (the" in told
    gone = read_jsonl(study.run / "iter-000/contaminated.jsonl")
    assert [record["reason"].rpartition(" ")[2] for record in gone] == [
        "Mbpp/511", "Own/0", "HumanEval/0", "HumanEval/1"]
    assert all(record["dropped_by"] == "contamination" and record["kept"] is False for record in gone)
    assert [record["given"] for record in gone] == ["initial_pairs"] * 2 + ["descriptions", "unlabelled_code"]
    study = Study(settings(*given, "data.truth=", "filter.gates=[syntax]", "run=loose", test="humaneval, own.jsonl"), 0)
    assert len(study.clean("initial_pairs")) == 3


def test_the_shipped_data_are_clean(root):
    "The pocket world's pairs, descriptions and code hold none of its problems."
    config = load_config(None, ["run=shipped", "execution.workers=1"])
    study = Study(config, 0, work=False)
    kept_out = Contamination(config)
    for name in ("initial_pairs", "descriptions"): assert not any(kept_out.reasons_of_given(study.given[name]))


# measuring

class Writer:
    "A model that solves every second problem that it is asked."
    name, tokenizer = "writer", None
    def __init__(self, answers): self.answers, self.asked = answers, []
    def fits(self, prompt): return True
    def close(self): pass
    def stream(self, requests, n, **how):
        for prompts, _ in requests: yield [*self.sample(prompts, n, **how)]
    def sample(self, prompts, n, **how):
        self.asked.append((len(prompts), how["max_new_tokens"]))
        for prompt in prompts:
            known = next((code for words, code in self.answers.items() if words in prompt), "    pass\n")
            yield [type("Sample", (), dict(text=known))() for _ in range(n)]


@linux
def test_sets_are_measured_apart_and_as_one(place, monkeypatch):
    config = settings(
        "evaluation.n=1", "evaluation.ks=[1]", "evaluation.max_new_tokens=0", "run=several",
        test="humaneval, own.jsonl", validation="mbpp:validation[:2]")
    writer = Writer({HUMANEVAL[0]["prompt"]: "    return 2 * x\n", "Add five": "    return x + 5\n",
                     MBPP[3]["text"]: "def second(x):\n    return x % 512\n"})
    monkeypatch.setattr(Study, "engine", lambda *_, **__: writer)
    monkeypatch.setattr(Study, "fingerprint", lambda *_, **__: "writer")
    study = Study(config, 0)
    test = study.evaluate("test")
    assert (test["problems"], test["n"]) == (4, 1) and test["pass@1"]["mean"] == 0.5
    assert {name: (part["problems"], round(part["pass@1"]["mean"], 2), part["title"]) for name, part in
            test["sets"].items()} == {"humaneval": (3, 0.33, "humaneval[3]"), "own.jsonl": (1, 1.0, "own[1]")}
    assert test["sets"]["humaneval"]["harness"] == "humaneval@6d43fb9"
    rows = read_jsonl(study.folder / "results_test.jsonl")
    assert [(row["set"], row["task_id"]) for row in rows] == [
        *(("humaneval", f"humaneval/HumanEval/{i}") for i in range(3)), ("own.jsonl", "own.jsonl/Own/0")]
    assert sorted(path.name for path in study.folder.glob("samples_*.jsonl")) == [
        "samples_test_1-humaneval.jsonl", "samples_test_2-own.jsonl"]
    only = study.evaluate("validation")
    assert only["pass@1"]["mean"] == 0.5 and [*only["sets"]] == ["mbpp:validation[:2]"]
    assert [row["task_id"] for row in read_jsonl(study.folder / "results_validation.jsonl")] == ["Mbpp/511", "Mbpp/512"]
    assert (study.folder / "samples_validation.jsonl").is_file()
    assert [most for _, most in writer.asked] == [512, 512, 512]
    asked = len(writer.asked)
    assert Study(config, 0).evaluate("test") == test and len(writer.asked) == asked  # finished: nobody is asked


@linux
def test_other_problems_of_one_of_several_sets_are_told(place, monkeypatch, message):
    config = settings("evaluation.n=1", "evaluation.ks=[1]", "run=changed", test="humaneval, own.jsonl")
    monkeypatch.setattr(Study, "engine", lambda *_, **__: Writer({}))
    monkeypatch.setattr(Study, "fingerprint", lambda *_, **__: "writer")
    study = Study(config, 0)
    study.evaluate("test")
    (study.folder / "metrics.json").write_text(json.dumps(dict(iteration=0, best=True)))
    Study(config, 1, work=False)
    write_jsonl(place / "data/eval/HumanEval.jsonl", HUMANEVAL[:2])
    assert "data.test: humaneval: holds other problems than when" in message(Study, config, 1, False)


# told

@pytest.fixture
def told(tmp_path):
    "A run of two iterations on two sets of test problems and one set of validation problems, with made-up results."
    from evoselfcode.reporting.run_folder import load_run
    names = "humaneval", "x.jsonl"
    def rows(*solved):
        return [dict(task_id=f"{name}/{i}", set=name, passed=j < solved[which])
                for which, name in enumerate(names) for i in range(3 - which) for j in range(2)]
    def scores(results):
        parts = {name: suite.summarise([r for r in results if r["set"] == name], [1], 20) for name in names}
        more = dict(title="a title", harness="h@1", data="d.jsonl", unasked=0)
        return suite.summarise(results, [1], 20) | dict(sets={name: part | more for name, part in parts.items()})
    one, more = suite.summarise(rows(1, 1)[:4], [1], 20), dict(title="a set", harness="h@2", data="m", unasked=1)
    one = one | dict(sets={"mbpp:validation": one | more})
    for i, results in enumerate((rows(0, 1), rows(2, 1))):
        folder = tmp_path / f"iter-{i:03d}"
        write_jsonl(folder / "results_test.jsonl", results)
        evaluation = dict(validation=one, test=scores(results)) | (dict(base_test=scores(rows(0, 0))) if not i else {})
        write_json(folder / "metrics.json", dict(iteration=i, best=True, decision="best", evaluation=evaluation))
    return load_run(tmp_path)


def test_a_report_names_each_set(told):
    from evoselfcode.reporting import report
    sets = report.problem_sets(told)
    assert list(sets.index) == [("validation", "mbpp:validation"), ("test", "humaneval"), ("test", "x.jsonl")]
    assert list(sets.problems) == [2, 3, 2] and list(sets.iloc[0]) == ["a set", 2, "h@2", "m", 1]
    table = report.by_set(told)
    assert list(table.index) == [(name, model) for name in ("humaneval", "x.jsonl")
                                 for model in ("base", "Model0", "round 1")]
    assert table.loc[("humaneval", "round 1"), "pass@1, %"] == "100.0 (100.0 to 100.0)"
    assert [model for _, model in report.by_set(told, "validation").index] == ["Model0", "round 1"]
    both = {part: report.gains(told, part=part).loc["round 1", "difference"] for part in ("", "humaneval", "x.jsonl")}
    assert both == {"": 60.0, "humaneval": 100.0, "x.jsonl": 0.0}
    assert report.curve(told, part="humaneval")["mean"].tolist() == [0, 0, 1]
    assert report.plot_curve(told, part="x.jsonl")
    assert report.left_out(told) == ""
    write_jsonl(told.iterations[0]["folder"] / "contaminated.jsonl", [dict(given="initial_pairs", id=i) for i in "ab"])
    assert report.left_out(told).endswith("2 of data.initial_pairs.")


def test_a_headline_names_each_of_several_sets(told):
    from evoselfcode.runs import headline
    assert headline(told.iterations[1]) == (
        "iteration 1: pass@1 80.0 % on test (humaneval 100.0 %, x.jsonl 50.0 %), 50.0 % on validation: best")


def test_every_set_of_an_iteration_has_a_row(told):
    from evoselfcode.reporting.run_folder import each_set
    assert [*each_set(told.iterations[1]["evaluation"])] == [
        "validation", "validation, mbpp:validation", "test", "test, humaneval", "test, x.jsonl"]


@linux
def test_who_only_looks_writes_nothing(place):
    config = settings("data.truth=", "data.descriptions=", "data.unlabelled_code=", test="humaneval")
    assert len(Study(config, 0, work=False).clean("initial_pairs")) > 0
    assert not (place / "data/generated").exists()


# a benchmark's problems as what a study learns from

def test_problems_of_a_benchmark_can_be_learnt_from(place, message):
    def given(**data):
        none = dict(initial_pairs="", descriptions="", unlabelled_code="", truth="")
        return Study(settings(*(f"data.{key}={value}" for key, value in (none | data).items())), work=False).given
    found = given(initial_pairs="mbpp:train", descriptions="mbpp:test", truth="mbpp:test", unlabelled_code="mbpp:train")
    (pair,), (asked,), (code,) = found["initial_pairs"], found["descriptions"], found["unlabelled_code"]
    assert pair["description"] == MBPP[5]["text"] and pair["code"] == MBPP[5]["code"] == code["code"]
    assert pair["entry_point"] == "taught" and "code" not in asked
    assert asked["signature"] == "def tested(x):\n" and found["truth"] == {MBPP[1]["text"]: MBPP[1]["code"]}
    told = message(given, descriptions="mbpp:x")
    assert "data.descriptions: the part of mbpp, behind the colon, must be one of" in told
    assert "humaneval[3][7:]: holds nothing" in message(given, descriptions="humaneval[7:]")


def test_what_is_measured_on_is_left_out_of_what_is_learnt(place):
    study = Study(settings("data.initial_pairs=mbpp:974[2:]", "data.truth=", "data.descriptions=", "run=overlapping"))
    assert [p["description"] for p in study.clean("initial_pairs")] == [MBPP[5]["text"]]
