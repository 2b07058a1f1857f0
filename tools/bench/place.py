"""Where a bench or a soak runs: a bus and stores of its own, of the kinds that the settings name, gone afterwards.

SQLite: files in the folder. Kafka: a fresh namespace on the broker that the settings name, its topics with as many
partitions as the platform's. PostgreSQL: fresh databases `NAME_bench_RANDOM_SERVICE` on the server that they name.
"""

import contextlib
import secrets
import tempfile
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

import asyncpg
from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.errors import KafkaError
from sqlalchemy import MetaData, make_url

from bus.errors import BusAway
from bus.kafka.address import parse
from bus.log import TopicSpec
from config.settings import Settings, load, variable
from stores.engine import StoreAway, StoreRefused
from stores.migrate import create
from stores.postgresql_url import connect_arguments
from tools.output import Failed

ANY: Final = "any"  # a service's name, for what is the same in the URL of every store
PARTITIONS: Final = {"sqlite": 1, "kafka": 8}
NAME_CHARS_MAX: Final = 30  # of the given name: PostgreSQL cuts identifiers at 63
REQUEST_MS_MAX: Final = 10_000
CONNECT_S_MAX: Final = 10.0
MAINTENANCE: Final = "postgres"  # the database from which others are dropped


@dataclass(frozen=True, slots=True)
class Place:
    """A bus, stores and a folder that nobody else has. `settings` says where, its passwords included."""

    settings: Settings
    folder: Path

    @property
    def bus_url(self) -> str:
        """The bus."""
        return self.settings.bus_url()

    @property
    def partitions(self) -> int:
        """How many partitions a topic has here."""
        return PARTITIONS[self.settings.bus_kind]

    @property
    def environment(self) -> dict[str, str]:
        """What a process is told so that `there` finds the place; no command line, which everybody may read."""
        return {variable("bus"): self.settings.bus, variable("db"): self.settings.db}

    def store_url(self, service: str) -> str:
        """The store of a service."""
        return self.settings.store_url(service)

    def store_path(self, service: str) -> Path:
        """The file of a store on SQLite."""
        return Path(make_url(self.store_url(service)).database or "")

    def topics(self, specs: Sequence[TopicSpec]) -> tuple[TopicSpec, ...]:
        """These topics with the partitions that they have here."""
        return tuple(replace(spec, partitions=self.partitions) for spec in specs)

    def make_store(self, service: str, metadata: MetaData) -> None:
        """Make a service's database with the runtime's tables and these; a call that waits, not for an event loop."""
        create(self.store_url(service), metadata)

    def beside(self, name: str) -> "Place":
        """Another place in a folder below: on Kafka with the same bus, stores and files are its own."""
        folder = self.folder / name
        folder.mkdir()
        other = new(self.settings, folder)
        return other if self.settings.bus_kind == "sqlite" else Place(load(data=folder, bus=self.bus_url, db=other.settings.db), folder)

    async def remove(self) -> None:
        """Take topics and databases away; the folder is its owner's."""
        if self.settings.bus_kind == "kafka":
            await self.remove_topics()
        await self.remove_stores()

    async def remove_topics(self) -> None:
        """Take the topics of this place's namespace on Kafka away, the stores stay."""
        await _remove_topics(self.bus_url)

    async def remove_stores(self) -> None:
        """Take the databases away, the bus stays."""
        if self.settings.db_kind == "postgresql":
            await _drop_databases(self.settings.db)


def new(settings: Settings, folder: Path) -> Place:
    """A place that nobody has, in the folder and on the servers that the settings name."""
    mark = secrets.token_hex(4)
    bus = _with_namespace(settings.bus_url(), mark) if settings.bus_kind == "kafka" else f"sqlite:///{folder / 'bus.db'}"
    db = _with_name(settings.store_url(ANY), mark) if settings.db_kind == "postgresql" else f"sqlite:///{folder}"
    return Place(load(data=folder, bus=bus, db=db), folder)


def here(folder: Path) -> Place:
    """A place of SQLite files only."""
    return Place(load(data=folder, bus=f"sqlite:///{folder / 'bus.db'}", db=f"sqlite:///{folder}"), folder)


def there(folder: Path) -> Place:
    """The place that somebody else has made and named in this process's environment."""
    return Place(load(data=folder), folder)


SERVERS_AWAY = (BusAway, StoreAway, StoreRefused)


def needs_servers(exc: Exception) -> Failed:
    """The sentence for a server that is away or refuses."""
    return Failed(f"{exc}; this needs the servers that --bus and --db name (`lendbus kafka up` starts a broker)")


@asynccontextmanager
async def a_place(settings: Settings) -> AsyncIterator[Place]:
    """A place with a temporary folder; everything is gone afterwards. Raises Failed when a server is away or refuses."""
    with tempfile.TemporaryDirectory(prefix="lendbus-bench-") as name:
        place = new(settings, Path(name))
        try:
            yield place
        except BaseException as exc:
            with contextlib.suppress(*SERVERS_AWAY, OSError, KafkaError):  # the first error counts
                await place.remove()
            if isinstance(exc, SERVERS_AWAY):
                raise needs_servers(exc) from exc
            raise
        else:
            await place.remove()


def _with_namespace(url: str, mark: str) -> str:
    address, question, options = url.partition("?")
    scheme, _, rest = address.partition("://")
    hosts, _, namespace = rest.partition("/")
    return f"{scheme}://{hosts}/{namespace}{'-' if namespace else ''}bench-{mark}{question}{options}"


def _with_name(url: str, mark: str) -> str:
    parsed = make_url(url)
    name = (parsed.database or "").removesuffix(f"_{ANY}")[:NAME_CHARS_MAX]
    return parsed.set(database=f"{name}_bench_{mark}").render_as_string(hide_password=False)


async def _remove_topics(url: str) -> None:
    address = parse(url)
    admin = AIOKafkaAdminClient(request_timeout_ms=REQUEST_MS_MAX, **address.client_options())
    await admin.start()
    try:
        if found := [topic for topic in await admin.list_topics() if address.inside(topic)]:
            await admin.delete_topics(found)
    finally:
        await admin.close()


async def _drop_databases(url: str) -> None:
    parsed = make_url(url)
    c = await asyncpg.connect(**connect_arguments(parsed.set(database=MAINTENANCE), {}), timeout=CONNECT_S_MAX)
    try:
        for (name,) in await c.fetch("SELECT datname FROM pg_database WHERE starts_with(datname, $1)", f"{parsed.database}_"):
            await c.execute(f'DROP DATABASE IF EXISTS "{name}" WITH (FORCE)')
    finally:
        await c.close()
