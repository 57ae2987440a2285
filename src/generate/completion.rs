//! What the proxy answers: a chat completion in the form of `OpenAI`. Only what is needed is read, and unknown fields are nothing special:
//! each provider adds its own.

use crate::json::whole_number;
use serde_json::{Map, Value};

/// What it cost, in tokens.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Usage {
    pub prompt: u64,
    pub completion: u64,
}

/// A completion, as far as it is needed.
#[derive(Debug, PartialEq, Eq)]
pub struct Completion {
    /// What the model wrote; `None`: nothing, or nothing that is text.
    pub content: Option<String>,
    /// As the proxy names it.
    pub model: Option<String>,
    pub usage: Usage,
}

/// Reads a body; `None` when it is no completion.
pub fn read_completion(body: &[u8]) -> Option<Completion> {
    // A map: of a name that stands there twice the last one counts, as for the proxy's own clients.
    let envelope: Map<String, Value> = serde_json::from_slice(body).ok()?;
    let tokens = |name: &str| envelope.get("usage").and_then(|usage| whole_number(usage.get(name)?)).unwrap_or(0);
    let content = envelope.get("choices").and_then(|choices| choices.get(0)?.get("message")?.get("content")?.as_str());
    Some(Completion {
        content: content.map(str::to_owned),
        model: envelope.get("model").and_then(Value::as_str).map(str::to_owned),
        usage: Usage { prompt: tokens("prompt_tokens"), completion: tokens("completion_tokens") },
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_needed_is_read_and_what_is_missing_is_none() {
        let body = br#"{"id":"x","model":"m","choices":[{"message":{"role":"assistant","content":"[]","extra":1}}],"usage":{"prompt_tokens":3,"completion_tokens":4}}"#;
        let expected =
            Completion { content: Some("[]".to_owned()), model: Some("m".to_owned()), usage: Usage { prompt: 3, completion: 4 } };
        assert_eq!(read_completion(body), Some(expected));
        let empty = Completion { content: None, model: None, usage: Usage::default() };
        for body in [
            "{}",
            r#"{"choices":null,"usage":null}"#,
            r#"{"choices":[]}"#,
            r#"{"choices":[{"message":{"content":null}}]}"#,
            r#"{"choices":[{"message":{"content":["a"]}}],"usage":{"prompt_tokens":-1}}"#,
        ] {
            assert_eq!(read_completion(body.as_bytes()).as_ref(), Some(&empty), "{body}");
        }
        let counted =
            read_completion(br#"{"model":"a","model":"b","usage":{"prompt_tokens":12.0,"completion_tokens":1.5}}"#).unwrap();
        assert_eq!((counted.model.as_deref(), counted.usage), (Some("b"), Usage { prompt: 12, completion: 0 }));
        for body in [&b""[..], b"<html>", b"[]", b"\"text\"", b"{\"choices\":[{\"message\":{\"content\":\"\xff\"}}]}", b"{} {}"] {
            assert_eq!(read_completion(body), None, "{}", String::from_utf8_lossy(body));
        }
    }
}
