import { expect, test } from "vitest";
import type { ServiceOptions, ServiceState } from "../../../src/api/methods/services.ts";
import { MAX_SERVICES } from "../../../src/runtime/services/limits.ts";
import { durableVm } from "../../support/durable-vm.ts";
import { failure } from "../../support/until.ts";
import { startVm, type TestVm } from "../../support/vm.ts";

const shell = (name: string, line: string, options: Partial<ServiceOptions> = {}): ServiceOptions => ({
  name,
  command: "sh",
  args: ["-c", line],
  ...options,
});

const web = (name: string, port: number, options: Partial<ServiceOptions> = {}): ServiceOptions => ({
  name,
  command: "python3",
  args: ["-m", "http.server", String(port), "--bind", "127.0.0.1"],
  port,
  cwd: "/tmp",
  ...options,
});

const reaches = ({ event }: TestVm, name: string, state: ServiceState, restarts = 0) =>
  event("serviceChanged", (change) => {
    return change.name === name && change.state === state && change.restarts >= restarts;
  });

const logOf = async ({ vm }: TestVm, name: string) =>
  Buffer.concat((await vm.serviceLogs(name)).chunks.map(({ data }) => data)).toString();

test("services start with the boot in the order of their needs, and are ready when their port listens", async () => {
  const machine = startVm({
    services: [shell("app", "echo app; sleep 60", { needs: ["db"] }), web("db", 5432)],
  });
  expect(await machine.vm.listServices()).toMatchObject([{ state: "waiting" }, { state: "waiting" }]);
  await machine.vm.exec("true");
  await reaches(machine, "app", "ready");
  const states = machine.events.flatMap(({ name, payload }) =>
    name === "serviceChanged" ? [`${payload.name} ${payload.state}`] : [],
  );
  expect(states).toEqual(["db starting", "db ready", "app starting", "app ready"]);
  expect((await machine.vm.vmFetch(5432, "/")).status).toBe(200);
  await expect.poll(() => logOf(machine, "app")).toBe("app\n");
});

test("a service that ends starts again as its policy says, after pauses that double", async () => {
  const backoff = { initialMs: 100, maxMs: 200 };
  const machine = startVm();
  const { vm } = machine;
  await vm.startService(shell("loop", "echo again; exit 3", { backoff }));
  expect(await reaches(machine, "loop", "backoff", 2)).toMatchObject({ exitCode: 3 });
  expect((await logOf(machine, "loop")).startsWith("again\nagain\nagain\n")).toBe(true);
  await vm.startService(shell("done", "exit 0", { backoff }));
  expect(await reaches(machine, "done", "exited")).toMatchObject({ exitCode: 0, restarts: 0 });
  await vm.startService(shell("always", "exit 0", { backoff, restart: "always" }));
  await reaches(machine, "always", "backoff", 1);
  await vm.startService(shell("never", "exit 4", { backoff, restart: "never" }));
  expect(await reaches(machine, "never", "failed")).toMatchObject({ exitCode: 4, restarts: 0 });
  await vm.startService(shell("nowhere", "true", { cwd: "/nowhere", restart: "never" }));
  expect((await reaches(machine, "nowhere", "failed")).error).toContain("ENOENT");
});

test("stopService ends a service for good, and startService starts it again", async () => {
  const machine = startVm();
  const { vm } = machine;
  const definition = shell("s", "sleep 60", { restart: "always", env: { SECRET: "x" } });
  const started = await vm.startService(definition);
  expect(started).toMatchObject({ state: "ready", restarts: 0, exitCode: null, env: ["SECRET"] });
  expect((await vm.startService(definition)).pid).toBe(started.pid);
  await vm.stopService("s");
  expect((await vm.exec("pgrep -x sleep")).stdout).toBe("");
  expect(await vm.listServices()).toMatchObject([{ name: "s", state: "stopped", pid: null }]);
  expect((await vm.startService("s")).pid).not.toBe(null);
  await vm.stopService("s", { remove: true });
  expect(await vm.listServices()).toEqual([]);
  expect(await failure(vm.startService("s"))).toMatchObject({ code: "service_not_found" });
  expect(await failure(vm.stopService("s"))).toMatchObject({ code: "service_not_found" });
  expect(await failure(vm.serviceLogs("s"))).toMatchObject({ code: "service_not_found" });
});

test("services are there again after a sleep and after a crash, and stopped ones stay stopped", async () => {
  const durable = durableVm({ services: [shell("fixed", "sleep 60")] });
  await durable.vm().startService(shell("made", "sleep 60"));
  await durable.vm().startService(shell("off", "sleep 60"));
  await durable.vm().stopService("off");
  for (const end of [durable.sleep, durable.crash]) {
    await end();
    const machine = durable.test();
    // Nothing has booted yet.
    expect(await machine.vm.listServices()).toMatchObject([
      { name: "fixed", state: "waiting" },
      { name: "made", state: "waiting" },
      { name: "off", state: "stopped" },
    ]);
    await machine.vm.exec("true");
    await Promise.all([reaches(machine, "fixed", "ready"), reaches(machine, "made", "ready")]);
  }
});

test("a request to the port of a service wakes the VM and waits for the service", async () => {
  const durable = durableVm();
  await durable.vm().startService(web("web", 8080));
  await durable.sleep();
  expect((await durable.vm().vmFetch(8080, "/")).status).toBe(200);
});

test("the error of a port that does not answer names its service", async () => {
  const machine = startVm();
  const { vm } = machine;
  await vm.startService(shell("web", "exit 7", { port: 3000, restart: "never" }));
  await reaches(machine, "web", "failed");
  const note =
    'The service web of this port is in state failed after exit code 7; serviceLogs("web") has its output';
  for (const [code, call] of [
    ["port_timeout", () => vm.waitForPort(3000, { timeoutMs: 1 })],
    ["ECONNREFUSED", () => vm.vmFetch(3000, "/")],
  ] as const) {
    const error = await failure(call());
    expect(error.code).toBe(code);
    expect(error.message.endsWith(`. ${note}`)).toBe(true);
  }
});

test("a service alone does not keep the VM awake, unless it says so", async () => {
  const kept: Promise<unknown>[] = [];
  const hooks = { keepAwake: (work: Promise<unknown>) => void kept.push(work) };
  const { vm } = startVm({}, undefined, {}, hooks);
  const pending = async () => {
    const open = await Promise.all(
      kept.map((work) => Promise.race([work.then(() => false), Promise.resolve(true)])),
    );
    return open.filter(Boolean).length;
  };
  await vm.startService(shell("quiet", "sleep 60"));
  await expect.poll(pending).toBe(0);
  await vm.startService(shell("loud", "sleep 60", { keepAwake: true }));
  expect(await pending()).toBe(1);
});

test("services that no order can start, and too many services, are refused", async () => {
  const { vm } = startVm();
  await vm.startService(shell("a", "sleep 60"));
  expect(await failure(vm.startService(shell("b", "true", { needs: ["c"] })))).toMatchObject({
    code: "invalid_argument",
    message: expect.stringContaining("b needs c"),
  });
  expect(await failure(vm.startService(shell("a", "true", { needs: ["a"] })))).toMatchObject({
    code: "invalid_argument",
  });
  expect(await vm.listServices()).toMatchObject([{ name: "a", state: "ready" }]);
  for (let count = 1; count < MAX_SERVICES; count++)
    await vm.startService(shell(`s${count}`, "true", { needs: ["a"], restart: "never" }));
  expect(await failure(vm.startService(shell("more", "true")))).toMatchObject({
    code: "limit_exceeded",
    metadata: { limit: "MAX_SERVICES" },
  });
});

test("a service too large to store is refused, and leaves the others as they are", async () => {
  const durable = durableVm();
  await durable.vm().startService(shell("small", "sleep 60"));
  const large = shell("large", "sleep 60", { env: { TEXT: "x".repeat(121 * 1024) } });
  expect(await failure(durable.vm().startService(large))).toMatchObject({
    code: "limit_exceeded",
    metadata: { limit: "MAX_SERVICES_BYTES" },
  });
  expect(await failure(durable.vm().startService({ ...large, name: "small" }))).toMatchObject({
    code: "limit_exceeded",
  });
  expect(await durable.vm().listServices()).toMatchObject([{ name: "small", state: "ready" }]);
  await durable.vm().stopService("small");
  await durable.sleep();
  expect(await durable.vm().listServices()).toMatchObject([{ name: "small", state: "stopped" }]);
});
