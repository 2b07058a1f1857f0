"""A whole store in memory and its loop without threads, fast enough for properties over thousands of orders."""

import itertools
import sqlite3
from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from sqlalchemy import MetaData, Table, select
from sqlalchemy.schema import CreateIndex, CreateTable

from agents.runtime import batch as batches
from agents.runtime import ownership
from agents.runtime.batch import Batch, Done
from agents.runtime.decision import Message
from agents.runtime.envelope import Origin, encode
from agents.runtime.service import Service
from bus.record import Record
from stores.engine import Row
from stores.runtime import RUNTIME
from stores.sqlite_store import SqliteTx
from stores.statement import SQLITE, Statement
from tests.integration.stores.world import HORIZON_MS, NOW_MS, ids


class Memory:
    """One partition of a service; messages are handled in the batches in which they are given."""

    def __init__(self, service: Service[Any], *tables: MetaData) -> None:
        self.service = service
        self.connection = sqlite3.connect(":memory:", isolation_level=None)
        self.tx = SqliteTx(self.connection)
        for metadata in (RUNTIME, *tables):
            for table in metadata.sorted_tables:
                self.connection.execute(str(CreateTable(table).compile(dialect=SQLITE)))
                for index in table.indexes:
                    self.connection.execute(str(CreateIndex(index).compile(dialect=SQLITE)))
        self.tenure = ownership.take_over(self.tx, 0, now_ms=NOW_MS)
        self.offset = 0
        self.now_ms = NOW_MS

    def next_offset(self) -> int:
        """The place of the next record of the log."""
        self.offset += 1
        return self.offset - 1

    def record(self, actor: str, message: Message, *, sent_ms: int = NOW_MS, message_id: str | None = None) -> Record:
        """The next record of the log."""
        offset = self.next_offset()
        identity = message_id or ids(1, f"memory{offset}/")[0]
        out = encode(message, key=actor, message_id=identity, origin=Origin(identity, actor, "p"), now_ms=sent_ms)
        return Record(self.service.topic, 0, offset, sent_ms, NOW_MS, out.key, out.value, out.headers)

    def run(self, records: Sequence[Record]) -> Done:
        """One transaction of the loop."""
        self.connection.execute("BEGIN")
        batch = Batch(self.service, self.tenure, "log-1", self.now_ms, HORIZON_MS)
        done = batches.apply(self.tx, batch, batches.decoded(records, self.service.registry), None)
        self.connection.execute("END")
        return done

    def run_cut(self, records: Sequence[Record], cuts: Collection[int]) -> list[Done]:
        """The records in batches that end at these places."""
        edges = [0, *sorted(cut for cut in cuts if cut < len(records)), len(records)]
        return [self.run(records[start:end]) for start, end in itertools.pairwise(edges) if start < end]

    def rows(self, table: Table) -> list[Row]:
        """A table's rows in key order."""
        return self.tx.all(Statement(select(table).order_by(*table.primary_key)))


@contextmanager
def memory(service: Service[Any], *tables: MetaData) -> Iterator[Memory]:
    """A store that is gone after the block."""
    opened = Memory(service, *tables)
    try:
        yield opened
    finally:
        opened.connection.close()
