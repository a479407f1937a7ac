# SPDX-License-Identifier: EUPL-1.2
"""The privacy officer's desk: who did and saw what, alerts, samples and reports (R25, R28, R37); it decides nothing."""
