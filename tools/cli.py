"""The command line: `lendbus COMMAND …`. Nothing but Typer is imported before a command is known (`--help` in 0.3 s).

Exit codes: 0 done, 1 a finding or a failure, 2 wrong use (the sentence says what to do), 130 Ctrl-C, 141 nobody reads.
"""

import errno
import importlib
import importlib.util
import os
import sys
from collections.abc import Sequence
from typing import Any, Final

import typer
from typer.core import TyperCommand, TyperGroup
from typer.main import get_command, get_group

from tools.options import with_options
from tools.output import Failed, NobodyReads, WrongUse, flush, say

PROGRAM: Final = "lendbus"
EXIT_FAILED, EXIT_WRONG_USE, EXIT_INTERRUPTED, EXIT_NOBODY_READS = 1, 2, 130, 141

# Command → (the module that has it, one line of help). A module that is not there yet is not listed.
COMMANDS: Final[dict[str, tuple[str, str]]] = {
    "demo": ("tools.demo", "Start everything, play the story over HTTP, show what happened."),
    "up": ("tools.up", "Everything in one process, data in ./data."),
    "worker": ("tools.worker", "Run the workers of services."),
    "gateway": ("tools.gateway", "Run the HTTP gateway."),
    "bank": ("tools.bank", "The custody bank, a company of its own: serve, enrol, day, check."),
    "topics": ("tools.topics", "The contract: every topic, its owner, key and counts."),
    "groups": ("tools.groups", "Who consumes: members, owners, and how far they are."),
    "lag": ("tools.lag", "How far each partition's service is behind."),
    "tail": ("tools.tail", "Show what is said on topics."),
    "trace": ("tools.trace", "The whole story of one id."),
    "stuck": ("tools.stuck", "What waits for a person, and what may be done."),
    "dlq": ("tools.dlq", "Dead letters: records that nobody could read."),
    "check": ("tools.check", "Whether the stores agree about every registration, loan, plan and order."),
    "admin": ("tools.admin", "Log-ins for those who work here."),
    "kafka": ("tools.kafka", "A local Kafka broker, without Docker: up, down, status."),
    "doctor": ("tools.doctor", "Whether this machine and folder are fit."),
    "keys": ("tools.keys", "The key file: make a platform's first one, show which it is."),
    "settings": ("tools.settings_view", "Every setting: value, default, variable, what it is."),
    "calc": ("tools.calc", "The money arithmetic: a JSON object a line in, one out."),
    "bench": ("tools.bench.commands", "Measure, with bars."),
    "soak": ("tools.soak", "Kill and freeze at random; count lost and doubled."),
    "chaos": ("tools.chaos", "Whole stories disturbed, each compared with the undisturbed one."),
}
LATER: Final = frozenset(
    {
        "accounts", "backup", "borrow", "collect", "deploy", "export", "grep",
        "import", "invest", "loans", "members", "ops", "pages", "reconcile", "registrations",
        "repay", "replay", "reset", "restore", "state", "top", "users",
    }
)  # fmt: skip
_VERSION_FLAGS: Final = frozenset({"--version", "-V"})


class Commands(TyperGroup):
    """The root: it knows every command's name and line, and imports a command's module when it is called."""

    def list_commands(self, ctx: Any) -> list[str]:
        """The commands whose modules are there."""
        return [name for name, (module, _) in COMMANDS.items() if _exists(module)]

    def get_command(self, ctx: Any, cmd_name: str) -> Any:
        """A stand-in that has the name and the line of help."""
        known = COMMANDS.get(cmd_name)
        return TyperCommand(cmd_name, help=known[1]) if known and _exists(known[0]) else None

    def resolve_command(self, ctx: Any, args: list[str]) -> Any:
        """The real command, imported now. Raises WrongUse for one that comes later."""
        name = args[0]
        if name in LATER or (name in COMMANDS and not _exists(COMMANDS[name][0])):
            raise _later(name)
        self.commands = {each: self.get_command(ctx, each) for each in self.list_commands(ctx)}  # a typo is compared with these
        found = super().resolve_command(ctx, args)
        return name, load(name), _with_default(name, found[2])


def _with_default(name: str, rest: list[str]) -> list[str]:
    """A group that means one of its commands when none is named (`DEFAULT`) gets that one."""
    default = getattr(importlib.import_module(COMMANDS[name][0]), "DEFAULT", None)
    return [default, *rest] if default and (not rest or (rest[0].startswith("-") and rest[0] != "--help")) else rest


def load(name: str) -> Any:
    """Import a command's module and make its Typer command, or its group."""
    place, line = COMMANDS[name]
    module = importlib.import_module(place)
    app = typer.Typer(name=name, add_completion=False, no_args_is_help=True, help=line)
    subcommands = getattr(module, "COMMANDS", None)
    if subcommands is None:
        if not hasattr(module, "command"):
            raise _later(name)
        app.command(name)(with_options(module.command))
        return get_command(app)
    for sub, function in subcommands.items():
        app.command(sub)(with_options(function))
    return get_group(app)


def _later(name: str) -> WrongUse:
    return WrongUse(f"`{PROGRAM} {name}` comes with a later issue: `{PROGRAM} --help` lists what there is")


def root() -> Any:
    """The command `lendbus`, nothing imported yet."""
    app = typer.Typer(
        name=PROGRAM, cls=Commands, rich_markup_mode=None, no_args_is_help=True, help="P2P lending as actors on a message bus."
    )
    app.callback()(_nothing)
    return get_command(app)


def run(arguments: Sequence[str]) -> int:
    """Run one command line; the exit code. What goes wrong is a sentence on standard error, never a traceback of ours."""
    try:
        code = _run(list(arguments))
        flush()
    except (BrokenPipeError, NobodyReads):
        return EXIT_NOBODY_READS
    except OSError as exc:
        if exc.errno not in (errno.ENOSPC, errno.EIO, errno.EBADF, errno.EDQUOT, errno.EFBIG):
            raise
        say(f"cannot write: {exc.strerror}; what was printed is not complete, so make room and run it again")
        return EXIT_FAILED
    return code


def _run(arguments: list[str]) -> int:
    if arguments and arguments[0] in _VERSION_FLAGS:
        return _version()
    try:
        result = root().main(arguments, prog_name=PROGRAM, standalone_mode=False)
    except WrongUse as exc:
        say(str(exc))
        return EXIT_WRONG_USE
    except Failed as exc:
        say(str(exc))
        return EXIT_FAILED
    except KeyboardInterrupt:
        return EXIT_INTERRUPTED
    except Exception as exc:  # noqa: BLE001  (Typer's base of its complaints is private; the rest is raised again)
        return _explained(exc)
    return result if isinstance(result, int) else 0


def _explained(exc: Exception) -> int:
    """Typer's own complaints (a wrong option, a missing argument) as sentences; anything else goes on."""
    if not hasattr(exc, "format_message") or not hasattr(exc, "exit_code"):
        raise exc
    context = getattr(exc, "ctx", None)
    if not (said := exc.format_message()):  # nothing was said at all; Typer has shown the help
        return EXIT_WRONG_USE
    say(said if said.endswith((".", "?", "!")) else f"{said}.")
    say(f"`{context.command_path if context else PROGRAM} --help` shows how it is used.")
    return int(exc.exit_code)


def _version() -> int:
    from importlib import metadata

    print(metadata.version(PROGRAM))
    return 0


def _exists(module: str) -> bool:
    try:
        found = importlib.util.find_spec(module)
    except ModuleNotFoundError:
        return False
    return found is not None and found.has_location  # a folder that git has left behind is no module


def _nothing() -> None:
    """P2P lending as actors on a message bus."""


def main() -> None:
    """The console script."""
    for stream in (sys.stdout, sys.stderr):
        if stream is not None:
            stream.reconfigure(encoding="utf-8", errors="backslashreplace")  # type: ignore[union-attr]
    code = run(sys.argv[1:])
    if code in (EXIT_NOBODY_READS, EXIT_FAILED) and sys.stdout is not None:
        _silence()
    sys.exit(code)


def _silence() -> None:
    """The interpreter flushes at its end: what could not be written must not be tried again, with a traceback."""
    try:
        sys.stdout.flush()
    except OSError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
