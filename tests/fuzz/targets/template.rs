//! libFuzzer's way into `nightcall_fuzz::template`.

#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| nightcall_fuzz::template(data));
