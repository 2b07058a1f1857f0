"""The composition root: what is built of which settings, in which order. No registry, no import side effect (STYLE 4)."""

from collections.abc import Callable, Sequence

from agents.accounts import agent as accounts
from agents.custody import agent as custody
from agents.custody.credentials import CredentialsFile
from agents.repayments import agent as repayments
from agents.runtime.pruning import Keep
from agents.runtime.sealing import Keyring
from agents.runtime.worker import House, Surroundings, Worker
from agents.trading import agent as trading
from agents.users import agent as users
from bus.log import TopicSpec
from config import keys
from config.settings import DAY_MS, Settings
from stores.engine import sqlite_path
from stores.migrate import migrate
from tools.places import partitions
from tools.services import SERVICES
from topics import TOPICS

__all__ = ["SERVICES", "houses", "keyring", "specs", "surroundings", "worker", "written_stores"]

PRUNE_EVERY_S = 60.0
WAITING_KEEP_MS = 3_600_000
SEEN_KEEP_MS = 365 * DAY_MS


def houses(settings: Settings, ring: Keyring | None = None) -> dict[str, House]:
    """Every service with its agent, by name; `ring` opens what custody tells the bank of people (None: it is loaded then)."""

    def open_sealed(value: str, field: str) -> str:
        return (ring or keyring(settings)).open(value, field=field)

    makers: dict[str, Callable[[], House]] = {
        "accounts": lambda: accounts.house(settings.inbox_horizon_ms),
        "custody": lambda: custody.house(settings.custody(), CredentialsFile(settings.bank_credentials_path()), open_sealed),
        "repayments": repayments.house,
        "trading": trading.house,
        "users": lambda: users.house(settings.registration()),
    }
    return {name: makers[name]() for name in SERVICES}


def specs(settings: Settings) -> Sequence[TopicSpec]:
    """The topics as the bus declares them, kept no longer than the settings say; on the embedded bus each has one partition."""
    return [TopicSpec(t.name, partitions(settings, t.name), min(t.retention_ms, settings.retention_ms)) for t in TOPICS]


def surroundings(settings: Settings, service: str) -> Surroundings:
    """What the worker of a service stands on."""
    keep = Keep(
        inbox_ms=settings.inbox_horizon_ms,
        seen_ms=SEEN_KEEP_MS,
        barrier_ms=settings.inbox_horizon_ms,
        dead_letters_ms=settings.dead_letter_keep_ms,
        waiting_ms=WAITING_KEEP_MS,
        retention_ms=settings.retention_ms,
        segment_ms=settings.segment_ms,
        every_s=PRUNE_EVERY_S,
    )
    return Surroundings(settings.bus_url(), settings.store_url(service), specs(settings), keep, settings.batch_max)


def worker(settings: Settings, service: str, keys_of_platform: Keyring | None = None) -> Worker:
    """The worker of one service, its store migrated; the store keeps to the look-up key that it was first written with."""
    ring = keys_of_platform or keyring(settings)
    migrate(service, settings.store_url(service), ring.fingerprint())
    return Worker(houses(settings, ring)[service], surroundings(settings, service))


def keyring(settings: Settings) -> Keyring:
    """The keys of this platform, made on the first run where that is allowed. Raises KeyFileError.

    Beside stores that were written already none are made: they would recognize nobody in them.
    """
    if (written := written_stores(settings)) and not settings.key_path().exists():
        raise keys.KeyFileError(
            f"There is no key file {settings.key_path()}, but the stores of {' and '.join(written)} were written with one: put it back. "
            "Without it nobody's mobile number can be read or recognized."
        )
    return Keyring.from_keys(keys.load_or_create(settings.key_path(), may_generate=settings.may_generate_keys))


def written_stores(settings: Settings) -> list[str]:
    """The services whose store is a file that is there already; a database on a server keeps to its key by itself."""
    return [s for s in SERVICES if settings.db_kind == "sqlite" and sqlite_path(settings.store_url(s)).exists()]
