"""Imports run down the floors only, no file is long, and one place alone runs model-written code."""
import ast
import subprocess
import sys
from pathlib import Path

import pytest

LIB = Path(__file__).resolve().parents[1] / "evoselfcode"
FILES = sorted(LIB.rglob("*.py"))
FLOORS = {"ground": 0, "engine": 1, "execution": 1, "datagen": 2, "evaluation": 2, "pipeline": 3, "top": 4}
GROUND = {"constants", "config", "inputs", "io_utils", "logging_utils", "prompts", "lineage", "settings"}
TOP = {"cli", "report", "run_folder", "page", "runs", "scoreboard", "pocket"}


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
        if mine == its == "pipeline" and path.name not in ("iteration.py", "__init__.py") and len(target) > 2: wrong.append(".".join(target))
        if mine != its and FLOORS[its] >= FLOORS[mine]: wrong.append(".".join(target))
    return wrong


def test_every_module_has_a_floor():
    unknown = {part(module(path)) for path in FILES if path.name not in ("__init__.py", "_modidx.py")} - set(FLOORS)
    assert not unknown, f"give these a floor in tests/test_layers.py and in the design: {unknown}"


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
])
def test_a_wrong_import_is_seen(file, source):
    assert wrong_imports(LIB / file, source)


def test_iteration_may_know_its_siblings():
    assert wrong_imports(LIB / "pipeline/iteration.py", "from .sampling import sample\nfrom ..engine.local import Engine") == []


@pytest.mark.parametrize("path", [p for p in FILES if p.name != "_modidx.py"], ids=lambda p: ".".join(module(p)))
def test_no_file_is_long(path):
    assert len(path.read_text(encoding="utf-8").splitlines()) <= 400


def test_only_execution_runs_code_given_as_text():
    "The pocket world may run its own grammar's functions; everything a model wrote goes through execution/."
    calls = [f"{path.relative_to(LIB)}:{node.lineno}" for path in FILES if part(module(path)) != "execution" and path != LIB / "pocket/world.py"
             for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
             if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in ("exec", "eval")]
    assert calls == []


def test_the_ground_and_the_command_line_import_nothing_heavy():
    light = sorted(name for name in GROUND | {"cli"} if (LIB / f"{name}.py").is_file())
    code = f"import sys, importlib\nfor n in {light}: importlib.import_module('evoselfcode.' + n)\n" \
           "print([m for m in ('torch', 'transformers', 'datasets', 'pandas', 'matplotlib', 'papermill', 'peft') if m in sys.modules])"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.strip() == "[]"
