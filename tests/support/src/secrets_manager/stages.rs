//! Version stages, as AWS keeps them: a label sits on one version, and whoever moves it says where it is.

use std::{
    collections::BTreeMap,
    time::{Duration, SystemTime},
};

use serde_json::json;

use super::{Call, Contents, Refusal, Secret, SecretsManager, Stored, writes};

const CURRENT: &str = "AWSCURRENT";
const PREVIOUS: &str = "AWSPREVIOUS";
/// AWS keeps so many versions of a secret.
const MOST_VERSIONS: usize = 100;

/// What AWS says of a secret that somebody else manages.
#[derive(Clone, Debug, Default)]
pub struct Managed {
    /// AWS rotates it.
    pub rotates: bool,
    /// The service that made it.
    pub owner: Option<String>,
    /// The kind of a partner's secret.
    pub partner: Option<String>,
    /// Where the secret is that this one is a replica of.
    pub primary_region: Option<String>,
}

/// The labels of each version.
type Labels = BTreeMap<String, Vec<String>>;

/// Looks that lag behind.
#[derive(Clone, Debug, Default)]
pub(super) struct Lag {
    /// So many looks after each change show what was before it.
    looks: usize,
    left: usize,
    before: Labels,
}

impl SecretsManager {
    /// After each change so many `DescribeSecret` show the labels as they were before it.
    pub fn lag(&self, name: &str, looks: usize) {
        self.contents().secret(name).lag = Lag { looks, ..Lag::default() };
    }

    /// Says who else manages a secret.
    pub fn managed(&self, name: &str, managed: Managed) {
        self.contents().secret(name).managed = managed;
    }

    /// The stages of each version that has one.
    pub fn stages_of(&self, name: &str) -> BTreeMap<String, Vec<String>> {
        let contents = self.contents();
        let versions = contents.secrets.get(name).into_iter().flat_map(|secret| &secret.versions);
        let labelled = versions.filter(|(_, version)| !version.stages.is_empty());
        labelled.map(|(id, version)| (id.clone(), version.stages.clone())).collect()
    }

    /// The version that a stage is on.
    pub fn version_at(&self, name: &str, stage: &str) -> Option<String> {
        let contents = self.contents();
        contents.secrets.get(name)?.at(stage).map(str::to_owned)
    }

    /// How many versions a secret has, those without a stage included.
    pub fn versions_of(&self, name: &str) -> usize {
        self.contents().secrets.get(name).map_or(0, |secret| secret.versions.len())
    }

    /// All versions of a secret were made so long ago.
    pub fn age(&self, name: &str, by: Duration) {
        for version in self.contents().secret(name).versions.values_mut() {
            version.created = SystemTime::now().checked_sub(by);
        }
    }

    /// Moves a stage as a person in the console does, without asking where it is.
    pub fn move_stage(&self, name: &str, stage: &str, to: Option<&str>) {
        let mut contents = self.contents();
        let secret = contents.secret(name);
        let from = secret.at(stage).map(str::to_owned);
        secret.move_stage(stage, to, from.as_deref()).expect("a version of that id");
    }
}

impl Stored {
    /// Seconds since 1970, as answers have it.
    pub(super) fn created(&self) -> f64 {
        let since = self.created.and_then(|at| at.duration_since(SystemTime::UNIX_EPOCH).ok());
        since.map_or(1.7e9, |since| since.as_secs_f64())
    }
}

impl Secret {
    fn labels(&self) -> Labels {
        self.versions.iter().map(|(id, version)| (id.clone(), version.stages.clone())).collect()
    }

    /// The labels, as a look shows them.
    pub(super) fn shown(&mut self) -> Labels {
        if self.lag.left == 0 {
            return self.labels();
        }
        self.lag.left -= 1;
        self.lag.before.clone()
    }

    /// Called before labels change.
    fn changes(&mut self) {
        if self.lag.looks > 0 {
            (self.lag.left, self.lag.before) = (self.lag.looks, self.labels());
        }
    }

    fn at(&self, stage: &str) -> Option<&str> {
        let has = |version: &Stored| version.stages.iter().any(|of| of == stage);
        self.versions.iter().find(|(_, version)| has(version)).map(|(id, _)| id.as_str())
    }

    /// Takes a stage from whichever version has it.
    fn take(&mut self, stage: &str) {
        for version in self.versions.values_mut() {
            version.stages.retain(|of| of != stage);
        }
    }

    /// Puts a stage on a version; that of the version before follows that of the current one.
    fn attach(&mut self, stage: &str, to: &str) {
        let before = self.at(stage).map(str::to_owned);
        self.take(stage);
        if let Some(version) = self.versions.get_mut(to) {
            version.stages.push(stage.to_owned());
        }
        if stage == CURRENT
            && let Some(before) = before.filter(|before| before != to)
        {
            self.attach(PREVIOUS, &before);
        }
    }

    /// `UpdateSecretVersionStage`.
    fn move_stage(
        &mut self,
        stage: &str,
        to: Option<&str>,
        from: Option<&str>,
    ) -> Result<(), Refusal> {
        let wrong = |message: String| Err(("InvalidParameterException", message));
        for id in [to, from].into_iter().flatten() {
            if !self.versions.contains_key(id) {
                let message = "Secrets Manager can't find the specified secret version.";
                return Err(("ResourceNotFoundException", message.to_owned()));
            }
        }
        match (self.at(stage), from) {
            (Some(at), from) if from != Some(at) => {
                return wrong(format!(
                    "The parameter RemoveFromVersionId can't be empty. Staging label {stage} is \
                     currently attached to version {at}, so you must explicitly reference that \
                     version in RemoveFromVersionId."
                ));
            }
            (None, Some(from)) => {
                return wrong(format!("Staging label {stage} isn't attached to version {from}."));
            }
            _ => {}
        }
        match to {
            Some(to) => {
                self.changes();
                self.attach(stage, to);
            }
            None if stage == CURRENT => {
                return wrong("You can't remove the staging label AWSCURRENT.".to_owned());
            }
            None if from.is_none() => {
                return wrong("MoveToVersionId or RemoveFromVersionId is needed.".to_owned());
            }
            None => {
                self.changes();
                self.take(stage);
            }
        }
        Ok(())
    }

    /// Room for one more version: those without a stage go first.
    fn make_room(&mut self) -> Result<(), Refusal> {
        if self.versions.len() < MOST_VERSIONS {
            return Ok(());
        }
        self.versions.retain(|_, version| !version.stages.is_empty());
        if self.versions.len() < MOST_VERSIONS {
            return Ok(());
        }
        let message = "You can't have more than 100 versions of a secret.".to_owned();
        Err(("LimitExceededException", message))
    }
}

impl Contents {
    /// `UpdateSecretVersionStage`.
    pub(super) fn stage(&mut self, call: &Call, name: &str) -> Result<String, Refusal> {
        let Some(stage) = call.text("VersionStage") else {
            return Err(("InvalidParameterException", "VersionStage is needed.".to_owned()));
        };
        let (to, from) = (call.text("MoveToVersionId"), call.text("RemoveFromVersionId"));
        let secret = self.secret(name);
        secret.move_stage(stage, to, from)?;
        Ok(json!({"ARN": secret.arn, "Name": name}).to_string())
    }

    /// `PutSecretValue`: the token is the id of the version, and a repeated one changes nothing.
    pub(super) fn put_value(&mut self, call: &Call, name: &str) -> Result<String, Refusal> {
        let field = writes::value(call)?;
        self.serial += 1;
        let token = call
            .text("ClientRequestToken")
            .map_or_else(|| format!("00000000-0000-0000-0000-{:012}", self.serial), str::to_owned);
        if !(32..=64).contains(&token.len()) {
            let message = "ClientRequestToken must have 32 to 64 characters.".to_owned();
            return Err(("InvalidParameterException", message));
        }
        let given = call.input["VersionStages"].as_array();
        let stages: Vec<&str> = given.into_iter().flatten().filter_map(|it| it.as_str()).collect();
        let stages = if given.is_none() { vec![CURRENT] } else { stages };
        let secret = self.secret(name);
        match secret.versions.get(&token) {
            Some(present) if present.field == field => {}
            Some(_) => {
                let message = "A resource with the ID you requested already exists.".to_owned();
                return Err(("ResourceExistsException", message));
            }
            None => {
                secret.make_room()?;
                secret.changes();
                let created = Some(SystemTime::now());
                let stored = Stored { stages: Vec::new(), field, created };
                secret.versions.insert(token.clone(), stored);
                for stage in &stages {
                    secret.attach(stage, &token);
                }
                if secret.at(CURRENT).is_none() {
                    secret.attach(CURRENT, &token);
                }
            }
        }
        let stages = secret.versions.get(&token).map(|version| &version.stages);
        let answer =
            json!({"ARN": secret.arn, "Name": name, "VersionId": token, "VersionStages": stages});
        Ok(answer.to_string())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Labels and the versions that they are on, and nothing else.
    type Model = BTreeMap<&'static str, usize>;

    fn id(version: usize) -> String {
        format!("00000000-0000-0000-0000-{version:012}")
    }

    /// Small, and the same each time.
    fn random(seed: &mut u64) -> usize {
        *seed =
            seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        usize::try_from(*seed >> 40).expect("24 bits")
    }

    fn call(operation: &str, input: serde_json::Value) -> Call {
        let (operation, access_key) = (operation.to_owned(), "key".to_owned());
        Call { operation, access_key, sts: false, ssm: false, input }
    }

    /// What AWS's documentation says of one move, in as few words as it takes.
    fn moved(
        model: &mut Model,
        stage: &'static str,
        to: Option<usize>,
        from: Option<usize>,
    ) -> bool {
        let is_wrong = model.get(stage).copied() != from
            || to.is_none() && (stage == CURRENT || from.is_none());
        if is_wrong {
            return false;
        }
        match to {
            Some(to) => {
                let before = model.insert(stage, to);
                if stage == CURRENT && before != Some(to) {
                    before.map(|before| model.insert(PREVIOUS, before));
                }
            }
            None => {
                model.remove(stage);
            }
        }
        true
    }

    #[test]
    fn labels_are_where_a_naive_model_has_them() {
        const LABELS: [&str; 4] = [CURRENT, PREVIOUS, "AWSPENDING", "GABION-1"];
        let mut seed = 7;
        for _ in 0..200 {
            let (mut contents, mut model, mut versions) = (Contents::default(), Model::new(), 1);
            contents.put_version("a", &id(0), &[CURRENT], "\"SecretString\":\"0\"".to_owned());
            model.insert(CURRENT, 0);
            for _ in 0..30 {
                let label = LABELS[random(&mut seed) % LABELS.len()];
                if random(&mut seed).is_multiple_of(4) {
                    let input = json!({"SecretString": "new", "VersionStages": [label],
                        "ClientRequestToken": id(versions)});
                    contents.put_value(&call("PutSecretValue", input), "a").expect("a version");
                    let from = model.get(label).copied();
                    moved(&mut model, label, Some(versions), from);
                    versions += 1;
                    continue;
                }
                let mut one = || {
                    let of = random(&mut seed) % (versions + 1);
                    (of < versions).then_some(of)
                };
                let (to, from) = (one(), one());
                let input = json!({"VersionStage": label, "MoveToVersionId": to.map(id),
                    "RemoveFromVersionId": from.map(id)});
                let done = contents.stage(&call("UpdateSecretVersionStage", input), "a");
                assert_eq!(
                    done.is_ok(),
                    moved(&mut model, label, to, from),
                    "{label} {to:?} {from:?}"
                );
            }
            for label in LABELS {
                let at = contents.secret("a").at(label).map(str::to_owned);
                assert_eq!(at, model.get(label).map(|version| id(*version)), "{label}");
            }
        }
    }

    #[test]
    fn a_token_makes_one_version_and_a_stage_given_is_stolen() {
        let aws = SecretsManager::start();
        aws.put("a", "old");
        let before = aws.version_at("a", CURRENT).expect("a version");
        let put = |value: &str| {
            let input = json!({"SecretString": value, "VersionStages": ["GABION-1"],
                "ClientRequestToken": id(99)});
            aws.contents().put_value(&call("PutSecretValue", input), "a").map_err(|(code, _)| code)
        };
        assert!(put("new").is_ok());
        assert!(put("new").is_ok(), "the same again has no effect");
        assert_eq!(put("other"), Err("ResourceExistsException"));
        assert_eq!(aws.version_at("a", CURRENT), Some(before));
        assert_eq!((aws.versions_of("a"), aws.value_of("a").as_deref()), (2, Some("old")));
        aws.move_stage("a", CURRENT, Some(&id(99)));
        assert_eq!(aws.value_of("a").as_deref(), Some("new"));
    }
}
