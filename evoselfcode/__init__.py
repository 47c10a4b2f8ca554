"""Teach a code language model from its own samples, in notebooks

Modules:

- `evoselfcode.engine.cache`: A key/value cache that grows in place.
- `evoselfcode.execution.zygote`: The far side of execution: a small fork server that runs one program per child and answers with data."""

__version__ = "0.1.0"
