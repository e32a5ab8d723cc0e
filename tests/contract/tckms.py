"""libtckms through ctypes: the shared library as a program in another language uses it."""

import ctypes
import os
from ctypes import POINTER, byref, c_char_p, c_int, c_int64, c_size_t, c_uint8, c_void_p


class Buffer(ctypes.Structure):
    _fields_ = [("data", POINTER(c_uint8)), ("len", c_size_t)]


_LIBRARY = ctypes.CDLL(os.environ["TCKMS_LIBRARY"])

# The result and the arguments of the functions in tckms.h that are used here.
_PROTOTYPES = {
    "tckms_buffer_free": (None, [POINTER(Buffer)]),
    "tckms_status_name": (c_char_p, [c_int]),
    "tckms_last_error_take": (c_void_p, []),
    "tckms_error_free": (None, [c_void_p]),
    "tckms_error_message": (c_char_p, [c_void_p]),
    "tckms_error_service_code": (c_char_p, [c_void_p]),
    "tckms_error_request_id": (c_char_p, [c_void_p]),
    "tckms_error_attempts": (c_int, [c_void_p]),
    "tckms_last_request_id": (c_char_p, []),
    "tckms_last_key_id": (c_char_p, []),
    "tckms_config_new": (c_void_p, []),
    "tckms_config_free": (None, [c_void_p]),
    "tckms_config_set_region": (c_int, [c_void_p, c_char_p]),
    "tckms_config_set_endpoint": (c_int, [c_void_p, c_char_p]),
    "tckms_config_set_credentials": (c_int, [c_void_p, c_char_p, c_char_p, c_char_p]),
    "tckms_config_set_default_credentials": (c_int, [c_void_p]),
    "tckms_config_set_default_profile_credentials": (c_int, [c_void_p, c_char_p]),
    "tckms_config_set_env_credentials": (c_int, [c_void_p]),
    "tckms_config_set_ca_file": (c_int, [c_void_p, c_char_p]),
    "tckms_client_new": (c_int, [c_void_p, POINTER(c_void_p)]),
    "tckms_client_free": (None, [c_void_p]),
    "tckms_encrypt": (c_int, [c_void_p, c_char_p, c_char_p, c_size_t, c_char_p, POINTER(Buffer)]),
    "tckms_decrypt": (c_int, [c_void_p, c_char_p, c_char_p, c_size_t, c_char_p, POINTER(Buffer)]),
    "tckms_reencrypt": (c_int, [c_void_p, c_char_p, c_char_p, c_size_t, c_char_p, c_char_p, POINTER(Buffer)]),
    "tckms_generate_data_key": (c_int, [c_void_p, c_char_p, c_size_t, c_char_p, POINTER(Buffer), POINTER(Buffer)]),
    "tckms_generate_random": (c_int, [c_void_p, c_char_p, c_size_t]),
    "tckms_public_key": (c_int, [c_void_p, c_char_p, POINTER(Buffer)]),
    "tckms_public_key_pem": (c_int, [c_void_p, c_char_p, POINTER(Buffer)]),
    "tckms_sign": (c_int, [c_void_p, c_char_p, c_int, c_char_p, c_size_t, POINTER(Buffer)]),
    "tckms_sign_digest": (c_int, [c_void_p, c_char_p, c_int, c_char_p, c_size_t, POINTER(Buffer)]),
    "tckms_verify": (c_int, [c_void_p, c_char_p, c_int, c_char_p, c_size_t, c_char_p, c_size_t]),
    "tckms_sm2_digest": (c_int, [c_void_p, c_char_p, c_char_p, c_size_t, c_char_p, c_size_t, POINTER(Buffer)]),
    "tckms_rsa_encrypt": (c_int, [c_void_p, c_char_p, c_int, c_char_p, c_size_t, POINTER(Buffer)]),
    "tckms_rsa_decrypt": (c_int, [c_void_p, c_char_p, c_int, c_char_p, c_size_t, POINTER(Buffer)]),
    "tckms_sm2_decrypt": (c_int, [c_void_p, c_char_p, c_char_p, c_size_t, POINTER(Buffer)]),
    "tckms_import_key_material": (c_int, [c_void_p, c_char_p, c_char_p, c_size_t, c_int64]),
    "tckms_call": (c_int, [c_void_p, c_char_p, c_char_p, POINTER(Buffer)]),
}
for _name, (_result, _arguments) in _PROTOTYPES.items():
    _function = getattr(_LIBRARY, _name)
    _function.restype, _function.argtypes = _result, _arguments


class TckmsError(Exception):
    """The error of a function of the library."""

    def __init__(self, status):
        error = _LIBRARY.tckms_last_error_take()
        self.status_name = _text(_LIBRARY.tckms_status_name(status))
        self.service_code = _text(_LIBRARY.tckms_error_service_code(error))
        self.request_id = _text(_LIBRARY.tckms_error_request_id(error))
        self.attempts = _LIBRARY.tckms_error_attempts(error)
        super().__init__(f"{self.status_name}: {_text(_LIBRARY.tckms_error_message(error))}")
        _LIBRARY.tckms_error_free(error)


def default_credentials(config):
    return _LIBRARY.tckms_config_set_default_credentials(config)


def default_profile_credentials(config):
    return _LIBRARY.tckms_config_set_default_profile_credentials(config, None)


def env_credentials(config):
    return _LIBRARY.tckms_config_set_env_credentials(config)


class Client:
    """A client of the library, which the caller closes. `choose_credentials` replaces the id and the key."""

    def __init__(self, endpoint, region, secret_id=None, secret_key=None, ca_file=None, choose_credentials=None):
        config = _LIBRARY.tckms_config_new()
        self._client = c_void_p()
        try:
            _check(_LIBRARY.tckms_config_set_region(config, _bytes(region)))
            _check(_LIBRARY.tckms_config_set_endpoint(config, _bytes(endpoint)))
            if choose_credentials is None:
                _check(_LIBRARY.tckms_config_set_credentials(config, _bytes(secret_id), _bytes(secret_key), None))
            else:
                _check(choose_credentials(config))
            if ca_file is not None:
                _check(_LIBRARY.tckms_config_set_ca_file(config, _bytes(ca_file)))
            _check(_LIBRARY.tckms_client_new(config, byref(self._client)))
        finally:
            _LIBRARY.tckms_config_free(config)

    def close(self):
        _LIBRARY.tckms_client_free(self._client)
        self._client = None

    def encrypt(self, key_id, plaintext, context=None):
        out = Buffer()
        _check(
            _LIBRARY.tckms_encrypt(self._client, _bytes(key_id), plaintext, len(plaintext), _bytes(context), byref(out))
        )
        return _take(out).decode()

    def decrypt(self, blob, context=None, key_id=None):
        out = Buffer()
        blob = _bytes(blob)
        _check(_LIBRARY.tckms_decrypt(self._client, _bytes(key_id), blob, len(blob), _bytes(context), byref(out)))
        return _take(out)

    def reencrypt(self, blob, key_id=None, source_context=None, destination_context=None):
        out = Buffer()
        blob = _bytes(blob)
        _check(
            _LIBRARY.tckms_reencrypt(
                self._client,
                _bytes(key_id),
                blob,
                len(blob),
                _bytes(source_context),
                _bytes(destination_context),
                byref(out),
            )
        )
        return _take(out).decode()

    def generate_data_key(self, key_id, length, context=None):
        plaintext, ciphertext = Buffer(), Buffer()
        _check(
            _LIBRARY.tckms_generate_data_key(
                self._client, _bytes(key_id), length, _bytes(context), byref(plaintext), byref(ciphertext)
            )
        )
        return _take(plaintext), _take(ciphertext).decode()

    def generate_random(self, length):
        buffer = ctypes.create_string_buffer(length)
        _check(_LIBRARY.tckms_generate_random(self._client, buffer, length))
        return buffer.raw

    def public_key(self, key_id):
        return self._with_key(_LIBRARY.tckms_public_key, key_id)

    def public_key_pem(self, key_id):
        return self._with_key(_LIBRARY.tckms_public_key_pem, key_id)

    def sign(self, key_id, algorithm, message):
        return self._with_key(_LIBRARY.tckms_sign, key_id, algorithm, message, len(message))

    def sign_digest(self, key_id, algorithm, digest):
        return self._with_key(_LIBRARY.tckms_sign_digest, key_id, algorithm, digest, len(digest))

    def verify(self, key_id, algorithm, message, signature):
        """Raises TckmsError when the signature is not valid."""
        arguments = (message, len(message), signature, len(signature))
        _check(_LIBRARY.tckms_verify(self._client, _bytes(key_id), algorithm, *arguments))

    def sm2_digest(self, key_id, message):
        return self._with_key(_LIBRARY.tckms_sm2_digest, key_id, None, 0, message, len(message))

    def rsa_encrypt(self, key_id, padding, plaintext):
        return self._with_key(_LIBRARY.tckms_rsa_encrypt, key_id, padding, plaintext, len(plaintext))

    def rsa_decrypt(self, key_id, padding, ciphertext):
        return self._with_key(_LIBRARY.tckms_rsa_decrypt, key_id, padding, ciphertext, len(ciphertext))

    def sm2_decrypt(self, key_id, ciphertext):
        return self._with_key(_LIBRARY.tckms_sm2_decrypt, key_id, ciphertext, len(ciphertext))

    def import_key_material(self, key_id, material, valid_to=0):
        _check(
            _LIBRARY.tckms_import_key_material(self._client, _bytes(key_id), material, len(material), valid_to)
        )

    def _with_key(self, function, key_id, *arguments):
        out = Buffer()
        _check(function(self._client, _bytes(key_id), *arguments, byref(out)))
        return _take(out)

    def call(self, action, request_json):
        out = Buffer()
        _check(_LIBRARY.tckms_call(self._client, _bytes(action), _bytes(request_json), byref(out)))
        return _take(out).decode()

    @property
    def last_key_id(self):
        return _text(_LIBRARY.tckms_last_key_id())

    @property
    def last_request_id(self):
        return _text(_LIBRARY.tckms_last_request_id())


def _check(status):
    if status != 0:
        raise TckmsError(status)


def _take(buffer):
    content = ctypes.string_at(buffer.data, buffer.len)
    _LIBRARY.tckms_buffer_free(byref(buffer))
    return content


def _bytes(text):
    return None if text is None else text.encode()


def _text(value):
    return None if value is None else value.decode()
