# SPDX-License-Identifier: EUPL-1.2
"""Follow-up: rounds beside a match, who leads, deadlines and what follows a missed one (R21, R22, R23)."""
