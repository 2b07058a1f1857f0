"""The people of a story: their names, papers and passwords, drawn from a seed; nobody else has them."""

import random
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Any, Final

from config.bank import NAMES_REFUSED

PASSWORD: Final = "a long pass phrase"
DEPOSIT_PASSWORD: Final = "a deposit pass phrase"  # known to its person and the bank, to nobody between them
REFUSED_NAME: Final = min(NAMES_REFUSED)  # the bank's list has it: it opens no account for this name

_WEIGHTS: Final = (7, 9, 10, 5, 8, 4, 2, 1, 6, 3, 7, 9, 10, 5, 8, 4, 2)
_CHECKS: Final = "10X98765432"
_BORN_FIRST: Final = date(1960, 1, 1)
_BORN_DAYS: Final = 365 * 40


@dataclass(frozen=True, slots=True)
class Person:
    """Somebody who takes part. `part` is what the story calls this person, the same in every telling."""

    part: str
    role: str
    login_name: str
    mobile: str
    name: str
    id_number: str
    card_number: str
    password: str = PASSWORD
    deposit_password: str = DEPOSIT_PASSWORD

    def registration(self) -> dict[str, Any]:
        """What this person registers with."""
        return {"login_name": self.login_name, "mobile": self.mobile, "password": self.password, "role": self.role}

    def papers(self) -> dict[str, Any]:
        """What this person opens an account at the bank with."""
        return {"name": self.name, "id_number": self.id_number, "card_number": self.card_number}


@dataclass(frozen=True, slots=True)
class Staff:
    """Somebody who works here, with a log-in that was made for him."""

    part: str
    role: str
    login_name: str
    password: str


@dataclass(frozen=True, slots=True)
class Cast:
    """Who plays: a borrower, three investors, and one whom the bank refuses."""

    borrower: Person
    lin: Person
    zhao: Person
    sun: Person
    refused: Person

    @property
    def investors(self) -> tuple[Person, Person, Person]:
        """Those who lend."""
        return self.lin, self.zhao, self.sun

    @property
    def everybody(self) -> tuple[Person, ...]:
        """All who register."""
        return self.borrower, *self.investors, self.refused

    @property
    def customers(self) -> tuple[Person, ...]:
        """Those who get an account at the bank."""
        return self.borrower, *self.investors


def cast(seed: str) -> Cast:
    """The people of the story that is told under this seed."""
    chance = random.Random(f"{seed}:people")
    mark = f"{chance.randrange(36**7):x}"

    def person(part: str, role: str, name: str) -> Person:
        mobile = f"1{chance.choice('3578')}{chance.randrange(10**9):09d}"
        return Person(part, role, f"{part}_{mark}", mobile, name, id_number(chance), card_number(chance))

    return Cast(
        person("borrower", "borrower", "王小明"),
        person("lin", "investor", "林一"),
        person("zhao", "investor", "赵二"),
        person("sun", "investor", "孙三"),
        person("refused", "investor", REFUSED_NAME),
    )


def id_number(chance: random.Random) -> str:
    """An ID number of a grown-up by GB 11643; its owner does not exist."""
    born = _BORN_FIRST + timedelta(days=chance.randrange(_BORN_DAYS))
    digits = f"{chance.randint(110_000, 659_999)}{born:%Y%m%d}{chance.randrange(1000):03d}"
    return digits + _CHECKS[sum(weight * int(digit) for weight, digit in zip(_WEIGHTS, digits, strict=True)) % 11]


def card_number(chance: random.Random) -> str:
    """The number of a bank card of 19 digits that passes Luhn."""
    digits = f"62{chance.randrange(10**16):016d}"
    doubled = (int(digit) * (2 - at % 2) for at, digit in enumerate(reversed(digits)))
    return digits + str(-sum(value - 9 if value > 9 else value for value in doubled) % 10)
