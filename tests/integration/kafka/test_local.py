"""The local broker as tests and developers have it: on free ports and in temporary folders, hurt and started again."""

import os
import select
import subprocess
import sys
from pathlib import Path

import pytest

from bus.kafka.local import launch
from bus.kafka.local.answering import ask
from bus.kafka.local.errors import BrokerFailed, Unfit
from bus.kafka.local.place import Place
from tests.kafka_server import ROOT, Broker, kit, needed

ENDED_S = 30.0
SILENT_S = 0.5  # a broker that is frozen is asked for so long


async def test_the_shared_broker_answers_with_its_coordinator(kafka_server: str) -> None:
    answer = await ask(kafka_server)
    assert answer is not None and answer.cluster


def test_each_test_has_a_namespace_of_its_own(kafka_server: str, kafka_url: str) -> None:
    assert kafka_url.startswith(f"kafka://{kafka_server}/t")


@pytest.mark.campaign
@pytest.mark.timeout(300)
async def test_a_broker_is_hurt_in_every_way_and_has_its_records_and_port_again(kafka_broker: Broker) -> None:
    await kafka_broker.start()
    first = await ask(kafka_broker.address)
    assert first is not None

    kafka_broker.freeze()
    assert await ask(kafka_broker.address, SILENT_S) is None
    kafka_broker.thaw()
    assert await ask(kafka_broker.address) == first

    await kafka_broker.kill()
    assert await ask(kafka_broker.address) is None
    await kafka_broker.start()
    assert await ask(kafka_broker.address) == first

    await kafka_broker.stop()
    assert kafka_broker.place.noted() is None
    await kafka_broker.renew()
    renewed = await ask(kafka_broker.address)
    assert renewed is not None and renewed.cluster != first.cluster


def test_a_port_in_use_is_said_before_anything_is_made(kafka_server: str, tmp_path_factory: pytest.TempPathFactory) -> None:
    place = Place(tmp_path_factory.mktemp("used") / "kafka")
    place.make()
    port = int(kafka_server.rpartition(":")[2])
    with pytest.raises(Unfit, match=f"port {port} of 127.0.0.1 is in use"):
        launch.start(place, *kit(), port=port)
    assert place.noted() is None and place.formatted_as() is None


@pytest.mark.campaign
@pytest.mark.timeout(120)
async def test_a_broker_that_ends_at_its_start_is_explained_by_its_log(kafka_broker: Broker) -> None:
    place = kafka_broker.place
    place.make()
    (place.records / "meta.properties").write_text("version=1\nnode.id=7\ncluster.id=OF-ANOTHER-CLUSTER1234\n")
    with pytest.raises(BrokerFailed, match=r"the broker ended while it started: .*Stored node id 7.*its log is"):
        await kafka_broker.start()
    assert place.noted() is None
    kafka_broker.running = None


def test_the_records_of_another_cluster_are_not_touched(kafka_broker: Broker) -> None:
    place = kafka_broker.place
    place.make()
    (place.folder / "cluster.id").write_text("OURS\n")
    (place.records / "meta.properties").write_text("version=1\ncluster.id=THEIRS\n")
    with pytest.raises(BrokerFailed, match=r"holds the records of cluster THEIRS, and .* says OURS"):
        launch.start(place, *kit(), port=0)
    assert place.noted() is None


@pytest.mark.campaign
@pytest.mark.timeout(120)
def test_a_session_that_is_killed_takes_its_broker_with_it(tmp_path: Path) -> None:
    script = (
        "import asyncio, sys; from pathlib import Path; from tests.kafka_server import Broker\n"
        "broker = Broker(Path(sys.argv[1])); asyncio.run(broker.begin()); print(broker.running.pid, flush=True); sys.stdin.read()"
    )
    needed()
    with subprocess.Popen(
        [sys.executable, "-c", script, tmp_path], cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as session:
        assert session.stdout is not None
        broker = os.pidfd_open(int(session.stdout.readline()))
        session.kill()
    try:
        assert select.select([broker], [], [], ENDED_S)[0], "the broker lives on"
    finally:
        os.close(broker)
