//! `lttng load`.

use std::path::Path;

use control::v1::Output;
use control::{Client, ErrorCode, url};
use session_file::files::{self, FileError};
use session_file::{SavedSession, client};

use crate::current_session;
use crate::daemon::{Context, Failure};
use crate::mi::{Document, Element};
use crate::ui::{Exit, Outcome, Ui, status};

use super::{create, one_or_all};

/// Load recording sessions from files
///
/// Makes sessions again that `lttng save` wrote to files, and starts those that were started. Without a path, the
/// files are those in .lttng/sessions below LTTNG_HOME or the home directory, and in /etc/lttng/sessions.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Name of the session; without one all that the files have
    name: Option<String>,
    /// Load all sessions
    #[arg(short, long)]
    all: bool,
    /// A file, or a directory with files NAME.lttng
    #[arg(short, long, value_name = "PATH")]
    input_path: Option<String>,
    /// Destroy sessions of the same name first
    #[arg(short, long)]
    force: bool,
    /// Send the trace here instead (see --set-url of `lttng create`)
    #[arg(long, value_name = "URL")]
    override_url: Option<String>,
    /// Give the session this name instead
    #[arg(long, value_name = "NAME")]
    override_name: Option<String>,
    #[arg(hide = true)]
    extra: Vec<String>,
}

pub(crate) async fn run(args: Args, context: &Context) -> Result<Outcome, Exit> {
    let ui = &context.ui;
    let name = one_or_all(context, args.all, args.name.as_ref(), &args.extra)?;
    if name.is_none() && args.override_name.is_some() {
        return Err(ui.fail("Options --all and --override-name cannot be used simultaneously"));
    }
    let output = match &args.override_url {
        Some(text) => Some(overriding(ui, text)?),
        None => None,
    };
    let code = match load(&args, name.as_deref(), output.as_ref(), context).await {
        Ok(()) => {
            say(ui, &args, name.as_deref());
            status::OK
        }
        Err(code) => code,
    };
    let document = document(&args, name.as_deref(), code == status::OK);
    Ok(Outcome::new(code, document))
}

fn overriding(ui: &Ui, text: &str) -> Result<Output, Exit> {
    url::set_url(text, &url::system_resolver).map_err(|error| {
        create::say_url_error(ui, &error, text);
        ui.error("Url override is invalid");
        Exit(Failure::local(ErrorCode::INVALID, "").status())
    })
}

fn say(ui: &Ui, args: &Args, name: Option<&str>) {
    match name {
        Some(name) => ui.say(format_args!("Session {name} has been loaded successfully")),
        None => ui.say("All sessions have been loaded successfully"),
    }
    if let Some(other) = &args.override_name {
        ui.say(format_args!("Session name overridden with {other}"));
    }
    if let Some(url) = &args.override_url {
        ui.say(format_args!("Session output url overridden with {url}"));
    }
    // The name that the session has now: the one in the file may be nobody's.
    if let Some(name) = args.override_name.as_deref().or(name)
        && let Err(error) = current_session::set(name)
    {
        ui.warn(format_args!(
            "the session was loaded, but cannot be made the current one: {error}"
        ));
    }
}

fn document(args: &Args, name: Option<&str>, success: bool) -> Document {
    let text = |name: &'static str, text: &Option<String>| {
        text.as_ref().map(|text| Element::text(name, text))
    };
    let session = Element::new("session", [Element::text("name", name.unwrap_or("*"))]);
    let overrides = [
        text("name", &args.override_name),
        text("url", &args.override_url),
    ];
    let children = [
        Some(session),
        text("path", &args.input_path),
        Some(Element::new("overrides", overrides.into_iter().flatten())),
    ];
    let loaded = Element::new("load", children.into_iter().flatten());
    Document::new("load", [loaded], success)
}

/// Says what went wrong and returns the exit status.
async fn load(
    args: &Args,
    name: Option<&str>,
    output: Option<&Output>,
    context: &Context,
) -> Result<(), u8> {
    let ui = &context.ui;
    // All files are read before anything is changed.
    let (mut sessions, broken) = find(ui, args.input_path.as_deref())?;
    if let Some(name) = name {
        sessions.retain(|saved| saved.name() == name);
        if sessions.is_empty() {
            let failure = Failure::local(
                ErrorCode::LOAD_SESSION_NOT_FOUND,
                &format!("no file has a session `{name}`"),
            );
            failure.say(ui, failure.text());
            return Err(status::ERROR);
        }
        sessions.truncate(1);
    }
    for saved in &mut sessions {
        if let (Some(other), Some(session)) = (&args.override_name, &mut saved.details.session) {
            session.name.clone_from(other);
        }
        if let Some(output) = output {
            client::redirect(saved, output);
        }
    }
    let mut client = context.connect().await.map_err(|failure| {
        failure.say(ui, failure.text());
        status::ERROR
    })?;
    let mut result = match (broken, name) {
        // The session that was asked for was in a good file.
        (false, _) | (true, Some(_)) => Ok(()),
        (true, None) => {
            ui.error(Failure::local(ErrorCode::LOAD_INVALID_CONFIG, "").text());
            Err(status::ERROR)
        }
    };
    for saved in &sessions {
        if let Err(failure) = make(&mut client, saved, args.force).await {
            failure.say(ui, failure.text());
            if failure.code == ErrorCode::SESSION_EXISTS {
                ui.detail(format_args!(
                    "`{}` is there; --force destroys it first",
                    saved.name()
                ));
            }
            result = Err(status::ERROR);
        }
    }
    result
}

async fn make(client: &mut Client, saved: &SavedSession, overwrite: bool) -> Result<(), Failure> {
    client::make(client, saved, &create::home(), overwrite).await?;
    Ok(())
}

/// The sessions of all files; whether some file was broken, which was said.
fn find(ui: &Ui, given: Option<&str>) -> Result<(Vec<SavedSession>, bool), u8> {
    let home = places::home_directory();
    let found = files::find(given.map(Path::new), home.as_deref()).map_err(|error| {
        let code = match error {
            FileError::Read { .. } => ErrorCode::LOAD_INVALID_CONFIG,
            _ => ErrorCode::LOAD_FAILED,
        };
        let failure = Failure::local(code, &error.to_string());
        failure.say(ui, failure.text());
        status::ERROR
    })?;
    for error in &found.broken {
        ui.warn(format_args!("left out: {error}"));
    }
    Ok((found.sessions, !found.broken.is_empty()))
}
