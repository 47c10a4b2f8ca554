# All that is needed: python3 (3.11 to 3.13), make and git. `make run` and `make test` set everything else up themselves.
PYTHON ?= python3
BIN := .venv/bin
CONFIG ?= configs/pocket.yaml

.PHONY: run test docs conformance lab study clean-notebooks help
help:
	@echo "make run              the whole loop on the pocket model (CONFIG=configs/other.yaml for another)"
	@echo "make study            the same over three seeds, beside the control arms (hours)"
	@echo "make test             clean and export the notebooks, then all tests"
	@echo "make docs             the documentation as a site, in build/site"
	@echo "make conformance      verdicts against those of the official harnesses, where ../shared has them"
	@echo "make lab              JupyterLab in nbs/"
	@echo "make clean-notebooks  strip what does not belong in git"

.venv/.ready: requirements.txt settings.ini setup.py pyproject.toml
	@$(PYTHON) -c "import sys; v = sys.version_info[:2]; sys.exit(0 if (3, 11) <= v <= (3, 13) else 'evoselfcode needs Python 3.11, 3.12 or 3.13, but $(PYTHON) is %d.%d; try: make PYTHON=python3.12' % v)"
	@test -x $(BIN)/python || $(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-compile -r requirements.txt
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps -e .
	@$(BIN)/python -m compileall -qq -j 0 -x '/tests?/' .venv/lib || true  # pip would do it on one core
	@touch $@

run: .venv/.ready
	$(BIN)/evoselfcode pipeline iterate --config $(CONFIG)

study: .venv/.ready
	$(BIN)/evoselfcode pipeline compare --config $(CONFIG)

# cleaning and exporting must change nothing: the library is what the notebooks say
test: .venv/.ready
	$(BIN)/nbdev-clean
	$(BIN)/nbdev-export
	git --no-pager diff --stat --exit-code -- nbs evoselfcode
	$(BIN)/ruff check nbs evoselfcode tests benchmarks
	$(BIN)/python -m pytest -q -n 2 --dist worksteal --durations=25

docs: .venv/.ready
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build

conformance: .venv/.ready
	$(BIN)/python -m pytest -q -m conformance tests/conformance

lab: .venv/.ready
	$(BIN)/jupyter lab --notebook-dir=nbs

clean-notebooks: .venv/.ready
	$(BIN)/nbdev-clean
