"""How fast is the engine, and does it say the same as the plain way?

Run it from the project's folder; with the pocket model it takes a minute or two on two CPU cores:

    python benchmarks/engine.py
    python benchmarks/engine.py --model Qwen/Qwen2.5-Coder-0.5B --device cuda --prompts 64

Sampling, in tokens per second: one `generate` call per sample, one call per prompt (`num_return_sequences`), with
`--continuous` transformers' continuous batching (`generate_batch`), and `LocalEngine.sample`, beside the bound that the
device's memory sets: all weights are read once per step, and each row's keys and values.
Perplexity: one forward pass per candidate, and `LocalEngine.perplexity`.
Judging: transformers' `DecisionPipeline`, one prompt at a time, and `decide`, with one question per text and with six.
`--llama q8_0 q4_0` measures sampling alone, by `LocalEngine` and by llama.cpp's server, for 1, 8 and 32 rows.
`--by-rows` measures sampling alone, on a CPU: `generate`, `LocalEngine.sample`, and with `int8`, beside the bounds.
The first two with prompts of about 200 tokens and with short ones, `--n` candidates each. The plain ways run on the
first `--baseline` prompts, since on all of them they would take minutes.
At the end: greedy texts of both ways are equal, and so are the log-probabilities of the same texts and the answers of
the judge.
"""
import argparse
import copy
import os
import resource
from pathlib import Path
from time import perf_counter, process_time

import numpy as np
import torch

from evoselfcode.engine.batching import token_bytes

# ours before torch: it says how torch's threads wait for each other
from evoselfcode.engine.decisions import decide, decision_settings
from evoselfcode.engine.gguf import TYPES
from evoselfcode.engine.local import LocalEngine
from evoselfcode.engine.remote import RemoteEngine, ServerSettings
from evoselfcode.engine.serving import descendants
from evoselfcode.pipeline.model_judge import JUDGE, RATINGS

TASKS = [
    "the sum of the squares of the even numbers in the list", "the largest word of the given words",
    "how many vowels there are in the string", "the running totals of the numbers above zero",
    "the list without repeats in descending order", "whether the numbers are in ascending order",
    "the first three characters of each word in upper case", "the differences between neighbours of the sorted numbers",
]
SHOWN = '''def sum_evens(xs: list[int]) -> int:
    """Return the sum of the even numbers in the list."""
    return sum(x for x in xs if x % 2 == 0)


def longest(words: list[str]) -> str:
    """Find the longest of the given words."""
    result = ""
    for word in words:
        if len(word) > len(result):
            result = word
    return result


def doubled(numbers: list[int]) -> list[int]:
    """Compute the doubles of the numbers above zero."""
    return [2 * v for v in numbers if v > 0]


'''


def prompts_of(engine: LocalEngine, count: int, tokens: int) -> list[str]:
    "Write `count` different prompts of about `tokens` tokens: functions shown first, then one to write."
    asks = [f"# Case {i}. Return {TASKS[i % len(TASKS)]}.\ndef solve(xs: list[int]) -> int:" for i in range(count)]
    room = tokens - max(len(engine.tokenizer(ask)["input_ids"]) for ask in asks)
    shown = engine.tokenizer(SHOWN * 4, verbose=False)["input_ids"][-room:] if room > 0 else []
    return [engine.tokenizer.decode(shown) + ask for ask in asks]


def timed(work, repeats: int):
    "Return the result of `work` and the seconds of its fastest run."
    seconds = []
    for _ in range(repeats):
        start = perf_counter()
        result = work()
        seconds.append(perf_counter() - start)
    return result, min(seconds)


def generate(engine: LocalEngine, prompt: str, n: int, new: int, temperature: float) -> list[tuple]:
    "The plain way to sample: transformers' own `generate` on one prompt. Each sample's text and number of tokens."
    ids = engine.tokenizer(prompt, return_tensors="pt")["input_ids"].to(engine.model.device)
    how = dict(do_sample=False)
    if temperature: how = dict(do_sample=True, temperature=temperature, top_p=0.95, top_k=0, num_return_sequences=n)
    with torch.inference_mode():
        out = engine.model.generate(input_ids=ids, attention_mask=torch.ones_like(ids), max_new_tokens=new,
                                    eos_token_id=engine.ends, pad_token_id=engine.pad, **how)[:, ids.shape[1]:]
    size = lambda row: int((~torch.isin(row, torch.tensor(engine.ends, device=row.device))).sum())
    return [(engine.tokenizer.decode(row, skip_special_tokens=True), size(row)) for row in out]


def continuous(engine: LocalEngine, prompts: list[str], n: int, new: int, temperature: float) -> list[int]:
    "Sample by transformers' continuous batching: the number of tokens of each sample."
    from transformers import GenerationConfig
    config = GenerationConfig(
        do_sample=True, temperature=temperature, top_p=0.95, top_k=0, max_new_tokens=new, num_return_sequences=n,
        eos_token_id=engine.ends, pad_token_id=engine.pad,
    )
    found = engine.model.generate_batch([ids for ids in engine.encode(prompts)], generation_config=config)
    return [sum(token not in engine.ends for token in output.generated_tokens) for output in found.values()]


def bandwidth(device, size: int = 1 << 28) -> float:
    "Bytes per second that the device's memory reads and writes, by copying."
    a = torch.zeros(size, dtype=torch.uint8, device=device)
    b = torch.empty_like(a)
    def copy():
        b.copy_(a)
        if a.is_cuda: torch.cuda.synchronize()
    return 2*size/timed(copy, 5)[1]


def least_seconds(engine: LocalEngine, prompts: list[str], drawn: list, speed: float) -> float:
    "Time to read what decoding has to: each step the weights, each prompt's keys and values, and each row's own."
    steps = [max(s.tokens for s in samples) for samples in drawn]
    own = sum(s.tokens**2 / 2 for samples in drawn for s in samples)
    shown = sum(step * len(ids) for step, ids in zip(steps, engine.encode(prompts)))
    return (max(steps)*engine.model.get_memory_footprint() + (own + shown)*token_bytes(engine.model))/speed


def plain_logprobs(engine: LocalEngine, prompt: str, text: str) -> np.ndarray:
    "The plain way to score: one forward pass over prompt and text."
    before = engine.tokenizer(prompt)["input_ids"]
    own = engine.tokenizer(text, add_special_tokens=False)["input_ids"]
    ids = torch.tensor([before + own], device=engine.model.device)
    with torch.inference_mode(): values = engine.model(input_ids=ids).logits[0, :-1].float().log_softmax(-1)
    return values.gather(1, ids[0, 1:, None])[len(before) - 1:, 0].cpu().numpy()


def line(what: str, count: int, seconds: float, base: float | None = None) -> float:
    "Print one measurement and return its rate."
    rate = count / seconds
    print(f"  {what:42} {rate:9.1f} per second" + (f"   x {rate / base:.1f}" if base else ""), flush=True)
    return rate


def judging(engine: LocalEngine, count: int, baseline: int, repeats: int) -> tuple[float, list]:
    "Measure typed questions both ways; return the largest difference of a probability, and the ratios."
    from transformers.pipelines import DecisionPipeline
    config = decision_settings(engine)
    worst, ratios = 0.0, []
    pipeline = DecisionPipeline(model=engine.model, tokenizer=copy.deepcopy(engine.tokenizer), decision_config=config)
    head = SHOWN.rstrip().splitlines()[-3]
    case = lambda i: f"# Case {i}. Return {TASKS[i % len(TASKS)]}.\n{head}\n    return xs[{i}:]\n"
    read = lambda answer: [answer["noul"]] if "noul" in answer else list(answer["probabilities"].values())
    for name, questions in (("one question", dict(judge=JUDGE)), ("six questions", dict(judge=JUDGE) | RATINGS)):
        requests = [dict(state=case(i), questions=questions) for i in range(count)]
        few, each = requests[:baseline], len(questions)
        print(f"\njudge: {name} per text")
        theirs, seconds = timed(lambda: [pipeline(request) for request in few], repeats)
        found, ours = timed(lambda: decide(engine, requests), repeats)
        base = line("judge: DecisionPipeline, one by one", len(few) * each, seconds)
        ratios.append((name, line("judge: decide, in batches", count * each, ours, base) / base))
        for a, b in zip(theirs, found):
            for k in questions: worst = max([worst, *(abs(x - y) for x, y in zip(read(a[k]), read(b[k])))])
    return worst, ratios


def sampling(engine: LocalEngine, prompts: list[str], args, speed: float) -> tuple[list, float, float]:
    "Measure all ways to sample; return what the engine drew, and how many times as fast it is as the plain two."
    few = prompts[:args.baseline]
    def one_by_one():
        torch.manual_seed(0)
        return [sample for p in few for _ in range(args.n) for sample in generate(engine, p, 1, args.new, 0.8)]
    def prompt_by_prompt():
        torch.manual_seed(0)
        return [sample for p in few for sample in generate(engine, p, args.n, args.new, 0.8)]
    singly, each = timed(one_by_one, args.repeats)
    grouped, many = timed(prompt_by_prompt, args.repeats)
    drawn, ours = timed(lambda: engine.sample(prompts, args.n, .8, .95, args.new, seed=1), args.repeats)
    base = line("tokens: generate, one call per sample", sum(size for _, size in singly), each)
    prompt = line("tokens: generate, one call per prompt", sum(size for _, size in grouped), many, base)
    if args.continuous:
        together, seconds = timed(lambda: continuous(engine, few, args.n, args.new, .8), 1)
        line("tokens: generate_batch, continuous", sum(together), seconds, base)
    sizes = [s.tokens for samples in drawn for s in samples]
    rate = line("tokens: LocalEngine.sample", sum(sizes), ours, base)
    least = least_seconds(engine, prompts, drawn, speed)
    print(f"  {'the bound of memory':42} {sum(sizes) / least:9.1f} per second; "
          f"LocalEngine.sample takes {ours / least:.0f} times its time")
    print(f"  ({np.mean(sizes):.0f} tokens per sample, "
          f"{np.mean([len({s.text for s in samples}) for samples in drawn]):.1f} different samples of {args.n})")
    return drawn, rate / base, rate / prompt


def scoring(engine: LocalEngine, pairs: list[tuple], count: int, repeats: int) -> tuple[float, float]:
    "Measure both ways to score, the plain one on `count` pairs; return the largest difference, and the ratio."
    few = pairs[:count]
    single, each = timed(lambda: [plain_logprobs(engine, *pair) for pair in few], repeats)
    shared, ours = timed(lambda: engine.logprobs(*zip(*pairs)), repeats)
    base = line("perplexity: one forward pass per candidate", len(few), each)
    ratio = line("perplexity: LocalEngine.perplexity", len(pairs), ours, base) / base
    return max([0.0, *(np.abs(a - b).max() for a, b in zip(single, shared))]), ratio


def processor_seconds(pids: list[int]) -> float:
    "Time that processes have had on a core, which others on this machine do not lengthen much."
    ticks = [Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[11:13] for pid in pids]
    return sum(int(tick) for pair in ticks for tick in pair)/os.sysconf("SC_CLK_TCK")


def by_llama_cpp(engine: LocalEngine, args) -> None:
    "Measure sampling here and by llama.cpp's server, one thread each, in tokens per second of a core's time."
    torch.set_num_threads(1)
    command = "{python} -m evoselfcode.engine.llama_server {model} --port {port} --threads 1 --context 1024"
    prompts, ours = prompts_of(engine, max(args.rows), 100), {}
    def measured(engine, pids: list[int]) -> None:
        for rows in args.rows:
            before = processor_seconds(pids)
            drawn = engine.sample(prompts[:rows], 1, .8, .95, args.new, seed=rows)
            rate = sum(s.tokens for samples in drawn for s in samples)/(processor_seconds(pids) - before)
            base = ours.setdefault(rows, rate)
            print(f"  {rows:3} rows {rate:9.1f} tokens per second   x {rate/base:.1f}", flush=True)
    print(f"\none thread, prompts of 100 tokens, up to {args.new} new ones\nLocalEngine.sample", flush=True)
    measured(engine, [os.getpid()])
    for kind in args.llama:
        serve = f"{command} --type {kind} --parallel {max(args.rows)}"
        settings = ServerSettings(command=serve, concurrency=max(args.rows), timeout=3600, check="off")
        with RemoteEngine(args.model, settings) as remote:
            print(f"llama.cpp, {kind}")
            measured(remote, [remote.server.guard.pid, *descendants(remote.server.guard.pid)])


def padded(engine: LocalEngine, prompts: list[str]) -> dict:
    "Lay out prompts for `generate`."
    rows = engine.encode(prompts)
    width, pad = max(map(len, rows)), lambda row, fill, value: torch.tensor([fill]*(width - len(row)) + value)
    ids = torch.stack([pad(row, engine.pad, row) for row in rows])
    return dict(input_ids=ids, attention_mask=torch.stack([pad(row, 0, [1]*len(row)) for row in rows]))


def by_rows(engine: LocalEngine, args) -> None:
    "Measure a step of decoding with more and more rows, by the process's time on its cores: others may use them, too."
    def seconds(work):
        times = []
        for _ in range(args.repeats):
            start = process_time()
            work()
            times.append(process_time() - start)
        return min(times)
    engine.ends, int8 = [], LocalEngine(engine.model, engine.tokenizer, int8=True)
    int8.ends, linear = [], [m for m in engine.model.modules() if isinstance(m, torch.nn.Linear)]
    memory = engine.model.get_memory_footprint()/bandwidth(engine.model.device)
    for rows in args.rows:
        prompts = prompts_of(engine, rows, 0)
        given = padded(engine, prompts)
        inputs = {layer.in_features: torch.randn(rows, layer.in_features) for layer in linear}
        def generate(new):
            how = dict(do_sample=True, top_k=0, top_p=.95, temperature=.8, eos_token_id=None, pad_token_id=engine.pad)
            engine.model.generate(**given, max_new_tokens=new, **how)
        ways = {
            "generate": generate, "LocalEngine.sample": lambda new: engine.sample(prompts, 1, .8, .95, new),
            "LocalEngine.sample, int8": lambda new: int8.sample(prompts, 1, .8, .95, new),
        }
        base = print(f"\n{rows} rows")
        with torch.inference_mode():
            bound = seconds(lambda: [layer(inputs[layer.in_features]) for layer in linear])
            for name, way in ways.items():
                way(1)
                step = (seconds(lambda: way(1 + args.new)) - seconds(lambda: way(1)))/args.new
                rate = line(f"tokens: {name}", rows, step, base)
                base = base or rate
        line("the bound of the matrix products, float32", rows, bound)
        line("the bound of memory, float32", rows, memory)


def most_memory(engine: LocalEngine) -> int:
    "Bytes that the model's device, or this process, held at most."
    if engine.model.device.type == "cuda": return torch.cuda.max_memory_allocated()
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


def arguments():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--model", default="pocket", help="pocket, a folder or a Hugging Face id")
    parser.add_argument("--device", default="auto")
    parser.add_argument("--prompts", type=int, default=32, help="prompts of the batched ways")
    parser.add_argument("--baseline", type=int, default=8, help="prompts of the plain ways")
    parser.add_argument("--n", type=int, default=8, help="candidates per prompt")
    parser.add_argument("--new", type=int, default=128, help="most new tokens")
    parser.add_argument("--repeats", type=int, default=3, help="each way is run so often and its fastest run counts")
    parser.add_argument(
        "--continuous", action="store_true",
        help="try transformers' continuous batching, too; on a CPU it takes 14 GiB and is slow",
    )
    parser.add_argument(
        "--llama", nargs="+", metavar="TYPE", choices=TYPES,
        help="measure only sampling, here and by llama.cpp with weights of these types, by one thread",
    )
    parser.add_argument("--by-rows", action="store_true", help="measure only sampling, in this process")
    parser.add_argument("--rows", nargs="+", type=int, default=[1, 8, 32], help="rows at once, with --llama, --by-rows")
    return parser.parse_args()


def main():
    args = arguments()
    engine = LocalEngine(args.model, device=args.device)
    print(f"{engine}: {engine.model.num_parameters():,} parameters, {torch.get_num_threads()} threads")
    if args.llama: return by_llama_cpp(engine, args)
    if args.by_rows: return by_rows(engine, args)
    speed = bandwidth(engine.model.device)
    print(f"memory: {speed / 1e9:.0f} GB/s")
    worst, ratios = 0.0, []
    for tokens in (200, 0):
        prompts = prompts_of(engine, args.prompts, tokens)
        few, length = prompts[:args.baseline], np.mean([len(engine.tokenizer(p)["input_ids"]) for p in prompts])
        engine.sample(few, 1, .8, .95, 8, seed=0)
        print(f"\nprompts of {length:.0f} tokens, {args.n} candidates each, up to {args.new} new tokens")
        drawn, by_sample, by_prompt = sampling(engine, prompts, args, speed)
        pairs = [(p, s.text) for p, samples in zip(prompts, drawn) for s in samples if s.text]
        differ, by_pair = scoring(engine, pairs, args.baseline * args.n, args.repeats)
        worst = max(worst, differ)
        ratios += [("sampling", tokens, by_sample), ("sampling against one call per prompt", tokens, by_prompt),
                   ("perplexity", tokens, by_pair)]
        greedy = [samples[0].text for samples in engine.sample(few, 1, 0, 1, args.new)]
        assert greedy == [generate(engine, p, 1, args.new, 0)[0][0] for p in few], "greedy texts differ"
    apart, judged = judging(engine, args.prompts * args.n, args.baseline * args.n, args.repeats)
    print(f"\nmost memory: {most_memory(engine) / 2**20:,.0f} MiB, "
          f"of which the model takes {engine.model.get_memory_footprint() / 2**20:,.0f}")
    limit = 1e-4 if engine.model.dtype == torch.float32 else .2
    assert worst < limit, f"log-probabilities differ by {worst:.1e}"
    assert apart < limit, f"probabilities of answers differ by {apart:.1e}"
    print(f"\ngreedy texts are equal; log-probabilities of the same texts differ by at most {worst:.1e}, "
          f"probabilities of answers by {apart:.1e} ({limit:.0e} allowed)")
    times = [f"{what} x {ratio:.1f} ({'long' if tokens else 'short'} prompts)" for what, tokens, ratio in ratios]
    times += [f"judging x {ratio:.1f} ({name})" for name, ratio in judged]
    print(f"against the plain way: {', '.join(times)}")


if __name__ == "__main__":
    main()
