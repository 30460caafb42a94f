//! What goes to the terminal, and the exit status.

use std::fmt::Display;
use std::io::{self, IsTerminal, Write};

use crate::mi;

/// Exit statuses of upstream.
pub(crate) mod status {
    pub(crate) const OK: u8 = 0;
    pub(crate) const ERROR: u8 = 1;
    pub(crate) const UNDEFINED: u8 = 2;
    pub(crate) const FATAL: u8 = 3;
    pub(crate) const WARNING: u8 = 4;
    pub(crate) const UNSUPPORTED: u8 = 5;
    /// Ours: the session is destroyed, and its trace is not complete. Upstream's statuses end at 5, and the codes
    /// of errors that some of its commands let out begin at 10.
    pub(crate) const INCOMPLETE: u8 = 6;
}

/// The end of a command that went no further; what there was to say has been said. No XML is printed.
#[derive(Debug)]
pub(crate) struct Exit(pub(crate) u8);

/// The end of a command.
#[derive(Debug)]
pub(crate) struct Outcome {
    pub(crate) status: u8,
    /// For `--mi xml`.
    pub(crate) document: Option<mi::Document>,
}

impl Outcome {
    /// A command without machine interface.
    pub(crate) fn plain(status: u8) -> Self {
        Self {
            status,
            document: None,
        }
    }

    pub(crate) fn new(status: u8, document: mi::Document) -> Self {
        Self {
            status,
            document: Some(document),
        }
    }
}

/// Normal messages on stdout, warnings and errors on stderr, as the global options want them.
#[derive(Clone, Debug, Default)]
pub(crate) struct Ui {
    pub(crate) quiet: bool,
    pub(crate) xml: bool,
    pub(crate) verbose: u8,
}

impl Ui {
    fn silent(&self) -> bool {
        self.quiet || self.xml
    }

    /// A normal message: one line on stdout.
    pub(crate) fn say(&self, text: impl Display) {
        if !self.silent() {
            // A reader that went away is no reason to fail.
            let _ = writeln!(io::stdout().lock(), "{text}");
        }
    }

    /// Whether somebody looks on: scripts want results and no progress.
    pub(crate) fn is_watched(&self) -> bool {
        !self.silent() && io::stdout().is_terminal()
    }

    /// A part of a line on stdout, at once.
    pub(crate) fn progress(&self, text: &str) {
        if !self.silent() {
            let mut out = io::stdout().lock();
            let _ = out.write_all(text.as_bytes()).and_then(|()| out.flush());
        }
    }

    /// A result that is printed whatever the options: completions, lists of options, help.
    pub(crate) fn print(&self, text: impl Display) {
        let _ = writeln!(io::stdout().lock(), "{text}");
    }

    /// A result that a program reads: a full disk is an error, a reader that went away is none.
    pub(crate) fn deliver(&self, text: impl Display) -> io::Result<()> {
        let mut out = io::stdout().lock();
        match writeln!(out, "{text}").and_then(|()| out.flush()) {
            Err(error) if error.kind() != io::ErrorKind::BrokenPipe => Err(error),
            _ => Ok(()),
        }
    }

    pub(crate) fn warn(&self, text: impl Display) {
        self.stderr(format_args!("Warning: {text}"));
    }

    pub(crate) fn error(&self, text: impl Display) {
        self.stderr(format_args!("Error: {text}"));
    }

    /// A line that tells more about the error or warning before it, indented below its text.
    pub(crate) fn detail(&self, text: impl Display) {
        for line in text.to_string().lines() {
            self.stderr(format_args!("       {line}"));
        }
    }

    /// A line on stderr as it is: also what `record` has to say, whose command owns stdout.
    pub(crate) fn stderr(&self, text: impl Display) {
        if !self.quiet {
            let _ = writeln!(io::stderr().lock(), "{text}");
        }
    }

    pub(crate) fn debug(&self, text: impl Display) {
        if self.verbose > 0 && !self.silent() {
            self.stderr(format_args!("DBG1 - {text}"));
        }
    }

    /// Says an error and ends the command.
    pub(crate) fn fail(&self, text: impl Display) -> Exit {
        self.error(text);
        Exit(status::ERROR)
    }
}
