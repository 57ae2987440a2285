//! The bandits as pure mathematics: the ridge estimator that all three share, and how each chooses. No I/O, no locks, no
//! time; chance comes in as a [`Draw`](crate::rng::Draw). What a user's state is beside the estimator (counters, files)
//! lives in `state`.

mod choice;
mod cholesky;
mod distribution;
mod fold_cache;
mod folded;
mod kernel;
mod lanes;
mod name;
mod registry;
mod ridge;

pub use choice::{ALPHA, Choice, EPSILON, Eligible, Scratch, choose, choose_masked, score};
pub use distribution::{Distribution, drawn};
pub use fold_cache::{FoldCache, FoldKey};
pub use folded::{Folded, Mean, Width};
pub use kernel::Kernel;
pub use lanes::{CHUNK, Candidates, Lanes, NormalisedLanes};
pub use name::{OfPolicies, PolicyName};
pub use registry::{Assignment, Change as PolicyChange, Mode, PolicyRegistry, Share};
pub use ridge::{EGreedy2Ridge, EGreedyRidge, LinUcbRidge, MAX_SUM, Ridge, RidgeError, is_sum_of_products, packed_index};
