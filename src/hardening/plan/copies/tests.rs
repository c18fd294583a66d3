//! Decisions about copies, against a naive model of a namespace in which others write as well.

use proptest::prelude::*;

use super::*;
use crate::hardening::plan::copy::ObservedCopy;
use crate::hardening::plan::namespace::NamespaceObserved;
use crate::meta::{ResourceVersion, Uid};

const TARGETS: [&str; 3] = ["registry", "mirror", "team"];

/// A namespace as the API server would hold it.
#[derive(Clone, Debug, Default)]
struct Model {
    observed: NamespaceObserved,
    /// Entries that people added, by account.
    theirs: BTreeMap<String, BTreeSet<String>>,
    serial: u64,
}

#[derive(Clone, Debug)]
enum Act {
    /// The baselines want these, with this attachment.
    Want(Vec<(usize, u8)>),
    /// A source changes, goes, or becomes unusable.
    Source(usize, u8),
    /// Somebody edits or deletes a copy.
    Copy(usize, bool),
    /// Somebody adds an entry, or takes one away.
    Entry(usize, usize, bool),
}

fn act() -> impl Strategy<Value = Act> {
    let want = proptest::collection::vec((0..3_usize, 0..3_u8), 0..3);
    prop_oneof![
        want.prop_map(Act::Want),
        (0..3_usize, 0..5_u8).prop_map(|(target, kind)| Act::Source(target, kind)),
        (0..3_usize, any::<bool>()).prop_map(|(target, deletes)| Act::Copy(target, deletes)),
        (0..2_usize, 0..3_usize, any::<bool>()).prop_map(|(a, t, adds)| Act::Entry(a, t, adds)),
    ]
}

fn source(target: &str) -> SourceName {
    SourceName { namespace: "platform".into(), name: target.into() }
}

fn usable(revision: u8) -> Source {
    let value = SecretBytes::from(format!("value-{revision}"));
    Source::of(&Uid::from("source"), "kubernetes.io/dockercfg", |_| Some(value.clone()))
}

fn ask(target: &str, attach: u8) -> PullSecretAsk {
    let attach = [Attach::AllServiceAccounts, Attach::DefaultServiceAccount, Attach::None]
        [usize::from(attach)];
    PullSecretAsk { source: source(target), target: target.into(), attach }
}

use super::super::pull_secrets::SourceName;
use crate::secret_bytes::SecretBytes;

impl Model {
    fn new() -> Self {
        let account = |name: &str| ObservedServiceAccount {
            name: name.into(),
            uid: format!("uid-{name}").as_str().into(),
            ..ObservedServiceAccount::default()
        };
        let mut model = Self::default();
        model.observed.name = "shop".into();
        model.observed.copies.known = true;
        model.observed.service_accounts = vec![account("builder"), account("default")];
        model
    }

    fn version(&mut self) -> ResourceVersion {
        self.serial += 1;
        self.serial.to_string().as_str().into()
    }

    fn decide(&self, wanted: &[PullSecretAsk], leaving: DeletionPolicy) -> (Decided, Vec<Error>) {
        let merged = Merged { pull_secrets: wanted.to_vec(), ..Merged::default() };
        let mut problems = Vec::new();
        let decided =
            decide(&merged, self.observed.of_copies(), &BTreeMap::new(), leaving, &mut problems);
        (decided, problems)
    }

    fn act(&mut self, act: &Act, wanted: &mut Vec<PullSecretAsk>) {
        match act {
            Act::Want(list) => {
                let list: BTreeMap<_, _> = list.iter().copied().collect();
                *wanted = list.into_iter().map(|(t, attach)| ask(TARGETS[t], attach)).collect();
            }
            Act::Source(target, kind) => {
                let state = match kind {
                    0 => Source::Missing,
                    1 => Source::Unusable("is of type Opaque; write it anew".into()),
                    revision => usable(*revision),
                };
                let sources = Arc::make_mut(&mut self.observed.copies.sources);
                sources.insert(source(TARGETS[*target]), state);
            }
            Act::Copy(target, true) => {
                self.observed.copies.seen.remove(TARGETS[*target]);
            }
            Act::Copy(target, false) => {
                let version = self.version();
                if let Some(copy) = self.observed.copies.seen.get_mut(TARGETS[*target]) {
                    (copy.intact, copy.resource_version) = (false, version);
                }
            }
            Act::Entry(account, target, adds) => {
                let version = self.version();
                let account = &mut self.observed.service_accounts[*account];
                let theirs = self.theirs.entry(account.name.clone()).or_default();
                account.resource_version = version;
                let said = account.pull_secrets.get_or_insert_default();
                let name = TARGETS[*target].to_owned();
                let is_there = said.entries.contains(&name);
                if *adds && !is_there {
                    // Whoever adds an entry that we once added puts it back.
                    if !said.attached.contains(&name) {
                        theirs.insert(name.clone());
                    }
                    said.entries.push(name);
                } else if !*adds {
                    theirs.remove(&name);
                    said.entries.retain(|entry| *entry != name);
                }
            }
        }
    }

    /// Does a step as the API server would, and checks what must hold at every moment.
    fn apply(&mut self, step: &CopyStep) {
        let version = self.version();
        let copies = &mut self.observed.copies;
        match step {
            CopyStep::Write { name, credential, live, .. } => {
                let known = copies.seen.get(name);
                let expected =
                    known.map(|known| (known.uid.clone(), known.resource_version.clone()));
                assert_eq!(live, &expected, "written over what was not seen");
                let written = ObservedCopy {
                    uid: format!("uid-{name}").as_str().into(),
                    resource_version: version,
                    ours: true,
                    revision: credential.revision.clone(),
                    intact: true,
                    manager: String::new(),
                };
                copies.seen.insert(name.clone(), written);
            }
            CopyStep::Delete { name, .. } | CopyStep::Release { name, .. } => {
                for account in &self.observed.service_accounts {
                    let said = account.pull_secrets.as_deref().cloned().unwrap_or_default();
                    assert!(!said.attached.contains(name), "{name} goes while it is in use");
                }
                assert!(copies.seen.remove(name).is_some());
            }
            CopyStep::Attach(patch) => {
                let mut accounts = self.observed.service_accounts.iter_mut();
                let account = accounts.find(|a| a.name == patch.account).unwrap();
                assert_eq!(account.resource_version, patch.resource_version);
                account.resource_version = version;
                let (entries, attached) = (patch.entries.clone(), patch.attached.clone());
                let said = PullSecretsOf { entries, attached, too_many: false };
                account.pull_secrets = Some(Box::new(said));
            }
        }
    }

    fn check(&self, wanted: &[PullSecretAsk]) {
        let copies = &self.observed.copies;
        for ask in wanted {
            if let Some(Source::Usable(credential)) = copies.sources.get(&ask.source) {
                let copy = &copies.seen[&ask.target];
                assert!(copy.intact && copy.revision == credential.revision);
                for account in &self.observed.service_accounts {
                    let uses = ask.attach == Attach::AllServiceAccounts
                        || (ask.attach == Attach::DefaultServiceAccount
                            && account.name == "default");
                    let said = account.pull_secrets.as_deref().cloned().unwrap_or_default();
                    assert!(!uses || said.entries.contains(&ask.target), "{said:?}");
                }
            }
        }
        for name in copies.seen.keys() {
            assert!(wanted.iter().any(|ask| ask.target == *name), "{name} is left over");
        }
        self.nobody_lost_an_entry();
    }

    fn nobody_lost_an_entry(&self) {
        for account in &self.observed.service_accounts {
            let said = account.pull_secrets.as_deref().cloned().unwrap_or_default();
            for name in self.theirs.get(&account.name).into_iter().flatten() {
                assert!(said.entries.contains(name), "{} lost {name}", account.name);
                assert!(!said.attached.contains(name), "{name} is not ours");
            }
            let distinct: BTreeSet<_> = said.entries.iter().collect();
            assert_eq!(distinct.len(), said.entries.len());
        }
    }
}

proptest! {
    /// After every round all is as wanted, nothing is left to do, and in the end everything is as people left it. A
    /// round may stop after any step, as when the process ends there.
    #[test]
    fn hardening_5_copies_follow_and_nobody_loses_an_entry(
        acts in proptest::collection::vec((act(), 0..6_usize), 1..20)
    ) {
        let (mut model, mut wanted) = (Model::new(), Vec::new());
        for (act, stop) in &acts {
            model.act(act, &mut wanted);
            let (cut, _) = model.decide(&wanted, DeletionPolicy::Revert);
            for step in cut.steps.iter().take(*stop) {
                model.apply(step);
                model.nobody_lost_an_entry();
            }
            for step in model.decide(&wanted, DeletionPolicy::Revert).0.steps {
                model.apply(&step);
            }
            prop_assert_eq!(model.decide(&wanted, DeletionPolicy::Revert).0.steps, vec![]);
            model.check(&wanted);
        }
        for step in model.decide(&[], DeletionPolicy::Revert).0.steps {
            model.apply(&step);
        }
        prop_assert!(model.observed.copies.seen.is_empty());
        for account in &model.observed.service_accounts {
            let said = account.pull_secrets.as_deref().cloned().unwrap_or_default();
            let theirs = model.theirs.get(&account.name).cloned().unwrap_or_default();
            prop_assert_eq!(said.entries.into_iter().collect::<BTreeSet<_>>(), theirs);
            prop_assert!(said.attached.is_empty());
        }
    }
}

fn with_source(state: Source) -> Model {
    let mut model = Model::new();
    Arc::make_mut(&mut model.observed.copies.sources).insert(source("registry"), state);
    model
}

#[test]
fn hardening_5_nothing_is_copied_from_what_is_not_a_credential() {
    for (state, words) in [
        (Source::Missing, "does not exist"),
        (Source::Unread, "was not read yet"),
        (Source::of(&Uid::from("u"), "Opaque", |_| None), "is of type Opaque"),
        (Source::of(&Uid::from("u"), "kubernetes.io/dockercfg", |_| None), "nothing under"),
        (
            Source::of(&Uid::from("u"), "kubernetes.io/dockercfg", |_| {
                Some(vec![b'a'; 100_000].into())
            }),
            "more than 64 KiB",
        ),
    ] {
        let (decided, problems) =
            with_source(state).decide(&[ask("registry", 0)], DeletionPolicy::Revert);
        assert_eq!(decided.steps, vec![]);
        assert!(problems[0].to_string().contains(words), "{}", problems[0]);
    }
    let (decided, problems) = Model::new().decide(&[ask("registry", 0)], DeletionPolicy::Revert);
    assert!(decided.steps.is_empty() && problems[0].to_string().contains("--pull-secret-sources"));
}

#[test]
fn hardening_5_a_secret_of_somebody_else_is_left_alone() {
    let stranger = ObservedCopy { uid: "u".into(), ..ObservedCopy::default() };
    let mut model = with_source(usable(2));
    let mut taken = model.clone();
    taken.observed.copies.taken.insert("registry".into());
    model.observed.copies.seen.insert("registry".into(), stranger);
    for model in [model, taken] {
        let (decided, problems) = model.decide(&[ask("registry", 0)], DeletionPolicy::Revert);
        assert_eq!(decided.steps, vec![]);
        assert_eq!(problems, [Error::SecretNameTaken { object: "Secret/registry".into() }]);
        assert_eq!(model.decide(&[], DeletionPolicy::Revert).0.steps, vec![], "nor deleted");
    }
}

#[test]
fn a_source_that_goes_leaves_its_copies_in_use() {
    let mut model = with_source(usable(2));
    let wanted = [ask("registry", 0)];
    for step in model.decide(&wanted, DeletionPolicy::Revert).0.steps {
        model.apply(&step);
    }
    Arc::make_mut(&mut model.observed.copies.sources).insert(source("registry"), Source::Missing);
    let (decided, problems) = model.decide(&wanted, DeletionPolicy::Revert);
    assert_eq!((decided.steps, problems.len()), (vec![], 1));
}

#[test]
fn before_the_copies_are_listed_nothing_is_written() {
    let mut model = with_source(usable(2));
    model.observed.copies.known = false;
    let (decided, problems) = model.decide(&[ask("registry", 0)], DeletionPolicy::Revert);
    assert_eq!((decided.steps, problems.len()), (vec![], 1));
}

#[test]
fn a_list_that_is_too_long_is_not_written_and_that_is_said() {
    let mut model = with_source(usable(2));
    let account = &mut model.observed.service_accounts[0];
    let entries = (0..MOST_ENTRIES).map(|n| format!("e{n}")).collect();
    let said = PullSecretsOf { entries, attached: Vec::new(), too_many: true };
    account.pull_secrets = Some(Box::new(said));
    let (decided, problems) = model.decide(&[ask("registry", 0)], DeletionPolicy::Revert);
    assert_eq!(decided.steps.len(), 2, "the copy, and the other account");
    assert_eq!(
        problems,
        [Error::TooManyPullSecrets { account: "builder".into(), most: MOST_ENTRIES }]
    );
}

#[test]
fn the_source_is_used_where_it_is_and_not_copied_onto_itself() {
    let mut model = with_source(usable(2));
    model.observed.name = "platform".into();
    let (decided, problems) = model.decide(&[ask("registry", 0)], DeletionPolicy::Revert);
    assert!(decided.steps.iter().all(|step| matches!(step, CopyStep::Attach(_))));
    assert_eq!((decided.steps.len(), problems), (2, vec![]));
}

#[test]
fn what_is_retained_stays_in_use() {
    let mut model = with_source(usable(2));
    for step in model.decide(&[ask("registry", 0)], DeletionPolicy::Revert).0.steps {
        model.apply(&step);
    }
    let (decided, _) = model.decide(&[], DeletionPolicy::Retain);
    for step in &decided.steps {
        match step {
            CopyStep::Attach(patch) => {
                assert_eq!(
                    (&*patch.entries, &*patch.attached),
                    (&["registry".to_owned()][..], &[][..])
                );
            }
            CopyStep::Release { .. } => {}
            other => panic!("{other:?}"),
        }
    }
    assert_eq!(decided.steps.len(), 3);
}

#[test]
fn no_value_reaches_a_text() {
    let (decided, _) = with_source(usable(2)).decide(&[ask("registry", 0)], DeletionPolicy::Revert);
    assert!(!format!("{decided:?}").contains("value-2"));
}
