//! How long questions take: measured by hand, asserted nowhere. `cargo test --release --no-default-features --lib timing -- --ignored
//! --nocapture`, with `CARGO_PROFILE_RELEASE_LTO=off`.

use super::fixture::{Log, Made, watch};
use super::{AnalyticsFilter, By, DecisionFilter, SimulationSettings, analytics, data_quality, decisions, simulate};
use crate::policy::PolicyName;
use crate::rng::Chance;
use std::time::Instant;

/// A segment's size.
const SEGMENT: usize = 32 << 20;

/// Half of the lines are decisions of 10 candidates with three policies, three in ten feedback, the rest rewards.
fn million() -> (Log, u64) {
    let (mut log, chance, mut bytes) = (Log::new(), Chance::seeded(1), 0);
    for i in 0..100_000_u64 {
        log.ms += 25_000;
        let user_id = format!("user-{}", chance.draw().below(5000));
        let decided: Vec<_> = (0..5)
            .map(|_| log.decision(&Made::drawn(&user_id, 10, PolicyName::ALL[(i % 3) as usize], Some(0.05), &chance)))
            .collect();
        for seq in decided.iter().take(3) {
            let (action, reward) = [("done", 1.0), ("snooze", 0.0), ("dismiss", -1.0)][chance.draw().below(3)];
            let at = log.ms + 60_000;
            log.feedback(*seq, Some(action), reward, at);
        }
        log.reward();
        log.reward();
        if log.bytes.len() > SEGMENT {
            bytes += log.bytes.len() as u64;
            log.next_segment();
        }
    }
    bytes += log.bytes.len() as u64;
    (log, bytes)
}

/// What this process has used of processors so far, in seconds (Linux; ticks of 10 ms). It says more than a clock where others
/// are at work.
fn used() -> f64 {
    let stat = std::fs::read_to_string("/proc/self/stat").unwrap_or_default();
    let ticks = stat.rsplit(')').next().into_iter().flat_map(|rest| rest.split_whitespace().skip(11).take(2));
    ticks.filter_map(|ticks| ticks.parse::<f64>().ok()).sum::<f64>() / 100.0
}

fn timed(what: &str, ask: impl FnOnce() -> u64) {
    let (started, before) = (Instant::now(), used());
    let n = ask();
    eprintln!("{what}: {:.2} s, {:.2} s of processor time, {n}", started.elapsed().as_secs_f64(), used() - before);
}

#[test]
#[ignore = "measures; some 1 GB on disk"]
fn timing() {
    let (log, bytes) = million();
    let directory = log.directory();
    eprintln!("1,000,000 lines, {} MB", bytes / 1_000_000);
    for _ in 0..2 {
        let watch = watch();
        for by in [By::Day, By::PromptVersion] {
            let filter = AnalyticsFilter { since_ms: None, until_ms: None, by };
            timed(&format!("analytics {by:?}, decisions"), || {
                analytics(&directory, filter, &watch).unwrap().unwrap().totals.decisions
            });
        }
    }
    {
        let watch = watch();
        timed("data_quality, decisions", || data_quality(&directory, None, &watch).unwrap().unwrap().decisions);
        let settings = SimulationSettings::of(PolicyName::EGreedyV1);
        timed("simulate, accepted", || simulate(&directory, settings, &watch).unwrap().unwrap().accepted);
    }
    let last = DecisionFilter { limit: 500, ..DecisionFilter::default() };
    let rows = |filter| decisions(&directory, filter, &watch()).unwrap().unwrap().decisions.len() as u64;
    timed("decisions, the last", || rows(last));
    timed("decisions, all of a user", || rows(DecisionFilter { user_id: Some("user-17"), ..last }));
}
