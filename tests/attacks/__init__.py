"""Hostile programs for the execution engine, and harmless ones that look suspicious: data only, nothing here runs them.

Words between @ are filled in by whoever lays out the world to attack: @CANARY@ @SECRET@ @PRIVATE@ @FOLDER@ (paths),
@TCP@ @UDP@ (ports), @UNIX@ @ABSTRACT@ (socket names), @VICTIM@ @PID@ (processes), @ENVNAME@ (a variable of the caller's
environment), @SECRET_HASH@, and @TAG@ (eight hexadecimal digits that all traces carry).
"""
from dataclasses import replace

from . import codec, containment, ending, escape, exhaustion, forging
from .honest import HONEST  # noqa: F401
from .kit import MACHINE, TIMEOUT, Attack


def of_kind(attack: Attack, kind: str) -> Attack:
    "Say where an attack is from; a message that is late, or takes long to be read, is nothing that a layer could stop."
    return replace(attack, kind=kind, clock=attack.clock or kind == "codec" and TIMEOUT in attack.expected)


ATTACKS = [
    of_kind(attack, module.__name__.rsplit(".", 1)[1])
    for module in (forging, codec, containment, exhaustion, ending, escape)
    for attack in module.ATTACKS
    if attack.machine in ("", MACHINE)
]
