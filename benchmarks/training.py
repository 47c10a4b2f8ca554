"""Tokens per second and memory of fine-tuning, beside transformers' plain Trainer and TRL's, on the same rows.

    python benchmarks/training.py --model FOLDER [--method lora] [--rows 32] [--batch 16] [--at-once auto] [--repeats 1]

Each way trains the same rows in the same order for one epoch, with the same rate and the same effective batch, in a
process of its own, so that its highest memory is its own. The plain Trainer computes `--plain-rows` rows at a time and
accumulates; TRL is tried where it is installed. Losses must agree to 1e-2, or the disagreement is printed: all three
learn the completion alone and take the mean over a batch's learned tokens. A round runs all ways in turn; ratios are
those of medians.
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


def measure(options) -> None:
    "Train one way in this process, and print what it took."
    rows = rows_of(options)
    with tempfile.TemporaryDirectory() as folder:
        start = time.perf_counter()
        if options.way == "evoselfcode": loss = ours(options, rows, Path(folder))
        else: loss = theirs(options, rows, Path(folder), options.way)
        took = time.perf_counter() - start
    print(json.dumps(dict(seconds=took, loss=loss, mib=resource.getrusage(resource.RUSAGE_SELF).ru_maxrss >> 10)))


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
    parser.add_argument("--way", choices=WAYS, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.way: return measure(options)
    from evoselfcode.engine.loading import load_tokenizer, model_folder
    from evoselfcode.pipeline.train_sft import tokenise
    examples, *_ = tokenise(rows_of(options), load_tokenizer(model_folder(options.model)), 512)
    tokens = sum(len(example["input_ids"]) for example in examples)
    ways = [way for way in WAYS if way != "SFTTrainer" or importlib.util.find_spec("trl")]
    found = {way: [] for way in ways}
    for _ in range(options.repeats):
        for way in ways:
            command = [sys.executable, __file__, *sys.argv[1:], "--way", way]
            done = subprocess.run(command, capture_output=True, text=True)
            if done.returncode: sys.exit(f"{way}: {done.stderr[-1500:]}")
            found[way].append(json.loads(done.stdout.splitlines()[-1]))
    print(f"{options.model}, {options.method}: {len(examples)} rows, {tokens:,} tokens, batches of {options.batch}")
    mine = statistics.median(run["seconds"] for run in found["evoselfcode"])
    for way, runs in found.items():
        took = statistics.median(run["seconds"] for run in runs)
        memory = max(run["mib"] for run in runs)
        ratio = "" if way == "evoselfcode" else f"   evoselfcode is {took / mine:.2f} times as fast"
        print(f"{way:12} {tokens / took:8.1f} tokens/s {memory:8,} MiB   loss {runs[0]['loss']:.4f}{ratio}")
    losses = [runs[0]["loss"] for runs in found.values()]
    if max(losses) - min(losses) > 1e-2: print("the losses differ: these ways did not learn the same")


if __name__ == "__main__": main()
