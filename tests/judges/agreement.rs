//! The judges agree.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Mutex,
    time::Instant,
};

use futures::{StreamExt as _, TryStreamExt as _, stream};
use serde_json::{Value, json};
use support::{Failure, Result};

use crate::{
    live::{Answer, Api, plane},
    mutation, ours,
    plugin::{Bar, failed_checks},
    pods::{Case, Generator},
    test_random::TestRandom,
};

/// Versions at which some check begins or changes, some before and after, and the newest.
const MINORS: [u16; 12] = [0, 8, 18, 19, 22, 24, 25, 27, 31, 34, 35, 37];
/// Versions that one case is evaluated at, each at both levels.
const MINORS_A_CASE: usize = 2;
/// Requests that are under way at a time.
const AT_ONCE: usize = 48;
/// Disagreements that are printed.
const PRINTED: usize = 20;

fn bars() -> Vec<Bar> {
    let levels = ["baseline", "restricted"].into_iter();
    levels.flat_map(|level| MINORS.map(|minor| Bar { level, minor })).collect()
}

/// A number from the environment.
pub fn number(variable: &str, otherwise: u64) -> u64 {
    std::env::var(variable).ok().and_then(|text| text.parse().ok()).unwrap_or(otherwise)
}

fn plugin_namespace(bar: Bar) -> String {
    format!("plugin-{}", bar.name())
}

fn policy_namespace(bar: Bar) -> String {
    format!("policy-{}", bar.name())
}

/// A namespace that the plugin evaluates, and one that our policies evaluate.
async fn prepare(api: &Api, bar: Bar) -> Result<()> {
    let (plugin, policy) = (plugin_namespace(bar), policy_namespace(bar));
    tokio::try_join!(api.populated_namespace(&plugin), api.populated_namespace(&policy))?;
    let key = "pod-security.kubernetes.io/enforce";
    let labels = json!({key: bar.level, format!("{key}-version"): bar.version()});
    api.label(&plugin, &labels).await?;
    let set = ours::compiled(&ours::settings(bar), &bar.name());
    for (url, object) in ours::objects(&set) {
        api.create(&url, &object).await?;
    }
    api.label(&policy, &json!({"bar": bar.name()})).await
}

/// Waits until both judges of a bar refuse what is bad.
async fn in_force(api: &Api, bar: Bar) -> Result<()> {
    let mut pod = crate::pods::bases()[0].1.clone();
    pod["spec"]["hostPID"] = true.into();
    let case = Case { seed: 0, story: "host PID".to_owned(), base: 0, pod };
    let refuses = |answer: &Answer| !answer.is_yes();
    api.until_evaluated(&policy_namespace(bar), &case, refuses).await?;
    api.until_evaluated(&plugin_namespace(bar), &case, refuses).await
}

/// What came out of all cases.
#[derive(Default)]
struct Tally {
    evaluated: usize,
    ephemeral: usize,
    verdicts: usize,
    refused: usize,
    /// How often each check failed.
    checks: BTreeMap<String, usize>,
    /// Cases that the API server finds invalid, by the last part of the field that it names first.
    invalid: BTreeMap<String, usize>,
    disagreements: Vec<String>,
    /// Pods that were evaluated, as they are stored, and where.
    cases: Vec<(Value, Vec<Bar>)>,
}

/// Ids of failed checks, and nothing where it was taken.
fn named_by(answer: &Answer, read: impl Fn(&str) -> Option<BTreeSet<String>>) -> BTreeSet<String> {
    if answer.is_yes() {
        return BTreeSet::new();
    }
    let message = answer.message();
    read(&message).unwrap_or_else(|| BTreeSet::from([format!("{}: {message}", answer.code)]))
}

/// The last part of the field that a validation error names first.
fn field_of(message: &str) -> String {
    let field = message.split(": ").nth(1).unwrap_or(message).trim_start_matches('[');
    let field = field.split("[container.").next().unwrap_or(field);
    let field = field.split(".container.").next().unwrap_or(field);
    field.rsplit('.').next().unwrap_or(field).to_owned()
}

/// Evaluates one case at some bars. False if it is invalid whoever evaluates it.
async fn evaluate(api: &Api, case: &Case, bars: &[Bar], tally: &Mutex<Tally>) -> Result<bool> {
    let plain = api.evaluate("plain", case).await?;
    if !plain.is_yes() {
        let why = field_of(&plain.message());
        *tally.lock().unwrap().invalid.entry(why).or_default() += 1;
        return Ok(false);
    }
    let mut stored = plain.json();
    if stored["kind"] != "Pod" {
        return Err(Failure::new(format!("{}: the API server answers {stored}", case.story)));
    }
    stored["apiVersion"] = "v1".into();
    for bar in bars {
        let (plugin, policy) = (plugin_namespace(*bar), policy_namespace(*bar));
        let (plugin, policy) =
            tokio::try_join!(api.evaluate(&plugin, case), api.evaluate(&policy, case))?;
        let plugin = named_by(&plugin, |message| failed_checks(message, *bar));
        let policy = named_by(&policy, ours::denied_checks);
        let written = ours::evaluate(*bar, &case.pod);
        let kept = ours::evaluate(*bar, &stored);
        let mut tally = tally.lock().unwrap();
        tally.verdicts += 1;
        tally.refused += usize::from(!plugin.is_empty());
        for check in &plugin {
            *tally.checks.entry(check.clone()).or_default() += 1;
        }
        for (judge, verdict) in [
            ("policy", &policy),
            ("evaluator, as written", &written),
            ("evaluator, as stored", &kept),
        ] {
            if *verdict != plugin {
                tally.disagreements.push(format!(
                    "{judge} at {}: {verdict:?}, the plugin: {plugin:?}; seed {:#x}, {}",
                    bar.name(),
                    case.seed,
                    case.story
                ));
            }
        }
    }
    let mut tally = tally.lock().unwrap();
    tally.evaluated += 1;
    tally.ephemeral += usize::from(case.is_ephemeral());
    tally.cases.push((stored, bars.to_vec()));
    Ok(true)
}

/// The cases of a run: every value of every field of the first base and some of the others, then pairs, then
/// whatever comes.
struct Cases {
    generator: Generator,
    singles: Vec<Case>,
    seed: u64,
    pods: usize,
}

impl Cases {
    fn new(seed: u64, pods: usize) -> Self {
        let generator = Generator::new();
        let mut singles = generator.one_at_a_time();
        let mut random = TestRandom::new(seed);
        for last in (1..singles.len()).rev() {
            singles.swap(last, random.below(last + 1));
        }
        singles.sort_by_key(|case| case.base != 0);
        singles.truncate(pods / 2);
        Self { generator, singles, seed, pods }
    }

    fn nth(&self, nth: usize) -> Case {
        let seed = TestRandom::new(self.seed ^ u64::try_from(nth).unwrap()).next();
        if let Some(single) = self.singles.get(nth) {
            return Case { seed, ..single.clone() };
        }
        let changes = if nth < self.pods { 2 } else { 1 + TestRandom::new(seed).below(6) };
        self.generator.changed(seed, changes)
    }
}

/// Where one case is evaluated.
fn bars_of(case: &Case) -> Vec<Bar> {
    let mut random = TestRandom::new(case.seed.rotate_left(7));
    let mut minors = BTreeSet::new();
    while minors.len() < MINORS_A_CASE {
        minors.insert(*random.one_of(&MINORS));
    }
    bars().into_iter().filter(|bar| minors.contains(&bar.minor)).collect()
}

fn print(tally: &Tally, begun: Instant) {
    say!(
        "{} pods ({} with ephemeral containers added), {} verdicts of each judge, {} refused, \
         {} disagreements, in {:.1} s",
        tally.evaluated,
        tally.ephemeral,
        tally.verdicts,
        tally.refused,
        tally.disagreements.len(),
        begun.elapsed().as_secs_f64()
    );
    let listed = |counts: &BTreeMap<String, usize>| {
        counts.iter().map(|(what, count)| format!("{what} {count}")).collect::<Vec<_>>().join(", ")
    };
    say!("failed: {}", listed(&tally.checks));
    let invalid: usize = tally.invalid.values().sum();
    say!(
        "{invalid} generated pods were invalid to the API server and made anew, for: {}",
        listed(&tally.invalid)
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn evaluator_policies_and_plugin_agree() -> Result<()> {
    let plane = plane()?;
    let api = Api(plane.client().await?);
    let pods = usize::try_from(number("GABION_JUDGES_PODS", 2000))?;
    let seed = number("GABION_JUDGES_SEED", 20_261_125);
    say!("GABION_JUDGES_SEED={seed} GABION_JUDGES_PODS={pods} on {}", plane.version());
    api.populated_namespace("plain").await?;
    stream::iter(bars())
        .map(|bar| prepare(&api, bar))
        .buffer_unordered(8)
        .try_collect::<()>()
        .await?;
    stream::iter(bars())
        .map(|bar| in_force(&api, bar))
        .buffer_unordered(8)
        .try_collect::<()>()
        .await?;

    let begun = Instant::now();
    let (cases, tally) = (Cases::new(seed, pods), Mutex::new(Tally::default()));
    let mut next = 0;
    while tally.lock().unwrap().evaluated < pods {
        let missing = pods - tally.lock().unwrap().evaluated;
        let evaluate = |nth| {
            let case = cases.nth(nth);
            let bars = bars_of(&case);
            let (api, tally) = (&api, &tally);
            async move { evaluate(api, &case, &bars, tally).await.map(|_| ()) }
        };
        let round = stream::iter(next..next + missing).map(evaluate);
        round.buffer_unordered(AT_ONCE).try_collect::<()>().await?;
        next += missing;
    }
    let tally = tally.into_inner().unwrap();
    print(&tally, begun);
    let printed: Vec<_> = tally.disagreements.iter().take(PRINTED).collect();
    assert!(printed.is_empty(), "{printed:#?}");
    let survivors = mutation::score(&tally.cases);
    assert!(survivors.is_empty(), "nothing notices {survivors:?}");
    Ok(())
}
