// @module-tag any-user
import { expect, test } from "vitest";
import { z } from "zod";
import { deferred } from "../../../src/base/deferred.ts";
import { MAX_HOST_CALLS, MAX_HOST_RESULT_BYTES } from "../../../src/runtime/host-functions/limits.ts";
import type { HostFunctionContext } from "../../../src/runtime/host-functions/types.ts";
import { startVm } from "../../support/vm.ts";

const inputSchema = z.object({});

test("a call that takes too long fails, and its signal is aborted", async () => {
  const aborted = deferred<unknown>();
  const execute = (_input: unknown, { signal }: HostFunctionContext) =>
    new Promise(() => signal.addEventListener("abort", () => aborted.resolve(signal.reason)));
  const { vm } = startVm({ hostFunctions: { slow: { wait: { inputSchema, execute, timeout: 50 } } } });
  const { exitCode, stderr } = await vm.exec("agentos-slow wait");
  expect({ exitCode, stderr }).toEqual({ exitCode: 1, stderr: "agentos-slow wait took longer than 50 ms\n" });
  expect(String(await aborted.promise)).toContain("took longer");
});

test("a call's signal is aborted when its program is killed, and when the VM ends", async () => {
  const started: AbortSignal[] = [];
  const execute = (_input: unknown, { signal }: HostFunctionContext) => {
    started.push(signal);
    return new Promise((_resolve, reject) => signal.addEventListener("abort", reject));
  };
  const { vm } = startVm({ hostFunctions: { slow: { wait: { inputSchema, execute } } } });
  const first = await vm.spawn("agentos-slow", ["wait"]);
  await expect.poll(() => started.length).toBe(1);
  expect(started[0]?.aborted).toBe(false);
  await vm.killProcess(first.pid);
  await expect.poll(() => started[0]?.aborted).toBe(true);
  await vm.spawn("agentos-slow", ["wait"]);
  await expect.poll(() => started.length).toBe(2);
  await vm.dispose("destroy");
  await expect.poll(() => started[1]?.aborted).toBe(true);
});

test("a function that ignores its signal counts towards the limit until it settles", async () => {
  const held = deferred<void>();
  let running = 0;
  const execute = () => {
    running += 1;
    return held.promise;
  };
  const { vm } = startVm({ hostFunctions: { slow: { wait: { inputSchema, execute, timeout: 60_000 } } } });
  const { pid } = await vm.spawn("sh", [
    "-c",
    `for i in $(seq ${MAX_HOST_CALLS}); do agentos-slow wait & done; wait`,
  ]);
  await expect.poll(() => running).toBe(MAX_HOST_CALLS);
  await vm.killProcess(pid, { tree: true });
  const { exitCode, stderr } = await vm.exec("agentos-slow wait");
  expect(exitCode).toBe(1);
  expect(stderr).toBe(
    `Too many calls of host functions at once (MAX_HOST_CALLS = ${MAX_HOST_CALLS}). Try again later.\n`,
  );
  held.resolve();
  await expect.poll(async () => (await vm.exec("agentos-slow wait")).exitCode).toBe(0);
});

test("inputs and results have limits of size", async () => {
  const execute = ({ bytes }: { bytes: number }) => "x".repeat(bytes);
  const sized = z.object({ bytes: z.number(), pad: z.string().optional() });
  const { vm } = startVm({ hostFunctions: { text: { make: { inputSchema: sized, execute } } } });
  const fits = await vm.exec(`agentos-text make --bytes ${MAX_HOST_RESULT_BYTES - 2} | wc -c`);
  expect(Number(fits.stdout)).toBe(MAX_HOST_RESULT_BYTES + '{"ok":true,"result":}\n'.length);
  const over = await vm.exec(`agentos-text make --bytes ${MAX_HOST_RESULT_BYTES - 1}`);
  expect(over).toMatchObject({ exitCode: 1, stdout: "" });
  expect(over.stderr).toContain("MAX_HOST_RESULT_BYTES");
  const input = await vm.exec("head -c 2000000 /dev/zero | tr '\\0' x | agentos-text make --json-file -");
  expect(input).toMatchObject({ exitCode: 1, stdout: "", stderr: "- is larger than 1048576 bytes\n" });
});

test("a function works on the VM that calls it", async () => {
  const execute = async (_input: unknown, { vm, session }: HostFunctionContext) => ({
    key: vm.key,
    session: session ?? null,
    written: (await vm.exec("cat /tmp/note")).stdout,
    refused: await vm.readFile(7 as never).catch((error: { code: string }) => error.code),
  });
  const hostFunctions = { self: { look: { inputSchema, execute } } };
  const identity = (key: string) => ({ identity: { actorId: `id-${key}`, key: [key] } });
  for (const key of ["one", "two"]) {
    const { vm } = startVm({ hostFunctions }, undefined, {}, identity(key));
    await vm.writeFile("/tmp/note", key);
    const { stdout } = await vm.exec("AGENT_VM_SESSION=made-up agentos-self look");
    expect(JSON.parse(stdout)).toEqual({
      ok: true,
      result: { key: [key], session: null, written: key, refused: "invalid_argument" },
    });
  }
});

test("programs that wait for a function leave the VM awake", async () => {
  const held = deferred<string>();
  const kept: Promise<unknown>[] = [];
  const { vm } = startVm(
    { hostFunctions: { slow: { wait: { inputSchema, execute: () => held.promise } } } },
    undefined,
    {},
    { keepAwake: (work) => void kept.push(work) },
  );
  const call = vm.exec("agentos-slow wait");
  await expect.poll(() => kept.length).toBeGreaterThan(1);
  held.resolve("done");
  expect((await call).stdout).toContain("done");
  await Promise.all(kept);
});

test("refuses inputs with more values than the server checks quickly, also as tools", async () => {
  let calls = 0;
  const inputSchema = z.object({ list: z.array(z.array(z.string())) });
  const { vm } = startVm({ hostFunctions: { text: { make: { inputSchema, execute: () => ++calls } } } });
  await vm.writeFile("/tmp/input.json", JSON.stringify({ list: Array(100_000).fill([]) }));
  const { exitCode, stderr } = await vm.exec("agentos-text make --json-file /tmp/input.json");
  expect({ exitCode, stderr }).toEqual({ exitCode: 1, stderr: "The input has more than 50000 values\n" });
  const call = { jsonrpc: "2.0", id: 1, method: "tools/call", params: { name: "text_make", arguments: {} } };
  const line = JSON.stringify(call).replace(
    "{}",
    await vm.exec("cat /tmp/input.json").then(({ stdout }) => stdout),
  );
  await vm.writeFile("/tmp/line", `${line}\n`);
  const { stdout } = await vm.exec("agentos mcp < /tmp/line");
  expect(JSON.parse(stdout)).toMatchObject({ error: { message: "The input has more than 50000 values" } });
  expect(calls).toBe(0);
});
