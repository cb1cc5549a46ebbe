/* SPDX-License-Identifier: Apache-2.0 */
/* Azure's API without a network, and against a server that answers as an account with a hierarchical namespace, or
 * badly. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/cleanup.h"
#include "base/clock.h"
#include "hooks/store/azure.h"
#include "tests/fault_store.h"

static struct store_config config = {.name = "az",
				     .type = "azure",
				     .container = "cont",
				     .account = "acc",
				     .account_key = "a2V5LW9mLXRoZS1hY2NvdW50",
				     .connect_timeout_ms = 2000,
				     .low_speed_seconds = 2};

#define REPLY(status, headers) "HTTP/1.1 " status "\r\nConnection: close\r\n" headers "\r\n"
#define EMPTY(status, headers) REPLY(status, "Content-Length: 0\r\n" headers)
#define CODE(status, code) EMPTY(status, "x-ms-error-code: " code "\r\n")

static int set_up(void **state)
{
	(void)state;
	fault_store_open(&config);
	for (int i = 0; i < SCRIPT_MAX; i++)
		script[i].close = true;
	store_set_quirks(store, STORE_QUIRK_DELETE_IF | STORE_QUIRK_COPY_IF);
	return 0;
}

static struct store_op op_of(enum store_op_kind kind, const char *key)
{
	struct store_op op;

	store_op_init(&op, kind, key);
	op.data = kind == STORE_PUT ? "text" : NULL;
	op.size = kind == STORE_PUT ? 4 : 0;
	op.source = kind == STORE_COPY ? "from" : NULL;
	op.max_body = 100;
	return op;
}

static void expect(struct store_op *op, enum store_result result, int requests)
{
	expect_op(op, result, requests, "a2V5");
}

static void saw(unsigned request, const char *text)
{
	if (!strcasestr(seen_requests[request], text))
		fail_msg("request %u has no \"%s\": %s", request, text, seen_requests[request]);
}

/* --- without a network -------------------------------------------------------------------- */

static void names_that_azure_would_change_are_not_valid(void **state)
{
	static const char *const bad[] = {"dot.", "a./b", "back\\slash", "tab\t", "\x01", "\x7f", "x\xef\xbf\xbf"};
	static const char *const good[] = {"a",	     "dir/",	 ".hidden", "a..b",
					   "ümlaut", "a b+c%20", "trail ",  "\xef\xbc\xa1"};
	char longest[1030];

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(bad); i++)
		assert_false(azure_name_valid("", bad[i]));
	for (size_t i = 0; i < ARRAY_SIZE(good); i++)
		assert_true(azure_name_valid("p/", good[i]));
	memset(longest, 'n', sizeof(longest));
	longest[1024] = '\0';
	assert_true(azure_name_valid("", longest));
	assert_false(azure_name_valid("p", longest));
}

static struct azure_endpoint endpoint_of(const char *account, const char *url, const char *connection)
{
	struct store_config c = {
	    .name = "az", .container = "cont", .account = account, .endpoint = url, .connection_string = connection};
	struct error err = ERROR_INIT;
	struct azure_endpoint e;

	if (azure_endpoint_init(&c, &e, &err) < 0)
		fail_msg("%s", err.msg);
	return e;
}

static void the_account_is_found_where_it_stands(void **state)
{
	struct azure_endpoint e;

	(void)state;
	unsetenv("AZURE_STORAGE_ACCOUNT");
	e = endpoint_of("acc", NULL, NULL);
	assert_string_equal(e.url, "https://acc.blob.core.windows.net");
	assert_string_equal(e.base, "");
	azure_endpoint_free(&e);
	e = endpoint_of(NULL, "https://other.blob.core.chinacloudapi.cn/", NULL);
	assert_string_equal(e.account, "other");
	azure_endpoint_free(&e);
	e = endpoint_of("acc", "http://127.0.0.1:10000", NULL);
	assert_string_equal(e.base, "/acc");
	azure_endpoint_free(&e);
	e = endpoint_of(NULL, NULL, "UseDevelopmentStorage=true");
	assert_string_equal(e.account, "devstoreaccount1");
	assert_string_equal(e.base, "/devstoreaccount1");
	azure_endpoint_free(&e);
}

/* --- conditions and errors ------------------------------------------------------------------ */

static void a_condition_that_fails_is_false_however_it_is_said(void **state)
{
	static const char *const replies[] = {CODE("409 x", "BlobAlreadyExists"), CODE("412 x", "ConditionNotMet")};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(replies); i++) {
		struct store_op op = op_of(STORE_PUT, "key");

		op.condition = STORE_IF_ABSENT;
		script[i].reply = replies[i];
		expect(&op, STORE_FALSE, (int)i + 1);
		saw((unsigned)i, "if-none-match: *");
		saw((unsigned)i, "content-md5: HLJR7A1WjeapKbUgxK7Y0Q==");
	}
}

static void a_lease_of_another_client_is_no_false_condition(void **state)
{
	struct store_op op = op_of(STORE_PUT, "key");

	(void)state;
	op.condition = STORE_IF_TAG;
	op.if_tag = "0x8D";
	script[0].reply = CODE("412 x", "LeaseIdMissing");
	expect(&op, STORE_FAILED, 1);
	assert_non_null(strstr(op.err.msg, "another client holds an Azure lease"));
	saw(0, "if-match: \"0x8D\"");
}

static void a_missing_container_is_no_absent_object(void **state)
{
	struct store_op op = op_of(STORE_HEAD, "key");

	(void)state;
	script[0].reply = CODE("404 x", "ContainerNotFound");
	expect(&op, STORE_FAILED, 1);
	script[1].reply = CODE("404 x", "BlobNotFound");
	expect(&op, STORE_ABSENT, 2);
}

/* HEAD never has a body: that there is none shows nothing. Nor may a write be believed done for it. */
static void a_404_that_no_object_store_says_is_no_absence(void **state)
{
	struct store_op op = op_of(STORE_HEAD, "key");

	(void)state;
	script[0].reply = EMPTY("404 x", "Content-Type: text/html\r\n");
	script[1].reply = CODE("404 x", "BlobNotFound");
	expect(&op, STORE_ABSENT, 2);
	op = op_of(STORE_DELETE, "key");
	script[2].reply = EMPTY("404 x", "");
	script[3].reply = EMPTY("202 Accepted", "x-ms-request-id: 1\r\n");
	expect(&op, STORE_OK, 4);
	op = op_of(STORE_GET, "key");
	script[4].reply = EMPTY("404 x", "");
	expect(&op, STORE_ABSENT, 5);
}

static void a_write_with_a_condition_that_a_busy_server_answers_is_unknown(void **state)
{
	struct store_op op = op_of(STORE_PUT, "key");

	(void)state;
	op.condition = STORE_IF_ABSENT;
	script[0].reply = CODE("503 x", "ServerBusy");
	expect(&op, STORE_UNKNOWN, 1);
	script[1].reply = CODE("500 x", "OperationTimedOut");
	expect(&op, STORE_UNKNOWN, 2);
}

static void a_read_that_does_not_fit_its_md5_is_read_again(void **state)
{
	struct store_op op = op_of(STORE_GET, "key");

	(void)state;
	script[0].reply =
	    REPLY("200 OK", "Content-Length: 4\r\nETag: \"e\"\r\nContent-MD5: HLJR7A1WjeapKbUgxK7Y0Q==\r\n") "tex_";
	script[1].reply =
	    REPLY("200 OK", "Content-Length: 4\r\nETag: \"e\"\r\nContent-MD5: HLJR7A1WjeapKbUgxK7Y0Q==\r\n") "text";
	expect(&op, STORE_OK, 2);
}

/* --- copies ------------------------------------------------------------------------------- */

#define COPY(status, id) "x-ms-copy-status: " status "\r\nx-ms-copy-id: " id "\r\n"

static void a_copy_is_asked_after_until_it_is_done(void **state)
{
	struct store_op op = op_of(STORE_COPY, "to");

	(void)state;
	script[0].reply = EMPTY("202 Accepted", "ETag: \"1\"\r\n" COPY("pending", "id1"));
	script[1].reply = EMPTY("200 OK", "ETag: \"1\"\r\n" COPY("pending", "id1"));
	script[2].reply = EMPTY("200 OK", "ETag: \"2\"\r\n" COPY("success", "id1"));
	expect(&op, STORE_OK, 3);
	assert_string_equal(op.tag, "2");
	saw(0, "x-ms-copy-source: http://127.0.0.1:");
	saw(1, "HEAD /acc/cont/to ");
}

static void a_copy_that_failed_or_was_overwritten_is_no_success(void **state)
{
	struct store_op op = op_of(STORE_COPY, "to");

	(void)state;
	script[0].reply = EMPTY("202 Accepted", COPY("pending", "id1"));
	script[1].reply = EMPTY("200 OK", COPY("aborted", "id1"));
	expect(&op, STORE_FAILED, 2);
	script[2].reply = EMPTY("202 Accepted", COPY("pending", "id2"));
	script[3].reply = EMPTY("200 OK", COPY("success", "id3"));
	expect(&op, STORE_UNKNOWN, 4);
	script[4].reply = EMPTY("202 Accepted", COPY("pending", "id4"));
	script[5].reply = CODE("404 x", "BlobNotFound");
	expect(&op, STORE_UNKNOWN, 6);
}

/* --- a hierarchical namespace --------------------------------------------------------------- */

#define FOLDER "x-ms-meta-hdi_isfolder: true\r\n"

static void a_directory_has_no_bytes_under_a_file_s_name(void **state)
{
	struct store_op op = op_of(STORE_HEAD, "dir");

	(void)state;
	script[0].reply = EMPTY("200 OK", FOLDER);
	expect(&op, STORE_ABSENT, 1);
	op = op_of(STORE_HEAD, "dir/");
	script[1].reply = EMPTY("200 OK", FOLDER);
	expect(&op, STORE_OK, 2);
}

static void a_marker_s_deletion_takes_no_file_along(void **state)
{
	struct store_op op = op_of(STORE_DELETE, "dir/");

	(void)state;
	script[0].reply = EMPTY("200 OK", "ETag: \"f\"\r\n"); /* a file by now */
	expect(&op, STORE_OK, 1);
	saw(0, "HEAD /acc/cont/dir/ ");
	script[1].reply = EMPTY("200 OK", "ETag: \"d\"\r\n" FOLDER);
	script[2].reply = EMPTY("202 Accepted", "");
	expect(&op, STORE_OK, 3);
	saw(2, "DELETE /acc/cont/dir/ ");
	saw(2, "if-match: \"d\"");
	script[3].reply = EMPTY("200 OK", "ETag: \"d\"\r\n" FOLDER);
	script[4].reply = CODE("409 x", "DirectoryIsNotEmpty");
	expect(&op, STORE_OK, 5);
}

static int note(void *ctx, const struct store_list_item *item, struct error *err)
{
	(void)err;
	strcat(ctx, item->key);
	strcat(ctx, " ");
	return 0;
}

static int note_tag(void *ctx, const struct store_list_item *item, struct error *err)
{
	note(ctx, item, err);
	strcat(ctx, item->tag);
	strcat(ctx, " ");
	return 0;
}

#define BLOB(name, properties, metadata)                                                                               \
	"<Blob><Name>" name "</Name><Properties><Etag>0x1</Etag><Content-Length>3</Content-Length>" properties         \
	"</Properties><Metadata>" metadata "</Metadata></Blob>"

static void listings_show_files_and_markers_but_not_the_namespace_s_own_directories(void **state)
{
	struct error err = ERROR_INIT;
	char keys[200] = "";

	(void)state;
	script[0].reply = REPLY(
	    "200 OK",
	    "") "\xef\xbb\xbf<?xml version=\"1.0\" encoding=\"utf-8\"?><EnumerationResults>"
		"<Prefix>d</Prefix><Blobs>" BLOB(
		    "d", "<ResourceType>directory</ResourceType>",
		    "<hdi_isfolder>true</hdi_isfolder>") BLOB("d/e", "<ResourceType>directory</ResourceType>",
							      "<hdi_isfolder>true</hdi_isfolder><volrundir>1</volrundir>")
		    BLOB("d/f &amp; g", "<ResourceType>file</ResourceType>", "") BLOB(
			"d/flat/", "",
			"<hdi_isfolder>true</hdi_isfolder>") "</Blobs><NextMarker>next 1</NextMarker></EnumerationResults>";
	script[1].reply = REPLY("200 OK", "") "<EnumerationResults><Blobs>" BLOB(
	    "d/z", "", "") "</Blobs><NextMarker/></EnumerationResults>";
	if (store_list(store, "d", note, keys, &err) < 0)
		fail_msg("%s", err.msg);
	assert_string_equal(keys, "d/e/ d/f & g d/flat/ d/z ");
	saw(1, "marker=next%201");
}

/* Metadata is anybody's, and may be called as the store's own properties are. */
static void metadata_is_not_taken_for_a_property(void **state)
{
	struct error err = ERROR_INIT;
	char seen[200] = "";

	(void)state;
	script[0].reply = REPLY("200 OK", "") "<EnumerationResults><Blobs>" BLOB(
	    "a", "",
	    "<Etag>0x9</Etag><ResourceType>directory</ResourceType><ETag>0x8</ETag>") "<Blob><Name>b</Name><Properties><Etag>0x2</Etag><Content-Length>4</Content-Length>"
										      "<hdi_isfolder>true</hdi_isfolder></Properties></Blob></Blobs><NextMarker/></EnumerationResults>";
	if (store_list(store, "", note_tag, seen, &err) < 0)
		fail_msg("%s", err.msg);
	assert_string_equal(seen, "a 0x1 b 0x2 ");
}

static void a_listing_that_is_cut_is_an_error(void **state)
{
	struct error err = ERROR_INIT;
	char keys[200] = "";

	(void)state;
	script[0].reply = REPLY("200 OK", "") "<EnumerationResults><Blobs>" BLOB("a", "", "");
	assert_int_equal(store_list(store, "", note, keys, &err), -EINVAL);
	assert_string_equal(keys, "");
	script[1].reply =
	    REPLY("200 OK", "") "<EnumerationResults><Blobs>" BLOB("b", "", "") "</Blobs></EnumerationResults>";
	assert_int_equal(store_list(store, "x", note, keys, &err), -EINVAL);
	assert_non_null(strstr(err.msg, "a name that was not asked for"));
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, set_up, fault_store_close)

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(names_that_azure_would_change_are_not_valid),
	    cmocka_unit_test(the_account_is_found_where_it_stands),
	    TEST(a_condition_that_fails_is_false_however_it_is_said),
	    TEST(a_lease_of_another_client_is_no_false_condition),
	    TEST(a_missing_container_is_no_absent_object),
	    TEST(a_404_that_no_object_store_says_is_no_absence),
	    TEST(a_write_with_a_condition_that_a_busy_server_answers_is_unknown),
	    TEST(a_read_that_does_not_fit_its_md5_is_read_again),
	    TEST(a_copy_is_asked_after_until_it_is_done),
	    TEST(a_copy_that_failed_or_was_overwritten_is_no_success),
	    TEST(a_directory_has_no_bytes_under_a_file_s_name),
	    TEST(a_marker_s_deletion_takes_no_file_along),
	    TEST(listings_show_files_and_markers_but_not_the_namespace_s_own_directories),
	    TEST(metadata_is_not_taken_for_a_property),
	    TEST(a_listing_that_is_cut_is_an_error),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
