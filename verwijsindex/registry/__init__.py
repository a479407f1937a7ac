# SPDX-License-Identifier: EUPL-1.2
"""Who may: municipalities, institutions, agreements, reporters, coordinators, case supervisors (R1, R12)."""
