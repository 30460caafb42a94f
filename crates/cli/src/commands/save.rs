//! `lttng save`.

use std::path::{Path, PathBuf};

use control::v1::output::Kind;
use control::{ErrorCode, url};
use session_file::files::{self, FileError};
use session_file::{SavedSession, client};

use crate::daemon::{Context, Failure};
use crate::mi::{Document, Element};
use crate::ui::{Exit, Outcome, Ui, status};

use super::{chosen, create, one_or_all};

/// Save recording sessions to files
///
/// Writes how a session is set up, not what it recorded, to NAME.lttng, from which `lttng load` makes it again.
/// Without a directory, to .lttng/sessions below LTTNG_HOME or the home directory.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Name of the session; without one all sessions
    name: Option<String>,
    /// Save all sessions
    #[arg(short, long)]
    all: bool,
    /// Directory of the files, or its URL (file://DIR)
    #[arg(short, long, value_name = "PATH")]
    output_path: Option<String>,
    /// Overwrite files that are there
    #[arg(short, long)]
    force: bool,
    #[arg(hide = true)]
    extra: Vec<String>,
}

pub(crate) async fn run(args: Args, context: &Context) -> Result<Outcome, Exit> {
    let ui = &context.ui;
    let name = one_or_all(context, args.all, args.name.as_ref(), &args.extra)?;
    let directory = directory(ui, args.output_path.as_deref())?;
    let code = save(context, name.as_deref(), &directory, args.force).await;
    let place = args.output_path.as_deref();
    if code == status::OK {
        match (&name, place) {
            (Some(name), Some(place)) => {
                ui.say(format_args!(
                    "Session {name} saved successfully in {place}."
                ));
            }
            (Some(name), None) => ui.say(format_args!("Session {name} saved successfully.")),
            (None, Some(place)) => {
                ui.say(format_args!(
                    "All sessions have been saved successfully in {place}."
                ));
            }
            (None, None) => ui.say("All sessions have been saved successfully."),
        }
    }
    Ok(Outcome::new(
        code,
        document(name.as_deref(), place, code == status::OK),
    ))
}

fn document(name: Option<&str>, place: Option<&str>, success: bool) -> Document {
    let session = Element::new("session", [Element::text("name", name.unwrap_or("*"))]);
    let path = place.map(|place| Element::text("path", place));
    let saved = Element::new("save", [session].into_iter().chain(path));
    Document::new("save", [saved], success)
}

fn directory(ui: &Ui, given: Option<&str>) -> Result<PathBuf, Exit> {
    let Some(given) = given else {
        let Some(home) = places::home_directory() else {
            return Err(ui.fail("There is no home directory: say where with --output-path"));
        };
        return Ok(files::user_directory(&home));
    };
    if given.contains("://") {
        let output = url::set_url(given, &url::system_resolver);
        return match output.map(|output| output.kind) {
            Ok(Some(Kind::LocalPath(path))) => Ok(path.into()),
            Ok(_) => Err(ui.fail(format_args!(
                "Sessions are saved on this machine only, not to {given}"
            ))),
            Err(error) => {
                create::say_url_error(ui, &error, given);
                Err(Exit(status::ERROR))
            }
        };
    }
    create::absolute(Path::new(given))
        .map_err(|error| ui.fail(format_args!("Cannot use the directory {given}: {error}")))
}

/// Returns the exit status.
async fn save(context: &Context, name: Option<&str>, directory: &Path, overwrite: bool) -> u8 {
    let ui = &context.ui;
    let mut code = status::OK;
    let (mut client, names) = match name {
        Some(name) => match context.connect().await {
            Ok(client) => (client, vec![name.to_owned()]),
            Err(failure) => return refuse(ui, &failure),
        },
        None => match chosen::list(context).await {
            Ok((client, sessions)) => {
                let names = sessions.into_iter().map(|session| session.name);
                (client, names.collect())
            }
            Err(failure) => return refuse(ui, &failure),
        },
    };
    for name in &names {
        let saved = match client::gather(&mut client, name).await {
            Ok(saved) => saved,
            Err(error) => {
                code = refuse(ui, &error.into());
                continue;
            }
        };
        if let Err(error) = write(ui, directory, &saved, overwrite) {
            code = refuse(ui, &error);
        }
    }
    code
}

fn write(ui: &Ui, directory: &Path, saved: &SavedSession, overwrite: bool) -> Result<(), Failure> {
    match files::save(directory, saved, overwrite) {
        Ok(path) => {
            ui.debug(format_args!("{} written", path.display()));
            Ok(())
        }
        Err(error) => {
            let code = match error {
                FileError::Exists(_) => ErrorCode::SAVE_FILE_EXISTS,
                _ => ErrorCode::SAVE_FAILED,
            };
            Err(Failure::local(code, &error.to_string()))
        }
    }
}

fn refuse(ui: &Ui, failure: &Failure) -> u8 {
    failure.say(ui, failure.text());
    failure.status()
}
