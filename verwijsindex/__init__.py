# SPDX-License-Identifier: EUPL-1.2
"""Verwijsindex: who is concerned about the same youngster is told of the others, and nothing more."""

__version__ = "0.5.0"
