"""What is due is asked for a partition at a time: a worker owns some of several, and reads nothing of the others."""

from alembic import op

revision = "runtime_0002"
down_revision = "runtime_0001"
branch_labels = None
depends_on = None

BY_INSTANT = (("timer_by_due", "timer", "due_ms"), ("attempt_by_next", "attempt", "next_ms"), ("suspended_by_next", "suspended", "next_ms"))


def upgrade() -> None:
    for name, table, instant in BY_INSTANT:
        op.drop_index(name, table)
        op.create_index(name, table, ["partition", instant], unique=False)


def downgrade() -> None:
    for name, table, instant in BY_INSTANT:
        op.drop_index(name, table)
        op.create_index(name, table, [instant], unique=False)
