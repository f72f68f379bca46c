"""An Ed25519 signature over the registry, which pins everything else. Needs the extra `sign`."""

from __future__ import annotations

import hashlib
from pathlib import Path

from tinypylm import canonical
from tinypylm.canonical import JsonObject
from tinypylm.errors import CanonicalError, ErrorCode, ProvenanceError, ToolError
from tinypylm.provenance.codes import ProvenanceCode
from tinypylm.provenance.schema import SHA256, choice, integer, record, text
from tinypylm_tools.evidence.folder import Folder
from tinypylm_tools.file_bytes import read_file
from tinypylm_tools.slm_writer import write_atomically

FILE_NAME = "selector.signature"
_DOMAIN = b"slm/registry-signature/v1\n"
_SHAPE = record({
    "kind": choice("registry-signature"), "version": integer(1, 1), "registry_sha256": SHA256, "public_key": SHA256,
    "signature": text(r"[0-9a-f]{128}", "128 lower-case hexadecimal digits"),
})

try:
    from cryptography.exceptions import InvalidSignature
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
except ImportError as error:
    raise ToolError(ErrorCode.PACKAGE_MISSING, "signatures need the package cryptography: pip install "
                    "'tinypylm[sign]'", {"package": "cryptography"}) from error


def new_key(path: Path) -> str:
    """Writes a new private key (64 hexadecimal digits, readable by its owner only); its public key in hex."""
    key = Ed25519PrivateKey.generate()
    try:
        with path.open("x") as file:
            path.chmod(0o600)
            file.write(key.private_bytes_raw().hex() + "\n")
    except OSError as error:
        raise ToolError(ErrorCode.UNWRITABLE_FILE, f"{path} cannot be written ({error.strerror}); an existing key is "
                        "never replaced.", {"file": str(path)}) from error
    return key.public_key().public_bytes_raw().hex()


def sign(folder: Folder, key_file: Path) -> str:
    """Writes the signature of the registry as it is now; the public key in hex. Raises ToolError."""
    try:
        key = Ed25519PrivateKey.from_private_bytes(bytes.fromhex(read_file(key_file).decode().strip()))
    except ValueError as error:
        raise ToolError(ErrorCode.UNUSABLE_CHOICE, f"{key_file} holds no key; expected 64 hexadecimal digits, as "
                        "`tinypylm ledger key` writes them.", {"file": str(key_file)}) from error
    digest = hashlib.sha256(read_file(folder.registry))
    public = key.public_key().public_bytes_raw().hex()
    body: JsonObject = {
        "kind": "registry-signature", "version": 1, "registry_sha256": digest.hexdigest(), "public_key": public,
        "signature": key.sign(_DOMAIN + digest.digest()).hex()}
    write_atomically(folder.root / FILE_NAME, canonical.dumps(body))
    return public


def check(folder: Folder, public_key: str) -> None:
    """The registry is signed by this key. Raises ProvenanceError (SignatureRejected), ToolError."""
    body = _load(folder)
    digest = hashlib.sha256(read_file(folder.registry))
    for key, expected in (("public_key", public_key), ("registry_sha256", digest.hexdigest())):
        if body[key] != expected:
            raise _refusal(f"its {key} is {body[key]}, expected {expected}")
    try:
        Ed25519PublicKey.from_public_bytes(bytes.fromhex(public_key)).verify(
            bytes.fromhex(str(body["signature"])), _DOMAIN + digest.digest())
    except InvalidSignature as error:
        raise _refusal("it does not verify under that key") from error


def _load(folder: Folder) -> JsonObject:
    try:
        body = canonical.loads(read_file(folder.root / FILE_NAME))
        _SHAPE(body, "")
    except (CanonicalError, ProvenanceError) as error:
        raise _refusal(error.message) from error
    assert isinstance(body, dict)
    return body


def _refusal(reason: str) -> ProvenanceError:
    return ProvenanceError(ProvenanceCode.SIGNATURE_REJECTED, f"{FILE_NAME} is refused: {reason}",
                           {"step": "signature"})
