"""The bank: its request log, accounts, ledger and journal."""

import sqlalchemy as sa
from alembic import op

revision = "bank_0001"
down_revision = None
branch_labels = ("bank",)
depends_on = None


def upgrade() -> None:
    op.create_table(
        "account",
        sa.Column("custody_no", sa.Text(), nullable=False),
        sa.Column("member_id", sa.Text(), nullable=False),
        sa.Column("person_lookup", sa.Text(), nullable=False),
        sa.Column("personal", sa.Text(), nullable=False),
        sa.Column("card", sa.Text(), nullable=False),
        sa.Column("password_hash", sa.Text(), nullable=False),
        sa.Column("opened_date", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("custody_no"),
        sa.UniqueConstraint("person_lookup"),
    )
    op.create_table(
        "authorization_",
        sa.Column("custody_no", sa.Text(), nullable=False),
        sa.Column("scope", sa.Text(), nullable=False),
        sa.Column("authorization_no", sa.Text(), nullable=False),
        sa.Column("cap_fen", sa.BigInteger(), nullable=False),
        sa.Column("expires_on", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("custody_no", "scope"),
    )
    op.create_table(
        "balance",
        sa.Column("account", sa.Text(), nullable=False),
        sa.Column("amount_fen", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("account"),
    )
    op.create_table(
        "day",
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("date", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_table(
        "hold",
        sa.Column("request_no", sa.Text(), nullable=False),
        sa.Column("project_no", sa.Text(), nullable=False),
        sa.Column("custody_no", sa.Text(), nullable=False),
        sa.Column("amount_fen", sa.BigInteger(), nullable=False),
        sa.Column("purpose", sa.Text(), nullable=False),
        sa.Column("state", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("request_no"),
    )
    op.create_index("hold_by_project", "hold", ["project_no", "request_no"], unique=False)
    op.create_index("hold_by_state", "hold", ["state", "custody_no"], unique=False)
    op.create_table(
        "journal",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), autoincrement=True, nullable=False),
        sa.Column("request_no", sa.Text(), nullable=False),
        sa.Column("account", sa.Text(), nullable=False),
        sa.Column("amount_fen", sa.BigInteger(), nullable=False),
        sa.Column("booked_date", sa.Text(), nullable=False),
        sa.Column("at_ms", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("id"),
        sqlite_autoincrement=True,
    )
    op.create_index("journal_by_account", "journal", ["account", "id"], unique=False)
    op.create_index("journal_by_request", "journal", ["request_no"], unique=False)
    op.create_table(
        "project",
        sa.Column("project_no", sa.Text(), nullable=False),
        sa.Column("custody_no", sa.Text(), nullable=False),
        sa.Column("amount_fen", sa.BigInteger(), nullable=False),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("holds", sa.Integer(), nullable=False),
        sa.Column("held_fen", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("project_no"),
    )
    op.create_table(
        "request",
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("platform", sa.Text(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("page", sa.Boolean(), nullable=False),
        sa.Column("content", sa.Text(), nullable=False),
        sa.Column("sealed_content", sa.Text(), nullable=True),
        sa.Column("content_mac", sa.Text(), nullable=False),
        sa.Column("person_lookup", sa.Text(), nullable=True),
        sa.Column("password_hash", sa.Text(), nullable=True),
        sa.Column("status", sa.Text(), nullable=False),
        sa.Column("amount_fen", sa.BigInteger(), nullable=False),
        sa.Column("booked_date", sa.Text(), nullable=True),
        sa.Column("reason", sa.Text(), nullable=True),
        sa.Column("details", sa.Text(), nullable=False),
        sa.Column("created_ms", sa.BigInteger(), nullable=False),
        sa.Column("changed_ms", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_index("request_by_status", "request", ["status", "changed_ms"], unique=False)


def downgrade() -> None:
    op.drop_table("request")
    op.drop_table("project")
    op.drop_table("journal")
    op.drop_table("hold")
    op.drop_table("day")
    op.drop_table("balance")
    op.drop_table("authorization_")
    op.drop_table("account")
