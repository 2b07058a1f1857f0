"""One spelling for everything that comes in: text, names, numbers and papers, for all doors (DESIGN 3, "One spelling, one module").

Each function takes what somebody typed and returns the one form that is stored, hashed, compared and shown, or raises
`Unacceptable`. Canonical forms are fixed points: canonical(canonical(x)) == canonical(x). No message repeats the value,
which may be a secret. JSON bodies are read by `canonical_json.py`. Imports nothing of ours.
"""

import re
import unicodedata
from datetime import date
from decimal import Decimal
from typing import Final

LOGIN_NAME_CHARS: Final = (3, 32)
PASSWORD_CHARS: Final = (8, 128)  # longer is refused before anything is hashed
BANK_CARD_DIGITS: Final = (16, 19)
AMOUNT_FEN_MAX: Final = 10**15  # MONEY 5: the largest amount that anything here computes with
RATE_DIGITS_MAX: Final = 30
RATE_MAX: Final = 10
ADULT_YEARS: Final = 18
AGE_YEARS_MAX: Final = 150
TYPED_CHARS_MAX: Final = 64  # a number with all its spaces and hyphens
RAW_PER_CHAR_MAX: Final = 4  # no letter of a canonical text is typed with more characters than this

# Code points that are drawn as nothing though no category says so: grapheme joiner, Hangul and Khmer fillers, Mongolian
# selectors, blank Braille, and the blocks that Unicode keeps for more of the kind.
_INVISIBLE = re.compile("[\u034f\u115f\u1160\u17b4\u17b5\u180b-\u180f\u2065\u2800\u3164\uffa0\ufff0-\ufff8\U000e0000-\U000e0fff]")
_SELECTORS = re.compile("[\ufe00-\ufe0f]")  # text may say which form of a sign it means, a name may not
_FULL_WIDTH: Final = {0xFF10 + n: 0x30 + n for n in range(10)} | {
    0xFF0B: "+",
    0xFF0D: "-",
    0xFF38: "X",
    0xFF58: "X",
    0x3000: " ",
    0xA0: " ",
}

_MOBILE = re.compile(r"(?:\+86|0086)?(1[3-9][0-9]{9})", re.ASCII)
_LIKE_A_MOBILE = re.compile(r"(?:00)?(?:86)?1[3-9][0-9]{9}", re.ASCII)
_ID_NUMBER = re.compile(r"[0-9]{17}[0-9X]", re.ASCII)
_ID_WEIGHTS: Final = (7, 9, 10, 5, 8, 4, 2, 1, 6, 3, 7, 9, 10, 5, 8, 4, 2)
_ID_CHECKS: Final = "10X98765432"
_YUAN = re.compile(r"(0|[1-9][0-9]{0,13})(?:\.([0-9]{1,2}))?", re.ASCII)
_RATE = re.compile(r"[0-9]+(?:\.[0-9]+)?", re.ASCII)
_DATE = re.compile(r"([0-9]{4})-([0-9]{2})-([0-9]{2})", re.ASCII)
_UUID = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}", re.ASCII)

# Scripts that people mix in one word (UTS 39, "highly restrictive"); any other mixture is how a look-alike is made.
_EAST_ASIAN: Final = frozenset({"LATIN", "CJK", "IDEOGRAPHIC", "HIRAGANA", "KATAKANA", "KATAKANA-HIRAGANA", "BOPOMOFO", "HANGUL"})
# Small Cyrillic and Greek letters that are drawn like Latin ones; a name of nothing else looks like a Latin name.
_LATIN_TWINS: Final = frozenset("авеѕіјкмнорстухһԁԛԝҽгпьѵ" + "ανικορτυχγωϲϳ")


class Unacceptable(ValueError):
    """What somebody sent is not acceptable, for good: a stable `code`, a sentence, and the place in a JSON body (RFC 6901)."""

    def __init__(self, code: str, message: str, pointer: str = "") -> None:
        super().__init__(f"{code}: {message}")
        self.code = code
        self.message = message
        self.pointer = pointer


def text(value: object, *, max_chars: int, min_chars: int = 1) -> str:
    """Free text of one line: NFC, every space an ASCII one, none at the ends, `min_chars` to `max_chars` long (code points).

    Refused: lone surrogates, controls (NUL, tab, newline, ESC), bidi marks and all else of Unicode's "format" kind,
    zero-width and blank-looking characters, noncharacters.
    """
    raw = _typed(value, RAW_PER_CHAR_MAX * max_chars)
    _refuse_unseen(raw)
    return _within(_spaced(unicodedata.normalize("NFC", raw)).strip(" "), min_chars, max_chars)


def login_name(value: object) -> str:
    """A login name in its one form: NFKC-casefolded, digits ASCII, spaces around it dropped, 3 to 32 of letters, digits, `_`, `.`, `-`.

    Refused: spaces inside, unseen characters, marks that compose with nothing, scripts mixed as nobody mixes them, names
    that are drawn like a Latin one, and anything shaped like a mobile number: log-in takes either in one field.
    """
    least, most = LOGIN_NAME_CHARS
    raw = _typed(value, RAW_PER_CHAR_MAX * most)
    _refuse_unseen(raw)
    name = _folded(raw.strip())
    _refuse_unseen(name)
    if _SELECTORS.search(name) or not all(_is_name_character(c) for c in name) or (name and unicodedata.category(name[0])[0] == "M"):
        raise Unacceptable("not_a_login_name", "a login name is made of letters, digits, underscore, point and hyphen")
    _within(name, least, most)
    _refuse_look_alikes(name)
    return name


def mobile(value: object) -> str:
    """A mainland mobile number: 11 ASCII digits, 1 then 3 to 9. Spaces, hyphens, full-width forms, `+86` and `0086` are folded away."""
    typed = _typed(value, TYPED_CHARS_MAX).translate(_FULL_WIDTH).replace(" ", "").replace("-", "")
    if not (found := _MOBILE.fullmatch(typed)):
        raise Unacceptable("not_a_mobile", "a mobile number is 11 digits beginning with 13 to 19, with +86 before it or not")
    return found[1]


def id_number(value: object, *, today: date) -> str:
    """A resident's ID number by GB 11643: 18 characters, upper-case X, check character right, born on a real day before `today`.

    Region codes are not judged (82 and the like are residence permits, and new ones come); age is `refuse_minor`'s.
    """
    number = _typed(value, TYPED_CHARS_MAX).strip().translate(_FULL_WIDTH).replace("x", "X")
    if not _ID_NUMBER.fullmatch(number):
        raise Unacceptable("not_an_id_number", "an ID number is 17 digits and a digit or X")
    if number[17] != _ID_CHECKS[sum(w * int(d) for w, d in zip(_ID_WEIGHTS, number, strict=False)) % 11]:
        raise Unacceptable("id_check_character", "the last character does not fit the others: look for a typing error")
    born = birth_date(number)
    if not born < today or born.year < today.year - AGE_YEARS_MAX:
        raise Unacceptable("id_birth_date", "the date of birth in the number is no date on which a living person was born")
    return number


def birth_date(number: str) -> date:
    """The date of birth that a canonical ID number says (its characters 7 to 14). Raises Unacceptable when there is no such day."""
    try:
        return date(int(number[6:10]), int(number[10:12]), int(number[12:14]))
    except ValueError:
        raise Unacceptable("id_birth_date", "the date of birth in the number is not a day of the calendar") from None


def is_male(number: str) -> bool:
    """Whether a canonical ID number is a man's: its character 17 is odd (GB 11643)."""
    return int(number[16]) % 2 == 1


def refuse_minor(number: str, *, today: date) -> None:
    """Raise Unacceptable unless the owner of a canonical ID number has had the eighteenth birthday; 29 February counts on 1 March."""
    born = birth_date(number)
    if (today.year - ADULT_YEARS, today.month, today.day) < (born.year, born.month, born.day):
        raise Unacceptable("minor", f"a member is at least {ADULT_YEARS} years old")


def bank_card(value: object) -> str:
    """A bank card's number: 16 to 19 ASCII digits that pass Luhn, not all zeros. Spaces are folded away, any other spelling is refused."""
    number = _typed(value, TYPED_CHARS_MAX).replace(" ", "")
    least, most = BANK_CARD_DIGITS
    if not (number.isascii() and number.isdigit() and least <= len(number) <= most and number.strip("0")):
        raise Unacceptable("not_a_bank_card", f"a card number is {least} to {most} digits")
    doubled = (int(d) * (1 + at % 2) for at, d in enumerate(reversed(number)))
    if sum(d - 9 if d > 9 else d for d in doubled) % 10:
        raise Unacceptable("bank_card_check_digit", "the last digit does not fit the others: look for a typing error")
    return number


def yuan_to_fen(value: object) -> int:
    """An amount typed in yuan, as fen, exactly: ASCII digits, at most one point with one or two digits after it, nothing else."""
    typed = _typed(value, TYPED_CHARS_MAX)
    if not (found := _YUAN.fullmatch(typed)):
        raise Unacceptable("not_an_amount", "an amount is digits, and at most two more after a point: 1234.50")
    fen = int(found[1]) * 100 + int((found[2] or "").ljust(2, "0"))
    if fen > AMOUNT_FEN_MAX:
        raise Unacceptable("amount_too_large", f"an amount is at most {AMOUNT_FEN_MAX // 100} yuan")
    return fen


def rate(value: object) -> Decimal:
    """A rate as an exact decimal from 0 to 10 (1,000 %): ASCII digits with at most one point among them, at most 30 (MONEY 5)."""
    typed = _typed(value, TYPED_CHARS_MAX)
    if not _RATE.fullmatch(typed) or len(typed.replace(".", "")) > RATE_DIGITS_MAX:
        raise Unacceptable("not_a_rate", f"a rate is at most {RATE_DIGITS_MAX} digits with at most one point among them: 0.12")
    if (exact := Decimal(typed)) > RATE_MAX:
        raise Unacceptable("rate_too_large", f"a rate is at most {RATE_MAX}")
    return exact


def password(value: object) -> str:
    """A password as it is hashed: NFC, other spaces as ASCII ones (RFC 8265), 8 to 128 code points; spaces at the ends count.

    Refused: NUL and other controls, lone surrogates, and what is too long, before anybody spends a hash on it.
    """
    least, most = PASSWORD_CHARS
    raw = _typed(value, RAW_PER_CHAR_MAX * most)
    if any(unicodedata.category(c) in ("Cc", "Cs") for c in raw):
        raise Unacceptable("forbidden_character", "a password holds no control characters")
    return _within(_spaced(unicodedata.normalize("NFC", raw)), least, most)


def iso_date(value: object) -> date:
    """A day of the calendar, written exactly YYYY-MM-DD in ASCII (`date.fromisoformat` takes more)."""
    found = _DATE.fullmatch(_typed(value, TYPED_CHARS_MAX))
    try:
        if found:
            return date(int(found[1]), int(found[2]), int(found[3]))
    except ValueError:
        pass
    raise Unacceptable("not_a_date", "a date is a day of the calendar written YYYY-MM-DD")


def uuid_text(value: object) -> str:
    """An id as this system writes it: a UUID of 36 characters in lower case; every other spelling is refused, none is folded."""
    typed = _typed(value, TYPED_CHARS_MAX)
    if not _UUID.fullmatch(typed):
        raise Unacceptable("not_an_id", "an id is a UUID in lower case, 36 characters")
    return typed


def _typed(value: object, most: int) -> str:
    if not isinstance(value, str):
        raise Unacceptable("not_text", "text is expected")
    if len(value) > most:  # before any work: normalizing long runs of marks is quadratic
        raise Unacceptable("too_long", f"at most {most} characters can be meant here")
    return value


def _within(value: str, least: int, most: int) -> str:
    if len(value) < least:
        raise Unacceptable("too_short", f"at least {least} characters are needed")
    if len(value) > most:
        raise Unacceptable("too_long", f"at most {most} characters are allowed")
    return value


def _spaced(value: str) -> str:
    return "".join(" " if unicodedata.category(c) == "Zs" else c for c in value)


def _refuse_unseen(value: str) -> None:
    for c in value:
        nonchar = ord(c) & 0xFFFE == 0xFFFE or 0xFDD0 <= ord(c) <= 0xFDEF
        if nonchar or unicodedata.category(c) in ("Cc", "Cf", "Cs", "Zl", "Zp") or _INVISIBLE.match(c):
            raise Unacceptable("forbidden_character", f"the character U+{ord(c):04X} is not allowed: it cannot be seen")


def _folded(name: str) -> str:
    """NFKC and case folding until nothing moves; İ folds to i with a second dot that nobody sees, so that goes too."""
    while (
        after := unicodedata.normalize("NFKC", _ascii_digits(unicodedata.normalize("NFKC", name).casefold()).replace("i\u0307", "i"))
    ) != name:
        name = after
    return name


def _ascii_digits(name: str) -> str:
    return "".join(str(unicodedata.decimal(c)) if unicodedata.category(c) == "Nd" else c for c in name)


def _is_name_character(c: str) -> bool:
    category = unicodedata.category(c)
    if category[0] == "M":  # vowel signs of a script are letters; a mark for any script would have composed
        return _script(c) != "COMBINING"
    return c in "_.-" or category[0] == "L" or category == "Nd"


def _script(c: str) -> str:
    return unicodedata.name(c, "UNKNOWN").split()[0]


def _refuse_look_alikes(name: str) -> None:
    bare = re.sub(r"[_.-]", "", name)
    if not bare:
        raise Unacceptable("not_a_login_name", "a login name has at least one letter or digit")
    if _LIKE_A_MOBILE.fullmatch(bare):
        raise Unacceptable("looks_like_a_mobile", "a login name may not look like a mobile number")
    letters = {c for c in bare if not c.isdigit()}
    scripts = {_script(c) for c in letters}
    if len(scripts) > 1 and not scripts <= _EAST_ASIAN:
        raise Unacceptable("mixed_scripts", "a login name keeps to one alphabet")
    if letters and letters <= _LATIN_TWINS:
        raise Unacceptable("looks_like_another", "this name is drawn like one in Latin letters")
