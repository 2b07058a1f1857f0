"""The bank's tables: the request log, accounts, and the ledger with its journal."""

from sqlalchemy import BigInteger, Boolean, Column, Index, Integer, MetaData, Table, Text

METADATA = MetaData()
NUMBER = BigInteger().with_variant(Integer, "sqlite")

request = Table(
    "request",
    METADATA,
    Column("id", Text, primary_key=True),
    Column("version", Integer, nullable=False),
    Column("platform", Text, nullable=False),
    Column("kind", Text, nullable=False),
    Column("page", Boolean, nullable=False),
    Column("content", Text, nullable=False),  # what was asked, as JSON: evidence
    Column("sealed_content", Text),  # sealed
    Column("content_mac", Text, nullable=False),
    Column("person_lookup", Text),
    Column("password_hash", Text),  # sealed, only until the account is opened
    Column("status", Text, nullable=False),
    Column("amount_fen", BigInteger, nullable=False),
    Column("booked_date", Text),
    Column("reason", Text),
    Column("details", Text, nullable=False),  # what it has yielded, as JSON
    Column("created_ms", BigInteger, nullable=False),
    Column("changed_ms", BigInteger, nullable=False),
    Index("request_by_status", "status", "changed_ms"),
)

day = Table(
    "day",
    METADATA,
    Column("id", Text, primary_key=True),
    Column("version", Integer, nullable=False),
    Column("date", Text, nullable=False),
)

account = Table(
    "account",
    METADATA,
    Column("custody_no", Text, primary_key=True),
    Column("member_id", Text, nullable=False),
    Column("person_lookup", Text, nullable=False, unique=True),
    Column("personal", Text, nullable=False),  # sealed
    Column("card", Text, nullable=False),  # masked
    Column("password_hash", Text, nullable=False),  # sealed
    Column("opened_date", Text, nullable=False),
)

balance = Table(
    "balance",
    METADATA,
    Column("account", Text, primary_key=True),  # available:…, held:…, fee, card_network
    Column("amount_fen", BigInteger, nullable=False),
)

journal = Table(
    "journal",
    METADATA,
    Column("id", NUMBER, primary_key=True, autoincrement=True),
    Column("request_no", Text, nullable=False),
    Column("account", Text, nullable=False),
    Column("amount_fen", BigInteger, nullable=False),
    Column("booked_date", Text, nullable=False),
    Column("at_ms", BigInteger, nullable=False),
    Index("journal_by_request", "request_no"),
    Index("journal_by_account", "account", "id"),
    sqlite_autoincrement=True,
)

hold = Table(
    "hold",
    METADATA,
    Column("request_no", Text, primary_key=True),
    Column("project_no", Text, nullable=False),
    Column("custody_no", Text, nullable=False),
    Column("amount_fen", BigInteger, nullable=False),
    Column("purpose", Text, nullable=False),
    Column("state", Text, nullable=False),
    Index("hold_by_project", "project_no", "request_no"),
    Index("hold_by_state", "state", "custody_no"),
)

project = Table(
    "project",
    METADATA,
    Column("project_no", Text, primary_key=True),
    Column("custody_no", Text, nullable=False),
    Column("amount_fen", BigInteger, nullable=False),
    Column("state", Text, nullable=False),
    Column("holds", Integer, nullable=False),
    Column("held_fen", BigInteger, nullable=False),
)

authorization = Table(
    "authorization_",
    METADATA,
    Column("custody_no", Text, primary_key=True),
    Column("scope", Text, primary_key=True),
    Column("authorization_no", Text, nullable=False),
    Column("cap_fen", BigInteger, nullable=False),
    Column("expires_on", Text, nullable=False),
)
