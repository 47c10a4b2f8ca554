"""The packaging facts agree with each other, and a wheel holds all that its user needs."""
import configparser
import os
import re
import shutil
import subprocess
import sys
import tomllib
import zipfile
from pathlib import Path
from unittest.mock import patch

import pytest
import warm
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

import evoselfcode
from evoselfcode.project import WORKSPACE, init_workspace, workspace_files

ROOT = Path(__file__).resolve().parents[1]


@pytest.fixture(scope="module")
def facts():
    ini = configparser.ConfigParser(delimiters=["="], interpolation=None)
    ini.read(ROOT / "settings.ini", encoding="utf-8")
    return ini["DEFAULT"]


@pytest.fixture(scope="module")
def project():
    return tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))


def test_one_version_one_description_one_address(facts, project):
    assert facts["version"] == evoselfcode.__version__
    # nbdev adds the modules below it
    assert facts["description"] == project["project"]["description"] == evoselfcode.__doc__.splitlines()[0]
    assert facts["git_url"] == project["project"]["urls"]["Repository"]
    assert facts["lib_name"] == project["project"]["name"] == "evoselfcode"


def test_python_versions_agree(facts, project):
    low, high = facts["min_python"], int(facts["max_python"].split(".")[1])
    assert project["project"]["requires-python"] == f">={low},<3.{high + 1}"


def test_cleaning_keeps_papermills_tag(project):
    assert project["tool"]["nbdev"]["allowed_cell_metadata_keys"] == ["tags"]
    assert not (ROOT / "nbs" / project["tool"]["nbdev"]["readme_nb"]).exists()


def pins() -> list[Requirement]:
    lines = (ROOT / "requirements.txt").read_text(encoding="utf-8").splitlines()
    return [Requirement(line) for line in lines if line.strip() and not line.startswith("#")]


def test_requirements_are_pinned_and_torch_comes_first():
    assert pins()[0].name == "torch" and str(pins()[0].specifier) == "==2.13.0"
    loose = [str(pin) for pin in pins() if not re.fullmatch(r"==[0-9a-z.!]+", str(pin.specifier)) or pin.url]
    assert loose == []
    assert "evoselfcode" not in {pin.name for pin in pins()}


def test_pins_lie_in_the_ranges(facts):
    pinned = {canonicalize_name(pin.name): str(pin.specifier)[2:] for pin in pins()}
    for text in facts["requirements"].split() + facts["dev_requirements"].split():
        wanted = Requirement(text)
        assert canonicalize_name(wanted.name) in pinned, f"{wanted.name} is not in requirements.txt"
        assert wanted.specifier.contains(pinned[canonicalize_name(wanted.name)]), text


def test_every_import_is_declared(facts):
    declared = {
        canonicalize_name(Requirement(text).name)
        for text in (facts["requirements"] + " " + facts["dev_requirements"]).split()
    }
    known = dict(
        PIL="pillow", yaml="pyyaml", IPython="ipykernel", pygments="ipykernel", traitlets="nbclient",
        jupyter_client="nbclient", jupyter_core="jupyter_core", packaging="transformers", pyarrow="datasets",
        huggingface_hub="transformers",
    )
    used = set()
    for path in (ROOT / "evoselfcode").rglob("*.py"):
        # the far side of execution knows its modules by their plain names
        folders = [path.parent, *[path.parents[1]] * (path.parent.name == "harnesses")]
        beside = {other.stem for folder in folders for other in folder.glob("*.py")}
        source = path.read_text(encoding="utf-8")
        found = re.findall(r"^\s*(?:from|import) ([\w, ]+?)(?: import .*| as .*|)$", source, re.M)
        used |= {name for words in found for name in re.split(r"[ ,]+", words)} - beside
    foreign = {
        name
        for name in used
        if name not in sys.stdlib_module_names and name != "evoselfcode" and not (ROOT / "evoselfcode" / name).exists()
    }
    assert {name for name in foreign if canonicalize_name(known.get(name, name)) not in declared} == set()


@pytest.fixture(scope="module")
def wheel(tmp_path_factory):
    "A wheel built from the tracked and untracked files of this checkout, in a folder of its own."
    source, out = tmp_path_factory.mktemp("source"), tmp_path_factory.mktemp("wheel")
    command = ["git", "ls-files", "-co", "--exclude-standard"]
    listed = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
    for name in listed.stdout.splitlines():
        if not (ROOT / name).is_file(): continue
        (source / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(ROOT / name, source / name)
    subprocess.run(
        [sys.executable, "-m", "pip", "wheel", "-q", "--no-deps", "--no-build-isolation", "-w", out, source], check=True
    )
    return next(out.glob("*.whl"))


def test_wheel_holds_modules_workspace_and_licence(wheel):
    names = set(zipfile.ZipFile(wheel).namelist())
    assert {p.relative_to(ROOT).as_posix() for p in (ROOT / "evoselfcode").rglob("*.py")} <= names
    assert {f"evoselfcode/workspace/{name}" for name in workspace_files()} <= names
    assert {p.relative_to(ROOT).as_posix() for p in (ROOT / "evoselfcode" / "pocket" / "model").glob("*")} <= names
    assert any(name.endswith("licenses/LICENSE") for name in names)
    assert not [name for name in names if name.startswith(("tests/", "nbs/", "configs/", "data/"))]


def test_wheel_announces_command_and_requirements(wheel, facts):
    archive = zipfile.ZipFile(wheel)
    read = lambda name: archive.read(next(n for n in archive.namelist() if n.endswith(name))).decode()
    assert facts["console_scripts"].replace("=", " = ") in read("entry_points.txt")
    needs = [line for line in read("METADATA").splitlines() if line.startswith("Requires-Dist:")]
    needs = [line for line in needs if "extra ==" not in line]
    assert len(needs) == len(facts["requirements"].split())


def test_installed_wheel_lays_out_a_workspace(wheel, tmp_path):
    zipfile.ZipFile(wheel).extractall(tmp_path / "site")
    code = (
        "import sys; from evoselfcode.project import *; "
        "print(package_folder()); print(len(init_workspace(sys.argv[1])))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, tmp_path / "mine"], env={"PYTHONPATH": str(tmp_path / "site")}, cwd=tmp_path,
        capture_output=True, text=True, check=True,
    )
    assert done.stdout.splitlines() == [str(tmp_path / "site" / "evoselfcode"), str(len(workspace_files()))]
    for name, source in workspace_files().items(): assert (tmp_path / "mine" / name).read_bytes() == source.read_bytes()


def test_a_workspace_is_never_overwritten(tmp_path):
    written = init_workspace(tmp_path)
    assert {path.relative_to(tmp_path).as_posix() for path in written} == set(workspace_files())
    (tmp_path / "configs/base.yaml").write_text("run: mine\n")
    (tmp_path / "configs/pocket.yaml").unlink()
    assert init_workspace(tmp_path) == [tmp_path / "configs/pocket.yaml"]
    assert (tmp_path / "configs/base.yaml").read_text() == "run: mine\n"


def test_a_workspace_on_a_file_is_one_line(tmp_path, message):
    (tmp_path / "file").touch()
    assert "cannot lay out a workspace" in message(init_workspace, tmp_path / "file")


def test_what_git_keeps(tmp_path):
    ignored = lambda name: subprocess.run(["git", "check-ignore", "-q", "--no-index", name], cwd=ROOT).returncode == 0
    made = [
        ".venv/x", "data/generated/pocket/run.json", "checkpoints/x/model.safetensors", "logs/a.log",
        "data/processed/a.jsonl", "data/eval/humaneval.jsonl",
    ]
    kept = [
        "data/raw/initial_pairs.jsonl", "data/eval/pocket_eval.jsonl", "evoselfcode/pocket/model/model.safetensors",
        "configs/base.yaml", ".ci/run",
    ]
    assert all(map(ignored, made)) and not any(map(ignored, kept))
    assert set(WORKSPACE) == {"configs", "nbs/runs", "data/raw", "data/eval"}


def test_the_front_of_the_package_and_its_version():
    assert {"Engine", "sample", "Study"} <= set(dir(evoselfcode))
    assert all(callable(getattr(evoselfcode, name)) for name in evoselfcode.FRONT)
    with pytest.raises(AttributeError, match="no attribute 'sampel'"): evoselfcode.sampel
    asked = [sys.executable, "-m", "evoselfcode", "--version"]
    told = subprocess.run(asked, capture_output=True, text=True, check=True)
    assert told.stdout.strip() == evoselfcode.__version__
    light = "import evoselfcode, sys; print([m for m in ('torch', 'numpy', 'pandas') if m in sys.modules])"
    assert subprocess.run([sys.executable, "-c", light], capture_output=True, text=True).stdout.strip() == "[]"


PAPERS = sorted(ROOT.glob("*.md"))


@pytest.mark.parametrize("path", PAPERS, ids=lambda path: path.name)
def test_links_lead_somewhere(path):
    text = path.read_text(encoding="utf-8")
    links = [link for link in re.findall(r"\]\(([^)\s]+)\)", text) if "://" not in link]
    assert [link for link in links if not (ROOT / link.partition("#")[0]).exists()] == []
    assert not re.search(r"@[A-Z_]+@", text)


def build_site(folder):
    """Be `mkdocs build`, but with empty pages for the notebooks: pages of 80 take a minute and a half.

    What may be wrong is elsewhere: a notebook without a place, a place without a notebook, a name that is not there."""
    from mkdocs.__main__ import cli
    with patch("mkdocs_jupyter.plugin.convert.nb2html", lambda *_, **__: ""):
        cli(["build", "--quiet", "--config-file", str(ROOT / "mkdocs.yml"), "--site-dir", str(folder)])


def test_the_site_builds_without_a_warning(tmp_path):
    around = os.environ | dict(NO_MKDOCS_2_WARNING="1")
    # in a folder of its own, since the plugin keeps its pages below the working directory
    done = warm.run("test_packaging:build_site", tmp_path / "site", folder=tmp_path, surroundings=around)
    assert done.returncode == 0, done.stdout + done.stderr
    assert (tmp_path / "site/index.html").is_file()


def test_the_site_shows_every_notebook():
    nav = (ROOT / "mkdocs.yml").read_text(encoding="utf-8")
    notebooks = [path.relative_to(ROOT / "nbs").as_posix() for path in (ROOT / "nbs").rglob("*.ipynb")]
    assert [name for name in notebooks if ".ipynb_checkpoints" not in name and f": {name}\n" not in nav] == []
