//! How each policy chooses among the candidates of one request.

use super::distribution::Distribution;
use super::folded::Folded;
use super::kernel::Kernel;
use super::lanes::{CHUNK, Candidates};
use crate::rng::Draw;

/// `LinUCB`'s exploration coefficient α.
pub const ALPHA: f64 = 1.0;
/// ε-greedy's probability of a uniform draw.
pub const EPSILON: f64 = 0.1;

/// What a policy chose.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Choice {
    /// The place of the chosen candidate.
    pub index: usize,
    /// Its score.
    pub score: f64,
    /// It was drawn uniformly.
    pub exploring: bool,
    /// The probability with which the policy chooses this candidate.
    pub propensity: f64,
}

/// Memory for one request's scores, reused from request to request.
#[derive(Debug, Clone, Default)]
pub struct Scratch {
    kernel: Kernel,
    scores: Vec<f64>,
}

impl Scratch {
    #[inline]
    fn scores(&mut self, candidates: usize) -> &mut [f64] {
        let padded = candidates.next_multiple_of(CHUNK);
        if self.scores.len() < padded {
            self.scores.resize(padded, 0.0);
        }
        &mut self.scores[..padded]
    }

    /// The scores of the last request that was scored here, of so many candidates.
    #[must_use]
    pub fn last_scores(&self, candidates: usize) -> &[f64] {
        self.scores.get(..candidates).unwrap_or_default()
    }

    /// Gives memory back that one large request left behind.
    pub fn shrink(&mut self, candidates: usize) {
        if self.scores.capacity() > candidates {
            self.scores = Vec::new();
        }
    }
}

/// Which candidates can be chosen: all of them, or one flag each.
pub type Eligible<'m> = Option<&'m [bool]>;

/// Scores every candidate and finds the best of those that are eligible; there is one.
#[inline]
pub fn score(folded: &Folded, candidates: &impl Candidates, eligible: Eligible<'_>, scratch: &mut Scratch) -> usize {
    let kernel = scratch.kernel;
    let scores = scratch.scores(candidates.len());
    let best = match &folded.width {
        Some(width) => kernel.upper_bounds(&folded.mean, width, ALPHA, candidates, scores),
        None => kernel.means(&folded.mean, candidates, scores),
    };
    eligible.map_or(best, |eligible| best_of(scores, eligible))
}

fn best_of(scores: &[f64], eligible: &[bool]) -> usize {
    let of = scores.iter().zip(eligible).enumerate().filter(|(_, (_, eligible))| **eligible);
    // The first of equal ones.
    of.fold(None, |best: Option<(usize, f64)>, (i, (&score, _))| match best {
        Some((_, other)) if other >= score => best,
        _ => Some((i, score)),
    })
    .map_or(0, |(i, _)| i)
}

/// `LinUCB`: argmax of θ·x + α√(xᵀA⁻¹x). ε-greedy: with probability ε uniform, else argmax of θ·x; only then something is drawn.
/// There is at least one candidate.
#[inline]
pub fn choose(folded: &Folded, candidates: &impl Candidates, draw: impl FnOnce() -> Draw, scratch: &mut Scratch) -> Choice {
    let greedy = score(folded, candidates, None, scratch);
    chosen(folded, &Distribution { greedy, epsilon: folded.epsilon(), candidates: candidates.len(), eligible: None }, draw, scratch)
}

/// The same among those that are eligible; at least one is. Apart from [`choose`], so that what has no mask is compiled as if there were none.
#[cold]
#[inline(never)]
pub fn choose_masked(
    folded: &Folded,
    candidates: &impl Candidates,
    eligible: &[bool],
    draw: impl FnOnce() -> Draw,
    scratch: &mut Scratch,
) -> Choice {
    let eligible = Some(eligible);
    let greedy = score(folded, candidates, eligible, scratch);
    chosen(folded, &Distribution { greedy, epsilon: folded.epsilon(), candidates: candidates.len(), eligible }, draw, scratch)
}

#[inline(always)]
#[allow(clippy::inline_always)] // part of choose()
fn chosen(folded: &Folded, of: &Distribution<'_>, draw: impl FnOnce() -> Draw, scratch: &Scratch) -> Choice {
    let (index, exploring) = if folded.epsilon() > 0.0 { of.choose(draw()) } else { (of.greedy, false) };
    Choice { index, score: scratch.last_scores(of.candidates)[index], exploring, propensity: of.probability(index) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::feature::{Moment, Profile, TaskFeatures, vector};
    use crate::policy::{EGreedyRidge, Lanes, LinUcbRidge, NormalisedLanes, packed_index};
    use crate::rng::Chance;

    fn lanes(tasks: &[TaskFeatures]) -> NormalisedLanes {
        let mut block = Vec::new();
        NormalisedLanes::new(&Lanes::written(tasks, &mut block))
    }

    fn linucb(ridge: &LinUcbRidge, moment: Moment, lanes: &NormalisedLanes) -> Choice {
        let folded = Folded::linucb(ridge, moment, &Profile::default());
        choose(&folded, lanes, || unreachable!("LinUCB draws nothing"), &mut Scratch::default())
    }

    fn tasks(n: usize, chance: &Chance) -> Vec<TaskFeatures> {
        (0..n)
            .map(|_| TaskFeatures {
                is_overdue: chance.draw().happens(0.5),
                task_age_days: chance.draw().below(40) as f64,
                priority: 1 + chance.draw().below(4) as u8,
            })
            .collect()
    }

    #[test]
    fn linucb_folded_equals_the_whole_form() {
        let chance = Chance::seeded(11);
        let moment = Moment { hour: 17, day: 3 };
        let mut ridge = LinUcbRidge::new();
        for task in tasks(200, &chance) {
            ridge.update(&vector(moment, &Profile::default(), &task), chance.draw().below(3) as f64 - 1.0).unwrap();
            let many = tasks(20, &chance);
            let whole = |task: &TaskFeatures| {
                let x: [f64; 5] = vector(moment, &Profile::default(), task);
                let mean: f64 = (0..5).map(|i| ridge.theta()[i] * x[i]).sum();
                let width: f64 = (0..5)
                    .flat_map(|i| (0..5).map(move |j| (i, j)))
                    .map(|(i, j)| x[i] * x[j] * ridge.inverse()[packed_index(i.max(j), i.min(j))])
                    .sum();
                mean + ALPHA * width.sqrt()
            };
            let choice = linucb(&ridge, moment, &lanes(&many));
            let best = many.iter().map(whole).fold(f64::NEG_INFINITY, f64::max);
            assert!((choice.score - best).abs() < 1e-12);
            assert!((whole(&many[choice.index]) - best).abs() < 1e-12);
        }
    }

    #[test]
    fn ties_go_to_the_first() {
        let same = vec![TaskFeatures::default(); 9];
        let choice = linucb(&LinUcbRidge::new(), Moment::default(), &lanes(&same));
        assert_eq!(choice.index, 0);
    }

    #[test]
    fn propensities_are_the_observed_frequencies() {
        let chance = Chance::seeded(5);
        let mut ridge = EGreedyRidge::new();
        let many = tasks(4, &chance);
        let moment = Moment::default();
        ridge.update(&vector(moment, &Profile::default(), &many[2]), 1.0).unwrap();
        let (folded, lanes) = (Folded::egreedy(&ridge, moment, &Profile::default()), lanes(&many));
        let (mut seen, mut said) = ([0f64; 4], [0f64; 4]);
        const DRAWS: usize = 100_000;
        for _ in 0..DRAWS {
            let choice = choose(&folded, &lanes, || chance.draw(), &mut Scratch::default());
            seen[choice.index] += 1.0;
            said[choice.index] = choice.propensity;
        }
        assert!((said.iter().sum::<f64>() - 1.0).abs() < 1e-12);
        let chi2: f64 = (0..4).map(|i| (seen[i] - said[i] * DRAWS as f64).powi(2) / (said[i] * DRAWS as f64)).sum();
        assert!(chi2 < 16.3, "{chi2}"); // the 99.9 % point with 3 degrees of freedom
    }
}
