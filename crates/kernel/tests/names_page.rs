//! `docs/kernel-events.md` shows the table of names as it is in the code.

use std::fmt::Write as _;
use std::fs;
use std::path::Path;

use kernel::names::{FIELDS, PREFIXED, RENAMED, SYSCALLS, TASK_EVENTS, TASK_FIELDS, event_name};

const BEGIN: &str = "<!-- names: made from the table in crates/kernel/src/names/table.rs -->\n";
const END: &str = "<!-- end of names -->";

/// The part of the page that is made from the table.
fn tables() -> String {
    let mut out =
        String::from("\n| subsystem | in the kernel | in a trace |\n| --- | --- | --- |\n");
    let mut row = |subsystem: &str, kernel: &str, lttng: &str| {
        let _ = writeln!(out, "| `{subsystem}` | `{kernel}` | `{lttng}` |");
    };
    for call in ["sys_enter_*", "sys_exit_*"] {
        row(SYSCALLS, call, &event_name(SYSCALLS, call));
    }
    for prefixed in PREFIXED {
        for event in prefixed.events {
            row(
                prefixed.subsystem,
                event,
                &event_name(prefixed.subsystem, event),
            );
        }
    }
    for renamed in RENAMED {
        row(renamed.subsystem, renamed.kernel, renamed.lttng);
    }
    let events: Vec<String> = TASK_EVENTS.iter().map(|name| format!("`{name}`")).collect();
    let _ = write!(
        out,
        "\nThe ids in these events of the scheduler are thread ids, and LTTng calls them so: {}.\n\n\
        | in the kernel | in a trace |\n| --- | --- |\n",
        events.join(", ")
    );
    for (kernel, lttng) in TASK_FIELDS {
        let _ = writeln!(out, "| `{kernel}` | `{lttng}` |");
    }
    out.push_str(
        "\nSingle fields:\n\n| event | in the kernel | in a trace |\n| --- | --- | --- |\n",
    );
    for row in FIELDS {
        let event = event_name(row.subsystem, row.event);
        let _ = writeln!(out, "| `{event}` | `{}` | `{}` |", row.kernel, row.lttng);
    }
    out.push('\n');
    out
}

/// To bring the page up to date: `UPDATE_PAGES=1 cargo test -p kernel --test names_page`.
#[test]
fn the_page_shows_the_names() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/kernel-events.md");
    let page = fs::read_to_string(&path).unwrap();
    let (before, rest) = page.split_once(BEGIN).expect("the begin of the names");
    let (shown, after) = rest.split_once(END).expect("the end of the names");
    let tables = tables();
    if std::env::var_os("UPDATE_PAGES").is_some() {
        fs::write(&path, [before, BEGIN, &tables, END, after].concat()).unwrap();
        return;
    }
    assert!(
        shown == tables,
        "docs/kernel-events.md is not up to date: UPDATE_PAGES=1 cargo test -p kernel --test names_page\n{tables}"
    );
}
