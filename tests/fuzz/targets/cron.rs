//! libFuzzer's way into `nightcall_fuzz::cron`.

#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| nightcall_fuzz::cron(data));
