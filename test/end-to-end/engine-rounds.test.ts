// @module-tag slow
import { setTimeout as delay } from "node:timers/promises";
import { expect, test } from "vitest";
import { createClient } from "../../src/client/index.ts";
import type { registry } from "../../src/server.ts";
import { startEngine, startEngineServer } from "../support/engine.ts";
import { seededRandom } from "../support/random.ts";

/** A longer run sets a larger number. */
const ROUNDS = Number(process.env.AGENT_VM_ENGINE_ROUNDS ?? 4);
const SEED = Number(process.env.AGENT_VM_ENGINE_SEED ?? 1);

/** Longer than the threshold after which the engine moves the VMs of a silent server. */
const PAUSE_MS = 12_000;

/** Errors that no end of a server or engine may cause. */
const DAMAGE = new Set(["storage_damaged", "storage_too_new", "internal_error", "unknown_error"]);

/** A client notices a connection without an answer after 90 s. */
const within = { timeout: 150_000, interval: 500 };

test(
  `loses no acknowledged write in ${ROUNDS} rounds of ends of the engine and of servers`,
  async (context) => {
    const engine = await startEngine(context);
    const servers = [await startEngineServer(engine), await startEngineServer(engine)];
    await using client = createClient<typeof registry>({ endpoint: engine.endpoint });
    const vm = client.vm.getOrCreate("rounds");
    const random = seededRandom(SEED);
    const failures: string[] = [];
    const answer = async (call: () => Promise<{ stdout: string }>) => {
      try {
        return (await call()).stdout;
      } catch (error) {
        const { code } = error as { code: string };
        // The engine refuses changes of a server that has lost the VM: `storage_failed`.
        if (DAMAGE.has(code)) failures.push(`${code}: ${(error as Error).message}`);
        return code;
      }
    };
    await expect.poll(() => answer(() => vm.exec("echo up")), within).toBe("up\n");
    let acknowledged = 0;
    let isOver = false;
    context.onTestFinished(() => {
      isOver = true;
    });
    const writing = (async () => {
      while (!isOver) {
        const next = acknowledged + 1;
        const done = await answer(async () => {
          await vm.writeFile("/workspace/counter", String(next));
          return { stdout: "" };
        });
        if (done === "") acknowledged = next;
        else await delay(50);
      }
    })();
    const told: string[] = [];
    for (let round = 1; round <= ROUNDS; round += 1) {
      const index = random.below(servers.length);
      const server = servers[index];
      if (server === undefined) continue;
      const kind = ["engine", "SIGKILL", "SIGTERM", "SIGSTOP"][random.below(4)] ?? "engine";
      told.push(`${kind} ${index}`);
      if (kind === "engine") await engine.restart();
      else if (kind === "SIGSTOP") {
        server.process.kill("SIGSTOP");
        await delay(PAUSE_MS);
        server.process.kill("SIGCONT");
      } else {
        await server.stop(kind as NodeJS.Signals);
        servers[index] = await startEngineServer(engine);
      }
      const before = acknowledged;
      await expect.poll(() => acknowledged, { ...within, message: told.join() }).toBeGreaterThan(before + 3);
      const read = await vm.exec("cat /workspace/counter").then(
        ({ stdout }) => stdout,
        () => undefined,
      );
      if (read !== undefined) expect(Number(read)).toBeGreaterThanOrEqual(before);
      await vm.checkpoint().catch(() => undefined);
      expect([told, failures]).toEqual([told, []]);
    }
    isOver = true;
    await writing;
    await expect
      .poll(async () => Number(await answer(() => vm.exec("cat /workspace/counter"))), within)
      .toBeGreaterThanOrEqual(acknowledged);
  },
  180_000 * ROUNDS,
);
