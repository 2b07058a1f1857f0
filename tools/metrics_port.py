"""What a serving process counts, for Prometheus: on a port of its own, on loopback, when `LENDBUS_METRICS_PORT` says so."""

from collections.abc import Iterator
from contextlib import contextmanager

from tools.output import WrongUse

LOOPBACK = "127.0.0.1"


@contextmanager
def serving_metrics(port: int | None) -> Iterator[str | None]:
    """Serve `/metrics` for the length of the block and say where; without a port serve nothing. Raises WrongUse for a busy one."""
    if port is None:
        yield None
        return
    from prometheus_client import start_http_server

    try:
        server, thread = start_http_server(port, addr=LOOPBACK)
    except OSError as exc:
        raise WrongUse(f"port {port} for metrics cannot be had ({exc.strerror}): set LENDBUS_METRICS_PORT to a free one") from exc
    try:
        yield f"http://{LOOPBACK}:{server.server_port}/metrics"
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
