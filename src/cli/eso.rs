//! Flags of External Secrets Operator's controller that mean nothing here. They are accepted, so that an
//! existing Deployment's arguments keep working, and named once in the log.

use clap::Args;

macro_rules! eso_flags {
    ($($field:ident = $flag:literal, $env:literal;)*) => {
        /// ESO's flags that have no meaning here.
        #[derive(Debug, Default, Args)]
        pub(crate) struct EsoFlags {
            $(
                /// Accepted for compatibility, has no effect
                #[arg(long = $flag, env = $env, help_heading = "Accepted from External Secrets Operator", hide_short_help = true, num_args = 0..=1, default_missing_value = "true", value_name = "VALUE")]
                $field: Option<String>,
            )*
        }

        impl EsoFlags {
            /// All of them, without dashes.
            pub(crate) const ALL: &[&str] = &[$($flag),*];

            /// The flags that were given.
            pub(crate) fn given(&self) -> Vec<&'static str> {
                let mut given = Vec::new();
                $(if self.$field.is_some() { given.push(concat!("--", $flag)); })*
                given
            }
        }
    };
}

eso_flags! {
    // There it is a number of workers, one by default: taken literally it would make Gabion wait.
    concurrent = "concurrent", "GABION_CONCURRENT";
    metrics_auth = "metrics-auth", "GABION_METRICS_AUTH";
    metrics_secure = "metrics-secure", "GABION_METRICS_SECURE";
    metrics_cert_dir = "metrics-cert-dir", "GABION_METRICS_CERT_DIR";
    metrics_cert_name = "metrics-cert-name", "GABION_METRICS_CERT_NAME";
    metrics_key_name = "metrics-key-name", "GABION_METRICS_KEY_NAME";
    client_qps = "client-qps", "GABION_CLIENT_QPS";
    client_burst = "client-burst", "GABION_CLIENT_BURST";
    zap_time_encoding = "zap-time-encoding", "GABION_ZAP_TIME_ENCODING";
    enable_secrets_caching = "enable-secrets-caching", "GABION_ENABLE_SECRETS_CACHING";
    enable_configmaps_caching = "enable-configmaps-caching", "GABION_ENABLE_CONFIGMAPS_CACHING";
    enable_managed_secrets_caching = "enable-managed-secrets-caching", "GABION_ENABLE_MANAGED_SECRETS_CACHING";
    enable_secret_api_read = "enable-secret-api-read-on-cache-mismatch", "GABION_ENABLE_SECRET_API_READ_ON_CACHE_MISMATCH";
    enable_generator_state = "enable-generator-state", "GABION_ENABLE_GENERATOR_STATE";
    enable_extended_metric_labels = "enable-extended-metric-labels", "GABION_ENABLE_EXTENDED_METRIC_LABELS";
    enable_http2 = "enable-http2", "GABION_ENABLE_HTTP2";
    unsafe_allow_generic_targets = "unsafe-allow-generic-targets", "GABION_UNSAFE_ALLOW_GENERIC_TARGETS";
    generator_gc_grace_period = "generator-gc-grace-period", "GABION_GENERATOR_GC_GRACE_PERIOD";
    enable_vault_token_cache = "enable-vault-token-cache", "GABION_ENABLE_VAULT_TOKEN_CACHE";
    vault_token_cache_size = "vault-token-cache-size", "GABION_VAULT_TOKEN_CACHE_SIZE";
    experimental_vault_token_cache = "experimental-enable-vault-token-cache", "GABION_EXPERIMENTAL_ENABLE_VAULT_TOKEN_CACHE";
    experimental_vault_token_cache_size = "experimental-vault-token-cache-size", "GABION_EXPERIMENTAL_VAULT_TOKEN_CACHE_SIZE";
}
