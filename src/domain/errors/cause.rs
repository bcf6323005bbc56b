//! The life of a cause of errors: it is new, goes on, grows, is mended, and may be back. It can have an owner and a note, and
//! be muted until more of it comes. Each look at the errors takes it one step further; the clock is a parameter.

use std::fmt;
use std::time::Duration;

use chrono::{DateTime, DurationRound, TimeDelta, Utc};
use serde::{Deserialize, Serialize};

use super::sync_error::Category;
use crate::domain::values::duration;
use crate::domain::values::size::thousands;

/// For so long a cause is called new, or back.
const FRESH: TimeDelta = TimeDelta::hours(24);
/// Errors within an hour from which on a cause may be said to grow.
pub const GROWTH: i64 = 10;

/// Where a cause is in its life.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum CauseState {
    /// It came within a day, and was never seen before.
    New,
    /// It has errors, and had them for longer.
    Ongoing,
    /// It brings more than it did: more than [`GROWTH`] since the full hour, and twice as many as in the hour before.
    Growing,
    /// It was mended, and has errors again since less than a day.
    Back,
    /// Somebody muted it, and what that waits for has not come.
    Quiet,
    /// It has no errors any more.
    Mended,
}

impl CauseState {
    /// Its word.
    pub fn word(self) -> &'static str {
        match self {
            CauseState::New => "new",
            CauseState::Ongoing => "ongoing",
            CauseState::Growing => "growing",
            CauseState::Back => "back",
            CauseState::Quiet => "quiet",
            CauseState::Mended => "mended",
        }
    }

    /// A sign that stands before the word.
    pub fn sign(self) -> &'static str {
        match self {
            CauseState::New => "●",
            CauseState::Ongoing => "·",
            CauseState::Growing => "▲",
            CauseState::Back => "↻",
            CauseState::Quiet => "○",
            CauseState::Mended => "✓",
        }
    }
}

/// What ends a mute.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Until {
    /// So many more errors came.
    More(i64),
    /// This time is reached.
    Time(DateTime<Utc>),
    /// It grows.
    Grows,
}

impl Until {
    /// Reads `100 more`, `100`, `2d`, `2026-12-01`, `2026-12-01T10:00` or `grows`.
    ///
    /// # Errors
    /// Says what may be written.
    pub fn parse(text: &str, now: DateTime<Utc>) -> Result<Until, String> {
        let text = text.trim();
        let number = text.strip_suffix("more").unwrap_or(text).trim();
        if let Ok(more) = number.parse::<i64>() {
            return match more {
                1.. => Ok(Until::More(more)),
                _ => Err("until how many more? write a number from 1 on".to_owned()),
            };
        }
        if matches!(text, "grows" | "it grows") {
            return Ok(Until::Grows);
        }
        if let Some(length) = duration::parse(text) {
            return Until::after(length, now);
        }
        let day = || chrono::NaiveDate::parse_from_str(text, "%Y-%m-%d").ok()?.and_hms_opt(0, 0, 0);
        let time = chrono::NaiveDateTime::parse_from_str(text, "%Y-%m-%dT%H:%M").ok().or_else(day);
        match time.map(|time| time.and_utc()) {
            Some(time) if time > now => Ok(Until::Time(time)),
            Some(_) => Err(format!("{text} is past")),
            None => Err(
                "write 100 more, a time such as 2d, a date such as 2026-12-01 or 2026-12-01T10:00 (UTC), or grows"
                    .to_owned(),
            ),
        }
    }

    /// A time from now.
    ///
    /// # Errors
    /// When that is longer than anybody means.
    pub fn after(length: Duration, now: DateTime<Utc>) -> Result<Until, String> {
        let length = TimeDelta::from_std(length).ok().filter(|length| *length <= TimeDelta::days(3_650));
        match length.and_then(|length| now.checked_add_signed(length)) {
            Some(time) if time > now => Ok(Until::Time(time)),
            _ => Err("a cause is muted for ten years at most, and longer than no time".to_owned()),
        }
    }
}

/// Somebody wants to hear nothing of a cause for a while.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Mute {
    /// What ends it.
    pub until: Until,
    /// Who said so.
    pub by: String,
    /// When.
    pub at: DateTime<Utc>,
    /// How many errors it had had by then.
    pub from: i64,
    /// How many it had brought then in the worse one of two hours: growing is told from that.
    pub level: i64,
}

impl Mute {
    /// One that begins now.
    pub fn of(course: &Course, until: Until, by: &str, now: DateTime<Utc>) -> Mute {
        let (this, last) = course.hours_at(now);
        Mute { until, by: by.to_owned(), at: now, from: course.ever(), level: this.max(last) }
    }

    /// Whether what it waits for has come.
    pub fn is_over(&self, course: &Course, now: DateTime<Utc>) -> bool {
        match self.until {
            Until::More(more) => course.ever() - self.from >= more,
            Until::Time(time) => now >= time,
            Until::Grows => {
                let this = course.hours_at(now).0;
                this > GROWTH && this >= self.level.saturating_mul(2)
            }
        }
    }

    /// Until when, in words; of a number, what is left of it.
    pub fn text(&self, course: &Course) -> String {
        match self.until {
            Until::More(more) => {
                let left = (self.from + more - course.ever()).max(1);
                format!("until {} more", thousands(usize::try_from(left).unwrap_or_default()))
            }
            Until::Time(time) => format!("until {}", time.format("%Y-%m-%d %H:%M UTC")),
            Until::Grows => "until it grows".to_owned(),
        }
    }
}

impl fmt::Display for Until {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Until::More(more) => write!(out, "until {more} more"),
            Until::Time(time) => write!(out, "until {}", time.format("%Y-%m-%d %H:%M UTC")),
            Until::Grows => out.write_str("until it grows"),
        }
    }
}

/// How a cause came to where it is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Course {
    /// Whether it has errors that somebody must mend.
    pub open: bool,
    /// Whether it had errors before anybody looked at causes: it is not told as new.
    pub baseline: bool,
    /// When it was seen first.
    pub first_seen: DateTime<Utc>,
    /// Since when it has errors, or had them last.
    pub opened_at: DateTime<Utc>,
    /// When an error of it came last.
    pub came_at: DateTime<Utc>,
    /// When it was mended last.
    pub mended_at: Option<DateTime<Utc>>,
    /// How often it was mended and came back.
    pub returns: i32,
    /// Errors counted for good since it is open.
    pub counted: i64,
    /// Those before it was open this time.
    pub before: i64,
    /// Errors that came of late, which are counted anew at each look.
    pub unsettled: i64,
    /// The hour that the next one is of.
    pub hour: DateTime<Utc>,
    /// Errors counted for good in it.
    pub this_hour: i64,
    /// Those of the hour before.
    pub last_hour: i64,
}

/// What a look says about a cause.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Sight {
    /// Whether it has errors that somebody must mend; `None` where that was not looked for this time.
    pub open: Option<bool>,
    /// Errors that are counted for good now.
    pub settled: i64,
    /// Errors that came of late.
    pub unsettled: i64,
}

impl Course {
    /// Of a cause that is met for the first time.
    pub fn begin(baseline: bool, now: DateTime<Utc>) -> Course {
        Course {
            open: true,
            baseline,
            first_seen: now,
            opened_at: now,
            came_at: now,
            mended_at: None,
            returns: 0,
            counted: 0,
            before: 0,
            unsettled: 0,
            hour: hour_of(now),
            this_hour: 0,
            last_hour: 0,
        }
    }

    /// One step further.
    #[must_use]
    pub fn step(mut self, sight: Sight, now: DateTime<Utc>) -> Course {
        // A clock that was set back leaves the hour as it is.
        match (hour_of(now) - self.hour).num_hours() {
            ..=0 => {}
            1 => (self.last_hour, self.this_hour, self.hour) = (self.this_hour, 0, hour_of(now)),
            _ => (self.last_hour, self.this_hour, self.hour) = (0, 0, hour_of(now)),
        }
        match (self.open, sight.open) {
            (false, Some(true)) => {
                self.before += self.counted;
                (self.open, self.baseline, self.counted) = (true, false, 0);
                (self.opened_at, self.came_at) = (now, now);
                self.returns = self.returns.saturating_add(1);
            }
            (true, Some(false)) => (self.open, self.mended_at) = (false, Some(now)),
            _ => {}
        }
        let before = self.ever();
        self.counted += sight.settled;
        self.this_hour += sight.settled;
        self.unsettled = sight.unsettled;
        if self.ever() > before {
            self.came_at = now;
        }
        self
    }

    /// How many errors it has had since it is open.
    pub fn total(&self) -> i64 {
        self.counted + self.unsettled
    }

    /// How many errors it has ever had.
    pub fn ever(&self) -> i64 {
        self.before + self.total()
    }

    /// How many errors it brought since the full hour, and in the hour before.
    pub fn hours_at(&self, now: DateTime<Utc>) -> (i64, i64) {
        match (hour_of(now) - self.hour).num_hours() {
            ..=0 => (self.this_hour + self.unsettled, self.last_hour),
            1 => (self.unsettled, self.this_hour),
            _ => (self.unsettled, 0),
        }
    }

    /// Whether it brought more than so many errors since the full hour, and twice as many as in the hour before.
    pub fn grows(&self, above: i64, now: DateTime<Utc>) -> bool {
        let (this, last) = self.hours_at(now);
        this > above && this >= last.saturating_mul(2)
    }
}

/// A cause of errors.
#[derive(Clone, Debug, PartialEq)]
pub struct Cause {
    /// Its fingerprint, the name of the group.
    pub fingerprint: String,
    /// The mapping; empty for the connection.
    pub mapping: String,
    /// The code of its errors.
    pub code: String,
    /// Their category.
    pub category: Category,
    /// The fields at fault.
    pub fields: Vec<String>,
    /// What it is, in a few words.
    pub title: String,
    /// Why it happens.
    pub why: String,
    /// How it was grouped: what its errors have in common, by name.
    pub key: Vec<(String, String)>,
    /// How it came to where it is.
    pub course: Course,
    /// Whose it is.
    pub owner: Option<String>,
    /// What somebody says about it.
    pub note: Option<String>,
    /// That somebody muted it.
    pub mute: Option<Mute>,
}

impl Cause {
    /// Whether somebody muted it, and what that waits for has not come.
    pub fn is_muted(&self, now: DateTime<Utc>) -> bool {
        self.mute.as_ref().is_some_and(|mute| !mute.is_over(&self.course, now))
    }

    /// Whether it was never seen before it is open now, and not known before anybody looked.
    pub fn is_new(&self) -> bool {
        self.course.open && !self.course.baseline && self.course.returns == 0
    }

    /// Whether it was mended before it is open now.
    pub fn is_back(&self) -> bool {
        self.course.open && self.course.returns > 0
    }

    /// Where it is in its life.
    pub fn state(&self, now: DateTime<Utc>) -> CauseState {
        let age = now - self.course.opened_at;
        let fresh = age < FRESH && (self.is_new() || self.is_back());
        // What came within the hour has no hour before that it could be told from.
        let grows = age >= TimeDelta::hours(1) && self.course.grows(GROWTH, now);
        match () {
            () if !self.course.open => CauseState::Mended,
            () if self.is_muted(now) => CauseState::Quiet,
            () if grows => CauseState::Growing,
            () if fresh && self.is_back() => CauseState::Back,
            () if fresh => CauseState::New,
            () => CauseState::Ongoing,
        }
    }

    /// What people see of its life.
    pub fn life(&self, now: DateTime<Utc>) -> Life {
        let mute = self.mute.as_ref().filter(|_| self.is_muted(now));
        Life {
            state: self.state(now),
            since: self.course.opened_at,
            first_seen: self.course.first_seen,
            mended_at: self.course.mended_at,
            returns: self.course.returns,
            ever: self.course.ever(),
            owner: self.owner.clone(),
            note: self.note.clone(),
            muted: mute.map(|mute| format!("{} by {}", mute.text(&self.course), mute.by)),
            grouped_by: self.key.clone(),
        }
    }
}

/// The life of a cause as people see it (`errors --group --json` and `cause --json` print exactly these members).
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Life {
    /// Where it is.
    pub state: CauseState,
    /// Since when it has errors, or had them last.
    pub since: DateTime<Utc>,
    /// When it was seen first.
    pub first_seen: DateTime<Utc>,
    /// When it was mended last.
    pub mended_at: Option<DateTime<Utc>>,
    /// How often it was mended and came back.
    pub returns: i32,
    /// How many errors it has ever had, as far as anybody looked.
    pub ever: i64,
    /// Whose it is.
    pub owner: Option<String>,
    /// What somebody says about it.
    pub note: Option<String>,
    /// Until when it is muted, and by whom.
    pub muted: Option<String>,
    /// What its errors have in common, by name.
    pub grouped_by: Vec<(String, String)>,
}

impl Life {
    /// How it was grouped, in words.
    pub fn grouped_in_words(&self) -> String {
        let part = |(name, value): &(String, String)| format!("{name}: {value}");
        match self.grouped_by.is_empty() {
            true => "The engine has not looked at this group yet.".to_owned(),
            false => self.grouped_by.iter().map(part).collect::<Vec<_>>().join("\n"),
        }
    }
}

/// The full hour that a time is in.
pub fn hour_of(now: DateTime<Utc>) -> DateTime<Utc> {
    now.duration_trunc(TimeDelta::hours(1)).unwrap_or(now)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn at(minutes: i64) -> DateTime<Utc> {
        DateTime::UNIX_EPOCH + TimeDelta::days(20_000) + TimeDelta::minutes(minutes)
    }

    fn sight(open: bool, settled: i64) -> Sight {
        Sight { open: Some(open), settled, unsettled: 0 }
    }

    fn cause(course: Course) -> Cause {
        Cause {
            fingerprint: "8fb2".to_owned(),
            mapping: "Contact".to_owned(),
            code: "INVALID_EMAIL_ADDRESS".to_owned(),
            category: Category::Data,
            fields: vec!["Email".to_owned()],
            title: "Invalid e-mail address".to_owned(),
            why: String::new(),
            key: Vec::new(),
            course,
            owner: None,
            note: None,
            mute: None,
        }
    }

    #[test]
    fn it_is_new_goes_on_grows_is_mended_and_comes_back() {
        let mut of = cause(Course::begin(false, at(0)));
        let goes = |of: &mut Cause, minutes: i64, open: bool, came: i64| {
            of.course = of.course.clone().step(sight(open, came), at(minutes));
            of.state(at(minutes))
        };
        assert_eq!(goes(&mut of, 0, true, 50), CauseState::New, "its first hour is none of growth");
        assert_eq!(goes(&mut of, 61, true, 20), CauseState::New);
        assert_eq!(goes(&mut of, 130, true, 40), CauseState::Growing, "twice the hour before");
        assert_eq!(goes(&mut of, 190, true, 41), CauseState::New, "not twice the hour before");
        assert_eq!(goes(&mut of, 25 * 60, true, 1), CauseState::Ongoing);
        assert_eq!(goes(&mut of, 26 * 60, false, 0), CauseState::Mended);
        assert_eq!(of.course.mended_at, Some(at(26 * 60)));
        assert_eq!(goes(&mut of, 30 * 60, true, 3), CauseState::Back);
        assert_eq!((of.course.returns, of.course.total(), of.course.ever()), (1, 3, 155));
        assert_eq!(goes(&mut of, 55 * 60, true, 0), CauseState::Ongoing);
        assert!(of.is_back() && !of.is_new());
    }

    #[test]
    fn what_was_there_before_anybody_looked_is_not_new_until_it_comes_back() {
        let mut of = cause(Course::begin(true, at(0)));
        assert_eq!((of.state(at(0)), of.is_new()), (CauseState::Ongoing, false));
        of.course = of.course.step(sight(false, 0), at(1)).step(sight(true, 1), at(2));
        assert_eq!((of.state(at(2)), of.is_back()), (CauseState::Back, true));
    }

    #[test]
    fn a_mute_lasts_until_more_came_a_time_is_reached_or_it_grows() {
        let course = Course::begin(false, at(0)).step(sight(true, 30), at(1));
        let muted =
            |until| Cause { mute: Some(Mute::of(&course, until, "ada", at(1))), ..cause(course.clone()) };
        let with = |of: &Cause, came: i64, minutes: i64| {
            let mut of = of.clone();
            of.course = of.course.step(sight(true, came), at(minutes));
            of.is_muted(at(minutes))
        };
        let more = muted(Until::More(5));
        assert_eq!(more.state(at(2)), CauseState::Quiet);
        assert_eq!(more.mute.as_ref().unwrap().text(&more.course), "until 5 more");
        assert_eq!((with(&more, 4, 600), with(&more, 5, 2)), (true, false));
        let time = muted(Until::Time(at(100)));
        assert_eq!((with(&time, 500, 99), with(&time, 0, 100)), (true, false));
        let grows = muted(Until::Grows);
        assert_eq!(
            (with(&grows, 0, 2), with(&grows, 59, 70), with(&grows, 60, 70)),
            (true, true, false),
            "it brought 30 within an hour when it was muted"
        );
    }

    #[test]
    fn a_mute_is_read_as_people_write_it() {
        let read = |text| Until::parse(text, at(0));
        assert_eq!(read("100 more"), Ok(Until::More(100)));
        assert_eq!(read(" 7 "), Ok(Until::More(7)));
        assert_eq!(read("2d"), Ok(Until::Time(at(2 * 24 * 60))));
        assert_eq!(read("grows"), Ok(Until::Grows));
        let date = DateTime::parse_from_rfc3339("2026-12-01T10:00:00Z").unwrap().to_utc();
        assert_eq!(read("2026-12-01T10:00"), Ok(Until::Time(date)));
        assert_eq!(read("2026-12-01"), Ok(Until::Time(date - TimeDelta::hours(10))));
        for wrong in ["", "0", "-3", "1999-01-01", "soon", "99999999d", "0s"] {
            assert!(read(wrong).is_err(), "{wrong}");
        }
    }

    fn sights() -> impl Strategy<Value = Vec<(i64, Sight)>> {
        let open = prop_oneof![5 => Just(Some(true)), 3 => Just(Some(false)), 2 => Just(None)];
        let one = (0_i64..200, open, 0_i64..50, 0_i64..20)
            .prop_map(|(minutes, open, settled, unsettled)| (minutes, Sight { open, settled, unsettled }));
        proptest::collection::vec(one, 1..80)
    }

    proptest! {
        /// Whatever is seen: nothing is counted twice or forgotten, it comes back as often as it was mended, and a mute that
        /// is over stays so as long as nothing but time and errors come.
        #[test]
        fn a_course_adds_up(course in sights(), baseline in any::<bool>(), more in 1_i64..300) {
            let mut now = at(0);
            let mut of = Course::begin(baseline, now);
            let mute = Mute::of(&of, Until::More(more), "ada", now);
            let (mut settled, mut mended, mut over) = (0, 0, false);
            for (minutes, sight) in course {
                now += TimeDelta::minutes(minutes);
                let was_open = of.open;
                of = of.step(sight, now);
                settled += sight.settled;
                mended += i32::from(was_open && !of.open);
                prop_assert_eq!(of.ever(), settled + sight.unsettled);
                prop_assert_eq!(of.open, sight.open.unwrap_or(was_open));
                prop_assert_eq!(of.returns, mended - i32::from(!of.open));
                prop_assert!(of.total() <= of.ever() && of.opened_at >= of.first_seen);
                prop_assert!(of.mended_at.is_some() || mended == 0);
                let (this, last) = of.hours_at(now);
                prop_assert!(this + last <= of.ever());
                // Errors that are counted anew may be fewer the next time; those for good are never.
                over |= settled >= more;
                prop_assert!(!over || mute.is_over(&of, now));
            }
        }

        /// It is the same after it was stored and read.
        #[test]
        fn a_restart_forgets_nothing(course in sights()) {
            let (mut now, mut through) = (at(0), Course::begin(false, at(0)));
            let mut stored = through.clone();
            for (minutes, sight) in course {
                now += TimeDelta::minutes(minutes);
                through = through.step(sight, now);
                stored = serde_json::from_str::<Course>(&serde_json::to_string(&stored).unwrap()).unwrap().step(sight, now);
                prop_assert_eq!(&through, &stored);
            }
        }

        #[test]
        fn no_text_makes_reading_a_mute_panic(text in "\\PC{0,20}") {
            let _ = Until::parse(&text, at(0));
        }
    }
}
