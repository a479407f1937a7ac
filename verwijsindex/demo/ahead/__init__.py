# SPDX-License-Identifier: EUPL-1.2
"""A folder for the PYTHONPATH of the demo's processes (`verwijsindex.demo.clock`)."""
