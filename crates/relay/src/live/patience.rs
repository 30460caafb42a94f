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
//!   the viewer is told "nothing" until it sleeps: if it will be awake again for the next tick, or nearly so. A
//!   timer that is as long as the sleep is just that: each time it wakes up a little later, until once it is not
//!   sent to sleep for one tick. With shorter timers that is no help, and it sleeps: what it showed in time would
//!   lie in the pipe's buffer all the longer.
//!
//! How long a viewer sleeps is not known before it has. So it is sent to sleep at the first occasion.

use std::time::{Duration, Instant};

use super::ViewerRequest;

/// "Nothing" that is said at once: to the source, and to the filter.
const AT_ONCE: u8 = 2;
/// An answer that tells nothing is held back so long at most: a viewer may have more to do than to wait.
const MAX_HOLD: Duration = Duration::from_secs(1);
/// News of different streams that are no further apart come from the same tick of a timer; less with timers that
/// are about as short.
const TICK_SPREAD: Duration = Duration::from_millis(10);
/// How long babeltrace2 sleeps by itself, and so about the longest that is believed.
const USUAL_NAP: Duration = Duration::from_millis(100);
/// A question that comes so much later than others did comes after a nap.
const LEAST_NAP: Duration = Duration::from_millis(50);
/// By so much a longer nap counts: its length is the same each time, waking up may take long.
const NAP_NOISE: Duration = Duration::from_millis(5);
/// So late for the next tick a viewer may wake up.
const MAX_LATE: Duration = Duration::from_millis(35);

/// When there will be news, as far as is known.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Expected {
    /// The news of a tick are coming in, those of this stream will be there by then.
    pub tick_until: Option<Instant>,
    /// The next tick of the timer.
    pub next_tick: Option<Instant>,
    /// The timer.
    pub timer: Duration,
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
    nap: Option<Duration>,
}

impl Default for Patience {
    fn default() -> Self {
        Self {
            last: None,
            unflushed: None,
            answered: None,
            way: Duration::MAX,
            nap: None,
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
            let most = self.nap.map_or(2 * USUAL_NAP, |known| known + NAP_NOISE);
            self.nap = Some(nap.min(most));
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
        let nap = self.nap?;
        let Some(since) = self.unflushed else {
            return Some(longest_hold(expected.next_tick, now, nap));
        };
        let is_late = |tick| now + nap > tick + MAX_LATE;
        // It would be in time after the next tick.
        let helps = nap <= expected.timer + MAX_LATE;
        let until = since + expected.timer;
        (helps && now < until && expected.next_tick.is_some_and(is_late)).then_some(until)
    }
}

/// A viewer that is told "nothing" just before a tick sleeps through it.
fn longest_hold(next_tick: Option<Instant>, now: Instant, nap: Duration) -> Instant {
    let end = now + MAX_HOLD;
    match next_tick.map(|tick| (tick, tick + MAX_LATE)) {
        Some((tick, late)) if end < late && tick < end + nap => late,
        _ => end,
    }
}

/// When the streams of one session have news.
#[derive(Clone, Copy, Debug)]
pub struct Ticks {
    timer: Duration,
    begun: Option<Instant>,
    /// Between the last two.
    period: Option<Duration>,
}

impl Ticks {
    /// Of a session with this live timer.
    #[must_use]
    pub fn new(timer: Duration) -> Self {
        Self {
            timer,
            begun: None,
            period: None,
        }
    }

    fn spread(&self) -> Duration {
        TICK_SPREAD.min(self.timer / 4)
    }

    /// A stream had news.
    pub fn on_news(&mut self, now: Instant) {
        let since = self.begun.map(|begun| now.saturating_duration_since(begun));
        if since.is_none_or(|since| since > self.spread()) {
            self.begun = Some(now);
            self.period = since;
        }
    }

    /// What is expected of a stream that had news last at that time.
    #[must_use]
    pub fn expected(&self, heard: Option<Instant>) -> Expected {
        let Some(begun) = self.begun else {
            return Expected::default();
        };
        // Others are idle for longer, or nothing is told of them yet.
        let is_regular = |heard: &Instant| *heard < begun && begun <= *heard + 2 * self.timer;
        Expected {
            tick_until: heard.filter(is_regular).map(|_| begun + self.spread()),
            next_tick: Some(
                begun
                    + self
                        .period
                        .map_or(self.timer, |period| period.min(self.timer)),
            ),
            timer: self.timer,
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
    fn follow(ticks: u64, timer: Duration, nap: Duration) -> Vec<(Duration, Duration)> {
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
            let mut sessions = Ticks::new(timer);
            for number in next.saturating_sub(2)..next {
                sessions.on_news(tick(number));
            }
            let heard = next.checked_sub(1).map(tick);
            let expected = sessions.expected(heard);
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
                    viewer.now += nap;
                }
            }
        }
        late
    }

    fn quantile(mut late: Vec<Duration>, at: f64) -> Duration {
        late.sort();
        late[(late.len() as f64 * at) as usize]
    }

    /// babeltrace2's, and what it does besides.
    const NAP: Duration = Duration::from_micros(100_300);

    #[test]
    fn a_timer_as_long_as_the_sleep() {
        let (shown, flushed): (Vec<_>, Vec<_>) = follow(3000, TIMER, NAP).into_iter().unzip();
        assert!(*shown.iter().max().unwrap() <= MAX_LATE + ms(1));
        assert!(quantile(flushed.clone(), 0.99) <= MAX_LATE + ms(1));
        assert!(*flushed.iter().max().unwrap() <= TIMER + ms(1));
    }

    #[test]
    fn a_longer_timer() {
        for (shown, flushed) in follow(100, ms(300), NAP) {
            assert_eq!((shown, flushed), (ms(0), ms(0)));
        }
    }

    #[test]
    fn a_shorter_timer() {
        for (shown, flushed) in follow(3000, ms(20), NAP) {
            assert!(shown <= NAP && flushed <= NAP);
        }
    }

    /// As `lttng view` starts it.
    #[test]
    fn a_short_sleep() {
        for timer in [10, 100, 1000] {
            for (shown, flushed) in follow(300, ms(timer), ms(5)) {
                assert_eq!((shown, flushed), (ms(0), ms(0)));
            }
        }
    }

    #[test]
    fn no_answer_makes_it_sleep_through_a_tick() {
        let now = Instant::now();
        let mut patience = Patience::default();
        for _ in 0..=AT_ONCE {
            patience.on_question(ask(1), now);
            patience.on_nothing(ask(1), now);
        }
        patience.on_question(ask(1), now + USUAL_NAP);
        let hold = |in_ms| {
            let expected = Expected {
                next_tick: Some(now + ms(in_ms)),
                ..Expected::default()
            };
            patience.hold(ask(1), expected, now).map(|end| end - now)
        };
        assert_eq!(hold(100), Some(MAX_HOLD));
        for in_ms in [990, 1000, 1050, 1099] {
            assert_eq!(hold(in_ms), Some(ms(in_ms) + MAX_LATE));
        }
        // It is awake again by then.
        assert_eq!(hold(1150), Some(MAX_HOLD));
    }

    /// How often "nothing" is said to one question before it is held back.
    fn said_at_once(patience: &mut Patience, mut now: Instant, nap: Duration) -> u8 {
        for times in 0..10 {
            patience.on_question(ask(1), now);
            if patience.hold(ask(1), Expected::default(), now).is_some() {
                return times;
            }
            patience.on_nothing(ask(1), now);
            now += if times < AT_ONCE { ms(0) } else { nap };
        }
        10
    }

    #[test]
    fn the_third_time_waits() {
        let (mut patience, now) = (Patience::default(), Instant::now());
        // The first time it is seen how long the viewer sleeps.
        assert_eq!(said_at_once(&mut patience, now, USUAL_NAP), AT_ONCE + 1);
        let now = now + ms(1000);
        let other = patience.hold(ask(2), Expected::default(), now);
        assert_eq!(other, None);
        patience.on_something(now);
        assert_eq!(said_at_once(&mut patience, now, USUAL_NAP), AT_ONCE);
    }

    #[test]
    fn who_slept_has_nothing_left() {
        let (mut patience, mut now) = (Patience::default(), Instant::now());
        said_at_once(&mut patience, now, USUAL_NAP);
        now += ms(1000);
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

    /// A machine that is busy for a moment, or a debugger: the viewer sleeps no longer than before.
    #[test]
    fn one_long_sleep_is_not_believed() {
        let (mut patience, now) = (Patience::default(), Instant::now());
        said_at_once(&mut patience, now, ms(5));
        let now = now + ms(1000);
        patience.on_packet(now);
        for _ in 0..=AT_ONCE {
            assert_eq!(patience.hold(ask(1), Expected::default(), now), None);
            patience.on_nothing(ask(1), now);
        }
        patience.on_question(ask(1), now + ms(180));
        assert_eq!(patience.nap, Some(ms(5) + NAP_NOISE));
    }

    #[test]
    fn the_news_of_a_tick_are_waited_for() {
        let (patience, begin) = (Patience::default(), Instant::now());
        let mut ticks = Ticks::new(TIMER);
        for number in 0..3 {
            ticks.on_news(begin + number * TIMER);
            ticks.on_news(begin + number * TIMER + ms(2));
        }
        let now = begin + 2 * TIMER + ms(3);
        let hold = |heard, now| patience.hold(ask(1), ticks.expected(heard), now);
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
