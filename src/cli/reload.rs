//! `nightcall reload`: the daemon reads its configuration again, whole or not at all.

use clap::Args;

use super::acts::{Telling, act};
use super::exit::Outcome;
use super::{Context, reach};
use crate::control::wire::ReloadBody;

/// Let the daemon read its configuration again.
///
/// All or nothing: with a problem the former configuration stays in force, and the exit code is 78. Live runs keep the definition
/// that they started with, and nothing in the past runs because of an edit. `nightcall plan` shows the changes before.
#[derive(Debug, Args)]
#[command(
    after_help = "Examples:\n  nightcall reload\n  nightcall reload --note 'clusters an hour later'"
)]
pub struct ReloadArgs {
    /// Why, for whoever reads it
    #[arg(long, value_name = "TEXT")]
    note: Option<String>,
}

/// `nightcall reload`.
pub async fn reload(context: &Context, args: ReloadArgs) -> Outcome {
    let (_, client) = reach::daemon(context)?;
    let mut telling = Telling::new(context);
    let body = ReloadBody { note: args.note };
    telling.tell("*", act(&client, "reload", &body).await)?;
    telling.end()
}
