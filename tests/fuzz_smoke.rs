//! The fuzz targets of `fuzz/` on seeded mutations of the case files: `fuzz/run` does the same
//! guided and for longer. `ORGGUARD_FUZZ` sets how many inputs each target gets (4,000 by default),
//! `ORGGUARD_SEED` where they start.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::print_stdout,
    clippy::indexing_slicing,
    clippy::string_slice,
    clippy::arithmetic_side_effects,
    clippy::wildcard_enum_match_arm,
    clippy::cast_possible_truncation,
    reason = "a test may stop at the first surprise"
)]

#[path = "support/cases.rs"]
mod cases;
#[path = "../fuzz/targets/mod.rs"]
mod targets;

use std::panic::{AssertUnwindSafe, catch_unwind};

use orgguard::analyze::READER_STACK;

/// A xorshift generator.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0
    }

    fn below(&mut self, bound: usize) -> usize {
        (self.next() % bound.max(1) as u64) as usize
    }
}

/// Cuts, doubles, swaps and overwrites pieces of one input, with pieces of another.
fn mutate(random: &mut Random, input: &[u8], other: &[u8]) -> Vec<u8> {
    let mut bytes = input.to_vec();
    for _ in 0..=random.below(4) {
        let at = random.below(bytes.len() + 1);
        let end = (at + random.below(12)).min(bytes.len());
        match random.below(6) {
            0 => drop(bytes.drain(at..end)),
            1 => {
                let piece = bytes[at..end].to_vec();
                let to = random.below(bytes.len() + 1);
                bytes.splice(to..to, piece);
            }
            2 => {
                let from = random.below(other.len() + 1);
                let to = (from + random.below(40)).min(other.len());
                bytes.splice(at..end, other[from..to].iter().copied());
            }
            3 if at < bytes.len() => bytes[at] ^= 1 << random.below(8),
            4 if at < bytes.len() => bytes[at] = random.next() as u8,
            _ => {
                const WORDS: &[&str] = &[
                    " OR ",
                    " NOT ",
                    "(",
                    ")",
                    "'",
                    "\"",
                    "--",
                    "/*",
                    "*/",
                    ";",
                    "$1",
                    "::text",
                    " FULL JOIN ",
                    " LATERAL ",
                    "$$",
                    " NULL ",
                    ",",
                    "E'",
                    "U&\"",
                    " UNION ",
                ];
                let word = WORDS[random.below(WORDS.len())];
                bytes.splice(at..at, word.bytes());
            }
        }
    }
    bytes
}

fn setting(name: &str, default: u64) -> u64 {
    std::env::var(name).ok().map_or(default, |text| text.parse().expect(name))
}

/// Runs a target over mutations of a corpus, on the stack that `serve` gives its readers.
fn smoke(name: &'static str, target: fn(&[u8]), corpus: Vec<Vec<u8>>) {
    let run = move || {
        let mut random =
            Random(setting("ORGGUARD_SEED", 1).wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1);
        for at in 0..setting("ORGGUARD_FUZZ", 4_000) {
            let (one, other) = (random.below(corpus.len()), random.below(corpus.len()));
            let input = mutate(&mut random, &corpus[one], &corpus[other]);
            if catch_unwind(AssertUnwindSafe(|| target(&input))).is_err() {
                panic!("{name}: input {at}: {:?}", String::from_utf8_lossy(&input));
            }
        }
    };
    std::thread::Builder::new().stack_size(READER_STACK).spawn(run).unwrap().join().unwrap();
}

fn statements() -> Vec<Vec<u8>> {
    cases::all().into_iter().map(|case| case.sql.into_bytes()).collect()
}

/// Bytes of every value.
fn noise() -> Vec<Vec<u8>> {
    let mut random = Random(0x00dd_ba11);
    (0..64).map(|_| (0..120).map(|_| random.next() as u8).collect()).collect()
}

#[test]
fn reader() {
    smoke("reader", targets::reader::run, statements());
}

#[test]
fn frames() {
    let mut corpus = noise();
    for sql in statements().into_iter().take(200) {
        let length = u8::try_from(sql.len() + 5).unwrap_or(100);
        let frame = [&[0, 0, 3, 0x7f, b'Q', 0, 0, 0, length][..], &sql, b"\0"].concat();
        corpus.push(frame);
    }
    smoke("frames", targets::frames::run, corpus);
}

#[test]
fn session() {
    assert!(targets::session::is_complete());
    smoke("session", targets::session::run, noise());
}
