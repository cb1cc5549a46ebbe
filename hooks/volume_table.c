/* SPDX-License-Identifier: Apache-2.0 */
/* The commands of `volrun volume`, and the completion scripts that are made of them. */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/error.h"
#include "hooks/volume_cmd.h"

/* clang-format off */
const struct volume_command volume_commands[] = {
    {"ls", "", 0, 0, false, "", "the volumes of a workspace in a store, who holds them, and what this node kept of them", volume_cmd_ls},
    {"inspect", "NAME", 1, 1, true, "check", "all that is known of one volume, as JSON", volume_cmd_inspect},
    {"create", "NAME", 1, 1, true, "owner wait", "makes an empty volume", volume_cmd_create},
    {"rm", "NAME", 1, 1, true, "force wait", "removes a volume and all its objects", volume_cmd_rm},
    {"files", "NAME [PATH]", 1, 2, true, "", "the files of its last commit", volume_cmd_files},
    {"cp", "FROM TO", 2, 2, false, "wait", "copies files out of a volume, into it (a commit), or between two; NAME:PATH or a path of this machine", volume_cmd_cp},
    {"share", "NAME u/USER|g/GROUP ro|rw", 3, 3, true, "", "gives somebody a permission", volume_cmd_share},
    {"unshare", "NAME u/USER|g/GROUP", 2, 2, true, "", "takes it away; without any, everybody in the workspace may use it", volume_cmd_unshare},
    {"lease", "NAME", 1, 1, true, "", "who holds it", volume_cmd_lease},
    {"break-lease", "NAME", 1, 1, true, "", "takes the lease from its holder, whose changes become a conflict", volume_cmd_break_lease},
    {"prefetch", "NAME", 1, 1, true, "", "brings this node's cache to the last commit", volume_cmd_prefetch},
    {"prune", "[NAME]", 0, 1, true, "", "removes volumes that nobody uses from this node's cache; without a name, all but pinned ones", volume_cmd_prune},
    {"recover", "[NAME]", 0, 1, true, "wait force", "commits or sets aside what keepers that died left on this node", volume_cmd_recover},
    {"conflicts", "ls [NAME] | show NAME ID | restore NAME ID [DIRECTORY] | drop NAME ID", 1, 4, false, "wait", "what was set aside", volume_cmd_conflicts},
    {"sync", "NAME|CONTAINER", 1, 1, false, "", "commits now what a running container has in a volume, or in all of its volumes", volume_cmd_sync},
    {"mount", "NAME DIRECTORY [ro|rw]", 2, 3, true, "wait", "mounts a volume on this machine, for a sandbox without hooks or for a person; it is held until unmount", volume_cmd_mount, true},
    {"unmount", "DIRECTORY", 1, 1, false, "force wait", "unmounts it, commits and releases", volume_cmd_unmount, true},
    {"pin", "NAME", 1, 1, true, "", "keeps a volume in this node's cache, whatever else it has to hold", volume_cmd_pin},
    {"unpin", "NAME", 1, 1, true, "", "lets it go when it is its turn", volume_cmd_unpin},
    {"drain", "", 0, 0, false, "wait force", "waits until no keeper of this node has a volume", volume_cmd_drain},
    {"check-store", "[STORE]", 0, 1, false, "", "tries a store with small objects of its own, and says what holds of what volumes need", volume_cmd_check_store},
    {"status", "", 0, 0, false, "", "the volumes in this node's cache, and the keepers at work", volume_cmd_status},
    {NULL},
};
/* clang-format on */

static const char *const common_options[] = {"config", "store", "workspace", "json", "help", NULL};

/* Names of volumes are asked of the command itself. */
static void bash_script(void)
{
	fputs(
	    "# bash completion for volrun volume; made by volrun-volume --completion=bash\n"
	    "_volrun() {\n"
	    "\tlocal cur=${COMP_WORDS[COMP_CWORD]} cmd=${COMP_WORDS[2]:-}\n"
	    "\tCOMPREPLY=()\n"
	    "\tif ((COMP_CWORD == 1)); then\n"
	    "\t\tCOMPREPLY=($(compgen -W \"$(volrun --help 2>/dev/null | sed -n 's/^  \\([a-z][a-z-]*\\) .*/\\1/p')\" -- "
	    "\"$cur\"))\n"
	    "\t\treturn\n"
	    "\tfi\n"
	    "\tcase ${COMP_WORDS[1]} in\n"
	    "\tdoctor) COMPREPLY=($(compgen -W '--config --json --help' -- \"$cur\")); return ;;\n"
	    "\tinstall) COMPREPLY=($(compgen -W '--print docker podman containerd crio k8s' -- \"$cur\")); return ;;\n"
	    "\tesac\n"
	    "\t[[ ${COMP_WORDS[1]} == volume ]] || { COMPREPLY=($(compgen -f -- \"$cur\")); return; }\n"
	    "\tif ((COMP_CWORD == 2)); then\n"
	    "\t\tCOMPREPLY=($(compgen -W \"",
	    stdout);
	for (const struct volume_command *v = volume_commands; v->name; v++)
		printf("%s%s", v == volume_commands ? "" : " ", v->name);
	fputs("\" -- \"$cur\"))\n\t\treturn\n\tfi\n\tif [[ $cur == -* ]]; then\n\t\tlocal options=\"", stdout);
	for (size_t i = 0; common_options[i]; i++)
		printf("%s--%s", i ? " " : "", common_options[i]);
	fputs("\"\n\t\tcase $cmd in\n", stdout);
	for (const struct volume_command *v = volume_commands; v->name; v++) {
		const char *o = v->options;

		if (!*o)
			continue;
		printf("\t\t%s) options+=\"", v->name);
		for (size_t n; *o; o += n + (o[n] == ' ')) {
			n = strcspn(o, " ");
			printf(" --%.*s", (int)n, o);
		}
		fputs("\" ;;\n", stdout);
	}
	fputs("\t\tesac\n\t\tCOMPREPLY=($(compgen -W \"$options\" -- \"$cur\"))\n\t\treturn\n\tfi\n\tcase $cmd in\n\t",
	      stdout);
	for (const struct volume_command *v = volume_commands; v->name; v++)
		if (v->named)
			printf("%s%s", v == volume_commands + 1 ? "" : "|", v->name);
	fputs(
	    ")\n\t\tCOMPREPLY=($(compgen -W \"$(volrun volume ls 2>/dev/null | awk 'NR > 1 { print $1 }')\" -- \"$cur\")) "
	    ";;\n"
	    "\tconflicts) COMPREPLY=($(compgen -W \"ls show restore drop\" -- \"$cur\")) ;;\n"
	    "\t*) COMPREPLY=($(compgen -f -- \"$cur\")) ;;\n"
	    "\tesac\n}\ncomplete -o filenames -F _volrun volrun\n",
	    stdout);
}

static void print_quoted(const char *s)
{
	for (; *s; s++)
		if (*s == '\'' || *s == ':')
			fputs(*s == '\'' ? "’" : "\\:", stdout);
		else
			putchar(*s);
}

static void zsh_script(void)
{
	fputs("#compdef volrun\n# zsh completion for volrun volume; made by volrun-volume --completion=zsh\n"
	      "_volrun_volume() {\n\tlocal -a commands\n\tcommands=(\n",
	      stdout);
	for (const struct volume_command *v = volume_commands; v->name; v++) {
		printf("\t\t'%s:", v->name);
		print_quoted(v->help);
		fputs("'\n", stdout);
	}
	fputs("\t)\n\tif ((CURRENT == 3)); then\n\t\t_describe command commands\n\telse\n\t\tcase $words[3] in\n\t\t",
	      stdout);
	for (const struct volume_command *v = volume_commands; v->name; v++)
		if (v->named)
			printf("%s%s", v == volume_commands + 1 ? "" : "|", v->name);
	fputs(
	    ") compadd -- ${(f)\"$(volrun volume ls 2>/dev/null | awk 'NR > 1 { print $1 }')\"} ;;\n"
	    "\t\tconflicts) compadd -- ls show restore drop ;;\n"
	    "\t\t*) _files ;;\n\t\tesac\n\tfi\n}\n"
	    "_volrun() {\n\tif ((CURRENT == 2)); then\n"
	    "\t\tcompadd -- ${(f)\"$(volrun --help 2>/dev/null | sed -n 's/^  \\([a-z][a-z-]*\\) .*/\\1/p')\"}\n"
	    "\telif [[ $words[2] == volume ]]; then\n\t\t_volrun_volume\n"
	    "\telif [[ $words[2] == doctor ]]; then\n\t\tcompadd -- --config --json --help\n"
	    "\telif [[ $words[2] == install ]]; then\n\t\tcompadd -- --print docker podman containerd crio k8s\n\telse\n\t\t_files\n\tfi\n}\n_volrun \"$@\"\n",
	    stdout);
}

static void fish_script(void)
{
	fputs(
	    "# fish completion for volrun volume; made by volrun-volume --completion=fish\n"
	    "complete -c volrun -n __fish_use_subcommand -a volume -d 'look after volumes'\n"
	    "complete -c volrun -n __fish_use_subcommand -a doctor -d 'look for what keeps volumes from working'\n"
	    "complete -c volrun -n __fish_use_subcommand -a install -d 'print what makes an engine know volrun'\n"
	    "complete -c volrun -n '__fish_seen_subcommand_from doctor' -l json -l config\n"
	    "complete -c volrun -n '__fish_seen_subcommand_from install' -l print -x -a 'docker podman containerd crio k8s'\n",
	    stdout);
	for (const struct volume_command *v = volume_commands; v->name; v++) {
		const char *o = v->options;

		printf(
		    "complete -c volrun -n '__fish_seen_subcommand_from volume; and test (count (commandline -opc)) -eq 2' "
		    "-f -a %s -d '",
		    v->name);
		for (const char *h = v->help; *h; h++)
			fputs(*h == '\'' ? "\\'" : (char[]){*h, 0}, stdout);
		fputs("'\n", stdout);
		for (size_t n; *o; o += n + (o[n] == ' ')) {
			n = strcspn(o, " ");
			printf("complete -c volrun -n '__fish_seen_subcommand_from %s' -l %.*s\n", v->name, (int)n, o);
		}
		if (v->named)
			printf("complete -c volrun -n '__fish_seen_subcommand_from %s' -f -a \"(volrun volume ls "
			       "2>/dev/null | awk 'NR > 1 { print \\$1 }')\"\n",
			       v->name);
	}
}

int volume_completion(const char *shell, struct error *err)
{
	if (strcmp(shell, "bash") == 0)
		bash_script();
	else if (strcmp(shell, "zsh") == 0)
		zsh_script();
	else if (strcmp(shell, "fish") == 0)
		fish_script();
	else
		return error_set(err, EINVAL, "completion: \"%.40s\" is not one of bash, zsh, fish", shell);
	return 0;
}
