"""What the story is about, in numbers: who brings how much, who lends how much to whom; nobody else reads these."""

from dataclasses import dataclass
from typing import Any, Final

PUBLISHED: Final = "/api/v1/loans"


@dataclass(frozen=True, slots=True)
class Listing:
    """A loan as its borrower applies for it."""

    title: str
    amount_fen: int
    raising_days: int
    months: int = 3
    annual_rate: str = "0.10"
    investor_rate: str = "0.08"
    method: str = "equal_installment"

    def body(self) -> dict[str, Any]:
        """What is sent."""
        return {
            "title": self.title,
            "amount_fen": self.amount_fen,
            "annual_rate": self.annual_rate,
            "investor_rate": self.investor_rate,
            "months": self.months,
            "method": self.method,
            "raising_days": self.raising_days,
        }


SHOP: Final = Listing("a tea shop's stock", 1_000_000, raising_days=20)
CART: Final = Listing("a second cart", 500_000, raising_days=5)  # nobody fills it: it fails

RECHARGES: Final = {"borrower": 100_000, "lin": 700_000, "zhao": 400_000, "sun": 250_000}  # the borrower's: for the interest
TOO_MUCH: Final = ("sun", 300_000)  # more than there is on that account
BIDS: Final = (("lin", 500_000), ("zhao", 300_000), ("sun", 200_000))  # together the whole loan
TOO_LATE: Final = ("lin", 100_000)
CART_BIDS: Final = (("lin", 150_000), ("zhao", 100_000))  # given back

REPAY_CAP_FEN: Final = 400_000  # one instalment and something
AUTHORIZED_DAYS: Final = 365
