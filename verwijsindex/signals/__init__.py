# SPDX-License-Identifier: EUPL-1.2
"""Signals: register, and later withdraw, end, archive and destroy (R3 to R9, R13 to R17)."""
