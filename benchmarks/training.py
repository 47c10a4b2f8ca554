"""Tokens per second and memory of fine-tuning, beside transformers' plain Trainer and TRL's, on the same rows.

    python benchmarks/training.py --model FOLDER [--method lora] [--rows 32] [--batch 16] [--at-once auto] [--repeats 1]

Each way trains the same rows in the same order for one epoch, with the same rate and the same effective batch, in a
process of its own, so that its highest memory is its own. The plain Trainer computes `--plain-rows` rows at a time and
accumulates; TRL is tried where it is installed. Losses must agree to 1e-2, or the disagreement is printed: all three
learn the completion alone and take the mean over a batch's learned tokens. A round runs all ways in turn; ratios are
those of medians. Time is that between the first step and the last, without loading and saving.

The bound is what the machine's bare matrix products would take: two operations for each weight and token forward, and
as many for the gradient of the states, and of the weights where these are trained; the output layer for learned tokens
alone, and attention not at all.
"""
import argparse
import importlib.util
import json
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

WAYS = ("evoselfcode", "Trainer", "SFTTrainer")


def rows_of(options) -> list[dict]:
    "Training rows: the project's own pairs, repeated until there are enough."
    from evoselfcode.io_utils import read_jsonl
    from evoselfcode.pipeline.train_sft import d2c_rows
    from evoselfcode.project import project_root
    pairs = read_jsonl(project_root() / "data/raw/initial_pairs.jsonl")
    rows = d2c_rows([dict(description=pair["prompt"], code=pair["code"]) for pair in pairs])
    return [rows[at % len(rows)] for at in range(options.rows)]


def ours(options, rows, folder) -> float:
    "Train as the project does; the mean loss."
    from evoselfcode.config import Train
    from evoselfcode.pipeline.train_sft import train
    settings = Train(
        method=options.method, learning_rate=options.rate, min_steps=0, epochs=1, batch_size=options.batch,
        micro_batch=options.at_once,
    )
    return train(rows, folder / "model", options.model, settings, seed=1)["loss"]


def theirs(options, rows, folder, way) -> float:
    "Train with transformers' Trainer, or with TRL's; the mean loss."
    from transformers import DataCollatorForSeq2Seq, Trainer, set_seed

    from evoselfcode.config import Train
    from evoselfcode.pipeline.train_sft import tokenise, trainable, training_arguments, weights_for
    settings = Train(
        method=options.method, learning_rate=options.rate, min_steps=0, epochs=1, batch_size=options.batch
    )
    set_seed(1)
    model, tokenizer = weights_for(options.model, settings, "cpu" if options.cpu else "auto")
    examples = [
        {name: example[name] for name in ("input_ids", "labels")} for example in tokenise(rows, tokenizer, 512)[0]
    ]
    arguments = training_arguments(settings, folder, len(examples), 1, model.device)
    arguments.per_device_train_batch_size = min(options.plain_rows, options.batch)
    arguments.gradient_accumulation_steps = -(-options.batch // arguments.per_device_train_batch_size)
    model = trainable(model.train(), settings)
    if way == "Trainer":
        collator = DataCollatorForSeq2Seq(tokenizer, label_pad_token_id=-100)
        trainer = Trainer(model, arguments, train_dataset=examples, data_collator=collator)
    else:
        from datasets import Dataset
        from trl import SFTConfig, SFTTrainer
        given = {key: value for key, value in arguments.to_dict().items() if key in SFTConfig.__dataclass_fields__}
        data = Dataset.from_list(examples)
        trainer = SFTTrainer(model, SFTConfig(**given), train_dataset=data, processing_class=tokenizer)
    return trainer.train().training_loss


def clock() -> dict:
    "Have all trainers of this process note when they begin and end."
    from transformers import TrainerCallback, trainer
    noted = {}
    class Clock(TrainerCallback):
        def on_train_begin(self, *_, **__): noted["begin"] = time.perf_counter()
        def on_train_end(self, *_, **__): noted["end"] = time.perf_counter()
    trainer.DEFAULT_CALLBACKS.append(Clock)
    return noted


def measure(options) -> None:
    "Train one way in this process, and print what it took."
    import torch
    rows, noted = rows_of(options), clock()
    with tempfile.TemporaryDirectory() as folder:
        if options.way == "evoselfcode": loss = ours(options, rows, Path(folder))
        else: loss = theirs(options, rows, Path(folder), options.way)
    on_gpu = torch.cuda.is_available() and not options.cpu
    highest = torch.cuda.max_memory_reserved() if on_gpu else resource.getrusage(resource.RUSAGE_SELF).ru_maxrss << 10
    print(json.dumps(dict(seconds=noted["end"] - noted["begin"], loss=loss, mib=highest >> 20)))


def bound(options) -> dict:
    "Measure bare matrix products of the model's width: operations per second; and count those that a token needs."
    import torch

    from evoselfcode.config import Train
    from evoselfcode.pipeline.train_sft import half_precision, weights_for
    settings = Train(method=options.method, learning_rate=options.rate)
    model, _ = weights_for(options.model, settings, "cpu" if options.cpu else "auto")
    device, size = model.device, model.config.hidden_size
    half = half_precision(device)
    left = torch.randn(2048, size, device=device, dtype=getattr(torch, half or "float32"))
    right = torch.randn(size, 4 * size, device=device, dtype=left.dtype)
    def once():
        start = time.perf_counter()
        for _ in range(10): left @ right
        if device.type == "cuda": torch.cuda.synchronize()
        return 10 * 2 * left.shape[0] * right.numel() / (time.perf_counter() - start)
    head = model.get_output_embeddings().weight
    matrices = [weight for weight in model.get_decoder().parameters() if weight.dim() == 2]
    layers = sum(weight.numel() for weight in matrices) - model.get_input_embeddings().weight.numel()
    times = 6 if options.method == "full" else 4
    return dict(rate=max(once() for _ in range(5)), each=times * layers, learned=times * head.numel())


def asked(way: str) -> dict:
    "Run one way in a process of its own."
    done = subprocess.run([sys.executable, __file__, *sys.argv[1:], "--way", way], capture_output=True, text=True)
    if done.returncode: sys.exit(f"{way}: {done.stderr[-1500:]}")
    return json.loads(done.stdout.splitlines()[-1])


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", default="pocket")
    parser.add_argument("--method", default="lora", choices=("lora", "full"))
    parser.add_argument("--rate", type=float, default=2e-5)
    parser.add_argument("--rows", type=int, default=32)
    parser.add_argument("--batch", type=int, default=16)
    parser.add_argument("--at-once", default="auto")
    parser.add_argument("--plain-rows", type=int, default=4)
    parser.add_argument("--repeats", type=int, default=1)
    parser.add_argument("--cpu", action="store_true")
    parser.add_argument("--way", choices=(*WAYS, "bound"), help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.way == "bound": return print(json.dumps(bound(options)))
    if options.way: return measure(options)
    from evoselfcode.engine.loading import load_tokenizer, model_folder
    from evoselfcode.pipeline.train_sft import tokenise
    examples, *_ = tokenise(rows_of(options), load_tokenizer(model_folder(options.model)), 512)
    tokens = sum(len(example["input_ids"]) for example in examples)
    learned = sum(label != -100 for example in examples for label in example["labels"])
    ways = [way for way in WAYS if way != "SFTTrainer" or importlib.util.find_spec("trl")]
    found = {way: [] for way in ways}
    for _ in range(options.repeats):
        for way in ways: found[way].append(asked(way))
    limit = asked("bound")
    least = (tokens * limit["each"] + learned * limit["learned"]) / limit["rate"]  # seconds
    print(f"{options.model}, {options.method}: {len(examples)} rows, {tokens:,} tokens, batches of {options.batch}")
    mine = statistics.median(run["seconds"] for run in found["evoselfcode"])
    for way, runs in found.items():
        took = statistics.median(run["seconds"] for run in runs)
        memory = max(run["mib"] for run in runs)
        ratio = "" if way == "evoselfcode" else f"   evoselfcode is {took / mine:.2f} times as fast"
        told = f"{tokens / took:8.1f} tokens/s, {least / took:4.0%} of the bound {memory:8,} MiB"
        print(f"{way:12} {told}   loss {runs[0]['loss']:.4f}{ratio}")
    losses = [runs[0]["loss"] for runs in found.values()]
    if max(losses) - min(losses) > 1e-2: print("the losses differ: these ways did not learn the same")


if __name__ == "__main__": main()
