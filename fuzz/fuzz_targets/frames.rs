#![no_main]

#[path = "../bounds.rs"]
mod bounds;
#[path = "../targets/mod.rs"]
#[allow(dead_code)]
mod targets;

libfuzzer_sys::fuzz_target!(|data: &[u8]| bounds::within(targets::frames::run, data));
