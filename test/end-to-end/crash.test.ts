// @module-tag slow
import { afterAll, expect, onTestFailed, test } from "vitest";
import { createClient } from "../../src/client/index.ts";
import type { VmConnection } from "../../src/client/types.ts";
import type { registry } from "../../src/server.ts";
import { seededRandom } from "../support/random.ts";
import { type ServerProcess, startTestServer } from "../support/servers.ts";
import { temporaryFolder } from "../support/temporary-folder.ts";

/** `npm run crash-test` sets a larger number. */
const ROUNDS = Number(process.env.AGENT_VM_CRASH_ROUNDS ?? 12);
const WRITERS = 4;

const dataDir = temporaryFolder();
let server: ServerProcess | undefined;
afterAll(() => server?.stop());

const text = (bytes: Uint8Array) => new TextDecoder().decode(bytes);

/** Writes numbers through the API until the server dies. `begun` and `acknowledged` are its last numbers. */
class Writer {
  acknowledged: number;
  begun: number;
  readonly path: string;

  constructor(index: number, start: number) {
    this.path = `/workspace/api-${index}`;
    this.acknowledged = start;
    this.begun = start;
  }

  async run(vm: VmConnection): Promise<void> {
    try {
      for (;;) {
        this.begun += 1;
        // Every other number arrives by a move, so that the order of the journal matters.
        if (this.begun % 2 === 0) await vm.writeFile(this.path, `${this.begun}`);
        else {
          await vm.writeFile(`${this.path}.new`, `${this.begun}`);
          await vm.move(`${this.path}.new`, this.path);
        }
        this.acknowledged = this.begun;
      }
    } catch {
      // The server is dead.
    }
  }
}

/** Writers in the VM: shell, python, git and SQLite. Each writes a file or commit whole or not at all. */
const INSIDE = `cd /workspace
[ -d repo ] || { git init -q repo; git -C repo config user.email a@b; git -C repo config user.name a; }
( i=0; while :; do i=$((i+1)); echo $i > n.tmp; mv n.tmp shell; sleep 0.01; done ) &
( cd repo; rm -f .git/*.lock; while :; do date +%N >> log; git add log; git commit -qm more; done ) 2>/dev/null &
python3 -c '
import os, sqlite3, time
db = sqlite3.connect("db", isolation_level=None, timeout=60)
db.execute("pragma journal_mode=wal")
db.execute("create table if not exists t (n integer primary key, v text)")
for i in range(10**9):
    with open("python.tmp", "w") as f: f.write("x" * 5000 + str(i))
    os.rename("python.tmp", "python")
    db.execute("insert into t (v) values (hex(randomblob(500)))")
    time.sleep(0.01)
' &
wait`;

/** Prints the progress of the VM's writers: the test's mark, and the numbers of git commits and database rows. */
const COUNT = `cd /workspace; cat mark 2>/dev/null || echo 0
git -C repo rev-list --count HEAD 2>/dev/null || echo 0
python3 -c '
import sqlite3
try: print(sqlite3.connect("db", timeout=60).execute("select count(*) from t").fetchone()[0])
except sqlite3.OperationalError: print(0)'`;

/** Prints the faults in the writers' files. */
const FAULTS = `cd /workspace
[ ! -e shell ] || grep -qx '[0-9]*' shell || echo torn shell
[ ! -e python ] || grep -qx 'x\\{5000\\}[0-9]*' python || echo torn python
[ ! -e repo/.git/HEAD ] || git -C repo fsck --strict 2>&1 | grep -v dangling
[ ! -e db ] || python3 -c '
import sqlite3
db = sqlite3.connect("db", timeout=60)
[(state,)] = db.execute("pragma integrity_check").fetchall()
if state != "ok": print(state)
tables = db.execute("select count(*) from sqlite_master").fetchone()[0]
if tables and db.execute("select count(*) - max(n) from t").fetchone()[0]: print("rows are missing")'
true`;

async function countsOf(vm: VmConnection): Promise<number[]> {
  return (await vm.exec(COUNT)).stdout.trim().split("\n").map(Number);
}

test(
  `${ROUNDS} SIGKILLs at random instants lose no acknowledged write and tear no file`,
  async () => {
    onTestFailed(() => {
      process.stderr.write(`stderr of the last server (${server?.process.exitCode}): ${server?.stderr()}\n`);
    });
    let writers = Array.from({ length: WRITERS }, (_, index) => new Writer(index, 0));
    /** Progress that the last resolved checkpoint has kept. */
    let kept = [0, 0, 0];
    for (let round = 0; round <= ROUNDS; round++) {
      const random = seededRandom(round);
      server = await startTestServer({ kind: "kernel", process: true, dataDir });
      const client = createClient<typeof registry>({ endpoint: server.endpoint });
      const vm = client.vm.getOrCreate("crash").connect();
      const starts: number[] = [];
      for (const { path, acknowledged, begun } of writers) {
        const found = (await vm.exists(path)) ? Number(text(await vm.readFile(path))) : 0;
        expect(found).toBeGreaterThanOrEqual(acknowledged);
        expect(found).toBeLessThanOrEqual(begun);
        starts.push(found);
      }
      const [counts, { stdout: faults }] = await Promise.all([countsOf(vm), vm.exec(FAULTS)]);
      expect(faults).toBe("");
      for (const [index, count] of counts.entries()) expect(count).toBeGreaterThanOrEqual(kept[index] ?? 0);
      if (round === ROUNDS) {
        await client.dispose();
        break;
      }
      await vm.spawn("bash", ["-c", INSIDE]);
      writers = starts.map((start, index) => new Writer(index, start));
      const writing = writers.map((writer) => writer.run(vm));
      const marking = (async () => {
        for (let mark = Math.max(kept[0] ?? 0, counts[0] ?? 0) + 1; ; mark++) {
          await vm.exec(`echo ${mark} > /workspace/mark`);
          const reached = await countsOf(vm);
          await vm.checkpoint();
          kept = reached;
        }
      })().catch(() => undefined);
      await new Promise((resolve) => setTimeout(resolve, 50 + random.below(1000)));
      server.process.kill("SIGKILL");
      await server.exited;
      await client.dispose();
      await Promise.all([...writing, marking]);
    }
  },
  60_000 + ROUNDS * 20_000,
);
