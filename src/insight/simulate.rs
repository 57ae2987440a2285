//! What a policy would have earned: logged decisions are played to it in order, and those count in which it would have shown what was
//! shown, evened out so that every candidate had the same chance to be (Li, Chu, Langford, Wang: "Unbiased offline evaluation of
//! contextual-bandit-based news article recommendation algorithms", WSDM 2011, with the rejection of Dudík et al. 2012 for chances that
//! are not equal in the log).

use super::estimate::{Estimate, Weighted, share};
use super::join::{Feedback, last_of_each};
use super::learner::{Learner, eligible};
use super::names::Names;
use super::reading::{Found, Use, Watch, gather, read_segment, segments_since};
use crate::clock::format_millis;
use crate::disk::{Directory, Room};
use crate::error::{Error, Result};
use crate::log::{Event, LeanFeedback, Line, RecordedDecision, Seq, put_in_order, read_line};
use crate::policy::PolicyName;
use crate::rng::Chance;
use serde::Serialize;
use std::collections::HashMap;
use std::sync::atomic::Ordering;

/// A user takes up to 1.5 kB while a policy learns.
const MOST_USERS: usize = 200_000;

/// What is played to whom.
#[derive(Debug, Clone, Copy)]
pub struct SimulationSettings {
    /// The policy, which knows nobody at the start.
    pub policy: PolicyName,
    /// Below this effective sample size no value is told.
    pub min_effective: f64,
    /// The same seed gives the same answer.
    pub seed: u64,
    /// Decisions from then on, in milliseconds since 1970.
    pub since_ms: Option<u64>,
    /// Before then.
    pub until_ms: Option<u64>,
}

impl SimulationSettings {
    /// The usual ones.
    #[must_use]
    pub const fn of(policy: PolicyName) -> Self {
        Self { policy, min_effective: 100.0, seed: 1, since_ms: None, until_ms: None }
    }
}

/// The answer.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Simulation {
    /// Which policy.
    pub policy: PolicyName,
    /// Decisions that were played.
    pub decisions: u64,
    /// In so many it would have shown what was shown. It learns from accepted ones alone, so early ones weigh heavily.
    pub agreed: u64,
    /// The one by the other.
    pub agreement: Option<f64>,
    /// Decisions in which whatever could be chosen might have been shown, and that was more than one: only these can be accepted.
    pub randomised: u64,
    /// Those that count, with feedback or without.
    pub accepted: u64,
    /// Of these, without: they are neither learned from nor part of the value.
    pub without_feedback: u64,
    /// How much that says: 0 where no value can be told.
    pub effective_sample_size: f64,
    /// What it would have earned; `None` where too little of the log can tell.
    pub value: Option<Estimate>,
    /// What was read for it.
    pub found: Found,
}

/// The log's decisions and resets as the policy meets them.
struct Play<'a> {
    policy: Learner,
    chance: Chance,
    feedback: &'a [Feedback],
    /// Where in it the feedback of a decision stands that counts.
    last: HashMap<Seq, usize>,
    earned: Weighted,
    decisions: u64,
    agreed: u64,
    randomised: u64,
    accepted: u64,
    without_feedback: u64,
}

/// The lowest probability with which one that could be shown was.
fn lowest(decision: &RecordedDecision<'_>) -> f64 {
    let eligible = eligible(decision);
    let is_eligible = |i: usize| eligible.as_ref().is_none_or(|eligible| eligible[i]);
    let of = decision.probabilities.iter().enumerate().filter(|(i, _)| is_eligible(*i));
    of.map(|(_, &p)| p).fold(f64::INFINITY, f64::min)
}

impl Play<'_> {
    fn reward(&self, decision: Seq) -> Option<f64> {
        self.last.get(&decision).map(|&place| self.feedback[place].reward)
    }

    fn decision(&mut self, seq: Seq, decision: &RecordedDecision<'_>) {
        if !self.policy.turn(&decision.user_id, seq) {
            return;
        }
        // Drawn for every decision, so that what one of them does changes nothing for the others.
        let (choosing, accepting) = (self.chance.draw(), self.chance.draw());
        self.decisions += 1;
        let agrees = self.policy.choose(decision, choosing) == decision.index;
        self.agreed += u64::from(agrees);
        // Where there was no choice, all policies earn the same.
        let has_choice = decision.ids.len() > decision.masked.len() + 1;
        let lowest = lowest(decision);
        if !(has_choice && lowest > 0.0 && lowest.is_finite()) {
            return;
        }
        self.randomised += 1;
        // Accepted is what was shown with probability p with lowest / p: whichever it is, with `lowest` over all.
        if !agrees || !accepting.happens(lowest / decision.probabilities[decision.index]) {
            return;
        }
        self.accepted += 1;
        let Some(reward) = self.reward(seq) else {
            self.without_feedback += 1;
            return;
        };
        // Requests with many candidates are accepted more rarely; the weight makes up for it.
        self.earned.push(1.0 / lowest, reward);
        self.policy.learn(decision, reward);
    }

    fn line(&mut self, line: &Line<'_>) -> Use {
        match read_line(line.text.as_bytes()).map(|recorded| recorded.event) {
            Ok(Event::Decision(decision)) => self.decision(line.seq, &decision),
            Ok(Event::Reset { user_id }) => {
                if self.policy.turn(&user_id, line.seq) {
                    self.policy.forget(&user_id);
                }
            }
            _ => return Use::Unreadable,
        }
        Use::Fine
    }

    fn finish(self, settings: SimulationSettings, found: Found) -> Simulation {
        let effective_sample_size = self.earned.effective_sample_size();
        let value = self.earned.estimate().filter(|estimate| estimate.effective_sample_size >= settings.min_effective);
        Simulation {
            policy: settings.policy,
            decisions: self.decisions,
            agreed: self.agreed,
            agreement: share(self.agreed, self.decisions),
            randomised: self.randomised,
            accepted: self.accepted,
            without_feedback: self.without_feedback,
            effective_sample_size,
            value,
            found,
        }
    }
}

fn take_feedback(part: &mut Vec<Feedback>, line: &Line<'_>) -> Use {
    if line.kind != "feedback" {
        return Use::Fine;
    }
    let Some(feedback) = LeanFeedback::read(line) else { return Use::Unreadable };
    // Actions are not asked for.
    part.push(Feedback::new(line.seq, &LeanFeedback { action: None, ..feedback }, &mut Names::default()));
    Use::Kept
}

/// Plays the log to a policy. `None` when it was cancelled. The log is read twice: for feedback, and for decisions.
///
/// # Errors
/// `ERR_STATE_IO`; `ERR_STATE_CORRUPT` when a later release wrote the log.
pub fn simulate(directory: &Directory, settings: SimulationSettings, watch: &Watch<'_>) -> Result<Option<Simulation>> {
    let names = segments_since(directory, settings.since_ms)?;
    let (since, until) = (settings.since_ms.map(format_millis), settings.until_ms.map(format_millis));
    let is_asked = |ts: &str| since.as_deref().is_none_or(|since| ts >= since) && until.as_deref().is_none_or(|until| ts < until);
    let of = 2 * names.len();
    let first_half = Watch { progress: &|done, _| (watch.progress)(done, of), ..*watch };
    let mut feedback = Vec::new();
    let Some(mut found) = gather(directory, &names, &first_half, &mut |line| take_feedback(&mut feedback, line))? else {
        return Ok(None);
    };
    let (policy, chance) = (Learner::new(settings.policy), Chance::seeded(settings.seed));
    let mut play = Play {
        policy,
        chance,
        feedback: &feedback,
        last: last_of_each(&feedback),
        earned: Weighted::default(),
        decisions: 0,
        agreed: 0,
        randomised: 0,
        accepted: 0,
        without_feedback: 0,
    };
    for (done, &name) in names.iter().enumerate() {
        let bytes = directory.read_from(Room::Log, &name.to_string(), 0)?;
        let mut lines = Vec::new();
        let read = read_segment(directory, name, &bytes, watch.cancelled, &mut |line| {
            if matches!(line.kind, "decision" | "reset") && is_asked(line.ts) {
                lines.push(*line);
            }
            Use::Fine
        })?;
        if read.is_none() {
            return Ok(None);
        }
        put_in_order(&mut lines);
        for lines in lines.chunks(1024) {
            if watch.cancelled.load(Ordering::Relaxed) {
                return Ok(None);
            }
            for line in lines {
                found.damaged_lines += u64::from(play.line(line) == Use::Unreadable);
            }
        }
        if play.policy.users() > MOST_USERS {
            let problem = format_args!("there are over {MOST_USERS} users from then on, who all learn: ask for less time");
            return Err(Error::invalid("since", problem));
        }
        (watch.progress)(names.len() + done + 1, of);
    }
    Ok(Some(play.finish(settings, found)))
}

#[cfg(test)]
mod tests {
    use super::super::fixture::{Log, Made, START, watch, world, worth};
    use super::*;
    use std::sync::atomic::AtomicBool;

    fn ask(log: &Log, settings: SimulationSettings) -> Simulation {
        simulate(&log.directory(), settings, &watch()).unwrap().unwrap()
    }

    #[test]
    fn a_policy_that_learns_earns_more_than_favourites_do() {
        let (mut log, made) = world(20_000, Some(1.0), 17);
        log.reset("user-3");
        let open: Vec<_> = made.iter().filter(|made| made.has_choice()).collect();
        let logged = open.iter().map(|made| worth(&made.tasks[made.index])).sum::<f64>() / open.len() as f64;
        for policy in PolicyName::ALL {
            let simulation = ask(&log, SimulationSettings::of(policy));
            let estimate = simulation.value.unwrap();
            assert!(estimate.ci95.unwrap()[0] > logged + 0.05, "{estimate:?}, logged {logged}");
            assert_eq!((simulation.decisions, simulation.randomised), (20_000, open.len() as u64));
            assert_eq!(estimate.samples, simulation.accepted - simulation.without_feedback);
            assert!(estimate.samples < simulation.agreed && simulation.agreed < simulation.decisions / 2);
            // Seven in ten have feedback.
            let lost = simulation.without_feedback as f64 / simulation.accepted as f64;
            assert!((lost - 0.3).abs() < 0.05, "{lost}");
            // The same seed, the same answer.
            assert_eq!(ask(&log, SimulationSettings::of(policy)), simulation);
        }
    }

    #[test]
    fn where_there_is_no_choice_nothing_is_learned_about_policies() {
        let (mut log, chance) = (Log::new(), Chance::seeded(31));
        for i in 0..400_u32 {
            let made = Made::drawn("u", if i % 2 == 0 { 1 } else { 2 }, PolicyName::EGreedyV1, Some(1.0), &chance);
            let seq = log.decision(&made);
            log.feedback(seq, None, if i % 2 == 0 { 1.0 } else { 0.0 }, START);
        }
        let simulation = ask(&log, SimulationSettings { min_effective: 1.0, ..SimulationSettings::of(PolicyName::LinUcbV1) });
        assert_eq!((simulation.decisions, simulation.randomised), (400, 200));
        assert_eq!(simulation.value.map(|value| value.mean), Some(0.0));
    }

    /// Requests with few candidates are accepted more often. What a tip is worth depends on their number alone here, so that any
    /// policy's value is known: the mean over all requests.
    #[test]
    fn requests_count_alike_however_many_candidates_they_have() {
        let (mut log, chance) = (Log::new(), Chance::seeded(23));
        for i in 0..12_000_u32 {
            let (candidates, reward) = if i % 2 == 0 { (2, 1.0) } else { (8, 0.0) };
            let made = Made::drawn("u", candidates, PolicyName::EGreedyV1, Some(0.5), &chance);
            let seq = log.decision(&made);
            log.feedback(seq, None, reward, START);
        }
        let estimate = ask(&log, SimulationSettings::of(PolicyName::EGreedyV1)).value.unwrap();
        let error = (estimate.ci95.unwrap()[1] - estimate.mean) / 1.96;
        assert!((estimate.mean - 0.5).abs() < 4.0 * error && error < 0.03, "{estimate:?}");
        assert!(estimate.effective_sample_size < 0.8 * estimate.samples as f64);
    }

    /// Only what the logging policy likes best is worth something, and no feature tells what that is: whoever chooses otherwise earns
    /// one in three, however often the log shows the favourites.
    #[test]
    fn what_is_shown_more_often_does_not_count_more() {
        let (mut log, chance) = (Log::new(), Chance::seeded(29));
        for _ in 0..12_000 {
            let made = Made::drawn("u", 3, PolicyName::EGreedyV1, Some(0.3), &chance);
            let favourite = made.choices[0].3.iter().position(|&p| p > 0.5);
            let seq = log.decision(&made);
            log.feedback(seq, None, if Some(made.index) == favourite { 1.0 } else { 0.0 }, START);
        }
        let estimate = ask(&log, SimulationSettings::of(PolicyName::LinUcbV1)).value.unwrap();
        let error = (estimate.ci95.unwrap()[1] - estimate.mean) / 1.96;
        assert!((estimate.mean - 1.0 / 3.0).abs() < 4.0 * error && error < 0.02, "{estimate:?}");
    }

    #[test]
    fn too_little_is_refused() {
        let mut log = Log::new();
        for reward in [1.0, 0.0, 1.0] {
            let seq = log.decision(&Made::certain("u"));
            log.feedback(seq, None, reward, START);
        }
        let simulation = ask(&log, SimulationSettings::of(PolicyName::LinUcbV1));
        assert_eq!((simulation.value, simulation.effective_sample_size), (None, 0.0));
        assert_eq!((simulation.decisions, simulation.randomised, simulation.accepted), (3, 0, 0));
        let (log, _) = world(300, Some(0.5), 19);
        let settings = SimulationSettings::of(PolicyName::LinUcbV1);
        let Simulation { value, effective_sample_size, .. } = ask(&log, settings);
        assert!(value.is_none() && effective_sample_size > 5.0 && effective_sample_size < 100.0, "{effective_sample_size}");
        assert!(ask(&log, SimulationSettings { min_effective: 5.0, ..settings }).value.is_some());
    }

    #[test]
    fn a_line_that_stands_there_twice_is_played_once_and_a_cancelled_play_ends() {
        let mut log = Log::new();
        let seq = log.decision(&Made::certain("u"));
        log.feedback(seq, None, 1.0, START);
        let copy = log.bytes.clone();
        log.next_segment();
        log.bytes.extend_from_slice(&copy);
        assert_eq!(ask(&log, SimulationSettings::of(PolicyName::EGreedyV1)).decisions, 1);
        let cancelled = AtomicBool::new(true);
        let watch = Watch { cancelled: &cancelled, ..watch() };
        assert_eq!(simulate(&log.directory(), SimulationSettings::of(PolicyName::EGreedyV1), &watch).unwrap(), None);
    }
}
