//! Where AWS is: read from the variables that External Secrets Operator and the SDK know.

use crate::provider::aws::Endpoints;

/// ESO's variables first, then the SDK's own: the one of the service before the one for all.
pub(super) fn endpoints(variable: impl Fn(&str) -> Option<String>) -> Endpoints {
    let first = |names: [&str; 3]| {
        names
            .iter()
            .filter_map(|name| variable(name))
            .map(|url| url.trim().to_owned())
            .find(|url| !url.is_empty())
    };
    let is_true =
        |name| variable(name).is_some_and(|text| text.trim().eq_ignore_ascii_case("true"));
    Endpoints {
        secrets_manager: first([
            "AWS_SECRETSMANAGER_ENDPOINT",
            "AWS_ENDPOINT_URL_SECRETS_MANAGER",
            "AWS_ENDPOINT_URL",
        ]),
        parameter_store: first(["AWS_SSM_ENDPOINT", "AWS_ENDPOINT_URL_SSM", "AWS_ENDPOINT_URL"]),
        sts: first(["AWS_STS_ENDPOINT", "AWS_ENDPOINT_URL_STS", "AWS_ENDPOINT_URL"]),
        queues: first(["AWS_SQS_ENDPOINT", "AWS_ENDPOINT_URL_SQS", "AWS_ENDPOINT_URL"]),
        registry: first(["AWS_ECR_ENDPOINT", "AWS_ENDPOINT_URL_ECR", "AWS_ENDPOINT_URL"]),
        fips: is_true("AWS_USE_FIPS_ENDPOINT"),
        dual_stack: is_true("AWS_USE_DUALSTACK_ENDPOINT"),
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use super::*;

    #[test]
    fn the_endpoint_of_a_service_comes_before_the_one_for_all() {
        let variables = HashMap::from([
            ("AWS_ENDPOINT_URL", "http://all"),
            ("AWS_ENDPOINT_URL_SECRETS_MANAGER", "http://sdk"),
            ("AWS_STS_ENDPOINT", " http://eso\n"),
            ("AWS_SSM_ENDPOINT", "http://parameters"),
            ("AWS_SECRETSMANAGER_ENDPOINT", " "),
        ]);
        let endpoints = endpoints(|name| variables.get(name).map(|url| (*url).to_owned()));
        assert_eq!(endpoints.secrets_manager.as_deref(), Some("http://sdk"));
        assert_eq!(endpoints.parameter_store.as_deref(), Some("http://parameters"));
        assert_eq!(endpoints.sts.as_deref(), Some("http://eso"));
    }

    #[test]
    fn without_variables_the_sdk_finds_aws_itself() {
        assert_eq!(endpoints(|_| None), Endpoints::default());
    }
}
