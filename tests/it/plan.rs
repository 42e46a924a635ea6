//! `nightcall plan`: what it says, how it ends, and that the heart then does just that.

mod announced;
mod built;
mod heart;
mod typed;
