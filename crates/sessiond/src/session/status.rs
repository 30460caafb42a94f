//! What a session can tell of itself.

use consumer_api::Counters;

use crate::lock::lock;
use crate::session::{ConsumerState, OutputSetting, Session};

/// Totals of a session.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct SessionCounters {
    /// Over all channels.
    pub total: Counters,
    /// By channel name.
    pub channels: Vec<(String, Counters)>,
}

impl SessionCounters {
    /// Those of a channel, zero if nothing was counted.
    pub(crate) fn channel(&self, name: &str) -> Counters {
        self.channels
            .iter()
            .find(|(known, _)| known == name)
            .map_or_else(Counters::default, |(_, c)| *c)
    }
}

/// State of a session's output.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum OutputStatus {
    /// Not needed yet.
    Unused,
    /// Takes packets.
    Ready {
        /// Local directory, or the directory that the relay daemon reported.
        path: String,
        /// On another machine.
        remote: bool,
    },
    /// Takes nothing any more.
    Failed {
        /// As above.
        path: String,
        /// Why.
        reason: String,
    },
}

impl Session {
    /// Totals, asked of the consumer daemon now if it runs.
    pub(crate) async fn counters(&self) -> SessionCounters {
        self.refresh_counters().await;
        lock(&self.runtime).last_counters.clone()
    }

    /// State of the output.
    pub(crate) fn output_status(&self) -> OutputStatus {
        let runtime = lock(&self.runtime);
        let (path, remote) = match &self.output {
            OutputSetting::None => return OutputStatus::Unused,
            OutputSetting::Local(path) => (path.display().to_string(), false),
            OutputSetting::Relay { .. } => match &runtime.collector {
                Some(collector) => (collector.path.clone(), true),
                None => return OutputStatus::Unused,
            },
        };
        match runtime.consumer.as_ref().map(|consumer| consumer.state()) {
            Some(ConsumerState::OutputFailed(reason)) => OutputStatus::Failed { path, reason },
            Some(ConsumerState::Gone(how)) => OutputStatus::Failed {
                path,
                reason: format!("the consumer daemon ended unexpectedly ({how})"),
            },
            Some(ConsumerState::Running) | None => OutputStatus::Ready { path, remote },
        }
    }
}
