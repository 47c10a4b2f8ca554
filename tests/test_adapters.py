"""LoRA behind a server: one that loads adapters, one that answers with the wrong one, one that cannot load any."""
import json
import logging
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from fake_server import Adapters, Web
from test_remote import gone, texts

from evoselfcode.config import Config, Paths
from evoselfcode.engine import loading
from evoselfcode.engine.loading import load, model_folder, save_whole
from evoselfcode.engine.local import LocalEngine
from evoselfcode.engine.remote import RemoteEngine, ServerSettings, adapter_name
from evoselfcode.engine.serving import descendants, takes_adapters
from evoselfcode.io_utils import write_json
from evoselfcode.pipeline.iteration import Study

pytest.importorskip("openai")
PROMPTS = ["def count_vowels(text: str) -> int:\n", "# Return the sum of the numbers above zero in the list.\n"]
GREEDY = dict(temperature=0, max_new_tokens=20)
COMPLETIONS = ["    return sum(letter in 'aeiou' for letter in text)\n", "    return 0\n"]
SERVE = f"{sys.executable} {Path(__file__).with_name('fake_server.py')} {{model}} {{port}}"


@pytest.fixture(scope="module")
def adapters(tmp_path_factory) -> dict[str, Path]:
    "Two adapters of the pocket model."
    import torch
    from peft import LoraConfig, get_peft_model
    place = tmp_path_factory.mktemp("adapters")
    for seed, name in enumerate(("one", "two")):
        torch.manual_seed(seed)
        model, tokenizer = load("pocket", "cpu")
        lora = LoraConfig(r=4, target_modules="all-linear", init_lora_weights=False)
        get_peft_model(model, lora).save_pretrained(place/name)
        if seed: tokenizer.save_pretrained(place/name)  # the other has its base's
    return dict(one=place/"one", two=place/"two")


def seen(engine) -> tuple:
    "What an engine writes, and how likely it finds what it reads."
    return texts(engine.sample(PROMPTS, **GREEDY)), np.concatenate(engine.logprobs(PROMPTS, COMPLETIONS))


@pytest.fixture(scope="module")
def known(adapters):
    "Tell which of the models an engine has, by what this process computes with each."
    here = {name: seen(LocalEngine(str(path), device="cpu")) for name, path in dict(adapters, base="pocket").items()}
    def names(engine) -> list[str]:
        written, read = seen(engine)
        return [n for n, (text, values) in here.items() if text == written and np.allclose(values, read, atol=1e-4)]
    return names


@pytest.fixture
def logs():
    lines, handler = [], logging.Handler()
    handler.emit = lambda record: lines.append((record.levelname, record.getMessage()))
    logging.getLogger("evoselfcode").addHandler(handler)
    yield lines
    logging.getLogger("evoselfcode").removeHandler(handler)


class Running:
    "Stands for a server that was started before: a thread of this process."
    def __init__(self, mode="right", way="vllm", engine=LocalEngine):
        self.model = str(model_folder("pocket"))
        self.adapters = Adapters(self.model, mode, way, engine)
        self.web = Web(self.adapters.answer)
        self.web.loads = self.adapters.loads
        self.address, self.log, self.readings = self.web.url.removesuffix("/v1"), Path("none"), {}

    def died(self): return "" if self.web else "was stopped"
    def stop(self):
        if self.web: self.web.stop()
        self.web = None


@pytest.fixture
def running():
    made = []
    def make(*args): return made.append(Running(*args)) or made[-1]
    yield make
    for one in made: one.stop()


@pytest.fixture
def quick(monkeypatch):
    "A self-test of what is needed here: how the server reads, and which model it reads with."
    for name in ("draws", "infilling", "decisions", "sameness"):
        monkeypatch.setattr(f"evoselfcode.engine.server_checks.try_{name}", lambda engine: None)


def settings(**more): return ServerSettings(command="serve {port} --enable-lora", **more)


# one server for a base model and its adapters

@pytest.mark.parametrize(("way", "order"), [("vllm", "base one two one base"), ("sglang", "one two")])
def test_each_model_is_asked_by_a_name_of_its_own(running, adapters, known, logs, quick, way, order):
    server = running("right", way)
    for name in order.split():
        remote = RemoteEngine(adapters.get(name, "pocket"), settings(), running=server)
        assert remote.scoring == "echo" and remote._local is None and remote.context == 512
        assert known(remote) == [name]
        assert remote.leave() is server and server.died() == ""
    names = [adapter_name(adapters[name]) for name in order.split() if name != "base"]
    assert server.adapters.told == [(does, name) for name in names for does in ("load", "unload")]
    assert set(server.adapters.models) == {server.model}
    assert sum("an adapter, loaded into the server that runs" in line for _, line in logs) == len(names)
    RemoteEngine("pocket", settings(), running=server).close()
    assert server.died()


def test_a_name_is_that_of_the_content(adapters, tmp_path):
    import shutil
    copy = Path(shutil.copytree(adapters["one"], tmp_path/"copy"))
    assert adapter_name(copy) == adapter_name(adapters["one"]) != adapter_name(adapters["two"])
    path = copy/"adapter_config.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | dict(lora_alpha=99)))
    assert adapter_name(copy) != adapter_name(adapters["one"])


def in_16_bits(name):
    "The model as a server computes it on a GPU."
    import torch
    model, tokenizer = load(name, "cpu")
    return LocalEngine(model.to(torch.bfloat16), tokenizer)


@pytest.mark.parametrize(("mode", "who"), [("old", "adapter-"), ("base", "the base model")])
def test_a_server_that_answers_with_another_adapter(running, adapters, message, logs, quick, mode, who):
    server = running(mode)
    if mode == "old": RemoteEngine(adapters["one"], settings(), running=server).leave()
    text = f"another adapter than {adapters['two']}: it answers as {who}"
    with RemoteEngine(adapters["two"], settings(check="warn"), running=server) as remote:
        assert not remote.can["adapter"] and any(level == "WARNING" and text in line for level, line in logs)
        remote.server = None
    server.adapters.models = {server.model: server.adapters.models[server.model]}
    assert text in message(RemoteEngine, adapters["two"], settings(), running=server) and server.died()


def test_another_precision_is_not_another_adapter(running, adapters, quick):
    roughly = dict(check="warn", tolerance=0.05)
    server = running("right", "vllm", in_16_bits)
    assert RemoteEngine(adapters["one"], settings(**roughly), running=server).can["adapter"]
    server = running("old", "vllm", in_16_bits)
    RemoteEngine(adapters["one"], settings(**roughly), running=server).leave()
    remote = RemoteEngine(adapters["two"], settings(**roughly), running=server)
    assert not remote.can["adapter"] and "it answers as adapter-" in remote.why("adapter")


def test_a_server_that_loads_nothing_or_forgets(running, adapters, message, quick):
    text = message(RemoteEngine, adapters["one"], settings(), running=running("refuses"))
    assert "it answered 404: Not Found" in text and "VLLM_ALLOW_RUNTIME_LORA_UPDATING=1" in text
    server = running("forgets")
    assert RemoteEngine(adapters["one"], settings(), running=server).leave() is server
    text = message(RemoteEngine, adapters["two"], settings(), running=server)
    assert f"it answered 404: The model `{adapter_name(adapters['two'])}` does not exist" in text
    server = running()
    full = dict(error=dict(message="LoRA rank 32 is greater than max_lora_rank 16"))
    server.web.loads = lambda path, body: (400, full)
    text = message(RemoteEngine, adapters["one"], settings(), running=server)
    assert "rank 32 is greater than max_lora_rank 16; " in text and "--max-lora-rank" in text


def test_a_running_server_of_another_model_is_stopped(running, adapters, message, monkeypatch, quick):
    started = []
    class Started(Running):
        def __init__(self, command, model, log, wait):
            super().__init__()
            self.model = str(model)
            started.append(self)
        def start(self): return self
    monkeypatch.setattr("evoselfcode.engine.remote.Server", Started)
    server = running()
    server.model = "another"
    RemoteEngine(adapters["one"], settings(check="off"), running=server).close()
    assert server.died() and [s.model for s in started] == [str(model_folder("pocket"))] and started[0].died()
    server = running()
    assert "no such folder" in message(RemoteEngine, "./nowhere", settings(), running=server) and server.died()
    server = running()
    remote = RemoteEngine("pocket", settings(check="off"), running=server)
    server.stop()
    assert remote.leave() is None  # one that has died is not handed on
    plain = RemoteEngine("pocket", replace(settings(check="off"), command="serve {port}"), running=running())
    assert plain.leave() is None   # nor one that could not load the next


def test_which_command_takes_adapters():
    assert takes_adapters("env X=1 vllm serve {model} --port {port} --enable-lora --max-lora-rank 16")
    assert takes_adapters("serve --enable_lora=True {port}")
    assert not takes_adapters("vllm serve {model} --no-enable-lora") and not takes_adapters("")


# servers that are started

def test_a_server_that_takes_no_adapters_gets_the_merged_model(adapters, known, logs, tmp_path):
    (tmp_path/"merged-old").mkdir()
    with RemoteEngine(adapters["one"], ServerSettings(command=SERVE, wait=120), tmp_path/"server.log") as remote:
        (folder,) = tmp_path.glob("merged-*")
        assert (folder/"model.safetensors").is_file() and remote.served == str(folder)
        assert known(remote) == ["one"]
        pid = remote.server.guard.pid
    assert not list(tmp_path.glob("merged-*")) and gone([pid])
    assert any("merged with its base model for a server of its own" in line for _, line in logs)


def test_what_is_merged_is_as_precise_as_its_base(adapters, tmp_path, monkeypatch):
    import torch
    base = tmp_path/"base"
    model, tokenizer = load("pocket", "cpu")
    model.to(torch.bfloat16).save_pretrained(base)
    tokenizer.save_pretrained(base)
    monkeypatch.setattr(loading, "base_of", lambda adapter: str(base))
    save_whole(adapters["one"], tmp_path/"whole")
    assert json.loads((tmp_path/"whole/config.json").read_text())["dtype"] == "bfloat16"
    assert (tmp_path/"whole/model.safetensors").stat().st_size < 1.1*(base/"model.safetensors").stat().st_size


def test_a_study_keeps_its_server_until_a_training(workspace, adapters, known):
    place = workspace/"checkpoints/run/iter-000"
    place.mkdir(parents=True)
    for name, path in dict(d2c="one", c2d="two").items(): (place/name).symlink_to(adapters[path])
    write_json(workspace/"data/generated/run/iter-000/metrics.json", dict(iteration=0, best=True))
    server = ServerSettings(command=f"{SERVE} --enable-lora", wait=120, check="off")
    config = Config(run="run", backend="openai", server=server, paths=Paths(root=str(workspace)))
    study, pids = Study(config, 1), []
    for name, path in dict(d2c="one", base="base", judge="base", c2d="two").items():
        engine = study.engine(name)
        assert known(engine) == [path]
        pids.append(engine.server.guard.pid)
    family = [pids[0], *descendants(pids[0])]
    assert len(set(pids)) == 1 and len(family) == 2
    study.release()
    assert gone(family, 1) and study._loaded == (None, None)
