//! The private Redis: a cache and nothing else. No file is written, no port opened, old keys make room for new ones.

use std::ffi::OsString;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result};
use rustix::process::Signal;

use super::Name;
use super::find::Binary;
use super::place::{self, Place};
use super::process::Ladder;
use super::recipe::{Ready, Recipe};
use super::strays;

const LADDER: Ladder = &[(Signal::TERM, Duration::from_secs(5))];

pub(super) fn recipe(binary: &Binary, place: &Place) -> Result<Recipe> {
    let dir = place.dir(Name::Redis);
    place.own_folder(&dir)?;
    let socket = place.run.join("redis.sock");
    let text = |path: &std::path::Path| path.to_str().map(str::to_owned).context("the data directory's path is not UTF-8");
    let pid_file = text(&strays::pid_file(Name::Redis, &dir))?;
    let settings = [
        ("--port", "0".to_owned()),
        ("--unixsocket", text(&socket)?),
        ("--unixsocketperm", "700".to_owned()),
        ("--dir", text(&dir)?),
        ("--pidfile", pid_file),
        ("--save", String::new()),
        ("--appendonly", "no".to_owned()),
        ("--maxmemory", "512mb".to_owned()),
        ("--maxmemory-policy", "allkeys-lru".to_owned()),
        ("--daemonize", "no".to_owned()),
    ];
    Ok(Recipe {
        name: Name::Redis,
        version: binary.text.clone(),
        url: format!("redis+unix://{}", place::encode(&socket)),
        address: socket.display().to_string(),
        program: binary.path.clone(),
        args: settings.into_iter().flat_map(|(name, value)| [OsString::from(name), OsString::from(value)]).collect(),
        dir,
        log: place.log(Name::Redis),
        ready: Ready::RedisPing(socket),
        ready_limit: Duration::from_secs(20),
        ladder: LADDER,
        at_our_death: Signal::KILL,
        say: |_| {},
        closing: Arc::default(),
    })
}
