#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
# What a volume keeps of a file: everything that programs rely on. Trees as they
# come out of git, npm, sqlite and python go to another node and are the same there.

load lib/common
load lib/volume
load lib/rich
setup_file() { s3_start; }
setup() { common_setup; }
teardown() { common_teardown; }

# The same tree in and out: what $T/src holds is copied into the volume on A, and compared on B and again on A.
round_trip() {
	rich A c1 'cp -a /src/. /data && /fulltree /data >/workspace/tree && diff -r --no-dereference /src /data'
	ok
	cp "$T/c1/rootfs/workspace/tree" "$T/written"
	rich B c2 '/fulltree /data >/workspace/tree; diff -r --no-dereference /src /data'
	ok
	diff -u "$T/written" "$T/c2/rootfs/workspace/tree"
	# And the tree in which it was written, from A's cache.
	rich A c3 '/fulltree /data >/workspace/tree'
	ok
	diff -u "$T/written" "$T/c3/rootfs/workspace/tree"
}

# --- trees of programs -----------------------------------------------------------

# A repository with some history: of this very project, in three commits.
make_repository() {
	local g=(git -C "$T/origin" -c user.name=t -c user.email=t@example.org -c gc.auto=0)
	git init -q -b main "$T/origin"
	cp -a "$HERE/../base" "$HERE/../oci" "$T/origin/"
	"${g[@]}" add base && "${g[@]}" commit -qm base
	"${g[@]}" add oci && "${g[@]}" commit -qm oci && "${g[@]}" tag -a -m one v1
	"${g[@]}" gc -q
	chmod +x "$T/origin/base/io.c" && ln -s base "$T/origin/link" && "${g[@]}" add . && "${g[@]}" commit -qm more
}

# What npm makes: packages within packages, .bin with links to what can be run, scopes.
make_node_modules() {
	python3 - "$T/src/node_modules" <<-'END'
		import os, sys
		root = sys.argv[1]
		def package(at, name, depth, i):
		    d = os.path.join(at, name)
		    os.makedirs(os.path.join(d, "lib", "internal"))
		    for f, text in (("package.json", '{"name": "%s", "version": "1.%d.0", "bin": "cli.js"}\n' % (name, i)), ("index.js", "module.exports = %d;\n" % i),
		                    ("README.md", "# %s\n" % name * 50), ("lib/internal/deep.js", "'use strict';\n"), ("cli.js", "#!/usr/bin/env node\n")):
		        open(os.path.join(d, f), "w").write(text)
		    os.chmod(os.path.join(d, "cli.js"), 0o755)
		    bin = os.path.join(at, ".bin")
		    os.makedirs(bin, exist_ok=True)
		    os.symlink("../%s/cli.js" % name, os.path.join(bin, os.path.basename(name)))
		    if depth > 0:
		        package(os.path.join(d, "node_modules"), "nested", depth - 1, i)
		for i in range(50):
		    package(root, ("@scope/" if i % 10 == 0 else "") + "package-%d" % i, i % 9, i)
		# As pnpm does it: the same file in several places.
		for i in range(1, 9):
		    os.link(root + "/package-1/README.md", root + "/package-1/README-%d.md" % i)
	END
}

programs_go_round() {
	mkdir "$T/src"
	make_repository
	git -c safe.directory='*' clone -q --no-local "$T/origin" "$T/src/clone"
	make_node_modules
	python3 -c 'import sys; sys.exit(not sys.prefix)' && /usr/bin/python3 -m venv --without-pip "$T/src/venv"
	rich A c1 'cp -a /src/. /data; cd /data && git clone -q --no-local /data/clone repository && python3 -m venv --without-pip python
		cat >wal.py <<-END
			import os, sqlite3
			db = sqlite3.connect("/data/wal.db", isolation_level=None)
			assert db.execute("PRAGMA journal_mode=WAL").fetchone() == ("wal",)
			db.execute("PRAGMA wal_autocheckpoint=0")
			db.execute("CREATE TABLE t (id INTEGER PRIMARY KEY, data BLOB)")
			for i in range(200):
			    db.execute("INSERT INTO t (data) VALUES (randomblob(3000))")
			os._exit(0)  # as if killed: the log stays
		END
		python3 wal.py && test -s wal.db-wal && test -s wal.db-shm && /fulltree /data >/workspace/tree'
	ok
	cp "$T/c1/rootfs/workspace/tree" "$T/written"
	(($(wc -l <"$T/written") > 1500)) || fail "only $(wc -l <"$T/written") entries"
	rich B c2 'cd /data && /fulltree /data >/workspace/tree && diff -r --no-dereference /src/node_modules node_modules && diff -r --no-dereference /src/clone clone
		for r in clone repository; do git -C $r status --porcelain && git -C $r fsck --full --strict && git -C $r log --oneline | wc -l; done
		/data/python/bin/python -c "import sys; print(sys.prefix)"
		python3 -c "import sqlite3; db = sqlite3.connect(\"/data/wal.db\"); print(db.execute(\"PRAGMA integrity_check\").fetchone()[0], db.execute(\"SELECT count(*) FROM t\").fetchone()[0])"'
	ok
	diff "$T/written" "$T/c2/rootfs/workspace/tree"
	is "$output" $'3\n3\n/data/python\nok 200'
	# What git and sqlite wrote there goes back.
	rich A c3 'cd /data && git -C repository status --porcelain && ls -d wal.db*
		python3 -c "import sqlite3; db = sqlite3.connect(\"/data/wal.db\"); print(db.execute(\"PRAGMA integrity_check\").fetchone()[0], db.execute(\"SELECT count(*) FROM t\").fetchone()[0])"'
	ok
	is "$output" $'wal.db\nok 200'
}

@test "a git clone, a node_modules, a database in WAL mode and a venv work on another node" {
	two_nodes
	programs_go_round
}

@test "a git clone, a node_modules, a database in WAL mode and a venv work on another node, over S3" {
	two_nodes s3
	programs_go_round
}

# --- what a file is ---------------------------------------------------------------

make_everything() {
	mkdir -p "$T/src"
	python3 - "$T/src" <<-'END'
		import os, sys
		os.chdir(sys.argv[1])
		def put(name, data=b"x"):
		    with open(name, "wb") as f: f.write(data)
		os.makedirs("deep/er/est"); os.makedirs("empty/too"); os.mkdir("shut")
		put("plain"); put("nothing", b"")
		# Names of one file, over directories; a file that is no link but the same.
		put("deep/one", b"linked"); os.link("deep/one", "deep/er/two"); os.link("deep/one", "a third"); put("deep/same", b"linked")
		put("no bytes", b""); os.link("no bytes", "no bytes either")
		# Attributes.
		for name in "plain", "deep", ".", "deep/one":
		    os.setxattr(name, "user.mime_type", b"text/plain"); os.setxattr(name, "user.raw", bytes(range(256))); os.setxattr(name, "user.none", b"")
		# Holes, small and large.
		for name, size in ("hole", 500000), ("large hole", 40000000), ("all hole", 9000000):
		    with open(name, "wb") as f: f.truncate(size)
		for name in "hole", "large hole":
		    with open(name, "r+b") as f: f.seek(300000); f.write(b"in the middle")
		put("zeros", bytes(300000))
		# Links of all kinds.
		for target, name in ("plain", "l1"), ("nowhere", "l2"), ("/etc/passwd", "l3"), ("..", "deep/l4"), ("l1", "l5"), (b"\xff\xfe", "l6"), ("x" * 4000, "l7"):
		    os.symlink(target, name)
		# Modes, owners, times to the nanosecond, before 1970 and after 2038.
		os.chmod("nothing", 0o000); os.chmod("shut", 0o700); os.chmod("empty", 0o1777); os.chmod("plain", 0o751)
		os.chown("plain", 1000, 1001); os.chown("deep/er", 4000000000, 4000000001); os.lchown("l1", 5, 6)
		for name, ns in ("plain", 1), ("l1", 1234567890123456789), ("nothing", -1500000000), ("zeros", 5000000000123456789), ("empty/too", 999999999):
		    os.utime(name, ns=(ns, ns), follow_symlinks=False)
	END
}

@test "modes, owners, nanoseconds, hard links, attributes, holes and links of all kinds go round" {
	two_nodes
	make_everything
	round_trip
	[[ $(grep -c '"./hole".*true\]$' "$T/written") == 1 && $(grep -c '"./zeros".*false\]$' "$T/written") == 1 ]] || fail "$(cat "$T/written")"
}

@test "modes, owners, nanoseconds, hard links, attributes, holes and links of all kinds go round, over S3" {
	two_nodes s3
	make_everything
	round_trip
}

@test "a hard link made or broken, an attribute changed: the next run finds it so" {
	two_nodes
	rich A c1 'cd /data; echo 1 >a; ln a b; ln a c; setfattr -n user.k -v 1 a; setfattr -n user.d -v 1 .; echo 2 >x; echo 3 >y'
	ok
	rich B c2 'cd /data; rm b; echo 1 >b; ln -f x y; ln x z; setfattr -n user.k -v 2 c; setfattr -x user.d .; /fulltree . >/workspace/tree'
	ok
	rich A c3 'cd /data; /fulltree . >/workspace/tree; stat -c "%n %h" a b c x y z; getfattr -d a . 2>&1'
	ok
	diff "$T/c2/rootfs/workspace/tree" "$T/c3/rootfs/workspace/tree"
	is "$output" $'a 2\nb 1\nc 2\nx 3\ny 3\nz 3\n# file: a\nuser.k="2"'
	try on A volrun volume files state
	ok
	unlike "$output" '->'
	try on B volrun volume inspect --check state
	ok
}

@test "set-id bits, ACLs, sockets, pipes and devices are not kept, and the run says so" {
	two_nodes
	rich A c1 'cd /data; touch f g; chmod 6755 f; mkfifo pipe; mknod dev c 1 3; python3 -c "import socket; socket.socket(socket.AF_UNIX).bind(\"s\")"; ls'
	ok
	is "$output" $'dev\nf\ng\npipe\ns'
	like "$stderr" 'are not kept'
	rich B c2 'cd /data; stat -c "%n %a" *'
	ok
	is "$output" $'f 755\ng 644'
}

# --- names -------------------------------------------------------------------------

make_names() {
	mkdir -p "$T/src"
	python3 - "$T/src" <<-'END'
		import os, sys
		os.chdir(os.fsencode(sys.argv[1]))
		names = [b"\xff\xfe", b"half \xc3", b"new\nline", b"tab\t", b"esc\x1b[31m", b"del\x7f", b"%", b"%41", b"100%25", b"%2e%2e", b"+", b"a+b c", b"&amp;<x>\"'", b"?a=b#c",
		         b"back\\slash", b"trailing ", b" leading", b" ", b"dot.", b"...", b"..x", b".x.", b"~", b"*", b"$(id)", b"`id`", b"-rf", b"\xef\xbf\xbe", b"\xef\xbf\xbf", b"\xed\xa0\x80",
		         "\U0001f600\u202egnp.exe".encode(), "u\u0308 \u00fc".encode(), b"x" * 255, b"_symlinks.json", b"meta", b"head", b".volrun", b"con", b"a:b", b"{}", b"\"\"", b"\\u0000", b"soh\x01", b".."  b" ", b"%00"]
		for n in names:
		    with open(n, "wb") as f: f.write(b"file " + n)
		    os.mkdir(b"in " + n[:250]); open(b"in " + n[:250] + b"/" + n, "wb").write(b"deep " + n)
		    os.symlink(n, b"to " + n[:250])
		os.makedirs(b"sub/_symlinks.json/x"); open(b"sub/_symlinks.json/x/y", "wb").write(b"1")
		os.makedirs(b"/".join([b"d" * 100] * 12)); open(b"/".join([b"d" * 100] * 12) + b"/far", "wb").write(b"over 1,024 bytes")
		os.link(b"\xff\xfe", b"sub/\xff linked")
	END
}

@test "names that are no keys go round" {
	two_nodes
	make_names
	round_trip
	# What can be a key is one, under its own name.
	is "$(cat "$T/store/$P/100%25")" 'file 100%25'
	is "$(cat "$T/store/$P/trailing ")" 'file trailing '
	is "$(jq -r '.["to %41"]' "$T/store/$P/_symlinks.json")" '%41'
}

@test "names that are no keys go round, over S3" {
	two_nodes s3
	make_names
	round_trip
	is "$(s3 get "$BUCKET" "$P/100%25")" 'file 100%25'
	is "$(s3 get "$BUCKET" "$P/trailing ")" 'file trailing '
	is "$(s3 get "$BUCKET" "$P/_symlinks.json" | jq -r '.["to %41"]')" '%41'
}

# A file, then a directory, then a link of the name that the links' document has.
own_symlinks_json() {
	rich A c1 'cd /data; echo mine >_symlinks.json; ln -s f l'
	ok
	rich B c2 'cd /data; cat _symlinks.json; readlink l; rm _symlinks.json; mkdir _symlinks.json; echo deep >_symlinks.json/x; ln -s g m'
	ok
	is "$output" $'mine\nf'
	rich A c3 'cd /data; cat _symlinks.json/x; readlink l m; rm -r _symlinks.json; ln -s /somewhere _symlinks.json'
	ok
	is "$output" $'deep\nf\ng'
	rich B c4 'cd /data; readlink _symlinks.json l m; rm l m'
	ok
	is "$output" $'/somewhere\nf\ng'
	rich A c5 'cd /data; find . | sort; readlink _symlinks.json'
	ok
	is "$output" $'.\n./_symlinks.json\n/somewhere'
}

@test "a run's own _symlinks.json, a file, a directory or a link, is kept apart from ours" {
	two_nodes
	own_symlinks_json
}

@test "a run's own _symlinks.json, a file, a directory or a link, is kept apart from ours, over S3" {
	two_nodes s3
	own_symlinks_json
}

# --- another tool's layout ----------------------------------------------------------

# put KEY TEXT, get KEY, keys: as a client that knows nothing of volrun.
put() {
	if [[ -n ${BUCKET:-} ]]; then printf '%s' "$2" | s3 put "$BUCKET" "$P/$1" -; else
		mkdir -p "$(dirname "$T/store/$P/$1")" && printf '%s' "$2" >"$T/store/$P/$1"
	fi
}
get() { if [[ -n ${BUCKET:-} ]]; then s3 get "$BUCKET" "$P/$1"; else cat "$T/store/$P/$1"; fi; }
keys() {
	if [[ -n ${BUCKET:-} ]]; then s3 ls "$BUCKET" "$P/" | cut -d ' ' -f 2- | jq -r . | sed "s|^$P/||" | sort; else
		find "$T/store/$P" -type f -printf '%P\n' | sort
	fi
}

# Windmill's: the files under their paths, _symlinks.json with the links.
another_tools_tree() {
	put main.py 'print(1)'
	put lib/util.py 'x = 1'
	put 'lib/with space.txt' 'text'
	put _symlinks.json '{"current": "lib/util.py", "lib/up": "../main.py", "abs": "/usr/bin/env"}'
	rich A c1 'cd /data; cat main.py current lib/up; echo; readlink abs; find . -type l | sort | tr "\n" " "
		echo more >new.txt; ln -s new.txt latest; rm abs; rm lib/util.py; ln -sf main.py current; ln main.py same.py'
	ok
	is "${lines[0]}" 'print(1)x = 1print(1)'
	is "${lines[1]}" /usr/bin/env
	is "${lines[2]}" "./abs ./current ./lib/up "
	is "$(keys)" $'_symlinks.json\nlib/with space.txt\nmain.py\nnew.txt\nsame.py'
	is "$(get _symlinks.json | jq -cS .)" '{"current":"main.py","latest":"new.txt","lib/up":"../main.py"}'
	is "$(get same.py)" 'print(1)'
	# It goes on with it: another file, other links; volrun takes that over again, on another node.
	put same.py 'print(2)'
	put _symlinks.json '{"current": "same.py", "lib/up": "../main.py"}'
	rich B c2 'cd /data; cat current main.py; readlink lib/up latest; stat -c "%n %h" main.py same.py; find . -type l | sort | tr "\n" " "'
	is "${lines[0]}" 'print(2)print(1)../main.py'
	is "${lines[1]}" 'main.py 1'
	is "${lines[2]}" 'same.py 1'
	is "${lines[3]}" './current ./lib/up '
	is "$(get _symlinks.json | jq -cS .)" '{"current":"same.py","lib/up":"../main.py"}'
}

@test "a tree of Windmill's layout is taken over, and written back so that it stays one" {
	two_nodes
	another_tools_tree
}

@test "a tree of Windmill's layout is taken over, and written back so that it stays one, over S3" {
	two_nodes s3
	another_tools_tree
}

@test "another tool's _symlinks.json takes no links away that it can't name" {
	two_nodes
	rich A c1 'cd /data; ln -s x "$(printf "\377")"; ln -s "$(printf "\376")" odd; ln -s y known'
	ok
	put _symlinks.json '{"added": "z"}'
	rich B c2 'cd /data; find . -type l | wc -l; readlink added "$(printf "\377")"; test ! -L known'
	ok
	is "$output" $'3\nz\nx'
}
