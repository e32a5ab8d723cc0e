//! The rules for every call: signatures, headers, the JSON around the result.

use serde_json::{Value, json};

use crate::support::{Call, Connection, Emulator};

fn good_call(emulator: &Emulator) -> Call {
    emulator.client().call("GenerateRandom", &json!({ "NumberOfBytes": 8 }))
}

#[test]
fn the_reply_to_a_signed_call_has_the_documented_form() {
    let emulator = Emulator::start(&[]);
    let reply = good_call(&emulator).reply();
    assert_eq!(reply.status, 200);
    assert_eq!(reply.header("content-type"), Some("application/json"));
    assert!(reply.header("date").unwrap().ends_with(" GMT"));
    let body = reply.json();
    assert_eq!(body.as_object().unwrap().len(), 1);
    assert_eq!(body["Response"].as_object().unwrap().keys().collect::<Vec<_>>(), ["Plaintext", "RequestId"]);
}

#[test]
fn errors_have_status_200_and_the_documented_message() {
    let emulator = Emulator::start(&[]);
    let mut call = good_call(&emulator);
    call.client.secret_key = "wrong".to_owned();
    let reply = call.reply();
    assert_eq!((reply.status, reply.header("content-type")), (200, Some("application/json")));
    assert_eq!(
        reply.json()["Response"]["Error"],
        json!({
            "Code": "AuthFailure.SignatureFailure",
            "Message": "The provided credentials could not be validated. Please check your signature is correct.",
        })
    );
}

#[test]
fn signatures_of_every_official_sdk_are_accepted() {
    let emulator = Emulator::start(&[]);
    let python = good_call(&emulator);
    let java = Call { content_type: "application/json; charset=utf-8".to_owned(), ..python.clone() };
    let node = Call { signed_host: "127.0.0.1".to_owned(), service: "127".to_owned(), ..python.clone() };
    let cpp = Call {
        host: "kms.tencentcloudapi.com".to_owned(),
        signed_host: "kms.tencentcloudapi.com".to_owned(),
        ..python.clone()
    };
    let documents = Call { signed: vec!["x-tc-action"], ..python.clone() };
    let unsigned_payload = Call { payload: Some(b"UNSIGNED-PAYLOAD".to_vec()), ..python.clone() }
        .set_header("X-TC-Content-SHA256", "UNSIGNED-PAYLOAD");
    let get = Call {
        method: "GET",
        query: "NumberOfBytes=8".to_owned(),
        body: Vec::new(),
        content_type: "application/x-www-form-urlencoded".to_owned(),
        ..python.clone()
    };
    let no_region = python.clone().without_header("X-TC-Region");
    let calls = [python, java, node, cpp, documents, unsigned_payload, get, no_region];
    assert_eq!(calls.map(|call| call.code()), [const { "OK" }; 8]);
}

#[test]
fn a_signature_that_does_not_fit_the_request_is_refused() {
    let emulator = Emulator::start(&[]);
    let good = good_call(&emulator);
    let wrong = [
        Call { payload: Some(b"another body".to_vec()), ..good.clone() },
        Call { payload: Some(b"UNSIGNED-PAYLOAD".to_vec()), ..good.clone() },
        Call { signed_host: "elsewhere".to_owned(), ..good.clone() },
        Call { service: "cvm".to_owned(), ..good.clone() },
        Call { date: "2019-02-25".to_owned(), ..good.clone() },
        Call { signed: vec!["x-not-sent"], ..good.clone() },
    ];
    assert_eq!(wrong.map(|call| call.code()), [const { "AuthFailure.SignatureFailure" }; 6]);
}

#[test]
fn a_timestamp_that_differs_by_more_than_five_minutes_is_expired() {
    let emulator = Emulator::start(&[]);
    let at_offset = |offset| {
        let mut call = good_call(&emulator);
        call.timestamp += offset;
        call.code()
    };
    assert_eq!(at_offset(-301), "AuthFailure.SignatureExpire");
    assert_eq!(at_offset(305), "AuthFailure.SignatureExpire");
    // Within five minutes the call is valid, except just after midnight: the scope still has today's date.
    assert!(["OK", "AuthFailure.SignatureFailure"].contains(&at_offset(-290).as_str()));
}

#[test]
fn unknown_identities_and_unexpected_tokens_are_refused() {
    let emulator = Emulator::start(&[]);
    let mut unknown = good_call(&emulator);
    unknown.client.secret_id.push('x');
    assert_eq!(unknown.code(), "AuthFailure.SecretIdNotFound");

    let mut with_token = good_call(&emulator);
    with_token.client.token = Some("token".to_owned());
    assert_eq!(with_token.code(), "AuthFailure.TokenFailure");
}

#[test]
fn malformed_or_missing_authorization_is_refused() {
    let emulator = Emulator::start(&[]);
    let call = good_call(&emulator);
    let good = call.authorization();
    let malformed = ["", "SKIP", "Bearer x", &good.replace("tc3_request", "aws4_request"), &good.replace(";host", "")];
    for authorization in malformed {
        let bytes = call.bytes_with_authorization(authorization);
        let reply = Connection::open(emulator.address()).exchange(&bytes).unwrap();
        let code = &reply.json()["Response"]["Error"]["Code"];
        assert_eq!(code, "AuthFailure.InvalidAuthorization", "{authorization:?}");
    }
}

#[test]
fn invalid_values_of_action_version_region_and_content_type_are_refused() {
    let emulator = Emulator::start(&[]);
    let good = good_call(&emulator);
    let cases = [
        (good.clone().without_header("X-TC-Action"), "MissingParameter"),
        (good.clone().without_header("X-TC-Version"), "MissingParameter"),
        (good.clone().set_header("X-TC-Action", "NoSuchAction"), "InvalidAction"),
        (good.clone().set_header("X-TC-Action", "encrypt"), "InvalidAction"),
        (good.clone().set_header("X-TC-Action", "CreateWhiteBoxKey"), "ResourceUnavailable.NotPurchased"),
        (good.clone().set_header("X-TC-Version", "2018-01-01"), "NoSuchVersion"),
        (good.clone().set_header("X-TC-Region", "mars"), "UnsupportedRegion"),
        (good.clone().set_header("X-TC-Region", "eu-frankfurt"), "OK"),
        (Call { content_type: "text/plain".to_owned(), ..good.clone() }, "InvalidParameter"),
        (Call { method: "PUT", ..good }, "UnsupportedProtocol"),
    ];
    for (call, expected) in cases {
        assert_eq!(call.code(), expected, "{:?}", call.headers);
    }
}

#[test]
fn the_message_about_an_unknown_version_is_that_of_the_service() {
    let emulator = Emulator::start(&[]);
    let reply = good_call(&emulator).set_header("X-TC-Version", "2018-01-01").reply();
    assert_eq!(
        reply.json()["Response"]["Error"]["Message"],
        "The specified api version=`2018-01-01` does not exist in service=`kms`."
    );
}

#[test]
fn bodies_are_json_objects_of_known_fields_of_the_right_types() {
    let emulator = Emulator::start(&[]);
    let with_body = |body: &[u8]| Call { body: body.to_vec(), ..good_call(&emulator) }.code();
    assert_eq!(with_body(b"{"), "InvalidParameter");
    assert_eq!(with_body(b"[]"), "InvalidParameter");
    assert_eq!(with_body(b"\xff"), "InvalidParameter");
    assert_eq!(with_body(b""), "MissingParameter");
    assert_eq!(with_body(b"{}"), "MissingParameter");
    assert_eq!(with_body(br#"{"NumberOfBytes": "8"}"#), "InvalidParameter");
    assert_eq!(with_body(br#"{"NumberOfBytes": 8.5}"#), "InvalidParameter");
    assert_eq!(with_body(br#"{"NumberOfBytes": -1}"#), "InvalidParameter");
    assert_eq!(with_body(br#"{"NumberOfBytes": 8, "Extra": 1}"#), "UnknownParameter");
}

#[test]
fn every_action_refuses_unknown_fields() {
    let emulator = Emulator::start(&[]);
    let client = emulator.client();
    let key = emulator.key_id();
    let blob = client.expect("Encrypt", json!({ "KeyId": key, "Plaintext": "eA==" }))["CiphertextBlob"].clone();
    let key_only = json!({ "KeyId": key });
    let signing = json!({ "KeyId": key, "Algorithm": "x", "Message": "eA==", "SignatureValue": "eA==" });
    let mut cases = vec![
        ("Encrypt", json!({ "KeyId": key, "Plaintext": "eA==" })),
        ("Decrypt", json!({ "CiphertextBlob": blob })),
        ("ReEncrypt", json!({ "CiphertextBlob": blob })),
        ("GenerateDataKey", json!({ "KeyId": key, "NumberOfBytes": 1 })),
        ("GenerateRandom", json!({ "NumberOfBytes": 1 })),
        ("CreateKey", json!({ "Alias": "new" })),
        ("DescribeKeys", json!({ "KeyIds": [key] })),
        ("EnableKeys", json!({ "KeyIds": [key] })),
        ("DisableKeys", json!({ "KeyIds": [key] })),
        ("ScheduleKeyDeletion", json!({ "KeyId": key, "PendingWindowInDays": 7 })),
        ("UpdateAlias", json!({ "KeyId": key, "Alias": "other" })),
        ("UpdateKeyDescription", json!({ "KeyId": key, "Description": "" })),
        ("VerifyByAsymmetricKey", signing),
        ("SignByAsymmetricKey", json!({ "KeyId": key, "Algorithm": "x", "Message": "eA==" })),
        ("AsymmetricRsaDecrypt", json!({ "KeyId": key, "Algorithm": "x", "Ciphertext": "eA==" })),
        ("AsymmetricSm2Decrypt", json!({ "KeyId": key, "Ciphertext": "eA==" })),
    ];
    for action in ["DescribeKey", "EnableKey", "DisableKey", "ArchiveKey", "CancelKeyArchive", "CancelKeyDeletion"] {
        cases.push((action, key_only.clone()));
    }
    for action in ["EnableKeyRotation", "DisableKeyRotation", "GetKeyRotationStatus", "GetPublicKey"] {
        cases.push((action, key_only.clone()));
    }
    for action in ["ListKeys", "ListKeyDetail", "ListAlgorithms", "GetServiceStatus", "GetRegions"] {
        cases.push((action, json!({})));
    }
    assert_eq!(cases.len(), 31, "every action that is emulated");
    for (action, mut body) in cases {
        body["Xyz"] = json!(1);
        assert_eq!(client.code(action, body), "UnknownParameter", "{action}");
    }
    let state = client.expect("DescribeKey", key_only)["KeyMetadata"]["KeyState"].clone();
    assert_eq!(state, "Enabled", "a refused call changes nothing");
}

#[test]
fn ten_megabytes_are_accepted_and_more_are_refused_with_a_reply() {
    let emulator = Emulator::start(&[]);
    let with_length = |length: usize| {
        let mut body = br#"{"NumberOfBytes": 8}"#.to_vec();
        body.resize(length, b' ');
        Call { body, ..good_call(&emulator) }.code()
    };
    assert_eq!(with_length(10 * 1024 * 1024), "OK");
    assert_eq!(with_length(10 * 1024 * 1024 + 1), "RequestSizeLimitExceeded");
    let long_query = format!("NumberOfBytes=8&x={}", "a".repeat(32 * 1024));
    let get = Call { method: "GET", query: long_query, body: Vec::new(), ..good_call(&emulator) };
    assert_eq!(get.code(), "RequestSizeLimitExceeded");
}

#[test]
fn one_connection_serves_many_calls() {
    let emulator = Emulator::start(&[]);
    let mut connection = Connection::open(emulator.address());
    let ids: std::collections::HashSet<Value> = (0..10)
        .map(|_| connection.exchange(&good_call(&emulator).bytes()).unwrap().json()["Response"]["RequestId"].clone())
        .collect();
    assert_eq!(ids.len(), 10);
}

#[test]
fn the_api_is_at_the_root_only() {
    let emulator = Emulator::start(&[]);
    let request = format!("GET /elsewhere HTTP/1.1\r\nHost: {}\r\n\r\n", emulator.address());
    let reply = Connection::open(emulator.address()).exchange(request.as_bytes()).unwrap();
    assert_eq!(reply.status, 404);
}

/// How an official SDK uses the endpoint that it is given.
struct Sdk {
    name: &'static str,
    /// The service in the credential scope.
    service: fn(&str) -> String,
    /// The host in the canonical request.
    signed_host: fn(&str) -> String,
    /// The Host header.
    host: fn(&str) -> String,
    content_type: &'static str,
    /// Whether the SDK accepts the endpoint.
    accepts: fn(&str) -> bool,
}

fn as_given(endpoint: &str) -> String {
    endpoint.to_owned()
}

fn up_to_the_first_dot(endpoint: &str) -> String {
    endpoint.split('.').next().unwrap().to_owned()
}

fn kms(_: &str) -> String {
    "kms".to_owned()
}

fn any(_: &str) -> bool {
    true
}

/// The hostname of WHATWG URLs.
fn url_hostname(endpoint: &str) -> String {
    let end = endpoint.rfind(':').filter(|&colon| !endpoint[colon..].contains(']')).unwrap_or(endpoint.len());
    endpoint[..end].to_lowercase()
}

/// The host of WHATWG URLs, which leaves out the scheme's default port.
fn url_host(endpoint: &str) -> String {
    let host = endpoint.to_lowercase();
    host.strip_suffix(":80").or(host.strip_suffix(":443")).unwrap_or(&host).to_owned()
}

/// As in their sources: Node common/abstract_client.js and sign.js 4.1.220, PHP Common/AbstractClient.php 3.0.462, Java
/// common/AbstractClient.java 3.0.121, .NET Common/AbstractClient.cs, Ruby client.rb 1.0.68, C++ AbstractClient.cpp, Go
/// common/client.go, Python common/abstract_client.py.
const SDKS: [Sdk; 8] = [
    Sdk {
        name: "Node",
        service: up_to_the_first_dot,
        signed_host: url_hostname,
        host: url_host,
        content_type: "application/json",
        accepts: any,
    },
    Sdk {
        name: "PHP",
        service: up_to_the_first_dot,
        signed_host: as_given,
        host: as_given,
        content_type: "application/json",
        accepts: any,
    },
    Sdk {
        name: "Java",
        service: up_to_the_first_dot,
        signed_host: as_given,
        host: as_given,
        content_type: "application/json; charset=utf-8",
        accepts: any,
    },
    Sdk {
        name: ".NET",
        service: up_to_the_first_dot,
        signed_host: as_given,
        host: as_given,
        content_type: "application/json; charset=utf-8",
        accepts: any,
    },
    Sdk {
        name: "Ruby",
        service: up_to_the_first_dot,
        signed_host: as_given,
        host: as_given,
        content_type: "application/json",
        accepts: any,
    },
    Sdk {
        name: "C++",
        service: up_to_the_first_dot,
        signed_host: as_given,
        host: as_given,
        content_type: "application/json",
        accepts: |endpoint| endpoint.contains('.'),
    },
    Sdk {
        name: "Go",
        service: kms,
        signed_host: as_given,
        host: as_given,
        content_type: "application/json",
        accepts: any,
    },
    Sdk {
        name: "Python",
        service: kms,
        signed_host: as_given,
        host: as_given,
        content_type: "application/json",
        accepts: any,
    },
];

#[test]
fn calls_of_every_official_sdk_are_accepted_at_every_endpoint() {
    let emulator = Emulator::start(&[]);
    let port = emulator.address().rsplit_once(':').unwrap().1;
    let names = ["127.0.0.1", "localhost", "[::1]", "kms", "KMS", "kms.test", "host.docker.internal", "a-b_c"];
    let ports = ["", ":80", ":443", ":8443", &format!(":{port}")].map(str::to_owned);
    for name in names {
        for endpoint in ports.iter().map(|port| format!("{name}{port}")) {
            for sdk in SDKS.iter().filter(|sdk| (sdk.accepts)(&endpoint)) {
                let call = Call {
                    service: (sdk.service)(&endpoint),
                    signed_host: (sdk.signed_host)(&endpoint),
                    host: (sdk.host)(&endpoint),
                    content_type: sdk.content_type.to_owned(),
                    ..good_call(&emulator)
                };
                assert_eq!(call.code(), "OK", "{} with {endpoint}", sdk.name);
            }
        }
    }
    // A service that no SDK derives from this endpoint is refused.
    for (host, service) in
        [("kms.test", "test"), ("localhost:80", "localhost:81"), ("kms:80", "kms:443"), ("kms", "km")]
    {
        let call = Call { service: service.to_owned(), host: host.to_owned(), ..good_call(&emulator) };
        let call = Call { signed_host: host.to_owned(), ..call };
        assert_eq!(call.code(), "AuthFailure.SignatureFailure", "{service} at {host}");
    }
}

fn get(emulator: &Emulator, action: &str, query: &str) -> Call {
    Call {
        method: "GET",
        query: query.to_owned(),
        body: Vec::new(),
        content_type: "application/x-www-form-urlencoded".to_owned(),
        ..emulator.client().call(action, &json!({}))
    }
}

#[test]
fn a_query_string_can_have_nested_lists() {
    let emulator = Emulator::start(&[]);
    let query = "Tags.1.TagKey=b&Tags.1.TagValue=y&Tags.0.TagValue=x&Tags.0.TagKey=a&Alias=tagged";
    let key_id = get(&emulator, "CreateKey", query).outcome().unwrap()["KeyId"].as_str().unwrap().to_owned();
    for (filter, count) in [
        ("TagFilters.0.TagKey=a&TagFilters.0.TagValue.0=w&TagFilters.0.TagValue.1=x", 1),
        ("TagFilters.0.TagKey=a&TagFilters.0.TagValue.0=y", 0),
        ("TagFilters.0.TagKey=b", 1),
    ] {
        assert_eq!(get(&emulator, "ListKeyDetail", filter).outcome().unwrap()["TotalCount"], count, "{filter}");
    }
    let created = |number| emulator.client().expect("CreateKey", json!({ "Alias": format!("k{number}") }));
    let ids: Vec<Value> = (0..12).map(|number| created(number)["KeyId"].clone()).collect();
    let in_odd_order = [0, 1, 10, 11, 2, 9, 3, 8, 4, 7, 5, 6];
    let query = in_odd_order.map(|number| format!("KeyIds.{number}={}", ids[number].as_str().unwrap())).join("&");
    let described = get(&emulator, "DescribeKeys", &query).outcome().unwrap()["KeyMetadatas"].clone();
    let found: Vec<_> = described.as_array().unwrap().iter().map(|key| key["KeyId"].clone()).collect();
    assert_eq!(found, ids);
    for (action, query, code, named) in [
        ("CreateKey", "Alias=x&Tags.0.TagKay=k&Tags.0.TagKey=k&Tags.0.TagValue=v", "UnknownParameter", "Tags.0.TagKay"),
        ("CreateKey", "Alias=x&Tagz.0.TagKey=k&Tagz.0.TagValue=v", "UnknownParameter", "Tagz"),
        ("DescribeKeys", "KeyIds.1=x", "InvalidParameter", "KeyIds"),
        ("DescribeKeys", "KeyIds.0=x&KeyIds.x=y", "UnknownParameter", "KeyIds.x"),
        ("DescribeKey", &format!("KeyId={key_id}&KeyId.0=x"), "InvalidParameter", "KeyId.0"),
        ("DescribeKey", &format!("KeyId..={key_id}"), "InvalidParameter", "KeyId.."),
    ] {
        let error = get(&emulator, action, query).reply().json()["Response"]["Error"].clone();
        assert_eq!(error["Code"], code, "{query}");
        assert!(error["Message"].as_str().unwrap().contains(&format!("`{named}`")), "{query}: {error}");
    }
}

#[test]
fn signature_version_1_is_refused_with_an_explanation() {
    let emulator = Emulator::start(&[]);
    let form = "Action=GenerateRandom&NumberOfBytes=8&Nonce=1&Timestamp=1700000000&SecretId=AKID&Signature=eA%3D%3D";
    for (method, query, body) in [
        ("GET", form.to_owned(), String::new()),
        ("GET", format!("{form}&SignatureMethod=HmacSHA256"), String::new()),
        ("POST", String::new(), form.to_owned()),
        ("POST", String::new(), format!("{form}&SignatureMethod=HmacSHA1")),
    ] {
        let request = format!(
            "{method} /?{query} HTTP/1.1\r\nHost: {}\r\nContent-Type: application/x-www-form-urlencoded\r\n\
             Content-Length: {}\r\n\r\n{body}",
            emulator.address(),
            body.len()
        );
        let reply = Connection::open(emulator.address()).exchange(request.as_bytes()).unwrap();
        let error = reply.json()["Response"]["Error"].clone();
        assert_eq!(error["Code"], "AuthFailure.InvalidAuthorization", "{error}");
        assert!(error["Message"].as_str().unwrap().contains("TC3-HMAC-SHA256"), "{error}");
    }
}
