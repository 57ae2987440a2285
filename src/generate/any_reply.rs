//! Replies as models may write them, drawn at random: with thoughts, prose and fences around a known list, cut and changed anywhere. What is
//! found in them is the list, or nothing; never a draft.

use super::extract::extract;
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::{Index, select};
use proptest::test_runner::{Config, RngSeed};
use serde_json::{Value, json};

/// What stands in thoughts and was rejected.
pub const DRAFT: &str = r#"[{"content":"DRAFT"}]"#;
/// What opens and closes thoughts.
pub const BLOCKS: [(&str, &str); 26] = [
    ("<think>", "</think>"),
    ("<THINK>", "</THINK>"),
    ("<think time=\"3\">", "</think >"),
    ("< think >", "< / think >"),
    ("<thinking>", "</thinking>"),
    ("<antThinking>", "</antThinking>"),
    ("<thought>", "</thought>"),
    ("<Reasoning>", "</reasoning>"),
    ("<inner_monologue>", "</inner_monologue>"),
    ("<scratchpad>", "</scratchpad>"),
    ("<seed:think>", "</seed:think>"),
    ("<longcat_think>", "</longcat_think>"),
    ("&lt;think&gt;", "&lt;/think&gt;"),
    ("[THINK]", "[/THINK]"),
    ("◁think▷", "◁/think▷"),
    ("<|begin_of_thought|>", "<|end_of_thought|>"),
    ("<|START_THINKING|>", "<|END_THINKING|>"),
    ("<|inner_prefix|>", "<|inner_suffix|>"),
    ("[unused16]", "[unused17]"),
    ("<|channel|>analysis<|message|>", "<|end|><|start|>assistant<|channel|>final<|message|>"),
    ("<|channel>thought\n", "<channel|>"),
    ("<details type=\"reasoning\" done=\"true\"><summary>Thought for 3 s</summary>", "</details>"),
    ("<|channel|>analysis<|message|>", "<|end|>"),
    ("Here is my thought process:", "Here is my response:"),
    ("Here are my reasoning steps:", "[BEGIN FINAL RESPONSE]"),
    ("assistantanalysis", "assistantfinal"),
];
/// The blocks above whose opening mark a chat template may have put into the prompt.
pub const CLOSED_ALONE: usize = 21;

/// The same cases on every run.
pub fn cases() -> Config {
    Config { cases: 1000, rng_seed: RngSeed::Fixed(20_261_201), failure_persistence: None, ..Config::default() }
}

/// Prose as models write it around a list.
fn prose() -> impl Strategy<Value = String> {
    let pieces = select(vec![
        "Sure! ",
        "Here are 3 tips [as asked]: ",
        "\n\n",
        "{so} ",
        "[1] ",
        "`x` ",
        "a < b ",
        "— “yes” ",
        "1. ",
        "**Tips**\n",
        "é ",
        "~ ",
    ]);
    vec(pieces, 0..4).prop_map(|pieces| pieces.concat())
}

/// What a model thinks of before it answers: all of it is to be forgotten.
fn thoughts() -> impl Strategy<Value = String> {
    let pieces = select(vec![
        DRAFT,
        "```json\n",
        "```",
        "[{\"content\":\"DRAFT\"},{\"cont",
        "{\"tips\":[{\"content\":\"DRAFT\"}]}",
        "Hm. ",
        "[",
        "{",
        "\"",
        "no] ",
        "~~~",
        "{\"content\":\"DRAFT\"}\n",
        "<b>",
        "\u{200b}",
        "{'a'",
        "] }",
    ]);
    vec(pieces, 0..6).prop_map(|pieces| pieces.concat())
}

fn known_list() -> impl Strategy<Value = Vec<Value>> {
    let odd =
        select(vec!["a ``` b", "</think>", "<think>", "[{", "~~~", "\"", "analysis", "<|end|>", "}]"]).prop_map(str::to_owned);
    let content = prop_oneof![".{1,20}", odd].prop_map(|content| json!({"content": content}));
    vec(content, 1..4)
}

fn block_of(block: usize, thoughts: &str) -> String {
    let (begin, end) = BLOCKS[block];
    format!("{begin}{thoughts} {end}\n")
}

fn framed(list: &str, frame: usize) -> String {
    match frame {
        0 => list.to_owned(),
        1 => format!("```json\n{list}\n```"),
        2 => format!("~~~~\n{list}\n~~~~"),
        3 => format!("```\n{list}"),
        4 => format!("{{\"note\":\"n\",\"tips\":{list}}}"),
        5 => format!("<answer>{list}</answer>"),
        _ => format!("````md\n```json\n{list}\n```\n````"),
    }
}

proptest! {
    #![proptest_config(cases())]

    #[test]
    fn any_text_is_answered(text in r#"([\[\]{}",:`~<>/|a-z0-9 \n\\]|```json|\{"content":"x"\}|</?think>|<\|channel\|>|\[\]|null){0,60}"#, is_cut: bool) {
        let _ = extract(&text, is_cut);
    }

    #[test]
    fn a_list_comes_back_as_it_was(list in known_list(), blocks in vec((0..BLOCKS.len(), thoughts()), 0..3), before in prose(), after in prose(), frame in 0..7_usize) {
        let blocks: Vec<String> = blocks.into_iter().map(|(block, thoughts)| block_of(block, &thoughts)).collect();
        let text = format!("{}{before}\n{}\n{after}", blocks.concat(), framed(&Value::from(list.clone()).to_string(), frame));
        let found = extract(&text, false).map(|list| list.items);
        prop_assert_eq!(found, Ok(list), "{}", text);
    }

    #[test]
    fn no_draft_is_a_tip(list in known_list(), from_prompt in proptest::option::of((0..CLOSED_ALONE, thoughts())), pieces in vec((0..5_usize, 0..BLOCKS.len(), thoughts(), prose(), 0..7_usize), 0..6), is_cut: bool, at: Index) {
        let shown = Value::from(list.clone()).to_string();
        let is_open = from_prompt.is_some();
        // Their opening mark stands in the prompt.
        let from_prompt = from_prompt.map(|(block, thoughts)| format!("Hm: {thoughts} {}\n", BLOCKS[block].1));
        let pieces = pieces.into_iter().map(|(piece, block, thoughts, prose, frame)| match piece {
            0 | 1 => block_of(block, &thoughts),
            2 => framed(&shown, frame),
            3 => block_of(block, &format!("{thoughts} {prose}")),
            _ => prose,
        });
        let text: String = from_prompt.into_iter().chain(pieces).collect();
        let cut = &text[..text.floor_char_boundary(at.index(text.len() + 1))];
        // Of thoughts that nothing marks it has to be known that they were cut.
        let texts = if is_open && !is_cut { std::vec![&text[..]] } else { std::vec![&text[..], cut] };
        for text in texts {
            if let Ok(found) = extract(text, is_cut) {
                // Prose may be nothing but "[1]".
                let items: Vec<Value> = found.items.into_iter().filter(Value::is_object).collect();
                let is_of_list = if found.is_cut { list.starts_with(&items) } else { items.is_empty() || items == list };
                prop_assert!(is_of_list, "{:?} in {}", items, text);
            }
        }
    }

    #[test]
    fn mutated_replies_are_answered(list in known_list(), block in 0..BLOCKS.len(), thoughts in thoughts(), frame in 0..7_usize, is_cut: bool, changes in vec((any::<Index>(), any::<char>(), 0..3), 1..30)) {
        let (begin, end) = BLOCKS[block];
        let mut text: Vec<char> = format!("{begin}{thoughts}{end}{}", framed(&Value::from(list).to_string(), frame)).chars().collect();
        for (at, c, change) in changes {
            let at = at.index(text.len());
            match change {
                0 => text.insert(at, c),
                1 if text.len() > 1 => drop(text.remove(at)),
                _ => text[at] = c,
            }
        }
        let _ = extract(&text.into_iter().collect::<String>(), is_cut);
    }
}
