//! Listing names. A path is one of the hierarchy: `/prod` finds what is below it, at any depth, and not `/prod-old`.

use aws_sdk_ssm::types::ParameterStringFilter;

use super::{ParameterStore, check_slashes, invalid};
use crate::lane::Lane;
use crate::provider::aws::calls::Page;
use crate::provider::{Filter, Listing, MOST_LISTED, ProviderError, metrics::Operation};

/// More pages than any list within bounds has. AWS may send pages that are nearly empty.
const MOST_PAGES: usize = 4_000;

impl ParameterStore {
    /// The names of all parameters with this path and these tags.
    pub(super) async fn names(
        &self,
        filter: &Filter,
        lane: Lane,
    ) -> Result<Listing, ProviderError> {
        let prefix = self.calls.source.settings().prefix.clone();
        check_tags(filter)?;
        let path = match filter.path.as_str() {
            "" => folder(&prefix),
            path => Some(hierarchy(&self.calls.full_path(path))?),
        };
        let names = match &path {
            Some(path) if filter.tags.is_empty() => match self.below(path, lane).await {
                Err(refusal) if is_by_path(&refusal) => {
                    let filters = filters(&prefix, Some(path), filter)?;
                    match self.described(filters, lane).await {
                        // Of the two rights that are missing, that to the path is the smaller one.
                        Err(ProviderError::Denied { .. }) => return Err(refusal),
                        names => names?,
                    }
                }
                names => names?,
            },
            path => self.described(filters(&prefix, path.as_deref(), filter)?, lane).await?,
        };
        let below = path.as_deref().map(|path| format!("{}/", path.trim_end_matches('/')));
        let is_meant = |name: &String| {
            let is_below = |below: &String| name.starts_with(below);
            name.starts_with(&prefix) && (filter.path.is_empty() || below.iter().all(is_below))
        };
        let meant = names.into_iter().filter(is_meant);
        let keys = meant.map(|mut name| name.split_off(prefix.len())).collect();
        Ok(Listing { prefix, keys })
    }

    /// By the hierarchy; values stay encrypted, as only names are asked for.
    async fn below(&self, path: &str, lane: Lane) -> Result<Vec<String>, ProviderError> {
        let (mut names, mut token) = (Vec::new(), None);
        for _ in 0..MOST_PAGES {
            let request = self
                .client
                .get_parameters_by_path()
                .path(path)
                .recursive(true)
                .with_decryption(false)
                .max_results(10)
                .set_next_token(token.take());
            let send = move || request.clone().send();
            let page = Page { operation: Operation::GetParametersByPath, lane, key: path };
            let page = self.calls.page(page, send).await?;
            names.extend(page.parameters.unwrap_or_default().into_iter().filter_map(|it| it.name));
            token = page.next_token.filter(|token| !token.is_empty());
            if token.is_none() || names.len() > MOST_LISTED {
                break;
            }
        }
        bounded(names, token.is_none())
    }

    /// By their descriptions.
    async fn described(
        &self,
        filters: Vec<ParameterStringFilter>,
        lane: Lane,
    ) -> Result<Vec<String>, ProviderError> {
        let (mut names, mut token) = (Vec::new(), None);
        for _ in 0..MOST_PAGES {
            let request = self
                .client
                .describe_parameters()
                .set_parameter_filters((!filters.is_empty()).then(|| filters.clone()))
                .max_results(50)
                .set_next_token(token.take());
            let send = move || request.clone().send();
            let page = Page { operation: Operation::DescribeParameters, lane, key: "*" };
            let page = self.calls.page(page, send).await?;
            names.extend(page.parameters.unwrap_or_default().into_iter().filter_map(|it| it.name));
            token = page.next_token.filter(|token| !token.is_empty());
            if token.is_none() || names.len() > MOST_LISTED {
                break;
            }
        }
        bounded(names, token.is_none())
    }
}

/// Whether it is the hierarchy that may not be asked. The right to describe is another one.
fn is_by_path(error: &ProviderError) -> bool {
    let by_path = Operation::GetParametersByPath.action();
    matches!(error, ProviderError::Denied { action, .. } if *action == by_path)
}

/// AWS cannot search for a tag without a value, and its descriptions do not have the tags.
fn check_tags(filter: &Filter) -> Result<(), ProviderError> {
    match filter.tags.iter().find(|(_, value)| value.is_empty()) {
        Some((key, _)) => Err(invalid(
            key,
            "Parameter Store cannot find a tag whose value is empty: remove it from find.tags",
        )),
        None => Ok(()),
    }
}

fn bounded(names: Vec<String>, complete: bool) -> Result<Vec<String>, ProviderError> {
    if !complete || names.len() > MOST_LISTED {
        return Err(ProviderError::TooManyListed);
    }
    Ok(names)
}

/// A path as AWS takes it: with a slash in front and none behind.
fn hierarchy(path: &str) -> Result<String, ProviderError> {
    check_slashes(path)?;
    if !path.starts_with('/') {
        let reason = "a path of Parameter Store begins with a slash, for example /prod/db";
        return Err(invalid(path, reason));
    }
    let path = path.trim_end_matches('/');
    Ok(if path.is_empty() { "/".to_owned() } else { path.to_owned() })
}

/// The folder of the hierarchy that holds everything with a prefix. A prefix without a slash in front is in none.
fn folder(prefix: &str) -> Option<String> {
    match prefix.rsplit_once('/') {
        _ if prefix.is_empty() => Some("/".to_owned()),
        Some((folder, _)) if prefix.starts_with('/') && !folder.is_empty() => {
            Some(folder.to_owned())
        }
        Some(_) if prefix.starts_with('/') => Some("/".to_owned()),
        _ => None,
    }
}

/// What AWS sorts out. Its filters of tags are exact. The root needs no filter.
fn filters(
    prefix: &str,
    path: Option<&str>,
    filter: &Filter,
) -> Result<Vec<ParameterStringFilter>, ProviderError> {
    let by_path = path
        .filter(|path| *path != "/")
        .map(|path| ("Path".to_owned(), "Recursive", path.to_owned()));
    let by_prefix = (by_path.is_none() && !prefix.is_empty())
        .then(|| ("Name".to_owned(), "BeginsWith", prefix.to_owned()));
    let by_tag =
        filter.tags.iter().map(|(key, value)| (format!("tag:{key}"), "Equals", value.clone()));
    let made = by_path.into_iter().chain(by_prefix).chain(by_tag).map(|(key, option, value)| {
        let filter = ParameterStringFilter::builder().key(&key).option(option).values(value);
        filter.build().map_err(|_| ProviderError::Invalid {
            key,
            reason: "the filter is incomplete".to_owned(),
        })
    });
    made.collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_prefix_is_in_the_folder_before_its_last_slash() {
        for (prefix, path) in [
            ("", Some("/")),
            ("/", Some("/")),
            ("/prod", Some("/")),
            ("/prod/", Some("/prod")),
            ("/prod/db-", Some("/prod")),
            ("prod", None),
            ("prod/x", None),
        ] {
            assert_eq!(folder(prefix).as_deref(), path, "{prefix}");
        }
    }

    #[test]
    fn a_path_is_one_of_the_hierarchy() {
        for (path, made) in [("/prod/db", "/prod/db"), ("/prod/", "/prod"), ("/", "/")] {
            assert_eq!(hierarchy(path).unwrap(), made);
        }
        let error = hierarchy("/prod//db").unwrap_err().to_string();
        assert!(error.contains("two slashes in a row"), "{error}");
        let error = hierarchy("prod").unwrap_err().to_string();
        assert!(error.contains("begins with a slash"), "{error}");
    }
}
