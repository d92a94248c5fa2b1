// @module-tag slow
import { setTimeout as delay } from "node:timers/promises";
import { expect, test } from "vitest";
import { ENGINE_PROGRAM, type Engine, PATIENT, startEngine, startPeer } from "../support/engine.ts";
import { underWay, until } from "../support/until.ts";

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
  const target = await startPeer(engine, { env: { ...one, AGENT_VM_DRAIN_MS: "100" } });
  const front = await startPeer(engine, { vms: false });
  const vms = front.client({ token: TOKEN }).vm;
  const fork = underWay(
    vms
      .get("source")
      .fork("copy")
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
  return { target, vms, fork };
}

const check = { cwd: "/workspace" };

test.skipIf(ENGINE_PROGRAM === undefined)(
  "a fork whose new VM is drained away in the middle goes on elsewhere, with all files",
  async (context) => {
    const engine = await startEngine(context, PATIENT);
    const { target, vms, fork } = await startFork(engine);
    await startPeer(engine);
    expect(await target.stop("SIGTERM")).toBe(0);
    expect(await fork).toMatchObject({ key: ["copy"] });
    expect((await vms.get("copy").exec("sha256sum -c sum", check)).stdout).toBe("large: OK\n");
  },
);
