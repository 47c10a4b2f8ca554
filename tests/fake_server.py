"""An OpenAI-like server with the pocket model behind it, which the tests ask, and which loads adapters if it may.

    python tests/fake_server.py MODEL PORT [--enable-lora]
"""
import http.server
import json
import sys
import threading

from evoselfcode.engine import fim
from evoselfcode.engine.local import LocalEngine


class Web(http.server.ThreadingHTTPServer):
    "A server on this machine; `trouble` holds what it does before it answers well, `bodies` what it was asked."
    daemon_threads, request_queue_size = True, 64

    def __init__(self, answer, port=0):
        self.answer, self.keys = answer, set()
        self.trouble, self.bodies = [], []
        self.under_way = self.most = 0
        self.decides = lambda body: (404, dict(detail="Not Found"))
        self.loads = lambda path, body: (404, dict(detail="Not Found"))
        super().__init__(("127.0.0.1", port), Handler)
        threading.Thread(target=self.serve_forever, kwargs=dict(poll_interval=.02), daemon=True).start()

    @property
    def url(self): return f"http://127.0.0.1:{self.server_port}/v1"

    def stop(self):
        self.shutdown()
        self.server_close()

    def handle_error(self, *_): pass


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version, lock = "HTTP/1.1", threading.Lock()

    def log_message(self, *_): pass

    def reply(self, status, body, headers=()):
        body = body if isinstance(body, bytes) else json.dumps(body).encode()
        self.send_response(status)
        for name, value in (("Content-Type", "application/json"), ("Content-Length", str(len(body))), *headers):
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)

    def do_GET(self):
        self.reply(200, dict(object="list", data=[dict(id="it", object="model", created=0, owned_by="us")]))

    def do_POST(self):
        body, web = json.loads(self.rfile.read(int(self.headers["Content-Length"]))), self.server
        if self.path == "/v1/systemone": return self.reply(*web.decides(body))
        if "lora" in self.path: return self.reply(*web.loads(self.path, body))
        with self.lock:
            web.bodies.append(body)
            web.keys.add(self.headers.get("Authorization"))
            web.under_way += 1
            web.most = max(web.most, web.under_way)
            trouble = web.trouble.pop(0) if web.trouble else None
        try:
            if trouble is not None and trouble(self, body): return
            found = web.answer(body)
            self.reply(*found if isinstance(found, tuple) else (200, found))
        finally: web.under_way -= 1


def complete(engine, shift=0):
    "Answer as vLLM does; with `shift`, prompt log-probabilities belong to a neighbour."
    import torch
    tokenizer, lock = engine.tokenizer, threading.Lock()
    def answer(body):
        prompt = body["prompt"]
        if "suffix" in body: prompt = fim.fim_prompt(fim.detect(tokenizer), prompt, body["suffix"])
        if isinstance(prompt, list): ids, prompt = prompt, tokenizer.decode(prompt)
        else: ids = tokenizer(prompt)["input_ids"]
        with lock, torch.inference_mode():
            samples = engine.sample(
                [prompt], body.get("n", 1), body["temperature"], body.get("top_p", 1.0), body["max_tokens"],
                body.get("seed", 0), tuple(body.get("stop", ())),
            )[0]
            logits = engine.model(input_ids=torch.tensor([ids])).logits[0].log_softmax(-1)
            known = [None, *logits[:-1].gather(1, torch.tensor(ids)[1:, None])[:, 0].tolist()]
            if shift: known = [None, *known[2:], -1.0]
        choices = []
        for index, sample in enumerate(samples):
            after = tokenizer(sample.text, add_special_tokens=False)["input_ids"]
            stops = [i for i, token in enumerate(after) if token in body.get("stop_token_ids", ())][:1]
            after = after[:stops[0]] if stops else after
            with lock: values = engine.logprobs([prompt], [tokenizer.decode(after)])[0].tolist()
            echoed = ids if body.get("echo") else []
            tokens = [tokenizer.decode([i]) for i in echoed + after]
            told = dict(tokens=tokens, token_logprobs=known[:len(echoed)] + values)
            choice = dict(
                index=index, text=tokenizer.decode(echoed + after),
                finish_reason="stop" if sample.finished or stops else "length",
                logprobs=told if "logprobs" in body else None,
            )
            if "prompt_logprobs" in body:
                choice["prompt_logprobs"] = [
                    value and {str(i): dict(logprob=value, rank=1)} for i, value in zip(ids, known)
                ]
            choices.append(choice)
        written = len(after)
        return dict(id="1", object="text_completion", created=0, model="it", choices=choices[::-1],
                    usage=dict(prompt_tokens=len(ids), completion_tokens=written, total_tokens=len(ids) + written))
    return answer


class Adapters:
    """A base model and the adapters that a server is told to load. It does so as `mode` says.

    right: as vLLM does; old: the first adapter answers for all; base: the base model does; refuses: as a server that
    was not started for it; forgets: from the second adapter on, none is known by its name. `way` is vllm or sglang.
    """
    def __init__(self, base: str, mode: str = "right", way: str = "vllm", engine=LocalEngine):
        self.base, self.mode, self.way, self.engine = base, mode, way, engine
        self.models, self.told = {base: complete(engine(base))}, []

    def loads(self, path: str, body: dict) -> tuple:
        "Load or unload an adapter: status and reply."
        root = "/v1" if self.way == "vllm" else ""
        if self.mode == "refuses" or not path.startswith(f"{root}/") or not root and path.startswith("/v1"):
            return 404, dict(detail="Not Found")
        does, name = path.removeprefix(f"{root}/").partition("_")[0], body["lora_name"]
        known, before = self.called(name) in self.models, [n for d, n in self.told if d == "load"]
        if known == (does == "load"): return 400, dict(error=dict(message=f"{name} is {'' if known else 'not '}loaded"))
        self.told.append((does, name))
        if does == "unload": del self.models[self.called(name)]
        elif self.mode == "base": self.models[self.called(name)] = self.models[self.base]
        elif self.mode == "old" and before: self.models[self.called(name)] = self.first
        elif self.mode != "forgets" or not before:
            self.models[self.called(name)] = self.first = complete(self.engine(body["lora_path"]))
        return 200, f"Success: LoRA adapter '{name}' {does}ed successfully.".encode()

    def called(self, name: str) -> str: return name if self.way == "vllm" else f"{self.base}:{name}"

    def answer(self, body: dict):
        "Complete by the model that the body names."
        if body["model"] in self.models: return self.models[body["model"]](body)
        return 404, dict(error=dict(message=f"The model `{body['model']}` does not exist."))


def serve(model: str, port: str, *words: str):
    "Serve a whole model until killed."
    adapters = Adapters(model)
    web = Web(adapters.answer, int(port))
    if "--enable-lora" in words: web.loads = adapters.loads
    print(f"serving {model}", flush=True)
    threading.Event().wait()


if __name__ == "__main__": serve(*sys.argv[1:])
