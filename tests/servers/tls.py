"""Certificates for servers on loopback, by a certificate authority that nobody knows."""

import ssl
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from temporary_process import LOOPBACK


@dataclass(frozen=True, slots=True, kw_only=True)
class PrivateCa:
    """A certificate authority of our own and a server's certificate that it has signed.

    Attributes:
        bundle: The authority's certificate, PEM.
        certificate: The server's certificate and its key, PEM.
        context: For the server.
    """

    bundle: Path
    certificate: Path
    context: ssl.SSLContext


def make_private_ca(folder: Path, *, valid_until: datetime | None = None) -> PrivateCa:
    """Make an authority and a certificate for a server on loopback.

    Args:
        folder: An existing one, for the files.
        valid_until: End of the server's certificate; tomorrow if None.
    """
    authority_key, server_key = ec.generate_private_key(ec.SECP256R1()), ec.generate_private_key(ec.SECP256R1())
    authority = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "a CA that nobody knows")])
    ca_only, no_ca = x509.BasicConstraints(ca=True, path_length=None), x509.BasicConstraints(ca=False, path_length=None)
    tomorrow = datetime.now(UTC) + timedelta(days=1)
    ca_certificate = _builder(authority, authority, authority_key, tomorrow).add_extension(ca_only, critical=True)
    server_certificate = (
        _builder(x509.Name([]), authority, server_key, valid_until or tomorrow)
        .add_extension(no_ca, critical=True)
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ip_address(LOOPBACK))]), critical=True)
    )
    bundle, chain = folder / "ca.pem", folder / "server.pem"
    bundle.write_bytes(_pem(ca_certificate.sign(authority_key, hashes.SHA256())))
    private = serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    chain.write_bytes(
        server_key.private_bytes(*private) + _pem(server_certificate.sign(authority_key, hashes.SHA256()))
    )
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(chain)
    return PrivateCa(bundle=bundle, certificate=chain, context=context)


def _builder(
    subject: x509.Name, issuer: x509.Name, key: ec.EllipticCurvePrivateKey, until: datetime
) -> x509.CertificateBuilder:
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(datetime.now(UTC) - timedelta(days=2))
        .not_valid_after(until)
    )


def _pem(certificate: x509.Certificate) -> bytes:
    return certificate.public_bytes(serialization.Encoding.PEM)
