# The only commands to remember. Each may be run again at any time; `make help` lists them.
.DEFAULT_GOAL := help
.PHONY: help setup setup-dev up down demo team-up team-demo team-status team-logs team-backup team-restore team-down team-join team-leave status logs profile history plan package image test test-containers test-team lint bench screenshots lock clean

ifndef PYTHON
PYTHON := $(shell for p in python3.11 python3 python; do if "$$p" -c 'import sys; sys.exit(sys.version_info[:2] != (3, 11))' 2>/dev/null; then echo "$$p"; break; fi; done)
endif
ifeq ($(strip $(PYTHON)),)
NO_PYTHON := echo "Python 3.11 is needed and was not found: install it (Debian: apt-get install python3.11 python3.11-venv) or name it with PYTHON=/path/to/python3.11" >&2; exit 1;
endif
VENV := .venv/bin/python
IMAGE = $(or $(TAG),evergreen-serving)

# Short names on the command line: make up AIRFLOW_PORT=8081
ifdef AIRFLOW_PORT
export EVERGREEN_AIRFLOW_PORT := $(AIRFLOW_PORT)
endif
ifdef MLFLOW_PORT
export EVERGREEN_MLFLOW_PORT := $(MLFLOW_PORT)
endif
ifdef SERVING_PORT
export EVERGREEN_SERVING_PORT := $(SERVING_PORT)
endif

help:  ## this list
	@awk -F ':.*## *' '/^[a-z-]+:.*##/ {printf "make %-15s %s\n", $$1, $$2}' Makefile
	@echo "Ports: AIRFLOW_PORT (8080), MLFLOW_PORT (5000), SERVING_PORT (8000); other settings: EVERGREEN_...; also in a file .env"

setup:  ## install everything into .venv
	@$(NO_PYTHON)"$(PYTHON)" -m include.local.setup

setup-dev:
	@$(NO_PYTHON)"$(PYTHON)" -m include.local.setup --dev

up: setup  ## start the whole system and wait until it is ready
	@$(VENV) -m include.local up

down:  ## end the system; data stays
	@if [ -x $(VENV) ]; then $(VENV) -m include.local down; else echo "down: nothing is set up here"; fi

demo: setup  ## the tour: a use case from raw data to a served, watched and replaced model
	@$(VENV) -m include.local up
	@$(VENV) -m include.demo

team-up:  ## the system for a team, in containers: secrets, build, migrate, start, wait (needs Docker)
	@$(NO_PYTHON)"$(PYTHON)" -m include.team up

team-demo:  ## the tour, in the team's system
	@$(NO_PYTHON)"$(PYTHON)" -m include.team demo

team-status:  ## the team's containers and how they are
	@$(NO_PYTHON)"$(PYTHON)" -m include.team status

team-logs:  ## the last lines of every container
	@$(NO_PYTHON)"$(PYTHON)" -m include.team logs

team-backup:  ## write a backup of the team's system: TO=folder, else backups/<time>
	@$(NO_PYTHON)"$(PYTHON)" -m include.team backup $(if $(TO),'$(TO)')

team-restore:  ## bring a backup into an installation without data: FROM=folder
	@$(NO_PYTHON)"$(PYTHON)" -m include.team restore $(if $(FROM),'$(FROM)')

team-join:  ## start workers on this machine for the team's system on another one
	@$(NO_PYTHON)"$(PYTHON)" -m include.team join

team-leave:  ## end the workers of this machine
	@$(NO_PYTHON)"$(PYTHON)" -m include.team leave

team-down:  ## end the team's system; data stays
	@$(NO_PYTHON)"$(PYTHON)" -m include.team down

status: setup  ## what runs, where, and how it is
	@$(VENV) -m include.local status

logs: setup  ## the last lines of every process
	@$(VENV) -m include.local logs

profile: setup  ## propose expectations from data: USE_CASE=name, and FIRST=, LAST= where nothing is published yet
	@$(VENV) -m include.ingestion.propose $(or $(USE_CASE),$(error name a use case: make profile USE_CASE=flight_delay)) $(if $(FIRST),--first $(FIRST)) $(if $(LAST),--last $(LAST))

history: setup  ## which version was in production when, and why: USE_CASE=name, and ON=2026-11-21 for one day
	@$(VENV) -m include.history $(or $(USE_CASE),$(error name a use case: make history USE_CASE=flight_delay)) $(if $(ON),--on '$(ON)')

plan: setup  ## show what applying the feature definitions would change
	@$(VENV) -m include.local plan

package: setup  ## one version as a wheel that predicts with numpy alone: USE_CASE=name, VERSION=n or the champion, TO=folder
	@$(VENV) -m include.packaging $(or $(USE_CASE),$(error name a use case: make package USE_CASE=flight_delay)) $(if $(VERSION),--version '$(VERSION)') $(if $(TO),--to '$(TO)')

image:  ## build the container image that serves; TAG=name, EVERGREEN_PYTHON_IMAGE=another base
	@command -v docker >/dev/null || { echo "image: docker was not found: install Docker, or another engine with its command" >&2; exit 1; }
	@docker build $(BUILD_OPTIONS) $(if $(EVERGREEN_PYTHON_IMAGE),--build-arg 'PYTHON_IMAGE=$(EVERGREEN_PYTHON_IMAGE)') -t '$(IMAGE)' -f containers/serving/Dockerfile .
	@docker image inspect --format '{{.Size}}' '$(IMAGE)' | awk '{printf "image: $(IMAGE), %d MB\n", $$1 / 1e6}'

test: setup-dev  ## run the tests, but those of containers; ARGS="-k name" chooses
	@$(VENV) -m pytest -m "not container and not team" $(ARGS)

test-containers: setup-dev  ## build the image, run it and ask it (needs a docker engine)
	@$(VENV) -m pytest -m container $(ARGS)

test-team: setup-dev  ## start the team's system, run its loop, break its parts, restore its backup (needs Docker)
	@$(VENV) -m pytest -m team $(ARGS)

lint: setup-dev  ## check style and types
	@echo "lint: ruff check" && $(VENV) -m ruff check .
	@echo "lint: ruff format --check" && $(VENV) -m ruff format --check .
	@echo "lint: mypy" && $(VENV) -m mypy -p include -p benchmarks

bench: setup-dev  ## run the benchmarks; ONLY=name chooses one
	@$(VENV) -m benchmarks $(ONLY)

screenshots: setup-dev  ## take the pictures of the README from the running system (needs Chromium)
	@PYTHONPATH=. $(VENV) docs/screenshots.py

lock:  ## resolve requirements*.in anew
	@$(NO_PYTHON)"$(PYTHON)" -m include.local.setup --lock

clean:  ## end the system and remove all it wrote, the data and .venv included
	@if [ -x $(VENV) ]; then $(VENV) -m include.local clean; fi
	@echo "clean: .venv and caches" && rm -rf .venv .pytest_cache .ruff_cache .mypy_cache .hypothesis
