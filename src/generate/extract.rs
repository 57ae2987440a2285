//! The list of items in what a model wrote. Models wrap it: in thoughts, in fences, in prose, in an object. What is one list beyond doubt is
//! taken; anything else is refused, and the model is asked again. Nothing is repaired: a guess would be shown to a person.
//!
//! A text is read once from its beginning to its end. Where a JSON value begins it is read as a whole, so that nothing within its texts is
//! taken for a mark or a fence; where thoughts end, what was found so far is forgotten.

use super::cut::items_before_cut;
use super::list::{List, NO_LIST, NOT_JSON, Problem};
use super::reply::Reply;
use super::thoughts::{CHANNEL, DETAILS, Mark, UNTAGGED, begins_in_channel, begins_mark, mark_at, without_message_end};
use serde::de::IgnoredAny;
use serde_json::Deserializer;
use std::borrow::Cow;

/// Longer texts are no list of tips.
const LONGEST_TEXT: usize = 256 * 1024;
/// So many bytes are read as JSON, those within brackets that are none several times.
const MOST_READ: usize = 16 * LONGEST_TEXT;
const SHORTEST_FENCE: usize = 3;

const IN_THOUGHTS: Problem = "it ended within its thoughts";
const UNKNOWN_TOKEN: Problem = "it held a special token";
const TOO_LONG: Problem = "it was too long";

/// The list in a text; `is_cut`: in one that the token limit has cut.
///
/// # Errors
/// Why there is no list, or no single one.
pub fn extract(text: &str, is_cut: bool) -> Result<List, Problem> {
    if text.len() > LONGEST_TEXT {
        return Err(TOO_LONG);
    }
    let mut scan = Scan::new(text.trim(), is_cut);
    scan.run()?;
    if scan.open.is_empty() { scan.reply.list(is_cut) } else { Err(IN_THOUGHTS) }
}

struct Scan<'t> {
    text: &'t str,
    is_cut: bool,
    /// Where nothing follows but what ends a message.
    message_ends: usize,
    at: usize,
    /// Bytes that were read as JSON.
    read: usize,
    /// The thoughts that have begun and not ended, by name.
    open: Vec<Cow<'static, str>>,
    reply: Reply<'t>,
}

impl<'t> Scan<'t> {
    fn new(text: &'t str, is_cut: bool) -> Self {
        let open = if begins_in_channel(text) { vec![CHANNEL.into()] } else { Vec::new() };
        let message_ends = without_message_end(text).len();
        Self { text, is_cut, message_ends, at: 0, read: 0, open, reply: Reply::of_whole(text) }
    }

    fn run(&mut self) -> Result<(), Problem> {
        let is_of_note = |c: char| matches!(c, '{' | ']' | '`' | '~') || begins_mark(c);
        while let Some(found) = self.rest().find(is_of_note) {
            self.at += found;
            let first = self.rest().chars().next().unwrap_or_default();
            let value = if matches!(first, '[' | '{') { self.value() } else { None };
            let step = value.or_else(|| self.mark()).or_else(|| self.fence(first)).unwrap_or_else(|| self.pass_over(first));
            self.at += step;
            if self.read > MOST_READ {
                return Err(NO_LIST);
            }
        }
        Ok(())
    }

    fn rest(&self) -> &'t str {
        self.text.get(self.at..).unwrap_or_default()
    }

    /// Takes the JSON value that begins here; its length.
    fn value(&mut self) -> Option<usize> {
        let rest = self.rest();
        // Without making anything of it: most brackets in prose begin no JSON.
        let mut values = Deserializer::from_str(rest).into_iter::<IgnoredAny>();
        let is_at_end = match values.next()? {
            Ok(IgnoredAny) => {
                let len = values.byte_offset();
                self.read += len;
                if let Ok(value) = serde_json::from_str(rest.get(..len)?) {
                    self.reply.take(value, self.at, len);
                    return Some(len);
                }
                false
            }
            Err(e) => {
                self.read += offset_of(rest, &e);
                e.is_eof()
            }
        };
        let before_cut = if self.is_cut && is_at_end { items_before_cut(rest) } else { None };
        match before_cut {
            Some(items) => self.reply.take_cut(items, self.at),
            None if begins_like_json(rest) => self.reply.fail(NOT_JSON),
            None => {}
        }
        None
    }

    /// Sees to the mark that stands here; its length.
    fn mark(&mut self) -> Option<usize> {
        let (mark, len) = mark_at(self.rest())?;
        match mark {
            Mark::Begin(name) if self.open.contains(&name) => {}
            Mark::Begin(name) => self.open.push(name),
            Mark::End(name) if name == DETAILS && !self.open.contains(&name) => {}
            Mark::End(name) => self.end_thoughts(len, &[&name]),
            Mark::Reply => self.end_thoughts(len, &UNTAGGED),
            Mark::MessageEnd if self.at >= self.message_ends && self.open.is_empty() => self.reply.end(self.at),
            Mark::MessageEnd => self.end_thoughts(len, &[CHANNEL]),
            Mark::ReplyEnd => self.reply.end(self.at),
            Mark::Nothing => {}
            Mark::Unknown => self.reply.fail(UNKNOWN_TOKEN),
        }
        Some(len)
    }

    /// The first thoughts of these names end here, and those within them. Unless others go on, what stood before was not the reply, and
    /// what follows is; so it is where none are open: the mark at their beginning stood in the prompt.
    fn end_thoughts(&mut self, len: usize, names: &[&str]) {
        if let Some(first) = self.open.iter().position(|open| names.contains(&open.as_ref())) {
            self.open.truncate(first);
        }
        if self.open.is_empty() {
            self.reply = Reply::after_mark(self.text, self.at + len);
        }
    }

    /// Opens or closes the fence that stands here; its length.
    fn fence(&mut self, mark: char) -> Option<usize> {
        if !matches!(mark, '`' | '~') {
            return None;
        }
        let rest = self.rest();
        let len = rest.len() - rest.trim_start_matches(mark).len();
        if len >= SHORTEST_FENCE {
            self.reply.fence(mark, self.at, len);
        }
        Some(len)
    }

    fn pass_over(&mut self, c: char) -> usize {
        match c {
            '[' => self.reply.open_bracket(),
            ']' => self.reply.close_bracket(),
            _ => {}
        }
        c.len_utf8()
    }
}

/// Where in a text an error is.
fn offset_of(text: &str, error: &serde_json::Error) -> usize {
    let lines: usize = text.split_inclusive('\n').take(error.line().saturating_sub(1)).map(str::len).sum();
    lines + error.column()
}

/// A list of objects or an object, as far as the first characters tell, with the names of its entries in quotes of any kind or in none.
fn begins_like_json(text: &str) -> bool {
    let mut significant = text.chars().filter(|c| !c.is_whitespace());
    match (significant.next(), significant.next()) {
        (Some('['), Some('{')) | (Some('{'), Some('"' | '\'' | '“' | '”' | '‘' | '’')) => true,
        (Some('{'), Some(c)) if c.is_alphabetic() => significant.find(|c| !c.is_alphanumeric() && *c != '_') == Some(':'),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::super::any_reply::{BLOCKS, CLOSED_ALONE, DRAFT};
    use super::super::list::SEVERAL;
    use super::super::reply::{EMPTY, MAYBE_THOUGHTS, NO_WHOLE_ITEM};
    use super::*;
    use serde_json::{Value, json};

    fn items(text: &str) -> Result<Vec<Value>, Problem> {
        extract(text, false).map(|list| {
            assert!(!list.is_cut);
            list.items
        })
    }

    #[test]
    fn one_list_is_found_whatever_is_around_it() {
        let list = r#"[{"content":"a"},{"content":"b [1] {x} ``` </think> ~~~"}]"#;
        let expected: Vec<Value> = serde_json::from_str(list).unwrap();
        for text in [
            list.to_owned(),
            format!("  {list}\n"),
            format!("\u{feff}{list}\u{200b}"),
            format!("```json\n{list}\n```"),
            format!("```\n{list}\n```"),
            format!("```JSON5\n{list}```"),
            format!("```c++ {list} ```"),
            format!("```json{list}```"),
            format!("```json\n{list}"),
            format!("```json\n\u{feff}{list}\n```"),
            format!("~~~json\n{list}\n~~~"),
            format!("````markdown\n```json\n{list}\n```\n````"),
            format!("```markdown\n```json\n{list}\n```\n```"),
            format!("> ```json\n> {list}\n> ```"),
            format!("`{list}`"),
            format!("Here are your tips:\n\n```json\n{list}\n```\nEnjoy!"),
            format!("```json\n{list}\n```\n\n```json\n[{{\"content\":\"other\"}}]\n```"),
            format!("```json\n{list}\n```\n\n```json\n[{{\"content\":\"other\"}},]\n```"),
            format!("```sh\nls\n```\n```json\n{list}\n```"),
            format!("See ```sh\nls\n```\n```json\n{list}\n```"),
            format!("Sure [1], as {{asked}}: {list} — done."),
            format!("First:\n{list}\nAgain:\n```json\n{list}\n```"),
            format!("{{\"tips\":{list}}}"),
            format!("{{\"note\":\"n\",\"count\":2,\"tags\":[\"x\"],\"candidates\":{list}}}"),
            format!("The result: {{\"tips\": {list}}}"),
            format!("```json\n{{\"response\":{{\"tips\":{list}}}}}\n```"),
            format!("As [discussed] above: {list}"),
            format!("{list}<|im_end|>"),
            format!("{list}\n<｜end▁of▁sentence｜></s>\n"),
            format!("<answer>{list}</answer> as {DRAFT}"),
            format!("Maybe {DRAFT}? <|begin_of_solution|>{list}<|end_of_solution|>"),
            format!("<response>\n```json\n{list}\n```\n</response>"),
            format!("<|channel|>final <|constrain|>json<|message|>{list}<|return|>"),
            format!("analysisMaybe {DRAFT}.assistantfinal{list}"),
            format!("<think>a</think>\nHere:\n<think>{DRAFT}</think>\n{list}"),
            format!("<think>a <think> {DRAFT}</think>\n{list}"),
            format!("<think>a <answer>{DRAFT}</answer></think>\n{list}"),
            format!("<think/>{list}"),
            format!("<|channel|>analysis<|message|>Close <think>?<|end|><|start|>assistant<|channel|>final<|message|>{list}"),
            format!("<think>{}</think>{list}", "[{\"content\":\"x\"}, no ".repeat(3000)),
            format!("<think>{}</think>{list}", "see [a] {b} ".repeat(3000)),
        ] {
            assert_eq!(items(&text).as_ref(), Ok(&expected), "{text}");
        }
        for (begin, end) in BLOCKS {
            for thoughts in
                [DRAFT.to_owned(), format!("```json\n{DRAFT}"), r#"[{"content": "DRAFT"#.to_owned(), "{'a': [".to_owned()]
            {
                let text = format!("{begin}Hm: {thoughts}\n{end}\nHere:\n{list}");
                assert_eq!(items(&text).as_ref(), Ok(&expected), "{text}");
            }
        }
        for (_, end) in BLOCKS.into_iter().take(CLOSED_ALONE) {
            let text = format!("Hm: {DRAFT}\n{end}\n{list}");
            assert_eq!(items(&text).as_ref(), Ok(&expected), "{text}");
        }
        assert_eq!(items(r#"{"content":"a"}"#), Ok(vec![json!({"content": "a"})]));
        assert_eq!(items(r#"Here: {"id": 1, "content":"a"}"#), Ok(vec![json!({"id": 1, "content": "a"})]));
        for text in
            ["[]", "```json\n[]\n```", "Here:\n```json\n[ ]\n```", r#"{"tips":[]}"#, "<think>x</think>[]", "<answer>[]</answer>"]
        {
            assert_eq!(items(text), Ok(vec![]), "{text}");
        }
    }

    #[test]
    fn what_would_be_a_guess_is_refused() {
        for (text, problem) in [
            ("", EMPTY),
            ("\u{feff}", EMPTY),
            ("<think>hm</think> ", EMPTY),
            (r#"<think>perhaps [{"content":"a"}]"#, IN_THOUGHTS),
            (r#"{"a":[],"b":[]}"#, NO_LIST),
            ("Sorry, I cannot help with that.", NO_LIST),
            ("See [1] and [2].", NO_LIST),
            ("No tips today: []", NO_LIST),
            (r#"{"content":"Here they are","tips":[{"content":"a"}]}"#, SEVERAL),
            ("As a draft:\n```json\n[{\"content\":\"a\"}]\n```\nFinally:\n```json\n[{\"content\":\"b\"},", NOT_JSON),
            ("First [{\"content\":\"a\"}], then\n```\n[{\"content\":\"b\"}]\n```", SEVERAL),
            ("```json\n{\"content\":\"a\"}\n{\"content\":\"b\"}\n```", SEVERAL),
            ("{\"content\":\"a\"}\n{\"content\":\"b\"}", SEVERAL),
            ("5", NO_LIST),
            ("\"text\"", NO_LIST),
            (r#""[{\"content\":\"a\"}]""#, NO_LIST),
            ("null", NO_LIST),
            (r#"{"error":"no"}"#, NO_LIST),
            (r#"{"a":[{"content":"x"}],"b":[{"content":"y"}]}"#, SEVERAL),
            (r#"[{"content":"a"},]"#, NOT_JSON),
            (r#"[{"content":"a"},{"content":"b"}"#, NOT_JSON),
            (r#"[{"content":"a"} {"content":"b"}]"#, NOT_JSON),
            ("Tips: [{'content': 'a'}]", NOT_JSON),
            ("[{“content”: “a”}]", NOT_JSON),
            ("{“content”: “a”}", NOT_JSON),
            (r#"{"tips": [{"content":"a"}],}"#, NOT_JSON),
            (r#"{tips: [{"content":"a"}]}"#, NOT_JSON),
            (r#"{'drafts': [{"content":"a"}]}"#, NOT_JSON),
            ("[\n  // the first\n  {\"content\":\"a\"}\n]", NOT_JSON),
            ("[\n  // the first [of many]\n  {\"content\":\"a\"}\n]", NOT_JSON),
            ("[ # the first\n  {\"content\":\"a\"},\n  {\"content\":\"b\"} ]", NOT_JSON),
            (r#"Tips: [{"content":"a",}]"#, NOT_JSON),
            ("```json\n[{\"content\":\"a\"},]\n```", NOT_JSON),
            ("```json\n[{\"content\":\"a\"}", NOT_JSON),
            (r#"Either [{"content":"a"}] or [{"content":"b"}]."#, SEVERAL),
            ("One:\n```\n[{\"content\":\"a\"}]\n```\nTwo:\n```\n[{\"content\":\"b\"}]\n```", SEVERAL),
            (r#"<|plan|>Maybe [{"content":"a"}]<|go|>"#, UNKNOWN_TOKEN),
            (r#"to=self<|message|>Maybe [{"content":"a"}]"#, UNKNOWN_TOKEN),
            (r#"[{"content":"a"}] <thi"#, UNKNOWN_TOKEN),
            (r#"<think>a</thinking>[{"content":"a"}]"#, IN_THOUGHTS),
            (r#"<think>a <thinking>b</thinking> [{"content":"a"}]"#, IN_THOUGHTS),
            (r#"<think>a <answer>[{"content":"a"}]</answer>"#, IN_THOUGHTS),
            (r#"analysisMaybe [{"content":"a"}]"#, IN_THOUGHTS),
            (r#"[{"content":"a"}]<think>Hm, no.</think>"#, EMPTY),
            (r#"[{"content":"a"}]<answer>None.</answer>"#, NO_LIST),
        ] {
            assert_eq!(items(text), Err(problem), "{text}");
        }
        for (begin, end) in BLOCKS {
            for reply in ["", "Sorry, not today.", "See [1]", "```json\n```"] {
                let text = format!("Sure!\n{begin}Maybe {DRAFT}. {end}\n{reply}");
                assert!(matches!(items(&text), Err(EMPTY | NO_LIST)), "{text}");
                assert!(items(&format!("{DRAFT}\n{begin}Hm.{end}\n{reply}")).is_err(), "{text}");
            }
            assert_eq!(items(&format!("{begin}Maybe {DRAFT}.")), Err(IN_THOUGHTS), "{begin}");
            assert_eq!(items(&format!("{begin}a{end} b {begin}Maybe {DRAFT}.")), Err(IN_THOUGHTS), "{begin}");
            assert_eq!(items(&format!("{begin}a{end}\n{begin}Maybe {DRAFT}.{end}\n[]")), Ok(vec![]), "{begin}");
        }
        assert_eq!(items(&"[".repeat(LONGEST_TEXT)), Err(NO_LIST));
        assert_eq!(items(&"[{\"a\":".repeat(LONGEST_TEXT / 6)), Err(NO_LIST));
        // All of a text is looked at: what was not could be another list.
        let far = "[x] ".repeat(10_000);
        assert_eq!(items(&format!(r#"Either {DRAFT} or {far} [{{"content":"b"}}]"#)), Err(SEVERAL));
        assert_eq!(items(&"x".repeat(LONGEST_TEXT + 1)), Err(TOO_LONG));
    }

    /// Minutes where the time for a text grows with the square of its length.
    #[test]
    fn the_longest_texts_are_read_once() {
        for piece in [
            "[",
            "{",
            "<",
            "`",
            "````",
            "~",
            "h",
            "< ",
            "[ A",
            "<a",
            "<|",
            "<|end|>",
            "</s>",
            "<think>",
            "</think>",
            "<answer>",
            "</answer>",
            "&lt;",
            "[{\"",
            "[{\"a\":1},",
            "{\"a\":[",
            "\n[",
            "here is my ",
            "<|channel|>",
            "◁think",
        ] {
            let text = piece.repeat(LONGEST_TEXT / piece.len());
            assert!(items(&text).is_err() && extract(&text, true).is_err(), "{piece}");
        }
    }

    #[test]
    fn of_a_cut_list_the_whole_items_are_taken_where_it_is_the_reply_beyond_doubt() {
        let [a, b] = [json!({"content": "a"}), json!({"content": "b"})];
        let whole = |text: &str| extract(text, true).map(|list| (list.items, list.is_cut));
        for text in [
            r#"[{"content":"a"},{"content":"b"},{"conte"#,
            r#"[{"content":"a"},{"content":"b"}"#,
            "```json\n[{\"content\":\"a\"},{\"content\":\"b\"},",
            r#"{"tips":[{"content":"a"},{"content":"b"},{"#,
            r#"<think>Hm: [{"content":"DRAFT"}] no.</think> Here: [{"content":"a"},{"content":"b"},{"content":"c"#,
            r#"Hm: [{"content":"DRAFT"}] no.</think> [{"content":"a"},{"content":"b"},{"content":"[{\"a\":1}] c"#,
        ] {
            assert_eq!(whole(text), Ok((vec![a.clone(), b.clone()], true)), "{text}");
            assert!(extract(text, false).is_err(), "{text}");
        }
        // What was whole before the cut is whole.
        for text in [
            r#"[{"content":"a"}]"#,
            "[{\"content\":\"a\"}]\nLet me kn",
            "```json\n[{\"content\":\"a\"}]\n``",
            "<think>x</think>Here: [{\"content\":\"a\"}] as you w",
        ] {
            assert_eq!(whole(text), Ok((vec![a.clone()], false)), "{text}");
        }
        for (text, problem) in [
            (r#"<think>Hm: [{"content":"DRAFT"},{"#, IN_THOUGHTS),
            // The opening mark may have stood in the prompt.
            (r#"Maybe [{"content":"DRAFT"},{"content":"DR"#, MAYBE_THOUGHTS),
            (r#"Maybe [{"content":"DRAFT"}]? Or ra"#, MAYBE_THOUGHTS),
            ("Maybe:\n```json\n[{\"content\":\"DRAFT\"}]\n```", MAYBE_THOUGHTS),
            ("Hm, what wou", MAYBE_THOUGHTS),
            (r#"[{"conte"#, NO_WHOLE_ITEM),
            (r#"{"drafts":[{"content":"DRAFT"},{"#, NOT_JSON),
            (r#"{"tips":[{"content":"DRAFT"}],"more":[{"#, NOT_JSON),
            (r#"[{"content":"DRAFT"}] or [{"content":"DRAFT"},{"#, SEVERAL),
            (r#"[{"content":"DRAFT"},] or [{"content":"DRAFT"},{"#, NOT_JSON),
            (r#"[{"content":"DRAFT"}] <thi"#, UNKNOWN_TOKEN),
            ("", EMPTY),
        ] {
            assert_eq!(whole(text), Err(problem), "{text}");
        }
    }
}
