# SPDX-License-Identifier: EUPL-1.2
"""Pseudonyms: what stands for a BSN, computed blind (RFC 9497), and how the index seals it (R6, R7)."""
