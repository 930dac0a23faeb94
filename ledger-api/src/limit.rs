//! Every limit of the HTTP side, each with its reason.

use std::time::Duration;

/// Body of a single command: a transaction of 4,096 steps of 150 bytes fits with room.
pub(crate) const BODY_BYTES_MAX: usize = 1024 * 1024;
/// Body of a batch: 8,192 commands of 1 KiB.
pub(crate) const BATCH_BODY_BYTES_MAX: usize = 8 * 1024 * 1024;
/// Commands of one batch.
pub(crate) const BATCH_COMMANDS_MAX: usize = 8_192;
/// Batches worked on at once: each may hold several times its body in memory.
pub(crate) const BATCHES_AT_ONCE_MAX: usize = 32;
/// A body that has not arrived by then is given up.
pub(crate) const BODY_READ_TIME: Duration = Duration::from_secs(30);
/// Characters of an idempotency key (draft-ietf-httpapi-idempotency-key-header leaves it to the server).
pub(crate) const IDEMPOTENCY_KEY_CHARS_MAX: usize = 255;
/// Bytes of an `X-Request-Id` that is echoed; a longer one is left out.
pub(crate) const REQUEST_ID_BYTES_MAX: usize = 128;

/// Headers of a request, and bytes of its head: 431 beyond.
pub(crate) const HEADERS_MAX: usize = 64;
/// See [`HEADERS_MAX`].
pub(crate) const HEAD_BYTES_MAX: usize = 32 * 1024;
/// Requests one HTTP/2 connection may have under way.
pub(crate) const STREAMS_PER_CONNECTION_MAX: u32 = 256;
/// The head of a request must be complete by then; an idle HTTP/1.1 connection is closed after the same time.
pub(crate) const HEAD_READ_TIME: Duration = Duration::from_secs(30);
/// A new connection must have sent its first request by then.
pub(crate) const FIRST_REQUEST_TIME: Duration = Duration::from_secs(10);
/// An HTTP/2 peer that does not answer a ping is gone.
pub(crate) const PING_INTERVAL: Duration = Duration::from_secs(20);
/// See [`PING_INTERVAL`].
pub(crate) const PING_ANSWER_TIME: Duration = Duration::from_secs(10);
/// Pause after a failed accept (out of file descriptors): not a busy loop, not an outage.
pub(crate) const ACCEPT_PAUSE: Duration = Duration::from_millis(20);

/// Keys whose rows are remembered.
pub(crate) const KEYS_CACHED_MAX: usize = 10_000;
/// A key taken back, or a tenant suspended, is refused everywhere after at most this long.
pub(crate) const KEY_CACHE_TIME: Duration = Duration::from_secs(5);
/// From this age on, one caller has the row read again while the others go on with the one they have.
pub(crate) const KEY_REFRESH_AGE: Duration = Duration::from_secs(2);
/// Keys looked up at once: guessing keys must not take the pool.
pub(crate) const KEY_LOOKUPS_AT_ONCE_MAX: usize = 16;

/// A cache slower than this is no cache.
pub(crate) const CACHE_TIME_MAX: Duration = Duration::from_millis(50);
/// After a failure the cache is left alone for this long.
pub(crate) const CACHE_PAUSE: Duration = Duration::from_secs(1);
/// A read waits this long for one of the places before it is refused.
pub(crate) const READ_PLACE_TIME: Duration = Duration::from_secs(2);
/// Reads that wait for a position at once.
pub(crate) const POSITION_WAITERS_MAX: usize = 4_096;
/// `Prefer: wait` when absent.
pub(crate) const POSITION_WAIT: Duration = Duration::from_secs(5);
/// Longest `Prefer: wait` that is honoured.
pub(crate) const POSITION_WAIT_SECONDS_MAX: u64 = 30;
/// How often the views' position is looked at while somebody waits for it.
pub(crate) const POSITION_POLL: Duration = Duration::from_millis(5);

/// A read that names no position goes to a replica that has everything durable this long ago: as old as a client that
/// reads on its own may notice without being surprised.
pub(crate) const REPLICA_AGE_MAX: Duration = Duration::from_secs(1);
/// How often primary and replicas are compared: several times within the age above.
pub(crate) const REPLICA_PROBE_INTERVAL: Duration = Duration::from_millis(200);
/// A server that does not answer by then is away; reads that wait for it are asked again elsewhere.
pub(crate) const REPLICA_PROBE_TIME_MAX: Duration = Duration::from_millis(500);
/// A replica that does not say by then where it is, is not asked for more: the primary would have answered long ago.
pub(crate) const REPLICA_ASK_TIME_MAX: Duration = Duration::from_millis(100);
/// Tenants whose position on a replica is remembered: a few bytes each.
pub(crate) const REPLICA_TENANTS_REMEMBERED_MAX: usize = 100_000;

/// Rows of a page when the caller does not say.
pub(crate) const PAGE_ROWS: u32 = 100;
/// Most rows of a page.
pub(crate) const PAGE_ROWS_MAX: u32 = 1_000;
/// Items of one lookup.
pub(crate) const LOOKUP_SKUS_MAX: usize = 1_000;
/// Locations shown of one item, and of all items of a lookup together.
pub(crate) const LEVELS_MAX: usize = 50_000;
/// Rows of a report.
pub(crate) const REPORT_ROWS_MAX: usize = 50_000;
/// Accounts of one page of the general ledger: each is a few statements.
pub(crate) const LEDGER_PAGE_ACCOUNTS_MAX: usize = 100;
/// Accounts whose balances the general ledger reads at once.
pub(crate) const LEDGER_ACCOUNTS_AT_ONCE: i64 = 500;
/// Journal entries looked at for one filtered page.
pub(crate) const ENTRIES_SCANNED_MAX: i64 = 10_000;
/// Buckets of open items by age, what is not due left out.
pub(crate) const AGE_BUCKETS_MAX: usize = 12;
/// Days overdue at which a bucket may end: ten years.
pub(crate) const AGE_DAYS_MAX: u32 = 3_660;
/// Tenants whose first event is remembered: 100 bytes each.
pub(crate) const TENANTS_REMEMBERED_MAX: usize = 100_000;
/// Items, locations or accounts looked at for one page of a search.
pub(crate) const DEFINITIONS_SCANNED_MAX: i64 = 10_000;
/// Words of a search: each is looked for in every definition.
pub(crate) const SEARCH_WORDS_MAX: usize = 8;
/// Movements looked at for one filtered page of a stock card.
pub(crate) const MOVEMENTS_SCANNED_MAX: i64 = 10_000;
/// Points of an item's history, if the caller does not say.
pub(crate) const HISTORY_POINTS: u32 = 120;
/// Most points of an item's history: more than a screen shows.
pub(crate) const HISTORY_POINTS_MAX: u32 = 1_000;
/// Points times places of one history: each is a look-up or a few.
pub(crate) const HISTORY_LOOKUPS_MAX: i64 = 20_000;
/// Minutes of activity on the overview.
pub(crate) const ACTIVITY_MINUTES: i64 = 60;
/// Open holds and pending entries are counted up to here.
pub(crate) const OVERVIEW_COUNT_MAX: i64 = 10_000;
/// Events looked at for one filtered page; the answer says how far it came.
pub(crate) const EVENTS_SCANNED_MAX: i64 = 10_000;
/// Runs of 256 events read at once in a search for who did what: 4 MB or so of rows.
pub(crate) const TRAIL_RUNS_AT_ONCE: usize = 16;
/// Runs that mention a word, looked at at once for the other words: each is one look-up per word.
pub(crate) const TRAIL_RUNS_LOOKED_AT_MAX: i64 = 10_000;
/// Events folded to answer one proof of a seal where the views do not give its balances: seconds of one core.
pub(crate) const SEAL_REPLAY_EVENTS_MAX: i64 = 1_000_000;
/// Such folds at once: each holds a tenant's whole state.
pub(crate) const SEAL_REPLAYS_AT_ONCE_MAX: usize = 1;
/// Events of one page of such a fold.
pub(crate) const SEAL_REPLAY_PAGE: i64 = 5_000;
/// Most events read at a time while a filtered page is looked for from the log's end.
pub(crate) const EVENTS_AT_ONCE_MAX: i64 = 2_500;
/// Bytes of a cursor as text.
pub(crate) const CURSOR_BYTES_MAX: usize = 512;

/// Event streams held open at once.
pub(crate) const FEEDS_MAX: usize = 256;
/// How often an idle event stream looks for news.
pub(crate) const FEED_POLL: Duration = Duration::from_millis(200);
/// An idle event stream says so, so that proxies keep it open.
pub(crate) const FEED_HEARTBEAT: Duration = Duration::from_secs(15);

/// Bytes of a form of the console: a key and a path.
pub(crate) const CONSOLE_FORM_BYTES_MAX: usize = 8 * 1024;
/// Bytes of an answer that the console makes a page of: a report of 50,000 rows.
pub(crate) const CONSOLE_ANSWER_BYTES_MAX: usize = 32 * 1024 * 1024;
/// Whoever signs in to the console signs in again after this long: a working day.
pub(crate) const CONSOLE_SESSION_TIME: Duration = Duration::from_secs(12 * 3_600);

/// A health answer is reused for this long: probes must not load what they probe.
pub(crate) const HEALTH_REUSE: Duration = Duration::from_millis(500);
/// A part that does not answer by then is down.
pub(crate) const HEALTH_TIME_MAX: Duration = Duration::from_secs(2);
/// Events the views may be behind before the service calls itself degraded.
pub(crate) const PROJECTOR_LAG_MAX: i64 = 100_000;
/// How often collected samples are folded into histograms.
pub(crate) const METRICS_UPKEEP: Duration = Duration::from_secs(5);

/// Body of an import: some 200,000 commands. Larger files come in several jobs, or through `ledgerd import`.
pub(crate) const IMPORT_BODY_BYTES_MAX: usize = 32 * 1024 * 1024;
/// Places among the batches that an import takes while it arrives: four times the body of one, twice in memory.
pub(crate) const IMPORT_PLACES: u32 = 8;
/// Query parameters of a report made by a job: more than any report has.
pub(crate) const JOB_PARAMETERS_MAX: usize = 32;
/// Bytes of a webhook's URL: what browsers and proxies take.
pub(crate) const WEBHOOK_URL_BYTES_MAX: usize = 2_048;
/// Types, categories or streams that one webhook names: all types fit.
pub(crate) const WEBHOOK_FILTERS_MAX: usize = 100;
/// Characters of a beginning of streams' names: longer than the longest name.
pub(crate) const WEBHOOK_STREAM_CHARS_MAX: usize = 256;
/// Bytes of an answer that is asked for in process: a report of as many rows as it may have.
pub(crate) const INSIDE_BYTES_MAX: usize = 256 * 1024 * 1024;

const _: () = assert!(BODY_BYTES_MAX <= BATCH_BODY_BYTES_MAX);
const _: () = assert!(KEY_REFRESH_AGE.as_secs() < KEY_CACHE_TIME.as_secs());
/// Expected receipts that a promise looks at: what lies beyond the first thousand is no promise.
pub(crate) const EXPECTATIONS_MAX: usize = 1_000;
