"""`lendbus settings`: what the platform is told to do; passwords inside URLs are not shown."""

from tools.options import Options
from tools.output import Column

COLUMNS = (Column("name", fixed=True), Column("value"), Column("default"), Column("variable", fixed=True), Column("description"))


def command(options: Options) -> None:
    """Every setting: its value, its default, its environment variable, and what it is."""
    options.out.rows([row._asdict() for row in options.settings.rows()], COLUMNS, empty="there are no settings")
