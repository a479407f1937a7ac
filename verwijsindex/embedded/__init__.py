# SPDX-License-Identifier: EUPL-1.2
"""PostgreSQL and Redis from wheels for the demo and the tests, and the guard that leaves no process
behind."""
