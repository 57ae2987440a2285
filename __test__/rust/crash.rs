//! Everything that an engine can be asked, in one run, and a crash after any change of the disk: what was acknowledged is there
//! afterwards, once, as if nothing had happened. The sums are compared bit for bit with an estimator that learned the same.

use crate::memory_disk::{Image, MemoryDisk, Running, open_on};
use crate::support::{ManualClock, give, reward_call, score, some_tasks, wait, with_room};
use oo_bandits::Engine;
use oo_bandits::feature::{self, Moment, Profile, TaskFeatures};
use oo_bandits::policy::{PolicyName, Ridge};
use oo_bandits::rng::Chance;
use oo_bandits::settings::Settings;
use std::time::Duration;

/// The first two share the names of their files; the file of `x_egreedy` under one policy is that of `x` under another.
const USERS: [&str; 5] = ["a-b", "a_b", "x", "x_egreedy", "Ünï/x"];
/// Larger than any of the script's, whose sum it must not hide.
const ONE_MORE: f64 = (1u64 << 45) as f64;

#[derive(Debug, Clone, Copy, PartialEq)]
enum What {
    /// A power of two: the sum says which ones are in it.
    Reward(PolicyName, f64),
    Pull(PolicyName),
    /// Or an erasure.
    Reset,
}

/// Something that the engine was told, with how many changes the disk had seen before and afterwards.
#[derive(Debug)]
struct Told {
    user: usize,
    what: What,
    begun: usize,
    done: usize,
}

/// From a change on, so many of the events survive power loss; all or one user's.
struct Safe {
    events: usize,
    user: Option<usize>,
    done: usize,
}

struct Run {
    settings: Settings,
    disk: MemoryDisk,
    changes: usize,
    told: Vec<Told>,
    safe: Vec<Safe>,
}

/// A user under a policy, as far as tests can tell: A, b, count and sum of rewards, pulls, rows of the history.
type Standing = (Vec<u64>, Vec<u64>, u64, u64, u64, usize);

/// The powers of two come with different features, so that A and b tell their order.
fn moment_of(reward: f64) -> Moment {
    let power = reward.log2() as u8;
    Moment { hour: power % 24, day: power % 7 }
}

fn reward(engine: &Engine, user_id: &str, policy: PolicyName, reward: f64) {
    let call = reward_call(policy, moment_of(reward), reward);
    with_room(|| give(engine, user_id, &call)).unwrap();
}

fn run(seed: u64, max_hot_users: u64) -> Run {
    // Powers of two, each a larger one: more than any option allows.
    let settings = Settings { seed: Some(1), max_hot_users, max_reward: f64::MAX, ..Settings::at("/memory") };
    let disk = MemoryDisk::default();
    let engine = open_on(&disk, settings.clone(), &ManualClock::at(1_700_000_000)).unwrap();
    let chance = Chance::seeded(seed);
    let (mut told, mut safe) = (Vec::new(), Vec::new());
    let mut powers = [[0; 3]; USERS.len()];
    for step in 0..130 {
        let user = chance.draw().below(USERS.len());
        let policy = PolicyName::ALL[chance.draw().below(3)];
        let begun = disk.changes();
        let mut tell = |what| told.push(Told { user, what, begun, done: disk.changes() });
        match chance.draw().below(24) {
            0..12 => {
                let power = &mut powers[user][policy as usize];
                let value = 2f64.powi(*power);
                *power += 1;
                reward(&engine, USERS[user], policy, value);
                tell(What::Reward(policy, value));
            }
            12..17 => {
                let dropped = || engine.health().log.dropped_pulls;
                let before = dropped();
                score(&engine, USERS[user], policy, &some_tasks(3, &chance), &format!("tip {step}")).unwrap();
                // Where memory has no room for the user, because the writer is late, a tip is shown and its pull is counted as dropped.
                if dropped() == before {
                    tell(What::Pull(policy));
                }
            }
            17 => {
                with_room(|| engine.reset(USERS[user])).unwrap();
                tell(What::Reset);
            }
            18 => {
                with_room(|| wait(|done| engine.erase(USERS[user], done))).unwrap();
                tell(What::Reset);
                safe.push(Safe { events: told.len(), user: Some(user), done: disk.changes() });
            }
            19 | 20 => {
                wait(|done| engine.flush(done)).unwrap();
                safe.push(Safe { events: told.len(), user: None, done: disk.changes() });
            }
            21 => {
                wait(|done| engine.checkpoint(done)).unwrap();
                safe.push(Safe { events: told.len(), user: None, done: disk.changes() });
            }
            _ => std::thread::sleep(Duration::from_millis(step % 13)),
        }
    }
    let changes = disk.changes();
    Run { settings, disk, changes, told, safe }
}

fn bits(numbers: &[f64]) -> Vec<u64> {
    numbers.iter().map(|v| v.to_bits()).collect()
}

fn standing(engine: &Engine, user_id: &str, policy: PolicyName) -> Standing {
    let rows = engine.features(user_id).unwrap().history;
    let rows = rows.iter().filter(|row| row.policy == policy).count();
    loop {
        let user = engine.user(user_id).unwrap();
        let state = user.lock();
        if state.is_retired() {
            continue;
        }
        let Some(record) = state.record(policy) else { return learned(policy, &[], 0, rows) };
        let counters = record.counters;
        let sum = counters.cumulative_reward.to_bits();
        return (bits(&record.a), bits(&record.b), counters.reward_count, sum, counters.pulls, rows);
    }
}

fn snapshot(engine: &Engine) -> Vec<Standing> {
    USERS.iter().flat_map(|user| PolicyName::ALL.map(|policy| standing(engine, user, policy))).collect()
}

/// The oracle: what these rewards make, in this order.
fn learned(policy: PolicyName, rewards: &[f64], pulls: u64, rows: usize) -> Standing {
    fn sums<const D: usize, const P: usize>(rewards: &[f64]) -> (Vec<u64>, Vec<u64>) {
        let mut ridge = Ridge::<D, P, 0>::new();
        for &reward in rewards {
            let x = feature::vector(moment_of(reward), &Profile::default(), &TaskFeatures::default());
            ridge.update(&x, reward).unwrap();
        }
        (bits(ridge.a()), bits(ridge.b()))
    }
    let (a, b) = match policy {
        PolicyName::LinUcbV1 => sums::<5, 15>(rewards),
        PolicyName::EGreedyV1 => sums::<7, 28>(rewards),
        PolicyName::EGreedyV2 => sums::<12, 78>(rewards),
    };
    (a, b, rewards.len() as u64, rewards.iter().fold(0.0, |sum, reward| sum + reward).to_bits(), pulls, rows)
}

impl Run {
    /// What is wrong with what a crash after `changes` has left of a user under a policy, if anything: it must be what follows from
    /// the user's first events, among them all that `must_have` says.
    fn problem(&self, found: &Standing, user: usize, policy: PolicyName, changes: usize, is_cut: bool) -> Option<String> {
        let safe = self.safe.iter().filter(|safe| safe.done <= changes && safe.user.is_none_or(|of| of == user));
        let safe = safe.map(|safe| safe.events).max().unwrap_or(0);
        let of_user: Vec<(usize, &Told)> = self.told.iter().enumerate().filter(|(_, told)| told.user == user).collect();
        let (mut rewards, mut pulls) = (Vec::new(), (0, 0));
        // Every beginning of the events, the longest ones included that had begun.
        for end in 0..=of_user.len() {
            let rest = &of_user[end..];
            let is_complete = |(at, told): &(usize, &Told)| match told.what {
                // A pull is queued: until a flush it may be missing.
                What::Pull(_) => true,
                What::Reward(of, _) if of != policy => true,
                _ if is_cut => *at >= safe,
                _ => told.done > changes,
            };
            if rest.iter().all(is_complete) {
                // Pulls are behind rewards that came later, so that some after `end` may be there and some before may not.
                let more = rest.iter().take_while(|(_, told)| told.what != What::Reset && told.begun < changes);
                let more = more.filter(|(_, told)| told.what == What::Pull(policy)).count() as u64;
                let expected = learned(policy, &rewards, found.4, found.5);
                if *found == expected && (pulls.0..=pulls.1 + more).contains(&found.4) && found.5 as u64 == found.4 {
                    return None;
                }
            }
            let Some((at, told)) = rest.first().filter(|(_, told)| told.begun < changes || told.done <= changes) else { break };
            match told.what {
                What::Reward(of, reward) if of == policy => rewards.push(reward),
                What::Pull(of) if of == policy => pulls = (pulls.0 + u64::from(*at < safe), pulls.1 + 1),
                What::Reset => (rewards, pulls) = (Vec::new(), (0, 0)),
                _ => {}
            }
        }
        let (count, sum, pulls, rows) = (found.2, f64::from_bits(found.3), found.4, found.5);
        let events: Vec<_> = of_user.iter().map(|(at, told)| (at, told.what, told.begun, told.done)).collect();
        Some(format!("{count} rewards of {sum}, {pulls} pulls in {rows} rows; safe {safe}; events {events:?}"))
    }

    fn open(&self, disk: &MemoryDisk) -> Running {
        open_on(disk, self.settings.clone(), &ManualClock::at(1_700_000_100)).unwrap()
    }

    /// Opens what a crash has left, again and again.
    fn check(&self, image: Image, changes: usize, is_cut: bool, turn: usize) {
        let what = format!("{} after {changes} of {} changes", if is_cut { "power cut" } else { "kill" }, self.changes);
        let disk = MemoryDisk::with(image);
        let engine = self.open(&disk);
        let found = snapshot(&engine);
        for (i, found) in found.iter().enumerate() {
            let (user, policy) = (i / 3, PolicyName::ALL[i % 3]);
            if let Some(problem) = self.problem(found, user, policy, changes, is_cut) {
                panic!("{what}: {} under {}: {problem}", USERS[user], policy.as_str());
            }
        }
        match turn % 3 {
            0 => {
                // An erasure that was cut short is finished first.
                wait(|done| engine.checkpoint(done)).unwrap();
                engine.close().unwrap();
                let engine = self.open(&disk);
                assert_eq!(engine.recovery().segments, 0, "{what}: read something after a clean end");
                assert_eq!(snapshot(&engine), found, "{what}, and a clean end");
            }
            1 => {
                wait(|done| engine.checkpoint(done)).unwrap();
                drop(engine);
                for (again, moment) in disk.moments((turn % 4..).step_by(1 + disk.changes() / 4)) {
                    let image = if again % 2 == 0 { moment.kill() } else { moment.cut(again as u64) };
                    let engine = self.open(&MemoryDisk::with(image));
                    assert_eq!(snapshot(&engine), found, "{what}, and again after {again} changes of the next start");
                }
            }
            _ => {
                // What comes afterwards is not taken for something that is known already.
                for user in USERS {
                    for policy in PolicyName::ALL {
                        reward(&engine, user, policy, ONE_MORE);
                    }
                }
                let killed = disk.image();
                drop(engine);
                let engine = self.open(&MemoryDisk::with(killed));
                let sums = |of: &[Standing]| of.iter().map(|s| (s.2, f64::from_bits(s.3), s.4)).collect::<Vec<_>>();
                let with_one_more: Vec<_> = sums(&found).iter().map(|(n, sum, pulls)| (n + 1, sum + ONE_MORE, *pulls)).collect();
                assert_eq!(sums(&snapshot(&engine)), with_one_more, "{what}, a reward for each, and a kill");
            }
        }
    }
}

fn crashes(seed: u64, max_hot_users: u64) {
    let run = run(seed, max_hot_users);
    let moments = run.disk.moments((seed as usize % 8..run.changes).step_by(8).chain([run.changes]));
    for (turn, (changes, moment)) in moments.into_iter().enumerate() {
        run.check(moment.kill(), changes, false, turn);
        for cut in 0..2 {
            run.check(moment.cut(100 * changes as u64 + cut), changes, true, turn + cut as usize);
        }
    }
}

#[test]
fn what_was_acknowledged_survives_a_crash_after_any_change() {
    (0..3).for_each(|seed| crashes(seed, 50_000));
}

#[test]
fn what_was_acknowledged_survives_a_crash_while_users_come_and_go() {
    (3..6).for_each(|seed| crashes(seed, 2));
}
