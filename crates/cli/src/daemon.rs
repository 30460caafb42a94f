//! The connection to the session daemon, and its errors as this command says them.

use control::{CallError, Client, ErrorCode, SocketPath};

use crate::error_text;
use crate::ui::{Exit, Ui, status};

/// Global options that reach the commands.
#[derive(Clone, Debug)]
pub(crate) struct Context {
    pub(crate) ui: Ui,
    pub(crate) group: String,
    pub(crate) no_sessiond: bool,
    pub(crate) sessiond_path: Option<String>,
    pub(crate) relayd_path: Option<String>,
}

/// Why a call was refused.
#[derive(Clone, Debug)]
pub(crate) struct Failure {
    pub(crate) code: ErrorCode,
    detail: String,
    /// The session daemon of another LTTng answered: none of ours can be started beside it.
    pub(crate) of_upstream: bool,
}

impl Failure {
    /// A refusal without asking the daemon.
    pub(crate) fn local(code: ErrorCode, detail: &str) -> Self {
        Self {
            code,
            detail: detail.into(),
            of_upstream: false,
        }
    }

    /// Upstream's words.
    pub(crate) fn text(&self) -> &'static str {
        error_text::text(self.code)
    }

    /// Says an error: upstream's line, then what the daemon knows more.
    pub(crate) fn say(&self, ui: &Ui, text: impl std::fmt::Display) {
        ui.error(text);
        self.say_detail(ui);
    }

    pub(crate) fn say_detail(&self, ui: &Ui) {
        if !error_text::says_all(self.code) && !self.detail.is_empty() && self.detail != self.text()
        {
            ui.detail(&self.detail);
        }
    }

    /// The code as an exit status, as upstream lets it out.
    pub(crate) fn status(&self) -> u8 {
        u8::try_from(self.code.0).unwrap_or(status::ERROR)
    }
}

impl From<CallError> for Failure {
    fn from(error: CallError) -> Self {
        Self {
            code: error.code(),
            detail: error.to_string(),
            of_upstream: matches!(
                error,
                CallError::NoDaemon {
                    upstream: Some(_),
                    ..
                }
            ),
        }
    }
}

impl From<tonic::Status> for Failure {
    fn from(status: tonic::Status) -> Self {
        // The daemon's own answers have details; without them the connection broke.
        if status.details().is_empty() {
            let detail = format!("the session daemon did not answer: {}", status.message());
            return Self::local(ErrorCode::NO_SESSION_DAEMON, &detail);
        }
        CallError::from(status).into()
    }
}

impl Context {
    /// Connects to the daemon that serves this user.
    pub(crate) async fn connect(&self) -> Result<Client, Failure> {
        let path = SocketPath::for_this_user(&self.group);
        for candidate in path.candidates() {
            self.ui
                .debug(format_args!("trying {}", candidate.display()));
        }
        Ok(Client::connect(&path).await?)
    }
}

/// Says that there is no daemon, or why it did not answer, and ends the command.
pub(crate) fn refuse(ui: &Ui, failure: &Failure) -> Exit {
    failure.say(ui, failure.text());
    Exit(status::ERROR)
}
