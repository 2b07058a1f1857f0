"""What is installed: the wheel holds every tracked file of the product, and the names by which others find it."""

import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
SHIPPED = ("agents", "bank", "bus", "config", "gateway", "stores", "tools", "topics.py")


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> zipfile.ZipFile:
    folder = tmp_path_factory.mktemp("wheel")
    subprocess.run([sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", folder], cwd=ROOT, check=True, capture_output=True)
    (path,) = folder.glob("lendbus-*.whl")
    return zipfile.ZipFile(path)


def test_the_wheel_holds_every_tracked_file_of_the_product(wheel: zipfile.ZipFile) -> None:
    listed = subprocess.run(["git", "ls-files", "-z", *SHIPPED], cwd=ROOT, capture_output=True, check=True).stdout.decode().split("\0")
    tracked = {name for name in listed if name and (ROOT / name).exists()}
    assert tracked <= set(wheel.namelist())


def test_the_wheel_holds_nothing_else_of_ours(wheel: zipfile.ZipFile) -> None:
    tops = {name.split("/")[0] for name in wheel.namelist()}
    assert {top for top in tops if not top.endswith(".dist-info")} <= set(SHIPPED)


def test_the_wheel_brings_the_command_and_both_transports(wheel: zipfile.ZipFile) -> None:
    (name,) = (name for name in wheel.namelist() if name.endswith("entry_points.txt"))
    said = wheel.read(name).decode()
    assert "[console_scripts]\nlendbus = tools.cli:main" in said
    assert "sqlite = bus.sqlite.transport:Transport" in said and "lendbus-kafka = bus.kafka.transport:Transport" in said
