"""The same verdicts over a Ray cluster, here of two processors on this machine, as from the workers of one machine."""
import sys
from collections import deque
from types import SimpleNamespace

import pytest
import ray

from evoselfcode.errors import UserError
from evoselfcode.execution.behaviour import behaviours
from evoselfcode.execution.cluster import Cluster, _Actors
from evoselfcode.execution.execution import JOBS_AHEAD, ExecutionFault, Limits, Program, Runner, _job, run_programs

pytestmark = pytest.mark.timeout(600)
LOCAL, RAY = Limits(seconds=1), Limits(seconds=1, backend="ray")


@pytest.fixture(scope="module")
def cluster():
    ray.init(num_cpus=2, include_dashboard=False, log_to_driver=False)
    yield
    ray.shutdown()


def programs():
    endings = [
        "while True: pass", "import os\nos.abort()", "x = [0] * 10 ** 9", "open('/tmp/x', 'w')",
        "def f(x): return object()", "def f(x):\n    print('hello')\n    return 2",
    ]
    for i in range(300):
        code = f"def f(x):\n    return x + {i % 4}  # {i}\n"
        yield Program(code, "assert f(1) == 2", "f", trusted=i % 50 > 0)
    for code in endings: yield Program(code, "assert f(1) == 2", "f")


def test_verdicts_are_those_of_the_local_engine_in_the_same_order(cluster):
    ours, theirs = list(run_programs(programs(), LOCAL, 2)), list(run_programs(programs(), RAY, 2))
    assert ours == theirs
    assert {v.status for v in theirs} == {"passed", "failed", "timeout", "crashed", "memory", "unsupported"}
    assert theirs[-1].output == "hello\n"


def test_behaviours_are_the_same(cluster):
    functions = [(f"def f(xs: list[int]):\n    return [x + {i} for x in xs]", "f") for i in range(40)]
    functions += [("def f(s: str):\n    return list(set(s))", "f"), ("def f(x", "f")]
    assert behaviours(functions, runner=Runner(RAY)) == behaviours(functions, runner=Runner(LOCAL))


def test_verdicts_are_kept_whoever_found_them(cluster, tmp_path):
    store = tmp_path / "verdicts.sqlite"
    ours = list(run_programs(programs(), RAY, 2, store=store))
    before = store.read_bytes()
    assert list(run_programs(programs(), LOCAL, 2, store=store)) == ours and store.read_bytes() == before


def test_programs_are_taken_a_bounded_way_ahead(cluster):
    taken = []
    def endless():
        while True:
            taken.append(1)
            yield Program(f"x = {len(taken)}")
    found = run_programs(endless(), RAY, 2)
    for _ in range(5): assert next(found).passed
    found.close()
    assert len(taken) <= 5 + 2 * JOBS_AHEAD


def test_an_actor_that_dies_is_started_again(cluster):
    pool = Cluster(LOCAL, 2, lanes=1)
    pool.waiting[0].extend((i, _job(LOCAL, f"x = {i}")) for i in range(200))
    ended = pool.step()
    ray.kill(pool.actors.all[0], no_restart=False)
    while len(ended) < 200: ended += pool.step()
    pool.end()
    assert {key for key, answer in ended if answer["status"] == "passed"} == set(range(200))


def breaking(monkeypatch, word):
    "Actors that end at jobs with this word."
    from evoselfcode.execution import cluster as module
    class Actor(module._Actor):
        def run(self, batch):
            if any(word in job.text for _, job in batch): __import__("os")._exit(1)
            return super().run(batch)
    monkeypatch.setattr(module, "_Actor", Actor)
    monkeypatch.setattr(module, "TRIES", 1)


def test_a_job_that_ends_its_actors_is_the_one_that_crashed(cluster, monkeypatch):
    breaking(monkeypatch, b"BREAK")
    found = list(run_programs((Program(f"x = {i}  # {'BREAK' if i == 7 else ''}") for i in range(40)), RAY, 2))
    assert [v.status for v in found] == ["crashed" if i == 7 else "passed" for i in range(40)]
    assert "runners ended" in found[7].detail


def test_actors_that_end_at_everything_end_all(monkeypatch):
    class Gone:
        exceptions = ray.exceptions
        @staticmethod
        def get(_): raise ray.exceptions.RayError("no node is left")
    actor = SimpleNamespace(run=SimpleNamespace(remote=lambda batch: None))
    actors = SimpleNamespace(ray=Gone, trial=None)
    actors.can_run = lambda actor: _Actors.can_run(actors, actor)
    cluster = SimpleNamespace(actors=actors, single=deque())
    monkeypatch.setattr("evoselfcode.execution.cluster.time.sleep", lambda _: None)
    jobs = [(0, (key, None)) for key in "ab"]
    assert Cluster.lost(cluster, actor, jobs, "gone") == [] and list(cluster.single) == jobs
    with pytest.raises(ExecutionFault, match="Ray: gone"): Cluster.lost(cluster, actor, jobs[:1], "gone")


def test_what_a_user_has_to_mend_is_one_line(monkeypatch):
    monkeypatch.setitem(sys.modules, "ray", None)
    with pytest.raises(UserError, match=r'pip install "evoselfcode\[ray\]"'): next(run_programs(programs(), RAY, 2))
    with pytest.raises(UserError, match="backend 'spark': must be one of local, ray"):
        next(run_programs(programs(), Limits(backend="spark")))


def test_a_node_without_layers_refuses_in_the_same_words(cluster, monkeypatch):
    from evoselfcode.execution import cluster as module
    class Bare(module._Actor):
        def __init__(self, *given):
            __import__("os").environ["EVOSELFCODE_WITHOUT"] = "seccomp"
            super().__init__(*given)
    monkeypatch.setattr(module, "_Actor", Bare)
    with pytest.raises(UserError, match="model-written code is not run here: without a filter"):
        next(run_programs(programs(), RAY, 1))
