// @module-tag slow
import { expect, test } from "vitest";
import { createClient } from "../../src/client/index.ts";
import type { registry } from "../../src/server.ts";
import { startEngine, startEngineServer } from "../support/engine.ts";
import { marked } from "../support/marked.ts";

test("a server that was paused while its VM moved changes no file of the VM afterwards, and ends its own", async (context) => {
  const engine = await startEngine(context);
  const paused = await startEngineServer(engine);
  await using client = createClient<typeof registry>({ endpoint: engine.endpoint });
  const vm = client.vm.getOrCreate("paused");
  const within = { interval: 500 };
  const ready = () => vm.exists("/").catch(() => false);
  await expect.poll(ready, within).toBe(true);
  const mark = `mark-${process.pid}-${Date.now()}`;
  await vm.spawn("sh", ["-c", "while :; do date +%N > /workspace/loop; sleep 0.05; done", "sh", mark]);
  // Writes without a pause: one is on its way when the server stops.
  let acknowledged = 0;
  let isOver = false;
  const writing = (async () => {
    while (!isOver) {
      const next = acknowledged + 1;
      await vm.writeFile("/workspace/counter", String(next)).then(
        () => {
          acknowledged = next;
        },
        () => undefined,
      );
    }
  })();
  await expect.poll(() => acknowledged, within).toBeGreaterThan(20);
  const other = await startEngineServer(engine);
  paused.process.kill("SIGSTOP");
  const before = acknowledged;
  await expect.poll(() => acknowledged, within).toBeGreaterThan(before + 20);
  await vm.exec("echo moved > /workspace/made");
  await vm.checkpoint();

  paused.process.kill("SIGCONT");
  await expect.poll(() => marked(mark), within).toEqual([]);
  const later = acknowledged;
  await expect.poll(() => acknowledged, within).toBeGreaterThan(later + 20);
  await vm.checkpoint();
  await other.stop("SIGKILL");
  isOver = true;
  await writing;
  const read = () => vm.exec("cat /workspace/counter /workspace/made").then(({ stdout }) => stdout);
  await expect.poll(() => read().catch((error: { code: string }) => error.code), within).toMatch(/moved/);
  const [, counter = "0"] = /^(\d+)moved/.exec(await read()) ?? [];
  expect(Number(counter)).toBeGreaterThanOrEqual(acknowledged);
});
