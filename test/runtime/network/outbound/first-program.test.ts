import { afterEach, expect, test, vi } from "vitest";
import { Outbound } from "../../../../src/runtime/network/outbound/outbound.ts";
import { vmOptionsSchema } from "../../../../src/runtime/options.ts";
import type { SandboxNetwork } from "../../../../src/runtime/sandbox/network.ts";
import type { Sandbox } from "../../../../src/runtime/sandbox/sandbox.ts";
import { MemoryStore } from "../../../../src/runtime/store/store.ts";

afterEach(() => void vi.useRealTimers());

/** Makes the access of a VM under the policy `none`, in which the proxy starts or fails when `start` says so. */
async function outboundStarting(start: Promise<never>) {
  const network = { listen: () => start, takeDatagrams: () => start } as unknown as SandboxNetwork;
  const deps = {
    store: new MemoryStore(),
    emit: () => undefined,
    hasListeners: () => false,
    report: () => undefined,
    onFailure: () => undefined,
  };
  const outbound = new Outbound(deps, vmOptionsSchema.parse({}).network);
  await outbound.apply({ network } as Sandbox);
  return outbound;
}

test("the first program under the policy none waits until the proxy has started or failed", async () => {
  const { promise: start, reject } = Promise.withResolvers<never>();
  const outbound = await outboundStarting(start);
  let isWaiting = true;
  const env = outbound.env().finally(() => {
    isWaiting = false;
  });
  await new Promise((resolve) => setImmediate(resolve));
  expect(isWaiting).toBe(true);
  reject(new Error("no process"));
  expect(await env).toMatchObject({ HTTP_PROXY: expect.any(String) });
});

test("the programs of a boot wait together for a proxy that does not start, and later ones do not", async () => {
  vi.useFakeTimers();
  const outbound = await outboundStarting(new Promise<never>(() => undefined));
  const both = Promise.all([outbound.env(), outbound.env()]);
  await vi.advanceTimersByTimeAsync(10_000);
  await both;
  // No timer passes any more.
  await outbound.env();
  outbound.close();
});
