import { defineVm } from "../../src/actors/define-vm.ts";
import { exitOnSignals } from "../../src/cli/exit-signals.ts";
import { listen } from "../../src/http/listen.ts";
import { setup } from "../../src/http/setup.ts";
import type { OutboundSeams } from "../../src/runtime/network/outbound/outbound.ts";
import { BORDER_HEADER, MODEL_HOST } from "./model-host.ts";

/**
 * A server program whose VMs have one agent. They reach the scripted model by a host name and through the outbound
 * policy, like a real model.
 */
const { PORT, AGENT_VM_DATA = "", AGENT = "", AGENT_FROM = "", MODEL_PORT, MODEL_TLS_PORT } = process.env;

const outbound: OutboundSeams = { resolve: async (host) => (host === MODEL_HOST ? ["127.0.0.1"] : []) };
export const registry = setup({
  use: {
    vm: defineVm(
      {
        agents: { [AGENT]: { from: AGENT_FROM } },
        network: {
          outbound: {
            allow: [MODEL_PORT, MODEL_TLS_PORT].flatMap((port) => [
              `${MODEL_HOST}:${port}`,
              `127.0.0.1:${port}`,
            ]),
          },
          headers: { [`http://${MODEL_HOST}:${MODEL_PORT}`]: { [BORDER_HEADER]: "added" } },
        },
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
