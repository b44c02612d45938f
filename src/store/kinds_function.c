/* SPDX-License-Identifier: Apache-2.0 */
/* The stores of the function's build, linked in the place of kinds.c, so that what no function can use is left out. */
#include "store/backend.h"

const struct store_backend *const store_kinds[] = {&store_dynamodb, &store_memory, NULL};
