# SPDX-License-Identifier: EUPL-1.2
"""`verwijsindex pseudonym-key ...`: hands the factor of a turn from the one operator to the other (decision 0020)."""

from pathlib import Path
from typing import Annotated

import typer
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey

from verwijsindex import keyfiles
from verwijsindex.keyfiles import KeyFileError, decode_base64url, encode_base64url, versioned_secrets
from verwijsindex.pseudonyms.commands import told
from verwijsindex.pseudonyms.factors import FactorError, Factors
from verwijsindex.pseudonyms.handover import SEALED_LENGTH, open_factor, seal_factor
from verwijsindex.pseudonyms.key_list import load_key_list
from verwijsindex.pseudonyms.sealing import IndexKeys, write_next_key
from verwijsindex.pseudonyms.voprf import load_evaluators

app = typer.Typer(
    no_args_is_help=True,
    rich_markup_mode="markdown",
    pretty_exceptions_show_locals=False,
    help="""Turn the pseudonym key k from one version to the next, while everything serves and no sender does anything.

The steps, by the operator of the pseudonym service (S) and of the index (I); docs/operations.md says more of each:

1. S: `keys pseudonym` makes the next version; `keys sign-list --begins` says from when it is accepted. I gets the list.
2. I: `pseudonym-key recipient`; tells S the public key that it prints, and compares it by telephone.
3. S: `pseudonym-key hand-over` seals the factor between both versions to it; sends I the file.
4. I: `pseudonym-key take-over` checks it and makes the next index key; then `index-key turn`.
5. Both serve the new list. When the old version is accepted no more (`keys sign-list --ends`), S destroys its key,
   and I states with `index-key destroy` that the factor and the old index key are destroyed.
""",
)


@app.command("recipient")
def make_recipient(
    file: Annotated[Path, typer.Argument(help="File to make, for this one turn; `take-over` deletes it.")],
) -> None:
    """Index: make the key that the factor is sealed to, and print its public half.

    Held by: you, offline, until `take-over`. Who has it and the sealed file has the factor. Lost: nothing; make
    another.
    """
    with told():
        private_key = X25519PrivateKey.generate()
        keyfiles.write_secret(file, private_key.private_bytes_raw())
        typer.echo(encode_base64url(private_key.public_key().public_bytes_raw()))


@app.command("hand-over")
def hand_over(
    service_keys: Annotated[Path, typer.Option(help="Folder with the service's pseudonym-N.key, of both versions.")],
    recipient: Annotated[str, typer.Option(help="The public key that the index's operator read to you.")],
    out: Annotated[Path, typer.Option(help="File to make: the sealed factor, for the index's operator.")],
) -> None:
    """Pseudonym service: seal the factor between the two newest versions of the key to the index's operator.

    Compare the recipient's public key by telephone first: for who has the old key as well, the factor is the new key.
    """
    with told():
        load_evaluators(service_keys)  # refuses what is no key
        secrets = versioned_secrets(service_keys, "pseudonym")
        if len(secrets) == 1:
            raise KeyFileError(f"folder {service_keys} holds one version: `verwijsindex keys pseudonym` makes the next")
        old, new = sorted(secrets)[-2:]
        try:
            sealed = seal_factor(old, secrets[old], new, secrets[new], decode_base64url(recipient))
        except ValueError:
            raise KeyFileError("the recipient is no public key of `pseudonym-key recipient` (43 characters)") from None
        keyfiles.write_secret(out, sealed)
        typer.echo(f"{out}: the factor from version {old} to {new}, for {recipient} alone")


@app.command("take-over")
def take_over(
    sealed: Annotated[Path, typer.Argument(help="The file from the pseudonym service's operator; mode 0600.")],
    recipient: Annotated[Path, typer.Option(help="File that `pseudonym-key recipient` made.")],
    key_list: Annotated[Path, typer.Option(help="The signed list of key versions with both versions.")],
    signer: Annotated[Path, typer.Option(help="Public JWK of who signs the list.")],
    folder: Annotated[Path, typer.Option(help="Folder of the index's keys.")],
) -> None:
    """Index: check the factor against the signed list, and make factor-*.key and the next index key with it.

    Give both files to every index, worker, deliverer and clock, restart them one by one, and run `index-key turn`.
    Only then give the index the new list. Held and lost: the factor as the index key that it comes with.
    """
    with told():
        listed = load_key_list(key_list, keyfiles.read_public_key(signer))[1]
        factor = open_factor(keyfiles.read_secret(sealed, (SEALED_LENGTH,)), keyfiles.read_secret(recipient), listed)
        keys = IndexKeys.load(folder)
        version = keys[max(keys)].pseudonym_version
        if version not in (factor.old, factor.new):
            raise FactorError(
                f"it is for the turn from version {factor.old} to {factor.new}, and the newest index key in {folder}"
                f" is for version {version}"
            )
        # Cut short between two of these, it goes on when it is run again.
        if factor not in Factors.load(folder).known:
            factor.write(folder)
        if version == factor.old:
            write_next_key(folder, factor.new)
        recipient.unlink()
        newest = max(IndexKeys.load(folder))
        typer.echo(
            f"{folder / factor.file_name}\n{folder / f'index-{newest}.key'}: give both to every process of the index"
        )
