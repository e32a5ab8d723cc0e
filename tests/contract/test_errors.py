"""The SDK parses every error of the emulator, and libtckms reports the same error for the same failure."""

import base64
import contextlib
import email.utils
import http.client
import http.server
import json
import threading
import time
import unittest.mock
from urllib.parse import urlsplit

from fixture import ContractTest
from tckms import TckmsError
from tencentcloud.common import abstract_client
from tencentcloud.common.exception.tencent_cloud_sdk_exception import TencentCloudSDKException

UNKNOWN_KEY = "23e80852-1e38-11e9-b129-5cb9019b4b01"
AN_HOUR = 3600


class Errors(ContractTest):
    def check(self, code, status_name, through_the_sdk, through_libtckms):
        with self.assertRaises(TencentCloudSDKException) as sdk_failure:
            through_the_sdk()
        self.assertEqual(sdk_failure.exception.code, code)
        self.assertTrue(sdk_failure.exception.message)
        self.assertRegex(sdk_failure.exception.requestId, r"^[0-9a-f-]{36}$")

        with self.assertRaises(TckmsError) as failure:
            through_libtckms()
        self.assertEqual(failure.exception.service_code, code)
        self.assertEqual(failure.exception.status_name, status_name)
        self.assertRegex(failure.exception.request_id, r"^[0-9a-f-]{36}$")
        self.assertIn(failure.exception.request_id, str(failure.exception))
        self.assertNotEqual(failure.exception.request_id, sdk_failure.exception.requestId)

    def check_json(self, code, status_name, action, fields):
        """As check(), with a request that the functions of neither client can make."""
        self.check(
            code,
            status_name,
            lambda: self.sdk.call_json(action, fields),
            lambda: self.libtckms.call(action, json.dumps(fields)),
        )

    def test_unknown_key(self):
        self.check(
            "ResourceUnavailable.CmkNotFound",
            "TCKMS_ERR_CMK_NOT_FOUND",
            lambda: self.sdk.encrypt(UNKNOWN_KEY, b"x"),
            lambda: self.libtckms.encrypt(UNKNOWN_KEY, b"x"),
        )

    def test_malformed_key_id(self):
        self.check(
            "InvalidParameterValue.InvalidKeyId",
            "TCKMS_ERR_INVALID_KEY_ID",
            lambda: self.sdk.encrypt("not-a-key-id", b"x"),
            lambda: self.libtckms.encrypt("not-a-key-id", b"x"),
        )

    def test_disabled_key(self):
        blob = self.libtckms.encrypt(self.other_key_id, b"x")
        self.sdk.call("DisableKey", KeyId=self.other_key_id)
        self.addCleanup(self.sdk.call, "EnableKey", KeyId=self.other_key_id)
        disabled = ("ResourceUnavailable.CmkDisabled", "TCKMS_ERR_CMK_DISABLED")
        self.check(
            *disabled,
            lambda: self.sdk.encrypt(self.other_key_id, b"x"),
            lambda: self.libtckms.encrypt(self.other_key_id, b"x"),
        )
        self.check(*disabled, lambda: self.sdk.decrypt(blob), lambda: self.libtckms.decrypt(blob))
        self.check(
            *disabled,
            lambda: self.sdk.call("GenerateDataKey", KeyId=self.other_key_id, KeySpec="AES_256"),
            lambda: self.libtckms.generate_data_key(self.other_key_id, 32),
        )

    def test_archived_key(self):
        blob = self.libtckms.encrypt(self.other_key_id, b"x")
        self.sdk.call("ArchiveKey", KeyId=self.other_key_id)
        self.addCleanup(self.sdk.call, "CancelKeyArchive", KeyId=self.other_key_id)
        self.check(
            "ResourceUnavailable.CmkArchived",
            "TCKMS_ERR_CMK_ARCHIVED",
            lambda: self.sdk.encrypt(self.other_key_id, b"x"),
            lambda: self.libtckms.encrypt(self.other_key_id, b"x"),
        )
        self.assertEqual(self.libtckms.decrypt(blob), b"x")

    def test_altered_ciphertext(self):
        blob = self.libtckms.encrypt(self.key_id, b"x")
        altered = blob[:-8] + ("A" if blob[-8] != "A" else "B") + blob[-7:]
        for broken in (altered, blob[:-4], "no ciphertext".replace(" ", "-")):
            with self.subTest(broken):
                self.check(
                    "InvalidParameterValue.InvalidCiphertext",
                    "TCKMS_ERR_INVALID_CIPHERTEXT",
                    lambda: self.sdk.decrypt(broken),
                    lambda: self.libtckms.decrypt(broken),
                )

    def test_wrong_signature(self):
        libtckms = self.emulator.libtckms(secret_key="another-secret-key")
        self.addCleanup(libtckms.close)
        self.check(
            "AuthFailure.SignatureFailure",
            "TCKMS_ERR_AUTH_SIGNATURE_FAILURE",
            lambda: self.emulator.sdk(secret_key="another-secret-key").encrypt(self.key_id, b"x"),
            lambda: libtckms.encrypt(self.key_id, b"x"),
        )

    def test_wrong_secret_id(self):
        libtckms = self.emulator.libtckms(secret_id="AKIDunknown")
        self.addCleanup(libtckms.close)
        self.check(
            "AuthFailure.SecretIdNotFound",
            "TCKMS_ERR_AUTH_SECRET_ID_NOT_FOUND",
            lambda: self.emulator.sdk(secret_id="AKIDunknown").encrypt(self.key_id, b"x"),
            lambda: libtckms.encrypt(self.key_id, b"x"),
        )

    def test_expired_timestamp(self):
        an_hour_ago = unittest.mock.Mock(wraps=time, time=lambda: time.time() - AN_HOUR)

        def through_the_sdk():
            with unittest.mock.patch.object(abstract_client, "time", an_hour_ago):
                self.sdk.encrypt(self.key_id, b"x")

        with wrong_clock(self.emulator.endpoint) as endpoint:
            libtckms = self.emulator.libtckms(endpoint=endpoint)
            self.addCleanup(libtckms.close)
            self.check(
                "AuthFailure.SignatureExpire",
                "TCKMS_ERR_AUTH_SIGNATURE_EXPIRED",
                through_the_sdk,
                lambda: libtckms.encrypt(self.key_id, b"x"),
            )

    def test_unknown_parameter(self):
        fields = {"KeyId": self.key_id, "Plaintext": "eA==", "Colour": "red"}
        self.check_json("UnknownParameter", "TCKMS_ERR_UNKNOWN_PARAMETER", "Encrypt", fields)

    def test_missing_parameter(self):
        self.check_json("MissingParameter", "TCKMS_ERR_MISSING_PARAMETER", "Encrypt", {"KeyId": self.key_id})

    def test_parameter_of_another_type(self):
        self.check_json("InvalidParameter", "TCKMS_ERR_INVALID_PARAMETER", "DescribeKey", {"KeyId": 1})

    def test_unknown_action(self):
        self.check_json("InvalidAction", "TCKMS_ERR_INVALID_ACTION", "EncryptTwice", {})

    def test_plaintext_that_is_too_long(self):
        fields = {"KeyId": self.key_id, "Plaintext": base64.b64encode(bytes(4097)).decode()}
        self.check_json("InvalidParameterValue.InvalidPlaintext", "TCKMS_ERR_INVALID_PLAINTEXT", "Encrypt", fields)

    def test_alias_that_is_taken(self):
        self.check_json(
            "InvalidParameterValue.AliasAlreadyExists",
            "TCKMS_ERR_ALIAS_EXISTS",
            "CreateKey",
            {"Alias": "first"},
        )


@contextlib.contextmanager
def wrong_clock(emulator):
    """The endpoint of a relay to the emulator that makes a client sign with the time of an hour ago.

    libtckms has no setting for its clock, but it corrects its clock once, by the Date of a reply that says that the
    signature is expired. The relay sends the first such reply itself, with a wrong Date, and forwards later requests.
    """

    class Relay(http.server.BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        clock_is_wrong = False

        def do_POST(self):
            body = self.rfile.read(int(self.headers["Content-Length"]))
            if Relay.clock_is_wrong:
                connection = http.client.HTTPConnection(urlsplit(emulator).netloc, timeout=10)
                connection.request("POST", self.path, body, dict(self.headers))
                reply = connection.getresponse().read()
                connection.close()
            else:
                Relay.clock_is_wrong = True
                error = {"Code": "AuthFailure.SignatureExpire", "Message": "made up by the relay"}
                reply = json.dumps({"Response": {"Error": error, "RequestId": "relay"}}).encode()
            self.send_response_only(200)
            self.send_header("Date", email.utils.formatdate(time.time() - AN_HOUR, usegmt=True))
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(reply)))
            self.end_headers()
            self.wfile.write(reply)

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Relay)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
