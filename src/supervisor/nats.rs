//! The private NATS with JetStream: a copy of the log for subscribers, disposable and rebuilt by `republish`.
//!
//! # Correctness
//! - NATS has no Unix socket, so any local user could connect: it gets a random password, kept with the port in `DATA` so that
//!   subscribers find it again after a restart. The port is the kernel's choice, kept while it is free.
//! - From 2.10 each write is synced before it is acknowledged. 2.9 does not know the setting and refuses to start on it; there
//!   a power cut can lose acknowledged messages, and the position gap tells the projector to publish again.

use std::fs::{self, OpenOptions};
use std::io::{ErrorKind, Write};
use std::net::{Ipv4Addr, TcpListener};
use std::os::unix::fs::{OpenOptionsExt, fchown};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result};
use rustix::process::Signal;

use super::Name;
use super::find::{Binary, Version};
use super::place::{self, Place};
use super::process::{Ladder, Launcher, Server};
use super::recipe::{Ready, Recipe};
use super::strays;

const USER: &str = "ledgerd";
const STANDARD_PORT: u16 = 4222;
/// Between our asking for a free port and the server's binding it, another program may take it.
const PORT_ATTEMPTS: usize = 5;
const KNOWS_SYNC_INTERVAL: Version = (2, 10, 0);
const LADDER: Ladder = &[(Signal::TERM, Duration::from_secs(10))];

pub(super) fn start(binary: &Binary, place: &Place, launcher: &Launcher) -> Result<(Recipe, Server)> {
    let dir = place.dir(Name::Nats);
    place.own_folder(&dir)?;
    // Before the port is judged: a server of an earlier run may still hold it.
    strays::clear(Name::Nats, &dir, |_| {})?;
    let mut attempt = 1;
    loop {
        let door = Door::choose(&place.root.join("nats.door"))?;
        let recipe = recipe(binary, place, &door)?;
        match recipe.start(launcher) {
            Ok(server) => return Ok((recipe, server)),
            Err(_) if attempt < PORT_ATTEMPTS && !is_free(door.port) => attempt += 1,
            Err(error) => return Err(error),
        }
    }
}

/// Where clients knock and what they say.
struct Door {
    port: u16,
    password: String,
}

impl Door {
    fn choose(path: &Path) -> Result<Self> {
        let text = fs::read_to_string(path).unwrap_or_default();
        let mut lines = text.lines();
        let port = lines.next().and_then(|line| line.parse().ok()).filter(|port| is_free(*port));
        let password = lines.next().filter(|line| line.len() == 32).map(str::to_owned);
        let door = Self { port: port.map_or_else(free_port, Ok)?, password: password.map_or_else(place::random_hex, Ok)? };
        write_private(path, &format!("{}\n{}\n", door.port, door.password), None)?;
        Ok(door)
    }
}

fn is_free(port: u16) -> bool {
    TcpListener::bind((Ipv4Addr::LOCALHOST, port)).is_ok()
}

fn free_port() -> Result<u16> {
    let choose = || TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).and_then(|listener| listener.local_addr());
    let port = choose().context("no free port for NATS")?.port();
    anyhow::ensure!(port != STANDARD_PORT, "only the standard NATS port is free");
    Ok(port)
}

fn recipe(binary: &Binary, place: &Place, door: &Door) -> Result<Recipe> {
    let dir = place.dir(Name::Nats);
    let config = dir.join("nats.conf");
    write_private(&config, &configuration(binary.version, &dir, door)?, Some((place.user.uid, place.user.gid)))?;
    let address = format!("127.0.0.1:{}", door.port);
    Ok(Recipe {
        name: Name::Nats,
        version: binary.text.clone(),
        url: format!("nats://{USER}:{}@{address}", door.password),
        address,
        program: binary.path.clone(),
        args: vec!["-c".into(), config.into()],
        dir,
        log: place.log(Name::Nats),
        ready: Ready::NatsInfo(door.port),
        ready_limit: Duration::from_secs(120),
        ladder: LADDER,
        // Not by force: it ends in milliseconds, and an untidy end makes the next start check every block.
        at_our_death: Signal::TERM,
        say: |_| {},
        closing: Arc::default(),
    })
}

fn configuration(version: Version, dir: &Path, door: &Door) -> Result<String> {
    let quoted = |path: &Path| -> Result<String> {
        let text = path.to_str().context("the data directory's path is not UTF-8")?;
        anyhow::ensure!(!text.contains(['"', '\\', '\n']), "NATS cannot take the path {text}");
        Ok(format!("\"{text}\""))
    };
    let sync = if version >= KNOWS_SYNC_INTERVAL { "  sync_interval: always\n" } else { "" };
    Ok(format!(
        "# Written by ledgerd at every start.\n\
         listen: \"127.0.0.1:{port}\"\n\
         server_name: ledgerd\n\
         pid_file: {pid_file}\n\
         authorization {{\n  user: {USER}\n  password: \"{password}\"\n}}\n\
         jetstream {{\n  store_dir: {store}\n{sync}}}\n",
        port = door.port,
        password = door.password,
        pid_file = quoted(&strays::pid_file(Name::Nats, dir))?,
        store = quoted(&dir.join("store"))?,
    ))
}

/// Replaces a file that only its owner may read. Created exclusively: in a folder of the servers' user a symbolic link could
/// otherwise lead root elsewhere.
fn write_private(path: &Path, text: &str, owner: Option<(u32, u32)>) -> Result<()> {
    let write = || -> std::io::Result<()> {
        match fs::remove_file(path) {
            Err(error) if error.kind() != ErrorKind::NotFound => return Err(error),
            Ok(()) | Err(_) => {}
        }
        let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(path)?;
        file.write_all(text.as_bytes())?;
        if let Some((uid, gid)) = owner {
            fchown(&file, Some(uid), Some(gid))?;
        }
        Ok(())
    };
    write().with_context(|| format!("cannot write {}", path.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn syncs_every_write_where_the_server_can() {
        let door = Door { port: 1, password: "x".to_owned() };
        let text = |version| configuration(version, Path::new("/d"), &door).unwrap_or_default();
        assert!(!text((2, 9, 10)).contains("sync_interval"));
        assert!(text((2, 10, 0)).contains("sync_interval: always"));
        assert!(configuration((2, 10, 0), Path::new("/a\"b"), &door).is_err());
    }
}
