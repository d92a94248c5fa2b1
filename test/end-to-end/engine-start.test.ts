// @module-tag slow
import { expect, test } from "vitest";
import { createClient } from "../../src/client/index.ts";
import type { registry } from "../../src/server.ts";
import { PATIENT, startEngine, startEngineServer } from "../support/engine.ts";

/** Makes a server say its requests to the storage. */
const COUNTED = {
  NODE_OPTIONS: `--import=${new URL("../support/count-requests.ts", import.meta.url).href}`,
};

test("a VM that moves to another server asks the engine at most 28 times before it has booted, and has everything", async (context) => {
  const engine = await startEngine(context, PATIENT);
  const first = await startEngineServer(engine);
  await using client = createClient<typeof registry>({ endpoint: engine.endpoint });
  const vm = client.vm.getOrCreate("moved");
  await expect.poll(() => vm.exists("/").catch(() => false), { interval: 250 }).toBe(true);
  await vm.setLabels({ team: "storage" });
  await vm.mkdir("/workspace/made", { recursive: true });
  await Promise.all(
    Array.from({ length: 200 }, (_, index) => vm.writeFile(`/workspace/made/${index}`, `file ${index}`)),
  );
  await vm.scheduleCron({ id: "later", schedule: "0 0 1 1 *", action: { type: "exec", command: "true" } });
  const second = await startEngineServer(engine, COUNTED);
  const requests = () =>
    second
      .stderr()
      .split("\n")
      .filter((line) => line.startsWith("storage request"));
  expect(await first.stop("SIGTERM")).toBe(0);

  expect((await vm.status()).labels).toEqual({ team: "storage" });
  // RivetKit's keys take 2 of them, the owner 2, the rooms 1, the list of cron jobs 4, and the status 3. A slow machine looks at the owner again.
  const answered = requests().length;
  expect(answered).toBeLessThanOrEqual(13);
  expect(Buffer.from(await vm.readFile("/workspace/made/199")).toString()).toBe("file 199");
  // The VM has booted: each page of its files and each kind of leftovers would be another round trip.
  expect(requests().length - answered).toBeLessThanOrEqual(15);
  expect(await vm.readdir("/workspace/made")).toHaveLength(200);
  expect(await vm.listCronJobs()).toMatchObject([{ id: "later" }]);
});
