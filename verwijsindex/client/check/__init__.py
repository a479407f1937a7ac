# SPDX-License-Identifier: EUPL-1.2
"""Does a home-made sender or receiver behave as docs/protocol.md says? Rule by rule, against any address."""
