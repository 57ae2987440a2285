//! One prompt: a text with places to be filled in, under a version that names this text for good, so that what people do with the
//! tips can be counted per version.

use crate::error::{Error, Result, shown};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

/// Ends the header of a file.
const HEADER_END: &str = "---";
/// Stands between the system message and the user's.
const USER_LINE: &str = "--- user ---";
const LONGEST_VERSION: usize = 64;
const LONGEST_DESCRIPTION: usize = 500;
const LONGEST_TEXT: usize = 64 * 1024;

/// What a place in a text is filled with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Place {
    Tasks,
    Extra,
    Hour,
    Day,
    Count,
}

/// A piece of a text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Piece {
    Text(String),
    Place(Place),
}

/// Who brought a prompt.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub enum PromptSource {
    /// This package.
    Package,
    /// The caller's options.
    Option,
    /// A file of the caller's.
    Directory,
}

/// See the module. Serialises as what `prompts()` lists.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Prompt {
    /// 1 to 64 of `A-Z a-z 0-9 . _ -`.
    pub version: String,
    /// What is special about it.
    pub description: String,
    /// `YYYY-MM-DD`.
    pub created: Option<String>,
    /// `sha256:` and 16 digits, of the text.
    pub hash: String,
    /// Who brought it.
    pub source: PromptSource,
    #[serde(skip)]
    pub(super) system: Vec<Piece>,
    #[serde(skip)]
    pub(super) user: Vec<Piece>,
}

/// A prompt as an option gives it.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PromptParts {
    version: String,
    #[serde(default)]
    description: String,
    created: Option<String>,
    hash: Option<String>,
    text: String,
}

impl Prompt {
    /// Reads a file: lines `version: …`, `description: …`, `created: …`, `hash: …`, a line `---`, and the text.
    ///
    /// # Errors
    /// `ERR_INVALID_ARGUMENT`, naming `path`.
    pub fn parse(path: &str, file: &str, source: PromptSource) -> Result<Self> {
        let bad = |problem: &str| Error::invalid(path, problem);
        let file = file.strip_prefix('\u{feff}').unwrap_or(file).replace("\r\n", "\n");
        let (header, text) = file
            .split_once(&format!("\n{HEADER_END}\n"))
            .ok_or_else(|| bad("has no line `---` between its header and its text"))?;
        let mut parts =
            PromptParts { version: String::new(), description: String::new(), created: None, hash: None, text: text.to_owned() };
        for line in header.lines().filter(|line| !line.trim().is_empty()) {
            let (name, value) =
                line.split_once(':').ok_or_else(|| bad(&format!("header line without a colon: {}", shown(line))))?;
            let value = value.trim().to_owned();
            match name.trim() {
                "version" => parts.version = value,
                "description" => parts.description = value,
                "created" => parts.created = Some(value),
                "hash" => parts.hash = Some(value),
                other => return Err(bad(&format!("unknown header {}; known: version, description, created, hash", shown(other)))),
            }
        }
        Self::new(path, parts, source)
    }

    /// Checks a prompt.
    ///
    /// # Errors
    /// `ERR_INVALID_ARGUMENT`, naming `path`.
    pub fn new(path: &str, parts: PromptParts, source: PromptSource) -> Result<Self> {
        let PromptParts { version, description, created, hash: given, text } = parts;
        let bad = |field: &str, problem: String| Err(Error::invalid(&format!("{path}.{field}"), problem));
        let is_name = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-');
        if !(1..=LONGEST_VERSION).contains(&version.len()) || !version.chars().all(is_name) {
            return bad("version", format!("must be 1 to {LONGEST_VERSION} of A-Z a-z 0-9 . _ -, got {}", shown(&version)));
        }
        if description.len() > LONGEST_DESCRIPTION || description.contains('\n') {
            return bad("description", format!("must be one line of at most {LONGEST_DESCRIPTION} bytes"));
        }
        if let Some(created) = created.as_deref().filter(|created| !is_date(created)) {
            return bad("created", format!("must be a date, YYYY-MM-DD, got {}", shown(created)));
        }
        if text.len() > LONGEST_TEXT {
            return bad("text", format!("must be at most {LONGEST_TEXT} bytes, got {}", text.len()));
        }
        let text = text.replace("\r\n", "\n");
        let hash = hash_of(&text);
        if let Some(given) = given.filter(|given| *given != hash) {
            let problem =
                format!("is {hash}, not {}: a version names one text for good, so give a changed text a new one", shown(&given));
            return bad("hash", problem);
        }
        let Some((system, user)) = text.split_once(&format!("\n{USER_LINE}\n")) else {
            return bad("text", format!("has no line `{USER_LINE}` between the system message and the user's"));
        };
        let both = pieces(system.trim()).and_then(|system| Ok((system, pieces(user.trim())?)));
        let (system, user) = match both {
            Ok(both) => both,
            Err(problem) => return bad("text", problem),
        };
        if system.is_empty() || user.is_empty() {
            return bad("text", "has an empty message".to_owned());
        }
        // What people and programs wrote is not told to the model in the voice that it obeys.
        if system.iter().any(|piece| matches!(piece, Piece::Place(Place::Tasks | Place::Extra))) {
            return bad("text", "has {{tasks}} or {{extra}} in the system message; they belong in the user's".to_owned());
        }
        Ok(Self { version, description, created, hash, source, system, user })
    }
}

fn is_date(text: &str) -> bool {
    humantime::parse_rfc3339(&format!("{text}T00:00:00Z")).is_ok()
}

/// What identifies a text; space around it does not count.
fn hash_of(text: &str) -> String {
    let digest = format!("{:x}", Sha256::digest(text.trim()));
    format!("sha256:{digest:.16}")
}

/// A text in pieces: what stands in double braces is a place.
fn pieces(text: &str) -> Result<Vec<Piece>, String> {
    let mut found = Vec::new();
    let mut rest = text;
    while let Some((before, after)) = rest.split_once("{{") {
        let (name, after) = after.split_once("}}").ok_or("has {{ without }}")?;
        let place = match name.trim() {
            "tasks" => Place::Tasks,
            "extra" => Place::Extra,
            "hour" => Place::Hour,
            "day" => Place::Day,
            "n" => Place::Count,
            other => {
                return Err(format!(
                    "has an unknown place {}; known: {{{{tasks}}}} {{{{extra}}}} {{{{hour}}}} {{{{day}}}} {{{{n}}}}",
                    shown(other)
                ));
            }
        };
        if !before.is_empty() {
            found.push(Piece::Text(before.to_owned()));
        }
        found.push(Piece::Place(place));
        rest = after;
    }
    if !rest.is_empty() {
        found.push(Piece::Text(rest.to_owned()));
    }
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    const FILE: &str =
        "version: own-1\ndescription: Ours: short\ncreated: 2026-11-21\n---\nYou write.\n--- user ---\n{{n}} for {{tasks}}\n";

    fn parse(file: &str) -> Result<Prompt> {
        Prompt::parse("p.txt", file, PromptSource::Directory)
    }

    #[test]
    fn a_file_has_a_header_and_two_messages() {
        let prompt = parse(FILE).unwrap();
        assert_eq!((prompt.version.as_str(), prompt.description.as_str()), ("own-1", "Ours: short"));
        assert_eq!(prompt.system, [Piece::Text("You write.".to_owned())]);
        assert_eq!(prompt.user, [Piece::Place(Place::Count), Piece::Text(" for ".to_owned()), Piece::Place(Place::Tasks)]);
        assert_eq!(parse(&FILE.replace('\n', "\r\n")).unwrap().hash, prompt.hash);
        let with_hash = FILE.replace("---\nYou", &format!("hash: {}\n---\nYou", prompt.hash));
        assert_eq!(parse(&with_hash).unwrap(), prompt);
        let changed = with_hash.replace("You write", "You sing");
        assert!(parse(&changed).unwrap_err().message().starts_with("p.txt.hash: is sha256:"));
    }

    #[test]
    fn what_is_wrong_with_a_file_is_said() {
        for (change, part) in [
            (FILE.replace("\n---\n", "\n"), "no line `---`"),
            (FILE.replace("version: own-1", "version: a b"), "p.txt.version: "),
            (FILE.replace("version: own-1\n", ""), "p.txt.version: "),
            (FILE.replace("version:", "verson:"), "unknown header"),
            (FILE.replace("created: 2026-11-21", "created: yesterday"), "p.txt.created: "),
            (FILE.replace("--- user ---", "---user---"), "--- user ---"),
            (FILE.replace("{{n}}", "{{count}}"), "unknown place \"count\""),
            (FILE.replace("{{tasks}}", "{{tasks"), "{{ without }}"),
            (FILE.replace("You write.", "You write {{tasks}}."), "belong in the user's"),
            (FILE.replace("You write.", ""), "text"),
            (FILE.replace("You write.", &"x".repeat(70_000)), "at most 65536 bytes"),
        ] {
            let error = parse(&change).unwrap_err();
            assert!(error.message().starts_with("p.txt") && error.message().contains(part), "{part}: {error}");
        }
    }
}
