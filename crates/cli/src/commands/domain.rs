//! The options that name a tracing domain.

use control::v1;

use crate::daemon::Context;
use crate::ui::{Exit, status};

/// A domain that the session daemon knows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Domain {
    Kernel,
    Ust,
}

impl Domain {
    pub(crate) fn proto(self) -> i32 {
        match self {
            Self::Kernel => v1::Domain::Kernel.into(),
            Self::Ust => v1::Domain::Ust.into(),
        }
    }

    /// In messages.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Kernel => "kernel",
            Self::Ust => "ust",
        }
    }
}

/// Kernel or user space.
#[derive(Debug, clap::Args)]
pub(crate) struct Tracers {
    /// Linux kernel domain
    #[arg(short, long)]
    kernel: bool,
    /// User space domain
    #[arg(short, long)]
    userspace: bool,
}

impl Tracers {
    pub(crate) fn chosen(&self, context: &Context) -> Result<Domain, Exit> {
        match (self.kernel, self.userspace) {
            (true, false) => Ok(Domain::Kernel),
            (false, true) => Ok(Domain::Ust),
            (true, true) => Err(context.ui.fail("Only one domain must be specified.")),
            (false, false) => Err(context
                .ui
                .fail("Please specify a domain (--kernel/--userspace).")),
        }
    }
}

/// Any domain.
#[derive(Debug, clap::Args)]
pub(crate) struct Domains {
    /// Linux kernel domain
    #[arg(short, long)]
    pub(crate) kernel: bool,
    /// User space domain
    #[arg(short, long)]
    pub(crate) userspace: bool,
    /// java.util.logging domain (comes with a later version)
    #[arg(short, long)]
    pub(crate) jul: bool,
    /// Apache log4j domain (comes with a later version)
    #[arg(short, long)]
    pub(crate) log4j: bool,
    /// Python logging domain (comes with a later version)
    #[arg(short, long)]
    pub(crate) python: bool,
}

impl Domains {
    pub(crate) fn chosen(&self, context: &Context) -> Result<Domain, Exit> {
        let ui = &context.ui;
        let all = [
            self.kernel,
            self.userspace,
            self.jul,
            self.log4j,
            self.python,
        ];
        match all.into_iter().filter(|chosen| *chosen).count() {
            0 => {
                return Err(ui.fail(
                    "Please specify a domain (--kernel/--userspace/--jul/--log4j/--python).",
                ));
            }
            1 => {}
            _ => return Err(ui.fail("Only one domain must be specified.")),
        }
        self.refuse_agents(context)?;
        Ok(if self.kernel {
            Domain::Kernel
        } else {
            Domain::Ust
        })
    }

    /// The domains of logging libraries are not there yet.
    pub(crate) fn refuse_agents(&self, context: &Context) -> Result<(), Exit> {
        let agents = [
            (self.jul, "--jul"),
            (self.log4j, "--log4j"),
            (self.python, "--python"),
        ];
        match agents.into_iter().find(|(chosen, _)| *chosen) {
            Some((_, option)) => {
                context.ui.error(format_args!(
                    "The domain of {option} comes with a later version of lttng-rs; --userspace is there."
                ));
                Err(Exit(status::UNSUPPORTED))
            }
            None => Ok(()),
        }
    }
}
