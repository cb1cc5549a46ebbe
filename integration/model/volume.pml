/* SPDX-License-Identifier: Apache-2.0 */
/*
 * volume.pml - the lease and the commit of a volume (docs/volumes.md §3-§5) as
 * a Promela model, for spin. `run`, beside it, checks it in many configurations.
 *
 * One volume with one file, on NK nodes. Every request to the store is in flight
 * for as long as it likes: Net lands it at any time, or never; whoever sent it
 * waits for the answer, or gives up (a lost reply, MAXTO times) and sends again
 * while the first one may still land. A process that pauses is one that is not
 * scheduled. A keeper is killed at any step (MAXCR), or its node loses power.
 *
 * Contents of the file: 0 absent, 1 and 2 what runs write, FOREIGN what another
 * tool wrote, TORN what a power cut left.
 *
 * What is asserted:
 *     no two holders believe in their lease at once                          §4
 *     epochs only grow; the register changes by its holder alone             §4
 *     a commit's tree was derived from the commit that it replaces           §5
 *     what a run starts with is the last commit's tree, or a foreign tool's  §3
 *     nothing foreign is overwritten or deleted that no run has seen         §3
 *     the bytes of the last commit, and those of a reader's, are there       §3, §5
 *     a tree with uncommitted changes is committed or set aside, never lost  §5
 */
#ifndef NK
#define NK 2	 /* nodes, one keeper each */
#endif
#ifndef MAXSEQ
#define MAXSEQ 2 /* commits */
#endif
#ifndef MAXEP
#define MAXEP 3	 /* epochs that are asked for */
#endif
#ifndef MAXTO
#define MAXTO 0	 /* lost replies */
#endif
#ifndef MAXCR
#define MAXCR 0	 /* keepers killed */
#endif
#ifndef MAXRN
#define MAXRN 0	 /* renewals that nothing asked for */
#endif
#ifndef MAXDAY
#define MAXDAY 0 /* how often 24 h pass: no request lives that long */
#endif
#ifndef NQ
#define NQ 2	 /* data requests in flight */
#endif
#ifndef NH
#define NH 2	 /* writes of the register in flight */
#endif
#ifndef PUTIF
#define PUTIF 0	 /* a plain PUT's condition: 0 none, 1 MD5 tag (S3), 2 generation (GCS) */
#endif
#ifndef DELIF
#define DELIF 0	 /* the same of a plain DELETE; most S3 servers have none */
#endif
#ifndef WRITER
#define WRITER 0 /* another tool writes the plain file once; 2: or deletes it */
#endif
#ifndef SYNC
#define SYNC 0	 /* commits during the run (§5, sync=) */
#endif
#ifndef RECOVER
#define RECOVER 0 /* 0: a dirty tree is set aside; 1: committed if nobody took the lease */
#endif
#ifndef POWER
#define POWER 0	 /* a kill may be a power cut */
#endif
#ifndef COLLECT
#define COLLECT 0 /* old packs are collected */
#endif
#ifndef READER
#define READER 0 /* a ro volume: reads one commit, slowly, without a lease */
#endif
#ifndef START
#define START 2	 /* the file at first: 0 absent, 1 there, 2 either */
#endif
#ifndef NOSTEAL
#define NOSTEAL 0 /* nobody is ever so slow that the lease expires */
#endif
#ifndef CARRY
#define CARRY 0	 /* a release carries the applied table as a hint, which an earlier version's acquisition leaves out (§3) */
#endif
#ifndef LARGE
#define LARGE 0	 /* a large file's immutable copy goes once its plain object was verified */
#endif

/* Seeded mistakes: docs/volumes.md §10 says what each does to data. 0: the sound protocol. */
#ifndef TRUTH
#define TRUTH 0	  /* 1: the plain file is the truth; 2: plain files without a commit are welcome, marks aside */
#endif
#ifndef FAST
#define FAST 0	  /* a conditional PUT of the one changed file in place of a commit */
#endif
#ifndef RELEASE
#define RELEASE 0 /* by 1: DELETE, 2: conditional DELETE */
#endif
#ifndef BLIND
#define BLIND 0	  /* a lost reply is taken for 1: done, 2: failed; without reading back */
#endif
#ifndef UNCOND
#define UNCOND 0  /* the commit is no conditional write */
#endif
#ifndef LASTTRY
#define LASTTRY 0 /* validity counts from the latest attempt, not from the one that the register shows */
#endif
#ifndef EARLY
#define EARLY 0	  /* a waiter takes the lease before the holder's own validity is over */
#endif
#ifndef NOCHECK
#define NOCHECK 0 /* validity is not checked after the restore */
#endif
#ifndef GONE
#define GONE 0	  /* a foreign deletion counts 1: 24 h after publishing, 2: at once; 0: if it was seen there after 24 h */
#endif
#ifndef TAKEALL
#define TAKEALL 0 /* recovery commits 1: whoever had the lease since, 2: after a power cut too, 3: overwrites the tree */
#endif
#ifndef CLEAN
#define CLEAN 0	  /* a commit during the run marks the tree clean */
#endif
#ifndef COLLECTS
#define COLLECTS 0 /* 1: at once; 2: before the commit; 3: what its own record does not name, whoever holds the lease */
#endif
#ifndef NAMES
#define NAMES 0	  /* a commit's objects are named by its number alone */
#endif
#ifndef SOON
#define SOON 0	  /* LARGE without waiting 24 h */
#endif

#define FREE 1
#define HELD 2
#define FOREIGN 3
#define TORN 4
/* Kinds of register writes, and of data requests. */
#define ACQUIRE 1
#define RENEW 2
#define COMMIT 3
#define APPLIED 4
#define LETGO 5
#define ERASE 6
#define PUT 1
#define PACK 2
#define UNPACK 3
/* Answers. */
#define YES 1
#define NO 2
#define AGAIN 3
#define LOST 4

/* --- the store ---------------------------------------------------------------- */

/*
 * The register. Its tag is its nonce; 0: absent. `alive`: the process that wrote it still knows the nonce. `carried`:
 * that it is published up to its commit stands in the hints alone.
 */
byte tag, epoch, state, owner, seq, applied;
bit alive, carried;
/* Records: of each commit its content, the pack that its bytes are in, and whether its run had seen the foreign file. */
byte rec[MAXSEQ + 1], where[MAXSEQ + 1];
bit saw[MAXSEQ + 1];
/* Packs, by the commit that they were staged for: 0 not there, else content + 1. */
byte pack[MAXSEQ + 2];
/* The plain file: content, generation. That it bears our mark is its not being FOREIGN. */
byte plain, gen, gens;

typedef Head { byte from; bit orphan, dead; byte kind, cond, nonce, epoch, seq, base, content, pack; bit saw }
typedef Data { byte from; bit orphan, fast; byte kind, val, old, gen, epoch }
Head h[NH];
Data d[NQ];
byte hreply[NK], dreply[NK];

/* --- the nodes ---------------------------------------------------------------- */

/* On disk: the tree, its clean mark (commit + 1), its dirty mark (epoch; commit it began with; of this boot). */
byte tree[NK], clean[NK], dirty[NK], dbase[NK];
bit boot[NK];
/* In memory: the tag last seen, that of the write under way, does it believe in its lease? */
byte known[NK], mine[NK];
bit valid[NK], kill[NK];
/* Was the write under way sent so lately that nobody can have waited it out? */
bit fresh[NK];

/* --- bookkeeping ---------------------------------------------------------------- */

byte maxepoch, asked, timeouts, crashes, renewals, days, foreign;
byte aged;    /* the commit that has been published for 24 h */
bit present;  /* the plain file was seen, as published, after those 24 h (kept with the applied table) */
bit seen = 1; /* a run has seen the foreign tool's file */
bit removed;  /* the foreign tool has deleted */
bit reading;
byte maxread;

inline clear_head(i) {
	h[i].from = 0; h[i].orphan = 0; h[i].dead = 0; h[i].kind = 0; h[i].cond = 0; h[i].nonce = 0; h[i].epoch = 0;
	h[i].seq = 0; h[i].base = 0; h[i].content = 0; h[i].pack = 0; h[i].saw = 0
}
inline clear_data(i) {
	d[i].from = 0; d[i].orphan = 0; d[i].fast = 0; d[i].kind = 0; d[i].val = 0; d[i].old = 0; d[i].gen = 0; d[i].epoch = 0
}

/* A write of the register lands. */
inline land_head(i) {
	r = NO;
	if
	:: h[i].kind == ERASE && (RELEASE == 1 || tag == h[i].cond) ->
		assert(tag != 0 && owner == h[i].from - 1 && epoch == h[i].epoch);
		tag = 0; state = 0; epoch = 0; owner = 0; r = YES
	:: h[i].kind != ERASE && (tag == h[i].cond || (UNCOND && h[i].kind == COMMIT)) ->
		r = YES;
		if
		:: h[i].kind == ACQUIRE ->
			assert(h[i].epoch > maxepoch); /* epochs only grow */
			maxepoch = h[i].epoch; epoch = h[i].epoch; state = HELD; owner = h[i].from - 1;
			if :: CARRY && h[i].saw -> applied = seq - 1; carried = 0 :: else fi
		:: else ->
			assert(state == HELD && owner == h[i].from - 1 && epoch == h[i].epoch) /* by the holder alone */
		fi;
		if
		:: h[i].kind == COMMIT ->
			assert(h[i].seq == seq + 1 && applied == seq);
			assert(h[i].base == seq);     /* derived from what it replaces: nobody's commit is lost */
			assert(h[i].content != TORN);
			assert(!(BLIND == 2 && h[i].orphan)); /* its keeper has reported it as failed */
			seq = h[i].seq; rec[seq] = h[i].content; where[seq] = h[i].pack; saw[seq] = h[i].saw;
			present = 0; carried = 0;
			/* Its objects' names are its own (epoch, number, random): what others staged is not under them. */
			if :: !NAMES && where[seq] == seq -> pack[seq] = rec[seq] + 1 :: else fi
		:: h[i].kind == APPLIED || h[i].kind == LETGO ->
			if :: CARRY && h[i].kind == LETGO && h[i].seq > applied -> carried = 1 :: else fi;
			applied = h[i].seq; if :: h[i].kind == LETGO -> state = FREE :: else fi
		:: else
		fi;
		tag = h[i].nonce; alive = !h[i].dead
	:: else
	fi;
	if :: !h[i].orphan -> hreply[h[i].from - 1] = r :: else fi;
	clear_head(i); r = 0
}

/* A data request lands. */
inline land_data(i) {
	r = YES;
	if
	:: d[i].kind == PUT && d[i].val != 0 && ((PUTIF == 1 && plain != d[i].old) || (PUTIF == 2 && gen != d[i].gen)) -> r = NO
	:: d[i].kind == PUT && d[i].val == 0 && ((DELIF == 1 && plain != d[i].old) || (DELIF == 2 && gen != d[i].gen)) -> r = NO
	:: d[i].kind == PUT && d[i].val != 0 && !(PUTIF == 1 && plain != d[i].old) && !(PUTIF == 2 && gen != d[i].gen) ->
		assert(plain != FOREIGN || seen);
		assert(!d[i].fast || (state == HELD && owner == d[i].from - 1 && epoch == d[i].epoch));
		plain = d[i].val;
#if PUTIF == 2 || DELIF == 2
		gens++; gen = gens
#endif
	:: d[i].kind == PUT && d[i].val == 0 && !(DELIF == 1 && plain != d[i].old) && !(DELIF == 2 && gen != d[i].gen) ->
		assert(plain != FOREIGN || seen);
		assert(!d[i].fast || (state == HELD && owner == d[i].from - 1 && epoch == d[i].epoch));
		plain = 0; gen = 0
	:: d[i].kind == PACK ->
		assert(where[seq] != d[i].old || rec[seq] == d[i].val); /* the truth's bytes stay what they are */
		pack[d[i].old] = d[i].val + 1
	:: d[i].kind == UNPACK ->
		/* The truth keeps its bytes; a large file's may be the verified plain object's. */
		assert(where[seq] != d[i].val || (LARGE && plain == rec[seq]));
		pack[d[i].val] = 0
	fi;
	if :: !d[i].orphan -> dreply[d[i].from - 1] = r :: else fi;
	clear_data(i); r = 0
}

#define QUIET (h[0].from == 0 && h[NH - 1].from == 0 && d[0].from == 0 && d[NQ - 1].from == 0)

/* The network, time, fate, and the other tool. */
active proctype Net() {
	byte r;
end:	do
	:: d_step { h[0].from -> land_head(0) }
	:: d_step { h[1].from -> land_head(1) }
	:: d_step { d[0].from -> land_data(0) }
	:: d_step { d[1].from -> land_data(1) }
#if NQ > 2
	:: d_step { d[2].from -> land_data(2) }
#endif
#if MAXCR > 0
	:: crashes < MAXCR -> atomic { crashes++; kill[0] = 1 }
	:: crashes < MAXCR -> atomic { crashes++; kill[1] = 1 }
#endif
#if MAXDAY > 0
	/* What nobody waits for is dead after 24 h; a reader is not that slow. */
	:: d_step { days < MAXDAY && !reading && (!h[0].from || h[0].orphan) && (!h[1].from || h[1].orphan) &&
		    (!d[0].from || d[0].orphan) && (!d[1].from || d[1].orphan) && (!d[NQ - 1].from || d[NQ - 1].orphan) ->
		days++; clear_head(0); clear_head(1); clear_data(0); clear_data(1); clear_data(NQ - 1);
		aged = applied }
#endif
#if WRITER
	:: d_step { foreign < 1 -> foreign++; plain = FOREIGN; gens++; gen = gens; seen = 0 }
#endif
#if WRITER == 2
	:: d_step { foreign < 1 && plain != 0 -> foreign++; plain = 0; gen = 0; removed = 1 }
#endif
	od
}

/* --- one write of the register (engine/register.c, lease.c: update_locked) -------- */

#define USED(z) (tag == z || known[0] == z || known[1] == z || known[NK - 1] == z || mine[0] == z || mine[1] == z || \
	mine[NK - 1] == z || (h[0].from && (h[0].cond == z || h[0].nonce == z)) || (h[1].from && (h[1].cond == z || h[1].nonce == z)))

inline send_head(kind_, seq_) {
	i = 1;
	do :: USED(i) -> i++ :: else -> break od; /* a nonce that nobody remembers is a new one */
	mine[k] = i;
	i = (h[0].from == 0 -> 0 : 1);
	h[i].from = k + 1; h[i].kind = kind_; h[i].cond = known[k]; h[i].nonce = mine[k]; h[i].epoch = ep; h[i].seq = seq_;
	if :: kind_ == COMMIT -> h[i].base = base; h[i].content = c; h[i].pack = p; h[i].saw = s :: else fi;
#if CARRY
	if :: kind_ == ACQUIRE -> h[i].saw = s :: else fi;
#endif
	hreply[k] = 0; i = 0; fresh[k] = (kind_ < LETGO)
}

/* The answer, or none; then what the register shows is what counts (§4). */
inline head_answer(kind_, seq_) {
	atomic {
		if
		:: hreply[k] == YES -> res = YES
		:: hreply[k] == NO -> res = AGAIN
		:: timeouts < MAXTO && hreply[k] != NO -> timeouts++;
			if :: h[0].from == k + 1 && h[0].nonce == mine[k] -> h[0].orphan = 1
			:: h[1].from == k + 1 && h[1].nonce == mine[k] -> h[1].orphan = 1 :: else fi;
			res = (BLIND == 0 -> AGAIN : (BLIND == 1 -> YES : LOST))
		fi;
		hreply[k] = 0;
		if
		:: res == YES -> known[k] = mine[k]
		:: res == AGAIN ->
			if
			:: tag == mine[k] -> known[k] = tag; res = YES
			:: kind_ == ERASE && tag == 0 -> res = YES
			:: tag != mine[k] && tag == known[k] -> skip
			:: tag != mine[k] && tag != known[k] && owner == k && epoch == ep && alive && kind_ != ERASE ->
				/* An earlier write of ours landed late: it may say it all already, and validity counts from it. */
				known[k] = tag; fresh[k] = (LASTTRY && fresh[k]);
				if
				:: kind_ == ACQUIRE || kind_ == RENEW || (kind_ == COMMIT && seq == seq_) ||
				   (kind_ == APPLIED && applied == seq_) || (kind_ == LETGO && state == FREE) -> res = YES
				:: else
				fi
			:: else -> res = LOST
			fi
		:: else
		fi;
		mine[k] = 0;
		if
		:: res == YES -> valid[k] = fresh[k]
		:: res == LOST -> valid[k] = 0
		:: else
		fi;
		if :: res != AGAIN -> fresh[k] = 0 :: else fi
	}
}
inline write_head(kind_, seq_) {
	do
	:: atomic { h[0].from == 0 || h[1].from == 0 -> send_head(kind_, seq_) };
		head_answer(kind_, seq_);
		if :: res != AGAIN -> break :: else fi
	od
}

/* --- one data request: validity is checked just before it is sent ---------------- */

#define ROOM (d[0].from == 0 || d[1].from == 0 || d[NQ - 1].from == 0)
inline send_data(kind_, val_, old_, fast_) {
	i = 0;
	do :: d[i].from -> i++ :: else -> break od;
	d[i].from = k + 1; d[i].kind = kind_; d[i].val = val_; d[i].old = old_;
#if PUTIF == 2 || DELIF == 2
	d[i].gen = gen;
#endif
	d[i].fast = fast_; d[i].epoch = (fast_ -> ep : 0); dreply[k] = 0; i = 0
}
inline orphan_data() {
	dreply[k] = 0; i = 0;
	do :: i < NQ -> if :: d[i].from == k + 1 -> d[i].orphan = 1 :: else fi; i++ :: else -> break od;
	i = 0
}

/* Publishes commit n, which the register names (engine/publish.c): HEAD, write, and again on 412. res: YES, or LOST. */
inline publish(n) {
	res = AGAIN;
	do
	:: atomic { res == AGAIN && valid[k] && plain == rec[n] -> res = YES }
	/* Foreign, and the commit's run had not seen it: theirs stays. */
	:: atomic { res == AGAIN && valid[k] && plain != rec[n] && plain == FOREIGN && !saw[n] -> res = YES }
	:: atomic { res == AGAIN && valid[k] && ROOM && plain != rec[n] && (plain != FOREIGN || saw[n]) ->
		send_data(PUT, rec[n], plain, 0); res = 0 }
	:: atomic { res == 0 && dreply[k] == YES -> dreply[k] = 0; res = YES }
	:: atomic { res == 0 && dreply[k] == NO -> dreply[k] = 0; res = AGAIN }
	:: atomic { res == 0 && dreply[k] == 0 && timeouts < MAXTO -> timeouts++; orphan_data(); res = AGAIN }
	:: atomic { res == AGAIN && !valid[k] -> res = LOST }
	:: atomic { res == YES || res == LOST -> break }
	od
}
/* Until it is done, renewing on the way: `goto out` when the lease is lost. */
inline publish_until(n) {
	do
	:: publish(n);
		if
		:: res == YES -> break
		:: else -> write_head(RENEW, 0); if :: res == LOST -> goto out :: else fi
		fi
	od
}
/* And noted. */
inline publish_all(n) {
	publish_until(n);
	write_head(APPLIED, n);
	if :: res == LOST -> goto out :: else fi
}

/* --- collection (§5), repacking ---------------------------------------------------- */

/* Is pack t named by the last commit, or by one that was replaced less than 24 h ago? */
#if COLLECTS == 1
#define NEEDED(t) (where[sq] == t)
#else
#define NEEDED(t) (where[sq] == t || (aged < sq && (where[aged] == t || where[sq - 1] == t)))
#endif
inline collect_one(t) {
	if
	:: atomic { pack[t] && t <= sq && !NEEDED(t) && valid[k] && ROOM -> send_data(UNPACK, t, 0, 0) };
		atomic { if :: dreply[k] -> dreply[k] = 0 :: timeouts < MAXTO -> timeouts++; orphan_data() fi }
#if LARGE
	/* The plain object is verified in the same breath; late writes of it are dead after 24 h. */
	:: atomic { pack[t] && where[sq] == t && (aged == sq || SOON) && rec[sq] && plain == rec[sq] && valid[k] && ROOM ->
		send_data(UNPACK, t, 0, 0) };
		atomic { if :: dreply[k] -> dreply[k] = 0 :: timeouts < MAXTO -> timeouts++; orphan_data() fi }
#endif
#if COLLECTS == 3
	:: atomic { pack[t] && where[sq] != t && ROOM -> send_data(UNPACK, t, 0, 0) }; atomic { dreply[k] -> dreply[k] = 0 }
#endif
	:: skip
	fi
}

/* --- a keeper ------------------------------------------------------------------------ */

#define THERE(n) (pack[where[n]] == rec[n] + 1 || rec[n] == 0)

/* What a start finds (engine/restore.c, foreign.c). */
inline restore() {
	d_step {
		s = (plain == FOREIGN);
		if
		:: plain == FOREIGN && !(sq > ap && saw[sq]) -> c = FOREIGN
		:: plain == FOREIGN && sq > ap && saw[sq] -> c = rec[sq]   /* overruled by a commit that is not published yet */
		:: plain != FOREIGN && TRUTH == 1 -> c = plain
		:: plain != FOREIGN && TRUTH == 2 && rec[sq] == 0 -> c = plain
		:: plain != FOREIGN && TRUTH != 1 && !(TRUTH == 2 && rec[sq] == 0) ->
			/* Late or half-applied writes of ours bear our mark and are ignored. */
			c = rec[sq];
			if
			:: plain == 0 && sq == ap && rec[sq] && (GONE == 2 || (GONE == 1 && aged == sq) || (GONE == 0 && present)) -> c = 0
			:: clean[k] == sq + 1 && !(LARGE && c == 0) -> c = tree[k]    /* warm: no data request */
			:: else -> assert(THERE(sq) || (LARGE && plain == rec[sq]) || !valid[k])
			fi
		fi;
		/* A look at the plain file that explains a later absence: it outlived every late request. */
		if :: plain == rec[sq] && sq == ap && aged == sq && valid[k] && !carried -> present = 1 :: else fi
	}
}
#define EXPECTED(x) (x == rec[sq] || (WRITER && (x == FOREIGN || rec[sq] == FOREIGN)) || (removed && x == 0))

inline forget() {
	known[k] = 0; mine[k] = 0; valid[k] = 0; fresh[k] = 0; hreply[k] = 0; dreply[k] = 0;
	ep = 0; sq = 0; ap = 0; res = 0; i = 0; c = 0; p = 0; s = 0; base = 0; old = 0; n = 0; now = 0
}
/* Requests of the process that is no more: nobody waits for them, nobody knows their nonces. */
inline die() {
	i = 0;
	do :: i < NH -> if :: h[i].from == k + 1 -> h[i].orphan = 1; h[i].dead = 1 :: else fi; i++ :: else -> break od;
	orphan_data();
	if :: owner == k -> alive = 0 :: else fi;
	forget()
}

/* Stage, and one conditional write of the register (engine/commit.c). `goto out` when the lease is lost. */
inline commit() {
	atomic {
		p = sq + 1;
		if
		:: c != FOREIGN && c != TORN && c && c == rec[sq] && THERE(sq) && COLLECT -> p = where[sq] /* not repacked */
		:: skip
		fi;
	}
#if NAMES
	atomic { ROOM -> send_data(PACK, c, p, 0) };
	atomic { if :: dreply[k] == YES -> dreply[k] = 0 :: timeouts < MAXTO -> timeouts++; orphan_data(); pack[p] = c + 1 fi };
#endif
#if COLLECTS == 2
	/* Repacked: the old pack goes, before the commit that needs it no more. */
	atomic { where[sq] != p && valid[k] && ROOM -> send_data(UNPACK, where[sq], 0, 0) }; atomic { dreply[k] -> dreply[k] = 0 };
#endif
	write_head(COMMIT, sq + 1);
	if :: res == LOST -> goto out :: else -> sq++; base = sq; s = 0 fi
}

proctype Keeper(byte k) {
	byte ep, sq, ap, res, i, c, p, base, old, n, now;
	bit s;
life:
	{
		skip;
again:		atomic { forget() };
endless:	if
		/*
		 * acquire (§4): one read, the wait and the write's sending in one step, for the delay is in flight. Held by
		 * another: the tag stood 1.25 x ttl, so that its holder's validity is over. Held by this node: the keeper is dead.
		 */
		:: atomic { asked < MAXEP && (h[0].from == 0 || h[1].from == 0) && (!NOSTEAL || state != HELD) &&
			k <= asked -> /* they are alike: the first to ask is called 0 */
			asked++; known[k] = tag; sq = seq; ap = applied; old = epoch; ep = epoch + 1;
#if CARRY
			if :: carried -> s = 1; ap = sq - 1 :: skip fi; /* an earlier version, or not */
#endif
			if :: state == HELD && owner != k && !EARLY -> valid[owner] = 0; fresh[owner] = 0 :: else fi;
			send_head(ACQUIRE, 0) };
			head_answer(ACQUIRE, 0);
			if :: res == AGAIN -> write_head(ACQUIRE, 0) :: else fi
		fi;
		if :: res == LOST -> goto again :: else fi;
		d_step {
			n = 0; s = 0;
			do :: n < NK -> assert(n == k || !valid[n] || !valid[k]); n++ :: else -> break od;
			n = 0
		}
		/* A tree that nobody committed (§5's table). */
		atomic {
			if
			:: dirty[k] && TAKEALL == 3 -> dirty[k] = 0; assert(tree[k] == rec[sq]) /* lost */
			:: dirty[k] && RECOVER && (dirty[k] == old || TAKEALL == 1) && (boot[k] || TAKEALL == 2) ->
				base = (dirty[k] == old -> sq : dbase[k]); c = tree[k]; now = 1; dirty[k] = ep; dbase[k] = base
			:: dirty[k] && TAKEALL != 3 && !(RECOVER && (dirty[k] == old || TAKEALL == 1) && (boot[k] || TAKEALL == 2)) ->
				dirty[k] = 0; clean[k] = 0 /* set aside: conflict-<epoch> */
			:: else
			fi;
			old = 0
		}
#if TRUTH == 1
		if :: sq > ap -> publish_all(sq); ap = sq :: else fi; /* else a half-published commit would be the tree */
#endif
		if :: now -> goto finish :: else fi;
		restore();
check:		if
		:: !NOCHECK && !valid[k] -> write_head(RENEW, 0); if :: res == LOST -> goto again :: else -> goto check fi
		/* The container starts. */
		:: atomic { valid[k] || NOCHECK ->
			assert(sq == seq && EXPECTED(c));
			if :: s -> seen = 1 :: else fi;
			tree[k] = c; base = sq; clean[k] = 0; dirty[k] = ep; dbase[k] = sq; boot[k] = 1 }
		fi;
		/* What the last holder had not published (keeper_finish.c, hold_redo). */
		if :: sq > ap -> publish_all(sq); ap = sq :: else fi;
use:		if
		:: renewals < MAXRN -> renewals++; write_head(RENEW, 0); if :: res == LOST -> goto out :: else -> goto use fi
		:: sq < MAXSEQ -> atomic { if :: tree[k] != 0 -> tree[k] = 0 :: tree[k] != 1 -> tree[k] = 1 :: tree[k] != 2 -> tree[k] = 2
#if COLLECT
			:: skip
#endif
			fi; c = tree[k] }
#if SYNC
			/* During the run: what is committed is a frozen copy; the tree stays dirty and goes on changing. */
			if
			:: sq + 1 < MAXSEQ ->
				commit();
				atomic { dbase[k] = sq; if :: CLEAN -> dirty[k] = 0; clean[k] = sq + 1 :: else fi };
				publish_all(sq); ap = sq;
				goto use
			:: skip
			fi
#endif
		:: atomic { c = tree[k]; skip }
		fi;
finish:
#if FAST
		if
		:: atomic { c != rec[sq] && valid[k] && ROOM -> send_data(PUT, c, plain, 1) }; atomic { dreply[k] }; goto fin
		:: else
		fi;
#endif
		/* The run has ended: commit what differs. */
		if
		:: sq > ap -> publish_all(sq); ap = sq
		:: else
		fi;
		if
		:: (c != rec[sq] || COLLECT) && sq < MAXSEQ -> commit();
			/* In this order, so that a kill between them leaves a dirty tree. */
			atomic { dirty[k] = 0; clean[k] = sq + 1 };
#if CARRY
			publish_until(sq); /* what the release says */
#else
			publish_all(sq);
#endif
			ap = sq
		:: c == rec[sq] -> atomic { dirty[k] = 0; clean[k] = sq + 1 }
		:: else /* the bound of this model */
		fi;
#if COLLECT
		collect_one(0); collect_one(1);
#if MAXSEQ > 1
		collect_one(2);
#endif
#endif
		atomic {
			valid[k] = 0; c = 0; p = 0; s = 0; base = 0; now = 0; dbase[k] = 0; boot[k] = 0;
#if MAXCR == 0
			tree[k] = 0; clean[k] = 0 /* only there it tells more than the record */
#endif
		};
#if RELEASE
		write_head(ERASE, 0);
#else
		write_head(LETGO, ap);
#endif
		goto again;
out:		/* Lost: the tree is set aside, what is in flight stays there (§4). */
		atomic { orphan_data(); dirty[k] = 0; clean[k] = 0; tree[k] = 0; dbase[k] = 0; boot[k] = 0 };
		goto again
	} unless { atomic { kill[k] ->
		kill[k] = 0;
#if POWER
		if :: dirty[k] -> tree[k] = TORN; boot[k] = 0 :: clean[k] = 0 :: skip fi;
#endif
		die() } }
	goto life;
fin:	atomic { known[k] = 0; mine[k] = 0; valid[k] = 0; fresh[k] = 0 }
}

#if READER
/* restore_read_only: the register, the record, its bytes; slow, but not for 24 h. */
proctype Reader() {
	byte n;
	if
	:: atomic { n = seq; reading = 1 };
		atomic { assert(THERE(n) || (LARGE && plain == rec[n])); reading = 0; n = 0 }
	:: skip
	fi
}
#endif

init {
	atomic {
		byte z;
		/* Commit 0, published. */
		if :: START != 1 -> plain = 0 :: START != 0 -> plain = 1; gen = 1; gens = 1; pack[0] = 2 fi;
		rec[0] = plain;
		for (z : 0 .. (NK - 1)) { run Keeper(z) }
#if READER
		run Reader()
#endif
	}
}
