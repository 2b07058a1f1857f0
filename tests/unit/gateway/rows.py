"""Rows as the owners' queries return them, for what is shown of them."""

from types import SimpleNamespace
from typing import Any

THING = "04484baa-3aaa-5913-a335-04d36d3dfc06"
LOAN = "0f7c1c5e-3a50-4f07-8d21-5f2f0a7bb0aa"
BORROWER, INVESTOR, AUDITOR = "b" * 8, "i" * 8, "a" * 8


def a_loan(**changes: Any) -> Any:
    """A loan that takes bids."""
    row = {
        "id": LOAN,
        "borrower": BORROWER,
        "title": "a tea shop's stock",
        "amount_fen": 1_000_000,
        "accepted_fen": 300_000,
        "annual_rate": "0.1",
        "investor_rate": "0.08",
        "months": 3,
        "method": "equal_installment",
        "raising_days": 20,
        "raising_until": "2026-02-20",
        "status": "RAISING",
        "reason": None,
        "first_auditor": AUDITOR,
        "second_auditor": None,
        "created_ms": 0,
        "changed_ms": 1_500,
    }
    return SimpleNamespace(**{**row, **changes})


def a_bid(**changes: Any) -> Any:
    """A bid that waits for its investor at the bank."""
    row = {
        "id": THING,
        "loan": LOAN,
        "place": 1,
        "investor": INVESTOR,
        "amount_fen": 200_000,
        "status": "PENDING",
        "page_url": "http://bank/p",
        "reason": None,
        "created_ms": 0,
        "changed_ms": 1_500,
    }
    return SimpleNamespace(**{**row, **changes})


def a_dealing(**changes: Any) -> Any:
    """An opening, a recharge or an authorization that waits for its member at the bank."""
    row = {
        "id": THING,
        "member": BORROWER,
        "status": "AWAITING",
        "page_url": "http://bank/p",
        "reason": None,
        "created_ms": 0,
        "changed_ms": 1_500,
        "custody_no": None,
        "card": None,
        "open_id": None,
        "amount_fen": 700_000,
        "cap_fen": 400_000,
        "expires_on": "2027-02-28",
    }
    return SimpleNamespace(**{**row, **changes})


def a_payment(**changes: Any) -> Any:
    """A payment that waits for its borrower at the bank."""
    row = {
        "id": THING,
        "loan": LOAN,
        "status": "OPEN",
        "due_fen": 338_900,
        "amount_fen": 0,
        "valid_on": "2026-02-28",
        "booked_date": None,
        "page_url": "http://bank/p",
        "reason": None,
        "open_id": None,
        "created_ms": 0,
        "changed_ms": 1_500,
    }
    return SimpleNamespace(**{**row, **changes})


def an_instalment(**changes: Any) -> Any:
    """An instalment of which a part is paid."""
    row = {
        "number": 1,
        "due_date": "2026-02-28",
        "principal_fen": 330_567,
        "pool_fen": 6_667,
        "fee_fen": 1_666,
        "balance_fen": 669_433,
        "status": "PARTLY_PAID",
        "principal_paid_fen": 7,
        "pool_paid_fen": 6_667,
        "fee_paid_fen": 1_666,
        "penalty_paid_fen": 3,
        "paid_on": None,
    }
    return SimpleNamespace(**{**row, **changes})


def a_plan(**changes: Any) -> Any:
    """A plan that is being repaid."""
    row = {
        "id": LOAN,
        "borrower": BORROWER,
        "status": "REPAYING",
        "amount_fen": 1_000_000,
        "outstanding_fen": 999_993,
        "start_date": "2026-01-31",
        "next_due": "2026-02-28",
    }
    return SimpleNamespace(**{**row, **changes})


def a_receivable(**changes: Any) -> Any:
    """An investor's part of an instalment."""
    row = {
        "number": 1,
        "place": 0,
        "bid": THING,
        "due_date": "2026-02-28",
        "principal_fen": 330_567,
        "interest_fen": 6_667,
        "principal_paid_fen": 7,
        "interest_paid_fen": 6_667,
        "penalty_paid_fen": 2,
    }
    return SimpleNamespace(**{**row, **changes})
