//! Where the servers live, and as whom.
//!
//! As root, `DATA` belongs to root and its group is the servers' (0710: they may pass through, not look or write); each
//! server's own folder belongs to the servers' user alone. As an ordinary user all of it is that user's, 0700.

use std::fs::{self, DirBuilder, File};
use std::io::Read;
use std::os::unix::fs::{DirBuilderExt, MetadataExt, PermissionsExt, chown};
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result};
use rustix::process::{getegid, geteuid, test_kill_process};

use super::{Lifetime, Name, Options, lock, process};

/// `sun_path` holds 104 bytes on macOS and 108 on Linux, the closing zero included.
const SOCKET_PATH_MAX: usize = 100;
const LONGEST_SOCKET: &str = ".s.PGSQL.5432";

const EPHEMERAL_PREFIX: &str = "ledgerd-test-";

/// Whom the servers run as.
#[derive(Clone, Debug)]
pub(super) struct User {
    pub(super) uid: u32,
    pub(super) gid: u32,
    pub(super) name: String,
}

impl User {
    /// Must ids be dropped to become this user?
    pub(super) fn is_other(&self) -> bool {
        geteuid().as_raw() != self.uid
    }
}

#[derive(Clone, Debug)]
pub(super) struct Place {
    pub(super) root: PathBuf,
    pub(super) user: User,
    pub(super) lifetime: Lifetime,
    /// Holds the sockets; under `root` unless that path is too long for a socket.
    pub(super) run: PathBuf,
}

pub(super) const fn folder(name: Name) -> &'static str {
    match name {
        Name::Postgres => "postgres",
        Name::Redis => "redis",
        Name::Nats => "nats",
    }
}

impl Place {
    pub(super) fn prepare(options: &Options) -> Result<Self> {
        let root = match options.lifetime {
            Lifetime::Kept => resolve(options.data_dir.as_deref())?,
            Lifetime::Ephemeral => ephemeral()?,
        };
        let user = servers_user(&root)?;
        refuse_unreachable(&root, &user)?;
        make_root(&root, &user)?;
        // Short and free of links: servers report this path and we compare it with theirs.
        let root = root.canonicalize().with_context(|| format!("cannot resolve {}", root.display()))?;
        refuse_unreachable(&root, &user)?;

        let run = run_dir(&root);
        let place = Self { root, user, lifetime: options.lifetime, run };
        place.own_folder(&place.run)?;
        mkdir(&place.log_dir(), 0o700)?;
        Ok(place)
    }

    pub(super) fn dir(&self, name: Name) -> PathBuf {
        self.root.join(folder(name))
    }

    pub(super) fn log_dir(&self) -> PathBuf {
        self.root.join("log")
    }

    pub(super) fn log(&self, name: Name) -> PathBuf {
        self.log_dir().join(folder(name)).with_extension("log")
    }

    /// What the install script puts here is searched last.
    pub(super) fn servers(&self) -> PathBuf {
        self.root.join("servers")
    }

    pub(super) fn lock_path(&self) -> PathBuf {
        self.root.join(lock::FILE)
    }

    /// A folder of the servers' user that nobody else can enter.
    pub(super) fn own_folder(&self, path: &Path) -> Result<()> {
        mkdir(path, 0o700)?;
        let found = fs::symlink_metadata(path).with_context(|| format!("cannot look at {}", path.display()))?;
        // Matters in /tmp, where anybody could have made this name first.
        let ours = found.uid() == self.user.uid || found.uid() == geteuid().as_raw();
        anyhow::ensure!(found.is_dir() && ours, "{} is not a directory of user {}", path.display(), self.user.name);
        if found.uid() != self.user.uid {
            chown(path, Some(self.user.uid), Some(self.user.gid))
                .with_context(|| format!("cannot give {} to {}", path.display(), self.user.name))?;
        }
        if found.mode() & 0o777 != 0o700 {
            fs::set_permissions(path, fs::Permissions::from_mode(0o700))
                .with_context(|| format!("cannot close {}", path.display()))?;
        }
        Ok(())
    }

    /// Could the servers' user execute this, by the path given and where links lead?
    pub(super) fn reaches(&self, path: &Path) -> bool {
        let open = |path: &Path| path.parent().is_none_or(|parent| closed_ancestor(parent, &self.user).is_none());
        open(path) && path.canonicalize().is_ok_and(|real| open(&real))
    }

    pub(super) fn remove(&self) -> Result<()> {
        if !self.run.starts_with(&self.root) {
            let _ = fs::remove_dir_all(&self.run);
        }
        fs::remove_dir_all(&self.root).with_context(|| format!("cannot remove {}", self.root.display()))
    }
}

/// The data directory to use, absolute; nothing is created.
pub(super) fn resolve(given: Option<&Path>) -> Result<PathBuf> {
    if let Some(dir) = given {
        return std::path::absolute(dir).with_context(|| format!("cannot make {} absolute", dir.display()));
    }
    if geteuid().is_root() {
        // Not under /root: that is closed to the servers' user.
        return Ok(PathBuf::from("/var/lib/ledgerd"));
    }
    let absolute = |name| std::env::var_os(name).map(PathBuf::from).filter(|path| path.is_absolute());
    let base = absolute("XDG_DATA_HOME").or_else(|| absolute("HOME").map(|home| home.join(".local/share")));
    base.map(|base| base.join("ledgerd")).context("neither XDG_DATA_HOME nor HOME is set: give --data-dir")
}

/// A fresh name under the temporary directory. Directories of dead test runs are swept on the way.
fn ephemeral() -> Result<PathBuf> {
    let base = std::env::temp_dir();
    sweep(&base);
    Ok(base.join(format!("{EPHEMERAL_PREFIX}{}-{}", std::process::id(), &random_hex()?[..8])))
}

fn sweep(base: &Path) {
    let Ok(entries) = fs::read_dir(base) else { return };
    for entry in entries.flatten() {
        let name = entry.file_name();
        let Some(rest) = name.to_str().and_then(|name| name.strip_prefix(EPHEMERAL_PREFIX)) else { continue };
        let maker = rest.split('-').next().and_then(|pid| pid.parse().ok()).and_then(process::pid);
        let alive = maker.is_some_and(|pid| !matches!(test_kill_process(pid), Err(rustix::io::Errno::SRCH)));
        let ours = entry.metadata().is_ok_and(|found| found.is_dir() && found.uid() == geteuid().as_raw());
        // The lock says if something still runs there, whatever became of the process that made it.
        if ours && !alive && lock::Lock::take(&entry.path().join(lock::FILE)).is_ok() {
            let _ = fs::remove_dir_all(entry.path());
        }
    }
}

/// Ourselves, or as root an unprivileged user: the one that owns the data already there, else `postgres`, else `nobody`.
fn servers_user(root: &Path) -> Result<User> {
    if !geteuid().is_root() {
        return Ok(User { uid: geteuid().as_raw(), gid: getegid().as_raw(), name: "the present user".to_owned() });
    }
    let data = fs::symlink_metadata(root.join(folder(Name::Postgres)));
    if let Some(data) = data.ok().filter(|data| data.uid() != 0) {
        return Ok(User { uid: data.uid(), gid: data.gid(), name: format!("uid {}", data.uid()) });
    }
    ["postgres", "nobody"].into_iter().find_map(look_up).context("no user `postgres` or `nobody`: servers must not run as root")
}

fn look_up(name: &str) -> Option<User> {
    let id = |flag: &str| -> Option<u32> {
        let output = Command::new("id").args([flag, name]).output().ok()?;
        String::from_utf8(output.stdout).ok()?.trim().parse().ok()
    };
    let passwd = fs::read_to_string("/etc/passwd").unwrap_or_default();
    let line = passwd.lines().find_map(|line| {
        let fields: Vec<&str> = line.split(':').collect();
        match fields.as_slice() {
            [user, _, uid, gid, ..] if *user == name => Some((uid.parse().ok()?, gid.parse().ok()?)),
            _ => None,
        }
    });
    // Users may live in a directory service, on macOS they do.
    let (uid, gid) = line.or_else(|| Some((id("-u")?, id("-g")?)))?;
    (uid != 0).then(|| User { uid, gid, name: name.to_owned() })
}

fn refuse_unreachable(root: &Path, user: &User) -> Result<()> {
    if let Some(closed) = root.parent().and_then(|parent| closed_ancestor(parent, user)) {
        anyhow::bail!(
            "the servers run as {}, who may not pass through {}: choose a data directory elsewhere, for example --data-dir /var/lib/ledgerd",
            user.name,
            closed.display()
        );
    }
    Ok(())
}

/// The first directory on the way down to `path`, itself included, that the user may not pass through.
fn closed_ancestor(path: &Path, user: &User) -> Option<PathBuf> {
    let mut way: Vec<&Path> = path.ancestors().collect();
    way.reverse();
    way.into_iter()
        .find(|step| fs::metadata(step).is_ok_and(|found| !passes(found.mode(), found.uid(), found.gid(), user)))
        .map(Path::to_path_buf)
}

const fn passes(mode: u32, uid: u32, gid: u32, user: &User) -> bool {
    let bit = if user.uid == uid {
        0o100
    } else if user.gid == gid {
        0o010
    } else {
        0o001
    };
    mode & bit != 0
}

fn make_root(root: &Path, user: &User) -> Result<()> {
    let context = || format!("cannot create {}: give --data-dir", root.display());
    if let Some(parent) = root.parent() {
        fs::create_dir_all(parent).with_context(context)?;
    }
    let used = fs::read_dir(root).is_ok_and(|mut entries| entries.next().is_some());
    let foreign = fs::metadata(root).ok().map(|found| found.uid()).filter(|owner| *owner != geteuid().as_raw());
    if let Some(owner) = foreign {
        // An empty one was made for us to use.
        anyhow::ensure!(
            geteuid().is_root() && !used,
            "{} belongs to another user (uid {owner}): choose another data directory",
            root.display()
        );
        chown(root, Some(0), None).with_context(|| format!("cannot take {}", root.display()))?;
    }
    if used && !root.join(lock::FILE).exists() {
        anyhow::bail!("{} is not empty and not made by ledgerd: choose another data directory", root.display());
    }
    mkdir(root, 0o700).with_context(context)?;
    if user.is_other() {
        chown(root, None, Some(user.gid)).with_context(|| format!("cannot give {} to group {}", root.display(), user.gid))?;
        fs::set_permissions(root, fs::Permissions::from_mode(0o710)).with_context(context)?;
    }
    Ok(())
}

fn mkdir(path: &Path, mode: u32) -> Result<()> {
    match DirBuilder::new().mode(mode).create(path) {
        Err(error) if error.kind() != std::io::ErrorKind::AlreadyExists => {
            Err(error).with_context(|| format!("cannot create {}", path.display()))
        }
        Ok(()) | Err(_) => Ok(()),
    }
}

fn run_dir(root: &Path) -> PathBuf {
    let near = root.join("run");
    if near.join(LONGEST_SOCKET).as_os_str().len() <= SOCKET_PATH_MAX {
        return near;
    }
    // Stable, so that the address survives a restart: FNV-1a of the path.
    let hash = root
        .as_os_str()
        .as_encoded_bytes()
        .iter()
        .fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3));
    PathBuf::from(format!("/tmp/ledgerd-{hash:016x}"))
}

/// 128 random bits.
pub(super) fn random_hex() -> Result<String> {
    let mut bytes = [0_u8; 16];
    File::open("/dev/urandom").and_then(|mut file| file.read_exact(&mut bytes)).context("cannot read /dev/urandom")?;
    Ok(bytes.iter().map(|byte| format!("{byte:02x}")).collect())
}

/// Memory that we may use: the machine's, or less in a container.
pub(super) fn memory_mb() -> u64 {
    let meminfo = fs::read_to_string("/proc/meminfo").unwrap_or_default();
    let machine = meminfo
        .lines()
        .find_map(|line| line.strip_prefix("MemTotal:"))
        .and_then(|rest| rest.trim().trim_end_matches("kB").trim().parse::<u64>().ok())
        .map(|kb| kb / 1024);
    let sysctl = || {
        let output = Command::new("sysctl").args(["-n", "hw.memsize"]).output().ok()?;
        String::from_utf8(output.stdout).ok()?.trim().parse::<u64>().ok().map(|bytes| bytes / 1024 / 1024)
    };
    let limit = fs::read_to_string("/sys/fs/cgroup/memory.max").ok().and_then(|text| text.trim().parse::<u64>().ok());
    let machine = machine.or_else(sysctl).unwrap_or(1024);
    limit.map_or(machine, |bytes| machine.min(bytes / 1024 / 1024))
}

/// The part of a URL that may be shown: no user, no password, no parameters but a socket's directory.
pub(super) fn address_of(url: &str) -> String {
    let one = |url: &str| {
        let rest = url.split_once("://").map_or(url, |(_, rest)| rest);
        let (rest, query) = rest.split_once('?').unwrap_or((rest, ""));
        let (authority, path) = rest.split_once('/').unwrap_or((rest, ""));
        let host = authority.rsplit_once('@').map_or(authority, |(_, host)| host);
        let socket = query.split('&').find_map(|pair| pair.strip_prefix("host="));
        match (socket, host) {
            (Some(socket), _) => socket.replace("%2F", "/"),
            (None, "") => format!("/{path}"),
            (None, host) => host.to_owned(),
        }
    };
    url.split(',').map(one).collect::<Vec<_>>().join(",")
}

/// Percent-encodes a path for a URL, the slashes stay.
pub(super) fn encode(path: &Path) -> String {
    path.as_os_str().as_encoded_bytes().iter().fold(String::new(), |mut text, byte| {
        match byte {
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'/' | b'-' | b'.' | b'_' | b'~' => text.push(char::from(*byte)),
            _ => text.push_str(&format!("%{byte:02X}")),
        }
        text
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shown_addresses_hold_no_secret() {
        for (url, shown) in [
            ("postgres://me:secret@db.example:5433/ledger?sslmode=require", "db.example:5433"),
            ("postgres://me@localhost/ledger?host=/run/x&port=5432", "/run/x"),
            ("postgres://me@localhost/ledger?host=%2Frun%2Fx", "/run/x"),
            ("redis+unix:///run/redis.sock", "/run/redis.sock"),
            ("redis://:p@ss@cache:6379/1", "cache:6379"),
            ("nats://token@a:4222,nats://u:p@b:4222", "a:4222,b:4222"),
            ("nats://localhost", "localhost"),
        ] {
            assert_eq!(address_of(url), shown, "{url}");
        }
    }

    #[test]
    fn a_socket_path_stays_short_and_stable() {
        let long = PathBuf::from(format!("/{}", "x".repeat(120)));
        assert_eq!(run_dir(&long), run_dir(&long));
        assert!(run_dir(&long).join(LONGEST_SOCKET).as_os_str().len() <= SOCKET_PATH_MAX);
        assert_eq!(run_dir(Path::new("/var/lib/ledgerd")), Path::new("/var/lib/ledgerd/run"));
    }

    #[test]
    fn owner_group_and_others_are_judged_by_their_own_bit() {
        let user = User { uid: 7, gid: 8, name: String::new() };
        assert!(passes(0o700, 7, 0, &user));
        assert!(!passes(0o077, 7, 0, &user), "the owner does not profit from the others' bit");
        assert!(passes(0o710, 0, 8, &user));
        assert!(!passes(0o700, 0, 0, &user));
        assert!(passes(0o755, 0, 0, &user));
    }
}
