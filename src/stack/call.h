/* SPDX-License-Identifier: Apache-2.0 */
/* One call of a service on behalf of a person who waits: tried again until its own deadline where that may help, and
 * every failure told in one sentence that says what to do. */
#ifndef PAYHOOK_STACK_CALL_H
#define PAYHOOK_STACK_CALL_H

#include "net/aws.h"

/* Makes the call; its deadline, where it has none, is STACK_CALL_MS_MAX from now. OK: there is an answer, 2xx or an
 * error of the service's own that the caller knows (answer->error). Else message has the sentence: no or expired
 * credentials, a key that is none (ERR_DENIED), an action that is not allowed (ERR_DENIED, with the action's name), a
 * host that is not there (ERR_NETWORK, "is X a region?"), nobody answers or throttling does not end (ERR_NETWORK,
 * ERR_TIMEOUT). *ret_unsure may be NULL; true: a try that was not the one answered may have been carried out. */
struct err stack_call(struct aws *aws, struct aws_call *call, struct writer *message,
                      const struct aws_answer **ret_answer, bool *ret_unsure) MUST_USE;
/* For an answer that is not 2xx and that the caller does not know: the sentence, and a failure. */
struct err stack_call_refused(const struct aws_call *call, const struct aws_answer *answer,
                              struct writer *message) MUST_USE;
/* Text of others as a person reads it: quotes and backslashes stay, line ends and tabs become blanks, what moves a
 * terminal is escaped. */
void stack_text(struct writer *w, struct str text);

#endif
