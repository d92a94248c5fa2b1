// @module-tag slow
// @module-tag attack
import { expect, test } from "vitest";
import type { VmHandle } from "../../src/client/types.ts";
import { hostileProgram } from "../support/generated/hostile-program.ts";
import { resourcesOf, type ServerResources } from "../support/server-resources.ts";
import { startTestServer } from "../support/servers.ts";

/**
 * `npm run hostile` sets 200. `AGENT_VM_SEED=7` runs one alone, and `AGENT_VM_FIRST_SEED=7` the ones from 7 on. A seed takes two
 * to three seconds.
 */
const { AGENT_VM_SEEDS = "16", AGENT_VM_SEED, AGENT_VM_FIRST_SEED } = process.env;
const COUNT = Number(AGENT_VM_SEEDS);
/** Each hour has seeds of its own, so that runs cover different ones. */
const FIRST = Number(AGENT_VM_FIRST_SEED ?? Math.floor(Date.now() / 3_600_000) * COUNT);
const SEEDS =
  AGENT_VM_SEED === undefined
    ? Array.from({ length: COUNT }, (_, index) => FIRST + index)
    : [Number(AGENT_VM_SEED)];
const EXECS = 40;
/** Bound of the slowest commands beside a hostile program, in times of the slowest ones without. */
const SLOWDOWN = 60;
/** Memory that a server may keep after all seeds, for code and caches. */
const KEPT_MIB = 300;

const FILES = 20;
const CHECK = "cd /workspace && cat file-* | sha256sum && ls | wc -l";

async function witnessed(witness: VmHandle, expected: string, durations: number[]): Promise<void> {
  for (let count = 0; count < EXECS; count++) {
    const begun = performance.now();
    expect((await witness.exec(CHECK)).stdout).toBe(expected);
    durations.push(performance.now() - begun);
  }
}

/** Names the resources that have become more. */
const grown = (before: ServerResources, now: ServerResources) =>
  (Object.keys(before) as (keyof ServerResources)[]).filter((name) => now[name] > before[name]);

const p99 = (durations: number[]) =>
  durations.sort((one, other) => one - other)[Math.floor((durations.length - 1) * 0.99)] as number;

test(
  `${SEEDS.length} generated hostile programs: the VM beside them works, and nothing of them stays`,
  async () => {
    const server = await startTestServer({ kind: "kernel", process: true });
    const pid = server.process.pid as number;
    const client = server.client();
    const witness = client.vm.getOrCreate("witness");
    await witness.writeFiles(
      Array.from({ length: FILES }, (_, index) => ({
        path: `/workspace/file-${index}`,
        content: `${index}`.repeat(10_000),
      })),
    );
    const expected = (await witness.exec(CHECK)).stdout;
    const first = client.vm.getOrCreate("first");
    await first.spawn("sleep", ["1000"]);
    await first.destroy();
    const [before, memory] = [resourcesOf(pid), server.residentMib()];

    const [idle, beside]: [number[], number[]] = [[], []];
    for (const seed of SEEDS) {
      const which = `seed ${seed}, again with AGENT_VM_SEED=${seed}`;
      const hostile = client.vm.getOrCreate(`hostile-${seed}`);
      await witnessed(witness, expected, idle);
      await hostile.writeFile("/tmp/program.sh", hostileProgram(seed));
      await hostile.spawn("bash", ["/tmp/program.sh"]);
      const storing = hostile
        .checkpoint()
        .catch(({ code }) => expect(code, which).not.toBe("internal_error"));
      await witnessed(witness, expected, beside).catch((error) => {
        throw new Error(`${which}: ${error}`, { cause: error });
      });
      await storing;
      await hostile.destroy();
      expect(server.process.exitCode, which).toBeNull();
      await expect
        .poll(() => grown(before, resourcesOf(pid)), { message: which, timeout: 60_000 })
        .toEqual([]);
    }
    const [slow, quick] = [p99(beside), p99(idle)];
    console.log(
      `${SEEDS.length} seeds: exec p99 ${quick.toFixed(0)} ms idle, ${slow.toFixed(0)} ms beside hostile programs; server ${memory.toFixed(0)} MiB before, ${server.residentMib().toFixed(0)} MiB after`,
    );
    expect(slow / quick).toBeLessThan(SLOWDOWN);
    expect(server.residentMib() - memory).toBeLessThan(KEPT_MIB);
    expect(await witness.status()).toMatchObject({ generation: 1, state: "awake" });
  },
  120_000 + SEEDS.length * 60_000,
);
