"""The contract of topics against what a bus has: what is missing, surplus, or other than declared."""

from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final

from bus.log import TopicSpec

if TYPE_CHECKING:
    from bus.log import Bus

AS_DECLARED: Final = "as declared"
DIFFERS: Final = "differs"
MISSING: Final = "missing"
SURPLUS: Final = "not in the contract"

Settings = Mapping[str, str]
FIXED: Final = "fixed for life"
UNREADABLE: Final = "its settings may not be read"


def remedies(rows: Sequence[Mapping[str, Any]]) -> list[str]:
    """What to do about the rows of `compared` that are wrong, a sentence for each kind; a surplus topic is shown and is no fault.

    A broker may be shared: without a namespace everybody's topics are seen.
    """
    missing = [row["topic"] for row in rows if row["state"] == MISSING]
    counts = [row["topic"] for row in rows if any(said.endswith(FIXED) for said in row["differences"])]
    settings = [row["topic"] for row in rows if any(said != UNREADABLE and not said.endswith(FIXED) for said in row["differences"])]
    unreadable = [row["topic"] for row in rows if UNREADABLE in row["differences"]]
    said = {
        "missing: {}; `lendbus topics declare` makes them": missing,
        "with another number of partitions: {}; keys go by it, so make them anew, or use another namespace": counts,
        "with other settings: {}; `lendbus topics declare` renews them": settings,
        "with settings that this user may not read: {}; give the right DescribeConfigs": unreadable,
    }
    return [sentence.format(", ".join(names)) for sentence, names in said.items() if names]


def compared(
    wanted: Iterable[TopicSpec], found: Iterable[TopicSpec], settings: Mapping[str, tuple[Settings, Settings | None]]
) -> list[Any]:
    """A row a topic, by name; `settings` has for each topic of the contract what its settings shall be and are (None: not readable)."""
    contract, there = {spec.name: spec for spec in wanted}, {spec.name: spec for spec in found}
    return [
        _row(name, contract.get(name), there.get(name), settings.get(name, ({}, {}))) for name in sorted(contract.keys() | there.keys())
    ]


def _row(name: str, wanted: TopicSpec | None, found: TopicSpec | None, settings: tuple[Settings, Settings | None]) -> dict[str, Any]:
    differences = [] if wanted is None or found is None else list(_differences(wanted, found, *settings))
    if found is None:
        state = MISSING
    elif wanted is None:
        state = SURPLUS
    else:
        state = DIFFERS if differences else AS_DECLARED
    return {
        "topic": name,
        "state": state,
        "partitions": None if found is None else found.partitions,
        "partitions_declared": None if wanted is None else wanted.partitions,
        "retention_ms": None if found is None else found.retention_ms,
        "max_bytes": None if found is None else found.max_bytes,
        "differences": differences,
    }


def _differences(wanted: TopicSpec, found: TopicSpec, shall: Settings, are: Settings | None) -> Iterable[str]:
    if found.partitions != wanted.partitions:
        yield f"partitions {found.partitions}, declared {wanted.partitions}: {FIXED}"
    if are is None:
        yield UNREADABLE
        return
    for name, value in shall.items():
        if are.get(name) != value:
            yield f"{name} {are.get(name, 'unknown')}, declared {value}"


async def settings_of(bus: "Bus", wanted: Sequence[TopicSpec], found: Sequence[TopicSpec]) -> dict[str, tuple[Settings, Settings | None]]:
    """Topic → (the settings it shall have, those it has), for the topics of the contract that are there."""
    from bus.kafka.bus import KafkaBus

    there = {spec.name: spec for spec in found}
    named = [spec for spec in wanted if spec.name in there]
    if not isinstance(bus, KafkaBus):
        return {spec.name: (_embedded(spec), _embedded(there[spec.name])) for spec in named}
    from bus.kafka import topics

    cluster = bus.cluster
    configs = await cluster.patiently("reading the settings of topics", lambda: cluster.topic_configs(spec.name for spec in named))
    return {spec.name: (topics.settings(spec), configs.get(spec.name)) for spec in named}


def _embedded(spec: TopicSpec) -> Settings:
    return {"retention_ms": str(spec.retention_ms), "max_bytes": str(spec.max_bytes)}
