"""`lendbus doctor`: whether this machine and folder are fit, a line a subject; exit code 1 when one is not."""

from typing import TYPE_CHECKING

from tools.options import Options
from tools.output import Column, Failed, WrongUse, instant

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Sequence

    from bus.log import Bus, GroupMember, GroupRow, TopicSpec
    from config.settings import Settings
    from tools.health import Line

COLUMNS = (Column("result", fixed=True), Column("subject", fixed=True), Column("found"), Column("todo"))


def command(options: Options) -> None:
    """Python and libraries, folder and permissions, key file, bus and stores, who owns each group, port, clock."""
    lines = options.run(examined(options.settings))
    options.out.rows([line._asdict() for line in lines], COLUMNS, empty="")
    if bad := [line.subject for line in lines if line.result == "fail"]:
        raise Failed(f"not fit: {', '.join(bad)}; the last column says what to do")


async def examined(settings: "Settings") -> "list[Line]":
    """Every finding, in order."""
    from tools import health
    from tools.reading import bus_path, services, store_path

    lines = [*health.python(), *health.libraries(), *health.folder(settings), *health.key_file(settings)]
    if settings.bus_kind == "sqlite":
        lines += health.sizes(bus_path(settings), "bus file")
    for service in services():
        if settings.db_kind == "sqlite":
            lines += health.sizes(store_path(settings, service), f"store {service}")
        lines += [line async for line in _schema(settings, service)]
    last_ms, groups = await _bus(settings)
    return [*lines, *groups, *health.port(settings), *health.clock(last_ms)]


async def _schema(settings: "Settings", service: str) -> "AsyncIterator[Line]":
    from stores.revisions import heads, revisions
    from tools.health import Line
    from tools.reading import ask, exists, store_path

    subject = f"schema {service}"
    try:
        if settings.db_kind == "sqlite" and not exists(store_path(settings, service)):
            return
        found, wanted = await ask(settings, service, revisions), heads(service)
    except WrongUse as exc:
        made = "nothing here yet" not in str(exc)
        yield Line("fail" if made else "ok", subject, "cannot be read" if made else "not made yet", str(exc) if made else "")
        return
    if found == wanted:
        yield Line("ok", subject, ", ".join(found))
    elif set(found) < set(wanted) or not found:
        yield Line("warn", subject, ", ".join(found) or "none", "the next start of its worker brings it up to date")
    else:
        yield Line("fail", subject, ", ".join(found), f"this Lendbus knows {', '.join(wanted)}: run the version that wrote the store")


async def _bus(settings: "Settings") -> "tuple[int | None, list[Line]]":
    """When the last record was appended, and who owns each group."""
    from tools.health import Line
    from tools.reading import bus_is_there, reading_bus

    try:
        if not bus_is_there(settings):
            return None, []
        async with reading_bus(settings) as bus:
            specs = await bus.topics()
            lines = [owner(row) for row in await bus.groups()]
            if settings.bus_kind == "kafka":
                lines.insert(0, Line("ok", "bus", f"Kafka answers, cluster {await bus.incarnation()}, {len(specs)} topics of ours"))
            return await _last_append_ms(bus, specs), lines
    except WrongUse as exc:
        return None, [Line("fail", "bus", "cannot be read", str(exc))]


async def _last_append_ms(bus: "Bus", specs: "Sequence[TopicSpec]") -> int | None:
    lasts = []
    for spec in specs:
        for partition, (start, end) in (await bus.ends(spec.name)).items():
            lasts += [r.appended_ms for r in (await bus.read(spec.name, partition, end - 1, 1) if end > start else [])]
    return max(lasts, default=None)


def owner(row: "GroupRow") -> "Line":
    """Who owns a group: pid, since when, whether it lives, and who waits."""
    from tools.health import Line

    subject = f"group {row.group}"
    waiting = f", standby {', '.join(map(str, row.standby))}" if row.standby else ""
    if row.members:
        shares = "; ".join(f"{m.client} on {m.host}: {_numbers(m)}" for m in row.members)
        return Line("ok", subject, f"{len(row.members)} members, generation {row.epoch}: {shares}")
    if row.pid is None:
        return Line("ok", subject, f"nobody's, epoch {row.epoch}{waiting}")
    found = f"pid {row.pid} on {row.host} since {instant(row.since_ms)}, epoch {row.epoch}{waiting}"
    if row.alive:
        return Line("ok", subject, found)
    return Line("warn", subject, f"{found}: dead or silent", "a waiting worker takes it over; else start one: lendbus up")


def _numbers(member: "GroupMember") -> str:
    return "partitions " + ", ".join(str(number) for _, number in sorted(member.partitions)) if member.partitions else "no partition"
