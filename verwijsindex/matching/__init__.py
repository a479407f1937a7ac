# SPDX-License-Identifier: EUPL-1.2
"""The matcher, and the matches a party or a case supervisor may read (R8, R9, R12, R19)."""
