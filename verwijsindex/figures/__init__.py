# SPDX-License-Identifier: EUPL-1.2
"""Management figures that are traceable to no youngster and no reporter (R32)."""
