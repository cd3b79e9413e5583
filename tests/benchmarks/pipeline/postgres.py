"""A PostgreSQL of one's own: a fresh cluster in a folder, on the loopback, gone afterwards."""

import os
import shutil
import socket
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from time import sleep
from typing import Final

SETTINGS: Final = """
fsync = off
synchronous_commit = off
full_page_writes = off
shared_buffers = 512MB
max_wal_size = 4GB
listen_addresses = '127.0.0.1'
unix_socket_directories = ''
"""
"""In Ponder's favour: nothing waits for a disk."""
ACCOUNT: Final = "postgres"


def programs() -> Path | None:
    """The folder of ``initdb`` and ``postgres``, if there is one."""
    found = shutil.which("initdb")
    installed = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"))
    return Path(found).parent if found else installed[-1].parent if installed else None


@contextmanager
def database(folder: Path) -> Iterator[str]:
    """The connection string of an empty database."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    with TemporaryDirectory(prefix="postgres-") as home:
        data = Path(home) / "data"
        prefix = _as_nobody_special(home)
        initdb = [folder / "initdb", "-D", data, "-A", "trust", "-U", ACCOUNT, "-N", "-E", "UTF8"]
        subprocess.run([*prefix, *initdb], check=True, stdout=subprocess.DEVNULL)
        with (data / "postgresql.conf").open("a") as file:
            file.write(f"{SETTINGS}port = {port}\n")
        server = subprocess.Popen(
            [*prefix, folder / "postgres", "-D", data],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        try:
            _await_listening(port, server)
            yield f"postgres://{ACCOUNT}@127.0.0.1:{port}/postgres"
        finally:
            server.terminate()
            server.wait()


def _as_nobody_special(home: str) -> list[str]:
    """PostgreSQL refuses to run as root: then it runs as its own account."""
    if os.geteuid() != 0:
        return []
    shutil.chown(home, ACCOUNT)
    return ["setpriv", "--reuid", ACCOUNT, "--regid", ACCOUNT, "--clear-groups"]


def _await_listening(port: int, server: subprocess.Popen[bytes]) -> None:
    for _ in range(400):
        if server.poll() is not None:
            raise RuntimeError(f"PostgreSQL ended with {server.returncode}")
        try:
            socket.create_connection(("127.0.0.1", port)).close()
        except OSError:
            sleep(0.05)
        else:
            return
    raise RuntimeError("PostgreSQL does not listen")
