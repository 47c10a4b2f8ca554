"""Teach a code language model from its own samples, in notebooks

Modules:

- `evoselfcode.engine.int8`: Linear layers in 8-bit integers, for drawing samples on a CPU.
- `evoselfcode.engine.kv_cache`: Keys and values while a model writes: buffers that grow in place, and prompts kept once for all rows behind them.
- `evoselfcode.engine.llama_server`: A llama.cpp server of a checkpoint: `python -m evoselfcode.engine.llama_server MODEL --port PORT`.
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

# the front of the library: what can be imported from `evoselfcode`, the module that has it, and what it does;
# `Engine` is the engine that everyone begins with, whose model is in this process
FRONT = dict(
    load_config=("config", "read the settings of a run from a YAML file and single values"),
    Study=("pipeline.iteration", "one iteration of a run: `Study(load_config(\"configs/tiny.yaml\"), 1).run_all()`"),
    Engine=("engine.local:LocalEngine", "a language model: its samples and log-probabilities"),
    sample=("pipeline.sampling", "draw candidates, programs for a description"),
    score=("pipeline.scoring", "add to candidates how probable they are and what they do"),
    apply_gates=("pipeline.filtering", "find the candidates that are wrong"),
    select=("pipeline.filtering", "choose among the others"),
    train=("pipeline.train_sft", "teach a model pairs of prompt and completion"),
    evaluate=("evaluation.suite", "measure a model on a benchmark"),
    run_programs=("execution.execution", "run programs that a model wrote, locked in"),
)
__all__ = [*FRONT]

# nbdev writes a list of modules below the first line, of which a reader needs none
_table = "\n".join(f"    {name:13} {what}" for name, (_, what) in FRONT.items())
__doc__ = f"""{__doc__.splitlines()[0]}

Loaded when it is first used:

{_table}

`help(evoselfcode.Study)` and so on tell the arguments; `python -m evoselfcode --help` tells the commands.
"""


def __getattr__(name: str):
    if name not in FRONT: raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from importlib import import_module
    module, _, its_name = FRONT[name][0].partition(":")
    found = globals()[name] = getattr(import_module(f"{__name__}.{module}"), its_name or name)
    methods = vars(found).items() if isinstance(found, type) else ()
    for part in (found, *(m for called, m in methods if callable(m) and not called.startswith("_"))): _tell(part)
    return found


def _tell(part):
    "Add the comments behind the parameters of a function or a class to its docstring."
    from fastcore.docments import docments
    told = {name: " ".join(text.split()) for name, text in docments(part, returns=True).items() if text}
    returns = [f"Returns: {told.pop('return')}"] if "return" in told else []
    given = ["Parameters:", *(f"    {name}: {text}" for name, text in told.items())] if told else []
    if given or returns: part.__doc__ = "\n".join([part.__doc__ or "", "", *given, *returns])


def __dir__() -> list[str]:
    return sorted([*FRONT, *(name for name in globals() if name.startswith("__"))])
