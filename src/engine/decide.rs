//! Decisions and what becomes of them: all policies choose at once, the log has everything before the caller has it, and a reaction is
//! learned from once, whatever comes twice or late.

use super::pending::PendingDecision;
use super::request::Refused;
use super::{Engine, may_change};
use crate::clock::format_millis;
use crate::error::{Error, ErrorKind, Reason, Result, shown};
use crate::feature;
use crate::log::{ChoiceLine, DecisionLine, FeedbackLine, Inputs, InteractionLog, Lookup, Seq};
use crate::policy::{
    Assignment, Candidates, Distribution, Lanes, Mode, NormalisedLanes, OfPolicies, PolicyName, Scratch, drawn, score,
};
use crate::rng::Draw;
use crate::state::{Entry, Pull, Reaction, User, UserState};
use serde::Serialize;
use std::collections::HashSet;
use std::sync::Arc;

/// Decide what is shown.
#[derive(Debug, Clone, Copy)]
pub struct RecommendCall<'a> {
    /// The context.
    pub moment: feature::Moment,
    /// The user's profile, where one was given.
    pub profile: Option<feature::Profile>,
    /// When it was computed, in the caller's words.
    pub computed_at: Option<&'a str>,
    /// The candidates as given; there is at least one.
    pub lanes: Lanes<'a>,
    /// The same normalised, where that was done before.
    pub normalised: Option<&'a NormalisedLanes>,
    /// Their ids.
    pub ids: &'a [&'a str],
    /// Their prompt versions, a JSON array, where one has one.
    pub prompt_versions: Option<&'a str>,
    /// Which can be chosen, where not all can; at least one can.
    pub eligible: Option<&'a [bool]>,
    /// The share of decisions that show a uniformly random tip.
    pub holdout: f64,
    /// Whether to say what the score is made of.
    pub explain: bool,
}

/// What one policy chose.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Chosen {
    /// Which policy.
    pub policy: PolicyName,
    /// The place of its choice.
    pub index: usize,
    /// Its score.
    pub score: f64,
    /// It was drawn uniformly.
    pub exploring: bool,
    /// The probability of choosing it.
    pub propensity: f64,
}

/// What was decided.
#[derive(Debug, Clone, PartialEq)]
pub struct Recommendation {
    /// The number of its line.
    pub decision: Seq,
    /// The place of what is shown.
    pub index: usize,
    /// Its score under the policy that decides.
    pub score: f64,
    /// The probability of showing it.
    pub propensity: f64,
    /// It is a uniformly random tip, whatever the policy chose.
    pub held_out: bool,
    /// Why this policy decides.
    pub assigned: Assignment,
    /// What each policy chose; the first one decides.
    pub choices: OfPolicies<Chosen>,
    /// What the score is made of, where that was asked for.
    pub explanation: Option<Explanation>,
}

/// What the score of what is shown is made of.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Explanation {
    /// θᵢxᵢ for each feature, in the order of the policy's labels.
    pub contributions: Vec<f64>,
    /// √(xᵀA⁻¹x): how little is known of such a tip; 1 and more for nothing, towards 0 for much.
    pub uncertainty: f64,
    /// The best of the others.
    pub runner_up: Option<(usize, f64)>,
}

/// A reaction to a decision.
#[derive(Debug, Clone, Copy)]
pub struct FeedbackCall<'a> {
    /// The number of its line.
    pub decision: Seq,
    /// What was done, where it has a name.
    pub action: Option<&'a str>,
    /// What that is worth; finite.
    pub reward: f64,
    /// When, in milliseconds since 1970; `None`: now.
    pub at: Option<u64>,
    /// Whose decision it has to be; `None`: whosever.
    pub user_id: Option<&'a str>,
}

/// What became of a reaction.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FeedbackOutcome {
    /// It counts; else it is the same as, or older than, what was learned before.
    pub applied: bool,
    /// It replaced an earlier one.
    pub revision: bool,
    /// The policies that learn from reactions to this decision.
    pub policies: Vec<PolicyName>,
}

/// One policy's part of a decision on its way.
struct Evaluated<'m> {
    chosen: Chosen,
    of: Distribution<'m>,
    was_absent: bool,
    first: bool,
}

/// The part of a decision's draw that the holdout takes; those of the policies are their numbers.
const HOLDOUT_PART: u64 = 100;
const MS_PER_HOUR: u64 = 3_600_000;

impl Engine {
    /// Has every policy that is not off choose, and writes the decision to the log before it counts.
    ///
    /// # Errors
    /// [`Refused::Retired`] when the user must be looked up again; `ERR_STATE_CORRUPT`, `ERR_STATE_IO`, `ERR_BACKPRESSURE`: nothing has
    /// changed then; `ERR_INVALID_ARGUMENT` without a log, and where two candidates have one id.
    pub fn recommend(&self, user: &Arc<User>, call: &RecommendCall<'_>, scratch: &mut Scratch) -> Result<Recommendation, Refused> {
        let log = self.log_of_decisions()?;
        let began = self.clock.ticks_ns();
        check_ids(call.ids)?;
        let ms = self.clock.now_ms();
        let (assigned, active, shadows) = self.evaluated_policies(&user.id);
        let mut state = user.lock();
        may_change(&mut state)?;
        let ((numbers, draw), candidates) = (self.chance.numbered_draw(), call.lanes.len());
        let holdout = (call.holdout > 0.0).then(|| (call.holdout, draw.part(HOLDOUT_PART).happens(call.holdout)));
        let held_out = holdout.is_some_and(|(_, held_out)| held_out);
        let own = Self::evaluate(&state, active, call, draw, scratch)?;
        let index = if held_out { drawn(call.eligible, candidates, draw.part(HOLDOUT_PART)) } else { own.chosen.index };
        let scores = scratch.last_scores(candidates);
        let score = scores[index];
        let explanation = call.explain.then(|| explain(&state, active, call, index, scores)).transpose();
        let mut evaluated = OfPolicies::from_iter([own]);
        // A shadow that cannot be read is no reason to show nothing.
        evaluated.extend(shadows.iter().filter_map(|shadow| Self::evaluate(&state, *shadow, call, draw, scratch).ok()));
        let mut probabilities = Vec::with_capacity((evaluated.len() + 1) * candidates);
        probabilities.extend(evaluated[0].of.mixed(call.holdout));
        evaluated.iter().for_each(|one| probabilities.extend(one.of.probabilities()));
        let (shown, of_policies) = probabilities.split_at(candidates);
        if state.queue() {
            self.writer.enqueue(user);
        }
        let ready = explanation.and_then(|explanation| {
            let mut adopted = evaluated.iter().map(|one| self.adopt_foreign(&mut state, &user.id, one.chosen.policy, ms));
            adopted.try_for_each(|adopted| adopted).map(|()| explanation)
        });
        let ordinal = state.history.pulls();
        let seq = log.next_seq();
        let appended = ready.and_then(|explanation| {
            let choices: OfPolicies<_> = evaluated.iter().zip(of_policies.chunks(candidates)).map(Evaluated::line).collect();
            let masked = call.eligible.map(masked_json);
            let line = DecisionLine {
                user_id: &user.id,
                moment: call.moment,
                profile: call.profile,
                computed_at: call.computed_at,
                ids: call.ids,
                prompt_versions: call.prompt_versions,
                lanes: call.lanes,
                masked: masked.as_deref(),
                policy: active,
                assigned,
                index,
                holdout,
                probabilities: shown,
                choices: &choices,
                ordinal,
                draw: draw.number(),
                drawn: numbers,
                latency_us: Some(self.microseconds_since(began)),
            };
            log.decision(seq, ms, &line).map(|()| explanation)
        });
        let explanation = appended?;
        for one in &evaluated {
            self.count_choice(&mut state, user, call, one, ms, seq)?;
        }
        let pending = PendingDecision {
            user_id: user.id.clone(),
            ms,
            policy: active,
            tip_id: call.ids.get(index).copied().unwrap_or_default().into(),
            moment: call.moment,
            profile: call.profile,
            computed_at: call.computed_at.map(Into::into),
            task: call.lanes.task(index),
        };
        // Under the user's lock: whoever erases the user afterwards finds it.
        self.pending.add(seq, pending);
        drop(state);
        let choices = evaluated.iter().map(|one| one.chosen).collect();
        Ok(Recommendation { decision: seq, index, score, propensity: shown[index], held_out, assigned, choices, explanation })
    }

    /// To a tenth.
    #[allow(clippy::cast_precision_loss)] // far below 2^53
    fn microseconds_since(&self, began: u64) -> f64 {
        (self.clock.ticks_ns().saturating_sub(began) / 100) as f64 / 10.0
    }

    fn log_of_decisions(&self) -> Result<&InteractionLog> {
        let missing = || Error::invalid("options.log", "must be \"on\" for decisions: they are remembered in the log");
        self.log_on().ok_or_else(missing)
    }

    /// Why that policy decides for a user which decides; and the others that choose and learn.
    fn evaluated_policies(&self, user_id: &str) -> (Assignment, PolicyName, OfPolicies<PolicyName>) {
        let registry = self.policies.lock();
        let default = self.settings.active_policy;
        let (active, assigned) = registry.assigned(user_id, default);
        let others = PolicyName::ALL.into_iter().filter(|p| *p != active && registry.mode(*p, default) != Mode::Off);
        (assigned, active, others.collect())
    }

    fn evaluate<'m>(
        state: &UserState,
        policy: PolicyName,
        call: &RecommendCall<'m>,
        draw: Draw,
        scratch: &mut Scratch,
    ) -> Result<Evaluated<'m>> {
        let (was_absent, first) = (state.is_absent(policy), state.is_unknown(policy));
        let folded = state.fold(policy, call.moment, &call.profile.unwrap_or_default())?;
        let greedy = match call.normalised {
            Some(normalised) => score(&folded, normalised, call.eligible, scratch),
            None => score(&folded, &call.lanes, call.eligible, scratch),
        };
        let candidates = call.lanes.len();
        let of = Distribution { greedy, epsilon: folded.epsilon(), candidates, eligible: call.eligible };
        let (index, exploring) = of.choose(draw.part(policy as u64));
        let score = scratch.last_scores(candidates)[index];
        let propensity = of.probability(index);
        Ok(Evaluated { chosen: Chosen { policy, index, score, exploring, propensity }, of, was_absent, first })
    }

    fn count_choice(
        &self,
        state: &mut UserState,
        user: &User,
        call: &RecommendCall<'_>,
        one: &Evaluated<'_>,
        ms: u64,
        seq: Seq,
    ) -> Result<()> {
        let Chosen { policy, index, score, exploring, .. } = one.chosen;
        state.make_ready(policy)?;
        if one.was_absent {
            state.claim(policy, &user.id, &*self.store);
        }
        let seconds = super::seconds(ms);
        let pull = Pull { seconds, policy, exploring, score, moment: call.moment, task: call.lanes.task(index) };
        state.count(&pull);
        state.remember(&pull, call.ids.get(index).map_or(&[], |id| id.as_bytes()), self.settings.history_size);
        state.touch(policy, Some(seq));
        state.announce(policy);
        Ok(())
    }

    /// Learns from a reaction to a decision, once the log has it.
    ///
    /// # Errors
    /// `ERR_UNKNOWN_DECISION`; `ERR_INVALID_ARGUMENT` for a time that is not between the decision and now; those of [`Engine::reward`].
    /// Nothing has changed then.
    pub fn feedback(&self, call: &FeedbackCall<'_>) -> Result<FeedbackOutcome> {
        let outcome = self.react(call);
        self.refusals.note(&outcome);
        outcome
    }

    fn react(&self, call: &FeedbackCall<'_>) -> Result<FeedbackOutcome> {
        let log = self.log_of_decisions()?;
        self.refusals.check_reward(call.reward, self.settings.max_reward)?;
        let now = self.clock.now_ms();
        let decision = match self.pending.get(call.decision) {
            Some(decision) => decision,
            None => self.find(log, call.decision)?,
        };
        if call.user_id.is_some_and(|user_id| *user_id != *decision.user_id) {
            let problem = format_args!("{} was made for another user than userId says", call.decision);
            return Err(Error::unknown_decision(Reason::OtherUser, problem));
        }
        if now.saturating_sub(decision.ms) > self.settings.decision_ttl_ms {
            let (made, hours) = (format_millis(decision.ms), self.settings.decision_ttl_ms / MS_PER_HOUR);
            let problem = format_args!("{} was made at {made}, longer ago than decisionTtlHours ({hours})", call.decision);
            return Err(Error::unknown_decision(Reason::Expired, problem));
        }
        call.at.map_or(Ok(()), |at| self.refusals.check_time(at, decision.ms, now))?;
        let (_, active, mut enabled) = self.evaluated_policies(&decision.user_id);
        enabled.insert(0, active);
        self.with_user(&decision.user_id, |user, state| self.take_feedback(log, user, state, call, &decision, &enabled, now))
    }

    #[allow(clippy::too_many_arguments)] // what feedback is made of
    fn take_feedback(
        &self,
        log: &InteractionLog,
        user: &Arc<User>,
        state: &mut UserState,
        call: &FeedbackCall<'_>,
        decision: &PendingDecision,
        enabled: &[PolicyName], // the one that decides first
        now: u64,
    ) -> Result<FeedbackOutcome> {
        let ledgers = || PolicyName::ALL.into_iter().filter_map(|policy| Some((policy, state.ledger(policy)?)));
        let before: Vec<(PolicyName, Entry)> =
            ledgers().filter_map(|(policy, ledger)| Some((policy, ledger.get(call.decision)?))).collect();
        // Here, under the user's lock, it is certain whether somebody else has erased the user meanwhile.
        if self.pending.is_erased(&user.id, call.decision) || ledgers().any(|(_, ledger)| call.decision <= ledger.reset) {
            let problem = format_args!("{} was made before its user was reset or erased", call.decision);
            return Err(Error::unknown_decision(Reason::Reset, problem));
        }
        // Lost under one policy is lost under all: a revision must not touch some of them.
        let may_be_lost = ledgers().any(|(_, ledger)| ledger.may_have_lost(call.decision));
        if may_be_lost && !self.pending.is_without_reaction(call.decision) {
            let most = self.settings.revisable_decisions;
            let problem = format_args!(
                "{} had a reaction, or may have had one before a restart, and is older than the last {most} of its user that can be \
                 revised (revisableDecisions)",
                call.decision
            );
            return Err(Error::unknown_decision(Reason::Superseded, problem));
        }
        let at = call.at.unwrap_or(now);
        let revision = !before.is_empty();
        let PendingDecision { moment, profile, task, .. } = *decision;
        let reaction = |policy| Reaction { policy, moment, profile, task, reward: call.reward };
        let mut policies: Vec<PolicyName> = before.iter().map(|(policy, _)| *policy).collect();
        let absent = PolicyName::ALL.map(|policy| state.is_absent(policy));
        let firsts = PolicyName::ALL.map(|policy| state.is_unknown(policy));
        if !revision {
            // A shadow that cannot be read is no reason to learn nothing.
            let mut is_readable = |policy| match state.check_feedback(&reaction(policy), call.decision) {
                Err(e) => !matches!(e.kind(), ErrorKind::StateCorrupt | ErrorKind::StateIo),
                Ok(()) => true,
            };
            policies.extend(enabled.iter().copied().filter(|policy| *policy == enabled[0] || is_readable(*policy)));
            // As the ledgers have them later.
            policies.sort_unstable_by_key(|policy| *policy as u8);
        }
        // Without a time, the same again is a repetition, and not a later reaction.
        let is_newer = |entry: &Entry| {
            let is_other = call.reward.to_bits() != entry.reward.to_bits();
            (at > entry.at && (is_other || call.at.is_some())) || (at == entry.at && is_other)
        };
        // All of them, unless power was lost between the writing of one's file and another's.
        if revision && !before.iter().any(|(_, entry)| is_newer(entry)) {
            return Ok(FeedbackOutcome { applied: false, revision, policies });
        }
        policies.retain(|policy| before.iter().all(|(of, entry)| of != policy || is_newer(entry)));
        let with_firsts: Vec<_> = policies.iter().map(|policy| (*policy, firsts[*policy as usize])).collect();
        if state.queue() {
            self.writer.enqueue(user);
        }
        let checked = policies.iter().try_for_each(|&policy| {
            state.check_feedback(&reaction(policy), call.decision)?;
            self.adopt_foreign(state, &user.id, policy, now)
        });
        let seq = log.next_seq();
        let appended = checked.and_then(|()| {
            let computed_at = decision.computed_at.as_deref();
            let inputs = Inputs { policy: decision.policy, moment, task, profile, computed_at };
            let line = FeedbackLine {
                user_id: &user.id,
                decision: call.decision,
                tip_id: &decision.tip_id,
                action: call.action,
                reward: call.reward,
                at,
                inputs,
                policies: &with_firsts,
                revision,
            };
            log.feedback(seq, now, &line)
        });
        if let Err(e) = appended {
            for policy in PolicyName::ALL.into_iter().filter(|policy| absent[*policy as usize]) {
                state.forget_new(policy);
            }
            return Err(e);
        }
        self.pending.note_reaction(call.decision);
        for &policy in &policies {
            state.take_feedback(&reaction(policy), call.decision, at, super::seconds(now))?;
            if absent[policy as usize] {
                state.claim(policy, &user.id, &*self.store);
            }
            state.touch(policy, Some(seq));
            state.announce(policy);
        }
        state.keep_revisable(self.settings.revisable_decisions);
        Ok(FeedbackOutcome { applied: true, revision, policies })
    }

    /// A decision that is not in memory any more.
    fn find(&self, log: &InteractionLog, decision: Seq) -> Result<PendingDecision> {
        let problem = match log.find_decision(decision, PendingDecision::of_line)? {
            Lookup::Found(found) => return Ok(found),
            Lookup::Missing => format!(
                "no decision {decision} was made in this directory (or its line is damaged): is it the id of another directory?"
            ),
            Lookup::BeforeLog(first) => format!(
                "no decision {decision} is known: the log begins with {first}. Is it the id of another directory, or was log/ deleted?"
            ),
            Lookup::Removed(first) => {
                let hours = self.settings.decision_ttl_ms / MS_PER_HOUR;
                let problem = format_args!(
                    "{decision} is not in the log any more, which begins with {first}: it is older than decisionTtlHours ({hours}), or \
                     logRetentionBytes did not let it stay that long (health().warnings says what would)"
                );
                return Err(Error::unknown_decision(Reason::Expired, problem));
            }
        };
        Err(Error::unknown_decision(Reason::Invalid, problem))
    }
}

impl Evaluated<'_> {
    fn line<'a>((one, probabilities): (&Self, &'a [f64])) -> ChoiceLine<'a> {
        let Chosen { policy, index, score, exploring, .. } = one.chosen;
        ChoiceLine { policy, index, score, exploring, probabilities, first: one.first }
    }
}

fn explain(state: &UserState, policy: PolicyName, call: &RecommendCall<'_>, index: usize, scores: &[f64]) -> Result<Explanation> {
    let task = call.lanes.task(index);
    let (contributions, uncertainty) = state.explain(policy, call.moment, &call.profile.unwrap_or_default(), &task)?;
    let is_other = |i: usize| i != index && call.eligible.is_none_or(|eligible| eligible[i]);
    let others = scores.iter().copied().enumerate().filter(|(i, _)| is_other(*i));
    let runner_up = others.fold(None, |best: Option<(usize, f64)>, other| match best {
        Some(best) if best.1 >= other.1 => Some(best),
        _ => Some(other),
    });
    Ok(Explanation { contributions, uncertainty, runner_up })
}

fn masked_json(eligible: &[bool]) -> String {
    let masked: Vec<usize> = eligible.iter().enumerate().filter(|(_, eligible)| !**eligible).map(|(i, _)| i).collect();
    serde_json::to_string(&masked).unwrap_or_default()
}

/// A reaction must not be able to mean two candidates.
fn check_ids(ids: &[&str]) -> Result<()> {
    const FEW: usize = 32;
    let repeated = if ids.len() <= FEW {
        (1..ids.len()).find(|&i| ids[..i].contains(&ids[i]))
    } else {
        let mut seen = HashSet::with_capacity(ids.len());
        ids.iter().position(|id| !seen.insert(id))
    };
    let Some(i) = repeated else { return Ok(()) };
    let problem = format_args!("must be the id of one candidate only, got {}", shown(ids[i]));
    Err(Error::invalid(&format!("candidates[{i}].id"), problem))
}
