"""`lendbus bench loop`: messages of 191 bytes through the whole loop, against the same SQL by raw sqlite3 in the same run.

Included: decode, inbox, load, behave, save, outbox, relay, append, delete, position, ack, group offset, all at FULL.
Not included: making and appending the input, and the start of the worker: the clock runs from the first run that has
reached the far side to the last.
"""

import asyncio
import os
import shutil
import tempfile
import time
from pathlib import Path

from agents.runtime.worker import Worker
from bus.connect import connect
from tools.bench.bare import Recording
from tools.bench.load import chunks, messages, surroundings
from tools.bench.place import Place, here
from tools.bench.report import Report, conditions
from tools.bench.service import METADATA, SECOND, TOPICS, house

BATCHES = (64, 500)
WARM_UP = 1_000
LOOK_EVERY_S = 0.03
RATIO_BAR = 0.60
BARE_BAR = 10_000  # msg/s at 64; a bare side slower than this does not count


async def run(count: int, rounds: int) -> Report:
    """Both sides, `rounds` times each in turn, at each batch size; medians."""
    report = Report("loop", {**conditions(), "messages": count, "value_bytes": 191, "rounds": rounds, "actors": count // 10})
    with tempfile.TemporaryDirectory(prefix="lendbus-bench-") as name:
        await _round(Path(name), WARM_UP, BATCHES[0])  # imports and caches
    for batch in BATCHES:
        ours, bare = [], []
        for _ in range(rounds):
            with tempfile.TemporaryDirectory(prefix="lendbus-bench-") as name:
                seconds_ours, seconds_bare = await _round(Path(name), count, batch)
            ours.append(count / seconds_ours)
            bare.append(count / seconds_bare)
        middle_ours, middle_bare = sorted(ours)[rounds // 2], sorted(bare)[rounds // 2]
        report.figure(f"loop at {batch}, msg/s", round(middle_ours))
        report.figure(f"bare sqlite3 at {batch}, msg/s", round(middle_bare))
        report.bar(f"loop / bare at {batch}", round(middle_ours / middle_bare, 3), RATIO_BAR, at_least=True)
        if batch == BATCHES[0]:
            report.bar(f"bare sqlite3 at {batch}, msg/s", round(middle_bare), BARE_BAR, at_least=True)
    return report


async def _round(folder: Path, count: int, batch: int) -> tuple[float, float]:
    """One run of the loop unrecorded, and one replay of the same run's recording on fresh copies."""
    ours, again, copies = folder / "ours", folder / "again", folder / "bare"
    ours.mkdir()
    await _fill(here(ours), count)
    shutil.copytree(ours, again)
    shutil.copytree(ours, copies)
    os.sync()  # what was copied is not written back while somebody is measured
    seconds = await _drain(here(ours), count, batch)
    recording = Recording()
    with recording.running():
        await _drain(here(again), count, batch)
    os.sync()
    files = {again / name: copies / name for name in ("bus.db", "first.db")}
    return seconds, await asyncio.to_thread(recording.replay, files)


async def _fill(place: Place, count: int) -> None:
    await asyncio.to_thread(place.make_store, "first", METADATA)
    bus = connect(place.bus_url)
    await bus.open()
    await bus.declare(place.topics(TOPICS))
    for rows in chunks(messages(count, count // 10), 500):
        await bus.append(rows)
    await bus.close()


async def _drain(place: Place, count: int, batch: int) -> float:
    bus = connect(place.bus_url)
    await bus.open()
    worker = Worker(house(1), surroundings(place, "first", batch))
    await worker.start()
    running = asyncio.ensure_future(worker.watch())
    first, began = 0, 0.0
    while (there := (await bus.ends(SECOND))[0][1]) < count:
        if there and not first:
            first, began = there, time.perf_counter()
        await asyncio.sleep(LOOK_EVERY_S)  # to be woken by each append would be work on the measured side
        if running.done():
            running.result()
    seconds = (time.perf_counter() - began) * count / (count - first)
    worker.request_stop()
    await running
    await worker.stop()
    await bus.close()
    return seconds
