# SPDX-License-Identifier: EUPL-1.2
"""What each process must be told, read from the environment (`VERWIJSINDEX_...`); secrets are files (`keyfiles`).

Any setting may also be a file of its name in the folder VERWIJSINDEX_SECRETS: there others' `docker inspect` and
child processes do not see an address with its password. The environment wins.
"""

import os
import re
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Literal

from pydantic import (
    BaseModel,
    Field,
    IPvAnyNetwork,
    SecretStr,
    ValidationError,
    ValidationInfo,
    field_validator,
)
from pydantic_settings import (
    BaseSettings,
    PydanticBaseSettingsSource,
    SecretsSettingsSource,
    SettingsConfigDict,
    SettingsError,
)

from verwijsindex import tls
from verwijsindex.written import Written, fault_told

Clock = Callable[[], datetime]
API_PREFIX = "/api/v1"
"""Below the public address of an HTTP service: the paths of its API."""
_SENDER = re.compile(r"[A-Za-z0-9._+-]+@[A-Za-z0-9-]+(\.[A-Za-z0-9-]+)*")


def utc_now() -> datetime:
    """The clock of a running process."""
    return datetime.now(UTC)


def settings_faults(error: ValidationError | SettingsError) -> str:
    """What is wrong with which variable, without any value (I5)."""
    if isinstance(error, SettingsError):
        why = error.__cause__
        if isinstance(why, OSError):
            do = f"{why.filename}: {why.strerror}; does it belong to the account that this runs as?"
        else:
            do = "not UTF-8" if isinstance(why, UnicodeDecodeError) else "write it as JSON"
        return f"settings are missing or wrong:\n  {error}: {do}"
    lines = [f"  VERWIJSINDEX_{str(e['loc'][0]).upper()}: {fault_told(e)}" for e in error.errors(include_input=False)]
    return "settings are missing or wrong:\n" + "\n".join(lines)


class TrustedIssuer(BaseModel):
    """An OAuth 2.0 issuer whose access tokens are believed, where its public keys are, and where its list of revoked
    clients. Without a list a revoked client's token works until it expires."""

    issuer: str
    jwks_url: str
    revocations_url: str | None = None


class Settings(BaseSettings):
    """What every process shares: where it listens."""

    model_config = SettingsConfigDict(
        env_prefix="VERWIJSINDEX_", frozen=True, extra="ignore", hide_input_in_errors=True
    )

    plain_network: bool = Field(
        False, description="Connections inside may go without TLS: only the operator's own machines are on the network."
    )
    tls_key: Path | None = Field(None, description="PEM file with the private key of the certificate.")
    tls_certificate: Path | None = Field(None, description="PEM file with the certificate to serve https with.")
    tls_minimum: Literal["1.2", "1.3"] = Field("1.3", description="Oldest version of TLS that is served.")
    tls_client_ca: Path | None = Field(None, description="Serve only who has a certificate of these CAs (PEM).")
    ca_file: Path | None = Field(
        None, description="CA certificates (PEM) in place of the public ones, for connections to issuers or receivers."
    )
    bind_address: str = Field("127.0.0.1", description="Address to listen on; loopback unless set.")
    workers: int = Field(1, ge=1, description="Processes of this server.")
    threads: int = Field(16, ge=1, description="Requests served at once by each process.")
    metrics_port: int = Field(0, ge=0, le=65535, description="Port of the metrics for Prometheus; none unless set.")
    metrics_address: str = Field("127.0.0.1", description="Address of that port; loopback unless set.")

    @field_validator("tls_certificate", "tls_client_ca", "ca_file")
    @classmethod
    def _can_be_used(cls, file: Path | None, info: ValidationInfo) -> Path | None:
        if file and info.field_name == "tls_certificate":
            key = info.data.get("tls_key")
            if key is None:
                raise ValueError("needs its key, VERWIJSINDEX_TLS_KEY")
            tls.check_own_certificate(file, key)
        elif file:
            tls.trust(file)
            if info.field_name == "tls_client_ca" and info.data.get("tls_certificate") is None:
                raise ValueError("needs VERWIJSINDEX_TLS_CERTIFICATE")
        return file

    @field_validator("*")
    @classmethod
    def _is_encrypted(cls, value: object, info: ValidationInfo) -> object:
        """No connection without TLS by mistake (`tls`); what it depends on stands above, and is known already."""
        plain, certificate = bool(info.data.get("plain_network")), bool(info.data.get("tls_certificate"))
        match info.field_name, value:
            case "bind_address", str(address):
                tls.check_listening(address, certificate=certificate, plain=plain)
            case "base_url", str(address):
                tls.check_http(address)
            case "resources", list(addresses):
                for address in addresses:
                    tls.check_http(address)
            case "issuers", list(issuers):
                for issuer in issuers:
                    tls.check_http(issuer.issuer)
                    for address in (issuer.jwks_url, issuer.revocations_url or issuer.jwks_url):
                        tls.check_http(address, plain=plain)
            case "broker_url", SecretStr() as secret:
                tls.check_broker(secret.get_secret_value(), plain=plain)
            case str(name), SecretStr() as secret if name.endswith("database_url"):
                tls.check_database(secret.get_secret_value(), plain=plain)
        return value

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """The environment, then the files of VERWIJSINDEX_SECRETS; no `.env` of whatever folder this runs in."""
        folder = os.environ.get("VERWIJSINDEX_SECRETS")
        files = (SecretsSettingsSource(settings_cls, secrets_dir=folder),) if folder else ()
        return init_settings, env_settings, *files


class IndexSettings(Settings):
    """The index's API."""

    port: int = Field(8101, ge=1, le=65535)
    base_url: str = Field(description="Public address of the index; the audience of its tokens.")
    intake_database_url: SecretStr
    index_database_url: SecretStr
    auditor_database_url: SecretStr
    broker_url: SecretStr
    keys: Path = Field(description="Folder with index-<n>.key.")
    key_list: Path = Field(description="File with the signed list of key versions.")
    key_list_signer: Path = Field(description="Public JWK of who signs the list of key versions.")
    issuers: list[TrustedIssuer] = Field(min_length=1)
    two_factor_acr: list[Annotated[str, Written(r"^[!#-\[\]-~]+$", "a value of acr: without spaces and quotes")]] = (
        Field([], description="Values of acr in tokens that mean two factors, besides mfa in amr (privacy officers).")
    )
    signals_per_reporter: int = Field(1_000, ge=1, description="In a day (R37).")
    signals_per_institution: int = Field(12_000, ge=1, description="In a day.")
    signals_per_country: int = Field(50_000, ge=1, description="In a day.")
    webhook_secret_overlap_seconds: int = Field(
        24 * 3600, ge=0, le=30 * 24 * 3600, description="How long a rotated secret goes on signing."
    )
    webhook_changes_per_client: int = Field(
        100, ge=1, description="In 24 hours: changes of a subscription, challenges, secrets and replays."
    )
    allow_plain_http: bool = Field(False, description="Let clients subscribe http addresses: for the demo only.")
    webhook_private_ranges: list[IPvAnyNetwork] = Field(
        [], description="Networks that are not public, in which clients may have receivers; of worker and index alike."
    )


class WorkerSettings(Settings):
    """Celery's workers and clock."""

    base_url: str = Field(description="Public address of the index, for the links in webhooks.")
    worker_database_url: SecretStr
    broker_url: SecretStr
    keys: Path = Field(description="Folder with index-<n>.key (webhook secrets are sealed with it).")
    tombstones: Path = Field(
        description="File outside the database that gets the id of each destroyed signal, for who restores a backup."
    )
    ledger_key: Path = Field(description="Private JWK (Ed25519) that signs the checkpoints of the ledger.")
    ledger_origin: str = Field(description="Name of the ledger in its checkpoints, as index.example.org/ledger.")
    bursts_client: Path | None = Field(
        None, description="Configuration of the client with which the pseudonym service is asked for bursts (R37)."
    )
    seal_seconds: int = Field(30, ge=0, le=60, description="How often events get their places, and a checkpoint.")
    operator_oin: Annotated[str, Written(r"^[0-9]{20}$", "the twenty digits of an OIN")] = Field(
        "00000000000000000000", description="OIN in the source of events."
    )
    push_tick_seconds: float = Field(60, ge=0, description="Pushes leave at whole multiples of this.")
    sweep_seconds: float = Field(5, gt=0, description="How often work is looked for that no bell announced.")
    contact_data_days: int = Field(90, ge=0, description="How long contact data of who left is kept.")
    webhook_timeout_seconds: float = Field(15, gt=0, le=60)
    mail_host: str = Field("", description="The mail server (SMTP) that mail goes to; none is sent unless set.")
    mail_port: int = Field(587, ge=1, le=65535)
    mail_security: Literal["starttls", "tls", "none"] = Field(
        "starttls",
        description="TLS that is asked for, or from the start; none only on this machine or a plain network.",
    )
    mail_sender: str = Field(
        "", validate_default=True, description="Address that mail comes from, and that answers and bounces go to."
    )
    mail_user: str = Field("", description="Account at the mail server, if it wants one.")
    mail_password: Path | None = Field(None, validate_default=True, description="File with that account's password.")
    mail_ca_file: Path | None = Field(None, description="CA certificates (PEM) that the mail server is verified with.")
    mail_link: str = Field("", description="Where recipients read; the address of the index unless set.")
    allow_plain_http: bool = Field(False, description="Deliver to http addresses as well: for the demo only.")
    webhook_private_ranges: list[IPvAnyNetwork] = Field(
        [], description="Networks that are not public, to which webhooks go all the same."
    )

    @field_validator("bursts_client", mode="before")
    @classmethod
    def _empty_is_unset(cls, value: object) -> object:
        return value or None  # as docker-compose.yml gives what is not set

    @field_validator("mail_security")
    @classmethod
    def _mail_is_encrypted(cls, value: str, info: ValidationInfo) -> str:
        host = info.data.get("mail_host", "")
        if value == "none" and not (info.data.get("plain_network") or tls.is_loopback(host)):
            raise ValueError("mail would go to another machine without TLS: write starttls or tls")
        return value

    @field_validator("mail_sender", "mail_link")
    @classmethod
    def _mail_can_be_sent(cls, value: str, info: ValidationInfo) -> str:
        if info.field_name == "mail_link" and value:
            tls.check_http(value)
        elif info.field_name == "mail_sender" and info.data.get("mail_host") and not _SENDER.fullmatch(value):
            raise ValueError("mail needs an address that it comes from: verwijsindex@example.org")
        return value

    @field_validator("mail_password")
    @classmethod
    def _mail_account_is_whole(cls, value: Path | None, info: ValidationInfo) -> Path | None:
        if bool(info.data.get("mail_user")) != bool(value):
            raise ValueError("VERWIJSINDEX_MAIL_USER and VERWIJSINDEX_MAIL_PASSWORD come together")
        return value


class PseudonymSettings(Settings):
    """The pseudonym service."""

    port: int = Field(8102, ge=1, le=65535)
    base_url: str = Field(description="Public address of the pseudonym service; the audience of its tokens.")
    pseudonyms_database_url: SecretStr
    keys: Path = Field(description="Folder with pseudonym-<n>.key.")
    key_list: Path
    key_list_signer: Path
    issuers: list[TrustedIssuer] = Field(min_length=1)
    elements_per_reporter: int = Field(4_000, ge=1, description="Evaluated in a day (R37).")
    elements_per_institution: int = Field(40_000, ge=1, description="Evaluated in a day.")
    elements_per_country: int = Field(200_000, ge=1, description="Evaluated in a day.")


class IssuerSettings(Settings):
    """The issuer of tokens."""

    port: int = Field(8103, ge=1, le=65535)
    base_url: str = Field(description="Public address of the issuer; the `iss` of its tokens.")
    issuer_database_url: SecretStr
    signing_key: Path = Field(description="Private JWK (Ed25519) that signs tokens.")
    other_signing_keys: list[Path] = Field(
        [], description="Public JWKs that are published besides: of the key that signs next, and of the one that did."
    )
    resources: list[str] = Field(min_length=1, description="Addresses of the services that tokens may be asked for.")
    tokens_per_client: int = Field(600, ge=1, description="In an hour (R37).")
    tokens_per_institution: int = Field(2_000, ge=1, description="In an hour.")
    tokens_per_issuer: int = Field(500_000, ge=1, description="In an hour.")
    failed_tries_per_second: int = Field(200, ge=1, description="Assertions that do not verify, in each process.")
    token_seconds: int = Field(600, ge=60, le=3600)
