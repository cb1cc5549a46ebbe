/* SPDX-License-Identifier: Apache-2.0 */
/* A page of a listing, and any other XML of an object store. */
#include <string.h>

#include "hooks/store/azure.h"
#include "hooks/store/s3_xml.h"
#include "tests/fuzz.h"

#define PREFIX "p/"

static int check(void *ctx, const struct store_list_item *item, struct error *err)
{
	(void)ctx;
	(void)err;
	FUZZ_CHECK(!strncmp(item->key, PREFIX, strlen(PREFIX)));
	FUZZ_CHECK(strlen(item->tag) < STORE_TAG_MAX && !strchr(item->tag, '"'));
	return 0;
}

static void azure(const char *data, size_t size)
{
	_cleanup_strbuf_ struct strbuf marker = STRBUF_INIT;
	struct error err = ERROR_INIT;
	int r = azure_page_read(data, size, PREFIX, 0, check, NULL, &marker, &err);

	FUZZ_CHECK(r <= 0 && err.code == -r);
	FUZZ_CHECK(!marker.data || strlen(marker.data) == marker.len);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	_cleanup_strbuf_ struct strbuf code = STRBUF_INIT;
	struct error err = ERROR_INIT;
	struct s3_page page;
	int r = s3_page_read((const char *)data, size, PREFIX, 0, check, NULL, &page, &err);

	FUZZ_CHECK(r <= 0 && err.code == -r);
	FUZZ_CHECK(r < 0 || !page.truncated || page.token.len > 0);
	strbuf_free(&page.token);
	azure((const char *)data, size);
	s3_xml_find((const char *)data, size, "Error", "Code", &code);
	FUZZ_CHECK(!code.data || strlen(code.data) == code.len);
	return 0;
}
