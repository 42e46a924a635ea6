//! A scenario file of the sandbox.

use nightcall::sandbox::Scenario;

/// Any text is a scenario or refused with words.
pub fn scenario(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else {
        return;
    };
    if let Err(refusal) = Scenario::parse(text) {
        assert!(!refusal.is_empty(), "refused without a word: {text:?}");
    }
}
