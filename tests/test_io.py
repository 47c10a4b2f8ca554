"""Records on disk: mistakes that are told, kills that leave nothing behind, locks, and walks through a run."""
import errno
import json
import os
import random
import signal
import subprocess
import sys
import textwrap
import time

import pytest

from evoselfcode.errors import UserError
from evoselfcode.io_utils import content_hash, content_id, file_errors, read_json, read_jsonl, write_json, write_jsonl
from evoselfcode.reporting.lineage import history, why
from evoselfcode.stages import batch_seed, finished, meta_path, run_batches, run_lock

BATCHES = [(f"{n:03}", n) for n in range(6)]


def draw(key, payload):
    dice = random.Random(batch_seed(0, "draw", key))
    return [dict(batch=key, value=dice.random(), text="naïve\n") for _ in range(payload)]


# reading and writing

@pytest.mark.parametrize("content, words", [
    (b'{"a": 1}\n{"a": \n{"a": 3}\n', "line 2: broken JSON at column"),
    (b'{"a": 1}\n\n[1]\n', "line 3: must be a JSON object"),
    (b'{"a": 1}\n"text"\n', "line 2: must be a JSON object"),
    (b'{"a": 1}\n{"b": 1, "c": 2}\n', "line 2: field 'a' missing; there are 'b', 'c'"),
    (b'{"a": 1}\n{}\n', "line 2: field 'a' missing; there are none"),
    (b'{"a": 1}\n{"a": "caf\xe9"}\n', "line 2: byte 11 is not UTF-8"),
    (b'{"a": 1}\n{"a": 2', "line 2: broken JSON"),
    (b'[' * 100_000, "line 1: "),
    (b'', "holds no records"),
    (b'\n \n', "holds no records"),
])
def test_mistakes_in_records_name_file_and_line(tmp_path, message, content, words):
    path = tmp_path / "mine.jsonl"
    path.write_bytes(content)
    line = message(read_jsonl, path, required=("a",))
    assert line.startswith(f"{path}: ") and words in line


def test_what_a_reader_forgives(tmp_path):
    path = tmp_path / "mine.jsonl"
    path.write_bytes(b'\xef\xbb\xbf{"a": 1}\r\n\r\n{"a": "\xe2\x80\xa8"}')
    assert read_jsonl(path) == [{"a": 1}, {"a": "\u2028"}]
    path.write_bytes(b'{"a": 1}\n{"a": "caf\xc3')
    assert read_jsonl(path, tolerate_torn=True) == [{"a": 1}]
    path.write_bytes(b'{"a": \n{"a": 1}')
    with pytest.raises(UserError): read_jsonl(path, tolerate_torn=True)
    path.write_bytes(b"")
    assert read_jsonl(path, empty_ok=True) == []


def test_any_text_survives_and_equal_records_are_equal_bytes(tmp_path):
    records = [dict(b=1, a="x\u2028\x85\ud83d\0\""), dict(a=None, n=[1.5, float("inf")])]
    first, second = write_jsonl(tmp_path / "1.jsonl", records), write_jsonl(tmp_path / "2.jsonl", records)
    assert read_jsonl(first) == records and first.read_bytes() == second.read_bytes()
    assert list(read_jsonl(first)[0]) == ["b", "a"]
    assert read_json(write_json(tmp_path / "x.json", dict(a="变"))) == dict(a="变")


def test_a_failed_write_leaves_the_old_file_and_no_rubbish(tmp_path):
    path = write_jsonl(tmp_path / "a.jsonl", [dict(a=1)])
    with pytest.raises(TypeError): write_jsonl(path, [dict(a=2), dict(a=object())])
    assert read_jsonl(path) == [dict(a=1)] and os.listdir(tmp_path) == ["a.jsonl"]


def test_the_operating_system_s_refusals_are_one_line(tmp_path, message):
    def fill():
        with file_errors("/dev/full"), open("/dev/full", "wb", buffering=0) as file: file.write(b"x")
    assert "the disk is full" in message(fill)
    assert "not found" in message(read_jsonl, tmp_path / "none.jsonl")
    assert "is a folder" in message(read_jsonl, tmp_path)
    (tmp_path / "file").touch()
    assert "one of its parents is a file" in message(write_jsonl, tmp_path / "file" / "x.jsonl", [])
    assert "too long" in message(write_jsonl, tmp_path / ("x" * 300), [])
    def other():
        with file_errors("x"): raise OSError(errno.EIO, "the disk is dying")
    with pytest.raises(OSError): other()


@pytest.mark.skipif(os.geteuid() == 0, reason="nothing is forbidden to root")
def test_a_forbidden_folder_is_one_line(tmp_path, message):
    tmp_path.chmod(0o500)
    assert "no permission" in message(write_jsonl, tmp_path / "x.jsonl", [])


def test_ids_and_seeds():
    assert content_id("a", "bc") != content_id("ab", "c") and len(content_id("a")) == 16
    seeds = {batch_seed(seed, stage, key) for seed in range(5) for stage in ("a", "b") for key in ("1", "2")}
    assert len(seeds) == 20 and all(0 <= seed < 2 ** 63 for seed in seeds)
    assert batch_seed(0, "sample", "000") == batch_seed(0, "sample", "000")


def test_a_folder_s_hash_sees_names_and_content(tmp_path):
    hashes = set()
    for name, text in (("a", "1"), ("a", "2"), ("b", "2")):
        folder = tmp_path / f"{name}{text}"
        folder.mkdir()
        (folder / name).write_text(text)
        hashes.add(content_hash(folder))
    assert len(hashes) == 3


# stages

def test_a_stage_is_reused_when_nothing_changed(tmp_path, capsys):
    path = tmp_path / "draw.jsonl"
    first = run_batches(path, BATCHES, draw, dict(n=1))
    def never(key, payload): raise AssertionError("must not work again")
    before = path.stat().st_mtime_ns
    assert run_batches(path, BATCHES, never, dict(n=1)) == first == read_jsonl(path) and finished(path)
    assert path.stat().st_mtime_ns == before and "draw: 6/6 reused, 0 to do" in capsys.readouterr().out


def test_no_batches_and_no_records_are_fine(tmp_path):
    assert run_batches(tmp_path / "a.jsonl", [], draw, {}) == [] and finished(tmp_path / "a.jsonl")
    assert run_batches(tmp_path / "b.jsonl", [("0", 0)], draw, {}) == [] and finished(tmp_path / "b.jsonl")


def test_a_stage_may_end_before_its_last_batch(tmp_path):
    path, asked = tmp_path / "draw.jsonl", []
    def ends(key, payload):
        asked.append(key)
        return draw(key, payload) if len(asked) < 4 else None
    first = run_batches(path, BATCHES, ends, {})
    assert asked == ["000", "001", "002", "003"] and finished(path)
    assert first == [r for key, payload in BATCHES[:3] for r in draw(key, payload)]
    assert run_batches(path, BATCHES, ends, {}) == first and len(asked) == 4
    with pytest.raises(UserError, match="other batches"): run_batches(path, BATCHES[:5], ends, {})


def test_an_exception_keeps_whole_batches(tmp_path):
    path, seen = tmp_path / "draw.jsonl", []
    def breaks(key, payload):
        if key == "003": raise KeyboardInterrupt
        return draw(key, payload)
    with pytest.raises(KeyboardInterrupt): run_batches(path, BATCHES, breaks, {})
    assert read_json(meta_path(path))["done"] == 3 and not finished(path) and len(read_jsonl(path)) == 3
    def watches(key, payload):
        seen.append(key)
        return draw(key, payload)
    run_batches(path, BATCHES, watches, {})
    whole = tmp_path / "whole.jsonl"
    run_batches(whole, BATCHES, draw, {})
    assert seen == ["003", "004", "005"] and whole.read_bytes() == path.read_bytes()


def test_killed_anywhere_ends_with_the_same_bytes(tmp_path):
    program = textwrap.dedent("""
        import random, sys, time
        from evoselfcode.stages import batch_seed, run_batches
        def work(key, payload):
            time.sleep(0.004)
            dice = random.Random(batch_seed(0, "draw", key))
            return [dict(batch=key, value=dice.random(), text="x" * 5000) for _ in range(8)]
        run_batches(sys.argv[1], [(str(n), n) for n in range(60)], work, dict(n=1))
    """)
    def start(path): return subprocess.Popen([sys.executable, "-c", program, path], stdout=subprocess.DEVNULL)
    assert start(tmp_path / "whole.jsonl").wait() == 0
    path, dice = tmp_path / "killed.jsonl", random.Random(1)
    kills = 0
    while not finished(path):
        process = start(path)
        until = time.monotonic() + 20
        before = read_json(meta_path(path))["done"] if meta_path(path).is_file() else 0
        while process.poll() is None and time.monotonic() < until:
            if meta_path(path).is_file() and read_json(meta_path(path))["done"] >= before + 12: break
            time.sleep(0.002)
        time.sleep(dice.random() * 0.01)
        process.send_signal(signal.SIGKILL)
        kills += process.wait() == -signal.SIGKILL
    assert kills >= 2 and path.read_bytes() == (tmp_path / "whole.jsonl").read_bytes()


@pytest.mark.parametrize("cut", [0, 1, 2])
def test_a_kill_before_the_first_batch_is_no_obstacle(tmp_path, cut):
    path = tmp_path / "draw.jsonl"
    with pytest.raises(KeyError): run_batches(path, BATCHES, lambda key, payload: {}[key], {})
    if cut == 1: path.unlink()
    if cut == 2: path.write_bytes(b'{"half')
    assert len(run_batches(path, BATCHES, draw, {})) == 15


def test_a_full_disk_keeps_whole_batches(tmp_path):
    "A limit on the size of files stands in for the full disk: the kernel refuses the write in the same place."
    program = textwrap.dedent("""
        import resource, sys
        from evoselfcode.stages import run_batches
        from evoselfcode.errors import UserError
        if sys.argv[2]: resource.setrlimit(resource.RLIMIT_FSIZE, (int(sys.argv[2]), resource.RLIM_INFINITY))
        def work(key, n): return [dict(n=n, text="x" * 3000)]
        try: print(len(run_batches(sys.argv[1], [(str(n), n) for n in range(4)], work, {})))
        except UserError as error: print(error, end="")
    """)
    def run(limit):
        command = [sys.executable, "-c", program, tmp_path / "a.jsonl", limit]
        return subprocess.run(command, capture_output=True, text=True, check=True).stdout
    assert run("7000").splitlines()[-1].startswith(f"{tmp_path / 'a.jsonl'}: the file is larger than a limit")
    assert read_json(tmp_path / "a.meta.json")["done"] == 2
    assert run("").splitlines()[-1] == "4" and [r["n"] for r in read_jsonl(tmp_path / "a.jsonl")] == [0, 1, 2, 3]


def test_a_changed_setting_input_or_batch_is_named_and_nothing_is_mixed(tmp_path, message):
    path, data = tmp_path / "draw.jsonl", write_jsonl(tmp_path / "seed.jsonl", [dict(a=1)])
    call = lambda settings, inputs=(data,), batches=BATCHES: run_batches(path, batches, draw, settings, inputs)
    call(dict(sampling=dict(n=8), seed=0))
    before = path.read_bytes(), meta_path(path).read_bytes()
    line = message(call, dict(sampling=dict(n=16), seed=0))
    assert line.startswith(str(path)) and "sampling.n: 8 → 16" in line
    assert "-o run=" in line and "draw.meta.json" in line and "seed" not in line
    same = dict(sampling=dict(n=8), seed=0)
    assert "batches" in message(call, same, batches=BATCHES[1:])
    line = message(call, same, inputs={"seed.jsonl": data, "model": "b"})
    assert "model: a → b" not in line and "input.model: None → b" in line
    write_jsonl(data, [dict(a=2)])
    assert "input.seed.jsonl" in message(call, same)
    assert before == (path.read_bytes(), meta_path(path).read_bytes())


def test_files_that_no_stage_wrote_are_left_alone(tmp_path, message):
    path = write_jsonl(tmp_path / "mine.jsonl", [dict(a=1)])
    assert "exists without mine.meta.json" in message(run_batches, path, BATCHES, draw, {})
    assert read_jsonl(path) == [dict(a=1)]
    path.unlink()
    run_batches(path, BATCHES, draw, {})
    whole, meta = path.read_bytes(), read_json(meta_path(path))
    for changed in (whole[:-20], whole + b'{"id": "x"}\n', whole[:9] + b"?" + whole[10:]):
        path.write_bytes(changed)
        line = message(run_batches, path, BATCHES, draw, {})
        assert f"{path}: is not as its stage wrote it, somebody changed it" in line
        assert path.read_bytes() == changed and finished(path) == (len(changed) >= len(whole))
    path.write_bytes(whole)
    meta_path(path).write_text("{")
    assert "broken JSON" in message(run_batches, path, BATCHES, draw, {})
    keyless = {k: v for k, v in meta.items() if k != "keys"}
    for odd in ([], {}, None, meta | dict(fingerprint=None), meta | dict(done="2"), keyless):
        meta_path(path).write_text(json.dumps(odd))
        assert "not what a stage writes" in message(run_batches, path, BATCHES, draw, {})
    assert path.read_bytes() == whole


def test_a_stage_of_an_earlier_version_is_reused(tmp_path):
    path = tmp_path / "draw.jsonl"
    first = run_batches(path, BATCHES, draw, {})
    meta_path(path).write_text(json.dumps({k: v for k, v in read_json(meta_path(path)).items() if k != "sha256"}))
    assert run_batches(path, BATCHES, draw, {}) == first


def test_what_a_killed_batch_wrote_is_no_change_of_somebodys(tmp_path):
    path = tmp_path / "draw.jsonl"
    run_batches(path, BATCHES[:2], draw, {})
    meta_path(path).write_text(json.dumps(read_json(meta_path(path)) | dict(total=6)))
    with open(path, "a") as file: file.write('{"half')
    assert run_batches(path, BATCHES[:2], draw, {}) == [r for key, payload in BATCHES[:2] for r in draw(key, payload)]


def test_more_batches_go_on(tmp_path):
    path = tmp_path / "draw.jsonl"
    run_batches(path, BATCHES[:3], draw, {})
    assert finished(path) and len(run_batches(path, BATCHES, draw, {})) == 15 and finished(path)


def test_a_bar_promises_no_total_where_the_batches_are_only_the_most_there_can_be(tmp_path, capsys):
    def two(key, payload): return None if key == "2" else [dict(key=key)]
    many = [(str(n), None) for n in range(300)]
    path = tmp_path / "names.jsonl"
    assert len(run_batches(path, many, two, {}, open_ended=True)) == 2 and finished(path)
    told = capsys.readouterr().out
    assert "2batch" in told and "300" not in told and "%" not in told
    assert len(run_batches(path, many, None, {}, open_ended=True)) == 2
    assert capsys.readouterr().out == "names: finished, reused\n"
    whole = path.read_bytes()
    other = tmp_path / "killed.jsonl"
    def dies(key, payload):
        if key == "1": raise RuntimeError("killed")
        return two(key, payload)
    with pytest.raises(RuntimeError): run_batches(other, many, dies, {}, open_ended=True)
    run_batches(other, many, two, {}, open_ended=True)
    assert "killed: 1 batches, reused\n" in capsys.readouterr().out and other.read_bytes() == whole


# locks

HOLDER = """
import sys, time
from evoselfcode.stages import run_lock
with run_lock(sys.argv[1]):
    print('held', flush=True); time.sleep({})
"""


def test_a_lock_names_its_holder_and_dies_with_it(tmp_path, message):
    code = HOLDER.format(60)
    holder = subprocess.Popen([sys.executable, "-c", code, tmp_path / "run"], stdout=subprocess.PIPE, text=True)
    assert holder.stdout.readline().strip() == "held"
    line = message(lambda: run_lock(tmp_path / "run").__enter__())
    assert f"process {holder.pid} works here" in line and str(tmp_path / "run") in line
    holder.kill()
    holder.wait()
    with run_lock(tmp_path / "run"): pass


def test_a_lock_can_be_waited_for(tmp_path):
    code = HOLDER.format(0.5)
    holder = subprocess.Popen([sys.executable, "-c", code, tmp_path], stdout=subprocess.PIPE, text=True)
    holder.stdout.readline()
    with run_lock(tmp_path, wait=30): assert (tmp_path / ".lock").read_text() == str(os.getpid())
    assert holder.wait() == 0


def test_a_lock_is_exclusive_in_one_process_and_given_back_on_error(tmp_path, message):
    with pytest.raises(ZeroDivisionError):
        with run_lock(tmp_path):
            assert "this process" in message(lambda: run_lock(tmp_path).__enter__())
            1 / 0
    with run_lock(tmp_path): pass


def test_a_forked_child_does_not_keep_the_lock(tmp_path):
    code = textwrap.dedent("""
        import os, sys, time
        from evoselfcode.stages import run_lock
        lock = run_lock(sys.argv[1]); lock.__enter__()
        pid = os.fork()
        if pid == 0: time.sleep(30); os._exit(0)
        print(pid, flush=True); os._exit(0)
    """)
    process = subprocess.Popen([sys.executable, "-c", code, tmp_path], stdout=subprocess.PIPE, text=True)
    child = int(process.stdout.readline())
    process.wait()
    try:
        with run_lock(tmp_path): pass
    finally: os.kill(child, signal.SIGKILL)


# lineage

def test_a_walk_ends_in_a_circle_and_at_unknown_parents(tmp_path, message):
    a, b = content_id("a"), content_id("b")
    write_jsonl(
        tmp_path / "iter-001/candidates.jsonl",
        [dict(id=a, parents=[b, "elsewhere"]), dict(id=b, parents=[a]), dict(task_id="no id")],
    )
    assert [(row["depth"], row["id"], row["file"]) for row in history(tmp_path, a)] == [
        (0, a, "iter-001/candidates.jsonl"), (1, b, "iter-001/candidates.jsonl"), (1, "elsewhere", "not in this run"),
    ]
    assert "not in this run" in why(tmp_path, a)
    assert "no such id among the 2 records" in message(why, tmp_path, "zzz")
    assert "no such run" in message(why, tmp_path / "none", a)


def test_what_a_killed_writer_left_is_cleared_by_the_next(tmp_path):
    "A process killed while it writes leaves a hidden file; one still at work, or on another host, keeps its own."
    target = tmp_path / "a [1].json"
    stopped = subprocess.Popen([sys.executable, "-c", "import os, signal; os.kill(os.getpid(), signal.SIGKILL)"])
    stopped.wait()
    host = os.uname().nodename
    writers = f"{host}.{stopped.pid}", f"{host}.{os.getppid()}", f"other.{stopped.pid}"
    left, alive, elsewhere = (tmp_path / f".{target.name}.{name}.tmp" for name in writers)
    for path in (left, alive, elsewhere): path.write_text("half")
    write_json(target, 1)
    assert target.read_text() == "1\n" and [path.exists() for path in (left, alive, elsewhere)] == [False, True, True]
