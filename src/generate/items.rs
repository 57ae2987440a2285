//! What a model's list of items becomes: candidates that can be shown and scored, and what was not used of it, with reasons.

use super::list::List;
use super::text::is_blank;
use crate::rng::Chance;
use serde::Serialize;
use serde_json::{Map, Value};
use std::collections::HashSet;

/// A tip that can be shown.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
#[allow(missing_docs)] // documented where users read it: index.d.ts
pub struct Candidate {
    pub id: String,
    pub content: String,
    pub source: &'static str,
    pub rationale: Option<String>,
    pub prompt_version: String,
}

/// Something that was not used.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[allow(missing_docs)] // documented where users read it: index.d.ts
pub struct Dropped {
    pub index: Option<usize>,
    pub what: What,
    pub reason: String,
}

/// What of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
#[allow(missing_docs)] // documented where users read it: index.d.ts
pub enum What {
    Item,
    Id,
    Rationale,
    Count,
}

/// As `score()` takes them, in UTF-16 units.
const LONGEST_ID: usize = 512;
/// Nobody reads a longer tip; in UTF-16 units.
const LONGEST_CONTENT: usize = 1000;
const LONGEST_RATIONALE: usize = 2000;
const MOST_ITEMS: usize = 100;

/// Why a list ends before the model was done with it.
pub const CUT: &str = "cut at the token limit";

/// The candidates in a list of items, for a request that asked for `n`; `taken` are ids that they must not have.
pub fn read_items(list: &List, n: u32, prompt_version: &str, taken: &HashSet<&str>) -> (Vec<Candidate>, Vec<Dropped>) {
    let (mut candidates, mut dropped) = (Vec::new(), Vec::new());
    let mut used: HashSet<String> = HashSet::new();
    for (index, item) in list.items.iter().enumerate() {
        let mut drop = |what: What, reason: &str| dropped.push(Dropped { index: Some(index), what, reason: reason.to_owned() });
        if candidates.len() == MOST_ITEMS {
            drop(What::Item, "more than 100");
            continue;
        }
        let Some(item) = item.as_object() else {
            drop(What::Item, "not an object");
            continue;
        };
        let content = match usable_content(item) {
            Ok(content) => content.to_owned(),
            Err(reason) => {
                drop(What::Item, reason);
                continue;
            }
        };
        let id = match given_id(item, |id| taken.contains(id) || used.contains(id)) {
            Ok(given) => given.map(str::to_owned),
            Err(reason) => {
                drop(What::Id, reason);
                None
            }
        };
        let id = id.unwrap_or_else(|| made_id(index));
        used.insert(id.clone());
        let rationale = match item.get("rationale") {
            None | Some(Value::Null) => None,
            Some(Value::String(text)) if utf16_len(text) <= LONGEST_RATIONALE => Some(text.clone()),
            Some(Value::String(_)) => {
                drop(What::Rationale, "longer than 2000 UTF-16 units");
                None
            }
            Some(_) => {
                drop(What::Rationale, "not a string");
                None
            }
        };
        candidates.push(Candidate { id, content, source: "llm", rationale, prompt_version: prompt_version.to_owned() });
    }
    if list.is_cut {
        let reason = format!("the list was {CUT} (finish_reason: length): from here on it was not written");
        dropped.push(Dropped { index: Some(list.items.len()), what: What::Item, reason });
    }
    if candidates.len() != n as usize {
        dropped.push(Dropped { index: None, what: What::Count, reason: format!("{n} asked for, {} usable", candidates.len()) });
    }
    (candidates, dropped)
}

fn usable_content(item: &Map<String, Value>) -> Result<&str, &'static str> {
    match item.get("content") {
        None => Err("no content"),
        Some(Value::String(text)) if is_blank(text) => Err("empty content"),
        Some(Value::String(text)) if utf16_len(text) > LONGEST_CONTENT => Err("content longer than 1000 UTF-16 units"),
        Some(Value::String(text)) if text.contains(|c: char| c.is_control() && c != '\n' && c != '\t') => {
            Err("control characters in the content")
        }
        Some(Value::String(text)) => Ok(text),
        Some(_) => Err("content is not a string"),
    }
}

/// The id that the model gave, if it gave one.
fn given_id(item: &Map<String, Value>, is_taken: impl Fn(&str) -> bool) -> Result<Option<&str>, &'static str> {
    match item.get("id") {
        None | Some(Value::Null) => Ok(None),
        Some(Value::String(id)) if id.is_empty() => Err("empty id"),
        Some(Value::String(id)) if utf16_len(id) > LONGEST_ID => Err("id longer than 512 UTF-16 units"),
        Some(Value::String(id)) if is_taken(id) => Err("an id that another candidate or a task has"),
        Some(Value::String(id)) => Ok(Some(id)),
        Some(_) => Err("id is not a string"),
    }
}

/// An id that nothing else has, now or later: reactions are counted by it.
fn made_id(index: usize) -> String {
    format!("tip-{index}-{:016x}", Chance::unrepeatable_seed())
}

fn utf16_len(text: &str) -> usize {
    text.encode_utf16().count()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn read(items: &Value, n: u32) -> (Vec<Candidate>, Vec<Dropped>) {
        let list = List { items: items.as_array().unwrap().clone(), is_cut: false };
        read_items(&list, n, "v1", &HashSet::from(["task-1"]))
    }

    #[test]
    fn what_can_be_used_is_and_the_rest_has_a_reason() {
        let items = json!([
            {"id": "a", "content": " kept as it is\n", "rationale": "why", "score": 3},
            {"id": "a", "content": "a again"},
            {"id": "task-1", "content": "a task's", "rationale": null},
            {"id": 7, "content": "a number", "rationale": 5},
            {"content": "none"},
            {"id": "", "content": "empty id", "rationale": "x".repeat(2001)},
            {"id": "x".repeat(513), "content": "long id"},
            "text", null, {"id": "b"}, {"content": ""}, {"content": " \n"}, {"content": "\u{200b}\u{2060}\u{ad}"}, {"content": 5}, {"content": null},
            {"content": "x".repeat(1001)}, {"content": "a\u{1b}[31m"}, {"content": "x".repeat(1000)},
        ]);
        let (candidates, dropped) = read(&items, 8);
        let contents: Vec<_> = candidates.iter().take(7).map(|c| c.content.as_str()).collect();
        assert_eq!(contents, [" kept as it is\n", "a again", "a task's", "a number", "none", "empty id", "long id"]);
        assert_eq!((candidates.len(), candidates[0].id.as_str(), candidates[0].rationale.as_deref()), (8, "a", Some("why")));
        for (candidate, index) in candidates.iter().zip([0, 1, 2, 3, 4, 5, 6, 17]).skip(1) {
            assert!(candidate.id.starts_with(&format!("tip-{index}-")) && candidate.id.len() >= 22, "{candidate:?}");
        }
        let reasons: Vec<_> = dropped.iter().map(|d| (d.index.unwrap(), d.what, d.reason.as_str())).collect();
        assert_eq!(reasons[0], (1, What::Id, "an id that another candidate or a task has"));
        assert_eq!(reasons.iter().filter(|(.., what, _)| *what == What::Item).count(), 10);
        assert_eq!(reasons.iter().filter(|(.., what, _)| *what == What::Id).count(), 5);
        assert_eq!(reasons.iter().filter(|(.., what, _)| *what == What::Rationale).count(), 2);
    }

    #[test]
    fn ids_are_never_the_same_twice() {
        let ids: HashSet<String> = (0..10_000).map(|_| made_id(0)).collect();
        assert_eq!(ids.len(), 10_000);
    }

    #[test]
    fn counts_are_told_and_bounded() {
        let item = json!({"content": "c"});
        let (candidates, dropped) = read(&json!(vec![item.clone(); 103]), 3);
        assert_eq!((candidates.len(), dropped.len()), (100, 4));
        assert_eq!(dropped[3], Dropped { index: None, what: What::Count, reason: "3 asked for, 100 usable".to_owned() });
        assert_eq!(read(&json!([]), 3).1.len(), 1);
        assert_eq!(read(&json!([item]), 1).1, []);
        let cut = List { items: vec![item; 2], is_cut: true };
        let (candidates, dropped) = read_items(&cut, 2, "v1", &HashSet::new());
        assert_eq!((candidates.len(), dropped.len(), dropped[0].index, dropped[0].what), (2, 1, Some(2), What::Item));
        assert!(dropped[0].reason.contains("cut at the token limit (finish_reason: length)"));
    }
}
