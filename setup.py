"""Packaging: every fact comes from settings.ini.

Run folders' templates travel in the wheel as evoselfcode/workspace/.
"""
import shlex
from configparser import ConfigParser
from pathlib import Path
from setuptools import find_packages, setup

here = Path(__file__).parent
ini = ConfigParser(delimiters=["="], interpolation=None)
ini.read(here / "settings.ini", encoding="utf-8")
facts = ini["DEFAULT"]
lib, readme = facts["lib_name"], here / "README.md"

# what `evoselfcode init DIR` lays out: folder in this repository -> the files that travel
workspace = {"configs": "*.yaml", "nbs/runs": "*.ipynb", "data/raw": "*.jsonl", "data/eval": "pocket_*.jsonl"}
mapped = {f"{lib}.workspace.{folder.replace('/', '.')}": folder for folder in workspace if (here / folder).is_dir()}
extras = {extra: shlex.split(facts[f"{extra}_requirements"]) for extra in ("dev", "ray", "llama")}

setup(
    name=lib, version=facts["version"], description=facts["description"],
    long_description=readme.read_text(encoding="utf-8") if readme.is_file() else facts["description"],
    long_description_content_type="text/markdown",
    author=facts["author"], author_email=facts["author_email"], license=facts["license"], license_files=["LICENSE"],
    url=facts["git_url"], keywords=facts["keywords"].split(), python_requires=f">={facts['min_python']}",
    packages=find_packages(include=[lib, f"{lib}.*"]) + list(mapped), package_dir=mapped,
    package_data={lib: ["pocket/model/*"]} | {package: [workspace[folder]] for package, folder in mapped.items()},
    include_package_data=False,
    install_requires=shlex.split(facts["requirements"]), extras_require=extras,
    entry_points={"console_scripts": [facts["console_scripts"]]},
)
