//! `gabion status` that looks more than once: `--watch` and `--for`.

use std::io::{BufRead as _, BufReader};
use std::process::Command;

use serde_json::json;
use support::{ControlPlane, Failure, Result, gabion};

use super::inspect::{ask, say};

#[tokio::test]
async fn a_pipeline_waits_for_its_objects_and_a_watch_tells_what_changes() -> Result<()> {
    let plane = ControlPlane::start_with(&support::Options { audit: false, ..Default::default() })?;
    let kubectl = plane.admin()?;
    super::life::populate(&kubectl)?;
    say(&kubectl, "ss/store", "True", "", "")?;
    say(&kubectl, "es/app", "False", "data[0]: no luck", "")?;
    let until = |more: &[&str]| {
        ask(plane.kubeconfig(), &[&["status", "es", "--for=synced"], more].concat())
    };
    let late = until(&["--timeout=1s"])?;
    assert_eq!(late.code, Some(1), "{}{}", late.out, late.err);
    assert!(late.out.contains("es/app") && late.out.contains("no luck"), "{}", late.out);
    let none = until(&["-l", "app=none", "--timeout=1s"])?;
    assert!(none.code == Some(1) && none.out.contains("no object"), "{}", none.out);

    let mut command = Command::new(gabion()?);
    command.args(["status", "--watch"]).env("KUBECONFIG", plane.kubeconfig());
    command.env_remove("KUBERNETES_SERVICE_HOST").stdout(std::process::Stdio::piped());
    let mut watching = command.spawn()?;
    let mut lines =
        BufReader::new(watching.stdout.take().ok_or_else(|| Failure::new("it has no output"))?)
            .lines();
    // The reader of a pipe has no time limit, the program has.
    let (end, ended) = std::sync::mpsc::channel::<()>();
    let ends = std::thread::spawn(move || {
        let _ = ended.recv_timeout(std::time::Duration::from_mins(1));
        let _ = watching.kill();
        watching.wait()
    });
    let mut says = |part: &str| {
        lines.by_ref().map_while(std::result::Result::ok).any(|line| line.contains(part))
    };
    assert!(says("es/app  Failing"));
    let edited = json!({"spec": {"refreshInterval": "2h"}}).to_string();
    say(&kubectl, "es/app", "True", "", "")?;
    assert!(says("shop/es/app  Synced (was Failing)"));
    assert_eq!(until(&["--timeout=30s"])?.out, "1 objects are in step\n");

    // A status about an older generation is no good news.
    let seen = json!({"status": {"observedGeneration": 1}}).to_string();
    kubectl.run(&[
        "patch",
        "es",
        "app",
        "-n",
        "shop",
        "--subresource=status",
        "--type=merge",
        "-p",
        &seen,
    ])?;
    kubectl.run(&["patch", "es", "app", "-n", "shop", "--type=merge", "-p", &edited])?;
    let stale = until(&["--timeout=1s"])?;
    assert!(stale.code == Some(1) && stale.out.contains("not in force yet"), "{}", stale.out);
    assert!(says("shop/es/app  Waiting (was Synced)"));
    kubectl.run(&["delete", "es", "app", "-n", "shop"])?;
    assert!(says("shop/es/app  Gone (was Waiting)"));
    end.send(())?;
    ends.join().map_err(|_| Failure::new("the watch cannot be ended"))??;
    Ok(())
}
