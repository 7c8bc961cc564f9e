//! The embedded model against `transformers` on torch, whose scores are committed with the program that made them.

use serde::Deserialize;

use crate::encoder::CrossEncoder;

#[derive(Deserialize)]
struct Reference {
    pairs: Vec<Pair>,
}

#[derive(Deserialize)]
struct Pair {
    query: String,
    passage: String,
    ids: Vec<u32>,
    type_ids: Vec<u32>,
    score: f32,
}

#[test]
fn scores_are_those_of_transformers() {
    let reference: Reference =
        serde_json::from_str(include_str!("../../../tests/encoder/reference.json")).unwrap();
    assert!(reference.pairs.len() >= 12);
    let model = CrossEncoder::embedded().unwrap();
    let tokenizer = model.tokenizer();
    let encoded: Vec<_> = reference
        .pairs
        .iter()
        .map(|pair| {
            let mine = tokenizer
                .encode(&pair.query, &pair.passage, model.max_tokens())
                .unwrap();
            assert_eq!(mine.ids, pair.ids, "{} / {}", pair.query, pair.passage);
            assert_eq!(
                mine.type_ids, pair.type_ids,
                "{} / {}",
                pair.query, pair.passage
            );
            mine
        })
        .collect();
    let scores = model.score(&encoded.iter().collect::<Vec<_>>()).unwrap();
    for (pair, score) in reference.pairs.iter().zip(scores) {
        assert!(
            (pair.score - score).abs() < 1e-4,
            "{} there, {score} here: {} / {}",
            pair.score,
            pair.query,
            pair.passage
        );
    }
    let (least, most) = reference
        .pairs
        .iter()
        .fold((f32::MAX, f32::MIN), |(least, most), pair| {
            (least.min(pair.score), most.max(pair.score))
        });
    assert!(
        most - least > 0.1,
        "a model that tells nothing apart would pass too"
    );
}
