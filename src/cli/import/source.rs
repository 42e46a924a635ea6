//! Where commands come from: the command line, a file, a folder of files, standard input, a person who pastes.

use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};

use super::ask::Person;
use super::fault::Fault;
use super::words::{self, Script};
use crate::cli::exit::{Exit, Failure};

/// The most of one text that is read, in bytes.
pub(super) const LARGEST: u64 = 1024 * 1024;

/// The most files of a folder.
const MOST_FILES: usize = 10_000;

/// A text with commands in it.
pub(super) struct Source {
    /// How it is called in messages: a file; empty when there is only one.
    pub(super) shown: String,
    /// What the schedule is called after, when it comes from a folder.
    pub(super) stem: Option<String>,
    /// The folder of its file.
    pub(super) folder: Option<PathBuf>,
    /// What is in it.
    pub(super) script: Result<Script, Fault>,
}

/// What is to be imported.
pub(super) struct Sources {
    /// In order; of a folder by name.
    pub(super) all: Vec<Source>,
    /// Whether each is one schedule that is named after its file.
    pub(super) folder: bool,
}

const NOT_UTF8: Fault = Fault::new("the text is not UTF-8", "save it as UTF-8");
const TOO_LARGE: Fault = Fault::new(
    "the command is larger than 1024 KiB, the most that is read",
    "keep large values in the warehouse and pass their name",
);
const UNREADABLE: Fault = Fault::new(
    "the file cannot be read",
    "see that it is there and that you may read it",
);
const NO_FILE: Fault = Fault::new(
    "the file of the body (--data @…) is not there",
    "import from the folder in which the command is used",
);

/// The failure of a text that is too large.
pub(super) fn too_large() -> Failure {
    Failure::plain(Exit::Usage, TOO_LARGE.to_string())
}

impl Sources {
    /// Words that a shell has split, as they stand behind `--`.
    pub(super) fn of_words(words: &[String]) -> Self {
        let size: usize = words.iter().map(String::len).sum();
        let script = match words {
            _ if size as u64 > LARGEST => Err(TOO_LARGE),
            [whole] => words::script(whole),
            words => Ok(words::given(words)),
        };
        Self::one(None, script)
    }

    /// What a person pastes.
    pub(super) fn of_person(person: &mut Person<'_>) -> Result<Self, Failure> {
        let most = usize::try_from(LARGEST).unwrap_or(usize::MAX);
        let text = person.paste(most)?;
        Ok(Self::one(None, words::script(&text)))
    }

    /// Standard input, or anything else that is read to its end.
    pub(super) fn of_reader(reader: impl Read) -> Self {
        let text = bounded(reader);
        Self::one(None, text.and_then(|text| words::script(&text)))
    }

    /// A file, or the files of a folder.
    pub(super) fn of_path(path: &Path) -> Result<Self, Failure> {
        if path.is_dir() {
            return Self::of_folder(path);
        }
        if !path.exists() {
            return Err(absent(path));
        }
        let file = File::open(path).map_err(|_| UNREADABLE);
        let script = file.and_then(bounded).and_then(|text| words::script(&text));
        Ok(Self::one(path.parent().map(Path::to_owned), script))
    }

    fn one(folder: Option<PathBuf>, script: Result<Script, Fault>) -> Self {
        let source = Source {
            shown: String::new(),
            stem: None,
            folder,
            script,
        };
        Self {
            all: vec![source],
            folder: false,
        }
    }

    fn of_folder(folder: &Path) -> Result<Self, Failure> {
        let wrong = |why: &str| Failure::plain(Exit::Usage, format!("{why}: {}", folder.display()));
        let entries = std::fs::read_dir(folder).map_err(|_| wrong("the folder cannot be read"))?;
        let mut files = Vec::new();
        for entry in entries {
            let entry = entry.map_err(|_| wrong("the folder cannot be read"))?;
            let hidden = entry.file_name().as_encoded_bytes().starts_with(b".");
            if !hidden && entry.path().is_file() {
                files.push(entry.path());
            }
            if files.len() > MOST_FILES {
                return Err(wrong("the folder has more than 10000 files"));
            }
        }
        if files.is_empty() {
            return Err(wrong("the folder has no file"));
        }
        files.sort();
        let source = |path: PathBuf| {
            let stem = path.file_stem().unwrap_or_default().to_string_lossy();
            Source {
                shown: path.display().to_string(),
                stem: Some(stem.into_owned()),
                folder: Some(folder.to_owned()),
                script: text_of(&path).and_then(|text| words::script(&text)),
            }
        };
        Ok(Self {
            all: files.into_iter().map(source).collect(),
            folder: true,
        })
    }
}

/// The body of a command, which curl looks for where it is started: here, or beside the command's own file.
pub(super) fn body(name: &str, folder: Option<&Path>) -> Result<String, Fault> {
    let beside = folder.map(|folder| folder.join(name));
    let places = [Some(PathBuf::from(name)), beside];
    let found = places.into_iter().flatten().find(|path| path.is_file());
    text_of(&found.ok_or(NO_FILE)?)
}

/// The text of a plain file.
fn text_of(path: &Path) -> Result<String, Fault> {
    // a pipe or a device would never end
    if !path.is_file() {
        return Err(UNREADABLE);
    }
    bounded(File::open(path).map_err(|_| UNREADABLE)?)
}

fn bounded(reader: impl Read) -> Result<String, Fault> {
    let mut bytes = Vec::new();
    let mut reader = reader.take(LARGEST + 1);
    reader.read_to_end(&mut bytes).map_err(|_| UNREADABLE)?;
    if bytes.len() as u64 > LARGEST {
        return Err(TOO_LARGE);
    }
    String::from_utf8(bytes).map_err(|_| NOT_UTF8)
}

/// A file that is not there is named only when it looks like one: it may be a command that was pasted in its place.
fn absent(path: &Path) -> Failure {
    let shown = path.display().to_string();
    let plain = |c: char| c.is_ascii_alphanumeric() || "/._-".contains(c);
    let short = shown
        .split('/')
        .all(|part| part.len() <= 40 && !part.contains("eyJ"));
    let message = match short && shown.chars().all(plain) {
        true => format!("there is no such file or folder: {shown}"),
        false => "there is no such file or folder".to_owned(),
    };
    Failure::new(
        Exit::Usage,
        message,
        "name a file with the command, or paste it: nightcall import",
    )
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn what_is_too_large_or_no_text_is_not_read() {
        let wrong = |bytes: &[u8]| {
            let sources = Sources::of_reader(bytes);
            sources.all.into_iter().next().unwrap().script.err()
        };
        assert_eq!(wrong(b"curl x"), None);
        assert_eq!(wrong(&vec![b' '; 1024 * 1024]), None);
        assert_eq!(wrong(&vec![b' '; 1024 * 1024 + 1]), Some(TOO_LARGE));
        assert_eq!(wrong(b"curl \xff"), Some(NOT_UTF8));
    }

    #[test]
    fn a_body_is_a_plain_file_here_or_beside_the_command() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("body.json"), "{}").unwrap();
        assert_eq!(body("body.json", Some(folder.path())), Ok("{}".to_owned()));
        assert_eq!(body("body.json", None), Err(NO_FILE));
        assert_eq!(body("/dev/zero", None), Err(NO_FILE));
    }

    #[test]
    fn a_pasted_command_is_not_shown_as_a_file_that_is_missing() {
        for text in [
            "Authorization: Bearer canary",
            "curl 'https://x' -H 'Authorization: Bearer canary'",
            "eyJcanary",
            "canary-0123456789-0123456789-0123456789-0123456789",
        ] {
            let told = absent(Path::new(text)).to_string();
            assert!(!told.contains("canary"), "{told}");
        }
        let told = absent(Path::new("jobs/night.sh")).to_string();
        assert!(told.starts_with("there is no such file or folder: jobs/night.sh\n"));
    }
}
