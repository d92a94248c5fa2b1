import { expect, test } from "vitest";
import { EventLogs } from "../../src/actors/event-log.ts";
import { MAX_LOGGED_EVENTS } from "../../src/actors/limits.ts";
import type { VmHandle } from "../../src/client/index.ts";
import { sharedServer } from "../support/servers.ts";
import { failure } from "../support/until.ts";

const server = sharedServer();

const names = async (vm: VmHandle, after?: number) =>
  (await vm.getEventLog(...(after === undefined ? [] : [{ after }]))).map(({ name }) => name);

test("the log has the events of a VM before the question, also after it has fallen asleep, and wakes nothing", async () => {
  const vm = server().client().vm.getOrCreate("logged");
  const { pid } = await vm.spawn("sh", ["-c", "exit 3"]);
  await vm.waitProcess(pid);
  await expect.poll(() => names(vm)).toContain("processExit");
  const log = await vm.getEventLog();
  const exit = log.find(({ name }) => name === "processExit");
  expect(JSON.parse(exit?.text ?? "")).toMatchObject({ pid, exitCode: 3 });
  expect(log.map(({ number }) => number)).toEqual(log.map(({ number }) => number).toSorted((a, b) => a - b));
  await vm.sleep();
  expect(await names(vm, log.at(-1)?.number)).toEqual(["vmShutdown"]);
  expect((await vm.status()).state).toBe("sleeping");
  expect(await failure(vm.getEventLog({ after: -1 }))).toMatchObject({ code: "invalid_argument" });
  await vm.destroy();
  expect(await names(server().client().vm.getOrCreate("logged"))).not.toContain("processExit");
});

test("a token sees the events that its rights allow", async () => {
  const { client } = server();
  const vm = client().vm.getOrCreate("seen");
  const { pid } = await vm.spawn("true");
  await vm.waitProcess(pid);
  await expect.poll(() => names(vm)).toContain("processExit");
  const seenWith = async (right: "cron" | "read") => {
    const { token } = await client().tokens.create({ vms: "seen", may: [right] });
    return await names(client({ token }).vm.get("seen"));
  };
  expect(await seenWith("cron")).toEqual(["vmBooted"]);
  expect(await seenWith("read")).toContain("processExit");
});

test("the log of a VM, and of all VMs, has a limit", () => {
  const logs = new EventLogs(400_000);
  const long = { error: "x".repeat(10_000) };
  logs.add("quiet", "portOpened", long);
  for (let at = 0; at < MAX_LOGGED_EVENTS + 10; at++) logs.add("busy", "portClosed", { port: at });
  logs.add("busy", "processOutput", long);
  const busy = logs.read("busy", ["admin"], 0);
  expect(busy).toHaveLength(MAX_LOGGED_EVENTS);
  expect([busy[0]?.text, busy.at(-1)?.text]).toEqual(['{"port":10}', `{"port":${MAX_LOGGED_EVENTS + 9}}`]);
  expect(logs.read("quiet", ["admin"], 0)[0]?.text).toHaveLength(2_000);
  for (let vm = 0; vm < 200; vm++) logs.add(`vm ${vm}`, "portOpened", long);
  expect(logs.read("quiet", ["admin"], 0)).toEqual([]);
  expect(logs.read("busy", ["admin"], 0)).toEqual([]);
  expect(logs.read("vm 199", ["admin"], 0)).toHaveLength(1);
});
