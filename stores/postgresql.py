"""A service's store as a PostgreSQL database: a small pool of asyncpg connections, `work(tx, …)` in a greenlet over one of them.

READ COMMITTED; what must not race is serialized by the partition's advisory lock and by unique keys (DESIGN 1).
"""

import asyncio
import logging
import random
from collections.abc import AsyncIterator, Callable, Collection, Iterable, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Any, Final, TypeVar

import asyncpg
from sqlalchemy.ext.asyncio import AsyncConnection, create_async_engine
from sqlalchemy.util import await_only, greenlet_spawn

from config import faults
from stores.engine import OutcomeUnknown, Row, StoreAway, Tx
from stores.postgresql_errors import DRIVER_ERRORS, Again, is_fatal, translated
from stores.postgresql_url import connect_arguments, engine_url
from stores.statement import POSTGRESQL, Statement
from stores.unnest import of_many, of_one, single

T = TypeVar("T")
A = TypeVar("A")
Rows = list[Row]  # inside PgTx `list` is its method

CONNECTIONS_MAX: Final = 8  # transactions of one store at the same time
READERS_MAX: Final = 4
CONNECT_S_MAX: Final = 5.0
AGAIN_MAX: Final = 8  # a deadlock or a serialization failure is repeated at once, this often
AGAIN_S: Final = 0.02
CLOSE_S_MAX: Final = 2.0
ANSWER_S_MAX: Final = 30.0  # longer than the server's own time-outs: a host that is gone says nothing
CONNECTION: Final[dict[str, Any]] = {
    "timeout": CONNECT_S_MAX,
    "command_timeout": ANSWER_S_MAX,
    "statement_cache_size": 1024,
    "max_cached_statement_lifetime": 0,
}
HELD_MS_MAX: Final = 1_500  # who takes over waits so long for an open transaction before it looks whether its process still goes on
FROZEN_S: Final = 1.0  # a process that says nothing for so long inside a transaction stands still
PARTITIONS: Final = 0x4C42  # the class of the partitions' advisory locks

SETTINGS: Final = {
    "synchronous_commit": "on",
    "idle_in_transaction_session_timeout": "1s",  # a frozen process keeps its partition no longer (DESIGN 1)
    "lock_timeout": "10s",
    "statement_timeout": "20s",
    "tcp_user_timeout": "10000",  # also of a frozen process that does not take what it has asked for
    "jit": "off",  # statements of microseconds
}

# Who stands still is found first: the planner would end backends before it has looked whether they are meant.
_END_FROZEN: Final = """
WITH frozen AS MATERIALIZED (
SELECT l.pid FROM pg_locks l JOIN pg_stat_activity a USING (pid)
WHERE l.locktype = 'advisory' AND l.granted AND l.classid = $1::bigint::oid AND l.objid = $2::bigint::oid
AND l.database = (SELECT oid FROM pg_database WHERE datname = current_database()) AND l.pid <> pg_backend_pid()
AND a.wait_event = 'ClientRead' AND clock_timestamp() - a.state_change > make_interval(secs => $3)
)
SELECT pid FROM frozen WHERE pg_terminate_backend(pid)
"""

log = logging.getLogger("lendbus.store")


class PgTx:
    """A transaction on a PostgreSQL connection; runs inside `greenlet_spawn`. Its first statement begins it."""

    dialect = POSTGRESQL

    def __init__(self, c: asyncpg.Connection) -> None:
        self._c = c
        self.begun = False
        self.wrote = False
        self.waits_for: int | None = None  # the partition whose holders we wait for

    def lock(self, partition: int, *, alone: bool) -> None:
        """Hold the partition: shared, or alone after everybody who holds it. BEGIN goes along with it in one message."""
        name = "pg_advisory_xact_lock" if alone else "pg_advisory_xact_lock_shared"
        statement = f"SELECT {name}({PARTITIONS}, {partition:d})"
        if alone:
            self.waits_for = partition
            statement = f"SET LOCAL lock_timeout = {HELD_MS_MAX}; {statement}; SET LOCAL lock_timeout TO DEFAULT"
        await_only(self._c.execute(statement if self.begun else f"BEGIN; {statement}"))
        self.begun, self.waits_for = True, None

    def all(self, statement: Statement, *values: Any) -> Rows:
        """Every row that the statement returns."""
        return self._fetch(single(statement), values)

    def run(self, statement: Statement, *values: Any) -> int:
        """Execute once; how many rows it changed."""
        return self._execute(single(statement), values)

    def many(self, statement: Statement, rows: Sequence[Row]) -> int:
        """Execute for every row, all of them as one statement; how many rows it changed."""
        if len(rows) > 1:
            return self._execute(of_many(statement).plain, [*zip(*rows, strict=True)])
        return self._execute(of_one(statement).plain, rows[0]) if rows else 0

    def new(self, statement: Statement, rows: Sequence[Row]) -> Collection[Any]:
        """Insert every row that is not there yet; the first values of those that were not."""
        self.wrote = True
        if len(rows) > 1:
            return {row[0] for row in self._fetch(of_many(statement).new, [*zip(*rows, strict=True)])}
        return [row[0] for row in self._fetch(of_one(statement).new, rows[0])] if rows else []

    def numbered(self, statement: Statement, rows: Sequence[Row]) -> Sequence[int]:
        """Insert every row; the numbers that the database gave them, in order."""
        self.wrote = True
        if len(rows) > 1:
            return sorted(row[0] for row in self._fetch(of_many(statement).numbered, [*zip(*rows, strict=True)]))
        return [row[0] for row in self._fetch(of_one(statement).numbered, rows[0])] if rows else []

    def list(self, values: Iterable[Any]) -> Sequence[Any]:
        """A list as an array."""
        return [*values]

    def _begin(self) -> None:
        if not self.begun:
            await_only(self._c.execute("BEGIN"))
            self.begun = True

    def _fetch(self, text: str, values: Iterable[Any]) -> Rows:
        self._begin()
        return Rows(map(tuple, await_only(self._c.fetch(text, *values))))

    def _execute(self, text: str, values: Iterable[Any]) -> int:
        self._begin()
        self.wrote = True
        tag: str = await_only(self._c.execute(text, *values))
        return int(tag.rpartition(" ")[2])


class Postgresql:
    """The database: connections for transactions, made when they are needed, and an engine beside them for whoever reads."""

    parallel = CONNECTIONS_MAX

    def __init__(self, url: str, service: str) -> None:
        self._arguments = connect_arguments(url, {**SETTINGS, "application_name": f"lendbus {service}"})
        self._idle: list[asyncpg.Connection] = []
        self._room = asyncio.Semaphore(CONNECTIONS_MAX)
        reading = {"default_transaction_read_only": "on", "application_name": f"lendbus {service} reading"}
        self._engine = create_async_engine(
            engine_url(url), connect_args={"server_settings": reading}, pool_size=READERS_MAX, max_overflow=0, pool_pre_ping=True
        )

    async def transact(self, first: Callable[[], A], operation: str, work: Callable[[Tx, A], T]) -> T:
        """`work(tx, first())` in one transaction; cancelled, it ends whole before the cancellation goes on."""
        unit = asyncio.ensure_future(self._repeated(first, operation, work))
        try:
            return await asyncio.shield(unit)
        except asyncio.CancelledError:
            await asyncio.wait([unit])
            if not unit.cancelled():
                unit.exception()  # seen: nobody asks for it any more
            raise

    def reading(self) -> AbstractAsyncContextManager[AsyncConnection]:
        """A connection that only reads."""
        return self._engine.connect()

    async def close(self) -> None:
        """Close every connection; whoever is in a transaction finishes it."""
        for _ in range(CONNECTIONS_MAX):
            await self._room.acquire()
        while self._idle:
            await _closed(self._idle.pop())
        await self._engine.dispose()
        await asyncio.sleep(0)  # what was terminated closes its socket in the loop's next round
        for _ in range(CONNECTIONS_MAX):
            self._room.release()

    async def _repeated(self, first: Callable[[], A], operation: str, work: Callable[[Tx, A], T]) -> T:
        made, why = first(), ""
        for n in range(AGAIN_MAX):
            try:
                async with self._connection() as c:
                    return await _transaction(c, operation, lambda tx: work(tx, made))
            except Again as exc:
                why = str(exc)
            await asyncio.sleep(random.uniform(0, AGAIN_S * n))
        raise StoreAway(f"the database gave up {AGAIN_MAX} times in a row for somebody else's sake: {why}")

    @asynccontextmanager
    async def _connection(self) -> AsyncIterator[asyncpg.Connection]:
        """A connection that nobody else has; back in the pool when it is whole and outside a transaction, else closed."""
        async with self._room:
            while (c := self._idle.pop() if self._idle else await self._connect()).is_closed():
                continue
            try:
                yield c
            finally:
                if c.is_closed() or c.is_in_transaction():
                    c.terminate()
                else:
                    self._idle.append(c)

    async def _connect(self) -> asyncpg.Connection:
        try:
            return await asyncpg.connect(**self._arguments, **CONNECTION)
        except DRIVER_ERRORS as exc:
            raise translated(exc, closed=True) from exc


async def _transaction(c: asyncpg.Connection, operation: str, work: Callable[[Tx], T]) -> T:
    """`work(tx)` between BEGIN and COMMIT; what the driver raises becomes what a store raises."""
    tx = PgTx(c)
    try:
        made = await greenlet_spawn(work, tx)
        with faults.around(operation):
            if not tx.begun:
                return made
            if c.is_closed():
                raise StoreAway("the connection was lost before COMMIT")
            try:
                tag = await c.execute("COMMIT")
            except DRIVER_ERRORS as exc:
                if tx.wrote and (c.is_closed() or is_fatal(exc)):  # an error that leaves the connection open is an answer, this is none
                    raise OutcomeUnknown(f"the connection was lost during COMMIT: {exc}") from exc
                raise
            if tag != "COMMIT":
                raise StoreAway(f"the database answered COMMIT with {tag}")
        return made
    except DRIVER_ERRORS as exc:
        if is_fatal(exc):
            c.terminate()
        await _rollback(c)
        if isinstance(exc, asyncpg.LockNotAvailableError) and tx.waits_for is not None and await _ended_frozen(c, tx.waits_for):
            raise Again(f"partition {tx.waits_for} was held by a process that stood still") from exc
        raise translated(exc, closed=c.is_closed()) from exc
    except BaseException:
        await _rollback(c)
        raise


async def _ended_frozen(c: asyncpg.Connection, partition: int) -> bool:
    """End the transactions that hold the partition and whose process does not go on (DESIGN 1); whether there were any.

    The server's own time-outs do not see all of them: asyncpg prepares a statement without a Sync, and a backend whose client
    froze then is neither idle nor may it be cancelled (measured: it kept the partition until its process was woken).
    """
    try:
        ended = await c.fetch(_END_FROZEN, PARTITIONS, partition, FROZEN_S)
    except DRIVER_ERRORS:
        return False
    for (pid,) in ended:
        log.error("ended the transaction of database backend %d: it held partition %d, and its process did not go on", pid, partition)
    return bool(ended)


async def _rollback(c: asyncpg.Connection) -> None:
    """End the transaction, if there is still one; a connection that cannot is not used again."""
    if not c.is_closed() and c.is_in_transaction():
        try:
            await c.execute("ROLLBACK", timeout=CLOSE_S_MAX)
        except DRIVER_ERRORS:
            c.terminate()


async def _closed(c: asyncpg.Connection) -> None:
    try:
        await c.close(timeout=CLOSE_S_MAX)
    except DRIVER_ERRORS:
        c.terminate()
