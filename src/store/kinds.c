/* SPDX-License-Identifier: Apache-2.0 */
/* Every store there is. */
#include "store/backend.h"

/* To add a backend: its file, its row here (and in kinds_function.c where a function can use it), a row in
 * tests/contract/store_test.c. */
const struct store_backend *const store_kinds[] = {&store_sqlite, &store_memory, &store_dynamodb, NULL};
