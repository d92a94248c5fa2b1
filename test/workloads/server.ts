import { defineVm } from "../../src/actors/define-vm.ts";
import { exitOnSignals } from "../../src/cli/exit-signals.ts";
import { listen } from "../../src/http/listen.ts";
import { setup } from "../../src/http/setup.ts";
import type { OutboundSeams } from "../../src/runtime/network/outbound/outbound.ts";
import { makeResolve } from "../../src/runtime/network/outbound/resolve.ts";
import { PACKAGES_HOST } from "./packages.ts";

/** A server program whose VMs reach two registries through the outbound policy: that of npm, and the host of `packages.ts`. */
const { PORT, AGENT_VM_DATA = "", REGISTRY, PACKAGES_PORT = "" } = process.env;

const packages = [PACKAGES_HOST, "127.0.0.1"].map((host) => `${host}:${PACKAGES_PORT}`);
const resolve = makeResolve();
const outbound: OutboundSeams = {
  resolve: async (host) => (host === PACKAGES_HOST ? ["127.0.0.1"] : await resolve(host)),
};

export const registry = setup({
  use: {
    vm: defineVm(
      {
        env: { PACKAGES_PORT },
        network: { outbound: { allow: [...packages, ...(REGISTRY ? [REGISTRY] : [])] } },
      },
      { outbound },
    ),
  },
  port: Number(PORT),
  dataDir: AGENT_VM_DATA,
});
exitOnSignals();
const { endpoint } = await listen(registry);
process.stdout.write(`Endpoint ${endpoint}\nAccess\n\n`);
