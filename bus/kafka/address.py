"""A Kafka bus by its URL: where its brokers are, how to speak to them, and the namespace that is invisible above `bus/`.

kafka://[user:password@]host[:port][,host[:port]…][/NAMESPACE][?security=…&mechanism=…&cafile=…&certfile=…&keyfile=…]
"""

import re
import ssl
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any
from urllib.parse import parse_qsl, unquote, urlsplit

from bus.errors import BusError

SCHEME = "kafka"
PORT_DEFAULT = 9092
SECURITY = {"plaintext": "PLAINTEXT", "ssl": "SSL", "sasl_plaintext": "SASL_PLAINTEXT", "sasl_ssl": "SASL_SSL"}
MECHANISMS = ("PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512")
OPTIONS = frozenset({"security", "mechanism", "cafile", "certfile", "keyfile"})
NAMESPACE = re.compile(r"[A-Za-z0-9_-][A-Za-z0-9._-]{0,99}")
EXPECTED = "expected kafka://host:port[,host:port…][/NAMESPACE][?security=ssl|sasl_plaintext|sasl_ssl&mechanism=…&cafile=…]"


@dataclass(frozen=True, slots=True)
class Address:
    """What a URL says; the password is in no repr."""

    servers: tuple[str, ...]
    namespace: str = ""
    security: str = "PLAINTEXT"
    mechanism: str = "SCRAM-SHA-512"
    user: str | None = None
    password: str | None = field(default=None, repr=False)
    cafile: str | None = None
    certfile: str | None = None
    keyfile: str | None = field(default=None, repr=False)

    def outside(self, name: str) -> str:
        """What a topic or group is called on the broker."""
        return f"{self.namespace}.{name}" if self.namespace else name

    def inside(self, name: str) -> str | None:
        """What a name of the broker is called above; None when it is somebody else's."""
        if not self.namespace:
            return None if name.startswith("__") else name
        prefix = f"{self.namespace}."
        return name[len(prefix) :] if name.startswith(prefix) else None

    def client_options(self) -> dict[str, Any]:
        """What every client of aiokafka is told about where and how."""
        options: dict[str, Any] = {"bootstrap_servers": list(self.servers), "security_protocol": self.security}
        if self.security.endswith("SSL"):
            options["ssl_context"] = _ssl_context(self.cafile, self.certfile, self.keyfile)
        if self.security.startswith("SASL"):
            options |= {"sasl_mechanism": self.mechanism, "sasl_plain_username": self.user, "sasl_plain_password": self.password}
        return options

    def __str__(self) -> str:
        return f"{SCHEME}://{','.join(self.servers)}/{self.namespace}"


def parse(url: str) -> Address:
    """The address of a `kafka://` URL. Raises BusError with what is expected; the password is never repeated."""
    parts = urlsplit(url)
    if parts.scheme != SCHEME or not parts.netloc:
        raise BusError(f"this is no Kafka URL: {EXPECTED}")
    login, _, hosts = parts.netloc.rpartition("@")
    options = dict(parse_qsl(parts.query, keep_blank_values=True))
    if unknown := options.keys() - OPTIONS:
        raise BusError(f"a Kafka URL has no option {', '.join(sorted(unknown))}: {EXPECTED}")
    namespace = unquote(parts.path.strip("/"))
    if namespace and not NAMESPACE.fullmatch(namespace):
        raise BusError(f"{namespace!r} is no namespace: letters, digits, '_', '-', '.', at most 100 of them")
    user, password = _login(login)
    security = _security(options, user)
    return Address(
        tuple(_server(host) for host in hosts.split(",")),
        namespace,
        security,
        _mechanism(options),
        user,
        password,
        options.get("cafile"),
        options.get("certfile"),
        options.get("keyfile"),
    )


def _login(login: str) -> tuple[str | None, str | None]:
    if not login:
        return None, None
    user, _, password = login.partition(":")
    return unquote(user), unquote(password)


def _security(options: Mapping[str, str], user: str | None) -> str:
    said = options.get("security", "plaintext")
    if (security := SECURITY.get(said.lower())) is None:
        raise BusError(f"security={said} is not one of {', '.join(SECURITY)}")
    if security.startswith("SASL") != (user is not None):
        raise BusError("a Kafka URL has user:password exactly when its security is sasl_plaintext or sasl_ssl")
    return security


def _mechanism(options: Mapping[str, str]) -> str:
    mechanism = options.get("mechanism", "SCRAM-SHA-512")
    if mechanism not in MECHANISMS:
        raise BusError(f"mechanism={mechanism} is not one of {', '.join(MECHANISMS)}")
    return mechanism


def _server(host: str) -> str:
    name, colon, port = host.rpartition(":")
    if not colon or host.endswith("]"):
        name, port = host, str(PORT_DEFAULT)
    if not name or not port.isascii() or not port.isdigit() or not 0 < int(port) < 65536:
        raise BusError(f"{host!r} is no host:port: {EXPECTED}")
    return f"{name}:{port}"


@lru_cache(maxsize=8)
def _ssl_context(cafile: str | None, certfile: str | None, keyfile: str | None) -> ssl.SSLContext:
    try:
        context = ssl.create_default_context(cafile=cafile)
        if certfile is not None:
            context.load_cert_chain(certfile, keyfile)
    except (OSError, ssl.SSLError) as exc:
        raise BusError(f"the certificates of the Kafka URL cannot be used: {exc}") from exc
    return context
