"""Places of artifacts: a local folder, or an object store that was asked whether it lets us in."""

from __future__ import annotations

import os
import re
from datetime import datetime
from functools import cache
from pathlib import Path

from tsad_tasks.base.errors import AccessDenied, BadInput, Unavailable
from tsad_tasks.base.masking import learn
from tsad_tasks.base.places import Folder, home_folder

_CREDENTIALS = ("AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN", "AWS_ACCESS_KEY_ID")
_LOCAL, _S3 = ("file", "local"), ("s3", "s3a")


def artifact_path(uri: str) -> Folder:
    """The folder or file of a URI, such as `/var/lib/tsad` or `s3://bucket/tsad`.

    Raises
    ------
    BadInput
        When there is no such bucket.
    AccessDenied
        When the object store has not got the credentials that it wants.
    Unavailable
        When it does not answer.

    >>> artifact_path("file:///tmp/artifacts") == artifact_path("/tmp/artifacts")
    True
    """
    # Most places are local, and what knows others takes a tenth of a second to import.
    if "://" not in uri:
        return Path(uri)
    learn(uri)
    for name in _CREDENTIALS:
        learn({name: os.environ.get(name, "")})
    from upath import UPath

    path = UPath(uri)
    if path.protocol in _LOCAL:
        return Path(path.path)
    if path.protocol not in _S3:
        return path
    # What another process has written meanwhile must be seen.
    fresh = UPath(uri, use_listings_cache=False)
    _check_bucket(fresh.drive)
    return fresh


# Once in a process: what is wrong with a bucket is said before anything is half written.
@cache
def _check_bucket(bucket: str) -> None:
    from botocore.exceptions import NoCredentialsError, PartialCredentialsError
    from upath import UPath

    denied = (
        f"Expected credentials that may list, read and write the bucket {bucket}, from "
        "AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, a profile or a role. Received: "
    )
    try:
        UPath(f"s3://{bucket}", use_listings_cache=False).fs.info(bucket)
    except FileNotFoundError as error:
        raise BadInput(
            f"Expected an object store with the bucket {bucket}, which tsad does not make. "
            "Received: none of that name."
        ) from error
    except PermissionError as error:
        raise AccessDenied(f"{denied}{str(error).rstrip('.')}.") from error
    except (NoCredentialsError, PartialCredentialsError) as error:
        raise AccessDenied(f"{denied}none, or not all.") from error
    except Exception as error:
        raise Unavailable(
            f"Expected an object store that answers for the bucket {bucket}. Received: {error}"
        ) from error


def artifacts_root() -> Folder:
    """Where bundles, run files and reports are: `TSAD_ARTIFACTS`, else `.tsad/artifacts`.

    `artifact_path` says what it raises.
    """
    return artifact_path(os.environ.get("TSAD_ARTIFACTS") or str(home_folder() / "artifacts"))


def run_folder(dag_id: str, run_id: str) -> Folder:
    """Folder of the files that the tasks of one run hand to one another."""
    names = (re.sub(r"[^A-Za-z0-9_.-]", "_", name) for name in (dag_id, run_id))
    return artifacts_root().joinpath("runs", *names)


def report_path(dataset: str, start_at: datetime, end_at: datetime) -> Folder:
    """Where the PDF of a period goes."""
    name = f"{dataset}_{start_at:%Y%m%dT%H%M}_{end_at:%Y%m%dT%H%M}.pdf"
    return artifacts_root() / "reports" / dataset / name
