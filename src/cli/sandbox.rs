//! `nightcall sandbox`: the stand-in for CARTO, for people who rehearse without an account.

use std::io::ErrorKind;
use std::net::SocketAddr;
use std::path::PathBuf;

use clap::Args;

use super::Context;
use super::exit::{Exit, Failure, Outcome};
use crate::sandbox::{Sandbox, Scenario};

/// Run a stand-in for CARTO on this machine.
///
/// Schedules can be rehearsed against it without an account: point `base_url` of a connection at it and give the connection the token that it prints. Without a scenario every
/// procedure is accepted and ends well.
#[derive(Debug, Args)]
#[command(
    after_help = "Examples:\n  nightcall sandbox\n  nightcall sandbox --port 0 --scenario docs/scenario.example.toml"
)]
pub struct SandboxArgs {
    /// What the vendor does, and what goes wrong: a TOML file (docs/scenario.example.toml shows every key)
    #[arg(long, value_name = "FILE")]
    pub scenario: Option<PathBuf>,
    /// The port on the loopback address; 0 takes a free one
    #[arg(long, value_name = "PORT", default_value_t = 8080)]
    pub port: u16,
}

/// `nightcall sandbox`.
pub async fn sandbox(context: &Context, args: SandboxArgs) -> Outcome {
    let scenario = match &args.scenario {
        None => anybody(),
        Some(path) => {
            let text = std::fs::read_to_string(path).map_err(|error| {
                let what = format!("cannot read the scenario {}: {error}", path.display());
                Failure::plain(Exit::Config, what)
            })?;
            Scenario::parse(&text).map_err(|problem| {
                Failure::plain(Exit::Config, format!("{}: {problem}", path.display()))
            })?
        }
    };
    let address = SocketAddr::from(([127, 0, 0, 1], args.port));
    let sandbox = Sandbox::start_at(scenario, address)
        .await
        .map_err(|error| {
            let why = match error.kind() {
                ErrorKind::AddrInUse => "another program listens there".to_owned(),
                _ => error.to_string(),
            };
            Failure::new(
                Exit::Unavailable,
                format!("cannot listen on {address}: {why}"),
                "next: nightcall sandbox --port 0   # takes a free port",
            )
        })?;
    let (base_url, token) = (sandbox.base_url(), sandbox.token());
    if context.out.json {
        context.out.object(&serde_json::json!({
            "base_url": base_url, "token": token, "token_url": sandbox.oauth_url(),
        }))?;
    } else {
        context.out.line(format!(
            "the sandbox answers at {base_url}; stop it with Ctrl-C\n\n\
             [connection.sandbox]\nbase_url = \"{base_url}\"\nprovider = \"bigquery\"\n\
             token    = {{ env = \"SANDBOX_TOKEN\" }}   # export SANDBOX_TOKEN={token}"
        ))?;
    }
    let stop = tokio_util::sync::CancellationToken::new();
    super::serve::end_on_signal(stop.clone())?;
    stop.cancelled().await;
    sandbox.stop().await;
    Ok(Exit::Ok)
}

/// Without a scenario every token is taken, so that a file made for CARTO can be rehearsed as it is.
fn anybody() -> Scenario {
    let mut scenario = Scenario::default();
    scenario.auth.any_token = true;
    scenario
}
