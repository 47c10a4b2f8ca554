"""Hostile programs get the verdict they deserve and leave no trace, in every environment that can be made here.

Harmless ones pass.
"""
import json
import os
import subprocess
import sys
from collections import Counter
from pathlib import Path

import environments
import pytest
from attacks import ATTACKS, HONEST

import evoselfcode

pytestmark = [
    pytest.mark.skipif(not sys.platform.startswith("linux"), reason="programs are executed on Linux only"),
    pytest.mark.timeout(900),
]
ENVIRONMENT = {
    **os.environ,
    "PYTHONDONTWRITEBYTECODE": "1",
    "PYTHONPATH": os.pathsep.join([str(Path(evoselfcode.__file__).parents[1]), os.environ.get("PYTHONPATH", "")]),
}


def launch(*arguments):
    "What `environments.py` prints when it is started with these arguments, and its error text; None when it fails."
    done = subprocess.run(
        [sys.executable, environments.__file__, *arguments], capture_output=True, text=True, env=ENVIRONMENT,
        start_new_session=True, stdin=subprocess.DEVNULL, cwd="/",
    )
    *words, result = done.stdout.splitlines() or ["null"]
    # nothing else may have been written there
    return (None, done.stderr.strip()) if done.returncode else (json.loads(result), "\n".join(words) + done.stderr)


@pytest.mark.parametrize("environment", environments.NAMES)
def test_attacks_fail_and_leave_nothing_and_harmless_programs_pass(environment):
    probe, words = launch(environment, "--probe")
    if probe is None: pytest.skip(words.splitlines()[-1])
    found, words = launch(environment)
    assert found, words
    rows = {row["name"]: row for row in found["rows"]}
    attacks = environments.attacks_in(environment)
    namespaces = probe["namespaces"]
    # what cannot be bounded is refused
    assert {a.profile for a in [*attacks, *HONEST] if a.name not in rows} == (set() if namespaces else {"files"})
    expected = {a.name: a.expected for a in attacks} | {h.name: ("passed",) for h in HONEST}
    expected |= {name: ("passed",) for name in rows if name.startswith("after ")}
    detail = {a.name: a.detail for a in attacks}
    def as_expected(name):
        return rows[name]["status"] in expected[name] and detail.get(name, "") in rows[name]["detail"]
    assert [(name, expected[name], rows[name]) for name in expected if name in rows and not as_expected(name)] == []
    assert found["traces"] == []
    known = ("warning: layer missing: ", "warning: UNSAFE: without a private root")
    assert all(line.startswith(known) for line in words.splitlines())


def test_there_are_attacks_of_every_kind():
    assert 0 < sum(a.clock for a in ATTACKS) < len(ATTACKS) / 10
    assert min(Counter(a.kind for a in ATTACKS).values()) >= 80 and len(HONEST) >= 30
    assert len({a.name for a in [*ATTACKS, *HONEST]}) == len(ATTACKS) + len(HONEST)
