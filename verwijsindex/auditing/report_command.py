# SPDX-License-Identifier: EUPL-1.2
"""`verwijsindex officer report`: the figures of a period, in a file (R25, R28)."""

from datetime import datetime
from pathlib import Path
from typing import Annotated, Literal

import typer

from verwijsindex.auditing.connection import FROM_INPUT, CaFile, Desk, Index, Token
from verwijsindex.client.commands import told

MEDIA = {".pdf": "application/pdf", ".json": "application/json"}
app = typer.Typer()


@app.command()
def report(
    file: Annotated[Path, typer.Argument(metavar="FILE.pdf|FILE.json", help="New file; its ending says the form.")],
    since: Annotated[datetime, typer.Option("--from", formats=["%Y-%m-%d"], help="First day, as 2026-11-01.")],
    until: Annotated[datetime, typer.Option("--until", formats=["%Y-%m-%d"], help="Last day; a year at most.")],
    index: Index,
    token: Token = FROM_INPUT,
    language: Annotated[Literal["nl", "en"], typer.Option(help="Of a PDF.")] = "nl",
    ca_file: CaFile = None,
) -> None:
    """Report on a period of the ledger in figures: a PDF with charts, or JSON. It names nobody.

    Example: verwijsindex officer report 2026.pdf --from 2026-01-01 --until 2026-12-31 --index https://index.example
    --token my.token
    """
    if file.suffix not in MEDIA:
        raise typer.BadParameter("let its name end with .pdf or .json", param_hint="FILE")
    asked = {"from": f"{since:%Y-%m-%d}", "until": f"{until:%Y-%m-%d}", "language": language}
    with told(), Desk(index, token, ca_file) as desk:
        written = desk.document("/ledger-reports", asked, MEDIA[file.suffix])
        with file.open("xb") as opened:
            opened.write(written)
    typer.echo(f"{file}: {len(written)} bytes")
