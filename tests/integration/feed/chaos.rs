//! A load of commands, a subscriber, and everything between them killed at random.
//!
//! Twelve seconds of it by default. The long form, and a run again with the same choices:
//! `LEDGER_CHAOS_SECONDS=600 LEDGER_CHAOS_SEED=… cargo test --release --test integration feed::chaos -- --nocapture`.

use std::path::PathBuf;
use std::time::{Duration, Instant};

use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};

use super::follower::{Effect, Follower};
use super::{lose_broker_data, published};
use crate::faults::Load;
use crate::harness::{Node, Parts, Tenant, World};
use crate::supervisor::Name;

/// Callers who send commands all the time.
const CALLERS: usize = 8;
/// Longest wait for the subscriber to come to the log's end once nothing is killed any more.
const CATCH_UP_MAX: Duration = Duration::from_secs(120);

#[derive(Debug, Default)]
struct Kills {
    node: usize,
    broker: usize,
    database: usize,
    subscriber: usize,
}

fn number(name: &str, otherwise: u64) -> u64 {
    std::env::var(name).map_or(otherwise, |text| text.parse().unwrap())
}

/// Kills some of them, in any order and with any pause between, and starts what was killed again.
async fn strike(world: &World, node: &mut Node, address: &str, random: &mut StdRng, kills: &mut Kills) {
    let pause = |random: &mut StdRng| Duration::from_millis(random.random_range(0..600));
    let which: u8 = random.random_range(1..8);
    let (hits_node, hits_broker, hits_database) = (which & 1 != 0, which & 2 != 0, which & 4 != 0);
    if hits_broker {
        world.servers.kill_part(Name::Nats).unwrap();
        kills.broker += 1;
        tokio::time::sleep(pause(random)).await;
    }
    if hits_node {
        node.kill();
        kills.node += 1;
        tokio::time::sleep(pause(random)).await;
    }
    if hits_database {
        world.servers.kill_part(Name::Postgres).unwrap();
        kills.database += 1;
        tokio::time::sleep(pause(random)).await;
        world.start_part(Name::Postgres).await;
    }
    // The broker comes back before the node or after it.
    let broker_first = random.random_bool(0.5);
    if hits_broker && broker_first {
        world.start_part(Name::Nats).await;
    }
    if hits_node {
        *node = Node::start_at(world, address, &["--projector"]).await;
    }
    if hits_broker && !broker_first {
        world.start_part(Name::Nats).await;
    }
}

async fn caught_up(follower: &Follower, head: i64) {
    let deadline = Instant::now() + CATCH_UP_MAX;
    while follower.at() < head {
        assert!(Instant::now() < deadline, "the subscriber is at {}, the log ends at {head}", follower.at());
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

struct Scratch(PathBuf);

impl Drop for Scratch {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_subscriber_sees_one_to_n_whatever_is_killed() {
    let seconds = number("LEDGER_CHAOS_SECONDS", 12);
    let seed = number("LEDGER_CHAOS_SEED", rand::random());
    println!("chaos: seed {seed}, {seconds} s");
    let mut random = StdRng::seed_from_u64(seed);
    let scratch = Scratch(std::env::temp_dir().join(format!("ledgerd-chaos-{}", std::process::id())));
    std::fs::create_dir_all(&scratch.0).unwrap();
    let world = World::start(Parts::All).await;
    let mut node = world.node().await;
    let address = node.address();
    let tenant = world.tenant("chaos");
    let c = node.client(&tenant);
    c.catalogue(&["X"]).await;
    c.receive("X", "100000000", "1").await;
    let file = scratch.0.join("effect.json");
    let mut follower = Follower::start(&world, &node, &tenant, "chaos", &file);
    let load = Load::start(&c, CALLERS);
    let mut kills = Kills::default();
    let end = Instant::now() + Duration::from_secs(seconds);
    while Instant::now() < end {
        tokio::time::sleep(Duration::from_millis(random.random_range(100..2_500))).await;
        if random.random_bool(0.3) {
            follower.abort().await;
            kills.subscriber += 1;
            follower = Follower::start(&world, &node, &tenant, "chaos", &file);
        }
        strike(&world, &mut node, &address, &mut random, &mut kills).await;
    }
    let acknowledged = load.finish().await;
    let head = c.issue("X", "1").await.expect(201).position();
    caught_up(&follower, head).await;
    let (counts, effect) = follower.finish().await;
    let log = Effect::of_log(&c, head).await;
    assert_eq!(effect, log, "seed {seed}");
    assert!(head > i64::try_from(acknowledged.len()).unwrap());
    println!(
        "chaos: {} commands acknowledged, 1..{head} seen once and in order; {kills:?}; since its last start {counts:?}",
        acknowledged.len()
    );
    assert!(kills.node + kills.broker + kills.database > 0, "nothing was killed: seed {seed}");
    fill_again(&world, &node, &tenant, &scratch, head, log).await;
    world.verify_clean("chaos");
}

/// The broker's data is deleted; after `republish` a subscriber that begins from nothing gets all of it from the broker.
async fn fill_again(world: &World, node: &Node, tenant: &Tenant, scratch: &Scratch, head: i64, log: Effect) {
    published(world, tenant.number, head).await;
    lose_broker_data(world).await;
    let started = Instant::now();
    let done = world.ledgerd(&["republish", "--tenant", &tenant.code, "--follow"]);
    let took = started.elapsed();
    assert_eq!((&done["complete"], &done["messages"]), (&true.into(), &head.into()), "{done}");
    let fresh = Follower::start(world, node, tenant, "fresh", &scratch.0.join("fresh.json"));
    caught_up(&fresh, head).await;
    let (counts, effect) = fresh.finish().await;
    assert_eq!(effect, log);
    assert_eq!((counts.from_feed, counts.from_log), (head.unsigned_abs(), 0), "{counts:?}");
    println!(
        "chaos: broker data deleted, {head} messages published again in {took:?}, a new subscriber has them all: {counts:?}"
    );
}
