# SPDX-License-Identifier: EUPL-1.2
"""Backup and restore: on a fresh cluster everything is as it was and goes on, and nothing is ever written over."""

import base64
import json
import shutil
import subprocess
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
import sqlalchemy as sa
from ledger.ledgers import SIGNER
from pydantic import SecretStr
from support import CLINIC, NOW, PASSWORDS, POLICE, SCHOOL, Database, Index, pseudonym
from typer.testing import CliRunner

from verwijsindex import backup, database
from verwijsindex.backup import BackupError, Manifest, back_up, check, restore
from verwijsindex.cli import command_line
from verwijsindex.embedded.postgres import EmbeddedPostgres
from verwijsindex.ledger.base64 import decode
from verwijsindex.ledger.checkpoint import Checkpoint
from verwijsindex.ledger.sealing import seal
from verwijsindex.ledger.tree import extends
from verwijsindex.matching.sweeping import sweep_ends
from verwijsindex.operating import ENVIRONMENT, addresses
from verwijsindex.signals.tombstones import Tombstones, read


@pytest.fixture(scope="module")
def other_cluster() -> Iterator[EmbeddedPostgres]:
    with EmbeddedPostgres(durable=False) as server:
        yield server


@pytest.fixture
def fresh(other_cluster: EmbeddedPostgres) -> Iterator[Database]:
    """The index's database on another cluster, as `db init` makes it: no tables yet."""
    with sa.create_engine(other_cluster.url(), isolation_level="AUTOCOMMIT").connect() as connection:
        connection.exec_driver_sql('DROP DATABASE IF EXISTS "verwijsindex" WITH (FORCE)')
    database.init_cluster(other_cluster.url().replace("+psycopg", ""), PASSWORDS)
    by_variable = addresses(other_cluster.url(), PASSWORDS)
    urls = {role: SecretStr(by_variable[variable]) for role, variable in ENVIRONMENT.items()}
    made = Database("index", urls, sa.create_engine(other_cluster.url("verwijsindex")))
    yield made
    made.close()


def _owner(one: Database) -> SecretStr:
    return one.urls["verwijsindex_owner"]


def _content(one: Database) -> dict[str, list[Any]]:
    tables = one.rows("SELECT tablename FROM pg_tables WHERE schemaname = 'public' ORDER BY 1")
    return {str(t[0]): sorted(map(repr, one.rows(f'SELECT * FROM "{t[0]}"'))) for t in tables}


def _played(index: Index) -> None:
    """A match, one that ended, one in the archive, and signals that no matcher has seen."""
    soon = (index.clock().date() + timedelta(days=3)).isoformat()
    index.place(0, SCHOOL)
    index.place(0, CLINIC, removalDate=soon, turns23On=soon)
    index.place(1, POLICE)
    withdrawn = index.place(2, POLICE)
    index.match()
    _end(index, "risk_gone", withdrawn)
    index.clock.move(days=4)
    index.place(0, POLICE)
    index.place(1, CLINIC)
    index.match()
    index.place(1, SCHOOL, n=1)


def _inboxes(index: Index) -> list[int]:
    readers = [index.reader(oin, n) for oin, n in ((SCHOOL, 0), (SCHOOL, 1), (CLINIC, 0), (POLICE, 0))]
    return [len(index.get("/notices", reader).json["items"]) for reader in readers]


def test_on_a_fresh_cluster_everything_is_as_it_was_and_goes_on(
    index: Index, fresh: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By the commands, while signals come in; the restored system goes on with what waited. Seen failing when the dump
    was not of the counted snapshot."""
    _played(index)
    seal(index.database.engine("worker"), NOW, SIGNER)
    checkpoint = tmp_path / "checkpoint"
    checkpoint.write_text(index.database.scalar("SELECT note FROM checkpoint"))
    (tmp_path / "key").write_text(f"{SIGNER.key}\n")
    before = _content(index.database)
    run = backup._run

    def run_while_signals_come(program: str, *arguments: Any) -> None:
        if program == "pg_dump":
            index.place(7, SCHOOL)
        run(program, *arguments)

    monkeypatch.setattr(backup, "_run", run_while_signals_come)
    owner = "VERWIJSINDEX_OWNER_DATABASE_URL"
    commands, arguments = command_line("db"), ["db", "backup", "index", str(tmp_path / "backups")]
    done = CliRunner().invoke(commands, arguments, env={owner: _owner(index.database).get_secret_value()})
    assert done.exit_code == 0, done.output
    [made] = (tmp_path / "backups").iterdir()
    assert str(made) in done.output.splitlines()
    outside = ["--checkpoint", str(checkpoint), "--ledger-key", str(tmp_path / "key")]
    arguments = ["db", "restore", str(made), "--no-tombstones", *outside]
    done = CliRunner().invoke(commands, arguments, env={owner: _owner(fresh).get_secret_value()})
    assert done.exit_code == 0, done.output
    assert "index key of version 1" in done.output
    assert "the ledger is what was sealed, up to event" in done.output

    assert _content(fresh) == before != _content(index.database)
    for pool in ("intake_pool", "index_pool"):
        index.app.extensions[pool].dispose()
    before_that = _inboxes(index)
    index.open(fresh)
    assert _inboxes(index) == before_that
    index.match()
    after = _inboxes(index)
    assert after[1] == 1, "who waited was not matched"
    index.place(0, SCHOOL, n=1)
    index.match()
    assert _inboxes(index) == [after[0] + 1, after[1] + 1, after[2], after[3] + 1]
    old = Checkpoint.open(checkpoint.read_text(), [SIGNER.key])
    seal(fresh.engine("worker"), NOW, SIGNER)
    new = Checkpoint.open(index.get("/checkpoints/newest", {}).json["checkpoint"], [SIGNER.key])
    proof = index.get(f"/consistency-proofs?from={old.size}&to={new.size}", {}).json["proof"]
    assert extends(old.size, old.root, new.size, new.root, [decode(one) for one in proof])


@pytest.fixture
def made(index: Index, tmp_path: Path) -> Path:
    """A backup of a small index."""
    index.place(0, SCHOOL)
    index.place(0, CLINIC)
    index.match()
    index.place(1, CLINIC)
    return back_up(_owner(index.database), "index", tmp_path / "backups", NOW)


def test_the_issuer_is_backed_up_alike(issuer_database: Database, tmp_path: Path) -> None:
    folder = back_up(issuer_database.urls["verwijsindex_issuer_owner"], "issuer", tmp_path, NOW)
    assert folder == tmp_path / "issuer-20261122T100000Z"
    manifest = Manifest.read(folder)
    assert (manifest.branch, manifest.newest_event) == ("issuer", None)
    check(issuer_database.urls["verwijsindex_issuer_owner"], folder, manifest)


def test_nothing_is_written_over(index: Index, fresh: Database, made: Path) -> None:
    """Neither a full database, nor one of another version, nor by what is not whole."""
    before = _content(index.database)
    with pytest.raises(BackupError, match="not empty"):
        restore(_owner(index.database), made, NOW)
    assert _content(index.database) == before
    with pytest.raises(BackupError, match="exists already"):
        back_up(_owner(index.database), "index", made.parent, NOW)

    newer = shutil.copytree(made, made.parent / "newer")
    said = json.loads((newer / "manifest.json").read_text()) | {"revision": "index_9999", "version": "9.0"}
    (newer / "manifest.json").write_text(json.dumps(said))
    with pytest.raises(BackupError, match=r"version 9\.0"):
        restore(_owner(fresh), newer, NOW)

    for name, value in (("branch", "nix"), ("rows", "x"), ("sha256", [1]), ("postgres", "a"), ("revision", [])):
        said = json.loads((made / "manifest.json").read_text()) | {name: value}
        (newer / "manifest.json").write_text(json.dumps(said))
        with pytest.raises(BackupError, match=r"no whole backup|no database of ours"):
            restore(_owner(fresh), newer, NOW)

    (cut := shutil.copytree(made, made.parent / "cut") / "database.dump").write_bytes(
        (made / "database.dump").read_bytes()[:-1]
    )
    with pytest.raises(BackupError, match="not what was written"):
        restore(_owner(fresh), cut.parent, NOW)
    (cut.parent / "manifest.json").unlink()
    with pytest.raises(BackupError, match="no whole backup"):
        restore(_owner(fresh), cut.parent, NOW)
    assert _content(fresh) == {}


def test_a_backup_that_failed_leaves_nothing_that_looks_like_one(
    index: Index, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object) -> None:
        raise BackupError("the disk is full")

    monkeypatch.setattr(backup, "_run", fail)
    with pytest.raises(BackupError, match="disk"):
        back_up(_owner(index.database), "index", tmp_path / "backups", NOW)
    assert list((tmp_path / "backups").iterdir()) == []


def test_where_nothing_can_be_written_is_said(index: Index, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    arguments = ["db", "backup", "index", str(tmp_path / "file")]
    env = {"VERWIJSINDEX_OWNER_DATABASE_URL": _owner(index.database).get_secret_value()}
    done = CliRunner().invoke(command_line("db"), arguments, env=env)
    assert done.exit_code == 1
    assert "no backup was made: " in str(done.exception)


CHANGES = {
    "row security": ("ALTER TABLE signal DISABLE ROW LEVEL SECURITY", "relation signal"),
    "grant": ("GRANT SELECT ON signal TO verwijsindex_intake", "grant SELECT on signal to verwijsindex_intake"),
    "column grant": ("GRANT SELECT (youngster_id) ON signal TO verwijsindex_index", "(youngster_id) on signal"),
    "policy": ("DROP POLICY auditor ON event", "missing: policy auditor"),
    "trigger": ("DROP TRIGGER event_is_append_only ON event", "missing: CREATE TRIGGER event_is_append_only"),
    "trigger off": ("ALTER TABLE event DISABLE TRIGGER event_is_append_only", "enabled D"),
    "function": ("GRANT EXECUTE ON FUNCTION visible_parties() TO PUBLIC", "on visible_parties() to PUBLIC"),
    "constraint": ("ALTER TABLE signal DROP CONSTRAINT signal_pseudonym_is_sealed", "signal_pseudonym_is_sealed"),
    "index": ("DROP INDEX ix_signal_reporter", "ix_signal_reporter"),
    "row": ("DELETE FROM work", "work: 0 and not 1"),
    "sequence": ("ALTER SEQUENCE work_id_seq RESTART", "work.id: its next number is in use"),
    "role": ("ALTER ROLE verwijsindex_intake SUPERUSER", "role verwijsindex_intake superuser t"),
}


def test_nothing_that_was_destroyed_since_comes_back(index: Index, fresh: Database, tmp_path: Path) -> None:
    """R16: a real backup, destructions of every kind after it, and a restore with the tombstones. Seen failing (all of
    it was there again) without the replay, and (refused by a constraint) when the replay only deleted."""
    key, superuser = index.app.extensions["index_keys"].current, index.database.superuser
    soon = (NOW.date() + timedelta(days=3)).isoformat()
    parents = [key.seal_pseudonym("parent", pseudonym(50 + n)) for n in range(2)]
    gone = {
        "matched": index.place(0, SCHOOL),
        "alone": index.place(1, CLINIC),
        "of age": index.place(2, SCHOOL, removalDate=soon, turns23On=soon),
        "sibling": index.place(3, SCHOOL, n=1),
        "died in the archive": index.place(4, SCHOOL),
    }
    stay = {index.place(0, CLINIC), index.place(0, POLICE), index.place(5, CLINIC)}
    with superuser.begin() as connection:
        named = {"parents": parents[:1], "signals": [gone["sibling"], *stay]}
        connection.execute(sa.text("UPDATE signal SET parents_sealed = :parents WHERE id = ANY(:signals)"), named)
        named = {"parents": parents, "signals": [gone["alone"]]}
        connection.execute(sa.text("UPDATE signal SET parents_sealed = :parents WHERE id = ANY(:signals)"), named)
    index.match()
    _end(index, "risk_gone", gone["died in the archive"])
    gone["unseen"] = index.place(6, SCHOOL)
    made = back_up(_owner(index.database), "index", tmp_path / "backups", NOW)

    tombstones = Tombstones(tmp_path / "tombstones.txt")
    index.match(tombstones.bury)
    died = key.seal_pseudonym("youngster", pseudonym(4))
    with superuser.begin() as connection:
        statement = sa.text("INSERT INTO death VALUES (gen_random_uuid(), :key, 1, :now)")
        connection.execute(statement, {"key": died, "now": NOW})
    for name in ("matched", "alone", "sibling", "unseen"):
        _end(index, "unjustified", gone[name])
    index.match(tombstones.bury)
    index.clock.move(days=4)
    keys, worker = index.app.extensions["index_keys"], index.database.engine("worker")
    sweep_ends(worker, index.clock(), index.clock(), keys=keys, bury=tombstones.bury)
    assert {row[0] for row in index.database.rows("SELECT id FROM signal")} == stay
    assert read([tombstones.file]) == (set(gone.values()), {}, 0)

    for pool in ("intake_pool", "index_pool"):
        index.app.extensions[pool].dispose()
    env = {"VERWIJSINDEX_OWNER_DATABASE_URL": _owner(fresh).get_secret_value()}
    for options in ([], ["--no-tombstones", "--tombstones", str(tombstones.file)]):
        done = CliRunner().invoke(command_line("db"), ["db", "restore", str(made), *options], env=env)
        assert (done.exit_code, "never both" in done.output) == (2, True)
    missing = ["--tombstones", str(tmp_path / "not there")]
    done = CliRunner().invoke(command_line("db"), ["db", "restore", str(made), *missing], env=env)
    assert done.exit_code == 1
    assert _content(fresh) == {}
    options = ["--tombstones", str(tombstones.file)]
    done = CliRunner().invoke(command_line("db"), ["db", "restore", str(made), *options], env=env)
    assert done.exit_code == 0, done.output
    assert f"of {len(gone)} tombstones {len(gone)} were of signals in it" in done.output

    index.open(fresh)
    for _ in range(2):  # at once, and after the matcher did what waited
        assert {row[0] for row in fresh.rows("SELECT id FROM signal")} == stay
        assert {row[0] for row in fresh.rows("SELECT signal_id FROM tombstone")} == set(gone.values())
        assert fresh.rows("SELECT FROM archived_signal") == []
        assert fresh.rows("SELECT FROM work WHERE signal_id <> ALL(:stay)", stay=list(stay)) == []
        assert fresh.scalar("SELECT count(*) FROM youngster") == 2
        assert {bytes(row[0]) for row in fresh.rows("SELECT key FROM parent")} == set(parents[:1])
        assert fresh.scalar("SELECT count(*) FROM standing") == len(stay)
        assert fresh.rows("SELECT FROM party WHERE reporter_id = :r", r=index.reporters[SCHOOL][0]) == []
        assert {row[0] for row in fresh.rows("SELECT DISTINCT kind FROM match WHERE ended_at IS NULL")} == {
            "youngster",
            "family",
        }
        assert fresh.rows("SELECT FROM notice WHERE kind = 'party_withdrew'") == []
        destroyed = fresh.rows("SELECT FROM event WHERE convert_from(body, 'UTF8') LIKE '%\"signal.destroyed\"%'")
        assert len(destroyed) == len(gone)
        index.match()


def test_what_was_withdrawn_since_has_ended_again(index: Index, fresh: Database, tmp_path: Path) -> None:
    """R13, I6: the moment that the restore is over, and with the end of the five years that it had. Who was told of the
    party when the backup was made is told of the withdrawal. Seen failing (live again) without `end_again`."""
    gone, unseen, waiting = index.place(0, SCHOOL), index.place(1, SCHOOL), index.place(0, CLINIC)
    index.match()
    unattached = index.place(2, SCHOOL)
    made = back_up(_owner(index.database), "index", tmp_path / "backups", NOW)
    tombstones = Tombstones(tmp_path / "tombstones.txt")
    index.clock.move(hours=1)
    at = index.clock()
    for signal in (gone, unseen, unattached):
        _end(index, "risk_gone", signal)
    index.match(tombstones.bury)
    archive = "SELECT id, ended_at, end_reason, destroy_on FROM archived_signal ORDER BY id"
    archived = index.database.rows(archive)
    assert read([tombstones.file]) == (set(), dict.fromkeys((gone, unseen, unattached), at), 0)
    _end(index, "unjustified", waiting)  # nobody has seen it yet, so it comes back
    with index.database.superuser.begin() as connection:  # and one is destroyed after all
        connection.execute(
            sa.text("UPDATE archived_signal SET destroy_on = :day WHERE id = :id"), {"day": NOW.date(), "id": unseen}
        )
    sweep_ends(index.database.engine("worker"), at, at, keys=index.app.extensions["index_keys"], bury=tombstones.bury)
    assert read([tombstones.file]).withdrawn.keys() == {gone, unattached}

    for pool in ("intake_pool", "index_pool"):
        index.app.extensions[pool].dispose()
    env = {"VERWIJSINDEX_OWNER_DATABASE_URL": _owner(fresh).get_secret_value()}
    options = ["db", "restore", str(made), "--tombstones", str(tombstones.file)]
    done = CliRunner().invoke(command_line("db"), options, env=env)
    assert done.exit_code == 0, done.output
    assert "of 1 tombstones 1 were of signals in it" in done.output
    assert "of 2 signals withdrawn 2 were live in it: they have ended again" in done.output
    assert all(next_step in done.output for next_step in ("db upgrade index", "upkeep ends", "send FILE --again"))
    index.open(fresh)
    assert index.get("/signals", index.reader(SCHOOL)).json["items"] == []
    assert index.get("/matches", index.reader(CLINIC)).json["items"] == []
    index.match()
    assert fresh.rows(archive) == [row for row in archived if row.id != unseen]
    told = index.get("/notices", index.reader(CLINIC)).json["items"]
    assert [notice["kind"] for notice in told] == ["party_withdrew", "match"]
    ended = fresh.rows("SELECT FROM event WHERE convert_from(body, 'UTF8') LIKE '%\"signal.ended\"%'")
    assert len(ended) == 2


def _end(index: Index, reason: str, signal: UUID) -> None:
    with index.database.superuser.begin() as connection:
        asked = {"now": index.clock(), "reason": reason, "signal": signal}
        ending = "UPDATE signal SET ended_at = :now, end_reason = :reason WHERE id = :signal"
        connection.execute(sa.text(ending), asked)
        connection.execute(sa.text("INSERT INTO work (signal_id) VALUES (:signal)"), asked)


def test_what_came_back_otherwise_is_named(fresh: Database, made: Path) -> None:
    """Each thing that guards the rows: as if the restore had lost it."""
    manifest, *_ = restore(_owner(fresh), made, NOW)
    for change, told in CHANGES.values():
        with fresh.superuser.connect() as connection:
            connection.exec_driver_sql(change)
            differences = _differences(connection, made, manifest)
            connection.rollback()
        assert told in differences, (change, differences)
    check(_owner(fresh), made, manifest)


def _differences(connection: sa.Connection, made: Path, manifest: Manifest) -> str:
    """What `check` says of a database in which a transaction has changed something."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(backup, "_owner", lambda _: _Open(connection))
        with pytest.raises(BackupError, match="let nothing use it") as error:
            check(SecretStr(""), made, manifest)
    return str(error.value)


class _Open:
    """A connection that stays open."""

    def __init__(self, connection: sa.Connection) -> None:
        self.connection = connection

    def __enter__(self) -> sa.Connection:
        return self.connection

    def __exit__(self, *_: object) -> None:
        """Stays open."""


def test_no_key_and_no_password_is_in_a_backup(index: Index, made: Path) -> None:
    """Who steals a backup has no key with it (docs/trust-model.md). The search finds what is there."""
    sql = subprocess.run(
        [backup._program("pg_restore", 18), "--file=-", str(made / "database.dump")], check=True, capture_output=True
    ).stdout
    left = sql + b"".join(file.read_bytes() for file in made.iterdir())
    key = bytes(range(32))
    assert (index.folder / "index-1.key").read_bytes().strip() == base64.urlsafe_b64encode(key).rstrip(b"=")
    secrets = [key, *(form(key) for form in (base64.b64encode, base64.urlsafe_b64encode))]
    for secret in [*(s.rstrip(b"=") for s in secrets), key.hex().encode(), b"only-in-tests", b"SCRAM-SHA-256"]:
        assert secret not in left
    assert "Coördinator Het Kompas".encode() in left
    for file in (made, *made.iterdir()):
        assert file.stat().st_mode & 0o077 == 0
