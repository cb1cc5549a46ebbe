/* SPDX-License-Identifier: Apache-2.0 */
/*
 * s3_xml.h - reads the few XML documents that S3 answers with. The text is
 * hostile: nothing is believed before the document's end was seen, depth and
 * sizes are bounded, document types (and so entities of one's own) are refused.
 * No memory is kept. Tolerant of what servers do: any order of elements, any
 * namespace, attributes, unknown elements, comments.
 */
#ifndef VOLRUN_HOOKS_S3_XML_H
#define VOLRUN_HOOKS_S3_XML_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/error.h"
#include "base/strbuf.h"
#include "hooks/store/store.h"

#define S3_XML_DEPTH 16

enum s3_xml_kind { S3_XML_OPEN, S3_XML_CLOSE };

struct s3_xml_event {
	enum s3_xml_kind kind;
	unsigned depth;	  /* 1: the document's element */
	const char *name; /* local name, not NUL-terminated */
	size_t name_len;
	const char *text; /* CLOSE of an element without children: its raw text */
	size_t text_len;
};

struct s3_xml {
	const char *p, *end;
	unsigned depth;
	bool seen_root;
	struct {
		const char *name;
		size_t len;
		const char *text;
		bool children;
	} stack[S3_XML_DEPTH];
	bool close_next; /* <a/> */
};

void s3_xml_init(struct s3_xml *x, const char *text, size_t len);
/* 1: an event; 0: the end of a whole document; -EINVAL: it is none. */
int s3_xml_next(struct s3_xml *x, struct s3_xml_event *ret);
bool s3_xml_is(const struct s3_xml_event *e, const char *name);
/* Appends the text with its entities decoded. -EINVAL: an unknown one, or NUL. */
int s3_xml_text(const char *raw, size_t len, struct strbuf *out);

/*
 * The text of the first element `name` at depth 2 of a document whose element
 * is `root` (NULL: any), decoded. -ENOENT, -EINVAL; -ENOMEM.
 */
int s3_xml_find(const char *xml, size_t len, const char *root, const char *name, struct strbuf *out);
/* The same at any depth, of any document. */
int s3_xml_any(const char *xml, size_t len, const char *name, struct strbuf *out);

/* One page of ListObjectsV2. */
struct s3_page {
	bool truncated;
	struct strbuf token; /* for the next page, when truncated; strbuf_free it */
	size_t keys;	     /* in the page */
};

/*
 * Reads a page: first all of it is checked, then fn is called for each key.
 * Every key must begin with `prefix` (it is cut off by `cut` bytes before fn
 * sees it). -EINVAL when the page is not whole or not what was asked for; fn's
 * negative return. Keys with NUL are left out.
 */
int s3_page_read(const char *xml, size_t len, const char *prefix, size_t cut, store_list_fn fn, void *ctx,
		 struct s3_page *ret, struct error *err);

/* An entity tag as the engine sees it: without quotes; "" when it is no visible ASCII or too long. */
void s3_tag(const char *etag, size_t len, char ret[STORE_TAG_MAX]);

#endif
