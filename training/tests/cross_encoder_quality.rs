//! The committed cross-encoders against BM25, on committed queries of files that they were not trained on.

use std::path::{Path, PathBuf};

use inferometer_training::cross_encoder::delta::{self, Measured};
use inferometer_training::cross_encoder::evaluation::{Answers, Lists, Scores};
use inferometer_training::cross_encoder::held_out;
use inferometer_training::cross_encoder::pairs::Pairs;
use rerank::encoder::CrossEncoder;
use serde::Deserialize;

fn here() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn model(name: &str) -> PathBuf {
    here().join("../services/rerank/models").join(name)
}

/// What the server would answer.
fn answers(model: &CrossEncoder, pairs: &Pairs, lists: &Lists) -> Answers {
    let tokenizer = model.tokenizer();
    Answers::of(pairs, lists, |query, passages| {
        let encoded = passages
            .iter()
            .map(|passage| tokenizer.encode(query, passage, model.max_tokens()))
            .collect::<Result<Vec<_>, _>>()?;
        Ok(model.score(&encoded.iter().collect::<Vec<_>>())?)
    })
    .expect("every query can be scored")
}

/// Every figure that was measured stands in the card.
fn card_holds(name: &str, scores: &Scores) {
    assert_eq!(scores.queries, 360);
    let card = std::fs::read_to_string(model(name).with_extension("md")).expect("the score card");
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

/// Among random passages BM25 is far ahead; the card says so, and this test holds the card to what is measured.
#[test]
fn among_bm25s_own_top_ranks_the_model_is_ahead_of_bm25() {
    let name = "inferometer-rerank-tiny";
    let pairs = held_out().expect("the committed queries");
    let lists = Lists::of(&pairs);
    let model = CrossEncoder::open(&model(name)).expect("the committed model opens");
    let scores = answers(&model, &pairs, &lists)
        .measure(&pairs, &lists)
        .expect("its own answers");
    println!("{scores:?}");
    assert!(scores.model_hard.all >= scores.bm25_hard.all, "{scores:?}");
    card_holds(name, &scores);
}

const MINILM: &str = "inferometer-rerank-minilm";

fn measured() -> Measured {
    let text = std::fs::read(here().join("held-out/minilm-scores.json")).expect("the scores");
    serde_json::from_slice(&text).expect("scores of every list")
}

/// From the scores that were committed with the layers, so that no backbone is needed; the next test says that they are theirs.
#[test]
fn on_a_minilm_backbone_the_trained_layers_are_ahead_of_bm25_among_its_own_top_ranks() {
    let measured = measured();
    let layers = delta::sha256(&model(MINILM).join("delta.safetensors")).expect("the layers");
    assert_eq!(
        measured.delta_sha256, layers,
        "other layers were measured: run cross-encoder-delta-score with --write"
    );
    let pairs = held_out().expect("the committed queries");
    let lists = Lists::of(&pairs);
    let scores = measured
        .answers
        .measure(&pairs, &lists)
        .expect("scores of the same lists");
    println!("{scores:?}");
    assert!(
        scores.model_hard.all > scores.bm25_hard.all + 0.05,
        "{scores:?}"
    );
    card_holds(MINILM, &scores);
}

/// The MiniLM-based model, if its backbone is here; not every machine that runs the tests has it.
#[expect(clippy::print_stdout, reason = "a test says what it leaves out")]
fn minilm() -> Option<CrossEncoder> {
    let Some(backbone) = delta::backbone().expect("a folder, if one is named") else {
        println!(
            "left out: no backbone; `inferometer models pull {}` fetches it, {} names another folder",
            delta::BACKBONE,
            delta::VARIABLE
        );
        return None;
    };
    Some(CrossEncoder::minilm(&backbone).expect("the layers fit the backbone"))
}

/// One list in forty: all of them take minutes.
#[test]
fn the_committed_scores_are_what_the_server_gives_where_the_backbone_is() {
    let Some(model) = minilm() else { return };
    let pairs = held_out().expect("the committed queries");
    let (mut lists, share) = (Lists::of(&pairs), 40);
    lists.keep_one_in(share);
    let (now, then) = (answers(&model, &pairs, &lists), measured().answers);
    for (now, then) in [(now.hard, then.hard), (now.random, then.random)] {
        assert_eq!(now.len(), 9);
        for (now, then) in now.iter().zip(then.iter().step_by(share)) {
            for (now, then) in now.iter().zip(then) {
                assert!((now - then).abs() < 1e-3, "{now} now, {then} then");
            }
        }
    }
}

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
fn on_a_minilm_backbone_scores_are_those_of_transformers() {
    let Some(model) = minilm() else { return };
    let text = std::fs::read(here().join("tests/minilm-reference.json")).expect("the reference");
    let reference: Reference = serde_json::from_slice(&text).expect("pairs and scores");
    assert!(reference.pairs.len() >= 12);
    let tokenizer = model.tokenizer();
    for pair in &reference.pairs {
        let mine = tokenizer
            .encode(&pair.query, &pair.passage, model.max_tokens())
            .expect("plain text");
        assert_eq!(mine.ids, pair.ids, "{} / {}", pair.query, pair.passage);
        assert_eq!(mine.type_ids, pair.type_ids);
        let score = model.score(&[&mine]).expect("its own pair")[0];
        assert!(
            (pair.score - score).abs() < 1e-4,
            "{} there, {score} here: {} / {}",
            pair.score,
            pair.query,
            pair.passage
        );
    }
    let scores = || reference.pairs.iter().map(|pair| pair.score);
    let (least, most) = (
        scores().fold(f32::MAX, f32::min),
        scores().fold(f32::MIN, f32::max),
    );
    assert!(
        most - least > 1.0,
        "a model that tells nothing apart would pass too"
    );
}
