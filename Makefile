# Targets build .venv first (from requirements.lock, three to four minutes) unless it is up to date.
PYTHON ?= python3
BIN := .venv/bin
READY := .venv/ready
export PYTHONHASHSEED := 0

.PHONY: paper experiments carry demo readme contract faults scores bench bench-startup bench-gpu bench-compare bench-record proofs enumerate examples test test-slow coverage test-jax test-thorough fuzz mutants docs docs-browser lint format lock audit wheel release clean
.DELETE_ON_ERROR:

# The paper, build/paper/paper.pdf, from the committed results: a minute; what is up to date is skipped.
paper: $(READY)
	$(BIN)/python -m paper

# The experiments, what they answer, and a paper with that: PROFILE=quick in minutes, to see that all
# works, or full, whose results are committed; it says how long it will take and can be interrupted.
PROFILE ?= quick
experiments: $(READY)
	$(BIN)/python -m paper.experiments --profile $(PROFILE)
	$(BIN)/python -m paper.questions.report --profile $(PROFILE)
	$(BIN)/python -m paper --profile $(PROFILE) --out build/paper-$(PROFILE)
	if test $(PROFILE) = full; then $(BIN)/python -m paper.readme; fi

# After a change of code that changes no results: a sample of the committed runs is made again, and
# where all of it comes out as recorded, the rest is taken over. On another processor EARLIER is a tree
# of the code that made them. Five minutes.
carry: $(READY)
	$(BIN)/python -m paper.experiments.carry $(if $(EARLIER),--earlier $(EARLIER))

demo: $(READY)
	$(BIN)/python -m paper.demo

# The committed results of the demo, and the README's tables from them.
readme: $(READY)
	$(BIN)/python -m paper.demo --out paper/results
	$(BIN)/python -m paper.readme

# What the optimizers work with: the contract tests, counted, and the README's tables from them.
contract: $(READY)
	$(BIN)/pytest -n 2 -m contract --counts paper/results/contract.json
	$(BIN)/python -m paper.readme

# What optimizers make of faults, ours and others: a minute or two.
faults: $(READY)
	$(BIN)/python -m paper.faults
	$(BIN)/python -m paper.readme

# What optimizers pass of the checks of torch_impl.testing: some minutes.
scores: $(READY)
	$(BIN)/python -m paper.scores
	$(BIN)/python -m paper.readme

# The ratios of steps on the CPU, and their tables: under ten minutes on a quiet machine. A run that
# was interrupted is continued.
MEASURE := $(BIN)/pytest tests/benchmarks -o python_files='bench_*.py' --benchmark-only --benchmark-quiet
bench: $(READY)
	rm -f build/bench/cpu.json
	$(MAKE) build/bench/cpu.json

build/bench/cpu.json: $(READY) $(shell find torch_impl tests/benchmarks -name '*.py')
	$(MEASURE) -k 'not startup'
	$(BIN)/python -m tests.benchmarks.report

# Beside these, fresh processes: what importing takes, and compiling. Three to six minutes.
bench-startup: $(READY)
	$(MEASURE) -k startup
	$(BIN)/python -m tests.benchmarks.report

# The same on a CUDA device, after checks: PYTHON has torch and Triton; under 8 minutes.
bench-gpu:
	$(PYTHON) -m tests.benchmarks.gpu

# The change of every ratio since the committed results; measures if nothing is measured yet.
bench-compare: build/bench/cpu.json
	$(BIN)/python -m tests.benchmarks.compare

# What was measured, to be committed, and the texts' tables from it.
bench-record: $(READY)
	for device in cpu cuda; do \
		if test -f build/bench/$$device.json; then \
			cp build/bench/$$device.json paper/results/bench-$$device.json; fi; done
	$(BIN)/python -m paper.readme

# Coq and Gappa on every theorem that they know: installs 1.1 GB of system packages; 5 minutes after.
proofs: $(READY)
	$(BIN)/python -m proofs.deep
	$(BIN)/python -m paper.readme

# Every finite binary32 input of every kernel, in C: 5 to 10 minutes on two cores.
enumerate: $(READY)
	$(BIN)/python -m proofs.exhaustive
	$(BIN)/python -m paper.readme

# Every test but the slow ones.
test: $(READY)
	$(BIN)/pytest -n 2 -m "not slow"

# The slow ones: kernels in Triton's interpreter, equivalence in binary32, several processes, the wheel,
# the examples.
test-slow: $(READY)
	$(BIN)/pytest -n 2 -m slow

# Every test, the slow ones too, and whether they run every line and branch: tracing nearly doubles
# their time.
coverage: $(READY)
	$(BIN)/pytest -n 2 --cov

# Every script of examples/, the heavy one too, with what each prints.
examples: $(READY)
	EXAMPLES=all $(BIN)/pytest tests/test_examples.py -rP

# Gravity for Keras on JAX, in an environment of its own, which downloads some hundred MB.
test-jax:
	$(PYTHON) -m venv --clear build/jax
	build/jax/bin/python -m pip install --quiet --constraint constraints.txt jax==0.10.2 jaxlib==0.10.2 \
		opt_einsum==3.4.0 hypothesis keras numpy pytest pytest-timeout scikit-learn torch
	KERAS_BACKEND=jax build/jax/bin/python -m pytest torch_impl/keras.py tests/test_keras.py

# Every property on 20,000 examples, two hours on two quiet cores; a run that was interrupted is
# continued. The committed results, and the texts' tables from them.
test-thorough: $(READY)
	$(BIN)/pytest -n 2 --timeout=0 -p tests.thorough --thorough paper/results/thorough.json
	$(BIN)/python -m paper.readme

# A million inputs for every reader of files and every loader of state, an hour or more on two cores;
# the committed results, and the texts' tables from them.
fuzz: $(READY)
	$(BIN)/python -m tests.fuzz
	$(BIN)/python -m paper.readme

# Do the tests fail when the sources are changed? Hours; one target: make mutants MUTATED=proofs.
mutants: $(READY)
	$(BIN)/python -m tests.mutants $(MUTATED)
	$(BIN)/python -m paper.readme

# The site, build/docs/index.html, and its examples: a minute or two. Nothing is fetched;
# DOCS_INTERSPHINX=1 links to the documentation of Python, NumPy and PyTorch, whose lists are.
docs: $(READY)
	$(BIN)/python -m docs

# The explorer in a real browser: installs Debian's Chromium unless it is there.
docs-browser: $(READY)
	command -v chromium && command -v chromedriver || { \
		root=$$(test $$(id -u) = 0 || echo sudo); \
		$$root apt-get --quiet update; \
		$$root apt-get --quiet install --yes --no-install-recommends chromium chromium-driver; }
	$(BIN)/pytest tests/browser -o python_files='browser_*.py'

lint: $(READY)
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy

format: $(READY)
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

# The hashes of all files of what constraints.txt pins, and of the torch that pip takes here, which
# may be of another index. Where torch is its CUDA build, the libraries that it asks for have none.
lock:
	$(PYTHON) -m venv --clear build/lock
	build/lock/bin/python -m pip install --quiet uv==0.13.9
	build/lock/bin/uv pip compile --quiet --no-deps --generate-hashes --no-annotate --no-header \
		--output-file requirements.lock constraints.txt
	build/lock/bin/python -m pip download --quiet --no-deps --constraint constraints.txt \
		--dest build/lock/torch torch
	hash=$$(build/lock/bin/python -m pip hash build/lock/torch/*.whl | tail -n 1); \
		grep -q -e "$$hash" requirements.lock || sed -i "s/^torch==.*/&\n    $$hash \\\\/" requirements.lock

# Known vulnerabilities of what constraints.txt pins; a package that cannot be asked about is an error.
audit:
	$(PYTHON) -m venv --clear build/audit
	build/audit/bin/python -m pip install --quiet pip-audit==2.10.1
	build/audit/bin/pip-audit --strict --no-deps --disable-pip --requirement constraints.txt

wheel: $(READY)
	$(BIN)/python -m build --no-isolation

# A release, up to the upload, in dist: sdist and wheel, checked, and the bill of materials of an
# environment that has the wheel and what it needs.
release: $(READY)
	rm -rf dist
	$(BIN)/python -m build --no-isolation
	$(PYTHON) -m venv --clear build/release
	build/release/bin/python -m pip install --quiet twine==7.0.0 cyclonedx-bom==7.5.0
	build/release/bin/twine check --strict dist/*
	$(PYTHON) -m venv --clear build/released
	build/released/bin/python -m pip install --quiet --constraint constraints.txt dist/*.whl
	build/released/bin/python -m pip uninstall --quiet --yes pip setuptools
	build/release/bin/cyclonedx-py environment --output-reproducible \
		--output-file dist/subluminal.cdx.json build/released

clean:
	rm -rf .venv build dist

# torch comes by itself and is checked here: among files with hashes pip takes one whose index tells its
# hash, and would so prefer the CUDA build of an index to the CPU build in a folder of wheels.
$(READY): requirements.lock constraints.txt pyproject.toml
	$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Python 3.11 or newer is needed; set PYTHON=...")'
	$(PYTHON) -m venv --clear .venv
	$(BIN)/python -m pip download --quiet --no-deps --constraint constraints.txt --dest .venv/torch torch
	grep -q -e "$$($(BIN)/python -m pip hash .venv/torch/*.whl | tail -n 1)" requirements.lock \
		|| { echo "The torch that pip takes here is not in requirements.lock: see make lock"; exit 1; }
	$(BIN)/python -m pip install --quiet --no-deps .venv/torch/*.whl
	rm -r .venv/torch
	$(BIN)/python -m pip install --quiet --no-deps --require-hashes --requirement requirements.lock
	$(BIN)/python -m pip install --quiet --constraint constraints.txt numpy torch --group dev
	touch $@
