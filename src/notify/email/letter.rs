//! A message as a letter. The same message makes the same letter, whenever it is written.

use std::time::SystemTime;

use lettre::message::header::{HeaderName, HeaderValue};
use lettre::message::{Mailbox, MultiPart, SinglePart};

use crate::notify::{Message, SendError, identity, render};

/// The whole letter as it goes over the wire.
pub(super) fn written(
    message: &Message,
    from: &Mailbox,
    to: &[Mailbox],
) -> Result<Vec<u8>, SendError> {
    let domain = from.email.domain();
    let id = |name: &str| format!("<{}@{domain}>", identity::of(name));
    let mut builder = lettre::Message::builder()
        .from(from.clone())
        .subject(render::subject(message))
        .date(SystemTime::from(message.at).max(SystemTime::UNIX_EPOCH))
        .message_id(Some(id(&format!("message {}", message.id))))
        // Nobody ever sees this letter; what answers the same one is shown together.
        .in_reply_to(id(&format!("thread {}", message.thread)))
        .references(id(&format!("thread {}", message.thread)));
    for mailbox in to {
        builder = builder.to(mailbox.clone());
    }
    for (name, value) in [
        // Machines on holiday do not answer.
        ("Auto-Submitted", "auto-generated"),
        ("X-Nightcall-Id", &identity::for_header(&message.id)),
        ("X-Nightcall-Severity", message.severity.word()),
    ] {
        if let Ok(name) = HeaderName::new_from_ascii(name.to_owned()) {
            builder = builder.raw_header(HeaderValue::new(name, value.to_owned()));
        }
    }
    let forms = MultiPart::alternative()
        .boundary(
            identity::of(&format!("boundary {}", message.id))
                .simple()
                .to_string(),
        )
        .singlepart(SinglePart::plain(render::text(message)))
        .singlepart(SinglePart::html(render::html(message)));
    match builder.multipart(forms) {
        Ok(letter) => Ok(letter.formatted()),
        Err(error) => Err(SendError::GiveUp(format!(
            "no letter can be made of it: {error}"
        ))),
    }
}
