/* SPDX-License-Identifier: Apache-2.0 */
/* The providers, one row each. Rows are data; nothing here runs but the look-up by name.
 *
 * Sources of the rows: the providers' pages and packages named beside each. */
#include "provider/table.h"

#include "provider/batch.h"
#include "provider/verify.h"

/* To add a provider: write its row (table.h says what each member means; the order is that of help texts), add its name
 * to the manual and its signed requests to tests/data/vectors. A row whose key is KEY_BY_RULE gets the kind that its
 * places give: id where the body or a signed header holds it, content where it is outside and the type is in the signed
 * body, else both.
 *
 * How the providers that are not here yet fit. "Adds" names what is new beside a row: a function, never a member.
 *
 * - One HMAC over the body in one header: rows of verify_hmac. adyen-platform (KEY_HEX), razorpay, paystack (SHA-512),
 *   flutterwave-v4, shopify, gocardless, checkout, coinbase-commerce, lemonsqueezy. adyen-platform and flutterwave-v4
 *   state their key kind, the others follow the rule. gocardless: batch "/events", type resource_type and tail action,
 *   refusal_status 498, batch_over_is_one.
 * - More than the body, by signed_text: square "{url}{body}", needs notification_url; paddle "{timestamp}:{body}", list
 *   by ';' of pairs "ts" and "h1", 4 days past and 300 s ahead; revolut "v1.{timestamp}.{body}", TIME_MS, list by ',';
 *   airwallex "{timestamp}{body}", TIME_MS: nothing is between the two, but the digits and the age hold the border.
 * - mollie: list by ',' without a joint and with an optional prefix, so that several fields count.
 * - flutterwave-v3, xendit: rows of verify_token.
 * - klarna, worldpay: each adds a scheme that reads the key id (worldpay: items "keyId/SHA256/hex") and then compares
 *   through verify_signatures; refusal_status 400.
 * - hook0: adds a scheme whose signed parts hold the covered headers' values; it sets v->id and v->id_signed where
 *   its id header is among them, and the key is KEY_ID_CONTENT otherwise.
 * - mercadopago: adds a scheme that puts the manifest together of query, x-request-id and time, leaving out a pair
 *   without a value, and takes the time as seconds or milliseconds by its digits; FIELDS; no default tolerance.
 * - adyen-standard: adds a scheme that walks /notificationItems and wants at least one, and every one signed; FIELDS;
 *   KEY_FIELDS of eventCode, pspReference, success; content: its eight fields; that batch; reply_body "[accepted]".
 * - braintree: adds a scheme over the form's bt_signature and bt_payload with KEY_SHA1, a content (bt_payload less one
 *   LF), a challenge, and the reading of PLACE_XML in place.c; FIELDS.
 * - paypal: adds a scheme (RSA over id, time, webhook id and CRC) that gets its certificate from verify_key, which
 *   answers VERDICT_NEED_KEY; key_urls; repeats; the capture behind /resource/links is one more kind of place.
 * - wise: the same RSA with a built-in public key; no_secret. */
static const struct provider_row rows[] = {
    {
        /* https://docs.stripe.com/webhooks#verify-manually, stripe-node's Webhooks.js: whsec_ is part of the key. */
        .name = "stripe",
        .verify = verify_hmac,
        .authenticated = AUTHENTICATED_BODY,
        .signature_headers = {"stripe-signature"},
        .form = {.separator = ',', .joint = '=', .name = "v1", .timestamp_name = "t"},
        .digest = DIGEST_SHA256,
        .signed_text = "{timestamp}.{body}",
        .past_s_max = 300,
        .ahead_s_max = 300,
        .event_id = "json:/id",
        .event_type = "json:/type",
        .transaction_id = "json:/data/object/payment_intent|json:/related_object/id|json:/data/object/id",
        .takes = SETTINGS_PLACES | SETTING_BIT(TOLERANCE),
    },
    {
        /* https://github.com/standard-webhooks/standard-webhooks, "Webhook headers" and "Verifying signatures". v1a is
           another scheme. */
        .name = "standardwebhooks",
        .verify = verify_hmac,
        .authenticated = AUTHENTICATED_BODY,
        .signature_headers = {"webhook-signature"},
        .form = {.separator = ' ', .joint = ',', .name = "v1", .encoding = SIGNATURE_BASE64},
        .digest = DIGEST_SHA256,
        .key_encoding = KEY_BASE64,
        .signed_text = "{id}.{timestamp}.{body}",
        .timestamp_headers = {"webhook-timestamp"},
        .past_s_max = 300,
        .ahead_s_max = 300,
        .id_headers = {"webhook-id"},
        .event_type = "json:/type",
        .takes = SETTINGS_PLACES | SETTING_BIT(TOLERANCE),
    },
    {
        /* https://docs.svix.com/receiving/verifying-payloads/how-manual: each header on its own falls back to the
           common name. */
        .name = "svix",
        .verify = verify_hmac,
        .authenticated = AUTHENTICATED_BODY,
        .signature_headers = {"svix-signature", "webhook-signature"},
        .form = {.separator = ' ', .joint = ',', .name = "v1", .encoding = SIGNATURE_BASE64},
        .digest = DIGEST_SHA256,
        .key_encoding = KEY_BASE64,
        .signed_text = "{id}.{timestamp}.{body}",
        .timestamp_headers = {"svix-timestamp", "webhook-timestamp"},
        .past_s_max = 300,
        .ahead_s_max = 300,
        .id_headers = {"svix-id", "webhook-id"},
        .event_type = "json:/type",
        .takes = SETTINGS_PLACES | SETTING_BIT(TOLERANCE),
    },
    {
        /* GitHub, "Validating webhook deliveries". Id and type are outside the signature. X-Hub-Signature (SHA-1) never
           counts. */
        .name = "hub-sha256",
        .verify = verify_hmac,
        .authenticated = AUTHENTICATED_BODY,
        .signature_headers = {"x-hub-signature-256"},
        .form = {.prefix = "sha256="},
        .digest = DIGEST_SHA256,
        .signed_text = "{body}",
        .event_id = "header:x-github-delivery",
        .event_type = "header:x-github-event",
        .takes = SETTINGS_PLACES,
    },
    {
        /* A static token: it says who sends, and nothing of what. */
        .name = "api-key",
        .verify = verify_token,
        .authenticated = AUTHENTICATED_TOKEN,
        .signature_headers = {"x-api-key"},
        .secret_form = SECRET_TOKEN,
        .transaction_id = "json:/transactionId",
        .takes = SETTINGS_PLACES | SETTING_BIT(HEADER),
    },
    {
        /* Anybody's HMAC, described by the source's settings. The 300 s apply where signed names a time. */
        .name = "hmac",
        .verify = verify_hmac,
        .authenticated = AUTHENTICATED_BODY,
        .digest = DIGEST_SHA256,
        .signed_text = "{body}",
        .past_s_max = 300,
        .ahead_s_max = 300,
        .takes = SETTINGS_PLACES | SETTING_BIT(TOLERANCE) | SETTING_BIT(HEADER) | SETTING_BIT(PREFIX) |
                 SETTING_BIT(SEPARATOR) | SETTING_BIT(ENCODING) | SETTING_BIT(DIGEST) | SETTING_BIT(KEY_ENCODING) |
                 SETTING_BIT(SIGNED) | SETTING_BIT(TIMESTAMP_HEADER) | SETTING_BIT(TIMESTAMP_UNIT) |
                 SETTING_BIT(ID_HEADER) | SETTING_BIT(NOTIFICATION_URL),
        .needs = SETTING_BIT(HEADER),
    },
    {
        /* POST /: AWS Signature Version 4, or what AWS has checked before us. Its body and key are the user's contract.
         */
        .name = "iam",
        .verify = verify_iam,
        .authenticated = AUTHENTICATED_IAM,
        .signature_headers = {"authorization"},
        .past_s_max = IAM_SKEW_S_MAX,
        .ahead_s_max = IAM_SKEW_S_MAX,
        .secret_form = SECRET_PAIR,
        .transaction_id = "json:/transactionId",
        .read = batch_read_root,
        .kept_headers = {"idempotency-key", "x-amz-date"},
        .takes = SETTING_BIT(TOLERANCE),
    },
};

const struct provider_row *provider_row_at(size_t index) {
    return index < sizeof rows / sizeof *rows ? &rows[index] : NULL;
}

const struct provider_row *provider_find(struct str name) {
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
        if (str_eq(str_from(rows[i].name), name)) return &rows[i];
    return NULL;
}

const char *provider_name(const struct provider_row *row) { return row->name; }

const char *provider_name_at(size_t index) {
    const struct provider_row *row = provider_row_at(index);
    return row != NULL ? row->name : NULL;
}
