//! Finds the servers' programs and their versions.
//!
//! Order: `PATH`, where distributions hide them (Debian keeps Postgres out of `PATH`), Homebrew, then what the install script
//! put into the data directory. Too old a version counts as not found, and is named in the reason.

use std::ffi::OsStr;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use super::Name;
use super::place::Place;

/// Directories outside `PATH` that package managers use.
const ELSEWHERE: [&str; 7] =
    ["/usr/local/sbin", "/usr/local/bin", "/usr/sbin", "/usr/bin", "/opt/homebrew/bin", "/opt/local/bin", "/snap/bin"];
/// Roots whose children hold one Postgres version each: Debian, Red Hat (PGDG), Homebrew on Apple and Intel processors, Alpine.
const POSTGRES_ROOTS: [&str; 5] = ["/usr/lib/postgresql", "/usr", "/opt/homebrew/opt", "/usr/local/opt", "/usr/libexec"];

/// Major, minor, patch. Postgres 15.18 is (15, 18, 0).
pub(super) type Version = (u32, u32, u32);

#[derive(Clone, Debug)]
pub(super) struct Binary {
    pub(super) path: PathBuf,
    pub(super) version: Version,
    /// As the server itself writes it.
    pub(super) text: String,
}

const fn programs(name: Name) -> &'static [&'static str] {
    match name {
        Name::Postgres => &["postgres"],
        Name::Redis => &["redis-server", "valkey-server"],
        Name::Nats => &["nats-server"],
    }
}

/// The oldest version we are tested with.
const fn floor(name: Name) -> Version {
    match name {
        Name::Postgres => (15, 0, 0),
        Name::Redis => (7, 0, 0),
        Name::Nats => (2, 9, 10),
    }
}

/// The binary to use, or the reason why there is none.
pub(super) fn find(name: Name, place: &Place) -> Result<Binary, String> {
    let made_by = match name {
        // The files of one major version cannot be read by another.
        Name::Postgres => {
            fs::read_to_string(place.dir(name).join("PG_VERSION")).ok().and_then(|text| text.trim().parse::<u32>().ok())
        }
        Name::Redis | Name::Nats => None,
    };
    let mut refused = Vec::new();
    for path in candidates(name, place) {
        let Some(binary) = ask(&path) else { continue };
        let complaint = if binary.version < floor(name) {
            Some("too old".to_owned())
        } else if !place.reaches(&path) {
            Some(format!("out of reach for {}", place.user.name))
        } else {
            made_by.filter(|major| *major != binary.version.0).map(|major| format!("the data was made by {major}"))
        };
        match complaint {
            None => return Ok(binary),
            Some(complaint) => refused.push(format!("{} {}: {complaint}", path.display(), binary.text)),
        }
    }
    let wanted = made_by.map_or_else(String::new, |major| format!(" {major}"));
    let refused = if refused.is_empty() { String::new() } else { format!(" ({})", refused.join("; ")) };
    Err(format!("{}{wanted} is not installed{refused}", name.as_str()))
}

/// A program on `PATH`.
pub(super) fn on_path(program: &str) -> Option<PathBuf> {
    path_dirs().into_iter().map(|dir| dir.join(program)).find(|path| path.is_file())
}

fn path_dirs() -> Vec<PathBuf> {
    std::env::var_os("PATH")
        .map(|path| std::env::split_paths(&path).filter(|dir| dir.is_absolute()).collect())
        .unwrap_or_default()
}

fn candidates(name: Name, place: &Place) -> Vec<PathBuf> {
    let mut dirs = path_dirs();
    dirs.extend(ELSEWHERE.map(PathBuf::from));
    if name == Name::Postgres {
        dirs.extend(postgres_dirs());
        dirs.push(place.servers().join("postgres/bin"));
    }
    dirs.push(place.servers().join("bin"));

    let mut found = Vec::new();
    for dir in dirs {
        for program in programs(name) {
            let named = dir.join(program);
            let Ok(real) = named.canonicalize() else { continue };
            let path = match name {
                // Looks for its own files, `initdb` too, relative to where it really lies.
                Name::Postgres => real,
                // Redis is one file under several names, and acts on the name it is called by.
                Name::Redis | Name::Nats => named,
            };
            let whole = name != Name::Postgres || path.with_file_name("initdb").is_file();
            if path.is_file() && whole && !found.contains(&path) {
                found.push(path);
            }
        }
    }
    found
}

/// `…/15/bin`, `pgsql-16/bin`, `postgresql@17/bin`, `postgresql18`: highest version first.
fn postgres_dirs() -> Vec<PathBuf> {
    let mut dirs: Vec<(u32, PathBuf)> = Vec::new();
    for root in POSTGRES_ROOTS {
        for entry in fs::read_dir(root).into_iter().flatten().flatten() {
            if let Some(major) = entry.file_name().to_str().and_then(major_of) {
                dirs.push((major, entry.path().join("bin")));
                dirs.push((major, entry.path()));
            }
        }
    }
    dirs.sort_by_key(|(major, _)| std::cmp::Reverse(*major));
    dirs.into_iter().map(|(_, dir)| dir).collect()
}

fn major_of(folder: &str) -> Option<u32> {
    let rest = ["pgsql-", "postgresql@", "postgresql"].iter().find_map(|prefix| folder.strip_prefix(prefix)).unwrap_or(folder);
    rest.parse().ok()
}

fn ask(path: &Path) -> Option<Binary> {
    let output = Command::new(path).arg(OsStr::new("--version")).output().ok().filter(|output| output.status.success())?;
    let (version, text) = version_in(&String::from_utf8_lossy(&output.stdout))?;
    Some(Binary { path: path.to_owned(), version, text })
}

/// The first number in what a server prints for `--version`.
fn version_in(line: &str) -> Option<(Version, String)> {
    let start = line.find(|letter: char| letter.is_ascii_digit())?;
    let rest = line.get(start..)?;
    let end = rest.find(|letter: char| !letter.is_ascii_digit() && letter != '.').unwrap_or(rest.len());
    let text = rest.get(..end)?.trim_end_matches('.');
    let mut numbers = text.split('.').map(|number| number.parse().unwrap_or(0));
    let mut next = || numbers.next().unwrap_or(0);
    Some(((next(), next(), next()), text.to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_are_read_from_what_servers_print() {
        for (line, version) in [
            ("postgres (PostgreSQL) 15.18 (Debian 15.18-0+deb12u1)\n", (15, 18, 0)),
            ("postgres (PostgreSQL) 19beta1\n", (19, 0, 0)),
            ("Redis server v=7.0.15 sha=00000000:0 malloc=jemalloc-5.3.0 bits=64", (7, 0, 15)),
            ("nats-server: v2.9.10\n", (2, 9, 10)),
        ] {
            assert_eq!(version_in(line).map(|(version, _)| version), Some(version), "{line}");
        }
        assert_eq!(version_in("no number"), None);
    }

    #[test]
    fn folders_name_their_major_version() {
        for (folder, major) in
            [("15", Some(15)), ("pgsql-16", Some(16)), ("postgresql@17", Some(17)), ("postgresql18", Some(18)), ("lib", None)]
        {
            assert_eq!(major_of(folder), major, "{folder}");
        }
    }
}
