"""Settings: what is merged, what is refused, and how it is said."""
from dataclasses import asdict, fields, is_dataclass

import pytest
from omegaconf import OmegaConf

from evoselfcode.config import Config, Sampling, load_config, problems, to_yaml, with_defaults
from evoselfcode.settings import describe


def test_layers_win_in_order(workspace):
    (workspace / "configs/base.yaml").write_text("seed: 1\nsampling: {n: 2, top_p: 0.5}\n")
    (workspace / "mine.yaml").write_text("run: mine\nsampling: {n: 3}\n")
    cfg = load_config("mine.yaml", ["sampling.temperature=0.1", "sampling.temperature=0.2"])
    assert (cfg.run, cfg.seed, cfg.sampling) == ("mine", 1, Sampling(n=3, top_p=0.5, temperature=0.2))


def test_without_a_project_the_defaults_hold(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert load_config() == Config()


def test_result_is_dataclasses_all_the_way(workspace):
    cfg = load_config("configs/tiny.yaml")
    sections = [f for f in fields(Config) if is_dataclass(f.default_factory)]
    assert all(type(getattr(cfg, f.name)) is f.default_factory for f in sections)
    assert type(cfg.filter.gates) is list and not OmegaConf.is_config(cfg)


def test_shipped_configurations_are_valid(root, workspace):
    names = sorted(path.name for path in (root / "configs").glob("*.yaml"))
    assert {
        "base.yaml", "pocket.yaml", "tiny.yaml", "iterate.yaml", "datagen.yaml", "generation.yaml", "train_d2c.yaml",
        "train_c2d.yaml",
    } <= set(names)
    for name in names:
        serves = "\nserver:" in (root / "configs" / name).read_text()
        assert load_config(f"configs/{name}").backend == ("openai" if serves else "transformers")


def test_path_from_a_subfolder_means_the_same(workspace, monkeypatch):
    (workspace / "nbs/deep").mkdir(parents=True)
    monkeypatch.chdir(workspace / "nbs/deep")
    cfg = load_config("configs/tiny.yaml")
    assert cfg.run_folder() == workspace / "data/generated/tiny"
    assert cfg.checkpoint_folder() == workspace / "checkpoints/tiny"
    assert load_config(overrides=["paths.root=/else"]).run_folder().as_posix() == "/else/data/generated/pocket"


def test_yaml_round_trip(workspace):
    cfg = load_config(overrides=[
        "run=a.b-c", "names.context='# naïve: {x}\\n'", "functions.stop=['\\nclass ']", "train_d2c.learning_rate=2e-5",
    ])
    (workspace / "resolved.yaml").write_text(to_yaml(cfg), encoding="utf-8")
    assert load_config("resolved.yaml") == cfg


@pytest.mark.parametrize("text, words", [
    ("sampling:\n  temprature: 1\n", ["Key 'temprature' not in 'Sampling'. Did you mean: 'temperature'?"]),
    ("samplng: {n: 1}\n", ["'samplng'", "Did you mean: 'sampling'?"]),
    ("sampling:\n  n: many\n", ["sampling.n:", "'many'", "Integer"]),
    ("sampling:\n  n: 2.5\n", ["sampling.n:", "2.5"]),
    ("sampling:\n  n: true\n", ["sampling.n:", "True"]),
    ("sampling:\n  n:\n", ["sampling.n: must not be empty"]),
    ("sampling: 3\n", ["a section of settings"]),
    ("sampling: {n: 0}\n", ["sampling.n: must be at least 1, not 0"]),
    ("sampling: {top_p: 0}\n", ["sampling.top_p: must be greater than 0"]),
    ("sampling: {top_p: 1.1}\n", ["sampling.top_p: must be at most 1"]),
    ("sampling: {temperature: -1}\n", ["sampling.temperature: must be at least 0"]),
    ("sampling: {temperature: .nan}\n", ["sampling.temperature: must be a finite number"]),
    ("train_d2c: {learning_rate: .inf}\n", ["train_d2c.learning_rate: must be a finite number"]),
    ("select: {selector: best}\n", ["select.selector: must be one of low_perplexity,", "random, not 'best'"]),
    ("filter: {gates: [syntax, sintax]}\n", ["filter.gates[1]: must be one of", "'sintax'"]),
    ("filter: {gates: [syntax, syntax]}\n", ["filter.gates: must not repeat"]),
    ("harvest: {imports: all}\n", ["harvest.imports: must be one of none, needed"]),
    ("harvest: {duplicate: 0}\n", ["harvest.duplicate: must be greater than 0"]),
    ("harvest: {max_lines: 0}\n", ["harvest.max_lines: must be at least 1"]),
    ("server: {scoring: chat}\n", ["server.scoring: must be one of auto, echo, prompt_logprobs, local"]),
    ("filter: {gates: syntax}\n", ["filter.gates: must be a list; write [syntax]"]),
    ("data: {fields: [a, code]}\n", ["data.fields: must be a dictionary"]),
    ("evaluation: {ks: 1}\n", ["evaluation.ks: must be a list; write [1]"]),
    ("filter: {gates: []}\n", ["filter.gates: must not be empty"]),
    ("evaluation: {ks: [1, 0]}\n", ["evaluation.ks[1]: must be at least 1"]),
    ("evaluation: {n: 4, ks: [1, 8]}\n", ["evaluation.ks: must not ask for more than evaluation.n = 4"]),
    ("backend: vllm\n", ["backend: must be one of transformers, openai"]),
    ("run: ../other\n", ["run: must be a plain name"]),
    ("run: ''\n", ["run: must not be empty"]),
    ("model: ' '\n", ["model:"]),
    ("seed: ${nothing}\n", ["nothing"]),
    ("run: a\nseed: [1\n", ["line 3"]),
    ("run: a\n\tseed: 1\n", ["line 2"]),
    ("run: a\nrun: b\n", ["line 2", "duplicate key"]),
    ("- run\n", ["must hold `key: value` lines"]),
    ("just words\n", ["Key 'just words' not in 'Config'"]),
])
def test_mistakes_in_a_file_name_the_file_and_the_place(workspace, message, text, words):
    (workspace / "mine.yaml").write_text(text)
    line = message(load_config, "mine.yaml")
    assert line.startswith("mine.yaml: ") and all(word in line for word in words), line


@pytest.mark.parametrize("text, words", [
    ("sampling.n=x", ["-o sampling.n=x: sampling.n: Value 'x'"]),
    ("sampling.m=1", ["-o sampling.m=1: Key 'm' not in 'Sampling'"]),
    ("sampling.n=0", ["-o sampling.n=0: sampling.n: must be at least 1"]),
    ("sampling.n", ["-o sampling.n: write it as KEY=VALUE"]),
    ("sampling=1", ["-o sampling=1: sampling: a section"]),
    ("filter.gates=[syntax,", ["-o filter.gates=[syntax,: "]),
    ("=1", ["-o =1"]),
    ("evaluation.ks=1,8", ["-o evaluation.ks=1,8: evaluation.ks: must be a list; write [1,8]"]),
    ("filter.gates=syntax", ["filter.gates: must be a list; write [syntax]"]),
    ("names.topics={a: 1}", ["names.topics: must be a list of single values"]),
    ("names.topics=[[1]]", ["names.topics: must be a list of single values"]),
    ("data.fields={a:code}", ["data.fields: must be a dictionary; write {KEY: VALUE}, with a blank behind the colon"]),
    ("data.fields=[a, code]", ["data.fields: must be a dictionary"]),
    ("data.fields=a:code", ["data.fields: must be a dictionary"]),
    ("sampling.n=", ["sampling.n: must not be empty"]),
    ("sampling.n=[1]", ["sampling.n: must be a single value, not [1]"]),
    ("", ["-o : write it as KEY=VALUE"]),
    ("evaluation.n=2", ["-o evaluation.n=2: evaluation.ks:"]),
])
def test_mistakes_in_an_override_name_it(workspace, message, text, words):
    line = message(load_config, "configs/pocket.yaml", ["seed=3", text])
    assert all(word in line for word in words), line


@pytest.mark.parametrize("text, value", [
    ("data.descriptions=", ""), ('data.descriptions=""', ""), ("data.descriptions=null", ""), ("names.topics=", []),
    ("server.extra=", {}),
    ("paths.root={x}", "{x}"), ("paths.root=/a={x}/[1] #2: %s", "/a={x}/[1] #2: %s"), ("paths.root=@home", "@home"),
    ("run=1e5", "1e5"), ("run=yes", "yes"),
    ('names.context="# a\\n"', "# a\n"),
    ("names.context=# a", "# a"),
    ("server.command=serve {model} --port {port}", "serve {model} --port {port}"),
    ("data.fields={question: description}", dict(question="description")), ("data.fields.completion=code", "code"),
    ("benchmark.lcb_release=/a={x}/b.jsonl", "/a={x}/b.jsonl"),
])
def test_a_text_stands_as_it_is_written_and_blank_is_empty(workspace, text, value):
    place = load_config(None, [text])
    for part in text.split("=")[0].split("."): place = place[part] if isinstance(place, dict) else getattr(place, part)
    assert place == value


def test_blank_lines_of_a_file_mean_the_same(workspace):
    (workspace / "mine.yaml").write_text("data:\n  descriptions:\n  fields:\nnames: {topics: }\nsampling:\n")
    found = load_config("mine.yaml")
    assert (found.data.descriptions, found.data.fields, found.names.topics, found.sampling) == (
        "", {}, [], load_config().sampling,
    )


@pytest.mark.parametrize("text, words", [
    ("data.fields={question: descr}", "data.fields[question]: must be one of our names"),
    ("data.fields={description: question}", "write {THEIRS: OURS}"),
    ("data.fields=[question]", "-o data.fields=[question]: "),
    ("data.fields={a: [code]}", "data.fields[a]: must be"),
    ("filter.gates={a: b}", "-o filter.gates={a: b}: "),
    ("seed=", "-o seed=: seed: "), ("paths.root='x", "not a value in YAML"),
])
def test_other_mistakes_in_an_override(workspace, message, text, words):
    assert words in message(load_config, None, [text])


def test_an_error_in_the_base_file_names_the_base_file(workspace, message):
    (workspace / "configs/base.yaml").write_text("sampling: {n: 0}\n")
    assert message(load_config, "configs/tiny.yaml", ["sampling.n=0"]).startswith("-o sampling.n=0")
    (workspace / "mine.yaml").write_text("seed: 1\n")
    assert message(load_config, "mine.yaml").startswith("configs/base.yaml: sampling.n")


def test_files_that_cannot_be_read(workspace, message):
    assert "not found" in message(load_config, "none.yaml") and "evoselfcode init" in message(load_config, "none.yaml")
    (workspace / "binary.yaml").write_bytes(b"\xff\xfe\x00run")
    assert message(load_config, "binary.yaml").startswith("binary.yaml: ")
    assert message(load_config, "configs").startswith("configs: ")
    (workspace / "empty.yaml").write_text("# nothing yet\n")
    assert load_config("empty.yaml") == load_config()


def test_a_list_may_be_another_setting_s(workspace):
    assert load_config(None, ["names.topics=${filter.gates}"]).names.topics == load_config().filter.gates
    assert load_config(None, ["server.extra={stop: null}"]).server.extra == dict(stop=None)


def test_every_key_is_documented_once_and_every_number_has_a_range():
    rows = {row["key"]: row for row in describe()}
    sections = [s for s in fields(Config) if is_dataclass(s.default_factory)]
    leaves = {f"{s.name}.{f.name}" for s in sections for f in fields(s.default_factory)}
    leaves |= {f.name for f in fields(Config) if not is_dataclass(f.default_factory)}
    assert set(rows) == leaves
    assert all(len(row["meaning"]) > 5 and "key(" not in row["meaning"] for row in rows.values())
    for section in (Config, *(s.default_factory for s in sections)):
        numbers = [f for f in fields(section) if f.type in (int, float)]
        bare = [f.name for f in numbers if not any(v is not None for v in f.metadata.values())]
        assert bare == [], section.__name__
    assert problems(Config()) == []


def test_an_old_name_of_a_key_is_told_with_its_new_one(workspace, message):
    (workspace / "old.yaml").write_text("execution: {weak_walls: true}\n")
    told = message(lambda: load_config(workspace / "old.yaml"))
    assert told.endswith("old.yaml: execution.weak_walls: is called execution.allow_unsandboxed now")
    assert "execution.backend" in message(lambda: load_config(None, ["execution.engine=ray"]))
    assert "data.seed: is called data.start now" in message(lambda: load_config(None, ["data.seed=both"]))


def test_settings_of_an_earlier_version_are_read_with_todays_names():
    old = with_defaults(dict(run="r", execution=dict(engine="ray", weak_walls=True, seconds=1.0)))
    assert old["execution"]["backend"] == "ray" and old["execution"]["allow_unsandboxed"] is True
    assert old.keys() == asdict(Config()).keys() and old["execution"].keys() == asdict(Config())["execution"].keys()
    new = "data/raw/initial_pairs.jsonl"
    for path, now in (("data/raw/seed_pairs.jsonl", new), ("mine.csv", "mine.csv"), ("", "")):
        found = with_defaults(dict(data=dict(seed="both", seed_pairs=path)))["data"]
        assert found == asdict(Config())["data"] | dict(start="both", initial_pairs=now)


def test_the_words_of_earlier_versions_are_understood(workspace, message):
    settings = load_config(None, ["benchmark.checker=split"])
    assert settings.benchmark.checker == "isolated"
    old = with_defaults(dict(benchmark=dict(checker="split", lcb_profile="lcb@051d813", mbpp_profile="mbpp@paper")))
    assert (old["benchmark"]["checker"], old["benchmark"]["lcb_harness"]) == ("isolated", "lcb@051d813")
    assert "lcb_profile" not in old["benchmark"] and old["benchmark"]["mbpp_harness"] == "mbpp@paper"
    told = message(load_config, None, ["benchmark.lcb_profile=lcb@051d813"])
    assert told.endswith("benchmark.lcb_profile: is called benchmark.lcb_harness now")
