# SPDX-License-Identifier: Apache-2.0
"""How senders sign, each function written after the page it names and not after payhook. AWS is botocore itself."""

import base64
import datetime
import hashlib
import hmac
import time
from unittest import mock

import botocore.auth
import botocore.awsrequest
import botocore.credentials


def aws(
    url,
    body,
    key,
    headers=None,
    *,
    region="us-east-1",
    service="lambda",
    token=None,
    skew=0,
    method="POST",
    query=False,
):
    """The headers of a request signed by botocore (with query: the URL of the presigned form). skew: seconds from
    now."""
    request = botocore.awsrequest.AWSRequest(method, url, headers=dict(headers or {}), data=body)
    credentials = botocore.credentials.Credentials(key.id, key.secret, token)
    signer = (botocore.auth.SigV4QueryAuth if query else botocore.auth.SigV4Auth)(credentials, service, region)
    if skew:
        moment = datetime.datetime.now(datetime.timezone.utc).replace(tzinfo=None) + datetime.timedelta(seconds=skew)
        with mock.patch("botocore.auth.get_current_datetime", lambda *_, **__: moment):
            signer.add_auth(request)
    else:
        signer.add_auth(request)
    return request.url if query else dict(request.headers.items())


def stripe(secret, body, at=None):
    """docs.stripe.com/webhooks, "Verify webhook signatures manually": HMAC-SHA256 over timestamp, a dot and the body;
    the key is the endpoint's secret as it is written, whsec_ included."""
    at = int(time.time()) if at is None else at
    digest = hmac.new(secret.encode(), f"{at}.".encode() + body, hashlib.sha256).hexdigest()
    return {"Stripe-Signature": f"t={at},v1={digest}"}


def standard_webhooks(secret, body, message_id, at=None, prefix="webhook"):
    """The Standard Webhooks specification, "Signature scheme": msg_id.timestamp.payload, the key is the base64 after
    whsec_."""
    at = int(time.time()) if at is None else at
    key = base64.b64decode(secret.removeprefix("whsec_"))
    digest = hmac.new(key, f"{message_id}.{at}.".encode() + body, hashlib.sha256).digest()
    return {
        f"{prefix}-id": message_id,
        f"{prefix}-timestamp": str(at),
        f"{prefix}-signature": "v1," + base64.b64encode(digest).decode(),
    }


def svix(secret, body, message_id, at=None):
    """docs.svix.com, "Verifying webhooks manually": the same under names of its own."""
    return standard_webhooks(secret, body, message_id, at, prefix="svix")


def github(secret, body, delivery, event="ping"):
    """docs.github.com, "Validating webhook deliveries": HMAC-SHA256 over the body, in hex after sha256=."""
    digest = hmac.new(secret.encode(), body, hashlib.sha256).hexdigest()
    return {"X-GitHub-Delivery": delivery, "X-GitHub-Event": event, "X-Hub-Signature-256": f"sha256={digest}"}
