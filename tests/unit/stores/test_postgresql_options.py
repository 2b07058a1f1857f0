"""What a PostgreSQL store's URL may say, and what the driver is told of it."""

import ssl
from pathlib import Path

import pytest

from stores.engine import StoreAway, StoreRefused
from stores.postgresql_errors import translated
from stores.postgresql_url import NAME_BYTES_MAX, connect_arguments, engine_url, parsed

URL = "postgresql+asyncpg://u:p@db:5433/lend_users"


@pytest.mark.parametrize("option", ["sslmode", "ssl"])
def test_the_mode_of_tls_goes_to_the_pool_and_to_engines_as_the_driver_calls_it(option: str) -> None:
    arguments = connect_arguments(f"{URL}?{option}=require&target_session_attrs=primary", {"a": "b"})
    assert arguments == {
        "host": "db",
        "port": 5433,
        "user": "u",
        "password": "p",
        "database": "lend_users",
        "target_session_attrs": "primary",
        "ssl": "require",
        "server_settings": {"a": "b"},
    }
    assert engine_url(f"{URL}?{option}=require").query == {"ssl": "require"}


def test_a_certificate_s_file_goes_as_a_url_that_the_driver_reads(tmp_path: Path) -> None:
    ca = tmp_path / "our ca.crt"
    ca.touch()
    query = engine_url(f"{URL}?sslmode=verify-full&sslrootcert={ca}").query
    assert query == {"dsn": f"postgresql://?sslmode=verify-full&sslrootcert={str(ca).replace('/', '%2F').replace(' ', '+')}"}


def test_a_url_without_options_stays_as_it_is() -> None:
    assert not {"dsn", "ssl"} & set(connect_arguments(URL, {})) and not engine_url(URL).query


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ("nope=1", "option 'nope' is not known here: say sslmode"),
        ("application_name=x", "option 'application_name' is not known here"),
        ("sslmode=on", "sslmode=on is not one of disable"),
        ("ssl=true", "sslmode=true is not one of disable"),
        ("sslmode=require&ssl=require", "mean the same"),
        ("sslmode=require&sslmode=disable", "'sslmode' is there twice"),
        ("sslmode=verify-full&sslrootcert=no/such", "'no/such', which is no file that can be read"),
        (f"sslrootcert={__file__}", "only looked at with sslmode=require or verify-ca or verify-full"),
    ],
)
def test_an_option_that_cannot_be_meant_is_said(options: str, says: str) -> None:
    with pytest.raises(ValueError, match=says):
        parsed(f"{URL}?{options}")


@pytest.mark.parametrize("name", ["x" * 64, "é" * 32])
def test_a_name_that_the_server_would_cut_is_refused(name: str) -> None:
    assert parsed(f"postgresql://h/{name[: NAME_BYTES_MAX // len(name[0].encode())]}").database
    with pytest.raises(ValueError, match=r"would cut the database's name at 63 bytes, and '.*' has 64: choose a shorter one"):
        parsed(f"postgresql://h/{name}")


def test_a_certificate_that_does_not_hold_is_no_server_that_is_away(tmp_path: Path) -> None:
    wrong = ssl.SSLCertVerificationError(1, "[SSL: CERTIFICATE_VERIFY_FAILED] certificate verify failed: self-signed certificate")
    assert isinstance(translated(wrong, closed=True), StoreRefused)
    (tmp_path / "ca.crt").write_text("no certificate")
    with pytest.raises(ssl.SSLError) as no_pem:
        ssl.create_default_context(cafile=str(tmp_path / "ca.crt"))
    assert isinstance(translated(no_pem.value, closed=True), StoreRefused)


@pytest.mark.parametrize(
    "passes",
    [ssl.SSLEOFError(8, "EOF occurred in violation of protocol"), ConnectionResetError("reset"), TimeoutError(), FileNotFoundError(2, "x")],
)
def test_a_handshake_that_was_cut_off_is_a_server_that_is_away(passes: OSError) -> None:
    assert isinstance(translated(passes, closed=True), StoreAway)
