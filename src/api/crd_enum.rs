//! Closed sets of words in a custom resource.
//!
//! The schema lists the words, so the API server refuses any other. The reader still accepts a word that it does not
//! know (an object stored by a newer or older schema), so that one such object cannot break a watch; the controller then
//! refuses the object by name.

/// Declares an enum whose values are fixed words, with serde, `as_str`, `Display` and a schema that lists them.
///
/// `Name { Variant = "word", ... }` reads any other word as `Unknown`. `Name | String { ... }` keeps it as
/// `Other(String)`, for a message that repeats it; its first variant is the default.
macro_rules! crd_enum {
    ($(#[$meta:meta])* $name:ident { $($(#[$doc:meta])* $variant:ident = $text:literal),+ $(,)? }) => {
        $(#[$meta])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        #[derive(serde::Serialize, serde::Deserialize)]
        pub enum $name {
            $($(#[$doc])* #[serde(rename = $text)] $variant,)+
            /// A word that this version does not know.
            #[serde(other)]
            Unknown,
        }

        impl $name {
            /// The word as it is written in the object.
            pub const fn as_str(self) -> &'static str {
                match self {
                    $(Self::$variant => $text,)+
                    Self::Unknown => "Unknown",
                }
            }
        }

        crd_enum!(@words $name [$($text),+]);
    };
    ($(#[$meta:meta])* $name:ident | String { $first:ident = $first_text:literal $(, $variant:ident = $text:literal)* $(,)? }) => {
        $(#[$meta])*
        #[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
        pub enum $name {
            #[default]
            $first,
            $($variant,)*
            /// A word that this version does not know.
            Other(String),
        }

        impl $name {
            /// The word as it is written in the object.
            pub fn as_str(&self) -> &str {
                match self {
                    Self::$first => $first_text,
                    $(Self::$variant => $text,)*
                    Self::Other(text) => text,
                }
            }
        }

        impl From<String> for $name {
            fn from(text: String) -> Self {
                match text.as_str() {
                    $first_text => Self::$first,
                    $($text => Self::$variant,)*
                    _ => Self::Other(text),
                }
            }
        }

        impl serde::Serialize for $name {
            fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.serialize_str(self.as_str())
            }
        }

        impl<'de> serde::Deserialize<'de> for $name {
            fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                String::deserialize(deserializer).map(Self::from)
            }
        }

        crd_enum!(@words $name [$first_text $(, $text)*]);
    };
    (@words $name:ident [$($text:literal),+]) => {
        impl std::fmt::Display for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str(self.as_str())
            }
        }

        impl schemars::JsonSchema for $name {
            fn inline_schema() -> bool {
                true
            }
            fn schema_name() -> std::borrow::Cow<'static, str> {
                stringify!($name).into()
            }
            fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
                schemars::json_schema!({ "type": "string", "enum": [$($text),+] })
            }
        }
    };
}

pub(crate) use crd_enum;

#[cfg(test)]
mod tests {
    use crate::api::external_secrets::references::DecodingStrategy;

    #[test]
    fn an_unknown_value_survives_reading_and_writing() -> Result<(), serde_json::Error> {
        let text = r#"["Auto","Base64","mauve"]"#;
        let read: Vec<DecodingStrategy> = serde_json::from_str(text)?;
        let other = DecodingStrategy::Other("mauve".into());
        assert_eq!(read, [DecodingStrategy::Auto, DecodingStrategy::Base64, other]);
        assert_eq!(serde_json::to_string(&read)?, text);
        Ok(())
    }
}
