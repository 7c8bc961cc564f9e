//! The command line, as people type it.

use super::*;

fn parse(line: &str) -> Result<Command, String> {
    let words = std::iter::once("inferometer").chain(line.split_whitespace());
    match Cli::read(words) {
        Ok(Reading::Run(cli)) => Ok(cli.command),
        Ok(Reading::Print(text)) => Err(text),
        Err(error) => Err(error.to_string()),
    }
}

#[test]
fn the_definition_is_consistent() {
    Cli::command().debug_assert();
}

#[test]
fn unknown_services_and_domains_are_refused_with_the_known_ones() {
    for line in [
        "demo --services orchestrator,bakery",
        "serve bakery",
        "catalogue bakery",
        "bakery serve",
    ] {
        let error = parse(line).unwrap_err();
        assert!(error.contains("bakery"), "{line}: {error}");
        let known = if line.starts_with("bakery") {
            "catalogue"
        } else {
            "orchestrator"
        };
        assert!(error.contains(known), "{line}: {error}");
    }
}

#[test]
fn what_cannot_be_meant_is_refused_with_what_can() {
    for (line, hint) in [
        ("demo --for soon", "30s"),
        ("demo --rate -1", "above 0"),
        ("load --duration 0s", "above 0"),
        ("load --mix tall", "short"),
        ("load --arrivals never", "poisson"),
        ("load --target 10.0.0.1", "http://"),
        ("load --closed 4 --rate 3", "cannot be used with"),
        ("load --rate NaN", "above 0"),
        ("serve orchestrator --worker remote", "openai:URL"),
        ("serve orchestrator --worker openai:llm", "its URL"),
        ("serve orchestrator --inference-capacity 0", "from 1"),
        ("serve rerank --model-workers 65", "1..=64"),
        ("serve rerank --batch-tokens 0", "from 1"),
        ("serve rerank --sort-by-length maybe", "maybe"),
        ("serve rerank --batch-padding 2", "from 0 to 1"),
    ] {
        let error = parse(line).unwrap_err();
        assert!(error.contains(hint), "{line}: {error}");
    }
}

#[test]
fn defaults_are_as_documented() {
    let Ok(Command::Serve(ServeCommand::Orchestrator(args))) = parse("serve orchestrator") else {
        panic!("not understood")
    };
    assert_eq!((args.api.port(), args.metrics.port()), (8080, 9090));
    assert_eq!(args.inference_capacity, 1024);
    assert_eq!(args.workers(), [WorkerSpec::Local(None)]);
    let Ok(Command::Demo(args)) =
        parse("demo --services orchestrator,orchestrator --rate 0 --for 2m")
    else {
        panic!("not understood")
    };
    assert_eq!(args.services(), [Service::Orchestrator]);
    let Ok(Command::Serve(ServeCommand::Rerank(rerank))) = parse("serve rerank") else {
        panic!("not understood")
    };
    let ports = [rerank.grpc, rerank.http, rerank.metrics].map(|address| address.port());
    assert_eq!(ports, [50051, 8080, 8000]);
    assert_eq!(
        (args.rate, args.duration),
        (0.0, Some(Duration::from_secs(120)))
    );
    let Ok(Command::Load(args)) = parse("load") else {
        panic!("not understood")
    };
    assert_eq!((args.target, args.mix), (Target::default(), Mix::default()));
}

#[test]
fn workers_are_told_apart() {
    let spec = |text: &str| text.parse::<WorkerSpec>().unwrap();
    assert_eq!(
        spec("local:a/b.gguf"),
        WorkerSpec::Local(Some("a/b.gguf".into()))
    );
    assert_eq!(
        spec("openai:http://h:1/v1"),
        WorkerSpec::OpenAi("http://h:1/v1".into())
    );
    assert_eq!(
        spec("scripted:5ms,fail=1"),
        WorkerSpec::Scripted("5ms,fail=1".into())
    );
}

#[test]
fn no_line_of_the_help_is_too_long_for_its_examples() {
    let command = Cli::command();
    let serve = command.find_subcommand("serve").unwrap();
    let all = command
        .get_subcommands()
        .chain(serve.get_subcommands())
        .chain([&command]);
    let texts: Vec<String> = all
        .filter_map(|command| command.get_after_help().map(ToString::to_string))
        .collect();
    assert!(texts.len() >= 6);
    // Off a terminal, clap wraps at 100.
    for line in texts.iter().flat_map(|text| text.lines()) {
        assert!(line.chars().count() <= 98, "{line}");
    }
}

#[test]
fn the_help_names_the_ports_and_the_weights_that_hold() {
    let help = Cli::command().render_help().to_string();
    for part in [
        "8080",
        "9090",
        "9901",
        "9902",
        "50051",
        "9911",
        "9912",
        "9913",
        "RUST_LOG",
        "OPENAI_API_KEY",
        "Examples:",
    ] {
        assert!(help.contains(part), "{part} is missing");
    }
    let load = Cli::command()
        .find_subcommand_mut("load")
        .unwrap()
        .render_help()
        .to_string();
    for weight in Mix::default().to_string().split(',') {
        assert!(load.contains(weight), "{weight} is missing");
    }
}
