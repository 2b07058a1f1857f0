"""Plans, their instalments and receivables, collections, and the calendar."""

import sqlalchemy as sa
from alembic import op

revision = "repayments_0001"
down_revision = None
branch_labels = ("repayments",)
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
        "plan",
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("borrower", sa.Text(), nullable=False),
        sa.Column("custody_no", sa.Text(), nullable=False),
        sa.Column("project_no", sa.Text(), nullable=False),
        sa.Column("amount_fen", sa.BigInteger(), nullable=False),
        sa.Column("annual_rate", sa.Text(), nullable=False),
        sa.Column("investor_rate", sa.Text(), nullable=False),
        sa.Column("months", sa.Integer(), nullable=False),
        sa.Column("method", sa.Text(), nullable=False),
        sa.Column("start_date", sa.Text(), nullable=False),
        sa.Column("status", sa.Text(), nullable=False),
        sa.Column("steps", sa.Integer(), nullable=False),
        sa.Column("bids", sa.Integer(), nullable=False),
        sa.Column("made", sa.Integer(), nullable=False),
        sa.Column("checksum", sa.Text(), nullable=False),
        sa.Column("outstanding_fen", sa.BigInteger(), nullable=False),
        sa.Column("next_due", sa.Text(), nullable=True),
        sa.Column("asked_on", sa.Text(), nullable=True),
        sa.Column("collection", sa.Text(), nullable=True),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_index("plan_by_borrower", "plan", ["borrower", "id"], unique=False)
    op.create_index("plan_by_next_due", "plan", ["next_due", "id"], unique=False)
    op.create_table(
        "collection",
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("loan", sa.Text(), nullable=False),
        sa.Column("way", sa.Text(), nullable=False),
        sa.Column("status", sa.Text(), nullable=False),
        sa.Column("due_fen", sa.BigInteger(), nullable=False),
        sa.Column("valid_on", sa.Text(), nullable=False),
        sa.Column("created_ms", sa.BigInteger(), nullable=False),
        sa.Column("changed_ms", sa.BigInteger(), nullable=False),
        sa.Column("amount_fen", sa.BigInteger(), nullable=False),
        sa.Column("booked_date", sa.Text(), nullable=True),
        sa.Column("page_url", sa.Text(), nullable=True),
        sa.Column("reason", sa.Text(), nullable=True),
        sa.Column("order_no", sa.Text(), nullable=True),
        sa.Column("step_number", sa.Integer(), nullable=True),
        sa.Column("step_place", sa.Integer(), nullable=True),
        sa.Column("open_id", sa.Text(), nullable=True),
        sa.ForeignKeyConstraint(["loan"], ["plan.id"]),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_index("collection_by_loan", "collection", ["loan", "created_ms"], unique=False)
    op.create_index("collection_by_status", "collection", ["status", "changed_ms"], unique=False)
    op.create_table(
        "instalment",
        sa.Column("loan", sa.Text(), nullable=False),
        sa.Column("number", sa.Integer(), nullable=False),
        sa.Column("due_date", sa.Text(), nullable=False),
        sa.Column("principal_fen", sa.BigInteger(), nullable=False),
        sa.Column("pool_fen", sa.BigInteger(), nullable=False),
        sa.Column("fee_fen", sa.BigInteger(), nullable=False),
        sa.Column("balance_fen", sa.BigInteger(), nullable=False),
        sa.Column("status", sa.Text(), nullable=False),
        sa.Column("principal_paid_fen", sa.BigInteger(), nullable=False),
        sa.Column("pool_paid_fen", sa.BigInteger(), nullable=False),
        sa.Column("fee_paid_fen", sa.BigInteger(), nullable=False),
        sa.Column("penalty_paid_fen", sa.BigInteger(), nullable=False),
        sa.Column("paid_on", sa.Text(), nullable=True),
        sa.ForeignKeyConstraint(["loan"], ["plan.id"]),
        sa.PrimaryKeyConstraint("loan", "number"),
    )
    op.create_table(
        "plan_bid",
        sa.Column("loan", sa.Text(), nullable=False),
        sa.Column("place", sa.Integer(), nullable=False),
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("investor", sa.Text(), nullable=False),
        sa.Column("custody_no", sa.Text(), nullable=False),
        sa.Column("amount_fen", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(["loan"], ["plan.id"]),
        sa.PrimaryKeyConstraint("loan", "place"),
    )
    op.create_index("plan_bid_by_investor", "plan_bid", ["investor", "loan"], unique=False)
    op.create_table(
        "receivable",
        sa.Column("loan", sa.Text(), nullable=False),
        sa.Column("number", sa.Integer(), nullable=False),
        sa.Column("place", sa.Integer(), nullable=False),
        sa.Column("investor", sa.Text(), nullable=False),
        sa.Column("principal_fen", sa.BigInteger(), nullable=False),
        sa.Column("interest_fen", sa.BigInteger(), nullable=False),
        sa.Column("principal_paid_fen", sa.BigInteger(), nullable=False),
        sa.Column("interest_paid_fen", sa.BigInteger(), nullable=False),
        sa.Column("penalty_paid_fen", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(["loan"], ["plan.id"]),
        sa.PrimaryKeyConstraint("loan", "number", "place"),
    )
    op.create_index("receivable_by_investor", "receivable", ["investor", "loan", "number", "place"], unique=False)
    op.create_table(
        "allotment",
        sa.Column("collection", sa.Text(), nullable=False),
        sa.Column("number", sa.Integer(), nullable=False),
        sa.Column("penalty_fen", sa.BigInteger(), nullable=False),
        sa.Column("pool_fen", sa.BigInteger(), nullable=False),
        sa.Column("fee_fen", sa.BigInteger(), nullable=False),
        sa.Column("principal_fen", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(["collection"], ["collection.id"]),
        sa.PrimaryKeyConstraint("collection", "number"),
    )
    op.create_table(
        "repayment_record",
        sa.Column("collection", sa.Text(), nullable=False),
        sa.Column("number", sa.Integer(), nullable=False),
        sa.Column("place", sa.Integer(), nullable=False),
        sa.Column("penalty_fen", sa.BigInteger(), nullable=False),
        sa.Column("interest_fen", sa.BigInteger(), nullable=False),
        sa.Column("principal_fen", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(["collection"], ["collection.id"]),
        sa.PrimaryKeyConstraint("collection", "number", "place"),
    )
