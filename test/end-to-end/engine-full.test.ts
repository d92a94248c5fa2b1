// @module-tag slow
import { expect, test } from "vitest";
import { createClient } from "../../src/client/index.ts";
import type { registry } from "../../src/server.ts";
import { startEngine, startEngineServer, startPeer } from "../support/engine.ts";
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

test("the actor that notes tokens keeps its place while VMs want one, and without a place it says so", async (context) => {
  const engine = await startEngine(context);
  const server = await startPeer(engine, { kind: "memory", env: { RIVET_TOTAL_SLOTS: "2" } });
  const { tokens, vm } = server.client({ token: "token of the servers" });
  // A VM with a connection stays awake.
  const vms = ["one", "two"].map((key) => vm.getOrCreate(key).connect());
  for (const each of vms) await expect.poll(() => each.exists("/").catch(String), within).toBe(true);
  const read = { vms: "one", may: ["read" as const] };
  expect(await failure(tokens.create(read))).toMatchObject({ code: "server_full" });
  await vms[1]?.destroy();
  await expect.poll(() => tokens.create(read).then(() => true, String), within).toBe(true);
  const made = await tokens.create(read);
  // An idle actor sleeps after 30 s, and each of these waits for 15 s.
  for (const key of ["three", "four", "five"])
    expect(await failure(vm.getOrCreate(key).exists("/"))).toMatchObject({ code: "server_full" });
  await tokens.revoke(made.id);
  expect(await failure(tokens.revoke(made.id))).toMatchObject({ code: "token_not_found" });
});
