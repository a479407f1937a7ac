# SPDX-License-Identifier: EUPL-1.2
"""Which versions of the index key are in use. The keys themselves are in files, and never here."""

from sqlmodel import Field, Index, SQLModel

from verwijsindex.registry.models import one_of

STATES = ("sealing", "accepted", "ending")


class IndexKeyVersion(SQLModel, table=True):
    """A version under which something may be sealed; when nothing is any more, its row goes.

    `sealing`: the one that new rows are sealed with. `accepted`: a process that has not heard yet may still seal with
    it. `ending`: nobody may; the database refuses a new signal under it.
    """

    __tablename__ = "index_key_version"
    __table_args__ = (
        one_of("state", STATES, "index_key_version_state"),
        Index("index_key_version_one_seals", "state", unique=True, postgresql_where="state = 'sealing'"),
    )

    version: int = Field(primary_key=True, sa_column_kwargs={"autoincrement": False})
    state: str
