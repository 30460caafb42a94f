//! Every event of the running kernel: its format is understood, and its class is one that readers accept.

mod common;

use std::collections::BTreeMap;

use common::pages::PageBuilder;
use common::trace_dir::{TraceDir, UUID};
use common::tracefs::Formats;
use ctf::decode::Decoder;
use kernel::transcode::{Programs, StreamIdentity, Transcoder};
use std::sync::Arc;

#[test]
fn every_format_is_understood() {
    let formats = Formats::running();
    let schemas = formats.schemas();
    assert!(schemas.len() > 500, "{} events", schemas.len());
    let mut names: BTreeMap<&str, u16> = BTreeMap::new();
    for schema in &schemas {
        let before = names.insert(schema.name(), schema.id());
        assert_eq!(before, None, "two events are called {}", schema.name());
    }
    // The session daemon and the consumer daemon each work it out for themselves.
    assert_eq!(schemas, formats.schemas());
}

/// Readers look at the payload classes only when there is an event, so there is one of each.
#[test]
fn babeltrace2_reads_an_event_of_every_kind() {
    let formats = Formats::running();
    let schemas = formats.schemas();
    let programs = Arc::new(Programs::new(&formats.machine, &schemas));
    let identity = StreamIdentity {
        uuid: UUID,
        stream_id: 0,
        cpu: 0,
    };
    let mut transcoder = Transcoder::new(programs, identity);
    let mut packets = Vec::new();
    let mut events = 0;
    for schema in &schemas {
        let mut record = vec![0; 1024];
        record[..2].copy_from_slice(&schema.id().to_ne_bytes());
        let mut page = PageBuilder::new(&formats.machine, 1_000_000 + events);
        page.record(1, &record);
        let summary = transcoder.add_page(&page.finish()).unwrap();
        assert_eq!(
            (summary.events, summary.malformed, summary.unknown),
            (1, 0, 0),
            "{}",
            schema.name()
        );
        events += 1;
        if events % 100 == 0 {
            packets.extend_from_slice(transcoder.finish(None).bytes);
        }
    }
    packets.extend_from_slice(transcoder.finish(None).bytes);

    let text = common::trace_dir::metadata(&formats.machine, &schemas);
    let decoder = Decoder::new(&text).unwrap();
    assert_eq!(decoder.count_trace_file(&packets).unwrap().events, events);

    let trace = TraceDir::new("every_kind");
    trace.metadata(&formats.machine, &schemas);
    trace.stream("kernel_0", &packets);
    let (lines, discarded) = trace.babeltrace2();
    assert_eq!(lines.len() as u64, events);
    assert_eq!(discarded, Vec::<String>::new());
}
