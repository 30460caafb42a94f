//! Benchmarks: ours and the stock peers in the same run.
//!
//! `cargo run --release -p benches` measures every row of the table; name rows to measure only those. Build
//! the programs first, in release mode: `cargo build --release --bins`. Each measurement is made with the
//! stock daemons and with ours, in turn, in fresh daemons, in a private place on a tmpfs. A cell is
//! `median (least-most)`; the ratio is that of the medians, ours to stock. Each group of rows is printed when
//! it is measured; progress goes to standard error.

mod load;
mod place;
mod rows;
mod table;

use std::process::ExitCode;

use anyhow::Result;
use clap::Parser;

use crate::rows::Row;
use crate::table::Table;

/// Measures lttng-rs beside the stock LTTng.
#[derive(Debug, Parser)]
pub(crate) struct Settings {
    /// What to measure; everything if none is named.
    rows: Vec<Row>,
    /// A tenth of the work, one iteration: to see that it runs.
    #[arg(long)]
    quick: bool,
    /// Measurements of each cell.
    #[arg(long, default_value_t = 5)]
    iterations: usize,
    /// How many applications the rows `apps` and `idle` start.
    #[arg(long, default_value_t = 500)]
    applications: usize,
    /// Sessions of the rows `live-start` and `live-sessions`.
    #[arg(long, default_value_t = 64)]
    sessions: usize,
    /// Live timers of the row `live`, in milliseconds, one measurement each.
    #[arg(long, value_delimiter = ',', default_values_t = [10, 100, 1000])]
    live_timers: Vec<u64>,
    /// Threads that emit in the row `live`: with one, the streams of the other processors are idle.
    #[arg(long, default_value_t = 1)]
    live_threads: u32,
    /// How many targets the row `fan-in` connects, one measurement each.
    #[arg(long, value_delimiter = ',', default_values_t = [1, 32, 256, 1000, 5000])]
    targets: Vec<usize>,
    /// Bytes of the packets of the row `fan-in`, one measurement each.
    #[arg(long, value_delimiter = ',', default_values_t = [4 << 10, 128 << 10, 1 << 20])]
    packet_sizes: Vec<u32>,
    /// Packets that each target of the row `fan-in` sends before it waits for the index of the first to be
    /// acknowledged; stock consumer daemons: 1.
    #[arg(long, default_value_t = 1)]
    in_flight: u64,
    /// Only ours, or only stock: for profiling.
    #[arg(long)]
    only: Option<table::Side>,
}

impl Settings {
    /// `full`, or less in quick mode.
    pub(crate) fn amount(&self, full: u64) -> u64 {
        if self.quick { full / 10 } else { full }
    }
}

fn main() -> Result<ExitCode> {
    let mut settings = Settings::parse();
    if let Some(status) = system_tests::enclose()? {
        return Ok(ExitCode::from(
            u8::try_from(status.code().unwrap_or(1)).unwrap_or(1),
        ));
    }
    if settings.quick {
        settings.iterations = 1;
    }
    let rows = if settings.rows.is_empty() {
        Row::ALL.to_vec()
    } else {
        settings.rows.clone()
    };
    for row in rows {
        let mut table = Table::new();
        row.measure(&settings, &mut table)?;
        println!("{table}");
    }
    Ok(ExitCode::SUCCESS)
}
