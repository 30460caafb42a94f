//! The kernel's events, decoded by us and by the kernel itself.
//!
//! A tracefs instance records while a load makes as many kinds of events as it can. Then the kernel
//! prints the buffer (`trace`, with the option `fields`, which shows the numbers as they are), and the
//! same buffer is read as raw pages, made into packets and decoded. Every event must be in both, with
//! the same time, thread and fields.

mod compare;
mod instance;
mod load;

use std::collections::BTreeMap;
use std::fs::{self, OpenOptions};
use std::io::Write;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use ctf::decode::Decoder;
use kernel::page::Missed;
use kernel::transcode::{Programs, StreamIdentity, Transcoder};
use system_tests::{Trace, World, here, isolated_for};

use compare::Comparison;
use instance::{Catalogue, Instance};

const UUID: [u8; 16] = [3; 16];

/// Everything that happens in the processes of the test.
#[test]
fn events_of_a_process_are_what_the_kernel_prints() {
    isolated_for(Duration::from_secs(300), here!(), |w| {
        let instance = Instance::new()?;
        instance.follow_this_thread()?;
        instance.enable_all()?;
        let kinds = record_and_compare(&instance, w)?;
        // Linux 6.18 gives 393 in a virtual machine; a smaller configuration has less.
        ensure!(kinds >= 250, "only {kinds} kinds of events");
        Ok(())
    });
}

/// What happens in interrupts and in the kernel's threads, in pages of 64 KiB.
#[test]
fn events_of_the_kernel_are_what_the_kernel_prints() {
    isolated_for(Duration::from_secs(300), here!(), |w| {
        let instance = Instance::new()?;
        instance.set_page_size(64 << 10)?;
        for subsystem in [
            "irq",
            "irq_vectors",
            "softirq",
            "sched",
            "timer",
            "workqueue",
            "block",
            "jbd2",
            "writeback",
            "power",
            "ipi",
            "napi",
            "net",
            "rcu",
            "task",
            "tlb",
        ] {
            instance.enable(subsystem)?;
        }
        let kinds = record_and_compare(&instance, w)?;
        ensure!(kinds >= 40, "only {kinds} kinds of events");
        Ok(())
    });
}

/// A buffer that is too small: what is read and what the pages say is lost are all that was recorded.
#[test]
fn lost_events_are_those_that_the_kernel_counts() {
    isolated_for(Duration::from_secs(300), here!(), |_| {
        let instance = Instance::new()?;
        instance.overwrite(64)?;
        instance.follow_this_thread()?;
        instance.enable("raw_syscalls")?;
        let catalogue = instance.catalogue()?;
        let mut streams = Streams::new(&catalogue);
        for _ in 0..3 {
            instance.start()?;
            load::storm(20_000);
            instance.pause()?;
            for cpu in instance.cpus()? {
                streams.read(&instance, cpu)?;
            }
        }
        let (mut recorded, mut lost) = (0, 0);
        for cpu in instance.cpus()? {
            let statistics = instance.statistics(cpu)?;
            let stream = streams.of(cpu);
            let known = stream.events + stream.transcoder.discarded();
            // A full page has no room for the number; then at least one is known to be lost.
            ensure!(
                statistics.all() == known || stream.unnumbered && statistics.all() > known,
                "CPU {cpu}: {statistics:?}, read {}, lost {}",
                stream.events,
                stream.transcoder.discarded()
            );
            recorded += known;
            lost += stream.transcoder.discarded();
        }
        ensure!(
            lost > 0 && recorded >= 3 * 2 * 20_000,
            "{recorded} recorded, {lost} lost"
        );
        Ok(())
    });
}

/// Records three rounds and compares each; how many kinds of events there were. In the second and third
/// round the reader goes on in the middle of a page.
fn record_and_compare(instance: &Instance, w: &World) -> Result<usize> {
    let catalogue = instance.catalogue()?;
    let metadata = catalogue.metadata(UUID);
    let dir = w.path("kernel-trace");
    fs::create_dir_all(&dir)?;
    fs::write(dir.join("metadata"), &metadata)?;
    let decoder = Decoder::new(&metadata)?;
    let mut comparison = Comparison::new(&catalogue);
    let mut streams = Streams::new(&catalogue);
    let mut events = 0;
    for round in 0..3 {
        instance.start()?;
        match round {
            0 => load::everything(w, instance)?,
            _ => load::light(w)?,
        }
        instance.pause()?;
        for cpu in instance.cpus()? {
            let text = instance.text(cpu)?;
            let packets = streams.read(instance, cpu)?;
            events += comparison
                .cpu(cpu, &text, &decoder, &packets)
                .with_context(|| format!("round {round}, CPU {cpu}"))?;
            let mut file = OpenOptions::new()
                .append(true)
                .create(true)
                .open(dir.join(format!("kernel_{cpu}")))?;
            file.write_all(&packets.concat())?;
        }
    }
    babeltrace2_reads(&dir, events)?;
    Ok(comparison.report())
}

/// The stream of each CPU.
struct Streams {
    programs: Arc<Programs>,
    by_cpu: BTreeMap<u32, Stream>,
}

struct Stream {
    transcoder: Transcoder,
    events: u64,
    /// A page told of a loss without its number.
    unnumbered: bool,
}

impl Streams {
    fn new(catalogue: &Catalogue) -> Self {
        let programs = Programs::new(&catalogue.machine, &catalogue.schemas());
        Self {
            programs: Arc::new(programs),
            by_cpu: BTreeMap::new(),
        }
    }

    fn of(&mut self, cpu: u32) -> &mut Stream {
        self.by_cpu.entry(cpu).or_insert_with(|| {
            let identity = StreamIdentity {
                uuid: UUID,
                stream_id: 0,
                cpu,
            };
            Stream {
                transcoder: Transcoder::new(self.programs.clone(), identity),
                events: 0,
                unnumbered: false,
            }
        })
    }

    /// All pages of a CPU as packets, several pages each.
    fn read(&mut self, instance: &Instance, cpu: u32) -> Result<Vec<Vec<u8>>> {
        let stream = self.of(cpu);
        let transcoder = &mut stream.transcoder;
        let mut packets = Vec::new();
        for page in instance.raw_pages(cpu)? {
            let summary = transcoder.add_page(&page)?;
            let strange =
                summary.unknown + summary.malformed + summary.out_of_order != 0 || summary.damaged;
            ensure!(!strange, "{summary:?}");
            stream.events += summary.events;
            stream.unnumbered |= summary.missed == Some(Missed::Unknown);
            if transcoder.len() > 100_000 {
                packets.push(transcoder.finish(None).bytes.to_vec());
            }
        }
        if !transcoder.is_empty() {
            packets.push(transcoder.finish(None).bytes.to_vec());
        }
        Ok(packets)
    }
}

fn babeltrace2_reads(dir: &Path, events: u64) -> Result<()> {
    let trace = Trace::read(dir)?;
    trace.assert_readable()?;
    ensure!(
        trace.events.len() as u64 == events,
        "babeltrace2 reads {} events of {events}",
        trace.events.len()
    );
    Ok(())
}

impl Catalogue {
    fn metadata(&self, uuid: [u8; 16]) -> String {
        let order = self.machine.byte_order;
        let environment = kernel::environment::KernelEnvironment {
            sysname: "Linux".into(),
            kernel_release: "test".into(),
            kernel_version: "test".into(),
            hostname: "target".into(),
            trace_name: "t".into(),
            trace_creation_datetime: "20261126T000000+0000".into(),
        };
        let clock = ctf::metadata::Clock {
            name: "monotonic".into(),
            uuid: None,
            description: String::new(),
            freq_hz: 1_000_000_000,
            offset: 0,
        };
        let class = kernel::environment::trace_class(
            ctf::units::Uuid(uuid),
            order,
            environment.entries(),
            clock,
        );
        let mut text = ctf::tsdl::preamble(&class);
        text.push_str(&ctf::tsdl::stream(&kernel::schema::stream_class(0), order));
        for event in self.schemas() {
            text.push_str(&ctf::tsdl::event(&event.class(0), order));
        }
        text
    }
}
