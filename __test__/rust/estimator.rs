//! The ridge estimator against sums kept apart from it and a fresh factorisation of them.

use crate::support::{cases, unit};
use nalgebra::{DMatrix, DVector};
use oo_bandits::policy::{LinUcbRidge, Ridge, packed_index};
use oo_bandits::rng::Chance;
use proptest::prelude::*;

const UPDATES: u32 = 100_000;
const TOLERANCE: f64 = 1e-8;

/// A and b as full rows, added up without the crate.
struct Sums<const D: usize> {
    a: [[f64; D]; D],
    b: [f64; D],
}

impl<const D: usize> Sums<D> {
    fn new() -> Self {
        Self { a: std::array::from_fn(|i| std::array::from_fn(|j| f64::from(u8::from(i == j)))), b: [0.0; D] }
    }

    fn add(&mut self, x: &[f64; D], reward: f64) {
        for i in 0..D {
            for j in 0..D {
                self.a[i][j] += x[i] * x[j];
            }
            self.b[i] += reward * x[i];
        }
    }

    /// The sums are equal to the last bit; A⁻¹ and θ within `tolerance`·max(1, |exact|).
    fn check<const P: usize>(&self, ridge: &Ridge<D, P, P>, tolerance: f64, when: &str) {
        for i in 0..D {
            for j in 0..=i {
                assert_eq!(ridge.a()[packed_index(i, j)].to_bits(), self.a[i][j].to_bits(), "{when}: A[{i}][{j}]");
            }
            assert_eq!(ridge.b()[i].to_bits(), self.b[i].to_bits(), "{when}: b[{i}]");
        }
        let lu = DMatrix::from_fn(D, D, |i, j| self.a[i][j]).lu();
        let (inverse, theta) = (lu.try_inverse().unwrap(), lu.solve(&DVector::from_column_slice(&self.b)).unwrap());
        let near = |got: f64, exact: f64| (got - exact).abs() <= tolerance * exact.abs().max(1.0);
        for i in 0..D {
            for j in 0..=i {
                let got = ridge.inverse()[packed_index(i, j)];
                assert!(near(got, inverse[(i, j)]), "{when}: A⁻¹[{i}][{j}] is {got:e}, not {:e}", inverse[(i, j)]);
            }
            assert!(near(ridge.theta()[i], theta[i]), "{when}: θ[{i}] is {:e}, not {:e}", ridge.theta()[i], theta[i]);
        }
    }
}

fn signed<const D: usize>(chance: &Chance) -> [f64; D] {
    std::array::from_fn(|_| 2.0 * unit(chance) - 1.0)
}

/// 100,000 updates, looked at along the way. An estimator that keeps no A⁻¹ must come to the same θ.
fn run<const D: usize, const P: usize>(mut next: impl FnMut(u32) -> ([f64; D], f64)) {
    let (mut ridge, mut lean, mut sums) = (Ridge::<D, P, P>::new(), Ridge::<D, P, 0>::new(), Sums::<D>::new());
    for n in 1..=UPDATES {
        let (x, reward) = next(n);
        ridge.update(&x, reward).unwrap();
        lean.update(&x, reward).unwrap();
        sums.add(&x, reward);
        if n == UPDATES || n < 4 || (n % 256 == 255 && n / 256 % 13 == 0) || n % 9_999 == 0 {
            sums.check(&ridge, TOLERANCE, &format!("d = {D}, {n} updates"));
            let near = |(a, b): (&f64, &f64)| (a - b).abs() <= TOLERANCE * b.abs().max(1.0);
            assert!(
                lean.theta().iter().zip(ridge.theta()).all(near),
                "d = {D}, {n} updates: {:?}, not {:?}",
                lean.theta(),
                ridge.theta()
            );
        }
    }
    assert_eq!(Ridge::<D, P, P>::from_sums(*ridge.a(), *ridge.b()).unwrap(), ridge, "what is derived depends on the sums alone");
    assert_eq!(Ridge::<D, P, 0>::from_sums(*lean.a(), *lean.b()).unwrap(), lean, "what is derived depends on the sums alone");
}

/// The rewards in use.
fn reaction(chance: &Chance) -> f64 {
    [1.0, 0.5, 0.0, -0.5, -1.0][chance.draw().below(5)]
}

fn random<const D: usize, const P: usize>() {
    let chance = Chance::seeded(1);
    run::<D, P>(|_| (signed(&chance), reaction(&chance)));
}

fn same<const D: usize, const P: usize>() {
    let chance = Chance::seeded(2);
    let x = signed(&chance);
    run::<D, P>(|_| (x, reaction(&chance)));
}

fn alternating<const D: usize, const P: usize>() {
    let chance = Chance::seeded(3);
    let two = [signed(&chance), signed(&chance)];
    run::<D, P>(|n| (two[n as usize % 2], reaction(&chance)));
}

fn nearly_collinear<const D: usize, const P: usize>() {
    let chance = Chance::seeded(4);
    let x: [f64; D] = signed(&chance);
    run::<D, P>(|_| (x.map(|v| v + 1e-9 * (2.0 * unit(&chance) - 1.0)), reaction(&chance)));
}

fn mixed_rewards<const D: usize, const P: usize>() {
    const REWARDS: [f64; 10] = [1e-300, -1e-12, 1e-6, 0.25, -1.0, 3.0, -40.0, 1e3, -1e4, 1e5];
    let chance = Chance::seeded(5);
    run::<D, P>(|_| (signed(&chance), REWARDS[chance.draw().below(REWARDS.len())]));
}

#[test]
fn random_features() {
    random::<5, 15>();
    random::<7, 28>();
    random::<12, 78>();
}

#[test]
fn the_same_features_over_and_over() {
    same::<5, 15>();
    same::<7, 28>();
    same::<12, 78>();
}

#[test]
fn two_vectors_in_turn() {
    alternating::<5, 15>();
    alternating::<7, 28>();
    alternating::<12, 78>();
}

#[test]
fn vectors_that_differ_by_a_billionth() {
    nearly_collinear::<5, 15>();
    nearly_collinear::<7, 28>();
    nearly_collinear::<12, 78>();
}

#[test]
fn rewards_of_mixed_magnitude() {
    mixed_rewards::<5, 15>();
    mixed_rewards::<7, 28>();
    mixed_rewards::<12, 78>();
}

/// Any finite reward is accepted, so one taken back by its opposite must not leave more than rounding behind.
#[test]
fn a_huge_reward_and_its_opposite() {
    for huge in [1e6, 1e9, 1e15, 1e100, 1e299] {
        let (mut ridge, mut sums) = (Ridge::<7, 28, 28>::new(), Sums::<7>::new());
        let chance = Chance::seeded(6);
        let x = signed(&chance);
        for (n, reward) in [(1, 1.0), (2, huge), (3, -huge), (4, 0.5), (5, 1.0)] {
            ridge.update(&x, reward).unwrap();
            sums.add(&x, reward);
            sums.check(&ridge, TOLERANCE, &format!("±{huge:e}, {n} updates"));
        }
    }
}

fn of_any<const D: usize, const P: usize>(updates: &[(Vec<f64>, f64)], reload_at: usize) -> Result<(), TestCaseError> {
    let (mut ridge, mut sums) = (Ridge::<D, P, P>::new(), Sums::<D>::new());
    let mut reloaded = None;
    for (n, (x, reward)) in updates.iter().enumerate() {
        let x: [f64; D] = std::array::from_fn(|i| x[i]);
        if n == reload_at {
            reloaded = Some(Ridge::<D, P, P>::from_sums(*ridge.a(), *ridge.b()).unwrap());
        }
        ridge.update(&x, *reward).unwrap();
        sums.add(&x, *reward);
        if let Some(reloaded) = &mut reloaded {
            reloaded.update(&x, *reward).unwrap();
            prop_assert_eq!(&*reloaded, &ridge);
        }
    }
    sums.check(&ridge, TOLERANCE, &format!("d = {D}"));
    Ok(())
}

proptest! {
    #![proptest_config(cases(48))]

    /// Whatever the updates, and wherever a restart interrupts them.
    #[test]
    fn any_updates_with_a_restart_in_between(
        updates in prop::collection::vec((prop::collection::vec(-1.0..=1.0f64, 12), -1e3..1e3f64), 1..400),
        reload_at in 0usize..400,
    ) {
        of_any::<5, 15>(&updates, reload_at)?;
        of_any::<7, 28>(&updates, reload_at)?;
        of_any::<12, 78>(&updates, reload_at)?;
    }

    /// Sums that no updates can have made are refused or give finite numbers; nothing panics.
    #[test]
    fn any_sums_are_refused_or_usable(
        a in prop::collection::vec(any::<f64>(), 15),
        b in prop::collection::vec(any::<f64>(), 5),
        diagonal in prop::option::of(0.0..1e200f64),
    ) {
        let mut a: [f64; 15] = std::array::from_fn(|i| a[i]);
        if let Some(diagonal) = diagonal {
            a = a.map(|v| if v.is_finite() { v % 1.0 } else { 0.0 });
            (0..5).for_each(|i| a[packed_index(i, i)] = diagonal + 5.0);
        }
        if let Ok(mut ridge) = LinUcbRidge::from_sums(a, std::array::from_fn(|i| b[i])) {
            prop_assert!(ridge.inverse().iter().chain(ridge.theta()).all(|v| v.is_finite()));
            for _ in 0..600 {
                if ridge.update(&[1.0; 5], 1.0).is_ok() {
                    prop_assert!(ridge.theta().iter().all(|v| v.is_finite()), "{:?}", ridge);
                }
            }
        }
    }
}

/// A file's matrix may be so lopsided that later sums of it cannot be factored: then θ stays as it was until they can.
#[test]
fn sums_at_the_edge_of_positive_definite_leave_theta_as_it_was() {
    // Σ of (1, 1, …) so often that the 1 on the diagonal is next to nothing: a few ulps decide.
    let mut a = [4e15; 15];
    (0..5).for_each(|i| a[packed_index(i, i)] += 8.0);
    let mut ridge = LinUcbRidge::from_sums(a, [0.0; 5]).unwrap();
    let mut kept = 0;
    for n in 0..7_000u32 {
        let sign = if n.is_multiple_of(2) { 1.0 } else { -1.0 };
        let before = ridge.clone();
        ridge.update(&[1.0, sign * 0.9, sign * 0.7, 0.8, -0.6], sign).unwrap();
        if let Ok(fresh) = LinUcbRidge::from_sums(*ridge.a(), *ridge.b()) {
            assert_eq!(ridge, fresh);
        } else {
            assert_eq!((ridge.theta(), ridge.inverse()), (before.theta(), before.inverse()));
            kept += 1;
        }
    }
    assert!(kept > 100, "{kept} could not be factored");
}
