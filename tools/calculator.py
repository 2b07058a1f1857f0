"""One line of `lendbus calc`: a question as JSON, its answer or what is wrong with it (MONEY 5).

It knows no product limits, and refuses nonsense: what is not meant exactly as it stands here has no answer.
"""

from collections.abc import Callable, Mapping
from datetime import date
from fractions import Fraction
from typing import Any, Final, NamedTuple

from agents.repayments.apr import apr, flows
from agents.repayments.due_dates import days_between, due_dates
from agents.repayments.money import Fen, interest_of_days
from agents.repayments.penalty import Base, DailyRates, penalty_fen
from agents.repayments.schedule import Method, NotRepresentable, Schedule, schedule
from agents.repayments.shares import receivables, split
from agents.runtime import canonical
from agents.runtime.canonical import Unacceptable
from agents.runtime.canonical_json import parse_json

LINE_BYTES_MAX: Final = 16 * 1024 * 1024
PRINCIPAL_FEN_MAX: Final = canonical.AMOUNT_FEN_MAX
MONTHS_MAX: Final = 600
FIRST_DATE, LAST_DATE = date(1900, 1, 1), date(2199, 12, 31)
SHARES_MAX: Final = 2_000_000  # bids × months of one loan_split: an answer has to fit into memory

Answer = dict[str, Any]
Reader = Callable[[Any], Any]


class Operation(NamedTuple):
    """What one `op` needs, and what answers it."""

    fields: Mapping[str, Reader]
    answer: Callable[..., Answer]


def answer(line: bytes) -> Answer:
    """The answer to one line, or an object whose `error` is a stable code, `field` where it is (None: the line), `message` a sentence."""
    try:
        asked = parse_json(line, max_bytes=LINE_BYTES_MAX)
        operation = _operation(asked)
        return operation.answer(**_values(asked, operation.fields))
    except Unacceptable as exc:
        return refusal(exc.code, exc.message, exc.pointer.removeprefix("/") or None)


def refusal(code: str, message: str, field: str | None = None) -> Answer:
    """How every error of the calculator looks."""
    return {"error": code, "field": field, "message": message}


def _operation(asked: Any) -> Operation:
    if not isinstance(asked, dict):
        raise Unacceptable("not_an_object", "a line is one JSON object")
    if "op" not in asked:
        raise Unacceptable("missing_field", "op is missing: it says what to compute", "/op")
    name = asked["op"]
    if not isinstance(name, str) or name not in OPERATIONS:
        raise Unacceptable("unknown_op", f"op is one of {', '.join(OPERATIONS)}", "/op")
    return OPERATIONS[name]


def _values(asked: Mapping[str, Any], fields: Mapping[str, Reader]) -> dict[str, Any]:
    """Every field as it is meant. Raises Unacceptable for the first that is unknown, missing or wrong."""
    for name in asked:
        if name not in fields and name != "op":
            raise Unacceptable("unknown_field", f"besides op there are {', '.join(fields)}", f"/{name}")
    values = {}
    for name, read in fields.items():
        if name not in asked:
            raise Unacceptable("missing_field", f"{name} is missing", f"/{name}")
        try:
            values[name] = read(asked[name])
        except Unacceptable as exc:
            raise Unacceptable(exc.code, exc.message, f"/{name}{exc.pointer}") from None
    return values


def _whole(value: Any, least: int, most: int | None = None) -> int:
    if type(value) is not int:  # True is an int
        raise Unacceptable("not_an_integer", "a whole number is expected, as a JSON integer")
    if value < least or (most is not None and value > most):
        raise Unacceptable("out_of_range", f"it is at least {least}" if most is None else f"it is from {least} to {most}")
    return value


def _amount(value: Any) -> Fen:
    return Fen(_whole(value, 0))


def _principal(value: Any) -> Fen:
    return Fen(_whole(value, 1, PRINCIPAL_FEN_MAX))


def _months(value: Any) -> int:
    return _whole(value, 1, MONTHS_MAX)


def _days(value: Any) -> int:
    return _whole(value, 0)


def _amounts(value: Any) -> list[Fen]:
    if not isinstance(value, list):
        raise Unacceptable("not_a_list", "a list of whole numbers is expected")
    for at, each in enumerate(value):
        try:
            _amount(each)
        except Unacceptable as exc:
            raise Unacceptable(exc.code, exc.message, f"/{at}") from None
    return value


def _rate(value: Any) -> Fraction:
    return Fraction(canonical.rate(value))


def _date(value: Any) -> date:
    found = canonical.iso_date(value)
    if not FIRST_DATE <= found <= LAST_DATE:
        raise Unacceptable("out_of_range", f"it is from {FIRST_DATE} to {LAST_DATE}")
    return found


def _method(value: Any) -> Method:
    if not isinstance(value, str) or value not in Method.__members__.values():
        raise Unacceptable("unknown_method", f"method is one of {', '.join(Method)}")
    return Method(value)


def _schedule(method: Method, principal_fen: Fen, annual_rate: Fraction, months: int) -> Schedule:
    """The schedule. Raises Unacceptable where there is none, and names the row."""
    match schedule(method, principal_fen=principal_fen, annual_rate=annual_rate, months=months):
        case NotRepresentable() as refused:
            raise Unacceptable(
                refused.code,
                f"row {refused.row} of {months} would leave less than nothing: the roundings add up to more than the principal",
            )
        case Schedule() as made:
            return made


def _plan(method: Method, principal_fen: Fen, annual_rate: Fraction, months: int, start_date: date) -> Answer:
    made = _schedule(method, principal_fen, annual_rate, months)
    dates = due_dates(start_date, months)
    principal, interest = made.principal_fen, made.interest_fen
    return {
        "instalment_fen": made.instalment_fen,
        "periods": [
            {
                "n": row.n,
                "due_date": dates[row.month - 1].isoformat(),
                "principal_fen": row.principal_fen,
                "interest_fen": row.interest_fen,
                "total_fen": row.total_fen,
                "balance_fen": row.balance_fen,
            }
            for row in made.rows
        ],
        "sum_principal_fen": principal,
        "sum_interest_fen": interest,
        "sum_total_fen": principal + interest,
    }


def _split(total_fen: Fen, weights: list[Fen]) -> Answer:
    if total_fen and not any(weights):
        raise Unacceptable("no_weight", "somebody has a weight where there is something to split", "/weights")
    return {"shares": split(total_fen, weights)}


def _loan_split(
    method: Method,
    principal_fen: Fen,
    annual_rate: Fraction,
    investor_rate: Fraction,
    months: int,
    start_date: date,  # a plan has one; no share depends on it
    bids_fen: list[Fen],
) -> Answer:
    if investor_rate > annual_rate:
        raise Unacceptable("out_of_range", "it is at most annual_rate", "/investor_rate")
    if sum(bids_fen) != principal_fen:
        raise Unacceptable("sum_of_bids", "the bids add up to principal_fen", "/bids_fen")
    if len(bids_fen) * months > SHARES_MAX:
        raise Unacceptable("too_large", f"bids times months are at most {SHARES_MAX}", "/bids_fen")
    made = _schedule(method, principal_fen, annual_rate, months)
    return {
        "periods": [
            {
                "n": each.n,
                "principal_fen": each.principal_fen,
                "interest_fen": each.interest_fen,
                "platform_fee_fen": each.platform_fee_fen,
            }
            for each in receivables(made.rows, bids_fen=bids_fen, investor_rate=investor_rate)
        ]
    }


def _penalty(overdue_fen: Fen, overdue_days: int, rate_1_30: Fraction, rate_31_plus: Fraction) -> Answer:
    return {"penalty_fen": penalty_fen([Base(0, overdue_fen)], overdue_days, DailyRates(rate_1_30, rate_31_plus))}


def _broken_period(principal_fen: Fen, annual_rate: Fraction, from_date: date, to_date: date) -> Answer:
    if to_date < from_date:
        raise Unacceptable("out_of_range", "it is not before from_date", "/to_date")
    days = days_between(from_date, to_date)
    return {"days": days, "interest_fen": interest_of_days(principal_fen, annual_rate, days)}


def _due_dates(start_date: date, months: int) -> Answer:
    return {"due_dates": [each.isoformat() for each in due_dates(start_date, months)]}


def _apr(method: Method, principal_fen: Fen, annual_rate: Fraction, months: int, fee_upfront_fen: Fen, fee_monthly_fen: Fen) -> Answer:
    if fee_upfront_fen >= principal_fen:
        raise Unacceptable("out_of_range", "it is less than principal_fen", "/fee_upfront_fen")
    made = _schedule(method, principal_fen, annual_rate, months)
    return apr(flows(made, fee_upfront_fen=fee_upfront_fen, fee_monthly_fen=fee_monthly_fen))._asdict()


_TERMS: Final[dict[str, Reader]] = {"method": _method, "principal_fen": _principal, "annual_rate": _rate}
OPERATIONS: Final[dict[str, Operation]] = {
    "plan": Operation({**_TERMS, "months": _months, "start_date": _date}, _plan),
    "split": Operation({"total_fen": _amount, "weights": _amounts}, _split),
    "loan_split": Operation({**_TERMS, "investor_rate": _rate, "months": _months, "start_date": _date, "bids_fen": _amounts}, _loan_split),
    "penalty": Operation({"overdue_fen": _amount, "overdue_days": _days, "rate_1_30": _rate, "rate_31_plus": _rate}, _penalty),
    "broken_period": Operation({"principal_fen": _principal, "annual_rate": _rate, "from_date": _date, "to_date": _date}, _broken_period),
    "due_dates": Operation({"start_date": _date, "months": _months}, _due_dates),
    "apr": Operation({**_TERMS, "months": _months, "fee_upfront_fen": _amount, "fee_monthly_fen": _amount}, _apr),
}
