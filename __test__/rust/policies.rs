//! What the policies choose, against the whole feature vector and the whole quadratic form written out plainly.

use crate::support::{cases, full, normalised, some_tasks, unit, with_lanes};
use nalgebra::DVector;
use oo_bandits::feature::{Moment, Profile, TaskFeatures, vector};
use oo_bandits::policy::{
    Candidates, Choice, EGreedy2Ridge, EGreedyRidge, Folded, LinUcbRidge, NormalisedLanes, Ridge, Scratch, choose, packed_index,
};
use oo_bandits::rng::{Chance, Draw};
use proptest::prelude::*;
use std::f64::consts::PI;

/// The contract's numbers, not the crate's.
const ALPHA: f64 = 1.0;
const EPSILON: f64 = 0.1;

fn choose_linucb(
    ridge: &LinUcbRidge,
    (moment, profile): (Moment, &Profile),
    lanes: &impl Candidates,
    scratch: &mut Scratch,
) -> Choice {
    choose(&Folded::linucb(ridge, moment, profile), lanes, || unreachable!("LinUCB draws nothing"), scratch)
}

fn choose_egreedy<const D: usize, const P: usize>(
    ridge: &Ridge<D, P, 0>,
    (moment, profile): (Moment, &Profile),
    lanes: &impl Candidates,
    draw: Draw,
    scratch: &mut Scratch,
) -> Choice {
    choose(&Folded::egreedy(ridge, moment, profile), lanes, || draw, scratch)
}

/// At 1e300 o'clock the angle is a matter of rounding; all that is asked there is a number in range.
fn is_tame(hour: f64) -> bool {
    hour.abs() < 1e3
}

/// x as the design's table has it, written without the crate.
fn plain_vector(moment: Moment, profile: &Profile, task: &TaskFeatures) -> [f64; 12] {
    let circle = |i: u8, n: f64| 2.0 * PI * f64::from(i) / n;
    let rate = |v: Option<f64>| v.unwrap_or(0.0).clamp(0.0, 1.0);
    [
        circle(moment.hour, 24.0).sin(),
        circle(moment.hour, 24.0).cos(),
        if task.is_overdue { 1.0 } else { 0.0 },
        task.task_age_days.clamp(0.0, 30.0) / 30.0,
        (f64::from(task.priority) - 1.0) / 3.0,
        circle(moment.day, 7.0).sin(),
        circle(moment.day, 7.0).cos(),
        rate(profile.completion_rate),
        rate(profile.dismiss_rate),
        rate(profile.mean_dwell_ms.map(|ms| ms / 600_000.0)),
        match profile.preferred_hour {
            None => 0.5,
            Some(h) if is_tame(h) => f64::midpoint((2.0 * PI * (h - f64::from(moment.hour)) / 24.0).cos(), 1.0),
            Some(_) => profile.features(moment.hour)[3],
        },
        profile.tip_volume.map_or(0.0, |v| if v > 0.0 { (v.ln_1p() / 101f64.ln()).min(1.0) } else { 0.0 }),
    ]
}

/// θ·x, and with α also α√(xᵀA⁻¹x), of each candidate, from a factorisation of A made here.
fn plain_scores<const D: usize, const P: usize, const I: usize>(
    ridge: &Ridge<D, P, I>,
    alpha: f64,
    moment: Moment,
    profile: &Profile,
    tasks: &[TaskFeatures],
) -> Vec<f64> {
    let lu = full(ridge.a(), D).lu();
    let theta = lu.solve(&DVector::from_column_slice(ridge.b())).unwrap();
    let score = |task: &TaskFeatures| {
        let x = DVector::from_column_slice(&plain_vector(moment, profile, task)[..D]);
        theta.dot(&x) + if alpha > 0.0 { alpha * x.dot(&lu.solve(&x).unwrap()).max(0.0).sqrt() } else { 0.0 }
    };
    tasks.iter().map(score).collect()
}

fn near(a: f64, b: f64) -> bool {
    (a - b).abs() <= 1e-9 * b.abs().max(1.0)
}

/// The choice is the best by the plain scores; of those that are exactly alike, the first.
fn is_argmax(choice: &Choice, plain: &[f64], tasks: &[TaskFeatures]) -> Result<(), TestCaseError> {
    let best = plain.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    prop_assert!(near(plain[choice.index], best), "{choice:?} of {plain:?}");
    prop_assert!(near(choice.score, best), "{choice:?}, best {best}");
    let twin = tasks.iter().position(|t| t.features() == tasks[choice.index].features());
    prop_assert_eq!(twin, Some(choice.index), "a twin stands before it");
    Ok(())
}

#[derive(Debug, Clone)]
struct Scene {
    moment: Moment,
    profile: Profile,
    tasks: Vec<TaskFeatures>,
    seen: Vec<(Moment, TaskFeatures, f64)>,
    seed: u64,
}

impl Scene {
    fn ridge<const D: usize, const P: usize, const I: usize>(&self) -> Ridge<D, P, I> {
        let mut ridge = Ridge::new();
        for (moment, task, reward) in &self.seen {
            ridge.update(&vector(*moment, &self.profile, task), *reward).unwrap();
        }
        ridge
    }

    fn egreedy<const D: usize, const P: usize>(&self) -> Result<(), TestCaseError> {
        let ridge = self.ridge::<D, P, 0>();
        let at = (self.moment, &self.profile);
        let (lanes, n) = (normalised(&self.tasks), self.tasks.len());
        let plain = plain_scores(&ridge, 0.0, self.moment, &self.profile, &self.tasks);
        let (chance, mut scratch) = (Chance::seeded(self.seed), Scratch::default());
        let greedy = loop {
            let choice = choose_egreedy(&ridge, at, &lanes, chance.draw(), &mut scratch);
            if !choice.exploring {
                break choice;
            }
        };
        is_argmax(&greedy, &plain, &self.tasks)?;
        let other = EPSILON / n as f64;
        prop_assert!((greedy.propensity + (n - 1) as f64 * other - 1.0).abs() < 1e-12);
        for _ in 0..40 {
            let draw = chance.draw();
            let choice = choose_egreedy(&ridge, at, &lanes, draw, &mut scratch);
            prop_assert_eq!(choice.exploring, draw.happens(EPSILON));
            prop_assert_eq!(choice.index, if choice.exploring { draw.below(n) } else { greedy.index });
            prop_assert!(near(choice.score, plain[choice.index]));
            let propensity = if choice.index == greedy.index { greedy.propensity } else { other };
            prop_assert_eq!(choice.propensity, propensity);
        }
        Ok(())
    }
}

fn moments() -> impl Strategy<Value = Moment> {
    (0u8..24, 0u8..7).prop_map(|(hour, day)| Moment { hour, day })
}

fn ages() -> impl Strategy<Value = f64> {
    prop_oneof![8 => -10.0..60.0f64, 4 => (0u8..31).prop_map(f64::from), 1 => Just(1e308), 1 => Just(-1e308), 1 => Just(-0.0)]
}

fn tasks() -> impl Strategy<Value = TaskFeatures> {
    let fields = (any::<bool>(), ages(), 1u8..=4);
    fields.prop_map(|(is_overdue, task_age_days, priority)| TaskFeatures { is_overdue, task_age_days, priority })
}

fn profiles() -> impl Strategy<Value = Profile> {
    use prop::option::of;
    let rate = || of(-0.5..1.5f64);
    let dwell = of(prop_oneof![4 => 0.0..1e6f64, 1 => Just(1e308), 1 => Just(-1e308)]);
    let hour = of(prop_oneof![4 => 0.0..24.0f64, 1 => Just(1e300), 1 => Just(-f64::MAX)]);
    let volume = of(prop_oneof![4 => 0.0..200.0f64, 1 => Just(1e308), 1 => Just(-1e308)]);
    (rate(), rate(), dwell, hour, volume).prop_map(|(completion_rate, dismiss_rate, mean_dwell_ms, preferred_hour, tip_volume)| {
        Profile { completion_rate, dismiss_rate, mean_dwell_ms, preferred_hour, tip_volume }
    })
}

fn scenes() -> impl Strategy<Value = Scene> {
    let seen = prop::collection::vec((moments(), tasks(), prop::sample::select(vec![1.0, 0.5, 0.0, -0.5, -1.0, 7.25])), 0..60);
    (moments(), profiles(), prop::collection::vec(tasks(), 1..=200), seen, any::<u64>())
        .prop_map(|(moment, profile, tasks, seen, seed)| Scene { moment, profile, tasks, seen, seed })
}

proptest! {
    #![proptest_config(cases(96))]

    #[test]
    fn each_policy_equals_its_plain_form(scene in scenes()) {
        let ridge = scene.ridge::<5, 15, 15>();
        let at = (scene.moment, &scene.profile);
        let choice = choose_linucb(&ridge, at, &normalised(&scene.tasks), &mut Scratch::default());
        is_argmax(&choice, &plain_scores(&ridge, ALPHA, scene.moment, &scene.profile, &scene.tasks), &scene.tasks)?;
        prop_assert_eq!((choice.exploring, choice.propensity), (false, 1.0));
        scene.egreedy::<7, 28>()?;
        scene.egreedy::<12, 78>()?;
    }

    #[test]
    fn each_feature_vector_is_the_table_s(moment in moments(), profile in profiles(), task in tasks()) {
        let plain = plain_vector(moment, &profile, &task);
        let x: [f64; 12] = vector(moment, &profile, &task);
        let (five, seven): ([f64; 5], [f64; 7]) = (vector(moment, &profile, &task), vector(moment, &profile, &task));
        prop_assert_eq!(&five[..], &x[..5]);
        prop_assert_eq!(&seven[..], &x[..7]);
        for (i, (got, want)) in x.iter().zip(plain).enumerate() {
            prop_assert!((-1.0..=1.0).contains(got), "x[{i}] = {got}");
            prop_assert!(near(*got, want), "x[{i}] = {got}, not {want}");
        }
    }
}

/// Scores of many candidates at once are those of each alone, to the last bit: no vector width changes a decision.
#[test]
fn many_at_once_score_as_each_alone() {
    let chance = Chance::seeded(21);
    let moment = Moment { hour: 22, day: 6 };
    let mut linucb = LinUcbRidge::new();
    for task in some_tasks(50, &chance) {
        linucb.update(&vector(moment, &Profile::default(), &task), unit(&chance)).unwrap();
    }
    let (at, mut scratch) = ((moment, &Profile::default()), Scratch::default());
    for n in 1..=200 {
        let tasks = some_tasks(n, &chance);
        let alone: Vec<f64> = tasks.iter().map(|t| choose_linucb(&linucb, at, &normalised(&[*t]), &mut scratch).score).collect();
        let choice = choose_linucb(&linucb, at, &normalised(&tasks), &mut scratch);
        assert_eq!(with_lanes(&tasks, |lanes| choose_linucb(&linucb, at, &lanes, &mut scratch)), choice);
        let best = alone.iter().copied().fold(f64::NEG_INFINITY, f64::max);
        assert_eq!(choice.score.to_bits(), best.to_bits());
        assert_eq!(Some(choice.index), alone.iter().position(|&s| s == best));
    }
}

#[test]
fn ties_go_to_the_first_wherever_the_twins_stand() {
    let (moment, profile) = (Moment { hour: 8, day: 1 }, Profile::default());
    let best = TaskFeatures { is_overdue: true, task_age_days: 12.0, priority: 4 };
    let mut linucb = LinUcbRidge::new();
    let mut egreedy = EGreedyRidge::new();
    for _ in 0..20 {
        linucb.update(&vector(moment, &profile, &best), 1.0).unwrap();
        egreedy.update(&vector(moment, &profile, &best), 1.0).unwrap();
        // Seen often and never liked: neither mean nor width speaks for it.
        linucb.update(&vector(moment, &profile, &TaskFeatures::default()), -1.0).unwrap();
        egreedy.update(&vector(moment, &profile, &TaskFeatures::default()), -1.0).unwrap();
    }
    let greedy = (0..100).map(Chance::seeded).map(|c| c.draw()).find(|d| !d.happens(EPSILON)).unwrap();
    for n in [1, 2, 7, 8, 9, 15, 16, 17, 63, 200] {
        for first in 0..n {
            let mut tasks = vec![TaskFeatures::default(); n];
            tasks.iter_mut().skip(first).step_by(3).for_each(|t| *t = best);
            let lanes: NormalisedLanes = normalised(&tasks);
            assert_eq!(choose_linucb(&linucb, (moment, &profile), &lanes, &mut Scratch::default()).index, first);
            let choice = choose_egreedy(&egreedy, (moment, &profile), &lanes, greedy, &mut Scratch::default());
            assert_eq!(choice.index, first);
        }
    }
}

#[test]
fn a_tenth_of_the_pulls_explores() {
    let chance = Chance::seeded(31);
    let (tasks, mut scratch) = (some_tasks(20, &chance), Scratch::default());
    let (at, lanes) = ((Moment::default(), &Profile::default()), normalised(&tasks));
    let (mut explored, mut drawn) = (0u32, [0u32; 20]);
    for _ in 0..20_000 {
        let choice = choose_egreedy(&EGreedy2Ridge::new(), at, &lanes, chance.draw(), &mut scratch);
        explored += u32::from(choice.exploring);
        drawn[choice.index] += u32::from(choice.exploring);
    }
    assert!(explored.abs_diff(2000) < 5 * 43, "{explored}"); // 5 standard deviations
    assert!(drawn.iter().all(|&d| d > 40), "{drawn:?}"); // each near a hundred
}

/// After very many rewards for one vector the width along it is next to nothing: never below it, never NaN.
#[test]
fn widths_never_become_nan() {
    let chance = Chance::seeded(41);
    let mut ridge = LinUcbRidge::new();
    let (moment, profile, mut scratch) = (Moment { hour: 0, day: 0 }, Profile::default(), Scratch::default());
    let task = TaskFeatures { is_overdue: true, task_age_days: 30.0, priority: 4 };
    for n in 0..30_000 {
        ridge.update(&vector(moment, &profile, &task), 0.0).unwrap();
        if n % 250 == 0 {
            let mut tasks = some_tasks(20, &chance);
            tasks.push(task);
            for only in [&tasks[..], &tasks[20..]] {
                let score = choose_linucb(&ridge, (moment, &profile), &normalised(only), &mut scratch).score;
                assert!(score.is_finite() && score >= 0.0, "{score}");
            }
        }
    }
}

/// A file may hold a matrix whose inverse is hardly more than rounding errors, and not positive definite any more.
#[test]
fn widths_of_a_matrix_at_the_edge_are_not_nan() {
    let chance = Chance::seeded(42);
    let tasks = some_tasks(100, &chance);
    let at = (Moment { hour: 3, day: 0 }, &Profile::default());
    let mut made = 0;
    for scale in [1e12, 1e14, 4e15, 1e17, 1e18] {
        for diagonal in [0.001, 0.125, 8.0, 64.0, 1024.0] {
            let mut a = [scale; 15];
            (0..5).for_each(|i| a[packed_index(i, i)] += diagonal);
            let Ok(mut ridge) = LinUcbRidge::from_sums(a, [0.0; 5]) else { continue };
            made += 1;
            for task in &tasks {
                ridge.update(&vector(Moment { hour: 3, day: 0 }, &Profile::default(), task), 0.0).unwrap();
                let score = choose_linucb(&ridge, at, &normalised(&[*task]), &mut Scratch::default()).score;
                assert!(score.is_finite() && score >= 0.0, "{scale:e}, {diagonal}: {score}");
            }
        }
    }
    assert!(made > 5, "{made}");
}

#[test]
fn absurd_but_finite_input_gives_finite_scores() {
    let tasks: Vec<TaskFeatures> = [1e308, -1e308, f64::MAX, f64::MIN_POSITIVE, -0.0, 15.0]
        .into_iter()
        .flat_map(|task_age_days| [1, 4].map(|priority| TaskFeatures { is_overdue: priority == 4, task_age_days, priority }))
        .collect();
    let profile = Profile {
        completion_rate: Some(-1e308),
        dismiss_rate: Some(1e308),
        mean_dwell_ms: Some(1e308),
        preferred_hour: Some(1e300),
        tip_volume: Some(1e308),
    };
    let moment = Moment { hour: 23, day: 6 };
    let (mut linucb, mut egreedy) = (LinUcbRidge::new(), EGreedy2Ridge::new());
    let chance = Chance::seeded(51);
    for reward in [1.0, -1.0, 1e298, 5e-324, -1e298, 0.5] {
        for task in &tasks {
            linucb.update(&vector(moment, &profile, task), reward).unwrap();
            egreedy.update(&vector(moment, &profile, task), reward).unwrap();
        }
        let lanes = normalised(&tasks);
        let choice = choose_linucb(&linucb, (moment, &profile), &lanes, &mut Scratch::default());
        assert!(choice.score.is_finite(), "{choice:?}");
        for _ in 0..50 {
            let choice = choose_egreedy(&egreedy, (moment, &profile), &lanes, chance.draw(), &mut Scratch::default());
            assert!(choice.score.is_finite() && (0.0..=1.0).contains(&choice.propensity), "{choice:?}");
        }
    }
}
