//! A real `ledgerd serve` process.

use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use super::client::Client;
use super::{Tenant, World};

/// A server process; killed when dropped.
pub(crate) struct Node {
    child: Child,
    pub(crate) url: String,
}

/// Longest wait for a process to serve.
const START_SECONDS_MAX: u64 = 30;

impl Node {
    /// Starts one on a free port and waits until it is ready.
    pub(crate) async fn start(world: &World, extra: &[&str]) -> Self {
        let command = world.command(&["serve", "--listen", "127.0.0.1:0"]);
        Self::spawn(command, extra).await
    }

    /// As [`Node::start`] on an address of the caller's choice, such as that of a killed one.
    pub(crate) async fn start_at(world: &World, address: &str, extra: &[&str]) -> Self {
        let command = world.command(&["serve", "--listen", address]);
        Self::spawn(command, extra).await
    }

    /// As [`Node::start`] with variables of its own in its environment.
    pub(crate) async fn start_with(world: &World, variables: &[(&str, &str)], extra: &[&str]) -> Self {
        let mut command = world.command(&["serve", "--listen", "127.0.0.1:0"]);
        command.envs(variables.iter().copied());
        Self::spawn(command, extra).await
    }

    async fn spawn(mut command: Command, extra: &[&str]) -> Self {
        command.args(extra).stdout(Stdio::piped()).stderr(Stdio::inherit()).env("RUST_LOG", "error");
        let mut child = command.spawn().unwrap();
        // The first line on standard output is the address.
        let mut line = String::new();
        BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
        let url = line.trim().to_owned();
        assert!(url.starts_with("http://"), "ledgerd serve printed {line:?}");
        let node = Self { child, url };
        let deadline = Instant::now() + Duration::from_secs(START_SECONDS_MAX);
        while !node.is_ready().await {
            assert!(Instant::now() < deadline, "{} is not ready", node.url);
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        node
    }

    async fn is_ready(&self) -> bool {
        reqwest::get(format!("{}/health/ready", self.url)).await.is_ok_and(|a| a.status().is_success())
    }

    /// A client with a tenant's key.
    pub(crate) fn client(&self, tenant: &Tenant) -> Client {
        Client::new(&self.url, &tenant.key)
    }

    /// SIGKILL, no goodbye.
    pub(crate) fn kill(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    /// SIGTERM, and waits for the end; answers the exit code.
    pub(crate) fn terminate(&mut self) -> Option<i32> {
        let pid = rustix::process::Pid::from_raw(i32::try_from(self.child.id()).unwrap()).unwrap();
        rustix::process::kill_process(pid, rustix::process::Signal::TERM).unwrap();
        self.child.wait().unwrap().code()
    }

    pub(crate) fn address(&self) -> String {
        self.url.trim_start_matches("http://").to_owned()
    }
}

impl Drop for Node {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
