"""How the bank is built: its ledger, its notifier and its HTTP side, on a bus, stores and keys of its own (DESIGN 2).

`own` is always `settings.of_bank()`: nothing here sees the platform's bus, stores or keys.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from typing import Final

from agents.runtime.sealing import Keyring
from agents.runtime.worker import House, Worker, utc_now_ms
from bank import agent as ledger
from bank import notifier
from bank.api import SHANGHAI
from bank.enrolment import Platforms
from bank.messenger import Messenger
from bus.log import TopicSpec
from config import keys
from config.bank import Terms
from config.settings import Settings
from stores.engine import sqlite_path
from stores.migrate import migrate
from tools import assemble
from topics import BANK_TOPICS

SERVICES: Final = (ledger.NAME, notifier.NAME)


def folder_of(own: Settings) -> Path:
    """The bank's folder."""
    return own.data.expanduser().absolute()


def platforms_of(own: Settings) -> Platforms:
    """Who is enrolled."""
    return Platforms(folder_of(own))


def specs(own: Settings) -> Sequence[TopicSpec]:
    """The bank's topics, as its own bus declares them."""
    on_kafka = own.bus_kind == "kafka"
    return [TopicSpec(t.name, t.partitions if on_kafka else 1, min(t.retention_ms, own.retention_ms)) for t in BANK_TOPICS]


def houses(own: Settings) -> Mapping[str, House]:
    """The two services with their agents, by name."""
    terms = Terms(own.bank_delay_ms, min(own.bank_delay_jitter_ms, own.bank_delay_ms - 1))
    first_date = own.bank_date or datetime.now(SHANGHAI).date()
    messenger = Messenger(platforms_of(own), clock=utc_now_ms)
    return {
        ledger.NAME: ledger.house(terms, first_date.isoformat()),
        notifier.NAME: notifier.house(messenger.post, own.notices(), closing=messenger.close),
    }


def worker(own: Settings, service: str, ring: Keyring | None = None) -> Worker:
    """The worker of one of them, its store migrated and held to the bank's look-up key."""
    migrate(service, own.store_url(service), (ring or keyring(own)).fingerprint())
    return Worker(houses(own)[service], replace(assemble.surroundings(own, service), topics=specs(own)))


def keyring(own: Settings) -> Keyring:
    """The bank's keys, made on its first run where that is allowed, never beside stores that were written already. Raises KeyFileError."""
    written = [s for s in SERVICES if own.db_kind == "sqlite" and sqlite_path(own.store_url(s)).exists()]
    if written and not own.key_path().exists():
        raise keys.KeyFileError(f"There is no key file {own.key_path()}, but the bank's stores were written with one: put it back.")
    return Keyring.from_keys(keys.load_or_create(own.key_path(), may_generate=own.may_generate_keys))
