"""The tables that every service's store has: who owns a partition, what was handled, what has to leave, what waits.

Instants are integer milliseconds UTC. Rows that belong to a partition carry its number, so that they move with it.
"""

from sqlalchemy import BigInteger, Column, Index, Integer, LargeBinary, MetaData, Table, Text, UniqueConstraint

RUNTIME = MetaData()
NUMBER = BigInteger().with_variant(Integer, "sqlite")  # of a row: SQLite numbers an INTEGER key only, of the same 64 bits

owner = Table(
    "owner",
    RUNTIME,
    Column("partition", Integer, primary_key=True, autoincrement=False),
    Column("epoch", BigInteger, nullable=False),
    Column("pid", BigInteger, nullable=False),
    Column("process_start", BigInteger, nullable=False),
    Column("since_ms", BigInteger, nullable=False),
)

position = Table(
    "position",
    RUNTIME,
    Column("partition", Integer, primary_key=True, autoincrement=False),
    Column("next_offset", BigInteger, nullable=False),
    Column("highest_offset", BigInteger, nullable=False),  # the highest next_offset that this store ever had on this log
    Column("last_offset", BigInteger),  # the last record before next_offset, to know the log again by
    Column("last_appended_ms", BigInteger),
    Column("last_message_id", Text),
    Column("incarnation", Text, nullable=False),
)

inbox = Table(
    "inbox",
    RUNTIME,
    Column("id", Text, primary_key=True),
    Column("actor", Text, nullable=False),
    Column("trace", Text, nullable=False),
    Column("partition", Integer, nullable=False),
    Column("offset", BigInteger, nullable=False),
    Column("mac", Text),  # of an edge command's unsealed body
    Column("at_ms", BigInteger, nullable=False),
    Index("inbox_by_trace", "trace"),
    Index("inbox_by_age", "at_ms"),
    sqlite_with_rowid=False,
)

seen = Table(
    "seen",
    RUNTIME,
    Column("trace", Text, primary_key=True),
    Column("message_id", Text, primary_key=True),
    Column("actor", Text, nullable=False),
    Column("partition", Integer, nullable=False),
    Column("offset", BigInteger, nullable=False),
    Column("at_ms", BigInteger, nullable=False),
    Index("seen_by_age", "at_ms"),
    Index("seen_by_message", "message_id"),
    sqlite_with_rowid=False,
)

alias = Table(
    "alias",
    RUNTIME,
    Column("id", Text, primary_key=True),
    Column("trace", Text, nullable=False),
    Column("at_ms", BigInteger, nullable=False),
    Index("alias_by_age", "at_ms"),
    sqlite_with_rowid=False,
)

claim = Table(
    "claim",
    RUNTIME,
    Column("value", Text, primary_key=True),  # name:value
    Column("owner", Text, nullable=False),
    Index("claim_by_owner", "owner"),
    sqlite_with_rowid=False,
)

outbox = Table(
    "outbox",
    RUNTIME,
    Column("id", NUMBER, primary_key=True, autoincrement=True),
    Column("partition", Integer, nullable=False),
    Column("actor", Text, nullable=False),
    Column("topic", Text, nullable=False),
    Column("key", LargeBinary),
    Column("value", LargeBinary),
    Column("headers", LargeBinary, nullable=False),
    Column("at_ms", BigInteger, nullable=False),
    Column("refused", Text),  # why the bus can never take it; its actor is suspended then
    sqlite_autoincrement=True,
)

stray = Table(
    "stray",
    RUNTIME,
    Column("id", NUMBER, primary_key=True, autoincrement=False),  # an outbox row that somebody beside the loop has written
)

timer = Table(
    "timer",
    RUNTIME,
    Column("id", Text, primary_key=True),
    Column("actor", Text, nullable=False),
    Column("name", Text, nullable=False),
    Column("partition", Integer, nullable=False),
    Column("due_ms", BigInteger, nullable=False),
    Column("type", Text, nullable=False),
    Column("body", LargeBinary, nullable=False),
    Column("trace", Text, nullable=False),
    Column("causation", Text, nullable=False),
    UniqueConstraint("actor", "name"),
    Index("timer_by_due", "partition", "due_ms"),
)

attempt = Table(
    "attempt",
    RUNTIME,
    Column("number", Text, primary_key=True),
    Column("actor", Text, nullable=False),
    Column("partition", Integer, nullable=False),
    Column("target", Text, nullable=False),
    Column("content", LargeBinary, nullable=False),
    Column("tries", Integer, nullable=False),
    Column("next_ms", BigInteger),  # null: the budget is spent, an operator decides
    Column("last_error", Text),
    Column("trace", Text, nullable=False),
    Column("causation", Text, nullable=False),
    Column("at_ms", BigInteger, nullable=False),
    Index("attempt_by_next", "partition", "next_ms"),
)

suspended = Table(
    "suspended",
    RUNTIME,
    Column("actor", Text, primary_key=True),
    Column("partition", Integer, nullable=False),
    Column("reason", Text, nullable=False),
    Column("error", Text, nullable=False),
    Column("tries", Integer, nullable=False),
    Column("next_ms", BigInteger),  # null: stuck, until an operator redrives or skips
    Column("since_ms", BigInteger, nullable=False),
    Index("suspended_by_next", "partition", "next_ms"),
)

parked = Table(
    "parked",
    RUNTIME,
    Column("seq", NUMBER, primary_key=True, autoincrement=True),
    Column("actor", Text, nullable=False),
    Column("message_id", Text, nullable=False),
    Column("topic", Text, nullable=False),
    Column("partition", Integer, nullable=False),
    Column("offset", BigInteger, nullable=False),
    Column("timestamp_ms", BigInteger, nullable=False),
    Column("appended_ms", BigInteger, nullable=False),
    Column("key", LargeBinary),
    Column("value", LargeBinary),
    Column("headers", LargeBinary, nullable=False),
    Column("at_ms", BigInteger, nullable=False),
    Index("parked_by_actor", "actor", "seq"),
    sqlite_autoincrement=True,
)

dead_letter = Table(
    "dead_letter",
    RUNTIME,
    Column("id", Text, primary_key=True),
    Column("topic", Text, nullable=False),
    Column("partition", Integer, nullable=False),
    Column("offset", BigInteger, nullable=False),
    Column("timestamp_ms", BigInteger, nullable=False),
    Column("appended_ms", BigInteger, nullable=False),
    Column("key", LargeBinary),
    Column("value", LargeBinary),
    Column("headers", LargeBinary, nullable=False),
    Column("reason", Text, nullable=False),
    Column("detail", Text, nullable=False),
    Column("attempts", Integer, nullable=False),
    Column("state", Text, nullable=False),  # new, redriven, skipped
    Column("redriven_as", Text),
    Column("at_ms", BigInteger, nullable=False),
    Index("dead_letter_by_age", "at_ms"),
)

waiting = Table(
    "waiting",
    RUNTIME,
    Column("actor", Text, primary_key=True),
    Column("reply_to", Text, primary_key=True),
    Column("at_ms", BigInteger, nullable=False),
    Index("waiting_by_age", "at_ms"),
    sqlite_with_rowid=False,
)

barrier = Table(
    "barrier",
    RUNTIME,
    Column("actor", Text, primary_key=True),
    Column("phase", Text, primary_key=True),
    Column("answer_type", Text, nullable=False),
    Column("answer_body", LargeBinary, nullable=False),
    Column("at_ms", BigInteger, nullable=False),
    Index("barrier_by_age", "at_ms"),
    sqlite_with_rowid=False,
)

audit = Table(
    "audit",
    RUNTIME,
    Column("id", NUMBER, primary_key=True, autoincrement=True),
    Column("at_ms", BigInteger, nullable=False),
    Column("principal", Text, nullable=False),
    Column("action", Text, nullable=False),
    Column("subject", Text, nullable=False),
    Column("reason", Text, nullable=False),
    sqlite_autoincrement=True,
)

meta = Table("meta", RUNTIME, Column("name", Text, primary_key=True), Column("value", Text, nullable=False))

business_day = Table(
    "business_day",
    RUNTIME,
    Column("id", Integer, primary_key=True, autoincrement=False),  # one row
    Column("date", Text, nullable=False),
)
