//! The list of items in what a model wrote. Models wrap it: in fences, in prose, in an object. What is one list beyond doubt is taken;
//! anything else is refused, and the model is asked again. Nothing is repaired: a guess would be shown to a person.

use serde_json::{Deserializer, Value};

/// Longer texts are no list of tips.
const LONGEST_TEXT: usize = 256 * 1024;
/// In prose, so many places where a list could begin are tried.
const MOST_PLACES: usize = 100;
const FENCE: &str = "```";

/// What could not be read, as the model is told it.
pub type Problem = &'static str;

const NOT_JSON: Problem = "it was not valid JSON";
const NO_LIST: Problem = "it held no list of items";
const SEVERAL: Problem = "it held more than one list";

/// The items in a text; there may be none in an empty list.
///
/// # Errors
/// Why there is no list, or no single one.
pub fn extract(text: &str) -> Result<Vec<Value>, Problem> {
    if text.len() > LONGEST_TEXT {
        return Err("it was too long");
    }
    let text = without_thoughts(text.trim().trim_start_matches('\u{feff}'))?.trim();
    if text.is_empty() {
        return Err("it was empty");
    }
    if let Ok(value) = serde_json::from_str::<Value>(text) {
        return items_of(value).ok_or(NO_LIST);
    }
    let blocks = fenced_blocks(text);
    // A reply that begins with a block means that block, whatever follows.
    if let (true, Some(first)) = (text.starts_with(FENCE), blocks.first())
        && let Some(items) = list_in_block(first)?
    {
        return Ok(items);
    }
    let mut lists = Vec::new();
    for block in &blocks {
        lists.extend(list_in_block(block)?);
    }
    // Outside of blocks, or, where these hold nothing of the kind, as if the fences were only more of the text.
    if lists.is_empty() {
        lists = lists_in_prose(text)?;
    } else {
        for prose in text.split(FENCE).step_by(2) {
            lists.extend(lists_in_prose(prose)?);
        }
    }
    match lists.len() {
        0 => Err(NO_LIST),
        1 => Ok(lists.swap_remove(0)),
        _ => Err(SEVERAL),
    }
}

/// The list that a block holds; `None` for a block of something else.
fn list_in_block(block: &str) -> Result<Option<Vec<Value>>, Problem> {
    match serde_json::from_str::<Value>(block.trim()) {
        Ok(value) => Ok(items_of(value)),
        Err(_) if begins_like_json(block) => Err(NOT_JSON),
        Err(_) => Ok(None),
    }
}

/// Some models think aloud first. Drafts in there are not the reply.
fn without_thoughts(text: &str) -> Result<&str, Problem> {
    match text.strip_prefix("<think>").map(|rest| rest.split_once("</think>")) {
        None => Ok(text),
        Some(Some((_, reply))) => Ok(reply),
        Some(None) => Err("it ended within its thoughts"),
    }
}

/// What a value holds: a list as it is, an object that is an item, an object around one list of objects.
fn items_of(value: Value) -> Option<Vec<Value>> {
    match value {
        Value::Array(items) => Some(items),
        Value::Object(entries) => {
            let is_item = entries.get("content").is_some_and(Value::is_string);
            let is_list = |value: &Value| value.as_array().is_some_and(|items| items.iter().any(Value::is_object));
            if is_item {
                // Or an introduction to a list: who knows.
                return (!entries.values().any(is_list)).then(|| vec![Value::Object(entries)]);
            }
            let lists = entries.into_iter().filter_map(|(_, value)| match value {
                Value::Array(items) if items.iter().all(Value::is_object) => Some(items),
                _ => None,
            });
            // An empty one is the list of items only where there is no other.
            let (mut lists, mut empty): (Vec<_>, Vec<_>) = lists.partition(|items| !items.is_empty());
            match (lists.len(), empty.len()) {
                (1, _) => lists.pop(),
                (0, 1) => empty.pop(),
                _ => None,
            }
        }
        _ => None,
    }
}

/// What stands between fences, without the language that the first line may name.
fn fenced_blocks(text: &str) -> Vec<&str> {
    let parts: Vec<&str> = text.split(FENCE).collect();
    // Inside are the odd ones; the last may have no end.
    let inside = parts.iter().skip(1).step_by(2);
    inside.map(|block| block.trim_start_matches(|c: char| c.is_alphanumeric() || matches!(c, '_' | '-' | '+' | '.'))).collect()
}

/// A list of objects or an object, as far as the first characters tell.
fn begins_like_json(text: &str) -> bool {
    let mut significant = text.chars().filter(|c| !c.is_whitespace());
    match significant.next() {
        Some('[') => significant.next() == Some('{'),
        Some('{') => significant.next() == Some('"'),
        _ => false,
    }
}

/// Lists that stand in prose. Brackets that are only prose ("[1]", "[see below]") are passed over; one that begins like a list and is none
/// is an error, and so is what stands within one that is none, such as a list with comments: it would be a part of what was meant.
fn lists_in_prose(text: &str) -> Result<Vec<Vec<Value>>, Problem> {
    let (mut lists, mut at, mut passed_over) = (Vec::new(), 0, None);
    for _ in 0..MOST_PLACES {
        let Some(found) = text.get(at..).and_then(|rest| rest.find(['[', '{'])) else { return Ok(lists) };
        at += found;
        let rest = text.get(at..).unwrap_or_default();
        let mut values = Deserializer::from_str(rest).into_iter::<Value>();
        match values.next() {
            Some(Ok(value)) => {
                let holds_objects = matches!(&value, Value::Array(items) if items.iter().any(Value::is_object));
                if holds_objects || value.is_object() {
                    let before = passed_over.and_then(|bracket| text.get(bracket..at));
                    if before.is_some_and(|before| !before.contains(']')) {
                        return Err(NOT_JSON);
                    }
                    lists.extend(items_of(value));
                }
                at += values.byte_offset();
            }
            _ if begins_like_json(rest) => return Err(NOT_JSON),
            _ => {
                if rest.starts_with('[') {
                    passed_over = Some(at);
                }
                at += 1;
            }
        }
    }
    Err(NO_LIST)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use serde_json::json;

    #[test]
    fn one_list_is_found_whatever_is_around_it() {
        let list = r#"[{"content":"a"},{"content":"b [1] {x}"}]"#;
        let items = vec![json!({"content": "a"}), json!({"content": "b [1] {x}"})];
        for text in [
            list.to_owned(),
            format!("  {list}\n"),
            format!("\u{feff}{list}"),
            format!("```json\n{list}\n```"),
            format!("```\n{list}\n```"),
            format!("```JSON5\n{list}```"),
            format!("```c++ {list} ```"),
            format!("```json{list}```"),
            format!("Here are your tips:\n\n```json\n{list}\n```\nEnjoy!"),
            format!("```json\n{list}\n```\n\n```json\n[{{\"content\":\"other\"}}]\n```"),
            format!("```sh\nls\n```\n```json\n{list}\n```").replacen("```sh", "See ```sh", 1),
            format!("Sure [1], as {{asked}}: {list} — done."),
            format!("<think>maybe [{{\"content\":\"no\"}}]</think>\n{list}"),
            format!("{{\"tips\":{list}}}"),
            format!("{{\"note\":\"n\",\"count\":2,\"tags\":[\"x\"],\"candidates\":{list}}}"),
            format!("The result: {{\"tips\": {list}}}"),
            format!("{{\"tags\":[],\"tips\":{list}}}"),
            format!("As [discussed] above: {list}"),
        ] {
            assert_eq!(extract(&text).as_ref(), Ok(&items), "{text}");
        }
        assert_eq!(extract(r#"{"content":"a"}"#), Ok(vec![json!({"content": "a"})]));
        assert_eq!(extract(r#"Here: {"id": 1, "content":"a"}"#), Ok(vec![json!({"id": 1, "content": "a"})]));
        assert_eq!(extract("[]"), Ok(vec![]));
        assert_eq!(extract("```json\n[]\n```"), Ok(vec![]));
        assert_eq!(extract(r#"{"tips":[]}"#), Ok(vec![]));
    }

    #[test]
    fn what_would_be_a_guess_is_refused() {
        for (text, problem) in [
            ("", "it was empty"),
            ("<think>hm</think> ", "it was empty"),
            (r#"<think>perhaps [{"content":"a"}]"#, "it ended within its thoughts"),
            (r#"{"a":[],"b":[]}"#, NO_LIST),
            ("Sorry, I cannot help with that.", NO_LIST),
            ("See [1] and [2].", NO_LIST),
            (r#"{"content":"Here they are","tips":[{"content":"a"}]}"#, NO_LIST),
            ("As a draft:\n```json\n[{\"content\":\"a\"}]\n```\nFinally:\n```json\n[{\"content\":\"b\"},", NOT_JSON),
            ("First [{\"content\":\"a\"}], then\n```\n[{\"content\":\"b\"}]\n```", SEVERAL),
            ("5", NO_LIST),
            ("\"text\"", NO_LIST),
            ("null", NO_LIST),
            (r#"{"error":"no"}"#, NO_LIST),
            (r#"{"a":[{"content":"x"}],"b":[{"content":"y"}]}"#, NO_LIST),
            (r#"[{"content":"a"},]"#, NOT_JSON),
            (r#"[{"content":"a"},{"content":"b"}"#, NOT_JSON),
            (r#"[{"content":"a"} {"content":"b"}]"#, NOT_JSON),
            ("Tips: [{'content': 'a'}]", NOT_JSON),
            ("[\n  // the first\n  {\"content\":\"a\"}\n]", NOT_JSON),
            ("[ # the first\n  {\"content\":\"a\"},\n  {\"content\":\"b\"} ]", NOT_JSON),
            (r#"Tips: [{"content":"a",}]"#, NOT_JSON),
            ("```json\n[{\"content\":\"a\"},]\n```", NOT_JSON),
            ("```json\n[{\"content\":\"a\"}", NOT_JSON),
            (r#"Either [{"content":"a"}] or [{"content":"b"}]."#, SEVERAL),
            ("One:\n```\n[{\"content\":\"a\"}]\n```\nTwo:\n```\n[{\"content\":\"b\"}]\n```", SEVERAL),
        ] {
            assert_eq!(extract(text), Err(problem), "{text}");
        }
        assert_eq!(extract(&"[".repeat(LONGEST_TEXT)), Err(NO_LIST));
        // What was not looked at could be another list.
        assert_eq!(extract(&format!("Either [{{}}] or {}", "[x] ".repeat(MOST_PLACES))), Err(NO_LIST));
        assert_eq!(extract(&format!(r#"[{{"content":"a"}}] {}"#, "[x] ".repeat(MOST_PLACES))), Err(NO_LIST));
        assert_eq!(extract(&"x".repeat(LONGEST_TEXT + 1)), Err("it was too long"));
    }

    proptest! {
        #[test]
        fn any_text_is_answered(text in r#"([\[\]{}",:`a-z0-9 \n\\]|```json|\{"content":"x"\}|</?think>|\[\]|null){0,60}"#) {
            let _ = extract(&text);
        }

        #[test]
        fn a_list_comes_back_as_it_was(contents in proptest::collection::vec(".{1,40}", 0..5), before in "[a-zA-Z .,!]{0,20}", tag in "[a-zA-Z0-9]{0,8}") {
            let items: Vec<Value> = contents.iter().map(|content| json!({"content": content})).collect();
            let list = Value::from(items.clone()).to_string();
            // A fence within a text would end the block.
            if !list.contains(FENCE) {
                prop_assert_eq!(extract(&format!("{before}\n```{tag}\n{list}\n```")), Ok(items));
            }
        }
    }
}
