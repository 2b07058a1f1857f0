"""`lendbus topics`: the contract, what stands on each topic of the bus, where the two differ, and who may do what."""

import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Annotated, Any, Final

import typer

from tools.options import Options
from tools.output import Column, Failed, WrongUse, say, span, write
from topics import TOPICS, messages_of

if TYPE_CHECKING:
    from bus.log import Bus
    from config.settings import Settings

SERVICE: Final = "{service}"
SERVERS_USUAL: Final = "localhost:9092"
PRINCIPAL = Annotated[str, typer.Option("--principal", metavar="PATTERN", help="What a service is called; {service} is its name.")]
AS_COMMANDS = Annotated[bool, typer.Option("--commands", help="The lines of kafka-acls.sh instead.")]

COLUMNS = (
    Column("topic", fixed=True),
    Column("owner", spare=True),
    Column("key"),
    Column("partitions", number=True),
    Column("kept"),
    Column("producers", spare=True),
    Column("consumers", spare=True),
    Column("records", number=True),
    Column("last_append"),
    Column("english", spare=True),
)
DECLARED = (Column("topic", fixed=True), Column("done"), Column("partitions", number=True), Column("kept"))
DESCRIBED = (Column("topic", fixed=True), Column("state"), Column("partitions", number=True), Column("kept"), Column("differences"))
GRANTED = (Column("principal", fixed=True), Column("resource"), Column("name", fixed=True), Column("operations"), Column("why", spare=True))


def ls(options: Options) -> None:
    """Every topic: owner, key, partitions, how long it is kept, who produces and consumes it, how many records there are."""
    from tools.reading import bus_path, exists, reading_bus

    async def counted() -> dict[str, Any]:
        async with reading_bus(options.settings) as bus:
            return {name: await _counts(bus, name) for name in [spec.name for spec in await bus.topics()]}

    there = options.settings.bus_kind == "kafka" or exists(bus_path(options.settings))
    counts = options.run(counted()) if there else {}
    rows = [
        {
            "topic": t.name,
            "owner": t.owner,
            "key": t.key,
            "partitions": t.partitions,
            "kept": span(t.retention_ms),
            "retention_ms": t.retention_ms,
            "producers": list(t.producers),
            "consumers": list(t.consumers),
            "messages": [f"{message.type} {message.version}" for message in messages_of(t.name)],
            **counts.get(t.name, {"records": None, "last_append_ms": None, "last_append": None}),
            "english": t.english,
        }
        for t in TOPICS
    ]
    options.out.rows(rows, COLUMNS, empty="the contract has no topics")


async def _counts(bus: "Bus", topic: str) -> dict[str, Any]:
    """Records that are there (end less start of every partition), and when the bus took the last one."""
    ends = await bus.ends(topic)
    lasts = [
        run[-1].appended_ms for number, (start, end) in ends.items() if end > start and (run := await bus.read(topic, number, end - 1))
    ]
    last_ms = max(lasts, default=None)
    age_ms = None if last_ms is None else max(0, time.time_ns() // 1_000_000 - last_ms)
    said = "-" if last_ms is None else f"{span(age_ms)} ago"
    return {
        "records": sum(end - start for start, end in ends.values()),
        "partitions": len(ends),
        "last_append_ms": last_ms,
        "last_append_age_ms": age_ms,
        "last_append": said,
    }


def declare(options: Options) -> None:
    """Make the topics that are missing on the bus, and renew the settings that may change; partitions are fixed for life."""
    rows = options.run(_declared(options.settings))
    options.out.rows(rows, DECLARED, empty="the contract has no topics")


async def _declared(settings: "Settings") -> list[dict[str, Any]]:
    from tools import assemble
    from tools.contract import AS_DECLARED, MISSING

    done = {MISSING: "made", AS_DECLARED: "was there"}
    specs = assemble.specs(settings)
    async with _writing(settings) as bus:
        before = {row["topic"]: row["state"] for row in await _compared(bus, settings)}
        await bus.declare(specs)
    return [
        {"topic": t.name, "done": done.get(before[t.name], "renewed"), "partitions": t.partitions, "retention_ms": t.retention_ms}
        | {"kept": span(t.retention_ms)}
        for t in specs
    ]


def describe(options: Options) -> None:
    """The contract against the bus: what is missing or differs (exit code 1 then), and what is not in the contract."""
    from tools.contract import remedies
    from tools.reading import reading_bus

    async def compared() -> list[dict[str, Any]]:
        async with reading_bus(options.settings) as bus:
            return await _compared(bus, options.settings)

    rows = [row | {"kept": span(row["retention_ms"])} for row in options.run(compared())]
    options.out.rows(rows, DESCRIBED, empty="neither the contract nor the bus has topics")
    if wrong := remedies(rows):
        raise Failed("; ".join(wrong))


async def _compared(bus: "Bus", settings: "Settings") -> list[dict[str, Any]]:
    from tools import assemble
    from tools.contract import compared, settings_of

    wanted, found = assemble.specs(settings), await bus.topics()
    return compared(wanted, found, await settings_of(bus, wanted, found))


@asynccontextmanager
async def _writing(settings: "Settings") -> AsyncIterator["Bus"]:
    """The bus, to be changed; an embedded one must be there. Raises Failed with what it says."""
    from bus.connect import connect
    from bus.errors import BusError
    from tools.reading import bus_path, must_exist

    if settings.bus_kind == "sqlite":
        must_exist(bus_path(settings))
    bus = connect(settings.bus_url())
    try:
        await bus.open()
        yield bus
    except BusError as exc:
        raise Failed(str(exc)) from None
    finally:
        await bus.close()


def acl(options: Options, principal: PRINCIPAL = f"User:lendbus-{SERVICE}", commands: AS_COMMANDS = False) -> None:
    """Who may do what on the broker, as it follows from the contract; nothing is asked and nothing is changed."""
    from tools import acl as rights
    from tools.reading import services

    if SERVICE not in principal:
        raise WrongUse(f"--principal {principal!r} has no {SERVICE} in it: all services would be one principal")
    servers, name = _at_broker(options.settings)
    found = rights.outside(rights.grants(TOPICS, services()), name, lambda service: principal.replace(SERVICE, service))
    if not commands:
        options.out.rows([rights.row(grant) for grant in found], GRANTED, empty="the contract has no topics")
    elif options.is_json:
        for grant in found:
            options.out.json({"command": rights.command(grant, servers)})
    else:
        write("".join(f"{rights.command(grant, servers)}\n" for grant in found))
        say(f"{len(found)} lines; run them as the broker's administrator, with its --command-config where it wants a login")


def _at_broker(settings: "Settings") -> tuple[str, Any]:
    """(servers, what a topic or group is called there); the embedded bus has no ACLs, its names stand as they are."""
    if settings.bus_kind == "sqlite":
        return SERVERS_USUAL, str
    from bus.errors import BusError
    from bus.kafka.address import parse

    try:
        address = parse(settings.bus_url())
    except BusError as exc:
        raise WrongUse(str(exc)) from None
    return ",".join(address.servers), address.outside


COMMANDS = {"ls": ls, "declare": declare, "describe": describe, "acl": acl}
