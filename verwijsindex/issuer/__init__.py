# SPDX-License-Identifier: EUPL-1.2
"""The issuer of tokens: which client has which public key, and its rights. It sees no signal."""
