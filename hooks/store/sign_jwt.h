/* SPDX-License-Identifier: Apache-2.0 */
/* sign_jwt.h - JSON Web Tokens (RFC 7515, RFC 7519) signed with RSA and SHA-256. */
#ifndef VOLRUN_HOOKS_SIGN_JWT_H
#define VOLRUN_HOOKS_SIGN_JWT_H

#include "base/strbuf.h"

/*
 * Appends "header.claims.signature". claims: JSON. key_id: NULL or the header's "kid". private_key: PEM.
 * -EINVAL: it is no RSA key. -ENOMEM.
 */
int jwt_sign_rs256(const char *claims, const char *key_id, const char *private_key, struct strbuf *out);

#endif
