# make play   plays the default world; the first time it installs what the game needs into .venv
# make test   runs the tests      make check  runs the linter and the type checker
# make clean  removes .venv and everything that the tools left

VENV := .venv
PY := $(VENV)/bin/python
ARGS ?=

# PYTHON=... names another interpreter; it is asked for only when .venv has to be made.
PYTHON ?= $(shell for p in python3.11 python3 python3.12 python3.13; do \
	$$p -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && echo $$p && break; done)

# A .venv made by hand is kept, with whatever build of torch is in it. One that came from another
# folder is made anew, since its scripts would start the other folder's Python.
OURS := grep -qsF '$(CURDIR)/$(VENV)' $(VENV)/bin/activate && \
	$(PY) -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null
ifneq "$(shell grep -qsF '$(CURDIR)/$(VENV)' $(VENV)/bin/activate && test -x $(PY) && echo yes)" "yes"
.PHONY: $(VENV)/.play $(VENV)/.dev
endif

.PHONY: play test check clean

play: $(VENV)/.play
	@$(VENV)/bin/adventure play $(ARGS)

test: $(VENV)/.dev
	$(PY) -m pytest -q -n 2 $(ARGS)

check: $(VENV)/.dev
	$(PY) -m ruff check .
	$(PY) -m mypy

$(VENV)/.play: pyproject.toml
	$(call install,.)
	@touch $@

$(VENV)/.dev: pyproject.toml
	$(call install,.[dev])
	@touch $(VENV)/.play $@

define install
@{ $(OURS); } || test -n "$(PYTHON)" || \
	{ echo "Python 3.11 or newer was not found; install it, or name it with: make PYTHON=/path/to/python3.11" >&2; exit 1; }
@{ $(OURS); } || { echo "Installing into $(VENV), this once; torch is large, so it may take some minutes."; \
	$(PYTHON) -m venv --clear $(VENV); }
@$(PY) -m pip --version >/dev/null 2>&1 || $(PY) -m ensurepip
@$(PY) -m pip install --disable-pip-version-check -e '$(1)'
endef

clean:
	rm -rf $(VENV) build dist .pytest_cache .mypy_cache .ruff_cache .hypothesis
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
