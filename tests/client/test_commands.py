# SPDX-License-Identifier: EUPL-1.2
"""`verwijsindex client ...` against the real services, and that nothing it shows holds a BSN (I5)."""

import csv
import json
import logging
import stat
from io import StringIO
from pathlib import Path
from uuid import UUID, uuid4

import httpx
import pytest
from client.services import CLIENT_ID, INDEX, ISSUER, PSEUDONYMS, Services, bsns
from client.test_rows import GOOD
from rich.console import Console, RenderableType
from typer.testing import CliRunner, Result

from verwijsindex.client import VerwijsindexClient, cli, commands, reading_commands, tables
from verwijsindex.client.posting import PATH
from verwijsindex.client.rows import COLUMNS
from verwijsindex.keyfiles import read_public_key, read_signing_key
from verwijsindex.matching.service import match_waiting


class Shell:
    """Runs commands in a folder with a configuration for the services."""

    def __init__(self, services: Services, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.folder = folder
        for module in (commands, reading_commands):
            monkeypatch.setattr(module, "VerwijsindexClient", services.client)
        monkeypatch.chdir(folder)
        monkeypatch.setenv("COLUMNS", "200")
        keys = services.folder
        (folder / "client.toml").write_text(
            f'index = "{INDEX}"\npseudonyms = "{PSEUDONYMS}"\nissuer = "{ISSUER}"\nclient_id = "{CLIENT_ID}"\n'
            f'key_file = "{keys / "client.key.json"}"\nkey_list_signer = "{keys / "signer.pub.json"}"\n'
        )

    def run(self, *arguments: object) -> Result:
        return CliRunner().invoke(commands.app, [str(argument) for argument in arguments])

    def export(self, rows: list[dict[str, str]], name: str = "export.csv") -> Path:
        with (self.folder / name).open("w", newline="") as file:
            writer = csv.DictWriter(file, COLUMNS)
            writer.writeheader()
            writer.writerows(rows)
        return self.folder / name


@pytest.fixture
def shell(services: Services, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Shell:
    folder = tmp_path / "shell"
    folder.mkdir()
    return Shell(services, folder, monkeypatch)


def rows(reporter: UUID, count: int) -> list[dict[str, str]]:
    return [
        {**GOOD, "reporter": str(reporter), "bsn": bsn, "case_reference": f"Z-{n}"} for n, bsn in enumerate(bsns(count))
    ]


def test_an_export_without_faults_is_sent_and_ends_with_0(services: Services, shell: Shell) -> None:
    [reporter] = services.register(["Anna de Vries"])
    shell.export(rows(reporter, 5))
    result = shell.run("send", "export.csv")
    assert (result.exit_code, result.stdout) == (0, "accepted 5, refused 0\n")
    assert services.index_database.scalar("SELECT count(*) FROM signal") == 5
    again = shell.run("send", "export.csv")
    assert (again.exit_code, services.index_database.scalar("SELECT count(*) FROM signal")) == (0, 5)


def test_refused_rows_are_reported_whoever_refused_them_and_it_ends_with_1(services: Services, shell: Shell) -> None:
    [reporter] = services.register(["Anna de Vries"])
    content = rows(reporter, 7)
    content[1] |= {"bsn": "999900007", "informed_to": "aunt"}
    content[2]["reporter"] = str(uuid4())
    content[3]["residence_municipality"] = "1701"
    content[4]["case_reference"] = content[4]["bsn"]
    content[6] |= {"informed_on": "", "informed_to": "", "postponed_ground": "safety", "review_date": "2030-01-01"}
    shell.export(content)
    Path("refused.csv").write_text("line,case_reference,column,code,advice\r\n" * 100)  # an older one
    result = shell.run("send", "export.csv", "--refused", "refused.csv")
    assert result.exit_code == 1
    assert "accepted 2, refused 5" in result.stdout
    with Path("refused.csv").open(newline="") as file:
        reported = [
            (line["line"], line["case_reference"], line["column"], line["code"]) for line in csv.DictReader(file)
        ]
    assert reported == [  # by line, whoever refused it and when
        ("3", "Z-1", "bsn", "bsn-eleven-test"),
        ("3", "Z-1", "informed_to", "informed-to"),
        ("4", "Z-2", "row", "reporter-not-designated"),
        ("5", "Z-3", "residence_municipality", "unknown"),
        ("6", "", "case_reference", "case-reference-hides-bsn"),
        ("8", "Z-6", "review_date", "not_allowed"),
    ]
    for code in ("bsn-eleven-test", "reporter-not-designated", "check it at its source"):
        assert code in result.stdout
    places = [result.stdout.index(column) for column in ("informed_to", "Z-2", "Z-3", "case_reference ")]
    assert places == sorted(places)
    assert stat.S_IMODE(Path("refused.csv").stat().st_mode) == 0o600


def test_of_many_faults_the_screen_has_some_and_the_file_all(services: Services, shell: Shell) -> None:
    [reporter] = services.register(["Anna de Vries"])
    shell.export([{**row, "bsn": "1"} for row in rows(reporter, 50)])
    result = shell.run("send", "export.csv", "--refused", "refused.csv")
    assert "and 30 faults more; in all: bsn-form 50" in " ".join(result.stdout.split())
    assert len(Path("refused.csv").read_text().splitlines()) == 51


def test_nothing_that_is_shown_written_or_logged_holds_a_bsn(
    services: Services, shell: Shell, caplog: pytest.LogCaptureFixture
) -> None:
    """The canary: BSNs in every column, right and wrong, in rows that are accepted and refused by either side.

    With the case reference of a refused row shown as it came, three of them stood in the report.
    """
    [reporter] = services.register(["Anna de Vries"])
    canaries = bsns(30)
    content = rows(reporter, len(canaries))
    for row, column in zip(content, [*COLUMNS, *COLUMNS], strict=False):
        row[column] = row["bsn"]
    content[25]["reporter"] = str(uuid4())
    content[26]["residence_municipality"] = "0505"
    content[27]["case_reference"] = "a" + content[27]["bsn"]
    content[28]["bsn"] = "0" + content[28]["bsn"]
    with shell.export(content).open("ab") as file:
        file.write(f'{canaries[0]},"{canaries[1]}\r\n{canaries[2]}\x00,\r\n\xeb{canaries[3]}\r\n'.encode("latin-1"))
    with caplog.at_level(logging.DEBUG):
        result = shell.run("send", "export.csv", "--refused", "refused.csv")
    assert result.exit_code == 1
    assert services.posted()
    told = result.output + result.stderr + Path("refused.csv").read_text() + caplog.text
    told += "".join(f"{r.url}{r.headers}{r.content!r}" for r in services.requests)
    told += repr(caplog.records)
    assert not [bsn for bsn in canaries if bsn in told]
    assert not [bsn for bsn in canaries if bsn[:8] in told]


def test_a_header_of_values_is_refused_with_2_and_not_repeated(services: Services, shell: Shell) -> None:
    Path("export.csv").write_text(",".join(GOOD.values()))
    result = shell.run("send", "export.csv")
    assert (result.exit_code, result.stdout) == (2, "accepted 0, refused 0\n")
    assert result.stderr.count("error: Line 1 must name the columns") == 1
    assert "9999" not in result.output
    assert services.requests == []


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["nowhere.csv"], "nowhere.csv is not a file"),
        (["export.csv", "--config", "nowhere.toml"], "nowhere.toml cannot be read"),
        (["export.csv", "--refused", "export.csv"], "export.csv: is there and is no report"),
        (["export.csv", "--refused", "client.toml"], "client.toml: is there and is no report"),
        (["export.csv", "--refused", "."], ".: Is a directory"),
        (["export.csv", "--refused", "nowhere/refused.csv"], "nowhere/refused.csv: No such file"),
    ],
)
def test_what_cannot_be_used_ends_with_2_and_is_named(
    services: Services, shell: Shell, arguments: list[str], says: str
) -> None:
    shell.export([])
    before = Path("client.toml").read_bytes(), Path("export.csv").read_bytes()
    result = shell.run("send", *arguments)
    assert result.exit_code == 2
    assert (Path("client.toml").read_bytes(), Path("export.csv").read_bytes()) == before
    assert says in result.stderr
    assert services.requests == []
    assert "Traceback" not in result.output


def test_an_export_of_no_rows_is_no_error(services: Services, shell: Shell) -> None:
    shell.export([])
    assert shell.run("send", "export.csv").exit_code == 0


def test_a_service_that_is_away_ends_with_3_and_the_rest_is_sent_the_next_time(
    services: Services, shell: Shell
) -> None:
    [reporter] = services.register(["Anna de Vries"])
    shell.export(rows(reporter, 130))
    services.intervene = lambda request: httpx.Response(503) if request.url.path == PATH else None
    result = shell.run("send", "export.csv")
    assert result.exit_code == 3
    assert "index.example/api/v1/signal-batches answered with HTTP 503; repeat the same later" in result.stderr
    services.intervene = lambda _: None
    assert shell.run("send", "export.csv").stdout == "accepted 130, refused 0\n"
    assert services.index_database.scalar("SELECT count(*) FROM signal") == 130


def test_keygen_makes_a_pair_that_is_read_back_and_overwrites_nothing(shell: Shell) -> None:
    result = shell.run("keygen", "own.key.json")
    assert result.exit_code == 0
    private, public = read_signing_key(Path("own.key.json")), read_public_key(Path("own.key.json.pub.json"))
    assert private.thumbprint() == public.thumbprint()
    assert public.thumbprint() in result.stdout
    assert stat.S_IMODE(Path("own.key.json").stat().st_mode) == 0o600
    assert json.loads(Path("own.key.json").read_text())["d"] not in result.output
    before = Path("own.key.json").read_bytes()
    again = shell.run("keygen", "own.key.json")
    assert (again.exit_code, Path("own.key.json").read_bytes()) == (2, before)
    assert "exists already" in again.stderr


def test_a_reporter_reads_signals_inbox_matches_and_a_match(services: Services, shell: Shell) -> None:
    anna, bert = services.register(["Anna de Vries", "Bert [bold]Smit"])
    shell.export(
        [{**GOOD, "reporter": str(reporter), "case_reference": f"Z-{n}"} for n, reporter in enumerate((anna, bert))]
    )
    assert shell.run("send", "export.csv").exit_code == 0
    match_waiting(services.index_database.engine("worker"), services.now, services.now, keys={})

    def read(*arguments: object) -> Result:
        result = shell.run(*arguments, "--reporter", anna)
        assert result.exit_code == 0, result.output
        return result

    [line] = json.loads(read("matches", "--json").stdout)
    [notice] = json.loads(read("inbox", "--json").stdout)
    [signal] = json.loads(read("signals", "--json").stdout)
    assert notice["match"] == line["id"]
    assert line["id"] in read("matches").stdout
    assert line["id"] in read("inbox").stdout
    shown = read("signals").stdout
    assert signal["id"] in shown
    assert "Z-0" in shown
    assert "2026-11-22 10:00" in shown  # Amsterdam's clock, as in the export
    assert "informed" in shown
    match = read("match", line["id"]).stdout
    for text in ("Bert [bold]Smit", "046 000 0000", "post@instelling.example", "Z-0", "112"):
        assert text in match
    assert "Z-1" not in match
    assert json.loads(read("match", line["id"], "--json").stdout)["id"] == line["id"]


def test_no_name_moves_the_cursor() -> None:
    """Seen failing: an index, or who fills its register, could write over what stands on the screen."""
    screen = StringIO()
    view = tables.match_view({"id": "m", "parties": [{"name": "\x1b[2J\x1b]0;x\x07Anna\u202e"}]})
    Console(file=screen, width=200).print(view)
    shown = screen.getvalue()
    assert "[2J]0;xAnna" in shown
    assert not any(hidden in shown for hidden in ("\x1b[2J", "\x1b]0", "\x07", "\u202e"))


ID, OTHER_ID = "0199a7b4-d64c-7da4-8904-e7c5cf900f2b", "0199a7b4-d64d-7da4-8904-e7c5cf900f2c"
SIGNAL: dict[str, object] = {
    "id": ID,
    "caseReference": "Z26-00038",
    "madeAt": "2026-11-22T09:00:00Z",
    "removalDate": "2028-11-22",
    "residenceMunicipality": "1701",
}
CONTACT = {
    "concerns": "different_youngster",
    "name": "Jip van Nergens",
    "position": "verpleegkundige",
    "institution": "Stichting Jeugdgezondheidszorg Voorbeeld",
    "telephone": "046 555 0010",
    "email": "jip.vannergens@instelling.example",
}
NOTICE = {"id": ID, "kind": "match", "placedAt": "2026-11-22T09:00:00Z", "match": OTHER_ID}


@pytest.mark.parametrize("width", [60, 80, 100, 120, 150, 200])
@pytest.mark.parametrize(
    ("view", "copied"),
    [
        (tables.table("Signals", tables.SIGNALS, [SIGNAL]), [ID, "Z26-00038"]),
        (tables.table("Notices", tables.NOTICES, [NOTICE]), [f"match {OTHER_ID}"]),
        (tables.table("Notices", tables.NOTICES, [NOTICE | {"kind": "party_withdrew"}]), [f"notice {ID}"]),
        (tables.match_view({"id": ID, "parties": [CONTACT]}), [ID, CONTACT["telephone"], CONTACT["email"]]),
    ],
)
def test_what_is_copied_is_never_broken(view: RenderableType, copied: list[str], width: int) -> None:
    """On a screen of any width. Seen failing (ids and telephone numbers over two lines, below 150 columns) with tables
    as rich makes them."""
    screen = StringIO()
    Console(file=screen, width=width).print(view, crop=False)
    assert [text for text in copied if text not in screen.getvalue()] == []


def test_in_a_pipe_each_has_a_line(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.delenv("COLUMNS", raising=False)
    postponed = {"status": "postponed", "dueOn": "2026-12-22", "overdue": True}
    commands.print_view([], False, tables.table("Signals", tables.SIGNALS, [SIGNAL | {"informing": postponed}]))
    [line] = [line for line in capsys.readouterr().out.splitlines() if ID in line]
    assert "postponed, overdue since 2026-12-22" in line


def test_another_ones_match_is_not_found_and_ends_with_3(services: Services, shell: Shell) -> None:
    [anna] = services.register(["Anna de Vries"])
    result = shell.run("match", uuid4(), "--reporter", anna)
    assert result.exit_code == 3
    assert "not-found" in result.stderr
    assert "read the inbox" in result.stderr


@pytest.mark.parametrize(
    "command",
    [
        "",
        "keygen",
        "send",
        "signals",
        "inbox",
        "matches",
        "match",
        "archived",
        "withdraw",
        "informing",
        "move",
        "follow-up",
        "follow-up contact",
        "death",
        "check",
        "check sender",
        "check receiver",
    ],
)
def test_help_teaches(command: str) -> None:
    result = CliRunner().invoke(cli.app, [*command.split(), "--help"])
    assert result.exit_code == 0
    assert VerwijsindexClient.__module__ not in result.output
    assert len(result.output) > 200
