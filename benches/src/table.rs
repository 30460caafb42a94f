//! Measurements side by side.

use std::fmt;

use clap::ValueEnum;
use system_tests::Toolchain;

/// Whose measurement.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Side {
    /// The distribution's lttng-tools.
    Stock,
    /// This workspace.
    Ours,
}

impl Side {
    pub(crate) const BOTH: [Self; 2] = [Self::Stock, Self::Ours];

    pub(crate) fn toolchain(self) -> Toolchain {
        match self {
            Self::Stock => Toolchain::Stock,
            Self::Ours => Toolchain::Ours,
        }
    }
}

/// The unit of a measurement: how to print it, and which way is better.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum Unit {
    /// Less is better.
    Seconds,
    /// Less is better.
    Milliseconds,
    /// Less is better.
    CpuSecondsPerGb,
    /// Less is better.
    CpuSeconds,
    /// Less is better.
    CpuMilliseconds,
    /// Less is better.
    CpuMicroseconds,
    /// Less is better.
    Percent,
    /// Less is better.
    Mebibytes,
    /// More is better.
    MegabytesPerSecond,
    /// More is better.
    Fraction,
    /// Less is better.
    Count,
    /// Neither is better.
    Millions,
}

impl fmt::Display for Unit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Seconds => "s",
            Self::Milliseconds => "ms",
            Self::CpuSecondsPerGb => "CPU-s/GB",
            Self::CpuSeconds => "CPU-s",
            Self::CpuMilliseconds => "CPU-ms",
            Self::CpuMicroseconds => "CPU-us",
            Self::Percent => "%",
            Self::Mebibytes => "MiB",
            Self::MegabytesPerSecond => "MB/s (more is better)",
            Self::Fraction => "(more is better)",
            Self::Count => "number",
            Self::Millions => "million",
        })
    }
}

#[derive(Debug)]
struct Line {
    name: String,
    unit: Unit,
    samples: [Vec<f64>; 2],
}

/// Lines in the order of their first measurement.
#[derive(Debug)]
pub(crate) struct Table {
    lines: Vec<Line>,
}

impl Table {
    pub(crate) fn new() -> Self {
        Self { lines: Vec::new() }
    }

    /// Adds one measurement of `name`.
    pub(crate) fn add(&mut self, side: Side, name: &str, unit: Unit, value: f64) {
        eprintln!("{:5} {name}: {value:.4} {unit}", side.toolchain().name());
        let at = self
            .lines
            .iter()
            .position(|line| line.name == name && line.unit == unit);
        let at = at.unwrap_or_else(|| {
            self.lines.push(Line {
                name: name.into(),
                unit,
                samples: [Vec::new(), Vec::new()],
            });
            self.lines.len() - 1
        });
        self.lines[at].samples[side as usize].push(value);
    }
}

fn median(samples: &[f64]) -> Option<f64> {
    let mut sorted = samples.to_vec();
    sorted.sort_by(f64::total_cmp);
    let middle = sorted.len() / 2;
    if sorted.len().is_multiple_of(2) {
        Some((sorted.get(middle.checked_sub(1)?)? + sorted.get(middle)?) / 2.0)
    } else {
        sorted.get(middle).copied()
    }
}

/// Three significant digits.
fn number(value: f64) -> String {
    let digits = if value == 0.0 {
        0
    } else {
        (2.0 - value.abs().log10().floor()).clamp(0.0, 6.0) as usize
    };
    format!("{value:.digits$}")
}

fn cell(samples: &[f64]) -> String {
    let Some(middle) = median(samples) else {
        return "-".into();
    };
    let least = samples.iter().copied().fold(f64::INFINITY, f64::min);
    let most = samples.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    if samples.len() == 1 {
        number(middle)
    } else {
        format!("{} ({}-{})", number(middle), number(least), number(most))
    }
}

impl fmt::Display for Table {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(
            f,
            "| what | stock | ours | ours / stock |\n| --- | --- | --- | --- |"
        )?;
        for line in &self.lines {
            let [stock, ours] = &line.samples;
            let ratio = match (median(stock), median(ours)) {
                (Some(stock), Some(ours)) if stock != 0.0 => number(ours / stock),
                (Some(_), Some(0.0)) => "1".into(),
                _ => "-".into(),
            };
            writeln!(
                f,
                "| {}, {} | {} | {} | {ratio} |",
                line.name,
                line.unit,
                cell(stock),
                cell(ours)
            )?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cells_show_median_and_range() {
        assert_eq!(cell(&[3.0, 1.0, 2.0]), "2.00 (1.00-3.00)");
        assert_eq!(cell(&[0.0123]), "0.0123");
        assert_eq!(number(1234.5), "1234");
        assert_eq!(median(&[]), None);
    }
}
