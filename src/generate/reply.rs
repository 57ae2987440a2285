//! What stands in a reply, while it is read: lists, fences, brackets that are no JSON. Which list is meant is decided at its end.

use super::list::{List, NO_LIST, NOT_JSON, Problem, SEVERAL, items_of};
use super::text::is_blank;
use super::thoughts::without_message_end;
use serde_json::Value;

pub const EMPTY: Problem = "it was empty";
pub const NO_WHOLE_ITEM: Problem = "no item of its list was whole";
pub const MAYBE_THOUGHTS: Problem = "it may have ended within its thoughts";

/// See the module.
#[derive(Default)]
pub struct Reply<'t> {
    /// The whole text; the reply is from `begins` to `ends` of it.
    text: &'t str,
    begins: usize,
    ends: Option<usize>,
    /// Whether thoughts ended before it.
    is_marked: bool,
    lists: Vec<Vec<Value>>,
    /// Where the first one begins.
    first_at: Option<usize>,
    /// The list of the fence that the reply begins with: it is the one that is meant, whatever follows.
    first_fenced: Option<Vec<Value>>,
    /// What is whole of a list that goes on to the end of the text.
    before_cut: Option<Vec<Value>>,
    problem: Option<Problem>,
    /// So many brackets are open that began no JSON.
    brackets: usize,
    fence: Option<Fence>,
}

struct Fence {
    mark: char,
    len: usize,
    /// Where its content begins.
    from: usize,
    is_first: bool,
}

impl<'t> Reply<'t> {
    /// A text that is the reply as far as is known.
    pub fn of_whole(text: &'t str) -> Self {
        Self { text, ..Self::default() }
    }

    /// What follows a mark that ends at `begins`.
    pub fn after_mark(text: &'t str, begins: usize) -> Self {
        Self { text, begins, is_marked: true, ..Self::default() }
    }

    /// It ends, where it has not ended before.
    pub fn end(&mut self, at: usize) {
        self.ends.get_or_insert(at);
    }

    /// Unless what counts stands before: it cannot be used.
    pub fn fail(&mut self, problem: Problem) {
        if !self.is_decided() {
            self.problem.get_or_insert(problem);
        }
    }

    /// A JSON value of so many bytes.
    pub fn take(&mut self, value: Value, at: usize, len: usize) {
        let is_meant = match &value {
            Value::Array(items) => items.iter().any(Value::is_object) || self.fills_fence(at, len),
            value => value.is_object(),
        };
        if self.is_decided() || !is_meant {
            return;
        }
        match items_of(value) {
            // Within brackets that are no JSON, such as a list with comments, it would be a part of what was meant.
            Ok(Some(_)) if self.brackets > 0 => self.fail(NOT_JSON),
            Ok(Some(items)) => {
                self.first_at.get_or_insert(at);
                self.lists.push(items);
            }
            Ok(None) => {}
            Err(problem) => self.fail(problem),
        }
    }

    /// The whole items of a list that goes on to the end of the text; all that follows is within it.
    pub fn take_cut(&mut self, items: Vec<Value>, at: usize) {
        if !self.is_decided() && self.problem.is_none() {
            self.first_at.get_or_insert(at);
            self.before_cut = Some(items);
        }
    }

    /// A fence of so many marks, which opens or closes a block. Within one that is open, shorter and other ones are its content.
    pub fn fence(&mut self, mark: char, at: usize, len: usize) {
        match &self.fence {
            None => {
                let is_first = self.text.get(self.begins..at).is_some_and(is_blank);
                self.fence = Some(Fence { mark, len, from: at + len, is_first });
            }
            Some(fence) if fence.mark == mark && len >= fence.len => {
                let is_first = fence.is_first;
                self.fence = None;
                if is_first {
                    self.close_first();
                }
            }
            Some(_) => {}
        }
    }

    /// A bracket that begins no JSON.
    pub const fn open_bracket(&mut self) {
        self.brackets += 1;
    }

    /// Its end.
    pub const fn close_bracket(&mut self) {
        self.brackets = self.brackets.saturating_sub(1);
    }

    /// Which list is meant, when all was read. A text that `is_cut` may be nothing but thoughts whose opening mark stood in the prompt: its
    /// list is taken only where nothing but a fence stands before it, or where thoughts have ended.
    ///
    /// # Errors
    /// Why there is none, or no single one.
    pub fn list(mut self, is_cut: bool) -> Result<List, Problem> {
        let reply = trimmed(self.text.get(self.begins..self.ends.unwrap_or(self.text.len())).unwrap_or_default());
        if reply.is_empty() {
            return Err(EMPTY);
        }
        let whole = |items| Ok(List { items, is_cut: false });
        if let Ok(value) = serde_json::from_str(reply) {
            return items_of(value)?.map_or(Err(NO_LIST), whole);
        }
        if let Some(problem) = self.problem {
            return Err(problem);
        }
        if is_cut && !self.is_marked && !self.begins_with_list() {
            return Err(MAYBE_THOUGHTS);
        }
        if let Some(items) = self.first_fenced {
            return whole(items);
        }
        // What a model wrote twice is no choice.
        self.lists.dedup();
        match (self.lists.len(), self.before_cut) {
            (0, None) => Err(NO_LIST),
            (1, None) => whole(self.lists.swap_remove(0)),
            (0, Some(items)) if items.is_empty() => Err(NO_WHOLE_ITEM),
            (0, Some(items)) => Ok(List { items, is_cut: true }),
            _ => Err(SEVERAL),
        }
    }

    /// Whether what follows does not count any more.
    const fn is_decided(&self) -> bool {
        self.ends.is_some() || self.before_cut.is_some() || self.first_fenced.is_some()
    }

    /// Whether a fence holds a value and nothing else but the language in its first line.
    fn fills_fence(&self, at: usize, len: usize) -> bool {
        self.fence.as_ref().is_some_and(|fence| {
            let is_language = |c: char| c.is_alphanumeric() || matches!(c, '_' | '-' | '+' | '.');
            let before = self.text.get(fence.from..at).unwrap_or_default().trim().trim_start_matches(is_language);
            let after = self.text.get(at + len..).unwrap_or_default().trim_start();
            before.is_empty() && (after.is_empty() || after.starts_with(fence.mark))
        })
    }

    fn close_first(&mut self) {
        if self.problem.is_none() && !self.is_decided() {
            match self.lists.len() {
                0 => {}
                1 => self.first_fenced = self.lists.pop(),
                _ => self.fail(SEVERAL),
            }
        }
    }

    fn begins_with_list(&self) -> bool {
        let before = self.first_at.and_then(|at| self.text.get(self.begins..at)).map(trimmed);
        before.is_some_and(|before| before.is_empty() || (before.starts_with(['`', '~']) && before.lines().count() == 1))
    }
}

/// Without blanks and what nobody sees, such as a byte order mark, and without what ends a message.
fn trimmed(text: &str) -> &str {
    let is_unseen = |c: char| is_blank(c.encode_utf8(&mut [0; 4]));
    without_message_end(text.trim_matches(is_unseen)).trim_matches(is_unseen)
}
