//! `lttng enable-channel`.

use control::v1::{BufferType, ChannelAttributes, EnableChannelRequest};
use control::{Client, ErrorCode};

use crate::daemon::{Context, Failure};
use crate::mi::{Document, Element};
use crate::render::xml;
use crate::ui::{Exit, Outcome, Ui, status};
use crate::{current_session, values};

use super::domain::{Domain, Tracers};
use super::{names, no_more};

/// Defaults of user space channels, bytes.
const SUBBUF_SIZE_PER_UID: u64 = 524_288;
const SUBBUF_SIZE_PER_PID: u64 = 16_384;
/// Of kernel channels.
const SUBBUF_SIZE_KERNEL: u64 = 1_048_576;
const SUBBUF_COUNT: u64 = 4;

/// Most bytes of a channel name.
const MAX_NAME_BYTES: usize = 255;

/// Create or enable a channel
///
/// Creates channels, or enables disabled ones. Sizes take the suffixes k, M, G; durations are microseconds or
/// take us, ms, s, m, h.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Names of the channels, separated by commas
    #[arg(value_name = "CHANNEL[,CHANNEL...]")]
    channels: Option<String>,
    /// Name of the session; without it the current session
    #[arg(short, long)]
    session: Option<String>,
    #[command(flatten)]
    domain: Tracers,
    /// Discard events when the buffers are full (default)
    #[arg(long)]
    discard: bool,
    /// Overwrite the oldest packets when the buffers are full
    #[arg(long)]
    overwrite: bool,
    /// Size of a sub-buffer (default 512k, with --buffers-pid 16k, with -k 1M)
    #[arg(long, value_name = "SIZE")]
    subbuf_size: Option<String>,
    /// Number of sub-buffers per buffer (default 4)
    #[arg(long, value_name = "COUNT")]
    num_subbuf: Option<String>,
    /// Deliver partly filled sub-buffers after this time; 0 = never (default)
    #[arg(long, value_name = "PERIOD")]
    switch_timer: Option<String>,
    /// Sample the buffer usage after this time; 0 = never (default 1s)
    #[arg(long, value_name = "PERIOD")]
    monitor_timer: Option<String>,
    /// Look for full sub-buffers after this time; 0 = when they are announced (default)
    #[arg(long, value_name = "PERIOD")]
    read_timer: Option<String>,
    /// How buffers are read: mmap
    #[arg(long, value_name = "TYPE")]
    output: Option<String>,
    /// Share the buffers among the processes of a user (default)
    #[arg(long)]
    buffers_uid: bool,
    /// Give each process its own buffers
    #[arg(long)]
    buffers_pid: bool,
    #[arg(long, hide = true)]
    buffers_global: bool,
    /// Largest trace file per stream; 0 = no limit (default)
    #[arg(short = 'C', long, value_name = "SIZE")]
    tracefile_size: Option<String>,
    /// Number of trace files per stream, used in turn; needs --tracefile-size
    #[arg(short = 'W', long, value_name = "COUNT")]
    tracefile_count: Option<String>,
    /// How long an application waits for a free sub-buffer before it discards: a time or `inf` (default 0)
    #[arg(long, value_name = "TIMEOUT")]
    blocking_timeout: Option<String>,
    #[arg(hide = true)]
    extra: Vec<String>,
}

pub(crate) async fn run(args: Args, context: &Context) -> Result<Outcome, Exit> {
    let ui = &context.ui;
    let (mut attributes, splice) = attributes(ui, &args)?;
    let domain = args.domain.chosen(context)?;
    let buffer_type = buffer_type(ui, domain, &args)?;
    let Some(channels) = &args.channels else {
        return Err(ui.fail("Missing channel name."));
    };
    no_more(context, &args.extra)?;
    fill_defaults(ui, &mut attributes, domain, buffer_type);
    let session = current_session::or_current(ui, args.session.clone())?;
    for name in names(channels) {
        check_name(ui, name)?;
    }
    let mut batch = Batch {
        context,
        session,
        domain,
        attributes,
        buffer_type,
        splice,
        warned: false,
        failed: false,
        shown: Vec::new(),
    };
    batch.enable_all(channels).await;
    Ok(batch.outcome())
}

fn check_name(ui: &Ui, name: &str) -> Result<(), Exit> {
    if name.len() > MAX_NAME_BYTES {
        return Err(ui.fail(format_args!(
            "Channel name is too long (max. {MAX_NAME_BYTES} characters)"
        )));
    }
    if name.starts_with('.') || name.contains('/') {
        return Err(ui.fail(format_args!(
            "Invalid channel name: \"{name}\". Channel names may not start with '.', and may not contain '/'."
        )));
    }
    Ok(())
}

fn exists(failure: &Failure) -> bool {
    matches!(
        failure.code,
        ErrorCode::UST_CHANNEL_EXISTS | ErrorCode::KERNEL_CHANNEL_EXISTS
    )
}

/// The channels of one command, all with the same attributes.
struct Batch<'a> {
    context: &'a Context,
    session: String,
    domain: Domain,
    attributes: ChannelAttributes,
    buffer_type: BufferType,
    splice: bool,
    warned: bool,
    failed: bool,
    shown: Vec<Element>,
}

impl Batch<'_> {
    async fn enable_all(&mut self, channels: &str) {
        let mut client = self.context.connect().await;
        for name in names(channels) {
            let result = match &mut client {
                Ok(client) => self.enable(client, name).await,
                Err(failure) => Err(failure.clone()),
            };
            if let Err(failure) = &result {
                self.say_failure(name, failure);
                let exists = exists(failure);
                self.warned |= exists;
                self.failed |= !exists;
            } else {
                self.context.ui.say(format_args!(
                    "{} channel {name} enabled for session {}",
                    self.domain.name(),
                    self.session
                ));
            }
            self.shown.push(Element::new(
                "channel",
                [
                    Element::text("name", name),
                    Element::text("enabled", true),
                    xml::channel_attributes(&self.attributes, [0, 0]),
                    Element::text("success", result.is_ok()),
                ],
            ));
        }
    }

    async fn enable(&self, client: &mut Client, name: &str) -> Result<(), Failure> {
        // How the kernel's pages are read is our business; both ways mean the same.
        if self.splice && self.domain == Domain::Ust {
            return Err(Failure::local(
                ErrorCode::NOT_SUPPORTED,
                "user space buffers are read with mmap only",
            ));
        }
        let request = EnableChannelRequest {
            session: self.session.clone(),
            domain: self.domain.proto(),
            channel: name.into(),
            attributes: Some(self.attributes),
            buffer_type: self.buffer_type.into(),
        };
        client.enable_channel(request).await?;
        Ok(())
    }

    fn say_failure(&self, name: &str, failure: &Failure) {
        let ui = &self.context.ui;
        let text = format!(
            "Channel {name}: {} (session {})",
            failure.text(),
            self.session
        );
        if exists(failure) {
            ui.warn(text);
        } else {
            failure.say(ui, text);
        }
    }

    fn outcome(self) -> Outcome {
        let code = match (self.failed, self.warned) {
            (true, _) => status::ERROR,
            (false, true) => status::WARNING,
            (false, false) => status::OK,
        };
        let channels = Element::new("channels", self.shown);
        let document = Document::new("enable-channel", [channels], code == status::OK);
        Outcome::new(code, document)
    }
}

fn buffer_type(ui: &Ui, domain: Domain, args: &Args) -> Result<BufferType, Exit> {
    let user = args.buffers_uid || args.buffers_pid;
    match domain {
        Domain::Kernel if user => Err(ui.fail("Buffer type not supported for domain -k")),
        Domain::Ust if args.buffers_global && !user => {
            Err(ui.fail("Buffer type not supported for domain -u"))
        }
        Domain::Kernel => Ok(BufferType::Unspecified),
        Domain::Ust if args.buffers_pid && !args.buffers_uid => Ok(BufferType::PerPid),
        Domain::Ust => Ok(BufferType::PerUid),
    }
}

/// The attributes as given, zero where a default goes; and whether splice was asked for.
fn attributes(ui: &Ui, args: &Args) -> Result<(ChannelAttributes, bool), Exit> {
    let mut out = ChannelAttributes {
        overwrite: match (args.discard, args.overwrite) {
            (true, _) => Some(false),
            (false, true) => Some(true),
            (false, false) => None,
        },
        ..ChannelAttributes::default()
    };
    if let Some(text) = &args.subbuf_size {
        let size = positive(ui, "--subbuf-size", text, values::size)?;
        out.subbuf_size = power_of_two(ui, "subbuf size", "--subbuf-size", text, size)?;
    }
    if let Some(text) = &args.num_subbuf {
        let count = positive(ui, "--num-subbuf", text, values::count)?;
        out.subbuf_count = power_of_two(ui, "number of subbuffers", "--num-subbuf", text, count)?;
    }
    out.switch_timer_us = timer(ui, "--switch-timer", args.switch_timer.as_deref())?;
    out.read_timer_us = timer(ui, "--read-timer", args.read_timer.as_deref())?;
    if let Some(text) = &args.monitor_timer {
        let us = values::duration_us(text).ok_or_else(|| wrong_for(ui, "--monitor-timer", text))?;
        out.monitor_timer_us = Some(us);
    }
    if let Some(text) = &args.blocking_timeout {
        out.blocking_timeout_us = blocking_timeout(ui, text)?;
    }
    if out.overwrite() && out.blocking_timeout_us != 0 {
        return Err(ui.fail(
            "You cannot specify --overwrite and --blocking-timeout=N, where N is different than 0",
        ));
    }
    if let Some(text) = &args.tracefile_size {
        out.tracefile_size =
            values::size(text).ok_or_else(|| wrong_in(ui, "--tracefile-size", text))?;
    }
    if let Some(text) = &args.tracefile_count {
        out.tracefile_count =
            values::count(text).ok_or_else(|| wrong_in(ui, "--tracefile-count", text))?;
        if out.tracefile_count > 0 && out.tracefile_size == 0 {
            return Err(ui.fail(
                "Missing option --tracefile-size. A file count without a size won't do anything.",
            ));
        }
    }
    let splice = match args.output.as_deref() {
        Some(text) if text.starts_with("mmap") => false,
        Some(text) if text.starts_with("splice") => true,
        Some(text) => {
            return Err(ui.fail(format_args!(
                "Unknown output type {text}. Possible values are: mmap, splice\n"
            )));
        }
        None => false,
    };
    Ok((out, splice))
}

fn wrong_in(ui: &Ui, option: &str, text: &str) -> Exit {
    ui.fail(format_args!("Wrong value in {option} parameter: {text}"))
}

fn wrong_for(ui: &Ui, option: &str, text: &str) -> Exit {
    ui.fail(format_args!("Wrong value for {option} parameter: {text}"))
}

fn positive(ui: &Ui, option: &str, text: &str, read: fn(&str) -> Option<u64>) -> Result<u64, Exit> {
    read(text)
        .filter(|value| *value > 0)
        .ok_or_else(|| wrong_in(ui, option, text))
}

fn power_of_two(ui: &Ui, what: &str, option: &str, text: &str, value: u64) -> Result<u64, Exit> {
    let rounded = value
        .checked_next_power_of_two()
        .ok_or_else(|| wrong_in(ui, option, text))?;
    if rounded != value {
        ui.warn(format_args!(
            "The {what} ({value}) is rounded to the next power of 2 ({rounded})"
        ));
    }
    Ok(rounded)
}

fn timer(ui: &Ui, option: &str, text: Option<&str>) -> Result<u64, Exit> {
    let Some(text) = text else {
        return Ok(0);
    };
    let us = values::duration_us(text).ok_or_else(|| wrong_for(ui, option, text))?;
    if u32::try_from(us).is_err() {
        return Err(ui.fail(format_args!(
            "32-bit overflow in {option} parameter: {text}"
        )));
    }
    Ok(us)
}

/// Microseconds, -1 for ever. The tracer counts milliseconds in 32 bits.
fn blocking_timeout(ui: &Ui, text: &str) -> Result<i64, Exit> {
    if text == "inf" {
        return Ok(-1);
    }
    let us = values::duration_us(text)
        .and_then(|us| i64::try_from(us).ok())
        .ok_or_else(|| wrong_for(ui, "--blocking-timeout", text))?;
    if i32::try_from(us / 1000).is_err() {
        return Err(ui.fail(format_args!(
            "32-bit milliseconds overflow in --blocking-timeout parameter: {text}"
        )));
    }
    Ok(us)
}

fn fill_defaults(
    ui: &Ui,
    attributes: &mut ChannelAttributes,
    domain: Domain,
    buffer_type: BufferType,
) {
    if attributes.subbuf_size == 0 {
        attributes.subbuf_size = match buffer_type {
            _ if domain == Domain::Kernel => SUBBUF_SIZE_KERNEL,
            BufferType::PerPid => SUBBUF_SIZE_PER_PID,
            BufferType::PerUid | BufferType::Unspecified => SUBBUF_SIZE_PER_UID,
        };
    }
    if attributes.subbuf_count == 0 {
        attributes.subbuf_count = SUBBUF_COUNT;
    }
    let (size, least) = (attributes.tracefile_size, attributes.subbuf_size);
    if size > 0 && size < least {
        ui.warn(format_args!(
            "Tracefile size rounded up from ({size}) to subbuffer size ({least})"
        ));
        attributes.tracefile_size = least;
    }
}
