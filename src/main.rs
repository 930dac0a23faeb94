//! `ledgerd`: one enum of verbs and a match.

#![cfg_attr(test, allow(clippy::unwrap_used, reason = "a test that cannot go on should stop"))]

mod checkpointer;
mod cli;
mod demo;
mod jobs;
mod node;
mod signing;
mod supervisor;
mod witness;

use std::process::ExitCode;

use clap::Parser;

fn main() -> ExitCode {
    // The guard stands between the supervisor and a server: it must run before anything starts a thread.
    let mut args = std::env::args_os().skip(1);
    if args.next().as_deref() == Some("guard".as_ref()) {
        return match supervisor::guard::run(args) {
            Ok(never) => match never {},
            Err(error) => cli::fail(&error),
        };
    }
    // For every HTTPS client of this process; nobody has installed another one yet.
    let _installed = rustls::crypto::ring::default_provider().install_default();
    let cli = cli::Cli::parse();
    cli::log(&cli);
    let runtime = match tokio::runtime::Builder::new_multi_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => return cli::fail(&error.into()),
    };
    match runtime.block_on(cli::run(cli)) {
        Ok(code) => code,
        Err(error) => cli::fail(&error),
    }
}
