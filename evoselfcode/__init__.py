"""Teach a code language model from its own samples, in notebooks

Modules:

- `evoselfcode.engine.kv_cache`: Keys and values while a model writes: buffers that grow in place, and prompts kept once for all rows behind them.
- `evoselfcode.execution.sandbox.child`: What runs inside a child of the server, behind all its layers: the candidate, and next to it the loop that answers.
- `evoselfcode.execution.sandbox.codec`: What crosses between candidate and verifier: data written as JSON, and nothing that could act when it is read.
- `evoselfcode.execution.sandbox.exceptions`: Exceptions, from the candidate's process to the tests': what one side says, and what the other makes of it.
- `evoselfcode.execution.sandbox.harmless`: Which tests may run in the verifier: those that do nothing but compute.
- `evoselfcode.execution.sandbox.harnesses.bigcodebench`: BigCodeBench's way to a verdict: a program and its unittest tests in one process, as in its harness at 47eff25.
- `evoselfcode.execution.sandbox.harnesses.evalplus`: evalplus's way to a verdict: what a program gives for an input against what the reference solution gives for it.
- `evoselfcode.execution.sandbox.harnesses.guard`: What the harnesses take away from a program before they run it, and what it finds loaded all the same.
- `evoselfcode.execution.sandbox.harnesses.humaneval`: What human-eval's checker does with a program, in the program's own process (openai/human-eval at 6d43fb9).
- `evoselfcode.execution.sandbox.harnesses.lcb`: What LiveCodeBench's checker does with a program.
- `evoselfcode.execution.sandbox.harnesses.probing`: What a benchmark's own tests ask a function, and whether another function gives the same answers.
- `evoselfcode.execution.sandbox.huge_pages`: Put what the server's children share into huge pages: one entry of the page table where there were 512.
- `evoselfcode.execution.sandbox.isolation`: The kernel's layers around model-written code: namespaces, a root folder of its own, an empty-handed user, Landlock.
- `evoselfcode.execution.sandbox.numpy_numbers`: Numbers of numpy's, as tests see them that run where there is no numpy: they behave alike, or say that they cannot.
- `evoselfcode.execution.sandbox.questions`: What tests see of the candidate: functions, each call of which is a question to its process, and the answer data.
- `evoselfcode.execution.sandbox.reading`: Read what `codec` wrote: data, and nothing that could act when it is read.
- `evoselfcode.execution.sandbox.seccomp`: The system calls that model-written code may make, as a program for the kernel's seccomp filter.
- `evoselfcode.execution.sandbox.verifier`: The verifier: takes jobs from the caller, has the server start a child for each, and puts the questions.
- `evoselfcode.execution.sandbox.zygote`: The far side of execution: a watcher, a verifier, and a fork server behind its layers, with a child per program."""

__version__ = "0.1.0"

# the front of the library: what is named here can be imported from `evoselfcode`, and is loaded when it is first used
FRONT = dict(
    load_config="config", Engine="engine.local", run_programs="execution.execution", sample="pipeline.sampling",
    score="pipeline.scoring", apply_gates="pipeline.filtering", select="pipeline.filtering", train="pipeline.train_sft",
    evaluate="evaluation.suite", Study="pipeline.iteration",
)
__all__ = [*FRONT]


def __getattr__(name: str):
    if name not in FRONT: raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from importlib import import_module
    return getattr(import_module(f"{__name__}.{FRONT[name]}"), name)


def __dir__() -> list[str]:
    return sorted([*globals(), *FRONT])
