"""Which store this is: an id made with its first use, by which the members of a group know that they work on the same one."""

from sqlalchemy import bindparam, select

from stores.engine import Tx
from stores.runtime import meta
from stores.statement import Statement, insert_new_row

NAME = "store"
_MADE = insert_new_row(meta)
_READ = Statement(select(meta.c.value).where(meta.c.name == bindparam("of")), "of")


def of_store(tx: Tx, new: str) -> str:
    """The store's id; `new` when it has none yet."""
    if not (rows := tx.all(_READ, NAME)):
        tx.run(_MADE, NAME, new)
        rows = tx.all(_READ, NAME)
    return str(rows[0][0])
