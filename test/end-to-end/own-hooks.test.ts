import { afterAll, beforeAll, expect, onTestFinished, test } from "vitest";
import type { ResolvedOptions, VmActorOptions } from "../../src/index.ts";
import { startTestServer, type TestServer } from "../support/servers.ts";
import { failure, until } from "../support/until.ts";

const seen: string[] = [];
const told = (key: string) =>
  seen.filter((line) => line.startsWith(`${key} `)).map((line) => line.slice(key.length + 1));
const hung = Promise.withResolvers<void>();
const never = () => new Promise<never>(() => undefined);
let startFails = true;
let optionsFail = true;

const options: VmActorOptions = {
  hookTimeoutMs: 1_500,
  env: { BASE: "1" },
  async onVmStart(c, vm) {
    const [key] = c.key;
    seen.push(`${key} start`);
    if (key === "start")
      seen.push(`start ${(await vm.exec("echo $BASE; echo made > ~/made")).stdout.trim()}`);
    if (key === "refused" && startFails) throw new Error("a secret of the server");
    if (key === "hangs" && startFails) await never();
  },
  async onVmStop(c, vm, reason) {
    const [key] = c.key;
    seen.push(`${key} stop ${reason}`);
    if (key === "slow") await never();
    if (key === "throws") throw new Error("a secret of the server");
    const left = await vm.exec("cat ~/made").catch((error: { code: string }) => ({ stdout: error.code }));
    seen.push(`${key} left ${left.stdout.trim()}`);
  },
  async onProcessExit(c, { exitCode }) {
    seen.push(`${c.key[0]} exit ${exitCode}`);
    if (exitCode === 7) throw new Error("a secret of the server");
    if (exitCode === 8) await hung.promise;
  },
  onFileChanged: (c, { type, path }) => void seen.push(`${c.key[0]} ${type} ${path}`),
  resolveOptions(c): ResolvedOptions {
    if (c.key[0] === "own") return { env: { OWN: c.key[0] }, limits: { processes: 40 } };
    if (c.key[0] === "software") return { software: [{ hostPath: import.meta.dirname, path: "/opt/tests" }] };
    if (c.key[0] === "wrong" && optionsFail) return { env: { A: 5 as unknown as string } };
    if (c.key[0] === "forbidden") return { pool: { size: 64 } } as never;
    return {};
  },
};

let server: TestServer;
beforeAll(async () => {
  server = await startTestServer({ kind: "kernel", vm: options });
});
afterAll(() => server.stop());

const vmOf = (key: string) => server.client().vm.getOrCreate(key);

test("onVmStart prepares a VM before any call, and onVmStop finds it as it was", async () => {
  const vm = vmOf("start");
  expect((await vm.exec("cat ~/made")).stdout).toBe("made\n");
  await vm.sleep();
  expect(told("start")).toEqual(["start", "1", "stop sleep", "left made"]);
  await vm.exec("true");
  await vm.destroy();
  expect(told("start").slice(4)).toEqual(["start", "1", "stop destroy", "left made"]);
});

test.each(["refused", "hangs"])(
  "a VM whose onVmStart %s does not boot, and boots with a later call",
  async (key) => {
    startFails = true;
    const vm = vmOf(key);
    const error = await failure(vm.exec("true"));
    expect(error).toMatchObject({ code: "hook_failed", metadata: { hook: "onVmStart" } });
    expect(error.message).not.toContain("secret");
    expect(told(key)).toEqual(["start"]);
    startFails = false;
    expect((await vm.exec("echo up")).stdout).toBe("up\n");
  },
);

test.each(["slow", "throws"])("a VM whose onVmStop %s sleeps all the same", async (key) => {
  const vm = vmOf(key);
  await vm.exec("true");
  await vm.sleep();
  expect((await vm.status()).state).toBe("sleeping");
  expect(told(key)).toContain("stop sleep");
});

test("onProcessExit gets each end once, whatever the number of clients, in order", async () => {
  const vm = vmOf("exits");
  const listeners = [vm.connect(), vm.connect()];
  for (const conn of listeners) conn.on("processExit", () => undefined);
  for (const code of [1, 7, 2]) {
    const { pid } = await vm.spawn("sh", ["-c", `exit ${code}`]);
    await vm.waitProcess(pid);
  }
  await until(() => told("exits").includes("exit 2"));
  expect(told("exits").filter((line) => line.startsWith("exit"))).toEqual(["exit 1", "exit 7", "exit 2"]);
});

test("a hook that hangs holds neither calls nor other hooks up", async () => {
  // The hook may hang for longer than this test.
  const patient = await startTestServer({ kind: "kernel", vm: { ...options, hookTimeoutMs: 300_000 } });
  const vm = patient.client().vm.getOrCreate("stuck");
  onTestFinished(async () => {
    hung.resolve();
    // The VM's process would go on watching files beside the tests of other files.
    await vm.destroy();
  });
  await vm.watchFiles("/home/agentos");
  const { pid } = await vm.spawn("sh", ["-c", "exit 8"]);
  await vm.waitProcess(pid);
  await until(() => told("stuck").includes("exit 8"));
  await vm.writeFile("/home/agentos/x", "1");
  await until(() => told("stuck").some((line) => line.endsWith("/home/agentos/x")));
});

test("resolveOptions changes the options of one VM", async () => {
  expect((await vmOf("own").exec("echo $BASE $OWN; ulimit -u")).stdout).toContain("1 own\n");
  expect((await vmOf("own").status()).processes.limit).toBe(40);
  expect((await vmOf("other").exec("echo $BASE $OWN")).stdout).toBe("1\n");
});

test("resolveOptions can give a VM software of its own", async () => {
  expect((await vmOf("software").exec("ls /opt/tests")).stdout).toContain("own-hooks.test.ts");
  expect((await vmOf("other").exec("ls /opt/tests")).exitCode).not.toBe(0);
});

test.each(["wrong", "forbidden"])("a VM with %s options does not boot, but can be destroyed", async (key) => {
  const vm = vmOf(key);
  const error = await failure(vm.exec("true"));
  expect(error).toMatchObject({ code: "hook_failed", metadata: { hook: "resolveOptions" } });
  expect((await vm.status()).state).toBe("sleeping");
  await vm.destroy();
  optionsFail = false;
});
