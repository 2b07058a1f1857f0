"""Which bodies are read at all."""

import pytest

from agents.runtime.http.bodies import BODY_S_MAX, refuse_content_type, refuse_encoding
from agents.runtime.http.problems import Problem
from config.settings import Settings


@pytest.mark.parametrize(
    "value", ["application/json", " application/json ", "APPLICATION/JSON;charset=utf-8", 'application/json ; charset="UTF-8" ']
)
def test_json_in_utf8_is_read(value: str) -> None:
    refuse_content_type([value])


@pytest.mark.parametrize("values", [
    [], [""], ["application/json", "application/json"], ["text/json"], ["application/json,text/plain"],
    ["application/json; charset=latin-1"], ["multipart/form-data"],
    ["application/json; charset=utf-8; charset=utf-16"], ["application/problem+json"], ["application/jsonx"],
])  # fmt: skip
def test_anything_else_is_not(values: list[str]) -> None:
    with pytest.raises(Problem) as refused:
        refuse_content_type(values)
    assert (refused.value.status, refused.value.errors[0].header) == (415, "Content-Type")


@pytest.mark.parametrize("values", [[], [""], ["identity"], ["Identity "]])
def test_a_plain_body_is_read(values: list[str]) -> None:
    refuse_encoding(values)


@pytest.mark.parametrize("values", [["gzip"], ["identity, gzip"], ["identity", "br"], ["x"]])
def test_a_packed_body_is_not_opened(values: list[str]) -> None:
    with pytest.raises(Problem) as refused:
        refuse_encoding(values)
    assert (refused.value.status, refused.value.headers["Accept-Encoding"]) == (415, "identity")


def test_the_slowest_body_fits_into_a_graceful_stop() -> None:
    assert Settings.model_fields["stop_timeout_ms"].default * 0.9 > BODY_S_MAX * 1000
