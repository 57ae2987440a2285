//! Micro-benchmarks of what a request is made of: `cargo bench --no-default-features --bench kernels`.

// A benchmark has nobody to return an error to, and its entry point is a macro's.
#![allow(missing_docs, clippy::unwrap_used)]

use criterion::{BatchSize, BenchmarkId, Criterion, criterion_group, criterion_main};
use oo_bandits::feature::{Moment, Profile, TaskFeatures, vector};
use oo_bandits::log::Seq;
use oo_bandits::policy::{CHUNK, Folded, Lanes, NormalisedLanes, PolicyName, Ridge, Scratch, choose};
use oo_bandits::rng::Chance;
use oo_bandits::state::{Counters, History, Pull, Record, parse, serialise};
use std::cell::Cell;
use std::hint::black_box;
use std::time::Duration;

const MOMENT: Moment = Moment { hour: 17, day: 3 };
const SIZES: [usize; 4] = [1, 10, 100, 1000];

fn profile() -> Profile {
    Profile {
        completion_rate: Some(0.4),
        dismiss_rate: Some(0.2),
        mean_dwell_ms: Some(45_000.0),
        preferred_hour: Some(8.0),
        tip_volume: Some(30.0),
    }
}

fn tasks(n: usize) -> Vec<TaskFeatures> {
    let chance = Chance::seeded(1);
    (0..n)
        .map(|_| TaskFeatures {
            is_overdue: chance.draw().happens(0.3),
            task_age_days: f64::from(u32::try_from(chance.draw().below(60)).unwrap_or_default()),
            priority: [1, 2, 3, 4][chance.draw().below(4)],
        })
        .collect()
}

fn block(n: usize) -> Vec<f64> {
    let tasks = tasks(n.next_multiple_of(CHUNK));
    let lanes: [fn(&TaskFeatures) -> f64; 3] =
        [|t| f64::from(u8::from(t.is_overdue)), |t| t.task_age_days, |t| f64::from(t.priority)];
    lanes.iter().flat_map(|lane| tasks.iter().map(lane)).collect()
}

fn lanes(block: &mut [f64], n: usize) -> Lanes<'_> {
    Lanes::new(Cell::from_mut(block).as_slice_of_cells(), n).unwrap()
}

fn learned<const D: usize, const P: usize, const I: usize>() -> Ridge<D, P, I> {
    let mut ridge = Ridge::new();
    for task in tasks(300) {
        ridge.update(&vector(MOMENT, &profile(), &task), f64::from(task.priority) - 2.0).unwrap();
    }
    ridge
}

fn choices(c: &mut Criterion) {
    let mut group = c.benchmark_group("choose");
    let chance = Chance::seeded(2);
    let (five, seven, twelve) = (learned::<5, 15, 15>(), learned::<7, 28, 0>(), learned::<12, 78, 0>());
    let mut scratch = Scratch::default();
    for n in SIZES {
        let mut block = block(n);
        let given = lanes(&mut block, n);
        let prepared = NormalisedLanes::new(&given);
        group.bench_function(BenchmarkId::new("linucb d=5", n), |b| {
            b.iter(|| choose(&Folded::linucb(&five, black_box(MOMENT), &profile()), &given, || chance.draw(), &mut scratch));
        });
        group.bench_function(BenchmarkId::new("linucb d=5, prepared", n), |b| {
            b.iter(|| choose(&Folded::linucb(&five, black_box(MOMENT), &profile()), &prepared, || chance.draw(), &mut scratch));
        });
        group.bench_function(BenchmarkId::new("egreedy d=7", n), |b| {
            b.iter(|| choose(&Folded::egreedy(&seven, black_box(MOMENT), &profile()), &given, || chance.draw(), &mut scratch));
        });
        group.bench_function(BenchmarkId::new("egreedy d=12", n), |b| {
            b.iter(|| choose(&Folded::egreedy(&twelve, black_box(MOMENT), &profile()), &given, || chance.draw(), &mut scratch));
        });
    }
    group.finish();
}

fn ridge<const D: usize, const P: usize, const I: usize>(c: &mut Criterion) {
    let x: [f64; D] = vector(MOMENT, &profile(), &tasks(1)[0]);
    let mut ridge = learned::<D, P, I>();
    let mut reward = 1.0;
    c.bench_function(&format!("ridge/update d={D}"), |b| {
        b.iter(|| {
            reward = -reward;
            ridge.update(black_box(&x), reward)
        });
    });
    let (a, b_sum) = (*ridge.a(), *ridge.b());
    c.bench_function(&format!("ridge/from sums d={D}"), |b| {
        b.iter(|| Ridge::<D, P, I>::from_sums(black_box(a), black_box(b_sum)));
    });
}

fn ridges(c: &mut Criterion) {
    ridge::<5, 15, 15>(c);
    ridge::<7, 28, 0>(c);
    ridge::<12, 78, 0>(c);
}

fn normalise(c: &mut Criterion) {
    let mut group = c.benchmark_group("lanes/normalise");
    for n in SIZES {
        let mut block = block(n);
        let given = lanes(&mut block, n);
        group.bench_function(BenchmarkId::from_parameter(n), |b| b.iter(|| NormalisedLanes::new(black_box(&given))));
    }
    group.finish();
}

fn history(c: &mut Criterion) {
    let pull = Pull {
        seconds: 1_700_000_000,
        policy: PolicyName::EGreedyV1,
        exploring: false,
        score: 0.25,
        moment: MOMENT,
        task: tasks(1)[0],
    };
    let mut history = History::default();
    let id = b"5b2f9a52-2f4d-4d0e-9a63-0c5c5f7e8f10";
    c.bench_function("history/push (full, 36-character id)", |b| b.iter(|| history.push(black_box(&pull), id, 100)));
}

fn state_file(c: &mut Criterion) {
    let ridge = learned::<12, 78, 0>();
    let counters = Counters { pulls: 4321, explore_count: 432, reward_count: 300, cumulative_reward: -7.5, last_updated: Some(1) };
    let record = Record {
        a: ridge.a().to_vec(),
        b: ridge.b().to_vec(),
        counters,
        seq: Seq::default(),
        unlogged: false,
        history: Vec::new(),
        ledger: oo_bandits::state::Ledger::default(),
        extra: None,
    };
    let bytes = serialise("user-1", PolicyName::EGreedyV2, &record);
    c.bench_function("state file/serialise d=12", |b| b.iter(|| serialise("user-1", PolicyName::EGreedyV2, black_box(&record))));
    c.bench_function("state file/parse d=12", |b| b.iter_batched(|| bytes.clone(), |bytes| parse(&bytes), BatchSize::SmallInput));
}

criterion_group! {
    name = kernels;
    config = Criterion::default()
        .warm_up_time(Duration::from_millis(200))
        .measurement_time(Duration::from_millis(600))
        .sample_size(30)
        .without_plots();
    targets = choices, ridges, normalise, history, state_file
}
criterion_main!(kernels);
