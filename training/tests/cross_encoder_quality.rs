//! The committed cross-encoder against BM25, on committed queries of files that it was not trained on.

use std::path::{Path, PathBuf};

use inferometer_training::cross_encoder::evaluation::{Lists, Scores, measure};
use inferometer_training::cross_encoder::held_out;
use rerank::encoder::CrossEncoder;

fn model() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../services/rerank/models/inferometer-rerank-tiny")
}

/// What the server would answer, measured.
fn scores() -> Scores {
    let pairs = held_out().expect("the committed queries");
    let model = CrossEncoder::open(&model()).expect("the committed model opens");
    let tokenizer = model.tokenizer();
    measure(&pairs, &Lists::of(&pairs), |query, passages| {
        let encoded = passages
            .iter()
            .map(|passage| tokenizer.encode(query, passage, model.max_tokens()))
            .collect::<Result<Vec<_>, _>>()?;
        Ok(model.score(&encoded.iter().collect::<Vec<_>>())?)
    })
    .expect("every query can be scored")
}

/// Among random passages BM25 is far ahead; the card says so, and this test holds the card to what is measured.
#[test]
fn among_bm25s_own_top_ranks_the_model_is_ahead_of_bm25() {
    let scores = scores();
    println!("{scores:?}");
    assert_eq!(scores.queries, 360);
    assert!(scores.model_hard.all >= scores.bm25_hard.all, "{scores:?}");
    let card = std::fs::read_to_string(model().with_extension("md")).expect("the score card");
    for (what, ranks) in [
        ("the model among hard ones", scores.model_hard),
        ("BM25 among hard ones", scores.bm25_hard),
        ("the model among random ones", scores.model_random),
        ("BM25 among random ones", scores.bm25_random),
    ] {
        for rank in [ranks.all, ranks.name, ranks.summary, ranks.cloze] {
            let figure = format!("{rank:.3}");
            assert!(
                card.contains(&figure),
                "the card doesn't give {figure} for {what}: {scores:?}"
            );
        }
    }
}
