# SPDX-License-Identifier: EUPL-1.2
"""`python -m verwijsindex`: the command line."""

from verwijsindex.cli import main

main()
