"""What may be set, by environment (`LENDBUS_…`), by `.env`, or by the command line; `lendbus settings` prints this table.

Defaults run everything on one machine and listen on loopback only. A word (`sqlite`, `kafka`, `postgresql`) stands for the
usual URL of its kind; whoever uses a URL says whether it can already be used.
"""

import re
from datetime import date
from pathlib import Path
from typing import Annotated, Any, Final, Literal, NamedTuple, Self
from urllib.parse import parse_qs, urlsplit

from pydantic import AfterValidator, Field, ValidationError, model_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

from config.bank import NOTICES
from config.custody import DATE_EVERY_MS
from config.custody import Policy as CustodyPolicy
from config.limits import BATCH_MESSAGES_MAX, STOP_S_MAX
from config.registration import TRY_DEADLINE_MS, Policy
from config.retry import SECOND_PHASE, Schedule

PREFIX: Final = "LENDBUS_"
BANK: Final = "bank"
MINUTE_MS: Final = 60_000
DAY_MS: Final = 24 * 60 * MINUTE_MS

_SERVICE = re.compile(r"[a-z]{1,32}", re.ASCII)
_BUS_URL = re.compile(r"(sqlite):///\S+|(kafka)://\S+", re.ASCII)
_DB_URL = re.compile(r"(sqlite)(?:\+aiosqlite)?:///\S+|(postgresql)(?:\+asyncpg)?://\S+", re.ASCII)
_NAMED = re.compile(r"postgresql[^:]*://(?:[^@?]*@)?[^/@?]*/[^/@?]+(?:\?.*)?", re.ASCII)
_PASSWORD = re.compile(r"(?<=://)([^/@:]*):[^@]*@")  # as SQLAlchemy reads a URL: a slash in a password need not be escaped
_SECRET_OPTION = re.compile(r"([?&](?:password|sslpassword|passfile)=)[^&#]*", re.IGNORECASE)
_LOOPBACK: Final = ("", "localhost", "127.0.0.1", "::1")  # none: the driver's own socket file
_KAFKA_HERE: Final = "kafka://127.0.0.1:9092"
_POSTGRESQL_HERE: Final = "postgresql+asyncpg://127.0.0.1:5432/lendbus"


class SettingsError(ValueError):
    """A setting is wrong; the text has one sentence a line, each with its name and what is right."""


class Row(NamedTuple):
    """One line of `lendbus settings`; a password inside a URL is not shown."""

    name: str
    variable: str
    value: str
    default: str
    description: str


def _bus(value: str) -> str:
    if value not in ("sqlite", "kafka") and not _BUS_URL.fullmatch(value):
        raise ValueError("say sqlite, kafka, sqlite:///PATH or kafka://HOST:PORT")
    return value


def _db(value: str) -> str:
    if value not in ("sqlite", "postgresql") and not _DB_URL.fullmatch(value):
        raise ValueError("say sqlite, postgresql, sqlite:///FOLDER or postgresql://USER:PASSWORD@HOST/DATABASE")
    if value.startswith("postgresql") and "://" in value and not _NAMED.fullmatch(value):
        raise ValueError(
            "the URL names no database; name the database too, with no slash behind it: postgresql://USER:PASSWORD@HOST/DATABASE"
        )
    return value


Milliseconds = Annotated[int, Field(ge=1, le=3650 * DAY_MS)]


class Settings(BaseSettings):
    """Every setting, checked; made by `load`, which turns what is wrong into sentences."""

    model_config = SettingsConfigDict(
        env_prefix=PREFIX,
        env_file=".env",
        env_ignore_empty=True,
        extra="ignore",
        frozen=True,
        hide_input_in_errors=True,
    )

    data: Path = Field(Path("data"), description="folder of this platform: bus file, stores, key file")
    key_file: Path | None = Field(None, description="key file, mode 0600; keys.json in the data folder when not set")
    bus: Annotated[str, AfterValidator(_bus)] = Field("sqlite", repr=False, description="message bus: sqlite, kafka, or a URL")
    db: Annotated[str, AfterValidator(_db)] = Field(
        "sqlite", repr=False, description="stores: sqlite, postgresql, or a URL; each service has a database of its own, named after it"
    )

    host: str = Field("127.0.0.1", min_length=1, description="address that the gateway listens on; loopback unless you say otherwise")
    port: int = Field(8080, ge=0, le=65535, description="port of the gateway; 0 takes a free one")
    metrics_port: int | None = Field(None, ge=0, le=65535, description="port of /metrics on loopback, one a process; none when not set")
    wait_ms: int = Field(2_000, ge=0, le=MINUTE_MS, description="how long a request waits for its end before it is answered 202, ms")
    body_max_bytes: int = Field(64 * 1024, ge=1024, le=512 * 1024, description="longest body of a request, bytes")

    log_level: Literal["debug", "info", "warning", "error"] = Field("info", description="least level of our own lines; libraries: warning")
    log_format: Literal["console", "json"] = Field("console", description="how a line is written to standard error")

    argon2_time_cost: int = Field(2, ge=1, le=20, description="passes of argon2id over its memory (OWASP: 2 with 19 MiB)")
    argon2_memory_kib: int = Field(19 * 1024, ge=8 * 1024, le=1024 * 1024, description="memory of one password hash, KiB")
    argon2_parallelism: int = Field(1, ge=1, le=16, description="lanes of one password hash")

    bank_port: int = Field(8081, ge=0, le=65535, description="port of the bank's API and pages; 0 takes a free one")
    bank_url: str | None = Field(
        None, pattern=r"^https?://[!-~]*[!-.0-~]$", description="where platforms and members reach the bank; its host and port when not set"
    )
    bank_delay_ms: int = Field(200, ge=1, le=MINUTE_MS, description="how long the bank takes to execute an instruction, ms")
    bank_delay_jitter_ms: int = Field(100, ge=0, le=MINUTE_MS, description="as much more or less of it, ms")
    bank_date: date | None = Field(None, description="the bank's first business date; today in Shanghai when not set")
    bank_credentials: Path | None = Field(
        None, description="what `lendbus bank enrol` wrote for custody, mode 0600; bank-credentials.json in the data folder when not set"
    )

    bank_notice_first_ms: Milliseconds = Field(NOTICES.first_ms, description="the bank's first repeat of a notice, doubling, ms")
    bank_notice_cap_ms: Milliseconds = Field(NOTICES.cap_ms, description="longest wait between two tries of a notice, ms")
    bank_notice_budget: int = Field(NOTICES.budget, ge=1, le=1000, description="tries of a notice before it is given up")
    bank_asked_every_ms: Milliseconds = Field(DATE_EVERY_MS, description="how often custody asks the bank for its business date, ms")

    one_time_codes: bool = Field(False, description="a registration needs a code sent to its mobile number")
    try_deadline_ms: Milliseconds = Field(TRY_DEADLINE_MS, description="a registration not tried by then is cancelled, ms")
    second_phase_first_ms: Milliseconds = Field(SECOND_PHASE.first_ms, description="first repeat of a confirm or cancel, doubling, ms")
    second_phase_cap_ms: Milliseconds = Field(SECOND_PHASE.cap_ms, description="longest wait between two such repeats, ms")
    second_phase_budget: int = Field(SECOND_PHASE.budget, ge=1, le=1000, description="such repeats before it is stuck")

    batch_max: int = Field(BATCH_MESSAGES_MAX, ge=1, le=BATCH_MESSAGES_MAX, description="messages that one transaction handles at most")
    stop_timeout_ms: int = Field(
        int(STOP_S_MAX * 1000), ge=100, le=MINUTE_MS, description="a graceful stop ends after this, finished or not, ms"
    )
    lease_ms: int = Field(
        1_000, ge=200, le=MINUTE_MS, description="embedded bus: an owner that is silent this long has lost its partitions, ms"
    )

    retention_ms: Milliseconds = Field(7 * DAY_MS, description="records stay on the bus this long after they were appended, ms")
    segment_ms: Milliseconds = Field(DAY_MS // 2, description="what the bus deletes at once spans this, at most a tenth of retention, ms")
    inbox_horizon_ms: Milliseconds = Field(
        9 * DAY_MS, description="a message is known again this long; at least retention + segment + 1 day, ms"
    )
    dead_letter_keep_ms: Milliseconds = Field(30 * DAY_MS, description="dead letters stay this long, ms")

    @model_validator(mode="after")
    def _fits_together(self) -> Self:
        if self.segment_ms * 10 > self.retention_ms:
            raise ValueError(f"{PREFIX}SEGMENT_MS is at most a tenth of {PREFIX}RETENTION_MS")
        if self.inbox_horizon_ms < self.retention_ms + self.segment_ms + DAY_MS:
            raise ValueError(f"{PREFIX}INBOX_HORIZON_MS is at least {PREFIX}RETENTION_MS + {PREFIX}SEGMENT_MS + {DAY_MS} (a day)")
        if self.second_phase_first_ms > self.second_phase_cap_ms:
            raise ValueError(f"{PREFIX}SECOND_PHASE_FIRST_MS is at most {PREFIX}SECOND_PHASE_CAP_MS")
        if self.bank_notice_first_ms > self.bank_notice_cap_ms:
            raise ValueError(f"{PREFIX}BANK_NOTICE_FIRST_MS is at most {PREFIX}BANK_NOTICE_CAP_MS")
        return self

    @property
    def bus_kind(self) -> Literal["sqlite", "kafka"]:
        """Which transport the bus needs."""
        return "sqlite" if self.bus.startswith("sqlite") else "kafka"

    @property
    def db_kind(self) -> Literal["sqlite", "postgresql"]:
        """Which database the stores need."""
        return "sqlite" if self.db.startswith("sqlite") else "postgresql"

    @property
    def may_generate_keys(self) -> bool:
        """Whether a missing key file may be made: only where bus and stores are files of this machine (DESIGN 3)."""
        return self.bus_kind == "sqlite" and self.db_kind == "sqlite"

    def bus_url(self) -> str:
        """The URL of the bus, with an absolute path where it is a file."""
        words = {"sqlite": f"sqlite:///{self._in_data('bus.db')}", "kafka": _KAFKA_HERE}
        return words.get(self.bus) or _absolute(self.bus)

    def store_url(self, service: str) -> str:
        """The SQLAlchemy URL of a service's own database: a file of the folder, or the database `<name>_<service>`."""
        assert _SERVICE.fullmatch(service), f"{service!r} is no service's name"
        if self.db_kind == "sqlite":
            folder = _absolute(self.db).partition(":///")[2] if self.db != "sqlite" else str(self._in_data(""))
            return f"sqlite+aiosqlite:///{Path(folder) / service}.db"
        url = _POSTGRESQL_HERE if self.db == "postgresql" else self.db.replace("postgresql://", "postgresql+asyncpg://", 1)
        address, question, options = url.partition("?")
        return f"{address}_{service}{question}{options}"

    def stores_are_here(self) -> bool:
        """Whether the stores are files of this machine, or a server that listens on its loopback address or on a socket file."""
        return self.db_kind == "sqlite" or _host(self.store_url("any")) in _LOOPBACK

    def key_path(self) -> Path:
        """Where the key file is."""
        return (self.key_file or self.data / "keys.json").expanduser().absolute()

    def bank_credentials_path(self) -> Path:
        """Where the platform's credentials for the bank are."""
        return (self.bank_credentials or self.data / "bank-credentials.json").expanduser().absolute()

    def of_bank(self) -> Self:
        """The bank's own settings: bus, stores, keys and port are its own, as befits an outside company (DESIGN 2).

        On a database server its stores are told apart by their services' names, as the platform's are.
        """
        return self.model_copy(
            update={
                "data": self.data / BANK,
                "key_file": None,
                "bus": _bus_of_bank(self.bus),
                "db": f"{self.db}/{BANK}" if self.db.startswith("sqlite") and self.db != "sqlite" else self.db,
                "port": self.bank_port,
            }
        )

    def notices(self) -> Schedule:
        """How the bank's notifier repeats what is not acknowledged."""
        return Schedule(self.bank_notice_first_ms, NOTICES.factor, self.bank_notice_cap_ms, self.bank_notice_budget)

    def custody(self) -> CustodyPolicy:
        """What custody is told."""
        return CustodyPolicy(date_every_ms=self.bank_asked_every_ms)

    def registration(self) -> Policy:
        """What the coordinator of registrations is told."""
        second_phase = Schedule(self.second_phase_first_ms, SECOND_PHASE.factor, self.second_phase_cap_ms, self.second_phase_budget)
        return Policy(self.try_deadline_ms, second_phase, self.one_time_codes)

    def rows(self) -> tuple[Row, ...]:
        """Every setting with its variable, value, default and description, in order."""
        return tuple(
            Row(name, variable(name), _shown(getattr(self, name)), _shown(field.default), field.description or "")
            for name, field in type(self).model_fields.items()
        )

    def _in_data(self, name: str) -> Path:
        return self.data.expanduser().absolute() / name


def load(**given: Any) -> Settings:
    """The settings of this process; `given` (by a command line; None: not said) wins over environment and `.env`. Raises SettingsError."""
    try:
        return Settings(**{name: value for name, value in given.items() if value is not None})
    except ValidationError as exc:
        raise SettingsError("\n".join(_sentence(error["loc"], error["msg"]) for error in exc.errors(include_input=False))) from None


def variable(name: str) -> str:
    """The environment variable of a setting."""
    return f"{PREFIX}{name.upper()}"


def _sentence(place: tuple[int | str, ...], what: str) -> str:
    what = what.removeprefix("Value error, ")
    return f"{variable(str(place[0]))}: {what[:1].lower()}{what[1:]}." if place else f"{what}."


def _host(url: str) -> str:
    """The host that a URL names first, in its authority or in its options; empty for none."""
    parts = urlsplit(url)
    return parse_qs(parts.query).get("host", [parts.hostname or ""])[0]


def _absolute(url: str) -> str:
    scheme, sep, path = url.partition(":///")
    return f"{scheme}{sep}{Path(path).expanduser().absolute()}" if sep and scheme.startswith("sqlite") else url


def _bus_of_bank(url: str) -> str:
    """The bank's bus beside the platform's: a file one folder further down, or a namespace of its own on the same brokers."""
    if url == "sqlite":
        return url
    if url.startswith("sqlite"):
        folder, _, name = url.rpartition("/")
        return f"{folder}/{BANK}/{name}"
    address, question, options = (_KAFKA_HERE if url == "kafka" else url).partition("?")
    hosts, _, namespace = address.removeprefix("kafka://").partition("/")
    own = namespace.strip("/")
    return f"kafka://{hosts}/{own}{'-' if own else ''}{BANK}{question}{options}"


def _shown(value: object) -> str:
    if value is None:
        return ""
    if isinstance(value, bool):
        return str(value).lower()
    return _SECRET_OPTION.sub(r"\1***", _PASSWORD.sub(r"\1:***@", str(value)))
