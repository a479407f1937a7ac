# SPDX-License-Identifier: EUPL-1.2
"""Who is calling: verifying access tokens, and what a caller may do."""
