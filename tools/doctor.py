"""`lendbus doctor`: whether this machine and folder are fit, a line a subject; exit code 1 when one is not."""

from typing import TYPE_CHECKING

from tools.options import Options
from tools.output import Column, Failed, WrongUse, instant

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from bus.log import GroupRow
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
    lines += health.sizes(bus_path(settings), "bus file")
    for service in services():
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
        if not exists(store_path(settings, service)):
            return
        found, wanted = await ask(settings, service, revisions), heads(service)
    except WrongUse as exc:
        yield Line("fail", subject, "cannot be read", str(exc))
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
    from tools.reading import bus_path, exists, reading_bus

    try:
        if not exists(bus_path(settings)):
            return None, []
        async with reading_bus(settings) as bus:
            lasts = []
            for spec in await bus.topics():
                for partition, (start, end) in (await bus.ends(spec.name)).items():
                    lasts += [r.appended_ms for r in (await bus.read(spec.name, partition, end - 1, 1) if end > start else [])]
            return max(lasts, default=None), [owner(row) for row in await bus.groups()]
    except WrongUse as exc:
        return None, [Line("fail", "bus", "cannot be read", str(exc))]


def owner(row: "GroupRow") -> "Line":
    """Who owns a group: pid, since when, whether it lives, and who waits."""
    from tools.health import Line

    subject = f"group {row.group}"
    waiting = f", standby {', '.join(map(str, row.standby))}" if row.standby else ""
    if row.pid is None:
        return Line("ok", subject, f"nobody's, epoch {row.epoch}{waiting}")
    found = f"pid {row.pid} on {row.host} since {instant(row.since_ms)}, epoch {row.epoch}{waiting}"
    if row.alive:
        return Line("ok", subject, found)
    return Line("warn", subject, f"{found}: dead or silent", "a waiting worker takes it over; else start one: lendbus up")
