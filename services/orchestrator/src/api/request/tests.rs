use axum::http::StatusCode;

use super::*;

fn read(json: &str) -> Result<ChatRequest, ApiError> {
    ChatRequest::read(json.as_bytes(), &ApiLimits::default())
}

/// A request with one more field.
fn with(field: &str) -> Result<ChatRequest, ApiError> {
    read(&format!(
        r#"{{"messages":[{{"role":"user","content":"hi"}}],{field}}}"#
    ))
}

/// What an error says: `param`, `code`, message.
fn said(error: &ApiError) -> (String, String, String) {
    let body: serde_json::Value = serde_json::from_slice(&error.to_json()).expect("JSON");
    let text = |field: &str| body["error"][field].as_str().unwrap_or_default().to_owned();
    (text("param"), text("code"), text("message"))
}

#[test]
fn a_plain_request_has_the_defaults() {
    let request =
        read(r#"{"messages":[{"role":"user","content":"hi \u00e9\n"}]}"#).expect("a request");
    assert_eq!(request.model, None);
    assert_eq!(&*request.messages[0].role, "user");
    assert_eq!(&*request.messages[0].content, "hi é\n");
    assert!(!request.stream && !request.include_usage);
    let sampling = &request.sampling;
    assert_eq!(
        (
            sampling.temperature,
            sampling.top_p,
            sampling.max_tokens,
            sampling.stop.len()
        ),
        (1.0, 1.0, 1024, 0)
    );
}

#[test]
fn every_field_is_read() {
    let request = read(
        r#"{"model":"m","messages":[{"role":"developer","content":[{"type":"text","text":"a"},{"type":"text","text":"b"}]},
        {"role":"assistant","content":"c","tool_calls":null},{"role":"user","content":"d","name":"x"}],
        "stream":true,"stream_options":{"include_usage":true},"max_tokens":5,"max_completion_tokens":7,"temperature":0,
        "top_p":0.5,"stop":["x","y"],"seed":-1,"n":1,"user":"u","tools":[],"tool_choice":"auto","logprobs":false,
        "presence_penalty":0.0,"frequency_penalty":0,"logit_bias":{},"response_format":{"type":"text"},"modalities":["text"],
        "metadata":{"a":[1,{}]},"unknown":[{}]}"#,
    )
    .expect("a request");
    let roles: Vec<_> = request
        .messages
        .iter()
        .map(|message| &*message.role)
        .collect();
    assert_eq!(roles, ["system", "assistant", "user"]);
    assert_eq!(&*request.messages[0].content, "ab");
    assert_eq!(request.model.as_deref(), Some("m"));
    assert!(request.stream && request.include_usage);
    let sampling = request.sampling;
    assert_eq!(
        (
            sampling.temperature,
            sampling.top_p,
            sampling.seed,
            sampling.max_tokens
        ),
        (0.0, 0.5, u64::MAX, 7)
    );
    assert_eq!(*sampling.stop, ["x".to_owned(), "y".to_owned()]);
}

#[test]
fn nulls_are_as_good_as_absent() {
    let fields = "model stream stream_options max_tokens max_completion_tokens temperature top_p stop seed n user tools tool_choice \
                  logprobs top_logprobs logit_bias response_format modalities functions function_call audio";
    for field in fields.split_whitespace() {
        assert!(with(&format!(r#""{field}":null"#)).is_ok(), "{field}");
    }
}

#[test]
fn no_model_and_the_default_model_leave_the_choice_to_the_routing() {
    for model in ["", "default"] {
        assert_eq!(
            with(&format!(r#""model":"{model}""#))
                .expect("a request")
                .model,
            None
        );
    }
}

#[test]
fn requests_without_a_seed_differ_and_with_one_agree() {
    let seed = |field: &str| with(field).expect("a request").sampling.seed;
    assert_ne!(seed(r#""n":1"#), seed(r#""n":1"#));
    assert_eq!(seed(r#""seed":42"#), 42);
}

#[test]
fn bad_values_are_refused_with_field_and_rule() {
    let bad = [
        (r#""temperature":2.1"#, "temperature", "0 to 2"),
        (r#""temperature":"hot""#, "temperature", "string"),
        (r#""top_p":-0.1"#, "top_p", "0 to 1"),
        (r#""max_tokens":0"#, "max_tokens", "1 to 32768"),
        (r#""max_tokens":-1"#, "max_tokens", "u32"),
        (
            r#""max_completion_tokens":99999999"#,
            "max_completion_tokens",
            "1 to 32768",
        ),
        (r#""stop":["1","2","3","4","5"]"#, "stop", "at most 4"),
        (r#""stop":"""#, "stop", "1 to 1024"),
        (r#""stop":7"#, "stop", "array of strings"),
        (r#""stream":"yes""#, "stream", "boolean"),
        (
            r#""stream_options":{"include_usage":3}"#,
            "stream_options.include_usage",
            "boolean",
        ),
        (r#""seed":1.5"#, "seed", "i64"),
        (r#""model":7"#, "model", "string"),
    ];
    for (field, param, rule) in bad {
        let error = with(field).expect_err(field);
        let (said_param, code, message) = said(&error);
        assert_eq!(
            (error.status, &*said_param, &*code),
            (StatusCode::BAD_REQUEST, param, "invalid_value"),
            "{field}"
        );
        assert!(
            message.contains(rule) && message.contains(param),
            "{field}: {message}"
        );
    }
}

#[test]
fn what_would_change_the_answer_is_refused_by_name() {
    let unsupported = [
        (r#""n":2"#, "n"),
        (r#""tools":[{"type":"function"}]"#, "tools"),
        (r#""tool_choice":"required""#, "tool_choice"),
        (r#""functions":[{}]"#, "functions"),
        (r#""logprobs":true"#, "logprobs"),
        (r#""top_logprobs":3"#, "top_logprobs"),
        (r#""logit_bias":{"5":-100}"#, "logit_bias"),
        (r#""presence_penalty":0.5"#, "presence_penalty"),
        (r#""frequency_penalty":-1"#, "frequency_penalty"),
        (
            r#""response_format":{"type":"json_object"}"#,
            "response_format",
        ),
        (r#""modalities":["text","audio"]"#, "modalities"),
        (r#""audio":{"voice":"x"}"#, "audio"),
    ];
    for (field, param) in unsupported {
        let (said_param, code, _) = said(&with(field).expect_err(field));
        assert_eq!(
            (&*said_param, &*code),
            (param, "unsupported_value"),
            "{field}"
        );
    }
}

#[test]
fn bad_messages_are_refused_by_their_path() {
    let bad = [
        ("[]", "messages"),
        ("7", "messages"),
        (r#"[{"role":"user"}]"#, "messages[0].content"),
        (r#"[{"role":"user","content":null}]"#, "messages[0].content"),
        (r#"[{"role":"user","content":7}]"#, "messages[0].content"),
        (r#"[{"role":"robot","content":"x"}]"#, "messages[0].role"),
        (
            r#"[{"role":"user","content":"x"},{"role":"tool","content":"y"}]"#,
            "messages[1].role",
        ),
        (
            r#"[{"role":"user","content":"x"},{"role":"assistant","content":"y"}]"#,
            "messages[1].role",
        ),
        (
            r#"[{"role":"user","content":[{"type":"image_url","image_url":{"url":"u"}}]}]"#,
            "messages[0].content[0].type",
        ),
        (
            r#"[{"role":"user","content":[{"type":"text"}]}]"#,
            "messages[0].content[0].text",
        ),
        (
            r#"[{"role":"assistant","content":"x","tool_calls":[{}]},{"role":"user","content":"x"}]"#,
            "messages[0].tool_calls",
        ),
    ];
    for (messages, param) in bad {
        let error = read(&format!(r#"{{"messages":{messages}}}"#)).expect_err(messages);
        assert_eq!(said(&error).0, param, "{messages}: {}", error.message);
    }
}

#[test]
fn what_is_no_json_is_said_to_be_none() {
    let deep = format!(r#"{{"messages":{}"#, "[".repeat(100_000));
    for bad in [
        "",
        "{",
        "hello",
        "{\"messages\":[}",
        "{\"messages\":[]} x",
        "\u{0}",
        deep.as_str(),
    ] {
        let error = read(bad).expect_err("no JSON");
        assert_eq!(
            error.status,
            StatusCode::BAD_REQUEST,
            "{}",
            &bad[..bad.len().min(20)]
        );
    }
    assert_eq!(said(&read("{").expect_err("no JSON")).1, "invalid_json");
    let error = read("{}").expect_err("no messages");
    assert!(error.message.contains("messages"), "{}", error.message);
}
