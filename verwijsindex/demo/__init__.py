# SPDX-License-Identifier: EUPL-1.2
"""The demo: a day of eight invented institutions, played on this machine through the real processes, and checked."""
