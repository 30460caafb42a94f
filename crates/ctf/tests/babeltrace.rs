//! babeltrace2 as the judge of made-up traces: both byte orders, packed and natural alignment, both
//! event headers. It must be installed.

use std::fs;
use std::path::Path;
use std::process::Command;

use ctf::decode::Decoder;

mod pretty;
mod synthetic;

use synthetic::{Kinds, Layout, Rng, Synthetic};

/// What babeltrace2 prints for the trace in `dir`. It warns of the discarded events that the packet
/// tells of; any other warning is a failure.
fn babeltrace2(dir: &Path) -> String {
    let output = Command::new("babeltrace2")
        .args(["--clock-cycles", "--no-delta"])
        .arg(dir)
        .output()
        .expect("babeltrace2 is not installed");
    let stderr = String::from_utf8_lossy(&output.stderr);
    // The packets tell of discarded events, and babeltrace2 repeats it; anything else is too much.
    let others = stderr.lines().filter(|line| {
        !line.is_empty() && !line.starts_with("WARNING: Tracer may have discarded events between ")
    });
    assert!(
        output.status.success() && others.count() == 0,
        "{}: {stderr}",
        dir.display()
    );
    String::from_utf8(output.stdout).expect("text")
}

#[test]
fn babeltrace2_reads_what_we_write_and_what_we_read() {
    let scratch = Path::new(env!("CARGO_TARGET_TMPDIR")).join("babeltrace");
    let mut events = 0;
    for layout in Layout::all() {
        for seed in 0..4 {
            let dir = scratch.join(format!(
                "{:?}-{:?}-{}-{seed}",
                layout.order, layout.header, layout.natural
            ));
            fs::create_dir_all(&dir).unwrap();
            let mut rng = Rng(seed);
            let made = Synthetic::new(layout, Kinds::Printable, &mut rng);
            let (packet, _) = made.packet(40, &mut rng);
            fs::write(dir.join("metadata"), made.metadata()).unwrap();
            fs::write(dir.join("stream"), &packet).unwrap();

            let decoder = Decoder::new(&made.metadata()).unwrap();
            let mut cursor = decoder.events(&packet).unwrap();
            let mut ours = Vec::new();
            while let Some(event) = cursor.next_event().unwrap() {
                ours.extend(pretty::line(&event, "made-up", 2));
                events += 1;
            }
            let ours = String::from_utf8(ours).unwrap();
            let theirs = babeltrace2(&dir);
            for (ours, theirs) in ours.lines().zip(theirs.lines()) {
                assert_eq!(ours, theirs, "{}", dir.display());
            }
            assert_eq!(
                ours.lines().count(),
                theirs.lines().count(),
                "{}",
                dir.display()
            );
        }
    }
    assert_eq!(events, 8 * 4 * 40);
    fs::remove_dir_all(scratch).unwrap();
}
