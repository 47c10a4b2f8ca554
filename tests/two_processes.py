"""A launcher of training processes that imports what they need once: `python two_processes.py NUMBER -m MODULE JOB`.

As torchrun does, it gives each process its number and a place to meet, and ends them all when one fails. torchrun
itself, which imports it all in each process and once more for itself, starts one of the trainings.
"""
import os
import runpy
import signal
import sys

import torch.distributed
import transformers.trainer  # noqa: F401

import evoselfcode.engine.local  # noqa: F401
import evoselfcode.pipeline.fitting  # noqa: F401


def be(rank: int, number: int, meeting: int, module: str, job: str):
    "In a forked process: be one of those that train."
    port = os.read(meeting, 9).decode()
    os.environ |= dict(
        RANK=str(rank), LOCAL_RANK=str(rank), WORLD_SIZE=str(number), LOCAL_WORLD_SIZE=str(number),
        MASTER_ADDR="127.0.0.1", MASTER_PORT=port, TORCHELASTIC_USE_AGENT_STORE="True",
    )
    sys.argv = [module, job]
    runpy.run_module(module, run_name="__main__", alter_sys=True)


def main(number: int, module: str, job: str):
    ends = [os.pipe() for _ in range(number)]
    pids = set()
    for rank in range(number):
        if pid := os.fork():
            pids.add(pid)
            continue
        code = 1
        try:
            be(rank, number, ends[rank][0], module, job)
            code = 0
        finally:
            sys.stdout.flush()
            sys.stderr.flush()
            os._exit(code)
    # only now, since it has threads; on a port that is free
    store = torch.distributed.TCPStore("127.0.0.1", 0, is_master=True, wait_for_workers=False)
    for _, write in ends: os.write(write, str(store.port).encode())
    while pids:
        pid, status = os.wait()
        pids.remove(pid)
        if not status: continue
        for other in pids: os.kill(other, signal.SIGKILL)
        sys.exit(1)


if __name__ == "__main__": main(int(sys.argv[1]), sys.argv[3], sys.argv[4])
