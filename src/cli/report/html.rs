//! The report as one HTML page that a mail client shows as it stands: no script, nothing to load, styles in the
//! elements. `maud` escapes every word.

use maud::{DOCTYPE, Markup, html};

use super::page::{Page, Section};

const BODY: &str = "font:14px/1.45 system-ui,-apple-system,'Segoe UI',sans-serif;color:#1b1f24;background:#ffffff;\
     margin:0;padding:16px;max-width:960px";
const FINE: &str =
    "background:#e6f4ea;border-left:4px solid #1e7e34;padding:8px 12px;font-size:16px";
const WRONG: &str =
    "background:#fdecea;border-left:4px solid #b3261e;padding:8px 12px;font-size:16px";
const ALARM: &str =
    "background:#b3261e;color:#ffffff;padding:8px 12px;font-size:16px;font-weight:bold";
const QUIET: &str = "color:#57606a;margin:6px 0";
const TABLE: &str = "border-collapse:collapse;margin:14px 0 2px";
const HEAD: &str = "text-align:left;font-size:12px;color:#57606a;border-bottom:1px solid #d0d7de;padding:3px 14px 3px 0";
const CELL: &str = "vertical-align:top;border-bottom:1px solid #eaeef2;padding:3px 14px 3px 0";
const LOUD: &str = "vertical-align:top;border-bottom:1px solid #eaeef2;padding:3px 14px 3px 0;color:#b3261e;\
     font-weight:bold";

/// The whole page; `next` is the command to type.
pub(super) fn page(page: &Page, next: Option<&str>) -> String {
    let title = format!("nightcall: {}", page.headline);
    let page = html! {
        (DOCTYPE)
        html lang="en" {
            head {
                meta charset="utf-8";
                meta name="viewport" content="width=device-width, initial-scale=1";
                title { (title) }
            }
            body style=(BODY) {
                @if let Some(alarm) = &page.alarm {
                    p style=(ALARM) { (alarm) }
                }
                p style=(if page.fine { FINE } else { WRONG }) { (page.headline) }
                p style=(QUIET) { (page.span) }
                @if !page.remarks.is_empty() {
                    ul {
                        @for remark in &page.remarks { li { (remark) } }
                    }
                }
                @for section in &page.tables { (table(section)) }
                @if let Some(next) = next {
                    p { "next: " code { (next) } }
                }
            }
        }
    };
    page.into_string()
}

fn table(section: &Section) -> Markup {
    let loud = section.head.first() == Some(&"WRONG");
    html! {
        table style=(TABLE) {
            thead {
                tr { @for head in &section.head { th style=(HEAD) { (head) } } }
            }
            tbody {
                @for row in &section.rows {
                    tr {
                        @for (index, cell) in row.iter().enumerate() {
                            td style=(if loud && index == 0 { LOUD } else { CELL }) { (cell) }
                        }
                    }
                }
            }
        }
        @if let Some(below) = &section.below {
            p style=(QUIET) { (below) }
        }
    }
}
