# SPDX-License-Identifier: EUPL-1.2
"""Tables of follow-up: the rounds of a match, who leads or is asked to, and which pairs are quiet (R21, R22, R23)."""

from datetime import date, datetime
from uuid import UUID

from sqlalchemy import ARRAY, CHAR, CheckConstraint, ForeignKey, Index, UniqueConstraint, text
from sqlmodel import Field, SQLModel

from verwijsindex.followup import deadlines
from verwijsindex.followup.leading import REASONS
from verwijsindex.followup.states import ENDED, OUTCOMES, STATES
from verwijsindex.registry.models import one_of
from verwijsindex.signals.models import Moment

STEPS = len(deadlines.STEPS)
"""What follows a missed deadline, one after the other: parties, coordinators, case supervisors."""


class Round(SQLModel, table=True):
    """A round of follow-up of a match; the one with the highest number is the present one.

    `contact_due_on`, `coordination_due_on`: the last day that is in time. `..._steps`: how many of the steps after a
    missed deadline are done. `next_step_on`: the day of the first that is still to come; null when none is.
    """

    __table_args__ = (
        one_of("state", STATES, "round_state"),
        one_of("outcome", OUTCOMES, "round_outcome"),
        CheckConstraint(
            f"(ended_at IS NOT NULL) = (state IN ({', '.join(repr(s) for s in sorted(ENDED))}))",
            name="round_ended_is_a_state",
        ),
        CheckConstraint("(outcome IS NOT NULL) = (state = 'closed')", name="round_closed_has_an_outcome"),
        CheckConstraint(
            f"contact_steps BETWEEN 0 AND {STEPS} AND coordination_steps BETWEEN 0 AND {STEPS}", name="round_steps"
        ),
        CheckConstraint("ended_at IS NULL OR next_step_on IS NULL", name="round_ended_has_no_step"),
        UniqueConstraint("match_id", "number", name="round_number_in_its_match"),
        Index("round_one_runs", "match_id", unique=True, postgresql_where=text("ended_at IS NULL")),
        Index("ix_round_to_count", "began_at", postgresql_where=text("institutions IS NOT NULL")),
        Index("ix_round_next_step_on", "next_step_on", postgresql_where=text("next_step_on IS NOT NULL")),
    )

    id: UUID = Field(primary_key=True)
    match_id: UUID = Field(foreign_key="match.id")
    number: int
    state: str = Field(default="notified")
    began_at: datetime = Field(sa_type=Moment)
    contacted_on: date | None = None
    contacted_at: datetime | None = Field(default=None, sa_type=Moment)
    coordinated_at: datetime | None = Field(default=None, sa_type=Moment)
    ended_at: datetime | None = Field(default=None, sa_type=Moment)
    outcome: str | None = None
    contact_due_on: date
    contact_steps: int = Field(default=0)
    coordination_due_on: date
    coordination_steps: int = Field(default=0)
    next_step_on: date | None = None
    institutions: list[str] | None = Field(default=None, sa_type=ARRAY(CHAR(20)))
    """Of the parties when it began, without persons with an own agreement: to be counted once (R32), and null then."""


class Lead(SQLModel, table=True):
    """Who leads a match or is asked to, and who of those who are shown in it was asked before. Of each open match one
    row is `proposed` or `accepted`; a proposal without a reporter is open to every party. `told_of`: the
    `proposed_at` of what was told; where it is another, the matcher has to tell who is asked.

    A row goes as soon as its reporter is not shown in the match any more. Of a match that ended it stays as long as its
    reporter has a signal on the youngster, and goes on in the match that comes back (R30).
    """

    __table_args__ = (
        one_of("state", ("proposed", "accepted", "declined", "unanswered", "handed_over"), "lead_state"),
        one_of("reason", REASONS, "lead_reason"),
        CheckConstraint("reporter_id IS NOT NULL OR state = 'proposed'", name="lead_open_is_proposed"),
        CheckConstraint(
            "(answer_due_on IS NOT NULL) = (state = 'proposed' AND reporter_id IS NOT NULL)",
            name="lead_who_is_asked_answers_in_time",
        ),
        UniqueConstraint("match_id", "reporter_id", name="lead_once_in_a_match"),
        Index("lead_one_runs", "match_id", unique=True, postgresql_where=text("state IN ('proposed', 'accepted')")),
        Index("ix_lead_answer_due_on", "answer_due_on", postgresql_where=text("answer_due_on IS NOT NULL")),
    )

    id: UUID = Field(primary_key=True)
    match_id: UUID = Field(foreign_key="match.id")
    reporter_id: UUID | None = Field(default=None, foreign_key="reporter.id", index=True)
    state: str
    reason: str
    proposed_at: datetime = Field(sa_type=Moment)
    answer_due_on: date | None = None
    told_of: datetime | None = Field(default=None, sa_type=Moment)


class Mute(SQLModel, table=True):
    """That a reporter, or `by_officer` the named officer in its place, said of another "we already work together on
    this youngster" (R23): that the one is told of the other waits for the digest. The other is told as before.

    It goes with the standing of who said it, with the youngster, and when the other has no signal on that youngster or
    a sibling any more, live or archived.
    """

    __table_args__ = (
        UniqueConstraint("id", name="mute_id_key"),
        Index("ix_mute_reporter_id", "reporter_id", "id"),
    )

    id: UUID
    youngster_id: UUID = Field(sa_column_args=[ForeignKey("youngster.id", ondelete="CASCADE")], primary_key=True)
    reporter_id: UUID = Field(foreign_key="reporter.id", primary_key=True)
    other_id: UUID = Field(foreign_key="reporter.id", primary_key=True, index=True)
    standing_id: UUID = Field(sa_column_args=[ForeignKey("standing.id", ondelete="CASCADE")], index=True)
    by_officer: bool
    muted_at: datetime = Field(sa_type=Moment)
