# SPDX-License-Identifier: EUPL-1.2
"""How much each reporter, institution and the whole country may do in a window of time, against fishing (R37)."""
