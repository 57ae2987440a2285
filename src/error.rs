//! The one error type of the crate: few kinds, each telling the caller what to do.

use crate::boundary::{ERROR_CODES, ERROR_REASONS};
use std::fmt;

/// What went wrong, by what the caller can do about it. Becomes `BanditError.code` in JavaScript.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ErrorKind {
    /// An argument or option is wrong: fix the caller.
    InvalidArgument,
    /// There is nothing to choose from.
    NoCandidates,
    /// No policy has that name.
    UnknownPolicy,
    /// Another process holds the directory: wait, or use another directory.
    StateLocked,
    /// A state file cannot be read as one: look at it; a reset sets it aside.
    StateCorrupt,
    /// The directory could not be read or written: the call was not applied.
    StateIo,
    /// Too much waits for the disk: the call was not applied, try again later.
    Backpressure,
    /// No such decision, or it has expired: its reaction cannot be learned from any more.
    UnknownDecision,
    /// Too little was logged to answer: log more, or ask for more time.
    InsufficientData,
    /// No prompt has that version.
    UnknownPromptVersion,
    /// The LLM proxy cannot be reached, or does not answer: try again later.
    LlmUnreachable,
    /// The LLM proxy answered with a status that is no success.
    LlmStatus,
    /// The model's reply cannot be used.
    LlmInvalidReply,
    /// There is no NATS server, or none that takes a message: try again later.
    NatsUnreachable,
    /// The engine was closed: open another.
    Closed,
    /// This runtime lacks what the crate needs.
    Unsupported,
    /// A defect in this crate.
    Internal,
}

impl ErrorKind {
    /// The stable code that programs compare.
    #[must_use]
    pub const fn code(self) -> &'static str {
        ERROR_CODES[self as usize]
    }

    const fn retryable(self) -> bool {
        use ErrorKind as K;
        matches!(self, K::StateLocked | K::StateIo | K::Backpressure | K::NatsUnreachable | K::LlmUnreachable | K::LlmInvalidReply)
    }
}

/// Why there is no decision to learn from. Becomes `BanditError.reason`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reason {
    /// There is no such decision.
    Invalid,
    /// It is older than reactions are learned from, or than the log.
    Expired,
    /// Its user was reset since.
    Reset,
    /// Its user reacted to so many others since that it cannot be revised any more.
    Superseded,
    /// It was made for another user than the caller says.
    OtherUser,
}

impl Reason {
    /// The stable name that programs compare.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        ERROR_REASONS[self as usize]
    }
}

/// An error with its kind and a message that names the path and the value, [`printable`] whatever these are.
#[derive(Debug)]
pub struct Error {
    kind: ErrorKind,
    reason: Option<Reason>,
    message: String,
    status: Option<u16>,
    /// It does not pass by itself, whatever its kind.
    lasting: bool,
    source: Option<std::io::Error>,
}

/// Called once with how a job went, on the thread that did it.
pub type Done = Box<dyn FnOnce(Result<()>) + Send>;

/// The crate's results.
pub type Result<T, E = Error> = std::result::Result<T, E>;

impl Error {
    /// An error of `kind`.
    #[must_use]
    pub fn new(kind: ErrorKind, message: impl Into<String>) -> Self {
        Self { kind, reason: None, message: printable(&message.into()), status: None, lasting: false, source: None }
    }

    /// A bad argument: `path` is what the caller wrote, e.g. `features.priority`.
    #[must_use]
    pub fn invalid(path: &str, problem: impl fmt::Display) -> Self {
        Self::new(ErrorKind::InvalidArgument, format!("{path}: {problem}"))
    }

    /// A failed file operation; `what` names the operation and the file.
    #[must_use]
    pub fn io(what: impl fmt::Display, source: impl Into<std::io::Error>) -> Self {
        let source = source.into();
        let message = format!("{what}: {source}");
        Self { source: Some(source), ..Self::new(ErrorKind::StateIo, message) }
    }

    /// The LLM proxy answered with this status.
    #[must_use]
    pub fn llm_status(status: u16, message: String) -> Self {
        Self { status: Some(status), ..Self::new(ErrorKind::LlmStatus, message) }
    }

    /// The same, of what does not pass by itself: calling again is no use.
    #[must_use]
    pub fn lasting(self) -> Self {
        Self { lasting: true, ..self }
    }

    /// The same, of a path that was to be opened: it lasts unless the machine was short of something. While an engine runs, a directory that
    /// fails may be mended under it, and what it was told is tried again.
    #[must_use]
    pub fn at_opening(self) -> Self {
        use std::io::ErrorKind as K;
        const EMFILE: i32 = rustix::io::Errno::MFILE.raw_os_error();
        const ENFILE: i32 = rustix::io::Errno::NFILE.raw_os_error();
        const EIO: i32 = rustix::io::Errno::IO.raw_os_error();
        let passes = self.source.as_ref().is_none_or(|e| {
            let short = [K::StorageFull, K::QuotaExceeded, K::OutOfMemory, K::ResourceBusy, K::WouldBlock, K::Interrupted];
            let away = [K::TimedOut, K::StaleNetworkFileHandle, K::HostUnreachable, K::NetworkUnreachable, K::NetworkDown];
            let number = e.raw_os_error();
            short.contains(&e.kind()) || away.contains(&e.kind()) || [EMFILE, ENFILE, EIO].iter().any(|n| number == Some(*n))
        });
        if passes { self } else { self.lasting() }
    }

    /// There is no decision to learn from.
    #[must_use]
    pub fn unknown_decision(reason: Reason, problem: impl fmt::Display) -> Self {
        Self { reason: Some(reason), ..Self::new(ErrorKind::UnknownDecision, format!("decisionId: {problem}")) }
    }

    /// What every call on a closed engine gets.
    #[must_use]
    pub fn closed() -> Self {
        Self::new(ErrorKind::Closed, "the engine was closed")
    }

    /// What the caller can do about it.
    #[must_use]
    pub const fn kind(&self) -> ErrorKind {
        self.kind
    }

    /// Why, of `ERR_UNKNOWN_DECISION`.
    #[must_use]
    pub const fn reason(&self) -> Option<Reason> {
        self.reason
    }

    /// The HTTP status of `ERR_LLM_STATUS`.
    #[must_use]
    pub const fn status(&self) -> Option<u16> {
        self.status
    }

    /// Whether the same call may succeed later without any change.
    #[must_use]
    pub const fn retryable(&self) -> bool {
        !self.lasting && (self.kind.retryable() || matches!(self.status, Some(408 | 429 | 500..)))
    }

    /// The text for people.
    #[must_use]
    pub fn message(&self) -> &str {
        &self.message
    }
}

/// The same outcome for somebody else who has to be told.
///
/// # Errors
/// The same.
pub fn again(outcome: &Result<()>) -> Result<()> {
    let same = |error: &Error| Error { message: error.message.clone(), source: None, ..*error };
    outcome.as_ref().map(|&()| ()).map_err(same)
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.kind.code(), self.message)
    }
}

impl std::error::Error for Error {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        self.source.as_ref().map(|e| e as _)
    }
}

/// An error and what it came from, which many errors' own texts leave out.
pub fn with_sources(e: &dyn std::error::Error) -> String {
    let mut text = e.to_string();
    let mut source = e.source();
    while let Some(inner) = source {
        let inner_text = inner.to_string();
        if !text.contains(&inner_text) {
            text = format!("{text}: {inner_text}");
        }
        source = inner.source();
    }
    text
}

/// A value as an error message shows it: quoted, with control characters escaped, at most 60 characters.
#[must_use]
pub fn shown(value: &str) -> String {
    const LONGEST: usize = 60;
    let mut text: String = value.chars().take(LONGEST).collect();
    if text.len() < value.len() {
        text.push('…');
    }
    format!("{text:?}")
}

/// A text as a terminal and a line of a log can take it: what a terminal obeys, what ends a line and what turns its direction round is
/// escaped. Of more than 2,000 characters the middle is left out: a path of 4,096 bytes ends in what tells.
#[must_use]
pub fn printable(text: &str) -> String {
    const LONGEST: usize = 2000;
    const BEGINNING: usize = 1000;
    let mut printable = String::with_capacity(text.len());
    let length = text.chars().count();
    let left_out = if length > LONGEST { BEGINNING..length - (LONGEST - BEGINNING) } else { 0..0 };
    for (i, c) in text.chars().enumerate().filter(|(i, _)| !left_out.contains(i)) {
        if i == left_out.end && i > 0 {
            printable.push('…');
        }
        match c {
            '\n' | '\r' | '\t' => printable.extend(c.escape_default()),
            '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}' => printable.extend(c.escape_unicode()),
            _ if c.is_control() => printable.extend(c.escape_unicode()),
            _ => printable.push(c),
        }
    }
    printable
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_are_printable_and_bounded() {
        let error = Error::io("open /tmp/\u{1b}[31m\u{9b}2J\n\u{202e}fdp", std::io::ErrorKind::NotFound);
        assert_eq!(error.message(), r"open /tmp/\u{1b}[31m\u{9b}2J\n\u{202e}fdp: entity not found");
        let error = Error::invalid("options.x", "y".repeat(100_000) + "end");
        assert_eq!((error.message().chars().count(), error.message().ends_with("yend")), (2001, true));
        assert!(Error::new(ErrorKind::Closed, "Zoë ✓ 一").message() == "Zoë ✓ 一");
    }

    #[test]
    fn what_lasts_is_not_to_be_tried_again() {
        let of = |e: rustix::io::Errno| Error::io("open x", e);
        for e in [rustix::io::Errno::NOTDIR, rustix::io::Errno::NOENT, rustix::io::Errno::ACCESS, rustix::io::Errno::LOOP] {
            assert!(of(e).retryable() && !of(e).at_opening().retryable(), "{e}");
        }
        for e in [rustix::io::Errno::NOSPC, rustix::io::Errno::MFILE, rustix::io::Errno::IO, rustix::io::Errno::DQUOT] {
            assert!(of(e).at_opening().retryable(), "{e}");
        }
        assert!(Error::new(ErrorKind::StateLocked, "held").at_opening().retryable());
        assert!(!again(&Err(of(rustix::io::Errno::NOENT).at_opening())).unwrap_err().retryable());
    }

    #[test]
    fn shown_values_are_bounded_and_escaped() {
        assert_eq!(shown("a\nb"), r#""a\nb""#);
        assert_eq!(shown(&"x".repeat(1000)).chars().count(), 63);
    }

    #[test]
    fn kinds_and_reasons_stand_in_the_order_of_their_names() {
        let name = |text: &str| {
            text.split(['_', '-']).map(|word| word[..1].to_uppercase() + &word[1..].to_lowercase()).collect::<String>()
        };
        let last = ErrorKind::Internal;
        assert_eq!(last as usize + 1, ERROR_CODES.len());
        for kind in [ErrorKind::InvalidArgument, ErrorKind::StateIo, ErrorKind::UnknownDecision, ErrorKind::LlmStatus, last] {
            assert_eq!(format!("{kind:?}"), name(kind.code().trim_start_matches("ERR_")));
        }
        assert_eq!(Reason::OtherUser as usize + 1, ERROR_REASONS.len());
        let reasons = [Reason::Invalid, Reason::Expired, Reason::Reset, Reason::Superseded, Reason::OtherUser];
        assert_eq!(reasons.map(Reason::as_str), ["invalid", "expired", "reset", "superseded", "otherUser"]);
    }

    #[test]
    fn display_starts_with_the_code() {
        let error = Error::invalid("context.hourOfDay", "must be 0 to 23, got 24");
        assert_eq!(error.to_string(), "ERR_INVALID_ARGUMENT: context.hourOfDay: must be 0 to 23, got 24");
    }
}
