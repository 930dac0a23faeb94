//! What the compiler cannot see: absences that must stay absent.

use std::fs;
use std::path::{Path, PathBuf};

fn sources(dir: &str) -> Vec<(PathBuf, String)> {
    fn walk(dir: &Path, out: &mut Vec<(PathBuf, String)>) {
        for entry in fs::read_dir(dir).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                walk(&path, out);
            } else if path.extension().is_some_and(|e| e == "rs" || e == "sql") {
                out.push((path.clone(), fs::read_to_string(&path).unwrap()));
            }
        }
    }
    let mut out = Vec::new();
    walk(&Path::new(env!("CARGO_MANIFEST_DIR")).join(dir), &mut out);
    assert!(!out.is_empty(), "{dir} has no sources");
    out
}

/// Code without line comments, and without the test module at a file's end.
fn code(text: &str) -> String {
    let text = text.split("#[cfg(test)]").next().unwrap_or_default();
    text.lines().map(|l| l.split("//").next().unwrap_or_default()).collect::<Vec<_>>().join("\n")
}

#[test]
fn the_domain_reads_no_clock_socket_file_or_chance_and_has_no_floats() {
    for (path, text) in sources("ledger-core/src/domain") {
        if path.ends_with("tests.rs") || path.components().any(|c| c.as_os_str() == "tests") {
            continue;
        }
        let code = code(&text);
        for word in [
            "SystemTime",
            "Instant",
            "std::fs",
            "std::net",
            "std::env",
            "tokio",
            "sqlx",
            "now_v7",
            "new_v4",
            "rand::",
            "f32",
            "f64",
            ".unwrap()",
            ".expect(",
            "serde_json",
            "async ",
        ] {
            assert!(!code.contains(word), "{}: {word}", path.display());
        }
    }
}

#[test]
fn events_are_only_inserted_and_only_by_the_store() {
    for dir in ["ledger-core/src", "ledger-api/src", "projector/src", "src", "migrations"] {
        for (path, text) in sources(dir) {
            let code = code(&text).to_lowercase();
            let in_store = path.components().any(|c| c.as_os_str() == "store");
            for word in ["update event", "delete from event", "truncate event"] {
                assert!(!code.contains(word), "{}: {word}", path.display());
            }
            let is_bench = path.components().any(|c| c.as_os_str() == "bench");
            if !in_store && !is_bench {
                for word in ["insert into event", "from event ", "join event "] {
                    assert!(!code.contains(word), "{}: {word}", path.display());
                }
            }
        }
    }
}

#[test]
fn sql_is_never_built_from_strings() {
    for dir in ["ledger-core/src", "ledger-api/src", "projector/src", "src"] {
        for (path, text) in sources(dir) {
            let code = code(&text);
            for word in ["query(&format!", "AssertSqlSafe", "query_scalar(&format!", "execute(&format!"] {
                assert!(!code.contains(word), "{}: {word}", path.display());
            }
        }
    }
}

#[test]
fn nothing_is_left_unfinished() {
    for dir in ["ledger-core/src", "ledger-api/src", "projector/src", "src", "tests"] {
        for (path, text) in sources(dir) {
            if path.ends_with("tidy.rs") {
                continue;
            }
            for word in ["todo!(", "unimplemented!(", "FIXME", "TODO", "#[ignore", "dbg!("] {
                assert!(!text.contains(word), "{}: {word}", path.display());
            }
        }
    }
}

/// Tables of the whole installation, which are no tenant's: who the tenants are; which projectors run and who works for
/// which shard of the tenants; which fold made the views' rows. Small, and the same for everyone.
const CLUSTER_WIDE: [&str; 4] = ["tenant", "projector_member", "projector_lease", "view_version"];

/// Distribution by tenant stays possible: every key of a tenant's table begins with `tenant_id`, nothing draws numbers
/// from a sequence, nothing hangs on a trigger.
#[test]
fn the_schema_can_be_distributed_by_tenant() {
    let schema: String = sources("migrations").into_iter().map(|(_, text)| text.to_lowercase()).collect();
    // A type stands after a column's name; a column may well be called `serial`.
    let types = schema.lines().filter_map(|line| line.split_whitespace().nth(1));
    assert_eq!(types.filter(|t| t.trim_end_matches(',').ends_with("serial")).collect::<Vec<_>>(), Vec::<&str>::new());
    for word in ["generated ", "create trigger", "create sequence", "nextval"] {
        assert!(!schema.contains(word), "{word}");
    }
    let tables = schema.split("create table ").skip(1);
    for table in tables {
        let (name, rest) = table.split_once(' ').unwrap();
        let body = rest.split(';').next().unwrap();
        if CLUSTER_WIDE.contains(&name) {
            continue;
        }
        for key in body.split("primary key").skip(1).chain(body.split("unique").skip(1)) {
            let key = key.trim_start();
            assert!(!key.starts_with('(') || key.starts_with("(tenant_id"), "{name}: key {key:.40}");
        }
        assert!(
            body.trim_start().trim_start_matches('(').trim_start().starts_with("tenant_id"),
            "{name} does not begin with tenant_id"
        );
    }
}
