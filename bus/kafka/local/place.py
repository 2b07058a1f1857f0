"""What the local broker has on disk: its folder, its settings, who it is, and which process runs it.

`<data>/kafka/`: `server.properties` (written at each start), `log/` (the records), `broker.log`, `broker.json` (the process).
"""

import base64
import fcntl
import json
import os
import re
import uuid
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Final

from bus.kafka.local.errors import BrokerFailed
from stores.process import Process, is_alive

LOOPBACK: Final = "127.0.0.1"
SESSION_MS_MIN: Final = 1_000  # Kafka's own least is 6 s: no take-over would be faster than that
RETENTION_MS: Final = 7 * 24 * 3600 * 1000  # of topics that say nothing; ours say it themselves
FOLDER_MODE: Final = 0o700


@dataclass(frozen=True, slots=True)
class Running:
    """The process that was started as this folder's broker."""

    pid: int
    started: int
    boot: str
    host: str
    port: int
    version: str
    cluster: str
    since_ms: int

    @property
    def process(self) -> Process:
        """Who it is among this machine's processes."""
        return Process(self.pid, self.started, self.boot, self.host)

    @property
    def address(self) -> str:
        """host:port, as Kafka's clients take it."""
        return f"{LOOPBACK}:{self.port}"

    @property
    def url(self) -> str:
        """As `--bus` takes it."""
        return f"kafka://{self.address}"


class Place:
    """The folder of one local broker."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder.expanduser().absolute()
        self.properties = self.folder / "server.properties"
        self.records = self.folder / "log"
        self.broker_log = self.folder / "broker.log"
        self._running = self.folder / "broker.json"
        self._cluster = self.folder / "cluster.id"

    def make(self) -> None:
        """Make the folders, for this user only."""
        self.folder.parent.mkdir(mode=FOLDER_MODE, parents=True, exist_ok=True)  # the platform's data folder; its own stays as it is
        for path in (self.folder, self.records):
            path.mkdir(mode=FOLDER_MODE, parents=True, exist_ok=True)
            path.chmod(FOLDER_MODE)

    @contextmanager
    def alone(self) -> Iterator[None]:
        """Starting and ending this broker is done by one process at a time."""
        with (self.folder / "lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            yield

    def noted(self) -> Running | None:
        """The process that was noted at the last start, dead or alive; None when there is none or the note cannot be read."""
        try:
            return Running(**json.loads(self._running.read_text()))
        except FileNotFoundError:
            return None
        except (ValueError, TypeError):
            return None  # cut short by a power failure: no process is ended on a guess

    def running(self) -> Running | None:
        """The noted process, if that very one is alive."""
        noted = self.noted()
        return noted if noted is not None and is_alive(noted.process) else None

    def stranger(self) -> int | None:
        """The pid of a process that has these records open, whoever it is; 0 where the system does not tell which, None: nobody has."""
        try:
            with (self.records / ".lock").open("r+b") as lock:  # Kafka's own, held as long as a broker has the folder
                fcntl.lockf(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                return None
        except FileNotFoundError:
            return None
        except BlockingIOError:
            return _holder(self.records / ".lock")

    def refuse_stranger(self) -> None:
        """Nobody whom this folder's note does not know may have its records. Raises BrokerFailed that names the process."""
        if (pid := self.stranger()) is not None:
            who = f"process {pid}" if pid else "a process"
            raise BrokerFailed(
                f"{who} has the records of {self.records} open, and {self._running} does not say that it is this folder's broker: "
                f"end it (kill {pid or 'PID'}), then `lendbus kafka up`"
            )

    def note(self, running: Running) -> None:
        """Remember the process."""
        temporary = self._running.with_suffix(".new")
        temporary.write_text(json.dumps(asdict(running)) + "\n")
        temporary.replace(self._running)

    def forget(self) -> None:
        """There is no process any more."""
        self._running.unlink(missing_ok=True)

    def cluster(self) -> str:
        """The id of the cluster whose records are here, made at the first call. Raises BrokerFailed when they are another's."""
        formatted = self.formatted_as()
        known = self._cluster.read_text().strip() if self._cluster.exists() else formatted
        if known is None:
            known = new_cluster_id()
        if formatted is not None and formatted != known:
            raise BrokerFailed(
                f"{self.records} holds the records of cluster {formatted}, and {self._cluster} says {known}: "
                "somebody has put another cluster's files there; move them away, or remove the file if they are the right ones"
            )
        if not self._cluster.exists():
            self._cluster.write_text(f"{known}\n")
        return known

    def formatted_as(self) -> str | None:
        """The cluster id that the records' folder was formatted with; None before that."""
        try:
            text = (self.records / "meta.properties").read_text()
        except FileNotFoundError:
            return None
        found = re.search(r"^cluster\.id=(\S+)$", text, re.MULTILINE)
        return found[1] if found else None

    def last_words(self, lines: int = 3) -> str:
        """The end of the broker's log: what it complained of."""
        try:
            said = self.broker_log.read_text(errors="replace").splitlines()
        except FileNotFoundError:
            return ""
        wrong = [line for line in said if re.search(r"(ERROR|FATAL|Exception|Error)\b", line) and not line.startswith("\tat ")]
        return " / ".join((wrong or said)[-lines:])

    def put_log_aside(self) -> None:
        """Begin a new broker.log; the last one is kept beside it."""
        if self.broker_log.exists():
            os.replace(self.broker_log, self.broker_log.with_suffix(".log.1"))


def _holder(path: Path) -> int:
    try:
        inode = path.stat().st_ino
        found = re.search(rf"POSIX\s+\S+\s+WRITE\s+(\d+)\s+\S+:{inode}\s", Path("/proc/locks").read_text())
    except OSError:
        return 0
    return int(found[1]) if found else 0


def new_cluster_id() -> str:
    """A cluster id as Kafka makes them: 16 random bytes in URL-safe base64, not beginning with a dash."""
    while (made := base64.urlsafe_b64encode(uuid.uuid4().bytes).decode().rstrip("=")).startswith("-"):
        pass
    return made


def properties(*, port: int, controller_port: int, records: Path, also: Mapping[str, str] | None = None) -> str:
    """The broker's settings: one node, broker and controller in one, on loopback; nothing is replicated and no topic made by itself.

    `also` adds settings or replaces them: a test's listener with a login.
    """
    settings: dict[str, object] = {
        "process.roles": "broker,controller",
        "node.id": 1,
        "controller.quorum.voters": f"1@{LOOPBACK}:{controller_port}",
        "controller.listener.names": "CONTROLLER",
        "listeners": f"PLAINTEXT://{LOOPBACK}:{port},CONTROLLER://{LOOPBACK}:{controller_port}",
        "advertised.listeners": f"PLAINTEXT://{LOOPBACK}:{port}",
        "listener.security.protocol.map": "PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT",
        "log.dirs": _escaped(str(records)),
        "auto.create.topics.enable": "false",
        "default.replication.factor": 1,
        "min.insync.replicas": 1,
        "offsets.topic.replication.factor": 1,
        "offsets.topic.num.partitions": 1,
        "transaction.state.log.replication.factor": 1,
        "transaction.state.log.min.isr": 1,
        "transaction.state.log.num.partitions": 1,
        "share.coordinator.state.topic.replication.factor": 1,
        "share.coordinator.state.topic.min.isr": 1,
        "share.coordinator.state.topic.num.partitions": 1,
        "group.initial.rebalance.delay.ms": 0,
        "group.min.session.timeout.ms": SESSION_MS_MIN,
        "log.retention.ms": RETENTION_MS,
        "num.network.threads": 2,
        "num.io.threads": 4,
        **(also or {}),
    }
    return "".join(f"{name}={value}\n" for name, value in settings.items())


def _escaped(value: str) -> str:
    """A value as a properties file has it: a backslash begins an escape, and what is not Latin-1 is written as one."""
    return "".join(_escape(char) for char in value)


def _escape(char: str) -> str:
    if char == "\\":
        return "\\\\"
    if " " <= char <= "~":
        return char
    units = char.encode("utf-16-be")
    return "".join(f"\\u{units[at]:02x}{units[at + 1]:02x}" for at in range(0, len(units), 2))
