# SPDX-License-Identifier: EUPL-1.2
"""What one can go on with while the demo stays up: addresses, and commands to copy into another terminal."""

import os
import shlex
import sys
import time
from pathlib import Path

from rich.console import Console

from verwijsindex.demo.cast import PLACES
from verwijsindex.demo.playing import Played
from verwijsindex.embedded.stack import Stack
from verwijsindex.settings import utc_now
from verwijsindex.signals.dates import amsterdam_date


def write_environment(stack: Stack) -> Path:
    """A file of mode 0600 that a shell can source: where the commands find this demo's keys and databases."""
    names = [name for name in stack.environment if name.startswith("VERWIJSINDEX_")]
    names += ["DEMO_AHEAD", "PYTHONPATH"]  # the demo's clock
    lines = [f"{name}={shlex.quote(stack.environment[name])}" for name in sorted(names)]
    lines.append(f"DEMO={shlex.quote(str(stack.folder))}")
    lines.append(f"PATH={shlex.quote(str(Path(sys.executable).parent))}:$PATH")
    path = stack.folder / "demo.env"
    with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
        file.write("\n".join(lines) + "\n")
    return path


def commands(stack: Stack, played: Played) -> list[tuple[str, str]]:
    """What to do, and the command that does it, once `demo.env` is sourced."""
    told = played.subscriber
    reporter, view = next((reporter, played.found.reporters[reporter]) for reporter in told.reporters)
    place = PLACES[0]
    supervisor = played.register.supervisors[place][0]
    match_id = next(iter(view.matches), "MATCH")
    config = f'--config "$DEMO/{told.role.client_id}/client.toml"'
    desk = f'--index {stack.index} --token "$DEMO/officer.token"'
    return [
        ("who may signal", "COLUMNS=180 verwijsindex admin reporter list"),
        ("a reporter's inbox", f"verwijsindex client inbox --reporter {reporter} {config}"),
        ("a match: whom to call", f"verwijsindex client match {match_id} --reporter {reporter} {config}"),
        (
            "where its follow-up stands",
            f"verwijsindex client follow-up show {match_id} --reporter {reporter} {config}",
        ),
        (
            f"the inbox of the case supervisor of {place.name}",
            "TOKEN=$(verwijsindex issuer mint --role case_supervisor"
            f" --municipality {place.code} --person {supervisor})\n"
            f'curl -s -H "Authorization: Bearer $TOKEN" "{stack.index}/api/v1/notices?limit=3"',
        ),
        (
            "and the matches there of which a deadline was missed",
            f'curl -s -H "Authorization: Bearer $TOKEN" "{stack.index}/api/v1/follow-ups?deadline=missed&limit=3"',
        ),
        (
            f"the signals of {told.role.name}, as its coordinator sees them",
            "TOKEN=$(verwijsindex issuer mint --role coordinator"
            f" --institution {told.role.oin} --person {next(iter(told.coordinators))})\n"
            f'curl -s -H "Authorization: Bearer $TOKEN" "{stack.index}/api/v1/signals?limit=3"',
        ),
        ("its webhook subscription", f"verwijsindex client subscription show {config}"),
        (
            "its privacy officer, signed in with two factors: who looked at that match",
            f"OFFICER=$(verwijsindex admin privacy-officer add --institution {told.role.oin}"
            ' "P. Voorbeeld" 0000000003 p@vb.example)\n'
            f"verwijsindex issuer mint --role privacy_officer --institution {told.role.oin}"
            ' --person "$OFFICER" --amr mfa > "$DEMO/officer.token"\n'
            f"verwijsindex officer search --purpose periodic_review --match {match_id} --kind match.read {desk}",
        ),
        (
            "and what the index alerts to: these reporters never signalled before (docs/officer.md goes on from here)",
            f"verwijsindex officer alerts list --most 3 {desk}",
        ),
        ("do clock, worker and deliverer do their work?", "verwijsindex health"),
        (
            "what the API can do",
            f"curl -s {stack.index}/api/v1/openapi.json | python3 -m json.tool | grep -E '\"(openapi|summary)\":'",
        ),
    ]


def offer(console: Console, stack: Stack, played: Played) -> None:
    """Print them, never broken over lines: they are there to be copied."""

    def say(text: str) -> None:
        console.print(text, soft_wrap=True, markup=False)

    environment = write_environment(stack)
    console.rule("It stays up: go on in another terminal; Ctrl-C ends it and removes it all")
    say(f"index {stack.index}   pseudonym service {stack.pseudonyms}   issuer {stack.issuer}")
    today = played.followed.steps[-1].day
    say(f"its clock is {(today - amsterdam_date(utc_now())).days} days ahead of this machine's: it is {today}")
    say("$DEMO_AHEAD is the file that says by how many seconds: a sender of your own signs its token by that clock and")
    say("dates its rows by it, a receiver of your own believes webhooks by it (examples/README.md)")
    say("\n# first, once for each terminal")
    say(f"set -a; . {shlex.quote(str(environment))}; set +a")
    for about, command in commands(stack, played):
        say(f"\n# {about}\n{command}")
    say("")


def stay(stack: Stack) -> None:
    """Until we are stopped. Raises ProcessError if a process dies."""
    while True:
        stack.check()
        time.sleep(0.5)
