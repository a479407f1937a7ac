# SPDX-License-Identifier: EUPL-1.2
"""Turning the index key while everything serves: which versions are in use, and sealing again what is older (R16)."""
