# SPDX-License-Identifier: EUPL-1.2
"""What an institution's client must be told: three addresses, who it is, and whom it believes."""

import shlex
import ssl
import tomllib
from pathlib import Path
from typing import Annotated

import httpx
from joserfc.jwk import OKPKey
from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, ValidationError, ValidationInfo

from verwijsindex.client.errors import ConfigError
from verwijsindex.keyfiles import KeyFileError, read_public_key, read_signing_key
from verwijsindex.tls import trust
from verwijsindex.written import fault_told

_LOOPBACK = {"localhost", "127.0.0.1", "::1"}


def _address(text: str) -> str:
    try:
        url = httpx.URL(text)
    except httpx.InvalidURL:
        raise ValueError("this is no address; write https://host") from None
    if url.scheme != "https" and not (url.scheme == "http" and url.host in _LOOPBACK):
        raise ValueError("an address starts with https://; http:// only on this machine itself")
    if not url.host or url.userinfo or url.query or url.fragment:
        raise ValueError("an address is a host and perhaps a path, and nothing else")
    return text.rstrip("/")


def _beside_the_file(path: Path, info: ValidationInfo) -> Path:
    folder = (info.context or {}).get("folder")
    return folder / path if folder else path


def _one_or_more(value: object) -> object:
    return value if isinstance(value, list | tuple) else (value,)


def _what_to_do(key_file: Path) -> str:
    """Never another key in the place of one that may be registered."""
    try:
        if key_file.is_file() and key_file.stat().st_mode & 0o007:
            return f"close it to others with: chmod 600 {shlex.quote(str(key_file))}"
        if not key_file.is_symlink() and not key_file.exists():
            return "make one with: verwijsindex client keygen FILE"
    except OSError:
        """It cannot even be looked at."""
    return "if it is lost, make another with: verwijsindex client keygen NEWFILE, and have that one registered"


Address = Annotated[str, AfterValidator(_address)]
KeyPath = Annotated[Path, AfterValidator(_beside_the_file)]
KeyPaths = Annotated[tuple[KeyPath, ...], BeforeValidator(_one_or_more), Field(min_length=1)]


class ClientConfig(BaseModel):
    """The configuration of a client; paths in a file are seen from that file's folder."""

    model_config = ConfigDict(extra="forbid", frozen=True, hide_input_in_errors=True)

    index: Address = Field(description="Address of the index: `resource` and audience of its tokens.")
    pseudonyms: Address = Field(description="Address of the pseudonym service, likewise.")
    issuer: Address = Field(description="Address of the issuer of tokens: audience of our assertions.")
    client_id: str = Field(min_length=1, max_length=128, description="As the issuer registered it.")
    key_file: KeyPath = Field(description="Private JWK that `client keygen` made; readable by us only.")
    ca_file: KeyPath | None = Field(default=None, description="CA certificates (PEM) in place of the public ones.")
    certificate_file: KeyPath | None = Field(
        default=None, description="Certificate (PEM) to show to services that ask for one, with its key in one file."
    )
    key_list_signer: KeyPaths = Field(
        description="Public JWK of who signs the list of key versions; a list of two while that key turns."
    )
    ledger_key: KeyPath | None = Field(
        default=None, description="Verifier key of the ledger, of which checkpoints are kept then."
    )
    checkpoints: KeyPath = Field(
        default=Path("ledger.checkpoints"), validate_default=True, description="Where they are kept."
    )

    @classmethod
    def load(cls, path: Path) -> "ClientConfig":
        """The configuration in a TOML file, after a look at the key files. Raises ConfigError, which names the
        file, every key in it that is wrong, and what to do."""
        try:
            content = tomllib.loads(path.read_text("utf-8"))
        except OSError as error:
            raise ConfigError(f"configuration {path} cannot be read: {error.strerror}") from None
        except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
            raise ConfigError(f"configuration {path} is not TOML in UTF-8: {error}") from None
        try:
            config = cls.model_validate(content, context={"folder": path.parent})
        except ValidationError as error:
            faults = "; ".join(
                f"{'.'.join(map(str, item['loc']))}: {fault_told(item)}"
                for item in error.errors(include_input=False, include_url=False)
            )
            raise ConfigError(f"configuration {path} cannot be used: {faults}") from None
        config.trust()
        config.own_key()
        config.signer_keys()
        return config

    def trust(self) -> ssl.SSLContext:
        """For connections to the services: whose certificates are believed, and which is shown. Raises ConfigError."""
        try:
            context = trust(self.ca_file) or httpx.create_ssl_context()
            if self.certificate_file:
                context.load_cert_chain(self.certificate_file)
        except ValueError as error:
            raise ConfigError(f"{error}: ask the operator for it, or leave ca_file out") from None
        except OSError:
            raise ConfigError(
                f"{self.certificate_file} cannot be read as a certificate and its key, both in PEM in one file"
            ) from None
        return context

    def own_key(self) -> OKPKey:
        """The client's private Ed25519 key. Raises ConfigError, also when others can read the file."""
        try:
            return read_signing_key(self.key_file)
        except KeyFileError as error:
            raise ConfigError(f"{error}; {_what_to_do(self.key_file)}") from None

    def signer_keys(self) -> list[OKPKey]:
        """The pinned public keys of who signs the list of key versions. Raises ConfigError."""
        try:
            return [read_public_key(path) for path in self.key_list_signer]
        except KeyFileError as error:
            raise ConfigError(f"{error}; ask the operator for it, and compare it by telephone") from None
