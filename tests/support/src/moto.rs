//! AWS, as moto plays it: good for meaning, not for speed, limits or signatures.

use std::net::TcpStream;
use std::time::{Duration, Instant};

use aws_config::{BehaviorVersion, Region, SdkConfig};
use aws_credential_types::Credentials;
use tempfile::TempDir;

use crate::{Failure, Leash, Result, python_environment};

/// How long moto may take to listen; it takes about a second.
const PATIENCE: Duration = Duration::from_mins(1);

/// A running moto server with nothing in it. It ends when this is dropped.
pub struct Moto {
    _leash: Leash,
    dir: TempDir,
    url: String,
}

impl Moto {
    /// The region that [`Self::environment`] and the clients here use.
    pub const REGION: &str = "eu-central-1";

    /// Starts one on a port that the kernel picks.
    pub fn start() -> Result<Self> {
        let dir = tempfile::tempdir()?;
        let log = dir.path().join("moto.log");
        let python = python_environment()?.join("bin/python");
        let mut command = Leash::exec(&python, &dir.path().join("pid"), &log)?;
        command.args(["-u", "-m", "moto.server", "-H", "127.0.0.1", "-p", "0"]);
        command.env_remove("PYTHONPATH").env_remove("PYTHONHOME");
        let mut leash = Leash::start(&mut command)?;
        let deadline = Instant::now() + PATIENCE;
        loop {
            let text = std::fs::read_to_string(&log)?;
            let address = text.lines().find_map(|line| line.split_once("Running on http://"));
            if let Some((_, address)) = address
                && TcpStream::connect(address.trim()).is_ok()
            {
                let url = format!("http://{}", address.trim());
                return Ok(Self { _leash: leash, dir, url });
            }
            if leash.ended()?.is_some() || Instant::now() > deadline {
                return Err(Failure::new(format!("moto does not listen; it says:\n{text}")));
            }
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    /// Where it listens, `http://127.0.0.1:PORT`.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// One line for each request that it answered.
    pub fn log(&self) -> Result<String> {
        Ok(std::fs::read_to_string(self.dir.path().join("moto.log"))?)
    }

    /// The standard environment variables that lead an AWS client here, with some credentials.
    pub fn environment(&self) -> Vec<(String, String)> {
        [
            ("AWS_ENDPOINT_URL", self.url()),
            ("AWS_REGION", Self::REGION),
            ("AWS_ACCESS_KEY_ID", "AKIAEXAMPLE"),
            ("AWS_SECRET_ACCESS_KEY", "example"),
            ("AWS_EC2_METADATA_DISABLED", "true"),
        ]
        .map(|(name, value)| (name.to_owned(), value.to_owned()))
        .to_vec()
    }

    /// A client of its Secrets Manager, to put there what a test needs.
    pub async fn secrets_manager(&self) -> aws_sdk_secretsmanager::Client {
        aws_sdk_secretsmanager::Client::new(&self.config().await)
    }

    /// A client of its Parameter Store.
    pub async fn parameter_store(&self) -> aws_sdk_ssm::Client {
        aws_sdk_ssm::Client::new(&self.config().await)
    }

    /// A client of its queues.
    pub async fn queues(&self) -> aws_sdk_sqs::Client {
        aws_sdk_sqs::Client::new(&self.config().await)
    }

    async fn config(&self) -> SdkConfig {
        aws_config::defaults(BehaviorVersion::latest())
            .region(Region::from_static(Self::REGION))
            .endpoint_url(&self.url)
            .credentials_provider(Credentials::new("AKIAEXAMPLE", "example", None, None, "test"))
            .load()
            .await
    }
}
