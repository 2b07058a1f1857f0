"""The options that every command has, and how a command is declared.

A command is a function `def command(options: Options, …) -> int | None` in `tools/<name>.py`; a group of commands is
`COMMANDS = {"ls": ls, "show": show}` there. `tools/cli.py` lists the module by its name and imports it when the command
runs. The other parameters are Typer's (`Annotated[str, typer.Argument(help=…)]`); the docstring is the help. What a
command returns is its exit code (None: 0); `WrongUse` ends it with 2 and `Failed` with 1, each with its sentence.
"""

import inspect
from collections.abc import Callable, Coroutine
from functools import cached_property, wraps
from typing import TYPE_CHECKING, Annotated, Any, TypeVar, get_type_hints

import typer

from tools.output import NobodyReads, Output, WrongUse

if TYPE_CHECKING:
    from config.settings import Settings

T = TypeVar("T")
PANEL = "On every command"


class Options:
    """What was said of where the platform is and how to print; settings are read when they are first asked for."""

    def __init__(self, bus: str | None, db: str | None, data: str | None, *, as_json: bool, as_table: bool) -> None:
        self._given = {"bus": bus, "db": db, "data": data}
        self.is_json = as_json
        self.out = Output(as_json=as_json, as_table=as_table)

    @cached_property
    def settings(self) -> "Settings":
        """The settings, these options over environment and `.env`. Raises WrongUse for what is wrong."""
        from config.settings import SettingsError, load

        try:
            settings = load(**self._given)
            _must_be_readable(settings)
        except SettingsError as exc:
            raise WrongUse(str(exc)) from None
        return settings

    def run(self, work: Coroutine[Any, Any, T]) -> T:
        """Run the command's work in an event loop of its own; Ctrl-C ends it with KeyboardInterrupt."""
        import asyncio

        return asyncio.run(work)


def _must_be_readable(settings: "Settings") -> None:
    """Raise WrongUse for a URL that says what its kind does not know; nothing is connected."""
    if settings.bus_kind == "kafka":
        from bus.errors import BusError
        from bus.kafka.address import parse

        try:
            parse(settings.bus_url())
        except BusError as exc:
            raise WrongUse(f"LENDBUS_BUS: {exc}") from None
    if settings.db_kind == "postgresql":
        from sqlalchemy.exc import ArgumentError

        from stores.postgresql_url import parsed
        from tools.assemble import SERVICES

        try:
            for service in SERVICES:
                parsed(settings.store_url(service))
        except (ArgumentError, ValueError) as exc:
            raise WrongUse(f"LENDBUS_DB: {exc}") from None


BUS = Annotated[str | None, typer.Option("--bus", metavar="sqlite|kafka|URL", help="The message bus.", rich_help_panel=PANEL)]
DB = Annotated[str | None, typer.Option("--db", metavar="sqlite|postgresql|URL", help="The stores.", rich_help_panel=PANEL)]
DATA = Annotated[str | None, typer.Option("--data", metavar="DIR", help="Folder of the platform.", rich_help_panel=PANEL)]
AS_JSON = Annotated[bool, typer.Option("--json", help="JSON lines, also on a terminal.", rich_help_panel=PANEL)]
AS_TABLE = Annotated[bool, typer.Option("--table", help="A table, also in a pipe.", rich_help_panel=PANEL)]

_COMMON: dict[str, tuple[Any, Any]] = {
    "bus": (BUS, None),
    "db": (DB, None),
    "data": (DATA, None),
    "as_json": (AS_JSON, False),
    "as_table": (AS_TABLE, False),
}


def with_options(function: Callable[..., int | None]) -> Callable[..., int | None]:
    """The function as Typer takes it: the common options in the place of its first parameter, `options`."""
    hints = get_type_hints(function, include_extras=True)
    first, *own = inspect.signature(function).parameters.values()
    assert first.name == "options", f"{function.__module__}.{function.__qualname__}: the first parameter is `options: Options`"

    @wraps(function)
    def called(**values: Any) -> int | None:
        common = {name: values.pop(name) for name in _COMMON}
        try:
            return function(Options(**common), **values)
        except BrokenPipeError as exc:  # Typer would make a silent 1 of it
            raise NobodyReads from exc

    keyword = inspect.Parameter.KEYWORD_ONLY
    parameters = [p.replace(annotation=hints[p.name], kind=keyword) for p in own]
    parameters += [inspect.Parameter(name, keyword, default=default, annotation=kind) for name, (kind, default) in _COMMON.items()]
    called.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]
    called.__annotations__ = {p.name: p.annotation for p in parameters}
    return called
