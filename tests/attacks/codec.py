"""Attacks on the conversation between the candidate's process and the verifier.

The program cannot know the wire, so it learns it: `tap` puts a pipe of its own between the engine and the descriptors
the engine writes answers to, finds the JSON body and the length before it in a real answer, and from then on sends what
`change(body, frame)` makes of it. Those that may only end in `timeout` also show that this still works: if the wire
were out of reach, they would merely be wrong.
"""
from .kit import BROKEN, CRASHED, FAILED, FOREIGN, MEMORY, SQUARE, TIMEOUT, UNSUPPORTED, Attack, bare

TAP = '''
import fcntl, json, os, socket, stat, threading, time
def sinks():
    "Descriptors that go to another process: pipes for writing, and sockets."
    for fd in range(3, 256):
        try: mode, flags = os.fstat(fd).st_mode, fcntl.fcntl(fd, fcntl.F_GETFL)
        except OSError: continue
        if stat.S_ISSOCK(mode) or stat.S_ISFIFO(mode) and flags & 3 == os.O_WRONLY: yield fd, stat.S_ISSOCK(mode)
def split(raw):
    "The JSON body of an answer, and a function that puts another body, and its length, in its place."
    for start in range(min(64, len(raw))):
        try: json.loads(raw[start:])
        except ValueError: continue
        if not raw[start:start + 1].isspace(): break
    else: raise ValueError('no JSON here')
    head, body = raw[:start], raw[start:].rstrip(b'\\n')
    places = [(at, width, order) for width in (8, 4) for order in ('big', 'little') for at in range(start - width + 1)
              if 0 <= int.from_bytes(head[at:at + width], order) - len(raw[start:]) <= 64]
    def frame(new, size=None):
        out = head
        for at, width, order in places[:1]:
            more = len(new) - len(body) if size is None else size - len(raw[start:])
            length = int.from_bytes(head[at:at + width], order) + more
            out = head[:at] + (max(0, length) % 256 ** width).to_bytes(width, order) + head[at + width:]
        return out + new + raw[start + len(body):]
    return body, frame
def send(fd, data):
    while data: data = data[os.write(fd, data):]
def tap(change):
    "Let every answer from now on pass through `change`, which is given the body and a function that frames bodies."
    for fd, is_socket in list(sinks()):
        real = os.dup(fd)
        if is_socket: ours, theirs = (s.detach() for s in socket.socketpair())
        else: ours, theirs = os.pipe()
        os.set_blocking(theirs, os.get_blocking(fd)); os.set_blocking(real, True)
        os.dup2(theirs, fd)
        def forward(ours=ours, real=real):
            while raw := os.read(ours, 1 << 20):
                print('tapped', raw[:80])
                try: changed = change(*split(raw))
                except ValueError: changed = raw
                for part in [changed] if isinstance(changed, bytes) else changed: send(real, part)
        def back(ours=ours, real=real):
            while raw := os.read(real, 1 << 20): send(ours, raw)
        threading.Thread(target=forward, daemon=True).start()
        if is_socket: threading.Thread(target=back, daemon=True).start()
'''


def tapped(name, change, result="x", expected=BROKEN, tests=SQUARE, at_import=False, **more):
    """An attack that answers with `result` and lets `change`, an expression in `body` and `frame`, replace the whole
    answer, from the first call or from the import on."""
    start = f"tap(lambda body, frame: {change})"
    if at_import: code = f"{start}\ndef f(x): return {result}\n"
    else: code = f"begun = []\ndef f(x):\n    if not begun: begun.append({start})\n    return {result}\n"
    imports = "from decimal import Decimal\nfrom fractions import Fraction\nimport collections, datetime\n"
    return Attack(name, f"{TAP}\n{imports}{code}", tests, expected, **more)


def rewritten(name, result, change, **more):
    """An attack that edits the value in its answer: `change` is an expression in `v`, tried on every one-key object and
    list, innermost first."""
    tool = (
        "def walk(v, edit):\n"
        "    if isinstance(v, list): v = [walk(x, edit) for x in v]\n"
        "    elif isinstance(v, dict): v = {k: walk(x, edit) for k, x in v.items()}\n"
        "    return edit(v)\n"
    )
    changed = f"frame(json.dumps(walk(json.loads(body), lambda v: {change})).encode())"
    attack = tapped(name, changed, result, (*BROKEN, MEMORY), **more)
    return Attack(name, tool + attack.code, attack.tests, attack.expected, **more)


PAYLOAD = (
    "{{k: {new} for k in v}} "
    "if isinstance(v, dict) and len(v) == 1 and v is not None and list(v.values())[0] in {olds} else v"
)
CONFUSED = [  # (name, honest result, what its payload may look like in the answer, what is put there instead)
    ("tuple", "(1, 2)", "([1, 2],)", "5"),
    ("tuple_of_text", "(1, 2)", "([1, 2],)", "'ab'"),
    ("dict_odd", "{1: 2}", "([[1, 2]], {'1': 2}, [[1], [2]])", "[[1]]"),
    ("dict_unhashable", "{1: 2}", "([[1, 2]], {'1': 2}, [[1], [2]])", "[[[1], 2]]"),
    ("set_unhashable", "{1}", "([1],)", "[[1]]"),
    ("set_number", "{1}", "([1],)", "1"),
    ("frozenset_nested", "frozenset([1])", "([1],)", "{'a': 1}"),
    ("bytes", "b'abc'", "('abc', '616263', 'YWJj')", "'\\udc80 no hexadecimal'"),
    ("bytes_number", "b'abc'", "('abc', '616263', 'YWJj')", "10 ** 11"),
    ("complex", "1 + 2j", "([1.0, 2.0], [1, 2], '(1+2j)', '1+2j')", "[{}, None]"),
    ("range_step", "range(1, 9, 2)", "([1, 9, 2],)", "[0, 10 ** 30, 0]"),
    ("range_text", "range(1, 9, 2)", "([1, 9, 2],)", "['a', [], {}]"),
    ("decimal", "Decimal('1.5')", "('1.5',)", "'nine'"),
    ("decimal_long", "Decimal('1.5')", "('1.5',)", "'9' * 3_000_000"),
    ("fraction_zero", "Fraction(1, 2)", "('1/2', [1, 2])", "[1, 0]"),
    ("fraction_text", "Fraction(1, 2)", "('1/2', [1, 2])", "'1/0'"),
    ("date", "datetime.date(2000, 1, 2)", "('2000-01-02', [2000, 1, 2])", "'2000-13-99'"),
    ("datetime", "datetime.datetime(2000, 1, 2)", "('2000-01-02T00:00:00',)", "[10 ** 9] * 7"),
    ("timedelta", "datetime.timedelta(1, 2, 3)", "([1, 2, 3], 86402.000003)", "[10 ** 20, 1, 1]"),
    ("deque", "collections.deque([1, 2])", "([1, 2], [[1, 2], None])", "7"),
    ("big_int", "1 << 80", "('1208925819614629174706176', '0x100000000000000000000')", "'9' * 2_000_000"),
    ("huge_int", "1 << 80", "(str(1 << 80), hex(1 << 80))", "'0x' + 'f' * 4_000_000"),
]

WIRE = [
    tapped("reply_twice", "frame(body) * 2"),
    tapped(
        "reply_thousandfold", "frame(body) * 5000", "x * x if x == 3 else 9",
        tests="assert f(3) == 9\nassert f(4) == 16",
    ),
    tapped(
        "reply_to_the_next_call", "[frame(body), frame(body.replace(b'9', b'49'))]", "9",
        tests="import time\nassert f(3) == 9\ntime.sleep(0.1)\nassert f(-7) == 49",
    ),
    tapped("header_huge", "frame(body, (1 << 32) - 1)", expected=(*BROKEN, TIMEOUT), seconds=1.0),
    tapped("header_2_gb", "frame(body, (1 << 31) - 1)", expected=(*BROKEN, TIMEOUT), seconds=1.0),
    tapped(
        "header_2_gb_filled", "[frame(body, (1 << 31) - 1)] + [b' ' * (1 << 20)] * 2047",
        expected=(*BROKEN, TIMEOUT, MEMORY), seconds=2.0,
    ),
    tapped("header_small", "frame(body, 1)"),
    tapped("header_zero", "frame(body, 0)"),
    tapped("body_empty", "frame(b'')"),
    tapped("cut_and_exit", "[frame(body)[:-2], os._exit(0)]"),
    tapped("cut_and_silent", "frame(body)[:-2]", expected=(TIMEOUT, *BROKEN), seconds=1.0),
    tapped("header_cut", "frame(body)[:1]", expected=(TIMEOUT, *BROKEN), seconds=1.0),
    tapped("silence", "b''", expected=(TIMEOUT,), seconds=1.0),
    tapped(
        "drop_by_drop", "(time.sleep(0.3) or bytes([b]) for b in frame(body))", "'a long enough answer'",
        expected=(TIMEOUT,), seconds=1.0,
    ),
    tapped("body_no_json", "frame(b'x' * len(body))"),
    tapped("body_no_utf8", "frame(b'\"\\xff\\xfe\"')"),
    tapped("body_half_characters", "frame(b'\"\\\\udc80\\\\ud800\"')"),
    tapped("body_zero_bytes", "frame(bytes(len(body)))"),
    tapped("body_deep_list", "frame(b'[' * 300_000 + b']' * 300_000)", expected=(*BROKEN, MEMORY)),
    tapped("body_deep_object", "frame(b'{\"a\":' * 300_000 + b'1' + b'}' * 300_000)", expected=(*BROKEN, MEMORY)),
    tapped(
        "body_deep_inside", "frame(body.replace(b'77', b'[' * 90_000 + b']' * 90_000))", "77",
        expected=(*BROKEN, MEMORY),
    ),
    tapped("body_far", "frame(body.replace(b'77', b'{\"far\": \"f\"}'))", "77", tests="assert f(3) != 5"),
    tapped(
        "kept_for_data",
        "frame(body.replace(b', 77', b', {\"kept\": \"f\", \"why\": \"\", \"kind\": \"\", \"how\": \"\"}'))", "77",
        tests="assert f(3) != 5", expected=(UNSUPPORTED,),
    ),
    tapped(
        "kept_too_long",
        "frame(body.replace(b'77', "
        "b'{\"why\": \"\", \"kind\": \"\", \"how\": \"true\", \"kept\": \"' + b'f' * (9 << 20) + b'\"}'))",
        "77", tests="assert f(f(3)) != 5", expected=(*BROKEN, TIMEOUT),
    ),
    tapped("body_nan", "frame(body.replace(b'77', b'NaN'))", "77"),
    tapped("body_infinity", "frame(body.replace(b'77', b'-Infinity'))", "77"),
    tapped("body_overflow", "frame(body.replace(b'77', b'1e999'))", "77"),
    tapped("body_digits", "frame(body.replace(b'77', b'7' * 3_000_000))", "77", expected=(*BROKEN, MEMORY, TIMEOUT)),
    tapped("body_double_keys", "frame(b'{' + body[1:-1] + b', ' + body[1:-1] + b'}')"),
    tapped(
        "body_more_keys",
        "frame(b'{\"status\": \"passed\", \"passed\": true, \"ok\": true, \"verdict\": \"passed\", \"detail\": \"\", ' "
        "+ body[1:])",
    ),
    tapped("body_other_types", "frame(b'[' + body + b']')"),
    tapped("body_scalar", "frame(b'true')"),
    tapped("body_null", "frame(b'null')"),
    tapped("body_passed", "frame(b'{\"status\": \"passed\", \"detail\": \"\", \"output\": \"\"}')"),
    tapped(
        "body_200_mb", "frame(b'\"' + b'x' * (200 << 20) + b'\"')",
        expected=(*BROKEN, MEMORY, TIMEOUT), seconds=4.0,
    ),
    *(
        tapped(f"import_{name}", change, expected=(*BROKEN, TIMEOUT), seconds=1.0, at_import=True)
        for name, change in [
            ("twice", "frame(body) * 2"),
            ("header_huge", "frame(body, (1 << 32) - 1)"),
            ("no_json", "frame(b'x')"),
            ("null", "frame(b'null')"),
            ("silence", "b''"),
            ("deep", "frame(b'[' * 99_999)"),
            ("value", "frame(b'9')"),
            ("flood", "[frame(body)] * 9999"),
        ]
    ),
    *(
        tapped(
            f"error_renamed_{name.strip('_')}",
            f"frame(body.replace(b'ValueError', {name.encode()!r}).replace(b'zq', {text.encode()!r}))",
            "(_ for _ in ()).throw(ValueError('zq'))", tests=tests,
        )
        for name, text, tests in [
            ("eval", "__import__('os')._exit(0)", SQUARE),
            ("SystemExit", "0", SQUARE),
            ("__import__", "antigravity", SQUARE),
            ("print", "x", SQUARE),
            ("KeyboardInterrupt", "", SQUARE),
            ("os._exit", "0", SQUARE),
            ("Exception.__class__", "", SQUARE),
            ("UnicodeDecodeError", "", SQUARE),
            ("StopIteration", "", "assert all(map(lambda p: f(p[0]) == p[1], [(3, 9), (-7, 49)]))"),
        ]
    ),
    *(rewritten(f"confuse_{name}", result, PAYLOAD.format(new=new, olds=olds)) for name, result, olds, new in CONFUSED),
    *(
        rewritten(
            f"tag_{name.strip('_')}", "(1, 2)",
            f"{{{name!r}: x for x in v.values()}} if isinstance(v, dict) and [1, 2] in v.values() else v",
        )
        for name in ["eval", "object", "__class__", "__reduce__", "Path", "function", "module", "far", ""]
    ),
]

DESCRIPTORS = [  # programs that abuse every descriptor they were given; all are wrong
    bare(
        "writes_all_at_import",
        """
        import os, struct
        texts = [b'passed', b'{"status": "passed", "detail": "", "output": ""}', b'{"value": 9}', b'["ok", 9]', b'9',
                 b'true', b'\\x80\\x04K\\t.']
        for fd in range(3, 1024):
            for text in texts:
                for order in ('', '>I', '<I', '>Q', '<Q'):
                    head = struct.pack(order, len(text)) if order else b''
                    try: os.set_blocking(fd, False); os.write(fd, head + text + b'\\n' * (not order))
                    except OSError: break
        def f(x): return 'passed'""",
        expected=(*BROKEN, TIMEOUT),
        seconds=2.0,
        trace="inherited",
    ),
    bare(
        "forges_and_exits",
        """
        import os, struct
        def f(x):
            for text in [b'9', b'{"value": 9}', b'{"status": "passed", "detail": "", "output": ""}']:
                for fd in range(3, 1024):
                    try: os.write(fd, struct.pack('>I', len(text)) + text)
                    except OSError: pass
            os._exit(0)""",
        expected=(*BROKEN, TIMEOUT),
        seconds=2.0,
        trace="inherited",
    ),
    bare(
        "floods_all",
        "import os\n"
        "def f(x):\n"
        "    for fd in [*range(3, 1024)] * 3:\n"
        "        try: os.set_blocking(fd, False)\n"
        "        except OSError: continue\n"
        "        try:\n"
        "            for _ in range(100): os.write(fd, b'passed' * 9999)\n"
        "        except OSError: pass\n"
        "    return 0",
        expected=(*BROKEN, TIMEOUT, MEMORY),
        seconds=2.0,
        trace="inherited",
    ),
    bare(
        "writes_to_others_descriptors",
        """
        import os, struct
        def f(x):
            for pid in {os.getppid(), *(int(p) for p in os.listdir('/proc') if p.isdigit())} - {os.getpid()}:
                for fd in range(256):
                    for text in [b'9', b'{"value": 9}', b'{"status": "passed", "detail": "", "output": ""}']:
                        path, flags = f'/proc/{pid}/fd/{fd}', os.O_WRONLY | os.O_NONBLOCK
                        try: os.write(os.open(path, flags), struct.pack('>I', len(text)) + text)
                        except OSError: break
            return 0""",
        expected=BROKEN,
        trace="inherited",
    ),
    bare("closes_all", "import os\ndef f(x): os.closerange(0, 4096); return 0", expected=BROKEN),
    bare("closes_all_at_import", "import os\nos.closerange(0, 4096)\ndef f(x): return 0", expected=BROKEN),
    bare(
        "closes_and_lingers", "import os, time\nos.closerange(0, 4096)\ntime.sleep(99)", expected=(*BROKEN, TIMEOUT),
        seconds=1.0,
    ),
    bare(
        "redirects_all_to_null",
        "import os\n"
        "null = os.open('/dev/null', os.O_RDWR)\n"
        "for fd in range(256):\n"
        "    if fd != null: os.dup2(null, fd)\n"
        "def f(x): return 0",
        expected=(*BROKEN, TIMEOUT), seconds=1.0,
    ),
    bare(
        "crosses_all",
        """
        import os, fcntl
        def alive(fd):
            try: return bool(os.fstat(fd))
            except OSError: return False
        fds = [fd for fd in range(256) if alive(fd)]
        kept = [fcntl.fcntl(fd, fcntl.F_DUPFD, 300) for fd in fds]
        for fd, other in zip(fds, kept[1:] + kept[:1]): os.dup2(other, fd)
        def f(x): return 0""",
        expected=(*BROKEN, TIMEOUT),
        seconds=1.0,
    ),
    bare(
        "nonblocking_all",
        "import os\n"
        "for fd in range(256):\n"
        "    try: os.set_blocking(fd, False)\n"
        "    except OSError: pass\n"
        "def f(x): return 0",
        expected=(*BROKEN, TIMEOUT), seconds=2.0,
    ),
    bare(
        "reads_all",
        "import os, select\n"
        "def f(x):\n"
        "    for fd in range(3, 256):\n"
        "        try: select.select([fd], [], [], 0)[0] and os.read(fd, 1 << 20)\n"
        "        except OSError: pass\n"
        "    return 0",
        expected=(*BROKEN, TIMEOUT), seconds=2.0,
    ),
    bare(
        "shuts_sockets_down",
        "import os, socket\n"
        "def f(x):\n"
        "    for fd in range(3, 256):\n"
        "        try: socket.socket(fileno=os.dup(fd)).shutdown(2)\n"
        "        except OSError: pass\n"
        "    return 0",
        expected=BROKEN,
    ),
    bare(
        "stretches_output",
        "import os\n"
        "for fd in (1, 2):\n"
        "    for act in (lambda: os.ftruncate(fd, 1 << 42), lambda: os.lseek(fd, 1 << 41, 0), "
        "lambda: os.write(fd, b'x')):\n"
        "        try: act()\n"
        "        except OSError: pass\n"
        "def f(x): return 0",
        expected=BROKEN,
    ),
    bare(
        "output_no_text",
        "import os\nos.write(1, b'\\xff\\x00\\xd8' * 500)\nprint('\\udcff\\ud800', '\\0')\ndef f(x): return 0",
    ),
    bare(
        "output_forged_lines",
        "import os\n"
        "os.write(1, b'\\n\\n\\0\\0\\0\\x14{\"status\": \"passed\"}\\n')\n"
        "os.write(2, b'{\"layers\": {}}\\n{\"fault\": \"x\"}\\n')\n"
        "def f(x): return 0",
    ),
]

WRONG_KINDS = [  # (name, result, tests): data that a careless codec would turn into what the tests want
    ("list_for_tuple", "[1, 2]", "assert f(3) == (1, 2)"),
    ("tuple_for_list", "(1, 2)", "assert f(3) == [1, 2]"),
    ("text_for_bytes", "'ab'", "assert f(3) == b'ab'"),
    ("text_key_for_int", "{'1': 9}", "assert f(3) == {1: 9}"),
    ("list_for_set", "[1]", "assert f(3) == {1}"),
    ("text_for_int", "'9'", SQUARE),
    ("float_for_type", "9.0", "assert type(f(3)) is int"),
    ("bool_for_int", "True", "assert type(f(3)) is int"),
    ("null_for_false", "None", "assert f(3) is False"),
    ("nan_text", "'nan'", "assert f(3) != f(3)"),
    ("none_for_nan", "None", "assert f(3) != f(3)"),
    (
        "tagged_for_tuple", "[{t: [1, 2]} for t in ('tuple', 't', '(', '()', '!tuple', '$tuple', '__tuple__')]",
        "assert (1, 2) not in f(3), 'as it should be'\nassert f(3) == 0",
    ),
    (
        "typed_for_tuple", "[{t: 'tuple', v: [1, 2]} for t in ('type', 't', '$') for v in ('value', 'v', 'items')]",
        "assert (1, 2) not in f(3)\nassert f(3) == 0",
    ),
]

RESULTS = [  # (name, statements, result, right verdicts, the tests): results that hurt who writes, reads or uses them
    ("generator", "", "(i for i in [9])", FOREIGN, SQUARE),
    ("endless_generator", "import itertools", "itertools.count()", FOREIGN, SQUARE),
    (
        "endless_iterable",
        "class E(list):\n"
        "    def __iter__(s):\n"
        "        while True: yield 1",
        "E([5])", FOREIGN, "assert f(3) == [1]",
    ),
    ("contains_itself", "x = []\nx.append(x)", "x", FOREIGN, SQUARE),
    ("dict_contains_itself", "x = {}\nx[1] = [x]", "x", FOREIGN, SQUARE),
    ("deep", "r = 1\nfor _ in range(200_000): r = [r]", "r", (*BROKEN, MEMORY), SQUARE),
    ("deep_tuple", "r = 1\nfor _ in range(5_000): r = (r,)", "r", (*BROKEN, MEMORY), SQUARE),
    ("deep_dict", "r = 1\nfor _ in range(100_000): r = {1: r}", "r", (*BROKEN, MEMORY), SQUARE),
    ("wide", "", "[0] * 30_000_000", (*BROKEN, MEMORY, TIMEOUT), SQUARE),
    ("long_text", "", "'x' * (300 << 20)", (*BROKEN, MEMORY, TIMEOUT), SQUARE),
    ("escaped_text", "", "'\\0' * (60 << 20)", (*BROKEN, MEMORY, TIMEOUT), SQUARE),
    ("shared", "r = [0]\nfor _ in range(60): r = [r, r]", "r", (*BROKEN, MEMORY, TIMEOUT), SQUARE),
    ("huge_int", "", "1 << (1 << 27)", (*BROKEN, MEMORY, TIMEOUT), SQUARE),
    (
        "decimal_to_int", "from decimal import Decimal", "Decimal('1e999999999')",
        (FAILED, TIMEOUT, MEMORY, UNSUPPORTED, CRASHED), "assert int(f(3)) == 9",
    ),
    (
        "range_to_list", "", "range(10 ** 12)", (FAILED, TIMEOUT, MEMORY, UNSUPPORTED, CRASHED),
        "assert list(f(3)) == [9]",
    ),
    ("range_to_sum", "", "range(10 ** 15)", (TIMEOUT, UNSUPPORTED), "assert sum(f(3)) == 9"),
    ("int_times_list", "", "10 ** 10", (FAILED, MEMORY), "assert [1] * f(3) == [1] * 9"),
    ("int_to_power", "", "10 ** 11", (FAILED, TIMEOUT, MEMORY), "assert 3 ** f(3) == 9"),
    ("pattern", "", "'(a+)+b'", (TIMEOUT,), "import re\nassert re.fullmatch(f(3), 'a' * 45)"),
    (
        "colliding_set", "", "[i * (2 ** 61 - 1) for i in range(60_000)]", (TIMEOUT, FAILED, UNSUPPORTED),
        "assert len(set(f(3))) == 9",
    ),
    (
        "colliding_keys", "", "dict.fromkeys(i * (2 ** 61 - 1) for i in range(12_000))", (TIMEOUT, FAILED, UNSUPPORTED),
        SQUARE,
    ),
    ("number_for_eval", "", "\"__import__('os')._exit(0)\"", BROKEN, "assert eval(f(3)) == 9"),
    ("format_width", "", "'{:>99999999999}'", (FAILED, MEMORY), "assert f(3).format(1) == '9'"),
]

WRITES = "\"open('@CANARY@', 'a').write('x')\""
DEPUTIES = [  # (name, result, tests that would do with it, with the rights of who runs them, what the program cannot)
    ("open", "'@CANARY@'", "open(f(3), 'a').write('x')"),
    ("io_open", "'@CANARY@'", "import io\nio.open(f(3), 'a').write('x')"),
    ("path", "'@CANARY@'", "from pathlib import Path\nPath(f(3)).write_text('x')"),
    ("timeit", WRITES, "import timeit\ntimeit.timeit(f(3), number=1)"),
    ("profile", WRITES, "import cProfile\ncProfile.run(f(3))"),
    ("spawn", "'touch @CANARY@'", "import posix\nposix.posix_spawn('/bin/sh', ['sh', '-c', f(3)], {})"),
    ("getattr", WRITES, "getattr(__builtins__, 'ev' + 'al')(f(3))"),
    ("builtins_item", WRITES, "__builtins__['eval'](f(3))"),
    ("builtins_import", WRITES, "from builtins import eval as e\ne(f(3))"),
    ("sys_modules", "'@CANARY@'", "import sys\nsys.modules['os'].truncate(f(3), 0)"),
    ("code", WRITES, "import code\ncode.InteractiveInterpreter().runsource(f(3))"),
    (
        "methodcaller", WRITES,
        "import operator\noperator.methodcaller('__getitem__', 'eval')(vars(__import__('builtins')))(f(3))",
    ),
    (
        "subclasses", WRITES,
        "[c for c in ().__class__.__base__.__subclasses__() "
        "if c.__name__ == 'BuiltinImporter'][0].load_module('builtins').eval(f(3))",
    ),
    ("globals_of", WRITES, "(lambda: 0).__globals__['__builtins__']['eval'](f(3))"),
    ("log", "'@CANARY@'", "import logging\nlogging.FileHandler(f(3)).emit(logging.makeLogRecord({'msg': 'x'}))"),
    ("database", "'@CANARY@-db'", "import sqlite3\nsqlite3.connect(f(3)).execute('create table t (a)')"),
    ("copy", "'@CANARY@'", "import shutil\nshutil.copy('/bin/true', f(3))"),
    ("runpy", "'@CANARY@'", "import runpy\nrunpy.run_path(f(3))"),
    ("fileinput", "'@CANARY@'", "import fileinput\nfor line in fileinput.input([f(3)], inplace=True): print('x')"),
    ("argparse", "'@CANARY@'", "import argparse\nargparse.FileType('w')(f(3))"),
    ("harness", WRITES, "from harnesses.probing import load\nload(f(3))"),
    ("codec", WRITES, "import child\nchild.load(f(3), {})"),
    ("decorator", WRITES, "import functools\n@functools.partial(map, eval)\ndef g(): pass\n[*map(eval, [f(3)])]"),
    ("match", WRITES, "match [eval]:\n    case [e]: e(f(3))"),
    ("hints", WRITES, "import typing\nclass C: pass\nC.__annotations__ = {'x': f(3)}\ntyping.get_type_hints(C)"),
    ("renamed", "'touch @CANARY@2'", "import os\no = os\no.system(f(3))"),
    ("chosen", "'touch @CANARY@2'", "import os\n(os if 1 else 0).system(f(3))"),
    ("modules", "'touch @CANARY@2'", "import sys\no = sys\no.modules['os'].system(f(3))"),
    ("inside", "'touch @CANARY@2'", "import random\nrandom._os.system(f(3))"),
    ("codecs", "'@CANARY@'", "import json\njson.codecs.open(f(3), 'w').write('x')"),
    ("from_codecs", "'@CANARY@'", "from json import codecs\ncodecs.open(f(3), 'w').write('x')"),
    ("mock", "'builtins.len'", "from unittest.mock import patch\npatch(f(3), lambda x: 9).start()"),
    ("import_star", WRITES, "from os import *\nsystem(f(3))"),
]

ATTACKS = [
    *WIRE, *DESCRIPTORS,
    *(bare(f"result_{name}", f"def f(x): return {result}", tests) for name, result, tests in WRONG_KINDS),
    *(
        bare(
            f"result_{name}", f"{code}\ndef f(x): return {result}", tests, expected,
            seconds=1.0 if TIMEOUT in expected else 8.0,
        )
        for name, code, result, expected, tests in RESULTS
    ),
    *(
        bare(
            f"deputy_{name}", f"def f(x): return {result}", f"{tests}\nassert 0", (FAILED, UNSUPPORTED),
            trace="canary",
        )
        for name, result, tests in DEPUTIES
    ),
    bare(
        "result_writes_by_eval", "def f(x): return \"open('@CANARY@', 'a').write('x') and 9\"",
        "assert eval(f(3)) == 9", BROKEN, trace="canary",
    ),
    bare(
        "result_calls_by_eval",
        "def f(x): return \"__import__('socket').create_connection(('127.0.0.1', @TCP@), 1) and 9\"",
        "assert eval(f(3)) == 9", BROKEN, trace="tcp",
    ),
    bare(
        "result_reads_by_eval", "def f(x): return \"open('@SECRET@').read()\"",
        "import hashlib\nassert hashlib.sha256(eval(f(3)).encode()).hexdigest() == '@SECRET_HASH@'", BROKEN,
    ),
    bare(
        "result_runs_by_eval", "def f(x): return \"__import__('os').system('touch @FOLDER@/evil-eval-@TAG@') + 9\"",
        "assert eval(f(3)) == 9", BROKEN, trace="file",
    ),
]
