/* SPDX-License-Identifier: Apache-2.0 */
#include "hooks/store/s3_xml.h"

#include <errno.h>
#include <string.h>

void s3_xml_init(struct s3_xml *x, const char *text, size_t len)
{
	memset(x, 0, sizeof(*x));
	x->p = text;
	x->end = text + len;
}

bool s3_xml_is(const struct s3_xml_event *e, const char *name)
{
	return e->name_len == strlen(name) && !memcmp(e->name, name, e->name_len);
}

static bool is_blank(char c)
{
	return c == ' ' || c == '\t' || c == '\n' || c == '\r';
}

static bool begins(const struct s3_xml *x, const char *s)
{
	size_t n = strlen(s);

	return (size_t)(x->end - x->p) >= n && !memcmp(x->p, s, n);
}

/* Past the next `s`. */
static bool skip_past(struct s3_xml *x, const char *s)
{
	const char *hit = memmem(x->p, (size_t)(x->end - x->p), s, strlen(s));

	if (!hit)
		return false;
	x->p = hit + strlen(s);
	return true;
}

/* At a name: its local part. False: there is none. */
static bool read_name(struct s3_xml *x, const char **ret, size_t *ret_len)
{
	const char *start = x->p;

	while (x->p < x->end && !is_blank(*x->p) && !strchr("/>=<\"'&", *x->p)) {
		if (*x->p == ':')
			start = x->p + 1;
		x->p++;
	}
	*ret = start;
	*ret_len = (size_t)(x->p - start);
	return *ret_len > 0;
}

/* Past the attributes to '>' (consumed). *ret_empty: "/>". */
static bool skip_attributes(struct s3_xml *x, bool *ret_empty)
{
	while (x->p < x->end) {
		char c = *x->p++;

		if (c == '"' || c == '\'') {
			const char *quote = memchr(x->p, c, (size_t)(x->end - x->p));

			if (!quote)
				return false;
			x->p = quote + 1;
		} else if (c == '>') {
			*ret_empty = x->p[-2] == '/';
			return true;
		} else if (c == '<') {
			return false;
		}
	}
	return false;
}

static int close_element(struct s3_xml *x, const char *text_end, struct s3_xml_event *ret)
{
	unsigned top = x->depth - 1;

	ret->kind = S3_XML_CLOSE;
	ret->depth = x->depth;
	ret->name = x->stack[top].name;
	ret->name_len = x->stack[top].len;
	ret->text = x->stack[top].text;
	ret->text_len = x->stack[top].children ? 0 : (size_t)(text_end - x->stack[top].text);
	x->depth--;
	return 1;
}

static int open_element(struct s3_xml *x, struct s3_xml_event *ret)
{
	const char *name;
	size_t len;
	bool empty;

	x->p++;
	if ((x->depth == 0 && x->seen_root) || x->depth == S3_XML_DEPTH || !read_name(x, &name, &len) ||
	    !skip_attributes(x, &empty))
		return -EINVAL;
	x->seen_root = true;
	if (x->depth > 0)
		x->stack[x->depth - 1].children = true;
	x->stack[x->depth].name = name;
	x->stack[x->depth].len = len;
	x->stack[x->depth].text = x->p;
	x->stack[x->depth].children = false;
	x->depth++;
	x->close_next = empty;
	*ret = (struct s3_xml_event){.kind = S3_XML_OPEN, .depth = x->depth, .name = name, .name_len = len};
	return 1;
}

static int end_tag(struct s3_xml *x, struct s3_xml_event *ret)
{
	const char *text_end = x->p, *name;
	size_t len;

	x->p += 2;
	if (x->depth == 0 || !read_name(x, &name, &len) || len != x->stack[x->depth - 1].len ||
	    memcmp(name, x->stack[x->depth - 1].name, len) != 0)
		return -EINVAL;
	while (x->p < x->end && is_blank(*x->p))
		x->p++;
	if (x->p == x->end || *x->p++ != '>')
		return -EINVAL;
	return close_element(x, text_end, ret);
}

int s3_xml_next(struct s3_xml *x, struct s3_xml_event *ret)
{
	if (x->close_next) {
		x->close_next = false;
		return close_element(x, x->p, ret);
	}
	for (;;) {
		while (x->p < x->end && *x->p != '<') {
			if (x->depth == 0 && !is_blank(*x->p) && *x->p != '\xef' && *x->p != '\xbb' && *x->p != '\xbf')
				return -EINVAL;
			x->p++;
		}
		if (x->p == x->end)
			return x->depth == 0 && x->seen_root ? 0 : -EINVAL;
		if (begins(x, "<!--")) {
			if (!skip_past(x, "-->"))
				return -EINVAL;
		} else if (begins(x, "<?")) {
			if (!skip_past(x, "?>"))
				return -EINVAL;
		} else if (begins(x, "<!")) {
			return -EINVAL;
		} else {
			return begins(x, "</") ? end_tag(x, ret) : open_element(x, ret);
		}
	}
}

static void add_utf8(struct strbuf *out, uint32_t c)
{
	if (c < 0x80) {
		strbuf_addc(out, (char)c);
	} else if (c < 0x800) {
		strbuf_addc(out, (char)(0xc0 | c >> 6));
		strbuf_addc(out, (char)(0x80 | (c & 0x3f)));
	} else if (c < 0x10000) {
		strbuf_addc(out, (char)(0xe0 | c >> 12));
		strbuf_addc(out, (char)(0x80 | (c >> 6 & 0x3f)));
		strbuf_addc(out, (char)(0x80 | (c & 0x3f)));
	} else {
		strbuf_addc(out, (char)(0xf0 | c >> 18));
		strbuf_addc(out, (char)(0x80 | (c >> 12 & 0x3f)));
		strbuf_addc(out, (char)(0x80 | (c >> 6 & 0x3f)));
		strbuf_addc(out, (char)(0x80 | (c & 0x3f)));
	}
}

/* "#10" or "#xA". 0: none. */
static uint32_t character_reference(const char *s, size_t len)
{
	unsigned base = 10;
	uint32_t c = 0;

	s++;
	len--;
	if (len > 0 && (*s == 'x' || *s == 'X')) {
		base = 16;
		s++;
		len--;
	}
	for (; len > 0; len--, s++) {
		int digit = *s >= '0' && *s <= '9'		   ? *s - '0'
			    : (*s | 32) >= 'a' && (*s | 32) <= 'f' ? (*s | 32) - 'a' + 10
								   : 99;

		if ((unsigned)digit >= base)
			return 0;
		c = c * base + (unsigned)digit;
		if (c > 0x10ffff)
			return 0;
	}
	return c >= 0xd800 && c < 0xe000 ? 0 : c;
}

static uint32_t entity(const char *s, size_t len)
{
	static const struct {
		const char *name;
		char c;
	} named[] = {{"lt", '<'}, {"gt", '>'}, {"amp", '&'}, {"quot", '"'}, {"apos", '\''}};

	if (len > 1 && len < 10 && *s == '#')
		return character_reference(s, len);
	for (size_t i = 0; i < sizeof(named) / sizeof(named[0]); i++)
		if (strlen(named[i].name) == len && !memcmp(named[i].name, s, len))
			return (unsigned char)named[i].c;
	return 0;
}

int s3_xml_text(const char *raw, size_t len, struct strbuf *out)
{
	const char *end = raw + len;

	while (raw < end) {
		const char *semicolon;
		uint32_t c;

		if (*raw == '\0')
			return -EINVAL;
		if (*raw != '&') {
			strbuf_addc(out, *raw++);
			continue;
		}
		semicolon = memchr(raw, ';', (size_t)(end - raw));
		c = semicolon ? entity(raw + 1, (size_t)(semicolon - raw - 1)) : 0;
		if (c == 0)
			return -EINVAL;
		add_utf8(out, c);
		raw = semicolon + 1;
	}
	return out->failed ? -ENOMEM : 0;
}

/* The first element `name` at this depth (0: any). */
static int find(const char *xml, size_t len, const char *root, unsigned depth, const char *name, struct strbuf *out)
{
	struct s3_xml_event e, found = {0};
	struct s3_xml x;
	int r;

	s3_xml_init(&x, xml, len);
	while ((r = s3_xml_next(&x, &e)) > 0) {
		if (e.depth == 1 && e.kind == S3_XML_OPEN && root && !s3_xml_is(&e, root))
			return -ENOENT;
		if ((depth == 0 || e.depth == depth) && e.kind == S3_XML_CLOSE && !found.name && s3_xml_is(&e, name))
			found = e;
	}
	if (r < 0)
		return r;
	return found.name ? s3_xml_text(found.text, found.text_len, out) : -ENOENT;
}

int s3_xml_find(const char *xml, size_t len, const char *root, const char *name, struct strbuf *out)
{
	return find(xml, len, root, 2, name, out);
}

int s3_xml_any(const char *xml, size_t len, const char *name, struct strbuf *out)
{
	return find(xml, len, NULL, 0, name, out);
}
