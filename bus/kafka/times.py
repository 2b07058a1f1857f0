"""A record's own time on a log that keeps its own: Kafka overwrites a record's timestamp with the time of appending (LogAppendTime).

The runtime's records carry their time in a header anyway. What has another own time, or no such header, gets one more header,
which is taken away again at reading: above the transport a record is as it was sent.
"""

from bus.headers import Headers

TIME = "time"  # what the runtime's envelope calls it
OWN_TIME = "lendbus-timestamp-ms"
TIME_MAX = 1 << 63


def with_own_time(headers: Headers, timestamp_ms: int) -> Headers:
    """The headers that travel."""
    said = b"%d" % timestamp_ms
    if _first(headers, TIME) == said and _first(headers, OWN_TIME) is None:
        return headers
    return (*headers, (OWN_TIME, said))


def own_time(headers: Headers, appended_ms: int) -> tuple[int, Headers]:
    """The record's own time and the headers that were sent; a stranger's record has the time of appending."""
    if headers and headers[-1][0] == OWN_TIME and (found := _number(headers[-1][1])) is not None:
        return found, headers[:-1]
    found = _number(_first(headers, TIME))
    return (appended_ms if found is None else found), headers


def _first(headers: Headers, wanted: str) -> bytes | None:
    for name, value in headers:
        if name == wanted:
            return value
    return None


def _number(said: bytes | None) -> int | None:
    if said is None or len(said) > 20 or not said.removeprefix(b"-").isdigit():
        return None
    number = int(said)
    return number if -TIME_MAX <= number < TIME_MAX else None
