use super::*;

fn config(arguments: &[&str]) -> Result<Config, String> {
    let all = ["gabion", "run"].iter().chain(arguments);
    match Cli::try_parse_from(all).map_err(|error| error.to_string())?.command {
        Subcommands::Run(flags) => flags.config(),
        _ => Err("not run".into()),
    }
}

#[test]
fn an_existing_deployments_arguments_keep_working() {
    let config = config(&[
        "--concurrent=5",
        "--enable-leader-election",
        "--enable-leader-election=false",
        "--client-qps=100",
        "--enable-flood-gate=false",
        "--metrics-addr=:9090",
        "--live-addr=127.0.0.1:9091",
        "--loglevel=debug",
        "--enable-secrets-caching",
        "--store-requeue-interval=1m30s",
        "--namespace=team",
    ]);
    // The same flag twice is the one thing Go accepts and clap refuses by default.
    let config = config.unwrap_or_else(|error| panic!("{error}"));
    // Their number of workers would make Gabion wait.
    assert_eq!(config.concurrency, 128);
    assert!(config.election.is_none());
    assert!(!config.secrets.store_gate);
    assert_eq!(config.metrics_addr.to_string(), "0.0.0.0:9090");
    assert_eq!(config.health_addr.to_string(), "127.0.0.1:9091");
    assert_eq!(config.secrets.store_interval.as_secs(), 90);
    assert_eq!(config.namespace.as_deref(), Some("team"));
    assert_eq!(config.ignored_flags, ["--concurrent", "--client-qps", "--enable-secrets-caching"]);
}

#[test]
fn wrong_values_are_refused_with_what_to_do() {
    for (arguments, hint) in [
        (vec!["--metrics-addr=nowhere"], "write 127.0.0.1:8080 or :8080"),
        (vec!["--store-requeue-interval=soon"], "write it like 90s, 5m or 1h30m"),
        (vec!["--concurrency=0"], "at least 1"),
        (vec!["--events-queue=https://sqs.example"], "write the ARN of an SQS queue"),
        (vec!["--stall-timeout=5s"], "write 20s or more"),
        (vec!["--log-format=xml"], "use json or text"),
        (vec!["--per-object-metrics=some"], "none of failing, all and off"),
        (
            vec!["--enable-leader-election", "--leader-election-lease-duration=5s"],
            "lease duration > renew deadline",
        ),
    ] {
        let error = config(&arguments).expect_err("refused");
        assert!(error.contains(hint), "{error} does not say {hint:?}");
    }
}

#[test]
fn every_flag_has_an_environment_variable_and_a_meaning() {
    let command = Cli::command();
    let run = command.find_subcommand("run").unwrap();
    for argument in run.get_arguments().filter(|a| a.get_long().is_some_and(|l| l != "help")) {
        assert!(argument.get_env().is_some(), "{:?} has no variable", argument.get_long());
        assert!(argument.get_help().is_some(), "{:?} has no help", argument.get_long());
    }
}

#[test]
fn go_durations_are_understood() {
    assert_eq!(crate::duration::unsigned("1h30m").unwrap().as_secs(), 5400);
    assert_eq!(crate::duration::unsigned("1.5s").unwrap().as_millis(), 1500);
    assert_eq!(crate::duration::unsigned("0").unwrap().as_secs(), 0);
    assert!(crate::duration::unsigned("5").is_err() && crate::duration::unsigned("-5s").is_err());
}
