//! Temporary credentials: from the metadata service and from STS, and in calls.

use serde_json::{Value, json};

use crate::support::{Call, Client, Connection, Emulator, Reply, unix_now};

const ROLE_ARN: &str = "qcs::cam::uin/100000000001:roleName/tester";

fn metadata(emulator: &Emulator, role: &str) -> Reply {
    let path = format!("/latest/meta-data/cam/security-credentials/{role}");
    let request = format!("GET {path} HTTP/1.1\r\nHost: metadata.tencentyun.com\r\n\r\n");
    Connection::open(emulator.address()).exchange(request.as_bytes()).unwrap()
}

fn bind(emulator: &Emulator, settings: Value) {
    assert_eq!(emulator.admin("PUT", "credentials", settings).0, 200);
}

/// A client with the credentials in `document`.
fn client_with(emulator: &Emulator, document: &Value) -> Client {
    let text = |name: &str| document[name].as_str().unwrap().to_owned();
    let mut client = Client::new(emulator.address(), &text("TmpSecretId"), &text("TmpSecretKey"));
    client.token = Some(text("Token"));
    client
}

fn sts_call(client: &Client, action: &str, body: &Value) -> Call {
    let call = client.call(action, body).set_header("X-TC-Version", "2018-08-13");
    Call { service: "sts".to_owned(), ..call }
}

fn assume_role(emulator: &Emulator, mut body: Value) -> Result<Value, String> {
    body["RoleSessionName"] = json!("tester-1");
    sts_call(&emulator.client(), "AssumeRole", &body).outcome()
}

#[test]
fn get_caller_identity_returns_the_account() {
    let emulator = Emulator::start(&[]);
    let identity = sts_call(&emulator.client(), "GetCallerIdentity", &json!({})).outcome().unwrap();
    assert_eq!(identity["Arn"], "qcs::cam::uin/100000000001:uin/100000000001");
    assert_eq!((&identity["AccountId"], &identity["Type"]), (&json!("100000000001"), &json!("CAMUser")));
    let unknown = sts_call(&emulator.client(), "GetCallerIdentity", &json!({ "Nonsense": 1 })).outcome();
    assert_eq!(unknown.unwrap_err(), "UnknownParameter");
    let unsigned = Client::new(emulator.address(), "AKIDunknown", "k");
    let refused = sts_call(&unsigned, "GetCallerIdentity", &json!({})).outcome();
    assert_eq!(refused.unwrap_err(), "AuthFailure.SecretIdNotFound");
}

#[test]
fn a_machine_without_a_role_has_no_credentials() {
    let emulator = Emulator::start(&[]);
    assert_eq!([metadata(&emulator, "").status, metadata(&emulator, "tester").status], [404, 404]);
    bind(&emulator, json!({ "role": "tester" }));
    assert_eq!(metadata(&emulator, "").status, 200);
    bind(&emulator, json!({}));
    assert_eq!(metadata(&emulator, "").status, 404);
}

#[test]
fn the_credentials_of_a_cvm_role_sign_calls() {
    let emulator = Emulator::start(&[]);
    bind(&emulator, json!({ "role": "tester" }));
    let name = metadata(&emulator, "");
    assert_eq!((name.header("content-type"), name.body.as_slice()), (Some("text/plain"), &b"tester"[..]));
    assert_eq!(metadata(&emulator, "other").status, 404);

    let document = metadata(&emulator, "tester").json();
    assert_eq!(document["Code"], "Success");
    assert!((document["ExpiredTime"].as_i64().unwrap() - unix_now() - 7200).abs() < 5);
    assert!(document["Expiration"].as_str().unwrap().ends_with('Z'));
    let again = metadata(&emulator, "tester").json();
    assert_ne!(document["TmpSecretId"], again["TmpSecretId"]);
    for document in [document, again] {
        assert_eq!(client_with(&emulator, &document).code("GetRegions", json!({})), "OK");
    }
}

#[test]
fn temporary_credentials_need_their_token_and_expire() {
    let emulator = Emulator::start(&[]);
    bind(&emulator, json!({ "role": "tester", "lifetime_seconds": 2 }));
    let document = metadata(&emulator, "tester").json();
    let client = client_with(&emulator, &document);
    let with_token = |token: Option<&str>| {
        let client = Client { token: token.map(str::to_owned), ..client.clone() };
        client.code("GetRegions", json!({}))
    };
    assert_eq!(with_token(client.token.as_deref()), "OK");
    let failure = "AuthFailure.TokenFailure";
    assert_eq!([with_token(None), with_token(Some("wrong"))], [failure, failure]);
    std::thread::sleep(std::time::Duration::from_secs(3));
    assert_eq!(with_token(client.token.as_deref()), failure);
}

#[test]
fn a_fault_expires_a_token_permanently() {
    let emulator = Emulator::start(&[]);
    bind(&emulator, json!({ "role": "tester" }));
    let client = client_with(&emulator, &metadata(&emulator, "tester").json());
    emulator.set_fault(json!({ "kind": "expire_token" }));
    let codes = [(); 2].map(|()| client.code("GetRegions", json!({})));
    assert_eq!(codes, ["AuthFailure.TokenFailure"; 2]);
    let renewed = client_with(&emulator, &metadata(&emulator, "tester").json());
    assert_eq!(renewed.code("GetRegions", json!({})), "OK");

    emulator.set_fault(json!({ "kind": "expire_token" }));
    let codes = [(); 2].map(|()| emulator.client().code("GetRegions", json!({})));
    assert_eq!(codes, ["AuthFailure.TokenFailure", "OK"], "a long-term identity has no token that could expire");
}

#[test]
fn the_credentials_of_an_assumed_role_sign_calls() {
    let emulator = Emulator::start(&[]);
    let answer = assume_role(&emulator, json!({ "RoleArn": ROLE_ARN, "DurationSeconds": 900 })).unwrap();
    assert!((answer["ExpiredTime"].as_i64().unwrap() - unix_now() - 900).abs() < 5);
    assert!(answer["Expiration"].as_str().unwrap().ends_with('Z'));
    assert_eq!(client_with(&emulator, &answer["Credentials"]).code("GetRegions", json!({})), "OK");

    bind(&emulator, json!({ "lifetime_seconds": 1 }));
    let answer = assume_role(&emulator, json!({ "RoleArn": ROLE_ARN, "DurationSeconds": 900 })).unwrap();
    assert!(answer["ExpiredTime"].as_i64().unwrap() <= unix_now() + 1);
}

#[test]
fn assuming_a_role_checks_signature_and_parameters() {
    let emulator = Emulator::start(&[]);
    let code = |body: Value| assume_role(&emulator, body).unwrap_err();
    assert_eq!(code(json!({})), "MissingParameter");
    assert_eq!(code(json!({ "RoleArn": "tester" })), "ResourceNotFound.RoleNotFound");
    assert_eq!(code(json!({ "RoleArn": ROLE_ARN, "DurationSeconds": 43_201 })), "InvalidParameter");
    assert_eq!(code(json!({ "RoleArn": ROLE_ARN, "Xyz": 1 })), "UnknownParameter");
    let session = |name: &str| {
        let body = json!({ "RoleArn": ROLE_ARN, "RoleSessionName": name });
        sts_call(&emulator.client(), "AssumeRole", &body)
    };
    assert_eq!([session("x").code(), session("a b").code()], ["InvalidParameter", "InvalidParameter"]);
    let mut forged = session("tester");
    forged.client.secret_key.push('x');
    assert_eq!(forged.code(), "AuthFailure.SignatureFailure");
    let other_action = sts_call(&emulator.client(), "GetFederationToken", &json!({}));
    assert_eq!(other_action.code(), "InvalidAction");
    let kms_scope = Call { service: "kms".to_owned(), ..session("tester") };
    assert_eq!(kms_scope.code(), "AuthFailure.SignatureFailure");
}

#[test]
fn a_web_identity_assumes_a_role_without_a_signature() {
    let emulator = Emulator::start(&[]);
    let unsigned = |action: &str, body: &Value| {
        let call = sts_call(&emulator.client(), action, body);
        let reply = Connection::open(emulator.address()).exchange(&call.bytes_with_authorization("SKIP")).unwrap();
        reply.json()["Response"].clone()
    };
    let mut body = json!({
        "ProviderId": "tke",
        "WebIdentityToken": "a.b.c",
        "RoleArn": ROLE_ARN,
        "RoleSessionName": "tester-1",
    });
    let answer = unsigned("AssumeRoleWithWebIdentity", &body);
    assert_eq!(client_with(&emulator, &answer["Credentials"]).code("GetRegions", json!({})), "OK");

    body["WebIdentityToken"] = json!("e30.eyJleHAiOjF9.c2ln");
    let expired = unsigned("AssumeRoleWithWebIdentity", &body);
    assert_eq!(expired["Error"]["Code"], "InvalidParameter.WebIdentityTokenError");
    let others = unsigned("AssumeRole", &json!({ "RoleArn": ROLE_ARN, "RoleSessionName": "tester-1" }));
    assert_eq!(others["Error"]["Code"], "AuthFailure.InvalidAuthorization");
}

#[test]
fn faults_and_the_request_log_cover_metadata_and_sts() {
    let emulator = Emulator::start(&[]);
    bind(&emulator, json!({ "role": "tester" }));
    emulator.set_faults(json!([
        { "action": "Metadata", "fault": { "kind": "status", "status": 500 } },
        { "action": "AssumeRole", "fault": { "kind": "error", "code": "InternalError" } },
    ]));
    assert_eq!([metadata(&emulator, "").status, metadata(&emulator, "tester").status], [500, 200]);
    assert_eq!(assume_role(&emulator, json!({ "RoleArn": ROLE_ARN })).unwrap_err(), "InternalError");
    let requests = emulator.requests();
    let seen: Vec<_> = requests.iter().map(|request| (&request["action"], &request["status"])).collect();
    let expected =
        [("Metadata", 500), ("Metadata", 200), ("AssumeRole", 200)].map(|(name, status)| (json!(name), json!(status)));
    assert_eq!(seen, expected.each_ref().map(|(name, status)| (name, status)));
    assert_eq!(requests[1]["path"], "/latest/meta-data/cam/security-credentials/tester");
}

#[test]
fn the_admin_api_issues_credentials_and_returns_its_settings() {
    let emulator = Emulator::start(&[]);
    let settings = json!({ "role": "tester", "lifetime_seconds": 60 });
    bind(&emulator, settings.clone());
    assert_eq!(emulator.admin("GET", "credentials", Value::Null), (200, settings));
    let issued = emulator.admin("POST", "credentials", Value::Null).1;
    assert!((issued["expired_time"].as_i64().unwrap() - unix_now() - 60).abs() < 5);
    let text = |name: &str| issued[name].as_str().unwrap();
    let mut client = Client::new(emulator.address(), text("secret_id"), text("secret_key"));
    client.token = Some(text("token").to_owned());
    assert_eq!(client.code("GetRegions", json!({})), "OK");
    for bad in
        [json!({ "role": "a/b" }), json!({ "role": "" }), json!({ "rôle": "x" }), json!({ "lifetime_seconds": -1 })]
    {
        assert_eq!(emulator.admin("PUT", "credentials", bad).0, 400);
    }
}

#[test]
fn no_credentials_are_served_on_addresses_that_other_machines_can_reach() {
    let emulator = Emulator::start(&["--listen", "0.0.0.0:0", "--allow-non-loopback-clients"]);
    let port = emulator.address().rsplit_once(':').unwrap().1;
    let mut client = emulator.client();
    client.address = format!("127.0.0.1:{port}");
    let body = json!({ "ProviderId": "x", "WebIdentityToken": "x", "RoleArn": ROLE_ARN, "RoleSessionName": "xx" });
    let call = sts_call(&client, "AssumeRoleWithWebIdentity", &body);
    let reply = Connection::open(&client.address).exchange(&call.bytes_with_authorization("SKIP")).unwrap();
    assert_eq!(reply.json()["Response"]["Error"]["Code"], "UnsupportedOperation");
}
