"""The engine behind a server: a real `transformers serve`, a complete server, and servers that misbehave."""
import json
import logging
import os
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time
from dataclasses import asdict, replace
from pathlib import Path

import numpy as np
import pytest
from fake_server import Web, complete

from evoselfcode.engine import fim
from evoselfcode.engine.decisions import decide, decision_settings, options
from evoselfcode.engine.gguf import convert
from evoselfcode.engine.loading import model_folder
from evoselfcode.engine.local import LocalEngine
from evoselfcode.engine.remote import RemoteEngine, ServerSettings, check_settings, pause, said
from evoselfcode.engine.serving import Server, descendants, ready, server_command
from evoselfcode.errors import UserError
from evoselfcode.io_utils import read_jsonl
from evoselfcode.stages import run_batches

pytest.importorskip("openai")
PROMPTS = ["def count_vowels(text: str) -> int:\n", "# Return the sum of the numbers above zero in the list.\n",
           "def square_numbers(numbers: list[int]) -> list[int]:\n"]
SERVE = f"{sys.executable} -m transformers.cli.transformers serve {{model}} --port {{port}} --device cpu"
KEY = "sk-secret-0123456789"
ASKED = [
    dict(
        state=prompt + "    return 0\n",
        questions=dict(
            right=dict(type="noul", instructions="Is the code right?"),
            level=dict(type="score", instructions="How good is it?", criteria=["bad", "good", "fine"]),
        ),
    )
    for prompt in PROMPTS
]


@pytest.fixture(scope="module")
def pocket():
    return LocalEngine("pocket", device="cpu")


@pytest.fixture(autouse=True)
def logs(monkeypatch):
    "What was logged, and a key in the environment of every test."
    monkeypatch.setenv("OPENAI_API_KEY", KEY)
    lines, handler = [], logging.Handler()
    handler.emit = lambda record: lines.append(record.getMessage())
    logging.getLogger().addHandler(handler)
    logging.getLogger("evoselfcode").addHandler(handler)
    yield lines
    logging.getLogger().removeHandler(handler)
    logging.getLogger("evoselfcode").removeHandler(handler)
    assert KEY not in "\n".join(lines)


# A real server that lacks much: transformers serve

@pytest.fixture(scope="module")
def served(pocket, tmp_path_factory):
    pytest.importorskip("fastapi")
    pytest.importorskip("uvicorn")
    settings = ServerSettings(command=SERVE, concurrency=1, wait=120)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("OMP_NUM_THREADS", "1")
        remote = RemoteEngine("pocket", settings, log=tmp_path_factory.mktemp("served")/"server.log")
    with remote: yield remote
    assert not ready(remote.server.address)


def test_what_transformers_serve_has_and_lacks(served):
    assert {name for name, has in served.can.items() if has} == {"temperature", "seed", "stop", "same text"}
    assert {name for name, has in served.can.items() if not has} == {
        "n", "logprobs", "echo", "prompt_logprobs", "token prompts", "stop_token_ids", "suffix", "systemone",
    }
    assert "generation_config" in served.fields and served.scoring == "local"
    assert all(f.detail for f in served.features if not f.has)


def test_served_texts_are_those_of_this_process(served, pocket):
    stop = ("\ndef ", "\nclass ", "\nif __name__", "\n#", "\nprint(")  # one more than a request may hold
    for new in (5, 50):
        way = dict(temperature=0, max_new_tokens=new, stop=stop)
        here, there = (engine.sample(PROMPTS, 2, **way) for engine in (pocket, served))
        mine, theirs = ([[(s.text, s.finished, s.tokens) for s in row] for row in found] for found in (here, there))
        assert mine == theirs
    assert all(np.isnan(s.logprob) for samples in there for s in samples)


def test_served_samples_repeat_and_differ(served):
    first, again, other = (
        served.sample([*PROMPTS[:2], PROMPTS[0]], 2, temperature=1.0, max_new_tokens=12, seed=seed)
        for seed in (1, 1, 2)
    )
    texts = [[s.text for s in samples] for samples in first]
    assert texts == [[s.text for s in samples] for samples in again] != [[s.text for s in samples] for samples in other]
    assert [len(samples) for samples in first] == [2] * 3 and texts[0] != texts[2]
    assert len({text for samples in texts for text in samples}) > 3


def test_scoring_that_the_server_lacks_is_refused_or_done_here(served, pocket, message):
    texts = ["    return sum(letter in 'aeiou' for letter in text)\n", "", "    return 0\n"]
    for a, b in zip(served.logprobs(PROMPTS, texts), pocket.logprobs(PROMPTS, texts)): assert np.array_equal(a, b)
    assert np.allclose(served.perplexity(PROMPTS, texts), pocket.perplexity(PROMPTS, texts), equal_nan=True)
    settings = ServerSettings(base_url=f"{served.server.address}/v1", model=served.served, check="off", scoring="echo")
    with RemoteEngine("pocket", settings) as strict:
        assert "no echo: echo tells 0" in message(strict.logprobs, PROMPTS, texts)
        # its seeds disturb each other, if they meet
        assert strict.can["seed"] or "server.concurrency=1" in strict.why("seed")


def answered(answers): return [share for answer in answers for part in answer.values() for share in options(part)]


def test_typed_questions_are_answered_here_unless_the_server_knows_how_to_ask(
    served, pocket, logs, tmp_path, monkeypatch
):
    "The pocket model has no chat template: `transformers serve` answers for it only with a file that says how to ask."
    here = decide(pocket, ASKED)
    assert decide(served, ASKED) == here
    told = "in this process; server: the request was refused, it answered 400: Cannot use chat template"
    assert any(told in line for line in logs)
    (tmp_path/"decision.json").write_text(json.dumps(asdict(decision_settings(pocket))))
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    settings = ServerSettings(command=f"{SERVE} --decision-config {tmp_path/'decision.json'}", concurrency=1, wait=120)
    with RemoteEngine("pocket", settings, log=tmp_path/"log") as remote:
        assert remote.can["systemone"] and remote.can["same systemone"]
        remote.drop_local()
        long = dict(state="x = 1\n"*400, questions=ASKED[0]["questions"])
        there = decide(remote, [ASKED[0], long, *ASKED[1:]])
        assert remote._local is None and there[1] == dict(right=None, level=None)
        assert np.allclose(answered(there[:1] + there[2:]), answered(here), atol=1e-4)


def test_infilling_works_through_the_server(served, pocket):
    here, there = fim.probe(pocket), fim.probe(served)
    assert there.works and [row["filled"] for row in here.table] == [row["filled"] for row in there.table]


def test_another_model_is_told(served, pocket, message, tmp_path):
    import torch
    other = shutil.copytree(served.folder, tmp_path/"other")
    torch.manual_seed(0)
    type(pocket.model)(pocket.model.config).save_pretrained(other)
    settings = ServerSettings(base_url=f"{served.server.address}/v1", model=served.served, concurrency=1)
    assert "another model" in message(RemoteEngine, other, settings)
    assert "was refused, it answered 400" in message(RemoteEngine, "pocket", replace(settings, model="nobody/knows"))


# A complete server: what vLLM answers, written down from its documentation, with the pocket model behind it

@pytest.fixture
def web():
    made = []
    def make(answer, port=0): return made.append(Web(answer, port)) or made[-1]
    yield make
    for one in made: one.stop()


def test_a_complete_server_gives_what_the_local_engine_gives(web, pocket):
    place = web(complete(pocket))
    place.decides = lambda body: (200, dict(answers=decide(pocket, [body])[0]))
    with RemoteEngine("pocket", ServerSettings(base_url=place.url, fim="suffix")) as remote:
        assert all(remote.can.values()) and remote.scoring == "echo" and remote.served == "it" and remote._local is None
        way = dict(temperature=0, max_new_tokens=70, stop=("\n#",))
        for a, b in zip(pocket.sample(PROMPTS, **way), remote.sample(PROMPTS, **way)):
            assert (a[0].text, a[0].finished, a[0].tokens) == (b[0].text, b[0].finished, b[0].tokens)
        place.bodies.clear()
        drawn = remote.sample(PROMPTS, 5, seed=3, max_new_tokens=20, stop=("\n#",))
        # the whole text's tokens, not those behind the stop string
        for prompt, samples in zip(PROMPTS, drawn):
            for sample, values in zip(samples, pocket.logprobs([prompt]*5, [sample.text for sample in samples])):
                assert sample.tokens == len(values) and sample.logprob == pytest.approx(values.sum(), abs=1e-3)
        assert [len(samples) for samples in drawn] == [5] * 3 and len({s.text for s in drawn[0]}) > 1
        assert len(place.bodies) == 3
        assert {body["n"] for body in place.bodies} == {5} and len({body["seed"] for body in place.bodies}) == 3
        infilling = fim.fim_prompt(remote.family, "def ", fim.INFILLINGS["evens"])
        filled = [e.sample([infilling], temperature=0, max_new_tokens=20)[0][0].text for e in (remote, pocket)]
        assert filled[0] == filled[1]
        assert place.bodies[-1]["suffix"] == fim.INFILLINGS["evens"] and remote.sample([], 2) == []
        melting = [
            ("def f(x):\n    ret", "urn x\n"), ("", "def f(x):\n"), (PROMPTS[0], ""),
            *zip(PROMPTS, ["    return 1\n"] * 3), (PROMPTS[0], "    return 1\n"),
        ]
        for how in ("echo", "prompt_logprobs"):
            remote.scoring = how
            for (prompt, text), a, b in zip(melting, remote.logprobs(*zip(*melting)), pocket.logprobs(*zip(*melting))):
                same = a.dtype == np.float32 and a.shape == b.shape and np.allclose(a, b, atol=1e-4)
                assert same, (how, prompt, text)
        long = "x = 1\n"*200
        with pytest.raises(UserError, match="has room for"): remote.sample([long])
        with pytest.raises(UserError, match="has room for"): remote.logprobs([long], ["x"])


def test_wrong_log_probabilities_are_not_used(web, pocket, message):
    place = web(complete(pocket, shift=1))
    with RemoteEngine("pocket", ServerSettings(base_url=place.url)) as remote:
        assert remote.scoring == "local" and not remote.can["echo"] and "its values are wrong" in remote.why("echo")
        there, here = (engine.logprobs(PROMPTS[:1], ["    return 1\n"])[0] for engine in (remote, pocket))
        assert np.allclose(there, here, atol=1e-4)
        remote.scoring = "prompt_logprobs"
        assert "wrong" in message(remote.logprobs, PROMPTS[:1], ["    return 1\n"])


def test_a_server_that_asks_in_another_way_is_not_asked(web, pocket, logs):
    place, other = web(complete(pocket)), decision_settings(pocket)
    other = replace(other, labels=dict(other.labels, noul=["N", "Y"]))
    place.decides = lambda body: (200, dict(answers=decide(pocket, [body], other)[0]))
    with RemoteEngine("pocket", ServerSettings(base_url=place.url)) as remote:
        assert not remote.can["systemone"] and "its values are wrong" in remote.why("systemone")
        assert decide(remote, ASKED) == decide(pocket, ASKED)
        assert any("server: its values are wrong" in line for line in logs)
    with RemoteEngine("pocket", ServerSettings(base_url=place.url, check="off")) as remote:
        assert remote.can["systemone"]


def test_decisions_are_asked_again_until_they_are_whole_and_equal_ones_once(web, connect, pocket, message):
    place, good = web(simple), decide(pocket, ASKED)
    bodies = []
    trouble = [
        (503, {}), (200, b"<html>"), (200, dict(answers={})),
        (200, dict(answers=dict(good[0], right=dict(type="noul", noul="yes")))),
    ]
    def decides(body):
        bodies.append(body)
        return trouble.pop(0) if trouble else (200, dict(answers=decide(pocket, [body])[0]))
    place.decides = decides
    remote = connect(place.url, concurrency=1)
    remote.can["systemone"] = True
    assert np.allclose(answered(decide(remote, ASKED*2)), answered(good*2), atol=1e-5) and len(bodies) == 4 + len(ASKED)
    # a real server refuses any other field
    assert all(set(body) == {"model", "state", "questions"} for body in bodies)
    assert answered(decide(remote, ASKED, decision_settings(pocket))) == answered(good)
    assert len(bodies) == 4 + len(ASKED)
    trouble = [(422, dict(detail="no such type"))]*9
    assert "it answered 422: no such type" in message(decide, remote, ASKED)


def test_pairs_that_only_token_ids_can_ask_for_are_scored_here(web, pocket, message):
    answer = complete(pocket)
    def text_only(handler, body):
        return isinstance(body["prompt"], list) and (handler.reply(400, dict(detail="prompt must be text")) or True)
    place = web(answer)
    place.trouble = [text_only]*10**5
    melting = [("def f(x):\n    ret", "urn x\n"), (PROMPTS[0], "    return 1\n")]
    with RemoteEngine("pocket", ServerSettings(base_url=place.url)) as remote:
        assert not remote.can["token prompts"] and remote.scoring == "echo"
        for a, b in zip(remote.logprobs(*zip(*melting)), pocket.logprobs(*zip(*melting))):
            assert np.allclose(a, b, atol=1e-4)
        assert remote._local is not None
        remote.settings = replace(remote.settings, scoring="echo")
        assert "cannot read 1 of 2" in message(remote.logprobs, *zip(*melting))


# Servers in trouble

def simple(body):
    "A quick server without a model: its text follows from prompt and seed."
    choices = [
        dict(index=i, text=f" {body['prompt'][-8:]} {body['seed']} {i}", finish_reason="stop")
        for i in range(body.get("n", 1))
    ]
    return dict(choices=choices, usage=dict(completion_tokens=1))


def drop(handler, body):
    "Break the connection in the middle of the answer."
    handler.send_response(200)
    handler.send_header("Content-Length", "1000")
    handler.end_headers()
    handler.wfile.write(b'{"choices": [{"te')
    handler.wfile.flush()
    handler.connection.shutdown(socket.SHUT_RDWR)
    handler.close_connection = True
    return True


def hang_up(handler, body):
    handler.connection.shutdown(socket.SHUT_RDWR)
    handler.close_connection = True
    return True


def status(code, text="busy", **headers):
    return lambda handler, body: handler.reply(code, dict(error=dict(message=text)), headers.items()) or True


def instead(body): return lambda handler, _: handler.reply(200, body) or True


FEWER = lambda handler, body: handler.reply(200, dict(choices=simple(body)["choices"][1:])) or True
PASSING = {
    "429": status(429, **{"Retry-After": "0"}),
    "500": status(500),
    "503": status(503),
    "408": status(408),
    "dropped": drop,
    "hung up": hang_up,
    "torn JSON": instead(b'{"choices": [{"text": " x", "finish_re'),
    "no JSON": instead(b"<html>gateway</html>"),
    "no choices": instead({}),
    "fewer": FEWER,
    "no text": instead(dict(choices=[dict(finish_reason="stop")])),
    "aborted": instead(dict(choices=[dict(text="x", finish_reason="abort")])),
    "a list": instead([]),
}


@pytest.fixture
def connect(monkeypatch):
    "A RemoteEngine to a server that was not asked what it can: no n, no log-probabilities."
    made = []
    monkeypatch.setattr("evoselfcode.engine.remote.self_test", lambda engine: engine.can.update(temperature=True))
    monkeypatch.setattr("evoselfcode.engine.remote.random.uniform", lambda low, high: 0.02)
    def make(url, **settings):
        return made.append(RemoteEngine("pocket", ServerSettings(base_url=url, **settings))) or made[-1]
    yield make
    for one in made: one.close()


def texts(found): return [[s.text for s in samples] for samples in found]


@pytest.mark.parametrize("name", PASSING)
def test_what_passes_is_asked_again(web, connect, name):
    place = web(simple)
    remote = connect(place.url)
    well = texts(remote.sample(PROMPTS, 4))
    assert len({text for samples in well for text in samples}) == 12
    place.bodies.clear()
    place.trouble = [PASSING[name]]*3
    assert texts(remote.sample(PROMPTS, 4)) == well and len(place.bodies) == 12 + 3


@pytest.mark.parametrize("name", ["500", "dropped", "torn JSON", "fewer"])
def test_what_does_not_pass_is_one_line(web, connect, message, name):
    place = web(simple)
    place.trouble = [PASSING[name]]*10**4
    text = message(connect(place.url, retries=2, concurrency=1).sample, PROMPTS, 2)
    assert "asked 3 times" in text and "run the same command again" in text and place.url in text
    assert len(place.bodies) == 3


@pytest.mark.parametrize("code", [400, 401, 403, 404, 422, 501])
def test_what_is_refused_is_not_asked_again(web, connect, message, code):
    place = web(simple)
    place.trouble = [status(code, "no such\nthing")]*100
    text = message(connect(place.url, concurrency=1).sample, PROMPTS, 2)
    assert f"it answered {code}: no such" in text and len(place.bodies) == 1


def test_more_choices_than_one_come_whole(web, connect):
    place = web(simple)
    remote = connect(place.url)
    remote.most = 4
    well = texts(remote.sample(PROMPTS, 4))
    place.trouble, place.bodies = [FEWER]*2, []
    assert texts(remote.sample(PROMPTS, 4)) == well and len(place.bodies) == 5
    remote.most, place.bodies = 3, []
    assert [len(samples) for samples in remote.sample(PROMPTS[:2], 7)] == [7, 7]
    assert sorted(body.get("n", 1) for body in place.bodies) == [1, 1, 3, 3, 3, 3]


def test_nobody_there(connect, message):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{taken.getsockname()[1]}/v1"
        assert "no answer, is it running?" in message(connect, url)
        assert "no answer (ConnectError); asked 2 times" in message(connect(url, model="it", retries=1).sample, PROMPTS)


def test_an_answer_that_takes_too_long(web, connect, message):
    place = web(simple)
    remote = connect(place.url, timeout=.2, retries=1)
    place.trouble = [lambda handler, body: time.sleep(.6)]*4
    assert "Timeout" in message(remote.sample, PROMPTS[:1])


def test_cut_by_the_limit_is_unfinished(web, connect):
    place = web(lambda body: dict(choices=[dict(text="a = 1\n# b<|endoftext|>c", finish_reason="length")]))
    remote = connect(place.url)
    (whole,), (stopped,) = remote.sample(["x"])[0], remote.sample(["x"], stop=("\n#",))[0]
    assert (whole.text, whole.finished) == ("a = 1\n# b", True) and (stopped.text, stopped.finished) == ("a = 1", True)
    place.answer = lambda body: dict(choices=[dict(text="a = 1", finish_reason="length")])
    assert not remote.sample(["x"])[0][0].finished


def test_a_server_that_dies_in_a_run_loses_and_doubles_nothing(web, connect, message, tmp_path):
    batches = [(f"b{i}", [f"def f{i}_{k}(" for k in range(4)]) for i in range(6)]
    def stage(remote, path):
        def work(key, prompts):
            return [
                dict(prompt=p, text=s.text)
                for p, found in zip(prompts, remote.sample(prompts, 3, seed=int(key[1:])))
                for s in found
            ]
        return run_batches(path, batches, work, {})
    first = web(simple)
    remote = connect(first.url, retries=1, concurrency=3)
    def die(handler, body):
        threading.Thread(target=first.stop).start()
        first.trouble = [hang_up]*1000
        return hang_up(handler, body)
    first.trouble = [lambda *_: False]*30 + [die]
    assert "run the same command again" in message(stage, remote, tmp_path/"one.jsonl")
    written = read_jsonl(tmp_path/"one.jsonl")
    assert len(written) == 24                                              # two whole batches, nothing of the third
    remote = connect(web(simple).url)
    found = stage(remote, tmp_path/"one.jsonl")
    assert found[:24] == written and len(found) == 72 and len({json.dumps(record) for record in found}) == 72
    assert stage(remote, tmp_path/"two.jsonl") == found


def test_no_more_requests_than_allowed(web, connect):
    place = web(simple)
    place.trouble = [lambda handler, body: time.sleep(.03)]*100
    connect(place.url, concurrency=3).sample(PROMPTS, 10)
    assert place.most == 3


def test_interrupted_at_once(web, connect):
    place = web(simple)
    place.trouble = [lambda handler, body: time.sleep(3)]*100
    remote = connect(place.url)
    threading.Timer(.3, os.kill, (os.getpid(), signal.SIGINT)).start()
    start = time.monotonic()
    with pytest.raises(KeyboardInterrupt): remote.sample(PROMPTS, 10)
    assert time.monotonic() - start < 2
    place.trouble = []
    assert len(remote.sample(PROMPTS)) == 3                                # and the engine still works


def test_pauses():
    assert pause(0, "7") == 7 and pause(0, "1e9") == 120 and pause(3, None) <= 4 and pause(60, "soon") <= 60
    assert 0 <= pause(0, time.strftime("%a, %d %b %Y %H:%M:%S GMT", time.gmtime(time.time() + 50))) <= 50
    assert said('{"error": {"message": "too long\\nsecond"}}') == "too long" and said('{"detail": "x"}') == "x"
    assert said("") == "without a word" and said('["a"]') == '["a"]'


# Keys and settings

def test_the_key_is_sent_and_never_shown(web, connect, message, logs, capsys):
    place = web(simple)
    def shows(code):
        def trouble(handler, body):
            words = f"Incorrect API key: {handler.headers['Authorization']}"
            return handler.reply(code, dict(error=dict(message=words))) or True
        return trouble
    remote = connect(place.url, retries=1, concurrency=1)
    remote.sample(PROMPTS)
    assert place.keys == {f"Bearer {KEY}"}
    for code in (401, 500, 429):
        place.trouble = [shows(code)]*2
        text = message(remote.sample, PROMPTS[:1])
        assert KEY not in text and "***" in text
    remote.note("echo", False, f"refused {KEY}")
    logging.getLogger().warning("a line in the log")
    for thing in (remote, remote.settings, vars(remote), remote.client.openai): assert KEY not in repr(thing)
    assert KEY not in "".join(logs) + capsys.readouterr().out


def test_no_key_is_no_mistake(web, connect, monkeypatch):
    monkeypatch.delenv("OPENAI_API_KEY")
    place = web(simple)
    assert connect(place.url).sample(PROMPTS) and place.keys == {"Bearer none"}


@pytest.mark.parametrize("wrong", [
    dict(key_env=KEY), dict(base_url=f"http://me:{KEY}@host/v1"), dict(base_url=f"http://host/v1?key={KEY}"),
    dict(base_url="host:8000"), dict(base_url="http://[x/v1"), dict(concurrency=0), dict(timeout=0.0),
    dict(scoring="chat"), dict(fim="hole"), dict(check="no"), dict(extra={"api_key": KEY}), dict(command="serve"),
    dict(command=f"serve --api-key {KEY} {{port}}"), dict(command="serve '{port}"),
])
def test_settings_that_cannot_work(wrong, message):
    def use(settings):
        check_settings(settings)
        server_command(settings.command, "m", 1)
    assert KEY not in message(use, ServerSettings(**wrong))


def test_importing_is_light():
    code = (
        "import sys, evoselfcode.engine.remote\n"
        "print([m for m in ('torch', 'transformers', 'openai', 'pandas') if m in sys.modules])"
    )
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True).stdout.strip() == "[]"


# Servers that we start

FAMILY = """
import http.server, os, signal, subprocess, sys, time
child = '''
import signal, sys, time
if sys.argv[1] == 'deaf': signal.signal(signal.SIGTERM, signal.SIG_IGN)
time.sleep(600)
'''
for kind in ("deaf", "own session"):
    subprocess.Popen([sys.executable, "-c", child, kind], start_new_session=kind == "own session")
class Ready(http.server.BaseHTTPRequestHandler):
    def log_message(self, *_): pass
    def do_GET(self): self.send_response(200); self.end_headers()
    def do_POST(self): print("out of memory", flush=True); os._exit(9)
http.server.HTTPServer(("127.0.0.1", int(sys.argv[1])), Ready).serve_forever()
"""


@pytest.fixture
def family(tmp_path):
    (tmp_path/"family.py").write_text(FAMILY)
    return f"{sys.executable} {tmp_path/'family.py'} {{port}}"


def alive(pids):
    def state(pid): return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    return [pid for pid in pids if Path(f"/proc/{pid}").exists() and state(pid) != "Z"]


def gone(pids, seconds=10):
    end = time.monotonic() + seconds
    while alive(pids) and time.monotonic() < end: time.sleep(.05)
    return not alive(pids)


def family_of(server):
    end = time.monotonic() + 20
    while len(found := descendants(server.guard.pid)) < 3 and time.monotonic() < end: time.sleep(.05)
    return [server.guard.pid, *found]


@pytest.mark.parametrize("how", ["end", "error", "interrupt"])
def test_a_server_goes_with_its_children(family, tmp_path, how):
    with pytest.raises((RuntimeError, KeyboardInterrupt)) if how != "end" else pytest.MonkeyPatch.context():
        with Server(family, "m", tmp_path/"log", wait=60, grace=.5) as server:
            pids = family_of(server)
            assert len(alive(pids)) == 4 and ready(server.address)
            if how == "error": raise RuntimeError
            if how == "interrupt": raise KeyboardInterrupt
    assert gone(pids, 1) and not ready(server.address) and "was stopped" in repr(server)


@pytest.mark.parametrize("name", [signal.SIGKILL, signal.SIGTERM])
def test_a_server_goes_with_us(family, tmp_path, name):
    code = ("import sys, time; from evoselfcode.engine.serving import Server, descendants\n"
            "server = Server(sys.argv[1], 'm', sys.argv[2], wait=60, grace=.5).start()\n"
            "while len(found := descendants(server.guard.pid)) < 3: time.sleep(.05)\n"
            "print(server.guard.pid, *found, flush=True); time.sleep(600)")
    us = subprocess.Popen([sys.executable, "-c", code, family, tmp_path/"log"], stdout=subprocess.PIPE, text=True)
    pids = [int(pid) for pid in us.stdout.readline().split()]
    assert len(alive(pids)) == 4
    us.send_signal(name)
    us.wait()
    assert gone(pids)


def test_a_server_whose_guard_is_killed_goes_too(family, tmp_path):
    server = Server(family, "m", tmp_path/"log", wait=60).start()
    pids = family_of(server)
    os.kill(server.guard.pid, signal.SIGKILL)
    assert gone(pids[:2]) and "code -9" in server.died()
    server.stop()
    for pid in alive(pids): os.kill(pid, signal.SIGKILL)                   # its children, which nobody looks after then


def test_a_server_that_cannot_start(tmp_path, message):
    for command, text in (
        (f"{sys.executable} -c 'print(1); raise SystemExit(\"no GPU\")' {{port}}", "code 1; its last line: no GPU"),
        ("no-such-program {port}", "no-such-program: No such file"),
        (f"{sys.executable} -c 'import os; os.kill(os.getpid(), 11)' {{port}}",
         "code 139; its last line: it wrote nothing"),
    ):
        assert text in message(Server(command, "m", tmp_path/"log", wait=60).start)
    slow = Server(f"{sys.executable} -c 'import time; time.sleep(600)' {{port}}", "m", tmp_path/"log", wait=1)
    assert "was not ready after 1 s" in message(slow.start) and slow.guard is None


def test_a_server_of_ours_that_dies_is_told_at_once(family, connect, message, monkeypatch):
    monkeypatch.setattr("evoselfcode.engine.remote.random.uniform", lambda low, high: high)
    remote = connect("", command=family, wait=60)
    pids = family_of(remote.server)
    text = message(remote.sample, PROMPTS[:1])
    assert "ended by itself with code 9; its last line: out of memory" in text and "asked" not in text
    remote.close()
    assert gone(pids)


# llama-cpp-python's server, where somebody has one; llama.cpp's own is in test_gguf

@pytest.mark.skipif(
    "EVOSELFCODE_LLAMA_PYTHON" not in os.environ,
    reason="EVOSELFCODE_LLAMA_PYTHON does not name a Python with llama-cpp-python[server]",
)
@pytest.mark.parametrize("start", ["no", "start"])
def test_llama_cpp(pocket, tmp_path, start):
    python = os.environ["EVOSELFCODE_LLAMA_PYTHON"]
    folder = Path(shutil.copytree(model_folder("pocket"), tmp_path / "model"))
    # a twin whose tokenizer begins every text with the end-of-text token
    if start == "start":
        inner, outer = (json.loads((folder/name).read_text()) for name in ("tokenizer.json", "tokenizer_config.json"))
        token = {"SpecialToken": {"id": "<|endoftext|>", "type_id": 0}}
        sequence = [{"Sequence": {"id": name, "type_id": 0}} for name in "AB"]
        inner["post_processor"] = {
            "type": "TemplateProcessing",
            "single": [token, sequence[0]],
            "pair": sequence,
            "special_tokens": {"<|endoftext|>": {"id": "<|endoftext|>", "ids": [0], "tokens": ["<|endoftext|>"]}},
        }
        (folder/"tokenizer.json").write_text(json.dumps(inner))
        (folder/"tokenizer_config.json").write_text(json.dumps(outer | dict(bos_token="<|endoftext|>")))
    model = convert(folder, tmp_path/"pocket.gguf", "f32")
    command = (
        f"{python} -m llama_cpp.server --model {model} --port {{port}} "
        "--n_ctx 512 --n_threads 1 --type_k 0 --type_v 0"
    )
    extra = dict(top_k=0, min_p=0.0, repeat_penalty=1.0)
    settings = ServerSettings(command=command, model="pocket", concurrency=2, extra=extra)
    local = LocalEngine(str(folder), device="cpu")
    with RemoteEngine(folder, settings, log=tmp_path/"log") as remote:
        assert remote.can["same text"] and remote.can["same logprobs"]
        assert remote.scoring == ("echo" if start == "start" else "local")
        drawn = remote.sample(PROMPTS, 4, max_new_tokens=40, seed=1)
        pairs = [(prompt, sample.text) for prompt, samples in zip(PROMPTS, drawn) for sample in samples]
        there, here = remote.logprobs(*zip(*pairs)), local.logprobs(*zip(*pairs))
        gaps = [float(np.abs(a - b).max()) for a, b in zip(there, here) if len(a)]
        assert len(gaps) > 6 and max(gaps) < 1e-4 and (remote._local is None) == (start == "start")
