//! The prompts that there are: the package's, and the caller's own.

use super::prompt::{Prompt, PromptParts, PromptSource};
use crate::error::{Error, ErrorKind, Result, shown};
use std::path::{Path, PathBuf};

/// The package's, as they stand in the repository.
const PACKAGE: [(&str, &str); 3] = [
    ("v1.txt", include_str!("prompts/v1.txt")),
    ("v2-mentor.txt", include_str!("prompts/v2-mentor.txt")),
    ("v3-few-shot.txt", include_str!("prompts/v3-few-shot.txt")),
];
const MOST_PROMPTS: usize = 1000;
const LARGEST_FILE: u64 = 128 * 1024;

/// See the module.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Registry {
    prompts: Vec<Prompt>,
}

impl Default for Registry {
    /// The package's prompts.
    #[allow(clippy::expect_used)] // constants, which a test reads
    fn default() -> Self {
        let prompts = PACKAGE.iter().map(|(name, file)| Prompt::parse(name, file, PromptSource::Package).expect("a prompt"));
        Self { prompts: prompts.collect() }
    }
}

impl Registry {
    /// Adds a prompt; `path` is where it was given.
    ///
    /// # Errors
    /// `ERR_INVALID_ARGUMENT` when its version is taken.
    fn add(&mut self, path: &str, prompt: Prompt) -> Result<()> {
        if let Some(other) = self.prompts.iter().find(|other| other.version == prompt.version) {
            let whose = match other.source {
                PromptSource::Package => "a version of the package's",
                PromptSource::Option | PromptSource::Directory => "given twice",
            };
            return Err(Error::invalid(&format!("{path}.version"), format_args!("{} is {whose}", shown(&prompt.version))));
        }
        if self.prompts.len() >= MOST_PROMPTS {
            return Err(Error::invalid(path, format_args!("there are more than {MOST_PROMPTS} prompts")));
        }
        self.prompts.push(prompt);
        Ok(())
    }

    /// Adds prompts that were given as options under `path`.
    ///
    /// # Errors
    /// `ERR_INVALID_ARGUMENT`.
    pub fn add_all(&mut self, path: &str, given: Vec<PromptParts>) -> Result<()> {
        for (i, parts) in given.into_iter().enumerate() {
            let path = format!("{path}[{i}]");
            let prompt = Prompt::new(&path, parts, PromptSource::Option)?;
            self.add(&path, prompt)?;
        }
        Ok(())
    }

    /// Adds the files `*.txt` of a directory, in the order of their names; `path` is what named it.
    ///
    /// # Errors
    /// `ERR_INVALID_ARGUMENT`, naming the file.
    pub fn add_directory(&mut self, path: &str, directory: &Path) -> Result<()> {
        let failed = |what: &Path, e: std::io::Error| Error::invalid(path, format_args!("cannot read {}: {e}", what.display()));
        let entries =
            std::fs::read_dir(directory).and_then(|entries| entries.map(|e| Ok(e?.path())).collect::<Result<Vec<_>, _>>());
        let mut files = entries.map_err(|e| failed(directory, e))?;
        // Editors and systems leave files of their own, whose names begin with a dot.
        let is_ours = |file: &PathBuf| {
            let name = file.file_name().and_then(|name| name.to_str()).unwrap_or_default();
            !name.starts_with('.') && file.extension().is_some_and(|extension| extension == "txt") && file.is_file()
        };
        files.retain(is_ours);
        files.sort();
        for file in files {
            let size = std::fs::metadata(&file).map_err(|e| failed(&file, e))?.len();
            if size > LARGEST_FILE {
                return Err(Error::invalid(path, format_args!("{} is larger than {LARGEST_FILE} bytes", file.display())));
            }
            let text = std::fs::read_to_string(&file).map_err(|e| failed(&file, e))?;
            let name = file.display().to_string();
            self.add(&name, Prompt::parse(&name, &text, PromptSource::Directory)?)?;
        }
        Ok(())
    }

    /// The prompt of a version; `path` is where that was asked for.
    ///
    /// # Errors
    /// `ERR_UNKNOWN_PROMPT_VERSION`, listing the known ones.
    pub fn get(&self, path: &str, version: &str) -> Result<&Prompt> {
        self.prompts.iter().find(|prompt| prompt.version == version).ok_or_else(|| {
            let known: Vec<&str> = self.prompts.iter().map(|prompt| prompt.version.as_str()).collect();
            let message = format!("{path}: no prompt {}; known: {}", shown(version), known.join(", "));
            Error::new(ErrorKind::UnknownPromptVersion, message)
        })
    }

    /// All, the package's first.
    #[must_use]
    pub fn list(&self) -> &[Prompt] {
        &self.prompts
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_package_has_its_three_with_the_hashes_of_their_texts() {
        let registry = Registry::default();
        let versions: Vec<_> = registry.list().iter().map(|prompt| prompt.version.as_str()).collect();
        assert_eq!(versions, ["v1", "v2-mentor", "v3-few-shot"]);
        let error = registry.get("promptVersion", "v9").unwrap_err();
        assert_eq!(error.kind(), ErrorKind::UnknownPromptVersion);
        assert_eq!(error.message(), "promptVersion: no prompt \"v9\"; known: v1, v2-mentor, v3-few-shot");
    }

    #[test]
    fn versions_are_given_once() {
        let parts = |version: &str| {
            serde_json::from_value(serde_json::json!({"version": version, "text": "s\n--- user ---\n{{n}}"})).unwrap()
        };
        let mut registry = Registry::default();
        registry.add_all("options.litellm.prompts", vec![parts("own")]).unwrap();
        for taken in ["v1", "own"] {
            let error = registry.add_all("options.litellm.prompts", vec![parts("fresh"), parts(taken)]).unwrap_err();
            assert!(error.message().starts_with("options.litellm.prompts["), "{error}");
        }
    }

    #[test]
    fn a_directory_is_read_in_order_and_its_mistakes_name_the_file() {
        let directory = tempfile::tempdir().unwrap();
        let write = |name: &str, version: &str| {
            let text = format!("version: {version}\n---\ns\n--- user ---\n{{{{n}}}}\n");
            std::fs::write(directory.path().join(name), text).unwrap();
        };
        write("b.txt", "b");
        write("a.txt", "a");
        for other in ["notes.md", "._a.txt", ".#b.txt"] {
            std::fs::write(directory.path().join(other), "not a prompt").unwrap();
        }
        std::fs::create_dir(directory.path().join("old.txt")).unwrap();
        let mut registry = Registry::default();
        registry.add_directory("options.litellm.promptsDir", directory.path()).unwrap();
        assert_eq!(registry.list()[3..].iter().map(|prompt| &*prompt.version).collect::<Vec<_>>(), ["a", "b"]);
        write("c.txt", "b");
        let error = Registry::default().add_directory("options.litellm.promptsDir", directory.path()).unwrap_err();
        assert!(error.message().contains("c.txt.version: \"b\" is given twice"), "{error}");
        let missing = Registry::default().add_directory("options.litellm.promptsDir", "/nowhere".as_ref()).unwrap_err();
        assert!(missing.message().starts_with("options.litellm.promptsDir: cannot read /nowhere"), "{missing}");
    }
}
