//! Logs for tests, written by the log's own writer.

use super::reading::Watch;
use crate::disk::{Directory, OpenedDirectory};
use crate::feature::{Moment, Profile, TaskFeatures};
use crate::log::{
    ChoiceLine, DecisionLine, Event, FeedbackLine, Inputs, LineWriter, Piece, Recorded, SegmentName, Seq, pieces, read_line,
};
use crate::policy::{Assignment, Distribution, Lanes, PolicyName, drawn};
use crate::rng::Chance;
use std::sync::atomic::AtomicBool;
use tempfile::TempDir;

/// 2026-11-20T00:00:00Z.
pub const START: u64 = 1_795_132_800_000;
pub const HOUR: u64 = 3_600_000;
pub const DAY: u64 = 24 * HOUR;

static NEVER: AtomicBool = AtomicBool::new(false);

pub fn watch() -> Watch<'static> {
    Watch { cancelled: &NEVER, progress: &|_, _| {} }
}

/// A decision as a test describes it.
#[derive(Debug, Clone)]
pub struct Made {
    pub user_id: String,
    pub tasks: Vec<TaskFeatures>,
    pub versions: Option<Vec<Option<String>>>,
    pub masked: Vec<usize>,
    pub moment: Moment,
    pub profile: Option<Profile>,
    pub computed_at: Option<String>,
    pub index: usize,
    pub holdout: Option<(f64, bool)>,
    pub probabilities: Vec<f64>,
    pub choices: Vec<(PolicyName, usize, bool, Vec<f64>)>,
}

impl Made {
    /// Of three candidates, the second of which is shown by a policy that leaves nothing to chance.
    pub fn certain(user_id: &str) -> Self {
        let p = vec![0.0, 1.0, 0.0];
        Self {
            user_id: user_id.to_owned(),
            tasks: vec![TaskFeatures::default(); 3],
            versions: None,
            masked: Vec::new(),
            moment: Moment::default(),
            profile: None,
            computed_at: None,
            index: 1,
            holdout: None,
            probabilities: p.clone(),
            choices: vec![(PolicyName::LinUcbV1, 1, false, p)],
        }
    }

    pub fn has_choice(&self) -> bool {
        self.tasks.len() - self.masked.len() > 1
    }

    fn line((policy, index, exploring, probabilities): &(PolicyName, usize, bool, Vec<f64>)) -> ChoiceLine<'_> {
        let score = 0.25 + *index as f64;
        ChoiceLine { policy: *policy, index: *index, score, exploring: *exploring, probabilities, first: false }
    }

    /// Of so many candidates, decided as the engine does: each policy has a favourite of its own; `active` decides what is shown.
    pub fn drawn(user_id: &str, candidates: usize, active: PolicyName, share: Option<f64>, chance: &Chance) -> Self {
        let tasks: Vec<TaskFeatures> = (0..candidates)
            .map(|_| TaskFeatures {
                is_overdue: chance.draw().happens(0.3),
                task_age_days: chance.draw().below(40) as f64,
                priority: 1 + chance.draw().below(4) as u8,
            })
            .collect();
        let masked: Vec<usize> =
            if candidates > 3 && chance.draw().happens(0.2) { vec![chance.draw().below(candidates)] } else { Vec::new() };
        let eligible: Vec<bool> = (0..candidates).map(|i| !masked.contains(&i)).collect();
        let mut policies = PolicyName::ALL;
        policies.swap(0, active as usize);
        let choices: Vec<_> = policies
            .into_iter()
            .map(|policy| {
                let greedy = drawn(Some(&eligible), candidates, chance.draw());
                let of = Distribution { greedy, epsilon: policy.epsilon(), candidates, eligible: Some(&eligible) };
                let (index, exploring) = of.choose(chance.draw());
                (policy, index, exploring, of.probabilities().collect::<Vec<f64>>())
            })
            .collect();
        let held_out = share.is_some_and(|share| chance.draw().happens(share));
        let index = if held_out { drawn(Some(&eligible), candidates, chance.draw()) } else { choices[0].1 };
        let uniform = 1.0 / (candidates - masked.len()) as f64;
        let mixed = |(&p, &eligible): (&f64, &bool)| {
            share.map_or(p, |share| (1.0 - share) * p + if eligible { share * uniform } else { 0.0 })
        };
        Self {
            probabilities: choices[0].3.iter().zip(&eligible).map(mixed).collect(),
            index,
            masked,
            holdout: share.map(|share| (share, held_out)),
            choices,
            tasks,
            moment: Moment { hour: chance.draw().below(24) as u8, day: chance.draw().below(7) as u8 },
            ..Self::certain(user_id)
        }
    }
}

/// A log that is being written.
pub struct Log {
    directory: TempDir,
    writer: LineWriter,
    pub bytes: Vec<u8>,
    begun: Seq,
    pub n: u64,
    pub ms: u64,
}

impl Log {
    pub fn new() -> Self {
        let directory = tempfile::tempdir().unwrap();
        std::fs::create_dir(directory.path().join("log")).unwrap();
        let mut log = Self { directory, writer: LineWriter::default(), bytes: Vec::new(), begun: Seq::default(), n: 0, ms: START };
        log.begin();
        log
    }

    fn begin(&mut self) {
        self.begun = self.number();
        self.writer.segment(&mut self.bytes, self.begun, self.ms, Seq::default(), None);
    }

    pub fn number(&mut self) -> Seq {
        let n = self.n;
        self.n += 1;
        Seq { epoch: 1, n }
    }

    /// Ends this segment and begins another.
    pub fn next_segment(&mut self) {
        self.save();
        self.bytes.clear();
        self.begin();
    }

    fn save(&self) {
        std::fs::write(self.path(), &self.bytes).unwrap();
    }

    /// Where the segment goes that is being written.
    pub fn path(&self) -> std::path::PathBuf {
        self.directory.path().join("log").join(SegmentName(self.begun).to_string())
    }

    /// What was written so far, to be read.
    pub fn directory(&self) -> Directory {
        self.save();
        OpenedDirectory::open(self.directory.path(), false).unwrap().into()
    }

    pub fn decision(&mut self, made: &Made) -> Seq {
        let n = made.tasks.len();
        let mut block = Vec::new();
        let lanes = Lanes::written(&made.tasks, &mut block);
        let ids: Vec<String> = (0..n).map(|i| format!("tip,\"{i}")).collect();
        let json = |masked: &Vec<usize>| serde_json::to_string(masked).unwrap();
        let (ids, masked) = (ids.iter().map(String::as_str).collect::<Vec<_>>(), json(&made.masked));
        let versions = made.versions.as_ref().map(|versions| serde_json::to_string(versions).unwrap());
        let choices: Vec<ChoiceLine<'_>> = made.choices.iter().map(Made::line).collect();
        let seq = self.number();
        let line = DecisionLine {
            user_id: &made.user_id,
            moment: made.moment,
            profile: made.profile,
            computed_at: made.computed_at.as_deref(),
            ids: &ids,
            prompt_versions: versions.as_deref(),
            lanes,
            masked: (!made.masked.is_empty()).then_some(&masked),
            policy: made.choices[0].0,
            assigned: Assignment::Registry,
            index: made.index,
            holdout: made.holdout,
            probabilities: &made.probabilities,
            choices: &choices,
            ordinal: 0,
            draw: seq.n,
            drawn: (seq.epoch, seq.n),
            latency_us: Some(12.5),
        };
        self.writer.decision(&mut self.bytes, seq, self.ms, &line);
        seq
    }

    pub fn feedback(&mut self, decision: Seq, action: Option<&str>, reward: f64, at: u64) -> Seq {
        let seq = self.number();
        let policies = [(PolicyName::LinUcbV1, false), (PolicyName::EGreedyV1, false), (PolicyName::EGreedyV2, true)];
        let line = FeedbackLine {
            user_id: "u",
            decision,
            tip_id: "tip",
            action,
            reward,
            at,
            inputs: inputs(),
            policies: &policies,
            revision: false,
        };
        self.writer.feedback(&mut self.bytes, seq, self.ms, &line);
        seq
    }

    pub fn reset(&mut self, user_id: &str) {
        let seq = self.number();
        self.writer.reset(&mut self.bytes, seq, self.ms, user_id);
    }

    pub fn gap(&mut self, dropped_pulls: u64) {
        let seq = self.number();
        self.writer.gap(&mut self.bytes, seq, self.ms, dropped_pulls);
    }

    /// A reward outside of decisions.
    pub fn reward(&mut self) {
        let seq = self.number();
        let line = crate::log::RewardLine { user_id: "u", tip_id: "tip", inputs: inputs(), reward: 0.5, first: false };
        self.writer.reward(&mut self.bytes, seq, self.ms, &line);
    }
}

/// What nothing that is asked of these logs looks at.
fn inputs() -> Inputs<'static> {
    let (moment, task) = (Moment::default(), TaskFeatures::default());
    Inputs { policy: PolicyName::EGreedyV1, moment, task, profile: None, computed_at: None }
}

/// What a decision's tip is worth in the worlds of these tests, on average.
pub fn worth(task: &TaskFeatures) -> f64 {
    f64::from(task.priority) / 4.0 - if task.is_overdue { 0.5 } else { 0.0 }
}

/// A log of decisions with feedback for most of them, some of it revised, over some days and segments; and what was decided.
pub fn world(decisions: usize, share: Option<f64>, seed: u64) -> (Log, Vec<Made>) {
    let (chance, mut log, mut all) = (Chance::seeded(seed), Log::new(), Vec::new());
    for i in 0..decisions {
        if i > 0 && i % (decisions / 4).max(1) == 0 {
            log.next_segment();
        }
        log.ms += DAY * 6 / decisions as u64;
        let active = PolicyName::ALL[chance.draw().below(3)];
        let user_id = format!("user-{}", chance.draw().below(20));
        let mut made = Made::drawn(&user_id, 1 + chance.draw().below(6), active, share, &chance);
        if chance.draw().happens(0.5) {
            let version = |_| [None, Some("v1".to_owned()), Some("v2,\"x\"]".to_owned())][chance.draw().below(3)].clone();
            made.versions = Some((0..made.tasks.len()).map(version).collect());
        }
        let seq = log.decision(&made);
        let shown = worth(&made.tasks[made.index]);
        let noise = chance.draw().below(2) as f64 - 0.5;
        if chance.draw().happens(0.7) {
            let (ms, noise) = (log.ms, shown + noise);
            if chance.draw().happens(0.2) {
                log.feedback(seq, Some("snooze"), 0.0, ms + 1000);
            }
            let action = [Some("done"), Some("dis\"miss"), None][chance.draw().below(3)];
            log.feedback(seq, action, noise, ms + 1000 * (1 + chance.draw().below(9) as u64));
        }
        if chance.draw().happens(0.2) {
            log.reward();
        }
        all.push(made);
    }
    (log, all)
}

/// Every line of a directory's log, read in the simplest way.
pub fn every_line(log: &Log, mut each: impl FnMut(&Recorded<'_>)) {
    log.directory();
    let mut paths: Vec<_> =
        std::fs::read_dir(log.directory.path().join("log")).unwrap().map(|entry| entry.unwrap().path()).collect();
    paths.sort();
    for path in paths {
        let bytes = std::fs::read(path).unwrap();
        for piece in pieces(&bytes) {
            if let Piece::Line(_, line) = piece {
                each(&read_line(line).unwrap());
            }
        }
    }
}

/// Every decision's feedback that counts, read in the simplest way: (number, its time, the decision as an event, reward).
pub fn every_decision(
    log: &Log,
    mut each: impl FnMut(Seq, u64, &crate::log::RecordedDecision<'_>, Option<&(Option<String>, f64)>),
) {
    let mut last = std::collections::BTreeMap::new();
    every_line(log, |line| {
        if let Event::Feedback(feedback) = &line.event {
            last.insert(feedback.decision, (feedback.action.as_ref().map(ToString::to_string), feedback.reward));
        }
    });
    every_line(log, |line| {
        if let Event::Decision(decision) = &line.event {
            each(line.seq, line.ms, decision, last.get(&line.seq));
        }
    });
}
