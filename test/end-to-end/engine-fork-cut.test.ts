// @module-tag slow
import { setTimeout as delay } from "node:timers/promises";
import { expect, test } from "vitest";
import type { VmHandle } from "../../src/client/types.ts";
import { ENGINE_PROGRAM, type Engine, PATIENT, startEngine, startPeer } from "../support/engine.ts";
import { failure, underWay, until } from "../support/until.ts";

const TOKEN = "token of the servers";
/** Bytes of the VM, which take the engine some seconds. */
const SIZE = 60_000_000;

/** Starts a VM alone on a server, and another server on which its fork begins. */
async function startFork(engine: Engine) {
  const one = { RIVET_TOTAL_SLOTS: "1" };
  const source = await startPeer(engine, { env: one });
  const vm = source.client({ token: TOKEN }).vm.getOrCreate("source");
  await until(() => vm.exists("/").catch(() => false));
  await vm.exec(`head -c ${SIZE} /dev/urandom > large; sha256sum large > sum`, { cwd: "/workspace" });
  await vm.setSecrets({ KEY: { value: "sk-value-0123456789", hosts: ["api.test"] } });
  const target = await startPeer(engine, { env: { ...one, AGENT_VM_DRAIN_MS: "100" } });
  const front = await startPeer(engine, { vms: false });
  const vms = front.client({ token: TOKEN }).vm;
  const fork = underWay(
    vms
      .get("source")
      .fork("copy", { secrets: true })
      .catch((error: Error) => error),
  );
  const isMade = () =>
    vms
      .get("copy")
      .resolve()
      .then(Boolean, () => false);
  await until(isMade);
  // The copy has begun, and takes longer. Nothing says so from outside.
  await delay(500);
  return { source, target, vms, fork };
}

/** Whether a VM has the secret and all files of its source. */
async function expectWhole(vm: VmHandle) {
  expect(await vm.listSecrets()).toMatchObject([{ name: "KEY", durable: true }]);
  expect((await vm.exec("sha256sum -c sum", { cwd: "/workspace" })).stdout).toBe("large: OK\n");
}

test.skipIf(ENGINE_PROGRAM === undefined)(
  "a fork whose new VM is drained away in the middle goes on elsewhere, with all files and secrets",
  async (context) => {
    const engine = await startEngine(context, PATIENT);
    const { target, vms, fork } = await startFork(engine);
    await startPeer(engine);
    expect(await target.stop("SIGTERM")).toBe(0);
    expect(await fork).toMatchObject({ key: ["copy"] });
    await expectWhole(vms.get("copy"));
  },
);

test.skipIf(ENGINE_PROGRAM === undefined)(
  "a fork whose source's server is killed in the middle leaves no VM, and its key is free for another fork",
  async (context) => {
    const engine = await startEngine(context, PATIENT);
    const { source, vms, fork } = await startFork(engine);
    await source.stop("SIGKILL");
    expect(await fork).toMatchObject({ code: "call_lost" });
    // No server has room for the source: nobody knows yet that the fork is over.
    expect(await failure(vms.get("copy").readdir("/"))).not.toMatchObject({ code: "unknown_error" });
    await startPeer(engine);
    await until(() =>
      vms
        .get("source")
        .exists("/workspace/sum")
        .catch(() => false),
    );
    // The source knows the ticket no more.
    await failure(vms.get("copy").readdir("/"));
    const isGone = () =>
      vms
        .get("copy")
        .resolve()
        .then(
          () => false,
          () => true,
        );
    await until(isGone);
    await vms.get("source").fork("copy", { secrets: true });
    await expectWhole(vms.get("copy"));
  },
);
