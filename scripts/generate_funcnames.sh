#!/bin/sh
# Function names out of nothing, by the command line. Any settings follow:
# scripts/generate_funcnames.sh -o names.arm=both
cd "$(dirname "$0")/.." && exec "${PYTHON:-.venv/bin/python}" -m evoselfcode.cli \
    datagen generate-names --config configs/datagen.yaml "$@"
