//! What decisions earned, by day, policy, prompt version or action, and how policies compare.

use super::comparison::{Compared, Comparison, PolicyComparison};
use super::estimate::Mean;
use super::join::{Feedback, join};
use super::names::Names;
use super::reading::{Found, Use, Watch, gather, segments_since};
use crate::clock::format_millis;
use crate::disk::Directory;
use crate::error::Result;
use crate::log::{Day, LeanDecision, LeanFeedback, Line, Seq};
use crate::policy::PolicyName;
use serde::Serialize;
use std::collections::{BTreeMap, HashMap};

/// What decisions are grouped by.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub enum By {
    /// The day of the decision, in UTC.
    Day,
    /// The policy whose choice is shown.
    Policy,
    /// The version of the prompt that wrote what is shown.
    PromptVersion,
    /// What the person did; decisions without feedback are in no group.
    Action,
}

impl By {
    /// By the name that it has in answers.
    #[must_use]
    pub fn parse(name: &str) -> Option<Self> {
        Some(match name {
            "day" => Self::Day,
            "policy" => Self::Policy,
            "promptVersion" => Self::PromptVersion,
            "action" => Self::Action,
            _ => return None,
        })
    }
}

/// Which decisions are asked about.
#[derive(Debug, Clone, Copy)]
pub struct AnalyticsFilter {
    /// From then on, in milliseconds since 1970.
    pub since_ms: Option<u64>,
    /// Before then.
    pub until_ms: Option<u64>,
    /// How they are grouped.
    pub by: By,
}

/// What came of some decisions.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Summary {
    /// How many.
    pub decisions: u64,
    /// Of these, with feedback, whenever it came.
    pub feedback: u64,
    /// `None` without feedback.
    pub mean_reward: Option<f64>,
    /// Where the mean is with 95 %; `None` under two.
    pub ci95: Option<[f64; 2]>,
    /// How often each action; feedback that was given as a number has none.
    pub actions: BTreeMap<String, u64>,
}

/// A group of decisions.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Group {
    /// The day (`YYYY-MM-DD`), policy, prompt version or action; `None` where the shown candidate has no version, or feedback was a
    /// number; `(other)` for all past the first 1,000 versions or actions.
    pub key: Option<String>,
    /// What came of them.
    pub summary: Summary,
}

/// The answer.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Analytics {
    /// What groups are made by.
    pub by: By,
    /// In the order of their keys; without one last.
    pub groups: Vec<Group>,
    /// All of them.
    pub totals: Summary,
    /// How policies compare.
    pub policies: Vec<PolicyComparison>,
    /// What came of the uniformly random tips of the holdout: what no policy at all earns.
    pub held_out: Summary,
    /// What was read for it.
    pub found: Found,
}

/// Adds decisions up.
#[derive(Debug, Default)]
pub struct Tally {
    decisions: u64,
    rewards: Mean,
    actions: HashMap<u32, u64>,
}

impl Tally {
    /// A decision with the reward and action of its feedback.
    pub fn push(&mut self, feedback: Option<(f64, Option<u32>)>) {
        self.decisions += 1;
        let Some((reward, action)) = feedback else { return };
        self.rewards.push(reward);
        if let Some(action) = action {
            *self.actions.entry(action).or_default() += 1;
        }
    }

    pub fn finish(self, names: &Names) -> Summary {
        Summary {
            decisions: self.decisions,
            feedback: self.rewards.count(),
            mean_reward: self.rewards.mean(),
            ci95: self.rewards.ci95(),
            actions: self.actions.into_iter().map(|(action, n)| (names.text(action).to_owned(), n)).collect(),
        }
    }
}

/// What is kept of a decision: some 120 bytes, a tenth of its line.
#[derive(Debug)]
struct Fact {
    seq: Seq,
    day: Day,
    version: Option<u32>,
    compared: Compared,
}

/// What was read.
#[derive(Debug, Default)]
struct Part {
    versions: Names,
    actions: Names,
    decisions: Vec<Fact>,
    feedback: Vec<Feedback>,
}

impl Part {
    fn take(&mut self, line: &Line<'_>, is_asked: impl Fn(&str) -> bool) -> Use {
        match line.kind {
            "decision" if is_asked(line.ts) => {
                let Some(decision) = LeanDecision::read(line) else { return Use::Unreadable };
                let compared = Compared {
                    policy: decision.policy,
                    held_out: decision.held_out,
                    probability: decision.probability,
                    had_no_choice: decision.eligible == 1,
                    evaluated: decision.evaluated,
                };
                let version = decision.prompt_version.as_ref().map(|version| self.versions.number(version));
                self.decisions.push(Fact { seq: line.seq, day: line.day(), version, compared });
                return Use::Kept;
            }
            "feedback" => {
                let Some(feedback) = LeanFeedback::read(line) else { return Use::Unreadable };
                self.feedback.push(Feedback::new(line.seq, &feedback, &mut self.actions));
                return Use::Kept;
            }
            _ => {}
        }
        Use::Fine
    }
}

/// A group's key while decisions are added up.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum Key {
    Day(Day),
    Policy(PolicyName),
    Named(Option<u32>),
}

impl Key {
    fn text(self, names: &Names) -> Option<String> {
        match self {
            Self::Day(day) => Some(day.to_string()),
            Self::Policy(policy) => Some(policy.as_str().to_owned()),
            Self::Named(name) => name.map(|name| names.text(name).to_owned()),
        }
    }
}

/// Reads what decisions earned. `None` when it was cancelled. It keeps some 120 bytes for each decision that is asked about while it
/// runs, and 64 for each line of feedback.
///
/// # Errors
/// `ERR_STATE_IO`; `ERR_STATE_CORRUPT` when a later release wrote the log.
pub fn analytics(directory: &Directory, filter: AnalyticsFilter, watch: &Watch<'_>) -> Result<Option<Analytics>> {
    let names = segments_since(directory, filter.since_ms)?;
    let (since, until) = (filter.since_ms.map(format_millis), filter.until_ms.map(format_millis));
    let is_asked = |ts: &str| since.as_deref().is_none_or(|since| ts >= since) && until.as_deref().is_none_or(|until| ts < until);
    // Feedback may come long after the time that is asked about: all segments up to the last are read for it.
    let mut part = Part::default();
    let Some(found) = gather(directory, &names, watch, &mut |line| part.take(line, is_asked))? else { return Ok(None) };
    let Part { versions, actions, decisions, feedback } = part;
    let mut groups: HashMap<Key, Tally> = HashMap::new();
    let (mut totals, mut held_out, mut comparison) = (Tally::default(), Tally::default(), Comparison::default());
    let joined = join(
        &decisions,
        |fact| fact.seq,
        &feedback,
        watch.cancelled,
        |fact, line| {
            let feedback = line.map(|line| (line.reward, line.action));
            let key = match (filter.by, feedback) {
                (By::Day, _) => Some(Key::Day(fact.day)),
                (By::Policy, _) => Some(Key::Policy(fact.compared.policy)),
                (By::PromptVersion, _) => Some(Key::Named(fact.version)),
                (By::Action, feedback) => feedback.map(|(_, action)| Key::Named(action)),
            };
            if let Some(key) = key {
                groups.entry(key).or_default().push(feedback);
            }
            totals.push(feedback);
            if fact.compared.held_out {
                held_out.push(feedback);
            }
            comparison.push(&fact.compared, feedback);
        },
    );
    if joined.is_none() {
        return Ok(None);
    }
    let names = if filter.by == By::Action { &actions } else { &versions };
    let group = |(key, tally): (Key, Tally)| Group { key: key.text(names), summary: tally.finish(&actions) };
    let mut groups: Vec<Group> = groups.into_iter().map(group).collect();
    groups.sort_by(|a, b| (a.key.is_none(), &a.key).cmp(&(b.key.is_none(), &b.key)));
    Ok(Some(Analytics {
        by: filter.by,
        groups,
        totals: totals.finish(&actions),
        policies: comparison.finish(&actions),
        held_out: held_out.finish(&actions),
        found,
    }))
}

#[cfg(test)]
mod tests {
    use super::super::fixture::{DAY, HOUR, Log, Made, START, every_decision, watch, world, worth};
    use super::*;
    use std::io::Write;
    use std::sync::atomic::AtomicBool;

    fn all(by: By) -> AnalyticsFilter {
        AnalyticsFilter { since_ms: None, until_ms: None, by }
    }

    fn ask(log: &Log, filter: AnalyticsFilter) -> Analytics {
        analytics(&log.directory(), filter, &watch()).unwrap().unwrap()
    }

    /// Decisions, feedback, sum of rewards, sum of their squares, actions.
    type Naive = (u64, u64, f64, f64, BTreeMap<String, u64>);

    fn naive_push(to: &mut Naive, feedback: Option<&(Option<String>, f64)>) {
        to.0 += 1;
        let Some((action, reward)) = feedback else { return };
        to.1 += 1;
        to.2 += reward;
        to.3 += reward * reward;
        if let Some(action) = action {
            *to.4.entry(action.clone()).or_default() += 1;
        }
    }

    fn assert_same(summary: &Summary, naive: &Naive) {
        let close = |a: f64, b: f64| assert!((a - b).abs() < 1e-9, "{summary:?} {naive:?}");
        assert_eq!((summary.decisions, summary.feedback, &summary.actions), (naive.0, naive.1, &naive.4));
        let n = naive.1 as f64;
        assert_eq!(summary.mean_reward.is_some(), naive.1 > 0);
        if let Some(mean) = summary.mean_reward {
            close(mean, naive.2 / n);
        }
        assert_eq!(summary.ci95.is_some(), naive.1 > 1);
        if let Some([low, high]) = summary.ci95 {
            let variance = (naive.3 - naive.2 * naive.2 / n) / (n - 1.0);
            let error = 1.959_963_984_540_054 * (variance.max(0.0) / n).sqrt();
            close(low, naive.2 / n - error);
            close(high, naive.2 / n + error);
        }
    }

    #[test]
    fn every_figure_is_what_a_naive_count_says() {
        let (log, _) = world(3000, Some(0.1), 7);
        let (since, until) = (START + DAY + 5 * HOUR, START + 4 * DAY);
        for (by, range) in [By::Day, By::Policy, By::PromptVersion, By::Action].into_iter().zip([true, false, true, false]) {
            let (mut groups, mut totals, mut held_out) =
                (BTreeMap::<Option<String>, Naive>::new(), Naive::default(), Naive::default());
            let mut shown = BTreeMap::<&str, Naive>::new();
            let mut snips = BTreeMap::<&str, (f64, f64, f64, u64)>::new();
            let mut shadows = BTreeMap::<&str, (u64, u64)>::new();
            every_decision(&log, |_, ms, decision, feedback| {
                if range && !(since..until).contains(&ms) {
                    return;
                }
                let key = match by {
                    By::Day => Some(Some(format_millis(ms)[..10].to_owned())),
                    By::Policy => Some(Some(decision.policy.as_str().to_owned())),
                    By::PromptVersion => {
                        Some(decision.prompt_versions.get(decision.index).and_then(|v| v.as_ref().map(ToString::to_string)))
                    }
                    By::Action => feedback.map(|(action, _)| action.clone()),
                };
                if let Some(key) = key {
                    naive_push(groups.entry(key).or_default(), feedback);
                }
                naive_push(&mut totals, feedback);
                let is_held_out = decision.holdout.unwrap().1;
                naive_push(if is_held_out { &mut held_out } else { shown.entry(decision.policy.as_str()).or_default() }, feedback);
                for (i, choice) in decision.choices.iter().enumerate() {
                    let name = choice.policy.as_str();
                    if i > 0 {
                        let (of, agreed) = shadows.entry(name).or_default();
                        *of += 1;
                        *agreed += u64::from(choice.index == decision.index);
                    }
                    let (Some((_, reward)), sums) = (feedback, snips.entry(name).or_default()) else { continue };
                    if decision.ids.len() - decision.masked.len() == 1 {
                        sums.3 += 1;
                    } else {
                        let w = choice.probabilities[decision.index] / decision.probabilities[decision.index];
                        *sums = (sums.0 + w, sums.1 + w * w, sums.2 + w * reward, sums.3);
                    }
                }
            });
            let bounds = AnalyticsFilter { since_ms: Some(since), until_ms: Some(until), by };
            let answer = ask(&log, if range { bounds } else { all(by) });
            assert!(totals.1 > 500 && answer.groups.len() > 1 && held_out.0 > 50);
            assert_same(&answer.totals, &totals);
            assert_same(&answer.held_out, &held_out);
            assert_eq!(answer.groups.len(), groups.len());
            for group in &answer.groups {
                assert_same(&group.summary, &groups[&group.key]);
            }
            for policy in &answer.policies {
                let name = policy.policy.as_str();
                assert_same(&policy.shown, &shown[name]);
                let (w, ww, wr, without) = snips[name];
                let estimate = policy.estimate.unwrap();
                assert!((estimate.mean - wr / w).abs() < 1e-9);
                assert!((estimate.effective_sample_size - w * w / ww).abs() < 1e-6);
                assert_eq!((policy.evaluated, policy.without_overlap), (totals.0, without));
                assert!(without > 10);
                let shadow = policy.shadow.unwrap();
                assert_eq!((shadow.decisions, shadow.agreed), shadows[name]);
            }
        }
    }

    #[test]
    fn what_a_shadow_would_have_earned_is_estimated_without_bias() {
        let (log, made) = world(12_000, Some(0.3), 11);
        let answer = ask(&log, all(By::Policy));
        for policy in &answer.policies {
            let value = |made: &Made| {
                let of = made.choices.iter().find(|choice| choice.0 == policy.policy).unwrap();
                of.3.iter().zip(&made.tasks).map(|(p, task)| p * worth(task)).sum::<f64>()
            };
            let open = || made.iter().filter(|made| made.has_choice());
            let truth = open().map(value).sum::<f64>() / open().count() as f64;
            let estimate = policy.estimate.unwrap();
            let error = (estimate.ci95.unwrap()[1] - estimate.mean) / 1.96;
            assert!((estimate.mean - truth).abs() < 4.0 * error, "{policy:?}, in truth {truth}");
            assert!(error < 0.03 && estimate.effective_sample_size < 12_000.0);
        }
    }

    #[test]
    fn deterministic_decisions_say_nothing_of_other_policies() {
        let mut log = Log::new();
        let mut made = Made::certain("u");
        made.choices.push((PolicyName::EGreedyV1, 0, false, vec![0.9 + 0.1 / 3.0, 0.1 / 3.0, 0.1 / 3.0]));
        for reward in [1.0, 0.0] {
            let seq = log.decision(&made);
            log.feedback(seq, None, reward, START);
        }
        let policies = ask(&log, all(By::Day)).policies;
        assert_eq!(policies[0].estimate.map(|estimate| (estimate.mean, estimate.effective_sample_size)), Some((0.5, 2.0)));
        assert_eq!((policies[0].shadow, policies[0].without_overlap), (None, 0));
        assert_eq!((policies[1].estimate, policies[1].without_overlap), (None, 2));
        assert_eq!(policies[1].shadow, Some(crate::insight::Agreement { decisions: 2, agreed: 0, share: Some(0.0) }));
        // With one candidate nobody can choose otherwise: that tells no policy from another.
        made.masked = vec![0, 2];
        made.choices[1] = (PolicyName::EGreedyV1, 1, false, vec![0.0, 1.0, 0.0]);
        let seq = log.decision(&made);
        log.feedback(seq, None, 1.0, START);
        let policies = ask(&log, all(By::Day)).policies;
        assert_eq!((policies[0].estimate.map(|estimate| estimate.samples), policies[0].without_overlap), (Some(2), 1));
        assert_eq!((policies[1].estimate, policies[1].without_overlap), (None, 3));
    }

    #[test]
    fn a_line_counts_once_and_damage_is_told() {
        let mut log = Log::new();
        let made = Made::certain("u");
        let first = log.decision(&made);
        log.feedback(first, Some("snooze"), 0.0, START);
        log.feedback(first, Some("done"), 1.0, START);
        let copy = log.bytes.clone();
        let second = log.decision(&made);
        log.feedback(second, Some("done"), 1.0, START);
        let flipped = log.bytes.len() - 30;
        log.bytes[flipped] ^= 1;
        log.next_segment();
        log.bytes.extend_from_slice(&copy);
        let torn = log.bytes.len();
        log.decision(&made);
        log.bytes.truncate(usize::midpoint(torn, log.bytes.len()));
        let answer = ask(&log, all(By::Action));
        let keys: Vec<_> = answer.groups.iter().map(|group| group.key.as_deref()).collect();
        assert_eq!((answer.totals.decisions, answer.totals.feedback, keys), (2, 1, vec![Some("done")]));
        assert_eq!((answer.found.segments, answer.found.torn_lines, answer.found.damaged_lines), (2, 1, 1));
        let json = serde_json::to_value(&answer).unwrap();
        assert_eq!(json["groups"][0]["summary"]["meanReward"], 1.0);
        assert_eq!(json["totals"]["ci95"], serde_json::Value::Null);
        assert_eq!(json["found"]["tornLines"], 1);
    }

    #[test]
    fn a_thousand_prompt_versions_leave_actions_their_names() {
        let mut log = Log::new();
        let mut made = Made::certain("u");
        for i in 0..1005 {
            made.versions = Some(vec![None, Some(format!("v{i}")), None]);
            let seq = log.decision(&made);
            if i > 1000 {
                log.feedback(seq, Some("done"), 1.0, START);
            }
        }
        let answer = ask(&log, all(By::PromptVersion));
        assert_eq!(answer.groups[0].key.as_deref(), Some("(other)"));
        assert_eq!((answer.groups[0].summary.decisions, answer.groups[0].summary.actions["done"]), (5, 4));
        assert_eq!(ask(&log, all(By::Action)).groups[0].key.as_deref(), Some("done"));
    }

    #[test]
    fn segments_before_the_time_are_not_read() {
        let (log, _) = world(400, None, 3);
        let filter = AnalyticsFilter { since_ms: Some(START + 5 * DAY), ..all(By::Day) };
        let answer = ask(&log, filter);
        assert!(answer.found.segments == 1 && answer.totals.decisions > 50, "{answer:?}");
        assert_eq!(ask(&log, all(By::Day)).found.segments, 4);
    }

    #[test]
    fn a_cancelled_question_has_no_answer_and_progress_is_told() {
        let (log, _) = world(400, None, 3);
        let directory = log.directory();
        let cancelled = AtomicBool::new(true);
        let stopped = analytics(&directory, all(By::Day), &Watch { cancelled: &cancelled, ..watch() }).unwrap();
        assert_eq!(stopped, None);
        let seen = parking_lot::Mutex::new(Vec::new());
        let progress = |done, of| seen.lock().push((done, of));
        analytics(&directory, all(By::Day), &Watch { progress: &progress, ..watch() }).unwrap().unwrap();
        seen.lock().sort_unstable();
        assert_eq!(*seen.lock(), [(1, 4), (2, 4), (3, 4), (4, 4)]);
    }

    #[test]
    fn a_later_release_s_log_is_refused_and_no_log_is_empty() {
        let mut log = Log::new();
        assert_eq!(ask(&log, all(By::Day)).totals, Summary::default());
        let content = "{\"v\":2,\"what\":1";
        let line = format!("{content},\"crc\":\"{:08x}\"}}\n", crc32fast::hash(content.as_bytes()));
        log.bytes.write_all(line.as_bytes()).unwrap();
        let error = analytics(&log.directory(), all(By::Day), &watch()).unwrap_err();
        assert_eq!(error.kind(), crate::ErrorKind::StateCorrupt);
    }
}
