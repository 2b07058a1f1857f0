"""The house rules as tests: who may import whom (DESIGN 7), how long things are (STYLE 1), where a COMMIT may stand."""

import ast
import json
import re
import subprocess
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from functools import cache
from pathlib import Path

import pytest

from config import faults

ROOT = Path(__file__).resolve().parent.parent
ROOMS = ("agents", "bank", "bus", "config", "gateway", "stores", "tools")
FILE_LINES_MAX, FILE_LINES_P50 = 400, 120
FUNCTION_LINES_MAX, FUNCTION_LINES_P50, FUNCTION_LINES_P90 = 70, 7, 25
TESTS_TO_CODE_MIN = 1.2
IMPORT_ALL_S = 120  # the whole fork server, on a busy machine

MONEY = tuple(
    f"agents.repayments.{name}" for name in ("apr", "due_dates", "money", "payment", "penalty", "schedule", "settlement", "shares")
)

PURE_RUNTIME = ("agents.runtime.decision", "agents.runtime.tcc", "agents.runtime.calendar")

BANKS_STORES = tuple(f"stores.{name}" for name in ("actors", "engine", "kinds", "migrate", "runtime", "sqlite", "statement"))

# Module → what of ours it may import; the first row that fits decides. `{own}` is the module's own service.
SEES: tuple[tuple[str, tuple[str, ...]], ...] = (
    ("config.*", ("config.*",)),
    ("agents.runtime.decision", ()),
    ("agents.runtime.canonical*", ("agents.runtime.canonical*",)),
    ("agents.runtime.tcc", ("agents.runtime.decision", "config.*")),
    ("agents.runtime.calendar", ("agents.runtime.decision",)),
    ("agents.runtime.*", ("agents.runtime.*", "bus.*", "stores.*", "config.*", "topics")),
    *((name, (*MONEY, "config.*")) for name in MONEY),
    (
        "agents.*.messages",
        ("agents.*.messages", "agents.runtime.decision", "agents.runtime.calendar", "agents.runtime.canonical*", "config.*"),
    ),
    ("agents.*.model", ("agents.runtime.decision", "agents.runtime.calendar", "agents.runtime.canonical*", "config.*")),
    (
        "agents.*.behaviour*",
        ("agents.*.messages", "{own}.model", "{own}.behaviour*", *MONEY, *PURE_RUNTIME, "config.*"),
    ),
    *((f"agents.custody.{name}", ("{own}.*", "agents.runtime.*", "config.*")) for name in ("bank_answer", "bank_client", "credentials")),
    ("agents.*.agent", ("{own}.*", "agents.*.messages", "agents.runtime.*", "stores.*", "bus.*", "config.*", "topics")),
    ("topics", ("agents.*.messages", "bank.messages", "agents.runtime.decision")),
    ("stores.sqlite", ("config.*",)),
    ("stores.process", ()),
    ("stores.*", ("stores.*", "config.*", "agents.*.model", "agents.runtime.decision", "agents.runtime.calendar")),
    ("bus.*", ("bus.*", "config.*", "stores.sqlite", "stores.process")),
    ("bank.messages", ("agents.runtime.decision", "agents.runtime.messages", "config.*")),
    ("bank.*model", ("config.*",)),
    *(
        (name, ("bank.messages", "bank.*model", "bank.ledger", "bank.execution", "agents.runtime.decision", "config.*"))
        for name in ("bank.*behaviour", "bank.execution", "bank.ledger")
    ),
    ("bank.*", ("bank.*", "config.*", "topics", "bus.*", "agents.runtime.*", *BANKS_STORES)),
    ("gateway.*", ("*",)),
    ("tools.*", ("*",)),
)
PURE_BANK = ("bank.*behaviour", "bank.*model", "bank.messages", "bank.execution", "bank.ledger")
PURE = ("agents.*.behaviour*", "agents.*.model", "agents.*.messages", *PURE_RUNTIME, *MONEY, *PURE_BANK)
IMPURE = frozenset(
    {
        "aiohttp",
        "aiokafka",
        "aiosqlite",
        "asyncio",
        "faust",
        "io",
        "logging",
        "os",
        "pathlib",
        "random",
        "secrets",
        "shutil",
        "socket",
        "sqlalchemy",
        "sqlite3",
        "structlog",
        "subprocess",
        "sys",
        "threading",
        "time",
    }
)

# Calls that change something durable, or say so. Each stands inside `with faults.around(…)`, or in the wrapper named here.
DURABLE_CALLS: dict[str, frozenset[str]] = {
    "ack": frozenset(),
    "commit": frozenset({"tools/bench/wire.py"}),  # a bench has no faults
    "executescript": frozenset(),
    "send_and_wait": frozenset(),
    "send_batch": frozenset({"tools/bench/wire.py"}),
}
SCHEMA = "stores/migrate.py"  # one transaction before anything else runs, done again when it did not end
COMMIT_HOMES = frozenset({"stores/sqlite.py", "stores/postgresql.py", SCHEMA})
BUS_APPEND_FREE = ("bus/", "tools/")  # the bus wraps its own transactions; benches and soaks are no part of a platform

PRELOAD = (
    "aiohttp.web aiokafka aiokafka.admin alembic alembic.command argon2 asyncpg cryptography faust faust.tables.manager "
    "faust.transport.drivers.aiokafka hypothesis prometheus_client pydantic_settings rich.table sqlalchemy.ext.asyncio "
    "sqlalchemy.dialects.postgresql.asyncpg sqlalchemy.dialects.sqlite.aiosqlite stamina structlog typer.main uvloop"
)
FORK_SERVER = """
import importlib, json, os, sys, traceback
preload, modules = sys.argv[1].split(), sys.argv[2].split()
for name in preload:
    importlib.import_module(name)
failed = {}
for name in modules:
    reader, writer = os.pipe()
    if (child := os.fork()) == 0:
        try:
            importlib.import_module(name)
        except BaseException:
            os.write(writer, traceback.format_exc()[-4000:].encode())
            os._exit(1)
        os._exit(0)
    os.close(writer)
    with os.fdopen(reader, 'rb') as pipe:
        said = pipe.read().decode()
    if os.waitpid(child, 0)[1]:
        failed[name] = said
print(json.dumps(failed))
"""


@dataclass(frozen=True)
class Source:
    """One Python file of ours."""

    path: Path
    tree: ast.Module
    lines: int

    @property
    def name(self) -> str:
        """Its path from the root, as messages show it."""
        return self.path.relative_to(ROOT).as_posix()

    @property
    def module(self) -> str:
        """The name that imports it."""
        return self.name.removesuffix(".py").removesuffix("/__init__").replace("/", ".")


@cache
def sources(*rooms: str) -> tuple[Source, ...]:
    """Every Python file below these rooms, sorted; `topics.py` belongs to the product."""
    paths = [path for room in rooms for path in (ROOT / room).rglob("*.py")]
    if rooms == ROOMS and (ROOT / "topics.py").exists():
        paths.append(ROOT / "topics.py")
    return tuple(Source(p, ast.parse(text := p.read_text()), len(text.splitlines())) for p in sorted(paths))


def product() -> tuple[Source, ...]:
    """What is shipped."""
    return sources(*ROOMS)


def proof() -> tuple[Source, ...]:
    """What holds it."""
    return sources("tests")


def ours() -> frozenset[str]:
    """Every module name of the product."""
    return frozenset(source.module for source in product())


def imported(source: Source) -> Iterator[tuple[int, str]]:
    """Every module that the file names in an import, with its line; `from package import module` names the module."""
    for node in ast.walk(source.tree):
        if isinstance(node, ast.Import):
            yield from ((node.lineno, alias.name) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert not node.level, f"{source.name}:{node.lineno}: relative import"
            base = node.module or ""
            yield from ((node.lineno, full if (full := f"{base}.{alias.name}") in ours() else base) for alias in node.names)


def fits(module: str, pattern: str) -> bool:
    """`bus.*` is the package and everything in it."""
    return fnmatchcase(module, pattern) or (pattern.endswith(".*") and module == pattern[:-2])


def may_see(module: str) -> tuple[str, ...]:
    """What the table lets a module import; fails for a module that no row speaks of."""
    for pattern, allowed in SEES:
        if fits(module, pattern):
            own = ".".join(module.split(".")[:2])
            return tuple(each.replace("{own}", own) for each in allowed)
    raise AssertionError(f"no row of SEES says what {module} may import")


def functions(source: Source) -> Iterator[ast.FunctionDef | ast.AsyncFunctionDef]:
    """Every function and method of a file."""
    return (node for node in ast.walk(source.tree) if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef))


def length(node: ast.FunctionDef | ast.AsyncFunctionDef) -> int:
    """Lines from `def` to the last one, the docstring left out: a sentence of promise makes no function longer."""
    assert node.end_lineno is not None
    first = node.body[0]
    docstring = first if ast.get_docstring(node) is not None else None
    said = (docstring.end_lineno or docstring.lineno) - docstring.lineno + 1 if docstring else 0
    return node.end_lineno - node.lineno + 1 - said


def percentile(values: Sequence[int], part: float) -> int:
    """The value that `part` of the sorted values do not exceed."""
    return sorted(values)[min(len(values) - 1, int(len(values) * part))] if values else 0


def complain(found: Sequence[str]) -> None:
    """Fail with every finding on a line of its own."""
    assert not found, "\n" + "\n".join(found)


def test_imports_go_one_way() -> None:
    complain(
        [
            f"{source.name}:{line}: {source.module} must not import {name}"
            for source in product()
            if source.lines
            for line, name in imported(source)
            if name.split(".")[0] in (*ROOMS, "topics") and name != source.module
            if not any(fits(name, allowed) for allowed in may_see(source.module))
        ]
    )


def test_behaviours_models_and_messages_know_no_clock_no_chance_and_no_outside() -> None:
    complain(
        [
            f"{source.name}:{line}: imports {name}"
            for source in product()
            if any(fits(source.module, pattern) for pattern in PURE)
            for line, name in imported(source)
            if name.split(".")[0] in IMPURE
        ]
    )


def test_the_product_imports_no_test() -> None:
    complain([f"{s.name}:{line}" for s in product() for line, name in imported(s) if name.split(".")[0] == "tests"])


@pytest.mark.timeout(IMPORT_ALL_S + 30)
def test_every_module_can_be_imported_alone_and_first() -> None:
    """A fork of an interpreter that has loaded only other people's libraries imports each module, and nothing before it."""
    modules = [s.module for s in product() if "/migrations/" not in s.name]
    command = [sys.executable, "-c", FORK_SERVER, PRELOAD, " ".join(modules)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=IMPORT_ALL_S, check=True)
    failed: dict[str, str] = json.loads(done.stdout.splitlines()[-1])
    complain([f"{name}:\n{said}" for name, said in failed.items()])


def test_files_and_functions_are_short(capsys: pytest.CaptureFixture[str]) -> None:
    files = [s.lines for s in product() if s.lines]
    written = [s for s in (*product(), *proof()) if "/migrations/" not in s.name]  # a migration is a list of columns
    lengths = [length(node) for s in product() for node in functions(s) if s in written]
    with capsys.disabled():
        print("\n              p50   p90   max     n")
        for name, values in (("file lines", files), ("function", lengths)):
            print(f"{name:12}{percentile(values, 0.5):5} {percentile(values, 0.9):5} {max(values):5} {len(values):5}")
    complain([f"{s.name}: {s.lines} lines" for s in (*product(), *proof()) if s.lines > FILE_LINES_MAX])
    complain([f"{s.name}:{n.lineno}: {n.name} is long" for s in written for n in functions(s) if length(n) > FUNCTION_LINES_MAX])
    assert percentile(files, 0.5) <= FILE_LINES_P50
    assert percentile(lengths, 0.5) <= FUNCTION_LINES_P50
    assert percentile(lengths, 0.9) <= FUNCTION_LINES_P90


def test_there_are_as_many_lines_of_test_as_promised(capsys: pytest.CaptureFixture[str]) -> None:
    code, held = sum(s.lines for s in product()), sum(s.lines for s in proof())
    with capsys.disabled():
        print(f"\ntests : code = {held} : {code} = {held / code:.2f}")
    assert held / code >= TESTS_TO_CODE_MIN


def test_the_agents_packages_are_empty() -> None:
    complain([str(path) for path in (ROOT / "agents").rglob("__init__.py") if path.read_bytes()])


def test_nothing_is_called_utils_or_manager() -> None:
    vague = re.compile(r"(^|[._])(utils?|helpers?|managers?)($|[._])|(Utils?|Helpers?|Manager)$")
    defined = ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef
    complain([s.name for s in product() if vague.search(s.module)])
    complain([f"{s.name}: {n.name}" for s in product() for n in ast.walk(s.tree) if isinstance(n, defined) and vague.search(n.name)])


def swallows(handler: ast.ExceptHandler) -> bool:
    """Whether it catches everything and says nothing."""
    everything = handler.type is None or (isinstance(handler.type, ast.Name) and handler.type.id in ("Exception", "BaseException"))
    silent = all(
        isinstance(s, ast.Pass | ast.Continue) or (isinstance(s, ast.Expr) and isinstance(s.value, ast.Constant)) for s in handler.body
    )
    return everything and silent


def test_no_error_is_swallowed() -> None:
    for source in product():
        handlers = [node for node in ast.walk(source.tree) if isinstance(node, ast.ExceptHandler)]
        complain([f"{source.name}:{node.lineno}" for node in handlers if swallows(node)])
        assert not re.search(r"suppress\((Base)?Exception\)", ast.unparse(source.tree)), source.name


def test_every_module_and_public_name_says_what_it_promises() -> None:
    named = ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef
    for source in product():
        if not source.lines or "/migrations/" in source.name:
            continue
        assert ast.get_docstring(source.tree), f"{source.name} says nothing"
        public = [node for node in source.tree.body if isinstance(node, named) and not node.name.startswith("_")]
        if source.name.endswith("/behaviour.py"):  # its docstring draws the machine, a transition is named by what happens (STYLE 3)
            public = [node for node in public if node.name == "behave"]
        complain([f"{source.name}:{node.lineno}: {node.name}" for node in public if not ast.get_docstring(node)])


def outside_fault_wrappers(node: ast.AST, *, inside: bool = False) -> Iterator[ast.AST]:
    """Every node that does not stand in the body of a `with faults.around(…)`."""
    if isinstance(node, ast.With | ast.AsyncWith):
        inside = inside or any(ast.unparse(item.context_expr).startswith(("faults.around(", "around(")) for item in node.items)
    if not inside:
        yield node
    for child in ast.iter_child_nodes(node):
        yield from outside_fault_wrappers(child, inside=inside)


def durable(source: Source, node: ast.AST) -> bool:
    """Whether the node is a COMMIT, or a call of the table above, where it has no business."""
    if isinstance(node, ast.Constant) and isinstance(node.value, str):
        return source.name != SCHEMA and node.value.strip(" ;\n").upper() in ("COMMIT", "END", "COMMIT TRANSACTION", "END TRANSACTION")
    if isinstance(node, ast.Await) and isinstance(node.value, ast.Call) and ast.unparse(node.value.func).endswith(".append"):
        return not source.name.startswith(BUS_APPEND_FREE)  # nothing but a bus has an append that is awaited
    if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute):
        homes = DURABLE_CALLS.get(node.func.attr)
        return homes is not None and source.name not in homes
    return False


def test_what_is_durable_happens_only_between_two_fault_points() -> None:
    found = [(source, node) for source in product() for node in outside_fault_wrappers(source.tree) if durable(source, node)]
    complain([f"{s.name}:{getattr(node, 'lineno', 0)}: {ast.unparse(node)} outside faults.around" for s, node in found])


@pytest.mark.parametrize(
    "text", ["c.execute('COMMIT')", "c.execute(' commit;')", "event.ack()", "connection.commit()", "await bus.append(rows)"]
)
def test_what_is_durable_is_found_outside_a_wrapper_and_let_be_inside(text: str) -> None:
    def found(body: str) -> list[ast.AST]:
        tree = ast.parse(f"async def f():\n{body}")
        source = Source(ROOT / "agents" / "runtime" / "loop.py", tree, 2)
        return [node for node in outside_fault_wrappers(tree) if durable(source, node)]

    assert found(f"    {text}")
    assert not found(f"    with faults.around('loop.commit'):\n        {text}")


def test_a_commit_stands_in_its_wrapper_only() -> None:
    for source in product():
        commits = [n for n in ast.walk(source.tree) if isinstance(n, ast.Constant) and n.value == "COMMIT"]
        assert not commits or source.name in COMMIT_HOMES, source.name


def test_every_declared_fault_operation_is_wrapped_around_something() -> None:
    texts = {n.value for s in product() if s.name != "config/faults.py" for n in ast.walk(s.tree) if isinstance(n, ast.Constant)}
    complain([f"{name} is declared and never used" for name in faults.OPERATIONS if name not in texts])
    assert len(faults.points()) >= 25


def test_no_tracked_file_names_a_machine_or_a_registry() -> None:
    private = [
        r"/wo" + r"rk/",
        r"/ro" + r"ot\b",
        r"/ho" + r"me/\w",
        r"py" + r"pi\.org",
        r"npm" + r"js\.org",
        r"maven\." + r"org",
        r"gol" + r"ang\.org",
    ]
    listed = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, check=True).stdout.decode().split("\0")
    for name in filter(None, listed):
        path = ROOT / name
        if path.is_file():
            found = re.findall("|".join(private), path.read_bytes().decode(errors="replace"))
            assert not found, f"{name} names {found[0]}"
