"""PostgreSQL stores when the server is restarted, killed, or an owner freezes inside its transaction (DESIGN 1)."""

import asyncio
import signal
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Iterator

import pytest

from agents.runtime import ownership
from agents.runtime.ownership import Tenure
from stores.engine import OutcomeUnknown, Store, StoreAway, Tx
from stores.migrate import create
from stores.runtime import meta
from stores.statement import Statement, insert_row
from tests.postgresql_server import Server, server, sql

PATIENCE_S = 40.0
COMMITS = 50
_META = insert_row(meta)
_ALL = Statement(meta.select().order_by(meta.c.name))

FROZEN = """
import asyncio, os, signal, sys
from agents.runtime import ownership
from stores.engine import Store
from stores.runtime import meta
from stores.statement import insert_row

def freezes(tx):
    ownership.check(tx, ownership.Tenure(0, 1))
    tx.run(insert_row(meta), "frozen", "v")
    print("inside", flush=True)
    os.kill(os.getpid(), signal.SIGSTOP)

async def main():
    store = await Store.open("frozen", sys.argv[1])
    try:
        await store.transaction("loop.commit", freezes)
    except Exception as exc:
        print(type(exc).__name__, flush=True)
    finally:
        await store.close()

asyncio.run(main())
"""


@pytest.fixture(scope="module")
def own() -> Iterator[Server]:
    """A server of this module's, to be hurt."""
    with server() as made:
        create(made.url("store"))
        yield made


@pytest.fixture
async def store(own: Server) -> AsyncIterator[Store]:
    sql(own.url("store"), "DELETE FROM meta", "DELETE FROM owner")
    opened = await Store.open("hurt", own.url("store"))
    yield opened
    await opened.close()


def note(tx: Tx, name: str) -> int:
    return tx.run(_META, name, "v")


async def names(store: Store) -> list[str]:
    return [row[0] for row in await store.transaction("loop.commit", lambda tx: tx.all(_ALL))]


async def back(store: Store, name: str) -> int:
    """Ask while the store is away; how often it was."""
    deadline = time.monotonic() + PATIENCE_S
    away = 0
    while True:
        try:
            await store.transaction("loop.commit", note, name)
        except StoreAway:
            away += 1
            assert time.monotonic() < deadline
            await asyncio.sleep(0.02)
        else:
            return away


async def test_a_server_that_is_restarted_is_away_and_then_the_store_goes_on(own: Server, store: Store) -> None:
    await store.transaction("loop.commit", note, "a")
    own.stop()
    with pytest.raises(StoreAway):
        await store.transaction("loop.commit", note, "b")
    starting = asyncio.create_task(asyncio.to_thread(own.start))
    assert await back(store, "c") >= 0
    await starting
    assert await names(store) == ["a", "c"]


async def test_what_was_committed_before_a_kill_is_there_and_what_was_open_is_not(own: Server, store: Store) -> None:
    await store.transaction("loop.commit", note, "a")

    def killed(tx: Tx) -> None:
        note(tx, "b")
        own.kill()
        tx.all(_ALL)

    with pytest.raises(StoreAway):
        await store.transaction("loop.commit", killed)
    await asyncio.to_thread(own.start)
    await back(store, "c")
    assert await names(store) == ["a", "c"]


async def test_commits_under_a_kill_are_there_or_not_known_but_never_half(own: Server, store: Store) -> None:
    """Eight at a time until the server is gone: what was answered is there; what was not may be, whole or not at all."""
    answered: list[str] = []
    unknown: list[str] = []
    enough = asyncio.Event()

    def pair(tx: Tx, name: str) -> None:
        note(tx, f"{name}/1")
        note(tx, f"{name}/2")

    async def busy(which: int) -> None:
        for n in range(100_000):
            try:
                await store.transaction("loop.commit", pair, f"{which}-{n}")
            except StoreAway:
                return
            except OutcomeUnknown:
                unknown.append(f"{which}-{n}")
                return
            answered.append(f"{which}-{n}")
            if len(answered) >= COMMITS:
                enough.set()

    tasks = [asyncio.create_task(busy(n)) for n in range(store.parallel)]
    await asyncio.wait_for(enough.wait(), PATIENCE_S)
    await asyncio.to_thread(own.kill)
    await asyncio.wait_for(asyncio.gather(*tasks), PATIENCE_S)
    await asyncio.to_thread(own.start)
    await back(store, "end")
    found = {name for name in await names(store) if name != "end"}
    whole = {name.partition("/")[0] for name in found}
    assert found == {f"{name}/{half}" for name in whole for half in (1, 2)}
    assert set(answered) <= whole <= set(answered) | set(unknown)


async def test_a_process_frozen_inside_its_transaction_loses_it_and_the_take_over_goes_on(own: Server, store: Store) -> None:
    assert await store.transaction("takeover.commit", ownership.take_over, 0, now_ms=1) == Tenure(0, 1)
    command = [sys.executable, "-c", FROZEN, own.url("store")]
    frozen = await asyncio.to_thread(subprocess.Popen, command, stdout=subprocess.PIPE, text=True)
    try:
        assert frozen.stdout and await asyncio.to_thread(frozen.stdout.readline) == "inside\n"
        begun_s = time.monotonic()
        taken = await asyncio.wait_for(store.transaction("takeover.commit", ownership.take_over, 0, now_ms=2), PATIENCE_S)
        print(f"take-over past a frozen process: {time.monotonic() - begun_s:.2f} s", file=sys.stderr)
        assert taken == Tenure(0, 2)
        frozen.send_signal(signal.SIGCONT)
        assert await asyncio.to_thread(frozen.stdout.readline) in ("OutcomeUnknown\n", "StoreAway\n")
        assert await asyncio.to_thread(frozen.wait, PATIENCE_S) == 0
    finally:
        frozen.kill()
        await asyncio.to_thread(frozen.communicate)
    assert await names(store) == []


async def test_a_server_that_is_frozen_is_asked_again_and_answers_when_it_thaws(own: Server, store: Store) -> None:
    await store.transaction("loop.commit", note, "a")
    own.freeze()
    waiting = asyncio.create_task(store.transaction("loop.commit", note, "b"))
    done, _ = await asyncio.wait([waiting], timeout=0.1)
    assert not done
    own.thaw()
    try:
        await asyncio.wait_for(waiting, PATIENCE_S)
    except StoreAway:  # it was idle in its transaction for too long, by its own clock
        await back(store, "b")
    assert await names(store) == ["a", "b"]
