//! The projector: shared by several, stopped at every step, and its views made anew.

use std::process::{Child, Stdio};
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use sqlx::{Connection, PgConnection, Row};

use crate::faults::{Load, received, stocked};
use crate::harness::{Client, Node, Parts, Tenant, World};
use crate::supervisor::Name;

/// Longest wait for what must come about.
const PATIENCE: Duration = Duration::from_secs(60);

/// A `ledgerd project` process; killed when dropped.
struct Projector(Child);

impl Projector {
    fn start(world: &World) -> Self {
        let mut command = world.command(&["project"]);
        Self(command.env("RUST_LOG", "off").stdout(Stdio::null()).spawn().unwrap())
    }

    fn signal(&self, signal: rustix::process::Signal) {
        let pid = rustix::process::Pid::from_raw(i32::try_from(self.0.id()).unwrap()).unwrap();
        rustix::process::kill_process(pid, signal).unwrap();
    }

    fn kill(&mut self) {
        self.0.kill().unwrap();
        self.0.wait().unwrap();
    }

    /// SIGTERM; answers the exit code.
    fn terminate(mut self) -> Option<i32> {
        self.signal(rustix::process::Signal::TERM);
        self.0.wait().unwrap().code()
    }
}

impl Drop for Projector {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

async fn number(db: &mut PgConnection, sql: &'static str, tenant: i64) -> i64 {
    sqlx::query_scalar::<_, Option<i64>>(sql).bind(tenant).fetch_optional(db).await.unwrap().flatten().unwrap_or(0)
}

const HEAD: &str = "SELECT position FROM tenant_head WHERE tenant_id = $1";
const VIEWS: &str = "SELECT position FROM view_cursor WHERE tenant_id = $1";
const FEED: &str = "SELECT position FROM feed_cursor WHERE tenant_id = $1";

/// Waits until a number has come to another; answers how long that took.
async fn reaches(db: &mut PgConnection, sql: &'static str, tenant: i64, wanted: i64) -> Duration {
    let begin = Instant::now();
    loop {
        let now = number(db, sql, tenant).await;
        if now >= wanted {
            return begin.elapsed();
        }
        assert!(begin.elapsed() < PATIENCE, "{sql}: {now} instead of {wanted}");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

/// Waits until a query of one boolean answers true.
async fn becomes_true(db: &mut PgConnection, sql: &'static str, argument: &str) {
    let begin = Instant::now();
    while !sqlx::query_scalar::<_, bool>(sql).bind(argument).fetch_one(&mut *db).await.unwrap() {
        assert!(begin.elapsed() < PATIENCE, "{argument}: never true: {sql}");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

/// Shards by holder.
async fn shares(db: &mut PgConnection) -> Vec<(uuid::Uuid, Vec<i64>)> {
    let sql = "SELECT holder, array_agg(shard::bigint ORDER BY shard) FROM projector_lease WHERE holder IS NOT NULL GROUP BY holder ORDER BY holder";
    let rows = sqlx::query(sql).fetch_all(db).await.unwrap();
    rows.iter().map(|row| (row.get(0), row.get(1))).collect()
}

/// Waits until so many projectors share all shards evenly.
async fn shared_by(db: &mut PgConnection, projectors: usize) -> Vec<(uuid::Uuid, Vec<i64>)> {
    let begin = Instant::now();
    loop {
        let now = shares(db).await;
        let all: usize = now.iter().map(|(_, shards)| shards.len()).sum();
        if now.len() == projectors && all == 64 && now.iter().all(|(_, s)| s.len() <= 64_usize.div_ceil(projectors)) {
            return now;
        }
        assert!(begin.elapsed() < PATIENCE, "{now:?}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn two_projectors_share_the_tenants_and_each_takes_over_from_the_other() {
    let world = World::start(Parts::DatabaseAndRedis).await;
    let node = Node::start(&world, &[]).await;
    let mut owner = world.owner().await;
    let mut tenants: Vec<(Tenant, Client)> = Vec::new();
    for n in 0..8 {
        let tenant = world.tenant(&format!("t{n}"));
        let c = node.client(&tenant);
        c.catalogue(&["X"]).await;
        c.receive("X", "1000000", "1").await;
        tenants.push((tenant, c));
    }
    // One alone has everything at once: nothing waits for a lease to end.
    let one = Projector::start(&world);
    let begin = Instant::now();
    let first = shared_by(&mut owner, 1).await[0].0;
    let alone = begin.elapsed();
    assert!(alone < Duration::from_secs(20), "{alone:?}");
    let two = Projector::start(&world);
    let both = shared_by(&mut owner, 2).await;
    let is_first = |tenant: i64| both.iter().any(|(holder, shards)| *holder == first && shards.contains(&(tenant % 64)));
    let (of_one, of_two): (Vec<_>, Vec<_>) = tenants.iter().partition(|(t, _)| is_first(t.number));
    assert!(!of_one.is_empty() && !of_two.is_empty(), "{both:?}");

    // The second stands still: the first goes on with its own tenants, and has those of the other after a few seconds.
    two.signal(rustix::process::Signal::STOP);
    let begin = Instant::now();
    for (t, c) in of_one.iter().chain(&of_two) {
        let head = c.issue("X", "1").await.expect(201).position();
        if is_first(t.number) {
            reaches(&mut owner, VIEWS, t.number, head).await;
        }
    }
    let own = begin.elapsed();
    // None of the other's has moved until its leases end: it was the other that worked for them. A machine that took longer
    // than that for the first's own tenants cannot tell.
    for (t, _) in of_two.iter().filter(|_| own < Duration::from_secs(2)) {
        let (head, seen) = (number(&mut owner, HEAD, t.number).await, number(&mut owner, VIEWS, t.number).await);
        assert_eq!(seen, head - 1, "tenant {} was not the second's", t.code);
    }
    for (t, _) in &of_two {
        let head = number(&mut owner, HEAD, t.number).await;
        reaches(&mut owner, VIEWS, t.number, head).await;
    }
    let hung = begin.elapsed();
    two.signal(rustix::process::Signal::CONT);
    shared_by(&mut owner, 2).await;

    // Under load, the first is killed: the other has its tenants at once.
    let loads: Vec<Load> = tenants.iter().map(|(_, c)| Load::start(c, 1)).collect();
    for (t, _) in &tenants {
        let head = number(&mut owner, HEAD, t.number).await;
        reaches(&mut owner, VIEWS, t.number, head + 5).await;
    }
    drop(one);
    let begin = Instant::now();
    for (t, _) in tenants.iter().filter(|(t, _)| is_first(t.number)) {
        let head = number(&mut owner, HEAD, t.number).await;
        reaches(&mut owner, VIEWS, t.number, head).await;
    }
    let killed = begin.elapsed();
    for load in loads {
        load.finish().await;
    }
    println!("alone after {alone:?}; taken over {hung:?} after it hung, {killed:?} after it was killed");
    assert!(hung < Duration::from_secs(15) && killed < Duration::from_secs(15), "{hung:?} {killed:?}");
    // A clean end gives back what it has.
    assert_eq!(two.terminate(), Some(0));
    assert_eq!(shares(&mut owner).await, []);
    let three = Projector::start(&world);
    for (t, _) in &tenants {
        let head = number(&mut owner, HEAD, t.number).await;
        reaches(&mut owner, VIEWS, t.number, head).await;
        world.verify_clean(&t.code);
    }
    drop(three);
}

/// An event that this program cannot read, after the tenant's last.
async fn poison(db: &mut PgConnection, tenant: i64) -> i64 {
    let sql = "WITH bad AS ( \
                   INSERT INTO event (tenant_id, position, stream, stream_version, recorded_at, type, schema_version, leaf_check, payload, stream_key) \
                   SELECT tenant_id, position + 1, position + 1, 1, recorded_at, 32000, 1, 0, '\\x00', gen_random_uuid() \
                   FROM tenant_head WHERE tenant_id = $1 RETURNING position) \
               UPDATE tenant_head h SET position = bad.position FROM bad WHERE h.tenant_id = $1 RETURNING h.position";
    sqlx::query_scalar(sql).bind(tenant).fetch_one(db).await.unwrap()
}

async fn health(node: &Node) -> Value {
    reqwest::get(format!("{}/health/ready", node.url)).await.unwrap().json().await.unwrap()
}

/// Waits until readiness says so.
async fn health_says(node: &Node, status: &str, stopped: i64, views_outdated: i64) {
    let begin = Instant::now();
    loop {
        let now = health(node).await;
        let projector = &now["projector"];
        if (&now["status"], &projector["stopped"], &projector["views_outdated"])
            == (&json!(status), &json!(stopped), &json!(views_outdated))
        {
            return;
        }
        assert!(begin.elapsed() < PATIENCE, "{now:#}");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_poisoned_tenant_holds_up_no_other_and_is_shown_until_it_goes_on() {
    let world = World::start(Parts::Database).await;
    let node = world.node().await;
    let mut owner = world.owner().await;
    let (bad, good) = (world.tenant("bad"), world.tenant("good"));
    let (cb, cg) = (node.client(&bad), node.client(&good));
    for c in [&cb, &cg] {
        c.catalogue(&["X"]).await;
        c.receive("X", "1000", "1").await;
    }
    let position = poison(&mut owner, bad.number).await;
    health_says(&node, "degraded", 1, 0).await;
    // What stands before it is shown; others go on as if nothing were.
    assert_eq!(number(&mut owner, VIEWS, bad.number).await, position - 1);
    let mut slowest = Duration::ZERO;
    for _ in 0..100 {
        let head = cg.issue("X", "1").await.expect(201).position();
        let begin = Instant::now();
        cg.get_at("/v1/stock/X", head).await.expect(200);
        slowest = slowest.max(begin.elapsed());
    }
    println!("beside a poisoned tenant the slowest of 100 reads of what was just written took {slowest:?}");
    assert!(slowest < Duration::from_secs(2), "{slowest:?}");
    let stop = sqlx::query("SELECT part, position, why, since < now() FROM projection_stop WHERE tenant_id = $1");
    let stop = stop.bind(bad.number).fetch_one(&mut owner).await.unwrap();
    assert_eq!((stop.get::<&str, _>(0), stop.get::<i64, _>(1), stop.get::<bool, _>(3)), ("views", position, true));
    assert!(stop.get::<&str, _>(2).contains(&format!("position {position}")), "{}", stop.get::<&str, _>(2));
    let (code, out, _) = world.ledgerd_any(&["doctor"]);
    assert_eq!(code, 3, "{out}");
    assert!(out.contains(&format!("views of tenant bad stand still before position {position}")), "{out}");
    let metrics = reqwest::get(format!("{}/metrics", node.url)).await.unwrap().text().await.unwrap();
    let line = format!("ledger_projector_stopped{{tenant=\"{}\"}} 1", bad.number);
    assert!(metrics.contains(&line), "{line} is not there");
    // Mended: it goes on by itself, and nothing is shown any more.
    let mut tx = owner.begin().await.unwrap();
    let delete = sqlx::query("DELETE FROM event WHERE tenant_id = $1 AND position = $2").bind(bad.number).bind(position);
    delete.execute(&mut *tx).await.unwrap();
    let back = sqlx::query("UPDATE tenant_head SET position = position - 1 WHERE tenant_id = $1").bind(bad.number);
    back.execute(&mut *tx).await.unwrap();
    tx.commit().await.unwrap();
    let head = cb.issue("X", "1").await.expect(201).position();
    reaches(&mut owner, VIEWS, bad.number, head).await;
    health_says(&node, "ready", 0, 0).await;
    world.verify_clean("bad");
    world.verify_clean("good");
}

/// Makes a tenant's log longer by copies of its last event, which issues one unit.
async fn backlog(db: &mut PgConnection, tenant: i64, events: i64) {
    let sql = "INSERT INTO event (tenant_id, position, stream, stream_version, recorded_at, effective_at, type, schema_version, leaf_check, payload, stream_key) \
               SELECT e.tenant_id, e.position + n, e.position + n, 1, e.recorded_at, e.effective_at, e.type, e.schema_version, 0, e.payload, gen_random_uuid() \
               FROM tenant_head h JOIN event e USING (tenant_id, position), generate_series(1, $2) AS n WHERE h.tenant_id = $1";
    sqlx::query(sql).bind(tenant).bind(events).execute(&mut *db).await.unwrap();
    let head = sqlx::query("UPDATE tenant_head SET position = position + $2 WHERE tenant_id = $1").bind(tenant).bind(events);
    head.execute(db).await.unwrap();
}

/// Events of one batch.
const BATCH: i64 = 10_000;

/// More tenants with a long way to go than are worked on at once: `LEDGER_BACKLOG` events each, 60,000 if nobody says
/// otherwise.
#[tokio::test(flavor = "multi_thread")]
async fn tenants_with_a_long_way_to_go_delay_a_small_one_by_about_a_batch() {
    let world = World::start(Parts::Database).await;
    let node = world.node().await;
    let mut owner = world.owner().await;
    let events = std::env::var("LEDGER_BACKLOG").map_or(60_000, |n| n.parse().unwrap());
    let small = stocked(&world, &node, "small").await;
    let mut slow = Vec::new();
    for n in 0..6 {
        let tenant = world.tenant(&format!("slow{n}"));
        let c = node.client(&tenant);
        c.catalogue(&["X"]).await;
        c.receive("X", "100000000", "1").await;
        let head = c.issue("X", "1").await.expect(201).position();
        reaches(&mut owner, VIEWS, tenant.number, head).await;
        slow.push(tenant.number);
    }
    // Nobody gets ahead while the way is made.
    let mut holder = world.owner().await;
    sqlx::raw_sql("BEGIN; LOCK TABLE view_cursor IN EXCLUSIVE MODE").execute(&mut holder).await.unwrap();
    for tenant in &slow {
        backlog(&mut owner, *tenant, events).await;
    }
    sqlx::raw_sql("COMMIT").execute(&mut holder).await.unwrap();
    let behind = "SELECT count(*) FROM tenant_head h JOIN view_cursor c USING (tenant_id) WHERE h.position - c.position > $1";
    let done = "SELECT sum(position)::bigint FROM view_cursor WHERE $1 = 0";
    let (began, before) = (Instant::now(), number(&mut owner, done, 0).await);
    let mut took = Vec::new();
    while number(&mut owner, behind, BATCH).await > 4 {
        let head = small.issue("X", "1").await.expect(201).position();
        let begin = Instant::now();
        small.get_at("/v1/stock/X", head).await.expect(200);
        took.push(begin.elapsed());
    }
    let batches = u32::try_from((number(&mut owner, done, 0).await - before) / BATCH).unwrap();
    // Three of the four places were theirs.
    let batch = began.elapsed() * 3 / batches;
    took.sort();
    let (median, slowest) = (took[took.len() / 2], *took.last().unwrap());
    println!(
        "beside 6 tenants with {events} events to go, {batch:?} a batch: {} reads of what was just written, p50 {median:?}, slowest {slowest:?}",
        took.len()
    );
    assert!(took.len() >= 5, "the long way was over after {} reads", took.len());
    assert!(median <= batch && slowest <= batch * 4 + Duration::from_secs(1), "{batch:?} {took:?}");
}

/// A backend waits for a lock in a statement that has this text.
const WAITS_FOR_LOCK: &str = "SELECT EXISTS (SELECT FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND query ILIKE '%' || $1 || '%' AND pid <> pg_backend_pid())";
/// A backend that wrote this table waits in its commit, which stands in the write-ahead log already.
const WAITS_IN_COMMIT: &str = "SELECT EXISTS (SELECT FROM pg_stat_activity a JOIN pg_locks l USING (pid) \
     WHERE a.wait_event = 'SyncRep' AND l.relation = $1::regclass AND l.mode = 'RowExclusiveLock')";

/// One tenant, its commands, and a projector that is killed again and again.
struct Stage {
    world: World,
    _node: Node,
    tenant: Tenant,
    c: Client,
    owner: PgConnection,
}

impl Stage {
    async fn start() -> Self {
        let world = World::start(Parts::All).await;
        let node = Node::start(&world, &[]).await;
        let tenant = world.tenant("steps");
        let c = node.client(&tenant);
        c.catalogue(&["X"]).await;
        c.receive("X", "1000000", "1").await;
        let owner = world.owner().await;
        Self { world, _node: node, tenant, c, owner }
    }

    /// A projector that has done all there was to do.
    async fn idle_projector(&mut self) -> Projector {
        let before: Vec<uuid::Uuid> = shares(&mut self.owner).await.into_iter().map(|(holder, _)| holder).collect();
        let projector = Projector::start(&self.world);
        let begin = Instant::now();
        while shared_by(&mut self.owner, 1).await.iter().any(|(holder, _)| before.contains(holder)) {
            assert!(begin.elapsed() < PATIENCE, "nobody takes the place of the one that was killed");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        self.all_done().await;
        projector
    }

    async fn all_done(&mut self) {
        let head = self.head().await;
        reaches(&mut self.owner, VIEWS, self.tenant.number, head).await;
        reaches(&mut self.owner, FEED, self.tenant.number, head).await;
    }

    async fn head(&mut self) -> i64 {
        number(&mut self.owner, HEAD, self.tenant.number).await
    }

    /// Movements, a hold, and a definition, which is the last row that a batch writes.
    async fn commands(&mut self, step: &str) {
        for _ in 0..5 {
            self.c.issue("X", "1").await.expect(201);
        }
        self.c.reserve(&format!("hold-{step}"), "X", "1", 3_600).await.expect(201);
        self.c.put(&format!("/v1/dimensions/{step}"), &json!({"name": step, "values": ["a"]})).await.expect(201);
    }

    /// The projector is stalled where `seen` says, killed there, and begun again when what held it up is gone.
    async fn killed_and_begun_again(&mut self, step: &str, mut projector: Projector) {
        projector.kill();
        let views = number(&mut self.owner, VIEWS, self.tenant.number).await;
        let feed = number(&mut self.owner, FEED, self.tenant.number).await;
        println!("{step}: killed with views at {views}, feed at {feed} of {}", self.head().await);
    }

    async fn whole_again(&mut self) {
        let projector = self.idle_projector().await;
        self.world.verify_clean("steps");
        assert_eq!(projector.terminate(), Some(0));
    }
}

/// Each step is held up from outside, seen to be held up, and the process killed there: a lock that a statement needs, a
/// commit that waits for a standby that is not there, a cache or a broker that stands still.
#[tokio::test(flavor = "multi_thread")]
async fn a_projector_killed_between_any_two_steps_loses_and_doubles_nothing() {
    let mut s = Stage::start().await;
    s.whole_again().await;
    // In the database, before anything is committed.
    let locks = [
        ("before-cursor", "SELECT FROM view_cursor FOR UPDATE", "UPDATE view_cursor"),
        ("before-rows", "LOCK TABLE view_stock_level IN SHARE MODE", "INSERT INTO view_stock_level"),
        ("before-last-row", "LOCK TABLE view_definition IN SHARE MODE", "INSERT INTO view_definition"),
    ];
    for (step, lock, waiting) in locks {
        s.commands(step).await;
        let mut other = s.world.owner().await;
        let mut tx = other.begin().await.unwrap();
        sqlx::query(lock).execute(&mut *tx).await.unwrap();
        let before = number(&mut s.owner, VIEWS, s.tenant.number).await;
        let projector = Projector::start(&s.world);
        becomes_true(&mut s.owner, WAITS_FOR_LOCK, waiting).await;
        s.killed_and_begun_again(step, projector).await;
        assert_eq!(number(&mut s.owner, VIEWS, s.tenant.number).await, before, "{step}");
        tx.rollback().await.unwrap();
        s.whole_again().await;
    }
    in_the_commit(&mut s).await;
    after_the_commit(&mut s).await;
    let head = s.head().await;
    assert_eq!(received(&s.world, head).await, (1..=head).collect());
}

/// The commit stands in the write-ahead log, and its answer never came.
async fn in_the_commit(s: &mut Stage) {
    s.commands("in-commit").await;
    // Nobody commits any more once a standby is waited for, so the projector is let in first.
    let mut other = s.world.owner().await;
    let mut tx = other.begin().await.unwrap();
    sqlx::query("SELECT FROM view_cursor FOR UPDATE").execute(&mut *tx).await.unwrap();
    let projector = Projector::start(&s.world);
    becomes_true(&mut s.owner, WAITS_FOR_LOCK, "UPDATE view_cursor").await;
    for sql in ["ALTER SYSTEM SET synchronous_standby_names = 'nobody'", "SELECT pg_reload_conf()"] {
        sqlx::query(sql).execute(&mut s.owner).await.unwrap();
    }
    tx.rollback().await.unwrap();
    becomes_true(&mut s.owner, WAITS_IN_COMMIT, "view_stock_level").await;
    s.killed_and_begun_again("in-commit", projector).await;
    for sql in ["ALTER SYSTEM RESET synchronous_standby_names", "SELECT pg_reload_conf()"] {
        sqlx::query(sql).execute(&mut s.owner).await.unwrap();
    }
    s.whole_again().await;
}

async fn after_the_commit(s: &mut Stage) {
    // Committed, and the cache takes nothing.
    let projector = s.idle_projector().await;
    s.world.servers.pause_part(Name::Redis).unwrap();
    s.commands("before-cache").await;
    let head = s.head().await;
    reaches(&mut s.owner, VIEWS, s.tenant.number, head).await;
    s.killed_and_begun_again("before-cache", projector).await;
    s.world.servers.resume_part(Name::Redis).unwrap();
    s.whole_again().await;
    // In the pipeline to the cache: the cache has the script and does not run it.
    let projector = s.idle_projector().await;
    let mut redis = redis::Client::open(s.world.redis_url.as_deref().unwrap()).unwrap().get_connection().unwrap();
    redis::cmd("CLIENT").arg("PAUSE").arg(60_000).arg("WRITE").query::<()>(&mut redis).unwrap();
    s.commands("in-cache").await;
    let begin = Instant::now();
    while !redis::cmd("CLIENT").arg("LIST").query::<String>(&mut redis).unwrap().contains("cmd=eval") {
        assert!(begin.elapsed() < PATIENCE, "nothing is written to the cache");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    s.killed_and_begun_again("in-cache", projector).await;
    redis::cmd("CLIENT").arg("UNPAUSE").query::<()>(&mut redis).unwrap();
    s.whole_again().await;
    // Published, not acknowledged: the bytes lie in the broker's socket.
    let projector = s.idle_projector().await;
    let before = number(&mut s.owner, FEED, s.tenant.number).await;
    s.world.servers.pause_part(Name::Nats).unwrap();
    s.commands("before-acknowledgement").await;
    let port: u16 = s.world.nats_url.as_deref().unwrap().rsplit(':').next().unwrap().trim_matches('/').parse().unwrap();
    let begin = Instant::now();
    while !bytes_wait_for(port) {
        assert!(begin.elapsed() < PATIENCE, "nothing is published");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    s.killed_and_begun_again("before-acknowledgement", projector).await;
    assert_eq!(number(&mut s.owner, FEED, s.tenant.number).await, before);
    s.world.servers.resume_part(Name::Nats).unwrap();
    s.whole_again().await;
    // Acknowledged, and the cursor has not moved.
    let projector = s.idle_projector().await;
    let before = number(&mut s.owner, FEED, s.tenant.number).await;
    let mut other = s.world.owner().await;
    let mut tx = other.begin().await.unwrap();
    sqlx::query("LOCK TABLE feed_cursor IN SHARE MODE").execute(&mut *tx).await.unwrap();
    s.commands("before-feed-cursor").await;
    becomes_true(&mut s.owner, WAITS_FOR_LOCK, "feed_cursor").await;
    s.killed_and_begun_again("before-feed-cursor", projector).await;
    assert_eq!(number(&mut s.owner, FEED, s.tenant.number).await, before);
    tx.rollback().await.unwrap();
    s.whole_again().await;
}

/// Whether a connection to a local port has bytes that the server has not read.
fn bytes_wait_for(port: u16) -> bool {
    let table = std::fs::read_to_string("/proc/net/tcp").unwrap();
    table.lines().skip(1).any(|line| {
        let mut columns = line.split_whitespace().skip(1);
        let (local, queues) = (columns.next().unwrap(), columns.nth(2).unwrap());
        let unread = u64::from_str_radix(queues.split(':').nth(1).unwrap(), 16).unwrap();
        u16::from_str_radix(local.split(':').nth(1).unwrap(), 16).unwrap() == port && unread > 0
    })
}

/// Everything the catalogue says of the views: columns, indexes, constraints, settings, owners, grants.
async fn catalogue(db: &mut PgConnection) -> Vec<String> {
    let sql = "SELECT format('%s %s %s %s', relname, relowner::regrole, reloptions, relacl) FROM pg_class \
               WHERE relnamespace = 'public'::regnamespace AND relkind = 'r' AND relname LIKE 'view\\_%' \
         UNION ALL SELECT tablename || ' ' || indexdef FROM pg_indexes WHERE schemaname = 'public' AND tablename LIKE 'view\\_%' \
         UNION ALL SELECT format('%s %s %s', conrelid::regclass, conname, pg_get_constraintdef(oid)) FROM pg_constraint \
               WHERE connamespace = 'public'::regnamespace AND conrelid::regclass::text LIKE 'view\\_%' \
         UNION ALL SELECT format('%s %s %s %s %s %s', table_name, ordinal_position, column_name, data_type, is_nullable, collation_name) \
               FROM information_schema.columns WHERE table_schema = 'public' AND table_name LIKE 'view\\_%' \
         UNION ALL SELECT 'left over: ' || nspname FROM pg_namespace WHERE nspname IN ('ledger_rebuild', 'ledger_retired') \
               ORDER BY 1";
    sqlx::query_scalar(sql).fetch_all(db).await.unwrap()
}

/// Events in the copies of a rebuild under way.
async fn folded(db: &mut PgConnection) -> i64 {
    let there: bool =
        sqlx::query_scalar("SELECT to_regclass('ledger_rebuild.view_cursor') IS NOT NULL").fetch_one(&mut *db).await.unwrap();
    if !there {
        return 0;
    }
    sqlx::query_scalar("SELECT coalesce(sum(position), 0)::bigint FROM ledger_rebuild.view_cursor").fetch_one(db).await.unwrap()
}

/// Reads that go on all the time, each of which must be answered; how many, and the slowest.
fn readers(c: &Client) -> (std::sync::Arc<std::sync::atomic::AtomicBool>, tokio::task::JoinHandle<(usize, Duration)>) {
    let stop = std::sync::Arc::new(std::sync::atomic::AtomicBool::new(false));
    let (c, told) = (c.clone(), std::sync::Arc::clone(&stop));
    let task = tokio::spawn(async move {
        let (mut count, mut slowest) = (0, Duration::ZERO);
        while !told.load(std::sync::atomic::Ordering::Relaxed) {
            for path in ["/v1/stock/X", "/v1/stock/X/MAIN/card", "/v1/items", "/v1/stock/Y", "/v1/accounts"] {
                let begin = Instant::now();
                c.get(path).await.expect(200);
                (count, slowest) = (count + 1, slowest.max(begin.elapsed()));
            }
        }
        (count, slowest)
    });
    (stop, task)
}

#[tokio::test(flavor = "multi_thread")]
async fn views_rebuilt_under_load_equal_the_old_ones_and_heal_what_was_damaged() {
    let world = World::start(Parts::DatabaseAndRedis).await;
    let node = world.node().await;
    let mut owner = world.owner().await;
    let c = stocked(&world, &node, "one").await;
    c.put("/v1/items/Y", &json!({"name": "Y"})).await.expect(201);
    let head = c.receive("Y", "50", "2").await.position();
    let one = number(&mut owner, "SELECT tenant_id FROM tenant WHERE code = 'one' AND $1 = 0", 0).await;
    reaches(&mut owner, VIEWS, one, head).await;
    // A long log, so that there is time to kill the rebuild half way.
    let bulk = world.tenant("bulk");
    let cb = node.client(&bulk);
    cb.catalogue(&["X"]).await;
    cb.receive("X", "100000000", "1").await;
    let head = cb.issue("X", "1").await.expect(201).position();
    reaches(&mut owner, VIEWS, bulk.number, head).await;
    backlog(&mut owner, bulk.number, 60_000).await;
    reaches(&mut owner, VIEWS, bulk.number, head + 60_000).await;
    let before = catalogue(&mut owner).await;
    let load = Load::start(&c, 4);
    let (stop_reading, reading) = readers(&c);

    let mut child = world.command(&["rebuild", "all", "--json"]).stdout(Stdio::null()).spawn().unwrap();
    let begin = Instant::now();
    while folded(&mut owner).await < 10_000 {
        assert!(begin.elapsed() < PATIENCE, "nothing is folded");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    child.kill().unwrap();
    child.wait().unwrap();
    let half = folded(&mut owner).await;
    assert!(half < head + 60_000, "the rebuild was over before it was killed");
    // Damaged meanwhile: one number, and one row gone.
    for sql in [
        "UPDATE view_stock_level SET on_hand = on_hand + 1 WHERE tenant_id = $1 AND sku = 'Y'",
        "DELETE FROM view_stock_card WHERE tenant_id = $1 AND sku = 'Y'",
    ] {
        assert_eq!(sqlx::query(sql).bind(one).execute(&mut owner).await.unwrap().rows_affected(), 1);
    }
    let (code, out, err) = world.ledgerd_any(&["rebuild", "all", "--compare"]);
    let report: Value = serde_json::from_str(&out).unwrap_or_else(|_| panic!("{out}{err}"));
    assert_eq!(code, 3, "{report:#}");
    assert!(report["resumed_at"].as_i64().unwrap() >= half, "{half} were folded: {report:#}");
    let found: Vec<(&str, i64, i64)> = report["differences"]
        .as_array()
        .unwrap()
        .iter()
        .map(|d| (d["view"].as_str().unwrap(), d["wrong"].as_i64().unwrap(), d["lacking"].as_i64().unwrap()))
        .collect();
    assert_eq!(found, [("view_stock_card", 0, 1), ("view_stock_level", 1, 1)], "{report:#}");
    // Once more, under the same load: byte for byte what the projector had made meanwhile.
    let report = world.ledgerd(&["rebuild", "all", "--compare"]);
    assert_eq!((&report["compared"], &report["differences"], &report["resumed_at"]), (&json!(true), &json!([]), &json!(0)));
    let single = world.ledgerd(&["rebuild", "stock_level", "posting"]);
    assert_eq!(single["views"], json!(["view_stock_level", "view_posting"]));
    stop_reading.store(true, std::sync::atomic::Ordering::Relaxed);
    let (reads, slowest) = reading.await.unwrap();
    let sent = load.finish().await.len();
    println!(
        "rebuilt three times under {sent} commands and {reads} reads, the slowest of which took {slowest:?}; views stood still {} ms, readers waited {} ms",
        report["views_held_millis"], report["readers_held_millis"]
    );
    assert!(sent > 20 && reads > 20, "{sent} {reads}");
    assert_eq!(catalogue(&mut owner).await, before);
    world.verify_clean("one");
    // Only one at a time, and only views that there are.
    sqlx::query("SELECT pg_advisory_lock(7810759523990402658)").execute(&mut owner).await.unwrap();
    let (code, _, err) = world.ledgerd_any(&["rebuild", "all"]);
    assert!(code == 1 && err.contains("under way"), "{code} {err}");
    let (code, _, err) = world.ledgerd_any(&["rebuild", "nothing"]);
    assert!(code == 1 && err.contains("there is no view nothing"), "{code} {err}");
}

/// A projector that has a damaged row in its memory does not write it back over the healed one.
#[tokio::test(flavor = "multi_thread")]
async fn a_projector_lets_go_of_its_rows_when_the_views_were_rebuilt() {
    let world = World::start(Parts::Database).await;
    let node = Node::start(&world, &[]).await;
    let mut owner = world.owner().await;
    let tenant = world.tenant("memory");
    let c = node.client(&tenant);
    c.catalogue(&["X"]).await;
    let head = c.receive("X", "100", "1").await.position();
    let projector = Projector::start(&world);
    reaches(&mut owner, VIEWS, tenant.number, head).await;
    assert_eq!(projector.terminate(), Some(0));
    let damage = sqlx::query("UPDATE view_stock_level SET on_hand = on_hand + 1 WHERE tenant_id = $1").bind(tenant.number);
    assert_eq!(damage.execute(&mut owner).await.unwrap().rows_affected(), 1);
    let _projector = Projector::start(&world);
    let head = c.issue("X", "1").await.expect(201).position();
    reaches(&mut owner, VIEWS, tenant.number, head).await;
    let (code, _) = world.verify("memory");
    assert_eq!(code, 3, "the damaged row is not in the projector's memory");
    let (code, out, err) = world.ledgerd_any(&["rebuild", "all", "--compare"]);
    assert_eq!(code, 3, "{out}{err}");
    world.verify_clean("memory");
    let head = c.issue("X", "1").await.expect(201).position();
    reaches(&mut owner, VIEWS, tenant.number, head).await;
    world.verify_clean("memory");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_program_too_old_for_the_rows_leaves_them_alone_and_a_newer_one_says_that_a_rebuild_is_due() {
    let world = World::start(Parts::Database).await;
    let mut owner = world.owner().await;
    let set = |version: i16| sqlx::query("UPDATE view_version SET version = $1 WHERE view = 'view_item'").bind(version);
    // Where nothing is folded yet, the rows will be this program's.
    set(0).execute(&mut owner).await.unwrap();
    let node = world.node().await;
    health_says(&node, "ready", 0, 0).await;
    let tenant = world.tenant("versions");
    let c = node.client(&tenant);
    c.catalogue(&["X"]).await;
    let head = c.receive("X", "100", "1").await.position();
    reaches(&mut owner, VIEWS, tenant.number, head).await;
    // As a newer program's rebuild leaves it.
    let mut tx = owner.begin().await.unwrap();
    set(2).execute(&mut *tx).await.unwrap();
    sqlx::query("UPDATE view_cursor SET generation = generation + 1").execute(&mut *tx).await.unwrap();
    tx.commit().await.unwrap();
    health_says(&node, "degraded", 0, 1).await;
    let last = c.issue("X", "1").await.expect(201).position();
    let metrics = format!("{}/metrics", node.url);
    let begin = Instant::now();
    while !reqwest::get(&metrics).await.unwrap().text().await.unwrap().contains("ledger_projector_refused 1") {
        assert!(begin.elapsed() < PATIENCE, "it does not say that it refuses");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    assert_eq!(number(&mut owner, VIEWS, tenant.number).await, head);
    assert_eq!(number(&mut owner, "SELECT count(*) FROM projection_stop WHERE tenant_id = $1", tenant.number).await, 0);
    let (code, out, _) = world.ledgerd_any(&["doctor"]);
    assert!(code == 3 && out.contains("rows of a newer program in view_item"), "{code} {out}");
    // Rows of an older program: it goes on with them, and says what is due.
    set(0).execute(&mut owner).await.unwrap();
    reaches(&mut owner, VIEWS, tenant.number, last).await;
    health_says(&node, "degraded", 0, 1).await;
    let (code, out, _) = world.ledgerd_any(&["doctor"]);
    assert!(code == 3 && out.contains("run ledgerd rebuild all"), "{code} {out}");
    world.ledgerd(&["rebuild", "item"]);
    health_says(&node, "ready", 0, 0).await;
    world.verify_clean("versions");
}
