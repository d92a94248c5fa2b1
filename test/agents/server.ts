import { defineVm } from "../../src/actors/define-vm.ts";
import { exitOnSignals } from "../../src/cli/exit-signals.ts";
import { listen } from "../../src/http/listen.ts";
import { setup } from "../../src/http/setup.ts";
import type { OutboundSeams } from "../../src/runtime/network/outbound/outbound.ts";
import { BORDER_HEADER, MODEL_HOST, OWN_HOST, SERVER_TOKEN } from "./model-host.ts";

/**
 * A server program whose VMs have one agent. They reach the scripted model by a host name and through the outbound
 * policy, like a real model, and the server itself too, as an MCP server of other VMs.
 */
const { PORT, AGENT_VM_DATA = "", AGENT = "", AGENT_FROM = "", MODEL_PORT, MODEL_TLS_PORT } = process.env;

const outbound: OutboundSeams = {
  resolve: async (host) => ([MODEL_HOST, OWN_HOST].includes(host) ? ["127.0.0.1"] : []),
};
export const registry = setup({
  use: {
    vm: defineVm(
      {
        agents: { [AGENT]: { from: AGENT_FROM } },
        network: {
          outbound: {
            allow: [
              `${OWN_HOST}:${PORT}`,
              ...[MODEL_PORT, MODEL_TLS_PORT].map((port) => `${MODEL_HOST}:${port}`),
              ...[PORT, MODEL_PORT, MODEL_TLS_PORT].map((port) => `127.0.0.1:${port}`),
            ],
          },
          headers: { [`http://${MODEL_HOST}:${MODEL_PORT}`]: { [BORDER_HEADER]: "added" } },
        },
      },
      { outbound },
    ),
  },
  port: Number(PORT),
  token: SERVER_TOKEN,
  dataDir: AGENT_VM_DATA,
});
exitOnSignals();
const { endpoint } = await listen(registry);
process.stdout.write(`Endpoint ${endpoint}\nAccess\n\n`);
