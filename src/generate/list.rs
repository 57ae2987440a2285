//! Which list of items a JSON value holds: a list as it is, an object that is an item, an object around one list of objects.

use super::thoughts::names_thoughts;
use serde_json::Value;

/// What could not be read, as the model is told it.
pub type Problem = &'static str;

pub const NO_LIST: Problem = "it held no list of items";
pub const NOT_JSON: Problem = "it was not valid JSON";
pub const SEVERAL: Problem = "it held more than one list";

/// The items that were found in a text.
#[derive(Debug, PartialEq)]
pub struct List {
    /// There may be none in an empty list.
    pub items: Vec<Value>,
    /// Whether these are only the ones before the place where the token limit cut the list.
    pub is_cut: bool,
}

/// Names of entries that hold what is not meant to be shown have one of these in them; so do those of thoughts.
const NOT_MEANT: [&str; 7] = ["reject", "discard", "exclud", "unused", "avoid", "skip", "error"];
/// Under these names an empty list says that there is nothing to say.
const MEANT: [&str; 4] = ["tips", "candidates", "items", "suggestions"];

/// Whether an entry of this name holds what a model thought or rejected.
pub fn is_left_out(name: &str) -> bool {
    names_thoughts(name) || NOT_MEANT.iter().any(|part| name.to_lowercase().contains(part))
}

/// Whether a value is a list with an object in it.
pub fn is_list_of_objects(value: &Value) -> bool {
    value.as_array().is_some_and(|items| items.iter().any(Value::is_object))
}

/// The items that a value holds; `None`: none.
///
/// # Errors
/// There is more than one list that could be meant.
pub fn items_of(value: Value) -> Result<Option<Vec<Value>>, Problem> {
    let entries = match value {
        Value::Array(items) => return Ok(Some(items)),
        Value::Object(entries) => entries,
        _ => return Ok(None),
    };
    let is_meant = |(name, _): &(&String, &Value)| !is_left_out(name);
    if entries.get("content").is_some_and(Value::is_string) {
        // Or an introduction to a list.
        let has_list = entries.iter().filter(is_meant).any(|(_, value)| is_list_of_objects(value));
        return if has_list { Err(SEVERAL) } else { Ok(Some(vec![Value::Object(entries)])) };
    }
    if let (1, Some((name, Value::Object(_)))) = (entries.len(), entries.iter().next()) {
        let is_meant = !is_left_out(name);
        return entries.into_iter().next().filter(|_| is_meant).map_or(Ok(None), |(_, inner)| items_of(inner));
    }
    let lists = entries.into_iter().filter_map(|(name, value)| match value {
        Value::Array(items) if items.iter().all(Value::is_object) && !is_left_out(&name) => Some((name, items)),
        _ => None,
    });
    let (mut lists, mut empty): (Vec<_>, Vec<_>) = lists.partition(|(_, items)| !items.is_empty());
    match (lists.len(), empty.len()) {
        (1, _) if !empty.iter().any(|(name, _)| MEANT.contains(&name.to_lowercase().as_str())) => {
            Ok(lists.pop().map(|(_, items)| items))
        }
        (0, 1) => Ok(empty.pop().map(|(_, items)| items)),
        (0, _) => Ok(None),
        _ => Err(SEVERAL),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn one_list_is_meant_or_none() {
        let (a, b) = (json!([{"content": "a"}]), json!([{"content": "b"}]));
        let of = |value: Value| items_of(value).map(|items| items.map(Value::from));
        for value in [
            a.clone(),
            a[0].clone(),
            json!({"tips": a}),
            json!({"note": "n", "tags": [], "words": ["x"], "tips": a}),
            json!({"response": {"data": {"tips": a}}}),
            json!({"tip": a[0]}),
            json!({"drafts": b, "tips": a}),
            json!({"Reasoning": [{"step": 1}], "rejected": b, "my_thoughts": [], "tips": a}),
        ] {
            assert_eq!(of(value.clone()), Ok(Some(a.clone())), "{value}");
        }
        let item = json!({"content": "a", "steps": ["x"], "reasons": [{"why": "w"}]});
        assert_eq!(of(item.clone()), Ok(Some(json!([item]))));
        for value in [json!([]), json!({"tips": []}), json!({"drafts": b, "tips": []})] {
            assert_eq!(of(value.clone()), Ok(Some(json!([]))), "{value}");
        }
        for value in [
            json!({"content": "Here they are", "tips": a}),
            json!({"tips": a, "others": b}),
            json!({"tips": [], "sources": a}),
            json!({"data": {"tips": a, "others": b}}),
        ] {
            assert_eq!(of(value.clone()), Err(SEVERAL), "{value}");
        }
        for value in [
            json!(null),
            json!(5),
            json!("text"),
            json!({}),
            json!({"a": [], "b": []}),
            json!({"drafts": a}),
            json!({"error": a[0]}),
        ] {
            assert_eq!(of(value.clone()), Ok(None), "{value}");
        }
    }
}
