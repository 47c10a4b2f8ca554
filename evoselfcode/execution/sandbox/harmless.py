"""Which tests may run in the verifier: those that do nothing but compute.

Trusted tests mean no harm, but a program chooses the values that they work with, and what they open, import or execute
by such a value would be done with the caller's rights. What they change in a library would stay for the tests that come
after them, and threads would outlive them. So the verifier runs tests whose text shows nothing of that kind; all others
run in a locked child of their own.
"""
import ast, builtins
from functools import lru_cache
from types import ModuleType

HARMLESS_MODULES = set('''
    base64 binascii bisect cmath collections collections.abc copy dataclasses datetime decimal difflib enum fractions
    functools hashlib heapq html itertools json math numbers operator pprint random re statistics string struct
    textwrap time typing unicodedata zlib __future__'''.split())
PARTLY_HARMLESS = {'sys': set('maxsize float_info version_info int_info getsizeof exit'.split()),
          'io': {'StringIO', 'BytesIO'}, 'contextlib': {'redirect_stdout', 'redirect_stderr', 'suppress'},
          'unittest': {'TestCase'}, 'types': {'GeneratorType', 'SimpleNamespace'}}
HARMFUL_NAMES = set('''
    breakpoint compile delattr eval exec getattr globals help input locals memoryview open setattr vars __import__
    __builtins__ __loader__ __spec__'''.split())
HARMLESS_DUNDERS = set('''
    __name__ __doc__ __class__ __init__ __eq__ __ne__ __lt__ __le__ __gt__ __ge__ __hash__ __repr__ __str__
    __len__ __iter__ __next__ __call__ __contains__ __getitem__ __add__ __sub__ __mul__ __bool__ __enter__
    __exit__ __author__ __version__ __cause__ __annotations__'''.split())
# attributes by their names, text that is executed, and what stays for those who come after
REACHING_NAMES = set('attrgetter methodcaller getcontext setcontext register get_type_hints make_dataclass'.split())
# part of the verifier:
HARNESS_CHECKS = {
    'harnesses.evalplus': {'check_outputs'}, 'harnesses.lcb': {'check_answers'}, 'harnesses.probing': {'expect'},
}


@lru_cache(16)  # candidates of a problem come one after the other
def tree_of(text: str) -> ast.Module:
    "A text's syntax tree."
    return ast.parse(text)


@lru_cache(16)
def nodes_of(text: str) -> list:
    "All nodes of a text; none where it is no Python: it will raise a SyntaxError."
    try: return [*ast.walk(tree_of(text))]
    except (SyntaxError, ValueError, RecursionError, MemoryError): return []


def modules_in(nodes: list) -> dict:
    "Names that were imported: {name: module that it stands for, or ''}."
    found = {}
    for node in nodes:
        if isinstance(node, ast.ImportFrom): found.update({alias.asname or alias.name: '' for alias in node.names})
        if isinstance(node, ast.Import):
            for alias in node.names:
                top = alias.name.split('.')[0]
                found[alias.asname or top] = alias.name if alias.asname else top
    return found


@lru_cache(512)
def is_harmless(*texts: str) -> bool:
    "Whether texts, executed one after the other, only compute."
    nodes = [node for text in texts for node in nodes_of(text)]
    modules, asked = modules_in(nodes), {id(node.value) for node in nodes if isinstance(node, ast.Attribute)}
    # a module by another name would be lost sight of
    renamed = any(isinstance(node, ast.Name) and modules.get(node.id) and id(node) not in asked for node in nodes)
    return not renamed and not any(is_harmful(node, modules) for node in nodes)


def is_harmful(node: ast.AST, modules: dict) -> bool:
    "Whether a node shows anything but computing."
    if isinstance(node, ast.Import): return any(a.name not in HARMLESS_MODULES | {*PARTLY_HARMLESS} for a in node.names)
    if isinstance(node, ast.ImportFrom): return not imports_harmlessly(node)
    if isinstance(node, ast.Name): return node.id in HARMFUL_NAMES or node.id in REACHING_NAMES
    if isinstance(node, (ast.Attribute, ast.Subscript)) and stays(node, modules): return True
    if not isinstance(node, ast.Attribute): return isinstance(node, (ast.AsyncFunctionDef, ast.Await))
    if node.attr in REACHING_NAMES: return True
    owner = modules.get(node.value.id) if isinstance(node.value, ast.Name) else ''
    if owner and not gives_harmlessly(owner, node.attr): return True
    return node.attr.startswith('__') and node.attr.endswith('__') and node.attr not in HARMLESS_DUNDERS


def imports_harmlessly(node: ast.ImportFrom) -> bool:
    "Whether a `from` import takes only what computes."
    if node.level: return False
    names = {alias.name for alias in node.names} - ({'*'} if node.module in HARMLESS_MODULES else set())
    if node.module in HARNESS_CHECKS: return names <= HARNESS_CHECKS[node.module]
    return all(gives_harmlessly(node.module, name) for name in names)


def gives_harmlessly(module: str, name: str) -> bool:
    "Whether what a module has by this name only computes, and leads to no module that does more, as `random._os` does."
    if module in PARTLY_HARMLESS: return name in PARTLY_HARMLESS[module]
    if module not in HARMLESS_MODULES or name in REACHING_NAMES: return False
    thing = getattr(__import__(module, fromlist=['_']), name, None)
    return not isinstance(thing, ModuleType) or thing.__name__ in HARMLESS_MODULES


def stays(node: ast.AST, imported: dict) -> bool:
    "Whether something that was imported is changed, or a part of it."
    if isinstance(node.ctx, ast.Load): return False
    while isinstance(node, (ast.Attribute, ast.Subscript)): node = node.value
    return isinstance(node, ast.Name) and node.id in imported


# ---------------------------------------------------------------- what tests do that needs the program's own process

CHANGING_NAMES = set('''
    patch mock monkeypatch setrecursionlimit seed setstate environ putenv chdir tzset setlocale setcontext
    getcontext localcontext settrace globals locals vars dir catch_warnings simplefilter filterwarnings warns
    assertWarns assertLogs getLogger capsys caplog'''.split())


@lru_cache(512)
def patches(text: str) -> bool:
    "Whether tests change what a program uses, or look at its names: in its own process they would find it."
    nodes = nodes_of(text)
    imported = modules_in(nodes)
    parts = [node for node in nodes if isinstance(node, (ast.Attribute, ast.Subscript))]
    names = {node.id for node in nodes if isinstance(node, ast.Name)} | {getattr(node, 'attr', '') for node in parts}
    if names & CHANGING_NAMES: return True
    return any(stays(node, imported) for node in parts if getattr(node, 'attr', '') not in STREAMS)


STREAMS = 'stdout', 'stderr'  # what the program prints is printed there
DEFINITIONS = ast.FunctionDef, ast.ClassDef, ast.AsyncFunctionDef, ast.Import, ast.ImportFrom


@lru_cache(512)
def looked_at(text: str) -> set:
    "Names that are used other than by calling them, or passing them to what neither tests nor Python define."
    nodes = nodes_of(text)
    own = {name for node in nodes for name in bound_by(node)} | vars(builtins).keys()
    named = [node for node in nodes if isinstance(node, ast.Call) and isinstance(node.func, ast.Name)]
    calls = [call for call in named if call.func.id not in own]
    spared = {id(call.func) for call in calls} | {id(part) for call in calls for part in passed_to(call)}
    return {node.id for node in nodes if isinstance(node, ast.Name) and id(node) not in spared}


def passed_to(call: ast.Call):
    "The arguments of a call, and what stands in those that are written-out containers."
    waiting = [*call.args, *(keyword.value for keyword in call.keywords)]
    while waiting:
        yield (part := waiting.pop())
        if isinstance(part, (ast.List, ast.Tuple, ast.Set, ast.Dict, ast.Starred)):
            waiting += ast.iter_child_nodes(part)


# ---------------------------------------------------------------- what tests do that looks past a stand-in

LOOK_NAMES = frozenset(['type', 'id', 'callable'])


def with_looks(text: str, own: frozenset = frozenset()) -> ast.Module | str:
    """Tests in which `type`, `id` and `callable`, called or handed on, ask the stand-in: Python's look past it.

    As a tree; the text itself where there are none. own: names that mean something else to these tests."""
    if not any(look in text for look in LOOK_NAMES): return text
    tree = ast.parse(text)  # its own: others read the kept one
    nodes = [*ast.walk(tree)]
    looks = LOOK_NAMES - own - {name for node in nodes for name in bound_by(node)}
    parts = [part for node in nodes for part in handed_on(node) if isinstance(part, ast.Name) and part.id in looks]
    for part in parts: part.id = f'__{part.id}__'
    return tree if parts else text  # a text may be nested deeper


def bound_by(node: ast.AST):
    "Names that a node gives a meaning."
    if isinstance(node, ast.Name) and not isinstance(node.ctx, ast.Load): yield node.id
    if isinstance(node, ast.arg): yield node.arg
    if isinstance(node, ast.alias): yield node.asname or node.name.split('.')[0]
    if isinstance(node, (*DEFINITIONS[:3], ast.ExceptHandler, ast.MatchAs, ast.MatchStar)): yield node.name


def handed_on(node: ast.AST):
    "What a node calls with one argument, passes to a function, or keeps; a class to compare with is none of these."
    if isinstance(node, ast.Call):
        called = getattr(node.func, 'attr', getattr(node.func, 'id', '')).lower()
        if len(node.args) == 1 and not node.keywords: yield node.func
        if not called.endswith(('instance', 'subclass')): yield from [*node.args, *(key.value for key in node.keywords)]
    elif isinstance(node, (ast.Assign, ast.NamedExpr, ast.AnnAssign, ast.Return)): yield node.value
    elif isinstance(node, ast.Lambda): yield node.body
    elif isinstance(node, ast.arguments): yield from [*node.defaults, *node.kw_defaults]


@lru_cache(512)
def names_used(text: str) -> set:
    "Names that tests use and give no meaning."
    nodes = nodes_of(text)
    used = {node.id for node in nodes if isinstance(node, ast.Name)}
    return used - {name for node in nodes for name in bound_by(node)}
