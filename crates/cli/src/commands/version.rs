//! `lttng version`.

use crate::daemon::Context;
use crate::mi::{Document, Element};
use crate::ui::{Exit, Outcome, status};

/// The version of LTTng whose command line this is: scripts and viewers choose their commands by it.
pub(crate) const COMPATIBLE: &str = "2.13.9";

/// In the place of upstream's code name.
pub(crate) const NAME: &str = concat!("lttng-rs ", env!("CARGO_PKG_VERSION"));

const DESCRIPTION: &str = "The LTTng tracing toolchain in Rust, built around streaming traces over the \
                           network. Its command line is that of LTTng 2.13.";
const WEB_SITE: &str = "https://lttng.org";
const LICENSE: &str =
    "lttng-rs is free software and under the MIT license or the Apache license 2.0";

/// Show version information
///
/// Shows version, web site and licence.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    #[arg(hide = true)]
    _extra: Vec<String>,
}

pub(crate) fn run(context: &Context) -> Result<Outcome, Exit> {
    let ui = &context.ui;
    ui.say(format_args!("lttng version {COMPATIBLE} - {NAME}\n"));
    ui.say(format_args!("{DESCRIPTION}\n"));
    ui.say(format_args!("Web site: {WEB_SITE}\n"));
    ui.say(LICENSE);
    let mut numbers = COMPATIBLE.split('.');
    let mut number = |name| Element::text(name, numbers.next().unwrap_or_default());
    let (major, minor, patch) = (number("major"), number("minor"), number("patchLevel"));
    let version = Element::new(
        "version",
        [
            Element::text("string", COMPATIBLE),
            major,
            minor,
            Element::text("commit", ""),
            patch,
            Element::text("name", NAME),
            Element::text("description", DESCRIPTION),
            Element::text("url", WEB_SITE),
            Element::text("license", LICENSE),
        ],
    );
    let document = Document::without_success("version", [version]);
    Ok(Outcome::new(status::OK, document))
}
