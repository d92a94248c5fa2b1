// @module-tag slow
import { expect, test } from "vitest";
import { createClient } from "../../src/client/index.ts";
import { MAX_REVOKED_AGE_MS } from "../../src/http/tokens/shared/limits.ts";
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

test("the actor that notes tokens finds a place on full servers, also when its server dies", async (context) => {
  const engine = await startEngine(context);
  /** Starts a server with one place, which a VM takes. */
  const startFull = async (key: string) => {
    const server = await startPeer(engine, { kind: "memory", env: { RIVET_TOTAL_SLOTS: "1" } });
    const client = server.client({ token: "token of the servers" });
    // A VM with a connection stays awake.
    const connection = client.vm.getOrCreate(key).connect();
    await expect.poll(() => connection.exists("/").catch(String), within).toBe(true);
    return { server, client };
  };
  const first = await startFull("one");
  const made = await first.client.tokens.create({ vms: "two", may: ["read"] });
  const second = await startFull("two");
  const third = second.client.vm.getOrCreate("three");
  expect(await failure(third.exists("/"))).toMatchObject({ code: "server_full" });
  const holder = () => second.server.client({ token: made.token }).vm.get("two").exists("/");
  expect(await holder()).toBe(true);

  await first.server.stop("SIGKILL");
  const killedAt = performance.now();
  const { tokens } = second.client;
  await expect
    .poll(() => tokens.revoke(made.id).then(() => "revoked", String), { interval: 500, timeout: 30_000 })
    .toBe("revoked");
  expect(await failure(holder())).toMatchObject({ code: "unauthorized", metadata: { reason: "revoked" } });
  expect(performance.now() - killedAt).toBeLessThan(MAX_REVOKED_AGE_MS);
  expect(await failure(tokens.revoke(made.id))).toMatchObject({ code: "token_not_found" });
});
