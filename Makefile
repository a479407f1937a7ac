# SPDX-License-Identifier: EUPL-1.2
# Each target does what `python3 run.py TARGET` does. ARGS goes to the command: make test ARGS="-k voprf".
PYTHON ?= python3

.PHONY: help setup demo test test-long bench check fix lint-api audit sbom lock clean

help setup test test-long check fix lint-api audit sbom lock clean:
	@$(PYTHON) run.py $@ $(ARGS)

demo:
	@$(PYTHON) run.py demo $(if $(filter-out 0,$(ONCE)),--once) $(ARGS)

bench:
	@$(PYTHON) run.py bench $(if $(filter-out 0,$(FULL)),--full) $(if $(filter-out 0,$(KEEP)),--keep) $(ARGS)
