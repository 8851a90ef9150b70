"""A real PostgreSQL: a server of its own in each process that runs tests, and a database for each test."""

import contextlib
import functools
import itertools
import os
import shutil
import socket
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from foxvideo._journal import PostgresStore, SqliteStore, postgres

_MISSING = "PostgreSQL is missing; on Debian and Ubuntu: apt-get install postgresql"
_numbers = itertools.count()
# Nothing here is about what survives the death of the machine; where it is, a test says so.
_SETTINGS = (
    "fsync=off",
    "full_page_writes=off",
    "max_connections=60",
    "shared_buffers=16MB",
    "listen_addresses=127.0.0.1",
)


def _program(name: str) -> str | None:
    found = sorted(Path("/usr/lib/postgresql").glob(f"*/bin/{name}"))
    return shutil.which(name) or (str(found[-1]) if found else None)


@pytest.fixture(scope="session")
def cluster() -> Iterator[str]:
    """Run a server on a free port of the loopback, and return the URL of it without a database."""
    initdb, server = _program("initdb"), _program("postgres")
    if initdb is None or server is None:
        if os.environ.get("FOXVIDEO_TEST_ALL"):
            pytest.fail(_MISSING)
        pytest.skip(_MISSING)
    # It refuses to run as root; whoever is not root is somebody that it takes.
    user: dict[str, Any] = (
        {"user": "postgres", "group": "postgres"} if hasattr(os, "geteuid") and os.geteuid() == 0 else {}
    )
    shared = Path("/dev/shm")  # noqa: S108 - the folder in it has a name of its own
    with tempfile.TemporaryDirectory(dir=shared if shared.is_dir() else None, ignore_cleanup_errors=True) as folder:
        if user:
            shutil.chown(folder, "postgres")
        data = f"{folder}/data"
        command = [initdb, "-D", data, "-U", "fox", "-A", "trust", "-E", "UTF8", "--no-locale", "--no-sync"]
        subprocess.run(command, check=True, capture_output=True, cwd="/", **user)  # noqa: S603 - ours
        with contextlib.closing(socket.create_server(("127.0.0.1", 0))) as free:
            port = free.getsockname()[1]
        settings = [word for setting in _SETTINGS for word in ("-c", setting)]
        command = [server, "-D", data, "-p", str(port), "-k", folder, *settings]
        # It holds no pipe of ours: should this process be killed, nobody waits for one that is still open.
        quiet: dict[str, Any] = dict.fromkeys(("stdin", "stdout", "stderr"), subprocess.DEVNULL)
        running = subprocess.Popen(command, cwd="/", **quiet, **user)  # noqa: S603 - ours
        try:
            url = f"postgresql://fox@127.0.0.1:{port}"
            _wait(f"{url}/postgres")
            execute(f"{url}/postgres", "CREATE DATABASE template_fox")
            postgres.init(f"{url}/template_fox")
            yield url
        finally:
            running.terminate()  # "smart": once the last connection is closed
            try:
                running.wait(2)
            except subprocess.TimeoutExpired:
                running.kill()
                running.wait()


def _wait(url: str) -> None:
    import psycopg  # noqa: PLC0415 - an extra

    end = time.monotonic() + 30
    while True:
        try:
            psycopg.connect(url).close()
        except psycopg.OperationalError:
            if time.monotonic() > end:
                raise
            time.sleep(0.02)
        else:
            return


def execute(url: str, statement: str, *values: object) -> list[Any]:
    """Run a statement in a connection of its own, and return what it finds; names are those of the journal's tables."""
    import psycopg  # noqa: PLC0415 - an extra

    with psycopg.connect(
        url, autocommit=True, options="-c search_path=foxvideo", cursor_factory=psycopg.ClientCursor
    ) as connection:
        cursor = connection.execute(statement.replace("?", "%s").encode(), values or None)
        return cursor.fetchall() if cursor.description else []


@functools.cache
def _copied(cluster: str) -> str:
    """Return how a small database is made soonest: by copying its files, as all versions before 15 do."""
    ((version,),) = execute(f"{cluster}/postgres", "SELECT current_setting('server_version_num')::integer")
    return "STRATEGY file_copy" if version >= 150000 else ""


@pytest.fixture
def databases(cluster: str) -> Iterator[Callable[[], str]]:
    """Return what makes a database with the tables of a journal, and returns its URL."""
    names: list[str] = []

    def make() -> str:
        names.append(f"fox_{next(_numbers)}")
        execute(f"{cluster}/postgres", f"CREATE DATABASE {names[-1]} TEMPLATE template_fox {_copied(cluster)}")
        url = f"{cluster}/{names[-1]}"
        execute(url, "UPDATE journal SET identity = ?", names[-1])  # a copy has that of its original
        return url

    yield make
    for name in names:
        execute(f"{cluster}/postgres", f"DROP DATABASE {name} WITH (FORCE)")


@pytest.fixture
def database(databases: Callable[[], str]) -> str:
    """Make a database with the tables of a journal, and return its URL."""
    return databases()


def opened(place: Path | str, *, patience: float = 0.05) -> SqliteStore | PostgresStore:
    """Open the store that a place is of."""
    if isinstance(place, Path):
        return SqliteStore(place, patience=patience)
    return PostgresStore(place, patience=patience)


def old(place: Path | str) -> None:
    """Have all that live have lived for long: in a database, who judges must have been heard for a whole lease."""
    if isinstance(place, str):
        execute(place, "UPDATE owners SET since = since - interval '1 hour'")
