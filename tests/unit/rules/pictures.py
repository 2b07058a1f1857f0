"""A picture in which every rule holds: a loan that is repaid, one that raises, one that failed; and how it is spoilt."""

from tools.rules.picture import Bid, Hold, Instalment, Loan, Order, Picture, Plan


def sound() -> Picture:
    """Everything is as it must be."""
    return Picture(
        loans={
            "lent": Loan("lent", "REPAYING", 1_000, 1_000),
            "raising": Loan("raising", "RAISING", 500, 200),
            "failed": Loan("failed", "FAILED", 400, 0),
        },
        bids={
            "l1": Bid("l1", "lent", "ACCEPTED", 600),
            "l2": Bid("l2", "lent", "ACCEPTED", 400),
            "r1": Bid("r1", "raising", "ACCEPTED", 200),
            "r2": Bid("r2", "raising", "REFUSED", 100),
            "f1": Bid("f1", "failed", "RELEASED", 300),
        },
        plans={"lent": Plan("lent", "REPAYING", 1_000, 700, 1_000, 1_000, 30, 300, 1_000, 30)},
        instalments=[Instalment("lent", 1, (300, 12), (300, 12), (300, 12), (300, 12))],
        orders={
            "o1": Order("o1", "open_account", "SUCCEEDED", 0),
            "l1": Order("l1", "hold", "SUCCEEDED", 600),
            "l2": Order("l2", "hold", "SUCCEEDED", 400),
            "r1": Order("r1", "hold", "SUCCEEDED", 200),
            "r2": Order("r2", "hold", "REFUSED", 100),
            "f1": Order("f1", "hold", "SUCCEEDED", 300),
            "c1": Order("c1", "recharge", "CLOSED", 50),
        },
        members={"m1": "6001", "m2": None},
        requests={
            "o1": Order("o1", "open_account", "SUCCEEDED", 0),
            "l1": Order("l1", "hold", "SUCCEEDED", 600),
            "l2": Order("l2", "hold", "SUCCEEDED", 400),
            "r1": Order("r1", "hold", "SUCCEEDED", 200),
            "r2": Order("r2", "hold", "REFUSED", 100),
            "f1": Order("f1", "hold", "SUCCEEDED", 300),
        },
        holds={
            "l1": Hold("l1", "bid", 0),
            "l2": Hold("l2", "bid", 0),
            "r1": Hold("r1", "bid", 200),
            "f1": Hold("f1", "bid", 0),
            "k1": Hold("k1", "repayment", 70),
        },
        accounts={"6001": "m1"},
        bank=True,
    )
