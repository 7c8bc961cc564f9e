//! The system message's template.

use std::{
    fs, io,
    path::{Path, PathBuf},
};

use minijinja::{Environment, ErrorKind, UndefinedBehavior, context};

use crate::retrieval::Hit;

const NAME: &str = "system";
const DEFAULT: &str = include_str!("../../templates/system.jinja");

/// Why a template can't be used.
#[derive(Debug, thiserror::Error)]
pub enum TemplateError {
    /// The file can't be read.
    #[error("reading the template `{}` failed: {error}; check the path and that it is UTF-8", .path.display())]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// What the system said.
        error: io::Error,
    },
    /// It is not a template, or can't be filled in.
    #[error(
        "template `{name}`, line {line}: {fault}; it may use `system` and `passages`, each passage with `text` and \
         `source`"
    )]
    Faulty {
        /// The file, or a name for it.
        name: String,
        /// The line of the fault, from 1.
        line: usize,
        /// What is wrong.
        fault: String,
    },
}

/// A compiled template.
///
/// It is a pure function of the client's system message and the passages: nothing else can be named in it, so what it
/// renders can be kept.
#[derive(Debug)]
pub(super) struct SystemTemplate {
    environment: Environment<'static>,
}

impl SystemTemplate {
    pub(super) fn builtin() -> Self {
        Self::new("the built-in one", DEFAULT.to_owned()).expect("the shipped template is tested")
    }

    pub(super) fn open(path: &Path) -> Result<Self, TemplateError> {
        let source = fs::read_to_string(path).map_err(|error| TemplateError::Unreadable {
            path: path.into(),
            error,
        })?;
        Self::new(&path.display().to_string(), source)
    }

    pub(super) fn new(name: &str, source: String) -> Result<Self, TemplateError> {
        let faulty = |error: minijinja::Error| faulty(name, &error);
        let mut environment = Environment::new();
        environment.set_undefined_behavior(UndefinedBehavior::Strict);
        environment
            .add_template_owned(NAME, source)
            .map_err(faulty)?;
        let template = Self { environment };
        // A wrong variable shows only when it is rendered; both branches of the usual template are gone through.
        for passages in [&[][..], &[("text", "source"), ("text", "source")]] {
            template
                .fill(None, passages.iter().copied())
                .map_err(faulty)?;
        }
        Ok(template)
    }

    pub(super) fn render(
        &self,
        system: Option<&str>,
        passages: &[Hit],
    ) -> Result<String, TemplateError> {
        let passages = passages
            .iter()
            .map(|hit| (&**hit.passage.text(), &**hit.passage.source()));
        self.fill(system, passages)
            .map_err(|error| faulty(NAME, &error))
    }

    fn fill<'a>(
        &self,
        system: Option<&str>,
        passages: impl Iterator<Item = (&'a str, &'a str)>,
    ) -> Result<String, minijinja::Error> {
        let passages: Vec<_> = passages
            .map(|(text, source)| context! { text, source })
            .collect();
        self.environment
            .get_template(NAME)?
            .render(context! { system, passages })
    }
}

fn faulty(name: &str, error: &minijinja::Error) -> TemplateError {
    let fault = match (error.kind(), error.detail()) {
        (kind, Some(detail)) => format!("{kind}: {detail}"),
        (ErrorKind::UndefinedError, None) => "a name that has no value is used".to_owned(),
        (kind, None) => kind.to_string(),
    };
    TemplateError::Faulty {
        name: name.to_owned(),
        line: error.line().unwrap_or(1),
        fault,
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::retrieval::Passage;

    fn hit(text: &str) -> Hit {
        Hit {
            passage: Arc::new(Passage::new("a.md", text)),
            score: 1.0,
        }
    }

    #[test]
    fn shipped_template_numbers_the_passages_and_keeps_the_clients_system_message() {
        let text = SystemTemplate::builtin()
            .render(Some("Be terse."), &[hit("One."), hit("Two.")])
            .unwrap();
        assert!(text.starts_with("Be terse.\n\nThese passages"), "{text}");
        assert!(text.ends_with("[1] a.md\nOne.\n\n[2] a.md\nTwo."), "{text}");
    }

    #[test]
    fn shipped_template_without_passages_is_one_line() {
        let text = SystemTemplate::builtin().render(None, &[]).unwrap();
        assert!(
            text.starts_with("You are") && text.lines().count() == 1,
            "{text:?}"
        );
    }

    #[test]
    fn text_is_not_escaped() {
        let text = SystemTemplate::builtin()
            .render(None, &[hit("<a> & {{ b }}")])
            .unwrap();
        assert!(text.contains("<a> & {{ b }}"), "{text}");
    }

    #[test]
    fn syntax_fault_names_file_and_line() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("mine.jinja");
        fs::write(&path, "{{ system }}\n\n{% for x in passages %}\n{{ x. }}\n").unwrap();
        let error = SystemTemplate::open(&path).unwrap_err();
        assert!(
            matches!(&error, TemplateError::Faulty { line: 4, .. }),
            "{error:?}"
        );
        assert!(error.to_string().contains("mine.jinja`, line 4"), "{error}");
    }

    #[test]
    fn misspelled_name_is_found_before_the_first_request() {
        let error = SystemTemplate::new(
            "t",
            "a\n{% for p in passages %}{{ p.txet }}{% endfor %}".into(),
        )
        .unwrap_err();
        assert!(
            matches!(&error, TemplateError::Faulty { line: 2, .. }),
            "{error:?}"
        );
        assert!(SystemTemplate::new("t", "{{ sistem }}".into()).is_err());
    }

    #[test]
    fn missing_file_is_named() {
        let error = SystemTemplate::open(Path::new("/nowhere/t.jinja")).unwrap_err();
        assert!(error.to_string().contains("/nowhere/t.jinja"), "{error}");
    }
}
