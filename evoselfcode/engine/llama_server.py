"""A llama.cpp server of a checkpoint: `python -m evoselfcode.engine.llama_server MODEL --port PORT`.

The checkpoint is written as GGUF (notebook engine/63_gguf), once, and served by `llama-server` where it is on the
PATH, else by the package xllamacpp, which carries the same server. Both are told to draw as `LocalEngine` does:
temperature, then top-p, and nothing else; llama.cpp would cut the distribution before and apply the temperature last.
Control tokens are written out, so that the text can be cut there. With `--type f32` log-probabilities are those of
transformers within 1e-5 nats: keys and values are kept in 32 bits, and flash attention, which is off by 1e-3, is not used.
"""
import argparse
import os
import shutil
import signal
import sys
from pathlib import Path

import torch

from evoselfcode.engine.gguf import TYPES, kept_gguf
from evoselfcode.engine.loading import model_folder, whole_of
from evoselfcode.engine.remote import model_limits
from evoselfcode.errors import UserError
from evoselfcode.project import project_root

SAMPLERS = "temperature;top_p"


def binary_command(binary: str, file: Path, args) -> list[str]:
    "Write the command of llama.cpp's own program."
    cache, flash = ("f32", "off") if args.type == "f32" else ("f16", "auto")
    options = dict(
        host="127.0.0.1", port=args.port, parallel=args.parallel, ctx_size=args.context*args.parallel,
        threads=args.threads, threads_batch=args.threads, cache_ram=0, cache_type_k=cache, cache_type_v=cache, flash_attn=flash,
        samplers=SAMPLERS, temp=1.0, top_p=1.0,
    )
    words = [word for name, value in options.items() for word in (f"--{name.replace('_', '-')}", str(value))]
    return [binary, "--model", str(file), *words, "--special", "--cont-batching", "--no-webui"]


def serve_here(file: Path, args) -> None:
    "Serve with xllamacpp until this process is told to end."
    try: import xllamacpp
    except ImportError:
        raise UserError("neither llama-server is on the PATH nor xllamacpp installed: pip install 'evoselfcode[llama]'")
    params = xllamacpp.CommonParams()
    params.model.path, params.port, params.special = str(file), args.port, True
    params.n_parallel, params.n_ctx = args.parallel, args.context*args.parallel
    params.cpuparams.n_threads = params.cpuparams_batch.n_threads = args.threads
    params.cache_ram_mib, params.cont_batching = 0, True
    if args.type == "f32":
        params.cache_type_k = params.cache_type_v = xllamacpp.ggml_type.GGML_TYPE_F32
        params.flash_attn_type = xllamacpp.llama_flash_attn_type.LLAMA_FLASH_ATTN_TYPE_DISABLED
    params.sampling.samplers, params.sampling.temp, params.sampling.top_p = SAMPLERS, 1.0, 1.0
    server = xllamacpp.Server(params)
    print(f"{file} at {server.listening_address}", flush=True)
    while True: signal.pause()


def main() -> None:
    "Convert, then serve."
    parser = argparse.ArgumentParser(prog="evoselfcode.engine.llama_server", description=__doc__.splitlines()[0])
    parser.add_argument("model", help="a folder (model or LoRA adapter), pocket, or a hub id")
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--type", choices=TYPES, default="q8_0", help="how weights are stored")
    parser.add_argument("--parallel", type=int, default=16, help="samples written together")
    parser.add_argument("--context", type=int, default=2048, help="most tokens of prompt and answer")
    parser.add_argument("--threads", type=int, help="as many as torch takes: the physical cores, or OMP_NUM_THREADS")
    parser.add_argument("--cache", type=Path, default=project_root()/".cache"/"gguf", help="where GGUF files are kept")
    args = parser.parse_args()
    args.threads = args.threads or torch.get_num_threads()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))  # by way of `finally`: nothing half-written is left
    try:
        longest = model_limits(whole_of(model_folder(args.model)))[0] or args.context
        args.context = min(args.context, longest)
        file = kept_gguf(args.model, args.type, args.cache)
        if binary := shutil.which("llama-server"): os.execv(binary, binary_command(binary, file, args))
        serve_here(file, args)
    except UserError as error: sys.exit(f"error: {error}")


if __name__ == "__main__": main()
