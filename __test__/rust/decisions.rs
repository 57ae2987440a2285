//! Decisions and reactions, with time, chance and disk given: what is logged is what was drawn from, every draw and score follows
//! from the log, and what can fail changes nothing.

use crate::memory_disk::{Call, EIO, Fault, Image, MemoryDisk, Running, open_on};
use crate::support::{ManualClock, normalised, reward, score, some_tasks, unit, wait, with_lanes};
use oo_bandits::disk::Room;
use oo_bandits::engine::{Engine, FeedbackCall, FeedbackOutcome, RecommendCall, Recommendation, Refused};
use oo_bandits::feature::{self, Moment, Profile, TaskFeatures};
use oo_bandits::log::{Event, Piece, RecordedChoice, RecordedDecision, RecordedFeedback, Seq, pieces, read_line};
use oo_bandits::policy::PolicyName::{self, EGreedyV1, EGreedyV2, LinUcbV1};
use oo_bandits::policy::{Mode, PolicyChange, Ridge, Scratch, packed_index};
use oo_bandits::rng::{Chance, Draw};
use oo_bandits::settings::Settings;
use oo_bandits::{Error, ErrorKind, Reason, Result};
use std::collections::HashMap;
use std::fmt::Write as _;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

const NOW: u64 = 1_700_000_000;
/// The contract's numbers, not the crate's.
const ALPHA: f64 = 1.0;
const EPSILON: f64 = 0.1;
/// The draw's part that decides about the holdout; the policies' are their numbers.
const HOLDOUT_PART: u64 = 100;
/// What a policy learned from a decision cannot be revised any more after so many others.
const REVISABLE: usize = 64;

fn settings() -> Settings {
    Settings { seed: Some(1), ..Settings::at("/memory") }
}

fn open(disk: &MemoryDisk) -> (Running, Arc<ManualClock>) {
    let clock = ManualClock::at(NOW);
    (open_on(disk, settings(), &clock).unwrap(), clock)
}

#[derive(Clone, Copy, Default)]
struct Asked<'a> {
    moment: Moment,
    profile: Option<Profile>,
    eligible: Option<&'a [bool]>,
    holdout: f64,
    explain: bool,
    prepared: bool,
    /// So many letters more in each id.
    padding: usize,
}

/// Decides among candidates called `c0`, `c1`, …
fn recommend(engine: &Engine, user_id: &str, tasks: &[TaskFeatures], asked: Asked<'_>) -> Result<Recommendation> {
    let ids: Vec<String> = (0..tasks.len()).map(|i| format!("c{i}{}", "x".repeat(asked.padding))).collect();
    let ids: Vec<&str> = ids.iter().map(String::as_str).collect();
    let set = asked.prepared.then(|| normalised(tasks));
    loop {
        let user = engine.user(user_id)?;
        let decided = with_lanes(tasks, |lanes| {
            let Asked { moment, profile, eligible, holdout, explain, .. } = asked;
            let call = RecommendCall {
                moment,
                profile,
                computed_at: None,
                lanes,
                normalised: set.as_ref(),
                ids: &ids,
                prompt_versions: None,
                eligible,
                holdout,
                explain,
            };
            engine.recommend(&user, &call, &mut Scratch::default())
        });
        match decided {
            Ok(decided) => return Ok(decided),
            Err(Refused::Retired) => {}
            Err(Refused::Failed(error)) => return Err(error),
        }
    }
}

/// `after`: so many milliseconds after `NOW`.
fn feedback(engine: &Engine, decision: Seq, reward: f64, after: Option<u64>) -> Result<FeedbackOutcome> {
    let at = after.map(|ms| NOW * 1000 + ms);
    engine.feedback(&FeedbackCall { decision, action: None, reward, at, user_id: None })
}

fn set(engine: &Engine, policy: PolicyName, mode: Mode) -> Result<()> {
    engine.set_policy(policy, &PolicyChange { mode, share: None, salt: None, user_id: None })
}

/// Visits every line of a log, in order.
fn each_event(image: &Image, mut each: impl FnMut(Seq, &Event<'_>)) {
    let log = image.log();
    for piece in pieces(&log) {
        let Piece::Line(_, line) = piece else { panic!("{piece:?}") };
        let recorded = read_line(line).unwrap();
        each(recorded.seq, &recorded.event);
    }
}

/// The draw again, from the line alone: what each policy chose and whether by chance, and what is shown.
fn replayed(line: &RecordedDecision<'_>, draw: Draw) -> (Vec<(usize, bool)>, usize) {
    let open: Vec<usize> = (0..line.ids.len()).filter(|i| !line.masked.contains(i)).collect();
    let choose = |choice: &RecordedChoice| {
        let draw = draw.part(choice.policy as u64);
        // The best has the greatest probability.
        let greedy =
            (0..line.ids.len()).fold(0, |best, i| if choice.probabilities[i] > choice.probabilities[best] { i } else { best });
        if choice.policy != LinUcbV1 && draw.happens(EPSILON) { (open[draw.below(open.len())], true) } else { (greedy, false) }
    };
    let choices: Vec<_> = line.choices.iter().map(choose).collect();
    let holdout = draw.part(HOLDOUT_PART);
    let held_out = line.holdout.is_some_and(|(share, _)| holdout.happens(share));
    let shown = if held_out { open[holdout.below(open.len())] } else { choices[0].0 };
    (choices, shown)
}

/// What a policy was at the time of a line, put together from the lines before it.
struct Replica<const D: usize, const P: usize> {
    ridge: Ridge<D, P, P>,
    rewards: HashMap<Seq, f64>,
}

impl<const D: usize, const P: usize> Default for Replica<D, P> {
    fn default() -> Self {
        Self { ridge: Ridge::new(), rewards: HashMap::new() }
    }
}

impl<const D: usize, const P: usize> Replica<D, P> {
    fn learn(&mut self, line: &RecordedFeedback<'_>) {
        let x = feature::vector(line.moment, &line.profile.unwrap_or_default(), &line.task);
        match self.rewards.insert(line.decision, line.reward) {
            None => self.ridge.update(&x, line.reward).unwrap(),
            Some(before) => self.ridge.revise(&x, line.reward - before).unwrap(),
        }
    }

    /// θ·x, and √(xᵀA⁻¹x), of each candidate, over the whole vector.
    fn scores(&self, line: &RecordedDecision<'_>) -> Vec<(f64, f64)> {
        let score = |task| {
            let x: [f64; D] = feature::vector(line.moment, &line.profile.unwrap_or_default(), task);
            let mean = self.ridge.theta().iter().zip(&x).map(|(theta, x)| theta * x).sum();
            let entry = |i: usize, j: usize| x[i] * x[j] * self.ridge.inverse()[packed_index(i.max(j), i.min(j))];
            let width: f64 = (0..D).flat_map(|i| (0..D).map(move |j| (i, j))).map(|(i, j)| entry(i, j)).sum();
            (mean, width.max(0.0).sqrt())
        };
        line.tasks.iter().map(score).collect()
    }
}

#[derive(Default)]
struct Replicas {
    linucb: Replica<5, 15>,
    egreedy: Replica<7, 28>,
    egreedy2: Replica<12, 78>,
}

impl Replicas {
    fn learn(&mut self, line: &RecordedFeedback<'_>) {
        for (policy, _) in &line.policies {
            match policy {
                LinUcbV1 => self.linucb.learn(line),
                EGreedyV1 => self.egreedy.learn(line),
                EGreedyV2 => self.egreedy2.learn(line),
            }
        }
    }

    fn parts(&self, policy: PolicyName, line: &RecordedDecision<'_>) -> Vec<(f64, f64)> {
        match policy {
            LinUcbV1 => self.linucb.scores(line),
            EGreedyV1 => self.egreedy.scores(line),
            EGreedyV2 => self.egreedy2.scores(line),
        }
    }

    fn scores(&self, policy: PolicyName, line: &RecordedDecision<'_>) -> Vec<f64> {
        let alpha = if policy == LinUcbV1 { ALPHA } else { 0.0 };
        self.parts(policy, line).into_iter().map(|(mean, width)| mean + alpha * width).collect()
    }
}

fn profile(chance: &Chance) -> Option<Profile> {
    let known = |value: f64| chance.draw().happens(0.8).then_some(value);
    chance.draw().happens(0.6).then(|| Profile {
        completion_rate: known(unit(chance)),
        dismiss_rate: known(unit(chance)),
        mean_dwell_ms: known(700_000.0 * unit(chance)),
        preferred_hour: known(24.0 * unit(chance)),
        tip_volume: known(120.0 * unit(chance)),
    })
}

fn mask(n: usize, chance: &Chance) -> Option<Vec<bool>> {
    chance.draw().happens(0.5).then(|| {
        let sure = chance.draw().below(n);
        (0..n).map(|i| i == sure || chance.draw().happens(0.6)).collect()
    })
}

#[test]
fn every_draw_and_every_score_follows_from_the_log() {
    let disk = MemoryDisk::default();
    let (engine, _) = open(&disk);
    let chance = Chance::seeded(77);
    let mut answers = HashMap::new();
    let mut decided: Vec<Seq> = Vec::new();
    for i in 0..3000usize {
        let (user, n) = (format!("u{}", i % 5), 1 + chance.draw().below(20));
        let (tasks, mask) = (some_tasks(n, &chance), mask(n, &chance));
        let asked = Asked {
            moment: Moment { hour: chance.draw().below(24) as u8, day: chance.draw().below(7) as u8 },
            profile: profile(&chance),
            eligible: mask.as_deref(),
            holdout: [0.0, 0.0, 0.3, 1.0][chance.draw().below(4)],
            explain: i % 3 == 0,
            prepared: i % 2 == 0,
            padding: 0,
        };
        let answer = recommend(&engine, &user, &tasks, asked).unwrap();
        decided.push(answer.decision);
        answers.insert(answer.decision, answer);
        if chance.draw().happens(0.6) {
            // The last ones of each user, some of them again.
            let of = decided.len() - 1 - chance.draw().below(decided.len().min(40));
            feedback(&engine, decided[of], 2.0 * unit(&chance) - 1.0, None).unwrap();
        }
        if i % 500 == 499 {
            engine.reset(&user).unwrap();
            decided.clear();
        }
        if i == 1500 {
            set(&engine, LinUcbV1, Mode::Active).unwrap();
            set(&engine, EGreedyV2, Mode::Off).unwrap();
        }
        if i == 2200 {
            set(&engine, EGreedyV2, Mode::Shadow).unwrap();
        }
    }
    let mut users: HashMap<String, Replicas> = HashMap::new();
    let (mut seen, mut by_chance, mut held_out, mut masked) = (0, 0, 0, 0);
    let mut check = |seq: Seq, line: &RecordedDecision<'_>, known: &Replicas| {
        let answer = &answers[&seq];
        let (choices, shown) = replayed(line, Draw::numbered(line.draw));
        assert_eq!(shown, line.index);
        assert_eq!((answer.index, answer.propensity), (line.index, line.probabilities[line.index]));
        assert_eq!((answer.held_out, answer.choices.len()), (line.holdout.is_some_and(|(_, held)| held), line.choices.len()));
        let open = |i: usize| !line.masked.contains(&i);
        for ((choice, (index, exploring)), told) in line.choices.iter().zip(choices).zip(&answer.choices) {
            assert_eq!((choice.index, choice.exploring), (index, exploring), "{seq:?} {:?}", choice.policy);
            assert_eq!((told.policy, told.index, told.exploring), (choice.policy, index, exploring));
            assert_eq!((told.score, told.propensity), (choice.score, choice.probabilities[index]));
            let scores = known.scores(choice.policy, line);
            assert!((scores[index] - choice.score).abs() <= 1e-12, "{seq:?}: {} instead of {}", choice.score, scores[index]);
            let best = (0..scores.len()).filter(|i| open(*i)).map(|i| scores[i]).fold(f64::NEG_INFINITY, f64::max);
            let greedy = (0..scores.len()).fold(0, |b, i| if choice.probabilities[i] > choice.probabilities[b] { i } else { b });
            assert!(open(greedy) && (scores[greedy] - best).abs() <= 1e-12, "{seq:?}: the greatest probability is not the best's");
            by_chance += u32::from(exploring);
        }
        for vector in line.choices.iter().map(|choice| &choice.probabilities).chain([&line.probabilities]) {
            assert!((vector.iter().sum::<f64>() - 1.0).abs() < 1e-12);
            assert!(vector.iter().enumerate().all(|(i, p)| if open(i) { *p >= 0.0 } else { *p == 0.0 }));
        }
        let scores = known.scores(line.policy, line);
        assert!((scores[line.index] - answer.score).abs() <= 1e-12);
        if let Some(explanation) = &answer.explanation {
            let (mean, width) = known.parts(line.policy, line)[line.index];
            assert!((explanation.contributions.iter().sum::<f64>() - mean).abs() <= 1e-12);
            assert!((explanation.uncertainty - width).abs() <= 1e-12);
            let others = (0..scores.len()).filter(|i| *i != line.index && open(*i));
            let best = others.map(|i| scores[i]).reduce(f64::max);
            assert_eq!(best.is_some(), explanation.runner_up.is_some());
            if let (Some(best), Some((index, score))) = (best, explanation.runner_up) {
                assert!(
                    index != line.index && open(index) && (best - score).abs() <= 1e-12 && (scores[index] - score).abs() <= 1e-12
                );
            }
        }
        seen += 1;
        held_out += u32::from(answer.held_out);
        masked += u32::from(!line.masked.is_empty());
    };
    each_event(&disk.image(), |seq, event| match event {
        Event::Decision(line) => check(seq, line, users.entry(line.user_id.to_string()).or_default()),
        Event::Feedback(line) => users.entry(line.user_id.to_string()).or_default().learn(line),
        Event::Reset { user_id } => drop(users.insert(user_id.to_string(), Replicas::default())),
        _ => {}
    });
    assert_eq!(seen, 3000);
    assert!(by_chance > 300 && held_out > 500 && masked > 500, "{by_chance} {held_out} {masked}");
}

/// The 99.99 % point of χ² with so many degrees of freedom (Wilson and Hilferty).
fn critical(degrees: usize) -> f64 {
    let (k, z) = (degrees as f64, 3.719);
    k * (1.0 - 2.0 / (9.0 * k) + z * (2.0 / (9.0 * k)).sqrt()).powi(3)
}

fn assert_drawn_from(vector: &[f64], counts: &[u64], what: &str) {
    let draws = counts.iter().sum::<u64>() as f64;
    let possible: Vec<_> = vector.iter().zip(counts).filter(|(p, _)| **p > 0.0).collect();
    assert!(vector.iter().zip(counts).all(|(p, count)| *p > 0.0 || *count == 0), "{what}: masked ones were drawn");
    let chi2: f64 = possible.iter().map(|(p, count)| (**count as f64 - **p * draws).powi(2) / (**p * draws)).sum();
    let degrees = possible.len() - 1;
    assert!(
        if degrees == 0 { chi2 < 1e-9 } else { chi2 < critical(degrees) },
        "{what}: χ² {chi2} with {degrees} degrees of freedom"
    );
}

fn from_environment(name: &str, standard: u64) -> u64 {
    std::env::var(name).ok().and_then(|text| text.parse().ok()).unwrap_or(standard)
}

/// Lines of decisions with and without mask and holdout, each policy active once.
fn scenes() -> Image {
    let disk = MemoryDisk::default();
    let (engine, _) = open(&disk);
    let chance = Chance::seeded(5);
    let tasks = some_tasks(8, &chance);
    for i in 0..30 {
        let answer = recommend(&engine, "u", &tasks, Asked::default()).unwrap();
        feedback(&engine, answer.decision, f64::from(i % 3) - 1.0, None).unwrap();
    }
    let some = [true, false, true, true, false, true, false, true];
    let one = [false, false, false, true, false, false, false, false];
    engine.reset("u").unwrap();
    for policy in PolicyName::ALL {
        set(&engine, policy, Mode::Active).unwrap();
        for eligible in [None, Some(&some[..]), Some(&one[..])] {
            for holdout in [0.0, 0.2, 1.0] {
                recommend(&engine, "v", &tasks, Asked { eligible, holdout, ..Asked::default() }).unwrap();
            }
        }
    }
    disk.image()
}

/// `replayed` does what the engine did, which the test above shows.
#[test]
fn logged_probabilities_are_those_of_a_million_draws() {
    let draws = from_environment("DECISION_DRAWS", 1_000_000);
    let mut scenes_seen = 0;
    each_event(&scenes(), |seq, event| {
        let Event::Decision(line) = event else { return };
        if line.user_id != "v" {
            return;
        }
        let chance = Chance::seeded(seq.n);
        let (mut shown, mut chosen) = (vec![0; 8], vec![vec![0; 8]; line.choices.len()]);
        for _ in 0..=draws / 9 {
            let (choices, index) = replayed(line, chance.draw());
            shown[index] += 1;
            for (counts, (index, _)) in chosen.iter_mut().zip(choices) {
                counts[index] += 1;
            }
        }
        assert_drawn_from(&line.probabilities, &shown, &format!("{:?}, shown, {:?}", line.policy, line.holdout));
        for (choice, counts) in line.choices.iter().zip(&chosen) {
            assert_drawn_from(&choice.probabilities, counts, &format!("{:?}, {:?} masked", choice.policy, line.masked));
        }
        scenes_seen += 1;
    });
    // Nine scenes a policy.
    assert_eq!(scenes_seen, 27);
}

#[test]
fn the_engine_itself_draws_from_what_it_logs() {
    let draws = from_environment("DECISION_ENGINE_DRAWS", 12_000);
    let disk = MemoryDisk::default();
    let (engine, _) = open(&disk);
    let tasks = some_tasks(5, &Chance::seeded(6));
    let first = recommend(&engine, "u", &tasks, Asked::default()).unwrap();
    feedback(&engine, first.decision, 1.0, None).unwrap();
    let eligible = [true, true, false, true, true];
    let (mut shown, mut chosen) = (vec![0; 5], vec![vec![0; 5]; 3]);
    for _ in 0..draws {
        let answer =
            recommend(&engine, "u", &tasks, Asked { eligible: Some(&eligible), holdout: 0.25, ..Asked::default() }).unwrap();
        shown[answer.index] += 1;
        for (counts, choice) in chosen.iter_mut().zip(&answer.choices) {
            counts[choice.index] += 1;
        }
    }
    let mut last = None;
    each_event(&disk.image(), |_, event| {
        if let Event::Decision(line) = event {
            let vectors: Vec<_> = line.choices.iter().map(|choice| choice.probabilities.clone()).collect();
            last = Some((line.probabilities.clone(), vectors));
        }
    });
    let (marginal, vectors) = last.unwrap();
    assert_drawn_from(&marginal, &shown, "shown");
    vectors.iter().zip(&chosen).for_each(|(vector, counts)| assert_drawn_from(vector, counts, "chosen"));
}

#[test]
fn a_decision_expires_after_its_time_whether_in_memory_or_in_the_log() {
    let ttl = 2 * 3600;
    let settings = Settings { decision_ttl_ms: ttl * 1000, ..settings() };
    let tasks = some_tasks(3, &Chance::seeded(1));
    for (restart, after, counts) in [(false, ttl, true), (false, ttl + 1, false), (true, ttl, true), (true, ttl + 1, false)] {
        let (disk, clock) = (MemoryDisk::default(), ManualClock::at(NOW));
        let mut engine = open_on(&disk, settings.clone(), &clock).unwrap();
        let decision = recommend(&engine, "u", &tasks, Asked::default()).unwrap().decision;
        if restart {
            engine.close().unwrap();
            engine = open_on(&disk, settings.clone(), &clock).unwrap();
        }
        clock.set(NOW + after);
        // When the person reacted does not matter; when we hear of it does.
        let outcome = feedback(&engine, decision, 1.0, Some(0));
        match outcome {
            Ok(outcome) => assert!(counts && outcome.applied, "{restart} {after}"),
            Err(e) => assert!(!counts && e.kind() == ErrorKind::UnknownDecision, "{restart} {after}: {e}"),
        }
        assert_eq!(engine.stats("u", EGreedyV1).unwrap().reward_count, u64::from(counts));
        clock.set(NOW + ttl + 1);
        assert_eq!(feedback(&engine, decision, 0.5, None).unwrap_err().kind(), ErrorKind::UnknownDecision, "a revision, too");
    }
}

#[test]
fn a_reaction_happened_between_its_decision_and_now_but_for_five_minutes() {
    const SLACK: u64 = 5 * 60 * 1000;
    const HOUR: u64 = 3600 * 1000;
    let (made, tasks) = (NOW * 1000, some_tasks(3, &Chance::seeded(1)));
    for restart in [false, true] {
        let (disk, clock) = (MemoryDisk::default(), ManualClock::at(NOW));
        let mut engine = open_on(&disk, settings(), &clock).unwrap();
        let times = [(made - SLACK - 1, false), (made - SLACK, true), (made, true), (made + HOUR + SLACK, true)];
        let times = times.into_iter().chain([(made + HOUR + SLACK + 1, false), (0, false), (u64::MAX, false)]);
        let decided: Vec<_> =
            times.map(|time| (recommend(&engine, "u", &tasks, Asked::default()).unwrap().decision, time)).collect();
        if restart {
            engine.close().unwrap();
            engine = open_on(&disk, settings(), &clock).unwrap();
        }
        clock.set_ms(made + HOUR);
        for &(decision, (at, counts)) in &decided {
            let outcome = engine.feedback(&FeedbackCall { decision, action: None, reward: 1.0, at: Some(at), user_id: None });
            match outcome {
                Ok(outcome) => assert!(counts && outcome.applied, "{at}"),
                Err(e) => assert!(!counts && e.kind() == ErrorKind::InvalidArgument, "{at}: {e}"),
            }
        }
        assert_eq!((engine.stats("u", EGreedyV1).unwrap().reward_count, engine.health().refused.at), (3, 4));
        // What was refused has changed nothing: its decision still has its first reaction to come.
        assert!(!feedback(&engine, decided[0].0, 1.0, None).unwrap().revision);
    }
}

#[test]
fn a_reaction_that_one_policy_cannot_take_is_refused_by_all() {
    let (disk, clock) = (MemoryDisk::default(), ManualClock::at(NOW));
    // No option allows so much.
    let engine = open_on(&disk, Settings { max_reward: f64::MAX, ..settings() }, &clock).unwrap();
    reward(&engine, "u", EGreedyV2, 9e299).unwrap();
    let decision = recommend(&engine, "u", &some_tasks(3, &Chance::seeded(1)), Asked::default()).unwrap().decision;
    assert_eq!(feedback(&engine, decision, 9e299, None).unwrap_err().kind(), ErrorKind::InvalidArgument);
    let sums = || PolicyName::ALL.map(|policy| engine.stats("u", policy).unwrap().cumulative_reward);
    assert_eq!(sums(), [0.0, 0.0, 9e299]);
    assert!(!feedback(&engine, decision, -1.0, None).unwrap().revision);
}

/// What a warning says has to be kept, in bytes.
fn bytes_to_keep(warning: &str) -> u64 {
    let digits = warning.split("logRetentionBytes to at least ").nth(1).unwrap_or_default();
    digits.chars().take_while(char::is_ascii_digit).collect::<String>().parse().unwrap()
}

#[test]
fn before_the_log_is_cut_within_the_time_to_live_it_is_said_and_what_would_do() {
    const TTL: u64 = 24 * 3600;
    let (disk, clock) = (MemoryDisk::default(), ManualClock::at(NOW));
    let small = Settings { decision_ttl_ms: TTL * 1000, log_retention_bytes: 80 << 20, ..settings() };
    let cut = |engine: &Engine| engine.health().warnings.into_iter().find(|warning| warning.contains("will be cut"));
    let engine = open_on(&disk, small.clone(), &clock).unwrap();
    let tasks = some_tasks(10, &Chance::seeded(1));
    let (mut first, mut warned, mut seconds) = (None, None, NOW);
    // 100 decisions of some 60 kB every ten minutes: twice what is kept, in less than a day.
    for round in 1..=30 {
        for i in 0..100 {
            let asked = Asked { padding: 6000, ..Asked::default() };
            let decided = recommend(&engine, &format!("u{}", i % 10), &tasks, asked).unwrap();
            first = first.or(Some(decided.decision));
        }
        seconds += 600;
        clock.set(seconds);
        wait(|done| engine.checkpoint(done)).unwrap();
        warned = warned.or_else(|| cut(&engine).map(|warning| (round, warning)));
    }
    let (round, warning) = warned.unwrap();
    assert!(round <= 3, "said in round {round}: {warning}");
    let lasts = engine.health().log.lasts_hours.unwrap();
    assert!((1.0..2.0).contains(&lasts), "{lasts}: {warning}");
    engine.close().unwrap();
    // After a restart the first decision is neither in memory nor in the log.
    let engine = open_on(&disk, small.clone(), &clock).unwrap();
    assert!(seconds - NOW < TTL);
    let refused = feedback(&engine, first.unwrap(), 1.0, None).unwrap_err();
    assert_eq!((refused.kind(), refused.reason()), (ErrorKind::UnknownDecision, Some(Reason::Expired)), "{refused}");
    assert!(refused.message().contains("logRetentionBytes"), "{refused}");
    // What is left tells the rate, and what it says would do does.
    let told = bytes_to_keep(&cut(&engine).unwrap());
    engine.close().unwrap();
    for (bytes, warns) in [(told, false), (told * 8 / 10, true)] {
        let engine = open_on(&disk, Settings { log_retention_bytes: bytes, ..small.clone() }, &clock).unwrap();
        assert_eq!(cut(&engine).is_some(), warns, "{bytes}: {:?}", engine.health().log);
        engine.close().unwrap();
    }
}

#[test]
fn a_log_that_is_large_enough_warns_of_nothing() {
    let (disk, clock) = (MemoryDisk::default(), ManualClock::at(NOW));
    let engine = open_on(&disk, settings(), &clock).unwrap();
    let tasks = some_tasks(10, &Chance::seeded(1));
    let decide = || recommend(&engine, "u", &tasks, Asked::default()).unwrap();
    // A burst at the start tells nothing of a week.
    (0..1000).for_each(|_| drop(decide()));
    clock.set(NOW + 10);
    let health = engine.health();
    assert_eq!((health.log.lasts_hours, health.warnings.len()), (None, 0));
    // One decision in ten seconds, for a day.
    for i in 0..8640 {
        clock.set(NOW + 10 * i);
        decide();
    }
    let health = engine.health();
    let lasts = health.log.lasts_hours.unwrap();
    assert!((1000.0..10_000.0).contains(&lasts) && health.warnings.is_empty(), "{lasts} {:?}", health.warnings);
}

/// In a log of several megabytes, in which pulls stand behind what was numbered after them.
#[test]
fn an_old_decision_is_found_among_many_lines_in_few_reads() {
    let (disk, clock) = (MemoryDisk::default(), ManualClock::at(NOW));
    let engine = open_on(&disk, settings(), &clock).unwrap();
    let tasks = some_tasks(10, &Chance::seeded(1));
    let mut decided = Vec::new();
    for i in 0..3000usize {
        let user = format!("user {}", i % 200);
        decided.push(recommend(&engine, &user, &tasks, Asked::default()).unwrap().decision);
        for _ in 0..i % 7 {
            score(&engine, &user, EGreedyV1, &tasks, "tip").unwrap();
        }
    }
    engine.close().unwrap();
    let bytes = disk.image().log().len();
    assert!(bytes > 3 << 20, "{bytes}");
    let engine = open_on(&disk, settings(), &clock).unwrap();
    let reads = Arc::new(AtomicUsize::new(0));
    let counter = Arc::clone(&reads);
    disk.plan(move |step| {
        counter.fetch_add(usize::from((step.call, step.room) == (Call::Read, Room::Log)), Ordering::Relaxed);
        Fault::None
    });
    let reads = |decision| {
        let before = reads.load(Ordering::Relaxed);
        let outcome = feedback(&engine, decision, 1.0, Some(1));
        (reads.load(Ordering::Relaxed) - before, outcome)
    };
    for (i, decision) in decided.iter().enumerate().step_by(13).chain([(2999, &decided[2999])]) {
        let (reads, outcome) = reads(*decision);
        assert!(outcome.unwrap().applied, "decision {i}");
        assert!(reads < 20, "decision {i}: {reads} reads");
    }
    let unknown = |decision| assert_eq!(reads(decision).1.unwrap_err().kind(), ErrorKind::UnknownDecision, "{decision:?}");
    // A pull, the segment's own line, numbers that were never given out.
    for (epoch, n) in [(1, decided[4].n + 1), (1, 0), (1, decided[2999].n + 999), (2, 999), (9, 9), (3, 0), (0, 1)] {
        unknown(Seq { epoch, n });
    }
    assert_eq!(reads(Seq { epoch: 3, n: 0 }).0, 0, "what is not yet is not looked for");
}

/// All that can be seen of a user; θ to eight digits, because a start computes it anew.
fn seen(engine: &Engine, user_id: &str) -> String {
    let mut text = String::new();
    for policy in PolicyName::ALL {
        let mut stats = engine.stats(user_id, policy).unwrap();
        let theta: Vec<i64> = std::mem::take(&mut stats.theta).into_iter().map(|theta| (theta * 1e8).round() as i64).collect();
        write!(text, "{stats:?} {theta:?}").unwrap();
    }
    write!(text, "{:?}", engine.features(user_id).unwrap()).unwrap();
    text
}

fn log_is_full(disk: &MemoryDisk) {
    disk.plan(|step| if (step.call, step.room) == (Call::Write, Room::Log) { Fault::Error(EIO) } else { Fault::None });
}

#[test]
fn what_the_log_does_not_take_did_not_happen() {
    let disk = MemoryDisk::default();
    let (engine, _) = open(&disk);
    let tasks = some_tasks(4, &Chance::seeded(1));
    let kind = |result: Result<()>| result.map_err(|e: Error| e.kind());
    let decision = recommend(&engine, "u", &tasks, Asked::default()).unwrap().decision;
    let other = recommend(&engine, "u", &tasks, Asked::default()).unwrap().decision;
    feedback(&engine, decision, 0.5, Some(1)).unwrap();
    let (before, policies) = (seen(&engine, "u"), engine.policies());
    log_is_full(&disk);
    assert_eq!(kind(recommend(&engine, "u", &tasks, Asked::default()).map(drop)), Err(ErrorKind::StateIo));
    assert_eq!(kind(recommend(&engine, "new", &tasks, Asked::default()).map(drop)), Err(ErrorKind::StateIo));
    assert_eq!(kind(feedback(&engine, decision, 1.0, Some(2)).map(drop)), Err(ErrorKind::StateIo));
    assert_eq!(kind(feedback(&engine, other, 1.0, Some(2)).map(drop)), Err(ErrorKind::StateIo));
    assert_eq!(kind(set(&engine, LinUcbV1, Mode::Active)), Err(ErrorKind::StateIo));
    assert_eq!((seen(&engine, "u"), engine.policies()), (before, policies));
    assert!(PolicyName::ALL.iter().all(|policy| engine.stats("new", *policy).unwrap().last_updated.is_none()));
    disk.heal();
    assert!(feedback(&engine, decision, 1.0, Some(2)).unwrap().revision);
    assert!(!feedback(&engine, other, 1.0, Some(2)).unwrap().revision);
    let stats = engine.stats("u", LinUcbV1).unwrap();
    assert_eq!((stats.pulls, stats.reward_count, stats.cumulative_reward), (2, 2, 2.0));
    recommend(&engine, "new", &tasks, Asked::default()).unwrap();
    let stood = seen(&engine, "u");
    engine.close().unwrap();
    let (engine, _) = open(&disk);
    assert_eq!(seen(&engine, "u"), stood);
    assert_eq!(engine.stats("new", EGreedyV2).unwrap().pulls, 1);
}

#[test]
fn a_change_of_policies_that_cannot_be_kept_is_none() {
    let disk = MemoryDisk::default();
    let (engine, _) = open(&disk);
    set(&engine, EGreedyV2, Mode::Off).unwrap();
    let before = engine.policies();
    for call in [Call::Write, Call::SyncFile, Call::Rename, Call::SyncRoom] {
        disk.plan(move |step| {
            let of_policies = step.room == Room::State && (call == Call::SyncRoom || step.name.starts_with(".policies"));
            if step.call == call && of_policies { Fault::Error(EIO) } else { Fault::None }
        });
        assert_eq!(set(&engine, LinUcbV1, Mode::Active).unwrap_err().kind(), ErrorKind::StateIo, "{call:?}");
        assert_eq!((engine.policies(), engine.active()), (before.clone(), EGreedyV1), "{call:?}");
        disk.heal();
        // Nor is it one after the end of the process.
        let (again, _) = open(&MemoryDisk::with(disk.image()));
        assert_eq!(again.policies(), before, "{call:?}");
    }
    engine.close().unwrap();
    let (engine, _) = open(&disk);
    assert_eq!(engine.policies(), before);
}

#[test]
fn a_decision_and_a_reaction_survive_the_end_of_the_process_at_any_moment() {
    let disk = MemoryDisk::default();
    let (engine, _) = open(&disk);
    let tasks = some_tasks(4, &Chance::seeded(2));
    let mut decided = Vec::new();
    // No state file can be written: all is in the log alone.
    disk.plan(|step| if (step.call, step.room) == (Call::Rename, Room::State) { Fault::Error(EIO) } else { Fault::None });
    for i in 0..20u32 {
        decided.push(recommend(&engine, "u", &tasks, Asked::default()).unwrap().decision);
        feedback(&engine, decided[i as usize / 2], f64::from(i), Some(u64::from(i))).unwrap();
    }
    let stood = seen(&engine, "u");
    let disk = MemoryDisk::with(disk.image());
    let (engine, _) = open(&disk);
    assert_eq!(seen(&engine, "u"), stood);
    // What was learned from which decision is known again, too.
    assert!(!feedback(&engine, decided[9], 19.0, Some(19)).unwrap().applied);
    let outcome = feedback(&engine, decided[9], -1.0, Some(20)).unwrap();
    assert!(outcome.applied && outcome.revision);
    assert_eq!(engine.stats("u", EGreedyV2).unwrap().reward_count, 10);
}

/// A policy that was off for a while has learned from fewer decisions than the others: what expired under one of those that learned
/// from a decision has expired under all, or revisions would not touch exactly the policies that the first reaction named.
#[test]
fn a_revision_touches_all_policies_that_learned_or_none() {
    let disk = MemoryDisk::default();
    let (engine, _) = open(&disk);
    let tasks = some_tasks(4, &Chance::seeded(3));
    let decide = || recommend(&engine, "u", &tasks, Asked::default()).unwrap().decision;
    let old = decide();
    assert_eq!(feedback(&engine, old, 1.0, Some(1)).unwrap().policies.len(), 3);
    set(&engine, EGreedyV2, Mode::Off).unwrap();
    for _ in 0..REVISABLE {
        feedback(&engine, decide(), 0.0, None).unwrap();
    }
    set(&engine, EGreedyV2, Mode::Shadow).unwrap();
    let sums = || PolicyName::ALL.map(|policy| engine.stats("u", policy).unwrap().cumulative_reward);
    assert_eq!(sums(), [1.0; 3]);
    let outcome = feedback(&engine, old, -1.0, Some(2));
    let touched = sums();
    assert!(touched == [1.0; 3] || touched == [-1.0; 3], "{touched:?} after {outcome:?}");
}

#[test]
fn erasing_a_user_takes_its_policy_and_its_decisions_away() {
    let disk = MemoryDisk::default();
    let (engine, _) = open(&disk);
    let tasks = some_tasks(4, &Chance::seeded(4));
    let own = PolicyChange { mode: Mode::Active, share: None, salt: None, user_id: Some("Eve".to_owned()) };
    engine.set_policy(LinUcbV1, &own).unwrap();
    let decision = recommend(&engine, "Eve", &tasks, Asked::default()).unwrap().decision;
    feedback(&engine, decision, 1.0, None).unwrap();
    wait(|done| engine.erase("Eve", done)).unwrap();
    assert_eq!(feedback(&engine, decision, -1.0, None).unwrap_err().kind(), ErrorKind::UnknownDecision);
    let users = engine.policies()[LinUcbV1 as usize].users.clone();
    let none = Vec::<String>::new();
    assert_eq!((disk.image().files_with("Eve"), users), (none.clone(), none.clone()));
    engine.close().unwrap();
    assert_eq!(disk.image().files_with("Eve"), none);
}

/// An erasure that the process did not live to see is finished by the next one; until then its lines are still there.
#[test]
fn decisions_of_an_erasure_under_way_are_unknown_after_a_restart_too() {
    let disk = MemoryDisk::default();
    let (engine, _) = open(&disk);
    let tasks = some_tasks(4, &Chance::seeded(4));
    let decision = recommend(&engine, "Eve", &tasks, Asked::default()).unwrap().decision;
    let no_rewriting = |disk: &MemoryDisk| {
        disk.plan(|step| if (step.call, step.room) == (Call::Rename, Room::Log) { Fault::Error(EIO) } else { Fault::None });
    };
    no_rewriting(&disk);
    assert_eq!(wait(|done| engine.erase("Eve", done)).unwrap_err().kind(), ErrorKind::StateIo);
    assert_eq!(feedback(&engine, decision, 1.0, None).unwrap_err().kind(), ErrorKind::UnknownDecision);
    let disk = MemoryDisk::with(disk.image());
    no_rewriting(&disk);
    let (engine, _) = open(&disk);
    let outcome = feedback(&engine, decision, 1.0, None);
    assert_eq!(outcome.map_err(|e| e.kind()), Err(ErrorKind::UnknownDecision));
    assert_eq!(engine.stats("Eve", EGreedyV1).unwrap().last_updated, None);
}

#[test]
fn a_change_of_policies_survives_power_loss() {
    let disk = MemoryDisk::default();
    let (engine, _) = open(&disk);
    set(&engine, LinUcbV1, Mode::Active).unwrap();
    set(&engine, EGreedyV2, Mode::Off).unwrap();
    let stood = engine.policies();
    for seed in 0..30 {
        let (again, _) = open(&MemoryDisk::with(disk.cut(seed)));
        assert_eq!(again.policies(), stood, "{seed}");
    }
}

#[test]
fn what_a_flush_covers_survives_power_loss() {
    let disk = MemoryDisk::default();
    let (engine, _) = open(&disk);
    let tasks = some_tasks(4, &Chance::seeded(4));
    let decided: Vec<_> = (0..9).map(|_| recommend(&engine, "u", &tasks, Asked::default()).unwrap().decision).collect();
    for at in 0..3 {
        for decision in &decided {
            feedback(&engine, *decision, at as f64, Some(at)).unwrap();
        }
    }
    wait(|done| engine.flush(done)).unwrap();
    let stood = seen(&engine, "u");
    for seed in 0..30 {
        let (again, _) = open(&MemoryDisk::with(disk.cut(seed)));
        assert_eq!(seen(&again, "u"), stood, "{seed}");
        assert!(decided.iter().all(|decision| !feedback(&again, *decision, 2.0, Some(2)).unwrap().applied), "{seed}");
    }
}
