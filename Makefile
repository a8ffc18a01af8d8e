# DenSNet: `make run` shows it at work, `make test` proves it. Both set up .venv themselves and are
# quick the second time. Variables that a machine may need:
#   PYTHON=python3.12        the interpreter that makes .venv (3.11 to 3.13)
#   TORCH_INDEX=URL          where PyTorch comes from, e.g. https://download.pytorch.org/whl/cu128
#                            for a GPU; by default the CPU build, which is ten times smaller
#   STEPS=16000 RUN=DIR      steps of each of the eight trajectories of `make run`, and where they go

PYTHON ?= $(shell command -v python3.11 || command -v python3.12 || command -v python3.13 || echo python3)
TORCH ?= 2.13.0
TORCH_INDEX ?=
TORCH_CPU_INDEX := https://download.pytorch.org/whl/cpu
STEPS ?= 16000
RUN ?= runs/ethanol-$(shell date +%Y%m%d-%H%M%S)

BIN := .venv/bin
PIP := $(BIN)/python -m pip install --quiet --disable-pip-version-check
INSTALLED := .venv/.installed
KERNEL_SOURCES := $(shell find cpp -name '*.cpp' -o -name '*.hpp' -o -name '*.h' 2>/dev/null)

# One thread a process: for small molecules more of them are slower (README, "Threads").
export OMP_NUM_THREADS ?= 1

.PHONY: help run test lint bench asan asan-bindings tsan clean

help:
	@echo "make run    set up, then ethanol dynamics through i-PI with the shipped model, then its IR spectrum"
	@echo "make test   set up, then all tests"
	@echo "make lint   set up, then ruff (format and rules) and mypy"
	@echo "make bench  set up, then the benchmarks"
	@echo "make asan   the C++ libraries' own checks under the address and undefined-behaviour sanitizers"
	@echo "make tsan   the kernel's own checks under the thread sanitizer"
	@echo "make asan-bindings  tests of the integrals with a sanitized kernel"
	@echo "make clean  remove the environment, builds and caches (runs/ stays)"

# Eight microcanonical trajectories from thermalised starts, on two cores, then their IR spectrum.
run: RUN := $(RUN)
run: $(INSTALLED)
	$(BIN)/densnet md ethanol --ensemble nve --replicas 8 --processes 2 --steps $(STEPS) \
	  --thermalise-steps 1500 --output $(RUN)
	$(BIN)/densnet spectrum $(RUN) --ir --bands ethanol

test: $(INSTALLED)
	$(BIN)/python -m pytest

lint: $(INSTALLED)
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy

bench: $(INSTALLED)
	$(BIN)/densnet bench

ASAN_FLAGS := -std=c++17 -O1 -g -fno-omit-frame-pointer -fsanitize=address,undefined \
  -fno-sanitize-recover=undefined -fPIC -Icpp/include
ASAN_KERNEL := $(wildcard cpp/src/*.cpp) cpp/tests/exercise.cpp
ASAN_ENGINE := $(filter-out cpp/engine/bindings.cpp,$(wildcard cpp/engine/*.cpp)) cpp/tests/exercise_engine.cpp

asan:
	@$(MAKE) --no-print-directory -j2 build/asan/exercise build/asan/exercise_engine
	build/asan/exercise
	build/asan/exercise_engine

build/asan/exercise: $(patsubst %.cpp,build/asan/%.o,$(ASAN_KERNEL))
	$(CXX) $(ASAN_FLAGS) $^ -o $@ -lpthread

build/asan/exercise_engine: $(patsubst %.cpp,build/asan/%.o,$(ASAN_ENGINE))
	$(CXX) $(ASAN_FLAGS) $^ -o $@ -lpthread

# The sanitizer refuses threads in a forked process unless told otherwise.
TSAN_FLAGS := -std=c++17 -O1 -g -fsanitize=thread -fPIC -Icpp/include

tsan:
	@$(MAKE) --no-print-directory -j2 build/tsan/exercise
	TSAN_OPTIONS=die_after_fork=0 build/tsan/exercise

build/tsan/exercise: $(patsubst %.cpp,build/tsan/%.o,$(ASAN_KERNEL))
	$(CXX) $(TSAN_FLAGS) $^ -o $@ -lpthread

build/tsan/%.o: %.cpp $(KERNEL_SOURCES)
	@mkdir -p $(dir $@)
	$(CXX) $(TSAN_FLAGS) -c $< -o $@

# The same for the bindings: the tests of the integrals with a sanitized extension. Python itself is
# not instrumented, so the sanitizer comes first by LD_PRELOAD, and leaks of Python are not looked for.
ASAN_EXTENSION := build/asan/_kernel.so
ASAN_TESTS := $(addprefix tests/integrals/test_,arguments.py forms.py points.py gradients.py autograd.py)

asan-bindings: $(INSTALLED)
	@$(MAKE) --no-print-directory -j2 $(ASAN_EXTENSION)
	SANITIZED_KERNEL=$(ASAN_EXTENSION) ASAN_OPTIONS=detect_leaks=0 PYTHONPATH=cpp/tests \
	  LD_PRELOAD="$$($(CXX) -print-file-name=libasan.so) $$($(CXX) -print-file-name=libstdc++.so)" \
	  $(BIN)/python -m pytest -p sanitized $(ASAN_TESTS)

$(ASAN_EXTENSION): $(patsubst %.cpp,build/asan/%.o,$(wildcard cpp/src/*.cpp) cpp/bindings/python.cpp)
	$(CXX) $(ASAN_FLAGS) -shared $^ -o $@ -lpthread

build/asan/cpp/bindings/python.o: ASAN_FLAGS += $(shell $(BIN)/python -m pybind11 --includes 2>/dev/null)

build/asan/%.o: %.cpp $(KERNEL_SOURCES)
	@mkdir -p $(dir $@)
	$(CXX) $(ASAN_FLAGS) -c $< -o $@

# The CPU build carries the version suffix +cpu and is looked for where pip is configured to look,
# then in PyTorch's own index; PyPI's plain build (with CUDA, some gigabytes) comes last.
$(INSTALLED): setup.py pyproject.toml Makefile $(KERNEL_SOURCES)
	@echo "setting up .venv (the first time takes minutes)"
	@test -x $(BIN)/python || $(PYTHON) -m venv .venv
	@$(PIP) "setuptools>=70" wheel "pybind11>=2.12"
ifneq ($(TORCH_INDEX),)
	@$(PIP) "torch==$(TORCH)" --index-url $(TORCH_INDEX)
else
	@$(PIP) "torch==$(TORCH)+cpu" 2>/dev/null \
	  || $(PIP) "torch==$(TORCH)" --index-url $(TORCH_CPU_INDEX) \
	  || $(PIP) "torch==$(TORCH)"
endif
	@$(PIP) --no-build-isolation -e ".[label,mpi,test,dev]"
	@touch $@

clean:
	rm -rf .venv build dist *.egg-info .mypy_cache .ruff_cache .pytest_cache .hypothesis
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
	find densnet ipi_driver -name '_*.so' -delete
