"""Notebooks run by papermill as its users do, and pages made where Jupyter's own folders are missing."""
import nbformat
import papermill.cli
import pytest
from click.testing import CliRunner

from evoselfcode.errors import UserError
from evoselfcode.io_utils import read_json, write_json
from evoselfcode.project import package_folder
from evoselfcode.reporting.page import write_html
from evoselfcode.runs import (
    as_list,
    as_overrides,
    as_seed,
    check_arms,
    check_parameters,
    run_notebook,
    write_page,
    write_report,
)

RUNS = package_folder().parent / "nbs/runs"


@pytest.mark.parametrize("given, expected", [
    ([], []), ("", []), ("seed=1", ["seed=1"]), ("sampling.n=4 seed=1", ["sampling.n=4", "seed=1"]),
    (["run=a b"], ["run=a b"]), ("'run=a b'", ["run=a b"]),
])
def test_overrides_are_a_text_or_a_list(given, expected):
    assert as_overrides(given) == expected
    assert as_overrides(given, seed=None, run="x") == [*expected, "run=x"]
    assert as_overrides(given, seed=3) == [*expected, "seed=3"]


def test_a_quote_that_is_not_closed_is_told():
    with pytest.raises(UserError, match="overrides: names.context='x: a quote is not closed"):
        as_overrides("names.context='x")


@pytest.mark.parametrize("given, expected", [
    ("pocket", ["pocket"]), ("0, 1,2", ["0", "1", "2"]), ("a b", ["a", "b"]), (3, [3]), ([0, 1], [0, 1]),
    ((0, 1), [0, 1]), ("[0, 1]", ["0", "1"]), ("", []), ([], []),
])
def test_what_papermill_gives_for_a_list(given, expected):
    assert as_list(given) == expected


def test_seeds_and_arms_are_checked():
    assert [as_seed(s) for s in ("3", 4)] == [3, 4] and check_arms(["random"]) == ["random"]
    for odd in ("x", 1.5, True, "-1", None):
        with pytest.raises(UserError, match="is no whole number"): as_seed(odd)
    with pytest.raises(UserError, match="arms: nope, 3: no such arm; there are random"): check_arms(["nope", 3])


def test_no_report_of_a_run_that_is_not_there(tmp_path):
    with pytest.raises(UserError, match="nosuch: no such run folder"): write_report(tmp_path / "nosuch")
    assert not (tmp_path / "nosuch").exists()


@pytest.mark.parametrize("name, given, told", [
    ("evaluate", dict(benchmarks="nope"), "no benchmark 'nope'; there are"),
    ("compare", dict(arms="nope"), "arms: nope: no such arm"),
    ("compare", dict(seeds="x"), "seeds: 'x' is no whole number"),
    ("iterate", dict(iteration=-1), "iteration: must be a whole number from 0, not -1"),
    ("iterate", dict(iteration="one"), "iteration: must be a whole number from 0, not 'one'"),
])
def test_a_parameter_that_is_wrong_is_told(name, given, told, tmp_path):
    with pytest.raises(papermill.PapermillExecutionError) as error:
        papermill.execute_notebook(
            str(RUNS / f"{name}.ipynb"), str(tmp_path / "out.ipynb"), parameters=given, cwd=str(RUNS),
            kernel_name="python3", progress_bar=False,
        )
    assert error.value.ename == "UserError" and error.value.evalue.startswith(told)


def test_a_parameter_that_a_notebook_has_not_is_refused():
    space = dict(__annotations__=dict(config=str, seed=int))
    check_parameters(["", "config: str = 'a'", "# Parameters\nseed = 1\n", "check_parameters(In, globals())"], space)
    check_parameters(["", "config: str = 'a'", "x = 1"], space)
    with pytest.raises(UserError, match="this notebook has no parameter 'sed'; it has config, seed"):
        check_parameters(["", "config: str = 'a'", "# Parameters\nsed = 1\n", "..."], space)


@pytest.mark.parametrize("name", ["iterate", "evaluate", "compare", "report"])
def test_each_notebook_refuses_what_it_has_not(name, tmp_path):
    with pytest.raises(papermill.PapermillExecutionError) as error:
        papermill.execute_notebook(
            str(RUNS / f"{name}.ipynb"), str(tmp_path / "out.ipynb"), parameters=dict(sed=1), cwd=str(RUNS),
            kernel_name="python3", progress_bar=False,
        )
    assert error.value.ename == "UserError" and "this notebook has no parameter 'sed'" in error.value.evalue


def test_papermill_by_hand_takes_a_seed_and_a_text_of_overrides(tmp_path, monkeypatch):
    "The first cells alone: they read the settings."
    notebook = nbformat.read(RUNS / "iterate.ipynb", as_version=4)
    last = nbformat.v4.new_code_cell("print(settings.seed, settings.sampling.n, settings.run)")
    notebook.cells = [*[c for c in notebook.cells if c.cell_type == "code"][:2], last]
    notebook.cells[1].source = notebook.cells[1].source.replace("study = Study(settings, iteration)", "")
    nbformat.write(notebook, tmp_path / "in.ipynb")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PYTHONPATH", str(package_folder().parent))
    done = CliRunner().invoke(papermill.cli.papermill, [
        "in.ipynb", "out.ipynb", "-k", "python3",
        "-p", "seed", "7", "-p", "overrides", "sampling.n=3", "-p", "run", "mine",
        "-p", "config", str(package_folder().parent / "configs/tiny.yaml"),
    ])
    assert done.exit_code == 0, done.output
    assert nbformat.read(tmp_path / "out.ipynb", as_version=4).cells[-1].outputs[0].text == "7 3 mine\n"


@pytest.mark.parametrize("name", ["a {x}=b", "{}", "{0", "50%", "%s#1 'q' \"d\"", "ö\u2028"])
def test_a_folder_may_be_called_anything(name, tmp_path):
    (folder := tmp_path / name).mkdir()
    cells = [
        nbformat.v4.new_code_cell("text: str = '{x}=b'  # a default\n", metadata=dict(tags=["parameters"])),
        nbformat.v4.new_code_cell("import os\nprint(text, os.getcwd())"),
    ]
    about = dict(kernelspec=dict(name="python3", language="python", display_name="Python 3"))
    nbformat.write(nbformat.v4.new_notebook(cells=cells, metadata=about), folder / "in.ipynb")
    assert run_notebook(folder / "in.ipynb", folder / "out", dict(text="{y}"))["status"] == "ok"
    assert nbformat.read(folder / "out" / "in.ipynb", as_version=4).cells[-1].outputs[0].text == f"{{y}} {folder}\n"


def notebook_at(path):
    nbformat.write(nbformat.v4.new_notebook(cells=[nbformat.v4.new_markdown_cell("# Title\n\nWords.")]), path)
    write_json(path.with_name("run.json"), dict(status="ok", error=""))
    return path


def test_a_page_needs_no_folder_of_jupyter_s(tmp_path, monkeypatch):
    for name in ("JUPYTER_PATH", "JUPYTER_DATA_DIR", "JUPYTER_CONFIG_DIR"):
        monkeypatch.setenv(name, str(tmp_path / "nothing"))
    monkeypatch.setattr("jupyter_core.paths.SYSTEM_JUPYTER_PATH", [])
    monkeypatch.setattr("jupyter_core.paths.ENV_JUPYTER_PATH", [])
    assert "Words." in write_html(notebook_at(tmp_path / "a.ipynb"), tmp_path / "a.html").read_text()


def test_a_page_that_fails_is_told_where_the_run_is_told(tmp_path, monkeypatch):
    notebook = notebook_at(tmp_path / "report.ipynb")
    monkeypatch.setattr("evoselfcode.reporting.page.write_html", lambda *_: 1 / 0)
    with pytest.raises(UserError, match="could not be made a page .ZeroDivisionError: division by zero."):
        write_page(notebook)
    told = read_json(tmp_path / "run.json")
    assert told["status"] == "failed" and "report.html: the notebook ran, but could not be made a page" in told["error"]
