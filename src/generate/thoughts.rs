//! What marks thoughts off from the reply within one text. Where a server does not take a model's thoughts out, they come along with the
//! reply, between marks that differ by family of models: `<think>`, `[THINK]`, `◁think▷`, `<|channel|>analysis<|message|>` and others,
//! often without the opening one, which the chat template has put into the prompt. The marks are those of vLLM's and llama.cpp's reasoning
//! parsers, told by what their names have in common. A mark too many costs a request; one too few would show a draft.

use Mark::{Begin, End, MessageEnd, Nothing, Reply, ReplyEnd, Unknown};
use std::borrow::Cow;

/// A place in a text where thoughts or the reply begin or end.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Mark {
    /// Thoughts begin; the name says which mark ends them.
    Begin(Cow<'static, str>),
    /// Thoughts of this name end.
    End(Cow<'static, str>),
    /// The reply begins, unless thoughts between tags are open.
    Reply,
    /// The reply ends.
    ReplyEnd,
    /// A message ends: at the end of a text the one with the reply, elsewhere one of thoughts.
    MessageEnd,
    /// A token of a chat template that says nothing of thoughts.
    Nothing,
    /// A token of a chat template that is not known, or a tag that the text ends in: what stands around it may be thoughts.
    Unknown,
}

/// Names of tags, tokens, and entries of an object that hold thoughts have one of these in them.
const THOUGHTS: [&str; 10] =
    ["think", "thought", "reason", "reflect", "scratch", "monologue", "analys", "deliberat", "draft", "brainstorm"];
/// Names of tags and tokens around a reply have one of these words.
const REPLIES: [&str; 7] = ["answer", "final", "response", "reply", "solution", "output", "result"];
/// Tokens that end a message: what stood before them was another message.
const MESSAGE_ENDS: [&str; 13] = [
    "end",
    "return",
    "call",
    "eom",
    "eot",
    "eos",
    "eom id",
    "eot id",
    "im end",
    "endoftext",
    "end of text",
    "end of turn",
    "end of sentence",
];
/// And those of another form.
const PLAIN_ENDS: [&str; 3] = ["</s>", "<eos>", "<end_of_turn>"];
/// Tokens that stand before a reply or around it.
const NEUTRAL: [&str; 14] = [
    "start",
    "bos",
    "turn",
    "assistant",
    "im start",
    "im middle",
    "im assistant",
    "startoftext",
    "begin of text",
    "begin of sentence",
    "start of turn",
    "start header id",
    "end header id",
    "begin of box",
];
/// Thoughts that are not between tags: they end where the reply begins.
pub const UNTAGGED: [&str; 2] = [CHANNEL, SPEECH];
pub const CHANNEL: &str = "channel";
const SPEECH: &str = "speech";
/// A tag that holds thoughts only where its attributes say so.
pub const DETAILS: &str = "details";
/// What models write in place of marks: Granite 3, Apriel, and gpt-oss where its tokens are taken out of the text.
const PHRASES: [(&str, Mark); 8] = [
    ("here is my thought process:", Begin(Cow::Borrowed(SPEECH))),
    ("here's my thought process:", Begin(Cow::Borrowed(SPEECH))),
    ("here are my reasoning steps:", Begin(Cow::Borrowed(SPEECH))),
    ("here is my response:", Reply),
    ("here's my response:", Reply),
    ("assistantanalysis", Begin(Cow::Borrowed(SPEECH))),
    ("assistantcommentary", Begin(Cow::Borrowed(SPEECH))),
    ("assistantfinal", Reply),
];
/// What opens a tag, and what closes it.
const TAGS: [(&str, &str); 6] = [("<", ">"), ("＜", "＞"), ("&lt;", "&gt;"), ("[", "]"), ("◁", "▷"), ("【", "】")];
const BARS: [char; 2] = ['|', '｜'];
const LONGEST_NAME: usize = 40;
/// Of a tag, its attributes included, and of what stands between `<|channel|>` and `<|message|>`.
const LONGEST_TAG: usize = 200;

/// Whether something of this name holds thoughts.
pub fn names_thoughts(name: &str) -> bool {
    let name = name.to_lowercase();
    THOUGHTS.iter().any(|part| name.contains(part))
}

/// Whether a character can be the first of a mark.
pub const fn begins_mark(c: char) -> bool {
    matches!(c, '<' | '[' | '＜' | '&' | '◁' | '【' | 'h' | 'H' | 'a' | 'A')
}

/// The mark that a text begins with, and its length in bytes.
pub fn mark_at(text: &str) -> Option<(Mark, usize)> {
    phrase(text).or_else(|| control_token(text)).or_else(|| tag(text))
}

/// Whether a text begins in thoughts whose mark is gone: gpt-oss's tokens are taken out as special ones, the channel's name is not.
pub fn begins_in_channel(text: &str) -> bool {
    let rest = text.strip_prefix("analysis").or_else(|| text.strip_prefix("commentary"));
    rest.is_some_and(|rest| !rest.starts_with(char::is_lowercase))
}

/// A text without what ends a message, at its end.
pub fn without_message_end(text: &str) -> &str {
    let mut text = text.trim_end();
    while let Some(before) = before_message_end(text) {
        text = before.trim_end();
    }
    text
}

fn before_message_end(text: &str) -> Option<&str> {
    let plain = PLAIN_ENDS.iter().find_map(|end| text.strip_suffix(end));
    plain.or_else(|| {
        let (before, last) = text.split_at(text.rfind('<')?);
        let is_end = control_token(last)? == (MessageEnd, last.len());
        is_end.then_some(before)
    })
}

fn phrase(text: &str) -> Option<(Mark, usize)> {
    let is_here = |phrase: &str| text.get(..phrase.len()).is_some_and(|start| start.eq_ignore_ascii_case(phrase));
    PHRASES.into_iter().find(|(phrase, _)| is_here(phrase)).map(|(phrase, mark)| (mark, phrase.len()))
}

/// A token as chat templates have them: `<|name|>`, `<|name>`, `<name|>`.
fn control_token(text: &str) -> Option<(Mark, usize)> {
    let inner = text.strip_prefix('<')?;
    let rest = inner.strip_prefix(BARS).unwrap_or(inner);
    let is_opened = rest.len() < inner.len();
    let (is_end, rest) = rest.strip_prefix('/').map_or((false, rest), |rest| (true, rest));
    let (name, rest) = name_at(rest, false)?;
    let closed = rest.strip_prefix(BARS).unwrap_or(rest);
    let is_closed = closed.len() < rest.len();
    if !is_opened && !is_closed {
        return None;
    }
    let rest = if closed.is_empty() { closed } else { closed.strip_prefix('>')? };
    let len = text.len() - rest.len();
    let name = name.as_str();
    if name == CHANNEL {
        return Some(channel(is_opened, rest, len));
    }
    if MESSAGE_ENDS.contains(&name) || (name == "turn" && !is_opened) {
        return Some((MessageEnd, len));
    }
    let mark = match name {
        "inner prefix" => Begin("inner".into()),
        "inner suffix" => End("inner".into()),
        "end of box" => Nothing,
        name if NEUTRAL.contains(&name) => Nothing,
        name => of_name(name, is_end).unwrap_or(Unknown),
    };
    Some((mark, len))
}

/// gpt-oss: `<|channel|>analysis<|message|>`, `<|channel|>final <|constrain|>json<|message|>`; Gemma 4: `<|channel>thought` and `<channel|>`.
fn channel(is_opened: bool, rest: &str, len: usize) -> (Mark, usize) {
    const MESSAGE: &str = "<|message|>";
    if !is_opened {
        return (End(CHANNEL.into()), len);
    }
    let header = rest.get(..rest.floor_char_boundary(LONGEST_TAG)).unwrap_or_default().lines().next().unwrap_or_default();
    let name = header.trim_start();
    let name = name.get(..name.find(|c: char| !c.is_alphabetic()).unwrap_or(name.len())).unwrap_or_default();
    let mark = if REPLIES.contains(&name.to_lowercase().as_str()) { Reply } else { Begin(CHANNEL.into()) };
    (mark, len + header.find(MESSAGE).map_or(0, |at| at + MESSAGE.len()))
}

/// A tag whose name speaks of thoughts or of the reply.
fn tag(text: &str) -> Option<(Mark, usize)> {
    let (opening, closing) = TAGS.into_iter().find(|(opening, _)| text.starts_with(opening))?;
    // Prose has brackets of its own: what stands in them is a mark only as a whole.
    let is_bracket = matches!(opening, "[" | "【");
    let rest = text.strip_prefix(opening)?.trim_start();
    let (is_end, rest) = rest.strip_prefix('/').map_or((false, rest), |rest| (true, rest.trim_start()));
    let (name, rest) = name_at(rest, is_bracket)?;
    if rest.is_empty() {
        let is_cut =
            text.strip_prefix(['<', '/']).is_some_and(|rest| rest.trim_start_matches('/').starts_with(char::is_alphabetic));
        return (is_cut || of_name(&name, is_end).is_some()).then_some((Unknown, text.len()));
    }
    let is_whole = rest.starts_with(closing);
    if !is_whole && (is_bracket || !rest.starts_with(|c: char| c.is_whitespace() || c == '/')) {
        return None;
    }
    let ahead = rest.get(..rest.floor_char_boundary(LONGEST_TAG)).unwrap_or_default();
    let attributes = ahead.find(closing).and_then(|at| ahead.get(..at)).filter(|attributes| !attributes.contains(opening));
    let end = text.len() - rest.len() + attributes.map_or(0, |attributes| attributes.len() + closing.len());
    let attributes = attributes.unwrap_or_default();
    let mark = match name.as_str() {
        // Open WebUI: <details type="reasoning" done="true">
        DETAILS if is_end => End(DETAILS.into()),
        DETAILS if names_thoughts(attributes) => Begin(DETAILS.into()),
        // Pangu
        "unused16" => Begin("unused".into()),
        "unused17" => End("unused".into()),
        // `<think/>` is a block that has ended.
        name => of_name(name, is_end || attributes.ends_with('/'))?,
    };
    Some((mark, end))
}

/// The name that a text begins with, in small letters and with blanks between its words, and what follows it. With `is_spaced`, words in
/// capitals may have blanks between them.
fn name_at(text: &str, is_spaced: bool) -> Option<(String, &str)> {
    let is_name = |c: char| c.is_alphanumeric() || matches!(c, '_' | '-' | '.' | ':' | '▁');
    let spaced = text.find(|c: char| !(c.is_uppercase() || c == ' ')).unwrap_or(text.len());
    let plain = text.find(|c: char| !is_name(c)).unwrap_or(text.len());
    let (name, rest) = text.split_at(if is_spaced { spaced.max(plain) } else { plain });
    let is_fit = (1..=LONGEST_NAME).contains(&name.trim().len());
    is_fit.then(|| (name.trim().to_lowercase().replace(['_', '-', '.', ':', '▁'], " "), rest))
}

/// What a name says of where it stands.
fn of_name(name: &str, is_end: bool) -> Option<Mark> {
    let words = || name.split(' ');
    let is_end = is_end || words().any(|word| matches!(word, "end" | "close"));
    if names_thoughts(name) {
        // `<|begin_of_thought|>` is ended by `<|end_of_thought|>`.
        let name =
            words().filter(|word| !matches!(*word, "begin" | "start" | "end" | "close" | "of")).collect::<Vec<_>>().join(" ");
        return Some(if is_end { End(name.into()) } else { Begin(name.into()) });
    }
    words().any(|word| REPLIES.contains(&word)).then_some(if is_end { ReplyEnd } else { Reply })
}
