"""Hostile programs for the execution engine, and harmless ones that look suspicious: data only, nothing here runs them.

Words between @ are filled in by whoever lays out the world to attack: @CANARY@ @SECRET@ @PRIVATE@ @FOLDER@ (paths),
@TCP@ @UDP@ (ports), @UNIX@ @ABSTRACT@ (socket names), @VICTIM@ @PID@ (processes), @ENVNAME@ (a variable of the caller's
environment), @SECRET_HASH@, and @TAG@ (eight hexadecimal digits that all traces carry).
"""
from dataclasses import replace

from . import codec, containment, ending, escape, exhaustion, forging
from .honest import HONEST  # noqa: F401
from .kit import MACHINE, Attack  # noqa: F401

ATTACKS = [
    replace(attack, kind=module.__name__.rsplit(".", 1)[1])
    for module in (forging, codec, containment, exhaustion, ending, escape)
    for attack in module.ATTACKS
    if attack.machine in ("", MACHINE)
]
