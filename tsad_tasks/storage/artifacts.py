"""Places of artifacts: a local folder, or an object store that was asked whether it lets us in."""

from __future__ import annotations

from functools import cache

from upath import UPath

from tsad_tasks.base.errors import AccessDenied, BadInput, TsadError, Unavailable

_LOCAL, _S3 = ("file", "local"), ("s3", "s3a")


def place(uri: str) -> UPath:
    """The folder or file of a URI, such as `/var/lib/tsad` or `s3://bucket/tsad`.

    Raises
    ------
    BadInput
        When there is no such bucket.
    AccessDenied
        When the object store has not got the credentials that it wants.
    Unavailable
        When it does not answer.

    >>> place("/tmp/artifacts").name, place("file:///tmp/artifacts") == place("/tmp/artifacts")
    ('artifacts', True)
    """
    path = UPath(uri)
    if path.protocol in _LOCAL:
        return UPath(path.path)
    if path.protocol not in _S3:
        return path
    # What another process has written meanwhile must be seen.
    fresh = UPath(uri, use_listings_cache=False)
    _check_bucket(fresh.drive)
    return fresh


@cache
def _check_bucket(bucket: str) -> None:
    """Asks for a bucket, once in a process: what is wrong with it is said before anything is half
    written.
    """
    try:
        UPath(f"s3://{bucket}", use_listings_cache=False).fs.info(bucket)
    except FileNotFoundError as error:
        raise BadInput(
            f"Expected an object store with the bucket {bucket}, which tsad does not make. "
            "Received: none of that name."
        ) from error
    except PermissionError as error:
        raise _denied(bucket, str(error)) from error
    except Exception as error:
        raise _explained(bucket, error) from error


def _denied(bucket: str, said: str) -> AccessDenied:
    return AccessDenied(
        f"Expected credentials that may list, read and write the bucket {bucket}, from "
        "AWS_ACCESS_KEY_ID and "
        f"AWS_SECRET_ACCESS_KEY, a profile or a role. Received: {said.rstrip('.')}."
    )


def _explained(bucket: str, error: Exception) -> TsadError:
    """What the client of the object store said, as one of our errors."""
    from botocore.exceptions import NoCredentialsError, PartialCredentialsError

    if isinstance(error, (NoCredentialsError, PartialCredentialsError)):
        return _denied(bucket, "none, or not all")
    return Unavailable(
        f"Expected an object store that answers for the bucket {bucket}. Received: {error}"
    )
