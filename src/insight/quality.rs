//! Whether the data can be trusted: what is missing, what comes late or never, what is stale, and whether the logged probabilities
//! are what chance did.

use super::calibration::{Calibration, Calibrations, Count, Drawn, Frequency};
use super::estimate::share;
use super::join::{Feedback, join};
use super::names::Names;
use super::reading::{Found, Use, Watch, gather, segments_since};
use crate::clock::{CLOCK_SLACK_MS, format_millis, parse_any_time, parse_millis};
use crate::disk::Directory;
use crate::error::Result;
use crate::feature::{Moment, TaskFeatures};
use crate::log::{Day, Event, LeanFeedback, Line, RecordedDecision, Seq, read_line};
use serde::Serialize;
use std::collections::BTreeMap;

const DAY_MS: u64 = 86_400_000;
/// A profile older than this is stale.
const FRESH_MS: u64 = DAY_MS;
/// A longer time than this between the first and the last day has a clock in it that was wrong: empty days are not filled in.
const MOST_DAYS: u64 = 36_525;

/// The features of the request, in this order; where they are not given, the log has these defaults.
const GIVEN: [&str; 5] = ["hourOfDay", "dayOfWeek", "isOverdue", "taskAgeDays", "priority"];
/// The features of the profile, in this order; where they are not given, the log says so.
const PROFILE: [&str; 5] = ["completionRate30d", "dismissRate30d", "meanDwellMs30d", "preferredHour", "tipVolume30d"];

/// How often a feature of what is shown is not known.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct FeatureQuality {
    /// Its name in the request.
    pub feature: &'static str,
    /// The share of decisions without it; `None` for features with a default, which cannot be told from one that was given.
    pub missing: Option<f64>,
    /// The share of decisions with its default value, given or not: the upper bound of what is missing. `None` for features that
    /// have none.
    pub at_default: Option<f64>,
}

/// How long people take, from the decision to what they did.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Delay {
    /// Half took at most so many milliseconds; `None` without feedback.
    pub median_ms: Option<i64>,
    /// Nine in ten took at most so many.
    pub p90_ms: Option<i64>,
    /// So many are said to have come before their decision: a clock is wrong.
    pub negative: u64,
}

/// How old profiles are when they are used.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ProfileAge {
    /// Decisions without a profile.
    pub without_profile: u64,
    /// With one that does not say when it was computed, or not in a way that can be read.
    pub without_time: u64,
    /// With one of over 24 hours.
    pub stale: u64,
    /// All of these as a share of decisions.
    pub stale_share: Option<f64>,
}

/// One day, in UTC. Days on which nothing happened stand between others, too.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct DayCompleteness {
    /// `YYYY-MM-DD`.
    pub day: String,
    /// Decisions of the day.
    pub decisions: u64,
    /// Of these, with feedback by now.
    pub feedback: u64,
    /// Places in the log that say that pulls are missing.
    pub gaps: u64,
    /// So many.
    pub dropped_pulls: u64,
}

/// The answer.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct DataQuality {
    /// How many there are.
    pub decisions: u64,
    /// Of these, with feedback.
    pub feedback: u64,
    /// The one by the other.
    pub join_rate: Option<f64>,
    /// What is not known of what is shown.
    pub features: Vec<FeatureQuality>,
    /// How long people take.
    pub delay: Delay,
    /// How old profiles are.
    pub profiles: ProfileAge,
    /// Day by day.
    pub days: Vec<DayCompleteness>,
    /// Whether probabilities are what chance did, for each policy that was asked.
    pub calibration: Vec<Calibration>,
    /// How often the holdout was drawn, of decisions that have one.
    pub holdout: Frequency,
    /// What was read for it.
    pub found: Found,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Age {
    Fresh,
    Stale,
    NoTime,
    NoProfile,
}

/// What is kept of a decision.
#[derive(Debug)]
struct Fact {
    seq: Seq,
    ms: u64,
    day: Day,
    at_default: [bool; 5],
    missing: [bool; 5],
    age: Age,
    drawn: [Option<Drawn>; 3],
    holdout: Option<(f64, bool)>,
}

impl Fact {
    fn new(line: &Line<'_>, ms: u64, decision: &RecordedDecision<'_>) -> Self {
        let (moment, task) = (decision.moment, decision.tasks.get(decision.index).copied().unwrap_or_default());
        let (usual, plain) = (Moment::default(), TaskFeatures::default());
        let profile = decision.profile.unwrap_or_default();
        let known =
            [profile.completion_rate, profile.dismiss_rate, profile.mean_dwell_ms, profile.preferred_hour, profile.tip_volume];
        let age = match (&decision.profile, decision.computed_at.as_deref().and_then(parse_any_time)) {
            (None, _) => Age::NoProfile,
            (Some(_), None) => Age::NoTime,
            // A profile that is newer than its decision by more than clocks differ says nothing about its age.
            (Some(_), Some(computed)) if computed > ms + CLOCK_SLACK_MS => Age::NoTime,
            (Some(_), Some(computed)) if computed.saturating_add(FRESH_MS) < ms => Age::Stale,
            (Some(_), Some(_)) => Age::Fresh,
        };
        let mut drawn = [None; 3];
        for choice in &decision.choices {
            drawn[choice.policy as usize] = Some(Drawn::new(decision, choice));
        }
        Self {
            seq: line.seq,
            ms,
            day: line.day(),
            at_default: [
                moment.hour == usual.hour,
                moment.day == usual.day,
                task.is_overdue == plain.is_overdue,
                task.task_age_days.to_bits() == plain.task_age_days.to_bits(),
                task.priority == plain.priority,
            ],
            missing: known.map(|value| value.is_none()),
            age,
            drawn,
            holdout: decision.holdout,
        }
    }
}

/// What was read.
#[derive(Debug, Default)]
struct Part {
    decisions: Vec<Fact>,
    feedback: Vec<Feedback>,
    gaps: BTreeMap<Seq, (Day, u64)>,
    names: Names,
}

impl Part {
    fn take(&mut self, line: &Line<'_>, is_asked: impl Fn(&str) -> bool) -> Use {
        match line.kind {
            "decision" | "gap" if is_asked(line.ts) => match read_line(line.text.as_bytes()).map(|recorded| recorded.event) {
                Ok(Event::Decision(decision)) => {
                    let Some(ms) = parse_millis(line.ts) else { return Use::Unreadable };
                    self.decisions.push(Fact::new(line, ms, &decision));
                    return Use::Kept;
                }
                Ok(Event::Gap { dropped_pulls }) => drop(self.gaps.insert(line.seq, (line.day(), dropped_pulls))),
                _ => return Use::Unreadable,
            },
            "feedback" => {
                let Some(feedback) = LeanFeedback::read(line) else { return Use::Unreadable };
                self.feedback.push(Feedback::new(line.seq, &feedback, &mut self.names));
                return Use::Kept;
            }
            _ => {}
        }
        Use::Fine
    }
}

/// Adds decisions up.
#[derive(Default)]
struct Sums {
    decisions: u64,
    delays: Vec<i64>,
    at_default: [u64; 5],
    missing: [u64; 5],
    profiles: ProfileAge,
    calibrations: Calibrations,
    holdout: Count,
    days: BTreeMap<Day, DayCompleteness>,
}

impl Sums {
    fn day(&mut self, day: Day) -> &mut DayCompleteness {
        let empty = || DayCompleteness { day: day.to_string(), decisions: 0, feedback: 0, gaps: 0, dropped_pulls: 0 };
        self.days.entry(day).or_insert_with(empty)
    }

    fn push(&mut self, fact: &Fact, feedback: Option<&Feedback>) {
        self.decisions += 1;
        let day = self.day(fact.day);
        day.decisions += 1;
        day.feedback += u64::from(feedback.is_some());
        self.delays.extend(feedback.map(|line| line.at.cast_signed().saturating_sub(fact.ms.cast_signed())));
        let counts = self.at_default.iter_mut().zip(fact.at_default).chain(self.missing.iter_mut().zip(fact.missing));
        counts.for_each(|(count, is)| *count += u64::from(is));
        match fact.age {
            Age::Fresh => {}
            Age::Stale => self.profiles.stale += 1,
            Age::NoTime => self.profiles.without_time += 1,
            Age::NoProfile => self.profiles.without_profile += 1,
        }
        self.calibrations.push(&fact.drawn);
        if let Some((share, held_out)) = fact.holdout {
            self.holdout.push(share, held_out);
        }
    }

    fn features(&self) -> Vec<FeatureQuality> {
        let of = |count: u64| share(count, self.decisions);
        let given = GIVEN.into_iter().zip(self.at_default);
        let given = given.map(|(feature, count)| FeatureQuality { feature, missing: None, at_default: of(count) });
        let profile = PROFILE.into_iter().zip(self.missing);
        given.chain(profile.map(|(feature, count)| FeatureQuality { feature, missing: of(count), at_default: None })).collect()
    }

    /// Puts days in between on which nothing happened.
    fn fill_days(&mut self) {
        let midnight = |day: &DayCompleteness| parse_millis(&format!("{}T00:00:00.000Z", day.day));
        let ends = (self.days.values().next().and_then(midnight), self.days.values().next_back().and_then(midnight));
        let (Some(first), Some(last)) = ends else { return };
        if (last - first) / DAY_MS > MOST_DAYS {
            return;
        }
        for n in 1..(last - first) / DAY_MS {
            self.day(Day::at(first + n * DAY_MS));
        }
    }

    fn finish(mut self, found: Found) -> DataQuality {
        self.fill_days();
        let features = self.features();
        self.delays.sort_unstable();
        // The nearest rank from above.
        let quantile = |tenths: usize| self.delays.get((self.delays.len() * tenths).div_ceil(10).saturating_sub(1)).copied();
        let delay =
            Delay { median_ms: quantile(5), p90_ms: quantile(9), negative: self.delays.partition_point(|&delay| delay < 0) as u64 };
        let feedback = self.delays.len() as u64;
        let old = self.profiles.without_profile + self.profiles.without_time + self.profiles.stale;
        DataQuality {
            decisions: self.decisions,
            feedback,
            join_rate: share(feedback, self.decisions),
            features,
            delay,
            profiles: ProfileAge { stale_share: share(old, self.decisions), ..self.profiles },
            days: self.days.into_values().collect(),
            calibration: self.calibrations.finish(),
            holdout: self.holdout.finish(),
            found,
        }
    }
}

/// Reads how good the data are, of decisions from `since_ms` on (milliseconds since 1970). `None` when it was cancelled.
///
/// # Errors
/// `ERR_STATE_IO`; `ERR_STATE_CORRUPT` when a later release wrote the log.
pub fn data_quality(directory: &Directory, since_ms: Option<u64>, watch: &Watch<'_>) -> Result<Option<DataQuality>> {
    let names = segments_since(directory, since_ms)?;
    let since = since_ms.map(format_millis);
    let is_asked = |ts: &str| since.as_deref().is_none_or(|since| ts >= since);
    let mut part = Part::default();
    let Some(found) = gather(directory, &names, watch, &mut |line| part.take(line, is_asked))? else { return Ok(None) };
    let Part { decisions, feedback, gaps, .. } = part;
    let mut sums = Sums::default();
    let joined = join(&decisions, |fact| fact.seq, &feedback, watch.cancelled, |fact, line| sums.push(fact, line));
    if joined.is_none() {
        return Ok(None);
    }
    for (day, dropped_pulls) in gaps.into_values() {
        let day = sums.day(day);
        day.gaps += 1;
        day.dropped_pulls += dropped_pulls;
    }
    Ok(Some(sums.finish(found)))
}

#[cfg(test)]
mod tests {
    use super::super::fixture::{HOUR, Log, Made, START, watch, world};
    use super::*;
    use crate::feature::Profile;
    use crate::policy::PolicyName;

    fn ask(log: &Log, since_ms: Option<u64>) -> DataQuality {
        data_quality(&log.directory(), since_ms, &watch()).unwrap().unwrap()
    }

    fn feature(quality: &DataQuality, name: &str) -> (Option<f64>, Option<f64>) {
        let of = quality.features.iter().find(|of| of.feature == name).unwrap();
        (of.missing, of.at_default)
    }

    #[test]
    fn what_is_missing_late_or_stale_is_counted() {
        let mut log = Log::new();
        let known = Profile { completion_rate: Some(0.5), preferred_hour: Some(9.0), ..Profile::default() };
        let times = ["2026-11-19T12:00:00.000Z", "2026-11-18T23:59:59.999Z", "yesterday", "9999-12-31T00:00:00Z"];
        let times = times.map(|time| Some(time.to_owned()));
        let mut delays = [60_000, 1000, 5000].into_iter();
        for (profile, computed_at) in
            times.into_iter().map(|time| (Some(known), time)).chain([(Some(Profile::default()), None), (None, None)])
        {
            let mut made = Made { profile, computed_at, ..Made::certain("u") };
            made.tasks[made.index].task_age_days = 1.0;
            let seq = log.decision(&made);
            if let Some(delay) = delays.next() {
                log.feedback(seq, None, 0.0, START);
                log.feedback(seq, Some("done"), 1.0, START + delay);
            }
        }
        log.gap(7);
        log.ms += 3 * DAY_MS;
        log.next_segment();
        let seq = log.decision(&Made::certain("u"));
        log.feedback(seq, None, 1.0, START);
        let quality = ask(&log, None);
        assert_eq!((quality.decisions, quality.feedback, quality.join_rate), (7, 4, Some(4.0 / 7.0)));
        assert_eq!(feature(&quality, "completionRate30d"), (Some(3.0 / 7.0), None));
        assert_eq!(feature(&quality, "tipVolume30d"), (Some(1.0), None));
        assert_eq!(feature(&quality, "taskAgeDays"), (None, Some(1.0 / 7.0)));
        assert_eq!(feature(&quality, "hourOfDay"), (None, Some(1.0)));
        let negative = -3 * DAY_MS.cast_signed();
        assert_eq!(quality.delay, Delay { median_ms: Some(1000), p90_ms: Some(60_000), negative: 1 });
        assert!(negative < 0);
        let stale_share = Some(6.0 / 7.0);
        assert_eq!(quality.profiles, ProfileAge { without_profile: 2, without_time: 3, stale: 1, stale_share });
        let days: Vec<_> =
            quality.days.iter().map(|day| (&day.day[8..], day.decisions, day.feedback, day.gaps, day.dropped_pulls)).collect();
        assert_eq!(days, [("20", 6, 3, 1, 7), ("21", 0, 0, 0, 0), ("22", 0, 0, 0, 0), ("23", 1, 1, 0, 0)]);
        let later = ask(&log, Some(START + HOUR));
        assert_eq!((later.decisions, later.days.len()), (1, 1));
    }

    #[test]
    fn honest_probabilities_are_told_from_others() {
        let (log, _) = world(4000, Some(0.2), 13);
        let quality = ask(&log, None);
        assert_eq!((quality.calibration.len(), quality.decisions), (3, 4000));
        for of in &quality.calibration {
            let is_within = |frequency: &Frequency| frequency.z.is_none_or(|z| z.abs() < 4.0);
            assert!(is_within(&of.greedy) && is_within(&of.exploring) && is_within(&quality.holdout), "{of:?}");
            assert_eq!(of.greedy.z.is_some(), of.policy.explores_by_chance());
            assert_eq!(of.greedy.decisions, 4000);
        }
        assert!((quality.holdout.expected - 800.0).abs() < 1e-9 && quality.holdout.decisions == 4000);
        // A policy that always does what it says it does nine times in ten.
        let mut log = Log::new();
        let mut made = Made::certain("u");
        made.choices = vec![(PolicyName::EGreedyV1, 1, false, vec![0.1 / 3.0, 0.9 + 0.1 / 3.0, 0.1 / 3.0])];
        for _ in 0..1000 {
            log.decision(&made);
        }
        let of = ask(&log, None).calibration[0];
        assert!(of.greedy.z.unwrap() > 7.0 && of.exploring.z.unwrap() < -7.0, "{of:?}");
        assert!((of.exploring.expected - 100.0).abs() < 1e-9);
    }

    #[test]
    fn an_empty_log_has_nothing_to_tell() {
        let quality = ask(&Log::new(), None);
        assert_eq!((quality.join_rate, quality.delay, quality.days.len()), (None, Delay::default(), 0));
    }
}
