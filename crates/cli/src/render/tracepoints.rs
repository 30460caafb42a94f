//! Tracepoints of running applications as text.

use std::fs;

use control::v1::Tracepoint;
use control::v1::tracepoint_field::Type;

use crate::log_level;
use crate::ui::Ui;

/// The tracepoints of one application.
pub(crate) struct Application<'a> {
    pub(crate) pid: u32,
    pub(crate) name: String,
    pub(crate) tracepoints: &'a [Tracepoint],
}

/// Groups neighbours of the same process; the name is the first word of its command line.
pub(crate) fn applications(tracepoints: &[Tracepoint]) -> Vec<Application<'_>> {
    tracepoints
        .chunk_by(|a, b| a.pid == b.pid)
        .map(|tracepoints| {
            let first = &tracepoints[0];
            Application {
                pid: first.pid,
                name: command(first.pid).unwrap_or_else(|| first.process.clone()),
                tracepoints,
            }
        })
        .collect()
}

fn command(pid: u32) -> Option<String> {
    let words = fs::read(format!("/proc/{pid}/cmdline")).ok()?;
    let first = words.split(|byte| *byte == 0).next()?;
    (!first.is_empty()).then(|| String::from_utf8_lossy(first).into_owned())
}

/// `lttng list -u [-f]`.
pub(crate) fn say(ui: &Ui, tracepoints: &[Tracepoint]) {
    ui.say("UST events:\n-------------");
    if tracepoints.is_empty() {
        ui.say("None");
    }
    for application in applications(tracepoints) {
        ui.say(format_args!(
            "\nPID: {} - Name: {}",
            application.pid, application.name
        ));
        for tracepoint in application.tracepoints {
            let level = tracepoint.log_level;
            ui.say(format_args!(
                "      {} (loglevel: {} ({level})) (type: tracepoint)",
                tracepoint.name,
                log_level::name(level)
            ));
            say_fields(ui, tracepoint);
        }
    }
    ui.say("");
}

/// `lttng list -k [--syscall] [-f]`. The kernel records the calls of programs of its own size only.
pub(crate) fn say_kernel(ui: &Ui, points: &[Tracepoint], syscalls: bool) {
    if syscalls {
        ui.say("System calls:\n-------------");
    } else {
        ui.say("Kernel events:\n-------------");
    }
    for point in points {
        if syscalls {
            ui.say(format_args!("      {} [{}-bit]", point.name, usize::BITS));
        } else {
            let level = point.log_level;
            ui.say(format_args!(
                "      {} (loglevel: {} ({level})) (type: tracepoint)",
                point.name,
                log_level::name(level)
            ));
        }
        say_fields(ui, point);
    }
    ui.say("");
}

fn say_fields(ui: &Ui, point: &Tracepoint) {
    for field in &point.fields {
        let nowrite = if field.nowrite { " [no write]" } else { "" };
        let kind = field_type(field.r#type());
        ui.say(format_args!(
            "        field: {} ({kind}){nowrite}",
            field.name
        ));
    }
}

fn field_type(kind: Type) -> &'static str {
    match kind {
        Type::Other => "unknown",
        Type::Integer => "integer",
        Type::Enum => "enum",
        Type::Float => "float",
        Type::String => "string",
    }
}
