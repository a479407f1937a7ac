# SPDX-License-Identifier: EUPL-1.2
"""`verwijsindex client check ...`: for who writes an own sender or receiver."""

import os
import shlex
import subprocess
import sys
from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from typing import Annotated

import typer
from joserfc.jwk import OKPKey
from rich.console import Console
from rich.table import Table

from verwijsindex.client.channel import utc_now
from verwijsindex.client.check.cases import MUNICIPALITY, REPORTER, Round, rounds, signer, write_export
from verwijsindex.client.check.receiver import ReceiverCheck
from verwijsindex.client.check.sender import SenderCheck
from verwijsindex.client.check.standins import StandIns
from verwijsindex.client.check.verdicts import Verdicts
from verwijsindex.keyfiles import KeyFileError, read_public_key, write_public_key

app = typer.Typer(
    name="check",
    help="Does a home-made sender or receiver behave as the protocol says (docs/protocol.md)? Rule by rule.",
    no_args_is_help=True,
    rich_markup_mode="rich",
    pretty_exceptions_enable=False,
)


@app.command()
def receiver(
    address: Annotated[str, typer.Argument(help="Where your receiver takes webhooks, such as https://host/hook.")],
    secret: Annotated[
        str, typer.Option(envvar="WEBHOOK_SECRET", help="Its whsec_... ; better in the environment than here.")
    ],
) -> None:
    """Play the index to a receiver of webhooks: good events, forged ones, repeats, a challenge.

    Works against any address, also one of your acceptance environment; give it a secret of its own there. Each
    event names a reporter and an inbox that do not exist, so your receiver may find nothing when it reads on.

    Exit status: 0 every rule that was seen holds; 1 one does not, or none was seen; 2 the secret or
    the address cannot be used.

    Example: WEBHOOK_SECRET=whsec_... verwijsindex client check receiver http://127.0.0.1:8200/
    """
    if not address.startswith(("https://", "http://")):
        raise _unusable("the address starts with https:// (or http:// while you try)")
    try:
        check = ReceiverCheck(address, secret)
    except ValueError as error:
        raise _unusable(str(error)) from None
    _conclude(check.run(), "Receiver")


@app.command()
def sender(
    folder: Annotated[Path, typer.Argument(help="A folder for what your sender needs; made where it is not there.")],
    public_key: Annotated[Path, typer.Option(help="Your sender's public key (Ed25519 JWK).")],
    listen: Annotated[str, typer.Option(help="Host and first of three ports.")] = "127.0.0.1:8300",
    run: Annotated[
        str, typer.Option(help="Command that sends one file; {file} is the file. Without it you are asked to do it.")
    ] = "",
) -> None:
    """Play issuer, pseudonym service and index to a sender, and watch what it does.

    There are seven rounds. For each, FOLDER has an export with test BSNs (round-1.csv and so on) that your sender
    must send while the services behave in a certain way: well, away, refusing, with a false proof, with a list of
    keys that somebody else signed. Configure it with the addresses that are shown, any client id, its own
    private key, and FOLDER/key-list-signer.pub.json as the key that it pins. All keys here are known to
    everybody: never leave that file in a real configuration.

    What a real installation refuses it tells itself: against one, simply send, and read the problems.

    Exit status: 0 every rule that was seen holds; 1 one does not, or none was seen; 2 something given
    cannot be used.

    Example: verwijsindex client check sender check --public-key own.key.json.pub.json --run "./send.sh {file}"
    """
    host, _, port = listen.rpartition(":")
    try:
        key = read_public_key(public_key)
        services = StandIns(host, int(port))
    except (KeyFileError, OSError, ValueError, OverflowError) as error:
        raise _unusable(f"{error}; give --public-key FILE, and --listen 127.0.0.1:PORT with three free ports") from None
    if not run and not sys.stdin.isatty():
        services.close()
        raise _unusable("there is no terminal to ask you for each round: give the command that sends, with --run")
    folder.mkdir(parents=True, exist_ok=True)
    pinned = folder / "key-list-signer.pub.json"
    try:
        _pin(pinned)
    except KeyFileError as error:
        services.close()
        raise _unusable(f"{error}; give a FOLDER of its own: it may be the key that you pin for real") from None
    with services:
        for service, address in services.addresses.items():
            typer.echo(f"{service:11} {address}")
        typer.echo(f"{'pin':11} {pinned}")
        _conclude(check_sender(services, folder, key, utc_now(), _by_command(run) if run else _by_hand), "Sender")


def _pin(path: Path) -> None:
    """The public half of the key that everybody knows, never in the place of another. Raises KeyFileError."""
    ours = OKPKey.import_key(signer().as_dict(private=False))
    if path.exists() and read_public_key(path).thumbprint() == ours.thumbprint():
        return
    write_public_key(path, ours)


def check_sender(
    services: StandIns, folder: Path, key: OKPKey, now: datetime, send: Callable[[Round, Path], None]
) -> Verdicts:
    """Plays all rounds; `send` has a sender send the export of a round, and returns when it is done."""
    played = rounds(now)
    for one in played:
        path = folder / f"round-{one.number}.csv"
        write_export(path, one.rows, now)
        services.begin(one.number, one.trouble)
        send(one, path)
    return SenderCheck(services, played, key).judge()


def _by_command(command: str) -> Callable[[Round, Path], None]:
    def send(one: Round, path: Path) -> None:
        typer.echo(f"round {one.number}: {one.about}")
        arguments = [path if part == "{file}" else part.replace("{file}", str(path)) for part in shlex.split(command)]
        environment = os.environ | {"VERWIJSINDEX_CHECK_ROUND": str(one.number)}
        try:
            subprocess.run(arguments, env=environment, check=False)  # noqa: S603 (the tester's own)
        except OSError as error:
            raise _unusable(f"{arguments[0]}: {error.strerror}") from None

    return send


def _by_hand(one: Round, path: Path) -> None:
    table = Table(title=f"Round {one.number}: {one.about}", title_justify="default")
    for heading in ("case reference", "BSN", "birth date"):
        table.add_column(heading)
    for row in one.rows:
        table.add_row(row.case_reference, row.bsn, row.birth_date.isoformat())
    table.caption = f"reporter {REPORTER}, residence {MUNICIPALITY}, made now, family informed today (both): {path}"
    Console().print(table)
    typer.prompt("Have your sender send these, then press Enter", default="", show_default=False)


def _conclude(verdicts: Verdicts, title: str) -> None:
    Console().print(verdicts.table(title))
    count = list(verdicts.states().values()).count
    typer.echo(f"ok {count('ok')}, failed {count('failed')}, not seen {count('not seen')}")
    raise typer.Exit(0 if verdicts.passed else 1)


def _unusable(text: str) -> typer.Exit:
    typer.echo(f"error: {text}", err=True)
    return typer.Exit(2)
