"""What must hold inside one store, whatever is under way: a loan's bids, a plan's sums, an instalment's shares."""

from typing import Final

from tools.consistency import Finding
from tools.rules.picture import Instalment, Picture, Plan

LENT: Final = frozenset({"FULL", "DISBURSING", "REPAYING", "SETTLED"})  # every fen of the loan is accepted
COUNTED: Final = LENT | {"RAISING"}


def broken(picture: Picture) -> list[Finding]:
    """Every local rule that does not hold, sorted."""
    found = [finding for plan in picture.plans.values() if plan.is_made for finding in _plan(plan)]
    return sorted([*accepted(picture), *found, *(f for row in picture.instalments for f in _instalment(row))])


def accepted(picture: Picture) -> list[Finding]:
    """Σ accepted ≤ amount, and the sum that the loan decides by is the sum of its accepted bids."""
    bids = picture.bids_by_loan()
    found = [Finding("bids_without_loan", loan, f"{len(rows)} bids") for loan, rows in bids.items() if loan not in picture.loans]
    for loan in picture.loans.values():
        total = sum(bid.amount_fen for bid in bids.get(loan.id, ()) if bid.status == "ACCEPTED")
        said = f"{loan.status}: {total} fen are accepted of {loan.amount_fen}, the loan counts {loan.accepted_fen}"
        if total > loan.amount_fen:
            found.append(Finding("accepted_over_amount", loan.id, said))
        elif loan.status in LENT and total != loan.amount_fen:
            found.append(Finding("lent_is_not_the_amount", loan.id, said))
        if loan.status in COUNTED and total != loan.accepted_fen:
            found.append(Finding("accepted_sum_differs", loan.id, said))
    return found


def _plan(plan: Plan) -> list[Finding]:
    """Σ plan = amount, for the instalments, the bids that it was made of, and the investors' shares."""
    pairs = {
        "plan_is_not_the_amount": (plan.principal_fen, plan.amount_fen, "of principal in the instalments"),
        "bids_are_not_the_amount": (plan.bids_fen, plan.amount_fen, "of bids"),
        "shares_are_not_the_amount": (plan.shares_principal_fen, plan.amount_fen, "of principal in the receivables"),
        "shares_are_not_the_pool": (plan.shares_interest_fen, plan.pool_fen, "of interest in the receivables"),
    }
    if not plan.busy:
        left = plan.amount_fen - plan.principal_paid_fen
        pairs["outstanding_is_not_what_is_left"] = (plan.outstanding_fen, left, "outstanding")
    return [Finding(rule, plan.id, f"{here} fen {what}, wanted {wanted}") for rule, (here, wanted, what) in pairs.items() if here != wanted]


def _instalment(row: Instalment) -> list[Finding]:
    """Σ receivables = instalment: as planned, and as paid."""
    which = f"{row.plan}/{row.number}"
    pairs = {
        "receivables_are_not_the_instalment": (row.shares_fen, row.planned_fen),
        "paid_shares_are_not_what_was_paid": (row.shares_paid_fen, row.paid_fen),
    }
    return [
        Finding(rule, which, f"the receivables have {shares[0]} + {shares[1]} fen, the instalment {wanted[0]} + {wanted[1]}")
        for rule, (shares, wanted) in pairs.items()
        if shares != wanted
    ]
