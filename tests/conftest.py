"""What every test needs: no network, one thread per test process, and a workspace of its own."""
import os
import signal

# a background shell ignores it, and so would every command the tests start
signal.signal(signal.SIGINT, signal.default_int_handler)
os.environ.setdefault("HF_HUB_OFFLINE", "1")
os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
if "PYTEST_XDIST_WORKER" in os.environ: os.environ.setdefault("OMP_NUM_THREADS", "1")

from pathlib import Path

import pytest
import warm

from evoselfcode.errors import UserError
from evoselfcode.project import init_workspace

warm.warm_kernels()
ROOT = Path(__file__).resolve().parents[1]


@pytest.fixture(scope="session")
def root() -> Path:
    "The repository."
    return ROOT


@pytest.fixture
def workspace(tmp_path, monkeypatch) -> Path:
    """A fresh project folder with the shipped configurations, which is also the working directory.

    Its data files are cut short: every study reads and checks them all."""
    for path in init_workspace(tmp_path):
        if path.suffix == ".jsonl": path.write_bytes(b"".join(path.read_bytes().splitlines(True)[:60]))
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture(scope="session")
def message():
    "Call a function that must end in a user's mistake; return its text, which must be one line."
    def call(function, *args, **kwargs) -> str:
        with pytest.raises(UserError) as caught: function(*args, **kwargs)
        text = str(caught.value)
        assert text and "\n" not in text
        return text
    return call
