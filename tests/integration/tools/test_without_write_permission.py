"""An inspector that may only read (CASES B32): it works, leaves nothing behind, and never answers from a stale file."""

import asyncio
import os
import shutil
import subprocess
import sys
import tempfile
import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import Select, func, select
from sqlalchemy.ext.asyncio import AsyncConnection

from stores.runtime import alias
from tests.integration.tools.conftest import ROOT, Folder, a_register, holding
from tools.reading import ask, reading_bus

NOBODY = 65_534
# Everything is imported by a first run; then the process becomes nobody, who may not read this interpreter's own files.
AS_NOBODY = """
import os, sys
from tools import cli
data, who, *commands = sys.argv[1:]
lines = [line.split() for line in commands]
out = os.dup(1)
os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
for line in lines:
    assert cli.run([*line, "--data", data]) == 0, line
os.dup2(out, 1)
if os.getuid() == 0:
    os.setgroups([]); os.setgid(int(who)); os.setuid(int(who))
sys.exit(max(cli.run([*line, "--data", data]) for line in lines))
"""


@pytest.fixture
def open_folder(folder: Folder, capsys: pytest.CaptureFixture[str]) -> Iterator[Folder]:
    """A folder that everybody can reach."""
    place = Path(tempfile.mkdtemp())
    os.chmod(place, 0o755)
    made = Folder(place / "data", capsys)
    asyncio.run(made.make())
    os.chmod(made.path, 0o755)
    yield made
    os.chmod(made.path, 0o700)
    shutil.rmtree(place)


def read_only(folder: Folder) -> dict[str, tuple[int, int, int]]:
    """Let nobody write here; what stands there, with owner, group and mode."""
    for path in folder.path.iterdir():
        os.chmod(path, 0o555 if path.is_dir() else 0o444)
    os.chmod(folder.path, 0o555)
    return listing(folder)


def listing(folder: Folder) -> dict[str, tuple[int, int, int]]:
    return {p.name: (s.st_uid, s.st_gid, s.st_mode) for p in folder.path.iterdir() for s in [p.stat()]}


def inspect(folder: Folder, which: str) -> "subprocess.CompletedProcess[str]":
    commands = ["topics ls", "tail -n 3", f"trace {which}", "stuck ls", "dlq ls", "check"]
    return subprocess.run(
        [sys.executable, "-c", AS_NOBODY, str(folder.path), str(NOBODY), *commands],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=50,
        check=False,
    )


def test_everything_can_be_inspected_when_the_workers_are_stopped(open_folder: Folder) -> None:
    which = str(uuid.uuid4())
    open_folder.registered(which)
    before = read_only(open_folder)
    done = inspect(open_folder, which)
    assert done.returncode == 0, done.stderr
    assert "CONFIRMED" in done.stdout
    assert listing(open_folder) == before


async def test_everything_can_be_inspected_while_the_workers_run_and_is_not_stale(open_folder: Folder) -> None:
    first, second = str(uuid.uuid4()), str(uuid.uuid4())
    async with open_folder.working():
        for n, which in enumerate((first, second)):
            await open_folder._append([a_register(which, f"n{n}")])
            await asyncio.wait_for(holding(lambda: open_folder.statuses().get(which) == "CONFIRMED"), 20)  # noqa: B023
            before = listing(open_folder)
            done = await asyncio.to_thread(inspect, open_folder, which)
            assert done.returncode == 0, done.stderr
            assert '"state":"CONFIRMED"' in done.stdout
            after = listing(open_folder)
            assert {name: after[name] for name in before} == before


def test_a_file_that_may_not_be_read_is_wrong_use_with_its_remedy(open_folder: Folder) -> None:
    open_folder.registered(str(uuid.uuid4()))
    os.chmod(open_folder.path / "users.db", 0o000)
    code = AS_NOBODY.replace(" == 0, line", " in (0, 2), line")
    done = subprocess.run(
        [sys.executable, "-c", code, str(open_folder.path), str(NOBODY), "stuck ls"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=50,
        check=False,
    )
    assert done.returncode == 2, done.stderr
    assert "give this user read permission" in done.stderr
    assert "Traceback" not in done.stderr


def test_an_empty_wal_that_a_last_close_has_left_hides_nothing(folder: Folder) -> None:
    which = str(uuid.uuid4())
    folder.registered(which)
    for name in ("bus", "users", "accounts"):
        (folder.path / f"{name}.db-wal").touch()
    before = listing(folder)
    assert [state["state"] for state in folder.rows("trace", which)[0]["states"]] == ["AVAILABLE", "CONFIRMED", "AVAILABLE"]
    assert listing(folder) == before


CHURN = """
import asyncio, sys
from pathlib import Path
from bus.connect import connect
from bus.record import Outgoing
from stores.engine import Store
async def once(n):
    bus = connect(f"sqlite:///{sys.argv[1]}/bus.db")
    await bus.open()
    await bus.append([Outgoing("users.commands", b"k", b"%d" % n, (), 1_795_568_361_844)])
    await bus.close()
    store = await Store.open("users", f"sqlite:///{sys.argv[1]}/users.db")
    await store.transaction("operator.commit", lambda tx: tx._c.execute("INSERT INTO alias VALUES(?, 't', ?)", (str(n), n)))
    await store.close()
for n in range(40):
    asyncio.run(once(n))
"""


async def test_a_reader_is_never_torn_or_stale_while_others_open_and_close(folder: Folder) -> None:
    writer = await asyncio.create_subprocess_exec(sys.executable, "-c", CHURN, str(folder.path), cwd=ROOT)
    ends, aliases = [0], [0]
    ended = asyncio.ensure_future(writer.wait())
    query = select(func.count()).select_from(alias)
    while not ended.done():
        async with reading_bus(folder.settings) as bus:
            ends.append((await bus.ends("users.commands"))[0][1])
        aliases.append(await ask(folder.settings, "users", lambda c: _scalar(c, query)))
    assert await ended == 0
    assert ends == sorted(ends) and aliases == sorted(aliases)
    assert len(set(ends)) > 3 and len(set(aliases)) > 3


async def _scalar(connection: AsyncConnection, query: Select[int]) -> int:
    return (await connection.execute(query)).scalar_one()
