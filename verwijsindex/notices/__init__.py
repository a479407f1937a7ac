# SPDX-License-Identifier: EUPL-1.2
"""What is told to whom, and its delivery: inbox and webhook (R8, R12, R33)."""
