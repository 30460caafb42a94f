//! How many messages of one kind are written: whoever can make us complain must not fill the disk with it. Of each
//! place in the program that says something wrong, a few messages of a period are written; the others are counted,
//! and the last of them is told with their number when the period is over.

use std::collections::HashMap;
use std::fmt;
use std::sync::{Mutex, OnceLock, PoisonError};
use std::time::{Duration, Instant};

use tracing::callsite::Identifier;
use tracing::field::{Field, Visit};
use tracing::{Event, Level, Metadata, Subscriber};
use tracing_subscriber::Layer;
use tracing_subscriber::layer::Context;

const PERIOD: Duration = Duration::from_secs(60);
/// Messages of one place in a period.
const MOST: u64 = 10;
/// Bytes of the one that is told for all.
const MOST_TEXT: usize = 200;
/// Where the numbers are told. They have no quota.
const TARGET: &str = "left_out";

/// What was said in the present period of each place.
#[derive(Debug)]
struct Quota {
    period_begun: Instant,
    said: HashMap<Identifier, Said>,
}

#[derive(Debug, Default)]
struct Said {
    written: u64,
    left_out: u64,
    last: String,
}

/// Messages that were not written.
#[derive(Debug, PartialEq, Eq)]
struct LeftOut {
    count: u64,
    last: String,
}

impl Quota {
    fn new(now: Instant) -> Self {
        Self {
            period_begun: now,
            said: HashMap::new(),
        }
    }

    /// Whether another message of this place is written.
    fn admits(&mut self, place: Identifier, text: impl FnOnce() -> String) -> bool {
        let said = self.said.entry(place).or_default();
        if said.written < MOST {
            said.written += 1;
            return true;
        }
        said.left_out += 1;
        said.last = text();
        false
    }

    /// When there is something to be told.
    fn due_in(&self, now: Instant) -> Option<Duration> {
        let left_out = |said: &Said| said.left_out > 0;
        let end = self.period_begun + PERIOD;
        let any = self.said.values().any(left_out);
        any.then(|| end.saturating_duration_since(now))
    }

    /// What is to be told when the period is over, or in any case.
    fn take(&mut self, now: Instant, in_any_case: bool) -> Vec<LeftOut> {
        if !in_any_case && now < self.period_begun + PERIOD {
            return Vec::new();
        }
        self.period_begun = now;
        let said = std::mem::take(&mut self.said).into_values();
        let left_out = said.filter(|said| said.left_out > 0);
        left_out
            .map(|said| LeftOut {
                count: said.left_out,
                last: said.last,
            })
            .collect()
    }
}

fn with_quota<T>(what: impl FnOnce(&mut Quota) -> T) -> T {
    static QUOTA: OnceLock<Mutex<Quota>> = OnceLock::new();
    let quota = QUOTA.get_or_init(|| Mutex::new(Quota::new(Instant::now())));
    what(&mut quota.lock().unwrap_or_else(PoisonError::into_inner))
}

/// When to call [`tell`]; none while nothing was left out.
pub(crate) fn due_in() -> Option<Duration> {
    with_quota(|quota| quota.due_in(Instant::now()))
}

/// Begins a new period, if the present one is over, and tells what was left out.
pub(crate) fn tell() {
    say(with_quota(|quota| quota.take(Instant::now(), false)));
}

/// Tells what was left out until now.
pub(crate) fn tell_the_last() {
    say(with_quota(|quota| quota.take(Instant::now(), true)));
}

/// Without the lock: these are messages too.
fn say(all: Vec<LeftOut>) {
    for LeftOut { count, last } in all {
        tracing::warn!(target: TARGET, "{count} messages like this one were left out: {last}");
    }
}

/// Leaves out what is too much. Put it below those that write.
pub(crate) struct QuotaLayer;

impl<S: Subscriber> Layer<S> for QuotaLayer {
    fn event_enabled(&self, event: &Event<'_>, _: Context<'_, S>) -> bool {
        let metadata = event.metadata();
        !has_quota(metadata)
            || with_quota(|quota| quota.admits(metadata.callsite(), || Text::of(event)))
    }
}

/// What `-v` asks for has none.
fn has_quota(metadata: &Metadata<'_>) -> bool {
    *metadata.level() <= Level::WARN && metadata.target() != TARGET
}

/// A message as text.
#[derive(Default)]
struct Text(String);

impl Text {
    fn of(event: &Event<'_>) -> String {
        let mut text = Self::default();
        event.record(&mut text);
        let mut text = text.0;
        if let Some((end, _)) = text.char_indices().nth(MOST_TEXT) {
            text.truncate(end);
        }
        text
    }
}

impl Visit for Text {
    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        use fmt::Write;
        let Self(text) = self;
        // Writing into a string does not fail.
        let _ = match field.name() {
            "message" => write!(text, "{value:?}"),
            name => write!(text, " {name}={value:?}"),
        };
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tracing::callsite::Callsite;
    use tracing::subscriber::Interest;

    struct Place;

    impl Callsite for Place {
        fn set_interest(&self, _: Interest) {}

        fn metadata(&self) -> &Metadata<'_> {
            unreachable!()
        }
    }

    #[test]
    fn a_flood_is_told_as_one_number() {
        static ONE: Place = Place;
        let place = Identifier(&ONE);
        let start = Instant::now();
        let mut quota = Quota::new(start);
        let flood = |quota: &mut Quota, many: u64| {
            let admitted = |n: &u64| quota.admits(place.clone(), || format!("message {n}"));
            (0..many).filter(admitted).count() as u64
        };
        assert_eq!(flood(&mut quota, MOST), MOST);
        assert_eq!(quota.due_in(start), None);
        assert_eq!(flood(&mut quota, 5000), 0);
        assert_eq!(quota.due_in(start + PERIOD / 2), Some(PERIOD / 2));
        assert!(quota.take(start + PERIOD / 2, false).is_empty());
        let told = LeftOut {
            count: 5000,
            last: "message 4999".into(),
        };
        assert_eq!(quota.take(start + PERIOD, false), [told]);
        // A new period, and a new quota.
        assert_eq!(flood(&mut quota, 5000), MOST);
        assert_eq!(quota.take(start + PERIOD, true).len(), 1);
        assert_eq!(quota.due_in(start + PERIOD), None);
    }
}
