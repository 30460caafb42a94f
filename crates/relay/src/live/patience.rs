//! How long an answer that would tell nothing new waits for something to tell.
//!
//! A viewer that is told "nothing" sleeps before it asks again: babeltrace2 2.0.4 for 100 ms. A reply that is
//! held back until news come saves that. But a viewer may have something in its hands that it shows only after
//! the reply. In babeltrace2 the source of events and the filter behind it collect up to 15 messages each, and
//! while they collect, they ask; each hands on what it has, without sleeping, when it is told "nothing". Then the
//! same stream is asked about again, for nothing can be shown before that is known.
//!
//! So the rule: the same question for the third time in a row may wait, and for the second time if the viewer
//! slept after the first. A viewer that asks about its streams in turn is answered at once, for what it waits
//! for may come in another stream.
//!
//! There are two exceptions, about time. Streams of a live session have news with each tick of its timer, all of
//! them at about the same time:
//!
//! - While the news of a tick come in, an answer waits for those of its stream. A viewer that had just passed the
//!   last of its messages on would sleep at the first "nothing", and there is something to tell in a moment.
//! - Only before it sleeps does babeltrace2 flush what it writes into a pipe or a file. So once after a packet
//!   the viewer is told "nothing" until it sleeps: if it will be awake again for the next tick, or nearly so;
//!   else at the latest when [`MAX_UNFLUSHED`] is over. A timer that is as long as the sleep is
//!   just that: each time it wakes up a little later, until once it is not sent to sleep.

use std::time::{Duration, Instant};

use super::ViewerRequest;

/// "Nothing" that is said at once: to the source, and to the filter.
const AT_ONCE: u8 = 2;
/// An answer that tells nothing is held back so long at most: a viewer may have more to do than to wait.
const MAX_HOLD: Duration = Duration::from_secs(1);
/// News of different streams that are no further apart come from the same tick of a timer.
const TICK_SPREAD: Duration = Duration::from_millis(10);
/// How long babeltrace2 sleeps by itself; what this viewer does is measured.
const USUAL_NAP: Duration = Duration::from_millis(100);
/// A question that comes so much later than others did comes after a nap.
const LEAST_NAP: Duration = Duration::from_millis(50);
/// So late for the next tick a viewer may wake up.
const MAX_LATE: Duration = Duration::from_millis(35);
/// So long what was shown may stay in the viewer's buffer.
const MAX_UNFLUSHED: Duration = Duration::from_millis(250);

/// When there will be news, as far as is known.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Expected {
    /// The news of a tick are coming in, those of this stream will be there by then.
    pub tick_until: Option<Instant>,
    /// The next tick of the timer.
    pub next_tick: Option<Instant>,
}

/// One viewer's.
#[derive(Clone, Copy, Debug)]
pub struct Patience {
    /// To which "nothing" was said last, and how often in a row.
    last: Option<(ViewerRequest, u8)>,
    /// Since when there is something that the viewer was not sent to sleep with.
    unflushed: Option<Instant>,
    /// When the last answer was given, and how often in a row it was "nothing".
    answered: Option<(Instant, u8)>,
    /// The shortest time between an answer and the next question, and how much longer it is after a sleep.
    way: Duration,
    nap: Duration,
}

impl Default for Patience {
    fn default() -> Self {
        Self {
            last: None,
            unflushed: None,
            answered: None,
            way: Duration::MAX,
            nap: USUAL_NAP,
        }
    }
}

impl Patience {
    /// A question has come.
    pub fn on_question(&mut self, request: ViewerRequest, now: Instant) {
        let Some((answered, times)) = self.answered.take() else {
            return;
        };
        let gap = now.saturating_duration_since(answered);
        self.way = self.way.min(gap);
        let nap = gap.saturating_sub(self.way);
        if times > AT_ONCE {
            // A viewer that was stopped, or had no processor, did not choose to sleep for so long.
            self.nap = nap.min(2 * USUAL_NAP);
        } else if times > 0 && nap >= LEAST_NAP {
            self.unflushed = None;
            if self.last.is_some_and(|(last, _)| last == request) {
                self.last = Some((request, AT_ONCE));
            }
        }
    }

    /// The answer was a packet.
    pub fn on_packet(&mut self, now: Instant) {
        self.unflushed.get_or_insert(now);
        self.on_something(now);
    }

    /// The answer was something else that is new.
    pub fn on_something(&mut self, now: Instant) {
        self.last = None;
        self.answered = Some((now, 0));
    }

    /// The answer was nothing.
    pub fn on_nothing(&mut self, request: ViewerRequest, now: Instant) {
        let times = match self.last {
            Some((last, times)) if last == request => times.saturating_add(1),
            _ => 1,
        };
        self.last = Some((request, times));
        self.answered = Some((now, times));
        if times > AT_ONCE {
            self.unflushed = None;
        }
    }

    /// Until when "nothing" waits for something to tell; `None`: it is said at once.
    #[must_use]
    pub fn hold(
        &self,
        request: ViewerRequest,
        expected: Expected,
        now: Instant,
    ) -> Option<Instant> {
        let has_nothing = self
            .last
            .is_some_and(|(last, times)| last == request && times >= AT_ONCE);
        if !has_nothing {
            return expected.tick_until.filter(|until| *until > now);
        }
        let Some(since) = self.unflushed else {
            return Some(now + MAX_HOLD);
        };
        let awake = now + self.nap;
        let is_in_time = |tick| awake <= tick + MAX_LATE;
        let until = since + MAX_UNFLUSHED;
        (now < until && !expected.next_tick.is_none_or(is_in_time)).then_some(until)
    }
}

/// When the streams of one session have news.
#[derive(Clone, Copy, Debug, Default)]
pub struct Ticks {
    begun: Option<Instant>,
    /// Between the last two.
    period: Option<Duration>,
}

impl Ticks {
    /// A stream had news.
    pub fn on_news(&mut self, now: Instant) {
        let since = self.begun.map(|begun| now.saturating_duration_since(begun));
        if since.is_none_or(|since| since > TICK_SPREAD) {
            self.begun = Some(now);
            self.period = since;
        }
    }

    /// What is expected of a stream that had news last at that time. `timer` is the live timer of the session.
    #[must_use]
    pub fn expected(&self, heard: Option<Instant>, timer: Duration) -> Expected {
        let Some(begun) = self.begun else {
            return Expected::default();
        };
        // Others are idle for longer, or nothing is told of them yet.
        let is_regular = |heard: &Instant| *heard < begun && begun <= *heard + 2 * timer;
        Expected {
            tick_until: heard.filter(is_regular).map(|_| begun + TICK_SPREAD),
            next_tick: Some(begun + self.period.map_or(timer, |period| period.min(timer))),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::StreamHandle;

    const TIMER: Duration = Duration::from_millis(100);

    fn ask(stream: u64) -> ViewerRequest {
        ViewerRequest::NextIndex {
            stream: StreamHandle(stream),
        }
    }

    fn ms(ms: u64) -> Duration {
        Duration::from_millis(ms)
    }

    /// babeltrace2 at one stream that has a packet at each tick: asks, sleeps, and notes what it shows.
    struct Viewer {
        patience: Patience,
        now: Instant,
        hand: bool,
        shown: bool,
    }

    /// How late a packet was shown, and how late it was flushed.
    fn follow(ticks: u64, timer: Duration, extra: Duration) -> Vec<(Duration, Duration)> {
        let begin = Instant::now();
        let tick = |number: u64| begin + timer * u32::try_from(number).unwrap();
        let mut viewer = Viewer {
            patience: Patience::default(),
            now: begin,
            hand: false,
            shown: false,
        };
        let (mut next, mut flushed, mut late) = (0, 0, Vec::new());
        while flushed < ticks {
            viewer.patience.on_question(ask(1), viewer.now);
            if tick(next) <= viewer.now {
                viewer.patience.on_packet(viewer.now);
                viewer.hand = true;
                late.push((viewer.now - tick(next), ms(0)));
                next += 1;
                continue;
            }
            let mut sessions = Ticks::default();
            for number in next.saturating_sub(2)..next {
                sessions.on_news(tick(number));
            }
            let heard = next.checked_sub(1).map(tick);
            let expected = sessions.expected(heard, timer);
            if let Some(until) = viewer.patience.hold(ask(1), expected, viewer.now)
                && until > tick(next)
            {
                assert!(!viewer.hand, "it waits with events in its hands");
                viewer.now = tick(next);
                continue;
            }
            viewer.patience.on_nothing(ask(1), viewer.now);
            match (viewer.hand, viewer.shown) {
                (true, _) => (viewer.hand, viewer.shown) = (false, true),
                (false, true) => viewer.shown = false,
                (false, false) => {
                    for number in flushed..next {
                        late[number as usize].1 = viewer.now - tick(number);
                    }
                    flushed = next;
                    viewer.now += USUAL_NAP + extra;
                }
            }
        }
        late
    }

    fn quantile(mut late: Vec<Duration>, at: f64) -> Duration {
        late.sort();
        late[(late.len() as f64 * at) as usize]
    }

    #[test]
    fn a_timer_as_long_as_the_sleep() {
        let late = follow(3000, TIMER, ms(0) + Duration::from_micros(300));
        let (shown, flushed): (Vec<_>, Vec<_>) = late.into_iter().unzip();
        assert!(*shown.iter().max().unwrap() <= MAX_LATE + ms(1));
        assert!(quantile(flushed, 0.99) <= MAX_LATE + ms(1));
    }

    #[test]
    fn a_longer_timer() {
        for (shown, flushed) in follow(100, ms(300), ms(1)) {
            assert_eq!((shown, flushed), (ms(0), ms(0)));
        }
    }

    #[test]
    fn a_shorter_timer() {
        let late = follow(3000, ms(20), ms(1));
        let (shown, flushed): (Vec<_>, Vec<_>) = late.into_iter().unzip();
        assert!(*shown.iter().max().unwrap() <= USUAL_NAP + ms(1));
        assert_eq!(quantile(shown, 0.6), ms(0));
        assert!(*flushed.iter().max().unwrap() <= MAX_UNFLUSHED + USUAL_NAP + ms(21));
    }

    #[test]
    fn the_third_time_waits() {
        let (mut patience, now) = (Patience::default(), Instant::now());
        let hold = |patience: &Patience, stream| {
            let held = patience.hold(ask(stream), Expected::default(), now);
            held.is_some()
        };
        for _ in 0..AT_ONCE {
            assert!(!hold(&patience, 1));
            patience.on_nothing(ask(1), now);
        }
        assert!(hold(&patience, 1));
        assert!(!hold(&patience, 2));
        patience.on_something(now);
        assert!(!hold(&patience, 1));
    }

    #[test]
    fn who_slept_has_nothing_left() {
        let (mut patience, mut now) = (Patience::default(), Instant::now());
        patience.on_packet(now);
        patience.on_question(ask(1), now);
        patience.on_nothing(ask(1), now);
        now += ms(100);
        patience.on_question(ask(1), now);
        assert_eq!(
            patience.hold(ask(1), Expected::default(), now),
            Some(now + MAX_HOLD)
        );
    }

    #[test]
    fn the_news_of_a_tick_are_waited_for() {
        let (patience, begin) = (Patience::default(), Instant::now());
        let mut ticks = Ticks::default();
        for number in 0..3 {
            ticks.on_news(begin + number * TIMER);
            ticks.on_news(begin + number * TIMER + ms(2));
        }
        let now = begin + 2 * TIMER + ms(3);
        let hold = |heard, now| patience.hold(ask(1), ticks.expected(heard, TIMER), now);
        let end = begin + 2 * TIMER + TICK_SPREAD;
        assert_eq!(hold(Some(begin + TIMER), now), Some(end));
        // Not for ever, not when they are there, and not for those that have none.
        assert_eq!(hold(Some(begin + TIMER), end), None);
        assert_eq!(hold(Some(now), now), None);
        assert_eq!(hold(None, now), None);
    }

    #[test]
    fn who_asks_in_turn_never_waits() {
        let (mut patience, now) = (Patience::default(), Instant::now());
        for stream in [1, 2].repeat(5) {
            assert_eq!(patience.hold(ask(stream), Expected::default(), now), None);
            patience.on_nothing(ask(stream), now);
        }
    }
}
