"""Loans, bids, their history, and the calendar."""

import sqlalchemy as sa
from alembic import op

revision = "trading_0001"
down_revision = None
branch_labels = ("trading",)
depends_on = None


def upgrade() -> None:
    op.create_table(
        "calendar",
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("day", sa.Text(), nullable=False),
        sa.Column("after", sa.Text(), nullable=True),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_table(
        "calendar_waiting",
        sa.Column("calendar", sa.Text(), nullable=False),
        sa.Column("day", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("calendar", "day"),
    )
    op.create_table(
        "loan",
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("borrower", sa.Text(), nullable=False),
        sa.Column("person_lookup", sa.Text(), nullable=False),
        sa.Column("custody_no", sa.Text(), nullable=False),
        sa.Column("title", sa.Text(), nullable=False),
        sa.Column("amount_fen", sa.BigInteger(), nullable=False),
        sa.Column("annual_rate", sa.Text(), nullable=False),
        sa.Column("investor_rate", sa.Text(), nullable=False),
        sa.Column("months", sa.Integer(), nullable=False),
        sa.Column("method", sa.Text(), nullable=False),
        sa.Column("raising_days", sa.Integer(), nullable=False),
        sa.Column("status", sa.Text(), nullable=False),
        sa.Column("created_ms", sa.BigInteger(), nullable=False),
        sa.Column("changed_ms", sa.BigInteger(), nullable=False),
        sa.Column("reason", sa.Text(), nullable=True),
        sa.Column("stood", sa.Text(), nullable=True),
        sa.Column("first_auditor", sa.Text(), nullable=True),
        sa.Column("second_auditor", sa.Text(), nullable=True),
        sa.Column("raising_until", sa.Text(), nullable=True),
        sa.Column("cap", sa.Text(), nullable=True),
        sa.Column("lpr_since", sa.Text(), nullable=True),
        sa.Column("accepted_fen", sa.BigInteger(), nullable=False),
        sa.Column("accepted", sa.Integer(), nullable=False),
        sa.Column("reserved_fen", sa.BigInteger(), nullable=False),
        sa.Column("places", sa.Integer(), nullable=False),
        sa.Column("establish_no", sa.Text(), nullable=True),
        sa.Column("confirm_no", sa.Text(), nullable=True),
        sa.Column("close_no", sa.Text(), nullable=True),
        sa.Column("ending", sa.Integer(), nullable=False),
        sa.Column("failing_after", sa.Integer(), nullable=True),
        sa.Column("start_date", sa.Text(), nullable=True),
        sa.Column("plan_round", sa.Integer(), nullable=False),
        sa.Column("plan_checksum", sa.Text(), nullable=True),
        sa.Column("outstanding_fen", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_index("loan_by_borrower", "loan", ["borrower", "id"], unique=False)
    op.create_index("loan_by_raising_until", "loan", ["raising_until", "id"], unique=False)
    op.create_index("loan_by_status", "loan", ["status", "id"], unique=False)
    op.create_table(
        "loan_history",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), autoincrement=True, nullable=False),
        sa.Column("loan", sa.Text(), nullable=False),
        sa.Column("status", sa.Text(), nullable=False),
        sa.Column("at_ms", sa.BigInteger(), nullable=False),
        sa.Column("who", sa.Text(), nullable=False),
        sa.Column("reason", sa.Text(), nullable=True),
        sa.PrimaryKeyConstraint("id"),
        sqlite_autoincrement=True,
    )
    op.create_index("loan_history_by_loan", "loan_history", ["loan", "id"], unique=False)
    op.create_table(
        "bid",
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("loan", sa.Text(), nullable=False),
        sa.Column("place", sa.Integer(), nullable=False),
        sa.Column("investor", sa.Text(), nullable=False),
        sa.Column("custody_no", sa.Text(), nullable=False),
        sa.Column("amount_fen", sa.BigInteger(), nullable=False),
        sa.Column("status", sa.Text(), nullable=False),
        sa.Column("created_ms", sa.BigInteger(), nullable=False),
        sa.Column("changed_ms", sa.BigInteger(), nullable=False),
        sa.Column("page_url", sa.Text(), nullable=True),
        sa.Column("reason", sa.Text(), nullable=True),
        sa.Column("release_no", sa.Text(), nullable=True),
        sa.ForeignKeyConstraint(["loan"], ["loan.id"]),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_index("bid_by_investor", "bid", ["investor", "id"], unique=False)
    op.create_index("bid_by_loan", "bid", ["loan", "place"], unique=False)
    op.create_index("bid_by_release", "bid", ["release_no"], unique=False)


def downgrade() -> None:
    op.drop_table("bid")
    op.drop_table("loan_history")
    op.drop_table("loan")
    op.drop_table("calendar_waiting")
    op.drop_table("calendar")
