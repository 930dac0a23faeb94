//! Checkpoints and proofs as an auditor gets them: through HTTP and from a witness, checked with `ct-merkle` and with a
//! verifier key alone.

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use ct_merkle::digest::array::Array;
use ct_merkle::{ConsistencyProof, InclusionProof, RootHash};
use ledger_core::audit::checkpoint::Checkpoint;
use ledger_core::audit::merkle::{Frontier, Hash};
use ledger_core::audit::note::{self, Verifier};
use ledger_core::audit::tree::{Nodes, Subtree};
use ledger_core::domain::id::TenantId;
use ledger_core::store::read;
use serde_json::{Value, json};
use sha2::Sha256;

use crate::harness::s3::S3;
use crate::harness::{Client, Node, Parts, Tenant, World};

/// Longest wait for what happens in the background.
const BACKGROUND_SECONDS_MAX: u64 = 30;

/// A folder that is gone when dropped.
struct Dir(PathBuf);

impl Dir {
    fn new(name: &str) -> Self {
        let dir = std::env::temp_dir().join(format!("ledgerd-proofs-{name}-{}", std::process::id()));
        let _ = std::fs::remove_dir_all(&dir);
        std::fs::create_dir_all(&dir).unwrap();
        Self(dir)
    }

    fn path(&self, name: &str) -> String {
        self.0.join(name).to_str().unwrap().to_owned()
    }
}

impl Drop for Dir {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

fn hash(hex: &Value) -> Hash {
    let text = hex.as_str().unwrap_or_else(|| panic!("no hash: {hex}"));
    let bytes: Vec<u8> = (0..32).map(|at| u8::from_str_radix(&text[at * 2..at * 2 + 2], 16).unwrap()).collect();
    bytes.try_into().unwrap()
}

fn hashes(list: &Value) -> Vec<Hash> {
    list.as_array().unwrap().iter().map(hash).collect()
}

fn root(hex: &Value, size: u64) -> RootHash<Sha256> {
    RootHash::new(hash(hex).into(), size)
}

/// An answer's inclusion proof, checked by the other implementation from the leaf's bytes on.
fn check_inclusion(proof: &Value) {
    let (index, size) = (proof["index"].as_u64().unwrap(), proof["size"].as_u64().unwrap());
    let leaf = BASE64.decode(proof["leaf"].as_str().unwrap()).unwrap();
    let path = InclusionProof::from_digests(hashes(&proof["path"]).iter().map(<&Array<u8, _>>::from));
    let root_key = if proof["balances_root"].is_string() { "balances_root" } else { "root" };
    root(&proof[root_key], size).verify_inclusion(&leaf, index, &path).unwrap_or_else(|e| panic!("{e}: {proof}"));
    let mut other = leaf;
    other[0] ^= 1;
    assert!(root(&proof[root_key], size).verify_inclusion(&other, index, &path).is_err());
}

fn check_consistency(proof: &Value) {
    let (from, to) = (proof["from"].as_u64().unwrap(), proof["to"].as_u64().unwrap());
    let path = ConsistencyProof::from_digests(hashes(&proof["path"]).iter().map(<&Array<u8, _>>::from));
    let (older, newer) = (root(&proof["from_root"], from), root(&proof["to_root"], to));
    newer.verify_consistency(&older, &path).unwrap_or_else(|e| panic!("{e}: {proof}"));
}

async fn inclusion(c: &Client, position: i64, size: Option<i64>) -> Value {
    let size = size.map_or(String::new(), |size| format!("&size={size}"));
    c.get(&format!("/v1/audit/proofs/inclusion?position={position}{size}")).await.expect(200).json
}

async fn consistency(c: &Client, from: i64, to: i64) -> Value {
    c.get(&format!("/v1/audit/proofs/consistency?from={from}&to={to}")).await.expect(200).json
}

/// At least so many events; answers how many there are.
async fn fill(c: &Client, count: usize) -> i64 {
    c.catalogue(&["A"]).await;
    let receipt = |n: usize| json!({"id": format!("fill-{n}"), "type": "receive", "sku": "A", "location": "MAIN", "quantity": "1", "unit_cost": "2"});
    for chunk in (0..count).collect::<Vec<_>>().chunks(1_000) {
        let commands: Vec<Value> = chunk.iter().map(|n| receipt(*n)).collect();
        let done = c.post("/v1/batches", &json!({"commands": commands})).await.expect(200).json;
        assert!(done["results"].as_array().unwrap().iter().all(|r| r["status"] == 201), "{:.300}", done.to_string());
    }
    c.receive("A", "1", "1").await.position()
}

/// A key's file, and its public half.
fn new_key(world: &World, dir: &Dir) -> (String, Verifier) {
    let file = dir.path("signing.keys");
    let made = world.ledgerd(&["checkpoint", "key", "new", "--signing-keys", &file]);
    assert!(!made.to_string().contains("PRIVATE"), "{made}");
    (file, made["verifier_keys"][0].as_str().unwrap().parse().unwrap())
}

/// Every event's leaf hash, as the rows are now.
async fn leaves(world: &World, tenant: &Tenant) -> Vec<Hash> {
    let mut owner = world.owner().await;
    let rows = read::raw_page(&mut owner, TenantId(tenant.number), 0, i64::MAX).await.unwrap();
    rows.iter().map(|row| row.leaf_hash(&mut Vec::new())).collect()
}

/// Writes the nodes over complete runs of 256 events, unless they are there.
async fn write_nodes(world: &World, tenant: &Tenant) {
    let (leaves, mut owner) = (leaves(world, tenant).await, world.owner().await);
    let nodes = Nodes::of_leaves(leaves.iter().copied());
    for index in 0..i64::try_from(leaves.len() / 256).unwrap() {
        let hash = nodes.get(Subtree::stored(1, index.unsigned_abs())).unwrap();
        sqlx::query("INSERT INTO view_tree_node (tenant_id, level, index, hash) VALUES ($1, 1, $2, $3) ON CONFLICT DO NOTHING")
            .bind(tenant.number)
            .bind(index)
            .bind(hash.as_slice())
            .execute(&mut owner)
            .await
            .unwrap();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn proofs_are_checked_by_another_implementation() {
    let world = World::start(Parts::Database).await;
    let node = world.node().await;
    let tenant = world.tenant("acme");
    let c = node.client(&tenant);
    let head = fill(&c, 1_400).await;

    // Twice: from the log alone, and with the nodes of the tree.
    for with_nodes in [false, true] {
        if with_nodes {
            write_nodes(&world, &tenant).await;
        }
        for position in [1, 2, 3, 255, 256, 257, 512, 700, head - 1, head] {
            let proof = inclusion(&c, position, None).await;
            assert_eq!((proof["position"].as_i64(), proof["size"].as_i64()), (Some(position), Some(head)));
            check_inclusion(&proof);
            for size in [position, (position + head) / 2, (position + 255).min(head)] {
                let proof = inclusion(&c, position, Some(size)).await;
                assert_eq!(proof["size"].as_i64(), Some(size));
                check_inclusion(&proof);
                let grown = consistency(&c, size, head).await;
                assert_eq!((&grown["from_root"], &grown["to_root"]), (&proof["root"], &inclusion(&c, 1, None).await["root"]));
                check_consistency(&grown);
            }
        }
        for (from, to) in [(1, 1), (1, 2), (255, 256), (256, 512), (300, 1_000), (1, head), (head - 1, head), (head, head)] {
            check_consistency(&consistency(&c, from, to).await);
        }
    }

    // The leaf is the whole row: the event's own payload is in it.
    let third = inclusion(&c, 3, None).await;
    let again = c.send(c.request(reqwest::Method::GET, "/v1/audit/proofs/inclusion?position=3&size=9")).await.expect(200);
    assert_eq!(again.json["leaf"], third["leaf"]);
    let tag = again.header("etag").to_owned();
    assert!(tag.starts_with("\"9-"), "{tag}");
    let known = c.request(reqwest::Method::GET, "/v1/audit/proofs/inclusion?position=3&size=9").header("if-none-match", tag);
    assert_eq!(c.send(known).await.status, 304);

    for bad in [
        "inclusion",
        "inclusion?position=0",
        "inclusion?position=-1",
        "inclusion?position=x",
        "inclusion?position=2&size=1",
        "inclusion?position=1&size=0",
        "inclusion?position=1&size=999999999",
        "inclusion?position=1&position=2",
        "inclusion?position=1&other=2",
        "inclusion?position=9223372036854775807",
        "consistency?from=0&to=1",
        "consistency?from=2&to=1",
        "consistency?from=1&to=999999999",
        "consistency?to=1",
        "seal?period=2026-13&account=1400",
        "seal?period=2026-01",
    ] {
        c.get(&format!("/v1/audit/proofs/{bad}")).await.refused(400, "parameter_invalid");
    }
    c.get("/v1/audit/proofs/seal?period=2026-01&account=1400").await.refused(409, "period_not_closed");
    // Without a key nothing is signed, and that is said.
    for path in ["checkpoint", "keys"] {
        c.get(&format!("/v1/audit/{path}")).await.refused(503, "no_signing_key");
    }

    // A node that was changed proves nothing any more.
    let mut owner = world.owner().await;
    let damage = "UPDATE view_tree_node SET hash = sha256(hash) WHERE tenant_id = $1 AND level = 1 AND index = 2";
    assert_eq!(sqlx::query(damage).bind(tenant.number).execute(&mut owner).await.unwrap().rows_affected(), 1);
    c.get("/v1/audit/proofs/inclusion?position=1").await.refused(500, "log_damaged");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_forged_row_is_not_proven() {
    let world = World::start(Parts::Database).await;
    let node = world.node().await;
    let (tenant, other) = (world.tenant("acme"), world.tenant("other"));
    let (c, o) = (node.client(&tenant), node.client(&other));
    let head = fill(&c, 300).await;
    fill(&o, 3).await;
    let mut owner = world.owner().await;
    for (sql, position) in [
        ("UPDATE event SET recorded_at = recorded_at + 1 WHERE tenant_id = $1 AND position = $2", 20),
        // Its check value is mended, too.
        ("UPDATE event SET leaf_check = leaf_check + 1 WHERE tenant_id = $1 AND position = $2", 290),
        ("DELETE FROM event WHERE tenant_id = $1 AND position = $2", head),
    ] {
        let backup = "CREATE TEMPORARY TABLE kept AS SELECT * FROM event WHERE tenant_id = $1";
        sqlx::query(backup).bind(tenant.number).execute(&mut owner).await.unwrap();
        check_inclusion(&inclusion(&c, position, None).await);
        let done = sqlx::query(sql).bind(tenant.number).bind(position).execute(&mut owner).await.unwrap();
        assert_eq!(done.rows_affected(), 1, "{sql}");
        for size in [position, head] {
            let path = format!("/v1/audit/proofs/inclusion?position={position}&size={size}");
            let refused = c.get(&path).await.refused(500, "log_damaged");
            assert!(!refused.text.contains("acme"), "what is damaged is for the log, not for the answer: {}", refused.text);
        }
        sqlx::query("DELETE FROM event WHERE tenant_id = $1").bind(tenant.number).execute(&mut owner).await.unwrap();
        sqlx::query("INSERT INTO event SELECT * FROM kept").execute(&mut owner).await.unwrap();
        sqlx::query("DROP TABLE kept").execute(&mut owner).await.unwrap();
    }
    check_inclusion(&inclusion(&c, 20, None).await);

    // A whole history forged with its check values mended still has another root.
    let mut rows = read::raw_page(&mut owner, TenantId(tenant.number), 49, 1).await.unwrap();
    let row = &mut rows[0];
    row.recorded_at.0 += 1;
    let check = ledger_core::audit::leaf::check(&row.leaf_hash(&mut Vec::new()));
    let forge = "UPDATE event SET recorded_at = $3, leaf_check = $4 WHERE tenant_id = $1 AND position = $2";
    let forged = sqlx::query(forge).bind(tenant.number).bind(50).bind(row.recorded_at.0).bind(check);
    forged.execute(&mut owner).await.unwrap();
    c.get("/v1/audit/proofs/inclusion?position=50").await.refused(500, "log_damaged");
    // Another tenant's log is as it was.
    check_inclusion(&inclusion(&o, 2, None).await);
}

#[tokio::test(flavor = "multi_thread")]
async fn checkpoints_are_opened_with_a_verifier_key_alone() {
    let (world, dir) = (World::start(Parts::Database).await, Dir::new("keys"));
    let (file, first) = new_key(&world, &dir);
    let arguments = ["--signing-keys", &file];
    let node = Node::start(&world, &arguments).await;
    let (tenant, other) = (world.tenant("acme"), world.tenant("other"));
    let (c, o) = (node.client(&tenant), node.client(&other));
    let head = fill(&c, 20).await;

    let answer = c.get("/v1/audit/checkpoint").await.expect(200);
    let (body, text) = (&answer.json, answer.json["note"].as_str().unwrap());
    let known = std::slice::from_ref(&first);
    let (checkpoint, signed_by) = Checkpoint::open(text, known, "ledgerd/acme").unwrap();
    assert_eq!(i64::try_from(checkpoint.size).unwrap(), head);
    assert_eq!((checkpoint.root, signed_by), (hash(&body["root"]), vec![first.id().clone()]));
    assert_eq!(body["root_base64"], json!(BASE64.encode(checkpoint.root)));
    assert_eq!((answer.header("ledger-position"), body["origin"].as_str()), (&*head.to_string(), Some("ledgerd/acme")));
    assert_eq!(inclusion(&c, 1, Some(head)).await["root"], body["root"]);
    assert!(Checkpoint::open(text, known, "ledgerd/other").is_err(), "another tenant's origin");
    let plain = c.request(reqwest::Method::GET, "/v1/audit/checkpoint").header("accept", "text/plain");
    let plain = c.send(plain).await.expect(200);
    assert_eq!((plain.text.as_str(), plain.header("content-type")), (text, "text/plain; charset=utf-8"));

    // The same size has the same note; a grown log has another, and leads from the older one.
    assert_eq!(c.get("/v1/audit/checkpoint").await.expect(200).json, *body);
    c.receive("A", "1", "1").await;
    let grown = c.get("/v1/audit/checkpoint").await.expect(200).json;
    let proof = consistency(&c, head, grown["size"].as_i64().unwrap()).await;
    assert_eq!((&proof["from_root"], &proof["to_root"]), (&body["root"], &grown["root"]));
    check_consistency(&proof);
    let page = c.get("/v1/audit/checkpoints?limit=1").await.expect(200);
    assert_eq!((page.json["data"].as_array().unwrap().len(), &page.json["data"][0]), (1, &grown));
    let cursor = page.json["next_cursor"].as_str().unwrap();
    let second = c.get(&format!("/v1/audit/checkpoints?limit=1&cursor={cursor}")).await.expect(200).json;
    assert_eq!((&second["data"][0], second.get("next_cursor")), (body, None));
    o.get(&format!("/v1/audit/checkpoints?limit=1&cursor={cursor}")).await.refused(400, "cursor_invalid");
    let others = o.get("/v1/audit/checkpoints").await.expect(200).json;
    assert_eq!(others["data"], json!([]), "another tenant's checkpoints are its own");

    // Rotation: the running node takes the new key, and the old one still opens what is signed.
    let rotated = world.ledgerd(&["checkpoint", "key", "rotate", "--signing-keys", &file]);
    assert!(!rotated.to_string().contains("PRIVATE"), "{rotated}");
    let second: Verifier = rotated["verifier_keys"][0].as_str().unwrap().parse().unwrap();
    let keys = wait_for(async || {
        let keys = c.get("/v1/audit/keys").await.expect(200).json;
        (keys["verifier_keys"].as_array().unwrap().len() == 2).then_some(keys)
    })
    .await;
    assert_eq!(keys["verifier_keys"], json!([second.to_string(), first.to_string()]));
    let statement = keys["rotations"][0]["statement"].as_str().unwrap();
    let opened = note::open(statement, known).unwrap();
    assert!(opened.text.contains(&second.to_string()), "the old key leads to the new one: {statement}");
    // The head has not moved: the same text, now signed by both.
    let resigned = c.get("/v1/audit/checkpoint").await.expect(200).json;
    for key in [&first, &second] {
        let (checkpoint, _) =
            Checkpoint::open(resigned["note"].as_str().unwrap(), std::slice::from_ref(key), "ledgerd/acme").unwrap();
        assert_eq!(checkpoint.root, hash(&grown["root"]));
    }

    let (code, out, err) = world.ledgerd_any(&["checkpoint", "verify", "--tenant", "acme", "--signing-keys", &file]);
    assert_eq!(code, 0, "{out}{err}");
    let looked: Value = serde_json::from_str(&out).unwrap();
    assert_eq!(looked.as_array().unwrap().len(), 2, "{looked}");
    let (code, out, _) = world.ledgerd_any(&["checkpoint", "show", "--tenant", "acme"]);
    let shown: Value = serde_json::from_str(&out).unwrap();
    assert_eq!((code, &shown["root"]), (0, &grown["root"]));
    // A file that others can read is refused.
    std::fs::set_permissions(&file, std::os::unix::fs::PermissionsExt::from_mode(0o644)).unwrap();
    let (code, out, err) = world.ledgerd_any(&["checkpoint", "key", "list", "--signing-keys", &file]);
    assert_eq!(code, 1, "{out}");
    assert!(err.contains("chmod 600"), "{err}");
}

async fn wait_for<T>(mut look: impl AsyncFnMut() -> Option<T>) -> T {
    let deadline = Instant::now() + Duration::from_secs(BACKGROUND_SECONDS_MAX);
    loop {
        if let Some(found) = look().await {
            return found;
        }
        assert!(Instant::now() < deadline, "it did not happen in {BACKGROUND_SECONDS_MAX} s");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

/// `000/000/000/001/234` below a tenant's folder.
fn name_of(size: i64) -> String {
    let digits = format!("{size:015}");
    [0, 3, 6, 9, 12].map(|at| digits[at..at + 3].to_owned()).join("/")
}

/// Takes the last events away as somebody with the database's rights would, leaving nothing that contradicts itself.
async fn cut(world: &World, tenant: &Tenant, keep: i64) {
    let mut owner = world.owner().await;
    let mut tree = Frontier::default();
    for leaf in leaves(world, tenant).await.into_iter().take(usize::try_from(keep).unwrap()) {
        tree.push(leaf);
    }
    for sql in [
        "DELETE FROM event WHERE tenant_id = $1 AND position > $2",
        "DELETE FROM checkpoint WHERE tenant_id = $1 AND size > $2",
        "DELETE FROM view_tree_node WHERE tenant_id = $1 AND (index + 1) * 256 > $2",
        "UPDATE trail_cursor SET position = least(position, $2) WHERE tenant_id = $1",
    ] {
        sqlx::query(sql).bind(tenant.number).bind(keep).execute(&mut owner).await.unwrap();
    }
    sqlx::query("UPDATE tenant_head SET position = $2, frontier = $3 WHERE tenant_id = $1")
        .bind(tenant.number)
        .bind(keep)
        .bind(tree.to_bytes())
        .execute(&mut owner)
        .await
        .unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_log_cut_below_its_witness_is_not_started() {
    let (world, dir) = (World::start(Parts::Database).await, Dir::new("witness"));
    let (file, key) = new_key(&world, &dir);
    let place = dir.path("witness");
    let serve =
        |extra: &[&str]| world.ledgerd_any(&[&["serve", "--listen", "127.0.0.1:0", "--signing-keys", &file], extra].concat());

    // A folder that is not mounted is no witness without checkpoints.
    let (code, _, err) = serve(&["--witness", &place]);
    assert_eq!(code, 1, "{err}");
    std::fs::create_dir(&place).unwrap();

    let watched = ["--projector", "--signing-keys", &file, "--witness", &place, "--checkpoint-interval", "1"];
    let mut node = Node::start(&world, &watched).await;
    let (tenant, calm) = (world.tenant("acme"), world.tenant("calm"));
    let head = fill(&node.client(&tenant), 300).await;
    let calm_head = fill(&node.client(&calm), 2).await;
    // In the background, without anybody asking.
    for (code, head) in [("acme", head), ("calm", calm_head)] {
        let copy = Path::new(&place).join(code).join(name_of(head));
        let text = wait_for(async || std::fs::read_to_string(&copy).ok()).await;
        let origin = format!("ledgerd/{code}");
        let (checkpoint, _) = Checkpoint::open(&text, std::slice::from_ref(&key), &origin).unwrap();
        assert_eq!(checkpoint.size, head.unsigned_abs());
    }
    node.kill();

    // As it was, it starts; one copy may be older than the log.
    let mut again = Node::start(&world, &watched).await;
    again.kill();

    cut(&world, &tenant, head - 10).await;
    let (code, _, err) = serve(&["--witness", &place]);
    assert_eq!(code, 3, "{err}");
    for said in ["acme".to_owned(), format!("{} events", head - 10), format!("{head} events")] {
        assert!(err.contains(&said), "{said}: {err}");
    }
    assert!(!err.contains("calm"), "{err}");
    let (code, _, err) = world.ledgerd_any(&["project", "--signing-keys", &file, "--witness", &place]);
    assert_eq!(code, 3, "{err}");
    let (code, out, _) =
        world.ledgerd_any(&["checkpoint", "verify", "--tenant", "acme", "--from", &place, "--verifier-key", &key.to_string()]);
    assert_eq!(code, 3, "{out}");

    // Another history that is as long, written by the program itself.
    let mut unwatched = Node::start(&world, &["--signing-keys", &file]).await;
    let c = unwatched.client(&tenant);
    for _ in 0..12 {
        c.receive("A", "2", "1").await;
    }
    unwatched.kill();
    let (code, _, err) = serve(&["--witness", &place]);
    assert_eq!(code, 3, "{err}");
    assert!(err.contains(&format!("first {head} events have the root")), "{err}");

    // A copy that no known key signed is no witness either.
    let copy = Path::new(&place).join("calm").join(name_of(calm_head));
    let text = std::fs::read_to_string(&copy).unwrap();
    std::fs::write(&copy, text.replace(&format!("\n{calm_head}\n"), &format!("\n{}\n", calm_head - 1))).unwrap();
    std::fs::remove_dir_all(Path::new(&place).join("acme")).unwrap();
    let (code, _, err) = serve(&["--witness", &place]);
    assert_eq!(code, 3, "{err}");
    assert!(err.contains("calm") && err.contains("signature"), "{err}");
}

#[tokio::test(flavor = "multi_thread")]
async fn checkpoints_are_kept_in_an_object_store() {
    let (world, dir, store) = (World::start(Parts::Database).await, Dir::new("s3"), S3::start().await);
    let (file, key) = new_key(&world, &dir);
    let mut node = Node::start(&world, &[]).await;
    let tenant = world.tenant("acme");
    let c = node.client(&tenant);
    fill(&c, 5).await;
    let ledgerd = |args: &[&str]| {
        let mut command = world.command(args);
        let output = command.arg("--json").args(["--signing-keys", &file]).envs(store.environment()).output().unwrap();
        (output.status.code().unwrap(), String::from_utf8(output.stdout).unwrap(), String::from_utf8(output.stderr).unwrap())
    };
    let mut sizes = Vec::new();
    for _ in 0..4 {
        let head = c.receive("A", "1", "1").await.position();
        let (code, out, err) = ledgerd(&["checkpoint", "export", "--to", "s3://audit/ledger"]);
        assert_eq!(code, 0, "{out}{err}");
        let rows: Value = serde_json::from_str(&out).unwrap();
        assert_eq!((rows[0]["size"].as_i64(), rows[0]["copied"].as_u64()), (Some(head), Some(1)), "{rows}");
        sizes.push(head);
    }
    // Again: nothing is new, nothing is overwritten.
    let (code, out, err) = ledgerd(&["checkpoint", "export", "--tenant", "acme", "--every", "--to", "s3://audit/ledger"]);
    assert_eq!(code, 0, "{out}{err}");
    assert_eq!(serde_json::from_str::<Value>(&out).unwrap()[0]["copied"], json!(0));
    {
        let held = store.held.lock().unwrap();
        let names: Vec<String> = sizes.iter().map(|size| format!("ledger/acme/{}", name_of(*size))).collect();
        assert_eq!(held.objects.keys().cloned().collect::<Vec<_>>(), names, "names sort by size");
        assert_eq!(held.refused, [""; 0]);
        let newest = String::from_utf8(held.objects[names.last().unwrap()].clone()).unwrap();
        let (checkpoint, _) = Checkpoint::open(&newest, &[key], "ledgerd/acme").unwrap();
        assert_eq!(checkpoint.size, sizes[3].unsigned_abs());
    }
    let (code, out, err) = ledgerd(&["checkpoint", "verify", "--tenant", "acme", "--from", "s3://audit/ledger"]);
    assert_eq!(code, 0, "{out}{err}");

    // Found by its largest name, over pages of a list; the log was cut below it.
    node.kill();
    cut(&world, &tenant, sizes[2]).await;
    let (code, out, err) = ledgerd(&["serve", "--listen", "127.0.0.1:0", "--witness", "s3://audit/ledger"]);
    assert_eq!(code, 3, "{out}{err}");
    assert!(err.contains("s3://audit/ledger/acme/"), "{err}");
    // Another text under a size that is there is refused, not written over.
    let node = Node::start(&world, &[]).await;
    let again = node.client(&tenant).receive("A", "3", "1").await.position();
    assert_eq!(again, sizes[3]);
    let (code, out, err) = ledgerd(&["checkpoint", "export", "--tenant", "acme", "--to", "s3://audit/ledger"]);
    assert_eq!(code, 1, "{out}{err}");
    assert!(err.contains("another checkpoint"), "{err}");

    // Wrong credentials are told without the address, which would carry them.
    let mut command = world.command(&["checkpoint", "verify", "--tenant", "acme", "--from", "s3://audit/ledger"]);
    let command = command.args(["--signing-keys", &file]).envs(store.environment()).env("AWS_SECRET_ACCESS_KEY", "wrong");
    let output = command.output().unwrap();
    let err = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(1), "{err}");
    assert!(err.contains("403") && !err.contains("X-Amz"), "{err}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_balance_of_a_closed_period_is_proven_down_to_a_checkpoint() {
    let (world, dir) = (World::start(Parts::Database).await, Dir::new("seal"));
    let (file, key) = new_key(&world, &dir);
    let node = Node::start(&world, &["--projector", "--signing-keys", &file]).await;
    let c = node.client(&world.tenant("acme"));
    let entry = |date: &str, postings: Value| {
        json!({"effective_at": format!("{date}T12:00:00Z"), "postings": postings,
        "rates": [{"currency": "USD", "rate": "0.90"}]})
    };
    c.put("/v1/accounts/1101", &json!({"name": "Dollars", "account_type": "asset"})).await.expect(201);
    let in_dollars = |amount: &str| json!([{"account": "1101", "debit": amount, "currency": "USD"}, {"account": "4000", "credit": amount, "currency": "USD"}]);
    let in_euros = |amount: &str| json!([{"account": "1000", "debit": amount}, {"account": "4000", "credit": amount}]);
    let plain = |date: &str, amount: &str| json!({"effective_at": format!("{date}T12:00:00Z"), "postings": in_euros(amount)});
    c.post("/v1/journal/entries", &plain("2026-01-05", "100.00")).await.expect(201);
    c.post("/v1/journal/entries", &entry("2026-01-20", in_dollars("40.00"))).await.expect(201);
    // Later than the period, recorded before it is closed: not in its balances.
    c.post("/v1/journal/entries", &plain("2026-02-05", "7.00")).await.expect(201);
    let closed = c.post("/v1/periods/2026-01/close", &json!({})).await.expect(201);
    let last = c.post("/v1/journal/entries", &plain("2026-02-06", "1.00")).await.expect(201).position();
    let seal = &closed.json["result"]["seal"];

    let checkpoint = c.get("/v1/audit/checkpoint").await.expect(200).json;
    let (checkpoint, _) =
        Checkpoint::open(checkpoint["note"].as_str().unwrap(), std::slice::from_ref(&key), "ledgerd/acme").unwrap();
    for (query, debits, credits, base) in [
        ("account=1000", "100.00", "0.00", "100.00"),
        ("account=4000", "0.00", "136.00", "-136.00"),
        ("account=1101", "36.00", "0.00", "36.00"),
        ("account=1101&currency=USD", "40.00", "0.00", "36.00"),
    ] {
        // Balance ∈ seal …
        let proof = c.get_at(&format!("/v1/audit/proofs/seal?period=2026-01&{query}"), last).await.expect(200).json;
        let said = ["debits", "credits", "base"].map(|field| proof[field].as_str().unwrap().to_owned());
        assert_eq!(said, [debits, credits, base], "{query}: {proof}");
        assert_eq!(proof["balances_root"], seal["balances_root"]);
        check_inclusion(&proof);
        // … seal ∈ log: the bytes of that event hold the root …
        let at = proof["closed_at_position"].as_i64().unwrap();
        let event = inclusion(&c, at, Some(last)).await;
        check_inclusion(&event);
        let leaf = BASE64.decode(event["leaf"].as_str().unwrap()).unwrap();
        let root = hash(&proof["balances_root"]);
        assert!(leaf.windows(32).any(|bytes| bytes == root), "the event states the root");
        // … log ∈ checkpoint.
        assert_eq!((hash(&event["root"]), event["size"].as_u64()), (checkpoint.root, Some(checkpoint.size)));
    }
    // A month before it was closed with it; what was never posted has no leaf; what is open has no seal.
    let december = c.get("/v1/audit/proofs/seal?period=2025-12&account=1000").await.expect(200).json;
    assert_eq!((&december["period"], &december["sealed_period"]), (&json!("2025-12"), &json!("2026-01")));
    c.get("/v1/audit/proofs/seal?period=2026-01&account=3000").await.refused(404, "not_found");
    c.get("/v1/audit/proofs/seal?period=2026-01&account=1000&currency=USD").await.refused(404, "not_found");
    c.get("/v1/audit/proofs/seal?period=2026-02&account=1000").await.refused(409, "period_not_closed");

    // Views that were changed cannot give the seal's root: the log is folded instead, and gives it.
    let mut owner = world.owner().await;
    let damage = "UPDATE view_posting SET debit = debit + 1, lane_debits = lane_debits + 1 WHERE account = '1000'";
    assert!(sqlx::query(damage).execute(&mut owner).await.unwrap().rows_affected() > 0);
    let proof = c.get("/v1/audit/proofs/seal?period=2026-01&account=1000").await.expect(200).json;
    assert_eq!(proof["debits"], json!("100.00"), "{proof}");
    check_inclusion(&proof);
}
