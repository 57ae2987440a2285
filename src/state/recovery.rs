//! What the interaction log means for users' states: at the start of an engine (the tail that the files lack), for a file that
//! cannot be read (everything of one user), and for a replay (everything of everybody).
//!
//! All three read segments, sort a user's changes by their numbers, and apply those that are not in the user's state yet.

use super::history::{HistoryRow, Pull};
use super::order::{put_in_order, rank};
use super::record::{Record, UserBounds};
use super::user::{Reaction, UserState};
use crate::disk::{Directory, Room};
use crate::error::{Error, ErrorKind, Result};
use crate::log::{
    CutSegment, Event, InteractionLog, LineError, LogStanding, Piece, RecordedDecision, RecordedFeedback, SegmentName, Seq,
    cut_segments, is_covered, last_low_water, pieces, read_line, sort_segments,
};
use crate::policy::PolicyName;
use memchr::memmem;
use serde::Serialize;
use std::collections::{BTreeSet, HashMap};
use std::time::{Duration, Instant};

/// One line about a user.
#[derive(Debug, Clone, PartialEq)]
pub struct Change {
    /// Its number.
    pub seq: Seq,
    /// Its time.
    pub seconds: u32,
    /// What happened.
    pub what: What,
}

/// What happened to a user.
#[derive(Debug, Clone, PartialEq)]
#[allow(missing_docs)] // docs/interaction-log.md has each key
pub enum What {
    Pull { pull: Pull, tip_id: Box<str>, ordinal: u32, first: bool },
    Reward { reaction: Box<Reaction>, first: bool },
    Feedback { reaction: Box<Reaction>, decision: Seq, at: u64, first: bool },
    Reset,
    State { policy: PolicyName, record: Box<Record> },
    Erase,
}

impl Change {
    /// Whether its policy learned of the user by this very line; `None` for lines that do not say.
    const fn is_first(&self) -> Option<bool> {
        match &self.what {
            What::Pull { first, .. } | What::Reward { first, .. } | What::Feedback { first, .. } => Some(*first),
            What::Reset | What::State { .. } | What::Erase => None,
        }
    }

    /// The one policy that it concerns; `None`: all.
    const fn policy(&self) -> Option<PolicyName> {
        match &self.what {
            What::Pull { pull, .. } => Some(pull.policy),
            What::Reward { reaction, .. } | What::Feedback { reaction, .. } => Some(reaction.policy),
            What::State { policy, .. } => Some(*policy),
            What::Reset | What::Erase => None,
        }
    }
}

/// Bytes of a segment that are no line.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Damage {
    /// The segment's file name.
    pub segment: String,
    /// Where they start.
    pub offset: usize,
    /// How many.
    pub bytes: usize,
}

/// A segment of which something is missing.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ShortSegment {
    /// Its file name.
    pub segment: String,
    /// How long it is, in bytes; `None`: it is gone.
    pub has: Option<u64>,
    /// How long it was, where that is known.
    pub had: Option<u64>,
}

impl From<&CutSegment> for ShortSegment {
    fn from(cut: &CutSegment) -> Self {
        Self { segment: cut.name.to_string(), has: Some(cut.has), had: cut.had }
    }
}

impl std::fmt::Display for ShortSegment {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { segment, has, had } = self;
        let number = |bytes: &Option<u64>| bytes.map_or_else(|| "unknown".to_owned(), |bytes| bytes.to_string());
        match has {
            Some(has) => write!(f, "{segment} has {has} of {} bytes", number(had)),
            None => write!(f, "{segment} is gone"),
        }
    }
}

/// So many places and users are listed by name; all are counted.
pub(super) const MOST_LISTED: usize = 100;

/// What opening a directory found in the log, and what was done about it.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
#[allow(missing_docs)] // documented where users read it: index.d.ts
pub struct RecoveryReport {
    pub epoch: u32,
    pub duration_ms: u64,
    pub segments: usize,
    pub lines: u64,
    pub applied: u64,
    pub already_in_files: u64,
    pub duplicates: u64,
    pub users: u64,
    pub ambiguous_users: Vec<String>,
    pub torn_lines: u64,
    pub damaged_lines: u64,
    pub damage: Vec<Damage>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub cut_segments: Vec<ShortSegment>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub foreign_files: Vec<ForeignFile>,
}

/// A file whose number cannot be its directory's, and what was done about it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ForeignFile {
    /// Its name in the directory.
    pub file: String,
    /// What is wrong, for people.
    pub problem: String,
}

impl RecoveryReport {
    /// Takes note of segments that are shorter than they were.
    pub fn note_cut(&mut self, cut: &[CutSegment]) {
        self.damaged_lines += cut.len() as u64;
        for cut in cut.iter().take(MOST_LISTED) {
            self.cut_segments.push(cut.into());
            if self.damage.len() < MOST_LISTED {
                let place = |bytes: u64| usize::try_from(bytes).unwrap_or(usize::MAX);
                let bytes = cut.had.map_or(0, |had| place(had.saturating_sub(cut.has)));
                self.damage.push(Damage { segment: cut.name.to_string(), offset: place(cut.has), bytes });
            }
        }
    }
}

/// Says on standard error how far a recovery is, once a second after the first one.
#[derive(Debug)]
pub struct Progress {
    started: Instant,
    said: Duration,
}

impl Default for Progress {
    fn default() -> Self {
        Self { started: Instant::now(), said: Duration::from_secs(1) }
    }
}

impl Progress {
    /// Since it began.
    #[must_use]
    pub fn elapsed(&self) -> Duration {
        self.started.elapsed()
    }

    #[allow(clippy::print_stderr)] // a person waits for the process to start, and nothing else can tell why
    fn say(&mut self, what: &str, done: usize, of: usize) {
        let elapsed = self.elapsed();
        if elapsed >= self.said {
            self.said = elapsed + Duration::from_secs(1);
            eprintln!("@oo/bandits: recovering from the interaction log: {what} {done} of {of}, {} s", elapsed.as_secs());
        }
    }
}

/// The changes of each user, with what was found besides.
#[derive(Debug, Default)]
pub struct Gathered {
    users: HashMap<Box<str>, Vec<Change>>,
    /// The newest epoch of the log: no line has a later one.
    newest: u32,
    /// What was found.
    pub report: RecoveryReport,
    /// Pulls that no line tells of.
    pub gaps: u64,
    /// Where epochs began in which nothing was appended.
    pub silent: Vec<Seq>,
    /// Epochs, and those of them that have their last mark: in the others pulls of the last moments before a kill are in no line.
    pub(super) epochs: BTreeSet<u32>,
    pub(super) ended: BTreeSet<u32>,
    /// The first segment that was read says that there was none before it.
    pub(super) has_beginning: bool,
    /// The segment that was read last.
    previous: Option<SegmentName>,
    /// Segments that another one names as the one before it, and that are not there; with how long they were.
    pub(super) missing: Vec<(SegmentName, Option<u64>)>,
    /// What marks say, and what first lines of segments say that marks before them had said.
    marks: BTreeSet<Seq>,
    marked_before: Vec<(SegmentName, Seq)>,
}

/// Leaves out what was before somebody else removed the files of a policy: a line that says that the policy did not know the
/// user, although there are earlier ones, tells so. (Several pulls in a row may say it, because their lines may be lost.)
fn forget_removed(changes: &mut Vec<Change>) {
    for policy in PolicyName::ALL {
        let (mut start, mut before): (Option<Seq>, Option<&Change>) = (None, None);
        for change in changes.iter().filter(|change| change.policy() == Some(policy)) {
            let follows = |other: &Change| other.seq < change.seq && !matches!(other.what, What::Pull { first: true, .. });
            if change.is_first() == Some(true) && before.is_some_and(follows) {
                start = Some(change.seq);
            }
            before = Some(change);
        }
        if let Some(start) = start {
            changes.retain(|change| change.policy() != Some(policy) || change.seq >= start);
        }
    }
}

impl Gathered {
    /// Reads a segment, keeping the changes of `only` (everybody's without) above `low_water`.
    fn read(&mut self, directory: &Directory, name: SegmentName, low_water: Seq, only: Option<&str>) -> Result<()> {
        let segment = name.to_string();
        let bytes = directory.read_from(Room::Log, &segment, 0)?;
        self.report.segments += 1;
        self.epochs.insert(name.0.epoch);
        let key = only.map(|user_id| format!("\"userId\":{}", serde_json::to_string(user_id).unwrap_or_default()));
        for piece in pieces(&bytes) {
            match piece {
                Piece::Line(_, line) => {
                    let is_about_log = || memmem::find(line, b"\"userId\":").is_none();
                    if key.as_ref().is_some_and(|key| memmem::find(line, key.as_bytes()).is_none() && !is_about_log()) {
                        continue;
                    }
                    match read_line(line) {
                        Ok(recorded) if !recorded.is_possible(self.newest) => self.damaged(&segment, &bytes, line),
                        Ok(recorded) if recorded.event.is_about_log() => self.note(name, &recorded),
                        Ok(recorded) if recorded.seq > low_water => self.take(recorded, only),
                        Ok(_) => {}
                        Err(LineError::LaterVersion(v)) => {
                            let path = directory.path().display();
                            let message =
                                format!("{path}/log/{segment} was written by a later release (schema {v}): install that one");
                            return Err(Error::new(ErrorKind::StateCorrupt, message));
                        }
                        Err(LineError::Malformed(_)) => self.damaged(&segment, &bytes, line),
                    }
                }
                Piece::Damage(offset, length) => {
                    self.report.damaged_lines += 1;
                    self.list(&segment, offset, length);
                }
                Piece::Torn(offset, length) => {
                    self.report.torn_lines += 1;
                    self.list(&segment, offset, length);
                }
            }
        }
        self.previous = Some(name);
        Ok(())
    }

    /// Takes note of what a line says about the log itself.
    fn note(&mut self, name: SegmentName, recorded: &crate::log::Recorded<'_>) {
        match recorded.event {
            Event::Mark { low_water, .. } => drop(self.marks.insert(low_water)),
            Event::Segment { low_water, .. } if recorded.seq == name.0 => self.marked_before.push((name, low_water)),
            _ => {}
        }
        match recorded.event {
            Event::Segment { previous: None, .. } if recorded.seq == name.0 => self.has_beginning |= self.previous.is_none(),
            Event::Off => self.silent.push(recorded.seq),
            Event::Mark { end: true, .. } => drop(self.ended.insert(recorded.seq.epoch)),
            // A segment that was copied behind another one still says which one it is.
            Event::Segment { previous: Some(previous), previous_bytes, .. } if recorded.seq == name.0 => {
                let previous = SegmentName(previous);
                if self.previous.is_some_and(|read| read < previous) {
                    self.report.damaged_lines += 1;
                    self.list(&previous.to_string(), 0, 0);
                    self.missing.push((previous, previous_bytes));
                }
            }
            _ => {}
        }
    }

    /// The first segment of which a mark is missing, that is, of those before it: whoever began it knew the mark from them. Marks are in no
    /// erasure's way, and retention removes none that is above the first segment.
    pub(super) fn first_without_mark(&self, first: SegmentName) -> Option<SegmentName> {
        let is_missing = |low_water: &Seq| *low_water >= first.0 && !self.marks.contains(low_water);
        self.marked_before.iter().find(|(_, low_water)| is_missing(low_water)).map(|(name, _)| *name)
    }

    /// Users of whom something was known before their first lines.
    pub(super) fn begun_in_the_midst(&self) -> usize {
        self.users.values().filter(|changes| begins_in_the_midst(changes)).count()
    }

    fn damaged(&mut self, segment: &str, bytes: &[u8], line: &[u8]) {
        self.report.damaged_lines += 1;
        let offset = memmem::find(bytes, line).unwrap_or(0);
        self.list(segment, offset, line.len());
    }

    fn list(&mut self, segment: &str, offset: usize, bytes: usize) {
        if self.report.damage.len() < MOST_LISTED {
            self.report.damage.push(Damage { segment: segment.to_owned(), offset, bytes });
        }
    }

    fn take(&mut self, recorded: crate::log::Recorded<'_>, only: Option<&str>) {
        let seconds = u32::try_from(recorded.ms / 1000).unwrap_or(u32::MAX);
        let (user_id, what) = match recorded.event {
            Event::Decision(decision) => return self.take_decision(recorded.seq, seconds, &decision, only),
            Event::Feedback(feedback) => return self.take_feedback(recorded.seq, seconds, &feedback, only),
            Event::Pull { user_id, tip_id, policy, moment, task, score, exploring, ordinal, first } => {
                let pull = Pull { seconds, policy, exploring, score, moment, task };
                (user_id, What::Pull { pull, tip_id: tip_id.into(), ordinal, first })
            }
            Event::Reward { user_id, policy, moment, task, profile, reward, first } => {
                let reaction = Box::new(Reaction { policy, moment, profile, task, reward });
                (user_id, What::Reward { reaction, first })
            }
            Event::Reset { user_id } => (user_id, What::Reset),
            Event::State { user_id, policy, state } => {
                let Ok(parsed) = super::file::parse_state(state) else { return };
                (user_id, What::State { policy, record: Box::new(parsed.record) })
            }
            Event::Erase { user_id } => (user_id, What::Erase),
            Event::Gap { dropped_pulls } => {
                self.gaps = self.gaps.saturating_add(dropped_pulls);
                return;
            }
            Event::Policy { .. } | Event::Dead { .. } | Event::Mark { .. } | Event::Segment { .. } | Event::Off => return,
        };
        self.add(&user_id, Change { seq: recorded.seq, seconds, what }, only);
    }

    fn add(&mut self, user_id: &str, change: Change, only: Option<&str>) {
        if only.is_some_and(|only| only != user_id) {
            return;
        }
        self.report.lines += 1;
        match self.users.get_mut(user_id) {
            Some(changes) => changes.push(change),
            None => drop(self.users.insert(user_id.into(), vec![change])),
        }
    }

    /// A decision is a pull of each policy that it was made with.
    fn take_decision(&mut self, seq: Seq, seconds: u32, decision: &RecordedDecision<'_>, only: Option<&str>) {
        for (choice, place) in decision.choices.iter().zip(0..) {
            let ordinal = decision.ordinal.saturating_add(place);
            let (Some(task), Some(tip_id)) = (decision.tasks.get(choice.index), decision.ids.get(choice.index)) else { continue };
            let (policy, exploring, score) = (choice.policy, choice.exploring, choice.score);
            let pull = Pull { seconds, policy, exploring, score, moment: decision.moment, task: *task };
            let what = What::Pull { pull, tip_id: (&**tip_id).into(), ordinal, first: choice.first };
            self.add(&decision.user_id, Change { seq, seconds, what }, only);
        }
    }

    /// Feedback is a reward for each policy that learns from it.
    fn take_feedback(&mut self, seq: Seq, seconds: u32, feedback: &RecordedFeedback<'_>, only: Option<&str>) {
        for &(policy, first) in &feedback.policies {
            let RecordedFeedback { moment, task, profile, reward, decision, at, .. } = *feedback;
            let reaction = Box::new(Reaction { policy, moment, profile, task, reward });
            self.add(&feedback.user_id, Change { seq, seconds, what: What::Feedback { reaction, decision, at, first } }, only);
        }
    }
}

/// Whether some policy's first line says that the policy knew the user before.
fn begins_in_the_midst(changes: &[Change]) -> bool {
    PolicyName::ALL.into_iter().any(|policy| {
        let first = changes.iter().filter(|change| change.policy() == Some(policy)).min_by_key(|change| change.seq);
        first.and_then(Change::is_first) == Some(false)
    })
}

/// Looks at the end of the log, which has these segments.
///
/// # Errors
/// `ERR_STATE_IO`.
pub fn survey(directory: &Directory, segments: Vec<SegmentName>) -> Result<LogStanding> {
    const END: u64 = 64 << 10;
    let newest = newest_epoch(&segments);
    for name in segments.iter().rev() {
        let file = name.to_string();
        let Some((size, _)) = directory.size_and_time(Room::Log, &file)? else { continue };
        let from = size.saturating_sub(END);
        let end = directory.read_from(Room::Log, &file, from)?;
        let is_clean = Some(name) == segments.last() && ends_in_covering_mark(&end, *name, newest);
        let mut found = last_low_water(&end, newest);
        if found.is_none() && from > 0 {
            found = last_low_water(&directory.read_from(Room::Log, &file, 0)?, newest);
        }
        if let Some(low_water) = found {
            return Ok(LogStanding { segments, low_water, is_clean });
        }
    }
    Ok(LogStanding { segments, low_water: Seq::default(), is_clean: false })
}

fn newest_epoch(segments: &[SegmentName]) -> u32 {
    segments.last().map_or(0, |name| name.0.epoch)
}

fn ends_in_covering_mark(end: &[u8], name: SegmentName, newest: u32) -> bool {
    let Some(body) = end.strip_suffix(b"\n") else { return false };
    let start = memchr::memrchr(b'\n', body).map_or(0, |i| i + 1);
    let Some(Piece::Line(0, line)) = pieces(&end[start..]).next() else { return false };
    match read_line(line) {
        // A copy of an earlier segment, under a later name, ends in a mark of that time.
        Ok(recorded) if recorded.is_possible(newest) && recorded.seq >= name.0 => match recorded.event {
            Event::Mark { low_water, .. } => {
                low_water.epoch == recorded.seq.epoch && recorded.seq.n.checked_sub(1) == Some(low_water.n)
            }
            _ => false,
        },
        Ok(_) | Err(_) => false,
    }
}

/// Reads what the files may lack.
///
/// # Errors
/// `ERR_STATE_IO`; `ERR_STATE_CORRUPT` when a later release wrote the log.
pub fn gather_tail(directory: &Directory, standing: &LogStanding, progress: &mut Progress) -> Result<Gathered> {
    let mut gathered = Gathered { newest: newest_epoch(&standing.segments), ..Gathered::default() };
    if standing.is_clean {
        return Ok(gathered);
    }
    let names = &standing.segments;
    for (i, &name) in names.iter().enumerate() {
        if names.get(i + 1).is_some_and(|&next| is_covered(next, standing.low_water)) {
            continue;
        }
        progress.say("segment", i + 1, names.len());
        gathered.read(directory, name, standing.low_water, None)?;
    }
    Ok(gathered)
}

/// Reads everything of everybody.
///
/// # Errors
/// As [`gather_tail`].
pub fn gather_all(directory: &Directory, names: &[SegmentName], progress: &mut Progress) -> Result<Gathered> {
    let mut gathered = Gathered { newest: newest_epoch(names), ..Gathered::default() };
    for (i, &name) in names.iter().enumerate() {
        progress.say("segment", i + 1, names.len());
        gathered.read(directory, name, Seq::default(), None)?;
    }
    Ok(gathered)
}

/// A user that the log had something about.
#[derive(Debug)]
pub struct Recovered {
    /// Who.
    pub user_id: Box<str>,
    /// Where the user stands now.
    pub state: UserState,
    /// An erasure that was not completed, and the number of its line.
    pub erasing: Option<Seq>,
}

impl Gathered {
    /// How many users the log had something about.
    #[must_use]
    pub fn len(&self) -> usize {
        self.users.len()
    }

    /// None.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.users.is_empty()
    }

    /// Every user and policy in the order in which they first changed: in that order files got their names.
    pub(super) fn claims(&self) -> Vec<(String, PolicyName)> {
        let mut firsts = Vec::new();
        for (user_id, changes) in &self.users {
            for policy in PolicyName::ALL {
                let of_policy = changes.iter().filter(|change| change.policy() == Some(policy));
                firsts.extend(of_policy.map(|change| change.seq).min().map(|seq| (seq, user_id.to_string(), policy)));
            }
        }
        put_in_order(&mut firsts, |(seq, ..)| rank(Some(*seq), 0));
        firsts.into_iter().map(|(_, user_id, policy)| (user_id, policy)).collect()
    }

    /// Brings each user's state up to date and hands it on; `from_nothing` when there are no files that know more. Users come in the
    /// order of their first lines.
    ///
    /// # Errors
    /// Those of `load` and `each`.
    pub fn apply(
        mut self,
        bounds: UserBounds,
        from_nothing: bool,
        progress: &mut Progress,
        mut load: impl FnMut(&str) -> Result<UserState>,
        mut each: impl FnMut(Recovered) -> Result<()>,
    ) -> Result<RecoveryReport> {
        let of = self.users.len();
        let mut users: Vec<_> = self.users.drain().collect();
        for (_, changes) in &mut users {
            put_in_order(changes, |change| rank(Some(change.seq), change.policy().map_or(0, |policy| 1 + policy as u64)));
            if from_nothing {
                forget_removed(changes);
            }
        }
        put_in_order(&mut users, |(_, changes)| rank(changes.first().map(|change| change.seq), 0));
        let mut report = self.report;
        for (i, (user_id, changes)) in users.into_iter().enumerate() {
            progress.say("user", i + 1, of);
            let mut state = load(&user_id)?;
            let gone = if from_nothing { Vec::new() } else { gone(&state, &changes) };
            let mut is_ambiguous = false;
            for (policy, is_reset) in gone {
                // A reset in these lines has something to go back from.
                state.make_ready(policy)?;
                if !is_reset {
                    // What the log tells of the time before is not in the state, and a rebuilding must not bring that back.
                    state.leave_log(policy);
                    is_ambiguous = true;
                }
            }
            if is_ambiguous && report.ambiguous_users.len() < MOST_LISTED {
                report.ambiguous_users.push(user_id.to_string());
            }
            let outcome = apply_changes(&mut state, &changes, bounds, from_nothing);
            report.applied += outcome.applied;
            report.duplicates += outcome.duplicates;
            report.already_in_files += changes.len() as u64 - outcome.applied - outcome.duplicates;
            report.users += u64::from(outcome.applied > 0);
            each(Recovered { user_id, state, erasing: outcome.erasing })?;
        }
        Ok(report)
    }
}

struct Outcome {
    applied: u64,
    duplicates: u64,
    erasing: Option<Seq>,
}

/// Applies changes, sorted, to a state.
fn apply_changes(state: &mut UserState, changes: &[Change], bounds: UserBounds, from_nothing: bool) -> Outcome {
    let mut rows: Vec<HistoryRow> = state.history.list();
    let outcome = apply_to(state, &mut rows, changes, from_nothing);
    if outcome.applied > 0 {
        let forgotten = state.set_history(rows, bounds.history_size);
        state.touch_history(forgotten);
        state.keep_revisable(bounds.revisable_decisions);
    }
    outcome
}

fn apply_to(state: &mut UserState, rows: &mut Vec<HistoryRow>, changes: &[Change], from_nothing: bool) -> Outcome {
    let mut outcome = Outcome { applied: 0, duplicates: 0, erasing: None };
    let mut last = None;
    for change in changes {
        // One line may concern several policies.
        let line = (change.seq, change.policy());
        if last.replace(line) == Some(line) {
            outcome.duplicates += 1;
            continue;
        }
        if change.what == What::Erase {
            outcome.erasing = Some(change.seq);
        }
        outcome.applied += u64::from(state.apply(change, rows, from_nothing));
    }
    outcome
}

/// The policies whose file is gone that was there: their first line here says that the policy knew the user already. With each,
/// whether a reset comes before that line: then nothing depends on what the file had.
fn gone(state: &UserState, changes: &[Change]) -> Vec<(PolicyName, bool)> {
    // An erasure removes files.
    if changes.iter().any(|change| change.what == What::Erase) {
        return Vec::new();
    }
    let gone = |policy: PolicyName| {
        let at = changes.iter().position(|change| change.policy() == Some(policy) && change.is_first().is_some())?;
        let is_gone = !state.is_stored(policy) && state.is_absent(policy) && changes[at].is_first() == Some(false);
        is_gone.then(|| (policy, changes[..at].iter().any(|change| change.what == What::Reset)))
    };
    PolicyName::ALL.into_iter().filter_map(gone).collect()
}

/// A state that was put together again from the log alone.
#[derive(Debug)]
pub struct Rebuilt {
    /// The state; only the policy that was asked for is meant.
    pub state: UserState,
    /// Its part of the history.
    pub rows: Vec<HistoryRow>,
    /// The log has everything since the policy first knew the user, or since a reset.
    pub complete: bool,
}

/// Puts one user's state under one policy together from everything that the log has of it; `None` when that is nothing.
///
/// # Errors
/// As [`gather_tail`].
pub fn rebuild(directory: &Directory, user_id: &str, policy: PolicyName) -> Result<Option<Rebuilt>> {
    let names = sort_segments(&InteractionLog::segments(directory)?, None).own;
    let mut gathered = Gathered { newest: newest_epoch(&names), ..Gathered::default() };
    for name in &names {
        gathered.read(directory, *name, Seq::default(), Some(user_id))?;
    }
    let mut changes = gathered.users.remove(user_id).unwrap_or_default();
    put_in_order(&mut changes, |change| rank(Some(change.seq), 0));
    changes.retain(|change| change.policy().is_none_or(|concerned| concerned == policy));
    forget_removed(&mut changes);
    // What everything after follows from: somebody else's state, a reset, or the line that says that it is the first.
    let base = changes.iter().rev().find(|change| change.is_first().is_none()).or(changes.first());
    let begins = base.is_some_and(|change| change.is_first() != Some(false));
    // A line that cannot be read, or a time in which nothing was appended, may have changed the user, too.
    let since_base = base.map(|change| change.seq);
    let missed = gathered.silent.iter().any(|silent| Some(*silent) > since_base);
    let complete = begins && !missed && gathered.report.damaged_lines == 0 && cut_segments(directory, &names).is_empty();
    let (mut state, mut rows) = (UserState::unread(), Vec::new());
    apply_to(&mut state, &mut rows, &changes, true);
    Ok((!state.is_absent(policy)).then_some(Rebuilt { state, rows, complete }))
}
