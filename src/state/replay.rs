//! The state files that follow from a log alone, and what the log lacks.

use super::file_name::{may_share_plain_name, plain_name};
use super::record::UserBounds;
use super::recovery::{Gathered, MOST_LISTED, Progress, ShortSegment, gather_all};
use super::store::{Naming, Stamp, StateFiles, StateStore};
use super::user::UserState;
use crate::disk::Directory;
use crate::error::Result;
use crate::log::{InteractionLog, SegmentName, Seq, Sorted, cut_segments, sort_segments};
use crate::policy::PolicyName;
use serde::Serialize;
use std::collections::HashMap;

/// How a replay went.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
#[allow(missing_docs)] // documented where users read it: index.d.ts
pub struct ReplayReport {
    pub complete: bool,
    pub reasons: Vec<String>,
    pub users: u64,
    pub records: u64,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub missing: Vec<ShortSegment>,
}

type Places = HashMap<(String, PolicyName), Stamp>;

/// Writes the state files that follow from the log of `from` alone to `store`, which is empty. Their names are those of `originals`, the
/// files of the directory that the log is in.
///
/// # Errors
/// As [`gather_all`], and those of `store`.
pub fn replay(
    from: &Directory,
    originals: Option<&StateFiles>,
    store: &dyn StateStore,
    bounds: UserBounds,
) -> Result<ReplayReport> {
    let mut progress = Progress::default();
    let Sorted { own: names, foreign, .. } = sort_segments(&InteractionLog::segments(from)?, None);
    let gathered = gather_all(from, &names, &mut progress)?;
    let cut: Vec<ShortSegment> = cut_segments(from, &names).iter().map(Into::into).collect();
    let mut reasons = reasons(&names, &gathered, &cut);
    if let Some(first) = foreign.first() {
        reasons.push(format!(
            "{} segments were left out whose numbers cannot be this log's, the first of them {first}",
            foreign.len()
        ));
    }
    let gone = gathered.missing.iter().map(|(name, had)| ShortSegment { segment: name.to_string(), has: None, had: *had });
    let missing = cut.iter().cloned().chain(gone).take(MOST_LISTED).collect();
    let places = places(&gathered, originals, store)?;
    let mut users = 0;
    let blank = |_: &str| Ok(UserState::unread());
    let report = gathered.apply(bounds, true, &mut progress, blank, |recovered| {
        let mut written = 0;
        for policy in PolicyName::ALL {
            let Some(record) = recovered.state.whole_record(policy) else { continue };
            let place = places.get(&(recovered.user_id.to_string(), policy)).copied();
            let mut stamp = place.unwrap_or(const { Stamp::distinct() });
            store.save(&recovered.user_id, policy, &record, &mut stamp)?;
            written = 1;
        }
        users += written;
        Ok(())
    })?;
    store.sync()?;
    Ok(ReplayReport { complete: reasons.is_empty(), reasons, users, records: report.applied, missing })
}

/// Where each user's record goes.
///
/// Of two users whose ids share a plain name the first one got it, and the log does not say who that was: lines of a person who was erased
/// are gone, and a file that somebody else wrote has none before its user's first change. So it is the originals that say. Where these are
/// gone, a plain name goes to who surely had it; everybody else gets the other one, under which an engine looks first.
fn places(gathered: &Gathered, originals: Option<&StateFiles>, store: &dyn StateStore) -> Result<Places> {
    let claims = gathered.claims();
    let mut named = Vec::with_capacity(claims.len());
    for (user_id, policy) in claims {
        let naming = originals.map_or(Ok(Naming::Free), |originals| originals.naming(&user_id, policy))?;
        named.push((user_id, policy, naming));
    }
    let has_originals = named.iter().any(|(.., naming)| *naming != Naming::Free);
    let mut shared: HashMap<String, u32> = HashMap::new();
    for (user_id, policy, _) in &named {
        if let Some(plain) = plain_name(user_id, *policy) {
            *shared.entry(plain).or_default() += 1;
        }
    }
    let is_surely_its_own = |user_id: &str, policy| {
        let is_contested = plain_name(user_id, policy).is_none_or(|plain| shared.get(&plain).is_some_and(|users| *users > 1));
        !is_contested && (gathered.has_beginning || !may_share_plain_name(user_id))
    };
    let mut places = Places::new();
    for wanted in [Naming::Plain, Naming::Free, Naming::Distinct] {
        for (user_id, policy, _) in named.iter().filter(|(.., naming)| *naming == wanted) {
            let takes_plain = match wanted {
                Naming::Plain => true,
                Naming::Free => has_originals || is_surely_its_own(user_id, *policy),
                Naming::Distinct => false,
            };
            let stamp = if takes_plain { store.claim(user_id, *policy, Stamp::default()) } else { Stamp::distinct() };
            places.insert((user_id.clone(), *policy), stamp);
        }
    }
    Ok(places)
}

/// Why the files need not be the originals.
fn reasons(names: &[SegmentName], gathered: &Gathered, cut: &[ShortSegment]) -> Vec<String> {
    let mut reasons = Vec::new();
    match names.first() {
        None => reasons.push("there is no segment".to_owned()),
        Some(first) if first.0 != (Seq { epoch: 1, n: 0 }) && !gathered.has_beginning => {
            reasons.push(format!("the log begins with {first}: what came before was removed"));
        }
        Some(_) => {}
    }
    if gathered.gaps > 0 {
        reasons.push(format!("{} pulls were dropped when they happened", gathered.gaps));
    }
    if !gathered.silent.is_empty() {
        reasons.push(format!("in {} epochs nothing was appended", gathered.silent.len()));
    }
    let unended: Vec<_> = gathered.epochs.difference(&gathered.ended).collect();
    if let Some(epoch) = unended.first() {
        let count = unended.len();
        reasons
            .push(format!("{count} epochs, the first of them {epoch}, have no end: pulls of the last 10 ms may be missing there"));
    }
    if let Some((missing, _)) = gathered.missing.first() {
        reasons.push(format!("{} segments are missing, the first of them {missing}", gathered.missing.len()));
    }
    if let Some(first) = cut.first() {
        reasons.push(format!("{} segments are shorter than they were: the first of them, {first}", cut.len()));
    } else if let Some(behind) = names.first().and_then(|first| gathered.first_without_mark(*first)) {
        reasons.push(format!("a mark that {behind} names is missing: a segment before it is shorter than it was"));
    }
    let damaged = gathered.report.damaged_lines - gathered.missing.len() as u64;
    if damaged > 0 {
        reasons.push(format!("{damaged} places cannot be read"));
    }
    let unknown = gathered.begun_in_the_midst();
    if unknown > 0 {
        reasons.push(format!("{unknown} users were known before their first lines"));
    }
    reasons
}
