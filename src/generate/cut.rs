//! A list that the token limit has cut: the items before the cut are as the model wrote them.

use super::list::{is_left_out, is_list_of_objects};
use serde::de::DeserializeOwned;
use serde_json::{Deserializer, Map, Value};

/// The items that are whole in the list that a text begins with, bare or in an object around it, and that goes on to the end of the text.
/// `None` where it is in no list that the text is cut, or where there is another list beside it.
pub fn items_before_cut(text: &str) -> Option<Vec<Value>> {
    match text.strip_prefix('[') {
        Some(list) => Some(items(list)),
        None => items_in_object(text.strip_prefix('{')?),
    }
}

fn items(mut rest: &str) -> Vec<Value> {
    let mut items = Vec::new();
    while let Some((item, after)) = first::<Value>(rest) {
        let next = after.strip_prefix(',');
        // A number may go on after the cut.
        if next.is_some() || item.is_object() {
            items.push(item);
        }
        let Some(next) = next else { break };
        rest = next;
    }
    items
}

fn items_in_object(mut rest: &str) -> Option<Vec<Value>> {
    let mut before = Map::new();
    loop {
        let (name, after) = first::<String>(rest)?;
        let value = after.strip_prefix(':')?.trim_start();
        if let Some((value, after)) = first::<Value>(value) {
            before.insert(name, value);
            rest = after.strip_prefix(',')?;
            continue;
        }
        let is_other = |(name, value): (&String, &Value)| name == "content" || (!is_left_out(name) && is_list_of_objects(value));
        let is_meant = !is_left_out(&name) && !before.iter().any(is_other);
        return value.strip_prefix('[').filter(|_| is_meant).map(items);
    }
}

/// The JSON value that a text begins with, and what follows it, from the next character that is no space.
fn first<T: DeserializeOwned>(text: &str) -> Option<(T, &str)> {
    let mut values = Deserializer::from_str(text).into_iter::<T>();
    let value = values.next()?.ok()?;
    Some((value, text.get(values.byte_offset()..)?.trim_start()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn whole_items_before_the_cut() {
        let whole = |text: &str| items_before_cut(text).map(Value::from);
        let [a, b] = [json!({"content": "a"}), json!({"content": "b, [{\"}]"})];
        let list = json!([a, b, {"content": "c"}]).to_string();
        let (first, second) = (list.find("},").unwrap() + 1, list.rfind(",{").unwrap());
        for at in 1..list.len() {
            let expected = if at < first {
                json!([])
            } else if at < second {
                json!([a])
            } else if at < list.len() - 1 {
                json!([a, b])
            } else {
                json!([a, b, {"content": "c"}])
            };
            assert_eq!(whole(&list[..at]), Some(expected), "{}", &list[..at]);
        }
        assert_eq!(whole(r#"[ {"content":"a"} , 12"#), Some(json!([{"content": "a"}])));
        assert_eq!(whole(r#"[ {"content":"a"} , 12 ,"#), Some(json!([{"content": "a"}, 12])));
        assert_eq!(whole(r#"{"note":"n", "tags":["x"], "tips": [{"content":"a"},{"co"#), Some(json!([{"content": "a"}])));
        assert_eq!(whole(r#"{"drafts":[{"content":"x"}], "tips": [{"content":"a"},{"co"#), Some(json!([{"content": "a"}])));
        for text in [
            r#"{"drafts":[{"content":"a"},{"co"#,
            r#"{"tips":[{"content":"a"}],"note":"wh"#,
            r#"{"tips":[{"content":"a"}],"more":[{"content":"b"},"#,
            r#"{"content":"Here they are","tips":[{"content":"b"},"#,
            r#"{"content":"a","rationale":"bec"#,
            r#"{"ti"#,
            r#"{"tips":"#,
            "{",
            "",
        ] {
            assert_eq!(whole(text), None, "{text}");
        }
    }
}
