"""The option `--port` of the commands that listen."""

from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from config.settings import Settings

PORT = Annotated[int | None, typer.Option("--port", min=0, max=65535, help="Port of the gateway; 0 takes a free one.")]


def with_port(settings: "Settings", port: int | None) -> "Settings":
    """The settings with the port that the command line says, if it says one."""
    return settings if port is None else settings.model_copy(update={"port": port})
