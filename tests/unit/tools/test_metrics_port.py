"""Metrics have a port of their own, on loopback, only when somebody asks for it."""

import urllib.request

import pytest

from agents.runtime import metrics
from tools.metrics_port import serving_metrics
from tools.output import WrongUse


def test_without_a_port_nothing_is_served() -> None:
    with serving_metrics(None) as where:
        assert where is None


def test_what_the_runtime_counts_can_be_read_from_the_port() -> None:
    metrics.HANDLED.labels("port-test").inc(3)
    with serving_metrics(0) as where:
        assert where is not None and where.startswith("http://127.0.0.1:")
        with urllib.request.urlopen(where, timeout=5) as answer:
            text = answer.read().decode()
    assert 'lendbus_messages_handled_total{service="port-test"} 3.0' in text


def test_a_busy_port_is_a_sentence_and_not_a_traceback() -> None:
    with serving_metrics(0) as where:
        assert where is not None
        port = int(where.rpartition(":")[2].partition("/")[0])
        with pytest.raises(WrongUse, match=f"port {port}.*LENDBUS_METRICS_PORT"), serving_metrics(port):
            pass


def test_the_port_is_free_again_afterwards() -> None:
    with serving_metrics(0) as where:
        assert where is not None
        port = int(where.rpartition(":")[2].partition("/")[0])
    with serving_metrics(port) as again:
        assert again == where
