"""What people bring, and what they see: a file of this field is read, or one line says what is wrong with it."""
import gzip
import json
from pathlib import Path

import pandas as pd
import pytest

from evoselfcode import inputs
from evoselfcode.config import Config, Data, Paths
from evoselfcode.evaluation.humaneval import load_problems

CODE = "def f(x):\n    return x + 1\n"
PAIR = dict(prompt="Add one.", code=CODE)
PROBLEM = dict(
    task_id="T/0",
    prompt='def f(x):\n    """Add one."""\n',
    entry_point="f",
    canonical_solution="    return x + 1\n",
    test="def check(f):\n    assert f(1) == 2\n",
)
BOM = b"\xef\xbb\xbf"
READERS = dict(
    initial_pairs=inputs.initial_pairs, descriptions=inputs.descriptions, unlabelled_code=inputs.unlabelled_code,
    truth=inputs.truth, problems=lambda path, fields: load_problems(path),
)
GOOD = dict(
    initial_pairs=PAIR, descriptions=dict(description="Add one."), unlabelled_code=dict(code=CODE),
    truth=dict(description="Add one.", code=CODE), problems=PROBLEM,
)


def lines(*rows) -> bytes: return b"".join(json.dumps(row).encode() + b"\n" for row in rows)


@pytest.fixture
def read(tmp_path):
    "Write a file of a kind and read it as a study does."
    def call(kind: str, content: bytes, name: str = "mine.jsonl", fields: dict | None = None):
        (tmp_path / name).write_bytes(content)
        return READERS[kind](tmp_path / name, fields or {})
    return call


# what is read, and tidied

@pytest.mark.parametrize("kind", GOOD)
@pytest.mark.parametrize("write", [
    lambda row: BOM + lines(row),
    lambda row: lines(row).replace(b"\n", b"\r\n"),
    lambda row: b"\n" + BOM + lines(row),
    lambda row: json.dumps([row], indent=1).encode(),
    lambda row: BOM + json.dumps([row]).encode(),
    lambda row: gzip.compress(lines(row)),
    lambda row: lines({k: "\ufeff" + v.replace("\n", "\r\n") for k, v in row.items()}),
    lambda row: lines({k: v.replace("\n", "\r") for k, v in row.items()}),
], ids=["mark", "crlf", "mark later", "array", "marked array", "gz", "mark and crlf in texts", "cr in texts"])
def test_systems_and_editors_make_no_difference(read, kind, write):
    assert read(kind, write(GOOD[kind])) == read(kind, lines(GOOD[kind]), "plain.jsonl")


def saved(folder: Path, name: str, rows: list[dict]) -> Path:
    "Write rows in one of the formats of the field."
    from datasets import Dataset, DatasetDict
    path, frame = folder / name, pd.DataFrame(rows)
    if name == "saved":
        Dataset.from_list(rows).save_to_disk(path)
    elif name == "splits":
        DatasetDict(train=Dataset.from_list(rows)).save_to_disk(path)
    elif name == "one.arrow":
        Dataset.from_list(rows).save_to_disk(folder / "arrow")
        next((folder / "arrow").glob("*.arrow")).rename(path)
    elif name.endswith("parquet"):
        frame.to_parquet(path)
    elif name.endswith("json"):
        frame.to_json(path, orient="records")
    else:
        frame.to_csv(path, index=False, sep="\t" if "tsv" in name else ",")
    return path


@pytest.mark.parametrize("name", [
    "saved", "splits", "one.arrow", "a.parquet", "a.json", "a.csv", "a.CSV", "a.csv.gz", "a.tsv",
])
@pytest.mark.parametrize("kind", GOOD)
def test_the_formats_of_the_field_are_read(read, tmp_path, kind, name):
    rows = [GOOD[kind] | dict(number=n) for n in range(2)]
    if kind == "problems": rows[1]["task_id"] = "T/1"
    found = READERS[kind](saved(tmp_path, name, rows), {})
    want = read(kind, lines(*rows))
    if kind != "problems": assert found == want
    else: assert [{k: p[k] for k in PROBLEM} for p in found] == [{k: p[k] for k in PROBLEM} for p in want]


def test_hard_texts_survive_a_table(read, tmp_path):
    code = 'def f(s):\n    """A "quoted", comma;\ttab."""\n\n    return s.split("\x0c")\n'
    for name in ("a.csv", "a.tsv", "a.parquet", "saved"):
        found, = inputs.initial_pairs(saved(tmp_path, name, [dict(description="NA", code=code)]), {})
        assert (found["description"], found["code"]) == ("NA", code)


def test_fields_are_given_our_names(read):
    row = dict(question="Add one.", completion=CODE, fn="f", prompt=None, id=7, kept=True, unasked=1)
    fields = dict(question="description", completion="code", fn="entry_point", nowhere="code")
    plain = read("initial_pairs", lines(PAIR), "plain.jsonl")
    assert read("initial_pairs", lines(row), fields=fields) == plain
    row_of_two = dict(instruction="Add one.", output=CODE)
    assert read("initial_pairs", lines(row_of_two), fields=dict(instruction="prompt", output="code")) == plain
    alpaca = dict(instruction="Add one.", output=CODE, prompt=f"### Instruction: Add one. ### Output: {CODE}")
    theirs = dict(instruction="description", output="code")
    assert read("initial_pairs", lines(alpaca), "alpaca.jsonl", fields=theirs) == plain
    assert read("truth", lines(row), fields=fields) == {"Add one.": CODE}
    assert read("descriptions", lines(row), fields=fields)[0].keys() == {"id", "description", "entry_point"}
    assert read("unlabelled_code", lines(row), fields=fields)[0].keys() == {"id", "code", "entry_point"}
    assert read("problems", lines(PROBLEM), fields=dict(prompt="description")) == [PROBLEM]


def test_a_pair_may_carry_a_weight(read, tmp_path):
    rows = [PAIR | dict(weight=weight) for weight in (0.5, 2, None)]
    for name in ("a.csv", "a.parquet"):  # a table may write numbers as texts, and nothing as an empty one
        found = inputs.initial_pairs(saved(tmp_path, name, rows), {})
        assert [pair.get("weight", "none") for pair in found] == [0.5, 2.0, "none"]
    assert found == read("initial_pairs", lines(*rows))


def test_unlabelled_code_without_a_function_is_left_out_and_told(read, message, capsys):
    rows = [dict(code=CODE), dict(code="x = 1"), dict(code="print 1"), dict(code=CODE, entry_point="g")]
    assert [r["code"] for r in read("unlabelled_code", lines(*rows))] == [CODE]
    assert "mine.jsonl: 3 of 4 records define no function" in capsys.readouterr().out
    assert "none of its 3 records defines a function" in message(read, "unlabelled_code", lines(*rows[1:]))


# what is refused, in one line

@pytest.mark.parametrize("kind, rows, words", [
    ("initial_pairs", [PAIR, PAIR | dict(code="")], "line 2: `code` must not be empty"),
    ("initial_pairs", [PAIR, PAIR | dict(code="  \n")], "line 2: `code` must not be empty"),
    ("initial_pairs", [PAIR, PAIR | dict(code=None)], "line 2: `code` must be a text, not null"),
    ("initial_pairs", [PAIR | dict(code=[CODE])], "line 1: `code` must be a text, not list"),
    ("initial_pairs", [PAIR | dict(prompt=3)], "line 1: `prompt` must be a text, not int"),
    ("initial_pairs", [PAIR | dict(prompt="")], "line 1: needs a text in `prompt` or `description`"),
    ("initial_pairs", [PAIR | dict(prompt="\ufeff \r\n")], "line 1: needs a text in `prompt` or `description`"),
    ("initial_pairs", [dict(text="Add one.", code=CODE)], "there are 'text', 'code'; -o data.fields={THEIRS: OURS}"),
    ("initial_pairs", [PAIR | dict(entry_point=[])], "line 1: `entry_point` must be a text, not list"),
    *(("initial_pairs", [PAIR, PAIR | dict(weight=weight)], "line 2: `weight` must be a number above 0")
      for weight in (0, -1, "much", True, [], 10**400, float("nan"), 2e6)),
    ("initial_pairs", [PAIR, PAIR | dict(code="print 1"), PAIR, PAIR | dict(code="def f(")],
     "line 2: `code` is no Python that this interpreter reads (and 1 more: line 4)"),
    ("initial_pairs", [PAIR | dict(code="x\0 = 1")], "line 1: `code` is no Python"),
    ("initial_pairs", [PAIR | dict(code="x = " + "9" * 5000)], "line 1: `code` is no Python"),
    ("initial_pairs", [PAIR | dict(code="```python\n" + CODE + "```")], "line 1: `code` is no Python"),
    ("initial_pairs", [PAIR | dict(code="x = '\ud83d'")], "line 1: `code` holds half a surrogate pair ('\\ud83d')"),
    ("initial_pairs", [PAIR | dict(prompt="\udc80")], "line 1: `prompt` holds half a surrogate pair"),
    ("descriptions", [dict(description="\ud83d")], "line 1: `description` holds half a surrogate pair"),
    ("descriptions", [dict(description=[])], "line 1: `description` must be a text, not list"),
    ("descriptions", [dict(description=True)], "line 1: `description` must be a text, not bool"),
    ("descriptions", [dict(description="Add."), dict(description="Add.", entry_point=7)],
     "line 2: `entry_point` must be a text, not int"),
    ("unlabelled_code", [dict(code=None)], "line 1: `code` must be a text, not null"),
    ("unlabelled_code", [dict(code=CODE, entry_point={})], "line 1: `entry_point` must be a text, not dict"),
    ("truth", [dict(description="Add.", code="x = 1")], "line 1: `code` defines no function"),
    ("truth", [dict(description="Add.", code="x = = 1")], "line 1: `code` is no Python"),
    ("problems", [PROBLEM | dict(task_id=[])], "line 1: `task_id` must be a text, not list"),
    ("problems", [PROBLEM | dict(task_id=["HumanEval/53"])], "line 1: `task_id` must be a text, not list"),
    ("problems", [PROBLEM | dict(task_id=3)], "line 1: `task_id` must be a text, not int"),
    ("problems", [PROBLEM | dict(test=None)], "line 1: `test` must be a text, not null"),
    ("problems", [PROBLEM | dict(prompt="")], "line 1: `prompt` must not be empty"),
    ("problems", [PROBLEM | dict(canonical_solution=None)], "line 1: `canonical_solution` must be a text, not null"),
    ("problems", [{k: v for k, v in PROBLEM.items() if k != "test"}], "line 1: field 'test' missing"),
    ("problems", [PROBLEM, PROBLEM], "task 'T/0' is listed twice"),
    ("problems", [PROBLEM | dict(prompt="def g(x):\n")], "mine.jsonl: T/0: its prompt has no function 'f'"),
    ("problems", [PROBLEM | dict(prompt="Add one")], "mine.jsonl: T/0: its prompt is not Python"),
    ("problems", [PROBLEM | dict(test="assert f(1) == 2\n")],
     "mine.jsonl: task 'T/0': `test` must define check(candidate)"),
    ("problems", [PROBLEM | dict(test="def check(")], "mine.jsonl: task 'T/0': `test` must define check(candidate)"),
    ("problems", [PROBLEM | dict(prompt="\ud83d")], "line 1: `prompt` holds half a surrogate pair"),
])
def test_a_record_that_cannot_be_meant_is_named(read, message, kind, rows, words):
    line = message(read, kind, lines(*rows))
    assert "mine.jsonl: " in line and words in line, line


@pytest.mark.parametrize("kind", GOOD)
@pytest.mark.parametrize("name, content, words", [
    ("a.jsonl", b'{"n": ' + b"9" * 5000 + b"}", "line 1: an integer of more than 4,300 digits"),
    ("a.json", b'[{"n": ' + b"9" * 5000 + b"}]", "an integer of more than 4,300 digits"),
    ("a.jsonl", b"[" * 100_000, "JSON nested too deeply"),
    ("a.json", b'[{"a": 1},\n {"a": }]', "broken JSON at line 2, column 8"),
    ("a.json", b"[1, 2]", "record 1: must be a JSON object"),
    ("a.json", b"[]", "holds no records"),
    ("a.json", b'{\n "data": []\n}', "line 1: broken JSON at column 2"),
    ("a.jsonl", BOM, "holds no records"),
    ("a.jsonl", "Füge".encode("utf-16"), "line 1: byte 1 is not UTF-8"),
    ("a.csv", b"", "holds no records"),
    ("a.csv", b"description,prompt,code\n", "holds no records"),
    ("a.csv", b"x\n1\n", "record 1: field"),
    ("a.csv", b"x,y\n1,2,3\n", "record 1: has more fields than the first line names"),
    ("a.csv", b'x,y\n1,"2\n', "not a table with commas and quotes"),
    ("a.csv", b"x\n\xff\n", "byte 3 is not UTF-8"),
    ("a.parquet", b"PAR1 cut", "not a whole parquet file"),
    ("a.arrow", b"ARROW1 cut", "cannot be read by `datasets`"),
    ("a.xlsx", b"PK\x03\x04 ...", "wanted is a file of JSON lines"),
    ("a.py", CODE.encode(), "wanted is a file of JSON lines"),
    ("a.jsonl.gz", gzip.compress(lines(PAIR), mtime=0)[:-9], "not a whole gzip file"),
])
def test_a_file_that_cannot_be_meant_is_named(read, message, kind, name, content, words):
    line = message(read, kind, content, name)
    assert f"{name}: " in line and words in line, line


def test_a_folder_must_be_one_that_datasets_saved(tmp_path, message):
    from datasets import Dataset, DatasetDict
    assert "is a folder, but not one that `datasets` saved" in message(inputs.initial_pairs, tmp_path, {})
    one = Dataset.from_list([PAIR])
    DatasetDict(train=one, test=one).save_to_disk(tmp_path / "both")
    line = message(inputs.initial_pairs, tmp_path / "both", {})
    assert f"holds the splits train, test; name one of them: {tmp_path / 'both/train'}" in line
    assert len(inputs.initial_pairs(tmp_path / "both/train", {})) == 1


# a study

def test_a_study_reads_them_all(tmp_path):
    "Each key by its own file; home folders and renamed fields included, and none where the key is empty."
    rows = [dict(question="Add one.", completion=CODE)]
    names = dict(initial_pairs="p.csv", descriptions="d.parquet", truth="saved")
    places = {kind: str(saved(tmp_path, name, rows)) for kind, name in names.items()}
    data = Data(**places, unlabelled_code="", fields=dict(question="description", completion="code"))
    found = inputs.read_inputs(Config(paths=Paths(root=str(tmp_path)), data=data))
    assert found["initial_pairs"][0]["code"] == CODE and found["descriptions"][0]["description"] == "Add one."
    assert found["truth"] == {"Add one.": CODE} and found["unlabelled_code"] == []


def test_mbpp_s_own_records_serve_as_initial_pairs(root):
    "972 of its 974 records have the line ends of another system."
    path = root.parent / "shared/benchmarks/mbpp/mbpp.jsonl"
    if not path.is_file(): pytest.skip("MBPP's file is not here")
    found = inputs.initial_pairs(path, dict(text="description"))
    assert len(found) == 974 and not any("\r" in p["code"] + p["description"] for p in found)


def test_a_part_of_a_file_can_be_named(tmp_path, message):
    path = saved(tmp_path, "p.csv", [dict(description=f"Add {n}.", code=CODE) for n in range(5)])
    def read(cut): return inputs.read_inputs(Config(data=Data(initial_pairs=f"{path}[{cut}]", descriptions="", truth="",
                                                              unlabelled_code="")))["initial_pairs"]
    assert [p["description"] for p in read("1:3")] == ["Add 1.", "Add 2."] and len(read("3:")) == 2
    assert f"{path}: {path}[5:] holds nothing" in message(read, "5:")
    assert "data.initial_pairs: what stands in brackets holds nothing" in message(read, "3:3")


def test_a_harvest_that_is_missing_is_told_with_its_command(tmp_path, message):
    data = Data(unlabelled_code="data/generated/mine/harvest/functions.jsonl", initial_pairs="", descriptions="")
    told = message(inputs.read_inputs, Config(paths=Paths(root=str(tmp_path)), data=data))
    assert told.endswith("this makes it: evoselfcode datagen harvest -o run=mine -o harvest.source=FOLDER")
