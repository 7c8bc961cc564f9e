use std::cell::Cell;

use proptest::prelude::*;

use super::*;
use crate::retrieval::Passage;

fn message(role: &str, content: &str) -> Message {
    Message {
        role: role.into(),
        content: content.into(),
    }
}

fn hits(texts: &[&str]) -> Vec<Hit> {
    texts
        .iter()
        .map(|text| Hit {
            passage: Arc::new(Passage::new("a.md", *text)),
            score: 1.0,
        })
        .collect()
}

fn words(text: &str) -> usize {
    text.split_whitespace().count()
}

/// A template whose rendering has as many words as the texts in it.
fn bare() -> Assembler {
    let template = SystemTemplate::new(
        "bare",
        "{{ system or '' }}{% for passage in passages %} {{ passage.text }}{% endfor %}".into(),
    );
    Assembler {
        template: template.unwrap(),
        kept: Kept::new(),
    }
}

fn budget(prompt_tokens: usize) -> Budget {
    Budget {
        context_window: prompt_tokens + 10,
        max_tokens: 10,
        message_tokens: 0,
        answer_tokens: 0,
    }
}

fn parts<'a>(
    messages: &'a [Message],
    history: &'a [Message],
    passages: &'a [Hit],
    tokens: usize,
) -> Parts<'a> {
    Parts {
        model: "m",
        messages,
        history,
        passages,
        budget: budget(tokens),
    }
}

fn contents(assembled: &Assembled) -> Vec<&str> {
    assembled
        .messages
        .iter()
        .map(|message| &*message.content)
        .collect()
}

#[test]
fn everything_stays_in_order_when_it_fits() {
    let messages = [message("system", "be terse"), message("user", "now?")];
    let history = [message("user", "before?"), message("assistant", "yes")];
    let passages = hits(&["one two", "three"]);
    let assembled = bare()
        .assemble(&parts(&messages, &history, &passages, 100), &words)
        .unwrap();
    assert_eq!(
        contents(&assembled),
        ["be terse one two three", "before?", "yes", "now?"]
    );
    assert_eq!((assembled.prompt_tokens, assembled.passages), (8, 2));
    assert_eq!(assembled.dropped, Dropped::default());
    assert_eq!(&*assembled.messages[0].role, "system");
}

#[test]
fn oldest_turn_goes_first_and_then_the_lowest_ranked_passage() {
    let messages = [message("user", "now?")];
    let history = ["q1", "a1 a1", "q2", "a2"].map(|text| {
        message(
            if text.starts_with('q') {
                "user"
            } else {
                "assistant"
            },
            text,
        )
    });
    let passages = hits(&["p1 p1 p1", "p2 p2"]);
    let assembler = bare();
    let assemble = |tokens| {
        assembler
            .assemble(&parts(&messages, &history, &passages, tokens), &words)
            .unwrap()
    };
    for (tokens, expected, dropped) in [
        (
            11,
            vec![" p1 p1 p1 p2 p2", "q1", "a1 a1", "q2", "a2", "now?"],
            (0, 0),
        ),
        (10, vec![" p1 p1 p1 p2 p2", "q2", "a2", "now?"], (0, 3)),
        (7, vec![" p1 p1 p1 p2 p2", "now?"], (0, 5)),
        (5, vec![" p1 p1 p1", "now?"], (2, 5)),
        (3, vec!["now?"], (5, 5)),
        (1, vec!["now?"], (5, 5)),
    ] {
        let assembled = assemble(tokens);
        assert_eq!(contents(&assembled), expected, "{tokens}");
        assert_eq!(
            (assembled.dropped.context, assembled.dropped.history),
            dropped,
            "{tokens}"
        );
        assert!(assembled.prompt_tokens <= tokens);
    }
}

#[test]
fn message_that_does_not_fit_is_refused_with_both_numbers() {
    let messages = [message("system", "s s"), message("user", "a b c d")];
    let error = bare()
        .assemble(&parts(&messages, &[], &hits(&["p"]), 5), &words)
        .unwrap_err();
    assert!(
        matches!(
            error,
            AssemblyError::TooLong {
                needed: 6,
                available: 5,
                context_window: 15,
                max_tokens: 10
            }
        ),
        "{error}"
    );
    assert!(
        error.to_string().contains("takes 6 tokens and only 5"),
        "{error}"
    );
}

#[test]
fn answer_longer_than_the_window_leaves_nothing() {
    let messages = [message("user", "a")];
    let parts = Parts {
        budget: Budget::new(100, 200),
        ..parts(&messages, &[], &[], 0)
    };
    assert!(matches!(
        bare().assemble(&parts, &words),
        Err(AssemblyError::TooLong { available: 0, .. })
    ));
}

#[test]
fn request_without_a_turn_is_refused() {
    for messages in [&[][..], &[message("system", "be terse")]] {
        let error = bare()
            .assemble(&parts(messages, &[], &[], 100), &words)
            .unwrap_err();
        assert!(matches!(error, AssemblyError::NoMessage));
    }
}

#[test]
fn stored_history_is_not_added_to_a_conversation_that_the_client_sends() {
    let history = [message("user", "stored?"), message("assistant", "stored")];
    let whole = [
        message("user", "q"),
        message("assistant", "a"),
        message("user", "now?"),
    ];
    let assembled = bare()
        .assemble(&parts(&whole, &history, &[], 100), &words)
        .unwrap();
    assert_eq!(contents(&assembled), ["q", "a", "now?"]);
    let assembled = bare()
        .assemble(&parts(&whole[2..], &history, &[], 100), &words)
        .unwrap();
    assert_eq!(contents(&assembled), ["stored?", "stored", "now?"]);
}

#[test]
fn several_system_messages_become_one() {
    let messages = [
        message("system", "one"),
        message("user", "q"),
        message("developer", "two"),
    ];
    let assembled = bare()
        .assemble(&parts(&messages, &[], &[], 100), &words)
        .unwrap();
    assert_eq!(contents(&assembled), ["one\n\ntwo", "q"]);
}

#[test]
fn chat_format_is_part_of_the_budget() {
    let messages = [message("system", "s"), message("user", "a")];
    let format = Budget {
        context_window: 15,
        max_tokens: 0,
        message_tokens: 5,
        answer_tokens: 3,
    };
    let assembled = bare()
        .assemble(
            &Parts {
                budget: format,
                ..parts(&messages, &[], &[], 0)
            },
            &words,
        )
        .unwrap();
    assert_eq!(assembled.prompt_tokens, 15);
    let less = Budget {
        context_window: 14,
        ..format
    };
    assert!(
        bare()
            .assemble(
                &Parts {
                    budget: less,
                    ..parts(&messages, &[], &[], 0)
                },
                &words
            )
            .is_err()
    );
}

#[test]
fn what_was_counted_for_a_model_is_not_counted_again() {
    let messages = [message("system", "s"), message("user", "a b c d e")];
    let passages = hits(&["one two three", "four"]);
    let assembler = bare();
    let calls = Cell::new(0);
    let count = |text: &str| {
        calls.set(calls.get() + 1);
        words(text)
    };
    let run = |model, tokens| {
        calls.set(0);
        let parts = Parts {
            model,
            ..parts(&messages, &[], &passages, tokens)
        };
        (
            assembler.assemble(&parts, &count).unwrap().passages,
            calls.get(),
        )
    };
    assert_eq!(
        run("m", 9),
        (1, 4),
        "message, both renderings, the passage that goes"
    );
    assert_eq!(run("m", 9), (1, 1), "the message alone");
    assert_eq!(run("n", 9), (1, 4), "another model counts for itself");
    assert_eq!(run("m", 10), (2, 1));
}

#[test]
fn shipped_template_serves_a_plain_request() {
    let messages = [message("user", "What is goodput?")];
    let library = crate::retrieval::Library::builtin();
    let passages = library.search("What is goodput?", 2);
    let parts = Parts {
        budget: Budget::new(2048, 256),
        ..parts(&messages, &[], &passages, 0)
    };
    let assembled = Assembler::new().assemble(&parts, &words).unwrap();
    assert_eq!((assembled.messages.len(), assembled.passages), (2, 2));
    assert!(
        assembled.messages[0]
            .content
            .contains("[1] goodput.md\nGoodput")
    );
}

proptest! {
    #[test]
    fn budget_holds_and_nothing_is_lost_uncounted(
        history in prop::collection::vec(1usize..9, 0..8),
        sizes in prop::collection::vec(1usize..9, 0..5),
        question in 1usize..6,
        tokens in 0usize..80,
    ) {
        let text = |size: usize| vec!["w"; size].join(" ");
        let history: Vec<Message> = history
            .iter()
            .enumerate()
            .map(|(number, &size)| message(if number % 2 == 0 { "user" } else { "assistant" }, &text(size)))
            .collect();
        let texts: Vec<String> = sizes.iter().map(|&size| text(size)).collect();
        let passages = hits(&texts.iter().map(String::as_str).collect::<Vec<_>>());
        let messages = [message("user", &text(question))];
        let all = question + sizes.iter().sum::<usize>() + history.iter().map(|m| words(&m.content)).sum::<usize>();
        match bare().assemble(&parts(&messages, &history, &passages, tokens), &words) {
            Ok(assembled) => {
                prop_assert!(assembled.prompt_tokens <= tokens);
                let kept: usize = assembled.messages.iter().map(|message| words(&message.content)).sum();
                prop_assert_eq!(kept, assembled.prompt_tokens);
                prop_assert_eq!(kept + assembled.dropped.context + assembled.dropped.history, all);
                prop_assert!(all > tokens || assembled.dropped == Dropped::default());
            }
            Err(AssemblyError::TooLong { needed, available, .. }) => {
                prop_assert_eq!((needed, available), (question, tokens));
                prop_assert!(needed > available);
            }
            Err(error) => prop_assert!(false, "{}", error),
        }
    }
}
