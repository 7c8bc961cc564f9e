//! Pairs into tokens, and tokens into scores.

use std::sync::Arc;

use super::Folder;
use crate::encoder::{CrossEncoder, Encoded, ScoreError, TokenizeError};

const QUERY: &str = "close a channel";
const PASSAGES: [&str; 4] = [
    "Closes the channel.",
    "the file",
    "",
    "reads the file, and the channel, and a file, and the channel, and so on",
];

fn encode(model: &CrossEncoder) -> Vec<Encoded> {
    let tokenizer = model.tokenizer();
    PASSAGES
        .iter()
        .map(|passage| {
            tokenizer
                .encode(QUERY, passage, model.max_tokens())
                .unwrap()
        })
        .collect()
}

#[test]
fn a_pair_is_laid_out_as_bert_reads_it() {
    let tokenizer = Folder::new().open().tokenizer();
    let pair = tokenizer.encode("Close!", "a file reads", 24).unwrap();
    // The tokenizer's own file cuts at five tokens; the caller decides instead.
    assert_eq!(pair.ids, [2, 8, 1, 3, 10, 5, 6, 7, 3]);
    assert_eq!(pair.type_ids, [0, 0, 0, 0, 1, 1, 1, 1, 1]);
    assert!(!pair.truncated);
    assert_eq!(pair.len(), 9);
}

#[test]
fn the_longer_text_is_cut_first() {
    let tokenizer = Folder::new().open().tokenizer();
    let cut = |query: &str, passage: &str, limit: usize| {
        let pair = tokenizer.encode(query, passage, limit).unwrap();
        let query = pair
            .type_ids
            .iter()
            .filter(|segment| **segment == 0)
            .count()
            - 2;
        (query, pair.len() - query - 3, pair.truncated)
    };
    assert_eq!(cut("a a", "the the the the the the", 9), (2, 4, true));
    assert_eq!(cut("a a a a a a", "the the", 9), (4, 2, true));
    assert_eq!(cut("a a a a a a", "the the the the the", 8), (3, 2, true));
    assert_eq!(cut("a a", "the the the the", 9), (2, 4, false));
    assert_eq!(cut("a a", "the", 3), (0, 0, true));
    assert!(matches!(
        tokenizer.encode("a", "the", 2),
        Err(TokenizeError::NoRoom { max_tokens: 2 })
    ));
}

/// 16 KiB are read for 24 tokens.
#[test]
fn a_huge_text_is_cut_before_it_is_tokenized() {
    let tokenizer = Folder::new().open().tokenizer();
    let encode = |passage: &str| tokenizer.encode("read", passage, 24).unwrap();
    let huge = "reads the file ".repeat(700_000);
    assert!(huge.len() > 10_000_000);
    let pair = encode(&huge);
    assert_eq!(pair.ids, encode(&huge[..2_000]).ids);
    assert!(pair.truncated);

    // Nothing but white space is read: what follows it is out of reach, and said to be missing.
    let gap = " ".repeat(16 * 1024);
    let pair = encode(&format!("{gap}the file"));
    assert_eq!((pair.len(), pair.truncated), (4, true));
    let pair = encode(&format!("{gap}{gap}"));
    assert_eq!((pair.len(), pair.truncated), (4, false));

    // A text of exactly the limit is read to its end, and a word across the limit isn't torn into another.
    let gap = &gap[5..];
    let pair = encode(&format!("{gap} file"));
    assert_eq!((pair.ids[3], pair.truncated), (5, false));
    let pair = encode(&format!("{gap} file the"));
    assert_eq!((pair.ids[3], pair.len(), pair.truncated), (5, 5, true));
    let pair = encode(&format!("{gap} files"));
    assert_eq!((pair.len(), pair.truncated), (4, true));
    // Without any white space, it ends between two characters.
    let pair = encode(&"é".repeat(10_001));
    assert_eq!((pair.len(), pair.truncated), (5, true));
}

#[test]
fn marks_in_a_text_are_text() {
    let tokenizer = Folder::new().open().tokenizer();
    let pair = tokenizer.encode("a [SEP] file", "[CLS] the", 24).unwrap();
    assert_eq!(
        pair.ids.iter().filter(|id| **id == 3).count(),
        2,
        "{:?}",
        pair.ids
    );
    assert_eq!(
        pair.ids.iter().filter(|id| **id == 2).count(),
        1,
        "{:?}",
        pair.ids
    );
}

#[test]
fn padding_changes_no_score() {
    for model in [Folder::new().open(), CrossEncoder::embedded().unwrap()] {
        let pairs = encode(&model);
        let lengths: Vec<usize> = pairs.iter().map(Encoded::len).collect();
        assert!(
            lengths.iter().max() >= lengths.iter().min().map(|least| least * 2).as_ref(),
            "{lengths:?}"
        );
        let together = model.score(&pairs.iter().collect::<Vec<_>>()).unwrap();
        for (pair, padded) in pairs.iter().zip(together) {
            let alone = model.score(&[pair]).unwrap()[0];
            assert!(
                (alone - padded).abs() < 1e-5,
                "{alone} alone, {padded} in company"
            );
        }
    }
}

#[test]
fn an_empty_batch_has_no_scores() {
    assert!(Folder::new().open().score(&[]).unwrap().is_empty());
}

#[test]
fn a_pair_of_another_model_is_refused_by_its_place() {
    let model = Folder::new().open();
    let good = &encode(&model)[0];
    let with = |ids: Vec<u32>, type_ids: Vec<u32>| Encoded {
        ids,
        type_ids,
        truncated: false,
    };
    let refusal = |bad: &Encoded| model.score(&[good, bad]).unwrap_err();
    assert!(matches!(
        refusal(&with(vec![], vec![])),
        ScoreError::Empty { index: 1 }
    ));
    assert!(matches!(
        refusal(&with(vec![4; 25], vec![0; 25])),
        ScoreError::TooLong {
            index: 1,
            tokens: 25,
            positions: 24
        }
    ));
    for bad in [
        with(vec![12], vec![0]),
        with(vec![4], vec![2]),
        with(vec![4, 4], vec![0]),
    ] {
        let error = refusal(&bad);
        assert!(
            matches!(error, ScoreError::Foreign { index: 1, .. }),
            "{error}"
        );
    }
}

#[test]
fn threads_share_a_model() {
    let model = Arc::new(Folder::new().open());
    let pairs = Arc::new(encode(&model));
    let score = |model: &CrossEncoder, pairs: &[Encoded]| {
        model.score(&pairs.iter().collect::<Vec<_>>()).unwrap()
    };
    let expected = score(&model, &pairs);
    let threads = [(); 3].map(|()| {
        let (model, pairs) = (Arc::clone(&model), Arc::clone(&pairs));
        std::thread::spawn(move || score(&model, &pairs))
    });
    for thread in threads {
        assert_eq!(thread.join().unwrap(), expected);
    }
}
