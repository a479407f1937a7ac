# SPDX-License-Identifier: EUPL-1.2
"""What was done and seen, by whom (R25): events with canonical bytes and nonce, append-only."""
