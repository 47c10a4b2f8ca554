"""The same training however it is computed: whole, in parts, in two processes, in too little memory, killed between.

    python benchmarks/same_training.py --model FOLDER [--method lora|full] [--rows 32] [--batch 32] [--steps 2]

Each way trains the same rows in processes of its own, and is compared with the first one: its loss, and the
log-probabilities that its model gives the rows. `limited` asks for the whole batch at once under a limit of address
space between what `whole` and `parts` took, so that memory runs out for real; `killed` is ended by SIGKILL after its
first checkpoint and started again. The gradient of a batch is compared by itself: whole against parts of an eighth.
With LoRA, the merged model is compared with the adapter on its base.
"""
import argparse
import json
import os
import resource
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

WAYS = ("whole", "parts", "processes", "limited", "killed")


def rows_of(options) -> list[dict]:
    "The shortest of the project's own pairs, so that a whole batch fits."
    from evoselfcode.io_utils import read_jsonl
    from evoselfcode.pipeline.train_sft import d2c_rows
    from evoselfcode.project import project_root
    pairs = read_jsonl(project_root() / "data/raw/initial_pairs.jsonl")
    rows = d2c_rows([dict(description=pair["prompt"], code=pair["code"]) for pair in pairs])
    return sorted(rows, key=lambda row: len(row["prompt"] + row["completion"]))[:options.rows]


def settings_of(options, way: str):
    "How a way trains."
    from evoselfcode.config import Train
    eighth = str(max(1, options.batch // 8))
    return Train(
        method=options.method, learning_rate=2e-4 if options.method == "lora" else 1e-5, epochs=1e-9,
        min_steps=options.steps, batch_size=options.batch, save_steps=int(way == "killed"),
        micro_batch=str(options.batch) if way in ("whole", "limited") else eighth,
        launch="torchrun --standalone --nproc_per_node 2" if way == "processes" else "",
    )


def highest() -> int:
    "Largest address space that this process had, in bytes; 0 where the system does not tell."
    status = Path("/proc/self/status")
    lines = status.read_text().splitlines() if status.is_file() else []
    return next((int(line.split()[1]) << 10 for line in lines if line.startswith("VmPeak")), 0)


def train(options) -> dict:
    "Train in this process, under a limit where there is one."
    from evoselfcode.pipeline.train_sft import train
    if options.limit: resource.setrlimit(resource.RLIMIT_AS, (options.limit, options.limit))
    summary = train(rows_of(options), options.folder, options.model, settings_of(options, options.way), seed=1)
    memory = max(resource.getrusage(whose).ru_maxrss for whose in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
    return dict(loss=summary["loss"], space=highest(), mib=memory >> 10)


def gradients(options) -> dict:
    "Compare the gradient of a whole batch with the sum over parts of an eighth."
    import torch
    from transformers import DataCollatorForSeq2Seq

    from evoselfcode.pipeline.fitting import parts_of, token_loss, weight_of
    from evoselfcode.pipeline.train_sft import tokenise, trainable, weights_for
    settings = settings_of(options, "parts")
    torch.manual_seed(1)
    model, tokenizer = weights_for(options.model, settings, "cpu")
    wrapped = trainable(model.train(), settings)
    examples = tokenise(rows_of(options)[:options.batch], tokenizer, 512)[0]
    batch = dict(DataCollatorForSeq2Seq(tokenizer, label_pad_token_id=-100)(examples))
    learned = [weight for weight in wrapped.parameters() if weight.requires_grad]
    found = []
    for most in (options.batch, int(settings.micro_batch)):
        for part in parts_of(batch, most, enough=1 << 30): (token_loss(model, part) / weight_of(batch)).backward()
        found.append([weight.grad for weight in learned])
        for weight in learned: weight.grad = None
    apart = sum((a - b).square().sum() for a, b in zip(*found)).sqrt() / sum(a.square().sum() for a in found[0]).sqrt()
    return dict(apart=float(apart), parts=-(-options.batch // int(settings.micro_batch)))


def read(options) -> dict:
    "Log-probabilities of the rows by the model in a folder; `merged`: of an adapter, without merging it, too."
    from evoselfcode.engine.local import LocalEngine
    rows = rows_of(options)
    asked = [row["prompt"] for row in rows], [row["completion"] for row in rows]
    engine = LocalEngine(str(options.folder), device="cpu")
    def by_engine(): return [float(sum(values)) for values in engine.logprobs(*asked)]
    found = dict(read=by_engine())
    if (options.folder / "adapter_config.json").is_file():
        from peft import PeftModel

        from evoselfcode.engine.loading import load
        engine.model = PeftModel.from_pretrained(load(options.model, "cpu")[0], str(options.folder)).eval()
        found["unmerged"] = by_engine()
    return found


def child(options, way: str, folder: Path, limit: int = 0) -> subprocess.Popen:
    "Start a way in a process of its own."
    command = [sys.executable, __file__, *sys.argv[1:], "--way", way, "--folder", str(folder), "--limit", str(limit)]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, start_new_session=True)


def done(process: subprocess.Popen) -> dict:
    "What a way found, and whether memory was full in it."
    out, err = process.communicate()
    if process.returncode: sys.exit(f"{' '.join(process.args[-6:])}: {err[-1500:]}")
    return json.loads(out.splitlines()[-1]) | dict(full=err.count("memory was full") + out.count("memory was full"))


def kill_after_a_checkpoint(process: subprocess.Popen, folder: Path):
    "End a training by SIGKILL as soon as it has a whole checkpoint."
    trainer = folder.with_name(folder.name + ".partial") / "trainer"
    while process.poll() is None and not list(trainer.glob("checkpoint-*/order.json")): time.sleep(0.05)
    if process.poll() is not None: sys.exit(f"killed: it ended before it could be killed: {process.communicate()[1]}")
    os.killpg(process.pid, signal.SIGKILL)
    process.communicate()


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", default="pocket")
    parser.add_argument("--method", default="lora", choices=("lora", "full"))
    parser.add_argument("--rows", type=int, default=32)
    parser.add_argument("--batch", type=int, default=32)
    parser.add_argument("--steps", type=int, default=2)
    parser.add_argument("--ways", nargs="+", default=WAYS, choices=WAYS, help="`limited` needs whole and parts")
    parser.add_argument("--way", choices=(*WAYS, "gradients", "read"), help=argparse.SUPPRESS)
    parser.add_argument("--folder", type=Path, help=argparse.SUPPRESS)
    parser.add_argument("--limit", type=int, default=0, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.way:
        return print(json.dumps(dict(gradients=gradients, read=read).get(options.way, train)(options)))
    with tempfile.TemporaryDirectory() as place: compare(options, Path(place))


def compare(options, place: Path):
    "Train every way, and print how far it is from the first."
    print(f"{options.model}, {options.method}: {options.rows} rows, batches of {options.batch}, {options.steps} steps")
    found = done(child(options, "gradients", place))
    print(f"gradient of the batch, {found['parts']} parts against one: {found['apart']:.1e} of its norm", flush=True)
    first, space = {}, {}
    for way in options.ways:
        folder, begun = place / way, time.perf_counter()
        limit = (space["whole"] + space["parts"]) // 2 if way == "limited" else 0
        if way == "killed": kill_after_a_checkpoint(child(options, way, folder), folder)
        trained = done(child(options, way, folder, limit))
        took, space[way] = time.perf_counter() - begun, trained["space"]
        read_back = done(child(options, "read", folder))
        first = first or dict(trained, **read_back)
        apart = max(abs(a - b) for a, b in zip(first["read"], read_back["read"]))
        told = f"{way:10} loss {trained['loss']:.4f}, log-probabilities {apart:.1e} apart, {trained['mib']:,} MiB"
        if way == "limited": told += f", limit {limit >> 20:,} MiB, memory full {trained['full']} times"
        print(f"{told}, {took:.0f} s", flush=True)
        if way == "whole" and "unmerged" in read_back:
            apart = max(abs(a - b) for a, b in zip(read_back["read"], read_back["unmerged"]))
            print(f"{'merged':10} against adapter and base: log-probabilities {apart:.1e} apart", flush=True)
        shutil.rmtree(folder)


if __name__ == "__main__": main()
