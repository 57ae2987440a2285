//! NATS subjects: tokens between dots, and filters in which `*` stands for one token and a last `>` for one or more
//! (<https://docs.nats.io/nats-concepts/subjects>).

use crate::error::{Error, Result, shown};

/// Longer ones are refused, as by the server's default for a line of its protocol.
const LONGEST: usize = 1024;

/// Checks a subject to publish to: no empty token, no wildcard, no space.
///
/// # Errors
/// `ERR_INVALID_ARGUMENT`, naming `path`.
pub fn check_subject(path: &str, subject: &str) -> Result<()> {
    let is_token = |token: &str| is_plain(token) && token != "*" && token != ">";
    if !subject.is_empty() && subject.len() <= LONGEST && subject.split('.').all(is_token) {
        return Ok(());
    }
    Err(Error::invalid(path, format_args!("must be a NATS subject without wildcards, got {}", shown(subject))))
}

fn is_plain(token: &str) -> bool {
    !token.is_empty() && !token.contains(|c: char| c.is_whitespace() || c.is_control())
}

/// A subject with wildcards.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SubjectFilter {
    tokens: Vec<String>,
    /// It ended in `>`.
    takes_rest: bool,
}

impl SubjectFilter {
    /// Reads a filter.
    ///
    /// # Errors
    /// `ERR_INVALID_ARGUMENT`, naming `path`.
    pub fn parse(path: &str, text: &str) -> Result<Self> {
        let bad = || Error::invalid(path, format_args!("must be a NATS subject, * and a last > allowed, got {}", shown(text)));
        let mut tokens: Vec<_> = text.split('.').map(str::to_owned).collect();
        if text.len() > LONGEST || !tokens.iter().all(|token| is_plain(token)) {
            return Err(bad());
        }
        let takes_rest = tokens.last().is_some_and(|last| last == ">");
        if takes_rest {
            tokens.pop();
        }
        if tokens.iter().any(|token| token == ">") {
            return Err(bad());
        }
        Ok(Self { tokens, takes_rest })
    }

    /// Whether a subject is meant.
    #[must_use]
    pub fn matches(&self, subject: &str) -> bool {
        let mut tokens = subject.split('.');
        let fits = self.tokens.iter().all(|wanted| tokens.next().is_some_and(|token| wanted == "*" || wanted == token));
        fits && tokens.next().is_some() == self.takes_rest
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn wildcards_mean_what_they_mean_to_the_server() {
        let matches = |filter: &str, subject: &str| SubjectFilter::parse("subject", filter).unwrap().matches(subject);
        for (filter, subject) in
            [("a.b", "a.b"), ("*.b", "a.b"), ("a.*", "a.b"), ("a.>", "a.b.c"), (">", "a"), (">", "a.b"), ("a.*.>", "a.b.c")]
        {
            assert!(matches(filter, subject), "{filter} {subject}");
        }
        for (filter, subject) in [("a.b", "a"), ("a", "a.b"), ("a.>", "a"), ("*", "a.b"), ("a.*.>", "a.b"), ("A.b", "a.b")] {
            assert!(!matches(filter, subject), "{filter} {subject}");
        }
    }

    #[test]
    fn what_is_no_subject_is_refused() {
        for text in ["", ".", "a.", ".a", "a..b", "a b", "a.>.b", "a\nb", &"a".repeat(1025)] {
            assert!(SubjectFilter::parse("subject", text).is_err(), "{text:?}");
            assert!(check_subject("subject", text).is_err(), "{text:?}");
        }
        assert!(check_subject("subject", "a.*").is_err() && check_subject("subject", "a.>").is_err());
        assert!(check_subject("subject", "signals.task.synced").is_ok());
    }
}
