//! Interrupts, block devices and CPUs.

use std::fs;
use std::path::Path;

use super::events::Kind;
use super::packets::Packets;
use super::{numbers, text};

/// Every handler of every interrupt.
pub(super) fn add_interrupts(sys: &Path, packets: &mut Packets<'_>) {
    let irqs = sys.join("kernel/irq");
    for irq in numbers(&irqs) {
        let irq_dir = irqs.join(irq.to_string());
        let line = |name: &str| {
            text(&irq_dir.join(name))
                .map(|text| text.trim_end().to_owned())
                .filter(|text| !text.is_empty())
        };
        let Some(actions) = line("actions") else {
            continue;
        };
        let chip = line("chip_name").unwrap_or_else(|| "unnamed_irq_chip".to_owned());
        for action in actions.split(',') {
            packets.add(Kind::Interrupt, |payload| {
                payload.u32(irq);
                payload.text(&chip);
                payload.text(action);
                // Of a threaded handler; the system does not tell.
                payload.u32(0);
            });
        }
    }
}

/// Every disk and partition.
pub(super) fn add_block_devices(sys: &Path, packets: &mut Packets<'_>) {
    let Ok(entries) = fs::read_dir(sys.join("class/block")) else {
        return;
    };
    let mut devices: Vec<(u32, String)> = entries
        .filter_map(|entry| {
            let entry = entry.ok()?;
            let dev = device_number(&text(&entry.path().join("dev"))?)?;
            Some((dev, entry.file_name().to_string_lossy().into_owned()))
        })
        .collect();
    devices.sort();
    for (dev, name) in devices {
        packets.add(Kind::BlockDevice, |payload| {
            payload.u32(dev);
            payload.text(&name);
        });
    }
}

/// `MAJOR:MINOR` as the kernel's number, which is what its events have.
fn device_number(text: &str) -> Option<u32> {
    let (major, minor) = text.trim().split_once(':')?;
    let (major, minor): (u32, u32) = (major.parse().ok()?, minor.parse().ok()?);
    (major < 1 << 12 && minor < 1 << 20).then_some(major << 20 | minor)
}

/// Every CPU that `cpuinfo` describes in the way of x86.
pub(super) fn add_cpus(proc: &Path, packets: &mut Packets<'_>) {
    let Some(info) = text(&proc.join("cpuinfo")) else {
        return;
    };
    for cpu in info.split("\n\n") {
        let value = |name: &str| {
            cpu.lines().find_map(|line| {
                let (key, value) = line.split_once(':')?;
                (key.trim_end() == name).then_some(value.trim())
            })
        };
        let number = |name: &str| value(name).and_then(|text| text.parse::<u16>().ok());
        // What only x86 has.
        let (Some(cpu_id), Some(vendor)) = (number("processor"), value("vendor_id")) else {
            continue;
        };
        let Some(family) = number("cpu family") else {
            continue;
        };
        packets.add(Kind::CpuTopology, |payload| {
            payload.text("x86");
            payload.u16(cpu_id);
            payload.text(vendor);
            payload.u8(family as u8);
            payload.u8(number("model").unwrap_or(0) as u8);
            payload.text(value("model name").unwrap_or("unknown"));
            payload.u16(number("physical id").unwrap_or(0));
            payload.u16(number("core id").unwrap_or(0));
            payload.u16(number("cpu cores").unwrap_or(1));
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn device_numbers_are_the_kernels() {
        assert_eq!(device_number("254:3\n"), Some(254 << 20 | 3));
        for text in ["", "254", "254:x", "4096:0", "1:1048576"] {
            assert_eq!(device_number(text), None, "{text}");
        }
    }
}
