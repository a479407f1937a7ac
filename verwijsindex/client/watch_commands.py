# SPDX-License-Identifier: EUPL-1.2
"""`verwijsindex client watch`: looks after the ledger, for an institution and for whoever else keeps checkpoints."""

from pathlib import Path
from typing import Annotated

import typer

from verwijsindex.client.client import VerwijsindexClient
from verwijsindex.client.commands import DEFAULT_CONFIG, Config, told
from verwijsindex.client.config import ClientConfig
from verwijsindex.client.errors import ConfigError
from verwijsindex.client.watching import watch_of

app = typer.Typer()


@app.command()
def watch(
    config: Config = DEFAULT_CONFIG,
    index: Annotated[str | None, typer.Option(help="Address of an index; then no configuration is read.")] = None,
    public_key: Annotated[Path | None, typer.Option(help="With --index: file with the verifier key.")] = None,
    keep: Annotated[Path, typer.Option(help="With --index: file of the checkpoints.")] = Path("ledger.checkpoints"),
) -> None:
    """Look whether the ledger only grew since the last look, and keep its newest checkpoint.

    Every command of this client does so at its end, where the configuration names ledger_key. Anybody can, without
    being known to the index: with --index and --public-key, every day or hour.

    Example: verwijsindex client watch --index https://index.example --public-key ledger.vkey
    """
    with told():
        if index:
            if public_key is None:
                raise ConfigError(
                    "say --public-key FILE: without the ledger's verifier key a checkpoint proves nothing"
                )
            newest = watch_of(index, public_key, keep).look()
        else:
            with VerwijsindexClient(ClientConfig.load(config)) as client:
                if client.ledger is None:
                    raise ConfigError(f"{config} names no ledger_key: ask the operator for the ledger's verifier key")
                newest = client.ledger.look()
        grown = "what was kept before, if anything, is all in it"
        typer.echo(f"{newest.origin}: {newest.size} events at {newest.at:%F %T} UTC; {grown}")
