"""Function names out of nothing, by the library.

    .venv/bin/python scripts/generate_funcnames.py [-o KEY=VALUE ...]

for instance with -o names.number=500 -o names.arm=both
"""
import sys
from pathlib import Path
from evoselfcode.config import load_config
from evoselfcode.errors import UserError
from evoselfcode.datagen.names import arm_table
from evoselfcode.pipeline.iteration import Study


def main():
    overrides = [word for word in sys.argv[1:] if word != "-o"]
    study = Study(load_config(Path(__file__).parents[1] / "configs/datagen.yaml", overrides))
    for record in study.names(): print(record["name"])
    print(arm_table(study.draws()).to_string(index=False), file=sys.stderr)


if __name__ == "__main__":
    try: main()
    except UserError as error: sys.exit(f"error: {error}")
