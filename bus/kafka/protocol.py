"""What Kafka says as the bus says it, and the one request that aiokafka does not have."""

import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from aiokafka.errors import BrokerResponseError, KafkaError, KafkaTimeoutError, for_code
from aiokafka.protocol.api import Request, RequestStruct, Response
from aiokafka.protocol.types import Array, Boolean, Int8, Int16, Int32, Schema, String

from bus.errors import BusAway, BusError

TOPIC_RESOURCE, BROKER_RESOURCE = 2, 4
SET = 0  # the operation of an incremental change


@contextmanager
def translated(what: str) -> Iterator[None]:
    """BusAway for what passes (no connection, no leader yet, a time-out), BusError for what does not."""
    try:
        yield
    except KafkaError as exc:
        raise explained(exc, what) from exc
    except (TimeoutError, OSError) as exc:
        raise BusAway(f"{what}: Kafka does not answer just now ({str(exc) or type(exc).__name__})") from exc


def passes(exc: BaseException) -> bool:
    """Whether it may be better later: aiokafka calls its own time-out, which is also what an abandoned producer fails with, final."""
    return not isinstance(exc, KafkaError) or exc.retriable or isinstance(exc, KafkaTimeoutError)


def explained(exc: BaseException, what: str) -> BusError:
    """The error as the bus raises it."""
    if not passes(exc):
        return BusError(f"{what}: Kafka refuses ({reason(exc)})")
    return BusAway(f"{what}: Kafka cannot do it just now ({reason(exc)})")


def reason(exc: BaseException) -> str:
    """The error in words: Kafka's own description where it has one."""
    said = re.sub(r", <AddressFamily[^>]*>", "", str(exc)) or type(exc).__name__
    description = exc.description if isinstance(exc, BrokerResponseError) and not exc.args else ""
    return f"{said}: {' '.join(description.split())}" if description else said


def check(code: int, message: str | None = None) -> None:
    """Raise what an answer's error code stands for."""
    if code:
        error = for_code(code)
        raise error(message) if message else error()


class IncrementalAlterConfigsResponse(Response):  # type: ignore[misc]  # aiokafka is not typed
    """Per resource: error code, message, type, name."""

    API_KEY = 44
    API_VERSION = 0
    SCHEMA = Schema(
        ("throttle_time_ms", Int32),
        (
            "responses",
            Array(("error_code", Int16), ("error_message", String("utf-8")), ("resource_type", Int8), ("resource_name", String("utf-8"))),
        ),
    )


class IncrementalAlterConfigsRequestV0(RequestStruct):  # type: ignore[misc]
    """Per resource: type, name, and per setting: name, operation, value."""

    API_KEY = 44
    API_VERSION = 0
    RESPONSE_TYPE = IncrementalAlterConfigsResponse
    SCHEMA = Schema(
        (
            "resources",
            Array(
                ("resource_type", Int8),
                ("resource_name", String("utf-8")),
                ("configs", Array(("name", String("utf-8")), ("operation", Int8), ("value", String("utf-8")))),
            ),
        ),
        ("validate_only", Boolean),
    )


class AlterTopicConfigs(Request[IncrementalAlterConfigsRequestV0]):  # type: ignore[misc]
    """Change these settings of topics and leave every other as its operator has set it; AlterConfigs would reset them."""

    API_KEY = 44

    def __init__(self, changes: Mapping[str, Mapping[str, str]]) -> None:
        self._changes = changes

    def build(self, request_struct_class: type[IncrementalAlterConfigsRequestV0]) -> IncrementalAlterConfigsRequestV0:
        """The request as it travels."""
        resources: list[Any] = [
            (TOPIC_RESOURCE, topic, [(name, SET, value) for name, value in values.items()]) for topic, values in self._changes.items()
        ]
        return request_struct_class(resources, False)
