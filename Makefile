# Two commands: `make demo` runs the whole job and serves the explorer; `make test` passes the tests.
VENV ?= .venv
PY := $(VENV)/bin/python
WB := $(VENV)/bin/workbench
# a machine with an NVIDIA driver gets the usual torch, any other the versions of the constraints file
CONSTRAINTS := $(if $(shell command -v nvidia-smi),,-c constraints-cpu.txt)

# the demo: where, how large, whether to serve at the end. Small numbers make a smoke test of it.
DEMO ?= demo
SERVE ?= 1
PORT ?= 5006
PARTICIPANTS ?= 60
EPOCHS ?= 8
STEPS ?= 240
SPACING ?= 2
DRAWS ?= 5

# progress bars redraw themselves on a terminal; in a log a line every ten seconds is enough
export TQDM_MININTERVAL ?= $(shell test -t 2 && echo 0.1 || echo 10)

# FAST=1: no browser, no notebook, no training to its end; COVERAGE=1: which lines were run, with a floor
FAST ?=
COVERAGE ?=

# tests in as many processes; a file's tests stay together, since they share what they set up
TEST_JOBS ?= 2

.PHONY: encoder gpu help setup demo test test-slurm fuzz doctor lint bench lab docs tutorials nifti-view clean
help:
	@echo "make demo [SERVE=0]  simulate, prepare, pretrain, fine-tune, analyse, then serve the explorer on localhost"
	@echo "make test            all tests (installs Chromium by apt where that is allowed); FAST=1 the inner loop,"
	@echo "                     COVERAGE=1 with coverage and its floor"
	@echo "make test-slurm      batches, an array and a training on a real Slurm (needs slurm-wlm, munge and root)"
	@echo "make fuzz [N=20]     damaged inputs, N times the small number that the tests try"
	@echo "make doctor          what is installed here, what is missing, and what to do about it"
	@echo "make lint            ruff, mypy, and the layer order of the rooms"
	@echo "make encoder DATA=…  train the encoder in the box anew (hours on a CPU; goes on where it was stopped)"
	@echo "make bench           every benchmark, quick; the last line of each is one JSON object"
	@echo "make gpu             on a machine with a GPU: all that was never seen on one, into build/gpu.json"
	@echo "make lab             JupyterLab with the notebooks"
	@echo "make docs            the documentation as a site in build/docs; needs no network"
	@echo "make tutorials       all notebooks on simulated data, as HTML in build/tutorials"
	@echo "make nifti-view      rebuild the viewer's JavaScript bundle (needs npm)"

setup: $(VENV)/.installed
$(VENV)/.installed: pyproject.toml constraints-cpu.txt
	test -x $(PY) || python3 -m venv $(VENV)
	$(PY) -m pip install -q --disable-pip-version-check $(CONSTRAINTS) -e '.[all,dev]'
	touch $@

demo: setup
	@mkdir -p $(DEMO)/runs
	$(WB) simulate --out $(DEMO)/simulated --participants $(PARTICIPANTS) --spacing $(SPACING)
	$(WB) cohort   --out $(DEMO)/runs/cohort --sources $(DEMO)/simulated
	$(WB) split    --out $(DEMO)/runs/split --cohort $(DEMO)/runs/cohort --stratify site diagnosis sex
	$(WB) prepare  --out $(DEMO)/runs/store --cohort $(DEMO)/runs/cohort --spacing 2
	$(WB) pretrain --out $(DEMO)/runs/pretrain --store $(DEMO)/runs/store --split $(DEMO)/runs/split \
	    --preset cpu --start_from volta-tiny --epochs $(EPOCHS)
	for init in pretrained random; do \
	  $(WB) segment  --out $(DEMO)/runs/hippocampus-$$init --init $$init $(DOWNSTREAM) --steps $(STEPS) \
	      --features 8 --learning_rate 3e-3 --freeze true && \
	  $(WB) classify --out $(DEMO)/runs/diagnosis-$$init --init $$init $(DOWNSTREAM) --target diagnosis && \
	  $(WB) embed    --out $(DEMO)/runs/embed-$$init --init $$init $(LOOK) && \
	  $(WB) attend   --out $(DEMO)/runs/attend-$$init --init $$init $(LOOK) || exit $$?; \
	done
	$(WB) shift    --out $(DEMO)/runs/shift --embed $(DEMO)/runs/embed-pretrained --smallest_site 4
	$(WB) whatif   --out $(DEMO)/runs/what-if $(LOOK) --embed $(DEMO)/runs/embed-pretrained \
	    --classify $(DEMO)/runs/diagnosis-pretrained --people 3 --strengths 0.5 1
	$(WB) tokens   --out $(DEMO)/runs/tokens $(LOOK) --rgb false
	$(WB) probe    --out $(DEMO)/runs/probe $(LOOK) --labelled 2 --draws $(DRAWS)
	@$(WB) runs $(DEMO)/runs
	@echo; $(WB) runs $(DEMO)/runs --by-site
	@if [ "$(SERVE)" = 1 ]; then $(WB) explore $(DEMO)/runs --port $(PORT); \
	 else echo "done. Look at it with: $(WB) explore $(DEMO)/runs"; fi
LOOK = --store $(DEMO)/runs/store --encoder $(DEMO)/runs/pretrain
DOWNSTREAM = $(LOOK) --split $(DEMO)/runs/split

test: setup
	@command -v chromium >/dev/null || [ -n "$$CHROMIUM" ] || [ "$$(id -u)" != 0 ] || ! command -v apt-get >/dev/null || \
	  { apt-get update -qq && apt-get install -y -qq chromium >/dev/null; } || true
	$(PY) -m pytest -n $(TEST_JOBS) --dist loadfile --no-loadscope-reorder $(if $(FAST),-m "not long and not ui and not slurm") \
	  $(if $(COVERAGE),--cov=workbench --cov-report=term:skip-covered)

test-slurm: setup
	WORKBENCH_TEST_SLURM=1 $(PY) -m pytest tests/slurm -rs

# a small number of each runs with `make test`; N times as many here, from another seed, with a line a fuzzer in build/
N ?= 20
FUZZ_SEED ?= 1
fuzz: setup
	@mkdir -p build
	FUZZ_TIMES=$(N) FUZZ_SEED=$(FUZZ_SEED) FUZZ_REPORT=build/fuzz.jsonl $(PY) -m pytest tests/fuzz --timeout 36000
	@tail -n 6 build/fuzz.jsonl

doctor: setup
	$(WB) doctor

lint: setup
	$(VENV)/bin/ruff format --check .
	$(VENV)/bin/ruff check .
	$(VENV)/bin/mypy
	$(VENV)/bin/lint-imports

# the encoder in the box, made anew: DATA holds ds002748/ and synthseg_labelmaps/; a killed run goes on
ENCODER ?= build/encoder
encoder: setup
	$(WB) labelmaps --out $(ENCODER)/labelmaps --label_maps $(DATA)/synthseg_labelmaps
	$(WB) cohort    --out $(ENCODER)/runs/cohort --sources $(DATA)/ds002748 $(ENCODER)/labelmaps
	$(WB) prepare   --out $(ENCODER)/runs/store --cohort $(ENCODER)/runs/cohort --spacing 2
	$(WB) pretrain  --out $(ENCODER)/runs/volta-tiny --store $(ENCODER)/runs/store --config configs/pretrain-volta-tiny.yaml
	@echo "put it into the package: $(PY) -m workbench.model.box $(ENCODER)/runs/volta-tiny volta-tiny"

bench: setup
	@for name in startup simulate prepare loader pretrain_step learning settings gpu_pretrain growth attention projections batch compare explorer scale cohort; do $(PY) -m benchmarks.$$name --quick || exit $$?; done

# under 20 minutes; without a GPU it says so and does nothing
gpu: setup
	$(PY) -m benchmarks.gpu --out build/gpu.json

lab: setup
	$(VENV)/bin/jupyter lab --notebook-dir notebooks

docs: setup
	NO_MKDOCS_2_WARNING=1 $(PY) -m mkdocs build --strict -q
	@echo "build/docs/index.html"

tutorials: setup
	$(PY) docs/notebooks.py --root build/tutorials

nifti-view:
	cd workbench/explorer/viewer/nifti_view && npm install --no-package-lock && npm run build

clean:
	rm -rf $(VENV) build dist *.egg-info .mypy_cache .ruff_cache .pytest_cache
