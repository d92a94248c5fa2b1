import { afterAll, expect, test } from "vitest";
import { createClient } from "../../src/client/index.ts";
import type { VmConnection } from "../../src/client/types.ts";
import type { registry } from "../../src/server.ts";
import { seededRandom } from "../support/random.ts";
import { type ServerProcess, startServerProcess } from "../support/server-process.ts";
import { temporaryFolder } from "../support/temporary-folder.ts";

/** `npm run crash-test` asks for more. */
const ROUNDS = Number(process.env.AGENT_VM_CRASH_ROUNDS ?? 6);
const WRITERS = 4;

const dataDir = temporaryFolder();
let server: ServerProcess | undefined;
afterAll(() => server?.stop());

const text = (bytes: Uint8Array) => new TextDecoder().decode(bytes);

/** Writes numbers through the API until the server dies; `acknowledged` and `begun` tell how far it came. */
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
        // Every other one by a move, so that the order of the journal matters.
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

/** What runs in the VM meanwhile: shell, python and git, each file written whole or not at all. */
const INSIDE = `cd /workspace
[ -d repo ] || { git init -q repo; git -C repo config user.email a@b; git -C repo config user.name a; }
( i=0; while :; do i=$((i+1)); echo $i > n.tmp; mv n.tmp shell; sleep 0.01; done ) &
( cd repo; rm -f .git/*.lock; while :; do date +%N >> log; git add log; git commit -qm more; done ) 2>/dev/null &
python3 -c '
import os, time
for i in range(10**9):
    with open("python.tmp", "w") as f: f.write("x" * 5000 + str(i))
    os.rename("python.tmp", "python"); time.sleep(0.01)
' &
wait`;

test(
  `${ROUNDS} SIGKILLs at random instants lose nothing that was acknowledged and leave no file torn`,
  async () => {
    let writers = Array.from({ length: WRITERS }, (_, index) => new Writer(index, 0));
    let kept = 0;
    for (let round = 0; round <= ROUNDS; round++) {
      const random = seededRandom(round);
      server = await startServerProcess({ dataDir, env: { AGENT_VM_RUNTIME: "kernel" } });
      const client = createClient<typeof registry>({ endpoint: server.endpoint });
      const vm = client.vm.getOrCreate("crash").connect();
      const starts: number[] = [];
      for (const { path, acknowledged, begun } of writers) {
        const found = (await vm.exists(path)) ? Number(text(await vm.readFile(path))) : 0;
        expect(found).toBeGreaterThanOrEqual(acknowledged);
        expect(found).toBeLessThanOrEqual(begun);
        starts.push(found);
      }
      const { stdout: mark } = await vm.exec("cat /workspace/mark 2>/dev/null || echo 0");
      expect(Number(mark)).toBeGreaterThanOrEqual(kept);
      const { stdout: state } = await vm.exec(
        "[ ! -e shell ] || grep -qx '[0-9]*' shell || echo torn shell; [ ! -e python ] || grep -qx 'x\\{5000\\}[0-9]*' python || echo torn python; [ ! -e repo/.git/HEAD ] || git -C repo fsck --strict 2>&1 | grep -v dangling",
        { cwd: "/workspace" },
      );
      expect(state).toBe("");
      if (round === ROUNDS) {
        await client.dispose();
        break;
      }
      await vm.spawn("bash", ["-c", INSIDE]);
      writers = starts.map((start, index) => new Writer(index, start));
      const writing = writers.map((writer) => writer.run(vm));
      const marking = (async () => {
        for (let mine = Math.max(kept, Number(mark)) + 1; ; mine++) {
          await vm.exec(`echo ${mine} > /workspace/mark`);
          await vm.checkpoint();
          kept = mine;
        }
      })().catch(() => undefined);
      await new Promise((resolve) => setTimeout(resolve, 100 + random.below(1200)));
      server.process.kill("SIGKILL");
      await server.exited;
      await client.dispose();
      await Promise.all([...writing, marking]);
    }
  },
  60_000 + ROUNDS * 20_000,
);
