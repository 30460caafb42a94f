//! The fuzz targets with any compiler, for a bounded time: everything in the corpus, and changed copies of
//! it. `LTTNG_RS_FUZZ_ITERATIONS` runs more of them. For longer hunts: `cargo +nightly fuzz run control`.

#[path = "../fuzz/targets/mod.rs"]
mod targets;

use std::fs;
use std::path::Path;

/// Of each target, in a debug build about a second.
const ITERATIONS: u64 = 20_000;
/// Longer ones find nothing more.
const MAX_LEN: usize = 4096;
const INTERESTING: [u64; 14] = [
    0,
    1,
    2,
    7,
    8,
    16,
    127,
    255,
    256,
    4096,
    65_535,
    u32::MAX as u64,
    1 << 40,
    u64::MAX,
];

/// Numbers that look random and are the same each time.
struct Dice(u64);

impl Dice {
    fn roll(&mut self, sides: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        usize::try_from(self.0 % sides.max(1) as u64).unwrap()
    }
}

fn corpus(name: &str) -> Vec<Vec<u8>> {
    let directory = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("fuzz/corpus")
        .join(name);
    let mut paths: Vec<_> = fs::read_dir(directory)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .collect();
    paths.sort();
    paths.iter().map(|path| fs::read(path).unwrap()).collect()
}

/// Changes bytes as fuzzers do.
fn mutate(bytes: &mut Vec<u8>, others: &[Vec<u8>], dice: &mut Dice) {
    for _ in 0..=dice.roll(4) {
        let at = dice.roll(bytes.len());
        match dice.roll(8) {
            0 if !bytes.is_empty() => bytes[at] ^= 1 << dice.roll(8),
            1 if !bytes.is_empty() => bytes[at] = dice.roll(256) as u8,
            2 => bytes.truncate(at),
            3 => bytes.insert(at, dice.roll(256) as u8),
            4 => {
                let other = &others[dice.roll(others.len())];
                let from = dice.roll(other.len());
                bytes.truncate(at);
                bytes.extend_from_slice(&other[from..]);
            }
            5 => {
                let end = (at + dice.roll(64)).min(bytes.len());
                let copy = bytes[at..end].to_vec();
                let to = dice.roll(bytes.len());
                bytes.splice(to..to, copy);
            }
            6 => {
                // A length or a number, as they are on the wire.
                let number = INTERESTING[dice.roll(INTERESTING.len())].to_be_bytes();
                let number = &number[[0, 4, 6][dice.roll(3)]..];
                for (to, from) in bytes[at..].iter_mut().zip(number) {
                    *to = *from;
                }
            }
            _ => {
                let end = (at + dice.roll(16)).min(bytes.len());
                bytes.drain(at..end);
            }
        }
    }
    bytes.truncate(MAX_LEN);
}

fn run(name: &str, target: fn(&[u8])) {
    let iterations = std::env::var("LTTNG_RS_FUZZ_ITERATIONS").ok();
    let iterations = iterations.map_or(ITERATIONS, |text| text.parse().unwrap());
    let corpus = corpus(name);
    assert!(corpus.len() > 1, "the corpus of {name} is not there");
    let mut current = Vec::new();
    // So that a failure shows the bytes, to be put into the corpus.
    let shown = |bytes: &[u8]| {
        std::panic::catch_unwind(|| target(bytes)).unwrap_or_else(|panic| {
            eprintln!("{name} fails on {bytes:02x?}");
            std::panic::resume_unwind(panic)
        });
    };
    corpus.iter().for_each(|bytes| shown(bytes));
    let mut dice = Dice(0x6c74_746e_672d_7273);
    for _ in 0..iterations {
        // Sometimes one step further from what was there.
        if dice.roll(4) > 0 || current.is_empty() {
            current.clone_from(&corpus[dice.roll(corpus.len())]);
        }
        mutate(&mut current, &corpus, &mut dice);
        shown(&current);
    }
}

#[test]
fn control() {
    run("control", targets::control);
}

#[test]
fn data() {
    run("data", targets::data);
}

#[test]
fn live() {
    run("live", targets::live);
}

#[test]
fn session() {
    run("session", targets::session);
}

#[test]
fn viewer() {
    run("viewer", targets::viewer);
}
