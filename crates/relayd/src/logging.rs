//! Messages: on standard error with the prefixes of LTTng tools, or, when that leads to the journal anyway,
//! straight into the journal with their fields.

use std::fmt;
use std::io::IsTerminal;
use std::os::fd::AsFd;

use tracing::{Event, Level, Subscriber, level_filters::LevelFilter};
use tracing_subscriber::fmt::format::Writer;
use tracing_subscriber::fmt::{FmtContext, FormatEvent, FormatFields};
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::registry::LookupSpan;
use tracing_subscriber::util::SubscriberInitExt;

use crate::log_quota::QuotaLayer;

/// `verbose` is how often `-v` was given.
pub(crate) fn init(verbose: u8) {
    let level = match verbose {
        0 => LevelFilter::WARN,
        1 => LevelFilter::INFO,
        2 => LevelFilter::DEBUG,
        _ => LevelFilter::TRACE,
    };
    let journal = is_journal()
        .then(|| tracing_journald::layer().ok())
        .flatten()
        .map(|layer| {
            layer
                .with_syslog_identifier("lttng-relayd".to_owned())
                // LTTNG_SESSION, LTTNG_STREAM and so on.
                .with_field_prefix(Some("LTTNG".to_owned()))
        });
    let stderr = journal.is_none().then(|| {
        tracing_subscriber::fmt::layer()
            .with_writer(std::io::stderr)
            // In a file they would be in the way.
            .with_ansi(std::io::stderr().is_terminal())
            .event_format(Prefixed)
    });
    tracing_subscriber::registry()
        .with(level)
        .with(QuotaLayer)
        .with(journal)
        .with(stderr)
        .init();
}

/// Does standard error lead to the journal? systemd names its socket there.
fn is_journal() -> bool {
    let Ok(named) = std::env::var("JOURNAL_STREAM") else {
        return false;
    };
    let Ok(stat) = rustix::fs::fstat(std::io::stderr().as_fd()) else {
        return false;
    };
    named == format!("{}:{}", stat.st_dev, stat.st_ino)
}

struct Prefixed;

impl<S, N> FormatEvent<S, N> for Prefixed
where
    S: Subscriber + for<'a> LookupSpan<'a>,
    N: for<'a> FormatFields<'a> + 'static,
{
    fn format_event(
        &self,
        context: &FmtContext<'_, S, N>,
        mut writer: Writer<'_>,
        event: &Event<'_>,
    ) -> fmt::Result {
        writer.write_str(match *event.metadata().level() {
            Level::ERROR => "Error: ",
            Level::WARN => "Warning: ",
            Level::INFO => "DBG1 - ",
            Level::DEBUG => "DBG2 - ",
            Level::TRACE => "DBG3 - ",
        })?;
        context.format_fields(writer.by_ref(), event)?;
        writeln!(writer)
    }
}
