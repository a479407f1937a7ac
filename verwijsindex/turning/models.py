# SPDX-License-Identifier: EUPL-1.2
"""Which versions of the index key are in use. The keys themselves are in files, and never here."""

from sqlmodel import Field, Index, SQLModel

from verwijsindex.registry.models import one_of

STATES = ("sealing", "accepted", "ending")


class IndexKeyVersion(SQLModel, table=True):
    """A version under which something may be sealed; when nothing is any more, its row goes.

    `sealing`: the one that new rows are sealed with. `accepted`: a process that has not heard yet may still seal with
    it. `ending`: nobody may; the database refuses a new signal under it.

    `knows_requests`: requests are known by the fingerprint of their idempotency key under this version. Of none in a
    database that versions up to 0.2.0 have used: until the key is first turned, requests are known by the key as sent.
    """

    __tablename__ = "index_key_version"
    __table_args__ = (
        one_of("state", STATES, "index_key_version_state"),
        Index("index_key_version_one_seals", "state", unique=True, postgresql_where="state = 'sealing'"),
        Index("index_key_version_one_knows_requests", "knows_requests", unique=True, postgresql_where="knows_requests"),
    )

    version: int = Field(primary_key=True, sa_column_kwargs={"autoincrement": False})
    state: str
    knows_requests: bool = Field(default=False)
