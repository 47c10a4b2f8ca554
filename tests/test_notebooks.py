"""Every notebook that makes a module runs, and looks as a notebook of this project should."""
import json
import subprocess
import sys
from pathlib import Path

import pytest
import warm

ROOT = Path(__file__).resolve().parents[1]
ALL = sorted(p for p in (ROOT / "nbs").rglob("*.ipynb") if ".ipynb_checkpoints" not in p.parts)


def cells(path: Path, kind: str = "code") -> list[dict]:
    return [cell for cell in json.loads(path.read_text(encoding="utf-8"))["cells"] if cell["cell_type"] == kind]


def text(cell: dict) -> str:
    return "".join(cell["source"])


def exports(path: Path) -> str:
    "The module that a notebook makes, '' for none."
    lines = [line for cell in cells(path) for line in text(cell).splitlines() if line.startswith("#| default_exp ")]
    return lines[0].split()[-1] if lines else ""


name = lambda path: path.relative_to(ROOT / "nbs").with_suffix("").as_posix()
EXPORTING = [path for path in ALL if exports(path)]


@pytest.mark.parametrize("path", EXPORTING, ids=name)
def test_runs(path):
    # execution starts Ray and the sandbox from a process of its own; one that has loaded all of `Study` would hide
    # that the notebook which adds to it uses something before it is there
    if path.parent.name == "execution" or path.stem == "59_iteration":
        command = [Path(sys.executable).with_name("nbdev-test"), path, "--n-workers", "0", "--do-print"]
        done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    else: done = warm.run("warm:notebook", path, folder=ROOT)
    assert done.returncode == 0, (done.stdout + done.stderr)[-4000:]


@pytest.mark.parametrize("path", ALL, ids=name)
def test_is_small_clean_and_portable(path):
    content = json.loads(path.read_text(encoding="utf-8"))
    assert path.stat().st_size < 150_000
    assert content["metadata"]["kernelspec"]["name"] == "python3"
    assert all(cell["execution_count"] is None for cell in cells(path))
    assert [n for cell in cells(path) if (n := len(text(cell).splitlines())) > 35] == []
    assert not [o for cell in cells(path) for o in cell["outputs"] if o["output_type"] == "error"]


@pytest.mark.parametrize("path", ALL, ids=name)
def test_opens_with_a_title_and_a_subtitle(path):
    lines = text(cells(path, "markdown")[0]).splitlines()
    assert lines[0].startswith("# ") and any(line.startswith("> ") for line in lines)


@pytest.mark.parametrize("path", EXPORTING, ids=name)
def test_is_named_like_its_module(path):
    module = exports(path)
    assert (ROOT / "evoselfcode" / (module.replace(".", "/") + ".py")).is_file()
    assert path.stem.partition("_")[2] == module.rpartition(".")[2]
    assert name(path).rpartition("/")[0] == module.rpartition(".")[0].replace(".", "/")


@pytest.mark.parametrize("path", sorted((ROOT / "nbs" / "runs").glob("*.ipynb")), ids=name)
def test_run_notebooks_keep_their_parameters_cell(path):
    assert len([cell for cell in cells(path) if "parameters" in cell["metadata"].get("tags", [])]) == 1
