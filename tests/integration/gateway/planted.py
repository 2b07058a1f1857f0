"""Stores with rows that a test has put there, as if the services had: one loan, one bid, one plan, one payment."""

import shutil
import sqlite3
import uuid
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from sqlalchemy import Table

from agents.runtime.http.idempotency import command_id
from config.settings import Settings
from stores import accounts, repayments, runtime, trading, users
from stores.engine import sqlite_path
from stores.migrate import migrate

SERVICES: Final = ("accounts", "users", "trading", "repayments")
NOBODY: Final = "00000000-0000-4000-8000-000000000000"
BORROWER, INVESTOR, AUDITOR, SECOND = (str(uuid.uuid5(uuid.NAMESPACE_OID, name)) for name in ("borrower", "investor", "first", "second"))
LOAN, BID, PAYMENT = (str(uuid.uuid5(uuid.NAMESPACE_OID, name)) for name in ("loan", "bid", "payment"))
OPENING, RECHARGE, AUTHORIZATION = (str(uuid.uuid5(uuid.NAMESPACE_OID, name)) for name in ("opening", "recharge", "authorization"))

AN_ACCOUNT: Final[Mapping[str, Any]] = {
    "id": BORROWER,
    "version": 1,
    "login_name": "b_one",
    "mobile": "",
    "mobile_lookup": "",
    "password_hash": "",
    "status": "AVAILABLE",
    "created_ms": 1,
    "role": "borrower",
}
A_REGISTRATION: Final[Mapping[str, Any]] = {
    "id": BORROWER,
    "version": 1,
    "login_name": "b",
    "status": "CONFIRMED",
    "round": 0,
    "stuck": 0,
    "created_ms": 1,
    "changed_ms": 2,
}
A_MEMBER: Final[Mapping[str, Any]] = {
    "id": BORROWER,
    "version": 1,
    "role": "borrower",
    "mobile": "",
    "status": "AVAILABLE",
    "created_ms": 1,
    "custody_no": "c1",
    "card": "**3447",
    "person_lookup": "p",
}
A_DEALING: Final[Mapping[str, Any]] = {"member": BORROWER, "created_ms": 1, "changed_ms": 2, "page_url": "http://bank/p"}
AN_OPENING: Final[Mapping[str, Any]] = {**A_DEALING, "id": OPENING, "status": "OPENED", "custody_no": "c1", "card": "**3447"}
A_RECHARGE: Final[Mapping[str, Any]] = {**A_DEALING, "id": RECHARGE, "status": "DONE", "amount_fen": 700_000}
AN_AUTHORIZATION: Final[Mapping[str, Any]] = {
    **A_DEALING,
    "id": AUTHORIZATION,
    "status": "ON",
    "cap_fen": 400_000,
    "expires_on": "2027-02-28",
}
A_LOAN: Final[Mapping[str, Any]] = {
    "id": LOAN,
    "version": 1,
    "borrower": BORROWER,
    "person_lookup": "p",
    "custody_no": "c1",
    "title": "a tea shop's stock",
    "amount_fen": 1_000_000,
    "annual_rate": "0.1",
    "investor_rate": "0.08",
    "months": 3,
    "method": "equal_installment",
    "raising_days": 20,
    "status": "RAISING",
    "created_ms": 1,
    "changed_ms": 2,
    "raising_until": "2026-02-20",
    "accepted_fen": 0,
    "accepted": 0,
    "reserved_fen": 0,
    "places": 0,
    "ending": 0,
    "plan_round": 0,
    "outstanding_fen": 0,
}
A_BID: Final[Mapping[str, Any]] = {
    "id": BID,
    "loan": LOAN,
    "place": 1,
    "investor": INVESTOR,
    "custody_no": "c2",
    "amount_fen": 200_000,
    "status": "ACCEPTED",
    "created_ms": 1,
    "changed_ms": 2,
    "page_url": "http://bank/p",
}
A_PLAN: Final[Mapping[str, Any]] = {
    "id": LOAN,
    "version": 1,
    "borrower": BORROWER,
    "custody_no": "c1",
    "project_no": LOAN,
    "amount_fen": 1_000_000,
    "annual_rate": "0.1",
    "investor_rate": "0.08",
    "months": 3,
    "method": "equal_installment",
    "start_date": "2026-01-31",
    "status": "REPAYING",
    "steps": 1,
    "bids": 1,
    "made": 1,
    "checksum": "",
    "outstanding_fen": 1_000_000,
    "next_due": "2026-02-28",
}
AN_INSTALMENT: Final[Mapping[str, Any]] = {
    "loan": LOAN,
    "number": 1,
    "due_date": "2026-02-28",
    "principal_fen": 330_567,
    "pool_fen": 6_667,
    "fee_fen": 1_666,
    "balance_fen": 669_433,
    "status": "PARTLY_PAID",
    "principal_paid_fen": 0,
    "pool_paid_fen": 6_667,
    "fee_paid_fen": 1_666,
    "penalty_paid_fen": 3,
}
A_CLAIM: Final[Mapping[str, Any]] = {"loan": LOAN, "place": 0, "id": BID, "investor": INVESTOR, "custody_no": "c2", "amount_fen": 1_000_000}
A_RECEIVABLE: Final[Mapping[str, Any]] = {
    "loan": LOAN,
    "number": 1,
    "place": 0,
    "investor": INVESTOR,
    "principal_fen": 330_567,
    "interest_fen": 6_667,
    "principal_paid_fen": 0,
    "interest_paid_fen": 6_667,
    "penalty_paid_fen": 2,
}
A_PAYMENT: Final[Mapping[str, Any]] = {
    "id": PAYMENT,
    "loan": LOAN,
    "way": "PAGE",
    "status": "BOOKED",
    "due_fen": 338_900,
    "valid_on": "2026-02-28",
    "created_ms": 1,
    "changed_ms": 2,
    "amount_fen": 338_900,
    "booked_date": "2026-02-28",
}


class Planted:
    """The stores of a folder, whose rows a test writes."""

    def __init__(self, settings: Settings, templates: Path) -> None:
        self._paths = {name: sqlite_path(settings.store_url(name)) for name in SERVICES}
        for name, path in self._paths.items():
            path.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(templates / f"{name}.db", path)

    def put(self, service: str, table: Table, row: Mapping[str, Any], **changes: Any) -> None:
        """One row, in the place of the one with its key."""
        values = {**row, **changes}
        assert set(values) <= set(table.c.keys()), f"{table.name} has no {set(values) - set(table.c.keys())}"
        columns = ", ".join(f'"{name}"' for name in values)
        marks = ", ".join("?" for _ in values)
        connection = sqlite3.connect(self._paths[service])
        connection.execute(f'INSERT OR REPLACE INTO "{table.name}" ({columns}) VALUES ({marks})', tuple(values.values()))
        connection.commit()
        connection.close()

    def story(self) -> None:
        """A loan that repays, with everything that belongs to it."""
        self.put("accounts", accounts.account, AN_ACCOUNT)
        self.put("users", users.registration, A_REGISTRATION)
        self.put("users", users.member, A_MEMBER)
        self.put("users", users.opening, AN_OPENING)
        self.put("users", users.transfer, A_RECHARGE)
        self.put("users", users.authorization, AN_AUTHORIZATION)
        self.put("trading", trading.loan, A_LOAN)
        self.put("trading", trading.bid, A_BID)
        self.put("repayments", repayments.plan, A_PLAN)
        self.put("repayments", repayments.instalment, AN_INSTALMENT)
        self.put("repayments", repayments.plan_bid, A_CLAIM)
        self.put("repayments", repayments.receivable, A_RECEIVABLE)
        self.put("repayments", repayments.collection, A_PAYMENT)

    def handled(self, service: str, thing: str, mac: str) -> None:
        """The command that made this thing has been taken, with this content."""
        row = {"id": command_id(thing), "actor": thing, "trace": thing, "partition": 0, "offset": 0, "mac": mac, "at_ms": 1}
        self.put(service, runtime.inbox, row)

    def suspended(self, service: str, actor: str) -> None:
        """The actor waits for an operator."""
        columns = {column.name: 0 if "INT" in str(column.type).upper() else "" for column in runtime.suspended.c if not column.nullable}
        self.put(service, runtime.suspended, {**columns, "actor": actor})

    def away(self) -> None:
        """The stores are not there any more."""
        for path in self._paths.values():
            path.unlink()


def make_templates(folder: Path) -> Path:
    """Each store, migrated and empty."""
    for name in SERVICES:
        migrate(name, f"sqlite:///{folder}/{name}.db")
    return folder
