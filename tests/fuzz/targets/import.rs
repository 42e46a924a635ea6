//! libFuzzer's way into `nightcall_fuzz::import`.

#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| nightcall_fuzz::import(data));
