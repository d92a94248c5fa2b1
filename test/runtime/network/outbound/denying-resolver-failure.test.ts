import { expect, test } from "vitest";
import { AgentVmError } from "../../../../src/api/errors.ts";
import { DenyingResolver } from "../../../../src/runtime/network/outbound/denying-resolver.ts";
import type { OutboundGate } from "../../../../src/runtime/network/outbound/gate.ts";
import type { SandboxNetwork } from "../../../../src/runtime/sandbox/network.ts";

/** @returns whether another resolver is to be tried after an error of the sandbox */
async function isTriedAgain(error: Error): Promise<boolean> {
  const taking = Promise.reject(error);
  const network = { takeDatagrams: () => taking } as unknown as SandboxNetwork;
  let failures = 0;
  const onFailure = () => {
    failures += 1;
  };
  new DenyingResolver(network, {} as OutboundGate, onFailure);
  await taking.catch(() => undefined);
  await new Promise((resolve) => setImmediate(resolve));
  return failures === 1;
}

test("a resolver that could not be opened is tried again, but not if a program has its port", async () => {
  expect(await isTriedAgain(new AgentVmError("network_failed", "The VM's network cannot be reached"))).toBe(
    true,
  );
  expect(await isTriedAgain(new Error("errno 98"))).toBe(false);
});
