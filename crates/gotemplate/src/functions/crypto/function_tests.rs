//! Calls whose results no fixture can hold: random ones, those that reach a bound, and what damaged files do.

use super::{
    certificate::Certificate,
    der, oid, pem,
    testing::{Counting, bytes, call, call_within, called, text},
};
use crate::{
    Data, Delimiters, ErrorKind, Failure, Limits, List, Template, Type, Value, value::UintType,
};

fn list(items: &[&str]) -> Value {
    Value::List(List::new(&Type::Any, items.iter().map(text).collect()))
}

/// Certificate and key of what a function returned.
fn pair(value: &Value) -> [Vec<u8>; 2] {
    let Value::Object(object) = value else { panic!("no certificate") };
    let fields = object.fields();
    assert_eq!(fields.iter().map(|(name, _)| *name).collect::<Vec<_>>(), ["Cert", "Key"]);
    [bytes(&fields[0].1), bytes(&fields[1].1)]
}

fn failure(result: Result<Value, Failure>) -> Failure {
    match result {
        Err(failure) => failure,
        Ok(value) => panic!("a {} instead of a failure", value.type_name()),
    }
}

#[test]
fn a_line_for_htpasswd_is_sha1_or_else_bcrypt() {
    let line = |algorithm: &str| {
        let line = called("htpasswd", &[b"user", b"geheim", algorithm.as_bytes()]).unwrap();
        String::from_utf8(line).unwrap()
    };
    assert_eq!(line("sha"), "user:{SHA}kGByAB793z4R5tK1eC9Hd/4Dhzk=");
    for algorithm in ["bcrypt", "", "SHA"] {
        assert!(line(algorithm).starts_with("user:$2a$10$"), "{algorithm}");
        assert_eq!(line(algorithm).len(), "user:".len() + 60);
    }
}

#[test]
fn a_user_with_a_colon_is_told_so_in_the_output() {
    let got = called("htpasswd", &[b"a:b", b"geheim", b"sha"]).unwrap();
    assert_eq!(got, b"invalid username: a:b");
}

#[test]
fn a_password_that_is_too_long_for_bcrypt_is_told_so_in_the_output() {
    let got = String::from_utf8(called("bcrypt", &[&[b'x'; 73]]).unwrap()).unwrap();
    assert!(got.ends_with("bcrypt: password length exceeds 72 bytes"), "{got}");
    assert!(called("bcrypt", &[&[b'x'; 72]]).unwrap().starts_with(b"$2a$10$"));
    assert!(called("bcrypt", &[b""]).unwrap().starts_with(b"$2a$10$"));
}

#[test]
fn no_more_passwords_are_hashed_than_the_bound_allows() {
    let limits = Limits { slow: 0, ..Limits::default() };
    for (name, args) in [("bcrypt", vec![text("a")]), ("genPrivateKey", vec![text("rsa")])] {
        let failure = failure(call_within(&limits, name, &args));
        assert_eq!(failure.kind, ErrorKind::Bound, "{name}");
        assert!(failure.message.contains("slow operations"), "{}", failure.message);
    }
    let derivation = [Value::Uint(UintType::Uint32, 1), text("pin"), text(""), text(""), text("")];
    assert_eq!(failure(call_within(&limits, "derivePassword", &derivation)).kind, ErrorKind::Bound);
}

#[test]
fn an_authority_with_a_certificate_and_a_key_of_4096_bits_fit_the_bound_and_one_more_does_not() {
    let honest = r#"{{ $ca := genCA "ca" 365 }}{{ $cert := genSignedCert "a.example" nil (list "a.example") 365 $ca }}
        {{- $ca.Cert }}{{ $cert.Cert }}{{ $cert.Key }}{{ genPrivateKey "rsa" }}"#;
    let rendered = |text: &str| {
        let template = Template::parse("t", text.as_bytes(), &Delimiters::default()).unwrap();
        template.render(&Data(Value::Nil), &mut Counting::default(), &Limits::default())
    };
    assert!(rendered(honest).unwrap().starts_with(b"-----BEGIN CERTIFICATE-----"));
    let error = rendered(&format!("{honest}{{{{ bcrypt \"a\" }}}}")).unwrap_err();
    assert_eq!(error.kind, ErrorKind::Bound);
    assert!(error.message.contains("bound on slow operations such as keys and hashes (20)"));
}

#[test]
fn random_bytes_are_base64_of_what_the_source_gives() {
    assert_eq!(bytes(&call("randBytes", &[Value::int(4)]).unwrap()), b"AAECAw==");
    assert_eq!(bytes(&call("randBytes", &[Value::int(0)]).unwrap()), b"");
    assert_eq!(failure(call("randBytes", &[Value::int(-1)])).kind, ErrorKind::Function);
    for count in [8 << 20, i64::MAX] {
        assert_eq!(failure(call("randBytes", &[Value::int(count)])).kind, ErrorKind::Bound);
    }
}

#[test]
fn a_uuid_says_that_it_is_random() {
    assert_eq!(called("uuidv4", &[]).unwrap(), b"00010203-0405-4607-8809-0a0b0c0d0e0f");
}

#[test]
fn what_is_encrypted_with_aes_is_decrypted_again() {
    for plain in [&b""[..], b"a", b"sixteen bytes...", &[0xff; 100]] {
        for password in [&b""[..], b"geheim", &[b'p'; 64]] {
            let encrypted = called("encryptAES", &[password, plain]).unwrap();
            assert_eq!(called("decryptAES", &[password, &encrypted]).unwrap(), plain);
        }
    }
    let large = vec![b'x'; 5 << 20];
    assert_eq!(failure(call("encryptAES", &[text("a"), text(large)])).kind, ErrorKind::Bound);
}

#[test]
fn new_keys_come_in_the_form_of_their_kind() {
    let labels = [
        ("", "RSA PRIVATE KEY"),
        ("rsa", "RSA PRIVATE KEY"),
        ("ecdsa", "EC PRIVATE KEY"),
        ("ed25519", "PRIVATE KEY"),
    ];
    for (kind, label) in labels {
        let block = pem::decode(&called("genPrivateKey", &[kind.as_bytes()]).unwrap()).0.unwrap();
        assert_eq!(block.kind, label.as_bytes(), "{kind}");
    }
    assert_eq!(called("genPrivateKey", &[b"x"]).unwrap(), b"Unknown type x");
    let refused = called("genPrivateKey", &[b"dsa"]).unwrap_err();
    assert!(refused.message.contains("DSA"), "{}", refused.message);
}

#[test]
fn a_key_that_is_larger_than_the_bound_is_not_made() {
    let limits = Limits { key_bits: 2048, ..Limits::default() };
    let failure = failure(call_within(&limits, "genPrivateKey", &[text("rsa")]));
    assert_eq!(failure.kind, ErrorKind::Bound);
    assert!(failure.message.contains("bits of an RSA key (2048)"), "{}", failure.message);
    assert!(call_within(&limits, "genCA", &[text("ca"), Value::int(1)]).is_ok());
}

#[test]
fn a_certificate_is_signed_by_the_authority_that_is_given() {
    let authority = call("genCA", &[text("my ca"), Value::int(365)]).unwrap();
    let [root, _] = pair(&authority);
    let args =
        [text("web"), list(&["10.0.0.1"]), list(&["web.example"]), Value::int(90), authority];
    let [leaf, key] = pair(&call("genSignedCert", &args).unwrap());
    assert!(key.starts_with(b"-----BEGIN RSA PRIVATE KEY-----"));
    let names = call("certSANs", &[text(&leaf)]).unwrap();
    let Value::List(names) = names else { panic!("no list") };
    assert_eq!(names.iter().map(bytes).collect::<Vec<_>>(), [&b"web.example"[..], b"10.0.0.1"]);
    let blocks = [&root, &leaf].map(|text| pem::decode(text).0.unwrap());
    let [root_parsed, leaf_parsed] =
        [0, 1].map(|at: usize| Certificate::parse(&blocks[at].bytes).unwrap());
    assert_eq!(leaf_parsed.authority_key, Some(root_parsed.own_key));
    assert!(root_parsed.is_root() && !leaf_parsed.is_root());
    assert_eq!(called("filterCertChain", &[b"root", &root]).unwrap(), root);
}

#[test]
fn a_certificate_that_signs_itself_has_no_authority() {
    let args = [text("web"), list(&[]), list(&["a.example", "b.example"]), Value::int(1)];
    let [certificate, key] = pair(&call("genSelfSignedCert", &args).unwrap());
    // It can be put into a PKCS#12 file and taken out again.
    let file = called("pemToPkcs12Pass", &[&certificate, &key, b"geheim"]).unwrap();
    let file = super::from_base64(&file).unwrap();
    assert_eq!(called("pkcs12certPass", &[b"geheim", &file]).unwrap(), certificate);
}

#[test]
fn lists_of_names_hold_texts_only() {
    let numbers = Value::List(List::new(&Type::Any, vec![Value::int(1)]));
    for (addresses, names) in [(numbers.clone(), list(&[])), (list(&[]), numbers)] {
        let args = [text("web"), addresses, names, Value::int(1)];
        let failure = failure(call("genSelfSignedCert", &args));
        assert!(failure.message.contains("not a string"), "{}", failure.message);
    }
    let nil = || Value::List(List::nil(&Type::Any));
    assert!(call("genSelfSignedCert", &[text("web"), nil(), nil(), Value::int(1)]).is_ok());
}

#[test]
fn a_validity_beyond_the_calendar_is_refused() {
    for days in [i64::MAX, i64::MIN, 100_000_000, 4_000_000] {
        assert_eq!(
            failure(call("genCA", &[text("ca"), Value::int(days)])).kind,
            ErrorKind::Function
        );
    }
}

/// A file whose MAC asks for so many iterations.
fn file_with_mac(iterations: u64) -> Vec<u8> {
    let algorithm = der::sequence(&[&der::oid(oid::SHA256)]);
    let info = der::sequence(&[&algorithm, &der::octets(&[0; 32])]);
    let mac = der::sequence(&[&info, &der::octets(b"salt"), &der::count(iterations)]);
    file(&der::sequence(&[]), &mac)
}

/// A file without MAC whose content is encrypted with so many iterations.
fn file_with_encryption(iterations: u64) -> Vec<u8> {
    let parameters = der::sequence(&[&der::octets(b"salt"), &der::count(iterations)]);
    let derivation = der::sequence(&[&der::oid(oid::PBKDF2), &parameters]);
    let scheme = der::sequence(&[&der::oid(oid::AES_256_CBC), &der::octets(&[0; 16])]);
    let algorithm =
        der::sequence(&[&der::oid(oid::PBES2), &der::sequence(&[&derivation, &scheme])]);
    let encrypted = der::element(der::implicit(0), &[&[0; 16]]);
    let info = der::sequence(&[&der::oid(oid::DATA), &algorithm, &encrypted]);
    let data = der::sequence(&[&der::count(0), &info]);
    let content = der::element(der::context(0), &[&data]);
    let safe = der::sequence(&[&der::oid(oid::ENCRYPTED_DATA), &content]);
    file(&der::sequence(&[&safe]), &[])
}

fn file(safes: &[u8], mac: &[u8]) -> Vec<u8> {
    let content = der::element(der::context(0), &[&der::octets(safes)]);
    let content = der::sequence(&[&der::oid(oid::DATA), &content]);
    der::sequence(&[&der::count(3), &content, mac]).to_vec()
}

#[test]
fn a_file_that_asks_for_endless_iterations_is_refused_before_they_run() {
    for iterations in [1_000_000_000, u64::MAX] {
        for file in [file_with_mac(iterations), file_with_encryption(iterations)] {
            let failure = failure(call("pkcs12cert", &[text(file)]));
            assert_eq!(failure.kind, ErrorKind::Bound);
            assert!(failure.message.contains("slow operations"), "{}", failure.message);
        }
    }
}

#[test]
fn a_file_that_does_not_open_says_that_the_password_may_be_wrong() {
    for file in [file_with_mac(1), file_with_mac(60_000), file_with_encryption(0)] {
        let failure = failure(call("pkcs12cert", &[text(file)]));
        assert_eq!(failure.kind, ErrorKind::Function);
        assert!(failure.message.contains("password is wrong"), "{}", failure.message);
    }
}

#[test]
fn what_is_still_base64_is_named_as_the_likely_cause() {
    let failure = failure(call("pkcs12key", &[text("MIIKAQIBAzCCCbEGCSqGSIb3DQEHAaCCCaIE")]));
    assert!(failure.message.contains("b64dec"), "{}", failure.message);
}

#[test]
fn damaged_files_are_errors_and_nothing_worse() {
    let limits = Limits::default();
    for name in ["go Passwordless", "openssl, no MAC"] {
        let file = super::fixture_tests::file(name);
        assert!(call("pkcs12key", &[text(&file)]).is_ok(), "{name}");
        for at in 0..file.len() {
            for cut in
                [&file[..at], &[&file[..at], &[file[at] ^ 0x55], &file[at + 1..]].concat()[..]]
            {
                // Some bytes matter to nobody; what must not happen is a panic or endless work.
                let _ = call_within(&limits, "pkcs12key", &[text(cut)]);
            }
        }
    }
}

#[test]
fn damaged_certificates_and_keys_are_errors_and_nothing_worse() {
    for name in ["names.crt", "subject.crt", "rsa.key", "p256.sec1", "ed25519.key"] {
        let whole = super::fixture_tests::text_of(name);
        let block = pem::decode(whole.as_bytes()).0.unwrap();
        let label = str::from_utf8(&block.kind).unwrap();
        for at in 0..block.bytes.len() {
            let mut damaged = block.bytes.to_vec();
            damaged[at] = damaged[at].wrapping_add(0x51);
            let damaged = text(pem::text(label, &damaged).as_slice());
            let _ = call("certSANs", std::slice::from_ref(&damaged));
            let _ = call("pemTruststoreToPKCS12", std::slice::from_ref(&damaged));
            let _ = call("rsaDecrypt", &[text("RSA-OAEP"), text(""), text(""), damaged]);
        }
    }
}

#[test]
fn a_crowd_of_certificates_is_bounded() {
    let one = super::fixture_tests::text_of("other.crt");
    let many = one.repeat(1001);
    let failure = failure(call("filterCertChain", &[text("leaf"), text(many)]));
    assert!(matches!(failure.kind, ErrorKind::Function | ErrorKind::Bound), "{}", failure.message);
}

/// A file whose MAC derives a key of 128 bytes with HMAC-SHA1: seven blocks, each with so many iterations.
fn file_with_pbmac1(iterations: u64) -> Vec<u8> {
    let parameters =
        der::sequence(&[&der::octets(b"salt"), &der::count(iterations), &der::count(128)]);
    let derivation = der::sequence(&[&der::oid(oid::PBKDF2), &parameters]);
    let function = der::sequence(&[&der::oid(oid::HMAC_SHA1)]);
    let algorithm =
        der::sequence(&[&der::oid(oid::PBMAC1), &der::sequence(&[&derivation, &function])]);
    let info = der::sequence(&[&algorithm, &der::octets(&[0; 20])]);
    let mac = der::sequence(&[&info, &der::octets(b"salt"), &der::count(1)]);
    file(&der::sequence(&[]), &mac)
}

/// Finding S7: PBMAC1 was charged for the iterations of one block.
#[test]
fn pbmac1_is_charged_for_every_block_of_its_key() {
    let limits = Limits { slow: 0, ..Limits::default() };
    let failed = |iterations| {
        failure(call_within(&limits, "pkcs12cert", &[text(file_with_pbmac1(iterations))]))
    };
    assert_eq!(failed(2000).kind, ErrorKind::Function, "the password is wrong");
    assert_eq!(failed(9999).kind, ErrorKind::Bound);
}

/// Finding S7: comparing two certificates of 480 KB was one step.
#[test]
fn comparison_of_objects_is_charged_by_size() {
    let [certificate, key] = ["p256.crt", "p256.sec1"].map(super::fixture_tests::text_of);
    let data: Data = [("crt", certificate), ("key", key)].into_iter().collect();
    let rendered = |times: usize| {
        let text = format!(
            "{{{{ $crt := print $.crt (repeat 300000 \"a\") | b64enc }}}}\
             {{{{ $a := buildCustomCert $crt (b64enc $.key) }}}}\
             {{{{ $b := buildCustomCert $crt (b64enc $.key) }}}}\
             {{{{ range until {times} }}}}{{{{ if ne $a $b }}}}x{{{{ end }}}}{{{{ end }}}}"
        );
        let template = Template::parse("t", text.as_bytes(), &Delimiters::default()).unwrap();
        template.render(&data, &mut Counting::default(), &Limits::default())
    };
    assert_eq!(*rendered(2).unwrap(), b"");
    assert_eq!(rendered(100).unwrap_err().kind, ErrorKind::Bound);
}

/// Its relative: a search in a map compares keys, however long they are.
#[test]
fn deep_comparison_is_charged_for_long_keys() {
    let data: Data = [("key", "k".repeat(1 << 19))].into_iter().collect();
    let text = "{{ $a := dict $.key 1 }}{{ $b := dict (print $.key \"\") 1 }}\
                {{ range until 100 }}{{ if not (deepEqual $a $b) }}x{{ end }}{{ end }}";
    let template = Template::parse("t", text.as_bytes(), &Delimiters::default()).unwrap();
    let rendered = template.render(&data, &mut Counting::default(), &Limits::default());
    assert_eq!(rendered.unwrap_err().kind, ErrorKind::Bound);
}
