use proptest::prelude::*;

use super::*;

fn run<'a>(post: &mut Post, chunks: impl IntoIterator<Item = &'a str>) -> String {
    let mut out = String::new();
    for chunk in chunks {
        post.push(chunk, &mut out);
    }
    post.finish(&mut out);
    out
}

fn post(stops: &[&str], limits: Limits) -> Post {
    let stops: Vec<String> = stops.iter().map(|&stop| stop.to_owned()).collect();
    Post::new(Redaction::all(), stops.into(), limits).unwrap()
}

fn redacted<'a>(chunks: impl IntoIterator<Item = &'a str>) -> String {
    run(&mut post(&[], Limits::default()), chunks)
}

/// The text in pieces of one character.
fn characters(text: &str) -> impl Iterator<Item = &str> {
    text.char_indices()
        .map(|(start, character)| &text[start..start + character.len_utf8()])
}

#[test]
fn every_patterns_examples_hold_whole_and_character_by_character() {
    for pattern in PATTERNS {
        assert!(
            !pattern.redacted.is_empty() && !pattern.kept.is_empty(),
            "{}",
            pattern.name
        );
        for (text, expected) in pattern.redacted {
            assert!(expected.contains(&format!("[redacted:{}]", pattern.name)));
            assert_eq!(redacted([*text]), *expected, "{}", pattern.name);
            assert_eq!(redacted(characters(text)), *expected, "{}", pattern.name);
        }
        for text in pattern.kept {
            assert_eq!(redacted([*text]), *text, "{}", pattern.name);
            assert_eq!(redacted(characters(text)), *text, "{}", pattern.name);
        }
    }
}

#[test]
fn names_are_unique_and_fit_the_set() {
    let mut names: Vec<&str> = PATTERNS.iter().map(|pattern| pattern.name).collect();
    names.sort_unstable();
    names.dedup();
    assert_eq!(names.len(), PATTERNS.len());
    assert!(PATTERNS.len() < 32);
}

#[test]
fn every_cut_of_every_example_in_two_gives_the_same() {
    for (text, expected) in PATTERNS.iter().flat_map(|pattern| pattern.redacted) {
        for cut in (0..=text.len()).filter(|&cut| text.is_char_boundary(cut)) {
            assert_eq!(redacted([&text[..cut], &text[cut..]]), *expected);
        }
    }
}

#[test]
fn plain_words_flow() {
    let mut post = post(&[], Limits::default());
    let mut out = String::new();
    for (chunk, expected) in [
        ("The", ""),
        (" queue", "The "),
        (" drains", "The queue "),
        (".", "The queue "),
        ("\n", "The queue drains.\n"),
        ("Über", "The queue drains.\nÜ"),
        (" 2024 ", "The queue drains.\nÜber 2024 "),
        ("a", "The queue drains.\nÜber 2024 "),
    ] {
        post.push(chunk, &mut out);
        assert_eq!(out, expected, "after {chunk:?}");
    }
}

#[test]
fn endless_word_is_held_no_longer_than_an_address_may_be() {
    let mut post = post(&[], Limits::default());
    let mut out = String::new();
    for _ in 0..10_000 {
        post.push("a", &mut out);
        assert!(post.held() <= 65, "{}", post.held());
    }
}

#[test]
fn key_longer_than_its_pattern_is_gone_whole() {
    for key in [
        format!("sk-{}1", "aZ0_-".repeat(5000)),
        format!("eyJhbGciOiJI.eyJzdWIiOiIx.{}", "aZ0_".repeat(5000)),
    ] {
        let text = format!("<{key}> after");
        let expected = redacted([text.as_str()]);
        assert!(
            expected.starts_with("<[redacted:") && expected.ends_with("]> after"),
            "{expected}"
        );
        assert_eq!(redacted(characters(&text)), expected);
    }
}

#[test]
fn hold_is_bounded_inside_a_key_and_inside_a_block() {
    let mut post = post(&[], Limits::default());
    let mut out = String::new();
    post.push("eyJhbGciOiJI.eyJ", &mut out);
    for _ in 0..100_000 {
        post.push("x", &mut out);
        assert!(post.held() <= 8193);
    }
    post.push(" -----BEGIN PRIVATE KEY-----", &mut out);
    for _ in 0..1000 {
        post.push("MIIBVgIBADANBgkqhkiG9w0BAQEF\n", &mut out);
        assert!(post.held() <= 65);
    }
}

#[test]
fn unended_block_is_dropped_to_its_longest() {
    let body = "M".repeat(BLOCK_BYTES);
    assert_eq!(
        redacted(["-----BEGIN PRIVATE KEY-----", &body, " tail"]),
        "[redacted:private_key] tail"
    );
    assert_eq!(
        redacted(["-----BEGIN PRIVATE KEY-----", "MII"]),
        "[redacted:private_key]"
    );
}

#[test]
fn patterns_can_be_switched_off() {
    let without = Redaction::all().without("email").unwrap();
    let mut post = Post::new(without, Arc::new([]), Limits::default()).unwrap();
    assert_eq!(
        run(&mut post, ["a@b.co AKIAIOSFODNN7EXAMPLE"]),
        "a@b.co [redacted:aws_access_key_id]"
    );
    assert_eq!(post.redactions(), 1);
    let mut off = Post::new(Redaction::off(), Arc::new([]), Limits::default()).unwrap();
    let mut out = String::new();
    off.push("a@b.co", &mut out);
    assert_eq!(out, "a@b.co");
    assert_eq!(Redaction::all().without("nothing"), None);
}

#[test]
fn stop_is_looked_for_in_the_models_own_text() {
    let mut post = post(&["redacted"], Limits::default());
    assert_eq!(
        run(&mut post, ["a@b.co is redacted"]),
        "[redacted:email] is "
    );
    assert_eq!(post.ended(), Some(Ended::Stop(0)));
}

#[test]
fn stop_flushes_at_once_and_ends_the_answer() {
    let mut post = post(&["END", "\n"], Limits::default());
    let mut out = String::new();
    post.push("word\nmore", &mut out);
    assert_eq!((out.as_str(), post.ended()), ("word", Some(Ended::Stop(1))));
    post.push("END", &mut out);
    post.finish(&mut out);
    assert_eq!((out.as_str(), post.ended()), ("word", Some(Ended::Stop(1))));
}

#[test]
fn limits_cut_at_a_character() {
    let cut = |limits: Limits, text: &str| {
        let mut post = post(&[], limits);
        let out = run(&mut post, characters(text));
        (out, post.ended())
    };
    let bytes = |bytes| Limits {
        bytes,
        ..Limits::default()
    };
    let characters = |characters| Limits {
        characters,
        ..Limits::default()
    };
    assert_eq!(cut(bytes(5), "aöä b"), ("aöä".into(), Some(Ended::Length)));
    assert_eq!(cut(bytes(4), "aöä b"), ("aö".into(), Some(Ended::Length)));
    assert_eq!(cut(bytes(7), "aöä b"), ("aöä b".into(), None));
    assert_eq!(
        cut(characters(3), "aöä b"),
        ("aöä".into(), Some(Ended::Length))
    );
    assert_eq!(cut(characters(5), "aöä b"), ("aöä b".into(), None));
    assert_eq!(cut(bytes(0), "a"), (String::new(), Some(Ended::Length)));
    assert_eq!(cut(bytes(0), ""), (String::new(), None));
    assert_eq!(
        cut(bytes(9), "x a@b.co"),
        ("x [redact".into(), Some(Ended::Length))
    );
}

/// Text in which secrets, halves of them and what surrounds them come thick.
fn text() -> impl Strategy<Value = String> {
    let examples: Vec<&'static str> = PATTERNS
        .iter()
        .flat_map(|pattern| {
            pattern
                .redacted
                .iter()
                .map(|&(text, _)| text)
                .chain(pattern.kept.iter().copied())
        })
        .collect();
    let piece = prop_oneof![
        prop::sample::select(examples.clone()).prop_map(str::to_owned),
        (prop::sample::select(examples), any::<prop::sample::Index>()).prop_map(|(text, cut)| {
            let cut = cut.index(text.len() + 1);
            text.get(..cut).unwrap_or(text).to_owned()
        }),
        "[a-zA-Z0-9@._ /\\\\n-]{0,12}",
        "\\PC{0,4}",
        Just(" ".to_owned()),
        Just("-----".to_owned()),
    ];
    prop::collection::vec(piece, 0..8).prop_map(|pieces| pieces.concat())
}

fn chunks<'a>(text: &'a str, cuts: &[prop::sample::Index]) -> Vec<&'a str> {
    let mut places: Vec<usize> = cuts.iter().map(|cut| cut.index(text.len() + 1)).collect();
    places.extend([0, text.len()]);
    places.retain(|&place| text.is_char_boundary(place));
    places.sort_unstable();
    places
        .windows(2)
        .map(|pair| &text[pair[0]..pair[1]])
        .collect()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1000))]

    #[test]
    fn chunks_make_no_difference(
        text in text(),
        cuts in prop::collection::vec(any::<prop::sample::Index>(), 0..20),
        stops in prop::collection::vec("[a-zA-Z0-9@ -]{1,3}", 0..3),
        bytes in prop_oneof![Just(usize::MAX), 0usize..200],
    ) {
        let stops: Vec<&str> = stops.iter().map(String::as_str).collect();
        let limits = Limits { bytes, ..Limits::default() };
        let (mut whole, mut cut) = (post(&stops, limits), post(&stops, limits));
        let expected = run(&mut whole, [text.as_str()]);
        let found = run(&mut cut, chunks(&text, &cuts));
        prop_assert_eq!(found, expected);
        // Once the limit has cut, a stop sequence after it is not waited for.
        if bytes == usize::MAX {
            prop_assert_eq!(cut.ended(), whole.ended());
            prop_assert_eq!(cut.redactions(), whole.redactions());
        }
    }

    #[test]
    fn no_secret_survives_any_chunks(
        which in any::<prop::sample::Index>(),
        before in "[a-z ]{0,20}[ (=\"]",
        after in "[ ,)\"][a-z ]{0,20}",
        cuts in prop::collection::vec(any::<prop::sample::Index>(), 0..20),
    ) {
        let examples: Vec<_> = PATTERNS
            .iter()
            .flat_map(|pattern| pattern.redacted.iter().map(|example| (pattern.name, example.0)))
            .collect();
        let (name, secret) = examples[which.index(examples.len())];
        let text = format!("{before}{secret}{after}");
        let out = redacted(chunks(&text, &cuts));
        let mark = format!("[redacted:{name}]");
        prop_assert!(out.contains(&mark), "{}", out);
        prop_assert_eq!(redacted([out.as_str()]), out.as_str(), "what comes out holds no secret");
    }

    #[test]
    fn text_without_secrets_is_untouched(text in "[a-z ,.;:!?äöü\n]{0,300}") {
        prop_assert_eq!(redacted([text.as_str()]), text);
    }
}
