//! Metrics in the text format of Prometheus, over as much HTTP as that needs.

use std::fmt::Write;

use super::Oracle;
use crate::counters::WRITE_CLASSES_US;

/// The answer to an HTTP request, head included.
pub(super) fn answer(oracle: &Oracle, request: &[u8]) -> Vec<u8> {
    let line = request.split(|byte| *byte == b'\r').next().unwrap_or(&[]);
    let mut words = line.split(|byte| *byte == b' ');
    let (method, path) = (words.next(), words.next());
    let path = path.map(|path| path.split(|byte| *byte == b'?').next().unwrap_or(path));
    match (method, path) {
        (Some(b"GET"), Some(b"/metrics")) => {
            let body = text(oracle);
            response("200 OK", "text/plain; version=0.0.4; charset=utf-8", &body)
        }
        (Some(b"GET"), _) => response("404 Not Found", "text/plain", "see /metrics\n"),
        _ => response("405 Method Not Allowed", "text/plain", "only GET\n"),
    }
}

fn response(status: &str, kind: &str, body: &str) -> Vec<u8> {
    let len = body.len();
    format!(
        "HTTP/1.1 {status}\r\nContent-Type: {kind}\r\nContent-Length: {len}\r\n\
         Connection: close\r\n\r\n{body}"
    )
    .into_bytes()
}

fn text(oracle: &Oracle) -> String {
    let relay = &oracle.relay;
    let summary = relay.register.summary();
    let total = &summary.total;
    let mut page = Page::default();
    page.family("build_info", "gauge", "The version of this program.");
    let version = concat!("{version=\"", env!("CARGO_PKG_VERSION"), "\"}");
    page.sample("build_info", version, 1);
    page.one(
        "uptime_seconds",
        "gauge",
        "Since the start.",
        summary.uptime_s,
    );
    let sessions = summary.sessions.len() as u64;
    page.one("sessions", "gauge", "Sessions at present.", sessions);
    let created = summary.sessions_created;
    page.one(
        "sessions_total",
        "counter",
        "Sessions since the start.",
        created,
    );
    let streams = relay.stream_count() as u64;
    page.one("streams", "gauge", "Streams at present.", streams);
    page.one(
        "streams_total",
        "counter",
        "Streams since the start.",
        total.streams,
    );
    let viewers = oracle.viewers.connections() as u64;
    page.one(
        "viewers",
        "gauge",
        "Connections of viewers at present.",
        viewers,
    );
    let connections = oracle.workers.connections() as u64;
    page.one(
        "connections",
        "gauge",
        "Connections at present.",
        connections,
    );
    let limit = oracle.facts.max_connections as u64;
    page.one(
        "connections_max",
        "gauge",
        "More connections are refused.",
        limit,
    );
    page.one(
        "open_files",
        "gauge",
        "Open trace files.",
        relay.pool.open_files() as u64,
    );
    page.one(
        "packets_total",
        "counter",
        "Packets received.",
        total.packets,
    );
    let bytes = total.packet_bytes;
    page.one(
        "packet_bytes_total",
        "counter",
        "Bytes of packets, padding included.",
        bytes,
    );
    let bytes = total.metadata_bytes;
    page.one(
        "metadata_bytes_total",
        "counter",
        "Bytes of metadata, padding included.",
        bytes,
    );
    page.one(
        "indexes_total",
        "counter",
        "Packet indexes received.",
        total.indexes,
    );
    let discarded = total.events_discarded;
    let help = "Events that tracers had no room for, as the indexes say.";
    page.one("events_discarded_total", "counter", help, discarded);
    page.family("errors_total", "counter", "What went wrong, by kind.");
    for (kind, count) in relay.register.errors.by_kind() {
        page.sample("errors_total", &format!("{{kind=\"{kind}\"}}"), count);
    }
    page.family(
        "write_seconds",
        "histogram",
        "Time to write a part of a packet into its file.",
    );
    let mut so_far = 0;
    for (end_us, count) in WRITE_CLASSES_US.iter().zip(&total.writes) {
        so_far += count;
        let end_s = *end_us as f64 / 1e6;
        page.sample(
            "write_seconds_bucket",
            &format!("{{le=\"{end_s}\"}}"),
            so_far,
        );
    }
    let all = total.all_writes();
    page.sample("write_seconds_bucket", "{le=\"+Inf\"}", all);
    let sum_s = total.write_ns as f64 / 1e9;
    page.line("write_seconds_sum", "", &sum_s.to_string());
    page.sample("write_seconds_count", "", all);
    page.0
}

#[derive(Default)]
struct Page(String);

impl Page {
    fn family(&mut self, name: &str, kind: &str, help: &str) {
        // Writing into a string cannot fail.
        let _ = writeln!(self.0, "# HELP lttng_relayd_{name} {help}");
        let _ = writeln!(self.0, "# TYPE lttng_relayd_{name} {kind}");
    }

    fn sample(&mut self, name: &str, labels: &str, value: u64) {
        self.line(name, labels, &value.to_string());
    }

    fn line(&mut self, name: &str, labels: &str, value: &str) {
        let _ = writeln!(self.0, "lttng_relayd_{name}{labels} {value}");
    }

    fn one(&mut self, name: &str, kind: &str, help: &str, value: u64) {
        self.family(name, kind, help);
        self.sample(name, "", value);
    }
}
