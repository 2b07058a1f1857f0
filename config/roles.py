"""Who may do what: each role has the permissions that stand here and no other (DESIGN 3: deny by default).

A role is kept with the account and is in every session; what is one's own is a rule of the routes, not of this table.
"""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

MEMBERS: Final = ("borrower", "investor")  # whoever registers himself is one of these
STAFF: Final = ("auditor", "operator", "administrator")  # who works here: made by `lendbus admin create`

_ANYBODY: Final = frozenset({"see_me", "end_session"})
_AT_THE_BANK: Final = frozenset({"open_account", "recharge"})
_LOOKS_ON: Final = frozenset({"see_loans", "see_plan"})

PERMISSIONS: Final[Mapping[str, frozenset[str]]] = MappingProxyType(
    {
        "borrower": _ANYBODY | _AT_THE_BANK | _LOOKS_ON | {"authorize_repay", "publish_loan", "withdraw_loan", "pay"},
        "investor": _ANYBODY | _AT_THE_BANK | {"see_loans", "see_receivables", "bid"},
        "auditor": _ANYBODY | _LOOKS_ON | {"audit_loan"},
        "operator": _ANYBODY | _LOOKS_ON,
        "administrator": _ANYBODY | _LOOKS_ON,
    }
)


def may(role: str, permission: str) -> bool:
    """Whether somebody in this role has the permission; a role that is not in the table has none."""
    return permission in PERMISSIONS.get(role, frozenset())
