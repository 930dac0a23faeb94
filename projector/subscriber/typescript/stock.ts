// Counts the stock of every item from a ledger's event feed, in a file that survives any crash.
//
//     NATS_URL=nats://… LEDGER_URL=http://… LEDGER_KEY=lk_… node dist/stock.js TENANT FILE [POSITION]
//
// With a position it ends there; otherwise it follows until some seconds after Ctrl-C. Prints the stock and what happened as one line of JSON.
//
// Positions of a tenant are 1, 2, 3 … without gaps, so arithmetic is enough: a position not above the last one is a
// duplicate and is dropped, the next one is applied, one further on is a gap and the log is read over HTTP up to it. The
// effect and its position are written in one step. When nothing comes for a while, or there is no broker, the log is
// looked at, because a broker that lost its newest messages shows no gap.

import { open, readFile, rename } from "node:fs/promises";
import { dirname } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { AckPolicy, DeliverPolicy, jetstream, jetstreamManager, type Consumer, type JsMsg } from "@nats-io/jetstream";
import { connect } from "@nats-io/transport-node";

const STREAM = "LEDGER";
const DURABLE = "stock-typescript";
/** Events of one page of the log: the most the API gives. */
const PAGE_EVENTS = 1_000;
/** Messages written at once. */
const BATCH = 200;
/** After so many milliseconds without a message the log is looked at. */
const QUIET_MS = 5_000;
/** A batch that is begun waits so many milliseconds for more. */
const LINGER_MS = 20;
const REQUEST_TIME_MS = 30_000;
const PAUSE_MS = 200;
const PAUSE_MS_MAX = 5_000;

interface Movement {
  sku: string;
  quantity: string;
  value: string;
}

/** What the fact says: a movement itself, one out and one in, a list of them, or something else. */
interface Data extends Partial<Movement> {
  outgoing?: Movement;
  incoming?: Movement;
  movements?: Movement[];
}

interface LoggedEvent {
  position: number;
  data: Data;
}

/** As published: CloudEvents 1.0.2, structured JSON. `data` is absent where the event was too large for the broker. */
interface CloudEvent {
  sequence: string;
  data?: { event: Data };
}

/** Waiting does not mend it. */
class Permanent extends Error {}

/** The sum of two decimal strings, exactly. */
export function add(left: string, right: string): string {
  const scale = Math.max(decimals(left), decimals(right));
  const sum = units(left, scale) + units(right, scale);
  const digits = (sum < 0n ? -sum : sum).toString().padStart(scale + 1, "0");
  const point = digits.length - scale;
  const text = scale === 0 ? digits : `${digits.slice(0, point)}.${digits.slice(point)}`;
  return sum < 0n ? `-${text}` : text;
}

const decimals = (text: string): number => text.split(".")[1]?.length ?? 0;
const units = (text: string, scale: number): bigint => {
  const [whole = "0", part = ""] = text.split(".");
  return BigInt(whole + part.padEnd(scale, "0"));
};

function movements(data: Data): Movement[] {
  const self = data.sku !== undefined && data.quantity !== undefined && data.value !== undefined ? [data as Movement] : [];
  const pair = [data.outgoing, data.incoming].filter((one) => one !== undefined);
  return [...self, ...pair, ...(data.movements ?? [])];
}

/** The effect and the position of the last event in it, kept together in one file. */
class Store {
  position = 0;
  stock: Record<string, string> = {};

  constructor(private readonly path: string) {}

  async load(): Promise<void> {
    try {
      const kept = JSON.parse(await readFile(this.path, "utf8")) as { position: number; stock: Record<string, string> };
      this.position = kept.position;
      this.stock = kept.stock;
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== "ENOENT") throw new Permanent(String(error));
    }
  }

  /** The events follow the position and each other. Written aside, synced, renamed, and the folder synced. */
  async apply(events: LoggedEvent[]): Promise<void> {
    if (events.length === 0) return;
    for (const event of events) {
      for (const { sku, quantity } of movements(event.data)) this.stock[sku] = add(this.stock[sku] ?? "0", quantity);
      this.position = event.position;
    }
    const file = await open(`${this.path}.new`, "w");
    await file.writeFile(JSON.stringify({ position: this.position, stock: this.stock }));
    await file.sync();
    await file.close();
    await rename(`${this.path}.new`, this.path);
    const folder = await open(dirname(this.path), "r");
    await folder.sync();
    await folder.close();
  }
}

class Subscriber {
  readonly counts = { from_feed: 0, from_log: 0, duplicates: 0, gaps: 0, failures: 0 };

  constructor(
    private readonly nats: URL,
    private readonly api: string,
    private readonly key: string,
    private readonly tenant: string,
    private readonly store: Store,
    private readonly stop: AbortSignal,
    private readonly end: number | undefined,
  ) {}

  get isDone(): boolean {
    return this.stop.aborted || (this.end !== undefined && this.store.position >= this.end);
  }

  async run(): Promise<void> {
    let pause = PAUSE_MS;
    while (!this.isDone) {
      const before = this.store.position;
      try {
        await this.session();
      } catch (error) {
        if (error instanceof Permanent) throw error;
        this.counts.failures += 1;
        console.error(`following was interrupted: ${String(error)}`);
        // Without the broker the log alone will do.
        await this.readLog().catch((again: unknown) => {
          if (again instanceof Permanent) throw again;
        });
        pause = this.store.position > before ? PAUSE_MS : Math.min(pause * 2, PAUSE_MS_MAX);
        if (!this.isDone) await sleep(pause);
      }
    }
  }

  /** From one connection to its end. */
  private async session(): Promise<void> {
    const { hostname, port, username, password } = this.nats;
    const account = username === "" ? {} : { user: decodeURIComponent(username), pass: decodeURIComponent(password) };
    const connection = await connect({ servers: `${hostname}:${port || "4222"}`, ...account, reconnect: false, timeout: 2_000 });
    try {
      const manager = await jetstreamManager(connection);
      const consumer = await this.consumer(manager, jetstream(connection));
      const messages = await consumer.consume({ max_messages: BATCH });
      const coming = messages[Symbol.asyncIterator]();
      let next = coming.next();
      while (!this.isDone) {
        const came = await within(QUIET_MS, next);
        if (came === undefined) {
          // A connection that ends while nothing comes looks like quiet.
          if (connection.isClosed()) throw new Error("the connection is lost");
          await this.readLog();
          continue;
        }
        const batch: JsMsg[] = [];
        for (let one: typeof came | undefined = came; one !== undefined; one = await within(LINGER_MS, next)) {
          if (one.done === true) throw new Error("the subscription ended");
          batch.push(one.value);
          next = coming.next();
          if (batch.length >= BATCH) break;
        }
        await this.take(batch);
      }
      messages.stop();
      await connection.flush();
    } finally {
      await connection.close();
    }
  }

  /** The durable consumer. A new one begins at the stream's first message for a subscriber that has nothing yet. */
  private async consumer(
    manager: Awaited<ReturnType<typeof jetstreamManager>>,
    feed: ReturnType<typeof jetstream>,
  ): Promise<Consumer> {
    const isKnown = await manager.consumers.info(STREAM, DURABLE).then(() => true, () => false);
    if (!isKnown) {
      await manager.consumers.add(STREAM, {
        durable_name: DURABLE,
        ack_policy: AckPolicy.All,
        filter_subject: `ledger.${token(this.tenant)}.>`,
        deliver_policy: this.store.position === 0 ? DeliverPolicy.All : DeliverPolicy.New,
      });
      // What came before it is in the log only.
      if (this.store.position > 0) await this.readLog();
    }
    return feed.consumers.get(STREAM, DURABLE);
  }

  /** Applies what is new, then acknowledges all of it. */
  private async take(messages: JsMsg[]): Promise<void> {
    let next: LoggedEvent[] = [];
    for (const message of messages) {
      const event = message.json<CloudEvent>();
      const position = Number(event.sequence);
      if (!Number.isSafeInteger(position)) throw new Permanent(`sequence ${event.sequence}`);
      const last = next.at(-1)?.position ?? this.store.position;
      if (position <= last) {
        this.counts.duplicates += 1;
      } else if (position === last + 1 && event.data !== undefined) {
        next.push({ position, data: event.data.event });
      } else {
        await this.applyFromFeed(next);
        next = [];
        if (position > last + 1) this.counts.gaps += 1;
        while (this.store.position < position) {
          const before = this.store.position;
          await this.readPage();
          if (this.store.position === before) throw new Error(`the log ends at ${before}, before ${position}`);
        }
      }
    }
    await this.applyFromFeed(next);
    messages.at(-1)?.ack();
  }

  private async applyFromFeed(events: LoggedEvent[]): Promise<void> {
    await this.store.apply(events);
    this.counts.from_feed += events.length;
  }

  private async readLog(): Promise<void> {
    while (await this.readPage());
  }

  /** Applies a page of the log; true when there is more. */
  private async readPage(): Promise<boolean> {
    const { position } = this.store;
    const answer = await fetch(`${this.api}/v1/events?after=${position}&limit=${PAGE_EVENTS}`, {
      headers: { authorization: `Bearer ${this.key}` },
      signal: AbortSignal.timeout(REQUEST_TIME_MS),
    });
    if (!answer.ok) {
      const detail = `${answer.status} ${(await answer.text()).slice(0, 300)}`;
      const isForLater = answer.status === 408 || answer.status === 429 || answer.status >= 500;
      throw isForLater ? new Error(detail) : new Permanent(detail);
    }
    const page = (await answer.json()) as { data: LoggedEvent[]; more: boolean };
    page.data.forEach((event, at) => {
      if (event.position !== position + 1 + at) throw new Permanent(`the log gave ${event.position} for ${position + 1 + at}`);
    });
    await this.store.apply(page.data);
    this.counts.from_log += page.data.length;
    return page.more;
  }
}

/** What is promised, or nothing when it does not come in time. */
async function within<T>(milliseconds: number, promised: Promise<T>): Promise<T | undefined> {
  const came = new AbortController();
  const late = sleep(milliseconds, undefined, { signal: came.signal }).catch(() => undefined);
  return Promise.race([promised, late]).finally(() => came.abort());
}

/** A tenant's code as one token of a subject. */
function token(code: string): string {
  const hexadecimal = (byte: number): string => `=${byte.toString(16).toUpperCase().padStart(2, "0")}`;
  return [...Buffer.from(code)].map((b) => (/[A-Za-z0-9_-]/.test(String.fromCharCode(b)) ? String.fromCharCode(b) : hexadecimal(b))).join("");
}

function named(name: string): string {
  const value = process.env[name];
  if (value === undefined) throw new Permanent(`${name} is not set`);
  return value;
}

async function main(): Promise<void> {
  const [tenant, path, end] = process.argv.slice(2);
  if (tenant === undefined || path === undefined) throw new Permanent("usage: stock.js TENANT FILE [POSITION]");
  const interrupted = new AbortController();
  process.once("SIGINT", () => interrupted.abort());
  const store = new Store(path);
  await store.load();
  const until = end === undefined ? undefined : Number(end);
  const api = named("LEDGER_URL").replace(/\/+$/, "");
  const subscriber = new Subscriber(new URL(named("NATS_URL")), api, named("LEDGER_KEY"), tenant, store, interrupted.signal, until);
  await subscriber.run();
  console.log(JSON.stringify({ position: store.position, stock: store.stock, ...subscriber.counts }));
}

main().catch((error: unknown) => {
  console.error(String(error));
  process.exitCode = 1;
});
