#!/usr/bin/env python3
"""Counts the stock of every item from a ledger's event feed, in a file that survives any crash.

    NATS_URL=nats://… LEDGER_URL=http://… LEDGER_KEY=lk_… python3 stock.py TENANT FILE [POSITION]

Needs Python 3.11 and `pip install nats-py`. With a position it ends there; otherwise it follows until Ctrl-C. Prints the
stock and what happened as one line of JSON.

Positions of a tenant are 1, 2, 3 … without gaps, so arithmetic is enough: a position not above the last one is a duplicate
and is dropped, the next one is applied, one further on is a gap and the log is read over HTTP up to it. The effect and its
position are written in one step. When nothing comes for a while, or there is no broker, the log is looked at, because a
broker that lost its newest messages shows no gap.
"""

import asyncio
import contextlib
import json
import os
import signal
import sys
import urllib.error
import urllib.request
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field
from decimal import Decimal
from pathlib import Path
from typing import Any

import nats
import nats.errors
import nats.js.errors
from nats.aio.msg import Msg
from nats.js import JetStreamContext
from nats.js.api import AckPolicy, ConsumerConfig, DeliverPolicy

STREAM = "LEDGER"
DURABLE = "stock-python"
# Events of one page of the log: the most the API gives.
PAGE_EVENTS = 1_000
# Messages fetched, and written, at once.
BATCH = 200
# After so many seconds without a message the log is looked at.
QUIET_SECONDS = 5.0
# A batch that is begun waits so long for more.
LINGER_SECONDS = 0.05
REQUEST_SECONDS = 30.0
PAUSE_SECONDS = 0.2
PAUSE_SECONDS_MAX = 5.0


class Permanent(Exception):
    """Waiting does not mend it."""


@dataclass(frozen=True)
class Event:
    """One fact of the log, whichever way it came."""

    position: int
    data: dict[str, Any]


@dataclass
class Counts:
    """What happened on the way."""

    from_feed: int = 0
    from_log: int = 0
    duplicates: int = 0
    gaps: int = 0
    failures: int = 0


def movements(data: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """Every movement in an event: it is one itself, has one going out and one coming in, or has a list."""
    for one in (data, data.get("outgoing"), data.get("incoming")):
        if one and "sku" in one and "quantity" in one and "value" in one:
            yield one
    yield from data.get("movements", [])


@dataclass
class Store:
    """The effect and the position of the last event in it, kept together in one file."""

    path: Path
    position: int = 0
    stock: dict[str, Decimal] = field(default_factory=dict)

    def load(self) -> None:
        if self.path.exists():
            kept = json.loads(self.path.read_text())
            self.position = kept["position"]
            self.stock = {sku: Decimal(quantity) for sku, quantity in kept["stock"].items()}

    def shown(self) -> dict[str, str]:
        return {sku: str(quantity) for sku, quantity in sorted(self.stock.items())}

    def apply(self, events: list[Event]) -> None:
        """The events follow the position and each other. Written aside, synced, renamed, and the folder synced."""
        if not events:
            return
        for event in events:
            for movement in movements(event.data):
                sku = movement["sku"]
                self.stock[sku] = self.stock.get(sku, Decimal(0)) + Decimal(movement["quantity"])
            self.position = event.position
        aside = self.path.with_name(self.path.name + ".new")
        with aside.open("w") as file:
            json.dump({"position": self.position, "stock": self.shown()}, file)
            file.flush()
            os.fsync(file.fileno())
        aside.replace(self.path)
        folder = os.open(self.path.parent, os.O_RDONLY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)


class Subscriber:
    """Follows one tenant."""

    def __init__(self, nats_url: str, api: str, key: str, tenant: str, store: Store, end: int | None) -> None:
        self.nats_url, self.api, self.key, self.tenant, self.store, self.end = nats_url, api, key, tenant, store, end
        self.counts = Counts()
        self.stop = asyncio.Event()

    def is_done(self) -> bool:
        return self.stop.is_set() or (self.end is not None and self.store.position >= self.end)

    async def run(self) -> None:
        pause = PAUSE_SECONDS
        while not self.is_done():
            before = self.store.position
            try:
                await self.session()
            except (OSError, ValueError, nats.errors.Error, nats.js.errors.Error) as error:
                self.counts.failures += 1
                print(f"following was interrupted: {error!r}", file=sys.stderr)
                # Without the broker the log alone will do.
                try:
                    await self.read_log()
                except OSError as again:
                    print(f"nor can the log be read: {again!r}", file=sys.stderr)
                pause = PAUSE_SECONDS if self.store.position > before else min(pause * 2, PAUSE_SECONDS_MAX)
                if not self.is_done():
                    await asyncio.sleep(pause)

    async def session(self) -> None:
        """From one connection to its end."""
        connection = await nats.connect(
            self.nats_url,
            # The loop above begins again; a first connection is otherwise tried for minutes.
            allow_reconnect=False,
            max_reconnect_attempts=1,
            reconnect_time_wait=0,
            connect_timeout=2,
            error_cb=ignored,
        )
        try:
            feed = connection.jetstream()
            subscription = await self.consumer(feed)
            while not self.is_done():
                try:
                    messages = await subscription.fetch(1, timeout=QUIET_SECONDS)
                except TimeoutError:
                    # A connection that ends while nothing comes looks like quiet.
                    if not connection.is_connected:
                        raise OSError("the connection is lost") from None
                    await self.read_log()
                else:
                    with contextlib.suppress(TimeoutError):
                        messages += await subscription.fetch(BATCH - 1, timeout=LINGER_SECONDS)
                    await self.take(messages)
            await connection.flush()
        finally:
            await connection.close()

    async def consumer(self, feed: JetStreamContext) -> JetStreamContext.PullSubscription:
        """The durable consumer. A new one begins at the stream's first message for a subscriber that has nothing yet."""
        subject = f"ledger.{token(self.tenant)}.>"
        try:
            await feed.consumer_info(STREAM, DURABLE)
            is_known = True
        except nats.js.errors.NotFoundError:
            is_known = False
        policy = DeliverPolicy.ALL if self.store.position == 0 else DeliverPolicy.NEW
        config = None if is_known else ConsumerConfig(ack_policy=AckPolicy.ALL, deliver_policy=policy)
        subscription = await feed.pull_subscribe(subject, durable=DURABLE, stream=STREAM, config=config)
        if not is_known and self.store.position > 0:
            # What came before it is in the log only.
            await self.read_log()
        return subscription

    async def take(self, messages: list[Msg]) -> None:
        """Applies what is new, then acknowledges all of it."""
        new: list[Event] = []
        for message in messages:
            cloud_event = json.loads(message.data)
            position = int(cloud_event["sequence"])
            last = new[-1].position if new else self.store.position
            if position <= last:
                self.counts.duplicates += 1
            elif position == last + 1 and "data" in cloud_event:
                new.append(Event(position, cloud_event["data"]["event"]))
            else:
                # A gap, or an event too large for the broker.
                self.apply_from_feed(new)
                new = []
                if position > last + 1:
                    self.counts.gaps += 1
                while self.store.position < position:
                    before = self.store.position
                    await self.read_page()
                    if self.store.position == before:
                        raise OSError(f"the log ends at {before}, before {position}")
        self.apply_from_feed(new)
        if messages:
            await messages[-1].ack()

    def apply_from_feed(self, events: list[Event]) -> None:
        self.store.apply(events)
        self.counts.from_feed += len(events)

    async def read_log(self) -> None:
        while await self.read_page():
            pass

    async def read_page(self) -> bool:
        """Applies a page of the log; true when there is more."""
        position = self.store.position
        page = await asyncio.to_thread(self.page_after, position)
        events = [Event(event["position"], event["data"]) for event in page["data"]]
        for wanted, event in enumerate(events, position + 1):
            if event.position != wanted:
                raise Permanent(f"the log gave {event.position} where {wanted} belongs")
        self.store.apply(events)
        self.counts.from_log += len(events)
        return bool(page["more"])

    def page_after(self, position: int) -> dict[str, Any]:
        url = f"{self.api}/v1/events?after={position}&limit={PAGE_EVENTS}"
        request = urllib.request.Request(url, headers={"Authorization": f"Bearer {self.key}"})
        try:
            with urllib.request.urlopen(request, timeout=REQUEST_SECONDS) as answer:
                page: dict[str, Any] = json.load(answer)
                return page
        except urllib.error.HTTPError as error:
            if error.code in (408, 429) or error.code >= 500:
                raise
            raise Permanent(f"{error.code} {error.read(300).decode(errors='replace')}") from error


async def ignored(_error: Exception) -> None:
    """The loop sees every failure itself."""


def token(code: str) -> str:
    """A tenant's code as one token of a subject."""
    plain = b"-_"
    return "".join(chr(b) if bytes([b]).isalnum() or b in plain else f"={b:02X}" for b in code.encode())


def named(name: str) -> str:
    value = os.environ.get(name)
    if value is None:
        raise Permanent(f"{name} is not set")
    return value


async def main() -> None:
    if len(sys.argv) not in (3, 4):
        raise Permanent("usage: stock.py TENANT FILE [POSITION]")
    store = Store(Path(sys.argv[2]).absolute())
    store.load()
    end = int(sys.argv[3]) if len(sys.argv) == 4 else None
    api = named("LEDGER_URL").rstrip("/")
    subscriber = Subscriber(named("NATS_URL"), api, named("LEDGER_KEY"), sys.argv[1], store, end)
    asyncio.get_running_loop().add_signal_handler(signal.SIGINT, subscriber.stop.set)
    await subscriber.run()
    print(json.dumps({"position": store.position, "stock": store.shown(), **asdict(subscriber.counts)}))


if __name__ == "__main__":
    try:
        asyncio.run(main())
    except Permanent as error:
        sys.exit(str(error))
