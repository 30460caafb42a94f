//! A request that a caller waits for when it likes: a thread of this library waits for the answer.

use std::ffi::c_int;
use std::sync::mpsc::{self, Receiver, RecvTimeoutError};
use std::time::Duration;

use control::ErrorCode;

use crate::boundary::leave_signals_to_the_program;
use crate::failure::Failure;

/// How long the beginning of a request waits for its end at most. One that takes longer has surely arrived at
/// the daemon by then, so that it happens even if the program ends at once.
const ARRIVAL: Duration = Duration::from_millis(200);

/// Values of the statuses of destruction and clear handles, which are the same.
pub(crate) mod status {
    use std::ffi::c_int;

    pub(crate) const OK: c_int = 0;
    pub(crate) const COMPLETED: c_int = 1;
    pub(crate) const TIMEOUT: c_int = 2;
    pub(crate) const INVALID: c_int = -1;
    pub(crate) const ERROR: c_int = -2;
}

/// A request under way, or its answer.
#[derive(Debug)]
pub(crate) struct Pending<T> {
    state: State<T>,
}

#[derive(Debug)]
enum State<T> {
    Waiting(Receiver<Result<T, Failure>>),
    Done(Result<T, Failure>),
    /// The thread that waited is gone: a bug.
    Lost,
}

impl<T: Send + 'static> Pending<T> {
    /// Asks in a thread of its own, so that the caller may stop waiting.
    pub(crate) fn begin(
        thread: &str,
        ask: impl FnOnce() -> Result<T, Failure> + Send + 'static,
    ) -> Result<Self, Failure> {
        let (sender, receiver) = mpsc::channel();
        std::thread::Builder::new()
            .name(thread.into())
            .spawn(move || {
                leave_signals_to_the_program();
                // Nobody listens if the handle is gone.
                let _ = sender.send(ask());
            })
            .map_err(|_| Failure(ErrorCode::NO_MEMORY))?;
        let mut pending = Self {
            state: State::Waiting(receiver),
        };
        pending.wait_for(Some(ARRIVAL));
        Ok(pending)
    }

    /// Waits `timeout_ms` milliseconds at most, for ever if negative, and gives the status.
    pub(crate) fn wait(&mut self, timeout_ms: c_int) -> c_int {
        self.wait_for(u64::try_from(timeout_ms).ok().map(Duration::from_millis))
    }

    /// `None`: for ever.
    fn wait_for(&mut self, limit: Option<Duration>) -> c_int {
        let State::Waiting(receiver) = &self.state else {
            return self.status();
        };
        let answer = match limit {
            None => receiver.recv().ok(),
            Some(limit) => match receiver.recv_timeout(limit) {
                Ok(answer) => Some(answer),
                Err(RecvTimeoutError::Timeout) => return status::TIMEOUT,
                Err(RecvTimeoutError::Disconnected) => None,
            },
        };
        self.state = answer.map_or(State::Lost, State::Done);
        self.status()
    }

    fn status(&self) -> c_int {
        match self.state {
            State::Waiting(_) => status::TIMEOUT,
            State::Done(_) => status::COMPLETED,
            State::Lost => status::ERROR,
        }
    }

    /// The answer, if it is there.
    pub(crate) fn answer(&self) -> Option<&Result<T, Failure>> {
        match &self.state {
            State::Done(answer) => Some(answer),
            State::Waiting(_) | State::Lost => None,
        }
    }
}
