"""Imports run down the layers only, in no circle, and one place alone runs model-written code."""
import ast
import json
import subprocess
import sys
from pathlib import Path

import pytest

LIB = Path(__file__).resolve().parents[1] / "evoselfcode"
FILES = sorted(LIB.rglob("*.py"))
LAYERS = dict(ground=0, engine=1, execution=1, datagen=2, evaluation=2, pipeline=3, pocket=4, reporting=5, top=6)
GROUND = {
    "constants", "errors", "project", "config", "settings", "logging_utils", "io_utils", "stages", "inputs", "syntax",
    "prompts",
}
TOP = {"cli", "runs"}
TOOLS = {"confidence", "fitting", "gates", "launching"}  # of the pipeline: no stage, any stage may use it
# what crosses between the caller and the sandbox, and what a harness is called and answers
SANDBOX_FRONT = {("codec",), ("harnesses", "evalplus"), ("harnesses", "lcb"), ("harnesses", "bigcodebench")}


def module(path: Path) -> tuple[str, ...]:
    parts = path.relative_to(LIB.parent).with_suffix("").parts
    return parts[:-1] if parts[-1] == "__init__" else parts


def part(name: tuple[str, ...]) -> str:
    "The part of the library that a module belongs to; '' is the package itself."
    if len(name) < 2: return ""
    if name[1].startswith("_"): return ""
    return "ground" if name[1] in GROUND else "top" if name[1] in TOP else name[1]


def imports(path: Path, source: str | None = None) -> set[tuple[str, ...]]:
    "The modules of ours that a file imports, inside functions too."
    here, found = module(path), set()
    package = here if path.name == "__init__.py" else here[:-1]
    for node in ast.walk(ast.parse(source or path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import): found |= {tuple(alias.name.split(".")) for alias in node.names}
        if isinstance(node, ast.ImportFrom):
            base = package[:len(package) - node.level + 1] if node.level else ()
            base += tuple(node.module.split(".")) if node.module else ()
            for alias in node.names:
                target = LIB.parent.joinpath(*base, alias.name)
                whole = len(base) == 1 or target.is_dir() or target.with_suffix(".py").is_file()
                found.add((*base, alias.name) if whole else base)
    return {name for name in found if name[:1] == ("evoselfcode",)}


def wrong_imports(path: Path, source: str | None = None) -> list[str]:
    here, wrong = module(path), []
    for target in sorted(imports(path, source)):
        mine, its = part(here), part(target)
        if not its or not mine or target == here: continue
        siblings = mine == its == "pipeline" and len(target) > 2 and target[2] not in TOOLS
        whole = path.name in ("iteration.py", "plan.py", "training_process.py", "__init__.py")
        if siblings and not whole: wrong.append(".".join(target))
        inside = target[1:3] == ("execution", "sandbox") and here[1:3] != ("execution", "sandbox")
        if inside and target[3:5] not in SANDBOX_FRONT: wrong.append(".".join(target))
        if mine != its and LAYERS[its] >= LAYERS[mine]: wrong.append(".".join(target))
    return wrong


def test_every_module_has_a_layer():
    unknown = {part(module(path)) for path in FILES if not path.name.startswith("_")} - set(LAYERS)
    assert not unknown, f"give these a layer in tests/test_layers.py: {unknown}"


@pytest.mark.parametrize("path", [p for p in FILES if p.name != "_modidx.py"], ids=lambda p: ".".join(module(p)))
def test_imports_run_down(path):
    assert wrong_imports(path) == []


@pytest.mark.parametrize("file, source", [
    ("engine/local.py", "from ..execution.execution import run_programs"),
    ("execution/execution.py", "def f():\n    import evoselfcode.engine.local"),
    ("datagen/names.py", "from evoselfcode import pipeline"),
    ("evaluation/passk.py", "from ..pipeline.sampling import sample"),
    ("pipeline/dual_model.py", "from .sampling import sample"),
    ("io_utils.py", "from .engine import local"),
    ("pipeline/scoring.py", "from ..cli import main"),
    ("execution/workers.py", "from .sandbox.seccomp import PURE"),
    ("evaluation/lcb.py", "from ..execution.sandbox import isolation"),
])
def test_a_wrong_import_is_seen(file, source):
    assert wrong_imports(LIB / file, source)


def test_iteration_may_know_its_siblings():
    source = "from .sampling import sample\nfrom ..engine.local import LocalEngine"
    assert wrong_imports(LIB / "pipeline/iteration.py", source) == []


def circle(graph: dict, start) -> list:
    "A way from a module back to itself along its imports; empty when there is none."
    ways, seen = [[start]], set()
    while ways:
        way = ways.pop()
        for target in graph.get(way[-1], ()):
            if target == start: return [*way, start]
            if target not in seen:
                seen.add(target)
                ways.append([*way, target])
    return []


def test_no_module_imports_itself_on_a_roundabout_way():
    modules = [path for path in FILES if path.name not in ("__init__.py", "_modidx.py")]
    graph = {module(path): imports(path) - {module(path)} for path in modules}
    assert [found for name in graph if (found := circle(graph, name))] == []
    assert circle({"a": ["b"], "b": ["c"], "c": ["a"]}, "b") == ["b", "c", "a", "b"]


def test_only_execution_runs_code_given_as_text():
    "The pocket world may run its own grammar's functions; everything a model wrote goes through execution/."
    calls = [
        f"{path.relative_to(LIB)}:{node.lineno}"
        for path in FILES
        if part(module(path)) != "execution" and path != LIB / "pocket/world.py"
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in ("exec", "eval")
    ]
    assert calls == []


def test_the_ground_and_the_command_line_import_nothing_heavy():
    light = sorted(name for name in GROUND | {"cli"} if (LIB / f"{name}.py").is_file())
    code = (
        "import sys, importlib\n"
        f"for n in {light}: importlib.import_module('evoselfcode.' + n)\n"
        "heavy = ('torch', 'transformers', 'datasets', 'pandas', 'matplotlib', 'papermill', 'peft')\n"
        "print([m for m in heavy if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


NOTEBOOKS = {path: int(path.stem[:2]) for path in (LIB.parent / "nbs").rglob("[0-9][0-9]_*.ipynb")}


def exported(path: Path) -> str:
    "What a notebook exports, as one text."
    cells = [cell for cell in json.loads(path.read_text(encoding="utf-8"))["cells"] if cell["cell_type"] == "code"]
    texts = ["".join(cell["source"]) for cell in cells]
    return "\n".join(text for text in texts if text.startswith("#| export"))


def test_a_notebook_is_built_on_those_before_it():
    "Numbers are the reading order."
    inside = {path: path.relative_to(LIB.parent / "nbs").with_name(f"{path.stem[3:]}.py") for path in NOTEBOOKS}
    number = {LIB / inside[path]: n for path, n in NOTEBOOKS.items()}
    number_of = lambda target: number.get(LIB.parent.joinpath(*target).with_suffix(".py"), 0)
    assert len(set(NOTEBOOKS.values())) == len(NOTEBOOKS)
    late = [
        f"{path.name} needs {'.'.join(target)}" for path, n in NOTEBOOKS.items()
        for target in imports(LIB / "x.py", exported(path)) if number_of(target) > n
    ]
    assert late == []


def assigned_methods(source: str) -> list[str]:
    "Where a module sets an attribute of a class from outside: `Class.name = function`."
    targets = [t for node in ast.parse(source).body if isinstance(node, ast.Assign) for t in node.targets]
    named = [t for t in targets if isinstance(t, ast.Attribute) and isinstance(t.value, ast.Name)]
    return [f"{t.value.id}.{t.attr}" for t in named if t.value.id.lstrip("_")[:1].isupper()]


@pytest.mark.parametrize("path", sorted(NOTEBOOKS), ids=lambda path: path.stem)
def test_a_method_is_written_in_its_class_or_patched(path):
    assert assigned_methods(exported(path)) == []


def test_an_assigned_method_is_seen():
    assert assigned_methods("def f(self): pass\n_Pool.f = f") == ["_Pool.f"] and assigned_methods("a.B = 1") == []
