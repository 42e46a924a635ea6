//! Other people's words, made fit to be shown: bounded, and without characters that do something.

/// The longest line, in characters.
pub(super) const LINE: usize = 200;

/// The longest text of several lines, in characters.
pub(super) const BODY: usize = 4_000;

/// The longest id, in characters. Ours are far shorter.
pub(super) const ID: usize = 512;

/// One line of at most so many characters; an ellipsis stands for what was cut.
pub(super) fn line(text: &str, longest: usize) -> String {
    let mut shown: String = text
        .trim()
        .chars()
        .take(longest)
        .map(|c| if breaks(c) { ' ' } else { harmless(c) })
        .collect();
    if text.trim().chars().nth(longest).is_some() {
        shown.pop();
        shown.push('…');
    }
    shown
}

/// Several lines of at most so many characters, and a remark if there was more.
pub(super) fn block(text: &str, longest: usize) -> String {
    let text = text.trim_end();
    let mut shown: String = text
        .chars()
        .take(longest)
        .filter(|c| *c != '\r')
        .map(|c| match c {
            '\n' | '\t' => c,
            c if breaks(c) => '\n',
            c => harmless(c),
        })
        .collect();
    if text.chars().nth(longest).is_some() {
        shown.push_str(&format!("\n… (cut: {} bytes in all)", text.len()));
    }
    shown
}

/// Whether a line ends or jumps here, in some program at least.
fn breaks(c: char) -> bool {
    matches!(
        c,
        '\t' | '\n' | '\r' | '\u{b}' | '\u{c}' | '\u{85}' | '\u{2028}' | '\u{2029}'
    )
}

/// Control characters move cursors, the marks of writing direction make a text look like another, and what Unicode
/// keeps for itself is refused by some readers.
fn harmless(c: char) -> char {
    match c {
        '\u{200e}'
        | '\u{200f}'
        | '\u{202a}'..='\u{202e}'
        | '\u{2066}'..='\u{2069}'
        | '\u{feff}' => '\u{fffd}',
        '\u{fdd0}'..='\u{fdef}' => '\u{fffd}',
        c if c.is_control() || u32::from(c) & 0xfffe == 0xfffe => '\u{fffd}',
        c => c,
    }
}

/// Text for HTML, in elements and in quoted attributes.
pub(super) fn for_html(text: &str) -> String {
    let mut safe = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => safe.push_str("&amp;"),
            '<' => safe.push_str("&lt;"),
            '>' => safe.push_str("&gt;"),
            '"' => safe.push_str("&quot;"),
            '\'' => safe.push_str("&#39;"),
            c => safe.push(c),
        }
    }
    safe
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_is_one_and_short() {
        assert_eq!(line("  two\nlines\r\n", LINE), "two lines");
        assert_eq!(
            line("red \u{1b}[31malert\u{7}", LINE),
            "red \u{fffd}[31malert\u{fffd}"
        );
        assert_eq!(line("abc", 3), "abc");
        assert_eq!(line("abcd", 3), "ab…");
        assert_eq!(line("gnp.\u{202e}exe", LINE), "gnp.\u{fffd}exe");
    }

    #[test]
    fn a_block_keeps_its_lines_and_says_what_was_cut() {
        assert_eq!(block("a\r\n\tb\u{2028}c\0\n\n", BODY), "a\n\tb\nc\u{fffd}");
        assert_eq!(block("äöüß", 2), "äö\n… (cut: 8 bytes in all)");
    }
}
