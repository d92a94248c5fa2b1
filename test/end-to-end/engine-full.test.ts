// @module-tag slow
import { expect, test } from "vitest";
import { createClient } from "../../src/client/index.ts";
import type { registry } from "../../src/server.ts";
import { startEngine, startEngineServer } from "../support/engine.ts";
import { AGENT_VM_PROGRAM } from "../support/server-process.ts";
import { failure } from "../support/until.ts";

const within = { interval: 500 };

test("a full server takes no more VMs of its engine, and the next VM goes to a server with room", async (context) => {
  const engine = await startEngine(context);
  await startEngineServer(engine, { RIVET_TOTAL_SLOTS: "2" });
  await using client = createClient<typeof registry>({ endpoint: engine.endpoint });
  const vms = ["one", "two"].map((key) => client.vm.getOrCreate(key));
  await expect.poll(() => vms[0]?.exists("/").catch(() => false), within).toBe(true);
  for (const vm of vms) await vm.spawn("sleep", ["1000"]);
  const third = client.vm.getOrCreate("three");
  expect(await failure(third.exec("true"))).toMatchObject({ code: "server_full" });
  for (const vm of vms) expect((await vm.exec("echo on")).stdout).toBe("on\n");

  await startEngineServer(engine);
  await expect.poll(() => third.exec("true").then(() => "runs", String), within).toBe("runs");
});

test("a server says how many VMs it takes by its descriptors", async (context) => {
  const engine = await startEngine(context);
  const slots = async () => {
    const response = await fetch(`${engine.endpoint}/runners?namespace=default`);
    const { runners } = (await response.json()) as { runners: { total_slots: number }[] };
    return runners.map(({ total_slots }) => total_slots);
  };
  const command = ["prlimit", "--nofile=300:500", process.execPath, AGENT_VM_PROGRAM, "serve"];
  await startEngineServer(engine, {}, command);
  // The server raises the soft limit to the hard one, and keeps 96 descriptors.
  await expect.poll(slots, within).toEqual([20]);
});
