"""Why a verdict may be another where program and tests share one process, as the official harnesses run them.

Then nothing is claimed: the verdict is `unsupported`, and says why. Only for trusted tests; a model's own are its risk.
"""
import builtins, errno, re
from types import ModuleType
from harmless import names_used, patches
from kinds import EXCEPTIONS
from questions import STAND_INS, Interrupted, Questions, is_ours

REFUSALS = {errno.EPERM, errno.EACCES, errno.EROFS, errno.ENOSYS, errno.ENOENT}
LONG = 1_000_000  # characters of a program that are searched through


def names_of_tests(job: dict) -> set:
    "Names that tests and their context use."
    return names_used(job['context']) | names_used(job['tests'])


def otherwise_in_one(questions: Questions) -> str:
    "Why tests could come out otherwise, whether they passed or not: they change what the program uses."
    job, space = questions.job, questions.space
    code = job['code']
    if not job['trusted'] or not job['tests'] or job.get('inside') or is_ours(job): return ''
    if patches(job['tests']): return 'the tests change or look at what the program uses, which does not cross'
    for name, thing in [*space.items()]:
        if name.startswith('__') or name not in code or type(thing) in STAND_INS: continue
        if any(names.get(name, questions) is thing for names in (questions.own, questions.names)): continue
        if not uses(name, code) or same_import(thing, name, code): continue
        if hasattr(builtins, name) or shared(name, questions): return f'the tests set its names: {name}'
    return ''


def uses(name: str, code: str) -> bool:
    "Whether a program's text does more with a name than to define it."
    if len(code) > LONG: return True
    defining = rf'\b(?:def|class)\s+{name}\b|^\s*{name}\s*=(?!=)|\bimport\b[^\n]*\b{name}\b'
    return len(re.findall(rf'\b{name}\b', code)) > len(re.findall(defining, code, re.MULTILINE))


def same_import(thing: object, name: str, code: str) -> bool:
    "Whether a program imports the same thing by the same name, as its text says."
    if isinstance(thing, ModuleType):
        taken = re.search(rf'\bfrom\b[^\n]*\bimport\b[^\n]*\b{name}\b', code)
        return not taken and re.search(rf'\bimport\b[^\n]*\b{thing.__name__}\b', code) is not None
    home = str(getattr(thing, '__module__', None) or 'tests').lstrip('_')
    return home != 'tests' and re.search(rf'\bfrom +{re.escape(home)}(\.\w+)* +import\b', code) is not None


def shared(name: str, questions: Questions) -> bool:
    "Whether the program, too, has a name that the tests set: in one process these would be one."
    try: return questions.exchange(dict(do='kind', name=name)) is not None
    except Interrupted: return False


def doubt_of(error: BaseException, questions: Questions, locked: bool) -> str:
    "Why the failure of trusted tests may not be the program's; '' where it is."
    job, ours = questions.job, is_ours(questions.job)
    if not job['trusted']: return ''
    if why := otherwise_in_one(questions): return why
    if error is questions.error and (why := missing_here(error, questions)): return why
    if not ours and (why := changed_there(error, questions)): return why
    if questions.unordered: return 'the order of a set did not cross'
    told_apart = 'nan' in (job['context'] + job['tests']).lower() and not ours
    if questions.shelf.nans and told_apart and isinstance(error, AssertionError):
        return 'which nan is which did not cross'
    if caught := names_of_tests(job).intersection(questions.shadowed, EXCEPTIONS):
        return f"{min(caught)} of the program, which is a name of Python's, too, does not cross"
    if error is questions.error: return ''
    refused = isinstance(error, OSError) and error.errno in REFUSALS
    if locked and refused: return 'the tests want what the layers keep from them'
    if locked and isinstance(error, ImportError): return 'the tests want a library that is not here'
    return questions.doubtful if isinstance(error, (TypeError, AttributeError)) else ''


def missing_here(error: BaseException, questions: Questions) -> str:
    "Why a program may lack a name: it uses one of the tests'."
    name = getattr(error, 'name', None) if isinstance(error, NameError) else None
    return f'it uses {name}, which the tests define' if name in questions.space else ''


def changed_there(error: BaseException, questions: Questions) -> str:
    "What a program changed, as its text says, that tests in its process would have found changed, too."
    tests, code = questions.job['context'] + questions.job['tests'], questions.job['code']
    if error is not questions.error:
        if isinstance(error, RecursionError) and 'setrecursionlimit' in code: return 'it changes the limit of recursion'
        if isinstance(error, ValueError) and 'set_int_max_str_digits' in code: return 'it changes how long numbers are'
    if 'getcontext' in code and 'ecimal' in tests: return 'it changes how decimals are rounded'
    if 'seed(' in code and 'random' in tests: return 'it seeds random numbers'
    return 'the threads of the tests call it one after the other' if 'Thread' in tests else ''
