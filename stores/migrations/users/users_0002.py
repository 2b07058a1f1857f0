"""A member's custody account, and his requests to the bank: openings, transfers, authorizations."""

from typing import Any

import sqlalchemy as sa
from alembic import op

revision = "users_0002"
down_revision = "users_0001"
branch_labels = None
depends_on = None

OF_MEMBER = ("custody_no", "card", "person_lookup", "opening")


def upgrade() -> None:
    for name in OF_MEMBER:
        op.add_column("member", sa.Column(name, sa.Text(), nullable=True))
    op.create_index("member_by_custody_no", "member", ["custody_no"], unique=False)
    _dealing("opening", *(sa.Column(name, sa.Text()) for name in ("person_lookup", "custody_no", "card", "open_id")))
    _dealing("transfer", sa.Column("amount_fen", sa.BigInteger(), nullable=False))
    _dealing("member_authorization", sa.Column("cap_fen", sa.BigInteger(), nullable=False), sa.Column("expires_on", sa.Text()))


def _dealing(name: str, *columns: sa.Column[Any]) -> None:
    op.create_table(
        name,
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("member", sa.Text(), nullable=False),
        sa.Column("status", sa.Text(), nullable=False),
        sa.Column("created_ms", sa.BigInteger(), nullable=False),
        sa.Column("changed_ms", sa.BigInteger(), nullable=False),
        sa.Column("page_url", sa.Text()),
        sa.Column("reason", sa.Text()),
        *columns,
        sa.ForeignKeyConstraint(["member"], ["registration.id"]),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_index(f"{name}_by_member", name, ["member", "id"], unique=False)


def downgrade() -> None:
    for name in ("member_authorization", "transfer", "opening"):
        op.drop_table(name)
    op.drop_index("member_by_custody_no", "member")
    for name in OF_MEMBER:
        op.drop_column("member", name)
