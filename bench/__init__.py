# SPDX-License-Identifier: EUPL-1.2
"""Benchmarks: `python -m bench.NAME`; see bench/README.md."""
