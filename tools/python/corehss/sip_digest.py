"""SIP and HTTP digest (RFC 2617, 7616, 8760), computed by imstool: hexadecimal digits as a header has them.

    from corehss import sip_digest
    sip_digest.ha1("bob", "atlanta.example.com", "bobspassword")             # what is stored in place of the password
    sip_digest.response("bob", "atlanta.example.com", "bobspassword", "REGISTER", "sips:biloxi.example.com", nonce)
    sip_digest.check(open("register.txt").read(), "bobspassword")["fits"]    # a request as it was copied from a trace

algorithm: MD5, SHA-256, SHA-512-256, each also with -sess. Errors are corehss.Error.
"""
import tempfile

from corehss import _imstool

__all__ = ["check", "digest", "ha1", "ha2", "response"]


def digest(username, realm, password, method=None, uri=None, nonce=None, *, ha1=None, algorithm="MD5", qop=None,
           nc="00000001", cnonce=None, body=b""):
    """All that imstool digest prints, as a dict: ha1, ha2, response, and with _of behind it what was hashed. Without a
    method: ha1 alone. ha1: in place of username, realm and password."""
    words = ["digest", "--algorithm", algorithm]
    secret = b""
    if ha1 is not None:
        words += ["--ha1", ha1]
    else:
        words += ["--username", username, "--realm", realm, "--password-file", "-"]
        secret = password if isinstance(password, bytes) else password.encode()
        if b"\n" in secret or secret.endswith(b"\r"):
            raise _imstool.Error("password: a line end in it", 2)
        secret += b"\n"
    for name, value in (("--method", method), ("--uri", uri), ("--nonce", nonce), ("--qop", qop),
                        ("--nc", nc if qop else None), ("--cnonce", cnonce)):
        if value is not None:
            words += [name, value]
    if qop != "auth-int":
        return _imstool.run(words, secret)[1][0]
    with tempfile.NamedTemporaryFile() as file:
        file.write(body if isinstance(body, bytes) else body.encode())
        file.flush()
        return _imstool.run([*words, "--body", file.name], secret)[1][0]


def ha1(username, realm, password, algorithm="MD5"):
    """H(username:realm:password)."""
    return digest(username, realm, password, algorithm=algorithm)["ha1"]


def ha2(method, uri, algorithm="MD5", qop=None, body=b""):
    """H(method:uri), or with qop="auth-int" H(method:uri:H(body))."""
    return digest("", "", "", method, uri, "", algorithm=algorithm, qop=qop, cnonce="", body=body)["ha2"]


def response(username, realm, password, method, uri, nonce, **more):
    """The response. more: algorithm, qop, nc, cnonce, body, ha1."""
    return digest(username, realm, password, method, uri, nonce, **more)["response"]


def check(request, password=None, *, ha1=None, wordlist=None):
    """Whether the response in a request fits, as a dict: fits, expected, mistakes (field, request, hashed, why), and
    password when it was found in the file wordlist."""
    words = ["digest", "--check", "-"]
    words += ["--wordlist", wordlist] if wordlist else []
    request = request if isinstance(request, bytes) else request.encode()
    if ha1 is not None:
        return _imstool.run([*words, "--ha1", ha1], request)[1][0]
    if password is None:
        return _imstool.run(words, request)[1][0]
    with tempfile.NamedTemporaryFile() as file:
        file.write(password if isinstance(password, bytes) else password.encode())
        file.flush()
        return _imstool.run([*words, "--password-file", file.name], request)[1][0]
