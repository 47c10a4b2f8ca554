"""The front of the package: what `help`, tab completion and a first look show."""
import inspect
import pydoc
import re
from pathlib import Path

import pytest

import evoselfcode

LIB = Path(evoselfcode.__file__).parent


def helped(thing) -> str:
    "What `help` prints, as one text of single blanks."
    return " ".join(pydoc.render_doc(thing, renderer=pydoc.plaintext).replace("|", " ").split())


def test_tab_completion_offers_the_front_and_nothing_by_chance():
    evoselfcode.sample  # which loads half of the library
    assert [name for name in dir(evoselfcode) if not name.startswith("_")] == sorted(evoselfcode.FRONT)


def test_help_of_the_package_is_an_overview():
    first = pydoc.render_doc(evoselfcode, renderer=pydoc.plaintext).partition("PACKAGE CONTENTS")[0]
    assert all(f"    {name} " in first for name in evoselfcode.FRONT)
    assert "Modules:" not in first and "sandbox" not in first and len(first.splitlines()) < 40


@pytest.mark.parametrize("name, words", [
    ("load_config", "path: the command's YAML file"),
    ("sample", "descriptions: records with description"),
    ("train", "Returns: steps, mean loss"),
    ("Engine", "tokenizer: needed with a model"),
    ("Engine", "temperature: 0 takes the most probable token each time"),  # of a method
    ("Study", "work: False: check the input only"),
    ("Study", "Returns: for the engine"),  # of a method
])
def test_help_tells_the_comments_behind_parameters_once(name, words):
    for _ in range(2): text = helped(getattr(evoselfcode, name))
    assert text.count(words) == 1


@pytest.mark.parametrize("name", evoselfcode.FRONT)
def test_help_shows_no_mark_of_a_cell_and_no_page(name):
    thing = getattr(evoselfcode, name)
    assert "%%" not in helped(thing) and "http" not in helped(thing)
    parts = [thing, *filter(inspect.isfunction, vars(thing).values())] if inspect.isclass(thing) else [thing]
    assert [part for part in parts if "%%" in (inspect.getcomments(part) or "")] == []


@pytest.mark.parametrize("path", sorted(LIB.rglob("*.py")), ids=lambda path: path.relative_to(LIB).as_posix())
def test_the_mark_of_a_cell_stands_apart(path):
    "Python takes the comment right above a function for its own."
    assert re.findall(r"^# %% \.\./.*\n(?=.)", path.read_text(encoding="utf-8"), re.M) == []
