/* SPDX-License-Identifier: Apache-2.0 */
/* What Google's storage answers: an object, a rewrite, a page of a listing, an error; and the name of an upload. */
#include <string.h>

#include "base/cleanup.h"
#include "hooks/store/gcs.h"
#include "tests/fuzz.h"

#define PREFIX "p/"

static int check(void *ctx, const struct store_list_item *item, struct error *err)
{
	(void)err;
	++*(unsigned *)ctx;
	FUZZ_CHECK(!strncmp(item->key, PREFIX, strlen(PREFIX)));
	FUZZ_CHECK(strlen(item->tag) < STORE_TAG_MAX && strspn(item->tag, "0123456789") == strlen(item->tag));
	return 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	_cleanup_strbuf_ struct strbuf text = STRBUF_INIT, token = STRBUF_INIT;
	const char *json = (const char *)data;
	struct error err = ERROR_INIT;
	struct gcs_object o;
	char message[200], crc[12];
	unsigned keys = 0;
	struct reply r;
	int result;

	result = gcs_page_read(json, size, PREFIX, 0, check, &keys, &token, &err);
	FUZZ_CHECK(result <= 0 && err.code == -result);
	for (int rewrite = 0; rewrite < 2; rewrite++) {
		result = gcs_object_read(json, size, rewrite, &o);
		FUZZ_CHECK(result <= 0 && o.size >= -1 && strlen(o.mark) < STORE_MARK_MAX);
		FUZZ_CHECK(result < 0 || o.tag[0] || (rewrite && !o.done && o.token.len > 0));
		strbuf_free(&o.token);
	}
	reply_init(&r);
	gcs_reply_error(&r, json, size, message);
	FUZZ_CHECK(strlen(r.code) < sizeof(r.code) && strlen(message) < sizeof(message));
	strbuf_add(&text, data, size);
	gcs_hash_header(strbuf_str(&text), crc);
	FUZZ_CHECK(strlen(crc) < sizeof(crc));
	FUZZ_CHECK(!gcs_session(strbuf_str(&text))[0] || gcs_session(strbuf_str(&text))[0] == '/');
	return 0;
}
