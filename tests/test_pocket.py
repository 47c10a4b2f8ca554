"""The pocket world: its sentences and programs agree, and nothing that is trained on behaves like a problem."""
import ast
import random
from collections import Counter

import pytest

from evoselfcode.evaluation.benchmark import check
from evoselfcode.evaluation.humaneval import OwnProblems, problem_description
from evoselfcode.execution.behaviour import behaviours
from evoselfcode.io_utils import read_jsonl
from evoselfcode.pocket import world
from evoselfcode.pocket.base_model import corpus
from evoselfcode.syntax import defined_function

SPLITS = {"test": "pocket_eval", "validation": "pocket_validation"}
TRAINED_ON = {
    "initial pairs": ("raw/initial_pairs", 100),
    "unlabelled code": ("raw/unlabelled_code", 1000),
    "solutions of the descriptions": ("eval/pocket_truth", 1000),
}


@pytest.fixture(scope="module")
def problems(root):
    return {split: read_jsonl(root / "data/eval" / f"{file}.jsonl") for split, file in SPLITS.items()}


@pytest.fixture(scope="module")
def marks(problems):
    "Behaviour of every problem's solution, on inputs for its own argument types."
    def found(rows):
        programs = [(p["prompt"] + p["canonical_solution"], p["entry_point"]) for p in rows]
        return behaviours(programs, n_inputs=world.N_INPUTS)
    return {split: found(rows) for split, rows in problems.items()}


@pytest.fixture(scope="module")
def specs():
    "Some functions of the world, of every type and depth."
    every = world.all_specs()
    return random.Random(3).choices(every, weights=world.weight_table(every), k=600)


def look_alikes(codes: list[str], marks: dict) -> list[str]:
    "The programs that behave like a test or validation problem."
    known = {b.fingerprint for found in marks.values() for b in found}
    found = behaviours([(code, defined_function(code)) for code in codes], n_inputs=world.N_INPUTS)
    broken = [(code, b.detail) for code, b in zip(codes, found) if b.status != "passed"]
    assert not broken, broken[:3]
    return [code for code, b in zip(codes, found) if b.fingerprint in known]


# the benchmark

def test_problems_are_in_humaneval_s_form_and_enough(problems):
    assert len(problems["test"]) >= 200 and len(problems["validation"]) >= 100
    for split, rows in problems.items():
        assert len({p["task_id"] for p in rows}) == len(rows)
        for p in rows:
            assert list(p) == ["task_id", "prompt", "entry_point", "canonical_solution", "test"]
            function = ast.parse(p["prompt"] + p["canonical_solution"]).body[-1]
            assert function.name == p["entry_point"] and ast.get_docstring(function) == problem_description(p)
            assert all(argument.annotation for argument in function.args.args) and function.returns
            assert world.parse(problem_description(p)), p["prompt"]
            check = ast.parse(p["test"]).body
            assert [node.name for node in check] == ["check"] and len(check[0].body) >= 10
            assert p["entry_point"] not in ("check", "candidate")


def test_every_solution_passes_its_own_tests(problems):
    for rows in problems.values():
        benchmark = OwnProblems(rows)
        results = check(benchmark, [benchmark.canonical(row) for row in rows])
        assert len(results) == len(rows) and all(r["passed"] for r in results)


def test_the_tests_refuse_the_solution_of_another_problem(problems):
    """Every problem against the solution of another of the same arguments: a benchmark that passes everything says
    nothing."""
    rows, by_head = problems["test"], {}
    for p in rows:
        given = ast.parse(p["prompt"]).body[0].args.args
        by_head.setdefault(tuple(a.annotation and ast.unparse(a.annotation) for a in given), []).append(p)
    pairs = [(a, b) for group in by_head.values() for a, b in zip(group, group[1:])]
    bodies = [f"    {alien(b)}\n    return other({', '.join(arguments(a))})\n" for a, b in pairs]
    samples = [dict(task_id=a["task_id"], completion=body) for (a, _), body in zip(pairs, bodies)]
    results = check(OwnProblems([a for a, _ in pairs]), samples)
    assert len(pairs) > 150 and not any(r["passed"] for r in results)


def arguments(problem: dict) -> list[str]:
    return [a.arg for a in ast.parse(problem["prompt"]).body[0].args.args]


def alien(problem: dict) -> str:
    "The solution of a problem as an inner function named `other`, indented."
    tree = ast.parse(problem["prompt"] + problem["canonical_solution"])
    tree.body[0].name = "other"
    return ast.unparse(tree).replace("\n", "\n    ")


# the contamination guarantee

def test_no_problem_is_in_the_other_split_or_twice(marks):
    counts = Counter(b.fingerprint for found in marks.values() for b in found)
    assert None not in counts and set(counts.values()) == {1}


@pytest.mark.parametrize("source", TRAINED_ON)
def test_no_raw_file_has_a_problem(root, marks, source):
    file, least = TRAINED_ON[source]
    codes = [r["code"] for r in read_jsonl(root / f"data/{file}.jsonl")]
    assert len(codes) >= least and look_alikes(codes, marks) == []


def test_the_base_model_never_saw_a_problem(marks):
    texts = corpus()
    assert len(texts) >= 10_000 and look_alikes(random.Random(0).sample(texts, 3000), marks) == []


def test_the_solutions_are_those_of_the_descriptions(root):
    "Otherwise the guarantee about them would say nothing about the descriptions that are trained on."
    truth = read_jsonl(root / "data/eval/pocket_truth.jsonl")
    descriptions = read_jsonl(root / "data/raw/descriptions.jsonl")
    assert [t["description"] for t in truth] == [r["description"] for r in descriptions]
    for t in truth:
        spec = world.parse(t["description"])[0]
        types, other = world.spec_types(spec), world.write(spec, random.Random(1), name="other")
        assert world.outputs(t["code"], types) == world.outputs(other, types), t


def test_a_planted_problem_is_found(root, problems, marks):
    "The same programs under other names and in another form, among honest ones."
    planted = []
    for p in problems["test"][::40] + problems["validation"][::40]:
        spec = world.parse(problem_description(p))[0]
        planted.append(world.write(spec, random.Random(7), name="quite_another_name", style="loop"))
    honest = [r["code"] for r in read_jsonl(root / "data/raw/unlabelled_code.jsonl")[:50]]
    assert look_alikes(honest + planted, marks) == planted


# sentences and programs

def test_parse_undoes_describe(specs):
    for i, spec in enumerate(specs):
        for turn in range(3):
            sentence = world.describe(spec, random.Random(f"{i} {turn}"))
            assert spec in world.parse(sentence), sentence


def test_every_reading_of_a_sentence_behaves_alike(specs):
    "A sentence that means two things could not be judged."
    for i, spec in enumerate(specs):
        readings = world.parse(world.describe(spec, random.Random(i)))
        if len(readings) < 2: continue
        codes = [world.write(r, random.Random(0), name="f", style="comprehension") for r in readings]
        found = {world.outputs(code, world.spec_types(r)) for code, r in zip(codes, readings)}
        assert len(found) == 1, readings


def test_parse_refuses_what_is_no_sentence_of_the_world():
    for text in (
        "", "Return", "Return the sum of.", "Return the moon.", "Given the list, dance.",
        "Return the squares of the squares", "def f(xs): return xs",
    ):
        assert world.parse(text) == []


def test_all_styles_behave_alike(specs):
    for i, spec in enumerate(specs[:250]):
        styles = dict.fromkeys(world.STYLES)
        codes = [world.write(spec, random.Random(f"{i} {style}"), name="f", style=style) for style in styles]
        assert len({world.outputs(code, world.spec_types(spec)) for code in codes}) == 1, codes


def test_styles_and_wordings_differ(specs):
    "Many programs and sentences for each behaviour; else the models would learn by heart."
    texts = [{world.write(spec, random.Random(i), name="f") for i in range(8)} for spec in specs[:80]]
    sentences = [{world.describe(spec, random.Random(i)) for i in range(8)} for spec in specs[:80]]
    assert sum(map(len, texts)) / 80 > 3 and sum(map(len, sentences)) / 80 > 5


def test_the_raw_files_are_those_of_the_grammar(root):
    for path, rows in world.raw_files().items():
        assert read_jsonl(root / path) == rows, f"{path}: `evoselfcode pocket build-data` writes something else"
