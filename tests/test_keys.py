"""No key is dead: each one is read somewhere as an attribute of its own section.

A walk through the library's syntax trees finds it."""
import ast
from dataclasses import fields, is_dataclass
from pathlib import Path

import pytest

from evoselfcode.config import Config

LIB = Path(__file__).resolve().parents[1] / "evoselfcode"
NESTED = {f.name: f.default_factory for f in fields(Config) if is_dataclass(f.default_factory)}
SECTIONS = {name: section.__name__ for name, section in NESTED.items()}
KEYS = {("Config", f.name) for f in fields(Config)}
KEYS |= {(section.__name__, key.name) for section in NESTED.values() for key in fields(section)}
KINDS = {kind for kind, _ in KEYS}
FUNCTION = (ast.FunctionDef, ast.AsyncFunctionDef)
SCOPE = (*FUNCTION, ast.Lambda, ast.ClassDef)


class Reads:
    """The keys that modules read. An expression's section follows from annotations, from assignments, from
    `config.SECTION`, from what a function of the same module is called with, and from what an attribute is everywhere
    in the library. The name of a key alone proves nothing, since many sections have an `n`."""
    def __init__(self, *sources: str):
        self.found = set()
        self.returned, self.attributes = {}, {}
        for source in sources:
            functions = (f for f in ast.walk(ast.parse(source)) if isinstance(f, FUNCTION))
            self.returned |= {f.name: kind for f in functions if (kind := self.named(f.returns, {}))}
        for _ in range(2):                           # what one pass learns about attributes the next one uses
            for source in sources: self.module(ast.parse(source))

    def module(self, tree):
        imports = (n for n in ast.walk(tree) if isinstance(n, ast.ImportFrom))
        self.aliases = {a.asname: a.name for n in imports for a in n.names if a.asname and a.name in KINDS}
        self.given = {}
        self.functions = {f.name: f for f in tree.body if isinstance(f, FUNCTION)}
        for _ in range(2): self.scope(tree, {})      # what one pass learns about calls the next one uses

    def named(self, note, aliases) -> str | None:
        "The section that an annotation names."
        if note is None: return None
        nodes = (n for n in ast.walk(note) if isinstance(n, (ast.Name, ast.Constant)))
        words = [n.id if isinstance(n, ast.Name) else n.value for n in nodes]
        return next((kind for word in words if (kind := aliases.get(word, word)) in KINDS), None)

    def kind(self, node, known) -> str | None:
        "The section that an expression stands for."
        if isinstance(node, ast.Name): return known.get(node.id)
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name):
            name = self.aliases.get(node.func.id, node.func.id)
            return name if name in KINDS else self.returned.get(name)
        if isinstance(node, ast.Attribute):
            if self.kind(node.value, known) == "Config": return SECTIONS.get(node.attr)
            kinds = self.attributes.get(node.attr, ())
            return next(iter(kinds)) if len(kinds) == 1 else None
        if isinstance(node, ast.Subscript) and isinstance(node.value, ast.Call):   # dict(d2c=..., c2d=...)[direction]
            kinds = {self.kind(word.value, known) for word in node.value.keywords}
            return kinds.pop() if len(kinds) == 1 else None

    def scope(self, node, known):
        "Walk through one module, class, function or lambda, then through those inside it."
        known, inner = dict(known), []
        if isinstance(node, ast.ClassDef) and node.name in KINDS: known["self"] = node.name
        if isinstance(node, (*FUNCTION, ast.Lambda)):
            for a in (*node.args.posonlyargs, *node.args.args, *node.args.kwonlyargs):
                given = (
                    self.named(a.annotation, self.aliases)
                    or self.given.get((getattr(node, "name", ""), a.arg))
                    or ("Config" if a.arg == "config" and not a.annotation else None)
                )
                if a.arg != "self": known[a.arg] = given
        if isinstance(node, FUNCTION) and node.name not in self.returned:
            kinds = {self.kind(n.value, known) for n in ast.walk(node) if isinstance(n, ast.Return) and n.value}
            if len(kinds) == 1 and (kind := kinds.pop()): self.returned[node.name] = kind
        def walk(part):
            if isinstance(part, SCOPE) and part is not node:
                inner.append(part)
                return
            if isinstance(part, ast.Assign): self.assign(part, known)
            if isinstance(part, ast.Call) and isinstance(part.func, ast.Name) and part.func.id in self.functions:
                self.call(part, known)
            if isinstance(part, ast.Attribute) and isinstance(part.ctx, ast.Load):
                if kind := self.kind(part.value, known): self.found.add((kind, part.attr))
            for child in ast.iter_child_nodes(part): walk(child)
        walk(node)
        for part in inner: self.scope(part, known)

    def assign(self, node, known):
        for target in node.targets:
            several = isinstance(target, ast.Tuple) and isinstance(node.value, ast.Tuple)
            for place, value in zip(target.elts, node.value.elts) if several else [(target, node.value)]:
                kind = self.kind(value, known)
                if isinstance(place, ast.Name): known[place.id] = kind
                if isinstance(place, ast.Attribute) and kind: self.attributes.setdefault(place.attr, set()).add(kind)

    def call(self, node, known):
        names = [a.arg for a in self.functions[node.func.id].args.args]
        for name, value in [*zip(names, node.args), *((word.arg, word.value) for word in node.keywords)]:
            if kind := self.kind(value, known): self.given[node.func.id, name] = kind


def test_every_key_is_read():
    found = Reads(*(path.read_text(encoding="utf-8") for path in sorted(LIB.rglob("*.py")))).found
    assert sorted(f"{kind}.{key}" for kind, key in KEYS - found) == []


@pytest.mark.parametrize("source, keys", [
    ("def f(config): return config.dual.forward", {"forward"}),
    ("def f(settings: Dual): return settings.forward", {"forward"}),
    ("def f(settings: Dual | None = None): return lambda: settings.forward", {"forward"}),
    ("from x import Dual as D\nd = D()\nd.backward", {"backward"}),
    ("def f(config):\n    d, e = config.dual, config.evaluation\n    return d.forward", {"forward"}),
    ("def g(settings): return settings.forward\ndef f(config): return g(config.dual)", {"forward"}),
    ("class A:\n"
     "    def __init__(self, dual: Dual): self.dual = dual\n"
     "    def f(self): return self.dual.forward",
     {"forward"}),
    ("def f(config):\n    config.dual.forward = True\n    return asdict(config.dual)", set()),
    ("def f(config): return config.evaluation.forward, config.forward, 'dual.forward'", set()),
    ("def f(other): return other.forward, other.dual.forward", set()),
    ("def f(settings: Train): return settings.forward", set()),
])
def test_what_counts_as_reading(source, keys):
    assert {key for kind, key in Reads(source).found if kind == "Dual"} == keys
