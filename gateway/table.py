"""Every operation of the API, in the order in which it is described."""

from typing import Final

from agents.runtime.http.health import Health
from gateway import authorizations, bids, loans, logging_in, members, openings, payments, plans, recharges, registrations
from gateway.operations import Good, Operation

DESCRIBE: Final = Operation("describe", "get", "/openapi.json", "This document.", (Good(200, "This document.", None),))
LIVE: Final = Operation("live", "get", "/livez", "Whether the process lives.", (Good(200, "It lives.", Health),))
READY: Final = Operation(
    "ready", "get", "/readyz", "Whether bus, answers and the users store can be used.", (Good(200, "They can.", Health),), ("not_ready",)
)
OPERATIONS: Final[tuple[Operation, ...]] = (
    registrations.REGISTER,
    registrations.LOOK,
    logging_in.LOG_IN,
    logging_in.LOG_OUT,
    members.ME,
    openings.SUBMIT,
    openings.LOOK,
    recharges.RECHARGE,
    recharges.LOOK,
    authorizations.AUTHORIZE,
    authorizations.LOOK,
    loans.PUBLISH,
    loans.LIST,
    loans.LOOK,
    loans.FIRST_AUDIT,
    loans.FULL_AUDIT,
    loans.WITHDRAW,
    bids.BID,
    bids.LIST,
    bids.LOOK,
    plans.PLAN,
    plans.RECEIVABLES,
    plans.BUSINESS_DATE,
    payments.PAY,
    payments.LOOK,
    DESCRIBE,
    LIVE,
    READY,
)
