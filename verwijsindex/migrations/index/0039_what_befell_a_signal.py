# SPDX-License-Identifier: EUPL-1.2
"""An institution's privacy officer does not find that another's named officer was told of an own archived signal (R17,
R33, R36).

The version before goes on working: it finds that much less.
"""

from alembic import op

revision = "index_0039"
down_revision = "index_0038"
branch_labels = None
depends_on = None

# As 0032 has it, but of what names nobody only what befell the signal itself. A notice to named officers names no
# reporter either: it is found by the officer of their own institution, by `concerned_oin`.
POLICY = """
ALTER POLICY auditor ON event USING (
    (SELECT scope_own_privacy_officer()) IS NOT NULL AND (
        oin = (SELECT audited_oin())
        OR oin IS NULL AND municipality_code = (SELECT scope_municipality())
        OR oin IS NULL AND reporter_id IN (SELECT audited_reporters())
        OR oin IS NULL AND concerned_oin = (SELECT scope_oin())
        OR num_nonnulls((SELECT scope_oin()), (SELECT scope_municipality())) = 0
        OR kind IN ('signal.archived', 'signal.destroyed') AND num_nonnulls(oin, municipality_code, reporter_id) = 0
           AND audited_signal(signal_id)));
"""


def upgrade() -> None:
    """Bound what names nobody."""
    op.execute(POLICY)
