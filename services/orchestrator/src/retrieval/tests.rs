use std::fs;

use super::*;

fn first_source(library: &Library, query: &str) -> String {
    library
        .search(query, 3)
        .first()
        .map(|hit| hit.passage.source().to_string())
        .unwrap_or_default()
}

#[test]
fn shipped_corpus_answers_questions_on_its_subjects() {
    let library = Library::builtin();
    assert!(library.documents() >= 20, "{}", library.documents());
    for (question, source) in [
        ("What is time to first token?", "time-to-first-token.md"),
        (
            "How does speculative decoding work with a draft model?",
            "speculative-decoding.md",
        ),
        ("Why add jitter to retries?", "retries.md"),
        ("What does Little's law say about queues?", "littles-law.md"),
        ("What is the population stability index?", "drift.md"),
        (
            "How many series does a label create, and what is cardinality?",
            "cardinality.md",
        ),
        (
            "What is coordinated omission in a load generator?",
            "coordinated-omission.md",
        ),
    ] {
        let found = library.search(question, 3);
        assert!(
            found.iter().any(|hit| &**hit.passage.source() == source),
            "{question} {found:?}"
        );
    }
}

#[test]
fn shipped_documents_are_short_and_each_has_a_title() {
    for (name, text) in corpus::DOCUMENTS {
        let words = text.split_whitespace().count();
        assert!((150..=400).contains(&words), "{name} has {words} words");
        assert!(text.starts_with("# "), "{name}");
    }
}

#[test]
fn every_shipped_file_is_in_the_list() {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/corpus");
    let mut files: Vec<String> = fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    files.sort();
    let listed: Vec<&str> = corpus::DOCUMENTS.iter().map(|(name, _)| *name).collect();
    assert_eq!(files, listed);
}

#[test]
fn queries_without_words_find_nothing() {
    let library = Library::builtin();
    for query in ["", "   ", "?!.", "what is the and of", "zyxwvut"] {
        assert!(library.search(query, 5).is_empty(), "{query:?}");
    }
    assert!(library.search("token", 0).is_empty());
}

#[test]
fn huge_query_is_cut_and_still_answered() {
    let library = Library::builtin();
    let query = format!(
        "speculative decoding draft model {}",
        "ö queue ".repeat(12_500)
    );
    assert!(query.len() > 100_000);
    assert_eq!(
        first_source(&library, "speculative decoding draft model"),
        first_source(&library, &query)
    );
    let late = format!("{} speculative decoding", "! ".repeat(50_000));
    assert!(library.search(&late, 3).is_empty());
}

#[test]
fn folder_is_read_with_all_folders_inside() {
    let folder = tempfile::tempdir().unwrap();
    fs::create_dir_all(folder.path().join("deep/er")).unwrap();
    fs::write(folder.path().join("deep/er/b.txt"), "badgers dig setts").unwrap();
    fs::write(
        folder.path().join("a.md"),
        "\u{feff}# Otters\n\nOtters swim.",
    )
    .unwrap();
    fs::write(folder.path().join("c.rs"), "fn badgers() {}").unwrap();
    fs::write(folder.path().join(".d.md"), "badgers hidden").unwrap();
    let library = Library::open(folder.path(), &Limits::default()).unwrap();
    assert_eq!((library.documents(), library.passages()), (2, 2));
    assert_eq!(first_source(&library, "badger"), "deep/er/b.txt");
    assert_eq!(
        &**library.search("otter", 1)[0].passage.text(),
        "Otters\n\nOtters swim."
    );
}

#[test]
fn unusable_documents_are_left_out_and_reported() {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("bad.md"), b"caf\xe9 queue").unwrap();
    fs::write(folder.path().join("big.md"), "queue ".repeat(100)).unwrap();
    fs::write(folder.path().join("good.md"), "a queue drains").unwrap();
    let limits = Limits {
        document_bytes: 100,
        ..Limits::default()
    };
    let library = Library::open(folder.path(), &limits).unwrap();
    assert_eq!(library.documents(), 1);
    let why: Vec<&SkipReason> = library
        .skipped()
        .iter()
        .map(|skipped| &skipped.why)
        .collect();
    assert_eq!(
        why,
        [
            &SkipReason::NotUtf8,
            &SkipReason::TooLarge {
                bytes: 600,
                limit: 100
            }
        ]
    );
    assert!(
        library.skipped()[0]
            .to_string()
            .contains("bad.md` was left out: it is not UTF-8")
    );
}

#[test]
fn folder_faults_are_named() {
    let folder = tempfile::tempdir().unwrap();
    let limits = Limits::default();
    let missing = folder.path().join("nowhere");
    assert!(
        matches!(Library::open(&missing, &limits), Err(LibraryError::Missing(path)) if path == missing)
    );
    let file = folder.path().join("a.md");
    fs::write(&file, "").unwrap();
    assert!(matches!(
        Library::open(&file, &limits),
        Err(LibraryError::NotAFolder(_))
    ));
    assert!(matches!(
        Library::open(folder.path(), &limits),
        Err(LibraryError::Empty { skipped: 0, .. })
    ));
    fs::write(&file, [0xff; 10]).unwrap();
    assert!(matches!(
        Library::open(folder.path(), &limits),
        Err(LibraryError::Empty { skipped: 1, .. })
    ));
}

#[test]
fn too_much_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    for number in 0..5 {
        fs::write(folder.path().join(format!("{number}.md")), "ten bytes.").unwrap();
    }
    let limits = Limits {
        total_bytes: 49,
        ..Limits::default()
    };
    let error = Library::open(folder.path(), &limits).unwrap_err();
    assert!(
        matches!(
            error,
            LibraryError::TooLarge {
                limit: 49,
                unit: "bytes",
                ..
            }
        ),
        "{error}"
    );
    let limits = Limits {
        documents: 4,
        ..Limits::default()
    };
    let error = Library::open(folder.path(), &limits).unwrap_err();
    assert!(
        matches!(
            error,
            LibraryError::TooLarge {
                limit: 4,
                unit: "documents",
                ..
            }
        ),
        "{error}"
    );
    assert!(
        Library::open(
            folder.path(),
            &Limits {
                documents: 5,
                total_bytes: 50,
                ..limits
            }
        )
        .is_ok()
    );
}

#[cfg(unix)]
#[test]
fn circle_of_links_is_not_followed() {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("a.md"), "otters").unwrap();
    std::os::unix::fs::symlink(folder.path(), folder.path().join("again")).unwrap();
    std::os::unix::fs::symlink(folder.path().join("a.md"), folder.path().join("b.md")).unwrap();
    assert_eq!(
        Library::open(folder.path(), &Limits::default())
            .unwrap()
            .documents(),
        2
    );
}
