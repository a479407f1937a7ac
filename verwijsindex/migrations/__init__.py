# SPDX-License-Identifier: EUPL-1.2
"""Alembic: one branch for each database (`index`, `issuer`)."""
