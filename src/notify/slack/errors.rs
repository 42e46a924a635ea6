//! What Slack's errors mean for a message. Slack answers most of them with 200.

use std::time::Duration;

use serde_json::Value;

use crate::notify::SendError;
use crate::notify::hidden::Hidden;

/// How long is waited when Slack wants it and does not say how long.
const A_MINUTE: Duration = Duration::from_secs(60);

/// By these Slack says that it is this message that it does not take. All others pass, or a person mends them: a token,
/// an invitation, a channel that was archived.
const REFUSED: &[&str] = &[
    "as_user_not_supported",
    "attachment_payload_limit_exceeded",
    "invalid_arg_name",
    "invalid_arguments",
    "invalid_array_arg",
    "invalid_blocks",
    "invalid_blocks_format",
    "invalid_charset",
    "invalid_form_data",
    "invalid_json",
    "invalid_post_type",
    "json_not_object",
    "markdown_text_conflict",
    "missing_post_type",
    "missing_text_or_fallback_or_attachments",
    "msg_blocks_too_long",
    "msg_too_long",
    "no_text",
    "too_many_attachments",
];

/// The message that the thread hangs on is not there.
const NO_THREAD: &[&str] = &[
    "cannot_reply_to_message",
    "invalid_thread_ts",
    "message_not_found",
    "thread_not_found",
];

/// What a failed attempt means.
pub(super) enum Meaning {
    /// It may go outside the thread.
    NoThread,
    /// As for every channel.
    Error(SendError),
}

impl From<SendError> for Meaning {
    fn from(error: SendError) -> Self {
        Self::Error(error)
    }
}

impl Meaning {
    pub(super) fn into_error(self) -> SendError {
        match self {
            Self::NoThread => crate::notify::http::again("Slack says that the thread is gone"),
            Self::Error(error) => error,
        }
    }
}

/// What an answer means that says `"ok": false`.
pub(super) fn meaning(said: &Value, wait: Option<Duration>, hidden: &Hidden) -> Meaning {
    let error = said["error"].as_str().unwrap_or("(no error named)");
    if NO_THREAD.contains(&error) {
        return Meaning::NoThread;
    }
    let detail = said["response_metadata"]["messages"][0].as_str();
    let words = format!("{error} {}", detail.unwrap_or_default());
    let why = format!(
        "Slack refused{}{}",
        hidden.said(words.as_bytes()),
        remedy(error)
    );
    let limited = matches!(error, "ratelimited" | "rate_limited");
    Meaning::Error(match REFUSED.contains(&error) {
        true => SendError::GiveUp(why),
        false => SendError::Retry {
            why,
            after: wait.or(limited.then_some(A_MINUTE)),
        },
    })
}

fn remedy(error: &str) -> &'static str {
    match error {
        "invalid_auth" | "not_authed" | "token_revoked" | "token_expired" | "account_inactive" => {
            "; put a valid bot token"
        }
        "missing_scope" | "no_permission" | "not_allowed_token_type" => {
            "; give the app the scope chat:write and install it again"
        }
        "channel_not_found" | "not_in_channel" => {
            "; invite the bot to the channel, or mend its name"
        }
        "is_archived" => "; name another channel, or bring this one back",
        _ => "",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_can_be_mended_and_a_message_cannot() {
        let of = |error: &str| {
            let said = serde_json::json!({ "ok": false, "error": error });
            meaning(&said, None, &Hidden::new()).into_error()
        };
        for error in [
            "invalid_auth",
            "channel_not_found",
            "is_archived",
            "fatal_error",
            "new_one",
        ] {
            assert!(
                matches!(of(error), SendError::Retry { after: None, .. }),
                "{error}"
            );
        }
        for error in ["msg_too_long", "invalid_blocks", "no_text"] {
            assert!(matches!(of(error), SendError::GiveUp(_)), "{error}");
        }
        assert!(matches!(
            of("ratelimited"),
            SendError::Retry {
                after: Some(A_MINUTE),
                ..
            }
        ));
    }
}
