/* SPDX-License-Identifier: Apache-2.0 */
#include "hooks/checkpoint_note.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <string.h>
#include <sys/stat.h>

#include "base/cleanup.h"
#include "base/io.h"
#include "base/path.h"
#include "hooks/store/sign.h"

#define NOTE_FORMAT 1
#define NOTE_MAX_SIZE 65536

static const struct json_field note_fields[] = {
    JSON_FIELD(struct checkpoint_note, format, "format", JSON_U32, .required = true),
    JSON_LIST(struct checkpoint_note, volumes, "volumes", JSON_ARR_OBJ, .table = &checkpoint_volume_table,
	      .max_count = IO_MAX_FDS, .required = true),
    {NULL},
};
static const struct json_table note_table = {"note", sizeof(struct checkpoint_note), note_fields, JSON_STRICT};

int checkpoint_note_write(const char *path, struct checkpoint_note *note, struct error *err)
{
	_cleanup_strbuf_ struct strbuf text = STRBUF_INIT;
	int r;

	note->format = NOTE_FORMAT;
	json_write(&text, &note_table, note, 0);
	strbuf_addc(&text, '\n');
	r = text.failed ? -ENOMEM : write_file_atomic_at(AT_FDCWD, path, text.data, text.len, 0600, false);
	return r < 0 ? error_set(err, r, "%s can't be written (error %d)", path, -r) : 0;
}

static bool is_sha256(const char *text)
{
	return text && strlen(text) == SHA256_HEX_MAX - 1 && text[strspn(text, "0123456789abcdef")] == '\0';
}

int checkpoint_note_parse(const char *text, size_t len, struct arena *a, struct checkpoint_note *ret, struct error *err)
{
	int r = json_parse(text, len, "note", &note_table, a, ret, err);

	if (r == 0 && ret->format != NOTE_FORMAT)
		return error_set(err, ENOTSUP, "note: it is of a newer format (%u): upgrade volrun", ret->format);
	for (size_t i = 0; r == 0 && i < ret->n_volumes; i++) {
		const struct checkpoint_volume *v = &ret->volumes[i];

		if (v->seq > 0 ? v->epoch == 0 || !is_sha256(v->record) : v->epoch > 0 || v->record)
			r = error_set(err, EINVAL, "note: $.volumes[%zu]: no commit is like that", i);
		for (size_t k = 0; r == 0 && k < i; k++)
			if (strcmp(ret->volumes[k].destination, v->destination) == 0)
				r = error_set(err, EINVAL, "note: $.volumes[%zu]: stands there twice", i);
	}
	return r;
}

/* Whoever made the images may have put anything in its place. */
static int read_note(const char *path, struct arena *a, struct checkpoint_note *ret, struct error *err)
{
	_cleanup_close_ int fd = open(path, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC | O_NOCTTY);
	_cleanup_free_ char *text = NULL;
	struct stat st;
	size_t len;
	int r = fd < 0 ? -errno : 0;

	*ret = (struct checkpoint_note){0};
	if (r == -ENOENT)
		return 0;
	if (r == 0 && (fstat(fd, &st) < 0 || !S_ISREG(st.st_mode)))
		r = -EINVAL;
	if (r == 0)
		r = read_fd(fd, NOTE_MAX_SIZE, &text, &len);
	if (r < 0)
		return error_set(err, r, "%s can't be read (error %d)", path, -r);
	r = checkpoint_note_parse(text, len, a, ret, err);
	return r < 0 ? error_wrap(err, "%s", path) : 0;
}

int checkpoint_note_apply(const char *path, struct arena *a, struct keeper_request *q, struct error *err)
{
	struct checkpoint_note note;
	int r = read_note(path, a, &note, err);

	if (r < 0)
		return r;
	q->checkpoint = path;
	for (size_t i = 0; i < q->n_volumes; i++)
		for (size_t k = 0; k < note.n_volumes; k++)
			if (strcmp(q->volumes[i].destination, note.volumes[k].destination) == 0)
				q->volumes[i].checkpoint = &note.volumes[k];
	return 0;
}

int checkpoint_check(const struct keeper_request *q, const struct keeper_request_volume *v,
		     const struct checkpoint_volume *now, struct error *err)
{
	const struct checkpoint_volume *then = v->checkpoint;

	if (!then || (then->epoch == now->epoch && then->seq == now->seq &&
		      (then->seq == 0 || (now->record && strcmp(then->record, now->record) == 0))))
		return 0;
	return error_set(err, ESTALE,
			 "it is not as the checkpoint left it: it has commit %" PRIu64 " of lease %" PRIu64
			 ", the checkpoint is of commit %" PRIu64 " of lease %" PRIu64
			 "; to restore nonetheless, with the files as they are now, remove %s",
			 now->seq, now->epoch, then->seq, then->epoch, q->checkpoint ? q->checkpoint : "the note");
}
