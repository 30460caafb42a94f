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
use std::sync::Arc;

use anyhow::{Context, Result, ensure};
use ctf::decode::Decoder;
use kernel::transcode::{Programs, StreamIdentity, Transcoder};
use system_tests::{here, isolated_for};

use compare::Comparison;
use instance::{Catalogue, Instance};

const UUID: [u8; 16] = [3; 16];

/// Everything that happens in the processes of the test.
#[test]
fn events_of_a_process_are_what_the_kernel_prints() {
    isolated_for(std::time::Duration::from_secs(300), here!(), |w| {
        let instance = Instance::new()?;
        instance.follow_this_thread()?;
        instance.enable_all()?;
        let kinds = record_and_compare(&instance, w)?;
        // As many as Linux 6.18 gives in a virtual machine, less what a smaller configuration lacks.
        ensure!(kinds >= 250, "only {kinds} kinds of events");
        Ok(())
    });
}

/// What happens in interrupts and in the kernel's threads.
#[test]
fn events_of_the_kernel_are_what_the_kernel_prints() {
    isolated_for(std::time::Duration::from_secs(300), here!(), |w| {
        let instance = Instance::new()?;
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

/// Records the load and compares; how many kinds of events there were.
fn record_and_compare(instance: &Instance, w: &system_tests::World) -> Result<usize> {
    instance.start()?;
    load::everything(w, instance)?;
    instance.stop()?;

    let catalogue = instance.catalogue()?;
    let programs = Arc::new(Programs::new(&catalogue.machine, &catalogue.schemas()));
    let metadata = catalogue.metadata(UUID);
    let dir = w.path("kernel-trace");
    std::fs::create_dir_all(&dir)?;
    std::fs::write(dir.join("metadata"), &metadata)?;
    let mut comparison = Comparison::new(&catalogue);
    let mut events = 0;
    for cpu in instance.cpus()? {
        let text = instance.text(cpu)?;
        let stream = packets(instance, cpu, &programs)?;
        let decoder = Decoder::new(&metadata)?;
        events += comparison
            .cpu(cpu, &text, &decoder, &stream)
            .with_context(|| format!("CPU {cpu}"))?;
        std::fs::write(dir.join(format!("kernel_{cpu}")), stream.concat())?;
    }
    babeltrace2_reads(&dir, events)?;
    let kinds = comparison.report();
    Ok(kinds)
}

/// All pages of a CPU as packets, several pages each.
fn packets(instance: &Instance, cpu: u32, programs: &Arc<Programs>) -> Result<Vec<Vec<u8>>> {
    let identity = StreamIdentity {
        uuid: UUID,
        stream_id: 0,
        cpu,
    };
    let mut transcoder = Transcoder::new(programs.clone(), identity);
    let mut packets = Vec::new();
    let mut totals: BTreeMap<&str, u64> = BTreeMap::new();
    for page in instance.raw_pages(cpu)? {
        let summary = transcoder.add_page(&page)?;
        for (what, count) in [
            ("unknown", summary.unknown),
            ("malformed", summary.malformed),
            ("out of order", summary.out_of_order),
            ("damaged", summary.damaged.into()),
        ] {
            *totals.entry(what).or_default() += count;
        }
        if transcoder.len() > 100_000 {
            packets.push(transcoder.finish(None).bytes.to_vec());
        }
    }
    if !transcoder.is_empty() {
        packets.push(transcoder.finish(None).bytes.to_vec());
    }
    ensure!(totals.values().all(|count| *count == 0), "{totals:?}");
    Ok(packets)
}

fn babeltrace2_reads(dir: &std::path::Path, events: u64) -> Result<()> {
    let trace = system_tests::Trace::read(dir)?;
    ensure!(trace.warnings.is_empty(), "{:?}", trace.warnings);
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
