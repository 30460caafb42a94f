//! Counts the events of a trace directory: `cargo run -p ctf --example count -- DIR`.
//! With `--values` it decodes every value too.

use std::path::Path;
use std::time::Instant;

use ctf::decode::Decoder;
use ctf::metadata_packet::text_of;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let values = args.iter().any(|arg| arg == "--values");
    let dir = args
        .iter()
        .find(|arg| !arg.starts_with("--"))
        .ok_or("usage: count [--values] DIR")?;
    let metadata = std::fs::read(Path::new(dir).join("metadata"))?;
    let decoder = Decoder::new(&text_of(&metadata)?)?;
    let (mut events, mut bytes) = (0, 0);
    let mut seconds = 0.0;
    for entry in std::fs::read_dir(dir)? {
        let entry = entry?;
        if !entry.file_type()?.is_file() || entry.file_name() == "metadata" {
            continue;
        }
        let file = std::fs::read(entry.path())?;
        let start = Instant::now();
        let summary = decoder.count_trace_file(&file)?;
        if values {
            decode_all(&decoder, &file)?;
        }
        seconds += start.elapsed().as_secs_f64();
        println!("{}: {summary:?}", entry.file_name().display());
        events += summary.events;
        bytes += file.len();
    }
    let rate = events as f64 / seconds / 1e6;
    println!("{events} events, {bytes} bytes in {seconds:.4} s: {rate:.1} million events/s");
    Ok(())
}

fn decode_all(decoder: &Decoder, file: &[u8]) -> Result<(), Box<dyn std::error::Error>> {
    let mut rest = file;
    while !rest.is_empty() {
        let mut cursor = decoder.events(rest)?;
        while let Some(event) = cursor.next_event()? {
            std::hint::black_box(event.fields()?);
        }
        let len = cursor.info().packet_size.to_bytes().unwrap_or(0) as usize;
        rest = rest.get(len..).filter(|_| len > 0).unwrap_or_default();
    }
    Ok(())
}
