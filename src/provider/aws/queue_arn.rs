//! The ARN of a queue. A URL is not taken: a tenant names no host.

/// Bytes of an ARN that a message shows.
const SHOWN: usize = 128;
/// AWS's limit of a queue's name.
const LONGEST_NAME: usize = 80;

/// A queue of SQS.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct QueueArn {
    pub(crate) partition: String,
    pub(crate) region: String,
    pub(crate) account: String,
    pub(crate) name: String,
}

impl QueueArn {
    /// Reads an ARN; otherwise what is wrong with it and what to do.
    pub fn parse(text: &str) -> Result<Self, String> {
        let shown = &text[..text.floor_char_boundary(SHOWN)];
        let form = "write the ARN of an SQS queue, as in arn:aws:sqs:eu-west-1:123456789012:gabion";
        let parts: Vec<&str> = text.split(':').collect();
        let ["arn", partition, "sqs", region, account, name] = parts[..] else {
            return Err(format!("{shown:?} is not the ARN of a queue; {form}"));
        };
        let is_word = |text: &str, more: &[u8]| {
            !text.is_empty()
                && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || more.contains(&byte))
        };
        if !is_word(partition, b"-") || !is_word(region, b"-") || region.len() > 32 {
            return Err(format!("{shown:?} names no region; {form}"));
        }
        if account.len() != 12 || !account.bytes().all(|byte| byte.is_ascii_digit()) {
            return Err(format!("{shown:?} names no account of twelve digits; {form}"));
        }
        if name.strip_suffix(".fifo").is_some() {
            return Err(format!(
                "{shown:?} is a FIFO queue; events need no order: use a standard queue"
            ));
        }
        if name.len() > LONGEST_NAME || !is_word(name, b"-_") {
            return Err(format!("{shown:?} holds no name of a queue; {form}"));
        }
        let own = str::to_owned;
        let (partition, region, account, name) =
            (own(partition), own(region), own(account), own(name));
        Ok(Self { partition, region, account, name })
    }
}

impl std::fmt::Display for QueueArn {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { partition, region, account, name } = self;
        write!(f, "arn:{partition}:sqs:{region}:{account}:{name}")
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn e1_only_the_arn_of_a_standard_queue_is_taken() {
        let good = "arn:aws-cn:sqs:cn-north-1:123456789012:gabion_events-1";
        assert_eq!(QueueArn::parse(good).unwrap().to_string(), good);
        for bad in [
            "",
            "gabion",
            "https://sqs.eu-west-1.amazonaws.com/123456789012/gabion",
            "arn:aws:sns:eu-west-1:123456789012:gabion",
            "arn:aws:sqs:eu-west-1:123456789012:gabion.fifo",
            "arn:aws:sqs:eu-west-1:1234:gabion",
            "arn:aws:sqs:eu-west-1:123456789012:",
            "arn:aws:sqs:eu-west-1:123456789012:a/b",
            "arn:aws:sqs::123456789012:gabion",
            "arn:aws:sqs:evil.example/:123456789012:gabion",
            "arn:aws:sqs:eu-west-1:123456789012:a:b",
            " arn:aws:sqs:eu-west-1:123456789012:gabion",
        ] {
            let problem = QueueArn::parse(bad).unwrap_err();
            assert!(problem.contains("queue"), "{problem}");
        }
    }

    proptest! {
        #[test]
        fn any_text_is_read_or_refused_with_a_short_message(text in ".{0,300}") {
            match QueueArn::parse(&text) {
                Ok(arn) => prop_assert_eq!(arn.to_string(), text),
                Err(problem) => prop_assert!(problem.len() < 1200),
            }
        }
    }
}
