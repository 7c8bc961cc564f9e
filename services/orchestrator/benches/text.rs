//! What the text work of a request costs: `cargo bench -p orchestrator --bench text`. As a test it runs each once.
#![expect(clippy::print_stdout, reason = "a benchmark tells its figures")]

use std::{
    hint::black_box,
    sync::Arc,
    time::{Duration, Instant},
};

use bm25::{Embedder, EmbedderBuilder, Scorer, Tokenizer};
use orchestrator::{
    assembly::{Assembler, Budget, Parts},
    postprocess::{Limits, Post, Redaction},
    retrieval::Library,
    worker::Message,
};

/// The median of 9 rounds, per call.
fn measure(name: &str, mut call: impl FnMut()) {
    call();
    if !std::env::args().any(|argument| argument == "--bench") {
        return;
    }
    let once = Instant::now();
    call();
    let calls = u32::try_from(20_000_000 / once.elapsed().as_nanos().max(20))
        .unwrap_or(u32::MAX)
        .max(1);
    let mut rounds: Vec<Duration> = (0..9)
        .map(|_| {
            let start = Instant::now();
            for _ in 0..calls {
                call();
            }
            start.elapsed() / calls
        })
        .collect();
    rounds.sort();
    println!(
        "{name:<60} {:>10.0} ns (least {:.0})",
        rounds[4].as_secs_f64() * 1e9,
        rounds[0].as_secs_f64() * 1e9
    );
}

/// Texts of 200 words; the lower a word's number, the more texts hold it.
fn texts(count: u64) -> Vec<String> {
    let mut state = 42_u64;
    let mut random = || {
        state = state
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        state >> 33
    };
    (0..count)
        .map(|_| {
            let words: Vec<String> = (0..200)
                .map(|_| format!("w{}", 20_000 >> (random() % 15) ^ (random() % 64)))
                .collect();
            words.join(" ")
        })
        .collect()
}

struct Plain;

impl Tokenizer for Plain {
    fn tokenize(&self, text: &str) -> Vec<String> {
        text.split_whitespace().map(str::to_lowercase).collect()
    }
}

fn main() {
    let query = "how does a bounded queue shed load";
    let line = Library::from_documents(
        [("line.md", "A bounded queue sheds load when it is full.")],
        200,
    );
    measure("search, one line", || {
        drop(black_box(line.search(black_box(query), 3)));
    });
    let shipped = Library::builtin();
    measure("search, shipped corpus", || {
        drop(black_box(shipped.search(black_box(query), 3)));
    });

    let texts = texts(5000);
    let large = Library::from_documents(texts.iter().map(|text| ("t.md", text.as_str())), 200);
    let common = "w5 w17 w300 w1250 w20000 w78";
    println!("{} passages", large.passages());
    measure("search, 5,000 passages", || {
        drop(black_box(large.search(black_box(common), 3)));
    });
    let embedder: Embedder<u64, Plain> =
        EmbedderBuilder::with_tokenizer_and_fit_to_corpus(Plain, &[&texts[0]]).build();
    let mut scorer = Scorer::new();
    for (number, text) in texts.iter().enumerate() {
        scorer.upsert(&number, embedder.embed(text));
    }
    measure("the same by the library's own scorer", || {
        let mut found = scorer.matches(&embedder.embed(black_box(common)));
        found.truncate(3);
        drop(black_box(found));
    });

    let assembler = Assembler::new();
    let messages = [Message {
        role: "user".into(),
        content: query.into(),
    }];
    let passages = line.search(query, 1);
    let count = |text: &str| text.len() / 4;
    let parts = Parts {
        model: "m",
        messages: &messages,
        history: &[],
        passages: &passages,
        budget: Budget::new(4096, 256),
    };
    measure("assemble, one passage", || {
        drop(black_box(assembler.assemble(black_box(&parts), &count)));
    });

    let none: Arc<[String]> = Arc::new([]);
    let start = Instant::now();
    drop(Post::new(
        Redaction::all(),
        Arc::clone(&none),
        Limits::default(),
    ));
    println!("automaton built in {:?}", start.elapsed());
    let chunk = "a plain line of words that holds no secret at all ";
    for (name, stops) in [
        ("post, 50 plain bytes", none),
        (
            "post, 50 plain bytes, two stops",
            vec!["###".to_owned(), "\n\nUser:".to_owned()].into(),
        ),
    ] {
        let limits = Limits {
            bytes: usize::MAX,
            ..Limits::default()
        };
        let mut post = Post::new(Redaction::all(), stops, limits).expect("usable stops");
        let mut out = String::new();
        measure(name, || {
            out.clear();
            post.push(black_box(chunk), &mut out);
        });
    }
    let none: Arc<[String]> = Arc::new([]);
    let mut out = String::new();
    measure("post, a whole answer of 20 tokens", || {
        let mut post =
            Post::new(Redaction::all(), Arc::clone(&none), Limits::default()).expect("no stops");
        out.clear();
        for _ in 0..20 {
            post.push(black_box(" word"), &mut out);
        }
        post.finish(&mut out);
    });
}
