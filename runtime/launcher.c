/* SPDX-License-Identifier: Apache-2.0 */
#include "runtime/launcher.h"

#include <elf.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stddef.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/io.h"
#include "runtime/handshake.h"

/*
 * The launcher's code, copied from here. It starts as the kernel starts each program: argc, argv and
 * envp on the stack; argv[0] is the path. Behind the code are the descriptor of the report and its type. Its head,
 * eight bytes (struct handshake_message), is put before the path, where nothing is needed any more.
 *
 *     fcntl(fd, F_SETFD, FD_CLOEXEC);
 *     execve(argv[0], argv + 1, envp);
 *     argv[0][-8] = {HS_NOT_EXECUTED, errno};
 *     write(fd, argv[0] - 8, 8 + strlen(argv[0]) + 1);
 *     exit_group(255);
 */
#if defined(__x86_64__)
#define LAUNCHER_MACHINE EM_X86_64
__asm__(".pushsection .rodata\n"
	"launcher_code:\n"
	"	mov	launcher_fd(%rip), %edi\n"
	"	mov	$2, %esi\n" /* F_SETFD */
	"	mov	$1, %edx\n" /* FD_CLOEXEC */
	"	mov	$72, %eax\n"
	"	syscall\n"
	"	test	%eax, %eax\n"
	"	js	1f\n"
	"	mov	(%rsp), %rcx\n" /* argc */
	"	mov	8(%rsp), %rdi\n"
	"	lea	16(%rsp), %rsi\n"
	"	lea	16(%rsp,%rcx,8), %rdx\n"
	"	mov	$59, %eax\n"
	"	syscall\n"
	"1:	neg	%eax\n"
	"	mov	8(%rsp), %rsi\n"
	"	xor	%edx, %edx\n"
	"2:	inc	%edx\n"
	"	cmpb	$0, -1(%rsi,%rdx)\n"
	"	jne	2b\n"
	"	sub	$8, %rsi\n"
	"	add	$8, %edx\n"
	"	mov	launcher_type(%rip), %ecx\n"
	"	mov	%ecx, (%rsi)\n"
	"	mov	%eax, 4(%rsi)\n"
	"	mov	launcher_fd(%rip), %edi\n"
	"	mov	$1, %eax\n"
	"	syscall\n"
	"	mov	$255, %edi\n"
	"	mov	$231, %eax\n"
	"	syscall\n"
	"	.balign 4\n"
	"launcher_fd:\n"
	"	.long	0\n"
	"launcher_type:\n"
	"	.long	0\n"
	"launcher_end:\n"
	".popsection\n");
#elif defined(__aarch64__)
#define LAUNCHER_MACHINE EM_AARCH64
__asm__(".pushsection .rodata\n"
	"	.balign 4\n"
	"launcher_code:\n"
	"	ldr	w0, launcher_fd\n"
	"	mov	x1, #2\n" /* F_SETFD */
	"	mov	x2, #1\n" /* FD_CLOEXEC */
	"	mov	x8, #25\n"
	"	svc	#0\n"
	"	tbnz	w0, #31, 1f\n"
	"	ldr	x3, [sp]\n" /* argc */
	"	ldr	x0, [sp, #8]\n"
	"	add	x1, sp, #16\n"
	"	add	x2, x1, x3, lsl #3\n"
	"	mov	x8, #221\n"
	"	svc	#0\n"
	"1:	neg	w3, w0\n"
	"	ldr	x4, [sp, #8]\n"
	"	mov	x2, #0\n"
	"2:	ldrb	w5, [x4, x2]\n"
	"	add	x2, x2, #1\n"
	"	cbnz	w5, 2b\n"
	"	sub	x1, x4, #8\n"
	"	add	x2, x2, #8\n"
	"	ldr	w5, launcher_type\n"
	"	str	w5, [x1]\n"
	"	str	w3, [x1, #4]\n"
	"	ldr	w0, launcher_fd\n"
	"	mov	x8, #64\n"
	"	svc	#0\n"
	"	mov	x0, #255\n"
	"	mov	x8, #94\n"
	"	svc	#0\n"
	"launcher_fd:\n"
	"	.word	0\n"
	"launcher_type:\n"
	"	.word	0\n"
	"launcher_end:\n"
	".popsection\n");
#endif

#ifdef LAUNCHER_MACHINE

/* Hidden: they are no symbols of an object, so nothing may look for them in a table of such. */
#pragma GCC visibility push(hidden)
extern const char launcher_code[], launcher_fd[], launcher_type[], launcher_end[];
#pragma GCC visibility pop

/* Where the launcher is loaded: the usual place of a program that doesn't choose another, far above mmap_min_addr. */
#define LOAD_ADDRESS 0x400000

struct image {
	Elf64_Ehdr head;
	Elf64_Phdr segment;
	char code[256];
};

static size_t make_image(struct image *image, int32_t report_fd)
{
	const int32_t type = HS_NOT_EXECUTED;
	size_t len = (size_t)(launcher_end - launcher_code), size = offsetof(struct image, code) + len;

	if (len > sizeof(image->code))
		return 0;
	*image = (struct image){
	    .head = {.e_ident = {ELFMAG0, ELFMAG1, ELFMAG2, ELFMAG3, ELFCLASS64, ELFDATA2LSB, EV_CURRENT},
		     .e_type = ET_EXEC,
		     .e_machine = LAUNCHER_MACHINE,
		     .e_version = EV_CURRENT,
		     .e_entry = LOAD_ADDRESS + offsetof(struct image, code),
		     .e_phoff = offsetof(struct image, segment),
		     .e_ehsize = sizeof(Elf64_Ehdr),
		     .e_phentsize = sizeof(Elf64_Phdr),
		     .e_phnum = 1},
	    .segment = {.p_type = PT_LOAD,
			.p_flags = PF_R | PF_X,
			.p_vaddr = LOAD_ADDRESS,
			.p_filesz = size,
			.p_memsz = size,
			.p_align = 0x10000},
	};
	memcpy(image->code, launcher_code, len);
	memcpy(image->code + (launcher_fd - launcher_code), &report_fd, sizeof(report_fd));
	memcpy(image->code + (launcher_type - launcher_code), &type, sizeof(type));
	return size;
}

static bool filter_lets_it(const struct seccomp_program *filter, int report_fd)
{
	const uint64_t close_on_exec[6] = {(uint64_t)report_fd, F_SETFD, FD_CLOEXEC};
	const uint64_t execute[6] = {[4] = AT_EMPTY_PATH};

	return seccomp_allows(filter, SYS_fcntl, close_on_exec) && seccomp_allows(filter, SYS_execveat, execute);
}

/* A limit of so few bytes (RLIMIT_FSIZE) that not even this fits is an error, and not the end by SIGXFSZ. */
static bool fill(int fd, const struct image *image, size_t size)
{
	ssize_t n;

	signal(SIGXFSZ, SIG_IGN);
	n = write(fd, image, size);
	signal(SIGXFSZ, SIG_DFL);
	return size && n == (ssize_t)size && memfd_seal(fd) == 0;
}

void launcher_open(const struct seccomp_program *filter, int sock, struct launcher *ret)
{
	_cleanup_close_ int fd = memfd_executable("volrun-launcher"), report_fd = fd < 0 ? -1 : dup(sock);
	struct image image;

	*ret = (struct launcher){-1, -1};
	if (report_fd < 0 || !filter_lets_it(filter, report_fd))
		return;
	if (fill(fd, &image, make_image(&image, report_fd)))
		*ret = (struct launcher){TAKE_FD(fd), TAKE_FD(report_fd)};
}

#else

void launcher_open(const struct seccomp_program *filter, int sock, struct launcher *ret)
{
	(void)filter;
	(void)sock;
	*ret = (struct launcher){-1, -1};
}

#endif

int launcher_report_to(const struct launcher *l, int sock, struct error *err)
{
	if (l->fd >= 0 && dup2(sock, l->report_fd) < 0)
		return error_errno(err, errno, "give the launcher the socket of `start`");
	return 0;
}

void launcher_execute(const struct launcher *l, const char *const *argv, const char *const *env)
{
	if (l->fd < 0)
		return;
	syscall(SYS_execveat, l->fd, "", argv, env, AT_EMPTY_PATH);
	/* What is executed in its place must not have it. */
	fcntl(l->report_fd, F_SETFD, FD_CLOEXEC);
}
