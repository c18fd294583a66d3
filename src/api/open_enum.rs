//! Enumerations that are closed in the schema and open in the reader.
//!
//! The API server refuses values outside the list. Objects that were stored before a schema changed, or by
//! another release, may still hold one: reading must not fail for the whole list of objects because of it,
//! so such a value is kept as `Other` and the controller names it in the object's condition.

/// Declares an enum whose variants are strings, with `as_str`, serde and a schema that lists the variants.
///
/// The first variant is the default.
macro_rules! open_enum {
    ($(#[$meta:meta])* $name:ident { $first:ident = $first_text:literal $(, $variant:ident = $text:literal)* $(,)? }) => {
        $(#[$meta])*
        #[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
        pub enum $name {
            #[doc = concat!("`", $first_text, "`")]
            #[default]
            $first,
            $(
                #[doc = concat!("`", $text, "`")]
                $variant,
            )*
            /// A value that this release does not know.
            Other(String),
        }

        impl $name {
            /// The text in the object.
            pub fn as_str(&self) -> &str {
                match self {
                    Self::$first => $first_text,
                    $(Self::$variant => $text,)*
                    Self::Other(text) => text,
                }
            }
        }

        impl std::fmt::Display for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str(self.as_str())
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

        impl schemars::JsonSchema for $name {
            fn inline_schema() -> bool {
                true
            }
            fn schema_name() -> std::borrow::Cow<'static, str> {
                stringify!($name).into()
            }
            fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
                schemars::json_schema!({"type": "string", "enum": [$first_text $(, $text)*]})
            }
        }
    };
}

pub(crate) use open_enum;

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
