"""Starting and ending the local broker: a process of its own, detached, that is known by pid and start time."""

import contextlib
import os
import select
import signal
import socket
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Final

from bus.kafka.local import jars
from bus.kafka.local.answering import Answer, ask, until_ready
from bus.kafka.local.errors import BrokerFailed, Unfit
from bus.kafka.local.java import Java
from bus.kafka.local.place import LOOPBACK, Place, Running, properties
from stores.process import boot_id, is_alive, process_start

READY_S_MAX: Final = 90.0
STOP_S_MAX: Final = 30.0  # a broker writes its segments down before it goes
KILLED_S_MAX: Final = 10.0
FORMAT_S_MAX: Final = 60.0
BROKER: Final = ("-Xms128m", "-Xmx512m")
QUICK: Final = ("-Xmx512m", "-XX:TieredStopAtLevel=1", "-XX:+UseSerialGC")  # half the work to start, slower under load: for what ends soon
_LOGGING: Final = ("-Dorg.slf4j.simpleLogger.defaultLogLevel=warn", "-Dorg.slf4j.simpleLogger.showDateTime=true",
                   "-Dorg.slf4j.simpleLogger.dateTimeFormat=yyyy-MM-dd'T'HH:mm:ss.SSSXXX")  # fmt: skip


def start(
    place: Place,
    java: Java,
    found: Sequence[Path],
    *,
    port: int,
    java_flags: Sequence[str] = BROKER,
    also: Mapping[str, str] | None = None,
) -> Running:
    """Start the broker, formatted if it never ran; it does not answer yet. Raises Unfit for a port in use; BrokerFailed."""
    port = port or free_port()
    if not is_free(port):
        raise Unfit(f"port {port} of {LOOPBACK} is in use: stop who listens there, or say another --port (0: a free one)")
    cluster = place.cluster()
    place.properties.write_text(properties(port=port, controller_port=free_port(), records=place.records, also=also))
    place.put_log_aside()
    classes = [*_LOGGING, "-cp", os.pathsep.join(map(str, found))]
    if place.formatted_as() is None:
        _format(place, [str(java.path), *QUICK, *classes], cluster)
    pid = _spawn([str(java.path), *java_flags, *classes, "kafka.Kafka", str(place.properties)], place.broker_log)
    since_ms = time.time_ns() // 1_000_000
    running = Running(pid, process_start(pid) or 0, boot_id(), socket.gethostname(), port, jars.VERSION, cluster, since_ms)
    place.note(running)
    return running


async def ready(place: Place, running: Running, within_s: float = READY_S_MAX) -> Answer:
    """Wait until the started broker answers; one that does not is ended. Raises BrokerFailed with the end of its log."""
    try:
        answer = await until_ready(running.address, within_s, lambda: bool(is_alive(running.process)))
    except BaseException as exc:
        end(place, running, lambda _: None, within_s=0)
        if isinstance(exc, BrokerFailed):
            raise BrokerFailed(f"{exc}: {place.last_words() or 'it said nothing'}; its log is {place.broker_log}") from None
        raise
    if answer.cluster != running.cluster:
        end(place, running, lambda _: None)
        raise BrokerFailed(f"at {running.address} cluster {answer.cluster} answers, not {running.cluster} of {place.folder}")
    return answer


def end(place: Place, running: Running, say: Callable[[str], None], within_s: float = STOP_S_MAX) -> None:
    """End that very process: SIGTERM, and SIGKILL when it takes too long, said before. Raises BrokerFailed if it outlives that."""
    with contextlib.suppress(ProcessLookupError):
        descriptor = os.pidfd_open(running.pid)
        try:
            if is_alive(running.process):  # asked after the descriptor is open, so that no reused pid is hit
                _end(descriptor, running, say, within_s)
        finally:
            os.close(descriptor)
    _reap(running.pid)
    place.forget()


async def answering(running: Running, timeout_s: float) -> Answer | None:
    """What the broker says of itself; None when it is silent, or another cluster answers at its port."""
    answer = await ask(running.address, timeout_s)
    return answer if answer is not None and answer.cluster == running.cluster else None


def free_port() -> int:
    """A port of loopback that nobody listens on just now."""
    with socket.socket() as probe:
        probe.bind((LOOPBACK, 0))
        port: int = probe.getsockname()[1]
        return port


def is_free(port: int) -> bool:
    """Whether the port could be listened on just now; connections that are ending do not count, as for Kafka."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((LOOPBACK, port))
        except OSError:
            return False
        return True


def _spawn(command: list[str], log: Path) -> int:
    """A process in a session of its own, which outlives this one; its pid."""
    said = (os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    actions = [(os.POSIX_SPAWN_OPEN, 0, os.devnull, os.O_RDONLY, 0), (os.POSIX_SPAWN_OPEN, 1, str(log), *said), (os.POSIX_SPAWN_DUP2, 1, 2)]
    return os.posix_spawn(command[0], command, os.environ, file_actions=actions, setsid=True)


def _format(place: Place, command: Sequence[str], cluster: str) -> None:
    tool = [*command, "kafka.tools.StorageTool", "format", "-t", cluster, "-c", str(place.properties)]
    try:
        done = subprocess.run(tool, cwd=place.folder, capture_output=True, text=True, errors="replace", timeout=FORMAT_S_MAX, check=False)
    except subprocess.TimeoutExpired:
        raise BrokerFailed(f"formatting {place.records} took longer than {FORMAT_S_MAX:.0f} s") from None
    if done.returncode:
        said = (done.stderr or done.stdout).strip().splitlines()
        raise BrokerFailed(f"{place.records} cannot be formatted: {said[-1] if said else f'exit code {done.returncode}'}")


def _end(descriptor: int, running: Running, say: Callable[[str], None], within_s: float) -> None:
    if within_s:
        signal.pidfd_send_signal(descriptor, signal.SIGTERM)
        if _has_ended(descriptor, within_s):
            return
        say(f"the broker (pid {running.pid}) did not end within {within_s:.0f} s of SIGTERM: killing it; its next start recovers its log")
    signal.pidfd_send_signal(descriptor, signal.SIGKILL)
    if not _has_ended(descriptor, KILLED_S_MAX):
        raise BrokerFailed(f"the broker (pid {running.pid}) outlives SIGKILL: its disk may hang")


def _has_ended(descriptor: int, within_s: float) -> bool:
    return bool(select.select([descriptor], [], [], within_s)[0])  # a process descriptor is readable when its process has ended


def _reap(pid: int) -> None:
    """If it was started by this process, let the kernel forget it."""
    with contextlib.suppress(ChildProcessError):
        os.waitpid(pid, os.WNOHANG)
