"""A program as it stands, in a child where it finds the packages that are installed. Standard library only."""
import sys


def load(text: str, libraries: list, space: dict) -> None:
    "Execute a program's text in a namespace, as it is: nothing stands before it. `libraries`: folders of packages."
    del space['load']
    sys.path += libraries
    exec(compile(text, '<program>', 'exec', dont_inherit=True), space)
