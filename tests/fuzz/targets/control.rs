//! libFuzzer's way into `nightcall_fuzz::control`.

#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| nightcall_fuzz::control(data));
