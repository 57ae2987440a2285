//! What the proxy answers with a status of success: a chat completion in the form of `OpenAI`, or something in its place. Only what is needed
//! is read, and unknown fields are nothing special: each provider adds its own.

use super::list::Problem;
use crate::json::whole_number;
use serde_json::Value;

/// What it cost, in tokens.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Usage {
    pub prompt: u64,
    pub completion: u64,
}

/// What a body is.
#[derive(Debug, PartialEq, Eq)]
pub enum Answer {
    Completion(Completion),
    /// An error, with the status that it names. `OpenRouter` and others send such with status 200.
    Error(Option<u16>),
    /// Nothing that a working proxy sends.
    Foreign(Problem),
}

/// A completion, as far as it is needed.
#[derive(Debug, PartialEq, Eq)]
pub struct Completion {
    pub said: Said,
    pub finish: Finish,
    /// As the proxy names it.
    pub model: Option<String>,
    pub usage: Usage,
}

/// What the model said.
#[derive(Debug, PartialEq, Eq)]
pub enum Said {
    Text(String),
    /// Why it will not do what it was asked for.
    Refusal(String),
    Nothing(Problem),
}

/// Why it said no more: `finish_reason`.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Finish(Option<String>);

/// Names of the token limit: of `OpenAI`, and of providers that a proxy passes on as they are.
const CUT: [&str; 4] = ["length", "max_tokens", "max_output_tokens", "model_length"];
/// Names of filters, which may have left out some of the text.
const FILTERED: [&str; 8] =
    ["content_filter", "content_filtered", "safety", "refusal", "prohibited_content", "blocklist", "recitation", "spii"];
/// Where the proxies put thoughts that they take out of the text.
const THOUGHTS: [&str; 3] = ["reasoning_content", "reasoning", "thinking"];

impl Finish {
    /// Whether the token limit ended it.
    pub fn is_cut(&self) -> bool {
        self.is_one_of(&CUT)
    }

    /// Whether a filter did.
    pub fn is_filtered(&self) -> bool {
        self.is_one_of(&FILTERED)
    }

    /// Its name, where it says more than that the model was done.
    pub fn unusual(&self) -> Option<&str> {
        self.0.as_deref().filter(|_| !self.is_one_of(&["stop", "eos", "end_turn"]))
    }

    fn is_one_of(&self, names: &[&str]) -> bool {
        self.0.as_deref().is_some_and(|name| names.iter().any(|known| known.eq_ignore_ascii_case(name)))
    }
}

const NO_TEXT: Problem = "there was no text in it";
const NO_COMPLETION: Problem = "the proxy's answer is no completion";
const A_STREAM: Problem = "the proxy's answer is a stream, which was not asked for";

/// Reads a body.
pub fn read_answer(body: &[u8]) -> Answer {
    let body = body.strip_prefix("\u{feff}".as_bytes()).unwrap_or(body);
    // Of a name that stands there twice the last one counts, as for the proxy's own clients.
    let Some(envelope) = serde_json::from_slice::<Value>(body).ok().filter(Value::is_object) else {
        let is_stream = ["data:", "event:"].iter().any(|start| body.trim_ascii_start().starts_with(start.as_bytes()));
        return Answer::Foreign(if is_stream { A_STREAM } else { NO_COMPLETION });
    };
    let choices = envelope.get("choices").and_then(Value::as_array);
    let choice = choices.and_then(|choices| choices.first()).unwrap_or(&Value::Null);
    let finish = Finish(choice.get("finish_reason").and_then(Value::as_str).map(str::to_owned));
    if let Some(error) = error_in(&envelope, choice, &finish) {
        return Answer::Error(["code", "status", "status_code"].iter().find_map(|name| error_status(error.get(name)?)));
    }
    if choices.is_none() {
        return Answer::Foreign(NO_COMPLETION);
    }
    let tokens = |names: [&str; 2]| names.iter().find_map(|name| count(envelope.get("usage")?.get(name)?)).unwrap_or(0);
    Answer::Completion(Completion {
        said: choice.get("message").map_or(Said::Nothing(NO_TEXT), said),
        finish,
        model: envelope.get("model").and_then(Value::as_str).map(str::to_owned),
        usage: Usage {
            prompt: tokens(["prompt_tokens", "input_tokens"]),
            completion: tokens(["completion_tokens", "output_tokens"]),
        },
    })
}

/// The error that an answer holds in place of a reply, or beside one: what there is of a text then is not all that the model would have said.
fn error_in<'a>(envelope: &'a Value, choice: &'a Value, finish: &Finish) -> Option<&'a Value> {
    let says_something = |value: &&Value| match value {
        Value::Null | Value::Bool(false) | Value::Number(_) => false,
        Value::Bool(true) => true,
        Value::String(text) => !text.trim().is_empty(),
        Value::Array(items) => !items.is_empty(),
        Value::Object(entries) => !entries.is_empty(),
    };
    let given = [envelope.get("error"), choice.get("error")].into_iter().flatten().find(says_something);
    // Older vLLM: {"object":"error","message":…,"code":…}
    let is_one = ["object", "type"].iter().any(|name| envelope.get(name).and_then(Value::as_str) == Some("error"));
    given.or(is_one.then_some(envelope)).or(finish.is_one_of(&["error"]).then_some(choice))
}

/// A number that is a status of an error, as one or as a text.
fn error_status(value: &Value) -> Option<u16> {
    count(value).and_then(|status| u16::try_from(status).ok()).filter(|status| (400..600).contains(status))
}

/// A whole number, as one or as a text.
fn count(value: &Value) -> Option<u64> {
    whole_number(value).or_else(|| value.as_str()?.trim().parse().ok())
}

fn said(message: &Value) -> Said {
    let text_of = |name: &str| message.get(name).and_then(Value::as_str).filter(|text| !text.trim().is_empty());
    if let Some(refusal) = text_of("refusal").map(str::to_owned).or_else(|| parts_of(message, "refusal", "refusal")) {
        return Said::Refusal(refusal);
    }
    let text = message.get("content").and_then(Value::as_str).map(str::to_owned).or_else(|| parts_of(message, "text", "text"));
    let has_text = text.as_ref().is_some_and(|text| !text.trim().is_empty());
    let calls = message.get("tool_calls").and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default();
    let calls: Vec<&Value> = calls
        .iter()
        .filter_map(|call| call.get("function"))
        .chain(message.get("function_call"))
        .filter(|call| call.is_object())
        .collect();
    match (text, calls.as_slice()) {
        (Some(_), [_, ..]) if has_text => Said::Nothing("it held both a text and the call of a tool"),
        (_, [_, _, ..]) => Said::Nothing("it called several tools"),
        // A proxy may have the model answer through a tool.
        (_, [call]) => match call.get("arguments") {
            Some(Value::String(arguments)) => Said::Text(arguments.clone()),
            Some(arguments @ Value::Object(_)) => Said::Text(arguments.to_string()),
            _ => Said::Nothing("it called a tool, without arguments"),
        },
        (Some(text), []) if has_text => Said::Text(text),
        (_, []) if THOUGHTS.iter().any(|name| text_of(name).is_some()) => Said::Nothing("there were only thoughts in it"),
        (Some(text), []) => Said::Text(text),
        (None, []) => Said::Nothing(NO_TEXT),
    }
}

/// The text of content in parts of one type, one after the other; other parts hold thoughts, or what is no text.
fn parts_of(message: &Value, kind: &str, name: &str) -> Option<String> {
    let is_thought = |part: &Value| part.get("thought") == Some(&Value::Bool(true));
    let is_meant = |part: &Value| part.get("type").and_then(Value::as_str) == Some(kind) && !is_thought(part);
    let parts = message.get("content")?.as_array()?.iter().filter(|part| is_meant(part));
    let texts: Vec<&str> = parts.filter_map(|part| part.get(name)?.as_str()).collect();
    (!texts.is_empty()).then(|| texts.concat())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use serde_json::json;

    fn of(envelope: &Value) -> Answer {
        read_answer(envelope.to_string().as_bytes())
    }

    fn completion(envelope: &Value) -> Completion {
        match of(envelope) {
            Answer::Completion(completion) => completion,
            other => panic!("{other:?} of {envelope}"),
        }
    }

    fn said_in(message: &Value) -> Said {
        completion(&json!({"choices": [{"message": message}]})).said
    }

    fn text(text: &str) -> Said {
        Said::Text(text.to_owned())
    }

    #[test]
    fn what_is_needed_is_read_and_what_is_missing_is_none() {
        let body = br#"{"id":"x","model":"m","choices":[{"message":{"role":"assistant","content":"[]","extra":1},"finish_reason":"stop"}],"usage":{"prompt_tokens":3,"completion_tokens":4}}"#;
        let expected = Completion {
            said: text("[]"),
            finish: Finish(Some("stop".to_owned())),
            model: Some("m".to_owned()),
            usage: Usage { prompt: 3, completion: 4 },
        };
        assert_eq!(read_answer(body), Answer::Completion(expected));
        let empty = || Completion { said: Said::Nothing(NO_TEXT), finish: Finish(None), model: None, usage: Usage::default() };
        for choices in [
            json!([]),
            json!([null]),
            json!([{"text": "x"}]),
            json!([{"message": {"content": null}}]),
            json!([{"message": {"content": 5}}]),
        ] {
            assert_eq!(completion(&json!({"choices": choices, "usage": null})), empty(), "{choices}");
        }
        let doubled = br#"{"model":"a","model":"b","choices":[],"usage":{"prompt_tokens":12.0,"completion_tokens":1.5}}"#;
        let expected = Completion { model: Some("b".to_owned()), usage: Usage { prompt: 12, completion: 0 }, ..empty() };
        assert_eq!(read_answer(doubled), Answer::Completion(expected));
        assert!(matches!(read_answer("\u{feff}{\"choices\":[]}".as_bytes()), Answer::Completion(_)));
    }

    #[test]
    fn tokens_are_numbers_or_texts() {
        for (usage, expected) in [
            (json!({"prompt_tokens": "12", "completion_tokens": " 3 "}), (12, 3)),
            (json!({"input_tokens": 12, "output_tokens": "3"}), (12, 3)),
            (json!({"prompt_tokens": "ten", "completion_tokens": -3}), (0, 0)),
            (json!({"prompt_tokens": null, "input_tokens": 2}), (2, 0)),
            (json!("many"), (0, 0)),
            (json!([5]), (0, 0)),
        ] {
            let usage = completion(&json!({"choices": [], "usage": usage})).usage;
            assert_eq!((usage.prompt, usage.completion), expected);
        }
    }

    #[test]
    fn what_is_no_completion_is_foreign() {
        for body in [
            &b""[..],
            b"<html>",
            b"[]",
            b"null",
            b"\"text\"",
            b"{\"choices\":[{\"message\":{\"content\":\"\xff\"}}]}",
            b"{} {}",
            b"{}",
        ] {
            assert_eq!(read_answer(body), Answer::Foreign(NO_COMPLETION), "{}", String::from_utf8_lossy(body));
        }
        for choices in [json!(null), json!("x"), json!({"0": {"message": {"content": "[]"}}})] {
            assert_eq!(of(&json!({"choices": choices})), Answer::Foreign(NO_COMPLETION));
        }
        assert_eq!(read_answer(b"\n data: {\"choices\":[]}\n\ndata: [DONE]\n"), Answer::Foreign(A_STREAM));
    }

    #[test]
    fn an_error_is_one_wherever_it_stands() {
        let whole = json!({"message": {"content": "[]"}});
        for (envelope, status) in [
            (json!({"error": {"message": "no", "code": 429}}), Some(429)),
            (json!({"error": {"message": "no", "code": "503"}}), Some(503)),
            (json!({"error": {"code": "rate_limit_exceeded", "status": 429}}), Some(429)),
            (json!({"error": {"message": "Budget exceeded"}}), None),
            (json!({"error": {"code": 50_001}}), None),
            (json!({"error": {"code": 200}}), None),
            (json!({"error": "no"}), None),
            (json!({"error": {"code": 500}, "choices": [whole]}), Some(500)),
            (json!({"type": "error", "error": {"type": "overloaded_error"}}), None),
            (json!({"object": "error", "message": "no", "code": 400}), Some(400)),
            (
                json!({"choices": [{"error": {"code": 502, "message": "no"}, "finish_reason": "error", "message": {"content": "[{}"}}]}),
                Some(502),
            ),
            (json!({"choices": [{"finish_reason": "error", "message": {"content": "[]"}}]}), None),
        ] {
            assert_eq!(of(&envelope), Answer::Error(status), "{envelope}");
        }
        for error in [json!(null), json!(false), json!(0), json!(""), json!({}), json!([])] {
            assert_eq!(completion(&json!({"error": error, "choices": [whole]})).said, text("[]"), "{error}");
        }
    }

    #[test]
    fn text_comes_as_one_or_in_parts_and_never_from_thoughts() {
        for content in [
            json!("[1]"),
            json!([{"type": "text", "text": "[1"}, {"type": "text", "text": "]"}]),
            json!([{"type": "thinking", "thinking": [{"type": "text", "text": "[2]"}]}, {"type": "text", "text": "[1]"}]),
            json!([{"type": "reasoning", "text": "[2]"}, {"type": "text", "text": "[2]", "thought": true}, {"type": "text", "text": "[1]"}, null, 5, "[2]", {"type": "image_url"}]),
        ] {
            assert_eq!(
                said_in(&json!({"content": content, "reasoning_content": "[2]", "thinking_blocks": [{"thinking": "[2]"}]})),
                text("[1]"),
                "{content}"
            );
        }
        for content in [
            json!([]),
            json!(["[1]"]),
            json!([{"text": "[1]"}]),
            json!([{"type": "thinking", "thinking": "[1]"}]),
            json!({"tips": []}),
            json!(true),
        ] {
            assert_eq!(said_in(&json!({"content": content})), Said::Nothing(NO_TEXT), "{content}");
        }
        assert_eq!(said_in(&json!({"content": " "})), text(" "));
        for name in THOUGHTS {
            for content in [json!(null), json!("")] {
                assert_eq!(said_in(&json!({"content": content, name: "[1]"})), Said::Nothing("there were only thoughts in it"));
            }
        }
    }

    #[test]
    fn a_refusal_is_no_text() {
        for message in [
            json!({"content": null, "refusal": "I cannot"}),
            json!({"content": "[1]", "refusal": "I cannot"}),
            json!({"content": [{"type": "text", "text": "[1]"}, {"type": "refusal", "refusal": "I cannot"}]}),
        ] {
            assert_eq!(said_in(&message), Said::Refusal("I cannot".to_owned()));
        }
        for refusal in [json!(null), json!(""), json!(false)] {
            assert_eq!(said_in(&json!({"content": "[1]", "refusal": refusal})), text("[1]"));
        }
    }

    #[test]
    fn the_arguments_of_one_tool_are_a_reply() {
        let call = |arguments: Value| json!({"type": "function", "function": {"name": "tips", "arguments": arguments}});
        for content in [json!(null), json!(""), json!(" \n")] {
            assert_eq!(said_in(&json!({"content": content, "tool_calls": [call(json!("[1]"))]})), text("[1]"));
        }
        assert_eq!(said_in(&json!({"tool_calls": [call(json!({"tips": []}))]})), text(r#"{"tips":[]}"#));
        assert_eq!(said_in(&json!({"tool_calls": null, "function_call": {"name": "tips", "arguments": "[1]"}})), text("[1]"));
        assert_eq!(said_in(&json!({"content": "[1]", "tool_calls": [], "function_call": null})), text("[1]"));
        for message in [
            json!({"content": "[2]", "tool_calls": [call(json!("[1]"))]}),
            json!({"tool_calls": [call(json!("[1]")), call(json!("[2]"))]}),
            json!({"tool_calls": [call(json!(null))]}),
            json!({"tool_calls": [{"type": "custom", "custom": {"input": "[1]"}}]}),
        ] {
            assert!(matches!(said_in(&message), Said::Nothing(_)), "{message}");
        }
    }

    #[test]
    fn reasons_to_finish_are_told_apart() {
        let finish = |reason: &str| Finish(Some(reason.to_owned()));
        for reason in ["length", "max_tokens", "MAX_TOKENS"] {
            assert!(finish(reason).is_cut() && !finish(reason).is_filtered());
        }
        for reason in ["content_filter", "SAFETY"] {
            assert!(finish(reason).is_filtered() && !finish(reason).is_cut());
        }
        for reason in ["stop", "tool_calls", "", "abort"] {
            assert!(!finish(reason).is_cut() && !finish(reason).is_filtered());
        }
        assert_eq!((finish("abort").unusual(), finish("STOP").unusual(), Finish(None).unusual()), (Some("abort"), None, None));
    }

    proptest! {
        #![proptest_config(super::super::any_reply::cases())]

        #[test]
        fn any_bytes_are_answered(changes in proptest::collection::vec((any::<proptest::sample::Index>(), any::<u8>(), 0..4), 0..20)) {
            let mut body = json!({
                "model": "m", "usage": {"prompt_tokens": 1, "completion_tokens": "2"}, "error": null,
                "choices": [{"finish_reason": "length", "message": {
                    "content": [{"type": "text", "text": "<think>x</think>```json\n[{\"content\":\"a\"}]\n```"}, {"type": "thinking"}],
                    "refusal": null, "tool_calls": [{"function": {"arguments": "[]"}}], "reasoning_content": "r"}}],
            }).to_string().into_bytes();
            for (at, byte, change) in changes {
                let at = at.index(body.len() + 1);
                match change {
                    0 => body.insert(at, byte),
                    1 => body.truncate(at.max(1)),
                    _ if at == body.len() => body.push(byte),
                    2 => drop(body.remove(at)),
                    _ => body[at] = byte,
                }
                if body.is_empty() {
                    break;
                }
            }
            if let Answer::Completion(Completion { said: Said::Text(text), finish, .. }) = read_answer(&body) {
                let _ = super::super::extract::extract(&text, finish.is_cut());
            }
        }
    }
}
