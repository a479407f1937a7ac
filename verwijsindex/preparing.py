# SPDX-License-Identifier: EUPL-1.2
"""`verwijsindex prepare`: the keys, passwords and addresses that docker-compose.yml wants, a folder for each operator.

What one process reads lies in the folder of its operator alone (docs/trust-model.md). Nothing is ever overwritten: to
lose a key is to lose what it sealed.
"""

import os
import secrets
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated

import typer

from verwijsindex import database
from verwijsindex.operating import addresses, roles_of
from verwijsindex.pseudonyms import commands as keys

FOR_A_POSTGRES = "postgresql+psycopg://postgres:{password}@{branch}-postgres:5432/postgres"
REDIS_CONF = """\
# The bell only: nothing of it is kept, and PostgreSQL is the truth (I1).
requirepass {password}
save ""
appendonly no
maxmemory 256mb
maxmemory-policy noeviction
"""


def prepare(
    folder: Annotated[Path, typer.Argument(help="New or empty folder; a folder for each operator is made in it.")],
) -> None:
    """Make every key, password and address that docker-compose.yml wants, in a folder for each operator.

    Run it once, as the account that the processes run as. FOLDER/offline holds the key that signs the list of key
    versions: take it off this machine. What is still to be added by hand: tls.crt and tls.key for each proxy.
    """
    if folder.exists() and any(folder.iterdir()):
        raise typer.BadParameter(f"{folder} is not empty: nothing is overwritten, since a lost key is lost data")
    index, pseudonyms, issuer, offline = (folder / name for name in ("index", "pseudonyms", "issuer", "offline"))
    for one in (index, pseudonyms, issuer, offline):
        one.mkdir(mode=0o700, parents=True)
    keys.make_index_key(index / "keys")
    keys.make_ledger_key(index / "ledger_key")
    keys.make_pseudonym_key(pseudonyms / "keys")
    (issuer / "keys").mkdir(mode=0o700)
    keys.make_issuer_key(issuer / "keys" / "issuer.jwk")
    signer = offline / "list-signer.jwk"
    keys.make_list_signer(signer)
    signed = pseudonyms / "keys" / "key-list.jws"
    keys.sign_list(service_keys=pseudonyms / "keys", signer=signer, out=signed)
    for one in (index, pseudonyms):
        shutil.copy(signer.with_name(f"{signer.name}.pub.json"), one / "keys")
    shutil.copy(signed, index / "keys")
    for branch in database.OWNERS:
        _database_secrets(folder / branch, branch)
    password = secrets.token_urlsafe(32)
    _write(index, {"redis.conf": REDIS_CONF.format(password=password)})
    _write(index, {"verwijsindex_broker_url": f"redis://:{password}@redis:6379/0\n"})
    typer.echo(f"{folder} is ready; take {offline} off this machine, and keep a sealed copy of each key elsewhere")


def _database_secrets(folder: Path, branch: str) -> None:
    """What PostgreSQL's image and `db init` need, and each role's address."""
    superuser = secrets.token_urlsafe(24)
    admin_url = FOR_A_POSTGRES.format(password=superuser, branch=branch)
    passwords = {role: secrets.token_urlsafe(24) for role in roles_of([branch])}
    by_variable = {"VERWIJSINDEX_ADMIN_DATABASE_URL": admin_url} | addresses(admin_url, passwords)
    _write(folder, {"postgres_password": superuser})
    _write(folder, {name.lower(): url for name, url in by_variable.items()})


def _write(folder: Path, files: Mapping[str, str]) -> None:
    for name, text in files.items():
        with os.fdopen(os.open(folder / name, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
            file.write(text)
